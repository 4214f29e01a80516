"""Ensembles against their own random draws, and against single calls, in the same run."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import numpy as np

import mmm_xgen
import mmm_xgen.generation.batch
from benchmarks.timing import Figure, paired, seconds_off_the_queue
from mmm_xgen.streams import stream, streams

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

    def noted(seeds: Sequence[int], paths: Sequence[tuple[str, ...]]) -> list[Recorder]:
        return [Recorder(path, seed, places) for seed in seeds for path in paths]

    with mock.patch.object(mmm_xgen.generation.batch, "streams", noted):
        generate(config, 1)
    # Parameters are drawn more than once, to learn their names; a dataset needs them once.
    return list(dict.fromkeys(places))


def draws(config: mmm_xgen.MMMDataConfig, n: int) -> Callable[[], object]:
    """Return the floor: the random draws of n datasets and nothing else, streams included."""
    places = [(path, how, np.empty(shape)) for path, how, shape in places_of(config)]

    def draw() -> object:
        for path, how, out in places:
            for rng in streams(range(n), [path]):
                getattr(rng, how)(out=out)
        return places

    return draw


def draws_alone(config: mmm_xgen.MMMDataConfig, n: int) -> Callable[[], object]:
    """Return a lower floor: as many draws of one generator that is made already."""
    rng = np.random.default_rng(0)
    places = [(getattr(rng, how), np.empty(shape)) for _, how, shape in places_of(config)]

    def draw() -> object:
        for _ in range(n):
            for fill, out in places:
                fill(out=out)
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


def against_draws(preset: str = "basic", n: int = 4000, runs: int = 5) -> Figure:
    config = mmm_xgen.get_preset_config(preset)
    figure = paired(
        f"ensemble of {n} {preset}, CPU time, against its own random draws",
        lambda: generate(config, n),
        draws(config, n),
        limit=2.5,
        runs=runs,
        clock=time.process_time,
    )
    return _made(figure, preset, n)


def against_draws_alone(
    preset: str, n: int = 4000, *, limit: float | None = None, runs: int = 5
) -> Figure:
    config = mmm_xgen.get_preset_config(preset)
    figure = paired(
        f"ensemble of {n} {preset}, CPU time, against its draws without their streams",
        lambda: generate(config, n),
        draws_alone(config, n),
        limit=limit,
        runs=runs,
        clock=time.process_time,
    )
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
    name = f"ensemble of {n} {preset} whose alphas vary, CPU time, against its own random draws"
    figure = paired(
        name,
        lambda: generate(config, n, vary=vary),
        draws(config, n),
        limit=9,
        runs=runs,
        clock=time.process_time,
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


def two_threads(preset: str = "large_business", n: int = 16, runs: int = 5) -> list[Figure]:
    """Two threads against one: time of the slower one, and CPU time of both.

    The time of a thread is that in which it computes or waits for the other, such as for Python's
    lock or for memory. Time in which it waits for a core that others use is left out.
    """
    config = mmm_xgen.get_preset_config(preset)

    def share(worker: int, workers: int) -> float:
        start = seconds_off_the_queue()
        for first in range(2 * worker, n, 2 * workers):
            mmm_xgen.generate_ensemble(config, seeds=range(first, first + 2), chunks=None)
        return seconds_off_the_queue() - start

    def on_threads(workers: int) -> tuple[float, float]:
        start = time.process_time()
        with ThreadPoolExecutor(workers) as pool:
            slowest = max(pool.map(share, range(workers), [workers] * workers))
        return slowest, time.process_time() - start

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mmm_xgen.XgenWarning)
        samples = np.array([[on_threads(workers) for workers in (2, 1)] for _ in range(runs + 1)])
    two, one = samples[1:].min(axis=0).tolist()
    name = f"ensemble of {n} {preset}, 2 threads against 1"
    return [
        Figure(
            f"{name}, time of the slower one without its wait for a core", two[0], one[0], 0.625
        ),
        Figure(f"{name}, CPU time", two[1], one[1], 1.15),
    ]


def two_processes(preset: str = "large_business", n: int = 16, runs: int = 3) -> Figure:
    """CPU time of the busier one of two processes, against that of one which is alone.

    On idle cores it is how much longer one takes; on busy ones wall time says nothing of it.
    """
    from distributed import Client, LocalCluster

    config = mmm_xgen.get_preset_config(preset)
    total = mmm_xgen.generate_ensemble(config, seeds=range(n), chunks=max(1, n // 8))["y"].sum()
    least = []
    for workers in (2, 1):
        with (
            LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=workers, threads_per_worker=1, dashboard_address=":0", silence_logs=50
            ) as cluster,
            Client(cluster) as client,  # type: ignore[no-untyped-call]
        ):
            samples = []
            for _ in range(runs + 1):
                before = client.run(time.process_time)
                total.compute()
                after = client.run(time.process_time)
                samples.append(max(after[worker] - before[worker] for worker in after))
            least.append(min(samples[1:]))
    name = f"ensemble of {n} {preset}, 2 processes against 1, CPU time of the busier one"
    return Figure(name, *least, limit=1 / 1.6)


def _made(figure: Figure, preset: str, n: int) -> Figure:
    config = mmm_xgen.get_preset_config(preset)
    cells = config.n_periods * config.regions.n_regions * len(config.channels)
    return figure.making(n, cells)


def figures() -> list[Figure]:
    return [
        against_draws(),
        against_draws("small_business"),
        against_draws_alone("basic", limit=6),
        against_draws_alone("small_business", limit=5.5),
        of_numbers_that_vary(),
        against_single_calls("basic", 100),
        against_single_calls("large_business", 6),
        *(
            with_workers(preset, n, workers, processes=processes)
            for preset, n in (("small_business", 4000), ("large_business", 16))
            for processes in (False, True)
            for workers in (1, 2)
        ),
        *two_threads(),
        two_processes(),
    ]
