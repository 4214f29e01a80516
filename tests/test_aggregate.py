"""Aggregation, checked against pandas' own periods and against sums in another order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import mmm_xgen as m
from mmm_xgen.aggregate import SUMMED, aggregate
from mmm_xgen.export import to_frame
from mmm_xgen.schema import parts_of
from mmm_xgen.truth import contribution_totals, roas
from tests.connected import connected
from tests.strategies import (
    assert_parts_add_up,
    config_with,
    drawn,
    generate,
    quietly,
    same,
    steady,
    valid_configs,
)

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")

# Each frequency as pandas names the periods that start so.
PERIODS = {"W-MON": "W-SUN", "W-WED": "W-TUE", "MS": "M", "QS": "Q", "YS": "Y"}
LENGTHS = {"D": 1, "W": 7, "MS": 30, "QS": 90, "YS": 365}
FLOWS = ("spend", "channel_contribution", "control_contribution", "mu", "noise", "y")


def length(freq: str) -> int:
    return LENGTHS[freq.split("-")[0]]


def starts(ds: xr.Dataset, freq: str) -> np.ndarray[Any, Any]:
    """First day of the period of each date, by pandas."""
    periods = pd.DatetimeIndex(ds["date"].values).to_period(PERIODS[freq])
    return periods.start_time.to_numpy().astype("datetime64[ns]")


@pytest.fixture(scope="module")
def daily() -> xr.Dataset:
    controls = [
        {"name": "Price", "base_value": 4.0, "gamma_control": -50.0},
        {"name": "Rain", "pattern": "uniform", "low": 0.2, "high": 2, "elasticity": 0.1},
    ]
    regions = {
        "region_names": ["north", "south", "west"],
        "population": [3e6, 1e6, 0.5e6],
        "similarity": 0.4,
        "sales_trend": 0.001,
        "sales_volatility": 0.05,
        "seasonal_amplitude": 0.2,
    }
    config = config_with(
        steady("TV", adstock={"kind": "geometric_adstock", "alpha": 0.6}),
        steady("Radio", pattern="on_off", spend_volatility=0.4),
        freq="D",
        n_periods=500,
        start_date="2022-01-12",
        burn_in_periods=20,
        revenue_per_kpi=3.0,
        control_variables=controls,
        regions=regions,
        events=[{"name": "sale", "dates": ["11-25"], "effect": 0.3, "width_days": 4}],
    )
    return generate(config)


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return m.generate_mmm_dataset()


# ------------------------------------------------------------------ sums


@pytest.mark.parametrize("freq", PERIODS)
def test_flows_are_the_sums_that_pandas_makes(daily, freq):
    labels = starts(daily, freq)
    sums = daily[[*FLOWS]].assign_coords(date=labels).groupby("date").sum()
    wanted = {None: sums, "national": sums.sum("geo").expand_dims(geo=["national"])}
    for geo, expected in wanted.items():
        result = aggregate(daily, geo=geo, freq=freq)
        np.testing.assert_array_equal(result["date"].values, np.unique(labels))
        assert result["date"].dtype == "datetime64[ns]"
        for name in FLOWS:
            assert result[name].dims == daily[name].dims
            values = expected[name].transpose(*daily[name].dims).values
            np.testing.assert_allclose(
                result[name].values, values, rtol=1e-11, atol=1e-11 * abs(values).max()
            )


@given(config=valid_configs(max_periods=20), data=st.data())
def test_identities_and_returns_hold_for_any_config(config, data):
    ds = drawn(config)
    coarser = [freq for freq in PERIODS if length(freq) > length(config.freq)]
    freq = data.draw(st.sampled_from([None, *coarser]))
    geo = data.draw(st.sampled_from([None, "national", "Ünited"]))
    result = aggregate(ds, geo=geo, freq=freq)
    assert_parts_add_up(result)
    same(roas(result).fillna(-1), roas(ds).fillna(-1))
    same(result["spend"].sum(), ds["spend"].sum())
    before, after = contribution_totals(ds).sum("geo"), contribution_totals(result).sum("geo")
    for name in before:
        same(after[name], before[name], scale=float(before["mu"]))


@pytest.mark.parametrize("options", [{}, {"geo": None, "freq": "MS"}], ids=str)
def test_noise_is_what_sales_are_beyond_their_mean_to_the_last_bit(daily, options):
    result = aggregate(daily, **options)
    assert ((result["y"] - result["mu"]).transpose(*result["noise"].dims) == result["noise"]).all()


def test_both_at_once_is_one_after_the_other(daily):
    at_once = aggregate(daily, geo="all", freq="QS")
    for first, second in (
        ({"geo": "all"}, {"geo": None, "freq": "QS"}),
        ({"geo": None, "freq": "QS"}, {"geo": "all"}),
        ({"geo": None, "freq": "MS"}, {"geo": "all", "freq": "QS"}),
    ):
        in_turn = aggregate(aggregate(daily, **first), **second)
        # Of months in turn it is the mean of means, as documented.
        skipped = {"control_value"} if {"freq"} <= first.keys() & second.keys() else set()
        for name in set(at_once.data_vars) - skipped:
            xr.testing.assert_allclose(in_turn[name], at_once[name], rtol=1e-10)
        assert in_turn.attrs["partial_periods"] == at_once.attrs["partial_periods"]


def test_intercept(daily):
    national = aggregate(daily)
    assert national["intercept_contribution"].dims == ("geo",)
    assert float(national["intercept_contribution"].item()) == pytest.approx(
        float(daily["intercept_contribution"].sum()), rel=1e-12
    )
    monthly = aggregate(daily, geo=None, freq="MS")["intercept_contribution"]
    assert monthly.dims == ("date", "geo")
    expected = 28 * daily["intercept_contribution"]
    np.testing.assert_allclose(monthly.sel(date="2022-02-01"), expected, rtol=1e-12)


def test_controls_are_means_of_what_a_person_meets(daily):
    result = aggregate(daily, freq="MS")["control_value"]
    rows = to_frame(daily)
    rows["month"] = rows["date"].dt.to_period("M").dt.start_time
    people = dict(zip(daily["geo"].values, daily["population"].values, strict=True))
    for name, column in (("Price", "c1-Price"), ("Rain", "c2-Rain")):
        weight = rows["geo"].map(people)
        sums = (rows[column] * weight).groupby(rows["month"]).sum()
        expected = sums / weight.groupby(rows["month"]).sum()
        np.testing.assert_allclose(result.sel(control=name, geo="national"), expected, rtol=1e-12)


def test_a_linear_control_stays_linear_in_its_national_value(daily):
    """Which a plain mean over geos of different size would not give."""
    national = aggregate(daily)
    value = national["control_value"].sel(control="Price").values.ravel()
    contribution = national["control_contribution"].sel(control="Price").values.ravel()
    gamma = float(daily["gamma_control"].sel(control="Price").sum())
    np.testing.assert_allclose(contribution, gamma * value, rtol=1e-11)
    plain = daily["control_value"].sel(control="Price").mean("geo").values
    assert abs(contribution / (gamma * plain) - 1).max() > 1e-3


def test_population_carryover_history_events_and_revenue(daily):
    result = aggregate(daily, freq="MS")
    assert result["population"].values == [4.5e6]
    assert result["geo_scale"].values == [1.5]
    same(result["carryover"].sum(), daily["carryover"].sum())
    assert "reason" not in result["carryover"].attrs
    same(result["spend_history"].sum(), daily["spend_history"].sum())
    months = result["history_date"].values.astype("datetime64[M]").astype(str).tolist()
    assert months == ["2021-12", "2022-01"]
    same(result["event_intensity"].sum(), daily["event_intensity"].sum())
    assert result["revenue_per_kpi"].dims == ("date", "geo")
    assert (result["revenue_per_kpi"] == 3.0).all()


def test_revenue_per_kpi_that_varies(daily):
    by_geo = daily.assign(
        revenue_per_kpi=daily["revenue_per_kpi"] * xr.DataArray([1, 2, 3], dims="geo")
    )
    with pytest.raises(m.SchemaError, match=r"revenue_per_kpi.* differs between geos"):
        aggregate(by_geo)
    kept = aggregate(by_geo, geo=None, freq="MS")
    assert kept["revenue_per_kpi"].isel(date=0).values.tolist() == [3.0, 6.0, 9.0]
    same(roas(kept), roas(by_geo))
    year = daily["date"].dt.year
    by_year = daily.assign(revenue_per_kpi=daily["revenue_per_kpi"] * (year - 2021))
    same(roas(aggregate(by_year, freq="QS")), roas(by_year))
    by_day = daily.assign(revenue_per_kpi=daily["revenue_per_kpi"] * daily["date"].dt.day)
    with pytest.raises(m.SchemaError, match="within a new period"):
        aggregate(by_day, freq="MS")


# ------------------------------------------------------------------ what is lost


@pytest.mark.parametrize("options", [{"geo": "all"}, {"geo": None, "freq": "MS"}])
def test_what_does_not_add_up_is_nan_with_a_reason(daily, options):
    result = aggregate(daily, **options)
    assert set(result.data_vars) == set(daily.data_vars)
    known = {*SUMMED, "control_value", "revenue_per_kpi"}
    assert len(set(daily.data_vars) - known) > 15
    for name, variable in result.data_vars.items():
        assert set(variable.dims) >= set(daily[name].dims), name
        if name in known:
            assert variable.notnull().all(), name
            assert variable.attrs == daily[name].attrs
        else:
            assert variable.isnull().all(), name
            assert variable.attrs["reason"].startswith("no such ")
            assert variable.attrs["units"] == daily[name].attrs["units"]
    for name in ("adstock_kind", "saturation_kind", "l_max", "normalize"):
        assert result[name].attrs["reason"].startswith("before the sum")
        np.testing.assert_array_equal(result[name].values, daily[name].values)


def test_carryover_of_responses_is_no_spend():
    config = config_with(steady()) | {"transforms": {"adstock_first": False}}
    result = aggregate(generate(config), freq="MS")
    assert result["carryover"].isnull().all()
    assert "no such stage" in result["carryover"].attrs["reason"]
    assert_parts_add_up(result)


def test_an_aggregate_cannot_be_regenerated_and_says_so(ds):
    result = aggregate(ds, freq="MS")
    assert "config" not in result.attrs
    with pytest.raises(m.SchemaError, match="config"):
        m.regenerate(result)
    again = m.generate_mmm_dataset(m.MMMDataConfig.from_json(result.attrs["source_config"]))
    assert aggregate(again, freq="MS").identical(result)
    assert result.attrs["aggregation"] == (
        "sum over 2 geos and over time (W-MON to MS); "
        "regenerate from source_config, then aggregate again"
    )
    twice = aggregate(aggregate(ds), geo=None, freq="MS")
    assert twice.attrs["source_config"] == ds.attrs["config"]
    assert twice.attrs["aggregation"] == (
        "sum over 2 geos; sum over time (W-MON to MS); "
        "regenerate from source_config, then aggregate again"
    )
    assert result.attrs["freq"] == "MS"


def test_an_aggregated_counterfactual_says_how_to_get_another(ds):
    without = m.truth.simulate(ds, spend=0 * ds["spend"])
    note = "a counterfactual: simulate again, then aggregate"
    once = aggregate(without)
    assert once.attrs["aggregation"] == f"sum over 2 geos; {note}"
    assert "source_config" not in once.attrs
    twice = aggregate(once, geo=None, freq="MS")
    told = f"sum over 2 geos; sum over time (W-MON to MS); {note}"
    assert twice.attrs["aggregation"] == told
    # One that says nothing of where it comes from has no advice.
    bare = ds.copy()
    bare.attrs = {"freq": ds.attrs["freq"]}
    assert aggregate(bare).attrs["aggregation"] == "sum over 2 geos"


def test_the_source_stays_as_it_is(ds):
    before = ds.copy(deep=True)
    aggregate(ds, freq="MS")
    assert ds.identical(before)


def test_labels_keep_their_type(ds):
    result = aggregate(ds, geo="Österreich", freq="QS")
    assert result["geo"].values.tolist() == ["Österreich"]
    for name in ds.coords:
        assert result[name].dtype.kind == ds[name].dtype.kind, name
    assert len(to_frame(result)) == 8
    assert list(result.data_vars) == list(ds.data_vars)


# ------------------------------------------------------------------ nothing to sum


def test_one_geo_is_only_renamed():
    ds = generate(config_with(steady()))
    result = aggregate(ds)
    assert result["geo"].values.tolist() == ["national"]
    assert "config" not in result.attrs
    assert result.attrs["aggregation"].startswith("new label of the geo")
    for name in ds.data_vars:
        np.testing.assert_array_equal(result[name].values, ds[name].values)
        assert "reason" not in result[name].attrs


@pytest.mark.parametrize("freq", [None, "W-MON"])
def test_nothing_asked_is_nothing_done(ds, freq):
    assert aggregate(ds, geo=None, freq=freq).identical(ds)


# ------------------------------------------------------------------ partial periods


@pytest.mark.parametrize(
    ("start", "n_periods", "freq", "target", "partial"),
    [
        # January starts within the data's first week only if its first Monday is there.
        ("2022-01-03", 52, "W-MON", "MS", ""),
        ("2022-01-10", 51, "W-MON", "MS", "2022-01-01"),
        ("2022-01-03", 51, "W-MON", "MS", "2022-12-01"),
        ("2022-01-01", 32, "D", "MS", "2022-02-01"),
        ("2022-01-02", 31, "D", "W-MON", "2021-12-27,2022-01-31"),
        ("2022-02-01", 6, "MS", "QS", "2022-01-01,2022-07-01"),
        ("2022-01-01", 12, "MS", "YS", ""),
    ],
)
def test_partial_periods_are_listed(start, n_periods, freq, target, partial):
    config = config_with(steady(), start_date=start, n_periods=n_periods, freq=freq)
    result = aggregate(generate(config), freq=target)
    assert result.attrs["partial_periods"] == partial


def test_a_partial_month_makes_its_quarter_partial():
    config = config_with(steady(), start_date="2022-01-10", n_periods=51)
    monthly = aggregate(generate(config), freq="MS")
    assert aggregate(monthly, freq="QS").attrs["partial_periods"] == "2022-01-01"


# ------------------------------------------------------------------ hostile input


@pytest.mark.parametrize(
    ("source", "freq", "words"),
    [
        ("W-MON", "D", "did you mean|allowed"),
        ("W-MON", "W-MON ", "allowed"),
        ("W-MON", "W-SUN", "'W-SUN', as long as the 'W-MON' of the data, allowed: 'MS', 'QS'"),
        ("MS", "W-MON", "'W-MON', finer than the 'MS' of the data, allowed: 'QS', 'YS', None"),
        ("D", "monthly", "allowed: 'MS'"),
        ("D", "M", "allowed: 'MS'"),
        ("D", 30, "allowed: 'MS'"),
        ("D", "", "allowed: 'MS'"),
    ],
)
def test_wrong_freq(source, freq, words):
    start = "2022-01-01" if source == "MS" else "2022-01-03"
    data = generate(config_with(steady(), freq=source, start_date=start, n_periods=14))
    with pytest.raises(m.ConfigError, match=words) as caught:
        aggregate(data, freq=freq)
    assert caught.value.path == "freq"


def test_nothing_is_coarser_than_years(ds):
    with pytest.raises(m.ConfigError, match="finer than the 'YS' of the data, allowed: None"):
        aggregate(aggregate(ds, freq="YS"), freq="QS")


@pytest.mark.parametrize("geo", ["", 3, True, ["a"], np.nan])
def test_wrong_geo(ds, geo):
    with pytest.raises(m.ConfigError, match="allowed: a label"):
        aggregate(ds, geo=geo)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda ds: xr.Dataset(), "no 'spend'"),
        (lambda ds: ds.drop_vars("population"), "no 'population'"),
        (lambda ds: ds.drop_attrs(), "freq=''.*allowed"),
        (lambda ds: ds.assign_attrs(freq="5min"), "freq='5min'.*allowed"),
        (lambda ds: ds.sum("geo"), "'geo'"),
    ],
)
def test_a_dataset_that_cannot_be_aggregated(
    ds: xr.Dataset, change: Callable[[xr.Dataset], xr.Dataset], words: str
):
    with pytest.raises(m.SchemaError, match=words):
        aggregate(change(ds), freq="MS")


def test_missing_numbers_stay_missing(ds):
    holed = ds.copy(deep=True)
    holed["y"][4, 1] = np.nan
    assert int(aggregate(holed)["y"].isnull().sum()) == 1
    assert int(aggregate(holed, geo=None, freq="MS")["y"].isnull().sum()) == 1


def test_unsorted_dates(ds):
    backwards = ds.isel(date=slice(None, None, -1))
    expected = aggregate(ds, freq="MS")
    xr.testing.assert_allclose(aggregate(backwards, freq="MS"), expected, rtol=1e-12)


def test_chunks_and_further_dims(ds):
    pytest.importorskip("dask")
    monthly = aggregate(ds, freq="MS")
    xr.testing.assert_identical(aggregate(ds.chunk(), freq="MS").compute(), monthly)
    two = quietly(
        lambda: xr.concat([ds, m.generate_mmm_dataset(seed=3)], "dataset", data_vars="all")
    )
    np.testing.assert_allclose(roas(aggregate(two, freq="MS")), roas(two), rtol=1e-12)
    for options in ({}, {"geo": None, "freq": "MS"}):
        both = aggregate(two, **options)
        for position in range(2):
            alone = aggregate(two.isel(dataset=position), **options)
            for name in {*SUMMED, "control_value", "revenue_per_kpi"} & {*alone}:
                assert both[name].dims == ("dataset", *alone[name].dims), name
                part = both[name].isel(dataset=position)
                np.testing.assert_allclose(part, alone[name], rtol=1e-12, err_msg=name)


def test_parts_of_a_world_with_mechanisms_are_summed_and_its_states_averaged() -> None:
    ds = connected()
    national = aggregate(ds, freq="QS")
    total = sum(
        national[name].sum([*{*national[name].dims} - {"date", "geo"}]) for name in parts_of(ds)
    )
    np.testing.assert_allclose(total, national["mu"])
    for name in (*parts_of(ds)[5:], "spend_plan", "sales_plan", "exposure"):
        np.testing.assert_allclose(
            national[name].sum("date")[0], ds[name].sum(("date", "geo")), atol=1e-6
        )
    share = ds["population"] / ds["population"].sum()
    quarters = starts(ds, "QS")
    for name in ("demand", "mediator_value"):
        mean = (ds[name] * share).sum("geo").groupby(xr.DataArray(quarters, dims="date")).mean()
        np.testing.assert_allclose(national[name].isel(geo=0), mean)
    for name in ("effect_path", "funnel_strength", "interaction_strength", "mediator_effect"):
        assert bool(national[name].isnull().all())
        assert "no such parameter of a sum" in national[name].attrs["reason"]
    m.schema.check_whole(national)


def test_the_whole_mediator_is_the_control_that_shows_it_after_a_sum_too() -> None:
    national = aggregate(connected(), freq="MS")
    shown = national["control_value"].sel(control="Visits", drop=True)
    np.testing.assert_allclose(shown, national["mediator_value"].sel(mediator="Visits", drop=True))


@pytest.mark.parametrize("figure", [roas, m.truth.attribution, m.truth.estimands])
def test_returns_of_connected_channels_do_not_follow_from_sums(figure: Callable[..., Any]) -> None:
    with pytest.raises(m.SchemaError, match="pass the Dataset that was aggregated"):
        figure(aggregate(connected()))
