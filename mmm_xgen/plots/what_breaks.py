"""Panels over time of a world: sales, spend, and what breaks the assumptions of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from mmm_xgen.plots.panels import area
from mmm_xgen.plots.selection import thinned
from mmm_xgen.plots.style import (
    CHANNEL_COLOURS,
    FAINT,
    INK,
    format_dates,
    format_numbers,
    plain_text,
)
from mmm_xgen.plots.timelines import dots, trace

# Panels of what breaks, and lines in a panel that have a legend.
MOST_BREAKS, MOST_NAMED = 4, 6
# Share of a series up to which its changes are rounding.
ROUNDING = 1e-9
Draw = Callable[[Axes, xr.DataArray, Mapping[str, str]], None]


# --- series of a variable, dims (date,) or (date, item)


def _total(ds: xr.Dataset, name: str) -> xr.DataArray:
    """Sum over geos and items."""
    return ds[name].sum([dim for dim in ds[name].dims if dim != "date"])


def _by_item(ds: xr.Dataset, name: str) -> xr.DataArray:
    return ds[name].sum("geo")


def _mean(ds: xr.Dataset, name: str) -> xr.DataArray:
    return ds[name].mean("geo")


def _over_plan(ds: xr.Dataset, name: str) -> xr.DataArray:
    plan = _by_item(ds, name)
    return _by_item(ds, "spend") / plan.where(plan > 0)


def _over_spend(ds: xr.Dataset, name: str) -> xr.DataArray:
    spend = _by_item(ds, "spend")
    return _by_item(ds, name) / spend.where(spend > 0)


def _by_carryover(ds: xr.Dataset, name: str) -> xr.DataArray:
    """Return the sum over geos with that of carried-over spend as a coordinate, if it is known."""
    known = "carryover" in ds and bool(ds["carryover"].notnull().all())
    values = _by_item(ds, name)
    return values.assign_coords(carryover=_by_item(ds, "carryover")) if known else values


def _special(ds: xr.Dataset, name: str) -> xr.DataArray:
    """Return the controls that are no cause of sales alone, in standard deviations."""
    chosen = np.isin(ds[name], ["collider", "instrument"])
    here = ds["control_value"].mean("geo").isel(control=np.flatnonzero(chosen))
    return (here - here.mean("date")) / here.std("date")


# --- looks


def _lines(axes: Axes, values: xr.DataArray, colours: Mapping[str, str]) -> None:
    """Draw a line for each item, with a legend if no channels tell their colours."""
    dates, dim = values["date"].to_numpy(), next((d for d in values.dims if d != "date"), None)
    if dim is None:
        trace(axes, dates, values.to_numpy(), CHANNEL_COLOURS[0], width=1.0)
        return
    for place, item in enumerate(map(str, values[dim].to_numpy())):
        own = CHANNEL_COLOURS[place % len(CHANNEL_COLOURS)]
        colour = colours.get(item, FAINT) if dim == "channel" else own
        line = trace(axes, dates, values.isel({dim: place}).to_numpy(), colour, width=1.0)
        line.set_label(plain_text(item))
    if dim != "channel" and values.sizes[dim] <= MOST_NAMED:
        axes.margins(y=0.25)
        axes.legend(loc="upper left", fontsize=7, ncols=2)


def _curves(axes: Axes, values: xr.DataArray, colours: Mapping[str, str]) -> None:
    """Draw a dot for each date and channel by carried-over spend; over time if that is lost."""
    if "carryover" not in values.coords:
        _lines(axes, values, colours)
        return
    for name in values["channel"].to_numpy():
        one = values.sel(channel=name)
        look: Any = {"color": colours.get(str(name), FAINT), "markersize": 3}
        axes.plot(one["carryover"].to_numpy(), one.to_numpy(), ".", **look)
    axes.set_xlabel("carried-over spend")


def _area(axes: Axes, values: xr.DataArray, _: Mapping[str, str]) -> None:
    dates, cells = values["date"].to_numpy(), values.to_numpy()
    area(axes, dates, 0.0, cells, CHANNEL_COLOURS[4])
    trace(axes, dates, cells, CHANNEL_COLOURS[0], width=0.9)


def _single(axes: Axes, values: xr.DataArray, _: Mapping[str, str]) -> None:
    """Draw a line from zero on each date on which something happens."""
    axes.vlines(values["date"].to_numpy(), 0.0, values.to_numpy(), CHANNEL_COLOURS[3])
    axes.axhline(0.0, color=FAINT, linewidth=0.8)


@dataclass(frozen=True)
class Break:
    """Panel of what breaks: its title, its series from the name of a variable, and its look."""

    title: str
    series: Callable[[xr.Dataset, str], xr.DataArray] = _total
    draw: Draw = _lines


# What breaks, by the variable that shows it. A new mechanism adds one line here.
BREAKS: dict[str, Break] = {
    "demand": Break("Latent demand, standard deviations", _mean),
    "spend_plan": Break("Spend over its plan", _over_plan),
    "competitor_contribution": Break("Sales that the competitor takes", draw=_area),
    "effect_path": Break("Effect relative to its mean", _mean),
    "exposure": Break("Delivered media over spend", _over_spend),
    "interaction_contribution": Break("Sales of channels together", draw=_area),
    "mediator_value": Break("Mediators", _mean),
    "campaign_spend": Break("Spend by campaign", _by_item),
    "control_role": Break("Instruments and colliders", _special),
    "baseline_path": Break("Base sales relative to their mean", _mean),
    "season_path": Break("Season relative to its mean", _mean),
    "event_contribution": Break("Sales by events", draw=_area),
    "promotion_contribution": Break("Sales by promotions", _by_item),
    "outlier_contribution": Break("Outliers of sales", draw=_single),
    "lost_sales": Break("Sales lost to capacity", draw=_area),
    "remainder_contribution": Break("Sales of several causes together", draw=_area),
    "aware_share": Break("Share of people that is aware", _mean),
    "loyal_share": Break("Share of people that is loyal", _mean),
    "goodwill": Break("Stock of goodwill", _mean),
}
WITHOUT = Break("Sales that each channel makes", _by_carryover, _curves)


def panels_of(ds: xr.Dataset) -> dict[str, tuple[xr.DataArray, Draw]]:
    """Return series and look of each panel by its title: spend, and what breaks.

    If nothing that breaks has a panel, the last one has the sales that each channel makes.

    Examples
    --------
    >>> import mmm_xgen
    >>> list(panels_of(mmm_xgen.generate_mmm_dataset("drifting_effects")))
    ['Spend', 'Effect relative to its mean']
    >>> list(panels_of(mmm_xgen.generate_mmm_dataset("clean")))
    ['Spend', 'Sales that each channel makes']
    """
    found: dict[str, tuple[xr.DataArray, Draw]] = {"Spend": (_by_item(ds, "spend"), _lines)}
    for name, each in BREAKS.items():
        values = _moving(each.series(ds, name)) if _is_series(ds, name) else None
        if values is not None and len(found) <= MOST_BREAKS:
            found[each.title] = values, each.draw
    if len(found) == 1:
        found[WITHOUT.title] = WITHOUT.series(ds, "channel_contribution"), WITHOUT.draw
    return found


def _is_series(ds: xr.Dataset, name: str) -> bool:
    return name in ds and ("date" in ds[name].dims or name == "control_role")


def _moving(values: xr.DataArray) -> xr.DataArray | None:
    """Keep the items that are not the same on all dates; None if there are none."""
    values = values.transpose("date", ...)
    cells = values.to_numpy().reshape(values.sizes["date"], -1)
    known = np.isfinite(cells)
    low = np.min(cells, 0, initial=np.inf, where=known)
    high = np.max(cells, 0, initial=-np.inf, where=known)
    moves = high - low > ROUNDING * np.maximum(abs(low), abs(high))
    if not moves.any():
        return None
    items: Any = [dim for dim in values.dims if dim != "date"]
    return values.isel({items[0]: np.flatnonzero(moves)}) if items else values


def draw_panels(places: Sequence[Axes], ds: xr.Dataset, colours: Mapping[str, str]) -> None:
    """Draw sales and the panels of `panels_of`."""
    sales, *others = places
    known = [name for name in ("y", "mu") if name in ds]
    series, _ = thinned(ds[known].sum("geo"))
    dates = series["date"].to_numpy()
    if "y" in series:
        dots(sales, dates, series["y"].to_numpy())
    if "mu" in series:
        trace(sales, dates, series["mu"].to_numpy(), INK, width=1.0)
    _finish(sales, "Sales, and expected sales")
    for axes, (title, (values, draw)) in zip(others, panels_of(ds).items(), strict=True):
        draw(axes, thinned(values.to_dataset(name="values"))[0]["values"], colours)
        _finish(axes, title)


def _finish(axes: Axes, title: str) -> None:
    axes.set_label(title)
    axes.set_title(title, fontsize=10)
    axes.locator_params(axis="y", nbins=4)
    format_numbers(axes, "y")
    if axes.get_xlabel():
        format_numbers(axes, "x")
    elif np.isfinite(axes.dataLim.intervalx).all():
        format_dates(axes)
