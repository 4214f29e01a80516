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
from tests.strategies import NOISE_KEYS, config_dicts, config_with, generate, quietly

ROOT = Path(__file__).parents[1]


def campaign(name: str, pattern: str, **fields: Any) -> dict[str, Any]:
    numbers = {"base_spend": 1000.0, "spend_volatility": 0.3}
    return {"name": name, "pattern": pattern} | numbers | fields


HILL = {
    "adstock_fun": "geometric_adstock",
    "adstock_kwargs": {"alpha": 0.5},
    "saturation_fun": "hill_function",
    "saturation_kwargs": {"slope": 1.0, "kappa": 1500.0},
}
PRICE = {"name": "Price", "pattern": "uniform", "low": 0.5, "high": 1.5, "gamma_control": -50.0}
RAIN = {"name": "Rain", "pattern": "linear_trend", "persistence": 0.7, "gamma_control": 20.0}


def rich(**regions: Any) -> dict[str, Any]:
    """Mapping with every kind of draw: campaigns, controls, parameters that vary, noise."""
    return config_with(
        campaign("TV", "on_off", activation_probability=0.5, adstock={"kind": "geometric_adstock"}),
        campaign("Radio", "always_on", adstock={"kind": "delayed_adstock", "alpha": 0.4}),
        campaign("Web", "linear_trend", saturation={"kind": "logistic_saturation", "lam": 1e-3}),
        campaign("Print", "seasonal"),
        control_variables=[PRICE, RAIN],
        regions={
            "n_regions": 3,
            "sales_volatility": 0.05,
            "seasonal_amplitude": 0.1,
            "baseline_variation": 0.2,
            "channel_param_variation": 0.2,
            "transform_variation": 0.2,
        }
        | regions,
        transforms=HILL,
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
        dim: [label for label in left[dim].values if label in set(right[dim].values)]
        for dim in ("geo", "channel", "control")
    }
    left, right = (ds.sel(labels) for ds in (left, right))
    for name in drawn_names(left, right):
        if name not in left or name not in right:
            # A parameter that only the other's kinds have: it must be missing for all shared.
            only = (left if name in left else right)[name]
            assert np.isnan(only.values).all(), f"{name} is lost for a shared label"
            continue
        here, there = left.variables[name].values, right.variables[name].values
        if name in DERIVED:
            size = np.abs(here).max(initial=0.0)
            np.testing.assert_allclose(there, here, rtol=1e-10, atol=1e-13 * size, err_msg=name)
        elif here.dtype.kind == "f":
            assert np.array_equal(here, there, equal_nan=True), f"{name} moved"
            compared += here.size
    assert compared >= least
    kernels = [ds["adstock_weights"] for ds in (left, right)]
    lags = max(kernel.sizes["lag"] for kernel in kernels)
    padded = [k.pad(lag=(0, lags - k.sizes["lag"]), constant_values=0.0) for k in kernels]
    assert equal_bits(*padded), "adstock_weights moved"


# ------------------------------------------------------------------ one seed decides everything


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
        "from mmm_xgen import get_preset_config, list_available_presets\n"
        "from tests.strategies import generate\n"
        "from tests.test_streams import digest, rich\n"
        "print(digest(generate(rich())))\n"
        "print([get_preset_config(name).to_json() for name in list_available_presets()])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    presets = [m.get_preset_config(name).to_json() for name in m.list_available_presets()]
    assert run.stdout.splitlines() == [digest(reference), str(presets)]


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


@pytest.mark.parametrize(
    "edit",
    [
        {"base_spend": 9.0},
        {"spend_volatility": 0.0},
        {"pattern": "uniform", "low": 0.2, "high": 2.0},
        {"base_effectiveness": 0.2},
        {"base_effectiveness": 0.0},
        {"adstock": {"kind": "weibull_adstock", "lam": 2.0, "k": 1.5}},
        {"adstock": {"kind": "geometric_adstock", "l_max": 20}},
        {"saturation": {"kind": "tanh_saturation", "b": 1.0, "c": 900.0}},
        {"name": "Billboard"},
    ],
    ids=str,
)
def test_changing_one_channel_leaves_every_other_draw_alone(
    reference: xr.Dataset, edit: dict[str, Any]
) -> None:
    config = rich()
    tv = {"base_effectiveness": 0.05} | campaign("TV", "on_off") | edit
    changed = generate(config | {"channels": [tv, *config["channels"][1:]]})
    others = ["Radio", "Web", "Print"]
    assert_same_draws(reference.sel(channel=others), changed.sel(channel=others))
    assert not equal_bits(
        reference["channel_contribution"].isel(channel=0),
        changed["channel_contribution"].isel(channel=0),
    ), "the edit had no effect, so the test shows nothing"


PROMO = {"name": "Promo", "pattern": "uniform", "low": 0.0, "high": 2.0, "gamma_control": 9.0}
LOUD = PRICE | {"value_volatility": 0.5, "base_value": 3.0, "gamma_control": 1.0}


