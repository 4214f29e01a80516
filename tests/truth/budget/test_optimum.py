"""The best split of a budget: globally, under constraints, with a bound that holds."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from mmm_xgen import (
    AlignmentError,
    ChannelConfig,
    ConfigError,
    MMMDataConfig,
    RegionConfig,
    SchemaError,
    generate_mmm_dataset,
    get_preset_config,
    register_saturation,
    respond,
)
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.truth.budget import optimum
from mmm_xgen.truth.budget.curves import response_curve
from mmm_xgen.truth.budget.global_search import maximize, smooth_above, steps_above
from mmm_xgen.truth.budget.local_search import Problem
from mmm_xgen.truth.budget.optimum import optimize_allocation, regret
from mmm_xgen.truth.budget.piecewise_linear import Curves, maximize_curves, relax
from mmm_xgen.truth.what_if.counterfactual import simulate
from tests.strategies import examples, quietly
from tests.truth.worlds import assert_near


def channel(name: str, kind: str = "hill_function", **keys: Any) -> ChannelConfig:
    settings = {"pattern": "seasonal", "base_spend": 1000.0, "base_effectiveness": 0.1}
    return ChannelConfig(name=name, saturation_fun=kind, **{**settings, **keys})


def hill(name: str, slope: float, kappa: float, **keys: Any) -> ChannelConfig:
    return channel(name, saturation_kwargs={"slope": slope, "kappa": kappa}, **keys)


def sigmoid(name: str, beta: float, lam: float, **keys: Any) -> ChannelConfig:
    curve = {"sigma": 1.0, "beta": beta, "lam": lam}
    return channel(name, "hill_saturation_sigmoid", saturation_kwargs=curve, **keys)


def made(*channels: ChannelConfig, n_regions: int = 2, **config: Any) -> xr.Dataset:
    settings = {"n_periods": 30, "seed": 7, **config}
    regions = RegionConfig(n_regions=n_regions, similarity=0.8)
    config = MMMDataConfig(channels=channels, regions=regions, **settings)
    # Some of these channels are hopeless on purpose.
    return quietly(lambda: generate_mmm_dataset(config))


@cache
def s_shaped() -> xr.Dataset:
    """Five S-shaped channels, of which today's budget cannot carry all.

    The best of them hardly works at today's spend, so that the way there leads downhill first.
    """
    return made(
        hill("TV", 3.0, 2500.0, base_effectiveness=0.35, base_spend=500.0),
        hill("Radio", 2.0, 1500.0),
        sigmoid("Digital", 0.003, 2500.0, base_effectiveness=0.25, base_spend=700.0),
        hill("Print", 2.5, 4000.0),
        sigmoid("Social", 0.005, 900.0),
    )


@cache
def best_of_s_shaped(per_geo: bool = False) -> xr.Dataset:
    return optimize_allocation(s_shaped(), per_geo=per_geo)


@cache
def three() -> xr.Dataset:
    channels = [
        channel(name, "michaelis_menten", saturation_kwargs={"alpha": 1.0, "lam": lam})
        for name, lam in {"a": 300.0, "b": 800.0, "c": 1800.0}.items()
    ]
    return made(*channels, n_periods=12)


def concave() -> xr.Dataset:
    kinds = {
        "hill_function": {"slope": 0.7, "kappa": 1500.0},
        "logistic_saturation": {"lam": 0.001},
        "root_saturation": {"alpha": 0.5},
        "michaelis_menten": {"alpha": 1.0, "lam": 800.0},
        "tanh_saturation": {"b": 1.0, "c": 2000.0},
    }
    effect = {"root_saturation": 0.0015}
    channels = [
        channel(kind, kind, saturation_kwargs=keys, base_effectiveness=effect.get(kind, 0.1))
        for kind, keys in kinds.items()
    ]
    return made(*channels)


@pytest.fixture
def no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof that nothing is better takes its time, and is not what is tested."""
    monkeypatch.setattr(optimum, "PROOF_EFFORT", 0)


def earned(ds: xr.Dataset, multiplier: np.ndarray, dims: tuple[str, ...] = ("channel",)) -> Any:
    """Revenue of many allocations at once, multipliers of today's spend, by `respond` alone."""
    shape = {dim: ds[dim] for dim in dims}
    scaled = xr.DataArray(multiplier, dims=("scenario", *dims), coords=shape)
    made = respond(ds["spend"] * scaled, ds) * ds["revenue_per_kpi"]
    return made.sum(("date", "geo", "channel")).to_numpy()


def total_spend(ds: xr.Dataset) -> np.ndarray:
    return ds["spend"].sum(("date", "geo")).to_numpy()


def by_channel(ds: xr.Dataset) -> Any:
    """Revenue of each channel as a spline in its multiplier, which is quick to climb on."""
    from scipy.interpolate import CubicSpline

    levels = np.concatenate([np.linspace(0, 3, 301)[:-1], np.geomspace(3, 30, 100)])
    scenario = xr.DataArray(levels, dims="scenario")
    made = respond(ds["spend"] * scenario, ds) * ds["revenue_per_kpi"]
    return CubicSpline(levels, made.sum(("date", "geo")).to_numpy())


