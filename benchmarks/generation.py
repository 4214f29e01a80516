"""Generation against NumPy's own price of drawing and transforming as many numbers."""

from __future__ import annotations

import time
import tracemalloc
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from math import prod

import numpy as np
import xarray as xr

import mmm_xgen
from benchmarks.timing import Figure, busy_core, in_process, paired, processor_time_of_children
from mmm_xgen.truth.returns.incremental import checked_contribution

CPU = time.process_time
IMPORT_FLOOR = "import xarray, pandas, pydantic"
GROWTH_SIZES = ((104, 10, 10), (208, 50, 30), (500, 100, 50))


def floor(n_dates: int, n_geos: int, n_channels: int) -> Callable[[], object]:
    """Return the floor: as many normals as cells in spend, one exp and one pow of each."""

    def draw() -> object:
        z = np.random.default_rng(0).standard_normal((n_channels, n_geos, n_dates))
        return np.exp(z) ** 1.3

    return draw


def sized_config(n_dates: int, n_geos: int, n_channels: int) -> mmm_xgen.MMMDataConfig:
    """Configuration of a given size with the pattern mix of large_business."""
    patterns = ("linear_trend", "seasonal", "delayed_start", "on_off")
    return mmm_xgen.MMMDataConfig.from_dict(
        {
            "n_periods": n_dates,
            "channels": [
                {
                    "name": f"channel {number}",
                    "pattern": patterns[number % len(patterns)],
                    "spend_volatility": 0.5,
                    "saturation_kwargs": {"slope": 1.3},
                    "roas": 2.0,
                }
                for number in range(n_channels)
            ],
            "regions": {"n_regions": n_geos, "similarity": 0.8, "base_sales_rate": 1e6},
        }
    )


def preset(name: str, *, limit: float | None = None, runs: int = 31) -> Figure:
    """One dataset of a preset; of the small ones nearly all is labels, which the floor has none."""
    config = mmm_xgen.get_preset_config(name)
    figure = paired(
        f"{name}, warm, against exp(z) ** 1.3",
        lambda: generate(config),
        floor(*size_of(config)),
        limit=limit,
        runs=runs,
    )
    return figure.making(1, prod(size_of(config)))


def size_of(config: mmm_xgen.MMMDataConfig) -> tuple[int, int, int]:
    return config.n_periods, config.regions.n_regions, len(config.channels)


def labels(name: str, *, busy: bool = False, limit: float = 1.8, runs: int = 61) -> Figure:
    """CPU time of one dataset against what xarray takes to label arrays that are ready."""
    config = mmm_xgen.get_preset_config(name)
    ds = generate(config)
    data, coords = (
        {key: (each.dims, each.to_numpy(), each.attrs) for key, each in part.items()}
        for part in (ds.data_vars, ds.coords)
    )
    return measured(
        f"{name}, against xarray.Dataset of its arrays",
        lambda: generate(config),
        lambda: xr.Dataset(data, coords=coords, attrs=ds.attrs),
        busy=busy,
        limit=limit,
        runs=runs,
    )


def large(
    *, busy: bool, clock: Callable[[], float], limit: float | None = None, runs: int = 31
) -> Figure:
    """One dataset of large_business against its floor."""
    config = mmm_xgen.get_preset_config("large_business")
    return measured(
        "large_business, against exp(z) ** 1.3",
        lambda: generate(config),
        floor(*size_of(config)),
        busy=busy,
        clock=clock,
        limit=limit,
        runs=runs,
    )


def measured(
    name: str,
    thing: Callable[[], object],
    ground: Callable[[], object],
    *,
    busy: bool,
    clock: Callable[[], float] = CPU,
    limit: float | None,
    runs: int,
) -> Figure:
    """Figure that is measured alone or beside a busy core, in wall time or CPU time.

    Threads that wait for each other show in CPU time and, beside a busy core, in wall time; in
    the wall time of an idle machine they do not.
    """
    words = "CPU time" if clock is CPU else "wall time"
    where = "beside a busy core" if busy else "alone"
    with busy_core() if busy else nullcontext():
        return paired(
            f"{name}, {words} {where}", thing, ground, limit=limit, runs=runs, clock=clock
        )


