"""The information bound against what fits really do, and against derivatives by hand."""

import itertools
import warnings
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy import integrate, stats
from scipy.optimize import least_squares
from threadpoolctl import threadpool_info, threadpool_limits

import mmm_xgen as m
from mmm_xgen.errors import AlignmentError, ConfigError, SchemaError
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.truth.information.information_bound import information_bound, information_of
from mmm_xgen.truth.information.jacobian import baseline_columns, media_columns, model_of
from mmm_xgen.truth.information.likelihood import noise_of, whiten
from mmm_xgen.truth.information.linear_algebra import bound_of, sparse_directions
from mmm_xgen.truth.information.priors import link_sd
from tests.strategies import ADSTOCK_KINDS, CURVES, SATURATION_KINDS, quietly
from tests.truth.worlds import assert_near

PATTERNS = {
    "TV": {"pattern": "pulsed", "pulse_on_periods": 4, "pulse_off_periods": 3},
    "Radio": {"pattern": "on_off", "activation_probability": 0.4},
    "Search": {"pattern": "uniform", "low": 0.0, "high": 2.0},
}


def channel(name, *, base=1000.0, alpha=0.4, lam=1.4, roas=2.5, **kwargs):
    settings = {
        "base_spend": base,
        "roas": roas,
        "spend_volatility": 0.5,
        "adstock_kwargs": {"alpha": alpha},
        "saturation_fun": "logistic_saturation",
        "saturation_kwargs": {"lam": lam / base},
        **PATTERNS.get(name, {}),
    }
    return m.ChannelConfig(name=name, **{**settings, **kwargs})


BRAND = (
    {"name": "TV", "base": 1500.0, "alpha": 0.5, "lam": 1.2, "roas": 2.0},
    {"name": "Radio", "base": 900.0, "alpha": 0.3, "lam": 1.5},
    {"name": "Search", "base": 1200.0, "roas": 3.0},
)
PRICE = m.ControlConfig(name="Price", base_value=10.0, gamma_control=-50.0)


def generate(channels=None, *, n_periods=208, seed=3, controls=(PRICE,), regions=None):
    """A national brand with three channels that run, rest and vary: a small, well-made preset."""
    usual = {"base_sales_rate": 10000.0, "seasonal_amplitude": 0.1, "sales_trend": 0.001}
    regions = regions or {}
    if "noise" not in regions:
        usual["sales_volatility"] = 0.015
    config = m.MMMDataConfig(
        n_periods=n_periods,
        seed=seed,
        channels=channels or [channel(**each) for each in BRAND],
        control_variables=controls,
        regions=m.RegionConfig(**usual | regions),
    )
    return quietly(lambda: m.generate_mmm_dataset(config))


def on_link(values, link, shift):
    """Move values on a link scale, written from its definition."""
    if link == "log":
        return values * np.exp(shift)
    if link == "logit":
        return 1 / (1 + np.exp(-(np.log(values / (1 - values)) + shift)))
    return values + shift


class Fit:
    """Model of one geo with all parameters moved by `theta` on their link scales."""

    def __init__(self, ds):
        self.information = information_of(ds)
        self.model = self.information.model
        self.sigma = ds.y_sigma.values[0]
        media, baseline = self.information.media, self.information.baseline
        self.labels = [*media.labels, *baseline.labels]
        self.links = [*media.links, *baseline.links]

    def at(self, theta):
        model = self.model
        media = {name: np.array(values) for name, values in model.media.parameters.items()}
        truth = {name: np.array(values) for name, values in model.truth.items()}
        dims = {"gamma_fourier": "fourier_mode", "gamma_control": "control"}
        for (name, label), link, shift in zip(self.labels, self.links, theta, strict=True):
            if label in model.channels:
                values = media[name]
                place = (slice(None), model.channels.index(label))
            else:
                values = truth[name]
                place = (slice(None),)
                if name in dims:
                    place = (slice(None), model.labels[dims[name]].index(label))
            values[place] = on_link(values[place], link, shift)
        response = replace(model.media, parameters=media)
        return replace(model, media=response, truth=truth)

    def jacobian(self, theta):
        model = self.at(theta)
        parts = [media_columns(model).values[0], baseline_columns(model).values[0]]
        return np.concatenate(parts, axis=1)

    def __call__(self, y, *, sd=None, max_nfev=None):
        """Least squares, started at the truth; with `sd` the mode under normal priors there."""
        inverse = np.zeros(len(self.labels)) if sd is None else 1 / sd

        def residuals(theta):
            return np.concatenate(
                [(self.at(theta).expected_sales()[0] - y) / self.sigma, theta * inverse]
            )

        def slopes(theta):
            return np.concatenate([self.jacobian(theta) / self.sigma, np.diag(inverse)])

        # Far more exact than the error that is measured.
        settings = {"x_scale": "jac", "max_nfev": max_nfev, "xtol": 1e-4, "ftol": 1e-5}
        return least_squares(residuals, np.zeros(len(self.labels)), slopes, **settings).x

    def bounds(self, bound):
        """Standard errors in the order of `labels`."""
        return np.array(
            [
                float(bound[name].sel({d: label for d in bound[name].dims if d != "geo"}).min())
                if label
                else float(bound[name].min())
                for name, label in self.labels
            ]
        )


