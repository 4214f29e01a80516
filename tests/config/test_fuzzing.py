"""Random and damaged configurations: a valid Dataset or a ConfigError, and nothing else."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

import mmm_xgen as m
from tests.config.faulty import outcome, three_channels, with_field
from tests.strategies import places, reckless_config_dicts


@pytest.mark.hypothesis
def test_random_configs_give_a_valid_dataset_or_a_config_error() -> None:
    counts: Counter[str] = Counter()

    @given(mapping=reckless_config_dicts())
    def one(mapping: dict[str, Any]) -> None:
        counts[outcome(lambda: m.generate_mmm_dataset(m.MMMDataConfig(**mapping)))] += 1

    one()
    # Configs that are all refused, or all sound, would show little.
    assert counts["dataset"] >= 4, counts
    assert counts["refused"] >= 4, counts


SCALARS: list[Any] = [
    *(0, -1, 3, 1e-9, 1e9, 1e308, -1e308, float("nan"), float("inf"), 10**9, 10**30),
    *(True, None, "", "word", "2022-02-30", [], [1, 2], {}, [[{}]]),
    *({"kind": "hill_function"}, {"kind": "nonsense"}),
]
LINES = [
    *("!!python/object:os.system {}", "!!python/object/apply:os.getcwd []"),
    *("!!timestamp 2022-99-99", "{", "]", "'", '"', "&a [*a]", "*missing", ": :", "\t", "%"),
    *("- - -", "!!set {a, b}", "0x7fffffffffffffffffff", "1_000", "12:30:45", "~"),
]


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
    """Presets as YAML, cut to few periods, and flat spellings."""
    texts = [
        m.customize_preset(name, n_periods=16).to_yaml()
        for name in ("basic", "multi_region", "demo", "reference_notebook", "small_business")
    ]
    flat = [
        yaml.safe_dump(three_channels() | {"n_periods": 16}),
        yaml.safe_dump(with_field("transforms.saturation_kwargs", {"slope": 1.0, "kappa": 900.0})),
    ]
    return texts + flat


@pytest.mark.hypothesis
def test_mutilated_files_give_a_valid_dataset_or_a_config_error(sources: list[str]) -> None:
    outcomes = []
    for number in range(4 * settings.default.max_examples):
        text = mutilated(number, sources)
        try:
            outcomes.append(
                outcome(lambda text=text: m.generate_mmm_dataset(m.MMMDataConfig.from_yaml(text)))
            )
        except Exception as error:
            error.add_note(f"mutilated file {number}:\n{text}")
            raise
    # Edits that are all refused, or all harmless, would test little.
    assert outcomes.count("refused") > 0.2 * len(outcomes)
    assert outcomes.count("dataset") > 0.05 * len(outcomes)


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
