"""Data of a least-squares model as checked arrays, and its baseline columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from mmm_xgen.dataset import config_of
from mmm_xgen.errors import ConfigError, SchemaError, nearest
from mmm_xgen.kernels.baseline import yearly_basis
from mmm_xgen.kernels.calendar import Calendar, Step
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.recovery.fit import FitSettings, training_dates
from mmm_xgen.schema import check_variables

GeoResponse = Literal["per_capita", "common"]
RESPONSES: tuple[GeoResponse, ...] = ("per_capita", "common")


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One dataset or many, with a first axis for them in either case.

    Parameters
    ----------
    y : array, dims (dataset, geo, date)
        KPI units per period.
    spend : array, dims (dataset, channel, geo, date)
        Currency per period.
    history : array, dims (dataset, channel, geo, history_date), or None
        Spend before the first date.
    controls : array, dims (dataset, control, geo, date)
    size : array, dims (dataset, geo)
        Size of the geo relative to the reference.
    unit : array, dims (dataset, geo)
        What spend is divided by before the curve, and the response multiplied by after it.
    revenue : array, dims (dataset, geo, date)
        Currency per KPI unit.
    calendar : Calendar
    n_train : int
        Number of training dates.
    labels : mapping of str to array
        Labels of geo, channel, control, date and, if there are many, dataset.
    """

    y: FloatArray
    spend: FloatArray
    history: FloatArray | None
    controls: FloatArray
    size: FloatArray
    unit: FloatArray
    revenue: FloatArray
    calendar: Calendar
    n_train: int
    labels: dict[str, list[object]]

    @property
    def n_datasets(self) -> int:
        """Number of datasets."""
        return len(self.y)


def panel_of(ds: xr.Dataset, *, train_end: str | None, geo_response: GeoResponse | None) -> Panel:
    """Read what a model may see from a Dataset, and check it.

    Raises
    ------
    SchemaError
        If a variable is missing, or has a missing, infinite or impossible value.
    ConfigError
        If there is no such geo response, or `train_end` leaves no date.
    """
    if not isinstance(ds, xr.Dataset):
        raise SchemaError(f"found {type(ds).__name__}, allowed: an xarray.Dataset")
    check_variables(ds, "date", "y", "spend")
    for dim in ("geo", "channel", "control"):
        if dim in ds.indexes and not ds.indexes[dim].is_unique:
            raise SchemaError(f"found two entries of one name along {dim!r}, allowed: own names")
    many = ds.sizes.get("dataset", 1)
    if not (many and ds.sizes["date"] and ds.sizes["geo"] and ds.sizes["channel"]):
        raise SchemaError(f"found sizes {dict(ds.sizes)}, allowed: 1 or more of each but controls")
    n_train = len(training_dates(ds, FitSettings(train_end=train_end)))
    calendar = _calendar(ds)
    spend = _array(ds, "spend", ("channel", "geo", "date"), lowest=0)
    size = np.ones((1, ds.sizes["geo"]))
    if "geo_scale" in ds:
        size = _array(ds, "geo_scale", ("geo",), lowest=0, open_lowest=True)
    revenue = np.ones((1, ds.sizes["geo"], ds.sizes["date"]))
    if "revenue_per_kpi" in ds:
        revenue = _array(ds, "revenue_per_kpi", ("geo", "date"), lowest=0)
    controls = np.empty((1, 0, ds.sizes["geo"], ds.sizes["date"]))
    if "control_value" in ds:
        controls = _array(ds, "control_value", ("control", "geo", "date"))
    past = None
    if "spend_history" in ds:
        past = _array(ds, "spend_history", ("channel", "geo", "history_date"), lowest=0)
    y = _array(ds.isel(date=slice(n_train)), "y", ("geo", "date"))
    dims = ("geo", "channel", "control", "date", *(["dataset"] if "dataset" in ds.dims else []))

    def spread(values: FloatArray) -> FloatArray:
        return np.broadcast_to(values, (many, *values.shape[1:]))

    return Panel(
        y=spread(y),
        spend=spread(spend),
        history=None if past is None else spread(past),
        controls=spread(controls),
        size=spread(size),
        unit=spread(size if _responds_per_capita(ds, geo_response) else np.ones_like(size)),
        revenue=spread(revenue),
        calendar=calendar,
        n_train=n_train,
        labels={dim: list(ds[dim].values) for dim in dims if dim in ds.dims},
    )


