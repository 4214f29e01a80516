r"""Adstock: how the effect of spend is spread over the periods after it.

An adstock kind is a function ``f(lag, *, parameters)`` that returns the weight of each lag in an
array that broadcasts to ``(..., lag)``; its parameters arrive with a last axis of length 1. The
library normalises the weights and owns the one convolution. Names, parameters and formulas are
PyMC-Marketing's (`pymc_marketing.mmm.transformers`), and so are the values to 1e-12 of the
largest. It has neither `beta_gamma_adstock` nor `beta_gamma_decay`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np

from mmm_xgen.kernels.domain import FloatArray, NonNegative, Positive, Share, Unit
from mmm_xgen.kernels.kind import HALF_NORMAL, TransformKind, carries_derivatives, defaults_of
from mmm_xgen.kernels.registry import Function, Registry, registering

# Lags at which weights are tried.
LAGS = np.arange(8.0)
# A weight that is smaller than the largest by this power of e is 0 beside it.
LARGEST_POWER = 700.0


@dataclass(frozen=True, kw_only=True, eq=False)
class AdstockKind(TransformKind):
    """An adstock: `alpha_at` turns a half-life in periods into alpha; None where there is none.

    `fits_l_max` marks a kernel that always ends at l_max and so never loses mass to it.
    `default_l_max` is the number of weights, where it does not depend on the calendar.
    """

    alpha_at: Callable[[float], float] | None = None
    fits_l_max: bool = False
    default_l_max: int | None = None

    @cached_property
    def takes_complex(self) -> bool:
        """True if complex numbers carry derivatives through the weights, tried at the defaults."""
        names = self.parameters
        return carries_derivatives(
            lambda *values: self.function(LAGS, **dict(zip(names, values, strict=True))),
            *defaults_of(names, 0.5).values(),
        )


ADSTOCKS: Registry[AdstockKind] = Registry("adstock")


def register_adstock(
    name: str,
    *,
    alpha_at: Callable[[float], float] | None = None,
    fits_l_max: bool = False,
    default_l_max: int | None = None,
    component: str | Mapping[str, str] = "",
    priors: Mapping[str, Any] | None = None,
) -> Callable[[Function], Function]:
    """Register a function that gives lag weights as an adstock under `name`.

    Parameters
    ----------
    name : str
        Name for `TransformConfig.adstock_fun`.
    alpha_at : callable, optional
        Retention rate ``alpha`` for a half-life in periods; makes ``half_life`` valid.
    fits_l_max : bool
        Whether the weights reach zero at l_max by construction.
    default_l_max : int, optional
        Number of weights where the configuration gives none. Default: that of the calendar.
    component : str or mapping of str to str, optional
        Class of `pymc_marketing.mmm` with the same weights and parameters. A mapping gives one
        for each value of the setting ``type``.
    priors : mapping of str to tuple, optional
        Default prior of each parameter: ``("half_normal",)``, ``("gamma", shape)`` or
        ``("beta", a, b)``; a mapping of mappings if `component` is a mapping.

    Raises
    ------
    ConfigError
        If the name is taken, an argument has one that the Dataset uses itself, or a prior is
        of no parameter.

    Examples
    --------
    >>> import numpy as np
    >>> @register_adstock("two_weeks")
    ... def two_weeks(lag, *, second: float = 0.5):
    ...     return np.where(lag == 0, 1.0, np.where(lag == 1, second, 0.0))
    >>> ADSTOCKS["two_weeks"].keys
    ['second']
    >>> ADSTOCKS.remove("two_weeks")
    """
    return registering(
        ADSTOCKS,
        AdstockKind.of,
        name,
        family="adstock_",
        alpha_at=alpha_at,
        fits_l_max=fits_l_max,
        default_l_max=default_l_max,
        component=component,
        priors=priors or {},
    )


@register_adstock(
    "geometric_adstock",
    alpha_at=lambda half_life: 0.5 ** (1 / half_life),
    component="GeometricAdstock",
    priors={"alpha": ("beta", 1, 3)},
)
def geometric_adstock(
    lag: FloatArray, *, alpha: Annotated[Share, "share retained from period to period"] = 0.3
) -> FloatArray:
    r"""Constant share retained from period to period: :math:`w_l = \alpha^l`."""
    return np.asarray(np.asarray(alpha) ** lag)


@register_adstock(
    "delayed_adstock",
    alpha_at=lambda half_life: 2.0 ** (-1 / half_life**2),
    component="DelayedAdstock",
    priors={"alpha": ("beta", 1, 3), "theta": HALF_NORMAL},
)
def delayed_adstock(
    lag: FloatArray,
    *,
    alpha: Annotated[Share, "share of the peak that is left one period after it"] = 0.5,
    theta: Annotated[NonNegative, "delay of the peak", Unit("periods")] = 1.0,
) -> FloatArray:
    r"""Peak `theta` periods after the spend: :math:`w_l = \alpha^{(l - \theta)^2}`."""
    return np.asarray(np.asarray(alpha) ** (lag - theta) ** 2)


@register_adstock(
    "binomial_adstock",
    fits_l_max=True,
    component="BinomialAdstock",
    priors={"alpha": ("beta", 1, 3)},
)
def binomial_adstock(
    lag: FloatArray,
    *,
    alpha: Annotated[Share, "retention: the larger, the slower the decay"] = 0.5,
) -> FloatArray:
    r"""Decay that reaches zero at l_max: :math:`w_l = (1 - l / (l_{max} + 1))^{1/\alpha - 1}`."""
    # At alpha 0, or next to it, the exponent is infinite: all weight is on lag 0.
    with np.errstate(divide="ignore", over="ignore"):
        exponent = 1 / np.asarray(alpha) - 1
    return np.asarray((1 - lag / (lag.size + 1)) ** exponent)


@register_adstock(
    "weibull_adstock",
    component={"PDF": "WeibullPDFAdstock", "CDF": "WeibullCDFAdstock"},
    priors={
        "PDF": {"lam": ("gamma", 4), "k": ("gamma", 9)},
        "CDF": {"lam": ("gamma", 0.64), "k": ("gamma", 0.64)},
    },
)
def weibull_adstock(
    lag: FloatArray,
    *,
    lam: Annotated[Positive, "scale", Unit("periods")] = 2.0,
    k: Annotated[Positive, "shape"] = 1.5,
    type: Literal["PDF", "CDF"] = "PDF",
) -> FloatArray:
    r"""Weibull decay with scale `lam` and shape `k`.

    ``PDF``: the density at ``l + 1``, scaled to the range 0 to 1 over the lags, which allows a
    delayed peak. ``CDF``: the running product of the survival function, which never rises.

    Parameters
    ----------
    lam : float, periods
        Scale of the Weibull distribution. Large values give a slow decay.
    k : float
        Shape of the Weibull distribution. With ``PDF``, a value above 1 delays the peak.
    type : {"PDF", "CDF"}
        Form of the weights: the density, or the running product of the survival function.
    """
    if type == "PDF":
        with np.errstate(over="ignore"):
            power = ((lag + 1) / lam) ** k
        # Up to a constant: only ratios to the peak matter, which cannot underflow together.
        log_density = (np.asarray(k) - 1) * np.log(lag + 1) - power
        # Where even the first lag overflows, the limit has all mass there.
        nothing_left = np.isinf(np.real(power[..., :1]))
        log_density = np.where(nothing_left, np.where(lag == 0, 0.0, -np.inf), log_density)
        below_peak = log_density - log_density.max(axis=-1, keepdims=True)
        below_peak = np.where(np.real(below_peak) > -LARGEST_POWER, below_peak, -LARGEST_POWER)
        lowest = below_peak.min(axis=-1, keepdims=True)
        is_flat = np.real(lowest) == 0
        # (density - lowest) / (1 - lowest), which would cancel where the densities are alike.
        above_lowest = np.expm1(lowest - below_peak) / np.where(is_flat, 1, np.expm1(lowest))
        return np.where(is_flat, 1.0, np.exp(below_peak) * above_lowest)
    with np.errstate(over="ignore"):
        hazard = np.cumsum((lag / np.asarray(lam)) ** k, axis=-1)
    return np.asarray(np.exp(-hazard))


@register_adstock("beta_gamma_adstock")
def beta_gamma_adstock(
    lag: FloatArray,
    *,
    shape: Annotated[Positive, "shape"] = 2.0,
    rate: Annotated[Positive, "rate of decay", Unit("1 / periods")] = 1.0,
) -> FloatArray:
    r"""Gamma-shaped decay: :math:`w_l = v_l / \max_j v_j, v_l = (l + 1)^{a - 1} e^{-b (l + 1)}`.

    The largest weight is 1, unless the weights are normalised.

    Parameters
    ----------
    shape : float
        Shape a of the gamma density. Large values delay the peak.
    rate : float, 1 / periods
        Rate b of the decay.
    """
    time = lag + 1
    log_weight = (np.asarray(shape) - 1) * np.log(time) - rate * time
    return np.asarray(np.exp(log_weight - log_weight.max(axis=-1, keepdims=True)))


@register_adstock("beta_gamma_decay", default_l_max=16)
def beta_gamma_decay(
    lag: FloatArray,
    *,
    beta: Annotated[Share, "size of the carry-over, relative to the period of the spend"] = 0.5,
    gamma: Annotated[Share, "share of the carry-over retained from period to period"] = 0.8,
) -> FloatArray:
    r"""Whole effect at once, and a geometric tail: :math:`w_0 = 1, w_l = \beta \gamma^l`."""
    return np.where(lag == 0, 1.0, beta * np.asarray(gamma) ** lag)


@register_adstock("no_adstock", fits_l_max=True, component="NoAdstock")
def no_adstock(lag: FloatArray) -> FloatArray:
    """All of the effect in the period of the spend."""
    return np.where(lag == 0, 1.0, 0.0)


def normalized(weights: FloatArray) -> FloatArray:
    """Weights scaled to sum to 1; all-zero weights stay zero."""
    total = weights.sum(axis=-1, keepdims=True)
    return np.asarray(weights / np.where(np.real(total) > 0, total, 1))


def convolve(
    spend: FloatArray, weights: FloatArray, history: FloatArray | None = None
) -> FloatArray:
    r"""Carry-over of spend: :math:`\text{carryover}_t = \sum_l w_l\, \text{spend}_{t-l}`.

    Parameters
    ----------
    spend : array, dims (..., date)
        Spend, in currency per period.
    weights : array, dims (..., lag)
        Lag weights; the axes before the last broadcast against those of `spend`.
    history : array, dims (..., date), optional
        Spend before the first date; 0 without it. Its axes before the last broadcast, too.

    Returns
    -------
    array, dims (..., date)
        Carry-over, in currency per period.

    Examples
    --------
    >>> convolve(np.array([8.0, 0.0, 0.0]), np.array([1.0, 0.5, 0.25]))
    array([8., 4., 2.])
    """
    n_lags = weights.shape[-1]
    if history is not None and history.shape[:-1] != spend.shape[:-1]:
        leading = np.broadcast_shapes(history.shape[:-1], spend.shape[:-1])
        spend = np.broadcast_to(spend, (*leading, spend.shape[-1]))
    if n_lags == 1:
        carried = spend * weights
    else:
        shape = (*spend.shape[:-1], spend.shape[-1] + n_lags - 1)
        numbers = np.result_type(spend, weights)
        padded = np.zeros(shape, dtype=numbers)
        padded[..., n_lags - 1 :] = spend
        if history is not None and history.shape[-1]:
            known = history[..., -(n_lags - 1) :]
            padded[..., n_lags - 1 - known.shape[-1] : n_lags - 1] = known
        view = np.lib.stride_tricks.sliding_window_view(padded, spend.shape[-1], axis=-1)
        # One product a series, summed lag by lag: it rounds as it does without the others.
        carried = (weights.astype(numbers, copy=False)[..., None, ::-1] @ view)[..., 0, :]
    return carried
