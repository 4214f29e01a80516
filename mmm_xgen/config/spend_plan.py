"""Where the dates, geos, channels and controls are in a user's own media plan."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from mmm_xgen.config.base import FrozenConfig
from mmm_xgen.config.names import label
from mmm_xgen.errors import SchemaError
from mmm_xgen.kernels.calendar import ANCHORS, FREQUENCIES, Dates, frequency_code, weekday

Selection = dict[str, str] | tuple[str, ...] | str | None

_STEPS = "allowed: daily, weekly, monthly (on the first of the month)"


class SpendPlanConfig(FrozenConfig):
    """Short mapping that says where things are in a media plan.

    A plan is *wide* (one row per date and geo, one column per channel) unless `channel` is
    set: then it is *long* (one row per date, geo and channel). Nothing in it is guessed that
    could be guessed wrongly: neither the order of day and month nor a missing amount.

    Parameters
    ----------
    date : str, default "date"
        Column of the dates.
    geo : str, optional
        Column of the geos. None: the plan is of one geo, called `national_name`.
    national_name : str, default "national"
        Name of the one geo of a plan without a geo column.
    channels : mapping, list of str or str, optional
        Columns of spend (long plan: entries of the column `channel`), as a mapping from the
        channel's name to its column (``{"tv": "tv_S"}``), a list of columns, or a pattern
        with one ``*`` that stands for the name (``"*_S"``). None: wide columns named like
        this package's own export (``x1-TV``); all the channels of a long plan.
    controls : mapping, list of str or str, optional
        Columns of controls, in the same forms. None: columns named like this package's own
        export (``c1-Price``), if there are any. An empty list: no controls.
    channel : str, optional
        Long plan: column of the channel's name.
    spend : str, default "spend"
        Long plan: column of the amount, currency per period.
    freq : str, optional
        ``"D"``, ``"W"``, ``"W-MON"`` to ``"W-SUN"``, ``"MS"``, or the words ``"daily"``,
        ``"weekly"``, ``"monthly"``. None: inferred from the dates.
    date_format : str, optional
        Format of the dates as in `datetime.datetime.strptime` (``"%d/%m/%Y"``). None: ISO.

    Examples
    --------
    >>> SpendPlanConfig(date="DATE", channels="*_S", freq="weekly").freq
    'W'
    """

    date: str = "date"
    geo: str | None = None
    national_name: str = "national"
    channels: Selection = None
    controls: Selection = None
    channel: str | None = None
    spend: str = "spend"
    freq: str | None = None
    date_format: str | None = None

    @field_validator("date", "geo", "national_name", "channel", "spend", "date_format")
    @classmethod
    def _not_empty(cls, value: str | None) -> str | None:
        if value == "":
            raise ValueError("a text that is not empty")
        return value

    @field_validator("date_format")
    @classmethod
    def _says_the_year(cls, value: str | None) -> str | None:
        # Without a year strptime makes it 1900, and a zone would move days.
        if value is not None and (not re.search("%[YyG]", value) or re.search("%[zZ]", value)):
            raise ValueError("a format with a year and without a time zone ('%d/%m/%Y')")
        return value

    @field_validator("freq", mode="before")
    @classmethod
    def _known_frequency(cls, value: Any) -> str | None:
        if value is None:
            return None
        code = frequency_code(value) if isinstance(value, str) else None
        if code not in FREQUENCIES:
            raise ValueError("'D', 'W', 'W-MON' to 'W-SUN', 'MS', 'daily', 'weekly', 'monthly'")
        return code

    @field_validator("channels", "controls", mode="before")
    @classmethod
    def _one_form(cls, value: Any) -> Selection:
        if value is None:
            return None
        if isinstance(value, str):
            if value.count("*") != 1:
                raise ValueError("a pattern with one '*' (\"*_S\"), a list or a mapping")
            return value
        if isinstance(value, Mapping):
            _texts([*value, *value.values()])
            _different(value.values())
            return dict(value)
        if isinstance(value, list | tuple):
            _texts(value)
            _different(value)
            return tuple(value)
        raise ValueError("a mapping of names to columns, a list of columns, or a pattern")

    @field_validator("channels")
    @classmethod
    def _any_channel(cls, value: Selection) -> Selection:
        if value is not None and not value:
            raise ValueError("at least one channel; leave the key out to take them all")
        return value


def _texts(values: Iterable[Any]) -> None:
    if any(not isinstance(value, str) or not value for value in values):
        raise ValueError("names and columns that are texts and not empty")


def _different(columns: Iterable[str]) -> None:
    columns = list(columns)
    if len(set(columns)) < len(columns):
        raise ValueError("each column once")


# What the mapping selects --------------------------------------------------------------------


def chosen_columns(
    selection: Selection, names: Iterable[str], *, field: str, own_names_only: bool
) -> dict[str, str]:
    """Label of every selected column, in the order of the source.

    Parameters
    ----------
    selection : mapping, tuple, str or None
        One of the forms of `SpendPlanConfig.channels`.
    names : iterable of str
        Columns that there are.
    field : {"channels", "controls"}
        What is selected.
    own_names_only : bool
        What None selects: columns named like this package's own export, or all.

    Raises
    ------
    SchemaError
        A column is not there, nothing is selected, or two columns get one label.

    Examples
    --------
    >>> chosen_columns("*_S", ["week", "tv_S"], field="channels", own_names_only=True)
    {'tv_S': 'tv'}
    """
    names = list(names)
    what = "column" if own_names_only else "label"
    prefix = "x" if field == "channels" else "c"
    if isinstance(selection, str):
        head, tail = (re.escape(part) for part in selection.split("*"))
        matches = {name: re.fullmatch(f"{head}(.+){tail}", name, re.DOTALL) for name in names}
        wanted = {name: match[1] for name, match in matches.items() if match}
    elif isinstance(selection, dict):
        wanted = {column: name for name, column in selection.items()}
    elif selection is None:
        own = re.compile(rf"{prefix}\d+(-.+)?" if own_names_only else ".*", re.DOTALL)
        wanted = {name: name for name in names if own.fullmatch(name)}
    else:
        wanted = {column: column for column in selection}
    for column in wanted:
        if column not in names:
            found = nearest_column(column, names)
            raise SchemaError(f"no {what} {column!r} (spend_plan.{field}); {found}")
    if not wanted and (selection or field == "channels"):
        shape = "'x1-TV'" if selection is None else repr(selection)
        found = nearest_column("", names)
        raise SchemaError(f"no {what} like {shape} (set spend_plan.{field}); {found}")
    chosen = {name: label(wanted[name], prefix, 0) or name for name in names if name in wanted}
    twice = [text for text, count in Counter(chosen.values()).items() if count > 1]
    if twice:
        twins = ", ".join(repr(name) for name in chosen if chosen[name] == twice[0])
        raise SchemaError(f"{twins} would all be called {twice[0]!r} (spend_plan.{field})")
    return chosen


def nearest_column(word: str, names: Iterable[str]) -> str:
    """Sentence that lists what there is, the nearest first when one is near.

    Examples
    --------
    >>> nearest_column("date", ["DATE", "tv_S"])
    "did you mean 'DATE'? found: 'DATE', 'tv_S'"
    """
    # Case is the commonest difference, and difflib minds it.
    names = list(names)
    folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(word.casefold(), folded, n=1)
    listing = "found: " + (", ".join(map(repr, names)) or "none")
    return f"did you mean {folded[close[0]]!r}? {listing}" if close else listing


# What the dates say ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Misfit:
    """First date that breaks the frequency, and what to say about it.

    Parameters
    ----------
    position : int
        Position among the different dates; of a gap, the date before it.
    message : str
        What was found and what is allowed.
    is_gap : bool
        Whether something is missing after the date.
    """

    position: int
    message: str
    is_gap: bool = False


def fitted_frequency(dates: Dates, declared: str | None = None) -> tuple[str, Misfit | None]:
    """Frequency of dates and, unless they all fit it, the first that does not.

    Parameters
    ----------
    dates : array of datetime64[D], dims (date,)
        Different dates, ascending.
    declared : str, optional
        Frequency that they should have. None: inferred, as monthly when all are the first of
        a month, weekly when all are on one weekday, else daily when most steps are one day.

    Examples
    --------
    >>> fitted_frequency(np.array(["2024-01-01", "2024-01-08"], "datetime64[D]"))
    ('W-MON', None)
    """
    if len(dates) < 2:
        return "", Misfit(0, f"found one date only ({dates[0]}), allowed: 2 or more")
    days = weekday(dates)
    anchor = ANCHORS[days[0]]
    is_first = dates == dates.astype("datetime64[M]")
    if declared is not None:
        freq = f"W-{anchor}" if declared == "W" else declared
        off = ~is_first if freq == "MS" else np.zeros(len(dates), dtype=bool)
        if freq.startswith("W-"):
            off = days != ANCHORS.index(freq[2:])
        if off.any():
            position = int(off.argmax())
            return freq, Misfit(position, f"found {dates[position]}, which is no date of {freq!r}")
        return freq, _gap(dates, freq)
    steps = np.diff(dates).astype(int)
    if is_first.all():
        freq, units = "MS", np.diff(dates.astype("datetime64[M]")).astype(int)
    elif (steps % 7 == 0).all():
        freq, units = f"W-{anchor}", steps // 7
    else:
        freq, units = "D", steps
        misfit = _mixture(dates, steps, is_first)
        if misfit is not None:
            return freq, misfit
    if 1 not in units:
        found = f"found steps of {steps[0]} days (from {dates[0]} to {dates[1]})"
        return freq, Misfit(1, f"{found}, {_STEPS}")
    return freq, _gap(dates, freq)


def _gap(dates: Dates, freq: str) -> Misfit | None:
    """Find the first date after which one is missing."""
    if freq == "MS":
        following = (dates.astype("datetime64[M]") + 1).astype("datetime64[D]")
    else:
        following = dates + np.timedelta64(1 if freq == "D" else 7, "D")
    missing = following[:-1] != dates[1:]
    if not missing.any():
        return None
    position = int(missing.argmax())
    found = f"{following[position]} is missing after this row (the next is {dates[position + 1]})"
    return Misfit(position, f"{found}; the frequency is {freq!r}", is_gap=True)


def _mixture(dates: Dates, steps: NDArray[np.int64], is_first: NDArray[np.bool_]) -> Misfit | None:
    """Find where dates that are neither monthly nor weekly are not daily either."""
    if steps.min() >= 28 and steps.max() <= 31:
        position = int((~is_first).argmax())
        found = f"found {dates[position]} in monthly dates"
        return Misfit(position, f"{found}, allowed: the first of the month")
    # Months are of one length here.
    lengths = np.where((steps >= 28) & (steps <= 31), 30, steps)
    counts = Counter(lengths.tolist())
    usual = min(counts, key=lambda length: (-counts[length], length))
    odd = lengths != usual
    if usual == 1:
        # One step of seven days is a gap of daily dates; two in a row are weekly dates.
        weekly = steps == 7
        odd = weekly & np.append(weekly[1:], False)
    if not odd.any():
        return None
    position = int(odd.argmax()) + 1
    found = f"{dates[position]} is {steps[position - 1]} days after {dates[position - 1]}"
    most = "a month" if usual == 30 else f"{usual} days"
    message = f"a mixture of frequencies: {found}, where most steps are {most}; {_STEPS}"
    return Misfit(position, message)
