"""Meridian: its names and scales against ours, what it is asked, and how it fails.

Tests marked `meridian` run Meridian itself, in an environment of its own.
"""

import json
import math
import os
import re
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import mmm_xgen
from mmm_xgen import (
    ChannelConfig,
    ControlConfig,
    MMMDataConfig,
    RegionConfig,
    generate_mmm_dataset,
)
from mmm_xgen.cli.benchmark import chosen_models
from mmm_xgen.errors import (
    AlignmentError,
    ConfigError,
    MissingDependencyError,
    SchemaError,
    XgenError,
    XgenWarning,
)
from mmm_xgen.export.meridian import to_meridian
from mmm_xgen.labelled_world import respond
from mmm_xgen.recovery.alignment import meridian
from mmm_xgen.recovery.alignment.groups import group
from mmm_xgen.recovery.alignment.meridian import (
    from_meridian,
    from_meridian_prior,
    meridian_scales,
    to_meridian_truth,
)
from mmm_xgen.recovery.alignment.pymc_truth import no_single_truth
from mmm_xgen.recovery.estimates import estimates_of
from mmm_xgen.recovery.fit import MODELS, FitSettings, training_data
from mmm_xgen.recovery.models import meridian_environment
from mmm_xgen.recovery.models.convergence import not_computed
from mmm_xgen.recovery.models.meridian import (
    _comparable,
    _diagnostics,
    _sampled,
    ask_analyzer,
    fit_meridian,
    request_of,
)
from mmm_xgen.recovery.models.meridian_arms import (
    MeridianModel,
    documented,
    matched,
    published,
    switch_off_tests,
    with_lift_tests,
    without_common_controls,
)
from mmm_xgen.recovery.models.meridian_environment import VARIABLE, ask_worker, meridian_python
from mmm_xgen.recovery.scoring import score
from mmm_xgen.recovery.study.results import converged
from mmm_xgen.truth import mroas, roas

TV = ChannelConfig(
    name="TV",
    base_effectiveness=0.2,
    adstock_kwargs={"alpha": 0.6},
    saturation_kwargs={"slope": 1.7, "kappa": 900.0},
)
RADIO = ChannelConfig(
    name="Radio",
    pattern="on_off",
    base_effectiveness=0.1,
    adstock_kwargs={"alpha": 0.3, "normalize": False},
    saturation_kwargs={"slope": 0.8, "kappa": 700.0},
)
SEARCH = ChannelConfig(
    name="Search",
    base_effectiveness=0.1,
    adstock_fun="no_adstock",
    saturation_fun="michaelis_menten",
    saturation_kwargs={"lam": 500.0},
)
POST = ChannelConfig(
    name="Post",
    base_effectiveness=0.0001,
    adstock_kwargs={"alpha": 0.5},
    saturation_fun="no_saturation",
)
# Geos out of alphabetical order, the largest not first.
GEOS = {"region_names": ["south", "north", "east"], "population": [3e5, 1e6, 2e5]}


def panel(n_periods=78, seed=3, **regions):
    """Everything that Meridian has: several geos, history, a control, a currency value."""
    return generate_mmm_dataset(
        MMMDataConfig(
            n_periods=n_periods,
            freq="W-MON",
            seed=seed,
            burn_in_periods=6,
            revenue_per_kpi=2.5,
            channels=[TV, RADIO, SEARCH, POST],
            control_variables=[ControlConfig(name="Price", gamma_control=-300.0)],
            regions=RegionConfig(
                n_regions=3, **GEOS, **{"seasonal_amplitude": 0.2, "sales_trend": 0.001} | regions
            ),
        )
    )


def national(*channels, **keywords):
    return generate_mmm_dataset(
        MMMDataConfig(n_periods=60, channels=list(channels or (TV,)), **keywords)
    )


@pytest.fixture(scope="module")
def ds():
    return panel()


