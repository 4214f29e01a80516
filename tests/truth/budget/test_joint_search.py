"""Curves and the best split where channels act on each other, or cost sales."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen.kernels.domain import Positive
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.labelled_world import total_response
from mmm_xgen.truth import (
    efficiency_frontier,
    optimize_allocation,
    regret,
    response_curve,
    roas,
    simulate,
)
from mmm_xgen.truth.media import history_of, spend_of, world_from
from mmm_xgen.world import media_sales, respond_to
from tests.strategies import quietly
from tests.truth.worlds import assert_near

TIES: dict[str, Any] = {
    "funnels": [{"source": "A", "target": "B", "strength": 0.6, "lag": 1}],
    "interactions": [{"channels": ["A", "C"], "strength": -0.03}],
    "mediators": [{"name": "Aware", "parents": {"B": 0.4, "C": 0.2}, "effect": 0.05}],
}


def made(names: str = "ABC", *, roas: Any = (2.0, 1.5, 1.0), **config: Any) -> xr.Dataset:
    own = config.pop("own", {})
    channels = [
        {"name": name, "base_spend": 600.0 + 400 * at, "roas": roas[at], **own.get(name, {})}
        for at, name in enumerate(names)
    ]
    settings = {"n_periods": 26, "seed": 3, "burn_in_periods": 3, **config}
    return quietly(lambda: m.generate_mmm_dataset({"channels": channels, **settings}))


@cache
def tied(**config: Any) -> xr.Dataset:
    return made(regions={"n_regions": 2, "channel_param_variation": 0.2}, **TIES, **config)


def revenue_of(ds: xr.Dataset, multipliers: xr.DataArray, window: Any = None) -> xr.DataArray:
    """Revenue from all media if the spend of a window is multiplied."""
    inside = xr.zeros_like(ds["date"], dtype=bool)
    inside.loc[{"date": slice(*window) if window else slice(None)}] = True
    plan = ds["spend"] * xr.where(inside, multipliers, 1.0)
    worth = ds["revenue_per_kpi"].where(inside, 0.0)
    return (total_response(plan, ds) * worth).sum(("date", "geo"))


def splits_on_a_grid(ds: xr.Dataset, steps: int) -> xr.DataArray:
    """Multipliers, dims (split, channel), of all splits of today's budget in equal steps."""
    n = ds.sizes["channel"]
    parts = [each for each in product(range(steps + 1), repeat=n - 1) if sum(each) <= steps]
    shares = np.array([[*each, steps - sum(each)] for each in parts]) / steps
    spent = ds["spend"].sum(("date", "geo"))
    return xr.DataArray(shares, dims=("split", "channel"), coords={"channel": ds["channel"]}) * (
        spent.sum() / spent
    )


def hill(slope: float, kappa: float) -> dict[str, Any]:
    return {
        "saturation_fun": "hill_function",
        "saturation_kwargs": {"slope": slope, "kappa": kappa},
    }


def pair_of(strength: float) -> dict[str, Any]:
    return {"interactions": [{"channels": ["A", "B"], "strength": strength}]}


def by_share(effect: float) -> dict[str, Any]:
    return {"roas": None, "base_effectiveness": effect}


FUNNEL = {"funnels": [{"source": "A", "target": "B", "strength": 0.8}]}
S_SHAPED = {"own": {"A": hill(3.0, 1500.0), "B": hill(2.5, 2500.0)}}
SHARES = {"own": {"A": by_share(0.2), "B": by_share(0.25)}}
GRIDS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "a funnel and overlap": ("AB", 400, {**FUNNEL, **pair_of(-0.05)}),
    "so much overlap that one channel is best": ("AB", 400, {**SHARES, **pair_of(-0.8)}),
    "synergy of S-shaped curves": ("AB", 400, {**S_SHAPED, **pair_of(0.3)}),
    "three channels": ("ABC", 60, TIES),
    "one of three costs sales": ("ABC", 60, {**TIES, "roas": (2.0, 1.5, -0.5)}),
}


