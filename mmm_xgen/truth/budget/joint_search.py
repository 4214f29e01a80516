"""Best split of a budget over channels that act on each other: a local search from many starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.streams import stream
from mmm_xgen.truth.budget.global_search import Solution
from mmm_xgen.truth.budget.local_search import Problem, nearest_allowed
from mmm_xgen.truth.budget.revenue_curves import CHUNK, Panel
from mmm_xgen.truth.media import derivative
from mmm_xgen.world import media_sales, respond_to

RANDOM_STARTS = 4
ITERATIONS, DONE = 300, 1e-14


@dataclass(frozen=True)
class JointPanel(Panel):
    """Panel of channels that act on each other: the revenue is one number for all items.

    Parameters
    ----------
    today : array, dims (item,)
        Spend of each item today, at which the others are while one item moves alone.
    """

    today: FloatArray

    def joint(self, spend: FloatArray, worth: FloatArray) -> FloatArray:
        """Sales of all media times `worth`, dims (geo, date), for spend with dims (..., item)."""
        plans = self.plan(spend)
        rows = plans.reshape(-1, *plans.shape[-3:])
        size = max(1, CHUNK // max(1, self.pattern.size))
        parts = [
            np.einsum("sgt,gt->s", self._sales(rows[start : start + size]), worth)
            for start in range(0, len(rows), size)
        ]
        return np.concatenate(parts).reshape(plans.shape[:-3])

    def _sales(self, plans: FloatArray) -> FloatArray:
        return media_sales(respond_to(plans, self.world, self.history), self.world)

    def earned(self, spend: FloatArray, worth: FloatArray) -> FloatArray:
        """Sales times `worth` lost without the spend of each item in the window, dims (item,)."""
        without = spend * (1 - np.eye(len(spend)))
        return np.asarray(self.joint(spend, worth) - self.joint(without, worth))

    def value(self, spend: FloatArray) -> FloatArray:
        """Revenue gained by each item at many levels, the others at today's, (item, level)."""
        others = self.today * (1 - np.eye(len(spend)))
        rows = others[:, None] + np.eye(len(spend))[:, None] * spend[..., None]
        return np.asarray(
            self.joint(rows, self.revenue) - self.joint(others, self.revenue)[:, None]
        )

    def slope(self, spend: FloatArray) -> FloatArray:
        """Derivative of the revenue of all media by the spend of each item."""

        def moved(step: Any) -> FloatArray:
            return self.joint(spend + step * np.diag(self.unit), self.revenue)

        return derivative(moved) / self.unit


def maximize_jointly(panel: JointPanel, problem: Problem, starts: list[FloatArray]) -> Solution:
    """Return the best of the local maxima that sequential quadratic programming [1]_ finds.

    Parameters
    ----------
    panel : JointPanel
        Revenue of all media as a function of the spend of all items.
    problem : Problem
        Budget and bounds.
    starts : list of array, dims (item,)
        Allocations to start from, besides an even one and random ones.

    Returns
    -------
    Solution
        Its bounds are infinite: nothing proves that no other allocation is better.

    References
    ----------
    .. [1] Kraft, D. (1988). A software package for sequential quadratic programming. DFVLR-FB
       88-28.
    """
    from scipy.optimize import LinearConstraint, minimize

    size, n = max(problem.budget, 1e-300), len(problem.lower)
    members = (np.arange(len(problem.group_lower))[:, None] == problem.group).astype(float)
    rng = stream(0, "joint-search")
    drawn = [size * rng.dirichlet(np.ones(n)) for _ in range(RANDOM_STARTS)]
    scale = max(abs(float(panel.joint(problem.scale, panel.revenue))), 1e-300)
    limits = [
        LinearConstraint(np.ones((1, n)), -np.inf, problem.budget / size),
        LinearConstraint(members, problem.group_lower / size, problem.group_upper / size),
    ]
    found, reached = nearest_allowed(problem, problem.scale), -np.inf
    for start in (*starts, np.full(n, size / n), *drawn):
        result = minimize(
            lambda x: -float(panel.joint(np.maximum(x, 0) * size, panel.revenue)) / scale,
            nearest_allowed(problem, start) / size,
            jac=lambda x: -problem.slope(np.maximum(x, 0) * size) * size / scale,
            method="SLSQP",
            bounds=np.column_stack([problem.lower, problem.upper]) / size,
            constraints=limits,
            options={"maxiter": ITERATIONS, "ftol": DONE},
        )
        spend = nearest_allowed(problem, np.nan_to_num(result.x) * size)
        value = float(panel.joint(spend, panel.revenue))
        if value > reached:
            found, reached = spend, value
    return Solution(found, reached, np.inf, np.inf)
