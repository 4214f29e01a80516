"""Draws over time: what geos share, and what a window opens in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mmm_xgen.kernels import patterns
from mmm_xgen.kernels.adstock import convolve
from mmm_xgen.kernels.calendar import regular
from mmm_xgen.streams import stream
from tests.strategies import PATTERN_KINDS, config_with, generate

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")


def channel(pattern: Any, **fields: Any) -> dict[str, Any]:
    numbers = {"base_spend": 1000.0, "spend_volatility": 0.0}
    return {"name": "TV", "pattern": pattern} | numbers | fields


def spend_in_geos(
    pattern: Any, n_geos: int, *, n_periods: int = 52, freq: str = "W-MON", **fields: Any
) -> np.ndarray:
    """Spend (date, geo) of one channel."""
    config = config_with(
        channel(pattern, **fields), n_periods=n_periods, freq=freq, regions={"n_regions": n_geos}
    )
    return np.asarray(generate(config)["spend"].values[:, :, 0])


def spend_of(pattern: Any, **fields: Any) -> np.ndarray:
    """Spend (date,) of one channel in one geo."""
    return spend_in_geos(pattern, 1, **fields)[:, 0]


@pytest.mark.parametrize("pattern", ["on_off", "always_on", "uniform", "seasonal"])
def test_a_shared_channel_follows_one_plan(pattern: str) -> None:
    def made(**fields: Any) -> xr.Dataset:
        tv = channel(pattern, spend_volatility=0.3, **fields)
        channels = (tv, channel("on_off", name="Radio"))
        regions = {"n_regions": 3, "similarity": 0.8}
        return generate(config_with(*channels, n_periods=104, regions=regions))

    shared, apart = made(shared=True), made()
    one, own = ((ds["spend"] / ds["base_spend"]).sel(channel="TV") for ds in (shared, apart))
    np.testing.assert_allclose(one, one.isel(geo=[0, 0, 0]))
    assert abs(float(xr.corr(own.isel(geo=0), own.isel(geo=1)))) < 0.9
    xr.testing.assert_identical(*(ds["spend"].sel(channel="Radio") for ds in (shared, apart)))


def test_a_shared_callable_is_called_once() -> None:
    calls = []

    def counted(dates, rng):  # type: ignore[no-untyped-def]
        calls.append(1)
        return np.ones(len(dates))

    spend_in_geos(counted, 3, shared=True)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("shortest", "longest", "chance"), [(8, 12, 0.05), (1, 1, 0.5), (2, 30, 0.2)]
)
def test_the_window_opens_as_if_runs_had_always_come(
    shortest: int, longest: int, chance: float
) -> None:
    """The share of geos that are on is the same on the first date as on any other."""
    runs = {"min_active_periods": shortest, "max_active_periods": longest}
    spend = spend_in_geos("on_off", 4000, n_periods=60, activation_probability=chance, **runs)
    on = (spend > 0).mean(axis=1)
    mean_run = (shortest + longest) / 2
    expected = mean_run / (mean_run + 1 / chance)
    error = np.sqrt(expected * (1 - expected) / 4000)
    assert abs(on - expected).max() < 5 * error


def test_what_is_left_of_a_first_run_is_shorter_than_a_run() -> None:
    """A run of exactly 6 that the window cuts has 1 to 6 periods left, each as likely."""
    runs = {"min_active_periods": 6, "max_active_periods": 6}
    on = spend_in_geos("on_off", 4000, n_periods=12, **runs).T > 0
    first = on[on[:, 0]]
    left = np.argmin(first, axis=1)
    counts = np.bincount(left, minlength=7)[1:7]
    assert counts.sum() == len(first)
    assert abs(counts / len(first) - 1 / 6).max() < 0.05


@pytest.mark.parametrize("chance", [0.0, 0.02, 0.97, 1.0])
@pytest.mark.parametrize(("shortest", "longest"), [(1, 1), (1, 60)])
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


def test_base_spend_is_the_level_while_active() -> None:
    np.testing.assert_allclose(spend_of("linear_trend"), 1000.0, rtol=1e-12)
    np.testing.assert_allclose(spend_of("linear_trend", base_spend=7.5), 7.5, rtol=1e-12)
    on_off = spend_of("on_off", n_periods=400)
    assert set(np.round(on_off, 9)) == {0.0, 1000.0}
    assert spend_of("seasonal", n_periods=4 * 365 + 1, freq="D").mean() == pytest.approx(
        1000.0, rel=5e-3
    )


@pytest.mark.parametrize("pattern", ["linear_trend", "on_off"])
@pytest.mark.parametrize("volatility", [0.1, 1.0])
def test_base_spend_is_the_mean_and_volatility_the_variation_of_active_spend(
    pattern: str, volatility: float
) -> None:
    spend = spend_in_geos(pattern, 5, spend_volatility=volatility, n_periods=6000, freq="D")
    active = spend[spend > 0]
    assert active.mean() == pytest.approx(1000.0, rel=0.08 * max(volatility, 0.3))
    assert active.std() / active.mean() == pytest.approx(volatility, rel=0.1)


def test_volatility_is_campaign_like_and_never_below_zero() -> None:
    spend = spend_in_geos("linear_trend", 3, spend_volatility=0.5, n_periods=5000, freq="D")
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


@pytest.mark.parametrize("trend", [0.05, 0.0, -0.05])
def test_spend_trend_adds_a_share_of_base_each_period_and_ends_at_zero(trend: float) -> None:
    spend = spend_of("linear_trend", spend_trend=trend)
    level = 1000.0 * np.maximum(0, 1 + trend * np.arange(52))
    np.testing.assert_allclose(spend, level, rtol=1e-12, atol=1e-9)
    assert (spend_of("linear_trend", spend_trend=trend, spend_volatility=0.5) >= 0).all()


def yearly(phase: float = 0.0, amplitude: float = 0.4) -> pd.Series:
    tv = channel("seasonal", seasonal_amplitude=amplitude, seasonal_phase=phase)
    ds = generate(config_with(tv, n_periods=4 * 365 + 1, freq="D", start_date="2021-01-01"))
    return ds["spend"].squeeze(drop=True).to_series()


def test_seasonal_channel_swings_around_its_level_and_peaks_at_the_start_of_july() -> None:
    spend = yearly(amplitude=0.4)
    middle = spend.iloc[1:-1]
    peaks = middle.index[(middle > spend.values[:-2]) & (middle >= spend.values[2:])]
    assert list(peaks.year) == [2021, 2022, 2023, 2024]
    for peak in peaks:
        assert abs((peak - pd.Timestamp(peak.year, 7, 1)).days) <= 3, peak
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


def test_delayed_start_without_ramp_is_at_full_level_until_its_end() -> None:
    spend = spend_of("delayed_start", start_period=5, ramp_up_periods=0, end_period=20)
    assert (spend[:5] == 0).all() and (spend[21:] == 0).all()
    np.testing.assert_allclose(spend[5:20], 1000.0)
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
    runs_of = {"min_active_periods": low, "max_active_periods": high}
    spend = spend_in_geos(
        "on_off", 20, activation_probability=probability, n_periods=2000, freq="D", **runs_of
    )
    both = [runs(column > 0) for column in spend.T]
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


def test_on_off_geos_have_their_own_runs() -> None:
    on = spend_in_geos("on_off", 4, n_periods=200) > 0
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


def spikes(**fields: Any) -> pd.DatetimeIndex:
    """Dates on which a channel of event spikes spends more than its base."""
    spec = {key: fields.pop(key) for key in ("spike_dates", "rest_level")} | {"spike_height": 3.0}
    ds = generate(config_with(channel("event_spikes", spike_periods=1, **spec), **fields))
    return pd.DatetimeIndex(ds["date"].values)[ds["spend"].values[:, 0, 0] > 1500]


def test_event_spikes_come_on_their_dates_every_year() -> None:
    span = {"n_periods": 800, "freq": "D", "start_date": "2022-01-01"}
    found = spikes(spike_dates=["12-25"], rest_level=1.0, **span)
    assert list(found.strftime("%Y-%m-%d")) == ["2022-12-25", "2023-12-25"]


def test_event_spikes_of_one_full_date_come_once() -> None:
    found = spikes(spike_dates=["2022-11-24"], rest_level=0.0, n_periods=157)
    assert list(found.strftime("%Y-%m-%d")) == ["2022-11-21"]


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


REQUIRED: dict[str, dict[str, Any]] = {
    "step": {"step_periods": [10, 20], "step_levels": [2.0, 0.5]},
    "cyclical": {"cycle_periods": 13.0},
    "event_spikes": {"spike_dates": ["07-04"]},
    "pulsed": {"pulse_on_periods": 3, "pulse_off_periods": 2},
    "uniform": {"low": 0.5, "high": 1.5},
}


@pytest.mark.parametrize("kind", PATTERN_KINDS)
def test_any_pattern_spends_and_is_the_course_of_a_control(kind: str) -> None:
    keys = REQUIRED.get(kind, {})
    control = {"name": "Price", "pattern": kind, "value_volatility": 0.0} | keys
    ds = generate(config_with(channel(kind, **keys), control_variables=[control]))
    assert np.isfinite(ds["spend"]).all()
    assert float(ds["spend"].sum()) > 0
    assert (ds["noise"] == 0).all()


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
