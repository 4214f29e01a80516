"""Tables of cells as a file or frame has them, with names for their rows in messages.

The cells of a CSV file stay text until a column is read. So a message can quote the file and its
line, a geo called ``NA`` stays a geo, and every number is the float64 nearest to its digits.
"""

from __future__ import annotations

import csv
import difflib
import os
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mmm_xgen.errors import SchemaError


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of cells, before anything is converted.

    Parameters
    ----------
    names : list of str
        Name of each column. A name may be there twice.
    cells : list of Series
        The cells of each column.
    n_rows : int
        Number of rows.
    row : callable
        ``row(position)`` is what a message calls the row.
    header : str
        What a message calls the row of the names.
    origin : str
        File that the table comes from, or nothing.
    is_text : bool
        True if numbers are written as text, as in a CSV file.
    """

    names: list[str]
    cells: list[pd.Series[Any]]
    n_rows: int
    row: Callable[[int], str]
    header: str
    origin: str = ""
    is_text: bool = False

    def column(self, name: str | None) -> pd.Series[Any] | None:
        """Cells of the first column of a name, or None."""
        return self.cells[self.names.index(name)] if name and name in self.names else None

    def take(self, keep: NDArray[np.bool_]) -> Table:
        """Table of some of the rows, which keep their names."""
        kept = np.flatnonzero(keep)
        cells = [cells[keep] for cells in self.cells]
        return replace(self, cells=cells, n_rows=len(kept), row=lambda row: self.row(kept[row]))

    def fault(self, row: int, column: str, message: str) -> SchemaError:
        """Error that names the row and the column."""
        return SchemaError(f"{self.origin}{self.row(row)}, column {column!r}: {message}")

    def header_fault(self, message: str) -> SchemaError:
        """Error about the columns or the table as a whole."""
        return SchemaError(f"{self.origin}{self.header}: {message}")

    def check_variables(self, name: str, setting: str = "") -> None:
        """Raise unless there is a column of that name."""
        if name not in self.names:
            wanted = f"no column {name!r}{setting}"
            raise self.header_fault(f"{wanted}; {nearest_found(name, self.names)}")

    def check_different_names(self) -> None:
        """Raise if two columns have the same name."""
        for name in self.names:
            if name and self.names.count(name) > 1:
                raise self.header_fault(
                    f"column {name!r} is there {self.names.count(name)} times, allowed: once"
                )


def nearest_found(word: str, names: Iterable[str]) -> str:
    """List the names that there are, the nearest first if one is near.

    Examples
    --------
    >>> nearest_found("date", ["DATE", "tv_S"])
    "did you mean 'DATE'? found: 'DATE', 'tv_S'"
    """
    # Case is the most common difference, and difflib does not ignore it.
    names = list(names)
    folded = {name.strip().casefold(): name for name in reversed(names)}
    close = difflib.get_close_matches(word.strip().casefold(), folded, n=1)
    listing = "found: " + (", ".join(map(repr, names)) or "none")
    return f"did you mean {folded[close[0]]!r}? {listing}" if close else listing


def read_table(source: object, keys: Collection[str | None]) -> Table:
    """Read a CSV or Parquet file or a frame as a table.

    Parameters
    ----------
    source : path or pandas.DataFrame
        What to read.
    keys : collection of str
        Columns that may be levels of the index of a frame instead.

    Raises
    ------
    SchemaError
        If the source is of another type, or the file cannot be read.
    """
    if isinstance(source, pd.DataFrame):
        return frame_table(source, keys)
    if not isinstance(source, str | os.PathLike):
        raise SchemaError(
            f"found a plan of type {type(source).__name__}, allowed: a path to a .csv or .parquet"
            " file, a pandas DataFrame, an xarray DataArray or Dataset"
        )
    path = Path(source)
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise SchemaError(f"{path}: found suffix {path.suffix!r}, allowed: '.csv', '.parquet'")
    if not path.is_file():
        raise SchemaError(f"{path}: no such file")
    if path.suffix.lower() == ".csv":
        return _csv_table(path)
    try:
        frame = pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise SchemaError(f"{path}: cannot be read as Parquet: {error}") from error
    return replace(frame_table(frame, keys), origin=f"{path.name}, ")


def frame_table(frame: pd.DataFrame, keys: Collection[str | None]) -> Table:
    """Table of the columns of a frame and of the levels of its index that are among the keys.

    Examples
    --------
    >>> frame = pd.DataFrame({"y": [1.0]}, index=pd.Index(["a"], name="geo"))
    >>> table = frame_table(frame, ["date", "geo"])
    >>> table.names, table.row(0)
    (['y', 'geo'], 'index label a')
    """
    index = frame.index
    names = [str(name) for name in frame.columns]
    cells = [frame.iloc[:, place] for place in range(len(names))]
    for level, name in enumerate(index.names):
        if name is not None and name in keys and name not in names:
            names.append(str(name))
            cells.append(pd.Series(index.get_level_values(level)))
    return Table(
        names, cells, len(frame), lambda row: f"index label {index[row]}", "the header of the frame"
    )


def _csv_table(path: Path) -> Table:
    lines: list[int] = []
    records: list[list[str]] = []
    line = 1
    try:
        # utf-8-sig: spreadsheets put a byte order mark before the name of the first column.
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            for record in reader:
                if record:  # not a blank line
                    lines.append(line)
                    records.append(record)
                line = reader.line_num + 1
    except csv.Error as error:
        raise SchemaError(f"{path.name}, line {line}: cannot be read as CSV: {error}") from error
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8 text ({error.reason}); save it as UTF-8"
        raise SchemaError(f"{path}: {reason}") from error
    except OSError as error:
        raise SchemaError(f"{path}: cannot be read: {error.strerror}") from error
    if not records:
        raise SchemaError(f"{path}: the file is empty; give it a header and rows")
    names, *records = records
    table = Table(
        names,
        [],
        len(records),
        lambda row: f"line {lines[row + 1]}",
        f"line {lines[0]}",
        f"{path.name}, ",
        is_text=True,
    )
    if len(names) == 1 and re.search("[;\t]", names[0]):
        raise table.header_fault(f"one column {names[0]!r}; cells have to be separated by commas")
    for row, record in enumerate(records):
        if len(record) != len(names):
            last = names[min(len(record), len(names)) - 1]
            message = f"the row has {len(record)} cells and the header {len(names)}"
            raise table.fault(row, last, f"{message}; quote texts with commas in them")
    columns = zip(*records, strict=True) if records else [()] * len(names)
    return replace(table, cells=[pd.Series(cells, dtype=object) for cells in columns])
