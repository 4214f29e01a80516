"""Estimands against full regeneration, closed forms by hand, and PyMC-Marketing's own figures."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen import ChannelConfig, ConfigError, MMMDataConfig, RegionConfig, SchemaError
from mmm_xgen.kernels.adstock import ADSTOCKS, register_adstock
from mmm_xgen.kernels.domain import Positive, Share
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.response import amplitude_names
from mmm_xgen.truth.budget.curves import response_curve
from mmm_xgen.truth.information.information_bound import information_bound
from mmm_xgen.truth.information.jacobian import media_columns, model_of
from mmm_xgen.truth.media import derivative
from mmm_xgen.truth.returns.estimands import (
    attribution,
    cost_per_incremental,
    estimands,
    mroas,
    roas,
)
from mmm_xgen.truth.what_if.counterfactual import window_periods
from tests.strategies import CURVES, config_with, generate, quietly, regenerated, steady
from tests.truth.worlds import BOTH, NEWER, assert_near, pymc_marketing_model, remade, world

# All dates, some in the middle, and the last one.
WINDOWS = [None, "2022-05", "2023-02-20"]
RATIOS = ("roas", "roas_with_carryout", "mroas", "mroas_with_carryout")

either = pytest.mark.parametrize(
    "adstock_first", [True, False], ids=["adstock first", "curve first"]
)
windows = pytest.mark.parametrize("window", WINDOWS, ids=str)


@cache
def truth_of(adstock_first: bool, window: Any = None, by: Any = BOTH) -> xr.Dataset:
    return estimands(world(adstock_first), by=by, window=window)


def money(ds: xr.Dataset, change: xr.DataArray, dates: slice) -> xr.DataArray:
    """Revenue of a change of contributions, by geo and channel, in plain sums.

    After the last date of `ds` the price is that of the last date.
    """
    price = ds["revenue_per_kpi"].reindex(date=change["date"].values, method="ffill")
    worth = (change * price).transpose("geo", "channel", "date")
    return worth.isel(date=dates).sum("date", skipna=False)


def spent(ds: xr.Dataset, window: Any) -> xr.DataArray:
    return ds["spend"].isel(date=window_periods(ds, window)).sum("date")


# --- against full regeneration -----------------------------------------------------------------


@either
@windows
def test_roas_is_what_is_lost_without_the_channel(adstock_first: bool, window: Any) -> None:
    ds, today = world(adstock_first), remade(adstock_first)
    lost = today - remade(adstock_first, None, 0.0, history=0.0)
    dates, spend = window_periods(ds, window), spent(ds, window)
    truth = truth_of(adstock_first, window)
    assert_near(truth["roas"], money(ds, lost, dates) / spend)
    assert_near(truth["revenue"], money(ds, lost, dates))
    assert_near(truth["cost_per_incremental"], spend / lost.isel(date=dates).sum("date"))
    assert_near(truth["contribution"], lost.isel(date=dates).sum("date"))
    # Over all geos.
    found = truth_of(adstock_first, window, "channel")["roas"]
    assert_near(found, money(ds, lost, dates).sum("geo") / spend.sum("geo"))
    if window is None:
        # Negative control: with the spend before the window left on, less is lost.
        kept = money(ds, today - remade(adstock_first, None, 0.0), dates)
        assert float(abs(kept / spend / truth["roas"] - 1).max()) > 1e-3


@either
@windows
def test_roas_with_carryout_is_what_is_lost_without_the_window(adstock_first, window):
    ds = world(adstock_first)
    lost = remade(adstock_first) - remade(adstock_first, window, 0.0)
    dates, spend = window_periods(ds, window), spent(ds, window)
    # To the end of the longer world: what is not within l_max of the window must not matter.
    everywhere = money(ds, lost, slice(None))
    truth = truth_of(adstock_first, window)
    assert_near(truth["roas_with_carryout"], everywhere / spend)
    over_geos = truth_of(adstock_first, window, "channel")["roas_with_carryout"]
    assert_near(over_geos, everywhere.sum("geo") / spend.sum("geo"))
    # Up to the last date.
    within = money(ds, lost, slice(None, ds.sizes["date"])) / spend
    cut = estimands(ds, window=window, within_data=True)
    assert_near(cut["roas_with_carryout"], within)
    differs = abs(within * spend / everywhere - 1) > 1e-6
    for found in (truth, cut):
        # Below the threshold, late carry-over sells nothing.
        judged = ds["saturation_kind"] != "threshold_saturation"
        np.testing.assert_array_equal(found["complete"][:, judged], ~differs[:, judged])
    if window is None:
        # Spend before the window still carries over into it.
        assert float(truth["roas"][0, 0]) > float(cut["roas_with_carryout"][0, 0])
        return
    # Negative control: neither rule is the other, nor is what is lost in the window alone.
    for other in (truth["roas"], money(ds, lost, dates) / spend):
        gap = abs(other / truth["roas_with_carryout"] - 1)[:, ds["l_max"].values > 1]
        assert float(gap.max()) > 1e-3


@pytest.mark.parametrize("delta", [0.01, -1.0])
@windows
def test_a_finite_increment(ds: xr.Dataset, window: Any, delta: float) -> None:
    today = remade(True)
    inside = remade(True, window, 1 + delta) - today
    always = remade(True, None, 1 + delta, history=1 + delta) - today
    dates = window_periods(ds, window)
    added = delta * spent(ds, window)
    truth = estimands(ds, window=window, delta=delta)
    # The increment of 1% is a difference of numbers a hundred times as large.
    assert_near(truth["mroas"], money(ds, always, dates) / added)
    assert_near(truth["mroas_with_carryout"], money(ds, inside, slice(None)) / added)
    cut = mroas(ds, BOTH, window=window, delta=delta, with_carryout=True, within_data=True)
    assert_near(cut, money(ds, inside, slice(None, ds.sizes["date"])) / added)
    if delta == -1:
        assert_near(truth["mroas"], truth["roas"])
        assert_near(truth["mroas_with_carryout"], truth["roas_with_carryout"])
        return
    # A linear channel has the same return on its next unit, under both rules.
    linear = list(SATURATIONS).index("no_saturation")
    for rule in ("", "_with_carryout"):
        marginal, average = truth[f"mroas{rule}"], truth[f"roas{rule}"]
        assert_near(marginal[:, linear], average[:, linear])
        assert float(abs(marginal / average - 1).max()) > 0.05
    # Negative control: the derivative is another number, but for curves that are straight.
    slope = truth_of(True, window)["mroas_with_carryout"]
    assert float(abs(truth["mroas_with_carryout"] / slope - 1).max()) > 1e-3


@either
@windows
def test_the_derivative_against_central_differences(adstock_first: bool, window: Any) -> None:
    ds, step = world(adstock_first), 1e-4

    def rise(window: Any, *, moves_history: bool) -> xr.DataArray:
        up, down = (
            remade(adstock_first, window, 1 + h, history=1 + moves_history * h)
            for h in (step, -step)
        )
        return (up - down) / (2 * step)

    spend, truth = spent(ds, window), truth_of(adstock_first, window)
    always = money(ds, rise(None, moves_history=True), window_periods(ds, window))
    inside = money(ds, rise(window, moves_history=False), slice(None))
    assert_near(truth["mroas"], always / spend, 1e-5)
    assert_near(truth["mroas_with_carryout"], inside / spend, 1e-5)
    found = truth_of(adstock_first, window, "channel")["mroas_with_carryout"]
    assert_near(found, inside.sum("geo") / spend.sum("geo"), 1e-5)


def test_one_channel_alone_through_expected_sales() -> None:
    """Nothing of the Dataset but ``mu`` is read, and one channel moves at a time."""
    ds = generate(
        config_with(
            steady("TV", spend_volatility=0.5, adstock={"kind": "geometric_adstock", "alpha": 0.6}),
            steady("Radio", pattern="on_off"),
            revenue_per_kpi=3.0,
        )
    )
    is_tv, inside = ds["channel"] == "TV", ds["date"].dt.month.isin([3, 4])

    def change(where: xr.DataArray, factor: float) -> xr.DataArray:
        """Rise of expected revenue where a part of spend is multiplied."""
        other = regenerated(ds, ds["spend"].where(~where, factor * ds["spend"]))
        return 3 * (other["mu"] - ds["mu"])

    spend = float(ds["spend"].where(is_tv & inside, 0).sum())
    truth = estimands(ds, by="channel", window=("2022-03", "2022-04"), delta=0.01)
    truth = truth.sel(channel="TV")
    assert_near(truth["roas_with_carryout"], -float(change(is_tv & inside, 0).sum()) / spend)
    lost = -float(change(is_tv, 0).where(inside, 0).sum())
    assert_near(truth["roas"], lost / spend)
    assert_near(truth["attribution"], lost / 3 / ds["mu"].where(inside, 0).sum())
    added = 0.01 * spend
    assert_near(truth["mroas_with_carryout"], float(change(is_tv & inside, 1.01).sum()) / added)
    assert_near(truth["mroas"], float(change(is_tv, 1.01).where(inside, 0).sum()) / added)


# --- the derivative by hand --------------------------------------------------------------------


def logistic_slope(x: float, lam: float) -> float:
    return 2 * lam * np.exp(-lam * x) / (1 + np.exp(-lam * x)) ** 2


def hill_slope(x: float, slope: float, kappa: float) -> float:
    return slope * kappa**slope * x ** (slope - 1) / (kappa**slope + x**slope) ** 2


@pytest.mark.parametrize("saturation", ["logistic_saturation", "hill_function"])
def test_the_derivative_against_its_closed_form(saturation: str) -> None:
    alpha, l_max, first, last = 0.6, 5, 10, 22
    ds = generate(
        config_with(
            steady(
                spend_volatility=0.6,
                adstock={"kind": "geometric_adstock", "alpha": alpha, "l_max": l_max},
                saturation={"kind": saturation, **CURVES[saturation]},
            ),
            revenue_per_kpi=2.0,
        )
    )
    spend = ds["spend"].values[:, 0, 0]
    effect = float(ds["effect"].item())
    slope = logistic_slope if saturation == "logistic_saturation" else hill_slope
    mass = sum(alpha**lag for lag in range(l_max))
    within = with_carryout = without_adstock = 0.0
    for t in range(first, last + l_max - 1):
        lags = [lag for lag in range(l_max) if t - lag >= 0]
        carried = sum(alpha**lag / mass * spend[t - lag] for lag in lags)
        own = sum(alpha**lag / mass * spend[t - lag] for lag in lags if first <= t - lag < last)
        per_unit = 2.0 * effect * slope(carried, **CURVES[saturation])
        with_carryout += per_unit * own
        if t < last:
            # All spend that carries into the window moves, that of earlier dates too.
            within += per_unit * carried
            without_adstock += 2.0 * effect * slope(spend[t], **CURVES[saturation]) * spend[t]
    window = (ds["date"].values[first], ds["date"].values[last - 1])
    truth = estimands(ds, window=window).squeeze()
    total = spend[first:last].sum()
    assert_near(truth["mroas"], within / total, 1e-12)
    assert_near(truth["mroas_with_carryout"], with_carryout / total, 1e-12)
    # Negative control: a derivative that ignores the carry-over is another number.
    assert abs(without_adstock / with_carryout - 1) > 1e-3


def test_dates_without_spend_add_nothing_to_the_derivative() -> None:
    """A share more of nothing is nothing, however steep the curve is there."""
    exponents = (0.6, 1.0, 1.7)
    flights = {"pattern": "pulsed", "pulse_on_periods": 5, "pulse_off_periods": 6}
    hills = [{"kind": "hill_function", "slope": n, "kappa": 1500.0} for n in exponents]
    roots = [{"kind": "root_saturation", "alpha": n} for n in exponents]
    channels = [
        steady(f"{curve}", adstock={"kind": "no_adstock"}, saturation=curve, **flights)
        for curve in (*hills, *roots)
    ]
    ds = generate(config_with(*channels))
    spend = ds["spend"].values[:, 0, 0]
    assert (spend == 0).sum() > 10
    x = spend[spend > 0]
    slopes = [hill_slope(x, n, 1500.0) for n in exponents]
    slopes += [n * x ** (n - 1) for n in exponents]
    by_hand = [(slope * x).sum() / x.sum() for slope in slopes]
    assert_near(mroas(ds), ds["effect"].squeeze() * by_hand, 1e-12)
    # Nothing of the parameters' derivatives is at those dates either.
    columns = media_columns(model_of(ds)).values[0]
    assert (columns[spend == 0] == 0).all()
    assert np.isfinite(columns).all()


def test_diminishing_returns_lie_below_average_ones() -> None:
    truth = truth_of(True, "2022-05")
    concave = [
        list(SATURATIONS).index(kind)
        for kind in ("logistic_saturation", "michaelis_menten", "root_saturation", "log_saturation")
    ]
    gap = truth["roas_with_carryout"] - truth["mroas_with_carryout"]
    assert bool((gap[:, concave] > 0).all())


# --- windows, frequencies, groups --------------------------------------------------------------


@pytest.mark.parametrize(
    ("freq", "adstock_first"), [("MS", True), ("YS", False), ("W-THU", False), ("D", True)]
)
def test_every_period_is_a_window(freq: str, adstock_first: bool) -> None:
    ds, since = world(adstock_first), ("2022-12-05", None)
    found = estimands(ds, freq=freq, window=since, delta=0.01)
    assert found["roas"].dims == ("period", "geo", "channel")
    first, last = found["first_date"].values, found["last_date"].values
    assert (first[1:] > last[:-1]).all()
    assert first[0] == np.datetime64("2022-12-05")
    assert last[-1] == ds["date"].values[-1]
    assert (found["period"].values <= first).all()
    for position in (0, len(first) - 1):
        alone = estimands(ds, window=(first[position], last[position]), delta=0.01)
        for name in alone.data_vars:
            part = found[name]
            assert_near(part.isel(period=position) if "period" in part.dims else part, alone[name])
    whole = estimands(ds, window=since)
    for name in ("spend", "contribution", "revenue"):
        assert_near(found[name].sum("period"), whole[name])


def test_periods_are_labelled_by_their_first_day(ds: xr.Dataset) -> None:
    quarters = estimands(ds, by="channel", freq="QS")
    days = quarters["period"].values.astype("datetime64[D]").astype(str).tolist()
    assert days == ["2022-01-01", "2022-04-01", "2022-07-01", "2022-10-01", "2023-01-01"]
    assert str(quarters["first_date"].values[0])[:10] == "2022-01-03"
    quarter = (4 * ds["date"].dt.year + ds["date"].dt.quarter).rename("quarter")
    spend = ds["spend"].sum("geo").groupby(quarter).sum()
    assert_near(quarters["spend"], spend.transpose("quarter", "channel"))
    # The level over geos is that of all that is made.
    hill = {"channel": list(SATURATIONS).index("hill_function")}
    saturated, effect = ds["saturated"].isel(hill).groupby(quarter).mean(), ds["effect"].isel(hill)
    level = (saturated * effect).sum("geo") / effect.sum()
    assert_near(quarters["saturation_level"].isel(hill), level)
    assert bool((level < 1).all())


@pytest.mark.parametrize("by", ["channel", "geo", ()])
def test_groups_are_ratios_of_sums(ds: xr.Dataset, by: Any) -> None:
    names = (by,) if isinstance(by, str) else by
    over = [dim for dim in BOTH if dim not in names]
    cells, grouped = (estimands(ds, freq="QS", by=each) for each in (BOTH, by))
    spend = cells["spend"]
    assert grouped["roas"].dims == ("period", *names)
    for name in RATIOS:
        assert_near(grouped[name], (cells[name] * spend).sum(over) / spend.sum(over))
    costs = spend.sum(over) / cells["contribution"].sum(over)
    assert_near(grouped["cost_per_incremental"], costs)
    assert ("half_saturation" in grouped) == ("channel" in names)
    # Negative control: a mean of ratios is no ratio of sums.
    assert not np.allclose(grouped["roas"], cells["roas"].mean(over), rtol=1e-3)


def test_attribution(ds: xr.Dataset) -> None:
    window = ("2022-05", "2022-07")
    inside = ds.isel(date=window_periods(ds, window))
    truth = estimands(ds, by="channel", window=window)
    contribution = inside["channel_contribution"].sum(("date", "geo"))
    assert_near(truth["attribution"], contribution / inside["mu"].sum())
    assert_near(truth["attribution_of_media"], contribution / contribution.sum())
    # Shares of a geo's own sales.
    cells = attribution(ds, BOTH, window=window)
    assert_near(cells, inside["channel_contribution"].sum("date") / inside["mu"].sum("date"))
    by_geo = inside["channel_contribution"].sum(("date", "channel")) / inside["mu"].sum("date")
    assert_near(attribution(ds, "geo", window=window), by_geo)
    of_media = attribution(ds, BOTH, of="media", freq="QS")
    assert_near(of_media.sum("channel"), 1.0)


PERIODS = {"window": "2022", "freq": "QS"}


@pytest.mark.parametrize(
    ("by", "choice"),
    [("channel", {}), ("geo", PERIODS), (BOTH, PERIODS), (("channel", "geo"), {}), ((), PERIODS)],
    ids=str,
)
def test_single_functions_give_the_same(ds: xr.Dataset, by: Any, choice: dict[str, Any]) -> None:
    truth = estimands(ds, by=by, delta=0.02, **choice)
    single = {
        "roas": roas(ds, by, **choice),
        "roas_with_carryout": roas(ds, by, with_carryout=True, **choice),
        "mroas": mroas(ds, by, delta=0.02, **choice),
        "mroas_with_carryout": mroas(ds, by, delta=0.02, with_carryout=True, **choice),
        "attribution": attribution(ds, by, **choice),
        "attribution_of_media": attribution(ds, by, of="media", **choice),
        "cost_per_incremental": cost_per_incremental(ds, by, **choice),
    }
    for name, array in single.items():
        assert array.dims == truth[name].dims
        np.testing.assert_array_equal(array, truth[name])
        assert array.attrs["units"] == truth[name].attrs["units"]
        assert array.attrs["long_name"]


def test_a_selection_has_the_truth_of_the_whole(ds: xr.Dataset) -> None:
    some = ds.sel(channel=["channel 4", "channel 1"], geo=["c"]).transpose("channel", ..., "date")
    found = estimands(some, window="2022-05", freq="MS")
    whole = estimands(ds, window="2022-05", freq="MS").sel(channel=found["channel"], geo=["c"])
    of_all = "attribution_of_media"
    xr.testing.assert_allclose(found.drop_vars(of_all), whole.drop_vars(of_all), rtol=1e-9)


# --- no spend, no effect -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def edges() -> xr.Dataset:
    return generate(
        config_with(
            steady("TV", adstock={"kind": "geometric_adstock", "alpha": 0.7}),
            steady("Off", base_spend=0.0),
            steady("Placebo", base_effectiveness=0.0),
            steady("Late", pattern="delayed_start", start_period=30, ramp_up_periods=0),
            steady("Ends", pattern="delayed_start", end_period=20, ramp_up_periods=0),
        )
    )


@pytest.mark.parametrize("delta", [None, 0.01])
def test_no_spend_has_no_return(edges: xr.Dataset, delta: float | None) -> None:
    truth = estimands(edges, by="channel", delta=delta)
    off = truth.sel(channel="Off")
    for name in (*RATIOS, "cost_per_incremental"):
        assert np.isnan(off[name]), name
        assert np.isfinite(truth[name].sel(channel=["TV", "Late", "Ends"])).all(), name
    assert float(off["attribution"]) == float(off["contribution"]) == 0
    assert float(off["saturation_level"]) == 0
    # The curve saturates whether anybody spends or not.
    assert float(off["half_saturation"]) > 0


def test_a_placebo_returns_nothing(edges: xr.Dataset) -> None:
    truth = estimands(edges).sel(channel="Placebo").squeeze()
    for name in (*RATIOS, "attribution", "revenue"):
        assert float(truth[name]) == 0, name
    assert float(truth["cost_per_incremental"]) == np.inf
    assert 0 < float(truth["saturation_level"]) < 1
    assert np.isfinite(truth["half_saturation"])
    # Where no channel has an effect, no channel has a share of it.
    alone = generate(config_with(steady("Placebo", base_effectiveness=0.0)))
    assert np.isnan(attribution(alone, of="media")).all()


def test_windows_without_spend(edges: xr.Dataset) -> None:
    truth = estimands(edges, freq="MS", by="channel")
    late = truth.sel(channel="Late")
    before = truth["last_date"] < edges["date"][30]
    for name in (*RATIOS, "cost_per_incremental"):
        assert (np.isnan(late[name]) == before).all(), name
    # After the end the effect goes on, and belongs to no spend of the month.
    after = truth.sel(channel="Ends").isel(period=5)
    assert float(after["spend"]) == 0 < float(after["contribution"])
    assert np.isnan(after["roas"])
    assert np.isnan(after["cost_per_incremental"])
    assert float(after["attribution"]) > 0


# --- half-lives, half-saturation, saturation level ----------------------------------------------


@pytest.mark.parametrize("l_max", [3, 8, 60])
def test_the_half_life_of_a_geometric_adstock(l_max: int) -> None:
    kind = {"kind": "geometric_adstock", "l_max": l_max}
    alphas = (0.0, 0.05, 0.5, 0.9, 0.99, 1.0)
    ds = generate(
        config_with(*(steady(f"{alpha:g}", adstock={**kind, "alpha": alpha}) for alpha in alphas))
    )
    alpha = ds["adstock_alpha"].values[0]
    truth = estimands(ds, by="channel")
    with np.errstate(divide="ignore"):
        expected = np.log(2) / -np.log(alpha)
    assert_near(truth["adstock_half_life"], abs(expected), 1e-12)
    # Of the kernel that ends at l_max, half has come by (1 + alpha ** l_max) / 2.
    inside = slice(1, 5)
    short = np.log((1 + alpha[inside] ** l_max) / 2) / np.log(alpha[inside])
    effect = truth["half_of_effect"].values
    assert effect[0] == 0
    assert effect[5] == pytest.approx(l_max / 2, abs=0.09)
    # Between periods the interpolation is exact without an end, and near it with one.
    assert np.allclose(effect[inside], short, rtol=0.15 if l_max == 3 else 0.05)
    if l_max == 60:
        assert_near(effect[2:3], 1.0, 1e-12)


@pytest.mark.parametrize(
    ("adstock", "periods"),
    [
        ({"kind": "geometric_adstock", "half_life": "24D"}, 24 / 7),
        ({"kind": "delayed_adstock", "half_life": "24D", "theta": 2.3}, 24 / 7),
        ({"kind": "scalar", "half_life": "14D"}, 2.0),
    ],
)
def test_a_configured_half_life_comes_back(adstock: dict[str, Any], periods: float) -> None:
    # A kind of the user's own, whose half-life takes one number and no array.
    @register_adstock("scalar", alpha_at=lambda half_life: math.exp(-math.log(2) / half_life))
    def scalar(lag, *, alpha: Positive = 0.5):  # type: ignore[no-untyped-def]
        return np.asarray(alpha) ** lag

    try:
        ds = generate(config_with(steady(adstock=adstock)))
        assert_near(estimands(ds)["adstock_half_life"], periods, 1e-12)
    finally:
        ADSTOCKS.remove("scalar")


def test_half_lives_by_the_weights() -> None:
    adstocks = [
        {"kind": "binomial_adstock", "alpha": 0.4, "l_max": 10},
        {"kind": "weibull_adstock", "lam": 3.0, "k": 2.0, "l_max": 12},
        {"kind": "weibull_adstock", "lam": 3.0, "k": 1.2, "type": "CDF", "l_max": 12},
        {"kind": "delayed_adstock", "alpha": 0.7, "theta": 3.0, "l_max": 12},
        {"kind": "no_adstock"},
    ]
    ds = generate(config_with(*(steady(f"{each}", adstock=each) for each in adstocks)))
    truth = estimands(ds).isel(geo=0)
    for position, adstock in enumerate(adstocks):
        weights = ds["adstock_weights"].isel(geo=0, channel=position).values
        half_of_effect = float(truth["half_of_effect"][position])
        half_life = float(truth["adstock_half_life"][position])
        whole = int(np.floor(half_of_effect))
        assert weights[:whole].sum() <= 0.5 <= weights[: whole + 1].sum() + 1e-12
        if adstock["kind"] == "no_adstock":
            assert half_of_effect == half_life == 0
        elif adstock["kind"] != "delayed_adstock":
            peak = int(weights.argmax())
            above, below = int(np.floor(peak + half_life)), int(np.ceil(peak + half_life))
            assert weights[above] >= weights[peak] / 2 >= weights[below]
            logarithms = np.log(weights[[above, below]])
            expected = np.exp(np.interp(peak + half_life, [above, below], logarithms))
            assert expected == pytest.approx(weights[peak] / 2, rel=1e-9)


HALF_AT = {
    "hill_function": lambda p: p["kappa"],
    "logistic_saturation": lambda p: np.log(3) / p["lam"],
    "inverse_scaled_logistic_saturation": lambda p: p["lam"],
    "michaelis_menten": lambda p: p["lam"],
    "hill_saturation_sigmoid": lambda p: (
        p["lam"] + np.log((1 + (s := 1 / (1 + np.exp(p["beta"] * p["lam"])))) / (1 - s)) / p["beta"]
    ),
    "tanh_saturation": lambda p: p["b"] * p["c"] * np.arctanh(0.5),
    "tanh_saturation_baselined": lambda p: p["x0"] * np.arctanh(0.5) / np.arctanh(p["r"]),
    "root_saturation": lambda p: np.nan,
    "log_saturation": lambda p: np.nan,
    "no_saturation": lambda p: np.nan,
    "sigmoid_saturation": lambda p: np.log(2 + np.exp(-0.7)) / (1 + np.exp(-0.7)) / p["slope"],
    "polynomial_saturation": lambda p: p["top"] * (1 - np.sqrt(0.5)),
    "piecewise_linear_saturation": lambda p: p["knot"] * 0.5 / p["share"],
    "threshold_saturation": lambda p: p["threshold"] + p["kappa"],
}


@either
def test_half_saturation_in_closed_form(adstock_first: bool) -> None:
    adstock = {"kind": "geometric_adstock", "alpha": 0.5, "l_max": 3, "normalize": False}
    channels = [
        steady(kind, adstock=adstock, saturation={"kind": kind, **CURVES[kind]})
        for kind in SATURATIONS
    ]
    ds = generate(config_with(*channels, transforms={"adstock_first": adstock_first}))
    truth = estimands(ds).squeeze()
    # Spend of 1 a period is a carry-over of 1.75, unless the curve comes first.
    mass = 1.75 if adstock_first else 1.0
    for kind in SATURATIONS:
        half = HALF_AT[kind](CURVES[kind]) / mass
        assert_near(truth["half_saturation"].sel(channel=kind), half)
        amplitude = {"tanh_saturation_baselined": 5e-4 * 1000 / 0.6}.get(kind, 1.0)
        if kind == "hill_saturation_sigmoid":
            amplitude = 1 - 1 / (1 + np.exp(2e-3 * 1200))
        level = float(ds["saturated"].sel(channel=kind).mean()) / amplitude
        level = level if np.isfinite(half) else np.nan
        assert_near(truth["saturation_level"].sel(channel=kind), level)


@either
@pytest.mark.parametrize("by", ["channel", BOTH], ids=str)
def test_half_saturation_by_constant_spend(adstock_first: bool, by: Any) -> None:
    """Constant spend of that size makes half of what spend without bound makes."""
    ds, truth = world(adstock_first), truth_of(adstock_first, None, by)
    own = ds["spend"].sum("date")
    share = own / own.sum("geo") if by == "channel" else 1.0
    dates = xr.ones_like(ds["date"], dtype=float)
    half = (truth["half_saturation"] * share * dates).transpose("date", "geo", "channel")
    kept = np.isfinite(truth["half_saturation"]).any("geo" if by == BOTH else ())
    assert int(kept.sum()) == len(SATURATIONS) - 3
    past = xr.zeros_like(ds["spend_history"])
    made, most = (
        m.respond(spend.where(np.isfinite(spend), 0.0), ds, history=past).isel(date=-1)
        for spend in (half, 1e12 * half)
    )
    if by == "channel":
        made, most = made.sum("geo"), most.sum("geo")
    # A Hill curve comes near its limit as a power of spend only.
    assert_near((made / most)[..., kept.values], 0.5)


UNBOUNDED = {
    # Infinite spend makes infinitely much.
    "power": lambda x: x**1.8,
    "flat_power": lambda x: x**1e-9,
    "exponential": lambda x: np.expm1(x / 1000),
    "double_logarithm": lambda x: np.log1p(np.log1p(x)),
    "arsinh": lambda x: np.arcsinh(x),
    # Infinity over or less infinity, which is not a number.
    "quotient": lambda x: x / (1 + np.sqrt(x)),
    "difference": lambda x: x - np.log1p(x),
    "quotient_of_logarithms": lambda x: np.log1p(x) ** 2 / (1 + np.log1p(x)),
    "double_logarithm_of_quotient": lambda x: np.log1p(np.log1p(x)) * x / (1 + x),
    # Its denominator overflows long before its numerator, and it falls to 0.
    "overflowing": lambda x: x**1.1 / (1 + x**4) ** 0.25,
}
# Curve, the spend that makes half of its limit, and how exactly the limit can be told.
BOUNDED = {
    "hill": (lambda x: x**3 / (500.0**3 + x**3), 500.0, 1e-12),
    "slow_hill": (lambda x: x**0.3 / (500.0**0.3 + x**0.3), 500.0, 1e-12),
    "very_slow_hill": (lambda x: x**0.02 / (500.0**0.02 + x**0.02), 500.0, 1e-7),
    "algebraic": (lambda x: x / np.sqrt(500.0**2 + x**2), 500 / np.sqrt(3), 1e-12),
    "exponentials": (lambda x: np.expm1(x / 500) / (np.exp(x / 500) + 1), 500 * np.log(3), 1e-12),
    "by_logarithm": (lambda x: 1 - 1 / (1 + np.log1p(x)), np.e - 1, 1e-12),
    "quotient_by_logarithm": (lambda x: np.log1p(x) / (1 + np.log1p(x)), np.e - 1, 5e-3),
    "capped": (lambda x: np.minimum(x, 800.0), 400.0, 1e-12),
    "negative": (lambda x: -x / (500 + x), 500.0, 1e-12),
    "finite_only": (lambda x: np.arctan(np.asarray_chkfinite(x) / 800), 800.0, 1e-12),
}


def shape_of(curves: Mapping[str, Any], by: Any, **fields: Any) -> xr.Dataset:
    """Estimands of a channel a curve, the curves registered as users do it."""
    try:
        for name, curve in curves.items():
            m.register_saturation(name)(curve)
        channels = [steady(name=name, saturation={"kind": name}) for name in curves]
        with np.errstate(all="ignore"):
            return estimands(generate(config_with(*channels, **fields)), by=by)
    finally:
        for name in curves:
            if name in SATURATIONS:
                SATURATIONS.remove(name)


@pytest.mark.parametrize("by", ["channel", BOTH], ids=str)
def test_a_curve_without_a_limit_has_no_half_of_it(by: Any) -> None:
    truth = shape_of(UNBOUNDED, by, regions={"n_regions": 2})
    assert truth["half_saturation"].isnull().all()
    assert truth["saturation_level"].isnull().all()


def test_a_curve_with_a_limit_has_half_of_it() -> None:
    truth = shape_of({name: curve for name, (curve, *_) in BOUNDED.items()}, "channel")
    for name, (_, half, allowed) in BOUNDED.items():
        assert_near(truth["half_saturation"].sel(channel=name), half, allowed)
        assert 0 < float(truth["saturation_level"].sel(channel=name)) < 1


def test_exponents_of_all_sizes() -> None:
    """A root has no limit, and a slow Hill curve comes to half of it where it says."""
    roots = [{"kind": "root_saturation", "alpha": a} for a in (1e-9, 0.5, 1.0, 1.6, 1.8, 2.05, 3.0)]
    hills = [{"kind": "hill_function", "slope": slope, "kappa": 1500.0} for slope in (0.01, 0.3)]
    channels = (steady(f"{curve}", saturation=curve) for curve in (*roots, *hills))
    truth = estimands(generate(config_with(*channels)), by="channel")
    assert truth["half_saturation"][: len(roots)].isnull().all()
    assert truth["saturation_level"][: len(roots)].isnull().all()
    assert_near(truth["half_saturation"][len(roots) :], 1500.0, 1e-12)


# --- kinds of one's own ------------------------------------------------------------------------


def test_spend_that_is_all_but_forgotten() -> None:
    """Carry-over so small that its Hill curve overflows in complex numbers."""
    ds = generate(
        config_with(
            steady(
                pattern="pulsed",
                pulse_on_periods=3,
                pulse_off_periods=54,
                saturation={"kind": "hill_function", "slope": 6.0, "kappa": 1500.0},
                adstock={"kind": "geometric_adstock", "alpha": 0.005, "l_max": 56},
            ),
            freq="D",
            n_periods=120,
        )
    )
    assert float(ds["carryover"].values[ds["carryover"].values > 0].min()) < 1e-100
    central = (mroas(ds, delta=1e-4) + mroas(ds, delta=-1e-4)) / 2
    assert_near(mroas(ds), central, 1e-6)
    today = response_curve(ds, multipliers=[1.0]).squeeze("multiplier")
    assert_near(today["marginal_return"], mroas(ds), 1e-9)


def test_a_warning_that_the_imaginary_part_is_lost_is_heeded() -> None:
    """Also where a kind loses it for some numbers only, and not where it was tried."""

    def cut(step: complex) -> Any:
        x = np.array([1.0, 2.0]) * (1 + step)
        return np.asarray(x, dtype=float) ** 2 + 0j

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_near(derivative(cut), [2.0, 8.0], 1e-8)


def test_an_adstock_that_loses_the_imaginary_part() -> None:
    @register_adstock("blind")
    def blind(lag: Any, *, alpha: Share = 0.5) -> Any:
        out = np.zeros(
            np.broadcast_shapes(np.shape(alpha), lag.shape), dtype=np.asarray(alpha).dtype
        )
        out[...] = np.asarray(alpha, dtype=float) ** lag
        return out

    try:
        bounds = []
        for kind in ("blind", "geometric_adstock"):
            adstock = {"kind": kind, "alpha": 0.4}
            first = steady(spend_volatility=0.6, adstock=adstock)
            ds = generate(config_with(first, regions={"sales_volatility": 0.05}))
            bounds.append(information_bound(ds)["adstock_alpha"])
        assert np.isfinite(bounds[0]).all()
        assert_near(*bounds, 1e-5)
    finally:
        ADSTOCKS.remove("blind")


# --- what comes back, and what is refused -------------------------------------------------------


def test_everything_is_labelled(ds: xr.Dataset, tmp_path: Any) -> None:
    truth = estimands(ds, freq="QS", window="2022")
    for name, array in truth.data_vars.items():
        assert array.attrs["long_name"], name
        labels = {"period", "first_date", "last_date", "geo", "channel", "complete"}
        assert set(array.coords) <= labels
    units = {name: array.attrs["units"] for name, array in truth.data_vars.items()}
    assert units["spend"] == units["revenue"] == units["half_saturation"] == "USD"
    assert units["contribution"] == "sales"
    assert units["cost_per_incremental"] == "USD / sales"
    assert truth.attrs["window"] == "2022-01-03 to 2022-12-26"
    assert truth.attrs["mroas"] == "derivative"
    assert "+0.01 times" in estimands(ds, delta=0.01)["mroas"].attrs["long_name"]
    truth.to_netcdf(tmp_path / "truth.nc")
    with xr.open_dataset(tmp_path / "truth.nc") as loaded:
        xr.testing.assert_equal(loaded.load(), truth)


@pytest.mark.parametrize("function", [estimands, roas, mroas, attribution, cost_per_incremental])
@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"by": "chanel"}, "by: found 'chanel', did you mean 'channel'"),
        ({"by": ("geo", "date")}, "by: found 'date', allowed: 'channel', 'geo'"),
        ({"by": 3.5}, "by: found .* allowed: 'channel', 'geo'"),
        ({"freq": "Q"}, "freq: found 'Q'.*'QS'"),
        ({"freq": 4}, "freq: found 4.*'QS'"),
        ({"window": "2031"}, "in which no period begins"),
        ({"window": ("2022-05", "2022-02")}, "the earlier one first"),
    ],
)
def test_wrong_words(ds: xr.Dataset, function: Any, keywords: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        function(ds, **keywords)


@pytest.mark.parametrize("delta", [0, 0.0, -1.5, np.nan, np.inf, "0.01", True, [0.01]], ids=repr)
def test_wrong_increments(ds: xr.Dataset, delta: Any) -> None:
    for function in (estimands, mroas):
        with pytest.raises(ConfigError, match=r"delta: found .* allowed: a relative change"):
            function(ds, delta=delta)


def test_datasets_without_their_response_are_refused(ds: xr.Dataset) -> None:
    calls = (estimands, mroas, lambda ds: roas(ds, with_carryout=True))
    national = m.aggregate(ds.assign(revenue_per_kpi=xr.ones_like(ds["revenue_per_kpi"])))
    two = xr.concat([ds, ds], dim="dataset", data_vars="all")
    for call in calls:
        with pytest.raises(SchemaError, match="cut of its dates"):
            call(ds.isel(date=slice(20, None)))
        with pytest.raises(SchemaError, match="aggregation"):
            call(national)
        with pytest.raises(SchemaError, match=r"ds.isel\(draw=0\)"):
            call(two.rename(dataset="draw"))
        with pytest.raises(SchemaError, match="generate_mmm_dataset"):
            call(xr.Dataset())
        with pytest.raises(SchemaError, match=r"'saturation_.*'"):
            call(ds.drop_vars(amplitude_names(ds["saturation_kind"].values)))
    # What the contributions alone tell needs no response.
    assert_near(roas(national), roas(ds.assign(revenue_per_kpi=1 + 0 * ds["mu"])))
    assert roas(two, freq="QS").dims == ("dataset", "period", "channel")
    assert_near(roas(two, freq="QS")[1], roas(ds, freq="QS"))


def test_dates_out_of_order_have_no_windows(ds: xr.Dataset) -> None:
    with pytest.raises(SchemaError, match="sortby"):
        roas(ds.isel(date=[3, 1, 2]), freq="QS")


def test_missing_numbers_are_not_skipped(ds: xr.Dataset) -> None:
    holed = ds.assign(revenue_per_kpi=ds["revenue_per_kpi"].copy(deep=True))
    holed["revenue_per_kpi"][3, 0] = np.nan
    quarters = roas(holed, freq="QS")
    assert np.isnan(quarters[0]).all()
    assert np.isfinite(quarters[1:]).all()


def test_dask_gives_the_same(ds: xr.Dataset) -> None:
    pytest.importorskip("dask.array")
    lazy = ds.chunk({"date": 20})
    assert_near(roas(lazy, freq="QS"), roas(ds, freq="QS"))
    assert_near(mroas(lazy), mroas(ds))


# --- PyMC-Marketing's own figures ---------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted() -> Iterator[tuple[xr.Dataset, Any]]:
    """Dataset, and PyMC-Marketing's model with the truth as the one draw of its posterior."""
    import pymc as pm
    from pymc.backends.arviz import find_constants

    from mmm_xgen.export.pymc_marketing import model_inputs, scaled_parameters

    tv = ChannelConfig(name="TV", pattern="on_off", base_effectiveness=0.4, base_spend=3000.0)
    config = MMMDataConfig(
        n_periods=80,
        start_date="2022-01-03",
        freq="W-MON",
        channels=[tv, ChannelConfig(name="Radio", roas=1.5)],
        regions=RegionConfig(region_names=["west", "north"], similarity=0.7, fourier_modes=0),
        transforms={"adstock_kwargs": {"alpha": 0.7, "l_max": 6}},
    )
    ds = quietly(lambda: m.generate_mmm_dataset(config))
    mmm = pymc_marketing_model(ds, l_max=6)
    if not hasattr(type(mmm), "incrementality"):
        pytest.skip("this release of PyMC-Marketing computes no incrementality")
    scales = {"channel_scale": mmm.scalers["_channel"], "target_scale": mmm.scalers["_target"]}
    truth = scaled_parameters(ds, **scales)
    truth = truth.sel(geo=list(mmm.model.coords["geo"]))
    truth = truth.assign_coords(channel=ds["channel_column"].values)
    draw = truth.expand_dims(chain=[0], draw=[0])
    computed = pm.compute_deterministics(
        draw, model=mmm.model, progressbar=False, compile_kwargs={"mode": "FAST_COMPILE"}
    )
    posterior = xr.merge([draw, computed], join="exact")
    dims = mmm.model.named_vars_to_dims
    constants = xr.Dataset(
        {
            name: (dims.get(name, ()), np.asarray(value))
            for name, value in find_constants(mmm.model).items()
        },
        coords={dim: list(labels) for dim, labels in mmm.model.coords.items()},
    )
    groups = {
        "posterior": posterior,
        "constant_data": constants,
        "fit_data": mmm.create_fit_data(*model_inputs(ds)),
    }
    if NEWER:
        mmm.idata = xr.DataTree.from_dict(groups)
    else:
        import arviz

        mmm.idata = arviz.InferenceData(**groups)
    yield ds, mmm


