"""Quantile functions of distributions, from all the forms that users have them in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from mmm_xgen.config.base import shown
from mmm_xgen.errors import ConfigError, nearest
from mmm_xgen.kernels.domain import FloatArray

Quantile: TypeAlias = Callable[[FloatArray], FloatArray]
FORMS = (
    "Uniform(low, high), a frozen scipy.stats distribution, a Prior or its description "
    '{"dist": ..., "kwargs": ...}, or a list of numbers'
)


@dataclass(frozen=True)
class Uniform:
    """Uniform distribution between two numbers.

    Parameters
    ----------
    low, high : float
        Bounds.

    Examples
    --------
    >>> Uniform(0.1, 0.5).ppf([0.0, 0.5])
    array([0.1, 0.3])
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        try:
            fits = bool(np.isfinite([self.low, self.high]).all() and self.low <= self.high)
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise ConfigError(
                f"found Uniform({self.low!r}, {self.high!r}), allowed: two numbers, low up to high"
            )

    def ppf(self, q: ArrayLike) -> FloatArray:
        """Return the quantiles at the probabilities `q`."""
        return self.low + (self.high - self.low) * np.asarray(q, dtype=float)


def is_list_of_numbers(distribution: Any) -> bool:
    """Tell if a distribution is a list of values."""
    return isinstance(distribution, list | tuple | range | np.ndarray)


def listed_values(distribution: Any, path: str) -> FloatArray:
    """Return the values of a list.

    Raises
    ------
    ConfigError
        If the list is empty or holds anything but numbers.
    """
    values = np.asarray(distribution)
    if values.ndim != 1 or not values.size or values.dtype.kind not in "iuf":
        raise ConfigError(f"found {shown(distribution)}, allowed: a list of numbers", path=path)
    return values.astype(float)


def quantile(distribution: Any, path: str) -> Quantile:
    """Return the quantile function of a distribution.

    Raises
    ------
    ConfigError
        If it is not a distribution, or has no quantiles.
    UnknownKindError
        If a description names an unknown distribution.
    """
    if isinstance(distribution, Mapping):
        return quantile(_described(distribution, path), path)
    # A class of distributions has quantiles too, but no parameters yet.
    if callable(getattr(distribution, "ppf", None)) and not isinstance(distribution, type):

        def of_shares(shares: FloatArray) -> FloatArray:
            try:
                return np.asarray(distribution.ppf(shares), dtype=float)
            except (TypeError, ValueError, AttributeError) as error:
                found = shown(distribution)
                raise ConfigError(f"{found} has no quantiles ({error})", path=path) from None

        return of_shares
    if callable(getattr(distribution, "to_dict", None)):
        return quantile(_described(distribution.to_dict(), path), path)
    raise ConfigError(f"found {shown(distribution)}, allowed: {FORMS}", path=path)


def _described(description: Mapping[str, Any], path: str) -> Any:
    """Return a frozen distribution of SciPy, given PyMC's names of it and its parameters."""
    name, arguments = description.get("dist"), dict(description.get("kwargs") or {})
    unknown = sorted(set(description) - {"dist", "kwargs", "dims", "centered"})
    if unknown:
        raise ConfigError(f"found {unknown[0]!r}, allowed: 'dist' and 'kwargs'", path=path)
    if name not in DESCRIBED:
        raise ConfigError(
            f"no distribution is named {name!r}; {nearest(str(name), DESCRIBED)}", path=path
        )
    wrong = [key for key, value in arguments.items() if not isinstance(value, int | float)]
    if wrong:
        found = shown(arguments[wrong[0]])
        raise ConfigError(f"found {found} as {wrong[0]} of {name}, allowed: a number", path=path)
    try:
        return DESCRIBED[name](**arguments)
    except (TypeError, ValueError, ArithmeticError) as error:
        reason = str(error).replace("<lambda>()", str(name)).removeprefix("_")
        raise ConfigError(f"cannot make a {name} of {arguments}: {reason}", path=path) from None


def _scipy(name: str, *arguments: float, **named: float) -> Any:
    from scipy import stats

    return getattr(stats, name)(*arguments, **named)


def _beta(
    alpha: float | None = None,
    beta: float | None = None,
    mu: float | None = None,
    sigma: float | None = None,
) -> Any:
    if mu is not None and sigma is not None:
        size = mu * (1 - mu) / sigma**2 - 1
        alpha, beta = mu * size, (1 - mu) * size
    if alpha is None or beta is None:
        raise TypeError("it needs alpha and beta, or mu and sigma")
    return _scipy("beta", alpha, beta)


def _gamma(
    alpha: float | None = None,
    beta: float | None = None,
    mu: float | None = None,
    sigma: float | None = None,
) -> Any:
    if mu is not None and sigma is not None:
        alpha, beta = (mu / sigma) ** 2, mu / sigma**2
    if alpha is None or beta is None:
        raise TypeError("it needs alpha and beta, or mu and sigma")
    return _scipy("gamma", alpha, scale=1 / beta)


def _truncated_normal(
    mu: float = 0, sigma: float = 1, lower: float = -np.inf, upper: float = np.inf
) -> Any:
    return _scipy("truncnorm", (lower - mu) / sigma, (upper - mu) / sigma, loc=mu, scale=sigma)


# Distributions by PyMC's names; their arguments are PyMC's parameters.
DESCRIBED: dict[str, Callable[..., Any]] = {
    "Beta": _beta,
    "DiscreteUniform": lambda lower, upper: _scipy("randint", lower, upper + 1),
    "Exponential": lambda lam: _scipy("expon", scale=1 / lam),
    "Gamma": _gamma,
    "HalfCauchy": lambda beta: _scipy("halfcauchy", scale=beta),
    "HalfNormal": lambda sigma=1: _scipy("halfnorm", scale=sigma),
    "InverseGamma": lambda alpha, beta=1: _scipy("invgamma", alpha, scale=beta),
    "Laplace": lambda mu, b: _scipy("laplace", loc=mu, scale=b),
    "LogNormal": lambda mu=0, sigma=1: _scipy("lognorm", sigma, scale=np.exp(mu)),
    "Normal": lambda mu=0, sigma=1: _scipy("norm", loc=mu, scale=sigma),
    "StudentT": lambda nu, mu=0, sigma=1: _scipy("t", nu, loc=mu, scale=sigma),
    "TruncatedNormal": _truncated_normal,
    "Uniform": lambda lower=0, upper=1: Uniform(lower, upper),
    "Weibull": lambda alpha, beta: _scipy("weibull_min", alpha, scale=beta),
}
