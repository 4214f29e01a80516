"""Tables that describe datasets, presets and named worlds."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mmm_xgen.errors import UnknownKindError, nearest, printable, shown
from mmm_xgen.formatting.amounts import amount, ratio, share
from mmm_xgen.formatting.words import count
from mmm_xgen.kernels.calendar import period_word

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console
    from rich.table import Table

MOST_GEOS = 12
PIPED_WIDTH = 140
# Columns from which the list of worlds has the bias of each channel.
WIDE = 100
WIDEST = 10_000


def console() -> Console:
    """Return a console on stdout, wide enough to cut nothing if that is not a terminal."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPED_WIDTH
    return Console(width=width, highlight=False, emoji=False)


def show_all(parts: Iterable[str | Table], width: int | None = None) -> None:
    """Print lines and tables, whose numbers are never cut, however narrow the terminal is.

    Parameters
    ----------
    parts : iterable of str or Table
        Lines and tables.
    width : int, optional
        Most columns of a table where its words can be folded.
    """
    from rich.cells import cell_len
    from rich.measure import Measurement

    shown = console()
    shown.width = min(shown.width, width or shown.width)
    for part in parts:
        if isinstance(part, str):
            shown.print(printable(part, keep="\n"), markup=False, soft_wrap=True)
            continue
        for column in part.columns:
            # Labels may hold control characters; rich has no public way to change a cell.
            column.header = printable(str(column.header), keep="\n")
            column._cells = [printable(str(cell), keep="\n") for cell in column.cells]
            if column.no_wrap:
                texts = (str(column.header), *map(str, column.cells))
                column.min_width = max(map(cell_len, "\n".join(texts).split("\n")))
        options = shown.options.update(markup=False, max_width=WIDEST)
        least = Measurement.get(shown, options, part).minimum
        shown.width = max(shown.width, least)
        shown.print(part, markup=False)


def presets_table() -> Table:
    """Name, size and purpose of every preset."""
    from mmm_xgen.presets import get_preset_config, list_available_presets

    table = new_table("preset", "what it is for", right=("periods", "geos", "channels", "controls"))
    for name, description in list_available_presets().items():
        config = get_preset_config(name)
        sizes = (
            config.n_periods,
            config.regions.n_regions,
            len(config.channels),
            len(config.control_variables),
        )
        table.add_row(name, description, *map(str, sizes))
    return table


def worlds_table(width: int = PIPED_WIDTH) -> Table:
    """List all worlds by kind, in one line each: what breaks, and the bias that this makes."""
    from mmm_xgen.presets import list_available_worlds
    from mmm_xgen.presets.named_worlds import GROUPS

    wide = width >= WIDE
    table = new_table("world", "what breaks", "bias of least squares" if wide else "bias")
    table.show_edge = False
    worlds = list_available_worlds().values()
    for group in (group for group in GROUPS if any(world.group == group for world in worlds)):
        table.add_row(f"[bold]{group}[/]")
        for world in (world for world in worlds if world.group == group):
            table.add_row(f"  {world.name}", world.short, world.bias if wide else world.side)
    return table


def world_lines(name: str) -> list[str]:
    """Return all that there is to say of a world, line by line.

    Raises
    ------
    UnknownKindError
        If there is no such world; it names the nearest.
    """
    from mmm_xgen.presets import list_available_worlds

    worlds = list_available_worlds()
    if name not in worlds:
        raise UnknownKindError(f"no world named {shown(name)}; {nearest(name, worlds)}")
    world = worlds[name]
    about = f"the last {world.last_periods} weeks" if world.last_periods else "all weeks"
    curves = "base" if world.base_curves else "true"
    others = "react" if world.reacting else "stay as they are"
    lines = {
        "what breaks": world.breaks,
        "bias": f"{world.bias}, for least squares with the {curves} curves",
        "of the ROAS": f"in {about}, where budgets of other channels {others}",
        "well specified": ", ".join(world.representable) or "no model",
        "note": world.note,
        "reference": world.reference,
        "configuration": f"mmm-xgen show {name}",
    }
    return [f"{world.name} ({world.group})", *(f"{k}: {v}" for k, v in lines.items() if v)]


def summary(ds: xr.Dataset) -> list[str]:
    """Two lines: the size of a dataset, and its economics."""
    from mmm_xgen.truth.returns.incremental import media_share

    sizes = ", ".join([_span(ds), *_counts(ds)])
    returns, _ = _returns(ds)
    media = media_share(ds)
    middle, low, high = (float(getattr(returns, name)()) for name in ("median", "min", "max"))
    earned = f"ROAS {ratio(low)} to {ratio(high)}, median {ratio(middle)}"
    if math.isnan(middle):
        earned = "no spend, so no ROAS"
    return [
        f"{sizes}, seed {ds.attrs.get('seed', 'unknown')}",
        f"spend {ds.attrs['currency']} {amount(float(ds['spend'].sum()))}; media makes "
        f"{share(media)} of {ds.attrs['kpi']}; {earned}",
    ]


