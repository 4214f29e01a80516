"""Truth in a PyMC-Marketing model's names and scales, and its posterior in those of the data.

The model itself is the independent path: given the truth, it has to make the expected sales.
"""

import re
from importlib.metadata import version
from typing import Any

import numpy as np
import pymc as pm
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen import (
    AlignmentError,
    ChannelConfig,
    ConfigError,
    ControlConfig,
    EventConfig,
    MMMDataConfig,
    RegionConfig,
    TransformConfig,
)
from mmm_xgen.export import model_inputs
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.kind import component_names
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.recovery import estimates_of
from mmm_xgen.recovery.alignment.groups import group, inference_data
from mmm_xgen.recovery.alignment.pymc import (
    from_pymc,
    from_pymc_prior,
    truth_as_posterior,
)
from mmm_xgen.recovery.alignment.pymc_truth import no_single_truth, to_pymc_truth
from mmm_xgen.recovery.alignment.reference import write_reference
from mmm_xgen.recovery.fit import FitSettings
from mmm_xgen.recovery.models.pymc_arms import default, matched, prior_only, published
from mmm_xgen.recovery.models.pymc_fit import (
    built_model,
    components_of,
    fit_of,
    lift_tests,
    model_class,
)
from mmm_xgen.recovery.scoring import score

NEWER = not version("pymc-marketing").startswith("0.")
CURVES = [
    "hill_function",
    "logistic_saturation",
    "inverse_scaled_logistic_saturation",
    "michaelis_menten",
    "hill_saturation_sigmoid",
    "tanh_saturation",
    "tanh_saturation_baselined",
    "root_saturation",
    "no_saturation",
]
EIGHT_WEEKS = TransformConfig(adstock_kwargs={"alpha": 0.4, "l_max": 8})
SETTINGS = FitSettings(scored_draws=50)

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.errors.XgenWarning")


def data(saturation: str = "hill_function", n_regions: int = 1, **changes: Any) -> xr.Dataset:
    regions = {"seasonal_amplitude": 0.2, "fourier_modes": 2, **changes.pop("regions", {})}
    config: dict[str, Any] = {
        "n_periods": 60,
        "start_date": "2023-01-02",
        "freq": "W-MON",
        "seed": 3,
        "channels": [
            ChannelConfig(name="x-TV", pattern="on_off", base_spend=3000.0, roas=2.0),
            ChannelConfig(name="Radio", base_spend=900.0, roas=1.2, spend_volatility=0.5),
        ],
        "control_variables": [
            ControlConfig(name="Rain", base_value=3.0, reference=2.0, gamma_control=-150.0)
        ],
        "transforms": TransformConfig(
            adstock_kwargs={"alpha": 0.4, "l_max": 6}, saturation_fun=saturation
        ),
    }
    if n_regions > 1:
        regions |= {"region_names": ["west", "north", "east"][:n_regions], "population": None}
        regions["population"] = [1e6, 3e6, 4e5][:n_regions]
    config["regions"] = RegionConfig(**regions)
    return m.generate_mmm_dataset(MMMDataConfig(**{**config, **changes}))


def as_posterior(truth: xr.Dataset) -> xr.Dataset:
    return truth.drop_attrs().expand_dims(chain=[0], draw=[0])


def worst(found: xr.DataArray, wanted: xr.DataArray) -> float:
    """Largest difference as a share of the largest value, aligned by label."""
    found = found.transpose(..., *wanted.dims).sel({d: wanted[d].values for d in wanted.dims})
    return float(np.max(np.abs(found.values - wanted.values)) / np.max(np.abs(wanted.values)))


# --- there and back ----------------------------------------------------------------------------


