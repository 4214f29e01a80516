"""Budget rules: from planned to actual spend."""

from __future__ import annotations

import numpy as np

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.specs import BudgetRuleSpec
from mmm_xgen.errors import ConfigError
from mmm_xgen.generation.batch import Batch, numbers_of_kind
from mmm_xgen.generation.feedback import Rule
from mmm_xgen.generation.parameters import Parameters
from mmm_xgen.kernels.budget_rules import BudgetRuleKind
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.kind import members

# Least performance of a geo that a rule sees, relative to the mean: its share stays above 0.
LEAST_PERFORMANCE = 1e-3


def rules_of(config: MMMDataConfig) -> list[BudgetRuleSpec | None]:
    """Return the budget rule of each channel; None if its spend follows the plan."""
    return [
        rule if rule is not None and rule.kind != "planned" else None
        for rule in (channel.budget_rule for channel in config.channels)
    ]


def apply_budget_rules(
    batch: Batch, plan: FloatArray, demand: FloatArray | None, performance: FloatArray
) -> FloatArray:
    """Return the spend that budget rules which do not answer to sales make of a plan.

    Parameters
    ----------
    batch : Batch
        Rules and seeds.
    plan : array, dims (dataset, channel, geo, date)
        Planned spend in currency per period, burn-in included.
    demand : array, dims (dataset, geo, date), or None
        Latent demand of the same dates.
    performance : array, dims (dataset, channel, geo)
        Result of `performance_of`.

    Returns
    -------
    array, dims (dataset, channel, geo, date)
    """
    rules = rules_of(batch.shared)
    spend = np.array(np.broadcast_to(plan, (max(len(plan), len(batch)), *plan.shape[1:])))
    keys = [rule and (rule.registered, tuple(rule.settings.items())) for rule in rules]
    for key, index in members(keys):
        if key is None or key[0].answers_to == "sales":
            continue
        kind, settings = key
        positions = list(range(len(rules)))[index] if isinstance(index, slice) else index
        shape = (len(spend), len(positions), *spend.shape[2:])
        rows = (shape[0] * shape[1], *shape[2:])
        numbers = numbers_of_kind(batch, rules_of, positions)
        if kind.answers_to == "performance":
            seen = np.broadcast_to(performance[:, positions], shape[:-1]).reshape(*rows[:-1], 1)
            given = [spend[:, positions].reshape(rows), seen]
        else:
            seen = np.broadcast_to(_stated(demand)[:, None], shape).reshape(rows)
            given = [seen, *_draws(batch, kind, positions, shape)]
        factor = np.asarray(kind.function(*given, **numbers, **dict(settings)))
        spend[:, index] *= np.broadcast_to(factor, rows).reshape(shape)
    return spend


def _stated(demand: FloatArray | None) -> FloatArray:
    if demand is None:
        raise ConfigError("a budget rule answers to demand, but there is no 'demand' block")
    return demand


def _draws(
    batch: Batch, kind: BudgetRuleKind, positions: list[int], shape: tuple[int, ...]
) -> list[FloatArray]:
    """Return the draws of a rule that answers to demand: its own, and those of all channels."""
    names, draws = batch.shared.channel_names, []
    if "normal" in kind.takes:
        places = [("budget-rule", names[position]) for position in positions]
        draws.append(batch.draws(places, shape[2:]).reshape(-1, *shape[2:]))
    if "common" in kind.takes:
        common = batch.draws([("policy-shock",)], (1, shape[-1]))
        draws.append(np.repeat(common, len(positions), axis=1).reshape(-1, 1, shape[-1]))
    return draws


def performance_of(truth: Parameters) -> FloatArray:
    """Return the effect per unit of base spend, relative to the mean of the geos.

    Dims are (dataset, channel, geo). A geo has at least `LEAST_PERFORMANCE`; a channel without
    effect or spend has 1 everywhere.
    """
    effect, spend = truth["effect"], truth["base_spend"]
    rate = np.divide(
        effect, spend, out=np.zeros(np.broadcast_shapes(effect.shape, spend.shape)), where=spend > 0
    )
    mean = rate.mean(axis=1, keepdims=True)
    relative = np.divide(rate, mean, out=np.ones_like(rate), where=mean != 0)
    return np.asarray(np.maximum(relative, LEAST_PERFORMANCE).swapaxes(1, 2))


def platform_numbers(batch: Batch) -> dict[str, FloatArray]:
    """Return what platforms charge and report, dims (dataset, channel), for `platform_report`.

    Channels that do not sell clicks have no cost (NaN) and a substitution of 0.
    """
    numbers = {}
    if any(rule and rule.kind == "search" for rule in rules_of(batch.shared)):
        numbers = _click_numbers(batch)
    if any(channel.over_reporting is not None for channel in batch.shared.channels):
        numbers["over_reporting"] = batch.each(
            lambda config: [channel.over_reporting or 0.0 for channel in config.channels]
        )
    return numbers


def _click_numbers(batch: Batch) -> dict[str, FloatArray]:
    def of_channels(name: str, default: float) -> FloatArray:
        return batch.each(
            lambda config: [
                getattr(rule, name) if rule and rule.kind == "search" else default
                for rule in rules_of(config)
            ]
        )

    return {
        "cost_per_click": of_channels("cost_per_click", np.nan),
        "click_substitution": of_channels("substitution", 0.0),
    }


def feedback_rules(batch: Batch) -> list[Rule]:
    """Return the rules that answer to sales."""
    specs = rules_of(batch.shared)
    keys = [
        (spec.registered, tuple(spec.settings.items()))
        if spec is not None and spec.answers_to_sales
        else None
        for spec in specs
    ]
    found = []
    for key, index in members(keys):
        if key is None:
            continue
        channels = list(range(len(specs))[index]) if isinstance(index, slice) else index
        numbers = numbers_of_kind(batch, rules_of, channels)
        parameters = {
            name: values.reshape(len(batch), len(channels), 1) for name, values in numbers.items()
        }
        found.append(Rule(key[0], channels, parameters, dict(key[1])))
    return found
