"""Curves, joint returns and the best split of channels that act on each other, against loops."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import mmm_xgen as m
from mmm_xgen.truth import mroas, optimize_allocation, regret, response_curve, roas
from tests.drawn_worlds import drawn_world, worlds
from tests.scalar_world import ScalarWorld, near, slope
from tests.strategies import config_with, examples, generate, steady

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")


def window_only(world: ScalarWorld, channel: int, factor, n: int):
    return world.scaled(world.spend(), channel, factor, 0, n)


@given(config=worlds(max_periods=12))
@examples(0.2)
def test_a_curve_is_what_a_channel_adds_at_each_level(config) -> None:
    """Sales with the window's spend multiplied, less sales without the channel on all dates."""
    ds = drawn_world(config)
    world, n = ScalarWorld(ds), ds.sizes["date"]
    grid = [0.0, 0.5, 1.0, 2.0]
    curve = response_curve(ds, multipliers=grid)
    size = np.sum(world.sales(world.spend()))
    for c in range(ds.sizes["channel"]):
        base = np.sum(world.sales(world.scaled(world.spend(), c, 0.0)))
        for k, factor in enumerate(grid):
            made = np.sum(world.sales(window_only(world, c, factor, n))) - base
            near(curve["contribution"].transpose("channel", "multiplier")[c, k], made, size=size)


@given(config=worlds(max_periods=12, without=("kinks",)))
@examples(0.12)
def test_the_slope_of_a_curve_is_a_central_difference(config) -> None:
    ds = drawn_world(config)
    world, n = ScalarWorld(ds), ds.sizes["date"]
    spent = ds["spend"].sum(("date", "geo")).values
    found = response_curve(ds, multipliers=[1.0])["marginal_return"].values.ravel()
    for c in range(ds.sizes["channel"]):
        change = slope(lambda h, c=c: [sum(world.revenue(window_only(world, c, 1 + h, n)))])[0]
        near(found[c], change / spent[c], size=sum(world.revenue(world.spend())) / spent[c])


@given(config=worlds(max_periods=12))
@examples(0.2)
def test_the_curve_of_all_media_is_their_sales(config) -> None:
    ds = drawn_world(config)
    world, grid = ScalarWorld(ds), [0.0, 0.5, 1.0, 2.0]
    curve = response_curve(ds, multipliers=grid, by="total")["contribution"]
    size = float(abs(ds["mu"]).sum())
    for k, factor in enumerate(grid):
        near(curve[k], np.sum(world.sales(world.spend(factor * ds["spend"]))), size=size)


@given(config=worlds(max_periods=12))
@examples(0.2)
def test_the_return_of_a_geo_is_that_of_all_its_media(config) -> None:
    ds = drawn_world(config)
    world = ScalarWorld(ds)
    spent = ds["spend"].sum(("date", "channel")).values
    revenue = np.array(world.revenue(world.spend()))
    near(roas(ds, "geo"), revenue / spent)


@given(config=worlds(max_periods=12, without=("kinks",)))
@examples(0.2)
def test_the_marginal_return_of_a_geo_is_that_of_all_its_media(config) -> None:
    ds = drawn_world(config)
    world = ScalarWorld(ds)
    spent = ds["spend"].sum(("date", "channel")).values

    def earned(h: float) -> list[float]:
        spend = [[[(1 + h) * x for x in series] for series in geo] for geo in world.spend()]
        return world.revenue(spend)

    near(
        mroas(ds, "geo"),
        np.array(slope(earned)) / spent,
        size=max(world.revenue(world.spend())) / spent.min(),
    )


@given(config=worlds(max_periods=12), seed=st.integers(0, 99))
@examples(0.08)
def test_no_split_beats_the_best(config, seed: int) -> None:
    ds = drawn_world(config)
    world, random = ScalarWorld(ds), np.random.default_rng(seed)
    historic = ds["spend"].sum(("date", "geo"))
    best = optimize_allocation(ds)
    media = sum(world.revenue(world.spend()))
    # Nothing is proven for connected channels, but no other split may be found that is better.
    gap = np.nan_to_num(float(best["gap_bound"]), posinf=0.0)
    assert abs(float(regret(ds, best)["regret_revenue"])) <= 1e-6 * abs(media) + gap
    for _ in range(20):
        shares = random.dirichlet(np.ones(ds.sizes["channel"]))
        split = xr.DataArray(
            shares * float(historic.sum()), coords={"channel": ds["channel"].values}
        )
        assert float(regret(ds, split)["regret_revenue"]) >= -1e-6 * abs(media) - gap


@pytest.mark.parametrize("paid", [True, False])
def test_a_funnel_that_takes_more_than_all_media_is_refused_or_stops_at_0(paid: bool) -> None:
    """strength * response below -1 makes negative spend or negative media."""
    tv = steady("TV", saturation="no_saturation")
    funnel = {"source": "TV", "target": "Search", "strength": -0.9, "paid": paid}
    try:
        ds = generate(config_with(tv, steady("Search"), funnels=[funnel]))
    except m.ConfigError as error:
        assert "funnels.0" in str(error)
        return
    assert (ds["spend"] >= 0).all()
    assert "exposure" not in ds or (ds["exposure"] >= 0).all()
