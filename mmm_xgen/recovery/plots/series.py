"""Plots of estimates and the truth over time and along response curves."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import ConfigError, nearest
from mmm_xgen.plots.panels import (
    DASHED,
    MOST_PANELS,
    band,
    dot,
    headed,
    legend_below,
    line,
    new_panels,
    page_of,
)
from mmm_xgen.plots.selection import kpi_of, per_period, texts_of
from mmm_xgen.plots.style import FAINT, format_dates, format_numbers
from mmm_xgen.recovery.estimates import SAMPLE
from mmm_xgen.recovery.fit import FitSettings, training_dates
from mmm_xgen.recovery.plots.panels import BAND, ESTIMATE, OPAQUE, SHADE, TRUTH
from mmm_xgen.recovery.scoring.decisions import window_of
from mmm_xgen.recovery.study.saved import QUANTILES
from mmm_xgen.schema import check_variables
from mmm_xgen.truth.budget.curves import response_curve
from mmm_xgen.truth.returns.incremental import acts_together, incremental_contribution

# Series of more dates get smaller dots.
MOST_DATES = 500


@in_memory
def plot_predictive(
    ds: xr.Dataset,
    series: xr.Dataset,
    *,
    train_end: str | None = None,
    page: int = 1,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw sales, the model's prediction, and true expected sales, geo by geo.

    Parameters
    ----------
    ds : Dataset
        The generated Dataset.
    series : Dataset, dims (quantile, date, geo)
        ``y`` and ``y_mean``, KPI units per period, or ``mu`` and ``mu_mean`` where the model has
        no noise; see `mmm_xgen.recovery.study.saved.series_of`.
    train_end : str, optional
        Last date that the model saw; what comes after is shaded.
    page : int
        Which twelve geos, those with the most sales first; 1 or more.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot.

    Raises
    ------
    ConfigError
        If `series` has neither variable, or there is no such page.

    Examples
    --------
    >>> import mmm_xgen
    >>> from mmm_xgen.recovery.study.saved import series_of
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> series = series_of(ds[["mu"]].expand_dims(chain=1, draw=2), seed=1)
    >>> [axes.get_title(loc="left") for axes in plot_predictive(ds, series).axes]
    ['geo_a', 'geo_b']
    """
    check_variables(ds, "y", "mu")
    name = "y" if "y" in series else "mu"
    known(series, name, f"{name}_mean")
    geos = page_of(by_size(ds["mu"].sum("date")), page, MOST_PANELS, "geos")
    what = "predicted" if name == "y" else "expected by the model"
    with new_panels(len(geos.names), figsize=figsize) as (figure, panels):
        for axes, geo in zip(panels, geos.names, strict=True):
            _shade_holdout(axes, ds, train_end)
            here = ds[["y", "mu"]].sel(geo=geo)
            _draw_band(axes, series[name].sel(geo=geo), series[f"{name}_mean"].sel(geo=geo))
            size = 4 if here.sizes["date"] <= MOST_DATES else 2
            axes.plot(here["date"], here["y"], ".", color=FAINT, markersize=size, label="sales")
            _draw_truth(axes, here["mu"])
            axes.set_title(texts_of(ds, "geo")[geo])
            _finish(axes, ds)
        headed(figure, f"Sales by geo: {what}, and true", geos.note)
        entries = {
            "sales (y)": dot(FAINT),
            "true expected sales (mu)": line(TRUTH, dashed=True, width=1.1),
            f"{what}, mean": line(ESTIMATE),
            "94% band": band(BAND, OPAQUE),
        }
        legend_below(figure, entries | _holdout_entry(train_end))
    return figure


