r"""Budget rules: how the spend of a channel answers to demand or to sales, besides its plan.

A budget rule that answers to demand is a function ``f(demand, normal, *, parameters)`` that returns
the spend relative to the plan, in an array that broadcasts to ``(row, geo, date)``. Rows are the
channels, and datasets, of one call. Its parameters arrive with shape ``(row, 1, 1)``. `demand` is
the latent demand, dims ``(row, geo, date)``, with variance 1 over time. `normal` holds independent
standard normal draws of the same dims; a rule may leave it out.

A rule that answers to sales is a function ``f(plan, level, sales, target, *, parameters, lag)``,
called for one date after the other, that returns the spend of the date. Its arrays have dims
``(..., channel, geo)``: planned spend of the date, the same relative to its mean over the window,
and revenue and planned revenue `lag` periods earlier.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge

from mmm_xgen.errors import ConfigError
from mmm_xgen.kernels.domain import COUNT, Fixed, FloatArray, NonNegative, Numbers, Real, Share
from mmm_xgen.kernels.kind import Kind, positional_names
from mmm_xgen.kernels.registry import Function, Registry, registering

OPEN_LOOP, FEEDBACK = ("demand", "normal"), ("plan", "level", "sales", "target")


@dataclass(frozen=True, kw_only=True, eq=False)
class BudgetRuleKind(Kind):
    """A budget rule.

    `takes` are the names of its positional arguments; `feedback` marks rules that answer to sales.
    """

    takes: tuple[str, ...] = ()
    feedback: bool = False

    @classmethod
    def of(cls, *, function: Callable[..., Any], family: str = "", **about: Any) -> BudgetRuleKind:
        """Rule whose positional arguments say what it answers to."""
        takes = positional_names(function)
        if takes not in (OPEN_LOOP[:1], OPEN_LOOP, FEEDBACK):
            raise ConfigError(
                f"the budget rule {function.__name__} takes ({', '.join(takes)}); write "
                f"f({', '.join(OPEN_LOOP)}, *, ...) or f({', '.join(FEEDBACK)}, *, ...)"
            )
        about |= {"takes": takes, "feedback": takes == FEEDBACK}
        return super().of(function=function, family=family, **about)


BUDGET_RULES: Registry[BudgetRuleKind] = Registry("budget rule")

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
        If the name is taken, or the function takes other arguments than a rule.

    Examples
    --------
    >>> import numpy as np
    >>> @register_budget_rule("doubles_in_demand")
    ... def doubles_in_demand(demand, *, above: float = 1.0):
    ...     return np.where(demand > above, 2.0, 1.0)
    >>> BUDGET_RULES["doubles_in_demand"].keys
    ['above']
    >>> BUDGET_RULES.remove("doubles_in_demand")
    """
    return registering(BUDGET_RULES, BudgetRuleKind.of, name, check=check)


@register_budget_rule("planned")
def planned(demand: FloatArray) -> FloatArray:
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
def follows_demand(demand: FloatArray, *, strength: Real = 0.1, lag: Lag = 0) -> FloatArray:
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
    demand: FloatArray, *, elasticity: NonNegative = 0.2, cap: NonNegative = 0.0
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


@register_budget_rule("chases_target")
def chases_target(
    plan: FloatArray,
    level: FloatArray,
    sales: FloatArray,
    target: FloatArray,
    *,
    strength: Real = 1.0,
    lag: Annotated[int, Ge(1)] = 1,
) -> FloatArray:
    r"""Spend more after sales fell short of their plan, and less after they exceeded it.

    The spend is :math:`\text{plan}_t\, (\text{sales} / \text{target})_{t-\text{lag}}^{-s}`.

    Parameters
    ----------
    strength : float, log scale
        Rise of the log of spend when sales are 1% below their plan, in percent. A negative
        strength spends more after good sales.
    lag : int, periods
        Periods between the sales and the spend that answers them.
    """
    return np.asarray(plan * np.exp(-np.asarray(strength) * np.log(sales / target)))


@register_budget_rule("share_of_sales")
def share_of_sales(
    plan: FloatArray,
    level: FloatArray,
    sales: FloatArray,
    target: FloatArray,
    *,
    share: NonNegative = 0.05,
    lag: Annotated[int, Ge(1)] = 1,
) -> FloatArray:
    r"""Spend a share of earlier revenue: :math:`\text{share}\, \text{revenue}_{t-\text{lag}}`.

    The pattern and campaigns of the channel move the spend around this level.

    Parameters
    ----------
    share : float, share of revenue
        Spend per unit of revenue.
    lag : int, periods
        Periods between the revenue and the spend.
    """
    return np.asarray(share * sales * level)
