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
    for kind, index in members([rule and rule.registered for rule in rules]):
        if kind is None or kind.feedback:
            continue
        positions = range(len(rules))[index] if isinstance(index, slice) else index
        datasets, names = len(demand), batch.shared.channel_names
        shape = (datasets, len(positions), *demand.shape[1:])
        places = [("budget-rule", names[position]) for position in positions]
        normal = batch.draws(places, demand.shape[1:])
        rows = (datasets * len(positions), *demand.shape[1:])
        seen = np.broadcast_to(demand[:, None], shape).reshape(rows)
        parameters = numbers_of_kind(batch, attrgetter("budget_rule"), positions)
        factor = kind.function(seen, normal.reshape(rows), **parameters)
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
