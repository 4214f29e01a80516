"""Spend that answers to an intervention, against generation with the intervention as a test."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen.ensemble import generate_ensemble
from mmm_xgen.truth import (
    attribution,
    cost_per_incremental,
    mroas,
    predict_impact,
    roas,
    simulate,
)
from tests.truth.worlds import assert_near

MECHANISMS: dict[str, Any] = {
    "demand": {"effect": 0.05},
    "funnels": [
        {"source": "TV", "target": "Search", "strength": 0.4, "lag": 1},
        {"source": "Social", "target": "Radio", "strength": 0.3, "paid": True},
    ],
    "interactions": [{"channels": ["TV", "Radio"], "strength": 0.05}],
    "mediators": [{"name": "Aware", "parents": {"TV": 0.5, "Radio": 0.3}, "effect": 0.05}],
}
RULES: dict[str, dict[str, Any]] = {
    "TV": {"effect_path": {"kind": "smooth"}, "pull_forward": {"share": 0.4}},
    "Search": {"budget_rule": {"kind": "follows_demand", "strength": 0.3}},
    "Radio": {"budget_rule": {"kind": "share_of_sales", "share": 0.05, "lag": 2}},
    "Social": {"budget_rule": {"kind": "chases_target", "strength": 1.5}},
}
CHASING = {name: rule for name, rule in RULES.items() if name in ("Search", "Social")}


def config_of(
    noise: str = "gaussian", rules: dict[str, Any] = RULES, connected: bool = True, **config: Any
) -> dict[str, Any]:
    channels = [
        {"name": name, "base_spend": 900.0, "base_effectiveness": 0.08, **rules.get(name, {})}
        for name in ("TV", "Search", "Radio", "Social")
    ]
    settings = {
        "n_periods": 40,
        "seed": 3,
        "burn_in_periods": 4,
        "channels": channels,
        "regions": {"n_regions": 3, "channel_param_variation": 0.2, "noise": {"kind": noise}},
    }
    return {**settings, **(MECHANISMS if connected else {"demand": {"effect": 0.05}}), **config}


def made(config: dict[str, Any], **more: Any) -> xr.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", m.XgenWarning)
        return m.generate_mmm_dataset(config, **more)


def with_test(config: dict[str, Any], channel: str, change: float, ds: xr.Dataset) -> xr.Dataset:
    """The dataset generated with a test of one channel in all geos on all dates."""
    test = {"channel": channel, "start_period": 0, "n_periods": 40, "change": change}
    return made({**config, "experiments": [test]}, params=ds[["effect", "y_sigma"]])


CASES = [
    ("gaussian", RULES, True, "TV", -1.0),
    ("ar1", RULES, True, "Social", 0.5),
    ("lognormal", RULES, True, "TV", 0.5),
    ("student_t", CHASING, True, "Search", -1.0),
    ("ar1", CHASING, False, "TV", -1.0),
]


@pytest.mark.parametrize(("noise", "rules", "connected", "channel", "change"), CASES)
def test_the_others_answer_as_if_generated(
    noise: str, rules: dict[str, Any], connected: bool, channel: str, change: float
) -> None:
    config = config_of(noise, rules, connected)
    ds = made(config)
    plan = ds["spend"].sel(channel=channel)
    if channel in rules and "budget_rule" in rules[channel]:
        # The test changes the plan, before the rule.
        plan = ds["spend_plan"].sel(channel=channel)
    then = simulate(ds, spend=(1 + change) * plan, reacting=True)
    wanted = with_test(config, channel, change, ds)
    for name in ("spend", "carryover", "saturated", "channel_contribution", "mu", "y"):
        assert_near(then[name], wanted[name], size=float(abs(wanted[name]).max()))
    if connected:
        for name in ("mediator_contribution", "interaction_contribution"):
            assert_near(then[name], wanted[name], size=float(abs(wanted[name]).max()))
    held = simulate(ds, spend=(1 + change) * plan)
    others = ds["channel"] != channel
    assert_near(held["spend"].where(others, 0.0), ds["spend"].where(others, 0.0))
    if channel != "Search":
        assert float(abs(held["mu"] - then["mu"]).max()) > 1e-4 * float(ds["mu"].mean())


def test_returns_count_the_answers() -> None:
    ds = made(config_of(burn_in_periods=0))
    price, step = ds["revenue_per_kpi"], 1e-4
    figures = {
        "roas": roas(ds, reacting=True),
        "share": attribution(ds, reacting=True),
        "cost": cost_per_incremental(ds, reacting=True),
        "mroas": mroas(ds, reacting=True),
        "difference": mroas(ds, reacting=True, delta=1e-6),
    }
    for channel in ("TV", "Social"):
        found = {name: values.sel(channel=channel) for name, values in figures.items()}
        own = ds["spend"].sel(channel=channel)
        off, less, more = (
            simulate(ds, spend=factor * own, reacting=True)["mu"]
            for factor in (0.0, 1 - step, 1 + step)
        )
        assert_near(found["roas"], ((ds["mu"] - off) * price).sum() / own.sum())
        assert_near(found["share"], (ds["mu"] - off).sum() / ds["mu"].sum())
        assert_near(found["cost"], own.sum() / (ds["mu"] - off).sum())
        rise = ((more - less) * price).sum() / (2 * step) / own.sum()
        assert_near(found["mroas"], rise, 1e-5)
        assert_near(found["difference"], rise, 1e-3)
    assert not np.allclose(figures["roas"], roas(ds), rtol=1e-3)


def test_geos_can_be_selected() -> None:
    ds = made(config_of("ar1"))
    plan = 0.5 * ds["spend"].sel(channel="TV")
    whole = simulate(ds, spend=plan, reacting=True)
    part = ds.isel(geo=[2, 0])
    found = simulate(part, spend=plan.isel(geo=[2, 0]), reacting=True)
    for name in ("spend", "mu", "y"):
        assert_near(found[name], whole[name].isel(geo=[2, 0]))


def test_where_nothing_answers_held_and_reacting_are_the_same() -> None:
    config = config_of(rules={}, connected=False)
    ds = made(config)
    plan = 0.5 * ds["spend"].sel(channel="TV")
    assert simulate(ds, spend=plan, reacting=True).identical(simulate(ds, spend=plan))
    assert_near(roas(ds, reacting=True), roas(ds))
    given = made(config_of(), spend=ds[["spend", "spend_history"]])
    assert simulate(given, spend=plan, reacting=True).identical(simulate(given, spend=plan))


def test_todays_spend_is_the_answer_to_itself() -> None:
    ds = made(config_of())
    assert simulate(ds, spend=ds["spend"], reacting=True).identical(ds)
    once = simulate(ds, spend=0 * ds["spend"].sel(channel="TV"), reacting=True)
    with pytest.raises(m.SchemaError, match="counterfactual"):
        simulate(once, spend=ds["spend"].sel(channel="TV"), reacting=True)
    several = generate_ensemble(config_of(connected=False, rules=CHASING), n=2)
    with pytest.raises(m.SchemaError, match="ensemble"):
        roas(several, reacting=True)


def test_borrowed_sales_are_missing_after_a_change() -> None:
    """A change in one month moves sales of the weeks after it, which carry-over does not reach."""
    pull = {"TV": {"adstock_fun": "no_adstock", "pull_forward": {"share": 0.4, "periods": 6}}}
    ds = made(config_of(rules=pull, connected=False))
    plan = ds["spend"].where(ds["date"].dt.month != 3, 0.0)
    then = simulate(ds, spend=plan)
    assert_near(then["channel_contribution"], m.respond(plan, ds), size=1.0)
    rise = (then["mu"] - ds["mu"]).sel(date=slice("2022-04-10", "2022-05-01"))
    assert (rise.sum("date") > 0).all()
    # Of a week that ends early enough, all that is borrowed is missing.
    impact = predict_impact(ds, channel="TV", window=("2022-03-07", "2022-03-13"), by=0.5)
    week = ds["date"] == np.datetime64("2022-03-07")
    more = m.respond(ds["spend"].where(~week, 1.5 * ds["spend"]), ds).sel(channel="TV")
    added = (more - ds["channel_contribution"].sel(channel="TV")).sum()
    assert_near(impact["incremental_sales_with_carryout"], added)
    assert_near(added / 0.6, impact["incremental_sales"])
    assert impact.attrs["carryout_periods"] == 6
    assert bool(impact["complete"])
    late = predict_impact(ds, channel="TV", window=slice("2022-09-19", None), by=0.5)
    assert not bool(late["complete"])


@pytest.mark.parametrize("competitor", [None, {"answer": 0.5, "dampening": 0.2}])
def test_the_return_of_a_geo_is_without_all_of_its_media(competitor: dict[str, Any] | None) -> None:
    config = config_of(burn_in_periods=0, competitor=competitor)
    ds = made(config)
    tests = [
        {"channel": str(name), "start_period": 0, "n_periods": 40, "change": -1.0}
        for name in ds["channel"].values
    ]
    off = made({**config, "experiments": tests}, params=ds[["effect", "y_sigma"]])
    lost = (ds["mu"] - off["mu"]).sum("date")
    spent = ds["spend"].sum(("date", "channel"))
    assert_near(roas(ds, "geo", reacting=True), lost / spent)
    exact, finite = (mroas(ds, "geo", reacting=True, delta=delta) for delta in (None, 1e-6))
    np.testing.assert_allclose(exact, finite, rtol=1e-4)