@pytest.fixture(scope="module")
def brand():
    return generate()


@pytest.fixture(scope="module")
def spread(brand):
    """Sd over 500 noise draws of a least-squares fit, and of the log ROAS that it gives."""
    fit = Fit(brand)
    rng = np.random.default_rng(20)
    mu = brand.mu.values[:, 0]
    estimates, totals = [], []
    for _ in range(500):
        estimate = fit(mu + fit.sigma * rng.standard_normal(len(mu)))
        model = fit.at(estimate)
        estimates.append(estimate)
        totals.append(np.log(m.truth.media.contribution(model.spend, model.media).sum((1, 2))))
    return fit, np.std(estimates, axis=0), np.std(totals, axis=0)


# --- against the spread of a fit


@pytest.mark.slow
def test_bound_is_the_spread_of_least_squares(brand, spread):
    fit, parameters, totals = spread
    bound = information_bound(brand)
    ratio = parameters / fit.bounds(bound)
    assert np.all((ratio > 0.9) & (ratio < 1.15)), dict(zip(fit.labels, ratio, strict=True))
    small = [fit.bounds(bound)[i] < 0.1 for i, link in enumerate(fit.links) if link != "identity"]
    assert all(small)
    ratio = totals / bound.roas.values
    assert np.all((ratio > 0.9) & (ratio < 1.15)), ratio
    assert not bound.weak.any()


@pytest.mark.slow
def test_a_wrong_sigma_is_seen(brand, spread):
    fit, parameters, _ = spread
    wrong = information_bound(brand.assign(y_sigma=1.5 * brand.y_sigma))
    assert np.all(parameters / fit.bounds(wrong) < 0.9)


@pytest.mark.slow
def test_a_dropped_column_is_seen(brand, spread):
    fit, parameters, _ = spread
    bound = information_bound(brand, known=["saturation_lam"])
    ratio = parameters[fit.labels.index(("saturation_beta", "TV"))]
    assert ratio / float(bound.saturation_beta.sel(channel="TV")) > 1.15


def test_weak_where_the_bound_is_not_the_spread():
    steady = {"pattern": "linear_trend", "spend_volatility": 0.1}
    ds = generate(
        [channel("Search"), channel("Steady", **steady)], n_periods=104, seed=1, controls=()
    )
    bound = information_bound(ds)
    assert bound.weak.values.tolist() == [False, True]
    fit = Fit(ds)
    rng = np.random.default_rng(2)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = [
            fit(ds.mu.values[:, 0] + fit.sigma * rng.standard_normal(104), max_nfev=20)
            for _ in range(50)
        ]
    ratio = np.std(found, axis=0) / fit.bounds(bound)
    for (_, label), each in zip(fit.labels, ratio, strict=True):
        assert 0.75 < each < 1.3 or label != "Search"
    assert max(r for (_, label), r in zip(fit.labels, ratio, strict=True) if label == "Steady") > 2


def test_bayesian_bound_is_the_error_of_the_posterior_mode():
    regions = {"sales_volatility": 0.05, "sales_trend": 0.0}
    ds = generate([channel("TV")], n_periods=104, controls=(), regions=regions)
    fit = Fit(ds)
    sds = {"adstock_alpha": 0.4, "saturation_lam": 0.25, "saturation_beta": 0.25}
    sd = np.array([sds.get(name, np.inf) for name, _ in fit.labels])
    free = np.isfinite(sd)
    rng = np.random.default_rng(4)
    precision, baseline_precision = information_of(ds, prior=sds).precision
    errors, bounds, unbiased = [], [], []
    for _ in range(120):
        truth = np.where(free, np.where(free, sd, 0) * rng.standard_normal(len(sd)), 0)
        model = fit.at(truth)
        y = model.expected_sales()[0] + fit.sigma * rng.standard_normal(ds.sizes["date"])
        errors.append((fit(y, sd=sd) - truth)[free])
        columns = [media_columns(model).values, baseline_columns(model).values]
        whitened = [each / fit.sigma for each in columns]
        for prior, found in ((precision, bounds), (0 * precision, unbiased)):
            each = bound_of(*whitened, prior, baseline_precision, pooled=True)
            found.append(each.parameter_variance()[0])
    error = np.sqrt(np.mean(np.square(errors), axis=0))
    ratio = error / np.sqrt(np.mean(bounds, axis=0))
    assert np.all((ratio > 0.88) & (ratio < 1.12)), ratio
    # Without the prior it is another number, so the prior is what is tested.
    assert np.any(error / np.sqrt(np.median(unbiased, axis=0)) < 0.85)


