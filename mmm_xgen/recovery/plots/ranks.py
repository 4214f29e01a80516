"""Plots of simulation-based calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmm_xgen.errors import ConfigError
from mmm_xgen.plots.panels import DASHED, WIDTH, band, blank, headed, legend_below, line, page_of
from mmm_xgen.recovery.plots.panels import (
    BAND,
    BETWEEN,
    ESTIMATE,
    MISSED,
    OPAQUE,
    TRUTH,
    model_text,
)
from mmm_xgen.recovery.scoring.calibration import EXPECTED, FINE, Uniformity, uniformity

PAIRS = 8
# Bins that the cells of ranks fall into evenly.
BINS = (20, 10, 5, 4, 2)
FEWEST = 2 * EXPECTED
CAVEAT = "to be uniform where truths are drawn from the model's own prior"


def plot_ranks(
    ranks: Mapping[str, Sequence[float] | Any],
    *,
    probability: float = 0.94,
    page: int = 1,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw ranks of the truth among draws, as a histogram and as departure from uniform.

    Parameters
    ----------
    ranks : mapping of str to array, dims (fit,)
        Values of the metric ``rank`` by the name of what they are of, one per fit; see
        `independent_ranks`.
    probability : float
        Of the bands: for each bar on its own, and for the whole curve at once.
    page : int
        Which eight of them; 1 or more.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot. Bars outside, or a curve that leaves its band, say that truths
        drawn from the model's own prior are not where its draws are; the title of the curve
        says in which way.

    Raises
    ------
    ConfigError
        If there are none, fewer than 10 of one, or there is no such page.

    Examples
    --------
    >>> even = (np.arange(100) + 0.5) / 100
    >>> figure = plot_ranks({"sound": even, "high": even**2})
    >>> [axes.get_title(loc="left") for axes in figure.axes[1::2]]
    ['none detected (p = 1)', 'estimates too high (p < 0.001)']
    """
    if not ranks:
        raise ConfigError("found no ranks, allowed: at least one name with its ranks", path="ranks")
    chosen = page_of(list(ranks), page, PAIRS, "ranks")
    n = len(chosen.names)
    with blank(figsize, 1.4 + 1.75 * n, 0.85 * WIDTH) as figure:
        grid = figure.subplots(n, 2, squeeze=False)
        for (left, right), name in zip(grid, chosen.names, strict=True):
            values = np.asarray(ranks[name], dtype=float).ravel()
            values = values[np.isfinite(values)]
            found = uniformity(values, probability=probability)
            _draw_histogram(left, values, probability)
            left.set_title(f"{model_text(name)}, {found.n} fits")
            _draw_difference(right, found)
        for axes in grid[-1]:
            axes.set_xlabel("rank of the truth among draws")
        headed(figure, "Ranks of the truth", CAVEAT, chosen.note)
        entries = {
            "ranks": line(ESTIMATE),
            "uniform": line(TRUTH, dashed=True, width=1.1),
            f"{probability:.0%} of uniform ranks: each bar, the whole curve": band(BAND, OPAQUE),
        }
        legend_below(figure, entries)
    return figure


def independent_ranks(
    scores: pd.DataFrame, quantity: str = "roas", *, fewest: int = FEWEST
) -> dict[str, np.ndarray[Any, Any]]:
    """Choose one rank from each fit of a model, since ranks of one fit's channels are dependent.

    Parameters
    ----------
    scores : DataFrame
        See `mmm_xgen.recovery.study.results.read_scores`.
    quantity : str
        Of which ranks are taken; of the channels in turn, each seed the next one.
    fewest : int
        Models with fewer ranks are left out.

    Returns
    -------
    dict of str to array, dims (fit,)
        By model, with the dataset's name if there are several.

    Examples
    --------
    >>> scores = pd.DataFrame({"dataset": "a", "model": "ols", "seed": [1, 1, 2, 2],
    ...     "quantity": "roas", "metric": "rank", "channel": ["TV", "Radio"] * 2, "geo": "",
    ...     "label": "", "value": [0.1, 0.2, 0.3, 0.4]})
    >>> independent_ranks(scores, fewest=2)["ols"].tolist()
    [0.2, 0.3]
    """
    of_ranks = (scores["quantity"] == quantity) & (scores["metric"] == "rank")
    rows = scores[of_ranks & scores["value"].notna()]
    several = rows["dataset"].nunique() > 1
    found = {}
    for (dataset, model), group in rows.groupby(["dataset", "model"], sort=False):
        ranks = [
            fit.iloc[seed % len(fit)]
            for seed in sorted(group["seed"].unique())
            if len(fit := group.loc[group["seed"] == seed, "value"])
        ]
        if len(ranks) >= fewest:
            found[f"{dataset}{BETWEEN}{model}" if several else str(model)] = np.array(ranks)
    return found


def _draw_histogram(axes: Axes, values: np.ndarray[Any, Any], probability: float) -> None:
    from scipy.stats import binom

    n = len(values)
    bins = next(count for count in BINS if count <= max(2, n // EXPECTED))
    tail = (1 - probability) / 2
    low, high = binom.ppf([tail, 1 - tail], n, 1 / bins)
    counts, edges = np.histogram(values, bins=bins, range=(0, 1))
    axes.axhspan(low, high, color=BAND, alpha=OPAQUE, linewidth=0)
    axes.axhline(n / bins, color=TRUTH, linestyle=DASHED, linewidth=1.1)
    axes.stairs(counts, edges, color=ESTIMATE, linewidth=2, label="ranks")
    axes.set_ylim(0, 1.15 * max(counts.max(), high))
    axes.set_xlim(0, 1)
    axes.set_ylabel("fits")


def _draw_difference(axes: Axes, found: Uniformity) -> None:
    axes.fill_between(
        found.points, found.lower, found.upper, color=BAND, alpha=OPAQUE, linewidth=0, step="mid"
    )
    axes.plot(found.points, found.difference, color=ESTIMATE, drawstyle="steps-mid")
    axes.axhline(0, color=TRUTH, linestyle=DASHED, linewidth=1.1)
    axes.set_xlim(0, 1)
    p = "p < 0.001" if found.ecdf_p < 0.001 else f"p = {found.ecdf_p:.2g}"
    colour = TRUTH if found.miscalibration == FINE else MISSED
    axes.set_title(f"{found.miscalibration} ({p})", color=colour)
    axes.set_ylabel("ECDF - uniform")
