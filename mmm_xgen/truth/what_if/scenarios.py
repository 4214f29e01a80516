"""Changes of the spend in one line, and scenarios side by side in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import xarray as xr

from mmm_xgen.atomic import NETCDF_LOCK, csv_of, with_reason, writing
from mmm_xgen.config.base import shown
from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import ConfigError, XgenError, nearest
from mmm_xgen.schema import check_variables
from mmm_xgen.truth.media import (
    ChannelResponse,
    array_of,
    carryout_periods,
    channel_label,
    channel_response,
    outlasts_data,
    variable_of,
)
from mmm_xgen.truth.what_if.counterfactual import (
    MEDIA_DIMS,
    Window,
    check_contributions,
    full_plan,
    geo_positions,
    window_periods,
)
from mmm_xgen.world import respond, total_response

Change: TypeAlias = Mapping[str, Any]
Scenario: TypeAlias = xr.DataArray | Change | Sequence[Change]

KEYS = ("channel", "geo", "window", "to", "by")
ROUNDING = 1e-12

# Units and meaning of every column of a table, in order.
FIGURES = {
    "spend": ("{currency}", "spend"),
    "sales": ("{kpi}", "expected sales"),
    "contribution": ("{kpi}", "contribution"),
    "revenue": ("{currency}", "expected revenue"),
    "incremental_spend": ("{currency}", "spend beyond today's"),
    "incremental_sales": ("{kpi}", "sales beyond today's"),
    "incremental_revenue": ("{currency}", "revenue beyond today's"),
    "incremental_profit": ("{currency}", "revenue less spend, beyond today's"),
    "incremental_roas": ("1", "incremental revenue per unit of added spend"),
    "roas": ("1", "revenue lost without media, over its spend,"),
}


@in_memory
def change_investment(
    ds: xr.Dataset,
    *,
    channel: str,
    geo: str | Sequence[str] | None = None,
    window: Window = None,
    to: float | None = None,
    by: float | None = None,
) -> xr.DataArray:
    """Return today's spend with a change of one channel, for `simulate` and for generation.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset.
    channel : str
        ``"TV"``, ``"x-TV"`` or ``"x1-TV"``.
    geo : str or list of str, optional
        Geos in which spend changes; all of them by default.
    window : str, slice, pair or date, optional
        Dates on which it changes: ``"2023"``, ``"2023-05"``, ``("2023-05-01", "2023-06-30")``,
        ``slice("2023-05", None)``; both ends count, and a period belongs to the window if its
        first day does. All dates by default.
    to : float, optional
        New spend, in currency per period *in every chosen geo*.
    by : float, optional
        Relative change: 0.1 is 10% more, -1 switches the channel off. Spend of 0 stays 0.

    Returns
    -------
    DataArray, dims (date, geo, channel)
        Spend of all channels, geos and dates, in currency per period.

    Raises
    ------
    ConfigError
        If both or neither of `to` and `by` are given, if the result would be negative, or if
        the window has no date.
    AlignmentError
        If there is no such channel or geo.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> plan = change_investment(ds, channel="x-Trend", geo="geo_a", window="2023-05", by=0.5)
    >>> added = (plan - ds.spend).sum("date")
    >>> float(added.sel(channel="Trend", geo="geo_b"))
    0.0
    >>> may = ds.spend.sel(channel="Trend", geo="geo_a", date="2023-05").sum()
    >>> bool(abs(added.sum() - may / 2) < 1e-9)
    True
    """
    check_variables(ds, "spend")
    _check_change(to, by)
    where = {
        "channel": [str(name) for name in ds["channel"].values].index(channel_label(ds, channel)),
        "geo": geo_positions(ds, geo),
        "date": window_periods(ds, window),
    }
    plan: xr.DataArray = variable_of(ds, "spend", *MEDIA_DIMS).astype(float).copy()
    plan[where] = plan[where] * (1 + by) if by is not None else to
    return plan


def _check_change(to: float | None, by: float | None) -> None:
    if (to is None) == (by is None):
        raise ConfigError(
            f"found to={to} and by={by}, allowed: one of them (to=, in currency per period and "
            "geo, or by=, a relative change such as 0.1)"
        )
    name, value, least = ("by", by, -1) if by is not None else ("to", to, 0)
    is_number = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
    if not is_number or not least <= float(value or 0) < np.inf:
        found = f"found {name}={shown(value)}"
        raise ConfigError(f"{found}, allowed: a finite number, at least {least}")


@in_memory
def predict_impact(
    ds: xr.Dataset,
    *,
    channel: str,
    geo: str | Sequence[str] | None = None,
    window: Window = None,
    to: float | None = None,
    by: float | None = None,
    within_data: bool = False,
) -> xr.Dataset:
    r"""Compute the effect of a change of one channel's spend on sales, exactly and without noise.

    :math:`C` is today's contribution and :math:`C'` that under the changed spend. Sums run over
    the chosen geos, or all geos if media spill over, and the dates from :math:`t_0` to
    :math:`t_1`:

    .. math:: \text{incremental sales} = \sum_{t, g} (C'_{tg} - C_{tg}), \qquad
        \text{incremental revenue} = \sum_{t, g} (C'_{tg} - C_{tg})\, \text{revenue}_{tg},

    .. math:: \text{incremental profit} = \text{incremental revenue}
        - \text{incremental spend}, \qquad
        \text{incremental ROAS} = \frac{\text{incremental revenue}}{\text{incremental spend}}

    Variables without suffix end at the last date of the window; those with the suffix
    ``_with_carryout`` end `l_max` - 1 periods later. After the last date, spend is 0 and the
    revenue per KPI unit stays at its last value. Spend before the window is in both terms. More
    spend counts positive.

    Parameters
    ----------
    ds, channel, geo, window, to, by
        As for `change_investment`.
    within_data : bool, default False
        If True, carry-out ends at the last date.

    Returns
    -------
    Dataset
        Scalars ``incremental_spend``, ``incremental_sales``, ``incremental_revenue``,
        ``incremental_profit``, ``incremental_roas``, and the last four with ``_with_carryout``.
        The ratio is NaN unless spend rises by more than rounding and falls on no date in any geo,
        because its sign would mislead. Attributes: the change, and ``carryout_periods``. The
        coordinate ``complete`` is True if all carry-out arrives by the last date, so
        `within_data` makes no difference.

    Raises
    ------
    ConfigError, AlignmentError, SchemaError
        As for `change_investment` and `simulate`.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> impact = predict_impact(ds, channel="Trend", window="2023-05", by=0.1)
    >>> bool(impact.incremental_sales_with_carryout > impact.incremental_sales > 0)
    True
    """
    plan = change_investment(ds, channel=channel, geo=geo, window=window, to=to, by=by)
    name, periods = channel_label(ds, channel), window_periods(ds, window)
    chosen = {"channel": [name], "geo": ds["geo"].values[geo_positions(ds, geo)].tolist()}
    # Media that spill over sell in all geos.
    counted = {**chosen, "geo": ds["geo"].values.tolist()} if "spillover" in ds else chosen
    part, here = ds.sel(counted), ds.sel(geo=counted["geo"])
    check_contributions(here)
    changed = plan.sel(counted)
    answer = channel_response(here, name)
    carryout = int(carryout_periods(part).item())
    if answer.world.is_connected:
        carryout = answer.world.reach
    complete = not bool(((changed != part["spend"]) & outlasts_data(part)).any())
    if within_data:
        carryout = min(carryout, ds.sizes["date"] - periods.stop)
    rise, price = _rise_with_carryout(answer, part, changed, carryout)
    added, spent = float((changed - part["spend"]).sum()), float(changed.sum())
    rises = bool(_only_rises(added, float(_fall(changed, part["spend"]).sum()), spent))

    currency, kpi = (str(ds.attrs.get(key, key)) for key in ("currency", "kpi"))
    results = {"incremental_spend": (added, currency, "spend added in the window")}
    for suffix, stop, told in (
        ("", periods.stop, "up to the end of the window"),
        ("_with_carryout", periods.stop + carryout, "up to the end of the carry-over"),
    ):
        inside_dates = slice(periods.start, stop)
        inside = rise.isel(date=inside_dates)
        sales = float(inside.sum())
        revenue = float((inside * price.isel(date=inside_dates)).sum())
        per_unit = revenue / added if rises else np.nan
        results |= {
            f"incremental_sales{suffix}": (sales, kpi, f"incremental sales {told}"),
            f"incremental_revenue{suffix}": (revenue, currency, f"incremental revenue {told}"),
            f"incremental_profit{suffix}": (
                revenue - added,
                currency,
                f"incremental revenue less spend added, {told}",
            ),
            f"incremental_roas{suffix}": (
                per_unit,
                "1",
                f"incremental revenue per unit of spend added, {told}",
            ),
        }
    dates = np.datetime_as_string(ds["date"].values[periods][[0, -1]], unit="D")
    attrs = {
        "channel": name,
        "geo": ", ".join(chosen["geo"]),
        "window_start": str(dates[0]),
        "window_end": str(dates[1]),
        "change": f"to {to:g} per period and geo" if to is not None else f"by {by:+.6g}",
        "carryout_periods": carryout,
    }
    variables = {
        key: ((), value, {"units": units, "long_name": told})
        for key, (value, units, told) in results.items()
    }
    meaning = {"units": "1", "long_name": "whether all carry-out arrives by the last date"}
    return xr.Dataset(variables, {"complete": ((), complete, meaning)}, attrs=attrs)


def _rise_with_carryout(
    answer: ChannelResponse, part: xr.Dataset, changed: xr.DataArray, after: int
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return rise of sales and revenue per KPI unit, with `after` dates after the last one."""
    plans = [
        array_of(part.assign(spend=each), "spend", "channel", "geo", "date")[0]
        for each in (changed, part["spend"])
    ]
    spend = np.pad(np.stack(plans), [(0, 0), (0, 0), (0, after)])
    made, today = answer.sales(spend)
    price = part["revenue_per_kpi"].drop_vars("date").pad(date=(0, after), mode="edge")
    return xr.DataArray(made - today, dims=("geo", "date"), coords={"geo": part["geo"]}), price


@in_memory
def compare_scenarios(ds: xr.Dataset, scenarios: Mapping[str, Scenario]) -> xr.Dataset:
    r"""Compare named scenarios: spend, sales and the difference to today, without noise.

    Sums run over all dates and geos of `ds`. Incremental is the scenario minus today, so more
    counts positive. Effects after the last date are not counted. :math:`C` are the contributions
    under a scenario:

    .. math:: \text{sales} = \sum_{t, g} \mu_{tg} + \sum_{t, g, c} (C_{tgc} - C^{today}_{tgc}),
        \qquad \text{ROAS}_c = \frac{\sum_{t, g} C_{tgc}\, \text{revenue}_{tg}}
        {\sum_{t, g} s_{tgc}}

    Parameters
    ----------
    ds : Dataset
        A generated Dataset with all its dates.
    scenarios : mapping of str to DataArray, mapping or list of mappings
        Scenarios by name. A scenario is a spend plan as for `simulate`, or one or more changes
        with the arguments of `change_investment`, each applied to the result of the one before:
        ``{"more TV": {"channel": "TV", "by": 0.2}}``. An empty list is today.

    Returns
    -------
    Dataset, dims (scenario, channel)
        In total (scenario,): ``spend``, ``sales``, ``revenue``, ``incremental_spend``,
        ``incremental_sales``, ``incremental_revenue``, ``incremental_profit`` (incremental
        revenue less incremental spend), ``incremental_roas`` (incremental revenue per unit of
        added spend) and ``roas`` (of all media). By channel (scenario, channel): the same with
        the prefix ``channel_``, and ``channel_contribution`` for sales. ``incremental_roas`` is
        NaN unless spend rises and does not fall on any date, in any geo or channel, because its
        sign would mislead. ``roas`` is NaN if spend is 0.

    Raises
    ------
    ConfigError, AlignmentError, SchemaError
        As for `change_investment` and `simulate`, with the name of the scenario.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> shift = [{"channel": "Trend", "by": -0.1}, {"channel": "Seasonal", "by": 0.1}]
    >>> table = compare_scenarios(ds, {"no Trend": {"channel": "Trend", "to": 0}, "shift": shift})
    >>> bool(table.incremental_sales.sel(scenario="no Trend") < 0)
    True
    """
    check_variables(ds, "spend", "mu", "revenue_per_kpi", "channel_contribution")
    if not isinstance(scenarios, Mapping) or not scenarios:
        raise ConfigError(
            f"found {shown(scenarios)}, allowed: a mapping of at least one name to a scenario"
        )
    check_contributions(ds)
    plans = {str(name): _plan(ds, str(name), plan) for name, plan in scenarios.items()}
    today = respond(ds["spend"], ds)
    rows = [_row(ds, plan, today) for plan in plans.values()]
    names = xr.DataArray(list(map(str, scenarios)), dims="scenario", name="scenario")
    by_channel = xr.concat(rows, dim=names, coords="minimal", compat="override", join="exact")
    return _table(ds, by_channel, _rise_of_others(ds, plans, names))


def _rise_of_others(
    ds: xr.Dataset, plans: Mapping[str, xr.DataArray], names: xr.DataArray
) -> xr.Dataset:
    """Return what channels make together, dims (scenario,): ``revenue``, and the rise of both."""
    rows = []
    for plan in (*plans.values(), ds["spend"]):
        sales = total_response(plan, ds) - respond(plan, ds).sum("channel")
        rows.append((float(sales.sum()), float((sales * ds["revenue_per_kpi"]).sum())))
    *made, today = np.array(rows)
    rise = np.array(made) - today
    figures = {
        "revenue": [revenue for _, revenue in made],
        "incremental_sales": rise[:, 0],
        "incremental_revenue": rise[:, 1],
    }
    return xr.Dataset(
        {key: ("scenario", found) for key, found in figures.items()}, {"scenario": names}
    )


def _row(ds: xr.Dataset, plan: xr.DataArray, today: xr.DataArray) -> xr.Dataset:
    """Return the figures of one scenario by channel, dims (channel,)."""
    made, rate = respond(plan, ds), ds["revenue_per_kpi"]
    rise = made - today
    figures = {
        "spend": plan,
        "contribution": made,
        "revenue": made * rate,
        "incremental_spend": plan - ds["spend"],
        "spend_fall": _fall(plan, ds["spend"]),
        "incremental_sales": rise,
        "incremental_revenue": rise * rate,
    }
    sums = xr.Dataset({name: values.sum(("date", "geo")) for name, values in figures.items()})
    return sums.reset_coords(drop=True)


def _fall(plan: xr.DataArray, today: xr.DataArray) -> xr.DataArray:
    return (today - plan).clip(min=0)


def _only_rises(added: Any, fall: Any, spend: Any) -> Any:
    """Tell if total spend rises and no part of it falls, by more than rounding.

    Only then is the ratio of added revenue to added spend a return. If spend falls, the ratio is
    negative for a saving that gains, and high for a loss that exceeds the saving.
    """
    # A shift between channels leaves a total change of the size of rounding.
    rounding = ROUNDING * (spend + abs(added))
    return (added > rounding) & (fall <= rounding)


def _table(ds: xr.Dataset, by_channel: xr.Dataset, others: xr.Dataset) -> xr.Dataset:
    """Return totals and the figures of the channels, labelled."""
    total = by_channel.sum("channel")
    for name in ("incremental_sales", "incremental_revenue"):
        total[name] = total[name] + others[name]
    media_revenue = total["revenue"] + others["revenue"]
    total["sales"] = ds["mu"].sum() + total["incremental_sales"]
    total["revenue"] = (ds["mu"] * ds["revenue_per_kpi"]).sum() + total["incremental_revenue"]
    for figures, earned in ((total, media_revenue), (by_channel, by_channel["revenue"])):
        added, spend, gained = (
            figures[name] for name in ("incremental_spend", "spend", "incremental_revenue")
        )
        figures["incremental_profit"] = gained - added
        rises = _only_rises(added, figures["spend_fall"], spend)
        figures["incremental_roas"] = (gained / added).where(rises)
        figures["roas"] = (earned / spend).where(spend != 0)
    columns = {name: total[name] for name in FIGURES if name in total and name != "contribution"}
    columns |= {
        f"channel_{name}": by_channel[name].transpose("scenario", "channel")
        for name in FIGURES
        if name in by_channel
    }
    units = {"currency": ds.attrs.get("currency", ""), "kpi": ds.attrs.get("kpi", "")}
    for name, values in columns.items():
        unit, told = FIGURES[name.removeprefix("channel_")]
        whose = "of the channel" if name.startswith("channel_") else "in total"
        if name == "channel_revenue":
            told = "revenue from the contribution"
        values.attrs = {"units": unit.format(**units), "long_name": f"{told} {whose}"}
    table = xr.Dataset(columns)
    table.attrs = {key: value for key, value in units.items() if value}
    return table


def _plan(ds: xr.Dataset, name: str, scenario: Scenario) -> xr.DataArray:
    """Return the spend under one scenario, dims (date, geo, channel)."""
    try:
        if isinstance(scenario, xr.DataArray):
            plan = full_plan(ds, scenario)
            if plan.ndim > len(MEDIA_DIMS):
                raise ConfigError(f"found the dim {plan.dims[0]!r}, allowed: one plan a scenario")
            return plan
        changes = [scenario] if isinstance(scenario, Mapping) else scenario
        if isinstance(changes, str) or not isinstance(changes, Sequence):
            raise ConfigError(f"found {shown(scenario)}, allowed: a DataArray or a list of changes")
        plan = variable_of(ds, "spend", *MEDIA_DIMS)
        for change in changes:
            _check_keys(change)
            plan = change_investment(ds.assign(spend=plan), **change)
        return plan
    except XgenError as error:
        raise type(error)(f"scenario {name!r}: {error}") from None


def _check_keys(change: Any) -> None:
    if not isinstance(change, Mapping) or "channel" not in change:
        found = f"found the change {shown(change)}"
        raise ConfigError(f"{found}, allowed: a mapping with the key 'channel'")
    for key in change:
        if key not in KEYS:
            raise ConfigError(f"a change has no key {key!r}; {nearest(str(key), KEYS)}")


@in_memory
def write_scenarios(table: xr.Dataset, path: str | Path) -> None:
    """Write a table of scenarios as CSV, one row per scenario, or as NetCDF.

    Parameters
    ----------
    table : Dataset
        From `compare_scenarios`.
    path : str or Path
        Ends in ``.csv`` or ``.nc``. The file is written whole or not at all.

    Raises
    ------
    ConfigError
        If the path has another ending.
    XgenError
        If the folder is missing or cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> table = compare_scenarios(ds, {"less": {"channel": "Trend", "by": -0.1}})
    >>> target = Path(tempfile.mkdtemp()) / "scenarios.csv"
    >>> write_scenarios(table, target)
    >>> target.read_text().splitlines()[0][:35]
    'scenario,spend,sales,revenue,increm'
    """
    ending = Path(path).suffix.lower()
    if ending not in (".csv", ".nc"):
        raise ConfigError(f"found the path {str(path)!r}, allowed: one that ends in .csv or .nc")
    with writing(path) as temporary:
        if ending == ".csv":
            csv_of(scenario_frame(table), temporary, index=True)
        else:
            with NETCDF_LOCK, with_reason(temporary, table.nbytes):
                table.to_netcdf(temporary)


def scenario_frame(table: xr.Dataset) -> pd.DataFrame:
    """Return a table of scenarios as a frame with one row per scenario.

    The columns are the totals, then those of the channels, such as ``channel_spend:TV``.
    """
    if "scenario" not in table.dims or "spend" not in table:
        raise ConfigError("found no table of scenarios; pass one that compare_scenarios made")
    columns = {}
    for name, values in table.data_vars.items():
        if "channel" not in values.dims:
            columns[str(name)] = values.to_numpy()
            continue
        for channel in table["channel"].values:
            columns[f"{name}:{channel}"] = values.sel(channel=channel).to_numpy()
    return pd.DataFrame(columns, index=pd.Index(table["scenario"].values, name="scenario"))
