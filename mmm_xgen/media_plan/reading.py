"""A user's own media plan as a Dataset: `read_plan`, with errors that name row and column."""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.config.spend_plan import (
    Selection,
    SpendPlanConfig,
    chosen_columns,
    fitted_frequency,
    nearest_column,
)
from mmm_xgen.errors import SchemaError
from mmm_xgen.media_plan.cells import (
    Floats,
    Table,
    is_missing,
    labels_of,
    numbers_of,
    refuse_no_rows,
    source_table,
)

# Year first, no time of day but midnight, no time zone: pandas alone would take "now" too.
_ISO_DATE = re.compile(r"\d{4}[-/]?\d\d?([-/]?\d\d?)?([T ]\d\d:[\d:.]+)?", re.ASCII)

Dates = NDArray[np.datetime64]
Codes = NDArray[np.intp]


def read_plan(
    source: str | os.PathLike[str] | pd.DataFrame | xr.DataArray | xr.Dataset,
    mapping: SpendPlanConfig | None = None,
) -> xr.Dataset:
    """Read a media plan and check it: every fault names its row and column.

    Parameters
    ----------
    source : path, pandas.DataFrame, xarray.DataArray or xarray.Dataset
        A ``.csv`` or ``.parquet`` file; a wide or long frame; spend with dims (date, channel)
        or (date, geo, channel) in any order; a Dataset with that as ``spend`` and perhaps
        ``control_value`` (date, control) or (date, geo, control).
    mapping : SpendPlanConfig, optional
        Where things are in `source`. Of an xarray source the dims say where things are;
        `channels` and `controls` then select and rename labels.

    Returns
    -------
    xarray.Dataset
        ``spend`` (date, geo, channel) in currency per period and, when there are controls,
        ``control_value`` (date, geo, control); dates ascending, geos, channels and controls
        in the order of the source; ``attrs["freq"]`` is ``"D"``, ``"W-MON"`` .. ``"W-SUN"``
        or ``"MS"``.

    Raises
    ------
    SchemaError
        Something is missing, repeated, unreadable or not allowed in `source`. Rows are lines
        of a CSV file (the header is line 1), index labels of a frame or a Parquet file, dates
        and geos of an xarray object.

    Examples
    --------
    >>> frame = pd.DataFrame(
    ...     {"week": ["2024-01-01", "2024-01-08"], "tv_S": [10.0, 0.0], "radio_S": [3.5, 4.0]}
    ... )
    >>> plan = read_plan(frame, SpendPlanConfig(date="week", channels="*_S"))
    >>> plan.attrs["freq"], plan["channel"].values.tolist()
    ('W-MON', ['tv', 'radio'])
    >>> plan["spend"].sel(geo="national", channel="radio").values.tolist()
    [3.5, 4.0]
    """
    mapping = SpendPlanConfig() if mapping is None else mapping
    if isinstance(source, xr.DataArray):
        return _read_xarray(source.to_dataset(name="spend"), mapping)
    if isinstance(source, xr.Dataset):
        return _read_xarray(source, mapping)
    table = source_table(source, mapping)
    for field in ("date", "geo", "channel"):
        table.require(getattr(mapping, field), field)
    if mapping.channel is None:
        return _read_wide(table, mapping)
    table.require(mapping.spend, "spend")
    return _read_long(table, mapping, mapping.channel)


# Sources -----------------------------------------------------------------------------------


