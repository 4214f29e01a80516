"""Links from what media add to sales, with links whose sales are known in closed form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import mmm_xgen as m
from mmm_xgen.generation.batch import Batch
from mmm_xgen.generation.given_parameters import true_parameters
from mmm_xgen.generation.media import scaled_media, true_world
from mmm_xgen.generation.roas_target import factor_for_roas
from mmm_xgen.generation.spend_and_controls import spend_and_controls
from mmm_xgen.world import World, media_parts, media_sales, respond_to, sales_without_each

CHANNELS = [
    {"name": "TV", "roas": 2.0, "adstock_kwargs": {"alpha": 0.6}},
    {"name": "Search", "roas": 3.0},
    {"name": "Social", "base_effectiveness": 0.1},
]
CONFIG: dict[str, Any] = {
    "n_periods": 30,
    "burn_in_periods": 6,
    "regions": {"n_regions": 2, "similarity": 0.8},
    "channels": CHANNELS,
    "interactions": [{"channels": ["TV", "Social"], "strength": 0.05}],
}


class Sum:
    """Sales are what media add."""

    looks_back = False
    reach = 0

    def sales(self, added: Any, first: int) -> Any:
        return added

    def step(self, added: Any, date: int, state: Any) -> tuple[Any, Any]:
        return added, state


class Square(Sum):
    """Sales grow with the square of what media add, relative to a constant."""

    def sales(self, added: Any, first: int) -> Any:
        return added + added**2 / 4000.0


class Later(Sum):
    """Sales come one period after what media add."""

    looks_back = True
    reach = 1

    def sales(self, added: Any, first: int) -> Any:
        return np.concatenate([np.zeros_like(added[..., :1]), added[..., :-1]], axis=-1)


def parts_of_a_world(link: Any, **changes: Any) -> tuple[Batch, World, Any, Any]:
    config = m.MMMDataConfig.from_dict({**CONFIG, **changes})
    batch = Batch.of(config)
    truth, _ = true_parameters(batch, None)
    inputs = spend_and_controls(batch, None, truth)
    return batch, true_world(config, truth, None), link, inputs


def factors(link: Any, **changes: Any) -> tuple[World, Any, Any, Any]:
    """World whose channels meet their targets, and spend and response."""
    batch, world, link, inputs = parts_of_a_world(link, **changes)
    world = replace(world, link=link)
    made = respond_to(inputs.spend, world, inputs.history)
    factor = factor_for_roas(batch, world, made, inputs.history, [False] * 3)
    return replace(world, media=scaled_media(world.media, factor)), made, inputs, factor


@pytest.mark.parametrize("changes", [{}, {"interactions": []}])
def test_a_link_that_is_a_sum_changes_nothing(changes: dict[str, Any]) -> None:
    plain, made, _, factor = factors(None, **changes)
    linked, _, _, same = factors(Sum(), **changes)
    np.testing.assert_allclose(same, factor, rtol=1e-10)
    parts, own = media_parts(made, linked), media_parts(made, plain)
    assert abs(parts.pop("remainder_contribution")).max() < 1e-9
    for name, values in own.items():
        np.testing.assert_allclose(parts[name], values, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("changes", [{}, {"interactions": []}])
def test_parts_sum_to_sales_and_targets_are_met(changes: dict[str, Any]) -> None:
    world, made, inputs, _ = factors(Square(), **changes)
    parts = media_parts(made, world)
    rest = parts.pop("remainder_contribution")
    assert rest.max() < 0, "with a link that rises faster and faster, the losses count twice"
    total = sum(part.sum(axis=1) for part in parts.values()) + rest
    sales = media_sales(made, world)
    np.testing.assert_allclose(total, sales, rtol=1e-12)
    without = sales_without_each(inputs.spend, world, inputs.history, 0.0)
    lost = (sales[:, None] - without).sum(axis=(-1, -2))
    returns = (lost / inputs.spend.sum(axis=(-1, -2)))[0]
    np.testing.assert_allclose(returns[:2], [2.0, 3.0], rtol=1e-10)


def test_a_link_with_memory_sees_the_history() -> None:
    world, made, inputs, _ = factors(Later(), interactions=[])
    assert world.reach == world.weights.shape[-1]
    sales = media_sales(made, world)
    plain = replace(world, link=None)
    both = np.concatenate([inputs.history, inputs.spend], axis=-1)
    expected = media_sales(respond_to(both, plain), plain)
    np.testing.assert_allclose(sales, expected[..., 5:-1], rtol=1e-12)
