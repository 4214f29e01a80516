"""Figures as the tests of the plots draw them."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def drawn(figure: Figure, dpi: float = 40) -> Figure:
    """Draw for real, once: matplotlib warns, and with it the test fails, only here."""
    usual, figure.dpi = figure.dpi, dpi
    FigureCanvasAgg(figure).draw()
    figure.dpi = usual
    return figure
