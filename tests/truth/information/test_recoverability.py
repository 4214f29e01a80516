"""Grades, the reasons for them, and what would make them better."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen.errors import AlignmentError, ConfigError
from mmm_xgen.truth.information.designs import geo_test, pulsed, with_more_periods
from mmm_xgen.truth.information.information_bound import information_bound, information_of
from mmm_xgen.truth.information.jacobian import model_of
from mmm_xgen.truth.information.recoverability import recoverability, what_would_help
from tests.strategies import quietly
from tests.truth.worlds import assert_near


def channel(name, **kwargs):
    settings = {
        "pattern": "pulsed",
        "pulse_on_periods": 4,
        "pulse_off_periods": 3,
        "base_spend": 1000.0,
        "roas": 2.5,
        "spend_volatility": 0.5,
        "adstock_kwargs": {"alpha": 0.4},
        "saturation_fun": "logistic_saturation",
        "saturation_kwargs": {"lam": 1.4e-3},
    }
    settings.update(kwargs)
    if settings["pattern"] != "pulsed":
        del settings["pulse_on_periods"], settings["pulse_off_periods"]
    return m.ChannelConfig(name=name, **settings)


def generate(*channels, n_periods=156, spend=None, **regions):
    config = m.MMMDataConfig(
        n_periods=n_periods,
        seed=5,
        channels=channels,
        regions=m.RegionConfig(**{"sales_volatility": 0.02, "seasonal_amplitude": 0.1, **regions}),
    )
    return quietly(lambda: m.generate_mmm_dataset(config, spend=spend))


def test_a_well_made_channel_is_good():
    found = recoverability(generate(channel("TV")))
    assert found.grade.item() == "good"
    assert found.reason.item() == "enough variation against the noise"
    assert not found.weak.item()
    assert found.roas_bound.item() <= found.roas_bound_without_prior.item()


@pytest.mark.parametrize(
    ("settings", "noise", "words"),
    [
        ({"roas": 0.05}, 0.1, "effect too small against the noise"),
        (
            {
                "pattern": "on_off",
                "activation_probability": 0.04,
                "min_active_periods": 1,
                "max_active_periods": 2,
                "roas": 0.3,
            },
            0.05,
            "off too long",
        ),
        ({"pattern": "linear_trend", "spend_volatility": 0.02}, 0.02, "too little spend variation"),
        (
            {"pattern": "linear_trend", "spend_volatility": 0.3, "adstock_fun": "no_adstock",
             "adstock_kwargs": {}, "saturation_kwargs": {"lam": 1e-2}},
            0.05,
            "always saturated",
        ),
        ({"pattern": "linear_trend", "spend_volatility": 0.3}, 0.05, "never off"),
        (
            {"pattern": "seasonal", "seasonal_amplitude": 1.0, "spend_volatility": 0.02,
             "roas": 0.5},
            0.05,
            "moves with the baseline",
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else None,
)  # fmt: skip
def test_reasons(settings, noise, words):
    ds = generate(channel("TV"), channel("Odd", **settings), sales_volatility=noise)
    odd = recoverability(ds).sel(channel="Odd")
    assert odd.grade.item() != "good"
    assert odd.reason.item().startswith(words), odd


def test_collinear_channels_name_each_other():
    channels = [channel("TV"), channel("Radio"), channel("Search", pulse_on_periods=2)]
    spend = generate(*channels).spend.copy()
    rng = np.random.default_rng(0)
    spend[..., 1] = spend[..., 0] * np.exp(0.05 * rng.standard_normal(spend.shape[:2]))
    found = recoverability(generate(*channels, spend=spend))
    assert found.reason.values[:2].tolist() == ["collinear with Radio", "collinear with TV"]
    assert found.grade.sel(channel="Search").item() == "good"
    spend[..., 1] = spend[..., 0]
    found = recoverability(generate(*channels, spend=spend))
    assert found.grade.values.tolist() == ["not identified", "not identified", "good"]
    assert found.reason.values[0] == "collinear with Radio"
    assert found.weak.values.tolist() == [True, True, False]
    assert np.isfinite(found.roas_bound).all()


def test_placebo_and_unused_channels():
    ds = generate(
        channel("TV"),
        channel("Placebo", roas=None, base_effectiveness=0.0),
        channel("Unused", roas=None, base_effectiveness=0.1, base_spend=0.0),
    )
    found = recoverability(ds)
    assert found.grade.values.tolist() == ["good", "not identified", "not identified"]
    assert "effect is 0" in found.reason.values[1]
    assert "no spend" in found.reason.values[2]
    assert np.isinf(found.roas_bound.values[1:]).all()
    ratios = what_would_help(ds).bound_ratio
    assert np.isfinite(ratios).all()
    assert float(ratios.sel(design="half the noise", channel="Placebo")) < 1


def test_weak_where_only_the_prior_speaks():
    curve = {"saturation_fun": "hill_function", "saturation_kwargs": {"kappa": 800.0}}
    steady = channel("Steady", pattern="linear_trend", spend_volatility=0.2, **curve)
    found = recoverability(generate(channel("TV"), steady, n_periods=80)).sel(channel="Steady")
    assert found.grade.item() == "weak"
    assert found.roas_bound_without_prior.item() > 1 > found.roas_bound.item()


def test_ladder_climbs_to_the_bound():
    ds = quietly(lambda: m.generate_mmm_dataset(m.get_preset_config("medium_business")))
    found = recoverability(ds)
    assert np.all(np.diff(found.ladder.values, axis=0) >= -1e-12)
    bound = information_bound(ds, prior="pymc-marketing")
    assert_near(found.ladder.values[-1], bound.roas, 1e-12)
    assert_near(found.roas_bound, bound.roas, 1e-12)
    without = information_bound(ds).roas
    assert_near(found.roas_bound_without_prior, without, 1e-12)
    # With all else known it is the length of the contribution in units of noise.
    size = ds.channel_contribution / ds.y_sigma
    prior = 1 / 1.1107207345**2
    alone = 1 / np.sqrt((size**2).sum(("date", "geo")) + prior)
    assert_near(found.ladder.values[0], alone, 1e-6)


def test_known_parameters_make_it_easier():
    steady = channel("Steady", pattern="linear_trend", spend_volatility=0.3)
    ds = generate(channel("TV"), steady)
    easier = recoverability(ds, known=["saturation_lam", "adstock_alpha"])
    assert bool((easier.roas_bound < recoverability(ds).roas_bound).all())
    everything = ["saturation_lam", "adstock_alpha", "saturation_beta"]
    assert recoverability(ds, known=everything).grade.values.tolist() == ["good", "good"]


# --- what would help


def four_geos(**regions):
    steady = channel("Steady", pattern="linear_trend", spend_volatility=0.3)
    population = [4e6, 3e6, 2e6, 1e6]
    return generate(channel("TV"), steady, n_regions=4, population=population, **regions)


@pytest.fixture(scope="module")
def steady():
    return four_geos()


def test_half_the_noise_is_half_the_bound(steady):
    without = what_would_help(steady, prior=None, designs=["half_noise"])
    assert_near(without.bound_ratio, 0.5)
    prior = {"saturation_beta": 0.2}
    quiet = four_geos(sales_volatility=0.01)
    ratio = information_bound(quiet, prior=prior).roas / information_bound(steady, prior=prior).roas
    found = what_would_help(steady, prior=prior, designs=["half_noise"])
    assert_near(found.bound_ratio[0], ratio)
    assert float(found.bound_ratio.min()) > 0.5


def test_designs_and_labels(steady):
    found = what_would_help(steady)
    assert found.bound_ratio.dims == ("design", "channel")
    assert found.design.values.tolist() == [
        "geo test on TV",
        "geo test on Steady",
        "pulsed TV",
        "pulsed Steady",
        "26 more weeks",
        "half the noise",
    ]
    assert found.design_channel.values.tolist() == ["TV", "Steady", "TV", "Steady", "", ""]
    ratio = found.bound_ratio
    # A channel that never rests learns most from resting.
    assert float(ratio.sel(design="pulsed Steady", channel="Steady")) < 0.5
    assert bool((ratio.sel(design="26 more weeks") < 1).all())
    bound = information_bound(steady, prior="pymc-marketing")
    assert_near(found.bound_now, bound.roas, 1e-12)


@pytest.fixture(scope="module")
def flown(steady):
    """Spend of which the steady channel is pulsed."""
    spend = steady.spend.copy()
    spend[..., 1] = pulsed(model_of(steady), 1).T
    return spend


def test_a_plan_of_the_users_own_is_the_built_in_design(steady, flown):
    found = what_would_help(steady, designs={"as it is": steady.spend, "mine": flown})
    assert_near(found.bound_ratio.sel(design="as it is"), 1)
    built_in = what_would_help(steady, designs=["pulsed"]).bound_ratio.sel(design="pulsed Steady")
    assert_near(found.bound_ratio.sel(design="mine"), built_in)


def test_the_plan_really_generated_has_that_bound(steady, flown):
    """Parameters' bounds under a design are those of a Dataset generated from its spend."""
    names = ["effect", "saturation_lam", "adstock_alpha", "y_sigma", "intercept_contribution"]
    config = m.MMMDataConfig.from_json(steady.attrs["config"])
    ds = quietly(lambda: m.generate_mmm_dataset(config, spend=flown, params=steady[names]))
    spent = steady.spend.sum(("date", "geo"))
    assert_near(ds.spend.sum(("date", "geo")), spent)
    old, new = information_bound(steady), information_bound(ds)
    assert float(new.saturation_beta[1]) < float(old.saturation_beta[1])
    # The effect of TV is untouched by another gradient, so its ratio is that of the two bounds.
    found = what_would_help(steady, prior=None, designs=["pulsed"])
    ratio = found.bound_ratio.sel(design="pulsed Steady", channel="TV")
    assert_near(ratio, new.roas[0] / old.roas[0], 1e-6)


