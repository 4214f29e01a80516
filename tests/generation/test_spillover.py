"""Media that spill over between geos: exposure, truth and what has to be refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen import ConfigError, SchemaError
from mmm_xgen.ensemble import element, generate_ensemble
from mmm_xgen.generate import variable_names
from mmm_xgen.truth import (
    estimands,
    information_bound,
    lift_test,
    mroas,
    optimize_allocation,
    response_curve,
    roas,
    simulate,
)
from tests.strategies import config_with, generate, same

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")

CAMPAIGNS = [{"name": "brand", "quality": 0.5}, {"name": "offer", "quality": 1.5}]
TV = {"name": "TV", "roas": 2.0, "spillover": 0.4, "spend_volatility": 0.3}
WEB = {"name": "Web", "base_effectiveness": 0.05, "spend_volatility": 0.4}
REGIONS = {
    "region_names": ["north", "south", "west"],
    "population": [3e6, 1e6, 2e6],
    "similarity": 0.8,
}
FUNNEL = {"source": "TV", "target": "Web", "strength": 0.3}


def config(*channels: dict[str, Any], **fields: Any) -> dict[str, Any]:
    own = {"regions": REGIONS, "n_periods": 40, "burn_in_periods": 6, "seed": 7}
    return config_with(*(channels or (TV, WEB)), **own | fields)


def spread(media: xr.DataArray, strength: float) -> xr.DataArray:
    """What arrives in each geo, from the equation of the documentation."""
    parts = []
    for geo, population in zip(REGIONS["region_names"], REGIONS["population"], strict=True):
        everywhere = sum(media.sel(geo=other, drop=True) for other in REGIONS["region_names"])
        part = strength * population / sum(REGIONS["population"]) * everywhere
        parts.append((1 - strength) * media.sel(geo=geo, drop=True) + part)
    return xr.concat(parts, xr.DataArray(REGIONS["region_names"], dims="geo"))


@pytest.mark.parametrize("own", [{}, {"campaigns": CAMPAIGNS}])
def test_a_share_of_the_media_reaches_all_geos(own: dict[str, Any]) -> None:
    ds = generate(config(TV | own, WEB))
    media = ds["spend"].sel(channel="TV") * ds.get("media_quality", xr.ones_like(ds["spend"])).sel(
        channel="TV"
    )
    same(ds["exposure"].sel(channel="TV"), spread(media, 0.4).transpose("date", "geo"), 1e-12)
    same(ds["exposure"].sel(channel="Web"), ds["spend"].sel(channel="Web"), 0.0)
    # Nothing is lost: the media of all geos together are those that were paid for.
    same(ds["exposure"].sel(channel="TV").sum("geo"), media.sum("geo"), 1e-12)
    assert float(roas(ds).sel(channel="TV")) == pytest.approx(2.0, rel=1e-12)
    assert ds["spillover"].values.tolist() == [0.4, 0.0]
    same(ds["spillover_share"], ds["population"] / 6e6, 1e-15)


def test_the_carryover_of_history_spills_over_too() -> None:
    adstock = {"kind": "geometric_adstock", "alpha": 0.7, "l_max": 6}
    ds = generate(config(TV | {"adstock": adstock}))
    past = spread(ds["spend_history"].sel(channel="TV"), 0.4).transpose("history_date", "geo")
    weights = ds["adstock_weights"].sel(channel="TV").transpose("lag", "geo").values
    first = weights[0] * ds["exposure"].sel(channel="TV").values[0] + sum(
        weights[lag] * past.values[-lag] for lag in range(1, 6)
    )
    np.testing.assert_allclose(ds["carryover"].sel(channel="TV").values[0], first, rtol=1e-12)


def test_without_spill_over_nothing_changes() -> None:
    plain = generate(config(TV | {"spillover": None}, WEB))
    assert not {"spillover", "spillover_share", "exposure"} & set(plain)
    zero = generate(config(TV | {"spillover": 0.0}, WEB))
    for name in ("spend", "carryover", "channel_contribution", "mu", "y"):
        assert zero[name].equals(plain[name]), name
    # A single geo has no other.
    national = {"regions": {"region_names": ["all"]}}
    one, other = (generate(config(TV | {"spillover": s}, **national)) for s in (0.4, None))
    assert "spillover" not in one
    for name in ("spend", "channel_contribution", "mu", "y"):
        assert one[name].equals(other[name]), name
    # Negative control.
    on = generate(config(TV | {"spillover": 0.4, "roas": None}, WEB))
    off = generate(config(TV | {"spillover": None, "roas": None}, WEB))
    assert abs(on["mu"] - off["mu"]).max() > 1.0
    assert on["spend"].equals(off["spend"])


def test_names_regeneration_selection_and_ensembles() -> None:
    own = config(TV, WEB, funnels=[FUNNEL])
    ds = generate(own)
    names = set(variable_names(m.MMMDataConfig(**own)))
    assert {"spillover", "spillover_share", "exposure"} <= set(ds) <= names
    without = config(TV | {"spillover": None}, WEB)
    assert not {"spillover", "exposure"} & set(variable_names(m.MMMDataConfig(**without)))
    assert m.regenerate(ds).identical(ds)
    assert m.schema.mechanisms_of(ds)["spillover"]
    vary = {"channels.TV.spillover": [0.1, 0.8, 0.0], "regions.population.*": m.Uniform(1e6, 4e6)}
    many = generate_ensemble(m.MMMDataConfig(**own), n=3, vary=vary, chunks=None)
    for k in range(3):
        one = element(many, k)
        assert m.regenerate(one).identical(one)
    with pytest.raises(SchemaError, match="lost some of them"):
        roas(ds.isel(geo=[0, 2]))
    with pytest.raises(SchemaError, match="lost some of them"):
        m.respond(ds["spend"].isel(geo=[1]), ds)
    turned = ds.isel(geo=[2, 0, 1])
    same(m.respond(turned["spend"], ds), turned["channel_contribution"], 1e-12)
    with pytest.raises(ConfigError, match=r"channels\.0\.spillover: found 1"):
        m.MMMDataConfig(**config(TV | {"spillover": 1.0}))
    given = m.generate_mmm_dataset(own, params=xr.Dataset({"spillover": ("channel", [0.2, 0.6])}))
    assert given["spillover"].values.tolist() == [0.2, 0.6]
    with pytest.raises(m.AlignmentError, match="below 1"):
        m.generate_mmm_dataset(own, params=xr.Dataset({"spillover": ("channel", [0.2, 1.6])}))


def test_rules_that_answer_to_sales_see_what_spills_over() -> None:
    demand = {"demand": {"effect": 0.05}}
    chasing = WEB | {"budget_rule": {"kind": "chases_target", "strength": 1.0}}
    ds = generate(config(TV, chasing | {"spillover": 0.5}, **demand))
    same(simulate(ds, spend=ds["spend"])["y"], ds["y"], 0.0)
    # The rule of a geo answers to the sales of the period before in the same geo.
    web = ds.sel(channel="Web")
    answer = (ds["sales_plan"] / ds["y"]).shift(date=1).isel(date=slice(1, None))
    paid = (web["spend"] / web["spend_plan"]).isel(date=slice(1, None))
    same(paid.transpose(*answer.dims), answer, 1e-9)
    reacting = simulate(ds, spend=0 * ds["spend"].sel(channel="TV", geo=["north"]), reacting=True)
    moved = abs(reacting["spend"] - ds["spend"]).sel(channel="Web").sum("date")
    # Without TV in the north, all geos sell less, and all answer.
    assert (moved > 1.0).all()


def test_truth_of_one_channel_is_that_of_all_geos_together() -> None:
    ds = generate(config(burn_in_periods=0))
    curve = response_curve(ds, multipliers=[0.0, 0.5, 1.0])
    half = simulate(ds, spend=0.5 * ds["spend"].sel(channel="TV"))
    made = half["channel_contribution"].sel(channel="TV").sum()
    assert float(curve["contribution"].sel(channel="TV", multiplier=0.5)) == pytest.approx(
        float(made), rel=1e-12
    )
    step = 1e-4
    more = simulate(ds, spend=(1 + step) * ds["spend"].sel(channel="TV"))
    rise = float((more["mu"] - ds["mu"]).sum()) / step / float(ds["spend"].sel(channel="TV").sum())
    assert float(mroas(ds).sel(channel="TV")) == pytest.approx(rise, rel=1e-3)
    best = optimize_allocation(ds)
    again = simulate(ds, spend=best["spend"])
    sold = float(again["channel_contribution"].sum())
    assert float(best["contribution"].sum()) == pytest.approx(sold, rel=1e-9)
    assert sold >= float(ds["channel_contribution"].sum())
    # Constant spend in the split of the data, for long, makes half of the limit.
    level = estimands(ds, by="channel")["half_saturation"].sel(channel="TV")
    split = ds["spend"].sel(channel="TV").sum("date")
    arrived = spread(split / split.sum() * float(level), 0.4)
    one = ds.sel(channel="TV")
    kappa, slope = one["saturation_kappa"], one["saturation_slope"]
    reached = one["effect"] / (1 + (kappa * one["spend_unit"] / arrived) ** slope)
    assert float(reached.sum() / one["effect"].sum()) == pytest.approx(0.5, rel=1e-9)
    by_geo = estimands(ds)["half_saturation"]
    assert by_geo.sel(channel="TV").isnull().all()
    assert by_geo.sel(channel="Web").notnull().all()


def test_what_has_no_answer_by_geo_is_refused() -> None:
    ds = generate(config())
    by_geo = [
        lambda: response_curve(ds, by=("geo", "channel")),
        lambda: optimize_allocation(ds, per_geo=True),
        lambda: m.truth.regret(ds, ds["spend"].sum("date")),
    ]
    for refused in by_geo:
        with pytest.raises(SchemaError, match="spend of a geo also sells in others"):
            refused()
    with pytest.raises(SchemaError, match="spillover"):
        information_bound(ds)


@pytest.mark.parametrize("estimand", ["steady_state", "in_test", "in_test_and_cooldown"])
def test_a_geo_test_misses_what_spills_over(estimand: Any) -> None:
    how = {"channel": "TV", "window": slice("2022-05-02", "2022-07-03"), "change": -0.5, "se": 1.0}
    ds = generate(config(TV | {"spend_volatility": 0.0, "adstock": "no_adstock"}, WEB))
    test = lift_test(ds, geos=["south"], estimand=estimand, **how).iloc[0]
    dates = ds["date"].sel(date=how["window"])
    plan = ds["spend"].sel(channel=["TV"], geo=["south"], date=dates) * 0.5
    lost = (simulate(ds, spend=plan)["mu"] - ds["mu"]).sel(date=dates).mean("date")
    # Spend is constant, so that the steady state is what the window has.
    assert test["true_delta_y"] == pytest.approx(float(lost.sel(geo="south")), rel=1e-3)
    assert (lost.drop_sel(geo="south") < -1e-6).all()
    everywhere = lift_test(ds, estimand=estimand, **how).set_index("geo").loc["south"]
    assert everywhere["true_delta_y"] < test["true_delta_y"] < 0


def test_models_say_that_they_do_not_have_it() -> None:
    from mmm_xgen.recovery.alignment.pymc_truth import beyond_curves

    assert beyond_curves(generate(config())) == {"TV": "its media spill over between geos"}
