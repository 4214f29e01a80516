"""Scores of a fit: perfect at the truth, worse off it, whatever part of it a model has."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mmm_xgen import (
    AlignmentError,
    ChannelConfig,
    ControlConfig,
    MMMDataConfig,
    RegionConfig,
    generate_mmm_dataset,
    truth,
)
from mmm_xgen.recovery.fit import Fit, FitSettings
from mmm_xgen.recovery.scoring import score, tidy
from mmm_xgen.recovery.scoring.holdout import prediction_scores, predictive_draws
from mmm_xgen.recovery.scoring.metrics import METRICS, names_of
from mmm_xgen.recovery.scoring.scales import FLOOR
from mmm_xgen.recovery.scoring.self_check import fit_at_truth, self_check
from mmm_xgen.streams import stream

SETTINGS = FitSettings(chains=2, draws=50)
HELD_OUT_END = "2023-06-26"
HELD_OUT = FitSettings(chains=2, draws=50, train_end=HELD_OUT_END)


def made(*, regions: RegionConfig | None = None, **config) -> xr.Dataset:
    channels = [
        ChannelConfig(name="TV", pattern="seasonal", base_spend=3000.0, roas=2.0),
        ChannelConfig(
            name="Search",
            base_spend=1500.0,
            roas=3.5,
            saturation_fun="michaelis_menten",
            saturation_kwargs={"alpha": 1.0, "lam": 2000.0},
        ),
        ChannelConfig(
            name="Radio",
            pattern="on_off",
            roas=1.0,
            saturation_fun="logistic_saturation",
            saturation_kwargs={"lam": 0.001},
        ),
    ]
    keys = {"channels": channels, "regions": regions or RegionConfig(base_sales_rate=50_000.0)}
    return generate_mmm_dataset(MMMDataConfig(**{**keys, "seed": 3, **config}))


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return made()


@pytest.fixture(scope="module")
def panel() -> xr.Dataset:
    """Geos that differ in all, controls, a placebo, spend before the window."""
    channels = [
        ChannelConfig(name="TV", base_spend=2000.0, roas=2.0),
        ChannelConfig(name="Nothing", base_effectiveness=0.0),
    ]
    regions = RegionConfig(n_regions=3, base_sales_rate=40_000.0, similarity=0.5, sales_trend=0.001)
    price = ControlConfig(name="Price", gamma_control=-100.0)
    return made(channels=channels, regions=regions, control_variables=[price], burn_in_periods=8)


def spread(fit: Fit, sd: float = 0.1, *, seed: int = 1) -> Fit:
    """The fit at the truth, with 2 chains of 50 draws, each with one factor for all."""
    rng = stream(seed, "draws")
    factor = np.exp(sd * rng.normal(size=(2, 50)))
    factor = xr.DataArray(factor, {"chain": [0, 1], "draw": range(50)}, ("chain", "draw"))
    first = {"chain": 0, "draw": 0}
    names = [n for n in fit.estimates if n != "y_sigma"]
    estimates = fit.estimates.isel(first, drop=True)
    return Fit(
        estimates=estimates.assign({n: estimates[n] * factor for n in names}),
        parameters=fit.parameters.isel(first, drop=True) * factor,
    )


@pytest.fixture(scope="module")
def at_truth(ds) -> Fit:
    return fit_at_truth(ds, SETTINGS)


@pytest.fixture(scope="module")
def scores(ds, at_truth) -> xr.Dataset:
    """Of draws around the truth."""
    return score(ds, spread(at_truth), SETTINGS)


@pytest.fixture(scope="module")
def bound(ds) -> xr.Dataset:
    return truth.information_bound(ds)


# --- at the truth


@pytest.mark.parametrize(("dataset", "settings"), [("ds", SETTINGS), ("panel", HELD_OUT)])
def test_a_fit_at_the_truth_scores_perfectly(dataset, settings, request):
    ds = request.getfixturevalue(dataset)
    assert self_check(ds, settings) == []
    scores = score(ds, fit_at_truth(ds, settings), settings)
    for name in ("roas", "mroas", "contribution_total", "response_curve", "adstock_alpha"):
        values = scores[name].sel(metric=list(names_of("accuracy")))
        assert float(abs(values).max()) < 1e-9
        assert np.isfinite(values.isel(channel=0)).all()
    assert float(scores.channel_ranking_spearman.fillna(1)) == pytest.approx(1)
    assert float(scores.regret_oracle) == 0
    assert 0 <= float(scores.regret_recommended_percent) < 0.1
    held_out = {name for name in scores if str(name).startswith("holdout_")}
    assert bool(held_out) == (settings.train_end is not None)


def _swapped(ds, *names):
    order = np.roll(np.arange(ds.sizes["channel"]), 1)
    return {
        name: ds[name].copy(data=np.take(ds[name].values, order, ds[name].dims.index("channel")))
        for name in names
    }


def _more_effective(ds):
    """Consistent in itself: all of it made from an effect that is a tenth larger."""
    names = ["effect", "saturation_beta", "saturation_alpha"]
    more = ds.channel_contribution * 0.1
    return {
        **{name: ds[name] * 1.1 for name in names},
        "channel_contribution": ds.channel_contribution + more,
        "mu": ds.mu + more.sum("channel"),
    }


@pytest.mark.parametrize(
    "corruption",
    [
        lambda ds: _swapped(ds, "channel_contribution"),
        lambda ds: _swapped(ds, "effect", "saturation_beta", "saturation_alpha"),
        lambda ds: _swapped(ds, "spend"),
        lambda ds: {"revenue_per_kpi": ds.revenue_per_kpi * 1.01},
        lambda ds: {"adstock_alpha": ds.adstock_alpha * 1.01},
        lambda ds: {"mu": ds.mu + 1.0},
        lambda ds: {"gamma_fourier": ds.gamma_fourier + 1.0},
    ],
)
def test_a_corrupted_truth_fails_the_self_check(ds, corruption):
    assert self_check(ds.assign(corruption(ds)), SETTINGS)


def test_a_shifted_roas_fails_the_self_check_by_its_score(ds):
    found = self_check(ds.assign(_more_effective(ds)), SETTINGS)
    assert any(line.startswith("bias of roas is 0.0953") for line in found)


def test_another_datasets_truth_fails_the_self_check(ds):
    assert self_check(made(seed=4).assign_attrs(config=ds.attrs["config"]), SETTINGS)


# --- off the truth


def test_returns_are_scored_on_the_log_scale(ds, at_truth):
    estimates = at_truth.estimates.assign(roas=at_truth.estimates.roas * 2)[["roas"]]
    roas = score(ds, Fit(estimates=estimates), SETTINGS).roas
    np.testing.assert_allclose(roas.sel(metric="bias"), np.log(2))
    np.testing.assert_allclose(roas.sel(metric="interval_score_94"), 2 / 0.06 * np.log(2))
    assert (roas.sel(metric="coverage_94") == 0).all()


def test_returns_that_are_not_positive_count_as_a_hundredth(ds):
    draws = truth.roas(ds) * xr.DataArray([-1.0, 1.0], dims="draw")
    scores = score(ds, Fit(estimates=draws.to_dataset(name="roas")), SETTINGS)
    np.testing.assert_allclose(scores.roas.sel(metric="bias"), np.log(FLOOR) / 2)
    assert (scores.roas_at_floor == 0.5).all()


def test_a_placebo_is_scored_in_units_only(panel):
    fit = fit_at_truth(panel, SETTINGS)
    scores = score(panel, spread(fit), SETTINGS).sel(channel="Nothing")
    assert np.isnan(scores.roas).all()
    assert (scores.contribution_total.sel(metric=["crps", "bias"]) == 0).all()


def test_scales_of_parameters_and_their_ridges(scores, bound, panel):
    assert scores.adstock_alpha.attrs["scale"] == "logit"
    assert scores.saturation_alpha.attrs["scale"] == "log"
    assert scores.gamma_fourier.attrs["scale"] == "identity"
    assert scores.saturation_alpha.dims == ("metric", "geo", "channel")
    ridge = scores.ridge_identified.sel(parameter="saturation_lam")
    assert int(ridge.sel(channel="TV")) == -1
    confounded = [c for c in ("Search", "Radio") if not bound.saturation_lam.sel(channel=c) <= 0.2]
    assert scores.saturation_lam.attrs["ridge_identified"] == ", ".join(confounded)
    assert score(panel, fit_at_truth(panel, SETTINGS), SETTINGS).trend_sales_trend.dims[1:] == (
        "geo",
    )


def test_a_pooled_parameter_of_differing_geos_has_no_single_truth(panel, ds):
    for data, is_scored in ((panel, False), (ds, True)):
        fit = fit_at_truth(data, SETTINGS)
        pooled = fit.parameters[["adstock_alpha"]].isel(geo=0, drop=True)
        scores = score(data, Fit(estimates=xr.Dataset(), parameters=pooled), SETTINGS)
        assert ("adstock_alpha" in scores) == is_scored
        assert ("adstock_alpha" in scores.attrs["not_scored"]) != is_scored


def test_the_response_curve_counts_within_observed_spend(ds):
    fit = fit_at_truth(ds, SETTINGS)
    curve = fit.estimates.response_curve
    # Radio rests at times; the others never come near nothing.
    wrong = curve.where(curve.multiplier > 0.05, 1e9)
    values = score(ds, Fit(estimates=wrong.to_dataset()), SETTINGS).response_curve
    crps = values.sel(metric="crps")
    assert float(crps.sel(channel="Radio")) > 1
    assert float(abs(crps.sel(channel=["TV", "Search"])).max()) < 1e-9


def test_efficiency_is_the_information_bound_over_the_posterior_sd(ds, scores, bound):
    assert scores.efficiency.attrs["prior"] == "none"
    assert "ratio of sds" in scores.efficiency.attrs["long_name"]
    # Two of the three would be told to within a factor of a million, that is, not at all.
    roas = bound.roas.where(bound.roas <= 1)
    assert roas.notnull().values.tolist() == [False, False, True]
    np.testing.assert_allclose(scores.efficiency * scores.roas.sel(metric="sd"), roas, rtol=1e-9)
    # Fewer dates tell less.
    all_dates, fewer = (
        score(ds, spread(fit_at_truth(ds, s)), s, prior=spread(fit_at_truth(ds, s), 0.4, seed=2))
        for s in (SETTINGS, HELD_OUT)
    )
    assert (fewer.efficiency > all_dates.efficiency).all()


def test_a_bound_that_means_nothing_gives_no_efficiency():
    ds = made(n_periods=30)
    fit = spread(fit_at_truth(ds, SETTINGS))
    weak = ~(truth.information_bound(ds).roas <= 1)
    assert weak.any()
    np.testing.assert_array_equal(score(ds, fit, SETTINGS).efficiency.isnull(), weak)
    # A prior on some parameters only leaves the others as they were.
    some = Fit(estimates=fit.estimates, parameters=fit.parameters[["intercept_contribution"]])
    partly = score(ds, fit, SETTINGS, prior=some).efficiency
    assert partly.attrs["prior"] == "the model's own: intercept_contribution"
    assert partly.isnull().any()
    # With one on every media parameter the bound is that of posteriors.
    assert score(ds, fit, SETTINGS, prior=fit).efficiency.notnull().all()


def test_contraction_against_the_prior(ds, at_truth):
    fit, prior = (spread(at_truth, sd, seed=2) for sd in (0.1, 0.4))
    scores = score(ds, fit, SETTINGS, prior=prior)
    np.testing.assert_allclose(scores.contraction, 1 - 1 / 16)
    inside = scores.contraction_saturation_beta.sel(channel="TV")
    np.testing.assert_allclose(inside, 1 - 1 / 16)
    assert scores.efficiency.attrs["prior"].startswith("the model's own: ")
    assert "saturation_kappa" in scores.efficiency.attrs["prior"]


def test_a_prior_without_parameters_of_the_data_is_none(ds, at_truth):
    prior = Fit(estimates=spread(at_truth, 0.4).estimates)
    scores = score(ds, spread(at_truth), SETTINGS, prior=prior)
    assert scores.efficiency.attrs["prior"] == "none"
    assert scores.contraction.notnull().all()


# --- channels that start later, and draws that are no numbers


@pytest.fixture(scope="module")
def late() -> xr.Dataset:
    """Radio starts in the holdout."""
    channels = [
        ChannelConfig(name="TV", base_spend=3000.0, roas=2.0),
        ChannelConfig(name="Search", base_spend=1500.0, roas=3.5),
        ChannelConfig(name="Radio", pattern="delayed_start", start_period=80, roas=1.0),
    ]
    return made(channels=channels)


def test_a_channel_that_starts_in_the_holdout_leaves_the_regret_of_the_others(late):
    fit = fit_at_truth(late, HELD_OUT)
    seen = late.spend.sel(date=slice(None, HELD_OUT_END)).sum(("date", "geo"))
    assert (seen > 0).values.tolist() == [True, True, False]
    estimates = fit.estimates.where(late.channel != "Radio")
    names = ["roas", "mroas", "response_curve"]
    scores = score(late, Fit(estimates=estimates[names]), HELD_OUT)
    assert scores.recommended_multiplier.sel(channel="Radio") == 1
    assert (scores.recommended_multiplier.sel(channel=["TV", "Search"]) != 1).all()
    at_truth = score(late, Fit(estimates=fit.estimates[names]), HELD_OUT)
    xr.testing.assert_allclose(scores.regret_recommended, at_truth.regret_recommended)
    assert "returns and budget of Radio: no spend in the training" in scores.attrs["not_scored"]
    assert "finite" not in scores.attrs["not_scored"]
    assert self_check(late, HELD_OUT) == []


def test_draws_that_are_not_finite_are_named(ds):
    estimates = fit_at_truth(ds, SETTINGS).estimates[["roas", "response_curve", "mu"]]
    wrong = estimates.where(estimates.channel != "TV", np.inf)
    wrong["mu"] = estimates.mu * np.nan
    scores = score(ds, Fit(estimates=wrong), SETTINGS)
    assert "regret_recommended" not in scores
    found = scores.attrs["not_scored"]
    for name in ("roas of TV", "response_curve of TV", "mu"):
        assert f"{name}: some draws are not finite" in found
    assert "regret: it needs the response curves of all channels with spend" in found
    assert "Search" not in found


# --- parts of a fit, and their labels


@pytest.mark.parametrize(
    ("kept", "wanted"),
    [
        (["roas"], {"roas", "channel_ranking_kendall", "efficiency"}),
        (["mroas"], {"mroas"}),
        (["response_curve"], {"response_curve", "regret_recommended", "regret_today"}),
        (["channel_contribution"], {"channel_contribution", "contribution_total"}),
        (["mu"], {"training_r2", "training_mape", "training_srmse", "training_durbin_watson"}),
        (["mu", "y_sigma"], {"training_crps", "training_coverage_94"}),
        ([], {"ridge_identified"}),
    ],
)
def test_what_a_model_has_is_scored(ds, at_truth, kept, wanted):
    fit = Fit(estimates=at_truth.estimates[kept])
    scores = score(ds, fit, SETTINGS)
    assert wanted <= set(scores)
    absent = {"roas", "mroas", "response_curve", "channel_contribution", "adstock_alpha"}
    assert not (absent - wanted) & set(scores)


def test_labels_decide_not_their_order(panel):
    fit = spread(fit_at_truth(panel, SETTINGS))
    shuffled = Fit(
        estimates=fit.estimates.isel(
            channel=slice(None, None, -1), geo=[2, 0, 1], date=slice(None, None, -1)
        ).transpose(),
        parameters=fit.parameters.isel(channel=[1, 0], geo=[1, 2, 0]).transpose(),
    )
    one, other = (score(panel, each, SETTINGS) for each in (fit, shuffled))
    for name in one:
        if not str(name).startswith(("training_crps", "training_coverage")):
            xr.testing.assert_allclose(one[name].fillna(-1), other[name].fillna(-1), rtol=1e-9)


def test_a_fit_without_a_channel_is_refused(ds):
    estimates = fit_at_truth(ds, SETTINGS).estimates
    with pytest.raises(AlignmentError, match="'roas' lack the channel 'Radio'"):
        score(ds, Fit(estimates=estimates[["roas"]].isel(channel=[0, 1])), SETTINGS)
    unlabelled = estimates[["roas"]].drop_vars("channel")
    with pytest.raises(AlignmentError, match="no labels along 'channel'"):
        score(ds, Fit(estimates=unlabelled), SETTINGS)


def test_what_a_model_lacks_of_the_baseline_is_not_scored():
    """A season of fewer modes, or a control less, is no reason to score nothing."""
    controls = [ControlConfig(name=name, gamma_control=-100.0) for name in ("Price", "Rates")]
    regions = RegionConfig(base_sales_rate=50_000.0, seasonal_amplitude=0.1, fourier_modes=3)
    ds = made(regions=regions, control_variables=controls)
    whole = spread(fit_at_truth(ds, SETTINGS))
    less = {"control": ["Rates"], "fourier_mode": ["sin_1", "sin_2", "cos_1", "cos_2"]}
    fit, prior = (
        Fit(estimates=each.estimates, parameters=each.parameters.sel(less))
        for each in (whole, spread(fit_at_truth(ds, SETTINGS), 0.3, seed=2))
    )
    scores = score(ds, fit, SETTINGS, prior=prior)
    expected = score(ds, whole, SETTINGS)
    for name, (dim, labels) in zip(("gamma_control", "gamma_fourier"), less.items(), strict=True):
        there = scores[dim].isin(labels)
        xr.testing.assert_allclose(scores[name], expected[name].where(there))
        assert (scores[f"contraction_{name}"].notnull() == there).all()
    assert "gamma_fourier: the model has no sin_3, cos_3" in scores.attrs["not_scored"]
    assert "gamma_control: the model has no Price" in scores.attrs["not_scored"]
    assert "the model has no" not in expected.attrs["not_scored"]


def test_models_that_cannot_rank_have_no_correlation(ds):
    same = truth.roas(ds) * 0 + 1.0
    scores = score(ds, Fit(estimates=same.to_dataset(name="roas")), SETTINGS)
    assert float(scores.channel_ranking_kendall) == 0
    swapped = score(ds, Fit(estimates=(1 / truth.roas(ds)).to_dataset(name="roas")), SETTINGS)
    assert float(swapped.channel_ranking_spearman) == pytest.approx(-1)


def test_scores_can_be_written_and_tabulated(scores, tmp_path):
    scores.to_netcdf(tmp_path / "scores.nc")
    with xr.open_dataset(tmp_path / "scores.nc") as again:
        xr.testing.assert_allclose(again.load(), scores)
    table = tidy(scores)
    assert len(table) == sum(each.size for each in scores.values())
    row = table[(table.quantity == "roas") & (table.metric == "crps") & (table.channel == "TV")]
    assert row.value.item() == float(scores.roas.sel(metric="crps", channel="TV"))
    assert set(table[table.quantity == "gamma_fourier"].label) == {"sin_1", "cos_1"}
    assert set(table[table.quantity == "roas"].metric) == set(METRICS)
    assert table[table.quantity == "regret_today"].metric.item() == "value"


# --- predictions


def test_predictions_by_hand(panel):
    fit = fit_at_truth(panel, HELD_OUT)
    scores = score(panel, Fit(estimates=fit.estimates[["mu"]]), HELD_OUT)
    after = panel.sel(date=slice("2023-07-01", None))
    y, error = after.y, after.noise
    r2 = 1 - (error**2).sum("date") / ((y - y.mean("date")) ** 2).sum("date")
    assert float(scores.holdout_r2) == pytest.approx(float(r2.mean()))
    assert float(scores.holdout_srmse) == pytest.approx(float(np.sqrt(1 - r2).mean()))
    assert float(scores.holdout_mape) == pytest.approx(100 * float((abs(error) / y).mean()))
    durbin_watson = (error.diff("date") ** 2).sum("date") / (error**2).sum("date")
    assert float(scores.holdout_durbin_watson) == pytest.approx(float(durbin_watson.mean()))
    assert float(scores.holdout_r2) != pytest.approx(float(scores.training_r2))


def handmade(y: list[list[float]], error: list[list[float]]) -> dict[str, xr.DataArray]:
    """Scores of a prediction that is off by `error`, both by geo and date."""
    actual = np.array(y).T
    dims = ("date", "geo")
    coords = {"date": pd.date_range("2024-01-01", periods=len(actual)), "geo": ["a", "b"]}
    mu = xr.DataArray(actual - np.array(error).T, coords, dims).expand_dims(chain=1, draw=3)
    ds = xr.Dataset({"y": (dims, actual)}, coords)
    return prediction_scores(ds, xr.Dataset({"mu": mu, "y_sigma": 1.0}), SETTINGS)


def test_the_percentage_error_is_the_mean_of_the_geos_not_of_their_cells():
    y = [[100.0] * 7 + [50.0], [0.0] * 7 + [2.0]]
    error = [[1.0] * 8, [5.0] * 7 + [1.0]]
    scores = handmade(y, error)
    # 7 days off by 1% and one by 2%; the other geo sells on one day only, and is off by half.
    assert float(scores["training_mape"]) == pytest.approx((9 / 8 + 50) / 2)
    assert "geos_left_out" not in scores["training_mape"].attrs


@pytest.mark.parametrize("level", [100.0, 0.1, 0.0])
def test_a_geo_without_a_figure_does_not_take_it_from_the_others(level):
    y = [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [level] * 7]
    scores = handmade(y, [[0.5, -0.5, 0.5, -0.5, 0.5, -0.5, 0.5], [0.01] * 7])
    left = 7 * 0.25 / 28
    assert float(scores["training_r2"]) == pytest.approx(1 - left)
    assert float(scores["training_srmse"]) == pytest.approx(np.sqrt(left))
    assert scores["training_r2"].attrs["geos_left_out"] == "b"
    assert ("geos_left_out" in scores["training_mape"].attrs) is (level == 0)
    assert all(np.isfinite(float(each)) for each in scores.values())
    perfect = handmade(y, [[0.5, -0.5, 0.5, -0.5, 0.5, -0.5, 0.5], [0.0] * 7])
    assert float(perfect["training_durbin_watson"]) == pytest.approx(6 / (7 * 0.25))
    assert perfect["training_durbin_watson"].attrs["geos_left_out"] == "b"


def test_figures_that_no_geo_has_are_missing():
    scores = handmade([[3.0] * 4, [0.0] * 4], [[0.0] * 4, [0.0] * 4])
    for name in ("r2", "srmse", "durbin_watson"):
        assert np.isnan(float(scores[f"training_{name}"])), name
    assert float(scores["training_mape"]) == 0


def test_a_prediction_that_is_not_a_number_is_not_left_out():
    y = [[1.0, 2.0, 3.0, 5.0], [2.0, 3.0, 4.0, 1.0]]
    scores = handmade(y, [[0.1, np.nan, 0.1, 0.2], [0.1, 0.2, 0.1, 0.1]])
    assert all(np.isnan(float(each)) for each in scores.values())


def test_predictive_draws_have_the_noise_of_the_model(ds):
    fit = fit_at_truth(ds, SETTINGS)
    many = fit.estimates[["mu", "y_sigma"]].isel(draw=[0] * 400)
    draws = predictive_draws(many, seed=1)
    noise = (draws - many.mu).std(("chain", "draw")).mean("date")
    np.testing.assert_allclose(noise, ds.y_sigma, rtol=0.05)
    xr.testing.assert_identical(draws, predictive_draws(many, seed=1))
    scores = score(ds, Fit(estimates=many), SETTINGS)
    assert float(scores.training_coverage_94) == pytest.approx(0.94, abs=0.06)
    # A model that is too sure of itself or of nothing predicts worse.
    for factor in (0.2, 5.0):
        other = score(ds, Fit(estimates=many.assign(y_sigma=many.y_sigma * factor)), SETTINGS)
        assert float(other.training_crps) > float(scores.training_crps)
