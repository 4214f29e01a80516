"""Paths of effects against their formulas, one date at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mmm_xgen import ConfigError
from tests.scalar_world import near
from tests.strategies import config_with, generate, steady

N = 40


def path_of(kind: str, channel: dict[str, Any] | None = None, **keys: Any) -> np.ndarray:
    """Path of one channel in one geo, as generated."""
    own = (channel or {}) | {"effect_path": {"kind": kind, **keys}}
    return generate(config_with(steady(**own), n_periods=N))["effect_path"].values[:, 0, 0]


def relative(values: list[float]) -> np.ndarray:
    return np.array(values) * len(values) / sum(values)


def test_a_drift_is_a_straight_line() -> None:
    line = [1.6 + (0.4 - 1.6) * t / (N - 1) for t in range(N)]
    near(path_of("linear_drift", start=1.6, end=0.4), relative(line))


@pytest.mark.parametrize(("at", "before"), [(0.0, 0), (0.25, 10), (0.5, 20), (0.99, 40)])
def test_a_step_is_one_change(at: float, before: int) -> None:
    values = [1.0 if t < before else 0.3 for t in range(N)]
    near(path_of("step_change", at=at, change=0.3), relative(values))


def test_steps_come_at_their_dates() -> None:
    values = [1.0 if t < 10 else 1.5 if t < 21 else 0.5 for t in range(N)]
    # Weeks begin on 3 January 2022; the second change is in the middle of a week.
    keys = {"dates": ["2022-03-14", "2022-05-25"], "levels": [1.5, 0.5]}
    near(path_of("steps", **keys), relative(values))


@pytest.mark.parametrize(
    ("dates", "levels", "message"),
    [
        (["2022-03-14"], [1.0, 2.0], "1 dates and 2 levels"),
        (["2022-05-25", "2022-03-14"], [1.0, 2.0], "the earliest first"),
        (["03-14"], [2.0], "an ISO date"),
        (["2022-03-14"], [0.0], "greater than 0|above 0"),
    ],
)
def test_steps_that_cannot_be_are_refused(
    dates: list[str], levels: list[float], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        path_of("steps", dates=dates, levels=levels)


def test_wear_out_counts_the_periods_with_spend() -> None:
    pulses = {"pattern": "pulsed", "pulse_on_periods": 3, "pulse_off_periods": 2}
    fatigue, values = 0.0, []
    for t in range(N):
        values.append(math.exp(-fatigue))
        fatigue = fatigue + 0.2 if t % 5 < 3 else (1 - 0.4) * fatigue
    near(path_of("wear_out", pulses, rate=0.2, rest=0.4), relative(values))


def test_a_season_has_its_amplitude_and_its_peak() -> None:
    own = steady(effect_path={"kind": "seasonal_response", "amplitude": 0.4})
    ds = generate(config_with(own, n_periods=730, freq="D", start_date="2022-01-01"))
    path = ds["effect_path"].isel(geo=0, channel=0)
    assert abs(float(path.max() - path.min()) / 2 - 0.4) < 0.01
    peak = path.isel(date=slice(365)).idxmax("date").dt
    assert (int(peak.month), int(peak.day)) in {(6, 30), (7, 1), (7, 2), (7, 3)}


def test_a_random_walk_has_steps_of_its_size() -> None:
    own = steady(effect_path={"kind": "random_walk", "sd": 0.02})
    ds = generate(config_with(own, n_periods=4000, freq="D", start_date="2022-01-01"))
    steps = np.diff(np.log(ds["effect_path"].values[:, 0, 0]))
    assert abs(steps.std() / 0.02 - 1) < 0.05
    assert abs(np.corrcoef(steps[1:], steps[:-1])[0, 1]) < 0.06


def test_a_smooth_path_has_its_size_and_its_length() -> None:
    """Over many geos, as one path alone has few independent values."""
    own = steady(effect_path={"kind": "smooth", "sd": 0.3, "length": 0.2, "shared": False})
    regions = {"n_regions": 3000}
    logs = np.log(generate(config_with(own, n_periods=N, regions=regions))["effect_path"])
    # The mean of 1 shifts each path, which differences of dates do not see.
    for apart in (4, 8):
        found = (logs[15 + apart] - logs[15]).values[:, 0].std()
        correlation = math.exp(-((apart / N / 0.2) ** 2) / 2)
        assert abs(found / (0.3 * math.sqrt(2 - 2 * correlation)) - 1) < 0.06


@pytest.mark.parametrize("kind", ["random_walk", "smooth"])
def test_no_size_is_no_path(kind: str) -> None:
    near(path_of(kind, sd=0.0), np.ones(N))
