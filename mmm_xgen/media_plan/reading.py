"""Read a user's own media plan as a Dataset: `read_plan`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from mmm_xgen.config.spend_plan import Selection, SpendPlanConfig
from mmm_xgen.errors import SchemaError
from mmm_xgen.frames.cells import read_names
from mmm_xgen.frames.columns import chosen_columns
from mmm_xgen.frames.faults import check_faults
from mmm_xgen.frames.frequency import GENERATED, declared_frequency, fitted_frequency
from mmm_xgen.frames.panel import Panel, Variable
from mmm_xgen.frames.reading import dataset_table
from mmm_xgen.frames.table import Table, nearest_found, read_table
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.schema import CONTROLS, MEDIA

NO_CONTROLS = (
    "the plan has no variable 'control_value' to take spend_plan.controls from; give a Dataset "
    "that has it, or leave controls out"
)


def read_plan(
    source: str | os.PathLike[str] | pd.DataFrame | xr.DataArray | xr.Dataset,
    mapping: SpendPlanConfig | None = None,
) -> xr.Dataset:
    """Read a media plan and check it. Every error names the row and the column.

    Parameters
    ----------
    source : path, pandas.DataFrame, xarray.DataArray or xarray.Dataset
        A ``.csv`` or ``.parquet`` file; a wide or long frame; spend with dims (date, channel)
        or (date, geo, channel) in any order; a Dataset with that as ``spend`` and, optionally,
        ``control_value`` (date, control) or (date, geo, control).
    mapping : SpendPlanConfig, optional
        Where things are in `source`. In an xarray source the dims say where things are, and
        `channels` and `controls` select and rename labels.

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
        If something in `source` is missing, repeated, unreadable or not allowed. Rows are lines
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
        source = source.to_dataset(name="spend")
    if isinstance(source, xr.Dataset):
        return _read_xarray(source, mapping)
    table = read_table(source, (mapping.date, mapping.geo, mapping.channel))
    table.check_different_names()
    for field in ("date", "geo", "channel", *(["spend"] if mapping.channel else [])):
        if (name := getattr(mapping, field)) is not None:
            table.check_variables(name, f" (spend_plan.{field})")
    keys = {mapping.date, mapping.geo, mapping.channel}
    keys |= {mapping.spend} if mapping.channel else set()
    columns = [name for name in table.names if name not in keys]
    controls = _choose(table, mapping.controls, columns, "controls")
    if mapping.channel is None:
        channels = _choose(table, mapping.channels, columns, "channels")
        for name in controls:
            if name in channels:
                raise table.header_fault(f"column {name!r} is both a channel and a control")
        return _plan(table, mapping, channels, controls)
    entries = read_names(table.cells[table.names.index(mapping.channel)])
    for row in np.flatnonzero(pd.isna(entries)):
        raise table.fault(int(row), mapping.channel, "the name is missing")
    chosen = _choose(table, mapping.channels, dict.fromkeys(entries), "channels", own=False)
    table = table.take(np.array([entry in chosen for entry in entries], dtype=np.bool_))
    return _plan(table, mapping, chosen, controls)


def _read_xarray(source: xr.Dataset, mapping: SpendPlanConfig) -> xr.Dataset:
    if "spend" not in source:
        found = nearest_found("spend", map(str, source.data_vars))
        raise SchemaError(f"the Dataset has no variable 'spend'; {found}")
    if mapping.controls and "control_value" not in source:
        raise SchemaError(NO_CONTROLS)
    arrays = {"channel": source["spend"]}
    if "control_value" in source and mapping.controls != ():
        arrays["control"] = source["control_value"]
    for dim, array in arrays.items():
        _check_labels(array, dim)
    has_geo = {dim: "geo" in array.dims for dim, array in arrays.items()}
    if has_geo.get("control") and not has_geo["channel"]:
        raise SchemaError("'control_value' has the dim 'geo' and 'spend' has not; give it to both")
    data = xr.Dataset({str(array.name): array for array in arrays.values()})
    table, variables = dataset_table(data, national=mapping.national_name)
    chosen: dict[str, dict[str, str]] = {"channel": {}, "control": {}}
    for role in arrays:
        columns = {label: table.names[place] for place, label, own in variables if own == role}
        names = _choose(table, getattr(mapping, f"{role}s"), columns, f"{role}s", own=False)
        chosen[role] = {columns[label]: name for label, name in names.items()}
    named = mapping.model_copy(update={"date": "date", "geo": "geo", "channel": None})
    return _plan(table, named, chosen["channel"], chosen["control"])