# --- against derivatives by hand


def finite(ds, name, at, shift, link):
    """Expected sales with one parameter moved, through the public functions."""
    moved = ds[name].copy()
    moved.loc[at] = on_link(moved.loc[at], link, shift)
    return moved


def pairs_of_kinds():
    """Every adstock and every curve beside a usual one; all other pairs are slow."""
    for adstock, saturation in itertools.product(ADSTOCK_KINDS, SATURATION_KINDS):
        usual = adstock == "geometric_adstock" or saturation == "hill_function"
        yield pytest.param(adstock, saturation, marks=() if usual else pytest.mark.slow)


@pytest.mark.parametrize(("adstock", "saturation"), list(pairs_of_kinds()))
def test_media_columns_are_central_differences(adstock, saturation):
    transform = {
        "adstock_fun": adstock,
        "saturation_fun": saturation,
        "saturation_kwargs": CURVES[saturation],
    }
    adstock_kwargs = {"weibull_adstock": {"lam": 2.0, "k": 1.7}, "no_adstock": {}}
    transform["adstock_kwargs"] = adstock_kwargs.get(adstock, {"alpha": 0.4})
    ds = generate([channel("TV", **transform), channel("Radio")], n_periods=60, controls=())
    columns = media_columns(model_of(ds))
    step = 1e-4
    owned = 0
    for position, (name, label) in enumerate(columns.labels):
        if label != "TV":
            continue
        owned += 1
        link = columns.links[position]

        def sales(shift, name=name, link=link, label=label):
            # Without `effect`, which the amplitude contains.
            moved = finite(ds, name, {"channel": label}, shift, link)
            params = ds.assign({name: moved}).drop_vars("effect")
            return m.respond(ds.spend, params).sum("channel")

        pairs = [(sales(k * step) - sales(-k * step)).values[:, 0] for k in (1, 2)]
        central = (8 * pairs[0] - pairs[1]) / (12 * step)
        exact = columns.values[0, :, position]
        assert np.abs(central - exact).max() < 1e-6 * max(np.abs(exact).max(), 1e-3), name
    assert owned >= 1


def test_baseline_columns_are_central_differences_of_generation():
    ds = quietly(
        lambda: m.generate_mmm_dataset(
            m.MMMDataConfig(
                n_periods=80,
                channels=[channel("TV")],
                control_variables=[
                    m.ControlConfig(name="Price", base_value=10.0, elasticity=-1.3, reference=11.0),
                    m.ControlConfig(name="Rain", base_value=3.0, gamma_control=40.0),
                ],
                regions=m.RegionConfig(
                    n_regions=2,
                    population=[1e6, 5e5],
                    trend={"kind": "logistic_growth", "growth_capacity": 0.3},
                    seasonal_amplitude=0.1,
                    fourier_modes=2,
                    seasonalities=[{"period": "monthly"}],
                    similarity=0.5,
                ),
                events=[m.EventConfig(name="sale", dates=["06-01"], effect=0.2)],
            )
        )
    )
    model = model_of(ds)
    columns = baseline_columns(model)
    kinds = {name for name, _ in columns.labels}
    assert {"intercept_contribution", "gamma_control", "control_elasticity"} <= kinds
    assert {"gamma_fourier", "gamma_seasonal", "event_effect", "trend_growth_rate"} <= kinds
    names = [*kinds, "effect", *(n for n in ds.data_vars if str(n).startswith("trend_growth"))]
    params = ds[list(dict.fromkeys(names))].drop_vars("spend", errors="ignore")
    config = m.MMMDataConfig.from_json(ds.attrs["config"])
    for position, (name, label) in enumerate(columns.labels):
        dim = {d: label for d in ds[name].dims if d != "geo"}
        link = columns.links[position]
        step = 1e-4 * (1 if link != "identity" else float(np.abs(ds[name]).max()) + 1e-3)

        def sales(shift, name=name, dim=dim, link=link):
            moved = params.assign({name: finite(ds, name, dim, shift, link)})
            fresh = quietly(lambda: m.generate_mmm_dataset(config, params=moved))
            return fresh.mu.transpose("geo", "date").values

        central = (sales(step) - sales(-step)) / (2 * step)
        exact = columns.values[..., position]
        assert np.abs(central - exact).max() < 1e-6 * np.abs(exact).max(), (name, label)
    assert np.abs(model.expected_sales() - ds.mu.values.T).max() < 1e-9