@pytest.fixture(scope="module")
def truth(ds):
    return to_meridian_truth(ds)


def one_draw(truth):
    return truth.fillna(1.0).expand_dims(chain=1, draw=1)


def contribution_of(ds, draws):
    """What our own response function makes of the one draw."""
    media = draws.drop_vars(["baseline", "y_sigma"]).squeeze(["chain", "draw"])
    everywhere = {
        name: media[name].broadcast_like(media.spend_unit)
        for name in media.data_vars
        if name != "gamma_control"
    }
    return respond(ds.spend, media.assign(everywhere), history=ds.get("spend_history"))


def quarters(ds):
    return {
        str(window): ds.date.sel(date=slice(window, None)).values[:13]
        for window in ds.date.values[::13]
    }


# --- formulae


def test_truth_goes_there_and_back(ds, truth):
    drawn = from_meridian(one_draw(truth), ds, max_lag=7, linear=("Post",))
    made = contribution_of(ds, drawn)
    np.testing.assert_allclose(made, ds.channel_contribution, rtol=1e-12, atol=1e-9)
    draws = drawn.squeeze(["chain", "draw"])
    mu = draws.baseline + made.sum("channel")
    np.testing.assert_allclose(mu.transpose("date", "geo"), ds.mu, rtol=1e-12)
    np.testing.assert_allclose(draws.y_sigma.sel(geo=ds.geo), ds.y_sigma, rtol=1e-12)
    np.testing.assert_allclose(draws.gamma_control, ds.gamma_control, rtol=1e-12)
    media = drawn.drop_vars(["baseline", "y_sigma"])
    estimates = estimates_of(
        ds, FitSettings(), media=media, baseline=drawn.baseline, y_sigma=drawn.y_sigma
    )
    np.testing.assert_allclose(estimates.roas.squeeze(), roas(ds), rtol=1e-12)
    np.testing.assert_allclose(estimates.mroas.squeeze(), mroas(ds), rtol=1e-9)


def test_truth_holds_where_the_curve_comes_first():
    ds = national(RADIO, TV, transforms=mmm_xgen.TransformConfig(adstock_first=False), seed=1)
    draws = from_meridian(one_draw(to_meridian_truth(ds)), ds, max_lag=7, hill_before_adstock=True)
    made = contribution_of(ds, draws)
    np.testing.assert_allclose(made, ds.channel_contribution, rtol=1e-12, atol=1e-9)


def test_a_draw_of_the_prior_generates_what_meridian_means_by_it():
    config = MMMDataConfig(
        n_periods=60,
        seed=2,
        freq="W-MON",
        channels=[TV, ChannelConfig(name="Print", pattern="on_off", base_effectiveness=0.1)],
        control_variables=[ControlConfig(name="Price", gamma_control=-300.0)],
        regions=RegionConfig(n_regions=3, **GEOS, seasonal_amplitude=0.0),
    )
    ds = generate_mmm_dataset(config)
    drawn = one_draw(to_meridian_truth(ds))
    drawn = drawn.assign(
        alpha_m=drawn.alpha_m * 0.5, beta_gm=drawn.beta_gm * 1.5, ec_m=drawn.ec_m * 2.0
    )
    params = from_meridian_prior(drawn, ds, max_lag=7)
    again = generate_mmm_dataset(config, params=params)
    meant = from_meridian(drawn, ds, max_lag=7)
    mu = meant.baseline.squeeze(["chain", "draw"]) + contribution_of(ds, meant).sum("channel")
    np.testing.assert_allclose(again.mu, mu.transpose(*again.mu.dims), rtol=1e-12)
    assert not np.allclose(again.mu, ds.mu)

    with pytest.raises(AlignmentError, match="found l_max 8 of channel 'TV', allowed: 10"):
        from_meridian_prior(drawn, ds, max_lag=9)
    moving = drawn.assign(mu_t=drawn.mu_t + 0.01 * np.arange(60))
    with pytest.raises(AlignmentError, match=r"time effect that moves.*knots=1"):
        from_meridian_prior(moving, ds, max_lag=7)
    with pytest.raises(AlignmentError, match="found 2 along 'draw', allowed: one draw"):
        from_meridian_prior(drawn.isel(draw=[0, 0]), ds, max_lag=7)