def _check_labels(array: xr.DataArray, dim: str) -> None:
    """Raise unless an array has the dims of a plan, and labels along them."""
    if set(array.dims) not in ({"date", dim}, {"date", "geo", dim}):
        raise SchemaError(
            f"{array.name!r} has the dims {array.dims}, allowed: ('date', {dim!r}) or"
            f" ('date', 'geo', {dim!r}) in any order"
        )
    for name in array.dims:
        if name not in array.coords:
            raise SchemaError(f"{array.name!r}: the dim {name!r} has no coordinate; give it labels")
    labels = [str(entry) for entry in array[dim].to_numpy()]
    for label in labels:
        if labels.count(label) > 1:
            raise SchemaError(f"{array.name!r}: the {dim} {label!r} is there more than once")


def _choose(
    table: Table, selection: Selection, names: Iterable[str], field: str, *, own: bool = True
) -> dict[str, str]:
    """Label of every chosen column, in the order of the source."""
    try:
        return chosen_columns(selection, names, field=field, own_names_only=own)
    except SchemaError as error:
        raise table.header_fault(str(error)) from None


def _plan(
    table: Table, mapping: SpendPlanConfig, channels: dict[str, str], controls: dict[str, str]
) -> xr.Dataset:
    """Dataset of a table without faults; `channels` are columns, or entries of a long table."""
    columns = [*([mapping.spend] if mapping.channel else channels), *controls]
    variables = [
        Variable(table.names.index(name), name, "control" if name in controls else "channel")
        for name in columns
    ]
    panel = Panel(table, variables, mapping, strict=True)
    check_faults(panel)
    freq = _frequency(panel, mapping.freq)
    # (date, geo, channel of a long table, variable)
    shape = (panel.n_dates, len(panel.geo_labels), -1, len(variables))
    cube = panel.cube.reshape(shape)
    control = cube[..., len(variables) - len(controls) :]
    _check_two_values(panel, control, list(controls))
    spend = cube[..., 0] if mapping.channel else cube[:, :, 0, : len(channels)]
    data = {"spend": (MEDIA, np.ascontiguousarray(spend))}
    labels = {"channel": list(channels.values())}
    if controls:
        data["control_value"] = (CONTROLS, np.ascontiguousarray(control[:, :, 0]))
        labels["control"] = list(controls.values())
    dates = panel.unique_dates.astype("datetime64[ns]")
    return xr.Dataset(
        data, {"date": dates, "geo": panel.geo_labels.tolist(), **labels}, {"freq": freq}
    )


def _frequency(panel: Panel, declared: str | None) -> str:
    """Frequency of the dates, which all of them have to follow."""
    dates, column = panel.unique_dates, panel.mapping.date
    if len(dates) < 2:
        found = f"found one date only ({str(dates[0])[:10]}), allowed: 2 or more"
        raise panel.table.fault(0, column, found)
    allowed = GENERATED if declared is None else [declared_frequency(declared, dates)]
    freq, misfit = fitted_frequency(dates, allowed)
    if misfit is not None:
        rows = np.flatnonzero(panel.date_codes == misfit.position)
        raise panel.table.fault(int(rows[-1]), column, misfit.message)
    return freq


def _check_two_values(panel: Panel, controls: FloatArray, names: Sequence[str]) -> None:
    """Raise unless the channels of a date and geo have the same controls (date, geo, channel)."""
    last = controls[:, :, -1:]
    for position, name in enumerate(names):
        differs = (controls != last)[..., position]
        if differs.any():
            row = int(panel.cube_rows.reshape(differs.shape)[differs].min())
            other = last[panel.date_codes[row], panel.geo_codes[row], 0, position]
            found = f"found {panel.cells[row, position - len(names)]}"
            message = f"{found}, but another channel's row of this date and geo has {other}"
            raise panel.table.fault(row, name, f"{message}; a control has one value for all")
