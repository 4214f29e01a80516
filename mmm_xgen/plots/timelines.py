"""Series over time: lines, rows on one scale, spread over geos, and texts for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mmm_xgen.formatting.amounts import signed_share
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.panels import DASHED, Dates, area, band, blank, headed, legend_beside, line
from mmm_xgen.plots.selection import Groups, texts_of
from mmm_xgen.plots.style import CHANNEL_COLOURS, format_dates, format_numbers, plain_texts
from mmm_xgen.schema import takes_datasets

DOT, DOT_EDGE = CHANNEL_COLOURS[4], CHANNEL_COLOURS[0]
# Least height of a row on a shared scale, as a share of the tallest: room for its title.
LEAST_HEIGHT = 0.26
TALLEST = 2.6
BETWEEN_ROWS = 0.42
SCALE = "all rows on one scale"
SALES = "sales (y)"
# Smallest value of an on-off control when it is on, as a share of its largest.
WELL_AWAY = 0.1
# Quantiles over geos.
SPREAD = (0.1, 0.5, 0.9)


@takes_datasets
def has_truth(ds: xr.Dataset, *names: str) -> bool:
    """Tell if a dataset has all these variables; observed data do not have the truth.

    Examples
    --------
    >>> import mmm_xgen
    >>> has_truth(mmm_xgen.generate_mmm_dataset(), "mu", "noise")
    True
    """
    return all(name in ds for name in names)


def place_of(ds: xr.Dataset, geo: str | None) -> str:
    """Name the geos that a series is of.

    Examples
    --------
    >>> import mmm_xgen
    >>> place_of(mmm_xgen.generate_mmm_dataset(), None)
    'sum of 2 geos'
    """
    if geo is None and ds.sizes["geo"] > 1:
        return f"sum of {ds.sizes['geo']} geos"
    return texts_of(ds, "geo")[str(ds["geo"].to_numpy()[0]) if geo is None else geo]


def trace(
    axes: Axes,
    dates: Dates,
    values: FloatArray,
    colour: str,
    *,
    width: float = 1.5,
    dashed: bool = False,
) -> Line2D:
    """Draw a line over time; with marks if no two neighbouring dates have a value."""
    there = np.isfinite(values)
    alone = not (there[1:] & there[:-1]).any()
    (drawn,) = axes.plot(
        dates,
        values,
        color=colour,
        linewidth=width,
        linestyle=DASHED if dashed else "-",
        marker=("_" if dashed else "o") if alone else None,
        markersize=5,
    )
    return drawn


@contextmanager
def even_rows(
    shown: Sequence[FloatArray], figsize: tuple[float, float] | None
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Provide panels below each other on one scale: one unit has the same height in all.

    Parameters
    ----------
    shown : sequence of ndarray
        All values that each panel must show.
    figsize : tuple of float, optional
        Width and height in inches.

    Examples
    --------
    >>> with even_rows([np.array([0.0, 10.0]), np.array([50.0, 55.0])], None) as (_, panels):
    ...     [round(float(np.ptp(axes.get_ylim())), 9) for axes in panels]
    [11.2, 5.6]
    """
    ends = [_ends(values) for values in shown]
    spans = np.array([high - low for low, high in ends])
    largest = spans.max() if spans.max() > 0 else max(abs(high) for _, high in ends) or 1.0
    heights = np.maximum(1.12 * spans, LEAST_HEIGHT * largest)
    # The layout engine ends the process if ratios of heights are next to the smallest number.
    shares = heights / heights.max()
    inches = TALLEST * shares
    with blank(figsize, 1.3 + float(inches.sum()) + BETWEEN_ROWS * len(inches)) as figure:
        grid = figure.subplots(len(ends), 1, sharex=True, squeeze=False, height_ratios=shares)
        rows = list(grid[:, 0])
        for axes, (low, high), height in zip(rows, ends, heights, strict=True):
            middle = (low + high) / 2
            axes.set_ylim(middle - height / 2, middle + height / 2)
            axes.locator_params(axis="y", nbins=max(2, round(5 * height / heights.max())))
            format_numbers(axes, "y")
        yield figure, rows


