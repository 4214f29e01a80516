"""The progress bar."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from mmm_xgen.errors import printable


class Advance(Protocol):
    """Function that moves a progress bar."""

    def __call__(self, steps: int = 1, what: str | None = None, left: str = "") -> None:
        """Move it by `steps`; `what` and `left` replace the text before and after it."""


@contextmanager
def progress_bar(
    what: str, total: int, *, done: int = 0, estimate: bool = False, wanted: bool = True
) -> Iterator[Advance]:
    """Show a bar on stderr while the block runs, if stderr is a terminal.

    Parameters
    ----------
    what : str
        Text before the bar.
    total, done : int
        Number of steps, and of those that were taken before.
    estimate : bool
        Whether to show the time left, estimated from the steps so far.
    wanted : bool
        Whether to show it at all.

    Yields
    ------
    callable
        Call it after each step.

    Examples
    --------
    >>> with progress_bar("files", 2, wanted=False) as advance:
    ...     advance()
    """
    if not (wanted and sys.stderr.isatty()):
        yield lambda *_, **__: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed
    from rich.progress import TimeRemainingColumn as Remaining

    columns = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Elapsed(),
        *([Remaining(), TextColumn("left")] if estimate else []),
        TextColumn("{task.fields[left]}", markup=False),
    ]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, completed=done, left="")

        def advance(steps: int = 1, what: str | None = None, left: str = "") -> None:
            text = None if what is None else printable(what)
            bar.update(task, advance=steps, description=text, left=left)

        yield advance
