"""Sales, their parts and their decomposition: what is in the pictures, not their pixels."""

import numpy as np
import pandas as pd
import pytest

import mmm_xgen
from mmm_xgen import ChannelConfig, ControlConfig, MMMDataConfig, RegionConfig, TransformConfig
from mmm_xgen.aggregate import aggregate
from mmm_xgen.formatting.amounts import share
from mmm_xgen.plots.sales import plot_decomposition, plot_sales
from mmm_xgen.plots.selection import MOST_DATES
from tests.drawing import drawn, observed, panels

ROWS = ["sales", "base", "seasons", "controls", "media", "noise"]
BOTH = [plot_sales, plot_decomposition]


def generated(n_regions=2, n_periods=60, n_controls=1, **settings):
    names = [f"control {position}" for position in range(n_controls)]
    config = MMMDataConfig(
        channels=[
            ChannelConfig(name="US$ TV", roas=2.0),
            ChannelConfig(name="placebo", base_effectiveness=0.0),
        ],
        control_variables=[ControlConfig(name=name, gamma_control=50.0) for name in names],
        regions=RegionConfig(
            n_regions=n_regions, sales_trend=0.001, seasonal_amplitude=0.2, sales_volatility=0.02
        ),
        # Short enough for the default l_max at every frequency.
        transforms=TransformConfig(adstock_kwargs={"alpha": 0.3}),
        n_periods=n_periods,
        **settings,
    )
    return mmm_xgen.generate_mmm_dataset(config)


def with_sales(ds, values):
    return ds.assign(y=ds["y"].copy(data=values))


def title(axes):
    return axes.get_title(loc="left")


