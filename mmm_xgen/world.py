"""Structural function: from spend to the sales that media make, with everything else held.

Generation, counterfactuals, curves, derivatives and the optimum all use it. A `World` is the
response of the channels and what connects them; without connections it is the response alone.
`respond` is the same for labelled data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.connections import Funnels, Interactions, Mediators, PullForward
from mmm_xgen.errors import AlignmentError, SchemaError
from mmm_xgen.kernels.adstock import convolve
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.link import Link, LogLink, log_baseline
from mmm_xgen.response import (
    Media,
    contribute,
    lag_weights,
    matching,
    media_of,
    of_channels,
    response_parameters,
    stages,
    with_amplitudes,
)
from mmm_xgen.schema import LOG_BASELINE, check_variables, describe, takes_datasets

if TYPE_CHECKING:
    import xarray as xr

# Most numbers of one call of the structural function.
CHUNK = 1_500_000
# Variables that connect channels or move their effects over time, where a Dataset has them.
CONNECTIONS = (
    "effect_path",
    "media_quality",
    "funnel_strength",
    "interaction_strength",
    "pull_forward_share",
    "mediator_loading",
    "mediator_persistence",
    "mediator_effect",
    *LOG_BASELINE,
)


@dataclass(frozen=True)
class World:
    """Everything between spend and the sales that media make.

    Parameters
    ----------
    media : Media
        True response of all channels.
    effect_path : array, dims (..., channel, geo, date), optional
        Effect of each date of the window relative to the mean effect. Before the first date and
        after the last it stays constant.
    path_start : int, default 0
        Position in `effect_path` of the first date of the spend.
    funnels : Funnels, optional
        Channels that raise the delivered media of others.
    interactions : Interactions, optional
        Pairs of channels that sell more or less together.
    pull_forward : PullForward, optional
        Sales that channels borrow from later periods.
    mediators : Mediators, optional
        States between media and sales.
    quality : array, dims (..., channel, geo, date), optional
        Delivered media per unit of spend, relative to the mean. Beyond its dates it stays constant.
    quality_start : int
        Number of dates of `quality` before the first date of the window.
    link : Link, optional
        Step from the sum of what channels add to sales. Default: sales are the sum.
    """

    media: Media
    effect_path: FloatArray | None = None
    path_start: int = 0
    funnels: Funnels | None = None
    interactions: Interactions | None = None
    pull_forward: PullForward | None = None
    mediators: Mediators | None = None
    quality: FloatArray | None = None
    quality_start: int = 0
    link: Link | None = None

    @cached_property
    def weights(self) -> FloatArray:
        """Weight of each lag, dims (..., channel, geo, lag)."""
        return lag_weights(self.media)

    @cached_property
    def unpaid(self) -> Funnels | None:
        """Funnels that work if the spend of all channels is held."""
        return None if self.funnels is None else self.funnels.unpaid

    @property
    def is_plain(self) -> bool:
        """True if adstock and saturation are all that is between spend and sales."""
        moving = (self.effect_path, self.pull_forward, self.quality)
        return all(each is None for each in moving) and not self.is_connected

    @property
    def is_connected(self) -> bool:
        """True if media make more sales than the sum of what single channels contribute."""
        connections = (self.unpaid, self.interactions, self.mediators, self.link)
        return any(each is not None for each in connections)

    def groups(self) -> list[list[int]]:
        """Return the channels in groups, such that the sales of all media are a sum over groups.

        Funnels and interactions tie channels together, and a link ties all of them. Mediators do
        not: they are sums over channels.
        """
        if self.link is not None:
            return [list(range(len(self.media.l_max)))]
        links: list[tuple[int, int]] = []
        if self.unpaid is not None:
            links += zip(self.unpaid.source, self.unpaid.target, strict=True)
        if self.interactions is not None:
            links += zip(self.interactions.first, self.interactions.second, strict=True)
        group = list(range(len(self.media.l_max)))
        for one, other in links:
            old, new = group[other], group[one]
            group = [new if each == old else each for each in group]
        names = dict.fromkeys(group)
        return [[channel for channel, each in enumerate(group) if each == name] for name in names]

    def of_channels(self, index: list[int]) -> World:
        """Return the world of some channels, which funnels and interactions do not tie to others.

        Its sales are the part of these channels in the sales of all media.
        """
        path, pull, between = self.effect_path, self.pull_forward, self.mediators
        quality = self.quality
        if pull is not None:
            pull = PullForward(tuple(pull.periods[each] for each in index), pull.share[..., index])
        if between is not None:
            between = replace(between, loading=between.loading[..., index])
        return World(
            of_channels(self.media, index),
            effect_path=None if path is None else path[..., index, :, :],
            path_start=self.path_start,
            funnels=_among(index, self.funnels, "source", "target"),
            interactions=_among(index, self.interactions, "first", "second"),
            pull_forward=pull if pull is not None and any(pull.periods) else None,
            mediators=between if between is not None and between.loading.any() else None,
            quality=None if quality is None else quality[..., index, :, :],
            quality_start=self.quality_start,
            link=self.link,
        )

    def of_dates(self, periods: slice) -> World:
        """Return the world whose first date is that of `periods`, with what moves before it."""
        path = self.effect_path
        return replace(
            self,
            effect_path=None if path is None else path[..., : periods.stop],
            path_start=self.path_start + periods.start,
            quality_start=self.quality_start + periods.start,
        )

    def delivered(
        self, spend: FloatArray, n_past: int, channels: list[int] | None = None
    ) -> FloatArray:
        """Return what spend delivers, in currency at the mean quality.

        Parameters
        ----------
        spend : array, dims (..., channel, geo, date)
            Currency per period.
        n_past : int
            Number of its dates before the first date of the window.
        channels : list of int, optional
            Positions of the channels of `spend`. Default: all.
        """
        if self.quality is None:
            return spend
        quality = self.quality if channels is None else self.quality[..., channels, :, :]
        first = self.quality_start - n_past
        return np.asarray(spend * _extended(quality, first, spend.shape[-1]))

    @cached_property
    def reach(self) -> int:
        """Number of periods that the effect of spend can last after it."""
        own = reach = int(self.weights.shape[-1]) - 1
        if self.unpaid is not None:
            # The longest chain of funnels: at each step a delay and the carry-over of the target.
            steps = len(self.unpaid.levels(len(self.media.l_max))) - 1
            reach += steps * (own + max(self.unpaid.lag))
        later = 0 if self.pull_forward is None else max(self.pull_forward.periods)
        reach += max(later, 0 if self.mediators is None else self.mediators.reach)
        return reach + (0 if self.link is None else self.link.reach)


Links = TypeVar("Links", Funnels, Interactions)


def _among(index: list[int], links: Links | None, *ends: str) -> Links | None:
    """Return the links between some channels, at their positions in `index`."""
    if links is None:
        return None
    pairs = list(zip(*(getattr(links, end) for end in ends), strict=True))
    kept = [at for at, pair in enumerate(pairs) if set(pair) <= set(index)]
    if not kept:
        return None
    chosen: dict[str, Any] = {"strength": links.strength[..., kept]}
    for each in fields(links):
        if each.name != "strength":
            chosen[each.name] = tuple(getattr(links, each.name)[at] for at in kept)
    for end in ends:
        chosen[end] = tuple(index.index(position) for position in chosen[end])
    return replace(links, **chosen)


@dataclass(frozen=True)
class Stages:
    """Stages between spend and sales.

    Parameters
    ----------
    spend, history : array, dims (..., channel, geo, date)
        Spend in the window and before it, in currency per period, with what paid funnels add;
        `history` is None if there is none.
    exposure, carryover, saturated : array, dims (..., channel, geo, date)
        Delivered media in currency per period, and the stages of the response to them.
    response : array, dims (..., channel, geo, date)
        What the amplitude multiplies, the path of the effect included.
    others : mapping of str to array, dims (..., item, geo, date)
        What channels add together, by Dataset name: KPI units per period, or units of the link.
    mediators : array, dims (..., mediator, geo, date), or None
        Values of the mediators.
    before : Stages, optional
        Stages of the history, where a link looks back on them.
    """

    spend: FloatArray
    history: FloatArray | None
    exposure: FloatArray
    carryover: FloatArray
    saturated: FloatArray
    response: FloatArray
    others: Mapping[str, FloatArray] = field(default_factory=dict)
    mediators: FloatArray | None = None
    before: Stages | None = None


@dataclass(frozen=True)
class Kept:
    """Funnels that are kept as they are while the spend of their source changes.

    Parameters
    ----------
    funnels : tuple of int
        Positions of the funnels.
    curves : array, dims (..., channel, geo, date)
        Curves that they answer to, from the first date of the history on.
    """

    funnels: tuple[int, ...]
    curves: FloatArray


def respond_to(
    spend: FloatArray,
    world: World,
    history: FloatArray | None = None,
    *,
    reacting: bool = False,
    is_fixed: NDArray[np.bool_] | None = None,
    kept: Kept | None = None,
) -> Stages:
    r"""Return the stages between spend and sales, on plain arrays.

    .. math::

        \text{exposure}_{tj} &= \text{spend}_{tj}
            \bigl(1 + \textstyle\sum_i \text{strength}_{ij}\, s_{t - \text{lag}, i}\bigr)^+ \\
        s_{tc} &= f_c(\text{carryover}_{tc} / \text{spend unit}_c) \\
        \text{response}_{tc} &= s_{tc}\, \text{effect path}_{tc}
            - \text{what earlier periods borrowed} \\
        \text{interaction}_{tp} &= \text{strength}_p\, s_{ti}\, s_{tj} \\
        m_t &= \rho\, m_{t-1} + (1 - \rho) \textstyle\sum_c \text{loading}_c\, s_{tc}

    Parameters
    ----------
    spend : array, dims (..., channel, geo, date)
        Currency per period, from the first date of the window on.
    world : World
        Response of the channels and what connects them.
    history : array, dims (..., channel, geo, history_date), optional
        Spend before the first date. Default: 0.
    reacting : bool, default False
        If True, paid funnels raise the spend of their targets. If False, spend is as given.
    is_fixed : array of bool, dims (..., channel, geo, date), optional
        Cells whose spend paid funnels do not raise.
    kept : Kept, optional
        Funnels that answer to other curves than those of `spend`.
    """
    funnels = world.funnels if reacting else world.unpaid
    if world.is_plain and funnels is None:
        carryover, saturated, curve = stages(spend, world.media, world.weights, history)
        return Stages(spend, history, spend, carryover, saturated, curve)
    n_past = 0
    has_memory = world.link is not None and world.link.looks_back
    looks_back = funnels or world.pull_forward or world.mediators or has_memory
    if looks_back and history is not None and history.shape[-1]:
        # These mechanisms look back on responses, so evaluate the history too.
        n_past = history.shape[-1]
        leading = np.broadcast_shapes(history.shape[:-1], spend.shape[:-1])
        both = (np.broadcast_to(each, (*leading, each.shape[-1])) for each in (history, spend))
        spend, history = np.concatenate(list(both), axis=-1), None
    if funnels is None:
        exposure = world.delivered(spend, n_past)
        before = None if history is None else world.delivered(history, history.shape[-1])
        carryover, saturated, curve = stages(exposure, world.media, world.weights, before)
    else:
        is_held = None if is_fixed is None else _padded(is_fixed, n_past)
        spend, exposure, carryover, saturated, curve = _through_funnels(
            spend, world, funnels, is_held, kept, n_past
        )
    response = curve
    if world.effect_path is not None:
        first = world.path_start - n_past
        response = curve * _extended(world.effect_path, first, spend.shape[-1])
    if world.pull_forward is not None:
        response = convolve(response, world.pull_forward.weights)
    others, mediators = {}, None
    if world.interactions is not None:
        pairs, strength = world.interactions, world.interactions.strength
        product = curve[..., pairs.first, :, :] * curve[..., pairs.second, :, :]
        others["interaction_contribution"] = product * strength.swapaxes(-1, -2)[..., None]
    if world.mediators is not None:
        mediators = world.mediators.values(curve)
        effect = world.mediators.effect.swapaxes(-1, -2)[..., None]
        others["mediator_contribution"] = mediators * effect
    past = spend[..., :n_past] if n_past else history
    whole = Stages(spend, past, exposure, carryover, saturated, response, others, mediators)
    made = _cut(whole, slice(n_past, None))
    return replace(made, before=_cut(whole, slice(n_past))) if n_past and has_memory else made


def _cut(made: Stages, dates: slice) -> Stages:
    """Return the stages of some dates; the history stays."""
    return Stages(
        spend=made.spend[..., dates],
        history=made.history,
        exposure=made.exposure[..., dates],
        carryover=made.carryover[..., dates],
        saturated=made.saturated[..., dates],
        response=made.response[..., dates],
        others={name: each[..., dates] for name, each in made.others.items()},
        mediators=None if made.mediators is None else made.mediators[..., dates],
    )


def _through_funnels(
    spend: FloatArray,
    world: World,
    funnels: Funnels,
    is_fixed: NDArray[np.bool_] | None,
    kept: Kept | None,
    n_past: int,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return spend, exposure and the stages of the response, from sources to targets."""
    media, strength = world.media, funnels.strength.swapaxes(-1, -2)[..., None]
    # Sources need no one else; their targets are evaluated again, level by level.
    exposure = world.delivered(spend, n_past)
    carryover, saturated, curve = stages(exposure, media, world.weights)
    leading = np.broadcast_shapes(curve.shape[:-3], strength.shape[:-3], spend.shape[:-3])
    shape, dtype = (*leading, *curve.shape[-3:]), np.result_type(curve, strength)
    paid, exposure, carryover, saturated, curve = (
        np.array(np.broadcast_to(each, shape), dtype=dtype)
        for each in (spend, exposure, carryover, saturated, curve)
    )
    for level in funnels.levels(shape[-3])[1:]:
        # Relative rise of the media of each target, by spend and without it.
        lifts = np.zeros((2, *shape[:-3], len(level), *shape[-2:]), dtype=dtype)
        for position, (source, target) in enumerate(
            zip(funnels.source, funnels.target, strict=True)
        ):
            if target in level:
                delay = funnels.lag[position]
                answered = kept.curves if kept and position in kept.funnels else curve
                rise = strength[..., position, :, :] * answered[..., source, :, :]
                lift = lifts[int(not funnels.paid[position])][..., level.index(target), :, delay:]
                lift += rise[..., : shape[-1] - delay]
        at = (..., level, slice(None), slice(None))
        by_spend, without = lifts
        if is_fixed is not None:
            by_spend = by_spend * ~np.broadcast_to(is_fixed, shape)[at]
        # Funnels may lower media to nothing, and not below.
        paid[at] *= np.maximum(1 + by_spend, 0)
        exposure[at] = world.delivered(paid[at] * np.maximum(1 + without, 0), n_past, level)
        own, weights = of_channels(media, level), world.weights[at]
        carryover[at], saturated[at], curve[at] = stages(exposure[at], own, weights)
    return paid, exposure, carryover, saturated, curve


