"""Safety checks of folders from others, before any file in them is decoded."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mmm_xgen.errors import VALUE, SchemaError, XgenError, check_packages, shown

MARKS = ("zarr.json", ".zgroup", ".zmetadata")
METADATA = ("zarr.json", ".zarray", ".zmetadata")
# Codecs that only rearrange bytes, numbers or text. Any other codec may run code.
CODECS = frozenset({
    "adler32", "astype", "bitround", "blosc", "bytes", "bz2", "crc32", "crc32c", "delta",
    "fixedscaleoffset", "fletcher32", "gzip", "jenkins_lookup3", "lz4", "lzma", "packbits",
    "quantize", "sharding_indexed", "shuffle", "transpose", "vlen-bytes", "vlen-utf8", "zlib",
    "zstd",
})  # fmt: skip


def check_zarr(source: Path) -> None:
    """Raise if a folder is not a Zarr directory, has links, or names an unknown codec.

    Parameters
    ----------
    source : Path
        The folder. It may itself be a link, but may not contain one.

    Raises
    ------
    SchemaError
        If a check fails.
    MissingDependencyError
        If zarr is not installed.
    """
    if not any((source / mark).exists() for mark in MARKS):
        raise SchemaError(f"{source}: this is a folder, and no Zarr directory; give a file in it")
    check_packages(f"{source}: a Zarr directory needs", "zarr")
    check_codecs(source, metadata_in(source))


def metadata_in(source: Path) -> list[str]:
    """Return the metadata files of a folder by path, after the checks of `files_in`."""
    # Some file systems do not distinguish upper and lower case.
    return [name for name in files_in(source) if Path(name).name.lower() in METADATA]


def files_in(source: Path) -> Iterator[str]:
    """Yield the files below a folder, by their path in it.

    Raises
    ------
    SchemaError
        If the folder contains a link, or anything else that is not a file or a folder.
    XgenError
        If the system cannot read the folder.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a").write_text("1")
    ...     list(files_in(Path(folder)))
    ['a']
    """
    top = Path(os.path.realpath(source))
    waiting = [top]
    try:
        while waiting:
            folder = waiting.pop()
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = Path(entry.path).relative_to(top).as_posix()
                    is_folder = entry.is_dir(follow_symlinks=False)
                    # A junction of Windows is a link to another folder.
                    is_there = not is_folder or os.path.realpath(entry.path) == entry.path
                    if entry.is_symlink() or not is_there:
                        raise SchemaError(
                            f"{source}: {shown(name)} is a link; replace it with what it leads to"
                        )
                    if is_folder:
                        waiting.append(Path(entry.path))
                    elif entry.is_file(follow_symlinks=False):
                        yield name
                    else:
                        raise SchemaError(f"{source}: {shown(name)} is not a file; remove it")
    except OSError as error:
        raise XgenError(f"{source}: cannot be read: {error.strerror or error}") from error


def check_links(source: Path) -> None:
    """Raise if a folder contains a link, as `files_in` does."""
    for _ in files_in(source):
        pass


def check_codecs(source: Path, metadata: Iterable[str]) -> None:
    """Raise for metadata that cannot be read, or that name a codec that is not in `CODECS`.

    Raises
    ------
    SchemaError
        If a check fails. The message names the file.
    """
    for name in metadata:
        try:
            node = json.loads((source / name).read_text(encoding="utf-8"))
            codecs = {each.removeprefix("numcodecs.") for each in _codecs_of(node)}
        except (ValueError, RecursionError) as error:
            reason = str(error) or type(error).__name__
            raise SchemaError(f"{source / name}: broken metadata ({reason})") from error
        for codec in sorted(codecs - CODECS):
            raise SchemaError(
                f"{source}: {Path(name).name} names the codec {codec[:VALUE]} ({name}), and to "
                f"decode it may run code; allowed: {', '.join(sorted(CODECS))}"
            )


def _codecs_of(node: Any) -> Iterator[str]:
    """Yield the names of all codecs in metadata of format 2 or 3, consolidated or not."""
    if not isinstance(node, Mapping):
        return
    keys = ("codecs", "index_codecs", "filters", "compressor", "storage_transformers")
    for key in keys:
        value = node.get(key)
        for codec in value if isinstance(value, list) else [] if value is None else [value]:
            if isinstance(codec, Mapping):
                yield from (str(codec[each]) for each in ("id", "name") if each in codec)
                yield from _codecs_of(codec.get("configuration"))
            else:
                yield str(codec)
    # Consolidated metadata contain the metadata of every array below the group.
    yield from _codecs_of(node.get("consolidated_metadata"))
    arrays = node.get("metadata")
    for array in arrays.values() if isinstance(arrays, Mapping) else ():
        yield from _codecs_of(array)
