"""Spend that answers to sales: the Dataset agrees with its own rules, read off date by date."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen.generation.feedback import LEAST_SALES
from mmm_xgen.labelled_world import total_response
from mmm_xgen.truth import roas
from tests.truth.worlds import assert_near

STRENGTH, SHARE = 1.5, 0.06
TIES: dict[str, Any] = {
    "funnels": [{"source": "Social", "target": "Radio", "strength": 0.3, "lag": 1}],
    "mediators": [{"name": "Aware", "parents": {"TV": 0.5, "Social": 0.3}, "effect": 0.05}],
}


def made(*, target: float | None = None, sizes: Any = None, **config: Any) -> xr.Dataset:
    rules: dict[str, Any] = {
        "Social": {"budget_rule": {"kind": "chases_target", "strength": STRENGTH, "lag": 2}},
        "Radio": {"budget_rule": {"kind": "share_of_sales", "share": SHARE}},
    }
    effect = {"base_effectiveness": 0.1} if target is None else {"roas": target}
    channels = [
        {"name": name, "base_spend": 900.0, **effect, **rules.get(name, {})}
        for name in ("TV", "Social", "Radio")
    ]
    settings = {"n_periods": 30, "seed": 4, "burn_in_periods": 3, "channels": channels}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", m.XgenWarning)
        return m.generate_mmm_dataset({**settings, "regions": {"n_regions": 2}, **config})


def check_rules(ds: xr.Dataset) -> None:
    """Spend follows from the sales and plans that the Dataset shows."""
    price = ds["revenue_per_kpi"]
    # y is cut at 0, and rules see at least a share of the plan.
    seen = np.maximum(ds["mu"] + ds["noise"], LEAST_SALES * ds["sales_plan"]) * price
    target = ds["sales_plan"] * price
    plan = ds["spend_plan"]
    ratio = (seen / target).shift(date=2).fillna(1.0)
    social = plan.sel(channel="Social") * ratio**-STRENGTH
    assert_near(ds["spend"].sel(channel="Social"), social)
    # Before the first date, sales are as planned for it.
    before = seen.shift(date=1)
    before = before.where(before.notnull(), target)
    level = plan / plan.mean("date")
    assert_near(ds["spend"].sel(channel="Radio"), SHARE * before * level.sel(channel="Radio"))
    assert_near(ds["spend"].sel(channel="TV"), plan.sel(channel="TV"))
    assert float(ds["spend"].sel(channel="Social").std()) > 0


@pytest.mark.parametrize("ties", [{}, TIES], ids=["alone", "tied"])
@pytest.mark.parametrize("target", [None, 1.5], ids=["effect", "roas"])
@pytest.mark.parametrize("noise", ["ar1", "lognormal"])
def test_spend_answers_to_the_sales_of_the_dataset(
    noise: str, target: float | None, ties: dict[str, Any]
) -> None:
    ds = made(target=target, regions={"n_regions": 2, "noise": {"kind": noise}}, **ties)
    check_rules(ds)
    if target is not None:
        assert_near(roas(ds), target, 1e-9)
    baseline = ds["mu"] - total_response(ds["spend"], ds)
    planned = total_response(ds["spend_plan"], ds)
    assert_near(ds["sales_plan"], baseline + planned)
    assert m.regenerate(ds).identical(ds)


@pytest.mark.parametrize("noise", ["ar1", "lognormal"])
def test_rules_see_sales_that_a_capacity_cuts(noise: str) -> None:
    spec = {"kind": noise, "shared": 0.4}
    regions = {"n_regions": 2, "noise": spec, "outliers": {"share": 0.2}, "capacity": 1.15}
    ds = made(regions=regions)
    assert 0.1 < float((ds["lost_sales"] > 0).mean()) < 0.9
    # `seen` of the rules is mu + noise, which the cut has lowered.
    check_rules(ds)
    assert m.regenerate(ds).identical(ds)
    free = made(regions=regions | {"capacity": 100.0})
    assert not np.allclose(free["spend"].sel(channel="Social"), ds["spend"].sel(channel="Social"))
    assert_near(free["sales_plan"], ds["sales_plan"])


def test_the_sd_of_held_noise_follows_the_plan_of_sales() -> None:
    noise = {"kind": "gaussian", "level_power": 1.0}
    seasons = {"n_regions": 2, "seasonal_amplitude": 0.4}
    follows, constant = (
        made(regions=seasons | {"noise": noise | {"level_power": power}}) for power in (1.0, 0.0)
    )
    plan = follows["sales_plan"]
    ratio = plan / np.sqrt((plan**2).mean("date"))
    assert float(ratio.std()) > 0.1
    assert_near(follows["noise"], constant["noise"] * ratio, 1e-9, 1.0)
    check_rules(follows)


def test_demand_is_no_part_of_the_plan_of_sales() -> None:
    ds = made(demand={"effect": 0.05})
    check_rules(ds)
    baseline = ds["mu"] - total_response(ds["spend"], ds) - ds["demand_contribution"]
    assert_near(ds["sales_plan"], baseline + total_response(ds["spend_plan"], ds))


def test_a_test_overrides_the_rule_and_the_others_answer() -> None:
    test = {"channel": "Social", "start_period": 5, "n_periods": 4, "change": -1.0}
    ds = made(experiments=[test])
    tested = slice(5, 9)
    assert not ds["spend"].sel(channel="Social")[tested].any()
    untested = made()
    assert not np.allclose(ds["spend"].sel(channel="Radio"), untested["spend"].sel(channel="Radio"))
    assert_near(ds["spend"].isel(date=slice(0, 5)), untested["spend"].isel(date=slice(0, 5)))
    assert_near(ds["spend_plan"], untested["spend_plan"])


def test_spend_that_feeds_itself_is_refused_by_name() -> None:
    channels = [
        {
            "name": "TV",
            "base_effectiveness": 0.5,
            "saturation_fun": "no_saturation",
            "budget_rule": {"kind": "share_of_sales", "share": 0.5},
        }
    ]
    with pytest.raises(m.ConfigError, match=r"channels\.TV|channels\.0"):
        m.generate_mmm_dataset({"n_periods": 60, "channels": channels})
