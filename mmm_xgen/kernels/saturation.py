r"""Saturation: the diminishing response to carried-over spend.

A saturation kind is a function ``f(x, *, parameters)`` of the carry-over in spend units that
returns the response, with ``f(0) = 0``. `x` has dims ``(..., date)``, the parameters a last axis
of length 1. A curve should take complex numbers, too: exact derivatives are complex steps, and a
curve through which they do not come out right, which is tried, is differentiated numerically. At
zero spend a complex step means the slope from the right. The library multiplies the response
with the effect of the channel. Names, parameters and formulas are PyMC-Marketing's
(`pymc_marketing.mmm.transformers`, release 1.3), and so are the values to 1e-12 of the largest.
Curves that PyMC-Marketing does not have come last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, TypeAlias

import numpy as np

from mmm_xgen.errors import ConfigError
from mmm_xgen.kernels.domain import (
    POSITIVE,
    Fixed,
    FloatArray,
    OpenShare,
    Positive,
    PositivePerSpend,
    PositiveSpend,
    Unit,
)
from mmm_xgen.kernels.kind import (
    HALF_NORMAL,
    Parameter,
    TransformKind,
    carries_derivatives,
    defaults_of,
)
from mmm_xgen.kernels.registry import Function, Registry, registering
from mmm_xgen.schema import KPI

LOG_3 = math.log(3)
LIMIT = "limit: the effect"
LARGEST_POWER = 700.0
# Odds against the logistic function at 0.7, where the sigmoid curve begins.
SIGMOID_ODDS = math.exp(-0.7)
# An infinite slope: infinity itself would become NaN in complex products and beside no effect.
STEEPEST = 1e250
# Carry-over at which a curve is tried: below, about and above its parameters.
SAMPLES = np.array([0.37, 2.3, 910.0])

# Parameters by name: arrays, or DataArrays.
Values: TypeAlias = dict[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class SaturationKind(TransformKind):
    """A saturation curve; the arguments of `register_saturation` explain its fields."""

    amplitude: str | None = None
    over_amplitude: str | None = None
    beta_meaning: str = "the effect"
    constants: Mapping[str, float] = field(default_factory=dict)
    to_component: Callable[[Mapping[str, float]], dict[str, float]] | None = None
    rescale: Callable[[Values, Any], Values] | None = None

    def __post_init__(self) -> None:
        """Refuse a second meaning of beta, and a curve that responds to no spend."""
        if self.amplitude is None and "beta" in self.parameters:
            raise ConfigError(
                f"{self.function.__name__}: an argument may not be called 'beta', as which the "
                "Dataset shows the effect; choose another name, or pass amplitude='beta' if it "
                "multiplies the whole curve"
            )
        super().__post_init__()
        at_zero = self.function(np.zeros(1), **defaults_of(self.parameters, 1.0))
        response = float(np.asarray(at_zero).ravel()[0])
        if not abs(response) <= 1e-12:
            raise ConfigError(
                f"the saturation {self.name!r} is {response:g} at zero spend; subtract that, so "
                "that a channel without spend contributes nothing"
            )

    @property
    def amplitude_name(self) -> str:
        """Parameter that scales the whole curve."""
        return self.amplitude or "beta"

    @property
    def shown(self) -> dict[str, Parameter]:
        """Parameters of the component: those of the curve, and its amplitude."""
        if self.amplitude is not None:
            return dict(self.parameters)
        beta = Parameter(POSITIVE, units=KPI, meaning=self.beta_meaning)
        return {**self.parameters, "beta": beta}

    def of_unit_amplitude(self, values: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """Arguments of the function for a curve of amplitude 1, from the component's parameters."""
        own = {name: values[name] for name in self.parameters}
        if self.over_amplitude:
            size = values[self.amplitude_name]
            # A placebo has no amplitude, and the parameter stands as it is.
            own[self.over_amplitude] = own[self.over_amplitude] * np.where(size == 0, 1, size)
        if self.amplitude:
            own[self.amplitude] = np.ones((1, 1, 1))
        return own

    @cached_property
    def takes_complex(self) -> bool:
        """True if complex numbers carry derivatives through the curve, tried at its defaults."""
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
    beta_meaning: str = "the effect",
    component: str = "",
    priors: Mapping[str, Any] | None = None,
    constants: Mapping[str, float] | None = None,
    to_component: Callable[[Mapping[str, float]], dict[str, float]] | None = None,
    rescale: Callable[[Values, Any], Values] | None = None,
) -> Callable[[Function], Function]:
    """Register a function as a saturation curve under `name`.

    Parameters
    ----------
    name : str
        Name for `TransformConfig.saturation_fun`.
    amplitude : str, optional
        Parameter that multiplies the whole curve, if the curve has one.
    over_amplitude : str, optional
        Parameter that is divided by whatever multiplies the amplitude, so that the point of
        saturation stays where it is.
    beta_meaning : str
        Meaning of ``saturation_beta``, the amplitude of a curve that has none of its own.
    component : str, optional
        Class of `pymc_marketing.mmm` with the same curve and parameters, amplitude included.
    priors : mapping of str to tuple, optional
        Default prior of each parameter: ``("half_normal",)``, ``("gamma", shape)`` or
        ``("beta", a, b)``.
    constants : mapping of str to float, optional
        Parameters that the component does not have, as it fixes them at these values.
    to_component : callable, optional
        Takes the configured parameters, and returns those of the same curve that the Dataset
        shall show, as the component has them.
    rescale : callable, optional
        Takes the component's parameters by name and the ratio by which the unit of spend
        grows. They are rescaled already by their annotations (`PositiveSpend`); it returns
        them with what else changes.

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
    return registering(
        SATURATIONS,
        SaturationKind.of,
        name,
        family="saturation_",
        amplitude=amplitude,
        over_amplitude=over_amplitude,
        beta_meaning=beta_meaning,
        component=component,
        priors=priors or {},
        constants=constants or {},
        to_component=to_component,
        rescale=rescale,
    )


def _first_order(x: FloatArray, exponent: Any, scale: Any) -> FloatArray:
    """(x / scale)**exponent to first order in a complex step from zero spend, 0 elsewhere."""
    exponent = np.real(exponent)
    slope = np.where(exponent == 1, 1 / np.real(scale), np.where(exponent < 1, STEEPEST, 0.0))
    return np.asarray(np.where(np.real(x) == 0, x, 0.0) * slope)


@register_saturation(
    "hill_function",
    beta_meaning=LIMIT,
    component="HillSaturation",
    priors={"slope": HALF_NORMAL, "kappa": HALF_NORMAL, "beta": HALF_NORMAL},
)
def hill_function(
    x: FloatArray,
    *,
    slope: Annotated[Positive, "steepness; S-shaped above 1"] = 1.0,
    kappa: Annotated[PositiveSpend, "half-saturation"] = 1.0,
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
            # NumPy takes much longer for the power of infinity than for that of a number.
            no_spend = np.equal(x, 0)
            np.copyto(curve, 1.0, where=no_spend)
            np.power(curve, slope, out=curve)
            np.copyto(curve, np.inf, where=no_spend)
        curve += 1
        return np.reciprocal(curve, out=curve)


@register_saturation(
    "logistic_saturation",
    beta_meaning=LIMIT,
    component="LogisticSaturation",
    priors={"lam": ("gamma", 3), "beta": HALF_NORMAL},
)
def logistic_saturation(
    x: FloatArray,
    *,
    lam: Annotated[PositivePerSpend, "efficiency; half-saturation is at log(3) / lam"] = 1.0,
) -> FloatArray:
    r"""Logistic curve: :math:`(1 - e^{-\lambda x}) / (1 + e^{-\lambda x})`."""
    return np.tanh(np.multiply(lam, x) / 2)


def _with_eps_of_component(values: Mapping[str, float]) -> dict[str, float]:
    """Only eps / lam matters, and PyMC-Marketing's component has log 3 for eps."""
    return {"lam": values["lam"] * LOG_3 / values["eps"], "eps": LOG_3}


