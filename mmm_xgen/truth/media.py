"""The true response of a Dataset as plain arrays, for the estimands that work on arrays."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import xarray as xr

from mmm_xgen.errors import AlignmentError, SchemaError, nearest
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.response import (
    Media,
    contribute,
    lag_weights,
    media_of,
    response_parameters,
    stages,
)
from mmm_xgen.schema import describe, require

# So small that its square vanishes beside 1: the complex step is exact to the last digits.
COMPLEX_STEP = 1e-30
CENTRAL_STEP = 1e-6
# Level next to 0 at which a central difference stands for the slope from the right.
NEXT_TO_NOTHING = 1e-9
# Slopes that only `mmm_xgen.kernels.saturation.STEEPEST`, which stands for infinity, can make.
STEEP = 1e150


def variable_of(
    ds: xr.Dataset, name: str, *dims: str, leading: tuple[str, ...] = ()
) -> xr.DataArray:
    """Return a variable of one dataset, dims in the given order, after those of `leading`.

    Raises
    ------
    SchemaError
        If the variable is missing or has other dims, as a ``dataset`` that is not in `leading`.
    """
    require(ds, name)
    for dim in ds[name].dims:
        if dim not in (*leading, *dims):
            raise SchemaError(
                f"{name!r} has the dim {dim!r}: found {ds[name].dims}, allowed: "
                f"{describe(name).dims}; choose one dataset, as in ds.isel({dim}=0)"
            )
    return ds[name].transpose(*leading, *dims, missing_dims="ignore")


def array_of(ds: xr.Dataset, name: str, *dims: str) -> FloatArray:
    """Values of a variable of one dataset; see `variable_of`."""
    return np.asarray(variable_of(ds, name, *dims).to_numpy())


def media_from(ds: xr.Dataset) -> Media:
    """True response of all channels of a Dataset, parameters with dims (geo, channel).

    Raises
    ------
    SchemaError
        If a parameter is missing, as after an aggregation, or has further dims.
    """
    names = ["spend_unit", *response_parameters(ds)]
    arrays = {name: array_of(ds, name, "geo", "channel") for name in names}
    unit = arrays.pop("spend_unit")
    return media_of(ds, arrays, unit)


def spend_of(ds: xr.Dataset) -> FloatArray:
    """Spend of a Dataset as an array with dims (channel, geo, date)."""
    return array_of(ds, "spend", "channel", "geo", "date").astype(float, copy=False)


def history_of(ds: xr.Dataset) -> FloatArray | None:
    """Spend before the window, dims (channel, geo, history_date); None where there is none."""
    if "spend_history" not in ds:
        return None
    history = array_of(ds, "spend_history", "channel", "geo", "history_date")
    return history.astype(float, copy=False)


def contribution(spend: FloatArray, media: Media, history: FloatArray | None = None) -> FloatArray:
    """Contribution of spend, dims (..., channel, geo, date), on plain arrays."""
    return contribute(stages(spend, media, lag_weights(media), history)[-1], media)


def carryout_periods(ds: xr.Dataset) -> xr.DataArray:
    """Number of periods after its own in which the effect of spend arrives, dims (channel,)."""
    lags: xr.DataArray = (ds["l_max"] - 1).where(ds["adstock_kind"] != "no_adstock", 0)
    return lags.reset_coords(drop=True)


def outlasts_data(ds: xr.Dataset) -> xr.DataArray:
    """Dates and channels whose spend still has an effect after the last date, as bool."""
    date = ds["date"]
    position = xr.DataArray(np.arange(date.size), coords={"date": date}, dims="date")
    return position + carryout_periods(ds) >= date.size


def after_the_last(
    spend: FloatArray, revenue: FloatArray, n_dates: int
) -> tuple[FloatArray, FloatArray]:
    """Spend and revenue per KPI unit, with dates after the last one on which carry-over arrives.

    Nothing is spent there, and a unit of the KPI is worth what it was on the last date.

    Parameters
    ----------
    spend, revenue : array, dims (..., date)
        Currency per period, and currency per unit of the KPI.
    n_dates : int
        Number of dates to add.

    Examples
    --------
    >>> after_the_last(np.array([5.0, 6.0]), np.array([1.0, 2.0]), 2)
    (array([5., 6., 0., 0.]), array([1., 2., 2., 2.]))
    """
    if not n_dates:
        return spend, revenue
    nothing = np.zeros((*spend.shape[:-1], n_dates))
    last = np.repeat(revenue[..., -1:], n_dates, axis=-1)
    return np.concatenate([spend, nothing], axis=-1), np.concatenate([revenue, last], axis=-1)


def derivative(
    function: Callable[[complex], FloatArray], *, apart: int | None = None
) -> FloatArray:
    """Derivative of `function` at 0, by a complex step; infinite where a curve rises that steeply.

    A kind that cannot take complex numbers, which a user may have registered, is differentiated
    by a central difference; so is a dataset whose numbers leave their range.

    Parameters
    ----------
    function : callable
        Takes the step and gives an array.
    apart : int, optional
        Axis of the array along which entries are of different datasets.

    Examples
    --------
    >>> derivative(lambda step: np.exp(np.array([0.0, 1.0]) * (1 + step)))
    array([0.        , 2.71828183])
    """
    made = _with_step(function)
    if made is None:
        return _central(function)
    others = tuple(axis for axis in range(made.ndim) if axis != apart)
    finite = np.isfinite(made).all(axis=others, keepdims=True)
    if finite.all():
        return _slope(made)
    return (
        np.where(finite, _slope(made), _central(function)) if finite.any() else _central(function)
    )


def value_and_slope(
    function: Callable[[FloatArray], FloatArray], level: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Value of a function of a level that is never negative, and its slope, at 0 from the right.

    One call serves both, but for levels of 0, where the kinds take complex numbers.

    Examples
    --------
    >>> value_and_slope(np.log1p, np.array([0.0, 1.0]))
    (array([0.        , 0.69314718]), array([1. , 0.5]))
    """
    stepped = _stepped(lambda step: function(np.asarray(level + step)))
    if stepped is not None:
        # Of nothing, the square of the step is more than rounding.
        return (stepped[0] if np.all(level) else function(level)), stepped[1]
    # At 0 a central difference would leave the curve, so it starts beside it.
    base = np.maximum(level, NEXT_TO_NOTHING)
    return function(level), _central(lambda step: function(np.asarray(base * (1 + step)))) / base


