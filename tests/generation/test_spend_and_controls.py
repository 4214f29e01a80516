"""Spend of patterns that are functions of the user's, and controls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen.errors import ConfigError
from tests.strategies import config_with, generate, steady


def calling(pattern: Callable[..., Any], **regions: Any) -> m.MMMDataConfig:
    return m.MMMDataConfig(**config_with(steady(pattern=pattern), regions=regions))


def test_a_callable_pattern_is_called_once_a_geo_and_is_relative_to_base() -> None:
    calls = []

    def pattern(dates: Any, rng: np.random.Generator) -> np.ndarray:
        calls.append(pd.DatetimeIndex(np.asarray(dates)))
        return np.linspace(0.5, 1.5, len(dates)) + 0.01 * rng.random(len(dates))

    config = calling(pattern, n_regions=3)
    calls.clear()
    ds = generate(config)
    assert len(calls) == 3
    assert (calls[0] == pd.DatetimeIndex(ds["date"].values)).all()
    expected = 1000.0 * np.linspace(0.5, 1.5, 52)
    for g in range(3):
        excess = ds["spend"].values[:, g, 0] - expected
        assert (excess >= -1e-9).all()
        assert (excess <= 10.0).all()
    assert not np.array_equal(ds["spend"].values[:, 0, 0], ds["spend"].values[:, 1, 0])
    assert generate(config)["spend"].equals(ds["spend"])


@pytest.mark.parametrize(
    "pattern",
    [
        lambda dates, rng: np.ones(3),
        lambda dates, rng: -np.ones(len(dates)),
        lambda dates, rng: np.full(len(dates), np.nan),
        lambda dates, rng: "many",
        lambda dates, rng: None,
    ],
)
def test_a_callable_pattern_that_returns_nonsense_is_a_config_error(
    pattern: Callable[..., Any],
) -> None:
    with pytest.raises(ConfigError, match="returned") as error:
        generate(calling(pattern))
    assert "\n" not in str(error.value)
    assert "channels.0" in str(error.value) or "TV" in str(error.value)


def controlled(**control: Any) -> xr.Dataset:
    price = {"name": "Price", "pattern": "uniform", "low": 0.8, "high": 1.2, "base_value": 20.0}
    regions = {"n_regions": 2, "population": [1e6, 2e6]}
    return generate(
        config_with(
            steady(base_effectiveness=0.0), control_variables=[price | control], regions=regions
        )
    )


@pytest.mark.parametrize("gamma", [-37.0, 12.0])
def test_control_contribution_is_gamma_times_the_value_above_its_reference(gamma: float) -> None:
    plain = controlled(gamma_control=gamma)
    expected = plain["control_value"] * plain["gamma_control"]
    np.testing.assert_allclose(plain["control_contribution"], expected, rtol=1e-12)
    np.testing.assert_allclose(plain["gamma_control"].values[0], gamma)
    shifted = controlled(gamma_control=gamma, reference=18.0)
    expected = (shifted["control_value"] - 18.0) * shifted["gamma_control"]
    np.testing.assert_allclose(shifted["control_contribution"], expected, rtol=1e-9, atol=1e-9)
    assert np.array_equal(plain["control_value"], shifted["control_value"])
    assert np.sign(plain["control_contribution"]).equals(
        xr.full_like(plain["control_contribution"], np.sign(gamma))
    )


@pytest.mark.parametrize("elasticity", [-1.5, 0.4])
def test_elasticity_acts_on_base_volume(elasticity: float) -> None:
    ds = controlled(elasticity=elasticity, reference=20.0)
    ratio = ds["control_value"] / 20.0
    expected = ds["intercept_contribution"] * (ratio**elasticity - 1)
    np.testing.assert_allclose(
        ds["control_contribution"], expected.transpose("date", "geo", "control"), rtol=1e-9
    )
    assert (np.sign(ds["control_contribution"]) == np.sign(elasticity * (ratio - 1))).all()


def test_shared_controls_are_equal_in_all_geos_and_others_are_not() -> None:
    shared, own = controlled(shared=True), controlled(shared=False)
    assert np.array_equal(shared["control_value"].isel(geo=0), shared["control_value"].isel(geo=1))
    assert not np.array_equal(own["control_value"].isel(geo=0), own["control_value"].isel(geo=1))


@pytest.mark.parametrize("persistence", [0.0, 0.9])
def test_persistence_of_a_control_is_the_autocorrelation_of_its_logarithm(
    persistence: float,
) -> None:
    heat = {"name": "Heat", "base_value": 10.0, "value_volatility": 1.0, "persistence": persistence}
    ds = generate(config_with(steady(), n_periods=20_000, freq="D", control_variables=[heat]))
    logs = np.log(ds["control_value"].values.ravel())
    assert np.corrcoef(logs[1:], logs[:-1])[0, 1] == pytest.approx(persistence, abs=0.02)
    # A lognormal of mean 10 and coefficient of variation 1.
    variance = np.log(2)
    assert logs.mean() == pytest.approx(np.log(10) - variance / 2, abs=0.1)
    assert logs.std() == pytest.approx(np.sqrt(variance), rel=0.05)
