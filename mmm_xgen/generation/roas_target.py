"""Factor on the effect of a channel that makes its return on ad spend the target."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.config.names import join_path, position_part
from mmm_xgen.errors import ConfigError
from mmm_xgen.generation.agreement import agreed
from mmm_xgen.generation.batch import Batch
from mmm_xgen.generation.log_target import factors_for_sales
from mmm_xgen.generation.media import scaled_media
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.link import LogLink
from mmm_xgen.world import Stages, World, media_parts, media_sales, respond_to

# Factor at which the sales of a channel are linear in it.
NEXT_TO_NOTHING = 1e-6


def factor_for_roas(
    batch: Batch, world: World, made: Stages, history: FloatArray | None, fixed: list[bool]
) -> FloatArray:
    r"""Return the factor on each channel's effect that makes its ROAS over all geos the target.

    Contributions are linear in the amplitude, so the factor has a closed form:

    .. math:: \text{factor}_c = \frac{\text{roas}_c \sum_{tg} \text{spend}_{tgc}}
              {\text{revenue per KPI} \sum_{tg} \text{amplitude}_{gc}\, \text{response}_{tgc}}

    If channels act on each other, the sales lost without a channel are a sum over all channels, and
    the factors solve a linear system. With a link, they are found by Broyden's or Newton's method.

    Parameters
    ----------
    batch : Batch
        Has the targets.
    world : World
        Response before the factor.
    made : Stages
        Response to the spend of the datasets.
    history : array, dims (dataset, channel, geo, history_date)
        Spend before the window, in currency per period.
    fixed : list of bool, one per channel
        Channels whose effect is given and stays.

    Returns
    -------
    array, dims (dataset, channel)
        1 if a channel has no target, or if its effect is given; -1 if its effect is negative.

    Raises
    ------
    ConfigError
        If a channel with a target has no spend, or spend without response, if its target is below
        what it earns through other channels, or if no factors meet the targets.
    """
    target = batch.each(
        lambda config: [np.nan if each.roas is None else each.roas for each in config.channels]
    )
    sign = batch.each(lambda config: [each.sign for each in config.channels])
    target[:, fixed], sign[:, fixed] = np.nan, 1.0
    solved = ~np.isnan(target[0])
    if not solved.any():
        return sign
    total_spend = made.spend.sum(axis=(2, 3))
    revenue = batch.each(lambda config: config.revenue_per_kpi)[:, None]
    amplitude = world.media.amplitude.swapaxes(1, 2)
    incremental = (amplitude * made.response.sum(axis=3)).sum(axis=2) * revenue
    unsolvable = (total_spend == 0) | (incremental == 0)
    for channel in np.flatnonzero(solved & unsolvable.any(axis=0)).tolist():
        dataset = int(np.argmax(unsolvable[:, channel]))
        wanted = np.broadcast_to(target, unsolvable.shape)[dataset, channel]
        what = "spend" if total_spend[dataset, channel] == 0 else "response to its spend"
        raise ConfigError(
            f"found a roas of {wanted:g} for {batch.shared.channel_names[channel]!r}, which "
            f"has no {what} in the window; give base_effectiveness instead",
            path=_path_of(batch, channel),
        )
    if not world.is_connected:
        return np.where(solved, target * total_spend / np.where(solved, incremental, 1), sign)
    if world.link is not None:
        factor = _through_link(world, made, history, target * total_spend / revenue, sign)
    else:
        lost, others = _lost_without_each(world, made, history)
        lost, others = lost * revenue[..., None], others * revenue
        wanted = target * total_spend - others
        factor = _solved(lost, wanted, solved, sign)
    below = solved & (np.sign(factor) != np.sign(target)) & (target != 0)
    for dataset, channel in np.argwhere(below)[:1].tolist():
        raise ConfigError(
            f"found a roas of {np.broadcast_to(target, factor.shape)[dataset, channel]:g} for "
            f"{batch.shared.channel_names[channel]!r}, less than it earns through funnels and "
            "interactions alone; allowed: a higher roas, or weaker funnels and interactions",
            path=_path_of(batch, channel),
        )
    return factor


def _through_link(
    world: World,
    made: Stages,
    history: FloatArray | None,
    wanted: FloatArray,
    sign: FloatArray,
) -> FloatArray:
    """Return the factors with which each channel makes the wanted sales, NaN for no target.

    Raises
    ------
    ConfigError
        If there are none.
    """
    tied = _without_each(world, made, history)
    if isinstance(world.link, LogLink):
        return factors_for_sales(world, world.link, made, tied, wanted, sign)

    def lost(factor: FloatArray) -> FloatArray:
        scaled = replace(world, media=scaled_media(world.media, factor))
        parts = media_parts(made, scaled)["channel_contribution"]
        found = np.array(parts.sum(axis=-1).sum(axis=-1))
        today = media_sales(made, scaled).sum(axis=-1).sum(axis=-1) if tied else None
        for channel, without in tied.items():
            rest = media_sales(without, scaled).sum(axis=-1).sum(axis=-1)
            found[:, channel] = today - rest
        return found

    # The slope where media add next to nothing; there, channels do not act on each other.
    near, nearer = (lost(np.full(wanted.shape, each * NEXT_TO_NOTHING)) for each in (2, 1))
    slope = (near - nearer) / NEXT_TO_NOTHING
    has_slope = ~np.isnan(wanted) & (slope != 0)
    start = np.where(has_slope, wanted / np.where(has_slope, slope, 1.0), sign)
    free = ~np.isnan(wanted) & (start != 0)

    def factor_of(size: FloatArray) -> FloatArray:
        return start * np.exp(size)

    def gap_of(size: FloatArray) -> tuple[FloatArray, FloatArray]:
        factor = factor_of(size)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = wanted / np.where(free, lost(factor), 1.0)
        # Sales on the wrong side of 0 say only that the factor must change much.
        step = np.log(np.where(free & (ratio > 0), ratio, 1.0)) - (free & ~(ratio > 0))
        # Beyond the numbers of a float, no change of the factor closes the gap.
        is_lost = free & ((factor == 0) | ~np.isfinite(factor))
        return factor, np.where(is_lost, np.nan, step)

    return agreed(
        gap_of,
        np.zeros(start.shape),
        otherwise="no effects meet the roas targets, since media sell less together than the "
        "targets ask for, or more through interactions and mediators alone; allowed: other "
        "targets, a larger response.size if there is a response, or base_effectiveness in place "
        "of roas",
        least=1.0,
    )


def _without_each(world: World, made: Stages, history: FloatArray | None) -> dict[int, Stages]:
    """Return the stages without each channel whose spend moves more than its own response."""
    alone: World = replace(world, link=None)
    found: dict[int, Stages] = {}
    if not alone.is_connected:
        return found
    for group in alone.groups():
        if not alone.of_channels(group).is_connected:
            continue
        for channel in group:
            keep = (np.arange(made.spend.shape[1]) != channel)[:, None, None]
            past = None if history is None else history * keep
            found[channel] = respond_to(made.spend * keep, world, past)
    return found


def _path_of(batch: Batch, channel: int) -> str:
    names = batch.shared.channel_names
    return join_path(("channels", position_part(channel, names), "roas"))


def _lost_without_each(
    world: World, made: Stages, history: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """Return the sales lost without each channel.

    Returns
    -------
    lost : array, dims (dataset, without, channel)
        Lost contribution of each channel, linear in its amplitude.
    others : array, dims (dataset, without)
        Other lost sales, which no amplitude changes.
    """
    amplitude = world.media.amplitude.swapaxes(-1, -2)
    own = (made.response.sum(axis=-1) * amplitude).sum(axis=-1)
    lost, others = own[..., None] * np.eye(own.shape[-1]), np.zeros(own.shape)
    # Only channels that are tied to others, or sell through mediators, need a world without them.
    for group in world.groups():
        part = world.of_channels(group)
        if not part.is_connected:
            continue
        # `take` keeps the order in memory, on which the last bits depend.
        spend = made.spend.take(group, axis=1)
        past = None if history is None else history.take(group, axis=1)
        today, rest = _sums(respond_to(spend, part, past), part)
        for position, channel in enumerate(group):
            keep = (np.arange(len(group)) != position)[:, None, None]
            without = respond_to(spend * keep, part, None if past is None else past * keep)
            own_without, rest_without = _sums(without, part)
            lost[:, channel, group] = today - own_without
            others[:, channel] = rest - rest_without
    return lost, others


def _sums(made: Stages, world: World) -> tuple[FloatArray, FloatArray]:
    """Return the contribution of each channel, and the other sales of media, over geos and dates.

    Dims are (dataset, channel) and (dataset,).
    """
    amplitude = world.media.amplitude.swapaxes(-1, -2)
    own = (made.response.sum(axis=-1) * amplitude).sum(axis=-1)
    # In one order in memory, a sum has the same bits for one dataset and for many.
    parts = map(np.ascontiguousarray, made.others.values())
    rest = [part.sum(axis=(-3, -2, -1)) for part in parts]
    return own, np.asarray(sum(rest, np.zeros(own.shape[:-1])))


def _solved(
    lost: FloatArray, wanted: FloatArray, solved: NDArray[np.bool_], sign: FloatArray
) -> FloatArray:
    """Return the factors of the channels with a target; the others keep their effect."""
    datasets = max(len(lost), len(wanted))
    lost = np.broadcast_to(lost, (datasets, *lost.shape[1:]))
    wanted = np.broadcast_to(wanted, (datasets, *wanted.shape[1:]))
    free, kept = np.flatnonzero(solved), np.flatnonzero(~solved)
    factor = np.array(np.broadcast_to(sign, wanted.shape))
    rest = wanted[:, free] - (lost[:, free][:, :, kept] * factor[:, None, kept]).sum(axis=-1)
    factor[:, free] = np.linalg.solve(lost[:, free][:, :, free], rest[..., None])[..., 0]
    return factor