def slsqp(ds: xr.Dataset, curves: Any, start: np.ndarray, lower: Any = 0.0, upper: Any = 30) -> Any:
    """A local optimiser on the same objective, multipliers of today's spend as unknowns."""
    from scipy.optimize import minimize

    spend = total_spend(ds)
    scale, slopes = spend.sum(), curves.derivative()

    def loss(multiplier: np.ndarray) -> tuple[float, np.ndarray]:
        return -np.trace(curves(multiplier)) / scale, -np.diag(slopes(multiplier)) / scale

    bounds = np.stack([np.broadcast_to(bound, spend.shape) for bound in (lower, upper)], axis=1)
    budget = {
        "type": "ineq",
        "fun": lambda multiplier: 1 - multiplier @ spend / scale,
        "jac": lambda multiplier: -spend / scale,
    }
    with warnings.catch_warnings():
        # SLSQP before scipy 1.16 may leave its bounds by rounding, and says so.
        warnings.filterwarnings("ignore", "Values in x were outside bounds", RuntimeWarning)
        found = minimize(
            loss,
            start,
            jac=True,
            method="SLSQP",
            bounds=bounds,
            constraints=[budget],
            options={"maxiter": 100, "ftol": 1e-11},
        )
    feasible = np.clip(found.x, lower, upper)
    feasible = feasible * min(1.0, scale / (feasible @ spend))
    return float(earned(ds, feasible[None])[0])


def random_splits(
    rng: np.random.Generator, count: int, lower: np.ndarray, upper: np.ndarray, budget: float
) -> np.ndarray:
    """Feasible allocations that spend all, by sharing out what is left in random order."""
    spread = rng.choice([0.2, 1.0, 5.0], (count, 1))
    weight = rng.standard_gamma(spread, (count, len(lower))) + 1e-6
    result = np.tile(lower, (count, 1))
    for _ in range(60):
        left = np.maximum(budget - result.sum(axis=1, keepdims=True), 0.0)
        share = weight * (result < upper)
        share /= np.maximum(share.sum(axis=1, keepdims=True), 1e-300)
        result = np.minimum(result + left * share, upper)
    return result


# ------------------------------------------------------------------------------ global optimum


def best_of_splits(ds: xr.Dataset, splits: np.ndarray) -> float:
    """Revenue of the best of many allocations in currency."""
    parts = np.array_split(splits / total_spend(ds), 20)
    return max(float(earned(ds, part).max()) for part in parts)


def test_s_shaped_curves_against_random_splits_and_a_local_optimiser() -> None:
    ds, best = s_shaped(), best_of_s_shaped()
    reached = float(best["revenue"].sum())
    rng = np.random.default_rng(0)
    spend, budget = total_spend(ds), float(ds["spend"].sum())
    splits = random_splits(rng, 5000, np.zeros(5), np.full(5, budget), budget)
    assert best_of_splits(ds, splits) <= reached * (1 + 1e-12)

    starts = rng.dirichlet(np.ones(5), 25) * budget / spend
    curves = by_channel(ds)
    local = np.array([slsqp(ds, curves, start) for start in starts])
    # The best of them gets there; from today's spend, a local optimiser does not.
    assert reached * (1 - 1e-3) <= local.max() <= reached * (1 + 1e-9)
    assert slsqp(ds, curves, np.ones(5)) < reached * 0.99
    assert np.mean(local < reached * 0.99) > 0.2
    # The optimum switches a channel off, which equal marginal returns never would.
    assert float(best["optimal_spend"].min()) == 0.0
    assert best.attrs["status"] == "optimal"


def test_constrained_s_shaped_curves_against_random_splits_and_a_local_optimiser() -> None:
    ds = s_shaped()
    spend, budget = total_spend(ds), float(ds["spend"].sum())
    change = {"min_change": -0.7, "max_change": 1.5}
    rules = {"*": change, "x-Print": {"min": 0.1, "max": 0.12}}
    best = optimize_allocation(ds, constraints=rules)
    lower, upper = 0.3 * spend, 2.5 * spend
    lower[3] = max(lower[3], 0.1 * budget)
    upper[3] = 0.12 * budget
    assert_near(best["lower"], lower, 1e-12)
    assert_near(best["upper"], np.minimum(upper, budget), 1e-12)
    reached = float(best["revenue"].sum())
    rng = np.random.default_rng(1)
    splits = random_splits(rng, 5000, lower, upper, budget)
    assert best_of_splits(ds, splits) <= reached * (1 + 1e-12)
    curves = by_channel(ds)
    local = [
        slsqp(ds, curves, split / spend, lower / spend, upper / spend)
        for split in random_splits(rng, 25, lower, upper, budget)
    ]
    assert reached * (1 - 2e-3) <= max(local) <= reached * (1 + 1e-9)


def test_identical_s_shaped_channels_are_told_apart_by_the_budget_alone() -> None:
    flat = {"spend_volatility": 0.0, "seasonal_amplitude": 0.0}
    ds = made(*(hill(name, 4.0, 3000.0, **flat) for name in "abcd"), n_regions=1)
    best = optimize_allocation(ds)
    spend = np.sort(best["optimal_spend"].to_numpy())
    assert spend[0] == 0
    grid = np.linspace(0, 1, 41)
    shares = np.array([(a, b, c, 1 - a - b - c) for a in grid for b in grid for c in grid])
    shares = shares[(shares[:, 3] >= 0) & (np.diff(shares, axis=1) >= 0).all(axis=1)]
    assert earned(ds, 4 * shares).max() <= float(best["revenue"].sum()) * (1 + 1e-12)


