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
    AlignmentError,
    ChannelConfig,
    ConfigError,
    MMMDataConfig,
    RegionConfig,
    SchemaError,
    TransformConfig,
)
from mmm_xgen.aggregate import aggregate
from mmm_xgen.plots.curves import plot_efficiency_frontier, plot_response_curves
from mmm_xgen.plots.panels import MOST_PANELS
from mmm_xgen.plots.selection import by_size, group_channels
from mmm_xgen.plots.style import plain_text
from mmm_xgen.truth import efficiency_frontier, mroas, response_curve, roas
from tests.drawing import drawn, titles
from tests.strategies import quietly


def generated(n_channels: int = 3, n_regions: int = 2, **settings: Any) -> xr.Dataset:
    channels = [ChannelConfig(name=f"channel {i}", roas=1.0 + i) for i in range(n_channels)]
    transforms = TransformConfig(adstock_kwargs={"alpha": 0.3})
    regions = RegionConfig(n_regions=n_regions, base_sales_rate=5e4)
    settings = {"n_periods": 26, "transforms": transforms, "regions": regions, **settings}
    config = MMMDataConfig(channels=channels, **settings)
    return quietly(lambda: mmm_xgen.generate_mmm_dataset(config))


def odd() -> xr.Dataset:
    """A vertical start, constant spend, no effect, no spend, one burst; odd names."""
    channels = [
        ChannelConfig(
            name="US$ and CA$",
            roas=2.0,
            saturation_fun="root_saturation",
            saturation_kwargs={"alpha": 0.5},
        ),
        ChannelConfig(name="_" + "long " * 12 + "12", roas=1.0, spend_volatility=0.0),
        ChannelConfig(name="placebo", base_effectiveness=0.0),
        ChannelConfig(name="silent", base_spend=0.0, base_effectiveness=0.0),
        ChannelConfig(
            name="burst",
            pattern="event_spikes",
            spike_dates=["02-14"],
            rest_level=0.0,
            base_effectiveness=0.1,
        ),
    ]
    config = MMMDataConfig(channels=channels, n_periods=30)
    return quietly(lambda: mmm_xgen.generate_mmm_dataset(config))


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


def test_many_channels_are_paged() -> None:
    ds = generated(MOST_PANELS + 3, n_periods=10)
    figure = drawn(plot_response_curves(ds, page=2))
    assert titles(figure) == by_size(ds)[MOST_PANELS:]
    assert "channels 13 to 15 of 15, page 2 of 2" in figure.get_suptitle()
    with pytest.raises(ConfigError, match="page"):
        plot_response_curves(ds, page=3)


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


@pytest.mark.parametrize(
    ("n_channels", "n_regions", "settings", "words"),
    [
        (1, 1, {"n_periods": 1}, ("USD per week", "sales per week")),
        (2, 3, {"freq": "D"}, ("USD per day", "sales per day")),
        (
            4,
            2,
            {"freq": "MS", "currency": "EUR", "kpi": "orders"},
            ("EUR per month", "orders per month"),
        ),
        (30, 50, {"n_periods": 6}, ("USD per week", "sales per week")),
    ],
)
def test_every_size_is_drawn_without_a_warning(
    n_channels: int, n_regions: int, settings: dict[str, Any], words: tuple[str, str]
) -> None:
    ds = generated(n_channels, n_regions, **settings)
    for marginal in (False, True):
        figure = drawn(plot_response_curves(ds, marginal=marginal))
        assert len(figure.axes) == min(n_channels, MOST_PANELS)
        assert figure.axes[-1].get_xlabel() == f"mean spend, {words[0]}"
        up = "revenue per unit of spend" if marginal else words[1]
        assert figure.axes[0].get_ylabel() == up


def test_the_frontier_is_the_truths(ds: xr.Dataset) -> None:
    figure = drawn(plot_efficiency_frontier(ds))
    [axes] = figure.axes
    truth = efficiency_frontier(ds)
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
    [axes] = drawn(plot_efficiency_frontier(ds, **chosen)).axes
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
    assert axes.get_title(loc="left").startswith("Today's budget is split at best")


def test_without_spend_there_is_no_today() -> None:
    channel = ChannelConfig(name="TV", base_spend=0.0, base_effectiveness=0.0)
    ds = quietly(lambda: mmm_xgen.generate_mmm_dataset(MMMDataConfig(channels=[channel])))
    [axes] = drawn(plot_efficiency_frontier(ds)).axes
    assert not [line for line in dots(axes) if line.get_markersize() == 7]
    assert "no spend" in drawn(plot_response_curves(ds, marginal=True)).get_suptitle()


def test_wrong_names_and_datasets_are_refused(ds: xr.Dataset) -> None:
    with pytest.raises(AlignmentError, match="geo_b"):
        plot_response_curves(ds, geo="geo_z")
    with pytest.raises(AlignmentError, match="Trend"):
        plot_response_curves(ds, channels=["Trent"])
    for function in (plot_response_curves, plot_efficiency_frontier):
        with pytest.raises(SchemaError):
            function(ds[["y", "spend"]])
        with pytest.raises(SchemaError, match="isel"):
            function(ds.expand_dims(dataset=2))
        with pytest.raises(SchemaError, match="aggregat"):
            function(aggregate(ds, freq="MS"))


def test_the_size_is_the_callers(ds: xr.Dataset) -> None:
    assert plot_response_curves(ds, figsize=(5, 4)).get_size_inches().tolist() == [5, 4]
    frontier = plot_efficiency_frontier(ds, budgets=[1e5], figsize=(5, 4))
    assert frontier.get_size_inches().tolist() == [5, 4]
