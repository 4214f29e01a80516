"""Parts of a report: sections of text, tables, pictures and code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from mmm_xgen.errors import XgenError


@dataclass(frozen=True)
class Text:
    """A sentence or more; `tone` is ``"note"`` for what is left out, ``"alert"`` for faults.

    `code` draws what is left out.
    """

    block: ClassVar[str] = "text"
    text: str
    tone: str = ""
    code: str = ""


@dataclass(frozen=True)
class Items:
    """A list of sentences under a heading."""

    block: ClassVar[str] = "items"
    title: str
    items: tuple[str, ...]


@dataclass(frozen=True)
class Tiles:
    """The few figures to remember, each with its words."""

    block: ClassVar[str] = "tiles"
    tiles: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Column:
    """Head of a column; `kind` is ``"number"`` for right-aligned, ``"grade"`` for coloured ones."""

    words: str
    unit: str = ""
    kind: str = "text"


@dataclass(frozen=True)
class Table:
    """Rows of text; `total` sets the last row apart, `fold` hides the table until it is opened."""

    block: ClassVar[str] = "table"
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    total: bool = False
    fold: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI; `alt` says what is in it, `code` what draws it."""

    block: ClassVar[str] = "picture"
    source: str
    alt: str
    code: str
    width: int
    height: int


@dataclass(frozen=True)
class Code:
    """Text to copy; `fold` hides it until it is opened."""

    block: ClassVar[str] = "code"
    title: str
    text: str
    fold: bool = False


Block: TypeAlias = Text | Items | Tiles | Table | Picture | Code


@dataclass(frozen=True)
class Section:
    """A part of the report with a heading and an entry in the table of contents."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


def attempt(what: str, make: Callable[[], Sequence[Block]]) -> Sequence[Block]:
    """Blocks, or a note on why the data has none.

    Examples
    --------
    >>> from mmm_xgen.errors import SchemaError
    >>> def none() -> list[Block]:
    ...     raise SchemaError("the Dataset has no 'effect'")
    >>> attempt("Response curves", none)[0].text
    "Response curves: left out, since the Dataset has no 'effect'."
    """
    try:
        return make()
    except XgenError as error:
        reason = " ".join(str(error).split()).rstrip(".")
        return [Text(f"{what}: left out, since {reason}.", "note")]


def number(words: str, unit: str = "") -> Column:
    """Head of a column of numbers."""
    return Column(words, unit, "number")


def table(
    title: str,
    columns: Iterable[Column],
    rows: Iterable[Sequence[str]],
    *,
    note: str = "",
    total: bool = False,
    longest: int | None = None,
) -> Table:
    """Table that is folded if it has more rows than `longest`."""
    cells = tuple(tuple(row) for row in rows)
    fold = longest is not None and len(cells) > longest
    return Table(title, tuple(columns), cells, note, total, fold)


def kind_words(kind: str) -> str:
    """A kind of pattern or transform, in words.

    Examples
    --------
    >>> kind_words("no_adstock"), kind_words("geometric_adstock"), kind_words("hill_function")
    ('none', 'geometric', 'hill function')
    """
    if kind.startswith("no_"):
        return "none"
    return kind.removesuffix("_adstock").replace("_", " ")
