"""The frequency that dates follow, and the first date that breaks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmm_xgen.kernels.calendar import ANCHORS, Dates, frequency_code

WEEKLY = tuple(f"W-{day}" for day in ANCHORS)
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


def fitted_frequency(dates: Dates, allowed: Sequence[str]) -> tuple[str, Misfit | None]:
    """Frequency that most dates follow and, unless they all follow it, the first that does not.

    Parameters
    ----------
    dates : array of datetime64, dims (date,)
        Different dates, ascending; two or more unless one frequency is allowed.
    allowed : sequence of str
        Frequencies to choose from, as pandas writes them. The first wins a tie.

    Examples
    --------
    >>> fitted_frequency(np.array(["2024-01-01", "2024-01-08"], "datetime64[D]"), GENERATED)
    ('W-MON', None)
    """
    days = [str(date)[:10] for date in dates]
    grids = {freq: _grid(dates, freq) for freq in allowed}
    # Position of every date among those of a frequency, -1 for none.
    places = {freq: grid.get_indexer(pd.DatetimeIndex(dates)) for freq, grid in grids.items()}
    in_step = {
        freq: int(((np.diff(place) == 1) & (place[:-1] >= 0)).sum())
        for freq, place in places.items()
    }
    freq = max(in_step, key=lambda each: in_step[each])
    place, steps = places[freq], np.diff(dates).astype("timedelta64[D]").astype(int)
    if not in_step[freq] and len(allowed) > 1:
        found = f"{days[1]} is {steps[0]} days after {days[0]}"
        return "", Misfit(1, f"{found}, allowed: {_listed(allowed)}")
    off = np.flatnonzero(place < 0)
    if off.size:
        first = int(off[0])
        after = f" ({steps[first - 1]} days after {days[first - 1]})" if first else ""
        return freq, Misfit(first, f"found {days[first]}{after}, which is not a date of {freq!r}")
    gaps = np.flatnonzero(np.diff(place) > 1)
    if gaps.size:
        before = int(gaps[0])
        missing = str(grids[freq][place[before] + 1])[:10]
        following = f"is missing after this row (the next is {days[before + 1]})"
        return freq, Misfit(before, f"{missing} {following}; the frequency is {freq!r}")
    return freq, None


def declared_frequency(text: str, dates: Dates) -> str:
    """Code of a frequency in words or letters; a week without its day begins as the dates do.

    Examples
    --------
    >>> declared_frequency("weekly", np.array(["2024-01-02"], "datetime64[D]"))
    'W-TUE'
    """
    code = frequency_code(text)
    return f"W-{ANCHORS[pd.Timestamp(dates[0]).weekday()]}" if code == "W" else code


def _grid(dates: Dates, freq: str) -> pd.DatetimeIndex:
    return pd.date_range(dates[0], dates[-1], freq=freq)


def _listed(allowed: Sequence[str]) -> str:
    if set(allowed) == set(GENERATED):
        return "daily, weekly, monthly (on the first of the month)"
    return ", ".join(map(repr, allowed))
