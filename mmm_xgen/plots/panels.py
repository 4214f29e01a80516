"""Building blocks of plots: pages, panels, titles, legends, rows and marks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from mmm_xgen.errors import ConfigError
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.style import INK, STYLE, format_numbers

Dates = NDArray[np.datetime64]

DASHED: Any = (0, (4, 2))
MOST_PANELS = 12
# Rows on one page.
MOST_ROWS = 40
WIDTH = 12.0
ROW = 0.27
# Inches that an entry of a legend takes without its name, and for each letter of it.
ENTRY, LETTER = 0.75, 0.08
# Ratio of the ends of a log axis up to which there is room for more than powers of 10.
NARROW = 300.0


@dataclass(frozen=True)
class Page:
    """Names on one page of a plot, and a note on which they are; no note on a single page."""

    names: list[str]
    note: str


def page_of(names: Sequence[str], page: int, size: int, noun: str) -> Page:
    """Choose the names on one page.

    Parameters
    ----------
    names : sequence of str
        All of them.
    page : int
        1 or more.
    size : int
        Names a page.
    noun : str
        What they are, in the plural.

    Raises
    ------
    ConfigError
        If there is no such page.

    Examples
    --------
    >>> page_of(["a", "b", "c"], 2, 2, "geos")
    Page(names=['c'], note='geos 3 to 3 of 3, page 2 of 2')
    """
    pages = max(1, -(-len(names) // size))
    if not 1 <= page <= pages:
        raise ConfigError(f"found {page}, allowed: 1 to {pages}", path="page")
    first = (page - 1) * size
    kept = list(names[first : first + size])
    note = f"{noun} {first + 1} to {first + len(kept)} of {len(names)}, page {page} of {pages}"
    return Page(kept, note if pages > 1 else "")


@contextmanager
def canvas(
    ax: Axes | None, figsize: tuple[float, float] | None, *, height: float = 4.2
) -> Iterator[tuple[Figure, Axes]]:
    """Provide figure and axes for a plot of one panel: those given, or new ones.

    Parameters
    ----------
    ax : Axes, optional
        Where to draw.
    figsize : tuple of float, optional
        Width and height in inches of a new figure.
    height : float
        Height in inches unless `figsize` says otherwise.

    Raises
    ------
    ConfigError
        If both are given: the figure that `ax` is in has its size.

    Examples
    --------
    >>> with canvas(None, (6, 3)) as (figure, axes):
    ...     _ = axes.set_title("Spend")
    >>> [float(inches) for inches in figure.get_size_inches()]
    [6.0, 3.0]
    """
    if ax is not None and figsize is not None:
        raise ConfigError("give ax or figsize: the figure of ax has its size", path="figsize")
    with mpl.rc_context(STYLE):
        if ax is None:
            figure = Figure(figsize=figsize or (WIDTH, height), layout="constrained")
            ax = figure.add_subplot()
        else:
            figure = ax.get_figure(root=True)  # type: ignore[assignment]
        yield figure, ax


@contextmanager
def blank(
    figsize: tuple[float, float] | None, height: float, width: float = WIDTH
) -> Iterator[Figure]:
    """Provide a figure without panels; `figsize` overrides its width and height."""
    with mpl.rc_context(STYLE):
        yield Figure(figsize=figsize or (width, height), layout="constrained")


@contextmanager
def new_panels(
    n: int, *, figsize: tuple[float, float] | None, height: float = 2.6
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Provide a figure with `n` panels in a grid as wide as a page."""
    columns = 1 if n == 1 else 2 if n in (2, 4) else 3
    rows = -(-n // columns)
    # A single panel is the only thing to look at.
    tall = 1.6 * height if n == 1 else height
    with blank(figsize, 1.2 + rows * tall) as figure:
        yield figure, [figure.add_subplot(rows, columns, place + 1) for place in range(n)]


def label_edges(panels: Sequence[Axes], across: str, up: str) -> None:
    """Label the axes of a grid where a row starts and where a column ends."""
    for position, axes in enumerate(panels):
        place = axes.get_subplotspec()
        columns = place.get_gridspec().ncols if place is not None else 1
        if position % columns == 0:
            axes.set_ylabel(up)
        if position + columns >= len(panels):
            axes.set_xlabel(across)


def headed(figure: Figure, title: str, *notes: str) -> None:
    """Write the title at the left, and the notes that are not empty in a second line."""
    lines = filter(None, [title, "  ·  ".join(filter(None, notes))])
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=12, color=INK)


def legend_below(figure: Figure, entries: Mapping[str, Artist]) -> None:
    """Draw a legend below all panels, in as many columns as there is room.

    The number of letters of the longest entry decides the width of a column.
    """
    widths = [ENTRY + LETTER * len(name) for name in entries]
    room = figure.get_figwidth()
    columns = len(entries) if sum(widths) <= room else max(1, int(room / max(widths)))
    legend = figure.legend(
        list(entries.values()),
        [""] * len(entries),
        loc="outside lower left",
        ncols=columns,
        columnspacing=2.0,
    )
    _name(legend, entries)