@pytest.mark.parametrize(("names", "steps", "config"), GRIDS.values(), ids=GRIDS)
def test_no_split_of_a_grid_earns_more(names: str, steps: int, config: dict[str, Any]) -> None:
    ds = made(names, **config)
    best = optimize_allocation(ds)
    grid = revenue_of(ds, splits_on_a_grid(ds, steps))
    found = float(best["media_revenue"])
    assert_near(found, float(revenue_of(ds, best["multiplier"])))
    # Budget may be left where all of it costs sales; the grid spends all.
    assert found >= float(grid.max()) * (1 - 1e-12)
    assert float(grid.max()) >= found * (1 - 2e-3)
    assert float(grid.min()) < 0.9 * found
    assert np.isinf(best["gap_bound"])
    assert best.attrs["status"] == "best found, not proven"


WITHOUT: dict[str, Any] = {
    "funnels": [{"source": "A", "target": "B", "strength": 0.0}],
    "interactions": [{"channels": ["A", "C"], "strength": 0.0}],
    "mediators": [{"name": "Aware", "parents": {"B": 0.4}, "effect": 0.0, "observed": "no"}],
}
LIMITS = [
    {},
    {"per_geo": True},
    {"window": ("2022-03", "2022-05")},
    {"total_budget": 6e4, "constraints": {"A": {"max": 0.3}, "B": {"min_change": -0.2}}},
    {"constraints": {"A": {"locked": True}, "*": {"max_change": 0.25}}},
]


@cache
def pair() -> tuple[xr.Dataset, xr.Dataset]:
    regions = {"n_regions": 2, "channel_param_variation": 0.2}
    return made(regions=regions), made(regions=regions, **WITHOUT)


@pytest.mark.parametrize("limits", LIMITS, ids=str)
def test_connections_of_strength_0_change_nothing(limits: dict[str, Any]) -> None:
    apart, together = (optimize_allocation(ds, **limits) for ds in pair())
    assert_near(together["media_revenue"], apart["revenue"].sum())
    assert_near(together["current_media_contribution"], apart["current_contribution"].sum())
    # Near a maximum, spend is known to about the root of the precision of the revenue.
    for name in ("optimal_spend", "contribution", "revenue", "roas", "mroas", "shadow_price"):
        assert_near(together[name], apart[name], 3e-5, float(abs(apart[name]).max()))
    for name in ("current_spend", "current_contribution", "current_revenue", "lower", "upper"):
        assert_near(together[name], apart[name], 1e-10)


@pytest.mark.parametrize("by", ["channel", ("geo", "channel"), "total"], ids=str)
@pytest.mark.parametrize("window", [None, ("2022-03", "2022-05")], ids=str)
def test_curves_with_connections_of_strength_0(by: Any, window: Any) -> None:
    for grid in ({"multipliers": [0.0, 0.5, 1.0, 2.0]}, {"spend": [0.0, 2e4]}):
        apart, together = (response_curve(ds, by=by, window=window, **grid) for ds in pair())
        for name, values in apart.items():
            assert_near(together[name], values, 1e-10, float(abs(values).max()))


@pytest.mark.parametrize("window", [None, ("2022-03", "2022-05")], ids=str)
@pytest.mark.parametrize("path", [False, True], ids=["constant", "paths and borrowed sales"])
def test_a_curve_is_the_sales_that_its_spend_adds(window: Any, path: bool) -> None:
    moving = {"effect_path": {"kind": "linear_drift"}, "pull_forward": {"share": 0.4}}
    ds = made(**TIES, own={"A": moving, "B": moving} if path else {})
    curve = response_curve(ds, multipliers=[0.0, 0.6, 1.0, 1.7], window=window)
    total = response_curve(ds, multipliers=[0.0, 0.6, 1.0], window=window, by="total")
    for channel in ds["channel"].values:
        own = ds["channel"] == channel
        never = ds.assign(spend_history=ds["spend_history"].where(~own, 0.0))
        never["spend"] = ds["spend"].where(~own, 0.0)
        off = revenue_of(never, xr.ones_like(own, dtype=float), window)
        for multiplier in (0.0, 0.6, 1.0, 1.7):
            rest = revenue_of(ds, xr.where(own, multiplier, 1.0), window) - off
            assert_near(curve["revenue"].sel(channel=channel, multiplier=multiplier), rest)
        step = 1e-5
        ends = [revenue_of(ds, xr.where(own, 0.6 + side * step, 1.0), window) for side in (-1, 1)]
        slope = float(ends[1] - ends[0]) / (2 * step)
        spent = float(curve["spend"].sel(channel=channel, multiplier=1.0))
        found = curve["marginal_return"].sel(channel=channel, multiplier=0.6)
        assert_near(float(found) * spent, slope, 1e-6)
    for multiplier in total["multiplier"].values:
        whole = revenue_of(ds, xr.full_like(ds["channel"], multiplier, dtype=float), window)
        assert_near(total["revenue"].sel(multiplier=multiplier), whole)


