"""True parameters given as arrays: `generate_mmm_dataset(params=...)`."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from mmm_xgen import (
    AlignmentError,
    ChannelConfig,
    MMMDataConfig,
    RegionConfig,
    SchemaError,
    generate_mmm_dataset,
    regenerate,
)
from mmm_xgen.kernels.saturation import SATURATIONS

# Round numbers for arithmetic, not for economics.
pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")


def config(saturation: str = "hill_function", **channel: object) -> MMMDataConfig:
    channel.setdefault("base_effectiveness", 0.1)
    return MMMDataConfig(
        n_periods=60,
        channels=[
            ChannelConfig(name="TV", saturation_fun=saturation, **channel),
            ChannelConfig(name="Radio", saturation_fun=saturation, **channel),
        ],
        regions=RegionConfig(region_names=["north", "south"], similarity=0.8),
    )


@pytest.mark.parametrize("saturation", list(SATURATIONS))
def test_the_parameters_of_a_dataset_make_it_again(saturation: str) -> None:
    """Also without `effect`: the amplitude in PyMC-Marketing's parameters is the effect."""
    ds = generate_mmm_dataset(config(saturation))
    again = generate_mmm_dataset(config(saturation), params=ds)
    xr.testing.assert_allclose(again["y"], ds["y"], rtol=1e-12)
    xr.testing.assert_allclose(again["saturated"], ds["saturated"], rtol=1e-9)
    names = [n for n in ds.data_vars if str(n).startswith(("adstock_", "saturation_"))]
    again = generate_mmm_dataset(config(saturation), params=ds[names])
    xr.testing.assert_allclose(again["channel_contribution"], ds["channel_contribution"], rtol=1e-9)


def test_a_given_value_is_the_truth_to_the_last_bit() -> None:
    alpha = xr.DataArray(
        [[0.123, 0.456], [0.2, 0.3]],
        coords={"geo": ["north", "south"], "channel": ["TV", "Radio"]},
        dims=("geo", "channel"),
    )
    ds = generate_mmm_dataset(config(), params=xr.Dataset({"adstock_alpha": alpha}))
    np.testing.assert_array_equal(ds["adstock_alpha"], alpha)
    drawn = generate_mmm_dataset(config())
    # What is not given is drawn as ever.
    xr.testing.assert_identical(ds["spend"], drawn["spend"])
    xr.testing.assert_identical(ds["saturation_kappa"], drawn["saturation_kappa"])
    assert ds["adstock_alpha_sd"].isnull().all(), "a given value has no known population"


def test_labels_decide_and_not_positions_and_a_scalar_holds_everywhere() -> None:
    values = xr.DataArray([0.9, 0.1], coords={"channel": ["Radio", "TV"]}, dims="channel")
    given = xr.Dataset({"adstock_alpha": values, "y_sigma": 0.0})
    ds = generate_mmm_dataset(config(), params=given)
    assert (ds["adstock_alpha"] == values).all()
    assert (ds["y"] == ds["mu"]).all()


def test_a_given_effect_wins_over_a_roas() -> None:
    given = xr.Dataset({"effect": 100.0})
    ds = generate_mmm_dataset(config(base_effectiveness=None, roas=2.0), params=given)
    assert (ds["effect"] == 100).all()


def test_regenerate_knows_what_was_given() -> None:
    given = xr.Dataset({"saturation_kappa": 321.0, "intercept_contribution": 5000.0})
    ds = generate_mmm_dataset(config(), params=given)
    assert ds.attrs["given_params"] == "saturation_kappa,intercept_contribution"
    assert regenerate(ds).identical(ds)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"adstock_alfa": 0.5}, "did you mean 'adstock_alpha'"),
        ({"adstock_alpha": 1.5}, "at most 1"),
        ({"adstock_alpha": np.nan}, "missing or infinite"),
        ({"saturation_beta": np.nan}, "missing or infinite"),
        ({"intercept_contribution": np.nan}, "missing or infinite"),
        ({"saturation_kappa": 0.0}, "above 0"),
        ({"spend_unit": 0.0}, "spend_unit"),
    ],
)
def test_a_wrong_value_is_named(given: dict[str, float], message: str) -> None:
    with pytest.raises(AlignmentError, match=message):
        generate_mmm_dataset(config(), params=xr.Dataset(given))


def test_wrong_dims_and_labels_are_named() -> None:
    lacking = xr.DataArray([0.5], coords={"channel": ["TV"]}, dims="channel")
    with pytest.raises(AlignmentError, match="lacks the channel 'Radio'"):
        generate_mmm_dataset(config(), params=xr.Dataset({"adstock_alpha": lacking}))
    extra = xr.DataArray([0.5, 0.5], dims="draw")
    with pytest.raises(AlignmentError, match="dim 'draw'"):
        generate_mmm_dataset(config(), params=xr.Dataset({"adstock_alpha": extra}))


