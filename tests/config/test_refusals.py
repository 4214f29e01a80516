"""Bad configs: one ConfigError of one line that names the path as written; and no other error."""

from __future__ import annotations

import copy
import itertools
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mmm_xgen as m
from mmm_xgen.config.safe_yaml import dump_yaml, parse_yaml
from mmm_xgen.config.text import read_mapping
from mmm_xgen.errors import ConfigError, XgenError
from tests.strategies import (
    PATTERN_KINDS,
    assert_valid,
    config_dicts,
    config_with,
    generate,
    quietly,
    reckless_config_dicts,
    steady,
    warnings_of,
)

quick = settings(
    max_examples=50,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def three_channels(**last: Any) -> dict[str, Any]:
    """Mapping of three channels, the last with the given keys."""
    return config_with(
        steady("TV"), steady("Radio", pattern="seasonal"), steady("Web", pattern="on_off") | last
    )


def with_field(path: str, value: Any) -> dict[str, Any]:
    """Copy of a valid mapping with one dotted entry set."""
    config: Any = three_channels()
    config["transforms"] = {"adstock_fun": "geometric_adstock", "adstock_kwargs": {"alpha": 0.5}}
    config["control_variables"] = [{"name": "Price", "pattern": "linear_trend"}]
    config["regions"]["n_regions"] = 3
    node, keys = config, path.split(".")
    for key, following in itertools.pairwise(keys):
        if isinstance(node, list):
            node = node[int(key)]
        else:
            node = node.setdefault(key, [] if following.isdigit() else {})
    if isinstance(node, list):
        node[int(keys[-1])] = value
    else:
        node[keys[-1]] = value
    return config


def test_the_mapping_that_the_errors_start_from_is_valid() -> None:
    assert_valid(generate(with_field("seed", 3)))


def refusal(build: Callable[[], Any]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        quietly(build)
    error = caught.value
    assert "\n" not in str(error)
    assert "pydantic" not in str(error).lower()
    assert str(error).startswith(error.path)
    return error


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
]
IDS = [f"{path}={str(value)[:20]}" for path, value, _ in CASES]

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


@pytest.mark.parametrize(("path", "value", "needed"), CASES, ids=IDS)
def test_bad_entry_is_refused_with_path_found_and_allowed(
    path: str, value: Any, needed: list[str]
) -> None:
    config = with_field(path, value)
    assert_teaches(refusal(lambda: generate(config)), path, needed)


@pytest.mark.parametrize(("path", "value", "needed"), CASES, ids=IDS)
def test_bad_entry_of_a_yaml_text_is_refused_alike(
    path: str, value: Any, needed: list[str]
) -> None:
    text = yaml.safe_dump(with_field(path, value))
    error = refusal(lambda: m.generate_mmm_dataset(m.MMMDataConfig.from_yaml(text)))
    assert_teaches(error, path, needed)


@pytest.mark.parametrize(
    ("path", "value", "needed"),
    [case for case in CASES if case[0] in ("n_periods", "channels.2.adstock_kwargs.alpha")],
)
def test_bad_entry_of_a_json_text_or_a_file_is_refused_alike(
    tmp_path: Path, path: str, value: Any, needed: list[str]
) -> None:
    config = with_field(path, value)
    needed = [word.replace("True", "rue").replace("None", "") for word in needed]
    assert_teaches(refusal(lambda: m.MMMDataConfig.from_json(json.dumps(config))), path, needed)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    assert_teaches(
        refusal(lambda: m.MMMDataConfig.from_yaml(tmp_path / "config.yaml")), path, needed
    )


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
    error = refusal(lambda: m.ChannelConfig(name="TV", base_spend=-2.0))
    assert error.path == "base_spend"
    error = refusal(
        lambda: m.ChannelConfig(
            name="TV", adstock_fun="geometric_adstock", adstock_kwargs={"alpha": 2.0}
        )
    )
    assert error.path == "adstock_kwargs.alpha"
    assert refusal(lambda: m.RegionConfig(n_regions=-1)).path == "n_regions"
    error = refusal(lambda: m.TransformConfig(adstock_kwargs={"alpha": -1.0}))
    assert error.path == "adstock_kwargs.alpha"


@pytest.mark.parametrize("names", [["TV", "TV"], ["TV", "x-TV"], ["x-TV", "x-TV"]])
def test_duplicate_channel_names_are_refused(names: list[str]) -> None:
    config = config_with(*[steady(name) for name in names])
    error = refusal(lambda: generate(config))
    assert error.path == "channels.1.name"
    assert "TV" in error.message


def test_duplicate_names_of_controls_and_regions_are_refused() -> None:
    twice = [
        {"name": "Price", "pattern": "linear_trend"},
        {"name": "c-Price", "pattern": "uniform"},
    ]
    error = refusal(lambda: generate(with_field("control_variables", twice)))
    assert error.path == "control_variables.1.name"
    assert "Price" in error.message
    config = config_with(steady(), regions={"n_regions": 3, "region_names": ["n", "s", "n"]})
    error = refusal(lambda: generate(config))
    assert error.path.startswith("regions.region_names")
    assert "'n'" in error.message


def test_an_unnamed_channel_may_not_collide_with_a_named_one() -> None:
    config = config_with(steady("x2"), {"pattern": "linear_trend"})
    outcome = None
    try:
        outcome = generate(config)
    except ConfigError as error:
        assert "x2" in str(error)
    else:
        assert len(set(outcome["channel"].values)) == 2


def test_two_spellings_of_one_thing_are_refused() -> None:
    both = {
        "roas": steady(roas=1.0, base_effectiveness=0.1),
        "adstock": steady(
            adstock={"kind": "geometric_adstock", "alpha": 0.3},
            adstock_fun="geometric_adstock",
            adstock_kwargs={"alpha": 0.4},
        ),
        "half_life": steady(
            adstock={"kind": "geometric_adstock", "alpha": 0.3, "half_life": "10D"}
        ),
        "kwargs": steady(
            adstock={"kind": "geometric_adstock", "alpha": 0.3}, adstock_kwargs={"alpha": 0.4}
        ),
        "pattern": steady(pattern={"kind": "linear_trend", "spend_trend": 0.1}, spend_trend=0.2),
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
        {"freq": "D", "start_date": "1600-02-29"},
        {"freq": "D", "start_date": "9999-12-01"},
        {"freq": "W", "n_periods": 30_000},
        {"freq": "MS", "start_date": "2022-01-01", "n_periods": 9_000},
    ],
)
def test_dates_that_a_timestamp_cannot_hold_are_refused_or_right(fields: dict[str, Any]) -> None:
    config = config_with(steady()) | fields
    try:
        dates = generate(config)["date"].values
    except ConfigError as error:
        refused = str(error)
        assert error.path in ("start_date", "n_periods"), refused
    else:
        assert str(dates[0].astype("datetime64[D]")) == config["start_date"]
        assert (dates[1:] > dates[:-1]).all()


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
    error = refusal(lambda: m.MMMDataConfig.model_validate(bad))
    assert error.path == "channels.2.spend_volatility"
    error = refusal(lambda: m.MMMDataConfig.model_validate_json(json.dumps(bad)))
    assert error.path == "channels.2.spend_volatility"


