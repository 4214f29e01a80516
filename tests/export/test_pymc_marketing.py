"""PyMC-Marketing's own model, given the truth, computes the expected sales of the Dataset.

The model is built on the exported data; the truth is put in as the one draw of a posterior.
"""

import importlib
import math
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import pymc as pm
import pymc_marketing.mmm as components
import pytest
import xarray as xr
from pymc_extras.prior import Prior

from mmm_xgen import (
    AlignmentError,
    ChannelConfig,
    ConfigError,
    ControlConfig,
    MMMDataConfig,
    RegionConfig,
    SchemaError,
    TransformConfig,
    generate_mmm_dataset,
    register_adstock,
)
from mmm_xgen.export.pymc_marketing import model_inputs, scaled_parameters
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.kind import component_names
from mmm_xgen.kernels.saturation import SATURATIONS
from tests.connected import connected

ADSTOCK_COMPONENTS = component_names(ADSTOCKS)
SATURATION_COMPONENTS = {kind: name for (kind, _), name in component_names(SATURATIONS).items()}

NEWER = int(version("pymc-marketing").split(".")[0]) >= 1
# The newer generation warns where the older one has its only multidimensional model.
MMM = importlib.import_module(
    "pymc_marketing.mmm.mmm" if NEWER else "pymc_marketing.mmm.multidimensional"
).MMM

TOLERANCE = 1e-9
L_MAX = 6
ADSTOCK_SETTINGS = {
    "geometric_adstock": {"alpha": 0.6},
    "delayed_adstock": {"alpha": 0.6, "theta": 2.0},
    "binomial_adstock": {"alpha": 0.4},
    "weibull_adstock": {"lam": 2.5, "k": 1.7},
    "no_adstock": {},
}

pytestmark = [
    # The economics of a case need not be plausible.
    pytest.mark.filterwarnings("ignore::mmm_xgen.errors.XgenWarning"),
]


# --- data, model, expected sales


@dataclass(frozen=True)
class Setup:
    """What a case varies."""

    adstock: str = "geometric_adstock"
    adstock_type: str = ""
    saturation: str = "hill_function"
    geo_response: str = "per_capita"
    normalize: bool = True
    adstock_first: bool = True
    similarity: float | None = 0.5
    spend_unit: str = "currency"

    def __str__(self) -> str:
        return "-".join(str(value) for value in vars(self).values() if value != "")

    def config(self) -> MMMDataConfig:
        """Two channels, three geos that no alphabet orders, one kind for all channels."""
        choice = {"type": self.adstock_type} if self.adstock_type else {}
        settings = ADSTOCK_SETTINGS[self.adstock] | choice
        return MMMDataConfig(
            n_periods=40,
            start_date="2023-11-06",
            seed=7,
            channels=[
                ChannelConfig(
                    name="TV", pattern="seasonal", base_spend=3000.0, base_effectiveness=0.4
                ),
                ChannelConfig(name="Radio", pattern="on_off", base_spend=900.0, roas=1.5),
            ],
            control_variables=[
                ControlConfig(name="Rain", base_value=3.0, gamma_control=-150.0),
                ControlConfig(name="Economy", base_value=100.0, gamma_control=12.0, shared=True),
            ],
            regions=RegionConfig(
                region_names=["west", "north", "east"],
                population=[1e6, 3e6, 4e5],
                geo_response=self.geo_response,
                seasonal_amplitude=0.2,
                fourier_modes=2,
                similarity=self.similarity,
            ),
            transforms=TransformConfig(
                adstock_fun=self.adstock,
                adstock_kwargs={**settings, "l_max": L_MAX, "normalize": self.normalize},
                saturation_fun=self.saturation,
                spend_unit=self.spend_unit,
                adstock_first=self.adstock_first,
            ),
        )


def adstock_component(ds: xr.Dataset, **keywords: Any) -> Any:
    kind, type_ = ds["adstock_kind"].values[0], ""
    if "adstock_type" in ds.coords:
        type_ = ds["adstock_type"].values[0]
    # 0.19 gives the Weibull CDF one weight more than l_max.
    l_max = int(ds["l_max"].values[0]) - (type_ == "CDF" and not NEWER)
    component = getattr(components, ADSTOCK_COMPONENTS[kind, type_])
    return component(l_max=l_max, normalize=bool(ds["normalize"].values[0]), **keywords)


