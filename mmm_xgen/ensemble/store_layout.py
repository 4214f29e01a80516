"""Layout of the Zarr store of an ensemble: groups, arrays, records and checksums."""

from __future__ import annotations

import json
import re
import shutil
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.atomic import atomic_path, with_user_path
from mmm_xgen.ensemble.chunks import (
    FILES,
    THREADS,
    Arrays,
    Source,
    checksum,
    is_whole,
    json_object,
    with_checksum,
)
from mmm_xgen.errors import SchemaError
from mmm_xgen.storage.encoding import stored_attrs, stored_variable
from mmm_xgen.storage.folders import files_in
from mmm_xgen.storage.names import stored_names

# Group whose attributes are the record of the store: its settings, and the checksums of its
# metadata and coordinates. Its arrays hold the marks of written chunks, and their checksums.
PROGRESS, WRITTEN, CHECKSUM = "progress", "written", "checksum"
RECORD = f"{PROGRESS}/zarr.json"
# Attribute of the store that names this group, so that its loss can be detected.
MARK = "record"
# Names that every file system can hold.
SAFE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# Of the codecs that compress constants to almost nothing, the fastest to write.
COMPRESSION: Any = {"cname": "lz4", "clevel": 5, "shuffle": "bitshuffle"}
# One file per chunk, in one folder.
KEYS: Any = {"name": "default", "separator": "."}
# True in an uncompressed array of booleans, as Zarr stores it.
TRUE = b"\x01"
# Type of the checksums in their uncompressed array.
CRC = "<u4"


# Creation ---------------------------------------------------------------------------------------


def create_store(target: Path, source: Source, dtype: str, identity: Mapping[str, Any]) -> None:
    """Create the store without its numbers, whole or not at all, in place of any other store."""
    new, old = leftovers_of(target)
    with without_text_warning():
        _fill(new, source, dtype, identity)
    if target.exists():
        target.rename(old)
    new.rename(target)
    forget([old])


def leftovers_of(target: Path) -> list[Path]:
    """Return the folders beside the store that only a killed call leaves."""
    return [target.with_name(f".{target.name}.{word}") for word in ("new", "old")]


