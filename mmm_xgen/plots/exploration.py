"""Plots that explore sales and spend: distributions, scatter, lags and pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import AlignmentError, ConfigError, nearest
from mmm_xgen.formatting.amounts import correlation, share, short_number
from mmm_xgen.formatting.words import count
from mmm_xgen.frames.statistics import within_geo_correlation
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.panels import (
    MOST_PANELS,
    MOST_ROWS,
    ROW,
    blank,
    canvas,
    headed,
    label_edges,
    log_axis,
    name_rows,
    new_panels,
    page_of,
)
from mmm_xgen.plots.selection import (
    at_geo,
    check_panel,
    chosen_channels,
    currency_of,
    group_channels,
    kpi_of,
    per_period,
    period_of,
    span_of,
    texts_of,
    where,
)
from mmm_xgen.plots.style import OTHER_COLOUR, format_numbers, plain_texts
from mmm_xgen.plots.tables import draw_cells, write_column
from mmm_xgen.plots.timelines import DOT, DOT_EDGE, SALES, place_of

SCATTER: dict[str, Any] = {
    "s": 12,
    "color": DOT,
    "edgecolor": DOT_EDGE,
    "linewidth": 0.4,
    "alpha": 0.8,
}
# Dates and different values of spend that a smooth line needs.
FEWEST_DATES, FEWEST_LEVELS = 12, 5
# Numbers are written in cells of a table with at most that many lags.
MOST_NUMBERED = 26
MOST_PAIRED = 6
# Values that the density of a violin is estimated from.
POINTS = 1001
# Inches of height of a violin.
VIOLIN = 0.5


@in_memory
def plot_spend_distribution(
    ds: xr.Dataset,
    *,
    geo: str | None = None,
    channels: Sequence[str] | None = None,
    page: int = 1,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw the distribution of the spend of each channel, over the periods with any spend.

    A violin is a density of the logarithm of spend by period and geo; its dashed line is the
    median, the dotted ones are the quartiles.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        With ``spend``, in currency per period; nothing else is needed.
    geo : str, optional
        One geo; all by default, each period of each geo counting once.
    channels : sequence of str, optional
        Which channels; all by default.
    page : int
        Which forty channels, the largest first; 1 or more.
    ax : Axes, optional
        Where to draw; a new figure by default.
    figsize : tuple of float, optional
        Width and height in inches of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot.

    Raises
    ------
    ConfigError
        If there is no such page, or `channels` is empty.
    AlignmentError
        If there is no such geo or channel.
    SchemaError
        If there is no spend, or the Dataset has a further dim.

    Examples
    --------
    >>> import mmm_xgen
    >>> figure = plot_spend_distribution(mmm_xgen.generate_mmm_dataset())
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['Seasonal', 'On-Off', 'Trend']
    """
    import seaborn as sns

    check_panel(ds, "spend")
    chosen = page_of(chosen_channels(ds, channels), page, MOST_ROWS, "channels")
    texts, colour = texts_of(ds, "channel"), group_channels(ds).colour
    spend = at_geo(ds, geo)["spend"].sel(channel=chosen.names).transpose("channel", ...)
    values = spend.to_numpy().reshape(len(chosen.names), -1)
    spent = [_at_most(row[row > 0]) for row in values]
    height = 1.4 + VIOLIN * len(chosen.names)
    with canvas(ax, figsize, height=height) as (figure, axes):
        rows = np.repeat(np.arange(len(spent)), list(map(len, spent)))
        if rows.size:
            every = np.concatenate(spent)
            ends = (0.8 * every.min(), 1.25 * every.max())
            # A single value would leave the axis without a width.
            log_axis(axes, "x", ends)
            sns.violinplot(
                x=every,
                y=rows,
                hue=rows,
                order=range(len(values)),
                palette=dict(enumerate(colour.get(name, OTHER_COLOUR) for name in chosen.names)),
                orient="h",
                log_scale=(True, False),
                density_norm="width",
                cut=0,
                inner="quart",
                inner_kws={"color": "white", "linewidth": 1.2},
                saturation=1,
                linewidth=0.9,
                legend=False,
                ax=axes,
            )
            # Seaborn has replaced its ticks.
            log_axis(axes, "x", ends)
        name_rows(axes, [texts[name] for name in chosen.names])
        axes.set_ylabel("")
        axes.set_xlabel(f"{per_period(currency_of(ds), ds)} and geo (log scale)")
        medians = [np.median(row[row > 0]) if (row > 0).any() else np.nan for row in values]
        after = write_column(axes, "median", [short_number(each) for each in medians])
        idle = [share(float(each)) for each in (values == 0).mean(axis=1)]
        write_column(axes, "no spend", idle, indent=after)
        title = f"How much each channel spends{where(ds, geo)} when it spends"
        axes.set_title(f"{title}\n{chosen.note}" if chosen.note else title)
    return figure


