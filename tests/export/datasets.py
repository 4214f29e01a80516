"""Datasets that the tests of exports share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import mmm_xgen as m
from tests.strategies import (
    ADSTOCK_KINDS,
    NOISE_KEYS,
    SATURATION_KINDS,
    config_with,
    generate,
    quietly,
    steady,
)

ALL_KINDS = config_with(
    *(
        steady(
            f"ch {i} ü",
            adstock={"kind": ADSTOCK_KINDS[i % len(ADSTOCK_KINDS)]},
            saturation={"kind": kind},
        )
        for i, kind in enumerate(SATURATION_KINDS)
    )
)


CONFIGS: dict[str, dict[str, Any]] = {
    "default": m.DEFAULT_CONFIG.model_dump(),
    "all kinds": ALL_KINDS,
    "no controls, one geo": config_with(steady()),
    "history": config_with(steady(), steady("Radio")) | {"burn_in_periods": 7},
    "one period": config_with(steady()) | {"n_periods": 1},
    "weibull types and no normalisation": config_with(
        steady(adstock={"kind": "weibull_adstock", "type": "CDF", "normalize": False}),
        steady("Radio", adstock={"kind": "weibull_adstock", "type": "PDF", "l_max": 3}),
        steady("Print", adstock={"kind": "no_adstock", "normalize": False}),
    ),
    "daily with seasons and events": config_with(
        steady(),
        freq="D",
        regions={
            "n_regions": 3,
            "fourier_modes": 2,
            "similarity": 0.5,
            "seasonalities": [
                {"weekday_effects": [0, 0, 0.01, 0, 0.05, 0.1, -0.1]},
                {"period": "monthly", "amplitude": 0.05},
            ],
        },
        events=[{"name": "Fête", "dates": ["02-10"], "effect": 0.2, "shape": "decay"}],
    ),
    "no yearly season": config_with(steady(), regions={"fourier_modes": 0}),
    "monthly, saturation first": config_with(steady(), freq="MS", start_date="2022-01-01")
    | {"transforms": {"adstock_first": False}},
    "piecewise trend": config_with(
        steady(),
        regions={
            "trend": {
                "kind": "piecewise_linear",
                "sales_trend": 0.01,
                "change_periods": [10, 20],
                "trend_changes": [-0.02, 0.01],
            }
        },
    ),
    "placebo and silent channel": config_with(
        steady("Placebo", base_effectiveness=0.0), steady("Silent", base_spend=0.0)
    ),
    "a KPI that looks like a date": config_with(steady(), kpi="days since 2000-01-01"),
    "a seed beyond 64 bits": config_with(steady(), seed=2**70 + 1),
    **{
        f"{kind} noise": config_with(
            steady(), regions={"noise": keys | {"kind": kind}, "sales_volatility": None}
        )
        for kind, keys in NOISE_KEYS.items()
    },
}


def made(name: str) -> xr.Dataset:
    mapping = CONFIGS[name]
    regions = dict(mapping["regions"])
    if "noise" in regions:
        regions.pop("sales_volatility", None)
    return generate(mapping | {"regions": regions})


def planned(start: str = "2024-01-01") -> xr.Dataset:
    """Dataset on a media plan, with spends that have no short decimal form."""
    dates = pd.date_range(start, periods=30, freq="W-MON")
    spend = np.linspace(1, 100, 60).reshape(30, 2) ** 1.7
    frame = pd.DataFrame({"date": dates, "TV": spend[:, 0], "Radio": spend[:, 1]})
    config = m.MMMDataConfig(
        channels=[m.ChannelConfig(name="TV"), m.ChannelConfig(name="Radio")],
        spend_plan={"date": "date", "channels": ["TV", "Radio"]},
    )
    return quietly(lambda: m.generate_mmm_dataset(config, spend=frame))
