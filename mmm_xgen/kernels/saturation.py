r"""Saturation: the diminishing response to carried-over spend.

A saturation kind is a function ``f(x, *, parameters)`` of the carry-over in spend units that
returns the response, with ``f(0) = 0``. `x` has dims ``(..., date)``, the parameters a last axis
of length 1. A curve should take complex numbers, too: exact derivatives are complex steps, and a
curve through which they do not come out right, which is tried, is differentiated numerically. At
zero spend a complex step means the slope from the right. The library multiplies the response
with the effect of the channel. Names, parameters and formulas are PyMC-Marketing's
(`pymc_marketing.mmm.transformers`, release 1.3), and so are the values to 1e-12 of the largest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, TypeVar

import numpy as np

from mmm_xgen.errors import ConfigError
from mmm_xgen.kernels.domain import (
    Fixed,
    FloatArray,
    OpenShare,
    Positive,
    PositivePerSpend,
    PositiveSpend,
)
from mmm_xgen.kernels.kind import Kind, carries_derivatives, defaults_of, signature_of
from mmm_xgen.kernels.registry import Registry

LOG_3 = math.log(3)
LARGEST_POWER = 700.0
# An infinite slope: infinity itself would become NaN in complex products and beside no effect.
STEEPEST = 1e250
# Carry-over at which a curve is tried: below, about and above its parameters.
SAMPLES = np.array([0.37, 2.3, 910.0])

Curve = TypeVar("Curve", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True, eq=False)
class SaturationKind(Kind):
    """A saturation curve.

    `amplitude` names the parameter that scales the whole curve, if there is one; `over_amplitude`
    the parameter that must shrink when the amplitude grows, so that the point of saturation
    stays where it is. `to_component` turns configured values into the same curve in the
    parameters of PyMC-Marketing's component, where that has fewer.
    """

    amplitude: str | None = None
    over_amplitude: str | None = None
    to_component: Callable[[Mapping[str, float]], dict[str, float]] | None = None

    @cached_property
    def takes_complex(self) -> bool:
        """Whether complex numbers carry derivatives through the curve, tried at its defaults."""
        names = self.parameters
        return carries_derivatives(
            lambda x, *values: self.function(x, **dict(zip(names, values, strict=True))),
            SAMPLES,
            *defaults_of(names, 1.0).values(),
        )


SATURATIONS: Registry[SaturationKind] = Registry("saturation")


def register_saturation(
    name: str,
    *,
    amplitude: str | None = None,
    over_amplitude: str | None = None,
    to_component: Callable[[Mapping[str, float]], dict[str, float]] | None = None,
) -> Callable[[Curve], Curve]:
    """Register a function as a saturation curve under `name`.

    Parameters
    ----------
    name : str
        Name for `TransformConfig.saturation_fun`.
    amplitude : str, optional
        Parameter that multiplies the whole curve, if the curve has one.
    over_amplitude : str, optional
        Parameter that is divided by whatever multiplies the amplitude.
    to_component : callable, optional
        The same curve in the parameters that the Dataset shall show.

    Raises
    ------
    ConfigError
        If the name is taken, if the curve is not 0 at zero spend, or if the name of an argument
        means something else in the Dataset.

    Notes
    -----
    Marginal returns are exact if NumPy carries a complex `x` and complex parameters through the
    curve. What loses the imaginary part, such as ``np.asarray(x, dtype=float)``, ``x.real`` or
    ``np.abs(x)``, is found by comparison with a central difference, at the defaults of the
    curve's parameters; truth is then a central difference (some 9 digits).

    Examples
    --------
    >>> import numpy as np
    >>> @register_saturation("square_root")
    ... def square_root(x, *, scale: float = 1.0):
    ...     return np.sqrt(x / scale)
    >>> SATURATIONS["square_root"].keys
    ['scale']
    >>> SATURATIONS.remove("square_root")
    """

    def register(function: Curve) -> Curve:
        parameters, settings = signature_of(function, "saturation_")
        if amplitude is None and "beta" in parameters:
            raise ConfigError(
                f"{function.__name__}: an argument may not be called 'beta', as which the Dataset "
                "shows the effect; choose another name, or pass amplitude='beta' if it multiplies "
                "the whole curve"
            )
        kind = SaturationKind(
            name=name,
            function=function,
            parameters=parameters,
            settings=settings,
            amplitude=amplitude,
            over_amplitude=over_amplitude,
            to_component=to_component,
        )
        _reject_response_without_spend(kind)
        SATURATIONS.add(name, kind)
        return function

    return register


def _reject_response_without_spend(kind: SaturationKind) -> None:
    """Refuse a curve with f(0) != 0: without spend there is nothing to attribute."""
    defaults = defaults_of(kind.parameters, 1.0)
    at_zero = float(np.asarray(kind.function(np.zeros(1), **defaults)).ravel()[0])
    if not abs(at_zero) <= 1e-12:
        raise ConfigError(
            f"the saturation {kind.name!r} is {at_zero:g} at zero spend; subtract that, so that "
            "a channel without spend contributes nothing"
        )


def _first_order(x: FloatArray, exponent: Any, scale: Any) -> FloatArray:
    """(x / scale)**exponent to first order in a complex step from zero spend, 0 elsewhere."""
    exponent = np.real(exponent)
    slope = np.where(exponent == 1, 1 / np.real(scale), np.where(exponent < 1, STEEPEST, 0.0))
    return np.asarray(np.where(np.real(x) == 0, x, 0.0) * slope)


@register_saturation("hill_function")
def hill_function(
    x: FloatArray, *, slope: Positive = 1.0, kappa: PositiveSpend = 1.0
) -> FloatArray:
    r"""Hill curve, half of 1 at `kappa`: :math:`x^s / (\kappa^s + x^s)`, 0 below zero."""
    slope = np.asarray(slope)
    if np.iscomplexobj(x) or np.iscomplexobj(slope) or np.iscomplexobj(kappa):
        positive = np.real(x) > 0
        power = slope * (np.log(kappa) - np.log(np.where(positive, x, 1.0)))
        # Where e**power has no number, the curve is 1 / e**power.
        is_large = np.real(power) > LARGEST_POWER
        curve = 1 / (1 + np.exp(np.where(is_large, 0.0, power)))
        if np.any(is_large):
            curve = np.where(is_large, np.exp(-np.where(is_large, power, 0.0)), curve)
        return np.where(positive, curve, _first_order(x, slope, kappa))
    if np.min(x, initial=0.0) < 0:
        x = np.maximum(x, 0.0)
    with np.errstate(divide="ignore", over="ignore"):
        # kappa / x runs to infinity at zero spend, and its reciprocal to the right limit, 0.
        curve = np.divide(kappa, x)
        if np.any(slope != 1):
            np.power(curve, slope, out=curve)
        curve += 1
        return np.reciprocal(curve, out=curve)


@register_saturation("logistic_saturation")
def logistic_saturation(x: FloatArray, *, lam: PositivePerSpend = 1.0) -> FloatArray:
    r"""Logistic curve: :math:`(1 - e^{-\lambda x}) / (1 + e^{-\lambda x})`."""
    return np.tanh(np.multiply(lam, x) / 2)


def _with_eps_of_component(values: Mapping[str, float]) -> dict[str, float]:
    """Only eps / lam matters, and PyMC-Marketing's component has log 3 for eps."""
    return {"lam": values["lam"] * LOG_3 / values["eps"], "eps": LOG_3}