@pytest.mark.parametrize("per_geo", [False, True])
def test_concave_curves_have_equal_marginal_returns(per_geo: bool) -> None:
    ds = concave()
    best = optimize_allocation(ds, per_geo=per_geo)
    dims = ("geo", "channel") if per_geo else ("channel",)
    multiplier = best["multiplier"].transpose(*dims).to_numpy()
    assert (multiplier > 0).all()
    assert_near(best["mroas"], best["shadow_price"], 1e-6)
    # The same by central differences of the response function.
    step = 1e-4 * np.eye(multiplier.size).reshape(-1, *multiplier.shape)
    rise = earned(ds, multiplier * (1 + step), dims) - earned(ds, multiplier * (1 - step), dims)
    slope = rise / (2e-4 * best["optimal_spend"].transpose(*dims).to_numpy().ravel())
    assert_near(slope, float(best["shadow_price"]), 1e-4)
    # Negative control: under today's split they are far from equal.
    today = response_curve(ds, multipliers=[1.0], by=dims)["marginal_return"]
    assert float(today.max() / today.min()) > 1.5
    assert float(best["optimal_spend"].sum()) == pytest.approx(float(ds["spend"].sum()), rel=1e-12)


@pytest.mark.usefixtures("no_proof")
def test_the_shadow_price_is_what_more_budget_earns() -> None:
    ds = s_shaped()
    budget = float(ds["spend"].sum())
    low, best, high = (
        optimize_allocation(ds, total_budget=budget * factor) for factor in (0.999, 1.0, 1.001)
    )
    rise = float(high["revenue"].sum() - low["revenue"].sum())
    assert rise / (0.002 * budget) == pytest.approx(float(best["shadow_price"]), rel=1e-3)


@pytest.mark.parametrize(
    ("constraints", "is_other"),
    [
        ({"a": {"max_currency": 3e3}}, False),
        ({"*": {"max": 1 / 3}}, True),
        ({"*": {"min": 1 / 3}}, True),
        ({"*": {"max": 0.35}}, True),
        ({"a": {"min": 0.6}, "b": {"max": 0.05}}, True),
    ],
)
@pytest.mark.usefixtures("no_proof")
def test_bounds_in_shares_move_with_the_budget(constraints: Any, is_other: bool) -> None:
    budget = float(three()["spend"].sum())
    low, best, high = (
        optimize_allocation(three(), total_budget=budget * factor, constraints=constraints)
        for factor in (0.999, 1.0, 1.001)
    )
    rise = float(high["revenue"].sum() - low["revenue"].sum()) / (0.002 * budget)
    assert float(best["shadow_price"]) == pytest.approx(rise, rel=1e-5)
    # Negative control: the return of the channels at no bound, or of the best if all are.
    spend = best["optimal_spend"]
    inside = (spend > best["lower"] + 1) & (spend < best["upper"] - 1)
    of_free = float(best["mroas"].where(inside | ~inside.any()).max())
    assert (abs(of_free / rise - 1) > 0.01) == is_other


# ------------------------------------------------------------------------------- the gap bound


@pytest.mark.parametrize(("count", "budget"), [(2, 0.3), (3, 1.0), (3, 2.5)])
def test_nothing_beats_the_bound_and_the_bound_is_near(count: int, budget: float) -> None:
    ds = s_shaped().isel(channel=slice(count))
    total = budget * float(ds["spend"].sum())
    best = optimize_allocation(ds, total_budget=total)
    levels = np.linspace(0, 1, 2001 if count == 2 else 81)
    grids = np.meshgrid(*[levels] * (count - 1), indexing="ij")
    first = np.stack([grid.ravel() for grid in grids], axis=1)
    first = first[first.sum(axis=1) <= 1 + 1e-12]
    splits = np.column_stack([first, np.maximum(1 - first.sum(axis=1), 0)]) * total
    brute = best_of_splits(ds, splits)
    reached, gap = float(best["revenue"].sum()), float(best["gap_bound"])
    assert brute <= reached * (1 + 1e-12)
    assert reached <= brute * (1 + 5e-3)
    assert 0 <= float(best["gap_estimate"]) <= gap <= 5e-4 * reached
    assert float(best["gap_estimate"]) <= 1e-5 * reached


def staircase(rng: np.random.Generator, steps: int) -> tuple[Problem, float]:
    """Two curves that jump, of which only this is true that they never fall, and their best."""
    at = np.sort(rng.uniform(0, 1, (2, steps)), axis=1)
    height = rng.exponential(size=(2, steps)) * (rng.uniform(size=(2, steps)) < 0.3)
    above = np.cumsum(np.column_stack([np.zeros(2), height]), axis=1)

    def value(spend: np.ndarray) -> np.ndarray:
        passed = (spend[:, :, None] >= at[:, None, :]).sum(axis=-1)
        return np.take_along_axis(above, passed, axis=1)

    problem = Problem(
        value=value,
        slope=lambda spend: np.zeros_like(spend),
        budget=1.0,
        lower=np.zeros(2),
        upper=np.ones(2),
        scale=np.ones(2),
        group=np.arange(2),
        group_lower=np.zeros(2),
        group_upper=np.ones(2),
        proofs=12,
    )
    costs = np.column_stack([np.zeros(2), at])
    exact = max(
        gain + above[1][costs[1] <= 1 - cost].max()
        for cost, gain in zip(costs[0], above[0], strict=True)
    )
    return problem, exact


