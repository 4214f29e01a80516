"""Exact truth of a dataset: returns, counterfactuals, the best budget and the information bound."""

from mmm_xgen.truth.budget.curves import efficiency_frontier, response_curve
from mmm_xgen.truth.budget.optimum import optimize_allocation, regret
from mmm_xgen.truth.information.information_bound import information_bound
from mmm_xgen.truth.information.recoverability import recoverability, what_would_help
from mmm_xgen.truth.returns.effect_paths import effect_paths
from mmm_xgen.truth.returns.estimands import (
    attribution,
    contribution_totals,
    cost_per_incremental,
    estimands,
    mroas,
    roas,
)
from mmm_xgen.truth.returns.promotions import promotion_returns
from mmm_xgen.truth.what_if.counterfactual import simulate
from mmm_xgen.truth.what_if.lift_tests import (
    lift_test,
    meridian_calibration_period,
    meridian_roi_prior,
)
from mmm_xgen.truth.what_if.scenarios import (
    change_investment,
    compare_scenarios,
    predict_impact,
    write_scenarios,
)

__all__ = [
    "attribution",
    "change_investment",
    "compare_scenarios",
    "contribution_totals",
    "cost_per_incremental",
    "effect_paths",
    "efficiency_frontier",
    "estimands",
    "information_bound",
    "lift_test",
    "meridian_calibration_period",
    "meridian_roi_prior",
    "mroas",
    "optimize_allocation",
    "predict_impact",
    "promotion_returns",
    "recoverability",
    "regret",
    "response_curve",
    "roas",
    "simulate",
    "what_would_help",
    "write_scenarios",
]