@register_saturation("inverse_scaled_logistic_saturation", to_component=_with_eps_of_component)
def inverse_scaled_logistic_saturation(
    x: FloatArray, *, lam: PositiveSpend = 1.0, eps: Annotated[Positive, Fixed()] = LOG_3
) -> FloatArray:
    r"""Logistic curve with :math:`\lambda` = eps / `lam`: half of 1 at `lam` if eps is log 3."""
    return logistic_saturation(x, lam=np.asarray(eps) / lam)


@register_saturation("michaelis_menten", amplitude="alpha")
def michaelis_menten(
    x: FloatArray, *, alpha: Positive = 1.0, lam: PositiveSpend = 1.0
) -> FloatArray:
    r"""Michaelis-Menten curve, half of `alpha` at `lam`: :math:`\alpha x / (\lambda + x)`."""
    return np.asarray(alpha * x / (lam + x))


def _falling_logistic(x: FloatArray) -> FloatArray:
    """1 / (1 + e**x); a complex infinity would have no reciprocal, so there it never arises."""
    if not np.iscomplexobj(x):
        with np.errstate(over="ignore"):
            return np.asarray(1 / (1 + np.exp(x)))
    is_positive = np.real(x) > 0
    faded = np.exp(np.where(is_positive, -x, x))
    return np.asarray(np.where(is_positive, faded, 1.0) / (1 + faded))


