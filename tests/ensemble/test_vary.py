"""Numbers that vary: distributions, sampling, independence of paths, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from pymc_extras.prior import Prior
from scipy import stats

import mmm_xgen as m
from mmm_xgen.config.paths import Place, with_columns, with_numbers, with_overrides_at
from mmm_xgen.dataset import config_of
from mmm_xgen.ensemble import config_of_element, element, regenerate_ensemble
from mmm_xgen.ensemble.distributions import DESCRIBED, quantile
from mmm_xgen.ensemble.vary import configs_at, numbers_at, vary_config
from tests.connected import CONFIG
from tests.strategies import config_with, quietly, steady, warnings_of

BASIC = m.get_preset_config("basic")
TESTED = BASIC.replace(
    experiments=[{"channel": "TV", "start_period": 5, "n_periods": 4, "change": 0.5}]
)
ALPHA = "channels.*.adstock_kwargs.alpha"
RATE = "regions.base_sales_rate"


def drawn(vary: dict[str, Any], config: m.MMMDataConfig = BASIC, **options: Any) -> xr.Dataset:
    """Coordinates of a lazy ensemble."""
    options.setdefault("n", None if all(isinstance(d, list) for d in vary.values()) else 64)
    return m.generate_ensemble(config, vary=vary, **options).coords.to_dataset()


# ------------------------------------------------------------------ distributions

SHARES = np.array([0.01, 0.3, 0.5, 0.9])


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (m.Uniform(2, 4), stats.uniform(2, 2)),
        (stats.beta(2, 3), stats.beta(2, 3)),
        ({"dist": "Beta", "kwargs": {"alpha": 1, "beta": 3}}, stats.beta(1, 3)),
        ({"dist": "Beta", "kwargs": {"mu": 0.25, "sigma": 0.1}}, None),
        ({"dist": "Gamma", "kwargs": {"mu": 2, "sigma": 0.5}}, None),
        ({"dist": "Gamma", "kwargs": {"alpha": 2, "beta": 4}}, stats.gamma(2, scale=0.25)),
        ({"dist": "HalfNormal", "kwargs": {"sigma": 2}}, stats.halfnorm(scale=2)),
        (
            {"dist": "TruncatedNormal", "kwargs": {"mu": 1, "lower": 0}},
            stats.truncnorm(-1, np.inf, 1),
        ),
        ({"dist": "DiscreteUniform", "kwargs": {"lower": 1, "upper": 6}}, stats.randint(1, 7)),
        (Prior("LogNormal", mu=0.5, sigma=0.2), stats.lognorm(0.2, scale=np.exp(0.5))),
        (Prior("Normal", mu=1, sigma=2, dims="channel"), stats.norm(1, 2)),
    ],
)
def test_forms_of_a_distribution(form: Any, expected: Any) -> None:
    found = quantile(form, "here")(SHARES)
    if expected is not None:
        np.testing.assert_allclose(found, expected.ppf(SHARES), rtol=1e-12)
        return
    many = quantile(form, "here")((np.arange(20_000) + 0.5) / 20_000)
    wanted = (form["kwargs"]["mu"], form["kwargs"]["sigma"])
    np.testing.assert_allclose((many.mean(), many.std()), wanted, rtol=1e-3)


def test_descriptions_mean_what_pymc_means() -> None:
    import pymc as pm

    arguments: dict[str, dict[str, float]] = {
        "Beta": {"alpha": 2, "beta": 3},
        "DiscreteUniform": {"lower": 2, "upper": 9},
        "Exponential": {"lam": 3},
        "Gamma": {"alpha": 2, "beta": 3},
        "HalfCauchy": {"beta": 2},
        "HalfNormal": {"sigma": 2},
        "InverseGamma": {"alpha": 3, "beta": 2},
        "Laplace": {"mu": 1, "b": 2},
        "LogNormal": {"mu": 1, "sigma": 0.5},
        "Normal": {"mu": 1, "sigma": 0.5},
        "StudentT": {"nu": 4, "mu": 1, "sigma": 2},
        "TruncatedNormal": {"mu": 1, "sigma": 2, "lower": 0, "upper": 3},
        "Uniform": {"lower": 1, "upper": 3},
        "Weibull": {"alpha": 2, "beta": 3},
    }
    assert arguments.keys() == DESCRIBED.keys()
    logs = []
    for name, kwargs in arguments.items():
        value = quantile({"dist": name, "kwargs": kwargs}, "")(np.array([0.4]))
        logs.append(pm.logcdf(getattr(pm, name).dist(**kwargs), value))
    # One compilation for all.
    shares = dict(
        zip(arguments, np.exp(pm.math.stack(logs).eval(mode="FAST_COMPILE")), strict=True)
    )
    assert shares.pop("DiscreteUniform") >= 0.4
    for name, share in shares.items():
        np.testing.assert_allclose(share, 0.4, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (0.3, "found 0.3, allowed: Uniform"),
        ("uniform", "found 'uniform', allowed"),
        (stats.beta, "has no quantiles"),
        ({"dist": "Betta", "kwargs": {}}, "did you mean 'Beta'?"),
        ({"dist": "Beta", "kwargs": {"alpha": 1}}, "needs alpha and beta"),
        ({"dist": "Beta", "kwargs": {"alpha": "x", "beta": 1}}, "found 'x' as alpha of Beta"),
        ({"dist": "Normal", "kwargs": {"nu": 1}}, "cannot make a Normal"),
        ({"dist": "Exponential", "kwargs": {"lam": 0}}, "cannot make a Exponential of {'lam': 0}"),
        ({"dist": "Uniform", "kwargs": {"lower": 2, "upper": 1}}, "allowed: two numbers, low up"),
        ({"distribution": "Beta"}, "found 'distribution', allowed: 'dist' and 'kwargs'"),
        (Prior("Normal", transform="exp"), "found 'transform'"),
        ([], "found []"),
        ([[1, 2]], "allowed: a list of numbers"),
        (["a"], "allowed: a list of numbers"),
        (stats.norm(0, np.nan), "allowed: a finite number"),
    ],
)
def test_what_is_no_distribution_is_refused(form: Any, words: str) -> None:
    with pytest.raises(m.ConfigError, match=r"^regions\.base_sales_rate: ") as caught:
        m.generate_ensemble(BASIC, n=4, vary={RATE: form})
    assert words in str(caught.value)


def test_a_uniform_runs_from_low_to_high() -> None:
    for low, high in ((2, 1), ("1", 4), (None, 4), (0.0, np.inf)):
        with pytest.raises(m.ConfigError, match="low up to high"):
            m.Uniform(low, high)  # type: ignore[arg-type]


# ------------------------------------------------------------------ independence of paths


@pytest.mark.parametrize("sampling", ["random", "latin_hypercube", "sobol"])
def test_another_path_moves_no_draw(sampling: Any) -> None:
    alone = drawn({ALPHA: m.Uniform(0, 0.5)}, sampling=sampling)
    more = {
        ALPHA: m.Uniform(0, 0.5),
        RATE: m.Uniform(8e3, 9e3),
        "channels.TV.roas": m.Uniform(1, 2),
    }
    beside = drawn(more, sampling=sampling)
    xr.testing.assert_identical(alone[ALPHA].variable, beside[ALPHA].variable)
    assert np.corrcoef(beside[RATE], beside[ALPHA][:, 0])[0, 1] < 0.9


def test_draws_belong_to_names_however_they_are_written() -> None:
    every = drawn({"channels.*.roas": m.Uniform(1, 2)})["channels.*.roas"]
    for path in ("channels.Digital.roas", "channels.1.roas", "channels.x-Digital.roas"):
        np.testing.assert_array_equal(drawn({path: m.Uniform(1, 2)})[path], every[:, 1])
    fewer = BASIC.replace(channels=BASIC.channels[1:])
    one = drawn({"channels.*.roas": m.Uniform(1, 2)}, fewer)["channels.*.roas"]
    np.testing.assert_array_equal(one, every[:, 1:])


def test_draws_are_those_of_the_seed_and_the_first_of_more() -> None:
    first, again, more = (drawn({ALPHA: m.Uniform(0, 0.5)}, n=n)[ALPHA].values for n in (9, 9, 20))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, more[:9])
    other = drawn({ALPHA: m.Uniform(0, 0.5)}, BASIC.replace(seed=1), n=9)[ALPHA].values
    assert not np.isin(first, other).any()


# ------------------------------------------------------------------ sampling


def test_a_latin_hypercube_has_one_draw_in_each_stratum() -> None:
    values = drawn({ALPHA: m.Uniform(0, 1)}, n=50, sampling="latin_hypercube")[ALPHA].values
    strata = np.sort(np.floor(values * 50), axis=0)
    np.testing.assert_array_equal(strata, np.repeat(np.arange(50)[:, None], 3, axis=1))
    random = drawn({ALPHA: m.Uniform(0, 1)}, n=50)[ALPHA].values
    assert not np.array_equal(np.sort(np.floor(random * 50), axis=0), strata)


def test_sobol_points_fill_every_box() -> None:
    values = drawn({ALPHA: m.Uniform(0, 1)}, n=64, sampling="sobol")[ALPHA].values
    boxes = np.unique(np.floor(values[:, :2] * 8), axis=0)
    assert len(boxes) == 64
    assert (values > 0).all()


def test_sobol_wants_a_power_of_two() -> None:
    (found,) = warnings_of(lambda: drawn({RATE: m.Uniform(8e3, 9e3)}, n=50, sampling="sobol"))
    assert "better: 64" in found
    assert not warnings_of(lambda: drawn({RATE: m.Uniform(8e3, 9e3)}, n=1, sampling="sobol"))


def test_lists_make_a_grid_the_last_fastest() -> None:
    vary = {RATE: [8e3, 9e3], "channels.TV.roas": [1.0, 2.0, 3.0]}
    ds = drawn(vary)
    assert ds[RATE].values.tolist() == [8e3] * 3 + [9e3] * 3
    assert ds["channels.TV.roas"].values.tolist() == [1.0, 2.0, 3.0] * 2
    twice = drawn(vary, n=12)
    assert twice[RATE].values.tolist() == ds[RATE].values.tolist() * 2
    with pytest.raises(m.ConfigError, match="n: found 7 datasets for a grid of 6"):
        drawn(vary, n=7)
    beside = drawn({**vary, ALPHA: m.Uniform(0, 0.5)}, n=12)
    xr.testing.assert_identical(beside[RATE].variable, twice[RATE].variable)
    assert len(np.unique(beside[ALPHA])) == 36
    assert drawn({"channels.*.roas": [1.0, 2.0]}).sizes["dataset"] == 8
    same = drawn(vary, seeds=[5] * 6)
    assert same["seed"].values.tolist() == [5] * 6


def test_a_grid_of_distributions_takes_their_quantiles() -> None:
    vary = {RATE: m.Uniform(0, 12e3), "channels.TV.roas": stats.uniform(0, 3)}
    ds = drawn(vary, n=9, sampling="grid")
    assert np.unique(ds[RATE]).tolist() == [2e3, 6e3, 10e3]
    assert ds["channels.TV.roas"].values.tolist() == [0.5, 1.5, 2.5] * 3
    with pytest.raises(
        m.ConfigError, match=r"n: found 8 datasets, allowed with a grid: 1 x k \*\* 2"
    ):
        drawn(vary, n=8, sampling="grid")


# ------------------------------------------------------------------ places


def test_dims_of_the_coordinates() -> None:
    config = m.MMMDataConfig(
        **config_with(
            steady("TV"),
            steady("Web.1"),
            control_variables=[{"name": "Price", "gamma_control": 1.0}],
            events=[{"name": "sale", "dates": ["02-01"], "effect": 0.1}],
            regions={"population": [1e6, 2e6]},
        )
    )
    wanted = {
        "channels.*.base_spend": ("dataset", "channel"),
        "control_variables.*.gamma_control": ("dataset", "control"),
        "events.*.effect": ("dataset", "event"),
        "regions.population.*": ("dataset", "geo"),
        "channels.1.spend_trend": ("dataset",),
    }
    ds = drawn(dict.fromkeys(wanted, m.Uniform(0.1, 0.2)), config)
    assert {path: ds[path].dims for path in wanted} == wanted


def test_a_shared_transform_becomes_the_channel_s_own_and_keeps_what_else_it_says() -> None:
    ds = m.generate_ensemble(BASIC, n=2, vary={"channels.TV.adstock_kwargs.alpha": [0.2, 0.3]})
    tv, digital, _ = config_of_element(ds, 1).adstocks
    assert (tv.alpha, tv.l_max, digital.alpha) == (0.3, 8, 0.5)
    both = m.generate_ensemble(BASIC, n=2, vary={"transforms.adstock_kwargs.alpha": [0.2, 0.3]})
    assert [each.alpha for each in config_of_element(both, 1).adstocks] == [0.3] * 3


def test_changes_by_a_test_may_lie_around_zero_and_its_length_differ() -> None:
    vary = {"experiments.0.change": m.Uniform(-0.5, 0.5), "experiments.0.n_periods": [3, 9]}
    ds = m.generate_ensemble(TESTED, n=4, vary=vary, chunks=None)
    change, length = (ds[f"experiments.0.{name}"].values for name in ("change", "n_periods"))
    assert change.min() < 0 < change.max()
    assert length.tolist() == [3, 9, 3, 9]
    for position in range(4):
        own = config_of_element(ds, position)
        assert (own.experiments[0].change, own.experiments[0].n_periods) == (
            change[position],
            length[position],
        )
        assert element(ds, position).identical(m.generate_mmm_dataset(own))


def test_a_number_takes_the_place_of_what_it_excludes() -> None:
    ds = m.generate_ensemble(BASIC, n=2, vary={"channels.TV.base_effectiveness": [0.1, 0.2]})
    channel = config_of_element(ds, 1).channels[0]
    assert (channel.base_effectiveness, channel.roas) == (0.2, None)


def test_whole_numbers_stay_whole() -> None:
    config = m.MMMDataConfig(**config_with(steady(pattern="delayed_start", start_period=2)))
    path = "channels.TV.start_period"
    ds = drawn({path: stats.randint(0, 20)}, config)
    assert ds[path].dtype == np.int64
    with pytest.raises(m.ConfigError, match=f"{path}: found .*allowed: a whole number"):
        drawn({path: stats.uniform(0, 20)}, config)


def test_the_fast_way_sets_what_the_slow_one_sets() -> None:
    config = m.customize_preset("basic", regions={"population": [1e6]})
    paths = {"regions.base_sales_rate": 5.0, "channels.0.adstock_kwargs.alpha": 0.2}
    paths |= {
        "channels.0.spend_volatility": 0.7,
        "revenue_per_kpi": 3.0,
        "regions.population.0": 2e6,
    }
    slow, places = with_overrides_at(config, paths)
    fast = with_numbers(slow, {places[path]: value for path, value in paths.items()})
    assert fast.to_json() == slow.to_json()
    other = with_numbers(slow, {places["regions.base_sales_rate"]: 7.0})
    assert other.regions.base_sales_rate == 7.0
    assert Place("", ("regions", "base_sales_rate")).of(slow) == 5.0


COLUMNS = {
    "channels.*.adstock_kwargs.alpha": m.Uniform(0.1, 0.7),
    "channels.TV.roas": m.Uniform(1, 4),
    "channels.Print.spend_volatility": m.Uniform(0, 0.5),
    "regions.base_sales_rate": stats.norm(10_000, 500),
    "revenue_per_kpi": m.Uniform(1, 3),
}


def test_configurations_made_by_column_are_those_made_one_by_one() -> None:
    config, varied, _ = vary_config(BASIC, COLUMNS, n=40)
    fast = configs_at(config, varied, range(3, 40))
    slow = [with_numbers(config, numbers_at(varied, dataset)) for dataset in range(3, 40)]
    assert list(fast) == slow
    assert [each.to_json() for each in fast] == [each.to_json() for each in slow]
    assert len({each.to_json() for each in fast}) == 37


def test_parameters_that_are_checked_together_are_validated_in_every_dataset() -> None:
    channel = m.ChannelConfig(name="TV", pattern="uniform", low=0.2, high=1.5)
    config = m.MMMDataConfig(channels=[channel, m.ChannelConfig(name="Radio")])
    changed, places = with_overrides_at(
        config, {"channels.TV.low": 0.2, "channels.TV.high": 1.5, "channels.Radio.roas": 2.0}
    )
    low, high, roas = (places[path] for path in places)
    assert [place.is_interval(changed) for place in (low, high, roas)] == [False, False, True]
    values = {low: [0.1, 0.9, 0.3], high: [1.0, 0.8, 0.4], roas: [1.0, 2.0, 3.0]}
    columns = {place: np.array(column) for place, column in values.items()}
    with pytest.raises(m.ConfigError, match=r"low 0\.9 must not be above high 0\.8"):
        with_columns(changed, columns)
    fine = with_columns(changed, {place: column[[0, 2]] for place, column in columns.items()})
    assert [each.channels[0].pattern.parameters["low"] for each in fine] == [0.1, 0.3]
    assert [each.channels[1].roas for each in fine] == [1.0, 3.0]


@pytest.mark.parametrize("wrong", [1.5, -0.1, np.nan])
def test_an_impossible_number_in_a_column_is_refused(wrong: float) -> None:
    config, places = with_overrides_at(BASIC, {"channels.TV.adstock_kwargs.alpha": 0.5})
    column = np.array([0.2, 0.3, wrong, 0.4, 0.1])
    with pytest.raises(m.ConfigError, match="alpha"):
        with_columns(config, dict.fromkeys(places.values(), column))


@pytest.mark.parametrize("low", [100.0, 101.0])
def test_a_number_that_just_is_whole_varies_as_a_number(low: float) -> None:
    """Not so a whole number of periods, which `test_whole_numbers_stay_whole` has."""
    config = m.customize_preset("basic", **{"regions.noise": {"kind": "gaussian", "y_sigma": 9.0}})
    found = drawn({"regions.noise.y_sigma": m.Uniform(low, 300.0)}, config)
    assert found["regions.noise.y_sigma"].dtype == float


def test_config_of_an_ensemble_is_what_its_datasets_share() -> None:
    ds = m.generate_ensemble(BASIC, n=2, vary={RATE: m.Uniform(8e3, 9e3)})
    assert config_of(ds).channels == BASIC.channels


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("vary", "words"),
    [
        ({"n_periods": [50, 60]}, "n_periods: n_periods is the same in all datasets"),
        ({"regions.n_regions": [1, 2]}, "regions.n_regions: n_regions is the same"),
        ({"seed": [1, 2]}, "seed: seed is the same in all datasets of an ensemble, as seeds have"),
        ({"channels.*.adstock_kwargs.l_max": [4, 5]}, "l_max is the same"),
        ({"channels.TV.name": [1, 2]}, "channels.TV.name: found 1, allowed: a text"),
        ({"channels.TV.shared": [0.5, 1.5]}, "channels.TV.shared: found 0.5"),
        ({"channels.TV": [1, 2]}, "channels.TV"),
        ({"channels.TX.roas": [1, 2]}, "channels.TX: no entry has that name"),
        ({"channels.TV.roass": [1, 2]}, "did you mean 'roas'?"),
        ({"regions.base_sales_rat": [1, 2]}, "did you mean 'base_sales_rate'?"),
        ({"channels.*.pattern.low": [1, 2]}, "linear_trend has no such key"),
        ({"channels.*.*": [1, 2]}, "allowed: once"),
        ({"*.roas": [1, 2]}, "allowed: once, as in 'channels.*'"),
        ({"events.*.effect": [1, 2]}, "there are no events"),
        ({ALPHA: m.Uniform(0.5, 1.2)}, "found 1.1"),
        ({ALPHA: [0.5, 1.2]}, "channels.TV.adstock_kwargs.alpha: found 1.2, allowed: a number"),
        ({RATE: stats.norm(0, 1)}, "regions.base_sales_rate: found -"),
        ({RATE: stats.norm(-99, 1)}, "regions.base_sales_rate: found -99, allowed: above 0"),
        ({"experiments.0.n_periods": [3, 60]}, "experiments.0.n_periods: found 60, allowed: at"),
        ({RATE: [1.0, np.inf]}, "found inf for dataset 1, allowed: a finite number"),
        ({"channels.0.roas": [1, 2], "channels.TV.roas": [1, 2]}, "leads where 'channels.0.roas'"),
    ],
)
def test_what_cannot_vary_is_refused_before_anything_is_generated(
    vary: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmm_xgen.ensemble import recipe as recipes

    monkeypatch.setattr(recipes, "sales_equation", None)
    n = None if all(isinstance(d, list) for d in vary.values()) else 64
    with pytest.raises(m.ConfigError) as caught:
        m.generate_ensemble(TESTED, n=n, vary=vary)
    assert words in str(caught.value)


def test_numbers_that_contradict_each_other_are_found_with_the_dataset() -> None:
    config = m.MMMDataConfig(**config_with(steady(pattern="uniform")))
    vary = {"channels.TV.low": [0.2, 0.4, 0.6, 0.8], "channels.TV.high": [0.1, 0.3, 0.9, 0.95]}
    with pytest.raises(m.ConfigError, match=r"low 0\.2 must not be above high 0\.1"):
        m.generate_ensemble(config, vary=vary, chunks=None)


def test_other_arguments_are_refused() -> None:
    with pytest.raises(m.ConfigError, match=r"^sampling: found 'sobl'; did you mean 'sobol'\?"):
        m.generate_ensemble(BASIC, n=4, sampling="sobl")  # type: ignore[arg-type]
    with pytest.raises(m.ConfigError, match=r"^vary: found \[0.1\], allowed: a mapping of paths"):
        m.generate_ensemble(BASIC, n=4, vary=[0.1])  # type: ignore[arg-type]


# --- mechanisms

NUMBERS_OF_CAUSES = {
    "demand.effect": m.Uniform(0.01, 0.1),
    "demand.persistence": m.Uniform(0.1, 0.9),
    "demand.indicators.0.reliability": m.Uniform(0.2, 0.9),
    "demand.drivers.0.share": m.Uniform(0.05, 0.4),
    "funnels.*.strength": m.Uniform(0.05, 0.3),
    "interactions.*.strength": m.Uniform(0.01, 0.04),
    "mediators.*.effect": m.Uniform(0.02, 0.1),
    "mediators.Awareness.parents.TV": m.Uniform(0.1, 0.6),
    "mediators.0.respondents": [100, 500],
    "channels.TV.budget_rule.strength": m.Uniform(0.0, 0.4),
    "channels.Social.budget_rule.strength": m.Uniform(0.0, 0.6),
    "channels.TV.effect_path.sd": m.Uniform(0.1, 0.4),
    "channels.Social.pull_forward.share": m.Uniform(0.1, 0.4),
    "control_variables.*.gamma_control": m.Uniform(-60, -10),
    "control_variables.Price.base_value": m.Uniform(5, 10),
}


@pytest.mark.parametrize("path", NUMBERS_OF_CAUSES)
def test_numbers_of_mechanisms_vary_as_in_single_datasets(path: str) -> None:
    config = CONFIG.replace(n_periods=20)
    ds = quietly(
        lambda: m.generate_ensemble(config, n=2, vary={path: NUMBERS_OF_CAUSES[path]}, chunks=None)
    )
    for position in range(2):
        one = quietly(lambda k=position: m.generate_mmm_dataset(config_of_element(ds, k)))
        assert element(ds, position).identical(one)
    assert quietly(lambda: regenerate_ensemble(ds)).identical(ds)


def test_controls_of_other_mechanisms_have_no_number_of_the_others() -> None:
    path = "control_variables.*.gamma_control"
    config = CONFIG.replace(n_periods=20)
    ds = quietly(
        lambda: m.generate_ensemble(config, n=2, vary={path: m.Uniform(1, 2)}, chunks=None)
    )
    numbers = ds[path]
    assert numbers.dims == ("dataset", "control")
    assert numbers.isnull().all("dataset").values.tolist() == [False] * 2 + [True] * 4
    made = (ds["gamma_control"] / ds["geo_scale"]).isel(geo=0).transpose("dataset", "control")
    np.testing.assert_allclose(numbers[:, :2], made[:, :2])


@pytest.mark.parametrize("path", ["funnels.0.lag", "channels.Social.pull_forward.periods"])
def test_what_coordinates_say_is_the_same_in_all_datasets(path: str) -> None:
    with pytest.raises(m.ConfigError, match="is the same in all datasets"):
        m.generate_ensemble(CONFIG, n=2, vary={path: [1, 2]})


def test_draws_of_a_funnel_do_not_change_with_a_further_one_before_it() -> None:
    path = "funnels.{}.strength"
    first, *_ = CONFIG.funnels
    numbers = []
    for position, funnels in enumerate(([first], [CONFIG.funnels[1], first])):
        config = CONFIG.replace(n_periods=10, funnels=funnels)
        vary = {path.format(position): m.Uniform(0, 0.3)}
        ds = quietly(lambda c=config, v=vary: m.generate_ensemble(c, n=3, vary=v, chunks=None))
        numbers.append(ds[path.format(position)].values)
    np.testing.assert_array_equal(*numbers)
