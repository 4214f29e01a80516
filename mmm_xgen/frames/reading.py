"""Read any Dataset or wide frame, however broken, into a `Panel`."""

from __future__ import annotations

import re
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from pandas.api import types

from mmm_xgen.errors import SchemaError
from mmm_xgen.frames.panel import DateArray, Layout, Panel
from mmm_xgen.frames.statistics import BoolArray, FloatArray

NATIONAL = "national"
_CHANNEL = re.compile(r"x\d*-.*|x\d+", re.DOTALL)
_CONTROL = re.compile(r"c\d*-.*|c\d+", re.DOTALL)
# Variable, role, label dim. The order is that of the figures.
_MODELLING = (("y", "y", None), ("spend", "channel", "channel"))
_OPTIONAL = (("control_value", "control", "control"),)
_MAX_BITS = 14_000
_DATE_FORMATS = ("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y")
# What stands between a time of day and the end of the text, as ISO 8601 writes a time zone.
_TIME_ZONE = re.compile(r"(?<=[T ])(\d\d[\d:.]*) ?(?:Z|[+-]\d\d(?::?\d\d)?)\Z", re.ASCII)


def read(data: object) -> Panel:
    """Read a Dataset or a wide frame.

    Parameters
    ----------
    data : xarray.Dataset or pandas.DataFrame
        The data, in any state.

    Returns
    -------
    Panel

    Raises
    ------
    SchemaError
        If `data` is neither.

    Examples
    --------
    >>> import pandas as pd
    >>> read(pd.DataFrame({"date": ["2022-01-03"], "y": [1.0], "x1-TV": [2.0]})).names
    ('y', 'x1-TV')
    """
    if isinstance(data, xr.Dataset):
        return _read_dataset(data)
    if isinstance(data, pd.DataFrame):
        return _read_frame(data)
    raise SchemaError(
        f"found a {type(data).__name__}, needed: an xarray.Dataset with spend (date, geo, channel) "
        "and y (date, geo), or a wide pandas.DataFrame with columns date, geo, y, x1-..., c1-..."
    )


def _read_frame(frame: pd.DataFrame) -> Panel:
    labels = tuple(str(label) for label in frame.columns)
    first = {label: position for position, label in reversed(list(enumerate(labels)))}
    variables = [
        (label, role)
        for role, test in (
            ("y", re.compile("y")),
            ("channel", _CHANNEL),
            ("control", _CONTROL),
        )
        for label in dict.fromkeys(labels)
        if test.fullmatch(label)
    ]
    names = tuple(name for name, _ in variables)
    roles = np.array([role for _, role in variables], dtype=np.str_)
    columns = [_numbers(frame.iloc[:, first[name]]) for name in names]
    date = _key(frame, "date", first)
    geo = _key(frame, "geo", first)
    dates, unparsable = _dates(date, len(frame))
    absent = [
        name for name, there in (("date", date is not None), ("y", "y" in names)) if not there
    ]
    absent += [] if "channel" in roles else ["x1-<channel>"]
    known = {"date", "geo", *names}
    objects = (
        name
        for name, (_, text) in zip(names, columns, strict=True)
        if types.is_object_dtype(frame.iloc[:, first[name]].dtype) and not text.any()
    )
    return Panel(
        names=names,
        roles=roles,
        cells=_stack([values for values, _ in columns], len(frame), np.float64),
        text=_stack([text for _, text in columns], len(frame), np.bool_),
        dates=dates,
        raw_dates=_as_objects(date, len(frame)),
        unparsable=unparsable,
        geos=_geo_texts(geo, len(frame)),
        layout=Layout(
            labels=labels,
            absent=tuple(absent),
            unexpected=tuple(label for label in dict.fromkeys(labels) if label not in known),
            objects=tuple(objects),
        ),
    )


def _key(frame: pd.DataFrame, name: str, first: dict[str, int]) -> pd.Index[Any] | None:
    """Find date or geo among the columns, then among the index levels."""
    if name in first:
        return _labels(frame.iloc[:, first[name]])
    if name in frame.index.names:
        level: pd.Index[Any] = frame.index.get_level_values(name)
        return level
    if name == "date" and isinstance(frame.index, pd.DatetimeIndex):
        return frame.index
    return None


