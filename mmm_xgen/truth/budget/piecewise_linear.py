"""Global maximum of a sum of piecewise linear curves under one budget, by branch and bound."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.truth.budget.local_search import sums

IntArray = NDArray[np.intp]

# Most sub-problems that one search solves.
BRANCHES = 300
# Bounds may be missed by this share of the budget, which is rounding.
SLACK = 1e-12


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
    """Best allocation for the concave hulls of the curves.

    Parameters
    ----------
    bound : float
        Sum of the hulls; no allowed allocation has a larger sum of curves.
    reached : float
        Sum of the curves.
    spend : array, dims (item,)
        The allocation.
    price : array, dims (item,)
        Marginal value of spend.
    low, high : array of int, dims (item,)
        Ends of the piece of the hull inside which `spend` lies; equal where it is at a node.
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


def maximize_curves(
    curves: Curves, tolerance: float, *, branches: int = BRANCHES
) -> tuple[float, Curves, Relaxed]:
    """Find the best allocation for piecewise linear curves of any shape.

    The relaxation replaces every curve by its concave hull. It errs only in the few items whose
    spend lies inside a piece of the hull that skips nodes. The search splits the range of such
    an item into two, up to a node and from that node on.

    Parameters
    ----------
    curves : Curves
        The problem; it must be feasible.
    tolerance : float
        Gap at which the search stops, as a share of the value.
    branches : int, default 300
        Most sub-problems that are solved.

    Returns
    -------
    tuple of float, Curves and Relaxed
        Upper bound on the sum of the curves; the sub-problem that holds the best allocation; that
        allocation.

    Examples
    --------
    >>> curves = Curves(
    ...     spend=np.array([[0.0, 1.0, 2.0]] * 2), value=np.array([[0.0, 0.0, 3.0]] * 2),
    ...     budget=2.0, group=np.arange(2), group_lower=np.zeros(2), group_upper=np.full(2, 2.0),
    ...     first=np.zeros(2, dtype=np.intp), last=np.full(2, 2),
    ... )
    >>> bound, _, best = maximize_curves(curves, 1e-9)
    >>> bound, best.reached, best.spend
    (3.0, 3.0, array([2., 0.]))
    """
    root = relax(curves)
    if root is None:
        raise ArithmeticError("the bounds leave no feasible allocation")
    number = count(1)
    best, part, solved, leaf = root, curves, 1, -np.inf
    queue = [(-root.bound, 0, curves, root)]
    while queue:
        bound = -queue[0][0]
        enough = best.reached + 0.1 * tolerance * abs(best.reached)
        if max(bound, leaf) <= enough or solved >= branches:
            break
        _, _, parent, relaxed = heapq.heappop(queue)
        children = _children(parent, relaxed)
        if not children:
            # Hulls and curves agree, up to rounding.
            leaf = max(leaf, bound)
        for child in children:
            solved += 1
            answer = relax(child)
            if answer is None:
                continue
            # A part cannot hold more than the whole, whatever rounding says.
            limit = min(answer.bound, bound)
            heapq.heappush(queue, (-limit, next(number), child, answer))
            if answer.reached > best.reached:
                part, best = child, answer
    limit = -queue[0][0] if queue else -np.inf
    return max(limit, leaf, best.reached), part, best


