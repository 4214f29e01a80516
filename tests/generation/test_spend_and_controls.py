"""What the words of a config mean: the last paragraphs of DESIGN section 4, and its frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings

import mmm_xgen as m
from mmm_xgen.config.spend_plan import SpendPlanConfig
from mmm_xgen.errors import ConfigError
from tests.strategies import config_with, generate, quietly, steady, valid_configs, warnings_of


def channel(pattern: str, **fields: Any) -> dict[str, Any]:
    return {
        "name": "TV",
        "pattern": pattern,
        "base_spend": 1000.0,
        "spend_volatility": 0.0,
    } | fields


def spend_of(
    pattern: str, *, n_periods: int = 52, freq: str = "W-MON", **fields: Any
) -> np.ndarray:
    """Spend (date,) of one channel in one geo."""
    config = config_with(channel(pattern, **fields), n_periods=n_periods, freq=freq)
    return np.asarray(generate(config)["spend"].values[:, 0, 0])


# ------------------------------------------------------------------ spend


def test_base_spend_is_the_level_while_active() -> None:
    np.testing.assert_allclose(spend_of("linear_trend"), 1000.0, rtol=1e-12)
    np.testing.assert_allclose(spend_of("linear_trend", base_spend=7.5), 7.5, rtol=1e-12)
    on_off = spend_of("on_off", n_periods=400)
    assert set(np.round(on_off, 9)) == {0.0, 1000.0}
    assert spend_of("seasonal", n_periods=4 * 365 + 1, freq="D").mean() == pytest.approx(
        1000.0, rel=5e-3
    )


@pytest.mark.parametrize("pattern", ["linear_trend", "on_off"])
@pytest.mark.parametrize("volatility", [0.1, 0.5, 1.0])
def test_base_spend_is_the_mean_and_volatility_the_variation_of_active_spend(
    pattern: str, volatility: float
) -> None:
    config = config_with(
        channel(pattern, spend_volatility=volatility), n_periods=6000, freq="D",
        regions={"n_regions": 5},
    )  # fmt: skip
    spend = generate(config)["spend"].values
    active = spend[spend > 0]
    assert active.mean() == pytest.approx(1000.0, rel=0.08 * max(volatility, 0.3))
    assert active.std() / active.mean() == pytest.approx(volatility, rel=0.1)


def test_volatility_is_campaign_like_and_never_below_zero() -> None:
    config = config_with(
        channel("linear_trend", spend_volatility=0.5), n_periods=5000, freq="D",
        regions={"n_regions": 3},
    )  # fmt: skip
    spend = generate(config)["spend"].values[:, :, 0]
    assert (spend >= 0).all()
    for g in range(3):
        correlation = [np.corrcoef(spend[k:, g], spend[:-k, g])[0, 1] for k in (1, 60)]
        assert correlation[0] > 0.2, "neighbouring periods are independent"
        assert correlation[1] < correlation[0] - 0.1, "the noise never forgets"
    assert abs(np.corrcoef(spend[:, 0], spend[:, 1])[0, 1]) < 0.3


@pytest.mark.parametrize("volatility", [0.0, 0.2])
def test_equal_volatility_of_two_levels_gives_proportional_spend(volatility: float) -> None:
    low = spend_of("linear_trend", spend_volatility=volatility, base_spend=100.0)
    high = spend_of("linear_trend", spend_volatility=volatility, base_spend=300.0)
    np.testing.assert_allclose(high, 3 * low, rtol=1e-12)


@pytest.mark.parametrize("trend", [0.05, 0.0, -0.01])
def test_spend_trend_adds_a_share_of_base_each_period(trend: float) -> None:
    np.testing.assert_allclose(
        spend_of("linear_trend", spend_trend=trend),
        1000.0 * (1 + trend * np.arange(52)),
        rtol=1e-12,
    )


def test_spend_trend_never_goes_below_zero() -> None:
    spend = spend_of("linear_trend", spend_trend=-0.05)
    np.testing.assert_allclose(spend, 1000.0 * np.maximum(0, 1 - 0.05 * np.arange(52)), atol=1e-9)
    assert (spend >= 0).all()
    assert (spend_of("linear_trend", spend_trend=-0.05, spend_volatility=0.5) >= 0).all()


def yearly(phase: float = 0.0, amplitude: float = 0.4) -> pd.Series:
    config = config_with(
        channel("seasonal", seasonal_amplitude=amplitude, seasonal_phase=phase),
        n_periods=4 * 365 + 1,
        freq="D",
        start_date="2021-01-01",
    )
    ds = generate(config)
    return pd.Series(ds["spend"].values[:, 0, 0], index=pd.DatetimeIndex(ds["date"].values))


def test_seasonal_channel_peaks_once_a_year_at_the_start_of_july() -> None:
    spend = yearly()
    middle = spend.iloc[1:-1]
    is_peak = (middle.values > spend.values[:-2]) & (middle.values >= spend.values[2:])
    peaks = middle.index[is_peak]
    assert len(peaks) == 4
    for peak in peaks:
        assert abs((peak - pd.Timestamp(peak.year, 7, 1)).days) <= 3, peak
    assert set(peaks.year) == {2021, 2022, 2023, 2024}


def test_seasonal_amplitude_is_the_swing_around_the_level() -> None:
    spend = yearly(amplitude=0.4)
    assert spend.max() == pytest.approx(1400.0, rel=1e-3)
    assert spend.min() == pytest.approx(600.0, rel=1e-3)
    np.testing.assert_allclose(yearly(amplitude=0.0), 1000.0)


def test_seasonal_phase_moves_the_peak() -> None:
    opposite = yearly(phase=np.pi)
    first_year = opposite["2021"]
    assert abs((first_year.idxmin() - pd.Timestamp(2021, 7, 1)).days) <= 3
    quarter = yearly(phase=np.pi / 2)["2021"].idxmax().month
    assert quarter in (3, 4, 9, 10)
    pd.testing.assert_series_equal(yearly(phase=2 * np.pi), yearly(), rtol=1e-9)


def test_delayed_start_is_silent_ramps_up_and_stays() -> None:
    spend = spend_of("delayed_start", start_period=10, ramp_up_periods=4)
    assert (spend[:10] == 0).all()
    ramp = spend[10:14]
    assert ramp[0] > 0
    assert (np.diff(ramp) > 0).all()
    np.testing.assert_allclose(np.diff(ramp), np.diff(ramp)[0], rtol=1e-9)
    np.testing.assert_allclose(spend[14:], 1000.0)


def test_delayed_start_without_ramp_starts_at_full_level() -> None:
    spend = spend_of("delayed_start", start_period=3, ramp_up_periods=0)
    assert (spend[:3] == 0).all()
    np.testing.assert_allclose(spend[3:], 1000.0)


def test_delayed_start_honours_its_end() -> None:
    spend = spend_of("delayed_start", start_period=5, ramp_up_periods=0, end_period=20)
    np.testing.assert_allclose(spend[5:20], 1000.0)
    assert (spend[21:] == 0).all()
    assert spend[20] in (0.0, 1000.0)


def runs(on: np.ndarray) -> tuple[list[int], list[int]]:
    """Lengths of the on and off runs that the edges of the window do not cut."""
    edges = np.flatnonzero(np.diff(on.astype(int))) + 1
    lengths, starts = np.diff(edges), edges[:-1]
    return (
        [int(n) for n, s in zip(lengths, starts, strict=True) if on[s]],
        [int(n) for n, s in zip(lengths, starts, strict=True) if not on[s]],
    )


def on_off(probability: float, low: int, high: int) -> tuple[list[int], list[int]]:
    config = config_with(
        channel(
            "on_off",
            activation_probability=probability,
            min_active_periods=low,
            max_active_periods=high,
        ),
        n_periods=2000,
        freq="D",
        regions={"n_regions": 20},
    )
    spend = generate(config)["spend"].values[:, :, 0]
    both = [runs(spend[:, g] > 0) for g in range(20)]
    return [n for on, _ in both for n in on], [n for _, off in both for n in off]


def test_on_off_runs_last_uniformly_from_min_to_max() -> None:
    on, off = on_off(0.4, 2, 6)
    counts = np.bincount(on, minlength=8)
    assert counts[:2].sum() == 0
    assert counts[7:].sum() == 0, "two runs were joined, or a run is longer than the maximum"
    expected = len(on) / 5
    # Chi-square of 4 degrees of freedom: 23.5 has probability 1e-4.
    assert float(((counts[2:7] - expected) ** 2 / expected).sum()) < 23.5
    assert min(off) >= 1


def test_on_off_starts_with_the_given_probability_each_idle_period() -> None:
    for probability in (0.2, 0.7):
        _, off = on_off(probability, 2, 3)
        gaps = np.asarray(off)
        # The gap is geometric: the first off period is certain, then each may end it.
        error = 4 * np.sqrt(1 - probability) / probability / np.sqrt(len(gaps))
        assert abs(gaps.mean() - 1 / probability) < error
        share = (gaps == 1).mean()
        assert abs(share - probability) < 4 * np.sqrt(0.25 / len(gaps))


def test_on_off_of_certain_start_rests_exactly_one_period() -> None:
    on, off = on_off(1.0, 3, 3)
    assert set(off) == {1}
    assert set(on) == {3}


def test_on_off_first_period_is_no_special_case() -> None:
    config = config_with(
        channel("on_off", activation_probability=0.3, min_active_periods=4, max_active_periods=4),
        n_periods=12,
        regions={"n_regions": 1500},
    )
    on = generate(config)["spend"].values[:, :, 0] > 0
    share = on.mean(axis=1)
    assert 0.15 < share[0] < 0.75
    assert share[-1] == pytest.approx(4 / (4 + 1 / 0.3), abs=0.06)


def test_on_off_geos_have_their_own_runs() -> None:
    config = config_with(channel("on_off"), n_periods=200, regions={"n_regions": 4})
    on = generate(config)["spend"].values[:, :, 0] > 0
    assert len({column.tobytes() for column in on.T}) == 4


def test_step_levels_hold_from_their_period_on() -> None:
    spend = spend_of("step", step_periods=[10, 30], step_levels=[2.0, 0.5])
    np.testing.assert_allclose(spend[:10], 1000.0)
    np.testing.assert_allclose(spend[10:30], 2000.0)
    np.testing.assert_allclose(spend[30:], 500.0)


def test_cyclical_repeats_after_its_period() -> None:
    spend = spend_of("cyclical", cycle_periods=13.0, cycle_amplitude=0.5)
    np.testing.assert_allclose(spend[13:], spend[:-13], rtol=1e-9)
    assert spend.max() == pytest.approx(1500.0, rel=0.02)
    assert spend.min() == pytest.approx(500.0, rel=0.05)
    assert spend[:13].mean() == pytest.approx(1000.0)


def test_pulsed_flights_are_on_and_off_for_their_periods() -> None:
    spend = spend_of("pulsed", pulse_on_periods=3, pulse_off_periods=2, rest_level=0.25)
    assert set(np.round(spend, 9)) == {1000.0, 250.0}
    on, off = runs(spend > 500)
    assert set(on) == {3}
    assert set(off) == {2}
    moved = spend_of(
        "pulsed", pulse_on_periods=3, pulse_off_periods=2, rest_level=0.25, pulse_offset=1
    )
    assert np.allclose(moved[1:], spend[:-1]) or np.allclose(moved[:-1], spend[1:])


def test_event_spikes_come_on_their_dates_every_year() -> None:
    config = config_with(
        channel(
            "event_spikes", spike_dates=["12-25"], spike_height=3.0, spike_periods=1, rest_level=1.0
        ),
        n_periods=800,
        freq="D",
        start_date="2022-01-01",
    )
    ds = generate(config)
    spend = pd.Series(ds["spend"].values[:, 0, 0], index=pd.DatetimeIndex(ds["date"].values))
    high = spend.index[spend > spend.median() * 1.5]
    assert {(day.year, day.month, day.day) for day in high} == {(2022, 12, 25), (2023, 12, 25)}


def test_event_spikes_of_one_full_date_come_once() -> None:
    config = config_with(
        channel("event_spikes", spike_dates=["2022-11-24"], spike_height=3.0, rest_level=0.0),
        n_periods=157,
        start_date="2022-01-03",
    )
    ds = generate(config)
    dates = pd.DatetimeIndex(ds["date"].values)[ds["spend"].values[:, 0, 0] > 0]
    assert len(dates) >= 1
    assert dates.min() <= pd.Timestamp("2022-11-28")
    assert dates.max() < pd.Timestamp("2023-02-01")
    assert any(abs((day - pd.Timestamp("2022-11-24")).days) < 7 for day in dates)


def test_always_on_never_rests_and_bursts_above_its_level() -> None:
    calm = spend_of("always_on", burst_probability=0.0)
    np.testing.assert_allclose(calm, 1000.0)
    busy = spend_of(
        "always_on", burst_probability=0.2, burst_height=2.0, burst_periods=2, n_periods=300
    )
    assert busy.min() == pytest.approx(1000.0)
    assert 0.05 < (busy > 1500.0).mean() < 0.8


def test_uniform_stays_between_its_bounds() -> None:
    spend = spend_of("uniform", low=0.5, high=2.0, n_periods=3000, freq="D")
    assert spend.min() >= 500.0
    assert spend.max() <= 2000.0
    assert spend.mean() == pytest.approx(1250.0, rel=0.05)
    assert np.quantile(spend, 0.25) == pytest.approx(875.0, rel=0.08)


def test_a_callable_pattern_is_called_once_a_geo_and_is_relative_to_base() -> None:
    calls = []

    def pattern(dates: Any, rng: np.random.Generator) -> np.ndarray:
        calls.append(pd.DatetimeIndex(np.asarray(dates)))
        return np.linspace(0.5, 1.5, len(dates)) + 0.01 * rng.random(len(dates))

    config = m.MMMDataConfig(
        **config_with(channel("linear_trend") | {"pattern": pattern}, regions={"n_regions": 3})
    )
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
    config = config_with(channel("linear_trend") | {"pattern": pattern})
    with pytest.raises(ConfigError) as error:
        generate(config)
    assert "\n" not in str(error.value)
    assert "channels.0" in str(error.value) or "TV" in str(error.value)


def test_an_unregistered_callable_cannot_be_regenerated_and_says_which() -> None:
    config = m.MMMDataConfig(
        **config_with(
            channel("linear_trend") | {"name": "Odd", "pattern": lambda d, rng: np.ones(len(d))}
        )
    )
    ds = generate(config)
    with pytest.raises(ConfigError, match=r"Odd|channels\.0"):
        quietly(lambda: m.regenerate(ds))


# ------------------------------------------------------------------ baseline


def baseline(**regions: Any) -> xr.Dataset:
    days = regions.pop("days", 4 * 365 + 1)
    return generate(
        config_with(
            steady(base_effectiveness=0.0),
            n_periods=days,
            freq="D",
            start_date="2021-01-01",
            regions=regions,
        )
    )


def test_base_sales_rate_is_the_intercept_of_each_geo() -> None:
    ds = baseline(n_regions=3, base_sales_rate=4321.0, days=30)
    np.testing.assert_allclose(ds["intercept_contribution"], 4321.0)
    np.testing.assert_allclose(ds["mu"], 4321.0)
    np.testing.assert_allclose(ds["y"], 4321.0)


def test_sales_trend_adds_a_share_of_base_sales_each_period() -> None:
    ds = baseline(sales_trend=0.02, days=60)
    np.testing.assert_allclose(
        ds["trend_contribution"].values[:, 0], 10_000 * 0.02 * np.arange(60), atol=1e-9
    )


def test_sales_trend_never_takes_the_base_below_zero() -> None:
    ds = baseline(sales_trend=-0.05, days=60)
    level = (ds["intercept_contribution"] + ds["trend_contribution"]).values.ravel()
    np.testing.assert_allclose(level, 10_000 * np.maximum(0, 1 - 0.05 * np.arange(60)), atol=1e-6)


def test_sales_volatility_is_the_sd_of_noise_as_a_share_of_base() -> None:
    ds = baseline(sales_volatility=0.15, days=8000)
    np.testing.assert_allclose(ds["y_sigma"], 1500.0)
    assert float(ds["noise"].std()) == pytest.approx(1500.0, rel=0.04)
    assert abs(float(ds["noise"].mean())) < 4 * 1500 / np.sqrt(8000)


@pytest.mark.parametrize("modes", [1, 2, 3])
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


def test_sales_season_peaks_at_the_start_of_july_by_default() -> None:
    ds = baseline(seasonal_amplitude=0.2, days=365)
    peak = pd.Timestamp(ds["date"].values[int(ds["seasonality_contribution"].values.argmax())])
    assert abs((peak - pd.Timestamp(2021, 7, 1)).days) <= 3


# ------------------------------------------------------------------ geos


def geos(**regions: Any) -> xr.Dataset:
    curve = {"kind": "hill_function", "slope": 1.0, "kappa": 1500.0}
    return generate(
        config_with(
            steady(saturation=curve),
            control_variables=[{"name": "Price", "pattern": "linear_trend", "value_volatility": 0}],
            n_periods=60,
            regions={
                "n_regions": 3,
                "population": [2e6, 4e6, 1e6],
                "sales_trend": 0.01,
                "seasonal_amplitude": 0.1,
                "sales_volatility": 0.05,
            }
            | regions,
        )
    )


@pytest.mark.parametrize("response", ["per_capita", "common"])
def test_base_sales_and_spend_scale_with_population(response: str) -> None:
    ds = geos(geo_response=response)
    scale = np.array([1.0, 2.0, 0.5])
    np.testing.assert_allclose(ds["geo_scale"], scale)
    np.testing.assert_allclose(ds["population"], [2e6, 4e6, 1e6])
    np.testing.assert_allclose(ds["spend"], 1000.0 * np.tile(scale[:, None], (60, 1, 1)))
    np.testing.assert_allclose(ds["intercept_contribution"], 10_000.0 * scale)
    for part in ("trend_contribution", "seasonality_contribution"):
        values = ds[part].transpose("date", "geo").values
        np.testing.assert_allclose(values, values[:, :1] * scale, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ds["y_sigma"], 500.0 * scale)


def test_per_capita_response_scales_effect_and_spend_unit_once() -> None:
    ds = geos(geo_response="per_capita")
    scale = np.array([[1.0], [2.0], [0.5]])
    np.testing.assert_allclose(ds["effect"], 500.0 * scale)
    unit = (ds["spend_unit"] + 0 * ds["effect"]).transpose("geo", "channel")
    np.testing.assert_allclose(unit, scale)
    saturated = ds["saturated"].transpose("date", "geo", "channel").values
    np.testing.assert_allclose(saturated, np.repeat(saturated[:, :1], 3, axis=1))
    contribution = ds["channel_contribution"].values
    np.testing.assert_allclose(contribution, contribution[:, :1] * scale, rtol=1e-12)


def test_common_response_scales_neither() -> None:
    ds = geos(geo_response="common")
    np.testing.assert_allclose(ds["effect"], 500.0)
    np.testing.assert_allclose(ds["spend_unit"], 1.0)
    saturated = ds["saturated"].transpose("date", "geo", "channel").values
    assert (saturated[:, 1] > saturated[:, 0]).all()
    assert (saturated[:, 0] > saturated[:, 2]).all()


def test_per_capita_is_the_default_response() -> None:
    np.testing.assert_allclose(geos()["effect"], [[500.0], [1000.0], [250.0]])


def test_population_reference_states_the_size_that_amounts_are_for() -> None:
    ds = geos(population_reference=1e6)
    np.testing.assert_allclose(ds["geo_scale"], [2.0, 4.0, 1.0])
    np.testing.assert_allclose(ds["intercept_contribution"], [20_000.0, 40_000.0, 10_000.0])


def test_spend_unit_of_base_spend_is_the_configured_one() -> None:
    config = config_with(
        steady(
            "A", base_spend=700.0, saturation={"kind": "hill_function", "kappa": 1.2, "slope": 1}
        ),
        transforms={"spend_unit": "base_spend"},
        regions={"n_regions": 2, "population": [1e6, 3e6]},
    )
    ds = generate(config)
    unit = (ds["spend_unit"] + 0 * ds["effect"]).transpose("geo", "channel")
    np.testing.assert_allclose(unit, [[700.0], [2100.0]])
    settled = ds["saturated"].isel(date=-1)
    np.testing.assert_allclose(settled, 1 / 2.2, rtol=1e-6)


def test_effectiveness_is_the_effect_as_a_share_of_base_sales() -> None:
    ds = generate(config_with(steady(base_effectiveness=0.7), regions={"base_sales_rate": 500.0}))
    np.testing.assert_allclose(ds["effect"], 350.0)


def test_variation_keeps_parameters_valid_and_around_their_mean() -> None:
    config = config_with(
        steady(
            adstock={"kind": "geometric_adstock", "alpha": 0.6, "l_max": 30},
            saturation={"kind": "hill_function", "slope": 1.0, "kappa": 1500.0},
        ),
        n_periods=4,
        regions={"n_regions": 400, "transform_variation": 0.4, "channel_param_variation": 0.4},
    )
    ds = generate(config)
    alpha, kappa = ds["adstock_alpha"].values.ravel(), ds["saturation_kappa"].values.ravel()
    assert ((alpha > 0) & (alpha < 1)).all()
    assert (kappa > 0).all()
    logit = np.log(alpha / (1 - alpha))
    for values, name in ((logit, "adstock_alpha"), (np.log(kappa), "saturation_kappa")):
        mean, sd = float(ds[f"{name}_mean"].item()), float(ds[f"{name}_sd"].item())
        assert sd > 0
        assert values.std() == pytest.approx(sd, rel=0.15)
        assert values.mean() == pytest.approx(mean, abs=4.5 * sd / 20)
    assert np.median(kappa) == pytest.approx(1500.0, rel=0.15)


def test_without_variation_every_geo_has_the_configured_parameters() -> None:
    ds = generate(
        config_with(
            steady(adstock={"kind": "geometric_adstock", "alpha": 0.6, "l_max": 12}),
            regions={"n_regions": 4},
        )
    )
    assert (ds["adstock_alpha"] == 0.6).all()
    assert (ds["adstock_alpha_sd"] == 0).all()
    np.testing.assert_allclose(ds["intercept_contribution"], 10_000.0)


def test_similarity_sets_the_three_variations_together() -> None:
    def spread(**regions: Any) -> dict[str, float]:
        ds = generate(
            config_with(
                steady(
                    adstock={"kind": "geometric_adstock", "alpha": 0.5},
                    saturation={"kind": "hill_function", "slope": 1.0, "kappa": 1500.0},
                ),
                n_periods=4,
                regions={"n_regions": 60} | regions,
            )
        )
        names = ("intercept_contribution", "effect", "saturation_kappa", "adstock_alpha")
        return {name: float(ds[name].std() / ds[name].mean()) for name in names}

    equal, close, far = spread(similarity=1.0), spread(similarity=0.7), spread(similarity=0.1)
    for name in equal:
        assert equal[name] < 1e-9, name
        assert 1e-3 < close[name] < far[name], name


@pytest.mark.parametrize(("response", "sd"), [("per_capita", 0.5 * np.sqrt(2)), ("common", 0.5)])
def test_the_effect_scatters_with_base_sales_where_it_is_a_share_of_them(
    response: str, sd: float
) -> None:
    regions = {"n_regions": 4000, "similarity": 0.0, "geo_response": response}
    ds = generate(config_with(steady(), n_periods=1, regions=regions))
    assert float(ds["effect_sd"].item()) == pytest.approx(sd)
    assert float(np.log(ds["effect"]).std()) == pytest.approx(sd, rel=0.05)
    assert float(np.log(ds["intercept_contribution"]).std()) == pytest.approx(0.5, rel=0.05)


# ------------------------------------------------------------------ controls


def controlled(**control: Any) -> xr.Dataset:
    return generate(
        config_with(
            steady(base_effectiveness=0.0),
            control_variables=[
                {"name": "Price", "pattern": "uniform", "low": 0.8, "high": 1.2, "base_value": 20.0}
                | control
            ],
            regions={"n_regions": 2, "population": [1e6, 2e6]},
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
    heat = {
        "name": "Heat",
        "pattern": "linear_trend",
        "base_value": 10.0,
        "value_volatility": 1.0,
        "persistence": persistence,
    }
    ds = generate(config_with(steady(), n_periods=20_000, freq="D", control_variables=[heat]))
    logs = np.log(ds["control_value"].values.ravel())
    assert np.corrcoef(logs[1:], logs[:-1])[0, 1] == pytest.approx(persistence, abs=0.02)
    # A lognormal of mean 10 and coefficient of variation 1.
    variance = np.log(2)
    assert logs.mean() == pytest.approx(np.log(10) - variance / 2, abs=0.1)
    assert logs.std() == pytest.approx(np.sqrt(variance), rel=0.05)


# ------------------------------------------------------------------ adstock words


@pytest.mark.parametrize(
    ("freq", "expected"),
    [("D", 56), ("W-MON", 8), ("MS", 3), ("daily", 56), ("weekly", 8), ("monthly", 3), ("W", 8)],
)
def test_l_max_defaults_by_frequency(freq: str, expected: int) -> None:
    start = "2022-01-01" if freq in ("MS", "monthly") else "2022-01-03"
    ds = generate(
        config_with(
            steady(adstock={"kind": "geometric_adstock", "alpha": 0.2}), freq=freq, start_date=start
        )
    )
    assert int(ds["l_max"].sel(channel="TV")) == expected
    assert ds.sizes["lag"] == expected
    np.testing.assert_allclose(ds["adstock_weights"].sum("lag"), 1.0)
    assert (ds["adstock_weights"] > 0).all()


def test_shorter_kernels_are_padded_with_zeros() -> None:
    ds = generate(
        config_with(
            steady("A", adstock={"kind": "geometric_adstock", "alpha": 0.2, "l_max": 4}),
            steady("B", adstock={"kind": "geometric_adstock", "alpha": 0.5, "l_max": 11}),
            steady("C", adstock={"kind": "no_adstock"}, pattern="seasonal"),
        )
    )
    assert ds.sizes["lag"] == 11
    assert list(ds["l_max"].values)[:2] == [4, 11]
    weights = ds["adstock_weights"].isel(geo=0)
    assert (weights.sel(channel="A").values[4:] == 0).all()
    assert (weights.sel(channel="A").values[:4] > 0).all()
    assert list(weights.sel(channel="C").values) == [1.0] + [0.0] * 10
    assert np.array_equal(ds["carryover"].sel(channel="C"), ds["spend"].sel(channel="C"))


def test_normalize_is_the_default_and_can_be_turned_off() -> None:
    for normalize, first in ((None, 0.5 / (1 - 0.5**6)), (True, 0.5 / (1 - 0.5**6)), (False, 1.0)):
        adstock = {"kind": "geometric_adstock", "alpha": 0.5, "l_max": 6}
        adstock |= {} if normalize is None else {"normalize": normalize}
        ds = generate(config_with(steady(adstock=adstock)))
        np.testing.assert_allclose(
            ds["adstock_weights"].values.ravel(), first * 0.5 ** np.arange(6), rtol=1e-12
        )
        assert bool(ds["normalize"].item()) is (normalize is not False)


@pytest.mark.parametrize(
    ("freq", "start", "half_life", "expected"),
    [
        ("D", "2022-01-03", "10D", 0.5 ** (1 / 10)),
        ("W-MON", "2022-01-03", "10D", 0.5 ** (7 / 10)),
        ("W-MON", "2022-01-03", "2W", 0.5 ** (1 / 2)),
        ("MS", "2022-01-01", "10D", 0.5 ** (365.25 / 12 / 10)),
    ],
)
def test_half_life_replaces_alpha(freq: str, start: str, half_life: str, expected: float) -> None:
    adstock = {"kind": "geometric_adstock", "half_life": half_life, "l_max": 60}
    ds = generate(config_with(steady(adstock=adstock), freq=freq, start_date=start))
    np.testing.assert_allclose(ds["adstock_alpha"], expected, rtol=1e-6)
    weights = ds["adstock_weights"].values.ravel()
    np.testing.assert_allclose(weights[1] / weights[0], expected, rtol=1e-6)


def test_half_life_works_in_the_flat_spelling() -> None:
    ds = generate(
        config_with(
            steady(),
            freq="D",
            transforms={
                "adstock_fun": "geometric_adstock",
                "adstock_kwargs": {"half_life": "5D", "l_max": 40},
            },
        )
    )
    np.testing.assert_allclose(ds["adstock_alpha"], 0.5 ** (1 / 5))


@pytest.mark.parametrize(
    ("adstock", "loses"),
    [
        ({"kind": "geometric_adstock", "alpha": 0.9, "l_max": 4}, True),
        ({"kind": "geometric_adstock", "alpha": 0.7, "l_max": 8}, True),  # 0.7**8 is 5.8 %
        ({"kind": "geometric_adstock", "alpha": 0.65, "l_max": 8}, False),  # 3.2 %
        ({"kind": "geometric_adstock", "alpha": 0.0, "l_max": 1}, False),
        ({"kind": "weibull_adstock", "lam": 20.0, "k": 1.0, "type": "CDF", "l_max": 5}, True),
    ],
)
def test_a_kernel_that_loses_more_than_5_percent_warns(
    adstock: dict[str, Any], loses: bool
) -> None:
    messages = warnings_of(
        lambda: m.generate_mmm_dataset(m.MMMDataConfig(**config_with(steady(adstock=adstock))))
    )
    about = [text for text in messages if "l_max" in text]
    assert bool(about) is loses, messages
    assert all("TV" in text or "channels.0" in text for text in about)


def test_transforms_apply_to_all_channels_and_a_channel_overrides_them() -> None:
    ds = generate(
        config_with(
            steady("A"),
            steady("B", adstock_fun="geometric_adstock", adstock_kwargs={"alpha": 0.1}),
            steady("C", saturation={"kind": "logistic_saturation", "lam": 2e-3}),
            transforms={
                "adstock_fun": "geometric_adstock",
                "adstock_kwargs": {"alpha": 0.4},
                "saturation_fun": "hill_function",
                "saturation_kwargs": {"slope": 1.0, "kappa": 800.0},
            },
        )
    )
    np.testing.assert_array_equal(ds["adstock_alpha"].values[0], [0.4, 0.1, 0.4])
    np.testing.assert_array_equal(ds["saturation_kappa"].values[0], [800.0, 800.0, np.nan])
    np.testing.assert_array_equal(ds["saturation_lam"].values[0], [np.nan, np.nan, 2e-3])
    assert list(ds["saturation_kind"].values) == ["hill_function"] * 2 + ["logistic_saturation"]


@pytest.mark.parametrize("dates", [["02-29"], ["2019-11-29"]])
def test_an_event_that_the_window_does_not_have_warns_and_does_nothing(dates: list[str]) -> None:
    """A leap day too, with no leap year near: 2021 to 2023."""
    config = m.MMMDataConfig(
        **config_with(
            steady(), n_periods=26, events=[{"name": "leap", "dates": dates, "effect": 0.1}]
        )
    )
    assert "no period contains the event 'leap'" in warnings_of(
        lambda: m.generate_mmm_dataset(config)
    )
    assert (generate(config)["event_contribution"] == 0).all()
    leap_year = config.replace(start_date="2024-02-05")
    assert bool(generate(leap_year)["event_contribution"].any()) == (dates == ["02-29"])


# ------------------------------------------------------------------ the calendar


@pytest.mark.parametrize(
    ("written", "code"),
    [("Weekly", "W"), ("DAILY", "D"), ("w-sun", "W-SUN"), ("ms", "MS"), ("Monthly", "MS")],
)
def test_a_frequency_is_read_in_any_case_here_and_in_a_plan(written: str, code: str) -> None:
    assert m.MMMDataConfig(**config_with(steady(), freq=written, start_date=None)).freq == code
    assert SpendPlanConfig(freq=written).freq == code


def dates_of(**fields: Any) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(generate(config_with(steady(), **fields))["date"].values)


@pytest.mark.parametrize("freq", ["D", "daily"])
def test_daily_dates_start_on_the_given_day(freq: str) -> None:
    dates = dates_of(freq=freq, start_date="2023-02-17", n_periods=40)
    assert (dates == pd.date_range("2023-02-17", periods=40, freq="D")).all()


@pytest.mark.parametrize(
    ("freq", "start"),
    [
        ("W-MON", "2022-06-06"),
        ("W-TUE", "2022-06-07"),
        ("W-WED", "2022-06-08"),
        ("W-THU", "2022-06-09"),
        ("W-FRI", "2022-06-10"),
        ("W-SAT", "2022-06-11"),
        ("W-SUN", "2022-06-12"),
        ("W", "2022-06-06"),
        ("W", "2022-06-09"),
        ("weekly", "2022-06-08"),
    ],
)
def test_weekly_dates_start_on_the_given_day(freq: str, start: str) -> None:
    dates = dates_of(freq=freq, start_date=start, n_periods=30)
    assert dates[0] == pd.Timestamp(start)
    assert (np.diff(dates) == np.timedelta64(7, "D")).all()


def test_an_anchor_that_the_start_date_misses_is_never_moved_in_silence() -> None:
    def build() -> Any:
        return generate(config_with(steady(), freq="W-SUN", start_date="2022-06-08"))

    try:
        ds = build()
    except ConfigError as error:
        assert "2022-06-08" in str(error) or "start_date" in str(error)
    else:
        first = pd.Timestamp(ds["date"].values[0])
        assert first.day_name() == "Sunday"
        assert pd.Timedelta(0) <= first - pd.Timestamp("2022-06-08") < pd.Timedelta(7, "D")


@pytest.mark.parametrize("freq", ["MS", "monthly"])
def test_monthly_dates_are_the_first_of_each_month(freq: str) -> None:
    dates = dates_of(freq=freq, start_date="2022-11-01", n_periods=30)
    assert (dates == pd.date_range("2022-11-01", periods=30, freq="MS")).all()


def test_start_date_may_be_a_date_object() -> None:
    import datetime

    text = dates_of(start_date="2022-06-06")
    assert (dates_of(start_date=datetime.date(2022, 6, 6)) == text).all()


def test_reference_notebook_has_its_mondays() -> None:
    ds = generate(m.get_preset_config("reference_notebook"))
    dates = pd.DatetimeIndex(ds["date"].values)
    assert dates[0] == pd.Timestamp("2022-06-06")
    assert dates[-1] == pd.Timestamp("2025-06-16")
    assert set(dates.day_name()) == {"Monday"}
    assert dict(ds.sizes)["channel"] == 4
    assert dict(ds.sizes)["control"] == 3
    np.testing.assert_allclose(ds["adstock_alpha"].values[0], [0.2, 0.25, 0.3, 0.8])
    assert set(ds["l_max"].values) == {12}
    np.testing.assert_allclose(ds["adstock_weights"].sum("lag"), 1.0)
    np.testing.assert_allclose(ds["saturation_kappa"].values[0], [0.6, 0.75, 0.7, 0.8])
    np.testing.assert_allclose(ds["saturation_slope"], 1.0)
    np.testing.assert_allclose(ds["saturation_beta"].values[0], [1.5, 2.0, 2.5, 1.0])
    np.testing.assert_allclose(ds["intercept_contribution"], 2.5)
    np.testing.assert_allclose(ds["y_sigma"], 0.25)
    late = ds["spend"].values[:, 0, 2]
    assert (late[:52] == 0).all()
    assert (late[60:] > 0).any()


SIZES = {
    "small_business": (104, 1, 4, 2),
    "growing_business": (131, 2, 6, 2),
    "medium_business": (156, 8, 8, 4),
    "large_business": (208, 50, 30, 10),
}


@pytest.mark.parametrize("name", SIZES)
def test_business_presets_keep_their_published_sizes(name: str) -> None:
    config = m.get_preset_config(name)
    found = (
        config.n_periods,
        config.regions.n_regions,
        len(config.channels),
        len(config.control_variables),
    )
    assert found == SIZES[name]


# ------------------------------------------------------------------ names and the wide frame


def named() -> xr.Dataset:
    return generate(
        config_with(
            steady("x-TV"),
            {"pattern": "seasonal"},
            steady("Web", pattern="always_on"),
            {"pattern": "on_off"},
            control_variables=[
                {"name": "c-Price", "pattern": "linear_trend", "gamma_control": -5.0},
                {"name": "Rain", "pattern": "uniform", "low": 0.5, "high": 1.5},
            ],
            regions={"n_regions": 3, "region_names": ["zebra", "apple", "mango"]},
        )
    )


def test_names_of_channels_and_controls() -> None:
    ds = named()
    assert list(ds["channel"].values) == ["TV", "x2", "Web", "x4"]
    assert list(ds["channel_column"].values) == ["x1-TV", "x2", "x3-Web", "x4"]
    assert ds["channel_column"].dims == ("channel",)
    assert list(ds["control"].values) == ["Price", "Rain"]
    assert list(ds["geo"].values) == ["zebra", "apple", "mango"]
    frame = m.to_frame(ds)
    assert list(frame.columns) == [
        "date", "geo", "y", "x1-TV", "x2", "x3-Web", "x4", "c1-Price", "c2-Rain",
    ]  # fmt: skip


def test_prefixed_and_plain_names_are_one_channel() -> None:
    plain, prefixed = (
        generate(config_with(steady(n, spend_volatility=0.3))) for n in ("TV", "x-TV")
    )
    assert np.array_equal(plain["spend"], prefixed["spend"])
    assert list(plain["channel"].values) == list(prefixed["channel"].values) == ["TV"]


def assert_wide_schema(frame: pd.DataFrame, ds: xr.Dataset) -> None:
    assert len(frame) == ds.sizes["date"] * ds.sizes["geo"]
    assert list(frame.columns[:3]) == ["date", "geo", "y"]
    assert all(str(name).startswith(("x", "c")) for name in frame.columns[3:])
    assert frame.shape[1] == 3 + ds.sizes["channel"] + ds.sizes["control"]
    assert not frame.duplicated(["date", "geo"]).any()
    assert list(frame.index) == list(range(len(frame)))
    pd.testing.assert_frame_equal(frame, frame.sort_values(["date", "geo"], ignore_index=True))
    assert not frame.isna().any().any()
    numbers = frame.drop(columns=["date", "geo"])
    assert (numbers.to_numpy(dtype=float) >= 0).all()
    assert pd.api.types.is_datetime64_any_dtype(frame["date"])
    columns = list(ds["channel_column"].values)
    for row in (0, len(frame) // 2, len(frame) - 1):
        cell = frame.iloc[row]
        there = ds.sel(date=cell["date"], geo=cell["geo"])
        np.testing.assert_array_equal(cell[columns].to_numpy(dtype=float), there["spend"].values)
        assert cell["y"] == float(there["y"])


def test_wide_frame_of_unsorted_geos_follows_the_schema() -> None:
    ds = named()
    frame = m.to_frame(ds)
    assert_wide_schema(frame, ds)
    assert list(frame["geo"][:3]) == ["apple", "mango", "zebra"]


@settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(config=valid_configs(max_periods=12))
def test_wide_frame_of_any_config_follows_the_schema(config: Any) -> None:
    ds = generate(config)
    assert_wide_schema(m.to_frame(ds), ds)


def test_wide_frame_holds_nothing_of_the_truth() -> None:
    ds = named()
    frame = m.to_frame(ds)
    numbers = {name: frame[name].to_numpy() for name in frame.columns[2:]}
    for name in ("mu", "noise", "trend_contribution", "seasonality_contribution"):
        truth = ds[name].to_series().reset_index().sort_values(["date", "geo"])[name].to_numpy()
        for column, values in numbers.items():
            if truth.std() > 0 and column != "y":
                assert not np.allclose(values, truth), f"{column} is {name}"
    assert not frame.attrs
