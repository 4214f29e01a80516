"""Geo tests in the panel, and lift tests against full regeneration and PyMC-Marketing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mmm_xgen import (
    AlignmentError,
    ChannelConfig,
    ConfigError,
    MMMDataConfig,
    RegionConfig,
    SchemaError,
    XgenWarning,
    generate_mmm_dataset,
    regenerate,
)
from mmm_xgen.config.experiment import ExperimentConfig, check_experiments, experiment_cells
from mmm_xgen.dataset import config_of
from mmm_xgen.generation.experiments import apply_experiments
from mmm_xgen.kernels.calendar import regular
from mmm_xgen.truth.what_if.counterfactual import simulate, window_periods
from mmm_xgen.truth.what_if.lift_tests import (
    lift_test,
    meridian_calibration_period,
    meridian_roi_prior,
)
from tests.strategies import quietly, regenerated
from tests.truth.worlds import NEWER, assert_near, pymc_marketing_model


def config(**fields: Any) -> dict[str, Any]:
    return {
        "n_periods": 104,
        "start_date": "2022-01-03",
        "revenue_per_kpi": 2.0,
        "channels": [
            ChannelConfig(name="x-TV", base_effectiveness=0.2),
            ChannelConfig(name="Radio", base_effectiveness=0.1, adstock_fun="weibull_adstock"),
            ChannelConfig(name="Fake", base_effectiveness=0.0),
            ChannelConfig(name="Rest", pattern="delayed_start", start_period=90),
        ],
        "regions": RegionConfig(region_names=["North", "South", "East"], similarity=0.8),
    } | fields


def generate(**fields: Any) -> xr.Dataset:
    return quietly(lambda: generate_mmm_dataset(MMMDataConfig(**config(**fields))))


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return generate()


def regenerated_mu(ds: xr.Dataset, plan: xr.DataArray, after: int = 0) -> xr.DataArray:
    """Expected sales of the same world generated with another plan."""
    return regenerated(ds, plan, after=after)["mu"].transpose("date", "geo")


# --- the configuration --------------------------------------------------------------------------

GOOD: dict[str, Any] = {"channel": "TV", "start": "2022-02-07", "end": "2022-02-20", "change": 0.5}
CELLS: dict[str, Any] = {
    "channels": ["TV", "Radio"],
    "geos": ["north", "south", "west"],
    "calendar": regular(np.datetime64("2022-01-03"), 20, "week"),
}


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"change": 0}, "change", "other than 0"),
        ({"change": -1.01}, "change", "at least -1"),
        ({"change": True}, "change", "a number"),
        ({"geos": []}, "geos", "found"),
        ({"geos": "north"}, "geos", "a list"),
        ({"geos": ["north", "north"]}, "geos", "each geo once"),
        ({"end": "2022-01-01"}, "end", "before start 2022-02-07"),
        ({"end": "next week"}, "end", "an ISO date"),
        ({"start_period": 3}, "start_period", "found start and start_period"),
        ({"n_periods": 3}, "n_periods", "found end and n_periods"),
        ({"end": None}, "end", "neither end nor n_periods"),
        ({"start": None}, "start", "neither start nor start_period"),
        ({"start": None, "start_period": -1}, "start_period", "at least 0"),
        ({"length": 3}, "length", "no such key"),
    ],
)
def test_impossible_experiments(fields: dict[str, Any], path: str, message: str) -> None:
    ExperimentConfig.from_dict(GOOD)
    with pytest.raises(ConfigError, match=message) as caught:
        ExperimentConfig.from_dict({**GOOD, **fields})
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("experiments", "path", "message"),
    [
        ([{"channel": "Tele"}], "experiments.0.channel", "'Radio', 'TV'"),
        ([{"geos": ["nort"]}], "experiments.0.geos", "did you mean 'north'"),
        ([{"start": "2021-12-27"}], "experiments.0.start", "2022-01-03 to 2022-05-22"),
        ([{"end": "2022-05-23"}], "experiments.0.end", "2022-01-03 to 2022-05-22"),
        ([{"start": "2022-02-08", "end": "2022-02-13"}], "experiments.0.end", "no period begins"),
        ([{"start": "2022-05-17", "end": "2022-05-22"}], "experiments.0.start", "no period"),
        ([{"start": None, "start_period": 20}], "experiments.0.start_period", "before period 20"),
        ([{"end": None, "n_periods": 16}], "experiments.0.n_periods", "at most 15"),
        ([{}, {"geos": ["south", "west"]}, {}], "experiments.2.geos", r"experiments\.0 tests"),
        ([{"geos": None}, {"channel": "x1-TV"}], "experiments.1.geos", "'north'"),
    ],
)
def test_experiments_that_do_not_fit_the_data(experiments, path, message):
    good = {**GOOD, "geos": ["north"]}
    tests = [ExperimentConfig.from_dict({**good, **fields}) for fields in experiments]
    with pytest.raises(ConfigError, match=message) as caught:
        apply_experiments(np.ones((2, 3, 20)), tests, **CELLS)
    assert caught.value.path == path


def test_experiments_change_their_cells_only() -> None:
    spend = np.arange(1.0, 121.0).reshape(2, 3, 20)
    before = spend.copy()
    tests = [
        ExperimentConfig(
            channel="x-TV", geos=["west"], start="2022-02-07", end="2022-02-21", change=-1
        ),
        ExperimentConfig(channel="TV", geos=["north"], start_period=5, n_periods=15, change=0.5),
        ExperimentConfig(channel="TV", geos=["west"], start_period=8, end="2022-03-01", change=0.5),
        ExperimentConfig(channel="x2-Radio", start_period=0, n_periods=1, change=2.0),
    ]
    cells = experiment_cells(tests, **CELLS)
    assert [(c.start, c.stop) for c in cells] == [(5, 8), (5, 20), (8, 9), (0, 1)]
    changed = apply_experiments(spend, tests, **CELLS)
    wanted = before.copy()
    wanted[0, 2, 5:8] = 0
    wanted[0, 0, 5:] *= 1.5
    wanted[0, 2, 8] *= 1.5
    wanted[1, :, 0] *= 3
    np.testing.assert_array_equal(changed, wanted)
    np.testing.assert_array_equal(spend, before)
    same = apply_experiments(spend, (), **CELLS)
    assert same is spend


def test_dates_of_all_kinds_and_round_trips() -> None:
    written = ExperimentConfig(**GOOD)
    for kind in (pd.Timestamp, np.datetime64, lambda text: pd.Timestamp(text).date()):
        dates = {"start": kind("2022-02-07"), "end": kind("2022-02-20")}
        assert ExperimentConfig(channel="TV", change=0.5, **dates) == written
    assert ExperimentConfig.from_dict(written.model_dump(mode="json")) == written


def test_a_test_of_nothing_warns() -> None:
    test = ExperimentConfig(channel="TV", start_period=0, n_periods=2, change=0.5)
    with pytest.warns(XgenWarning, match=r"experiments\.0 changes nothing"):
        apply_experiments(np.zeros((2, 3, 20)), [test], **CELLS)


def test_the_check_of_a_configuration_names_the_path() -> None:
    web = ExperimentConfig(channel="Web", start_period=0, n_periods=1, change=1.0)
    with pytest.raises(ValueError, match="no channel named 'Web'"):
        check_experiments([web], **CELLS)


# --- in the panel -------------------------------------------------------------------------------

WINDOW = ("2022-09-05", "2022-10-02")
TEST = {"channel": "TV", "geos": ["North"], "start": WINDOW[0], "end": WINDOW[1], "change": -1.0}
INSIDE = {"channel": "TV", "geo": "North", "date": slice(*WINDOW)}


def test_the_panel_contains_its_experiments(ds: xr.Dataset) -> None:
    tested = generate(experiments=[TEST])
    assert (tested["spend"].sel(INSIDE) == 0).all()
    assert (ds["spend"].sel(INSIDE) > 0).all()
    wanted = ds["spend"].copy()
    wanted.loc[INSIDE] = 0
    assert tested["spend"].equals(wanted)
    assert_near(tested["mu"], regenerated_mu(ds, wanted))
    # The draw is the same; what is left of it is the difference of y and another mu.
    np.testing.assert_allclose(tested["noise"], ds["noise"], rtol=1e-9, atol=1e-9)
    assert regenerate(tested).identical(tested)


def test_a_given_plan_gets_the_experiments_once(ds: xr.Dataset) -> None:
    change = MMMDataConfig(**config(experiments=[{**TEST, "change": 0.5}]))
    tested = quietly(lambda: generate_mmm_dataset(change, spend=ds["spend"]))
    xr.testing.assert_allclose(tested["spend"].sel(INSIDE), 1.5 * ds["spend"].sel(INSIDE))
    # A Dataset has the test in it already; bare spend does not tell.
    assert regenerate(tested).identical(tested)
    again, twice = (
        quietly(lambda spend=spend: generate_mmm_dataset(change, spend=spend))
        for spend in (tested, tested["spend"])
    )
    assert again["spend"].equals(tested["spend"])
    xr.testing.assert_allclose(twice["spend"].sel(INSIDE), 1.5 * tested["spend"].sel(INSIDE))
    # A counterfactual has the spend that it is given.
    assert simulate(tested, spend=ds["spend"])["spend"].equals(ds["spend"])


def test_a_configuration_refuses_what_does_not_fit() -> None:
    with pytest.raises(ConfigError) as caught:
        MMMDataConfig(**config(experiments=[{**TEST, "geos": ["West"]}]))
    assert caught.value.path == "experiments.0.geos"
    assert MMMDataConfig.from_yaml(MMMDataConfig(**config(experiments=[TEST])).to_yaml())


def test_the_lift_of_a_test_in_the_panel(ds: xr.Dataset) -> None:
    tested = generate(experiments=[TEST])
    without = generate_mmm_dataset(config_of(tested).replace(experiments=()))["spend"]
    lift = lift_test(
        tested,
        channel="TV",
        geos="North",
        window=WINDOW,
        change=-1.0,
        estimand="in_test",
        se=5.0,
        spend=without,
    )
    wanted = (tested["mu"] - ds["mu"]).sel(geo="North", date=slice(*WINDOW))
    assert_near(lift["true_delta_y"], wanted.mean())


# --- lift tests ---------------------------------------------------------------------------------


LAST = ("2023-12-04", "2023-12-31")


@pytest.mark.parametrize(
    ("channel", "change", "window"),
    [("TV", 0.5, WINDOW), ("Radio", -1.0, WINDOW), ("TV", -0.3, LAST), ("Radio", 0.5, LAST)],
)
def test_dynamic_lifts_equal_full_regeneration(ds, channel, change, window):
    plan = ds["spend"].copy()
    plan.loc[{"channel": channel, "geo": ["South", "North"], "date": slice(*window)}] *= 1 + change
    l_max = int(ds["l_max"].sel(channel=channel))
    other, today = (regenerated_mu(ds, spend, l_max - 1) for spend in (plan, ds["spend"]))
    rise = (other - today).sel(geo=["South", "North"]).values
    periods = window_periods(ds, window)
    arguments: dict[str, Any] = {
        "channel": channel,
        "geos": ["South", "North"],
        "window": window,
        "change": change,
        "se": 1.0,
    }
    inside = lift_test(ds, estimand="in_test", **arguments)
    assert_near(inside["true_delta_y"], rise[periods].mean(axis=0))
    whole = lift_test(ds, estimand="in_test_and_cooldown", **arguments)
    carried = rise[periods.start : periods.stop + l_max - 1].sum(axis=0) / 4
    assert_near(whole["true_delta_y"], carried)
    assert_near(carried, rise.sum(axis=0) / 4)
    # Negative control: the three estimands are three numbers.
    steady = lift_test(ds, **arguments)
    for one, other in ((inside, whole), (inside, steady), (whole, steady)):
        assert (abs(one["true_delta_y"] / other["true_delta_y"] - 1) > 1e-3).all()
    spent = ds["spend"].sel(channel=channel, geo=["South", "North"]).isel(date=periods).mean("date")
    assert_near(whole["x"], spent, 1e-12)
    assert_near(whole["delta_x"], change * spent, 1e-12)
    assert_near(whole["true_roi"], 2 * carried / (change * spent))
    assert list(whole["geo"]) == ["South", "North"]
    # Up to the last date.
    n_dates = ds.sizes["date"]
    cut = lift_test(ds, estimand="in_test_and_cooldown", within_data=True, **arguments)
    assert_near(cut["true_delta_y"], rise[:n_dates].sum(axis=0) / 4)
    differs = abs(rise[n_dates:].sum(axis=0)) > 1e-6
    assert list(whole["complete"]) == list(cut["complete"]) == list(~differs)


def true_curve(ds: xr.Dataset, channel: str, x: Any) -> Any:
    """By hand: Hill on spend in currency, with the effect and no adstock, dims (geo,)."""
    one = ds.sel(channel=channel)
    slope, kappa, beta = (one[f"saturation_{n}"].values for n in ("slope", "kappa", "beta"))
    share = (x / one["spend_unit"].values) ** slope
    return beta * share / (kappa**slope + share)


@pytest.mark.parametrize("adstock_first", [True, False])
def test_the_steady_state_is_what_constant_spend_settles_at(adstock_first: bool) -> None:
    ds = generate(
        transforms={
            "adstock_kwargs": {"alpha": 0.6, "normalize": False},
            "adstock_first": adstock_first,
        }
    )
    lift = lift_test(ds, channel="TV", window="2022-09", change=0.5, se=1.0)
    plan = xr.zeros_like(ds["spend"])
    level = xr.DataArray(lift["spend"].to_numpy(), dims="geo", coords={"geo": ds["geo"].values})
    low = regenerated_mu(
        ds, plan + 1000 * (ds["channel"] != "TV") + level * (ds["channel"] == "TV")
    )
    high = regenerated_mu(
        ds, plan + 1000 * (ds["channel"] != "TV") + 1.5 * level * (ds["channel"] == "TV")
    )
    true = (high - low).isel(date=-1).to_numpy()
    assert_near(lift["true_delta_y"] * lift["lift_factor"], true)
    # The likelihood knows no adstock, so it gets the spend that adstock would make of it.
    weight = ds["adstock_weights"].sel(channel="TV").sum("lag").to_numpy()
    assert (weight > 2).all()
    np.testing.assert_allclose(lift["x"], lift["spend"] * (weight if adstock_first else 1))
    np.testing.assert_allclose(lift["lift_factor"], 1 if adstock_first else weight)
    # What it says of the frame at the true parameters, in either order.
    likelihood = true_curve(ds, "TV", lift["x"] + lift["delta_x"]) - true_curve(ds, "TV", lift["x"])
    assert_near(lift["true_delta_y"], likelihood)
    assert_near(lift["true_roi"], 2 * true / lift["delta_spend"])
    prior = meridian_roi_prior(lift)
    invested = lift["delta_spend"].sum()
    assert_near(prior["true_mean"], 2 * true.sum() / invested)
    factor, estimate = lift["lift_factor"], 2 * lift["delta_y"] / invested
    assert_near(prior["mean"], (factor * estimate).sum())


def test_meridian_reads_a_test_that_switches_everything_off(ds: xr.Dataset) -> None:
    arguments: dict[str, Any] = {
        "channel": "TV",
        "window": "2022-09",
        "estimand": "in_test_and_cooldown",
    }
    test = lift_test(ds, change=-1.0, se={"North": 3.0, "South": 4.0, "East": 12.0}, **arguments)
    prior = meridian_roi_prior(test)
    assert len(prior) == 1
    off = ds["spend"].copy()
    off.loc[{"channel": "TV", "date": "2022-09"}] = 0
    lost = 2 * float((ds["mu"] - regenerated_mu(ds, off)).sum())
    spent = float(ds["spend"].sel(channel="TV", date="2022-09").sum())
    assert_near(prior["true_mean"], lost / spent)
    assert_near(prior["true_roas_with_carryout"], lost / spent)
    assert_near(prior["sd"], 2 * 4 * 13.0 / spent)
    estimate = 2 * 4 * test["delta_y"].sum() / -spent
    assert_near(prior["mean"], estimate)
    # Negative control: more of it returns less than all of it.
    more = meridian_roi_prior(lift_test(ds, change=0.5, se=1.0, **arguments))
    assert float(more["true_mean"].iloc[0]) < 0.9 * lost / spent
    assert_near(more["true_roas_with_carryout"], lost / spent)


@pytest.mark.parametrize("estimand", ["in_test", "in_test_and_cooldown"])
def test_a_price_that_varies_counts_on_the_dates_of_the_lift(ds: xr.Dataset, estimand: Any) -> None:
    price = ds["revenue_per_kpi"] * xr.DataArray(np.linspace(1, 5, ds.sizes["date"]), dims="date")
    varied = ds.assign(revenue_per_kpi=price)
    inside = {"channel": "TV", "date": "2022-09"}
    test = lift_test(varied, channel="TV", window="2022-09", change=-1.0, se=1.0, estimand=estimand)
    off = ds["spend"].copy()
    off.loc[inside] = 0
    lost = regenerated_mu(ds, off) - ds["mu"]
    counted = lost.sel(date="2022-09") if estimand == "in_test" else lost
    revenue, spent = (counted * price).sum("date"), -ds["spend"].sel(inside).sum("date")
    assert_near(test["true_roi"], revenue / spent)
    assert_near(test["revenue_per_kpi"], revenue / counted.sum("date"))
    prior = meridian_roi_prior(test)
    assert_near(prior["true_mean"], revenue.sum() / spent.sum())
    is_same = abs(prior["true_roas_with_carryout"] / prior["true_mean"] - 1) < 1e-9
    assert is_same.all() == (estimand == "in_test_and_cooldown")
    # Negative control: the mean price of the window is another.
    mean = price.sel(date="2022-09").mean("date")
    assert (abs(test["revenue_per_kpi"] / mean.to_numpy() - 1) > 1e-3).all()


def test_several_tests_make_several_priors_and_windows(ds: xr.Dataset) -> None:
    tests = pd.concat(
        [
            lift_test(ds, channel="x2-Radio", window="2022-09", change=-1.0, se=1.0),
            lift_test(ds, channel="TV", window="2022-10", change=-1.0, se=1.0, geos="East"),
            lift_test(ds, channel="TV", window="2023-01", change=0.5, se=1.0, labels="channel"),
        ],
        ignore_index=True,
    )
    prior = meridian_roi_prior(tests)
    assert list(prior["channel"]) == ["x2-Radio", "x1-TV", "TV"]
    assert list(prior["n_geos"]) == [3, 1, 3]
    period = meridian_calibration_period(ds, prior)
    assert period.dims == ("date", "channel")
    assert period.sum("date").values.tolist() == [5 + 5, 4, 104, 104]
    assert period.sel(channel="Radio", date="2022-09").all()
    with pytest.raises(SchemaError, match="no column 'delta_y'"):
        meridian_roi_prior(tests.drop(columns="delta_y"))
    with pytest.raises(SchemaError, match="no row"):
        meridian_roi_prior(tests.iloc[:0])


@pytest.mark.parametrize(
    ("prior", "words"),
    [
        (pd.DataFrame({"start": [], "end": []}), "a frame without 'channel'"),
        ([1], "found list"),
        (3, "found int"),
    ],
)
def test_a_calibration_period_needs_the_frame_of_a_prior(ds, prior, words):
    with pytest.raises(SchemaError, match=f"{words}, allowed: a frame that meridian_roi_prior"):
        meridian_calibration_period(ds, prior)


def test_tests_by_different_changes_are_different_tests(ds: xr.Dataset) -> None:
    arguments: dict[str, Any] = {"channel": "TV", "window": "2022-09", "se": 1.0}
    frames = [lift_test(ds, change=change, **arguments) for change in (0.5, -0.5)]
    assert [frame["change"].tolist() for frame in frames] == [[0.5] * 3, [-0.5] * 3]
    prior = meridian_roi_prior(pd.concat(frames, ignore_index=True))
    apart = pd.concat([meridian_roi_prior(frame) for frame in frames], ignore_index=True)
    pd.testing.assert_frame_equal(prior, apart)
    assert prior["change"].tolist() == [0.5, -0.5]
    assert prior["n_geos"].tolist() == [3, 3]
    assert np.isfinite(prior["mean"]).all()


def test_a_geo_is_in_a_test_once(ds: xr.Dataset) -> None:
    arguments: dict[str, Any] = {"channel": "TV", "window": "2022-09", "change": 0.5, "se": 1.0}
    seeds = [lift_test(ds, seed=seed, **arguments) for seed in range(2)]
    message = r"'x1-TV' from 2022-09-05 to 2022-09-26 by \+0\.5 has the geo 'North' twice"
    with pytest.raises(SchemaError, match=message + ".*one at a time"):
        meridian_roi_prior(pd.concat(seeds, ignore_index=True))
    # Geos of one test may come in parts, and each test may have all of them.
    parts = [lift_test(ds, geos=geo, **arguments) for geo in ("North", "South", "East")]
    pd.testing.assert_frame_equal(
        meridian_roi_prior(pd.concat(parts, ignore_index=True)), meridian_roi_prior(seeds[0])
    )


# --- estimates ----------------------------------------------------------------------------------


def test_estimates_have_their_error_and_a_stream_of_their_own(ds: xr.Dataset) -> None:
    arguments: dict[str, Any] = {"channel": "TV", "window": "2022-09", "change": 0.5, "se": 10.0}
    z = np.array(
        [
            (test["delta_y"] - test["true_delta_y"]) / 10.0
            for seed in range(40)
            for test in [lift_test(ds, seed=seed, **arguments)]
        ]
    )
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert abs(z.std() - 1) < 4 / np.sqrt(2 * z.size)
    assert abs(np.corrcoef(z.T)[0, 1]) < 4 / np.sqrt(len(z))
    assert len(np.unique(z)) == z.size
    # The same test is the same draw; a geo keeps its draw whichever geos go with it.
    pd.testing.assert_frame_equal(lift_test(ds, **arguments), lift_test(ds, **arguments))
    alone = lift_test(ds, geos="South", **arguments)
    np.testing.assert_array_equal(alone["delta_y"], lift_test(ds, **arguments)["delta_y"][1:2])
    # The panel's seed does not enter, nor does its noise.
    noisier = generate(seed=43)
    other = lift_test(noisier, **arguments)
    assert_near(other["delta_y"] - other["true_delta_y"], 10 * z[0])


def test_an_estimate_of_the_wrong_sign_is_refused_and_never_dropped(ds: xr.Dataset) -> None:
    arguments: dict[str, Any] = {"channel": "TV", "window": "2022-09", "change": 0.01, "se": 1e4}
    frames = [lift_test(ds, seed=seed, allow_any_sign=True, **arguments) for seed in range(8)]
    wrong = [bool((frame["delta_y"] < 0).any()) for frame in frames]
    assert sum(wrong) > 0
    assert all(len(frame) == 3 for frame in frames)
    for seed, (is_wrong, frame) in enumerate(zip(wrong, frames, strict=True)):
        if is_wrong:
            with pytest.raises(ConfigError, match=r"allow_any_sign=True.*\(1\.3\)"):
                lift_test(ds, seed=seed, **arguments)
        else:
            pd.testing.assert_frame_equal(lift_test(ds, seed=seed, **arguments), frame)


@pytest.mark.parametrize("estimand", ["steady_state", "in_test", "in_test_and_cooldown"])
def test_placebos_have_no_lift_and_estimates_of_both_signs(ds: xr.Dataset, estimand: Any) -> None:
    arguments: dict[str, Any] = {"channel": "Fake", "window": "2022-09", "change": 0.5, "se": 10.0}
    frames = [
        lift_test(ds, seed=seed, estimand=estimand, allow_any_sign=True, **arguments)
        for seed in range(3)
    ]
    tests = pd.concat(frames)
    assert (tests["true_delta_y"] == 0).all()
    assert (tests["true_roi"] == 0).all()
    assert (tests["delta_y"] > 0).any() and (tests["delta_y"] < 0).any()
    prior = meridian_roi_prior(frames[0])
    assert prior["true_mean"].iloc[0] == 0
    assert np.isfinite(prior["mean"].iloc[0]) and prior["sd"].iloc[0] > 0


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"channel": "Web"}, AlignmentError, "no channel named 'Web'"),
        ({"geos": ["Nort"]}, AlignmentError, "did you mean 'North'"),
        ({"window": "2030"}, ConfigError, "no period begins"),
        ({"change": 0}, ConfigError, "not 0"),
        ({"change": -2}, ConfigError, "at least -1"),
        ({"change": None}, ConfigError, "change=None"),
        ({"se": 0}, ConfigError, "above 0"),
        ({"se": "1%"}, ConfigError, "se='1%'"),
        ({"se": {"North": 1.0}}, AlignmentError, "'South'"),
        ({"estimand": "in_tests"}, ConfigError, "did you mean 'in_test'"),
        ({"labels": "columns"}, ConfigError, "did you mean 'column'"),
        ({"seed": -1}, ConfigError, "seed=-1"),
        ({"seed": 1.5}, ConfigError, "seed=1.5"),
        ({"channel": "Rest"}, ConfigError, "'Rest' spends nothing in 'North'"),
    ],
)
def test_impossible_lift_tests_are_refused(ds, fields, error, message):
    good: dict[str, Any] = {"channel": "TV", "window": "2022-09", "change": 0.5, "se": 1.0}
    with pytest.raises(error, match=message):
        lift_test(ds, **{**good, **fields})


def test_a_dataset_that_lost_its_past_has_no_lift(ds: xr.Dataset) -> None:
    cut = ds.isel(date=slice(30, None))
    with pytest.raises(SchemaError, match="cut of its dates"):
        lift_test(cut, channel="TV", window="2022-09", change=0.5, se=1.0, estimand="in_test")


# --- PyMC-Marketing -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built() -> tuple[xr.Dataset, Any]:
    """A tiny geo panel, and a model of PyMC-Marketing built on it."""
    effects = {"TV": 0.3, "Radio": 0.2, "Fake": 0.0}
    ds = generate(
        n_periods=30,
        channels=[ChannelConfig(name=n, base_effectiveness=e) for n, e in effects.items()],
        # Not in alphabetical order, in which a model sorts the geos of a frame.
        regions=RegionConfig(region_names=["b", "a"], similarity=0.8),
        transforms={
            "adstock_kwargs": {"alpha": 0.5, "l_max": 8},
            "saturation_kwargs": {"slope": 1.4},
        },
    )
    return ds, pymc_marketing_model(ds, l_max=8)


def likelihood_mean(ds: xr.Dataset, mmm: Any, name: str) -> np.ndarray:
    """Mean of a lift likelihood where the model's parameters are the true ones, in KPI units."""
    from pytensor.graph.replace import graph_replace
    from pytensor.xtensor import as_xtensor

    from mmm_xgen.export.pymc_marketing import scaled_parameters

    scale = mmm.scalers["_target"]
    truth = scaled_parameters(ds, channel_scale=mmm.scalers["_channel"], target_scale=scale)
    columns = ds["channel_column"].values
    replaced = {}
    for parameter in (n for n in truth.data_vars if str(n).startswith("saturation_")):
        dims = mmm.model.named_vars_to_dims[parameter]
        values = truth[parameter].assign_coords(channel=columns)
        values = values.sel({dim: list(mmm.model.coords[dim]) for dim in dims}).transpose(*dims)
        replaced[mmm.model[parameter]] = as_xtensor(values.to_numpy(), dims=dims)
    distribution = mmm.model[name].owner
    if "gamma" in str(distribution.op):
        # 0.19: shape and scale, of the lift without its sign.
        _, shape, gamma_scale = distribution.inputs
        mean = shape * gamma_scale
    else:
        mean = distribution.inputs[1]
    return graph_replace([mean], replaced, strict=False)[0].eval() * float(scale)


