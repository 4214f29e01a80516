"""Ensembles against their own random draws, and against single calls, in the same run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from unittest import mock

import numpy as np

import mmm_xgen
import mmm_xgen.generation.batch
from benchmarks.timing import Figure, paired
from mmm_xgen.streams import stream

# What a generator draws, and how many.
Place = tuple[tuple[str, ...], str, tuple[int, ...]]


class Recorder:
    """Stands in for a generator and notes what is drawn from it."""

    def __init__(self, path: tuple[str, ...], seed: int, places: list[Place]) -> None:
        self.path, self.places, self.rng = path, places, stream(seed, *path)

    def standard_normal(self, size=None, out=None):  # type: ignore[no-untyped-def]
        drawn = self.rng.standard_normal(size, out=out)
        self.places.append((self.path, "standard_normal", drawn.shape))
        return drawn

    def random(self, size=None, out=None):  # type: ignore[no-untyped-def]
        drawn = self.rng.random(size, out=out)
        self.places.append((self.path, "random", drawn.shape))
        return drawn


def places_of(config: mmm_xgen.MMMDataConfig) -> list[Place]:
    """Every named place that one dataset draws from, and what it draws there."""
    places: list[Place] = []

    def noted(seeds: Sequence[int], *path: str) -> list[Recorder]:
        return [Recorder(path, seed, places) for seed in seeds]

    with mock.patch.object(mmm_xgen.generation.batch, "streams", noted):
        generate(config, 1)
    # Parameters are drawn more than once, to learn their names; a dataset needs them once.
    return list(dict.fromkeys(places))


def draws(config: mmm_xgen.MMMDataConfig, n: int) -> Callable[[], object]:
    """Return the floor: the random draws of n datasets and nothing else, streams included."""
    places = [(path, how, np.empty(shape)) for path, how, shape in places_of(config)]

    def draw() -> object:
        for seed in range(n):
            for path, how, out in places:
                getattr(stream(seed, *path), how)(out=out)
        return places

    return draw


def generate(config: mmm_xgen.MMMDataConfig, n: int, **options: object) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mmm_xgen.XgenWarning)
        return mmm_xgen.generate_ensemble(config, seeds=range(n), chunks=None, **options)  # type: ignore[arg-type]


def single_calls(config: mmm_xgen.MMMDataConfig, n: int) -> Callable[[], object]:
    def call() -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mmm_xgen.XgenWarning)
            return [mmm_xgen.generate_mmm_dataset(config, seed=seed) for seed in range(n)]

    return call


def against_draws(preset: str = "basic", n: int = 2000, runs: int = 5) -> Figure:
    config = mmm_xgen.get_preset_config(preset)
    name = f"ensemble of {n} {preset}, against its own random draws"
    figure = paired(name, lambda: generate(config, n), draws(config, n), limit=3, runs=runs)
    return _made(figure, preset, n)


def against_single_calls(
    preset: str, n: int, *, limit: float | None = 1.1, runs: int = 5
) -> Figure:
    config = mmm_xgen.get_preset_config(preset)
    name = f"ensemble of {n} {preset}, against single calls"
    figure = paired(
        name, lambda: generate(config, n), single_calls(config, n), limit=limit, runs=runs
    )
    return _made(figure, preset, n)


def of_numbers_that_vary(preset: str = "basic", n: int = 1000, runs: int = 5) -> Figure:
    config = mmm_xgen.get_preset_config(preset)
    vary = {"channels.*.adstock_kwargs.alpha": mmm_xgen.Uniform(0.1, 0.6)}
    name = f"ensemble of {n} {preset} whose alphas vary, against its own random draws"
    figure = paired(
        name, lambda: generate(config, n, vary=vary), draws(config, n), limit=3, runs=runs
    )
    return _made(figure, preset, n)


def with_workers(
    preset: str, n: int, workers: int, *, processes: bool = False, runs: int = 3
) -> Figure:
    """Lazy datasets, made chunk by chunk by Dask's threads or by the processes of a cluster.

    Of each chunk, which is made whole, one sum comes back: it is generation that is timed, not
    the way of its numbers from one process to another.
    """
    import dask
    from distributed import Client, LocalCluster

    config = mmm_xgen.get_preset_config(preset)
    lazy = mmm_xgen.generate_ensemble(config, seeds=range(n), chunks=max(1, n // (4 * workers)))
    total = lazy["y"].sum()
    kind = "process" if processes else "thread"
    plural = kind + ("s" if kind == "thread" else "es") * (workers > 1)
    name = f"ensemble of {n} {preset}, {workers} {plural}, against its own random draws"
    if not processes:
        with dask.config.set(scheduler="threads", num_workers=workers):
            return _made(paired(name, total.compute, draws(config, n), runs=runs), preset, n)
    with (
        LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=workers, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as cluster,
        Client(cluster),  # type: ignore[no-untyped-call]
    ):
        return _made(paired(name, total.compute, draws(config, n), runs=runs), preset, n)


def _made(figure: Figure, preset: str, n: int) -> Figure:
    config = mmm_xgen.get_preset_config(preset)
    cells = config.n_periods * config.regions.n_regions * len(config.channels)
    return figure.making(n, cells)


def figures() -> list[Figure]:
    return [
        against_draws(),
        against_draws("small_business"),
        of_numbers_that_vary(),
        against_single_calls("basic", 100),
        against_single_calls("large_business", 6),
        *(
            with_workers(preset, n, workers, processes=processes)
            for preset, n in (("small_business", 4000), ("large_business", 16))
            for processes in (False, True)
            for workers in (1, 2)
        ),
    ]