@cache
def log_component() -> Any:
    """The log saturation; the older release has none, but its users can write this one."""
    if NEWER:
        return components.LogSaturation
    from pymc_marketing.mmm.components.saturation import SaturationTransformation
    from pytensor.xtensor.math import log1p

    class LogSaturation(SaturationTransformation):
        lookup_name = "log_saturation_of_the_newer_release"

        def function(self, x, beta, *, dim=None):
            return beta * log1p(x)

        default_priors = {"beta": Prior("HalfNormal", sigma=1)}  # noqa: RUF012

    return LogSaturation


def saturation_component(ds: xr.Dataset, **keywords: Any) -> Any:
    name = SATURATION_COMPONENTS[ds["saturation_kind"].values[0]]
    component = log_component() if name == "LogSaturation" else getattr(components, name)
    return component(**keywords)


def model_of(ds: xr.Dataset, *, pooled: bool = False, scaling: dict[str, Any] | None = None) -> Any:
    """PyMC-Marketing's model of a Dataset, as its user would build it."""
    adstock, saturation = adstock_component(ds), saturation_component(ds)
    if pooled:
        adstock, saturation = (
            type(part)(
                **({"l_max": L_MAX} if part is adstock else {}),
                priors={
                    name: Prior("HalfNormal", sigma=1, dims="channel")
                    for name in part.default_priors
                },
            )
            for part in (adstock, saturation)
        )
    mmm = MMM(
        date_column="date",
        target_column="y",
        channel_columns=list(ds["channel_column"].values),
        control_columns=list(ds["control_column"].values),
        dims=("geo",),
        adstock=adstock,
        saturation=saturation,
        adstock_first=bool(ds.attrs["adstock_first"]),
        yearly_seasonality=2,
        scaling=scaling,
    )
    features, target = model_inputs(ds)
    mmm.build_model(features, target)
    return mmm


def truth_of(ds: xr.Dataset, mmm: Any) -> xr.Dataset:
    return scaled_parameters(
        ds, channel_scale=mmm.scalers["_channel"], target_scale=mmm.scalers["_target"]
    )


def parts_of(mmm: Any, truth: xr.Dataset, *, by_label: bool = True) -> xr.Dataset:
    """Contributions that the model computes from the truth or its draws, in its scaled space."""
    if by_label:
        # Values go in by position, and the geos of a model are in alphabetical order.
        truth = truth.sel(geo=list(mmm.model.coords["geo"]))
    free = {variable.name for variable in mmm.model.free_RVs}
    assert free == set(truth.data_vars)
    # Before the posterior goes in, a shape that would broadcast in silence.
    for name in free:
        dims = mmm.model.named_vars_to_dims[name]
        assert {*truth[name].dims} - {"draw"} == {*dims}
    draws = truth if "draw" in truth.dims else truth.expand_dims(draw=[0])
    parts = pm.compute_deterministics(
        draws.transpose("draw", ...).expand_dims(chain=[0]),
        model=mmm.model,
        progressbar=False,
        # The default mode compiles for seconds, to the same values.
        compile_kwargs={"mode": "FAST_COMPILE"},
    ).isel(chain=0, drop=True)
    if "draw" not in truth.dims:
        parts = parts.isel(draw=0, drop=True)
    return parts.assign(intercept_contribution=truth["intercept_contribution"].drop_vars("geo"))


def mu_of(mmm: Any, truth: xr.Dataset, *, by_label: bool = True) -> xr.DataArray:
    """Expected sales of the model in KPI units."""
    parts = parts_of(mmm, truth, by_label=by_label)
    mu = (
        parts["intercept_contribution"]
        + parts["channel_contribution"].sum("channel")
        + parts["control_contribution"].sum("control")
        + parts["yearly_seasonality_contribution"]
    )
    if NEWER:
        # Only the newer generation has it as a variable.
        xr.testing.assert_allclose(mu, parts["mu"].transpose(*mu.dims), rtol=1e-12)
    return (mu * mmm.scalers["_target"]).rename("mu")


