"""Draws over time: what geos share, and what a window opens in."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mmm_xgen import ChannelConfig, MMMDataConfig, RegionConfig, generate_mmm_dataset
from mmm_xgen.kernels import patterns
from mmm_xgen.kernels.adstock import convolve
from mmm_xgen.kernels.calendar import regular
from mmm_xgen.streams import stream
from tests.strategies import (
    config_with,
    generate,
)

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")


def dataset(n_geos: int = 3, n_periods: int = 104, **channel: object) -> xr.Dataset:
    regions = RegionConfig(n_regions=n_geos, similarity=0.8)
    channel = {"name": "TV", "spend_volatility": 0.3, **channel}
    channels = [ChannelConfig(**channel), ChannelConfig(name="Radio", pattern="on_off")]
    return generate_mmm_dataset(
        MMMDataConfig(n_periods=n_periods, channels=channels, regions=regions)
    )


@pytest.mark.parametrize("pattern", ["on_off", "always_on", "uniform", "seasonal"])
def test_a_shared_channel_follows_one_plan(pattern: str) -> None:
    ds = dataset(pattern=pattern, shared=True)
    relative = (ds["spend"] / ds["base_spend"]).sel(channel="TV")
    for geo in relative["geo"]:
        np.testing.assert_allclose(relative.sel(geo=geo), relative.isel(geo=0))
    apart = dataset(pattern=pattern)
    xr.testing.assert_identical(
        apart["spend"].sel(channel="Radio"), ds["spend"].sel(channel="Radio")
    )
    own = (apart["spend"] / apart["base_spend"]).sel(channel="TV")
    assert abs(float(xr.corr(own.isel(geo=0), own.isel(geo=1)))) < 0.9


def test_a_shared_callable_is_called_once() -> None:
    calls = []

    def counted(dates, rng):  # type: ignore[no-untyped-def]
        calls.append(1)
        return np.ones(len(dates))

    dataset(pattern=counted, shared=True)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("shortest", "longest", "chance"), [(8, 12, 0.05), (1, 1, 0.5), (2, 30, 0.2)]
)
def test_the_window_opens_as_if_runs_had_always_come(
    shortest: int, longest: int, chance: float
) -> None:
    """The share of geos that are on is the same on the first date as on any other."""
    ds = dataset(
        n_geos=4000,
        n_periods=60,
        pattern="on_off",
        min_active_periods=shortest,
        max_active_periods=longest,
        activation_probability=chance,
    )
    on = (ds["spend"].sel(channel="TV") > 0).mean("geo")
    mean_run = (shortest + longest) / 2
    expected = mean_run / (mean_run + 1 / chance)
    error = np.sqrt(expected * (1 - expected) / 4000)
    assert abs(on - expected).max() < 5 * error


def test_what_is_left_of_a_first_run_is_shorter_than_a_run() -> None:
    """A run of exactly 6 that the window cuts has 1 to 6 periods left, each as likely."""
    ds = dataset(
        n_geos=4000, n_periods=40, pattern="on_off", min_active_periods=6, max_active_periods=6
    )
    on = (ds["spend"].sel(channel="TV") > 0).transpose("geo", "date").to_numpy()
    first = on[on[:, 0]]
    left = np.argmin(first, axis=1)
    counts = np.bincount(left, minlength=7)[1:7]
    assert counts.sum() == len(first)
    assert abs(counts / len(first) - 1 / 6).max() < 0.05


@pytest.mark.parametrize("chance", [0.0, 0.02, 0.4, 0.97, 1.0])
@pytest.mark.parametrize(("shortest", "longest"), [(1, 1), (2, 8), (1, 60)])
def test_runs_do_not_depend_on_how_many_cycles_are_tried_first(
    monkeypatch: pytest.MonkeyPatch, chance: float, shortest: int, longest: int
) -> None:
    calendar = regular(np.datetime64("2022-01-03"), 150, "week")
    uniform = np.random.default_rng(0).random((2, 40, patterns.switch_draws(calendar)))
    values = {
        "activation_probability": chance,
        "min_active_periods": shortest,
        "max_active_periods": longest,
    }
    arrays = {name: np.full((2, 1, 1), value, dtype=float) for name, value in values.items()}
    found = []
    for cycles in (patterns._likely_cycles, lambda *_: 2, lambda *_: 10**6):
        monkeypatch.setattr(patterns, "_likely_cycles", cycles)
        found.append(patterns.on_off(calendar, uniform, **arrays))
    assert found[0].shape == (2, 40, 150)
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[1], found[2])


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, 2**63 - 1, 2**127, 2**128, 2**200 + 5])
def test_a_stream_is_that_of_the_seed_and_the_spawn_key(seed: int) -> None:
    digest = hashlib.blake2b(b"5:spend2:TV", digest_size=16).digest()
    key = tuple(np.frombuffer(digest, dtype="<u4").tolist())
    plain = np.random.PCG64(np.random.SeedSequence(entropy=seed, spawn_key=key))
    assert stream(seed, "spend", "TV").bit_generator.state == plain.state


def test_carry_over_of_a_series_does_not_depend_on_the_others() -> None:
    rng = np.random.default_rng(0)
    spend, weights = rng.random((7, 5, 40)), rng.random((7, 5, 6))
    together = convolve(spend, weights)
    for position in np.ndindex(7, 5):
        np.testing.assert_array_equal(
            convolve(spend[position], weights[position]), together[position]
        )
    # A complex step goes through either of the two.
    for step in ((1e-30j, 0), (0, 1e-30j), (1e-30j, 1e-30j)):
        moved = convolve(spend * (1 + step[0]), weights * (1 + step[1]))
        expected = together * np.imag(step[0] + step[1])
        np.testing.assert_allclose(moved.imag, expected, rtol=1e-12)


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


PATTERNS: dict[str, dict[str, Any]] = {
    "linear_trend": {"spend_trend": 0.01},
    "seasonal": {},
    "delayed_start": {"start_period": 5},
    "on_off": {},
    "step": {"step_periods": [10, 20], "step_levels": [2.0, 0.5]},
    "cyclical": {"cycle_periods": 13.0},
    "event_spikes": {"spike_dates": ["07-04"]},
    "pulsed": {"pulse_on_periods": 3, "pulse_off_periods": 2},
    "always_on": {},
    "uniform": {"low": 0.5, "high": 1.5},
}


@pytest.mark.parametrize("kind", PATTERNS)
def test_without_volatility_a_pattern_is_its_level(kind: str) -> None:
    channel = {"name": "TV", "pattern": kind, "spend_volatility": 0.0} | PATTERNS[kind]
    control = {"name": "Price", "pattern": kind, "value_volatility": 0.0} | PATTERNS[kind]
    ds = generate(
        config_with(channel, control_variables=[control], regions={"sales_volatility": 0.0})
    )
    assert np.isfinite(ds["spend"]).all()
    assert float(ds["spend"].sum()) > 0
    assert (ds["noise"] == 0).all()
    np.testing.assert_allclose(ds["y"], ds["mu"], rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("on_off", {"activation_probability": 0.3, "min_active_periods": 2}),
        ("on_off", {"activation_probability": 1.0, "min_active_periods": 3}),
        ("on_off", {"activation_probability": 0.0, "min_active_periods": 2}),
        ("always_on", {"burst_probability": 0.2, "burst_height": 3.0, "burst_periods": 3}),
        ("uniform", {"low": 0.2, "high": 1.6}),
    ],
)
def test_moments_are_the_means_of_the_level_and_of_its_square(
    kind: str, keys: dict[str, float]
) -> None:
    if kind == "on_off":
        keys = keys | {"max_active_periods": 9}
    calendar = regular(np.datetime64("2022-01-03"), 104, "week")
    uniform = stream(3, kind).random((1, 4000, patterns.switch_draws(calendar)))
    numbers = {name: np.full((1, 1, 1), value) for name, value in keys.items()}
    registered = patterns.PATTERNS[kind]
    level = np.asarray(registered.function(calendar, uniform, **numbers))
    assert registered.moments is not None
    for values, expected in zip((level, level**2), registered.moments(**numbers), strict=True):
        by_series = values.mean(axis=-1)
        error = by_series.std() / np.sqrt(by_series.size)
        assert abs(by_series.mean() - expected.item()) <= 4 * error
        # The mean is the same on every date.
        assert np.abs(values.mean(axis=1) - expected.item()).max() <= 4.5 * values.std() / 63


def test_every_random_pattern_knows_its_moments() -> None:
    random = {name for name, kind in patterns.PATTERNS.items() if kind.random}
    assert random == {name for name, kind in patterns.PATTERNS.items() if kind.moments}
