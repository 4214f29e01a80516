"""Revenue that the spend of a window earns: in total, and for its next unit.

Only the periods that a window can reach are computed again, so many windows cost little more
than one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import xarray as xr

from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.response import (
    Media,
    contribute,
    lag_weights,
    media_of,
    response_parameters,
    stages,
)
from mmm_xgen.schema import check_variables, describe
from mmm_xgen.truth.media import after_the_last, derivative, variable_of
from mmm_xgen.truth.returns.windows import Windows
from mmm_xgen.truth.what_if.counterfactual import check_equal

NEEDED = (
    "spend",
    "channel_contribution",
    "revenue_per_kpi",
    "population",
    "spend_unit",
)
MEDIA = ("geo", "channel")
# Dims that may come before those of `schema`.
LEADING = ("dataset",)
# Dims of the contributions that a Dataset stores, as kernels have them.
STORED = ("channel", "geo", "date")
Arrays: TypeAlias = Mapping[str, FloatArray]


@dataclass(frozen=True)
class Response:
    """Response to the spend of one dataset or several, and its values for today's spend.

    Parameters
    ----------
    media, weights : Media and its lag weights
        True response.
    spend : array, dims (..., channel, geo, date)
        Currency per period. It begins with the spend before the first date, and ends with dates
        of zero spend after the last one.
    n_past, n_after : int
        Number of dates before the first date of the data and after its last.
    revenue : array, dims (..., geo, date)
        Revenue per unit of the KPI, from the first date on. After the last date it stays constant.
    saturated : array, dims (..., channel, geo, date)
        Value of the curves today, from the first date on.
    contribution : array, dims (..., channel, geo, date)
        KPI units per period today, from the first date on.
    """

    media: Media
    weights: FloatArray
    spend: FloatArray
    n_past: int
    n_after: int
    revenue: FloatArray
    saturated: FloatArray
    contribution: FloatArray

    def lost(self, periods: slice) -> FloatArray:
        """Return the revenue lost, carry-out included, if the spend of a window were zero.

        Returns
        -------
        array, dims (..., channel, geo)
        """
        return self._earned_today(periods) - self._earned(periods, 0.0)

    def marginal(self, periods: slice, delta: float | None = None) -> FloatArray:
        """Return the revenue, carry-out included, per relative change of the spend of a window.

        Parameters
        ----------
        periods : slice
            Positions of the window's dates.
        delta : float, optional
            Relative change. Default: the derivative.

        Returns
        -------
        array, dims (..., channel, geo)
            Revenue per unit of relative change.
        """
        if delta is None:
            return derivative(lambda step: self._earned(periods, 1 + step), apart=self._apart)
        rise = self._earned(periods, 1 + delta) - self._earned_today(periods)
        return np.asarray(rise / delta)

    def marginal_of_all_spend(self, windows: Windows, delta: float | None = None) -> FloatArray:
        """Return the revenue in each window per relative change of all spend, also before it.

        Parameters
        ----------
        windows : Windows
            Dates whose revenue counts.
        delta : float, optional
            Relative change. Default: the derivative.

        Returns
        -------
        array, dims (..., channel, geo, period)
            Revenue per unit of relative change.
        """

        def earned(factor: Any) -> FloatArray:
            spend = factor * self.spend
            with np.errstate(over="ignore", invalid="ignore"):
                *_, response = stages(
                    spend[..., self.n_past :],
                    self.media,
                    self.weights,
                    spend[..., : self.n_past],
                )
            revenue = contribute(response, self.media) * self.revenue[..., None, :, :]
            return windows.sum_last(revenue)

        if delta is None:
            return derivative(lambda step: earned(1 + step), apart=self._apart)
        return np.asarray((earned(1 + delta) - earned(1.0)) / delta)

    @property
    def _apart(self) -> int | None:
        """Axis of the datasets in the revenue of a window, if there are several datasets."""
        return 0 if self.contribution.ndim > 3 else None

    def _reached(self, periods: slice) -> slice:
        last = periods.stop + self.weights.shape[-1] - 1
        return slice(periods.start, min(last, self.contribution.shape[-1]))

    def _earned_today(self, periods: slice) -> FloatArray:
        reached = self._reached(periods)
        revenue = self.contribution[..., reached] * self.revenue[..., None, :, reached]
        return np.asarray(revenue.sum(axis=-1))

    def _earned(self, periods: slice, factor: complex) -> FloatArray:
        """Return the revenue, dims (..., channel, geo), with the window's spend times a factor."""
        reached, length = self._reached(periods), periods.stop - periods.start
        start = reached.start + self.n_past
        # Spend by date times 1, or times the factor within the window.
        factors = np.where(np.arange(reached.stop - reached.start) < length, factor, 1)
        spend = self.spend[..., start : reached.stop + self.n_past] * factors
        history = self.spend[..., max(0, start - self.weights.shape[-1] + 1) : start]
        # If complex numbers overflow, `derivative` uses a central difference.
        with np.errstate(over="ignore", invalid="ignore"):
            *_, response = stages(spend, self.media, self.weights, history)
        # The effect is the same on all dates, so sum over dates first.
        sums = np.einsum("...cgt,...gt->...cg", response, self.revenue[..., reached])
        return contribute(sums[..., None], self.media)[..., 0]


