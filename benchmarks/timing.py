"""Timing that a noisy machine cannot fool easily: medians, paired with a floor."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One row of the table: seconds of the thing and of its floor, and the wanted ratio."""

    name: str
    seconds: float
    floor: float
    limit: float | None

    @property
    def ratio(self) -> float:
        return self.seconds / self.floor


def paired(
    name: str,
    thing: Callable[[], object],
    floor: Callable[[], object],
    *,
    limit: float | None = None,
    runs: int = 15,
) -> Figure:
    """Median seconds of `thing` and of `floor`, run in turn after one warm-up each."""
    samples: tuple[list[float], list[float]] = ([], [])
    for run in range(runs + 1):
        for side, call in enumerate((thing, floor)):
            start = time.perf_counter()
            call()
            if run:
                samples[side].append(time.perf_counter() - start)
    return Figure(name, statistics.median(samples[0]), statistics.median(samples[1]), limit)


def in_process(code: str) -> Callable[[], object]:
    """Call that runs Python `code` in a process of its own."""

    def run() -> object:
        return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

    return run
