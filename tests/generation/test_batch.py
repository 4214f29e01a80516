"""A batch: numbers of many configurations, draws of many seeds, warnings once a kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import mmm_xgen as m
from mmm_xgen.generate import SERIES, sales_equation, variable_names
from mmm_xgen.generation.batch import Batch
from mmm_xgen.generation.given_parameters import true_parameters
from mmm_xgen.kernels.noise import autoregressive
from mmm_xgen.streams import stream, streams
from tests.strategies import config_with, steady, warnings_of


def config(**fields: Any) -> m.MMMDataConfig:
    return m.MMMDataConfig(**config_with(steady("TV"), steady("Web"), **fields))


def test_numbers_are_read_once_where_all_datasets_share_them() -> None:
    one = Batch((config(),), (1, 2, 3))
    assert len(one) == 3
    read = one.each(lambda config: [channel.base_spend for channel in config.channels])
    assert read.tolist() == [[1000.0, 1000.0]]
    apart = Batch((config(), config(revenue_per_kpi=2.0)), (1, 2))
    assert apart.each(lambda config: config.revenue_per_kpi).tolist() == [1.0, 2.0]
    assert one.each(lambda config: [event.effect for event in config.events]).shape == (1, 0)


def test_draws_are_those_of_each_seed_alone() -> None:
    batch = Batch((config(),), (8, 2**62))
    places = [("spend", "TV"), ("spend", "Web")]
    normal = batch.draws(places, (2, 3), shared=[False, True])
    uniform = batch.draws(places, (2, 3), shared=[False, True], uniform=True)
    for dataset, seed in enumerate((8, 2**62)):
        tv = [stream(seed, *places[0]) for _ in range(2)]
        web = [stream(seed, *places[1]) for _ in range(2)]
        np.testing.assert_array_equal(normal[dataset, 0], tv[0].standard_normal((2, 3)))
        np.testing.assert_array_equal(normal[dataset, 1], [web[0].standard_normal(3)] * 2)
        np.testing.assert_array_equal(uniform[dataset, 0], tv[1].random((2, 3)))
        np.testing.assert_array_equal(uniform[dataset, 1], [web[1].random(3)] * 2)


def test_a_stream_that_is_of_no_use_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    import mmm_xgen.generation.batch as batches

    places = []

    def noted(
        seeds: Sequence[int], paths: Sequence[tuple[str, ...]]
    ) -> Iterator[np.random.Generator]:
        places.extend(paths)
        return streams(seeds, paths)

    monkeypatch.setattr(batches, "streams", noted)
    m.generate_mmm_dataset(config())
    assert places == [("spend", "TV"), ("spend", "Web"), ("noise",)]
    places.clear()
    m.generate_mmm_dataset(config(regions={"similarity": 0.5, "fourier_modes": 2}))
    assert {("baseline",), ("parameters", "TV"), ("seasonality",)} <= set(places)


def test_arrays_have_a_leading_axis_of_length_1_where_datasets_share_them() -> None:
    batch = Batch((config(),), (1, 2, 3, 4))
    truth, given = true_parameters(batch, None)
    assert {len(values) for values in truth.values()} == {1}
    made = sales_equation(batch, truth, given)
    assert {len(made[name]) for name in ("spend", "mu", "y", "noise")} == {4}
    assert len(made["adstock_weights"]) == 1
    assert set(made) == {*variable_names(batch.shared)}
    assert set(SERIES) <= set(made)


def test_a_single_dataset_warns_plainly_and_an_ensemble_once_with_counts() -> None:
    single, warned = Batch.of(config()), {}
    where = np.array([False, True, True])
    many = [Batch((config(),), (4, 5, 6), labels=[7, 8, 9], warned=warned) for _ in range(2)]
    assert warnings_of(lambda: single.warn("a", np.array([True]), lambda _: "odd")) == ["odd"]
    assert warnings_of(lambda: many[0].warn("a", ~where & where, "odd")) == []
    words = ["in 2 of 3 datasets made together, as in dataset 8 (seed 5): odd 1"]
    assert warnings_of(lambda: many[0].warn("a", where, lambda k: f"odd {k}")) == words
    assert warnings_of(lambda: many[1].warn("a", where, lambda k: f"odd {k}")) == []
    everywhere = warnings_of(lambda: many[1].warn("b", np.array([True]), "all"))
    assert everywhere == ["in 3 of 3 datasets made together, as in dataset 7 (seed 4): all"]


def test_how_long_a_series_remembers_changes_no_other() -> None:
    """The sum over the past stopped for all series when the longest had faded."""
    z = np.random.default_rng(1).standard_normal((2, 1, 300)) * 1e-4
    kept = np.array([0.3, 0.99])[:, None, None]
    together = autoregressive(z, kept)
    for row in range(2):
        np.testing.assert_array_equal(together[row], autoregressive(z[row], kept[row]))