@pytest.mark.parametrize("controls", [[PROMO, PRICE, RAIN], [RAIN], [], [LOUD, RAIN]])
def test_adding_removing_or_changing_a_control_leaves_the_rest_alone(
    reference: xr.Dataset, controls: list[dict[str, Any]]
) -> None:
    other = generate(rich() | {"control_variables": controls})
    np.testing.assert_allclose(other["noise"], reference["noise"], rtol=1e-9, atol=1e-6)
    if LOUD in controls:
        values = [ds["control_value"].sel(control="Price") for ds in (other, reference)]
        assert not equal_bits(*values)
        other = other.sel(control=["Rain"])
    assert_same_draws(reference, other)


def with_noise(config: dict[str, Any], kind: str) -> dict[str, Any]:
    del config["regions"]["sales_volatility"]
    config["regions"]["noise"] = {"kind": kind} | NOISE_KEYS[kind]
    return config


@pytest.mark.parametrize("kind", NOISE_KEYS)
def test_changing_the_noise_leaves_every_other_draw_alone(reference: xr.Dataset, kind: str) -> None:
    other = generate(with_noise(rich(), kind))
    for name in set(drawn_names(reference)) - {"y_sigma"}:
        if reference[name].dtype.kind == "f":
            assert equal_bits(reference[name], other[name]), f"{name} moved"
    assert np.allclose(other["noise"], reference["noise"]) == (kind == "gaussian")


def test_noise_level_scales_the_same_standardised_noise(reference: xr.Dataset) -> None:
    louder = generate(rich(sales_volatility=0.1))
    np.testing.assert_allclose(louder["noise"], 2 * reference["noise"], rtol=1e-9, atol=1e-7)
    assert_same_draws(reference.drop_vars("y_sigma"), louder.drop_vars("y_sigma"))


@pytest.mark.parametrize("kind", ["gaussian", "student_t", "ar1"])
def test_appending_geos_leaves_the_earlier_noise_bit_identical(kind: str) -> None:
    # y - mu may round as mu does; with a flat baseline it is the draw itself.
    channel = campaign("TV", "always_on")
    few, many = (
        generate(with_noise(config_with(channel, regions={"n_regions": n}), kind)) for n in (1, 7)
    )
    assert equal_bits(few["y_sigma"], many["y_sigma"].isel(geo=[0]))
    assert equal_bits(few["noise"], many["noise"].isel(geo=[0]))


@pytest.mark.parametrize("kind", NOISE_KEYS)
def test_appending_geos_leaves_the_earlier_geos_alone(kind: str) -> None:
    sizes = [3e5, 9e5, 1e7, 2e4]
    few, many = (
        generate(with_noise(rich(population=sizes[:n], n_regions=n), kind)) for n in (2, 4)
    )
    assert list(many["geo"].values[:2]) == list(few["geo"].values)
    assert_same_draws(few, many)
    first = many.isel(geo=slice(2))
    for name in ("mu", "y"):
        np.testing.assert_allclose(few[name], first[name], rtol=1e-12)
    if kind in ("gaussian", "student_t", "ar1"):
        standard = [(ds["noise"] / ds["y_sigma"]).transpose("date", "geo") for ds in (few, first)]
        np.testing.assert_allclose(standard[0], standard[1], rtol=1e-9, atol=1e-9)


def test_appending_a_geo_moves_a_roas_effect_by_one_common_factor() -> None:
    few, many = (rich(n_regions=n) for n in (2, 4))
    for channel in (*few["channels"], *many["channels"]):
        del channel["base_effectiveness"]
        channel["roas"] = 1.5
    few, many = generate(few), generate(many)
    first = many.isel(geo=slice(2))
    ratio = (first["effect"] / few["effect"]).transpose("geo", "channel").values
    np.testing.assert_allclose(ratio, ratio[:1].repeat(2, axis=0), rtol=1e-12)
    assert (np.abs(ratio - 1) > 1e-9).any(), "geos are equal, so the test shows nothing"
    for name in set(drawn_names(few)) - SOLVED:
        if few[name].dtype.kind == "f":
            here = first[name] if "geo" in first[name].dims else many[name]
            assert equal_bits(few[name], here), f"{name} moved"
    np.testing.assert_allclose(few["noise"], first["noise"], rtol=1e-9, atol=1e-7)


# ------------------------------------------------------------------ the same, of any config

# What an effect solved from a ROAS target moves, and what an effect decides.
SOLVED = {
    *("effect", "effect_mean", "channel_contribution", "lost_sales", "outlier_contribution")
} | {
    f"saturation_{name}{end}"
    for name in ("beta", "alpha", "sigma", "b", "c", "amplitude")
    for end in ("", "_mean")
}


