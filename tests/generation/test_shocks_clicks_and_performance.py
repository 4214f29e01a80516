"""Budget rules: shocks of policy, paid clicks, and geos that get more where they perform."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mmm_xgen as m
from mmm_xgen import truth
from mmm_xgen.ensemble import element
from mmm_xgen.errors import ConfigError
from tests.strategies import generate, same, steady

GEOS = {"n_regions": 3, "channel_param_variation": 0.2}


def world(*channels: dict[str, Any], **fields: Any) -> m.MMMDataConfig:
    base = {"n_periods": 60, "seed": 3, "regions": GEOS, "demand": {"effect": 0.05}}
    return m.MMMDataConfig(**base | {"channels": list(channels)} | fields)


def ruled(name: str = "TV", **rule: Any) -> dict[str, Any]:
    return steady(name) | {"budget_rule": rule}


def test_a_shock_moves_all_its_channels_and_geos_alike() -> None:
    shocked = {"kind": "follows_forecast", "strength": 0.0, "shock": 0.3}
    ds = generate(world(ruled(**shocked), ruled("Radio", **shocked), steady("Print")))
    moved = np.log(ds["spend"] / ds["spend_plan"]) + 0.3**2 / 2
    first = moved.sel(channel="TV").isel(geo=0, drop=True)
    same(moved.sel(channel=["TV", "Radio"]), first.broadcast_like(moved.isel(channel=[0, 1])))
    assert float(abs(moved.sel(channel="Print") - 0.045).max()) < 1e-12
    assert 0.2 < float(first.std()) < 0.4


def test_a_shock_of_one_channel_leaves_the_draws_of_others() -> None:
    plain = {"kind": "follows_forecast", "strength": 0.2}
    without = generate(world(ruled(**plain), ruled("Radio", **plain)))
    with_it = generate(world(ruled(**plain, shock=0.3), ruled("Radio", **plain)))
    assert without["spend"].sel(channel="Radio").identical(with_it["spend"].sel(channel="Radio"))
    assert not without["spend"].sel(channel="TV").equals(with_it["spend"].sel(channel="TV"))


def test_a_platform_reports_the_clicks_that_come_anyway() -> None:
    rule = {"kind": "search", "cost_per_click": 2.0, "substitution": 0.4}
    search = ruled("Search", **rule) | {"roas": 1.5}
    ds = generate(world(search, steady("TV")))
    net, reported = ds["channel_contribution"], ds["reported_sales"]
    same(reported.sel(channel="Search"), net.sel(channel="Search") / 0.6)
    same(reported.sel(channel="TV"), net.sel(channel="TV"))
    same(ds["clicks"].sel(channel="Search"), ds["spend"].sel(channel="Search") / 2)
    assert (ds["clicks"].sel(channel="TV") == 0).all()
    same(truth.roas(ds).sel(channel="Search"), 1.5)
    plain = generate(world(search | {"budget_rule": {"kind": "search"}}, steady("TV")))
    assert plain["mu"].identical(ds["mu"])
    doubled = truth.simulate(ds, spend=2 * ds["spend"])
    same(doubled["clicks"], 2 * ds["clicks"])
    same(
        doubled["reported_sales"].sel(channel="Search"),
        doubled["channel_contribution"].sel(channel="Search") / 0.6,
    )
    same(doubled["mu"] - ds["mu"], (doubled["channel_contribution"] - net).sum("channel"))


@pytest.mark.parametrize("substitution", [1.0, -0.1])
def test_a_substitution_that_leaves_nothing_is_refused(substitution: float) -> None:
    with pytest.raises(ConfigError, match=r"channels\.0\.budget_rule\.substitution"):
        world(ruled(kind="search", substitution=substitution))


@pytest.mark.parametrize("strength", [-1.0, 2.0])
def test_performance_moves_the_plan_between_geos(strength: float) -> None:
    rule = {"kind": "chases_performance", "strength": strength}
    ds = generate(world(ruled(**rule), steady("Print"), demand=None))
    same(ds["spend"].sum("geo"), ds["spend_plan"].sum("geo"))
    rate = (ds["effect"] / ds["base_spend"]).sel(channel="TV")
    share = (ds["spend"] / ds["spend_plan"]).sel(channel="TV")
    expected = (rate / rate.mean()) ** strength
    same(share / share.isel(geo=0), (expected / expected.isel(geo=0)).broadcast_like(share))
    assert float(abs(share - 1).max()) > 0.05
    # The rule answers to no sales, so a policy has the effect of its own spend.
    same(truth.roas(ds, reacting=True), truth.roas(ds))


def test_performance_of_a_placebo_and_of_one_geo_changes_nothing() -> None:
    rule = {"kind": "chases_performance", "strength": 3.0}
    placebo = ruled(**rule) | {"base_effectiveness": 0.0}
    for config in (
        world(placebo, demand=None),
        world(ruled(**rule), demand=None, regions={"n_regions": 1}),
    ):
        ds = generate(config)
        same(ds["spend"], ds["spend_plan"])


def test_datasets_of_an_ensemble_are_those_made_alone() -> None:
    config = world(
        ruled(kind="follows_forecast", shock=0.1),
        ruled("Search", kind="search"),
        ruled("Radio", kind="chases_performance"),
    )
    varied = {
        "channels.TV.budget_rule.shock": m.Uniform(0, 0.3),
        "channels.Search.budget_rule.substitution": m.Uniform(0, 0.6),
        "channels.Radio.budget_rule.strength": m.Uniform(0, 2),
    }
    made = m.generate_ensemble(config, n=3, vary=varied)
    for dataset in range(3):
        one = element(made, dataset)
        assert m.regenerate(one).identical(one)
