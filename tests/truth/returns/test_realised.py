"""Realised returns: what spend adds to sales that a capacity cuts, against plain loops."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen.ensemble import element, generate_ensemble
from mmm_xgen.truth import (
    change_investment,
    cost_per_incremental,
    estimands,
    mroas,
    roas,
    simulate,
)
from tests.scalar_world import ScalarWorld
from tests.strategies import quietly
from tests.truth.worlds import assert_near

DIMS = ("geo", "date")
WINDOW = ("2022-04-01", "2022-06-30")
# Independent channels, channels that act on each other, and effects that move and look back.
KINDS: dict[str, dict[str, Any]] = {
    "alone": {},
    "tied": {
        "interactions": [{"channels": ["TV", "Radio"], "strength": 0.05}],
        "funnels": [{"source": "TV", "target": "Radio", "strength": 0.3}],
    },
    "moving": {"moving": True},
}


@cache
def world(kind: str, capacity: float | None = 1.12, noise: str = "ar1") -> xr.Dataset:
    """Two geos, outliers, noise that geos share, and weeks at the capacity and below it."""
    extra = dict(KINDS[kind])
    own = {"effect_path": "smooth"} if extra.pop("moving", False) else {}
    channels = [
        {"name": name, "base_spend": 900.0, "base_effectiveness": effect, "spend_volatility": 0.4}
        | own
        for name, effect in (("TV", 0.12), ("Radio", 0.08))
    ]
    regions = {
        "n_regions": 2,
        "seasonal_amplitude": 0.15,
        "noise": {"kind": noise, "shared": 0.3},
        "outliers": {"share": 0.05},
        **({} if capacity is None else {"capacity": capacity}),
    }
    config = {"n_periods": 52, "seed": 2, "channels": channels, "regions": regions, **extra}
    return quietly(lambda: m.generate_mmm_dataset(config, revenue_per_kpi=2.5))


def sold(ds: xr.Dataset, factors: dict[str, float], window: slice = slice(None)) -> np.ndarray:
    """Sales by geo and date with the spend of channels multiplied, cell by cell."""
    plan = ds["spend"].copy()
    for name, factor in factors.items():
        plan.loc[{"channel": name}] *= np.where(
            np.isin(np.arange(ds.sizes["date"]), np.arange(ds.sizes["date"])[window]), factor, 1.0
        )[:, None]
    loops = ScalarWorld(ds)
    today, other = loops.sales(loops.spend()), loops.sales(loops.spend(plan))
    mu, noise, lost = (ds[name].transpose(*DIMS).values for name in ("mu", "noise", "lost_sales"))
    made = np.empty(mu.shape)
    for g, limit in enumerate(ds["capacity"].values.tolist()):
        for t in range(mu.shape[1]):
            before = mu[g, t] + other[g][t] - today[g][t] + noise[g, t] + lost[g, t]
            made[g, t] = min(before, limit)
    return made


def spent(ds: xr.Dataset, channel: str) -> float:
    return float(ds["spend"].sel(channel=channel).sum())


@pytest.mark.parametrize("kind", KINDS)
def test_realised_returns_are_those_of_loops_over_cells(kind: str) -> None:
    ds = world(kind)
    assert 0.1 < float((ds["lost_sales"] > 0).mean()) < 0.9
    today = ds["y"].transpose(*DIMS).values
    found, figures = roas(ds, realised=True), estimands(ds, by="channel", realised=True)
    for channel in ("TV", "Radio"):
        lost = (today - sold(ds, {channel: 0.0})).sum()
        wanted = 2.5 * lost / spent(ds, channel)
        assert_near(found.sel(channel=channel), wanted)
        assert_near(figures["roas"].sel(channel=channel), wanted)
        assert_near(figures["contribution"].sel(channel=channel), lost)
        assert_near(figures["attribution"].sel(channel=channel), lost / today.sum())
        assert_near(cost_per_incremental(ds, realised=True).sel(channel=channel), 2.5 / wanted)
        more, less = (sold(ds, {channel: 1 + step}) for step in (1e-6, -1e-6))
        slope = 2.5 * (more - less).sum() / 2e-6 / spent(ds, channel)
        assert_near(mroas(ds, realised=True).sel(channel=channel), slope, 1e-6)
        assert_near(figures["mroas"].sel(channel=channel), slope, 1e-6)
        finite = 2.5 * (sold(ds, {channel: 1.1}) - today).sum() / 0.1 / spent(ds, channel)
        assert_near(mroas(ds, realised=True, delta=0.1).sel(channel=channel), finite)
    # Negative control: latent returns are higher where sales are cut.
    assert (found < 0.95 * roas(ds)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_all_media_together_lose_more_than_each_alone(kind: str) -> None:
    ds = world(kind)
    lost = ds["y"].transpose(*DIMS).values - sold(ds, {"TV": 0.0, "Radio": 0.0})
    wanted = 2.5 * lost.sum(axis=1) / ds["spend"].sum(("date", "channel"))
    assert_near(roas(ds, by="geo", realised=True), wanted)
    assert_near(estimands(ds, by="geo", realised=True)["roas"], wanted)
    if kind == "alone":
        alone = estimands(ds, realised=True)["contribution"].sum("channel")
        assert (alone < 0.95 * lost.sum(axis=1)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_carry_out_of_a_realised_return_ends_at_the_last_date(kind: str) -> None:
    ds = world(kind)
    dates = ds.indexes["date"]
    window = dates.slice_indexer(*WINDOW)
    today = ds["y"].transpose(*DIMS).values
    found = roas(ds, realised=True, with_carryout=True, window=WINDOW)
    for channel in ("TV", "Radio"):
        lost = (today - sold(ds, {channel: 0.0}, window))[:, window.start :].sum()
        spend = float(ds["spend"].sel(channel=channel)[window].sum())
        assert_near(found.sel(channel=channel), 2.5 * lost / spend)
    late = roas(ds, realised=True, with_carryout=True)
    assert_near(late, roas(ds, realised=True, with_carryout=True, within_data=True))
    assert_near(late, roas(ds, realised=True))


def test_without_a_capacity_realised_returns_are_latent() -> None:
    ds = world("alone", None)
    for function in (roas, mroas, cost_per_incremental, estimands):
        xr.testing.assert_identical(function(ds, realised=True), function(ds))
    high = world("alone", 100.0)
    assert_near(roas(high, realised=True), roas(high))
    assert_near(mroas(high, realised=True), mroas(high))


@pytest.mark.parametrize("kind", KINDS)
def test_a_counterfactual_keeps_the_noise_and_cuts_again(kind: str) -> None:
    ds = world(kind)
    before = (ds["noise"] + ds["lost_sales"]).transpose(*DIMS)
    for factor in (0.0, 0.5, 1.5):
        plan = change_investment(ds, channel="TV", by=factor - 1)
        other = simulate(ds, spend=plan)
        assert_near(other["y"].transpose(*DIMS), sold(ds, {"TV": factor}))
        assert_near(other["y"] - other["mu"], other["noise"], 1e-9, 1e4)
        assert_near((other["noise"] + other["lost_sales"]).transpose(*DIMS), before, 1e-9, 1e4)
        assert (other["y"] <= other["capacity"] * (1 + 1e-12)).all()
        assert (other["lost_sales"] >= 0).all()
        back = simulate(other, spend=ds["spend"])
        for name in ("y", "noise", "lost_sales"):
            assert_near(back[name], ds[name], 1e-9, 1e4)
    less = simulate(ds, spend=change_investment(ds, channel="TV", to=0.0))
    assert float(less["lost_sales"].sum()) < 0.9 * float(ds["lost_sales"].sum())
    assert simulate(ds, spend=ds["spend"]).identical(ds)


def test_multiplicative_sales_keep_the_share_of_the_noise() -> None:
    """With a log link, noise multiplies sales: cell by cell, from the change of expected sales."""
    noise = {"kind": "lognormal", "shared": 0.3}
    regions = {"noise": noise, "outliers": {"share": 0.1}, "capacity": 1.35}
    ds = quietly(lambda: m.generate_mmm_dataset("clean", link="log", regions=regions))
    assert 0.05 < float((ds["lost_sales"] > 0).mean()) < 0.95
    assert_near(ds["capacity"], 1.35 * ds["intercept_contribution"])
    size = abs(ds["outlier_contribution"]).where(ds["outlier_contribution"] != 0) / ds["mu"]
    wanted = 5.0 * np.sqrt(np.expm1(ds["y_sigma"].item() ** 2))
    assert_near(size.values[size.notnull().values], wanted)
    found, slope = roas(ds, realised=True), mroas(ds, realised=True)
    ratio = ((ds["noise"] + ds["lost_sales"]) / ds["mu"]).values.tolist()

    def sales(factor: float, channel: str) -> float:
        other = simulate(ds, spend=factor * ds["spend"].sel(channel=channel))["mu"]
        cells = zip(other.values.tolist(), ratio, strict=True)
        limit = ds["capacity"].item()
        return sum(min(mu[0] * (1 + share[0]), limit) for mu, share in cells)

    for channel in ds["channel"].values:
        lost = sales(1.0, channel) - sales(0.0, channel)
        assert_near(found.sel(channel=channel), lost / spent(ds, channel))
        rise = (sales(1 + 1e-6, channel) - sales(1 - 1e-6, channel)) / 2e-6
        assert_near(slope.sel(channel=channel), rise / spent(ds, channel), 1e-5)
    assert (found < roas(ds)).all()


@pytest.mark.parametrize("noise", ["ar1", "lognormal"])
def test_reacting_realised_returns_are_those_of_counterfactuals(noise: str) -> None:
    channels = [
        {"name": "TV", "base_effectiveness": 0.1, "spend_volatility": 0.4},
        {
            "name": "Radio",
            "base_effectiveness": 0.1,
            "budget_rule": {"kind": "share_of_sales", "share": 0.05},
        },
    ]
    regions = {"n_regions": 2, "noise": noise, "capacity": 1.2, "outliers": {"share": 0.1}}
    config = {"n_periods": 40, "seed": 1, "channels": channels, "regions": regions}
    ds = quietly(lambda: m.generate_mmm_dataset(config))
    found = roas(ds, realised=True, reacting=True)
    slope = mroas(ds, realised=True, reacting=True)

    def earned(factor: float, channel: str) -> float:
        spend = factor * ds["spend"].sel(channel=channel)
        return float(simulate(ds, spend=spend, reacting=True)["y"].sum())

    for channel in ("TV", "Radio"):
        lost = float(ds["y"].sum()) - earned(0.0, channel)
        assert_near(found.sel(channel=channel), lost / spent(ds, channel))
        rise = (earned(1 + 1e-6, channel) - earned(1 - 1e-6, channel)) / 2e-6
        assert_near(slope.sel(channel=channel), rise / spent(ds, channel), 1e-5)
    assert (abs(found - roas(ds, realised=True)) > 1e-6).any()
    assert (found < roas(ds, reacting=True)).all()


RETURNS: list[Callable[..., Any]] = [roas, mroas, estimands]


@pytest.mark.parametrize("chunks", [None, 2])
@pytest.mark.parametrize("function", RETURNS)
def test_realised_returns_of_an_ensemble(function: Callable[..., Any], chunks: int | None) -> None:
    vary = {"regions.capacity": [1.05, 1.2, 1.5], "regions.outliers.size": m.Uniform(2.0, 6.0)}
    regions = {"capacity": 1.2, "outliers": {}, "noise": {"kind": "gaussian", "level_power": 1.0}}
    ds = quietly(lambda: generate_ensemble("basic", n=3, vary=vary, chunks=chunks, regions=regions))
    found = quietly(lambda: function(ds, realised=True).compute())
    for position in range(3):
        one = quietly(lambda position=position: element(ds, position).compute())
        assert m.regenerate(one).identical(one)
        wanted = function(one, realised=True)
        for name in [None] if isinstance(wanted, xr.DataArray) else wanted.data_vars:
            pair = (found, wanted) if name is None else (found[name], wanted[name])
            assert_near(pair[0].isel(dataset=position), pair[1])


def test_a_sum_over_geos_has_no_realised_return() -> None:
    with pytest.raises(m.SchemaError):
        roas(world("alone").mmm.aggregate(), realised=True)