def worst_error(mu: xr.DataArray, ds: xr.Dataset) -> float:
    """Largest relative error against the Dataset, aligned by label."""
    assert set(mu["geo"].values) == set(ds["geo"].values)
    error = np.abs(mu / ds["mu"] - 1)
    assert error.sizes == ds["mu"].sizes
    # Not `max` alone, which skips NaN.
    return float(error.fillna(math.inf).max())


@cache
def built(setup: Setup) -> tuple[xr.Dataset, Any]:
    """Dataset and model of a case, shared by the tests that ask for the same."""
    ds = generate_mmm_dataset(setup.config())
    return ds, model_of(ds)


ADSTOCKS_WITH_HILL = [Setup(adstock=kind, adstock_type=type_) for kind, type_ in ADSTOCK_COMPONENTS]
# A log curve has no scale of its own, and needs one unit of spend for all geos.
SATURATIONS_WITH_GEOMETRIC = [
    Setup(saturation=kind)
    for kind in SATURATION_COMPONENTS
    if kind not in ("hill_function", "log_saturation")
]


def wrong_conversions(ds: xr.Dataset, truth: xr.Dataset) -> dict[str, xr.Dataset]:
    """The truth with one variable as it is in the Dataset, where that is not the same."""
    raw = {str(name): ds[name].transpose(*truth[name].dims) for name in truth if name != "y_sigma"}
    return {
        name: truth.assign({name: (values.dims, values.values)})
        for name, values in raw.items()
        if not np.allclose(values, truth[name])
    }


@pytest.mark.parametrize("setup", [*ADSTOCKS_WITH_HILL, *SATURATIONS_WITH_GEOMETRIC], ids=str)
def test_the_truth_and_nothing_else_reproduces_mu(setup: Setup):
    ds, mmm = built(setup)
    truth = truth_of(ds, mmm)
    unconverted = wrong_conversions(ds, truth)
    names = {str(name) for name in truth.data_vars}
    other_adstocks = [
        truth.assign({name: truth[name] * 0.9}) for name in names if name.startswith("adstock_")
    ]
    # As draws of one posterior: the model compiles once for all of them.
    every = [truth, *unconverted.values(), *other_adstocks]
    mu = mu_of(mmm, xr.concat(every, "draw", data_vars="all", coords="minimal", compat="override"))
    right, *wrong = (worst_error(each, ds) for each in mu.transpose("draw", ...))
    assert right < TOLERANCE
    assert min(wrong[: len(unconverted)]) > 1e-3
    assert all(error > 1e-5 for error in wrong[len(unconverted) :])
    # Slope, r and root's alpha have no unit.
    unitless = {"saturation_slope", "saturation_r"}
    unitless |= {"saturation_alpha"} if setup.saturation == "root_saturation" else set()
    converted = {name for name in names if name.startswith("saturation_")} - unitless
    assert converted <= unconverted.keys()
    assert {"intercept_contribution", "gamma_control", "gamma_fourier"} <= unconverted.keys()


@pytest.mark.fits
@pytest.mark.parametrize(
    "setup",
    [
        *(Setup(adstock=kind, adstock_type=t, normalize=False) for kind, t in ADSTOCK_COMPONENTS),
        *(
            Setup(saturation=kind, adstock_first=False)
            for kind in ("hill_function", "no_saturation")
        ),
        *(
            Setup(adstock=kind, adstock_type=t, geo_response="common")
            for kind, t in ADSTOCK_COMPONENTS
        ),
        *(
            Setup(saturation=kind, geo_response="common")
            for kind in SATURATION_COMPONENTS
            if kind not in ("hill_function", "log_saturation")
        ),
        *(
            Setup(saturation=kind, spend_unit="base_spend", geo_response=world)
            for kind in ("hill_function", "root_saturation", "tanh_saturation", "no_saturation")
            for world in ("per_capita", "common")
        ),
    ],
    ids=str,
)
def test_so_it_does_with_other_settings(setup: Setup):
    ds, mmm = built(setup)
    assert worst_error(mu_of(mmm, truth_of(ds, mmm)), ds) < TOLERANCE


def test_log_saturation_with_a_matching_scale():
    setup = Setup(saturation="log_saturation", geo_response="common")
    ds = generate_mmm_dataset(setup.config())
    if not NEWER:
        # The newer model feeds the log with raw spend, which is in spend units of 1. The
        # older one scales by the largest spend, so here that is the spend unit.
        unit = ds["spend"].max(["date", "geo"]).rename("spend_unit")
        ds = generate_mmm_dataset(setup.config(), params=unit.to_dataset())
    mmm = model_of(ds)
    assert worst_error(mu_of(mmm, truth_of(ds, mmm)), ds) < TOLERANCE