def test_order_of_labels_does_not_count(ds, truth):
    shuffled = truth.isel(geo=[2, 0, 1], media_channel=[3, 1, 0, 2])
    there = [from_meridian(one_draw(t), ds, max_lag=7, linear=("Post",)) for t in (truth, shuffled)]
    xr.testing.assert_identical(*there)


def test_the_last_time_effect_stays_after_the_window():
    ds = panel(n_periods=60)
    seen = ds.isel(date=slice(52))
    end = str(seen.date.values[-1])[:10]
    draws = from_meridian(
        one_draw(to_meridian_truth(seen)), ds, train_end=end, max_lag=7, linear=("Post",)
    )
    control = ds.control_contribution.sum("control").transpose("date", "geo")
    rest = draws.baseline.squeeze(["chain", "draw"]).transpose("date", "geo") - control
    np.testing.assert_allclose(rest.isel(date=slice(52, None)), rest.isel(date=[51] * 8))
    assert not np.allclose(rest.isel(date=50), rest.isel(date=51))


def test_other_labels_are_refused(ds, truth):
    draws = one_draw(truth).assign_coords(media_channel=["TV", "Radio", "Search", "Mail"])
    with pytest.raises(AlignmentError, match="lacks 'Post'"):
        from_meridian(draws, ds)


def test_scales_are_meridians_by_hand(ds):
    scales = meridian_scales(ds)
    media = np.concatenate([ds.spend_history, ds.spend])  # (time, geo, channel)
    heads = ds.population.values
    per_head = (media / heads[:, None])[..., 1]
    median = np.median(per_head[per_head > 0])
    np.testing.assert_allclose(scales.media_scale.sel(channel="Radio"), heads * median)
    each = ds.y.values / heads
    np.testing.assert_allclose(scales.kpi_scale, heads * each.std())
    np.testing.assert_allclose(scales.kpi_mean, heads * each.mean())


def test_of_equal_geos_the_naturally_first_is_the_baseline():
    twins = {"region_names": ["geo10", "geo2", "geo1"], "population": [5e5, 5e5, 1e5]}
    config = MMMDataConfig(channels=[TV], regions=RegionConfig(n_regions=3, **twins))
    assert meridian._baseline_geo(generate_mmm_dataset(config)) == 1


def test_a_single_geo_has_no_population():
    ds = national()
    assert "population" not in to_meridian(ds)
    np.testing.assert_allclose(meridian_scales(ds).kpi_scale, ds.y.std())


def of_kind(**kind):
    return national(ChannelConfig(name="Print", base_effectiveness=0.1, **kind))


@pytest.mark.parametrize(
    ("dataset", "max_lag", "parameter", "reason"),
    [
        (national, 12, "alpha_m", "TV: its kernel has 8 weights, the model's 13"),
        (
            partial(of_kind, adstock_fun="weibull_adstock"),
            None,
            "alpha_m",
            "Print: its adstock is weibull_adstock",
        ),
        (
            partial(of_kind, saturation_fun="logistic_saturation"),
            None,
            "beta_gm",
            "Print: its curve is logistic_saturation",
        ),
        (
            partial(of_kind, saturation_fun="threshold_saturation"),
            None,
            "beta_gm",
            "Print: its curve is threshold_saturation",
        ),
        (
            partial(of_kind, effect_path="linear_drift"),
            None,
            "beta_gm",
            "Print: its effect moves",
        ),
        (
            partial(of_kind, pull_forward={"share": 0.2}),
            None,
            "ec_m",
            "Print: it borrows sales from later periods",
        ),
        (partial(panel, transform_variation=0.2), None, "ec_m", "TV: it differs between geos"),
        (partial(panel, geo_response="common"), None, "ec_m", "TV: it differs between geos"),
        (partial(panel, baseline_variation=0.2), None, "mu_t", "differ between geos"),
        (panel, None, "knot_values", "mu_t"),
        (panel, None, "eta_m", "beta_gm"),
    ],
)
def test_what_has_no_single_truth_says_why(dataset, max_lag, parameter, reason):
    truth = to_meridian_truth(dataset(), max_lag=max_lag)
    assert reason in no_single_truth(truth)[parameter]
    assert parameter not in truth or bool(truth[parameter].isnull().any())


