"""Revenue that the spend of a window earns: all of it, and its next unit.

Only what a window can reach is computed anew, so that many windows cost little more than one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.response import Media, contribute, lag_weights, response_parameters, stages
from mmm_xgen.schema import describe, require
from mmm_xgen.truth.counterfactual import refuse_unequal
from mmm_xgen.truth.media import derivative, media_with, variable_of

NEEDED = (
    "spend",
    "channel_contribution",
    "revenue_per_kpi",
    "population",
    "effect",
    "spend_unit",
)
MEDIA = ("geo", "channel")
# Dims that a Dataset may have before those of `schema`.
LEADING = ("dataset",)


@dataclass(frozen=True)
class Response:
    """Response to spend of one dataset or several, and what today's spend makes of it.

    Parameters
    ----------
    media, weights : Media and its lag weights
        True response.
    spend : array, dims (..., channel, geo, date)
        Currency per period, with the spend before the window in front.
    n_past : int
        Number of dates before the window.
    revenue : array, dims (..., geo, date)
        Revenue per unit of the KPI.
    saturated : array, dims (..., channel, geo, date)
        What the curves are today.
    contribution : array, dims (..., channel, geo, date)
        KPI units per period today.
    """

    media: Media
    weights: FloatArray
    spend: FloatArray
    n_past: int
    revenue: FloatArray
    saturated: FloatArray
    contribution: FloatArray

    def lost(self, periods: slice) -> FloatArray:
        """Revenue lost if the spend of a window were zero: within it, and with carry-out.

        Returns
        -------
        array, dims (rule, ..., channel, geo)
        """
        return self._earned_today(periods) - self._earned(periods, 0.0)

    def marginal(self, periods: slice, delta: float | None = None) -> FloatArray:
        """Revenue by relative change of a window's spend: within it, and with carry-out.

        Parameters
        ----------
        periods : slice
            Positions of the window's dates.
        delta : float, optional
            Relative change; the derivative without it.

        Returns
        -------
        array, dims (rule, ..., channel, geo)
            Revenue per unit of relative change.
        """
        if delta is None:
            apart = 1 if self.contribution.ndim > 3 else None
            return derivative(lambda step: self._earned(periods, 1 + step), apart=apart)
        rise = self._earned(periods, 1 + delta) - self._earned_today(periods)
        return np.asarray(rise / delta)

    def _reached(self, periods: slice) -> slice:
        last = periods.stop + self.weights.shape[-1] - 1
        return slice(periods.start, min(last, self.contribution.shape[-1]))

    def _earned_today(self, periods: slice) -> FloatArray:
        reached, length = self._reached(periods), periods.stop - periods.start
        revenue = self.contribution[..., reached] * self.revenue[..., None, :, reached]
        return np.stack([revenue[..., :length].sum(axis=-1), revenue.sum(axis=-1)])

    def _earned(self, periods: slice, factor: complex) -> FloatArray:
        """Revenue, dims (rule, ..., channel, geo), if the window's spend had another size."""
        reached, length = self._reached(periods), periods.stop - periods.start
        start = reached.start + self.n_past
        # Spend by date times 1, or times the factor within the window.
        factors = np.where(np.arange(reached.stop - reached.start) < length, factor, 1)
        spend = self.spend[..., start : reached.stop + self.n_past] * factors
        history = self.spend[..., max(0, start - self.weights.shape[-1] + 1) : start]
        # Where a curve leaves the range of complex numbers, `derivative` differences instead.
        with np.errstate(over="ignore", invalid="ignore"):
            *_, response = stages(spend, self.media, self.weights, history)
        worth = self.revenue[..., reached]
        within = np.einsum("...cgt,...gt->...cg", response[..., :length], worth[..., :length])
        later = np.einsum("...cgt,...gt->...cg", response[..., length:], worth[..., length:])
        # The effect multiplies all dates alike, so their sum can come first.
        sums = np.stack([within, within + later])
        return contribute(sums[..., None], self.media)[..., 0]


def of_response(
    ds: xr.Dataset,
    function: Callable[[Response, FloatArray], Sequence[FloatArray]],
    outputs: Sequence[Sequence[str]],
    sizes: Mapping[str, int],
) -> tuple[xr.DataArray, ...]:
    """Apply a function to the response of a Dataset, or of each chunk of an ensemble, lazily.

    Parameters
    ----------
    ds : Dataset
        With all its dates; it may have a leading dim ``dataset``.
    function : callable
        Takes the response and the population, dims (..., geo); gives arrays, whose first dim is
        that of the datasets, if there is one.
    outputs : sequence of sequence of str
        Dims of each array.
    sizes : mapping of str to int
        Lengths of dims that `ds` does not have.

    Raises
    ------
    SchemaError
        If `ds` lacks a variable, has other dims, or its spend does not make its contributions;
        of what is lazy, when it is computed.
    """
    require(ds, *NEEDED)
    names = [*NEEDED, *response_parameters(ds)]
    names += ["spend_history"] if "spend_history" in ds else []
    # The kernel travels with its tasks: it has labels, and no numbers.
    labels = xr.Dataset(
        coords={name: each for name, each in ds.coords.items() if each.dims == ("channel",)},
        attrs={name: ds.attrs[name] for name in ("adstock_first",) if name in ds.attrs},
    )
    dims = [_order(name) for name in names]

    def kernel(*arrays: FloatArray) -> Any:
        by_name = dict(zip(names, arrays, strict=True))
        made = function(_response(labels, by_name), by_name["population"])
        return tuple(made) if len(outputs) > 1 else made[0]

    found = xr.apply_ufunc(
        kernel,
        *(variable_of(ds, name, *_order(name), leading=LEADING) for name in names),
        input_core_dims=dims,
        output_core_dims=outputs,
        dask="parallelized",
        output_dtypes=[float] * len(outputs),
        dask_gufunc_kwargs={
            "output_sizes": {dim: n for dim, n in sizes.items() if any(dim in o for o in outputs)},
            "allow_rechunk": True,
        },
    )
    return found if isinstance(found, tuple) else (found,)


def _order(name: str) -> tuple[str, ...]:
    """Dims of a variable as the kernels have them, dates last."""
    dims = describe(name).dims
    return tuple(reversed(dims)) if dims[0] in ("date", "history_date") else dims


def _response(labels: xr.Dataset, arrays: Mapping[str, FloatArray]) -> Response:
    stored = arrays["channel_contribution"]
    numbers = {name: values.astype(float, copy=False) for name, values in arrays.items()}
    spend, past = numbers["spend"], numbers.get("spend_history")
    own = {name: values for name, values in numbers.items() if describe(name).dims == MEDIA}
    effect, unit = own.pop("effect"), own.pop("spend_unit")
    media = media_with(labels, own, effect, unit)
    weights = lag_weights(media)
    _, saturated, response = stages(spend, media, weights, past)
    contribution = contribute(response, media)
    refuse_unequal(stored, contribution)
    if past is not None:
        past = np.broadcast_to(past, (*spend.shape[:-1], past.shape[-1]))
        spend = np.concatenate([past, spend], axis=-1)
    return Response(
        media=media,
        weights=weights,
        spend=spend,
        n_past=0 if past is None else past.shape[-1],
        revenue=numbers["revenue_per_kpi"],
        saturated=saturated,
        contribution=contribution,
    )
