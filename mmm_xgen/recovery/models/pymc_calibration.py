"""Simulation-based calibration: truths drawn from a model's own priors.

Whether a posterior is computed rightly shows where the truth comes from the prior that the model
has: then, over many datasets, the rank of the truth among the draws is uniform. It needs scales
that do not depend on the data, since a prior is stated in scaled space.

The study is `mmm_xgen.recovery.run_study` with ``datasets={"calibration": calibration_config}``
and the model ``pymc-calibration``; `mmm_xgen.recovery.scoring.calibration.uniformity` judges the
ranks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from mmm_xgen.config.channel import ChannelConfig
from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.region import RegionConfig
from mmm_xgen.config.transform import TransformConfig
from mmm_xgen.errors import ConfigError
from mmm_xgen.recovery.models.pymc_fit import model_class, register_pymc_model
from mmm_xgen.streams import stream

# Scales of spend and sales, in units of which the priors are stated.
SPEND, SALES = 1000.0, 20_000.0
L_MAX = 8
FLIGHTS = {"activation_probability": 0.4, "min_active_periods": 2, "max_active_periods": 6}
# Priors: those of the library for carry-over and curve, and for the rest such as leave sales
# above zero, where nothing is clipped.
ALPHA = {"alpha": 1.0, "beta": 3.0}
LAM = {"alpha": 3.0, "beta": 1.0}
BETA = {"sigma": 0.5}
INTERCEPT = {"mu": 0.0, "sigma": 0.2}
FOURIER = {"mu": 0.0, "sigma": 0.05}
NOISE = {"mu": float(np.log(0.05)), "sigma": 0.3}


def calibration_config(seed: int) -> MMMDataConfig:
    """Configuration whose truth is a draw from the priors of ``pymc-calibration``.

    Parameters
    ----------
    seed : int
        Seed of truth, spend and noise.

    Returns
    -------
    MMMDataConfig
        1 geo, 2 channels, 104 weeks, geometric adstock and logistic saturation.

    Examples
    --------
    >>> one, other = calibration_config(1), calibration_config(2)
    >>> one.regions.base_sales_rate != other.regions.base_sales_rate
    True
    """
    rng = stream(seed, "simulation-based calibration")
    n_channels = 2
    alpha = rng.beta(ALPHA["alpha"], ALPHA["beta"], n_channels)
    lam = rng.gamma(LAM["alpha"], 1 / LAM["beta"], n_channels)
    beta = np.abs(rng.normal(0.0, BETA["sigma"], n_channels))
    intercept = float(np.exp(rng.normal(INTERCEPT["mu"], INTERCEPT["sigma"])))
    # Sine and cosine with normal coefficients are a wave of any phase.
    waves = rng.normal(FOURIER["mu"], FOURIER["sigma"], 2)
    sigma = float(np.exp(rng.normal(NOISE["mu"], NOISE["sigma"])))
    return MMMDataConfig(
        n_periods=104,
        start_date="2023-01-02",
        freq="W-MON",
        seed=seed,
        channels=[
            ChannelConfig(
                name=f"x-{name}",
                pattern="on_off",
                base_spend=SPEND,
                spend_volatility=0.4,
                base_effectiveness=float(beta[c] / intercept),
                adstock_kwargs={"alpha": float(alpha[c]), "l_max": L_MAX},
                saturation_fun="logistic_saturation",
                saturation_kwargs={"lam": float(lam[c] / SPEND)},
                **FLIGHTS,
            )
            for c, name in enumerate(("TV", "Radio"))
        ],
        regions=RegionConfig(
            base_sales_rate=SALES * intercept,
            sales_volatility=sigma / intercept,
            seasonal_amplitude=float(np.hypot(*waves) / intercept),
            seasonal_phase=float(np.arctan2(*waves) % (2 * np.pi)),
        ),
        transforms=TransformConfig(),
    )


@register_pymc_model("pymc-calibration")
def calibration(ds: xr.Dataset) -> Any:
    """The model whose priors `calibration_config` draws from.

    Raises
    ------
    ConfigError
        If the installed release can only scale by the data.
    """
    import pymc_marketing.mmm.scaling as library
    from pymc_extras.prior import Prior
    from pymc_marketing.mmm import GeometricAdstock, LogisticSaturation

    if not hasattr(library, "FixedScaling"):
        raise ConfigError(
            "simulation-based calibration needs scales that are fixed, and this release of "
            "PyMC-Marketing scales by the data, so that its prior is another one for each "
            "dataset; install pymc-marketing 1.3 (Python 3.12 or later)"
        )
    return model_class()(
        date_column="date",
        target_column="y",
        dims=("geo",),
        channel_columns=[str(name) for name in ds["channel_column"].values],
        adstock=GeometricAdstock(
            l_max=L_MAX, priors={"alpha": Prior("Beta", **ALPHA, dims="channel")}
        ),
        saturation=LogisticSaturation(
            priors={
                "lam": Prior("Gamma", **LAM, dims="channel"),
                "beta": Prior("HalfNormal", **BETA, dims="channel"),
            }
        ),
        yearly_seasonality=1,
        model_config={
            "intercept": Prior("LogNormal", **INTERCEPT, dims="geo"),
            "gamma_fourier": Prior("Normal", **FOURIER, dims=("geo", "fourier_mode")),
            "likelihood": Prior(
                "Normal",
                sigma=Prior("LogNormal", **NOISE, dims="geo"),
                dims=("date", "geo"),
            ),
        },
        scaling=library.Scaling(
            channel=library.FixedScaling(dims=(), value=SPEND),
            target=library.FixedScaling(dims=(), value=SALES),
        ),
    )
