"""Plots of scenarios and of the best split of a budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import AlignmentError, ConfigError
from mmm_xgen.formatting.amounts import ratio, share, short_number, signed, signed_share
from mmm_xgen.formatting.words import count
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.panels import (
    DASHED,
    MOST_ROWS,
    ROW,
    band,
    blank,
    headed,
    legend_below,
    line,
    marks,
    name_rows,
    page_of,
    span,
)
from mmm_xgen.plots.selection import (
    Groups,
    by_size,
    check_panel,
    check_sizes,
    currency_of,
    entries_of,
    group_channels,
    texts_of,
)
from mmm_xgen.plots.style import (
    CHANNEL_COLOURS,
    FAINT,
    INK,
    OTHER_COLOUR,
    RISK,
    TOGETHER_COLOUR,
    format_numbers,
    plain_text,
)
from mmm_xgen.plots.tables import doublings_of, draw_ratios, scale_beside, write_column
from mmm_xgen.truth.budget.curves import response_curve

SCENARIO = (
    "revenue",
    "incremental_spend",
    "incremental_revenue",
    "incremental_roas",
    "incremental_sales",
    "sales",
)
BY_CHANNEL = (
    "channel_spend",
    "channel_contribution",
    "channel_incremental_spend",
    "channel_incremental_sales",
    "channel_incremental_revenue",
)
PLAN = ("optimal_spend", "current_spend", "revenue", "current_revenue", "mroas", "multiplier")
# These differ from all colours of channels.
COST, REVENUE = "#C9CDD3", "#4A4F57"
TOGETHER = "channels together"
# Light enough for a bound to be seen on it.
TODAY, BEST = OTHER_COLOUR, CHANNEL_COLOURS[6]
# Relative size of rounding errors.
ROUNDING = 1e-9
# Share of revenue that is written as nothing.
ALIKE = 5e-4
# Taller than rows of one bar.
PAIR = 1.35 * ROW
# Inches beside a panel: what stands between two of them does not touch.
APART = 0.12
# More columns have no room for their names.
MOST_NAMED = 30


@in_memory
def plot_scenarios(
    comparison: xr.Dataset, *, page: int = 1, figsize: tuple[float, float] | None = None
) -> Figure:
    """Draw the added spend and revenue of each scenario, in all and by channel.

    Parameters
    ----------
    comparison : Dataset, dims (scenario, channel)
        From `mmm_xgen.truth.compare_scenarios`.
    page : int, default 1
        Which 40 of the scenarios.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Scenarios in the order given. Left: added spend and revenue, with the added sales and
        profit, and the revenue per unit of added spend where no spend falls. Right: the revenue
        added by each channel; all but the eight largest contributions of today are shown as one.

    Raises
    ------
    ConfigError
        If `comparison` is not such a table, or there is no such page.

    Examples
    --------
    >>> import mmm_xgen
    >>> from mmm_xgen.truth import compare_scenarios
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> plans = {"no Trend": {"channel": "Trend", "to": 0}, "more": {"channel": "Trend", "by": 0.2}}
    >>> figure = plot_scenarios(compare_scenarios(ds, plans))
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['no Trend', 'more']
    """
    missing = [name for name in (*SCENARIO, *BY_CHANNEL) if name not in comparison]
    if missing or set(comparison["spend"].dims) != {"scenario"}:
        raise ConfigError("this is not a table of scenarios; pass the result of compare_scenarios")
    check_sizes(comparison[[*SCENARIO, *BY_CHANNEL]], apart=())
    names = [str(name) for name in comparison["scenario"].to_numpy()]
    chosen = page_of(names, page, MOST_ROWS, "scenarios")
    first = (page - 1) * MOST_ROWS
    table = comparison.isel(scenario=slice(first, first + len(chosen.names)))
    groups = _groups_of(comparison)
    currency = plain_text(str(comparison.attrs.get("currency", "currency")))
    with blank(figsize, 2.4 + PAIR * max(len(chosen.names), 2)) as figure:
        figure.set_layout_engine("constrained", w_pad=APART)
        left, right = figure.subplots(1, 2)
        texts = texts_of(comparison, "scenario")
        rows = [texts[name] for name in chosen.names]
        _draw_cost_and_revenue(left, table, rows, currency)
        has_more = _draw_by_channel(right, table, groups, currency)
        headed(figure, _paying(comparison), chosen.note)
        own = groups.entries(band(groups.colour[name]) for name in groups.members)
        sums = [("spend added", band(COST)), ("revenue added", band(REVENUE))]
        more = [(TOGETHER, band(TOGETHER_COLOUR))] if has_more else []
        legend_below(figure, entries_of([*sums, *own.items(), *more]))
    return figure


@in_memory
def plot_budget(
    ds: xr.Dataset,
    plan: xr.Dataset,
    *,
    page: int = 1,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw the best split of a budget beside today's, with marginal returns or changes by geo.

    Left: spend of each channel today and under the best split, with its bounds. Right: the
    marginal return of each channel, which is the same for all channels of the best split that no
    bound stops. For a plan by geo, right: spend under the best split as a multiple of today's.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        The generated Dataset that the plan is of.
    plan : Dataset, dims (channel,) or (geo, channel)
        From `mmm_xgen.truth.optimize_allocation`.
    page : int, default 1
        Which 40 of the channels, the largest contribution first.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ConfigError
        If `plan` is not such a plan, or there is no such page.
    AlignmentError
        If its channels are not those of `ds`.
    SchemaError
        If a variable is not there, or the Dataset has a further dim.

    Examples
    --------
    >>> import mmm_xgen
    >>> from mmm_xgen.truth import optimize_allocation
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> figure = plot_budget(ds, optimize_allocation(ds))
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['Spend', 'Return on the next unit of spend']
    """
    check_panel(ds, "spend", "channel_contribution", "revenue_per_kpi")
    _check_plan(ds, plan)
    check_sizes(plan[["optimal_spend", "current_spend", "revenue", "current_revenue"]], apart=())
    chosen = page_of(by_size(ds), page, MOST_ROWS, "channels")
    texts = texts_of(ds, "channel")
    rows = [texts[name] for name in chosen.names]
    with blank(figsize, 2.2 + PAIR * max(len(rows), 2)) as figure:
        figure.set_layout_engine("constrained", w_pad=APART)
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
        bounded = _draw_split(left, plan.sel(channel=chosen.names), rows, currency_of(ds))
        entries = {
            "today": band(TODAY),
            "best split": band(BEST),
        }
        if bounded:
            entries["allowed"] = Line2D([], [], color=INK, marker="|", linewidth=1, markersize=7)
        if "geo" in plan["optimal_spend"].dims:
            left.set_ylim(len(rows) - 0.5, -0.5)
            _draw_multipliers(figure, right, plan.sel(channel=chosen.names), rows)
        else:
            _draw_slopes(right, ds, plan, chosen.names, rows)
            price = float(plan["shadow_price"])
            entries["break-even"] = line(RISK, dashed=True)
            if 0 < price < np.inf:
                entries[f"next unit of budget: {ratio(price)}"] = line(INK, width=1.0)
        headed(figure, _gain(plan), *_notes(plan, currency_of(ds)), chosen.note)
        legend_below(figure, entries)
    return figure


