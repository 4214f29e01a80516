"""Wide frames of an ensemble as Parquet files, one per chunk."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mmm_xgen.atomic import atomic_path, with_user_path
from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.names import as_part, join_path, split_path
from mmm_xgen.config.paths import EVERY, entries
from mmm_xgen.dataset import config_of, labels_of, varied_paths
from mmm_xgen.ensemble.chunks import (
    Arrays,
    Source,
    check_same_ensemble,
    checksum,
    damaged,
    is_whole,
    json_object,
    labels_digest,
    source_of,
    target_folder,
    with_checksum,
    write_chunks,
)
from mmm_xgen.ensemble.generate import check_ensemble, values_of
from mmm_xgen.ensemble.recipe import DATASET
from mmm_xgen.errors import SchemaError
from mmm_xgen.frames.wide import ensemble_frame
from mmm_xgen.schema import check_variables, describe, takes_datasets
from mmm_xgen.storage.folders import check_links
from mmm_xgen.storage.names import PathLike

# Readers of the whole folder skip files whose names begin with an underscore.
RECORD, DATASETS, CHECKSUMS = "_ensemble.json", "_datasets.parquet", "_checksums"
COLUMNS = ("y", "spend", "control_value")
LABELS = ("date", "geo", "channel_column", "control_column")


@takes_datasets
def write_ensemble_frames(
    ds: xr.Dataset,
    folder: PathLike,
    *,
    resume: bool = True,
    progress: bool = True,
    client: Any = None,
) -> Path:
    """Write the wide frames of all datasets of an ensemble to a folder of Parquet files.

    Each chunk is one file, written whole or not at all. If the call is killed, the same call
    continues: finished files stay, and in the end every byte is the same as without the
    interruption.

    Parameters
    ----------
    ds : Dataset
        Ensemble from `generate_ensemble`. It may have been changed, but must have its coordinates.
    folder : str or Path
        Folder to write to, on a disk that all workers see. Its parent must exist.
    resume : bool
        If True, continue an ensemble that is already there. If False, replace it.
    progress : bool
        If True, show progress and time left on stderr, provided that it is a terminal.
    client : distributed.Client, optional
        Cluster whose workers generate and write, as for `write_ensemble`.

    Returns
    -------
    Path
        `folder`. It contains ``part-00000.parquet``, ..., with the column ``dataset`` and those of
        `to_frame`; ``_datasets.parquet``, one row per dataset, with its seed and the numbers that
        vary by their whole path; ``_ensemble.json``, the settings it was begun with; and the folder
        ``_checksums``. Readers skip names with an underscore, so ``pandas.read_parquet(folder)``
        reads all frames as one. `read_ensemble_frames` does too, and checks them.

    Raises
    ------
    SchemaError
        If `ds` is not an ensemble, `to_frame` raises for a dataset, or `folder` holds something
        else.
    XgenError
        If `folder` cannot be written to.
    ConfigError
        If a dataset cannot be generated. The message names the dataset and its numbers.

    Examples
    --------
    >>> import tempfile, mmm_xgen
    >>> ds = mmm_xgen.generate_ensemble(seeds=[5, 6], chunks=1)
    >>> with tempfile.TemporaryDirectory() as place:
    ...     folder = write_ensemble_frames(ds, Path(place) / "frames")
    ...     pd.read_parquet(folder)["dataset"].unique().tolist()
    [0, 1]
    """
    target = target_folder(folder)
    check_ensemble(ds)
    check_variables(ds, *COLUMNS, *LABELS)
    source = source_of(_in_order(ds), COLUMNS)
    if source.recipe is not None:
        source = replace(source, recipe=replace(source.recipe, names=COLUMNS))
    labels = xr.Dataset(coords={name: ds[name].variable for name in LABELS})
    # Compare only the coordinates that are written; no other and no attribute is.
    identity = {**source.identity(), "labels": labels_digest(labels.drop_attrs())}
    job = FrameWriter(target, labels, ds[DATASET].to_numpy(), source.size)
    with with_user_path(folder):
        _begin(target, source, identity, resume=resume, named=Path(folder))
    done = {position for position in range(len(source)) if job.is_whole(position)}
    write_chunks(source, job, done, client=client, progress=progress)
    _forget(target, ".part-*", f"{CHECKSUMS}/.part-*")
    return Path(folder)


def read_ensemble_frames(folder: PathLike) -> pd.DataFrame:
    """Read the wide frames of all datasets, and compare every file with its checksum.

    Parameters
    ----------
    folder : str or Path
        Folder from `write_ensemble_frames`.

    Returns
    -------
    pandas.DataFrame
        Column ``dataset``, and those of `to_frame`.

    Raises
    ------
    SchemaError
        If the folder does not exist or is not finished, or if a file is damaged, lost or
        exchanged. The message names the file.

    Examples
    --------
    >>> import tempfile, mmm_xgen
    >>> ds = mmm_xgen.generate_ensemble(seeds=[5, 6], chunks=1)
    >>> with tempfile.TemporaryDirectory() as place:
    ...     len(read_ensemble_frames(write_ensemble_frames(ds, Path(place) / "frames")))
    416
    """
    source = Path(folder)
    if not source.is_dir():
        raise SchemaError(f"{folder}: no such folder")
    check_links(source)
    record = json_object(source / RECORD)
    if not record:
        raise SchemaError(f"{folder}: write_ensemble_frames wrote no {RECORD!r} here")
    if not is_whole(record):
        raise damaged(folder, [RECORD])
    chunks = range(-(-int(record["datasets"]) // int(record["chunk"])))
    files = [DATASETS, *map(_part, chunks)]
    if lost := [name for name in files if not _checksum_file(source, name).is_file()]:
        raise SchemaError(
            f"{folder}: {lost[0]!r} is not written yet ({len(lost)} of {len(files)} files); the "
            "call that began it goes on where it stopped"
        )
    if faults := [name for name in files if not _is_whole(source, name)]:
        raise damaged(folder, faults)
    return pd.concat([pd.read_parquet(source / name) for name in files[1:]], ignore_index=True)


@dataclass(frozen=True)
class FrameWriter:
    """Writer of the frames of a chunk.

    Parameters
    ----------
    folder : Path
        Folder to write to.
    labels : Dataset
        Coordinates, from which the columns and rows follow.
    datasets : array, dims (dataset,)
        Names of the datasets.
    size : int
        Datasets per chunk.
    """

    folder: Path
    labels: xr.Dataset
    datasets: Any
    size: int

    def is_whole(self, position: int) -> bool:
        """Tell if a chunk is written and undamaged."""
        return _is_whole(self.folder, _part(position))

    def write(self, position: int, arrays: Arrays) -> None:
        """Write the frames of a chunk."""
        start = position * self.size
        dims = {"y": (), "spend": ("channel",), "control_value": ("control",)}
        chunk = self.labels.assign(
            {name: ((DATASET, "date", "geo", *dims[name]), arrays[name]) for name in COLUMNS}
        ).assign_coords({DATASET: self.datasets[start : start + len(arrays["y"])]})
        with with_user_path(self.folder / _part(position)):
            _write(ensemble_frame(chunk), self.folder, _part(position))


def _part(position: int) -> str:
    """Return the file name of a chunk."""
    return f"part-{position:05d}.parquet"


def _checksum_file(folder: Path, name: str) -> Path:
    return folder / CHECKSUMS / f"{name}.crc32"


def _write(frame: pd.DataFrame, folder: Path, name: str) -> None:
    """Write a file, and then its checksum."""
    with atomic_path(folder / name) as temporary:
        frame.to_parquet(temporary, engine="pyarrow", index=False)
    with atomic_path(_checksum_file(folder, name)) as temporary:
        temporary.write_text(f"{checksum(folder / name):08x}\n", encoding="utf-8")


def _is_whole(folder: Path, name: str) -> bool:
    file = _checksum_file(folder, name)
    found = f"{checksum(folder / name):08x}\n".encode()
    return file.is_file() and file.read_bytes() == found


def _begin(
    folder: Path, source: Source, identity: dict[str, Any], *, resume: bool, named: Path
) -> None:
    """Make the folder, or check that it was begun with the same ensemble."""
    _forget(folder, ".part-*", f".{Path(RECORD).stem}*", f".{Path(DATASETS).stem}*")
    if (folder / RECORD).is_file():
        check_links(folder)
        record = json_object(folder / RECORD)
        if resume and not record:
            raise damaged(named, [RECORD])
        if resume:
            check_same_ensemble(named, record, identity)
        else:
            # Remove the record last: a folder without it does not belong to any ensemble.
            _forget(folder, "part-*.parquet", f"{CHECKSUMS}/*", DATASETS)
    elif folder.is_dir() and {file.name for file in folder.iterdir()} - {DATASETS, CHECKSUMS}:
        raise SchemaError(
            f"{named}: this folder has other files, and none of an ensemble; choose another one"
        )
    (folder / CHECKSUMS).mkdir(parents=True, exist_ok=True)
    # Also on resuming: a call that was to replace this ensemble may have been killed here.
    _write(_table(source.ds), folder, DATASETS)
    with atomic_path(folder / RECORD) as temporary:
        text = json.dumps(with_checksum(identity), indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")


def _forget(folder: Path, *patterns: str) -> None:
    for pattern in patterns:
        for file in folder.glob(pattern):
            file.unlink(missing_ok=True)


def _in_order(ds: xr.Dataset) -> xr.Dataset:
    """Return the ensemble with the dims of its columns in the order in which they are written."""
    ordered = {}
    for name in COLUMNS:
        found, wanted = ds[name].dims, (DATASET, *describe(name).dims)
        if set(found) != set(wanted):
            raise SchemaError(f"{name!r} has dims {found}, allowed: {wanted}")
        ordered[name] = ds[name].transpose(*wanted)
    return ds.assign(ordered)


def _table(ds: xr.Dataset) -> pd.DataFrame:
    """Return seed and numbers of every dataset, by path, with names in place of ``*``."""
    config = config_of(ds)
    columns = {name: ds[name].to_numpy() for name in (DATASET, "seed")}
    for path in varied_paths(ds):
        values = np.moveaxis(values_of(ds, path), 1, 0)
        paths = zip(_paths_of(ds, config, path), values, strict=True)
        columns |= {written: column for written, column in paths if written}
    return pd.DataFrame(columns)


def _paths_of(ds: xr.Dataset, config: MMMDataConfig, path: str) -> list[str]:
    """Return the paths of the entries in the Dataset, which may be a selection.

    A path is empty for a control of demand, a promotion or a mediator.
    """
    dim, paths = entries(config, path)
    if dim is None or dim not in ds.dims:
        return [path]
    known = dict(zip_longest(labels_of(config)[dim], paths, fillvalue=""))
    found = [str(each) for each in ds[dim].to_numpy()]
    if set(found) <= known.keys():
        return [known[each] for each in found]
    parts = split_path(path)
    return [join_path(as_part(each) if p == EVERY else p for p in parts) for each in found]
