"""Promotions in a configuration: what is refused, with the path, and what the roles are."""

from __future__ import annotations

from typing import Any

import pytest

import mmm_xgen as m
from mmm_xgen.config.promotion import PromotionConfig
from mmm_xgen.config.roles import control_roles
from mmm_xgen.errors import ConfigError


def made(*promotions: dict[str, Any], rule: str | None = None, **fields: Any) -> m.MMMDataConfig:
    channels = [{"name": "TV", "budget_rule": rule}]
    named = [{"name": f"P{place}", **each} for place, each in enumerate(promotions)]
    return m.MMMDataConfig.from_dict({"channels": channels, "promotions": named, **fields})


@pytest.mark.parametrize(
    ("promotion", "message"),
    [
        ({"depth": 1}, r"promotions\.0\.depth: found 1, allowed: below 1"),
        ({"depth": 1.5}, r"promotions\.0\.depth"),
        ({"depth": 0}, r"promotions\.0\.depth: found 0, allowed: above 0"),
        ({"elasticity": 0.5}, r"promotions\.0\.elasticity: found 0.5, allowed: below 0"),
        ({"share": 0.8}, r"promotions\.0\.share: found 0.8, allowed: at most 0.75 with runs of 3"),
        ({"duration": 0}, r"promotions\.0\.duration"),
        ({"dates": ["2022-13-01"]}, r"promotions\.0\.dates\.0: found '2022-13-01'"),
        ({"dates": []}, r"promotions\.0\.dates"),
        ({"dates": ["11-25"], "share": 0.1}, r"promotions\.0\.share: found 0.1 beside dates"),
        ({"dates": ["11-25"], "answer": 1.0}, r"promotions\.0\.answer: found 1 beside dates"),
        ({"answer": 1.0}, r"promotions\.0\.answer: found 1 without demand"),
        ({"pull_forward": {"share": 2}}, r"promotions\.0\.pull_forward\.share"),
        ({"deepness": 0.2}, r"promotions\.0\.deepness"),
    ],
)
def test_what_cannot_be_is_refused_with_its_path(promotion: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(promotion)


@pytest.mark.parametrize(
    ("other", "path"),
    [
        ({"promotions": [{"name": "Sale"}, {"name": "c-Sale", "observed": False}]}, "promotions.1"),
        ({"control_variables": [{"name": "Sale"}]}, "promotions.0"),
        ({"mediators": [{"name": "Sale", "parents": {"TV": 1.0}}]}, "mediators.0"),
    ],
)
def test_a_name_belongs_to_one_of_promotions_and_controls(other: Any, path: str) -> None:
    config = {"promotions": [{"name": "Sale"}], "channels": [{"name": "TV"}], **other}
    with pytest.raises(ConfigError) as raised:
        m.MMMDataConfig.from_dict(config)
    assert raised.value.path == f"{path}.name"


def test_the_length_of_a_run_follows_from_the_calendar() -> None:
    assert PromotionConfig(name="a").run == 3
    assert PromotionConfig(name="a", dates=["11-25"]).run == 1
    assert PromotionConfig(name="a", dates=["11-25"], duration=2).run == 2
    # A cycle of 2 + 1 / chance periods has 2 on promotion.
    one = PromotionConfig(name="a", share=0.25, duration=2)
    assert 2 / (2 + 1 / one.chance) == pytest.approx(0.25)


def test_a_configuration_survives_its_text() -> None:
    config = made({"pull_forward": {}, "share": 0.2}, {"dates": ["11-25"], "observed": False})
    assert m.MMMDataConfig.from_json(config.to_json()) == config
    assert m.MMMDataConfig.from_dict({"channels": [{"name": "TV"}], "promotions": None})


@pytest.mark.parametrize(
    ("rule", "answer", "role"),
    [
        (None, 1.0, "precision"),
        ("follows_demand", None, "precision"),
        ("follows_demand", 1.0, "confounder"),
        ("chases_target", None, "confounder"),
    ],
)
def test_the_role_follows_from_demand_and_rules(
    rule: str | None, answer: float | None, role: str
) -> None:
    mediators = [{"name": "Aware", "parents": {"TV": 0.5}}]
    demand = {"indicators": [{"name": "Queries"}]}
    one = {"answer": answer}
    config = made(one, {**one, "observed": False}, rule=rule, demand=demand, mediators=mediators)
    assert config.control_names == ["Queries", "P0", "Aware"]
    assert control_roles(config)[1:] == [role, "mediator"]
