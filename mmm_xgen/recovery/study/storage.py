"""Faults of a disk, which say nothing about the model that was being fitted."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmm_xgen.errors import XgenError

# No room, and what else hinders all writing: not every system knows a quota.
NO_ROOM = tuple(getattr(errno, name) for name in ("ENOSPC", "EDQUOT") if hasattr(errno, name))
UNWRITABLE = (*NO_ROOM, errno.EFBIG, errno.EROFS, errno.EIO)
# Bytes that tell a full disk from another fault of a file, which HDF5 does not.
PROBE = 65_536


class StorageError(XgenError):
    """Files that cannot be written, for a reason that says nothing about any model."""


@contextmanager
def storing(out: Path, *, ours: bool = False) -> Iterator[None]:
    """Raise what is no fault of a model as a `StorageError` of one line.

    Parameters
    ----------
    out : Path
        Folder of the study.
    ours : bool
        Whether all that the block does is to write files of the study; see `storage_fault`.

    Raises
    ------
    StorageError
        In place of the error that a full disk led to.

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
        if fault := storage_fault(error, out, ours=ours):
            raise StorageError(fault) from error
        raise


def storage_fault(error: BaseException, out: Path, *, ours: bool = False) -> str:
    """Reason why nothing can be written, in one line, if an error comes from it; else empty.

    Parameters
    ----------
    error : BaseException
        Any error; what it was raised from is looked at too.
    out : Path
        Folder of the study.
    ours : bool
        Whether any error of the system counts, since the study was writing its own files; else
        those of a disk that is full, has a quota, is broken or cannot be written to.
    """
    place, reason = str(out), ""
    for each in _causes(error):
        number = each.errno if isinstance(each, OSError) else None
        said = next((os.strerror(n) for n in NO_ROOM if os.strerror(n) in str(each)), "")
        if number in UNWRITABLE or (ours and (number or 0) > 0) or said:
            reason = said or getattr(each, "strerror", None) or os.strerror(number or 0)
            name = getattr(each, "filename", None)
            # Names of temporary files in the study's folder say nothing to its user.
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
    """Why a small file cannot be written to a folder, empty if it can."""
    try:
        with tempfile.TemporaryFile(dir=out) as probe:
            probe.write(bytes(PROBE))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return (error.strerror or "") if error.errno in UNWRITABLE else ""
    return ""
