"""A competitor whose media take sales, answer ours, and lower our effect."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen import truth
from mmm_xgen.ensemble import element
from mmm_xgen.errors import ConfigError, SchemaError
from mmm_xgen.schema import PARTS
from tests.strategies import generate, same, steady

GEOS = {"n_regions": 2, "channel_param_variation": 0.2}
RIVAL = {"share": 0.05, "answer": 0.6, "dampening": 0.4}
TV = steady("TV", spend_volatility=0.3) | {"roas": 2.0}
PRINT = steady("Print", spend_volatility=0.3)
EVERYTHING: dict[str, Any] = {
    "burn_in_periods": 4,
    "demand": {"effect": 0.05},
    "channels": [
        TV | {"effect_path": "smooth", "pull_forward": {"share": 0.3}},
        PRINT | {"budget_rule": {"kind": "chases_target", "strength": 1.5}},
        steady("Search") | {"roas": 1.5, "budget_rule": "follows_demand"},
    ],
    "funnels": [{"source": "TV", "target": "Search", "strength": 0.3, "paid": True}],
    "interactions": [{"channels": ["TV", "Print"], "strength": 0.03}],
}


def world(**fields: Any) -> m.MMMDataConfig:
    base = {"n_periods": 60, "seed": 4, "regions": GEOS, "channels": [TV, PRINT]}
    return m.MMMDataConfig(**base | {"competitor": RIVAL} | fields)


def assert_adds_up(ds: xr.Dataset) -> None:
    parts = [ds[name] for name in PARTS if name in ds]
    sums = [each.sum([dim for dim in each.dims if dim not in ("date", "geo")]) for each in parts]
    same(sum(sums[1:], sums[0]), ds["mu"])


def its_spend(ds: xr.Dataset, without_answer: xr.Dataset, usual: xr.DataArray) -> xr.DataArray:
    """Spend of the competitor by its definition, from a world in which it does not answer."""
    before = (ds["spend"].sum("channel") / usual).shift(date=1, fill_value=1.0)
    return without_answer["competitor_spend"] * (1 + RIVAL["answer"] * (before - 1))


def test_the_competitor_is_its_equations() -> None:
    ds, silent = generate(world()), generate(world(competitor=RIVAL | {"answer": 0.0}))
    rival = ds["competitor_spend"]
    same(rival, its_spend(ds, silent, ds["spend"].sum("channel").mean("date")))
    same(
        ds["competitor_contribution"],
        -0.05 * ds["intercept_contribution"] * 2 * rival / (1 + rival),
    )
    damp = np.exp(-0.4 * (rival - 1))
    same(ds["effect_path"], (damp / damp.mean("date")).broadcast_like(ds["effect_path"]))
    same(truth.roas(ds).sel(channel="TV"), 2.0)
    assert_adds_up(ds)
    assert m.regenerate(ds).identical(ds)
    assert 0.8 < float(rival.mean()) < 1.25


def test_a_competitor_leaves_all_other_draws() -> None:
    without = generate(world(competitor=None))
    with_it = generate(world(competitor={"share": 0.0}))
    for name in without.data_vars:
        assert without[name].equals(with_it[name]), name
    more = generate(world(regions=GEOS | {"n_regions": 4}))
    same(more["competitor_spend"].isel(geo=[0, 1]), generate(world())["competitor_spend"], 1e-12)


@pytest.mark.parametrize("fields", [{}, EVERYTHING], ids=["alone", "with everything"])
def test_reacting_equals_a_world_generated_anew(fields: dict[str, Any]) -> None:
    config = world(**fields)
    ds = generate(config)
    bare = [each.model_dump(exclude_none=True) for each in config.channels]
    channels = [{key: each[key] for key in each if key != "roas"} for each in bare]
    test = {"channel": "TV", "start_period": 0, "n_periods": 60, "change": -1.0}
    off = config.replace(channels=channels, experiments=[test])
    anew = generate(off, params=ds[["effect", "y_sigma"]])
    made = truth.simulate(ds, spend=0 * ds["spend"].sel(channel="TV"), reacting=True)
    for name in ("spend", "mu", "y", "effect_path", "competitor_spend", "competitor_contribution"):
        same(made[name], anew[name], scale=abs(ds[name]).max())
    assert_adds_up(made)
    if not fields:
        lost = (ds["mu"] - made["mu"]).sum() / ds["spend"].sel(channel="TV").sum()
        same(truth.roas(ds, reacting=True).sel(channel="TV"), lost)
    marginal = truth.mroas(ds, reacting=True)
    same(truth.mroas(ds, reacting=True, delta=1e-6), marginal, 1e-4)
    assert abs(float((truth.roas(ds, reacting=True) - truth.roas(ds)).sel(channel="TV"))) > 0.05


def test_held_the_competitor_stays_as_it_is() -> None:
    ds = generate(world())
    held = truth.simulate(ds, spend=0.5 * ds["spend"])
    for name in ("competitor_spend", "competitor_contribution", "effect_path"):
        assert held[name].identical(ds[name])
    assert_adds_up(held)


def test_the_competitor_answers_to_given_spend() -> None:
    plan = generate(world()).spend
    ds = generate(world(channels=[TV, PRINT]), spend=plan)
    made = truth.simulate(ds, spend=1.5 * plan, reacting=True)
    silent = generate(world(competitor=RIVAL | {"answer": 0.0}))
    usual = plan.sum("channel").mean("date")
    same(made["competitor_spend"], its_spend(made, silent, usual))
    same(made["spend"], 1.5 * plan)
    assert_adds_up(made)
    one = truth.simulate(ds.isel(geo=[1]), spend=1.5 * plan.isel(geo=[1]), reacting=True)
    same(one["mu"], made["mu"].isel(geo=[1]))


@pytest.mark.parametrize("fields", [{}, EVERYTHING], ids=["alone", "with everything"])
def test_datasets_of_an_ensemble_are_those_made_alone(fields: dict[str, Any]) -> None:
    varied = {
        "competitor.answer": m.Uniform(0, 1),
        "competitor.dampening": m.Uniform(0, 1),
        "competitor.share": m.Uniform(0, 0.1),
    }
    made = m.generate_ensemble(world(**fields), n=2, vary=varied)
    for dataset in range(2):
        one = element(made, dataset)
        assert m.regenerate(one).identical(one)


def test_a_competitor_answers_to_all_channels_together() -> None:
    ds = generate(world()).isel(channel=[0])
    with pytest.raises(SchemaError, match="'Print'"):
        truth.roas(ds, reacting=True)


@pytest.mark.parametrize(("key", "value"), [("answer", 1.5), ("share", -0.1), ("dampening", -1)])
def test_impossible_numbers_are_refused(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"competitor\.{key}"):
        world(competitor={key: value})


TIED: dict[str, dict[str, Any]] = {
    "mediators": {"mediators": [{"name": "Awareness", "parents": {"TV": 0.5}}]},
    "funnels": {"funnels": [{"source": "TV", "target": "Print", "strength": 0.3}]},
}


@pytest.mark.parametrize("tie", TIED)
def test_targets_are_met_beside_it_without_paths_of_effects(tie: str) -> None:
    """Its dampening is the only path, and it is the same for all channels."""
    fields = {"channels": [PRINT, TV]} | TIED[tie]
    same(truth.roas(generate(world(**fields))).sel(channel="TV"), 2.0)
