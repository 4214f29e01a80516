"""The concave relaxation of a budget problem over tabulated curves, solved by its dual price."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.truth.budget.local_search import sums

IntArray = NDArray[np.intp]
# At given prices, one a pool: value and spend of each pool, and the best node of each item.
Answer = tuple[FloatArray, FloatArray, IntArray]

STEPS = 200
ROUNDING = 1e-14


@dataclass(frozen=True)
class Curves:
    """Curves that are linear between nodes, with the bounds of a budget problem.

    Parameters
    ----------
    spend, value : array, dims (item, node)
        Increasing spend, and the curve there.
    budget : float
        Most that all items spend together.
    group : array of int, dims (item,)
        Group of each item.
    group_lower, group_upper : array, dims (group,)
        Least and most that the items of a group spend together; infinite where there is no bound.
    first, last : array of int, dims (item,)
        Nodes between which each item may spend.
    """

    spend: FloatArray
    value: FloatArray
    budget: float
    group: IntArray
    group_lower: FloatArray
    group_upper: FloatArray
    first: IntArray
    last: IntArray


@dataclass(frozen=True)
class Relaxed:
    """Solution of the relaxation.

    Parameters
    ----------
    bound : float
        Largest sum of the concave hulls; no feasible spend has a larger sum of curves.
    reached : float
        Sum of the curves at `spend`.
    spend : array, dims (item,)
        Spend that is optimal for the hulls.
    price : array, dims (item,)
        Marginal value of spend.
    low, high : array of int, dims (item,)
        Nodes between which `spend` lies; neighbours where the hull is the curve.
    excess : array, dims (item,)
        Hull minus curve at `spend`.
    """

    bound: float
    reached: float
    spend: FloatArray
    price: FloatArray
    low: IntArray
    high: IntArray
    excess: FloatArray


@dataclass(frozen=True)
class _Cleared:
    """Price of each pool, and the nodes of its items just above and just below that price."""

    price: FloatArray
    low: IntArray
    high: IntArray


def relax(curves: Curves) -> Relaxed | None:
    r"""Maximise the sum of the concave hulls of the curves; None if that is infeasible.

    The dual, :math:`\min_{\lambda \ge 0} \lambda B + \sum_i \max_s (f_i(s) - \lambda s)`, is exact
    for hulls, and an upper bound whatever the price. A group at a bound of its own has a price
    of its own, which does not depend on the budget's.
    """
    if not _feasible(curves):
        return None
    nodes = np.arange(curves.spend.shape[1])
    inside = (nodes >= curves.first[:, None]) & (nodes <= curves.last[:, None])
    gain = np.where(inside, curves.value, -np.inf)
    width = np.diff(curves.spend)
    slope = np.divide(np.diff(curves.value), width, out=np.zeros_like(width), where=width > 0)
    steepest = np.abs(slope).max() * 1.01 + 1e-300

    at_lower, at_upper = _at_bounds_of_groups(curves, gain, steepest)
    cleared = _clear(
        lambda price: _demand(curves, gain, price, at_lower.price, at_upper.price),
        np.zeros(len(gain), dtype=np.intp),
        np.array([curves.budget]),
        (0.0, steepest),
    )
    price = float(cleared.price[0])
    # What each group is held to: its lower bound, its upper bound, or nothing but the budget. At
    # the very price where a bound begins to hold, the group may spend anything up to it.
    tie = 1e-12 * abs(price)
    to_lower, to_upper = price > at_lower.price + tie, price < at_upper.price - tie
    held = to_lower | to_upper
    target = np.where(to_lower, curves.group_lower, np.where(to_upper, curves.group_upper, 0.0))
    group_price = np.clip(price, at_upper.price, at_lower.price)
    near_lower = (price >= at_lower.price - tie)[curves.group]
    near_upper = (price <= at_upper.price + tie)[curves.group]
    low = np.select((near_lower, near_upper), (at_lower.low, at_upper.low), cleared.low)
    high = np.select((near_lower, near_upper), (at_lower.high, at_upper.high), cleared.high)

    item_price = group_price[curves.group]
    profit = gain - item_price[:, None] * curves.spend
    bound = price * curves.budget + float(profit.max(axis=1).sum())
    bound += float(((group_price - price) * target)[held].sum())
    pool = np.where(held[curves.group], curves.group, len(held))
    rest = curves.budget - float(target.sum())
    spend = _filled(curves.spend, low, high, pool, np.append(target, rest))
    curve, hull = _interpolated(curves, spend, low, high)
    excess = np.maximum(hull - curve, 0.0)
    return Relaxed(bound, float(curve.sum()), spend, item_price, low, high, excess)


def _feasible(curves: Curves) -> bool:
    rows = np.arange(len(curves.spend))
    groups = len(curves.group_lower)
    least = sums(curves.group, curves.spend[rows, curves.first], groups)
    most = sums(curves.group, curves.spend[rows, curves.last], groups)
    slack = 1e-12 * abs(curves.budget)
    within = np.all(least <= curves.group_upper + slack)
    within &= np.all(most >= curves.group_lower - slack)
    floor = np.maximum(least, curves.group_lower).sum()
    return bool(within and floor <= curves.budget + slack)


def _at_bounds_of_groups(
    curves: Curves, gain: FloatArray, steepest: float
) -> tuple[_Cleared, _Cleared]:
    """Prices above which a group would spend too little, and below which too much."""
    nodes = np.zeros(len(gain), dtype=np.intp)
    results = []
    for target, never in ((curves.group_lower, np.inf), (curves.group_upper, -np.inf)):
        bounded = np.isfinite(target)
        if not bounded.any():
            results.append(_Cleared(np.full(len(target), never), nodes, nodes))
            continue
        cleared = _clear(
            lambda price: _demand_of_groups(curves, gain, price),
            curves.group,
            np.where(bounded, target, 0.0),
            (-steepest, steepest),
        )
        price = np.where(bounded, cleared.price, never)
        results.append(_Cleared(price, cleared.low, cleared.high))
    return results[0], results[1]


def _demand_of_groups(curves: Curves, gain: FloatArray, price: FloatArray) -> Answer:
    node, value, spend = _best(curves, gain, price[curves.group])
    groups = len(price)
    return sums(curves.group, value, groups), sums(curves.group, spend, groups), node


def _demand(
    curves: Curves, gain: FloatArray, price: FloatArray, ceiling: FloatArray, floor: FloatArray
) -> Answer:
    """Demand of all items together, each group within its bounds."""
    group_price = np.clip(price[0], floor, ceiling)
    value, spend, node = _demand_of_groups(curves, gain, group_price)
    held = group_price != price[0]
    if held.any():
        target = np.where(price[0] > ceiling, curves.group_lower, curves.group_upper)
        target = np.where(held, target, spend)
        value = value + group_price * (target - spend)
        spend = target
    return np.array([value.sum()]), np.array([spend.sum()]), node


def _best(
    curves: Curves, gain: FloatArray, price: FloatArray
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Most profitable node of each item, the one of least spend among equals."""
    node = np.argmax(gain - price[:, None] * curves.spend, axis=1)
    rows = np.arange(len(gain))
    return node, gain[rows, node], curves.spend[rows, node]


