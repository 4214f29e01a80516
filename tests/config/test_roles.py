"""Roles of controls, from the configuration alone."""

from __future__ import annotations

from typing import Any

import pytest

import mmm_xgen as m
from mmm_xgen.config.roles import control_roles
from mmm_xgen.errors import ConfigError

CONTROLS: dict[str, dict[str, Any]] = {
    "Price": {"gamma_control": -2.0},
    "Temperature": {},
    "Cost": {"moves_spend": {"TV": 0.3}},
    "Launch": {"moves_spend": {"TV": 0.3}, "gamma_control": 1.0},
    "Visits": {"follows_sales": 1.0, "follows_spend": {"x-TV": 0.5}},
    "Impressions": {"follows_spend": {"TV": 1.0}},
    "Luck": {},
}
DEMAND = {
    "indicators": [{"name": "Queries"}],
    "drivers": [{"control": "Temperature", "share": 0.2}],
}


def roles(rule: str | None, **fields: Any) -> dict[str, str]:
    config = m.MMMDataConfig(
        channels=[{"name": "TV", "budget_rule": rule}],
        control_variables=[{"name": name, **keys} for name, keys in CONTROLS.items()],
        **fields,
    )
    return dict(zip(config.control_names, control_roles(config), strict=True))


def test_each_control_has_the_role_of_its_place_in_the_world() -> None:
    mediators = [{"name": "Awareness", "parents": {"TV": 0.5}}]
    found = roles(None, demand=DEMAND, mediators=mediators)
    assert found == {
        "Price": "precision",
        "Temperature": "precision",
        "Cost": "instrument",
        "Launch": "confounder",
        "Visits": "collider",
        "Impressions": "irrelevant",
        "Luck": "irrelevant",
        "Queries": "precision",
        "Awareness": "mediator",
    }


def test_rules_make_confounders_of_what_they_follow() -> None:
    before = roles(None, demand=DEMAND)
    followed = roles("follows_demand", demand=DEMAND)
    changed = {name for name in before if followed[name] != before[name]}
    assert changed == {"Temperature", "Queries"}
    assert {followed[name] for name in changed} == {"confounder"}
    answered = roles("chases_target", demand=DEMAND)
    changed = {name for name in before if answered[name] != before[name]}
    assert changed == {"Price", "Temperature", "Queries"}


@pytest.mark.parametrize(
    ("control", "path"),
    [
        ({"moves_spend": {"Tv": 1}}, r"control_variables\.0\.moves_spend\.Tv.*'TV'"),
        ({"follows_spend": {"Radio": 1}}, r"control_variables\.0\.follows_spend\.Radio"),
        ({"follows_sales": 1, "gamma_control": 1}, r"control_variables\.0\.follows_sales"),
        ({"follows_spend": {"TV": 1}, "elasticity": 1}, r"control_variables\.0\.follows_spend"),
        ({"follows_spend": {"TV": 1}, "moves_spend": {"TV": 1}}, "found both follows_spend"),
    ],
)
def test_circles_and_unknown_channels_are_refused(control: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError, match=path):
        m.MMMDataConfig(channels=[{"name": "TV"}], control_variables=[{"name": "c", **control}])
