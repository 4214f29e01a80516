"""Formulas of adstock, curves and events in plain Python, one number at a time.

They come from the documentation and from PyMC-Marketing's, not from the package.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from typing import Any

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
    if kind == "beta_gamma_decay":
        return [1.0] + [p("beta") * p("gamma") ** lag for lag in range(1, length)]
    raise KeyError(kind)


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
    if kind == "sigmoid_saturation":
        q = math.exp(-0.7)
        fallen = math.exp(-(1 + q) * p("slope") * x)
        return (1 - fallen) / (1 + q * fallen)
    if kind == "polynomial_saturation":
        u = min(x / p("top"), 1.0)
        return u * (2 - u)
    if kind == "piecewise_linear_saturation":
        u, rise = x / p("knot"), p("share")
        return min(rise * u, rise + p("decay") * rise * (u - 1), 1.0)
    if kind == "threshold_saturation":
        u = max(x - p("threshold"), 0.0)
        return u / (p("kappa") + u)
    raise KeyError(kind)


AMPLITUDES = {
    "michaelis_menten": "alpha",
    "hill_saturation_sigmoid": "sigma",
    "tanh_saturation": "b",
    "sigmoid_saturation": "asymptote",
}


def amplitude_name(kind: str) -> str:
    """Name of the parameter that multiplies the curve of amplitude 1."""
    return AMPLITUDES.get(kind, "beta")


def step(days: float) -> float:
    """Level shift: 0 before the day, 1 from it on."""
    return 1.0 if days >= 0 else 0.0


def dip(days: float, width: float) -> float:
    """Pandemic: a fall over a quarter of the width, a low, and a recovery."""
    if days < 0:
        return 0.0
    if days < width / 4:
        return days / (width / 4)
    return 1.0 if days < width else math.exp(-(days - width) / width)
