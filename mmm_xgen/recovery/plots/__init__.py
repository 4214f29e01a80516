"""Plots of recovery: estimates beside the truth, of one fit and of a whole study.

Each takes Datasets or a DataFrame and returns a `matplotlib.figure.Figure`, independent of
pyplot. What does not fit one page is on further ones.
"""

from mmm_xgen.recovery.plots.files import plot_fit, plot_study
from mmm_xgen.recovery.plots.intervals import plot_parameters, plot_roas
from mmm_xgen.recovery.plots.ranks import independent_ranks, plot_ranks
from mmm_xgen.recovery.plots.returns import read_returns
from mmm_xgen.recovery.plots.scatter import plot_roas_recovery
from mmm_xgen.recovery.plots.series import (
    plot_contributions,
    plot_predictive,
    plot_response_curves,
)
from mmm_xgen.recovery.plots.studies import (
    plot_coverage,
    plot_metrics,
    plot_runtime,
)

__all__ = [
    "independent_ranks",
    "plot_contributions",
    "plot_coverage",
    "plot_fit",
    "plot_metrics",
    "plot_parameters",
    "plot_predictive",
    "plot_ranks",
    "plot_response_curves",
    "plot_roas",
    "plot_roas_recovery",
    "plot_runtime",
    "plot_study",
    "read_returns",
]
