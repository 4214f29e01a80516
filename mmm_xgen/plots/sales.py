"""Plots of sales over time: their true parts, and a decomposition of the data alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from mmm_xgen.dataset import in_memory
from mmm_xgen.formatting.amounts import share
from mmm_xgen.formatting.words import count
from mmm_xgen.kernels.calendar import PERIODS, STEPS, Step
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.panels import blank, dot, headed, legend_below, line
from mmm_xgen.plots.selection import (
    at_geo,
    check_panel,
    currency_of,
    kpi_of,
    per_period,
    span_of,
    thinned,
)
from mmm_xgen.plots.style import FAINT, INK, format_numbers
from mmm_xgen.plots.timelines import (
    DOT,
    DOT_EDGE,
    SCALE,
    around_zero,
    date_rows,
    dots,
    even_rows,
    has_truth,
    place_of,
    share_of,
    swing,
    trace,
)
from mmm_xgen.schema import parts_of

# Rows of the parts of sales. Parts of other worlds have a row of their own, before the noise.
ROWS = {
    "intercept_contribution": "base",
    "trend_contribution": "base",
    "level_contribution": "base",
    "seasonality_contribution": "seasons",
    "event_contribution": "seasons",
    "control_contribution": "controls",
    "promotion_contribution": "promotions",
    "demand_contribution": "demand",
    "channel_contribution": "media",
    "interaction_contribution": "interactions",
    "mediator_contribution": "mediators",
    "competitor_contribution": "competitor",
    "remainder_contribution": "remainder",
}
TITLES = {
    "seasons": "Seasons and events",
    "controls": "Controls",
    "promotions": "Promotions",
    "demand": "Latent demand",
    "interactions": "Interactions of channels",
    "mediators": "Media through mediators",
    "competitor": "Competitor",
    "remainder": "Media together, beyond the losses without each",
}
SHORTEST_SMOOTH = 8


@in_memory
def plot_sales(
    ds: xr.Dataset, *, geo: str | None = None, figsize: tuple[float, float] | None = None
) -> Figure:
    """Draw sales, and below them on one scale the parts that add up to them.

    A part that is zero everywhere is left out. Without the truth, draw sales and total spend.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, channel)
        With ``y`` and ``spend``; the parts are drawn if the Dataset has them.
    geo : str, optional
        One geo; the sum over all by default.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SchemaError
        If a variable is not there, or the Dataset has a further dim.
    AlignmentError
        If there is no such geo.

    Examples
    --------
    >>> import mmm_xgen
    >>> figure = plot_sales(mmm_xgen.generate_mmm_dataset())
    >>> [axes.get_label() for axes in figure.axes]
    ['sales', 'base', 'seasons', 'controls', 'media', 'noise']
    """
    known = has_truth(ds, *_truth_of(ds))
    check_panel(ds, "y", "spend", *(_checked(ds) if known else ()))
    return _sales_and_parts(ds, geo, figsize) if known else _sales_and_spend(ds, geo, figsize)


@in_memory
def plot_decomposition(
    ds: xr.Dataset, *, geo: str | None = None, figsize: tuple[float, float] | None = None
) -> Figure:
    """Draw the trend, season and remainder that STL finds in observed sales.

    STL (seasonal-trend decomposition by Loess) uses only `y`. The truth is drawn beside it where
    it is known: base sales with their trend, moved to the mean of the trend found, and seasons
    with events, without their mean. The trend and season found also contain media and controls
    that change slowly or every year.

    Parameters
    ----------
    ds : Dataset, dims (date, geo)
        With ``y``, and ``freq`` among its attributes. Missing values are filled by straight lines.
    geo : str, optional
        One geo; the sum over all by default.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        With data of less than two seasons, the trend is a Lowess smooth and the title says so.

    Raises
    ------
    SchemaError
        If there is no ``y``, or the Dataset has a further dim.
    AlignmentError
        If there is no such geo.

    References
    ----------
    Cleveland, R. B., Cleveland, W. S., McRae, J. E. and Terpenning, I. (1990), STL: A
    Seasonal-Trend Decomposition Procedure Based on Loess.

    Examples
    --------
    >>> import mmm_xgen
    >>> figure = plot_decomposition(mmm_xgen.generate_mmm_dataset())
    >>> [axes.get_label() for axes in figure.axes]
    ['trend', 'season', 'remainder']
    """
    known = has_truth(ds, *_truth_of(ds))
    check_panel(ds, "y", *(_checked(ds) if known else ()))
    here = at_geo(ds, geo)
    sales, filled = _without_gaps(_total(here, "y"))
    split = _split(sales, str(ds.attrs.get("freq", "")))
    values = {"sales": sales, "trend": split.trend, "remainder": split.remainder}
    if split.season is not None:
        values["season"] = split.season
    if known:
        values.update(_truth_beside(here, split))
    frame = xr.Dataset({k: ("date", v) for k, v in values.items()}, {"date": ds["date"]})
    return _draw_split(frame, ds, split, (place_of(ds, geo), span_of(ds), filled), figsize)


# --- sales and parts


def _truth_of(ds: xr.Dataset) -> list[str]:
    """Variables that are there if the truth of sales is known."""
    return ["mu", "noise", *parts_of(ds)]


def _checked(ds: xr.Dataset) -> list[str]:
    # An aggregated dataset has base sales by date; check_panel would refuse that dim.
    return [name for name in _truth_of(ds) if name != "intercept_contribution"]


def _sales_and_parts(
    ds: xr.Dataset, geo: str | None, figsize: tuple[float, float] | None
) -> Figure:
    here = at_geo(ds, geo)
    full = _summed(here)
    titles = _titles(full)
    without = ", ".join(name for name in _rows(here) if name not in titles)
    series, step = thinned(full)
    dates = series["date"].to_numpy()
    values = {str(name): series[name].to_numpy() for name in series}
    shown = [values[name] if name == "base" else np.append(values[name], 0.0) for name in titles]
    shown.insert(0, np.concatenate([values["y"], values["mu"]]))
    with even_rows(shown, figsize) as (figure, rows):
        top, *others = rows
        top.set_label("sales")
        dots(top, dates, values["y"])
        trace(top, dates, values["mu"], INK)
        top.set_title("Sales, and what was expected without noise")
        for axes, (name, title) in zip(others, titles.items(), strict=True):
            axes.set_label(name)
            axes.set_title(title, fontsize=10)
            if name == "base":
                trace(axes, dates, values[name], INK)
            else:
                around_zero(axes, dates, values[name])
        date_rows(rows)
        note = (place_of(ds, geo), span_of(ds), SCALE, without and f"none: {without}")
        headed(figure, "What sales are made of", *note)
        figure.supylabel(per_period(kpi_of(ds), ds, step), fontsize=9)
        legend_below(figure, {"sales (y)": dot(DOT), "expected sales (mu)": line(INK)})
    return figure


def _summed(ds: xr.Dataset) -> xr.Dataset:
    """Series of each kind of part over the geos of `ds`, dims (date,)."""
    frame = xr.Dataset({"y": ds["y"], "mu": ds["mu"]})
    for row, names in _rows(ds).items():
        first, *others = (_over_items(ds[name]) for name in names)
        frame[row] = sum(others, first)
    return frame.sum("geo", skipna=False)


def _rows(ds: xr.Dataset) -> dict[str, list[str]]:
    """Variables of each row."""
    rows: dict[str, list[str]] = {}
    for name in parts_of(ds):
        rows.setdefault(ROWS.get(name, name.removesuffix("_contribution")), []).append(name)
    return rows | {"noise": ["noise"]}


def _over_items(part: xr.DataArray) -> xr.DataArray:
    return part.sum([dim for dim in part.dims if dim not in ("date", "geo")])


def _titles(full: xr.Dataset) -> dict[str, str]:
    """Each part and its size in words, those that are zero everywhere left out."""
    values = {str(name): full[name].to_numpy() for name in full}
    mu = values["mu"]
    mean = float(np.mean(mu))
    known = mean > 0 and len(mu) > 1
    noise = f", sd {share(np.std(values['noise']) / mean)} of expected sales" if known else ""
    titles = {
        name: _swinging(TITLES.get(name, name.capitalize()), values[name], mean)
        for name in values
        if name not in ("y", "mu")
    } | {
        "base": f"Base sales and their trend: {share_of(values['base'], mu)} of expected sales",
        "media": f"Media: {share_of(values['media'], mu)} of expected sales",
        "noise": f"Noise{noise}",
    }
    return {name: title for name, title in titles.items() if name == "base" or values[name].any()}


def _swinging(words: str, values: FloatArray, mean: float) -> str:
    ends = swing(values, mean)
    return f"{words}: {ends} of mean expected sales" if ends else words


def _sales_and_spend(
    ds: xr.Dataset, geo: str | None, figsize: tuple[float, float] | None
) -> Figure:
    here = at_geo(ds, geo)
    spend = here["spend"].astype(float).sum("channel", skipna=False)
    both = xr.Dataset({"y": here["y"].astype(float), "spend": spend}).sum("geo", skipna=False)
    series, step = thinned(both)
    dates = series["date"].to_numpy()
    with blank(figsize, 5.2) as figure:
        rows = list(figure.subplots(2, 1, sharex=True, height_ratios=[1.4, 1]))
        rows[0].set_label("sales")
        rows[0].set_title("Sales")
        rows[0].set_ylabel(per_period(kpi_of(ds), ds, step))
        trace(rows[0], dates, series["y"].to_numpy(), FAINT, width=0.8)
        dots(rows[0], dates, series["y"].to_numpy())
        rows[1].set_label("spend")
        rows[1].set_title(f"Spend on {count(ds.sizes['channel'], 'channel')} together")
        rows[1].set_ylabel(per_period(currency_of(ds), ds, step))
        around_zero(rows[1], dates, series["spend"].to_numpy())
        for axes in rows:
            format_numbers(axes, "y")
        date_rows(rows)
        note = (place_of(ds, geo), span_of(ds), _gaps(both["y"].to_numpy()))
        headed(figure, "Sales and spend as observed", *note)
    return figure


def _gaps(values: FloatArray) -> str:
    missing = int((~np.isfinite(values)).sum())
    return f"{missing} of {count(len(values), 'date')} without a value of each geo" * (missing > 0)


# --- decomposition


def _total(ds: xr.Dataset, name: str) -> FloatArray:
    """Sum over geos and what else there is; missing where a part is missing."""
    others = [dim for dim in ds[name].dims if dim != "date"]
    return ds[name].astype(float).sum(others, skipna=False).to_numpy()


@dataclass(frozen=True)
class _Split:
    """Result of a decomposition; without a season if the data are too short for one."""

    trend: FloatArray
    season: FloatArray | None
    remainder: FloatArray
    title: str


def _split(sales: FloatArray, freq: str) -> _Split:
    step = STEPS.get(freq.split("-")[0])
    known = PERIODS[step].seasons if step else ()
    periods = [period for period in known if 2 * period < len(sales) + 1]
    # Two seasons at once need more than two of the longer one.
    if len(periods) > 1 and 2 * periods[-1] >= len(sales):
        periods = periods[:-1]
    if not np.isfinite(sales).all():
        nothing = np.full_like(sales, np.nan)
        return _Split(nothing, None, nothing, "No decomposition: there are no sales")
    if not periods:
        return _smooth(sales, _why(step, len(sales)))
    from statsmodels.tsa.seasonal import MSTL, STL

    # So wide a window makes the season the same every year, as two or three years cannot tell
    # how it changes; robust, as events are not seasonal.
    window = 10 * len(sales) + 1
    settings = {"seasonal_deg": 0, "robust": True}
    if len(periods) == 1:
        found = STL(sales, period=periods[0], seasonal=window, **settings).fit()
    else:
        found = MSTL(sales, periods=periods, windows=[window] * 2, stl_kwargs=settings).fit()
    season = np.asarray(found.seasonal).reshape(len(sales), -1).sum(axis=1)
    trend = np.asarray(found.trend)
    lengths = " and ".join(count(period, step or "period") for period in periods)
    seasons = "a season" if len(periods) == 1 else "seasons"
    title = f"What STL finds in observed sales: a trend, {seasons} of {lengths}, and a remainder"
    return _Split(trend, season, sales - trend - season, title)


def _why(step: Step | None, n: int) -> str:
    if step is None:
        return "No season: the frequency of the data is not known"
    if step == "year":
        return "No season: the data do not repeat within a year"
    needed = f"two of {PERIODS[step].seasons[0]} {step}s"
    return f"Too short to tell a season: STL needs {needed}, found {count(n, step)}"


def _smooth(sales: FloatArray, title: str) -> _Split:
    trend = np.full_like(sales, sales.mean())
    if len(sales) >= SHORTEST_SMOOTH and np.ptp(sales) > 0:
        from statsmodels.nonparametric.smoothers_lowess import lowess

        trend = lowess(sales, np.arange(len(sales)), return_sorted=False)
    return _Split(trend, None, sales - trend, f"{title} (trend: Lowess)")


def _without_gaps(values: FloatArray) -> tuple[FloatArray, str]:
    """Fill missing values by straight lines, and say how many; all missing stays so."""
    there = np.isfinite(values)
    missing = int((~there).sum())
    if not missing or not there.any():
        return values, ""
    places = np.arange(len(values))
    filled = np.interp(places, places[there], values[there])
    return filled, f"{missing} missing filled by straight lines"


def _truth_beside(ds: xr.Dataset, split: _Split) -> dict[str, FloatArray]:
    values = _summed(ds)
    level, season = values["base"].to_numpy(), values["seasons"].to_numpy()
    return {
        "true_trend": level - level.mean() + split.trend.mean(),
        "true_season": season - season.mean(),
        "true_noise": values["noise"].to_numpy(),
    }


def _draw_split(
    frame: xr.Dataset,
    ds: xr.Dataset,
    split: _Split,
    notes: tuple[str, ...],
    figsize: tuple[float, float] | None,
) -> Figure:
    series, step = thinned(frame)
    dates = series["date"].to_numpy()
    values = {str(name): series[name].to_numpy() for name in series}
    known = "true_trend" in values
    contents = {"trend": ["sales", "trend", "true_trend"]}
    if split.season is not None:
        contents["season"] = ["season", "true_season"]
    contents["remainder"] = ["remainder"]
    drawn = {name: [values[k] for k in keys if k in values] for name, keys in contents.items()}
    with even_rows([np.concatenate(each) for each in drawn.values()], figsize) as (figure, rows):
        for axes, name in zip(rows, drawn, strict=True):
            axes.set_label(name)
            axes.set_title(_row_title(name, frame), fontsize=10)
            if name == "trend":
                trace(axes, dates, values["sales"], FAINT, width=0.8)
            if name == "remainder":
                around_zero(axes, dates, values[name])
                continue
            trace(axes, dates, values[name], DOT_EDGE, width=2.2)
            if known:
                trace(axes, dates, values[f"true_{name}"], INK, width=1.3, dashed=True)
        date_rows(rows)
        headed(figure, split.title, *notes)
        figure.supylabel(per_period(kpi_of(ds), ds, step), fontsize=9)
        legend = {
            "sales (y)": line(FAINT, width=0.8),
            "found in sales": line(DOT_EDGE, width=2.2),
        }
        if known:
            words = "truth: base sales with trend (moved to the same mean)"
            words += ", seasons with events" if split.season is not None else ""
            legend[words] = line(INK, dashed=True)
        legend_below(figure, legend)
    return figure


def _row_title(name: str, frame: xr.Dataset) -> str:
    if name == "trend":
        return "Sales and their trend"
    if name == "season":
        return "Season"
    mean = float(frame["sales"].mean())
    if not mean > 0 or frame.sizes["date"] == 1:
        return "Remainder"
    words = f"Remainder, sd {share(float(frame['remainder'].std()) / mean)} of mean sales"
    if "true_noise" in frame:
        words += f" (the true noise has {share(float(frame['true_noise'].std()) / mean)})"
    return words
