"""The named worlds: their files, what they break, and the table of the documentation."""

from __future__ import annotations

import io
import re
import warnings

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

import mmm_xgen as m
from benchmarks.bias_of_worlds import BEGIN, END, PAGE, agrees, bias_of
from mmm_xgen.cli.tables import worlds_table
from mmm_xgen.ensemble import element, generate_ensemble
from mmm_xgen.errors import UnknownKindError, XgenWarning
from mmm_xgen.presets import customize_preset, get_preset_config, list_available_worlds, preset_yaml
from mmm_xgen.presets.named_worlds import GROUPS
from mmm_xgen.truth import optimize_allocation, roas

WORLDS = list_available_worlds()
DIRECTIONS = {"above", "below", "none", "none (wide)"}
MODELS = {"PyMC-Marketing", "Meridian", "least squares"}


def test_the_worlds_are_listed_apart_from_the_presets() -> None:
    assert list(WORLDS) == sorted(WORLDS)
    assert {"clean", "demand_chasing", "target_chasing", "many_controls"} <= set(WORLDS)
    assert not set(WORLDS) & set(m.list_available_presets())


@pytest.mark.parametrize("width", [80, 140])
def test_the_list_of_worlds_is_one_screen_with_a_line_for_each(width: int) -> None:
    page = io.StringIO()
    Console(width=width, file=page).print(worlds_table(width))
    lines = [re.split(r"  +", line.strip()) for line in page.getvalue().splitlines()[2:]]
    expected: list[list[str]] = []
    for group in GROUPS:
        own = [world for world in WORLDS.values() if world.group == group]
        expected += [[group]] * bool(own)
        expected += [[w.name, w.short, w.side if width == 80 else w.bias] for w in own]
    assert lines == expected
    assert len(lines) <= 72


def test_the_side_of_a_world_is_its_bias_in_one_word() -> None:
    names = ("clean", "weak_signal", "tiny_channel", "target_chasing", "unequal_geos")
    assert [WORLDS[name].side for name in names] == ["none", "wide", "wide", "below", "above"]


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_says_what_it_breaks_and_what_to_expect(name: str) -> None:
    world, config = WORLDS[name], get_preset_config(name)
    assert world.name == name
    assert world.breaks[0].isupper()
    assert world.group in GROUPS
    assert world.short[0].isupper() and not world.short.endswith(".") and len(world.short) <= 42
    assert all(text.endswith(".") for text in (world.breaks, world.reference, world.note) if text)
    assert list(world.direction) == config.channel_names
    assert set(world.direction.values()) <= DIRECTIONS
    assert set(world.representable) <= MODELS
    assert m.MMMDataConfig.from_yaml(preset_yaml(name)) == config


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_shares_its_base_and_generates_without_a_warning(name: str) -> None:
    config = get_preset_config(name)
    assert config.channel_names == ["TV", "Search", "Social", "Display"]
    assert config.regions.base_sales_rate == 10000.0
    with warnings.catch_warnings():
        warnings.simplefilter("error", XgenWarning)
        ds = m.generate_mmm_dataset(config)
    assert 0.04 < float(ds.channel_contribution.sum() / ds.mu.sum()) < 0.3
    targets = [channel.roas or 0.0 for channel in config.channels]
    np.testing.assert_allclose(roas(ds), targets, rtol=1e-9)


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_in_an_ensemble_has_the_bits_of_the_world_alone(name: str) -> None:
    several = generate_ensemble(name, n=3, chunks=None)
    for position, seed in enumerate(several["seed"].values):
        alone = m.generate_mmm_dataset(name, seed=int(seed))
        assert element(several, position).identical(alone)


@pytest.mark.parametrize("name", [n for n in WORLDS if get_preset_config(n).regions.n_regions == 1])
def test_a_world_has_a_variant_in_several_geos(name: str) -> None:
    one, several = get_preset_config(name), get_preset_config(f"{name}_geo", seed=3)
    assert (several.regions.n_regions, several.seed) == (8, 3)
    assert several.replace(regions=one.regions, seed=one.seed) == one
    assert m.generate_mmm_dataset(several).sizes["geo"] == 8


def test_unknown_worlds_are_refused_with_the_nearest() -> None:
    for name in ("demand_chasin", "demand_chasing_geos", "base", "_geo"):
        with pytest.raises(UnknownKindError, match="no preset named"):
            get_preset_config(name)
    with pytest.raises(UnknownKindError, match="did you mean 'demand_chasing'"):
        get_preset_config("demand_chasin")
    with pytest.raises(UnknownKindError):
        get_preset_config("unequal_geos_geo")


def test_a_world_can_be_changed_like_a_preset() -> None:
    config = customize_preset("demand_chasing", **{"demand.effect": 0.1, "channels.TV.roas": 2.0})
    assert config.demand is not None
    assert (config.demand.effect, config.channels[0].roas) == (0.1, 2.0)
    assert get_preset_config("demand_chasing").channels[0].roas == 1.6
    changed = m.generate_mmm_dataset("clean", seed=4, n_periods=30)
    assert changed.sizes["date"] == 30