def test_pymc_marketing_takes_the_frame_and_means_the_same(built: tuple[xr.Dataset, Any]) -> None:
    ds, mmm = built
    tests = pd.concat(
        [
            lift_test(ds, channel="TV", window="2022-03", change=0.5, se=20.0),
            lift_test(ds, channel="Radio", window="2022-04", change=-1.0, se=20.0, geos="a"),
        ],
        ignore_index=True,
    )
    mmm.add_lift_test_measurements(tests)
    found = likelihood_mean(ds, mmm, "lift_measurements")
    assert_near(np.abs(found), tests["true_delta_y"].abs())
    # Negative control: the lift of a real test of four weeks is another number.
    real = lift_test(ds, channel="TV", window="2022-03", change=0.5, se=20.0, estimand="in_test")
    assert (abs(real["true_delta_y"] / np.abs(found[:2]) - 1) > 0.01).all()


def test_only_releases_with_a_real_valued_likelihood_take_any_sign(built):
    ds, mmm = built
    arguments: dict[str, Any] = {"channel": "Fake", "window": "2022-03", "change": 0.5, "se": 20.0}
    frames = (lift_test(ds, seed=n, allow_any_sign=True, **arguments) for n in range(100))
    tests = next(frame for frame in frames if (frame["delta_y"] < 0).any())
    if not NEWER:
        from pymc_marketing.mmm.lift_test import NonMonotonicError

        with pytest.raises(NonMonotonicError):
            mmm.add_lift_test_measurements(tests, name="placebo")
        return
    mmm.add_lift_test_measurements(tests, name="placebo")
    np.testing.assert_array_equal(likelihood_mean(ds, mmm, "placebo"), [0.0, 0.0])
