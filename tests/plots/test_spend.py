"""Spend: what is in the pictures, not their pixels."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import mmm_xgen
from mmm_xgen import ChannelConfig, MMMDataConfig
from mmm_xgen.errors import AlignmentError, ConfigError
from mmm_xgen.formatting.amounts import short_number
from mmm_xgen.plots.selection import MOST_DATES
from mmm_xgen.plots.spend import KINDS, plot_spend
from mmm_xgen.plots.style import CHANNEL_COLOURS, OTHER_COLOUR
from tests.drawing import drawn, generated, legend_names, row_names, row_texts, title


@pytest.fixture(scope="module")
def ds():
    return mmm_xgen.generate_mmm_dataset()


@pytest.fixture(scope="module")
def many():
    return generated(45, 50, 20)


def test_lines_are_sums_over_geos_in_the_units_of_the_dataset(ds):
    figure = drawn(plot_spend(ds))
    assert isinstance(figure, Figure)
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert set(lines) == set(ds.channel.values)
    for name, line in lines.items():
        np.testing.assert_allclose(line.get_ydata(), ds.spend.sel(channel=name).sum("geo"))
        np.testing.assert_array_equal(line.get_xdata(), ds.date)
    assert axes.get_ylabel() == "USD per week"
    assert axes.get_ylim()[0] == 0


def test_the_title_says_who_takes_most(ds):
    total = ds.spend.sum(("date", "geo"))
    largest = str(total.idxmax("channel").item())
    share = float(total.max() / total.sum())
    amount = short_number(float(total.sum()))
    assert title(plot_spend(ds)) == f"Spend in 2 geos: {largest} takes {share:.0%} of USD {amount}"


def test_areas_stack_up_to_all_spend_and_the_legend_is_in_their_order(ds):
    figure = drawn(plot_spend(ds, kind="area"))
    areas = figure.axes[0].collections
    tops = [area.get_paths()[0].vertices[:, 1].max() for area in areas]
    assert tops[-1] == pytest.approx(float(ds.spend.sum(("geo", "channel")).max()))
    assert legend_names(figure) == legend_names(plot_spend(ds))[::-1]
    colours = [to_hex(area.get_facecolor()[0]) for area in areas]
    assert colours == [colour.lower() for colour in CHANNEL_COLOURS[:3]]


def test_rows_of_the_heatmap_have_their_own_scale_and_total(ds):
    figure = drawn(plot_spend(ds, kind="heatmap"))
    (mesh,) = figure.axes[0].collections
    values = np.asarray(mesh.get_array())
    names = row_names(figure)
    spend = ds.spend.sum("geo").sel(channel=names).transpose("channel", "date")
    np.testing.assert_allclose(values, spend / spend.max("date"))
    assert row_texts(figure) == [short_number(float(each)) for each in spend.sum("date")]
    assert "USD" in title(figure)


def test_one_geo_is_drawn_in_the_colours_of_all(ds):
    for kind in KINDS:
        assert "in geo_b" in title(plot_spend(ds, kind=kind, geo="geo_b"))
    lines = plot_spend(ds, geo="geo_b").axes[0].lines
    for line in lines:
        expected = ds.spend.sel(channel=line.get_label(), geo="geo_b")
        np.testing.assert_allclose(line.get_ydata(), expected)
    everywhere = {line.get_label(): line.get_color() for line in plot_spend(ds).axes[0].lines}
    assert everywhere == {line.get_label(): line.get_color() for line in lines}


@pytest.mark.parametrize("kind", KINDS)
def test_long_series_are_thinned(kind):
    figure = drawn(plot_spend(generated(2, 1, 2 * MOST_DATES, freq="D"), kind=kind))
    if kind != "heatmap":
        assert figure.axes[0].get_ylabel() == "USD per day, means of 2 days"


def test_channels_are_chosen_by_label_or_column_and_keep_their_colour(ds):
    figure = plot_spend(ds, channels=["x2-Trend"])
    (line,) = figure.axes[0].get_lines()
    assert legend_names(figure) == ["Trend"]
    everywhere = {each.get_label(): each.get_color() for each in plot_spend(ds).axes[0].lines}
    assert line.get_color() == everywhere["Trend"]
    amount = short_number(float(ds.spend.sel(channel="Trend").sum()))
    assert title(figure) == f"Spend on Trend in 2 geos: USD {amount}"


def test_small_channels_are_one_series(many):
    for kind in ("lines", "area"):
        names = legend_names(plot_spend(many, kind=kind))
        assert len(names) == 9
        assert "37 others" in names
    figure = plot_spend(many)
    rest = next(line for line in figure.axes[0].lines if line.get_label() == "37 others")
    assert rest.get_color() == OTHER_COLOUR
    everything = sum(line.get_ydata() for line in figure.axes[0].lines)
    np.testing.assert_allclose(everything, many.spend.sum(("geo", "channel")))


@pytest.mark.parametrize("kind", KINDS)
def test_a_channel_without_spend_is_drawn(kind):
    channels = [
        ChannelConfig(name="TV", roas=2.0),
        ChannelConfig(name="silent", base_spend=0.0, base_effectiveness=0.0),
    ]
    with pytest.warns(mmm_xgen.XgenWarning, match="silent"):
        ds = mmm_xgen.generate_mmm_dataset(MMMDataConfig(channels=channels))
    figure = drawn(plot_spend(ds, kind=kind))
    assert "TV takes 100%" in title(figure) or row_texts(figure)[1] == "no spend"
    alone = drawn(plot_spend(ds, kind=kind, channels=["silent"]))
    assert "nothing was spent" in title(alone) or row_texts(alone) == ["no spend"]


def test_spend_alone_is_enough(ds):
    coords = ["date", "geo", "channel", "channel_column"]
    observed = xr.Dataset(
        {"spend": ds.spend.drop_vars(set(ds.spend.coords) - set(coords))}, attrs={"freq": "W-MON"}
    )
    observed["spend"].attrs = {"units": "EUR"}
    for kind in KINDS:
        axes = plot_spend(observed, kind=kind).axes[0]
        assert kind == "heatmap" or axes.get_ylabel() == "EUR per week"


def test_what_cannot_be_drawn_is_refused(ds):
    with pytest.raises(ConfigError, match="kind: found 'line', did you mean 'lines'"):
        plot_spend(ds, kind="line")
    with pytest.raises(ConfigError, match="page: found 0"):
        plot_spend(ds, kind="heatmap", page=0)
    with pytest.raises(ConfigError, match=r"allowed: a list: \['Trend'\]"):
        plot_spend(ds, channels="Trend")
    with pytest.raises(AlignmentError, match="'Tren'; did you mean 'Trend'"):
        plot_spend(ds, channels=["Tren"])
