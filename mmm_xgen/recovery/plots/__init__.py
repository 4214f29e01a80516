"""Plots of one fit and of a whole study, each a `matplotlib.figure.Figure`.

Each function takes Datasets or a DataFrame and does not need pyplot. A plot that is too long for
one page continues on further pages.
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
