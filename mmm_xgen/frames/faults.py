"""Faults of a panel: which rows have them, and errors that name the row and the column."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, NoReturn

import numpy as np

from mmm_xgen.errors import shown
from mmm_xgen.frames.panel import Panel
from mmm_xgen.frames.statistics import IntArray


class CellFault(NamedTuple):
    """Cells of one variable that have the same fault.

    Parameters
    ----------
    code : str
        Slug, as in a report of data quality.
    position : int
        Position of the variable.
    rows : ndarray of int
        Rows of the cells.
    what : str
        What the cells are, to follow a count: ``"are missing"``.
    say : callable
        ``say(row)`` is what was found in a row and what is allowed.
    """

    code: str
    position: int
    rows: IntArray
    what: str
    say: Callable[[int], str]


def cell_faults(panel: Panel) -> Iterator[CellFault]:
    """Yield the faults in the numbers of each variable.

    Examples
    --------
    >>> import pandas as pd
    >>> from mmm_xgen.frames.reading import read
    >>> panel = read(pd.DataFrame({"y": [1.0, None, -2.0]}))
    >>> [(fault.code, fault.rows.tolist()) for fault in cell_faults(panel)]
    [('missing-values', [1]), ('negative-values', [2])]
    """
    for position in range(len(panel.names)):
        yield from _faults_of(panel, position)


def _faults_of(panel: Panel, position: int) -> Iterator[CellFault]:
    cells, role = panel.cells[:, position], panel.roles[position]
    negative = "negative-control" if role == "control" else "negative-values"
    allowed = "zero or more, finite" if _is_bounded(panel, position) else "a finite number"
    advice = "where nothing was spent write 0" if role == "channel" else "give every value"

    def other(row: int) -> str:
        (cell,) = panel.table.cells[panel.places[position]].iloc[[row]].tolist()
        return f"found {shown(cell)}, allowed: a number (digits and a decimal point only)"

    def missing(row: int) -> str:
        return f"the value is missing; {advice}"

    def wrong(row: int) -> str:
        return f"found {cells[row]}, allowed: {allowed}"

    for code, bad, what, say in (
        ("non-numeric", panel.text[:, position], "are not numbers", other),
        ("missing-values", panel.missing[:, position], "are missing", missing),
        ("infinite-values", np.isinf(cells), "are infinite", wrong),
        (negative, cells < 0, "are negative", wrong),
    ):
        if bad.any():
            yield CellFault(code, position, np.flatnonzero(bad), what, say)


def _is_bounded(panel: Panel, position: int) -> bool:
    return panel.keys.strict or panel.roles[position] != "control"


def refuse_faults(panel: Panel, *, date_advice: str = "", repeat_advice: str = "") -> None:
    """Raise the first fault: of dates, of geos, of repeated or lacking rows, of numbers.

    Parameters
    ----------
    panel : Panel
        What was read.
    date_advice, repeat_advice : str
        What a message adds to a date that cannot be read, and to a row that is there twice.

    Raises
    ------
    SchemaError
        It names the row and the column, what was found and what is allowed.
    """
    if not len(panel.dates):
        message = "there are no rows; give at least one for each date and geo"
        raise panel.table.header_fault(message)
    keys = panel.keys
    allowed = f"a date in the format {keys.form!r}" if keys.form else "an ISO date"
    allowed += " without a zone or a time of day" if keys.strict else ""
    allowed += ("" if keys.form else " (YYYY-MM-DD)") + " of the years 1678 to 2261" + date_advice
    undated, nowhere = np.isnat(panel.dates) & ~panel.unparsable, panel.geo_codes < 0
    unread = np.flatnonzero(panel.unparsable)
    found = panel.cell_text(unread[0], keys.date) if unread.size else ""
    again = panel.repeated_rows
    for rows, column, message in (
        (np.flatnonzero(undated), keys.date, "the date is missing"),
        (unread, keys.date, f"found {found}, allowed: {allowed}"),
        (np.flatnonzero(nowhere), str(keys.geo), "the name is missing"),
        (again, keys.date, _repetition(panel, again[0]) + repeat_advice if again.size else ""),
    ):
        if rows.size:
            _refuse(panel, rows, column, message)
    _refuse_hole(panel)
    for fault in cell_faults(panel):
        row, column = fault.rows[0], panel.table.names[panel.places[fault.position]]
        place = f"{str(panel.dates[row])[:10]}, geo {panel.geos[row]!r}"
        if place in panel.table.row(row):
            place = ""
        if fault.code != "negative-control" or panel.keys.strict:
            _refuse(panel, fault.rows, column, fault.say(row), place)


def _refuse(panel: Panel, rows: IntArray, column: str, message: str, place: str = "") -> NoReturn:
    """Raise for the first of the rows, and count the others."""
    more = f"and {len(rows) - 1} more" if len(rows) > 1 else ""
    note = ", ".join(filter(None, (place, more)))
    raise panel.table.fault(int(rows[0]), column, f"{message} ({note})" if note else message)


def _repetition(panel: Panel, row: int) -> str:
    keys = panel.keys
    same = (panel.series_codes == panel.series_codes[row]) & (panel.dates == panel.dates[row])
    found = [f"{keys.date} '{str(panel.dates[row])[:10]}'"]
    found += [f"{name} {panel.cell_text(row, name)}" for name in (keys.geo, keys.entry) if name]
    earlier = panel.table.row(int(same.argmax()))
    return f"{', '.join(found)} is there already ({earlier}), allowed: once"


def _refuse_hole(panel: Panel) -> None:
    """Raise if a geo, or a channel of a geo, lacks a date which others have."""
    counts = np.bincount(panel.series_codes, minlength=panel.n_series)
    lacking = np.flatnonzero(counts < panel.n_dates)
    if not lacking.size:
        return
    geo, entry = divmod(int(lacking[0]), max(len(panel.entry_labels), 1))
    names = [f"channel {panel.entry_labels[entry]!r}"] if panel.keys.entry else []
    names += (
        [f"geo {panel.geo_labels[geo]!r}"] if panel.table.column(panel.keys.geo) is not None else []
    )
    who = " of ".join(names)
    own = np.flatnonzero(panel.series_codes == lacking[0])
    dates = panel.date_codes[own]
    date = np.setdiff1d(np.arange(panel.n_dates), dates)[0]
    if not own.size:
        # The row to name is the first of this date.
        row = int((panel.date_codes == date).argmax())
        message = f"{who} has no row on any date; where nothing was spent write 0"
    else:
        before = dates < date
        row = int(own[np.where(before, dates, -1).argmax() if before.any() else dates.argmin()])
        where = "its date before that" if before.any() else "its first date"
        day = str(panel.unique_dates[date])[:10]
        message = f"{who} has no row for {day}; {where} is in this row"
    n_missing = int((panel.n_dates - counts).sum())
    more = f" ({n_missing} rows are missing)" if n_missing > 1 else ""
    raise panel.table.fault(row, panel.keys.date, message + more)
