"""Plot of the precision with which a dataset can identify the return of each channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from mmm_xgen.dataset import in_memory
from mmm_xgen.formatting.words import count
from mmm_xgen.plots.panels import (
    MOST_ROWS,
    ROW,
    band,
    canvas,
    dot,
    log_axis,
    marks,
    name_rows,
    page_of,
)
from mmm_xgen.plots.selection import by_size, check_panel, texts_of
from mmm_xgen.plots.style import FAINT, INK
from mmm_xgen.plots.tables import write_column
from mmm_xgen.truth.information.priors import Prior
from mmm_xgen.truth.information.recoverability import recoverability

GRADES = {
    "good": ("#117733", "o"),
    "fair": ("#999933", "s"),
    "poor": ("#CC6677", "D"),
    "weak": ("#882255", "^"),
    "not identified": (INK, "X"),
}
# Ends of the axis of standard errors; what is beyond stands at the edge.
SMALLEST, LARGEST = 0.01, 10.0
# Points from the panel to what stands beside it, past the marks at its edge.
EDGE = 14.0
# Points from the panel to a legend below the label of its axis.
UNDER_AXIS = 42.0
SHADES = ("#E3F0E6", "#F5F3DF")


@in_memory
def plot_information_bound(
    ds: xr.Dataset,
    *,
    prior: Prior = "pymc-marketing",
    page: int = 1,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw the smallest possible error of each channel's return, and its main cause.

    The full mark is the smallest relative standard error of the ROAS with the prior, the hollow
    mark without it. See `mmm_xgen.truth.recoverability` for both, the grades and the reasons.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        One generated Dataset.
    prior : mapping of str to float or DataArray, or "pymc-marketing", optional
        As for `mmm_xgen.truth.recoverability`.
    page : int, default 1
        Which 40 of the channels, the largest contribution first.
    ax : Axes, optional
        Where to draw.
    figsize : tuple of float, optional
        Width and height in inches of a new figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ConfigError
        If a prior is not of a free parameter, a geo has no noise, there is no such page, or both
        `ax` and `figsize` are given.
    SchemaError
        If a variable is not there, or the Dataset has a further dim.

    Examples
    --------
    >>> import mmm_xgen
    >>> figure = plot_information_bound(mmm_xgen.generate_mmm_dataset(seed=1))
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['Seasonal', 'On-Off', 'Trend']
    """
    check_panel(ds, "spend", "channel_contribution", "revenue_per_kpi", "effect")
    everything = recoverability(ds, prior=prior)
    chosen = page_of(by_size(ds), page, MOST_ROWS, "channels")
    found = everything.sel(channel=chosen.names)
    texts = texts_of(ds, "channel")
    rows = [texts[name] for name in chosen.names]
    with canvas(ax, figsize, height=1.5 + 1.1 * ROW * max(len(rows), 2)) as (figure, axes):
        _draw_bounds(axes, found)
        name_rows(axes, rows)
        axes.set_xlabel("smallest relative standard error of the ROAS (log scale)")
        grades = [str(grade) for grade in found["grade"].to_numpy()]
        after = write_column(axes, "grade", grades, indent=EDGE)
        write_column(axes, "reason", _reasons(found, texts), indent=after)
        told = np.isin(everything["grade"].to_numpy(), ["good", "fair"])
        whom = f"{int(told.sum())} of {count(told.size, 'channel')}"
        title = f"The return of {whom} can be told to within {found.attrs['fair']:.0%}"
        axes.set_title(f"{title}\n{chosen.note}" if chosen.note else title)
        _explain_bounds(axes, found)
    return figure


def _draw_bounds(axes: Axes, found: xr.Dataset) -> None:
    """Draw marks with and without the prior, on the axis or at its end."""
    both = [found[name].to_numpy() for name in ("roas_bound", "roas_bound_without_prior")]
    known = np.concatenate(both)
    known = known[np.isfinite(known) & (known > 0)]
    good, fair = float(found.attrs["good"]), float(found.attrs["fair"])
    low = max(SMALLEST, min(0.8 * float(known.min(initial=good)), 0.5 * good))
    high = min(LARGEST, max(1.3 * float(known.max(initial=fair)), 4 * fair))
    log_axis(axes, "x", (low, high))
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    axes.axvspan(low, good, color=SHADES[0], linewidth=0, zorder=0)
    axes.axvspan(good, fair, color=SHADES[1], linewidth=0, zorder=0)
    places = np.arange(found.sizes["channel"])
    prior, alone = (np.clip(np.nan_to_num(each, nan=high), low, high) for each in both)
    axes.hlines(places, prior, alone, color=FAINT, linewidth=1.2)
    grades = found["grade"].to_numpy()
    for grade, (colour, marker) in GRADES.items():
        at = np.flatnonzero(grades == grade)
        if not at.size:
            continue
        hollow: Any = {"markerfacecolor": "white", "markersize": 5.5, "linestyle": "none"}
        axes.plot(alone[at], at, marker, color=colour, clip_on=False, **hollow)
        marks(axes, prior[at], at, colour, marker=marker, size=7, label=grade, whole=True)


def _reasons(found: xr.Dataset, names: Mapping[str, str]) -> list[str]:
    """Write the reasons, with long names of channels shortened."""
    texts = zip(found["reason"].to_numpy(), found["collinear_with"].to_numpy(), strict=True)
    return [
        f"collinear with {names[str(partner)]}"
        if reason == f"collinear with {partner}"
        else str(reason).replace("$", r"\$")
        for reason, partner in texts
    ]


def _explain_bounds(axes: Axes, found: xr.Dataset) -> None:
    """Draw the legend below the panel: the reasons stand beside it."""
    there = set(map(str, found["grade"].to_numpy()))
    entries = {grade: dot(*look) for grade, look in GRADES.items() if grade in there}
    entries["without the prior (at the edge: beyond)"] = dot(INK, hollow=True)
    entries[f"good: at most {found.attrs['good']:.0%}"] = band(SHADES[0])
    entries[f"fair: at most {found.attrs['fair']:.0%}"] = band(SHADES[1])
    figure = axes.get_figure(root=True)
    down = ScaledTranslation(0, -UNDER_AXIS / 72, figure.dpi_scale_trans)  # type: ignore[union-attr]
    axes.legend(
        list(entries.values()),
        list(entries),
        loc="upper left",
        bbox_to_anchor=(0.0, 0.0),
        bbox_transform=axes.transAxes + down,
        ncols=len(entries),
        borderaxespad=0.0,
        columnspacing=1.6,
    )