def relax(curves: Curves) -> Relaxed | None:
    """Maximise the sum of the concave hulls of the curves; None if that is infeasible.

    The greedy allocation is optimal: every group gets its least spend in its steepest pieces,
    then the steepest of the pieces left, of all groups, get the budget. No piece is filled
    before a steeper one of the same item.
    """
    rows, groups = np.arange(len(curves.spend)), len(curves.group_lower)
    least = curves.spend[rows, curves.first]
    item, node = _hull_nodes(curves)
    joined = item[1:] == item[:-1]
    is_first = np.concatenate([[True], ~joined])
    start = float(curves.value[item[is_first], node[is_first]].sum())
    item, left, right = item[1:][joined], node[:-1][joined], node[1:][joined]
    width = curves.spend[item, right] - curves.spend[item, left]
    slope = (curves.value[item, right] - curves.value[item, left]) / width
    # Steepest first; `grouped` takes the pieces of a group together, in that order.
    order = np.argsort(-slope, kind="stable")
    item, left, right, width, slope = (each[order] for each in (item, left, right, width, slope))
    group = curves.group[item]
    grouped = np.argsort(group, kind="stable")

    # Spend of a group on pieces before each of its pieces.
    before = np.empty_like(width)
    before[grouped] = np.cumsum(width[grouped]) - width[grouped]
    begin = np.searchsorted(group[grouped], np.arange(groups))
    before -= np.append(before[grouped], 0.0)[begin][group]
    floor = sums(curves.group, least, groups)
    needed, room = curves.group_lower - floor, curves.group_upper - floor
    forced = np.clip(needed[group] - before, 0.0, width)
    allowed = np.clip(room[group] - before, 0.0, width)
    free = np.where(slope > 0, np.maximum(allowed - forced, 0.0), 0.0)
    rest = curves.budget - float(least.sum() + forced.sum())
    slack = SLACK * abs(curves.budget)
    short = np.maximum(needed, 0.0) - sums(group, forced, groups)
    if rest < -slack or (short > slack).any() or (room < -slack).any():
        return None

    taken = np.clip(rest - (np.cumsum(free) - free), 0.0, free)
    filled = forced + taken
    spend = least + sums(item, filled, len(least))
    bound = start + float(slope @ filled)

    low, high = curves.first.copy(), curves.first.copy()
    excess = np.zeros(len(least))
    for piece in np.flatnonzero((filled > 0) & (filled < width)):
        owner, begin, end = item[piece], left[piece], right[piece]
        low[owner], high[owner] = begin, end
        x, y = (each[owner, begin : end + 1] for each in (curves.spend, curves.value))
        at = x[0] + filled[piece]
        excess[owner] = max(y[0] + slope[piece] * filled[piece] - np.interp(at, x, y), 0.0)

    # The next unit of budget goes to the steepest piece that has room.
    price = float(slope[taken < free].max(initial=0.0))
    ceiling, bottom = np.full(groups, np.inf), np.full(groups, -np.inf)
    np.minimum.at(ceiling, group[forced > 0], slope[forced > 0])
    np.maximum.at(bottom, group[allowed < width], slope[allowed < width])
    group_price = np.maximum(np.minimum(price, ceiling), bottom)
    reached = bound - float(excess.sum())
    return Relaxed(bound, reached, spend, group_price[curves.group], low, high, excess)


def _hull_nodes(curves: Curves) -> tuple[IntArray, IntArray]:
    """Nodes on the concave hulls, those of an item one after another: item and node of each."""
    nodes = np.arange(curves.spend.shape[1])
    inside = (nodes >= curves.first[:, None]) & (nodes <= curves.last[:, None])
    # Of nodes at the same spend the last counts.
    inside[:, :-1] &= (np.diff(curves.spend, axis=1) > 0) | ~inside[:, 1:]
    item, node = np.nonzero(inside)
    spend, value = curves.spend[item, node], curves.value[item, node]
    done: list[tuple[IntArray, IntArray]] = []
    while len(item):
        joined = item[1:] == item[:-1]
        slope = np.diff(value) / np.where(joined, np.diff(spend), 1.0)
        # A node under the line between its neighbours is not on the hull.
        under = joined[1:] & joined[:-1] & (slope[1:] >= slope[:-1])
        kept = np.concatenate([[True], ~under, [True]])[: len(item)]
        settled = np.ones(len(curves.spend), dtype=bool)
        settled[item[~kept]] = False
        whole = settled[item]
        done.append((item[whole], node[whole]))
        kept &= ~whole
        item, node, spend, value = item[kept], node[kept], spend[kept], value[kept]
    item, node = (np.concatenate(part) for part in zip(*done, strict=True))
    return item, node


def _children(curves: Curves, relaxed: Relaxed) -> list[Curves]:
    """Split the range of the item with the largest excess; empty if hulls and curves agree."""
    wide = relaxed.high - relaxed.low > 1
    if not wide.any():
        return []
    item = int(np.argmax(np.where(wide, relaxed.excess, -1.0)))
    row, spent = curves.spend[item], relaxed.spend[item]
    least, most = relaxed.low[item] + 1, relaxed.high[item]
    nearest = least + int(np.argmin(np.abs(row[least:most] - spent)))
    last, first = curves.last.copy(), curves.first.copy()
    last[item] = first[item] = nearest
    return [replace(curves, last=last), replace(curves, first=first)]
