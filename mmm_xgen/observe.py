"""From expected to observed sales."""

from __future__ import annotations

import numpy as np

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.errors import ConfigError, warn
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.parameters import Parameters
from mmm_xgen.streams import stream


def noise_sd(config: MMMDataConfig, mu: FloatArray, truth: Parameters) -> FloatArray:
    r"""Root-mean-square sd of the noise, dims (geo,).

    A target R² of a geo makes it :math:`\sigma^2 = \mathrm{var}(\mu) (1 - R^2) / R^2`.
    """
    target = config.regions.noise.r_squared
    sigma = truth["y_sigma"]
    if target is None or not np.isnan(sigma).any():
        return sigma
    share = np.broadcast_to(np.asarray(target, dtype=float), sigma.shape)
    return np.asarray(mu.std(axis=1) * np.sqrt((1 - share) / share))


def observe(
    config: MMMDataConfig, mu: FloatArray, sigma: FloatArray, truth: Parameters
) -> tuple[FloatArray, FloatArray]:
    """Sales and noise, dims (geo, date); ``y - mu == noise`` to the last bit.

    Raises
    ------
    ConfigError
        If the family needs positive expected sales and some are not.

    Warns
    -----
    XgenWarning
        If sales below zero had to be clipped; it counts the cells.
    """
    spec = config.regions.noise
    if spec.registered.needs_positive_mu and np.any(mu <= 0):  # type: ignore[attr-defined]
        cells = int(np.sum(mu <= 0))
        raise ConfigError(
            f"found {spec.kind} noise, but expected sales are not above 0 in {cells} of {mu.size} "
            "cells; raise base_sales_rate, weaken negative effects, or use gaussian noise",
            path="regions.noise",
        )
    parameters = {name: truth[f"noise_{name}"][:, None] for name in spec.parameters}
    rng = stream(config.seed, "noise")
    y = mu + spec.registered.function(rng, mu, sigma[:, None], **parameters, **spec.settings)
    below = int(np.sum(y < 0))
    if below:
        warn(
            f"y was below 0 in {below} of {y.size} cells and was clipped there; noise is what is "
            "left after the clip",
        )
        y = np.maximum(y, 0)
    return y, y - mu
