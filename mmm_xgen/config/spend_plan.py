"""Where the dates, geos, channels and controls are in a user's own media plan."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Any

from pydantic import field_validator

from mmm_xgen.config.base import FrozenConfig
from mmm_xgen.kernels.calendar import FREQUENCIES, frequency_code

Selection = dict[str, str] | tuple[str, ...] | str | None


class SpendPlanConfig(FrozenConfig):
    """Short mapping that says where things are in a media plan.

    A plan is *wide* by default: it has one row per date and geo, and one column per channel. If
    `channel` is set, the plan is *long*: it has one row per date, geo and channel. Ambiguous
    entries are refused, not guessed: the order of day and month, or a missing amount.

    Parameters
    ----------
    date : str, default "date"
        Column of the dates.
    geo : str, optional
        Column of the geos. None: the plan has one geo, called `national_name`.
    national_name : str, default "national"
        Name of the one geo of a plan without a geo column.
    channels : mapping, list of str or str, optional
        Columns of spend or, in a long plan, entries of the column `channel`. A mapping from the
        channel's name to its column (``{"tv": "tv_S"}``), a list of columns, or a pattern
        in which one ``*`` stands for the name (``"*_S"``). None: in a wide plan, columns named as
        in this package's own export (``x1-TV``); in a long plan, all channels.
    controls : mapping, list of str or str, optional
        Columns of controls, in the same forms. None: columns named as in this package's own
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
        try:
            written = datetime.datetime(2024, 1, 31).strftime(value)
            datetime.datetime.strptime(written, value)
        except ValueError:
            written = ""
        # Without a year strptime makes it 1900, and a zone would move days.
        if not written or not re.search("%[YyG]", value) or re.search("%[zZ]", value):
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
        if not isinstance(value, Mapping | list | tuple):
            raise ValueError("a mapping of names to columns, a list of columns, or a pattern")
        columns = list(value.values() if isinstance(value, Mapping) else value)
        if any(not isinstance(text, str) or not text for text in (*value, *columns)):
            raise ValueError("names and columns that are texts and not empty")
        if len(set(columns)) < len(columns):
            raise ValueError("each column once")
        return dict(value) if isinstance(value, Mapping) else tuple(value)

    @field_validator("channels")
    @classmethod
    def _any_channel(cls, value: Selection) -> Selection:
        if value is not None and not value:
            raise ValueError("at least one channel; leave the key out to take them all")
        return value
