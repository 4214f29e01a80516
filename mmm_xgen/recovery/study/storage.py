"""Errors of the disk, which must not count as failures of a model."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmm_xgen.errors import XgenError

# Errors of a full disk, and other errors that stop all writing. Some systems have no quotas.
NO_ROOM = tuple(getattr(errno, name) for name in ("ENOSPC", "EDQUOT") if hasattr(errno, name))
UNWRITABLE = (*NO_ROOM, errno.EFBIG, errno.EROFS, errno.EIO)
# Bytes written to find out whether the disk is full, as HDF5 does not say why it fails.
PROBE = 65_536


class StorageError(XgenError):
    """The disk is full or not writable."""


@contextmanager
def storing(out: Path, *, own_files: bool = False) -> Iterator[None]:
    """Raise errors of the disk inside the block as a `StorageError` with one line.

    Parameters
    ----------
    out : Path
        Folder of the study.
    own_files : bool
        Whether the block only writes files of the study; see `storage_fault`.

    Raises
    ------
    StorageError
        If an error inside the block comes from the disk.

    Examples
    --------
    >>> with storing(Path("results")):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    mmm_xgen.recovery.study.storage.StorageError: results: cannot be written: No space left ...
    """
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        if fault := storage_fault(error, out, own_files=own_files):
            raise StorageError(fault) from error
        raise


def storage_fault(error: BaseException, out: Path, *, own_files: bool = False) -> str:
    """Describe in one line why the disk cannot be written to, if that caused an error.

    Parameters
    ----------
    error : BaseException
        Any error; its causes are checked too.
    out : Path
        Folder of the study.
    own_files : bool
        Whether the study was writing its own files, so that any error of the system counts. By
        default only a disk counts that is full, over its quota, broken or read-only.

    Returns
    -------
    str
        Empty if the error has another cause.
    """
    place, reason = str(out), ""
    for each in _causes(error):
        number = each.errno if isinstance(each, OSError) else None
        known = next((os.strerror(n) for n in NO_ROOM if os.strerror(n) in str(each)), "")
        if number in UNWRITABLE or (own_files and (number or 0) > 0) or known:
            reason = known or getattr(each, "strerror", None) or os.strerror(number or 0)
            name = getattr(each, "filename", None)
            # Names of temporary files in the study's folder mean nothing to its user.
            if name and not Path(os.fsdecode(name)).absolute().is_relative_to(out.absolute()):
                place = os.fsdecode(name)
            break
    else:
        if isinstance(error, OSError | RuntimeError):
            reason = _no_room(out)
    if not reason:
        return ""
    return f"{place}: cannot be written: {reason}; the study stopped, and goes on when run again"


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or each.__context__


def _no_room(out: Path) -> str:
    """Reason why a small file cannot be written to a folder, empty if it can."""
    try:
        with tempfile.TemporaryFile(dir=out) as probe:
            probe.write(bytes(PROBE))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return (error.strerror or "") if error.errno in UNWRITABLE else ""
    return ""
