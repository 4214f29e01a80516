"""Pictures: a Dataset in, a `matplotlib.figure.Figure` out."""

from mmm_xgen.plots.overview import plot_overview

__all__ = ["plot_overview"]
