"""Noise: from expected to observed sales."""

from __future__ import annotations

import numpy as np

from mmm_xgen.errors import ConfigError
from mmm_xgen.generation.batch import Batch
from mmm_xgen.generation.parameters import Parameters
from mmm_xgen.kernels.domain import FloatArray


def noise_sd(batch: Batch, mu: FloatArray, truth: Parameters) -> FloatArray:
    r"""Return the root-mean-square standard deviation of the noise, dims (dataset, geo).

    A target R² of a geo gives :math:`\sigma^2 = \mathrm{var}(\mu) (1 - R^2) / R^2`. With
    multiplicative sales, it is the standard deviation of log sales.
    """
    sigma = truth["y_sigma"]
    if batch.shared.regions.noise.r_squared is None or not np.isnan(sigma).any():
        return sigma
    target = batch.each_region(lambda regions: regions.noise.r_squared)
    share = target.reshape(len(target), -1)
    mu = np.log(mu) if batch.shared.link == "log" else mu
    return np.asarray(mu.std(axis=-1) * np.sqrt((1 - share) / share))


def held_noise(
    batch: Batch, sales_plan: FloatArray, sigma: FloatArray, truth: Parameters
) -> FloatArray:
    """Return noise that does not depend on what spend answers to it, dims (dataset, geo, date).

    It is relative to expected sales if the family follows them, and in KPI units else.

    Parameters
    ----------
    sales_plan : array, dims (dataset, geo, date)
        Planned sales, which take the place of expected sales where a family needs them.

    Raises
    ------
    ConfigError
        If the family draws counts, which cannot be drawn date by date.
    """
    spec = batch.shared.regions.noise
    if spec.kind == "negative_binomial":
        raise ConfigError(
            "found negative_binomial noise with a budget rule that answers to sales, allowed: "
            "gaussian, student_t, ar1 or lognormal noise",
            path="regions.noise",
        )
    noise = _noise(batch, sales_plan, sigma, truth)
    return noise / sales_plan if spec.registered.follows_mu else noise  # type: ignore[attr-defined]


def observe(
    batch: Batch,
    mu: FloatArray,
    sigma: FloatArray,
    truth: Parameters,
    held: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Return sales and noise, dims (dataset, geo, date); ``y - mu == noise`` in every bit.

    `held` is the result of `held_noise`, if spend answered to it.

    Raises
    ------
    ConfigError
        If the family needs positive expected sales and some are not positive.

    Warns
    -----
    XgenWarning
        If sales below zero were clipped. The message counts the cells.
    """
    cells = mu[0].size
    spec = batch.shared.regions.noise
    if spec.registered.needs_positive_mu and np.any(mu <= 0):  # type: ignore[attr-defined]
        wrong = (mu <= 0).sum(axis=(1, 2))
        raise ConfigError(
            f"found {spec.kind} noise, but expected sales are not above 0 in {wrong[wrong > 0][0]} "
            f"of {cells} cells; raise base_sales_rate, weaken negative effects, or use gaussian "
            "noise",
            path="regions.noise",
        )
    if held is None:
        y = mu + _noise(batch, mu, sigma, truth)
    else:
        y = mu * (1 + held) if spec.registered.follows_mu else mu + held  # type: ignore[attr-defined]
    below = (y < 0).sum(axis=(1, 2))
    clipped = below > 0
    if clipped.any():
        y[clipped] = np.maximum(y[clipped], 0)
    batch.warn(
        "clip",
        clipped,
        lambda dataset: (
            f"y was below 0 in {below[dataset]} of {cells} cells and was clipped there; noise is "
            "what is left after the clip"
        ),
    )
    return y, y - mu


def _noise(batch: Batch, mu: FloatArray, sigma: FloatArray, truth: Parameters) -> FloatArray:
    """Return the noise before clipping, from one call of the family per dataset."""
    spec = batch.shared.regions.noise
    geos = mu.shape[:2]
    sd = np.broadcast_to(sigma, geos)[..., None]
    if batch.shared.link == "log":
        sd = sd_of_sales(sd, mu)
    parameters = {
        name: np.broadcast_to(truth[f"noise_{name}"], geos)[..., None] for name in spec.parameters
    }
    noise = np.empty_like(mu)
    function, settings = spec.registered.function, spec.settings
    for dataset, rng in enumerate(batch.streams("noise")):
        own = {name: values[dataset] for name, values in parameters.items()}
        noise[dataset] = function(rng, mu[dataset], sd[dataset], **own, **settings)
    return noise


def sd_of_sales(log_sd: FloatArray, mu: FloatArray) -> FloatArray:
    """Return the root-mean-square sd of lognormal sales, in KPI units, from that of their log.

    Parameters
    ----------
    log_sd : array, dims (..., 1)
        Standard deviation of log sales.
    mu : array, dims (..., date)
        Expected sales.
    """
    mean_square = np.mean(np.square(mu), axis=-1, keepdims=True)
    return np.asarray(np.sqrt(np.expm1(np.square(log_sd)) * mean_square))
