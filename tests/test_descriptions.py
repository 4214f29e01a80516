"""Every key of a configuration is described in `help()` and in the JSON Schema."""

from __future__ import annotations

import json
import pydoc
import re
from collections.abc import Iterator
from typing import Any

import pytest

import mmm_xgen
from mmm_xgen.config.channel import ADSTOCK, PATTERN, SATURATION
from mmm_xgen.config.descriptions import keys_of_kind, parameters, summary
from mmm_xgen.config.region import NOISE, TREND, OutlierConfig, SeasonalityConfig
from mmm_xgen.config.spend_plan import SpendPlanConfig
from mmm_xgen.kernels.baseline import EVENT_SHAPES

MODELS = [
    mmm_xgen.MMMDataConfig,
    mmm_xgen.ChannelConfig,
    mmm_xgen.ControlConfig,
    mmm_xgen.EventConfig,
    mmm_xgen.ExperimentConfig,
    mmm_xgen.RegionConfig,
    mmm_xgen.TransformConfig,
    OutlierConfig,
    SeasonalityConfig,
    SpendPlanConfig,
]
KINDS = {
    mmm_xgen.ChannelConfig: [PATTERN.registry, ADSTOCK.registry, SATURATION.registry],
    mmm_xgen.ControlConfig: [PATTERN.registry],
    mmm_xgen.EventConfig: [EVENT_SHAPES],
    mmm_xgen.RegionConfig: [TREND.registry, NOISE.registry],
    mmm_xgen.TransformConfig: [ADSTOCK.registry, SATURATION.registry],
}


def help_of(model: type) -> str:
    """Text of `help(model)` above the methods."""
    return pydoc.plain(pydoc.render_doc(model)).split("Method resolution order")[0]


def properties(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property in a JSON Schema, with its name."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield from schema["properties"].items()
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from properties(part)


def is_bare(name: str, description: str) -> bool:
    """Tell if a description says no more than the name."""
    meaning = description.partition(" (")[0].partition(": ")[2] or description.partition(" (")[0]
    return meaning.lower().strip(" .").replace(" ", "_") in ("", name)


def test_the_schema_describes_every_property() -> None:
    found = list(properties(mmm_xgen.MMMDataConfig.model_json_schema()))
    assert len(found) > 250
    assert [name for name, part in found if is_bare(name, part.get("description", ""))] == []
    assert [name for name, part in found if "Key of the kind" in part["description"]] == []


def test_the_schema_describes_every_model_and_kind_in_one_paragraph() -> None:
    schema = mmm_xgen.MMMDataConfig.model_json_schema()
    for part in [schema, *schema["$defs"].values()]:
        assert part["description"]
        assert "Parameters" not in part["description"]
        assert "\n" not in part["description"]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_help_describes_every_field_kind_and_key(model: Any) -> None:
    text = help_of(model)
    described = parameters(model)
    for name in model.model_fields:
        assert not is_bare(name, described[name].meaning), name
        assert re.search(rf"^ \|  {name} : ", text, re.MULTILINE), name
    for registry in KINDS.get(model, []):
        for name, kind in registry.items():
            found = re.search(rf"^ \|  {name}\n \|      (\S.*)\n", text, re.MULTILINE)
            assert found, name
            assert found[1] == summary(kind.function)
            for key, (type_, _) in keys_of_kind(kind).items():
                assert f" |      {key} : {type_}\n" in text, (name, key)


def test_help_shows_defaults_in_the_signature() -> None:
    text = help_of(mmm_xgen.ChannelConfig)
    assert "ChannelConfig(*, name=None, pattern='linear_trend', base_spend=1000.0," in text
    assert "EventConfig(*, name, dates=None, effect, shape='pulse'" in help_of(mmm_xgen.EventConfig)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_defaults_in_words_are_the_defaults(model: Any) -> None:
    for name, field in model.model_fields.items():
        said = re.search(
            r"default (\"[^\"]*\"|True|False|-?\d+(?:\.\d+)?)(?=,|$)", parameters(model)[name].type
        )
        if field.is_required():
            assert "default" not in parameters(model)[name].type
        elif said and field.default is not None:
            assert json.loads(said[1].lower() if said[1] in ("True", "False") else said[1]) == (
                field.default
            ), name


def test_the_schema_has_the_bounds_of_parameters() -> None:
    curves = mmm_xgen.TransformConfig.model_json_schema()["$defs"]
    slope = curves["SaturationSpec_hill_function"]["properties"]["slope"]
    assert slope["exclusiveMinimum"] == 0
    shapes = mmm_xgen.EventConfig.model_json_schema()["properties"]["shape"]
    assert shapes["enum"] == list(EVENT_SHAPES)


def test_the_docstring_of_an_own_kind_describes_its_keys() -> None:
    @mmm_xgen.register_pattern("described_for_test")
    def described(calendar: Any, *, height: float = 2.0, plain: float = 1.0) -> Any:
        """Stay high.

        Parameters
        ----------
        height : float, multiples of base spend
            Level in every period.
        """
        return height + plain + 0.0 * calendar.period

    try:
        schema = mmm_xgen.ChannelConfig.model_json_schema()["properties"]
    finally:
        PATTERN.registry.remove("described_for_test")
    assert schema["height"]["description"] == (
        "described_for_test: Level in every period. (a number, multiples of base spend, default 2)"
    )
    assert not is_bare("plain", schema["plain"]["description"])


def test_a_description_that_says_the_name_is_bare() -> None:
    assert is_bare("base_spend", "Base spend.")
    assert is_bare("base_spend", "")
    assert is_bare("shape", "some_kind: Shape. (a number)")
    assert not is_bare("base_spend", "Mean spend per period.")
