"""Cells of a media plan as the source has them, and errors that name row and column.

CSV cells stay text until they are converted here, one by one. So a message can quote what the
file says and on which line, a geo called ``NA`` stays a geo, and every number is the float64
nearest to its decimal digits (what pandas calls ``float_precision="round_trip"``).
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mmm_xgen.config.spend_plan import SpendPlanConfig, nearest_column
from mmm_xgen.errors import SchemaError

Floats = NDArray[np.float64]

# Not all that float() takes: it reads "1_000" and digits of other scripts too.
_NUMBER = re.compile(
    r"\s*[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)\s*", re.ASCII | re.IGNORECASE
)
# The words that pandas reads as missing; Robyn's own "na" is not among them.
_MISSING = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"}
    | {"<NA>", "N/A", "NA", "NULL", "NaN", "NaT", "None", "n/a", "nan", "null"}
)


@dataclass(frozen=True)
class Table:
    """Columns of cells as the source has them, and what to call its rows."""

    columns: Mapping[str, Any]
    rows: Sequence[Any]
    row_word: str
    header: str
    origin: str
    is_text: bool = False

    def fault(self, row: int, column: str, message: str) -> SchemaError:
        """Error that names row and column."""
        return SchemaError(f"{self.origin}{self.row(row)}, column {column!r}: {message}")

    def header_fault(self, message: str) -> SchemaError:
        """Error about the columns as such."""
        return SchemaError(f"{self.origin}{self.header}: {message}")

    def row(self, row: int) -> str:
        """Name of the row at a position."""
        return f"{self.row_word} {self.rows[row]}".strip()

    def cell(self, row: int, column: str) -> Any:
        """Cell at a position."""
        cells = self.columns[column]
        return cells.iloc[row] if isinstance(cells, pd.Series) else cells[row]

    def require(self, column: str | None, field: str) -> None:
        """Raise unless the column is there."""
        if column is not None and column not in self.columns:
            found = nearest_column(column, self.columns)
            raise self.header_fault(f"no column {column!r} (spend_plan.{field}); {found}")

    def take(self, keep: NDArray[np.bool_]) -> Table:
        """Table of some of the rows."""
        kept = np.flatnonzero(keep).tolist()
        columns = {
            name: cells[keep] if hasattr(cells, "dtype") else [cells[row] for row in kept]
            for name, cells in self.columns.items()
        }
        return replace(self, columns=columns, rows=[self.rows[row] for row in kept])


def source_table(source: object, mapping: SpendPlanConfig) -> Table:
    """Read the table of a file or a frame."""
    if isinstance(source, pd.DataFrame):
        return _frame_table(source, mapping, "")
    if isinstance(source, str | os.PathLike):
        return _file_table(Path(source), mapping)
    raise SchemaError(
        f"found a plan of type {type(source).__name__}, allowed: a path to a .csv or .parquet"
        " file, a pandas DataFrame, an xarray DataArray or Dataset"
    )


def _file_table(path: Path, mapping: SpendPlanConfig) -> Table:
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
    return _frame_table(frame, mapping, f"{path.name}, ")


def _csv_table(path: Path) -> Table:
    lines: list[int] = []
    records: list[list[str]] = []
    try:
        # utf-8-sig: spreadsheets put a byte order mark before the first column's name.
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for line, record in _csv_records(csv.reader(stream, strict=True), path):
                lines.append(line)
                records.append(record)
    except UnicodeDecodeError as error:
        raise SchemaError(
            f"{path}: is not UTF-8 text ({error.reason}); save it as UTF-8"
        ) from error
    except OSError as error:
        raise SchemaError(f"{path}: cannot be read: {error.strerror}") from error
    if not records:
        raise SchemaError(f"{path}: the file is empty; give it a header and at least 2 dates")
    names, records = records[0], records[1:]
    table = Table({}, lines[1:], "line", f"line {lines[0]}", f"{path.name}, ", is_text=True)
    if len(names) == 1 and re.search("[;\t]", names[0]):
        raise table.header_fault(f"one column {names[0]!r}; cells have to be separated by commas")
    _refuse_repeated(table, names)
    for row, record in enumerate(records):
        if len(record) != len(names):
            beyond = names[min(len(record), len(names)) - 1]
            message = f"the row has {len(record)} cells and the header {len(names)}"
            raise table.fault(row, beyond, f"{message}; quote texts with commas in them")
    refuse_no_rows(table)
    return replace(table, columns=dict(zip(names, zip(*records, strict=True), strict=True)))


def _csv_records(reader: Any, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the records that are not blank lines, each with the line that it starts on."""
    line = 1
    try:
        for record in reader:
            if record:
                yield line, record
            line = reader.line_num + 1
    except csv.Error as error:
        raise SchemaError(f"{path.name}, line {line}: cannot be read as CSV: {error}") from error