def test_geo_test_changes_half_the_geos(steady):
    model = model_of(steady)
    ratio = geo_test(model, 1, steady.population.values) / model.spend[1]
    tested = ~np.isclose(ratio, 1).all(axis=1)
    assert tested.tolist() == [True, False, True, False]
    assert np.isclose(ratio, 1.5).sum(axis=1).tolist() == [8, 0, 0, 0]
    assert np.isclose(ratio, 0.5).sum(axis=1).tolist() == [0, 0, 8, 0]


def test_one_geo_is_tested_off_and_on():
    ds = generate(channel("TV", pattern="linear_trend"))
    spend = geo_test(model_of(ds), 0, ds.population.values)
    ratio = spend[0] / ds.spend.values[:, 0, 0]
    assert (ratio == 0).sum() == 4
    assert (ratio == 2).sum() == 4
    assert (ratio == 1).sum() == 148


def test_pulsed_spends_the_same(steady, flown):
    assert_near(flown[..., 1].sum("date"), steady.spend[..., 1].sum("date"), 1e-7)
    assert (flown[..., 1] == 0).mean() == pytest.approx(0.5, abs=0.03)


def test_pulsed_keeps_the_total_of_spend_in_off_flights_only(steady):
    model = model_of(steady)
    spend = model.spend.copy()
    length = model.calendar.campaign_periods
    spend[1, :, :] = 0
    spend[1, 0, length : 2 * length] = 100.0
    flown = pulsed(replace(model, spend=spend), 1)
    np.testing.assert_allclose(flown.sum(axis=-1), spend[1].sum(axis=-1))
    is_on = np.arange(spend.shape[-1]) // length % 2 == 0
    assert (flown[0, is_on] > 0).all()
    assert not flown[:, ~is_on].any()


