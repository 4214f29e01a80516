"""Scenarios, the best budget and recoverability: what is drawn against the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import mmm_xgen
from mmm_xgen import (
    AlignmentError,
    ChannelConfig,
    ConfigError,
    MMMDataConfig,
    SchemaError,
)
from mmm_xgen.formatting.amounts import ratio, short_number, signed
from mmm_xgen.plots.decisions import plot_budget, plot_scenarios
from mmm_xgen.plots.panels import MOST_ROWS
from mmm_xgen.plots.recoverability import plot_information_bound
from mmm_xgen.plots.selection import by_size, group_channels
from mmm_xgen.plots.style import plain_text
from mmm_xgen.truth import compare_scenarios, mroas, optimize_allocation, recoverability
from tests.drawing import drawn, generated, odd, rows_of, texts_of
from tests.strategies import quietly

PLANS: dict[str, Any] = {
    "today": [],
    "more Trend": {"channel": "Trend", "by": 0.2},
    "shift": [{"channel": "Trend", "by": -0.5}, {"channel": "Seasonal", "by": 0.2}],
}


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def bars(axes: Axes, label: str) -> list[float]:
    [found] = [each for each in axes.containers if each.get_label() == label]
    return [bar.get_width() for bar in found]


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return mmm_xgen.generate_mmm_dataset()


@pytest.fixture(scope="module")
def table(ds: xr.Dataset) -> xr.Dataset:
    return compare_scenarios(ds, PLANS)


@pytest.fixture(scope="module")
def plan(ds: xr.Dataset) -> xr.Dataset:
    return optimize_allocation(ds)


# --- scenarios


def test_scenarios_show_cost_and_revenue(table: xr.Dataset) -> None:
    figure = drawn(plot_scenarios(table))
    left, right = figure.axes
    assert rows_of(left) == list(PLANS)
    assert bars(left, "incremental_spend") == pytest.approx(table.incremental_spend.values)
    assert bars(left, "incremental_revenue") == pytest.approx(table.incremental_revenue.values)
    [sums] = [line for line in right.get_lines() if line.get_marker() == "D"]
    np.testing.assert_allclose(
        sums.get_xdata(), table.channel_incremental_revenue.sum("channel"), atol=1e-6
    )
    profit = table.incremental_revenue - table.incremental_spend
    ratios = table.incremental_roas.values
    assert np.isnan(ratios).any()
    assert np.isfinite(ratios).any()
    wanted = [signed(0.0 if abs(value) < 1e-6 else value, short_number) for value in profit.values]
    wanted += [ratio(value) if np.isfinite(value) else "" for value in ratios]
    texts = [text for text in texts_of(left) if "%" not in text]
    columns = ["profit", *wanted[:3], "incremental ROAS", *wanted[3:]]
    assert all(texts.count(text) >= columns.count(text) for text in columns)
    paying = int((table.incremental_revenue > table.incremental_spend + 1e-6).sum())
    assert f"{paying} of 3 scenarios" in figure.get_suptitle()


def test_channels_of_scenarios_have_the_colours_of_the_dataset(
    ds: xr.Dataset, table: xr.Dataset
) -> None:
    _, right = (figure := plot_scenarios(table)).axes
    colours = group_channels(ds).colour
    assert legend_of(figure)[2:] == list(colours)
    for name, colour in colours.items():
        [found] = [each for each in right.containers if each.get_label() == name]
        assert to_hex(found[0].get_facecolor()) == colour.lower()
        widths = [bar.get_width() for bar in found]
        truth = table.channel_incremental_revenue.sel(channel=name)
        np.testing.assert_allclose(widths, truth, atol=1e-6)


def test_one_scenario_and_odd_names_are_drawn() -> None:
    ds = odd()
    name = "$ " + "long " * 10
    figure = drawn(plot_scenarios(compare_scenarios(ds, {name: {"channel": "silent", "to": 5}})))
    assert rows_of(figure.axes[0]) == [plain_text(name)]
    assert len(legend_of(figure)) == 2 + ds.sizes["channel"]


def test_every_channel_of_scenarios_has_an_entry() -> None:
    twins = [f"Programmatic {kind} targeting 12" for kind in ("display re", "video x")]
    channels = [ChannelConfig(name=name, roas=2.0) for name in [*twins, "revenue added"]]
    ds = quietly(
        lambda: mmm_xgen.generate_mmm_dataset(MMMDataConfig(channels=channels, n_periods=5))
    )
    names = legend_of(plot_scenarios(compare_scenarios(ds, {"off": 0 * ds.spend})))
    assert names[:2] == ["spend added", "revenue added"]
    assert sorted(names[2:]) == [
        "Programm…display re targ…",
        "Programm…video x targeti…",
        "revenue added (2)",
    ]


def test_many_channels_of_scenarios_are_shown_as_one() -> None:
    ds = generated(12, n_periods=10)
    table = compare_scenarios(ds, {"off": 0 * ds.spend})
    figure = plot_scenarios(table)
    assert legend_of(figure)[-1] == "4 others"
    rest = [name for name in by_size(ds) if name not in legend_of(figure)]
    lost = float(table.channel_incremental_revenue.sel(channel=rest).sum())
    assert bars(figure.axes[1], "4 others") == pytest.approx([lost])


def test_many_scenarios_are_paged(ds: xr.Dataset, table: xr.Dataset) -> None:
    many = xr.concat([table.isel(scenario=[1])] * (MOST_ROWS + 2), dim="scenario")
    many = many.assign_coords(scenario=[f"plan {i}" for i in range(MOST_ROWS + 2)])
    figure = plot_scenarios(many.assign_attrs(table.attrs), page=2)
    assert rows_of(figure.axes[0]) == ["plan 40", "plan 41"]
    assert "scenarios 41 to 42 of 42, page 2 of 2" in figure.get_suptitle()
    with pytest.raises(ConfigError, match="page"):
        plot_scenarios(table, page=2)


def test_what_is_no_table_of_scenarios_is_refused(ds: xr.Dataset, table: xr.Dataset) -> None:
    for wrong in (ds, table.isel(scenario=0), table[["spend", "sales"]]):
        with pytest.raises(ConfigError, match="compare_scenarios"):
            plot_scenarios(wrong)


# --- the best budget


def test_bars_are_both_splits(ds: xr.Dataset, plan: xr.Dataset) -> None:
    figure = drawn(plot_budget(ds, plan))
    left, right = figure.axes
    order = by_size(ds)
    assert rows_of(left) == order
    ordered = plan.sel(channel=order)
    assert bars(left, "today") == pytest.approx(ordered.current_spend.values)
    assert bars(left, "best split") == pytest.approx(ordered.optimal_spend.values)
    today, best = (
        next(line for line in right.get_lines() if line.get_label() == label)
        for label in ("today", "best split")
    )
    np.testing.assert_allclose(today.get_xdata(), mroas(ds).sel(channel=order))
    np.testing.assert_allclose(best.get_xdata(), ordered.mroas)
    gain = float(plan.revenue.sum() / plan.current_revenue.sum()) - 1
    assert f"The same budget, split at best, would earn {gain:.1%} more" in figure.get_suptitle()
    change = float(ordered.multiplier[0]) - 1
    assert texts_of(left)[0] == f"{change:+.0%}"
    assert f"next unit of budget: {float(plan.shadow_price):.2f}" in legend_of(figure)
    assert "allowed" not in legend_of(figure)


def test_bounds_are_marked_where_there_are_any(ds: xr.Dataset) -> None:
    plan = optimize_allocation(ds, constraints={"Trend": {"min_change": -0.1, "max_change": 0.1}})
    figure = plot_budget(ds, plan)
    ends = [line for line in figure.axes[0].get_lines() if line.get_marker() == "|"]
    assert len(ends) == 1
    trend = plan.sel(channel="Trend")
    np.testing.assert_allclose(ends[0].get_xdata(), [trend.lower, trend.upper])
    assert "allowed" in legend_of(figure)


def test_another_budget_and_window_are_named(ds: xr.Dataset) -> None:
    today = float(ds.spend.sel(date="2022").sum())
    plan = optimize_allocation(ds, total_budget=1.5 * today, window="2022")
    figure = plot_budget(ds, plan)
    title = figure.get_suptitle()
    assert "more to spend (+50.0%), split at best, would earn" in title
    assert "2022-01-03 to 2022-12-26" in title
    line = next(line for line in figure.axes[1].get_lines() if line.get_label() == "today")
    truth = mroas(ds, window="2022").sel(channel=by_size(ds))
    np.testing.assert_allclose(line.get_xdata(), truth)
    less = plot_budget(ds, optimize_allocation(ds, total_budget=0.0))
    assert "less to spend (-100.0%)" in less.get_suptitle()
    assert "allowed" not in legend_of(less)


def test_a_plan_by_geo_shows_each_geo(ds: xr.Dataset) -> None:
    plan = optimize_allocation(ds, per_geo=True)
    left, right, scale = drawn(plot_budget(ds, plan)).axes
    order = by_size(ds)
    spent = plan.optimal_spend.sum("geo").sel(channel=order)
    assert bars(left, "best split") == pytest.approx(spent.values)
    cells = np.asarray(right.collections[0].get_array()).reshape(len(order), -1)
    with np.errstate(divide="ignore"):
        truth = np.log2(plan.multiplier.sel(channel=order).transpose("channel", "geo"))
    reach = scale.get_ylim()[1]
    np.testing.assert_allclose(cells, np.clip(truth, -reach, reach))
    assert [text.get_text() for text in right.get_xticklabels()] == list(ds.geo.values)
    # Rows are centred at 0, 1, 2 ... on the left, and half a row further down on the right.
    assert np.array(left.get_ylim()) + 0.5 == pytest.approx(right.get_ylim())


@pytest.mark.parametrize("per_geo", [False, True])
def test_odd_channels_have_a_plan(per_geo: bool) -> None:
    ds = odd()
    figure = drawn(plot_budget(ds, optimize_allocation(ds, per_geo=per_geo)))
    rows = rows_of(figure.axes[0])
    assert sorted(rows) == sorted(plain_text(str(name)) for name in ds.channel.values)
    assert texts_of(figure.axes[0])[rows.index("silent")] == "none"


def test_one_channel_is_split_at_best() -> None:
    ds = generated(1, 1, n_periods=1)
    figure = drawn(plot_budget(ds, optimize_allocation(ds)))
    assert "split at best" in figure.get_suptitle()
    assert "allowed" not in legend_of(figure)


def test_many_channels_of_a_plan_are_paged(ds: xr.Dataset) -> None:
    ds = generated(MOST_ROWS + 1, 1, n_periods=4)
    figure = plot_budget(ds, optimize_allocation(ds), page=2)
    assert rows_of(figure.axes[0]) == by_size(ds)[MOST_ROWS:]
    assert "channels 41 to 41 of 41, page 2 of 2" in figure.get_suptitle()


def test_plans_of_something_else_are_refused(ds: xr.Dataset, plan: xr.Dataset) -> None:
    with pytest.raises(ConfigError, match="optimize_allocation"):
        plot_budget(ds, ds)
    with pytest.raises(AlignmentError, match="Trend"):
        plot_budget(ds.isel(channel=[0, 2]), plan)
    with pytest.raises(AlignmentError, match="geo_b"):
        plot_budget(ds.isel(geo=[0]), optimize_allocation(ds, per_geo=True))
    with pytest.raises(SchemaError):
        plot_budget(ds[["spend", "y"]], plan)


# --- recoverability


def marks(axes: Axes) -> dict[float, float]:
    """Row and place of the full marks."""
    found = {}
    for line in axes.get_lines():
        if not line.get_label().startswith("_"):
            found |= dict(zip(line.get_ydata(), line.get_xdata(), strict=True))
    return found


def test_marks_are_the_bounds(ds: xr.Dataset) -> None:
    [axes] = drawn(plot_information_bound(ds)).axes
    order = by_size(ds)
    truth = recoverability(ds).sel(channel=order)
    assert rows_of(axes) == order
    low, high = axes.get_xlim()
    expected = np.clip(truth.roas_bound, low, high)
    np.testing.assert_allclose([marks(axes)[row] for row in range(len(order))], expected)
    told = int(truth.grade.isin(["good", "fair"]).sum())
    assert f"The return of {told} of 3 channels" in axes.get_title(loc="left")
    assert texts_of(axes)[:3] == list(truth.grade.values)
    assert set(truth.reason.values) <= set(texts_of(axes))
    assert "%" in axes.xaxis.get_major_formatter()(0.25, 0)


def test_a_prior_moves_the_marks(ds: xr.Dataset) -> None:
    flat, tight = (
        marks(plot_information_bound(ds, prior=prior).axes[0])
        for prior in (None, {"saturation_beta": 0.05})
    )
    assert all(tight[row] <= flat[row] for row in flat)


def test_what_cannot_be_told_stands_at_the_edge() -> None:
    ds = odd()
    [axes] = drawn(plot_information_bound(ds)).axes
    rows = rows_of(axes)
    for name in ("placebo", "silent"):
        assert marks(axes)[rows.index(name)] == axes.get_xlim()[1]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "not identified" in names


def test_a_long_partner_is_named_short() -> None:
    long = "a very long name of a channel that nobody would read"
    twin = {"roas": 2.0, "spend_volatility": 0.0, "pattern": "seasonal"}
    channels = [ChannelConfig(name=name, **twin) for name in (long, "other $")]
    config = MMMDataConfig(channels=channels, n_periods=60)
    ds = quietly(lambda: mmm_xgen.generate_mmm_dataset(config))
    assert "collinear with other $" in recoverability(ds).reason.values
    [axes] = drawn(plot_information_bound(ds)).axes
    assert f"collinear with {plain_text(long)}" in texts_of(axes)
    assert "collinear with other \\$" in texts_of(axes)


@pytest.mark.parametrize(("n_channels", "n_regions", "n_periods"), [(1, 1, 1), (30, 50, 6)])
def test_every_size_is_drawn_without_a_warning(
    n_channels: int, n_regions: int, n_periods: int
) -> None:
    ds = generated(n_channels, n_regions, n_periods=n_periods)
    change = {"channel": "channel 0", "by": 0.5}
    figure = drawn(plot_scenarios(compare_scenarios(ds, {"more": change})))
    assert len(figure.axes) == 2


def test_the_bounds_have_their_legend_where_they_are_drawn(ds: xr.Dataset) -> None:
    axes = Figure().add_subplot()
    figure = plot_information_bound(ds, ax=axes)
    assert axes.get_legend() is not None
    assert not figure.legends


def test_the_size_is_the_callers(ds: xr.Dataset, table: xr.Dataset, plan: xr.Dataset) -> None:
    figures = plot_scenarios(table, figsize=(6, 4)), plot_budget(ds, plan, figsize=(6, 4))
    assert [figure.get_size_inches().tolist() for figure in figures] == [[6, 4]] * 2
