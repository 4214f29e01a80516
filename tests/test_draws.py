"""Draws over time: what geos share, and what a window opens in."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from mmm_xgen import ChannelConfig, MMMDataConfig, RegionConfig, generate_mmm_dataset

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