def test_a_price_of_zero_has_no_elasticity() -> None:
    price = {"name": "Price", "pattern": "on_off", "value_volatility": 0.0, "elasticity": -1.0}
    error = refusal(lambda: generate(with_field("control_variables", [price])))
    assert "Price" in str(error) or error.path.startswith("control_variables.0")


def test_counts_that_no_generator_can_draw_are_refused() -> None:
    regions = {"population": [1e-12, 3e5], "noise": {"kind": "negative_binomial"}}
    error = refusal(lambda: generate({"channels": [steady()], "regions": regions}))
    assert error.path.startswith("regions")


def test_unknown_presets_are_refused_with_the_nearest() -> None:
    error = refusal(lambda: m.get_preset_config("basik"))
    assert "basik" in str(error)
    assert "'basic'" in str(error)
    assert isinstance(error, KeyError)
    refusal(lambda: m.customize_preset("basik", n_periods=3))
    refusal(lambda: m.get_preset_config("../basic"))


def test_overrides_of_a_preset_are_refused_by_their_own_path() -> None:
    cases: dict[str, Any] = {
        "n_period": 10,
        "n_periods": -10,
        "regions.base_sales_rate": -1.0,
        "regions.base_sales_rat": 1.0,
        "channels.0.base_spend": -1.0,
        "channels.99.base_spend": 1.0,
    }
    for path, value in cases.items():
        error = refusal(lambda path=path, value=value: m.customize_preset("basic", **{path: value}))
        assert error.path == path or path.startswith(error.path + "."), path


