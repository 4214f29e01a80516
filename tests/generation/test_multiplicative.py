"""Multiplicative sales: their parts, noise, targets and ensembles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen import truth
from mmm_xgen.ensemble import Uniform, element, generate_ensemble
from mmm_xgen.generate import variable_names
from mmm_xgen.schema import LOG_PARTS, PARTS
from tests.strategies import generate, same

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")

RATE = 8_000.0
CHANNELS: list[dict[str, Any]] = [
    {
        "name": "TV",
        "roas": 2.0,
        "base_spend": 900.0,
        "adstock": {"kind": "geometric_adstock", "alpha": 0.5, "l_max": 4, "normalize": False},
        "saturation": {"kind": "hill_function", "slope": 1.3, "kappa": 700.0},
    },
    {"name": "Web", "base_spend": 300.0, "base_effectiveness": 0.06, "adstock": "no_adstock"},
]


def multiplicative(**changes: Any) -> dict[str, Any]:
    """A world with every part of the baseline, in two unlike geos."""
    regions = {
        "region_names": ["north", "south"],
        "population": [1e6, 2.5e6],
        "base_sales_rate": RATE,
        "sales_trend": -0.004,
        "seasonal_amplitude": 0.2,
        "seasonalities": [{"period": "monthly", "amplitude": 0.05}],
        "sales_volatility": 0.05,
        "similarity": 0.7,
    } | changes.pop("regions", {})
    return {
        "n_periods": 60,
        "seed": 8,
        "link": "log",
        "channels": CHANNELS,
        "control_variables": [
            {"name": "Rain", "base_value": 3.0, "reference": 2.0, "gamma_control": -150.0},
            {"name": "Price", "base_value": 10.0, "elasticity": -1.2},
        ],
        "events": [{"name": "Sale", "dates": ["2022-05-02"], "effect": 0.4, "shape": "pulse"}],
        "demand": {"effect": 0.06},
        "regions": regions,
    } | changes


# --- the equation


def test_sales_are_the_product_of_all_causes() -> None:
    """The equation in plain loops, from the configuration and the parameters of the Dataset."""
    ds = generate(multiplicative())
    for g in range(2):
        here = ds.isel(geo=g)
        season = [*here["gamma_fourier"].values.tolist()]
        for t in range(60):
            day = ds["date"].values[t].astype("datetime64[D]")
            first = day.astype("datetime64[Y]").astype("datetime64[D]")
            turn = 2 * math.pi * (int((day - first).astype(int)) + 1) / 365.25
            yearly = season[0] * math.sin(turn) + season[1] * math.cos(turn)
            rain, price = here["control_value"].values[t].tolist()
            sales = here["intercept_contribution"].item()
            sales *= 1 + here["trend_sales_trend"].item() * t
            sales *= math.exp(yearly)
            sales *= math.exp(here["log_seasonality"].values[t] - yearly)
            sales *= math.exp(0.4) if str(day) == "2022-05-02" else 1.0
            sales *= math.exp(-150.0 / RATE * (rain - 2.0)) * (price / 10.0) ** -1.2
            sales *= math.exp(0.06 * here["demand"].values[t])
            for name, effect in (("TV", 1.3), ("Web", None)):
                spend = here["spend"].sel(channel=name).values.tolist()
                kept = here["adstock_alpha"].sel(channel=name).item() if effect else 0.0
                carried = sum(kept**k * spend[t - k] for k in range(min(4, t + 1)))
                unit = here["spend_unit"].sel(channel=name).item()
                slope, kappa, beta = (
                    here[f"saturation_{each}"].sel(channel=name).item()
                    for each in ("slope", "kappa", "beta")
                )
                x = (carried / unit / kappa) ** slope
                sales *= math.exp(beta * x / (1 + x))
            assert here["mu"].values[t] == pytest.approx(sales, rel=1e-12)


def test_what_scales_with_the_baseline_does_so_anyway() -> None:
    """All parts multiply the baseline of their date."""
    config = multiplicative()
    price, events = config["control_variables"][1], config["events"]
    ds = generate(config)
    scaled = config | {
        "control_variables": [
            config["control_variables"][0],
            price | {"scales": "baseline"},
        ],
        "events": [each | {"scales": "baseline"} for each in events],
    }
    np.testing.assert_array_equal(generate(scaled)["mu"], ds["mu"])


def test_the_capacity_is_a_multiple_of_base_sales() -> None:
    ds = generate(multiplicative(regions={"capacity": 1.3}))
    same(ds["capacity"], 1.3 * ds["intercept_contribution"])
    assert 0 < float((ds["lost_sales"] > 0).mean()) < 0.9


def test_the_season_is_in_log_points() -> None:
    """A month's season swings by the configured share in log points, whatever sales are."""
    config = multiplicative(regions={"seasonal_amplitude": 0.0, "similarity": 1.0})
    ds = generate(config)
    assert float(abs(ds["log_seasonality"]).max()) == pytest.approx(0.05, rel=0.01)
    assert float(abs(ds["log_seasonality"].diff("geo")).max()) == 0


