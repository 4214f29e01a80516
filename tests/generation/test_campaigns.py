"""Campaigns within a channel: they share one curve and differ in quality."""

from __future__ import annotations

from typing import Any

import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen import truth
from mmm_xgen.ensemble import element
from mmm_xgen.errors import ConfigError
from mmm_xgen.labelled_world import total_response
from tests.strategies import generate, same, steady

GEOS = {"n_regions": 2, "channel_param_variation": 0.2}
BOTH = [
    {"name": "Reach", "share": 2, "quality": 1.5},
    {"name": "Offer", "quality": 0.5, "volatility": 1.0},
]
TV = steady("TV", spend_volatility=0.3, pattern="on_off") | {"roas": 2.0, "campaigns": BOTH}
PRINT = steady("Print", spend_volatility=0.3)
EVERYTHING: dict[str, Any] = {
    "demand": {"effect": 0.05},
    "channels": [
        TV | {"effect_path": "smooth", "pull_forward": {"share": 0.3}},
        PRINT | {"budget_rule": {"kind": "chases_target", "strength": 1.5}, "campaigns": BOTH},
        steady("Search") | {"roas": 1.5, "budget_rule": "follows_demand"},
    ],
    "funnels": [
        {"source": "TV", "target": "Search", "strength": 0.3, "paid": True},
        {"source": "TV", "target": "Print", "strength": 0.3, "lag": 1},
    ],
    "competitor": {"answer": 0.5, "dampening": 0.3},
}


def world(**fields: Any) -> m.MMMDataConfig:
    base = {"n_periods": 60, "seed": 4, "burn_in_periods": 3, "regions": GEOS}
    return m.MMMDataConfig(**base | {"channels": [TV, PRINT]} | fields)


def test_quality_is_the_mean_of_the_campaigns() -> None:
    ds = generate(world())
    tv, share = ds["spend"].sel(channel="TV", drop=True), ds["campaign_share"]
    assert list(ds["campaign"].values) == ["TV: Reach", "TV: Offer"]
    assert list(ds["campaign_channel"].values) == ["TV", "TV"]
    same(ds["campaign_spend"], (share * tv).transpose(*ds["campaign_spend"].dims))
    same(ds["campaign_spend"].sum("campaign"), tv)
    mixed = share.sel(campaign="TV: Reach") * 1.5 + share.sel(campaign="TV: Offer") * 0.5
    quality = ds["media_quality"]
    same(quality.sel(channel="TV"), mixed / ((mixed * tv).sum("date") / tv.sum("date")))
    assert (quality.sel(channel="Print") == 1).all()
    same(ds["exposure"], ds["spend"] * quality)
    assert float(quality.sel(channel="TV").std()) > 0.05


def test_the_response_is_that_of_a_channel_that_spends_the_exposure() -> None:
    ds = generate(world(burn_in_periods=0))
    without = [TV | {"campaigns": []}, PRINT]
    plain = generate(world(channels=without, burn_in_periods=0))
    params = ds[["spend_unit", *(n for n in ds if n.startswith(("adstock_", "saturation_")))]]
    kept = params.drop_vars([n for n in params if n.endswith(("_mean", "_sd", "weights"))])
    same(m.respond(ds["exposure"], kept), ds["channel_contribution"])
    same(m.respond(ds["spend"], ds), ds["channel_contribution"])
    assert plain["spend"].identical(ds["spend"])
    same(plain["noise"], ds["noise"])
    same(truth.roas(ds).sel(channel="TV"), 2.0)
    assert "exposure" not in plain


@pytest.mark.parametrize("fields", [{}, EVERYTHING], ids=["alone", "with everything"])
def test_an_intervention_equals_a_world_generated_anew(fields: dict[str, Any]) -> None:
    config = world(**fields)
    ds = generate(config)
    bare = [each.model_dump(exclude_none=True) for each in config.channels]
    channels = [{key: each[key] for key in each if key != "roas"} for each in bare]
    test = {"channel": "TV", "start_period": 0, "n_periods": 60, "change": -0.5}
    off = config.replace(channels=channels, experiments=[test])
    anew = generate(off, params=ds[["effect", "y_sigma"]])
    half = 0.5 * ds["spend"].sel(channel="TV")
    made = truth.simulate(ds, spend=half, reacting=True)
    for name in ("spend", "mu", "y", "campaign_spend", "exposure", "media_quality"):
        same(made[name], anew[name], scale=abs(ds[name]).max())
    same(truth.mroas(ds, delta=1e-6), truth.mroas(ds), 1e-4)
    assert m.regenerate(ds).identical(ds)


