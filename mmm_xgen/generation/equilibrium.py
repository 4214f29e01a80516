"""Spend and effects where spend answers to sales: each needs the other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mmm_xgen.generation.agreement import agreed
from mmm_xgen.generation.batch import Batch
from mmm_xgen.generation.budget_rules import feedback_rules
from mmm_xgen.generation.competitor import Competitor
from mmm_xgen.generation.feedback import Market, answered_spend, check_explosion, of_answering
from mmm_xgen.generation.media import scaled_media
from mmm_xgen.generation.noise import held_noise, noise_sd
from mmm_xgen.generation.parameters import Parameters
from mmm_xgen.generation.roas_target import factor_for_roas
from mmm_xgen.generation.spend_and_controls import Inputs
from mmm_xgen.generation.without_media import WithoutMedia
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.link import beside
from mmm_xgen.response import contribute
from mmm_xgen.world import Stages, World, media_sales, respond_to


@dataclass(frozen=True)
class Equilibrium:
    """Spend, effects and noise that agree with each other.

    Parameters
    ----------
    made : Stages
        Response before the factor.
    history : array, dims (dataset, channel, geo, history_date)
        Spend before the window.
    factor : array, dims (dataset, channel)
        Factor on each channel's effect.
    sales_plan : array, dims (dataset, geo, date), or None
        Planned sales; None if no rule answers to sales.
    noise : array, dims (dataset, geo, date), or None
        Result of `held_noise`; None if no rule answers to sales.
    world : World
        Structural function before the factor, under the spend of the competitor.
    competitor_spend : array, dims (dataset, geo, date), or None
        Spend of the competitor; None if there is none.
    """

    made: Stages
    history: FloatArray
    factor: FloatArray
    world: World
    competitor_spend: FloatArray | None = None
    sales_plan: FloatArray | None = None
    noise: FloatArray | None = None


def settle(
    batch: Batch,
    inputs: Inputs,
    world: World,
    truth: Parameters,
    without: WithoutMedia,
    fixed: list[bool],
    competitor: Competitor | None = None,
    *,
    is_given: bool,
) -> Equilibrium:
    """Return spend and effects, in one step unless spend answers to sales.

    The sales plan is the baseline without demand, and the response to planned spend. Rules compare
    sales with it. If effects follow from a target ROAS, the sales that rules see depend on them,
    and the factors are solved by Broyden's method [1]_.

    Parameters
    ----------
    batch, inputs, world, truth
        Configurations, series, structural function and parameters.
    without : WithoutMedia
        Sales without media.
    fixed : list of bool, one per channel
        Channels whose effect is given and stays.
    competitor : Competitor, optional
        Competitor that answers to our spend; `world` is then without its dampening.
    is_given : bool
        True if the user gave the spend, so that nothing changes it.

    Raises
    ------
    ConfigError
        If a rule makes spend explode, or no effects meet the targets.
    """
    start, its_spend = world, None
    has_paid = world.funnels is not None and any(world.funnels.paid)
    if competitor is not None and (is_given or not has_paid):
        # Nothing raises the spend that the competitor sees.
        world, its_spend = competitor.under(start, inputs.spend, inputs.history)
    made = respond_to(
        inputs.spend, world, inputs.history, reacting=not is_given, is_fixed=inputs.is_tested
    )
    history = inputs.history if made.history is None else made.history
    if competitor is not None and its_spend is None:
        made, world, its_spend = _beside(competitor, start, made.spend, history)
    factor = factor_for_roas(batch, world, made, history, fixed)
    rules = [] if is_given or inputs.plan is None else feedback_rules(batch)
    if not rules or inputs.plan is None:
        return Equilibrium(made, history, factor, world, its_spend)

    answering = sorted(channel for rule in rules for channel in rule.channels)
    planned, planned_sales = _as_planned(inputs, start, made, history, without, competitor)
    plan = np.array(inputs.spend)
    plan[:, answering] = inputs.plan[:, answering]
    baseline = without.sales if without.demand is None else without.sales + without.demand
    revenue = batch.each(lambda config: config.revenue_per_kpi)[:, None, None]
    is_relative = bool(batch.shared.regions.noise.registered.follows_mu)  # type: ignore[attr-defined]

    def answered(factor: FloatArray) -> tuple[Equilibrium, FloatArray]:
        scaled = replace(start, media=scaled_media(world.media, factor))
        as_planned = replace(scaled, link=beside(scaled.link, planned_sales))
        sales_plan = planned_sales + media_sales(planned, as_planned)
        noise = held_noise(batch, sales_plan, noise_sd(batch, sales_plan, truth), truth)
        market = Market(
            world=scaled,
            rules=rules,
            plan=plan,
            history=history,
            baseline=baseline,
            noise=noise,
            is_relative=is_relative,
            sales_plan=sales_plan,
            revenue=np.broadcast_to(revenue, sales_plan.shape),
            competitor=competitor,
            capacity=truth["capacity"][..., None] if "capacity" in truth else None,
        )
        spend = _spend(market, inputs, answering, made)
        check_explosion(spend, plan, batch.shared.channel_names)
        new, under, its_spend = _beside(competitor, start, spend, history)
        found = Equilibrium(new, history, factor, under, its_spend, sales_plan, noise)
        return found, factor_for_roas(batch, under, new, history, fixed) - factor

    return agreed(
        answered,
        factor,
        otherwise="no effects meet the roas targets while spend answers to sales; allowed: weaker "
        "budget rules, or base_effectiveness in place of roas",
    )


def _as_planned(
    inputs: Inputs,
    start: World,
    made: Stages,
    history: FloatArray,
    without: WithoutMedia,
    competitor: Competitor | None,
) -> tuple[Stages, FloatArray]:
    """Return the response to planned spend, and planned sales without media and demand."""
    planned, sales = made, without.sales
    if inputs.plan is not None and inputs.plan is not inputs.spend:
        planned = respond_to(inputs.plan, start, inputs.history, reacting=True)
    if competitor is not None:
        under, its_plan = competitor.under(start, planned.spend, history)
        planned = respond_to(planned.spend, under, history)
        sales = sales + competitor.sales(its_plan, beside(start.link, sales))
    return planned, sales


def _beside(
    competitor: Competitor | None, start: World, spend: FloatArray, history: FloatArray
) -> tuple[Stages, World, FloatArray | None]:
    """Return the response to our spend, and world and spend of a competitor that answers to it.

    `start` is the world without its dampening.
    """
    world, its_spend = start, None
    if competitor is not None:
        world, its_spend = competitor.under(start, spend, history)
    return respond_to(spend, world, history), world, its_spend


def _spend(market: Market, inputs: Inputs, answering: list[int], made: Stages) -> FloatArray:
    """Return the spend of all channels; where no channel acts on another, only some are live."""
    world = market.world
    is_alone = not world.is_connected and world.funnels is None
    if not is_alone or market.competitor is not None:
        return answered_spend(market, inputs.spend, inputs.is_tested)
    contributions = contribute(made.response, world.media)
    others = contributions.sum(axis=1) - contributions[:, answering].sum(axis=1)
    at = (slice(None), answering)
    is_tested = None if inputs.is_tested is None else inputs.is_tested[at]
    live = of_answering(market, answering, others)
    found = answered_spend(live, inputs.spend[at], is_tested)
    spend = np.array(np.broadcast_to(inputs.spend, (len(found), *inputs.spend.shape[1:])))
    spend[at] = found
    return spend
