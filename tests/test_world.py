"""The structural function from spend to sales, against plain loops over its equations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import mmm_xgen as m
from mmm_xgen.labelled_world import total_response
from mmm_xgen.truth import simulate
from tests.drawn_worlds import RULES, drawn_world, worlds
from tests.scalar_baseline import ScalarBaseline
from tests.scalar_world import ScalarWorld, as_array, near
from tests.strategies import examples, generate, same

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")

DIMS = ("date", "geo", "channel")


def assert_made_by(ds: xr.Dataset, spend: Any) -> None:
    """Assert that every stage and part of the Dataset is what loops make of the spend."""
    world = ScalarWorld(ds)
    made = world.stages(spend)
    for name in ("exposure", "carryover", "saturated"):
        if name in ds:
            near(ds[name].transpose(*DIMS), as_array(made[name]))
    size = abs(ds["channel_contribution"]).max()
    for name in ("channel", "interaction", "mediator"):
        if name in ds.dims:
            shown = ds[f"{name}_contribution"].transpose("date", "geo", name)
            near(shown, as_array(made[f"{name}_contribution"]), size=size)
    without = as_array(ScalarBaseline(ds).total())
    near(ds["mu"].transpose("date", "geo"), without + as_array(world.sales(spend)))


def another_plan(ds: xr.Dataset, seed: int) -> xr.DataArray:
    """Spend of any size, some of it 0, on the labels of a Dataset."""
    random = np.random.default_rng(seed)
    factor = random.uniform(0.0, 2.5, ds["spend"].shape) * (random.random(ds["spend"].shape) > 0.2)
    return ds["spend"] * factor


@given(config=worlds())
@examples(0.5)
def test_every_part_of_sales_is_what_loops_make(config: dict[str, Any]) -> None:
    ds = drawn_world(config)
    world = ScalarWorld(ds)
    for g, geo in enumerate(world.weights):
        for c, weights in enumerate(geo):
            near(ds["adstock_weights"].values[g, c, : len(weights)], weights)
    assert_made_by(ds, world.spend())
    near(ds["y"] - ds["noise"], ds["mu"])


@given(config=worlds(), seed=st.integers(0, 2**32 - 1))
@examples(0.5)
def test_any_other_spend_makes_what_loops_make(config: dict[str, Any], seed: int) -> None:
    ds = drawn_world(config)
    plan = another_plan(ds, seed)
    world = ScalarWorld(ds)
    made = world.stages(world.spend(plan))
    near(m.respond(plan, ds).transpose(*DIMS), as_array(made["channel_contribution"]))
    together = total_response(plan, ds).transpose("date", "geo")
    near(together, as_array(world.sales(world.spend(plan))))
    other = simulate(ds, spend=plan)
    assert_made_by(other, world.spend(plan))
    size = float(abs(ds["mu"]).max())
    if not {"link", "response"} & {*config} and "capacity" not in config["regions"]:
        near(other["y"] - other["mu"], ds["noise"], size=size)
    xr.testing.assert_identical(simulate(ds, spend=ds["spend"]), ds)


# A competitor and campaigns follow the plan.
@given(config=worlds(without=("competitor", "campaigns")), seed=st.integers(0, 2**32 - 1))
@examples(0.4)
def test_given_spend_is_not_changed_by_rules_or_funnels(config: dict[str, Any], seed: int) -> None:
    """Spend that the user gives is what was paid, so that only media without spend rise."""
    for channel in config["channels"]:
        # Wear-out follows the spend that is generated.
        if channel.get("effect_path", {}).get("kind") == "wear_out":
            del channel["effect_path"]
    ds = drawn_world(config)
    plan = another_plan(ds, seed)
    given_spend = xr.Dataset({"spend": plan, "control_value": ds["control_value"]})
    if "spend_history" in ds:
        given_spend["spend_history"] = ds["spend_history"]
    other = generate(config, spend=given_spend, params=ds)
    same(other["spend"], plan, 1e-12)
    assert_made_by(other, ScalarWorld(ds).spend(plan))


def answer(rule: dict[str, Any] | None, demand: list[float]) -> list[float]:
    """Spend relative to the plan, by period."""
    keys = {"kind": "planned"} if rule is None else rule
    if keys["kind"] == "planned":
        return [1.0] * len(demand)
    strength = keys.get("strength", keys.get("elasticity"))
    lag = keys.get("lag", 0)
    moved = [
        math.exp(strength * demand[max(t - lag, 0)] - strength**2 / 2) for t in range(len(demand))
    ]
    return [min(each, keys["cap"]) for each in moved] if keys.get("cap") else moved


@given(config=worlds())
@examples(0.5)
def test_spend_is_the_plan_after_rules_and_paid_funnels(config: dict[str, Any]) -> None:
    config["burn_in_periods"] = 0
    for channel in config["channels"]:
        if channel.get("budget_rule", {}).get("kind") == "follows_forecast":
            channel["budget_rule"] = {"kind": "search", **RULES["search"]}
    ds = drawn_world(config)
    plan = ds["spend_plan"] if "spend_plan" in ds else ds["spend"]
    paid = any(funnel["paid"] for funnel in config["funnels"])
    ruled = any("budget_rule" in channel for channel in config["channels"])
    assert paid or ruled or "spend_plan" not in ds
    spend = ScalarWorld(ds).spend(plan)
    for g, geo in enumerate(spend):
        for c, channel in enumerate(config["channels"]):
            if "demand" in ds:
                demand = ds["demand"].transpose("geo", "date").values[g].tolist()
                rule = answer(channel.get("budget_rule"), demand)
                geo[c] = [planned * factor for planned, factor in zip(geo[c], rule, strict=True)]
    made = ScalarWorld(ds).stages(spend, reacting=True)
    near(ds["spend"].transpose(*DIMS), as_array(made["spend"]))


@given(config=worlds())
@examples(0.4)
def test_strengths_are_shares_of_base_sales(config: dict[str, Any]) -> None:
    ds = drawn_world(config)
    # With the log link, shares are log points.
    is_log = config.get("link") == "log"
    base = xr.ones_like(ds["geo_scale"]) if is_log else ds["intercept_contribution"]
    for p, pair in enumerate(config["interactions"]):
        near(ds["interaction_strength"].isel(interaction=p), pair["strength"] * base)
    for f, funnel in enumerate(config["funnels"]):
        near(ds["funnel_strength"].isel(funnel=f), [funnel["strength"]] * ds.sizes["geo"])
    if "demand" in config:
        expected = config["demand"]["effect"] * base * ds["demand"]
        name = "log_demand" if is_log else "demand_contribution"
        near(ds[name], expected.transpose("date", "geo"))
        assert not ds["control_contribution"].sel(control="Queries").any()