def test_another_order_of_adstock_and_curve_leaves_a_channel_without_truth():
    ds = national(TV, SEARCH, POST)
    truth = to_meridian_truth(ds, max_lag=7, hill_before_adstock=True)
    reason = "TV: the order of its adstock and its curve is another in the model"
    for name in ("alpha_m", "ec_m", "slope_m", "beta_gm"):
        # Search has no carry-over, and a linear curve may come before it or after it.
        assert np.isnan(truth[name].sel(media_channel="TV")).all()
        assert np.isfinite(truth[name].sel(media_channel="Search")).all()
        assert reason in no_single_truth(truth)[name]
    assert truth.alpha_m.sel(media_channel="Post") == 0.5
    draws = from_meridian(one_draw(truth), ds, max_lag=7, linear=("Post",))
    assert np.isnan(_comparable(draws, ds, truth)["adstock_alpha"].sel(channel="TV")).all()
    same = to_meridian_truth(ds, max_lag=7, hill_before_adstock=False)
    xr.testing.assert_equal(same, to_meridian_truth(ds, max_lag=7))


def test_the_sd_of_other_noise_has_no_single_truth():
    truth = to_meridian_truth(national(regions={"noise": "student_t"}))
    assert "the noise is student_t" in no_single_truth(truth)["sigma"]
    assert bool(truth["sigma"].isnull())
    truth = to_meridian_truth(national(regions={"capacity": 3.0}))
    assert "the noise is gaussian with a capacity" in no_single_truth(truth)["sigma"]
    assert bool(truth["sigma"].isnull())


COMPARED = {"adstock_alpha", "saturation_slope", "saturation_kappa", "effect", "y_sigma"}


@pytest.mark.parametrize(
    ("dataset", "max_lag", "compared"),
    [
        (national, 7, COMPARED),
        # One weight more than there is in the data.
        (national, 8, COMPARED - {"adstock_alpha"}),
        (lambda: national(regions={"noise": "student_t"}), 7, COMPARED - {"y_sigma"}),
        (
            lambda: panel(geo_response="common"),
            7,
            COMPARED - {"saturation_kappa"} | {"gamma_control"},
        ),
    ],
)
def test_what_has_no_single_truth_is_not_compared(dataset, max_lag, compared):
    ds = dataset()
    truth = to_meridian_truth(ds, max_lag=max_lag)
    draws = from_meridian(one_draw(truth), ds, max_lag=max_lag, linear=("Post",))
    assert _comparable(draws, ds, truth).data_vars.keys() == compared


