"""Run all benchmarks and write one table: ``python -m benchmarks [--out FILE]``."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import xarray as xr
from rich.console import Console
from rich.table import Table

import mmm_xgen
from benchmarks import bench_ensemble, bench_store, generation, recovery_models, worlds
from benchmarks.timing import Figure

LARGEST = (1000, 500, 100)
COLUMNS = ("benchmark", "measured", "floor", "ratio", "limit", "datasets/s", "cells/s")
# Groups of benchmarks, in the order of the table.
SUITE: dict[str, Callable[[], list[Figure]]] = {
    "generation": lambda: [*generation.presets(), *generation.growth()],
    "ensembles": bench_ensemble.figures,
    "store": bench_store.figures,
    "truth": generation.truth,
    "worlds": worlds.figures,
    "models": lambda: [recovery_models.least_squares()],
    "start": lambda: [generation.import_cost(), generation.cold_command()],
    "memory": lambda: [generation.memory(*LARGEST)],
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the groups that are named, print their table and write it; 1 if a limit is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", help=f"of {', '.join(SUITE)}; all by default")
    parser.add_argument("--out", type=Path, help="Markdown file to write the table to")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a limit is broken")
    chosen = parser.parse_args(arguments)
    unknown = sorted({*chosen.groups} - {*SUITE})
    if unknown:
        parser.error(f"no group is named {unknown[0]!r}; there are {', '.join(SUITE)}")
    figures: list[Figure] = []
    for group in chosen.groups or SUITE:
        print(f"{group} ...", file=sys.stderr, flush=True)
        figures += SUITE[group]()
    Console(width=160).print(table(figures))
    if chosen.out:
        chosen.out.write_text(markdown(figures), encoding="utf-8")
    return int(chosen.strict and not all(figure.is_within for figure in figures))


def rows(figures: Sequence[Figure]) -> Iterator[tuple[str, ...]]:
    """Cells of the table."""
    for figure in figures:
        places = 4 if figure.unit == "s" else 0
        rates = (figure.rate(figure.datasets), figure.rate(figure.cells))
        yield (
            figure.name,
            f"{figure.measured:.{places}f} {figure.unit}",
            f"{figure.floor:.{places}f} {figure.unit}",
            f"{figure.ratio:.2f}" + ("" if figure.is_within else " (above)"),
            "" if figure.limit is None else f"{figure.limit:g}",
            *("" if rate is None else f"{rate:,.0f}" for rate in rates),
        )


def table(figures: Sequence[Figure]) -> Table:
    made = Table(*COLUMNS)
    for row in rows(figures):
        made.add_row(*row)
    return made


def markdown(figures: Sequence[Figure]) -> str:
    """The table as Markdown, with what it was measured on."""
    versions = (
        f"Python {platform.python_version()}, NumPy {np.__version__}, xarray {xr.__version__}"
    )
    lines = [
        "# Benchmarks",
        "",
        f"Written by `make bench` on {datetime.now():%Y-%m-%d}: mmm_xgen {mmm_xgen.__version__}, "
        f"{versions}, {os.cpu_count()} cores. Least time of several runs: wall time, unless the "
        "name says CPU time. The floor of each is measured in the same run, in turn with it, and "
        "the ratio of the two is what counts on a machine that others use too. A cell is one "
        "number of spend.",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|---" + "|--:" * (len(COLUMNS) - 1) + "|",
        *("| " + " | ".join(row) + " |" for row in rows(figures)),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
