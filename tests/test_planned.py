"""Sales simulated on a media plan of the user's own: `generate_mmm_dataset(spend=...)`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import mmm_xgen
from mmm_xgen import ConfigError, MMMDataConfig, XgenWarning, generate_mmm_dataset, regenerate


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
    return MMMDataConfig.from_dict(
        {
            "spend_plan": {
                "date": "week",
                "geo": "market",
                "channels": "*_S",
                "controls": {"Price": "price"},
            },
            "channels": [
                {"name": "radio", "base_spend": 300.0, "roas": 3.0},
                {"name": "tv", "base_spend": 1000.0, "roas": 2.0},
            ],
            "control_variables": [
                {"name": "Price", "gamma_control": -20.0},
                {"name": "Weather", "gamma_control": 100.0},
            ],
            **changes,
        }
    )


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


def test_it_regenerates_from_itself_also_after_a_file(tmp_path: Path) -> None:
    ds = generate_mmm_dataset(config(), spend=plan())
    assert regenerate(ds).identical(ds)
    mmm_xgen.to_netcdf(ds, tmp_path / "truth.nc")
    assert regenerate(mmm_xgen.load(tmp_path / "truth.nc")).identical(ds)


def test_a_file_is_a_plan(tmp_path: Path) -> None:
    path = tmp_path / "plan.csv"
    plan().to_csv(path, index=False)
    from_file = generate_mmm_dataset(config(), spend=path)
    assert from_file.identical(generate_mmm_dataset(config(), spend=plan()))


def test_twice_the_spend_moves_sales_along_the_same_curve() -> None:
    """The curve belongs to the configuration and never to the plan."""
    settings = config(
        channels=[
            {"name": "tv", "base_spend": 1000.0, "base_effectiveness": 0.2},
            {"name": "radio", "base_spend": 300.0, "base_effectiveness": 0.1},
        ]
    )
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
    channels = [{"name": "tv", "base_spend": 10.0, "roas": 2.0}]
    with pytest.warns(XgenWarning, match=r"'tv'.*against 10"):
        generate_mmm_dataset(config(channels=channels), spend=plan())


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