def test_overrides_of_a_preset_reach_every_depth() -> None:
    changed = m.customize_preset(
        "basic", n_periods=104, seed=123, **{"regions.base_sales_rate": 777.0}
    )
    assert (changed.n_periods, changed.seed) == (104, 123)
    assert changed.regions.base_sales_rate == 777.0
    same = m.customize_preset("basic", n_periods=104, seed=123, regions={"base_sales_rate": 777.0})
    assert same == changed
    first = m.customize_preset("basic", **{"channels.0.base_spend": 4321.0})
    assert first.channels[0].base_spend == 4321.0
    assert first.channels[1:] == m.get_preset_config("basic").channels[1:]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- 1\n- 2\n",
        "just a word",
        "n_periods: [1, 2",
        "n_periods: 10\nn_periods: 20\n",
        "a: b: c",
        "\tn_periods: 3",
        "channels: !!python/object:os.system {}",
        "channels: !!python/object/apply:os.getcwd []",
        "seed: !!binary AAAA",
        "a: &a [*a]",
        "n_periods: 10\n---\nn_periods: 20\n",
        "\x00",
        "{1: 2}",
        "? [a, b]\n: 3\n",
        "start_date: 2022-02-31",
        "n_periods: !!int ''",
        "n_periods: !!int 012",
        "seed: !!float x",
        "seed: !!bool ''",
        "start_date: !!timestamp x",
        "channels: !!set {a, b}",
        "? !!set {a}\n: 3\n",
        "? {a: 1}\n: 3\n",
        "seed: " + "9" * 5000,
        "channels: " + "[" * 950 + "]" * 950,
        "channels: " + "{a: " * 950 + "1" + "}" * 950,
    ],
)
def test_broken_yaml_is_a_config_error(text: str) -> None:
    error = refusal(lambda: m.MMMDataConfig.from_yaml(text))
    assert len(str(error)) > 15


BROKEN_JSON = {
    "": "JSON",
    "{": "JSON",
    "[]": "mapping",
    "null": "mapping",
    '{"seed": NaN}': "NaN",
    '{"seed": -Infinity}': "-Infinity",
    '{"seed": 1, "seed": 2}': "'seed' twice",
    '{"channels": [{"name": "TV", "name": "TV"}]}': "'name' twice",
    "{]": "JSON",
    '{"a": "\0"}': "JSON",
    '{"\\ud800": 1}': "ud800",
    '{"seed": ' + "9" * 5000 + "}": "JSON",
    '{"a": ' + "[" * 900 + "]" * 900 + "}": "nested",
    '{"a": ' * 900 + "1" + "}" * 900: "nested",
}


@pytest.mark.parametrize("text", BROKEN_JSON)
def test_broken_json_is_a_config_error(text: str) -> None:
    assert BROKEN_JSON[text] in str(refusal(lambda: m.MMMDataConfig.from_json(text)))


def test_a_mapping_that_is_nested_too_deep_is_a_config_error() -> None:
    deep: Any = 1
    for _ in range(20_000):
        deep = [deep]
    assert "nested" in str(refusal(lambda: m.MMMDataConfig(channels=deep)))
    assert "nested" in str(refusal(lambda: m.MMMDataConfig.from_dict({"channels": deep})))


def test_aliases_that_multiply_are_refused_at_once() -> None:
    names = "abcdefghi"
    lists = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
        for before, name in itertools.pairwise(names)
    )
    merges = "a: &a {k: v}\n" + "".join(
        f"{name}: &{name}\n  <<: [{', '.join([f'*{before}'] * 9)}]\n"
        for before, name in itertools.pairwise(names)
    )
    for bomb in (lists, merges):
        started = time.process_time()
        assert "aliases" in str(refusal(lambda text=bomb: m.MMMDataConfig.from_yaml(text)))
        assert time.process_time() - started < 1
    # Aliases as people use them.
    blocks = "".join(f"  - {{name: C{k}, adstock: *one}}\n" for k in range(50))
    text = "channels:\n  - {name: TV, adstock: &one {kind: geometric_adstock, alpha: 0.2}}\n"
    config = m.MMMDataConfig.from_yaml(text + blocks)
    assert {spec.parameters["alpha"] for spec in config.adstocks} == {0.2}


