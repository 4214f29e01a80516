"""The benchmark of ensembles runs, on small sizes, and its floor is what is really drawn."""

from __future__ import annotations

import pytest

import mmm_xgen
from benchmarks import bench_ensemble, bench_store
from benchmarks.timing import megabytes_at_peak


def test_the_floor_is_what_a_dataset_draws() -> None:
    places = bench_ensemble.places_of(mmm_xgen.get_preset_config("basic"))
    paths = [path for path, _, _ in places]
    assert paths == [("spend", "TV"), ("spend", "Digital"), ("spend", "Print"), ("noise",)]
    assert {shape for _, _, shape in places} == {(1, 65), (1, 52)}


def test_an_ensemble_costs_little_more_than_its_draws() -> None:
    # The limit of the benchmark is 2.2; a busy machine and fewer datasets get some more.
    assert bench_ensemble.against_draws(n=500, runs=3).ratio < 6


def test_the_other_figures_run() -> None:
    assert bench_ensemble.against_single_calls("basic", 5, runs=1).ratio > 0
    figure = bench_ensemble.of_numbers_that_vary(n=5, runs=1)
    assert figure.ratio > 0
    assert (figure.datasets, figure.cells) == (5, 5 * 52 * 3)


def test_a_place_is_drawn_from_once_a_dataset() -> None:
    places = bench_ensemble.places_of(mmm_xgen.get_preset_config("medium_business"))
    paths = [path for path, _, _ in places]
    assert len(paths) == len({*paths})
    assert ("parameters", "Video") in paths


def test_numbers_that_vary_cost_little_more_than_draws() -> None:
    # The limit of the benchmark is 7; a busy machine and fewer datasets get some more.
    assert bench_ensemble.of_numbers_that_vary(n=250, runs=3).ratio < 12


@pytest.mark.parametrize("processes", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_workers_of_both_kinds(processes: bool) -> None:
    figure = bench_ensemble.with_workers("basic", 8, 2, processes=processes, runs=1)
    assert figure.rate(figure.datasets) == 8 / figure.seconds


def test_draws_without_their_streams_are_a_lower_floor() -> None:
    assert bench_ensemble.against_draws_alone("basic", n=200, runs=2).ratio > 1


def test_two_threads_against_one() -> None:
    wall, cpu = bench_ensemble.two_threads("basic", 8, runs=1)
    assert (wall.limit, cpu.limit) == (1 / 1.6, 1.15)
    assert min(wall.ratio, cpu.ratio) > 0


@pytest.mark.slow
def test_two_processes_against_one() -> None:
    assert bench_ensemble.two_processes("basic", 8, runs=1).ratio > 0


@pytest.mark.slow
def test_the_figures_of_the_store() -> None:
    assert bench_store.in_time("basic", 20).ratio > 0
    assert bench_store.against_writing("basic", 20, runs=1).ratio > 0
    assert 10 < bench_store.in_memory("basic", 20).measured < 2000


def test_a_process_has_its_own_peak_of_memory() -> None:
    small, large = (megabytes_at_peak(f"x = bytearray({size})") for size in (1, 200_000_000))
    assert 150 < large - small < 250
