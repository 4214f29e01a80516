"""The datasets of the committed benchmark: every seed draws a truth of its own.

PROTOCOL.md says what is drawn and why; the two are one, and change together or not at all.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mmm_xgen import (
    ChannelConfig,
    ControlConfig,
    MMMDataConfig,
    RegionConfig,
    TransformConfig,
)
from mmm_xgen.streams import stream

# Patterns of spend, taken in turn.
PATTERNS: tuple[dict[str, object], ...] = (
    {"pattern": "linear_trend"},
    {"pattern": "seasonal", "seasonal_amplitude": 0.4},
    {
        "pattern": "on_off",
        "activation_probability": 0.3,
        "min_active_periods": 2,
        "max_active_periods": 5,
    },
    {"pattern": "pulsed", "pulse_on_periods": 3, "pulse_off_periods": 5, "rest_level": 0.1},
)
NAMES = ("Search", "TV", "Social", "Radio", "Display", "Video", "Print", "Audio")


def tier_a(seed: int) -> MMMDataConfig:
    """1 geo, 4 channels, 104 weeks."""
    return _drawn("tier A", seed, n_geos=1, n_channels=4, n_periods=104)


def tier_b(seed: int) -> MMMDataConfig:
    """8 geos, 8 channels, 156 weeks."""
    return _drawn("tier B", seed, n_geos=8, n_channels=8, n_periods=156)


TIERS: dict[str, Callable[[int], MMMDataConfig]] = {"tier_a": tier_a, "tier_b": tier_b}


def _drawn(tier: str, seed: int, *, n_geos: int, n_channels: int, n_periods: int) -> MMMDataConfig:
    rng = stream(seed, "recovery benchmark", tier)
    spend = 2000.0 * np.exp(rng.normal(0.0, 0.5, n_channels))
    volatility = rng.uniform(0.3, 0.6, n_channels)
    roas = 1.8 * np.exp(rng.normal(0.0, 0.5, n_channels))
    alpha = rng.uniform(0.1, 0.7, n_channels)
    slope = rng.uniform(0.8, 2.0, n_channels)
    half = spend * np.exp(rng.uniform(np.log(0.5), np.log(2.5), n_channels))
    phase = rng.uniform(0.0, 2 * np.pi, n_channels)
    share = rng.uniform(0.2, 0.45)
    noise = rng.uniform(0.02, 0.06)
    season, season_phase = rng.uniform(0.05, 0.2), rng.uniform(0.0, 2 * np.pi)
    trend = rng.uniform(-0.1, 0.2) if rng.random() < 0.5 else 0.0
    control = rng.uniform(0.5, 1.5) * (1 if rng.random() < 0.5 else -1)

    # Hill curves for even seeds, logistic ones for odd seeds: each library gets curves of its
    # default kind and of another kind.
    hill = seed % 2 == 0
    # Approximate mean level of the patterns, so that the share of media is close to its target.
    level = np.array([(1.0, 1.0, 0.5, 0.44)[c % len(PATTERNS)] for c in range(n_channels)])
    base_sales = float((roas * spend * level).sum() * (1 - share) / share)
    channels = []
    for c in range(n_channels):
        pattern = dict(PATTERNS[c % len(PATTERNS)])
        if pattern["pattern"] == "seasonal":
            pattern["seasonal_phase"] = float(phase[c])
        curve = (
            {"slope": float(slope[c]), "kappa": float(half[c])}
            if hill
            else {"lam": float(np.log(3.0) / half[c])}
        )
        channels.append(
            ChannelConfig(
                name=f"x-{NAMES[c]}",
                base_spend=float(spend[c]),
                spend_volatility=float(volatility[c]),
                roas=float(roas[c]),
                adstock_fun="geometric_adstock",
                adstock_kwargs={"alpha": float(alpha[c]), "l_max": 8},
                saturation_fun="hill_function" if hill else "logistic_saturation",
                saturation_kwargs=curve,
                **pattern,
            )
        )
    # A control of mean 10 and sd 1, whose effect is a drawn number of noise sds.
    driver = ControlConfig(
        name="c-Economy",
        pattern="linear_trend",
        base_value=10.0,
        value_volatility=0.1,
        persistence=0.7,
        reference=10.0,
        gamma_control=float(control * noise * base_sales),
    )
    return MMMDataConfig(
        n_periods=n_periods,
        start_date="2022-01-03",
        freq="W-MON",
        seed=seed,
        channels=channels,
        control_variables=[driver],
        regions=RegionConfig(
            n_regions=n_geos,
            population=[float(p) for p in 1e6 * np.exp(rng.normal(0.0, 0.6, n_geos))],
            population_reference=1e6,
            base_sales_rate=base_sales,
            sales_trend=float(trend / n_periods),
            sales_volatility=float(noise),
            seasonal_amplitude=float(season),
            seasonal_phase=float(season_phase),
        ),
        transforms=TransformConfig(),
    )
