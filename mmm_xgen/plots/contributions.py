"""Plots of contributions: over time, in sum, and as shares of sales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mmm_xgen.dataset import in_memory
from mmm_xgen.formatting.amounts import share, short_number
from mmm_xgen.formatting.words import count
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.panels import (
    MOST_ROWS,
    ROW,
    Dates,
    band,
    canvas,
    dot,
    legend_beside,
    line,
    marks,
    name_rows,
    page_of,
    span,
    stack,
    write_beside,
)
from mmm_xgen.plots.selection import (
    Groups,
    at_geo,
    by_size,
    check_panel,
    entries_of,
    group_channels,
    kpi_of,
    one_of,
    per_period,
    texts_of,
    thinned,
    where,
)
from mmm_xgen.plots.style import (
    BASE_COLOUR,
    FAINT,
    INK,
    OTHER_COLOUR,
    TOGETHER_COLOUR,
    format_dates,
    format_numbers,
)
from mmm_xgen.plots.timelines import draw_lines
from mmm_xgen.schema import parts_of
from mmm_xgen.truth.returns.estimands import attribution, contribution_totals
from mmm_xgen.truth.returns.incremental import all_media, media_share

SHARE_OF_MEDIA, SHARE_OF_SPEND = "share of contribution", "share of spend"
KINDS = ("lines", "stacked")
WHOLES = ("sales", "media")
STEP_COLOUR = "#C3C9D4"
TOTAL_COLOUR = "#4A5160"
# Names of parts of sales in the waterfall; others have that of their variable.
NAMES = {
    "intercept_contribution": "base",
    "event_contribution": "events",
    "control_contribution": "controls",
    "level_contribution": "level",
    "promotion_contribution": "promotions",
    "demand_contribution": "latent demand",
    "interaction_contribution": "interactions",
    "mediator_contribution": "mediators",
    "competitor_contribution": "competitor",
    "remainder_contribution": "remainder",
}
# Sales that channels make together.
TOGETHER = ("interaction_contribution", "mediator_contribution", "remainder_contribution")
# Relative size of rounding errors.
ROUNDING = 1e-9
# Part of the width of a waterfall for the amounts at the right.
ROOM = 0.14


@in_memory
def plot_contributions(
    ds: xr.Dataset,
    *,
    kind: Literal["lines", "stacked"] = "lines",
    geo: str | None = None,
    channels: Sequence[str] | None = None,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw the contribution of each channel over time, alone or on top of the baseline.

    The eight largest channels have a colour each. All others are shown as one.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        With ``channel_contribution`` and ``mu``, KPI units per period, and ``spend``.
    kind : {"lines", "stacked"}
        Lines from a common zero, or areas on top of the baseline, up to expected sales. Negative
        contributions hang below zero.
    geo : str, optional
        One geo; the sum over all by default.
    channels : sequence of str, optional
        Which channels; all by default. The others are one area of a stack.
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
        If `kind` is something else, or `channels` is empty.
    AlignmentError
        If there is no such geo or channel.
    SchemaError
        If a variable is not there, or the Dataset has a further dim.

    Examples
    --------
    >>> import mmm_xgen
    >>> figure = plot_contributions(mmm_xgen.generate_mmm_dataset(), kind="stacked")
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['expected sales', 'Trend', 'On-Off', 'Seasonal', 'without media']
    """
    one_of(kind, KINDS, "kind")
    check_panel(ds, "channel_contribution", "mu", "spend")
    groups = group_channels(ds, channels)
    here = at_geo(ds, geo)
    shown = here[["channel_contribution", "mu"]].assign(media=all_media(here))
    series, step = thinned(shown.sum("geo"))
    dates, expected = series["date"].to_numpy(), series["mu"].to_numpy()
    values = groups.sums(series["channel_contribution"])
    with canvas(ax, figsize) as (figure, axes):
        if kind == "lines":
            draw_lines(axes, dates, values, groups)
            axes.set_ylim(bottom=min(0.0, *(float(each.min()) for each in values.values())))
            axes.set_title(_what_media_adds(ds, geo, groups))
        else:
            media = series["media"].to_numpy()
            together = series["media"] - series["channel_contribution"].sum("channel")
            _draw_stack(axes, dates, expected, (media, together.to_numpy()), values, groups)
            whole = expected.sum()
            part = f"media {share(media.sum() / whole)} of them" if whole > 0 else "there are none"
            axes.set_title(f"Where sales{where(ds, geo)} come from: {part}")
        axes.set_ylabel(per_period(kpi_of(ds), ds, step))
        format_numbers(axes, "y")
        format_dates(axes)
    return figure