# What YAML 1.1 or YAML 1.2 takes for something else than a text, after their specifications.
OTHER_THAN_TEXT = re.compile(
    r"|null|~|true|false|y|yes|n|no|on|off|<<|="
    r"|[-+]?[0-9]+|0o[0-7]+|[-+]?0x[0-9a-f_]+|[-+]?0b[01_]+|[-+]?[0-9][0-9_]*"
    r"|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)(e[-+]?[0-9]+)?"
    r"|[-+]?([0-9][0-9_]*)?\.[0-9._]*(e[-+][0-9]+)?"
    r"|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"
    r"|[-+]?\.(inf|nan)|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*",
    re.IGNORECASE,
)
CODES = [
    *("11002E1", "012", "02134", "09", "1:30", "190:20:30.15", "0o14", "1_000", "0x1F", "0b11"),
    *("1e3", "1E400", ".5", "1.", "+12", ".", "-.INF", ".nan", "yes", "Off", "n", "Y", "null"),
    *("~", "=", "<<", "2022-01-03", "2022-1-3 10:00", "-", "1,5", "10D", "a: b # c"),
]


@given(
    text=st.sampled_from(CODES)
    | st.text("0123456789eE+-._:oxbnN~ aIf<=#'\"\\,[]{}&*!|>%@`\t\né", max_size=8)
)
def test_a_text_is_written_so_that_every_reader_of_yaml_takes_it_for_a_text(text: str) -> None:
    written = dump_yaml({"name": text, text: 1})
    assert parse_yaml(written) == {"name": text, text: 1}
    assert yaml.safe_load(written) == {"name": text, text: 1}
    node = yaml.compose(dump_yaml([text])).value[0]
    assert node.style or not OTHER_THAN_TEXT.fullmatch(text)


def test_what_readers_of_yaml_take_for_different_numbers_is_a_text() -> None:
    codes = ["012", "02134", "09", "1:30", "190:20:30.15", "0o14", "1_000", "1.5_0", "0b11", "="]
    assert parse_yaml(f"[{', '.join(codes)}]") == codes
    assert parse_yaml("[12, -3, 0, 0x1F, 1e3, 1.5, .5, 1., -1.5E-2, .inf]") == [
        *(12, -3, 0, 31, 1000.0, 1.5, 0.5, 1.0, -0.015, float("inf")),
    ]
    geos = "channels: [{name: TV}]\nregions: {region_names: [02134, 08540]}"
    assert m.MMMDataConfig.from_yaml(geos).regions.names == ("02134", "08540")
    error = refusal(lambda: m.MMMDataConfig.from_yaml("channels: [{base_spend: 1_000}]"))
    assert error.path == "channels.0.base_spend"
    assert "'1_000'" in error.message and "digits without quotes" in error.message
    error = refusal(lambda: m.MMMDataConfig.from_yaml("channels: [{name: 11002E1}]"))
    assert error.path == "channels.0.name" and "in quotes" in error.message


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    config = m.get_preset_config("basic")
    for suffix, text in {"yaml": config.to_yaml(), "json": config.to_json()}.items():
        path = tmp_path / f"config.{suffix}"
        path.write_text(text, encoding="utf-8-sig")
        assert m.MMMDataConfig.from_dict(read_mapping(path)) == config
    assert m.MMMDataConfig.from_json("\ufeff" + config.to_json()) == config


@pytest.mark.parametrize("text", ["", "{", "[]", "null", None, b"\xff", '{"seed": "x"}', "{]", 5])
def test_broken_json_at_pydantic_s_own_door_is_a_config_error(text: Any) -> None:
    error = refusal(lambda: m.MMMDataConfig.model_validate_json(text))
    assert "Input should be" not in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("write", [m.MMMDataConfig.to_yaml, m.MMMDataConfig.to_json])