def test_chains_of_effects_know_the_quality() -> None:
    ds = generate(world(**EVERYTHING | {"burn_in_periods": 5}))
    paths = truth.effect_paths(ds)
    same(paths["direct"] + paths["through_funnel"].sum("funnel"), paths["total"])
    off = ds["spend"].where(ds["channel"] != "TV", 0)
    history = ds["spend_history"].where(ds["channel"] != "TV", 0)
    lost = total_response(ds["spend"], ds) - total_response(off, ds, history=history)
    same(paths["total"].sel(channel="TV"), lost.sum())


def test_a_window_has_the_quality_of_its_dates() -> None:
    ds = generate(world())
    late = slice(str(ds["date"].values[20])[:10], None)
    today = truth.response_curve(ds, window=late).sel(multiplier=1)
    sold = ds["channel_contribution"].isel(date=slice(20, None)).sum(["date", "geo"])
    same(today["contribution"], sold)


def test_shares_of_a_shared_channel_are_those_of_the_nation() -> None:
    ds = generate(world(channels=[TV | {"shared": True}, PRINT]))
    share = ds["campaign_share"]
    same(share, share.isel(geo=0, drop=True).broadcast_like(share).transpose(*share.dims))
    more = generate(world(regions=GEOS | {"n_regions": 4}))
    same(more["campaign_share"].isel(geo=[0, 1]), generate(world())["campaign_share"])


def test_datasets_of_an_ensemble_are_those_made_alone() -> None:
    varied = {
        "channels.TV.campaigns.0.quality": m.Uniform(0.5, 2),
        "channels.TV.campaigns.1.volatility": m.Uniform(0, 1),
    }
    made = m.generate_ensemble(world(**EVERYTHING), n=2, vary=varied)
    for dataset in range(2):
        one = element(made, dataset)
        assert m.regenerate(one).identical(one)


@pytest.mark.parametrize(
    ("campaigns", "path"),
    [
        ([BOTH[0], BOTH[0]], r"channels\.0\.campaigns\.1\.name"),
        ([BOTH[0] | {"quality": 0}], r"channels\.0\.campaigns\.0\.quality"),
        ([BOTH[0] | {"share": -1}], r"channels\.0\.campaigns\.0\.share"),
    ],
)
def test_impossible_campaigns_are_refused(campaigns: list[dict[str, Any]], path: str) -> None:
    with pytest.raises(ConfigError, match=path):
        world(channels=[TV | {"campaigns": campaigns}])


@pytest.mark.parametrize("fields", [{"effect_path": "smooth"}, {"campaigns": BOTH}])
def test_spend_of_other_dates_has_a_response(fields: dict[str, Any]) -> None:
    ds = generate(world(channels=[TV | {"campaigns": None} | fields], burn_in_periods=0))
    week = ds["date"][1] - ds["date"][0]
    later = ds["spend"].isel(date=slice(5)).assign_coords(date=ds["date"][:5] + 60 * week)
    longer = m.respond(xr.concat([ds["spend"], later], "date"), ds)
    same(longer.isel(date=slice(60)), ds["channel_contribution"])
    same(m.respond(ds["spend"][:20], ds), ds["channel_contribution"][:20])
    edge = "effect_path" if "effect_path" in fields else "media_quality"
    frozen = ds.isel(date=[-1] * 5).assign_coords(date=later["date"])[edge]
    stretched = ds[[name for name in ds if "date" not in ds[name].dims]]
    stretched[edge] = xr.concat([ds[edge], frozen], "date")
    same(m.respond(xr.concat([ds["spend"], later], "date"), stretched), longer)