@pytest.mark.parametrize("curve", CURVES)
def test_the_truth_of_every_curve_goes_there_and_back(curve: str) -> None:
    ds = data(curve)
    mmm = built_model(ds, SETTINGS, matched)
    truth = to_pymc_truth(ds, mmm)
    assert no_single_truth(truth) == {}
    assert set(truth.data_vars) == {variable.name for variable in mmm.model.free_RVs}
    assert "(trend)" not in truth.control.values
    back = from_pymc(as_posterior(truth), mmm)
    for name in map(str, back.data_vars):
        if name not in ("intercept_contribution", "spend_unit"):
            assert worst(back[name], ds[name]) < 1e-12, name
    # The model's controls count from 0.
    moved = ds.intercept_contribution - (ds.gamma_control * ds.control_reference).sum("control")
    assert worst(back["intercept_contribution"], moved) < 1e-12
    # One response function: the posterior is something that it takes.
    assert worst(m.respond(ds.spend, back), ds.channel_contribution) < 1e-12


@pytest.mark.parametrize("world", ["per_capita", "common"])
@pytest.mark.skipif(not NEWER, reason="the older release cannot fix its scales")
def test_the_matched_model_shares_its_parameters_over_geos(world: str) -> None:
    ds = data(n_regions=3, regions={"geo_response": world})
    mmm = built_model(ds, SETTINGS, matched)
    truth = to_pymc_truth(ds, mmm)
    assert truth["saturation_kappa"].dims == ("channel",)
    assert no_single_truth(truth) == {}
    assert worst(fit_of(ds, SETTINGS, mmm, as_posterior(truth)).estimates.mu, ds.mu) < 1e-12


def test_geos_are_aligned_by_label() -> None:
    ds = data(n_regions=3, regions={"similarity": 0.3}, transforms=EIGHT_WEEKS)
    mmm = built_model(ds, SETTINGS, default)
    assert list(mmm.model.coords["geo"]) != list(ds.geo.values)
    truth = to_pymc_truth(ds, mmm)
    alpha = truth["adstock_alpha"].sel(channel="x1-TV", geo="east").item()
    assert alpha == ds.adstock_alpha.sel(channel="TV", geo="east").item()
    assert alpha != ds.adstock_alpha.sel(channel="TV", geo="west").item()


# --- what the model makes of the truth ---------------------------------------------------------


def test_a_model_at_the_truth_has_the_true_estimates() -> None:
    ds = data(regions={"sales_trend": 0.002})
    mmm = built_model(ds, SETTINGS, matched)
    truth = to_pymc_truth(ds, mmm)
    assert no_single_truth(truth) == {}
    assert "(trend)" in truth.control.values
    fit = fit_of(ds, SETTINGS, mmm, as_posterior(truth))
    at_truth = fit.estimates.isel(chain=0, draw=0)
    assert worst(at_truth.mu, ds.mu) < 1e-12
    # The Dataset's controls count from their references, the model's from 0.
    for name, values in fit.parameters.isel(chain=0, draw=0).data_vars.items():
        compared = values.sel(control=ds.control.values) if "control" in values.dims else values
        assert worst(compared, ds[name]) < 1e-12, name
    assert worst(at_truth.roas, m.truth.roas(ds)) < 1e-12
    assert worst(at_truth.mroas, m.truth.mroas(ds)) < 1e-9
    curve = m.truth.response_curve(ds, multipliers=at_truth.multiplier.values, by="channel")
    assert worst(at_truth.response_curve, curve.contribution) < 1e-12
    # Negative control: a carry-over that is a little longer is seen.
    off = truth.assign(adstock_alpha=truth.adstock_alpha + 0.01)
    moved = fit_of(ds, SETTINGS, mmm, as_posterior(off)).estimates
    assert worst(moved.channel_contribution, ds.channel_contribution) > 1e-3


