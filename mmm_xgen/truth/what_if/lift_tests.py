"""Lift tests with known truth, in the forms that models take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.config.base import shown
from mmm_xgen.config.experiment import experiment_cells
from mmm_xgen.dataset import config_of, in_memory
from mmm_xgen.errors import AlignmentError, ConfigError, SchemaError, nearest
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.schema import check_variables
from mmm_xgen.streams import stream
from mmm_xgen.truth.media import (
    ChannelResponse,
    after_the_last,
    channel_label,
    channel_response,
    contribution,
    outlasts_data,
    spend_of,
)
from mmm_xgen.truth.what_if.counterfactual import (
    Window,
    check_contributions,
    full_plan,
    geo_positions,
    window_periods,
)

Estimand: TypeAlias = Literal["steady_state", "in_test", "in_test_and_cooldown"]

# Columns that identify a test.
TEST = ["channel", "start", "end", "change", "estimand"]


@in_memory
def lift_test(
    ds: xr.Dataset,
    *,
    channel: str,
    window: Window,
    change: float,
    se: float | Mapping[str, float],
    geos: str | Sequence[str] | None = None,
    estimand: Estimand = "steady_state",
    spend: xr.DataArray | None = None,
    seed: int = 0,
    labels: Literal["column", "channel"] = "column",
    allow_any_sign: bool = False,
    within_data: bool = False,
    bias: float | None = None,
) -> pd.DataFrame:
    r"""Run a geo test of one channel: its true lift, and an estimate with a known error.

    In the window, the spend s without the test becomes :math:`s (1 + \text{change})`. n is the
    number of periods in the window, C and C' are the contributions without and with the test, and
    f is the curve:

    ========================  =================================================================
    `estimand`                true lift per period of the test, in each geo
    ========================  =================================================================
    ``steady_state``          :math:`\text{effect}\,(f(\bar s (1 + \text{change}) W / u) -
                              f(\bar s W / u))`: constant spend at the mean of the window
                              for longer than any carry-over, W the sum of the lag weights
                              (1 where they are normalised), u the spend unit. With
                              ``adstock_first=False`` it is :math:`\text{effect}\, W\,
                              (f(\bar s (1 + \text{change}) / u) - f(\bar s / u))`
    ``in_test``               :math:`\frac{1}{n} \sum_{t \in \text{window}} (C'_t - C_t)`:
                              spend before the window carries in, nothing is counted after it
    ``in_test_and_cooldown``  the same sum up to `l_max` - 1 periods after the window, still
                              divided by n
    ========================  =================================================================

    After the last date, spend is 0 and the revenue per KPI unit stays at its last value.

    If media spill over between geos, the spend of the geos in the test changes, and the lift of a
    geo is what is sold more in it: a part of the effect is in other geos, also in those without
    the test, and the test misses it.

    More sales count positive: the lift of a channel that is switched off is negative. The
    estimate is :math:`\text{true lift}\,(1 + \text{bias}) + \text{se} \cdot z` with z standard
    normal. It has its own
    random stream, so it is independent of the noise of the data and of other tests. A geo has the
    same z, whichever geos are tested with it.

    PyMC-Marketing's likelihood of a lift, :math:`\beta (f(x + \Delta x) - f(x))`, has no adstock.
    So the frame has :math:`x = \bar s W` and the lift. With ``adstock_first=False`` it has
    :math:`x = \bar s` and the lift divided by W, and ``lift_factor`` is W (otherwise 1).

    Parameters
    ----------
    ds : Dataset
        A generated Dataset with all its dates.
    channel : str
        ``"TV"``, ``"x-TV"`` or ``"x1-TV"``.
    window : str, slice or pair
        Dates of the test, as for `change_investment`.
    change : float
        Relative change of spend: 0.5 is 50% more, -1 switches the channel off.
    se : float or mapping of str to float
        Standard error of ``delta_y``, in KPI units per period; by geo if they differ.
    geos : str or list of str, optional
        Geos in the test; all of them by default.
    estimand : {"steady_state", "in_test", "in_test_and_cooldown"}
        Definition of the lift, as above.
    spend : DataArray, optional
        Spend without the test, as for `simulate`, if `ds` already contains the test. Default:
        the spend of `ds`. For a configuration with ``experiments``, the spend without them is
        ``generate_mmm_dataset(config.replace(experiments=())).spend``.
    seed : int
        Seed of the estimates.
    labels : {"column", "channel"}
        Name of the channel in the result: its column in the wide frame (``x1-TV``), or its label.
    allow_any_sign : bool
        If True, an estimate may contradict the sign of the change. This is frequent for a channel
        with little effect, and happens half the time for a placebo.
    within_data : bool, default False
        If True, the cool-down ends at the last date, as in PyMC-Marketing's incrementality.
    bias : float, optional
        Relative bias of the evaluation, such as 0.3 for a lift that is 30% too large on average.
        Default: the `bias` of the configured experiment with the same channel, dates and change,
        in its geos, and else 0.

    Returns
    -------
    DataFrame, one row per geo
        Columns for PyMC-Marketing's ``add_lift_test_measurements``, in original units:
        ``channel``, ``geo``, ``x`` and ``delta_x`` (currency per period), ``delta_y`` (estimate)
        and ``sigma`` (KPI units per period). Columns with the truth: ``true_delta_y``; ``true_roi``
        (revenue of the lift per currency of the change); ``true_roas_with_carryout`` (of all
        spend in the window, Meridian's estimand). Columns on the test: ``spend``,
        ``delta_spend``, ``lift_factor`` (lift per ``delta_y``), ``revenue_per_kpi`` (mean over
        the dates that count, weighted by their lift; of a steady state the plain mean of the
        window), ``start``, ``end``, ``n_periods``, ``change``, ``bias``, ``estimand``, ``complete``
        (whether the cool-down ends by the last date, so that `within_data` makes no difference).
        `x` and ``lift_factor`` differ from `spend` and 1 only where lag weights are not
        normalised.

    Raises
    ------
    ConfigError
        If an argument is impossible, a geo spends nothing in the window, or an estimate
        contradicts the sign of the change, which releases of PyMC-Marketing such as 0.19 do not
        accept. With `allow_any_sign` it is kept, for releases from 1.3 on, whose likelihood is
        normal. Trying seeds until one fits would bias the estimates upwards.
    AlignmentError
        If there is no such channel or geo.
    SchemaError
        If the contributions of `ds` do not follow from its spend.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> test = lift_test(ds, channel="Trend", window="2023-05", change=0.5, se=20.0)
    >>> test[["channel", "geo", "delta_y", "sigma", "true_delta_y"]].round(1)
        channel    geo  delta_y  sigma  true_delta_y
    0  x2-Trend  geo_a    307.0   20.0         311.2
    1  x2-Trend  geo_b    141.6   20.0         176.9
    """
    check_variables(ds, "spend")
    name, geo_labels = channel_label(ds, channel), _geo_labels(ds, geos)
    periods = window_periods(ds, window)
    _check(change, estimand, seed, labels)
    error = _errors(se, geo_labels)
    # Where media spill over, the spend of the test reaches all geos.
    here = ds if "spillover" in ds else ds.sel(geo=geo_labels)
    tested = np.array(geo_positions(here, geo_labels))
    check_contributions(here)
    part = here.sel(channel=[name])
    answer = channel_response(here, name)
    base = spend_of(part if spend is None else part.assign(spend=_one_plan(ds, spend, part)))
    usual = base[0, :, periods].mean(axis=-1)
    level = usual[tested]
    _check_spend(level, geo_labels, name, change)
    length, late = periods.stop - periods.start, outlasts_data(here).sel(channel=name).to_numpy()
    after = 0 if within_data else answer.world.reach
    price = part["revenue_per_kpi"].transpose("geo", "date").to_numpy()
    dynamic = _dynamic_lift(answer, base[0], price, periods, change, after, tested)
    rise, price, lost = (each[tested] for each in dynamic)
    lift, rate = _lift_of(rise, price, length, estimand)
    if estimand == "steady_state":
        lift = _steady_lift(answer, usual, periods, change, tested)[tested]
    carried, factor = (each[tested] for each in _carried(answer))
    true = lift / factor
    wrong = _biases(ds, name, geo_labels, periods, change, bias)
    dates = pd.DatetimeIndex(ds["date"].values[periods])
    z = _draws(ds, (name, str(dates[0].date()), str(dates[-1].date()), repr(float(change))), seed)
    estimate = true * (1 + wrong) + error * z[geo_positions(ds, geo_labels)]
    _check_sign(estimate, change, name, geo_labels, allow_any_sign=allow_any_sign)
    return pd.DataFrame(
        {
            "channel": str(part["channel_column"].item()) if labels == "column" else name,
            "geo": geo_labels,
            "x": level * carried,
            "delta_x": level * change * carried,
            "delta_y": estimate,
            "sigma": error,
            "true_delta_y": true,
            "true_roi": lift * rate / (level * change),
            "true_roas_with_carryout": lost / (level * length),
            "spend": level,
            "delta_spend": level * change,
            "lift_factor": factor,
            "revenue_per_kpi": rate,
            "start": dates[0],
            "end": dates[-1],
            "n_periods": length,
            "change": float(change),
            "bias": wrong,
            "estimand": estimand,
            "complete": ~(base[0][tested, periods] * late[periods]).any(axis=-1),
        }
    )


def _geo_labels(ds: xr.Dataset, geos: str | Sequence[str] | None) -> list[str]:
    return [str(ds["geo"].values[at]) for at in geo_positions(ds, geos)]


def _check(change: Any, estimand: str, seed: Any, labels: str) -> None:
    is_number = isinstance(change, Real) and not isinstance(change, bool | np.bool_)
    if not is_number or not -1 <= change < np.inf or change == 0:
        raise ConfigError(
            f"found change={shown(change)}, allowed: a relative change of at least -1 (off) "
            "that is not 0"
        )
    for what, found, allowed in (
        ("estimand", estimand, get_args(Estimand)),
        ("labels", labels, ("column", "channel")),
    ):
        if found not in allowed:
            raise ConfigError(f"found {what}={shown(found)}; {nearest(str(found), allowed)}")
    if not isinstance(seed, Integral) or seed < 0:
        raise ConfigError(f"found seed={shown(seed)}, allowed: a whole number, at least 0")


def _errors(se: float | Mapping[str, float], geos: list[str]) -> FloatArray:
    """Return the standard error of every geo of the test."""
    if isinstance(se, Mapping):
        for geo in geos:
            if geo not in se:
                raise AlignmentError(f"se has no entry for the geo {geo!r}; give it one")
        values: list[Any] = [se[geo] for geo in geos]
    else:
        values = [se] * len(geos)
    for value in values:
        is_number = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
        if not is_number or not 0 < value < np.inf:
            raise ConfigError(
                f"found se={shown(value)}, allowed: above 0, in KPI units per period of the test"
            )
    return np.array(values, dtype=float)


def _biases(
    ds: xr.Dataset, channel: str, geos: list[str], periods: slice, change: float, bias: Any
) -> FloatArray:
    """Return the relative bias of the evaluation in each geo: the given one, or as configured."""
    if bias is not None:
        is_number = isinstance(bias, Real) and not isinstance(bias, bool | np.bool_)
        if not is_number or not np.isfinite(bias):
            raise ConfigError(
                f"found {shown(bias)}, allowed: a relative bias such as 0.3, or None for that of "
                "the configured experiment",
                path="bias",
            )
        return np.full(len(geos), float(bias))
    found = np.zeros(len(geos))
    experiments = config_of(ds).experiments if "config" in ds.attrs else ()
    if all(each.bias is None for each in experiments):
        return found
    config = config_of(ds)
    dates, names = config.calendar.window().dates, config.regions.names
    cells = experiment_cells(
        experiments, channels=config.channel_names, geos=names, calendar=config.calendar.window()
    )
    ends = ds["date"].values[[periods.start, periods.stop - 1]].astype("datetime64[D]")
    for experiment, cell in zip(experiments, cells, strict=True):
        is_same = config.channel_names[cell.channel] == channel and experiment.change == change
        if is_same and np.array_equal(dates[[cell.start, cell.stop - 1]], ends):
            inside = np.isin(geos, [names[position] for position in cell.geos])
            found[inside] = experiment.bias or 0.0
    return found


def _one_plan(ds: xr.Dataset, spend: xr.DataArray, part: xr.Dataset) -> xr.DataArray:
    plan = full_plan(ds, spend)
    if plan.ndim > part["spend"].ndim:
        raise ConfigError(f"found spend with the dim {plan.dims[0]!r}, allowed: one plan")
    return plan.sel(channel=part["channel"].values, geo=part["geo"].values)


def _check_spend(level: FloatArray, geos: list[str], channel: str, change: float) -> None:
    for geo, spent in zip(geos, level, strict=True):
        if spent == 0:
            raise ConfigError(
                f"{channel!r} spends nothing in {geo!r} in the window, so a change by "
                f"{change:+g} tests nothing; choose other dates, or leave the geo out"
            )


def _check_sign(
    estimate: FloatArray, change: float, channel: str, geos: list[str], *, allow_any_sign: bool
) -> None:
    for geo, value in zip(geos, estimate, strict=True):
        if value * change < 0 and not allow_any_sign:
            raise ConfigError(
                f"the estimate of {channel!r} in {geo!r} is {value:.4g} for a change of spend by "
                f"{change:+g}: PyMC-Marketing 0.19 refuses a lift whose sign contradicts the "
                "change; test longer or with a smaller se, or keep it with allow_any_sign=True "
                "for a release with a normal likelihood (1.3)"
            )


def _steady_lift(
    answer: ChannelResponse,
    level: FloatArray,
    periods: slice,
    change: float,
    tested: NDArray[np.intp],
) -> FloatArray:
    """Return the lift per period at constant spend, dims (geo,), after the longest carry-over."""
    world = answer.world
    if world.is_connected:
        raise ConfigError(
            "found estimand='steady_state' for channels that act on each other, which have no "
            "steady state while the others' spend moves; allowed: 'in_test', 'in_test_and_cooldown'"
        )
    changed = level.copy()
    changed[tested] *= 1 + change
    constant = np.stack([level, changed])[:, None, :, None]
    if world.spillover is not None:
        constant = world.spillover.spread(constant)
    constant = np.broadcast_to(constant, (*constant.shape[:-1], world.media.l_max[0]))
    made = contribution(constant, world.media)[:, 0, :, -1]
    path = world.effect_path
    effect = 1.0 if path is None else path[0, :, periods].mean(axis=-1)
    return np.asarray((made[1] - made[0]) * effect)


def _dynamic_lift(
    answer: ChannelResponse,
    base: FloatArray,
    price: FloatArray,
    periods: slice,
    change: float,
    after: int,
    tested: NDArray[np.intp],
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return lift and revenue per KPI unit from the start to the end of the cool-down, (geo, date).

    And the revenue lost without the spend of the window, dims (geo,). `base` and `price` have dims
    (geo, date); `after` dates without spend follow the last one. The test is in the geos `tested`.
    """
    base, price = after_the_last(base, price, after)
    plans = np.stack([base, base, base])
    plans[1, tested, periods] *= 1 + change
    plans[2, tested, periods] = 0
    made = answer.sales(plans)
    reach = slice(periods.start, periods.stop + answer.world.reach)
    lost = ((made[0] - made[2]) * price)[:, reach].sum(axis=-1)
    return (made[1] - made[0])[:, reach], price[:, reach], lost


def _lift_of(
    rise: FloatArray, price: FloatArray, length: int, estimand: str
) -> tuple[FloatArray, FloatArray]:
    """Return the lift per period and its revenue per KPI unit, dims (geo,)."""
    last = length if estimand == "in_test" else None
    rate = _price_of(rise[:, :last], price[:, :last], length)
    if estimand == "steady_state":
        rate = price[:, :length].mean(axis=-1)
    return rise[:, :last].sum(axis=-1) / length, rate


def _draws(ds: xr.Dataset, path: tuple[str, ...], seed: int) -> FloatArray:
    """Return the standard normal errors of a test, one for each geo of the Dataset."""
    return stream(int(seed), "lift test", *path).standard_normal(ds.sizes["geo"])


def _price_of(rise: FloatArray, price: FloatArray, length: int) -> FloatArray:
    """Return the revenue per KPI unit of a lift, dims (geo,), or the window's mean if it is 0."""
    total = rise.sum(axis=-1)
    weighted = (np.ptp(price, axis=-1) > 0) & (total != 0)
    revenue = (rise * price).sum(axis=-1)
    mean = price[:, :length].mean(axis=-1)
    return np.asarray(np.where(weighted, revenue / np.where(weighted, total, 1.0), mean))


def _carried(answer: ChannelResponse) -> tuple[FloatArray, FloatArray]:
    """Return the factors of adstock under constant spend: inside the curve, and outside of it."""
    media, position = answer.world.media, answer.position
    ones = np.ones(media.amplitude.shape[0])
    if media.normalize[position]:
        return ones, ones
    weight = np.asarray(answer.world.weights[position].sum(axis=-1))
    # If the curve comes first, its argument is the spend itself.
    return (weight, ones) if media.adstock_first else (ones, weight)


def meridian_roi_prior(test: pd.DataFrame) -> pd.DataFrame:
    r"""Lift tests as priors on the ROI of Meridian: mean, sd and calibration window.

    The geos of a test are added up. With n periods, lift :math:`\Delta y_g` with standard error
    :math:`\sigma_g` (``delta_y`` and ``sigma`` times ``lift_factor``), change of spend
    :math:`\Delta s_g` per period, and revenue per KPI unit :math:`r_g`:

    .. math:: \text{mean} = \frac{\sum_g n\, \Delta y_g\, r_g}{\sum_g n\, \Delta s_g}, \qquad
        \text{sd} = \frac{\sqrt{\sum_g (n\, \sigma_g\, r_g)^2}}{|\sum_g n\, \Delta s_g|}

    Meridian's ROI in a calibration window is the revenue lost, carry-out included, if spend were 0
    *in the window only*, divided by that spend. A test measures it if it switches the channel off
    (``change=-1``) in all geos and has the estimand ``in_test_and_cooldown``: then ``true_mean``
    equals ``true_roas_with_carryout``. Any other test measures something else, such as a marginal
    return. The difference of the two columns is the bias of such a prior.

    Parameters
    ----------
    test : DataFrame
        From `lift_test`, or several of them below one another. Rows with the same channel,
        window, change and estimand are geos of one test.

    Returns
    -------
    DataFrame, one row per test
        ``channel``, ``mean``, ``sd``, ``true_mean`` and ``true_roas_with_carryout`` in revenue
        per currency; ``start`` and ``end`` of the window, ``change``, ``n_geos``, ``estimand``,
        ``complete``.
        A mean that is not positive, as in half of all tests of a placebo, has no lognormal prior;
        use ``Normal(mean, sd)``.

    Raises
    ------
    SchemaError
        If a column is missing, or a test has a geo twice, as two seeds of one test do.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> off = {"change": -1.0, "estimand": "in_test_and_cooldown", "se": 20.0}
    >>> prior = meridian_roi_prior(lift_test(ds, channel="Trend", window="2022-05", **off))
    >>> prior[["channel", "mean", "sd", "true_mean", "true_roas_with_carryout"]].round(3)
        channel  mean     sd  true_mean  true_roas_with_carryout
    0  x2-Trend  1.63  0.033      1.664                    1.664
    """
    needed = ["delta_y", "sigma", "true_delta_y", "true_roas_with_carryout", "spend"]
    needed += ["delta_spend", "lift_factor", "revenue_per_kpi", "n_periods", "complete", "geo"]
    needed += TEST
    missing = [name for name in needed if name not in test]
    if missing or test.empty:
        lacks = f"no column {missing[0]!r}" if missing else "no row"
        raise SchemaError(f"the test has {lacks}; pass a frame that lift_test made")
    _check_repeated_geo(test)
    weight = test["n_periods"] * test["revenue_per_kpi"] * test["lift_factor"]
    sums = test[TEST].assign(
        revenue=weight * test["delta_y"],
        variance=(weight * test["sigma"]) ** 2,
        true_revenue=weight * test["true_delta_y"],
        invested=test["n_periods"] * test["delta_spend"],
        spend=test["spend"],
        roas=test["spend"] * test["true_roas_with_carryout"],
        n_geos=1,
        n_complete=test["complete"],
    )
    pooled = sums.groupby(TEST, sort=False).sum().reset_index()
    return pd.DataFrame(
        {
            "channel": pooled["channel"],
            "mean": pooled["revenue"] / pooled["invested"],
            "sd": np.sqrt(pooled["variance"]) / pooled["invested"].abs(),
            "true_mean": pooled["true_revenue"] / pooled["invested"],
            "true_roas_with_carryout": pooled["roas"] / pooled["spend"],
            "start": pooled["start"],
            "end": pooled["end"],
            "change": pooled["change"],
            "n_geos": pooled["n_geos"],
            "estimand": pooled["estimand"],
            "complete": pooled["n_complete"] == pooled["n_geos"],
        }
    )


def _check_repeated_geo(test: pd.DataFrame) -> None:
    repeated = test[test.duplicated([*TEST, "geo"])]
    if repeated.empty:
        return
    row = repeated.iloc[0]
    raise SchemaError(
        f"the test of {row['channel']!r} from {str(row['start'])[:10]} to {str(row['end'])[:10]} "
        f"by {row['change']:+g} has the geo {row['geo']!r} twice, allowed: once, since geos are "
        "added up; pass the results of several seeds one at a time"
    )


@in_memory
def meridian_calibration_period(ds: xr.Dataset, prior: pd.DataFrame) -> xr.DataArray:
    """Periods to which each channel's ROI prior applies, for Meridian's ``roi_calibration_period``.

    Parameters
    ----------
    ds : Dataset
        The Dataset that the model is fitted to.
    prior : DataFrame
        From `meridian_roi_prior`.

    Returns
    -------
    DataArray of bool, dims (date, channel)
        True in the windows of a channel's tests, and everywhere for a channel without a test,
        whose prior means the whole time.

    Raises
    ------
    SchemaError
        If `prior` is not a frame of `meridian_roi_prior`.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> test = lift_test(ds, channel="Trend", window="2022-05", change=-1.0, se=20.0)
    >>> period = meridian_calibration_period(ds, meridian_roi_prior(test))
    >>> period.sum("date").to_series().to_dict()
    {'Seasonal': 104, 'Trend': 5, 'On-Off': 104}
    """
    check_variables(ds, "spend")
    is_frame = isinstance(prior, pd.DataFrame)
    missing = [name for name in ("channel", "start", "end") if is_frame and name not in prior]
    if missing or not is_frame:
        found = f"a frame without {missing[0]!r}" if missing else type(prior).__name__
        raise SchemaError(f"found {found}, allowed: a frame that meridian_roi_prior made")
    shape = (ds.sizes["date"], ds.sizes["channel"])
    period = xr.DataArray(
        np.zeros(shape, dtype=bool),
        dims=("date", "channel"),
        coords={"date": ds["date"].values, "channel": ds["channel"].values},
        attrs={"units": "1", "long_name": "whether the prior on ROI means this period"},
    )
    for row in prior.itertuples():
        name = channel_label(ds, str(row.channel))
        inside = window_periods(ds, (row.start, row.end))
        period[{"date": inside, "channel": period.get_index("channel").get_loc(name)}] = True
    untested = ~period.any("date")
    return period | untested
