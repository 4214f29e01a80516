r"""Budget rules: how the spend of a channel answers to demand, instead of following a plan.

A budget rule is a function ``f(demand, normal, *, parameters)`` that returns the spend relative to
the plan, in an array that broadcasts to ``(row, geo, date)``. Rows are the channels, and datasets,
of one call. Its parameters arrive with shape ``(row, 1, 1)``. `demand` is the latent demand, dims
``(row, geo, date)``, with variance 1 over time. `normal` holds independent standard normal draws
of the same dims.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np

from mmm_xgen.kernels.domain import COUNT, Fixed, FloatArray, NonNegative, Numbers, Real, Share
from mmm_xgen.kernels.kind import Kind
from mmm_xgen.kernels.registry import Function, Registry, registering

BUDGET_RULES: Registry[Kind] = Registry("budget rule")

Lag = Annotated[Numbers, COUNT, Fixed()]


def register_budget_rule(
    name: str, *, check: Callable[..., str | None] | None = None
) -> Callable[[Function], Function]:
    """Register a function as a budget rule under `name`.

    Parameters
    ----------
    name : str
        Name for `ChannelConfig.budget_rule`.
    check : callable, optional
        Takes the parameters as keywords and returns what is wrong with them taken together, or
        None.

    Raises
    ------
    ConfigError
        If the name is taken.

    Examples
    --------
    >>> import numpy as np
    >>> @register_budget_rule("doubles_in_demand")
    ... def doubles_in_demand(demand, normal, *, above: float = 1.0):
    ...     return np.where(demand > above, 2.0, 1.0)
    >>> BUDGET_RULES["doubles_in_demand"].keys
    ['above']
    >>> BUDGET_RULES.remove("doubles_in_demand")
    """
    return registering(BUDGET_RULES, Kind.of, name, check=check)


@register_budget_rule("planned")
def planned(demand: FloatArray, normal: FloatArray) -> FloatArray:
    """Spend as planned, whatever the demand."""
    return np.ones(1)


def _earlier(demand: FloatArray, lag: Numbers) -> FloatArray:
    """Return the demand some periods before each date; the first value before the first date."""
    lags = np.asarray(lag).astype(int).reshape(-1, 1, 1)
    at = np.maximum(np.arange(demand.shape[-1]) - lags, 0)
    rows = max(len(at), len(demand))
    shape = (rows, *demand.shape[1:])
    whole = np.broadcast_to(demand, shape)
    return np.take_along_axis(whole, np.broadcast_to(at, shape), axis=-1)


@register_budget_rule("follows_demand")
def follows_demand(
    demand: FloatArray, normal: FloatArray, *, strength: Real = 0.1, lag: Lag = 0
) -> FloatArray:
    r"""Spend more when demand is high: :math:`\exp(\text{strength}\, d_{t-\text{lag}} - s^2 / 2)`.

    Parameters
    ----------
    strength : float, log scale per standard deviation of demand
        Rise of the log of spend when demand is one standard deviation higher.
    lag : int, periods
        Periods between the demand and the spend that answers it.
    """
    rise = strength * _earlier(demand, lag)
    return np.asarray(np.exp(rise - np.square(strength) / 2))


@register_budget_rule("follows_forecast")
def follows_forecast(
    demand: FloatArray, normal: FloatArray, *, strength: Real = 0.1, error: Share = 0.3
) -> FloatArray:
    r"""Spend more when demand is expected to be high.

    The forecast is :math:`\sqrt{1 - e}\, d_t + \sqrt{e}\, z_t`, so its variance is that of demand
    and the share e of it is error.

    Parameters
    ----------
    strength : float, log scale per standard deviation of the forecast
        Rise of the log of spend when the forecast is one standard deviation higher.
    error : float, share of variance
        Share of the variance of the forecast that is error.
    """
    share = np.asarray(error)
    forecast = np.sqrt(1 - share) * demand + np.sqrt(share) * normal
    return np.asarray(np.exp(strength * forecast - np.square(strength) / 2))


@register_budget_rule("search")
def search(
    demand: FloatArray, normal: FloatArray, *, elasticity: NonNegative = 0.2, cap: NonNegative = 0.0
) -> FloatArray:
    r"""Spend on paid search: clicks follow queries, and queries follow demand, up to a budget.

    The spend is :math:`\min(e^{\epsilon d_t - \epsilon^2 / 2}, \text{cap})` times the plan.

    Parameters
    ----------
    elasticity : float, log scale per standard deviation of demand
        Rise of the log of queries, and so of clicks and spend, with demand.
    cap : float, share of the plan
        Largest spend relative to the plan, where the daily budget ends. 0 is no cap.
    """
    spent = np.exp(elasticity * demand - np.square(elasticity) / 2)
    limit = np.where(np.asarray(cap) > 0, cap, np.inf)
    return np.asarray(np.minimum(spent, limit))
