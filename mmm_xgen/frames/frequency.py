"""The frequency that dates follow, and the first date that breaks it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mmm_xgen.kernels.calendar import ANCHORS, WEEKLY, Dates, frequency_code

# Frequencies that datasets are generated in, then others that data come in.
GENERATED = ("D", *WEEKLY, "MS")
REGULAR = (*GENERATED, "QS", "YS", "ME", "QE", "YE", "B")


@dataclass(frozen=True)
class Misfit:
    """First date that breaks the frequency.

    Parameters
    ----------
    position : int
        Position among the different dates; of a gap, the date before it.
    message : str
        What was found and what is allowed.
    """

    position: int
    message: str


@dataclass(frozen=True, eq=False)
class Fit:
    """Dates on the grid of a frequency.

    Parameters
    ----------
    freq : str
        The frequency, as pandas writes it.
    grid : DatetimeIndex
        Dates that the frequency has from the first date to the last.
    places : ndarray of int, dims (date,)
        Position of every date in `grid`; -1 if it is not there.
    """

    freq: str
    grid: pd.DatetimeIndex
    places: NDArray[np.intp]

    @property
    def steps(self) -> NDArray[np.intp]:
        """Periods from one date to the next; 0 if one of the two is not on the grid."""
        on_grid = self.places >= 0
        return np.where(on_grid[1:] & on_grid[:-1], np.diff(self.places), 0)


def best_fit(dates: Dates, allowed: Iterable[Any]) -> Fit:
    """Frequency with most dates that are one period after another; of several, the first.

    Parameters
    ----------
    dates : array of datetime64, dims (date,)
        Different dates, ascending.
    allowed : iterable
        Frequencies that `pandas.date_range` takes.

    Examples
    --------
    >>> dates = np.array(["2024-01-01", "2024-01-08", "2024-01-22"], "datetime64[D]")
    >>> fit = best_fit(dates, REGULAR)
    >>> fit.freq, fit.steps.tolist()
    ('W-MON', [1, 2])
    """
    # The time of day is the same in regular dates, but one date may have another.
    time = most_frequent(dates - dates.astype("datetime64[D]"))
    moments = pd.DatetimeIndex(dates - time).as_unit("ns")
    best: Fit | None = None
    for freq in allowed:
        grid = pd.date_range(moments[0], moments[-1], freq=freq, normalize=True)
        fit = Fit(str(freq), grid, grid.get_indexer(moments))
        if best is None or (fit.steps == 1).sum() > (best.steps == 1).sum():
            best = fit
        if (best.steps == 1).all():
            break
    if best is None:
        raise ValueError("no frequency is allowed")
    return best


def most_frequent(values: NDArray[Any]) -> Any:
    """Most frequent value, the smallest of several.

    Examples
    --------
    >>> most_frequent(np.array([7, 1, 7, 1, 3])).item()
    1
    """
    unique, counts = np.unique(values, return_counts=True)
    return unique[counts.argmax()]


def fitted_frequency(dates: Dates, allowed: Sequence[str]) -> tuple[str, Misfit | None]:
    """Frequency that most dates follow and, unless they all follow it, the first that does not.

    Parameters
    ----------
    dates : array of datetime64, dims (date,)
        Different dates, ascending; two or more unless one frequency is allowed.
    allowed : sequence of str
        Frequencies to choose from, as pandas writes them.

    Examples
    --------
    >>> fitted_frequency(np.array(["2024-01-01", "2024-01-08"], "datetime64[D]"), GENERATED)
    ('W-MON', None)
    """
    fit = best_fit(dates, allowed)
    days, lengths = [str(date)[:10] for date in dates], np.diff(dates).astype("timedelta64[D]")
    if len(allowed) > 1 and not (fit.steps == 1).any():
        known = "daily, weekly, monthly (on the first of the month)"
        found = f"{days[1]} is {lengths[0]} after {days[0]}"
        return "", Misfit(1, f"{found}, allowed: {known}")
    for first in np.flatnonzero(fit.places < 0)[:1].tolist():
        after = f" ({lengths[first - 1]} after {days[first - 1]})" if first else ""
        message = f"found {days[first]}{after}, which is not a date of {fit.freq!r}"
        return fit.freq, Misfit(first, message)
    for before in np.flatnonzero(fit.steps > 1)[:1].tolist():
        missing = str(fit.grid[fit.places[before] + 1])[:10]
        found = f"{missing} is missing after this row (the next is {days[before + 1]})"
        return fit.freq, Misfit(before, f"{found}; the frequency is {fit.freq!r}")
    return fit.freq, None


def declared_frequency(text: str, dates: Dates) -> str:
    """Code of a frequency in words or letters; a week without its day begins as the dates do.

    Examples
    --------
    >>> declared_frequency("weekly", np.array(["2024-01-02"], "datetime64[D]"))
    'W-TUE'
    """
    code = frequency_code(text)
    return f"W-{ANCHORS[pd.Timestamp(dates[0]).weekday()]}" if code == "W" else code
