"""A competitor whose media take sales, answer ours, and lower our effect."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mmm_xgen.generation.batch import Batch
from mmm_xgen.generation.parameters import Parameters
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.noise import autoregressive
from mmm_xgen.link import Link, LogLink, shifted
from mmm_xgen.world import World, media_sales, respond_to


@dataclass(frozen=True)
class Competitor:
    r"""Everything that decides the media of a competitor; held under intervention.

    With the spend :math:`x_t` of all channels and its mean :math:`\bar x` as planned,

    .. math::

        c_t &= o_t \bigl(1 + \text{answer}\, (x_{t-1} / \bar x - 1)\bigr) \\
        \text{competitor contribution}_t &= -\text{effect} \cdot 2 c_t / (1 + c_t) \\
        \text{effect path}_t &\propto e^{-\text{dampening}\, (c_t - 1)}

    Parameters
    ----------
    own : array, dims (..., geo, date)
        Spend of the competitor if it does not answer, as an index of mean 1.
    effect : array, dims (..., geo)
        Sales per period that it takes where its spend is 1, in KPI units.
    answer, dampening : array, dims (..., 1)
        Elasticity at the mean of our spend, and fall of the log of our effect.
    reference : array, dims (..., geo)
        Mean of our planned spend of a period, in currency.
    """

    own: FloatArray
    effect: FloatArray
    answer: FloatArray
    dampening: FloatArray
    reference: FloatArray

    def spend(self, ours: FloatArray, history: FloatArray | None) -> FloatArray:
        """Return the spend of the competitor, dims (..., geo, date).

        Parameters
        ----------
        ours, history : array, dims (..., channel, geo, date)
            Our spend in the window and before it, in currency per period.
        """
        total, past = ours.sum(axis=-3), None if history is None else history.sum(axis=-3)
        before = self.before(past)[..., None]
        shape = (*np.broadcast_shapes(before.shape[:-1], total.shape[:-1]), 1)
        before = np.concatenate(
            [
                np.broadcast_to(before, shape),
                np.broadcast_to(total, (*shape[:-1], total.shape[-1])),
            ],
            axis=-1,
        )[..., :-1]
        level = self._level(before, self.reference[..., None])
        return np.asarray(self.own * (1 + self.answer[..., None] * (level - 1)))

    def spend_at(self, date: int, before: FloatArray) -> FloatArray:
        """Return its spend of one date, dims (..., geo), after our spend of the date before."""
        level = self._level(before, self.reference)
        return np.asarray(self.own[..., date] * (1 + self.answer * (level - 1)))

    def before(self, history: FloatArray | None) -> FloatArray:
        """Return our spend just before the window, dims (..., geo); the mean if none is known."""
        known = history is not None and history.shape[-1]
        return np.asarray(history[..., -1] if known and history is not None else self.reference)

    def added(self, spend: FloatArray) -> FloatArray:
        """Return what it adds on the scale of the link, below 0, for its spend, (..., geo, date).

        With multiplicative sales these are log points, and else KPI units.
        """
        return np.asarray(-self.effect[..., None] * (2 * spend / (1 + spend)))

    def sales(self, spend: FloatArray, link: Link | None) -> FloatArray:
        """Return the sales that it adds to those without media, dims (..., geo, date).

        They are in KPI units; `link` is that of our world without it.
        """
        added = self.added(spend)
        return link.sales(added, 0) if isinstance(link, LogLink) else added

    def damp(self, spend: FloatArray) -> FloatArray:
        """Return what multiplies our effect, for its spend of dims (..., geo, date)."""
        return np.asarray(np.exp(-self.dampening[..., None] * (spend - 1)))

    def under(
        self, start: World, ours: FloatArray, history: FloatArray | None
    ) -> tuple[World, FloatArray]:
        """Return our world and its spend if it answers to our spend; see `spend`."""
        its_spend = self.spend(ours, history)
        return self.dampened(start, its_spend), its_spend

    def dampened(self, world: World, spend: FloatArray) -> World:
        """Return our world under its spend, from the world without it."""
        link = shifted(world.link, self.added(spend))
        return replace(_times(world, self.damp(spend)), link=link)

    def undampened(self, world: World, spend: FloatArray) -> World:
        """Return our world without it, from the world under its spend."""
        link = shifted(world.link, -self.added(spend))
        return replace(_times(world, 1 / self.damp(spend)), link=link)

    def of_geos(self, geos: list[int]) -> Competitor:
        """Return the competitor of the first dataset in some geos."""
        return Competitor(
            own=self.own[0, geos],
            effect=self.effect[0, geos],
            answer=self.answer[0],
            dampening=self.dampening[0],
            reference=self.reference[0, geos],
        )

    def path(
        self, path: FloatArray | None, ours: FloatArray, history: FloatArray | None
    ) -> FloatArray:
        """Return paths of effects without dampening that have mean 1 with it, as planned."""
        damp = self.damp(self.spend(ours, history))[..., None, :, :]
        start = np.ones(ours.shape[-1]) if path is None else path
        return np.asarray(start / (start * damp).mean(axis=-1, keepdims=True))

    @staticmethod
    def _level(before: FloatArray, reference: FloatArray) -> FloatArray:
        """Return our spend relative to its mean; 1 if we plan to spend nothing."""
        some = reference > 0
        return np.where(some, before / np.where(some, reference, 1), 1)


def _times(world: World, factor: FloatArray) -> World:
    path = 1.0 if world.effect_path is None else world.effect_path
    return replace(world, effect_path=path * factor[..., None, :, :])


def competitor_of(batch: Batch, truth: Parameters, planned: FloatArray) -> Competitor | None:
    """Return the competitor of the datasets of a batch; None if there is none.

    Parameters
    ----------
    batch : Batch
        Configurations and seeds.
    truth : mapping of str to array
        Parameters.
    planned : array, dims (dataset, channel, geo, date)
        Our planned spend in the window, in currency per period.
    """
    if batch.shared.competitor is None:
        return None

    def number(name: str) -> FloatArray:
        return batch.each(lambda config: getattr(config.competitor, name))[:, None]

    n_geos, n_dates = planned.shape[-2:]
    # Row 0 is for all geos together, so the rows of single geos do not move with their number.
    normal = batch.draws([("competitor",)], (n_geos + 1, n_dates))[:, 0]
    series = autoregressive(normal, number("persistence")[..., None])
    shared, sd = number("shared")[..., None], number("volatility")[..., None]
    series = np.sqrt(shared) * series[:, :1] + np.sqrt(1 - shared) * series[:, 1:]
    return Competitor(
        own=np.exp(sd * series - np.square(sd) / 2),
        effect=truth["competitor_effect"],
        answer=number("answer"),
        dampening=number("dampening"),
        reference=planned.sum(axis=1).mean(axis=-1),
    )


def sales_beside(
    competitor: Competitor | None, spend: FloatArray, world: World, history: FloatArray | None
) -> FloatArray:
    """Return the sales of all our media, and those that a competitor takes in answer to them.

    Parameters
    ----------
    competitor : Competitor or None
        Competitor; None if there is none.
    spend, history : array, dims (..., channel, geo, date)
        Our spend in the window and before it, in currency per period.
    world : World
        Structural function without dampening.

    Returns
    -------
    array, dims (..., geo, date)
        KPI units per period.
    """
    if competitor is None:
        return media_sales(respond_to(spend, world, history), world)
    under, its_spend = competitor.under(world, spend, history)
    taken = competitor.sales(its_spend, world.link)
    return media_sales(respond_to(spend, under, history), under) + taken
