"""True parameters: how they scale with geos, and how they vary between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.strategies import config_with, generate, steady

GEOMETRIC = {"kind": "geometric_adstock", "alpha": 0.5}
HILL = {"kind": "hill_function", "slope": 1.0, "kappa": 1500.0}


def geos(**regions: Any) -> xr.Dataset:
    shares = {"sales_trend": 0.01, "seasonal_amplitude": 0.1, "sales_volatility": 0.05}
    sizes = {"n_regions": 3, "population": [2e6, 4e6, 1e6]}
    return generate(config_with(steady(saturation=HILL), regions=shares | sizes | regions))


@pytest.mark.parametrize("response", ["per_capita", "common"])
def test_base_sales_and_spend_scale_with_population(response: str) -> None:
    ds = geos(geo_response=response)
    scale = np.array([1.0, 2.0, 0.5])
    np.testing.assert_allclose(ds["geo_scale"], scale)
    np.testing.assert_allclose(ds["population"], [2e6, 4e6, 1e6])
    np.testing.assert_allclose(ds["spend"], 1000.0 * np.tile(scale[:, None], (52, 1, 1)))
    np.testing.assert_allclose(ds["intercept_contribution"], 10_000.0 * scale)
    for part in ("trend_contribution", "seasonality_contribution"):
        values = ds[part].transpose("date", "geo").values
        np.testing.assert_allclose(values, values[:, :1] * scale, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ds["y_sigma"], 500.0 * scale)


def test_per_capita_response_the_default_scales_effect_and_spend_unit_once() -> None:
    ds = geos()
    assert ds.equals(geos(geo_response="per_capita"))
    scale = np.array([[1.0], [2.0], [0.5]])
    np.testing.assert_allclose(ds["effect"], 500.0 * scale)
    unit = (ds["spend_unit"] + 0 * ds["effect"]).transpose("geo", "channel")
    np.testing.assert_allclose(unit, scale)
    saturated = ds["saturated"].transpose("date", "geo", "channel").values
    np.testing.assert_allclose(saturated, np.repeat(saturated[:, :1], 3, axis=1))
    contribution = ds["channel_contribution"].values
    np.testing.assert_allclose(contribution, contribution[:, :1] * scale, rtol=1e-12)


def test_common_response_scales_neither() -> None:
    ds = geos(geo_response="common")
    np.testing.assert_allclose(ds["effect"], 500.0)
    np.testing.assert_allclose(ds["spend_unit"], 1.0)
    saturated = ds["saturated"].transpose("date", "geo", "channel").values
    assert (saturated[:, 1] > saturated[:, 0]).all()
    assert (saturated[:, 0] > saturated[:, 2]).all()


def test_population_reference_states_the_size_that_amounts_are_for() -> None:
    ds = geos(population_reference=1e6)
    np.testing.assert_allclose(ds["geo_scale"], [2.0, 4.0, 1.0])
    np.testing.assert_allclose(ds["intercept_contribution"], [20_000.0, 40_000.0, 10_000.0])


def test_spend_unit_of_base_spend_is_the_configured_one() -> None:
    curve = {"kind": "hill_function", "kappa": 1.2, "slope": 1}
    config = config_with(
        steady(base_spend=700.0, saturation=curve),
        transforms={"spend_unit": "base_spend"},
        regions={"n_regions": 2, "population": [1e6, 3e6]},
    )
    ds = generate(config)
    unit = (ds["spend_unit"] + 0 * ds["effect"]).transpose("geo", "channel")
    np.testing.assert_allclose(unit, [[700.0], [2100.0]])
    settled = ds["saturated"].isel(date=-1)
    np.testing.assert_allclose(settled, 1 / 2.2, rtol=1e-6)


def test_effectiveness_is_the_effect_as_a_share_of_base_sales() -> None:
    ds = generate(config_with(steady(base_effectiveness=0.7), regions={"base_sales_rate": 500.0}))
    np.testing.assert_allclose(ds["effect"], 350.0)


def test_variation_keeps_parameters_valid_and_around_their_mean() -> None:
    config = config_with(
        steady(adstock=GEOMETRIC | {"alpha": 0.6, "l_max": 30}, saturation=HILL),
        n_periods=4,
        regions={"n_regions": 400, "transform_variation": 0.4, "channel_param_variation": 0.4},
    )
    ds = generate(config)
    alpha, kappa = ds["adstock_alpha"].values.ravel(), ds["saturation_kappa"].values.ravel()
    assert ((alpha > 0) & (alpha < 1)).all()
    assert (kappa > 0).all()
    logit = np.log(alpha / (1 - alpha))
    for values, name in ((logit, "adstock_alpha"), (np.log(kappa), "saturation_kappa")):
        mean, sd = float(ds[f"{name}_mean"].item()), float(ds[f"{name}_sd"].item())
        assert sd > 0
        assert values.std() == pytest.approx(sd, rel=0.15)
        assert values.mean() == pytest.approx(mean, abs=4.5 * sd / 20)
    assert np.median(kappa) == pytest.approx(1500.0, rel=0.15)


def test_without_variation_every_geo_has_the_configured_parameters() -> None:
    ds = generate(
        config_with(
            steady(adstock=GEOMETRIC | {"alpha": 0.6, "l_max": 12}), regions={"n_regions": 4}
        )
    )
    assert (ds["adstock_alpha"] == 0.6).all()
    assert (ds["adstock_alpha_sd"] == 0).all()
    np.testing.assert_allclose(ds["intercept_contribution"], 10_000.0)


def test_similarity_sets_the_three_variations_together() -> None:
    def spread(**regions: Any) -> dict[str, float]:
        tv = steady(adstock=GEOMETRIC, saturation=HILL)
        ds = generate(config_with(tv, n_periods=4, regions={"n_regions": 60} | regions))
        names = ("intercept_contribution", "effect", "saturation_kappa", "adstock_alpha")
        return {name: float(ds[name].std() / ds[name].mean()) for name in names}

    equal, close, far = spread(similarity=1.0), spread(similarity=0.7), spread(similarity=0.1)
    for name in equal:
        assert equal[name] < 1e-9, name
        assert 1e-3 < close[name] < far[name], name


@pytest.mark.parametrize(("response", "sd"), [("per_capita", 0.5 * np.sqrt(2)), ("common", 0.5)])
def test_the_effect_scatters_with_base_sales_where_it_is_a_share_of_them(
    response: str, sd: float
) -> None:
    regions = {"n_regions": 4000, "similarity": 0.0, "geo_response": response}
    ds = generate(config_with(steady(), n_periods=1, regions=regions))
    assert float(ds["effect_sd"].item()) == pytest.approx(sd)
    assert float(np.log(ds["effect"]).std()) == pytest.approx(sd, rel=0.05)
    assert float(np.log(ds["intercept_contribution"]).std()) == pytest.approx(0.5, rel=0.05)


def test_transforms_apply_to_all_channels_and_a_channel_overrides_them() -> None:
    ds = generate(
        config_with(
            steady("A"),
            steady("B", adstock_fun="geometric_adstock", adstock_kwargs={"alpha": 0.1}),
            steady("C", saturation={"kind": "logistic_saturation", "lam": 2e-3}),
            transforms={
                "adstock_fun": "geometric_adstock",
                "adstock_kwargs": {"alpha": 0.4},
                "saturation_fun": "hill_function",
                "saturation_kwargs": {"slope": 1.0, "kappa": 800.0},
            },
        )
    )
    np.testing.assert_array_equal(ds["adstock_alpha"].values[0], [0.4, 0.1, 0.4])
    np.testing.assert_array_equal(ds["saturation_kappa"].values[0], [800.0, 800.0, np.nan])
    np.testing.assert_array_equal(ds["saturation_lam"].values[0], [np.nan, np.nan, 2e-3])
    assert list(ds["saturation_kind"].values) == ["hill_function"] * 2 + ["logistic_saturation"]


def test_parameters_of_a_list_of_transforms_vary_over_geos() -> None:
    transforms = {
        "adstock_fun": ["geometric_adstock", "delayed_adstock"],
        "adstock_kwargs": [{"alpha": 0.5}, {"alpha": 0.4, "theta": 1.0}],
        "saturation_fun": ["hill_function", "logistic_saturation"],
        "saturation_kwargs": [{"slope": 1.0, "kappa": 900.0}, {"lam": 1e-3}],
    }
    ds = generate(
        config_with(
            steady("A"),
            steady("B", pattern="seasonal"),
            transforms=transforms,
            regions={"n_regions": 4, "transform_variation": 0.2},
        )
    )
    expected = {"A": "saturation_kappa", "B": "saturation_lam"}
    for channel, saturation in expected.items():
        for name in ("adstock_alpha", saturation):
            values = ds[name].sel(channel=channel).values
            assert np.unique(values).size == 4, f"{name} of {channel} is the same in every geo"
    assert np.isnan(ds["saturation_lam"].sel(channel="A")).all()
    assert list(ds["saturation_kind"].values) == transforms["saturation_fun"]
    kernels = ds["adstock_weights"].sel(channel="A").values
    assert len({kernel.tobytes() for kernel in kernels}) == 4, "the kernel ignores the variation"


def test_no_two_parameters_of_a_channel_share_a_draw() -> None:
    regions = {"n_regions": 60, "channel_param_variation": 0.2, "transform_variation": 0.2}
    ds = generate(config_with(steady(adstock=GEOMETRIC, saturation=HILL), regions=regions))
    share = ds["adstock_alpha"] / (1 - ds["adstock_alpha"])
    names = ("saturation_slope", "saturation_kappa", "effect", "base_spend")
    series = np.log([share.values[:, 0], *(ds[name].values[:, 0] for name in names)])
    assert np.abs(np.corrcoef(series) - np.eye(len(series))).max() < 0.6
