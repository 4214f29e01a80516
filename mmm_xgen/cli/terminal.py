"""Output on the terminal: lines, and errors and warnings in one line."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from mmm_xgen.errors import XgenError, XgenWarning, one_line, printable

PROGRAM = "mmm-xgen"
BAD_INPUT = 2
# Exit statuses of a shell after SIGINT and SIGPIPE.
INTERRUPTED, NO_READER = 130, 141

# typer has no public name for the base class of its argument errors, and its versions differ in
# the module of that class.
ArgumentError: Any = typer.BadParameter.__mro__[2]


class OneLineGroup(TyperGroup):
    """Commands whose every failure on bad input is one line on stderr and exit status 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; a closed pipe on stdout is not an error."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # typer itself would exit with 1.
            sys.exit(_without_reader())

    def main(self, *args: Any, **options: Any) -> Any:
        """Run a command and exit with its status."""
        options["standalone_mode"] = False
        try:
            status = super().main(*args, **options)
        except XgenError as error:
            status = fail(str(error))
        except ArgumentError as error:
            status = fail(error.format_message().rstrip(".") + _hint(error))
        except OSError as error:
            status = fail(_of_file(error))
        except UnicodeError as error:
            status = fail(f"found a name that is not UTF-8 text ({error}); write it in UTF-8")
        except MemoryError:
            status = fail("not enough memory; use fewer periods, geos or channels")
        except BrokenExecutor as error:
            status = fail(str(error) or "a worker process ended before its work was done")
        except typer.Abort:
            status = INTERRUPTED
        sys.exit(status if isinstance(status, int) else 0)


def fail(message: str) -> int:
    """Write the message as one line on stderr, if it can be; return the exit status."""
    with suppress(OSError):
        note(f"{PROGRAM}: error: {one_line(message)}")
    return BAD_INPUT


def open_streams() -> None:
    """Put a stream that refuses all output in the place of a closed stdout or stderr.

    So output is an error of the system, as on a full disk, and no file takes the closed number.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(encoding="utf-8"))  # noqa: SIM115


def _without_reader() -> int:
    """Status of a command whose output nobody reads any more, as the shell has it."""
    if sys.stdout is sys.__stdout__ and sys.stdout is not None:
        # Python writes the rest when it ends, and would tell of the same error again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return NO_READER


def write_any_text() -> None:
    """Let the streams write what their encoding lacks as ``?``, where it would be an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def say(message: str, *, data: bool = False) -> None:
    """Write lines on stdout; data stay as they are where no terminal shows them."""
    is_raw = data and not sys.stdout.isatty()
    typer.echo(message if is_raw else printable(message, keep="\n\t"))


def note(message: str) -> None:
    """Write a line on stderr."""
    typer.echo(message, err=True)


@contextmanager
def warnings_in_one_line(*, quiet: bool) -> Iterator[None]:
    """Show each warning of this package once, as a line on stderr, when the block ends.

    So are warnings of numbers that leave their range, which strange data give.
    """
    messages: dict[str, None] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("always", XgenWarning)
        warnings.simplefilter("always", RuntimeWarning)
        usual = warnings.showwarning

        def collect(message: Any, category: Any, *where: Any, **more: Any) -> None:
            if issubclass(category, XgenWarning | RuntimeWarning):
                messages[one_line(str(message))] = None
            else:
                usual(message, category, *where, **more)

        warnings.showwarning = collect
        try:
            yield
        finally:
            if not quiet:
                for text in messages:
                    note(f"{PROGRAM}: warning: {text}")


def _hint(error: Any) -> str:
    context = getattr(error, "ctx", None)
    return f"; see '{context.command_path} --help'" if context is not None else ""


def _of_file(error: OSError) -> str:
    # Every file has its name in the error; without one, it is the output that cannot be written.
    name = repr(str(error.filename)) if error.filename is not None else "standard output"
    return f"{name}: {error.strerror or error}"