@in_memory
def plot_waterfall(
    ds: xr.Dataset,
    *,
    geo: str | None = None,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw how the parts of sales add up to expected sales, and with the noise to sales.

    Parts that a dataset does not have are left out. The eight largest channels have a row each.
    All others share one.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        A generated or aggregated Dataset; amounts are sums over all its dates, in KPI units.
    geo : str, optional
        One geo; the sum over all by default.
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
    AlignmentError
        If there is no such geo.
    SchemaError
        If a variable is not there, or the Dataset has a further dim.

    Examples
    --------
    >>> import mmm_xgen
    >>> figure = plot_waterfall(mmm_xgen.generate_mmm_dataset())
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()][-3:]
    ['expected sales', 'noise', 'sales']
    """
    check_panel(ds, "channel_contribution", "mu", "y", "spend")
    groups = group_channels(ds)
    steps = _steps(contribution_totals(at_geo(ds, geo)), groups)
    with canvas(ax, figsize, height=1.2 + 1.05 * ROW * len(steps)) as (figure, axes):
        _draw_steps(axes, steps)
        axes.set_xlabel(f"{kpi_of(ds)} in all")
        format_numbers(axes, "x")
        expected = next(step.amount for step in steps if step.name == "expected sales")
        media = sum(step.amount for step in steps if step.is_media)
        part = f": media makes {share(media / expected)}" if expected > 0 else ""
        amount = short_number(steps[-1].amount)
        axes.set_title(f"What {amount} {kpi_of(ds)}{where(ds, geo)} are made of{part}")
    return figure


@in_memory
def plot_attribution(
    ds: xr.Dataset,
    *,
    of: Literal["sales", "media"] = "sales",
    geo: str | None = None,
    page: int = 1,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw the share of each channel in expected sales, or in the contribution of all media.

    Shares of media stand beside shares of spend. A channel whose share of media is larger than
    its share of spend earns more per unit of spend than the others do together.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        With ``channel_contribution``, ``mu`` and ``spend``.
    of : {"sales", "media"}
        Denominator of the shares; see `mmm_xgen.truth.attribution`.
    geo : str, optional
        One geo, and shares of its own sales or media; all together by default.
    page : int
        Which forty channels, the largest first; 1 or more.
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
        If `of` is something else, or there is no such page.
    AlignmentError
        If there is no such geo.
    SchemaError
        If a variable is not there, or the Dataset has a further dim.

    Examples
    --------
    >>> import mmm_xgen
    >>> figure = plot_attribution(mmm_xgen.generate_mmm_dataset(), of="media")
    >>> round(float(sum(bar.get_width() for bar in figure.axes[0].patches)), 9)
    1.0
    """
    one_of(of, WHOLES, "of")
    check_panel(ds, "channel_contribution", "mu", "spend")
    here = at_geo(ds, geo)
    rows = page_of(by_size(here), page, MOST_ROWS, "channels")
    shares = attribution(here, of=of)
    spend = here["spend"].sum(("date", "geo"))
    colour = group_channels(ds).colour
    with canvas(ax, figsize, height=max(2.0, 1.3 + ROW * len(rows.names))) as (figure, axes):
        drawn = shares.sel(channel=rows.names).to_numpy()
        beside = None
        if of == "media" and float(spend.sum()) > 0:
            beside = (spend / spend.sum()).sel(channel=rows.names).to_numpy()
            marks(axes, beside, range(len(beside)), INK, marker="D")
            legend_beside(axes, {SHARE_OF_MEDIA: band(OTHER_COLOUR), SHARE_OF_SPEND: dot(INK, "D")})
        fill = [colour.get(name, OTHER_COLOUR) for name in rows.names]
        _draw_shares(axes, drawn, fill, beside)
        texts = texts_of(ds, "channel")
        name_rows(axes, [texts[name] for name in rows.names])
        axes.xaxis.set_major_formatter(PercentFormatter(xmax=1))
        title = _title(shares, media_share(here), of, where(ds, geo), texts)
        axes.set_title(f"{title}\n{rows.note}" if rows.note else title)
    return figure