@register_saturation("hill_saturation_sigmoid", amplitude="sigma")
def hill_saturation_sigmoid(
    x: FloatArray,
    *,
    sigma: Positive = 1.0,
    beta: PositivePerSpend = 2.0,
    lam: PositiveSpend = 1.0,
) -> FloatArray:
    r"""S-curve through the origin: :math:`\sigma / (1 + e^{-\beta (x - \lambda)}) - f_0`.

    At little spend both terms are nearly equal. The product is the same difference and keeps its
    digits:

    .. math:: f(x) = \frac{\sigma (1 - e^{-\beta x})}{(1 + e^{-\beta \lambda})
              (1 + e^{\beta (\lambda - x)})}
    """
    # The curve below zero is that above it, turned around the origin, with -lam for lam.
    is_below = np.real(x) < 0
    side = np.where(is_below, -1.0, 1.0) if np.any(is_below) else 1.0
    rate = side * np.asarray(beta)
    with np.errstate(over="ignore"):
        risen, distance = -np.expm1(-rate * x), rate * (lam - x)
    shares = _falling_logistic(-rate * lam) * _falling_logistic(distance)
    return np.asarray(side * sigma * risen * shares)


@register_saturation("tanh_saturation", amplitude="b", over_amplitude="c")
def tanh_saturation(x: FloatArray, *, b: Positive = 1.0, c: PositiveSpend = 1.0) -> FloatArray:
    r"""Hyperbolic tangent with limit `b` and slope 1 / `c` at 0: :math:`b \tanh(x / (b c))`."""
    return np.asarray(b * np.tanh(x / np.multiply(b, c)))


@register_saturation("tanh_saturation_baselined")
def tanh_saturation_baselined(
    x: FloatArray,
    *,
    x0: PositiveSpend = 1.0,
    gain: PositivePerSpend = 1.0,
    r: OpenShare = 0.5,
) -> FloatArray:
    r"""Hyperbolic tangent through a reference point, :math:`f(x_0) = g\, x_0`.

    .. math:: f(x) = \frac{g\, x_0}{r} \tanh\left(\frac{x}{x_0} \tanh^{-1} r\right)
    """
    amplitude = np.asarray(gain) * x0 / r
    return np.asarray(amplitude * np.tanh(x * (np.arctanh(r) / x0)))


@register_saturation("root_saturation")
def root_saturation(x: FloatArray, *, alpha: Positive = 0.5) -> FloatArray:
    r"""Power curve :math:`x^\alpha`, 0 below zero."""
    positive = np.real(x) > 0
    at_zero = _first_order(x, alpha, 1.0) if np.iscomplexobj(x) else 0.0
    return np.where(positive, np.where(positive, x, 1.0) ** np.asarray(alpha), at_zero)


@register_saturation("log_saturation")
def log_saturation(x: FloatArray) -> FloatArray:
    r"""Logarithmic curve :math:`\log(1 + x)`."""
    if np.iscomplexobj(x):
        # NumPy's complex log1p loses the digits of a small value; a complex step leaves it alone.
        return np.asarray(np.log1p(np.real(x)) + 1j * np.imag(np.log1p(x)))
    return np.log1p(x)


@register_saturation("no_saturation")
def no_saturation(x: FloatArray) -> FloatArray:
    """Constant returns: the response is the carry-over itself."""
    return np.add(x, 0.0)
