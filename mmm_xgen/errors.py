"""The one exception tree of the package, and its warning."""

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

# Packages that the extras of pyproject.toml install and this package imports.
EXTRAS = {
    "notebooks": ("ipywidgets",),
    "recovery": ("blackjax", "jax", "numpyro", "nutpie", "pebble", "psutil"),
    "scale": ("dask", "distributed", "zarr"),
}
NUMPY = str(Path(np.__file__).parent)
# Letters of a value, a path and a message that are shown.
VALUE, PATH, MESSAGE = 60, 200, 1000
# Known words that a message lists.
LISTED = 40
# Where warnings go that somebody collects.
_COLLECTED: ContextVar[list[str] | None] = ContextVar("collected", default=None)


def printable(text: str, *, keep: str = "") -> str:
    r"""Text whose control and other invisible characters are escaped, as ``repr`` escapes them.

    Such characters, in a name or a file of a stranger, could steer a terminal or turn the order
    of the letters around.

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
    """Text of at most so many letters: of a longer one, the middle is left out.

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
    """One short line that shows a value found where it should not be."""
    # The text of a long list or text takes as long as its length.
    if isinstance(value, str | bytes) and len(value) > MESSAGE:
        value = value[:VALUE]
    text = " ".join(repr(value).split())
    return text if len(text) <= VALUE else text[: VALUE - 3] + "..."


def one_line(message: object) -> str:
    r"""Message as one printable line of bounded length, whatever values are in it.

    Examples
    --------
    >>> len(one_line(10_000 * "a ")), one_line("two\nlines")
    (1000, 'two lines')
    """
    # Escaping makes a text longer: shorten it before and after.
    text = " ".join(shortened(str(message), MESSAGE).splitlines())
    return shortened(printable(text), MESSAGE)


class XgenError(Exception):
    """Root of every exception that this package raises on purpose.

    Parameters
    ----------
    message : str
        It is made one line of at most 1000 letters, in which control characters are escaped.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(message))


class ConfigError(XgenError, ValueError):
    """A configuration that cannot be generated from.

    Parameters
    ----------
    message : str
        What was found, what is allowed and the nearest fix, in one line.
    path : str, default ""
        Dotted path of the offending entry, as the user spelled it
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
    """A model that does not exist for the data or settings that it is asked for."""


class UnknownKindError(ConfigError, KeyError):
    """A kind of pattern, transform or noise that is not registered."""

    # KeyError quotes its argument; the message is a sentence and stays one.
    __str__ = Exception.__str__


class SchemaError(XgenError, ValueError):
    """A Dataset, frame or file that does not have the structure it should have."""


class AlignmentError(XgenError, ValueError):
    """Labels of two labelled objects that do not match."""


class MissingDependencyError(XgenError, ImportError):
    """An optional dependency that the call needs and the environment lacks."""


def require_packages(what: str, *modules: str) -> None:
    """Refuse to begin what needs packages that are not installed.

    Parameters
    ----------
    what : str
        What needs them and the verb, such as ``"chunks need"``.
    *modules : str
        Modules that will be imported, such as ``"dask.array"``. None is imported here.

    Raises
    ------
    MissingDependencyError
        If one is not installed. The message names the extra that installs it.

    Examples
    --------
    >>> require_packages("reports need", "jinja2")
    >>> require_packages("my-model needs", "no_such_package")
    Traceback (most recent call last):
    mmm_xgen.errors.MissingDependencyError: my-model needs no_such_package, which is not installed
    """
    for module in modules:
        try:
            if importlib.util.find_spec(module) is not None:
                continue
        except ImportError:
            # The package of a submodule is not installed.
            pass
        package = module.partition(".")[0]
        extras = [extra for extra, packages in EXTRAS.items() if package in packages]
        fix = f"; pip install 'mmm-xgen[{extras[0]}]'" if extras else ", which is not installed"
        raise MissingDependencyError(f"{what} {package}{fix}")


class XgenWarning(UserWarning):
    """A legal but questionable setting or result."""


def warn(message: str) -> None:
    """Issue an `XgenWarning` that points at the first line outside of the package."""
    message = one_line(message)
    collected = _COLLECTED.get()
    if collected is not None:
        collected.append(message)
        return
    level, frame = 2, sys._getframe(1)
    package = str(Path(__file__).parent)
    # NumPy's frame is that of a decorator between the user and the package.
    while frame.f_back and frame.f_code.co_filename.startswith((package, NUMPY)):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, XgenWarning, stacklevel=level)


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Messages of the warnings of this package in the block, which are not issued.

    So they can travel from the worker of a cluster to whoever waits for it.

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
    """Sentence that lists the known words, the nearest first when one is near.

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
