"""Sales without media: base, trend, seasons and events, and controls."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmm_xgen.dataset import in_memory
from mmm_xgen.formatting.amounts import short_number
from mmm_xgen.formatting.words import count, listed
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.plots.panels import MOST_PANELS, blank, headed, legend_below, line, page_of, span
from mmm_xgen.plots.selection import (
    at_geo,
    check_panel,
    check_sizes,
    kpi_of,
    per_period,
    span_of,
    texts_of,
    thinned,
)
from mmm_xgen.plots.style import FAINT, INK, format_numbers
from mmm_xgen.plots.timelines import (
    SCALE,
    around_zero,
    date_rows,
    draw_spread,
    even_rows,
    has_truth,
    is_switch,
    place_of,
    spread_entries,
    swing,
    switches,
    trace,
    without_panels,
)
from mmm_xgen.schema import check_variables, parts_of

NAMES = {
    "trend": "Trend",
    "level": "Level",
    "seasonality": "Seasons",
    "event": "Events",
    "promotion": "Promotions",
    "demand": "Latent demand",
}
MOST_EVENTS = 4


@in_memory
def plot_baseline(
    ds: xr.Dataset, *, geo: str | None = None, figsize: tuple[float, float] | None = None
) -> Figure:
    """Draw sales without media and controls, and below them their parts on one scale.

    A part that is zero everywhere is left out.

    Parameters
    ----------
    ds : Dataset, dims (date, geo)
        One generated Dataset.
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
    >>> figure = plot_baseline(mmm_xgen.generate_mmm_dataset())
    >>> [axes.get_label() for axes in figure.axes]
    ['baseline', 'trend', 'seasonality']
    """
    check_variables(ds, "intercept_contribution")
    # An aggregated dataset has base sales by date; check_panel would refuse that dim.
    names = [name for name in NAMES if f"{name}_contribution" in parts_of(ds)]
    check_panel(ds, *(f"{name}_contribution" for name in names))
    check_sizes(ds[["intercept_contribution"]])
    full = _baseline_of(at_geo(ds, geo), names)
    drawn = [name for name in names if full[name].any()]
    mean = float(full["intercept"].mean())
    parts, step = thinned(full)
    dates = parts["date"].to_numpy()
    values = {name: parts[name].to_numpy() for name in names}
    base = parts["intercept"].to_numpy()
    total = base + np.sum(list(values.values()), axis=0)
    shown = [np.append(values[name], 0.0) for name in drawn]
    with even_rows([np.concatenate([total, base]), *shown], figsize) as (figure, rows):
        top, *others = rows
        top.set_label("baseline")
        more = ", and the parts below" if drawn else ""
        top.set_title(f"Baseline: base sales of {short_number(mean)}{more}")
        trace(top, dates, base, FAINT, width=1.3, dashed=True)
        trace(top, dates, total, INK)
        for axes, name in zip(others, drawn, strict=True):
            axes.set_label(name)
            axes.set_title(_title(name, full[name].to_numpy(), mean, ds), fontsize=10)
            around_zero(axes, dates, values[name])
        date_rows(rows)
        without = ", ".join(NAMES[name].lower() for name in names if name not in drawn)
        note = (place_of(ds, geo), span_of(ds), SCALE, without and f"none: {without}")
        headed(figure, "What sales are without media and controls", *note)
        figure.supylabel(per_period(kpi_of(ds), ds, step), fontsize=9)
        legend_below(figure, {"baseline": line(INK), "base sales": line(FAINT, dashed=True)})
    return figure


def _baseline_of(ds: xr.Dataset, names: list[str]) -> xr.Dataset:
    parts = {name: ds[f"{name}_contribution"] for name in ("intercept", *names)}
    if "promotion" in parts:
        parts["promotion"] = parts["promotion"].sum("promotion")
    frame = xr.Dataset(parts)
    # Give the intercept dates, so that `thinned` treats it as the other parts.
    frame["intercept"] = frame["intercept"].broadcast_like(frame["trend"])
    return frame.sum("geo")


def _title(name: str, values: FloatArray, base: float, ds: xr.Dataset) -> str:
    words = NAMES[name]
    if name == "event" and "event" in ds.coords:
        words += f" ({listed(texts_of(ds, 'event').values(), MOST_EVENTS)})"
    ends = swing(values, base)
    return f"{words}: {ends} of base sales" if ends else words


@in_memory
def plot_controls(
    ds: xr.Dataset,
    *,
    geo: str | None = None,
    page: int = 1,
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Draw the value of each control, and its effect on sales where that is known.

    Several geos are shown as their median and the span that holds 80% of them. A control that is
    on or off, such as a promotion, is shown as the number of geos in which it is on. Effects are
    summed over geos and drawn on one scale.

    Parameters
    ----------
    ds : Dataset, dims (date, geo, control)
        With ``control_value``, and ``control_contribution`` and ``mu`` if the truth is known.
    geo : str, optional
        One geo; all by default.
    page : int
        Page of controls, the largest effects first: 6 a page with effects, 12 without.
    figsize : tuple of float, optional
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        A page that says so if there are no controls.

    Raises
    ------
    SchemaError
        If the Dataset has a further dim.
    AlignmentError
        If there is no such geo.
    ConfigError
        If there is no such page.

    Examples
    --------
    >>> import mmm_xgen
    >>> figure = plot_controls(mmm_xgen.generate_mmm_dataset())
    >>> [axes.get_label() for axes in figure.axes]
    ['value of Price', 'effect of Price', 'value of Promotion', 'effect of Promotion']
    """
    if not ds.sizes.get("control", 0) or "control_value" not in ds:
        return without_panels("This dataset has no controls", figsize)
    known = has_truth(ds, "control_contribution", "mu")
    check_panel(ds, "control_value", *(("control_contribution", "mu") if known else ()))
    here = at_geo(ds, geo)
    chosen = page_of(_by_effect(here, known), page, MOST_PANELS // (1 + known), "controls")
    columns = 2 if known or len(chosen.names) > 3 else 1
    rows = len(chosen.names) if known else -(-len(chosen.names) // columns)
    with blank(figsize, 1.3 + 1.55 * rows) as figure:
        panels = [
            figure.add_subplot(rows, columns, 1 + place)
            for place in range(len(chosen.names) * (1 + known))
        ]
        step, spread = _draw_values(panels[:: 1 + known], here, chosen.names)
        if known:
            _draw_effects(panels[1::2], here, chosen.names)
        for column in range(columns):
            date_rows(panels[column::columns])
        several = geo is None and ds.sizes["geo"] > 1
        where = f"values over {count(ds.sizes['geo'], 'geo')}" if several else place_of(ds, geo)
        units = f"effects in {per_period(kpi_of(ds), ds, step)}{', summed' * several}, on one scale"
        title = "Controls, and what they do to sales" if known else "Controls as observed"
        headed(figure, title, where, units * known, span_of(ds), chosen.note)
        if spread:
            legend_below(figure, spread_entries(1.3))
    return figure


def _by_effect(ds: xr.Dataset, known: bool) -> list[str]:
    names = [str(name) for name in ds["control"].to_numpy()]
    if not known:
        return names
    size = abs(ds["control_contribution"]).sum(("date", "geo")).to_numpy()
    return [names[place] for place in np.argsort(-size, kind="stable")]


def _draw_values(panels: list[Axes], ds: xr.Dataset, names: list[str]) -> tuple[int, bool]:
    """Draw values over time; return the dates a point and if any panel shows a spread of geos."""
    values = ds[["control_value"]].astype(float)
    means, step = thinned(values)
    # A mean over all days would make a promotion of one day a small one of many.
    when_on = thinned(values.where(values != 0))[0].fillna(0.0)
    dates, texts = means["date"].to_numpy(), texts_of(ds, "control")
    spread = False
    for axes, name in zip(panels, names, strict=True):
        axes.set_label(f"value of {name}")
        full = values["control_value"].sel(control=name).to_numpy()
        switch = is_switch(full)
        axes.set_title(f"{texts[name]}{_when_on(full) if switch else ''}", fontsize=10)
        series = (when_on if switch else means)["control_value"].sel(control=name)
        cells = series.transpose("date", "geo").to_numpy()
        if switch:
            switches(axes, dates, cells)
        else:
            spread |= draw_spread(axes, dates, cells, width=1.3)
        format_numbers(axes, "y")
    return step, spread


def _when_on(values: FloatArray) -> str:
    there = values[np.isfinite(values) & (values != 0)]
    low, high = short_number(float(there.min())), short_number(float(there.max()))
    return f": {low} where it is on" if low == high else f": {low} to {high} where it is on"


def _draw_effects(panels: list[Axes], ds: xr.Dataset, names: list[str]) -> None:
    both = ds[["control_contribution", "mu"]].sum("geo")
    mean = float(both["mu"].mean())
    series, _ = thinned(both)
    effects = series["control_contribution"].sel(control=names)
    ends = span(effects)
    margin = 0.06 * (ends[1] - ends[0] or 1.0)
    for axes, name in zip(panels, names, strict=True):
        values = effects.sel(control=name).to_numpy()
        axes.set_label(f"effect of {name}")
        around_zero(axes, series["date"].to_numpy(), values)
        axes.set_ylim(ends[0] - margin, ends[1] + margin)
        reach = swing(both["control_contribution"].sel(control=name).to_numpy(), mean, 1)
        words = f"effect: {reach} of mean expected sales" if reach else "effect"
        axes.set_title(words if values.any() else "no effect", fontsize=10)
        format_numbers(axes, "y")