def test_one_chain_has_no_r_hat_that_is_small():
    rng = np.random.default_rng(1)
    draws = (("chain", "draw", "media_channel"), rng.normal(size=(1, 50, 2)))
    found = _diagnostics(xr.Dataset({"roi_m": draws}, {"geo": ["a", "b"]}))
    assert math.isnan(found["rhat_max"]) and found["ess_bulk_min"] > 0
    assert not converged({"status": "done", "diagnostics": found | {"rhat_max": None}})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_draw_that_is_no_number_hides_no_parameter(value):
    values = np.random.default_rng(1).normal(size=(4, 100, 3))
    values[0, :, 0] += 5.0
    values[1, 7, 0] = value
    values[2, 7, 1] = value
    posterior = xr.Dataset(
        {
            "roi_m": (("chain", "draw", "media_channel"), values),
            "slope_m": (("chain", "draw", "media_channel"), np.ones((4, 100, 3))),
        },
        {"geo": ["a", "b"], "media_channel": ["TV", "Radio", "Post"]},
    )
    found = _diagnostics(posterior)
    # The slopes are a constant of the prior, and no parameters.
    assert found["n_parameters"] == 3
    assert math.isnan(found["rhat_max"]) and math.isnan(found["ess_tail_min"])
    assert not converged({"status": "done", "diagnostics": found})
    reasons = not_computed(_sampled(posterior))
    assert reasons["rhat_max"] == "draws that are not finite: roi_m[TV], roi_m[Radio]"


def test_an_elastic_control_has_no_single_truth():
    price = ControlConfig(name="Price", elasticity=-1.2)
    truth = to_meridian_truth(national(TV, control_variables=[price]))
    assert {"gamma_gc", "tau_g", "mu_t"} <= no_single_truth(truth).keys()
    assert "gamma_gc" not in truth


def test_a_channel_that_never_spends_is_refused():
    ds = national(TV, SEARCH)
    silent = ds.assign(spend=ds.spend.where(ds.channel != "Search", 0.0))
    with pytest.raises(SchemaError, match="'Search' spends nothing"):
        to_meridian(silent)


# --- what Meridian is told


def told(ds, settings, model):
    request = request_of(training_data(ds, settings), settings, model)
    return request, json.loads(request.attrs["settings"])


def test_request_survives_netcdf_and_json(ds, tmp_path):
    settings = FitSettings(train_end="2022-12-26", tune=500, draws=300, chains=3)
    request, words = told(ds, settings, published(training_data(ds, settings)))
    request.to_netcdf(tmp_path / "request.nc")
    with xr.open_dataset(tmp_path / "request.nc") as opened:
        xr.testing.assert_identical(opened.load(), request)
    assert request.media.dims == ("geo", "media_time", "media_channel")
    assert request.sizes["media_time"] == request.sizes["time"] + 6
    assert words["sampling"] == {
        "n_chains": 3,
        "n_adapt": 250,
        "n_burnin": 250,
        "n_keep": 300,
        "seed": 1,
        "target_accept": 0.9,
    }


def test_published_arm():
    ds = national(TV, SEARCH)
    model = published(ds)
    assert (model.max_lag, model.knots) == (8, (0, 26, 52))
    assert model.priors["alpha_m"] == ("Beta", 1.0, 3.0)
    spend = ds.spend.sum(("date", "geo"))
    family, location, sigma = model.priors["beta_m"]
    assert (family, location) == ("LogNormal", [0.0, 0.0])
    np.testing.assert_allclose(sigma, 2 * spend / spend.sum())


def test_the_documented_arm_is_the_published_one_with_the_priors_that_its_readme_lists(ds):
    by_code, by_readme = published(ds), documented(ds)
    assert by_readme.specification() == by_code.specification()
    more = {name: by_readme.priors[name] for name in by_readme.priors.keys() - by_code.priors}
    assert more == {
        "slope_m": ("Gamma", 2.0, 1.0),
        "ec_m": ("Beta", 2.0, 2.0),
        "gamma_c": ("Normal", 0.0, 1.0),
        "xi_c": ("HalfNormal", 1.0),
    }
    assert by_code.priors.items() <= by_readme.priors.items()


def components() -> pd.DataFrame:
    """Table of the numbers of parameters on the page of the published specifications."""
    page = Path(__file__).parents[3] / "docs/published_specifications.md"
    section = page.read_text(encoding="utf-8").split("## Numbers of parameters")[1]
    section = section.split("\n## ")[0]
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("|")
    ]
    return pd.DataFrame(rows[2:], columns=rows[0]).set_index("component")


