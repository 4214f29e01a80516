"""Checks of rows, dates, geos, names and types. Each yields (where, message) or cases."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

from mmm_xgen.formatting.words import listed
from mmm_xgen.frames.cells import DateArray, read_numbers
from mmm_xgen.frames.panel import Panel
from mmm_xgen.frames.reading import same_labels
from mmm_xgen.quality.grouping import Case, Trace
from mmm_xgen.schema import PARTS

IDENTITY_TOLERANCE = 1e-9

NEEDED_DIMS = (
    "spend (date, geo, channel), y (date, geo), control_value (date, geo, control) in any order"
)
_TRUTH_WORDS = frozenset(
    {"contribution", "contributions", "roas", "mroas", "roi", "effect", "effects"}
    | {"effectiveness", "incremental", "adstock", "adstocked", "carryover", "saturated"}
    | {"saturation", "truth"}
)
# Words that are also fair names of a channel or control, so they only count elsewhere.
_TRUTH_COLUMNS = frozenset({"mu", "noise", "baseline", "intercept", "true"})


def absent_variables(panel: Panel) -> Iterator[Trace]:
    """Find variables and columns that a model needs and the data lack."""
    for name in panel.absent:
        yield name, f"{name!r} is needed and missing"


def wrong_dims(panel: Panel) -> Iterator[Trace]:
    """Find Dataset variables with dims that are not those of the schema."""
    for variable in panel.misshapen:
        yield variable, "needed dims: " + NEEDED_DIMS


def no_rows(panel: Panel) -> Iterator[Trace]:
    """Find data without a single row."""
    if not len(panel.cells):
        yield "date", "there are no rows"


def duplicate_columns(panel: Panel) -> Iterator[Trace]:
    """Find names that occur twice, and columns of one name such as x1-TV and x2-TV."""
    for label, count in Counter(panel.labels).items():
        if count > 1:
            yield label, f"the name occurs {count} times; only the first was checked further"
    for role, label, columns in same_labels(panel):
        yield ", ".join(columns), f"these columns name the same {role}, {label!r}"


def unparsable_dates(panel: Panel) -> Iterator[Trace]:
    """Find dates that cannot be read as dates, numbers among them."""
    rows = np.flatnonzero(panel.unparsable)
    if rows.size:
        shown = ", ".join(panel.cell_text(row, panel.mapping.date) for row in rows[:3])
        yield "date", f"{rows.size} of {len(panel.dates)} dates cannot be read: {shown}"


def missing_keys(panel: Panel) -> Iterator[Trace]:
    """Find rows without a date or without a geo."""
    absent = {"date": np.isnat(panel.dates) & ~panel.unparsable, "geo": panel.geo_codes < 0}
    for name, rows in absent.items():
        if rows.any() and name not in panel.absent:
            yield name, f"{int(rows.sum())} of {len(rows)} rows have no {name}"


def duplicate_rows(panel: Panel) -> Iterator[Trace]:
    """Find rows that repeat the date and geo of an earlier row."""
    rows = panel.repeated_rows
    if rows.size:
        yield f"(date, geo) at {panel.places_of(rows)}", f"{rows.size} rows repeat a date and geo"


def unsorted_rows(panel: Panel) -> Iterator[Trace]:
    """Find rows that are not by date, then by geo (alphabetical or in a steady order)."""
    if not panel.dated:
        return
    usable = panel.usable
    dates, geos = panel.date_codes[usable], panel.geo_codes[usable]
    rank = np.argsort(np.argsort(panel.geo_labels.astype(str)))[geos]
    n_geos = len(panel.geo_labels)
    falls = [np.diff(dates * n_geos + order) < 0 for order in (geos, rank)]
    least = min(falls, key=lambda fall: int(fall.sum()))
    if least.any():
        after = np.flatnonzero(usable)[np.flatnonzero(least) + 1]
        where = f"(date, geo) at {panel.places_of(after)}"
        yield where, f"{after.size} rows are not in order"


def unbalanced_geos(panel: Panel) -> Iterator[Trace]:
    """Find geos that lack dates which other geos have."""
    counts = np.bincount(panel.geo_codes[panel.first_rows], minlength=len(panel.geo_labels))
    for geo in np.flatnonzero(counts < panel.n_dates)[:10]:
        lacking = panel.n_dates - int(counts[geo])
        where = f"geo {panel.geo_labels[geo]}"
        if panel.dated and panel.cube_rows.size:
            dates = panel.unique_dates[panel.cube_rows[:, geo] < 0]
            where += f" at {_some_dates(dates)}"
        yield where, f"lacks {lacking} of {panel.n_dates} dates"
    others = int((counts < panel.n_dates).sum()) - 10
    if others > 0:
        yield f"{others} other geos", "lack dates too"


def date_gaps(panel: Panel) -> Iterator[Trace]:
    """Find dates that are missing in all geos."""
    fit = panel.calendar
    if fit is not None and (fit.steps > 1).any():
        before = panel.unique_dates[:-1][fit.steps > 1]
        lost = int((fit.steps[fit.steps > 1] - 1).sum())
        yield f"date after {_some_dates(before)}", f"{lost} periods are missing"


def irregular_dates(panel: Panel) -> Iterator[Trace]:
    """Find dates that are not on the calendar which most dates follow."""
    fit = panel.calendar
    if fit is not None and (fit.places < 0).any():
        off = panel.unique_dates[fit.places < 0]
        yield (
            f"date at {_some_dates(off)}",
            f"{off.size} of {fit.places.size} dates are not on the calendar",
        )


def _some_dates(dates: DateArray) -> str:
    return listed([str(date)[:10] for date in dates])


def object_dtype(panel: Panel) -> Iterator[Case]:
    """Find numbers stored as Python objects."""
    for position, (place, *_) in enumerate(panel.variables):
        if panel.table.cells[place].dtype == object and not panel.text[:, position].any():
            yield Case(panel.table.names[place], "", "numbers are stored with dtype object")


def leaked_truth(panel: Panel) -> Iterator[Trace]:
    """Find names of columns that look like the truth, which a model must not see.

    Each of them is named, because each has to be removed.
    """
    unexpected = set(panel.unexpected)
    for label in dict.fromkeys(panel.labels):
        # camelCase, snake_case and x1-TV are split into words.
        words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", label)}
        taboo = words & _TRUTH_WORDS
        if label in unexpected:
            taboo |= words & _TRUTH_COLUMNS
        if taboo:
            yield label, f"the name says {sorted(taboo)[0]!r}: it looks like the truth"


def unexpected_columns(panel: Panel) -> Iterator[Case]:
    """Find columns that are neither key, y, channel (x1-*) nor control (c1-*)."""
    for label in panel.unexpected:
        yield Case(label, "", "neither date, geo, y, a channel (x1-...) nor a control (c1-...)")


def broken_identity(panel: Panel) -> Iterator[Trace]:
    """Find cells where the components do not sum to mu, or y - mu is not the noise."""
    dataset = panel.dataset
    if dataset is None or "mu" not in dataset.variables:
        return
    if {"intercept_contribution", "channel_contribution"} <= set(dataset.variables):
        parts = [_summed(dataset, name) for name in PARTS if name in dataset.variables]
        yield from _unequal("mu", _summed(dataset, "mu"), parts, "the sum of its components")
    if {"y", "noise"} <= set(dataset.variables):
        difference = [_summed(dataset, "y"), -_summed(dataset, "mu")]
        yield from _unequal("noise", _summed(dataset, "noise"), difference, "y - mu")


def _summed(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """One variable as floats, over date and geo only and without its labels."""
    variable = dataset[name].variable
    values, _ = read_numbers(pd.Series(np.ravel(variable.values)), is_text=True)
    # Without labels nothing is aligned: dates may be broken, positions are not.
    array = xr.DataArray(values.reshape(variable.shape), dims=variable.dims)
    others = [dim for dim in array.dims if dim not in ("date", "geo")]
    return array.sum(others, skipna=False)


def _unequal(
    name: str, claimed: xr.DataArray, parts: list[xr.DataArray], meaning: str
) -> Iterator[Trace]:
    gap = abs(claimed - sum(parts))
    size = sum(map(abs, parts)) + abs(claimed)
    count = int((~(gap <= IDENTITY_TOLERANCE * size)).sum())
    if count:
        worst = float((gap / size.where(size > 0)).max())
        found = f"{count} of {gap.size} cells differ from {meaning}"
        yield name, f"{found}, by up to {worst:.2g} of the size of the terms"
