"""Names of channels and controls, and paths to them: what the user writes and what it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mmm_xgen.errors import ConfigError


def label(name: str | None, prefix: str, position: int) -> str:
    """Coordinate label of a channel or control.

    Parameters
    ----------
    name : str or None
        Name in the config: ``"x-TV"``, ``"x1-TV"`` or ``"TV"``; None where it has none.
    prefix : {"x", "c"}
        Letter of the wide columns: ``x`` for channels, ``c`` for controls.
    position : int
        Position in the config, from 0.

    Examples
    --------
    >>> label("x-TV", "x", 0), label("TV", "x", 0), label(None, "x", 0)
    ('TV', 'TV', 'x1')
    """
    if name is None:
        return f"{prefix}{position + 1}"
    # Most names have no prefix, and all are looked at many times.
    return re.sub(rf"^{prefix}\d*-", "", name) if "-" in name else name


def checked_name(prefix: str) -> Callable[[str], str]:
    """Validator for names: something must be left of them as a label."""

    def check(name: str) -> str:
        if name != name.strip() or not name.isprintable() or not label(name, prefix, 0):
            raise ValueError(f"a name such as 'TV' or '{prefix}-TV', without blanks at its ends")
        return name

    return check


def column(label: str, prefix: str, position: int) -> str:
    """Wide column of a channel or control.

    Examples
    --------
    >>> column("TV", "x", 0), column("x1", "x", 0), column("Price", "c", 1)
    ('x1-TV', 'x1', 'c2-Price')
    """
    stem = f"{prefix}{position + 1}"
    return stem if label == stem else f"{stem}-{label}"


KeyPath = tuple[str | int, ...]

# Letter of the wide columns that may stand before the names in a list.
NAMED_LISTS = {"channels": "x", "control_variables": "c", "events": ""}


def entry_names(items: Iterable[Any], prefix: str) -> list[str]:
    """Labels of the entries of a list, be they mappings or configurations.

    Examples
    --------
    >>> entry_names([{"name": "x-TV"}, {}], "x")
    ['TV', 'x2']
    """
    names = []
    for position, item in enumerate(items):
        name = item.get("name") if isinstance(item, Mapping) else getattr(item, "name", None)
        text = None if name is None else str(name)
        names.append(label(text, prefix, position) if prefix else text or "")
    return names


class Quoted(str):
    """Part of a path that is a name, whatever it looks like."""

    __slots__ = ()


QUOTED = r""" "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' """
# A part of a path: in quotes, in brackets with quotes or a position inside, or up to the next
# period or bracket of that form.
PART = re.compile(
    rf"""(?:(?P<dot>^|\.)(?P<quoted>{QUOTED}) | \[(?:(?P<bracketed>{QUOTED})|(?P<position>[0-9]+))\]
    | (?P<first>^|\.)(?P<plain>(?:(?!\[(?:[0-9]+|["']))[^.])+)) (?=[.\[]|$)""",
    re.VERBOSE,
)


def split_path(path: str) -> tuple[str | int, ...]:
    """Parts of a path such as ``channels.TV.roas``.

    A part in quotes is a name whatever it has in it; a number in brackets is a position.

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
    """Path that `split_path` takes apart again.

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
    """Position in a list that has an entry of that name, so that brackets tell the two apart."""


def as_part(name: str) -> str:
    """Return a name as a part of a path, in quotes where it would be read as something else."""
    is_plain = re.fullmatch(r"""[^\s.\[\]"'=*\\]([^.\[\]"=\\]*[^\s.\[\]"=\\])?""", name)
    return name if is_plain and not name.isdecimal() else Quoted(name)


def position_part(position: int, names: Sequence[str | None]) -> int:
    """Return a position as a part of a path that no name can be mistaken for."""
    return Bracketed(position) if str(position) in names else position


def find_entry(names: Sequence[str], parts: Sequence[str | int], prefix: str) -> tuple[int, int]:
    """Position of the entry that a path leads to, and how many parts of the path name it.

    Names win over positions, and a name with periods need not be in quotes: the longest name
    wins. The position is -1 where there is no such entry.

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
        for wanted in (text, label(text, prefix, 0) if prefix else text):
            if wanted in names:
                return names.index(wanted), used
    is_position = not is_quoted and first.isdecimal() and int(first) < len(names)
    return (int(first) if is_position else -1), 1
