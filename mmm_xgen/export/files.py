"""Files of a dataset: NetCDF, CSV, Parquet and JSON.

Every file is written to a temporary path first, so an interrupted write leaves the old file or
none. Only the given path is written, and nothing is pickled.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mmm_xgen.atomic import NETCDF_LOCK, csv_of, is_there, with_reason, writing
from mmm_xgen.dataset import of_this_schema
from mmm_xgen.errors import SchemaError, XgenError
from mmm_xgen.export.ground_truth import ground_truth
from mmm_xgen.frames.wide import to_frame as to_frame
from mmm_xgen.schema import SCHEMA_VERSION, check_variables, takes_datasets
from mmm_xgen.storage.encoding import decoded_file, stored
from mmm_xgen.storage.names import PathLike, with_own_names, with_stored_names

# Attributes that a file must have to be loaded.
CORE = ("spend", "channel_contribution", "mu", "y")


@takes_datasets
def to_netcdf(ds: xr.Dataset, path: PathLike, *, compression: int = 0) -> Path:
    """Write a dataset with its whole truth to a NetCDF file, which `load` reads.

    Parameters
    ----------
    ds : Dataset
        A generated or aggregated Dataset.
    path : str or Path
        Path of the file; its folder must exist. An existing file is replaced.
    compression : int, 0 to 9
        Level of lossless zlib compression; 0 for none, which is the fastest.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    SchemaError
        If `ds` does not come from this package, or if a name, variable or attribute could not be
        restored. The message names it and the allowed types.
    XgenError
        If the folder does not exist or cannot be written to.

    Notes
    -----
    In the file, the coordinates of the numbers that vary in an ensemble, such as
    ``channels.*.roas``, are called ``vary_0``, ``vary_1``, ... in the order of the attribute
    ``varied``, because NetCDF does not allow blanks or slashes in names. `load` restores the
    names. Values that NetCDF cannot hold, such as None, True, dictionaries, dates in attributes,
    and categories, are stored as JSON, which the attribute ``mmm_xgen_encoding`` records.

    Examples
    --------
    >>> import tempfile, mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     load(to_netcdf(ds, Path(folder) / "sales.nc")).identical(ds)
    True
    """
    _check_foreign(ds)
    if compression not in range(10):
        raise XgenError(f"compression: found {compression!r}, allowed: 0 (none) to 9")
    # Drop the encoding from another file, which could lose digits.
    plain = stored(with_stored_names(ds))
    encoding = {
        name: {"zlib": True, "complevel": int(compression)}
        for name, variable in plain.variables.items()
        if compression and variable.dtype.kind in "fiub" and variable.size
    }
    with writing(path) as temporary, NETCDF_LOCK, with_reason(temporary, plain.nbytes):
        plain.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=encoding)
    return Path(path)


def load(path: PathLike) -> xr.Dataset:
    """Load a dataset from a NetCDF file or a Zarr directory.

    Parameters
    ----------
    path : str or Path
        File from `to_netcdf`, or directory from ``ds.to_zarr`` or `write_ensemble`.

    Returns
    -------
    Dataset
        Identical to the saved one, in memory; `regenerate` generates it again.

    Raises
    ------
    SchemaError
        If the file does not exist, is broken, or holds something else. If a folder has a link in
        it, metadata that could run code, or a damaged file of `write_ensemble`.
    MissingDependencyError
        If `path` is a Zarr directory and zarr is not installed.

    Examples
    --------
    >>> load("nowhere.nc")
    Traceback (most recent call last):
    mmm_xgen.errors.SchemaError: nowhere.nc: no such file
    """
    source = Path(path)
    if not is_there(source):
        raise SchemaError(f"{source}: no such file")
    engine = "netcdf4"
    if source.is_dir():
        from mmm_xgen.ensemble.store_layout import is_store
        from mmm_xgen.ensemble.zarr_store import open_ensemble
        from mmm_xgen.storage.folders import check_zarr

        if is_store(source):
            return open_ensemble(source).load()
        engine = "zarr"
        check_zarr(source)
    elif not source.stat().st_size:
        raise SchemaError(f"{source}: the file is empty; write it again")
    try:
        ds = _read(source, engine)
    # The file libraries raise many types of exceptions for a broken file.
    except Exception as error:
        what = "NetCDF file" if engine == "netcdf4" else "Zarr directory"
        raise SchemaError(
            f"{source}: cannot be read as a {what}: it is broken or something else "
            f"({_first_line(error)})"
        ) from error
    ds = of_this_schema(ds)
    try:
        _check_foreign(ds)
    except SchemaError as error:
        raise SchemaError(f"{source}: {error}") from None
    return ds


def write_csv(ds: xr.Dataset, path: PathLike, *, escape_formulas: bool = False) -> Path:
    """Write the wide frame as CSV: ISO dates, and numbers with the fewest digits that keep them.

    Parameters
    ----------
    ds : Dataset
        Dataset, as for `to_frame`.
    path : str or Path
        Path of the file; its folder must exist. An existing file is replaced.
    escape_formulas : bool
        If True, labels that a spreadsheet would run as a formula, such as ``=1+1`` or ``@home``,
        get an apostrophe in front. If False, labels are written unchanged, with a warning for such
        a label.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    XgenError
        If `to_frame` raises, or if the folder is missing or cannot be written to.

    Notes
    -----
    ``pandas.read_csv(path, parse_dates=["date"], keep_default_na=False)`` reads it, with a geo
    called NA as text; releases before 3 need ``float_precision="round_trip"`` for the last bit.
    With `escape_formulas`, a label that begins with an apostrophe gets a second one. Remove the
    first one with ``frame["geo"].str.removeprefix("'")`` to restore the labels.

    Examples
    --------
    >>> import tempfile, mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_csv(ds, Path(folder) / "sales.csv").read_text().splitlines()[0]
    'date,geo,y,x1-Seasonal,x2-Trend,x3-On-Off,c1-Price,c2-Promotion'
    """
    frame = to_frame(ds)
    with writing(path) as temporary:
        csv_of(frame, temporary, escape_formulas=escape_formulas)
    return Path(path)


def write_parquet(ds: xr.Dataset, path: PathLike) -> Path:
    """Write the wide frame as Parquet; ``pandas.read_parquet`` reads the same bits and types.

    Parameters
    ----------
    ds : Dataset
        See `to_frame`.
    path : str or Path
        The file; its folder must exist. A file that is there is replaced.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    XgenError
        If `to_frame` refuses the data, or the folder is missing or cannot be written to.

    Examples
    --------
    >>> import tempfile, mmm_xgen, pandas
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_parquet(ds, Path(folder) / "sales.parquet")
    ...     pandas.read_parquet(path).equals(to_frame(ds))
    True
    """
    frame = to_frame(ds)
    with writing(path) as temporary:
        frame.to_parquet(temporary, engine="pyarrow", index=False)
    return Path(path)


def write_json(ds: xr.Dataset, path: PathLike) -> Path:
    """Write the wide frame as a JSON list with one object a row; dates are ISO text.

    Parameters
    ----------
    ds : Dataset
        See `to_frame`.
    path : str or Path
        The file; its folder must exist. A file that is there is replaced.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    XgenError
        If `to_frame` refuses the data, or the folder is missing or cannot be written to.

    Examples
    --------
    >>> import tempfile, mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rows = json.loads(write_json(ds, Path(folder) / "sales.json").read_text())
    >>> rows[0]["date"], rows[0]["geo"], len(rows)
    ('2022-01-03', 'geo_a', 208)
    """
    frame = to_frame(ds)
    names = frame.columns.tolist()
    dates = np.datetime_as_string(frame["date"].to_numpy(), unit="D").tolist()
    numbers = frame[names[2:]].to_numpy().tolist()
    geos = [str(geo) for geo in frame["geo"]]
    rows = (
        dict(zip(names, [date, geo, *values], strict=True))
        for date, geo, values in zip(dates, geos, numbers, strict=True)
    )
    lines = ",\n".join(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows)
    with writing(path) as temporary:
        temporary.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    return Path(path)


def write_ground_truth(ds: xr.Dataset, path: PathLike, *, series: bool = False) -> Path:
    """Write the nested dictionary of `ground_truth` as JSON.

    Parameters
    ----------
    ds : Dataset
        A generated or aggregated Dataset.
    path : str or Path
        The file; its folder must exist. A file that is there is replaced.
    series : bool
        Whether to add every contribution over time.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    XgenError
        If `ground_truth` refuses the data, or the folder is missing or cannot be written to.

    Examples
    --------
    >>> import tempfile, mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_ground_truth(ds, Path(folder) / "truth.json")
    ...     json.loads(path.read_text()) == ground_truth(ds)
    True
    """
    truth = ground_truth(ds, series=series)
    text = json.dumps(truth, indent=2, ensure_ascii=False, allow_nan=False)
    with writing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return Path(path)


def _read(source: Path, engine: str) -> xr.Dataset:
    options: Any = {"engine": engine, "decode_cf": False, "chunks": None}
    if engine == "zarr":
        # Read the metadata of each array, not the consolidated copy.
        options["consolidated"] = False
    with NETCDF_LOCK, xr.open_dataset(source, **options) as raw:
        ds = decoded_file(raw.load())
    # Earlier releases wrote a seed beyond 64 bits as text.
    if isinstance(ds.attrs.get("seed"), str):
        ds.attrs["seed"] = int(ds.attrs["seed"])
    return with_own_names(ds)


def _check_foreign(ds: xr.Dataset) -> None:
    version = str(ds.attrs.get("schema_version", ""))
    if not version:
        raise SchemaError(
            "not a dataset of mmm-xgen: it has no attribute 'schema_version'; pass one that "
            "generate_mmm_dataset made"
        )
    if version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
        raise SchemaError(
            f"found schema version {version}, allowed: {SCHEMA_VERSION.split('.')[0]}.x, or 1.x in "
            "a file; generate it again, or use the release of mmm-xgen that wrote it"
        )
    check_variables(ds, *CORE)


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]
