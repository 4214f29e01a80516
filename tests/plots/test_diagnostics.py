"""Correlation, quality and outliers: what is in the pictures, not their pixels."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import mmm_xgen
from mmm_xgen import ChannelConfig, ControlConfig, MMMDataConfig, RegionConfig, TransformConfig
from mmm_xgen.aggregate import aggregate
from mmm_xgen.errors import ConfigError, SchemaError
from mmm_xgen.plots.diagnostics import MOST_VARIABLES, plot_correlation, plot_outliers
from mmm_xgen.plots.panels import MOST_PANELS
from mmm_xgen.plots.quality_sheet import AMBER, RED, plot_quality
from mmm_xgen.plots.style import RISK, plain_text
from mmm_xgen.quality import check_data_quality
from tests.drawing import drawn, observed, panels

ALL = [plot_correlation, plot_quality, plot_outliers]


def generated(n_channels=3, n_regions=2, n_periods=60, n_controls=2, names=None, **settings):
    names = names or [f"channel {position}" for position in range(n_channels)]
    controls = [ControlConfig(name=f"control {i}", base_value=10.0) for i in range(n_controls)]
    config = MMMDataConfig(
        channels=[ChannelConfig(name=name, roas=2.0) for name in names],
        control_variables=controls,
        regions=RegionConfig(n_regions=n_regions, base_sales_rate=10_000.0 * len(names)),
        # Short enough for the default l_max at every frequency.
        transforms=TransformConfig(adstock_kwargs={"alpha": 0.3}),
        n_periods=n_periods,
        **settings,
    )
    return mmm_xgen.generate_mmm_dataset(config)


def broken(ds):
    """Missing sales, a silent channel, an outlier in spend and one in sales."""
    y, spend = ds.y.values.copy(), ds.spend.values.copy()
    y[5, 0] = np.nan
    y[20, 1] *= 30
    spend[30, 1, 1] *= 80
    spend[..., 2] = 0.0
    return observed(ds).assign(y=ds.y.copy(data=y), spend=ds.spend.copy(data=spend))


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def title(axes):
    return axes.get_title(loc="left")


def ticks(labels):
    return [text.get_text() for text in labels]


@pytest.fixture(scope="module")
def ds():
    return generated()


# --- correlation


def test_squares_are_correlations_within_geos(ds):
    axes = drawn(plot_correlation(ds)).axes[0]
    names = ["sales (y)", *ds.channel.values, *ds.control.values]
    assert ticks(axes.get_yticklabels()) == names[1:]
    assert ticks(axes.get_xticklabels()) == names[:-1]
    blocks = [ds.y.expand_dims("one"), ds.spend, ds.control_value]
    cube = np.concatenate([each.transpose(..., "date", "geo").values for each in blocks])
    expected = np.corrcoef((cube - cube.mean(axis=1, keepdims=True)).reshape(len(cube), -1))
    shown = np.ma.filled(axes.collections[0].get_array(), np.nan)
    for row, column in np.ndindex(shown.shape):
        if column <= row:
            assert shown[row, column] == pytest.approx(expected[row + 1, column])
        else:
            assert np.isnan(shown[row, column])


def test_the_title_names_the_strongest_pair(ds):
    spend = ds.spend.values.copy()
    spend[..., 1] = 2 * spend[..., 0]
    twins = observed(ds).assign(spend=ds.spend.copy(data=spend))
    assert (
        title(plot_correlation(twins).axes[0]) == "channel 0 and channel 1 move most alike (1.00)"
    )
    spend[..., 1] = 1e6 - spend[..., 0]
    mirrored = observed(ds).assign(spend=ds.spend.copy(data=spend))
    words = "channel 0 and channel 1 move most against each other (-1.00)"
    assert title(plot_correlation(mirrored).axes[0]) == words


def test_variables_that_never_vary_have_no_correlation(ds):
    figure = drawn(plot_correlation(broken(ds)))
    # The silent channel with sales, the two channels above it, and two controls.
    assert texts(figure).count("-") == 5
    assert not any("nan" in text for text in texts(figure))


def test_numbers_are_written_while_there_is_room():
    few, many = generated(5), generated(16)
    assert len(texts(plot_correlation(few))) == 28
    assert not texts(plot_correlation(many))


def test_of_very_many_variables_the_most_correlated_are_shown():
    ds = generated(MOST_VARIABLES + 5, n_regions=1, n_periods=80)
    axes = drawn(plot_correlation(ds)).axes[0]
    assert len(axes.get_yticklabels()) == MOST_VARIABLES - 1
    assert ticks(axes.get_xticklabels())[0] == "sales (y)"
    assert "8 variables" in axes.get_xlabel()


def test_axes_are_the_users(ds):
    figure = Figure(figsize=(5, 5))
    axes = figure.add_subplot()
    assert plot_correlation(ds, ax=axes) is figure
    assert axes.collections
    with pytest.raises(ConfigError, match="figsize"):
        plot_correlation(ds, ax=axes, figsize=(5, 5))
    assert tuple(plot_correlation(ds, figsize=(5, 5)).get_size_inches()) == (5, 5)


# --- quality


def test_a_sound_dataset_is_said_to_be_sound(ds):
    report = check_data_quality(ds)
    figure = drawn(plot_quality(ds))
    assert report.ok and not report.warnings
    assert "Data quality: ok, 0 errors, 0 warnings" in figure.get_suptitle()
    assert "No check found anything" in texts(figure)[0]


def test_findings_are_written_with_their_fixes(ds):
    bad = broken(ds)
    report = check_data_quality(bad)
    figure = drawn(plot_quality(bad))
    assert figure.get_suptitle().startswith(f"Data quality: not ok, {len(report.errors)} error")
    written = " ".join(text.get_text() for text in panels(figure)["findings"].texts)
    for finding in (*report.errors, *report.warnings):
        for words in (finding.code, finding.where, finding.message, finding.fix):
            assert words in written


def test_the_table_has_the_figures(ds):
    bad = broken(ds)
    axes = panels(plot_quality(bad))["figures"]
    written = [text.get_text() for text in axes.texts]
    for name in ("sales (y)", *ds.channel.values, *ds.control.values):
        assert name in written
    row = written[written.index("channel 2") + 1 :][:9]
    assert row[:6] == ["channel", "0", "0", "0", "0", "100.0%"]
    colours = [to_hex(patch.get_facecolor()).upper() for patch in axes.patches]
    assert colours.count(RED) == 1
    assert colours.count(AMBER) >= 3


def test_very_many_variables_are_counted():
    ds = generated(MOST_VARIABLES + 5, n_regions=1, n_periods=80)
    figure = drawn(plot_quality(ds))
    assert f"{MOST_VARIABLES} of {MOST_VARIABLES + 8} variables" in figure.get_suptitle()


def test_very_many_findings_are_counted(ds, monkeypatch):
    bad = broken(ds)
    report = check_data_quality(bad)
    monkeypatch.setattr("mmm_xgen.plots.quality_sheet.MOST_FINDINGS", 2)
    hidden = len(report.errors) + len(report.warnings) - 2
    assert hidden > 0
    assert f"and {hidden} more" in texts(drawn(plot_quality(bad)))


@pytest.mark.parametrize(
    "wreck",
    [
        lambda ds: ds.drop_vars("y"),
        lambda ds: ds.drop_vars("spend"),
        lambda ds: ds.isel(date=slice(0, 0)),
        lambda ds: xr.concat([ds, ds], dim="dataset", data_vars="all"),
        lambda ds: ds.drop_vars("date"),
        lambda ds: xr.Dataset(),
    ],
    ids=["no y", "no spend", "no dates", "two datasets", "unnamed dates", "nothing"],
)
def test_the_sheet_of_a_wreck_says_what_is_wrong(ds, wreck):
    figure = drawn(plot_quality(wreck(observed(ds))))
    assert "not ok" in figure.get_suptitle()


def test_letters_shrink_with_the_sheet(ds):
    large, small = plot_quality(broken(ds)), drawn(plot_quality(broken(ds), figsize=(6, 3)))
    assert tuple(small.get_size_inches()) == (6, 3)
    sizes = [max(text.get_fontsize() for text in f.axes[1].texts) for f in (large, small)]
    assert sizes[1] < sizes[0]


# --- outliers


def test_outliers_are_marked_where_they_are(ds):
    bad = broken(ds)
    figure = drawn(plot_outliers(bad))
    names = [axes.get_label() for axes in figure.axes]
    assert set(names[:2]) == {"sales (y)", "channel 1"}
    found = {}
    for axes in figure.axes:
        marks = [line for line in axes.get_lines() if to_hex(line.get_color()) == RISK.lower()]
        found[axes.get_label()] = [str(date)[:10] for line in marks for date in line.get_xdata()]
    assert str(ds.date.values[20])[:10] in found["sales (y)"]
    assert str(ds.date.values[30])[:10] in found["channel 1"]
    figures = check_data_quality(bad).figures["outliers"]
    assert sum(map(len, found.values())) == figures.sum()
    sales = panels(figure)["sales (y)"]
    assert title(sales) == "sales (y): 1 outlier"
    assert sales.get_xlabel() == f"farthest: geo_2 {str(ds.date.values[20])[:10]}"


def test_several_geos_are_multiples_of_their_usual_value(ds):
    axes = panels(plot_outliers(ds))["channel 0"]
    spend = ds.spend.sel(channel="channel 0")
    expected = (spend / spend.where(spend > 0).median("date")).median("geo")
    np.testing.assert_allclose(axes.get_lines()[0].get_ydata(), expected)
    assert axes.get_ylabel() == "x usual"


def test_one_geo_is_in_its_own_units():
    ds = generated(n_regions=1)
    axes = panels(drawn(plot_outliers(ds)))["channel 0"]
    spend = ds.spend.isel(geo=0).sel(channel="channel 0")
    np.testing.assert_allclose(axes.get_lines()[0].get_ydata(), spend)
    assert not axes.get_ylabel()


def test_without_outliers_the_title_says_so(ds):
    figure = plot_outliers(ds)
    assert figure.get_suptitle().startswith("No outliers")
    assert all(title(axes).endswith(": none") for axes in figure.axes)


def test_many_variables_are_paged():
    ds = generated(14)
    assert [len(plot_outliers(ds, page=page).axes) for page in (1, 2)] == [MOST_PANELS, 5]
    assert "page 2 of 2" in plot_outliers(ds, page=2).get_suptitle()
    with pytest.raises(ConfigError, match="page: found 3, allowed: 1 to 2"):
        plot_outliers(ds, page=3)


def test_all_values_missing_is_drawn(ds):
    drawn(plot_outliers(observed(ds).assign(y=ds.y * np.nan)))


# --- all


@pytest.mark.parametrize("plot", ALL)
def test_observed_variables_are_enough(ds, plot):
    usual, bare = drawn(plot(ds)), drawn(plot(observed(ds)))
    assert texts(usual) == texts(bare)
    drawn(plot(observed(ds).drop_dims("control")))
    drawn(plot(broken(ds)))


@pytest.mark.parametrize("plot", ALL)
@pytest.mark.parametrize(
    ("n_channels", "n_regions", "n_periods", "n_controls", "freq"),
    [(1, 1, 1, 0, "W"), (2, 3, 2, 1, "MS"), (30, 50, 6, 10, "W"), (1, 1, 40, 0, "D")],
)
def test_every_size_is_drawn_without_a_warning(
    plot, n_channels, n_regions, n_periods, n_controls, freq
):
    drawn(plot(generated(n_channels, n_regions, n_periods, n_controls, freq=freq)))


@pytest.mark.parametrize("plot", ALL)
def test_any_channel_name_is_written_as_it_is(plot):
    names = ["US$ and CA$", "_hidden", "a" * 100, "100% & {more}", "\\alpha"]
    figure = drawn(plot(generated(names=names)))
    labels = [text.get_text() for axes in figure.axes for text in axes.get_yticklabels()]
    written = [*texts(figure), *labels, *map(title, figure.axes)]
    found = {text.removesuffix(": none") for text in written}
    assert found >= {plain_text(name) for name in names}


@pytest.mark.parametrize("plot", ALL)
def test_an_aggregated_dataset_is_drawn(ds, plot):
    drawn(plot(aggregate(ds, freq="MS")))


@pytest.mark.parametrize("plot", [plot_correlation, plot_outliers])
def test_what_is_no_single_dataset_is_refused(ds, plot):
    with pytest.raises(SchemaError, match="'spend'"):
        plot(ds.drop_vars("spend"))
    with pytest.raises(SchemaError, match=r"isel\(dataset=0\)"):
        plot(xr.concat([ds, ds], dim="dataset", data_vars="all"))