@pytest.mark.fits
def test_our_sums_are_what_the_model_itself_computes() -> None:
    ds = data(n_regions=2, regions={"similarity": 0.5})
    mmm = built_model(ds, SETTINGS, default)
    with mmm.model:
        prior = pm.sample_prior_predictive(draws=3, random_seed=1)
    draws = group(prior, "prior")
    free = draws[[variable.name for variable in mmm.model.free_RVs]]
    estimates = fit_of(ds, SETTINGS, mmm, free).estimates
    scale = mmm.scalers["_target"].squeeze(drop=True)
    theirs = (draws["channel_contribution"] * scale).assign_coords(channel=ds.channel.values)
    assert worst(estimates.channel_contribution, theirs) < 1e-10
    whole = draws["intercept_contribution"] + draws["channel_contribution"].sum("channel")
    whole = whole + draws["control_contribution"].sum("control")
    whole = (whole + draws["yearly_seasonality_contribution"]) * scale
    assert worst(estimates.mu, whole) < 1e-10


@pytest.mark.filterwarnings("ignore:A future version of pandas will return a BaseOffset")
@pytest.mark.fits
def test_their_incrementality_at_the_truth_is_ours() -> None:
    ds = data("logistic_saturation", regions={"fourier_modes": 1})
    mmm = built_model(ds, SETTINGS, matched)
    idata = truth_as_posterior(ds, mmm)
    assert mmm.idata is idata
    for frequency, freq in (("all_time", None), ("quarterly", "QS")):
        theirs = mmm.incrementality.contribution_over_spend(frequency=frequency)
        theirs = theirs.squeeze(["chain", "draw"], drop=True)
        ours = m.truth.estimands(ds, freq=freq, within_data=True)["roas_with_carryout"]
        theirs = theirs.rename({"date": "period"} if freq else {}).transpose(*ours.dims)
        np.testing.assert_allclose(theirs.values, ours.values, rtol=1e-9)


def test_names_may_have_what_a_tree_takes_for_a_path() -> None:
    names = [ChannelConfig(name="TV/Radio"), ChannelConfig(name="a.b"), ChannelConfig(name="1")]
    rain = ControlConfig(name="Rain/Snow", base_value=3.0, gamma_control=-150.0)
    ds = data("logistic_saturation", channels=names, control_variables=[rain])
    idata = truth_as_posterior(ds, built_model(ds, SETTINGS, matched))
    assert group(idata, "posterior")["channel"].values.tolist() == list(ds["channel_column"].values)
    assert len(group(idata, "fit_data").data_vars) == 5


@pytest.mark.fits
def test_a_draw_of_the_prior_generates_its_own_data() -> None:
    rain = ControlConfig(name="Rain", base_value=3.0, reference=0.2, gamma_control=-150.0)
    ds = data("logistic_saturation", control_variables=[rain])
    config = ds.mmm.config
    mmm = built_model(ds, SETTINGS, matched)
    with mmm.model:
        prior = pm.sample_prior_predictive(draws=20, random_seed=1)
    # Base sales are not negative, though this prior allows them to be.
    highest = int(group(prior, "prior")["intercept_contribution"].values.argmax())
    draw = group(prior, "prior").isel(draw=[highest])
    params = from_pymc_prior(draw, mmm, ds)
    made = m.generate_mmm_dataset(config, params=params, spend=ds.spend)
    scale = float(mmm.scalers["_target"])
    theirs = draw["channel_contribution"].isel(chain=0, draw=0) * scale
    theirs = theirs.assign_coords(channel=ds.channel.values)
    assert worst(made.channel_contribution, theirs) < 1e-10
    mu = fit_of(ds, SETTINGS, mmm, draw[[v.name for v in mmm.model.free_RVs]]).estimates.mu
    assert worst(made.mu, mu.isel(chain=0, draw=0)) < 1e-10
    with pytest.raises(AlignmentError, match="found 20 along 'draw', allowed: one draw"):
        from_pymc_prior(prior, mmm)


