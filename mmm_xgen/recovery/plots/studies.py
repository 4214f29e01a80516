"""Plots that compare the models of a study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmm_xgen.errors import ConfigError
from mmm_xgen.formatting.amounts import amount
from mmm_xgen.plots.panels import (
    DASHED,
    MOST_ROWS,
    ROW,
    WIDTH,
    Page,
    band,
    blank,
    dot,
    headed,
    legend_below,
    line,
    log_axis,
    marks,
    name_rows,
    page_of,
    write_beside,
)
from mmm_xgen.plots.style import CHANNEL_COLOURS, format_numbers, plain_texts
from mmm_xgen.recovery.plots.panels import BETWEEN, MARKERS, OPAQUE, TRUTH, model_text
from mmm_xgen.recovery.scoring.aggregates import HIGHER_IS_BETTER, aggregate
from mmm_xgen.recovery.scoring.calibration import coverage
from mmm_xgen.recovery.scoring.metrics import METRICS, coverage_names
from mmm_xgen.recovery.study.unit import DONE

SHOWN = {
    ("roas", "absolute_error"): "log-ROAS error",
    ("roas", "interval_score_94"): "log-ROAS interval score",
    ("mroas", "absolute_error"): "log-mROAS error",
    ("regret_recommended_percent", "value"): "regret, % of media revenue",
    ("channel_ranking_spearman", "value"): "ranking of channels",
    ("channel_contribution", "crps"): "contributions, CRPS, % of sales",
}
QUANTITIES = {"roas": "ROAS", "mroas": "mROAS", "contribution_total": "total contribution"}
TIMES = {
    "build": CHANNEL_COLOURS[4],
    "compile": CHANNEL_COLOURS[1],
    "sample": CHANNEL_COLOURS[0],
    "rest": "#AAAAAA",
}
# Lowest end of an interval on a log scale, as a share of the smallest value.
DEEPEST = 0.05
# Values that differ by a larger factor are drawn on a log scale.
WIDE = 40.0
# Dots that a page of channels has room for in a panel, and channels that it has at least.
MOST_DOTS, FEWEST_CHANNELS = 112, 4
# Quantiles over seeds: an extreme seed does not stretch the axis.
USUAL = (0.1, 0.9)
DATASET, MODEL = "dataset", "model"


def plot_coverage(
    scores: pd.DataFrame,
    *,
    quantities: Sequence[str] = tuple(QUANTITIES),
    page: int = 1,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw the actual coverage of intervals beside the nominal one, by model.

    Parameters
    ----------
    scores : DataFrame
        See `mmm_xgen.recovery.study.results.read_scores`.
    quantities : sequence of str
        What the intervals are of; those that are not there are left out.
    page : int
        Which forty models; 1 or more.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot. Bars are two Monte Carlo standard errors to each side, over
        datasets, and no less than binomial ones at the nominal coverage.

    Raises
    ------
    ConfigError
        If none of the quantities has a coverage, or there is no such page.

    Examples
    --------
    >>> scores = pd.DataFrame({"dataset": "a", "model": "ols", "seed": range(100),
    ...     "quantity": "roas", "metric": "coverage_94", "value": [1.0] * 60 + [0.0] * 40})
    >>> (axes,) = plot_coverage(scores).axes
    >>> axes.get_title(loc="left")
    'nominal 94%'
    """
    rows = scores[scores["quantity"].isin(quantities)]
    table = filled(coverage(rows, by=(DATASET, MODEL, "quantity")), "coverage")
    table = table.assign(name=row_names(table))
    at_nominal = np.sqrt(table["nominal"] * (1 - table["nominal"]) / table["n"])
    error = 2 * np.fmax(at_nominal, table["clustered_error"])
    table = table.assign(
        group=table["quantity"],
        middle=table["coverage"],
        lower=(table["coverage"] - error).clip(0, 1),
        upper=(table["coverage"] + error).clip(0, 1),
    )
    there = set(table["group"])
    groups = [each for each in quantities if each in there]
    models = page_of(list(table["name"].unique()), page, MOST_ROWS, "models")
    levels = [metric for metric in coverage_names() if (table["metric"] == metric).any()]
    with _row_panels(len(levels), models, len(groups), figsize) as (figure, panels):
        for axes, metric in zip(panels, levels, strict=True):
            _draw_dots(axes, table[table["metric"] == metric], models.names, groups)
            nominal = METRICS[metric].perfect
            axes.axvline(nominal, color=TRUTH, linestyle=DASHED, linewidth=1.2)
            axes.set_title(f"nominal {nominal:.0%}")
            axes.set_xlim(-0.02, 1.02)
            axes.set_xlabel("share of equal-tailed intervals that have the truth")
        headed(figure, "Coverage: nominal and actual", models.note)
        entries = {"nominal": line(TRUTH, dashed=True, width=1.2)}
        named = {QUANTITIES.get(name, name): dot(*_look(i)) for i, name in enumerate(groups)}
        legend_below(figure, entries | named)
    return figure


