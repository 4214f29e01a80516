"""Plots of adstock and saturation: the stages from spend to response."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import SchemaError
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.panels import (
    DASHED,
    MOST_PANELS,
    Dates,
    area,
    band,
    blank,
    headed,
    label_edges,
    legend_below,
    line,
    new_panels,
    page_of,
    span,
)
from mmm_xgen.plots.selection import (
    at_geo,
    check_panel,
    currency_of,
    group_channels,
    per_period,
    period_of,
    texts_of,
    thinned,
    where,
)
from mmm_xgen.plots.style import INK, OTHER_COLOUR, format_dates, format_numbers
from mmm_xgen.truth.returns.shape import half_of_effect

# Rows of three panels that fit on a page.
MOST_STAGES = 6
# Letters of a name beside a row of panels.
NAME_WIDTH = 15
STAGES = ("spend", "carryover", "saturated")
WORDS = {"spend": "Spend", "carryover": "Carried over", "saturated": "Saturated"}
NO_CURVE = "not known of a sum\nover geos or time"
SMOOTHED = "#D5D9E0"
OPAQUE = 0.25
# Share of its peak below which a weight is no more than a line on the axis.
VISIBLE = 0.003


@in_memory
def plot_response_stages(
    ds: xr.Dataset,
    *,
    geo: str | None = None,
    channels: Sequence[str] | None = None,
    page: int = 1,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw the spend of each channel, its adstock, and its saturated response.

    Each channel has a row. Spend and its adstock share a scale, and the spend is drawn in grey
    behind the adstock. With ``adstock_first=False`` the saturated response is the second column.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        With ``spend`` and ``carryover``, currency per period, and ``saturated``, response per
        unit of effect.
    geo : str, optional
        One geo. By default the sum over all of what is in currency, and the mean over all,
        by ``effect``, of what is a response.
    channels : sequence of str, optional
        Which channels; all by default.
    page : int
        Which six channels, the largest first; 1 or more.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot.

    Raises
    ------
    ConfigError
        If there is no such page, or `channels` is empty.
    AlignmentError
        If there is no such geo or channel.
    SchemaError
        If a variable is not there, or the Dataset has a further dim.

    Examples
    --------
    >>> import mmm_xgen
    >>> figure = plot_response_stages(mmm_xgen.generate_mmm_dataset())
    >>> [axes.get_title(loc="left") for axes in figure.axes[:3]]
    ['Spend', 'Carried over', 'Saturated']
    >>> len(figure.axes)
    9
    """
    check_panel(ds, *STAGES, "effect")
    colours = _colours(ds, channels)
    rows = page_of(list(colours), page, MOST_STAGES, "channels")
    # In the order in which they happen.
    first = bool(ds.attrs.get("adstock_first", 1))
    texts = texts_of(ds, "channel")
    columns = STAGES if first else ("spend", "saturated", "carryover")
    series, step = thinned(_over_geos(at_geo(ds, geo), columns[: 2 if first else 1]))
    with blank(figsize, 1.3 + 1.4 * len(rows.names)) as figure:
        grid = figure.subplots(len(rows.names), 3, sharex=True, squeeze=False)
        for panels, name in zip(grid, rows.names, strict=True):
            values = {stage: series[stage].sel(channel=name).to_numpy() for stage in columns}
            _draw_row(list(panels), series["date"].to_numpy(), values, colours[name])
            _name_row(panels[0], texts[name])
        for axes, stage in zip(grid[0], columns, strict=True):
            axes.set_title(WORDS[stage])
        # All panels share its axis; spend has always something to draw.
        format_dates(grid[0, 0])
        figure.align_ylabels(list(grid[:, 0]))
        title = f"From spend to response{where(ds, geo)}"
        headed(figure, title, _units(ds, step), rows.note)
    return figure


