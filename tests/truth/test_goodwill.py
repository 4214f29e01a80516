"""Truth of a population, by scalar loops over other spend."""

from __future__ import annotations

import json
from functools import cache
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import xarray as xr

from mmm_xgen.ensemble import generate_ensemble
from mmm_xgen.errors import ConfigError, SchemaError
from mmm_xgen.goodwill import population_in
from mmm_xgen.recovery.alignment.meridian import to_meridian_truth
from mmm_xgen.recovery.alignment.pymc_truth import no_single_truth, to_pymc_truth
from mmm_xgen.truth import (
    attribution,
    effect_paths,
    information_bound,
    lift_test,
    optimize_allocation,
    predict_impact,
    roas,
    simulate,
)
from tests.population import (
    RATES,
    STATES,
    made,
    one_period,
    pressures,
    scalar_sales,
    scalar_states,
    whole_spend,
)
from tests.truth.worlds import assert_near, pymc_marketing_model

SALES = ("date", "geo")
PAST, DATES = 6, 40
WINDOW = ("2022-03-01", "2022-05-31")


@cache
def world() -> xr.Dataset:
    return made(revenue_per_kpi=2.0)


def inside(ds: xr.Dataset) -> np.ndarray:
    """True for the dates of the window, from the first date of the history on."""
    dates = ds["date"].values
    own = (dates >= np.datetime64(WINDOW[0])) & (dates <= np.datetime64(WINDOW[1]))
    return np.concatenate([np.zeros(PAST, bool), own])


def revenue(ds: xr.Dataset, spend: np.ndarray, dates: Any = slice(PAST, None)) -> float:
    return 2.0 * float(scalar_sales(ds, spend, RATES)[dates].sum())


def times(spend: np.ndarray, channel: int, factor: float, dates: Any = slice(None)) -> np.ndarray:
    changed = spend.copy()
    changed[dates, :, channel] *= factor
    return changed


def spent(ds: xr.Dataset, dates: Any = slice(PAST, None)) -> np.ndarray:
    return np.asarray(whole_spend(ds)[dates].sum(axis=(0, 1)))


def after(ds: xr.Dataset) -> np.ndarray:
    """Spend, and no spend until the population has forgotten."""
    population = population_in(ds)
    assert population is not None
    return np.pad(whole_spend(ds), [(0, population.reach), (0, 0), (0, 0)])


def test_returns_with_carry_out_run_until_the_population_has_forgotten() -> None:
    ds = world()
    spend, own = after(ds), np.pad(inside(ds), (0, len(after(ds)) - PAST - DATES))
    lost = [revenue(ds, spend) - revenue(ds, times(spend, c, 0.0, own)) for c in range(3)]
    found = roas(ds, window=WINDOW, with_carryout=True)
    assert_near(found, lost / spent(ds, own[: PAST + DATES]))
    assert not found["complete"].any()
    cut = roas(ds, window=WINDOW, with_carryout=True, within_data=True)
    # A negative control: the data end before the effect does.
    assert (cut < 0.99 * found).all()


def test_the_optimum_runs_the_whole_population() -> None:
    ds, spend = world(), whole_spend(world())
    dates = slice(PAST, None)
    best = optimize_allocation(ds)
    changed = spend.copy()
    changed[dates] = best["spend"].transpose("date", "geo", "channel").values
    reached, budget = revenue(ds, changed), spent(ds).sum()
    assert_near(changed[dates].sum(), budget)
    assert reached > 1.001 * revenue(ds, spend)
    # No small move of money from one channel to another sells more.
    unit = 0.01 * budget * spend[dates] / spent(ds)
    for give, take in permutations(range(3), 2):
        other = changed.copy()
        other[dates, :, give] -= unit[..., give]
        other[dates, :, take] += unit[..., take]
        assert (other < 0).any() or revenue(ds, other) < reached


def test_what_if_is_the_same_world_with_other_spend() -> None:
    ds, spend = world(), whole_spend(world())
    other = simulate(ds, spend=ds["spend"].where(ds["channel"] != "TV", 1.5 * ds["spend"]))
    changed = spend.copy()
    changed[PAST:, :, 0] *= 1.5
    rise = scalar_sales(ds, changed, RATES) - scalar_sales(ds, spend, RATES)
    assert_near((other["mu"] - ds["mu"]).transpose(*SALES), rise[PAST:], 1e-9, rise.max())
    states = scalar_states(pressures(ds, changed)[:, 0], RATES)
    for position, name in enumerate(STATES, 1):
        found = other[name].isel(geo=0)
        assert_near(found, states[1 + PAST :, position], 1e-11)
    assert simulate(ds, spend=ds["spend"]).identical(ds)

    own = inside(ds)
    impact = predict_impact(ds, channel="TV", window=WINDOW, by=0.2)
    long = after(ds)
    changed = times(long, 0, 1.2, np.flatnonzero(own))
    assert_near(
        float(impact["incremental_revenue_with_carryout"]),
        revenue(ds, changed) - revenue(ds, long),
    )
    assert not bool(impact["complete"])
    test = lift_test(
        ds, channel="TV", window=WINDOW, change=0.2, se=1.0, estimand="in_test_and_cooldown"
    )
    rise = scalar_sales(ds, changed, RATES) - scalar_sales(ds, long, RATES)
    assert_near(test["true_delta_y"].values, rise.sum(axis=0) / own.sum())
    with pytest.raises(ConfigError, match="steady_state"):
        lift_test(ds, channel="TV", window=WINDOW, change=0.2, se=1.0)