def plot_metrics(
    scores: pd.DataFrame,
    *,
    by: str = MODEL,
    metrics: Sequence[tuple[str, str]] = tuple(SHOWN),
    page: int = 1,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw mean scores over datasets with their bootstrap intervals, by model or by channel.

    Parameters
    ----------
    scores : DataFrame
        See `mmm_xgen.recovery.study.results.read_scores`.
    by : {"model", "channel"}
        What a row is; models have colours where it is a channel.
    metrics : sequence of (quantity, metric)
        What is drawn, one panel each; ``"value"`` is the metric of a single figure. What is not
        there is left out.
    page : int
        Which forty models, or as many channels as there is room for; 1 or more.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot.

    Raises
    ------
    ConfigError
        If `by` is something else, nothing is there, or there is no such page.

    Examples
    --------
    >>> scores = pd.DataFrame({"dataset": "a", "model": ["ols"] * 4, "seed": range(4),
    ...     "quantity": "roas", "metric": "absolute_error", "channel": "TV",
    ...     "value": [0.1, 0.2, 0.3, 0.4]})
    >>> (axes,) = plot_metrics(scores).axes
    >>> axes.get_title(loc="left"), axes.get_xlabel()
    ('log-ROAS error', 'less is better')
    """
    if by not in (MODEL, "channel"):
        raise ConfigError(f"found {by!r}, allowed: model, channel", path="by")
    wanted = pd.MultiIndex.from_frame(scores[["quantity", "metric"]]).isin(list(metrics))
    rows = scores[wanted & (scores["channel"] != "" if by == "channel" else True)]
    keys = (DATASET, MODEL, *(["channel"] if by == "channel" else []), "quantity", "metric")
    table = aggregate(filled(rows, "scores"), by=keys)
    table = filled(table[table["units"] > 0], "scores")
    table = table.assign(name=row_names(table, by), middle=table["mean"])
    groups = list(table[MODEL].unique()) if by == "channel" else [""]
    table = table.assign(group=table[MODEL] if by == "channel" else "")
    size = max(FEWEST_CHANNELS, MOST_DOTS // len(groups)) if by == "channel" else MOST_ROWS
    names = page_of(list(table["name"].unique()), page, size, f"{by}s")
    pairs = set(zip(table["quantity"], table["metric"], strict=True))
    there = [pair for pair in metrics if pair in pairs]
    with _row_panels(len(there), names, len(groups), figsize) as (figure, panels):
        for axes, (quantity, metric) in zip(panels, there, strict=True):
            chosen = (table["quantity"] == quantity) & (table["metric"] == metric)
            here = table[chosen & table["name"].isin(names.names)]
            _draw_dots(axes, here, names.names, groups)
            axes.set_title(SHOWN.get((quantity, metric), f"{quantity}: {metric}"))
            axes.set_xlabel(_better(quantity, metric))
            _fit_scale(axes, here)
        title = f"Mean scores by {by}, with 94% bootstrap intervals over datasets"
        headed(figure, title, names.note)
        if by == "channel":
            legend_below(figure, _group_entries(groups))
    return figure


def plot_runtime(
    units: pd.DataFrame, *, page: int = 1, figsize: tuple[float, float] | None = None
) -> Figure:
    """Draw seconds, effective sample size, and effective draws a second of all of them, by model.

    Parameters
    ----------
    units : DataFrame
        See `mmm_xgen.recovery.study.results.read_units`; fits that are done count.
    page : int
        Which forty models; 1 or more.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot. Seconds are means over seeds, which add up; effective sample
        sizes are medians over seeds of the smallest of all parameters, with the range of 10 to
        90% of seeds. Models that do not sample have none.

    Raises
    ------
    ConfigError
        If no fit is done, or there is no such page.

    Examples
    --------
    >>> units = pd.DataFrame({"dataset": "a", "model": "ols", "status": "done", "build": 0.1,
    ...     "compile": 0.0, "sample": 0.3, "total": 0.5, "ess_bulk_min": float("nan"),
    ...     "ess_tail_min": float("nan"), "ess_per_second_of_all": float("nan")}, index=[0])
    >>> (axes,) = plot_runtime(units).axes
    >>> [text.get_text() for text in axes.texts]
    ['0.5 s']
    """
    done = filled(units[units["status"] == DONE], "units that are done")
    done = done.assign(name=row_names(done))
    models = page_of(list(done["name"].unique()), page, MOST_ROWS, "models")
    done = done[done["name"].isin(models.names)]
    sizes = [
        ("smallest effective sample size", {"bulk": "ess_bulk_min", "tail": "ess_tail_min"}),
        ("effective draws a second, of all", {"bulk": "ess_per_second_of_all"}),
    ]
    sizes = [(title, use) for title, use in sizes if done[[*use.values()]].notna().any(axis=None)]
    with _row_panels(1 + len(sizes), models, 2 if sizes else 1, figsize) as (figure, panels):
        split = _draw_seconds(panels[0], done, models.names)
        entries = {name: band(TIMES[name]) for name in split}
        for axes, (title, columns) in zip(panels[1:], sizes, strict=True):
            parts = []
            for group, column in columns.items():
                values = done.groupby("name", sort=False)[column]
                found = values.quantile(np.array([0.5, *USUAL])).unstack()
                found.columns = pd.Index(["middle", "lower", "upper"])
                parts.append(found.dropna().reset_index().assign(group=group))
            table = pd.concat(parts, ignore_index=True)
            _draw_dots(axes, table, models.names, ["bulk", "tail"], bars=True)
            axes.set_title(title)
            axes.set_xlabel("median, 10 to 90% of seeds")
            axes.set_xlim(left=0)
            format_numbers(axes, "x")
        if sizes:
            entries |= {
                f"ESS, {name}": each for name, each in _group_entries(["bulk", "tail"]).items()
            }
        headed(figure, "What fits cost", models.note)
        legend_below(figure, entries)
    return figure


def row_names(table: pd.DataFrame, of: str = MODEL) -> pd.Series:
    """Name of the row of each entry, with its dataset if there are several."""
    names = table[of].astype(str)
    names = names.map(model_text if of == MODEL else plain_texts(names))
    if table[DATASET].nunique() < 2:
        return names
    return table[DATASET].astype(str).map(model_text) + BETWEEN + names


def filled(table: pd.DataFrame, what: str) -> pd.DataFrame:
    """Return the table if it has a row."""
    if table.empty:
        raise ConfigError(f"found no {what}, allowed: one row at least")
    return table


@contextmanager
def _row_panels(
    n: int, page: Page, groups: int, figsize: tuple[float, float] | None
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Panels, three beside each other, whose rows are the same."""
    columns = 2 if n == 4 else min(n, 3)
    lines = -(-n // columns)
    height = 1.0 + len(page.names) * max(ROW, 0.13 * groups)
    with blank(figsize, 1.0 + lines * height, max(0.6, columns / 3) * WIDTH) as figure:
        panels = [figure.add_subplot(lines, columns, place + 1) for place in range(n)]
        for place, axes in enumerate(panels):
            name_rows(axes, page.names)
            axes.tick_params(axis="y", labelleft=place % columns == 0)
        yield figure, panels


def _draw_dots(
    axes: Axes, table: pd.DataFrame, names: list[str], groups: Sequence[str], *, bars: bool = False
) -> None:
    """Draw a dot with its interval for each name and group, groups of a name side by side."""
    step = 0.75 / len(groups)
    for place, group in enumerate(groups):
        here = table[(table["group"] == group) & table["name"].isin(names)]
        here = here[np.isfinite(here["middle"])]
        offset = (place - (len(groups) - 1) / 2) * step
        rows = np.array([names.index(name) for name in here["name"]]) + offset
        colour, marker = _look(place)
        low, high = here["lower"].fillna(here["middle"]), here["upper"].fillna(here["middle"])
        if bars:
            axes.barh(rows, here["middle"], height=0.9 * step, color=colour, alpha=OPAQUE)
        axes.hlines(rows, low, high, color=colour, linewidth=1.3)
        label = group or "_dots"
        marks(axes, here["middle"], rows, colour, marker=marker, size=5, label=label)
    # Thin lines keep the rows of neighbours apart.
    for edge in range(1, len(names) if len(groups) > 1 else 0):
        axes.axhline(edge - 0.5, color="#E8E8E8", linewidth=0.8, zorder=0)


def _look(place: int) -> tuple[str, str]:
    return CHANNEL_COLOURS[place % len(CHANNEL_COLOURS)], MARKERS[place % len(MARKERS)]


def _group_entries(groups: Sequence[str]) -> dict[str, Artist]:
    return {model_text(name): dot(*_look(place)) for place, name in enumerate(groups)}


def _better(quantity: str, metric: str) -> str:
    """Say if more or less of a score is better."""
    if metric not in METRICS:
        return "more is better" if quantity.endswith(HIGHER_IS_BETTER) else "less is better"
    record = METRICS[metric]
    words = {"lower": "less is better", "higher": "more is better"}
    return words.get(record.orientation, f"best: {record.perfect:g}")


def _fit_scale(axes: Axes, table: pd.DataFrame) -> None:
    """Use a log scale where values differ much, else start at 0 if no value is negative."""
    values = table["middle"].to_numpy(dtype=float)
    ends = np.concatenate([values, table["lower"].dropna(), table["upper"].dropna()])
    if len(ends) and ends.min() > 0 and values.max() > WIDE * values.min():
        # Cut an interval that reaches close to 0: it would squeeze all others.
        log_axis(axes, "x", (max(ends.min(), DEEPEST * values.min()) / 1.2, ends.max() * 1.2))
        return
    if len(ends) and ends.min() >= 0:
        axes.set_xlim(left=0, right=1.08 * ends.max() or 1.0)
    format_numbers(axes, "x")


def _draw_seconds(axes: Axes, done: pd.DataFrame, names: list[str]) -> list[str]:
    """Draw stacked bars of mean seconds; return the names of their parts."""
    parts = [name for name in TIMES if name in done]
    means = done.groupby("name", sort=False)[[*parts, "total"]].mean().loc[names]
    spans = means[parts].fillna(0.0)
    total = means["total"].fillna(spans.sum(axis=1))
    spans = spans.assign(rest=(total - spans.sum(axis=1)).clip(lower=0))
    left = np.zeros(len(names))
    for name in map(str, spans):
        axes.barh(
            range(len(names)), spans[name], left=left, height=0.7, color=TIMES[name], label=name
        )
        left += spans[name].to_numpy()
    write_beside(axes, left, [f"{amount(end)} s" for end in left])
    axes.set_xlim(0, 1.25 * left.max() or 1.0)
    axes.set_title("seconds")
    axes.set_xlabel("mean over seeds")
    format_numbers(axes, "x")
    return list(map(str, spans))