def _ends(values: FloatArray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def date_rows(rows: Sequence[Axes]) -> None:
    """Write the dates of panels below each other once, under the last."""
    for axes in rows:
        # There is no axis of dates where every value is missing.
        if np.isfinite(axes.dataLim.intervalx).all():
            format_dates(axes)
        else:
            axes.set_xticks([])
        axes.tick_params(axis="x", labelbottom=axes is rows[-1])


def around_zero(axes: Axes, dates: Dates, values: FloatArray) -> None:
    """Draw the area between a series and zero."""
    area(axes, dates, 0.0, values, DOT)
    trace(axes, dates, values, DOT_EDGE, width=0.9)


def share_of(part: FloatArray, whole: FloatArray) -> str:
    """Write a part of a positive sum in percent.

    Examples
    --------
    >>> share_of(np.array([1.0, 1.0]), np.array([3.0, 5.0]))
    '25%'
    """
    total = float(np.nansum(whole))
    return f"{np.nansum(part) / total:.0%}" if total > 0 else "no share"


def swing(values: FloatArray, whole: float, digits: int = 0) -> str:
    """Write the range of a series in percent of a whole; empty unless the whole is positive.

    Examples
    --------
    >>> swing(np.array([0.0, -5.0, 10.0]), 100.0)
    '-5% to +10%'
    >>> swing(np.array([0.0, 10.0]), 100.0)
    '0% to +10%'
    """
    if not whole > 0:
        return ""
    ends = (float(end(values)) / whole for end in (np.min, np.max))
    return " to ".join(signed_share(end, digits) for end in ends)


def dots(axes: Axes, dates: Dates, values: FloatArray, label: str | None = None) -> None:
    """Draw a dot for each observed value."""
    many = len(dates) > 400
    axes.plot(
        dates,
        values,
        "o",
        color=DOT,
        markeredgecolor=DOT_EDGE,
        markeredgewidth=0 if many else 0.4,
        markersize=2 if many else 4,
        label=label,
    )


def spread_of(cells: FloatArray) -> FloatArray:
    """Quantiles `SPREAD` over geos.

    Parameters
    ----------
    cells : ndarray (date, geo)
        NaN is missing.

    Returns
    -------
    ndarray (quantile, date)
        NaN on dates without any value.

    Examples
    --------
    >>> spread_of(np.array([[1.0, 3.0, np.nan], [np.nan] * 3])).tolist()
    [[1.2, nan], [2.0, nan], [2.8, nan]]
    """
    there = np.isfinite(cells).any(axis=1)
    quantiles = np.full((len(SPREAD), len(cells)), np.nan)
    # Where some geos have 0, a value between 0 and the next would be of no geo.
    method: Any = "nearest" if (cells == 0).any() else "linear"
    if there.any():
        quantiles[:, there] = np.nanquantile(cells[there], SPREAD, axis=1, method=method)
    return quantiles


def draw_spread(axes: Axes, dates: Dates, cells: FloatArray, *, width: float) -> bool:
    """Draw the median over geos and the span that holds 80% of them; tell if there are several."""
    low, middle, high = spread_of(cells)
    several = bool(cells.shape[1] > 1)
    if several:
        area(axes, dates, low, high, DOT)
    trace(axes, dates, middle, DOT_EDGE, width=width)
    return several


def spread_entries(width: float) -> dict[str, Artist]:
    """Entries of a legend for what `draw_spread` draws of several geos."""
    return {"median of geos": line(DOT_EDGE, width=width), "80% of geos": band(DOT)}


def is_switch(cells: FloatArray) -> bool:
    """Tell whether a control is on or off, such as a promotion: 0, or well away from it.

    Examples
    --------
    >>> is_switch(np.array([0.0, 0.9, 1.1, np.nan])), is_switch(np.array([0.0, 0.01, 1.0]))
    (True, False)
    """
    sizes = np.abs(cells[np.isfinite(cells)])
    there = sizes[sizes > 0]
    return 0 < there.size < sizes.size and bool(there.min() >= WELL_AWAY * there.max())


def switches(axes: Axes, dates: Dates, cells: FloatArray) -> FloatArray:
    """Draw the number of geos in which a control is on, as steps.

    Parameters
    ----------
    axes : Axes
        The panel.
    dates : ndarray (date,)
        First days of the periods.
    cells : ndarray (date, geo)
        0 or another value; NaN is missing.

    Returns
    -------
    ndarray (date,)
        What is drawn: the value itself if there is one geo, else a number of geos.

    Examples
    --------
    >>> from mmm_xgen.plots.panels import canvas
    >>> with canvas(None, None) as (figure, axes):
    ...     days = np.array(["2022-01-03", "2022-01-10"], "M8[D]")
    ...     switches(axes, days, np.array([[1.0, 0.0], [1.0, 1.0]]))
    array([1., 2.])
    """
    there = np.isfinite(cells).any(axis=1)
    several = cells.shape[1] > 1
    drawn = (np.nan_to_num(cells) != 0).sum(axis=1) if several else cells[:, 0]
    drawn = np.where(there, drawn, np.nan)
    if len(dates) == 1:
        axes.bar(dates, drawn, color=DOT_EDGE, width=1.0)
    else:
        axes.fill_between(dates, 0.0, drawn, step="post", color=DOT, linewidth=0)
        axes.step(dates, drawn, where="post", color=DOT_EDGE, linewidth=0.9)
    if several:
        axes.set_ylabel("geos where on")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_ylim(0, 1.05 * cells.shape[1])
    return drawn


def without_panels(words: str, figsize: tuple[float, float] | None) -> Figure:
    """Make a page that says in one line why there is nothing to see.

    Examples
    --------
    >>> without_panels("This dataset has no controls", None).get_suptitle()
    'This dataset has no controls'
    """
    with blank(figsize, 0.8) as figure:
        headed(figure, words)
    return figure


def role_names(names: Sequence[str], roles: Sequence[str]) -> list[str]:
    """Name all variables of a dataset for a plot.

    Examples
    --------
    >>> role_names(["y", "TV", "Price", "Price"], ["y", "channel", "channel", "control"])
    ['sales (y)', 'TV', 'Price', 'Price (control)']
    """
    texts = plain_texts(names)
    channels = {name for name, role in zip(names, roles, strict=True) if role == "channel"}
    return [
        SALES
        if role == "y"
        else f"{texts[name]} ({role})"
        if role == "control" and name in channels
        else texts[name]
        for name, role in zip(names, roles, strict=True)
    ]


def draw_lines(axes: Axes, dates: Dates, values: Mapping[str, FloatArray], groups: Groups) -> None:
    """Draw a line for each group; dots if there is one date."""
    one = "o" if len(dates) == 1 else None
    for name in reversed(list(values)):
        series, colour = values[name], groups.colour[name]
        axes.plot(dates, series, color=colour, linewidth=1.3, marker=one, markersize=5, label=name)
    colours = (groups.colour[name] for name in values)
    legend_beside(axes, groups.entries(line(colour) for colour in colours))
