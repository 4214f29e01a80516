"""Role of every control: what it is to a model of the effects of media."""

from __future__ import annotations

from typing import Literal, TypeAlias

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.names import coordinate_label

Role: TypeAlias = Literal[
    "confounder", "precision", "mediator", "collider", "instrument", "irrelevant"
]


def control_roles(config: MMMDataConfig) -> list[Role]:
    """Return the role of each control, in the order of `MMMDataConfig.control_names`.

    ==============  ==============================================================================
    ``confounder``  moves sales and spend, itself or as a sign of demand: a model needs it
    ``precision``   moves sales, and no spend follows it: a model is more precise with it
    ``mediator``    stands between media and sales: with it, a model misses a part of the effect
    ``collider``    follows sales: with it, the effects of a model are biased
    ``instrument``  moves spend, and sales through spend alone: it is no control, but an instrument
    ``irrelevant``  moves neither, as one that follows spend: it only costs precision
    ==============  ==============================================================================

    Roles follow from the configuration. An effect, a loading or a budget rule counts whatever its
    size, so that the roles do not change where a number varies through 0. A budget rule that
    answers to sales makes spend follow all that moves sales. A promotion moves sales; spend follows
    it too where both answer to demand.

    Examples
    --------
    >>> from mmm_xgen import ChannelConfig, ControlConfig
    >>> controls = [ControlConfig(name="Price", gamma_control=-2.0), ControlConfig(name="Luck")]
    >>> controls += [ControlConfig(name="Cost", moves_spend={"TV": 0.3})]
    >>> controls += [ControlConfig(name="Visits", follows_sales=1.0, follows_spend={"TV": 0.5})]
    >>> channels = [ChannelConfig(name="TV")]
    >>> control_roles(MMMDataConfig(channels=channels, control_variables=controls))
    ['precision', 'irrelevant', 'instrument', 'collider']
    """
    rules = {channel.budget_rule.answers_to for channel in config.channels if channel.budget_rule}
    drivers = {
        coordinate_label(driver.control, "c", 0)
        for driver in (config.demand.drivers if config.demand else ())
    }
    roles: list[Role] = []
    for name, control in zip(config.control_names, config.control_variables, strict=False):
        has_effect = control.gamma_control is not None or control.elasticity is not None
        roles.append(
            _role(
                sells=has_effect or name in drivers,
                spends=bool(control.moves_spend) or (name in drivers and "demand" in rules),
                collides=control.follows_sales is not None,
                feeds_back="sales" in rules,
            )
        )
    sign_of_demand = _role(
        sells=True, spends="demand" in rules, collides=False, feeds_back="sales" in rules
    )
    roles += [sign_of_demand] * len(config.indicators)
    for position in config.shown_promotions:
        answers = config.promotions[position].answer is not None and "demand" in rules
        roles.append(_role(sells=True, spends=answers, collides=False, feeds_back="sales" in rules))
    mediators: list[Role] = ["mediator"] * len(config.observed)
    return roles + mediators


def _role(*, sells: bool, spends: bool, collides: bool, feeds_back: bool) -> Role:
    if sells:
        return "confounder" if spends or feeds_back else "precision"
    if spends:
        return "instrument"
    return "collider" if collides else "irrelevant"
