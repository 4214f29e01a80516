"""Plot of estimated against true ROAS of a whole study."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmm_xgen.plots.panels import (
    DASHED,
    MOST_PANELS,
    band,
    dot,
    headed,
    legend_below,
    line,
    log_axis,
    marks,
    new_panels,
    page_of,
)
from mmm_xgen.plots.style import FAINT
from mmm_xgen.recovery.plots.panels import BAND, BETWEEN, ESTIMATE, MISSED, OPAQUE, TRUTH
from mmm_xgen.recovery.plots.studies import filled, row_names
from mmm_xgen.recovery.scoring.scales import FLOOR

# Most intervals in one panel.
MOST_BARS = 250
RECOVERED = 0.25
Ends: TypeAlias = tuple[float, float]


def plot_roas_recovery(
    returns: pd.DataFrame, *, page: int = 1, figsize: tuple[float, float] | None = None
) -> Figure:
    """Draw estimated against true ROAS of every channel and fit, one panel a model.

    Parameters
    ----------
    returns : DataFrame, one row a fit and channel
        ``dataset``, ``model``, ``truth``, ``median``, ``lower``, ``upper``, see
        `mmm_xgen.recovery.plots.read_returns`; currency per currency.
    page : int
        Which twelve models; 1 or more.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot. Both axes are logarithmic; estimates below the axis, those at or
        below 0 included, stand on it as triangles. Intervals are left out where there are many.

    Raises
    ------
    ConfigError
        If there is no row with a true value, or no such page.

    Examples
    --------
    >>> returns = pd.DataFrame({"dataset": "a", "model": "ols", "truth": [1.0, 2.0],
    ...     "median": [1.1, 1.9], "lower": [0.8, 1.5], "upper": [1.5, 2.6]})
    >>> (axes,) = plot_roas_recovery(returns).axes
    >>> axes.get_xlabel(), axes.get_title(loc="left")
    ('true ROAS', 'ols')
    """
    rows = filled(returns[returns["truth"] > 0], "returns")
    named = rows.assign(name=row_names(rows))
    models = page_of(list(named["name"].unique()), page, MOST_PANELS, "models")
    named = named[named["name"].isin(models.names)]
    truths = (0.8 * named["truth"].min(), 1.25 * named["truth"].max())
    # One window for all models, which a few extreme estimates do not widen.
    middle = named["median"][named["median"] > 0]
    ends = np.quantile(middle, [0.01, 0.99]) if len(middle) else np.array(truths)
    low = max(FLOOR * truths[0], min(truths[0], 0.8 * ends[0]))
    estimates = (low, max(truths[1], 1.25 * ends[1]))
    with new_panels(len(models.names), figsize=figsize, height=3.3) as (figure, panels):
        for axes, name in zip(panels, models.names, strict=True):
            _draw_scatter(axes, named[named["name"] == name], truths, estimates)
            axes.set_title(name.replace(BETWEEN, "\n"))
        headed(figure, "ROAS of every channel and fit: estimated against true", models.note)
        entries = {
            "median": dot(ESTIMATE),
            "outside of the axis": dot(MISSED, "v"),
            "equal": line(TRUTH, dashed=True, width=1.1),
            f"within {RECOVERED:.0%}": band(BAND, OPAQUE),
        }
        legend_below(figure, entries)
    return figure


def _draw_scatter(axes: Axes, rows: pd.DataFrame, truths: Ends, estimates: Ends) -> None:
    low, high = estimates
    truth, middle = rows["truth"].to_numpy(), rows["median"].to_numpy()
    ends = np.array([truths[0], truths[1]])
    axes.fill_between(
        ends, ends * (1 - RECOVERED), ends * (1 + RECOVERED), color=BAND, alpha=OPAQUE, linewidth=0
    )
    axes.plot(ends, ends, color=TRUTH, linestyle=DASHED, linewidth=1.1)
    if len(rows) <= MOST_BARS:
        least, most = (rows[name].clip(low, high) for name in ("lower", "upper"))
        axes.vlines(truth, least, most, color=FAINT, linewidth=0.8, alpha=OPAQUE)
    inside = (middle >= low) & (middle <= high)
    size = 4.5 if len(rows) <= MOST_BARS else 2.5
    marks(axes, truth[inside], middle[inside], ESTIMATE, size=size, label="median")
    for out, at, marker in ((middle < low, low, "v"), (middle > high, high, "^")):
        marks(axes, truth[out], at, MISSED, marker=marker, size=5, whole=True)
    log_axis(axes, "x", truths)
    log_axis(axes, "y", estimates)
    axes.set_xlabel("true ROAS")
    axes.set_ylabel("estimated ROAS")