def _padded(is_fixed: NDArray[np.bool_], n_past: int) -> NDArray[np.bool_]:
    """Return cells with dates of the history before them, which paid funnels raise."""
    past = np.zeros((*is_fixed.shape[:-1], n_past), dtype=bool)
    return np.concatenate([past, is_fixed], axis=-1)


def _extended(path: FloatArray, first: int, n_dates: int) -> FloatArray:
    """Return a path from position `first` on; outside of its dates it keeps its end values."""
    at = np.clip(np.arange(first, first + n_dates), 0, path.shape[-1] - 1)
    return path if len(at) == path.shape[-1] and not first else path[..., at]


def media_sales(stages: Stages, world: World) -> FloatArray:
    """Return the sales that all media make, dims (..., geo, date), in KPI units per period."""
    added = _sum(added_by_media(stages, world))
    return added if world.link is None else _through_link(added, stages, world)


def media_parts(stages: Stages, world: World) -> dict[str, FloatArray]:
    """Return the parts of the sales that media make, by Dataset name, dims (..., item, geo, date).

    Their sum is `media_sales`. With a link, a part is what sales lose without it, and
    ``remainder_contribution``, dims (..., geo, date), is what these losses leave.
    """
    parts = added_by_media(stages, world)
    if world.link is None:
        return parts
    added = _sum(parts)
    sales = rest = _through_link(added, stages, world)
    for name, part in parts.items():
        if isinstance(world.link, LogLink):
            lost = world.link.lost(added, part, world.path_start)
        else:
            # Items come before all other dims, where those of the link broadcast.
            without = np.moveaxis(added[..., None, :, :] - part, -3, 0)
            left = np.moveaxis(_through_link(without, stages, world), 0, -3)
            lost = sales[..., None, :, :] - left
        parts[name], rest = lost, rest - lost.sum(axis=-3)
    return {**parts, "remainder_contribution": rest}


