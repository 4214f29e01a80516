"""Columns of cells as numbers, dates and names."""

from __future__ import annotations

import datetime
import math
import re
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from mmm_xgen.frames.statistics import BoolArray, FloatArray

DateArray = NDArray[np.datetime64]

# float() takes more than this: "1_000", and the digits of other scripts.
_NUMBER = re.compile(
    r"\s*[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)\s*", re.ASCII | re.IGNORECASE
)
# Texts that pandas reads as missing. Robyn's "na" is not among them.
_MISSING = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"}
    | {"<NA>", "N/A", "NA", "NULL", "NaN", "NaT", "None", "n/a", "nan", "null"}
)
# The year comes first. pandas would take "now" and a year alone as well.
_ISO_DATE = re.compile(r"\d{4}(\d{4}|([-/. \\])\d\d?(\2\d\d?)?)([T ]\d\d[:\d.]*)?", re.ASCII)
# A time zone as ISO 8601 writes it: after a time of day, at the end of the text.
_TIME_ZONE = re.compile(r"(?<=[T ])(\d\d[\d:.]*) ?(?:Z|[+-]\d\d(?::?\d\d)?)\Z", re.ASCII)
_OTHER_FORMATS = ("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y")
# Dates that datetime64[ns] holds in whole years.
_FIRST, _END = np.datetime64("1678-01-01", "s"), np.datetime64("2262-01-01", "s")
# Python does not write an integer of more than 4300 digits.
_MAX_BITS = 14_000


def is_missing(cell: Any) -> bool:
    """Return True for None, NaN, NaT, pandas.NA and blank text."""
    if isinstance(cell, str):
        return not cell.strip()
    if isinstance(cell, Decimal):  # pandas raises for a signalling NaN
        return cell.is_nan()
    return types.is_scalar(cell) and bool(pd.isna(cell))


def text_of(cell: Any) -> str | None:
    """Text of a cell, dates in ISO format; None if the cell is missing or blank.

    Examples
    --------
    >>> text_of(pd.Timestamp("2024-01-31")), text_of(7), text_of(" ")
    ('2024-01-31T00:00:00', '7', None)
    """
    if is_missing(cell):
        return None
    if isinstance(cell, datetime.date):
        return cell.isoformat()
    if isinstance(cell, int) and cell.bit_length() > _MAX_BITS:
        return "a number of thousands of digits"
    return str(cell)


def read_names(cells: pd.Series[Any]) -> NDArray[np.object_]:
    """Names in a column; None where the name is missing or blank.

    The text ``NA`` is a name: it may be Namibia or North America.
    """
    names = np.empty(len(cells), dtype=object)
    names[:] = [text_of(cell) for cell in cells.astype(object)]
    return names


def read_numbers(
    cells: pd.Series[Any], *, is_text: bool, strict: bool = False
) -> tuple[FloatArray, BoolArray]:
    """Numbers in a column, and which cells hold something else.

    Parameters
    ----------
    cells : Series
        The column.
    is_text : bool
        True if text is how numbers are written, as in a CSV file.
    strict : bool
        True if booleans are not numbers.

    Returns
    -------
    values : ndarray of float64
        NaN where a cell is missing or not a number.
    other : ndarray of bool
        True where a cell is there and is not a number.

    Examples
    --------
    >>> values, other = read_numbers(pd.Series(["1.5", "", "na"]), is_text=True)
    >>> values.tolist(), other.tolist()
    ([1.5, nan, nan], [False, False, True])
    """
    dtype = cells.dtype
    is_bool = types.is_bool_dtype(dtype)
    if (is_bool and not strict) or (
        types.is_numeric_dtype(dtype) and not (is_bool or types.is_complex_dtype(dtype))
    ):
        return cells.to_numpy(np.float64, na_value=np.nan), np.zeros(len(cells), dtype=np.bool_)
    numbers = [_number(cell, is_text, strict) for cell in cells.astype(object)]
    values = np.array([number for number, _ in numbers], dtype=np.float64)
    return values, np.array([other for _, other in numbers], dtype=np.bool_)


