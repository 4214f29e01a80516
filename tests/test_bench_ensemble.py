"""The benchmark of ensembles runs, on small sizes, and its floor is what is really drawn."""

from __future__ import annotations

import mmm_xgen
from benchmarks import bench_ensemble


def test_the_floor_is_what_a_dataset_draws() -> None:
    places = bench_ensemble.places_of(mmm_xgen.get_preset_config("basic"))
    assert [path for path, _, _ in places] == [
        ("spend", "TV"),
        ("spend", "Digital"),
        ("spend", "Print"),
        ("noise",),
    ]
    assert {shape for _, _, shape in places} == {(1, 65), (1, 52)}


def test_an_ensemble_costs_little_more_than_its_draws() -> None:
    # The limit of the benchmark is 3; a busy machine gets some more.
    assert bench_ensemble.against_draws(n=500, runs=3).ratio < 5


def test_the_other_figures_run() -> None:
    assert bench_ensemble.against_single_calls("basic", 5, runs=1).ratio > 0
    assert bench_ensemble.of_numbers_that_vary(n=5, runs=1).ratio > 0
    assert bench_ensemble.datasets_per_second(n=50, runs=1) > 0