def counted(formula: str, **sizes: int) -> int:
    """Value of a formula such as ``C (3 + G) + 1``."""
    python = re.sub(r"(?<=[\w)]) (?=[(\w])", " * ", formula)
    return int(eval(python, {"__builtins__": {}}, sizes))


@pytest.mark.parametrize(
    "sizes", [{"G": 8, "C": 8, "K": 4, "N": 6}, {"G": 2, "C": 6, "K": 1, "N": 4}]
)
@pytest.mark.parametrize("model", ["pymc-published", "meridian-published", "meridian-documented"])
def test_the_components_on_the_page_add_up_to_the_number_of_parameters(model, sizes):
    column = components()[model]
    parts = sum(counted(formula, **sizes) for formula in column.drop("all"))
    assert parts == counted(column["all"], **sizes)


def test_matched_arm_follows_the_truth(ds):
    model = matched(ds)
    assert model.max_lag == 7
    assert model.linear == ("Post",)
    assert model.specification()["saturation_spec"] == {"Post": "none"}
    assert model.knots[:3] == (0, 6, 12)
    assert model.priors["slope_m"][0] == "TruncatedNormal"
    plain = national(SEARCH, seed=2)
    assert matched(plain).priors == {}
    assert matched(plain).max_lag == 0


def with_a_common_control(**keywords):
    """Several geos, and a control that is the same in all of them between two that are not."""
    controls = [
        ControlConfig(name=name, gamma_control=100.0, shared=name == "Rates")
        for name in ("Price", "Rates", "Weather")
    ]
    return generate_mmm_dataset(
        MMMDataConfig(
            n_periods=60,
            channels=[TV],
            control_variables=controls,
            regions=RegionConfig(n_regions=3, **GEOS),
            **keywords,
        )
    )


def test_a_control_of_all_geos_is_left_out_beside_a_time_effect_of_every_date():
    ds = with_a_common_control()
    every_date = MeridianModel(knots=tuple(range(60)))
    for model in (MeridianModel(), every_date):
        with pytest.warns(XgenWarning, match="left out: Rates, the same in all geos"):
            left = without_common_controls(ds, model)
        assert left.control.values.tolist() == ["Price", "Weather"]
    assert without_common_controls(ds, MeridianModel(knots=tuple(range(59)))) is ds
    # Rounding is no difference between geos.
    rounded = ds.assign(control_value=ds.control_value * (1 + 1e-6 * (ds.geo == "north")))
    with pytest.warns(XgenWarning, match="Rates"):
        without_common_controls(rounded, MeridianModel())
    moved = ds.assign(control_value=ds.control_value * (1 + 0.1 * (ds.geo == "north")))
    assert without_common_controls(moved, MeridianModel()) is moved


def test_a_single_geo_keeps_its_controls():
    ds = national(control_variables=[ControlConfig(name="Price")])
    assert without_common_controls(ds, MeridianModel(knots=tuple(range(60)))) is ds


def test_slopes_start_at_1_where_a_channel_is_silent():
    ds = national(TV, RADIO)
    weeks_off = ds.spend.where((ds.channel != "Radio") | (ds.date < ds.date[20]), 0.0)
    _, _, _, lowest, _ = matched(ds.assign(spend=weeks_off)).priors["slope_m"]
    assert lowest == [0.1, 1.0]


def test_lift_tests_become_priors_on_roi():
    ds = national(TV, SEARCH, revenue_per_kpi=3.0)
    settings = FitSettings(lift_tests=True)
    tests = switch_off_tests(ds, settings)
    assert tests.channel.tolist() == ["TV", "Search"]
    model = with_lift_tests(matched(ds), tests)
    _, location, scale = model.priors["roi_m"]
    prior = mmm_xgen.truth.meridian_roi_prior(tests)
    expected = np.exp(np.array(location) + np.array(scale) ** 2 / 2)
    sure = (prior["mean"] > 4 * prior["sd"]).to_numpy()
    np.testing.assert_allclose(expected[sure], prior["mean"][sure], rtol=0.01)
    # What is tested is what the prior is about.
    np.testing.assert_allclose(prior.true_mean, roas(ds), rtol=1e-9)
    np.testing.assert_allclose(prior["sd"], 0.2 * prior.true_mean, rtol=1e-9)


