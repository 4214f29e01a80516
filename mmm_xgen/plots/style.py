"""Colours, names, numbers and dates that all plots share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import Formatter

from mmm_xgen.formatting.amounts import short_number

# Paul Tol's "muted" scheme, which the common forms of colour blindness tell apart. The order
# puts colours of different lightness side by side, so that grey print works too.
CHANNEL_COLOURS = (
    "#332288",
    "#DDAA33",
    "#117733",
    "#CC6677",
    "#88CCEE",
    "#882255",
    "#44AA99",
    "#999933",
)
OTHER_COLOUR = "#AAAAAA"
BASE_COLOUR = "#E3E6EA"
INK = "#222222"
FAINT = "#8A8F98"
RISK = "#B03A2E"
# Sales that channels make together.
TOGETHER_COLOUR = "#6B7688"

STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": "#E8E8E8",
    "grid.linewidth": 0.8,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.solid_capstyle": "round",
    "savefig.dpi": 150,
    "text.color": INK,
    "text.usetex": False,
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
}

LONGEST_NAME = 25
# Letters that are left of names which differ only in their middle: of their beginning, of the
# part in which they differ, and of that part where further parts differ too.
BEGINNING, DIFFERENCE, FIRST = 8, 15, 5
DAYS_BESIDE_ONE_DATE = 4
DAYS_IN_A_MONTH = 28
# Of the numbers beside an axis.
FIGURES = (3, 4, 5, 6)


class ShortNumbers(Formatter):
    """Ticks as short numbers, with so many figures that no two look the same.

    Examples
    --------
    >>> ShortNumbers().format_ticks([10_000, 10_020, 10_040])
    ['10k', '10.02k', '10.04k']
    """

    def format_ticks(self, values: Any) -> list[str]:
        """Texts of all ticks of an axis."""
        different = len(set(map(float, values)))
        texts: list[str] = []
        for figures in FIGURES:
            texts = [short_number(value, figures) for value in values]
            if len(set(texts)) == different:
                break
        return texts

    def __call__(self, value: float, position: int | None = None) -> str:
        """Text of one tick, or of a place that a cursor points at."""
        return short_number(value)


def plain_text(name: str) -> str:
    r"""Make a name fit for matplotlib: no formulas, and not too long.

    A long name loses its middle: what tells it from its neighbours often stands at its end.

    Examples
    --------
    >>> plain_text("US$ & CA$")
    'US\\$ & CA\\$'
    >>> plain_text("Programmatic display retargeting 12")
    'Programmatic…targeting 12'
    """
    return _escaped(_without_middle(name))


def plain_texts(names: Iterable[str]) -> dict[str, str]:
    """Make names fit for matplotlib as `plain_text` does, and keep them different.

    Long names that would read alike show the part in which they differ.

    Parameters
    ----------
    names : iterable of str
        All names of a kind that a dataset has, so that each reads alike in all pictures of it.

    Examples
    --------
    >>> plain_texts(["TV", "Programmatic display targeting 12", "Programmatic video targeting 12"])
    {'TV': 'TV', ...: 'Programm…display targeti…', ...: 'Programm…video targeting…'}
    """
    return {name: _escaped(text) for name, text in short_names(names).items()}


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Shorten long names so that those which differ stay apart; see `plain_texts`.

    Examples
    --------
    >>> list(short_names(["a" * 30 + "1" + "b" * 30, "a" * 30 + "2" + "b" * 30]).values())
    ['aaaaaaaa…1bbbbbbbbbbbbbb…', 'aaaaaaaa…2bbbbbbbbbbbbbb…']
    """
    texts = {name: _without_middle(name) for name in names}
    for group in _alike(texts):
        texts |= _apart(group, f"{group[0][:BEGINNING]}…")
    taken: set[str] = {name for name, text in texts.items() if name == text}
    for name, text in texts.items():
        copies, label = 1, text
        while label in taken and label != name:
            copies += 1
            label = f"{text} ({copies})"
        taken.add(label)
        texts[name] = label
    return texts


def _without_middle(name: str) -> str:
    if len(name) <= LONGEST_NAME:
        return name
    half = LONGEST_NAME // 2
    return f"{name[:half].rstrip()}…{name[-half:].lstrip()}"


def _alike(texts: Mapping[str, str]) -> list[list[str]]:
    """Group names that have been shortened to the same text."""
    groups = defaultdict(list)
    for name, text in texts.items():
        if name != text:
            groups[text].append(name)
    return [names for names in groups.values() if len(names) > 1]


def _apart(names: list[str], beginning: str) -> dict[str, str]:
    """Write names of the same beginning from the letter on in which they first differ."""
    letters = enumerate(zip_longest(*names))
    start = next(place for place, others in letters if len(set(others)) > 1)
    end = start + DIFFERENCE
    texts = {
        name: f"{beginning}{name[start:end]}{'…' if len(name) > end else ''}" for name in names
    }
    for group in _alike(texts):
        texts |= _apart(group, f"{beginning}{group[0][start : start + FIRST]}…")
    return texts


def _escaped(text: str) -> str:
    return text.replace("$", r"\$")


def format_numbers(axes: Axes, axis: str) -> None:
    """Write the ticks of ``"x"``, ``"y"`` or both, ``"xy"``, as short numbers."""
    for name in axis:
        (axes.xaxis if name == "x" else axes.yaxis).set_major_formatter(ShortNumbers())


def format_dates(axes: Axes) -> None:
    """Write the ticks of the x axis as dates, each year and month once."""
    first, last = axes.dataLim.intervalx
    if not first <= last < float("inf"):
        # Nothing is drawn yet.
        return
    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    # A few days lie in one month: their year stands beside the axis.
    few = last - first < DAYS_IN_A_MONTH
    words = ConciseDateFormatter(locator, show_offset=few)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(words)
    axes.margins(x=0.01)
    if last - first < DAYS_BESIDE_ONE_DATE:
        axes.set_xlim(first - DAYS_BESIDE_ONE_DATE, last + DAYS_BESIDE_ONE_DATE)
