"""The configuration that `generate_mmm_dataset` uses where none is given."""

from __future__ import annotations

from mmm_xgen.config.channel import ChannelConfig, ControlConfig
from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.region import RegionConfig
from mmm_xgen.config.transform import TransformConfig

DEFAULT_CONFIG = MMMDataConfig(
    n_periods=104,
    channels=[
        ChannelConfig(
            name="x-Seasonal",
            pattern="seasonal",
            base_spend=900.0,
            seasonal_amplitude=0.4,
            spend_volatility=0.3,
            roas=2.4,
        ),
        ChannelConfig(
            name="x-Trend",
            pattern="linear_trend",
            base_spend=600.0,
            spend_trend=0.005,
            spend_volatility=0.3,
            roas=1.5,
        ),
        ChannelConfig(
            name="x-On-Off",
            pattern="on_off",
            base_spend=700.0,
            spend_volatility=0.3,
            activation_probability=0.4,
            roas=3.0,
        ),
    ],
    control_variables=[
        ControlConfig(
            name="c-Price", base_value=10.0, value_volatility=0.05, persistence=0.8, elasticity=-1.2
        ),
        ControlConfig(
            name="c-Promotion", pattern="on_off", activation_probability=0.1, gamma_control=900.0
        ),
    ],
    regions=RegionConfig(
        region_names=["geo_a", "geo_b"],
        population=[1_000_000.0, 600_000.0],
        base_sales_rate=10_000.0,
        sales_trend=0.001,
        sales_volatility=0.04,
        seasonal_amplitude=0.15,
        similarity=0.8,
    ),
    transforms=TransformConfig(
        adstock_fun="geometric_adstock",
        adstock_kwargs=[{"alpha": 0.5}, {"alpha": 0.3}, {"alpha": 0.6}],
        saturation_fun="hill_function",
        saturation_kwargs=[
            {"slope": 1.0, "kappa": 900.0},
            {"slope": 1.0, "kappa": 1200.0},
            {"slope": 1.5, "kappa": 500.0},
        ],
    ),
    seed=42,
)