def _frame_table(frame: pd.DataFrame, mapping: SpendPlanConfig, origin: str) -> Table:
    rows = frame.index.tolist()
    wanted = (mapping.date, mapping.geo, mapping.channel)
    levels = [name for name in wanted if name in frame.index.names and name not in frame.columns]
    frame = frame.reset_index(level=[name for name in levels if name is not None])
    names = [str(name) for name in frame.columns]
    table = Table({}, rows, "index label", "the header of the frame", origin)
    _refuse_repeated(table, names)
    refuse_no_rows(table)
    cells = {name: frame.iloc[:, place] for place, name in enumerate(names)}
    return replace(table, columns=cells)


def _refuse_repeated(table: Table, names: list[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1 and name]
    if repeated:
        raise table.header_fault(
            f"column {repeated[0]!r} is there {names.count(repeated[0])} times"
        )


def refuse_no_rows(table: Table) -> None:
    """Raise unless there are rows."""
    if not table.rows:
        raise table.header_fault("the plan is empty: there are no rows; give at least 2 dates")


def is_missing(cell: Any) -> bool:
    """Whether a cell holds nothing."""
    if isinstance(cell, str):
        return cell.strip() in _MISSING
    return bool(pd.api.types.is_scalar(cell) and pd.isna(cell))


def labels_of(table: Table, column: str) -> list[str]:
    """Names in a column, none of them missing."""
    labels = []
    for row, cell in enumerate(table.columns[column]):
        # "NA" is Namibia or North America here: of texts only the empty one is missing.
        if cell.strip() == "" if isinstance(cell, str) else is_missing(cell):
            raise table.fault(row, column, "the name is missing")
        labels.append(str(cell))
    return labels


def numbers_of(table: Table, column: str, kind: str) -> Floats:
    """Amounts in a column: finite, zero or more."""
    cells = table.columns[column]
    dtype = getattr(cells, "dtype", None)
    if dtype is not None and dtype.kind in "iuf":
        values = cells.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        values = np.empty(len(table.rows))
        for row, cell in enumerate(cells):
            number = _number(cell, table.is_text)
            if number is None:
                message = f"found {cell!r}, allowed: a number (digits and a decimal point only)"
                raise table.fault(row, column, message)
            values[row] = number
    wrong = ~((values >= 0) & (values < np.inf))
    if wrong.any():
        row = int(wrong.argmax())
        advice = "where nothing was spent write 0" if kind == "channel" else "give every value"
        reason = f"found {values[row]}, allowed: zero or more, finite"
        if math.isnan(values[row]):
            reason = f"the value is missing; {advice}"
        raise table.fault(row, column, reason)
    return np.asarray(values, dtype=np.float64)


def _number(cell: Any, is_text: bool) -> float | None:
    """Float of one cell, NaN where it is missing, None where it is no number."""
    if is_missing(cell):
        return math.nan
    if isinstance(cell, str):
        return float(cell) if is_text and _NUMBER.fullmatch(cell) else None
    is_number = isinstance(cell, Real | Decimal) and not isinstance(cell, bool | np.bool_)
    try:
        return float(cell) if is_number else None
    except OverflowError:
        return math.inf