def over_items(ds: xr.Dataset, names: list[str]) -> Any:
    parts = [ds[name] for name in names if name in ds]
    return sum(part.sum([d for d in part.dims if d not in ("date", "geo")]) for part in parts)


CAUSES: dict[str, dict[str, Any]] = {
    "alone": {},
    "funnels": {"funnels": [{"source": "TV", "target": "Web", "strength": 0.3}]},
    "paid funnels": {"funnels": [{"source": "TV", "target": "Web", "strength": 0.3, "paid": True}]},
    "interactions": {"interactions": [{"channels": ["TV", "Web"], "strength": 0.04}]},
    "mediators": {"mediators": [{"name": "Fame", "parents": {"TV": 0.4}, "effect": 0.05}]},
    "history": {"burn_in_periods": 7},
    "a competitor": {"competitor": {"share": 0.08, "answer": 0.6, "dampening": 0.3}},
}


@pytest.mark.parametrize("causes", CAUSES.values(), ids=CAUSES)
def test_parts_add_up_on_both_scales(causes: dict[str, Any]) -> None:
    ds = generate(multiplicative(**causes))
    near_one = np.exp(over_items(ds, list(LOG_PARTS.values()))) / ds["mu"]
    assert float(abs(near_one - 1).max()) < 1e-12
    assert float(abs(over_items(ds, list(PARTS)) / ds["mu"] - 1).max()) < 1e-12
    for name, log in LOG_PARTS.items():
        if log in ds and name != "intercept_contribution":
            lost = ds["mu"] * (1 - np.exp(-ds[log]))
            assert float((abs(ds[name] - lost) / ds["mu"]).max()) < 1e-12
            assert ds[log].attrs["units"] == "1"
    same(np.exp(ds["log_intercept"]), ds["intercept_contribution"], rtol=1e-14)
    without = ds["mu"] * np.exp(-over_items(ds, [LOG_PARTS[each] for each in m.schema.OF_MEDIA]))
    same(ds["media_sales"], ds["mu"] - without, rtol=1e-12, scale=ds["mu"].max())
    names = set(variable_names(ds.mmm.config)) - {"event_effect", "event_intensity"}
    assert names - set(ds) <= {"gamma_seasonal", "spend_history"}
    assert set(ds) <= set(variable_names(ds.mmm.config))


def test_with_the_identity_nothing_is_in_logs() -> None:
    ds = generate(multiplicative(link="identity"))
    assert not [name for name in ds if str(name).startswith("log_")]
    assert {"media_sales", "remainder_contribution"}.isdisjoint(set(ds))
    # Sales are then no product: negative control of the equation.
    logs = generate(multiplicative())
    assert float(abs(ds["mu"] / logs["mu"] - 1).max()) > 0.01


def test_effects_on_log_sales_have_no_units() -> None:
    ds = generate(multiplicative())
    for name in ("effect", "saturation_beta", "gamma_fourier", "gamma_control", "event_effect"):
        assert ds[name].attrs["units"] == "1", name
    assert ds["y_sigma"].attrs["units"] == "1"
    for name in ("intercept_contribution", "channel_contribution", "mu", "y"):
        assert ds[name].attrs["units"] == "sales", name
    assert generate(multiplicative(link="identity"))["effect"].attrs["units"] == "sales"


# --- noise


