"""Formulas of adstock, curves and events in plain Python, one number at a time.

They come from the documentation and from PyMC-Marketing's, not from the package.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.saturation import SATURATIONS

Number = Callable[[str], float]


def lag_weights(kind: str, length: int, p: Number, *, density: bool) -> list[float]:
    """Weights of the lags before they are scaled; `p` returns a parameter by name."""
    if kind == "no_adstock":
        return [1.0] + [0.0] * (length - 1)
    if kind == "geometric_adstock":
        return [p("alpha") ** lag for lag in range(length)]
    if kind == "delayed_adstock":
        return [p("alpha") ** ((lag - p("theta")) ** 2) for lag in range(length)]
    if kind == "binomial_adstock":
        return [(1 - lag / (length + 1)) ** (1 / p("alpha") - 1) for lag in range(length)]
    if kind == "weibull_adstock":
        return weibull_weights(length, p("lam"), p("k"), density=density)
    if kind == "beta_gamma_adstock":
        heights = [
            lag ** (p("shape") - 1) * math.exp(-p("rate") * lag) for lag in range(1, length + 1)
        ]
        return [height / max(heights) for height in heights]
    return weights_by_the_package(kind, length, p)


def weibull_weights(length: int, scale: float, shape: float, *, density: bool) -> list[float]:
    def survival(lag: int) -> float:
        return math.exp(-((lag / scale) ** shape))

    if density:
        heights = [
            shape / scale * (lag / scale) ** (shape - 1) * survival(lag)
            for lag in range(1, length + 1)
        ]
        low, high = min(heights), max(heights)
        return [(height - low) / (high - low) for height in heights]
    weights = [1.0]
    for lag in range(1, length):
        weights.append(weights[-1] * survival(lag))
    return weights


def curve(kind: str, x: Any, p: Number) -> Any:
    """Curve of amplitude 1 at x, which may be complex; `p` returns a parameter by name."""
    functions: Any = cmath if isinstance(x, complex) else math
    if x == 0:
        return x * 0.0
    if kind == "hill_function":
        return 1 / (1 + (p("kappa") / x) ** p("slope"))
    if kind == "logistic_saturation":
        return functions.tanh(p("lam") * x / 2)
    if kind == "inverse_scaled_logistic_saturation":
        return functions.tanh(math.log(3) / p("lam") * x / 2)
    if kind == "michaelis_menten":
        return x / (p("lam") + x)
    if kind == "hill_saturation_sigmoid":
        rise = 1 / (1 + functions.exp(-p("beta") * (x - p("lam"))))
        return rise - 1 / (1 + math.exp(p("beta") * p("lam")))
    if kind == "tanh_saturation":
        # A placebo has b = 0, and the c of b = 1.
        return functions.tanh(x / ((p("b") or 1.0) * p("c")))
    if kind == "tanh_saturation_baselined":
        turned = x / p("x0") * math.atanh(p("r"))
        return p("gain") * p("x0") / p("r") * functions.tanh(turned)
    if kind == "root_saturation":
        return x ** p("alpha")
    if kind == "log_saturation":
        return functions.log(1 + x)
    if kind == "no_saturation":
        return x
    return curve_by_the_package(kind, x, p)


AMPLITUDES = {
    "michaelis_menten": "alpha",
    "hill_saturation_sigmoid": "sigma",
    "tanh_saturation": "b",
}


def amplitude_name(kind: str) -> str:
    """Name of the parameter that multiplies the curve of amplitude 1."""
    if kind in OLD_CURVES:
        return AMPLITUDES.get(kind, "beta")
    return SATURATIONS[kind].amplitude_name


# ------------------------------------------------------------------ kinds of issue 17

OLD_CURVES = {
    *("hill_function", "logistic_saturation", "inverse_scaled_logistic_saturation"),
    *("michaelis_menten", "hill_saturation_sigmoid", "tanh_saturation"),
    *("tanh_saturation_baselined", "root_saturation", "log_saturation", "no_saturation"),
}


def curve_by_the_package(kind: str, x: Any, p: Number) -> float:
    """Curve of a kind whose formula has tests of its own, at one number.

    SPEC LEFT OPEN: parameters of the new curves. The kernel is a black box here; what is tested is
    where its value goes.
    """
    registered = SATURATIONS[kind]
    names = [name for name in registered.parameters if name != registered.amplitude]
    own = {name: np.array([p(name)]) for name in names}
    if registered.amplitude:
        own[registered.amplitude] = np.ones(1)
    return float(registered.function(np.array([float(x)]), **own)[0])


def weights_by_the_package(kind: str, length: int, p: Number) -> list[float]:
    """Weights of a kind whose formula has tests of its own.

    SPEC LEFT OPEN: parameters of ``beta_gamma_decay``.
    """
    registered = ADSTOCKS[kind]
    own = {name: np.array([p(name)]) for name in registered.parameters}
    lags = np.arange(length, dtype=float)
    return [float(weight) for weight in np.ravel(registered.function(lags, **own))[:length]]


def step(days: float) -> float:
    """Level shift: 0 before the day, 1 from it on."""
    return 1.0 if days >= 0 else 0.0


def dip(days: float, width: float) -> float:
    """Pandemic: a fall over a quarter of the width, a low, and a recovery.

    SPEC LEFT OPEN: the baseline may choose another simple form.
    """
    if days < 0:
        return 0.0
    if days < width / 4:
        return days / (width / 4)
    return 1.0 if days < width else math.exp(-(days - width) / width)
