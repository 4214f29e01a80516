r"""Noise families: what sales do beyond their expectation.

A noise kind is a function ``f(rng, mu, sigma, *, parameters)`` that returns ``y - mu`` in one draw
of shape ``(geo, date)``, geo-major, with mean 0 given mu and root-mean-square sd `sigma`, dims
``(geo, 1)``, or ``(geo, date)`` if the sd follows expected sales. Its information is a function
``f(columns, mu, sigma, *, parameters)`` of the derivatives of mu, dims ``(geo, date, column)``. It
returns them in units of noise: their cross product is the Fisher information. Size and shape of the
noise may be unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from mmm_xgen.errors import ConfigError
from mmm_xgen.kernels.domain import Domain, FloatArray, Numbers
from mmm_xgen.kernels.kind import Kind
from mmm_xgen.kernels.registry import Function, Registry, registering

AboveTwo = Annotated[Numbers, Domain(lower=2, open_lower=True)]
Correlation = Annotated[Numbers, Domain(lower=-1, upper=1, open_lower=True, open_upper=True)]


@dataclass(frozen=True, kw_only=True, eq=False)
class NoiseKind(Kind):
    """A noise family; the arguments of `register_noise` explain its fields."""

    needs_positive_mu: bool = False
    follows_mu: bool = False
    from_normal: bool = False
    information: Callable[..., FloatArray]

    @property
    def has_own_sd(self) -> bool:
        """True if the family itself decides how the sd follows expected sales."""
        return self.follows_mu or self.needs_positive_mu


NOISES: Registry[NoiseKind] = Registry("noise")


def gaussian_information(
    columns: FloatArray, mu: FloatArray, sigma: FloatArray, **parameters: Any
) -> FloatArray:
    r"""Information :math:`1 / \sigma^2` of mu; no noise of the same sd has less."""
    return np.asarray(columns / sigma[..., None])


def register_noise(
    name: str,
    *,
    needs_positive_mu: bool = False,
    follows_mu: bool = False,
    from_normal: bool = False,
    information: Callable[..., FloatArray] = gaussian_information,
) -> Callable[[Function], Function]:
    """Register a function as a noise family under `name`.

    Parameters
    ----------
    name : str
        Name for `RegionConfig.noise`.
    needs_positive_mu : bool
        Whether the family only exists for mu above 0.
    follows_mu : bool
        Whether the noise is in proportion to mu.
    from_normal : bool
        Whether the family makes its noise of one array of ``rng.standard_normal(mu.shape)``. Geos
        can then share a part of it.
    information : callable
        Derivatives of mu in units of noise, whose cross product is the Fisher information; that
        of a Gaussian, which knows least, by default.

    Raises
    ------
    ConfigError
        If the name is taken, or an argument has one that the Dataset uses itself.

    Examples
    --------
    >>> import numpy as np
    >>> @register_noise("uniform_noise")
    ... def uniform_noise(rng, mu, sigma):
    ...     return sigma * np.sqrt(3) * rng.uniform(-1, 1, mu.shape)
    >>> NOISES["uniform_noise"].needs_positive_mu
    False
    >>> NOISES.remove("uniform_noise")
    """
    return registering(
        NOISES,
        NoiseKind.of,
        name,
        family="noise_",
        needs_positive_mu=needs_positive_mu,
        follows_mu=follows_mu,
        from_normal=from_normal,
        information=information,
    )


def level_weights(mu: FloatArray, power: float) -> FloatArray:
    r"""Return the sd of the noise relative to its root mean square, where it follows the level.

    .. math:: w_t = \frac{(\mu_t / \bar\mu)^p}{\sqrt{\overline{(\mu / \bar\mu)^{2p}}}}

    Parameters
    ----------
    mu : array, dims (..., date)
        Expected sales, above 0 where the power is not 0.
    power : float
        Power p: 0 for a constant sd, 1 for an sd in proportion to expected sales.

    Returns
    -------
    array, dims (..., date)
    """
    weights = (mu / mu.mean(axis=-1, keepdims=True)) ** power
    return np.asarray(weights / np.sqrt(np.mean(weights**2, axis=-1, keepdims=True)))


@register_noise("gaussian", from_normal=True)
def gaussian(rng: np.random.Generator, mu: FloatArray, sigma: FloatArray) -> FloatArray:
    """Normal noise with standard deviation `sigma`."""
    return sigma * rng.standard_normal(mu.shape)


def _student_t_information(
    columns: FloatArray, mu: FloatArray, sigma: FloatArray, *, degrees_of_freedom: FloatArray
) -> FloatArray:
    r"""Information :math:`\frac{\nu + 1}{\nu + 3} \frac{\nu}{\nu - 2} / \sigma^2`."""
    degrees = degrees_of_freedom[..., None]
    # The scale is sigma sqrt((nu - 2) / nu).
    gain = (degrees + 1) / (degrees + 3) * degrees / (degrees - 2)
    return np.asarray(gaussian_information(columns, mu, sigma) * np.sqrt(gain))


@register_noise("student_t", information=_student_t_information)
def student_t(
    rng: np.random.Generator,
    mu: FloatArray,
    sigma: FloatArray,
    *,
    degrees_of_freedom: Annotated[AboveTwo, "degrees of freedom"] = 4.0,
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


def _log_variance(mu: FloatArray, sigma: FloatArray) -> FloatArray:
    """Variance of log sales, dims (geo, 1)."""
    return np.asarray(np.log1p(sigma**2 / np.mean(mu**2, axis=-1, keepdims=True)))


def _lognormal_information(columns: FloatArray, mu: FloatArray, sigma: FloatArray) -> FloatArray:
    r"""Information :math:`1 / (s^2 \mu^2)`, less what an unknown s costs.

    The mean correction :math:`-s^2 / 2` moves log sales with s, so that s is not orthogonal to mu,
    and is taken out as a nuisance: with :math:`a_t = J_t / (s \mu_t)` the information is
    :math:`\sum a a^\top - \frac{s^2}{n (2 + s^2)} \sum a \sum a^\top`.
    """
    variance = _log_variance(mu, sigma)[..., None]
    whitened = columns / (np.sqrt(variance) * mu[..., None])
    # The square root of 1 - c 11' is 1 - k 11'.
    share = 1 - np.sqrt(1 - variance / (2 + variance))
    return np.asarray(whitened - share * whitened.mean(axis=1, keepdims=True))


@register_noise(
    "lognormal",
    needs_positive_mu=True,
    follows_mu=True,
    from_normal=True,
    information=_lognormal_information,
)
def lognormal(rng: np.random.Generator, mu: FloatArray, sigma: FloatArray) -> FloatArray:
    r"""Multiplicative noise :math:`\mu (e^{s z - s^2 / 2} - 1)`, of mean 0."""
    variance = _log_variance(mu, sigma)
    z = rng.standard_normal(mu.shape)
    return np.asarray(mu * np.expm1(np.sqrt(variance) * z - variance / 2))


def _dispersion(mu: FloatArray, excess: FloatArray) -> FloatArray:
    """Dispersion r of counts whose variance exceeds their mean by `excess`, dims (geo, 1)."""
    return np.asarray(np.mean(mu**2, axis=-1, keepdims=True) / excess)


def _negative_binomial_information(
    columns: FloatArray, mu: FloatArray, sigma: FloatArray
) -> FloatArray:
    r"""Information :math:`1 / (\mu + \mu^2 / r)`."""
    dispersion = _dispersion(mu, sigma**2 - mu.mean(axis=-1, keepdims=True))
    return np.asarray(columns / np.sqrt(mu + mu**2 / dispersion)[..., None])


@register_noise(
    "negative_binomial", needs_positive_mu=True, information=_negative_binomial_information
)
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
    dispersion = _dispersion(mu, excess)
    try:
        counts = rng.negative_binomial(dispersion, dispersion / (dispersion + mu))
    except ValueError as error:
        raise ConfigError(
            f"counts of mean {mu.min():.4g} to {mu.max():.4g} cannot be drawn ({error}); use "
            "gaussian noise, or geos of comparable size",
            path="regions.noise",
        ) from None
    return np.asarray(counts - mu)


def _ar1_information(
    columns: FloatArray, mu: FloatArray, sigma: FloatArray, *, autocorrelation: FloatArray
) -> FloatArray:
    r"""Precision :math:`R^{-1} / \sigma^2` of a stationary AR(1)."""
    kept = autocorrelation[..., None]
    whitened = gaussian_information(columns, mu, sigma)
    fresh = (whitened[:, 1:] - kept * whitened[:, :-1]) / np.sqrt((1 - kept) * (1 + kept))
    return np.asarray(np.concatenate([whitened[:, :1], fresh], axis=1))


@register_noise("ar1", from_normal=True, information=_ar1_information)
def ar1(
    rng: np.random.Generator,
    mu: FloatArray,
    sigma: FloatArray,
    *,
    autocorrelation: Annotated[Correlation, "correlation with the period before"] = 0.5,
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
    return accumulated(series, kept)


def accumulated(series: FloatArray, kept: FloatArray) -> FloatArray:
    r"""Sum over all earlier periods, :math:`s_t = \rho s_{t-1} + x_t`, in place.

    Parameters
    ----------
    series : array, dims (..., date)
        What each period adds; it is overwritten.
    kept : array, dims (..., 1)
        Share that is left after one period.
    """
    # Its reach doubles: log2(n) passes, no loop over dates.
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
