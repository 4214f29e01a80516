"""Plot of one page that introduces a dataset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mmm_xgen.dataset import in_memory
from mmm_xgen.formatting.amounts import ratio, share, short_number
from mmm_xgen.formatting.words import count
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.labelled_world import respond
from mmm_xgen.plots.panels import (
    DASHED,
    Dates,
    area,
    band,
    blank,
    headed,
    legend_below,
    name_rows,
    span,
    stack,
    write_beside,
)
from mmm_xgen.plots.selection import (
    Groups,
    check_panel,
    currency_of,
    entries_of,
    group_channels,
    kpi_of,
    per_period,
    period_of,
    span_of,
    thinned,
)
from mmm_xgen.plots.style import (
    BASE_COLOUR,
    FAINT,
    INK,
    RISK,
    TOGETHER_COLOUR,
    format_dates,
    format_numbers,
)
from mmm_xgen.plots.tables import write_column
from mmm_xgen.plots.timelines import dots
from mmm_xgen.truth.budget.curves import response_curve
from mmm_xgen.truth.returns.estimands import roas
from mmm_xgen.truth.returns.incremental import acts_together, all_media

MULTIPLIERS = np.linspace(0, 2, 21)
USUAL_SPEND = (0.1, 0.9)


@in_memory
def plot_overview(ds: xr.Dataset, *, figsize: tuple[float, float] | None = None) -> Figure:
    """Draw sales, where they come from, spend, returns and response curves on one page.

    Sales, contributions and spend are sums over geos. The eight channels with the largest
    contribution are shown, the rest as one.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        One generated Dataset.
    figsize : tuple of float, optional
        Width and height in inches; (12, 11) by default.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot: write it with ``figure.savefig("overview.png")``.

    Raises
    ------
    SchemaError
        If a variable is not there, or the Dataset has a further dim (take one entry of it).

    Examples
    --------
    >>> import mmm_xgen
    >>> figure = plot_overview(mmm_xgen.generate_mmm_dataset())
    >>> [axes.get_label() for axes in figure.axes]
    ['sales', 'contributions', 'spend', 'roas', 'response']
    """
    check_panel(ds, "y", "mu", "spend", "channel_contribution", "revenue_per_kpi")
    page = _Page.of(ds)
    with blank(figsize, 11) as figure:
        panels = figure.subplot_mosaic(
            [["sales", "sales"], ["contributions", "spend"], ["roas", "response"]],
            height_ratios=[0.85, 1, 1],
        )
        for name, axes in panels.items():
            axes.set_label(name)
        _draw_sales(panels["sales"], page)
        _draw_contributions(panels["contributions"], page)
        _draw_spend(panels["spend"], page)
        _draw_roas(panels["roas"], page)
        _draw_response(panels["response"], page)
        _draw_frame(figure, page)
    return figure


@dataclass(frozen=True)
class _Page:
    """Contents of the page: `ds` as generated, and series summed over geos and small channels.

    Each point of a series is the mean of `step` dates.
    """

    ds: xr.Dataset
    groups: Groups
    step: int
    dates: Dates
    sales: FloatArray
    expected: FloatArray
    contribution: dict[str, FloatArray]
    together: FloatArray | None
    spend: dict[str, FloatArray]

    @classmethod
    def of(cls, ds: xr.Dataset) -> _Page:
        groups = group_channels(ds)
        shown = ds[["y", "mu", "spend", "channel_contribution"]].assign(media=all_media(ds))
        series, step = thinned(shown.sum("geo"))
        alone = series["channel_contribution"].sum("channel")
        return cls(
            ds=ds,
            groups=groups,
            step=step,
            dates=series["date"].to_numpy(),
            sales=series["y"].to_numpy(),
            expected=series["mu"].to_numpy(),
            contribution=groups.sums(series["channel_contribution"]),
            together=(series["media"] - alone).to_numpy() if acts_together(ds) else None,
            spend=groups.sums(series["spend"]),
        )

    @property
    def colours(self) -> list[str]:
        return list(self.groups.colour.values())

    @property
    def kpi_axis(self) -> str:
        return per_period(kpi_of(self.ds), self.ds, self.step)


def _draw_frame(figure: Figure, page: _Page) -> None:
    ds = page.ds
    sizes = [
        count(ds.sizes["date"], period_of(page.ds)),
        count(ds.sizes["geo"], "geo"),
        count(ds.sizes["channel"], "channel"),
        count(ds.sizes.get("control", 0), "control"),
    ]
    headed(figure, f"{', '.join(sizes)}  ·  {span_of(ds)}")
    base = Patch(facecolor=BASE_COLOUR, edgecolor=FAINT, linewidth=0.5)
    media = page.groups.entries(band(colour) for colour in page.colours)
    together = [("channels together", band(TOGETHER_COLOUR))]
    together = [] if page.together is None else together
    legend_below(figure, entries_of([("base sales", base), *media.items(), *together]))


def _draw_sales(axes: Axes, page: _Page) -> None:
    dots(axes, page.dates, page.sales, label="sales (y)")
    axes.plot(
        page.dates,
        page.expected,
        color=INK,
        linewidth=1.5,
        marker="_" if len(page.dates) == 1 else None,
        label="expected sales (mu)",
    )
    axes.set_title("Sales, and what was expected without noise")
    axes.set_ylabel(page.kpi_axis)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2)
    format_numbers(axes, "y")
    format_dates(axes)


def _draw_contributions(axes: Axes, page: _Page) -> None:
    media, colours = list(page.contribution.values()), page.colours
    if page.together is not None:
        media, colours = [*media, page.together], [*colours, TOGETHER_COLOUR]
    base = page.expected - np.sum(media, axis=0)
    lowest = stack(axes, page.dates, [base, *media], [BASE_COLOUR, *colours])
    axes.plot(page.dates, base, color=FAINT, linewidth=0.8)
    whole = float(np.sum(page.expected))
    part = f"{share(float(np.sum(media)) / whole)} of them" if whole > 0 else "with no sales"
    axes.set_title(f"Where sales come from: media {part}")
    axes.set_ylabel(page.kpi_axis)
    axes.set_ylim(bottom=lowest)
    format_numbers(axes, "y")
    format_dates(axes)


def _draw_spend(axes: Axes, page: _Page) -> None:
    """One row a channel, each on its own scale, so that small ones show their pattern too."""
    totals = page.ds["spend"].sum(("date", "geo"))
    amounts = [float(totals.sel(channel=members).sum()) for members in page.groups.members.values()]
    everything = sum(amounts)
    texts = []
    for row, (name, amount) in enumerate(zip(page.groups.members, amounts, strict=True)):
        spend = page.spend[name]
        height = 0.86 * spend / spend.max() if spend.max() > 0 else spend
        floor = row + 0.35
        area(axes, page.dates, floor, floor - height, page.groups.colour[name])
        part = share(amount / everything) if everything > 0 else "0%"
        texts.append(f"{short_number(amount)} ({part})")
    name_rows(axes, page.groups.labels)
    axes.set_ylim(len(texts) - 0.6, -0.65)
    write_column(axes, "", texts, indent=6)
    axes.set_title(
        f"Spend, {currency_of(page.ds)} {short_number(everything)} in all (rows: own scales)"
    )
    format_dates(axes)


def _draw_roas(axes: Axes, page: _Page) -> None:
    values = _roas_of_groups(page)
    rows = np.arange(len(values))
    drawn = np.where(np.isfinite(values), values, 0.0)
    axes.barh(rows, drawn, color=page.colours, height=0.7)
    axes.axvline(1.0, color=RISK, linewidth=1.4, linestyle=DASHED)
    texts = [ratio(value) if np.isfinite(value) else "no spend" for value in values]
    write_beside(axes, np.maximum(drawn, 0.0), texts)
    name_rows(axes, page.groups.labels)
    lowest, highest = span(drawn)
    axes.set_xlim(1.05 * lowest, max(1.15, 1.12 * highest))
    axes.set_title("Return on ad spend (below 1: revenue below cost)")
    axes.set_xlabel(f"revenue ({currency_of(page.ds)}) per {currency_of(page.ds)} of spend")


def _draw_response(axes: Axes, page: _Page) -> None:
    axes.set_title("Response curves (bold: usual spend, dot: mean)")
    axes.set_xlabel(f"spend per {period_of(page.ds)}, as a multiple of the channel's mean")
    axes.set_ylabel(f"{kpi_of(page.ds)} per {period_of(page.ds)}")
    if "effect" not in page.ds or not bool(np.isfinite(page.ds["effect"]).all()):
        words = "no curves: an aggregated dataset has no parameters"
        axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", color=FAINT)
        return
    lowest = 0.0
    for name, curve in _curves(page).items():
        lowest = min(lowest, float(curve.min()))
        colour = page.groups.colour[name]
        low, high = _usual_multiples(page.spend[name])
        usual = (low <= MULTIPLIERS) & (high >= MULTIPLIERS)
        axes.plot(MULTIPLIERS, curve, color=colour, linewidth=1, linestyle=DASHED)
        axes.plot(MULTIPLIERS, np.where(usual, curve, np.nan), color=colour, linewidth=2.4)
        axes.plot(1.0, np.interp(1.0, MULTIPLIERS, curve), "o", color=colour, markersize=5)
    axes.set_xticks([0, 0.5, 1, 1.5, 2], ["0", "0.5x", "1x", "1.5x", "2x"])
    axes.set_xlim(0, 2)
    axes.set_ylim(bottom=1.05 * lowest)
    format_numbers(axes, "y")


def _roas_of_groups(page: _Page) -> FloatArray:
    """Compute the return of each group on the spend of all its channels."""
    single = roas(page.ds)
    spend = page.ds["spend"].sum(("date", "geo"))
    revenue = (single * spend).where(spend > 0, 0.0)
    groups = page.groups.members.values()
    total = np.array([float(spend.sel(channel=members).sum()) for members in groups])
    earned = np.array([float(revenue.sel(channel=members).sum()) for members in groups])
    return np.array([a / b if b > 0 else np.nan for a, b in zip(earned, total, strict=True)])


def _curves(page: _Page) -> dict[str, FloatArray]:
    """Compute the mean contribution per period of each group at multiples of its spend."""
    ds = page.ds
    if acts_together(ds):
        sales = response_curve(ds, multipliers=MULTIPLIERS)["contribution"] / ds.sizes["date"]
        alone = [name for name in page.groups.members if name != page.groups.other]
        return {name: sales.sel(channel=name).to_numpy() for name in alone}
    multiplier = xr.DataArray(MULTIPLIERS, dims="multiplier")
    curves = {}
    for name, members in page.groups.members.items():
        if name == page.groups.other:
            continue
        spend = ds["spend"].sel(channel=members)
        answer = respond(spend * multiplier, ds)
        curves[name] = answer.sum(("geo", "channel")).mean("date").to_numpy()
    return curves


def _usual_multiples(spend: FloatArray) -> tuple[float, float]:
    mean = spend.mean()
    if mean <= 0:
        return 0.0, 0.0
    low, high = np.quantile(spend, USUAL_SPEND) / mean
    # The grid of the curve is coarser than a channel that hardly varies.
    step = MULTIPLIERS[1]
    return min(low, 1 - step), max(high, 1 + step)
