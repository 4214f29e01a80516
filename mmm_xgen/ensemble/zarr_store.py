"""Ensembles as Zarr stores: written chunk by chunk, resumable, and read lazily."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.atomic import is_there, with_user_path
from mmm_xgen.dataset import of_this_schema
from mmm_xgen.ensemble.chunks import (
    FILES,
    OWN,
    Source,
    check_same_ensemble,
    damaged,
    source_of,
    target_folder,
    write_chunks,
)
from mmm_xgen.ensemble.store_layout import (
    MARK,
    RECORD,
    ChunkWriter,
    chunks_written,
    clear_half_files,
    create_store,
    damaged_chunks,
    damaged_files,
    damaged_metadata,
    forget,
    is_store,
    leftovers_of,
    recorded,
    repair_metadata,
    whole_record,
    without_text_warning,
)
from mmm_xgen.errors import ConfigError, SchemaError, check_packages, nearest
from mmm_xgen.schema import takes_datasets
from mmm_xgen.storage.encoding import decoded_file
from mmm_xgen.storage.folders import check_codecs, check_links, metadata_in
from mmm_xgen.storage.names import PathLike, with_own_names

Number = Literal["float64", "float32"]
# Bytes of numbers that can be read in about a second.
CHECKED_AT_ONCE = 500_000_000


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

    A lazy ensemble is generated while it is written, and is never in memory as a whole. If the call
    is killed, the same call continues: finished chunks stay, unfinished ones are written anew, and
    in the end every byte is the same as without the interruption.

    Parameters
    ----------
    ds : Dataset
        Ensemble from `generate_ensemble`. It may have been changed, but must have its coordinates,
        and `dataset` as the first dim of every variable. Its chunks of datasets are those of the
        store; an ensemble in memory gets chunks of about 64 MB.
    path : str or Path
        Folder of the store, on a disk that all workers see. Its parent must exist.
    resume : bool
        If True, continue an ensemble that is already there. If False, replace it.
    dtype : {"float64", "float32"}
        Type of the numbers in the store. With float32, each number has a relative error of at most
        6e-8 (2**-24), or, below 1.2e-38, an absolute error of 7e-46. Sums of parts differ from the
        whole by as much.
    progress : bool
        If True, show progress and time left on stderr, provided that it is a terminal.
    client : distributed.Client, optional
        Cluster whose workers generate and write. Default: the active client if there is one, else
        two threads of this process.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    SchemaError
        If `ds` is not an ensemble, or if `path` holds another ensemble or something else.
    XgenError
        If `path` cannot be written to.
    ConfigError
        If a dataset cannot be generated. The message names the dataset and its numbers. The chunks
        that were written stay.
    MissingDependencyError
        If zarr is not installed.

    Notes
    -----
    The store is a Zarr group of format 3. Its arrays have the names of the Dataset, except the
    coordinates of the numbers that vary: Windows cannot hold a file name such as
    ``channels.*.roas``, so they are called ``vary_0``, ``vary_1``, ... in the order of the
    attribute ``varied``. `open_ensemble` restores their names. A chunk counts as written once its
    entry in the array ``progress/written`` says so, which is written last. Only one call may write
    to a store at a time. The store survives a crash of the program, but not a power failure: after
    one, begin again with ``resume=False``.

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
    _check_zarr()
    source = source_of(ds)
    identity = {**source.identity(), "dtype": dtype}
    with with_user_path(path):
        forget(leftovers_of(target))
        there = target.is_dir() and any(target.iterdir())
        if there and not is_store(target):
            raise SchemaError(
                f"{path}: this folder is not a store that write_ensemble began; choose another path"
            )
        if there and resume:
            done = _resume(target, source, dtype, identity, named=Path(path))
        else:
            create_store(target, source, dtype, identity)
            done = set()
        clear_half_files(target, source.names)
    write_chunks(source, ChunkWriter(target, source.size), done, client=client, progress=progress)
    # A killed worker may leave a temporary file beside the finished one of its successor.
    clear_half_files(target, source.names)
    return Path(path)


def _resume(
    target: Path, source: Source, dtype: str, identity: Mapping[str, Any], *, named: Path
) -> set[int]:
    """Repair the metadata of a store, and return the chunks that are written and undamaged."""
    check_links(target)
    found = recorded(target)
    if found is not None:
        check_same_ensemble(named, found, identity)
    record = repair_metadata(target, source, dtype, identity)
    if record is None:
        raise damaged(named, [RECORD])
    done = chunks_written(target)
    return done - damaged_chunks(target, record, done).keys()


def open_ensemble(path: PathLike, *, verify: bool = True) -> xr.Dataset:
    """Open an ensemble from `write_ensemble` lazily, chunk by chunk.

    Parameters
    ----------
    path : str or Path
        Folder of the store.
    verify : bool
        If True, compare all data with the checksums of the store: metadata and coordinates at once,
        each chunk whenever it is read. In stores of up to 500 MB, check the chunks at once too.

    Returns
    -------
    Dataset
        Identical to the ensemble that was written, with numbers of the dtype of the store. The
        numbers are Dask arrays; `regenerate_ensemble` generates them again.

    Raises
    ------
    SchemaError
        If there is no such store, or if it is not finished; the message says how much is missing.
        If a file is damaged, lost or exchanged, also when Dask computes later; the message names
        the file. If the store has a link in it, or metadata that could run code.
    MissingDependencyError
        If zarr or Dask is not installed.

    Examples
    --------
    >>> open_ensemble("nowhere.zarr")
    Traceback (most recent call last):
    mmm_xgen.errors.SchemaError: nowhere.zarr: no such folder
    """
    if not (is_there(Path(path)) and Path(path).is_dir()):
        raise SchemaError(f"{path}: no such folder")
    _check_zarr()
    # Workers of a cluster may have another current folder.
    source = Path(os.path.realpath(path))
    if not is_store(source):
        raise SchemaError(f"{path}: no store that write_ensemble wrote (it has no {RECORD!r})")
    metadata = metadata_in(source)
    record = whole_record(source)
    if record is None:
        raise damaged(path, [RECORD])
    if verify and (faults := damaged_metadata(source, record)):
        raise damaged(path, faults)
    check_codecs(source, metadata)
    chunks = -(-int(record["datasets"]) // int(record["chunk"]))
    done = chunks_written(source)
    missing = chunks - len(done)
    if missing:
        raise SchemaError(
            f"{path}: {missing} of {chunks} chunks are not written yet; the call that began it "
            "goes on where it stopped"
        )
    ds = dataset_in(source, record, verify=verify)
    checked = done if verify and ds.nbytes <= CHECKED_AT_ONCE else set()
    if found := damaged_chunks(source, record, checked):
        raise damaged(path, list(found.values()))
    return of_this_schema(ds)


# Reading ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StoredArray:
    """Numbers of a variable in a store, checked chunk by chunk whenever they are read.

    Parameters
    ----------
    path : Path
        The store.
    name : str
        The variable.
    shape : tuple of int
        Lengths of its dims.
    dtype : str
        Type of its numbers.
    size : int
        Datasets per chunk.
    names : tuple of str
        All variables of the store, in the order of their checksums.
    record : str
        Checksum of the record, which identifies the store at its path.
    verify : bool
        If True, check the chunks.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: str
    size: int
    names: tuple[str, ...]
    record: str
    verify: bool

    @property
    def ndim(self) -> int:
        """Number of dims."""
        return len(self.shape)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        import zarr

        if self.verify:
            datasets = np.arange(self.shape[0])[index[0]]
            dims = {self.name: self.ndim}
            for position in np.unique(datasets // self.size).tolist():
                if files := [*damaged_files(self.path, self.names, dims, position)]:
                    raise damaged(self.path, files)
        values: Any = zarr.open_array(self.path / self.name, mode="r")[index]
        return np.asarray(values)

    def lazy(self) -> Any:
        """Return a Dask array with the chunks of the store."""
        import dask.array

        # It is untyped.
        from_array: Any = dask.array.from_array
        chunks = (self.size, *self.shape[1:])
        meta = np.empty((0,) * self.ndim, self.dtype)
        return from_array(self, chunks=chunks, fancy=False, meta=meta)


def dataset_in(path: Path, record: Mapping[str, Any], *, verify: bool) -> xr.Dataset:
    """Return the lazy Dataset of a finished store."""
    with without_text_warning():
        raw = xr.open_dataset(path, engine="zarr", chunks=None, consolidated=False, decode_cf=False)
        # Ignore arrays that were added to the store later.
        added = [name for name in raw.variables if f"{name}/zarr.json" not in record[FILES]]
        raw = raw.drop_vars(added)
        raw.attrs.pop(MARK, None)
        listed = str(raw.attrs.pop("coordinates", "")).split()
        raw = raw.set_coords([name for name in listed if name in raw.variables])
        for coordinate in raw.coords.values():
            coordinate.load()
    names = tuple(sorted(record["variables"]))

    def lazy(name: str) -> xr.Variable:
        known = raw[name].variable
        stored = StoredArray(
            path, name, known.shape, str(known.dtype), record["chunk"], names, record[OWN], verify
        )
        return xr.Variable(known.dims, stored.lazy(), known.attrs)

    # Make numbers lazy before decoding, which would otherwise read them.
    raw = raw.assign({name: lazy(name) for name in record["variables"]})
    ds = with_own_names(decoded_file(raw))
    # A folder has no order, so restore the order of the variables. All coordinates stay.
    kept: list[str] = record["variables"]
    return ds[kept].assign_coords(ds.coords)


def _check_zarr() -> None:
    check_packages("a Zarr store of an ensemble needs", "zarr", "dask.array")
