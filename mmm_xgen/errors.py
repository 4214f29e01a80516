"""Exceptions and the warning of the package, and the texts of their messages."""

from __future__ import annotations

import difflib
import importlib.util
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import numpy as np

# Optional packages that each extra of pyproject.toml installs.
EXTRAS = {
    "notebooks": ("ipywidgets",),
    "recovery": ("blackjax", "jax", "numpyro", "nutpie", "pebble", "psutil"),
    "scale": ("dask", "distributed", "zarr"),
}
NUMPY = str(Path(np.__file__).parent)
# Largest number of letters of a value, a path and a message.
VALUE, PATH, MESSAGE = 60, 200, 1000
# Largest number of known words that a message lists.
LISTED = 40
# List for the warnings that `collected_warnings` collects.
_COLLECTED: ContextVar[list[str] | None] = ContextVar("collected", default=None)


def printable(text: str, *, keep: str = "") -> str:
    r"""Return a text with its control and other invisible characters escaped, as ``repr`` does.

    Such characters, in a name or file from others, could control a terminal or change the order
    of the letters.

    Examples
    --------
    >>> print(printable("\x1b]0;title\x07 süd"))
    \x1b]0;title\x07 süd
    """
    if text.isprintable():
        return text
    return "".join(
        each
        if each.isprintable() or each in keep
        else each.encode("unicode_escape", "surrogatepass").decode()
        for each in text
    )


def shortened(text: str, longest: int) -> str:
    """Return a text of at most `longest` letters; a longer one loses its middle.

    Examples
    --------
    >>> shortened("abcdefghijkl", 8)
    'abc...kl'
    """
    if len(text) <= longest:
        return text
    end = (longest - 3) // 2
    return f"{text[: longest - 3 - end]}...{text[-end:]}"


def shown(value: object) -> str:
    """Return a wrong value as one short line for a message."""
    # Cut long values first: their whole text would take long to make.
    if isinstance(value, str | bytes) and len(value) > MESSAGE:
        value = value[:VALUE]
    text = " ".join(repr(value).split())
    return text if len(text) <= VALUE else text[: VALUE - 3] + "..."


def one_line(message: object) -> str:
    r"""Return a message as one printable line of bounded length.

    Examples
    --------
    >>> len(one_line(10_000 * "a ")), one_line("two\nlines")
    (1000, 'two lines')
    """
    # Shorten before escaping, which makes a text longer, and after it.
    text = " ".join(shortened(str(message), MESSAGE).splitlines())
    return shortened(printable(text), MESSAGE)


class XgenError(Exception):
    """Base of all exceptions that this package raises on purpose.

    Parameters
    ----------
    message : str
        Message. It is cut to one line of at most 1000 letters, with control characters escaped.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(message))


class ConfigError(XgenError, ValueError):
    """A configuration or argument that is not valid.

    Parameters
    ----------
    message : str
        One line: the value found, the values allowed and the nearest fix.
    path : str, default ""
        Dotted path of the wrong entry, as the user spelled it
        (``"channels.2.adstock_kwargs.alpha"``).

    Examples
    --------
    >>> str(ConfigError("found -1, allowed: at least 0", path="channels.0.base_spend"))
    'channels.0.base_spend: found -1, allowed: at least 0'
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        self.path = path
        self.message = one_line(message)
        super().__init__(f"{shortened(path, PATH)}: {self.message}" if path else self.message)


class NotApplicableError(ConfigError):
    """A model that does not exist for the given data or settings."""


class UnknownKindError(ConfigError, KeyError):
    """A name that is not registered, such as that of a pattern, transform, noise or preset."""

    # KeyError would show the message in quotes.
    __str__ = Exception.__str__


class SchemaError(XgenError, ValueError):
    """A Dataset, frame or file without the structure that it should have."""


class AlignmentError(XgenError, ValueError):
    """Two labelled objects whose labels do not match."""


class MissingDependencyError(XgenError, ImportError):
    """An optional dependency that a call needs and that is not installed."""


def check_packages(what: str, *modules: str) -> None:
    """Raise if a package that a task needs is not installed.

    Parameters
    ----------
    what : str
        Task and verb for the message, such as ``"chunks need"``.
    *modules : str
        Modules that the task will import, such as ``"dask.array"``. They are not imported here.

    Raises
    ------
    MissingDependencyError
        If one is not installed. The message names the extra that installs it.

    Examples
    --------
    >>> check_packages("reports need", "jinja2")
    >>> check_packages("my-model needs", "no_such_package")
    Traceback (most recent call last):
    mmm_xgen.errors.MissingDependencyError: my-model needs no_such_package, which is not installed
    """
    for module in modules:
        if _is_installed(module):
            continue
        package = module.partition(".")[0]
        extras = [extra for extra, packages in EXTRAS.items() if package in packages]
        fix = f"; pip install 'mmm-xgen[{extras[0]}]'" if extras else ", which is not installed"
        raise MissingDependencyError(f"{what} {package}{fix}")


def _is_installed(module: str) -> bool:
    # `find_spec` raises if the parent package is not installed.
    parent = module.rpartition(".")[0]
    return (not parent or _is_installed(parent)) and importlib.util.find_spec(module) is not None


class XgenWarning(UserWarning):
    """A setting or result that is allowed but questionable."""


def warn(message: str) -> None:
    """Issue an `XgenWarning` that points at the first line outside of the package."""
    message = one_line(message)
    collected = _COLLECTED.get()
    if collected is not None:
        collected.append(message)
        return
    level, frame = 2, sys._getframe(1)
    package = str(Path(__file__).parent)
    # Skip NumPy's frames too: they belong to decorators between the user and the package.
    while frame.f_back and frame.f_code.co_filename.startswith((package, NUMPY)):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, XgenWarning, stacklevel=level)


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Collect the messages of this package's warnings in the block, and do not issue them.

    So a worker of a cluster can return them to the process that waits for it.

    Examples
    --------
    >>> with collected_warnings() as messages:
    ...     warn("unlikely")
    >>> messages
    ['unlikely']
    """
    messages: list[str] = []
    token = _COLLECTED.set(messages)
    try:
        yield messages
    finally:
        _COLLECTED.reset(token)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a phrase that lists the known words, the nearest one first if one is near.

    Examples
    --------
    >>> nearest("sesonal", ["on_off", "seasonal"])
    "did you mean 'seasonal'? allowed: 'on_off', 'seasonal'"
    """
    names = sorted(known)
    listed = [shown(name) for name in names[:LISTED]] or ["none"]
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    allowed = f"allowed: {', '.join(listed)}{more}"
    close = difflib.get_close_matches(word[:PATH], names, n=1)
    return f"did you mean {shown(close[0])}? {allowed}" if close else allowed