# Scenarios ------------------------------------------------------------------------------------


def _groups_of(comparison: xr.Dataset) -> Groups:
    """Group channels, with the colours that they have in plots of the dataset itself.

    A scenario less what it adds is today, from which the colours come.
    """
    one = comparison.isel(scenario=0)
    today = {
        "spend": one["channel_spend"] - one["channel_incremental_spend"],
        "channel_contribution": one["channel_contribution"] - one["channel_incremental_sales"],
    }
    return group_channels(xr.Dataset(today).expand_dims(("date", "geo")))


def _paying(comparison: xr.Dataset) -> str:
    """Count the scenarios that add more revenue than spend."""
    added = comparison["incremental_revenue"] - comparison["incremental_spend"]
    size = abs(comparison["incremental_spend"]) + abs(comparison["incremental_revenue"])
    paying = int((added > ROUNDING * size).sum())
    noun = count(added.size, "scenario")
    return f"{paying} of {noun} would leave more revenue after spend than today"


def _draw_cost_and_revenue(axes: Axes, table: xr.Dataset, names: list[str], currency: str) -> None:
    rows = np.arange(len(names))
    for name, offset, colour in (
        ("incremental_spend", -0.18, COST),
        ("incremental_revenue", 0.18, REVENUE),
    ):
        axes.barh(rows + offset, table[name].to_numpy(), height=0.34, color=colour, label=name)
    _finish_change(axes, names)
    axes.set_title("Beyond today")
    axes.set_xlabel(f"{currency}, all dates")
    sales = table["incremental_sales"].to_numpy()
    today = (table["sales"] - table["incremental_sales"]).to_numpy()
    after = write_column(axes, "sales", [_change(*pair) for pair in zip(sales, today, strict=True)])
    profit = table["incremental_revenue"] - table["incremental_spend"]
    size = abs(table["incremental_revenue"]) + abs(table["incremental_spend"])
    # The rest is rounding.
    profit = profit.where(abs(profit) > ROUNDING * size, 0.0)
    texts = [signed(value, short_number) for value in profit.to_numpy()]
    after = write_column(axes, "profit", texts, indent=after)
    ratios = table["incremental_roas"].to_numpy()
    texts = [ratio(value) if np.isfinite(value) else "" for value in ratios]
    write_column(axes, "incremental ROAS", texts, indent=after)