@pytest.mark.parametrize("scaled_by_geo", [("channel",), ("target",)])
def test_scales_of_their_own_for_every_geo(scaled_by_geo: tuple[str, ...]):
    ds, _ = built(Setup())
    # `dims` are those, beside the date, that a scale is one for.
    scaling = {
        name: {"method": "max", "dims": () if name in scaled_by_geo else ("geo",)}
        for name in ("channel", "target")
    }
    mmm = model_of(ds, scaling=scaling)
    assert ("geo" in mmm.scalers["_channel"].dims) == ("channel" in scaled_by_geo)
    assert ("geo" in mmm.scalers["_target"].dims) == ("target" in scaled_by_geo)
    assert worst_error(mu_of(mmm, truth_of(ds, mmm)), ds) < TOLERANCE


def test_pooled_media_parameters_are_true_in_the_common_world():
    ds = generate_mmm_dataset(Setup(geo_response="common", similarity=None).config())
    mmm = model_of(ds, pooled=True)
    truth = truth_of(ds, mmm)
    for name in truth.data_vars:
        if name.startswith(("adstock_", "saturation_")):
            assert mmm.model.named_vars_to_dims[name] == ("channel",)
            assert (truth[name] == truth[name].isel(geo=0)).all()
            truth[name] = truth[name].isel(geo=0, drop=True)
    assert worst_error(mu_of(mmm, truth), ds) < TOLERANCE


def test_a_truth_put_in_by_position_shows():
    ds, mmm = built(Setup())
    assert worst_error(mu_of(mmm, truth_of(ds, mmm), by_label=False), ds) > 1e-2


# --- the yearly season


@pytest.mark.parametrize(("start", "freq"), [("2024-12-10", "D"), ("2023-12-01", "MS")])
def test_the_modes_of_the_year_are_the_same_in_the_same_order(start: str, freq: str):
    """Across a 29 February and a day 366."""
    config = Setup().config().replace(start_date=start, freq=freq)
    ds = generate_mmm_dataset(config)
    mmm = model_of(ds)
    assert list(mmm.model.coords["fourier_mode"]) == list(ds["fourier_mode"].values)
    assert list(ds["fourier_mode"].values) == ["sin_1", "sin_2", "cos_1", "cos_2"]

    truth = truth_of(ds, mmm)
    parts = parts_of(mmm, truth)
    gamma = truth["gamma_fourier"].sel(geo=list(mmm.model.coords["geo"]))
    day = ds["date"].dt.dayofyear
    for mode in ds["fourier_mode"].values:
        wave, harmonic = mode.split("_")
        basis = getattr(np, wave)(2 * np.pi * int(harmonic) * day / 365.25)
        theirs = parts["fourier_contribution"].sel(fourier_mode=mode)
        expected = gamma.sel(fourier_mode=mode) * basis
        xr.testing.assert_allclose(
            theirs.drop_vars("fourier_mode"),
            expected.transpose("date", "geo").drop_vars(
                ["fourier_mode", "dayofyear"], errors="ignore"
            ),
            rtol=1e-10,
        )
    season = parts["yearly_seasonality_contribution"] * mmm.scalers["_target"]
    xr.testing.assert_allclose(
        season.transpose("date", "geo").sel(geo=ds["geo"].values).reset_coords(drop=True),
        ds["seasonality_contribution"],
        rtol=1e-9,
    )


# --- what has no truth, and scales that do not fit


def dataset(**changes: Any) -> xr.Dataset:
    return generate_mmm_dataset(Setup().config().replace(**changes))


def scaled(ds: xr.Dataset, channel_scale: Any = 2000.0, target_scale: Any = 5e4) -> xr.Dataset:
    return scaled_parameters(ds, channel_scale=channel_scale, target_scale=target_scale)


