"""Noise: families, level, share of base sales, and sales that it may not take below zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen.errors import ConfigError, XgenWarning
from tests.strategies import (
    BASELINE_PARTS,
    NOISE_KEYS,
    assert_parts_add_up,
    config_with,
    generate,
    steady,
)


def test_no_other_term_carries_noise() -> None:
    config = config_with(
        steady(), regions={"sales_volatility": 0.1, "sales_trend": 0.01, "seasonal_amplitude": 0.1}
    )
    loud, other = generate(config), generate(config, seed=5)
    silent = generate(config | {"regions": config["regions"] | {"sales_volatility": 0.0}})
    assert float(loud["noise"].std()) > 500.0
    assert (loud["noise"] != other["noise"]).all()
    for part in (*BASELINE_PARTS, "mu"):
        assert np.array_equal(loud[part], silent[part]), f"{part} carries noise"
        assert np.array_equal(loud[part], other[part]), f"{part} carries noise"
    np.testing.assert_allclose(loud["y"] - loud["mu"], loud["noise"], rtol=1e-9, atol=1e-8)


def noisy(kind: str, volatility: float = 0.05, **fields: Any) -> xr.Dataset:
    """Dataset of steady spend whose noise is of one family."""
    noise = {"kind": kind} | NOISE_KEYS[kind] | {"sales_volatility": volatility}
    config = config_with(steady(), regions={"noise": noise} | fields.pop("regions", {}), **fields)
    del config["regions"]["sales_volatility"]
    return generate(config)


@pytest.fixture(scope="module", params=list(NOISE_KEYS))
def long_noise(request: pytest.FixtureRequest) -> xr.Dataset:
    regions = {"n_regions": 2, "population": [1e6, 3e6], "seasonal_amplitude": 0.2}
    return noisy(request.param, n_periods=30_000, freq="D", regions=regions)


def test_noise_has_mean_zero_and_the_sd_that_was_configured(
    long_noise: xr.Dataset,
) -> None:
    noise, sigma = long_noise["noise"], long_noise["y_sigma"]
    assert sigma.dims == ("geo",)
    assert (sigma > 0).all()
    # Four standard errors; an AR(1) with persistence 0.6 has twice the error of white noise.
    error = 4 * sigma / np.sqrt(30_000) * 2
    assert (np.abs(noise.mean("date")) < error).all()
    rms = np.sqrt((noise**2).mean("date"))
    np.testing.assert_allclose(rms, sigma, rtol=0.04)
    np.testing.assert_allclose(sigma / long_noise["intercept_contribution"], 0.05, rtol=0.15)


@pytest.mark.parametrize("kind", list(NOISE_KEYS))
def test_noise_is_unbiased_and_stationary_from_the_first_date(kind: str) -> None:
    ds = noisy(kind, n_periods=6, regions={"n_regions": 3000})
    standard = (ds["noise"] / ds["y_sigma"]).transpose("date", "geo").values
    assert (np.abs(standard.mean(axis=1)) < 4.5 / np.sqrt(3000)).all()
    np.testing.assert_allclose(standard.std(axis=1), 1.0, rtol=0.12)


def test_lognormal_noise_is_skewed_but_mean_corrected() -> None:
    ds = noisy("lognormal", 0.5, n_periods=4000, freq="D", regions={"n_regions": 4})
    ratio = (ds["y"] / ds["mu"]).values
    assert (ratio > 0).all()
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(ratio.size)
    # An uncorrected lognormal would be off by exp(s**2 / 2) - 1, about 12 % here.
    assert ratio.std() > 0.3
    assert np.median(ratio) < 0.97


def test_negative_binomial_sales_are_counts() -> None:
    ds = noisy("negative_binomial", 0.2, regions={"base_sales_rate": 200.0})
    assert (ds["y"] == np.round(ds["y"])).all()
    assert np.unique(ds["y"]).size > 10


def test_ar1_noise_is_autocorrelated_and_student_noise_has_heavy_tails() -> None:
    found = {}
    for kind in ("ar1", "gaussian", "student_t"):
        noise = noisy(kind, n_periods=8000, freq="D")["noise"].values.ravel()
        tail = float((np.abs(noise) > 3.5 * noise.std()).mean())
        found[kind] = (np.corrcoef(noise[1:], noise[:-1])[0, 1], tail)
    assert found["ar1"][0] == pytest.approx(0.6, abs=0.06)
    assert found["gaussian"][0] == pytest.approx(0.0, abs=0.06)
    assert found["student_t"][1] > 3 * max(found["gaussian"][1], 1e-4)


def test_clipped_sales_keep_the_identity_and_are_counted() -> None:
    config = config_with(steady(), n_periods=1000, regions={"sales_volatility": 1.5})
    with pytest.warns(XgenWarning, match=r"clip|below 0|negative") as record:
        ds = m.generate_mmm_dataset(m.MMMDataConfig(**config))
    cells = int((ds["y"] == 0).sum())
    assert cells > 3
    assert any(str(cells) in str(item.message) for item in record)
    assert (ds["y"] >= 0).all()
    assert_parts_add_up(ds)
    clipped = ds["y"].values == 0
    np.testing.assert_array_equal(ds["noise"].values[clipped], -ds["mu"].values[clipped])
    # The clip takes away what is below zero, so that E[y | mu] is no longer mu.
    assert float(ds["noise"].mean()) > 3 * float(ds["y_sigma"].item()) / np.sqrt(1000)


@pytest.mark.parametrize("kind", ["lognormal", "negative_binomial"])
def test_families_that_need_positive_sales_refuse_a_negative_mean(kind: str) -> None:
    price = {"name": "Price", "pattern": "linear_trend", "gamma_control": -20_000.0}
    with pytest.raises(ConfigError) as error:
        noisy(kind, control_variables=[price])
    assert "\n" not in str(error.value)
