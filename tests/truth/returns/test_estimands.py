"""Estimands against full regeneration, closed forms by hand, and PyMC-Marketing's own figures."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator, Mapping
from importlib.metadata import version
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

ADSTOCK_KINDS = ["geometric_adstock", "weibull_adstock", "delayed_adstock", "no_adstock"]
WINDOWS = [None, "2022-05", ("2022-02-07", "2022-08-20"), "2023-02-20", ("2022-12-01", None)]
RATIOS = ("roas", "roas_with_carryout", "mroas", "mroas_with_carryout")
BOTH = ("geo", "channel")


def mixed(**transforms: Any) -> xr.Dataset:
    """All curves, four adstocks, a burn-in, three unlike geos, prices that change."""
    channels = [
        ChannelConfig(
            name=f"channel {i}",
            base_spend=1000.0,
            spend_volatility=0.4,
            base_effectiveness=0.05,
            saturation_fun=saturation,
            adstock_fun=ADSTOCK_KINDS[i % 4],
            adstock_kwargs={"type": "CDF", "l_max": 6} if i % 4 == 1 else {},
        )
        for i, saturation in enumerate(SATURATIONS)
    ]
    config = MMMDataConfig(
        n_periods=60,
        start_date="2022-01-03",
        burn_in_periods=5,
        channels=channels,
        regions=RegionConfig(
            region_names=["a", "b", "c"], similarity=0.7, population=[3e6, 1e6, 2e6]
        ),
        transforms={"spend_unit": "base_spend", **transforms},
    )
    ds = quietly(lambda: m.generate_mmm_dataset(config))
    prices = np.random.default_rng(0).uniform(1.0, 5.0, ds["revenue_per_kpi"].shape)
    return ds.assign(revenue_per_kpi=ds["revenue_per_kpi"].copy(data=prices))


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return mixed()


@pytest.fixture(scope="module", params=[True, False], ids=["adstock first", "curve first"])
def either(request: pytest.FixtureRequest) -> xr.Dataset:
    return mixed(adstock_first=request.param)


def scaled(ds: xr.Dataset, window: Any, factor: float) -> xr.DataArray:
    """Spend with that of a window, of all channels, times a factor."""
    inside = np.zeros(ds.sizes["date"], dtype=bool)
    inside[window_periods(ds, window)] = True
    return ds["spend"].where(~xr.DataArray(inside, dims="date"), factor * ds["spend"])


def money(ds: xr.Dataset, change: xr.DataArray, dates: slice) -> xr.DataArray:
    """Revenue of a change of contributions, by geo and channel, in plain sums.

    After the last date of `ds` the price is that of the last date.
    """
    price = ds["revenue_per_kpi"].reindex(date=change["date"].values, method="ffill")
    worth = (change * price).transpose("geo", "channel", "date")
    return worth.isel(date=dates).sum("date", skipna=False)


def assert_near(found: Any, wanted: Any, tolerance: float = 1e-9) -> None:
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=0)


# --- against full regeneration -----------------------------------------------------------------


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_roas_is_what_is_lost_without_the_channel(either: xr.Dataset, window: Any) -> None:
    off = regenerated(either, 0 * either["spend"], history=0.0)
    lost = either["channel_contribution"] - off["channel_contribution"]
    assert_near(
        (either["mu"] - off["mu"]).transpose("geo", "date"),
        lost.sum("channel").transpose("geo", "date"),
    )
    dates = window_periods(either, window)
    spend = either["spend"].isel(date=dates).sum("date")
    truth = estimands(either, window=window)
    assert_near(truth["roas"], money(either, lost, dates) / spend)
    assert_near(truth["revenue"], money(either, lost, dates))
    assert_near(truth["cost_per_incremental"], spend / lost.isel(date=dates).sum("date"))
    assert_near(truth["contribution"], lost.isel(date=dates).sum("date"))
    # Over all geos.
    found = estimands(either, by="channel", window=window)["roas"]
    assert_near(found, money(either, lost, dates).sum("geo") / spend.sum("geo"))
    if window is None:
        # Negative control: with the spend before the window left on, less is lost.
        kept = (
            either["channel_contribution"]
            - regenerated(either, 0 * either["spend"])["channel_contribution"]
        )
        gap = money(either, kept, dates) / spend / truth["roas"] - 1
        assert float(abs(gap).max()) > 1e-3


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_roas_with_carryout_is_what_is_lost_without_the_window(
    either: xr.Dataset, window: Any
) -> None:
    after = int(either["l_max"].max()) - 1
    off, today = (
        regenerated(either, scaled(either, window, factor), after=after) for factor in (0.0, 1.0)
    )
    lost = today["channel_contribution"] - off["channel_contribution"]
    dates = window_periods(either, window)
    spend = either["spend"].isel(date=dates).sum("date")
    # To the end of the longer world: what is not within l_max of the window must not matter.
    everywhere = money(either, lost, slice(None))
    truth = estimands(either, window=window)
    assert_near(truth["roas_with_carryout"], everywhere / spend)
    over_geos = estimands(either, by="channel", window=window)["roas_with_carryout"]
    assert_near(over_geos, everywhere.sum("geo") / spend.sum("geo"))
    # Up to the last date.
    n_dates = either.sizes["date"]
    within = money(either, lost, slice(None, n_dates)) / spend
    cut = estimands(either, window=window, within_data=True)
    assert_near(cut["roas_with_carryout"], within)
    differs = abs(within * spend / everywhere - 1) > 1e-6
    for found in (truth, cut):
        np.testing.assert_array_equal(found["complete"], ~differs)
    if window is None:
        # Spend before the window still carries over into it.
        assert float(truth["roas"][0, 0]) > float(cut["roas_with_carryout"][0, 0])
        return
    # Negative control: neither rule is the other, nor is what is lost in the window alone.
    alone = money(either, lost, dates) / spend
    for other in (truth["roas"], alone):
        gap = abs(other / truth["roas_with_carryout"] - 1)[:, either["l_max"].values > 1]
        assert float(gap.max()) > 1e-3


@pytest.mark.parametrize("delta", [0.01, -1.0])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_a_finite_increment(ds: xr.Dataset, window: Any, delta: float) -> None:
    after = int(ds["l_max"].max()) - 1
    today = regenerated(ds, ds["spend"], after=after)["channel_contribution"]
    more = regenerated(ds, scaled(ds, window, 1 + delta), after=after)["channel_contribution"]
    always_more = regenerated(ds, (1 + delta) * ds["spend"], history=1 + delta)
    dates = window_periods(ds, window)
    added = delta * ds["spend"].isel(date=dates).sum("date")
    truth = estimands(ds, window=window, delta=delta)
    # The increment of 1% is a difference of numbers a hundred times as large.
    rise = always_more["channel_contribution"] - ds["channel_contribution"]
    assert_near(truth["mroas"], money(ds, rise, dates) / added)
    assert_near(truth["mroas_with_carryout"], money(ds, more - today, slice(None)) / added)
    cut = mroas(ds, BOTH, window=window, delta=delta, with_carryout=True, within_data=True)
    assert_near(cut, money(ds, more - today, slice(None, ds.sizes["date"])) / added)
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


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_the_derivative_against_central_differences(either: xr.Dataset, window: Any) -> None:
    step = 1e-4
    after = int(either["l_max"].max()) - 1

    def rise(window: Any, *, moves_history: bool) -> xr.DataArray:
        up, down = (
            regenerated(either, scaled(either, window, 1 + h), 1 + moves_history * h, after)
            for h in (step, -step)
        )
        return (up["channel_contribution"] - down["channel_contribution"]) / (2 * step)

    dates = window_periods(either, window)
    spend = either["spend"].isel(date=dates).sum("date")
    truth = estimands(either, window=window)
    always, inside = rise(None, moves_history=True), rise(window, moves_history=False)
    assert_near(truth["mroas"], money(either, always, dates) / spend, 1e-5)
    assert_near(truth["mroas_with_carryout"], money(either, inside, slice(None)) / spend, 1e-5)
    found = estimands(either, by="channel", window=window)["mroas_with_carryout"]
    assert_near(found, money(either, inside, slice(None)).sum("geo") / spend.sum("geo"), 1e-5)
    # Negative control: the increment of 1% is another number, but for curves that are straight.
    finite = estimands(either, window=window, delta=0.01)["mroas_with_carryout"]
    assert float(abs(finite / truth["mroas_with_carryout"] - 1).max()) > 1e-3


@pytest.mark.parametrize("channel", ["TV", "Radio"])
def test_one_channel_alone_through_expected_sales(channel: str) -> None:
    """Nothing of the Dataset but ``mu`` is read, and one channel moves at a time."""
    ds = generate(
        config_with(
            steady("TV", spend_volatility=0.5, adstock={"kind": "geometric_adstock", "alpha": 0.6}),
            steady("Radio", pattern="on_off"),
            revenue_per_kpi=3.0,
        )
    )
    is_off = ds["channel"] == channel
    inside = (ds["date"] >= np.datetime64("2022-03-01")) & (
        ds["date"] <= np.datetime64("2022-04-30")
    )
    spend = float(ds["spend"].where(is_off & inside, 0).sum())
    off = regenerated(ds, ds["spend"].where(~(is_off & inside), 0.0))
    more = regenerated(ds, ds["spend"].where(~(is_off & inside), 1.01 * ds["spend"]))
    gone = regenerated(ds, ds["spend"].where(~is_off, 0.0))
    truth = estimands(ds, by="channel", window=("2022-03", "2022-04"), delta=0.01)
    truth = truth.sel(channel=channel)
    assert_near(truth["roas_with_carryout"], 3 * float((ds["mu"] - off["mu"]).sum()) / spend)
    lost = (ds["mu"] - gone["mu"]).where(inside, 0)
    assert_near(truth["roas"], 3 * float(lost.sum()) / spend)
    rise = 3 * (more["mu"] - ds["mu"]) / (0.01 * spend)
    assert_near(truth["mroas_with_carryout"], float(rise.sum()))
    always = regenerated(ds, ds["spend"].where(~is_off, 1.01 * ds["spend"]))
    rise = 3 * (always["mu"] - ds["mu"]) / (0.01 * spend)
    assert_near(truth["mroas"], float(rise.where(inside, 0).sum()))
    assert_near(truth["attribution"], float(lost.sum() / ds["mu"].where(inside, 0).sum()))


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


@pytest.mark.parametrize("exponent", [0.6, 1.0, 1.7])
@pytest.mark.parametrize("kind", ["hill_function", "root_saturation"])
def test_dates_without_spend_add_nothing_to_the_derivative(kind: str, exponent: float) -> None:
    """A share more of nothing is nothing, however steep the curve is there."""
    hill = kind == "hill_function"
    keys = {"slope": exponent, "kappa": 1500.0} if hill else {"alpha": exponent}
    ds = generate(
        config_with(
            steady(
                pattern="pulsed",
                pulse_on_periods=5,
                pulse_off_periods=6,
                adstock={"kind": "no_adstock"},
                saturation={"kind": kind, **keys},
            )
        )
    )
    spend = ds["spend"].values[:, 0, 0]
    assert (spend == 0).sum() > 10
    x = spend[spend > 0]
    slope = hill_slope(x, **keys) if hill else exponent * x ** (exponent - 1)
    by_hand = float(ds["effect"].item()) * (slope * x).sum() / x.sum()
    assert_near(mroas(ds), by_hand, 1e-12)
    # Nothing of the parameters' derivatives is at those dates either.
    columns = media_columns(model_of(ds)).values[0]
    assert (columns[spend == 0] == 0).all()
    assert np.isfinite(columns).all()


def test_diminishing_returns_lie_below_average_ones(ds: xr.Dataset) -> None:
    truth = estimands(ds, window="2022-06")
    concave = [
        list(SATURATIONS).index(kind)
        for kind in ("logistic_saturation", "michaelis_menten", "root_saturation", "log_saturation")
    ]
    gap = truth["roas_with_carryout"] - truth["mroas_with_carryout"]
    assert bool((gap[:, concave] > 0).all())


# --- windows, frequencies, groups --------------------------------------------------------------


@pytest.mark.parametrize("freq", ["MS", "YS", "W-THU", "D"])
def test_every_period_is_a_window(either: xr.Dataset, freq: str) -> None:
    found = estimands(either, freq=freq, window=("2022-03-07", None), delta=0.01)
    assert found["roas"].dims == ("period", "geo", "channel")
    first, last = found["first_date"].values, found["last_date"].values
    assert (first[1:] > last[:-1]).all()
    assert first[0] == np.datetime64("2022-03-07")
    assert last[-1] == either["date"].values[-1]
    assert (found["period"].values <= first).all()
    for position in {0, len(first) - 1}:
        ends = (first[position], last[position])
        alone = estimands(either, window=ends, delta=0.01)
        for name in alone.data_vars:
            part = (
                found[name].isel(period=position) if "period" in found[name].dims else found[name]
            )
            assert_near(part, alone[name], 1e-9)
    for name in ("spend", "contribution", "revenue"):
        whole = estimands(either, window=("2022-03-07", None))[name]
        assert_near(found[name].sum("period"), whole)


def test_periods_are_labelled_by_their_first_day(ds: xr.Dataset) -> None:
    quarters = estimands(ds, by="channel", freq="QS")
    days = quarters["period"].values.astype("datetime64[D]").astype(str).tolist()
    assert days == ["2022-01-01", "2022-04-01", "2022-07-01", "2022-10-01", "2023-01-01"]
    assert str(quarters["first_date"].values[0])[:10] == "2022-01-03"
    spend = ds["spend"].sum("geo").groupby(quarter_of(ds)).sum()
    assert_near(quarters["spend"], spend.transpose("quarter", "channel"))


def quarter_of(ds: xr.Dataset) -> xr.DataArray:
    return (4 * ds["date"].dt.year + ds["date"].dt.quarter).rename("quarter")


def test_groups_are_ratios_of_sums(ds: xr.Dataset) -> None:
    cells = estimands(ds, freq="QS")
    spend = cells["spend"]
    for by in ("channel", "geo", ()):
        names = (by,) if isinstance(by, str) else by
        over = [dim for dim in BOTH if dim not in names]
        grouped = estimands(ds, by=by, freq="QS")
        assert grouped["roas"].dims == ("period", *names)
        for name in RATIOS:
            assert_near(grouped[name], (cells[name] * spend).sum(over) / spend.sum(over))
        assert_near(
            grouped["cost_per_incremental"], spend.sum(over) / cells["contribution"].sum(over)
        )
        assert ("half_saturation" in grouped) == ("channel" in names)
        # Negative control: a mean of ratios is no ratio of sums.
        if over:
            assert not np.allclose(grouped["roas"], cells["roas"].mean(over), rtol=1e-3)


def test_attribution(ds: xr.Dataset) -> None:
    window = ("2022-05", "2022-07")
    dates = window_periods(ds, window)
    inside = ds.isel(date=dates)
    truth = estimands(ds, by="channel", window=window)
    contribution = inside["channel_contribution"].sum(("date", "geo"))
    assert_near(truth["attribution"], contribution / inside["mu"].sum())
    assert_near(truth["attribution_of_media"], contribution / contribution.sum())
    quarters = estimands(ds, freq="QS")
    assert_near(quarters["attribution_of_media"].sum("channel"), 1.0)
    # Shares of a geo's own sales.
    cell = inside.isel(geo=1)
    expected = cell["channel_contribution"].sum("date") / cell["mu"].sum("date")
    assert_near(estimands(ds, window=window)["attribution"].isel(geo=1), expected)


@pytest.mark.parametrize("by", ["channel", "geo", BOTH, ("channel", "geo"), ()], ids=str)
@pytest.mark.parametrize("choice", [{}, {"window": "2022", "freq": "QS"}], ids=str)
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
    some = ds.sel(channel=["channel 4", "channel 1"], geo=["c"])
    found = estimands(some, window="2022-05", freq="MS")
    whole = estimands(ds, window="2022-05", freq="MS").sel(channel=some["channel"], geo=["c"])
    for name in ("roas", "roas_with_carryout", "mroas", "half_saturation", "saturation_level"):
        assert_near(found[name], whole[name])


def test_the_order_of_dims_is_free(ds: xr.Dataset) -> None:
    turned = ds.transpose("channel", ..., "date")
    xr.testing.assert_allclose(estimands(turned, freq="QS"), estimands(ds, freq="QS"), rtol=1e-12)


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


def test_windows_without_spend(edges: xr.Dataset) -> None:
    truth = estimands(edges, freq="MS", by="channel")
    late = truth.sel(channel="Late")
    before = truth["last_date"] < edges["date"][30]
    for name in (*RATIOS, "cost_per_incremental"):
        assert (np.isnan(late[name]) == before).all(), name
    # After the end the effect goes on, and belongs to no spend of the month.
    ends = truth.sel(channel="Ends")
    after = ends.isel(period=5)
    assert float(after["spend"]) == 0 < float(after["contribution"])
    assert np.isnan(after["roas"])
    assert np.isnan(after["cost_per_incremental"])
    assert float(after["attribution"]) > 0


def test_no_media_has_no_share_of_it() -> None:
    ds = generate(config_with(steady("Placebo", base_effectiveness=0.0)))
    assert np.isnan(estimands(ds)["attribution_of_media"]).all()


# --- half-lives, half-saturation, saturation level ----------------------------------------------


@pytest.mark.parametrize("l_max", [3, 8, 60])
def test_the_half_life_of_a_geometric_adstock(l_max: int) -> None:
    ds = generate(
        config_with(
            *(
                steady(
                    f"{alpha:g}",
                    adstock={"kind": "geometric_adstock", "alpha": alpha, "l_max": l_max},
                )
                for alpha in (0.0, 0.05, 0.5, 0.9, 0.99, 1.0)
            )
        )
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


@pytest.mark.parametrize("kind", ["geometric_adstock", "delayed_adstock"])
def test_a_configured_half_life_comes_back(kind: str) -> None:
    adstock = {"kind": kind, "half_life": "24D"} | ({"theta": 2.3} if "delayed" in kind else {})
    ds = generate(config_with(steady(adstock=adstock)))
    assert_near(estimands(ds)["adstock_half_life"], 24 / 7, 1e-12)


@pytest.mark.parametrize(
    "adstock",
    [
        {"kind": "binomial_adstock", "alpha": 0.4, "l_max": 10},
        {"kind": "weibull_adstock", "lam": 3.0, "k": 2.0, "l_max": 12},
        {"kind": "weibull_adstock", "lam": 3.0, "k": 1.2, "type": "CDF", "l_max": 12},
        {"kind": "delayed_adstock", "alpha": 0.7, "theta": 3.0, "l_max": 12},
        {"kind": "no_adstock"},
    ],
    ids=lambda spec: f"{spec['kind']} {spec.get('type', '')}",
)
def test_half_lives_by_the_weights(adstock: dict[str, Any]) -> None:
    ds = generate(config_with(steady(adstock=adstock)))
    truth = estimands(ds).squeeze()
    weights = ds["adstock_weights"].values.squeeze(axis=(0, 1))
    half_of_effect = float(truth["half_of_effect"])
    whole = int(np.floor(half_of_effect))
    assert weights[:whole].sum() <= 0.5 <= weights[: whole + 1].sum() + 1e-12
    if adstock["kind"] == "no_adstock":
        assert half_of_effect == float(truth["adstock_half_life"]) == 0
    elif adstock["kind"] != "delayed_adstock":
        peak = int(weights.argmax())
        position = peak + float(truth["adstock_half_life"])
        above, below = int(np.floor(position)), int(np.ceil(position))
        assert weights[above] >= weights[peak] / 2 >= weights[below]
        expected = np.exp(np.interp(position, [above, below], np.log(weights[[above, below]])))
        assert expected == pytest.approx(weights[peak] / 2, rel=1e-9)


def test_a_kind_whose_half_life_takes_one_number() -> None:
    import math

    @register_adstock("scalar", alpha_at=lambda half_life: math.exp(-math.log(2) / half_life))
    def scalar(lag, *, alpha: Positive = 0.5):  # type: ignore[no-untyped-def]
        return np.asarray(alpha) ** lag

    try:
        ds = generate(config_with(steady(adstock={"kind": "scalar", "half_life": "14D"})))
        assert_near(estimands(ds)["adstock_half_life"], 2.0, 1e-12)
    finally:
        ADSTOCKS.remove("scalar")


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
}


@pytest.mark.parametrize("kind", list(SATURATIONS))
@pytest.mark.parametrize("adstock_first", [True, False])
def test_half_saturation_in_closed_form(kind: str, adstock_first: bool) -> None:
    ds = generate(
        config_with(
            steady(
                adstock={"kind": "geometric_adstock", "alpha": 0.5, "l_max": 3, "normalize": False},
                saturation={"kind": kind, **CURVES[kind]},
                base_effectiveness=0.05,
            ),
            transforms={"adstock_first": adstock_first},
        )
    )
    truth = estimands(ds).squeeze()
    # Spend of 1 a period is a carry-over of 1.75, unless the curve comes first.
    mass = 1.75 if adstock_first else 1.0
    half = HALF_AT[kind](CURVES[kind]) / mass
    assert_near(truth["half_saturation"], half, 1e-9)
    amplitude = {"tanh_saturation_baselined": 5e-4 * 1000 / 0.6}.get(kind, 1.0)
    if kind == "hill_saturation_sigmoid":
        amplitude = 1 - 1 / (1 + np.exp(2e-3 * 1200))
    level = float(ds["saturated"].mean()) / amplitude if np.isfinite(half) else np.nan
    assert_near(truth["saturation_level"], level, 1e-9)


@pytest.mark.parametrize("by", ["channel", BOTH], ids=str)
def test_half_saturation_by_constant_spend(either: xr.Dataset, by: Any) -> None:
    """Constant spend of that size makes half of what spend without bound makes."""
    ds = either
    truth = estimands(ds, by=by)
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
    assert_near((made / most)[..., kept.values], 0.5, 1e-9)


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
    "exponentials": (
        lambda x: (np.exp(x / 500) - 1) / (np.exp(x / 500) + 1),
        500 * np.log(3),
        1e-12,
    ),
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


@pytest.mark.parametrize("alpha", [1e-9, 0.5, 1.0, 1.6, 1.8, 2.05, 3.0])
def test_a_root_has_no_limit(alpha: float) -> None:
    root = steady(saturation={"kind": "root_saturation", "alpha": alpha})
    truth = estimands(generate(config_with(root))).squeeze()
    assert np.isnan(truth["half_saturation"]) and np.isnan(truth["saturation_level"])


def test_a_curve_with_a_limit_has_half_of_it() -> None:
    truth = shape_of({name: curve for name, (curve, *_) in BOUNDED.items()}, "channel")
    for name, (_, half, allowed) in BOUNDED.items():
        assert_near(truth["half_saturation"].sel(channel=name), half, allowed)
        assert 0 < float(truth["saturation_level"].sel(channel=name)) < 1


@pytest.mark.parametrize("slope", [0.01, 0.3])
def test_a_slow_hill_reaches_half_at_kappa(slope: float) -> None:
    hill = steady(saturation={"kind": "hill_function", "slope": slope, "kappa": 1500.0})
    truth = estimands(generate(config_with(hill))).squeeze()
    assert_near(truth["half_saturation"], 1500.0, 1e-12)


def test_saturation_level_over_geos(ds: xr.Dataset) -> None:
    quarters = estimands(ds, by="channel", freq="QS")["saturation_level"]
    hill = list(SATURATIONS).index("hill_function")
    saturated = ds["saturated"].isel(channel=hill).groupby(quarter_of(ds)).mean()
    effect = ds["effect"].isel(channel=hill)
    expected = (saturated * effect).sum("geo") / effect.sum()
    assert_near(quarters.isel(channel=hill), expected)
    assert bool((quarters.isel(channel=hill) < 1).all())


# --- kinds of one's own ------------------------------------------------------------------------


def test_a_curve_without_complex_numbers_is_differentiated_numerically() -> None:
    @m.register_saturation("kinked")
    def kinked(x, *, scale: Positive = 1.0):  # type: ignore[no-untyped-def]
        return np.arctan(np.abs(x) / scale)

    try:
        ds = generate(config_with(steady(saturation={"kind": "kinked", "scale": 800.0})))
        central = (mroas(ds, delta=1e-4) + mroas(ds, delta=-1e-4)) / 2
        assert_near(mroas(ds), central, 1e-6)
        truth = estimands(ds).squeeze()
        # Half of pi / 2 is where the arctangent is of 1.
        assert_near(truth["half_saturation"], 800.0, 1e-9)
    finally:
        SATURATIONS.remove("kinked")


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
    assert_near(estimands(lazy)["mroas"], estimands(ds)["mroas"])


# --- PyMC-Marketing's own figures ---------------------------------------------------------------


NEWER = int(version("pymc-marketing").split(".")[0]) >= 1


@pytest.fixture(scope="module")
def fitted() -> Iterator[tuple[xr.Dataset, Any]]:
    """Dataset, and PyMC-Marketing's model with the truth as the one draw of its posterior."""
    import pymc as pm
    import pymc_marketing.mmm as components
    from pymc.backends.arviz import find_constants

    from mmm_xgen.export.pymc_marketing import model_inputs, scaled_parameters

    ds = quietly(
        lambda: m.generate_mmm_dataset(
            MMMDataConfig(
                n_periods=80,
                start_date="2022-01-03",
                freq="W-MON",
                channels=[
                    ChannelConfig(
                        name="TV", pattern="on_off", base_effectiveness=0.4, base_spend=3000.0
                    ),
                    ChannelConfig(name="Radio", roas=1.5),
                ],
                regions=RegionConfig(
                    region_names=["west", "north"], similarity=0.7, fourier_modes=0
                ),
                transforms={"adstock_kwargs": {"alpha": 0.7, "l_max": 6}},
            )
        )
    )
    name = "pymc_marketing.mmm.mmm" if NEWER else "pymc_marketing.mmm.multidimensional"
    mmm = importlib.import_module(name).MMM(
        date_column="date",
        target_column="y",
        channel_columns=list(ds["channel_column"].values),
        dims=("geo",),
        adstock=components.GeometricAdstock(l_max=6),
        saturation=components.HillSaturation(),
    )
    if not hasattr(type(mmm), "incrementality"):
        pytest.skip("this release of PyMC-Marketing computes no incrementality")
    features, target = model_inputs(ds)
    mmm.build_model(features, target)
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
        "fit_data": mmm.create_fit_data(features, target),
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
@pytest.mark.parametrize(
    ("frequency", "freq"),
    [("quarterly", "QS"), ("monthly", "MS"), ("yearly", "YS"), ("all_time", None)],
)
def test_roas_with_carryout_is_their_incrementality(
    fitted: tuple[xr.Dataset, Any], frequency: str, freq: str | None
) -> None:
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
def test_mroas_with_carryout_is_their_marginal_incrementality(
    fitted: tuple[xr.Dataset, Any],
) -> None:
    ds, mmm = fitted
    theirs = mmm.incrementality.marginal_contribution_over_spend(frequency="quarterly")
    ours = mroas(ds, BOTH, freq="QS", delta=0.01, with_carryout=True, within_data=True)
    assert_near(ours, as_ours(ds, theirs), 1e-9)
