"""Tables of the truth: returns, effects, parameters, parts of sales, geos and controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import xarray as xr

from mmm_xgen.errors import SchemaError
from mmm_xgen.export.ground_truth import ground_truth
from mmm_xgen.formatting.amounts import MISSING, amount, ratio, share
from mmm_xgen.report.content import Block, Column, kind_words, number, table
from mmm_xgen.schema import parts_of
from mmm_xgen.truth.returns.estimands import attribution, estimands, outcomes_of, roas
from mmm_xgen.truth.returns.incremental import acts_together, all_media, media_share

# Rows that need no folding.
SHORT = 12
# Relative difference that is rounding.
SAME = 1e-9
ALL = "all"
WORDS = {
    "channel_contribution": "media",
    "control_contribution": "controls",
    "intercept_contribution": "base",
    "trend_contribution": "trend",
    "seasonality_contribution": "seasons",
    "event_contribution": "events",
    "level_contribution": "moving level",
    "promotion_contribution": "promotions",
    "demand_contribution": "latent demand",
    "interaction_contribution": "interactions of channels",
    "mediator_contribution": "media through mediators",
    "competitor_contribution": "competitor",
    "remainder_contribution": "what the losses without each part leave",
    "mu": "expected sales",
    "noise": "noise",
    "y": "sales",
    "outlier_contribution": "outliers, part of the noise",
    "lost_sales": "lost sales, part of the noise",
}
Figures: TypeAlias = tuple[tuple[str, Column, Callable[[float], str]], ...]
RETURNS: Figures = (
    ("spend", number("spend", "{currency}"), amount),
    ("contribution", number("contribution", "{kpi}"), amount),
    ("roas", number("ROAS"), ratio),
    ("mroas", number("marginal ROAS"), ratio),
    ("cost_per_incremental", number("cost per incremental", "{currency}"), amount),
    ("attribution", number("share of sales"), share),
    ("attribution_of_media", number("share of media"), share),
)
SHAPES: Figures = (
    ("adstock_half_life", number("half-life", "periods"), ratio),
    ("half_of_effect", number("half of the effect", "periods"), ratio),
    ("half_saturation", number("half-saturation", "{currency} per period"), amount),
    ("saturation_level", number("mean saturation"), share),
)


def channels_by_size(ds: xr.Dataset) -> list[str]:
    """Channels, the largest contribution or else the largest spend first."""
    name = "channel_contribution" if "channel_contribution" in ds else "spend"
    total = ds[name].sum(("date", "geo")).to_numpy()
    return [str(channel) for channel in ds["channel"].to_numpy()[np.argsort(-total, kind="stable")]]


def returns_table(ds: xr.Dataset) -> Sequence[Block]:
    """Spend, contribution, ROAS, marginal ROAS and shares by channel."""
    try:
        found = estimands(ds, by="channel")
        note = (
            "Over the whole window and without noise. ROAS is the revenue lost without the "
            "channel, per unit of its spend; marginal ROAS that of one more unit."
        )
    except SchemaError:
        # An aggregated dataset has contributions but no curves, and so no marginal returns.
        found = _without_parameters(ds)
        note = "Over the whole window and without noise. Marginal returns need the parameters."
    return _by_channel("Returns by channel", ds, found, RETURNS, note, totals=_totals(ds, found))


def _by_channel(
    title: str,
    ds: xr.Dataset,
    found: xr.Dataset,
    figures: Figures,
    note: str,
    totals: Mapping[str, float] | None = None,
) -> Sequence[Block]:
    """Make a table of the figures that were found, a row for each channel."""
    columns = [entry for entry in figures if entry[0] in found]
    rows = [
        [name, *(write(float(found[key].sel(channel=name))) for key, _, write in columns)]
        for name in channels_by_size(ds)
    ]
    if totals is not None:
        rows.append([ALL, *(write(totals.get(key, np.nan)) for key, _, write in columns)])
    heads = [Column("channel"), *(_with_units(column, ds) for _, column, _ in columns)]
    return [table(title, heads, rows, note=note, total=totals is not None)]


def _without_parameters(ds: xr.Dataset) -> xr.Dataset:
    spend = ds["spend"].sum(("date", "geo"))
    contribution = ds["channel_contribution"].sum(("date", "geo"))
    return xr.Dataset(
        {
            "spend": spend,
            "contribution": contribution,
            "roas": roas(ds),
            "attribution": attribution(ds),
            "attribution_of_media": attribution(ds, of="media"),
            "revenue": (ds["channel_contribution"] * ds["revenue_per_kpi"]).sum(("date", "geo")),
        }
    )


def _totals(ds: xr.Dataset, found: xr.Dataset) -> dict[str, float]:
    spend, contribution, revenue, part = (
        float(found[name].sum()) for name in ("spend", "contribution", "revenue", "attribution")
    )
    if acts_together(ds):
        # What is lost without each channel does not add up to what is lost without all.
        media = all_media(ds)
        contribution, revenue = (
            float(each.sum()) for each in (media, media * ds["revenue_per_kpi"])
        )
        part = media_share(ds)
    # One more unit of spend, split as spend is now.
    parts = found["mroas"] * found["spend"] if "mroas" in found else found["spend"] * np.nan
    return {
        "spend": spend,
        "contribution": contribution,
        "roas": revenue / spend if spend > 0 else np.nan,
        "mroas": float(parts.sum(skipna=spend > 0)) / spend
        if "mroas" in found and spend > 0
        else np.nan,
        "cost_per_incremental": spend / contribution if contribution > 0 else np.nan,
        "attribution": part,
        "attribution_of_media": 1.0
        if acts_together(ds)
        else float(found["attribution_of_media"].sum()),
    }


def shapes_table(ds: xr.Dataset) -> Sequence[Block]:
    """Carry-over and saturation by channel."""
    found = estimands(ds, by="channel")
    note = (
        "Half-saturation: constant spend over all geos that makes half of what any spend could "
        "make. Mean saturation: how much of it today's spend makes."
    )
    title = "How long spend works, and how far it is saturated"
    return _by_channel(title, ds, found, SHAPES, note)


def parameters_table(ds: xr.Dataset) -> Sequence[Block]:
    """Kinds and parameters by channel, as means over geos with their range."""
    parameters: Mapping[str, Any] = ground_truth(ds)["parameters"]
    rows = []
    for name in channels_by_size(ds):
        one = parameters[name]
        rows.append(
            [
                name,
                str(one["column"]),
                _kind(one["adstock"]),
                _kind(one["saturation"]),
                _over_geos(one["effect"]["by_geo"]),
                _over_geos(one["spend_unit"]),
            ]
        )
    heads = [
        Column("channel"),
        Column("column"),
        Column("adstock"),
        Column("saturation"),
        _with_units(number("effect", "{kpi} per period"), ds),
        _with_units(number("spend unit", "{currency}"), ds),
    ]
    note = (
        "Named as PyMC-Marketing names them; the effect is folded into the scale of the curve. "
    ) + ("Means over geos, with their range." if ds.sizes["geo"] > 1 else "")
    return [table("Parameters by channel", heads, rows, note=note.strip())]


def _kind(part: Mapping[str, Any]) -> str:
    words = [kind_words(str(part["kind"]))]
    words += [f"{name} {text}" for name, text in part["settings"].items()]
    words += [
        f"{name} {_over_geos(values['by_geo'])}" for name, values in part["parameters"].items()
    ]
    return "\n".join(words)


def _over_geos(by_geo: Mapping[Any, float | None]) -> str:
    """Mean over geos, and the range if they differ."""
    values = [value for value in by_geo.values() if value is not None]
    if not values:
        return MISSING
    low, high = min(values), max(values)
    if high - low <= SAME * max(abs(high), abs(low)):
        return amount(high)
    return f"{amount(sum(values) / len(values))} ({amount(low)} to {amount(high)})"


def parts_table(ds: xr.Dataset) -> Sequence[Block]:
    """Parts that sales are the sum of."""
    expected = float(ds["mu"].sum())
    n_periods = ds.sizes["date"]
    rows = []
    for name in (*parts_of(ds), *outcomes_of(ds)):
        # A part without dates is the same in every period.
        repeats = 1 if "date" in ds[name].dims else n_periods
        value = float(ds[name].sum()) * repeats
        words = WORDS.get(name, name.removesuffix("_contribution"))
        rows.append([words, amount(value), share(value / expected if expected else np.nan)])
    heads = [Column("part"), _with_units(number("sum", "{kpi}"), ds), number("of expected sales")]
    note = "The parts sum to expected sales, and with the noise to sales."
    if "log_channel" in ds:
        note += " A part is what sales lose without it; the remainder is what these losses leave."
    return [table("What sales are made of", heads, rows, note=note)]


def geos_table(ds: xr.Dataset) -> Sequence[Block]:
    """Size, sales and spend by geo."""
    figures: list[tuple[Column, xr.DataArray, Callable[[float], str]]] = []
    if "population" in ds:
        figures.append((number("population"), ds["population"], amount))
    figures.append((number("mean sales", "{kpi}"), ds["y"].mean("date"), amount))
    figures.append((number("mean spend", "{currency}"), _spend(ds).mean("date"), amount))
    if "channel_contribution" in ds and "mu" in ds:
        media = all_media(ds)
        revenue = (media * ds["revenue_per_kpi"]).sum("date")
        spend = _spend(ds).sum("date")
        figures.append((number("media share"), media.sum("date") / ds["mu"].sum("date"), share))
        figures.append((number("ROAS"), (revenue / spend).where(spend > 0), ratio))
    if "y_sigma" in ds:
        has_log_sd = ds["y_sigma"].attrs.get("units") == "1"
        heads_of = ("sd of log sales",) if has_log_sd else ("noise sd", "{kpi}")
        figures.append((number(*heads_of), ds["y_sigma"], share if has_log_sd else amount))
    columns = [values.transpose("geo").to_numpy() for _, values, _ in figures]
    rows = [
        [
            str(geo),
            *(
                shown(float(values[place]))
                for (_, _, shown), values in zip(figures, columns, strict=True)
            ),
        ]
        for place, geo in enumerate(ds["geo"].to_numpy())
    ]
    heads = [Column("geo"), *(_with_units(column, ds) for column, *_ in figures)]
    return [table("Geos", heads, rows, note="Means are per period.", longest=SHORT)]


def _spend(ds: xr.Dataset) -> xr.DataArray:
    return ds["spend"].sum("channel")


def controls_table(ds: xr.Dataset) -> Sequence[Block]:
    """Range of the controls, and what they do if it is known."""
    if not ds.sizes.get("control"):
        return []
    values = ds["control_value"]
    known = "control_contribution" in ds and "mu" in ds
    heads = [Column("control"), Column("column"), *map(number, ("lowest", "mean", "highest"))]
    if known:
        heads += [
            _with_units(number("contribution", "{kpi}"), ds),
            number("coefficient or elasticity"),
        ]
    rows = []
    for name in ds["control"].to_numpy():
        one = values.sel(control=name)
        row = [str(name), str(one["control_column"].item()) if "control_column" in ds else MISSING]
        row += [amount(float(figure)) for figure in (one.min(), one.mean(), one.max())]
        if known:
            row.append(amount(float(ds["control_contribution"].sel(control=name).sum())))
            row.append(_coefficient(ds, name))
        rows.append(row)
    return [table("Controls", heads, rows)]


def _coefficient(ds: xr.Dataset, name: Any) -> str:
    for key, word in (("control_elasticity", "elasticity "), ("gamma_control", "")):
        if key in ds:
            values = ds[key].sel(control=name).to_numpy()
            if np.isfinite(values).all() and values.any():
                return word + _over_geos(dict(enumerate(values.tolist())))
    return "0" if "gamma_control" in ds and _is_zero(ds["gamma_control"], name) else MISSING


def _is_zero(values: xr.DataArray, name: Any) -> bool:
    return bool((values.sel(control=name) == 0).all())


def recoverability_table(ds: xr.Dataset, found: xr.Dataset) -> Sequence[Block]:
    """Grade, bounds and reason by channel, from what `recoverability` found."""
    rows = []
    for name in channels_by_size(ds):
        one = found.sel(channel=name)
        rows.append(
            [
                name,
                str(one["grade"].item()),
                _error(float(one["roas_bound"])),
                _error(float(one["roas_bound_without_prior"])),
                str(one["reason"].item()),
            ]
        )
    heads = [
        Column("channel"),
        Column("grade", kind="grade"),
        number("error with prior"),
        number("error without prior"),
        Column("what costs most precision"),
    ]
    note = (
        "The smallest relative standard error of the ROAS that an unbiased estimate can have "
        "(Cramér-Rao), for a model with the true structure. Good: up to 10%; fair: up to 25%; "
        "poor: more; weak: a fit would say its prior; not identified: without a prior the error "
        "has no bound, or there is no ROAS to tell."
    )
    return [
        table("Can the return of each channel be told from these data?", heads, rows, note=note)
    ]


def _error(value: float) -> str:
    if not np.isfinite(value):
        return MISSING
    return f"±{value:.0%}" if value < 10 else "beyond ±1000%"


def _with_units(column: Column, ds: xr.Dataset) -> Column:
    units = {
        "currency": str(ds["spend"].attrs.get("units", "currency")),
        "kpi": str(ds["y"].attrs.get("units", "sales")),
    }
    unit = column.unit
    for name, word in units.items():
        # str.format would fail on a unit with braces.
        unit = unit.replace("{" + name + "}", word)
    return Column(column.words, unit, column.kind)
