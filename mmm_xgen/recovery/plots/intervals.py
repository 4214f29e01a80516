"""Plots of interval estimates and the truth: returns and parameters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmm_xgen.dataset import in_memory
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.panels import (
    MOST_ROWS,
    ROW,
    WIDTH,
    blank,
    dot,
    headed,
    legend_below,
    name_rows,
    page_of,
)
from mmm_xgen.plots.selection import texts_of
from mmm_xgen.plots.style import format_numbers, plain_text, plain_texts
from mmm_xgen.recovery.estimates import SAMPLE
from mmm_xgen.recovery.fit import FitSettings
from mmm_xgen.recovery.plots.panels import ESTIMATE, draw_intervals, interval_legend
from mmm_xgen.recovery.plots.series import by_size, known
from mmm_xgen.recovery.scoring.decisions import window_of
from mmm_xgen.recovery.study.saved import QUANTILES
from mmm_xgen.schema import check_variables
from mmm_xgen.truth.returns.roas import roas

# Intervals are cut at this multiple of the largest truth or median.
FURTHEST = 2.5
CUT = "interval goes on"
RIDGE = " *"
RIDGE_NOTE = "* the data tell these along a ridge only"


@in_memory
def plot_roas(
    ds: xr.Dataset,
    estimates: xr.Dataset,
    *,
    train_end: str | None = None,
    page: int = 1,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw the ROAS of each channel, estimated with its equal-tailed intervals, and true.

    Parameters
    ----------
    ds : Dataset
        The generated Dataset, with all its dates.
    estimates : Dataset, dims (chain, draw, channel)
        ``roas`` of the training window, currency per currency.
    train_end : str, optional
        End of the training window.
    page : int
        Which forty channels, those with the most spend first; 1 or more.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot. An interval much longer than the others is cut, with an arrow.

    Raises
    ------
    ConfigError
        If `estimates` has no ``roas``, or there is no such page.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> twice = 2 * mmm_xgen.truth.roas(ds).expand_dims(chain=1, draw=2)
    >>> (axes,) = plot_roas(ds, twice.to_dataset()).axes
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['Seasonal', 'Trend', 'On-Off']
    """
    check_variables(ds, "spend")
    known(estimates, "roas")
    truth = roas(ds, window=window_of(ds, FitSettings(train_end=train_end)))
    quantiles = estimates["roas"].quantile(list(QUANTILES), dim=SAMPLE, skipna=False)
    channels = page_of(by_size(ds["spend"].sum(("date", "geo"))), page, MOST_ROWS, "channels")
    true_values = truth.sel(channel=channels.names).to_numpy()
    found = quantiles.sel(channel=channels.names).transpose("quantile", "channel").to_numpy()
    currency = plain_text(str(ds["spend"].attrs.get("units", "currency")))
    height = 1.9 + ROW * 1.3 * len(channels.names)
    with blank(figsize, height, 0.75 * WIDTH) as figure:
        axes = figure.subplots()
        draw_intervals(axes, found, true_values)
        texts = texts_of(ds, "channel")
        name_rows(axes, [texts[name] for name in channels.names])
        # Longer intervals would squeeze all others.
        furthest = FURTHEST * np.nanmax(np.abs([*found[2], *true_values, 0.1]))
        entries = interval_legend()
        for end, side, marker in ((found[-1], 1, ">"), (found[0], -1, "<")):
            rows = np.flatnonzero(side * end > furthest)
            if len(rows):
                axes.set_xlim(**{"right" if side > 0 else "left": side * furthest})
                at = np.full(len(rows), side * furthest)
                axes.plot(at, rows, marker, color=ESTIMATE, clip_on=False, label=CUT)
                entries[CUT] = dot(ESTIMATE, ">")
        if axes.get_xlim()[0] > 0:
            axes.set_xlim(left=0)
        axes.set_xlabel(f"revenue ({currency}) per {currency} of spend")
        headed(figure, "Return on ad spend: estimated and true", channels.note)
        legend_below(figure, entries)
    return figure


