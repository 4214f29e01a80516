"""Counts, lists and periods in words."""

from __future__ import annotations

from collections.abc import Iterable

PERIODS = {"D": "day", "W": "week", "MS": "month", "QS": "quarter", "YS": "year"}


def count(number: int, noun: str) -> str:
    """Write a number of things.

    Examples
    --------
    >>> count(1, "geo"), count(1200, "row")
    ('1 geo', '1,200 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Iterable[str], most: int) -> str:
    """Write the first names, and how many more there are.

    Examples
    --------
    >>> listed(["TV", "Radio", "Print"], 3), listed(["TV", "Radio", "Print"], 1)
    ('TV, Radio, Print', 'TV and 2 more')
    """
    every = list(names)
    more = f" and {len(every) - most:,} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def period_word(freq: object) -> str:
    """Word for one period of a frequency.

    Examples
    --------
    >>> period_word("W-SUN"), period_word("MS"), period_word("")
    ('week', 'month', 'period')
    """
    return PERIODS.get(str(freq).split("-")[0], "period")