def test_an_effect_that_contradicts_beta_is_refused() -> None:
    given = xr.Dataset({"effect": 100.0, "saturation_beta": 200.0})
    with pytest.raises(AlignmentError, match="mean the same"):
        generate_mmm_dataset(config(), params=given)


def test_what_is_a_share_of_base_sales_follows_given_ones() -> None:
    regions = RegionConfig(sales_trend=0.01, seasonal_amplitude=0.2, sales_volatility=0.05)
    settings = MMMDataConfig(channels=[ChannelConfig(base_effectiveness=0.3)], regions=regions)
    ds = generate_mmm_dataset(settings, params=xr.Dataset({"intercept_contribution": 1e5}))
    assert ds["y_sigma"].item() == pytest.approx(5000)
    assert ds["effect"].item() == pytest.approx(30_000)
    assert float(np.hypot(*ds["gamma_fourier"].squeeze())) == pytest.approx(20_000)
    assert ds["trend_contribution"].isel(date=10).item() == pytest.approx(10_000)


def test_a_given_saturation_point_is_the_truth_beside_a_given_effect() -> None:
    """The Dataset divides it by the effect, so it means nothing without one."""
    settings = config("tanh_saturation")
    for beside in ({"effect": 7000.0}, {"saturation_b": 7000.0}):
        ds = generate_mmm_dataset(settings, params=xr.Dataset({"saturation_c": 1500.0, **beside}))
        np.testing.assert_allclose(ds["saturation_c"], 1500, rtol=1e-15)
        np.testing.assert_allclose(ds["effect"], 7000, rtol=1e-15)
        curve = 7000 * np.tanh(ds["carryover"] / ds["spend_unit"] / (7000 * 1500))
        xr.testing.assert_allclose(ds["channel_contribution"], curve, rtol=1e-12)
        assert regenerate(ds).identical(ds)
    with pytest.raises(AlignmentError, match=r"'saturation_c' .*'TV'.* 'saturation_b' or 'effect'"):
        generate_mmm_dataset(settings, params=xr.Dataset({"saturation_c": 1500.0}))


@pytest.mark.parametrize("saturation", ["tanh_saturation", "michaelis_menten"])
def test_a_parameter_of_no_kind_in_use_is_refused(saturation: str) -> None:
    given = xr.Dataset({"saturation_beta": 500.0})
    with pytest.raises(AlignmentError, match="no use for 'saturation_beta'"):
        generate_mmm_dataset(config(saturation), params=given)
    one_of_two = config(saturation).replace(
        channels=[ChannelConfig(saturation_fun=saturation), ChannelConfig()]
    )
    ds = generate_mmm_dataset(one_of_two, params=given)
    assert (ds["effect"].isel(channel=1) == 500).all()
    assert regenerate(ds).identical(ds)


def test_only_what_the_dataset_has_counts_as_given() -> None:
    ds = generate_mmm_dataset(config())
    planned = generate_mmm_dataset(config(), spend=1.25 * ds["spend"], params=ds)
    assert "base_spend" not in planned, "a plan has none"
    seasonless = generate_mmm_dataset(
        config(), params=xr.Dataset({"gamma_seasonal": 5.0, "y_sigma": 10.0})
    )
    assert seasonless.attrs["given_params"] == "y_sigma"
    for made in (planned, seasonless):
        assert all(name in made for name in made.attrs["given_params"].split(","))
        assert regenerate(made).identical(made)
    with pytest.raises(SchemaError, match="no 'y_sigma'"):
        regenerate(seasonless.drop_vars("y_sigma"))


def test_a_given_amplitude_has_no_known_population() -> None:
    ds = generate_mmm_dataset(config(), params=xr.Dataset({"saturation_beta": 500.0}))
    for name in ("effect_mean", "effect_sd", "saturation_beta_mean", "saturation_beta_sd"):
        assert ds[name].isnull().all(), name


@pytest.mark.parametrize("given", [{"population": 5.0}, {"mu": 5.0}, {}])
def test_params_without_a_parameter_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(AlignmentError, match="no parameter"):
        generate_mmm_dataset(config(), params=xr.Dataset(given))


def test_other_parameters_have_their_domains_too() -> None:
    noise = {"kind": "ar1", "autocorrelation": 0.5}
    settings = config().replace(regions=RegionConfig(noise=noise))
    with pytest.raises(AlignmentError, match=r"noise_autocorrelation.*below 1"):
        generate_mmm_dataset(settings, params=xr.Dataset({"noise_autocorrelation": 1.5}))
