"""Refusals of impossible causes: each names the path as the user wrote it."""

from __future__ import annotations

import re
from typing import Any

import pytest

import mmm_xgen as m

TV_TO_SEARCH = {"source": "TV", "target": "Search", "strength": 0.3}
SEARCH_TO_TV = {"source": "Search", "target": "TV", "strength": 0.3}
DEMAND: dict[str, Any] = {"effect": 0.05}
PAIR = {"channels": ["TV", "Search"], "strength": 0.02}


def config(**fields: Any) -> dict[str, Any]:
    channels = [{"name": "TV"}, {"name": "Search"}, {"name": "Web"}]
    return {"n_periods": 12, "channels": channels, "control_variables": [{"name": "Rain"}]} | fields


def with_channel(**fields: Any) -> list[dict[str, Any]]:
    return [{"name": "TV"} | fields, {"name": "Search"}]


REFUSED = {
    "funnels.1": {"funnels": [TV_TO_SEARCH, SEARCH_TO_TV]},
    "funnels.2": {
        "funnels": [
            TV_TO_SEARCH,
            {"source": "Search", "target": "Web", "strength": 0.1},
            {"source": "Web", "target": "x-TV", "strength": 0.1, "lag": 3},
        ]
    },
    "funnels.0.source": {"funnels": [TV_TO_SEARCH | {"source": "Tv"}]},
    "funnels.0.target": {"funnels": [TV_TO_SEARCH | {"target": "Serch"}]},
    "funnels.0": {"funnels": [TV_TO_SEARCH | {"target": "TV"}]},
    "funnels.0.strength": {"funnels": [TV_TO_SEARCH | {"strength": -1.0}]},
    "funnels.0.lag": {"funnels": [TV_TO_SEARCH | {"lag": -1}]},
    "funnels.0.paid": {"funnels": [TV_TO_SEARCH | {"paid": "yes"}]},
    "funnels.0.wait": {"funnels": [TV_TO_SEARCH | {"wait": 1}]},
    "interactions.0.channels": {"interactions": [PAIR | {"channels": ["TV", "x-TV"]}]},
    "interactions.1.channels": {"interactions": [PAIR, PAIR | {"channels": ["Search", "x1-TV"]}]},
    "interactions.0.channels.1": {"interactions": [PAIR | {"channels": ["TV", "Mail"]}]},
    "interactions.0.strength": {"interactions": [{"channels": ["TV", "Search"]}]},
    "channels.0.budget_rule": {"channels": with_channel(budget_rule="follows_demand")},
    "channels.0.budget_rule.strength": {
        "demand": DEMAND,
        "channels": with_channel(budget_rule={"kind": "follows_demand", "strength": "high"}),
    },
    "channels.0.budget_rule.lag": {
        "demand": DEMAND,
        "channels": with_channel(budget_rule={"kind": "follows_demand", "lag": -1}),
    },
    "channels.0.budget_rule.error": {
        "demand": DEMAND,
        "channels": with_channel(budget_rule={"kind": "follows_forecast", "error": 1.5}),
    },
    "channels.0.effect_path.sd": {
        "channels": with_channel(effect_path={"kind": "random_walk", "sd": -0.1})
    },
    "channels.0.effect_path.change": {
        "channels": with_channel(effect_path={"kind": "step_change", "change": 0.0})
    },
    "demand.drivers.0.control": {"demand": DEMAND | {"drivers": [{"control": "Rein", "share": 1}]}},
    "demand.drivers": {
        "demand": DEMAND | {"season": 0.7, "drivers": [{"control": "Rain", "share": 0.4}]}
    },
    "demand.drivers.0.share": {"demand": DEMAND | {"drivers": [{"control": "Rain", "share": 0}]}},
    "demand.indicators.0.reliability": {
        "demand": DEMAND | {"indicators": [{"name": "Queries", "reliability": 0}]}
    },
    "demand.persistence": {"demand": {"persistence": 1.0}},
    "demand.shared": {"demand": {"shared": 1.2}},
    "demand.effects": {"demand": {"effects": 0.1}},
}


@pytest.mark.parametrize("path", REFUSED)
def test_what_is_impossible_is_refused_at_its_path(path: str) -> None:
    with pytest.raises(m.ConfigError, match=rf"(^|\n|\b){re.escape(path)}: ") as raised:
        m.MMMDataConfig(**config(**REFUSED[path]))
    assert raised.value.path == path


def test_a_control_has_one_name() -> None:
    """An indicator is a control too."""
    demand = DEMAND | {"indicators": [{"name": "Rain"}]}
    with pytest.raises(m.ConfigError, match=r"'Rain', the name of control_variables\.0"):
        m.MMMDataConfig(**config(demand=demand))


def test_a_driver_explains_demand_once() -> None:
    drivers = [{"control": "Rain", "share": 0.3}, {"control": "c-Rain", "share": 0.3}]
    with pytest.raises(m.ConfigError, match=r"demand\.drivers\.1\.control"):
        m.MMMDataConfig(**config(demand=DEMAND | {"drivers": drivers}))


def test_channels_are_named_in_any_spelling() -> None:
    funnels = [{"source": "x-TV", "target": "x2-Search", "strength": 0.3}]
    ds = m.generate_mmm_dataset(m.MMMDataConfig(**config(funnels=funnels)))
    assert ds["funnel"].values.tolist() == ["TV > Search"]


@pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")
def test_a_target_below_what_a_funnel_earns_is_refused() -> None:
    channels = [
        {"name": "TV", "roas": 0.01},
        {"name": "Search", "base_effectiveness": 0.5},
    ]
    funnels = [TV_TO_SEARCH | {"strength": 2.0}]
    with pytest.raises(m.ConfigError, match=r"channels\.(0|TV)\.roas"):
        m.generate_mmm_dataset(m.MMMDataConfig(**config(channels=channels, funnels=funnels)))