@in_memory
def plot_adstock_kernels(
    ds: xr.Dataset,
    *,
    geo: str | None = None,
    channels: Sequence[str] | None = None,
    page: int = 1,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw how the effect of each channel's spend is spread over the periods after it.

    A bar spans one period, the first one that of the spend itself. A dashed line marks when half
    of the effect has arrived. Over several geos, bars and line are means by spend, or by
    population where nothing was spent, and a grey band reaches from the lowest to the highest.

    Parameters
    ----------
    ds : Dataset
        With ``adstock_weights``, dims (geo, channel, lag), ``spend`` and ``population``.
    geo : str, optional
        One geo; all by default.
    channels : sequence of str, optional
        Which channels; all by default.
    page : int
        Which twelve channels, the largest first; 1 or more.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot.

    Raises
    ------
    ConfigError
        If there is no such page, or `channels` is empty.
    AlignmentError
        If there is no such geo or channel.
    SchemaError
        If a variable is not there, the Dataset has a further dim, or it has no kernels, as
        after an aggregation.

    Examples
    --------
    >>> import mmm_xgen
    >>> figure = plot_adstock_kernels(mmm_xgen.generate_mmm_dataset())
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['Seasonal', 'On-Off', 'Trend']
    """
    check_panel(ds, "adstock_weights", "spend", "population")
    if not bool(np.isfinite(ds["adstock_weights"]).all()):
        raise SchemaError(
            "the Dataset has no kernels, as after an aggregation; pass it as it was generated"
        )
    colours = _colours(ds, channels)
    cells = page_of(list(colours), page, MOST_PANELS, "channels")
    here = at_geo(ds, geo)
    weights = here["adstock_weights"].sel(channel=cells.names).transpose("channel", "geo", "lag")
    reach = _longest(weights)
    shares = _shares_of_geos(here).sel(channel=cells.names).transpose("channel", "geo").to_numpy()
    period, texts = period_of(ds), texts_of(ds, "channel")
    with new_panels(len(cells.names), figsize=figsize, height=2.0) as (figure, panels):
        kernels = weights.to_numpy()
        for axes, name, kernel, share in zip(panels, cells.names, kernels, shares, strict=True):
            axes.set_xlim(-0.02 * reach, reach)
            _draw_kernel(axes, kernel, share, colours[name])
            _mark_half(axes, kernel, share, period)
            axes.set_title(texts[name])
        label_edges(panels, f"{period}s since the spend began", "")
        headed(figure, f"How long spend works{where(ds, geo)}: weight of each {period}", cells.note)
        entries = {
            "weight": band(OTHER_COLOUR),
            "half of the effect has arrived": line(INK, dashed=True, width=1.4),
        }
        if here.sizes["geo"] > 1:
            entries["lowest to highest geo"] = band(INK, OPAQUE)
        legend_below(figure, entries)
    return figure


def _colours(ds: xr.Dataset, channels: Sequence[str] | None) -> dict[str, str]:
    """Colour of each channel, the largest first; it has the same in all plots."""
    groups = group_channels(ds, channels)
    return {
        channel: groups.colour[name]
        for name, members in groups.members.items()
        for channel in members
    }


def _over_geos(ds: xr.Dataset, summed: Sequence[str]) -> xr.Dataset:
    """Combine the stages of all geos: sums of currency, means of responses weighted by effect."""
    # Of a placebo each geo counts the same.
    effect = abs(ds["effect"])
    weight = effect.where((effect != 0).any("geo"), 1.0)
    total = weight.sum("geo", skipna=False)
    return xr.Dataset(
        {
            stage: ds[stage].sum("geo")
            if stage in summed
            else (ds[stage] * weight).sum("geo", skipna=False) / total
            for stage in STAGES
        }
    )


def _draw_row(panels: list[Axes], dates: Dates, values: dict[str, FloatArray], colour: str) -> None:
    """Draw the stages of one channel, with the input of the adstock behind its output."""
    stages = list(values)
    # What adstock smooths and what it makes of it have the same units, and one scale.
    smoothed = stages[stages.index("carryover") - 1]
    pair = (smoothed, "carryover")
    one = "o" if len(dates) == 1 else None
    for axes, stage in zip(panels, stages, strict=True):
        series = values[stage]
        axes.grid(visible=False, axis="x")
        if not np.isfinite(series).any():
            axes.text(0.5, 0.5, NO_CURVE, transform=axes.transAxes, ha="center", va="center")
            axes.set_yticks([])
            continue
        if stage == "spend":
            area(axes, dates, 0.0, series, colour)
        else:
            if stage == "carryover":
                area(axes, dates, 0.0, values[smoothed], SMOOTHED)
            axes.plot(dates, series, color=colour, linewidth=1.4, marker=one, markersize=4)
        shown = pair if stage in pair else (stage,)
        lowest, highest = span(*(values[other] for other in shown))
        axes.set_ylim(1.08 * lowest, 1.08 * highest if highest > 0 or lowest < 0 else 1.0)
        axes.locator_params(axis="y", nbins=4)
        format_numbers(axes, "y")


def _name_row(axes: Axes, name: str) -> None:
    words = "\n".join(wrap(name, NAME_WIDTH, break_long_words=False))
    axes.set_ylabel(words, rotation=0, ha="right", va="center", fontweight="bold")


def _units(ds: xr.Dataset, step: int) -> str:
    """Units of the columns."""
    money = per_period(currency_of(ds), ds, step)
    if ds.attrs.get("adstock_first", 1):
        return f"spend and carried over: {money} (grey: spend); saturated: per unit of effect"
    return f"spend: {money}; saturated and carried over: per unit of effect"


def _longest(weights: xr.DataArray) -> int:
    """Count the lags up to the last weight that can be seen beside the peak."""
    seen = (weights > VISIBLE * weights.max("lag")).any(("channel", "geo")).to_numpy()
    return int(seen.nonzero()[0].max(initial=0)) + 1


def _shares_of_geos(ds: xr.Dataset) -> xr.DataArray:
    """Share of each geo in the spend of a channel, or in the population if there is none."""
    spend = ds["spend"].sum("date")
    split = spend.where(spend.sum("geo") > 0, ds["population"])
    return split / split.sum("geo")


def _draw_kernel(axes: Axes, kernels: FloatArray, share: FloatArray, colour: str) -> None:
    """Draw the weights of one channel, dims (geo, lag), a bar for each period."""
    lags = np.arange(kernels.shape[1])
    mean = share @ kernels
    axes.bar(lags, mean, width=1.0, align="edge", color=colour, edgecolor="white", linewidth=0.5)
    if len(share) > 1:
        low, high = (np.append(end, end[-1]) for end in (kernels.min(axis=0), kernels.max(axis=0)))
        edges = np.append(lags, len(lags))
        axes.fill_between(edges, low, high, step="post", color=INK, alpha=OPAQUE, linewidth=0)
    axes.set_ylim(0, 1.25 * float(kernels.max(initial=0.0)) or 1.0)
    axes.grid(visible=False, axis="x")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.locator_params(axis="y", nbins=5)
    format_numbers(axes, "y")


def _mark_half(axes: Axes, kernels: FloatArray, share: FloatArray, period: str) -> None:
    """Mark when half of the effect has arrived, as a mean over geos."""
    half = float(share @ np.where(share > 0, half_of_effect(kernels), 0.0))
    axes.axvline(half, color=INK, linestyle=DASHED, linewidth=1.4)
    has_room = half < 0.6 * axes.get_xlim()[1]
    periods = "" if f"{half:.1f}" == "1.0" else "s"
    axes.annotate(
        f"half after {half:.1f} {period}{periods}" if half > 0 else "half at once",
        (half, 0.97),
        xycoords=axes.get_xaxis_transform(),
        xytext=(5 if has_room else -5, 0),
        textcoords="offset points",
        ha="left" if has_room else "right",
        va="top",
        fontsize=8.5,
    )
