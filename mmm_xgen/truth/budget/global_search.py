"""Global maximum of a sum of one-dimensional curves under one budget, with a bound on the gap.

The curves may be S-shaped, so that a local search can end in a poor local maximum. Every curve is
tabulated. Branch and bound (`mmm_xgen.truth.budget.piecewise_linear`) maximises piecewise linear
curves above the table, and the table is refined near the result. This happens twice. The first
search assumes smooth curves (`smooth_above`) and finds the best allocation, which a local search
with exact derivatives refines (`mmm_xgen.truth.budget.local_search`). The second search allows all
curves that never fall or never rise (`steps_above`). It proves how much better another allocation
can be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.truth.budget.local_search import Problem, nearest_allowed, polish, sums
from mmm_xgen.truth.budget.piecewise_linear import Curves, Relaxed, maximize_curves

FIRST_POINTS = 48
# First search: rounds, intervals of each curve that a round refines, and the gap at which it
# stops, as a share of the value.
ROUNDS = 10
REFINED = 4
FOUND = 2e-6
# Second search: levels that a round adds to each curve, and the gap at which it stops.
LEVELS = 64
PROVEN = 1e-4


@dataclass(frozen=True)
class Solution:
    """Result of `maximize`.

    Parameters
    ----------
    spend : array, dims (item,)
        Best spend found; it satisfies all bounds.
    value : float
        Sum of the curves at this spend.
    bound : float
        Upper bound on the sum for every allowed spend, for all curves that never fall or never
        rise.
    estimate : float
        The same for smooth curves; see `smooth_above`.
    """

    spend: FloatArray
    value: float
    bound: float
    estimate: float


def smooth_above(spend: FloatArray, value: FloatArray) -> FloatArray:
    r"""Compute values at the nodes whose linear interpolation lies above a smooth curve.

    With :math:`\sigma_k` the slope of the chord over interval :math:`k` and :math:`h_k` its width,
    a curve that turns from convex to concave, or back, at most once in any three neighbouring
    intervals is in interval :math:`k` at most :math:`h_k (\sigma_k - \sigma_{k+1})^+` above its
    chord towards the left end, and :math:`h_k (\sigma_{k-1} - \sigma_k)^+` towards the right end:
    where it is concave it is below the extended neighbouring chord, where it is convex below its
    own. The first and the last interval are treated as in `steps_above`.

    Parameters
    ----------
    spend, value : array, dims (item, node)
        Increasing spend, and the curve there.

    Examples
    --------
    >>> spend = np.array([[0.0, 1.0, 2.0, 3.0]])
    >>> smooth_above(spend, np.minimum(spend, 1.5))
    array([[1. , 1.5, 2. , 2. ]])
    """
    width = np.diff(spend, axis=1)
    chord = np.diff(value, axis=1) / width
    fall = np.maximum(chord[:, :-1] - chord[:, 1:], 0.0)
    excess = np.zeros_like(value)
    excess[:, :-2] = width[:, :-1] * fall
    excess[:, 2:] = np.maximum(excess[:, 2:], width[:, 1:] * fall)
    # The first and the last interval lack a neighbour, so that the curve may have steps there.
    steps = np.diff(value, axis=1)[:, [0, -1]]
    excess[:, [0, -2]] = np.maximum(excess[:, [0, -2]], steps)
    excess[:, [1, -1]] = np.maximum(excess[:, [1, -1]], -steps)
    return value + excess


def steps_above(spend: FloatArray, value: FloatArray) -> FloatArray:
    """Compute values at the nodes whose linear interpolation lies above a monotone curve.

    Over an interval, a curve that never falls is at most its value at the right end, and a curve
    that never rises, as that of a channel with a negative effect, its value at the left end.

    Parameters
    ----------
    spend, value : array, dims (item, node)
        Increasing spend, and the curve there.

    Examples
    --------
    >>> steps_above(np.array([[0.0, 1.0, 2.0]]), np.array([[0.0, 3.0, 4.0]]))
    array([[3., 4., 4.]])
    >>> steps_above(np.array([[0.0, 1.0, 2.0]]), np.array([[0.0, -3.0, -4.0]]))
    array([[ 0.,  0., -3.]])
    """
    peak = np.maximum.accumulate(value, axis=1)
    rising = np.column_stack([peak[:, 1:], peak[:, -1]])
    falls = value[:, -1] < value[:, 0]
    if not falls.any():
        return rising
    peak = np.maximum.accumulate(value[:, ::-1], axis=1)[:, ::-1]
    falling = np.column_stack([peak[:, 0], peak[:, :-1]])
    return np.where(falls[:, None], falling, rising)


@dataclass
class _Search:
    """State of a search: table of the curves and best spend so far.

    Parameters
    ----------
    problem : Problem
        Curves, budget and bounds.
    free : array of bool, dims (item,)
        Items whose spend can change; the table has only these.
    spend, value : array, dims (free item, node)
        Table of the curves.
    best : array, dims (item,)
        Best spend found, all items.
    reached : float
        Sum of all curves at the best spend.
    fixed : float
        Sum of the curves of the items whose spend is fixed.
    price : array, dims (free item,)
        Marginal value of spend at the last result of branch and bound.
    """

    problem: Problem
    free: NDArray[np.bool_]
    spend: FloatArray
    value: FloatArray
    best: FloatArray
    reached: float
    fixed: float
    price: FloatArray

    def offer(self, spend: FloatArray, values: FloatArray) -> None:
        """Keep an allocation if it is the best so far."""
        if float(values.sum()) > self.reached:
            self.best, self.reached = spend, float(values.sum())


def maximize(problem: Problem) -> Solution:
    r"""Find the largest :math:`\sum_i f_i(s_i)` with :math:`\sum_i s_i \le B`.

    Each :math:`s_i` lies in its interval, and the sums over groups lie in theirs.

    Parameters
    ----------
    problem : Problem
        Curves, budget and bounds; it must be feasible.

    Examples
    --------
    >>> problem = Problem(
    ...     value=lambda s: np.sqrt(s), slope=lambda s: 0.5 / np.sqrt(s), budget=5.0,
    ...     lower=np.zeros(2), upper=np.full(2, 5.0), scale=np.ones(2),
    ...     group=np.arange(2), group_lower=np.zeros(2), group_upper=np.full(2, 5.0),
    ... )
    >>> maximize(problem).spend.round(6)
    array([2.5, 2.5])
    """
    search = _started(problem)
    if search is None:
        total = float(problem.value(problem.lower[:, None]).sum())
        return Solution(problem.lower, total, total, total)
    estimate = _find(search)
    _polish(search)
    found = search.reached
    bound = _prove(search)
    if search.reached > found:
        _polish(search)
    reached = search.reached
    return Solution(search.best, reached, max(bound, reached), max(min(estimate, bound), reached))


def roughly_best(problem: Problem) -> FloatArray:
    """Return the best allocation of the first search of `maximize`, unrefined, dims (item,)."""
    search = _started(problem)
    if search is None:
        return problem.lower
    _find(search)
    return search.best


def _started(problem: Problem) -> _Search | None:
    """Return a search with a first table; None if the bounds allow only one allocation."""
    free = problem.upper - problem.lower > 1e-12 * problem.budget
    if not free.any():
        return None
    fixed = float(problem.value(problem.lower[:, None])[~free].sum())
    spend, nothing = _first_grid(problem, free), np.empty(0)
    search = _Search(problem, free, spend, nothing, problem.lower, -np.inf, fixed, nothing)
    search.value = _values(search, spend)[free]
    return search


def _polish(search: _Search) -> None:
    spend = polish(search.problem, search.best)
    search.offer(spend, search.problem.value(spend[:, None])[:, 0])


def _find(search: _Search) -> float:
    """Refine the table near the best spend; return an upper bound for smooth curves."""
    bound = np.inf
    for _ in range(ROUNDS):
        curves = _curves(search, smooth_above)
        limit, _, relaxed = maximize_curves(curves, FOUND)
        bound = min(bound, limit + search.fixed)
        search.price = relaxed.price
        _offer(search, relaxed)
        if bound - search.reached <= FOUND * abs(search.reached):
            break
        _evaluate(search, _near_answer(search.spend, curves, relaxed))
    return bound


def _prove(search: _Search) -> float:
    """Refine the table where possible steps loosen the bound; return the upper bound."""
    # First near the best spend, then near the results of branch and bound.
    part, price = _curves(search, steps_above), search.price
    bound = np.inf
    for _ in range(search.problem.proofs):
        _evaluate(search, _where_steps_matter(search.value, part, price))
        limit, part, relaxed = maximize_curves(_curves(search, steps_above), PROVEN)
        price = relaxed.price
        bound = min(bound, limit + search.fixed)
        _offer(search, relaxed)
        if bound - search.reached <= PROVEN * abs(search.reached):
            break
    return bound


def _offer(search: _Search, relaxed: Relaxed) -> None:
    """Evaluate the curves at a result of branch and bound, and keep it if it is the best."""
    candidate = search.problem.lower.copy()
    candidate[search.free] = relaxed.spend
    # Rounding may leave the result slightly outside the bounds of groups.
    candidate = nearest_allowed(search.problem, candidate)
    search.offer(candidate, search.problem.value(candidate[:, None])[:, 0])


def _evaluate(search: _Search, levels: FloatArray) -> None:
    """Add levels to the table."""
    value = _values(search, levels)[search.free]
    spend = np.column_stack([search.spend, levels])
    order = np.argsort(spend, axis=1)
    search.spend = np.take_along_axis(spend, order, axis=1)
    value = np.column_stack([search.value, value])
    search.value = np.take_along_axis(value, order, axis=1)


def _first_grid(problem: Problem, free: NDArray[np.bool_]) -> FloatArray:
    """First nodes, in equal ratios from far below today's spend to the most that is allowed."""
    lower, upper = problem.lower[free][:, None], problem.upper[free][:, None]
    width = upper - lower
    even = problem.budget / len(lower)
    small = np.minimum(problem.scale[free][:, None], even)
    first = np.minimum(0.02 * np.where(small > 0, small, even), width / FIRST_POINTS)
    steps = np.arange(FIRST_POINTS - 1) / (FIRST_POINTS - 2)
    spend = lower + np.column_stack([np.zeros_like(first), first * (width / first) ** steps])
    spend[:, -1:] = upper
    return np.asarray(spend)


