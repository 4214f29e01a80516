"""The cube of a modelling dataset, read from rows, and what the checks need to know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.config.spend_plan import SpendPlanConfig
from mmm_xgen.errors import shown
from mmm_xgen.formatting.words import listed
from mmm_xgen.frames.cells import DateArray, read_dates, read_names, read_numbers, text_of
from mmm_xgen.frames.frequency import REGULAR, Fit, best_fit, most_frequent
from mmm_xgen.frames.statistics import (
    BoolArray,
    FloatArray,
    IntArray,
    Moments,
    isolation,
    moments,
    outliers,
    variance_inflation,
    within_geo_correlation,
    zero_runs,
)
from mmm_xgen.frames.table import Table

# Identifiers in place of geo names would make dates x geos explode; real data are never so empty.
_MAX_CELLS_PER_ROW = 50
_SPARE_CELLS = 10_000
# Items that a message names before it counts the others.
NAMED = 3


class Variable(NamedTuple):
    """A column of numbers: its position in the table, the variable's name and its role."""

    place: int
    name: str
    role: str


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
    """

    code: str
    position: int
    rows: IntArray
    what: str


@dataclass(frozen=True, eq=False)
class Panel:
    """The cube (date, geo, variable) of a modelling dataset, as read and before any repair.

    The rows of a wide table are those of the cube: one a (date, geo). A long table has one a
    (date, geo, channel), and its cube has a series for each geo and channel in place of the geos.

    Parameters
    ----------
    table : Table
        The cells as the source has them, for messages.
    variables : sequence of Variable
        Columns of numbers.
    mapping : SpendPlanConfig
        Columns of the dates and geos, and of the channel's name in a long table.
    strict : bool
        True if booleans are not numbers, and dates have neither a time
        zone nor a time of day.
    labels : tuple of str
        Every column of a frame, or channel and control of a Dataset, repetitions included.
    absent : tuple of str
        Columns or variables that a model needs and that are not there.
    misshapen : tuple of str
        Dataset variables with dims that they should not have, as ``"spend (week)"``.
    dataset : xarray.Dataset or None
        The Dataset that was read, if it was one.
    """

    table: Table
    variables: Sequence[Variable]
    mapping: SpendPlanConfig
    strict: bool = False
    labels: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    misshapen: tuple[str, ...] = ()
    dataset: xr.Dataset | None = None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name of each variable."""
        return tuple(variable.name for variable in self.variables)

    @cached_property
    def roles(self) -> NDArray[np.str_]:
        """Role of each variable: ``"y"``, ``"channel"`` or ``"control"``; dims (variable,)."""
        return np.array([variable.role for variable in self.variables], dtype=np.str_)

    @cached_property
    def _numbers(self) -> tuple[FloatArray, BoolArray]:
        shape = (self.table.n_rows, len(self.variables))
        cells, text = np.empty(shape), np.empty(shape, dtype=np.bool_)
        for position, variable in enumerate(self.variables):
            cells[:, position], text[:, position] = read_numbers(
                self.table.cells[variable.place], is_text=self.table.is_text, strict=self.strict
            )
        return cells, text

    @property
    def cells(self) -> FloatArray:
        """Values; NaN where missing or not a number; dims (row, variable)."""
        return self._numbers[0]

    @property
    def text(self) -> BoolArray:
        """Cells that hold something other than a number; dims (row, variable)."""
        return self._numbers[1]

    @cached_property
    def _dates(self) -> tuple[DateArray, BoolArray]:
        cells = self.table.column(self.mapping.date)
        if cells is None:
            cells = pd.Series([None] * self.table.n_rows, dtype=object)
        return read_dates(cells, form=self.mapping.date_format, strict=self.strict)

    @property
    def dates(self) -> DateArray:
        """Dates as datetime64[s], NaT where missing or unparsable; dims (row,)."""
        return self._dates[0]

    @property
    def unparsable(self) -> BoolArray:
        """Dates that are there but are not dates; dims (row,)."""
        return self._dates[1]

    @cached_property
    def geos(self) -> NDArray[np.object_]:
        """Geo labels as text; None where missing; dims (row,)."""
        cells = self.table.column(self.mapping.geo)
        if cells is None:
            return np.full(self.table.n_rows, self.mapping.national_name, dtype=object)
        return read_names(cells)

    @cached_property
    def unexpected(self) -> tuple[str, ...]:
        """Columns of a frame that are neither key, y, channel nor control."""
        known = {self.mapping.date, self.mapping.geo, *self.names}
        is_frame = self.dataset is None
        return tuple(name for name in dict.fromkeys(self.labels) if is_frame and name not in known)

    @cached_property
    def dated(self) -> bool:
        """True if any date can be used. If none can, the order of the rows stands in for time."""
        return bool((~np.isnat(self.dates)).any())

    @cached_property
    def geo_codes(self) -> IntArray:
        """Position of each row's geo in `geo_labels`, -1 where missing; dims (row,)."""
        return self._geo_factor[0]

    @cached_property
    def geo_labels(self) -> NDArray[np.object_]:
        """Geo labels in order of appearance; dims (geo,)."""
        return self._geo_factor[1]

    @cached_property
    def date_codes(self) -> IntArray:
        """Position of each row's date in time, -1 where not usable; dims (row,)."""
        if not self.dated:
            order = pd.Series(self.series_codes).groupby(self.series_codes).cumcount()
            return np.asarray(order, dtype=np.int64)
        codes = np.searchsorted(self.unique_dates, self.dates).astype(np.int64)
        return np.where(np.isnat(self.dates), np.int64(-1), codes)

    @cached_property
    def unique_dates(self) -> DateArray:
        """Usable dates, sorted; dims (date,)."""
        return np.unique(self.dates[~np.isnat(self.dates)])

    @cached_property
    def n_dates(self) -> int:
        """Number of distinct points in time."""
        return int(self.date_codes.max(initial=-1)) + 1

    @cached_property
    def entry_labels(self) -> NDArray[np.object_]:
        """Channels that the rows of a long table name, in order; none for a wide table."""
        return self._entry_factor[1]

    @cached_property
    def series_codes(self) -> IntArray:
        """Position of each row's series: its geo or, in a long table, its geo and channel."""
        codes, labels = self._entry_factor
        return np.where(self.geo_codes < 0, -1, self.geo_codes * max(len(labels), 1) + codes)

    @cached_property
    def n_series(self) -> int:
        """Number of series: geos, times channels in a long table."""
        return len(self.geo_labels) * max(len(self.entry_labels), 1)

    @cached_property
    def usable(self) -> BoolArray:
        """Rows with a date and a geo; dims (row,)."""
        return (self.date_codes >= 0) & (self.geo_codes >= 0)

    @cached_property
    def first_rows(self) -> IntArray:
        """Usable rows that are the first with their date and series; sorted by date, series."""
        usable = np.flatnonzero(self.usable)
        keys = self.date_codes[usable] * self.n_series + self.series_codes[usable]
        return usable[np.unique(keys, return_index=True)[1]].astype(np.int64)

    @cached_property
    def repeated_rows(self) -> IntArray:
        """Usable rows that repeat the date and series of an earlier row."""
        return np.setdiff1d(np.flatnonzero(self.usable), self.first_rows)

    @cached_property
    def cube_rows(self) -> IntArray:
        """Row behind each cell of the cube, -1 where there is none; dims (date, series).

        Empty if rows are so few for their dates and geos that the cube would be nearly all gaps.
        """
        shape = (self.n_dates, self.n_series)
        if shape[0] * shape[1] > _MAX_CELLS_PER_ROW * len(self.dates) + _SPARE_CELLS:
            shape = (0, 0)
        rows = np.full(shape, -1, dtype=np.int64)
        if rows.size:
            first = self.first_rows
            rows[self.date_codes[first], self.series_codes[first]] = first
        return rows

    @cached_property
    def cube(self) -> FloatArray:
        """Finite values, NaN elsewhere; dims (date, series, variable)."""
        # One row more, for cells without a row.
        rows = np.concatenate([self.cells, np.full((1, len(self.names)), np.nan)])
        values = rows[self.cube_rows]
        return np.where(np.isfinite(values), values, np.nan)

    @cached_property
    def calendar(self) -> Fit | None:
        """Calendar that most dates follow: a regular one, or one with steps of the usual length."""
        dates = self.unique_dates
        if len(dates) < 3:
            return None
        months = most_frequent(np.diff(dates.astype("datetime64[M]").astype(int)))
        own = [pd.DateOffset(months=int(months))] if months else []
        return best_fit(dates, (*REGULAR, *own, pd.Timedelta(most_frequent(np.diff(dates)))))

    @cached_property
    def moments(self) -> Moments:
        """Mean, sd, range and counts of each variable over all rows."""
        return moments(self.cells)

    @cached_property
    def missing(self) -> BoolArray:
        """Cells without any value; dims (row, variable)."""
        return np.isnan(self.cells) & ~self.text

    @cached_property
    def cell_faults(self) -> list[CellFault]:
        """Faults in the numbers of each variable."""
        negative, is_control = self.cells < 0, self.roles == "control"
        faulty = (
            ("non-numeric", self.text, "are not numbers"),
            ("missing-values", self.missing, "are missing"),
            ("infinite-values", np.isinf(self.cells), "are infinite"),
            ("negative-values", negative & ~is_control, "are negative"),
        )
        return [
            CellFault(code, position, np.flatnonzero(cells[:, position]), what)
            for position in range(len(self.names))
            for code, cells, what in faulty
            if cells[:, position].any()
        ]

    @cached_property
    def correlation(self) -> FloatArray:
        """Correlation within geos; dims (variable, variable)."""
        return within_geo_correlation(self.cube)

    @cached_property
    def vif(self) -> FloatArray:
        """Variance inflation of each channel and control; NaN for y, or with too few rows."""
        factors = np.full(len(self.names), np.nan)
        predictors = np.flatnonzero(self.roles != "y")
        if self.spare_rows > 0:
            among = self.correlation[np.ix_(predictors, predictors)]
            factors[predictors] = variance_inflation(among)
        return factors

    @cached_property
    def spare_rows(self) -> int:
        """Rows left after one intercept a geo and one slope a channel and control."""
        n_predictors = int((self.roles != "y").sum())
        return len(self.first_rows) - len(self.geo_labels) - n_predictors

    @cached_property
    def zero_runs(self) -> IntArray:
        """Length of the run of zeros that ends at each cell; dims (date, geo, variable)."""
        return zero_runs(self.cube)

    @cached_property
    def outliers(self) -> BoolArray:
        """Cells far from their geo's median; dims (date, geo, variable)."""
        return outliers(self.cube, self.roles == "channel")

    @cached_property
    def isolation(self) -> FloatArray:
        """Distance of each cell from the others of its geo, in their sd.

        Only variables with an outlier have one, the others are NaN; dims (date, geo, variable).
        """
        distance = np.full(self.cube.shape, np.nan)
        chosen = np.flatnonzero(self.outliers.any(axis=(0, 1)))
        distance[..., chosen] = isolation(self.cube[..., chosen])
        return distance

    def figures(self) -> pd.DataFrame:
        """One row a variable, as `DataQualityReport.figures` describes."""
        columns = {
            "role": self.roles.astype(object),
            **self.moments._asdict(),
            "missing": self.missing.sum(axis=0),
            "vif": self.vif,
            "longest_gap": self.zero_runs.max(axis=(0, 1), initial=0),
            "outliers": self.outliers.sum(axis=(0, 1)),
        }
        names = pd.Index(self.names, name="variable", dtype=object)
        return pd.DataFrame(columns, names).drop(columns="n_finite")

    def cell_text(self, row: int, column: str | None) -> str:
        """Text of a cell of the source, in quotes and short, for messages."""
        cells = self.table.column(column)
        return shown(text_of(cells.iloc[row])) if cells is not None else "nothing"

    def places_of(self, rows: IntArray) -> str:
        """Name the first rows by geo and date, and count the others."""
        return listed([self._place(int(row)) for row in rows[:NAMED]], NAMED, len(rows))

    def _place(self, row: int) -> str:
        date = str(self.dates[row])[:10] if not np.isnat(self.dates[row]) else f"row {row}"
        return f"{self.geos[row]} {date}" if len(self.geo_labels) > 1 else date

    @cached_property
    def _geo_factor(self) -> tuple[IntArray, NDArray[np.object_]]:
        return _factor(self.geos)

    @cached_property
    def _entry_factor(self) -> tuple[IntArray, NDArray[np.object_]]:
        entries = self.table.column(self.mapping.channel)
        if entries is None:
            return np.zeros(len(self.dates), dtype=np.int64), np.array([], dtype=object)
        return _factor(read_names(entries))


def _factor(labels: NDArray[np.object_]) -> tuple[IntArray, NDArray[np.object_]]:
    codes, unique = pd.factorize(labels)
    return codes.astype(np.int64), np.asarray(unique, dtype=object)
