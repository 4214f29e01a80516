"""Bad configurations: one ConfigError of one line that names the path as written."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

import mmm_xgen as m
from mmm_xgen.errors import ConfigError, XgenError
from tests.config.faulty import refusal, three_channels, with_field
from tests.strategies import assert_valid, config_with, generate, quietly, steady


def test_the_mapping_that_the_errors_start_from_is_valid() -> None:
    assert_valid(generate(with_field("seed", 3)))


# Each case: dotted path, the bad value, what the message must contain.
CASES: list[tuple[str, Any, list[str]]] = [
    # unknown keys, with the nearest valid one
    ("n_period", 10, ["n_periods"]),
    ("chanels", [], ["channels"]),
    ("regions.n_region", 2, ["n_regions"]),
    ("regions.sales_trnd", 0.1, ["sales_trend"]),
    ("channels.1.base_spnd", 5.0, ["base_spend"]),
    ("channels.1.seasonal_amplitud", 0.5, ["seasonal_amplitude"]),
    ("channels.2.adstock_kwargs.alfa", 0.5, ["alpha"]),
    ("transforms.adstock_kwargs.alfa", 0.5, ["alpha"]),
    ("transforms.saturation_kwargs.kapa", 5.0, ["kappa"]),
    ("transforms.spend_units", "currency", ["spend_unit"]),
    ("control_variables.0.gama_control", 1.0, ["gamma_control"]),
    ("channels.0.pattern", {"kind": "seasonal", "amplitude": 0.5}, ["seasonal_amplitude"]),
    # keys of another kind
    ("channels.0.activation_probability", 0.5, ["spend_trend"]),
    ("channels.1.start_period", 5, ["seasonal_amplitude", "seasonal_phase"]),
    # wrong types
    ("n_periods", "many", ["many"]),
    ("n_periods", 10.5, ["10.5"]),
    ("n_periods", True, ["True"]),
    ("n_periods", None, ["None"]),
    ("n_periods", [10], ["[10]"]),
    ("seed", "forty-two", ["forty-two"]),
    ("seed", 1.5, ["1.5"]),
    ("channels.0.base_spend", "1000", ["1000"]),
    ("channels.0.base_spend", True, ["True"]),
    ("channels.0.base_spend", [1.0], ["[1.0]"]),
    ("channels.0.name", 5, ["5"]),
    ("channels.0.name", "", [""]),
    ("channels.0.name", " ", [" "]),
    ("channels.0.name", "x-", ["x-"]),
    ("control_variables.0.name", "c-", ["c-"]),
    ("channels.0.pattern", 3, ["3"]),
    ("channels", "TV", ["TV"]),
    ("channels.1", "TV", ["TV"]),
    ("regions", 3, ["3"]),
    ("transforms.adstock_first", "yes", ["yes"]),
    ("channels.2.adstock_kwargs", 0.5, ["0.5"]),
    ("channels.2.adstock_kwargs.alpha", "half", ["half"]),
    ("channels.2.adstock_kwargs.alpha", None, ["alpha"]),
    ("transforms.adstock_kwargs.alpha", None, ["alpha"]),
    ("channels.2.adstock", {"kind": "no_adstock", "alpha": None}, ["no_adstock", "l_max"]),
    ("start_date", "2022-13-01", ["2022-13-01"]),
    ("start_date", "soon", ["soon"]),
    ("start_date", "1699-12-28", ["1699-12-28", "1700-01-01"]),
    # impossible ranges
    ("n_periods", 0, ["0", "1"]),
    ("n_periods", -4, ["-4", "1"]),
    ("seed", -1, ["-1", "0"]),
    ("burn_in_periods", -1, ["-1", "0"]),
    ("revenue_per_kpi", 0.0, ["0"]),
    ("revenue_per_kpi", -2.0, ["-2"]),
    ("channels.0.base_spend", -1.0, ["-1", "0"]),
    ("channels.0.base_spend", float("nan"), ["nan"]),
    ("channels.0.base_spend", float("inf"), ["inf"]),
    ("channels.0.spend_volatility", -0.1, ["-0.1", "0"]),
    ("channels.2.activation_probability", 1.2, ["1.2", "1"]),
    ("channels.2.activation_probability", -0.2, ["-0.2", "0"]),
    ("channels.2.min_active_periods", 0, ["0", "1"]),
    ("channels.2.adstock_kwargs.alpha", 1.5, ["1.5", "1"]),
    ("channels.2.adstock_kwargs.alpha", -0.5, ["-0.5", "0"]),
    ("channels.2.adstock_kwargs.l_max", 0, ["0", "1"]),
    ("channels.2.saturation_kwargs.kappa", -3.0, ["-3", "0"]),
    ("channels.2.saturation_kwargs.slope", 0.0, ["0"]),
    ("transforms.adstock_kwargs.alpha", 1.5, ["1.5", "1"]),
    ("regions.n_regions", 0, ["0", "1"]),
    ("regions.sales_volatility", -0.1, ["-0.1", "0"]),
    ("regions.base_sales_rate", -1.0, ["-1", "0"]),
    ("regions.similarity", 1.5, ["1.5", "1"]),
    ("regions.population", [-5.0], ["-5", "0"]),
    ("control_variables.0.value_volatility", -1.0, ["-1", "0"]),
    ("control_variables.0.persistence", 1.0, ["1"]),
    # sizes that no machine has the memory for
    ("n_periods", 10**12, ["1000000000000"]),
    ("burn_in_periods", 10**12, ["1000000000000"]),
    ("regions.n_regions", 10**12, ["1000000000000"]),
    ("regions.fourier_modes", 10**12, ["1000000000000"]),
    ("channels.2.adstock_kwargs.l_max", 10**12, ["1000000000000"]),
    # unknown kinds and words
    ("freq", "fortnightly", ["fortnightly", "monthly"]),
    ("channels.1.pattern", "sesonal", ["sesonal", "seasonal"]),
    ("channels.2.adstock_fun", "geometric_adstok", ["geometric_adstock"]),
    ("channels.2.saturation_fun", "hil_function", ["hill_function"]),
    ("transforms.adstock_fun", "geometric_adstok", ["geometric_adstock"]),
    ("transforms.spend_unit", "curency", ["currency", "base_spend"]),
    ("regions.geo_response", "per_head", ["per_capita", "common"]),
    ("regions.noise", {"kind": "gausian"}, ["gaussian"]),
    # lists of the wrong length
    ("regions.region_names", ["a", "b"], ["2", "3"]),
    ("regions.population", [1.0, 2.0], ["2", "3"]),
    ("transforms.adstock_kwargs", [{"alpha": 0.5}] * 2, ["2", "3"]),
    ("transforms.adstock_fun", ["geometric_adstock"] * 4, ["4", "3"]),
    ("transforms.saturation_fun", [], ["0", "3"]),
    ("transforms.saturation_kwargs", [{"slope": 1.0}], ["1", "3"]),
]


# Where an error may be filed more precisely than at the entry that was set.
DEEPER = {
    "channels.0.pattern": ["channels.0.pattern", "channels.0.pattern.amplitude"],
    "channels.1": ["channels.1"],
    "regions.population": ["regions.population", "regions.population.0"],
    "regions.noise": ["regions.noise", "regions.noise.kind"],
    "channels.2.adstock": ["channels.2.adstock.alpha"],
    "channels.1.pattern": ["channels.1.pattern"],
}


def assert_teaches(error: ConfigError, path: str, needed: list[str]) -> None:
    assert error.path in DEEPER.get(path, [path])
    text = str(error).removeprefix(error.path)
    missing = [word for word in needed if word not in text]
    assert not missing, f"{error} does not say {missing}"


@pytest.mark.parametrize(("path", "value", "needed"), CASES, ids=str)
def test_bad_entry_is_refused_with_path_found_and_allowed(
    path: str, value: Any, needed: list[str]
) -> None:
    config = with_field(path, value)
    assert_teaches(refusal(lambda: generate(config)), path, needed)
    text = yaml.safe_dump(config)
    assert_teaches(refusal(lambda: m.MMMDataConfig.from_yaml(text)), path, needed)


@pytest.mark.parametrize(
    ("path", "value", "needed"),
    [
        ("n_periods", True, ["rue"]),
        ("n_periods", None, []),
        ("channels.2.adstock_kwargs.alpha", 1.5, ["1.5", "1"]),
    ],
)
def test_bad_entry_of_a_json_text_or_a_file_is_refused_alike(
    tmp_path: Path, path: str, value: Any, needed: list[str]
) -> None:
    config = with_field(path, value)
    assert_teaches(refusal(lambda: m.MMMDataConfig.from_json(json.dumps(config))), path, needed)
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    assert_teaches(refusal(lambda: m.MMMDataConfig.from_yaml(file)), path, needed)


def test_path_is_the_one_of_the_nested_spelling_where_that_was_written() -> None:
    nested = {
        "adstock": ({"kind": "geometric_adstock", "alpha": 1.5}, "alpha"),
        "saturation": ({"kind": "hill_function", "kappa": -1.0}, "kappa"),
        "pattern": ({"kind": "on_off", "activation_probability": 1.5}, "activation_probability"),
    }
    for field, (spec, key) in nested.items():
        config = three_channels()
        config["channels"][2] = {"name": "Web", field: spec}
        error = refusal(lambda config=config: generate(config))
        assert error.path == f"channels.2.{field}.{key}"


def test_path_inside_a_list_of_transforms_has_its_index() -> None:
    kwargs = [{"alpha": 0.5}, {"alpha": 0.5}, {"alpha": 7.0}]
    error = refusal(lambda: generate(with_field("transforms.adstock_kwargs", kwargs)))
    assert error.path == "transforms.adstock_kwargs.2.alpha"


def test_path_of_a_model_built_alone_starts_at_that_model() -> None:
    steep = {"adstock_fun": "geometric_adstock", "adstock_kwargs": {"alpha": 2.0}}
    for path, build in {
        "base_spend": lambda: m.ChannelConfig(name="TV", base_spend=-2.0),
        "adstock_kwargs.alpha": lambda: m.ChannelConfig(name="TV", **steep),
        "n_regions": lambda: m.RegionConfig(n_regions=-1),
        "adstock_kwargs": lambda: m.TransformConfig(adstock_kwargs=3),
    }.items():
        assert refusal(build).path == path


@pytest.mark.parametrize("names", [["TV", "TV"], ["TV", "x-TV"], ["x-TV", "x-TV"]])
def test_duplicate_channel_names_are_refused(names: list[str]) -> None:
    config = config_with(*[steady(name) for name in names])
    error = refusal(lambda: generate(config))
    assert error.path == "channels.1.name"
    assert "TV" in error.message


def test_duplicate_names_of_controls_and_regions_are_refused() -> None:
    error = refusal(
        lambda: generate(with_field("control_variables", [{"name": "Price"}, {"name": "c-Price"}]))
    )
    assert error.path == "control_variables.1.name"
    assert "Price" in error.message
    config = config_with(steady(), regions={"n_regions": 3, "region_names": ["n", "s", "n"]})
    error = refusal(lambda: generate(config))
    assert error.path.startswith("regions.region_names")
    assert "'n'" in error.message


def test_an_unnamed_channel_may_not_collide_with_a_named_one() -> None:
    with suppress(ConfigError):
        ds = generate(config_with(steady("x2"), {"pattern": "linear_trend"}))
        assert len(set(ds["channel"].values)) == 2


def test_two_spellings_of_one_thing_are_refused() -> None:
    nested = {"adstock": {"kind": "geometric_adstock", "alpha": 0.3}}
    half_life = {"adstock": nested["adstock"] | {"half_life": "10D"}}
    trend = {"kind": "linear_trend", "spend_trend": 0.1}
    both = {
        "roas": steady(roas=1.0, base_effectiveness=0.1),
        "adstock": steady(**nested, adstock_fun="geometric_adstock", adstock_kwargs={"alpha": 0.4}),
        "half_life": steady(**half_life),
        "kwargs": steady(**nested, adstock_kwargs={"alpha": 0.4}),
        "pattern": steady(pattern=trend, spend_trend=0.2),
    }
    for word, channel in both.items():
        error = refusal(lambda channel=channel: generate(config_with(channel)))
        assert error.path.startswith("channels.0"), word
        assert "fun" not in error.path or word == "adstock", "this key was not written"


@pytest.mark.parametrize(
    "regions",
    [
        {"noise": {"kind": "gaussian", "sales_volatility": 0.1}, "sales_volatility": 0.2},
        {"trend": {"kind": "linear", "sales_trend": 0.1}, "sales_trend": 0.2},
        {"similarity": 0.5, "baseline_variation": 0.2},
        {"noise": {"kind": "gaussian", "y_sigma": 5.0, "r_squared": 0.5}},
    ],
)
def test_two_values_for_one_thing_of_the_regions_are_refused(regions: dict[str, Any]) -> None:
    config = three_channels() | {"regions": regions}
    assert refusal(lambda: generate(config)).path.startswith("regions.")


@pytest.mark.parametrize(
    "fields",
    [
        {"pattern": "on_off", "min_active_periods": 6, "max_active_periods": 3},
        {"pattern": "delayed_start", "start_period": 20, "end_period": 10},
        {"pattern": "step", "step_periods": [10, 20], "step_levels": [1.0, 2.0, 3.0, 4.0, 5.0]},
        {"pattern": "step", "step_periods": [20, 10], "step_levels": [1.0, 2.0]},
        {"pattern": "uniform", "low": 2.0, "high": 1.0},
        {"pattern": "event_spikes", "spike_dates": ["13-45"]},
        {"pattern": "event_spikes", "spike_dates": ["2022-02-30"]},
        {"pattern": "pulsed", "pulse_on_periods": 0, "pulse_off_periods": 2},
        {"pattern": "cyclical", "cycle_periods": 0.0},
    ],
)
def test_values_that_exclude_each_other_are_refused(fields: dict[str, Any]) -> None:
    error = refusal(lambda: generate(config_with({"name": "TV"} | fields)))
    assert error.path.startswith("channels.0")
    assert any(str(value) in error.message or key in str(error) for key, value in fields.items())


@pytest.mark.parametrize(
    "fields",
    [
        {"freq": "D", "start_date": "0001-01-01"},
        {"freq": "D", "start_date": "9999-12-01"},
        {"freq": "W", "n_periods": 30_000},
    ],
)
def test_dates_that_a_timestamp_cannot_hold_are_refused(fields: dict[str, Any]) -> None:
    error = refusal(lambda: generate(config_with(steady()) | fields))
    assert error.path in ("start_date", "n_periods")


def test_burn_in_counts_before_the_window_and_not_after_it() -> None:
    late = {"start_date": "2199-06-03", "n_periods": 10, "burn_in_periods": 52}
    dates = generate(config_with(steady()) | late)["date"].values
    assert str(dates[-1])[:10] == "2199-08-05"
    early = {"start_date": "1700-01-04", "n_periods": 10, "burn_in_periods": 1}
    error = refusal(lambda: generate(config_with(steady()) | early))
    assert error.path == "burn_in_periods"
    assert "1699-12-28" in error.message and "1700-01-01" in error.message
    first = generate(config_with(steady()) | early | {"start_date": "1700-01-11"})
    assert str(first["history_date"].values[0])[:10] == "1700-01-04"


@pytest.mark.parametrize(
    ("freq", "start", "fits"), [("D", "2199-12-23", 9), ("W", "2199-12-11", 3), ("MS", None, 2136)]
)
def test_the_last_date_that_fits_is_exact(freq: str, start: str | None, fits: int) -> None:
    fields = config_with(steady()) | {"freq": freq, "start_date": start}
    m.MMMDataConfig(**fields | {"n_periods": fits})
    error = refusal(lambda: m.MMMDataConfig(**fields | {"n_periods": fits + 1}))
    assert error.path == "n_periods"


def test_a_yearly_swing_without_a_harmonic_is_refused() -> None:
    error = refusal(lambda: m.RegionConfig(seasonal_amplitude=0.3, fourier_modes=0))
    assert error.path == "seasonal_amplitude"
    assert "0.3 with fourier_modes=0" in error.message and "at least 1" in error.message
    assert m.RegionConfig(seasonal_amplitude=0.0, fourier_modes=0).fourier_modes == 0
    error = refusal(lambda: m.customize_preset("seasonal", **{"regions.fourier_modes": 0}))
    assert error.path == "regions.seasonal_amplitude"


@pytest.mark.parametrize("wrong", [["basic"], 5, m.MMMDataConfig, m.ChannelConfig(name="TV")])
def test_something_else_than_a_config_is_refused_with_what_is_allowed(wrong: Any) -> None:
    for generate_any in (m.generate_mmm_dataset, lambda config: m.generate_ensemble(config, n=2)):
        with pytest.raises(ConfigError, match=r"allowed: an MMMDataConfig, the name of a preset"):
            generate_any(wrong)


def test_validation_by_pydantic_s_own_doors_gives_the_same_error() -> None:
    bad = three_channels(spend_volatility=-1.0)
    for validate in (
        lambda: m.MMMDataConfig.model_validate(bad),
        lambda: m.MMMDataConfig.model_validate_json(json.dumps(bad)),
    ):
        assert refusal(validate).path == "channels.2.spend_volatility"


def test_a_price_of_zero_has_no_elasticity() -> None:
    price = {"name": "Price", "pattern": "on_off", "value_volatility": 0.0, "elasticity": -1.0}
    error = refusal(lambda: generate(with_field("control_variables", [price])))
    assert "Price" in str(error) or error.path.startswith("control_variables.0")


def test_counts_that_no_generator_can_draw_are_refused() -> None:
    regions = {"population": [1e-12, 3e5], "noise": {"kind": "negative_binomial"}}
    error = refusal(lambda: generate({"channels": [steady()], "regions": regions}))
    assert error.path.startswith("regions")


def test_flat_spelling_makes_what_it_says() -> None:
    tv = {"pattern": "seasonal", "seasonal_amplitude": 0.5, "base_effectiveness": 0.7}
    late = {"pattern": "delayed_start", "start_period": 10, "ramp_up_periods": 4}
    config = m.MMMDataConfig(
        n_periods=52,
        channels=[
            m.ChannelConfig(name="x-TV", base_spend=3000.0, **tv),
            m.ChannelConfig(name="x-Print", base_spend=800.0, **late),
        ],
        regions=m.RegionConfig(
            n_regions=2, region_names=["geo_a", "geo_b"], sales_trend=0.02, sales_volatility=0.15
        ),
        transforms=m.TransformConfig(
            adstock_fun="geometric_adstock",
            adstock_kwargs={"alpha": 0.5},
            saturation_fun="hill_function",
            saturation_kwargs={"slope": 1.0, "kappa": 1500.0},
        ),
    )
    ds = quietly(lambda: m.generate_mmm_dataset(config))
    assert list(ds["geo"].values) == ["geo_a", "geo_b"]
    assert list(ds["channel"].values) == ["TV", "Print"]
    assert (ds["adstock_alpha"] == 0.5).all()
    assert (ds["saturation_kappa"] == 1500.0).all()
    np.testing.assert_allclose(ds["effect"].sel(channel="TV"), 7000.0)
    assert_valid(ds)


def test_default_dataset_needs_no_argument_and_no_warning() -> None:
    assert_valid(m.generate_mmm_dataset())


def test_the_default_configuration_cannot_be_changed() -> None:
    default = m.DEFAULT_CONFIG.to_json()
    generate(m.DEFAULT_CONFIG, seed=3)
    parts = (m.DEFAULT_CONFIG, m.DEFAULT_CONFIG.regions, m.DEFAULT_CONFIG.channels[0])
    for owner, field in zip(parts, ("n_periods", "n_regions", "base_spend"), strict=True):
        with pytest.raises((ValidationError, AttributeError, TypeError, XgenError)):
            setattr(owner, field, 3)
    assert m.DEFAULT_CONFIG.to_json() == default


def test_a_config_shares_nothing_with_what_the_caller_passed() -> None:
    kwargs = {"alpha": 0.5}
    mapping = config_with(
        steady(adstock_fun="geometric_adstock", adstock_kwargs=kwargs),
        transforms={"saturation_fun": "hill_function", "saturation_kwargs": {"kappa": 900.0}},
    )
    before = copy.deepcopy(mapping)
    config = m.MMMDataConfig(**mapping)
    assert mapping == before
    kwargs["alpha"] = 0.9
    assert (generate(config)["adstock_alpha"] == 0.5).all(), "the config follows the caller's dict"
