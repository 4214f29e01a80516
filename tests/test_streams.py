"""Randomness: streams are addressed by name, never by position, and one seed decides all."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given
from hypothesis import strategies as st

import mmm_xgen as m
from tests.strategies import (
    NOISE_KEYS,
    config_dicts,
    config_with,
    generate,
)

ROOT = Path(__file__).parents[1]


def campaign(name: str, pattern: str, **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "pattern": pattern,
        "base_spend": 1000.0,
        "spend_volatility": 0.3,
    } | fields


def rich(**fields: Any) -> dict[str, Any]:
    """Mapping with every kind of draw: campaigns, controls, parameters that vary, noise."""
    return config_with(
        campaign("TV", "on_off", activation_probability=0.5, adstock={"kind": "geometric_adstock"}),
        campaign("Radio", "always_on", adstock={"kind": "delayed_adstock", "alpha": 0.4}),
        campaign("Web", "linear_trend", saturation={"kind": "logistic_saturation", "lam": 1e-3}),
        campaign("Print", "seasonal"),
        control_variables=[
            {
                "name": "Price",
                "pattern": "uniform",
                "low": 0.5,
                "high": 1.5,
                "gamma_control": -50.0,
            },
            {"name": "Rain", "pattern": "linear_trend", "persistence": 0.7, "gamma_control": 20.0},
        ],
        regions={
            "n_regions": 3,
            "sales_volatility": 0.05,
            "seasonal_amplitude": 0.1,
            "baseline_variation": 0.2,
            "channel_param_variation": 0.2,
            "transform_variation": 0.2,
        },
        transforms={
            "adstock_fun": "geometric_adstock",
            "adstock_kwargs": {"alpha": 0.5},
            "saturation_fun": "hill_function",
            "saturation_kwargs": {"slope": 1.0, "kappa": 1500.0},
        },
        **fields,
    )


@pytest.fixture(scope="module")
def reference() -> xr.Dataset:
    return generate(rich())


def equal_bits(left: xr.DataArray, right: xr.DataArray) -> bool:
    return bool(np.array_equal(left.values, right.values, equal_nan=left.dtype.kind == "f"))


def drawn_names(*datasets: xr.Dataset) -> list[str]:
    """Variables that hold drawn or configured values rather than sums over channels."""
    sums = {"mu", "y", "noise", "adstock_weights"}
    return sorted({str(name) for ds in datasets for name in ds.data_vars} - sums)


# Sums and products of the draws: equal, but for the order in which a machine adds.
DERIVED = {
    "carryover",
    "saturated",
    "channel_contribution",
    "control_contribution",
    "seasonality_contribution",
    "noise",
}


def assert_same_draws(left: xr.Dataset, right: xr.Dataset, *, least: int = 1000) -> None:
    """Everything that two Datasets have in common by label is equal in every bit."""
    compared = 0
    labels = {
        dim: [v for v in left[dim].values if v in set(right[dim].values)]
        for dim in ("geo", "channel", "control")
        if dim in left.dims and dim in right.dims
    }
    for name in drawn_names(left, right):
        if name not in left or name not in right:
            # A parameter that only the other's kinds have: it must be missing for all shared.
            only = (left if name in left else right)[name]
            pick = {dim: labels[dim] for dim in labels if dim in only.dims}
            assert np.isnan(only.sel(pick).values).all(), f"{name} is lost for a shared label"
            continue
        pick = {dim: labels[dim] for dim in labels if dim in left[name].dims}
        here, there = left[name].sel(pick), right[name].sel(pick)
        if name in DERIVED:
            size = float(np.abs(here).max()) if here.size else 0.0
            np.testing.assert_allclose(there, here, rtol=1e-10, atol=1e-13 * size, err_msg=name)
        elif here.dtype.kind == "f":
            assert equal_bits(here, there), f"{name} moved"
            compared += here.size
    assert compared >= least
    kernels = [ds["adstock_weights"].sel(channel=labels["channel"]) for ds in (left, right)]
    lags = max(kernel.sizes["lag"] for kernel in kernels)
    padded = [k.pad(lag=(0, lags - k.sizes["lag"]), constant_values=0.0) for k in kernels]
    geos = labels["geo"]
    assert equal_bits(padded[0].sel(geo=geos), padded[1].sel(geo=geos)), "adstock_weights moved"


# ------------------------------------------------------------------ one seed decides everything


def test_same_seed_is_bit_identical_in_process(reference: xr.Dataset) -> None:
    assert generate(rich()).identical(reference)


def digest(ds: xr.Dataset) -> str:
    summary = hashlib.sha256()
    for name in sorted(map(str, ds.data_vars)):
        summary.update(name.encode())
        values = ds[name].values
        summary.update(values.tobytes() if values.dtype.kind == "f" else str(values).encode())
    summary.update(json.dumps({str(k): str(v) for k, v in ds.attrs.items()}).encode())
    return summary.hexdigest()


def test_same_seed_is_bit_identical_in_another_process(reference: xr.Dataset) -> None:
    program = (
        "from tests.strategies import generate\n"
        "from tests.test_streams import digest, rich\n"
        "print(digest(generate(rich())))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip().splitlines()[-1] == digest(reference)


def test_another_seed_moves_every_draw(reference: xr.Dataset) -> None:
    other = generate(rich(), seed=12)
    for name in ("spend", "control_value", "noise"):
        both_zero = (other[name] == 0) & (reference[name] == 0)
        assert ((other[name] != reference[name]) | both_zero).all(), name
    for name in ("effect", "saturation_kappa", "adstock_alpha", "intercept_contribution"):
        has_value = reference[name].notnull()
        assert has_value.any()
        assert ((other[name] != reference[name]) | ~has_value).all(), name


def test_seed_argument_is_the_seed_of_the_config(reference: xr.Dataset) -> None:
    by_argument = generate(rich(), seed=77)
    by_config = generate(rich() | {"seed": 77})
    assert by_argument.identical(by_config)
    assert not equal_bits(by_argument["spend"], reference["spend"])


# ------------------------------------------------------------------ the global state


def test_global_random_state_is_neither_read_nor_written(reference: xr.Dataset) -> None:
    np.random.seed(1)
    random.seed(1)
    before, before_plain = copy.deepcopy(np.random.get_state()), random.getstate()
    first = generate(rich())
    after, after_plain = np.random.get_state(), random.getstate()
    assert before[0] == after[0]
    assert np.array_equal(before[1], after[1])
    assert before[2:] == after[2:]
    assert before_plain == after_plain
    np.random.seed(2)
    random.seed(2)
    assert first.identical(generate(rich()))
    assert first.identical(reference)


# ------------------------------------------------------------------ common random numbers


def swap_channel(config: dict[str, Any], position: int, channel: dict[str, Any]) -> dict[str, Any]:
    channels = list(config["channels"])
    channels[position] = {"base_effectiveness": 0.05} | channel
    return config | {"channels": channels}


CHANNEL_EDITS = {
    "base_spend": campaign("TV", "on_off", base_spend=9.0),
    "volatility": campaign("TV", "on_off", spend_volatility=0.0),
    "pattern": campaign("TV", "uniform", low=0.2, high=2.0),
    "effect": campaign("TV", "on_off", base_effectiveness=0.2),
    "placebo": campaign("TV", "on_off", base_effectiveness=0.0),
    "adstock": campaign("TV", "on_off", adstock={"kind": "weibull_adstock", "lam": 2.0, "k": 1.5}),
    "lags": campaign("TV", "on_off", adstock={"kind": "geometric_adstock", "l_max": 20}),
    "saturation": campaign(
        "TV", "on_off", saturation={"kind": "tanh_saturation", "b": 1.0, "c": 900.0}
    ),
    "name": campaign("Billboard", "on_off"),
}


@pytest.mark.parametrize("edit", CHANNEL_EDITS)
def test_changing_one_channel_leaves_every_other_draw_alone(
    reference: xr.Dataset, edit: str
) -> None:
    changed = generate(swap_channel(rich(), 0, CHANNEL_EDITS[edit]))
    others = ["Radio", "Web", "Print"]
    assert_same_draws(reference.sel(channel=others), changed.sel(channel=others))
    assert not equal_bits(
        reference["channel_contribution"].isel(channel=0),
        changed["channel_contribution"].isel(channel=0),
    ), "the edit had no effect, so the test shows nothing"


@pytest.mark.parametrize("position", [0, 2, 4])
def test_adding_a_channel_leaves_every_other_draw_alone(
    reference: xr.Dataset, position: int
) -> None:
    config = rich()
    new = {"base_effectiveness": 0.05} | campaign("Podcast", "pulsed", **PULSED)
    config["channels"].insert(position, new)
    more = generate(config)
    assert more.sizes["channel"] == 5
    assert_same_draws(reference, more)


PULSED = {"pulse_on_periods": 3, "pulse_off_periods": 2}


@pytest.mark.parametrize("position", [0, 1, 3])
def test_removing_a_channel_leaves_every_other_draw_alone(
    reference: xr.Dataset, position: int
) -> None:
    config = rich()
    del config["channels"][position]
    assert_same_draws(reference, generate(config))


def test_reordering_channels_reorders_and_changes_nothing(reference: xr.Dataset) -> None:
    config = rich()
    config["channels"] = config["channels"][::-1]
    turned = generate(config)
    assert list(turned["channel"].values) == ["Print", "Web", "Radio", "TV"]
    order = list(reference["channel"].values)
    assert_same_draws(reference, turned.sel(channel=order))


def test_adding_removing_reordering_or_changing_a_control_leaves_the_rest_alone(
    reference: xr.Dataset,
) -> None:
    config = rich()
    extra = {"name": "Promo", "pattern": "uniform", "low": 0.0, "high": 2.0, "gamma_control": 9.0}
    price, rain = config["control_variables"]
    louder = price | {"value_volatility": 0.5, "base_value": 3.0, "gamma_control": 1.0}
    edits = {
        "added": [extra, price, rain],
        "removed": [rain],
        "reordered": [rain, price],
        "changed": [louder, rain],
    }
    for edit, controls in edits.items():
        other = generate(config | {"control_variables": controls})
        if edit == "changed":
            assert not equal_bits(
                other["control_value"].sel(control="Price"),
                reference["control_value"].sel(control="Price"),
            )
            other = other.sel(control=["Rain"])
        assert_same_draws(reference, other)
        np.testing.assert_allclose(other["noise"], reference["noise"], rtol=1e-9, atol=1e-6)


def test_without_any_control_the_channels_stay(reference: xr.Dataset) -> None:
    bare = generate(rich() | {"control_variables": []})
    for name in ("spend", "effect", "saturation_kappa", "adstock_alpha", "channel_contribution"):
        assert equal_bits(bare[name], reference[name]), name


@pytest.mark.parametrize("kind", NOISE_KEYS)
def test_changing_the_noise_leaves_every_other_draw_alone(reference: xr.Dataset, kind: str) -> None:
    config = rich()
    del config["regions"]["sales_volatility"]
    config["regions"]["noise"] = {"kind": kind} | NOISE_KEYS[kind]
    other = generate(config)
    for name in drawn_names(reference):
        if name == "y_sigma":
            continue
        if reference[name].dtype.kind == "f":
            assert equal_bits(reference[name], other[name]), f"{name} moved"
    if kind != "gaussian":
        assert not np.allclose(other["noise"], reference["noise"])


def test_noise_level_scales_the_same_standardised_noise(reference: xr.Dataset) -> None:
    config = rich()
    config["regions"]["sales_volatility"] = 0.1
    louder = generate(config)
    np.testing.assert_allclose(louder["noise"], 2 * reference["noise"], rtol=1e-9, atol=1e-7)
    assert_same_draws(reference.drop_vars("y_sigma"), louder.drop_vars("y_sigma"))


def with_effects(config: dict[str, Any], **effect: float) -> dict[str, Any]:
    channels = [
        {k: v for k, v in channel.items() if k not in ("base_effectiveness", "roas")} | effect
        for channel in config["channels"]
    ]
    return config | {"channels": channels}


def with_geos(config: dict[str, Any], n_regions: int, **fields: Any) -> dict[str, Any]:
    return config | {"regions": config["regions"] | {"n_regions": n_regions} | fields}


@pytest.mark.parametrize("kind", ["gaussian", "student_t", "ar1"])
def test_appending_geos_leaves_the_earlier_noise_bit_identical(kind: str) -> None:
    config = config_with(
        campaign("TV", "always_on"),
        regions={"noise": {"kind": kind} | NOISE_KEYS[kind]},
    )
    del config["regions"]["sales_volatility"]
    few, many = generate(with_geos(config, 1)), generate(with_geos(config, 7))
    assert equal_bits(few["y_sigma"], many["y_sigma"].isel(geo=[0]))
    # y - mu may round as mu does; with a flat baseline it is the draw itself.
    assert equal_bits(few["noise"], many["noise"].isel(geo=[0]))


@pytest.mark.parametrize("kind", ["gaussian", "student_t", "ar1"])
def test_appending_geos_leaves_the_earlier_geos_bit_identical(kind: str) -> None:
    config = rich()
    del config["regions"]["sales_volatility"]
    config["regions"]["noise"] = {"kind": kind} | NOISE_KEYS[kind]
    few, many = generate(with_geos(config, 2)), generate(with_geos(config, 5))
    assert list(many["geo"].values[:2]) == list(few["geo"].values)
    assert_same_draws(few, many)
    first = many.isel(geo=slice(2))
    standard = [(ds["noise"] / ds["y_sigma"]).transpose("date", "geo") for ds in (few, first)]
    np.testing.assert_allclose(standard[0], standard[1], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(few["mu"], first["mu"], rtol=1e-12)


@pytest.mark.parametrize("kind", ["lognormal", "negative_binomial"])
def test_appending_geos_leaves_the_earlier_noise_of_skewed_families(kind: str) -> None:
    config = rich()
    del config["regions"]["sales_volatility"]
    config["regions"]["noise"] = {"kind": kind} | NOISE_KEYS[kind]
    few, many = generate(with_geos(config, 2)), generate(with_geos(config, 4))
    np.testing.assert_allclose(few["y"], many["y"].isel(geo=slice(2)), rtol=1e-12)


def test_appending_a_geo_of_given_population_changes_nothing_before_it() -> None:
    few = generate(with_geos(rich(), 2, population=[3e5, 9e5]))
    many = generate(with_geos(rich(), 3, population=[3e5, 9e5, 1e7]))
    assert_same_draws(few, many)
    np.testing.assert_allclose(few["y"], many["y"].isel(geo=slice(2)), rtol=1e-12)


def test_appending_a_geo_moves_a_roas_effect_by_one_common_factor() -> None:
    config = with_effects(rich(), roas=1.5)
    few, many = generate(with_geos(config, 2)), generate(with_geos(config, 4))
    first = many.isel(geo=slice(2))
    ratio = (first["effect"] / few["effect"]).transpose("geo", "channel").values
    np.testing.assert_allclose(ratio, ratio[:1].repeat(2, axis=0), rtol=1e-12)
    assert (np.abs(ratio - 1) > 1e-9).any(), "geos are equal, so the test shows nothing"
    moved = {
        "effect",
        "channel_contribution",
        "saturation_beta",
        "saturation_beta_mean",
        "effect_mean",
    }
    for name in set(drawn_names(few)) - moved:
        if few[name].dtype.kind == "f":
            here = first[name] if "geo" in first[name].dims else many[name]
            assert equal_bits(few[name], here), f"{name} moved"
    np.testing.assert_allclose(few["noise"], first["noise"], rtol=1e-9, atol=1e-7)


# ------------------------------------------------------------------ the same, of any config

# What an effect solved from a ROAS target moves, and what an effect decides.
SOLVED = {"effect", "effect_mean", "channel_contribution"} | {
    f"saturation_{name}{end}"
    for name in ("beta", "alpha", "sigma", "b", "c", "amplitude")
    for end in ("", "_mean")
}


def without_roas(config: dict[str, Any]) -> dict[str, Any]:
    channels = [dict(channel) for channel in config["channels"]]
    for channel in channels:
        if channel.pop("roas", None) is not None:
            channel["base_effectiveness"] = 0.1
    return config | {"channels": channels}


@given(mapping=config_dicts(max_periods=20), data=st.data())
def test_any_config_without_one_of_its_channels_keeps_the_others(
    mapping: dict[str, Any], data: st.DataObject
) -> None:
    channels = mapping["channels"]
    assume(len(channels) > 1)
    drop = data.draw(st.integers(0, len(channels) - 1))
    rest = channels[:drop] + channels[drop + 1 :]
    assert_same_draws(generate(mapping), generate(mapping | {"channels": rest}), least=10)


@given(mapping=config_dicts(max_periods=20), data=st.data())
def test_any_config_with_its_channels_and_controls_permuted_draws_the_same(
    mapping: dict[str, Any], data: st.DataObject
) -> None:
    other = mapping | {
        key: data.draw(st.permutations(mapping[key])) for key in ("channels", "control_variables")
    }
    assert_same_draws(generate(mapping), generate(other), least=10)


@given(mapping=config_dicts(max_periods=20))
def test_any_config_with_one_more_geo_keeps_the_earlier_ones(mapping: dict[str, Any]) -> None:
    regions = dict(mapping["regions"])
    regions["n_regions"] += 1
    if "population" in regions:
        regions["population"] = [*regions["population"], 7.0e5]
    few, many = generate(mapping), generate(mapping | {"regions": regions})
    assert list(many["geo"].values[:-1]) == list(few["geo"].values)
    if any("roas" in channel for channel in mapping["channels"]):
        few, many = (ds.drop_vars(SOLVED & set(ds.data_vars)) for ds in (few, many))
    assert_same_draws(few, many, least=10)
    mapping = without_roas(mapping)
    few, many = generate(mapping), generate(mapping | {"regions": regions})
    for name in ("mu", "y"):
        np.testing.assert_allclose(few[name], many[name].isel(geo=slice(-1)), rtol=1e-9)


# ------------------------------------------------------------------ neighbouring seeds


@pytest.fixture(scope="module")
def fifty_seeds() -> list[xr.Dataset]:
    """Pure noise around equal levels, so that any likeness comes from shared draws."""
    config = config_with(
        *[campaign(name, "linear_trend", spend_volatility=0.5) for name in ("A", "B", "C")],
        n_periods=120,
        control_variables=[
            {"name": name, "pattern": "linear_trend", "value_volatility": 0.5, "base_value": 1000.0}
            for name in ("A", "D")
        ],
        regions={"n_regions": 2, "sales_volatility": 0.1, "baseline_variation": 0.2},
    )
    parsed = m.MMMDataConfig(**config)
    return [generate(parsed, seed=seed) for seed in range(1000, 1050)]


def stacked(ds: xr.Dataset) -> np.ndarray:
    columns = [
        ds[name].transpose("date", ...).values.reshape(ds.sizes["date"], -1)
        for name in ("spend", "control_value", "noise")
    ]
    return np.concatenate(columns, axis=1)


def test_fifty_seeds_share_no_series(fifty_seeds: list[xr.Dataset]) -> None:
    series = np.concatenate([stacked(ds) for ds in fifty_seeds], axis=1)
    assert series.shape[1] == 50 * (2 * 3 + 2 * 2 + 2)
    correlation = np.corrcoef(series, rowvar=False)
    np.fill_diagonal(correlation, 0.0)
    assert np.abs(correlation).max() < 0.95


def test_fifty_seeds_share_no_single_draw(fifty_seeds: list[xr.Dataset]) -> None:
    # Equal values would mean a stream read twice, whatever the order or the offset.
    for name in ("spend", "control_value", "noise", "intercept_contribution"):
        values = np.concatenate([ds[name].values.ravel() for ds in fifty_seeds])
        # The first geo may be the reference without variation of its baseline.
        assert np.unique(values).size == values.size, name
    both = np.concatenate(
        [ds[name].values.ravel() for ds in fifty_seeds for name in ("spend", "control_value")]
    )
    assert np.unique(both).size == both.size, "a control shares a draw with a channel"


def test_fifty_seeds_switch_on_and_off_at_different_times() -> None:
    config = m.MMMDataConfig(
        **config_with(
            *[
                campaign(name, "on_off", activation_probability=0.4, spend_volatility=0.0)
                for name in ("A", "B")
            ],
            n_periods=150,
            regions={"n_regions": 2},
        )
    )
    plans = set()
    for seed in range(50):
        on = generate(config, seed=seed)["spend"].values.reshape(150, -1) > 0
        plans |= {column.tobytes() for column in on.T}
    assert len(plans) == 50 * 4


def test_parameters_of_neighbouring_seeds_channels_and_geos_differ() -> None:
    config = m.MMMDataConfig(
        **config_with(
            campaign("A", "linear_trend"),
            campaign("B", "linear_trend"),
            n_periods=12,
            regions={"n_regions": 3, "channel_param_variation": 0.2, "transform_variation": 0.2},
            transforms={
                "adstock_fun": "geometric_adstock",
                "adstock_kwargs": {"alpha": 0.5},
                "saturation_fun": "hill_function",
                "saturation_kwargs": {"slope": 1.0, "kappa": 1500.0},
            },
        )
    )
    for name in ("effect", "saturation_kappa", "adstock_alpha"):
        values = np.concatenate(
            [generate(config, seed=seed)[name].values.ravel() for seed in range(50)]
        )
        assert np.unique(values).size == values.size == 300, name


def test_no_two_series_of_a_dataset_are_copies_of_each_other() -> None:
    channels = [
        {"name": f"ch{i}", "pattern": "linear_trend", "base_spend": 1000.0, "spend_volatility": 0.4}
        for i in range(24)
    ]
    controls = [
        {
            "name": f"co{i}",
            "pattern": "linear_trend",
            "base_value": 1000.0,
            "value_volatility": 0.4,
        }
        for i in range(12)
    ]
    ds = generate(
        config_with(
            *channels,
            control_variables=controls,
            n_periods=160,
            regions={"n_regions": 6, "sales_volatility": 0.1},
        )
    )
    columns = [
        ds[name].transpose("date", ...).values.reshape(160, -1)
        for name in ("spend", "control_value", "noise")
    ]
    series = np.concatenate(columns, axis=1)
    assert series.shape[1] == 6 * (24 + 12 + 1)
    correlation = np.corrcoef(series, rowvar=False) - np.eye(series.shape[1])
    assert np.abs(correlation).max() < 0.9
    values = np.concatenate(columns[:2], axis=1)
    assert np.unique(values).size == values.size, "two series share a draw"
