"""Results as tables for people, and as CSV and JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mmm_xgen.cli.tables import new_table
from mmm_xgen.formatting.amounts import amount, ratio, share, signed, signed_share
from mmm_xgen.formatting.plain import plain

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from rich.table import Table

LABELS = ("period", "geo", "channel")
TOTAL = "total"
AFTER_THE_LAST = (
    "carry-out that arrives after the last date counts in full: nothing is spent there, and a "
    "unit of the KPI is worth what it was on that date"
)


@dataclass(frozen=True)
class Column:
    """Column of a table: its variable, its heading and its format."""

    name: str
    words: str
    shown: Callable[[float], str]


RETURNS = (
    Column("spend", "spend", amount),
    Column("contribution", "contribution", amount),
    Column("revenue", "revenue", amount),
    Column("roas", "ROAS", ratio),
    Column("roas_with_carryout", "ROAS with\ncarry-out", ratio),
    Column("mroas", "marginal\nROAS", ratio),
    Column("mroas_with_carryout", "marginal ROAS\nwith carry-out", ratio),
)
EFFECTS = (
    Column("cost_per_incremental", "cost per\nincremental", amount),
    Column("attribution", "share of\nall sales", share),
    Column("attribution_of_media", "share of\nmedia", share),
    Column("adstock_half_life", "half-life", ratio),
    Column("half_of_effect", "half of\neffect", ratio),
    Column("half_saturation", "half\nsaturation", amount),
    Column("saturation_level", "saturation\nlevel", share),
)
IMPACT = (
    Column("incremental_spend", "spend", signed),
    Column("incremental_sales", "sales", signed),
    Column("incremental_revenue", "revenue", signed),
    Column("incremental_profit", "profit", signed),
    Column("incremental_roas", "incremental\nROAS", ratio),
)
IMPACT_WITH_CARRYOUT = tuple(
    column
    if column.name == "incremental_spend"
    else replace(column, name=f"{column.name}_with_carryout")
    for column in IMPACT
)
SCENARIO = (
    Column("spend", "spend", amount),
    Column("sales", "sales", amount),
    Column("revenue", "revenue", amount),
    Column("roas", "ROAS of\nall media", ratio),
)
OPTIMUM = (
    Column("current_spend", "spend\ntoday", amount),
    Column("optimal_spend", "optimal\nspend", amount),
    Column("change", "change", signed_share),
    Column("current_contribution", "contribution\ntoday", amount),
    Column("contribution", "contribution\nat optimum", amount),
    Column("mroas", "marginal ROAS\nat optimum", ratio),
)

# Figures of an optimum whose total is that of all media, where channels act on each other.
MADE = {
    "contribution": "media_contribution",
    "current_contribution": "current_media_contribution",
    "revenue": "media_revenue",
    "current_revenue": "current_media_revenue",
}


def estimand_tables(truth: xr.Dataset, title: str) -> list[str | Table]:
    """Lines and tables of what `estimands` gives, with grades if it has them."""
    frame, units = frame_of(truth), units_of(truth)
    labels = [name for name in LABELS if name in frame]
    parts: list[str | Table] = [
        f"{title}: truth without noise, {truth.attrs['window']}",
        _table(frame, labels, RETURNS, units, title="Returns"),
        _table(frame, labels, EFFECTS, units, title="Effects"),
    ]
    if not truth["complete"].all():
        parts.append(AFTER_THE_LAST)
    if "grade" in truth:
        table = new_table("channel", "grade", "reason", title="Can the ROAS be told from the data")
        for _, row in frame.iterrows():
            table.add_row(*(str(row[name]) for name in ("channel", "grade", "reason")))
        parts.append(table)
    return parts


def impact_tables(impacts: xr.Dataset, scenarios: xr.Dataset, title: str) -> list[str | Table]:
    """Lines and tables of a what-if: what each change adds, and all spend before and after."""
    frame = frame_of(impacts)
    if len(frame) == 2:
        # A single change is the total.
        frame = frame[:1]
    units = units_of(impacts)
    first, last = (impacts.attrs[f"window_{end}"] for end in ("start", "end"))
    parts: list[str | Table] = [
        f"{title}: what-if without noise, other spend from {first} to {last}",
        _table(frame, ["change"], IMPACT, units, title="What the change adds in this time"),
        _table(frame, ["change"], IMPACT_WITH_CARRYOUT, units, title="What it adds with carry-out"),
    ]
    if not impacts["complete"].all():
        parts.append(AFTER_THE_LAST)
    before_and_after = _table(
        frame_of(scenarios),
        ["scenario"],
        SCENARIO,
        units_of(scenarios),
        title="All dates and geos",
    )
    return [*parts, before_and_after]


def optimum_tables(best: xr.Dataset, title: str) -> list[str | Table]:
    """Lines and table of what `optimize_allocation` gives, its plan and bounds apart."""
    frame = frame_of(best)
    labels = [name for name in LABELS if name in frame]
    total = {**frame.sum(numeric_only=True), **dict.fromkeys(labels, ""), labels[-1]: TOTAL}
    for name, media in MADE.items():
        # What channels make together is not the sum of what each adds.
        total[name] = float(best.get(media, total[name]))
    today, revenue = total["current_spend"], total["revenue"]
    total |= {"multiplier": total["optimal_spend"] / today if today else math.nan}
    total |= {"mroas": math.nan}
    frame.loc[len(frame)] = total
    frame["change"] = frame["multiplier"] - 1

    told, currency = best.attrs, best.attrs.get("currency", "")
    gap = max(float(best["gap_bound"]), 0.0)
    within = f", {share(gap / revenue)} of it" if revenue > 0 else ""
    proven = f"no allowed split earns over {currency} {amount(gap)} more{within}"
    if math.isinf(gap):
        proven = "channels act on each other, so nothing proves that no allowed split earns more"
    unspent = f"; {currency} {amount(told['unspent'])} best unspent" if told["unspent"] else ""
    return [
        f"{title}: best split of {currency} {amount(told['total_budget'])} without noise, "
        f"{told['window']}",
        _table(frame, labels, OPTIMUM, units_of(best)),
        f"status: {told['status']}",
        f"revenue from media: {currency} {amount(revenue)}, today "
        f"{amount(total['current_revenue'])}; {proven}",
        f"one more {currency} of budget earns {ratio(float(best['shadow_price']))}{unspent}",
    ]


def _table(
    frame: pd.DataFrame,
    labels: Iterable[str],
    columns: Iterable[Column],
    units: Mapping[str, str],
    *,
    title: str | None = None,
) -> Table:
    labels, columns = list(labels), list(columns)
    heads = [
        column.words + (f"\n({units[column.name]})" if column.name in units else "")
        for column in columns
    ]
    table = new_table(*labels, right=tuple(heads), title=title)
    for column in table.columns:
        # Where numbers take all the width, a label would fold into single letters.
        column.no_wrap = True
    for row in frame.to_dict("records"):
        words = [str(row[name]) for name in labels]
        table.add_row(*words, *(column.shown(float(row[column.name])) for column in columns))
    return table


# For machines ---------------------------------------------------------------------------------


def frame_of(figures: xr.Dataset) -> pd.DataFrame:
    """Figures as a frame: one row for each combination of labels, which come first."""
    dims = [*(name for name in LABELS if name in figures.dims)]
    dims += [str(name) for name in figures.dims if name not in dims]
    frame = figures.to_dataframe(dim_order=dims).reset_index()
    for name in frame:
        if frame[name].dtype.kind == "M":
            frame[name] = frame[name].dt.strftime("%Y-%m-%d")
    front = [*dims, *(str(name) for name in figures.coords if name not in dims)]
    return frame[front + [name for name in frame if name not in front]]


def units_of(figures: xr.Dataset) -> dict[str, str]:
    """Units of the figures that have any."""
    units = {str(name): str(values.attrs.get("units", "")) for name, values in figures.items()}
    return {name: unit for name, unit in units.items() if unit not in ("", "1")}


def as_csv(frame: pd.DataFrame) -> str:
    """CSV in the fewest digits that keep every number, without the last line break."""
    from mmm_xgen.atomic import csv_of

    return csv_of(frame).removesuffix("\n")


def as_json(parts: Mapping[str, Any]) -> str:
    """Write mappings, lists and numbers as JSON; what is not finite becomes null."""
    return json.dumps(plain(parts), indent=2, allow_nan=False)
