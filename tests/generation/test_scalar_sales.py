"""Sales of random worlds, part by part, against plain loops over the specification."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given
from hypothesis import strategies as st

import mmm_xgen as m
from mmm_xgen.schema import PARTS
from mmm_xgen.truth import simulate
from tests.drawn_worlds import MECHANISMS, drawn_world, worlds
from tests.scalar_baseline import ScalarBaseline, settings_of
from tests.scalar_sales import (
    expected_sales,
    followed_sd,
    log_parts,
    lognormal_draws,
    parts_of_sales,
)
from tests.scalar_world import ScalarWorld, as_array, near
from tests.strategies import config_with, examples, generate, steady

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")

SALES = ("date", "geo")
# Everything that is not noise depends on spend, or on series that the Dataset shows.
NOISES = ("level_power", "outliers", "capacity")


def shown(ds: xr.Dataset, name: str) -> np.ndarray:
    items = [dim for dim in ds[name].dims if dim not in SALES]
    return ds[name].transpose(*(dim for dim in SALES if dim in ds[name].dims), *items).values


@pytest.mark.parametrize("mechanism", MECHANISMS)
@given(data=st.data())
@examples(0.16)
def test_every_part_is_what_loops_make(mechanism: str, data: st.DataObject) -> None:
    """In worlds that have the mechanism, and some others beside it."""
    ds = drawn_world(data.draw(worlds(on=(mechanism,))))
    spend = ScalarWorld(ds).spend()
    parts, size = parts_of_sales(ds, spend), float(abs(ds["mu"]).max())
    for name in PARTS:
        if name in ds:
            near(shown(ds, name), parts[name], size=size)
    missing = [name for name, part in parts.items() if name not in ds and part.size]
    # Parts that a Dataset lacks are 0 in its world.
    assert all((abs(parts[name]) <= 1e-9 * size).all() for name in missing), missing
    near(shown(ds, "mu"), expected_sales(ds, spend))
    if limit := settings_of(ds).regions.capacity:
        near(ds["capacity"], limit * ds["intercept_contribution"])


@given(config=worlds(), seed=st.integers(0, 99))
@examples(0.3)
def test_parts_under_another_plan_are_what_loops_make(config: dict[str, Any], seed: int) -> None:
    ds = drawn_world(config)
    factor = np.random.default_rng(seed).uniform(0.0, 2.0, ds["spend"].shape)
    made = simulate(ds, spend=ds["spend"] * factor)
    spend = ScalarWorld(ds).spend(made["spend"])
    parts, size = parts_of_sales(ds, spend), float(abs(ds["mu"]).max())
    near(shown(made, "mu"), expected_sales(ds, spend))
    for name in PARTS:
        if name in ds:
            near(shown(made, name), parts[name], size=size)


@given(config=worlds())
@examples(0.4)
def test_parts_add_up(config: dict[str, Any]) -> None:
    """Of expected sales with the identity link, and of their log with the log link."""
    ds = drawn_world(config)
    parts = [ds[name] for name in PARTS if name in ds]
    sums = [part.sum([dim for dim in part.dims if dim not in SALES]) for part in parts]
    near(sum(sums[1:], sums[0]).transpose(*SALES), shown(ds, "mu"))
    if config.get("link") != "log":
        assert not [name for name in ds if str(name).startswith("log_")]
        return
    logs = [ds[name] for name in ds.data_vars if str(name).startswith("log_")]
    sums = [part.sum([dim for dim in part.dims if dim not in SALES]) for part in logs]
    near(sum(sums[1:], sums[0]).transpose(*SALES), np.log(shown(ds, "mu")))
    for name, part in log_parts(ds, ScalarWorld(ds).spend()).items():
        if part[0]:
            near(shown(ds, f"log_{name}"), as_array(part), size=1.0)
    near(
        ds["log_intercept"].values.ravel()[: ds.sizes["geo"]], np.log(ds["intercept_contribution"])
    )


def without_noise_mechanisms(config: dict[str, Any]) -> dict[str, Any]:
    regions = {key: value for key, value in config["regions"].items() if key not in NOISES}
    noise = {key: value for key, value in regions["noise"].items() if key not in NOISES}
    return config | {"regions": regions | {"noise": noise}}


@given(config=worlds(without=("link",)))
@examples(0.6)
def test_noise_is_what_loops_make_of_its_draws(config: dict[str, Any]) -> None:
    """The draws come from the same world whose noise has one size, no outliers and no limit."""
    ds, plain = drawn_world(config), drawn_world(without_noise_mechanisms(config))
    assume(bool((plain["y"] > 0).all() and (ds["y"] > 0).all()))
    noise = config["regions"]["noise"]
    outliers = shown(ds, "outlier_contribution") if "outlier_contribution" in ds else 0.0
    sigma, mu = ds["y_sigma"].values, shown(ds, "mu")
    power = noise.get("level_power", 0.0)
    sd = as_array([followed_sd(mu[:, g].tolist(), sigma[g], power) for g in range(len(sigma))])
    wanted = mu + sd * shown(plain, "noise") / sigma + outliers
    if "capacity" in config["regions"]:
        capacity = config["regions"]["capacity"] * ds["intercept_contribution"].values
        near(ds["capacity"].values, capacity)
        near(shown(ds, "lost_sales"), np.maximum(wanted - capacity, 0.0), size=mu.max())
        wanted = np.minimum(wanted, capacity)
    near(shown(ds, "y"), wanted, size=mu.max())
    near(shown(ds, "noise"), wanted - mu, size=mu.max())


@given(config=worlds(without=("response", *NOISES, "shared", "noise")))
@examples(0.2)
def test_noise_of_the_log_link_has_one_size_on_the_log_scale(config: dict[str, Any]) -> None:
    """Draws are those of Gaussian noise with the identity link."""
    free = {key: value for key, value in config.items() if key != "link"}
    regions = free["regions"] | {"noise": {"kind": "gaussian", "sales_volatility": 0.02}}
    plain = drawn_world(free | {"regions": regions})
    assume(bool((plain["y"] > 0).all()))
    regions = regions | {"noise": {"kind": "lognormal", "sales_volatility": 0.02}}
    ds = drawn_world(free | {"link": "log", "regions": regions})
    near(ds["y_sigma"], [0.02] * ds.sizes["geo"])
    draws = lognormal_draws(shown(ds, "mu"), shown(ds, "y"), ds["y_sigma"].values)
    near(draws, shown(plain, "noise") / plain["y_sigma"].values, size=100.0)


@pytest.mark.parametrize("link", ["identity", "log"])
def test_outliers_have_their_share_and_their_size(link: str) -> None:
    regions = {"n_regions": 20, "sales_volatility": 0.03, "seasonal_amplitude": 0.3}
    regions["outliers"] = {"share": 0.05, "size": 6.0}
    ds = generate(config_with(steady(), n_periods=200, regions=regions, link=link))
    found = ds["outlier_contribution"]
    is_outlier = found != 0
    # 4,000 cells: the share has a standard error of 0.0034.
    np.testing.assert_allclose(is_outlier.mean(), 0.05, atol=0.014)
    # Lognormal sales of mean mu have the variance mu^2 (exp(sigma^2) - 1).
    sd = ds["y_sigma"] if link == "identity" else ds["mu"] * np.sqrt(np.expm1(ds["y_sigma"] ** 2))
    size = abs(found).where(is_outlier) / sd
    np.testing.assert_allclose(size.min(), 6.0)
    np.testing.assert_allclose(size.max(), 6.0)
    assert abs(float(np.sign(found).where(is_outlier).mean())) < 0.3


@pytest.mark.parametrize(("shape", "width"), [("step", None), ("dip", 60.0)])
def test_the_intensity_of_an_event_is_its_shape(shape: str, width: float | None) -> None:
    event = {"name": "shock", "dates": ["2022-03-09"], "effect": -0.2, "shape": shape}
    event |= {"width_days": width} if width else {}
    ds = m.generate_mmm_dataset(n_periods=52, start_date="2022-01-03", events=[event])
    baseline = ScalarBaseline(ds)
    wanted = [baseline.intensity(0, t) for t in range(52)]
    near(ds["event_intensity"].transpose("event", "date")[0], wanted)


def test_an_event_of_one_geo_leaves_the_others() -> None:
    event = {"name": "strike", "dates": ["2022-03-07"], "effect": -0.2, "geos": ["b"]}
    regions = {"region_names": ["a", "b"]}
    ds = m.generate_mmm_dataset(n_periods=52, regions=regions, events=[event])
    assert (ds["event_effect"].sel(geo="a") == 0).all()
    near(ds["event_effect"].sel(geo="b"), -0.2 * ds["intercept_contribution"].sel(geo=["b"]))


@given(config=worlds())
@examples(0.3)
def test_paths_of_the_baseline_have_mean_1(config: dict[str, Any]) -> None:
    ds = drawn_world(config)
    for path, mechanism in (("baseline_path", "level_path"), ("season_path", "season_path")):
        assert (path in ds) == (mechanism in config["regions"])
        if path in ds:
            near(ds[path].mean("date"), np.ones(ds.sizes["geo"]))


@given(config=worlds())
@examples(0.3)
def test_a_platform_reports_more_than_media_make(config: dict[str, Any]) -> None:
    ds = drawn_world(config)
    assume("reported_sales" in ds)
    factor = [1 + (channel.over_reporting or 0.0) for channel in settings_of(ds).channels]
    near(shown(ds, "reported_sales"), shown(ds, "channel_contribution") * factor)
