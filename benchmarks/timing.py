"""Measuring that a noisy machine cannot fool easily: the least of runs, paired with a floor."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One row of the table: the thing and its floor, in `unit`, and the wanted ratio.

    `datasets` and `cells` are what the thing makes, for a rate; a cell is one number of spend.
    """

    name: str
    measured: float
    floor: float
    limit: float | None = None
    unit: str = "s"
    datasets: int = 0
    cells: int = 0

    @property
    def seconds(self) -> float:
        return self.measured

    @property
    def ratio(self) -> float:
        return self.measured / self.floor

    @property
    def is_within(self) -> bool:
        return self.limit is None or self.ratio <= self.limit

    def making(self, datasets: int, cells_of_one: int) -> Figure:
        """Return the same figure with what its thing makes."""
        return replace(self, datasets=datasets, cells=datasets * cells_of_one)

    def rate(self, number: int) -> float | None:
        """Number a second; None where there is none."""
        return number / self.measured if number else None


def paired(
    name: str,
    thing: Callable[[], object],
    floor: Callable[[], object],
    *,
    limit: float | None = None,
    runs: int = 15,
    clock: Callable[[], float] = time.perf_counter,
) -> Figure:
    """Least seconds of `thing` and of `floor`, run in turn after one warm-up each.

    What else the machine does makes a run longer and never shorter.
    """
    samples: tuple[list[float], list[float]] = ([], [])
    for run in range(runs + 1):
        for side, call in enumerate((thing, floor)):
            seconds = timed(call, clock)
            if run:
                samples[side].append(seconds)
    return Figure(name, min(samples[0]), min(samples[1]), limit)


def timed(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of one call."""
    start = clock()
    call()
    return clock() - start


@contextmanager
def busy_core() -> Iterator[None]:
    """Context in which a process of its own keeps one core busy, as a neighbour would.

    It ends with this process, however that ends.
    """
    code = f"import os\nwhile os.getppid() == {os.getpid()}: sum(range(10**5))"
    with subprocess.Popen([sys.executable, "-c", code]) as neighbour:
        try:
            yield
        finally:
            neighbour.kill()


def processor_time_of_children() -> float:
    """Seconds that processes which this one started have computed: no wait for others counts."""
    times = os.times()
    return times.children_user + times.children_system


def seconds_off_the_queue() -> float:
    """Seconds in which the calling thread computed or slept, but did not wait for a free core.

    Others who use the cores hardly change it: their time is that of the queue. Linux tells it.
    """
    queued = Path("/proc/thread-self/schedstat").read_text(encoding="utf-8").split()[1]
    return time.perf_counter() - int(queued) / 1e9


def in_process(code: str) -> Callable[[], object]:
    """Call that runs Python `code` in a process of its own.

    The first run writes the compiled modules, as an installation does, and later runs read them.
    """
    environment = {**os.environ}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def run() -> object:
        command = [sys.executable, "-c", code]
        return subprocess.run(command, check=True, capture_output=True, env=environment)

    return run


def megabytes_at_peak(code: str) -> float:
    """Most memory that a process of its own holds while it runs Python `code`."""
    # A child's `ru_maxrss` can be that of the process which started it; this is its own.
    status = "print(open('/proc/self/status').read())"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{status}"],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    found = re.search(r"^(?:VmHWM|VmRSS):\s+(\d+) kB", done.stdout, re.MULTILINE)
    if found is None:
        raise RuntimeError("this system does not tell the memory of a process")
    return int(found[1]) / 1024