def _at_most(values: FloatArray) -> FloatArray:
    """Values, or as many quantiles of them as a density needs."""
    return values if len(values) <= POINTS else np.quantile(values, np.linspace(0, 1, POINTS))


@in_memory
def plot_spend_against_sales(
    ds: xr.Dataset,
    *,
    geo: str | None = None,
    channels: Sequence[str] | None = None,
    page: int = 1,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw sales against the spend of each channel, a dot for each date.

    The line is a Lowess smooth. It is not the effect of the spend: seasons, carry-over and other
    channels move sales too. See `plot_response_curves` for the effect.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        With ``spend`` and ``y``; nothing else is needed.
    geo : str, optional
        One geo; sums over all by default.
    channels : sequence of str, optional
        Which channels; all by default.
    page : int
        Which twelve channels, the largest first; 1 or more.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        A panel a channel, with the correlation in its title. Independent of pyplot.

    Raises
    ------
    ConfigError
        If there is no such page, or `channels` is empty.
    AlignmentError
        If there is no such geo or channel.
    SchemaError
        If a variable is not there, or the Dataset has a further dim.

    References
    ----------
    Cleveland, W. S. (1979), Robust Locally Weighted Regression and Smoothing Scatterplots.

    Examples
    --------
    >>> import mmm_xgen
    >>> figure = plot_spend_against_sales(mmm_xgen.generate_mmm_dataset())
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['Seasonal: r = 0.74', 'On-Off: r = 0.17', 'Trend: r = 0.19']
    """
    import seaborn as sns

    check_panel(ds, "spend", "y")
    chosen = page_of(chosen_channels(ds, channels), page, MOST_PANELS, "channels")
    both = at_geo(ds, geo)[["spend", "y"]].astype(float).sum("geo", skipna=False)
    texts, sales = texts_of(ds, "channel"), both["y"].to_numpy()
    with new_panels(len(chosen.names), figsize=figsize) as (figure, panels):
        for axes, name in zip(panels, chosen.names, strict=True):
            spend = both["spend"].sel(channel=name).to_numpy()
            sns.scatterplot(x=spend, y=sales, ax=axes, **SCATTER)
            if _can_be_smoothed(spend, sales):
                look = {"color": DOT_EDGE, "linewidth": 1.8}
                sns.regplot(x=spend, y=sales, ax=axes, lowess=True, scatter=False, line_kws=look)
            axes.set(xlabel="", ylabel="")
            axes.set_title(f"{texts[name]}: r = {_correlated(spend, sales)}")
            format_numbers(axes, "xy")
        label_edges(panels, per_period(currency_of(ds), ds), per_period(kpi_of(ds), ds))
        title = "Sales against the spend of each channel"
        headed(figure, title, place_of(ds, geo), span_of(ds), chosen.note)
    return figure


def _can_be_smoothed(spend: FloatArray, sales: FloatArray) -> bool:
    """Tell if there are enough dates, and enough different levels of spend, for a smooth line."""
    levels, numbers = np.unique(spend[np.isfinite(sales)], return_counts=True)
    # Lowess looks at two thirds of the dates: they need to have more than one level of spend.
    return bool(
        len(levels) >= FEWEST_LEVELS
        and numbers.sum() >= FEWEST_DATES
        and numbers.max() < 0.6 * numbers.sum()
    )


def _correlated(one: FloatArray, other: FloatArray) -> str:
    return correlation(_within_geos(one[:, None, None], other[:, None])[0])


@in_memory
def plot_lags(
    ds: xr.Dataset,
    *,
    most: int = 12,
    geo: str | None = None,
    channels: Sequence[str] | None = None,
    page: int = 1,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    r"""Draw the correlation of sales with the spend of each channel some periods before.

    .. math:: r_k = \mathrm{corr}(\mathrm{spend}_{t}, \mathrm{sales}_{t + k})

    over all dates and geos, after the means of each geo have been subtracted. Carry-over makes the
    correlation fade slowly with the lag. A season that spend and sales share adds to it.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        With ``spend`` and ``y``; nothing else is needed.
    most : int
        Largest lag, in periods; at least three dates are left for each correlation.
    geo : str, optional
        One geo; all by default.
    channels : sequence of str, optional
        Which channels; all by default.
    page : int
        Which forty channels, the largest first; 1 or more.
    ax : Axes, optional
        Where to draw; a new figure by default.
    figsize : tuple of float, optional
        Width and height in inches of a new figure.

    Returns
    -------
    matplotlib.figure.Figure
        A row a channel and a column a lag; grey where spend or sales never vary.

    Raises
    ------
    ConfigError
        If `most` is negative, there is no such page, or `channels` is empty.
    AlignmentError
        If there is no such geo or channel.
    SchemaError
        If a variable is not there, or the Dataset has a further dim.

    Examples
    --------
    >>> import mmm_xgen
    >>> figure = plot_lags(mmm_xgen.generate_mmm_dataset(), most=3)
    >>> [text.get_text() for text in figure.axes[0].get_xticklabels()]
    ['0', '1', '2', '3']
    """
    if isinstance(most, bool) or not isinstance(most, int) or most < 0:
        raise ConfigError(f"found {most!r}, allowed: a whole number from 0", path="most")
    check_panel(ds, "spend", "y")
    chosen = page_of(chosen_channels(ds, channels), page, MOST_ROWS, "channels")
    here = at_geo(ds, geo)
    spend = here["spend"].astype(float).sel(channel=chosen.names)
    spend_cells = spend.transpose("date", "geo", "channel").to_numpy()
    sales = here["y"].astype(float).transpose("date", "geo").to_numpy()
    lags = range(1 + max(0, min(most, len(sales) - 3)))
    found = np.stack([_within_geos(spend_cells[: len(sales) - k], sales[k:]) for k in lags], 1)
    texts, period = texts_of(ds, "channel"), period_of(ds)
    rows = [texts[name] for name in chosen.names]
    height = 1.8 + 1.1 * ROW * max(len(rows), 3)
    with canvas(ax, figsize, height=height) as (figure, axes):
        axes.set_facecolor("#D5D5D5")
        few = len(lags) <= MOST_NUMBERED
        mesh = draw_cells(
            axes,
            found,
            rows,
            [str(lag) for lag in lags],
            texts=[[correlation(value) for value in row] for row in found] if few else None,
            colours="PuOr_r",
            ends=(-1.0, 1.0),
        )
        for label in axes.get_xticklabels():
            label.set(rotation=0, ha="center")
        axes.set_xlabel(f"{period}s from spend to sales")
        scale = figure.colorbar(mesh, ax=axes, aspect=25, pad=0.02)
        scale.outline.set_visible(False)
        scale.set_label("correlation within geos")
        title = _strongest(found, rows, period)
        axes.set_title(f"{title}\n{chosen.note}" if chosen.note else title)
    return figure


def _within_geos(spend: FloatArray, sales: FloatArray) -> FloatArray:
    """Correlation of each channel with sales, by `within_geo_correlation`, dims (channel,).

    Dims of spend are (date, geo, channel), of sales (date, geo). Spend on dates without sales is
    left out.
    """
    sales = sales[..., None]
    spend = np.where(np.isnan(sales), np.nan, spend)
    return within_geo_correlation(np.concatenate([spend, sales], axis=-1))[:-1, -1]


def _strongest(found: FloatArray, rows: list[str], period: str) -> str:
    if not np.isfinite(found).any():
        return "No correlation: spend or sales never vary"
    row, lag = np.unravel_index(int(np.nanargmax(np.abs(found))), found.shape)
    later = "at once" if lag == 0 else f"{count(int(lag), period)} later"
    way = "with" if found[row, lag] > 0 else "against"
    r = correlation(found[row, lag])
    return f"Sales move most {way} the spend on {rows[row]}, {later} (r = {r})"


@in_memory
def plot_pairs(
    ds: xr.Dataset,
    *,
    variables: Sequence[str] | None = None,
    geo: str | None = None,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw sales, spends and controls against each other, two by two.

    Below the diagonal a dot for each date, on it the distributions, above it the correlations.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        With ``spend``, ``y`` and, if there are any, ``control_value``.
    variables : sequence of str, optional
        ``"y"`` and names of channels and controls, two to six. By default ``y``, the three largest
        channels and the first two controls.
    geo : str, optional
        One geo; by default sums over all of sales and spend, and means over all of controls.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot.

    Raises
    ------
    ConfigError
        If there are fewer than two variables, more than six, or one comes twice.
    AlignmentError
        If there is no such geo or variable.
    SchemaError
        If a variable is not there, or the Dataset has a further dim.

    Examples
    --------
    >>> import mmm_xgen
    >>> figure = plot_pairs(mmm_xgen.generate_mmm_dataset(), variables=["y", "Trend", "Price"])
    >>> len(figure.axes)
    9
    """
    import seaborn as sns

    controls = ["control_value"] if ds.sizes.get("control") and "control_value" in ds else []
    check_panel(ds, "spend", "y", *controls)
    here = at_geo(ds, geo).astype(float)
    totals = here[["spend", "y"]].sum("geo", skipna=False)
    series = {"y": totals["y"]}
    series |= {str(name): totals["spend"].sel(channel=name) for name in ds["channel"].to_numpy()}
    for name in ds["control"].to_numpy() if controls else ():
        series.setdefault(str(name), here["control_value"].sel(control=name).mean("geo"))
    usual = ["y", *chosen_channels(ds, None)[:3]]
    if controls:
        usual += [str(name) for name in ds["control"].to_numpy() if name not in usual][:2]
    names = _paired(usual if variables is None else variables, list(series))
    values = [series[name].to_numpy() for name in names]
    texts = plain_texts(series) | {"y": SALES}
    size = 1.9 * len(names)
    with blank(figsize, size, max(size, 6.0)) as figure:
        grid = figure.subplots(len(names), len(names), sharex="col", squeeze=False)
        for row, column in np.ndindex(grid.shape):
            axes: Any = grid[row, column]
            if row == column:
                sns.histplot(x=values[row], ax=axes, color=DOT, edgecolor=DOT_EDGE, linewidth=0.4)
                axes.set_yticks([])
            elif row > column:
                sns.scatterplot(x=values[column], y=values[row], ax=axes, **SCATTER)
                format_numbers(axes, "y")
            else:
                text = _correlated(values[row], values[column])
                middle: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 12}
                axes.text(0.5, 0.5, text, transform=axes.transAxes, **middle)
                axes.set_axis_off()
            axes.set(xlabel="", ylabel="")
            axes.locator_params(nbins=4)
            format_numbers(axes, "x")
            if column:
                axes.tick_params(axis="y", labelleft=False)
        for place, name in enumerate(names):
            grid[-1, place].set_xlabel(texts[name])
            grid[place, 0].set_ylabel(texts[name])
        figure.align_ylabels(list(grid[:, 0]))
        headed(figure, "What moves with what", place_of(ds, geo), span_of(ds))
    return figure


def _paired(found: Sequence[str], known: list[str]) -> list[str]:
    names = [found] if isinstance(found, str) else list(found)
    for name in names:
        if name not in known:
            raise AlignmentError(f"variables: found {name!r}; {nearest(str(name), known)}")
    if not 2 <= len(names) <= MOST_PAIRED or len(set(names)) < len(names):
        raise ConfigError(
            f"found {names!r}, allowed: 2 to {MOST_PAIRED} different names", path="variables"
        )
    return names