def _values(search: _Search, spend: FloatArray) -> FloatArray:
    """Curves of all items at levels of the free ones; the others have their fixed spend."""
    everything = np.repeat(search.problem.lower[:, None], spend.shape[1], axis=1)
    everything[search.free] = spend
    return search.problem.value(everything)


def _curves(search: _Search, above: Callable[[FloatArray, FloatArray], FloatArray]) -> Curves:
    """Table of curves above the free items; budget and bounds without the fixed items."""
    problem, free, groups = search.problem, search.free, len(search.problem.group_lower)
    fixed = sums(problem.group[~free], problem.lower[~free], groups)
    members = problem.group[free]
    lower, upper = problem.group_lower - fixed, problem.group_upper - fixed
    most = sums(members, problem.upper[free], groups)
    least = sums(members, problem.lower[free], groups)
    budget = problem.budget - float(fixed.sum())
    # Drop bounds of groups that follow from the budget or from the intervals of the items.
    upper = np.where(upper >= np.minimum(most, budget) * (1 - 1e-12), np.inf, upper)
    return Curves(
        spend=search.spend,
        value=above(search.spend, search.value),
        budget=budget,
        group=members,
        group_lower=np.where(lower <= least, -np.inf, lower),
        group_upper=upper,
        first=np.zeros(len(members), dtype=np.intp),
        last=np.full(len(members), search.spend.shape[1] - 1, dtype=np.intp),
    )