def test_bound_is_the_inverse_of_the_whole_information():
    noise = {"kind": "gaussian", "y_sigma": [150.0, 220.0, 90.0]}
    regions = {"n_regions": 3, "similarity": 0.6, "noise": noise}
    ds = generate(n_periods=104, regions=regions)
    prior = {"saturation_beta": 0.5, "gamma_fourier": 40.0}
    information = information_of(ds, prior=prior)
    media, baseline = information.media.values, information.baseline.values
    n_geos, n_dates, n_media = media.shape
    n_baseline = baseline.shape[-1]
    whole = np.zeros((n_geos, n_dates, n_media + n_geos * n_baseline))
    for geo in range(n_geos):
        start = n_media + geo * n_baseline
        whole[geo, :, :n_media] = media[geo]
        whole[geo, :, start : start + n_baseline] = baseline[geo]
    whole = (whole / ds.y_sigma.values[:, None, None]).reshape(-1, whole.shape[-1])
    sd = [prior.get(name, np.inf) for name, _ in information.media.labels]
    sd += [prior.get(name, np.inf) for name, _ in information.baseline.labels] * n_geos
    fisher = whole.T @ whole + np.diag(1 / np.square(sd))
    scale = np.sqrt(np.diag(fisher))
    covariance = np.linalg.inv(fisher / np.outer(scale, scale)) / np.outer(scale, scale)
    expected = np.sqrt(np.diag(covariance))
    bound = information_bound(ds, prior=prior)
    for position, (name, label) in enumerate(information.media.labels):
        assert_near(bound[name].sel(channel=label), expected[position], 1e-6)
    for position, (name, label) in enumerate(information.baseline.labels):
        dim = {d: label for d in bound[name].dims if d != "geo"}
        values = expected[n_media + position :: n_baseline]
        assert_near(bound[name].sel(dim).values, values, 1e-6)
    total = np.zeros(len(covariance))
    total[:n_media:3] = media[..., ::3].sum((0, 1))
    kpis = float(np.sqrt(total @ covariance @ total))
    assert information.media.labels[0][1] == information.media.labels[3][1] == "TV"
    assert_near(bound.channel_contribution_in_units[0], kpis, 1e-6)
    truth = float(ds.channel_contribution.sel(channel="TV").sum())
    assert_near(bound.channel_contribution[0], kpis / truth, 1e-6)
    assert_near(bound.roas, bound.channel_contribution)
    roas = truth / float(ds.spend.sel(channel="TV").sum())
    assert_near(bound.roas_in_units[0], bound.roas[0] * roas)


# --- pooled and per geo


def test_decompositions_of_small_matrices_take_one_thread(brand, monkeypatch):
    threads, decompose = [], np.linalg.svd

    def recorded(*args, **kwargs):
        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        threads.append(max(pool["num_threads"] for pool in pools))
        return decompose(*args, **kwargs)

    with threadpool_limits(2, user_api="blas"):
        monkeypatch.setattr(np.linalg, "svd", recorded)
        m.truth.recoverability(brand)
        assert len(threads) > 2
        assert set(threads) == {1}
        # Afterwards it is as before.
        np.linalg.svd(np.eye(2))
        assert threads[-1] == 2


def test_one_geo_is_the_same_pooled_or_not(brand):
    pooled, each = information_bound(brand), information_bound(brand, pooled=False)
    for name in ("adstock_alpha", "saturation_lam", "effect", "roas", "channel_contribution"):
        assert each[name].dims == ("geo", "channel")
        assert_near(each[name].values[0], pooled[name].values)
    assert_near(each.gamma_fourier, pooled.gamma_fourier)


def test_pooled_information_is_the_sum_of_the_geos():
    ds = generate(regions={"n_regions": 3, "similarity": 0.7})
    pooled = information_of(ds).bound().covariance[0]
    each = information_of(ds, pooled=False).bound().covariance
    assert_near(np.linalg.inv(pooled), np.linalg.inv(each).sum(axis=0), 1e-6)
    bound, own = information_bound(ds), information_bound(ds, pooled=False)
    assert bool((own.roas > bound.roas).all())
    one = information_bound(ds.sel(geo=[ds.geo.values[1]]))
    assert_near(own.roas[1], one.roas)


# --- noise


def whitened_unit(ds, size=1.0):
    mu = ds.mu.transpose("geo", "date").values
    noise = noise_of(ds, m.MMMDataConfig.from_json(ds.attrs["config"]).regions)
    return whiten(np.full((*mu.shape, 1), size), noise, mu), noise, mu


