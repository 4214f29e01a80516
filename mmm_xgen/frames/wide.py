"""The wide frame that modelling libraries take."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import SchemaError
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.schema import SALES, check_variables, describe


@in_memory
def to_frame(ds: xr.Dataset) -> pd.DataFrame:
    """Flatten a dataset to the wide frame: what an analyst would have, and nothing of the truth.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, or any with ``y`` (date, geo), ``spend`` (date, geo, channel),
        ``control_value`` (date, geo, control) and the names of the columns in the coordinates
        ``channel_column`` and ``control_column``.

    Returns
    -------
    pandas.DataFrame
        Columns ``date``, ``geo``, ``y`` in KPI units, then spend in currency under
        ``x1-*, x2-*, ...`` and controls under ``c1-*, ...``. One row a date and geo, sorted by
        date, then by the label of the geo. Numbers are float64 and bit-identical to those of
        `ds`, with which they share no memory.

    Raises
    ------
    SchemaError
        If a variable or coordinate is missing or has other dims, a date, geo or column comes
        twice, or a number is missing, infinite or negative. It names the first such cell.

    Examples
    --------
    >>> import mmm_xgen
    >>> frame = to_frame(mmm_xgen.generate_mmm_dataset())
    >>> frame.columns.tolist()[:5]
    ['date', 'geo', 'y', 'x1-Seasonal', 'x2-Trend']
    >>> frame.shape
    (208, 8)
    """
    return _flat(ds, ())


def ensemble_frame(ds: xr.Dataset) -> pd.DataFrame:
    """Wide frames of all datasets of an ensemble, one after the other.

    Parameters
    ----------
    ds : Dataset
        Ensemble, or a chunk of one.

    Returns
    -------
    pandas.DataFrame
        Column ``dataset``, and those of `to_frame`, whose rows each dataset has.

    Raises
    ------
    SchemaError
        As for `to_frame`; it names the dataset, too.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_ensemble(seeds=[5, 6], chunks=None)
    >>> frame = ensemble_frame(ds)
    >>> frame.columns.tolist()[:5]
    ['dataset', 'date', 'geo', 'y', 'x1-Seasonal']
    >>> second = to_frame(mmm_xgen.generate_mmm_dataset(seed=6))
    >>> frame[frame.dataset == 1].drop(columns="dataset").reset_index(drop=True).equals(second)
    True
    """
    return _flat(ds, ("dataset",))


def _flat(ds: xr.Dataset, leading: tuple[str, ...]) -> pd.DataFrame:
    check_variables(
        ds, "y", "spend", "control_value", "channel_column", "control_column", "date", "geo"
    )
    for name in ("y", "spend", "control_value"):
        _check_other_dims(ds[name], name, leading)
    columns = ["y", *_labels(ds["channel_column"]), *_labels(ds["control_column"])]
    _check_twice("column", np.array([*leading, "date", "geo", *columns]))
    dates, geos = ds["date"].to_numpy(), np.array(_labels(ds["geo"]), dtype=str)
    if dates.dtype.kind != "M" or np.isnat(dates).any():
        raise SchemaError(f"'date' has missing values or dtype {dates.dtype}, allowed: dates")
    _check_twice("date", dates)
    _check_twice("geo", geos)
    by_date = np.argsort(dates, kind="stable")
    by_geo = np.argsort(geos, kind="stable")
    sorted_ds = ds[["y", "spend", "control_value"]].isel(date=by_date, geo=by_geo)
    leads = {dim: ds[dim].to_numpy() for dim in leading}
    keys = {**leads, "date": dates[by_date], "geo": geos[by_geo]}
    # (column, row), the layout of a pandas block.
    block = np.concatenate(list(_by_column(sorted_ds, leading)), dtype=np.float64)
    _check_bad_number(block, columns, keys)
    frame = pd.DataFrame(block.reshape(len(columns), -1).T, columns=columns, copy=False)
    for position, (name, labels) in enumerate(keys.items()):
        shape = [len(labels) if name == other else 1 for other in keys]
        every = np.broadcast_to(labels.reshape(shape), block.shape[1:])
        frame.insert(position, name, every.ravel())
    return frame


def _by_column(ds: xr.Dataset, leading: tuple[str, ...]) -> Iterator[FloatArray]:
    yield ds["y"].transpose(*leading, *SALES).to_numpy()[None]
    for name, dim in (("spend", "channel"), ("control_value", "control")):
        yield ds[name].transpose(dim, *leading, *SALES).to_numpy()


def _labels(coordinate: xr.DataArray) -> list[str]:
    return [str(label) for label in coordinate.to_numpy()]


def _check_other_dims(variable: xr.DataArray, name: str, leading: tuple[str, ...]) -> None:
    allowed = (*leading, *describe(name).dims)
    extra = [str(dim) for dim in variable.dims if dim not in allowed]
    if extra:
        raise SchemaError(
            f"{name!r} has the dim {extra[0]!r} besides {', '.join(describe(name).dims)}; select "
            f"one of it first, such as ds.isel({extra[0]}=0)"
        )
    if variable.dtype.kind not in "fiu":
        raise SchemaError(f"{name!r} has dtype {variable.dtype}, allowed: numbers")


def _check_twice(noun: str, labels: NDArray[np.generic]) -> None:
    known, counts = np.unique(labels, return_counts=True)
    if np.any(counts > 1):
        raise SchemaError(
            f"the {noun} {str(known[counts > 1][0])!r} comes more than once, allowed: once"
        )


def _check_bad_number(
    block: FloatArray, columns: list[str], keys: dict[str, NDArray[np.generic]]
) -> None:
    # Only controls may be negative. One pass that a NaN fails too.
    least = np.array([-np.inf if re.match(r"c\d", name) else 0.0 for name in columns])
    bad = ~((block >= least.reshape(-1, *[1] * (block.ndim - 1))) & (np.abs(block) < np.inf))
    if not bad.any():
        return
    column, *cell = (int(position[0]) for position in np.nonzero(bad))
    value = block[(column, *cell)]
    fault = "a missing value" if np.isnan(value) else "an infinite or negative number"
    faulty = bad.reshape(len(columns), -1).any(axis=-1)
    names = [columns[position] for position in np.flatnonzero(faulty)]
    found = {name: str(labels[at]) for (name, labels), at in zip(keys.items(), cell, strict=True)}
    within = f"dataset {found['dataset']}, " if "dataset" in found else ""
    raise SchemaError(
        f"{fault} ({value:g}) in column {columns[column]!r} at {within}date {found['date'][:10]}, "
        f"geo {found['geo']!r}; allowed: finite numbers, at least 0 in y and spend "
        f"({int(bad.sum())} faulty "
        f"{'cell' if bad.sum() == 1 else 'cells'} in {', '.join(names)})"
    )
