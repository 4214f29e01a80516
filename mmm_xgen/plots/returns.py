"""Plots of true returns, average and marginal, by channel and by geo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmm_xgen.dataset import in_memory
from mmm_xgen.formatting.amounts import ratio
from mmm_xgen.formatting.words import count, first_to_last
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.panels import (
    DASHED,
    MOST_ROWS,
    ROW,
    band,
    blank,
    canvas,
    dot,
    headed,
    legend_below,
    line,
    marks,
    name_rows,
    page_of,
    span,
)
from mmm_xgen.plots.selection import by_size, check_panel, currency_of, one_of, texts_of
from mmm_xgen.plots.style import CHANNEL_COLOURS, INK, RISK
from mmm_xgen.plots.tables import doublings_of, draw_ratios, scale_beside, write_column
from mmm_xgen.truth.returns.estimands import mroas, roas
from mmm_xgen.truth.returns.windows import windows_of
from mmm_xgen.truth.what_if.counterfactual import Window

WAYS = ("channel", "geo")
AVERAGE, MARGINAL = CHANNEL_COLOURS[4], CHANNEL_COLOURS[0]
BREAK_EVEN = "break-even"
# More columns are too narrow for their names.
MOST_COLUMNS = 40
ALL_GEOS = "all geos"
# Inches of height for each letter of the names of columns.
NAMES = 0.06
# Largest ratio of two returns that are written as the same number.
ALIKE = 1.01
# Rounding may make a return of 1 a little smaller.
EARNED = 1 - 1e-9


@in_memory
def plot_roas(
    ds: xr.Dataset,
    *,
    by: Literal["channel", "geo"] = "channel",
    window: Window = None,
    page: int = 1,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw the true return on ad spend beside the marginal return.

    By channel: a bar for the return (ROAS) and a diamond for the marginal return (mROAS). By
    geo: a cell for each geo and channel, blue where revenue is above the cost, red where it is
    below; the first row is of all geos together.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        One generated Dataset. One that was aggregated has no marginal returns.
    by : {"channel", "geo"}, default "channel"
        What the rows are.
    window : str, slice, pair or date, optional
        Dates, as for `mmm_xgen.truth.roas`; all by default.
    page : int, default 1
        Which 40 of the rows.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Channels by size of contribution, the largest first.

    Raises
    ------
    ConfigError
        If there is no such way, window or page.
    SchemaError
        If a variable is not there, or the Dataset has a further dim.

    Examples
    --------
    >>> import mmm_xgen
    >>> figure = plot_roas(mmm_xgen.generate_mmm_dataset())
    >>> [axes] = figure.axes
    >>> [round(float(bar.get_width()), 3) for bar in axes.patches]
    [2.4, 3.0, 1.5]
    """
    one_of(by, WAYS, "by")
    check_panel(ds, "spend", "channel_contribution", "revenue_per_kpi")
    if by == "geo":
        return _by_geo(ds, window, page, figsize)
    chosen = page_of(by_size(ds), page, MOST_ROWS, "channels")
    average = roas(ds, window=window).sel(channel=chosen.names).to_numpy()
    marginal = np.full(average.shape, np.nan)
    if has_curves(ds):
        marginal = mroas(ds, window=window).sel(channel=chosen.names).to_numpy()
    with canvas(None, figsize, height=1.6 + 1.1 * ROW * len(chosen.names)) as (figure, axes):
        texts = texts_of(ds, "channel")
        _draw_returns(axes, [texts[name] for name in chosen.names], average, marginal)
        currency = currency_of(ds)
        axes.set_xlabel(f"revenue ({currency}) per {currency} of spend")
        headed(figure, _verdict(average, marginal), _span(ds, window), chosen.note)
        _explain(figure, has_marginal=bool(np.isfinite(marginal).any()))
    return figure


def has_curves(ds: xr.Dataset) -> bool:
    """Tell if a dataset has response curves; an aggregated one has none."""
    return "effect" in ds and bool(np.isfinite(ds["effect"]).all())


def _draw_returns(axes: Axes, names: list[str], average: FloatArray, marginal: FloatArray) -> None:
    """Draw returns as bars, marginal returns as diamonds, and write both beside them."""
    rows = np.arange(len(names))
    axes.barh(rows, np.nan_to_num(average), color=AVERAGE, height=0.62)
    # The marginal return of a root curve is infinite at zero spend.
    marks(axes, marginal, rows, MARGINAL, marker="D", label="mROAS", whole=True)
    axes.axvline(1.0, color=RISK, linewidth=1.4, linestyle=DASHED)
    lowest, highest = span(average, marginal)
    axes.set_xlim(1.06 * lowest, max(1.15, 1.06 * highest))
    name_rows(axes, names)
    after = write_column(axes, "ROAS", [_number(value) for value in average])
    if np.isfinite(marginal).any():
        texts = [_number(value) if np.isfinite(value) else "" for value in marginal]
        write_column(axes, "mROAS", texts, indent=max(after, 62.0))


