"""One registry for everything that is looked up by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from mmm_xgen.errors import ConfigError, UnknownKindError, nearest

Entry = TypeVar("Entry")
Function = TypeVar("Function", bound=Callable[..., Any])


class Registry(Mapping[str, Entry], Generic[Entry]):
    """Named entries of one sort: a duplicate raises, an unknown name lists the known ones.

    Parameters
    ----------
    noun : str
        What an entry is called in messages, such as ``"adstock"``.

    Examples
    --------
    >>> shapes = Registry("shape")
    >>> shapes.add("round", 1)
    >>> shapes["round"]
    1
    >>> shapes["rond"]
    Traceback (most recent call last):
    mmm_xgen.errors.UnknownKindError: no shape named 'rond'; did you mean 'round'? allowed: 'round'
    """

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, entry: Entry) -> None:
        """Enter `entry` under `name`.

        Raises
        ------
        ConfigError
            If the name is taken. A notebook cell that is run again is no second entry.
        """
        if name in self._entries and not _is_redefinition(self._entries[name], entry):
            raise ConfigError(f"the {self.noun} {name!r} is registered already; use another name")
        self._entries[name] = entry

    def remove(self, name: str) -> None:
        """Take the entry `name` out again, as a test or a notebook cell that is run twice does."""
        self[name]
        del self._entries[name]

    def __getitem__(self, name: str) -> Entry:
        if name not in self._entries:
            known = nearest(str(name), self._entries)
            raise UnknownKindError(f"no {self.noun} named {name!r}; {known}")
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries


def registering(
    registry: Registry[Entry], make: Callable[..., Entry], name: str, **about: Any
) -> Callable[[Function], Function]:
    """Decorator that enters a function in a registry; all ``register_*`` are made of it.

    Parameters
    ----------
    registry : Registry
        Where the entry goes.
    make : callable
        Makes the entry of the keywords `name`, `function` and `about`.
    name : str
        Name of the entry.
    **about
        What else the entry is made of.

    Raises
    ------
    ConfigError
        If the name is taken.

    Examples
    --------
    >>> shapes = Registry("shape")
    >>> @registering(shapes, dict, "round", corners=0)
    ... def draw_circle(): ...
    >>> shapes["round"]["corners"]
    0
    """

    def register(function: Function) -> Function:
        registry.add(name, make(name=name, function=function, **about))
        return function

    return register


def _is_redefinition(old: object, new: object) -> bool:
    """True if both are one function of the user's session that was defined again."""
    functions = [getattr(kind, "function", kind) for kind in (old, new)]
    places = {(getattr(f, "__module__", ""), getattr(f, "__qualname__", "")) for f in functions}
    return len(places) == 1 and places.pop()[0] == "__main__"
