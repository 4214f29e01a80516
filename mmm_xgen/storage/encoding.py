"""Conversion of variables and attributes to forms that NetCDF and Zarr can hold, and back.

A value that a format cannot hold is written as JSON. The reserved attribute `MARK` records the
original form.
"""

from __future__ import annotations

import base64
import datetime
import json
import re
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.errors import SchemaError

# Attribute that holds the attributes and dtypes that a format cannot hold.
MARK = "mmm_xgen_encoding"
# Attributes that have a special meaning for xarray or the file libraries.
RESERVED = {
    *("_FillValue", "missing_value", "scale_factor", "add_offset", "dtype", "coordinates"),
    *("calendar", "CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "dimensions", MARK),
}
PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
LARGEST_INTEGER = np.iinfo(np.int64).max
LONGEST_NAME = 255
TOO_DEEP = "something that is nested too deep"
# Number types that every format can hold.
NUMBERS = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"}
ALLOWED = (
    "text, numbers, True, False, None, dates, times, bytes, intervals, and lists, tuples, "
    "dictionaries and arrays of them"
)
UNITS = {
    **{"D": "days", "h": "hours", "m": "minutes", "s": "seconds"},
    **{"ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"},
}
CALENDAR = "proleptic_gregorian"
# Dates that a file without `MARK` holds as dates.
DATES = ("date", "history_date")

Attributes = Mapping[Any, Any]


# Values ----------------------------------------------------------------------------------------


def encoded(value: Any) -> Any:
    """Return a value as JSON data; other types become an object with the type as the only key.

    Raises
    ------
    TypeError
        If the value could not be restored exactly.

    Examples
    --------
    >>> encoded({"a": (1, None)})
    {'dict': [['a', {'tuple': [1, None]}]]}
    >>> decoded(encoded(pd.Timestamp("2024-01-01")))
    Timestamp('2024-01-01 00:00:00')
    """
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if np.isfinite(value) else {"float": repr(value)}
    if kind is list:
        return [encoded(each) for each in value]
    if kind is tuple:
        return {"tuple": [encoded(each) for each in value]}
    if kind is dict:
        return {"dict": [[encoded(key), encoded(each)] for key, each in value.items()]}
    if kind is np.ndarray or isinstance(value, np.generic):
        return {"array": _encoded_array(np.asarray(value)), "scalar": kind is not np.ndarray}
    writer = WRITERS.get(kind)
    if writer is None:
        raise TypeError(f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."))
    node = {kind.__name__: writer(value)}
    if repr(decoded(node)) != repr(value):
        raise TypeError(f"{kind.__name__} {value!r}")
    return node


def decoded(node: Any) -> Any:
    """Return the value that `encoded` encoded."""
    if isinstance(node, list):
        return [decoded(each) for each in node]
    if not isinstance(node, dict):
        return node
    kind, content = next(iter(node.items()))
    if kind == "tuple":
        return tuple(decoded(each) for each in content)
    if kind == "dict":
        return {decoded(key): decoded(each) for key, each in content}
    if kind == "array":
        text, shape, flat = content
        array = _filled(np.dtype(text), tuple(shape), [decoded(each) for each in flat])
        return array[()] if node["scalar"] else array
    return READERS[kind](content)


def _encoded_array(values: NDArray[Any]) -> list[Any]:
    """Return dtype, shape and values of an array as JSON data."""
    dtype = values.dtype
    numbers = values.ravel().view(np.int64) if dtype.kind in "Mm" else values.ravel()
    flat = numbers.tolist()
    # `tolist` leaves numbers of more than 64 bits as NumPy scalars, and makes records tuples.
    if dtype.kind == "V" or (dtype.kind in "fc" and any(isinstance(e, np.generic) for e in flat)):
        raise TypeError(f"numbers of {dtype}")
    return [dtype.str, list(values.shape), [encoded(each) for each in flat]]


def _filled(dtype: np.dtype[Any], shape: tuple[int, ...], flat: list[Any]) -> NDArray[Any]:
    if dtype.kind in "Mm":
        return np.array(flat, dtype=np.int64).view(dtype).reshape(shape)
    if dtype.kind != "O":
        return np.array(flat, dtype=dtype).reshape(shape)
    values: NDArray[Any] = np.empty(len(flat), dtype=object)
    # Assign one by one: NumPy would turn nested lists into further dims.
    for position, each in enumerate(flat):
        values[position] = each
    return values.reshape(shape)


WRITERS: dict[type, Callable[[Any], Any]] = {
    complex: lambda value: [encoded(value.real), encoded(value.imag)],
    bytes: lambda value: base64.b64encode(value).decode(),
    datetime.datetime: lambda value: value.isoformat(),
    datetime.date: lambda value: value.isoformat(),
    datetime.time: lambda value: value.isoformat(),
    datetime.timedelta: lambda value: [value.days, value.seconds, value.microseconds],
    pd.Timestamp: lambda value: [value.isoformat(), value.unit, value.tz and str(value.tz)],
    pd.Timedelta: lambda value: [value.as_unit(value.unit)._value, value.unit],
    pd.Interval: lambda value: [encoded(value.left), encoded(value.right), value.closed],
    pd.Period: lambda value: [value.ordinal, value.freqstr],
    type(pd.NaT): lambda value: None,
    type(pd.NA): lambda value: None,
}
READERS: dict[str, Callable[[Any], Any]] = {
    "float": float,
    "complex": lambda node: complex(*map(decoded, node)),
    "bytes": base64.b64decode,
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "timedelta": lambda node: datetime.timedelta(*node),
    "Timestamp": lambda node: _timestamp(*node),
    "Timedelta": lambda node: pd.Timedelta(np.timedelta64(*node)),
    "Interval": lambda node: pd.Interval(decoded(node[0]), decoded(node[1]), node[2]),
    "Period": lambda node: pd.Period(ordinal=node[0], freq=node[1]),
    "NaTType": lambda node: pd.NaT,
    "NAType": lambda node: pd.NA,
}


def _timestamp(text: str, unit: Any, zone: str | None) -> pd.Timestamp:
    found = pd.Timestamp(text)
    return (found if zone is None else found.tz_convert(zone)).as_unit(unit)


# Attributes ------------------------------------------------------------------------------------


def stored_attrs(
    attrs: Attributes, whose: str, *, taken: Attributes | None = None, **about: Any
) -> dict[str, Any]:
    """Return attributes that a file can hold: text and numbers unchanged, the rest under `MARK`.

    Parameters
    ----------
    attrs : mapping
        Attributes.
    whose : str
        Owner of the attributes, for messages.
    taken : mapping, optional
        Attributes that the file needs as well.
    **about
        Further entries of `MARK`.

    Raises
    ------
    SchemaError
        If `restored_attrs` could not restore one of them.

    Examples
    --------
    >>> stored_attrs({"units": "USD", "final": True}, "'spend'")
    {'units': 'USD', 'mmm_xgen_encoding': '{"attributes": [["final", true]]}'}
    """
    own = dict(taken or {})
    plain, others = {}, []
    for name, value in attrs.items():
        if name not in own and _is_plain(name, value):
            plain[name] = value
            continue
        try:
            others.append([encoded(name), encoded(value)])
        except (TypeError, ValueError, RecursionError) as error:
            raise SchemaError(
                f"the attribute {name!r} of {whose} is or has {_reason(error)}, which a file "
                f"cannot hold; allowed: {ALLOWED}"
            ) from None
    words = {"attributes": others, "taken": list(own), **about}
    mark = {name: word for name, word in words.items() if word}
    return {**plain, **own, **({MARK: json.dumps(mark, allow_nan=False)} if mark else {})}


def restored_attrs(attrs: Attributes) -> tuple[dict[Any, Any], dict[str, Any]]:
    """Return the attributes from before `stored_attrs`, and the further entries of `MARK`."""
    plain = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in attrs.items()
    }
    mark: dict[str, Any] = json.loads(plain.pop(MARK, "{}"))
    others = mark.pop("attributes", [])
    for name in mark.pop("taken", []):
        plain.pop(name, None)
    return {**plain, **{decoded(name): decoded(value) for name, value in others}}, mark


def _is_plain(name: Any, value: Any) -> bool:
    """Tell if every format returns an attribute unchanged."""
    if type(name) is not str or PLAIN_NAME.fullmatch(name) is None or name in RESERVED:
        return False
    if type(value) is str:
        return _is_clean(value)
    if type(value) is int:
        return -LARGEST_INTEGER <= value <= LARGEST_INTEGER
    return type(value) is float and bool(np.isfinite(value))


def _is_clean(text: str) -> bool:
    """Tell if a text is Unicode without a null character, which would end it."""
    return "\0" not in text and text == text.encode("utf-8", "ignore").decode()


def _reason(error: Exception) -> str:
    return str(error)[:200] if isinstance(error, TypeError) else TOO_DEEP


# Datasets --------------------------------------------------------------------------------------


def stored(ds: xr.Dataset) -> xr.Dataset:
    """Return a Dataset that a file can hold, and that `restored` turns into `ds` again.

    Raises
    ------
    SchemaError
        If a file cannot hold a name, variable or attribute. The message names it.

    Examples
    --------
    >>> ds = xr.Dataset({"y": ("day", [1.0, 2.0])}, {"day": [pd.NaT, pd.Timedelta("1h")]})
    >>> stored(ds)["day"].dtype, restored(stored(ds)).identical(ds)
    (dtype('int64'), True)
    """
    check_names([*ds.variables, *ds.dims])
    for name, index in ds.xindexes.items():
        if type(index).__name__ != "PandasIndex":
            raise SchemaError(
                f"the coordinate {name!r} has the index {type(index).__name__}, allowed: one "
                f"label a position; call ds.reset_index({name!r}) first"
            )
    # NetCDF lists coordinates in one text, separated by blanks.
    spaced = [str(name) for name in ds.coords if name not in ds.dims and " " in str(name)]
    bare = [name for name in ds.dims if name in ds.coords and name not in ds.xindexes]
    variables = {
        name: stored_variable(variable, repr(name)) for name, variable in ds.variables.items()
    }
    coordinates = {name: variables.pop(name) for name in ds.coords if name not in spaced}
    # An index would turn the numbers into dates again.
    return xr.Dataset(
        variables,
        coords=xr.Coordinates(coordinates, indexes={}),
        attrs=stored_attrs(ds.attrs, "the Dataset", coordinates=spaced, bare=bare),
    )


def decoded_file(raw: xr.Dataset) -> xr.Dataset:
    """Return the Dataset from before `stored`, given the raw contents of a file.

    Parameters
    ----------
    raw : Dataset
        Dataset opened with ``decode_cf=False``. The file may come from xarray itself.
    """
    marks = {name: restored_attrs(each.attrs)[1] for name, each in raw.variables.items()}
    dates, spans = {}, {}
    for name, variable in raw.variables.items():
        attrs, is_own = variable.attrs, "dtype" in marks[name]
        # Dates have a calendar too. Units alone may belong to a KPI called "days since".
        is_date = "calendar" in attrs and " since " in str(attrs.get("units"))
        dates[str(name)] = not is_own and (name in DATES or is_date)
        spans[str(name)] = not is_own and str(attrs.get("dtype")).startswith("timedelta64")
    ds = xr.decode_cf(raw, decode_times=dates, decode_timedelta=spans)
    return restored(ds.drop_encoding())


def restored(ds: xr.Dataset) -> xr.Dataset:
    """Return the Dataset from before `stored`."""
    attrs, mark = restored_attrs(ds.attrs)
    names = {*ds.coords, *mark.get("coordinates", [])}
    variables = {name: restored_variable(each) for name, each in ds.variables.items()}
    coordinates = {name: variables.pop(name) for name in ds.variables if name in names}
    return xr.Dataset(variables, coords=coordinates, attrs=attrs).drop_indexes(mark.get("bare", []))


def check_names(names: Iterable[Hashable]) -> None:
    """Raise if a name of a variable or dim would be lost or changed in a file.

    Raises
    ------
    SchemaError
        The message says which names are allowed.
    """
    for name in names:
        if (
            not isinstance(name, str)
            or not name.isprintable()
            or "/" in name
            or re.match(r"[A-Za-z0-9_\u0080-\U0010ffff]", name) is None
            or name != unicodedata.normalize("NFC", name).rstrip()
            or len(name.encode()) > LONGEST_NAME
        ):
            raise SchemaError(
                f"{str(name)[:100]!r} ({type(name).__name__}) is not a name for a file, allowed: "
                "text of composed letters, digits and signs but '/', that begins with a letter; "
                "rename it with ds.rename"
            )


# Variables -------------------------------------------------------------------------------------


def stored_variable(variable: xr.Variable, whose: str) -> xr.Variable:
    """Return a variable that a file can hold: numbers, or text without a null character.

    Raises
    ------
    SchemaError
        If there is no such variable. The message says which types are allowed.
    """
    dtype: Any = variable.dtype
    if dtype.kind == "V":
        raise SchemaError(f"{whose} has records of {dtype}, allowed: one value an entry")
    if isinstance(dtype, np.dtype) and dtype.str[1:] in NUMBERS:
        about: dict[str, Any] = {} if dtype.isnative else {"dtype": dtype.str}
        native = variable if dtype.isnative else variable.astype(dtype.newbyteorder("="))
        return xr.Variable(variable.dims, native.data, stored_attrs(variable.attrs, whose, **about))
    if isinstance(dtype, np.dtype) and dtype.kind in "Mm":
        return _stored_times(variable, whose)
    reason = ""
    try:
        made = _stored_labels(variable, whose)
        back = restored_variable(made)
        if back.dtype == dtype and encoded(_entries(back)) == encoded(_entries(variable)):
            return made
    except SchemaError:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        reason = f", with {_reason(error)}"
    raise SchemaError(
        f"{whose} has the type {dtype}{reason}, which a file cannot hold; allowed: {ALLOWED}, "
        "as in ds.assign_coords of np.asarray of it"
    )


def restored_variable(variable: xr.Variable) -> xr.Variable:
    """Return the variable from before `stored_variable`."""
    attrs, mark = restored_attrs(variable.attrs)
    text = mark.get("dtype", "")
    if text[1:] in NUMBERS:
        return xr.Variable(variable.dims, variable.astype(np.dtype(text)).data, attrs)
    if text[1:2] in ("M", "m"):
        numbers: NDArray[Any] = variable.to_numpy().astype(np.int64)
        times = numbers.astype(f"{text[1]}8[{mark['unit']}]").astype(text)
        return xr.Variable(variable.dims, times, attrs)
    if variable.dtype.kind not in "OUT":
        return xr.Variable(variable.dims, variable.data, attrs)
    flat = variable.to_numpy().ravel().tolist()
    if mark.get("json"):
        flat = [decoded(json.loads(each)) for each in flat]
    if "extension" not in mark:
        # Without a recorded length, the longest text gives the dtype its length.
        dtype = np.dtype(text) if text else np.array(flat, dtype=str).dtype
        return xr.Variable(variable.dims, _filled(dtype, variable.shape, flat), attrs)
    if "categories" in mark:
        labels = decoded(mark["categories"])
        values: Any = pd.Categorical(flat, labels, ordered=mark.get("ordered", False))
    else:
        values = pd.array(flat, dtype=mark["extension"])
    return xr.Variable(variable.dims, values, attrs)


def _stored_times(variable: xr.Variable, whose: str) -> xr.Variable:
    """Return dates or time spans as whole numbers of days, or else of their own unit."""
    values: NDArray[Any] = variable.to_numpy()
    kind, unit = values.dtype.kind, np.datetime_data(values.dtype)[0]
    by_day = values.astype(f"{kind}8[D]")
    # NaT is the same number in all units.
    if np.array_equal(by_day.astype(values.dtype), values, equal_nan=True):
        values, unit = by_day, "D"
    words = {"units": UNITS[unit]}
    if kind == "M":
        words = {"units": f"{UNITS[unit]} since 1970-01-01", "calendar": CALENDAR}
    attrs = stored_attrs(variable.attrs, whose, taken=words, dtype=variable.dtype.str, unit=unit)
    return xr.Variable(variable.dims, values.astype(np.int64), attrs)


def _stored_labels(variable: xr.Variable, whose: str) -> xr.Variable:
    """Return text unchanged and everything else as JSON, one text per entry."""
    dtype: Any = variable.dtype
    flat = _entries(variable)
    about: dict[str, Any] = {"extension": str(dtype)}
    if isinstance(dtype, np.dtype):
        about = {"dtype": "T" if dtype.kind == "T" else dtype.str}
    elif isinstance(dtype, pd.CategoricalDtype):
        categories = encoded(dtype.categories.tolist())
        about |= {"categories": categories, "ordered": bool(dtype.ordered)}
    is_text = all(type(each) is str for each in flat) and _is_clean("".join(flat))
    if not is_text:
        flat = [json.dumps(encoded(each), allow_nan=False) for each in flat]
        about["json"] = True
    values = np.array(flat, dtype=str).reshape(variable.shape)
    if about == {"dtype": values.dtype.str}:
        about = {}
    return xr.Variable(variable.dims, values, stored_attrs(variable.attrs, whose, **about))


def _entries(variable: xr.Variable) -> list[Any]:
    """Return the entries of a variable in one list, with missing values of an extension array."""
    is_plain = isinstance(variable.dtype, np.dtype)
    return list(variable.to_numpy().ravel().tolist() if is_plain else variable.data)