@in_memory
def plot_parameters(
    ds: xr.Dataset,
    parameters: xr.Dataset,
    *,
    ridge: xr.DataArray | None = None,
    page: int = 1,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw a forest of parameters in the Dataset's units, with the truth marked.

    Parameters
    ----------
    ds : Dataset
        The generated Dataset.
    parameters : Dataset, dims (chain, draw, ...)
        Draws under the Dataset's names. A parameter without a single truth, such as one for all
        geos that differs between them, is drawn without a mark.
    ridge : DataArray, dims (parameter, channel), optional
        1 where the data tell a parameter along a ridge only, ``ridge_identified`` of the scores.
    page : int
        Which geos, those with the most sales first: as many as fit a page; 1 or more.
        Parameters without geos are on the first.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot; one panel a parameter, each with its own axis.

    Raises
    ------
    ConfigError
        If there are no parameters, or no such page.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> draws = ds[["effect", "y_sigma"]].expand_dims(chain=1, draw=2)
    >>> [axes.get_title(loc="left") for axes in plot_parameters(ds, draws).axes]
    ['effect', 'y_sigma']
    """
    known(parameters, *([] if parameters.data_vars else ["parameter"]))
    geos = by_size(ds["mu"].sum("date"))
    by_geo = [each for each in parameters.data_vars.values() if "geo" in each.dims]
    rows_a_geo = max([_rows_of_one_geo(each) for each in by_geo], default=1)
    chosen = page_of(geos, page if by_geo else 1, max(1, MOST_ROWS // rows_a_geo), "geos")
    unsorted = [
        forest
        for name, draws in parameters.data_vars.items()
        if ("geo" in draws.dims or page == 1)
        and (forest := _forest(ds, str(name), draws, chosen.names, ridge)).names
    ]
    # The tallest first: what follows fills the columns evenly.
    forests = sorted(unsorted, key=lambda forest: -len(forest.names))
    noted = any(RIDGE in name for forest in forests for name in forest.names)
    with _forest_panels(forests, figsize) as figure:
        alone = chosen.note and len(chosen.names) == 1
        where = texts_of(ds, "geo")[chosen.names[0]] if alone else ""
        headed(figure, "Parameters: estimated and true", where, chosen.note, RIDGE_NOTE * noted)
        legend_below(figure, interval_legend())
    return figure


@dataclass(frozen=True)
class _Forest:
    """Intervals of one parameter, one per row, with the truths."""

    title: str
    names: list[str]
    quantiles: FloatArray
    truth: FloatArray


def _rows_of_one_geo(draws: xr.DataArray) -> int:
    return int(np.prod([n for dim, n in draws.sizes.items() if dim not in (*SAMPLE, "geo")]))


def _forest(
    ds: xr.Dataset, name: str, draws: xr.DataArray, geos: list[str], ridge: xr.DataArray | None
) -> _Forest:
    if "geo" in draws.dims:
        draws = draws.sel(geo=geos)
    dims: list[str] = [dim for dim in ("geo", "channel") if dim in draws.dims]
    dims += [str(dim) for dim in draws.dims if dim not in (*SAMPLE, *dims)]
    sampled = [dim for dim in SAMPLE if dim in draws.dims]
    cells = draws.quantile(list(QUANTILES), dim=sampled, skipna=False)
    cells = cells.transpose("quantile", *dims)
    truth = _truth_like(ds, name, cells.isel(quantile=0, drop=True))
    quantiles = cells.to_numpy().reshape(len(QUANTILES), -1)
    # A model may have a control that the data do not have, such as its own trend.
    known_names = {dim: ds[dim].values if dim in ds.dims else () for dim in dims}
    texts = {dim: plain_texts(map(str, [*known_names[dim], *cells[dim].values])) for dim in dims}
    names = []
    for place in np.ndindex(*(cells.sizes[dim] for dim in dims)):
        labels = {dim: str(cells[dim].values[at]) for dim, at in zip(dims, place, strict=True)}
        confounded = ridge is not None and _confounded(ridge, name, labels.get("channel", ""))
        shown = [texts[dim][text] for dim, text in labels.items() if dim != "geo" or len(geos) > 1]
        names.append(" · ".join(shown) + (RIDGE if confounded else ""))
    # Curves of some channels may lack the parameter.
    there = np.isfinite(quantiles).all(axis=0)
    return _Forest(
        title=name,
        names=[each for each, drawn in zip(names, there, strict=True) if drawn],
        quantiles=quantiles[:, there],
        truth=truth.to_numpy().ravel()[there],
    )


def _truth_like(ds: xr.Dataset, name: str, like: xr.DataArray) -> xr.DataArray:
    """True values for each of `like`; NaN where there is none, or no single one."""
    nothing = like.copy(data=np.full(like.shape, np.nan))
    if name not in ds:
        return nothing
    truth = ds[name].drop_vars([c for c in ds[name].coords if c not in ds[name].dims])
    if "geo" in truth.dims and "geo" not in like.dims:
        same = (abs(truth - truth.isel(geo=0)) <= 1e-9 * abs(truth)) | truth.isnull()
        truth = truth.isel(geo=0, drop=True).where(same.all("geo"))
    if not set(truth.dims) <= set(like.dims) or ("geo" in like.dims and "geo" not in truth.dims):
        return nothing
    matched = truth.reindex({dim: like[dim].values for dim in truth.dims})
    return matched.transpose(*like.dims)


def _confounded(ridge: xr.DataArray, name: str, channel: str) -> bool:
    if name not in ridge["parameter"].values or channel not in ridge["channel"].values:
        return False
    return bool(ridge.sel(parameter=name, channel=channel) == 1)


@contextmanager
def _forest_panels(forests: list[_Forest], figsize: tuple[float, float] | None) -> Iterator[Figure]:
    """Panels in columns of about the same height, as many as keep the page no longer than wide."""
    rows = [len(forest.names) + 3 for forest in forests]
    columns = min(3, len(forests), 1 + sum(rows) // 25)
    stacks: list[list[int]] = [[] for _ in range(columns)]
    for place in range(len(forests)):
        shortest = min(stacks, key=lambda stack: sum(rows[each] for each in stack))
        shortest.append(place)
    tallest = max(sum(rows[each] for each in stack) for stack in stacks)
    with blank(figsize, 1.3 + ROW * tallest, max(0.6, columns / 3) * WIDTH) as figure:
        grid = figure.add_gridspec(1, columns)
        for column, stack in enumerate(stacks):
            # Empty space below a shorter stack.
            left = tallest - sum(rows[each] for each in stack)
            heights = [*(rows[each] for each in stack), *([left] if left else [])]
            cells = grid[column].subgridspec(len(heights), 1, height_ratios=heights)
            for row, place in enumerate(stack):
                forest = forests[place]
                axes = figure.add_subplot(cells[row])
                draw_intervals(axes, forest.quantiles, forest.truth)
                name_rows(axes, forest.names)
                axes.set_title(forest.title)
                axes.xaxis.set_major_locator(MaxNLocator(5))
                format_numbers(axes, "x")
        yield figure
