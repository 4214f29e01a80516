"""Writing of an ensemble chunk by chunk, on threads or Dask."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.atomic import with_user_path
from mmm_xgen.dataset import VARIED, coordinate_of, varied_paths
from mmm_xgen.ensemble.generate import check_ensemble, one_chunking, recipe_of
from mmm_xgen.ensemble.recipe import CHUNK_BYTES, DATASET, Recipe
from mmm_xgen.errors import ConfigError, SchemaError, collected_warnings, warn
from mmm_xgen.formatting.progress import progress_bar
from mmm_xgen.storage.encoding import stored_attrs, stored_variable
from mmm_xgen.storage.names import PathLike
from mmm_xgen.version import __version__

# Number of threads of one process, and so of chunks in memory at once.
THREADS = 2
# Entries of a record: the checksum of its other entries, and the checksums of files.
OWN, FILES = "checksum", "files"
# Recorded settings of an ensemble, and what a message calls a difference in them.
RECORDED = {
    "config": "another configuration",
    "seeds": "other seeds",
    "vary": "other numbers that vary",
    "variables": "other variables",
    "datasets": "another number of datasets",
    "chunk": "other chunks",
    "dtype": "another dtype",
    "labels": "other coordinates or attributes",
    "numbers": "numbers that were changed after generation, or other changes",
    "mmm_xgen": "another release of mmm_xgen",
}

Arrays = Mapping[str, NDArray[Any]]


class Job(Protocol):
    """Writer of chunks, which can be sent to the workers of a cluster."""

    def write(self, position: int, arrays: Arrays) -> None:
        """Write a chunk, then mark it as written."""


@dataclass(frozen=True)
class Source:
    """Numbers of an ensemble, in chunks of datasets.

    Parameters
    ----------
    ds : Dataset
        Ensemble, lazy or in memory.
    names : tuple of str
        Variables.
    recipe : Recipe or None
        Recipe of the numbers; None if they were changed after generation.
    size : int
        Datasets per chunk; the last chunk may have fewer.
    """

    ds: xr.Dataset
    names: tuple[str, ...]
    recipe: Recipe | None
    size: int

    def __len__(self) -> int:
        return -(-self.datasets // self.size)

    @property
    def datasets(self) -> int:
        """Number of datasets."""
        return self.ds.sizes[DATASET]

    def bounds(self, position: int) -> tuple[int, int]:
        """Return the first dataset of a chunk, and the one after its last."""
        start = position * self.size
        return start, min(start + self.size, self.datasets)

    def arrays(self, position: int) -> Arrays:
        """Return the numbers of a chunk, equal to those of the Dataset."""
        part = self.ds[list(self.names)].isel({DATASET: slice(*self.bounds(position))}).compute()
        return {name: part[name].to_numpy() for name in self.names}

    def identity(self) -> dict[str, Any]:
        """Return everything that decides the bytes of the ensemble, as JSON data."""
        seeds = [self.ds[name].to_numpy() for name in (DATASET, "seed")]
        paths = varied_paths(self.ds)
        values = [self.ds[coordinate_of(path)].to_numpy() for path in paths]
        return {
            "config": _digest([str(self.ds.attrs.get("config", "")).encode()]),
            "seeds": _digest(seeds),
            "vary": _digest([json.dumps(paths).encode(), *values]),
            "variables": list(self.names),
            "datasets": self.datasets,
            "chunk": self.size,
            "labels": labels_digest(self.ds),
            "numbers": "" if self.recipe is not None else _numbers(self.ds, self.names),
            "mmm_xgen": __version__,
        }


def source_of(ds: xr.Dataset, names: Iterable[str] | None = None) -> Source:
    """Return the numbers of an ensemble in its chunks, or in chunks of about 64 MB if in memory.

    Raises
    ------
    SchemaError
        If `ds` is not an ensemble, or its chunks of datasets have different lengths.
    """
    check_ensemble(ds)
    kept = tuple(map(str, ds.data_vars)) if names is None else tuple(names)
    strange = [name for name in kept if ds[name].dims[:1] != (DATASET,)]
    if strange:
        raise SchemaError(f"{strange[0]!r} has dims {ds[strange[0]].dims}, allowed: dataset first")
    lengths = one_chunking(ds, kept) or ()
    n = ds.sizes[DATASET]
    if len(set(lengths[:-1])) > 1 or (len(lengths) > 1 and lengths[-1] > lengths[0]):
        raise SchemaError(
            "the chunks along 'dataset' have different lengths; pass "
            f"ds.chunk(dataset={lengths[0]})"
        )
    if lengths:
        size = lengths[0]
    else:
        bytes_of_one = sum(ds[name].nbytes for name in kept) // n
        size = min(n, max(1, CHUNK_BYTES // max(bytes_of_one, 1)))
    try:
        recipe: Recipe | None = recipe_of(ds)
    except (ConfigError, SchemaError):
        # The Dataset has a pattern that only this session knows, or selected channels, dates or
        # geos. Its numbers can be written without a recipe.
        recipe = None
    if recipe is not None and not recipe.makes(ds):
        recipe = None
    return Source(ds, kept, recipe, int(size))


def _digest(parts: Iterable[bytes | NDArray[Any]]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes())
    return found.hexdigest()[:16]


def labels_digest(ds: xr.Dataset) -> str:
    """Return a digest of the labels and attributes of a Dataset.

    The configuration, the seeds and the numbers that vary are recorded separately.
    """
    own = {"config", VARIED}
    if VARIED in ds.attrs:
        own |= {DATASET, "seed", *map(coordinate_of, varied_paths(ds))}
    attrs = stored_attrs(_without(own, ds.attrs), "the Dataset")
    parts: list[bytes | NDArray[Any]] = [_text(attrs)]
    for name, variable in sorted(_without(own, ds.variables).items()):
        attrs = stored_attrs(_without(set(), variable.attrs), repr(name))
        parts.append(_text([name, variable.dims, attrs]))
        if name in ds.coords:
            values: NDArray[Any] = variable.to_numpy()
            # The bytes of a text depend on the longest text of its array.
            is_text = values.dtype.kind in "OUT"
            labels = stored_variable(variable, repr(name)).to_numpy() if is_text else values
            parts.append(_text(labels.tolist()) if is_text else labels)
    return _digest(parts)


def _without(names: set[str], mapping: Mapping[Any, Any]) -> dict[str, Any]:
    kept = {str(name): value for name, value in mapping.items() if str(name) not in names}
    return dict(sorted(kept.items()))


def _text(node: Any) -> bytes:
    return json.dumps(node, sort_keys=True, default=_plain).encode()


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)


def _numbers(ds: xr.Dataset, names: Sequence[str]) -> str:
    """Return a digest of the numbers: of their bytes, or of the names of lazy arrays."""
    return _digest(
        each if isinstance(each, np.ndarray) else str(getattr(each, "name", "")).encode()
        for each in (ds[name].data for name in names)
    )


def target_folder(path: PathLike) -> Path:
    """Return the folder to write an ensemble to: an existing one, or one that can be made.

    Raises
    ------
    SchemaError
        If the path is a URL or a file, or if its parent folder does not exist.
    XgenError
        If the system cannot look there.
    """
    if "://" in str(path):
        raise SchemaError(f"{path}: found an address, allowed: a folder of a file system")
    # Workers may have another current folder. A link is resolved, so that it is not replaced.
    target = Path(os.path.realpath(path))
    with with_user_path(path):
        if target.exists() and not target.is_dir():
            raise SchemaError(f"{path}: this is a file; give the path of a folder")
        if not target.parent.is_dir():
            raise SchemaError(f"{path}: there is no folder {str(target.parent)!r}; make it first")
    return target


def check_same_ensemble(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise if a call would continue an ensemble that was begun with other settings.

    Raises
    ------
    SchemaError
        The message names the differences.
    """
    other = {key: words for key, words in RECORDED.items() if found.get(key) != wanted.get(key)}
    if not other:
        return
    sizes = [
        f"{key} {found.get(key)} there, {wanted[key]} now"
        for key in ("datasets", "chunk", "dtype", "mmm_xgen")
        if key in other and wanted.get(key) is not None
    ]
    told = f" ({', '.join(sizes)})" if sizes else ""
    raise SchemaError(
        f"{path}: begun with {' and '.join(other.values())}{told}; go on with what it was begun "
        "with, choose another path, or replace it with resume=False"
    )


