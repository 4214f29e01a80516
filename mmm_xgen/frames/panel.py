"""The one form in which the checks see a Dataset or a frame: rows, and the same rows as a cube."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

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

DateArray = NDArray[np.datetime64]
# Identifiers in place of geo names would make dates x geos explode; no real panel is so empty.
_MAX_CELLS_PER_ROW = 50
_SPARE_CELLS = 10_000


@dataclass(frozen=True)
class Layout:
    """What was found around the numbers: names, shapes and types.

    Parameters
    ----------
    labels : tuple of str
        Every column (frame) or channel and control label (Dataset), repetitions included.
    absent : tuple of str
        Needed variables or columns that are not there.
    misshapen : tuple of str
        Dataset variables with dims they should not have, as ``"spend (week)"``.
    unexpected : tuple of str
        Frame columns that are neither key, y, channel nor control.
    objects : tuple of str
        Variables of object dtype that hold numbers only.
    """

    labels: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    misshapen: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Panel:
    """The rows of a dataset, one a (date, geo), as read and before any repair.

    Parameters
    ----------
    names : tuple of str
        Name of each variable.
    roles : ndarray of str (variable,)
        ``"y"``, ``"channel"`` or ``"control"``.
    cells : ndarray (row, variable)
        Values; NaN where missing or not a number.
    text : ndarray of bool (row, variable)
        Cells that hold something other than a number.
    dates : ndarray of datetime64[s] (row,)
        NaT where missing or unparsable.
    raw_dates : ndarray of object (row,)
        The dates as given, for messages.
    unparsable : ndarray of bool (row,)
        Dates that are there but are no dates.
    geos : ndarray of object (row,)
        Geo labels as text; None where missing.
    layout : Layout
        Names, shapes and types.
    dataset : xarray.Dataset or None
        The Dataset that was read, if it was one.
    """

    names: tuple[str, ...]
    roles: NDArray[np.str_]
    cells: FloatArray
    text: BoolArray
    dates: DateArray
    raw_dates: NDArray[np.object_]
    unparsable: BoolArray
    geos: NDArray[np.object_]
    layout: Layout
    dataset: xr.Dataset | None = None

    @cached_property
    def dated(self) -> bool:
        """Whether any date can be used; if not, the order of rows stands in for time."""
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
            order = pd.Series(self.geo_codes).groupby(self.geo_codes).cumcount()
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
    def first_rows(self) -> IntArray:
        """Rows that are the first with their (date, geo), both usable; sorted by date, geo."""
        keyed = np.flatnonzero((self.date_codes >= 0) & (self.geo_codes >= 0))
        keys = self.date_codes[keyed] * len(self.geo_labels) + self.geo_codes[keyed]
        return keyed[np.unique(keys, return_index=True)[1]].astype(np.int64)

    @cached_property
    def cube_rows(self) -> IntArray:
        """Row behind each cell of the cube, -1 where there is none; dims (date, geo).

        Empty if rows are so few for their dates and geos that the cube would be nearly all gaps.
        """
        shape = (self.n_dates, len(self.geo_labels))
        if shape[0] * shape[1] > _MAX_CELLS_PER_ROW * len(self.dates) + _SPARE_CELLS:
            shape = (0, 0)
        rows = np.full(shape, -1, dtype=np.int64)
        if rows.size:
            first = self.first_rows
            rows[self.date_codes[first], self.geo_codes[first]] = first
        return rows

    @cached_property
    def cube(self) -> FloatArray:
        """Finite values, NaN elsewhere; dims (date, geo, variable)."""
        values = self.cells[self.cube_rows] if len(self.cells) else self._no_cells
        return np.where((self.cube_rows >= 0)[..., None] & np.isfinite(values), values, np.nan)

    @cached_property
    def moments(self) -> Moments:
        """Mean, sd, range and counts of each variable over all rows."""
        return moments(self.cells)

    @cached_property
    def missing(self) -> BoolArray:
        """Cells without any value; dims (row, variable)."""
        return np.isnan(self.cells) & ~self.text

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
        summary = self.moments
        longest = self.zero_runs.max(axis=(0, 1), initial=0)
        return pd.DataFrame(
            {
                "role": self.roles.astype(object),
                "mean": summary.mean,
                "sd": summary.sd,
                "min": summary.minimum,
                "max": summary.maximum,
                "zero_share": summary.zero_share,
                "missing": self.missing.sum(axis=0),
                "vif": self.vif,
                "longest_gap": longest,
                "outliers": self.outliers.sum(axis=(0, 1)),
            },
            index=pd.Index(self.names, name="variable", dtype=object),
        )

    def places(self, rows: IntArray, *, limit: int = 3) -> str:
        """Name the first rows by geo and date, and count the others."""
        named = [self._place(int(row)) for row in rows[:limit]]
        return ", ".join(named) + (f" and {len(rows) - limit} more" if len(rows) > limit else "")

    def _place(self, row: int) -> str:
        date = str(self.dates[row])[:10] if not np.isnat(self.dates[row]) else f"row {row}"
        return f"{self.geos[row]} {date}" if len(self.geo_labels) > 1 else date

    @property
    def _no_cells(self) -> FloatArray:
        return np.full((*self.cube_rows.shape, len(self.names)), np.nan)

    @cached_property
    def _geo_factor(self) -> tuple[IntArray, NDArray[np.object_]]:
        codes, labels = pd.factorize(self.geos)
        return codes.astype(np.int64), np.asarray(labels, dtype=object)
