"""Ensembles to a Zarr store: in the time and memory wanted, and against writing alone."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import xarray as xr

import mmm_xgen
from benchmarks.timing import Figure, megabytes_at_peak, paired, timed
from mmm_xgen.ensemble.zarr_store import write_ensemble

# 10,000 small_business are to be in the store in two minutes, with 1.5 GB of memory.
SECONDS_OF_ONE, MEGABYTES = 120 / 10_000, 1500.0


def written(ds: xr.Dataset, folder: str) -> None:
    write_ensemble(ds, Path(folder) / "ensemble.zarr", resume=False, progress=False)


def lazy(preset: str, n: int) -> xr.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mmm_xgen.XgenWarning)
        return mmm_xgen.generate_ensemble(mmm_xgen.get_preset_config(preset), n=n)


def cells_of_one(ds: xr.Dataset) -> int:
    return int(ds["spend"].size // ds.sizes["dataset"])


def in_time(preset: str = "small_business", n: int = 10_000) -> Figure:
    ds = lazy(preset, n)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", mmm_xgen.XgenWarning)
        seconds = timed(lambda: written(ds, folder))
    name = f"{n:,} {preset} to Zarr, against 2 minutes for 10,000"
    return Figure(name, seconds, n * SECONDS_OF_ONE, limit=1).making(n, cells_of_one(ds))


def in_memory(preset: str = "small_business", n: int = 10_000) -> Figure:
    with tempfile.TemporaryDirectory() as folder:
        code = (
            "import warnings; warnings.simplefilter('ignore'); from benchmarks import bench_store; "
            f"bench_store.written(bench_store.lazy({preset!r}, {n}), {folder!r})"
        )
        measured = megabytes_at_peak(code)
    name = f"peak memory of {n:,} {preset} to Zarr, against 1.5 GB"
    return Figure(name, measured, MEGABYTES, limit=1, unit="MB")


def against_writing(preset: str = "large_business", n: int = 30, runs: int = 3) -> Figure:
    """Generated and written, against what is in memory already, in the same chunks."""
    ds = lazy(preset, n)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", mmm_xgen.XgenWarning)
        there = ds.compute().chunk(ds.chunks)
        figure = paired(
            f"{n} {preset} to Zarr, against writing their arrays",
            lambda: written(ds, folder),
            lambda: written(there, folder),
            limit=3,
            runs=runs,
        )
    return figure.making(n, cells_of_one(ds))


def figures() -> list[Figure]:
    return [in_time(), in_memory(), against_writing(), against_writing("small_business", 2000)]
