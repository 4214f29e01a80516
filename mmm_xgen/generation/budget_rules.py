"""Budget rules: from planned to actual spend."""

from __future__ import annotations

from operator import attrgetter

import numpy as np

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.specs import BudgetRuleSpec
from mmm_xgen.generation.batch import Batch, numbers_of_kind
from mmm_xgen.generation.feedback import Rule
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.kind import members


def rules_of(config: MMMDataConfig) -> list[BudgetRuleSpec | None]:
    """Return the budget rule of each channel; None if its spend follows the plan."""
    return [
        rule if rule is not None and rule.kind != "planned" else None
        for rule in (channel.budget_rule for channel in config.channels)
    ]


def apply_budget_rules(batch: Batch, plan: FloatArray, demand: FloatArray) -> FloatArray:
    """Return the spend that budget rules which answer to demand make of a plan.

    Parameters
    ----------
    batch : Batch
        Rules and seeds.
    plan : array, dims (dataset, channel, geo, date)
        Planned spend in currency per period, burn-in included.
    demand : array, dims (dataset, geo, date)
        Latent demand of the same dates.

    Returns
    -------
    array, dims (dataset, channel, geo, date)
    """
    rules = rules_of(batch.shared)
    spend = np.array(np.broadcast_to(plan, (max(len(plan), len(demand)), *plan.shape[1:])))
    names = batch.shared.channel_names
    keys = [rule and (rule.registered, tuple(rule.settings.items())) for rule in rules]
    for key, index in members(keys):
        if key is None or key[0].feedback:
            continue
        kind, settings = key
        positions = range(len(rules))[index] if isinstance(index, slice) else index
        shape = (len(demand), len(positions), *demand.shape[1:])
        rows = (shape[0] * shape[1], *shape[2:])
        given = [np.broadcast_to(demand[:, None], shape).reshape(rows)]
        if "normal" in kind.takes:
            places = [("budget-rule", names[position]) for position in positions]
            given.append(batch.draws(places, demand.shape[1:]).reshape(rows))
        numbers = numbers_of_kind(batch, attrgetter("budget_rule"), positions)
        factor = np.asarray(kind.function(*given, **numbers, **dict(settings)))
        spend[:, index] *= np.broadcast_to(factor, rows).reshape(shape)
    return spend


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
        numbers = numbers_of_kind(batch, attrgetter("budget_rule"), channels)
        parameters = {
            name: values.reshape(len(batch), len(channels), 1) for name, values in numbers.items()
        }
        found.append(Rule(key[0], channels, parameters, dict(key[1])))
    return found
