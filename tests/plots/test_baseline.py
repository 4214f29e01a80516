"""Baseline and controls: what is in the pictures, not their pixels."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import mmm_xgen
from mmm_xgen import ChannelConfig, ControlConfig, MMMDataConfig
from mmm_xgen.aggregate import aggregate
from mmm_xgen.errors import ConfigError, SchemaError
from mmm_xgen.plots.baseline import plot_baseline, plot_controls
from mmm_xgen.plots.selection import MOST_DATES
from tests.drawing import drawn, generated, observed, panels, titles

EVENT = {"name": "sale", "dates": ["2022-11-25"], "effect": 0.3, "width_days": 7}


TREND = {"sales_trend": 0.002, "seasonal_amplitude": 0.1}


@pytest.fixture(scope="module")
def ds():
    return generated(1, controls=3, events=[EVENT], regions=TREND)


# --- baseline


def test_rows_hold_the_baseline_and_its_parts(ds):
    figure = drawn(plot_baseline(ds))
    assert isinstance(figure, Figure)
    rows = panels(figure)
    assert list(rows) == ["baseline", "trend", "seasonality", "event"]
    for name in ("trend", "seasonality", "event"):
        (line,) = rows[name].get_lines()
        np.testing.assert_allclose(line.get_ydata(), ds[f"{name}_contribution"].sum("geo"))
    base, total = rows["baseline"].get_lines()
    np.testing.assert_allclose(base.get_ydata(), float(ds.intercept_contribution.sum()))
    others = ds.mu - ds.control_contribution.sum("control") - ds.channel_contribution.sum("channel")
    np.testing.assert_allclose(total.get_ydata(), others.sum("geo"))


def test_one_unit_is_as_high_in_each_row(ds):
    figure = drawn(plot_baseline(ds))
    scale = [
        axes.get_position().height / np.ptp(axes.get_ylim()) * figure.get_figheight()
        for axes in figure.axes
    ]
    np.testing.assert_allclose(scale, scale[0], rtol=1e-6)


def test_parts_say_how_large_they_are(ds):
    words = titles(plot_baseline(ds))
    base = float(ds.intercept_contribution.sum())
    top = float(ds.trend_contribution.sum("geo").max()) / base
    assert words[1] == f"Trend: 0% to +{top:.0%} of base sales"
    assert words[2].startswith("Seasons: -10% to +10%")
    assert words[3].startswith("Events (sale): 0% to +")


def test_a_part_that_is_zero_is_left_out_and_named():
    figure = plot_baseline(generated(1))
    assert list(panels(figure)) == ["baseline"]
    assert "none: trend, seasons, events" in figure.get_suptitle()


def test_one_geo_alone(ds):
    _, total = plot_baseline(ds, geo="geo_2").axes[0].get_lines()
    one = ds.sel(geo="geo_2")
    np.testing.assert_allclose(
        total.get_ydata(),
        one.intercept_contribution
        + one.trend_contribution
        + one.seasonality_contribution
        + one.event_contribution,
    )
    assert "geo_2" in plot_baseline(ds, geo="geo_2").get_suptitle()


@pytest.mark.parametrize("freq", ["MS", "QS"])
def test_an_aggregated_baseline_has_base_sales_by_date(ds, freq):
    whole = aggregate(ds, freq=freq)
    base, _ = plot_baseline(whole).axes[0].get_lines()
    np.testing.assert_allclose(base.get_ydata(), whole.intercept_contribution.sum("geo"))


def test_sizes_in_words_are_of_single_dates_when_series_are_thinned():
    ds = generated(1, n_periods=2 * MOST_DATES, freq="D", events=[EVENT], regions=TREND)
    figure = plot_baseline(ds)
    assert "means of 2 days" in figure.get_supylabel()
    highest = float(ds.event_contribution.sum("geo").max() / ds.intercept_contribution.sum())
    assert titles(figure)[3].endswith(f"+{highest:.0%} of base sales")


def test_a_baseline_needs_the_truth(ds):
    with pytest.raises(SchemaError, match="intercept_contribution"):
        plot_baseline(observed(ds))


# --- controls


def test_controls_have_values_and_effects_the_largest_first(ds):
    figure = drawn(plot_controls(ds))
    names = ["control 2", "control 1", "control 0"]
    expected = [label for name in names for label in (f"value of {name}", f"effect of {name}")]
    assert list(panels(figure)) == expected
    (effect,) = panels(figure)["effect of control 2"].get_lines()
    truth = ds.control_contribution.sel(control="control 2").sum("geo")
    np.testing.assert_allclose(effect.get_ydata(), truth)
    (middle,) = panels(figure)["value of control 2"].get_lines()
    values = ds.control_value.sel(control="control 2").median("geo")
    np.testing.assert_allclose(middle.get_ydata(), values)
    limits = {axes.get_ylim() for name, axes in panels(figure).items() if "effect" in name}
    assert len(limits) == 1


def test_controls_of_one_geo_have_no_spread(ds):
    figure = plot_controls(ds, geo="geo_1")
    assert not figure.legends
    value = panels(figure)["value of control 0"]
    assert not value.collections
    one = ds.control_value.sel(control="control 0", geo="geo_1")
    np.testing.assert_allclose(value.get_lines()[0].get_ydata(), one)


def test_observed_controls_have_values_only(ds):
    figure = plot_controls(observed(ds))
    assert list(panels(figure)) == [f"value of control {i}" for i in range(3)]
    assert "observed" in figure.get_suptitle()


def test_many_controls_are_paged():
    ds = generated(1, controls=14)
    assert [len(plot_controls(ds, page=page).axes) for page in (1, 2, 3)] == [12, 12, 4]
    assert "controls 13 to 14 of 14, page 3 of 3" in plot_controls(ds, page=3).get_suptitle()
    assert [len(plot_controls(observed(ds), page=page).axes) for page in (1, 2)] == [12, 2]
    with pytest.raises(ConfigError, match="page: found 4, allowed: 1 to 3"):
        plot_controls(ds, page=4)


def test_without_controls_the_page_says_so(ds):
    for bare in (generated(1), observed(ds).drop_dims("control")):
        figure = plot_controls(bare)
        assert not figure.axes
        assert figure.get_suptitle() == "This dataset has no controls"


def test_a_control_without_effect_is_named_so():
    control = ControlConfig(name="idle", gamma_control=0.0)
    ds = mmm_xgen.generate_mmm_dataset(
        MMMDataConfig(channels=[ChannelConfig(name="TV")], control_variables=[control])
    )
    assert titles(drawn(plot_controls(ds))) == ["idle", "no effect"]


def switched(values, name="Promotion", freq="W-MON"):
    """A dataset with one control of given values, dims (date, geo)."""
    ds = generated(1, values.shape[1], len(values), controls=[name], freq=freq)
    return ds.assign(control_value=ds.control_value.copy(data=values[..., None]))


def test_what_is_on_or_off_is_never_drawn_as_half(level=5.0):
    on = np.zeros((30, 2))
    on[3:9, 0] = on[6:12, 1] = level
    for ds in (switched(on), observed(switched(on))):
        axes = plot_controls(ds).axes[0]
        [steps] = axes.get_lines()
        assert steps.get_drawstyle() == "steps-post"
        np.testing.assert_array_equal(steps.get_ydata(), (on > 0).sum(axis=1))
        assert axes.get_ylabel() == "geos where on"
        assert axes.get_title(loc="left") == f"Promotion: {level:g} where it is on"
    [steps] = plot_controls(switched(on), geo="geo_1").axes[0].get_lines()
    np.testing.assert_array_equal(steps.get_ydata(), on[:, 0])


def test_a_short_promotion_keeps_its_level_when_dates_are_thinned():
    on = np.zeros((2 * MOST_DATES, 1))
    on[::10] = 1.0
    axes = plot_controls(switched(on, freq="D")).axes[0]
    [steps] = axes.get_lines()
    assert len(steps.get_ydata()) == MOST_DATES
    assert set(steps.get_ydata()) == {0.0, 1.0}
    assert steps.get_ydata().sum() == len(on) / 10


def test_what_varies_from_zero_on_is_drawn_by_values_that_geos_have():
    depth = np.random.default_rng(1).uniform(0.01, 1.0, (20, 2)) * [1.0, 0.0]
    [drawn_values] = plot_controls(switched(depth)).axes[0].get_lines()
    assert all(np.isin(drawn_values.get_ydata(), depth))


def test_missing_values_leave_gaps():
    ds = observed(generated(1, controls=1))
    values = ds.control_value.values.copy()
    values[3:6] = np.nan
    figure = drawn(plot_controls(ds.assign(control_value=ds.control_value.copy(data=values))))
    (line,) = figure.axes[0].get_lines()
    assert np.isnan(line.get_ydata()[3:6]).all()
    empty = ds.assign(control_value=ds.control_value * np.nan)
    drawn(plot_controls(empty))


def test_the_legend_of_controls_is_of_what_is_drawn():
    ds = mmm_xgen.generate_mmm_dataset()
    (legend,) = plot_controls(ds).legends
    assert [text.get_text() for text in legend.get_texts()] == ["median of geos", "80% of geos"]
    # A count of geos has no median, and one geo has no spread.
    assert not plot_controls(ds.sel(control=["Promotion"])).legends
    assert not plot_controls(ds, geo="geo_a").legends
