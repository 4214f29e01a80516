"""Ensembles as Zarr stores: written chunk by chunk, resumable, and read back lazily."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

import xarray as xr

from mmm_xgen.atomic import told_by_name
from mmm_xgen.errors import ConfigError, SchemaError, nearest, require_packages
from mmm_xgen.export.chunkwise import (
    refuse_other,
    source_of,
    target_folder,
    write_chunks,
)
from mmm_xgen.export.files import PathLike, check_zarr
from mmm_xgen.export.store_layout import (
    PROGRESS,
    ChunkWriter,
    chunks_written,
    clear_half_files,
    create_store,
    dataset_in,
    forget,
    leftovers_of,
    recorded,
)
from mmm_xgen.schema import takes_datasets

Number = Literal["float64", "float32"]


@takes_datasets
def write_ensemble(
    ds: xr.Dataset,
    path: PathLike,
    *,
    resume: bool = True,
    dtype: Number = "float64",
    progress: bool = True,
    client: Any = None,
) -> Path:
    """Write an ensemble to a Zarr store, chunk by chunk, in bounded memory.

    A lazy ensemble is generated as it is written, and never is as a whole in memory. What was
    killed, at whatever moment, goes on with the same call: chunks that were finished stay as
    they are, one that was begun is written anew, and in the end every byte is that of a store
    which nothing interrupted.

    Parameters
    ----------
    ds : Dataset
        What `generate_ensemble` made, or anything made of it that still has its coordinates and
        `dataset` as the first dim of every variable. Its chunks of datasets are those of the
        store; one in memory gets chunks of about 64 MB.
    path : str or Path
        Folder of the store, whose parent must exist, on a disk that all workers see.
    resume : bool
        Whether to go on with what is there. If not, an ensemble that is there is replaced.
    dtype : {"float64", "float32"}
        Numbers of the store. Of float32, each has a relative error of at most 6e-8 (2**-24), or,
        below 1.2e-38, an absolute one of 7e-46; sums of parts differ from the whole by as much.
    progress : bool
        Whether to show progress and time left on stderr, if it is a terminal.
    client : distributed.Client, optional
        Cluster whose workers generate and write. By default the client that is active, or else
        two threads of this process.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    SchemaError
        If `ds` is no ensemble, or `path` holds another one or something else.
    XgenError
        If `path` cannot be written to.
    ConfigError
        If a dataset cannot be generated; it names the dataset and its numbers. The chunks that
        were written stay.
    MissingDependencyError
        If zarr is not installed.

    Notes
    -----
    The store is a Zarr group of format 3 whose arrays have the names of the Dataset, but for the
    coordinates of the numbers that vary, such as ``channels.*.roas``, which no file system of
    Windows could hold: they are ``vary_0``, ``vary_1``, ... in the order of the attribute
    ``varied``. `open_ensemble` gives them their names back. A chunk is done once its entry in the
    array ``progress/written`` says so, which is written after all else. Only one call may write
    to a store at a time. It survives the end of the program, not of the machine: after a power
    failure, begin anew with ``resume=False``.

    Examples
    --------
    >>> import tempfile, mmm_xgen
    >>> ds = mmm_xgen.generate_ensemble(n=100, vary={"channels.*.roas": mmm_xgen.Uniform(1, 4)})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = open_ensemble(write_ensemble(ds, Path(folder) / "ensemble.zarr"))
    ...     again.identical(ds)
    True
    """
    if dtype not in get_args(Number):
        raise ConfigError(f"found {dtype!r}; {nearest(str(dtype), get_args(Number))}", path="dtype")
    target = target_folder(path)
    _require_zarr()
    source = source_of(ds)
    identity = {**source.identity(), "dtype": dtype}
    with told_by_name(path):
        forget(leftovers_of(target))
        there = target.is_dir() and any(target.iterdir())
        if there:
            found = recorded(target)
            if found is None:
                raise SchemaError(
                    f"{path}: this folder is no store that write_ensemble began; choose another "
                    "path"
                )
            if resume:
                refuse_other(Path(path), found, identity)
        if not there or not resume:
            create_store(target, source, dtype, identity)
        done = chunks_written(target)
        clear_half_files(target, source.names)
    write_chunks(source, ChunkWriter(target, source.size), done, client=client, progress=progress)
    # A worker that was killed leaves half a file beside the whole one of its successor.
    clear_half_files(target, source.names)
    return Path(path)


def open_ensemble(path: PathLike) -> xr.Dataset:
    """Open an ensemble that `write_ensemble` wrote, lazily, chunk by chunk.

    Parameters
    ----------
    path : str or Path
        Folder of the store.

    Returns
    -------
    Dataset
        Identical to the one that was written, with numbers of the dtype of the store. Nothing but
        the coordinates is read before Dask's ``compute``; `regenerate_ensemble` makes it again.

    Raises
    ------
    SchemaError
        If there is no such store, or it is not finished; it says how much is missing.
    MissingDependencyError
        If zarr or Dask is not installed.

    Examples
    --------
    >>> open_ensemble("nowhere.zarr")
    Traceback (most recent call last):
    mmm_xgen.errors.SchemaError: nowhere.zarr: no such folder
    """
    source = Path(path)
    if not source.is_dir():
        raise SchemaError(f"{source}: no such folder")
    _require_zarr()
    check_zarr(source)
    found = recorded(source)
    if found is None:
        raise SchemaError(f"{source}: no store that write_ensemble wrote (it has no {PROGRESS!r})")
    chunks = -(-int(found["datasets"]) // int(found["chunk"]))
    missing = chunks - len(chunks_written(source))
    if missing:
        raise SchemaError(
            f"{source}: {missing} of {chunks} chunks are not written yet; the call that began it "
            "goes on where it stopped"
        )
    return dataset_in(source)


def _require_zarr() -> None:
    require_packages("a Zarr store of an ensemble needs", "zarr", "dask.array")