def stacked(values: xr.DataArray, dims: tuple[str, ...]) -> FloatArray:
    """Values as numbers with dims (dataset, *dims); length 1 along dataset where there is none."""
    if "dataset" not in values.dims:
        values = values.expand_dims("dataset")
    extra = [str(dim) for dim in values.dims if dim not in ("dataset", *dims)]
    if extra:
        raise SchemaError(
            f"{values.name!r} has the dim {extra[0]!r}, allowed: dataset, {', '.join(dims)}; "
            "call the result of stacking 'dataset'"
        )
    try:
        return np.asarray(values.transpose("dataset", *dims).to_numpy(), dtype=float)
    except (TypeError, ValueError):
        raise SchemaError(f"{values.name!r} has entries that are no numbers") from None


def baseline_columns(panel: Panel, fourier_modes: int) -> tuple[FloatArray, list[str]]:
    """Columns of all but media on all dates, per geo size, and what their terms are called.

    Returns
    -------
    columns : array, dims (dataset, geo, date, term)
        An intercept for every geo, a trend that starts at 0, yearly sines and cosines, controls.
    terms : list of str
    """
    n_datasets, _, n_geos, n_dates = panel.controls.shape
    own = np.broadcast_to(np.eye(n_geos)[:, None], (n_geos, n_dates, n_geos))
    seasons = yearly_basis(panel.calendar, fourier_modes)
    shared = np.concatenate([panel.calendar.period[None], seasons]).T
    everywhere = np.broadcast_to(shared, (n_geos, *shared.shape))
    fixed = np.concatenate([own, everywhere], axis=-1)
    columns = np.concatenate(
        [
            np.broadcast_to(fixed, (n_datasets, *fixed.shape)),
            np.moveaxis(panel.controls, 1, -1),
        ],
        axis=-1,
    )
    waves = [f"{wave}_{k}" for wave in ("sin", "cos") for k in range(1, fourier_modes + 1)]
    terms = [
        *(f"intercept: {geo}" for geo in panel.labels["geo"]),
        "trend",
        *(f"season: {wave}" for wave in waves),
        *(f"control: {control}" for control in panel.labels.get("control", [])),
    ]
    return columns, terms


def _array(
    ds: xr.Dataset,
    name: str,
    dims: tuple[str, ...],
    *,
    lowest: float = -np.inf,
    open_lowest: bool = False,
) -> FloatArray:
    """A variable as checked numbers with dims (dataset, *dims)."""
    check_variables(ds, name)
    values = stacked(ds[name], dims)
    wrong = ~np.isfinite(values) | (values < lowest) | (open_lowest & (values == lowest))
    if wrong.any():
        place = tuple(int(position[0]) for position in np.nonzero(wrong))
        known = {
            dim: ds[dim].values[position]
            for dim, position in zip(("dataset", *dims), place, strict=True)
            if dim in ds.coords
        }
        at = ", ".join(
            f"{dim} {np.datetime_as_string(label, 'D') if dim.endswith('date') else label}"
            for dim, label in known.items()
        )
        bound = "" if lowest == -np.inf else f" {'above' if open_lowest else 'at least'} {lowest:g}"
        raise SchemaError(f"{name!r} is {values[place]:g} at {at}; allowed: a finite number{bound}")
    return values


def _responds_per_capita(ds: xr.Dataset, geo_response: GeoResponse | None) -> bool:
    if geo_response is not None and geo_response not in RESPONSES:
        known = nearest(str(geo_response), RESPONSES)
        raise ConfigError(f"found {geo_response!r}, {known}", path="geo_response")
    if geo_response is None and "config" in ds.attrs:
        geo_response = config_of(ds).regions.geo_response
    return geo_response != "common"


def _calendar(ds: xr.Dataset) -> Calendar:
    dates = pd.DatetimeIndex(ds.indexes["date"])
    if not (dates.is_monotonic_increasing and dates.is_unique):
        raise SchemaError("the dates of the Dataset are not in order; pass ds.sortby('date')")
    days = np.median(np.diff(dates.to_numpy()) / np.timedelta64(1, "D")) if len(dates) > 1 else 7.0
    step: Step = "day" if days < 4 else "week" if days < 18 else "month"
    return Calendar(dates.to_numpy().astype("datetime64[D]"), step)