def _read_xarray(source: xr.Dataset, mapping: SpendPlanConfig) -> xr.Dataset:
    if "spend" not in source:
        found = nearest_column("spend", map(str, source.data_vars))
        raise SchemaError(f"the Dataset has no variable 'spend'; {found}")
    spend = _labelled(source["spend"], "channel")
    has_geo = "geo" in spend.dims
    if not has_geo:
        # A geo selected with .sel leaves its name behind as a scalar coordinate.
        name = str(spend.coords["geo"].item()) if "geo" in spend.coords else mapping.national_name
        spend = spend.drop_vars("geo", errors="ignore").expand_dims(geo=[name])
    arrays = {"spend": spend}
    if mapping.controls and "control_value" not in source:
        raise SchemaError(
            "the plan has no variable 'control_value' to take spend_plan.controls from; give a"
            " Dataset that has it, or leave controls out"
        )
    if "control_value" in source and mapping.controls != ():
        control = _labelled(source["control_value"], "control")
        if "geo" not in control.dims:
            control = control.drop_vars("geo", errors="ignore").expand_dims(geo=spend["geo"])
        elif not has_geo:
            raise SchemaError(
                "'control_value' has the dim 'geo' and 'spend' has not; give it to both"
            )
        arrays["control_value"] = control
    dates, geos = (spend[dim].to_numpy() for dim in ("date", "geo"))
    columns = {
        "date": pd.Series(np.repeat(dates, len(geos))),
        "geo": pd.Series(np.tile(geos, len(dates))),
    }
    rows = [f"date {str(date)[:10]}, geo {str(geo)!r}" for date in dates for geo in geos]
    table = Table(columns, rows, "", "the labels of the plan", "")
    refuse_no_rows(table)
    chosen: dict[str, dict[str, str]] = {"spend": {}, "control_value": {}}
    for name, array in arrays.items():
        dim = "channel" if name == "spend" else "control"
        values = array.transpose("date", "geo", dim).to_numpy()
        labels = [str(entry) for entry in array[dim].to_numpy()]
        wanted = mapping.channels if name == "spend" else mapping.controls
        for entry, text in _choose(table, wanted, labels, field=f"{dim}s").items():
            column = f"{name}[{entry}]"
            columns[column] = pd.Series(values[:, :, labels.index(entry)].ravel())
            chosen[name][column] = text
    named = mapping.model_copy(update={"date": "date", "geo": "geo", "channel": None})
    return _wide_dataset(table, named, chosen["spend"], chosen["control_value"])


def _labelled(array: xr.DataArray, dim: str) -> xr.DataArray:
    if set(array.dims) not in ({"date", dim}, {"date", "geo", dim}):
        raise SchemaError(
            f"{array.name!r} has the dims {array.dims}, allowed: ('date', {dim!r}) or"
            f" ('date', 'geo', {dim!r}) in any order"
        )
    for name in array.dims:
        if name not in array.coords:
            raise SchemaError(f"{array.name!r}: the dim {name!r} has no coordinate; give it labels")
    labels = pd.Series([str(entry) for entry in array[dim].to_numpy()], dtype=object)
    if labels.duplicated().any():
        twin = labels[labels.duplicated()].iloc[0]
        raise SchemaError(f"{array.name!r}: the {dim} {twin!r} is there more than once")
    return array


# Shapes ------------------------------------------------------------------------------------


def _read_wide(table: Table, mapping: SpendPlanConfig) -> xr.Dataset:
    names = [name for name in table.columns if name not in (mapping.date, mapping.geo)]
    channels = _choose(table, mapping.channels, names, field="channels", default=True)
    controls = _choose(table, mapping.controls, names, field="controls", default=True)
    for column in controls:
        if column in channels:
            raise table.header_fault(f"column {column!r} is both a channel and a control")
    return _wide_dataset(table, mapping, channels, controls)


def _wide_dataset(
    table: Table, mapping: SpendPlanConfig, channels: dict[str, str], controls: dict[str, str]
) -> xr.Dataset:
    layout = _lay_out(table, mapping)
    blocks = [(channels, "channel"), (controls, "control")]
    values = {}
    for columns, dim in blocks:
        cube = np.empty((len(layout.dates), len(layout.geos), len(columns)))
        for place, column in enumerate(columns):
            cube[layout.date_code, layout.geo_code, place] = numbers_of(table, column, dim)
        values[dim] = cube
    names = {dim: list(columns.values()) for columns, dim in blocks}
    return layout.dataset(values, names)


