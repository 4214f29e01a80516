"""Plots: each function takes a Dataset and returns a `matplotlib.figure.Figure`."""

from mmm_xgen.plots.baseline import plot_baseline, plot_controls
from mmm_xgen.plots.contributions import plot_attribution, plot_contributions, plot_waterfall
from mmm_xgen.plots.curves import plot_efficiency_frontier, plot_response_curves
from mmm_xgen.plots.decisions import plot_budget, plot_scenarios
from mmm_xgen.plots.diagnostics import plot_correlation, plot_outliers
from mmm_xgen.plots.exploration import (
    plot_lags,
    plot_pairs,
    plot_spend_against_sales,
    plot_spend_distribution,
)
from mmm_xgen.plots.geos import plot_geos
from mmm_xgen.plots.overview import plot_overview
from mmm_xgen.plots.quality_sheet import plot_quality
from mmm_xgen.plots.recoverability import plot_information_bound
from mmm_xgen.plots.returns import plot_roas
from mmm_xgen.plots.sales import plot_decomposition, plot_sales
from mmm_xgen.plots.simulator import plot_what_if, what_if_simulator
from mmm_xgen.plots.spend import plot_spend
from mmm_xgen.plots.stages import plot_adstock_kernels, plot_response_stages
from mmm_xgen.plots.world import plot_world

__all__ = [
    "plot_adstock_kernels",
    "plot_attribution",
    "plot_baseline",
    "plot_budget",
    "plot_contributions",
    "plot_controls",
    "plot_correlation",
    "plot_decomposition",
    "plot_efficiency_frontier",
    "plot_geos",
    "plot_information_bound",
    "plot_lags",
    "plot_outliers",
    "plot_overview",
    "plot_pairs",
    "plot_quality",
    "plot_response_curves",
    "plot_response_stages",
    "plot_roas",
    "plot_sales",
    "plot_scenarios",
    "plot_spend",
    "plot_spend_against_sales",
    "plot_spend_distribution",
    "plot_waterfall",
    "plot_what_if",
    "plot_world",
    "what_if_simulator",
]
