"""Switching a mechanism on moves no draw of the others, and every world is made again alike."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given
from hypothesis import strategies as st

import mmm_xgen as m
from mmm_xgen.ensemble import element
from tests.drawn_worlds import MECHANISMS, drawn_world, worlds
from tests.scalar_sales import followed_sd, lognormal_draws
from tests.scalar_world import as_array, near
from tests.strategies import examples

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")

SALE = {"name": "Sale", "depth": 0.2, "share": 0.3, "elasticity": -2.0}
EVENT = {"name": "s", "dates": ["2022-01-20"], "effect": 0.1}
# What each mechanism adds to a configuration.
ADDED: dict[str, dict[str, Any]] = {
    "link": {"link": "log", "regions": {"noise": {"kind": "lognormal"}}},
    "response": {"response": {"kind": "goodwill", "forget": 0.3}},
    "promotions": {"promotions": [SALE]},
    "promotions that answer": {"promotions": [SALE | {"answer": 0.8}]},
    "level path": {"regions": {"level_path": {"kind": "random_walk", "sd": 0.05}}},
    "season path": {"regions": {"season_path": {"kind": "smooth", "sd": 0.2}}},
    "season shift": {"regions": {"season_shift": 20.0}},
    "level power": {"regions": {"noise": {"level_power": 1.0}}},
    "outliers": {"regions": {"outliers": {"share": 0.2, "size": 6.0}}},
    "capacity": {"regions": {"capacity": 1.2}},
    "spillover": {"channels": {"spillover": 0.3}},
    "over-reporting": {"channels": {"over_reporting": 0.4}},
    "a step": {"events": [EVENT | {"shape": "step"}]},
    "a pulse": {"events": [EVENT]},
    "competitor": {"competitor": {"share": 0.05, "answer": 0.5}},
    "pull-forward": {"channels": {"pull_forward": {"share": 0.4}}},
}
# Draws and what no mechanism of the list moves.
HELD = ("spend", "spend_history", "spend_plan", "demand", "control_value", "intercept_contribution")


def with_mechanism(config: dict[str, Any], added: dict[str, Any]) -> dict[str, Any]:
    """Copy of a configuration with something added to it, its channels and its geos."""
    made = copy.deepcopy(config) | {
        key: value for key, value in added.items() if key not in ("channels", "regions")
    }
    regions = added.get("regions", {})
    made["regions"] |= {key: value for key, value in regions.items() if key != "noise"}
    made["regions"]["noise"] |= regions.get("noise", {})
    for channel in made["channels"]:
        channel |= added.get("channels", {})
    return made


def standard_draws(ds: xr.Dataset, config: dict[str, Any]) -> np.ndarray:
    """Draws that the noise was made of, in standard deviations, dims (date, geo)."""
    noise, mu, y = (ds[name].transpose("date", "geo").values for name in ("noise", "mu", "y"))
    sigma = ds["y_sigma"].values
    if config["regions"]["noise"]["kind"] == "lognormal":
        return lognormal_draws(mu, y, sigma)
    power = config["regions"]["noise"].get("level_power", 0.0)
    sd = as_array([followed_sd(mu[:, g].tolist(), sigma[g], power) for g in range(len(sigma))])
    for name, sign in (("outlier_contribution", -1), ("lost_sales", 1)):
        if name in ds:
            noise = noise + sign * ds[name].transpose("date", "geo").values
    return noise / sd


# What shows in a configuration that a mechanism is on, where it is not the name.
SIGNS = {"shapes": ("'step'", "'dip'"), "noise": ("'ar1'",), "geos": ("'geos'",)}


@pytest.mark.parametrize("mechanism", MECHANISMS)
@given(data=st.data())
@examples(0.12)
def test_a_mechanism_that_a_test_asks_for_is_on(mechanism: str, data: st.DataObject) -> None:
    """The tests of random worlds rest on it."""
    text = str(data.draw(worlds(on=(mechanism,))))
    assert any(sign in text for sign in SIGNS.get(mechanism, (f"'{mechanism}'",)))


@pytest.mark.parametrize("mechanism", ADDED)
@given(config=worlds(without=set(MECHANISMS) - {"campaigns", "mediators", "elasticity"}))
@examples(0.12)
def test_a_mechanism_that_is_switched_on_moves_no_draw(
    mechanism: str, config: dict[str, Any]
) -> None:
    added = ADDED[mechanism]
    if mechanism == "promotions that answer":
        assume("demand" in config)
    for channel in config["channels"]:
        # Effects that a target decides are solved anew.
        channel.pop("roas", None)
        channel.setdefault("base_effectiveness", 0.05)
    if mechanism == "spillover":
        # Paid funnels answer to media that spill over.
        config["funnels"] = []
    changed = with_mechanism(config, added)
    before, after = drawn_world(config), drawn_world(changed)
    # The depth of a promotion is one control more.
    after = after.sel(control=before["control"])
    for name in HELD:
        if name in before:
            np.testing.assert_array_equal(before[name], after[name], err_msg=name)
    for name in ("adstock_weights", "geo_scale", "spend_unit", "campaign_share"):
        if name in before:
            np.testing.assert_array_equal(before[name], after[name], err_msg=name)
    if mechanism != "competitor" and "effect_path" in before:
        np.testing.assert_array_equal(before["effect_path"], after["effect_path"])
    assume(bool((before["y"] > 0).all() and (after["y"] > 0).all()))
    near(standard_draws(after, changed), standard_draws(before, config), size=100.0)


@pytest.mark.parametrize("mechanism", ADDED)
def test_a_mechanism_that_is_switched_on_moves_sales(mechanism: str) -> None:
    """Or what the platform reports of them: the draws above are not held by doing nothing."""
    added = ADDED[mechanism]
    config = {
        "n_periods": 30,
        "demand": {},
        "channels": [{"name": "TV", "roas": 2.0}, {"name": "Search", "budget_rule": "search"}],
        "regions": {"n_regions": 2, "seasonal_amplitude": 0.3, "noise": {"kind": "gaussian"}},
    }
    before, after = drawn_world(config), drawn_world(with_mechanism(config, added))
    moved = "reported_sales" if mechanism == "over-reporting" else "y"
    assert not np.allclose(before[moved], after[moved])


@pytest.mark.parametrize("mechanism", MECHANISMS)
@given(data=st.data())
@examples(0.08)
def test_a_world_is_made_again_and_read_back(mechanism: str, data: st.DataObject) -> None:
    ds = drawn_world(data.draw(worlds(max_periods=16, on=(mechanism,))))
    assert m.regenerate(ds).identical(ds)
    with tempfile.TemporaryDirectory() as folder:
        m.to_netcdf(ds, Path(folder) / "world.nc")
        read = m.load(Path(folder) / "world.nc")
    xr.testing.assert_identical(read, ds)
    assert m.regenerate(read).identical(ds)


@given(config=worlds(max_periods=16))
@examples(0.3)
def test_a_world_is_made_of_its_configuration_and_parameters(config: dict[str, Any]) -> None:
    """Parameters of a Dataset given back make the same values, targets or not."""
    ds = drawn_world(config)
    again = drawn_world(config, params=ds)
    for name in ("mu", "y", "channel_contribution"):
        near(again[name], ds[name])


@pytest.mark.parametrize("mechanism", MECHANISMS)
@given(data=st.data(), n=st.integers(2, 3))
@examples(0.08)
def test_elements_of_an_ensemble_have_the_bits_of_single_datasets(
    mechanism: str, data: st.DataObject, n: int
) -> None:
    config = data.draw(worlds(max_periods=16, on=(mechanism,)))
    try:
        together = m.generate_ensemble(m.MMMDataConfig(**config), n=n, chunks=None)
    except m.ConfigError as error:
        assume("roas" not in str(error))
        raise
    for position in range(n):
        one = element(together, position)
        alone = m.generate_mmm_dataset(m.MMMDataConfig(**config), seed=int(one.attrs["seed"]))
        xr.testing.assert_identical(one, alone)


@given(config=worlds(max_periods=12))
@examples(0.3)
def test_an_added_geo_leaves_the_earlier_ones(config: dict[str, Any]) -> None:
    for channel in config["channels"]:
        channel.pop("roas", None)
        channel.setdefault("base_effectiveness", 0.05)
        # Media that spill over reach the new geo.
        channel.pop("spillover", None)
    regions = config["regions"]
    names, people = regions["region_names"], regions["population"]
    more = regions | {"region_names": [*names, "east"], "population": [*people, 7e5]}
    before, after = drawn_world(config), drawn_world(config | {"regions": more})
    for name in ("spend", "demand", "control_value", "effect_path", "loyal_share", "mu", "y"):
        if name in before:
            np.testing.assert_array_equal(before[name], after[name].sel(geo=names), err_msg=name)
