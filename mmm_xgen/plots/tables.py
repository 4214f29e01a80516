"""Tables in plots: columns of text beside rows, and cells with colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from mmm_xgen.formatting.amounts import ratio
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.style import FAINT

# Cells with a number in them are not narrower than this.
MOST_NUMBERS = 10
# Names of more columns stand upright.
MOST_ASLANT = 20
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
    look: Any = {"textcoords": "offset points", "fontsize": 8.5}
    for row, text in enumerate(texts):
        axes.annotate(text, (1.0, row), xycoords=beside, xytext=(indent, 0), va="center", **look)
    if header:
        look |= {"xycoords": "axes fraction", "xytext": (indent, 3), "va": "bottom"}
        axes.annotate(header, (1.0, 1.0), color=FAINT, **look)
    return indent + 14 + POINTS * max(map(len, [header, *texts]))


def draw_cells(
    axes: Axes,
    values: FloatArray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    texts: Sequence[Sequence[str]] | None,
    colours: str,
    ends: tuple[float, float],
    size: float = 8.0,
) -> QuadMesh:
    """Draw a table as colours, with `texts` in the cells that have a value.

    The cell of row i and column j is centred at (j + 0.5, i + 0.5), with row 0 at the top.

    Parameters
    ----------
    axes : Axes
        An empty panel.
    values : array, dims (row, column)
        NaN leaves the cell without a colour.
    rows, columns : sequence of str
        Names as plain text; none for names that are not written.
    texts : sequence of sequences of str, optional
        Text of each cell.
    colours : str
        Name of a colour map.
    ends : tuple of float
        Values at both ends of the colours.
    size : float
        Of the texts, in points.

    Examples
    --------
    >>> from mmm_xgen.plots.panels import canvas
    >>> cells = np.array([[1.0, np.nan]])
    >>> with canvas(None, None) as (figure, axes):
    ...     _ = draw_cells(
    ...         axes, cells, ["TV"], ["a", "b"], texts=[["1", "-"]], colours="Blues", ends=(0, 1)
    ...     )
    >>> [text.get_text() for text in axes.texts]
    ['1']
    """
    import seaborn as sns

    sns.heatmap(
        values,
        ax=axes,
        annot=False if texts is None else np.array(texts),
        fmt="",
        annot_kws={"size": size},
        cmap=colours,
        vmin=ends[0],
        vmax=ends[1],
        linewidths=0.6,
        cbar=False,
        xticklabels=False,
        yticklabels=False,
    )
    axes.set_yticks(np.arange(len(rows)) + 0.5, list(rows))
    turned = len(columns) > MOST_ASLANT
    axes.set_xticks(
        np.arange(len(columns)) + 0.5,
        list(columns),
        rotation=90 if turned else 40,
        ha="center" if turned else "right",
        rotation_mode="default" if turned else "anchor",
    )
    axes.tick_params(length=0)
    axes.grid(visible=False)
    mesh: QuadMesh = axes.collections[0]  # type: ignore[assignment]
    return mesh


def draw_ratios(
    axes: Axes, values: FloatArray, rows: Sequence[str], columns: Sequence[str], doublings: float
) -> QuadMesh:
    """Draw a table of ratios as colours, white at 1; grey where there is none.

    Parameters
    ----------
    axes : Axes
        An empty panel.
    values : array, dims (row, column)
        Or NaN; negative values have the colour of 0.
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
    # 0 has no logarithm, and gets the colour at the end.
    with np.errstate(divide="ignore"):
        shades = np.clip(np.log2(np.maximum(values, 0.0)), -doublings, doublings)
    axes.set_facecolor("#D5D5D5")
    few = values.shape[1] <= MOST_NUMBERS
    texts = [[ratio(value) for value in row] for row in values] if few else None
    ends = (-doublings, doublings)
    return draw_cells(axes, shades, rows, columns, texts=texts, colours="RdBu", ends=ends)


def doublings_of(*tables: FloatArray) -> float:
    """Choose the number of doublings that the colours of ratios span, for all tables alike.

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
    """Draw the scale of the colours of ratios, with the ratios as ticks."""
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