def test_student_t_information():
    ds = generate(regions={"noise": {"kind": "student_t", "degrees_of_freedom": 5.0}})
    (whitened, noise, _) = whitened_unit(ds)
    scale = noise.sigma[0] * np.sqrt(3 / 5)

    def integrand(x):
        return stats.t.pdf(x, 5) * ((6 * x / (5 + x**2)) / scale) ** 2

    expected, _ = integrate.quad(integrand, -np.inf, np.inf)
    assert_near(whitened[0, 0, 0] ** 2, expected, 1e-6)
    assert whitened[0, 0, 0] > 1 / noise.sigma[0]


def test_negative_binomial_information():
    noise = {"kind": "negative_binomial", "sales_volatility": 0.4}
    regions = {"base_sales_rate": 50.0, "noise": noise}
    ds = generate([channel("TV", roas=0.01)], regions=regions, controls=())
    whitened, noise, mu = whitened_unit(ds)
    # Variance mu + mu**2 / r, on average sigma**2.
    r = np.mean(mu[0] ** 2) / (noise.sigma[0] ** 2 - np.mean(mu[0]))
    mean = mu[0, 7]
    counts = np.arange(2000)
    slope = [stats.nbinom.logpmf(counts, r, r / (r + mean + s)) for s in (1e-4, -1e-4)]
    mass = stats.nbinom.pmf(counts, r, r / (r + mean))
    expected = np.sum(mass * np.square((slope[0] - slope[1]) / 2e-4))
    assert_near(whitened[0, 7, 0] ** 2, expected, 1e-6)
    assert_near(np.mean(mu + mu**2 / r), noise.sigma[0] ** 2)


def test_autoregressive_information():
    ds = generate(regions={"noise": {"kind": "ar1", "autocorrelation": 0.6}})
    whitened, noise, mu = whitened_unit(ds)
    columns = np.random.default_rng(0).standard_normal((1, mu.shape[1], 2))
    whitened = whiten(columns, noise, mu)[0]
    lag = np.abs(np.subtract.outer(np.arange(mu.shape[1]), np.arange(mu.shape[1])))
    precision = np.linalg.inv(noise.sigma[0] ** 2 * 0.6**lag)
    expected = columns[0].T @ precision @ columns[0]
    assert_near(whitened.T @ whitened, expected)


def test_information_of_noise_that_follows_the_level():
    regions = {"noise": {"kind": "gaussian", "level_power": 1.0}, "seasonal_amplitude": 0.4}
    ds = generate(regions=regions)
    whitened, noise, mu = whitened_unit(ds)
    sd = noise.sigma[0] * mu[0] / np.sqrt(sum(each**2 for each in mu[0]) / len(mu[0]))
    assert sd.max() > 1.3 * sd.min()
    assert_near(whitened[0, :, 0], 1 / sd)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3])
def test_information_of_gaussian_noise_with_outliers(share):
    ds = generate(regions={"outliers": {"share": share, "size": 4.0}})
    whitened, noise, _ = whitened_unit(ds)

    def density(z):
        parts = zip((1 - share, share / 2, share / 2), (0, 4, -4), strict=True)
        return sum(weight * stats.norm.pdf(z, centre) for weight, centre in parts)

    def integrand(z):
        return (density(z + 1e-5) - density(z - 1e-5)) ** 2 / 4e-10 / density(z)

    expected, _ = integrate.quad(integrand, -9, 9, points=[-4, -2, 0, 2, 4], limit=200)
    assert_near(whitened[0, 0, 0] ** 2, expected / noise.sigma[0] ** 2, 1e-5)
    assert share == 0 or expected < 1 - share / 2


@pytest.mark.parametrize(
    ("regions", "words"),
    [
        ({"noise": {"kind": "gaussian", "shared": 0.2}}, "noise that geos share"),
        ({"capacity": 1.5}, "a capacity of sales"),
        ({"noise": "student_t", "outliers": {}}, "outliers beside student_t noise"),
    ],
)
def test_information_that_is_not_known_is_refused(regions, words):
    with pytest.raises(m.SchemaError, match=words):
        information_bound(generate(regions=regions))


def test_lognormal_information_with_unknown_variance():
    ds = generate(regions={"noise": {"kind": "lognormal", "sales_volatility": 0.3}})
    _, noise, mu = whitened_unit(ds)
    columns = mu[..., None] * np.random.default_rng(0).standard_normal((1, mu.shape[1], 2))
    whitened = whiten(columns, noise, mu)[0]
    # log y is normal with mean log(mu) - s^2 / 2 and sd s: the joint information with log s.
    s = np.sqrt(np.log1p(noise.sigma[0] ** 2 / np.mean(mu[0] ** 2)))
    slope = columns[0] / mu[0][:, None]
    own = slope.T @ slope / s**2
    cross = -slope.sum(axis=0)
    spread = mu.shape[1] * (2 + s**2)
    assert_near(whitened.T @ whitened, own - np.outer(cross, cross) / spread, 1e-9)


