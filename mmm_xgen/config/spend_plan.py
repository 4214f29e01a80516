"""Where the dates, geos, channels and controls are in a user's own media plan."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import field_validator

from mmm_xgen.config.base import FrozenConfig
from mmm_xgen.kernels.calendar import FREQUENCIES, frequency_code

Selection = dict[str, str] | tuple[str, ...] | str | None


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
        if value is None:
            return value
        # Without a year strptime makes it 1900, and a zone would move days.
        usable = re.search("%[YyG]", value) and not re.search("%[zZ]", value)
        try:
            day = datetime.datetime(2024, 1, 31)
            usable = usable and datetime.datetime.strptime(day.strftime(value), value)
        except ValueError:
            usable = None
        if not usable:
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
