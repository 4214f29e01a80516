"""Names of coordinates on disk, for names in a Dataset that a file cannot hold."""

from __future__ import annotations

import os
from typing import TypeAlias

import xarray as xr

from mmm_xgen.dataset import VARIED, coordinate_of, varied_paths
from mmm_xgen.errors import SchemaError

PathLike: TypeAlias = str | os.PathLike[str]


def stored_names(ds: xr.Dataset) -> dict[str, str]:
    """Return the names on disk of the coordinates of numbers that vary, by name in the Dataset.

    A file may not be able to hold their own names, such as ``channels.*.roas``.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_ensemble(n=8, vary={"revenue_per_kpi": [1.0, 2.0]}, chunks=None)
    >>> stored_names(ds)
    {'config.revenue_per_kpi': 'vary_0'}
    """
    paths = varied_paths(ds) if VARIED in ds.attrs else []
    return {coordinate_of(path): f"vary_{position}" for position, path in enumerate(paths)}


def with_stored_names(ds: xr.Dataset) -> xr.Dataset:
    """Return the Dataset with the names on disk for the coordinates of numbers that vary.

    Raises
    ------
    SchemaError
        If another variable has such a name.
    """
    names = {name: stored for name, stored in stored_names(ds).items() if name in ds.variables}
    taken = [name for name in names.values() if name in ds.variables or name in ds.dims]
    if taken:
        raise SchemaError(
            f"the name {taken[0]!r} is kept for a number that varies; rename yours with ds.rename"
        )
    return ds.rename(names)


def with_own_names(ds: xr.Dataset) -> xr.Dataset:
    """Return a Dataset from disk with the own names of the coordinates of numbers that vary."""
    names = stored_names(ds)
    ds = ds.rename({stored: name for name, stored in names.items() if stored in ds.variables})
    return ds.set_coords([name for name in names if name in ds.variables])