def test_the_noise_is_lognormal_with_the_sd_of_log_sales() -> None:
    config = multiplicative(n_periods=2000, regions={"sales_volatility": 0.2, "sales_trend": 0.0})
    ds = generate(config)
    assert ds.mmm.config.regions.noise.kind == "lognormal"
    same(ds["y_sigma"], 0.2)
    z = (np.log(ds["y"] / ds["mu"]) + 0.2**2 / 2) / 0.2
    assert abs(float(z.mean())) < 4 / np.sqrt(z.size)
    assert float(z.std()) == pytest.approx(1.0, abs=4 / np.sqrt(2 * z.size))
    # It is the same share in periods of high and of low sales.
    high = ds["mu"] > ds["mu"].median("date")
    assert float(z.where(high).std()) == pytest.approx(float(z.where(~high).std()), rel=0.1)
    # Draws do not move with the size of the noise or with what sales are.
    quiet = generate(config | {"regions": config["regions"] | {"sales_volatility": 0.01}})
    others = (np.log(quiet["y"] / quiet["mu"]) + 0.01**2 / 2) / 0.01
    assert float(abs(others - z).max()) < 1e-9


@pytest.mark.parametrize(
    ("noise", "sd"),
    [({"y_sigma": 0.03}, [0.03, 0.03]), ({"y_sigma": [0.02, 0.04]}, [0.02, 0.04])],
)
def test_the_sd_of_log_sales_can_be_given(noise: dict[str, Any], sd: list[float]) -> None:
    ds = generate(multiplicative(regions={"noise": noise, "sales_volatility": None}))
    assert ds["y_sigma"].values.tolist() == sd
    named = {"kind": "lognormal", **noise}
    again = generate(multiplicative(regions={"noise": named, "sales_volatility": None}))
    assert again["y"].equals(ds["y"])


def test_a_target_of_r_squared_is_that_of_log_sales() -> None:
    noise = {"noise": {"r_squared": 0.8}, "sales_volatility": None}
    ds = generate(multiplicative(regions=noise))
    share = np.log(ds["mu"]).var("date")
    same(share / (share + ds["y_sigma"] ** 2), 0.8)


# --- refusals


@pytest.mark.parametrize("family", ["gaussian", "student_t", "ar1", "negative_binomial"])
def test_other_noise_is_refused(family: str) -> None:
    with pytest.raises(m.ConfigError, match=r"^regions.noise: found .* allowed: 'lognormal'"):
        m.MMMDataConfig(**multiplicative(regions={"noise": family}))


def test_an_unknown_link_is_refused() -> None:
    with pytest.raises(m.ConfigError, match=r"^link: .*'identity' or 'log'"):
        m.MMMDataConfig(**multiplicative(link="logit"))


def test_parts_without_a_log_are_refused() -> None:
    with pytest.raises(m.ConfigError, match=r"^regions.trend: .* sales of 0 have no log"):
        generate(multiplicative(regions={"sales_trend": -0.03}))
    zero = xr.Dataset({"intercept_contribution": ("geo", [0.0, 1.0])})
    with pytest.raises(m.ConfigError, match=r"^regions.base_sales_rate: found base sales of 0"):
        generate(multiplicative(), params=zero)


# --- targets, given parameters and rules


def test_targets_are_met_where_media_make_most_of_sales() -> None:
    rich = [{"name": f"x{i}", "roas": 2.0 + i, "base_spend": 900.0} for i in range(4)]
    ds = generate(multiplicative(channels=rich))
    assert float(ds["media_sales"].sum() / ds["mu"].sum()) > 0.5
    same(truth.roas(ds).values, np.array([2.0, 3.0, 4.0, 5.0]), rtol=1e-12)
    lost = ds["spend"].isel(channel=2) * 0
    without = truth.simulate(ds, spend=lost)
    spent = float(ds["spend"].isel(channel=2).sum())
    assert float((ds["mu"] - without["mu"]).sum()) == pytest.approx(4.0 * spent, rel=1e-12)


def test_given_parameters_are_in_log_points() -> None:
    given = xr.Dataset(
        {
            "effect": ("channel", [0.3, 0.1]),
            "intercept_contribution": ("geo", [5_000.0, 9_000.0]),
            "event_effect": ("event", [0.2]),
            "y_sigma": ("geo", [0.0, 0.0]),
        },
        {"channel": ["TV", "Web"], "geo": ["north", "south"], "event": ["Sale"]},
    )
    ds = generate(multiplicative(), params=given)
    same(ds["saturation_beta"], given["effect"].broadcast_like(ds["saturation_beta"]))
    same(np.exp(ds["log_intercept"]), given["intercept_contribution"])
    assert float(ds["log_event"].max()) == pytest.approx(0.2)
    same(ds["y"], ds["mu"], rtol=1e-14)
    assert m.regenerate(ds).identical(ds)