@pytest.mark.parametrize(
    ("curve", "unit"),
    [
        *(
            pytest.param(curve, "currency", marks=pytest.mark.fits)
            for curve in CURVES
            if curve != "tanh_saturation_baselined"
        ),
        ("logistic_saturation", "base_spend"),
        pytest.param("hill_function", "base_spend", marks=pytest.mark.fits),
        ("tanh_saturation_baselined", "currency"),
    ],
)
def test_parameters_are_in_the_units_of_the_data(curve: str, unit: str) -> None:
    """A geo that is not of reference size, curves in units of base spend, a spend unit of 1."""
    ds = data(
        curve,
        regions={"population": [3e6], "population_reference": 1e6},
        transforms=TransformConfig(
            adstock_kwargs={"alpha": 0.4, "l_max": 8}, saturation_fun=curve, spend_unit=unit
        ),
    )
    assert float(abs(np.log(ds.spend_unit)).min()) > 1
    for build in (matched, *([default] if curve == "logistic_saturation" else [])):
        mmm = built_model(ds, SETTINGS, build)
        fit = fit_of(ds, SETTINGS, mmm, as_posterior(to_pymc_truth(ds, mmm)))
        scores = score(ds, fit, SETTINGS)
        compared = [str(name) for name in fit.parameters.data_vars]
        assert any(name.startswith("saturation_") for name in compared)
        for name in (*compared, "roas", "mroas", "response_curve", "baseline"):
            error = scores[name].sel(metric="rmse")
            assert float(abs(error).max()) < 1e-8, (name, error.values)
        assert worst(fit.estimates.isel(chain=0, draw=0).mu, ds.mu) < 1e-12


def test_a_channel_that_spends_nothing_is_no_obstacle() -> None:
    channels = [
        ChannelConfig(name="TV", roas=2.0),
        ChannelConfig(name="Later", base_spend=500.0, base_effectiveness=0.1),
    ]
    ds = data(
        "logistic_saturation",
        channels=channels,
        transforms=TransformConfig(
            adstock_kwargs={"l_max": 8}, saturation_fun="logistic_saturation"
        ),
    )
    plan = ds.spend.where((ds.channel != "Later") | (ds.date >= ds.date[50]), 0.0)
    ds = m.generate_mmm_dataset(ds.mmm.config, spend=plan)
    settings = FitSettings(train_end=str(ds.date.values[45])[:10], scored_draws=50)
    fit = prior_only(ds, settings)
    assert "nothing is spent" in fit.no_single_truth["saturation_lam"]
    assert fit.parameters.saturation_lam.sel(channel="Later").isnull().all()
    # What the model itself makes of a column of zeros.
    assert float(fit.estimates.channel_contribution.sel(channel="Later").max()) < 1e-6
    assert np.isfinite(fit.estimates.mu).all()


def test_a_control_may_be_called_trend() -> None:
    ds = data(
        regions={"sales_trend": 0.002},
        control_variables=[ControlConfig(name="trend", base_value=3.0, gamma_control=50.0)],
    )
    mmm = built_model(ds, SETTINGS, matched)
    truth = to_pymc_truth(ds, mmm)
    assert no_single_truth(truth) == {}
    fit = fit_of(ds, SETTINGS, mmm, as_posterior(truth))
    assert worst(fit.estimates.isel(chain=0, draw=0).mu, ds.mu) < 1e-12


def test_spend_before_the_first_date_is_beyond_the_model() -> None:
    ds = data(burn_in_periods=6)
    with pytest.raises(AlignmentError, match="spend before their first date"):
        truth_as_posterior(ds, built_model(ds, SETTINGS, matched))


