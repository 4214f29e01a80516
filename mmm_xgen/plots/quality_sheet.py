"""Plot of the findings of the data quality check."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mmm_xgen.dataset import in_memory
from mmm_xgen.formatting.amounts import ratio, share, short_number
from mmm_xgen.formatting.words import count
from mmm_xgen.plots.panels import ROW, WIDTH, blank, headed
from mmm_xgen.plots.style import FAINT, INK, RISK
from mmm_xgen.plots.timelines import role_names
from mmm_xgen.quality import DataQualityReport, Finding, check_data_quality
from mmm_xgen.quality.values import LONG_GAP_PERIODS, LONG_GAP_SHARE, VIF_LIMIT

# Rows and findings of one sheet; more could not be read.
MOST_VARIABLES = 45
MOST_FINDINGS = 10
# Letters of a line of words, and inches that it takes.
LETTERS = 145
LINE = 0.19
CAUTION = "#C98A00"
AMBER = "#F6E3B5"
RED = "#F0C4BE"


@in_memory
def plot_quality(ds: xr.Dataset, *, figsize: tuple[float, float] | None = None) -> Figure:
    """Draw the result of `mmm_xgen.check_data_quality`: verdict, findings, figures.

    Parameters
    ----------
    ds : Dataset
        Any Dataset; its faults are what the sheet shows.
    figsize : tuple of float, optional
        Width and height in inches; letters shrink with it.

    Returns
    -------
    matplotlib.figure.Figure
        At most 10 findings and 45 variables, the most serious first, and how many more there are.

    Raises
    ------
    SchemaError
        If `ds` is not a Dataset.

    Examples
    --------
    >>> import mmm_xgen
    >>> figure = plot_quality(mmm_xgen.generate_mmm_dataset())
    >>> figure.get_suptitle().splitlines()[0]
    'Data quality: ok, 0 errors, 0 warnings'
    """
    report = check_data_quality(ds)
    lines = _lines_of(report)
    figures = report.figures
    flags = _flags(figures, n_dates=ds.sizes.get("date", 0))
    order = np.argsort(~flags.any(axis=1).to_numpy(dtype=bool), kind="stable")
    kept = np.sort(order[:MOST_VARIABLES])
    note = count(len(figures), "variable")
    if len(figures) > len(kept):
        note = f"{len(kept)} of {note}, those with a coloured cell first"
    names = role_names(list(map(str, figures.index)), list(figures["role"]))
    natural = (WIDTH, 1.0 + LINE * len(lines) + ROW * (len(kept) + 2))
    size = figsize or natural
    letters = 9.0 * min(1.0, size[0] / natural[0], size[1] / natural[1])
    with blank(size, size[1]) as figure, mpl.rc_context({"font.size": letters}):
        heights = [LINE * len(lines), ROW * (len(kept) + 1.5)]
        above, below = figure.subplots(2, 1, height_ratios=heights)
        _write_findings(above, lines)
        _draw_table(below, [names[at] for at in kept], figures.iloc[kept], flags.iloc[kept])
        verdict = "ok" if report.ok else "not ok"
        headed(
            figure,
            f"Data quality: {verdict}, {count(len(report.errors), 'error')}, "
            f"{count(len(report.warnings), 'warning')}",
            note,
        )
    return figure


@dataclass(frozen=True)
class _Line:
    text: str
    colour: str = INK
    mark: str = ""
    code: str = ""


def _lines_of(report: DataQualityReport) -> list[_Line]:
    graded = [(RISK, finding) for finding in report.errors]
    graded += [(CAUTION, finding) for finding in report.warnings]
    lines = [line for mark, finding in graded[:MOST_FINDINGS] for line in _wrapped(mark, finding)]
    hidden = len(graded) - MOST_FINDINGS
    if hidden > 0:
        lines.append(_Line(f"and {hidden} more", FAINT))
    return lines or [_Line("No check found anything wrong or questionable.")]


def _wrapped(mark: str, finding: Finding) -> list[_Line]:
    what = textwrap.wrap(f"{finding.where}: {finding.message}", LETTERS, max_lines=3)
    fix = textwrap.wrap(finding.fix, LETTERS, max_lines=2)
    first, *rest = what
    return [
        _Line(first, mark=mark, code=finding.code),
        *(_Line(text) for text in rest),
        *(_Line(text, FAINT) for text in fix),
    ]


def _write_findings(axes: Axes, lines: list[_Line]) -> None:
    axes.set_label("findings")
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    plain = any(each.code for each in lines)
    for row, each in enumerate(lines):
        if each.mark:
            axes.plot(0.006, row, "o", color=each.mark, markersize=6)
            axes.text(0.018, row, each.code, weight="bold", va="center", parse_math=False)
        at = 0.17 if plain else 0.0
        axes.text(at, row, each.text, color=each.colour, va="center", parse_math=False)


WRITE: dict[str, Callable[[Any], str]] = {
    "role": lambda role: "sales" if role == "y" else str(role),
    "mean": short_number,
    "sd": short_number,
    "min": short_number,
    "max": short_number,
    "zero_share": share,
    "missing": short_number,
    "vif": ratio,
    "longest_gap": short_number,
    "outliers": short_number,
}
HEADINGS = {
    "role": "",
    "zero_share": "zeros",
    "vif": "variance\ninflation",
    "longest_gap": "longest run\nof zeros",
}


def _flags(figures: pd.DataFrame, n_dates: int) -> pd.DataFrame:
    """Mark the figures beyond the limits of the checks."""
    flags = pd.DataFrame(False, index=figures.index, columns=list(WRITE))
    if not len(figures):
        return flags
    flags["missing"] = figures["missing"] > 0
    flags["min"] = (figures["min"] < 0) & (figures["role"] != "control")
    flags["sd"] = figures["sd"] == 0
    flags["zero_share"] = figures["zero_share"] == 1
    flags["vif"] = figures["vif"] > VIF_LIMIT
    long = max(LONG_GAP_PERIODS, LONG_GAP_SHARE * n_dates)
    flags["longest_gap"] = (figures["longest_gap"] >= long) & (figures["role"] == "channel")
    flags["outliers"] = figures["outliers"] > 0
    return flags


def _draw_table(axes: Axes, names: list[str], figures: pd.DataFrame, flags: pd.DataFrame) -> None:
    axes.set_label("figures")
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(max(len(names), 1) - 0.4, -1.6)
    right = 0.2 + np.linspace(0.06, 0.78, len(WRITE))
    width = right[1] - right[0]
    for place, column in zip(right, WRITE if names else (), strict=False):
        words = HEADINGS.get(column, column)
        axes.text(place, -0.65, words, ha="right", va="bottom", color=FAINT, linespacing=0.95)
    records = zip(names, figures.to_dict("records"), flags.to_dict("records"), strict=True)
    for row, (name, values, flagged) in enumerate(records):
        if row % 2 == 0:
            axes.axhspan(row - 0.5, row + 0.5, color="#F6F7F8", zorder=0)
        axes.text(0.006, row, name, va="center")
        for place, (column, write) in zip(right, WRITE.items(), strict=True):
            text = write(values[column])
            if flagged[column]:
                box = (place - width + 0.012, row - 0.44)
                colour = RED if column in {"missing", "min"} else AMBER
                axes.add_patch(Rectangle(box, width, 0.88, facecolor=colour))
            nothing = not flagged[column] and text in {"0", "0%", "-"}
            axes.text(place, row, text, ha="right", va="center", color=FAINT if nothing else INK)
