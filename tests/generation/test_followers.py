"""Controls that follow spend or sales, and controls that move spend."""

from __future__ import annotations

from typing import Any

import numpy as np

import mmm_xgen as m
from mmm_xgen import truth
from mmm_xgen.ensemble import element
from tests.strategies import assert_parts_add_up, generate, same, steady

COST = {"name": "Cost", "base_value": 5.0, "value_volatility": 0.2}
VISITS = {"name": "Visits", "base_value": 50.0, "value_volatility": 0.05}
FOLLOWS = {"follows_sales": 0.5, "follows_spend": {"TV": 0.3}}


def world(*controls: dict[str, Any], **fields: Any) -> m.MMMDataConfig:
    channels = [steady("TV", spend_volatility=0.3) | {"roas": 2.0}, steady("Print")]
    base = {"n_periods": 60, "seed": 5, "regions": {"n_regions": 2}, "channels": channels}
    return m.MMMDataConfig(**base | {"control_variables": list(controls)} | fields)


def test_an_instrument_moves_spend_and_sales_through_it_alone() -> None:
    without = generate(world(COST))
    ds = generate(world(COST | {"moves_spend": {"TV": 0.4}}))
    assert list(ds["control_role"].values) == ["instrument"]
    cost = ds["control_value"].sel(control="Cost", drop=True)
    assert cost.equals(without["control_value"].sel(control="Cost", drop=True))
    variance = np.log1p(0.2**2)
    z = (np.log(cost / 5.0) + variance / 2) / np.sqrt(variance)
    moved = ds["spend"] / without["spend"]
    same(moved.sel(channel="TV", drop=True), np.exp(0.4 * z - 0.4**2 / 2))
    assert (moved.sel(channel="Print") == 1).all()
    assert float(abs(ds["control_contribution"]).max()) == 0
    same(ds["noise"], without["noise"])
    same(truth.roas(ds).sel(channel="TV"), 2.0)
    assert_parts_add_up(ds)


def test_a_collider_follows_spend_and_sales_and_moves_nothing() -> None:
    without, ds = generate(world(VISITS)), generate(world(VISITS | FOLLOWS))
    assert list(ds["control_role"].values) == ["collider"]
    for name in ("y", "spend", "mu"):
        assert ds[name].equals(without[name])
    tv, y = ds["spend"].sel(channel="TV", drop=True), ds["y"]
    rise = 0.3 * (tv / tv.mean("date") - 1) + 0.5 * (y / y.mean("date") - 1)
    own = without["control_value"].isel(control=0, drop=True)
    same(ds["control_value"].isel(control=0, drop=True), own + 50 * rise)


def test_given_spend_is_followed_and_given_values_stay() -> None:
    config = world(VISITS | FOLLOWS, COST | {"moves_spend": {"Print": 0.2}})
    ds = generate(config)
    plan = 2 * ds["spend"]
    made = generate(config, spend=plan)
    assert not made["control_value"].equals(ds["control_value"])
    assert m.regenerate(made).identical(made)
    kept = generate(config, spend=ds[["spend", "control_value"]].assign(spend=plan))
    assert kept["control_value"].equals(ds["control_value"])
    assert kept["spend"].equals(plan)


def test_datasets_of_an_ensemble_are_those_made_alone() -> None:
    config = world(VISITS | FOLLOWS, COST | {"moves_spend": {"TV": 0.4}})
    varied = {
        "control_variables.Visits.follows_sales": m.Uniform(0, 1),
        "control_variables.Cost.value_volatility": m.Uniform(0, 0.3),
    }
    made = m.generate_ensemble(config, n=3, vary=varied)
    for dataset in range(3):
        one = element(made, dataset)
        assert m.regenerate(one).identical(one)


def test_worlds_of_new_and_tiny_channels_and_unequal_geos_need_no_key_of_their_own() -> None:
    new = steady("New", pattern="delayed_start") | {"start_period": 30, "ramp_up_periods": 4}
    tiny = steady("Tiny") | {"base_spend": 10.0, "roas": 2.0}
    population = [8_000_000.0, 200_000.0]
    geos = {"n_regions": 2, "population": population, "population_reference": 1e6}
    ds = generate(world(channels=[new | {"roas": 1.5}, tiny], regions=geos))
    assert (ds["spend"].sel(channel="New").isel(date=slice(30)) == 0).all()
    np.testing.assert_allclose(truth.roas(ds).values, [1.5, 2.0])
    size = ds["spend"].sel(channel="Tiny").mean("date")
    same(size.isel(geo=0) / size.isel(geo=1), population[0] / population[1])
