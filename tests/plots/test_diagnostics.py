"""Correlation, quality and outliers: what is in the pictures, not their pixels."""

from functools import partial

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_hex

from mmm_xgen.plots.diagnostics import MOST_VARIABLES, plot_correlation, plot_outliers
from mmm_xgen.plots.quality_sheet import AMBER, RED, plot_quality
from mmm_xgen.plots.style import RISK
from mmm_xgen.quality import check_data_quality
from tests import drawing
from tests.drawing import drawn, observed, panels

generated = partial(drawing.generated, controls=2)


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
    axes = plot_correlation(ds).axes[0]
    assert len(axes.get_yticklabels()) == MOST_VARIABLES - 1
    assert ticks(axes.get_xticklabels())[0] == "sales (y)"
    assert "8 variables" in axes.get_xlabel()


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
    figure = plot_quality(ds)
    assert f"{MOST_VARIABLES} of {MOST_VARIABLES + 8} variables" in figure.get_suptitle()


def test_very_many_findings_are_counted(ds, monkeypatch):
    bad = broken(ds)
    report = check_data_quality(bad)
    monkeypatch.setattr("mmm_xgen.plots.quality_sheet.MOST_FINDINGS", 2)
    hidden = len(report.errors) + len(report.warnings) - 2
    assert hidden > 0
    assert f"and {hidden} more" in texts(plot_quality(bad))


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
    figure = plot_quality(wreck(observed(ds)))
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
    axes = panels(plot_outliers(ds))["channel 0"]
    spend = ds.spend.isel(geo=0).sel(channel="channel 0")
    np.testing.assert_allclose(axes.get_lines()[0].get_ydata(), spend)
    assert not axes.get_ylabel()


def test_without_outliers_the_title_says_so(ds):
    figure = plot_outliers(ds)
    assert figure.get_suptitle().startswith("No outliers")
    assert all(title(axes).endswith(": none") for axes in figure.axes)


def test_all_values_missing_is_drawn(ds):
    drawn(plot_outliers(observed(ds).assign(y=ds.y * np.nan)))


# --- all


@pytest.mark.parametrize("plot", [plot_correlation, plot_quality, plot_outliers])
def test_observed_variables_are_enough(ds, plot):
    assert texts(plot(ds)) == texts(plot(observed(ds)))
    assert plot(observed(ds).drop_dims("control")).axes