def transforms(**keywords: Any) -> TransformConfig:
    return TransformConfig(adstock_kwargs={"l_max": L_MAX}, **keywords)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"transforms": TransformConfig(adstock_fun=["geometric_adstock", "delayed_adstock"])},
            "adstock_kind geometric_adstock, delayed_adstock",
        ),
        (
            {"transforms": TransformConfig(saturation_fun=["hill_function", "root_saturation"])},
            "saturation_kind hill_function, root_saturation",
        ),
        (
            {"transforms": TransformConfig(adstock_kwargs=[{"l_max": 4}, {"l_max": 6}])},
            "l_max 4, 6",
        ),
        (
            {
                "transforms": TransformConfig(
                    adstock_fun="weibull_adstock", adstock_kwargs=[{"type": "PDF"}, {"type": "CDF"}]
                )
            },
            "adstock_type PDF, CDF",
        ),
        (
            {"transforms": TransformConfig(adstock_fun="beta_gamma_adstock")},
            "'beta_gamma_adstock', which PyMC-Marketing does not have; allowed: binomial_adstock",
        ),
        (
            {"control_variables": [ControlConfig(name="Price", base_value=2.0, elasticity=-1.5)]},
            "'Price' has an elasticity",
        ),
        (
            {
                "control_variables": [
                    ControlConfig(name="Rain", gamma_control=1.0),
                    ControlConfig(name="Price", gamma_control=-5.0, reference=2.0),
                ]
            },
            "'Price' has the reference 2",
        ),
        ({"transforms": TransformConfig(saturation_fun="log_saturation")}, "log_saturation"),
    ],
)
def test_a_dataset_without_one_truth_is_refused(changes: dict[str, Any], words: str):
    with pytest.raises(ConfigError, match=words):
        scaled(dataset(**changes))


def test_a_control_that_is_not_linear_may_be_left_out():
    price = ControlConfig(name="Price", base_value=2.0, elasticity=-1.5)
    rain = ControlConfig(name="Rain", gamma_control=5.0)
    truth = scaled(dataset(control_variables=[rain, price]).drop_sel(control="Price"))
    assert list(truth["control"].values) == ["Rain"]
    assert (truth["gamma_control"] > 0).all()


def test_a_kind_of_the_users_own_is_refused():
    @register_adstock("one_week_late")
    def one_week_late(lag):
        return np.where(lag == 1, 1.0, 0.0)

    try:
        ds = dataset(transforms=TransformConfig(adstock_fun="one_week_late"))
        with pytest.raises(ConfigError, match="'one_week_late', which PyMC-Marketing does not"):
            scaled(ds)
    finally:
        ADSTOCKS.remove("one_week_late")


def test_log_saturation_is_refused_where_geos_have_units_of_their_own():
    config = Setup(saturation="log_saturation", geo_response="per_capita").config()
    with pytest.raises(ConfigError, match=r"channel_scale: found .* with log_saturation"):
        scaled(generate_mmm_dataset(config), channel_scale=1.0)


def test_a_dataset_without_parameters_is_refused():
    ds, _ = built(Setup())
    with pytest.raises(SchemaError, match="'saturation_kappa' has missing values"):
        scaled(ds.assign(saturation_kappa=ds["saturation_kappa"] * np.nan))
    with pytest.raises(SchemaError, match="saturation_kappa"):
        scaled(ds.drop_vars("saturation_kappa"))