def _clear(
    demand: Callable[[FloatArray], Answer],
    pool: IntArray,
    target: FloatArray,
    bracket: tuple[float, float],
) -> _Cleared:
    """Prices at which the demand of each pool jumps over its target.

    The dual function of a pool is convex and piecewise linear; where its two known tangents meet
    is the next price, and the answer once nothing lies above them there. Halving in every third
    step keeps the bracket from shrinking on one side only.
    """
    below, above = (np.full(len(target), price) for price in bracket)
    value_b, spend_b, high = demand(below)
    value_a, spend_a, low = demand(above)
    # Demand never falls to the target, or never rises to it: the end of the bracket answers.
    plenty, scarce = spend_a >= target, spend_b <= target
    price = np.where(plenty, above, below)
    high = np.where(plenty[pool], low, high)
    low = np.where(scarce[pool], high, low)
    open_ = ~(plenty | scarce)
    for step in range(STEPS):
        if not open_.any():
            break
        run = np.where(open_, spend_b - spend_a, 1.0)
        meet = np.where(open_, (value_b - value_a) / run, price)
        halve = step % 3 == 2
        trial = np.where(open_, (below + above) / 2 if halve else meet, price)
        trial = np.clip(trial, below, above)
        value, spend, node = demand(trial)
        if not halve:
            tangent = value_a - trial * spend_a
            size = np.abs(value_a) + np.abs(trial) * spend_b
            done = open_ & (value - trial * spend <= tangent + ROUNDING * size)
            price = np.where(done, trial, price)
            open_ &= ~done
        more, less = open_ & (spend > target), open_ & (spend <= target)
        below, above = np.where(more, trial, below), np.where(less, trial, above)
        value_b, spend_b = np.where(more, value, value_b), np.where(more, spend, spend_b)
        value_a, spend_a = np.where(less, value, value_a), np.where(less, spend, spend_a)
        high, low = np.where(more[pool], node, high), np.where(less[pool], node, low)
        price = np.where(open_, above, price)
    return _Cleared(price, low, high)


def _filled(
    spend: FloatArray, low: IntArray, high: IntArray, pool: IntArray, target: FloatArray
) -> FloatArray:
    """Spend at the low nodes, and what is left of each pool's target given to one after another."""
    rows = np.arange(len(spend))
    result = spend[rows, low]
    room = np.maximum(spend[rows, high] - result, 0.0)
    for number in np.unique(pool[room > 0]):
        members = np.flatnonzero((pool == number) & (room > 0))
        left = target[number] - result[pool == number].sum()
        before = np.cumsum(room[members]) - room[members]
        result[members] += np.clip(left - before, 0.0, room[members])
    return result


def _interpolated(
    curves: Curves, spend: FloatArray, low: IntArray, high: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Curve and concave hull at a spend that lies between two nodes of the hull."""
    rows = np.arange(len(spend))

    def line(left: IntArray, right: IntArray) -> FloatArray:
        start, width = curves.spend[rows, left], curves.spend[rows, right]
        width = width - start
        share = np.where(width > 0, (spend - start) / np.where(width > 0, width, 1.0), 0.0)
        rise = curves.value[rows, right] - curves.value[rows, left]
        return np.asarray(curves.value[rows, left] + share * rise)

    position = np.sum(curves.spend[:, 1:-1] <= spend[:, None], axis=1)
    curve = line(position, position + 1)
    low, high = np.minimum(low, high), np.maximum(low, high)
    return curve, line(low, high)