def added_by_media(stages: Stages, world: World) -> dict[str, FloatArray]:
    """Return what media add on the scale of the link, dims (..., item, geo, date), by Dataset name.

    Dates of the history come first where the link looks back on them.
    """
    parts = {"channel_contribution": contribute(stages.response, world.media), **stages.others}
    if stages.before is None:
        return parts
    past = added_by_media(stages.before, world)
    return {name: np.concatenate([past[name], part], axis=-1) for name, part in parts.items()}


def _sum(parts: Mapping[str, FloatArray]) -> FloatArray:
    """Return the sum over parts and items, dims (..., geo, date)."""
    first, *others = parts.values()
    total = first.sum(axis=-3)
    for part in others:
        total = total + part.sum(axis=-3)
    return np.asarray(total)


def _through_link(added: FloatArray, stages: Stages, world: World) -> FloatArray:
    """Return the sales in the window of what media add, dims (..., geo, date)."""
    n_past = 0 if stages.before is None else stages.before.spend.shape[-1]
    link: Any = world.link
    return np.asarray(link.sales(added, world.path_start - n_past)[..., n_past:])


def world_of(
    params: xr.Dataset, arrays: Mapping[str, FloatArray], *, own: Mapping[str, FloatArray]
) -> World:
    """`World` from the coordinates of a Dataset and arrays of its variables.

    Parameters
    ----------
    params : Dataset
        Coordinates of the kinds and connections.
    arrays : mapping of str to array
        ``spend_unit`` and the `CONNECTIONS` that the Dataset has, in the order of the kernels.
    own : mapping of str to array, dims (..., geo, channel)
        Parameters of adstock and saturation.

    Raises
    ------
    SchemaError
        If there is no response, or a connected channel is missing, as after a selection.
    """
    media = media_of(params, own, arrays["spend_unit"])
    world = World(media, effect_path=arrays.get("effect_path"), quality=arrays.get("media_quality"))
    if "funnel_strength" in arrays:
        funnels = Funnels(
            source=_positions(params, "funnel_source"),
            target=_positions(params, "funnel_target"),
            lag=tuple(map(int, params["funnel_lag"].values)),
            paid=tuple(map(bool, params["funnel_paid"].values)),
            strength=arrays["funnel_strength"],
        )
        world = replace(world, funnels=funnels)
    if "interaction_strength" in arrays:
        interactions = Interactions(
            first=_positions(params, "interaction_first"),
            second=_positions(params, "interaction_second"),
            strength=arrays["interaction_strength"],
        )
        world = replace(world, interactions=interactions)
    if "pull_forward_share" in arrays:
        periods = tuple(map(int, params["pull_forward_periods"].values))
        world = replace(world, pull_forward=PullForward(periods, arrays["pull_forward_share"]))
    if "mediator_effect" in arrays:
        numbers = (arrays[f"mediator_{name}"] for name in ("loading", "persistence", "effect"))
        world = replace(world, mediators=Mediators(*numbers))
    if "log_intercept" in arrays:
        world = replace(world, link=LogLink(log_baseline(arrays)))
    return world