# --- what has no single truth ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (
            {
                "saturation": "logistic_saturation",
                "regions": {"fourier_modes": 3, "noise": {"kind": "student_t"}},
            },
            {
                "saturation_sigma": "is a logistic_saturation",
                "gamma_fourier": "have the mode cos_3|sin_3",
                "y_sigma": "noise is student_t",
            },
        ),
        (
            {
                "transforms": {"adstock_kwargs": {"l_max": 9}},
                "events": [EventConfig(name="sale", dates=["2023-05-01"], effect=0.3)],
            },
            {
                "adstock_alpha": "has 9 weights, the model's 8",
                "intercept_contribution": "have events",
            },
        ),
        (
            {
                "transforms": {"adstock_fun": "delayed_adstock"},
                "regions": {"sales_trend": 0.01},
            },
            {"adstock_alpha": "delayed_adstock", "intercept_contribution": "have a trend"},
        ),
        (
            {"n_regions": 3, "regions": {"similarity": 0.3}, "transforms": EIGHT_WEEKS},
            {"adstock_alpha": "shares it over geo, and the truth runs from"},
        ),
        (
            {
                "demand": {"effect": 0.05},
                "interactions": [{"channels": ["TV", "Radio"], "strength": 0.02}],
                "transforms": {"saturation_fun": "hill_saturation_sigmoid"},
            },
            {
                "saturation_sigma": "sells together with Radio in TV",
                "intercept_contribution": "have latent demand",
            },
        ),
        ({}, {"saturation_sigma_mu": "belongs to a prior"}),
        (
            {"regions": {"outliers": {}, "capacity": 3.0}, "transforms": EIGHT_WEEKS},
            {"y_sigma": "noise is gaussian with outliers and a capacity"},
        ),
        (
            {"demand": {}, "transforms": EIGHT_WEEKS},
            {"intercept_contribution": "have latent demand, which the model lacks"},
        ),
        (
            {
                "funnels": [{"source": "TV", "target": "Radio", "strength": 0.2}],
                "transforms": EIGHT_WEEKS,
            },
            {"saturation_beta": "TV raises its media in Radio"},
        ),
        (
            {
                "channels": [
                    {"name": "TV", "effect_path": "linear_drift"},
                    {"name": "Radio", "pull_forward": {"share": 0.2}},
                ],
                "transforms": EIGHT_WEEKS,
            },
            {
                "saturation_beta": "moves over time in TV; it borrows sales .* in Radio",
                "adstock_alpha": "^it borrows sales from later periods in Radio$",
            },
        ),
        (
            {
                "regions": {"level_path": "random_walk", "season_shift": 5.0},
                "transforms": EIGHT_WEEKS,
            },
            {
                "intercept_contribution": "have a level that moves, which .* have a season that",
                "gamma_fourier": "^the data have a season that moves, which the model lacks$",
            },
        ),
        (
            {"regions": {"season_path": "linear_drift"}, "transforms": EIGHT_WEEKS},
            {"gamma_fourier": "have a season that changes in size, which the model lacks"},
        ),
        (
            {"promotions": [{"name": "Sale"}], "transforms": EIGHT_WEEKS},
            {
                "gamma_control": "^Sale shows a promotion, which sells outside of the control$",
                "intercept_contribution": "have promotions, which the model lacks",
            },
        ),
    ],
)
def test_no_single_truth_says_why(change: dict[str, Any], wanted: dict[str, str]) -> None:
    ds = data(**change)
    truth = to_pymc_truth(ds, mmm := built_model(ds, SETTINGS, published))
    reasons = no_single_truth(truth)
    for name, reason in wanted.items():
        assert re.search(reason, reasons[name]), reasons
        assert bool(truth[name].isnull().any())
    with pytest.raises(AlignmentError, match="no single truth"):
        truth_as_posterior(ds, mmm)


def test_mixed_kinds_are_known_channel_by_channel() -> None:
    channels = [
        ChannelConfig(name="TV", roas=2.0),
        ChannelConfig(name="Search", roas=2.0, adstock_fun="no_adstock"),
        ChannelConfig(name="Radio", roas=2.0, saturation_fun="logistic_saturation"),
    ]
    ds = data(channels=channels, transforms={"adstock_kwargs": {"l_max": 8}})
    truth = to_pymc_truth(ds, built_model(ds, SETTINGS, default))
    lam = truth["saturation_lam"].squeeze("geo")
    assert lam.notnull().values.tolist() == [False, False, True]
    # No carry-over is a geometric one that keeps nothing.
    assert truth["adstock_alpha"].sel(channel="x2-Search").item() == 0.0
    assert "TV, Search" in no_single_truth(truth)["saturation_lam"]
    with pytest.raises(ConfigError, match="found saturation_kind hill_function, logistic"):
        components_of(ds)


