"""Connections of channels and geos: funnels, interactions, mediators, spill-over and others."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from mmm_xgen.errors import SchemaError
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.noise import accumulated

# Share of a rise of a mediator that no longer counts.
FADED = 1e-12
# How far the shares of all geos may be from 1 together, also in files of float32.
OF_ALL_GEOS = 1e-5


@dataclass(frozen=True)
class Funnels:
    """Channels that raise the delivered media of others.

    Parameters
    ----------
    source, target : tuple of int, one per funnel
        Positions of the channels.
    lag : tuple of int, one per funnel
        Periods between the response of the source and the delivery of the target.
    paid : tuple of bool, one per funnel
        True if the advertiser pays for the rise, so that it is a rise of spend.
    strength : array, dims (..., geo, funnel)
        Relative rise of the delivered media of the target where the curve of the source is 1.
    """

    source: tuple[int, ...]
    target: tuple[int, ...]
    lag: tuple[int, ...]
    paid: tuple[bool, ...]
    strength: FloatArray

    @property
    def unpaid(self) -> Funnels | None:
        """Funnels that raise media without spend; None if there are none."""
        index = [position for position, paid in enumerate(self.paid) if not paid]
        if not index:
            return None
        return Funnels(
            source=tuple(self.source[position] for position in index),
            target=tuple(self.target[position] for position in index),
            lag=tuple(self.lag[position] for position in index),
            paid=(False,) * len(index),
            strength=self.strength[..., index],
        )

    def levels(self, n_channels: int) -> list[list[int]]:
        """Return the channels in the order of their causes: each level needs those before it."""
        depth = [0] * n_channels
        for _ in range(n_channels):
            for source, target in zip(self.source, self.target, strict=True):
                depth[target] = max(depth[target], depth[source] + 1)
        return [
            found
            for level in range(max(depth) + 1)
            if (found := [channel for channel, own in enumerate(depth) if own == level])
        ]


@dataclass(frozen=True)
class Interactions:
    """Pairs of channels that sell more or less together than the sum of the two.

    Parameters
    ----------
    first, second : tuple of int, one per pair
        Positions of the channels.
    strength : array, dims (..., geo, interaction)
        KPI units per period where the curves of both are 1.
    """

    first: tuple[int, ...]
    second: tuple[int, ...]
    strength: FloatArray


@dataclass(frozen=True)
class PullForward:
    """Sales that channels borrow from later periods.

    Parameters
    ----------
    periods : tuple of int, one per channel
        Number of later periods that miss the sales; 0 for a channel that borrows nothing.
    share : array, dims (..., geo, channel)
        Share of the channel's sales that is missing there, in equal parts.
    """

    periods: tuple[int, ...]
    share: FloatArray

    @cached_property
    def weights(self) -> FloatArray:
        """Weight of each lag in the response, dims (..., channel, geo, lag)."""
        share = self.share.swapaxes(-1, -2)[..., None]
        periods = np.array(self.periods)[:, None, None]
        lag = np.arange(max(self.periods) + 1)
        missing = (lag > 0) & (lag <= periods)
        return np.asarray((lag == 0) - missing * share / np.maximum(periods, 1))


@dataclass(frozen=True)
class Mediators:
    """States between media and sales.

    Parameters
    ----------
    loading : array, dims (..., mediator, channel)
        Rise of the mediator where the curve of the channel is 1.
    persistence : array, dims (..., mediator)
        Share of the mediator that is left after one period.
    effect : array, dims (..., geo, mediator)
        KPI units per period where the mediator is 1.
    """

    loading: FloatArray
    persistence: FloatArray
    effect: FloatArray

    def values(self, curves: FloatArray) -> FloatArray:
        """Return the mediators, dims (..., mediator, geo, date), from curves of channels."""
        kept = self.persistence[..., None, None]
        # A sum over channels one by one: the bits of a product depend on the number of datasets.
        parts = self.loading[..., None, None] * curves[..., None, :, :, :]
        added = parts.sum(axis=-3) * (1 - kept)
        return accumulated(np.asarray(added), kept)

    @property
    def reach(self) -> int:
        """Number of periods after which less than `FADED` of a rise is left."""
        most = float(np.max(np.abs(self.persistence), initial=0.0))
        return 0 if most == 0 else int(np.ceil(np.log(FADED) / np.log(most)))


@dataclass(frozen=True)
class Spillover:
    """Media that reach people in other geos than the one that pays for them.

    Parameters
    ----------
    strength : array, dims (..., channel)
        Share of the media of a channel that reaches all geos alike, by population.
    share : array, dims (..., geo)
        Share of the geo in the population of all geos.

    Raises
    ------
    SchemaError
        If geos are missing.
    """

    strength: FloatArray
    share: FloatArray

    def __post_init__(self) -> None:
        """Check that all geos are there."""
        if np.any(np.abs(self.share.sum(axis=-1) - 1) > OF_ALL_GEOS):
            raise SchemaError(
                "media spill over between geos, and the Dataset has lost some of them; pass it "
                "with all of its geos and select in the result"
            )

    def spread(self, media: FloatArray, channels: list[int] | None = None) -> FloatArray:
        r"""Return the media that arrive in each geo, dims (..., channel, geo, date).

        .. math:: (1 - s)\, x_g + s\, \text{share}_g \textstyle\sum_h x_h

        Parameters
        ----------
        media : array, dims (..., channel, geo, date)
            Media by the geo that pays for them.
        channels : list of int, optional
            Positions of the channels of `media`. Default: all.
        """
        strength = self.strength if channels is None else self.strength[..., channels]
        strength = strength[..., None, None]
        # Geo by geo, so that the bits do not depend on the number of datasets.
        whole = np.add.accumulate(media, axis=-2)[..., -1:, :]
        return (1 - strength) * media + strength * (self.share[..., None, :, None] * whole)


Links = TypeVar("Links", Funnels, Interactions)


def among(index: list[int], links: Links | None, *ends: str) -> Links | None:
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