def _draw_by_channel(axes: Axes, table: xr.Dataset, groups: Groups, currency: str) -> bool:
    """Draw bars end to end: gains to the right, losses to the left.

    Return True if channels make more or less together than the sum of them.
    """
    added = groups.sums(table["channel_incremental_revenue"].transpose("scenario", "channel"))
    colours, labels = [groups.colour[name] for name in added], groups.labels
    whole = table["incremental_revenue"].to_numpy()
    together = whole - np.sum(list(added.values()), axis=0)
    has_more = bool((abs(together) > ROUNDING * float(abs(table["revenue"]).max())).any())
    if has_more:
        added[TOGETHER] = together
        colours, labels = [*colours, TOGETHER_COLOUR], [*labels, TOGETHER]
    right, left = np.zeros(table.sizes["scenario"]), np.zeros(table.sizes["scenario"])
    rows = np.arange(table.sizes["scenario"])
    for values, label, colour in zip(added.values(), labels, colours, strict=True):
        start = np.where(values >= 0, right, left)
        axes.barh(rows, values, left=start, height=0.6, color=colour, label=label)
        right, left = right + np.maximum(values, 0), left + np.minimum(values, 0)
    marks(axes, right + left, rows, INK, marker="D", size=5, label="sum")
    _finish_change(axes, [""] * len(rows))
    axes.set_title("Revenue added (diamond: sum)")
    axes.set_xlabel(f"{currency}, all dates")
    return has_more


def _finish_change(axes: Axes, names: Sequence[str]) -> None:
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.use_sticky_edges = False
    axes.autoscale_view()
    name_rows(axes, names)
    axes.locator_params(axis="x", nbins=6)
    format_numbers(axes, "x")


def _change(added: float, before: float) -> str:
    if added == 0:
        return "0"
    words = signed(added, short_number)
    return f"{words} ({signed_share(added / before)})" if before > 0 else words


# The best budget ------------------------------------------------------------------------------


def _check_plan(ds: xr.Dataset, plan: xr.Dataset) -> None:
    missing = [name for name in (*PLAN, "lower", "upper", "shadow_price") if name not in plan]
    if missing or not {"window", "total_budget"} <= set(plan.attrs):
        raise ConfigError("this is not a plan of a budget; pass the result of optimize_allocation")
    for dim in ("channel", *(["geo"] if "geo" in plan["optimal_spend"].dims else [])):
        known, given = (set(map(str, each[dim].to_numpy())) for each in (ds, plan))
        if known != given:
            odd = ", ".join(sorted(known ^ given))
            raise AlignmentError(f"plan and dataset differ in {dim}: {odd} is in one of them only")


def _over_geos(values: xr.DataArray) -> FloatArray:
    return (values.sum("geo") if "geo" in values.dims else values).to_numpy()


def _gain(plan: xr.Dataset) -> str:
    best, today = (float(plan[name].sum()) for name in ("revenue", "current_revenue"))
    spent, before = (float(plan[name].sum()) for name in ("optimal_spend", "current_spend"))
    what = "The same budget, split at best,"
    if abs(spent - before) <= ROUNDING * max(spent, before):
        spent = before
    else:
        part = f" ({signed_share(spent / before - 1)})" if before > 0 else ""
        more = "more" if spent > before else "less"
        what = f"{short_number(abs(spent - before))} {more} to spend{part}, split at best,"
    if today <= 0:
        return f"{what} would earn {short_number(best)} from media"
    gain = best / today - 1
    if abs(gain) < ALIKE and spent == before:
        return "Today's budget is split at best"
    return f"{what} would earn {share(abs(gain))} {'less' if gain < 0 else 'more'} from media"


