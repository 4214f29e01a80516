"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmm_xgen.errors import XgenError

# Letters of a name that a temporary one repeats: file systems allow some 255.
LONGEST = 100
# netCDF-C and HDF5 crash when two threads of a process use them at once. The locks of xarray
# cover the numbers of a file only, not its opening and its attributes: hold this one around
# every NetCDF file that is read or written.
NETCDF_LOCK = threading.RLock()
# The umask belongs to the process, and can only be read by setting it.
_UMASK_LOCK = threading.Lock()


def owned_prefix(name: str) -> str:
    """How the name of something temporary begins: hidden, and saying which process made it.

    What a killed process leaves can so be told from what another one is writing.

    Examples
    --------
    >>> owned_prefix("truth").startswith(".truth~")
    True
    """
    return f".{name[:LONGEST]}~{os.getpid()}@{socket.gethostname()}~"


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Temporary path beside `path` that takes its place when the block ends well.

    An interrupted write leaves the old file, or none.

    Parameters
    ----------
    path : str or Path
        Where the file shall be; its folder must exist.

    Yields
    ------
    Path
        Where to write. It keeps the suffix, by which libraries choose a format.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with atomic_path(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    target = Path(path)
    handle, name = tempfile.mkstemp(
        dir=target.parent, prefix=owned_prefix(target.stem), suffix=target.suffix
    )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; give the mode that plain writing would give.
        with _UMASK_LOCK:
            mask = os.umask(0)
            os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        # Windows syncs only what is open for writing.
        with temporary.open("r+b") as written:
            os.fsync(written.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """`atomic_path` for a file that the user named: faults of its folder are told in its words.

    Parameters
    ----------
    path : str or Path
        Where the file shall be.

    Yields
    ------
    Path
        Where to write.

    Raises
    ------
    XgenError
        If `path` is a folder or in none that is there, or if it cannot be written to.

    Examples
    --------
    >>> target = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with writing(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    target = Path(path)
    check_target(target)
    with told_by_name(target), atomic_path(target) as temporary:
        yield temporary


@contextmanager
def told_by_name(path: str | os.PathLike[str]) -> Iterator[None]:
    """Tell what the system has against writing to `path`: its own message names temporary files.

    Raises
    ------
    XgenError
        In place of an error of the system.
    """
    try:
        yield
    except OSError as error:
        raise XgenError(f"{path}: cannot be written: {error.strerror or error}") from error


def check_target(path: Path) -> None:
    """Refuse what could not be written later, before the work is done.

    Raises
    ------
    XgenError
        If `path` is a folder, or in none that is there.
    """
    if path.is_dir():
        raise XgenError(f"{path}: this is a folder; give the path of a file in it")
    if not path.parent.is_dir():
        raise XgenError(f"{path}: there is no folder {str(path.parent)!r}; make it first")
