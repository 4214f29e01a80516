"""Noise: from expected to observed sales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.errors import ConfigError
from mmm_xgen.generation.batch import Batch
from mmm_xgen.generation.parameters import Parameters
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.noise import level_weights


def noise_sd(batch: Batch, mu: FloatArray, truth: Parameters) -> FloatArray:
    r"""Return the root-mean-square standard deviation of the noise, dims (dataset, geo).

    A target R² of a geo gives :math:`\sigma^2 = \mathrm{var}(\mu) (1 - R^2) / R^2`. With outliers,
    this is the variance of the noise and the outliers together. With multiplicative sales, it is
    the variance of log sales.
    """
    sigma = truth["y_sigma"]
    if batch.shared.regions.noise.r_squared is None or not np.isnan(sigma).any():
        return sigma
    target = batch.each_region(lambda regions: regions.noise.r_squared)
    share = target.reshape(len(target), -1)
    ratio = (1 - share) / share
    if batch.shared.regions.outliers is not None:
        rate, size = _outlier_numbers(batch)
        ratio = ratio / (1 + rate * size**2)
    mu = np.log(mu) if batch.shared.link == "log" else mu
    return np.asarray(mu.std(axis=-1) * np.sqrt(ratio))


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
    added = outlier_contribution(batch, sales_plan, sigma)
    noise = noise if added is None else noise + added
    return noise / sales_plan if spec.registered.follows_mu else noise  # type: ignore[attr-defined]


def observe(
    batch: Batch,
    mu: FloatArray,
    sigma: FloatArray,
    truth: Parameters,
    held: FloatArray | None = None,
    sales_plan: FloatArray | None = None,
) -> Parameters:
    """Return sales and noise by Dataset name; ``y - mu == noise`` in every bit.

    Parameters
    ----------
    batch, mu, sigma, truth
        Configurations, expected sales, result of `noise_sd`, and true parameters.
    held : array, dims (dataset, geo, date), optional
        Result of `held_noise`, if spend answered to it.
    sales_plan : array, dims (dataset, geo, date), optional
        Planned sales that `held` was made with.

    Returns
    -------
    dict of str to array, dims (dataset, geo, date)
        ``y`` and ``noise``; ``outlier_contribution`` with outliers; ``lost_sales`` with a capacity.

    Raises
    ------
    ConfigError
        If the family needs positive expected sales and some are not positive.

    Warns
    -----
    XgenWarning
        If sales below zero were clipped, and the message counts the cells; or if all sales of a
        geo are at the capacity.
    """
    outcomes: Parameters = {}
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
    planned = mu if sales_plan is None else sales_plan
    added = outlier_contribution(batch, planned, sigma)
    if held is None:
        noise = _noise(batch, mu, sigma, truth)
        y = mu + (noise if added is None else noise + added)
    else:
        is_relative = spec.registered.follows_mu  # type: ignore[attr-defined]
        y = mu * (1 + held) if is_relative else mu + held
        if added is not None and is_relative:
            added = added * mu / planned
    if added is not None:
        outcomes["outlier_contribution"] = added
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
    if "capacity" in truth:
        capacity = truth["capacity"][..., None]
        outcomes["lost_sales"] = np.maximum(y - capacity, 0.0)
        _warn_of_capacity(batch, np.asarray((y >= capacity).all(axis=2)))
        y = np.minimum(y, capacity)
    return {"y": y, "noise": y - mu, **outcomes}


def outlier_contribution(batch: Batch, mu: FloatArray, sigma: FloatArray) -> FloatArray | None:
    """Return what outliers add to sales, dims (dataset, geo, date); None without outliers.

    An outlier is a multiple of the sd of the noise in its cell, up or down.
    """
    spec = batch.shared.regions.noise
    if batch.shared.regions.outliers is None:
        return None
    rate, size = (each[..., None] for each in _outlier_numbers(batch))
    draw = 2 * batch.draws([("outliers",)], mu.shape[1:], uniform=True)[:, 0] - 1
    # The share of all draws that lie at the ends of (-1, 1).
    is_outlier = np.abs(draw) > 1 - rate
    if spec.registered.follows_mu:  # type: ignore[attr-defined]
        sd = sigma[..., None]
        sd = sd_of_sales(sd, mu) if batch.shared.link == "log" else sd
        sd = sd * level_weights(mu, 1.0)
    else:
        sd = _sd_by_cell(batch, mu, sigma)
    added = np.where(is_outlier, np.copysign(size, draw) * sd, 0.0)
    # Counts stay counts.
    return np.rint(added) if spec.kind == "negative_binomial" else added


def _outlier_numbers(batch: Batch) -> tuple[FloatArray, FloatArray]:
    """Return the share and the size of outliers, dims (dataset, 1)."""
    rate = batch.each_region(lambda regions: regions.outliers.share)  # type: ignore[union-attr]
    size = batch.each_region(lambda regions: regions.outliers.size)  # type: ignore[union-attr]
    return rate[:, None], size[:, None]


def _sd_by_cell(batch: Batch, mu: FloatArray, sigma: FloatArray) -> FloatArray:
    """Return the sd of the noise, dims (dataset, geo, date); one date if it is constant.

    Raises
    ------
    ConfigError
        If the sd follows expected sales and some are not positive.
    """
    power = batch.each_region(lambda regions: regions.noise.level_power)[:, None, None]
    sd = np.broadcast_to(sigma, mu.shape[:2])[..., None]
    if not power.any():
        return sd
    wrong = ((mu <= 0) & (power != 0)).sum(axis=(1, 2))
    if wrong.any():
        raise ConfigError(
            f"found noise that follows expected sales, which are not above 0 in "
            f"{wrong[wrong > 0][0]} of {mu[0].size} cells; raise base_sales_rate, weaken negative "
            "effects, or set it to 0",
            path="regions.noise.level_power",
        )
    # One dataset at a time: NumPy rounds a power differently where exponents vary within an array.
    powers = np.broadcast_to(power.ravel(), len(mu))
    weights = [level_weights(own, float(p)) for own, p in zip(mu, powers, strict=True)]
    return np.asarray(sd * np.stack(weights))


def _warn_of_capacity(batch: Batch, sold_out: NDArray[np.bool_]) -> None:
    """Warn of geos that are sold out on all dates, dims (dataset, geo)."""
    batch.warn(
        "capacity",
        np.asarray(sold_out.any(axis=1)),
        lambda dataset: (
            f"sales are at the capacity on all dates in "
            f"{batch.shared.regions.names[int(sold_out[dataset].argmax())]!r}, so that nothing "
            "shows there; raise regions.capacity"
        ),
    )


@dataclass(frozen=True)
class _PartlyShared:
    """Generator of standard normal numbers, of whose variance all geos share a part.

    Parameters
    ----------
    own : Generator
        Generator of the numbers of each geo.
    common : array, dims (1, date)
        Numbers that all geos have in common.
    share : float
        Share of the variance that is common.
    """

    own: np.random.Generator
    common: FloatArray
    share: float

    def standard_normal(self, size: tuple[int, int]) -> FloatArray:
        own = np.sqrt(1 - self.share) * self.own.standard_normal(size)
        return np.asarray(own + np.sqrt(self.share) * self.common)


def _noise(batch: Batch, mu: FloatArray, sigma: FloatArray, truth: Parameters) -> FloatArray:
    """Return the noise before outliers and clipping, from one call of the family per dataset."""
    spec = batch.shared.regions.noise
    geos = mu.shape[:2]
    sd = _sd_by_cell(batch, mu, sigma)
    if batch.shared.link == "log":
        sd = sd_of_sales(sd, mu)
    shares = np.broadcast_to(batch.each_region(lambda regions: regions.noise.shared), len(mu))
    common = None
    if shares.any():
        common = batch.draws([("noise", "shared")], (1, mu.shape[-1]))[:, 0]
    parameters = {
        name: np.broadcast_to(truth[f"noise_{name}"], geos)[..., None] for name in spec.parameters
    }
    noise = np.empty_like(mu)
    function, settings = spec.registered.function, spec.settings
    for dataset, rng in enumerate(batch.streams("noise")):
        own = {name: values[dataset] for name, values in parameters.items()}
        source: Any = rng
        if common is not None:
            source = _PartlyShared(rng, common[dataset], shares[dataset])
        noise[dataset] = function(source, mu[dataset], sd[dataset], **own, **settings)
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
