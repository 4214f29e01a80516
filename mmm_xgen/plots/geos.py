"""Plot that compares geos."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmm_xgen.dataset import in_memory
from mmm_xgen.formatting.words import count
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.panels import (
    MOST_ROWS,
    ROW,
    blank,
    headed,
    legend_below,
    line,
    log_axis,
    name_rows,
    page_of,
)
from mmm_xgen.plots.selection import (
    check_panel,
    currency_of,
    entries_of,
    group_channels,
    kpi_of,
    per_period,
    span_of,
    texts_of,
    thinned,
)
from mmm_xgen.plots.style import CHANNEL_COLOURS, format_numbers
from mmm_xgen.plots.tables import draw_cells
from mmm_xgen.plots.timelines import (
    DOT,
    DOT_EDGE,
    date_rows,
    draw_spread,
    has_truth,
    spread_entries,
    trace,
)
from mmm_xgen.truth.returns.roas import attribution

# Most geos that have a line each.
MOST_LINES = 4
# Ratio of the largest to the smallest value from which an axis is logarithmic.
WIDE = 12.0
BOX = (0.05, 0.25, 0.5, 0.75, 0.95)
MOST_NUMBERED = 20
PALEST = 0.55
ALIKE = 1.1
# Inches of height that a letter takes.
LETTER_ASLANT = 0.055


@in_memory
def plot_geos(
    ds: xr.Dataset, *, page: int = 1, figsize: tuple[float, float] | None = None
) -> Figure:
    """Compare geos: their sales over time, sales and spend in sum, and contributions of channels.

    Above, sales of each geo as an index of its own mean; for more than four geos their median and
    the span that holds 80% of them. Below, a row for each geo, the largest sales first.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        With ``y`` and ``spend``; contributions are shown where the truth is known.
    page : int
        Page of 40 geos; the series above are of all geos.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SchemaError
        If a variable is not there, or the Dataset has a further dim.
    ConfigError
        If there is no such page.

    Examples
    --------
    >>> import mmm_xgen
    >>> figure = plot_geos(mmm_xgen.generate_mmm_dataset())
    >>> [axes.get_label() for axes in figure.axes]
    ['index', 'sales', 'spend', 'contributions']
    """
    known = has_truth(ds, "mu", "channel_contribution")
    check_panel(ds, "y", "spend", *(("mu", "channel_contribution") if known else ()))
    sales = ds["y"].astype(float).mean("date")
    order = np.argsort(-sales.fillna(-np.inf).to_numpy(), kind="stable")
    names = [str(name) for name in ds["geo"].to_numpy()[order]]
    chosen = page_of(names, page, MOST_ROWS, "geos")
    texts = texts_of(ds, "geo")
    known_geos = [str(name) for name in ds["geo"].to_numpy()]
    shown = ds.isel(geo=[known_geos.index(name) for name in chosen.names])
    # Names of channels stand below their columns, aslant.
    names_below = LETTER_ASLANT * max(map(len, group_channels(ds).labels)) if known else 0.0
    rows = max(len(chosen.names), 3) * ROW + max(0.8, names_below)
    with blank(figsize, 4.1 + rows) as figure:
        figure.set_layout_engine("constrained", w_pad=0.09)
        grid = figure.add_gridspec(2, 1, height_ratios=[2.3, rows])
        top = figure.add_subplot(grid[0])
        entries = _draw_index(top, ds)
        widths = [1.25, 1.0, 1.6] if known else [1.25, 1.0]
        below = grid[1].subgridspec(1, len(widths), width_ratios=widths)
        panels = [figure.add_subplot(below[0, place]) for place in range(len(widths))]
        _draw_sales(panels[0], shown)
        _draw_spend(panels[1], shown)
        for axes in panels[:2]:
            name_rows(axes, [texts[name] for name in chosen.names])
        if known:
            _draw_contributions(panels[2], ds, shown, [texts[name] for name in chosen.names])
        for axes in panels[1:]:
            axes.tick_params(axis="y", labelleft=False)
        headline = _headline(sales.to_numpy(), [texts[name] for name in names], order)
        headed(figure, headline, count(len(names), "geo"), span_of(ds), chosen.note)
        if len(names) > 1:
            legend_below(figure, entries)
    return figure


def _headline(sales: FloatArray, names: list[str], order: np.ndarray) -> str:
    ranked = sales[order]
    if len(ranked) < 2:
        return "There is one geo: none to compare it with"
    if not ranked[-1] > 0:
        return "Geos compared"
    if ranked[0] < ALIKE * ranked[-1]:
        return "All geos sell nearly as much as each other"
    largest, smallest = names[0], names[-1]
    return f"{largest} sells {ranked[0] / ranked[-1]:.1f} times as much as {smallest}"


def _draw_index(axes: Axes, ds: xr.Dataset) -> dict[str, Artist]:
    """Draw sales over time, each geo's own mean as 100."""
    series, step = thinned(ds[["y"]].astype(float))
    dates = series["date"].to_numpy()
    mean = ds["y"].astype(float).mean("date")
    index = (100 * series["y"] / mean.where(mean != 0)).transpose("date", "geo").to_numpy()
    axes.set_label("index")
    axes.set_title("Sales over time, each geo's own mean as 100")
    axes.set_ylabel(per_period("index", ds, step) if step > 1 else "index")
    if index.shape[1] > MOST_LINES:
        draw_spread(axes, dates, index, width=1.4)
        entries = spread_entries(1.4)
    else:
        names = texts_of(ds, "geo").values()
        for values, colour in zip(index.T, CHANNEL_COLOURS, strict=False):
            trace(axes, dates, values, colour, width=1.3)
        lines = (line(colour, width=1.3) for colour in CHANNEL_COLOURS)
        entries = entries_of(zip(names, lines, strict=False))
    date_rows([axes])
    return entries