def test_today_the_average_return_of_a_curve_is_the_roas() -> None:
    curve = response_curve(tied(), multipliers=[1.0])
    assert_near(curve["average_return"][0], roas(tied()))
    assert_near(curve["average_return"][0], [2.0, 1.5, 1.0])
    alone = tied()["channel_contribution"].sum(("date", "geo"))
    assert not np.allclose(alone, curve["contribution"][0], rtol=1e-2)
    geos = response_curve(tied(), multipliers=[1.0], by=("geo", "channel"))
    assert_near(geos["contribution"].sum("geo"), curve["contribution"])


def test_the_figures_of_an_optimum_are_those_of_its_plan() -> None:
    ds = tied()
    best = optimize_allocation(ds)
    then = simulate(ds, spend=best["spend"])
    assert_near(best["media_contribution"] - best["current_media_contribution"],
                (then["mu"] - ds["mu"]).sum(), 1e-9)  # fmt: skip
    assert_near(best["roas"], roas(then))
    inside = best["mroas"].where(best["optimal_spend"] > 0, drop=True)
    assert float(np.ptp(inside.values)) < 1e-5 * float(inside.max())
    assert_near(best["shadow_price"], inside.max(), 1e-5)
    richer = optimize_allocation(ds, total_budget=1.001 * best.attrs["total_budget"])
    rise = float(richer["media_revenue"] - best["media_revenue"])
    assert_near(rise / (0.001 * best.attrs["total_budget"]), best["shadow_price"], 1e-3)


def test_geos_are_split_too() -> None:
    ds = tied()
    whole, best = optimize_allocation(ds), optimize_allocation(ds, per_geo=True)
    assert float(best["media_revenue"]) > float(whole["media_revenue"])
    assert_near(best["optimal_spend"].sum(), best.attrs["total_budget"])
    rng = np.random.default_rng(0)
    spread = np.exp(rng.normal(0, 0.1, (200, *best["multiplier"].shape)))
    near = best["multiplier"] * xr.DataArray(spread, dims=("split", "geo", "channel"))
    near *= best.attrs["total_budget"] / (near * best["current_spend"]).sum(("geo", "channel"))
    assert float(revenue_of(ds, near).max()) < float(best["media_revenue"])
    held = optimize_allocation(
        ds, per_geo=True, constraints={"A": {"max_change": 0.1, "min_change": 0.05}}
    )
    ratio = held["optimal_spend"].sum("geo") / held["current_spend"].sum("geo")
    assert 1.05 - 1e-9 <= float(ratio.sel(channel="A")) <= 1.1 + 1e-9
    assert float(held["media_revenue"]) < float(best["media_revenue"])


@pytest.mark.parametrize("per_geo", [False, True])
def test_one_allowed_split_is_proven(per_geo: bool) -> None:
    ds = tied()
    nothing = optimize_allocation(ds, total_budget=0, per_geo=per_geo)
    assert not nothing["optimal_spend"].any()
    assert_near(nothing["media_revenue"], revenue_of(ds, xr.zeros_like(ds["channel"], dtype=float)))
    locked = optimize_allocation(ds, constraints={"*": {"locked": True}}, per_geo=per_geo)
    assert_near(locked["multiplier"], np.ones(locked["multiplier"].shape))
    assert_near(locked["media_revenue"], locked["current_media_revenue"])
    for best in (nothing, locked):
        assert float(best["gap_bound"]) == 0
        assert best.attrs["status"] == "optimal"


