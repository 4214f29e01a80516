"""Run all benchmarks and print one table: ``python -m benchmarks``."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmarks import bench_ensemble, generation, recovery_models
from benchmarks.timing import Figure

LARGEST = (1000, 500, 100)


def main() -> None:
    figures = [
        generation.large_business(),
        *generation.growth(),
        *generation.truth(),
        generation.import_cost(),
        generation.cold_command(),
        recovery_models.least_squares(),
        *bench_ensemble.figures(),
    ]
    console = Console()
    console.print(table(figures))
    for preset in ("basic", "small_business"):
        rate = bench_ensemble.datasets_per_second(preset)
        console.print(f"ensemble of {preset}: {rate:.0f} datasets a second")
    size = " x ".join(map(str, LARGEST))
    arrays = generation.peak_memory(*LARGEST)
    console.print(f"peak memory of {size}: {arrays:.1f} arrays of that size (limit 12)")


def table(figures: list[Figure]) -> Table:
    rows = Table("benchmark", "seconds", "floor", "ratio", "limit")
    for figure in figures:
        limit = "" if figure.limit is None else f"{figure.limit:g}"
        cells = (f"{figure.seconds:.4f}", f"{figure.floor:.4f}", f"{figure.ratio:.2f}", limit)
        rows.add_row(figure.name, *cells)
    return rows


if __name__ == "__main__":
    main()