def of_response(
    ds: xr.Dataset,
    function: Callable[[Response, Arrays], Sequence[FloatArray]],
    outputs: Sequence[Sequence[str]],
    sizes: Mapping[str, int] | None = None,
    *,
    within_data: bool = False,
) -> tuple[xr.DataArray, ...]:
    """Apply a function to the response of a Dataset, or lazily to each chunk of an ensemble.

    Parameters
    ----------
    ds : Dataset
        Dataset with all its dates; it may have a leading dim ``dataset``.
    function : callable
        Takes the response and the arrays of `NEEDED` by name, and returns arrays. Their first dim
        is that of the datasets, if there is one.
    outputs : sequence of sequence of str
        Dims of each array.
    sizes : mapping of str to int, optional
        Lengths of dims that `ds` does not have.
    within_data : bool, default False
        If True, the response ends at the last date. If False, it continues without further spend
        until the last carry-over has arrived.

    Raises
    ------
    SchemaError
        If `ds` lacks a variable, has other dims, or has contributions that do not follow from its
        spend. For lazy data, this is raised at the computation.
    """
    check_variables(ds, *NEEDED)
    names = [*NEEDED, *response_parameters(ds)]
    names += ["spend_history"] if "spend_history" in ds else []
    # The function is sent with each task, so it holds labels only and no numbers.
    labels = xr.Dataset(
        coords={name: each for name, each in ds.coords.items() if each.dims == ("channel",)},
        attrs={name: ds.attrs[name] for name in ("adstock_first",) if name in ds.attrs},
    )
    dims = [_order(name) for name in names]

    def kernel(*arrays: FloatArray) -> Any:
        by_name = dict(zip(names, arrays, strict=True))
        made = function(_response(labels, by_name, within_data=within_data), by_name)
        return tuple(made) if len(outputs) > 1 else made[0]

    found = xr.apply_ufunc(
        kernel,
        *(variable_of(ds, name, *_order(name), leading=LEADING) for name in names),
        input_core_dims=dims,
        output_core_dims=outputs,
        dask="parallelized",
        output_dtypes=[float] * len(outputs),
        dask_gufunc_kwargs={
            "output_sizes": dict(sizes or {}),
            "allow_rechunk": True,
        },
    )
    return found if isinstance(found, tuple) else (found,)


def _order(name: str) -> tuple[str, ...]:
    """Return the dims of a variable in the order of the kernels, dates last."""
    dims = describe(name).dims
    return tuple(reversed(dims)) if dims[0] in ("date", "history_date") else dims


def _response(labels: xr.Dataset, arrays: Arrays, *, within_data: bool) -> Response:
    stored = arrays["channel_contribution"]
    numbers = {name: values.astype(float, copy=False) for name, values in arrays.items()}
    past = numbers.get("spend_history")
    own = {name: values for name, values in numbers.items() if describe(name).dims == MEDIA}
    unit = own.pop("spend_unit")
    media = media_of(labels, own, unit)
    weights = lag_weights(media)
    n_after = 0 if within_data else weights.shape[-1] - 1
    spend, revenue = after_the_last(numbers["spend"], numbers["revenue_per_kpi"], n_after)
    _, saturated, response = stages(spend, media, weights, past)
    contribution = contribute(response, media)
    check_equal(stored, contribution[..., : stored.shape[-1]])
    if past is not None:
        past = np.broadcast_to(past, (*spend.shape[:-1], past.shape[-1]))
        spend = np.concatenate([past, spend], axis=-1)
    return Response(
        media=media,
        weights=weights,
        spend=spend,
        n_past=0 if past is None else past.shape[-1],
        n_after=n_after,
        revenue=revenue,
        saturated=saturated,
        contribution=contribution,
    )


def checked_contribution(ds: xr.Dataset) -> xr.DataArray:
    """Return the contribution of the channels, after a check that it follows from the spend.

    An aggregated Dataset has no response, so its sums are returned unchecked.

    Raises
    ------
    SchemaError
        If the contributions do not follow from the spend and the parameters. For lazy data, this is
        raised at the computation.
    """
    check_variables(ds, "spend", "channel_contribution")
    if "reason" in ds.variables.get("effect", xr.Variable((), 0.0)).attrs:
        return ds["channel_contribution"]
    (checked,) = of_response(
        ds, lambda _, arrays: [arrays["channel_contribution"]], [STORED], within_data=True
    )
    return checked.transpose(*ds["channel_contribution"].dims)