def _number(value: float) -> str:
    return ratio(value) if np.isfinite(value) else "no spend"


def _explain(figure: Figure, *, has_marginal: bool) -> None:
    entries = {"ROAS: return on all spend": band(AVERAGE)}
    if has_marginal:
        entries["mROAS: return on the next unit"] = dot(MARGINAL, "D")
    entries[f"{BREAK_EVEN}: revenue equals cost"] = line(RISK, dashed=True)
    legend_below(figure, entries)


def _verdict(average: FloatArray, marginal: FloatArray) -> str:
    """Count the channels that earn their cost, on all spend and on the next unit."""
    spent = np.isfinite(average)
    if not spent.any():
        return "No return on ad spend: there is no spend"
    earning = int((average[spent] >= EARNED).sum())
    words = f"{earning} of {count(int(spent.sum()), 'channel')} earn their cost back"
    known = np.isfinite(marginal)
    if known.any():
        further = int((marginal[known] >= EARNED).sum())
        words += f"; one more unit of spend would in {further}"
    return words


def _spread(ds: xr.Dataset, window: Window) -> str:
    """Name the channel whose return differs most between geos."""
    geos = [str(name) for name in ds["geo"].to_numpy()]
    table = roas(ds, by=("geo", "channel"), window=window).transpose("geo", "channel").to_numpy()
    known = np.isfinite(table) & (table > 0)
    low = np.where(known, table, np.inf).min(axis=0)
    high = np.where(known, table, 0.0).max(axis=0)
    spread = np.where(known.any(axis=0), high / low, 0.0)
    widest = int(np.argmax(spread))
    if spread[widest] == 0:
        return "No return on ad spend: there is no spend, or no effect"
    if len(geos) == 1:
        return f"Return on ad spend in {texts_of(ds, 'geo')[geos[0]]}"
    if spread[widest] < ALIKE:
        return "Returns are alike in all geos"
    name = texts_of(ds, "channel")[str(ds["channel"].to_numpy()[widest])]
    least, most = ratio(low[widest]), ratio(high[widest])
    return f"Returns differ most for {name}: from {least} to {most} by geo"


def _span(ds: xr.Dataset, window: Window) -> str:
    return first_to_last(windows_of(ds, window).describe().split(" to "))


def _by_geo(
    ds: xr.Dataset, window: Window, page: int, figsize: tuple[float, float] | None
) -> Figure:
    """Draw tables of the returns, geos down and channels across."""
    channels = by_size(ds)[:MOST_COLUMNS]
    geos = [str(name) for name in ds["geo"].to_numpy()]
    chosen = page_of(geos, page, MOST_ROWS, "geos")
    whole = [ALL_GEOS] if len(geos) > 1 else []
    tables = {"ROAS: return on all spend": _table(roas, ds, window, channels, chosen.names)}
    if has_curves(ds):
        title = "mROAS: return on the next unit of spend"
        tables[title] = _table(mroas, ds, window, channels, chosen.names)
    tables = {title: table if whole else table[1:] for title, table in tables.items()}
    texts, own = texts_of(ds, "geo"), texts_of(ds, "channel")
    rows = [*whole, *(texts[name] for name in chosen.names)]
    across = [own[name] for name in channels]
    height = 1.9 + ROW * max(len(rows), 4) + NAMES * max(map(len, across))
    with blank(figsize, height) as figure:
        panels = figure.subplots(1, len(tables), squeeze=False)[0]
        doublings = doublings_of(*tables.values())
        for axes, (title, table) in zip(panels, tables.items(), strict=True):
            mesh = draw_ratios(axes, table, rows, across, doublings)
            axes.set_title(title)
            if whole:
                axes.axhline(1.0, color=INK, linewidth=1.2)
        for axes in panels[1:]:
            axes.set_yticklabels([])
        scale_beside(figure, mesh, list(panels), "revenue by spend (grey: none)")
        left_out = ds.sizes["channel"] - len(channels)
        more = f"the {len(channels)} largest of {ds.sizes['channel']} channels" if left_out else ""
        headed(figure, _spread(ds, window), _span(ds, window), chosen.note, more)
    return figure


def _table(
    function: Callable[..., xr.DataArray],
    ds: xr.Dataset,
    window: Window,
    channels: list[str],
    geos: list[str],
) -> FloatArray:
    """Returns by geo and channel, below those of all geos together, dims (row, channel)."""
    whole = function(ds, window=window).sel(channel=channels).to_numpy()
    each = function(ds, by=("geo", "channel"), window=window)
    return np.vstack([whole, each.sel(geo=geos, channel=channels).transpose("geo", "channel")])
