"""Progress of a study and the time it has left, shown on a terminal."""

from __future__ import annotations

import math
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from mmm_xgen.formatting.progress import progress_bar
from mmm_xgen.recovery.study.unit import DONE, Unit


class Tell(Protocol):
    """What is told of every unit that is finished."""

    def __call__(self, unit: Unit, stats: Mapping[str, Any]) -> None:
        """Tell of one."""


class Clock:
    """Time left, by how long the fits of each label took so far.

    Parameters
    ----------
    waiting : iterable of Unit
        Units to do.
    known : iterable of mapping
        What `stats.json` says of fits that are there.
    at_once : int
        Number of fits that run at once.

    Examples
    --------
    >>> one, two = (Unit(dataset="d", config="{}", model="ols", seed=s) for s in (1, 2))
    >>> clock = Clock([one, two], [])
    >>> clock.left is None
    True
    >>> clock.finished(one, {"seconds": 30.0})
    >>> clock.left
    30.0
    """

    def __init__(
        self, waiting: Iterable[Unit], known: Iterable[Mapping[str, Any]], at_once: int = 1
    ) -> None:
        self._waiting = {unit.hash: (unit.dataset, unit.label) for unit in waiting}
        self._took: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._at_once = max(at_once, 1)
        for stats in known:
            self._learn((stats.get("dataset", ""), stats.get("label", "")), stats)

    def finished(self, unit: Unit, stats: Mapping[str, Any]) -> None:
        """Take note of a finished unit."""
        self._waiting.pop(unit.hash, None)
        self._learn((unit.dataset, unit.label), stats)

    @property
    def left(self) -> float | None:
        """Seconds; nothing is known before the first fit."""
        every = [seconds for took in self._took.values() for seconds in took]
        if not every:
            return None
        overall = sum(every) / len(every)
        needed = 0.0
        for kind in self._waiting.values():
            took = self._took.get(kind)
            needed += sum(took) / len(took) if took else overall
        return needed / self._at_once

    def _learn(self, kind: tuple[str, str], stats: Mapping[str, Any]) -> None:
        if isinstance(seconds := stats.get("seconds"), int | float):
            self._took[kind].append(float(seconds))


@contextmanager
def shown(
    clock: Clock, units: int, done: int, *, wanted: bool | Callable[[str], object]
) -> Iterator[Tell]:
    """Bar on a terminal's stderr, or lines; calling what it yields tells of a finished unit.

    Parameters
    ----------
    clock : Clock
        What knows the time left.
    units, done : int
        Number of units, and of those that were there before.
    wanted : bool or callable
        Whether to show it; a callable gets a plain line a fit where stderr is not a terminal.
    """
    if callable(wanted) and not sys.stderr.isatty():
        yield _in_lines(clock, units, done, wanted)
        return
    with progress_bar("fitting", units, done=done, wanted=bool(wanted)) as advance:

        def tell(unit: Unit, stats: Mapping[str, Any]) -> None:
            clock.finished(unit, stats)
            advance(what=_fit(unit, stats), left=_words(clock.left))

        yield tell


def _in_lines(clock: Clock, units: int, done: int, write: Callable[[str], object]) -> Tell:
    """Write a line for each fit, but not more than one a second, and one for the last."""
    written = -math.inf

    def tell(unit: Unit, stats: Mapping[str, Any]) -> None:
        nonlocal done, written
        clock.finished(unit, stats)
        done += 1
        if done < units and time.monotonic() < written + 1:
            return
        written = time.monotonic()
        left = f", {_words(clock.left)}" if done < units else ""
        write(f"{done} of {units}: {_fit(unit, stats)}{left}")

    return tell


def _fit(unit: Unit, stats: Mapping[str, Any]) -> str:
    mark = "" if stats["status"] == DONE else f" {stats['status']}"
    return f"{unit.dataset} {unit.label} seed {unit.seed}{mark}"


def _words(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d} left" if hours else f"{minutes}:{seconds:02d} left"
