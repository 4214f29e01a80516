"""The response function: pure, labelled, batched, and the same as generation."""

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
    TransformConfig,
    aggregate,
    generate_mmm_dataset,
    respond,
)
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.response import response_parameters


def mixed(**transforms: object) -> xr.Dataset:
    adstocks = ["geometric_adstock", "weibull_adstock", "delayed_adstock", "no_adstock"]
    channels = [
        ChannelConfig(
            name=f"channel {i}",
            saturation_fun=saturation,
            adstock_fun=adstocks[i % 4],
            adstock_kwargs={"type": "CDF", "l_max": 6} if i == 1 else {},
            base_effectiveness=0.05,
        )
        for i, saturation in enumerate(SATURATIONS)
    ]
    return generate_mmm_dataset(
        MMMDataConfig(
            n_periods=50,
            burn_in_periods=5,
            channels=channels,
            regions=RegionConfig(region_names=["a", "b", "c"], similarity=0.7),
            transforms={"spend_unit": "base_spend", **transforms},
        )
    )


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return mixed()


@pytest.mark.parametrize("adstock_first", [True, False])
def test_it_is_the_function_that_generated(adstock_first: bool) -> None:
    ds = mixed(adstock_first=adstock_first)
    xr.testing.assert_allclose(
        respond(ds["spend"], ds), ds["channel_contribution"], rtol=1e-12, atol=0
    )


def test_dims_come_in_any_order_and_labels_decide(ds: xr.Dataset) -> None:
    turned = ds["spend"].transpose("channel", "date", "geo").isel(channel=slice(None, None, -1))
    response = respond(turned, ds)
    assert response.dims == ("date", "geo", "channel")
    xr.testing.assert_allclose(
        response.sel(channel=ds["channel"]), ds["channel_contribution"], rtol=1e-12
    )
    one = respond(ds["spend"].sel(channel=["channel 4"], geo=["b"]), ds)
    expected = ds["channel_contribution"].sel(channel=["channel 4"], geo=["b"])
    np.testing.assert_allclose(one, expected, rtol=1e-12)


def test_further_dims_of_spend_and_history_broadcast(ds: xr.Dataset) -> None:
    factors = xr.DataArray([0.0, 1.0, 2.0], dims="scenario")
    both = respond(ds["spend"] * factors, ds, history=ds["spend_history"] * factors)
    assert both.dims == ("scenario", "date", "geo", "channel")
    for scenario, factor in enumerate(factors.values):
        single = respond(ds["spend"] * factor, ds, history=factor * ds["spend_history"])
        xr.testing.assert_allclose(both.isel(scenario=scenario), single, rtol=1e-13)
    assert (both.isel(scenario=0) == 0).all()
    kept = ds.assign(spend_history=ds["spend_history"] * factors)
    xr.testing.assert_allclose(
        respond(ds["spend"], kept),
        respond(ds["spend"], ds, history=kept["spend_history"]),
        rtol=1e-13,
    )


@pytest.mark.parametrize("adstock_first", [True, False])
def test_further_dims_of_any_one_parameter_broadcast(adstock_first: bool) -> None:
    """Whichever kind has it, and wherever its channel stands."""
    params = mixed(adstock_first=adstock_first).drop_vars("effect").isel(date=slice(12))
    factor = xr.DataArray([0.5, 1.0], dims="draw")
    names = [name for name in response_parameters(params) if name != "adstock_alpha"]
    for name in [*names, "spend_unit"]:
        both = respond(params["spend"], params.assign({name: params[name] * factor}))
        assert both.dims == ("draw", "date", "geo", "channel"), name
        half = respond(params["spend"], params.assign({name: params[name] * 0.5}))
        xr.testing.assert_allclose(both.isel(draw=0), half, rtol=1e-12)
    whole = respond(params["spend"], params)
    xr.testing.assert_allclose(both.isel(draw=1), whole, rtol=1e-12)