def test_shapley_values_are_the_mean_over_all_orders() -> None:
    ds, spend = world(), whole_spend(world())
    values = np.zeros(3)
    for order in permutations(range(3)):
        on = np.zeros(3)
        for channel in order:
            before = revenue(ds, spend * on)
            on[channel] = 1.0
            values[channel] += (revenue(ds, spend * on) - before) / 6
    found = attribution(ds, rule="shapley", of="media")
    assert_near(found, values / values.sum())
    assert_near(float(found.sum()), 1.0)
    alone = made(channels=[{"name": "TV", "base_effectiveness": 0.1, "base_spend": 900.0}])
    assert_near(attribution(alone, rule="shapley", of="media"), 1.0)
    tied = made(interactions=[{"channels": ["TV", "Radio"], "strength": 0.05}])
    assert_near(float(attribution(tied, rule="shapley", of="media").sum()), 1.0)


def chasing(ds: xr.Dataset, keep: list[float], strength: float) -> np.ndarray:
    """Spend where TV chases the sales plan and others are multiplied, one date at a time."""
    spend, plan = whole_spend(ds), ds["spend_plan"].transpose("date", "geo", "channel").values
    held = (ds["mu"] - ds["channel_contribution"].sum("channel") - ds["remainder_contribution"]).T
    target, noise = (ds[name].transpose(*SALES).values for name in ("sales_plan", "noise"))
    base = held.transpose(*SALES).values
    spend = spend * keep
    size = ds["response_size"].values
    for geo in range(ds.sizes["geo"]):
        state = list(scalar_states(np.zeros(1), RATES)[0])
        start = 0.3 * state[2] + state[3]
        for date in range(len(spend)):
            at = date - PAST
            if at >= 0 and keep[0]:
                ratio = 1.0
                if at >= 1:
                    ratio = earned / target[at - 1, geo]  # noqa: F821
                spend[date, geo, 0] = plan[at, geo, 0] * ratio**-strength
            pressure = pressures(ds, spend[date : date + 1])[0, geo]
            state = one_period(state, pressure, RATES)
            if at >= 0:
                sold = size[geo] * (0.3 * state[2] + state[3] - start)
                earned = base[at, geo] + sold + noise[at, geo]  # noqa: F841
    return spend


def test_rules_see_sales_of_the_population_and_answer_to_a_change() -> None:
    rule = {"kind": "chases_target", "strength": 0.8}
    channels = [
        {"name": "TV", "base_spend": 900.0, "base_effectiveness": 0.1, "budget_rule": rule},
        {"name": "Radio", "base_spend": 900.0, "base_effectiveness": 0.2, "pattern": "on_off"},
    ]
    ds = made(channels=channels, demand={"effect": 0.05})
    spend = chasing(ds, [1.0, 1.0], 0.8)
    assert_near(ds["spend"].transpose("date", "geo", "channel"), spend[PAST:])
    without = chasing(ds, [1.0, 0.0], 0.8)
    lost = scalar_sales(ds, spend, RATES) - scalar_sales(ds, without, RATES)
    found = float(roas(ds, reacting=True).sel(channel="Radio"))
    assert_near(found, lost[PAST:].sum() / spend[PAST:, :, 1].sum())
    held = float(roas(ds).sel(channel="Radio"))
    assert abs(found / held - 1) > 1e-3
    targets = [{**each, "roas": 2.0} for each in channels]
    for each in targets:
        del each["base_effectiveness"]
    assert_near(roas(made(channels=targets, demand={"effect": 0.05})), 2.0)


def test_geos_can_be_selected_and_sums_are_kept() -> None:
    ds = world()
    assert_near(
        roas(ds.isel(geo=[1])), roas(ds, by=("geo", "channel")).isel(geo=1).transpose("channel")
    )
    national = ds.mmm.aggregate(freq="MS")
    assert_near(float(national["mu"].sum()), float(ds["mu"].sum()))
    share = (ds["loyal_share"] * ds["population"]).sum("geo") / ds["population"].sum()
    assert_near(ds.mmm.aggregate()["loyal_share"].isel(geo=0), share)
    assert national["response_forget"].isnull().all()


def test_an_ensemble_has_the_truth_of_its_datasets() -> None:
    config = made().attrs["config"]
    several = generate_ensemble(json.loads(config), n=3)
    found = roas(several, with_carryout=True).compute()
    for position in range(3):
        one = several.isel(dataset=position).compute()
        assert_near(found.isel(dataset=position), roas(one, with_carryout=True))


def test_what_no_model_of_curves_can_say_is_refused_or_missing() -> None:
    ds = world()
    with pytest.raises(SchemaError, match="response_size"):
        information_bound(ds)
    both = made(mediators=[{"name": "Buzz", "parents": {"TV": 0.5}}])
    with pytest.raises(SchemaError, match="mediators"):
        effect_paths(both)
    with pytest.raises(SchemaError, match="contributions"):
        roas(ds.sel(channel=["TV"]))
    truth = to_meridian_truth(ds)
    assert np.isnan(truth["beta_gm"]).all()
    assert "population" in json.loads(truth.attrs["no_single_truth"])["alpha_m"]


def test_pymc_marketing_has_no_truth_of_a_population() -> None:
    ds = made(regions={"n_regions": 2, "fourier_modes": 0, "sales_trend": 0.0})
    truth = to_pymc_truth(ds, pymc_marketing_model(ds, l_max=8))
    reasons = no_single_truth(truth)
    for name in ("adstock_alpha", "saturation_beta"):
        assert truth[name].isnull().all() and "population" in reasons[name]