def _read_long(table: Table, mapping: SpendPlanConfig, channel: str) -> xr.Dataset:
    keys = (mapping.date, mapping.geo, channel, mapping.spend)
    entries = labels_of(table, channel)
    chosen = _choose(table, mapping.channels, dict.fromkeys(entries), field="channels")
    if len(chosen) < len(set(entries)):
        table = table.take(np.array([entry in chosen for entry in entries]))
        entries = [entry for entry in entries if entry in chosen]
    columns = [name for name in table.columns if name not in keys]
    controls = _choose(table, mapping.controls, columns, field="controls", default=True)
    places = {entry: place for place, entry in enumerate(chosen)}
    channel_code = np.array([places[entry] for entry in entries], dtype=np.intp)
    layout = _lay_out(table, mapping, channels=list(chosen.values()), channel_code=channel_code)
    shape = (len(layout.dates), len(layout.geos))
    spend = np.empty((*shape, len(chosen)))
    cells = numbers_of(table, mapping.spend, "channel")
    spend[layout.date_code, layout.geo_code, channel_code] = cells
    control = np.empty((*shape, len(controls)))
    for place, column in enumerate(controls):
        cells = numbers_of(table, column, "control")
        control[layout.date_code, layout.geo_code, place] = cells
        differs = control[layout.date_code, layout.geo_code, place] != cells
        if differs.any():
            row = int(differs.argmax())
            message = f"found {cells[row]}, but another channel's row of this date and geo has"
            value = control[layout.date_code[row], layout.geo_code[row], place]
            raise table.fault(row, column, f"{message} {value}; a control has one value for all")
    names = {"channel": list(chosen.values()), "control": list(controls.values())}
    return layout.dataset({"channel": spend, "control": control}, names)


def _choose(
    table: Table, selection: Selection, names: Iterable[str], *, field: str, default: bool = False
) -> dict[str, str]:
    """Label of every chosen column, in the order of the source."""
    try:
        return chosen_columns(selection, names, field=field, own_names_only=default)
    except SchemaError as error:
        raise table.header_fault(str(error)) from None


# Dates -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layout:
    """Place of every row in the cube (date, geo)."""

    dates: Dates
    geos: list[str]
    freq: str
    date_code: Codes
    geo_code: Codes

    def dataset(self, values: Mapping[str, Floats], names: Mapping[str, list[str]]) -> xr.Dataset:
        """Dataset of the values (date, geo, channel) and (date, geo, control)."""
        dims = {"channel": "spend", "control": "control_value"}
        found = [dim for dim in dims if names[dim]]
        return xr.Dataset(
            {dims[dim]: (("date", "geo", dim), values[dim]) for dim in found},
            {"date": self.dates, "geo": self.geos, **{dim: names[dim] for dim in found}},
            {"freq": self.freq},
        )


def _lay_out(
    table: Table,
    mapping: SpendPlanConfig,
    *,
    channels: Sequence[str] = (),
    channel_code: Codes | None = None,
) -> _Layout:
    """Find the place of every row; each (date, geo[, channel]) has to be there once."""
    dates, date_code = np.unique(_days(table, mapping), return_inverse=True)
    geos, geo_code = [mapping.national_name], np.zeros(len(date_code), dtype=np.intp)
    if mapping.geo is not None:
        labels = labels_of(table, mapping.geo)
        geos = list(dict.fromkeys(labels))
        places = {geo: place for place, geo in enumerate(geos)}
        geo_code = np.array([places[entry] for entry in labels], dtype=np.intp)
    series = geo_code * (len(channels) or 1)
    if channel_code is not None:
        series += channel_code
    _refuse_duplicates(table, mapping, series * len(dates) + date_code)
    freq, misfit = fitted_frequency(dates, mapping.freq)
    if misfit is not None:
        rows = np.flatnonzero(date_code == misfit.position)
        row = int(rows[-1] if misfit.is_gap else rows[0])
        raise table.fault(row, mapping.date, misfit.message)
    words = [
        " of ".join(
            ([f"channel {channel!r}"] if channels else [])
            + ([f"geo {geo!r}"] if mapping.geo is not None else [])
        )
        for geo in geos
        for channel in (channels or [""])
    ]
    _refuse_holes(table, mapping, series, date_code, dates, words)
    return _Layout(dates.astype("datetime64[ns]"), geos, freq, date_code, geo_code)