def _notes(plan: xr.Dataset, currency: str) -> list[str]:
    notes = [str(plan.attrs["window"])]
    unspent = float(plan.attrs.get("unspent", 0.0))
    if unspent > 0:
        notes.append(f"{currency} {short_number(unspent)} left unspent, which can earn nothing")
    if plan.attrs.get("status", "optimal") != "optimal":
        notes.append(str(plan.attrs["status"]))
    return notes


def _draw_split(axes: Axes, plan: xr.Dataset, rows: list[str], currency: str) -> bool:
    """Draw both splits and the bounds; return if there are bounds."""
    places = np.arange(len(rows))
    today, best = (_over_geos(plan[name]) for name in ("current_spend", "optimal_spend"))
    lower, upper = plan["lower"].to_numpy(), plan["upper"].to_numpy()
    axes.barh(places - 0.18, today, height=0.34, color=TODAY, label="today")
    axes.barh(places + 0.18, best, height=0.34, color=BEST, label="best split")
    reach = 1.08 * max(float(today.max()), float(best.max())) or 1.0
    # Bounds of 0 and of the whole budget bind nothing.
    budget = float(plan.attrs["total_budget"])
    bounded = np.flatnonzero((lower > 0) | (upper < (1 - ROUNDING) * budget))
    for row in bounded:
        inside = [end for end in (lower[row], upper[row]) if end <= reach]
        axes.plot(
            np.clip([lower[row], upper[row]], 0, reach), [row + 0.18] * 2, color=INK, linewidth=1
        )
        axes.plot(inside, [row + 0.18] * len(inside), "|", color=INK, markersize=8)
    axes.set_xlim(0, reach)
    name_rows(axes, rows)
    axes.locator_params(axis="x", nbins=6)
    format_numbers(axes, "x")
    axes.set_title("Spend")
    axes.set_xlabel(f"{currency}, all dates")
    write_column(axes, "change", [_relative(*pair) for pair in zip(best, today, strict=True)])
    return bool(bounded.size)


def _relative(best: float, today: float) -> str:
    if today > 0:
        return signed_share(best / today - 1, 0)
    return "new" if best > 0 else "none"


def _draw_slopes(
    axes: Axes, ds: xr.Dataset, plan: xr.Dataset, names: list[str], rows: list[str]
) -> None:
    """Draw finite marginal returns today and under the best split."""
    best = plan["mroas"].sel(channel=names).to_numpy()
    window = tuple(str(plan.attrs["window"]).split(" to "))
    # The derivative that the best split makes equal: of the window's revenue by its spend.
    curve = response_curve(ds, multipliers=[1.0], window=window).isel(multiplier=0)
    today = curve["marginal_return"].sel(channel=names).to_numpy()
    today, best = (np.where(np.isfinite(each), each, np.nan) for each in (today, best))
    places = np.arange(len(rows))
    axes.hlines(places, today, best, color=FAINT, linewidth=1.2)
    for values, colour, label in ((today, TODAY, "today"), (best, BEST, "best split")):
        marks(axes, values, places, colour, size=7, label=label, whole=True)
    price = float(plan["shadow_price"])
    if 0 < price < np.inf:
        axes.axvline(price, color=INK, linewidth=1.0, zorder=1)
    axes.axvline(1.0, color=RISK, linewidth=1.2, linestyle=DASHED, zorder=1)
    lowest, highest = span(today, best)
    axes.set_xlim(1.06 * lowest, 1.06 * max(1.2, highest))
    name_rows(axes, [""] * len(rows))
    axes.set_title("Return on the next unit of spend")
    axes.set_xlabel("revenue per unit of spend (mROAS)")


def _draw_multipliers(figure: Figure, axes: Axes, plan: xr.Dataset, rows: list[str]) -> None:
    table = plan["multiplier"].transpose("channel", "geo").to_numpy()
    geos = list(texts_of(plan, "geo").values())
    named = len(geos) <= MOST_NAMED
    mesh = draw_ratios(axes, table, rows, geos if named else [], doublings_of(table))
    axes.set_yticklabels([])
    axes.set_title("Best spend by today's, in each geo")
    if not named:
        axes.set_xlabel(f"{len(geos)} geos, from {geos[0]} to {geos[-1]}")
    scale_beside(figure, mesh, [axes], "best by today's (grey: nothing today)")