def jittered(truth: xr.Dataset) -> xr.Dataset:
    """Truth as a posterior of 2 x 50 draws around it."""
    factor = np.random.default_rng(0).normal(1.0, 0.01, (2, 50))
    draws = xr.DataArray(factor, {"chain": [0, 1], "draw": np.arange(50)}, ("chain", "draw"))
    return (truth * draws).drop_attrs().transpose("chain", "draw", ...)


def model_of(
    ds: xr.Dataset, adstock: str = "GeometricAdstock", curve: str = "HillSaturation", **options: Any
) -> Any:
    """A model with six weights, of any kinds."""
    import pymc_marketing.mmm as library

    mmm = model_class()(
        date_column="date",
        target_column="y",
        dims=("geo",),
        channel_columns=list(ds.channel_column.values),
        adstock=getattr(library, adstock)(l_max=6, **options),
        saturation=getattr(library, curve)(),
    )
    mmm.build_model(*model_inputs(ds))
    return mmm


def errors_of(ds: xr.Dataset, mmm: Any) -> tuple[xr.Dataset, dict[str, str]]:
    """Errors of the parameters in the units of the data, and why some have none."""
    truth = to_pymc_truth(ds, mmm)
    # A model has numbers also where the data have none, and a response of its own.
    posterior = from_pymc(jittered(truth.fillna(0.5)), mmm, ds)
    assert bool(np.isfinite(estimates_of(ds, media=posterior).roas).all())
    held = from_pymc(truth, mmm, ds)
    assert no_single_truth(held) == no_single_truth(truth)
    return posterior.mean(("chain", "draw")) - held, no_single_truth(held)


@pytest.mark.parametrize(
    ("component", "curve"),
    [
        ("GeometricAdstock", "MichaelisMentenSaturation"),
        ("DelayedAdstock", "LogisticSaturation"),
        ("WeibullPDFAdstock", "HillSaturation"),
    ],
)
def test_the_error_of_a_kind_that_the_data_do_not_have_is_nan(component: str, curve: str) -> None:
    """Kinds have parameters of one name that mean different things: alpha, lam, beta."""
    channels = [
        ChannelConfig(name="TV", roas=2.0, saturation_fun="michaelis_menten"),
        ChannelConfig(
            name="Radio",
            roas=2.0,
            adstock_fun="delayed_adstock",
            adstock_kwargs={"alpha": 0.4, "theta": 1.5, "l_max": 6},
            saturation_fun="logistic_saturation",
        ),
        ChannelConfig(
            name="Print",
            roas=2.0,
            adstock_fun="weibull_adstock",
            adstock_kwargs={"lam": 2.0, "k": 1.5, "l_max": 6},
        ),
        ChannelConfig(
            name="Search",
            roas=2.0,
            adstock_fun="no_adstock",
            saturation_fun="hill_saturation_sigmoid",
        ),
        ChannelConfig(
            name="Email", roas=2.0, adstock_fun="binomial_adstock", saturation_fun="root_saturation"
        ),
        ChannelConfig(
            name="Web",
            roas=2.0,
            adstock_fun="beta_gamma_decay",
            saturation_fun="sigmoid_saturation",
        ),
    ]
    ds = data(channels=channels)
    error, reasons = errors_of(ds, model_of(ds, component, curve))
    kinds, curves = (
        {name: kind for kind, name in component_names(registry).items()}
        for registry in (ADSTOCKS, SATURATIONS)
    )
    same = {
        "adstock": ds.adstock_kind.values == kinds[component][0],
        "saturation": ds.saturation_kind.values == curves[curve][0],
    }
    if component == "GeometricAdstock":
        # No carry-over is a geometric one that keeps nothing: an error, and not a gap.
        same["adstock"] |= ds.adstock_kind.values == "no_adstock"
    for stage, known in same.items():
        names = [str(name) for name in error if str(name).startswith(stage)]
        assert names
        for name in names:
            assert error[name].notnull().squeeze("geo").values.tolist() == known.tolist(), name
            assert float(abs(error[name]).max()) < 0.01 * max(1.0, float(ds[name].max())), name
            for channel, here in zip(ds.channel.values, known, strict=True):
                assert bool(re.search(rf"\b{channel}\b", reasons[name])) is not bool(here), name


