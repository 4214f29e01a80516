"""Revenue that the spend of a window earns: in total, and for its next unit.

Only the periods that a window can reach are computed again, so many windows cost little more
than one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import xarray as xr

from mmm_xgen.goodwill import KIND
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.labelled_world import connections, kernel_dims, world_of
from mmm_xgen.link import LogLink
from mmm_xgen.response import Media, contribute, response_parameters, stages
from mmm_xgen.schema import check_variables, describe
from mmm_xgen.truth.media import after_the_last, array_of, derivative, variable_of
from mmm_xgen.truth.returns.windows import Windows
from mmm_xgen.truth.what_if.counterfactual import check_equal
from mmm_xgen.truth.what_if.reacting import Reaction, reaction_of
from mmm_xgen.world import World, media_parts, media_sales, respond_to, sales_without_each

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
# What realised sales follow from, in a Dataset with a capacity.
OBSERVED = ("mu", "noise", "lost_sales", "capacity")
# Dims of the contributions that a Dataset stores, as kernels have them.
STORED = ("channel", "geo", "date")
Arrays: TypeAlias = Mapping[str, FloatArray]


@dataclass(frozen=True)
class Response:
    """Response to the spend of one dataset or several, and its values for today's spend.

    Parameters
    ----------
    world : World
        Structural function.
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
    others : array, dims (..., geo, date)
        Sales that channels make together today, from the first date on.
    together : bool
        If True, all channels change at once, and their sales stand in the place of the first
        channel. Sums over channels are then those of all media, also where channels depend on each
        other.
    uncapped : array, dims (..., geo, date), optional
        Sales today before the capacity cuts them, with noise. If given, sales are realised sales.
    capacity : array, dims (..., geo, 1), optional
        Largest sales in KPI units per period; together with `uncapped`.
    noise_factor : array, dims (..., geo, date), optional
        Sales before the cut per unit of expected sales, if the noise is a share of them.
    """

    world: World
    spend: FloatArray
    n_past: int
    n_after: int
    revenue: FloatArray
    saturated: FloatArray
    contribution: FloatArray
    others: FloatArray
    together: bool = False
    uncapped: FloatArray | None = None
    capacity: FloatArray | None = None
    noise_factor: FloatArray | None = None

    @property
    def media(self) -> Media:
        """Response of the single channels."""
        return self.world.media

    @property
    def weights(self) -> FloatArray:
        """Weight of each lag, dims (..., channel, geo, lag)."""
        return self.world.weights

    def incremental(self) -> FloatArray:
        """Return the sales lost if a channel were zero on all dates, in KPI units per period.

        Returns
        -------
        array, dims (..., channel, geo, date)
        """
        if not self.is_joint:
            return self.contribution
        return np.asarray(self._sales_today() - self._sales_by(0.0))

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
            return windows.sum_last(self._sales_by(factor) * self.revenue[..., None, :, :])

        if delta is None:
            return derivative(lambda step: earned(1 + step), apart=self._apart)
        return np.asarray((earned(1 + delta) - earned(1.0)) / delta)

    @property
    def is_joint(self) -> bool:
        """True if the sales of all media are not the sum of what single channels sell."""
        return self.world.is_connected or self.uncapped is not None

    @property
    def _apart(self) -> int | None:
        """Axis of the datasets in the revenue of a window, if there are several datasets."""
        return 0 if self.contribution.ndim > 3 else None

    def _reached(self, periods: slice) -> slice:
        last = periods.stop + self.world.reach
        return slice(periods.start, min(last, self.contribution.shape[-1]))

    def _earned_today(self, periods: slice) -> FloatArray:
        reached = self._reached(periods)
        revenue = self._sales_today()[..., reached] * self.revenue[..., None, :, reached]
        return np.asarray(revenue.sum(axis=-1))

    def _sales_today(self) -> FloatArray:
        """Return what `_sales_by` returns for a factor of 1."""
        if not self.is_joint:
            return self.contribution
        sales = self._media_today()[..., None, :, :]
        return self._of_all(sales) if self.together else self._realised(sales)

    def _media_today(self) -> FloatArray:
        """Return the sales of all media today, dims (..., geo, date)."""
        return np.asarray(self.contribution.sum(axis=-3) + self.others)

    def _realised(self, sales: FloatArray) -> FloatArray:
        """Return what is sold if all media make the sales, dims (..., channel, geo, date).

        The baseline and the noise before the cut stay, and the capacity cuts again.
        """
        if self.uncapped is None or self.capacity is None:
            return sales
        rise = sales - self._media_today()[..., None, :, :]
        if self.noise_factor is not None:
            rise = rise * self.noise_factor[..., None, :, :]
        uncapped = self.uncapped[..., None, :, :] + rise
        return np.minimum(uncapped, self.capacity[..., None, :, :])

    def _of_all(self, sales: FloatArray) -> FloatArray:
        """Return the sales of all media in the place of the first channel, and 0 in the others.

        `sales` has one entry along channels.
        """
        is_first = np.arange(self.spend.shape[-3]) == 0
        return np.asarray(self._realised(sales) * is_first[:, None, None])

    def _sales_by(self, factor: Any) -> FloatArray:
        """Return the sales if the spend of one channel is multiplied, for each channel.

        Dims are (..., channel, geo, date). The sales are those of all media if channels depend on
        each other, and else of the one channel. `factor` is a number, or an array of the dates of
        `spend`.
        """
        # If complex numbers overflow, `derivative` uses a central difference.
        with np.errstate(over="ignore", invalid="ignore"):
            if not self.is_joint:
                spend = factor * self.spend
                past = spend[..., : self.n_past]
                made = respond_to(spend[..., self.n_past :], self.world, past)
                return contribute(made.response, self.media)
            if self.together:
                spend = factor * self.spend
                past, inside = np.split(spend, [self.n_past], axis=-1)
                sales = media_sales(respond_to(inside, self.world, past), self.world)
                return self._of_all(sales[..., None, :, :])
            past, inside = np.split(self.spend, [self.n_past], axis=-1)
            past = past if self.n_past else None
            return self._realised(sales_without_each(inside, self.world, past, factor))

    def _earned(self, periods: slice, factor: complex) -> FloatArray:
        """Return the revenue, dims (..., channel, geo), with the window's spend times a factor."""
        reached, length = self._reached(periods), periods.stop - periods.start
        if self.is_joint or not self.world.is_plain:
            position = np.arange(self.spend.shape[-1]) - self.n_past
            inside = (position >= periods.start) & (position < periods.stop)
            sales = self._sales_by(np.where(inside, factor, 1))[..., reached]
            return np.asarray((sales * self.revenue[..., None, :, reached]).sum(axis=-1))
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
    together: bool = False,
    realised: bool = False,
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
    together : bool, default False
        As for `Response`.
    realised : bool, default False
        If True, sales are cut at the capacity, if there is one. The response then ends at the last
        date, because later noise is not known.

    Raises
    ------
    SchemaError
        If `ds` lacks a variable, has other dims, or has contributions that do not follow from its
        spend. For lazy data, this is raised at the computation.
    """
    check_variables(ds, *NEEDED)
    names = [*NEEDED, *response_parameters(ds), *connections(ds)]
    names += ["spend_history"] if "spend_history" in ds else []
    is_cut = realised and "capacity" in ds
    names += OBSERVED if is_cut else ()
    # The function is sent with each task, so it holds labels only and no numbers.
    dims_of_labels = (("channel",), ("funnel",), ("interaction",), ("mediator",))
    labels = xr.Dataset(
        coords={name: each for name, each in ds.coords.items() if each.dims in dims_of_labels},
        attrs={name: ds.attrs[name] for name in ("adstock_first", KIND) if name in ds.attrs},
    )
    dims = [kernel_dims(name) for name in names]

    def kernel(*arrays: FloatArray) -> Any:
        by_name = dict(zip(names, arrays, strict=True))
        response = _response(labels, by_name, within_data=within_data or is_cut)
        made = function(replace(response, together=together), by_name)
        return tuple(made) if len(outputs) > 1 else made[0]

    found = xr.apply_ufunc(
        kernel,
        *(variable_of(ds, name, *kernel_dims(name), leading=LEADING) for name in names),
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


def _response(labels: xr.Dataset, arrays: Arrays, *, within_data: bool) -> Response:
    stored = arrays["channel_contribution"]
    numbers = {name: values.astype(float, copy=False) for name, values in arrays.items()}
    past = numbers.get("spend_history")
    own = {
        name: values
        for name, values in numbers.items()
        if describe(name).dims == MEDIA and name != "spend_unit"
    }
    world = world_of(labels, numbers, own=own)
    n_after = 0 if within_data else world.reach
    spend, revenue = after_the_last(numbers["spend"], numbers["revenue_per_kpi"], n_after)
    made = respond_to(spend, world, past)
    sold = media_parts(made, world)
    contribution = sold.pop("channel_contribution")
    check_equal(stored, contribution[..., : stored.shape[-1]])
    rest = sold.pop("remainder_contribution", np.zeros(()))
    others = sum((part.sum(axis=-3) for part in sold.values()), rest)
    if past is not None:
        past = np.broadcast_to(past, (*spend.shape[:-1], past.shape[-1]))
        spend = np.concatenate([past, spend], axis=-1)
    return Response(
        world=world,
        spend=spend,
        n_past=0 if past is None else past.shape[-1],
        n_after=n_after,
        revenue=revenue,
        saturated=made.saturated,
        contribution=contribution,
        others=others,
        **_capped(numbers, world),
    )


def _capped(arrays: Arrays, world: World) -> dict[str, Any]:
    """Return sales before the cut, the capacity and relative noise, as `Response` takes them."""
    if "capacity" not in arrays:
        return {}
    mu, noise, lost, capacity = (arrays[name] for name in OBSERVED)
    uncapped, is_relative = mu + noise + lost, isinstance(world.link, LogLink)
    return {
        "uncapped": uncapped,
        "capacity": capacity[..., None],
        "noise_factor": uncapped / mu if is_relative else None,
    }


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


def incremental_contribution(
    ds: xr.Dataset, *, reacting: bool = False, together: bool = False, realised: bool = False
) -> xr.DataArray:
    r"""Return the sales lost if a channel were zero on all dates.

    The spend of the others is held, or answers if `reacting`. Held, the loss is the contribution of
    the channel, unless channels act on each other: then it counts what the channel does for others,
    and the losses of all channels need not add up. With `together`, their sum is the loss without
    all of them. If `realised`, sales are cut at the capacity k with and without the channel:
    :math:`\min(\mu + e, k) - \min(\mu^{without} + e, k)`, with the noise e before the cut.

    Raises
    ------
    SchemaError
        As for `checked_contribution`, or if the Dataset is an aggregation of connected channels.
    """
    reaction = reaction_of(ds) if reacting else None
    if reaction is not None:
        check_variables(ds, "spend", "channel_contribution")
        of = reaction.market.realised if realised else np.asarray
        lost = of(_sales_today(ds, reaction)) - of(reaction.sales_by(0.0, together=together))
        if together:
            lost = lost * _first_of(ds)
        found = xr.DataArray(lost, dims=STORED, coords={dim: ds[dim] for dim in STORED})
        return found.transpose(*ds["channel_contribution"].dims)
    if not acts_together(ds) and not (realised and "capacity" in ds):
        return checked_contribution(ds)
    check_variables(ds, "spend", "channel_contribution")
    (found,) = of_response(
        ds,
        lambda response, _: [response.incremental()],
        [STORED],
        within_data=True,
        together=together,
        realised=realised,
    )
    return found.transpose(*ds["channel_contribution"].dims)


def media_together(ds: xr.Dataset) -> xr.DataArray | None:
    """Return the sales of all media, dims (date, geo); None if they are the sum of the channels."""
    if not acts_together(ds):
        return None
    if "media_sales" in ds:
        return ds["media_sales"]
    whole = ds["channel_contribution"].sum("channel", skipna=False)
    for item in ("interaction", "mediator"):
        if f"{item}_contribution" in ds:
            whole = whole + ds[f"{item}_contribution"].sum(item, skipna=False)
    return whole + ds["remainder_contribution"] if "remainder_contribution" in ds else whole


def all_media(ds: xr.Dataset) -> xr.DataArray:
    """Return the sales of all media, with what channels make together, dims (date, geo)."""
    whole = media_together(ds)
    return ds["channel_contribution"].sum("channel", skipna=False) if whole is None else whole


def media_share(ds: xr.Dataset) -> float:
    """Return the share of expected sales that all media make; 0 if there are no sales."""
    expected = float(ds["mu"].sum())
    return float(all_media(ds).sum()) / expected if expected else 0.0


def acts_together(ds: xr.Dataset) -> bool:
    """Tell if media make more sales than the sum of what single channels contribute."""
    connections = {
        *("funnel_strength", "interaction_strength", "mediator_effect"),
        "remainder_contribution",
    }
    return bool(connections & set(map(str, ds.variables)))


def has_returns(ds: xr.Dataset) -> bool:
    """Tell if returns follow from a Dataset; not from sums of channels that act on each other."""
    return not (acts_together(ds) and "aggregation" in ds.attrs)


def _sales_today(ds: xr.Dataset, reaction: Reaction) -> FloatArray:
    """Return the sales of all media today, dims (geo, date)."""
    return array_of(ds, "mu", "geo", "date") - reaction.market.baseline


def reacting_rise(
    ds: xr.Dataset,
    reaction: Reaction,
    windows: Windows,
    delta: float | None,
    *,
    together: bool,
    realised: bool = False,
) -> FloatArray:
    """Return the revenue in each window per relative change of all spend of a channel.

    The others answer. Dims are (channel, geo, period). With `together`, the spend of all channels
    changes, and the revenue stands in the place of the first. If `realised`, sales are cut at the
    capacity.
    """
    of = reaction.market.realised if realised else np.asarray

    def earned(factor: Any) -> FloatArray:
        sales = of(reaction.sales_by(factor, together=together))
        revenue = windows.sum_last(sales * reaction.market.revenue)
        return np.asarray(revenue * _first_of(ds) if together else revenue)

    if delta is None:
        return derivative(lambda step: earned(1 + step))
    today = windows.sum_last(of(_sales_today(ds, reaction)) * reaction.market.revenue)
    today = today * _first_of(ds) if together else today
    return np.asarray((earned(1 + delta) - today) / delta)


def _first_of(ds: xr.Dataset) -> FloatArray:
    """Return 1 in the place of the first channel and 0 in the others, dims (channel, 1, 1)."""
    return np.eye(1, ds.sizes["channel"])[0, :, None, None]