@in_memory
def plot_contributions(
    ds: xr.Dataset,
    series: xr.Dataset,
    *,
    geo: str | None = None,
    train_end: str | None = None,
    page: int = 1,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw estimated and true contributions over time, in one geo.

    Parameters
    ----------
    ds : Dataset
        The generated Dataset.
    series : Dataset, dims (quantile, date, geo, channel)
        ``channel_contribution`` and ``channel_contribution_mean``, KPI units per period; see
        `mmm_xgen.recovery.study.saved.series_of`.
    geo : str, optional
        The geo with the most sales by default: quantiles of several do not add up.
    train_end : str, optional
        Last date that the model saw; what comes after is shaded.
    page : int
        Which twelve channels, those with the largest contribution first; 1 or more.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot.

    Raises
    ------
    ConfigError
        If `series` lacks a variable, or there is no such geo or page.

    Examples
    --------
    >>> import mmm_xgen
    >>> from mmm_xgen.recovery.study.saved import series_of
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> one = ds[["channel_contribution"]].expand_dims(chain=1, draw=2)
    >>> figure = plot_contributions(ds, series_of(one, seed=1), geo="geo_b")
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['Seasonal', 'On-Off', 'Trend']
    """
    check_variables(ds, "mu", "channel_contribution")
    name = "channel_contribution"
    known(series, name, f"{name}_mean")
    geos = by_size(ds["mu"].sum("date"))
    if geo is None:
        geo = geos[0]
    if geo not in geos:
        raise ConfigError(f"no geo is named {geo!r}; {nearest(geo, geos)}", path="geo")
    # Where channels act on each other, the contribution of one is what would be lost without it.
    made = incremental_contribution(ds) if acts_together(ds) else ds[name]
    truth, estimate = made.sel(geo=geo), series.sel(geo=geo)
    channels = page_of(by_size(truth.sum("date")), page, MOST_PANELS, "channels")
    with new_panels(len(channels.names), figsize=figsize) as (figure, panels):
        for axes, channel in zip(panels, channels.names, strict=True):
            _shade_holdout(axes, ds, train_end)
            here = estimate.sel(channel=channel)
            _draw_band(axes, here[name], here[f"{name}_mean"])
            _draw_truth(axes, truth.sel(channel=channel))
            axes.set_title(texts_of(ds, "channel")[channel])
            _finish(axes, ds)
        where = f" in {texts_of(ds, 'geo')[geo]}, of {len(geos)} geos" if len(geos) > 1 else ""
        headed(figure, f"Contributions of channels{where}: estimated and true", channels.note)
        entries = {
            "truth": line(TRUTH, dashed=True, width=1.1),
            "estimate, mean": line(ESTIMATE),
            "94% band": band(BAND, OPAQUE),
        }
        legend_below(figure, entries | _holdout_entry(train_end))
    return figure


@in_memory
def plot_response_curves(
    ds: xr.Dataset,
    estimates: xr.Dataset,
    *,
    train_end: str | None = None,
    page: int = 1,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw estimated and true response curves in the training window.

    Parameters
    ----------
    ds : Dataset
        The generated Dataset, with all its dates.
    estimates : Dataset, dims (chain, draw, channel, multiplier)
        ``response_curve``, KPI units of the window, over all geos.
    train_end : str, optional
        End of the training window.
    page : int
        Which twelve channels, those with the largest contribution first; 1 or more.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Independent of pyplot. The shaded range is the spend of single periods and geos, least
        to most, by the mean of their geo: outside of it the data say nothing.

    Raises
    ------
    ConfigError
        If `estimates` lacks the variable, or there is no such page.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> curve = mmm_xgen.truth.response_curve(ds, multipliers=[0, 0.5, 1, 1.3]).contribution
    >>> draws = curve.rename("response_curve").expand_dims(chain=1, draw=2).to_dataset()
    >>> figure = plot_response_curves(ds, draws)
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['Seasonal', 'On-Off', 'Trend']
    """
    check_variables(ds, "spend", "channel_contribution")
    known(estimates, "response_curve")
    settings = FitSettings(train_end=train_end)
    grid = np.asarray(estimates["multiplier"].values, dtype=float)
    window = window_of(ds, settings)
    truth = response_curve(ds, multipliers=grid, window=window)["contribution"]
    quantiles = estimates["response_curve"].quantile(list(QUANTILES), dim=SAMPLE, skipna=False)
    seen = ds["spend"].isel(date=slice(len(training_dates(ds, settings))))
    share = seen / seen.mean("date").where(seen.mean("date") > 0)
    order = by_size(ds["channel_contribution"].sum(("date", "geo")))
    channels = page_of(order, page, MOST_PANELS, "channels")
    with new_panels(len(channels.names), figsize=figsize) as (figure, panels):
        for axes, channel in zip(panels, channels.names, strict=True):
            spent = share.sel(channel=channel)
            if bool(spent.notnull().any()):
                axes.axvspan(float(spent.min()), float(spent.max()), color=SHADE, zorder=0)
            low, inner_low, middle, inner_high, high = (
                quantiles.sel(channel=channel).transpose("quantile", "multiplier").to_numpy()
            )
            axes.fill_between(grid, low, high, color=BAND, alpha=OPAQUE / 2, linewidth=0)
            axes.fill_between(grid, inner_low, inner_high, color=BAND, alpha=OPAQUE, linewidth=0)
            axes.plot(grid, middle, color=ESTIMATE, label="estimate")
            axes.plot(
                grid,
                truth.sel(channel=channel),
                color=TRUTH,
                linestyle=DASHED,
                linewidth=1.4,
                label="truth",
            )
            axes.set_xlim(float(grid.min()), float(grid.max()))
            axes.set_title(texts_of(ds, "channel")[channel])
            axes.set_xlabel("multiple of the window's spend")
            axes.set_ylabel(kpi_of(ds))
            format_numbers(axes, "y")
        headed(figure, "Response curves: estimated and true", channels.note)
        entries = {
            "truth": line(TRUTH, dashed=True, width=1.4),
            "estimate, median": line(ESTIMATE),
            "50% band": band(BAND, OPAQUE),
            "94% band": band(BAND, OPAQUE / 2),
            "observed spend": band(SHADE),
        }
        legend_below(figure, entries)
    return figure


def by_size(totals: xr.DataArray) -> list[str]:
    """Sort the labels of a one-dimensional array, the largest value first."""
    values = totals.to_numpy()
    labels = totals[totals.dims[0]].to_numpy()
    return [str(label) for label in labels[np.argsort(-values, kind="stable")]]


def known(found: xr.Dataset, *names: str) -> None:
    """Check that a fit has the variables of a plot.

    Raises
    ------
    ConfigError
        If it does not.
    """
    for name in names:
        if name not in found:
            there = ", ".join(map(str, found.data_vars)) or "nothing"
            raise ConfigError(f"the fit has no {name!r}, it has: {there}")


def _draw_band(axes: Axes, quantiles: xr.DataArray, mean: xr.DataArray) -> None:
    dates = mean["date"].to_numpy()
    ends = quantiles.sel(quantile=[QUANTILES[0], QUANTILES[-1]], method="nearest")
    low, high = ends.transpose("quantile", "date").to_numpy()
    if len(dates) == 1:
        axes.vlines(dates, low, high, color=BAND, linewidth=6)
    else:
        axes.fill_between(dates, low, high, color=BAND, alpha=OPAQUE, linewidth=0)
    marker = "_" if len(dates) == 1 else None
    axes.plot(dates, mean.to_numpy(), color=ESTIMATE, linewidth=1.4, marker=marker, label="mean")


def _draw_truth(axes: Axes, truth: xr.DataArray) -> None:
    axes.plot(
        truth["date"].to_numpy(),
        truth.to_numpy(),
        color=TRUTH,
        linestyle=DASHED,
        linewidth=1.1,
        marker="x" if truth.sizes["date"] == 1 else None,
        label="truth",
    )


def _shade_holdout(axes: Axes, ds: xr.Dataset, train_end: str | None) -> None:
    dates = ds["date"].to_numpy()
    seen = len(training_dates(ds, FitSettings(train_end=train_end)))
    if seen < len(dates):
        axes.axvspan(dates[seen - 1], dates[-1], color=SHADE, zorder=0, label="holdout")


def _holdout_entry(train_end: str | None) -> dict[str, Artist]:
    return {"not seen by the model": band(SHADE)} if train_end else {}


def _finish(axes: Axes, ds: xr.Dataset) -> None:
    axes.set_ylabel(per_period(kpi_of(ds), ds))
    format_numbers(axes, "y")
    format_dates(axes)
