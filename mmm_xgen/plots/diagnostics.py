"""Plots of correlations and outliers."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from mmm_xgen.dataset import in_memory
from mmm_xgen.formatting.amounts import correlation
from mmm_xgen.formatting.words import count
from mmm_xgen.frames.panel import Panel
from mmm_xgen.frames.reading import read
from mmm_xgen.frames.statistics import median_over_dates
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.panels import (
    MOST_PANELS,
    WIDTH,
    canvas,
    dot,
    headed,
    legend_below,
    line,
    new_panels,
    page_of,
)
from mmm_xgen.plots.selection import check_panel, span_of
from mmm_xgen.plots.style import FAINT, RISK, format_numbers, plain_texts
from mmm_xgen.plots.tables import draw_cells
from mmm_xgen.plots.timelines import (
    DOT_EDGE,
    date_rows,
    draw_spread,
    is_switch,
    role_names,
    spread_entries,
    switches,
)

OBSERVED = ("y", "spend", "control_value")
# Most rows and columns of the table of correlations.
MOST_VARIABLES = 45
MOST_NUMBERED = 16
# Smallest correlation that the title names.
ALIKE = 0.3


@in_memory
def plot_correlation(
    ds: xr.Dataset, *, ax: Axes | None = None, figsize: tuple[float, float] | None = None
) -> Figure:
    """Draw how sales, spends and controls correlate within geos.

    The mean of each geo is subtracted first, as a model with an intercept per geo does. Otherwise
    differences in the size of geos would correlate all variables.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        With ``y``, ``spend`` and, if there are any, ``control_value``.
    ax : Axes, optional
        Where to draw; a new figure by default.
    figsize : tuple of float, optional
        Width and height in inches of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        At most 45 variables, those with the strongest correlations. A dash stands for variables
        that never vary.

    Raises
    ------
    SchemaError
        If a variable is not there, or the Dataset has a further dim.
    ConfigError
        If both `ax` and `figsize` are given.

    Examples
    --------
    >>> import mmm_xgen
    >>> figure = plot_correlation(mmm_xgen.generate_mmm_dataset())
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['Seasonal', 'Trend', 'On-Off', 'Price', 'Promotion']
    """
    check_panel(ds, *(name for name in OBSERVED if name in ds or name != "control_value"))
    panel = read(ds)
    with np.errstate(all="ignore"):
        everything = panel.correlation
    kept = _most_correlated(everything, panel.roles)
    values, roles = everything[np.ix_(kept, kept)], panel.roles[kept]
    names = role_names(panel.names, panel.roles.tolist())
    labels = [names[place] for place in kept]
    if ax is None and figsize is None:
        figsize = (min(WIDTH, 4.0 + 0.75 * len(kept)), max(3.4, 2.2 + 0.2 * len(kept)))
    with canvas(ax, figsize) as (figure, axes):
        axes.set_label("correlation")
        mesh = _squares(axes, values, roles, labels)
        scale = figure.colorbar(mesh, ax=axes, shrink=0.7, aspect=25, pad=0.02)
        scale.outline.set_visible(False)
        scale.set_label("correlation within geos")
        axes.set_title(_strongest(values, labels))
        left_out = len(panel.names) - len(kept)
        if left_out:
            axes.set_xlabel(f"{left_out} variables that correlate less are left out")
    return figure


def _most_correlated(correlation: FloatArray, roles: np.ndarray) -> np.ndarray:
    """Find the variables to show, in their order; y is always shown."""
    size = np.abs(np.nan_to_num(correlation - np.eye(len(correlation)))).max(axis=1)
    size[roles == "y"] = np.inf
    return np.sort(np.argsort(-size, kind="stable")[:MOST_VARIABLES])


def _squares(axes: Axes, values: FloatArray, roles: np.ndarray, labels: list[str]) -> QuadMesh:
    """Triangle below the diagonal, from the second row and to the last column but one."""
    lower = np.where(np.tri(len(values), dtype=bool)[:-1], values[1:, :], np.nan)[:, :-1]
    few = len(labels) <= MOST_NUMBERED
    texts = [[correlation(value) for value in row] for row in lower] if few else None
    ends = (-1.0, 1.0)
    mesh = draw_cells(
        axes, lower, labels[1:], labels[:-1], texts=texts, colours="PuOr_r", ends=ends
    )
    # Between sales, channels and controls.
    for place in np.flatnonzero(roles[1:] != roles[:-1]):
        corner = [(0, place), (place + 1, place), (place + 1, len(lower))]
        axes.plot(*zip(*corner, strict=True), color=FAINT, linewidth=0.8)
    for row, column in np.argwhere((np.tri(len(lower)) > 0) & np.isnan(lower)) + 0.5:
        axes.text(column, row, "-", ha="center", va="center", color=FAINT)
    return mesh


def _strongest(values: FloatArray, labels: list[str]) -> str:
    """Describe the most correlated pair of channels and controls."""
    size = np.abs(np.nan_to_num(np.tril(values, -1)))
    size[0] = size[:, 0] = 0.0
    if not size.any():
        return "What moves together"
    row, column = np.unravel_index(int(size.argmax()), size.shape)
    value = values[row, column]
    if abs(value) < ALIKE:
        return f"No channel or control moves much like another (at most {correlation(abs(value))})"
    how = "most alike" if value > 0 else "most against each other"
    return f"{labels[column]} and {labels[row]} move {how} ({correlation(value)})"


# --- outliers


@in_memory
def plot_outliers(
    ds: xr.Dataset, *, page: int = 1, figsize: tuple[float, float] | None = None
) -> Figure:
    """Draw each series with its outliers marked, as `mmm_xgen.check_data_quality` finds them.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        With ``y``, ``spend`` and, if there are any, ``control_value``.
    page : int
        Page of 12 variables, those with the most outliers first.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        With several geos, sales and spend are multiples of the geo's usual value, which is its
        median without zeros. The line is the median over geos, the area holds 80% of them.

    Raises
    ------
    SchemaError
        If a variable is not there, or the Dataset has a further dim.
    ConfigError
        If there is no such page.

    Examples
    --------
    >>> import mmm_xgen
    >>> plot_outliers(mmm_xgen.generate_mmm_dataset()).get_suptitle().splitlines()[0]
    'No outliers: nothing is far from the median of its geo'
    """
    check_panel(ds, *(name for name in OBSERVED if name in ds or name != "control_value"))
    panel = read(ds)
    with np.errstate(all="ignore"):
        marked, distance = panel.outliers, panel.isolation
    numbers = marked.sum(axis=(0, 1))
    order = np.argsort(-numbers, kind="stable")
    keys = [str(place) for place in order]
    chosen = page_of(keys, page, MOST_PANELS, "variables")
    with new_panels(len(chosen.names), figsize=figsize, height=2.1) as (figure, axes):
        for one, key in zip(axes, chosen.names, strict=True):
            place = int(key)
            _draw_series(one, panel, place, marked[..., place], distance[..., place])
        geos = count(len(panel.geo_labels), "geo")
        headed(figure, _outlier_words(numbers), geos, span_of(ds), chosen.note)
        legend_below(figure, _outlier_legend(len(panel.geo_labels) > 1))
    return figure


def _outlier_words(numbers: np.ndarray) -> str:
    if not numbers.any():
        return "No outliers: nothing is far from the median of its geo"
    found = count(int(numbers.sum()), "outlier")
    return f"{found} in {int((numbers > 0).sum())} of {count(len(numbers), 'variable')}"


def _outlier_legend(several: bool) -> dict[str, Artist]:
    mark = {"outlier: far from the median of its geo": dot(RISK)}
    if not several:
        return {"value": line(DOT_EDGE, width=0.9), **mark}
    return {**spread_entries(0.9), **mark}


def _draw_series(
    axes: Axes, panel: Panel, place: int, marked: np.ndarray, distance: FloatArray
) -> None:
    cells = panel.cube[..., place]
    dates = panel.unique_dates
    name = role_names(panel.names, panel.roles.tolist())[place]
    if cells.shape[1] > 1 and panel.roles[place] != "control":
        cells = _of_usual(cells)
        axes.set_ylabel("x usual")
    axes.set_label(name)
    rows, geos = np.nonzero(marked)
    heights = cells[rows, geos]
    if panel.roles[place] == "control" and is_switch(cells):
        heights = switches(axes, dates, cells)[rows]
    else:
        draw_spread(axes, dates, cells, width=0.9)
    axes.plot(dates[rows], heights, "o", color=RISK, markersize=4, alpha=0.8)
    axes.set_title(f"{name}: {_number_of(len(rows))}", fontsize=10)
    if len(rows):
        _name_farthest(axes, panel, marked, distance)
    format_numbers(axes, "y")
    date_rows([axes])


def _of_usual(cells: FloatArray) -> FloatArray:
    """Multiples of the median of each geo's values other than 0."""
    usual = median_over_dates(np.where(cells == 0, np.nan, cells)[..., None])[:, 0]
    return np.asarray(cells / np.where(usual > 0, usual, 1.0))


def _number_of(number: int) -> str:
    return count(number, "outlier") if number else "none"


def _name_farthest(axes: Axes, panel: Panel, marked: np.ndarray, distance: FloatArray) -> None:
    far = np.where(marked, np.nan_to_num(distance, posinf=np.finfo(float).max), -np.inf)
    row, geo = np.unravel_index(int(far.argmax()), far.shape)
    texts = plain_texts(map(str, panel.geo_labels))
    words = [texts[str(panel.geo_labels[geo])]] if len(panel.geo_labels) > 1 else []
    words.append(str(panel.unique_dates[row])[:10])
    axes.set_xlabel(f"farthest: {' '.join(words)}", loc="right", color=RISK, fontsize=8)
