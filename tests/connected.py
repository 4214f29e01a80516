"""One world with all mechanisms, for tests of everything that shows or carries a Dataset."""

from __future__ import annotations

from functools import cache
from typing import Any

import xarray as xr

import mmm_xgen
from tests.strategies import quietly

CHANNELS: list[dict[str, Any]] = [
    {"name": "TV", "roas": 2.0, "budget_rule": "follows_demand", "effect_path": "smooth"},
    {"name": "Search", "roas": 3.0, "budget_rule": {"kind": "search", "elasticity": 0.3}},
    {"name": "Social", "roas": 2.5, "pull_forward": {"share": 0.3}, "budget_rule": "chases_target"},
    {"name": "Video", "base_effectiveness": -0.05},
]
CONTROLS = [
    {"name": "Price", "gamma_control": -50.0, "base_value": 10.0},
    {"name": "Weather", "gamma_control": 30.0, "persistence": 0.8},
]
MOVING: dict[str, Any] = {
    "seasonal_amplitude": 0.1,
    "level_path": {"kind": "random_walk", "sd": 0.01},
    "season_path": "linear_drift",
    "season_shift": 5.0,
}
CAUSES: dict[str, Any] = {
    "demand": {
        "indicators": [{"name": "Queries", "reliability": 0.7}],
        "drivers": [{"control": "Weather", "share": 0.2}],
    },
    "funnels": [
        {"source": "TV", "target": "Search", "strength": 0.3},
        {"source": "Video", "target": "Social", "strength": -0.2, "lag": 1, "paid": True},
    ],
    "interactions": [
        {"channels": ["TV", "Social"], "strength": 0.05},
        {"channels": ["Search", "Social"], "strength": -0.02},
    ],
    "mediators": [
        {"name": "Awareness", "parents": {"TV": 0.5, "Video": 0.2}, "observed": "survey"},
        {"name": "Visits", "parents": {"Search": 0.6}, "effect": 0.05},
    ],
    "promotions": [
        {"name": "Sale", "answer": 0.5, "pull_forward": {"share": 0.3}},
        {"name": "Coupon", "depth": 0.1, "dates": ["06-15"], "observed": False},
    ],
}
CONFIG = mmm_xgen.MMMDataConfig.from_dict(
    {
        "n_periods": 52,
        "seed": 3,
        "burn_in_periods": 4,
        "regions": {"n_regions": 2, "population": [1e6, 3e6], **MOVING},
        "channels": CHANNELS,
        "control_variables": CONTROLS,
        **CAUSES,
    }
)


@cache
def connected() -> xr.Dataset:
    """Return the dataset; tests leave it as it is."""
    return quietly(lambda: mmm_xgen.generate_mmm_dataset(CONFIG))
