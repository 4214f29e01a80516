"""One page that shows a newcomer what is in a dataset."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mmm_xgen.dataset import in_memory
from mmm_xgen.formatting.amounts import ratio, short_number
from mmm_xgen.formatting.words import count
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.panels import Dates, area, stack
from mmm_xgen.plots.selection import (
    Groups,
    check_panel,
    currency_of,
    group_channels,
    kpi_of,
    per_period,
    period_of,
    span_of,
    thinned,
)
from mmm_xgen.plots.style import (
    BASE_COLOUR,
    CHANNEL_COLOURS,
    FAINT,
    INK,
    RISK,
    STYLE,
    format_dates,
    format_numbers,
)
from mmm_xgen.response import respond
from mmm_xgen.truth.returns.estimands import roas

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
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=figsize or (12, 11), layout="constrained")
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
    """What the page shows: `ds` as generated, and series summed over geos and small channels.

    Each point of a series is the mean of `step` dates.
    """

    ds: xr.Dataset
    groups: Groups
    step: int
    dates: Dates
    sales: FloatArray
    expected: FloatArray
    contribution: dict[str, FloatArray]
    spend: dict[str, FloatArray]

    @classmethod
    def of(cls, ds: xr.Dataset) -> _Page:
        groups = group_channels(ds)
        series, step = thinned(ds[["y", "mu", "spend", "channel_contribution"]].sum("geo"))
        return cls(
            ds=ds,
            groups=groups,
            step=step,
            dates=series["date"].to_numpy(),
            sales=series["y"].to_numpy(),
            expected=series["mu"].to_numpy(),
            contribution=groups.sums(series["channel_contribution"]),
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
    figure.suptitle(
        f"{', '.join(sizes)}  ·  {span_of(ds)}",
        x=0.01,
        ha="left",
        fontsize=13,
        color=INK,
    )
    base = Patch(facecolor=BASE_COLOUR, edgecolor=FAINT, linewidth=0.5)
    media = [Patch(facecolor=page.groups.colour[name]) for name in page.groups.members]
    entries = 1 + len(media)
    legend = figure.legend(
        [base, *media],
        ["base sales"] + [""] * len(media),
        loc="outside lower left",
        ncols=entries if entries <= 5 else -(-entries // 2),
        handlelength=1.2,
        handleheight=1.0,
        columnspacing=2.2,
    )
    # matplotlib leaves out a name that begins with an underscore if it is passed to legend().
    for text, name in zip(legend.get_texts()[1:], page.groups.labels, strict=True):
        text.set_text(name)


def _draw_sales(axes: Axes, page: _Page) -> None:
    many = len(page.dates) > 400
    axes.plot(
        page.dates,
        page.sales,
        "o",
        color=CHANNEL_COLOURS[4],
        markeredgecolor=CHANNEL_COLOURS[0],
        markeredgewidth=0 if many else 0.4,
        markersize=2 if many else 4,
        label="sales (y)",
    )
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
    media = list(page.contribution.values())
    base = page.expected - np.sum(media, axis=0)
    lowest = stack(axes, page.dates, [base, *media], [BASE_COLOUR, *page.colours])
    axes.plot(page.dates, base, color=FAINT, linewidth=0.8)
    share = _share(np.sum(media), np.sum(page.expected))
    axes.set_title(f"Where sales come from: media {share}")
    axes.set_ylabel(page.kpi_axis)
    axes.set_ylim(bottom=lowest)
    format_numbers(axes, "y")
    format_dates(axes)


def _draw_spend(axes: Axes, page: _Page) -> None:
    """One row a channel, each on its own scale, so that small ones show their pattern too."""
    totals = page.ds["spend"].sum(("date", "geo"))
    amounts = [float(totals.sel(channel=members).sum()) for members in page.groups.members.values()]
    everything = sum(amounts)
    for row, (name, amount) in enumerate(zip(page.groups.members, amounts, strict=True)):
        floor = -float(row)
        spend = page.spend[name]
        height = 0.86 * spend / spend.max() if spend.max() > 0 else spend
        area(axes, page.dates, floor, floor + height, page.groups.colour[name])
        share = f"{amount / everything:.0%}" if everything > 0 else "0%"
        axes.annotate(
            f"{short_number(amount)} ({share})",
            (1.0, floor + 0.35),
            xycoords=axes.get_yaxis_transform(),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
        )
    axes.set_yticks([-row + 0.35 for row in range(len(page.groups.members))], page.groups.labels)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_ylim(0.95 - len(page.groups.members), 1.0)
    axes.set_title(
        f"Spend, {currency_of(page.ds)} {short_number(everything)} in all (rows: own scales)"
    )
    format_dates(axes)


def _draw_roas(axes: Axes, page: _Page) -> None:
    values = _roas_of_groups(page)
    rows = np.arange(len(values))
    drawn = np.where(np.isfinite(values), values, 0.0)
    axes.barh(rows, drawn, color=page.colours, height=0.7)
    axes.axvline(1.0, color=RISK, linewidth=1.4, linestyle=(0, (4, 2)))
    for row, (value, length) in enumerate(zip(values, drawn, strict=True)):
        text = ratio(value) if np.isfinite(value) else "no spend"
        axes.annotate(
            text,
            (max(length, 0.0), row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )
    axes.set_yticks(rows, page.groups.labels)
    axes.invert_yaxis()
    lowest, highest = (float(end) for end in (drawn.min(initial=0.0), drawn.max(initial=0.0)))
    axes.set_xlim(1.05 * lowest, max(1.15, 1.12 * highest))
    axes.grid(visible=False, axis="y")
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
        axes.plot(MULTIPLIERS, curve, color=colour, linewidth=1, linestyle=(0, (4, 2)))
        axes.plot(MULTIPLIERS, np.where(usual, curve, np.nan), color=colour, linewidth=2.4)
        axes.plot(1.0, np.interp(1.0, MULTIPLIERS, curve), "o", color=colour, markersize=5)
    axes.set_xticks([0, 0.5, 1, 1.5, 2], ["0", "0.5x", "1x", "1.5x", "2x"])
    axes.set_xlim(0, 2)
    axes.set_ylim(bottom=1.05 * lowest)
    format_numbers(axes, "y")


def _roas_of_groups(page: _Page) -> FloatArray:
    """Return of each group: of several channels, that of their spend together."""
    single = roas(page.ds)
    spend = page.ds["spend"].sum(("date", "geo"))
    revenue = (single * spend).where(spend > 0, 0.0)
    groups = page.groups.members.values()
    total = np.array([float(spend.sel(channel=members).sum()) for members in groups])
    earned = np.array([float(revenue.sel(channel=members).sum()) for members in groups])
    return np.array([a / b if b > 0 else np.nan for a, b in zip(earned, total, strict=True)])


def _curves(page: _Page) -> dict[str, FloatArray]:
    """Mean contribution a period of each group, at multiples of its whole spend."""
    ds = page.ds
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


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.0%} of them" if whole > 0 else "with no sales"
