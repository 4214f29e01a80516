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
# Where warnings go that somebody collects.
_COLLECTED: ContextVar[list[str] | None] = ContextVar("collected", default=None)


class XgenError(Exception):
    """Root of every exception that this package raises on purpose."""


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
        self.message = message
        super().__init__(f"{path}: {message}" if path else message)


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
    allowed = "allowed: " + (", ".join(repr(name) for name in names) or "none")
    close = difflib.get_close_matches(word, names, n=1)
    return f"did you mean {close[0]!r}? {allowed}" if close else allowed