def _read_dataset(dataset: xr.Dataset) -> Panel:
    n_dates, n_geos = dataset.sizes.get("date", 0), dataset.sizes.get("geo", 1)
    blocks = [_block(dataset, *entry) for entry in (*_MODELLING, *_OPTIONAL)]
    found = [block for block in blocks if block is not None]
    names = tuple(name for block in found for name in block[0])
    roles = np.array([block[1] for block in found for _ in block[0]], dtype=np.str_)
    shape = (n_dates * n_geos, len(names))
    cells = _join([block[2] for block in found], shape, np.float64)
    text = _join([block[3] for block in found], shape, np.bool_)
    date = _labels(pd.Series(dataset["date"].values)) if _has_labels(dataset, "date") else None
    geo = (
        _labels(pd.Series(np.atleast_1d(dataset["geo"].values)))
        if "geo" in dataset.coords
        else None
    )
    dates, unparsable = _dates(date, n_dates)
    if len(geo if geo is not None else [NATIONAL]) != n_geos:
        geo = pd.RangeIndex(n_geos)
    geos = _geo_texts(geo, n_geos)
    rows = _rows_with_data(cells, roles, (n_dates, n_geos))
    absent = [name for name, *_ in _MODELLING if name not in dataset.variables]
    return Panel(
        names=names,
        roles=roles,
        cells=cells[rows],
        text=text[rows],
        dates=np.repeat(dates, n_geos)[rows],
        raw_dates=np.repeat(_as_objects(date, n_dates), n_geos)[rows],
        unparsable=np.repeat(unparsable, n_geos)[rows],
        geos=np.tile(geos, n_dates)[rows],
        layout=Layout(
            labels=tuple(
                f"{dim} {label}"
                for dim in ("channel", "control")
                if _has_labels(dataset, dim)
                for label in dataset[dim].values.tolist()
            ),
            absent=(*(["date"] if date is None else []), *absent),
            misshapen=_misshapen(dataset),
            objects=tuple(
                name
                for name, role, _ in (*_MODELLING, *_OPTIONAL)
                if name in dataset.variables
                and types.is_object_dtype(dataset[name].dtype)
                and not text[:, roles == role].any()
            ),
        ),
        dataset=dataset,
    )


_Block = tuple[tuple[str, ...], str, FloatArray, BoolArray]


def _block(dataset: xr.Dataset, name: str, role: str, label_dim: str | None) -> _Block | None:
    """Values of one variable as (date, geo, label), with its label names; None if unusable."""
    if name not in dataset.variables or not _usable_dims(dataset[name], label_dim):
        return None
    dims = ["date", "geo", *([label_dim] if label_dim else [])]
    shape = tuple(dataset.sizes.get(dim, 1) for dim in dims)
    array = dataset[name].variable.transpose(*(dim for dim in dims if dim in dataset[name].dims))
    lacking = [position for position, dim in enumerate(dims) if dim not in array.dims]
    block = np.broadcast_to(np.expand_dims(np.asarray(array.values), lacking), shape)
    values, text = _numbers(pd.Series(block.ravel()))
    n_labels = shape[2] if label_dim else 1
    labels: tuple[str, ...] = (name,)
    if label_dim:
        given = dataset[label_dim].values if label_dim in dataset.coords else ()
        labels = tuple(str(label) for label in np.atleast_1d(given))
        if len(labels) != n_labels:
            labels = tuple(f"{name}[{position}]" for position in range(n_labels))
    flat = (shape[0] * shape[1], n_labels)
    return labels, role, values.reshape(flat), text.reshape(flat)


def _usable_dims(array: xr.DataArray, label_dim: str | None) -> bool:
    return "date" in array.dims and set(array.dims) <= {"date", "geo", label_dim}


def _misshapen(dataset: xr.Dataset) -> tuple[str, ...]:
    """Variables with a dim too many or too few; a control may be the same for all geos."""
    wrong = []
    for name, role, label_dim in (*_MODELLING, *_OPTIONAL):
        if name not in dataset.variables:
            continue
        array = dataset[name]
        needed = {"date"} | ({label_dim} - set(dataset.coords) - {None} if label_dim else set())
        if "geo" in dataset.dims and role != "control":
            needed |= {"geo"}
        if not _usable_dims(array, label_dim) or not needed <= set(array.dims):
            wrong.append(f"{name} ({', '.join(map(str, array.dims))})")
    return tuple(wrong)


def _has_labels(dataset: xr.Dataset, dim: str) -> bool:
    return dim in dataset.coords and dataset[dim].dims == (dim,)


def _rows_with_data(
    cells: FloatArray, roles: NDArray[np.str_], shape: tuple[int, int]
) -> BoolArray:
    """Leave out (date, geo) cells that a Dataset only has because it is rectangular.

    A date on which every geo is empty was measured and lost, so it stays.
    """
    empty: BoolArray = np.isnan(cells[:, roles != "control"]).all(axis=1).reshape(shape)
    padding: BoolArray = empty & ~empty.all(axis=1, keepdims=True)
    return ~padding.ravel()


def _join(blocks: list[Any], shape: tuple[int, int], dtype: type) -> NDArray[Any]:
    return np.concatenate(blocks, axis=1) if blocks else np.zeros(shape, dtype=dtype)


def _stack(columns: list[Any], n_rows: int, dtype: type) -> NDArray[Any]:
    return np.column_stack(columns) if columns else np.zeros((n_rows, 0), dtype=dtype)