def test_the_bound_holds_for_curves_that_jump_between_the_levels_tried() -> None:
    for seed in range(15):
        problem, exact = staircase(np.random.default_rng(seed), 60)
        found = maximize(problem)
        assert found.value <= exact + 1e-12
        assert found.bound >= exact - 1e-12
        assert found.spend.sum() <= 1 + 1e-12


@pytest.mark.parametrize("seed", range(30))
def test_piecewise_linear_curves_against_every_allocation_of_a_grid(seed: int) -> None:
    """Curves of any shape, falling ones included, groups with bounds, against brute force."""
    rng = np.random.default_rng(seed)
    levels, total = np.arange(5), 7
    value = rng.normal(size=(4, len(levels))) + rng.choice([0.0, 1.0]) * np.sqrt(levels)
    group, lower, upper = np.array([0, 0, 1, 1]), np.array([1.0, 2.0]), np.array([4.0, 5.0])
    splits = np.stack(np.meshgrid(*[levels] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    sums = splits.reshape(-1, 2, 2).sum(axis=-1)
    allowed = (
        (sums >= lower).all(axis=1) & (sums <= upper).all(axis=1) & (sums.sum(axis=1) <= total)
    )
    # The best split of whole levels is the best of all, as bounds and nodes are whole numbers.
    best = value[np.arange(4), splits[allowed]].sum(axis=1).max()
    curves = Curves(
        spend=np.tile(levels.astype(float), (4, 1)),
        value=value,
        budget=float(total),
        group=group,
        group_lower=lower,
        group_upper=upper,
        first=np.zeros(4, dtype=np.intp),
        last=np.full(4, len(levels) - 1),
    )
    bound, _, found = maximize_curves(curves, 1e-12)
    assert found.reached == pytest.approx(best, abs=1e-9)
    assert bound == pytest.approx(best, abs=1e-9)
    assert found.spend.sum() <= total + 1e-9
    by_group = found.spend.reshape(2, 2).sum(axis=1)
    assert (by_group >= lower - 1e-9).all() and (by_group <= upper + 1e-9).all()
    assert relax(replace(curves, budget=2.0)) is None


def test_steps_that_the_table_hides_need_the_bound_that_supposes_nothing() -> None:
    nodes, dense = np.linspace(0, 1, 11)[None], np.linspace(0, 1, 1001)

    def stairs(spend: np.ndarray) -> np.ndarray:
        return np.floor(spend * 10 + 0.5)

    def exceeds(above: Any) -> bool:
        line = np.interp(dense, nodes[0], above(nodes, stairs(nodes))[0])
        return bool((stairs(dense) > line + 1e-9).any())

    assert exceeds(smooth_above)
    assert not exceeds(steps_above)


@pytest.mark.parametrize("above", [smooth_above, steps_above])
def test_what_lies_above_a_curve_lies_above_it(above: Any) -> None:
    rng = np.random.default_rng(3)
    slope, kappa = rng.uniform(0.4, 4.0, (50, 1)), rng.uniform(0.02, 1.0, (50, 1))
    nodes = np.tile(np.concatenate([[0], np.geomspace(1e-3, 1, 40)]), (50, 1))

    def curve(spend: np.ndarray) -> np.ndarray:
        return spend**slope / (spend**slope + kappa**slope)

    dense = np.linspace(0, 1, 5001)
    upper, values = above(nodes, curve(nodes)), curve(np.tile(dense, (50, 1)))
    for row, (line, value) in enumerate(zip(upper, values, strict=True)):
        assert (np.interp(dense, nodes[row], line) >= value - 1e-12).all()
        # The chords themselves do not.
        chords = np.interp(dense, nodes[row], curve(nodes)[row])
        assert (chords < value - 1e-9).any()


# --------------------------------------------------------------------------------- constraints


def test_every_kind_of_constraint_and_every_spelling_of_a_name() -> None:
    ds = s_shaped()
    spend, budget = total_spend(ds), 1.2 * float(ds["spend"].sum())
    rules = {
        "TV": {"min": 0.2, "max": 0.5},
        "x-Radio": {"min_currency": 1000.0, "max_currency": 20_000.0},
        "x3-Digital": {"min_change": -0.3, "max_change": 0.3},
        "Print": {"locked": True},
    }
    best = optimize_allocation(ds, total_budget=budget, constraints=rules)
    optimal = best["optimal_spend"].to_numpy()
    slack = 1e-9 * budget
    assert 0.2 * budget - slack <= optimal[0] <= 0.5 * budget + slack
    assert 1000 - slack <= optimal[1] <= 20_000 + slack
    assert 0.7 * spend[2] - slack <= optimal[2] <= 1.3 * spend[2] + slack
    assert optimal[3] == pytest.approx(spend[3], rel=1e-9)
    assert optimal.sum() == pytest.approx(budget, rel=1e-9)
    assert_near(total_spend(best), optimal)


bound = st.floats(0.0, 1.0)


@examples(0.08)
@given(
    shares=st.lists(st.tuples(bound, bound), min_size=5, max_size=5),
    budget=st.floats(0.01, 20.0),
    per_geo=st.booleans(),
)
def test_whatever_is_feasible_is_kept_to(shares, budget, per_geo):
    ds = s_shaped()
    total = budget * float(ds["spend"].sum())
    names = [str(name) for name in ds["channel"].values]
    # Half of what is free for the minima, and maxima that leave room.
    lower = np.array([min(pair) for pair in shares]) / 10
    upper = np.clip([max(pair) + 0.2 for pair in shares], lower, 1.0)
    rules = {
        name: {"min": float(low), "max": float(high)}
        for name, low, high in zip(names, lower, upper, strict=True)
    }
    best = optimize_allocation(ds, total_budget=total, constraints=rules, per_geo=per_geo)
    spend = best["optimal_spend"].sum(set(best["optimal_spend"].dims) - {"channel"}).to_numpy()
    assert (best["optimal_spend"] >= 0).all()
    assert (spend >= lower * total - 1e-9 * total).all()
    assert (spend <= upper * total + 1e-9 * total).all()
    assert spend.sum() == pytest.approx(total, rel=1e-9)
    assert 0 <= float(best["gap_bound"]) <= 5e-3 * float(best["revenue"].sum())
    rng = np.random.default_rng(0)
    splits = random_splits(rng, 50, lower * total, upper * total, total)
    others = earned(ds, splits / total_spend(ds))
    assert others.max() <= float(best["revenue"].sum()) * (1 + 1e-9)


def test_a_rule_for_every_channel_yields_to_a_channels_own() -> None:
    ds = s_shaped()
    spend = total_spend(ds)
    best = optimize_allocation(
        ds, constraints={"*": {"locked": True}, "TV": {"max_change": 0.5}, "Radio": {"min": 0.0}}
    )
    assert_near(best["optimal_spend"][2:], spend[2:])
    assert float(best["multiplier"][0]) <= 1.5 * (1 + 1e-9)
    assert float(best["optimal_spend"].sum()) == pytest.approx(spend.sum(), rel=1e-9)


@pytest.mark.parametrize("per_geo", [False, True])
def test_all_channels_locked_is_today(per_geo: bool) -> None:
    ds = s_shaped()
    best = optimize_allocation(ds, constraints={"*": {"locked": True}}, per_geo=per_geo)
    assert_near(best["spend"], ds["spend"], 1e-12)
    assert float(best["gap_bound"]) == 0.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"total_budget": -1.0}, "total_budget: found -1.0, allowed: currency"),
        ({"total_budget": float("nan")}, "total_budget: found nan"),
        ({"total_budget": True}, "total_budget: found True"),
        ({"total_budget": "1000"}, "total_budget: found '1000'"),
        ({"constraints": [("TV", 1)]}, "constraints: found"),
        ({"constraints": {"TVs": {"min": 0.1}}}, "constraints.TVs: no channel named 'TVs'; did"),
        ({"constraints": {"TV": {"minimum": 0.1}}}, "constraints.TV: no constraint 'minimum'; did"),
        ({"constraints": {"TV": 0.1}}, "constraints.TV: found 0.1, allowed: a mapping"),
        ({"constraints": {"TV": {"min": 1.2}}}, "constraints.TV.min: found 1.2, allowed: a share"),
        ({"constraints": {"TV": {"max": -0.1}}}, "constraints.TV.max: found -0.1"),
        ({"constraints": {"TV": {"max": "a"}}}, "constraints.TV.max: found 'a'"),
        ({"constraints": {"TV": {"min_change": -1.1}}}, "constraints.TV.min_change: found -1.1"),
        ({"constraints": {"TV": {"min_currency": -5}}}, "constraints.TV.min_currency: found -5"),
        ({"constraints": {"TV": {"min": 0.5, "max": 0.2}}}, "min 0.5 is above max 0.2"),
        (
            {"constraints": {"TV": {"min": 0.5, "max_change": -0.9}}},
            "constraints.TV: TV min=0.5, which is .*, is above TV max_change=-0.9, which is",
        ),
        (
            {"constraints": {"TV": {"min": 0.6}, "x-Radio": {"min": 0.5}}},
            r"minima sum to .*, above the budget .*TV min=0\.6.*; Radio min=0\.5",
        ),
        (
            {"constraints": {"*": {"max": 0.1}}},
            r"maxima sum to .*, below the budget .*TV max=0\.1.*Social max=0\.1",
        ),
        (
            {"constraints": {"*": {"locked": True}}, "total_budget": 1e9},
            "maxima sum to .*TV locked at",
        ),
        (
            {"constraints": {"*": {"locked": True}}, "total_budget": 1.0},
            "minima sum to .*TV locked at",
        ),
        (
            {"constraints": {"TV": {"locked": True, "min": 0.1, "max": 0.2}}},
            "constraints.TV: found locked together with min, max",
        ),
        ({"constraints": {"TV": {"locked": 1}}}, "constraints.TV.locked: found 1"),
        (
            {"constraints": {"TV": {"min": 0.1}, "x1-TV": {"max": 0.2}}},
            "constraints.x1-TV: found constraints on 'TV' twice, as 'TV' and as 'x1-TV'",
        ),
        ({"per_geo": "yes"}, "per_geo: found 'yes'"),
        ({"window": "1999"}, "window '1999'"),
    ],
)
def test_what_conflicts_is_named(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        optimize_allocation(s_shaped(), **arguments)


def test_a_dataset_that_lost_its_carry_over_is_refused() -> None:
    with pytest.raises(SchemaError, match="window="):
        optimize_allocation(s_shaped().isel(date=slice(10, None)))
    with pytest.raises(SchemaError, match="no 'spend'"):
        optimize_allocation(xr.Dataset())
    with pytest.raises(SchemaError, match="dim 'draw'"):
        regret(s_shaped().expand_dims(draw=2), s_shaped()["spend"])


# --------------------------------------------------------------------------------- special cases


def test_a_channel_without_history_is_spread_by_population() -> None:
    late = {"pattern": "delayed_start", "start_period": 1000}
    ds = made(hill("TV", 1.0, 1500.0), hill("New", 1.0, 1000.0, **late), n_regions=3)
    assert float(ds["spend"].sel(channel="New").sum()) == 0
    best = optimize_allocation(ds)
    new = best["spend"].sel(channel="New")
    assert float(new.sum()) > 0.05 * float(ds["spend"].sum())
    assert np.isnan(best["multiplier"].sel(channel="New"))
    np.testing.assert_allclose(new / new.isel(date=0), 1.0)
    share = ds["population"] / ds["population"].sum()
    np.testing.assert_allclose(new.isel(date=0) / new.isel(date=0).sum("geo"), share)
    assert_near(best["mroas"], best["shadow_price"], 1e-6)
    revenue = (respond(best["spend"], ds) * ds["revenue_per_kpi"]).sum(("date", "geo"))
    np.testing.assert_allclose(best["revenue"], revenue)
    split = optimize_allocation(ds, per_geo=True)
    assert float(split["revenue"].sum()) >= float(best["revenue"].sum()) * (1 - 1e-12)
    # Relative to nothing, no change is more than nothing.
    held = optimize_allocation(ds, constraints={"New": {"max_change": 9.0}})
    assert float(held["optimal_spend"].sel(channel="New")) == 0.0


def test_no_channel_has_any_history() -> None:
    late = {"pattern": "delayed_start", "start_period": 1000}
    ds = made(channel("a", **late), channel("b", **late))
    assert float(optimize_allocation(ds)["optimal_spend"].sum()) == 0.0
    best = optimize_allocation(ds, total_budget=50_000.0)
    assert float(best["spend"].sum()) == pytest.approx(50_000)
    np.testing.assert_allclose(best["optimal_spend"], 25_000, rtol=0.2)


def test_the_next_unit_of_budget_goes_to_a_channel_that_has_all_of_it() -> None:
    ds = made(channel("a"))
    best = optimize_allocation(ds)
    assert float(best["optimal_spend"].sum()) == pytest.approx(float(ds["spend"].sum()))
    assert float(best["shadow_price"]) == float(best["mroas"].item()) > 0
    # Not if the channel may not have it.
    for rule in ({"max_change": 0.0}, {"locked": True}):
        assert float(optimize_allocation(ds, constraints={"a": rule})["shadow_price"]) == 0.0
    free = optimize_allocation(ds, constraints={"a": {"max": 1.0}})
    assert float(free["shadow_price"]) == float(best["shadow_price"])
    assert float(optimize_allocation(ds, total_budget=0.0)["shadow_price"]) > 0.0


def test_money_that_earns_nothing_is_not_spent() -> None:
    ds = made(channel("a", base_effectiveness=0.0), channel("b", base_effectiveness=0.0))
    best = optimize_allocation(ds, constraints={"a": {"min": 0.25}})
    budget = float(ds["spend"].sum())
    np.testing.assert_allclose(best["optimal_spend"], [0.25 * budget, 0.0])
    assert best.attrs["unspent"] == pytest.approx(0.75 * budget)
    assert float(best["shadow_price"]) == 0.0
    # One channel that earns takes all of it.
    ds = made(channel("a", base_effectiveness=0.0), channel("b"))
    best = optimize_allocation(ds)
    np.testing.assert_allclose(best["optimal_spend"], [0.0, float(ds["spend"].sum())])
    assert best.attrs["unspent"] == 0.0


def test_a_budget_of_zero_is_spent() -> None:
    ds = made(channel("a"), channel("b"), burn_in_periods=6)
    best = optimize_allocation(ds, total_budget=0.0)
    assert (best["spend"] == 0).all()
    # What the spend before the window still brings.
    nothing = respond(0 * ds["spend"], ds).sum(("date", "geo"))
    assert (nothing > 0).all()
    np.testing.assert_allclose(best["contribution"], nothing)
    assert np.isnan(best["roas"]).all()


@pytest.mark.parametrize("adstock_first", [True, False])
def test_a_window_with_carried_over_spend(adstock_first: bool) -> None:
    ds = made(
        hill("a", 2.0, 2000.0),
        hill("b", 0.8, 2000.0),
        burn_in_periods=6,
        revenue_per_kpi=3.0,
        transforms={"adstock_first": adstock_first, "adstock_kwargs": {"alpha": 0.7}},
    )
    window = ("2022-03-01", "2022-06-30")
    best = optimize_allocation(ds, window=window)
    inside = ds["spend"].sel(date=slice(*window))
    changed = best["spend"] != ds["spend"]
    assert not changed.sel(date=slice(None, "2022-02-28")).any()
    assert not changed.sel(date=slice("2022-07-01", None)).any()
    budget = float(inside.sum())
    assert float(best["optimal_spend"].sum()) == pytest.approx(budget)

    def within(plan: xr.DataArray) -> xr.DataArray:
        return 3.0 * respond(plan, ds).sel(date=slice(*window)).sum(("date", "geo"))

    np.testing.assert_allclose(best["revenue"], within(best["spend"]))
    np.testing.assert_allclose(best["current_revenue"], within(ds["spend"]))
    spent = inside.sum(("date", "geo"))
    share = np.linspace(0, 1, 41)
    scale = xr.DataArray(np.stack([share, 1 - share], 1), dims=("scenario", "channel"))
    plans = (ds["spend"] * (scale * budget / spent)).where(
        ds["date"].isin(inside["date"]), ds["spend"]
    )
    others = within(plans.transpose("scenario", *ds["spend"].dims)).sum("channel")
    assert (others <= float(best["revenue"].sum()) * (1 + 1e-12)).all()


def test_geos_are_split_too_under_constraints_on_their_channels() -> None:
    ds = s_shaped()
    rules = {"TV": {"min": 0.1, "max": 0.3}, "Print": {"min_currency": 9000.0}, "*": {"max": 0.6}}
    whole = optimize_allocation(ds, constraints=rules)
    best = optimize_allocation(ds, constraints=rules, per_geo=True)
    assert best["optimal_spend"].dims == ("geo", "channel")
    reached, budget = float(best["revenue"].sum()), float(ds["spend"].sum())
    assert reached >= float(whole["revenue"].sum()) * (1 - 1e-12)
    spend = best["optimal_spend"].sum("geo")
    slack = 1e-9 * budget
    assert (spend >= best["lower"] - slack).all()
    assert (spend <= best["upper"] + slack).all()
    assert float(best["gap_bound"]) <= 2e-3 * reached
    assert float(best["gap_estimate"]) <= 2e-5 * reached
    rng = np.random.default_rng(0)
    channels = random_splits(rng, 2000, best["lower"].to_numpy(), best["upper"].to_numpy(), budget)
    geos = rng.dirichlet(np.full(2, 0.5), (2000, 5)).transpose(0, 2, 1)
    today = ds["spend"].sum("date").to_numpy()
    others = earned(ds, channels[:, None, :] * geos / today, ("geo", "channel"))
    assert others.max() <= reached * (1 + 1e-12)
    # Near the optimum, too, where a random split seldom is.
    near = best["optimal_spend"].to_numpy() * rng.lognormal(0, 0.05, (2000, 2, 5))
    near *= (spend.to_numpy() / np.maximum(near.sum(axis=1), 1e-300))[:, None]
    assert earned(ds, near / today, ("geo", "channel")).max() <= reached * (1 + 1e-12)


def test_a_registered_curve_that_takes_real_numbers_only() -> None:
    @register_saturation("capped")
    def capped(x: Any, *, cap: float = 1.0) -> Any:
        return np.asarray(cap * np.minimum(np.abs(np.real(x)) / cap, 1.0) ** 0.5)

    try:
        ds = made(
            channel("a", "capped", saturation_kwargs={"cap": 2000.0}, base_effectiveness=1e-4),
            hill("b", 1.0, 1500.0),
        )
        best = optimize_allocation(ds)
        shares = np.linspace(0, 1, 501)
        splits = np.column_stack([shares, 1 - shares]) * float(ds["spend"].sum())
        assert best_of_splits(ds, splits) <= float(best["revenue"].sum()) * (1 + 1e-9)
    finally:
        SATURATIONS.remove("capped")


# -------------------------------------------------------------------------------- the Dataset


@pytest.mark.parametrize("per_geo", [False, True])
def test_figures_agree_with_the_plan_and_say_what_they_are(per_geo: bool, tmp_path: Any) -> None:
    ds, best = s_shaped(), best_of_s_shaped(per_geo)
    over = ("date",) if per_geo else ("date", "geo")
    made = respond(best["spend"], ds)
    revenue = (made * ds["revenue_per_kpi"]).sum(over)
    assert_near(best["contribution"], made.sum(over), 1e-12)
    assert_near(best["revenue"], revenue, 1e-12)
    today = ds["channel_contribution"].sum(over)
    assert_near(best["current_contribution"], today, 1e-12)
    assert_near(best["current_spend"], ds["spend"].sum(over), 1e-12)
    np.testing.assert_allclose(best["optimal_spend"], best["spend"].sum(over), atol=1e-6)
    paid = best["optimal_spend"] > 0
    ratio = (best["revenue"] / best["optimal_spend"]).where(paid)
    np.testing.assert_allclose(best["roas"], ratio)
    simulated = simulate(ds, spend=best["spend"])
    rise = float((simulated["mu"] - ds["mu"]).sum())
    gained = float((best["contribution"] - best["current_contribution"]).sum())
    assert rise == pytest.approx(gained)
    for name, variable in best.data_vars.items():
        assert set(variable.attrs) == {"units", "long_name"}, name
    assert best["spend"].attrs["units"] == ds.attrs["currency"]
    path = tmp_path / "best.nc"
    best.to_netcdf(path)
    with xr.open_dataset(path) as read:
        xr.testing.assert_identical(read.load(), best)


def test_the_same_call_gives_the_same_answer_and_leaves_its_input() -> None:
    ds = s_shaped()
    before = ds.copy(deep=True)
    xr.testing.assert_identical(optimize_allocation(ds), best_of_s_shaped())
    xr.testing.assert_identical(ds, before)


# ------------------------------------------------------------------------------------- regret


def test_regret_is_the_difference_of_two_simulations() -> None:
    ds, best = s_shaped(), best_of_s_shaped()
    lost = regret(ds, ds["spend"])
    other = simulate(ds, spend=best["spend"])
    expected = float((other["mu"] - ds["mu"]).sum())
    assert float(lost["regret"]) == pytest.approx(expected)
    assert expected > 0
    media = float(other["channel_contribution"].sum())
    assert float(lost["regret_percent_of_media"]) == pytest.approx(100 * expected / media)
    sales = float(other["mu"].sum())
    assert float(lost["regret_percent_of_sales"]) == pytest.approx(100 * expected / sales)
    xr.testing.assert_allclose(lost["optimal_spend"], best["optimal_spend"])
    assert 0 <= float(lost["gap_bound"]) <= 1e-3 * float(best["revenue"].sum())


@pytest.mark.usefixtures("no_proof")
def test_regret_takes_totals_by_channel_and_by_geo_in_any_order() -> None:
    ds = s_shaped()
    totals = ds["spend"].sum(("date", "geo"))
    by_plan = regret(ds, ds["spend"])
    turned = totals.isel(channel=slice(None, None, -1))
    turned = turned.assign_coords(channel=[f"x-{name}" for name in turned["channel"].values])
    # The bound on the gap depends on the way to it, and so on rounding of the budget.
    same = regret(ds, turned).drop_vars("gap_bound")
    xr.testing.assert_allclose(same, by_plan.drop_vars("gap_bound"))
    by_geo = regret(ds, ds["spend"].sum("date").isel(geo=[1, 0]))
    assert by_geo["optimal_spend"].dims == ("geo", "channel")
    assert float(by_geo["regret"]) >= float(by_plan["regret"])
    same = regret(ds, ds["spend"].sum("date"), per_geo=False)
    assert float(same["regret"]) == pytest.approx(float(by_plan["regret"]))


@pytest.mark.parametrize("per_geo", [False, True])
@pytest.mark.usefixtures("no_proof")
def test_the_optimum_has_no_regret(per_geo: bool) -> None:
    ds, rules = three(), {"c": {"min": 0.5}}
    best = optimize_allocation(ds, total_budget=1e5, constraints=rules, per_geo=per_geo)
    for allocation in (best, best["optimal_spend"]):
        lost = regret(ds, allocation, constraints=rules)
        assert abs(float(lost["regret_percent_of_media"])) < 1e-6
    # Against what the constraint does not allow, it has.
    assert float(regret(ds, best)["regret"]) > 0


def test_regret_is_in_the_units_of_sales_and_of_revenue() -> None:
    ds = made(channel("a"), channel("b", base_effectiveness=0.4), revenue_per_kpi=7.0)
    lost = regret(ds, ds["spend"], window=slice("2022-04", None))
    assert float(lost["regret_revenue"]) == pytest.approx(7 * float(lost["regret"]))
    assert lost["regret"].attrs["units"] == ds.attrs["kpi"]
    assert float(regret(ds, 0 * ds["spend"])["regret"]) == 0.0


@pytest.mark.usefixtures("no_proof")
def test_the_best_revenue_may_sell_fewer_units() -> None:
    price = three()["revenue_per_kpi"] * xr.DataArray([1.0, 6.0], dims="geo")
    lost = regret(three().assign(revenue_per_kpi=price), three()["spend"].sum("date"))
    revenue = float(lost["regret_revenue"])
    assert float(lost["regret"]) < 0 < revenue
    media = float((three()["channel_contribution"] * price).sum()) + revenue
    assert float(lost["regret_percent_of_media"]) == pytest.approx(100 * revenue / media)


def test_each_regret_has_a_rounding_of_its_own() -> None:
    ideal = xr.DataArray([2.0, 1.0], dims="geo")
    given_split = xr.DataArray([1.0, 2.0], dims="geo")
    assert float(optimum._lost(ideal, given_split)) == 0
    price = xr.DataArray([1.0, 6.0], dims="geo")
    assert float(optimum._lost(ideal * price, given_split * price)) == -5
    assert float(optimum._lost(ideal, ideal * (1 - 1e-12))) == 0


def test_a_price_that_is_missing_is_named() -> None:
    price = s_shaped()["revenue_per_kpi"].copy()
    price[3] = np.nan
    with pytest.raises(SchemaError, match="'revenue_per_kpi' has missing values"):
        optimize_allocation(s_shaped().assign(revenue_per_kpi=price))


TOTALS = ("date", "geo")


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda p: p.sum(TOTALS) * -1, ConfigError, "at least 0"),
        (lambda p: p.sum(TOTALS) * np.nan, ConfigError, "finite"),
        (lambda p: p.sum("channel"), AlignmentError, "allowed"),
        (lambda p: p.sum(TOTALS)[:3], AlignmentError, "Print, Social"),
        (lambda p: [1.0, 2.0], SchemaError, "allocation: found"),
        (lambda p: p.sum(TOTALS).assign_coords(channel=[*"abcde"]), AlignmentError, "no channel"),
        (lambda p: -p, ConfigError, "at least 0"),
    ],
)
def test_an_allocation_that_is_none(spoil: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        regret(s_shaped(), spoil(s_shaped()["spend"]))


# -------------------------------------------------------------------------------------- speed


@pytest.mark.slow
@pytest.mark.parametrize("per_geo", [False, True])
def test_thirty_channels_in_fifty_geos(per_geo: bool) -> None:
    ds = generate_mmm_dataset(get_preset_config("large_business"))
    best = optimize_allocation(ds, per_geo=per_geo)
    assert float(best["gap_bound"]) <= 1e-3 * float(best["revenue"].sum())
    assert float(best["gap_estimate"]) <= 1e-5 * float(best["revenue"].sum())
