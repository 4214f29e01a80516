"""The configuration that `generate_mmm_dataset` uses by default."""

from __future__ import annotations

from mmm_xgen.config.data import MMMDataConfig

DEFAULT_CONFIG = MMMDataConfig.from_dict(
    {
        "n_periods": 104,
        "seed": 42,
        "channels": [
            {
                "name": "x-Seasonal",
                "pattern": "seasonal",
                "seasonal_amplitude": 0.4,
                "base_spend": 900.0,
                "spend_volatility": 0.3,
                "adstock_kwargs": {"alpha": 0.5},
                "saturation_kwargs": {"slope": 1.0, "kappa": 900.0},
                "roas": 2.4,
            },
            {
                "name": "x-Trend",
                "pattern": "linear_trend",
                "spend_trend": 0.005,
                "base_spend": 600.0,
                "spend_volatility": 0.3,
                "adstock_kwargs": {"alpha": 0.3},
                "saturation_kwargs": {"slope": 1.0, "kappa": 1200.0},
                "roas": 1.5,
            },
            {
                "name": "x-On-Off",
                "pattern": "on_off",
                "activation_probability": 0.4,
                "base_spend": 700.0,
                "spend_volatility": 0.3,
                "adstock_kwargs": {"alpha": 0.6},
                "saturation_kwargs": {"slope": 1.5, "kappa": 500.0},
                "roas": 3.0,
            },
        ],
        "control_variables": [
            {
                "name": "c-Price",
                "base_value": 10.0,
                "value_volatility": 0.05,
                "persistence": 0.8,
                "elasticity": -1.2,
            },
            {
                "name": "c-Promotion",
                "pattern": "on_off",
                "activation_probability": 0.1,
                "gamma_control": 900.0,
            },
        ],
        "regions": {
            "region_names": ["geo_a", "geo_b"],
            "population": [1000000.0, 600000.0],
            "base_sales_rate": 10000.0,
            "sales_trend": 0.001,
            "sales_volatility": 0.04,
            "seasonal_amplitude": 0.15,
            "similarity": 0.8,
        },
    }
)