def _near_answer(spend: FloatArray, curves: Curves, relaxed: Relaxed) -> FloatArray:
    """Split the few most promising intervals of each curve into thirds; return new levels."""
    width = np.diff(spend, axis=1)
    profit = curves.value - relaxed.price[:, None] * spend
    promise = np.maximum(profit[:, :-1], profit[:, 1:])
    position = np.sum(spend[:, 1:-1] <= relaxed.spend[:, None], axis=1)
    rows = np.arange(len(spend))
    promise[rows, position] = np.inf
    promise[rows, np.maximum(position - 1, 0)] = np.inf
    # Intervals as narrow as rounding have no meaningful chords.
    promise = np.where(width > 1e-9 * spend[:, 1:], promise, -np.inf)
    chosen = np.argpartition(-promise, REFINED - 1, axis=1)[:, :REFINED]
    start = np.take_along_axis(spend, chosen, axis=1)
    step = np.take_along_axis(width, chosen, axis=1)
    thirds = np.array([1.0, 2.0]) / 3
    return np.asarray((start[..., None] + step[..., None] * thirds).reshape(len(spend), -1))


def _where_steps_matter(value: FloatArray, part: Curves, price: FloatArray) -> FloatArray:
    r"""Choose levels such that all intervals loosen the bound about equally.

    At price :math:`\lambda` an interval of width :math:`h` adds at most :math:`\lambda h` to the
    bound. It matters only if spending there earns less than the best by not more than that. The
    width is therefore proportional to a tolerance plus this shortfall. The tolerance is such that
    every curve gets `LEVELS` new levels.
    """
    spend, price = part.spend, np.maximum(price, 0.0)[:, None]
    nodes = np.arange(spend.shape[1])
    outside = (nodes < part.first[:, None]) | (nodes > part.last[:, None])
    profit = np.where(outside, -np.inf, value - price * spend)
    nearest = np.maximum(profit[:, :-1], profit[:, 1:])
    nearest[outside[:, :-1] | outside[:, 1:]] = -np.inf
    shortfall = profit.max(axis=1, keepdims=True) - nearest
    width = np.diff(spend, axis=1)
    excess = price * width
    low, high = np.zeros_like(price), excess.sum(axis=1, keepdims=True) + 1e-300
    for _ in range(60):
        tolerance = (low + high) / 2
        many = np.floor(excess / (tolerance + shortfall)).sum(axis=1, keepdims=True) > LEVELS
        low, high = np.where(many, tolerance, low), np.where(many, high, tolerance)
    wanted = np.floor(excess / (high + shortfall)).astype(np.intp)
    # Every curve has the same number; the remainder goes to the interval that matters most.
    rows = np.arange(len(spend))
    wanted[rows, np.argmax(excess - shortfall, axis=1)] += LEVELS - wanted.sum(axis=1)
    counts = wanted.ravel()
    total = np.repeat(np.cumsum(counts) - counts, counts)
    share = (np.arange(counts.sum()) - total + 1) / (np.repeat(counts, counts) + 1)
    levels = np.repeat(spend[:, :-1].ravel(), counts) + share * np.repeat(width.ravel(), counts)
    return np.asarray(levels.reshape(len(spend), LEVELS))
