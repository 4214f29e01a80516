"""What the pictures of the benchmark share: pages, panels, intervals with the truth, files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter

from mmm_xgen.atomic import atomic_path
from mmm_xgen.errors import ConfigError
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.style import CHANNEL_COLOURS, INK, RISK, format_numbers

ESTIMATE, BAND, TRUTH, MISSED = CHANNEL_COLOURS[0], CHANNEL_COLOURS[4], INK, RISK
SHADE = "#F4EEDC"
DASHED: Any = (0, (4, 2))
OPAQUE = 0.6
# With the eight colours they make 56 that differ.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
MOST_PANELS = 12
# Pages of rows: more of them are no longer one picture.
MOST_ROWS = 40
WIDTH = 12.0
# Of a dataset and a model, in the name of a row.
BETWEEN = " · "
ROW = 0.27
DPI = 110
# Inches that an entry of a legend takes without its name, and for each letter of it.
ENTRY, LETTER = 0.75, 0.08
# Ratio of the ends of a log axis up to which there is room for more than powers of 10.
NARROW = 300.0


@dataclass(frozen=True)
class Page:
    """Some of many names, and a note which they are; no note if they are all."""

    names: list[str]
    note: str


def page_of(names: Sequence[str], page: int, size: int, noun: str) -> Page:
    """Names of one page.

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


def model_text(name: str) -> str:
    r"""Name of a model or dataset as matplotlib writes it out: whole, since only ends differ.

    Examples
    --------
    >>> model_text("pymc-published-nutpie-lift"), model_text("$ols$")
    ('pymc-published-nutpie-lift', '\\$ols\\$')
    """
    return name.replace("$", r"\$")


def new_panels(
    n: int, *, figsize: tuple[float, float] | None, height: float = 2.6
) -> tuple[Figure, list[Axes]]:
    """Figure with `n` panels in a grid as wide as a page."""
    columns = 1 if n == 1 else 2 if n <= 4 else 3
    rows = -(-n // columns)
    # A single panel is the only thing to look at.
    tall = 1.6 * height if n == 1 else height
    size = figsize or (WIDTH, 1.2 + rows * tall)
    figure = Figure(figsize=size, layout="constrained")
    grid = [figure.add_subplot(rows, columns, place + 1) for place in range(n)]
    return figure, grid


def headed(figure: Figure, title: str, note: str = "") -> None:
    """Write the title at the left, and what is shown in a second, smaller line."""
    figure.suptitle(
        f"{title}\n{note}" if note else title, x=0.01, ha="left", fontsize=12, color=INK
    )


def legend_below(figure: Figure, entries: dict[str, Artist]) -> None:
    """Legend outside of all panels, where it covers nothing, in as many columns as there is room.

    Columns are as wide as their longest entry, which is estimated from its letters.
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
    # matplotlib leaves out a name that begins with an underscore if it is passed to legend().
    for text, name in zip(legend.get_texts(), entries, strict=True):
        text.set_text(name)


def line(colour: str, *, dashed: bool = False, width: float = 1.8) -> Line2D:
    """Line of a legend."""
    return Line2D([], [], color=colour, linestyle=DASHED if dashed else "-", linewidth=width)


def dot(colour: str, marker: str = "o") -> Line2D:
    """Mark of a legend."""
    return Line2D([], [], color=colour, marker=marker, linestyle="none", markersize=5)


def band(colour: str, alpha: float = 1.0) -> Patch:
    """Area of a legend."""
    return Patch(facecolor=colour, alpha=alpha)


MEDIAN, INNER, OUTER = "median", "50% interval", "94% interval"
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
    """One row an interval, from above, with the truth on it.

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
    axes.plot(middle, rows, "o", color=ESTIMATE, markersize=4.5, markeredgecolor="white")
    inside = (low <= truth) & (truth <= high)
    for chosen, colour, name in ((inside, TRUTH, INSIDE), (~inside, MISSED, OUTSIDE)):
        axes.plot(
            np.where(chosen, truth, np.nan),
            rows,
            "D",
            color=colour,
            markersize=5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            label=name,
            zorder=4,
        )
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Write the names of rows, which are plain text, from above."""
    axes.set_yticks(range(len(names)), list(names))
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.4, -0.6)


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


def save(figure: Figure, path: Path) -> Path:
    """Write a picture whole or not at all; the same picture is the same file."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DPI)
    return path
