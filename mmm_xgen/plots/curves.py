"""Plots of response curves, marginal returns and the efficiency frontier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from mmm_xgen.dataset import in_memory
from mmm_xgen.formatting.amounts import ratio, share
from mmm_xgen.formatting.words import count
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.panels import (
    DASHED,
    MOST_PANELS,
    Page,
    band,
    canvas,
    dot,
    headed,
    label_edges,
    legend_below,
    legend_beside,
    line,
    marks,
    new_panels,
    page_of,
    span,
)
from mmm_xgen.plots.selection import (
    at_geo,
    check_panel,
    check_sizes,
    chosen_channels,
    currency_of,
    group_channels,
    kpi_of,
    per_period,
    period_of,
    texts_of,
)
from mmm_xgen.plots.style import CHANNEL_COLOURS, FAINT, INK, RISK, format_numbers
from mmm_xgen.truth.budget.constraints import Constraints
from mmm_xgen.truth.budget.curves import Grid, efficiency_frontier, response_curve
from mmm_xgen.truth.what_if.counterfactual import Window, window_periods

POINTS = 81
USUAL_SPEND = (0.1, 0.9)
# Curves are drawn at least to twice the mean spend.
LEAST_REACH = 2.0
# Marginal returns next to zero spend may be infinite; the axis ends at those from here on.
FROM = 0.15
# The narrowest usual range that is seen, as a share of the curve.
NARROWEST = 0.02
BEST, TODAY = CHANNEL_COLOURS[0], CHANNEL_COLOURS[1]
REVENUES = ("best_revenue", "current_split_revenue")
SAME = 1e-9
# Share of revenue that is written as nothing.
ALIKE = 5e-4
# Rounding may make a return of 1 a little smaller.
EARNED = 1 - 1e-9
RANGE_COLOUR = "#EEF0F3"
DOTTED: Any = (0, (1, 1.5))


@in_memory
def plot_response_curves(
    ds: xr.Dataset,
    *,
    marginal: bool = False,
    geo: str | None = None,
    channels: Sequence[str] | None = None,
    page: int = 1,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw the response curve of each channel, or its marginal return at every level of spend.

    The spend of all dates and geos changes in proportion; a level is the mean spend per period.
    The curve is bold in the shaded operating range: from the 10% to the 90% quantile of today's
    spend per period, and its mean.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        One generated Dataset with all its dates.
    marginal : bool, default False
        Draw the marginal return, beside the average return, instead of the contribution.
    geo : str, optional
        One geo; sums over all by default.
    channels : sequence of str, optional
        Which; all by default.
    page : int, default 1
        Which 12 of the channels, the largest contribution first.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        A panel a channel, each on its own scale.

    Raises
    ------
    AlignmentError
        If there is no such geo or channel.
    ConfigError
        If there is no such page.
    SchemaError
        If a variable is not there, as after an aggregation, or the Dataset has a further dim.

    Examples
    --------
    >>> import mmm_xgen
    >>> figure = plot_response_curves(mmm_xgen.generate_mmm_dataset())
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['Seasonal', 'On-Off', 'Trend']
    """
    check_panel(ds, "spend", "channel_contribution", "revenue_per_kpi", "effect")
    chosen = page_of(chosen_channels(ds, channels), page, MOST_PANELS, "channels")
    colours, texts = group_channels(ds).colour, texts_of(ds, "channel")
    curves = _curves(at_geo(ds, geo).sel(channel=chosen.names))
    with new_panels(len(chosen.names), figsize=figsize) as (figure, panels):
        for axes, name in zip(panels, chosen.names, strict=True):
            axes.set_title(texts[name])
            curve = curves[name]
            if curve is None:
                _say_silent(axes)
                continue
            _draw_range(axes, curve)
            draw = _draw_marginal if marginal else _draw_response
            draw(axes, curve, colours.get(name, FAINT))
            format_numbers(axes, "xy")
        across = f"mean spend, {per_period(currency_of(ds), ds)}"
        up = "revenue per unit of spend" if marginal else per_period(kpi_of(ds), ds)
        label_edges(panels, across, up)
        headed(figure, *_words(ds, geo, chosen, curves, marginal=marginal))
        legend_below(figure, _entries(ds, marginal=marginal))
    return figure


