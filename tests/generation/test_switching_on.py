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
from tests.drawn_worlds import HAS, drawn_world, worlds
from tests.scalar_sales import followed_sd, lognormal_draws
from tests.scalar_world import as_array, near
from tests.strategies import examples

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")

NEW = tuple(HAS)
# A mechanism by the switch that tells if the package has it, and what it adds to a configuration.
ADDED: dict[str, tuple[str, dict[str, Any]]] = {
    "link": ("link", {"link": "log", "regions": {"noise": {"kind": "lognormal"}}}),
    "promotions": (
        "promotions",
        {"promotions": [{"name": "Sale", "depth": 0.2, "share": 0.3, "elasticity": -2.0}]},
    ),
    "promotions that answer": (
        "promotions",
        {
            "promotions": [
                {"name": "Sale", "depth": 0.2, "share": 0.3, "elasticity": -2.0, "answer": 0.8}
            ]
        },
    ),
    "level path": ("level_path", {"regions": {"level_path": {"kind": "random_walk", "sd": 0.05}}}),
    "season path": ("season_path", {"regions": {"season_path": {"kind": "smooth", "sd": 0.2}}}),
    "season shift": ("season_shift", {"regions": {"season_shift": 20.0}}),
    "level power": ("level_power", {"regions": {"noise": {"level_power": 1.0}}}),
    "outliers": ("outliers", {"regions": {"outliers": {"share": 0.2, "size": 6.0}}}),
    "capacity": ("capacity", {"regions": {"capacity": 1.2}}),
    "spillover": ("spillover", {"channels": {"spillover": 0.3}}),
    "over-reporting": ("over_reporting", {"channels": {"over_reporting": 0.4}}),
    "a step": (
        "shapes",
        {"events": [{"name": "s", "dates": ["2022-01-20"], "effect": 0.1, "shape": "step"}]},
    ),
    # Mechanisms of the first half, which the package has always had.
    "competitor": ("", {"competitor": {"share": 0.05, "answer": 0.5}}),
    "pull-forward": ("", {"channels": {"pull_forward": {"share": 0.4}}}),
    "a pulse": ("", {"events": [{"name": "s", "dates": ["2022-01-20"], "effect": 0.1}]}),
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


@pytest.mark.parametrize("mechanism", ADDED)
@given(config=worlds(without=(*NEW, "events", "competitor", "pull_forward", "noise")))
@examples(0.12)
def test_a_mechanism_that_is_switched_on_moves_no_draw(
    mechanism: str, config: dict[str, Any]
) -> None:
    switch, added = ADDED[mechanism]
    if switch and not HAS[switch]:
        pytest.skip(f"{switch} comes later")
    if mechanism == "promotions that answer":
        assume("demand" in config)
    for channel in config["channels"]:
        # Effects that a target decides are solved anew.
        channel.pop("roas", None)
        channel.setdefault("base_effectiveness", 0.05)
    changed = with_mechanism(config, added)
    before, after = drawn_world(config), drawn_world(changed)
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
    switch, added = ADDED[mechanism]
    if switch and not HAS[switch]:
        pytest.skip(f"{switch} comes later")
    config = {
        "n_periods": 30,
        "demand": {},
        "channels": [{"name": "TV", "roas": 2.0}, {"name": "Search", "budget_rule": "search"}],
        "regions": {"n_regions": 2, "seasonal_amplitude": 0.3, "noise": {"kind": "gaussian"}},
    }
    before, after = drawn_world(config), drawn_world(with_mechanism(config, added))
    moved = "reported_sales" if mechanism == "over-reporting" else "y"
    assert not np.allclose(before[moved], after[moved])


@given(config=worlds(max_periods=16))
@examples(0.3)
def test_a_world_is_made_again_and_read_back(config: dict[str, Any]) -> None:
    ds = drawn_world(config)
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


@given(config=worlds(max_periods=16), n=st.integers(2, 3))
@examples(0.3)
def test_elements_of_an_ensemble_have_the_bits_of_single_datasets(
    config: dict[str, Any], n: int
) -> None:
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
    for name in ("spend", "demand", "control_value", "effect_path", "mu", "y"):
        if name in before:
            np.testing.assert_array_equal(before[name], after[name].sel(geo=names), err_msg=name)
