"""Counterfactuals and what-ifs against full regeneration, which shares no code with them."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen import (
    AlignmentError,
    ChannelConfig,
    ConfigError,
    MMMDataConfig,
    RegionConfig,
    SchemaError,
    XgenError,
    generate_mmm_dataset,
    regenerate,
    respond,
    truth,
)
from mmm_xgen.truth.what_if.counterfactual import full_plan, simulate, window_periods
from mmm_xgen.truth.what_if.scenarios import (
    change_investment,
    compare_scenarios,
    predict_impact,
    scenario_frame,
    write_scenarios,
)
from tests.strategies import quietly, regenerated
from tests.truth.worlds import assert_near, world


def small(**fields: Any) -> xr.Dataset:
    """A saturating channel, one that sometimes rests, and a placebo, in two geos."""
    settings: dict[str, Any] = {
        "n_periods": 104,
        "start_date": "2022-01-03",
        "revenue_per_kpi": 2.0,
        "channels": [
            ChannelConfig(name="x-TV", roas=2.0, spend_volatility=0.4),
            ChannelConfig(name="Radio", pattern="on_off", base_effectiveness=0.1),
            ChannelConfig(name="Fake", base_effectiveness=0.0),
        ],
        "regions": RegionConfig(region_names=["North", "South"], similarity=0.8),
    }
    return quietly(lambda: generate_mmm_dataset(MMMDataConfig(**settings | fields)))


@pytest.fixture(scope="module")
def tiny() -> xr.Dataset:
    return small()


# --- identity ----------------------------------------------------------------------------------


@pytest.mark.parametrize("adstock_first", [True, False])
def test_todays_spend_gives_the_dataset_bit_by_bit(adstock_first: bool) -> None:
    ds = world(adstock_first)
    same = simulate(ds, spend=ds["spend"])
    assert same.identical(ds)
    assert simulate(ds, spend=1 * ds["spend"].sel(geo="b", channel="channel 3")).identical(ds)
    turned = ds["spend"].transpose("channel", "date", "geo").isel(geo=[2, 0], date=slice(9, 3, -1))
    assert simulate(ds, spend=turned).identical(ds)
    # What was left alone regenerates as before.
    assert regenerate(same).identical(regenerate(ds))


def test_only_what_a_change_reaches_is_touched(ds: xr.Dataset) -> None:
    plan = change_investment(
        ds, channel="channel 0", geo="b", window=("2022-06-01", "2022-06-30"), by=0.4
    )
    new = simulate(ds, spend=plan)
    inside = window_periods(ds, ("2022-06-01", "2022-06-30"))
    reach = slice(inside.start, inside.stop + int(ds["l_max"][0]) - 1)
    reached = ("carryover", "saturated", "channel_contribution", "mu", "y")
    for name in reached:
        moved = (new[name] != ds[name]).values
        cells = np.zeros_like(moved)
        cells[(reach, 1, 0) if moved.ndim == 3 else (reach, 1)] = True
        assert not moved[~cells].any(), name
        assert moved[cells].all(), name
    for name in set(ds.variables) - {"spend", *reached}:
        assert new[name].identical(ds[name]), name


def test_a_placebo_moves_spend_and_nothing_else(tiny: xr.Dataset) -> None:
    new = simulate(tiny, spend=3 * tiny["spend"].sel(channel="Fake"))
    assert (new["spend"] != tiny["spend"]).any()
    for name in ("channel_contribution", "mu", "y"):
        assert new[name].identical(tiny[name])
    assert float(predict_impact(tiny, channel="Fake", by=-1).incremental_sales) == 0
    assert float(predict_impact(tiny, channel="Fake", by=1).incremental_roas) == 0


# --- against full regeneration ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("adstock_first", "change"),
    [(True, "one geo off"), (True, "burst"), (False, "another plan"), (False, "burst")],
)
def test_it_equals_full_regeneration(adstock_first: bool, change: str) -> None:
    ds = world(adstock_first)
    rng = np.random.default_rng(1)
    plans = {
        "one geo off": ds["spend"].where(ds["geo"] != "b", 0.0),
        "burst": ds["spend"] + 5000.0 * (ds["date"] == ds["date"][30]),
        "another plan": ds["spend"].copy(data=rng.gamma(2.0, 500.0, ds["spend"].shape)),
    }
    plan = plans[change]
    found, wanted = simulate(ds, spend=plan), regenerated(ds, plan)
    for name in ("spend", "carryover", "saturated", "channel_contribution", "mu"):
        xr.testing.assert_allclose(found[name], wanted[name], rtol=1e-9, atol=1e-9)
    assert_near(found["y"], wanted["mu"] + ds["noise"])
    assert found["noise"].identical(ds["noise"])
    # The identities of a Dataset hold for a counterfactual too.
    parts = ["trend", "seasonality", "event"]
    total = ds["intercept_contribution"] + sum(ds[f"{part}_contribution"] for part in parts)
    total = total + ds["control_contribution"].sum("control")
    total = total + found["channel_contribution"].sum("channel")
    assert_near(total.transpose("date", "geo"), found["mu"])
    assert_near(respond(found["spend"], found), found["channel_contribution"])
    # Negative control: today's Dataset is not the answer.
    assert abs(ds["mu"] - wanted["mu"]).max() > 1


def test_no_spend_is_no_contribution(ds: xr.Dataset) -> None:
    without = simulate(ds, spend=0 * ds["spend"])
    last = without.isel(date=slice(int(ds["l_max"].max()), None))
    assert (last["channel_contribution"] == 0).all()
    # The burn-in still carries over into the first periods.
    assert (without["channel_contribution"].isel(date=0) > 0).any()


def test_there_and_back(ds: xr.Dataset) -> None:
    new = simulate(ds, spend=0.3 * ds["spend"])
    back = simulate(new, spend=ds["spend"])
    assert_near(back["mu"], ds["mu"])
    assert back.attrs["counterfactual"].count("; then ") == 1


def test_y_is_not_clipped_again() -> None:
    ds = small(regions=RegionConfig(n_regions=2, base_sales_rate=1000.0, sales_volatility=0.5))
    without = simulate(ds, spend=0 * ds["spend"])
    assert_near(without["y"] - without["mu"], ds["noise"], size=1000)
    assert (without["y"] < 0).any()


# --- plans --------------------------------------------------------------------------------------


def test_further_dims_lead_and_equal_one_plan_at_a_time(ds: xr.Dataset) -> None:
    factors = xr.DataArray(
        [1.0, 0.0, 1.5], dims="scenario", coords={"scenario": ["as is", "off", "up"]}
    )
    plans = ds["spend"].sel(channel=["channel 2", "channel 5"]) * factors
    together = simulate(ds, spend=plans)
    assert together["mu"].dims == ("scenario", "date", "geo")
    assert together["channel_contribution"].dims == ("scenario", "date", "geo", "channel")
    assert together["noise"].dims == ("date", "geo")
    for name in factors["scenario"].values:
        alone = simulate(ds, spend=plans.sel(scenario=name, drop=True))
        for variable in ("spend", "carryover", "channel_contribution", "mu", "y"):
            assert_near(together[variable].sel(scenario=name), alone[variable])
    for variable in ("spend", "mu", "y", "channel_contribution"):
        same = together[variable].sel(scenario="as is").drop_vars("scenario")
        assert same.identical(ds[variable])
    assert "by scenario" in together.attrs["counterfactual"]


def test_labels_decide_and_missing_ones_keep_todays_spend(tiny: xr.Dataset) -> None:
    part = tiny["spend"].sel(channel="TV", geo="South").isel(date=[7, 3])
    plan = full_plan(tiny, 10 + 0 * part)
    assert (plan.sel(channel="TV", geo="South").isel(date=[3, 7]) == 10).all()
    assert int((plan != tiny["spend"]).sum()) == 2
    named = part.expand_dims("channel").assign_coords(channel=["x1-TV"])
    assert full_plan(tiny, 10 + 0 * named).identical(plan)
    words = part.assign_coords(date=part["date"].dt.strftime("%Y-%m-%d"))
    assert full_plan(tiny, (10 + 0 * words).astype(int)).identical(plan)


def test_a_selection_of_geos_and_channels_is_enough(ds: xr.Dataset) -> None:
    some = ds.sel(channel=["channel 4", "channel 1"], geo=["c"])
    plan = 0.5 * some["spend"]
    assert_near(simulate(some, spend=plan)["mu"], simulate(ds, spend=plan)["mu"].sel(geo=["c"]))


def test_a_loaded_dataset_simulates_the_same(tiny: xr.Dataset, tmp_path: Any) -> None:
    new = simulate(tiny, spend=2 * tiny["spend"])
    new.to_netcdf(tmp_path / "new.nc")
    with xr.open_dataset(tmp_path / "new.nc") as loaded:
        xr.testing.assert_equal(loaded["y"], new["y"])
        assert loaded.attrs["counterfactual"] == new.attrs["counterfactual"]


def test_attributes_say_what_it_is(tiny: xr.Dataset) -> None:
    plan = change_investment(tiny, channel="x1-TV", geo="North", window="2022-05", by=0.5)
    new = simulate(tiny, spend=plan)
    told = "other spend of TV in North, 2022-05-02 to 2022-05-30"
    assert new.attrs["counterfactual"] == told
    assert new.attrs["factual_config"] == tiny.attrs["config"]
    assert new["mu"].attrs == tiny["mu"].attrs
    assert "counterfactual" not in tiny.attrs
    # What did not make it must not be taken for what did.
    with pytest.raises(SchemaError, match=r"counterfactual \(other spend of TV .* simulate"):
        regenerate(new)
    again = simulate(regenerate(tiny), spend=new["spend"])
    assert again.identical(new)


OF_ONE_DATASET: dict[str, Callable[[xr.Dataset, xr.DataArray], Any]] = {
    "simulate": lambda ds, spend: truth.simulate(ds, spend=spend),
    "change_investment": lambda ds, _: truth.change_investment(ds, channel="TV", by=0.5),
    "predict_impact": lambda ds, _: truth.predict_impact(ds, channel="TV", by=0.5),
    "compare_scenarios": lambda ds, spend: truth.compare_scenarios(ds, {"more": 2 * spend}),
    "response_curve": lambda ds, _: truth.response_curve(ds),
    "efficiency_frontier": lambda ds, _: truth.efficiency_frontier(ds, budgets=[1e5]),
    "optimize_allocation": lambda ds, _: truth.optimize_allocation(ds),
    "regret": lambda ds, spend: truth.regret(ds, spend),
    "information_bound": lambda ds, _: truth.information_bound(ds),
    "recoverability": lambda ds, _: truth.recoverability(ds),
    "what_would_help": lambda ds, _: truth.what_would_help(ds),
    "lift_test": lambda ds, _: truth.lift_test(
        ds, channel="TV", window="2023-05", change=0.5, se=1.0
    ),
}


@pytest.mark.parametrize("name", OF_ONE_DATASET)
def test_several_datasets_at_once_are_refused_by_name(tiny: xr.Dataset, name: str) -> None:
    words = r"'(spend|spend_unit)' has the dim 'dataset': found .* allowed: .*isel\(dataset=0\)"
    with pytest.raises(SchemaError, match=words):
        OF_ONE_DATASET[name](tiny.expand_dims(dataset=2), tiny["spend"])


def test_history_of_several_datasets_is_refused(ds: xr.Dataset) -> None:
    several = ds.assign(spend_history=ds["spend_history"].expand_dims(dataset=2))
    with pytest.raises(SchemaError, match="'spend_history' has the dim 'dataset'"):
        simulate(several, spend=2 * ds["spend"])


DAY = np.timedelta64(1, "D")


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (
            lambda s: s.where(s["geo"] != "South", -5.0),
            ConfigError,
            "-5 at .*geo South, channel TV",
        ),
        (lambda s: s.where(s["channel"] != "Radio"), ConfigError, "missing at .*Radio"),
        (lambda s: s * np.inf, ConfigError, "inf at"),
        (lambda s: s.astype(str), ConfigError, "numbers"),
        (lambda s: s.values, ConfigError, "a DataArray"),
        (lambda s: s.assign_coords(geo=["North", "Sout"]), AlignmentError, "did you mean 'South'"),
        (lambda s: s.assign_coords(channel=["TV", "Radio", "x"]), AlignmentError, "named 'x'"),
        (lambda s: s.assign_coords(geo=["North", "North"]), AlignmentError, "geo 'North' twice"),
        (lambda s: s.assign_coords(date=s["date"] + DAY), AlignmentError, "2022-01-04"),
        (lambda s: s.sum("geo"), AlignmentError, "allowed: date, geo and channel"),
        (lambda s: s.drop_vars("geo").isel(geo=[0]), AlignmentError, "1 entries along 'geo'"),
        (lambda s: s.expand_dims(control=2), AlignmentError, "'control'"),
        (lambda s: s.assign_coords(date=range(104)), AlignmentError, "date"),
    ],
)
def test_bad_plans_are_refused_by_name(tiny, spoil, error, message):
    with pytest.raises(error, match=message):
        simulate(tiny, spend=spoil(tiny["spend"]))


ALTERATIONS = {
    "spend": lambda ds: ds.assign(spend=1.1 * ds["spend"]),
    "one cell": lambda ds: ds.assign(
        spend=ds["spend"].where(ds["date"] != ds["date"][50], 1.1 * ds["spend"])
    ),
    "contributions": lambda ds: ds.assign(channel_contribution=1.1 * ds["channel_contribution"]),
    "adstock": lambda ds: ds.assign(adstock_alpha=0.5 * ds["adstock_alpha"]),
    "curve": lambda ds: ds.assign(saturation_kappa=2 * ds["saturation_kappa"]),
    "dates": lambda ds: ds.isel(date=slice(50, None)),
    "missing": lambda ds: ds.assign(spend=ds["spend"].where(ds["date"] != ds["date"][50])),
}
# These read no contribution.
UNCHECKED = {
    "change_investment",
    "meridian_calibration_period",
    "meridian_roi_prior",
    "promotion_returns",
    "write_scenarios",
}


@pytest.mark.parametrize("name", sorted({*truth.__all__} - UNCHECKED))
def test_altered_data_are_refused_alike(tiny: xr.Dataset, name: str) -> None:
    call = OF_ONE_DATASET.get(name, lambda ds, _: getattr(truth, name)(ds))
    call(tiny, tiny["spend"])
    for alteration, altered in ((key, alter(tiny)) for key, alter in ALTERATIONS.items()):
        refusal = r"not what its spend and parameters make|104 that"
        with pytest.raises(SchemaError, match=refusal):
            call(altered, altered["spend"].fillna(1.0))
            pytest.fail(f"{name} takes a Dataset with other {alteration}")


def test_a_missing_variable_is_named(tiny: xr.Dataset) -> None:
    with pytest.raises(SchemaError, match="mu"):
        simulate(tiny.drop_vars("mu"), spend=tiny["spend"])


# --- windows ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "first", "last"),
    [
        (None, "2022-01-03", "2023-12-25"),
        ("2023", "2023-01-02", "2023-12-25"),
        ("2022-05", "2022-05-02", "2022-05-30"),
        ("2022-05-09", "2022-05-09", "2022-05-09"),
        (("2022-05-03", "2022-06"), "2022-05-09", "2022-06-27"),
        (["2022-05", None], "2022-05-02", "2023-12-25"),
        (slice(None, "2022-01"), "2022-01-03", "2022-01-31"),
        (slice("2023-12-01", "2030"), "2023-12-04", "2023-12-25"),
        (datetime.date(2022, 5, 9), "2022-05-09", "2022-05-09"),
        ((np.datetime64("2022-05-02"), pd.Timestamp("2022-05-15")), "2022-05-02", "2022-05-09"),
    ],
)
def test_windows(tiny: xr.Dataset, window: Any, first: str, last: str) -> None:
    dates = tiny["date"].values[window_periods(tiny, window)]
    assert [str(dates[0])[:10], str(dates[-1])[:10]] == [first, last]


NONE_OF_A_WINDOW = [
    "2025", 1_000_000 * "2", "2022-05-03", ("2022-06", "2022-05"), "soon", 3, (1, 5), slice(1, 5),
    ("2022",), slice("2022", "2023", 2), slice("soon", None), ("2022", True),
]  # fmt: skip


@pytest.mark.parametrize("window", NONE_OF_A_WINDOW, ids=lambda window: repr(window)[:40])
def test_windows_that_are_none(tiny: xr.Dataset, window: Any) -> None:
    with pytest.raises(ConfigError, match="window"):
        change_investment(tiny, channel="TV", window=window, by=0.1)


# --- one-line what-ifs --------------------------------------------------------------------------


def test_change_investment_changes_its_cells(tiny: xr.Dataset) -> None:
    today = tiny["spend"]
    plan = change_investment(tiny, channel="x-TV", geo=["South"], window="2022-05", by=0.25)
    inside = today.sel(channel="TV", geo="South", date="2022-05")
    xr.testing.assert_allclose(plan.sel(channel="TV", geo="South", date="2022-05"), 1.25 * inside)
    assert int((plan != today).sum()) == inside.size == 5
    level = change_investment(tiny, channel="Radio", to=np.float64(700))
    assert (level.sel(channel="Radio") == 700).all()
    assert level.dims == ("date", "geo", "channel")
    assert level.attrs == today.attrs
    for spelled in ("TV", "x-TV", "x1-TV"):
        assert change_investment(tiny, channel=spelled, by=0.1).equals(
            change_investment(tiny, channel="TV", by=0.1)
        )
    assert change_investment(tiny, channel="TV", by=0).equals(today)
    assert tiny["spend"].identical(today)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"channel": "TV"}, ConfigError, "one of them"),
        ({"channel": "TV", "to": 1, "by": 1}, ConfigError, "one of them"),
        ({"channel": "TV", "by": -1.5}, ConfigError, "at least -1"),
        ({"channel": "TV", "to": -1}, ConfigError, "at least 0"),
        ({"channel": "TV", "by": float("nan")}, ConfigError, "finite"),
        ({"channel": "TV", "by": "10%"}, ConfigError, "by='10%'"),
        ({"channel": "TV", "to": True}, ConfigError, "to=True"),
        ({"channel": "Raddio", "by": 0.1}, AlignmentError, "did you mean 'Radio'"),
        ({"channel": "TV", "geo": "West", "by": 0.1}, AlignmentError, "'West'"),
        ({"channel": "TV", "geo": [], "by": 0.1}, ConfigError, "no geo"),
        ({"channel": "TV", "geo": 3, "by": 0.1}, ConfigError, "the geo 3, allowed: a label"),
    ],
)
def test_impossible_changes_are_refused(tiny, arguments, error, message):
    with pytest.raises(error, match=message):
        predict_impact(tiny, **arguments)


@pytest.mark.parametrize(
    "change",
    [
        {"channel": "TV", "by": -1.0},
        {"channel": "TV", "geo": "South", "window": "2022-05", "by": 0.01},
        {"channel": "Radio", "window": ("2022-11", "2023-02"), "to": 900.0},
        {"channel": "TV", "window": ("2023-12-11", None), "by": 0.5},
    ],
)
def test_impact_equals_full_regeneration(tiny: xr.Dataset, change: dict[str, Any]) -> None:
    impact = predict_impact(tiny, **change)
    plan = change_investment(tiny, **change)
    periods = window_periods(tiny, change.get("window"))
    l_max = int(tiny["l_max"].sel(channel=change["channel"]))
    other, today = (
        regenerated(tiny, spend, after=l_max - 1)["mu"] for spend in (plan, tiny["spend"])
    )
    rise = (other - today).sum("geo").values
    added = float((plan - tiny["spend"]).sum())
    assert_near(impact["incremental_spend"], added)
    inside, carried = rise[periods].sum(), rise[periods.start : periods.stop + l_max - 1].sum()
    for suffix, sales in (("", inside), ("_with_carryout", carried)):
        assert_near(impact[f"incremental_sales{suffix}"], sales, size=1e4)
        assert_near(impact[f"incremental_revenue{suffix}"], 2 * sales, size=1e4)
        assert_near(impact[f"incremental_profit{suffix}"], 2 * sales - added, size=1e4)
        ratio = impact[f"incremental_roas{suffix}"]
        if float((plan - tiny["spend"]).min()) < 0:
            assert np.isnan(ratio)
        else:
            assert_near(ratio, 2 * sales / added, size=1e4 / added)
    # All that the change does is in the sum with carry-out.
    assert_near(carried, rise.sum(), size=1e4)
    assert impact.attrs["carryout_periods"] == l_max - 1
    # Negative control: without the carry-out something is missing.
    assert abs(carried - inside) > 1e-3 * abs(carried)
    n_dates = tiny.sizes["date"]
    cut = predict_impact(tiny, **change, within_data=True)
    assert_near(cut["incremental_sales_with_carryout"], rise[:n_dates].sum(), size=1e4)
    assert cut.attrs["carryout_periods"] == min(l_max - 1, n_dates - periods.stop)
    differs = abs(rise[n_dates:].sum()) > 1e-6
    assert bool(impact["complete"]) == bool(cut["complete"]) == (not differs)


def test_a_change_made_of_rounding_has_no_return(tiny: xr.Dataset) -> None:
    spend = tiny["spend"].sel(channel="TV", geo="North")
    impact = predict_impact(tiny, channel="TV", geo="North", to=float(spend.mean()))
    assert 0 < abs(float(impact["incremental_spend"])) < 1e-9
    assert np.isnan(impact["incremental_roas"])
    assert np.isnan(impact["incremental_roas_with_carryout"])
    # Negative control: a cent of it has one.
    cent = predict_impact(tiny, channel="TV", geo="North", by=0.01 / float(spend.sum()))
    assert np.isfinite(cent["incremental_roas"])


def test_impact_has_units_and_says_what_was_asked(tiny: xr.Dataset) -> None:
    impact = predict_impact(tiny, channel="x1-TV", geo="North", window="2022-05", by=-0.2)
    assert impact.attrs["channel"] == "TV"
    assert impact.attrs["geo"] == "North"
    assert impact.attrs["window_start"] == "2022-05-02"
    assert impact.attrs["change"] == "by -0.2"
    assert impact["incremental_spend"].attrs["units"] == "USD"
    assert impact["incremental_sales"].attrs["units"] == "sales"
    assert all(v.attrs["long_name"] for v in impact.data_vars.values())
    assert impact["incremental_profit"].attrs["units"] == "USD"


def test_nothing_spent_and_nothing_changed() -> None:
    late = {"pattern": "delayed_start", "start_period": 90}
    rest = ChannelConfig(name="Rest", base_effectiveness=0.1, **late)
    ds = small(channels=[rest, ChannelConfig(name="TV", base_effectiveness=0.1)])
    impact = predict_impact(ds, channel="Rest", window="2022", by=0.5)
    assert impact["incremental_sales"] == 0
    assert np.isnan(impact["incremental_roas"])
    # A level, unlike a relative change, starts a channel that rests.
    assert predict_impact(ds, channel="Rest", window="2022", to=500.0)["incremental_sales"] > 0


# --- scenarios ----------------------------------------------------------------------------------

SCENARIOS: dict[str, Any] = {
    "today": [],
    "TV off": {"channel": "TV", "by": -1},
    "shift": [
        {"channel": "TV", "geo": "South", "window": "2023", "by": -0.5},
        {"channel": "TV", "geo": "South", "window": "2023-05", "by": 1.0},
        {"channel": "Radio", "to": 800.0},
    ],
}


def test_scenarios_equal_full_regeneration(tiny: xr.Dataset) -> None:
    scenarios = {**SCENARIOS, "a plan": 1.1 * tiny["spend"].sel(channel=["Radio"], geo="North")}
    table = compare_scenarios(tiny, scenarios)
    assert list(table["scenario"].values) == list(scenarios)
    assert list(table["channel"].values) == ["TV", "Radio", "Fake"]
    shift = tiny["spend"].copy()
    shift.loc[{"channel": "TV", "geo": "South", "date": "2023"}] *= 0.5
    shift.loc[{"channel": "TV", "geo": "South", "date": "2023-05"}] *= 2
    shift.loc[{"channel": "Radio"}] = 800
    radio = tiny["spend"].copy()
    radio.loc[{"channel": "Radio", "geo": "North"}] *= 1.1
    off = tiny["spend"].where(tiny["channel"] != "TV", 0.0)
    plans = {"today": tiny["spend"], "TV off": off, "shift": shift, "a plan": radio}
    for name, plan in plans.items():
        row, new = table.sel(scenario=name), regenerated(tiny, plan)
        rise = (new["channel_contribution"] - tiny["channel_contribution"]).sum(("date", "geo"))
        assert_near(row["channel_spend"], plan.sum(("date", "geo")))
        assert_near(row["spend"], plan.sum())
        assert_near(row["sales"], new["mu"].sum())
        assert_near(row["revenue"], 2 * new["mu"].sum())
        assert_near(row["channel_incremental_sales"], rise, size=1e5)
        assert_near(row["incremental_sales"], rise.sum(), size=1e5)
        assert_near(row["incremental_revenue"], 2 * rise.sum(), size=1e5)
        made = new["channel_contribution"].sum(("date", "geo"))
        assert_near(row["roas"], 2 * made.sum() / plan.sum())
        spent = row["channel_spend"].where(row["channel_spend"] > 0)
        assert_near(row["channel_roas"], 2 * made / spent)
    assert table["incremental_sales"].sel(scenario="today") == 0
    assert np.isnan(table["incremental_roas"].sel(scenario="today"))
    assert np.isnan(table["channel_roas"].sel(scenario="TV off", channel="TV"))
    assert (table["channel_incremental_sales"].sel(channel="Fake") == 0).all()
    assert all(v.attrs["units"] and v.attrs["long_name"] for v in table.data_vars.values())


def test_a_return_is_formed_only_where_spend_rises_and_nothing_falls(tiny: xr.Dataset) -> None:
    spend = tiny["spend"]
    north, tv = spend["geo"] == "North", spend["channel"] == "TV"
    early = spend["date"] < spend["date"][52]
    plans = {
        "more of all": 1.2 * spend,
        "more TV": spend * xr.where(tv, 1.2, 1.0),
        "less TV": spend * xr.where(tv, 0.8, 1.0),
        "more TV, less Radio": spend * xr.where(tv, 1.4, 0.8),
        "more North, less South": spend * xr.where(north, 1.9, 0.8),
        "later": spend * xr.where(early, 0.8, 1.5),
    }
    table = compare_scenarios(
        tiny, {name: plan.transpose(*spend.dims) for name, plan in plans.items()}
    )
    gained, added = table["incremental_revenue"], table["incremental_spend"]
    assert (
        added.sel(scenario=["more TV, less Radio", "more North, less South", "later"]) > 0
    ).all()
    assert_near(table["incremental_profit"], gained - added, size=1e6)
    expected = (gained / added).where(table["scenario"].isin(["more of all", "more TV"]))
    assert_near(table["incremental_roas"], expected)
    by_channel = table["channel_incremental_roas"]
    channel_gain = table["channel_incremental_revenue"] - table["channel_incremental_spend"]
    assert_near(table["channel_incremental_profit"], channel_gain, size=1e6)
    assert np.isfinite(by_channel.sel(scenario="more TV, less Radio", channel="TV"))
    assert np.isnan(by_channel.sel(scenario="more TV, less Radio", channel="Radio"))
    assert np.isnan(by_channel.sel(scenario="more TV", channel="Radio"))
    assert np.isnan(by_channel.sel(scenario=["more North, less South", "later"])).all()
    assert not [name for name in table if "marginal" in str(name)]


@pytest.mark.parametrize("change", [{"by": -0.2}, {"to": 900.0}])
def test_an_impact_of_falling_spend_has_no_return(tiny: xr.Dataset, change: dict[str, Any]) -> None:
    impact = predict_impact(tiny, channel="TV", **change)
    plan = change_investment(tiny, channel="TV", **change)
    assert float((plan - tiny["spend"]).min()) < 0
    for ending in ("", "_with_carryout"):
        assert np.isnan(impact[f"incremental_roas{ending}"])
        gained = impact[f"incremental_revenue{ending}"] - impact["incremental_spend"]
        assert_near(impact[f"incremental_profit{ending}"], gained, size=1e5)


def test_a_shift_of_budget_has_no_return(tiny: xr.Dataset) -> None:
    moved = 0.1 * tiny["spend"].sel(channel="TV") * xr.ones_like(tiny["spend"])
    signs = xr.DataArray(
        [-1.0, 1.0, 0.0], dims="channel", coords={"channel": tiny["channel"].values}
    )
    table = compare_scenarios(tiny, {"shift": tiny["spend"] + moved * signs})
    assert abs(table["incremental_spend"]) < 1e-9
    assert np.isnan(table["incremental_roas"])
    assert np.isfinite(table["channel_incremental_roas"].sel(channel="Radio"))
    assert np.isnan(table["channel_incremental_roas"].sel(channel="TV"))


def test_scenarios_are_written_whole(tiny: xr.Dataset, tmp_path: Any) -> None:
    table = compare_scenarios(tiny, SCENARIOS)
    write_scenarios(table, tmp_path / "table.nc")
    with xr.open_dataset(tmp_path / "table.nc") as loaded:
        xr.testing.assert_identical(loaded.load(), table)
    write_scenarios(table, tmp_path / "table.csv")
    frame = pd.read_csv(tmp_path / "table.csv", index_col="scenario")
    pd.testing.assert_frame_equal(frame, scenario_frame(table), rtol=1e-14)
    assert list(frame.index) == list(SCENARIOS)
    assert frame.loc["TV off", "channel_spend:TV"] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.csv", "table.nc"]
    with pytest.raises(ConfigError, match=r"\.csv or \.nc"):
        write_scenarios(table, tmp_path / "table.xlsx")
    for name in ("table.csv", "table.nc"):
        with pytest.raises(XgenError, match=rf"{name}: there is no folder .*nowhere"):
            write_scenarios(table, tmp_path / "nowhere" / name)
    with pytest.raises(ConfigError, match="compare_scenarios"):
        scenario_frame(tiny)


@pytest.mark.parametrize(
    ("scenarios", "error", "message"),
    [
        ({}, ConfigError, "at least one"),
        ([{"channel": "TV"}], ConfigError, "a mapping"),
        ({"s": {"channel": "TV", "buy": 1}}, ConfigError, "scenario 's': .*did you mean 'by'"),
        ({"s": {"by": 1}}, ConfigError, "'channel'"),
        (
            {"s": {"channel": "Web", "by": 1}},
            AlignmentError,
            "scenario 's': no channel named 'Web'",
        ),
        ({"s": [{"channel": "TV", "by": -2}]}, ConfigError, "scenario 's': .*at least -1"),
        ({"s": "TV"}, ConfigError, "a list of changes"),
        ({"s": ["TV"]}, ConfigError, "found the change 'TV'"),
        ({"s": 3}, ConfigError, "a list of changes"),
    ],
)
def test_impossible_scenarios_are_refused(tiny, scenarios, error, message):
    with pytest.raises(error, match=message):
        compare_scenarios(tiny, scenarios)


def test_a_scenario_is_one_plan(tiny: xr.Dataset) -> None:
    with pytest.raises(ConfigError, match="one plan a scenario"):
        compare_scenarios(tiny, {"s": tiny["spend"].expand_dims(draw=2)})


def test_an_aggregated_dataset_has_no_response() -> None:
    monthly = m.aggregate(m.generate_mmm_dataset(), freq="MS")
    calls = (
        truth.optimize_allocation,
        truth.response_curve,
        truth.estimands,
        lambda ds: truth.predict_impact(ds, channel="Trend", by=0.1),
    )
    for call in calls:
        with pytest.raises(SchemaError, match="no response to spend, as after an aggregation"):
            call(monthly)