def legend_names(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.fixture(scope="module")
def ds():
    return generated()


@pytest.fixture(scope="module")
def years():
    return generated(n_periods=156)


# --- sales and parts


def test_rows_add_up_to_sales(ds):
    rows = panels(drawn(plot_sales(ds)))
    assert list(rows) == ROWS
    sales, expected = rows["sales"].get_lines()
    np.testing.assert_allclose(sales.get_ydata(), ds.y.sum("geo"))
    np.testing.assert_allclose(expected.get_ydata(), ds.mu.sum("geo"))
    parts = [rows[name].get_lines()[0].get_ydata() for name in ROWS[1:]]
    np.testing.assert_allclose(np.sum(parts, axis=0), ds.y.sum("geo"))
    np.testing.assert_allclose(parts[3], ds.channel_contribution.sum(("geo", "channel")))


def test_rows_say_their_size_and_units(ds):
    figure = plot_sales(ds)
    rows = panels(figure)
    share = float(ds.channel_contribution.sum() / ds.mu.sum())
    assert title(rows["media"]) == f"Media: {share:.0%} of expected sales"
    noise = ds.noise.sum("geo").std() / ds.mu.sum("geo").mean()
    assert title(rows["noise"]) == f"Noise, sd {float(noise):.1%} of expected sales"
    assert figure.get_supylabel() == "sales per week"
    assert "sum of 2 geos" in figure.get_suptitle()
    assert legend_names(figure) == ["sales (y)", "expected sales (mu)"]


def test_one_unit_is_as_high_in_each_row(ds):
    figure = drawn(plot_sales(ds))
    scale = [axes.get_position().height / np.ptp(axes.get_ylim()) for axes in figure.axes]
    np.testing.assert_allclose(scale, scale[0], rtol=1e-6)
    for axes in figure.axes:
        low, high = axes.get_ylim()
        values = np.concatenate([line.get_ydata() for line in axes.get_lines()])
        assert low <= values.min() <= values.max() <= high


def test_parts_that_are_zero_are_left_out_and_named():
    figure = plot_sales(generated(n_controls=0))
    assert "controls" not in panels(figure)
    assert "none: controls" in figure.get_suptitle()


@pytest.mark.parametrize("plot", BOTH)
def test_one_geo_alone(ds, plot):
    figure = plot(ds, geo="geo_2")
    line = figure.axes[0].get_lines()[0]
    np.testing.assert_allclose(line.get_ydata(), ds.y.sel(geo="geo_2"))
    assert "geo_2" in figure.get_suptitle()


def test_observed_sales_stand_above_spend(ds):
    rows = panels(drawn(plot_sales(observed(ds))))
    assert list(rows) == ["sales", "spend"]
    np.testing.assert_allclose(rows["sales"].get_lines()[0].get_ydata(), ds.y.sum("geo"))
    spend = ds.spend.sum(("geo", "channel"))
    np.testing.assert_allclose(rows["spend"].get_lines()[0].get_ydata(), spend)
    assert "2 channels" in title(rows["spend"])


def test_a_missing_geo_leaves_a_gap_and_no_dip(ds):
    values = ds.y.values.copy()
    values[7, 0] = np.nan
    figure = drawn(plot_sales(with_sales(observed(ds), values)))
    line = figure.axes[0].get_lines()[0].get_ydata()
    assert np.flatnonzero(np.isnan(line)).tolist() == [7]
    assert "1 of 60 dates without a value of each geo" in figure.get_suptitle()


def test_long_series_are_thinned_and_their_sizes_are_not():
    ds = generated(1, 2 * MOST_DATES, freq="D")
    figure = plot_sales(ds)
    assert "means of 2 days" in figure.get_supylabel()
    assert len(figure.axes[0].get_lines()[1].get_ydata()) == MOST_DATES
    noise = float(ds.noise.std() / ds.mu.mean())
    assert title(panels(figure)["noise"]) == f"Noise, sd {share(noise)} of expected sales"


def test_units_are_those_of_the_dataset():
    ds = generated(currency="EUR", kpi="orders", freq="MS", n_periods=30)
    assert plot_sales(ds).get_supylabel() == "orders per month"
    labels = [axes.get_ylabel() for axes in plot_sales(observed(ds)).axes]
    assert labels == ["orders per month", "EUR per month"]


# --- decomposition


def test_trend_season_and_remainder_add_up_to_sales(years):
    rows = panels(drawn(plot_decomposition(years)))
    assert list(rows) == ["trend", "season", "remainder"]
    sales, trend, _ = (line.get_ydata() for line in rows["trend"].get_lines())
    season, _ = (line.get_ydata() for line in rows["season"].get_lines())
    remainder = rows["remainder"].get_lines()[0].get_ydata()
    np.testing.assert_allclose(sales, years.y.sum("geo"))
    np.testing.assert_allclose(trend + season + remainder, sales)
    np.testing.assert_allclose(season[52:104], season[:52], rtol=1e-3, atol=1.0)


def test_truth_is_marked_and_found_again(years):
    figure = plot_decomposition(years)
    rows = panels(figure)
    _, found, true = (line.get_ydata() for line in rows["trend"].get_lines())
    base = (years.intercept_contribution + years.trend_contribution).sum("geo")
    np.testing.assert_allclose(true - true.mean(), base - base.mean(), atol=1e-6)
    assert true.mean() == pytest.approx(found.mean())
    found, true = (line.get_ydata() for line in rows["season"].get_lines())
    season = years.seasonality_contribution.sum("geo")
    np.testing.assert_allclose(true, season - season.mean(), atol=1e-6)
    assert np.corrcoef(found, true)[0, 1] > 0.95
    assert "a season of 52 weeks" in figure.get_suptitle()
    assert any(name.startswith("truth") for name in legend_names(figure))


def test_observed_sales_have_no_truth_beside(years):
    figure = plot_decomposition(observed(years).drop_vars("spend"))
    assert legend_names(figure) == ["sales (y)", "found in sales"]
    assert len(panels(figure)["season"].get_lines()) == 1
    assert "true" not in title(panels(figure)["remainder"])


@pytest.mark.parametrize(
    ("freq", "n_periods", "words"),
    [
        ("W", 104, "a season of 52 weeks"),
        ("W", 103, "STL needs two of 52 weeks, found 103 weeks"),
        ("MS", 24, "a season of 12 months"),
        ("D", 100, "a season of 7 days"),
        ("D", 730, "seasons of 7 days and 364 days"),
        ("D", 9, "STL needs two of 7 days, found 9 days"),
    ],
)
def test_the_title_says_which_seasons_can_be_told(freq, n_periods, words):
    ds = generated(1, n_periods, freq=freq)
    figure = plot_decomposition(ds)
    assert words in figure.get_suptitle()
    assert ("season" in panels(figure)) == ("needs" not in words)


def test_quarters_have_a_season_and_years_and_unknown_frequencies_none(years):
    quarters = aggregate(years, freq="QS")
    assert "a season of 4 quarters" in plot_decomposition(quarters).get_suptitle()
    yearly = years.assign_attrs(freq="YS")
    assert "do not repeat within a year" in plot_decomposition(yearly).get_suptitle()
    unknown = observed(years).drop_attrs()
    assert "frequency of the data is not known" in plot_decomposition(unknown).get_suptitle()


def test_missing_sales_are_filled_and_said(years):
    values = years.y.values.copy()
    values[10:12, 0] = np.nan
    figure = plot_decomposition(with_sales(observed(years), values))
    assert "2 missing filled by straight lines" in figure.get_suptitle()
    sales = figure.axes[0].get_lines()[0].get_ydata()
    ends = years.y.sum("geo").values[[9, 12]]
    np.testing.assert_allclose(sales[10:12], ends[0] + np.diff(ends) * [1 / 3, 2 / 3])


def test_without_any_sales_there_is_no_decomposition(ds):
    empty = with_sales(observed(ds), np.full(ds.y.shape, np.nan))
    assert "there are no sales" in drawn(plot_decomposition(empty)).get_suptitle()
    drawn(plot_sales(empty))


@pytest.mark.parametrize(("value", "n_periods"), [(0.0, 20), (5.0, 110)])
def test_constant_sales_are_drawn(value, n_periods):
    ds = observed(generated(n_periods=n_periods))
    flat = with_sales(ds, np.full(ds.y.shape, value))
    for plot in BOTH:
        drawn(plot(flat))


def test_whole_numbers_are_sales_too(years):
    whole = observed(years).assign(y=years.y.round().astype(int))
    for plot in BOTH:
        assert plot(whole).axes


def test_dates_are_those_of_the_dataset(ds):
    line = plot_sales(ds).axes[0].get_lines()[1]
    assert pd.DatetimeIndex(line.get_xdata()).equals(pd.DatetimeIndex(ds.date))
