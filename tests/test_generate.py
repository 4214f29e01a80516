"""Identities of the generated Dataset to 1e-9, by arithmetic that the package has no part in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given

import mmm_xgen as m
from mmm_xgen.errors import ConfigError
from tests.strategies import (
    CURVES,
    assert_valid,
    component,
    config_with,
    convolve,
    examples,
    generate,
    in_window,
    quietly,
    same,
    steady,
    valid_configs,
    with_history,
)


def busy(**fields: Any) -> dict[str, Any]:
    """Mapping with everything switched on at once."""
    web = {
        "pattern": {"kind": "uniform", "low": 0.5, "high": 1.5},
        "adstock": {"kind": "weibull_adstock", "lam": 2.0, "k": 1.5, "type": "CDF"},
        "saturation": {"kind": "michaelis_menten", "alpha": 1.3, "lam": 900.0},
    }
    price = {"pattern": {"kind": "uniform", "low": 0.9, "high": 1.1}, "elasticity": -1.2}
    config = config_with(
        {"name": "x-TV", "pattern": "on_off", "base_spend": 2000.0, "roas": 1.5},
        {"name": "Radio", "pattern": "always_on", "adstock": {"kind": "no_adstock"}},
        {"name": "Web", **web},
        control_variables=[
            {"name": "Price", **price},
            {"name": "Rain", "gamma_control": -30.0, "reference": 1.0},
        ],
        burn_in_periods=10,
        revenue_per_kpi=3.0,
        events=[{"name": "launch", "dates": ["2022-03-07"], "effect": 0.2}],
        regions={
            "n_regions": 3,
            "sales_volatility": 0.05,
            "sales_trend": 0.003,
            "seasonal_amplitude": 0.15,
            "fourier_modes": 2,
            "population": [1e6, 3e6, 5e5],
            "baseline_variation": 0.1,
            "channel_param_variation": 0.2,
            "transform_variation": 0.2,
        },
    )
    return config | fields


@pytest.fixture(scope="module")
def rich() -> xr.Dataset:
    return generate(busy())


def assert_response_is_rebuilt(ds: xr.Dataset, *, adstock_first: bool = True) -> None:
    """Assert both stages of the response from spend, kernel and parameters alone."""
    spend = with_history(ds)
    contribution = ds["channel_contribution"].transpose("date", "geo", "channel")
    at = {"geo": ds["geo"].values, "channel": ds["channel"].values}

    def bare(values: xr.DataArray) -> xr.DataArray:
        """The numbers with nothing but the labels of geos and channels."""
        values = values.transpose("geo", "channel", ...)
        return xr.DataArray(values.values, dims=values.dims, coords=at)

    effect, kernel = bare(ds["effect"]), bare(ds["adstock_weights"])
    unit = bare(xr.zeros_like(ds["effect"]) + ds["spend_unit"])
    if adstock_first:
        carryover = convolve(spend, kernel)
        same(
            ds["carryover"].reset_coords(drop=True),
            in_window(carryover, ds),
            scale=spend.max() * 1e-3,
        )
        expected = in_window(component(ds, carryover / unit), ds)
    else:
        expected = in_window(convolve(component(ds, spend / unit), kernel), ds)
    size = float(np.abs(expected).max())
    same(contribution.reset_coords(drop=True), expected, 1e-9, scale=size)
    if adstock_first:
        product = effect * ds["saturated"].reset_coords(drop=True)
        same(
            contribution.reset_coords(drop=True),
            product.transpose("date", "geo", "channel"),
            scale=size * 1e-3,
        )


LEGAL = (str, int, float, np.integer, np.floating)


def assert_legal_attrs(attrs: dict[Any, Any], owner: str) -> None:
    for key, value in attrs.items():
        assert isinstance(key, str)
        if isinstance(value, np.ndarray):
            assert value.dtype.kind in "iufU", f"{owner}.{key}"
            assert value.ndim == 1
        elif isinstance(value, list | tuple):
            assert value
            assert all(isinstance(v, LEGAL) and not isinstance(v, bool) for v in value)
        else:
            assert isinstance(value, LEGAL), f"{owner}.{key} is {type(value)}"
            assert not isinstance(value, bool), f"{owner}.{key} is a bool"


def assert_described(ds: xr.Dataset) -> None:
    assert_legal_attrs(dict(ds.attrs), "dataset")
    for name, variable in ds.variables.items():
        assert_legal_attrs(dict(variable.attrs), str(name))
    for name, array in ds.data_vars.items():
        assert array.attrs.get("long_name"), f"{name} has no long_name"
        assert isinstance(array.attrs.get("units"), str), f"{name} has no units"
        assert array.attrs["units"], f"{name} has empty units"


@pytest.mark.parametrize("name", m.list_available_presets())
def test_a_preset_adds_up_is_rebuilt_described_and_regenerated(name: str) -> None:
    ds = generate(m.get_preset_config(name))
    assert_valid(ds)
    assert_response_is_rebuilt(ds)
    assert_described(ds)
    xr.testing.assert_identical(quietly(lambda: m.regenerate(ds)), ds)


def test_everything_at_once_adds_up_and_survives_netcdf(rich: xr.Dataset, tmp_path: Path) -> None:
    assert_valid(rich)
    assert_response_is_rebuilt(rich)
    assert_described(rich)
    for part in ("trend", "seasonality", "event", "control", "channel"):
        assert (rich[f"{part}_contribution"] != 0).any(), f"{part} is idle"
    m.to_netcdf(rich, tmp_path / "truth.nc")
    back = m.load(tmp_path / "truth.nc")
    xr.testing.assert_identical(back, rich)
    assert all(back[n].dtype.kind == rich[n].dtype.kind for n in rich.variables)
    assert [p.name for p in tmp_path.iterdir()] == ["truth.nc"], "a temporary file was left"


@given(config=valid_configs(max_periods=20))
def test_any_config_adds_up_and_is_rebuilt(config: Any) -> None:
    ds = generate(config)
    assert_valid(ds)
    assert_response_is_rebuilt(ds, adstock_first=config.transforms.adstock_first)


@examples(0.5)
@given(config=valid_configs(max_periods=12))
def test_any_config_regenerates_and_survives_netcdf(
    tmp_path_factory: pytest.TempPathFactory, config: Any
) -> None:
    ds = generate(config)
    xr.testing.assert_identical(quietly(lambda: m.regenerate(ds)), ds)
    path = tmp_path_factory.mktemp("any") / "truth.nc"
    m.to_netcdf(ds, path)
    xr.testing.assert_identical(m.load(path), ds)


def test_carryover_includes_the_spend_before_the_window() -> None:
    channel = steady(adstock={"kind": "geometric_adstock", "alpha": 0.5, "l_max": 9})
    cold = generate(config_with(channel))
    warm = generate(config_with(channel, burn_in_periods=20))
    assert warm["spend_history"].size == 20
    np.testing.assert_allclose(warm["spend_history"], 1000.0)
    np.testing.assert_allclose(warm["carryover"], 1000.0)
    weights = cold["adstock_weights"].values.ravel()
    np.testing.assert_allclose(cold["carryover"].values[:9].ravel(), 1000.0 * weights.cumsum())
    assert_response_is_rebuilt(warm)


def test_burn_in_leaves_the_calendar_of_the_window_alone() -> None:
    ds = generate(config_with(steady(), burn_in_periods=7))
    assert ds.sizes["date"] == 52
    assert ds["date"].values[0] == np.datetime64("2022-01-03")
    assert_response_is_rebuilt(ds)


@pytest.mark.parametrize("saturation", CURVES)
@pytest.mark.parametrize("adstock_first", [True, False])
def test_every_saturation_has_the_curve_of_its_component(
    saturation: str, adstock_first: bool
) -> None:
    tv = {"name": "TV", "pattern": {"kind": "uniform", "low": 0.0, "high": 3.0}}
    tv |= {"saturation": {"kind": saturation} | CURVES[saturation]}
    ds = generate(
        config_with(
            tv | {"adstock": {"kind": "geometric_adstock", "alpha": 0.4}},
            transforms={"adstock_first": adstock_first},
            regions={"n_regions": 2, "population": [1e6, 2e6], "transform_variation": 0.1},
        )
    )
    assert (ds["channel_contribution"] > 0).all()
    assert_response_is_rebuilt(ds, adstock_first=adstock_first)


@pytest.mark.parametrize("saturation", CURVES)
def test_placebo_contributes_nothing_for_every_saturation(saturation: str) -> None:
    curve = {"kind": saturation} | CURVES[saturation]
    ds = generate(
        config_with(
            steady("Placebo", base_effectiveness=0.0, saturation=curve),
            regions={"n_regions": 2, "channel_param_variation": 0.3, "transform_variation": 0.3},
        )
    )
    assert (ds["effect"] == 0).all()
    assert (ds["channel_contribution"] == 0).all()
    assert np.isfinite(ds["saturated"]).all()
    assert (ds["saturated"] > 0).all()
    for name in (n for n in ds.data_vars if str(n).startswith(("saturation_", "adstock_"))):
        if str(name).endswith("_mean"):
            continue  # The population mean of an amplitude of 0 on the log scale is -inf.
        assert np.isfinite(ds[name].values).all(), f"{name} is not finite"
    if saturation == "tanh_saturation":
        assert (ds["saturation_b"] == 0).all()
        assert ds["saturation_c_mean"].item() == pytest.approx(np.log(CURVES[saturation]["c"]))
    assert_valid(ds)


@pytest.mark.parametrize("saturation", CURVES)
@pytest.mark.parametrize("adstock_first", [True, False])
def test_roas_target_is_met_exactly_over_all_geos(saturation: str, adstock_first: bool) -> None:
    targets = {"TV": 2.5, "Web": 0.4}
    curve = {"kind": saturation} | CURVES[saturation]
    channels = [
        steady(name, pattern=pattern, base_spend=1500.0, roas=targets[name], saturation=curve)
        for name, pattern in (("TV", "always_on"), ("Web", "on_off"))
    ]
    config = config_with(
        *channels,
        burn_in_periods=8,
        revenue_per_kpi=4.0,
        transforms={"adstock_first": adstock_first},
        regions={
            "n_regions": 3,
            "population": [1e6, 2e6, 4e5],
            "channel_param_variation": 0.3,
            "transform_variation": 0.2,
        },
    )
    ds = generate(config)
    revenue = (ds["channel_contribution"] * ds["revenue_per_kpi"]).sum(("date", "geo"))
    reached = revenue / ds["spend"].sum(("date", "geo"))
    for name, target in targets.items():
        np.testing.assert_allclose(reached.sel(channel=name), target, rtol=1e-9)
    effect = ds["effect"].sel(channel="TV").values
    assert np.unique(effect).size == 3, "geo variation of the effect is lost"


def test_roas_without_any_spend_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"roas") as error:
        generate(config_with(steady(base_spend=0.0, roas=2.0)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("unit", ["currency", "base_spend"])
def test_doubling_spend_changes_sales(unit: str) -> None:
    kappa = 1500.0 if unit == "currency" else 1.5
    config = config_with(
        steady(saturation={"kind": "hill_function", "slope": 1.0, "kappa": kappa}),
        transforms={"spend_unit": unit},
    )
    ds = generate(config)
    double = generate(config, spend=2 * ds["spend"])
    np.testing.assert_allclose(double["spend"], 2 * ds["spend"])
    assert (double["y"] > ds["y"]).all()
    assert double["spend_unit"].equals(ds["spend_unit"])
    assert double["effect"].equals(ds["effect"])
    expected = component(ds, 2 * ds["carryover"].reset_coords(drop=True) / ds["spend_unit"])
    np.testing.assert_allclose(double["channel_contribution"], expected, rtol=1e-9)


def test_what_if_does_not_move_the_curve() -> None:
    config = busy(burn_in_periods=0)
    del config["channels"][0]["roas"]
    config["channels"][0]["base_effectiveness"] = 0.1
    ds = generate(config)
    plan = ds["spend"].copy()
    plan.loc[{"channel": "TV", "geo": ds["geo"].values[1]}] *= 30.0
    other = generate(config, spend=plan)
    for name in ds.data_vars:
        if name.startswith(("saturation_", "adstock_", "gamma_")) or name in (
            "effect",
            "spend_unit",
            "y_sigma",
            "intercept_contribution",
            "control_value",
        ):
            assert np.array_equal(ds[name], other[name], equal_nan=True), name
    kept = other.sel(channel=["Radio", "Web"])
    assert np.array_equal(kept["spend"], ds["spend"].sel(channel=["Radio", "Web"]))
    before, after = (
        x["channel_contribution"].isel(geo=1).sel(channel="TV").values for x in (ds, other)
    )
    assert (after >= before).all()
    assert after.sum() > 1.2 * before.sum()
    assert_valid(other)
    assert_response_is_rebuilt(other)


def test_respond_is_what_generation_used_and_is_pure(rich: xr.Dataset) -> None:
    before = rich.copy(deep=True)
    for _ in range(2):
        response = m.respond(rich["spend"], rich).transpose("date", "geo", "channel")
        np.testing.assert_allclose(response, rich["channel_contribution"], rtol=1e-12, atol=1e-9)
    xr.testing.assert_identical(rich, before)
    assert (m.respond(0 * rich["spend"], rich.drop_vars("spend_history")) == 0).all()


def test_given_parameters_are_used_as_given() -> None:
    curve = {"kind": "hill_function", "slope": 1.0, "kappa": 1500.0}
    tv = steady(adstock={"kind": "geometric_adstock", "alpha": 0.5}, saturation=curve)
    config = config_with(tv, regions={"n_regions": 2})
    base = generate(config)
    params = base[["saturation_kappa", "adstock_alpha"]].copy(deep=True)
    params["saturation_kappa"].values[:] = [[700.0], [900.0]]
    params["adstock_alpha"].values[:] = [[0.2], [0.7]]
    ds = generate(config, params=params)
    np.testing.assert_array_equal(ds["saturation_kappa"], [[700.0], [900.0]])
    np.testing.assert_array_equal(ds["adstock_alpha"], [[0.2], [0.7]])
    lag = np.arange(ds.sizes["lag"])
    for g, alpha in enumerate((0.2, 0.7)):
        kernel = np.where(lag < ds["l_max"].item(), alpha**lag, 0.0)
        np.testing.assert_allclose(ds["adstock_weights"].values[g, 0], kernel / kernel.sum())
    assert np.array_equal(ds["spend"], base["spend"])
    assert_response_is_rebuilt(ds)


def test_given_spend_and_parameters_regenerate_too() -> None:
    config = busy(burn_in_periods=0)
    ds = generate(config)
    params = ds[["saturation_kappa"]] * 1.5
    given = generate(config, spend=1.25 * ds["spend"], params=params)
    assert not np.array_equal(given["channel_contribution"], ds["channel_contribution"])
    np.testing.assert_array_equal(given["saturation_kappa"], params["saturation_kappa"])
    xr.testing.assert_identical(quietly(lambda: m.regenerate(given)), given)
    assert_legal_attrs(dict(given.attrs), "dataset")
    assert_valid(given)
    assert_response_is_rebuilt(given)


def test_a_plan_of_other_dates_and_geos_brings_its_own_labels() -> None:
    config = busy(burn_in_periods=0)
    ds = generate(config)
    plan = ds["spend"].isel(date=slice(5, 25))
    short = generate(config, spend=plan)
    assert np.array_equal(short["date"], plan["date"])
    assert np.array_equal(short["spend"].sel(channel=ds["channel"]), plan)
    assert_valid(short)


def test_numpy_integers_are_integers() -> None:
    config = config_with(
        steady(), n_periods=np.int64(20), seed=np.uint32(5), regions={"n_regions": np.int32(2)}
    )
    ds = generate(config, seed=np.int64(6))
    plain = config | {"n_periods": 20, "seed": 6, "regions": config["regions"] | {"n_regions": 2}}
    assert ds.identical(generate(plain))
    assert quietly(lambda: m.regenerate(ds)).identical(ds)


def test_the_same_names_with_other_values_give_other_data() -> None:
    # The same names throughout; only a value deep inside differs.
    first, other, again = (
        generate(config_with(steady(adstock={"kind": "geometric_adstock", "alpha": alpha})))
        for alpha in (0.1, 0.7, 0.1)
    )
    assert first.identical(again)
    assert not np.allclose(first["carryover"], other["carryover"])
