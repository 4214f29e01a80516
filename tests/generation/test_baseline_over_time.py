"""Level shifts, events by geo, paths of base sales, seasons that change, shares of the baseline."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen import truth
from mmm_xgen.export import scaled_parameters
from mmm_xgen.report.causes import causes
from mmm_xgen.schema import parts_of
from tests.strategies import config_with, generate, steady

NAMES = ["north", "south", "west"]
MOVING: dict[str, Any] = {
    "level_path": {"kind": "random_walk", "sd": 0.03, "shared": False},
    "season_path": {"kind": "smooth", "sd": 0.4},
    "season_shift": 6.0,
}


def world(*, events: Any = (), controls: Any = (), **regions: Any) -> dict[str, Any]:
    fields = regions.pop("fields", {})
    own = {"n_regions": 3, "region_names": NAMES, "seasonal_amplitude": 0.2, "sales_trend": 0.002}
    return config_with(
        steady(base_effectiveness=0.0),
        **{"n_periods": 156, "seed": 4} | fields,
        regions=own | regions,
        events=list(events),
        control_variables=list(controls),
    )


def summed(ds: xr.Dataset) -> xr.DataArray:
    parts = [ds[name] for name in parts_of(ds)]
    sums = [part.sum([dim for dim in part.dims if dim not in ("date", "geo")]) for part in parts]
    return sum(sums[1:], sums[0]).transpose("date", "geo")


# ------------------------------------------------------------------ events


def daily(**event: Any) -> np.ndarray:
    """Intensity of an event on each of 400 days."""
    event = {"name": "e", "effect": -0.3, "dates": ["2022-02-01"]} | event
    ds = generate(world(events=[event], fields={"freq": "D", "n_periods": 400}))
    return ds["event_intensity"].values[:, 0]


def test_a_step_lasts_for_ever() -> None:
    days = (pd.date_range("2022-01-03", periods=400) - pd.Timestamp("2022-02-01")).days
    assert daily(shape="step").tolist() == [float(day >= 0) for day in days]
    assert daily(shape="step", lag_days=5.0).tolist() == [float(day >= 5) for day in days]


@pytest.mark.parametrize("width", [40.0, 240.0])
def test_a_dip_falls_lasts_and_recovers(width: float) -> None:
    days = (pd.date_range("2022-01-03", periods=400) - pd.Timestamp("2022-02-01")).days
    expected = []
    for day in days:
        if day < 0:
            expected.append(0.0)
        elif day < width:
            expected.append(min(1.0, day / (width / 4)))
        else:
            expected.append(math.exp(-(day - width) / width))
    np.testing.assert_allclose(daily(shape="dip", width_days=width), expected, atol=1e-15)


def test_a_dip_may_last_for_years_and_a_step_has_no_width() -> None:
    assert (daily(shape="dip", width_days=1500.0)[-1]) > 0.97
    with pytest.raises(m.ConfigError, match="'step' has no width") as caught:
        daily(shape="step", width_days=10.0)
    assert caught.value.path == "events.0.width_days"
    with pytest.raises(m.ConfigError, match="lasts for ever"):
        daily(shape="step", dates=["02-01"])


def test_an_event_of_some_geos_is_zero_elsewhere() -> None:
    event = {"name": "storm", "dates": ["2022-06-01"], "effect": -0.4, "geos": ["west", "north"]}
    everywhere = {"name": "sale", "dates": ["2022-09-01"], "effect": 0.2}
    ds = generate(world(events=[event, everywhere]))
    assert ds["event_effect"].sel(event="storm").values.tolist() == [-4000.0, 0.0, -4000.0]
    assert (ds["event_effect"].sel(event="sale") == 2000.0).all()
    lowest = ds["event_contribution"].min("date")
    assert lowest.values.tolist() == [-4000.0, 0.0, -4000.0]


def test_an_unknown_geo_of_an_event_is_named_with_the_nearest() -> None:
    event = {"name": "storm", "dates": ["2022-06-01"], "effect": -0.4, "geos": ["north", "wst"]}
    with pytest.raises(m.ConfigError, match="did you mean 'west'") as caught:
        generate(world(events=[event]))
    assert caught.value.path == "events.0.geos.1"


# ------------------------------------------------------------------ level


def test_the_level_moves_base_sales_with_mean_one() -> None:
    ds = generate(world(**MOVING, baseline_variation=0.3))
    path = ds["baseline_path"]
    np.testing.assert_allclose(path.mean("date"), 1.0)
    expected = ds["intercept_contribution"] * (path - 1)
    np.testing.assert_allclose(
        ds["level_contribution"], expected.transpose("date", "geo"), atol=1e-9
    )
    assert float(path.std("date").min()) > 0.02
    np.testing.assert_allclose(summed(ds), ds["mu"])
    # Without the level, nothing else is another.
    off = generate(world(**MOVING | {"level_path": None}, baseline_variation=0.3))
    assert "level_contribution" not in off
    for name in ("trend_contribution", "seasonality_contribution", "y_sigma", "spend"):
        assert (off[name] == ds[name]).all()


def test_a_step_of_the_level_is_what_it_says() -> None:
    path = {"kind": "step_change", "at": 0.25, "change": 0.8}
    ds = generate(world(level_path=path, fields={"n_periods": 104}))
    before, after = 1 / (0.25 + 0.75 * 0.8), 0.8 / (0.25 + 0.75 * 0.8)
    expected = [before] * 26 + [after] * 78
    for geo in NAMES:
        np.testing.assert_allclose(ds["baseline_path"].sel(geo=geo), expected)


@pytest.mark.parametrize("shared", [True, False])
def test_the_paths_of_geos_do_not_move_with_their_number(shared: bool) -> None:
    moving = MOVING | {"level_path": {"kind": "random_walk", "shared": shared}}
    few = generate(world(**moving))
    more = generate(world(**moving | {"n_regions": 5, "region_names": [*NAMES, "x", "y"]}))
    for name in ("baseline_path", "season_path"):
        assert (more[name].sel(geo=NAMES).values == few[name].values).all()
    level = few["baseline_path"].values
    assert (level[:, 0] == level[:, 1]).all() == shared


@pytest.mark.parametrize("key", ["level_path", "season_path"])
@pytest.mark.parametrize("kind", ["wear_out", "satiation"])
def test_a_path_that_follows_spend_is_refused(key: str, kind: str) -> None:
    with pytest.raises(m.ConfigError, match="follows spend; allowed: 'random_walk'") as caught:
        generate(world(**{key: {"kind": kind}}))
    assert caught.value.path == f"regions.{key}.kind"


def test_rules_that_answer_to_sales_do_not_answer_to_the_level() -> None:
    """The sales plan has the level, so that only noise and demand are news."""
    level = {"kind": "step_change", "change": 0.7}
    config = world(level_path=level) | {
        "channels": [steady(base_effectiveness=0.0, budget_rule="chases_target")]
    }
    ds = generate(config)
    np.testing.assert_allclose(ds["sales_plan"], ds["mu"])
    np.testing.assert_allclose(ds["spend"], ds["spend_plan"])


# ------------------------------------------------------------------ seasons


def test_the_season_moves_later_and_changes_its_size() -> None:
    path = {"kind": "linear_drift", "start": 0.5, "end": 1.5}
    ds = generate(
        world(season_path=path, season_shift=8.0, seasonal_amplitude=0.3, fourier_modes=2)
    )
    gamma = ds["gamma_fourier"].isel(geo=1)
    names = [str(name) for name in ds["fourier_mode"].values]
    dates = pd.DatetimeIndex(ds["date"].values)
    for position in (0, 17, 100, 155):
        years = (dates[position] - dates[0]).days / 365.25
        day = dates[position].day_of_year - 8.0 * years
        season = 0.0
        for name in names:
            function, order = name.split("_")
            angle = 2 * math.pi * int(order) * day / 365.25
            season += float(gamma.sel(fourier_mode=name)) * getattr(math, function)(angle)
        size = 0.5 + position / 155
        found = float(ds["seasonality_contribution"][position, 1])
        assert found == pytest.approx(size * season, abs=1e-9)
        assert float(ds["season_path"][position, 1]) == pytest.approx(size)


def test_the_peak_of_the_season_moves_by_its_days_per_year() -> None:
    fields = {"freq": "D", "start_date": "2022-01-01", "n_periods": 3 * 365}
    ds = generate(world(season_shift=20.0, fields=fields))
    season = ds["seasonality_contribution"].values[:, 0].reshape(3, 365)
    peaks = season.argmax(axis=1)
    assert (np.diff(peaks) > 17).all() and (np.diff(peaks) < 23).all()


def test_other_seasons_stay_as_they_are() -> None:
    other = [{"period": "monthly", "amplitude": 0.1}]
    changes = {"season_path": "smooth", "season_shift": 9.0}
    moving = generate(world(seasonal_amplitude=0.0, seasonalities=other, **changes))
    still = generate(world(seasonal_amplitude=0.0, seasonalities=other))
    season = "seasonality_contribution"
    np.testing.assert_allclose(moving[season], still[season], atol=1e-9)


def test_a_season_that_does_not_move_is_the_usual_one() -> None:
    shift = generate(world(season_shift=0.0))
    usual = generate(world())
    for name in ("seasonality_contribution", "mu", "y"):
        np.testing.assert_allclose(shift[name], usual[name], rtol=1e-13)


# ------------------------------------------------------------------ shares of the baseline

SCALED_EVENT = {"name": "sale", "dates": ["2022-06-01"], "effect": 0.2, "shape": "step"}
PLAIN_EVENT = {"name": "fair", "dates": ["2023-02-01"], "effect": 0.1}
PRICE = {"name": "Price", "base_value": 10.0, "elasticity": -1.5, "value_volatility": 0.1}
RENT = {"name": "Rent", "base_value": 5.0, "elasticity": -0.5, "value_volatility": 0.1}


def test_events_and_elasticities_can_scale_with_the_baseline() -> None:
    ds = generate(
        world(
            events=[SCALED_EVENT | {"scales": "baseline"}, PLAIN_EVENT],
            controls=[PRICE | {"scales": "baseline"}, RENT, {"name": "W", "gamma_control": 9.0}],
            **MOVING,
        )
    )
    one = ds.isel(geo=2)
    for position in (0, 40, 155):
        now = one.isel(date=position)
        steady = (
            now["intercept_contribution"] + now["trend_contribution"]
            + now["seasonality_contribution"] + now["level_contribution"]
        ).item()  # fmt: skip
        sale, fair = now["event_intensity"].values
        events = 0.2 * sale * steady + 0.1 * fair * 10_000
        assert now["event_contribution"].item() == pytest.approx(events, abs=1e-9)
        price, rent = (now["control_value"].sel(control=name).item() for name in ("Price", "Rent"))
        expected = [
            (steady + events) * ((price / 10) ** -1.5 - 1),
            10_000 * ((rent / 5) ** -0.5 - 1),
        ]
        np.testing.assert_allclose(now["control_contribution"].values[:2], expected)
    np.testing.assert_allclose(summed(ds), ds["mu"])
    # Shares of base sales are something else.
    plain = generate(world(events=[SCALED_EVENT, PLAIN_EVENT], controls=[PRICE, RENT], **MOVING))
    for name in ("event_contribution", "control_contribution"):
        one = ds[name].isel(control=0) if "control" in ds[name].dims else ds[name]
        other = plain[name].isel(control=0) if "control" in plain[name].dims else plain[name]
        assert float(abs(one - other).max()) > 50


def test_a_linear_control_cannot_scale_with_the_baseline() -> None:
    with pytest.raises(m.ConfigError, match="without elasticity") as caught:
        m.MMMDataConfig(**world(controls=[{"name": "P", "scales": "baseline"}]))
    assert caught.value.path == "control_variables.0.scales"


# ------------------------------------------------------------------ contract

EVENTS = [
    {"name": "sale", "dates": ["2022-06-01"], "effect": 0.2, "scales": "baseline"},
    {"name": "easter", "holiday": "Easter", "country": "DE", "effect": 0.1, "geos": ["west"]},
    {"name": "covid", "dates": ["2022-03-15"], "effect": -0.3, "shape": "dip", "width_days": 300.0},
]
FULL = {
    "events": EVENTS,
    "controls": [PRICE | {"scales": "baseline"}],
    "sales_volatility": 0.04,
    "baseline_variation": 0.2,
    **MOVING,
}


def test_a_dataset_is_made_again_saved_and_selected(tmp_path: Any) -> None:
    ds = generate(world(**FULL))
    assert m.regenerate(ds).identical(ds)
    m.to_netcdf(ds, tmp_path / "ds.nc")
    assert m.load(tmp_path / "ds.nc").identical(ds)
    assert truth.roas(ds.isel(geo=[1])).notnull().all()


VARIED = {
    "regions.season_shift": (0.0, 10.0),
    "regions.level_path.sd": (0.0, 0.1),
    "regions.season_path.length": (0.1, 0.5),
    "events.covid.effect": (-0.5, 0.0),
    "regions.base_sales_rate": (5_000.0, 20_000.0),
}


@pytest.mark.parametrize("vary", [False, True])
def test_elements_of_an_ensemble_have_the_bits_of_single_datasets(vary: bool) -> None:
    config = m.MMMDataConfig(**world(**FULL))
    numbers = {path: m.Uniform(*ends) for path, ends in VARIED.items()} if vary else {}
    many = m.generate_ensemble(config, n=4, seed=9, vary=numbers, chunks=None)
    for k in range(4):
        one = many.isel(dataset=k)
        assert m.regenerate(one).identical(one)


def test_the_season_shift_can_be_given() -> None:
    shift = xr.DataArray([0.0, 5.0, 10.0], dims="geo", coords={"geo": NAMES})
    ds = generate(world(season_shift=1.0), params=xr.Dataset({"season_shift": shift}))
    assert ds["season_shift"].values.tolist() == [0.0, 5.0, 10.0]
    still = generate(world(season_shift=0.0))
    season = "seasonality_contribution"
    np.testing.assert_allclose(ds[season].sel(geo="north"), still[season].sel(geo="north"))
    assert float(abs(ds[season] - still[season]).sel(geo="west").max()) > 10
    assert m.regenerate(ds).identical(ds)


def test_sums_keep_the_level_and_lose_the_paths() -> None:
    ds = generate(world(**FULL))
    total = m.aggregate(ds, freq="QS")
    np.testing.assert_allclose(
        total["level_contribution"].sum(), ds["level_contribution"].sum(), atol=1e-6
    )
    np.testing.assert_allclose(summed(total), total["mu"])
    for name in ("baseline_path", "season_path", "season_shift"):
        assert total[name].isnull().all()


def test_bounds_refuse_a_baseline_that_no_parameter_describes() -> None:
    for changes, words in (
        ({"level_path": "smooth"}, "level_contribution"),
        ({"season_shift": 3.0}, "season_shift"),
        ({"events": [SCALED_EVENT | {"scales": "baseline"}]}, "scales='baseline'"),
    ):
        ds = generate(world(**changes, sales_volatility=0.05))
        with pytest.raises(m.SchemaError, match=words):
            truth.information_bound(ds)


def test_a_model_is_told_what_it_lacks() -> None:
    ds = generate(world(**MOVING))
    told = scaled_parameters(ds, channel_scale=1.0, target_scale=1.0).attrs["no_counterpart"]
    assert told == "a level that moves, a season that changes in size, a season that moves"


def test_geos_of_events_are_those_of_a_plan() -> None:
    dates = pd.date_range("2022-01-03", periods=60, freq="W-MON")
    plan = pd.DataFrame(
        [{"date": day, "geo": geo, "x1-TV": 100.0} for day in dates for geo in ("a", "b")]
    )
    event = {"name": "storm", "dates": ["2022-06-01"], "effect": -0.4, "geos": ["b"]}
    config = {"spend_plan": {"geo": "geo"}, "channels": [{"name": "TV"}], "events": [event]}
    ds = generate(config, spend=plan)
    assert ds["event_effect"].values[:, 0].tolist() == [0.0, -4000.0]
    assert m.regenerate(ds).identical(ds)
    with pytest.raises(m.ConfigError, match="no geo named 'c'") as caught:
        generate(config | {"events": [event | {"geos": ["c"]}]}, spend=plan)
    assert caught.value.path == "events.0.geos.0"


def test_pictures_and_the_report_show_the_level() -> None:
    ds = generate(world(**FULL))
    labels = [axes.get_label() for axes in m.plots.plot_baseline(ds).axes]
    assert labels == ["baseline", "trend", "level", "seasonality", "event"]
    told = m.ground_truth(ds)
    assert set(told["baseline"]["season_shift"]) == set(NAMES)
    assert set(told["contributions"]["baseline"]["level"]) == set(NAMES)
    rows = causes(json.loads(ds.attrs["config"]))[0].rows
    assert ("time", "date of the yearly season", "+6 days per year") in rows
    assert rows[0][:2] == ("time", "base sales")