def _stepped(function: Callable[[complex], FloatArray]) -> tuple[FloatArray, FloatArray] | None:
    """Value and derivative at 0 by a complex step; None where the numbers do not carry it."""
    made = _with_step(function)
    if made is None or not np.all(np.isfinite(made)):
        return None
    return np.real(made), _slope(made)


def _with_step(function: Callable[[complex], FloatArray]) -> FloatArray | None:
    """What a function gives for a complex step; None where a kind does not take one."""
    try:
        with warnings.catch_warnings():
            # What drops an imaginary part drops the derivative, with no more than a warning.
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            return np.asarray(function(1j * COMPLEX_STEP))
    except (TypeError, np.exceptions.ComplexWarning):
        return None


def _slope(made: FloatArray) -> FloatArray:
    slope = np.imag(made) / COMPLEX_STEP
    return np.where(np.abs(slope) > STEEP, np.copysign(np.inf, slope), slope)


def _central(function: Callable[[complex], FloatArray]) -> FloatArray:
    rise = function(CENTRAL_STEP) - function(-CENTRAL_STEP)
    return np.asarray(np.real(rise) / (2 * CENTRAL_STEP))


def channel_label(ds: xr.Dataset, name: str) -> str:
    """Coordinate label of a channel written as ``"TV"``, ``"x-TV"`` or ``"x1-TV"``.

    Raises
    ------
    AlignmentError
        If there is no such channel; it lists those there are.
    """
    known = [str(channel) for channel in ds["channel"].values]
    columns = dict(zip(map(str, ds["channel_column"].values), known, strict=True))
    stem = str(name).removeprefix("x-")
    for written in (str(name), stem):
        if written in known:
            return written
    if str(name) in columns:
        return columns[str(name)]
    raise AlignmentError(f"no channel named {name!r}; {nearest(str(name), known)}")
