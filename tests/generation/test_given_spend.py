"""Sales simulated on a media plan of the user's own: `generate_mmm_dataset(spend=...)`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import mmm_xgen
from mmm_xgen import (
    ConfigError,
    MMMDataConfig,
    SchemaError,
    Uniform,
    XgenWarning,
    generate_ensemble,
    generate_mmm_dataset,
    regenerate,
)
from mmm_xgen.dataset import config_of
from mmm_xgen.ensemble import config_of_element, element, regenerate_ensemble
from mmm_xgen.recovery.run import study_units
from mmm_xgen.truth import simulate


def plan() -> pd.DataFrame:
    """Two geos, not in alphabetical order, two channels and a control."""
    dates = pd.date_range("2023-01-02", periods=40, freq="W-MON")
    rng = np.random.default_rng(5)
    rows = [
        {
            "week": date,
            "market": market,
            "tv_S": 1000 * rng.uniform(0.5, 1.5),
            "radio_S": 300 * rng.uniform(0.5, 1.5),
            "price": 10 + rng.normal(),
        }
        for date in dates
        for market in ("west", "east")
    ]
    return pd.DataFrame(rows)


def config(**changes: object) -> MMMDataConfig:
    plan = {"date": "week", "geo": "market", "channels": "*_S", "controls": {"Price": "price"}}
    settings = {
        "spend_plan": plan,
        "channels": [
            {"name": "radio", "base_spend": 300.0, "roas": 3.0},
            {"name": "tv", "base_spend": 1000.0, "roas": 2.0},
        ],
        "control_variables": [
            {"name": "Price", "gamma_control": -20.0},
            {"name": "Weather", "gamma_control": 100.0},
        ],
    }
    return MMMDataConfig.from_dict(settings | changes)


def test_names_dates_and_values_come_from_the_plan() -> None:
    frame = plan()
    ds = generate_mmm_dataset(config(), spend=frame)
    assert list(ds["geo"].values) == ["west", "east"]
    assert list(ds["channel"].values) == ["tv", "radio"]
    assert list(ds["control"].values) == ["Price", "Weather"]
    assert ds.attrs["freq"] == "W-MON"
    for geo in ("west", "east"):
        rows = frame[frame["market"] == geo]
        np.testing.assert_array_equal(ds["date"], rows["week"])
        for name in ("tv", "radio"):
            spend = ds["spend"].sel(geo=geo, channel=name)
            np.testing.assert_array_equal(spend, rows[f"{name}_S"])
        np.testing.assert_array_equal(
            ds["control_value"].sel(geo=geo, control="Price"), rows["price"]
        )
    # What the plan lacks is drawn.
    assert float(ds["control_value"].sel(control="Weather").std()) > 0
    # Settings follow names, not positions.
    returns = ds["channel_contribution"].sum(("date", "geo")) / ds["spend"].sum(("date", "geo"))
    assert returns.sel(channel="tv").item() == pytest.approx(2, rel=1e-12)
    assert returns.sel(channel="radio").item() == pytest.approx(3, rel=1e-12)


def test_a_file_is_a_plan_and_its_dataset_regenerates_also_after_a_file(tmp_path: Path) -> None:
    plan().to_csv(tmp_path / "plan.csv", index=False)
    ds = generate_mmm_dataset(config(), spend=plan())
    assert generate_mmm_dataset(config(), spend=tmp_path / "plan.csv").identical(ds)
    assert regenerate(ds).identical(ds)
    mmm_xgen.to_netcdf(ds, tmp_path / "truth.nc")
    assert regenerate(mmm_xgen.load(tmp_path / "truth.nc")).identical(ds)


@pytest.mark.parametrize(
    "draw",
    [
        generate_mmm_dataset,
        lambda config: generate_mmm_dataset(config, seed=3),
        lambda config: generate_mmm_dataset(config.model_dump(mode="json")),
        lambda config: generate_mmm_dataset("basic", spend_plan=config.spend_plan),
        lambda config: generate_mmm_dataset(config_of(generate_mmm_dataset(config, spend=plan()))),
        lambda config: generate_ensemble(config, n=2),
        lambda config: generate_ensemble("basic", n=2, spend_plan={"date": "week"}),
        lambda config: study_units(config, "ols", [1]),
        lambda config: study_units({"mine": lambda seed: config}, "ols", [1]),
    ],
)
def test_spend_is_not_drawn_for_a_configuration_of_a_plan(draw) -> None:  # type: ignore[no-untyped-def]
    # With channels of its own, the configuration could be drawn from without a word.
    mine = config(channels=[{"name": "tv"}, {"name": "radio"}], n_periods=30)
    with pytest.raises(ConfigError, match=r"a spend_plan and no plan.*spend='plan\.csv'") as error:
        draw(mine)
    assert error.value.path == "spend_plan"


def test_an_ensemble_that_was_drawn_without_its_plan_is_not_drawn_again() -> None:
    ds = generate_ensemble("basic", n=2, chunks=None)
    text = config_of(ds).replace(spend_plan={"date": "week"}).to_json()
    with pytest.raises(ConfigError, match="an ensemble takes no plan"):
        regenerate_ensemble(ds.assign_attrs(config=text))


def test_twice_the_spend_moves_sales_along_the_same_curve() -> None:
    """The curve belongs to the configuration and never to the plan."""
    channels = [{"name": "tv", "base_spend": 1000.0}, {"name": "radio", "base_spend": 300.0}]
    settings = config(channels=channels)
    ds = generate_mmm_dataset(settings, spend=plan())
    frame = plan()
    frame[["tv_S", "radio_S"]] *= 2
    doubled = generate_mmm_dataset(settings, spend=frame)
    xr.testing.assert_identical(doubled["saturation_kappa"], ds["saturation_kappa"])
    assert (doubled["channel_contribution"] > ds["channel_contribution"]).all()
    assert (doubled["channel_contribution"] < 2 * ds["channel_contribution"]).all()
    expected = mmm_xgen.respond(doubled["spend"], ds)
    xr.testing.assert_allclose(doubled["channel_contribution"], expected, rtol=1e-12)


def test_a_channel_that_is_not_configured_has_the_defaults() -> None:
    settings = config(channels=[{"name": "tv", "roas": 2.0}])
    ds = generate_mmm_dataset(settings, spend=plan())
    effect, base = ds["effect"].sel(channel="radio"), ds["intercept_contribution"]
    np.testing.assert_allclose(effect, 0.15 * base)


def test_lists_of_transforms_follow_the_configured_channels() -> None:
    settings = config(transforms={"adstock_kwargs": [{"alpha": 0.1}, {"alpha": 0.8, "l_max": 20}]})
    ds = generate_mmm_dataset(settings, spend=plan())
    assert ds["adstock_alpha"].sel(channel="radio", geo="west").item() == 0.1
    assert ds["adstock_alpha"].sel(channel="tv", geo="west").item() == 0.8
    assert regenerate(ds).identical(ds)


def test_a_configured_channel_without_a_plan_is_refused() -> None:
    channels = [{"name": "tv"}, {"name": "cinema"}]
    with pytest.raises(ConfigError, match=r"channels\.1\.name.*cinema"):
        generate_mmm_dataset(config(channels=channels), spend=plan())
    with pytest.raises(ConfigError, match="spend_plan"):
        generate_mmm_dataset(config(channels=[]))


def test_a_base_spend_that_is_not_the_plan_s_warns() -> None:
    channels: list[dict[str, object]] = [{"name": "tv", "base_spend": 10.0, "roas": 2.0}]
    with pytest.warns(XgenWarning, match=r"'tv'.*against 10"):
        generate_mmm_dataset(config(channels=channels), spend=plan())
    # Where nothing follows it there is nothing to warn of, as long as it is not the unit.
    channels[0]["saturation_kwargs"] = {"slope": 1.0, "kappa": 900.0}
    generate_mmm_dataset(config(channels=channels), spend=plan())
    with pytest.warns(XgenWarning, match="; set base_spend$"):
        generate_mmm_dataset(
            config(channels=channels, transforms={"spend_unit": "base_spend"}), spend=plan()
        )


def test_a_burn_in_without_spend_before_warns() -> None:
    with pytest.warns(XgenWarning, match="burn_in_periods is 4"):
        ds = generate_mmm_dataset(config(burn_in_periods=4), spend=plan())
    assert "spend_history" not in ds


def test_spend_before_the_window_carries_in() -> None:
    drawn = generate_mmm_dataset(mmm_xgen.DEFAULT_CONFIG.replace(burn_in_periods=6))
    kept = ["spend", "spend_history", "control_value"]
    again = generate_mmm_dataset(mmm_xgen.DEFAULT_CONFIG, spend=drawn[kept])
    xr.testing.assert_identical(again["spend_history"], drawn["spend_history"])
    xr.testing.assert_allclose(again["y"], drawn["y"], rtol=1e-12)


def test_a_history_that_ends_elsewhere_is_refused() -> None:
    settings = mmm_xgen.DEFAULT_CONFIG.replace(burn_in_periods=6)
    drawn = generate_mmm_dataset(settings)
    for wrong in (drawn.isel(date=slice(20, None)), drawn.isel(history_date=[0, 1, 2, 3, 5])):
        with pytest.raises(SchemaError, match="'spend_history' ends with 2021-12-27"):
            generate_mmm_dataset(settings, spend=wrong)
    kept = generate_mmm_dataset(settings, spend=drawn.isel(history_date=slice(2, None)))
    assert kept.sizes["history_date"] == 4


def test_a_history_has_the_names_of_its_plan() -> None:
    drawn = generate_mmm_dataset(mmm_xgen.DEFAULT_CONFIG.replace(burn_in_periods=6))
    bare = drawn[["spend", "spend_history"]].drop_attrs()
    named = bare.assign_coords(channel=["x-TV", "x-Radio", "x-Web"], geo=[2, 1])
    settings = {"channels": [{"name": name} for name in ("Radio", "TV", "Web")]}
    ds = generate_mmm_dataset(MMMDataConfig.from_dict(settings), spend=named)
    assert list(ds["channel"].values) == ["TV", "Radio", "Web"]
    np.testing.assert_array_equal(ds["spend_history"], bare["spend_history"])
    one = {"spend_plan": {"channels": {"Tele": "x-Radio"}}, "channels": [{"name": "Tele"}]}
    ds = generate_mmm_dataset(MMMDataConfig.from_dict(one), spend=named)
    np.testing.assert_array_equal(ds["spend_history"], bare["spend_history"][..., [1]])
    lacking = named.assign(spend=named["spend"].isel(geo=0, drop=True))
    with pytest.raises(SchemaError, match="'spend_history' has the dim 'geo'"):
        generate_mmm_dataset(MMMDataConfig.from_dict(settings), spend=lacking)


def test_spend_of_one_channel_needs_its_dim() -> None:
    drawn = generate_mmm_dataset(mmm_xgen.DEFAULT_CONFIG)
    with pytest.raises(SchemaError, match="allowed: \\('date', 'channel'\\)"):
        generate_mmm_dataset(spend=drawn["spend"].sel(channel="Trend"))


def test_experiments_in_a_dataset_of_an_ensemble_are_not_put_in_again() -> None:
    test = {"channel": "Trend", "start_period": 5, "n_periods": 4, "change": 0.5}
    settings = mmm_xgen.DEFAULT_CONFIG.replace(experiments=[test])
    vary = {"experiments.0.change": Uniform(0.2, 0.9)}
    ensemble = generate_ensemble(settings, n=2, vary=vary, chunks=None)
    own = config_of_element(ensemble, 1)
    taken = ensemble.isel(dataset=1)
    for spend in (taken, element(ensemble, 1), simulate(taken, spend=taken["spend"])):
        again = generate_mmm_dataset(own, spend=spend)
        np.testing.assert_array_equal(again["spend"], taken["spend"])


def test_a_configuration_that_cannot_be_read_is_none() -> None:
    def level(dates: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.ones(len(dates))

    settings = MMMDataConfig.from_dict({"channels": [{"name": "TV", "pattern": level}]})
    drawn = generate_mmm_dataset(settings)
    for spend in (drawn, drawn.assign_attrs(config="my config v1")):
        again = generate_mmm_dataset(settings, spend=spend)
        xr.testing.assert_identical(again["spend"], drawn["spend"])
    test = {"channel": "TV", "start_period": 5, "n_periods": 4, "change": 0.5}
    with pytest.warns(XgenWarning, match="the experiments are put into it"):
        generate_mmm_dataset(settings.replace(experiments=[test]), spend=drawn)


def test_experiments_are_put_into_a_plan_once() -> None:
    tests = [{"channel": "tv", "geos": ["west"], "start_period": 5, "n_periods": 4, "change": 0.5}]
    ds = generate_mmm_dataset(config(experiments=tests), spend=plan())
    ratio = ds["spend"] / generate_mmm_dataset(config(), spend=plan())["spend"]
    inside = ratio.sel(channel="tv", geo="west").isel(date=slice(5, 9))
    np.testing.assert_allclose(inside, 1.5)
    assert int((ratio != 1).sum()) == 4
    assert regenerate(ds).identical(ds)


def test_configured_geos_are_those_of_the_plan_in_any_order() -> None:
    regions = {"region_names": ["east", "west"], "population": [1e6, 5e5]}
    ds = generate_mmm_dataset(config(regions=regions), spend=plan())
    assert ds["population"].sel(geo="west").item() == 5e5
    with pytest.raises(ConfigError, match=r"regions\.region_names\.1: found 'sud'"):
        generate_mmm_dataset(
            config(regions={**regions, "region_names": ["east", "sud"]}), spend=plan()
        )
    with pytest.raises(ConfigError, match="the plan has the geo 'west'"):
        generate_mmm_dataset(config(regions={"region_names": ["east"]}), spend=plan())


def test_a_labelled_plan_may_still_be_selected_from() -> None:
    labelled = generate_mmm_dataset(mmm_xgen.DEFAULT_CONFIG)["spend"].drop_attrs()
    settings = MMMDataConfig.from_dict(
        {"spend_plan": {"channels": {"Tele": "Trend"}}, "channels": [{"name": "Tele"}]}
    )
    ds = generate_mmm_dataset(settings, spend=labelled)
    np.testing.assert_array_equal(ds["spend"].squeeze(), labelled.sel(channel="Trend"))