def forget(paths: Iterable[Path]) -> None:
    """Remove folders that exist."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)


def _fill(folder: Path, source: Source, dtype: str, identity: Mapping[str, Any]) -> None:
    import zarr
    from zarr.codecs import BloscCodec

    ds = source.ds
    names = stored_names(ds)
    coordinates = [names.get(str(name), str(name)) for name in ds.coords]
    listed = [name for name in coordinates if name not in ds.dims]
    own = stored_attrs(ds.attrs, "the Dataset")
    attrs = {**own, "coordinates": " ".join(listed), MARK: PROGRESS}
    group = zarr.create_group(folder, zarr_format=3, attributes=attrs)
    for name in source.names:
        variable = ds[name]
        if variable.dtype.kind not in "fiub":
            raise SchemaError(f"{name!r} has the type {variable.dtype}, allowed: numbers")
        shape = variable.shape
        group.create_array(
            _checked(name),
            shape=shape,
            dtype=dtype if variable.dtype.kind == "f" else variable.dtype,
            chunks=(min(source.size, shape[0]), *(max(1, length) for length in shape[1:])),
            compressors=BloscCodec(typesize=np.dtype(dtype).itemsize, **COMPRESSION),
            fill_value=np.nan if variable.dtype.kind == "f" else 0,
            chunk_key_encoding=KEYS,
            dimension_names=tuple(map(str, variable.dims)),
            attributes=stored_attrs(variable.attrs, repr(name)),
        )
    for key, coordinate in ds.coords.items():
        on_disk = _checked(names.get(str(key), str(key)))
        _store_coordinate(group, on_disk, stored_variable(coordinate.variable, repr(key)))
    progress = group.create_group(PROGRESS)
    chunks, variables = len(source), max(1, len(source.names))
    for name, shape, dtype_of, empty in (
        (WRITTEN, (chunks,), "bool", False),
        (CHECKSUM, (chunks, variables), CRC, 0),
    ):
        progress.create_array(
            name,
            shape=shape,
            chunks=(1, *shape[1:]),
            dtype=dtype_of,
            compressors=None,
            fill_value=empty,
            chunk_key_encoding=KEYS,
            dimension_names=("chunk", "variable")[: len(shape)],
        )
    static = sorted(set(files_in(folder)) - {RECORD})
    files = {name: _file_checksum(folder, name) for name in static}
    progress.update_attributes(with_checksum({**identity, FILES: files}))


def _store_coordinate(group: Any, name: str, coordinate: xr.Variable) -> None:
    values: Any = coordinate.to_numpy()
    dtype: Any = values.dtype
    if values.dtype.kind == "U":
        values, dtype = values.astype(object), str
    array = group.create_array(
        name,
        shape=values.shape,
        dtype=dtype,
        chunks=tuple(max(1, length) for length in values.shape),
        chunk_key_encoding=KEYS,
        dimension_names=tuple(map(str, coordinate.dims)),
        attributes=dict(coordinate.attrs),
        # By default Zarr leaves out chunks of zeros, and the loss of a chunk could not be detected.
        config={"write_empty_chunks": True},
    )
    if values.size:
        array[...] = values


def _checked(name: str) -> str:
    if SAFE.fullmatch(name) is None:
        raise SchemaError(f"{name!r} is not a name for a file; rename it with ds.rename")
    return name


# Writing ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChunkWriter:
    """Writer of chunks of datasets.

    Parameters
    ----------
    path : Path
        The store.
    size : int
        Datasets per chunk.
    """

    path: Path
    size: int
    # Arrays that are already open in this process.
    _arrays: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return ChunkWriter, (self.path, self.size)

    def write(self, position: int, arrays: Arrays) -> None:
        """Write a chunk of every variable, then its checksums, then mark it as written."""
        import zarr

        start = position * self.size
        with with_user_path(self.path):
            for name, values in arrays.items():
                if not values.size:
                    continue
                if name not in self._arrays:
                    self._arrays[name] = zarr.open_array(self.path / name, mode="r+")
                array = self._arrays[name]
                array[start : start + len(values)] = _as_stored(name, values, array.dtype)
            found = [
                checksum(self.path / chunk_file(name, position, values.ndim))
                for name, values in sorted(arrays.items())
            ]
            marks = {
                f"{CHECKSUM}/c.{position}.0": np.array(found, CRC).tobytes(),
                f"{WRITTEN}/c.{position}": TRUE,
            }
            for name, content in marks.items():
                with atomic_path(self.path / PROGRESS / name) as temporary:
                    temporary.write_bytes(content)


def chunk_file(name: str, position: int, ndim: int) -> str:
    """Return the file of a chunk of a variable, by its path in the store."""
    return f"{name}/c.{position}" + ".0" * (ndim - 1)


def _as_stored(name: str, values: NDArray[Any], dtype: Any) -> NDArray[Any]:
    if values.dtype == dtype:
        return values
    with np.errstate(over="ignore"):
        stored = values.astype(dtype)
    if not np.array_equal(np.isfinite(stored), np.isfinite(values)):
        raise SchemaError(f"{name!r} has numbers beyond 3.4e38, which float32 cannot hold")
    return stored


# Checks and repair --------------------------------------------------------------------------


def recorded(path: Path) -> dict[str, Any] | None:
    """Return the record of a store, which may be damaged; None if it cannot be read."""
    record = json_object(path / RECORD).get("attributes")
    return record if isinstance(record, dict) else None


def whole_record(path: Path) -> dict[str, Any] | None:
    """Return the undamaged record of a store; None if it is lost or damaged."""
    record = recorded(path)
    return record if record is not None and is_whole(record) else None


def is_store(path: Path) -> bool:
    """Tell if `write_ensemble` created a folder, even if its record is lost."""
    if (path / PROGRESS / WRITTEN).is_dir() or (path / RECORD).exists():
        return True
    attributes = json_object(path / "zarr.json").get("attributes")
    return isinstance(attributes, dict) and attributes.get(MARK) == PROGRESS


def chunks_written(path: Path) -> set[int]:
    """Return the chunks that are marked as written."""
    return {
        int(mark.name.removeprefix("c."))
        for mark in (path / PROGRESS / WRITTEN).glob("c.*")
        if mark.name.removeprefix("c.").isdecimal() and mark.read_bytes() == TRUE
    }


def damaged_metadata(path: Path, record: Mapping[str, Any]) -> list[str]:
    """Return the metadata and coordinates that differ from what was written."""
    files: dict[str, int] = record[FILES]
    return [name for name, known in files.items() if _file_checksum(path, name) != known]


def repair_metadata(
    target: Path, source: Source, dtype: str, identity: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Write damaged metadata and coordinates anew, and return the record.

    If the record is lost, the other metadata and coordinates identify the store. If they differ
    too, or if the numbers were changed after generation, None is returned.
    """
    record = whole_record(target)
    faults = [RECORD] if record is None else damaged_metadata(target, record)
    if not faults:
        return record
    new, _ = leftovers_of(target)
    with without_text_warning():
        _fill(new, source, dtype, identity)
    if record is None:
        record = whole_record(new) or {}
        if source.recipe is None or damaged_metadata(target, record):
            forget([new])
            return None
    for name in faults:
        (target / name).parent.mkdir(exist_ok=True)
        with atomic_path(target / name) as temporary:
            shutil.copyfile(new / name, temporary)
    forget([new])
    return record