def test_lift_tests_need_priors_on_roi():
    ds = national()
    with pytest.raises(ConfigError, match=r"priors on ROI, .*meridian-matched"):
        with_lift_tests(published(ds), switch_off_tests(ds, FitSettings()))


# --- how it fails


def fake_python(tmp_path, script):
    """An interpreter that claims to have Meridian, and runs `script` in place of the worker."""
    path = tmp_path / "python"
    version = meridian_environment.VERSION
    path.write_text(
        f'#!/bin/sh\ncase "$*" in *importlib.metadata*) printf {version}; exit 0;; esac\n{script}\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


posix = pytest.mark.skipif(os.name == "nt", reason="the fake interpreter is a shell script")


@posix
def test_last_lines_of_a_failed_process_are_repeated(tmp_path):
    python = fake_python(tmp_path, "echo starting >&2; echo 'ValueError: no such knot' >&2; exit 3")
    with pytest.raises(XgenError, match=r"exit status 3.*starting \| ValueError: no such knot"):
        fit_meridian(national(), FitSettings(), MeridianModel(), python=python)


@posix
def test_a_process_that_replies_nothing_has_failed(tmp_path):
    with pytest.raises(XgenError, match="exit status 0"):
        ask_worker(to_meridian(national()), python=fake_python(tmp_path, "exit 0"))


@posix
def test_a_slow_process_is_ended(tmp_path):
    python = fake_python(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60")
    with pytest.raises(TimeoutError, match=r"after 0.5 s"):
        fit_meridian(national(), FitSettings(), MeridianModel(), python=python, timeout=0.5)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_an_interpreter_without_meridian_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, sys.executable)
    with pytest.raises(MissingDependencyError, match=f"{VARIABLE} is .* has no Meridian.*pip"):
        meridian_python()
    with pytest.raises(MissingDependencyError, match="which is not a Python"):
        meridian_python(tmp_path / "nowhere")


def test_environment_is_made_whole_or_not_at_all(monkeypatch, tmp_path):
    calls = []

    def pip(command, **_):
        calls.append(command)
        return subprocess.CompletedProcess(command, 1, b"", b"Looking\nERROR: no connection\n")

    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(meridian_environment.venv, "create", lambda path, **_: path.mkdir())
    monkeypatch.setattr(meridian_environment.subprocess, "run", pip)
    with pytest.raises(MissingDependencyError, match=f"ERROR: no connection; .*{VARIABLE}"):
        meridian_python()
    assert list((tmp_path / "mmm-xgen").iterdir()) == []

    def works(command, **_):
        return subprocess.CompletedProcess(command, 0, b"", b"")

    monkeypatch.setattr(meridian_environment.subprocess, "run", works)
    home = meridian_python().parents[1]
    series = f"py{sys.version_info[0]}.{sys.version_info[1]}"
    assert home.name == f"meridian-{meridian_environment.VERSION}-{series}"
    assert [path.name for path in (tmp_path / "mmm-xgen").iterdir()] == [home.name]
    monkeypatch.setattr(meridian_environment.subprocess, "run", pip)
    assert meridian_python().parents[1] == home


def test_every_arm_is_registered_and_can_be_asked_for():
    arms = ("published", "documented", "default", "matched")
    names = [f"meridian-{arm}" for arm in arms]
    assert set(names) <= set(MODELS)
    assert chosen_models(["meridian"], list(arms), floors=False) == names
    with pytest.raises(ConfigError, match="pymc has no arm documented"):
        chosen_models(["pymc"], ["documented"], floors=False)


# --- Meridian itself


@pytest.mark.meridian
def test_meridians_analyzer_says_the_truth(ds, truth):
    windows = quarters(ds)
    said = ask_analyzer(ds, truth.fillna(1.0), matched(ds), windows=windows).squeeze()
    np.testing.assert_allclose(said.analyzer_roi, roas(ds), rtol=1e-12)
    np.testing.assert_allclose(said.analyzer_marginal_roi, mroas(ds, delta=0.01), rtol=1e-12)
    for name, dates in windows.items():
        window = (str(dates[0])[:10], str(dates[-1])[:10])
        average, marginal = roas(ds, window=window), mroas(ds, window=window, delta=0.01)
        theirs = said.sel(window=name)
        np.testing.assert_allclose(theirs.analyzer_roi_by_window, average, rtol=1e-12)
        np.testing.assert_allclose(theirs.analyzer_marginal_roi_by_window, marginal, rtol=1e-12)
    expected = said.analyzer_expected_outcome.transpose("time", "geo")
    np.testing.assert_allclose(expected, ds.mu, rtol=1e-9)
    np.testing.assert_allclose(
        said.analyzer_incremental_outcome.transpose("time", "geo", "media_channel"),
        ds.channel_contribution,
        rtol=1e-9,
        atol=1e-9,
    )


@pytest.mark.meridian
def test_a_corrupted_truth_is_noticed(ds, truth):
    wrong = truth.fillna(1.0).assign(alpha_m=truth.alpha_m + 0.1)
    said = ask_analyzer(ds, wrong, matched(ds)).squeeze()
    assert abs(said.analyzer_roi.values / roas(ds).values - 1).max() > 1e-3


@pytest.mark.meridian
def test_a_fit_means_to_us_what_it_means_to_meridian():
    ds = panel(n_periods=60)
    settings = FitSettings(
        chains=2, draws=20, tune=60, train_end=str(ds.date.values[51])[:10], lift_tests=True
    )
    model = matched(training_data(ds, settings))
    fit = fit_meridian(ds, settings, model)
    seen = training_data(ds, settings)
    draws = group(fit.inference, "posterior")
    said = ask_analyzer(seen, draws, model)
    np.testing.assert_allclose(fit.estimates.roas, said.analyzer_roi, rtol=1e-9)
    mine = fit.estimates.isel(date=slice(52))
    order = ("chain", "draw", "geo", "time")
    np.testing.assert_allclose(
        mine.mu.transpose("chain", "draw", "geo", "date"),
        said.analyzer_expected_outcome.transpose(*order),
        rtol=1e-9,
    )
    np.testing.assert_allclose(
        mine.channel_contribution.transpose("chain", "draw", "geo", "date", "channel"),
        said.analyzer_incremental_outcome.transpose(*order, "media_channel"),
        rtol=1e-9,
        atol=1e-6,
    )
    assert fit.estimates.sizes["date"] == 60
    assert {"import", "build", "sample", "total"} <= fit.timings.keys()
    assert fit.diagnostics["n_parameters"] > 20


@pytest.mark.meridian
def test_the_default_arm_takes_data_with_a_control_of_all_geos():
    ds = with_a_common_control()
    settings = FitSettings(chains=2, draws=20, tune=60, train_end=str(ds.date.values[51])[:10])
    with pytest.warns(XgenWarning, match="left out: Rates"):
        fit = fit_meridian(ds, settings, MeridianModel())
    assert fit.parameters.control.values.tolist() == ["Price", "Weather"]
    assert fit.estimates.sizes["date"] == 60
    scores = score(ds, fit, settings)
    assert np.isfinite(scores.roas.sel(metric="absolute_error")).all()
    errors = scores.gamma_control.sel(metric="absolute_error")
    assert np.isfinite(errors).all("geo").values.tolist() == [True, False, True]
