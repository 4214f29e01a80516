"""Names of channels and controls, and dotted paths to configuration values."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mmm_xgen.errors import ConfigError


@functools.lru_cache(maxsize=4096)
def coordinate_label(name: str | None, prefix: str, position: int) -> str:
    """Return the coordinate label of a channel or control.

    Parameters
    ----------
    name : str or None
        Name in the config: ``"x-TV"``, ``"x1-TV"`` or ``"TV"``; None if it has none.
    prefix : {"x", "c"}
        Letter of the wide columns: ``x`` for channels, ``c`` for controls.
    position : int
        Position in the config, from 0.

    Examples
    --------
    >>> coordinate_label("x-TV", "x", 0), coordinate_label(None, "x", 0)
    ('TV', 'x1')
    """
    if name is None:
        return f"{prefix}{position + 1}"
    return re.sub(rf"^{prefix}\d*-", "", name)


def checked_name(prefix: str) -> Callable[[str], str]:
    """Return a validator for names: without prefix and blanks, a label must be left."""

    def check(name: str) -> str:
        if name != name.strip() or not name.isprintable() or not coordinate_label(name, prefix, 0):
            raise ValueError(f"a name such as 'TV' or '{prefix}-TV', without blanks at its ends")
        return name

    return check


def column(label: str, prefix: str, position: int) -> str:
    """Return the wide column of a channel or control.

    Examples
    --------
    >>> column("TV", "x", 0), column("x1", "x", 0), column("Price", "c", 1)
    ('x1-TV', 'x1', 'c2-Price')
    """
    stem = f"{prefix}{position + 1}"
    return stem if label == stem else f"{stem}-{label}"


KeyPath = tuple[str | int, ...]

# Lists whose entries have names, and the letter that may stand before these names.
NAMED_LISTS = {
    "channels": "x",
    "control_variables": "c",
    "mediators": "c",
    "promotions": "c",
    "events": "",
}


def entry_names(items: Iterable[Any], prefix: str) -> list[str]:
    """Return the labels of the entries of a list: mappings or configurations.

    Examples
    --------
    >>> entry_names([{"name": "x-TV"}, {}], "x")
    ['TV', 'x2']
    """
    names = []
    for position, item in enumerate(items):
        name = item.get("name") if isinstance(item, Mapping) else getattr(item, "name", None)
        text = None if name is None else str(name)
        names.append(coordinate_label(text, prefix, position) if prefix else text or "")
    return names


class Quoted(str):
    """Part of a path that is always a name, even if it looks like a number."""

    __slots__ = ()


QUOTED = r""" "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' """
# A part of a path: in quotes, in brackets with quotes or a position inside, or plain text up to
# the next period or such a bracket.
PART = re.compile(
    rf"""(?:(?P<dot>^|\.)(?P<quoted>{QUOTED}) | \[(?:(?P<bracketed>{QUOTED})|(?P<position>[0-9]+))\]
    | (?P<first>^|\.)(?P<plain>(?:(?!\[(?:[0-9]+|["']))[^.])+)) (?=[.\[]|$)""",
    re.VERBOSE,
)


def split_path(path: str) -> tuple[str | int, ...]:
    """Split a path such as ``channels.TV.roas`` into its parts.

    A part in quotes is always a name; a number in brackets is always a position.

    Raises
    ------
    ConfigError
        If a part is empty, or quotes or brackets do not close.

    Examples
    --------
    >>> split_path('channels."TV.Radio".roas'), split_path("channels['1'].roas")
    (('channels', 'TV.Radio', 'roas'), ('channels', '1', 'roas'))
    >>> split_path("channels[1].roas")
    ('channels', 1, 'roas')
    """
    parts: list[str | int] = []
    end = 0
    while end < len(path) or not parts:
        found = PART.match(path, end) if end or not path.startswith(".") else None
        if found is None:
            raise ConfigError(
                f"found {path!r}, allowed: parts divided by periods, a name with periods in "
                'quotes, as in channels."TV.Radio".roas'
            )
        text = found["quoted"] or found["bracketed"]
        if text is not None:
            parts.append(Quoted(re.sub(r"\\(.)", r"\1", text[1:-1])))
        else:
            parts.append(found["plain"] or Bracketed(found["position"]))
        end = found.end()
    return tuple(parts)


def join_path(parts: Iterable[str | int]) -> str:
    """Join parts to a path; the inverse of `split_path`.

    Examples
    --------
    >>> join_path(["channels", as_part("TV.Radio"), "roas"]), join_path(["channels", 0, "roas"])
    ('channels."TV.Radio".roas', 'channels.0.roas')
    """
    texts = []
    for part in parts:
        if isinstance(part, Quoted):
            texts.append('."' + re.sub(r'(["\\])', r"\\\1", part) + '"')
        else:
            texts.append(f"[{part}]" if isinstance(part, Bracketed) else f".{part}")
    return "".join(texts).removeprefix(".")


class Bracketed(int):
    """Position written in brackets, because an entry of the list has that number as its name."""


def as_part(name: str) -> str:
    """Return a name as a part of a path, in quotes if it could be read as something else."""
    is_plain = re.fullmatch(r"""[^\s.\[\]"'=*\\]([^.\[\]"=\\]*[^\s.\[\]"=\\])?""", name)
    return name if is_plain and not name.isdecimal() else Quoted(name)


def position_part(position: int, names: Sequence[str | None]) -> int:
    """Return a position as a part of a path, in brackets if an entry has that name."""
    return Bracketed(position) if str(position) in names else position


def find_entry(names: Sequence[str], parts: Sequence[str | int], prefix: str) -> tuple[int, int]:
    """Return the position of the entry that a path names, and the number of parts that name it.

    Names come before positions. A name with periods does not need quotes: the longest name that
    fits is taken. The position is -1 if there is no such entry.

    Parameters
    ----------
    names : sequence of str
        Labels of the entries.
    parts : sequence of str and int
        Path below the list.
    prefix : {"x", "c", ""}
        Letter of the wide columns that may stand before a name.

    Examples
    --------
    >>> find_entry(["1", "2", "TV.Radio"], ["1", "roas"], "x")
    (0, 1)
    >>> find_entry(["1", "2", "TV.Radio"], ["0", "roas"], "x")
    (0, 1)
    >>> find_entry(["1", "2", "TV.Radio"], ["TV", "Radio", "roas"], "x")
    (2, 2)
    """
    first = parts[0]
    if isinstance(first, int):
        return (first if first < len(names) else -1), 1
    is_quoted = isinstance(first, Quoted)
    for used in range(1 if is_quoted else len(parts), 0, -1):
        text = ".".join(map(str, parts[:used]))
        for wanted in (text, coordinate_label(text, prefix, 0) if prefix else text):
            if wanted in names:
                return names.index(wanted), used
    is_position = not is_quoted and first.isdecimal() and int(first) < len(names)
    return (int(first) if is_position else -1), 1
