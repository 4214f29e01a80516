"""Draws over time: what geos share, and what a window opens in."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import xarray as xr

from mmm_xgen import ChannelConfig, MMMDataConfig, RegionConfig, generate_mmm_dataset
from mmm_xgen.kernels import patterns
from mmm_xgen.kernels.adstock import convolve
from mmm_xgen.kernels.calendar import regular
from mmm_xgen.streams import stream

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
