"""Configurations as YAML and JSON: round trips, and texts that are refused."""

from __future__ import annotations

import itertools
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import mmm_xgen as m
from mmm_xgen.config.safe_yaml import dump_yaml, parse_yaml
from mmm_xgen.config.text import read_mapping
from mmm_xgen.errors import ConfigError, XgenError
from tests.config.faulty import refusal
from tests.strategies import config_dicts, config_with, quietly, steady


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


@pytest.mark.parametrize("text", ["", "[]", None, b"\xff", '{"seed": "x"}', 5])
def test_broken_json_at_pydantic_s_own_door_is_a_config_error(text: Any) -> None:
    error = refusal(lambda: m.MMMDataConfig.model_validate_json(text))
    assert "Input should be" not in str(error)


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


def assert_round_trips(config: Any, tmp_path: Path) -> None:
    text = config.to_yaml()
    assert m.MMMDataConfig.from_yaml(text) == config
    assert m.MMMDataConfig.from_json(config.to_json()) == config
    assert m.MMMDataConfig(**config.model_dump()) == config
    config.to_yaml(tmp_path / "config.yaml")
    config.to_json(tmp_path / "config.json")
    assert (tmp_path / "config.yaml").read_text(encoding="utf-8") == text
    assert m.MMMDataConfig.from_json(tmp_path / "config.json") == config


@pytest.mark.parametrize("name", ["demo", "reference_notebook"])
def test_presets_round_trip_through_yaml_and_json(name: str, tmp_path: Path) -> None:
    assert_round_trips(m.get_preset_config(name), tmp_path)


@given(mapping=config_dicts(max_periods=12))
def test_any_config_round_trips(
    tmp_path_factory: pytest.TempPathFactory, mapping: dict[str, Any]
) -> None:
    config = quietly(lambda: m.MMMDataConfig(**mapping))
    quietly(lambda: assert_round_trips(config, tmp_path_factory.mktemp("trip")))


def test_flat_and_nested_spelling_are_one_config() -> None:
    runs = {"activation_probability": 0.7, "min_active_periods": 2, "max_active_periods": 8}
    curve = {"slope": 1.0, "kappa": 900.0}
    flat = {"pattern": "on_off", **runs, "adstock_fun": "geometric_adstock"}
    flat |= {"adstock_kwargs": {"alpha": 0.3}, "saturation_fun": "hill_function"}
    nested = {
        "pattern": {"kind": "on_off", **runs},
        "adstock": {"kind": "geometric_adstock", "alpha": 0.3},
        "saturation": {"kind": "hill_function", **curve},
    }
    one, two = (
        m.MMMDataConfig(**config_with({"name": "Radio"} | spelling))
        for spelling in (flat | {"saturation_kwargs": curve}, nested)
    )
    assert one == two
    assert one.to_yaml() == two.to_yaml()
    channel = yaml.safe_load(one.to_yaml())["channels"][0]
    assert channel["pattern"]["kind"] == "on_off"
    assert channel["adstock"]["kind"] == "geometric_adstock"
    assert {"activation_probability", "adstock_kwargs"}.isdisjoint(channel)


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