def _what_media_adds(ds: xr.Dataset, geo: str | None, groups: Groups) -> str:
    names = [name for members in groups.members.values() for name in members]
    totals = at_geo(ds, geo)["channel_contribution"].sel(channel=names).sum(("date", "geo"))
    whole = float(totals.sum())
    amount = f"{short_number(whole)} {kpi_of(ds)}{where(ds, geo)}"
    if not whole > 0:
        return f"What media adds{where(ds, geo)}: nothing"
    largest = int(totals.to_numpy().argmax())
    name = groups.texts[names[largest]]
    if len(names) == 1:
        return f"What {name} adds: {amount}"
    return f"What media adds: {amount}, {share(float(totals[largest]) / whole)} by {name}"


def _draw_stack(
    axes: Axes,
    dates: Dates,
    expected: FloatArray,
    media_and_together: tuple[FloatArray, FloatArray],
    values: dict[str, FloatArray],
    groups: Groups,
) -> None:
    """Stack the baseline, other channels and those shown; draw expected sales as a line."""
    media, together = media_and_together
    base = expected - media
    rest = media - together - np.sum(list(values.values()), axis=0)
    layers = {"without media": (base, BASE_COLOUR)}
    for name, layer, fill_of in (
        ("channels together", together, TOGETHER_COLOUR),
        ("other media", rest, STEP_COLOUR),
    ):
        # A difference within rounding is not a channel.
        if np.abs(layer).max() > ROUNDING * np.abs(expected).max():
            layers[name] = (layer, fill_of)
    below = list(layers.values())
    fill = [*(colour for _, colour in below), *(groups.colour[name] for name in values)]
    lowest = stack(axes, dates, [*(layer for layer, _ in below), *values.values()], fill)
    one = "_" if len(dates) == 1 else None
    axes.plot(dates, base, color=FAINT, linewidth=0.8)
    if lowest < -ROUNDING * np.abs(expected).max():
        # The line is inside of the areas then, and not seen on dark ones.
        axes.plot(dates, expected, color="white", linewidth=3.0)
    axes.plot(dates, expected, color=INK, linewidth=1.2, marker=one, markersize=14)
    axes.set_ylim(bottom=lowest)
    named = [("expected sales", line(INK, width=1.2))]
    named += [(name, band(colour)) for name, (_, colour) in layers.items()]
    named += groups.entries(band(groups.colour[name]) for name in values).items()
    top, *rest = entries_of(named).items()
    legend_beside(axes, dict([top, *reversed(rest)]))


@dataclass(frozen=True)
class _Step:
    """Row of a waterfall: a part that adds to what is above it, or a total from zero."""

    name: str
    amount: float
    colour: str
    is_total: bool = False
    is_media: bool = False