def test_without_noise_there_is_no_bound():
    ds = generate(regions={"sales_volatility": 0.0})
    with pytest.raises(ConfigError, match="noise sd of 0"):
        information_bound(ds)


# --- what is not identified


def twins():
    ds = generate([channel("TV"), channel("Radio")], controls=())
    spend = ds.spend.copy()
    spend[..., 1] = spend[..., 0]
    config = m.MMMDataConfig.from_json(ds.attrs["config"])
    return quietly(lambda: m.generate_mmm_dataset(config, spend=spend))


def test_identical_channels_are_not_identified():
    ds = twins()
    bound = information_bound(ds)
    assert np.isinf(bound.roas).all()
    assert np.isinf(bound.saturation_beta).all()
    assert np.isinf(bound.condition_number)
    assert np.isfinite(bound.intercept_contribution).all()
    assert np.isfinite(bound.gamma_fourier).all()
    found = bound.attrs["unidentified"].split("; ")
    assert len(found) == 3
    assert any(
        set(each.split()) >= {"saturation_beta[TV]", "saturation_beta[Radio]"} for each in found
    )
    bayesian = information_bound(ds, prior="pymc-marketing")
    assert np.isfinite(bayesian.roas).all()
    assert bayesian.attrs["unidentified"] == ""


def test_placebo_shape_is_not_identified_and_its_effect_is():
    placebo = channel("Radio", roas=None, base_effectiveness=0.0)
    ds = generate([channel("TV"), placebo])
    bound = information_bound(ds)
    radio, tv = bound.sel(channel="Radio"), bound.sel(channel="TV")
    for name in ("adstock_alpha", "saturation_lam", "saturation_beta", "effect", "roas"):
        assert np.isinf(radio[name]), name
        assert np.isfinite(tv[name]), name
    assert 0 < float(radio.roas_in_units) < 1
    assert 0 < float(radio.channel_contribution_in_units) < np.inf
    unidentified = {"adstock_alpha[Radio]", "saturation_lam[Radio]"}
    assert set(bound.attrs["unidentified"].split("; ")) == unidentified
    # The placebo's effect is one more unknown: leaving the channel out makes others sharper.
    alone = information_bound(generate([channel("TV")]))
    assert float(alone.roas[0]) < float(tv.roas)


def test_constant_channel_is_the_intercept():
    constant = {"pattern": "linear_trend", "spend_volatility": 0.0}
    flat = channel(
        "Flat", lam=1.0, roas=2.0, adstock_fun="no_adstock", adstock_kwargs={}, **constant
    )
    bound = information_bound(generate([flat, channel("Radio")]))
    assert np.isinf(bound.roas.sel(channel="Flat"))
    assert np.isinf(bound.intercept_contribution).all()
    assert np.isfinite(bound.roas.sel(channel="Radio"))
    assert np.isfinite(bound.gamma_fourier).all()
    assert "intercept_contribution[geo_1]" in bound.attrs["unidentified"]
    assert "saturation_beta[Flat]" in bound.attrs["unidentified"]


def test_constant_control_is_the_intercept():
    constant = {"base_value": 5.0, "value_volatility": 0.0, "gamma_control": 10.0}
    still = m.ControlConfig(name="Still", **constant)
    zero = m.ControlConfig(name="Zero", reference=5.0, **constant)
    bound = information_bound(generate(controls=[still, zero]))
    assert np.isinf(bound.gamma_control).all()
    assert np.isinf(bound.intercept_contribution).all()
    assert np.isfinite(bound.roas).all()
    found = bound.attrs["unidentified"].split("; ")
    assert "gamma_control[geo_1, Zero]" in found
    assert any("Still" in each and "intercept" in each for each in found)


def test_a_gain_beside_an_amplitude_is_not_identified():
    curve = {"x0": 1000.0, "gain": 5e-4, "r": 0.6}
    kwargs = {"saturation_fun": "tanh_saturation_baselined", "saturation_kwargs": curve}
    bound = information_bound(generate([channel("TV", **kwargs)]))
    assert np.isinf(bound.saturation_gain).all()
    assert np.isinf(bound.saturation_beta).all()
    # What can be told is told: the product of the two, and with it the return.
    assert np.isfinite(bound.roas).all()
    assert np.isfinite(bound.adstock_alpha).all()


def test_fewer_dates_than_parameters():
    bound = information_bound(generate(n_periods=12))
    assert np.isinf(bound.roas).any()