def _positions(params: xr.Dataset, coordinate: str) -> tuple[int, ...]:
    """Return the positions of the channels that a coordinate names."""
    known = {str(name): position for position, name in enumerate(params["channel"].values)}
    names = [str(name) for name in params[coordinate].values]
    missing = [name for name in names if name not in known]
    if missing:
        raise SchemaError(
            f"{coordinate!r} has the channel {missing[0]!r}, which the Dataset has lost; the sales "
            "of connected channels depend on each other, so pass it with all of its channels and "
            "select in the result"
        )
    return tuple(known[name] for name in names)


def sales_without_each(
    spend: FloatArray, world: World, history: FloatArray | None, factors: FloatArray | complex
) -> FloatArray:
    """Return the sales of all media if the spend of one channel is multiplied, for each channel.

    Parameters
    ----------
    spend, history : array, dims (..., channel, geo, date)
        Spend in the window and before it.
    world : World
        Structural function.
    factors : number, or array of the dates of the history and the window
        What multiplies the spend of the one channel.

    Returns
    -------
    array, dims (..., channel, geo, date)
        Entry c has the sales of all media with the spend of channel c multiplied.
    """
    n_channels, n_dates = spend.shape[-3], spend.shape[-1]
    n_past = 0 if history is None else history.shape[-1]
    factors = np.broadcast_to(factors, (n_past + n_dates,))
    together = max(1, CHUNK // max(1, spend.size))
    made = []
    for start in range(0, n_channels, together):
        chosen = np.arange(start, min(start + together, n_channels))
        is_own = (chosen[:, None] == np.arange(n_channels))[..., None, None]
        is_own = is_own.reshape(len(chosen), *[1] * (spend.ndim - 3), n_channels, 1, 1)
        changed = spend * np.where(is_own, factors[n_past:], 1)
        past = None if history is None else history * np.where(is_own, factors[:n_past], 1)
        made.append(media_sales(respond_to(changed, world, past), world))
    return np.moveaxis(np.concatenate(made), 0, -3)


def connections(params: xr.Dataset) -> list[str]:
    """Return the names of the connections that a Dataset has, those without an item left out."""
    return [name for name in CONNECTIONS if name in params and params[name].size]


def kernel_dims(name: str) -> tuple[str, ...]:
    """Return the dims of a variable in the order of the kernels, dates last."""
    dims = describe(name).dims
    return tuple(reversed(dims)) if dims[0] in ("date", "history_date") else dims


@takes_datasets
def respond(
    spend: xr.DataArray, params: xr.Dataset, *, history: xr.DataArray | None = None
) -> xr.DataArray:
    """Return the contribution of spend under given true parameters.

    Further dims of `spend` or `params` (scenario, draw, dataset) broadcast. The function is pure
    and deterministic.

    Parameters
    ----------
    spend : DataArray, dims (date, geo, channel) and more
        Spend in currency per period.
    params : Dataset
        A generated Dataset, or its parameters: ``spend_unit``, ``adstock_*``, ``saturation_*``
        and the coordinates of the kinds. ``effect`` follows from them and is read only where an
        amplitude, such as ``saturation_beta``, is missing. ``effect_path`` and
        ``funnel_strength`` count where the Dataset has them.
    history : DataArray, dims (history_date, geo, channel), optional
        Spend before the first date. Default: ``params["spend_history"]`` if there is one, else 0.

    Returns
    -------
    DataArray, dims (..., date, geo, channel)
        Contribution in KPI units per period, without noise and baseline.

    Raises
    ------
    SchemaError
        If `params` lacks a variable, or has no response, as after an aggregation.
    AlignmentError
        If a geo or channel of `spend` is not in `params`, or `effect` contradicts
        ``saturation_beta``.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> bool((respond(ds.spend, ds) == ds.channel_contribution).all())
    True
    """

    def contributions(spend: FloatArray, world: World, past: FloatArray | None) -> FloatArray:
        return media_parts(respond_to(spend, world, past), world)["channel_contribution"]

    found = _applied(contributions, spend, params, history, ["channel", "geo", "date"])
    return found.transpose(..., "date", "geo", "channel").rename("channel_contribution")


@takes_datasets
def total_response(
    spend: xr.DataArray, params: xr.Dataset, *, history: xr.DataArray | None = None
) -> xr.DataArray:
    """Return the sales that all media make, with what channels make together.

    Parameters
    ----------
    spend, params, history
        As for `respond`.

    Returns
    -------
    DataArray, dims (..., date, geo)
        Sales in KPI units per period, without noise and baseline.

    Raises
    ------
    SchemaError, AlignmentError
        As for `respond`.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> gap = total_response(ds.spend, ds) - ds.channel_contribution.sum("channel")
    >>> bool(abs(gap).max() < 1e-9)
    True
    """

    def sales(spend: FloatArray, world: World, past: FloatArray | None) -> FloatArray:
        return media_sales(respond_to(spend, world, past), world)

    return _applied(sales, spend, params, history, ["geo", "date"]).transpose(..., "date", "geo")


def _applied(
    function: Callable[[FloatArray, World, FloatArray | None], FloatArray],
    spend: xr.DataArray,
    params: xr.Dataset,
    history: xr.DataArray | None,
    output: list[str],
) -> xr.DataArray:
    """Apply a function of arrays to labelled spend and parameters."""
    import xarray as xr

    if not isinstance(spend, xr.DataArray):
        raise AlignmentError(f"found {type(spend).__name__} as spend, allowed: DataArray")
    check_variables(params, "spend_unit")
    params = with_amplitudes(matching(params, spend))
    if history is None:
        history = params.get("spend_history")
    own = response_parameters(params)
    between = connections(params)
    # Spend may have other dates than the Dataset.
    paths = [name for name in between if describe(name).dims[0] == "date"]
    values = {name: params[name] for name in ("spend_unit", *own, *between)}
    values |= {name: _of_dates(params[name], spend) for name in paths}
    pasts = [] if history is None else [history]
    names = list(values)

    def kernel(spend: FloatArray, *arrays: FloatArray) -> FloatArray:
        past = arrays[-1] if pasts else None
        by_name = dict(zip(names, arrays, strict=False))
        world = world_of(params, by_name, own={name: by_name[name] for name in own})
        return function(spend, world, past)

    found: xr.DataArray = xr.apply_ufunc(
        kernel,
        spend,
        *values.values(),
        *pasts,
        input_core_dims=[
            ["channel", "geo", "date"],
            *(list(kernel_dims(name)) for name in names),
            *[["channel", "geo", "history_date"]] * len(pasts),
        ],
        output_core_dims=[output],
        dask="parallelized",
        output_dtypes=[float],
        # Only the core dims are rechunked: the kernel needs all dates.
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    return found


def _of_dates(path: xr.DataArray, spend: xr.DataArray) -> xr.DataArray:
    """Return a path on the dates of the spend; beyond its own dates it stays constant."""
    if "date" in path.indexes and "date" in spend.indexes:
        at = path.indexes["date"].get_indexer(spend.indexes["date"], method="ffill")
        return path.isel(date=at.clip(min=0)).assign_coords(date=spend["date"])
    n_dates = spend.sizes["date"]
    path = path.drop_vars("date", errors="ignore").isel(date=slice(n_dates))
    return path.pad(date=(0, n_dates - path.sizes["date"]), mode="edge")