def _steps(totals: xr.Dataset, groups: Groups) -> list[_Step]:
    """Make rows from base sales to sales, without parts that are zero in every geo."""
    steps = []
    for variable in parts_of(totals):
        values = totals[variable].to_numpy()
        if variable == "channel_contribution":
            by_group = groups.sums(totals[variable].sum("geo"))
            for label, (name, amount) in zip(groups.labels, by_group.items(), strict=True):
                steps.append(_Step(label, float(amount), groups.colour[name], is_media=True))
            continue
        words = NAMES.get(variable, variable.removesuffix("_contribution"))
        if variable == "control_contribution" and values.shape[-1] > 1:
            words = count(values.shape[-1], "control")
        if variable == "intercept_contribution" or values.any():
            is_media = variable in TOGETHER
            steps.append(_Step(words, float(values.sum()), STEP_COLOUR, is_media=is_media))
    expected, noise, sales = (float(totals[name].sum()) for name in ("mu", "noise", "y"))
    lost = float(totals["lost_sales"].sum()) if "lost_sales" in totals else 0.0
    return [
        *steps,
        _Step("expected sales", expected, TOTAL_COLOUR, is_total=True),
        _Step("noise", noise + lost, STEP_COLOUR),
        *([_Step("lost sales", -lost, STEP_COLOUR)] if lost else []),
        _Step("sales", sales, TOTAL_COLOUR, is_total=True),
    ]


def _draw_steps(axes: Axes, steps: list[_Step]) -> None:
    whole = next(step.amount for step in steps if step.is_total)
    end = 0.0
    lowest, highest = 0.0, 0.0
    ends, texts = [], []
    for row, step in enumerate(steps):
        start, end = (0.0, step.amount) if step.is_total else (end, end + step.amount)
        axes.barh(row, step.amount, left=start, color=step.colour, height=0.72)
        if row + 1 < len(steps):
            axes.plot([end, end], [row - 0.36, row + 1.36], color=FAINT, linewidth=0.7)
        lowest, highest = min(lowest, start, end), max(highest, start, end)
        sign = "+" if step.amount > 0 and row and not step.is_total else ""
        part = f" ({share(step.amount / whole)})" if whole > 0 and not step.is_total else ""
        ends.append(max(start, end))
        texts.append(f"{sign}{short_number(step.amount)}{part}")
    write_beside(axes, ends, texts)
    name_rows(axes, [step.name for step in steps])
    reach = highest - lowest or 1.0
    axes.set_xlim(lowest - 0.02 * reach * (lowest < 0), highest + ROOM * reach)


def _draw_shares(
    axes: Axes, shares: FloatArray, colours: list[str], beside: FloatArray | None
) -> None:
    """Draw bars, and write the shares to the right of bar and mark."""
    drawn = np.where(np.isfinite(shares), shares, 0.0)
    axes.barh(np.arange(len(shares)), drawn, color=colours, height=0.7)
    ends = np.maximum(drawn, 0.0 if beside is None else beside)
    texts = [share(part) if np.isfinite(part) else "nothing" for part in shares]
    if beside is not None:
        # The row may end at the mark: name the second figure.
        pairs = zip(texts, beside, strict=True)
        texts = [f"{text} (of spend {share(spent)})" for text, spent in pairs]
    write_beside(axes, np.maximum(ends, 0.0), texts, gap=4 if beside is None else 8)
    lowest, highest = span(drawn, ends)
    axes.set_xlim(1.05 * lowest, (1.12 if beside is None else 1.22) * highest or 1.0)


def _title(
    shares: xr.DataArray, of_all: float, of: str, place: str, texts: Mapping[str, str]
) -> str:
    values = shares.to_numpy()
    if not np.nansum(values) > 0:
        return f"Media adds nothing to sales{place}"
    largest = int(np.nanargmax(values))
    name = texts[str(shares["channel"].to_numpy()[largest])]
    most = share(values[largest])
    if of == "media":
        return f"Of what media adds to sales{place}, {name} makes {most}"
    whole = share(of_all)
    if len(values) == 1:
        return f"{name} makes {whole} of expected sales{place}"
    return f"Media makes {whole} of expected sales{place}, {name} alone {most}"