def test_a_missing_folder_is_named_and_no_temporary_file(write: Any, tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "config.txt"
    with pytest.raises(XgenError, match=r"there is no folder .*nowhere.*; make it first") as error:
        write(m.DEFAULT_CONFIG, path)
    assert str(error.value).startswith(f"{path}: ")
    with pytest.raises(XgenError, match="this is a folder"):
        write(m.DEFAULT_CONFIG, tmp_path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises((ConfigError, FileNotFoundError)) as error:
        m.MMMDataConfig.from_yaml(tmp_path / "absent.yaml")
    assert "absent.yaml" in str(error.value)


# ------------------------------------------------------------------ round trips


def assert_round_trips(config: Any, tmp_path: Path) -> None:
    text = config.to_yaml()
    assert m.MMMDataConfig.from_yaml(text) == config
    assert m.MMMDataConfig.from_yaml(text).to_yaml() == text
    assert m.MMMDataConfig.from_json(config.to_json()) == config
    config.to_yaml(tmp_path / "config.yaml")
    config.to_json(tmp_path / "config.json")
    assert m.MMMDataConfig.from_yaml(tmp_path / "config.yaml") == config
    assert m.MMMDataConfig.from_json(tmp_path / "config.json") == config
    assert m.MMMDataConfig(**yaml.safe_load(text)) == config
    assert m.MMMDataConfig(**config.model_dump()) == config


@pytest.mark.parametrize("name", ["default", *sorted(m.list_available_presets())])
def test_presets_round_trip_through_yaml_and_json(name: str, tmp_path: Path) -> None:
    config = m.DEFAULT_CONFIG if name == "default" else m.get_preset_config(name)
    assert_round_trips(config, tmp_path)


@quick
@given(mapping=config_dicts())
def test_any_config_round_trips(
    tmp_path_factory: pytest.TempPathFactory, mapping: dict[str, Any]
) -> None:
    config = quietly(lambda: m.MMMDataConfig(**mapping))
    quietly(lambda: assert_round_trips(config, tmp_path_factory.mktemp("trip")))


def test_flat_and_nested_spelling_are_one_config() -> None:
    flat = config_with(
        {
            "name": "Radio",
            "pattern": "on_off",
            "activation_probability": 0.7,
            "min_active_periods": 2,
            "max_active_periods": 8,
            "adstock_fun": "geometric_adstock",
            "adstock_kwargs": {"alpha": 0.3},
            "saturation_fun": "hill_function",
            "saturation_kwargs": {"slope": 1.0, "kappa": 900.0},
        },
        regions={"sales_trend": 0.02, "sales_volatility": 0.15},
    )
    nested = copy.deepcopy(flat)
    nested["channels"] = [
        {
            "name": "Radio",
            "base_effectiveness": 0.05,
            "pattern": {
                "kind": "on_off",
                "activation_probability": 0.7,
                "min_active_periods": 2,
                "max_active_periods": 8,
            },
            "adstock": {"kind": "geometric_adstock", "alpha": 0.3},
            "saturation": {"kind": "hill_function", "slope": 1.0, "kappa": 900.0},
        }
    ]
    one, two = m.MMMDataConfig(**flat), m.MMMDataConfig(**nested)
    assert one == two
    assert one.to_yaml() == two.to_yaml()
    channel = yaml.safe_load(one.to_yaml())["channels"][0]
    assert channel["pattern"]["kind"] == "on_off"
    assert "activation_probability" not in channel
    assert "adstock_kwargs" not in channel
    assert channel["adstock"]["kind"] == "geometric_adstock"


def test_dates_numbers_and_names_survive_yaml() -> None:
    tricky = config_with(
        steady("no"), steady("007", base_spend=1e-7), steady("a: b # c"), start_date="2022-01-03"
    )
    config = m.MMMDataConfig(**tricky)
    again = m.MMMDataConfig.from_yaml(config.to_yaml())
    assert again == config
    assert [channel.name for channel in again.channels] == ["no", "007", "a: b # c"]
    assert again.channels[1].base_spend == 1e-7


def test_arrays_and_their_dates_are_lists_and_days() -> None:
    days = np.array(["2022-01-03", "2022-01-10"], dtype="datetime64[ns]")
    sizes = np.array([2e6, 1e6])
    regions = m.RegionConfig(population=sizes)
    assert (regions.n_regions, regions.population) == (2, (2e6, 1e6))
    names = m.RegionConfig().replace(region_names=np.array(["a", "b"]))
    assert names.names == ("a", "b")
    assert names.replace(region_names=None, population=sizes[:1]).n_regions == 1
    with pytest.raises(ConfigError, match="population: found 5, allowed: a list"):
        names.replace(population=5)
    config = m.MMMDataConfig.from_dict(config_with(steady("TV"), start_date=days[1]))
    assert config.start_date == "2022-01-10"
    with pytest.raises(ConfigError, match="start_date: found 'NaT'"):
        config.replace(start_date=np.datetime64("NaT"))
    for dates in (days, list(days)):
        event = m.EventConfig(name="Sale", dates=dates, effect=0.1)
        assert event.dates == ("2022-01-03", "2022-01-10")
    test = m.ExperimentConfig(channel="TV", start=days[0], end=days[1], change=0.5)
    assert (test.start, test.end) == ("2022-01-03", "2022-01-10")


def test_configs_are_frozen_and_hashable_by_value() -> None:
    config = m.MMMDataConfig(**three_channels())
    for owner, field in ((config, "seed"), (config.channels[0], "base_spend")):
        with pytest.raises((XgenError, ValueError, AttributeError, TypeError)):
            setattr(owner, field, 3)
    assert config == m.MMMDataConfig(**three_channels())


# ------------------------------------------------------------------ snippets of DESIGN section 4


def test_flat_snippets_work_as_they_stand() -> None:
    from mmm_xgen import (
        ChannelConfig,
        MMMDataConfig,
        RegionConfig,
        TransformConfig,
        customize_preset,
        generate_mmm_dataset,
    )

    channels = [
        ChannelConfig(
            name="x-TV",
            pattern="seasonal",
            base_spend=3000.0,
            seasonal_amplitude=0.5,
            base_effectiveness=0.7,
        ),
        ChannelConfig(
            name="x-Digital", pattern="linear_trend", base_spend=1500.0, spend_trend=0.08
        ),
        ChannelConfig(
            name="x-Print",
            pattern="delayed_start",
            base_spend=800.0,
            start_period=10,
            ramp_up_periods=4,
        ),
        ChannelConfig(
            name="x-Radio",
            pattern="on_off",
            base_spend=1000.0,
            activation_probability=0.7,
            min_active_periods=2,
            max_active_periods=8,
        ),
    ]
    regions = RegionConfig(
        n_regions=3,
        region_names=["geo_a", "geo_b", "geo_c"],
        base_sales_rate=10000.0,
        sales_trend=0.02,
        sales_volatility=0.15,
        seasonal_amplitude=0.2,
    )
    transforms = TransformConfig(
        adstock_fun="geometric_adstock",
        adstock_kwargs={"alpha": 0.5},
        saturation_fun="hill_function",
        saturation_kwargs={"slope": 1.0, "kappa": 1500.0},
    )
    config = MMMDataConfig(n_periods=52, channels=channels, seed=42)
    assert quietly(lambda: generate_mmm_dataset(config)).sizes["date"] == 52
    whole = MMMDataConfig(
        n_periods=52, channels=channels, regions=regions, transforms=transforms, seed=42
    )
    ds = quietly(lambda: generate_mmm_dataset(whole))
    assert dict(ds.sizes)["geo"] == 3
    assert list(ds["geo"].values) == ["geo_a", "geo_b", "geo_c"]
    assert list(ds["channel"].values) == ["TV", "Digital", "Print", "Radio"]
    assert (ds["adstock_alpha"] == 0.5).all()
    assert (ds["saturation_kappa"] == 1500.0).all()
    np.testing.assert_allclose(ds["effect"].sel(channel="TV"), 7000.0)
    assert_valid(ds)
    custom = customize_preset("basic", n_periods=104, seed=123)
    assert (custom.n_periods, custom.seed) == (104, 123)
    assert quietly(lambda: generate_mmm_dataset(custom)).sizes["date"] == 104


def test_default_dataset_needs_no_argument_and_no_warning() -> None:
    ds = m.generate_mmm_dataset()
    assert_valid(ds)
    assert isinstance(ds, xr.Dataset)


# ------------------------------------------------------------------ questionable, but legal


def test_media_above_60_percent_of_sales_warns() -> None:
    curve = {"kind": "hill_function", "slope": 1.0, "kappa": 100.0}
    messages = warnings_of(
        lambda: m.generate_mmm_dataset(
            m.MMMDataConfig(
                **config_with(steady(base_spend=9000.0, base_effectiveness=4.0, saturation=curve))
            )
        )
    )
    assert any("media" in text.lower() and "%" in text for text in messages), messages


@pytest.mark.parametrize("roas", [0.05, 25.0])
def test_roas_outside_its_plausible_range_warns(roas: float) -> None:
    channel = {"name": "Billboard", "pattern": "linear_trend", "base_spend": 10.0, "roas": roas}
    config = config_with() | {"channels": [channel]}
    messages = warnings_of(lambda: m.generate_mmm_dataset(m.MMMDataConfig(**config)))
    assert any("roas" in text.lower() and "Billboard" in text for text in messages), messages
    channel["roas"] = 1.0
    assert not warnings_of(lambda: m.generate_mmm_dataset(m.MMMDataConfig(**config)))


@pytest.mark.parametrize(
    "idle",
    [
        {"base_spend": 0.0, "pattern": "linear_trend"},
        {"pattern": "on_off", "activation_probability": 0.0},
        {"pattern": "delayed_start", "start_period": 52},
    ],
)
def test_a_channel_that_never_runs_warns_by_name(idle: dict[str, Any]) -> None:
    config = m.MMMDataConfig(**config_with({"name": "Ghost"} | idle))
    messages = warnings_of(lambda: m.generate_mmm_dataset(config))
    assert any("Ghost" in text for text in messages), messages


def test_two_channels_that_move_together_warn_by_name() -> None:
    twins = [steady(name, spend_trend=0.02) for name in ("Left", "Right")]
    config = m.MMMDataConfig(**config_with(*twins))
    messages = warnings_of(lambda: m.generate_mmm_dataset(config))
    assert any("Left" in text and "Right" in text for text in messages), messages


def test_sales_clipped_at_zero_warn_with_the_count() -> None:
    config = m.MMMDataConfig(**config_with(steady(), regions={"sales_volatility": 2.0}))
    messages = warnings_of(lambda: m.generate_mmm_dataset(config))
    clipped = int((generate(config)["y"] == 0).sum())
    assert any(str(clipped) in text and "0" in text for text in messages), messages


def test_questionable_settings_pass_when_the_user_ignores_them() -> None:
    config = config_with(steady("Left", base_spend=0.0), steady("Right", base_effectiveness=9.0))
    assert_valid(generate(config))


def test_a_plausible_config_is_silent() -> None:
    config = config_with(
        {"name": "TV", "pattern": "on_off", "base_spend": 1000.0, "roas": 1.2},
        {"name": "Web", "pattern": "always_on", "base_spend": 500.0, "roas": 2.0},
        n_periods=104,
        regions={"sales_volatility": 0.05},
    )
    assert not warnings_of(lambda: m.generate_mmm_dataset(m.MMMDataConfig(**config)))


# ------------------------------------------------------------------ fuzz


def outcome(build: Callable[[], xr.Dataset]) -> str:
    """ "dataset" or "refused"; any other exception or warning passes through."""
    try:
        ds = quietly(build)
    except ConfigError as error:
        assert "\n" not in str(error)
        assert str(error)
        return "refused"
    assert_valid(ds)
    return "dataset"


def test_200_random_configs_give_a_valid_dataset_or_a_config_error() -> None:
    counts: Counter[str] = Counter()

    @settings(quick, max_examples=200)
    @given(mapping=reckless_config_dicts())
    def one(mapping: dict[str, Any]) -> None:
        counts[outcome(lambda: m.generate_mmm_dataset(m.MMMDataConfig(**mapping)))] += 1

    one()
    # Configs that are all refused, or all sound, would show little.
    assert counts["dataset"] >= 40, counts
    assert counts["refused"] >= 40, counts


@settings(quick, max_examples=100)
@given(mapping=config_dicts(max_periods=15))
def test_100_sound_configs_are_all_accepted(mapping: dict[str, Any]) -> None:
    assert outcome(lambda: m.generate_mmm_dataset(m.MMMDataConfig(**mapping))) == "dataset"


SCALARS: list[Any] = [
    0,
    -1,
    3,
    1e-9,
    1e9,
    1e308,
    -1e308,
    float("nan"),
    float("inf"),
    10**9,
    10**30,
    True,
    None,
    "",
    "word",
    "2022-02-30",
    [],
    [1, 2],
    {},
    {"kind": "hill_function"},
    {"kind": "nonsense"},
    [[{}]],
]
LINES = [
    "!!python/object:os.system {}",
    "!!python/object/apply:os.getcwd []",
    "!!timestamp 2022-99-99",
    "{",
    "]",
    "'",
    '"',
    "&a [*a]",
    "*missing",
    ": :",
    "\t",
    "%",
    "- - -",
    "!!set {a, b}",
    "0x7fffffffffffffffffff",
    "1_000",
    "12:30:45",
    "~",
]


def places(node: Any) -> list[tuple[Any, Any]]:
    pairs = (
        list(node.items())
        if isinstance(node, dict)
        else list(enumerate(node))
        if isinstance(node, list)
        else []
    )
    return [(node, key) for key, _ in pairs] + [p for _, child in pairs for p in places(child)]


def mutilate_tree(config: dict[str, Any], dice: random.Random) -> None:
    spots = places(config)
    if not spots:
        return
    node, key = dice.choice(spots)
    edit = dice.choice(["drop", "value", "value", "rename", "list", "scalar", "duplicate", "scale"])
    if edit == "drop":
        del node[key]
    elif edit == "value":
        node[key] = copy.deepcopy(dice.choice(SCALARS))
    elif edit == "rename" and isinstance(node, dict):
        letters = list(str(key))
        letters[dice.randrange(len(letters))] = dice.choice("abcxyz_. -")
        node["".join(letters)] = node.pop(key)
    elif edit == "list":
        node[key] = [node[key]] * dice.choice([1, 2])
    elif edit == "scalar" and isinstance(node[key], list | dict):
        node[key] = dice.choice([1, "word", next(iter(node[key]), 0)])
    elif edit == "duplicate" and isinstance(node, list):
        node.append(copy.deepcopy(node[key]))
    elif edit == "scale" and isinstance(node[key], int | float):
        node[key] = node[key] * dice.choice([-1, 0, 1e3, 1e200, 0.5])


def mutilate_text(text: str, dice: random.Random) -> str:
    lines = text.splitlines()
    spot = dice.randrange(len(lines))
    edit = dice.choice(["drop", "duplicate", "indent", "value", "character", "cut", "swap"])
    if edit == "drop":
        del lines[spot]
    elif edit == "duplicate":
        lines.insert(spot, lines[spot])
    elif edit == "indent":
        lines[spot] = dice.choice(["  ", " ", "\t", "- "]) + lines[spot]
    elif edit == "value" and ":" in lines[spot]:
        lines[spot] = lines[spot].split(":")[0] + ": " + dice.choice(LINES)
    elif edit == "character" and lines[spot]:
        where = dice.randrange(len(lines[spot]))
        junk = dice.choice("{}[]!&*#|>'\"%@`:,-?\x07é")
        lines[spot] = lines[spot][:where] + junk + lines[spot][where + 1 :]
    elif edit == "cut":
        lines = lines[: spot + 1]
    elif edit == "swap":
        other = dice.randrange(len(lines))
        lines[spot], lines[other] = lines[other], lines[spot]
    return "\n".join(lines) + "\n"


def mutilated(number: int, sources: list[str]) -> str:
    """The ``number``-th mutilated text; the same one in every run."""
    dice = random.Random(number)
    text = dice.choice(sources)
    if dice.random() < 0.6:
        config = yaml.safe_load(text)
        for _ in range(dice.choice([1, 1, 2, 4])):
            mutilate_tree(config, dice)
        text = yaml.safe_dump(config, sort_keys=False)
    else:
        for _ in range(dice.choice([1, 1, 2])):
            text = mutilate_text(text, dice)
    return text


@pytest.fixture(scope="module")
def sources() -> list[str]:
    """Presets as YAML, cut to few periods, and one flat spelling of every pattern."""
    texts = [
        m.customize_preset(name, n_periods=16).to_yaml()
        for name in ("basic", "multi_region", "demo", "reference_notebook", "small_business")
    ]
    flat = [
        yaml.safe_dump(three_channels() | {"n_periods": 16}),
        yaml.safe_dump(with_field("transforms.saturation_kwargs", {"slope": 1.0, "kappa": 900.0})),
    ]
    assert len(PATTERN_KINDS) == 10
    return texts + flat


@pytest.mark.parametrize("batch", range(5))
def test_500_mutilated_files_give_a_valid_dataset_or_a_config_error(
    batch: int, sources: list[str]
) -> None:
    outcomes = []
    for number in range(100 * batch, 100 * (batch + 1)):
        text = mutilated(number, sources)
        try:
            outcomes.append(
                outcome(lambda text=text: m.generate_mmm_dataset(m.MMMDataConfig.from_yaml(text)))
            )
        except Exception as error:
            error.add_note(f"mutilated file {number}:\n{text}")
            raise
    # Edits that are all refused, or all harmless, would test little.
    assert outcomes.count("refused") > 20
    assert outcomes.count("dataset") > 5


HUGE, ESCAPES = "a" * 1_300_000, "\x1b]0;title\x07\x9b31m\u202ereversed\u2028"


@pytest.mark.parametrize("text", [HUGE, ESCAPES])
@pytest.mark.parametrize(
    "cause",
    [
        lambda text: m.MMMDataConfig.model_validate({text: 1}),
        lambda text: m.MMMDataConfig(n_periods=text),
        lambda text: m.ChannelConfig(name="TV", **{text: 1}),
        lambda text: m.ChannelConfig(name="TV", pattern=text),
        lambda text: m.RegionConfig(region_names=[text, text]),
        lambda text: m.customize_preset("basic", **{text: 1}),
        lambda text: m.get_preset_config(text),
        lambda text: m.load(text[:200]),
        lambda text: m.to_frame(m.generate_mmm_dataset().assign_coords(geo=[text, text])),
    ],
)  # fmt: skip
def test_messages_are_one_printable_line_of_bounded_length(
    cause: Callable[[str], object], text: str
) -> None:
    with pytest.raises(m.XgenError) as caught:
        cause(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 1000
    assert len(getattr(caught.value, "message", "")) <= 1000
