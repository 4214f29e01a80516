"""Calendar: the dates of a dataset, for patterns, seasons and events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.kernels.domain import FloatArray

DAYS_IN_YEAR = 365.25
# Day of the year on which a seasonal curve of phase 0 peaks: the first of July.
PEAK_DAY = 182.0

Step = Literal["day", "week", "month", "quarter", "year"]
Dates = NDArray[np.datetime64]


class Period(NamedTuple):
    """Length of a period, in days or in months, and the numbers that depend on it.

    `l_max` is the default number of adstock weights: eight weeks or three months. A campaign
    lasts four weeks or three months. The seasons are the numbers of periods after which data
    repeat: 364 days are 52 whole weeks, so that the two seasons of daily data fit into each other.
    """

    days: int = 0
    months: int = 0
    l_max: int = 0
    campaign: int = 0
    seasons: tuple[int, ...] = ()

    @property
    def mean_days(self) -> float:
        """Mean length in days."""
        return float(self.days or self.months * DAYS_IN_YEAR / 12)


PERIODS: dict[Step, Period] = {
    "day": Period(days=1, l_max=56, campaign=28, seasons=(7, 364)),
    "week": Period(days=7, l_max=8, campaign=4, seasons=(52,)),
    "month": Period(months=1, l_max=3, campaign=3, seasons=(12,)),
    "quarter": Period(months=3, seasons=(4,)),
    "year": Period(months=12),
}

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# Days of the week as pandas writes them in a weekly frequency.
ANCHORS = tuple(day[:3].upper() for day in WEEKDAYS)
WEEKLY = tuple(f"W-{day}" for day in ANCHORS)
# Frequencies that datasets are generated in, then those that they can be aggregated to.
FREQUENCIES: dict[str, Step] = {
    "D": "day",
    "W": "week",
    **dict.fromkeys(WEEKLY, "week"),
    "MS": "month",
}
STEPS: dict[str, Step] = {**FREQUENCIES, "QS": "quarter", "YS": "year"}
WORDS = {"daily": "D", "weekly": "W", "monthly": "MS"}


@dataclass(frozen=True, eq=False)
class Calendar:
    """Regular dates. The first `burn_in` of them come before the window.

    Parameters
    ----------
    dates : array of datetime64[D], dims (date,)
        First day of every period, burn-in included.
    step : {"day", "week", "month", "quarter", "year"}
        Length of a period.
    burn_in : int
        Number of periods before the window; period 0 is the first inside it.
    """

    dates: Dates
    step: Step
    burn_in: int = 0

    @property
    def n_periods(self) -> int:
        """Number of periods, burn-in included."""
        return len(self.dates)

    @cached_property
    def period(self) -> FloatArray:
        """Position of every date, 0 at the start of the window."""
        return np.arange(-self.burn_in, self.n_periods - self.burn_in, dtype=float)

    @cached_property
    def day_of_year(self) -> FloatArray:
        """Day of the year, 1 to 366, of every date."""
        days = self.dates - self.dates.astype("datetime64[Y]").astype("datetime64[D]")
        return np.asarray(days.astype(float) + 1)

    @cached_property
    def day(self) -> FloatArray:
        """Days since 1970-01-01 of every date."""
        return self.dates.astype("datetime64[D]").astype(float)

    @property
    def mean_days(self) -> float:
        """Mean length of a period in days."""
        return PERIODS[self.step].mean_days

    @property
    def default_l_max(self) -> int:
        """Default number of adstock weights: eight weeks or three months."""
        return PERIODS[self.step].l_max

    @property
    def campaign_periods(self) -> int:
        """Length of a campaign: four weeks, or three months for monthly data."""
        return PERIODS[self.step].campaign

    @property
    def quarter_periods(self) -> int:
        """Length of a quarter: 13 weeks, or three months for monthly data."""
        return {"day": 91, "week": 13, "month": 3}[self.step]

    @cached_property
    def ends(self) -> Dates:
        """Day after the last day of every period."""
        return shift(self.dates, 1, self.step)

    def window(self) -> Calendar:
        """Return the same calendar without the burn-in."""
        return Calendar(self.dates[self.burn_in :], self.step) if self.burn_in else self

    def days_since(self, moments: Dates) -> tuple[FloatArray, FloatArray]:
        """Return the days from each moment to the first and to the last day of every period.

        Parameters
        ----------
        moments : array of datetime64[D], dims (moment,)
            Days of the moments.

        Returns
        -------
        first, last : array, dims (date, moment)
            Negative before the moment. A period contains the moment if ``first <= 0 <= last``.
        """
        first = (self.dates[:, None] - moments).astype(float)
        last = (self.ends[:, None] - moments).astype(float) - 1
        return first, last

    def years(self, around: int = 1) -> NDArray[np.datetime64]:
        """Return the years of the dates, and as many more before and after them as `around`."""
        first, end = (day.astype("datetime64[Y]") for day in (self.dates[0], self.ends[-1]))
        return np.arange(first - around, end + around + 1)

    def moments(self, written: tuple[str, ...], around: int = 1) -> Dates:
        """Return the days of ISO dates, and of yearly ``"MM-DD"`` dates in `years`."""
        years = self.years(around)
        days = [
            f"{year}-{text}" if len(text) == 5 else text
            for text in written
            for year in (years if len(text) == 5 else [None])
            if text != "02-29" or year is None or is_leap(year)
        ]
        return np.array(days, dtype="datetime64[D]")


def frequency_code(text: str) -> str:
    """Return the code of a frequency, given a code or a word in upper or lower case.

    Unknown text is returned in upper case.

    Examples
    --------
    >>> frequency_code("Weekly"), frequency_code("w-sun")
    ('W', 'W-SUN')
    """
    return WORDS.get(text.lower(), text.upper())


def period_word(freq: object) -> str:
    """Return the word for one period of a frequency.

    Examples
    --------
    >>> period_word("W-SUN"), period_word("MS"), period_word("")
    ('week', 'month', 'period')
    """
    return STEPS.get(str(freq).split("-")[0], "period")


def weekday(dates: Dates | np.datetime64) -> NDArray[np.int64]:
    """Return the day of the week of every date, 0 for Monday.

    Examples
    --------
    >>> import numpy as np
    >>> weekday(np.array(["2024-01-01", "2024-01-07"], dtype="datetime64[D]"))
    array([0, 6])
    """
    # 1970-01-01 was a Thursday.
    return np.asarray((dates.astype("datetime64[D]").astype(np.int64) + 3) % 7)


def is_day(text: str) -> bool:
    """Tell if `text` is an existing ISO date, or ``"MM-DD"`` for every year.

    Examples
    --------
    >>> is_day("12-25"), is_day("2023-02-29"), is_day("christmas")
    (True, False, False)
    """
    full = f"2024-{text}" if re.fullmatch(r"\d\d-\d\d", text) else text
    if not re.fullmatch(r"[12]\d{3}-\d\d-\d\d", full):
        return False
    try:
        np.datetime64(full, "D")
    except ValueError:
        return False
    return True


def is_leap(year: np.datetime64) -> bool:
    """Tell if `year` has a 29 February."""
    length = (year + 1).astype("datetime64[D]") - year.astype("datetime64[D]")
    return bool(length == np.timedelta64(366, "D"))


def shift(dates: Dates | np.datetime64, periods: int | NDArray[np.int64], step: Step) -> Dates:
    """Move dates by numbers of periods; a date keeps its day of the month.

    Examples
    --------
    >>> import numpy as np
    >>> shift(np.array(["2024-01-01"], "datetime64[D]"), 1, "month")
    array(['2024-02-01'], dtype='datetime64[D]')
    """
    period = PERIODS[step]
    if period.days:
        return np.asarray(dates + periods * np.timedelta64(period.days, "D"))
    months = dates.astype("datetime64[M]")
    days = dates - months.astype("datetime64[D]")
    return np.asarray((months + periods * period.months).astype("datetime64[D]") + days)


def regular(start: np.datetime64, n_periods: int, step: Step, burn_in: int = 0) -> Calendar:
    """Return a calendar of `n_periods` from `start`, with `burn_in` more before it.

    Examples
    --------
    >>> import numpy as np
    >>> regular(np.datetime64("2024-01-01"), 2, "week", burn_in=1).dates
    array(['2023-12-25', '2024-01-01', '2024-01-08'], dtype='datetime64[D]')
    """
    positions = np.arange(-burn_in, n_periods)
    return Calendar(shift(start.astype("datetime64[D]"), positions, step), step, burn_in)
