"""What is where in the Zarr store of an ensemble."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.atomic import atomic_path, told_by_name
from mmm_xgen.errors import SchemaError
from mmm_xgen.export.chunkwise import Arrays, Source
from mmm_xgen.export.encoding import decoded_file, stored_attrs, stored_variable
from mmm_xgen.export.files import stored_names, with_own_names

# Group whose attributes say what the store was begun with, and whose array says what is written.
PROGRESS, WRITTEN = "progress", "written"
# Names that every file system has.
SAFE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# The fastest to write of those that make constants vanish.
COMPRESSION: Any = {"cname": "lz4", "clevel": 5, "shuffle": "bitshuffle"}
# One file a chunk, in one folder.
KEYS: Any = {"name": "default", "separator": "."}
# An entry of an uncompressed array of truth values, as Zarr stores it.
TRUE = b"\x01"


# Beginning --------------------------------------------------------------------------------------


def create_store(target: Path, source: Source, dtype: str, identity: Mapping[str, Any]) -> None:
    """Make the store with all but its numbers, whole or not at all, in place of any other."""
    new, old = leftovers_of(target)
    with _quiet():
        _fill(new, source, dtype, identity)
    if target.exists():
        target.rename(old)
    new.rename(target)
    forget([old])


def leftovers_of(target: Path) -> list[Path]:
    """Folders beside the store that only a killed call leaves."""
    return [target.with_name(f".{target.name}.{word}") for word in ("new", "old")]


def forget(paths: Iterable[Path]) -> None:
    """Remove folders, where they are."""
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
    attrs = {**stored_attrs(ds.attrs, "the Dataset"), "coordinates": " ".join(listed)}
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
    progress = group.create_group(PROGRESS, attributes=dict(identity))
    progress.create_array(
        WRITTEN,
        shape=(len(source),),
        chunks=(1,),
        dtype="bool",
        compressors=None,
        fill_value=False,
        chunk_key_encoding=KEYS,
        dimension_names=("chunk",),
    )


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
    )
    if values.size:
        array[...] = values


def _checked(name: str) -> str:
    if SAFE.fullmatch(name) is None:
        raise SchemaError(f"{name!r} is no name for a file; rename it with ds.rename")
    return name


# Writing ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChunkWriter:
    """Writes chunks of datasets.

    Parameters
    ----------
    path : Path
        The store.
    size : int
        Datasets a chunk.
    """

    path: Path
    size: int
    # Arrays that are open in this process.
    _arrays: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return ChunkWriter, (self.path, self.size)

    def write(self, position: int, arrays: Arrays) -> None:
        """Write a chunk of every variable, and then that it is written."""
        import zarr

        start = position * self.size
        with told_by_name(self.path):
            for name, values in arrays.items():
                if not values.size:
                    continue
                if name not in self._arrays:
                    self._arrays[name] = zarr.open_array(self.path / name, mode="r+")
                array = self._arrays[name]
                array[start : start + len(values)] = _as_stored(name, values, array.dtype)
            mark = self.path / PROGRESS / WRITTEN / f"c.{position}"
            with atomic_path(mark) as temporary:
                temporary.write_bytes(TRUE)


def _as_stored(name: str, values: NDArray[Any], dtype: Any) -> NDArray[Any]:
    if values.dtype == dtype:
        return values
    with np.errstate(over="ignore"):
        stored = values.astype(dtype)
    if not np.array_equal(np.isfinite(stored), np.isfinite(values)):
        raise SchemaError(f"{name!r} has numbers beyond 3.4e38, which float32 cannot hold")
    return stored


# What is there ------------------------------------------------------------------------------


def recorded(path: Path) -> dict[str, Any] | None:
    """What a store was begun with; None if `write_ensemble` did not begin it."""
    file = path / PROGRESS / "zarr.json"
    try:
        attributes: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["attributes"]
    except (OSError, ValueError, KeyError):
        return None
    return attributes


def chunks_written(path: Path) -> set[int]:
    """Chunks that are done."""
    return {
        int(mark.name.removeprefix("c."))
        for mark in (path / PROGRESS / WRITTEN).glob("c.*")
        if mark.name.removeprefix("c.").isdecimal()
    }


def clear_half_files(path: Path, names: Iterable[str]) -> None:
    """Remove what a killed writer leaves beside the files of chunks.

    Those of chunks that are not done stay: they are written anew, whole, and a worker that
    outlived its caller for a moment may be about to say that it is done with one.
    """
    for name in (*names, f"{PROGRESS}/{WRITTEN}"):
        for file in (path / name).iterdir():
            parts = file.name.removeprefix("c.").split(".")
            if file.name != "zarr.json" and not all(part.isdecimal() for part in parts):
                file.unlink(missing_ok=True)


def dataset_in(path: Path) -> xr.Dataset:
    """Dataset of a finished store, lazily."""
    with _quiet():
        raw = xr.open_dataset(path, engine="zarr", chunks={}, consolidated=False, decode_cf=False)
        listed = str(raw.attrs.pop("coordinates", "")).split()
        raw = raw.set_coords([name for name in listed if name in raw.variables])
        for coordinate in raw.coords.values():
            coordinate.load()
    ds = with_own_names(decoded_file(raw))
    known = recorded(path) or {}
    # A folder has no order; all coordinates stay, whatever variables were kept.
    variables = {name: ds[name].variable for name in known.get("variables", ds.data_vars)}
    return xr.Dataset(variables, coords=ds.coords, attrs=ds.attrs)


@contextmanager
def _quiet() -> Iterator[None]:
    """Releases of zarr warn that text is no part of the format yet, which all of them can read."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(Zarr V3|Zarr format 3|vlen-utf8)")
        yield
