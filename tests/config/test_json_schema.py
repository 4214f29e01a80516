"""The JSON Schema accepts what the configuration accepts, in both spellings."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

import mmm_xgen
from mmm_xgen.config.text import parse_yaml
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.baseline import TRENDS
from mmm_xgen.kernels.noise import NOISES
from mmm_xgen.kernels.patterns import PATTERNS
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.presets import preset_yaml

VALIDATOR = jsonschema.Draft202012Validator(mmm_xgen.MMMDataConfig.model_json_schema())


def problems(data: Any) -> list[str]:
    return [
        error.message for error in VALIDATOR.iter_errors(json.loads(json.dumps(data, default=str)))
    ]


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(VALIDATOR.schema)


def test_each_kind_stands_once() -> None:
    text = json.dumps(VALIDATOR.schema)
    registries = (PATTERNS, ADSTOCKS, SATURATIONS, TRENDS, NOISES)
    names = [name for registry in registries for name in registry]
    assert [name for name in names if text.count(f'"const": "{name}"') != 1] == []


@pytest.mark.parametrize("name", mmm_xgen.list_available_presets())
def test_presets_pass_as_written_and_as_dumped(name: str) -> None:
    assert problems(parse_yaml(preset_yaml(name))) == []
    assert problems(json.loads(mmm_xgen.get_preset_config(name).to_json())) == []


@pytest.mark.parametrize(
    "channel",
    [
        {"patern": "seasonal"},
        {"base_spend": "much"},
        {"base_spend": -1},
        {"pattern": {"kind": "seasonl"}},
        {"pattern": {"kind": "seasonal", "spend_trend": 0.1}},
        {"adstock_fun": "geometric"},
        {"adstock": {"kind": "geometric_adstock", "theta": 2}},
        {"saturation": {"kind": "hill_function", "slope": 0}},
    ],
)
def test_what_the_configuration_refuses_it_refuses(channel: dict[str, Any]) -> None:
    data = {"channels": [{"name": "TV", **channel}]}
    with pytest.raises(mmm_xgen.ConfigError):
        mmm_xgen.MMMDataConfig.from_dict(data)
    assert problems(data)
