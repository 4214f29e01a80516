"""True response of a Dataset as plain arrays, for estimands that work on arrays."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from mmm_xgen.errors import AlignmentError, SchemaError, nearest
from mmm_xgen.goodwill import population_in
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.response import Media, contribute, lag_weights, response_parameters, stages
from mmm_xgen.schema import check_variables, describe
from mmm_xgen.world import World, connections, kernel_dims, media_sales, respond_to, world_of

# The square of the step vanishes beside 1, so the derivative is exact to the last digits.
COMPLEX_STEP = 1e-30
CENTRAL_STEP = 1e-6
# Level near 0 at which a central difference approximates the slope from the right.
NEXT_TO_NOTHING = 1e-9
# Larger slopes only come from `mmm_xgen.kernels.saturation.STEEPEST`, which stands for infinity.
STEEP = 1e150


def variable_of(
    ds: xr.Dataset, name: str, *dims: str, leading: tuple[str, ...] = ()
) -> xr.DataArray:
    """Return a variable of one dataset, with its dims in canonical order after those of `leading`.

    Raises
    ------
    SchemaError
        If the variable is missing, or has other dims, such as ``dataset``, that `leading` lacks.
    """
    check_variables(ds, name)
    for dim in ds[name].dims:
        if dim not in (*leading, *dims):
            raise SchemaError(
                f"{name!r} has the dim {dim!r}: found {ds[name].dims}, allowed: "
                f"{describe(name).dims}; choose one dataset, as in ds.isel({dim}=0)"
            )
    return ds[name].transpose(*leading, *dims, missing_dims="ignore")


def array_of(ds: xr.Dataset, name: str, *dims: str) -> FloatArray:
    """Return the values of a variable of one dataset; see `variable_of`."""
    return np.asarray(variable_of(ds, name, *dims).to_numpy())


def world_from(ds: xr.Dataset) -> World:
    """Return the structural function of a Dataset, with parameters of dims (geo, channel).

    Raises
    ------
    SchemaError
        If a parameter or a connected channel is missing, as after an aggregation or a selection,
        or a parameter has further dims.
    """
    own = response_parameters(ds)
    arrays = {
        name: array_of(ds, name, *kernel_dims(name))
        for name in ("spend_unit", *own, *connections(ds))
    }
    return world_of(ds, arrays, own={name: arrays[name] for name in own})


def media_from(ds: xr.Dataset, what: str) -> Media:
    """Return the true response of channels that act alone and alike on all dates.

    Raises
    ------
    SchemaError
        As for `world_from`, or if the Dataset has connections, paths of effects, latent demand or
        promotions, which `what` does not know.
    """
    baseline = ("demand_contribution", "promotion_contribution")
    found = [name for name in (*connections(ds), *baseline) if name in ds]
    if found:
        raise SchemaError(
            f"{what}: found {found[0]!r} in the Dataset, allowed: channels that act alone and "
            "alike on all dates, and no latent demand or promotions (a configuration without "
            "demand, promotions, response, effect_path, pull_forward, spillover, funnels, "
            "interactions and mediators)"
        )
    return world_from(ds).media


def spend_of(ds: xr.Dataset) -> FloatArray:
    """Return the spend of a Dataset as an array with dims (channel, geo, date)."""
    return array_of(ds, "spend", "channel", "geo", "date").astype(float, copy=False)


def history_of(ds: xr.Dataset) -> FloatArray | None:
    """Return the spend before the window, dims (channel, geo, history_date), or None."""
    if "spend_history" not in ds:
        return None
    history = array_of(ds, "spend_history", "channel", "geo", "history_date")
    return history.astype(float, copy=False)


@dataclass(frozen=True)
class ChannelResponse:
    """Sales as a function of the spend of one channel, the spend of the others held.

    Parameters
    ----------
    world : World
        Structural function: of the one channel if it acts alone, and else of all channels.
    spend : array, dims (channel, geo, date)
        Spend of the channels of `world`, in currency per period.
    history : array, dims (channel, geo, history_date), or None
        Spend before the first date.
    position : int
        Position of the channel in `world`.
    """

    world: World
    spend: FloatArray
    history: FloatArray | None
    position: int

    def sales(self, own: FloatArray) -> FloatArray:
        """Return the sales of the media in `world`, dims (..., geo, date).

        Parameters
        ----------
        own : array, dims (..., geo, date)
            Spend of the channel, in currency per period. It may go on after the last date, where
            the others spend nothing.
        """
        if not self.world.is_connected:
            return media_sales(
                respond_to(own[..., None, :, :], self.world, self.history), self.world
            )
        after = own.shape[-1] - self.spend.shape[-1]
        others = np.pad(self.spend, [(0, 0), (0, 0), (0, after)])
        spend = np.array(np.broadcast_to(others, (*own.shape[:-2], *others.shape)))
        spend[..., self.position, :, :] = own
        return media_sales(respond_to(spend, self.world, self.history), self.world)


def channel_response(ds: xr.Dataset, channel: str) -> ChannelResponse:
    """Return sales as a function of the spend of one channel.

    Raises
    ------
    SchemaError
        As for `world_from`.
    """
    world, spend, history = world_from(ds), spend_of(ds), history_of(ds)
    position = [str(name) for name in ds["channel"].values].index(channel)
    if world.is_connected:
        return ChannelResponse(world, spend, history, position)
    history = None if history is None else history[[position]]
    return ChannelResponse(world.of_channels([position]), spend[[position]], history, 0)


def contribution(spend: FloatArray, media: Media, history: FloatArray | None = None) -> FloatArray:
    """Return the contribution of spend, dims (..., channel, geo, date), on plain arrays."""
    return contribute(stages(spend, media, lag_weights(media), history)[-1], media)


def carryout_periods(ds: xr.Dataset) -> xr.DataArray:
    """Return the number of periods that the channel's own effect lasts after it, dims (channel,).

    What it does through others, and through mediators, may last longer. What it does to a
    population counts as long as `mmm_xgen.goodwill.Population.reach` says.
    """
    lags: xr.DataArray = (ds["l_max"] - 1).where(ds["adstock_kind"] != "no_adstock", 0)
    population = population_in(ds)
    if population is not None:
        lags = lags + population.reach
    if "pull_forward_periods" in ds.coords:
        lags = lags + ds["pull_forward_periods"]
    return lags.reset_coords(drop=True)


def outlasts_data(ds: xr.Dataset) -> xr.DataArray:
    """Return True for dates and channels whose spend still has an effect after the last date."""
    date = ds["date"]
    position = xr.DataArray(np.arange(date.size), coords={"date": date}, dims="date")
    return position + carryout_periods(ds) >= date.size


def after_the_last(
    spend: FloatArray, revenue: FloatArray, n_dates: int
) -> tuple[FloatArray, FloatArray]:
    """Append dates for the carry-out to spend and to revenue per KPI unit.

    On these dates spend is 0 and the revenue per KPI unit stays at its last value.

    Parameters
    ----------
    spend, revenue : array, dims (..., date)
        Currency per period, and currency per unit of the KPI.
    n_dates : int
        Number of dates to append.

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
    """Return the derivative of `function` at 0, by a complex step [1]_.

    It is infinite if a curve rises infinitely steeply. A user's kind that cannot take complex
    numbers is differentiated by a central difference, and so is a dataset whose complex numbers
    overflow.

    Parameters
    ----------
    function : callable
        Takes the step and returns an array.
    apart : int, optional
        Axis of the array along which the entries belong to different datasets.

    References
    ----------
    .. [1] Squire, W. and Trapp, G. (1998). Using complex variables to estimate derivatives of real
       functions. SIAM Review, 40(1), 110-112.

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
    """Return value and slope of a function of a level; at level 0, the slope from the right.

    Levels are at least 0. If the kinds take complex numbers, one call gives both, except at 0.

    Examples
    --------
    >>> value_and_slope(np.log1p, np.array([0.0, 1.0]))
    (array([0.        , 0.69314718]), array([1. , 0.5]))
    """
    stepped = _stepped(lambda step: function(np.asarray(level + step)))
    if stepped is not None:
        # At level 0 the complex step changes the value; evaluate again.
        return (stepped[0] if np.all(level) else function(level)), stepped[1]
    # At 0 a central difference would need negative levels, so take it beside 0.
    base = np.maximum(level, NEXT_TO_NOTHING)
    return function(level), _central(lambda step: function(np.asarray(base * (1 + step)))) / base


def _stepped(function: Callable[[complex], FloatArray]) -> tuple[FloatArray, FloatArray] | None:
    """Return value and derivative at 0 by a complex step; None if the derivative is lost."""
    made = _with_step(function)
    if made is None or not np.all(np.isfinite(made)):
        return None
    return np.real(made), _slope(made)


def _with_step(function: Callable[[complex], FloatArray]) -> FloatArray | None:
    """Return the result of a function for a complex step; None if a kind does not take one."""
    try:
        with warnings.catch_warnings():
            # NumPy only warns if a function drops the imaginary part, and with it the derivative.
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
    """Return the label of a channel written as ``"TV"``, ``"x-TV"`` or ``"x1-TV"``.

    Raises
    ------
    AlignmentError
        If there is no such channel. The message lists the channels.
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
