"""Local maximum of a sum of one-dimensional curves under one budget, with exact slopes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.kernels.domain import FloatArray

ITERATIONS = 40
HALVINGS = 200
DONE = 1e-9


@dataclass(frozen=True)
class Problem:
    """Curves and bounds of a budget problem.

    Parameters
    ----------
    value : callable, (item, node) -> (item, node)
        Curve of each item at its spend.
    slope : callable, (item,) -> (item,)
        Derivative of each curve at its spend.
    budget : float
        Most that all items spend together.
    lower, upper : array, dims (item,)
        Bounds of each item.
    scale : array, dims (item,)
        Usual spend of each item, 0 if it has none.
    group : array of int, dims (item,)
        Group of each item.
    group_lower, group_upper : array, dims (group,)
        Bounds of the sum over each group.
    proofs : int
        Most rounds of the proof that no other allocation is better.
    """

    value: Callable[[FloatArray], FloatArray]
    slope: Callable[[FloatArray], FloatArray]
    budget: float
    lower: FloatArray
    upper: FloatArray
    scale: FloatArray
    group: NDArray[np.intp]
    group_lower: FloatArray
    group_upper: FloatArray
    proofs: int = 3


def polish(problem: Problem, start: FloatArray) -> FloatArray:
    """Search for the next local maximum from `start`.

    Each step maximises a sum of parabolas, one for each item, under all bounds. A parabola has the
    slope of its curve, and the curvature from the change of the slope in the last step.

    Parameters
    ----------
    problem : Problem
        Curves and bounds.
    start : array, dims (item,)
        Spend; the search begins at the nearest allowed allocation.

    Returns
    -------
    array, dims (item,)
        Feasible spend, the sum over items not above the budget.
    """
    size = max(problem.budget, 1e-300)
    spend = nearest_allowed(problem, start)
    value = _total(problem, spend)
    slope = problem.slope(spend)
    nudge = 1e-4 * spend + 1e-9 * size
    curvature = (problem.slope(spend + nudge) - slope) / nudge
    for _ in range(ITERATIONS):
        level = np.abs(slope).max()
        bend = np.maximum(np.abs(curvature), 1e-9 * level / size + 1e-300)
        target = _best_parabolas(problem, spend, slope, -bend)
        step = target - spend
        if not np.any(np.abs(step) > 1e-13 * size):
            break
        for shrink in 0.5 ** np.arange(25):
            trial = spend + shrink * step
            reached = _total(problem, trial)
            if reached >= value - 1e-15 * abs(value):
                break
        else:
            break
        fresh = problem.slope(trial)
        moved = np.abs(trial - spend) > 1e-9 * spend
        difference = np.where(moved, trial - spend, 1.0)
        curvature = np.where(moved, (fresh - slope) / difference, curvature)
        settled = np.all(np.abs(step) <= DONE * (spend + 1e-3 * size / len(spend)))
        spend, value, slope = trial, reached, fresh
        if settled:
            break
    return nearest_allowed(problem, spend)


def nearest_allowed(problem: Problem, spend: FloatArray) -> FloatArray:
    """Find the allocation within all bounds that is nearest to `spend`."""
    return _best_parabolas(problem, spend, np.zeros_like(spend), np.full_like(spend, -1.0))


def sums(group: NDArray[np.intp], values: FloatArray, groups: int) -> FloatArray:
    """Sum of the values of each group."""
    return np.bincount(group, values, minlength=groups).astype(float)


def _total(problem: Problem, spend: FloatArray) -> float:
    return float(problem.value(spend[:, None]).sum())


def _best_parabolas(
    problem: Problem, spend: FloatArray, slope: FloatArray, curvature: FloatArray
) -> FloatArray:
    """Maximise a sum of parabolas, one for each item, within all bounds."""
    groups = len(problem.group_lower)
    alone = np.bincount(problem.group, minlength=groups) <= 1

    def at(price: FloatArray) -> FloatArray:
        wish = spend + (price[problem.group] - slope) / curvature
        return np.clip(wish, problem.lower, problem.upper)

    def of_groups(price: FloatArray) -> FloatArray:
        return sums(problem.group, at(price), groups)

    steep = np.max(np.abs(slope)) + np.max(np.abs(curvature)) * np.max(problem.upper)
    bracket = (np.full(groups, -4 * steep), np.full(groups, 4 * steep))
    ceiling, floor = np.full(groups, np.inf), np.full(groups, -np.inf)
    if not alone.all():
        # Above `ceiling` a group spends less than its minimum, below `floor` more than its maximum.
        held = _halved(lambda price: of_groups(price) >= problem.group_lower, *bracket)[0]
        ceiling = np.where(alone, ceiling, held)
        held = _halved(lambda price: of_groups(price) > problem.group_upper, *bracket)[1]
        floor = np.where(alone, floor, held)

    def at_budget(price: FloatArray) -> FloatArray:
        return at(np.clip(price, floor, ceiling))

    everything = at_budget(np.zeros(groups))
    if everything.sum() <= problem.budget:
        return everything
    ends = _halved(
        lambda price: at_budget(price).sum() > problem.budget, 0 * bracket[1], bracket[1]
    )
    more, less = (at_budget(price) for price in ends)
    gap = more.sum() - less.sum()
    share = (problem.budget - less.sum()) / gap if gap > 0 else 0.0
    return np.asarray(less + max(share, 0.0) * (more - less))


def _halved(
    above: Callable[[FloatArray], Any], low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Halve brackets of the prices at which a falling demand stops being `above`."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        is_above = above(middle)
        low, high = np.where(is_above, middle, low), np.where(is_above, high, middle)
    return low, high
