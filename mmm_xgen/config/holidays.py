"""Dates of holidays that move from year to year, from the `holidays` package."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable
from datetime import date, timedelta

from mmm_xgen.config.base import fail
from mmm_xgen.errors import nearest

# Other names of one feast; countries differ in the name that they give it.
FEASTS = (
    ("easter sunday", "easter", "easter sunday (pascha)"),
    ("eid al-fitr", "eid", "eid al-fitr holiday", "eid-ul-fitr"),
    (
        *("lunar new year", "chinese new year", "chinese new year (spring festival)"),
        *("chinese new year's day", "chinese spring festival", "korean new year"),
    ),
)
# Holidays that give the date of Easter where Easter Sunday is none, and their days after it.
AROUND_EASTER = {"good friday": -2, "easter monday": 1}
# Years in which a holiday that is asked for must have been known.
KNOWN_YEARS = range(1950, 2051)
NAME_OF_US = "en_US"


def check_holiday(holiday: str, country: str) -> None:
    """Raise if there is no such country, or if it has no such holiday.

    Raises
    ------
    PydanticCustomError
        At the key ``country`` or ``holiday``, with the nearest name.
    """
    import holidays

    countries = holidays.list_supported_countries()
    if country not in countries:
        codes = [code for code in countries if len(code) == 2]
        close = difflib.get_close_matches(country.upper(), codes, n=1)
        known = f"did you mean {close[0]!r}? " if close else ""
        raise fail(
            f"found {country!r}, an unknown country; {known}allowed: ISO codes such as 'DE', 'GB' "
            "or 'US'",
            "country",
        )
    if not _days(holiday, country, KNOWN_YEARS):
        names = [name for name, _ in _named_days(country, KNOWN_YEARS, NAME_OF_US).values()]
        if "Easter Sunday" not in names and _days("Easter Sunday", country, KNOWN_YEARS):
            names.append("Easter Sunday")
        known = nearest(holiday, names)
        raise fail(f"found {holiday!r}, which is no holiday of {country}; {known}", "holiday")


@functools.lru_cache(maxsize=256)
def holiday_dates(holiday: str, country: str, first: int, last: int) -> tuple[str, ...]:
    """Return the ISO dates of a holiday of a country in some years.

    The date of a holiday of several days is its first day.

    Parameters
    ----------
    holiday : str
        Name of the holiday, in English or in the language of the country.
    country : str
        ISO code of the country.
    first, last : int
        First and last year.

    Examples
    --------
    >>> holiday_dates("Easter Sunday", "DE", 2024, 2025)
    ('2024-03-31', '2025-04-20')
    >>> holiday_dates("Lunar New Year", "CN", 2024, 2024)
    ('2024-02-10',)
    """
    days = set(_days(holiday, country, range(first, last + 1)))
    return tuple(str(day) for day in sorted(days) if day - timedelta(days=1) not in days)


def _days(holiday: str, country: str, years: range) -> Iterable[date]:
    """Return all days of a holiday of a country, in any order; none if it is not known."""
    wanted = _plain(holiday)
    same = next((names for names in FEASTS if wanted in names), ())
    for language in (NAME_OF_US, None):
        named = _named_days(country, years, language)
        for name in (wanted, *same, f"{wanted} day", f"{wanted} holiday"):
            if name in named:
                return named[name][1]
        for name, after in AROUND_EASTER.items() if "easter" in same else ():
            if name in named:
                return [day - timedelta(days=after) for day in named[name][1]]
    return ()


@functools.lru_cache(maxsize=64)
def _named_days(
    country: str, years: range, language: str | None
) -> dict[str, tuple[str, list[date]]]:
    """Return name and days of every holiday of a country, by its name in small letters.

    Parameters
    ----------
    country : str
        ISO code of the country.
    years : range
        Years.
    language : str or None
        Language of the names; None for that of the country.
    """
    import holidays

    calendar = holidays.country_holidays(country)
    spoken = language if language in calendar.supported_languages else calendar.default_language
    found = holidays.country_holidays(
        country,
        years=years,
        # The day itself, not the weekday on which people have off for it.
        observed=False,
        language=spoken,
        categories=calendar.supported_categories,
    )
    named: dict[str, tuple[str, list[date]]] = {}
    for day, names in found.items():
        for name in names.split("; "):
            named.setdefault(_plain(name), (name, []))[1].append(day)
    return named


def _plain(name: str) -> str:
    """Return a name in small letters, without the remark that its date is an estimate."""
    text = " ".join(name.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").casefold().split())
    return re.sub(r" \(estimated\)$", "", text)
