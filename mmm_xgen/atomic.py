"""Atomic writes: a file is written whole or not at all."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mmm_xgen.errors import XgenError, shown, warn

if TYPE_CHECKING:
    import pandas as pd

# Start of a text that a spreadsheet runs as a formula, unless it is a number.
FORMULA = tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20")
# Letters of the name that a temporary name repeats; file systems allow about 255.
LONGEST = 100
# Bytes per write of the test that finds the system's reason.
BLOCK = 1_000_000
# netCDF-C and HDF5 crash if two threads of a process use them at once. xarray's locks cover only
# the numbers of a file, not its opening and its attributes. Hold this lock while a NetCDF file is
# read or written.
NETCDF_LOCK = threading.RLock()
# The umask can only be read by setting it, for the whole process.
_UMASK_LOCK = threading.Lock()


def is_there(path: Path) -> bool:
    """Tell if a path exists; a name that is too long for the system does not.

    Examples
    --------
    >>> is_there(Path("a" * 300))
    False
    """
    return os.path.exists(path)  # noqa: PTH110


def owned_prefix(name: str) -> str:
    """Return the start of a hidden temporary name that says which process made it.

    So the remains of a killed process can be told from files that another process is writing.

    Examples
    --------
    >>> owned_prefix("truth").startswith(".truth~")
    True
    """
    return f".{name[:LONGEST]}~{os.getpid()}@{socket.gethostname()}~"


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it when the block ends without error.

    After an interrupted write the old file is still there, or no file.

    Parameters
    ----------
    path : str or Path
        Path of the file; its folder must exist.

    Yields
    ------
    Path
        Path to write to. It keeps the suffix, from which libraries choose a format.

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
        # mkstemp makes private files; set the mode of an ordinary file.
        with _UMASK_LOCK:
            mask = os.umask(0)
            os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        # Windows can only sync a file that is open for writing.
        with temporary.open("r+b") as written:
            os.fsync(written.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Like `atomic_path`, for a path of the user: errors name that path.

    Parameters
    ----------
    path : str or Path
        Path of the file.

    Yields
    ------
    Path
        Path to write to.

    Raises
    ------
    XgenError
        If `path` is a folder, if its folder does not exist, or if it cannot be written to.

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
    with with_user_path(target), atomic_path(target) as temporary:
        yield temporary


@contextmanager
def with_user_path(path: str | os.PathLike[str]) -> Iterator[None]:
    """Re-raise OSError with the user's path, not the temporary file's.

    Raises
    ------
    XgenError
        In place of an error of the system.
    """
    try:
        yield
    except OSError as error:
        # Some libraries wrap the system's reason in a message of their own.
        reason = os.strerror(error.errno) if error.errno else error
        raise XgenError(f"{path}: cannot be written: {reason}") from error


@contextmanager
def with_reason(path: Path, size: int) -> Iterator[None]:
    """Raise the system's own error if the NetCDF library fails to write.

    The library raises a RuntimeError without the reason. A second write of as many bytes to the
    same folder fails for the same reason, such as a full disk.

    Parameters
    ----------
    path : Path
        File that is written in the block.
    size : int
        Approximate number of bytes that are written.

    Raises
    ------
    OSError
        In place of a RuntimeError.

    Examples
    --------
    >>> with with_reason(Path(tempfile.gettempdir()) / "sales.nc", 10):
    ...     raise RuntimeError("NetCDF: HDF error")
    Traceback (most recent call last):
    OSError: NetCDF: HDF error
    """
    try:
        yield
    except RuntimeError as error:
        with tempfile.TemporaryFile(dir=path.parent) as again:
            # A file is larger than its numbers.
            for _ in range(0, size + BLOCK, BLOCK):
                again.write(bytes(BLOCK))
            again.flush()
        raise OSError(str(error)) from error


def check_target(path: Path) -> None:
    """Raise if a path cannot be written to, before the work is done.

    Raises
    ------
    XgenError
        If `path` is a folder, or if its folder does not exist.
    """
    if path.is_dir():
        raise XgenError(f"{path}: this is a folder; give the path of a file in it")
    if not path.parent.is_dir():
        raise XgenError(f"{path}: there is no folder {str(path.parent)!r}; make it first")


def csv_of(
    frame: pd.DataFrame,
    target: Path | None = None,
    *,
    escape_formulas: bool = False,
    index: bool = False,
) -> str:
    r"""Return a frame as CSV, and warn if a spreadsheet would run one of its texts as a formula.

    Parameters
    ----------
    frame : DataFrame
        Frame. Its numbers are written with the fewest digits that keep them.
    target : Path, optional
        File to write to. None returns the text.
    escape_formulas : bool
        If True, such a text gets an apostrophe in front, so a spreadsheet shows it as text. A
        text that begins with an apostrophe gets a second one. Removing the first apostrophe of
        every text restores the texts.
    index : bool
        If True, the index is written under its name.

    Examples
    --------
    >>> import pandas as pd
    >>> csv_of(pd.DataFrame({"geo": ["=1+1", "-1", "north"]}), escape_formulas=True)
    "geo\n'=1+1\n-1\nnorth\n"
    """
    table = frame.reset_index() if index else frame
    texts = table.select_dtypes(exclude=["number", "datetime", "timedelta", "bool"])
    found = [str(name) for name in table.columns]
    for name in texts:
        found += [each for each in table[name].unique().tolist() if isinstance(each, str)]
    formulas = [text for text in found if is_formula(text)]
    if escape_formulas:
        escaped = {str(name): table[name].map(_escaped) for name in texts}
        table = table.assign(**escaped).rename(columns=_escaped)
    elif formulas:
        warn(
            f"a spreadsheet that opens this CSV may run {shown(formulas[0])} as a formula, since "
            f"it begins with {shown(formulas[0][0])}; rename it, or read the file as data only"
        )
    text = table.to_csv(target, index=False, encoding="utf-8", lineterminator="\n")
    return text or ""


def is_formula(text: str) -> bool:
    """Tell if a spreadsheet may run a text as a formula.

    Examples
    --------
    >>> is_formula("@SUM(A1)"), is_formula("-2.5"), is_formula("TV")
    (True, False, False)
    """
    if not text.startswith(FORMULA):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return text.startswith(("\t", "\r"))


def _escaped(text: object) -> object:
    if isinstance(text, str) and (text.startswith("'") or is_formula(text)):
        return f"'{text}"
    return text
