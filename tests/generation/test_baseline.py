"""Baseline sales: level, trend, season and events of each geo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import mmm_xgen as m
from tests.strategies import config_with, generate, steady, warnings_of


def baseline(**regions: Any) -> xr.Dataset:
    span = {"freq": "D", "start_date": "2021-01-01", "n_periods": regions.pop("days", 4 * 365 + 1)}
    return generate(config_with(steady(base_effectiveness=0.0), regions=regions, **span))


def test_base_sales_rate_is_the_intercept_of_each_geo() -> None:
    ds = baseline(n_regions=3, base_sales_rate=4321.0, days=30)
    np.testing.assert_allclose(ds["intercept_contribution"], 4321.0)
    np.testing.assert_allclose(ds["mu"], 4321.0)
    np.testing.assert_allclose(ds["y"], 4321.0)


@pytest.mark.parametrize("trend", [0.02, -0.05])
def test_sales_trend_adds_a_share_of_base_sales_each_period_and_ends_at_zero(trend: float) -> None:
    ds = baseline(sales_trend=trend, days=60)
    rise = 10_000 * np.maximum(-1, trend * np.arange(60))
    np.testing.assert_allclose(ds["trend_contribution"].values[:, 0], rise, atol=1e-9)


def test_sales_volatility_is_the_sd_of_noise_as_a_share_of_base() -> None:
    ds = baseline(sales_volatility=0.15, days=8000)
    np.testing.assert_allclose(ds["y_sigma"], 1500.0)
    assert float(ds["noise"].std()) == pytest.approx(1500.0, rel=0.04)
    assert abs(float(ds["noise"].mean())) < 4 * 1500 / np.sqrt(8000)


@pytest.mark.parametrize("modes", [1, 3])
def test_sales_amplitude_is_half_the_yearly_swing(modes: int) -> None:
    season = baseline(seasonal_amplitude=0.2, fourier_modes=modes)["seasonality_contribution"]
    swing = float(season.max() - season.min())
    assert swing / 2 == pytest.approx(2000.0, rel=0.01)
    assert abs(float(season.mean())) < 30.0


def test_sales_season_is_built_from_the_yearly_fourier_basis() -> None:
    ds = baseline(seasonal_amplitude=0.2, fourier_modes=2, n_regions=2, baseline_variation=0.2)
    day = pd.DatetimeIndex(ds["date"].values).day_of_year.to_numpy()
    total = np.zeros((ds.sizes["date"], 2))
    names = [str(name) for name in ds["fourier_mode"].values]
    assert sorted(names) == ["cos_1", "cos_2", "sin_1", "sin_2"]
    for name in names:
        function, order = name.split("_")
        wave = getattr(np, function)(2 * np.pi * int(order) * day / 365.25)
        total += wave[:, None] * ds["gamma_fourier"].sel(fourier_mode=name).values
    np.testing.assert_allclose(ds["seasonality_contribution"].values, total, rtol=1e-9, atol=1e-8)


def test_sales_season_peaks_once_a_year_at_the_start_of_july_by_default() -> None:
    ds = baseline(seasonal_amplitude=0.2, days=3 * 365)
    season = ds["seasonality_contribution"].values[:, 0]
    peak = pd.Timestamp(ds["date"].values[int(season[:365].argmax())])
    assert abs((peak - pd.Timestamp(2021, 7, 1)).days) <= 3
    above = season > season.mean()
    assert (~above[:-1] & above[1:]).sum() == 3


@pytest.mark.parametrize("dates", [["02-29"], ["2019-11-29"]])
def test_an_event_that_the_window_does_not_have_warns_and_does_nothing(dates: list[str]) -> None:
    """A leap day too, with no leap year near: 2021 to 2023."""
    event = {"name": "leap", "dates": dates, "effect": 0.1}
    config = m.MMMDataConfig(**config_with(steady(), n_periods=26, events=[event]))
    assert "no period contains the event 'leap'" in warnings_of(
        lambda: m.generate_mmm_dataset(config)
    )
    assert (generate(config)["event_contribution"] == 0).all()
    leap_year = config.replace(start_date="2024-02-05")
    assert bool(generate(leap_year)["event_contribution"].any()) == (dates == ["02-29"])