def describe(ds: xr.Dataset, title: str) -> list[str | Table]:
    """Lines and tables that describe a generated dataset."""
    drawn = "given" if ds.attrs.get("spend_is_given") else "drawn"
    parts: list[str | Table] = [
        f"{title}: {', '.join([_span(ds), *_counts(ds)])}",
        f"seed {ds.attrs.get('seed', 'unknown')}, spend {drawn}, currency "
        f"{ds.attrs['currency']}, KPI {ds.attrs['kpi']}, made by mmm-xgen "
        f"{ds.attrs.get('mmm_xgen_version', 'unknown')}",
        _channels(ds),
    ]
    if "aggregation" in ds.attrs:
        parts.insert(2, f"aggregated: {ds.attrs['aggregation']}")
    if ds.sizes.get("control", 0):
        parts.append(_controls(ds))
    parts.append(_geos(ds))
    parts += _causes(ds)
    hidden = ds.sizes["geo"] - MOST_GEOS
    return [*parts, f"and {hidden} more geos"] if hidden > 0 else parts


def _returns(ds: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """ROAS and share of sales by channel; NaN where they do not follow from the data."""
    from mmm_xgen.truth.returns.estimands import attribution, roas
    from mmm_xgen.truth.returns.incremental import has_returns

    if has_returns(ds):
        return roas(ds), attribution(ds)
    unknown = ds["spend"].sum(("date", "geo")) * math.nan
    return unknown, unknown


def _causes(ds: xr.Dataset) -> list[str | Table]:
    """Table of who causes what, in words; none for spend and controls alone."""
    import json

    from mmm_xgen.report.causes import rows_of

    config = ds.attrs.get("config", ds.attrs.get("source_config", "{}"))
    rows = rows_of(json.loads(str(config)))
    table = new_table("cause", "what it moves", "how", title="Who causes what")
    for row in rows:
        table.add_row(*row)
    return [table] if rows else []


def _channels(ds: xr.Dataset) -> Table:
    table = new_table(
        "channel",
        "column",
        "adstock",
        "saturation",
        right=(f"spend ({ds.attrs['currency']})", "ROAS", "share of sales"),
        title="Channels",
    )
    spend = ds["spend"].sum(("date", "geo"))
    returns = (each.to_numpy() for each in _returns(ds))
    for name, returned, part in zip(ds["channel"].to_numpy(), *returns, strict=True):
        one = ds["channel"].sel(channel=name)
        kinds = (
            str(one[key].item()) for key in ("channel_column", "adstock_kind", "saturation_kind")
        )
        spent = amount(float(spend.sel(channel=name)))
        table.add_row(str(name), *kinds, spent, ratio(returned), share(part))
    return table


def _controls(ds: xr.Dataset) -> Table:
    table = new_table("control", "column", right=("lowest", "mean", "highest"), title="Controls")
    values = ds["control_value"]
    for name, column in zip(ds["control"].to_numpy(), ds["control_column"].to_numpy(), strict=True):
        one = values.sel(control=name)
        figures = (float(one.min()), float(one.mean()), float(one.max()))
        table.add_row(str(name), str(column), *map(amount, figures))
    return table


def _geos(ds: xr.Dataset) -> Table:
    from mmm_xgen.dataset import config_of

    # An aggregated dataset has no configuration of its own.
    noise = f", noise {config_of(ds).regions.noise.kind}" if "config" in ds.attrs else ""
    table = new_table(
        "geo",
        right=("population", f"mean {ds.attrs['kpi']}", "base sales", "noise sd"),
        title=f"Geos{noise}",
    )
    means = ds[["population", "mu", "intercept_contribution", "y_sigma"]].mean("date")
    for name in ds["geo"].to_numpy()[:MOST_GEOS]:
        one = means.sel(geo=name)
        table.add_row(str(name), *(amount(float(figure)) for figure in one.data_vars.values()))
    return table


def new_table(*left: str, right: tuple[str, ...] = (), title: str | None = None) -> Table:
    """Table without rows, with columns of words and columns of numbers."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for name in left:
        table.add_column(name, overflow="fold")
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _span(ds: xr.Dataset) -> str:
    first, last = (str(ds["date"].to_numpy()[i])[:10] for i in (0, -1))
    word = period_word(ds.attrs.get("freq", ""))
    return f"{count(ds.sizes['date'], word)} from {first} to {last}"


def _counts(ds: xr.Dataset) -> list[str]:
    return [count(ds.sizes.get(dim, 0), dim) for dim in ("geo", "channel", "control")]
