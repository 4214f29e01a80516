"""Read any Dataset or wide frame, however broken, as a `Panel`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mmm_xgen.config.names import coordinate_label
from mmm_xgen.config.spend_plan import SpendPlanConfig
from mmm_xgen.errors import SchemaError
from mmm_xgen.frames.panel import Panel, Variable
from mmm_xgen.frames.table import Table, frame_table

# Columns of a modelling frame.
MODELLING = SpendPlanConfig(geo="geo")
# Columns of each role, in the order of the figures.
COLUMNS = {
    "y": re.compile("y"),
    "channel": re.compile(r"x\d*-.*|x\d+", re.DOTALL),
    "control": re.compile(r"c\d*-.*|c\d+", re.DOTALL),
}
PREFIXES = {"channel": "x", "control": "c"}
# Role and dim of the labels of each variable of a Dataset, in the same order.
VARIABLES = {
    "y": ("y", None),
    "spend": ("channel", "channel"),
    "control_value": ("control", "control"),
}


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
        f"found a {type(data).__name__}, allowed: an xarray.Dataset with spend (date, geo, "
        "channel) and y (date, geo), or a wide DataFrame with columns date, geo, y, x1-..., c1-..."
    )


def _read_frame(frame: pd.DataFrame) -> Panel:
    table = frame_table(frame, ("date", "geo"))
    labels = table.names[: len(frame.columns)]
    if "date" not in table.names and isinstance(frame.index, pd.DatetimeIndex):
        table.names.append("date")
        table.cells.append(pd.Series(frame.index))
    variables = [
        Variable(labels.index(name), name, role)
        for role, pattern in COLUMNS.items()
        for name in dict.fromkeys(labels)
        if pattern.fullmatch(name)
    ]
    roles = {variable.role for variable in variables}
    there = {"date": "date" in table.names, "y": "y" in roles, "x1-<channel>": "channel" in roles}
    absent = tuple(name for name in there if not there[name])
    return Panel(table, variables, MODELLING, labels=tuple(labels), absent=absent)


def _read_dataset(dataset: xr.Dataset) -> Panel:
    table, variables = dataset_table(dataset)
    lacking = [name for name in ("y", "spend") if name not in dataset.variables]
    about: dict[str, Any] = {
        "labels": tuple(
            f"{dim} {label}"
            for dim in ("channel", "control")
            if _has_labels(dataset, dim)
            for label in dataset[dim].values.tolist()
        ),
        "absent": tuple(lacking if _has_labels(dataset, "date") else ["date", *lacking]),
        "misshapen": tuple(_misshapen(dataset)),
        "dataset": dataset,
    }
    panel = Panel(table, variables, MODELLING, **about)
    # A Dataset is rectangular: leave out the geos without any number on a date which others have.
    measured = ~np.isnan(panel.cells[:, panel.roles != "control"]).all(axis=1)
    by_date = measured.reshape(dataset.sizes.get("date", 0), dataset.sizes.get("geo", 1))
    rows = (by_date | ~by_date.any(axis=1, keepdims=True)).ravel()
    return panel if rows.all() else Panel(table.take(rows), variables, MODELLING, **about)


def labels_of(panel: Panel, role: str) -> dict[str, str]:
    """Label of each channel or control column of a frame: ``TV`` for ``x1-TV``.

    Examples
    --------
    >>> labels_of(read(pd.DataFrame({"y": [1.0], "x1-TV": [2.0], "x2": [3.0]})), "channel")
    {'x1-TV': 'TV', 'x2': 'x2'}
    """
    columns = [name for name, own in zip(panel.names, panel.roles, strict=True) if own == role]
    return {name: coordinate_label(name, PREFIXES[role], 0) for name in columns}


def same_labels(panel: Panel) -> Iterator[tuple[str, str, list[str]]]:
    """Yield role, label and columns of channels and controls that several columns name."""
    for role in PREFIXES if panel.dataset is None else ():
        columns: dict[str, list[str]] = {}
        for name, text in labels_of(panel, role).items():
            columns.setdefault(text, []).append(name)
        yield from ((role, text, same) for text, same in columns.items() if len(same) > 1)


def dataset_table(
    dataset: xr.Dataset, *, national: str = MODELLING.national_name
) -> tuple[Table, list[Variable]]:
    """Flatten y, spend and controls of a Dataset to a table with one row a (date, geo).

    Parameters
    ----------
    dataset : Dataset
        Variables that are not there, or have dims that they should not have, are left out.
    national : str
        Name of the one geo of a Dataset without geos.

    Returns
    -------
    table : Table
        Columns ``date``, ``geo``, ``y``, ``spend[TV]``, ``control_value[Price]``.
    variables : list of Variable
        The columns of numbers.

    Examples
    --------
    >>> import mmm_xgen
    >>> dataset_table(mmm_xgen.generate_mmm_dataset())[0].names[:4]
    ['date', 'geo', 'y', 'spend[Seasonal]']
    """
    n_dates, n_geos = dataset.sizes.get("date", 0), dataset.sizes.get("geo", 1)
    dates = dataset["date"].values if _has_labels(dataset, "date") else np.arange(n_dates)
    geos = np.atleast_1d(dataset["geo"].values if "geo" in dataset.coords else national)
    if geos.shape != (n_geos,):
        geos = np.arange(n_geos)
    names, cells = ["geo"], [pd.Series(np.tile(geos, n_dates))]
    if _has_labels(dataset, "date"):
        names.insert(0, "date")
        cells.insert(0, pd.Series(np.repeat(dates, n_geos)))
    variables = []
    for name, (role, dim) in VARIABLES.items():
        if name not in dataset.variables or not _usable_dims(dataset[name], dim):
            continue
        dims = {each: dataset.sizes.get(each, 1) for each in ("date", "geo", dim or "variable")}
        variable: Any = dataset[name].variable
        block = variable.set_dims(dims).values
        labels = [name] if dim is None else _labels(dataset, name, dim, block.shape[-1])
        for position, text in enumerate(labels):
            variables.append(Variable(len(names), text, role))
            names.append(name if dim is None else f"{name}[{text}]")
            cells.append(pd.Series(block[..., position].ravel()))

    def row(position: int) -> str:
        return f"date {str(dates[position // n_geos])[:10]}, geo {str(geos[position % n_geos])!r}"

    return Table(names, cells, n_dates * n_geos, row, "the labels of the Dataset"), variables


def _labels(dataset: xr.Dataset, name: str, dim: str, size: int) -> list[str]:
    given = dataset[dim].values if dim in dataset.coords else ()
    labels = [str(label) for label in np.atleast_1d(given)]
    return labels if len(labels) == size else [f"{name}[{place}]" for place in range(size)]


def _usable_dims(array: xr.DataArray, dim: str | None) -> bool:
    return "date" in array.dims and set(array.dims) <= {"date", "geo", dim}


def _misshapen(dataset: xr.Dataset) -> Iterator[str]:
    """Variables with a dim too many or too few. A control may be the same for all geos."""
    for name, (role, dim) in VARIABLES.items():
        if name not in dataset.variables:
            continue
        array = dataset[name]
        needed = {"date"} | ({dim} - set(dataset.coords) - {None})
        if "geo" in dataset.dims and role != "control":
            needed |= {"geo"}
        if not _usable_dims(array, dim) or not needed <= set(array.dims):
            yield f"{name} ({', '.join(map(str, array.dims))})"


def _has_labels(dataset: xr.Dataset, dim: str) -> bool:
    return dim in dataset.coords and dataset[dim].dims == (dim,)