def test_regret_and_frontier_count_all_media() -> None:
    ds = tied()
    today = regret(ds, ds["spend"])
    best = optimize_allocation(ds)
    gain = float(best["media_revenue"] - best["current_media_revenue"])
    assert_near(today["regret_revenue"], gain)
    assert float(regret(ds, best)["regret_percent_of_media"]) == pytest.approx(0, abs=1e-9)
    budget = best.attrs["total_budget"]
    frontier = efficiency_frontier(ds, budgets=[0.5 * budget, budget])
    assert_near(frontier["best_revenue"][1], best["media_revenue"])
    assert_near(frontier["best_sales"][1], simulate(ds, spend=best["spend"])["mu"].sum())
    assert_near(frontier["current_split_revenue"][1], best["current_media_revenue"])
    assert bool((frontier["best_revenue"] >= frontier["current_split_revenue"]).all())


# --- channels that cost sales ------------------------------------------------------------------


@cache
def negative() -> xr.Dataset:
    return made(roas=(2.0, -0.5, 1.0), regions={"n_regions": 2})


def test_a_channel_that_costs_sales_is_shut_off_and_the_bound_holds() -> None:
    ds = negative()
    best = optimize_allocation(ds)
    assert float(best["optimal_spend"].sel(channel="B")) == 0
    found, grid = float(best["revenue"].sum()), revenue_of(ds, splits_on_a_grid(ds, 60))
    assert found * (1 - 2e-3) <= float(grid.max()) <= found + float(best["gap_bound"])
    assert 0 <= float(best["gap_bound"]) < 1e-3 * found
    curve = response_curve(ds, multipliers=[0.0, 0.5, 1.0]).sel(channel="B")
    assert bool((curve["revenue"].diff("multiplier") < 0).all())
    assert_near(curve["average_return"].sel(multiplier=1.0), -0.5)


@pytest.mark.parametrize("per_geo", [False, True])
def test_a_channel_that_costs_sales_gets_its_minimum(per_geo: bool) -> None:
    best = optimize_allocation(negative(), constraints={"B": {"min": 0.2}}, per_geo=per_geo)
    spent = best["optimal_spend"].sel(channel="B").sum()
    assert_near(spent, 0.2 * best.attrs["total_budget"])
    assert float(best["gap_bound"]) < 1e-2 * float(best["revenue"].sum())


def test_nothing_is_spent_where_all_channels_cost_sales() -> None:
    for ties in ({}, {"interactions": [{"channels": ["A", "B"], "strength": -0.01}]}):
        ds = made("AB", roas=(-1.0, -0.5), **ties)
        best = optimize_allocation(ds)
        assert not best["optimal_spend"].any()
        assert best.attrs["unspent"] == best.attrs["total_budget"]
        assert float(best["shadow_price"]) == 0


# --- the groups of a world ---------------------------------------------------------------------


def test_sales_are_a_sum_over_groups_of_tied_channels() -> None:
    extra = {"name": "Visits", "parents": {"D": 0.5, "E": 0.5}, "effect": 0.05}
    ds = made(
        "ABCDE",
        roas=(2.0, 1.5, 1.0, 1.0, 1.2),
        funnels=[{"source": "C", "target": "A", "strength": 0.3, "lag": 2}],
        interactions=[{"channels": ["A", "E"], "strength": 0.05}],
        mediators=[extra],
    )
    world, spend, history = world_from(ds), spend_of(ds), history_of(ds)
    assert history is not None
    assert world.groups() == [[0, 2, 4], [1], [3]]
    parts = [(world.of_channels(group), spend[group], history[group]) for group in world.groups()]
    sales = sum(media_sales(respond_to(own, part, past), part) for part, own, past in parts)
    assert_near(sales, media_sales(respond_to(spend, world, history), world), 1e-12)
    assert [part.is_connected for part, *_ in parts] == [True, False, True]
    assert [part.mediators is None for part, *_ in parts] == [False, True, False]


def test_a_registered_curve_that_takes_real_numbers_only() -> None:
    @m.register_saturation("of_real_numbers")
    def of_real_numbers(x: Any, *, lam: Positive = 1000.0) -> Any:
        return np.vectorize(lambda each: 1 - 1 / (1 + float(each)))(x / lam)

    try:
        curve = {"saturation_fun": "of_real_numbers"}
        ds = made("AB", own={"A": curve, "B": curve}, n_periods=12, **{"funnels": TIES["funnels"]})
        best = optimize_allocation(ds)
        grid = revenue_of(ds, splits_on_a_grid(ds, 50))
        assert float(best["media_revenue"]) >= float(grid.max()) * (1 - 1e-9)
    finally:
        SATURATIONS.remove("of_real_numbers")