def _draw_sales(axes: Axes, ds: xr.Dataset) -> None:
    """Draw a box of each geo's sales: half of the dates in the box, 90% in the whiskers."""
    sales = ds["y"].astype(float).transpose("geo", "date").to_numpy()
    quantiles = _quantiles(sales)
    low, first, middle, third, high = quantiles
    rows = np.arange(len(sales))
    axes.set_label("sales")
    axes.set_title("How much they sell", fontsize=10)
    axes.set_xlabel(f"{per_period(kpi_of(ds), ds)}\n(box: half of the dates, line: 90%)")
    axes.hlines(rows, low, high, color=DOT_EDGE, linewidth=0.9)
    axes.barh(
        rows, third - first, 0.55, first, color=DOT, edgecolor=DOT_EDGE, linewidth=0.7, zorder=2
    )
    axes.vlines(middle, rows - 0.27, rows + 0.27, color=DOT_EDGE, linewidth=1.6, zorder=3)
    format_numbers(axes, "x")
    least, most = np.nanmin(quantiles, initial=np.inf), np.nanmax(quantiles, initial=-np.inf)
    if not np.isfinite(least):
        return
    if least > 0 and most > WIDE * least:
        log_axis(axes, "x", (0.8 * float(least), 1.25 * float(most)))
    else:
        axes.set_xlim(left=min(0.0, 1.05 * float(least)))


def _quantiles(sales: FloatArray) -> FloatArray:
    """Quantiles `BOX` of each row, dims (quantile, geo); NaN where there is no value."""
    quantiles = np.full((len(BOX), len(sales)), np.nan)
    there = np.isfinite(sales).any(axis=1)
    if there.any():
        quantiles[:, there] = np.nanquantile(sales[there], BOX, axis=1)
    return quantiles


def _draw_spend(axes: Axes, ds: xr.Dataset) -> None:
    """Draw spend by sales, a ratio that compares geos of any size."""
    spend = ds["spend"].astype(float).sum(("date", "channel"))
    sold = ds["y"].astype(float).sum("date")
    ratio = (spend / sold.where(sold > 0)).to_numpy()
    axes.set_label("spend")
    axes.set_title("How much they spend for it", fontsize=10)
    axes.set_xlabel(f"{currency_of(ds)} of spend\nfor each unit of {kpi_of(ds)}")
    axes.barh(range(len(ratio)), np.nan_to_num(ratio), color=DOT, height=0.62)
    axes.set_xlim(0, 1.08 * (np.nanmax(ratio, initial=0.0) or 1.0))
    axes.locator_params(axis="x", nbins=5)
    format_numbers(axes, "x")


def _draw_contributions(axes: Axes, ds: xr.Dataset, shown: xr.Dataset, rows: list[str]) -> None:
    """Draw the share of each channel in each geo's expected sales, in percent."""
    groups = group_channels(ds)
    parts = groups.sums(100 * attribution(shown, by=("geo", "channel")))
    shares = np.stack(list(parts.values()), axis=1)
    axes.set_label("contributions")
    axes.set_title("What channels contribute, % of expected sales", fontsize=10)
    top = float(np.nanmax(shares, initial=0.0)) or 1.0
    draw_cells(
        axes,
        shares,
        rows,
        groups.labels,
        texts=[[f"{value:.1f}" for value in row] for row in shares],
        colours="Blues",
        # The palest part of the colours: black numbers are readable on all of them.
        ends=(0.0, top / PALEST),
        size=8.5 if len(shares) <= MOST_NUMBERED else 7.5,
    )
    # Rows are as high as in the other panels.
    axes.set_ylim(len(rows) + 0.1, -0.1)