def _numbers(values: pd.Series[Any]) -> tuple[FloatArray, BoolArray]:
    """Values as floats, and which of them were something other than a number."""
    dtype = values.dtype
    if types.is_bool_dtype(dtype) or (
        types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype)
    ):
        floats = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return floats, np.zeros(len(values), dtype=np.bool_)
    objects = _as_objects(_labels(values), len(values))
    numeric = np.array([isinstance(item, Real | Decimal | np.bool_) for item in objects], np.bool_)
    floats = np.array([_float(item) for item in objects], dtype=np.float64)
    unreadable = np.isnan(floats) & ~pd.isna(objects)
    return floats, (~numeric & ~pd.isna(objects)) | unreadable


def _float(item: object) -> float:
    if not isinstance(item, Real | Decimal | str | np.bool_):
        return float("nan")
    try:
        return float(item)
    except (ValueError, OverflowError):
        return float("nan")


def _labels(values: pd.Series[Any]) -> pd.Index[Any]:
    if values.dtype == np.float16:  # which pandas takes in columns and not in an index
        values = values.astype(np.float64)
    # Objects stay objects: pandas 2 would guess their type, and overflow on a huge integer.
    dtype = object if values.dtype == object else None
    labels: pd.Index[Any] = pd.Index(values, dtype=dtype, tupleize_cols=False)
    return labels


def _geo_texts(geo: pd.Index[Any] | None, n_rows: int) -> NDArray[np.object_]:
    if geo is None:
        return np.full(n_rows, NATIONAL, dtype=object)
    objects = _as_objects(geo, n_rows)
    texts = np.array([str(item) for item in objects], dtype=object)
    return np.where(pd.isna(objects), np.array(None, dtype=object), texts)


def _as_objects(values: pd.Index[Any] | None, n_rows: int) -> NDArray[np.object_]:
    if values is None:
        return np.full(n_rows, None, dtype=object)
    objects = np.array(values.astype(object), dtype=object)
    for position, item in enumerate(objects):
        # pandas raises for a signalling NaN where it should say that it is missing.
        if isinstance(item, Decimal) and item.is_nan():
            objects[position] = None
        # Python refuses to write an integer of more than 4300 digits.
        elif isinstance(item, int) and item.bit_length() > _MAX_BITS:
            objects[position] = float("inf") if item > 0 else float("-inf")
    return objects


def _dates(values: pd.Index[Any] | None, n_rows: int) -> tuple[DateArray, BoolArray]:
    """Dates as datetime64[s], and which of them are there but cannot be read."""
    nothing = np.full(n_rows, "NaT", dtype="datetime64[s]")
    if values is None:
        return nothing, np.zeros(n_rows, dtype=np.bool_)
    if isinstance(values, pd.PeriodIndex):
        values = values.to_timestamp()
    if isinstance(values, pd.DatetimeIndex):
        naive = values.tz_localize(None) if values.tz is not None else values
        return naive.to_numpy().astype("datetime64[s]"), np.zeros(n_rows, dtype=np.bool_)
    objects = _as_objects(values, n_rows)
    # A week counter would be read as nanoseconds since 1970, a year as 1 January.
    number = np.array([isinstance(item, Real | Decimal) for item in objects], dtype=np.bool_)
    readable = ~number & ~pd.isna(objects)
    codes, texts = pd.factorize(np.array([str(item) for item in objects[readable]], dtype=object))
    parsed = nothing.copy()
    parsed[readable] = _parse(pd.Index(texts, dtype=object))[codes]
    return parsed, np.isnat(parsed) & ~pd.isna(objects)


def _parse(texts: pd.Index[Any]) -> DateArray:
    """Read ISO dates, then what is left in the one other format that reads most of it.

    Where two formats read as much and not the same, which of them was meant is not guessed.
    """
    # The day is that of the clock on the wall, as it is of dates with a time zone.
    texts = pd.Index([_TIME_ZONE.sub(r"\1", text) for text in texts], dtype=object)
    parsed = _in_format(texts, "ISO8601")
    left = np.isnat(parsed)
    if left.any():
        tries = [_in_format(texts[left], form) for form in _DATE_FORMATS]
        unread = [int(np.isnat(dates).sum()) for dates in tries]
        best = [dates for dates, count in zip(tries, unread, strict=True) if count == min(unread)]
        if all(np.array_equal(dates, best[0], equal_nan=True) for dates in best):
            parsed[left] = best[0]
    return parsed


def _in_format(texts: pd.Index[Any], form: str) -> DateArray:
    # utc=True lets one column mix time zones, which pandas refuses otherwise.
    dates = pd.to_datetime(texts, format=form, errors="coerce", utc=True)
    return np.asarray(dates.tz_localize(None), dtype="datetime64[s]")
