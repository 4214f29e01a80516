"""Tables inside of pictures: columns of text beside rows, and ratios as colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from mmm_xgen.formatting.amounts import ratio
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.panels import name_rows
from mmm_xgen.plots.style import FAINT, INK

# Cells with a number in them are not narrower than this.
MOST_NUMBERS = 10
# Colours of ratios reach at least from 1/2 to 2, and at most from 1/16 to 16.
LEAST_DOUBLINGS, MOST_DOUBLINGS = 1.0, 4.0
# A column of text beside the rows: its first letter, and a letter, in points.
INDENT, POINTS = 8.0, 5.6


def write_column(axes: Axes, header: str, texts: Sequence[str], *, indent: float = INDENT) -> float:
    """Write one text for each row to the right of the panel, under a header.

    Parameters
    ----------
    axes : Axes
        With rows at 0, 1, 2 ... from above.
    header : str
        What the column is.
    texts : sequence of str
        One a row.
    indent : float
        Where the column starts, in points from the panel.

    Returns
    -------
    float
        Where a column after it can start.

    Examples
    --------
    >>> from mmm_xgen.plots.panels import canvas
    >>> with canvas(None, None) as (figure, axes):
    ...     _ = write_column(axes, "ROAS", ["2.40", "1.50"])
    >>> [text.get_text() for text in axes.texts]
    ['2.40', '1.50', 'ROAS']
    """
    beside = axes.get_yaxis_transform()
    for row, text in enumerate(texts):
        place = (1.0, row)
        axes.annotate(
            text,
            place,
            xycoords=beside,
            xytext=(indent, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
        )
    axes.annotate(
        header,
        (1.0, 1.0),
        xycoords="axes fraction",
        xytext=(indent, 3),
        textcoords="offset points",
        va="bottom",
        fontsize=8.5,
        color=FAINT,
    )
    return indent + 14 + POINTS * max(map(len, [header, *texts]))


def draw_ratios(
    axes: Axes, values: FloatArray, rows: Sequence[str], columns: Sequence[str], doublings: float
) -> QuadMesh:
    """Draw a table of ratios as colours, white at 1; grey where there is none.

    Parameters
    ----------
    axes : Axes
        An empty panel.
    values : array, dims (row, column)
        Or NaN; what is negative has the colour of nothing.
    rows, columns : sequence of str
        Names as plain text; columns have none if there are none.
    doublings : float
        How often 1 is doubled, or halved, at the ends of the colours; see `doublings_of`.

    Examples
    --------
    >>> from mmm_xgen.plots.panels import canvas
    >>> with canvas(None, None) as (figure, axes):
    ...     mesh = draw_ratios(axes, np.array([[0.5, 1.0, 4.0]]), ["TV"], ["a", "b", "c"], 1)
    >>> mesh.get_array().tolist()
    [[-1.0, 0.0, 1.0]]
    """
    # Nothing has no logarithm, and lies at the end of the colours as what is next to nothing.
    with np.errstate(divide="ignore"):
        shades = np.clip(np.log2(np.maximum(values, 0.0)), -doublings, doublings)
    height, width = values.shape
    axes.set_facecolor("#D5D5D5")
    mesh = axes.pcolormesh(
        np.arange(width + 1) - 0.5,
        np.arange(height + 1) - 0.5,
        np.ma.masked_invalid(shades),
        cmap="RdBu",
        vmin=-doublings,
        vmax=doublings,
        edgecolor="white",
        linewidth=0.6,
    )
    if width <= MOST_NUMBERS:
        for row, column in np.ndindex(height, width):
            value = float(values[row, column])
            is_dark = abs(shades[row, column]) > 0.6 * doublings
            axes.text(
                column,
                row,
                ratio(value) if np.isfinite(value) else "",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if is_dark else INK,
            )
    name_rows(axes, rows)
    axes.set_xticks(range(len(columns)), list(columns))
    axes.tick_params(axis="x", length=0)
    turned = len(columns) > MOST_NUMBERS
    for label in axes.get_xticklabels():
        label.set(rotation=90 if turned else 40, ha="center" if turned else "right")
        label.set_rotation_mode("default" if turned else "anchor")
    axes.set_ylim(height - 0.5, -0.5)
    axes.set_xlim(-0.5, width - 0.5)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return mesh


def doublings_of(*tables: FloatArray) -> float:
    """How many doublings the colours of ratios should span, for all tables alike.

    Examples
    --------
    >>> doublings_of(np.array([1.0, 6.0, np.nan])), doublings_of(np.array([1.1, 0.0]))
    (3.0, 1.0)
    """
    values = np.concatenate([table.ravel() for table in tables])
    known = values[np.isfinite(values) & (values > 0)]
    widest = float(np.abs(np.log2(known)).max(initial=LEAST_DOUBLINGS))
    return float(np.ceil(min(widest, MOST_DOUBLINGS)))


def scale_beside(figure: Figure, mesh: QuadMesh, panels: Sequence[Axes], words: str) -> None:
    """Scale of the colours of ratios, with the ratios themselves as ticks."""
    lowest, highest = mesh.get_clim()
    ticks = np.arange(np.ceil(lowest), highest + 0.5)
    bar = figure.colorbar(mesh, ax=list(panels), fraction=0.03, pad=0.015, aspect=30, shrink=0.9)
    names = [f"1/{2**-tick:.0f}" if tick < 0 else f"{2**tick:.0f}" for tick in ticks]
    if highest >= MOST_DOUBLINGS:
        # What lies beyond has the colour of the end.
        names[0], names[-1] = f"≤ {names[0]}", f"≥ {names[-1]}"
    bar.set_ticks(list(ticks), labels=names)
    bar.set_label(words)
    bar.outline.set_visible(False)