@given(mapping=config_dicts(max_periods=12), data=st.data())
def test_any_config_without_one_of_its_channels_keeps_the_others(
    mapping: dict[str, Any], data: st.DataObject
) -> None:
    channels = mapping["channels"]
    assume(len(channels) > 1)
    drop = data.draw(st.integers(0, len(channels) - 1))
    rest = channels[:drop] + channels[drop + 1 :]
    assert_same_draws(generate(mapping), generate(mapping | {"channels": rest}), least=10)


@given(mapping=config_dicts(max_periods=12), data=st.data())
def test_any_config_with_its_channels_and_controls_permuted_draws_the_same(
    mapping: dict[str, Any], data: st.DataObject
) -> None:
    other = mapping | {
        key: data.draw(st.permutations(mapping[key])) for key in ("channels", "control_variables")
    }
    assert_same_draws(generate(mapping), generate(other), least=10)


@given(mapping=config_dicts(max_periods=12))
def test_any_config_with_one_more_geo_keeps_the_earlier_ones(mapping: dict[str, Any]) -> None:
    regions = dict(mapping["regions"])
    regions["n_regions"] += 1
    if "population" in regions:
        regions["population"] = [*regions["population"], 7.0e5]
    few, many = generate(mapping), generate(mapping | {"regions": regions})
    assert list(many["geo"].values[:-1]) == list(few["geo"].values)
    if any("roas" in channel for channel in mapping["channels"]):
        few, many = (ds.drop_vars(SOLVED & set(ds.data_vars)) for ds in (few, many))
    else:
        for name in ("mu", "y"):
            np.testing.assert_allclose(few[name], many[name].isel(geo=slice(-1)), rtol=1e-9)
    assert_same_draws(few, many, least=10)


# ------------------------------------------------------------------ neighbouring seeds


@pytest.fixture(scope="module")
def fifty_seeds() -> xr.Dataset:
    """Pure noise around equal levels, so that any likeness comes from shared draws."""
    on_off = {"activation_probability": 0.4, "spend_volatility": 0.0}
    config = config_with(
        *(campaign(name, "linear_trend", spend_volatility=0.5) for name in ("A", "B", "C")),
        *(campaign(name, "on_off", **on_off) for name in ("D", "E")),
        n_periods=150,
        control_variables=[
            {"name": name, "pattern": "linear_trend", "value_volatility": 0.5, "base_value": 1000.0}
            for name in ("A", "D")
        ],
        regions={
            "n_regions": 2,
            "sales_volatility": 0.1,
            "baseline_variation": 0.2,
            "channel_param_variation": 0.2,
            "transform_variation": 0.2,
        },
        transforms=HILL,
    )
    return quietly(lambda: m.generate_ensemble(config, seeds=range(1000, 1050), chunks=None))


def columns_of(ds: xr.Dataset, *names: str) -> np.ndarray:
    columns = [
        ds[name].transpose("date", ...).values.reshape(ds.sizes["date"], -1) for name in names
    ]
    return np.concatenate(columns, axis=1)


def assert_no_series_are_alike(ds: xr.Dataset, n: int) -> None:
    series = columns_of(ds, "spend", "control_value", "noise")
    assert series.shape[1] == n
    assert np.abs(np.corrcoef(series, rowvar=False) - np.eye(n)).max() < 0.9


def test_fifty_seeds_share_no_series_and_no_single_draw(fifty_seeds: xr.Dataset) -> None:
    ds = fifty_seeds.sel(channel=["A", "B", "C"])
    assert_no_series_are_alike(ds, 50 * (2 * 3 + 2 * 2 + 2))
    # Equal values would mean a stream read twice, whatever the order or the offset.
    names = ("noise", "intercept_contribution", "effect", "saturation_kappa", "adstock_alpha")
    for values in (columns_of(ds, "spend", "control_value"), *(ds[name].values for name in names)):
        assert np.unique(values).size == values.size


def test_fifty_seeds_switch_on_and_off_at_different_times(fifty_seeds: xr.Dataset) -> None:
    on = columns_of(fifty_seeds.sel(channel=["D", "E"]), "spend") > 0
    assert len({column.tobytes() for column in on.T}) == 50 * 2 * 2


def test_no_two_series_of_a_dataset_are_copies_of_each_other() -> None:
    channels = [campaign(f"ch{i}", "linear_trend", spend_volatility=0.4) for i in range(24)]
    level = {"pattern": "linear_trend", "base_value": 1000.0, "value_volatility": 0.4}
    controls = [{"name": f"co{i}"} | level for i in range(12)]
    regions = {"n_regions": 6, "sales_volatility": 0.1}
    ds = generate(
        config_with(*channels, control_variables=controls, n_periods=160, regions=regions)
    )
    assert_no_series_are_alike(ds, 6 * (24 + 12 + 1))
    values = columns_of(ds, "spend", "control_value")
    assert np.unique(values).size == values.size, "two series share a draw"