def legend_beside(axes: Axes, entries: Mapping[str, Artist]) -> None:
    """Draw the legend of one panel to its right."""
    legend = axes.legend(
        list(entries.values()),
        [""] * len(entries),
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0.0,
    )
    _name(legend, entries)


def _name(legend: Legend, entries: Mapping[str, Artist]) -> None:
    # matplotlib leaves out a name that begins with an underscore if it is passed to legend().
    for text, name in zip(legend.get_texts(), entries, strict=True):
        text.set_text(name)


def line(colour: str, *, dashed: bool = False, width: float = 1.8) -> Artist:
    """Make a line for a legend."""
    return Line2D([], [], color=colour, linestyle=DASHED if dashed else "-", linewidth=width)


def dot(colour: str, marker: str = "o", *, hollow: bool = False) -> Artist:
    """Make a mark for a legend."""
    inside = "white" if hollow else colour
    look: Any = {"linestyle": "none", "markersize": 5, "markerfacecolor": inside}
    return Line2D([], [], color=colour, marker=marker, **look)


def band(colour: str, alpha: float = 1.0) -> Artist:
    """Make an area for a legend."""
    return Patch(facecolor=colour, alpha=alpha)


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Write the names of rows, which are plain text, from above; no lines between them."""
    axes.set_yticks(range(len(names)), list(names))
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def marks(
    axes: Axes,
    x: Any,
    y: Any,
    colour: str,
    *,
    marker: str = "o",
    size: float = 5.5,
    label: str | None = None,
    whole: bool = False,
) -> None:
    """Draw marks with a white edge where both values are finite.

    The panel does not cut `whole` ones at its edge.
    """
    x, y = (np.asarray(values, dtype=float) for values in np.broadcast_arrays(x, y))
    there = np.isfinite(x) & np.isfinite(y)
    # The layout breaks down over an empty line that is not cut.
    if there.any():
        axes.plot(
            x[there],
            y[there],
            marker,
            color=colour,
            markersize=size,
            markeredgecolor="white",
            markeredgewidth=0.1 * size,
            label=label,
            clip_on=not whole,
            zorder=3,
        )


def write_beside(axes: Axes, ends: Any, texts: Iterable[str], *, gap: float = 5.0) -> None:
    """Write a text to the right of the end of each row, on white."""
    for row, (end, text) in enumerate(zip(ends, texts, strict=True)):
        axes.annotate(
            text,
            (float(end), row),
            xytext=(gap, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )


def span(*values: Any) -> tuple[float, float]:
    """Return the lowest and highest of all finite values and 0.

    Examples
    --------
    >>> span(np.array([2.0, np.inf]), [np.nan, -1.0])
    (-1.0, 2.0)
    """
    every = np.concatenate([np.ravel(each) for each in values]).astype(float)
    finite = every[np.isfinite(every)]
    return float(finite.min(initial=0.0)), float(finite.max(initial=0.0))


def log_axis(axes: Axes, axis: str, ends: tuple[float, float]) -> None:
    """Make the axis ``"x"`` or ``"y"`` logarithmic, with plain numbers at 1, 2 and 5."""
    if axis == "x":
        axes.set_xscale("log")
        axes.set_xlim(ends)
    else:
        axes.set_yscale("log")
        axes.set_ylim(ends)
    chosen = axes.xaxis if axis == "x" else axes.yaxis
    steps = (1.0, 2.0, 5.0) if ends[1] < NARROW * ends[0] else (1.0,)
    chosen.set_major_locator(LogLocator(subs=steps))
    chosen.set_minor_formatter(NullFormatter())
    format_numbers(axes, axis)


def stack(axes: Axes, dates: Dates, layers: Sequence[FloatArray], fill: list[str]) -> float:
    """Draw areas on top of each other, the first on the axis; negative values hang below it.

    Returns
    -------
    float
        The lowest value drawn, 0 at most.

    Examples
    --------
    >>> layers = [np.array([3.0, 3.0]), np.array([2.0, -1.0])]
    >>> with canvas(None, None) as (figure, axes):
    ...     stack(axes, np.array(["2022-01-03", "2022-01-10"], "M8[D]"), layers, ["C0", "C1"])
    -1.0
    """
    top, bottom = np.zeros(len(dates)), np.zeros(len(dates))
    for layer, colour in zip(layers, fill, strict=True):
        above, below = np.maximum(layer, 0.0), np.minimum(layer, 0.0)
        hangs = bool((layer < 0).any())
        if not hangs or (layer > 0).any():
            area(axes, dates, top, top + above, colour)
        if hangs:
            area(axes, dates, bottom, bottom + below, colour)
        top, bottom = top + above, bottom + below
    return float(np.nanmin(bottom, initial=0.0))


def area(axes: Axes, dates: Dates, low: FloatArray | float, high: FloatArray, colour: str) -> None:
    """Draw the area between two series; a bar if there is one date."""
    if len(dates) == 1:
        axes.bar(dates, high - low, bottom=low, color=colour, width=1.0)
        return
    # The thin edge closes the hairlines that anti-aliasing leaves between areas.
    axes.fill_between(dates, low, high, facecolor=colour, edgecolor=colour, linewidth=0.2)