@pytest.mark.parametrize(
    ("transforms", "normalize", "reason"),
    [
        ({"adstock_kwargs": {"l_max": 6}}, False, "one is normalized"),
        ({"adstock_kwargs": {"l_max": 6, "normalize": False}}, True, "one is normalized"),
        ({"adstock_kwargs": {"l_max": 6}, "adstock_first": False}, True, "the order of carry-over"),
    ],
)
def test_another_carry_over_moves_the_curve_too(
    transforms: dict[str, Any], normalize: bool, reason: str
) -> None:
    """The curve sees other numbers in the model, though both have the same kind."""
    channels = [
        ChannelConfig(name="TV", roas=2.0),
        ChannelConfig(name="Search", roas=2.0, adstock_fun="no_adstock"),
    ]
    ds = data(channels=channels, transforms=TransformConfig(**transforms))
    error, reasons = errors_of(ds, model_of(ds, normalize=normalize))
    for name in ("adstock_alpha", "saturation_kappa", "saturation_beta"):
        assert np.isnan(error[name].sel(channel="TV")).all(), name
        assert np.isfinite(error[name].sel(channel="Search")).all(), name
        assert re.search(rf"{reason}.* in TV$", reasons[name])


def test_from_a_posterior_to_its_roas_beside_the_truth() -> None:
    import arviz as az

    ds = data(n_regions=2, regions={"similarity": 0.5})
    mmm = model_of(ds)
    truth = to_pymc_truth(ds, mmm)
    for draws in (jittered(truth), inference_data({"posterior": jittered(truth)})):
        posterior = from_pymc(draws, mmm, ds)
        estimates = estimates_of(ds, media=posterior)
        table = az.summary(estimates[["roas"]])
        table["truth"] = m.truth.roas(ds).values
        assert list(table.index) == ["roas[TV]", "roas[Radio]"]
        assert (abs(table["mean"].astype(float) / table["truth"] - 1) < 0.01).all()


def test_a_control_that_the_data_have_not_is_refused_before_it_is_all_zeros() -> None:
    ds = data()
    adstock, saturation = components_of(ds)

    def with_trend(train: xr.Dataset) -> Any:
        return model_class()(
            date_column="date",
            target_column="y",
            dims=("geo",),
            channel_columns=list(train.channel_column.values),
            control_columns=["trend"],
            adstock=adstock,
            saturation=saturation,
        )

    with pytest.raises(ConfigError, match=r"control column 'trend'.*did you mean '\(trend\)'"):
        built_model(ds, SETTINGS, with_trend)
    with pytest.raises(TypeError, match="adstok_priors"):
        components_of(ds, adstok_priors={})  # type: ignore[call-arg]


# --- files, groups, errors ---------------------------------------------------------------------


def test_the_truth_is_stored_beside_the_posterior(tmp_path: Any) -> None:
    ds = data()
    mmm = built_model(ds, SETTINGS, matched)
    truth = to_pymc_truth(ds, mmm)
    idata = inference_data({"posterior": as_posterior(truth)})
    path = write_reference(ds, idata, tmp_path / "fit.nc", mmm=mmm)
    assert [each.name for each in tmp_path.iterdir()] == ["fit.nc"]
    with xr.open_datatree(path) as tree:
        xr.testing.assert_allclose(tree["truth"].to_dataset(), truth)
        assert no_single_truth(tree["truth"].to_dataset()) == {}
    import arviz as az

    read = az.from_netcdf(str(path))
    assert worst(group(read, "truth")["saturation_beta"], truth["saturation_beta"]) == 0