def test_more_periods_go_on_where_the_panel_ends(steady):
    information = information_of(steady)
    longer = with_more_periods(information, 26)
    before = information.media.values.shape[1]
    assert longer.media.values.shape[1] == before + 26
    np.testing.assert_allclose(longer.media.values[:, :before], information.media.values)
    np.testing.assert_allclose(longer.baseline.values[:, :before], information.baseline.values)
    trend = longer.baseline.values[0, :, longer.baseline.positions("trend_sales_trend")[0]]
    np.testing.assert_allclose(np.diff(trend), trend[1])


def test_bad_designs_say_what_is_allowed(steady):
    with pytest.raises(ConfigError, match="did you mean 'geo_test'"):
        what_would_help(steady, designs=["geotest"])
    with pytest.raises(ConfigError, match="a DataArray of spend"):
        what_would_help(steady, designs={"mine": 3.0})
    for designs in (3, [3]):
        with pytest.raises(ConfigError, match="designs: found"):
            what_would_help(steady, designs=designs)


def test_plans_are_checked_as_those_of_simulate(steady):
    spend = steady.spend
    other = spend.assign_coords(channel=[f"other {name}" for name in spend.channel.values])
    for plan, error, words in (
        (other, AlignmentError, "no channel named 'other"),
        (spend.expand_dims(scenario=2), AlignmentError, "the dim 'scenario', allowed: one plan"),
        (spend.sum("geo"), AlignmentError, "allowed: date, geo and channel"),
        (-spend, ConfigError, "at least 0"),
        (spend.where(spend < 0), ConfigError, "missing at"),
    ):
        with pytest.raises(error, match=f"the design 'mine' does not fit the Dataset: .*{words}"):
            what_would_help(steady, designs={"mine": plan})


def test_a_plan_may_be_in_any_order_and_leave_out_what_stays(steady):
    plan = steady.spend.copy()
    plan[:5] *= 2
    parts = {"whole": plan, "turned": plan.isel(channel=slice(None, None, -1)).T, "part": plan[:5]}
    ratios = what_would_help(steady, designs=parts).bound_ratio
    assert_near(ratios[1:], ratios[[0, 0]], 1e-6)
    assert (abs(ratios - 1) > 1e-4).any()


def test_results_survive_netcdf(steady, tmp_path):
    for position, found in enumerate([recoverability(steady), what_would_help(steady)]):
        path = tmp_path / f"{position}.nc"
        found.to_netcdf(path)
        with xr.open_dataset(path) as loaded:
            xr.testing.assert_allclose(loaded.load(), found)
