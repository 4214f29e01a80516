"""Random worlds with many mechanisms at once: a policy equals the world generated under it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import mmm_xgen as m
from mmm_xgen import truth
from mmm_xgen.schema import PARTS
from tests.strategies import examples, generate, same

N_PERIODS = 30
NAMES = ("A", "B", "C")
RULES: list[dict[str, Any] | None] = [
    None,
    {"kind": "follows_demand", "strength": 0.2},
    {"kind": "follows_forecast", "shock": 0.3},
    {"kind": "search", "substitution": 0.3},
    {"kind": "chases_performance", "strength": 1.5},
    {"kind": "chases_target", "strength": 1.5, "lag": 2},
    {"kind": "share_of_sales", "share": 0.05},
]
CAMPAIGNS = [{"name": "x", "quality": 0.4}, {"name": "y", "share": 2, "volatility": 0.8}]
CONTROLS = [
    {"name": "Cost", "moves_spend": {"A": 0.3}},
    {"name": "Visits", "follows_sales": 0.5, "follows_spend": {"B": 0.3}},
]
# Keys of a channel and blocks of a configuration that a world may have.
OF_CHANNEL = {"campaigns": CAMPAIGNS, "effect_path": "smooth", "pull_forward": {"share": 0.4}}
BLOCKS: dict[str, Any] = {
    "control_variables": CONTROLS,
    "competitor": {"share": 0.05, "answer": 0.7, "dampening": 0.4},
    "interactions": [{"channels": ["A", "C"], "strength": 0.03}],
    "mediators": [{"name": "M", "parents": {"A": 0.5}}],
    "promotions": [{"name": "Sale", "answer": 1.0, "pull_forward": {}}],
    "transforms": {"adstock_first": False},
}
# The same of the geos.
OF_GEOS: dict[str, Any] = {"level_path": "random_walk", "season_path": "smooth", "season_shift": 5}


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, Any]:
    def some(fields: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in fields.items() if draw(st.booleans())}

    channels = [
        {"name": name, "pattern": draw(st.sampled_from(["on_off", "seasonal"]))}
        | draw(st.sampled_from([{"roas": 1.5}, {"base_effectiveness": 0.05}]))
        | {"budget_rule": draw(st.sampled_from(RULES)), "shared": draw(st.booleans())}
        | some(OF_CHANNEL)
        for name in NAMES
    ]
    funnels = [
        {"source": source, "target": target, "strength": 0.3, "paid": draw(st.booleans())}
        | {"lag": draw(st.integers(0, 1))}
        for source, target in (("A", "B"), ("B", "C"))
        if draw(st.booleans())
    ]
    noise = {"kind": draw(st.sampled_from(["gaussian", "ar1"])), "sales_volatility": 0.03}
    noise |= some({"shared": 0.5})
    regions = {"n_regions": draw(st.integers(1, 3)), "channel_param_variation": 0.2} | some(OF_GEOS)
    regions |= some({"outliers": {"share": 0.1}, "capacity": 1.25})
    return {
        "n_periods": N_PERIODS,
        "seed": draw(st.integers(0, 10**6)),
        "burn_in_periods": draw(st.sampled_from([0, 3])),
        "channels": channels,
        "demand": {"effect": 0.05},
        "funnels": funnels,
        "regions": regions | {"noise": noise},
    } | some(BLOCKS)


@examples(0.4)
@given(worlds(), st.sampled_from(NAMES), st.sampled_from([-1.0, 0.5]))
def test_a_policy_equals_the_world_generated_under_it(
    config: dict[str, Any], channel: str, change: float
) -> None:
    ds = generate(config)
    parts = [ds[name] for name in PARTS if name in ds]
    sums = [each.sum([dim for dim in each.dims if dim not in ("date", "geo")]) for each in parts]
    same(sum(sums[1:], sums[0]), ds["mu"], scale=abs(ds["mu"]).max())
    for each in config["channels"]:
        if "roas" in each:
            same(truth.roas(ds).sel(channel=each["name"]), 1.5)
    assert m.regenerate(ds).identical(ds)

    bare = [{key: each[key] for key in each if key != "roas"} for each in config["channels"]]
    test = {"channel": channel, "start_period": 0, "n_periods": N_PERIODS, "change": change}
    tested = config | {"channels": bare, "experiments": [test]}
    anew = generate(tested, params=ds[["effect", "y_sigma"]])
    made = truth.simulate(ds, spend=anew["spend"].sel(channel=channel), reacting=True)
    for name in set(anew) - {"control_value", "noise", "spend_plan", "sales_plan"}:
        if "date" in anew[name].dims and anew[name].size:
            same(made[name], anew[name], scale=abs(anew[name]).max())
