"""Plots of spend over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mmm_xgen.dataset import in_memory
from mmm_xgen.formatting.amounts import short_number
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.panels import (
    DASHED,
    MOST_ROWS,
    ROW,
    Dates,
    band,
    canvas,
    legend_beside,
    line,
    name_rows,
    page_of,
    stack,
)
from mmm_xgen.plots.selection import (
    Groups,
    at_geo,
    check_panel,
    currency_of,
    group_channels,
    one_of,
    per_period,
    texts_of,
    thinned,
    where,
)
from mmm_xgen.plots.style import CHANNEL_COLOURS, FAINT, format_dates, format_numbers
from mmm_xgen.plots.tables import write_column
from mmm_xgen.plots.timelines import draw_lines

KINDS = ("lines", "area", "heatmap")
HEAT = LinearSegmentedColormap.from_list(
    "heat", ["#FFFFFF", CHANNEL_COLOURS[4], CHANNEL_COLOURS[0]]
)
# Width of the one column of a heatmap that has one date.
ONE_DATE = np.timedelta64(7, "D")


@in_memory
def plot_spend(
    ds: xr.Dataset,
    *,
    kind: Literal["lines", "area", "heatmap"] = "lines",
    geo: str | None = None,
    channels: Sequence[str] | None = None,
    page: int = 1,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw the spend of each channel over time.

    Lines and areas show the eight largest channels, and the rest as one. Where budget rules change
    the spend, lines show what was planned too. The heatmap has a row
    for each channel, on its own scale, so that small ones show their pattern too.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        With ``spend``, in currency per period; nothing else is needed.
    kind : {"lines", "area", "heatmap"}
        Lines from a common zero, areas on top of each other, or colours.
    geo : str, optional
        One geo; the sum over all by default.
    channels : sequence of str, optional
        Which channels; all by default.
    page : int
        Which forty channels of a heatmap, the largest first; 1 or more.
    ax : Axes, optional
        Where to draw; a new figure by default.
    figsize : tuple of float, optional
        Width and height in inches of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot.

    Raises
    ------
    ConfigError
        If `kind` is something else, there is no such page, or `channels` is empty.
    AlignmentError
        If there is no such geo or channel.
    SchemaError
        If there is no spend, or the Dataset has a further dim.

    Examples
    --------
    >>> import mmm_xgen
    >>> figure = plot_spend(mmm_xgen.generate_mmm_dataset())
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['Seasonal', 'On-Off', 'Trend']
    """
    one_of(kind, KINDS, "kind")
    check_panel(ds, "spend")
    groups = group_channels(ds, channels)
    names = [name for members in groups.members.values() for name in members]
    # What is summed to a few series is on one page.
    rows = page_of(names, page, MOST_ROWS if kind == "heatmap" else len(names), "channels")
    here = at_geo(ds, geo)
    drawn = ["spend", "spend_plan"] if kind == "lines" and "spend_plan" in ds else ["spend"]
    series, step = thinned(here[drawn].sum("geo"))
    spend, dates = series["spend"], series["date"].to_numpy()
    height = max(2.2, 1.3 + ROW * len(rows.names)) if kind == "heatmap" else 4.2
    with canvas(ax, figsize, height=height) as (figure, axes):
        if kind == "heatmap":
            texts = [groups.texts[name] for name in rows.names]
            _draw_heatmap(figure, axes, spend.sel(channel=rows.names), dates, texts)
            totals = here["spend"].sel(channel=rows.names).sum(("date", "geo")).to_numpy()
            texts = [short_number(total) if total > 0 else "no spend" for total in totals]
            write_column(axes, "", texts, indent=6)
        else:
            draw = draw_lines if kind == "lines" else _draw_areas
            draw(axes, dates, groups.sums(spend), groups)
            if "spend_plan" in series:
                _draw_plan(axes, dates, groups.sums(series["spend_plan"]), groups)
            axes.set_ylabel(per_period(currency_of(ds), ds, step))
            axes.set_ylim(bottom=0)
            format_numbers(axes, "y")
        title = _heading(ds, geo) if kind == "heatmap" else _title(ds, geo, names)
        axes.set_title(f"{title}\n{rows.note}" if rows.note else title)
        format_dates(axes)
    return figure


def _draw_plan(axes: Axes, dates: Dates, plan: Mapping[str, FloatArray], groups: Groups) -> None:
    """Draw planned spend, dashed, below the lines of actual spend."""
    for name, values in plan.items():
        look: Any = {"linestyle": DASHED, "linewidth": 0.9, "alpha": 0.7, "zorder": 1}
        axes.plot(dates, values, color=groups.colour[name], **look)
    lines = (line(groups.colour[name], width=1.3) for name in plan)
    legend_beside(axes, {**groups.entries(lines), "planned": line(FAINT, dashed=True)})


def _draw_areas(axes: Axes, dates: Dates, values: Mapping[str, FloatArray], groups: Groups) -> None:
    """Areas on top of each other, the largest channel on the axis; the legend in their order."""
    stack(axes, dates, list(values.values()), [groups.colour[name] for name in values])
    entries = groups.entries(band(groups.colour[name]) for name in values)
    legend_beside(axes, dict(reversed(entries.items())))


def _draw_heatmap(
    figure: Figure, axes: Axes, spend: xr.DataArray, dates: Dates, names: list[str]
) -> None:
    values = spend.transpose("channel", "date").to_numpy()
    highest = values.max(axis=1, keepdims=True, initial=0.0)
    # A row without spend is all white.
    shares = values / np.where(highest > 0, highest, 1.0)
    length = dates[-1] - dates[-2] if len(dates) > 1 else ONE_DATE
    edges = np.append(dates, dates[-1] + length)
    rows = np.arange(len(values) + 1) - 0.5
    mesh = axes.pcolormesh(edges, rows, shares, cmap=HEAT, vmin=0, vmax=1)
    name_rows(axes, names)
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.grid(visible=False)
    # Room for the first year, which mostly begins before the first date.
    axes.use_sticky_edges = False
    bar = figure.colorbar(mesh, ax=axes, pad=0.02, fraction=0.03, aspect=25)
    bar.set_label("share of the row's highest")
    bar.ax.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    bar.outline.set_visible(False)


def _heading(ds: xr.Dataset, geo: str | None) -> str:
    return f"When each channel spends{where(ds, geo)} (right: {currency_of(ds)} in all)"


def _title(ds: xr.Dataset, geo: str | None, names: list[str]) -> str:
    totals = at_geo(ds, geo)["spend"].sel(channel=names).sum(("date", "geo"))
    whole = float(totals.sum())
    if not whole > 0:
        return f"Spend{where(ds, geo)}: nothing was spent"
    amount = f"{currency_of(ds)} {short_number(whole)}"
    largest = totals["channel"].to_numpy()[int(totals.to_numpy().argmax())]
    name = texts_of(ds, "channel")[str(largest)]
    if len(names) == 1:
        return f"Spend on {name}{where(ds, geo)}: {amount}"
    share = float(totals.max()) / whole
    return f"Spend{where(ds, geo)}: {name} takes {share:.0%} of {amount}"