@pytest.mark.parametrize("paid", [False, True])
def test_rules_that_answer_to_sales_see_multiplicative_sales(paid: bool) -> None:
    rule = {"kind": "chases_target", "strength": 0.8, "lag": 1}
    channels = [channel | {"budget_rule": rule} for channel in CHANNELS[:1]] + CHANNELS[1:]
    causes = CAUSES["paid funnels"] if paid else {}
    ds = generate(multiplicative(channels=channels, **causes))
    plan, spend = (ds[name].sel(channel="TV").values for name in ("spend_plan", "spend"))
    ratio = (ds["y"] / ds["sales_plan"]).values
    # The rule of the documentation, on the sales of the Dataset.
    np.testing.assert_allclose(spend[1:], plan[1:] * ratio[:-1] ** -0.8, rtol=1e-9)
    # The plan of sales is a product without demand, at planned spend.
    if not paid:
        planned = truth.simulate(ds, spend=ds["spend_plan"])
        wanted = planned["mu"] * np.exp(-ds["log_demand"])
        same(ds["sales_plan"], wanted, rtol=1e-9)
    same(truth.roas(ds).sel(channel="TV"), 2.0, rtol=1e-9)
    changed = truth.simulate(ds, spend=ds["spend"], reacting=True)
    assert changed.identical(ds)
    assert float(abs(truth.roas(ds, reacting=True) - truth.roas(ds)).max()) > 1e-3


# --- ensembles


@pytest.mark.parametrize("causes", CAUSES.values(), ids=CAUSES)
def test_elements_of_ensembles_have_the_same_bits(causes: dict[str, Any]) -> None:
    config = m.MMMDataConfig(**multiplicative(**causes))
    ensemble = generate_ensemble(config, n=3, chunks=None)
    for k, seed in enumerate(ensemble["seed"].values.tolist()):
        alone = generate(config, seed=seed)
        found = element(ensemble, k)
        for name in alone:
            np.testing.assert_array_equal(found[name].values, alone[name].values, str(name))
    vary = {
        "channels.TV.roas": Uniform(1.0, 3.0),
        "demand.effect": Uniform(0.0, 0.1),
        "regions.base_sales_rate": Uniform(5e3, 2e4),
        "regions.sales_volatility": Uniform(0.01, 0.1),
        "control_variables.Price.elasticity": Uniform(-2.0, -0.5),
    }
    varied = generate_ensemble(config, n=3, chunks=None, vary=vary)
    same(truth.roas(varied).sel(channel="TV"), varied["channels.TV.roas"], rtol=1e-12)
    for k in range(3):
        one = element(varied, k)
        assert m.regenerate(one).identical(one)


def test_another_geo_or_order_of_channels_moves_no_draw() -> None:
    ds = generate(multiplicative(regions={"similarity": 1.0}, channels=CHANNELS[1:]))
    more = {"region_names": ["north", "south", "west"], "population": [1e6, 2.5e6, 4e5]}
    regions = {"similarity": 1.0, **more}
    wider = generate(multiplicative(regions=regions, channels=CHANNELS[1:]))
    for name in ("log_demand", "log_channel", "log_control", "y"):
        same(wider[name].sel(geo=ds["geo"].values), ds[name], rtol=1e-12)
    turned = generate(multiplicative(channels=CHANNELS[::-1]))
    straight = generate(multiplicative())
    same(turned["log_channel"].sel(channel=["TV", "Web"]), straight["log_channel"], rtol=1e-10)


def test_lazy_ensembles_have_the_same_truth() -> None:
    """Also without controls, whose logs have no item."""
    config = m.MMMDataConfig(**multiplicative(control_variables=[]))
    whole = generate_ensemble(config, n=4, chunks=None)
    lazy = generate_ensemble(config, n=4, chunks=2)
    assert lazy.compute().equals(whole)
    same(truth.roas(lazy).compute().values, truth.roas(whole).values, rtol=1e-14)
    same(truth.mroas(lazy).compute().values, truth.mroas(whole).values, rtol=1e-12)