def as_ours(ds: xr.Dataset, theirs: xr.DataArray) -> xr.DataArray:
    """Their figure of the one draw, with our labels and dims."""
    names = dict(zip(ds["channel_column"].values, ds["channel"].values, strict=True))
    theirs = theirs.isel(chain=0, draw=0, drop=True)
    theirs = theirs.assign_coords(channel=[names[label] for label in theirs["channel"].values])
    theirs = theirs.sel(geo=ds["geo"].values, channel=ds["channel"].values)
    theirs = theirs.rename(date="period") if "date" in theirs.dims else theirs
    return theirs.transpose(..., "geo", "channel")


# Their own call of pandas.
quiet = pytest.mark.filterwarnings("ignore:A future version of pandas will return a BaseOffset")


@quiet
@pytest.mark.parametrize(("frequency", "freq"), [("quarterly", "QS"), ("all_time", None)])
def test_roas_with_carryout_is_their_incrementality(fitted, frequency, freq):
    ds, mmm = fitted
    theirs = as_ours(ds, mmm.incrementality.contribution_over_spend(frequency=frequency))
    ours = estimands(ds, freq=freq, within_data=True)
    assert_near(ours["roas_with_carryout"], theirs, 1e-9)
    # Theirs ends at the last date; the full effect is larger just where `complete` says so.
    full = estimands(ds, freq=freq)["roas_with_carryout"].transpose(*ours["roas"].dims)
    is_larger = full > theirs.values * (1 + 1e-9)
    np.testing.assert_array_equal(is_larger, ~ours["complete"].transpose(*is_larger.dims))
    assert np.isfinite(theirs).sum() > 1
    # Negative control: in a quarter the other rule is another number; all-time would hide it.
    gap = np.nanmax(abs(ours["roas"].values / theirs.values - 1))
    assert gap > 0.05 if freq else gap < 1e-9


@quiet
def test_mroas_with_carryout_is_their_marginal_incrementality(fitted):
    ds, mmm = fitted
    theirs = mmm.incrementality.marginal_contribution_over_spend(frequency="quarterly")
    ours = mroas(ds, BOTH, freq="QS", delta=0.01, with_carryout=True, within_data=True)
    assert_near(ours, as_ours(ds, theirs), 1e-9)
