"""Digits of the kernels, against the same formulas in arithmetic of 60 digits."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from functools import cache
from typing import Any

import numpy as np
import pytest

from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.baseline import TRENDS
from mmm_xgen.kernels.domain import SHARE, FloatArray
from mmm_xgen.kernels.noise import autoregressive
from mmm_xgen.kernels.saturation import LOG_3, SATURATIONS
from tests.strategies import CURVES, config_with, generate, steady

DIGITS = 60
# Some roundings of a float, no more.
EXACT = 2e-14
# From next to nothing to far into saturation; around the points at which a formula changes.
SPENDS = np.array([1e-12, 1e-9, 1e-6, 1e-3, 0.7, 31.0, 999.0, 1200.0, 1500.1, 8000.0])
# So small that its square vanishes.
STEP = 1e-30


def tanh(x: Decimal) -> Decimal:
    return (1 - (-2 * x).exp()) / (1 + (-2 * x).exp())


def artanh(x: Decimal) -> Decimal:
    return ((1 + x) / (1 - x)).ln() / 2


def logistic(x: Decimal) -> Decimal:
    return 1 / (1 + (-x).exp())


START = Decimal("0.7")
# The formulas of the documentation.
CLOSED_FORMS: dict[str, Callable[..., Decimal]] = {
    "hill_function": lambda x, slope, kappa: x**slope / (kappa**slope + x**slope),
    "logistic_saturation": lambda x, lam: (1 - (-lam * x).exp()) / (1 + (-lam * x).exp()),
    "inverse_scaled_logistic_saturation": lambda x, lam: tanh(Decimal(LOG_3) / lam * x / 2),
    "michaelis_menten": lambda x, alpha, lam: alpha * x / (lam + x),
    "hill_saturation_sigmoid": lambda x, sigma, beta, lam: (
        sigma / (1 + (-beta * (x - lam)).exp()) - sigma / (1 + (beta * lam).exp())
    ),
    "tanh_saturation": lambda x, b, c: b * tanh(x / (b * c)),
    "tanh_saturation_baselined": lambda x, x0, gain, r: gain * x0 / r * tanh(x / x0 * artanh(r)),
    "root_saturation": lambda x, alpha: x**alpha,
    "log_saturation": lambda x: (1 + x).ln(),
    "no_saturation": lambda x: x,
    "sigmoid_saturation": lambda x, asymptote, slope: (
        asymptote
        * (logistic(START + slope * x / logistic(START)) - logistic(START))
        / (1 - logistic(START))
    ),
    "polynomial_saturation": lambda x, top: 1 - (1 - min(x / top, Decimal(1))) ** 2,
    "piecewise_linear_saturation": lambda x, knot, share, decay: min(
        share * x / knot, share + share * decay * (x / knot - 1), Decimal(1)
    ),
    "threshold_saturation": lambda x, threshold, kappa: (
        1 - kappa / (kappa + max(x - threshold, Decimal(0)))
    ),
}


def exactly(function: Callable[..., Decimal], values: Any, **parameters: float) -> FloatArray:
    given = {name: Decimal(value) for name, value in parameters.items()}
    with localcontext(prec=DIGITS):
        return np.array([function(Decimal(float(x)), **given) for x in values], dtype=float)


@pytest.mark.parametrize("kind", list(SATURATIONS))
def test_a_curve_and_its_slope_keep_their_digits(kind: str) -> None:
    curve, parameters = SATURATIONS[kind].function, CURVES[kind]
    exact = exactly(CLOSED_FORMS[kind], SPENDS, **parameters)
    np.testing.assert_allclose(curve(SPENDS, **parameters), exact, rtol=EXACT)

    def slope(x: Decimal, **given: Decimal) -> Decimal:
        # A difference over so little errs by 1e-38 of itself.
        small = x * Decimal("1e-20")
        rise = CLOSED_FORMS[kind](x + small, **given) - CLOSED_FORMS[kind](x - small, **given)
        return rise / (2 * small)

    stepped = curve(SPENDS + 1j * STEP, **parameters)
    np.testing.assert_allclose(np.real(stepped), exact, rtol=EXACT)
    slopes = exactly(slope, SPENDS, **parameters)
    np.testing.assert_allclose(np.imag(stepped) / STEP, slopes, rtol=EXACT)


N_LAGS = 40
# Up to a constant factor.
DENSITIES: dict[str, Callable[..., Decimal]] = {
    "weibull": lambda time, lam, k: (time / lam) ** (k - 1) * (-((time / lam) ** k)).exp(),
    "gamma": lambda time, shape, rate: time ** (shape - 1) * (-rate * time).exp(),
}


@cache
def densities(name: str, **parameters: Decimal) -> list[Decimal]:
    return [DENSITIES[name](Decimal(lag + 1), **parameters) for lag in range(N_LAGS)]


def rescaled(lag: Decimal, **parameters: Decimal) -> Decimal:
    every = densities("weibull", **parameters)
    return (every[int(lag)] - min(every)) / (max(every) - min(every))


def over_its_peak(lag: Decimal, **parameters: Decimal) -> Decimal:
    every = densities("gamma", **parameters)
    return every[int(lag)] / max(every)


def survival(lag: Decimal, lam: Decimal, k: Decimal) -> Decimal:
    hazards = [(Decimal(j) / lam) ** k for j in range(1, int(lag) + 1)]
    return (-sum(hazards, start=Decimal(0))).exp()


@pytest.mark.parametrize(
    ("kind", "parameters", "formula"),
    [
        ("geometric_adstock", {"alpha": 0.9}, lambda lag, alpha: alpha**lag),
        (
            "delayed_adstock",
            {"alpha": 0.95, "theta": 2.5},
            lambda lag, alpha, theta: alpha ** ((lag - theta) ** 2),
        ),
        *(
            (
                "binomial_adstock",
                {"alpha": alpha},
                lambda lag, alpha: (1 - lag / (N_LAGS + 1)) ** (1 / alpha - 1),
            )
            for alpha in (0.03, 0.5, 1 - 1e-12)
        ),
        # Densities that are all alike have next to no range to be scaled to.
        *(
            ("weibull_adstock", {"lam": lam, "k": k, "type": "PDF"}, rescaled)
            for lam, k in ((3.0, 2.0), (1e6, 1.0), (1e9, 1.0), (1e5, 1.01), (0.5, 1.5))
        ),
        ("weibull_adstock", {"lam": 20.0, "k": 0.7, "type": "CDF"}, survival),
        *(
            ("beta_gamma_adstock", {"shape": shape, "rate": rate}, over_its_peak)
            for shape, rate in ((2.0, 1.0), (6.0, 0.3))
        ),
        (
            "beta_gamma_decay",
            {"beta": 0.6, "gamma": 0.85},
            lambda lag, beta, gamma: beta * gamma**lag if lag else Decimal(1),
        ),
    ],
)
def test_weights_keep_their_digits(
    kind: str, parameters: dict[str, Any], formula: Callable[..., Decimal]
) -> None:
    lags = np.arange(float(N_LAGS))
    numbers = {name: each for name, each in parameters.items() if name != "type"}
    columns = {name: np.array([each]) for name, each in numbers.items()}
    weights = ADSTOCKS[kind].function(lags, **{**parameters, **columns})
    exact = exactly(formula, lags, **numbers)
    # An exponent of 100 costs two digits; nothing is left of what is 1e-300.
    np.testing.assert_allclose(weights, exact, rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("midpoint", [52.0, 0.5, -30.0])
@pytest.mark.parametrize("rate", [1e-9, 0.05, 1.0])
def test_a_logistic_trend_keeps_its_digits(rate: float, midpoint: float) -> None:
    periods = np.array([-20.0, -1.0, 0.0, 1.0, 3.0, 51.0, 200.0])
    trend = TRENDS["logistic_growth"].function(
        periods, growth_capacity=0.5, growth_rate=rate, growth_midpoint=midpoint
    )

    def rise(t: Decimal, k: Decimal, mid: Decimal) -> Decimal:
        return (1 / (1 + (-k * (t - mid)).exp()) - 1 / (1 + (k * mid).exp())) / 2

    np.testing.assert_allclose(trend, exactly(rise, periods, k=rate, mid=midpoint), rtol=1e-13)


@pytest.mark.parametrize("volatility", [1e-10, 0.3])
def test_an_elastic_control_keeps_its_digits(volatility: float) -> None:
    price = {"name": "Price", "base_value": 20.0, "elasticity": -1.75}
    price["value_volatility"] = volatility
    ds = generate(config_with(steady(), control_variables=[price]))
    exact = exactly(
        lambda value: 10_000 * ((value / 20) ** Decimal("-1.75") - 1),
        ds["control_value"].values.ravel(),
    )
    np.testing.assert_allclose(ds["control_contribution"].values.ravel(), exact, rtol=1e-13)


@pytest.mark.parametrize("shift", [-30.0, -6.0, -1e-9, 0.0, 1e-9, 6.0])
def test_a_varied_share_keeps_its_digits(shift: float) -> None:
    shares = np.array([1e-9, 0.1, 0.5, 0.7, 1 - 1e-9])

    def varied(share: Decimal, step: Decimal) -> Decimal:
        return 1 / (1 + (1 - share) / share * (-step).exp())

    exact = exactly(varied, shares, step=shift)
    np.testing.assert_allclose(SHARE.vary(shares, np.array(shift)), exact, rtol=1e-15)


def test_noise_with_a_long_memory_keeps_its_digits() -> None:
    kept = 1 - 2.0**-40
    exact = 2.0**-20 * np.sqrt(2 - 2.0**-40)
    np.testing.assert_allclose(autoregressive(np.array([0.0, 1.0]), kept)[1], exact, rtol=1e-15)