# Records and checksums ----------------------------------------------------------------------


def json_object(file: Path) -> dict[str, Any]:
    """Return the JSON object in a file; an empty one if the file has none that can be read."""
    try:
        node = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return node if isinstance(node, dict) else {}


def checksum(file: Path) -> int:
    """Return the CRC-32 of the bytes of a file; 0 if the file is missing or empty."""
    try:
        return zlib.crc32(file.read_bytes())
    except FileNotFoundError:
        return 0


def with_checksum(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record with a checksum of its own entries."""
    return {**record, OWN: _digest([_text(dict(record))])}


def is_whole(record: Mapping[str, Any]) -> bool:
    """Tell if a record is undamaged.

    Examples
    --------
    >>> whole = with_checksum({"chunk": 4})
    >>> is_whole(whole), is_whole(whole | {"chunk": 5})
    (True, False)
    """
    return record == with_checksum(_without({OWN}, record))


def damaged(path: PathLike, files: Sequence[str]) -> SchemaError:
    """Return an error that names the first of some damaged files."""
    more = f" (and {len(files) - 1} more)" if len(files) > 1 else ""
    return SchemaError(
        f"{path}: damaged: {files[0]!r} is lost, or is not what was written{more}; the call that "
        "wrote it repairs it, or replaces it with resume=False"
    )


# Writing -----------------------------------------------------------------------------------


def write_chunks(
    source: Source, job: Job, done: set[int], *, client: Any = None, progress: bool = True
) -> None:
    """Write the chunks that are missing.

    Parameters
    ----------
    source : Source
        Numbers.
    job : Job
        Writer of a chunk.
    done : set of int
        Chunks that are already written.
    client : distributed.Client, optional
        Cluster whose workers generate and write. Default: the active client if there is one, else
        threads of this process.
    progress : bool
        If True, show progress and time left on stderr, provided that it is a terminal.
    """
    todo = [position for position in range(len(source)) if position not in done]
    sizes = [stop - start for start, stop in map(source.bounds, range(len(source)))]
    there = source.datasets - sum(sizes[position] for position in todo)
    client = _active_client() if client is None else client
    bar = progress_bar("datasets", source.datasets, done=there, estimate=True, wanted=progress)
    with bar as advance:
        for position in _written(source, job, todo, client):
            advance(sizes[position])


def _written(source: Source, job: Job, todo: list[int], client: Any) -> Iterator[int]:
    """Yield chunks in the order in which they are written."""
    recipe = source.recipe
    if recipe is None:
        # Without a recipe, Dask computes each chunk and this process writes it.
        for position in todo:
            job.write(position, source.arrays(position))
            yield position
        return
    task = Task(recipe, job, source.datasets, source.size)
    yield from _on_threads(task, todo) if client is None else _on_cluster(task, todo, client)


@dataclass(frozen=True)
class Task:
    """Task that generates and writes one chunk, so that few chunks are in memory at once."""

    recipe: Recipe
    job: Job
    datasets: int
    size: int

    def __call__(self, position: int) -> int:
        """Generate and write one chunk, and return its position."""
        start = position * self.size
        arrays = self.recipe.chunk(start, min(start + self.size, self.datasets))
        self.job.write(position, arrays)
        return position


def _on_threads(task: Task, todo: list[int]) -> Iterator[int]:
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        futures = [pool.submit(task, position) for position in todo]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _on_cluster(task: Task, todo: list[int], client: Any) -> Iterator[int]:
    from distributed import as_completed as as_completed_there

    with warnings.catch_warnings():
        # A recipe of a million datasets is large, so it is sent only once to each worker.
        warnings.filterwarnings("ignore", message="Sending large graph", category=UserWarning)
        shared = client.submit(_same, task, pure=False)
    futures = client.map(_told, todo, task=shared, pure=False, key="write-chunk")
    warned: set[str] = set()
    try:
        finished: Any = as_completed_there(  # type: ignore[no-untyped-call]
            futures, loop=client.loop, with_results=True
        )
        for _, (position, messages) in finished:
            for message in messages:
                if message not in warned:
                    warned.add(message)
                    warn(message)
            yield position
    finally:
        client.cancel(futures)


def _same(task: Task) -> Task:
    return task


def _told(position: int, task: Task) -> tuple[int, list[str]]:
    """Write a chunk on a worker, and return its warnings."""
    with collected_warnings() as messages:
        task(position)
    return position, messages


def _active_client() -> Any:
    """Return the active client of a cluster in this process, as Dask would use it."""
    if "distributed" not in sys.modules:
        return None
    from distributed import default_client

    try:
        return default_client()  # type: ignore[no-untyped-call]
    except ValueError:
        return None
