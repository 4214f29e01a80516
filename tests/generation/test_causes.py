"""Draws of causes: what is off leaves every bit, and what one channel has leaves the others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given

import mmm_xgen as m
from mmm_xgen.ensemble import element
from tests.drawn_worlds import worlds
from tests.scalar_world import near
from tests.strategies import config_with, examples, generate, steady

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")

DEMAND = {
    "effect": 0.05,
    "season": 0.2,
    "indicators": [{"name": "Queries", "level": 50.0, "reliability": 0.6}],
    "drivers": [{"control": "Rain", "share": 0.3}],
}
FUNNELS = [
    {"source": "TV", "target": "Search", "strength": 0.4, "lag": 1},
    {"source": "TV", "target": "Web", "strength": 0.3, "paid": True},
]
PAIRS = [{"channels": ["TV", "Web"], "strength": 0.03}]


def channel(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "pattern": "seasonal", "spend_volatility": 0.4} | fields


def plain(**fields: Any) -> dict[str, Any]:
    channels = (channel("TV", roas=2.0), channel("Search", roas=3.0), channel("Web"))
    regions = {"region_names": ["a", "b"], "similarity": 0.8, "sales_volatility": 0.05}
    controls = [{"name": "Rain", "gamma_control": 20.0}]
    return config_with(*channels, regions=regions, control_variables=controls, **fields)


def full(**fields: Any) -> dict[str, Any]:
    config = plain(demand=DEMAND, funnels=FUNNELS, interactions=PAIRS)
    config["channels"][1]["budget_rule"] = {"kind": "follows_demand", "strength": 0.3}
    config["channels"][2]["effect_path"] = {"kind": "random_walk", "sd": 0.1}
    config["channels"][0]["effect_path"] = {"kind": "smooth", "sd": 0.3}
    return config | {"burn_in_periods": 6, "transforms": {"spend_unit": "base_spend"}} | fields


def series(ds: xr.Dataset) -> xr.Dataset:
    """Variables of a Dataset without the configuration that its attributes hold."""
    return ds.drop_attrs(deep=False)


def test_what_is_off_leaves_every_bit() -> None:
    config = plain()
    off = plain(demand=None, funnels=[], interactions=[])
    off["channels"][0] |= {"budget_rule": None, "effect_path": None}
    xr.testing.assert_identical(series(generate(config)), series(generate(off)))


def test_a_rule_that_follows_the_plan_leaves_the_spend() -> None:
    config = plain(demand={"effect": 0.0})
    ds = generate(config)
    np.testing.assert_array_equal(ds["spend"], generate(plain())["spend"])
    config["channels"][0]["budget_rule"] = "planned"
    np.testing.assert_array_equal(ds["spend"], generate(config)["spend"])


MECHANISMS: dict[str, Mapping[str, Any]] = {
    "budget_rule": {"kind": "search", "elasticity": 0.5},
    "forecast": {"kind": "follows_forecast", "strength": 0.5},
    "effect_path": {"kind": "random_walk", "sd": 0.2},
}


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_mechanism_of_one_channel_leaves_the_draws_of_others(mechanism: str) -> None:
    key = "effect_path" if mechanism == "effect_path" else "budget_rule"
    config = plain(demand=DEMAND)
    before = generate(config)
    config["channels"][1][key] = dict(MECHANISMS[mechanism])
    after = generate(config)
    others = ["TV", "Web"]
    for name in ("demand", "control_value", "demand_contribution", "intercept_contribution"):
        np.testing.assert_array_equal(before[name], after[name])
    for name in ("spend", "channel_contribution", "effect", "adstock_alpha", "saturation_kappa"):
        one, two = (ds[name].sel(channel=others) for ds in (before, after))
        np.testing.assert_array_equal(one, two, err_msg=name)
    # The noise is what is left of sales, so that its last digits follow those of sales.
    np.testing.assert_array_equal(before["y_sigma"], after["y_sigma"])
    near(before["noise"], after["noise"])
    moved = "spend" if key == "budget_rule" else "channel_contribution"
    assert not before[moved].sel(channel="Search").equals(after[moved].sel(channel="Search"))


def test_connections_leave_the_draws() -> None:
    before, after = (
        generate(plain(demand=DEMAND)),
        generate(plain(demand=DEMAND, funnels=FUNNELS, interactions=PAIRS)),
    )
    for name in ("demand", "control_value", "adstock_alpha", "saturation_kappa"):
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)
    for name in ("TV", "Search"):
        one, two = (ds["spend"].sel(channel=name) for ds in (before, after))
        np.testing.assert_array_equal(one, two)


def test_an_added_geo_leaves_the_earlier_ones() -> None:
    config = full()
    for each in config["channels"]:
        each.pop("roas", None)
        each["base_effectiveness"] = 0.05
        if "effect_path" in each:
            each["effect_path"]["shared"] = False
    config["control_variables"] = [{"name": "Rain", "gamma_control": 20.0}]
    two = generate(config)
    three = generate(config | {"regions": config["regions"] | {"region_names": ["a", "b", "c"]}})
    for name in ("spend", "demand", "control_value", "effect_path", "exposure", "mu", "y"):
        np.testing.assert_array_equal(two[name], three[name].sel(geo=["a", "b"]), err_msg=name)


def test_demand_has_variance_1_and_drives_what_it_is_told_to() -> None:
    config = plain(demand=DEMAND | {"season": 0.0}, n_periods=20_000)
    config["channels"][1]["budget_rule"] = {"kind": "follows_forecast", "strength": 0.2}
    ds = generate(config | {"freq": "D"})
    demand = ds["demand"]
    # An AR(1) series of 0.8 has 9 times the standard error of independent draws.
    np.testing.assert_allclose(demand.var("date"), 1.0, atol=0.1)
    assert (
        abs(float(xr.corr(demand[:-1], demand[1:].assign_coords(date=demand.date[:-1]))) - 0.56)
        < 0.05
    )
    proxy = xr.corr(ds["control_value"].sel(control="Queries"), demand, "date")
    np.testing.assert_allclose(proxy**2, 0.6, atol=0.03)
    rain = xr.corr(np.log(ds["control_value"].sel(control="Rain")), demand, "date")
    np.testing.assert_allclose(rain**2, 0.3, atol=0.05)
    answer = np.log(ds["spend"] / ds["spend_plan"]).sel(channel="Search")
    np.testing.assert_allclose(answer.std("date"), 0.2, atol=0.02)
    np.testing.assert_allclose(xr.corr(answer, demand, "date") ** 2, 0.7, atol=0.04)


@given(config=worlds(without=("competitor",)))
@examples(0.4)
def test_a_path_has_mean_1_over_the_window(config: dict[str, Any]) -> None:
    for each in config["channels"]:
        each.pop("roas", None)
        each["base_effectiveness"] = 0.05
    ds = generate(config)
    if "effect_path" not in ds:
        assert not any("effect_path" in each for each in config["channels"])
        return
    near(ds["effect_path"].mean("date"), np.ones((ds.sizes["geo"], ds.sizes["channel"])))
    assert (ds["effect_path"] > 0).all()
    for c, each in enumerate(config["channels"]):
        path = ds["effect_path"].isel(channel=c)
        if "effect_path" not in each:
            assert (path == 1).all()
        elif each["effect_path"]["shared"] and each["effect_path"]["kind"] != "wear_out":
            near(path, path.isel(geo=[0] * ds.sizes["geo"]))


def test_a_dataset_is_generated_again_and_read_back(tmp_path: Path) -> None:
    ds = generate(full())
    assert m.regenerate(ds).identical(ds)
    m.to_netcdf(ds, tmp_path / "world.nc")
    read = m.load(tmp_path / "world.nc")
    xr.testing.assert_identical(read, ds)
    assert m.regenerate(read).identical(ds)


VARIED = {
    "demand.effect": [0.0, 0.1],
    "demand.persistence": [0.2, 0.9],
    "demand.indicators.0.reliability": [0.3, 0.9],
    "demand.drivers.0.share": [0.1, 0.6],
    "funnels.0.strength": [0.0, 0.5],
    "interactions.0.strength": [-0.02, 0.05],
    "channels.Search.budget_rule.strength": [0.0, 0.4],
    "channels.Search.budget_rule.lag": [0, 3],
    "channels.Web.effect_path.sd": [0.0, 0.2],
    "channels.TV.roas": [1.5, 3.0],
}


@pytest.mark.parametrize("path", VARIED)
def test_a_varied_number_gives_the_single_datasets(path: str) -> None:
    config = m.MMMDataConfig(**full())
    together = m.generate_ensemble(config, seeds=[3, 4], vary={path: VARIED[path]})
    for position, value in enumerate(VARIED[path]):
        one = element(together, position)
        alone = m.generate_mmm_dataset(config, seed=3 + position, **{path: value})
        xr.testing.assert_identical(series(one), series(alone))


def test_an_element_is_the_single_dataset() -> None:
    config = m.MMMDataConfig(**full())
    together = m.generate_ensemble(config, n=3)
    for position in range(3):
        one = element(together, position)
        assert one.identical(m.regenerate(one))
        xr.testing.assert_identical(one, m.generate_mmm_dataset(config, seed=one.attrs["seed"]))


def test_the_lag_of_a_funnel_is_the_same_in_an_ensemble() -> None:
    """It is a coordinate of the funnel, which the datasets of an ensemble share."""
    with pytest.raises(m.ConfigError, match=r"funnels\.0\.lag"):
        m.generate_ensemble(m.MMMDataConfig(**full()), seeds=[3, 4], vary={"funnels.0.lag": [0, 3]})


def test_an_indicator_below_zero_is_in_frames_and_plans() -> None:
    """The default indicator is demand itself, below 0 half of the time."""
    demand = {"indicators": [{"name": "Queries"}]}
    config = config_with(steady(), demand=demand)
    ds = generate(config)
    np.testing.assert_array_equal(m.to_frame(ds)["c1-Queries"], ds["control_value"].values.ravel())
    assert generate(config, spend=ds)["control_value"].equals(ds["control_value"])
