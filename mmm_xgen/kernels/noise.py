r"""Noise families: what sales do beyond their expectation.

A noise kind is a function ``f(rng, mu, sigma, *, parameters)`` that returns ``y - mu`` in one draw
of shape ``(geo, date)``, geo-major, with mean 0 given mu and root-mean-square sd `sigma`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import numpy as np

from mmm_xgen.errors import ConfigError
from mmm_xgen.kernels.domain import Domain, FloatArray, Numbers
from mmm_xgen.kernels.kind import Kind, signature_of
from mmm_xgen.kernels.registry import Registry

Family = TypeVar("Family", bound=Callable[..., Any])

AboveTwo = Annotated[Numbers, Domain(lower=2, open_lower=True)]
Correlation = Annotated[Numbers, Domain(lower=-1, upper=1, open_lower=True, open_upper=True)]


@dataclass(frozen=True, kw_only=True, eq=False)
class NoiseKind(Kind):
    """A noise family; `needs_positive_mu` marks those that only exist for mu above 0."""

    needs_positive_mu: bool = False


NOISES: Registry[NoiseKind] = Registry("noise")


def register_noise(name: str, *, needs_positive_mu: bool = False) -> Callable[[Family], Family]:
    """Register a function as a noise family under `name`."""

    def register(function: Family) -> Family:
        parameters, settings = signature_of(function, "noise_")
        kind = NoiseKind(
            name=name,
            function=function,
            parameters=parameters,
            settings=settings,
            needs_positive_mu=needs_positive_mu,
        )
        NOISES.add(name, kind)
        return function

    return register


@register_noise("gaussian")
def gaussian(rng: np.random.Generator, mu: FloatArray, sigma: FloatArray) -> FloatArray:
    """Normal noise with standard deviation `sigma`."""
    return sigma * rng.standard_normal(mu.shape)


@register_noise("student_t")
def student_t(
    rng: np.random.Generator,
    mu: FloatArray,
    sigma: FloatArray,
    *,
    degrees_of_freedom: AboveTwo = 4.0,
) -> FloatArray:
    """Heavy-tailed noise of Student's t distribution, scaled to standard deviation `sigma`.

    Parameters
    ----------
    degrees_of_freedom : float
        Degrees of freedom of the t distribution. Small values give heavy tails.
    """
    degrees = np.asarray(degrees_of_freedom)
    scale = sigma * np.sqrt((degrees - 2) / degrees)
    return np.asarray(scale * rng.standard_t(degrees, mu.shape))


@register_noise("lognormal", needs_positive_mu=True)
def lognormal(rng: np.random.Generator, mu: FloatArray, sigma: FloatArray) -> FloatArray:
    r"""Multiplicative noise :math:`\mu (e^{s z - s^2 / 2} - 1)`, of mean 0."""
    variance = np.log1p(sigma**2 / np.mean(mu**2, axis=-1, keepdims=True))
    z = rng.standard_normal(mu.shape)
    return np.asarray(mu * np.expm1(np.sqrt(variance) * z - variance / 2))


@register_noise("negative_binomial", needs_positive_mu=True)
def negative_binomial(rng: np.random.Generator, mu: FloatArray, sigma: FloatArray) -> FloatArray:
    r"""Counts of mean mu and variance :math:`\mu + \mu^2 / r`, r such that the sd is `sigma`."""
    mean = mu.mean(axis=-1, keepdims=True)
    excess = sigma**2 - mean
    if np.any(excess <= 0):
        geo = int(np.argmin(excess))
        raise ConfigError(
            f"found a noise sd of {sigma.ravel()[geo]:.4g} for counts of mean "
            f"{mean.ravel()[geo]:.4g}, allowed: above {np.sqrt(mean.ravel()[geo]):.4g}, "
            "the sd of Poisson counts",
            path="regions.noise",
        )
    dispersion = np.mean(mu**2, axis=-1, keepdims=True) / excess
    try:
        counts = rng.negative_binomial(dispersion, dispersion / (dispersion + mu))
    except ValueError as error:
        raise ConfigError(
            f"counts of mean {mu.min():.4g} to {mu.max():.4g} cannot be drawn ({error}); use "
            "gaussian noise, or geos of comparable size",
            path="regions.noise",
        ) from None
    return np.asarray(counts - mu)


@register_noise("ar1")
def ar1(
    rng: np.random.Generator,
    mu: FloatArray,
    sigma: FloatArray,
    *,
    autocorrelation: Correlation = 0.5,
) -> FloatArray:
    """Normal noise with standard deviation `sigma` that is correlated over time, stationary AR(1).

    Parameters
    ----------
    autocorrelation : float, correlation
        Correlation of the noise of neighbouring periods.
    """
    return sigma * autoregressive(rng.standard_normal(mu.shape), autocorrelation)


def autoregressive(normal: FloatArray, autocorrelation: Numbers) -> FloatArray:
    r"""Stationary AR(1) series of unit variance: :math:`z_t = \rho z_{t-1} + \sqrt{1-\rho^2} e_t`.

    Parameters
    ----------
    normal : array, dims (..., date)
        Standard normal innovations.
    autocorrelation : float or array, dims (..., 1)
        Correlation of neighbouring periods, in (-1, 1).

    Returns
    -------
    array, dims (..., date)
    """
    kept = np.asarray(autocorrelation, dtype=float)
    series = np.array(normal)
    if not kept.any():
        return series
    series[..., 1:] *= np.sqrt((1 - kept) * (1 + kept))
    # A sum over all earlier periods by doubling its reach: log2(n) passes, no loop over dates.
    reach = 1
    while reach < series.shape[-1]:
        weight = kept**reach
        # Beyond a weight of 1e-18 nothing is left to add, however long other series remember.
        faded = np.abs(weight) <= 1e-18
        if faded.all():
            break
        series[..., reach:] += np.where(faded, 0.0, weight) * series[..., :-reach]
        reach *= 2
    return series
