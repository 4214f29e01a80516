"""Spend that answers to sales: the one loop over dates, vectorised over everything else.

The loop decides spend only. All series of the Dataset come from the structural function, applied
to the spend that the loop found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.config.names import join_path, position_part
from mmm_xgen.errors import ConfigError
from mmm_xgen.generation.competitor import Competitor
from mmm_xgen.kernels.budget_rules import BudgetRuleKind
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.link import LogLink
from mmm_xgen.response import curves_of, of_channels
from mmm_xgen.world import World

# Smallest sales that a rule sees, as a share of the sales plan: a ratio to it stays finite.
LEAST_SALES = 0.05
# Spend relative to the largest planned spend at which a rule has exploded.
EXPLODED = 1e6


@dataclass(frozen=True)
class Rule:
    """Rule of some channels that answers to sales.

    Parameters
    ----------
    kind : BudgetRuleKind
        Registered kind.
    channels : list of int
        Positions of the channels.
    parameters : mapping of str to array, dims (..., channel, geo)
        Numbers of the kind.
    settings : mapping of str to value
        Other arguments; `lag` is among them.
    """

    kind: BudgetRuleKind
    channels: list[int]
    parameters: Mapping[str, FloatArray]
    settings: Mapping[str, Any]

    @property
    def lag(self) -> int:
        """Periods between sales and the spend that answers them."""
        return int(self.settings.get("lag", 1))


@dataclass(frozen=True)
class Market:
    """Everything that decides spend, where it answers to sales; held under intervention.

    Parameters
    ----------
    world : World
        Structural function, with paid funnels.
    rules : sequence of Rule
        Rules that answer to sales.
    plan : array, dims (..., channel, geo, date)
        Spend before rules that answer to sales and before paid funnels, in currency per period.
    history : array, dims (..., channel, geo, history_date)
        Spend before the first date.
    baseline : array, dims (..., geo, date)
        Expected sales without media, in KPI units per period.
    noise : array, dims (..., geo, date)
        Noise in KPI units per period, or relative to expected sales.
    is_relative : bool
        True if `noise` is relative.
    sales_plan : array, dims (..., geo, date)
        Planned sales in KPI units per period.
    revenue : array, dims (..., geo, date)
        Revenue per unit of the KPI.
    competitor : Competitor, optional
        Competitor that answers to our spend; `world` is then without its dampening.
    capacity : array, dims (..., geo, 1), optional
        Largest sales in KPI units per period.
    """

    world: World
    rules: Sequence[Rule]
    plan: FloatArray
    history: FloatArray
    baseline: FloatArray
    noise: FloatArray
    is_relative: bool
    sales_plan: FloatArray
    revenue: FloatArray
    competitor: Competitor | None = None
    capacity: FloatArray | None = None

    def observed(self, mu: FloatArray, noise: FloatArray) -> FloatArray:
        """Return the sales that expected sales and noise make, dims (..., geo, date)."""
        sales = mu * (1 + noise) if self.is_relative else mu + noise
        return sales if self.capacity is None else np.minimum(sales, self.capacity)

    def realised(self, media: FloatArray) -> FloatArray:
        """Return the sales that media, baseline and noise make; those of media without a capacity.

        Without a capacity, nothing but media differs between what is compared.
        """
        return media if self.capacity is None else self.observed(self.baseline + media, self.noise)


def of_answering(market: Market, channels: list[int], sales: FloatArray) -> Market:
    """Return the market of the channels that answer, if no channel acts on another.

    Parameters
    ----------
    market : Market
        Market of all channels.
    channels : list of int
        Positions of the channels whose rules answer to sales.
    sales : array, dims (..., geo, date)
        Expected sales that the other channels make.
    """
    rules = [
        replace(rule, channels=[channels.index(each) for each in rule.channels])
        for rule in market.rules
    ]
    return replace(
        market,
        world=market.world.of_channels(channels),
        rules=rules,
        plan=market.plan[..., channels, :, :],
        history=market.history[..., channels, :, :],
        baseline=market.baseline + sales,
    )


def answered_spend(
    market: Market, fixed: FloatArray | None = None, is_fixed: NDArray[np.bool_] | None = None
) -> FloatArray:
    """Return the spend that rules and paid funnels make, date by date.

    Parameters
    ----------
    market : Market
        Plans, rules, and what they answer to.
    fixed : array, dims (..., channel, geo, date), optional
        Spend that an experiment or an intervention sets.
    is_fixed : array of bool, dims (..., channel, geo, date), optional
        Cells that it sets.

    Returns
    -------
    array, dims (..., channel, geo, date)
        Currency per period.
    """
    media, n_past = market.world.media, market.history.shape[-1]
    fixed = market.plan if fixed is None else fixed
    shape = np.broadcast_shapes(
        fixed.shape[:-1],
        market.plan.shape[:-1],
        market.world.weights.shape[:-1],
        media.amplitude.swapaxes(-1, -2).shape,
        (*market.baseline.shape[:-2], 1, 1),
    )
    dtype = np.result_type(fixed, market.plan, market.baseline, *media.parameters.values())
    # Dates first: the loop reads and writes whole blocks of memory.
    n_dates = n_past + market.plan.shape[-1]
    past, set_to = _by_date(market.history), _by_date(fixed)
    is_set = None if is_fixed is None else _by_date(is_fixed)
    plan, mean = _by_date(market.plan), market.plan.mean(axis=-1)
    level = np.divide(plan, mean, out=np.zeros(plan.shape, dtype=dtype), where=mean > 0)
    target = _by_date(market.sales_plan * market.revenue)
    earned = np.zeros((len(plan), *shape[:-2], shape[-1]), dtype=dtype)
    spend = np.zeros((n_dates, *shape), dtype=dtype)
    places = [(..., _as_slice(rule.channels), slice(None)) for rule in market.rules]
    media_at = _Response(market.world, n_dates, shape, dtype)
    rival, damp = market.competitor, None
    for date in range(n_dates):
        at = date - n_past
        if at < 0:
            spend[date] = media_at.answer(date, at, np.broadcast_to(past[date], shape), True)
        else:
            wanted = np.array(np.broadcast_to(plan[at], shape), dtype=dtype)
            for rule, own in zip(market.rules, places, strict=True):
                before = at - rule.lag
                # Before the first date, sales are as planned.
                sales = earned[before] if before >= 0 else target[at]
                planned = target[before] if before >= 0 else target[at]
                wanted[own] = rule.kind.function(
                    plan[at][own],
                    level[at][own],
                    sales[..., None, :],
                    planned[..., None, :],
                    **rule.parameters,
                    **rule.settings,
                )
            known = None if is_set is None or not is_set[at].any() else is_set[at]
            if known is not None:
                wanted = np.where(known, set_to[at], wanted)
            spend[date] = media_at.answer(date, at, wanted, known)
        if rival is not None:
            # Before the first date of the window, our effect is that of the first date.
            history = market.history.sum(axis=-3) if at <= 0 else None
            ours = rival.before(history) if at <= 0 else spend[date - 1].sum(axis=-2)
            its_spend = rival.spend_at(max(at, 0), ours)
            damp = rival.damp(its_spend[..., None])[..., 0]
        taken = None if rival is None else rival.added(its_spend[..., None])[..., 0]
        made = media_at.sales(date, at, damp, taken)
        if at >= 0:
            mu = market.baseline[..., at] + made
            sales = market.observed(mu[..., None], market.noise[..., at, None])[..., 0]
            least = LEAST_SALES * market.sales_plan[..., at]
            earned[at] = np.maximum(sales, least) * market.revenue[..., at]
    return np.ascontiguousarray(np.moveaxis(spend[n_past:], 0, -1))


def _as_slice(channels: list[int]) -> slice | list[int]:
    """Return neighbours as a slice, which is a view of an array where a list would copy it."""
    first, last = channels[0], channels[-1]
    neighbours = channels == list(range(first, last + 1))
    return slice(first, last + 1) if neighbours else channels


def _by_date(values: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(np.moveaxis(values, -1, 0))


def _over_lags(weights: FloatArray, recent: FloatArray) -> FloatArray:
    """Return a weighted sum over lags, the first axis, one lag after the other.

    A product of arrays would round differently with the number of datasets.
    """
    missing = recent.ndim - weights.ndim
    total, *others = weights.reshape(len(weights), *[1] * missing, *weights.shape[1:]) * recent
    for part in others:
        total += part
    return np.asarray(total)


@dataclass(frozen=True)
class _Level:
    """Channels whose media are known together.

    Parameters
    ----------
    index : slice or list of int
        Positions of the channels.
    weights : array, dims (lag, ..., channel, geo)
        Weights of their adstock, the longest lag first.
    curves_of : callable
        Returns their curves for spend with a last axis date.
    """

    index: slice | list[int]
    weights: FloatArray
    curves_of: Callable[[FloatArray], FloatArray]


class _Response:
    """Response of a world, one date after the other.

    The structural function `mmm_xgen.world.respond_to` gives the same for all dates at once.
    """

    def __init__(self, world: World, n_dates: int, shape: tuple[int, ...], dtype: Any) -> None:
        self.world = world
        n_channels = shape[-2]
        funnels = world.funnels
        weights = np.ascontiguousarray(_by_date(world.weights)[::-1])
        # All channels, and then those whose media depend on the curves of the level before.
        self.levels = [_Level(slice(None), weights, curves_of(world.media))]
        for level in [] if funnels is None else funnels.levels(n_channels)[1:]:
            own = curves_of(of_channels(world.media, level))
            self.levels.append(_Level(level, weights[..., level, :], own))
        self.amplitude = world.media.amplitude.swapaxes(-1, -2)
        # What adstock acts on, and the curves.
        self.entered = np.zeros((n_dates, *shape), dtype=dtype)
        self.curves = np.zeros((n_dates, *shape), dtype=dtype)
        # The same with the path of the effect, where sales look back on them, and the mediators.
        looks_back = world.pull_forward is not None
        self.responses = np.zeros((n_dates if looks_back else 0, *shape), dtype=dtype)
        self.mediators: FloatArray | float = 0.0
        self.state: Any = None

    def answer(
        self, date: int, at: int, wanted: FloatArray, is_known: NDArray[np.bool_] | bool | None
    ) -> FloatArray:
        """Return the spend of a date, and keep the response to it.

        Parameters
        ----------
        date, at : int
            Position of the date, from the history on and in the window.
        wanted : array, dims (..., channel, geo)
            Spend before paid funnels.
        is_known : array of bool, dims (..., channel, geo), True or None
            Cells whose spend paid funnels do not raise.
        """
        spend = np.array(wanted)
        for level in self.levels:
            at_own = (..., level.index, slice(None))
            channels = None if isinstance(level.index, slice) else level.index
            own = exposure = wanted[at_own]
            if self.world.funnels is not None:
                by_spend, without = (each[at_own] for each in self._lifts(date))
                own = own * np.maximum(1 + by_spend, 0)
                if is_known is not None:
                    known = is_known if isinstance(is_known, bool) else is_known[at_own]
                    own = np.where(known, wanted[at_own], own)
                exposure = own * np.maximum(1 + without, 0)
            spend[at_own] = own
            exposure = self.world.delivered(exposure[..., None], -at, channels)[..., 0]
            if not self.world.media.adstock_first:
                exposure = level.curves_of(exposure[..., None])[..., 0]
            self.entered[date][at_own] = exposure
            recent = self.entered[max(0, date + 1 - len(level.weights)) : date + 1]
            carried = _over_lags(level.weights[-len(recent) :], recent[at_own])
            if self.world.media.adstock_first:
                carried = level.curves_of(carried[..., None])[..., 0]
            self.curves[date][at_own] = carried
        return spend

    def _lifts(self, date: int) -> FloatArray:
        """Return the relative rise of each channel's media, by spend and without it."""
        lifts = np.zeros((2, *self.curves.shape[1:]), dtype=self.curves.dtype)
        funnels = self.world.funnels
        if funnels is None:
            return lifts
        for position, (source, target, lag, paid) in enumerate(
            zip(funnels.source, funnels.target, funnels.lag, funnels.paid, strict=True)
        ):
            if date >= lag:
                rise = funnels.strength[..., position] * self.curves[date - lag][..., source, :]
                lifts[int(not paid)][..., target, :] += rise
        return lifts

    def sales(
        self, date: int, at: int, damp: FloatArray | None, taken: FloatArray | None
    ) -> FloatArray:
        """Return the sales that all media and a competitor make on a date, dims (..., geo).

        `damp` multiplies the effect of media on the date, and `taken` is what a competitor adds on
        the scale of the link, dims (..., geo).
        """
        world, curve = self.world, self.curves[date]
        path = world.effect_path
        # Before the first date of the window, the path has its first value.
        response = curve if path is None else curve * path[..., max(at, 0)]
        if damp is not None:
            response = response * damp[..., None, :]
        if world.pull_forward is not None:
            self.responses[date] = response
            weights = _by_date(world.pull_forward.weights)[: date + 1]
            recent = self.responses[date + 1 - len(weights) : date + 1][::-1]
            response = _over_lags(weights, recent)
        total = (response * self.amplitude).sum(axis=-2)
        if world.interactions is not None:
            pairs = world.interactions
            both = curve[..., list(pairs.first), :] * curve[..., list(pairs.second), :]
            total = total + (both * pairs.strength.swapaxes(-1, -2)).sum(axis=-2)
        if world.mediators is not None:
            kept = world.mediators.persistence[..., None]
            added = np.einsum("...mc,...cg->...mg", world.mediators.loading, curve)
            self.mediators = kept * self.mediators + (1 - kept) * added
            effect = world.mediators.effect.swapaxes(-1, -2)
            total = total + (self.mediators * effect).sum(axis=-2)
        is_log = isinstance(world.link, LogLink)
        if taken is not None and is_log:
            total = total + taken
        if world.link is not None:
            total, self.state = world.link.step(total, at, self.state)
        if taken is not None and not is_log:
            total = total + taken
        return np.asarray(total)


def check_explosion(spend: FloatArray, plan: FloatArray, channels: Sequence[str]) -> None:
    """Raise if a rule made spend explode.

    Raises
    ------
    ConfigError
        The message names the channel and the period.
    """
    largest = EXPLODED * np.maximum(plan.max(axis=(-3, -2, -1), keepdims=True), 1.0)
    wrong = ~(spend <= largest)
    if wrong.any():
        *_, channel, _, date = (int(each) for each in np.argwhere(wrong)[0])
        name = channels[channel]
        raise ConfigError(
            f"the budget rule of {name!r} explodes in period {date}: spend feeds sales that feed "
            "spend; allowed: a weaker rule, or a smaller effect",
            path=join_path(("channels", position_part(channel, list(channels)), "budget_rule")),
        )