def presets() -> list[Figure]:
    small = [preset(name) for name in ("basic", "small_business", "medium_business")]
    return [
        *small,
        preset("large_business", limit=6),
        *(large(busy=busy, clock=CPU, limit=3.5) for busy in (False, True)),
        large(busy=True, clock=time.perf_counter, limit=4),
        *(labels("basic", busy=busy) for busy in (False, True)),
    ]


def growth() -> list[Figure]:
    figures = []
    for size in GROWTH_SIZES:
        config = sized_config(*size)
        name = "generation of " + " x ".join(map(str, size))
        figure = paired(name, lambda c=config: generate(c), floor(*size), runs=7)
        figures.append(figure.making(1, prod(size)))
    return figures


def generate(config: mmm_xgen.MMMDataConfig) -> xr.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mmm_xgen.XgenWarning)
        return mmm_xgen.generate_mmm_dataset(config)


def import_cost() -> Figure:
    return paired(
        "import of generate_mmm_dataset, CPU time, against " + IMPORT_FLOOR,
        in_process("from mmm_xgen import generate_mmm_dataset"),
        in_process(IMPORT_FLOOR),
        limit=1.3,
        runs=9,
        clock=processor_time_of_children,
    )


def cold_command() -> Figure:
    code = (
        "import sys, tempfile; from mmm_xgen.cli import main; "
        "sys.argv = ['mmm-xgen', 'generate', 'large_business', '--quiet', '--out', "
        "tempfile.mkdtemp()]; main()"
    )
    return paired(
        "mmm-xgen generate large_business, cold, against " + IMPORT_FLOOR,
        in_process(code),
        in_process(IMPORT_FLOOR),
        runs=3,
    )


def peak_memory(n_dates: int, n_geos: int, n_channels: int) -> float:
    """Peak memory of one generation, in arrays of the size of spend."""
    config = sized_config(n_dates, n_geos, n_channels)
    mmm_xgen.generate_mmm_dataset()
    # NumPy tells tracemalloc of its arrays; a process's own count includes its parent's peak.
    tracemalloc.start()
    generate(config)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / (8 * n_dates * n_geos * n_channels)


def memory(n_dates: int, n_geos: int, n_channels: int) -> Figure:
    size = n_dates, n_geos, n_channels
    array = 8 * prod(size) / 1e6
    name = f"peak memory of {' x '.join(map(str, size))}, against one array of that size"
    return Figure(name, peak_memory(*size) * array, array, limit=12, unit="MB")


def check_of_contributions(name: str, runs: int = 7) -> list[Figure]:
    """ROAS against its sums alone, and its check that spend makes the contributions that it sums.

    The check computes the response of every channel again: most of the time of a figure goes
    into it.
    """
    config = mmm_xgen.get_preset_config(name)
    ds = generate(config)

    def sums() -> object:
        revenue = (ds["channel_contribution"] * ds["revenue_per_kpi"]).sum(("date", "geo"))
        return revenue / ds["spend"].sum(("date", "geo"))

    def check() -> object:
        return checked_contribution(ds)

    return [
        paired("roas, CPU time, against its sums", ds.mmm.roas, sums, runs=runs, clock=CPU),
        paired(
            "check of contributions, CPU time, against one generation",
            check,
            lambda: generate(config),
            limit=1,
            runs=runs,
            clock=CPU,
        ),
    ]


def truth() -> list[Figure]:
    """Estimands and the rest of the oracle, against one generation of the same dataset."""
    large = mmm_xgen.get_preset_config("large_business")
    medium = mmm_xgen.get_preset_config("medium_business")
    many, some = generate(large), generate(medium)
    return [
        paired(f"{name}, against one generation", thing, again, limit=limit, runs=3)
        for name, thing, again, limit in (
            ("all estimands", many.mmm.estimands, lambda: generate(large), 10),
            ("response curves at 50 points", many.mmm.response_curve, lambda: generate(large), 60),
            (
                "optimum over 30 channels",
                many.mmm.optimize_allocation,
                lambda: generate(large),
                None,
            ),
            ("data quality", many.mmm.check_quality, lambda: generate(large), None),
            (
                "information bound, medium",
                some.mmm.information_bound,
                lambda: generate(medium),
                None,
            ),
            ("what would help, medium", some.mmm.what_would_help, lambda: generate(medium), None),
        )
    ] + check_of_contributions("large_business")
