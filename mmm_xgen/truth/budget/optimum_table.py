"""Dataset of an optimum, with labels and units."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.truth.budget.constraints import ROUNDING, Bounds
from mmm_xgen.truth.budget.global_search import Solution
from mmm_xgen.truth.budget.local_search import Problem, sums
from mmm_xgen.truth.budget.revenue_curves import Panel
from mmm_xgen.truth.what_if.counterfactual import MEDIA_DIMS

# Units and meaning of every figure of an optimum.
FIGURES = {
    "optimal_spend": ("{currency}", "spend under the best split"),
    "current_spend": ("{currency}", "today's spend"),
    "multiplier": ("1", "best spend over today's"),
    "contribution": ("{kpi}", "contribution under the best split"),
    "current_contribution": ("{kpi}", "contribution under today's split"),
    "revenue": ("{currency}", "revenue from the contribution under the best split"),
    "current_revenue": ("{currency}", "revenue from the contribution under today's split"),
    "roas": ("1", "revenue from the contribution over spend, under the best split"),
    "mroas": ("1", "revenue that one more unit of spend earns, under the best split"),
    "lower": ("{currency}", "least spend of the channel that is allowed"),
    "upper": ("{currency}", "most spend of the channel that is allowed"),
    "shadow_price": ("1", "revenue that one more unit of budget earns"),
    "gap_bound": ("{currency}", "revenue by which no allowed split can be better"),
    "gap_estimate": ("{currency}", "the same for smooth curves"),
    "spend": ("{currency}", "spend per period under the best split"),
    "allocated_spend": ("{currency}", "spend under the allocation"),
    "regret": ("{kpi}", "sales lost by the allocation against the best split"),
    "regret_revenue": ("{currency}", "revenue lost by the allocation against the best split"),
    "regret_percent_of_media": ("percent", "revenue lost over media's revenue at its best"),
    "regret_percent_of_sales": ("percent", "regret over expected sales at their best"),
}
# Largest gap, as a share of the revenue, of a status "optimal".
CLOSED = 2e-3


def labelled_optimum(
    ds: xr.Dataset,
    panel: Panel,
    periods: slice,
    bounds: Bounds,
    problem: Problem,
    solution: Solution,
) -> xr.Dataset:
    """Make the Dataset of `mmm_xgen.truth.budget.optimum.optimize_allocation`."""
    spend, current = solution.spend, problem.scale
    ones = np.ones_like(panel.revenue)
    figures = {
        "optimal_spend": spend,
        "current_spend": current,
        "multiplier": _ratio(spend, current),
        "contribution": panel.earned(spend, ones),
        "current_contribution": panel.earned(current, ones),
        "revenue": panel.earned(spend, panel.revenue),
        "current_revenue": panel.earned(current, panel.revenue),
        "mroas": panel.slope(spend),
    }
    figures["roas"] = _ratio(figures["revenue"], spend)
    dims = ("geo", "channel") if panel.per_geo else ("channel",)
    shape = (len(ds["channel"]), -1)
    by_item = {
        name: (dims, values.reshape(shape).T if panel.per_geo else values)
        for name, values in figures.items()
    }
    unspent = max(bounds.budget - float(spend.sum()), 0.0)
    gap = solution.bound - solution.value
    result = xr.Dataset(
        {
            **by_item,
            "lower": ("channel", bounds.lower),
            "upper": ("channel", bounds.upper),
            "shadow_price": _shadow_price(problem, bounds, spend, figures["mroas"]),
            "gap_bound": gap,
            "gap_estimate": solution.estimate - solution.value,
        },
        coords={name: ds[name] for name in ("geo", "channel") if name in {"channel", *dims}},
    )
    plan = ds["spend"].transpose("channel", "geo", "date").astype(float).copy()
    plan[..., periods] = panel.plan(spend)
    result["spend"] = plan.transpose(*MEDIA_DIMS)
    dates = ds["date"].values[periods]
    is_closed = gap <= CLOSED * abs(solution.value)
    return stamped(ds, result).assign_attrs(
        total_budget=bounds.budget,
        unspent=unspent if unspent > 1e-9 * bounds.budget else 0.0,
        status="optimal" if is_closed else "best found, gap_bound above 0.2%",
        window=" to ".join(np.datetime_as_string(dates[[0, -1]], unit="D")),
        per_geo=int(panel.per_geo),
    )


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _shadow_price(problem: Problem, bounds: Bounds, spend: FloatArray, slope: FloatArray) -> float:
    """Compute the revenue of one more unit of budget, by the envelope theorem.

    A part of the unit moves bounds in shares, and goes to the channels at these bounds, at their
    own marginal returns. The rest goes to channels that are at no bound.
    """
    size = 1e-9 * problem.budget
    of_group = sums(problem.group, spend, len(problem.group_lower))
    at_upper = of_group >= bounds.maximum - size
    at_lower = of_group <= problem.group_lower + size
    share = np.where(at_upper, bounds.upper_share, np.where(at_lower, bounds.lower_share, 0.0))
    of_free = 0.0
    if problem.budget - spend.sum() <= size:
        rises = ~(at_upper | bounds.locked)[problem.group]
        inside = rises & ~at_lower[problem.group] & (spend > problem.lower + size)
        of_free = _free_return(slope, rises, inside)
    held = share > 0
    # The next unit in a channel goes to its best geo.
    best = [slope[problem.group == group].max() for group in np.flatnonzero(held)]
    moved, rest = float(share[held] @ np.array(best, dtype=float)), 1.0 - float(share.sum())
    # Shares that sum to 1 leave nothing for channels at no bound.
    return moved + (rest * of_free if rest > ROUNDING else 0.0)


def _free_return(slope: FloatArray, rises: NDArray[np.bool_], inside: NDArray[np.bool_]) -> float:
    """Marginal return of items at no bound, or else the largest of items that can still rise.

    A channel that has the whole budget can rise, as the next unit of budget can go to it.
    """
    if inside.any():
        return float(np.median(slope[inside]))
    return float(slope[rises].max(initial=0.0))


def stamped(ds: xr.Dataset, result: xr.Dataset) -> xr.Dataset:
    """Add units and meaning to every variable, and currency and KPI to the Dataset."""
    units = {"currency": ds.attrs.get("currency", ""), "kpi": ds.attrs.get("kpi", "")}
    for name in result.data_vars:
        unit, meaning = FIGURES[str(name)]
        result[name].attrs = {"units": unit.format(**units), "long_name": meaning}
    result = result.reset_coords(drop=True)
    result.attrs = {key: value for key, value in units.items() if value}
    return result
