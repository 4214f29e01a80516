"""Response curves and the frontier: what is drawn against the truth, not its pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

import mmm_xgen
from mmm_xgen import (
    ChannelConfig,
    ConfigError,
    MMMDataConfig,
    SchemaError,
)
from mmm_xgen.aggregate import aggregate
from mmm_xgen.plots.curves import plot_efficiency_frontier, plot_response_curves
from mmm_xgen.plots.selection import by_size, group_channels
from mmm_xgen.plots.style import plain_text
from mmm_xgen.truth import efficiency_frontier, mroas, response_curve, roas
from tests.drawing import drawn, generated, odd, titles
from tests.strategies import quietly


def dots(axes: Axes) -> list[Line2D]:
    return [line for line in axes.get_lines() if line.get_marker() == "o"]


def panel(figure: Figure, name: str) -> Axes:
    return figure.axes[titles(figure).index(plain_text(name))]


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return mmm_xgen.generate_mmm_dataset()


def test_curves_are_the_truths_per_period(ds: xr.Dataset) -> None:
    figure = drawn(plot_response_curves(ds))
    assert titles(figure) == by_size(ds)
    mean = ds.spend.sum("geo").mean("date")
    for name in by_size(ds):
        curve = panel(figure, name).get_lines()[0]
        multipliers = np.asarray(curve.get_xdata()) / float(mean.sel(channel=name))
        truth = response_curve(ds, multipliers=multipliers).contribution.sel(channel=name)
        np.testing.assert_allclose(curve.get_ydata(), truth / ds.sizes["date"], atol=1e-9)
        assert multipliers[0] == 0
        assert multipliers[-1] >= 2


def test_the_mean_and_the_operating_range_are_marked(ds: xr.Dataset) -> None:
    figure = plot_response_curves(ds)
    spend = ds.spend.sum("geo")
    made = ds.channel_contribution.sum("geo").mean("date")
    for name in by_size(ds):
        axes = panel(figure, name)
        [dot] = dots(axes)
        assert dot.get_xdata()[0] == pytest.approx(float(spend.sel(channel=name).mean()))
        assert dot.get_ydata()[0] == pytest.approx(float(made.sel(channel=name)))
        low, high = np.quantile(spend.sel(channel=name), [0.1, 0.9])
        shade = axes.patches[0].get_extents().transformed(axes.transData.inverted())
        np.testing.assert_allclose([shade.x0, shade.x1], [low, high], rtol=1e-9)
        bold = axes.get_lines()[1]
        kept = np.asarray(bold.get_xdata())[np.isfinite(bold.get_ydata())]
        np.testing.assert_allclose([kept[0], kept[-1]], [low, high], rtol=1e-9)


@pytest.mark.parametrize("marginal", [False, True])
def test_the_units_are_those_of_the_dataset(marginal: bool) -> None:
    ds = generated(freq="MS", currency="EUR", kpi="orders")
    axes = plot_response_curves(ds, marginal=marginal).axes
    assert axes[-1].get_xlabel() == "mean spend, EUR per month"
    assert axes[0].get_ylabel() == ("revenue per unit of spend" if marginal else "orders per month")


def test_marginal_curves_pass_through_both_returns(ds: xr.Dataset) -> None:
    figure = drawn(plot_response_curves(ds, marginal=True))
    mean = ds.spend.sum("geo").mean("date")
    for name in by_size(ds):
        axes = panel(figure, name)
        average, slope = axes.get_lines()[:2]
        at = float(mean.sel(channel=name))
        found = [np.interp(at, line.get_xdata(), line.get_ydata()) for line in (average, slope)]
        truth = [float(function(ds).sel(channel=name)) for function in (roas, mroas)]
        np.testing.assert_allclose(found, truth)
        assert dots(axes)[0].get_ydata()[0] == pytest.approx(truth[1])
    earning = int((mroas(ds) >= 1).sum())
    assert f"earns its cost in {earning} of 3 channels" in figure.get_suptitle()


def test_a_geo_is_drawn_alone(ds: xr.Dataset) -> None:
    figure = plot_response_curves(ds, geo="geo_b")
    assert "geo_b" in figure.get_suptitle()
    assert titles(figure) == by_size(ds)
    [dot] = dots(figure.axes[0])
    made = ds.channel_contribution.sel(geo="geo_b", channel=by_size(ds)[0]).mean()
    assert dot.get_ydata()[0] == pytest.approx(float(made))


def test_chosen_channels_keep_order_and_colour(ds: xr.Dataset) -> None:
    figure = plot_response_curves(ds, channels=["x-On-Off", "Seasonal"])
    assert titles(figure) == ["Seasonal", "On-Off"]
    colours = group_channels(ds).colour
    for name in titles(figure):
        assert to_hex(panel(figure, name).get_lines()[0].get_color()) == colours[name].lower()


@pytest.mark.parametrize("marginal", [False, True])
def test_odd_channels_are_drawn(marginal: bool) -> None:
    ds = odd()
    figure = drawn(plot_response_curves(ds, marginal=marginal))
    assert sorted(titles(figure)) == sorted(plain_text(str(name)) for name in ds.channel.values)
    silent = panel(figure, "silent")
    assert not silent.get_lines()
    assert silent.texts[0].get_text() == "no spend"
    for name in ("US$ and CA$", "burst", "placebo"):
        top = panel(figure, name).get_ylim()[1]
        assert 0 < top < np.inf
    # The range contains the mean even of a channel that hardly ever runs.
    burst = panel(figure, "burst")
    shade = burst.patches[0].get_extents().transformed(burst.transData.inverted())
    mean = dots(burst)[0].get_xdata()[0]
    assert shade.x0 < mean < shade.x1


def test_the_frontier_is_the_truths(ds: xr.Dataset) -> None:
    budgets = float(ds.spend.sum()) * np.array([0.5, 1.0, 1.5])
    [axes] = drawn(plot_efficiency_frontier(ds, budgets=budgets)).axes
    truth = efficiency_frontier(ds, budgets=budgets)
    best, same = axes.get_lines()[:2]
    np.testing.assert_allclose(best.get_xdata(), truth.budget)
    np.testing.assert_allclose(best.get_ydata(), truth.best_revenue)
    np.testing.assert_allclose(same.get_ydata(), truth.current_split_revenue)
    [today] = dots(axes)
    revenue = (ds.channel_contribution * ds.revenue_per_kpi).sum()
    assert today.get_xdata()[0] == pytest.approx(float(ds.spend.sum()))
    assert today.get_ydata()[0] == pytest.approx(float(revenue))
    at = truth.sel(budget=float(ds.spend.sum()), method="nearest")
    title = axes.get_title(loc="left")
    assert f"earn {float(at.best_revenue / revenue) - 1:.1%} more" in title
    assert f"earns {float(at.shadow_price):.2f}" in title


def test_budgets_window_and_constraints_reach_the_frontier(ds: xr.Dataset) -> None:
    chosen: dict[str, Any] = {
        "budgets": [2e4, 0.0, 5e4],
        "window": "2022",
        "constraints": {"Trend": {"min": 0.5}},
    }
    [axes] = plot_efficiency_frontier(ds, **chosen).axes
    truth = efficiency_frontier(ds, **chosen).sortby("budget")
    best = axes.get_lines()[0]
    np.testing.assert_allclose(best.get_xdata(), [0, 2e4, 5e4])
    np.testing.assert_allclose(best.get_ydata(), truth.best_revenue)
    spent = float(ds.spend.sel(date="2022").sum())
    assert dots(axes)[0].get_xdata()[0] == pytest.approx(spent)
    # Today's budget is not among them, so nothing is said of it.
    assert "Today" not in axes.get_title(loc="left")


def test_the_frontier_is_drawn_where_it_is_told(ds: xr.Dataset) -> None:
    with_style = Figure(layout="constrained")
    axes = with_style.add_subplot()
    assert plot_efficiency_frontier(ds, budgets=[1e5], ax=axes) is with_style
    drawn(with_style)
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert len(names) == 4
    with pytest.raises(ConfigError, match="figsize"):
        plot_efficiency_frontier(ds, budgets=[1e5], ax=axes, figsize=(3, 3))


@pytest.mark.parametrize("n_periods", [1, 20])
def test_the_frontier_of_one_channel(n_periods: int) -> None:
    ds = generated(1, 1, n_periods=n_periods)
    [axes] = drawn(plot_efficiency_frontier(ds)).axes
    np.testing.assert_allclose(axes.get_lines()[0].get_xdata(), efficiency_frontier(ds).budget)
    assert axes.get_title(loc="left").startswith("Today's budget is split at best")


def test_without_spend_there_is_no_today() -> None:
    channel = ChannelConfig(name="TV", base_spend=0.0, base_effectiveness=0.0)
    ds = quietly(lambda: mmm_xgen.generate_mmm_dataset(MMMDataConfig(channels=[channel])))
    [axes] = drawn(plot_efficiency_frontier(ds)).axes
    assert not [line for line in dots(axes) if line.get_markersize() == 7]
    assert "no spend" in drawn(plot_response_curves(ds, marginal=True)).get_suptitle()


def test_wrong_names_and_datasets_are_refused(ds: xr.Dataset) -> None:
    with pytest.raises(SchemaError):
        plot_efficiency_frontier(ds[["y", "spend"]])
    with pytest.raises(SchemaError, match="isel"):
        plot_efficiency_frontier(ds.expand_dims(dataset=2))
    with pytest.raises(SchemaError, match="aggregat"):
        plot_efficiency_frontier(aggregate(ds, freq="MS"))


def test_the_size_is_the_callers(ds: xr.Dataset) -> None:
    frontier = plot_efficiency_frontier(ds, budgets=[1e5], figsize=(5, 4))
    assert frontier.get_size_inches().tolist() == [5, 4]
