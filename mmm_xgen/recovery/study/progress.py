"""Progress of a study and the time it has left, shown on a terminal."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from mmm_xgen.errors import printable
from mmm_xgen.recovery.study.unit import DONE, Unit


class Report(Protocol):
    """Called with every unit that is finished."""

    def __call__(self, unit: Unit, stats: Mapping[str, Any]) -> None:
        """Report a unit and the content of its `stats.json`."""


@contextmanager
def progress_of(
    n_units: int, n_done: int, *, show: bool | Callable[[str], object]
) -> Iterator[Report]:
    """Show a bar on a terminal's stderr, or write lines.

    Parameters
    ----------
    n_units, n_done : int
        Number of units, and of those that were done before.
    show : bool or callable
        Whether to show progress. A callable gets a plain line for each fit where stderr is not a
        terminal.

    Yields
    ------
    Report
        To be called with each finished unit.
    """
    began, done = time.monotonic(), n_done

    def line(unit: Unit, stats: Mapping[str, Any]) -> str:
        """Text of a finished unit, with the time left if the others take as long on average."""
        nonlocal done
        done += 1
        mark = "" if stats["status"] == DONE else f" {stats['status']}"
        average = (time.monotonic() - began) / (done - n_done)
        left = f", {duration(average * (n_units - done))} left" if done < n_units else ""
        return printable(f"{unit.dataset} {unit.label} seed {unit.seed}{mark}{left}")

    if not show or (show is True and not sys.stderr.isatty()):
        yield lambda unit, stats: None
        return
    if callable(show) and not sys.stderr.isatty():
        written = -math.inf

        def write(unit: Unit, stats: Mapping[str, Any]) -> None:
            """Write at most one line a second, and one for the last unit."""
            nonlocal written
            text = line(unit, stats)
            if done == n_units or time.monotonic() >= written + 1:
                written = time.monotonic()
                show(f"{done} of {n_units}: {text}")

        yield write
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("fitting", total=n_units, completed=n_done)
        yield lambda unit, stats: bar.update(task, advance=1, description=line(unit, stats))


def duration(seconds: float) -> str:
    """Seconds as minutes and seconds, or hours too.

    Examples
    --------
    >>> duration(65.2), duration(3665)
    ('1:05', '1:01:05')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