def _refuse_duplicates(table: Table, mapping: SpendPlanConfig, keys: Codes) -> None:
    repeated = pd.Series(keys).duplicated().to_numpy()
    if not repeated.any():
        return
    row = int(repeated.argmax())
    earlier = int((keys == keys[row]).argmax())
    columns = [name for name in (mapping.date, mapping.geo, mapping.channel) if name is not None]
    found = ", ".join(
        f"{name} {str(table.cell(row, name)).removesuffix(' 00:00:00')!r}" for name in columns
    )
    unset = [name for name in ("geo", "channel") if getattr(mapping, name) is None]
    advice = f"; if it is another {' or '.join(unset)}, set spend_plan.{unset[0]}" if unset else ""
    raise table.fault(row, mapping.date, f"{found} is there already ({table.row(earlier)}){advice}")


def _refuse_holes(
    table: Table,
    mapping: SpendPlanConfig,
    series: Codes,
    date_code: Codes,
    dates: Dates,
    words: Sequence[str],
) -> None:
    """Refuse a geo, or a channel of a geo, that lacks a date which others have."""
    present = np.zeros((len(words), len(dates)), dtype=bool)
    present[series, date_code] = True
    if present.all():
        return
    lacking, date = (int(place[0]) for place in np.nonzero(~present))
    own = np.flatnonzero(series == lacking)
    if not len(own):
        # The row to point at is the first of this date, whatever it is about.
        row = int(np.flatnonzero(date_code == date)[0])
        message = f"{words[lacking]} has no row on any date; where nothing was spent write 0"
        raise table.fault(row, mapping.date, message)
    before = own[date_code[own] < date]
    if len(before):
        row = int(before[date_code[before].argmax()])
        where = "its date before that is in this row"
    else:
        row = int(own[date_code[own].argmin()])
        where = "its first date is in this row"
    raise table.fault(row, mapping.date, f"{words[lacking]} has no row for {dates[date]}; {where}")


def _days(table: Table, mapping: SpendPlanConfig) -> Dates:
    """Day of every row, as datetime64[D]."""
    column = mapping.date
    cells = list(table.columns[column])
    texts = [_date_text(cell) for cell in cells]
    for row, text in enumerate(texts):
        if text is None:
            raise table.fault(row, column, "the date is missing")
    form = mapping.date_format
    if all(isinstance(cell, datetime.date) for cell in cells):
        form = None  # a format says how to read text, and these have been read
    # The zone and the words that pandas reads ("now") are no dates of a plan.
    tidy = [text if form or _ISO_DATE.fullmatch(text or "") else None for text in texts]
    try:
        parsed = pd.to_datetime(
            pd.Series(tidy, dtype=object), format=form or "ISO8601", errors="coerce"
        )
    except ValueError as error:
        message = f"spend_plan.date_format {form!r} does not work here: {error}"
        raise table.fault(0, column, message) from error
    moments = parsed.to_numpy()
    days = moments.astype("datetime64[D]")
    lowest, highest = (np.datetime64(day, "D") for day in ("1678-01-01", "2261-12-31"))
    wrong = ~((days >= lowest) & (days <= highest) & (days == moments))
    if wrong.any():
        row = int(wrong.argmax())
        allowed = (
            f"a date in the format {form!r}"
            if form
            else "an ISO date without a zone ('2024-01-31')"
        )
        advice = "" if form else "; for another format set spend_plan.date_format ('%d/%m/%Y')"
        if not np.isnat(days[row]):
            advice = ", without a time of day, of the years 1678 to 2261"
        raise table.fault(row, column, f"found {texts[row]!r}, allowed: {allowed}{advice}")
    return days


def _date_text(cell: Any) -> str | None:
    if is_missing(cell):
        return None
    # A Timestamp at midnight prints its time too, and ISO takes it.
    return cell.isoformat() if isinstance(cell, datetime.date) else str(cell)