def test_directions_come_apart():
    rng = np.random.default_rng(0)
    directions = np.array([[1.0, -1, 0, 0, 0], [0, 0, 0, 0, 1.0]])
    mixed = np.linalg.qr((rng.standard_normal((2, 2)) @ directions).T)[0].T
    found = sparse_directions(np.vstack([mixed, np.zeros((3, 5))]))
    assert sorted(np.abs(found).sum(axis=1).round(9).tolist()) == [1.0, 2.0]


# --- priors


@pytest.mark.parametrize(
    ("family", "link", "distribution"),
    [
        (("half_normal",), "log", stats.halfnorm(scale=1.5)),
        (("gamma", 3), "log", stats.gamma(3, scale=0.2)),
        (("gamma", 0.64), "log", stats.gamma(0.64)),
        (("beta", 1, 3), "logit", stats.beta(1, 3)),
        (("beta", 1, 2), "log", stats.beta(1, 2)),
    ],
)
def test_prior_sds_are_those_of_the_distribution(family, link, distribution):
    quantiles = distribution.ppf((np.arange(100_000) + 0.5) / 100_000)
    values = np.log(quantiles) if link == "log" else np.log(quantiles / (1 - quantiles))
    assert link_sd(family, link) == pytest.approx(values.std(), rel=2e-3)


def test_a_prior_of_a_flat_likelihood_is_the_bound():
    ds = generate([channel("TV"), channel("Radio", roas=None, base_effectiveness=0.0)])
    bound = information_bound(ds, prior={"adstock_alpha": 0.7, "saturation_lam": 0.3})
    assert float(bound.adstock_alpha.sel(channel="Radio")) == pytest.approx(0.7)
    assert float(bound.saturation_lam.sel(channel="Radio")) == pytest.approx(0.3)
    assert bound.attrs["prior"] == "adstock_alpha, saturation_lam"


def test_a_labelled_prior_is_taken_by_label():
    ds = generate([channel("TV"), channel("Radio", roas=None, base_effectiveness=0.0)])
    sd = xr.DataArray([0.2, 0.9], dims="channel", coords={"channel": ["Radio", "TV"]})
    bound = information_bound(ds, prior={"adstock_alpha": sd, "saturation_lam": 1.0})
    assert float(bound.adstock_alpha.sel(channel="Radio")) == pytest.approx(0.2)
    for bad, words in (
        (sd.isel(channel=[0]), "lacks the channel 'TV'"),
        (sd.isel(channel=[0, 1, 1]), "the channel 'TV' twice"),
        (sd.expand_dims(geo=ds.geo), "the dim 'geo'"),
        (sd.values, "without labels"),
    ):
        with pytest.raises(AlignmentError, match=words):
            information_bound(ds, prior={"adstock_alpha": bad})


def test_more_prior_is_never_worse(brand):
    bounds = [
        information_bound(brand, prior=prior).roas.values
        for prior in (None, {"saturation_beta": 1.0}, {"saturation_beta": 0.01})
    ]
    assert np.all(bounds[0] > bounds[1])
    assert np.all(bounds[1] > bounds[2])
    library = information_bound(brand, prior="pymc-marketing")
    assert np.all(library.roas.values < bounds[0])
    assert library.attrs["prior"] == "pymc-marketing"


@pytest.mark.slow
def test_defaults_are_those_of_the_library():
    components = pytest.importorskip("pymc_marketing.mmm")
    compared = 0
    for kind in (*ADSTOCKS.values(), *SATURATIONS.values()):
        for type_, name in kind.components.items():
            # The older release has no log saturation; one adstock is ours alone.
            priors = getattr(getattr(components, name or "-", None), "default_priors", None)
            if priors is not None:
                compare_priors(kind.name, kind.priors_of(type_), priors)
                compared += 1
    assert compared >= 15


def compare_priors(kind, ours, theirs):
    assert set(theirs) == set(ours), kind
    for parameter, prior in theirs.items():
        # The older release gave the share r a half-normal, which leaves its range.
        if (kind, parameter) == ("tanh_saturation_baselined", "r"):
            continue
        given = prior.parameters
        shape = {
            "HalfNormal": lambda g: ("half_normal",),
            "Beta": lambda g: ("beta", g["alpha"], g["beta"]),
            "Gamma": lambda g: (
                "gamma",
                g["alpha"] if "alpha" in g else (g["mu"] / g["sigma"]) ** 2,
            ),
        }[prior.distribution](given)
        assert shape[0] == ours[parameter][0], (kind, parameter)
        assert shape[1:] == pytest.approx(ours[parameter][1:]), (kind, parameter)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"prior": "meridian"}, ConfigError, "pymc-marketing"),
        ({"prior": {"adstock_alfa": 1.0}}, ConfigError, "did you mean 'adstock_alpha'"),
        ({"prior": {"adstock_alpha": 0.0}}, ConfigError, "allowed: numbers above 0"),
        ({"prior": {"adstock_alpha": np.nan}}, ConfigError, "allowed: numbers above 0"),
        ({"prior": {"adstock_alpha": "wide"}}, ConfigError, "allowed: numbers above 0"),
        ({"known": ["trend"]}, ConfigError, "no parameter is named 'trend'"),
        ({"known": None}, ConfigError, "known: found None, allowed: a list of names"),
        ({"known": [1]}, ConfigError, "known: found"),
        ({"pooled": "no"}, ConfigError, "pooled: found 'no', allowed: True, False"),
        ({"prior": [1]}, ConfigError, "prior: found"),
    ],
)
def test_bad_arguments_say_what_is_allowed(brand, arguments, error, words):
    with pytest.raises(error, match=words):
        information_bound(brand, **arguments)


