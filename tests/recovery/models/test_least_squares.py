"""Least squares against closed forms, brute force and the truth."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.stattools import durbin_watson

import mmm_xgen
from benchmarks import recovery_models
from mmm_xgen.errors import ConfigError, SchemaError
from mmm_xgen.recovery.fit import MODELS, FitSettings
from mmm_xgen.recovery.models.least_squares import coefficient_draws
from mmm_xgen.recovery.models.linear_fit import fit_least_squares
from mmm_xgen.recovery.models.regression import independent, regress
from mmm_xgen.recovery.models.transform_search import TransformGrid
from mmm_xgen.recovery.scoring import score

NAMES = ("ols", "ols-oracle", "spend-share")
SMALL_GRID = TransformGrid(alphas=(0.0, 0.3, 0.6), half_points=(0.5, 1.0, 2.0))


def generated(preset: str = "small_business", seed: int = 1, **overrides) -> xr.Dataset:
    config = mmm_xgen.customize_preset(preset, **overrides)
    return mmm_xgen.generate_mmm_dataset(config, seed=seed)


@pytest.fixture(scope="module")
def small() -> xr.Dataset:
    return generated()


@pytest.fixture(scope="module")
def demo() -> xr.Dataset:
    return generated("demo")


@pytest.fixture(scope="module")
def many() -> xr.Dataset:
    """20 datasets that differ in spend, controls and noise."""
    return recovery_models.stack(20)


def rows_of(fit, ds) -> tuple[np.ndarray, np.ndarray]:
    """Columns and target per geo size on the training dates, geo after geo."""
    seen = slice(fit.n_train)
    columns = (fit.design / fit.size).isel(date=seen).transpose("geo", "date", "term").values
    y = (ds.y / ds.geo_scale).isel(date=seen).transpose("geo", "date").values
    return columns.reshape(-1, columns.shape[-1]), y.ravel()


# --- regression


@pytest.mark.parametrize("preset", ["small_business", "demo"])
@pytest.mark.parametrize("transforms", ["searched", "true", "total-spend"])
def test_coefficients_and_inference_are_those_of_statsmodels(preset, transforms):
    ds = generated(preset)
    fit = fit_least_squares(ds, transforms=transforms, train_end=str(ds.date.values[-9])[:10])
    x, y = rows_of(fit, ds)
    wanted = OLS(y, x).fit()
    table, size = fit.coefficients, abs(wanted.params).max()
    np.testing.assert_allclose(table.estimate, wanted.params, rtol=1e-9, atol=1e-9 * size)
    np.testing.assert_allclose(table.standard_error, wanted.bse, rtol=1e-7)
    np.testing.assert_allclose(table.t_value, wanted.tvalues, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(table.p_value, wanted.pvalues, rtol=1e-5, atol=1e-12)
    ends = np.stack([table.lower, table.upper], axis=-1)
    np.testing.assert_allclose(ends, wanted.conf_int(0.06), rtol=1e-6, atol=1e-6 * size)
    root, covariance = fit.root.values, wanted.cov_params()
    np.testing.assert_allclose(
        float(fit.statistics.residual_sd) ** 2 * root @ root.T,
        covariance,
        atol=1e-7 * abs(covariance).max(),
    )


def test_statistics_of_the_whole_fit_are_those_of_statsmodels(small):
    fit = fit_least_squares(small)
    x, y = rows_of(fit, small)
    wanted = OLS(y, x).fit()
    expected = {
        "r_squared": wanted.rsquared,
        "adjusted_r_squared": wanted.rsquared_adj,
        "log_likelihood": wanted.llf,
        "aic": wanted.aic,
        "bic": wanted.bic,
        "residual_sd": np.sqrt(wanted.mse_resid),
        "residual_freedom": wanted.df_resid,
        "n_rows": wanted.nobs,
        "durbin_watson": durbin_watson(wanted.resid),
    }
    assert {name: float(each) for name, each in fit.statistics.items()} == pytest.approx(
        expected, rel=1e-9
    )


def test_durbin_watson_does_not_step_from_geo_to_geo(demo):
    fit = fit_least_squares(demo, transforms="true")
    residual = ((demo.y - fit.fitted()) / fit.size).transpose("geo", "date").values
    steps = sum(np.square(np.diff(own)).sum() for own in residual)
    assert float(fit.statistics.durbin_watson) == pytest.approx(steps / np.square(residual).sum())


def test_dependent_columns_are_dropped_in_order():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 40))
    x = np.stack([a, 2 * a, b, np.zeros(40), a - b, a + b], axis=-1)
    unit = x / np.maximum(np.linalg.norm(x, axis=0), 1e-300)
    assert independent(unit).tolist() == [True, False, True, False, False, False]
    y = rng.normal(size=40)
    fitted = regress(x, y, names=list("abcdef"))
    kept = np.linalg.lstsq(x[:, [0, 2]], y)[0]
    np.testing.assert_allclose(fitted.coefficients, [kept[0], 0, kept[1], 0, 0, 0])
    plain = regress(x[:, [0, 2]], y, names=["a", "b"])
    np.testing.assert_allclose(fitted.standard_errors[[0, 2]], plain.standard_errors)
    assert np.isnan(fitted.standard_errors[[1, 3, 4, 5]]).all()
    np.testing.assert_allclose(fitted.covariance[np.ix_([0, 2], [0, 2])], plain.covariance)
    assert not fitted.root[[1, 3, 4, 5]].any()


# --- search


def sum_of_squares(ds: xr.Dataset, choice: tuple[tuple[float, float], ...]) -> float:
    """Residual sum of squares with one (alpha, half point) a channel, written out anew."""
    spend = ds.spend.isel(geo=0).values
    columns = []
    for channel, (alpha, multiple) in enumerate(choice):
        carried = np.zeros(len(spend))
        weights = alpha ** np.arange(8.0)
        for lag, weight in enumerate(weights / weights.sum()):
            carried[lag:] += weight * spend[: len(spend) - lag, channel]
        half = multiple * spend[spend[:, channel] > 0, channel].mean()
        columns.append(carried / (carried + half))
    day = ds.date.dt.dayofyear.values
    turns = 2 * np.pi * day / 365.25
    waves = [wave(k * turns) for wave in (np.sin, np.cos) for k in (1, 2)]
    others = [np.ones(len(spend)), np.arange(len(spend)), *waves, *ds.control_value.values[:, 0].T]
    x = np.stack([*others, *columns], axis=-1)
    return float(np.linalg.lstsq(x, ds.y.values[:, 0])[1][0])


def test_search_finds_what_brute_force_finds():
    ds = generated("small_business", **{"regions.sales_volatility": 0.01})
    ds = ds.isel(channel=[0, 2, 3])
    ds = ds.assign(y=ds.mu.isel(geo=[0]) + 0.2 * ds.noise)
    fit = fit_least_squares(ds, grid=SMALL_GRID)
    pairs = list(product(SMALL_GRID.alphas, SMALL_GRID.half_points))
    best = min(product(pairs, repeat=3), key=lambda choice: sum_of_squares(ds, choice))
    spend = ds.spend.isel(geo=0)
    multiple = fit.transforms.half_point / spend.where(spend > 0).mean("date")
    assert list(
        zip(fit.transforms.adstock_alpha.values, multiple.values.round(9), strict=True)
    ) == [*best]
    squares = float(fit.statistics.residual_sd) ** 2 * float(fit.statistics.residual_freedom)
    assert squares == pytest.approx(sum_of_squares(ds, best), rel=1e-9)


def test_a_transform_on_the_grid_is_found_without_noise():
    ds = generated("demo")
    level = ds.spend.where(ds.spend > 0) / ds.geo_scale
    half = 1.5 * level.mean(("date", "geo"))
    carried = fit_least_squares(ds).response * 0
    weights = xr.DataArray(0.4 ** np.arange(8.0), dims="lag")
    weights = weights / weights.sum()
    shifted = [ds.spend.shift(date=lag, fill_value=0) * weights[lag] for lag in range(8)]
    carried = sum(shifted[1:], start=shifted[0]) / ds.geo_scale
    response = carried / (carried + half)
    y = (1000 * response.sum("channel") + 5000) * ds.geo_scale
    fit = fit_least_squares(ds.assign(y=y))
    np.testing.assert_allclose(fit.transforms.adstock_alpha, 0.4)
    np.testing.assert_allclose(fit.transforms.half_point, half)
    np.testing.assert_allclose(fit.of_channels(fit.coefficients.estimate), 1000, rtol=1e-6)
    np.testing.assert_allclose(fit.fitted().transpose(*y.dims), y, rtol=1e-9)


def test_no_channel_alone_can_be_improved(small):
    fit = fit_least_squares(small, grid=SMALL_GRID)
    spend = small.spend.isel(geo=0)
    multiple = (fit.transforms.half_point / spend.where(spend > 0).mean("date")).values.round(9)
    chosen = list(zip(fit.transforms.adstock_alpha.values, multiple, strict=True))
    assert (fit.of_channels(fit.coefficients.estimate) > 0).all()
    here = sum_of_squares(small, tuple(chosen))
    for channel in range(4):
        for pair in product(SMALL_GRID.alphas, SMALL_GRID.half_points):
            other = [*chosen[:channel], pair, *chosen[channel + 1 :]]
            # A candidate with a negative effect may explain more, and none here does.
            assert sum_of_squares(small, tuple(other)) >= here * (1 - 1e-9)


def test_spend_before_the_window_is_carried_in():
    ds = generated("demo", burn_in_periods=8)
    shorter = ds.drop_vars("spend_history")
    first = [fit_least_squares(d, grid=SMALL_GRID).response[0].values for d in (ds, shorter)]
    assert (first[0] > first[1] + 1e-9).any()


# --- many datasets at once


@pytest.mark.parametrize("transforms", ["searched", "total-spend"])
def test_many_datasets_at_once_are_each_of_them(many, transforms):
    fits = fit_least_squares(many, transforms=transforms)
    for dataset in (0, 7, 19):
        one = fit_least_squares(many.isel(dataset=dataset), transforms=transforms)
        same = fits.at(dataset)
        xr.testing.assert_equal(one.transforms, same.transforms)
        xr.testing.assert_allclose(one.coefficients, same.coefficients, rtol=1e-10, atol=1e-12)
        xr.testing.assert_allclose(one.statistics, same.statistics, rtol=1e-10)
        xr.testing.assert_allclose(one.roas(), same.roas(), rtol=1e-10)


def test_blocks_do_not_change_the_result(many, monkeypatch):
    whole = fit_least_squares(many)
    monkeypatch.setattr("mmm_xgen.recovery.models.transform_search.BLOCK_BYTES", 1)
    xr.testing.assert_equal(fit_least_squares(many).transforms, whole.transforms)


def test_datasets_may_share_what_they_have_in_common(many):
    shared = many.isel(dataset=0)[["spend", "control_value", "geo_scale"]].assign(y=many.y)
    repeated = shared.assign(spend=shared.spend.expand_dims(dataset=many.sizes["dataset"]))
    xr.testing.assert_allclose(
        fit_least_squares(shared).coefficients, fit_least_squares(repeated).coefficients
    )


def test_one_of_many_is_looked_up_by_label(many):
    fits = fit_least_squares(many.isel(dataset=[0, 1]).assign_coords(dataset=["a", "b"]))
    assert "dataset" not in fits.at("b").roas().dims
    with pytest.raises(ConfigError, match="found 'c', allowed: 'a', 'b'"):
        fits.at("c")
    with pytest.raises(ConfigError, match=r"fit\.at\(label\)"):
        fits.summary()


# --- the truth


def noisy(ds: xr.Dataset, n: int, seed: int = 3) -> xr.Dataset:
    """The same dataset with `n` draws of normal noise."""
    z = np.random.default_rng(seed).standard_normal((n, ds.sizes["date"], ds.sizes["geo"]))
    noise = xr.DataArray(z, dims=("dataset", "date", "geo")) * ds.y_sigma
    return ds.assign(y=ds.mu + noise)


def test_intervals_with_true_transforms_cover_as_often_as_they_say(small):
    roas = fit_least_squares(noisy(small, 200), transforms="true", level=0.94).roas()
    truth = mmm_xgen.truth.roas(small)
    covered = ((roas.lower < truth) & (truth < roas.upper)).mean("dataset")
    # Four binomial standard errors of 200 draws.
    assert abs(covered - 0.94).max() < 4 * np.sqrt(0.94 * 0.06 / 200)
    bias = (roas.estimate.mean("dataset") - truth) / (roas.estimate.std("dataset") / np.sqrt(200))
    assert abs(bias).max() < 4


def test_intervals_with_wrong_transforms_do_not(small):
    """The negative control of coverage: the truth saturates, the model does not."""
    roas = fit_least_squares(noisy(small, 200), transforms="total-spend").roas()
    truth = mmm_xgen.truth.roas(small)
    assert float(((roas.lower < truth) & (truth < roas.upper)).mean()) < 0.5


def test_permuted_sales_are_not_significant(small):
    rng = np.random.default_rng(4)
    y = np.stack([rng.permutation(small.y.values) for _ in range(200)])
    permuted = small.assign(y=(("dataset", "date", "geo"), y))
    fit = fit_least_squares(permuted, transforms="true")
    p = fit.of_channels(fit.coefficients.p_value)
    # 800 p-values, of which those of one dataset hang together.
    assert abs(float((p < 0.05).mean()) - 0.05) < 0.03
    assert stats.kstest(p.isel(channel=0), "uniform").pvalue > 1e-3
    # With real sales the same channels are.
    assert (fit_least_squares(small, transforms="true").coefficients.p_value[-4:] < 0.05).sum() >= 3


def test_without_noise_the_oracle_is_exact():
    ds = generated("small_business", **{"regions.sales_volatility": 0.0})
    fit = fit_least_squares(ds, transforms="true")
    np.testing.assert_allclose(fit.roas().estimate, mmm_xgen.truth.roas(ds), rtol=1e-6)
    contributions = fit.contributions().transpose(*ds.channel_contribution.dims)
    np.testing.assert_allclose(contributions, ds.channel_contribution, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("geo_response", ["per_capita", "common"])
def test_pooling_over_geos_follows_how_they_respond(geo_response):
    regions = {
        "region_names": ["one", "three"],
        "population": [1e6, 3e6],
        "geo_response": geo_response,
        "base_sales_rate": 5000.0,
        "seasonal_amplitude": 0.1,
        "sales_trend": 0.001,
        "sales_volatility": 0.0,
    }
    ds = generated(regions=regions)
    fit = fit_least_squares(ds, transforms="true")
    np.testing.assert_allclose(fit.roas().estimate, mmm_xgen.truth.roas(ds), rtol=1e-6)
    other = "common" if geo_response == "per_capita" else "per_capita"
    wrong = fit_least_squares(ds, transforms="true", geo_response=other)
    assert abs(wrong.roas().estimate / mmm_xgen.truth.roas(ds) - 1).max() > 0.1
    drawn = MODELS["ols-oracle"](ds, FitSettings(scored_draws=5))
    for estimate in (drawn.estimates.channel_contribution, drawn.parameters.effect):
        truth = ds[estimate.name]
        for draw in range(5):
            one = estimate.isel(chain=0, draw=draw).transpose(*truth.dims)
            np.testing.assert_allclose(one, truth, rtol=1e-6, atol=1e-6)


# --- models


@pytest.mark.parametrize("name", NAMES)
def test_draws_agree_with_the_closed_form(name, small):
    ds = small
    settings = FitSettings(train_end=str(ds.date.values[-11])[:10], scored_draws=2000)
    fit = MODELS[name](ds, settings)
    transforms = dict(zip(NAMES, ("searched", "true", "total-spend"), strict=True))[name]
    closed = fit_least_squares(ds, transforms=transforms, train_end=settings.train_end)
    roas = fit.estimates.roas.isel(chain=0)
    half = (closed.roas().upper - closed.roas().lower) / 2
    assert (abs(roas.median("draw") - closed.roas().estimate) < 0.1 * half).all()
    reach = (roas.quantile(0.97, "draw") - roas.quantile(0.03, "draw")) / 2
    np.testing.assert_allclose(reach, half, rtol=0.1)
    parts = fit.estimates.channel_contribution.mean(("chain", "draw"))
    scale = abs(closed.contributions()).max()
    assert float(abs(parts - closed.contributions()).max() / scale) < 0.05
    mu = fit.estimates.mu.mean(("chain", "draw"))
    assert float(abs(mu / closed.fitted() - 1).max()) < 0.05
    assert dict(fit.estimates.mu.sizes)["date"] == ds.sizes["date"]
    assert {"build", "sample", "total"} <= set(fit.timings)


def test_every_channel_of_the_spend_share_has_one_return(small):
    roas = MODELS["spend-share"](small, FitSettings(scored_draws=50)).estimates.roas
    assert float(roas.std("channel").max()) < 1e-12
    assert float(roas.std("draw").min()) > 0
    x, y = rows_of(fit_least_squares(small, transforms="total-spend"), small)
    revenue = float(small.revenue_per_kpi[0, 0])
    alone = np.linalg.lstsq(x, y)[0][-1] * revenue
    closed = fit_least_squares(small, transforms="total-spend").roas().estimate
    np.testing.assert_allclose(closed, alone)


def test_draws_are_multivariate_t(small):
    fit = fit_least_squares(small, transforms="true")
    draws = coefficient_draws(fit, 20_000, seed=1, model="ols-oracle")
    freedom = float(fit.statistics.residual_freedom)
    standard = (draws.coefficient - fit.coefficients.estimate) / fit.coefficients.standard_error
    for term in standard.term.values[::3]:
        assert stats.kstest(standard.sel(term=term).squeeze(), stats.t(freedom).cdf).pvalue > 1e-3
    root = fit.root.values
    covariance = float(fit.statistics.residual_sd) ** 2 * root @ root.T * freedom / (freedom - 2)
    found = np.cov(draws.coefficient.values[0].T)
    size = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    assert abs((found - covariance) / size).max() < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_draws_and_no_future(name, small):
    settings = FitSettings(train_end="2023-09-25", scored_draws=20)
    first = MODELS[name](small, settings)
    y = small.y.where(small.date <= np.datetime64(settings.train_end))
    again = MODELS[name](small.assign(y=y), settings)
    xr.testing.assert_identical(first.estimates, again.estimates)
    other = MODELS[name](small, FitSettings(train_end="2023-09-25", scored_draws=20, seed=2))
    assert not np.allclose(first.estimates.roas, other.estimates.roas)


@pytest.mark.parametrize("transforms", ["searched", "total-spend"])
def test_the_model_sees_nothing_of_the_truth(demo, transforms):
    seen = demo[["y", "spend", "control_value", "geo_scale", "revenue_per_kpi"]]
    seen = seen.drop_vars([c for c in seen.coords if c not in seen.dims])
    seen.attrs = {}
    blind, full = (fit_least_squares(d, transforms=transforms) for d in (seen, demo))
    xr.testing.assert_identical(blind.coefficients, full.coefficients)


def test_parameters_have_the_dataset_s_names_units_and_places():
    ds = generated("demo", **{"regions.sales_volatility": 0.0})
    fit = MODELS["ols-oracle"](ds, FitSettings(scored_draws=20))
    for name, drawn in fit.parameters.items():
        assert set(drawn.dims) == {"chain", "draw", *ds[name].dims}, name
    searched = MODELS["ols"](ds, FitSettings(scored_draws=20)).parameters
    assert {"adstock_alpha", "saturation_kappa", "saturation_beta"} <= set(searched)
    ds = generated("small_business", **{"regions.sales_volatility": 0.0})
    exact = MODELS["ols-oracle"](ds, FitSettings(scored_draws=20)).parameters.mean(
        ("chain", "draw")
    )
    for name in ("intercept_contribution", "gamma_control", "gamma_fourier", "effect"):
        np.testing.assert_allclose(
            exact[name].transpose(*ds[name].dims), ds[name], rtol=1e-6, err_msg=name
        )


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("adstock_first", {"adstock_first": False}),
        ("normalize", {"adstock_kwargs": {"normalize": False}}),
    ],
)
def test_a_curve_that_sees_other_numbers_is_not_compared(name, options):
    config = mmm_xgen.MMMDataConfig(
        n_periods=60,
        channels=[mmm_xgen.ChannelConfig(name="TV", roas=2.0)],
        transforms=mmm_xgen.TransformConfig(**options),
    )
    ds = mmm_xgen.generate_mmm_dataset(config)
    fit = MODELS["ols"](ds, FitSettings(scored_draws=20))
    assert name in fit.no_single_truth
    assert bool(fit.parameters.saturation_kappa.isnull().all())
    assert bool(score(ds, fit, FitSettings(scored_draws=20)).saturation_kappa.isnull().all())


def test_kinds_that_the_model_lacks_have_no_single_truth():
    ds = generated("digital_heavy")
    fit = MODELS["ols"](ds, FitSettings(scored_draws=20))
    assert "Search-Brand" in fit.no_single_truth["adstock_kind"]
    alpha = fit.parameters.adstock_alpha.isel(chain=0, draw=0, geo=0)
    assert (alpha.isnull() == (ds.adstock_kind != "geometric_adstock")).all()


# --- what data may be like


def test_a_channel_without_spend_gets_nothing(small):
    idle = small.assign(spend=small.spend.where(small.channel != "Email", 0.0))
    fit = fit_least_squares(idle)
    own = fit.of_channels(fit.coefficients.estimate)
    assert float(own.sel(channel="Email")) == 0
    assert np.isnan(float(fit.roas().estimate.sel(channel="Email")))
    assert "media: Email" in fit.summary().splitlines()[-1]
    rest = fit_least_squares(idle.sel(channel=["Search-Ads", "Social-Media", "Local-Ads"]))
    np.testing.assert_allclose(own[:3], rest.of_channels(rest.coefficients.estimate))
    assert float(fit.statistics.aic) == pytest.approx(float(rest.statistics.aic))
    estimates = MODELS["ols"](idle, FitSettings(scored_draws=20)).estimates
    assert not estimates.channel_contribution.sel(channel="Email").any()


def test_controls_that_say_nothing_new_get_nothing(small):
    period = np.arange(small.sizes["date"], dtype=float)
    value = small.control_value.copy()
    for said in (np.full_like(period, 7.0), 3 - 2 * period, np.zeros_like(period)):
        value.loc[{"control": "Event"}] = said[:, None]
        fit = fit_least_squares(small.assign(control_value=value))
        assert fit.coefficients.kept.values.sum() == fit.coefficients.sizes["term"] - 1
        assert not bool(fit.coefficients.kept.sel(term="control: Event"))
        without = fit_least_squares(small.sel(control=["Sale"]))
        np.testing.assert_allclose(fit.roas().estimate, without.roas().estimate, rtol=1e-8)


def test_no_controls_at_all(small):
    bare = small.drop_dims("control")
    assert not any("control" in t for t in fit_least_squares(bare).coefficients.term.values)
    assert "gamma_control" not in MODELS["ols"](bare, FitSettings(scored_draws=5)).parameters


def test_a_channel_in_one_dataset_only(many):
    spend = many.spend.copy()
    spend[3, :, :, 0] = 0
    fit = fit_least_squares(many.assign(spend=spend))
    kept = fit.of_channels(fit.coefficients.kept)
    assert np.argwhere(~kept.values).tolist() == [[3, 0]]


def twins(ds: xr.Dataset) -> xr.Dataset:
    spend = ds.spend.copy()
    spend.loc[{"channel": "Email"}] = 2 * spend.sel(channel="Local-Ads")
    return ds.assign(spend=spend)


def with_value(name: str, value: float, **place: int):
    def change(ds: xr.Dataset) -> xr.Dataset:
        values = ds[name].copy()
        values[place] = value
        return ds.assign({name: values})

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            with_value("y", np.nan, date=3),
            "'y' is nan at dataset 0, geo Local, date 2022-01-24|'y' is nan",
        ),
        (with_value("spend", -1.0, date=0, channel=0), "'spend' is -1 .* at least 0"),
        (with_value("spend", np.inf, date=0, channel=0), "'spend' is inf"),
        (with_value("control_value", np.nan, date=1, control=0), "'control_value' is nan"),
        (with_value("geo_scale", 0.0, geo=0), "'geo_scale' is 0 .* above 0"),
        (lambda ds: ds.isel(date=slice(11)), "11 rows .* for 12 columns"),
        (lambda ds: ds.isel(date=[]), "1 or more"),
        (lambda ds: ds.isel(date=slice(None, None, -1)), "not in order"),
        (lambda ds: ds.drop_vars("spend"), "no 'spend'"),
        (lambda ds: ds.drop_vars("y"), "no 'y'"),
        (lambda ds: ds.isel(channel=[]), "1 or more"),
        (lambda ds: ds.isel(channel=[0, 0, 1]), "two entries of one name along 'channel'"),
        (lambda ds: ds.assign(y=ds.y.expand_dims(scenario=2)), "has the dim 'scenario'"),
        (lambda ds: ds.to_dataframe(), "found a DataFrame"),
    ],
)
def test_what_cannot_be_fitted_is_named(small, change, message):
    with pytest.raises((SchemaError, ConfigError), match=message):
        fit_least_squares(change(small))


def test_two_channels_with_one_pattern_cannot_be_told_apart(small):
    true = small.saturated.copy()
    true.loc[{"channel": "Email"}] = 2 * true.sel(channel="Local-Ads")
    with pytest.raises(SchemaError, match="'media: Email' is a combination"):
        fit_least_squares(small.assign(saturated=true), transforms="true")
    one_candidate = TransformGrid(alphas=(0.3,), half_points=(1.0,))
    with pytest.raises(SchemaError, match="'media: Email' is a combination"):
        fit_least_squares(twins(small), grid=one_candidate)
    # A grid lets the twins differ, and the errors say what that is worth.
    errors = fit_least_squares(twins(small)).coefficients.standard_error
    assert np.isfinite(errors).all()


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"transforms": "serched"}, "transforms"),
        ({"level": 1.0}, "level"),
        ({"level": np.nan}, "level"),
        ({"fourier_modes": -1}, "fourier_modes"),
        ({"l_max": 0}, "l_max"),
        ({"geo_response": "national"}, "geo_response"),
        ({"train_end": "1999-01-01"}, "settings.train_end"),
        ({"train_end": "later"}, "settings.train_end"),
    ],
)
def test_arguments_out_of_range_are_named(small, arguments, path):
    with pytest.raises(ConfigError) as caught:
        fit_least_squares(small, **arguments)
    assert caught.value.path == path


@pytest.mark.parametrize(
    "wrong",
    [{"alphas": (1.0,)}, {"alphas": ()}, {"half_points": (0.0,)}, {"half_points": (np.nan,)}],
)
def test_candidates_out_of_range_are_named(wrong):
    with pytest.raises(ConfigError, match=f"grid.{next(iter(wrong))}: found"):
        TransformGrid(**wrong)
    with pytest.raises(ConfigError, match="max_sweeps"):
        TransformGrid(max_sweeps=0)


def test_constant_and_huge_and_tiny_sales(small):
    flat = fit_least_squares(small.assign(y=small.y * 0 + 5.0))
    np.testing.assert_allclose(flat.fitted(), 5.0)
    usual = fit_least_squares(small)
    for factor in (1e-9, 1e12):
        scaled = fit_least_squares(small.assign(y=small.y * factor))
        xr.testing.assert_equal(scaled.transforms, usual.transforms)
        np.testing.assert_allclose(scaled.roas().estimate, usual.roas().estimate * factor)
        np.testing.assert_allclose(scaled.coefficients.t_value, usual.coefficients.t_value)


@pytest.mark.parametrize(("preset", "lags"), [("high_frequency", 56), ("demo", 8)])
def test_carry_over_lasts_about_two_months(preset, lags):
    ds = generated(preset).isel(date=slice(104))
    fit = fit_least_squares(ds, grid=TransformGrid(alphas=(0.5,), half_points=(1.0,)))
    assert (fit.transforms.l_max == lags).all()


def test_the_summary_says_what_it_is_given(demo):
    text = fit_least_squares(demo).summary()
    for word in ("R2", "AIC", "BIC", "Durbin-Watson", "3%", "97%", "alpha", "half point"):
        assert word in text
    assert "given the chosen transforms" in text
    assert max(map(len, text.splitlines())) <= 110


def test_the_benchmark_runs():
    figure = recovery_models.least_squares(4, runs=1)
    assert figure.seconds > 0
    assert figure.floor > 0
