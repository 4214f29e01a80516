"""Geos beside each other: what is in the picture, not its pixels."""

import numpy as np
import pytest

import mmm_xgen
from mmm_xgen import ChannelConfig, MMMDataConfig, RegionConfig
from mmm_xgen.errors import ConfigError
from mmm_xgen.plots.geos import MOST_LINES, plot_geos
from mmm_xgen.plots.panels import MOST_ROWS
from mmm_xgen.plots.selection import MOST_CHANNELS
from tests import drawing
from tests.drawing import drawn, panels


def generated(n_regions=3, n_channels=3, n_periods=40, population=None, names=None):
    regions = {
        "population": population or [1000.0 * (1 + place) for place in range(n_regions)],
        "region_names": names or [f"geo {place}" for place in range(n_regions)],
    }
    return drawing.generated(n_channels, n_regions, n_periods, regions=regions)


def observed(ds):
    kept = ds[["y", "spend"]]
    kept.attrs = {"freq": ds.attrs["freq"]}
    return kept


def row_names(figure):
    return [text.get_text() for text in panels(figure)["sales"].get_yticklabels()]


@pytest.fixture(scope="module")
def ds():
    return generated()


def test_rows_are_geos_the_largest_first(ds):
    figure = drawn(plot_geos(ds))
    assert list(panels(figure)) == ["index", "sales", "spend", "contributions"]
    assert row_names(figure) == ["geo 2", "geo 1", "geo 0"]
    ratio = float(ds.y.mean("date").sel(geo="geo 2") / ds.y.mean("date").sel(geo="geo 0"))
    assert figure.get_suptitle().startswith(f"geo 2 sells {ratio:.1f} times as much as geo 0")


def test_boxes_hold_half_of_the_dates(ds):
    boxes = panels(plot_geos(ds))["sales"].patches
    for box, geo in zip(boxes, ["geo 2", "geo 1", "geo 0"], strict=True):
        low, high = np.quantile(ds.y.sel(geo=geo), [0.25, 0.75])
        assert box.get_x() == pytest.approx(low)
        assert box.get_width() == pytest.approx(high - low)


def test_spend_is_a_rate_of_sales(ds):
    bars = panels(plot_geos(ds))["spend"].patches
    rate = ds.spend.sum(("date", "channel")) / ds.y.sum("date")
    np.testing.assert_allclose([bar.get_width() for bar in bars], rate[::-1])


def test_squares_are_shares_of_expected_sales(ds):
    axes = panels(plot_geos(ds))["contributions"]
    columns = [text.get_text() for text in axes.get_xticklabels()]
    share = 100 * ds.channel_contribution.sum("date") / ds.mu.sum("date")
    expected = share.sel(geo=["geo 2", "geo 1", "geo 0"], channel=columns).transpose("geo", ...)
    np.testing.assert_allclose(axes.collections[0].get_array(), expected)
    assert [text.get_text() for text in axes.texts] == [f"{v:.1f}" for v in expected.values.flat]


@pytest.mark.parametrize("n_regions", [MOST_LINES, MOST_LINES + 1])
def test_few_geos_are_lines_and_many_are_a_band(n_regions):
    ds = generated(n_regions)
    figure = plot_geos(ds)
    axes = panels(figure)["index"]
    index = 100 * ds.y / ds.y.mean("date")
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    if n_regions == MOST_LINES:
        assert names == list(ds.geo.values)
        for line, geo in zip(axes.get_lines(), ds.geo.values, strict=True):
            np.testing.assert_allclose(line.get_ydata(), index.sel(geo=geo))
    else:
        assert names == ["median of geos", "80% of geos"]
        (line,) = axes.get_lines()
        np.testing.assert_allclose(line.get_ydata(), index.median("geo"))


def test_many_geos_are_paged_and_many_channels_are_shown_as_one():
    ds = generated(MOST_ROWS + 10, n_channels=12, n_periods=12)
    first, second = plot_geos(ds), plot_geos(ds, page=2)
    assert [len(row_names(figure)) for figure in (first, second)] == [MOST_ROWS, 10]
    assert "geos 41 to 50 of 50, page 2 of 2" in second.get_suptitle()
    columns = panels(first)["contributions"].get_xticklabels()
    assert len(columns) == MOST_CHANNELS + 1
    assert columns[-1].get_text() == "4 others"
    index = [panels(figure)["index"].get_lines()[0].get_ydata() for figure in (first, second)]
    np.testing.assert_array_equal(*index)
    with pytest.raises(ConfigError, match="page: found 3, allowed: 1 to 2"):
        plot_geos(ds, page=3)


def test_one_geo_says_that_there_is_nothing_to_compare():
    figure = drawn(plot_geos(generated(1)))
    assert "one geo" in figure.get_suptitle()
    assert not figure.legends


def test_sizes_far_apart_have_a_logarithmic_axis():
    scales = {
        largest: panels(plot_geos(generated(2, population=[1000.0, largest])))["sales"].get_xscale()
        for largest in (2000.0, 100_000.0)
    }
    assert scales == {2000.0: "linear", 100_000.0: "log"}


def test_observed_data_have_no_contributions(ds):
    figure = plot_geos(observed(ds))
    assert list(panels(figure)) == ["index", "sales", "spend"]
    assert row_names(figure) == ["geo 2", "geo 1", "geo 0"]


def test_a_geo_without_sales_and_missing_values_are_drawn(ds):
    values = ds.y.values.copy()
    values[:, 0] = 0.0
    values[:, 1] = np.nan
    values[3, 2] = np.nan
    for broken in (ds, observed(ds)):
        figure = drawn(plot_geos(broken.assign(y=ds.y.copy(data=values))))
        assert row_names(figure) == ["geo 2", "geo 0", "geo 1"]
    drawn(plot_geos(observed(ds).assign(y=ds.y * np.nan)))


def test_geos_whose_names_look_the_same_have_an_entry_each():
    twins = [f"Metropolitan {part} of the county 12" for part in ("east", "west")]
    figure = drawn(plot_geos(generated(2, names=twins)))
    written = ["Metropol…east of the cou…", "Metropol…west of the cou…"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == written
    assert row_names(figure) == written[::-1]
    assert any(name in figure.get_suptitle() for name in written)


def test_a_silent_channel_is_drawn():
    channels = [
        ChannelConfig(name="a rather long name of a channel", roas=2.0),
        ChannelConfig(name="silent", base_spend=0.0, base_effectiveness=0.0),
    ]
    with pytest.warns(mmm_xgen.XgenWarning, match="silent"):
        ds = mmm_xgen.generate_mmm_dataset(
            MMMDataConfig(channels=channels, regions=RegionConfig(n_regions=3))
        )
    drawn(plot_geos(ds))
