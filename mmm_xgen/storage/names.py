"""Names of coordinates on disk, where the names in a Dataset may not be allowed."""

from __future__ import annotations

import os
from typing import TypeAlias

import xarray as xr

from mmm_xgen.dataset import VARIED, coordinate_of, varied_paths
from mmm_xgen.errors import SchemaError

PathLike: TypeAlias = str | os.PathLike[str]


def stored_names(ds: xr.Dataset) -> dict[str, str]:
    """Names on disk, by name in the Dataset, of the coordinates of the numbers that vary.

    Their own, such as ``channels.*.roas``, may be nothing that a file can hold.

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
    """Dataset whose coordinates of the numbers that vary have their names on disk.

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
    """Dataset from disk whose coordinates of the numbers that vary have their names again."""
    names = stored_names(ds)
    ds = ds.rename({stored: name for name, stored in names.items() if stored in ds.variables})
    return ds.set_coords([name for name in names if name in ds.variables])
