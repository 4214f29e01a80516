"""Random worlds with wild values in them: each gives a valid Dataset or one ConfigError."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mmm_xgen as m
from mmm_xgen.schema import PARTS
from tests.drawn_worlds import worlds
from tests.strategies import WILD_VALUES, examples, places, quietly

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")

SALES = ("date", "geo")
# Entries that all worlds have, and that tests/config/test_fuzzing.py makes wild.
USUAL = ("n_periods", "seed", "burn_in_periods", "revenue_per_kpi")
# Many numbers that are far off are still allowed.
FACTORS = (-1, 0, 1e-9, 0.1, 2, 10, 1e3, 1e9)


@st.composite
def wild_worlds(draw: st.DrawFn) -> dict[str, Any]:
    config = draw(worlds(max_periods=10))
    found = [place for place in places(config) if place[1] not in USUAL]
    numbers = [(node, key) for node, key in found if type(node[key]) in (int, float)]
    for _ in range(draw(st.integers(1, 2))):
        node, key = numbers[draw(st.integers(0, len(numbers) - 1))]
        node[key] *= draw(st.sampled_from(FACTORS))
    if draw(st.booleans()):
        node, key = found[draw(st.integers(0, len(found) - 1))]
        node[key] = copy.deepcopy(draw(WILD_VALUES))
    return config


def outcome(config: dict[str, Any]) -> str:
    try:
        ds = quietly(lambda: m.generate_mmm_dataset(m.MMMDataConfig.from_dict(config)))
    except m.ConfigError as error:
        assert "\n" not in str(error) and str(error)
        return "refused"
    parts = [ds[name] for name in PARTS if name in ds]
    total, size = (
        sum(part.sum([dim for dim in part.dims if dim not in SALES]) for part in each)
        for each in (parts, map(abs, parts))
    )
    assert bool((abs(total - ds["mu"]) <= 1e-9 * size).all())
    for name in ("spend", "mu", "noise", "y"):
        assert np.isfinite(ds[name].values).all(), name
    assert (ds["spend"] >= 0).all()
    assert m.regenerate(ds).identical(ds)
    return "dataset"


def test_a_wild_world_is_a_dataset_or_one_error() -> None:
    counts: Counter[str] = Counter()

    @given(config=wild_worlds())
    @examples(2)
    def one(config: dict[str, Any]) -> None:
        counts[outcome(config)] += 1

    one()
    # Worlds that are all refused, or all sound, would show little.
    assert min(counts["dataset"], counts["refused"]) >= 8, counts
