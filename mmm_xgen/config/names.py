"""Names of channels and controls: what the user writes, the coordinate, the wide column."""

from __future__ import annotations

import re
from collections.abc import Callable


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