@in_memory
def plot_efficiency_frontier(
    ds: xr.Dataset,
    *,
    budgets: Grid = None,
    constraints: Constraints | None = None,
    window: Window = None,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw the highest revenue of each budget, beside the revenue of today's split of it.

    Each budget is optimised separately, which takes some seconds for many channels.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        One generated Dataset with all its dates.
    budgets : array-like, dims (budget,), optional
        Currency for the whole window; 20% to 200% of today's spend in 10 steps by default.
    constraints : mapping of mappings, optional
        As for `mmm_xgen.truth.optimize_allocation`.
    window : str, slice, pair or date, optional
        Dates whose spend is decided and whose sales count; all by default.
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
        If a budget is negative or constraints conflict, or if both `ax` and `figsize` are given.
    SchemaError
        If a variable is not there, as after an aggregation, or the Dataset has a further dim.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> figure = plot_efficiency_frontier(ds, budgets=[1e5, 2e5, 4e5])
    >>> len(figure.axes[0].get_lines()[0].get_xdata())
    3
    """
    check_panel(ds, "spend", "channel_contribution", "revenue_per_kpi", "mu")
    found = efficiency_frontier(ds, budgets=budgets, constraints=constraints, window=window)
    found = found.sortby("budget")
    check_sizes(found[["best_revenue", "current_split_revenue"]], apart=())
    check_sizes(found["budget"].to_dataset(name="spend"), apart=())
    inside = {"date": window_periods(ds, window)}
    spent = float(ds["spend"][inside].sum())
    earned = float((ds["channel_contribution"] * ds["revenue_per_kpi"])[inside].sum())
    budget = found["budget"].to_numpy()
    with canvas(ax, figsize) as (figure, axes):
        marker = "o" if len(budget) == 1 else None
        axes.plot(budget, found["best_revenue"], color=BEST, linewidth=2.2, marker=marker)
        axes.plot(budget, found["current_split_revenue"], color=TODAY, linewidth=1.8, marker=marker)
        reach = 1.03 * max(float(budget.max()), spent)
        top = 1.06 * max(float(found["best_revenue"].max()), earned)
        axes.plot([0, reach], [0, reach], color=RISK, linewidth=1.2, linestyle=DASHED)
        entries = {
            "best split of each budget": line(BEST),
            "today's split of each budget": line(TODAY),
            "break-even: revenue equals spend": line(RISK, dashed=True),
        }
        if spent > 0:
            marks(axes, spent, earned, INK, size=7)
            entries["today"] = dot(INK)
        axes.set_xlim(0, reach or 1.0)
        lowest = min(0.0, earned, *(float(found[name].min()) for name in REVENUES))
        axes.set_ylim(1.06 * lowest, top or 1.0)
        currency = currency_of(ds)
        axes.set_xlabel(f"spend of all channels ({currency})")
        axes.set_ylabel(f"revenue from media ({currency})")
        axes.set_title(_gain(found, spent, earned))
        format_numbers(axes, "xy")
        legend_beside(axes, entries)
    return figure


@dataclass(frozen=True)
class _Curve:
    """Response of one channel; levels and means a period, in currency and KPI units."""

    level: FloatArray
    contribution: FloatArray
    marginal: FloatArray
    average: FloatArray
    mean: float
    low: float
    high: float

    @property
    def usual(self) -> NDArray[np.bool_]:
        """Levels in the operating range."""
        return np.logical_and(self.level >= self.low, self.level <= self.high)


def _ends(usual: FloatArray, means: FloatArray, reaches: FloatArray) -> FloatArray:
    """Operating ranges as multiples of the mean, which they contain, dims (channel, end)."""
    spent = np.where(means > 0, means, 1.0)
    ends = np.where(means[:, None] > 0, usual / spent[:, None], 1.0)
    # Spend that hardly varies still gets a visible range.
    margin = NARROWEST * reaches
    return np.stack([np.minimum(ends[:, 0], 1 - margin), np.maximum(ends[:, 1], 1 + margin)], -1)


def _curves(ds: xr.Dataset) -> dict[str, _Curve | None]:
    """Compute the curve of each channel up to its usual spend; None where nothing is spent."""
    spend = ds["spend"].sum("geo").transpose("channel", "date").to_numpy()
    means = spend.mean(axis=-1)
    usual = np.quantile(spend, USUAL_SPEND, axis=-1).T
    highest = np.divide(usual[:, 1], means, out=np.zeros_like(means), where=means > 0)
    reaches = np.maximum(LEAST_REACH, 1.1 * highest)
    ends = _ends(usual, means, reaches)
    steps = np.linspace(0, 1, POINTS)
    grids = [steps * reach for reach in dict.fromkeys(reaches.tolist())]
    multipliers = np.unique(np.concatenate([[1.0], ends.ravel(), *grids]))
    found = response_curve(ds, multipliers=multipliers)
    curves: dict[str, _Curve | None] = {}
    for position, name in enumerate(map(str, ds["channel"].to_numpy())):
        if means[position] <= 0:
            curves[name] = None
            continue
        within = multipliers <= reaches[position]
        own = found.isel(multiplier=within, channel=position)
        curves[name] = _Curve(
            level=multipliers[within] * means[position],
            contribution=own["contribution"].to_numpy() / spend.shape[-1],
            marginal=own["marginal_return"].to_numpy(),
            average=own["average_return"].to_numpy(),
            mean=float(means[position]),
            low=float(ends[position, 0] * means[position]),
            high=float(ends[position, 1] * means[position]),
        )
    return curves


def _say_silent(axes: Axes) -> None:
    axes.text(0.5, 0.5, "no spend", transform=axes.transAxes, ha="center", color=FAINT)
    axes.set_xticks([])
    axes.set_yticks([])


def _draw_range(axes: Axes, curve: _Curve) -> None:
    axes.axvspan(curve.low, curve.high, color=RANGE_COLOUR, linewidth=0, zorder=0)
    axes.set_xlim(0, curve.level[-1])


def _draw_response(axes: Axes, curve: _Curve, colour: str) -> None:
    bold = np.where(curve.usual, curve.contribution, np.nan)
    axes.plot(curve.level, curve.contribution, color=colour, linewidth=1.3, linestyle=DASHED)
    axes.plot(curve.level, bold, color=colour, linewidth=2.8)
    _draw_mean(axes, curve, curve.contribution)
    lowest, highest = span(curve.contribution)
    axes.set_ylim(1.08 * lowest, 1.08 * highest or 1.0)


def _draw_marginal(axes: Axes, curve: _Curve, colour: str) -> None:
    # A curve that starts vertically has an infinite slope at zero spend.
    finite = np.where(np.isfinite(curve.marginal), curve.marginal, np.nan)
    bold = np.where(curve.usual, finite, np.nan)
    axes.plot(curve.level, curve.average, color=FAINT, linewidth=1.4)
    axes.plot(curve.level, finite, color=colour, linewidth=1.3, linestyle=DASHED)
    axes.plot(curve.level, bold, color=colour, linewidth=2.8)
    axes.axhline(1.0, color=RISK, linewidth=1.2, linestyle=DOTTED)
    _draw_mean(axes, curve, finite)
    shown = curve.level >= FROM * curve.mean
    lowest, highest = span(finite[shown], curve.average[shown])
    axes.set_ylim(1.08 * lowest, max(1.25, 1.08 * highest))


def _draw_mean(axes: Axes, curve: _Curve, values: FloatArray) -> None:
    marks(axes, curve.mean, np.interp(curve.mean, curve.level, values), INK, size=6.5)


def _entries(ds: xr.Dataset, *, marginal: bool) -> dict[str, Artist]:
    colour = CHANNEL_COLOURS[0]
    usual = f"operating range (10% to 90% of the {period_of(ds)}s)"
    entries = {
        "return on the next unit of spend" if marginal else "response": line(colour, width=2.8),
        "the same, beyond the operating range": line(colour, dashed=True, width=1.3),
    }
    if marginal:
        entries["return on all spend"] = line(FAINT, width=1.4)
        entries["break-even"] = Line2D([], [], color=RISK, linewidth=1.2, linestyle=DOTTED)
    return {**entries, usual: band(RANGE_COLOUR), "mean spend today": dot(INK)}


def _words(
    ds: xr.Dataset,
    geo: str | None,
    chosen: Page,
    curves: dict[str, _Curve | None],
    *,
    marginal: bool,
) -> tuple[str, ...]:
    """Title and notes."""
    title = "What each channel's spend makes, at every level of it"
    if all(curve is None for curve in curves.values()):
        title = "No curves: there is no spend"
    elif marginal:
        slopes = [np.interp(c.mean, c.level, c.marginal) for c in curves.values() if c is not None]
        earning = sum(bool(slope >= EARNED) for slope in slopes)
        title = (
            f"The next unit of spend earns its cost in {earning} of {count(len(slopes), 'channel')}"
        )
    where = texts_of(ds, "geo")[geo] if geo is not None else ""
    if geo is None and ds.sizes["geo"] > 1:
        where = f"sums over {ds.sizes['geo']} geos"
    how = f"spend of all {period_of(ds)}s moves in proportion"
    return title, where, how, chosen.note


def _gain(found: xr.Dataset, spent: float, earned: float) -> str:
    """Say the gain of the best split of today's budget, if that budget is among those drawn."""
    budget = found["budget"].to_numpy()
    if spent > 0 and earned > 0:
        nearest = int(np.argmin(np.abs(budget - spent)))
        if abs(budget[nearest] - spent) <= SAME * spent:
            gain = float(found["best_revenue"][nearest]) / earned - 1
            price = float(found["shadow_price"][nearest])
            if abs(gain) < ALIKE:
                words = "Today's budget is split at best"
            else:
                words = (
                    f"Today's budget could earn {share(abs(gain))} {'more' if gain > 0 else 'less'}"
                )
            return words + (
                f"; one more unit of it earns {ratio(price)}" if 0 < price < np.inf else ""
            )
    if not float(found["best_revenue"].max()) > 0:
        return "No budget earns anything: there is none, or no effect"
    return "What every budget can earn, split at best"