@pytest.mark.parametrize("argument", ["channel_scale", "target_scale"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_scale_is_finite_and_above_zero(argument: str, value: float):
    with pytest.raises(ConfigError, match=f"{argument}: found"):
        scaled(built(Setup())[0], **{argument: value})


@pytest.mark.parametrize(
    ("argument", "value", "words"),
    [
        ("channel_scale", np.ones(2), r"shape \(2,\) without labels"),
        ("channel_scale", xr.DataArray(np.ones(2), dims="channel"), "no labels along 'channel'"),
        ("channel_scale", xr.DataArray(np.ones(2), {"date": [1, 2]}), "has the dim 'date'"),
        (
            "channel_scale",
            xr.DataArray(np.ones(2), {"channel": ["TV", "Print"]}),
            "lacks the channel 'Radio'; it has TV, Print",
        ),
        (
            "channel_scale",
            xr.DataArray(np.ones(2), {"channel": ["x1-TV", "x2-Print"]}),
            "lacks the channel 'Radio'; it has x1-TV, x2-Print",
        ),
        ("target_scale", xr.DataArray(np.ones(2), {"geo": ["west", "east"]}), "lacks the geo"),
        (
            "target_scale",
            xr.DataArray(np.ones(2), {"channel": ["TV", "Radio"]}),
            "target_scale has the dim 'channel'",
        ),
    ],
)
def test_a_scale_fits_the_dataset(argument: str, value: Any, words: str):
    with pytest.raises(AlignmentError, match=words):
        scaled(built(Setup())[0], **{argument: value})


def test_scales_are_aligned_by_label():
    ds, _ = built(Setup())
    by_name = xr.DataArray([2000.0, 500.0], {"channel": ["TV", "Radio"]})
    truth = scaled(ds, by_name, 5e4)
    by_column = xr.DataArray([500.0, 2000.0], {"channel": ["x2-Radio", "x1-TV"]})
    # PyMC-Marketing may give its target scale a dim of length 1.
    one = xr.DataArray([5e4], dims="target")
    xr.testing.assert_identical(truth, scaled(ds, by_column, one))
    xr.testing.assert_identical(truth, scaled(ds, by_name.expand_dims(geo=ds["geo"].values[::-1])))
    xr.testing.assert_identical(truth, scaled(ds, by_name, np.array([5e4])))


def test_the_truth_is_labelled_as_the_dataset():
    ds, _ = built(Setup())
    truth = scaled(ds)
    dims = {
        "intercept_contribution": ("geo",),
        "y_sigma": ("geo",),
        "gamma_control": ("geo", "control"),
        "gamma_fourier": ("geo", "fourier_mode"),
        "adstock_alpha": ("geo", "channel"),
        "saturation_slope": ("geo", "channel"),
        "saturation_kappa": ("geo", "channel"),
        "saturation_beta": ("geo", "channel"),
    }
    assert {name: values.dims for name, values in truth.data_vars.items()} == dims
    for dim in ("geo", "channel", "control", "fourier_mode"):
        assert list(truth[dim].values) == list(ds[dim].values)
    assert truth.attrs["adstock"] == "GeometricAdstock"
    assert truth.attrs["saturation"] == "HillSaturation"
    assert truth.attrs["l_max"] == L_MAX
    assert {values.attrs["units"] for values in truth.data_vars.values()} == {"1"}


def test_without_controls_and_season_the_truth_has_none():
    regions = RegionConfig(fourier_modes=0)
    truth = scaled(dataset(control_variables=[], regions=regions))
    assert "gamma_control" not in truth.data_vars
    assert "gamma_fourier" not in truth.data_vars
    assert "control" not in truth.dims


def test_in_the_per_capita_world_scales_by_population_make_all_geos_equal():
    ds = generate_mmm_dataset(Setup(similarity=None).config())
    channel = ds["geo_scale"] * xr.DataArray([2000.0, 500.0], {"channel": ["TV", "Radio"]})
    truth = scaled(ds, channel, ds["geo_scale"] * 5e4)
    for name in ("saturation_kappa", "saturation_beta", "intercept_contribution"):
        assert np.allclose(truth[name], truth[name].isel(geo=0), rtol=1e-12), name
    assert not np.allclose(scaled(ds)["saturation_kappa"].std("geo"), 0)


def test_a_leading_dim_broadcasts():
    first, second = (generate_mmm_dataset(Setup().config(), seed=seed) for seed in (1, 2))
    names = list(scaled(first).data_vars)
    keep = [*names, "effect", "spend_unit", "control_reference"]
    both = xr.concat([first[keep], second[keep]], "dataset", data_vars="all")
    both = both.assign(control_reference=first["control_reference"])
    xr.testing.assert_allclose(scaled(both).isel(dataset=1), scaled(second), rtol=1e-12)


def test_the_truth_says_which_mechanisms_no_model_has():
    scales = {"channel_scale": 1000.0, "target_scale": 1e4}
    told = scaled_parameters(connected(), **scales).attrs["no_counterpart"]
    assert told == (
        "latent demand, effects over time, pull-forward, funnels, interactions, mediators, "
        "a level that moves, promotions, a season that changes in size, a season that moves"
    )
    ruled = generate_mmm_dataset(**{"channels.0.budget_rule": "chases_target"})
    assert "no_counterpart" not in scaled_parameters(ruled.sel(control=[]), **scales).attrs