def _without_eps(values: Values, ratio: Any) -> Values:
    """`lam` takes up an eps that is not the component's, which then is not a parameter."""
    return {"lam": values["lam"] * (LOG_3 / values["eps"]), "beta": values["beta"]}


@register_saturation(
    "inverse_scaled_logistic_saturation",
    beta_meaning=LIMIT,
    component="InverseScaledLogisticSaturation",
    priors={"lam": ("gamma", 0.5), "beta": HALF_NORMAL},
    constants={"eps": LOG_3},
    to_component=_with_eps_of_component,
    rescale=_without_eps,
)
def inverse_scaled_logistic_saturation(
    x: FloatArray,
    *,
    lam: Annotated[PositiveSpend, "half-saturation"] = 1.0,
    eps: Annotated[Positive, "log 3, as in PyMC-Marketing's component", Fixed()] = LOG_3,
) -> FloatArray:
    r"""Logistic curve with :math:`\lambda` = eps / `lam`: half of 1 at `lam` if eps is log 3."""
    return logistic_saturation(x, lam=np.asarray(eps) / lam)


@register_saturation(
    "michaelis_menten",
    amplitude="alpha",
    component="MichaelisMentenSaturation",
    priors={"alpha": ("gamma", 4), "lam": HALF_NORMAL},
)
def michaelis_menten(
    x: FloatArray,
    *,
    alpha: Annotated[Positive, "limit, effect included", Unit(KPI)] = 1.0,
    lam: Annotated[PositiveSpend, "half-saturation"] = 1.0,
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


@register_saturation(
    "hill_saturation_sigmoid",
    amplitude="sigma",
    component="HillSaturationSigmoid",
    priors={"sigma": HALF_NORMAL, "beta": HALF_NORMAL, "lam": HALF_NORMAL},
)
def hill_saturation_sigmoid(
    x: FloatArray,
    *,
    sigma: Annotated[Positive, "amplitude, effect included", Unit(KPI)] = 1.0,
    beta: Annotated[PositivePerSpend, "steepness"] = 2.0,
    lam: Annotated[PositiveSpend, "turning point"] = 1.0,
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


@register_saturation(
    "tanh_saturation",
    amplitude="b",
    over_amplitude="c",
    component="TanhSaturation",
    priors={"b": HALF_NORMAL, "c": HALF_NORMAL},
)
def tanh_saturation(
    x: FloatArray,
    *,
    b: Annotated[Positive, "limit, effect included", Unit(KPI)] = 1.0,
    c: Annotated[PositiveSpend, "cost of the first KPI unit", Unit(f"spend unit / {KPI}")] = 1.0,
) -> FloatArray:
    r"""Hyperbolic tangent with limit `b` and slope 1 / `c` at 0: :math:`b \tanh(x / (b c))`."""
    return np.asarray(b * np.tanh(x / np.multiply(b, c)))


@register_saturation(
    "tanh_saturation_baselined",
    component="TanhSaturationBaselined",
    priors={"x0": HALF_NORMAL, "gain": HALF_NORMAL, "r": ("beta", 2, 3), "beta": HALF_NORMAL},
)
def tanh_saturation_baselined(
    x: FloatArray,
    *,
    x0: Annotated[PositiveSpend, "reference spend"] = 1.0,
    gain: Annotated[PositivePerSpend, "return at the reference spend, before the effect"] = 1.0,
    r: Annotated[OpenShare, "share of the limit reached at the reference spend"] = 0.5,
) -> FloatArray:
    r"""Hyperbolic tangent through a reference point, :math:`f(x_0) = g\, x_0`.

    .. math:: f(x) = \frac{g\, x_0}{r} \tanh\left(\frac{x}{x_0} \tanh^{-1} r\right)
    """
    amplitude = np.asarray(gain) * x0 / r
    return np.asarray(amplitude * np.tanh(x * (np.arctanh(r) / x0)))


def _root_in_beta(values: Values, ratio: Any) -> Values:
    """``(s x)**alpha = s**alpha * x**alpha``: a power curve has no point of saturation."""
    return {**values, "beta": values["beta"] * ratio ** values["alpha"]}


@register_saturation(
    "root_saturation",
    component="RootSaturation",
    priors={"alpha": ("beta", 1, 2), "beta": ("gamma", 1)},
    rescale=_root_in_beta,
)
def root_saturation(x: FloatArray, *, alpha: Annotated[Positive, "exponent"] = 0.5) -> FloatArray:
    r"""Power curve :math:`x^\alpha`, 0 below zero."""
    positive = np.real(x) > 0
    at_zero = _first_order(x, alpha, 1.0) if np.iscomplexobj(x) else 0.0
    return np.where(positive, np.where(positive, x, 1.0) ** np.asarray(alpha), at_zero)


def _same_unit(values: Values, ratio: Any) -> Values:
    """``log(1 + s x)`` is no ``log(1 + x)``."""
    ratios = np.asarray(ratio).ravel()
    if not np.allclose(ratios, 1, rtol=1e-12, atol=0):
        raise ConfigError(
            f"found channel_scale / spend_unit = {ratios[np.argmax(np.abs(ratios - 1))]:g} with "
            "log_saturation, allowed: 1, as log(1 + x) of scaled spend is another curve; fix the "
            "model's channel scale at the spend unit (geos of different size share it under "
            "geo_response='common')",
            path="channel_scale",
        )
    return values


@register_saturation(
    "log_saturation",
    component="LogSaturation",
    priors={"beta": HALF_NORMAL},
    rescale=_same_unit,
)
def log_saturation(x: FloatArray) -> FloatArray:
    r"""Logarithmic curve :math:`\log(1 + x)`."""
    if np.iscomplexobj(x):
        # NumPy's complex log1p loses the digits of a small value; a complex step leaves it alone.
        return np.asarray(np.log1p(np.real(x)) + 1j * np.imag(np.log1p(x)))
    return np.log1p(x)


@register_saturation(
    "no_saturation",
    component="NoSaturation",
    priors={"beta": HALF_NORMAL},
    rescale=lambda values, ratio: {"beta": values["beta"] * ratio},
)
def no_saturation(x: FloatArray) -> FloatArray:
    """Constant returns: the response is the carry-over itself."""
    return np.add(x, 0.0)


@register_saturation("sigmoid_saturation", amplitude="asymptote")
def sigmoid_saturation(
    x: FloatArray,
    *,
    asymptote: Annotated[Positive, "limit, effect included", Unit(KPI)] = 1.0,
    slope: Annotated[PositivePerSpend, "slope at zero spend, as a share of the limit"] = 1.0,
) -> FloatArray:
    r"""Logistic curve from its point 0.7 on, where it is concave.

    With the logistic function S and :math:`q = e^{-0.7}`,

    .. math:: f(x) = a\, \frac{S(0.7 + z) - S(0.7)}{1 - S(0.7)}
              = a\, \frac{1 - e^{-z}}{1 + q e^{-z}}, \quad z = (1 + q)\, \text{slope}\, x

    The second form keeps its digits at little spend. The slope at 0 is slope times asymptote.
    """
    distance = (1 + SIGMOID_ODDS) * np.asarray(slope) * x
    return np.asarray(asymptote * -np.expm1(-distance) / (1 + SIGMOID_ODDS * np.exp(-distance)))


@register_saturation("polynomial_saturation", beta_meaning=LIMIT)
def polynomial_saturation(
    x: FloatArray, *, top: Annotated[PositiveSpend, "spend at the top of the curve"] = 2.0
) -> FloatArray:
    r"""Parabola that rises to 1 at its top and stays there: :math:`u (2 - u)`, u = x / top."""
    share = np.asarray(x) / top
    return np.asarray(np.where(np.real(share) < 1, share * (2 - share), 1.0))


@register_saturation("piecewise_linear_saturation", beta_meaning=LIMIT)
def piecewise_linear_saturation(
    x: FloatArray,
    *,
    knot: Annotated[PositiveSpend, "end of the first line"] = 1.0,
    share: Annotated[OpenShare, "share of the limit reached at the knot"] = 0.6,
    decay: Annotated[OpenShare, "slope after the knot relative to the slope before it"] = 0.4,
) -> FloatArray:
    r"""Two rising lines and a flat one: :math:`\min(s u, s + d s (u - 1), 1)`, u = x / knot."""
    rise = share * (np.asarray(x) / knot)
    # NumPy compares complex numbers by their real parts first, so derivatives stay.
    return np.minimum(np.minimum(rise, share + np.asarray(decay) * (rise - share)), 1.0)


@register_saturation("threshold_saturation", beta_meaning=LIMIT)
def threshold_saturation(
    x: FloatArray,
    *,
    threshold: Annotated[PositiveSpend, "spend that sells nothing yet"] = 0.5,
    kappa: Annotated[PositiveSpend, "half-saturation of the spend above the threshold"] = 1.0,
) -> FloatArray:
    r"""Michaelis-Menten curve above a threshold: :math:`u / (\kappa + u), u = (x - t)^+`."""
    above = np.maximum(x - np.asarray(threshold), 0.0)
    return np.asarray(above / (kappa + above))
