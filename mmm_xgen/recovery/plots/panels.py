"""Building blocks of the benchmark's plots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmm_xgen.atomic import atomic_path
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.panels import dot, line, marks
from mmm_xgen.plots.style import CHANNEL_COLOURS, INK, RISK

ESTIMATE, BAND, TRUTH, MISSED = CHANNEL_COLOURS[0], CHANNEL_COLOURS[4], INK, RISK
SHADE = "#F4EEDC"
OPAQUE = 0.6
# With the eight colours they make 56 that differ.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# Of a dataset and a model, in the name of a row.
BETWEEN = " · "
DPI = 110


def model_text(name: str) -> str:
    r"""Make the name of a model or dataset fit for matplotlib; unshortened, since only ends differ.

    Examples
    --------
    >>> model_text("pymc-published-nutpie-lift"), model_text("$ols$")
    ('pymc-published-nutpie-lift', '\\$ols\\$')
    """
    return name.replace("$", r"\$")


MEDIAN, INNER, OUTER = "median", "equal-tailed 50% interval", "equal-tailed 94% interval"
INSIDE, OUTSIDE = "truth", "truth outside the 94% interval"


def interval_legend() -> dict[str, Artist]:
    """Entries for what `draw_intervals` draws."""
    return {
        MEDIAN: dot(ESTIMATE),
        INNER: line(ESTIMATE, width=3.5),
        OUTER: line(ESTIMATE, width=1.2),
        INSIDE: dot(TRUTH, "D"),
        OUTSIDE: dot(MISSED, "D"),
    }


def draw_intervals(axes: Axes, quantiles: FloatArray, truth: FloatArray) -> None:
    """Draw one interval in each row, from above, with the truth on it.

    Parameters
    ----------
    axes : Axes
    quantiles : array, dims (level, row)
        At the levels of `mmm_xgen.recovery.study.saved.QUANTILES`.
    truth : array, dims (row,)
        NaN where there is none.
    """
    rows = np.arange(quantiles.shape[1])
    low, inner_low, middle, inner_high, high = quantiles
    axes.hlines(rows, low, high, color=ESTIMATE, linewidth=1.2)
    axes.hlines(rows, inner_low, inner_high, color=ESTIMATE, linewidth=3.5)
    marks(axes, middle, rows, ESTIMATE, size=4.5)
    inside = (low <= truth) & (truth <= high)
    for chosen, colour, name in ((inside, TRUTH, INSIDE), (~inside, MISSED, OUTSIDE)):
        marks(axes, truth[chosen], rows[chosen], colour, marker="D", size=5, label=name)


def save(figure: Figure, path: Path) -> Path:
    """Write a plot to a file, whole or not at all."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DPI)
    return path