def test_many_controls_has_25_candidates_of_which_four_are_real() -> None:
    ds = m.generate_mmm_dataset("many_controls")
    assert ds.sizes["control"] == 25
    sells = np.abs(ds.control_contribution).sum(("date", "geo")) > 0
    # The fourth is the record of latent demand, which has no effect of its own.
    assert ds.control.values[sells].tolist() == ["Price", "Promotion", "Rain"]
    assert {"TV-Recall", "Clicks", "Likes", "Views"} < set(ds.control.values)


# ------------------------------------------------------------------ twins


def twins(**overrides: object) -> tuple[xr.Dataset, xr.Dataset]:
    return (
        m.generate_mmm_dataset("nonlinear", seed=1, **overrides),
        m.generate_mmm_dataset("drifting", seed=1, **overrides),
    )


def distance(bent: xr.Dataset, straight: xr.Dataset) -> float:
    return float((((bent.mu - straight.mu) / bent.y_sigma) ** 2).sum())


def test_twins_have_nearly_the_same_data_and_different_best_budgets() -> None:
    bent, straight = twins()
    np.testing.assert_array_equal(bent.spend, straight.spend)
    assert distance(bent, straight) < 8
    assert distance(*twins(**{"channels.TV.spend_volatility": 0.5})) > 2 * distance(bent, straight)
    best = [optimize_allocation(ds).multiplier.sel(channel="TV").item() for ds in (bent, straight)]
    assert 0.8 < best[0] < 1.2
    assert best[1] > 3


def test_numbers_of_satiation_vary() -> None:
    path = "channels.TV.effect_path."
    vary = {f"{path}half": [0.3, 0.6], f"{path}memory": [0.2, 0.8]}
    many = m.generate_ensemble("drifting", vary=vary, chunks=None, sampling="grid", n_periods=30)
    for k in range(4):
        changes = {name: many[name].values[k] for name in vary}
        one = m.generate_mmm_dataset("drifting", seed=int(many.seed[k]), n_periods=30, **changes)
        np.testing.assert_array_equal(many.mu[k], one.mu)


def test_satiation_by_the_carryover_makes_a_straight_curve_look_like_a_bent_one() -> None:
    long = {"channels.TV.adstock.l_max": 100, "channels.TV.spend_volatility": 0.8}
    bent = m.generate_mmm_dataset("nonlinear", **long)
    # The path knows spend relative to its realised mean.
    half = 150.0 / float(bent.spend.sel(channel="TV").mean())
    path = {"kind": "satiation", "half": half, "memory": 0.3}
    straight = m.generate_mmm_dataset("drifting", **long, **{"channels.TV.effect_path": path})
    np.testing.assert_allclose(straight.mu, bent.mu, rtol=1e-9)


# ------------------------------------------------------------------ bias


def row(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_has_every_world_and_its_direction() -> None:
    part = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    rows = [row(line) for line in part.splitlines() if line.startswith("| `")]
    found = {cells[0].strip("`"): cells[1:3] for cells in rows}
    assert found == {name: [world.breaks, world.bias] for name, world in WORLDS.items()}


def test_a_wrong_direction_does_not_agree() -> None:
    bias = xr.Dataset({"median": 20.0, "error": 2.0, "spread": 40.0})
    assert [d for d in sorted(DIRECTIONS) if agrees(d, bias)] == ["above"]
    assert [d for d in sorted(DIRECTIONS) if agrees(d, bias * -1)] == ["below"]
    assert agrees("none (wide)", bias.assign(median=1.0))
    assert not agrees("none (wide)", bias.assign(median=1.0, spread=20.0))


def test_hidden_demand_biases_more_than_its_proxy_and_its_record_not_at_all() -> None:
    names = ("clean", "observed_demand", "demand_proxy", "demand_chasing")
    found = [float(bias_of(WORLDS[name], 400)["median"].sel(channel="TV")) for name in names]
    assert max(map(abs, found[:2])) < 6
    assert found[1] + 8 < found[2] < found[3] - 8


OF_CURVES = ("long_carryover", "delayed_carryover", "s_shaped", "no_saturation", "threshold")


def test_worlds_of_other_curves_mislead_only_a_model_with_the_base_curves() -> None:
    assert {name for name, world in WORLDS.items() if world.base_curves} == {*OF_CURVES}
    for name in OF_CURVES:
        biases = [bias_of(WORLDS[name], 200, base_curves=base) for base in (True, False)]
        wrong, right = (float(bias["median"].sel(channel="TV")) for bias in biases)
        assert abs(wrong) > 50 and abs(right) < 9, name
        assert (wrong > 0) == (WORLDS[name].direction["TV"] == "above")


def test_a_world_of_other_spend_has_no_response_of_the_base() -> None:
    with pytest.raises(ValueError, match="synchronised_flights has another spend than clean"):
        bias_of(WORLDS["synchronised_flights"], 2, base_curves=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* correlates:mmm_xgen.XgenWarning")
@pytest.mark.parametrize("name", WORLDS)
def test_least_squares_errs_in_the_direction_that_a_world_says(name: str) -> None:
    # The bias of unequal geos is small; that of other channels beside a delayed one is near 3.
    bias = bias_of(WORLDS[name], 1600 if name in ("unequal_geos", "delayed_carryover") else 400)
    for channel, direction in WORLDS[name].direction.items():
        own = bias.sel(channel=channel)
        assert agrees(direction, own), f"{channel}: {direction}, {float(own['median']):+.1f}"