def damaged_chunks(path: Path, record: Mapping[str, Any], done: Iterable[int]) -> dict[int, str]:
    """Return the first damaged file of each chunk that is marked as written."""
    names = sorted(record["variables"])
    dims = {name: len(json_object(path / name / "zarr.json")["shape"]) for name in names}

    def fault(position: int) -> str | None:
        return next(damaged_files(path, names, dims, position), None)

    chunks = sorted(done)
    with ThreadPoolExecutor(THREADS) as pool:
        faults = zip(chunks, pool.map(fault, chunks), strict=True)
        return {position: file for position, file in faults if file is not None}


def damaged_files(
    path: Path, names: Sequence[str], dims: Mapping[str, int], position: int
) -> Iterator[str]:
    """Return the files of a chunk that differ from what was written.

    Parameters
    ----------
    path : Path
        The store.
    names : sequence of str
        All variables, in the order of their checksums.
    dims : mapping of str to int
        Number of dims of the variables to check.
    position : int
        Position of the chunk.
    """
    mark = f"{PROGRESS}/{CHECKSUM}/c.{position}.0"
    content = (path / mark).read_bytes() if (path / mark).is_file() else b""
    if len(content) != len(names) * np.dtype(CRC).itemsize:
        yield mark
        return
    known = dict(zip(names, np.frombuffer(content, CRC).tolist(), strict=True))
    files = {name: chunk_file(name, position, length) for name, length in dims.items()}
    yield from (file for name, file in files.items() if checksum(path / file) != known[name])


def _file_checksum(folder: Path, name: str) -> int:
    """Return the checksum of a file; for JSON without its layout and consolidated metadata."""
    if not name.endswith("zarr.json"):
        return checksum(folder / name)
    node = json_object(folder / name)
    node.pop("consolidated_metadata", None)
    return zlib.crc32(json.dumps(node, sort_keys=True).encode())


def clear_half_files(path: Path, names: Iterable[str]) -> None:
    """Remove the temporary files that a killed writer leaves beside the files of chunks.

    The files of chunks that are not marked as written stay: they are written anew, and a worker
    that outlived its caller may be about to mark one of them as written.
    """
    for name in (*names, f"{PROGRESS}/{WRITTEN}", f"{PROGRESS}/{CHECKSUM}"):
        for file in (path / name).iterdir():
            parts = file.name.removeprefix("c.").split(".")
            if file.name != "zarr.json" and not all(part.isdecimal() for part in parts):
                file.unlink(missing_ok=True)


@contextmanager
def without_text_warning() -> Iterator[None]:
    """Silence zarr's warning that text is not yet part of the format; all releases read it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(Zarr V3|Zarr format 3|vlen-utf8)")
        yield
