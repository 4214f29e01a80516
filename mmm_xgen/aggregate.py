"""Aggregation over geos and time: additive variables stay exact, the others become NaN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.errors import ConfigError, SchemaError, nearest
from mmm_xgen.kernels.calendar import PERIODS, STEPS, WEEKLY, shift, weekday
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.schema import PARTS, check_variables

Dates: TypeAlias = NDArray[np.datetime64]

TARGETS = (*WEEKLY, "MS", "QS", "YS")
# Mean length of a period in days.
LENGTHS = {freq: PERIODS[step].mean_days for freq, step in STEPS.items()}
TIMES = ("date", "history_date")

REQUIRED = (
    "spend",
    "channel_contribution",
    "control_contribution",
    "intercept_contribution",
    "trend_contribution",
    "seasonality_contribution",
    "event_contribution",
    "mu",
    "noise",
    "y",
)
SUMMED = (
    *dict.fromkeys((*REQUIRED, *PARTS)),
    "spend_history",
    "spend_plan",
    "sales_plan",
    "exposure",
    "campaign_spend",
    "clicks",
    "reported_sales",
    "outlier_contribution",
    "lost_sales",
    "media_sales",
    "carryover",
    "event_intensity",
    "population",
    "geo_scale",
)
# Variables whose mean is taken; the geos count by population.
AVERAGED = (
    *("control_value", "promotion_depth", "demand", "mediator_value", "competitor_spend"),
    *("aware_share", "considering_share", "loyal_share", "goodwill"),
)
# Variables that are neither summed nor NaN: see `aggregate`.
OWN_RULE = (*AVERAGED, "revenue_per_kpi")
KIND_COORDINATES = ("adstock_kind", "saturation_kind", "l_max", "normalize")
# Advice on other sums of a Dataset that has no configuration, by its attribute.
NOTES = {
    "source_config": "regenerate from source_config, then aggregate again",
    "counterfactual": "a counterfactual: simulate again, then aggregate",
}


def aggregate(ds: xr.Dataset, geo: str | None = "national", freq: str | None = None) -> xr.Dataset:
    """Sum a dataset over its geos, over time, or over both.

    Spend, every contribution, ``mu``, ``noise`` and ``y`` are summed. So the parts still sum to
    ``mu``, ``y - mu == noise`` holds, and the ROAS of every channel over the whole window does
    not change. The response curves are lost: a sum of curves of several geos or periods is not
    such a curve, so parameters become NaN.

    ==============================  ==========================================================
    variable                        becomes
    ==============================  ==========================================================
    ``spend``, ``spend_history``,   the sum
    contributions, ``mu``,
    ``noise``, ``y``, plans of
    spend and sales, ``exposure``,
    ``campaign_spend``,
    ``clicks``,
    ``reported_sales``,
    ``lost_sales``,
    ``media_sales``
    ``intercept_contribution``      the sum. Over time it gains the dim date, because periods
                                    then differ in length
    ``carryover``                   the sum, in currency; NaN with ``adstock_first=False``,
                                    where it is not a spend
    ``population``, ``geo_scale``   the sum over geos
    ``event_intensity``             the sum over time: periods of full effect
    ``control_value``               the mean, over geos weighted by population. Effects per
                                    unit scale with it, so a linear control stays linear in its
                                    national value. Over time in two steps it is the mean of
                                    means
    ``demand``,                     the mean, as of controls, so that an indicator without error
    ``mediator_value``,             still shows demand. Its variance is then below 1. The same holds
    ``aware_share``,                for shares of people and ``goodwill``
    ``considering_share``,
    ``loyal_share``, ``goodwill``
    ``promotion_depth``             the mean, as of the control that shows it
    ``revenue_per_kpi``             unchanged; it must be the same in everything that is summed
    everything else                 NaN, with the reason in ``attrs["reason"]``
    ==============================  ==========================================================

    Parameters
    ----------
    ds : Dataset
        A generated or aggregated Dataset.
    geo : str or None, default "national"
        Label of the one geo that holds the sum; None keeps the geos.
    freq : {"W-MON", ..., "W-SUN", "MS", "QS", "YS"} or None, default None
        Weeks from that weekday, months, quarters or years; None keeps the dates. A period
        belongs to the new period that contains its first day: a week from 31 January on counts
        in January.

    Returns
    -------
    Dataset
        Same variables, labelled with the first day of each new period. ``attrs["aggregation"]``
        names the steps, and ``attrs["partial_periods"]`` lists the first and last new period
        if the data do not fill them. The result cannot be regenerated: the configuration is kept
        as ``attrs["source_config"]`` (a counterfactual has only ``factual_config``). If there is
        nothing to sum (one geo, the same freq), only labels change and parameters stay.

    Raises
    ------
    ConfigError
        If `freq` is unknown, finer than the data, or of the same length on other days, or if
        `geo` is not a text.
    SchemaError
        If `ds` lacks a variable, or if ``revenue_per_kpi`` differs within a sum: one value could
        not keep the revenue of every channel.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> national = aggregate(ds, freq="QS")
    >>> dict(national["y"].sizes), national["date"].values[1].astype(str)[:10]
    ({'date': 8, 'geo': 1}, '2022-04-01')
    >>> bool(abs(national["spend"].sum() / ds["spend"].sum() - 1) < 1e-12)
    True
    >>> national["effect"].attrs["reason"]
    'no such parameter of a sum over 2 geos and over time (W-MON to QS)'
    """
    if geo is not None and not (isinstance(geo, str) and geo):
        raise ConfigError(f"found {geo!r}, allowed: a label, or None to keep the geos", path="geo")
    check_variables(ds, *REQUIRED, "control_value", "revenue_per_kpi", "population", "date", "geo")
    result, steps = ds, []
    if freq is not None:
        source = _source_freq(ds)
        if freq != source:
            _check_freq(freq, source)
            result = _over_time(result, freq, source)
            steps.append(f"over time ({source} to {freq})")
    n_geos = ds.sizes["geo"]
    if geo is not None and n_geos > 1:
        result = _over_geos(result, geo)
        steps.insert(0, f"over {n_geos} geos")
    elif geo is not None:
        result = result.assign_coords(geo=np.array([geo]))
    if steps:
        result = _without_parameters(_with_residual(result), " and ".join(steps))
    return _marked(result, steps) if steps or geo is not None else ds.copy()


# Time --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Periods:
    """New periods of sorted dates: first day, position of the first date, number of dates."""

    labels: Dates
    starts: NDArray[np.intp]
    counts: FloatArray

    @classmethod
    def of(cls, dates: Dates, freq: str) -> _Periods:
        labels, starts, counts = np.unique(
            first_days(dates, freq), return_index=True, return_counts=True
        )
        return cls(labels, starts, counts.astype(float))

    def reduce(self, variable: xr.Variable, dim: str, by: np.ufunc = np.add) -> xr.Variable:
        """Return the variable summed, or reduced by another ufunc, over each new period."""
        axis = variable.dims.index(dim)
        values = by.reduceat(np.asarray(variable.data), self.starts, axis=axis)
        return xr.Variable(variable.dims, values, variable.attrs)


def first_days(dates: Dates, freq: str) -> Dates:
    """Return the first day of the period of frequency `freq` that contains each date.

    Examples
    --------
    >>> first_days(np.array(["2024-05-31"], "datetime64[ns]"), "QS").astype(str)[0][:10]
    '2024-04-01'
    """
    days = dates.astype("datetime64[D]")
    if length := PERIODS[STEPS[freq]].months:
        months = days.astype("datetime64[M]").astype(np.int64)
        first = (months - months % length).astype("datetime64[M]").astype("datetime64[D]")
    else:
        first = days - (weekday(days) - WEEKLY.index(freq)) % 7
    return np.asarray(first.astype("datetime64[ns]"))


def _over_time(ds: xr.Dataset, freq: str, source: str) -> xr.Dataset:
    ds = ds.sortby([dim for dim in TIMES if dim in ds.dims])
    periods = {dim: _Periods.of(ds[dim].to_numpy(), freq) for dim in TIMES if dim in ds.dims}
    window = periods["date"]
    reduced: dict[str, xr.Variable] = {}
    for name in (*SUMMED, *OWN_RULE):
        dim = next((dim for dim in TIMES if name in ds and dim in ds[name].dims), None)
        if dim is not None:
            reduced[name] = periods[dim].reduce(ds[name].variable, dim)
    counts = xr.Variable("date", window.counts)
    for name in set(AVERAGED) & set(reduced):
        values = ds[name].variable
        mean = (reduced[name] / counts).transpose(*values.dims)
        reduced[name] = xr.Variable(values.dims, mean.data, values.attrs)
    reduced["revenue_per_kpi"] = _constant(ds["revenue_per_kpi"].variable, window)
    intercept = ds["intercept_contribution"].variable
    if "date" not in intercept.dims:
        total = (counts * intercept).transpose(..., "date", "geo")
        reduced["intercept_contribution"] = xr.Variable(total.dims, total.data, intercept.attrs)
    partial = _partial(ds, window, freq, source)
    # The selection gives the other variables their new shape.
    result = ds.isel({dim: periods[dim].starts for dim in periods})
    dates = {dim: xr.Variable(dim, periods[dim].labels, ds[dim].attrs) for dim in periods}
    result = result.assign_coords(dates).assign(reduced)
    return result.assign_attrs(freq=freq, partial_periods=",".join(partial))


def _constant(variable: xr.Variable, periods: _Periods) -> xr.Variable:
    lowest = periods.reduce(variable, "date", np.minimum)
    highest = periods.reduce(variable, "date", np.maximum)
    if not np.array_equal(lowest.data, highest.data):
        raise _varying("within a new period")
    return lowest


def _partial(ds: xr.Dataset, periods: _Periods, freq: str, source: str) -> list[str]:
    """Return the first days of new periods that the data do not fill, now or before."""
    dates = ds["date"].to_numpy()
    outer = dates[[0, -1]].astype("datetime64[D]")
    around = first_days(shift(outer, np.array([-1, 1]), STEPS[source]), freq)
    ends = periods.labels[[0, -1]]
    earlier = str(ds.attrs.get("partial_periods", ""))
    known = np.array(earlier.split(",") if earlier else [], dtype="datetime64[ns]")
    return sorted({str(day)[:10] for day in [*ends[ends == around], *first_days(known, freq)]})


def _source_freq(ds: xr.Dataset) -> str:
    freq = str(ds.attrs.get("freq", ""))
    if freq not in LENGTHS:
        raise SchemaError(f"the Dataset has the attribute freq={freq!r}; {nearest(freq, LENGTHS)}")
    return freq


def _check_freq(freq: str, source: str) -> None:
    if freq not in TARGETS:
        raise ConfigError(f"found {freq!r}, {nearest(str(freq), TARGETS)}", path="freq")
    if LENGTHS[freq] > LENGTHS[source]:
        return
    relation = "finer than" if LENGTHS[freq] < LENGTHS[source] else "as long as"
    longer = [repr(name) for name in TARGETS if LENGTHS[name] > LENGTHS[source]]
    raise ConfigError(
        f"found {freq!r}, {relation} the {source!r} of the data, allowed: "
        f"{', '.join([*longer, 'None'])}",
        path="freq",
    )


# Geos --------------------------------------------------------------------------------------


def _over_geos(ds: xr.Dataset, label: str) -> xr.Dataset:
    price = ds["revenue_per_kpi"]
    if not price.min("geo").equals(price.max("geo")):
        raise _varying("between geos")
    share = ds["population"] / ds["population"].sum("geo")
    new = {name: ds[name].sum("geo", skipna=False) for name in _with_geo(ds, SUMMED)}
    new |= {name: (ds[name] * share).sum("geo", skipna=False) for name in _with_geo(ds, AVERAGED)}
    # The first geo gives the other variables their new shape, and the revenue per KPI unit.
    result = ds.isel(geo=[0]).assign_coords(geo=("geo", np.array([label]), ds["geo"].attrs))
    return result.assign({name: _like(ds[name], total) for name, total in new.items()})


def _like(variable: xr.DataArray, total: xr.DataArray) -> xr.Variable:
    """Return the sum over geos with the dims, their order and the attributes of `variable`."""
    values = total.expand_dims("geo").transpose(*variable.dims)
    return xr.Variable(variable.dims, values.data, variable.attrs)


def _with_geo(ds: xr.Dataset, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if name in ds and "geo" in ds[name].dims]


# Noise, parameters and attributes -------------------------------------------------------------


def _with_residual(ds: xr.Dataset) -> xr.Dataset:
    """Return the Dataset with noise equal to ``y - mu`` in every bit; sums are rounded apart."""
    noise, residual = ds["noise"], ds["y"] - ds["mu"]
    # Keep the sum of the noise if y is missing.
    residual = residual.fillna(noise).transpose(*noise.dims)
    return ds.assign(noise=xr.Variable(noise.dims, residual.data, noise.attrs))


def _without_parameters(ds: xr.Dataset, steps: str) -> xr.Dataset:
    kept = {*SUMMED, *OWN_RULE}
    if not ds.attrs.get("adstock_first", 1):
        kept.remove("carryover")
    blank = {}
    for name, variable in ds.data_vars.items():
        if name not in kept:
            noun = "stage" if name in ("carryover", "saturated") else "parameter"
            blank[name] = xr.full_like(variable, np.nan, dtype=float).assign_attrs(
                reason=f"no such {noun} of a sum {steps}"
            )
    kinds = {
        name: ds[name].variable.copy(deep=False) for name in KIND_COORDINATES if name in ds.coords
    }
    for coordinate in kinds.values():
        coordinate.attrs = {**coordinate.attrs, "reason": f"before the sum {steps}"}
    return ds.assign(blank).assign_coords(kinds)


def _marked(ds: xr.Dataset, steps: list[str]) -> xr.Dataset:
    """Return the Dataset with attributes that name the steps, and without its configuration."""
    attrs = {name: value for name, value in ds.attrs.items() if name != "config"}
    if "config" in ds.attrs:
        attrs["source_config"] = ds.attrs["config"]
    earlier = [each for each in str(ds.attrs.get("aggregation", "")).split("; ") if each]
    done = f"sum {' and '.join(steps)}" if steps else "new label of the geo"
    note = [told for name, told in NOTES.items() if name in attrs][:1]
    attrs["aggregation"] = "; ".join(
        [*(each for each in earlier if each not in NOTES.values()), done, *note]
    )
    result = ds.copy(deep=False)
    result.attrs = attrs
    return result


def _varying(where: str) -> SchemaError:
    return SchemaError(
        f"'revenue_per_kpi' differs {where}, so that one figure could not keep the revenue of "
        "every channel; aggregate only where it is constant, or make it so first"
    )