@pytest.mark.parametrize("adstock", ["geometric_adstock", "no_adstock"])
def test_an_aggregated_dataset_has_no_response_and_says_so(adstock: str) -> None:
    regions = RegionConfig(region_names=["a", "b"])
    config = MMMDataConfig(
        n_periods=20, channels=[ChannelConfig(adstock_fun=adstock)], regions=regions
    )
    national = aggregate(generate_mmm_dataset(config))
    for params in (national, national.drop_vars("effect")):
        with pytest.raises(SchemaError, match="no response to spend, as after an aggregation"):
            respond(national["spend"], params)


def test_history_carries_in(ds: xr.Dataset) -> None:
    with_history = respond(ds["spend"], ds)
    without = respond(ds["spend"], ds.drop_vars("spend_history"))
    difference = (with_history - without).sel(channel="channel 0")
    assert (difference.isel(date=0) > 0).all()
    assert (abs(difference.isel(date=slice(10, None))) < 1e-9).all()


def test_what_does_not_fit_is_named(ds: xr.Dataset) -> None:
    with pytest.raises(AlignmentError, match="no channel named 'other'"):
        respond(ds["spend"].assign_coords(channel=["other", *ds["channel"].values[1:]]), ds)
    with pytest.raises(SchemaError, match="'spend_unit'"):
        respond(ds["spend"], ds.drop_vars("spend_unit"))
    with pytest.raises(AlignmentError, match="geo"):
        respond(ds["spend"].isel(geo=0, drop=True), ds)


def test_the_effect_is_inside_the_amplitudes(ds: xr.Dataset) -> None:
    bare = ds.drop_vars("effect")
    np.testing.assert_array_equal(respond(ds["spend"], bare), respond(ds["spend"], ds))
    for name in ("saturation_beta", "saturation_sigma", "saturation_b", "saturation_alpha"):
        moved = respond(ds["spend"], bare.assign({name: 2 * ds[name]}))
        assert (moved != respond(ds["spend"], ds)).any()


@pytest.mark.parametrize("name", ["effect", "saturation_beta"])
def test_an_effect_that_contradicts_its_amplitude_is_refused(name: str) -> None:
    ds = mixed()
    with pytest.raises(AlignmentError, match="change both, or drop"):
        respond(ds["spend"], ds.assign({name: 2 * ds[name]}))


def test_an_effect_stands_for_an_amplitude_that_is_missing() -> None:
    ds = generate_mmm_dataset()
    without = ds.drop_vars("saturation_beta")
    np.testing.assert_array_equal(respond(ds["spend"], without), ds["channel_contribution"])
    with pytest.raises(SchemaError, match="no 'saturation_beta'"):
        respond(ds["spend"], without.drop_vars("effect"))


@pytest.mark.parametrize("kind", SATURATIONS)
@pytest.mark.parametrize("adstock_first", [True, False])
def test_a_contribution_is_its_amplitude_times_the_unit_curve(
    kind: str, adstock_first: bool
) -> None:
    """By the kind's own function, whose amplitude is an argument if it has one."""
    config = MMMDataConfig(
        n_periods=30,
        channels=[
            ChannelConfig(name="TV", saturation_fun=kind, roas=1.5),
            ChannelConfig(name="none", saturation_fun=kind, base_effectiveness=0.0),
        ],
        regions=RegionConfig(region_names=["a", "b"], similarity=0.5),
        transforms=TransformConfig(adstock_first=adstock_first, adstock_fun="no_adstock"),
    )
    ds = generate_mmm_dataset(config)
    curve = SATURATIONS[kind]
    one = ds.sel(channel="TV")
    parameters = {name: one[f"saturation_{name}"].values for name in curve.parameters}
    height = 1.0 if curve.amplitude else one["saturation_beta"].values
    made = height * curve.function((one["spend"] / one["spend_unit"]).values, **parameters)
    np.testing.assert_allclose(made, one["channel_contribution"], rtol=1e-12)
    placebo = ds.sel(channel="none")
    assert (placebo["channel_contribution"] == 0).all()
    assert np.isfinite(placebo["saturated"]).all()
    assert (placebo["saturated"] > 0).any()
    stage = "saturated" if adstock_first else "carryover"
    xr.testing.assert_allclose(ds[stage] * ds["effect"], ds["channel_contribution"], rtol=1e-12)