def _number(cell: Any, is_text: bool, strict: bool) -> tuple[float, bool]:
    """Value of a cell, and True if it is not a number."""
    if isinstance(cell, str):
        if _NUMBER.fullmatch(cell):
            return float(cell), not is_text
        return math.nan, not (is_text and cell.strip() in _MISSING)
    if is_missing(cell):
        return math.nan, False
    is_bool = isinstance(cell, bool | np.bool_)
    if not isinstance(cell, Real | Decimal | np.bool_) or (is_bool and strict):
        return math.nan, True
    try:
        return float(cell), False
    except OverflowError:
        return (math.inf if cell > 0 else -math.inf), False  # type: ignore[operator]


def read_dates(
    cells: pd.Series[Any], *, form: str | None = None, strict: bool = False
) -> tuple[DateArray, BoolArray]:
    """Dates in a column, and which cells hold something else.

    Parameters
    ----------
    cells : Series
        Dates, or text of the form YYYY-MM-DD or YYYYMMDD.
    form : str, optional
        Format of text, as in `datetime.datetime.strptime`.
    strict : bool
        If False, a time zone is dropped, and text is read in another format if just one reads
        most of it. If True, a date with a time zone or a time of day is not a date.

    Returns
    -------
    dates : ndarray of datetime64[s]
        NaT where a cell is missing or not a date.
    other : ndarray of bool
        True where a cell is there and is not a date of the years 1678 to 2261.

    Examples
    --------
    >>> dates, other = read_dates(pd.Series(["2024-01-31", "", "soon"]))
    >>> str(dates[0])[:10], other.tolist()
    ('2024-01-31', [False, False, True])
    """
    if isinstance(cells.dtype, pd.PeriodDtype):
        cells = cells.dt.to_timestamp()
    if isinstance(cells.dtype, pd.DatetimeTZDtype) and not strict:
        cells = cells.dt.tz_localize(None)
    if isinstance(cells.dtype, np.dtype) and cells.dtype.kind == "M":
        moments = cells.to_numpy()
        there = ~np.isnat(moments)
    else:
        objects = cells.astype(object).tolist()
        texts = [text_of(cell) for cell in objects]
        if all(isinstance(cell, datetime.date) for cell in objects):
            form = None  # a format says how to read text
        codes, unique = pd.factorize(
            np.array([None if text in _MISSING else text for text in texts], dtype=object)
        )
        there = codes >= 0
        moments = np.append(_parse(list(unique), form, strict), np.datetime64("NaT"))[codes]
    dates = moments.astype("datetime64[s]")
    right = (dates >= _FIRST) & (dates < _END)
    if strict:
        right &= dates.astype("datetime64[D]") == moments
    return np.where(right, dates, np.datetime64("NaT")), there & ~right


def _parse(texts: list[str], form: str | None, strict: bool) -> DateArray:
    """Read texts in a format, or as ISO dates and then in the one format that reads most others.

    If two formats read as many and not the same dates, neither is taken: which of them was meant
    is not guessed.
    """
    if form is not None:
        return _in_format(texts, form)
    # The day is that of the local clock, as it is of dates with a time zone.
    plain = texts if strict else [_TIME_ZONE.sub(r"\1", text) for text in texts]
    iso = [text if _ISO_DATE.fullmatch(text) else None for text in plain]
    parsed = _in_format(iso, "ISO8601")
    left = np.isnat(parsed)
    if left.any() and not strict:
        others = [text for text, is_left in zip(plain, left, strict=True) if is_left]
        tries = [_in_format(others, other) for other in _OTHER_FORMATS]
        unread = [int(np.isnat(dates).sum()) for dates in tries]
        best = [dates for dates, count in zip(tries, unread, strict=True) if count == min(unread)]
        if all(np.array_equal(dates, best[0], equal_nan=True) for dates in best):
            parsed[left] = best[0]
    return parsed


def _in_format(texts: list[Any], form: str) -> DateArray:
    parsed = pd.to_datetime(pd.Series(texts, dtype=object), format=form, errors="coerce")
    return np.array(parsed)
