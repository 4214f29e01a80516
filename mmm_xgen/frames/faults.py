"""Refuse a panel with faults: errors name the row and the column."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from mmm_xgen.errors import shown
from mmm_xgen.frames.panel import CellFault, Panel
from mmm_xgen.frames.statistics import IntArray


def check_faults(panel: Panel) -> None:
    """Raise the first fault: of dates, of geos, of repeated or lacking rows, of numbers.

    Raises
    ------
    SchemaError
        It names the row and the column, what was found and what is allowed.
    """
    if not len(panel.dates):
        message = "there are no rows; give at least one for each date and geo"
        raise panel.table.header_fault(message)
    date, geo = panel.mapping.date, panel.mapping.geo or "geo"
    undated = np.flatnonzero(np.isnat(panel.dates) & ~panel.unparsable)
    if undated.size:
        _refuse(panel, undated, date, "the date is missing")
    unread = np.flatnonzero(panel.unparsable)
    if unread.size:
        found = f"found {panel.cell_text(unread[0], date)}"
        _refuse(panel, unread, date, f"{found}, allowed: {_allowed_dates(panel)}")
    nowhere = np.flatnonzero(panel.geo_codes < 0)
    if nowhere.size:
        _refuse(panel, nowhere, geo, "the name is missing")
    if panel.repeated_rows.size:
        _refuse(panel, panel.repeated_rows, date, _repetition(panel, panel.repeated_rows[0]))
    _check_hole(panel)
    for fault in panel.cell_faults:
        row, column = fault.rows[0], panel.table.names[panel.variables[fault.position].place]
        place = str(panel.dates[row])[:10]
        place += f", geo {panel.geos[row]!r}" if len(panel.geo_labels) > 1 else ""
        place = "" if place in panel.table.row(row) else place
        _refuse(panel, fault.rows, column, _found(panel, fault), place)


def _refuse(panel: Panel, rows: IntArray, column: str, message: str, place: str = "") -> NoReturn:
    """Raise for the first of the rows, and count the others."""
    more = f"and {len(rows) - 1} more" if len(rows) > 1 else ""
    note = ", ".join(filter(None, (place, more)))
    raise panel.table.fault(int(rows[0]), column, f"{message} ({note})" if note else message)


def _allowed_dates(panel: Panel) -> str:
    form = panel.mapping.date_format
    allowed = f"a date in the format {form!r}" if form else "an ISO date"
    allowed += " without a zone or a time of day" if panel.strict else ""
    allowed += ("" if form else " (YYYY-MM-DD)") + " of the years 1678 to 2261"
    advice = "; for another format set spend_plan.date_format ('%d/%m/%Y')"
    return allowed + (advice if panel.strict and not form else "")


def _repetition(panel: Panel, row: int) -> str:
    mapping = panel.mapping
    same = (panel.series_codes == panel.series_codes[row]) & (panel.dates == panel.dates[row])
    found = [f"{mapping.date} '{str(panel.dates[row])[:10]}'"]
    others = (mapping.geo, mapping.channel)
    found += [f"{name} {panel.cell_text(row, name)}" for name in others if name]
    unset = [key for key in ("geo", "channel") if panel.strict and not getattr(mapping, key)]
    advice = f"; if it is another {' or '.join(unset)}, set spend_plan.{unset[0]}" if unset else ""
    earlier = panel.table.row(int(same.argmax()))
    return f"{', '.join(found)} is there already ({earlier}), allowed: once{advice}"


def _check_hole(panel: Panel) -> None:
    """Raise if a geo, or a channel of a geo, lacks a date which others have."""
    counts = np.bincount(panel.series_codes, minlength=panel.n_series)
    if (counts == panel.n_dates).all():
        return
    series = int((counts < panel.n_dates).argmax())
    there = panel.date_codes[panel.series_codes == series]
    date = np.setdiff1d(np.arange(panel.n_dates), there)[0]
    geo, entry = divmod(series, max(len(panel.entry_labels), 1))
    names = [f"channel {panel.entry_labels[entry]!r}"] if panel.mapping.channel else []
    names += [f"geo {panel.geo_labels[geo]!r}"] if panel.mapping.geo else []
    lacks = f"{' of '.join(names)} has no row for {str(panel.unique_dates[date])[:10]}"
    n_missing = int((panel.n_dates - counts).sum())
    more = f" (and {n_missing - 1} more rows are missing)" if n_missing > 1 else ""
    message = f"{lacks}, the date of this row; where nothing was spent write 0{more}"
    raise panel.table.fault(int((panel.date_codes == date).argmax()), panel.mapping.date, message)


def _found(panel: Panel, fault: CellFault) -> str:
    """Describe what the first cell of a fault holds, and what is allowed there."""
    row, role = fault.rows[0], panel.roles[fault.position]
    if fault.code == "non-numeric":
        (cell,) = panel.table.cells[panel.variables[fault.position].place].iloc[[row]].tolist()
        return f"found {shown(cell)}, allowed: a number (digits and a decimal point only)"
    if fault.code == "missing-values":
        advice = "where nothing was spent write 0" if role == "channel" else "give every value"
        return f"the value is missing; {advice}"
    allowed = "a finite number" if role == "control" else "zero or more, finite"
    return f"found {panel.cells[row, fault.position]}, allowed: {allowed}"
