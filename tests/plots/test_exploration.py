"""Distributions, scatter, lags and pairs: what is in the pictures, not their pixels."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import mmm_xgen
from mmm_xgen.errors import AlignmentError, ConfigError
from mmm_xgen.formatting.amounts import short_number
from mmm_xgen.plots.exploration import (
    plot_lags,
    plot_pairs,
    plot_spend_against_sales,
    plot_spend_distribution,
)
from tests.drawing import drawn


def ticks(labels):
    return [text.get_text() for text in labels]


def title(axes):
    return axes.get_title(loc="left")


def dots_of(axes):
    return np.asarray(axes.collections[0].get_offsets())


@pytest.fixture(scope="module")
def ds():
    return mmm_xgen.generate_mmm_dataset()


def with_spend(ds, change):
    values = ds.spend.values.copy()
    change(values)
    return ds.assign(spend=ds.spend.copy(data=values))


# --- distribution


def test_violins_span_what_is_spent_when_it_is_spent(ds):
    (axes,) = drawn(plot_spend_distribution(ds)).axes
    names = ticks(axes.get_yticklabels())
    assert names == ["Seasonal", "On-Off", "Trend"]
    assert axes.get_xscale() == "log"
    for row, name in enumerate(names):
        spend = ds.spend.sel(channel=name).values
        corners = axes.collections[row].get_paths()[0].vertices
        assert corners[:, 0].min() == pytest.approx(spend[spend > 0].min())
        assert corners[:, 0].max() == pytest.approx(spend.max())
        assert corners[:, 1].mean() == pytest.approx(row, abs=0.02)


def test_medians_and_idle_periods_stand_beside(ds):
    texts = ticks(plot_spend_distribution(ds, geo="geo_b").axes[0].texts)
    spend = ds.spend.sel(geo="geo_b", channel=["Seasonal", "On-Off", "Trend"])
    medians = [short_number(float(each)) for each in spend.where(spend > 0).median("date")]
    assert texts[:4] == [*medians, "median"]
    idle = float((spend.sel(channel="On-Off") == 0).mean())
    assert 0 < idle < 1
    assert texts[4:7] == ["0%", f"{idle:.1%}", "0%"]


def test_constant_and_silent_channels_are_drawn(ds):
    def change(values):
        values[..., 0] = 500.0
        values[..., 1] = 0.0

    figure = drawn(plot_spend_distribution(with_spend(ds, change)))
    texts = ticks(figure.axes[0].texts)
    assert {"500", "-", "100.0%"} <= set(texts)
    drawn(plot_spend_distribution(with_spend(ds, lambda values: values.fill(0.0))))


# --- against sales


def test_dots_are_sales_by_spend_over_all_geos(ds):
    figure = drawn(plot_spend_against_sales(ds))
    assert isinstance(figure, Figure)
    total = ds[["spend", "y"]].sum("geo")
    for axes, name in zip(figure.axes, ["Seasonal", "On-Off", "Trend"], strict=True):
        spend = total.spend.sel(channel=name)
        np.testing.assert_allclose(dots_of(axes), np.stack([spend, total.y], axis=-1))
        r = np.corrcoef(spend, total.y)[0, 1]
        assert title(axes) == f"{name}: r = {r:.2f}"
    assert figure.axes[0].get_ylabel() == "sales per week"
    assert {axes.get_xlabel() for axes in figure.axes} == {"USD per week"}


def test_a_line_needs_levels_of_spend(ds):
    def change(values):
        values[: len(values) * 7 // 10, :, 1] = 0.0
        values[..., 2] = 300.0

    figure = drawn(plot_spend_against_sales(with_spend(ds, change)))
    lines = {title(axes).partition(":")[0]: len(axes.get_lines()) for axes in figure.axes}
    assert lines == {"Seasonal": 1, "Trend": 0, "On-Off": 0}
    assert "On-Off: r = -" in map(title, figure.axes)


# --- lags


def by_hand(ds, name, lag):
    """Correlation of spend with later sales, by a frame and its own groups."""
    frame = ds[["spend", "y"]].sel(channel=name).to_dataframe()[["spend", "y"]].reset_index()
    parts = []
    for _, geo in frame.sort_values("date").groupby("geo"):
        pair = pd.DataFrame({"spend": geo["spend"], "y": geo["y"].shift(-lag)}).dropna()
        parts.append(pair - pair.mean())
    return pd.concat(parts).corr().loc["spend", "y"]


def test_cells_are_correlations_with_later_sales(ds):
    y = ds.y.values.copy()
    y[[4, 40], [0, 1]] = np.nan
    data = ds.assign(y=ds.y.copy(data=y))
    axes = drawn(plot_lags(data, most=5)).axes[0]
    cells = axes.collections[0].get_array()
    names = ticks(axes.get_yticklabels())
    assert cells.shape == (3, 6)
    for row, column in np.ndindex(cells.shape):
        assert cells[row, column] == pytest.approx(by_hand(data, names[row], column))
    assert ticks(axes.texts) == [f"{round(value, 2) + 0:.2f}" for value in cells.ravel()]


def test_a_delay_is_found(ds):
    rng = np.random.default_rng(1)
    spend = rng.gamma(2.0, 500.0, ds.spend.shape)
    y = 1e4 + 2 * np.roll(spend[..., 1], 3, axis=0)
    delayed = ds.assign(y=ds.y.copy(data=y), spend=ds.spend.copy(data=spend))
    expected = "Sales move most with the spend on Trend, 3 weeks later (r = 1.00)"
    assert title(plot_lags(delayed).axes[0]) == expected


def test_what_never_varies_has_no_correlation(ds):
    axes = drawn(plot_lags(with_spend(ds, lambda values: values[..., 2].fill(7.0)))).axes[0]
    row = ticks(axes.get_yticklabels()).index("On-Off")
    assert np.ma.getmaskarray(axes.collections[0].get_array())[row].all()
    assert "nan" not in ticks(axes.texts)
    flat = ds.assign(y=0 * ds.y + 5.0)
    assert title(drawn(plot_lags(flat)).axes[0]).startswith("No correlation")


def test_lags_end_where_three_dates_are_left(ds):
    axes = drawn(plot_lags(ds.isel(date=slice(0, 8)))).axes[0]
    assert ticks(axes.get_xticklabels()) == ["0", "1", "2", "3", "4", "5"]


@pytest.mark.parametrize("most", [-1, 1.5, True])
def test_a_lag_is_a_whole_number(most, ds):
    with pytest.raises(ConfigError, match="most: found"):
        plot_lags(ds, most=most)


# --- pairs


def test_pairs_are_dots_below_bars_on_and_numbers_above_the_diagonal(ds):
    names = ["y", "Trend", "Price"]
    figure = drawn(plot_pairs(ds, variables=names))
    grid = np.array(figure.axes).reshape(3, 3)
    values = [
        ds.y.sum("geo"),
        ds.spend.sel(channel="Trend").sum("geo"),
        ds.control_value.sel(control="Price").mean("geo"),
    ]
    for row, column in np.ndindex(3, 3):
        axes = grid[row, column]
        if row > column:
            expected = np.stack([values[column], values[row]], axis=-1)
            np.testing.assert_allclose(dots_of(axes), expected)
        elif row == column:
            assert sum(bar.get_height() for bar in axes.patches) == ds.sizes["date"]
        else:
            r = np.corrcoef(values[row], values[column])[0, 1]
            assert ticks(axes.texts) == [f"{round(r, 2) + 0:.2f}"]
    assert [axes.get_xlabel() for axes in grid[-1]] == ["sales (y)", "Trend", "Price"]


@pytest.mark.parametrize(
    ("variables", "words"),
    [(["y"], "2 to 6"), (["y", "y"], "different"), ("y", "2 to 6"), (["y", *"abcdef"], "'a'")],
)
def test_pairs_are_of_two_to_six_different_variables(variables, words, ds):
    with pytest.raises((ConfigError, AlignmentError), match=words):
        plot_pairs(ds, variables=variables)


@pytest.mark.parametrize("size", [1e-149, 1e149])
def test_the_smallest_and_the_largest_numbers_are_drawn(size, ds):
    short = ds.isel(date=slice(20), channel=[0, 1])
    spend, y = (values / float(values.max()) * size for values in (short.spend, short.y))
    for plot in (plot_spend_distribution, plot_spend_against_sales, plot_lags):
        drawn(plot(short.assign(spend=spend, y=y)))
    drawn(plot_pairs(short.assign(spend=spend, y=y), variables=["y", "Trend"]))
