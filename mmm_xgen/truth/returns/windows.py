"""Windows of dates: one window, or every period of a frequency within it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from mmm_xgen.aggregate import TARGETS, Dates, first_days
from mmm_xgen.config.base import shown
from mmm_xgen.errors import ConfigError, SchemaError, nearest
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.schema import check_variables
from mmm_xgen.truth.what_if.counterfactual import Window, window_periods

FREQUENCIES = ("D", *TARGETS)


@dataclass(frozen=True)
class Windows:
    """Windows that follow each other without a gap.

    Parameters
    ----------
    periods : tuple of slice
        Positions of each window's dates.
    labels : array of dates, dims (period,), optional
        First day of each window on the calendar; None for a single window without a dim.
    dates : array of dates, dims (date,)
        All dates of the Dataset.
    """

    periods: tuple[slice, ...]
    labels: Dates | None
    dates: Dates

    @property
    def lengths(self) -> FloatArray:
        """Number of dates of each window."""
        return np.array([float(period.stop - period.start) for period in self.periods])

    def sum_last(self, values: FloatArray) -> FloatArray:
        """Return values with dims (..., date) summed within each window, dims (..., period)."""
        first, last = self.periods[0].start, self.periods[-1].stop
        starts = [period.start - first for period in self.periods]
        return np.asarray(np.add.reduceat(values[..., first:last], starts, axis=-1))

    def sum(self, array: xr.DataArray) -> xr.DataArray:
        """Return an array summed over its dates; with labels, over each window, along ``period``.

        Missing numbers are not skipped.
        """
        if self.labels is None:
            return array.isel(date=self.periods[0]).sum("date", skipna=False)
        summed: xr.DataArray = xr.apply_ufunc(
            self.sum_last,
            array.drop_vars("date", errors="ignore"),
            input_core_dims=[["date"]],
            output_core_dims=[["period"]],
            dask="parallelized",
            output_dtypes=[float],
            dask_gufunc_kwargs={
                "output_sizes": {"period": len(self.periods)},
                "allow_rechunk": True,
            },
        )
        return self.label(summed)

    def label(self, array: xr.DataArray) -> xr.DataArray:
        """Return an array with labels on its dim ``period``; without labels, drop the dim."""
        if "period" not in array.dims:
            return array
        if self.labels is None:
            return array.isel(period=0)
        coords = {
            "period": ("period", self.labels, {"long_name": "first day of the period"}),
            "first_date": (
                "period",
                self.dates[[period.start for period in self.periods]],
                {"long_name": "first date in the period"},
            ),
            "last_date": (
                "period",
                self.dates[[period.stop - 1 for period in self.periods]],
                {"long_name": "last date in the period"},
            ),
        }
        return array.transpose("period", ...).assign_coords(coords)

    def describe(self) -> str:
        """Return first and last date as text."""
        ends = self.dates[[self.periods[0].start, self.periods[-1].stop - 1]]
        return " to ".join(np.datetime_as_string(ends, unit="D"))


def windows_of(ds: xr.Dataset, window: Window = None, freq: str | None = None) -> Windows:
    """Return the window of some dates, or a window for every period of a frequency in it.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset.
    window : str, slice, pair or date, optional
        As for `mmm_xgen.truth.what_if.counterfactual.window_periods`; all dates by default.
    freq : {"D", "W-MON", ..., "W-SUN", "MS", "QS", "YS"}, optional
        Days, weeks from that weekday, months, quarters or years. A date belongs to where it
        lies, however long its own period is. Periods without a date are left out.

    Raises
    ------
    ConfigError
        If there is no such frequency, or no date in the window.
    SchemaError
        If the dates are not in order.

    Examples
    --------
    >>> import mmm_xgen
    >>> windows = windows_of(mmm_xgen.generate_mmm_dataset(), "2022", freq="QS")
    >>> windows.lengths, windows.describe()
    (array([13., 13., 13., 13.]), '2022-01-03 to 2022-12-26')
    """
    check_variables(ds, "date")
    if freq is not None and freq not in FREQUENCIES:
        raise ConfigError(f"found {shown(freq)}, {nearest(str(freq), FREQUENCIES)}", path="freq")
    dates = ds["date"].to_numpy()
    if window is None and freq is None:
        return Windows((slice(0, len(dates)),), None, dates)
    if np.any(dates[1:] <= dates[:-1]):
        raise SchemaError("the dates of the Dataset are not in order; pass ds.sortby('date')")
    within = window_periods(ds, window)
    if freq is None:
        return Windows((within,), None, dates)
    days = dates[within] if freq == "D" else first_days(dates[within], freq)
    labels, starts = np.unique(days, return_index=True)
    ends = [*starts[1:], within.stop - within.start]
    periods = tuple(
        slice(within.start + int(start), within.start + int(end))
        for start, end in zip(starts, ends, strict=True)
    )
    return Windows(periods, labels, dates)
