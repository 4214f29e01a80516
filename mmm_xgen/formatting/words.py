"""Counts and lists in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from numpy.typing import NDArray


def count(number: int, noun: str) -> str:
    """Write a number of things.

    Examples
    --------
    >>> count(1, "geo"), count(1200, "row")
    ('1 geo', '1,200 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Iterable[object], most: int = 3, total: int | None = None) -> str:
    """Write the first names, and how many more there are; `total` if not all names are passed.

    Examples
    --------
    >>> listed(["TV", "Radio", "Print"]), listed(["TV", "Radio", "Print"], 1)
    ('TV, Radio, Print', 'TV and 2 more')
    """
    every = list(names)
    more = (len(every) if total is None else total) - most
    return ", ".join(map(str, every[:most])) + (f" and {more:,} more" if more > 0 else "")


def first_to_last(dates: Sequence[object] | NDArray[Any]) -> str:
    """Write the first and the last date, or the only one.

    Examples
    --------
    >>> first_to_last(["2024-01-01T00", "2024-01-08T00"]), first_to_last(["2024-01-01"])
    ('2024-01-01 to 2024-01-08', '2024-01-01')
    """
    return " to ".join(dict.fromkeys(str(dates[end])[:10] for end in (0, -1)))