def test_errors_say_what_is_needed() -> None:
    ds = data()
    adstock, saturation = components_of(ds)
    mmm = model_class()(
        date_column="date",
        target_column="y",
        dims=("geo",),
        channel_columns=list(ds.channel_column.values),
        adstock=adstock,
        saturation=saturation,
    )
    with pytest.raises(AlignmentError, match="not built, allowed: an MMM after build_model"):
        to_pymc_truth(ds, mmm)
    built = built_model(ds, SETTINGS, matched)
    with pytest.raises(AlignmentError, match="there is no group named 'posterior'"):
        from_pymc(inference_data({"prior": xr.Dataset({"a": 1.0})}), built)
    with pytest.raises(AlignmentError, match="has no 'saturation_slope'"):
        from_pymc(as_posterior(to_pymc_truth(ds, built).drop_vars("saturation_slope")), built)


def test_lift_tests_are_of_every_channel_and_near_their_truth() -> None:
    ds = data(n_regions=2)
    tests = lift_tests(ds, SETTINGS)
    assert tests[["channel", "geo"]].values.tolist() == [
        ["x1-TV", "west"],
        ["x1-TV", "north"],
        ["x2-Radio", "west"],
        ["x2-Radio", "north"],
    ]
    spend = ds.spend.mean("date").sel(channel="TV", geo="west").item()
    assert tests.x[0] == pytest.approx(spend)
    assert tests.delta_x[0] == pytest.approx(0.5 * spend)
    both = [
        m.respond(xr.full_like(ds.spend, 0.0) + factor * ds.spend.mean("date"), ds)
        for factor in (1.0, 1.5)
    ]
    lift = (both[1] - both[0]).isel(date=-1).sel(channel="TV", geo="west").item()
    assert tests.sigma[0] == pytest.approx(0.2 * lift)
    assert abs(tests.delta_y[0] - lift) < 4 * tests.sigma[0]
    built_model(ds, FitSettings(lift_tests=True), matched)


@pytest.mark.filterwarnings("ignore:Passing a dict or None as alias_mapping")
@pytest.mark.fits
def test_the_truth_can_be_drawn_into_plots_of_arviz() -> None:
    import arviz as az
    import matplotlib.pyplot as plt

    ds = data("logistic_saturation")
    truth = to_pymc_truth(ds, built_model(ds, SETTINGS, matched))
    names = ["saturation_lam", "adstock_alpha"]
    noise = xr.DataArray(
        1 + 0.01 * np.random.default_rng(0).standard_normal((2, 50)), dims=("chain", "draw")
    ).assign_coords(chain=[0, 1], draw=np.arange(50))
    idata = inference_data({"posterior": (truth[names] * noise).transpose("chain", "draw", ...)})
    if isinstance(idata, xr.DataTree):
        collection = az.plot_dist(idata, var_names=names)
        az.add_lines(collection, values=truth[names])
        panels = collection.get_viz("plot", "saturation_lam")
        axes = [panels.sel(channel="x1-TV").item()]
    else:
        values = {name: [{"ref_val": float(truth[name][0])}] for name in names}
        axes = az.plot_posterior(
            idata, var_names=names, coords={"channel": ["x1-TV"]}, ref_val=values
        )
    drawn = [
        position
        for ax in np.ravel(axes)
        for line in ax.get_lines()
        for position in np.ravel(line.get_xdata())
    ]
    assert np.isclose(drawn, float(truth["saturation_lam"].sel(channel="x1-TV"))).any()
    plt.close("all")
