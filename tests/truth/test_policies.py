"""A policy in a random world equals the world that is generated under it."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mmm_xgen.truth import roas, simulate
from tests.drawn_worlds import MECHANISMS, drawn_world, worlds
from tests.strategies import examples, same

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")

# Rules that answer to sales, and those that do not.
RULES: list[dict[str, Any] | None] = [
    None,
    {"kind": "chases_target", "strength": 1.5, "lag": 2},
    {"kind": "share_of_sales", "share": 0.05},
]
# Observed after the policy, or a plan that the policy replaces.
OTHERS = {"control_value", "noise", "spend_plan", "sales_plan", "lost_sales"}


@st.composite
def reacting_worlds(draw: st.DrawFn, on: Collection[str] = ()) -> dict[str, Any]:
    config = draw(worlds(max_periods=20, on=on))
    for channel in config["channels"]:
        if rule := draw(st.sampled_from(RULES)):
            channel["budget_rule"] = rule
        if channel.get("effect_path", {}).get("kind") == "wear_out":
            # Wear-out follows the spend that is generated.
            channel["effect_path"] = {"kind": "smooth", "sd": 0.3}
    return config


def under(config: dict[str, Any], channel: str, change: float) -> dict[str, Any]:
    """Configuration with the spend of a channel changed on all dates, its effects given."""
    made = copy.deepcopy(config)
    for each in made["channels"]:
        each.pop("roas", None)
    test = {"channel": channel, "start_period": 0, "n_periods": made["n_periods"]}
    return made | {"experiments": [test | {"change": change}]}


def noise_is_held(config: dict[str, Any]) -> bool:
    """True if the noise in KPI units is the same in both worlds: it does not follow sales."""
    regions = config["regions"]
    follows = regions["noise"].get("level_power") or regions.get("capacity")
    return not follows and not {"link", "response"} & {*config}


@pytest.mark.parametrize("mechanism", MECHANISMS)
@given(data=st.data(), position=st.integers(0, 1), change=st.sampled_from([-1.0, -0.4, 0.5]))
@examples(0.08)
def test_a_policy_equals_the_world_generated_under_it(
    mechanism: str, data: st.DataObject, position: int, change: float
) -> None:
    config = data.draw(reacting_worlds(on=(mechanism,)))
    ds = drawn_world(config)
    # Rules see what sales were before they were clipped at 0, which noise does not say any more.
    assume(bool((ds["y"] > 0).all()))
    channel = config["channels"][position]["name"]
    tested = under(config, channel, change)
    anew = drawn_world(tested, params=ds[["effect", "y_sigma"]])
    made = simulate(ds, spend=anew["spend"].sel(channel=channel), reacting=True)
    others = OTHERS if noise_is_held(config) else OTHERS | {"y", "outlier_contribution"}
    for name in {*anew.data_vars} - others:
        if "date" in anew[name].dims and anew[name].size:
            same(made[name], anew[name], scale=abs(anew[name]).max())


@given(config=reacting_worlds(), position=st.integers(0, 1))
@examples(0.3)
def test_the_return_of_a_policy_is_the_revenue_lost_without_it(
    config: dict[str, Any], position: int
) -> None:
    """Against the world generated without the channel, its history kept."""
    config["burn_in_periods"] = 0
    ds = drawn_world(config)
    assume(bool((ds["y"] > 0).all()))
    channel = config["channels"][position]["name"]
    anew = drawn_world(under(config, channel, -1.0), params=ds[["effect", "y_sigma"]])
    price = config["revenue_per_kpi"]
    lost = price * float((ds["mu"] - anew["mu"]).sum())
    spent = float(ds["spend"].sel(channel=channel).sum())
    found = float(roas(ds, reacting=True).sel(channel=channel))
    size = price * float(ds["mu"].sum()) / spent
    np.testing.assert_allclose(found, lost / spent, rtol=1e-6, atol=1e-9 * size)
