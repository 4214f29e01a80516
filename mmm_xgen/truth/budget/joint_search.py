"""Best split of a budget over channels that act on each other: local searches from many starts."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.streams import stream
from mmm_xgen.truth.budget.global_search import Solution
from mmm_xgen.truth.budget.local_search import Problem, nearest_allowed
from mmm_xgen.truth.budget.revenue_curves import CHUNK, JointPanel

# Random allocations that are tried, and the best of them from which a search starts.
TRIED, RANDOM_STARTS = 60, 3
ITERATIONS, DONE = 200, 1e-14


def maximize_jointly(panel: JointPanel, problem: Problem, starts: Iterable[FloatArray]) -> Solution:
    """Return the best of the local maxima that sequential quadratic programming [1]_ finds.

    The searches start from the given allocations, from an even one, and from the best of some
    random ones.

    Parameters
    ----------
    panel : JointPanel
        Revenue of all media as a function of the spend of all items.
    problem : Problem
        Budget and bounds; its slopes are those of the revenue of all media.
    starts : iterable of array, dims (item,)
        Allocations to start from.

    Returns
    -------
    Solution
        Its bounds are infinite, since nothing proves that no other allocation is better, unless the
        bounds of the problem allow only one.

    References
    ----------
    .. [1] Kraft, D. (1988). A software package for sequential quadratic programming. DFVLR-FB
       88-28.
    """
    if not (problem.upper - problem.lower > 1e-12 * problem.budget).any():
        value = float(panel.total(problem.lower))
        return Solution(problem.lower, value, value, value)
    tried = [nearest_allowed(problem, each) for each in (*starts, *_random_splits(problem))]
    given = len(tried) - TRIED
    reached = _in_chunks(panel, np.array(tried))
    random = given + np.argsort(-reached[given:], kind="stable")[:RANDOM_STARTS]
    best = int(np.argmax(reached))
    found, value = tried[best], float(reached[best])
    for position in (*range(given), *random):
        spend = _climbed(panel, problem, tried[position], max(abs(value), 1e-300))
        made = float(panel.total(spend))
        if made > value:
            found, value = spend, made
    return Solution(found, value, np.inf, np.inf)


def _climbed(panel: JointPanel, problem: Problem, start: FloatArray, scale: float) -> FloatArray:
    """Return the local maximum that is reached from an allocation."""
    from scipy.optimize import LinearConstraint, minimize

    size, groups = problem.budget, len(problem.group_lower)
    limits = [LinearConstraint(np.ones((1, len(start))), -np.inf, 1.0)]
    if groups < len(start):
        members = (np.arange(groups)[:, None] == problem.group).astype(float)
        bounds = problem.group_lower / size, problem.group_upper / size
        limits.append(LinearConstraint(members, *bounds))

    def allowed(shares: FloatArray) -> FloatArray:
        return np.clip(np.nan_to_num(shares) * size, problem.lower, problem.upper)

    result = minimize(
        lambda shares: -float(panel.total(allowed(shares))) / scale,
        start / size,
        jac=lambda shares: -problem.slope(allowed(shares)) * size / scale,
        method="SLSQP",
        bounds=np.column_stack([problem.lower, problem.upper]) / size,
        constraints=limits,
        options={"maxiter": ITERATIONS, "ftol": DONE},
    )
    return nearest_allowed(problem, allowed(result.x))


def _random_splits(problem: Problem) -> FloatArray:
    """Allocations of the budget, dims (split, item): an even one first, then random ones.

    Half of the random ones favour few channels. The items of a channel share its spend as today.
    """
    groups = len(problem.group_lower)
    today = np.bincount(problem.group, problem.scale, minlength=groups)[problem.group]
    alone = 1 / np.bincount(problem.group, minlength=groups)[problem.group]
    within = np.divide(problem.scale, today, out=alone, where=today > 0)
    rng = stream(0, "joint-search")
    shares = [rng.dirichlet(np.full(groups, each), TRIED // 2) for each in (1.0, 0.3)]
    even = np.full((1, groups), 1 / groups)
    return np.concatenate([even, *shares])[:, problem.group] * within * problem.budget


def _in_chunks(panel: JointPanel, spend: FloatArray) -> FloatArray:
    """Return the revenue of many allocations, dims (allocation, item)."""
    size = max(1, CHUNK // panel.pattern.size)
    parts = [panel.total(spend[start : start + size]) for start in range(0, len(spend), size)]
    return np.concatenate(parts)
