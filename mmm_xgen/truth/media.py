"""The true response of a Dataset as plain arrays, for the estimands that work on arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from mmm_xgen.errors import AlignmentError, nearest
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.response import Media, contribute, lag_weights, media_of, response_parameters, stages
from mmm_xgen.schema import require

# So small that its square vanishes beside 1: the complex step is exact to the last digits.
COMPLEX_STEP = 1e-30
CENTRAL_STEP = 1e-6


def media_from(ds: xr.Dataset) -> Media:
    """True response of all channels of a Dataset, parameters with dims (geo, channel)."""
    require(ds, "effect", "spend_unit")
    order = ("geo", "channel")
    folded = {name: ds[name].transpose(*order).to_numpy() for name in response_parameters(ds)}
    effect = ds["effect"].transpose(*order).to_numpy()
    return media_of(ds, folded, effect, ds["spend_unit"].transpose(*order).to_numpy())


def spend_of(ds: xr.Dataset) -> FloatArray:
    """Spend of a Dataset as an array with dims (channel, geo, date)."""
    require(ds, "spend")
    return np.asarray(ds["spend"].transpose("channel", "geo", "date").to_numpy(), dtype=float)


def history_of(ds: xr.Dataset) -> FloatArray | None:
    """Spend before the window, dims (channel, geo, history_date); None where there is none."""
    if "spend_history" not in ds:
        return None
    history = ds["spend_history"].transpose("channel", "geo", "history_date")
    return np.asarray(history.to_numpy(), dtype=float)


def contribution(spend: FloatArray, media: Media, history: FloatArray | None = None) -> FloatArray:
    """Contribution of spend, dims (..., channel, geo, date), on plain arrays."""
    return contribute(stages(spend, media, lag_weights(media), history)[-1], media)


def derivative(function: Callable[[complex], FloatArray]) -> FloatArray:
    """Derivative of `function` at 0, by a complex step.

    A kind that cannot take complex numbers, which a user may have registered, is differentiated
    by a central difference.

    Examples
    --------
    >>> derivative(lambda step: np.exp(np.array([0.0, 1.0]) * (1 + step)))
    array([0.        , 2.71828183])
    """
    try:
        slope = np.imag(function(1j * COMPLEX_STEP)) / COMPLEX_STEP
    except TypeError:
        slope = np.array(np.nan)
    if np.all(np.isfinite(slope)):
        return np.asarray(slope)
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
