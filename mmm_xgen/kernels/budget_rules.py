r"""Budget rules: how the spend of a channel answers to demand or to sales, besides its plan.

A budget rule that answers to demand is a function ``f(demand, normal, *, parameters)`` that returns
the spend relative to the plan, in an array that broadcasts to ``(row, geo, date)``. Rows are the
channels, and datasets, of one call. Its parameters arrive with shape ``(row, 1, 1)``. `demand` is
the latent demand, dims ``(row, geo, date)``, with variance 1 over time. `normal` holds independent
standard normal draws of the same dims; a rule may leave it out. A third argument `common` holds
draws that all channels and geos share, dims ``(row, 1, date)``.

A rule that answers to performance is a function ``f(plan, performance, *, parameters)`` that
returns the spend relative to the plan. `plan` is the planned spend, dims ``(row, geo, date)``, and
`performance` the effect per unit of spend of each geo, relative to the mean of the geos, dims
``(row, geo, 1)``.

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
from mmm_xgen.kernels.domain import (
    COUNT,
    Domain,
    Fixed,
    FloatArray,
    NonNegative,
    Numbers,
    Positive,
    Real,
    Share,
    Unit,
)
from mmm_xgen.kernels.kind import Kind, positional_names
from mmm_xgen.kernels.registry import Function, Registry, registering

# Positional arguments of a rule, and what such a rule answers to.
ANSWERS_TO = {
    ("demand",): "demand",
    ("demand", "normal"): "demand",
    ("demand", "normal", "common"): "demand",
    ("plan", "performance"): "performance",
    ("plan", "level", "sales", "target"): "sales",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class BudgetRuleKind(Kind):
    """A budget rule; `takes` are the names of its positional arguments."""

    takes: tuple[str, ...] = ()

    @property
    def answers_to(self) -> str:
        """Cause that spend answers to: demand, performance or sales."""
        return ANSWERS_TO[self.takes]

    @classmethod
    def of(cls, *, function: Callable[..., Any], family: str = "", **about: Any) -> BudgetRuleKind:
        """Rule whose positional arguments say what it answers to."""
        takes = positional_names(function)
        if takes not in ANSWERS_TO:
            allowed = " or ".join(f"f({', '.join(each)}, *, ...)" for each in ANSWERS_TO)
            raise ConfigError(
                f"the budget rule {function.__name__} takes ({', '.join(takes)}); write {allowed}"
            )
        return super().of(function=function, family=family, takes=takes, **about)


BUDGET_RULES: Registry[BudgetRuleKind] = Registry("budget rule")

# A share below 1.
PART = Domain(lower=0, upper=1, open_upper=True)
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
    demand: FloatArray,
    normal: FloatArray,
    common: FloatArray,
    *,
    strength: Real = 0.1,
    error: Share = 0.3,
    shock: NonNegative = 0.0,
) -> FloatArray:
    r"""Spend more when demand is expected to be high.

    The forecast is :math:`\sqrt{1 - e}\, d_t + \sqrt{e}\, z_t`, so its variance is that of demand
    and the share e of it is error. Changes of policy :math:`p_t` move all channels with a `shock`
    alike, in all geos.

    Parameters
    ----------
    strength : float, log scale per standard deviation of the forecast
        Rise of the log of spend when the forecast is one standard deviation higher.
    error : float, share of variance
        Share of the variance of the forecast that is error.
    shock : float, log scale
        Standard deviation of the changes of policy, which have nothing to do with demand.
    """
    share = np.asarray(error)
    forecast = np.sqrt(1 - share) * demand + np.sqrt(share) * normal
    rise = strength * forecast - np.square(strength) / 2
    return np.asarray(np.exp(rise + (shock * common - np.square(shock) / 2)))


@register_budget_rule("search")
def search(
    demand: FloatArray,
    *,
    elasticity: NonNegative = 0.2,
    cap: NonNegative = 0.0,
    cost_per_click: Annotated[Positive, Unit("{currency} / click")] = 1.0,
    substitution: Annotated[Numbers, PART] = 0.0,
) -> FloatArray:
    r"""Spend on paid search: clicks follow queries, and queries follow demand, up to a budget.

    The spend is :math:`\min(e^{\epsilon d_t - \epsilon^2 / 2}, \text{cap})` times the plan.
    Paid clicks replace organic ones: without them, a part of the buyers would have come anyway.
    The contribution of the channel is net of these buyers. A platform that counts all paid clicks
    reports more: ``reported_sales`` in the Dataset is
    :math:`\text{contribution} / (1 - \text{substitution})`, and ``clicks`` is
    :math:`\text{spend} / \text{cost per click}`.

    Parameters
    ----------
    elasticity : float, log scale per standard deviation of demand
        Rise of the log of queries, and so of clicks and spend, with demand.
    cap : float, share of the plan
        Largest spend relative to the plan, where the daily budget ends. 0 is no cap.
    cost_per_click : float, currency per click
        Price of a click. It does not change the spend.
    substitution : float, share of paid clicks
        Share that replaces organic clicks. It does not change the effect, only what is reported.
    """
    spent = np.exp(elasticity * demand - np.square(elasticity) / 2)
    limit = np.where(np.asarray(cap) > 0, cap, np.inf)
    return np.asarray(np.minimum(spent, limit))


@register_budget_rule("chases_performance")
def chases_performance(
    plan: FloatArray, performance: FloatArray, *, strength: Real = 1.0
) -> FloatArray:
    r"""Give more of the total plan to geos where the effect per unit of spend is high.

    With the performance :math:`q_g` relative to the mean of the geos, geo g gets

    .. math:: \text{plan}_{tg}\, q_g^s\,
              \frac{\sum_h \text{plan}_{th}}{\sum_h \text{plan}_{th}\, q_h^s}

    so that the total over geos is as planned. The rule knows the true effects and answers to no
    sales, so that it stays as it is in a counterfactual.

    Parameters
    ----------
    strength : float, log scale
        Rise of the log of the share of a geo, relative to its plan, with the log of its
        performance. A negative strength gives more to weak geos.
    """
    weight = performance ** np.asarray(strength)
    total = (plan * weight).sum(axis=-2, keepdims=True)
    kept = np.divide(
        plan.sum(axis=-2, keepdims=True), total, out=np.ones_like(total), where=total > 0
    )
    return np.asarray(weight * kept)


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