def test_a_part_of_the_window_is_refused(brand):
    with pytest.raises(SchemaError, match="208"):
        information_bound(brand.isel(date=slice(0, 100)))


def test_a_selection_of_channels_is_refused_and_their_order_is_free(brand):
    """Expected sales, and so the noise of a lognormal model, are those of all channels."""
    for part in (brand.isel(channel=[0]), brand.isel(channel=[0, 0])):
        with pytest.raises(SchemaError, match="allowed: all of"):
            information_bound(part)
    turned = brand.isel(channel=slice(None, None, -1))
    bounds = [information_bound(each, prior="pymc-marketing").roas for each in (brand, turned)]
    assert_near(*[bound.sortby("channel") for bound in bounds], 1e-6)


# --- the Dataset


def test_every_free_parameter_has_its_variable():
    config = m.get_preset_config("medium_business")
    ds = quietly(lambda: m.generate_mmm_dataset(config))
    bound = information_bound(ds, prior="pymc-marketing")
    for name in ("gamma_fourier", "gamma_control", "control_elasticity", "event_effect"):
        assert bound[name].dims == ds[name].dims
        np.testing.assert_array_equal(np.isnan(bound[name]), np.isnan(ds[name]))
    scales = {name: bound[name].attrs.get("scale") for name in bound.data_vars}
    assert scales["adstock_alpha"] == "logit"
    assert scales["saturation_kappa"] == scales["effect"] == scales["roas"] == "log"
    assert scales["intercept_contribution"] == "log"
    assert scales["gamma_fourier"] == scales["control_elasticity"] == "identity"
    assert bound.gamma_fourier.attrs["units"] == ds.gamma_fourier.attrs["units"]
    np.testing.assert_array_equal(bound.effect, bound.saturation_beta)
    without = int(np.flatnonzero(ds.adstock_kind == "no_adstock")[0])
    assert np.isnan(bound.adstock_alpha[without])
    assert all({"units", "long_name"} <= set(bound[name].attrs) for name in bound.data_vars)


def test_bound_survives_netcdf(brand, tmp_path):
    bound = information_bound(brand, pooled=False)
    bound.to_netcdf(tmp_path / "bound.nc")
    with xr.open_dataset(tmp_path / "bound.nc") as loaded:
        xr.testing.assert_allclose(loaded.load(), bound)


def test_known_parameters_are_left_out(brand):
    bound = information_bound(brand, known="trend_sales_trend")
    assert "trend_sales_trend" not in bound
    assert bound.attrs["known"] == "trend_sales_trend"
    assert bool((bound.roas <= information_bound(brand).roas).all())
    media = ["adstock_alpha", "saturation_lam", "saturation_beta"]
    nothing_unknown = information_bound(brand, known=media)
    assert np.all(nothing_unknown.roas == 0)


def test_mixed_kinds_and_a_kind_of_the_users_own():
    @m.register_saturation("squared_share")
    def squared_share(x, *, top: float = 2.0):
        # Takes no complex numbers, so that the derivative is a difference.
        return np.square(np.minimum(np.asarray(x, dtype=float).real / 5000, 1.0)) * top

    try:
        own = channel("TV", saturation_fun="squared_share", saturation_kwargs={"top": 2.0})
        curve = {"slope": 1.2, "kappa": 900.0}
        hill = channel("Search", saturation_fun="hill_function", saturation_kwargs=curve)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
            bound = information_bound(generate([own, channel("Radio"), hill]))
        assert np.isnan(bound.saturation_top.values[1:]).all()
        assert np.isfinite(bound.saturation_kappa.values[2])
        # Its top and its beta are one number.
        assert np.isinf(bound.saturation_top.values[0])
        assert np.isfinite(bound.roas).all()
    finally:
        m.kernels.saturation.SATURATIONS.remove("squared_share")
