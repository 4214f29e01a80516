"""The presets: sizes, economics over 20 seeds, and changes laid over them."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import mmm_xgen as m
from mmm_xgen.cli.sources import overrides as read_settings
from mmm_xgen.config.names import as_part, join_path, split_path
from mmm_xgen.config.overrides import with_overrides
from mmm_xgen.ensemble import config_of_element, element, regenerate_ensemble
from mmm_xgen.errors import ConfigError, UnknownKindError
from mmm_xgen.presets import (
    config_from,
    customize_preset,
    get_preset_config,
    list_available_presets,
    preset_bands,
    preset_yaml,
)

SEEDS = range(20)

# Dates, geos, channels, controls.
SIZES = {
    "basic": (52, 1, 3, 0),
    "demo": (104, 2, 4, 2),
    "digital_heavy": (104, 2, 6, 2),
    "enterprise": (156, 16, 15, 6),
    "growing_business": (131, 2, 6, 2),
    "high_frequency": (730, 1, 5, 2),
    "jin_2017": (104, 1, 3, 1),
    "large_business": (208, 50, 30, 10),
    "medium_business": (156, 8, 8, 4),
    "meridian_simulation": (156, 20, 4, 2),
    "multi_region": (78, 4, 3, 2),
    "pymc_example": (179, 1, 2, 2),
    "reference_notebook": (159, 1, 4, 3),
    "research": (208, 6, 6, 2),
    "seasonal": (104, 1, 3, 2),
    "small_business": (104, 1, 4, 2),
    "traditional_media": (156, 3, 6, 3),
}
LITTLE_MEDIA = ("enterprise", "traditional_media")
# Kept as they were published, with no promise on their economics.
PUBLISHED = ("jin_2017", "meridian_simulation", "pymc_example", "reference_notebook")

# Channels of each pattern, in the four presets whose mix is published.
PATTERN_MIX = {
    "small_business": {"linear_trend": 1, "seasonal": 1, "on_off": 2},
    "growing_business": {"linear_trend": 2, "delayed_start": 1, "seasonal": 1, "on_off": 2},
    "medium_business": {"linear_trend": 2, "delayed_start": 2, "seasonal": 2, "on_off": 2},
    "large_business": {"linear_trend": 10, "delayed_start": 5, "seasonal": 5, "on_off": 10},
}
CONTROL_MIX = {
    "small_business": {"on_off": 2},
    "growing_business": {"on_off": 2},
    "medium_business": {"on_off": 3, "linear_trend": 1},
    "large_business": {"on_off": 6, "linear_trend": 3, "seasonal": 1},
}


def economics_of(ds: xr.Dataset) -> xr.Dataset:
    """Figures of the media of a dataset, or of each dataset of an ensemble."""
    window = ("date", "geo")
    spend, contribution, price = ds["spend"], ds["channel_contribution"], ds["revenue_per_kpi"]
    step = 1e-4
    rise = m.respond(spend * (1 + step), ds) - contribution
    total, relative = spend.sum(window), ds["y"] / ds["y"].mean("date")
    return xr.Dataset(
        {
            "media_share": contribution.sum((*window, "channel")) / ds["mu"].sum(window),
            "roas": (contribution * price).sum(window) / total,
            "marginal_roas": (rise * price).sum(window) / step / total,
            "noise_share": (ds["noise"].std("date") / ds["y"].mean("date")).mean("geo"),
            "spend_share": total.sum("channel") / (ds["y"] * price).sum(window),
            "lowest": relative.min(window),
            "highest": relative.max(window),
        }
    )


def counts(specs: Any) -> dict[str, int]:
    kinds = [spec.pattern.kind for spec in specs]
    return {kind: kinds.count(kind) for kind in set(kinds)}


def refusal(name: str = "basic", /, **overrides: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        customize_preset(name, **overrides)
    assert "\n" not in str(caught.value)
    return caught.value


# ------------------------------------------------------------------ what there is


def test_every_preset_is_listed_with_one_sentence() -> None:
    found = list_available_presets()
    assert list(found) == sorted(SIZES)
    for text in found.values():
        assert text[0].isupper()
        assert text.endswith(".")
        assert text.count(".") == 1
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize("name", SIZES)
def test_sizes_names_and_the_published_mix_of_patterns(name: str) -> None:
    config = get_preset_config(name)
    channels, controls = config.channels, config.control_variables
    sizes = (config.n_periods, config.regions.n_regions, len(channels), len(controls))
    assert sizes == SIZES[name]
    assert all(item.name for item in (*channels, *controls))
    if name in PATTERN_MIX:
        assert counts(channels) == PATTERN_MIX[name]
        assert counts(controls) == CONTROL_MIX[name]


def test_presets_together_use_what_the_package_has() -> None:
    configs = [get_preset_config(name) for name in SIZES]
    patterns = {item.pattern.kind for c in configs for item in (*c.channels, *c.control_variables)}
    assert len(patterns) == 10
    assert len({spec.kind for c in configs for spec in c.adstocks}) == 6
    assert len({spec.kind for c in configs for spec in c.saturations}) >= 7
    assert {c.regions.noise.kind for c in configs} == {
        "gaussian", "student_t", "lognormal", "negative_binomial", "ar1",
    }  # fmt: skip
    assert {c.regions.trend.kind for c in configs} == {
        "linear", "piecewise_linear", "logistic_growth",
    }  # fmt: skip
    assert {c.freq[0] for c in configs} == {"W", "D"}
    assert len({c.currency for c in configs}) >= 3
    assert any(c.revenue_per_kpi != 1 and c.kpi != "sales" for c in configs)
    assert any(c.burn_in_periods for c in configs)
    assert sum(any(k.elasticity for k in c.control_variables) for c in configs) >= 8
    assert sum(bool(c.events) for c in configs) >= 6


def test_elasticities_of_price_are_those_of_the_trade() -> None:
    for name in sorted(set(SIZES) - set(PUBLISHED)):
        for control in get_preset_config(name).control_variables:
            if "Price" in str(control.name):
                assert control.elasticity is not None
                assert -2 <= control.elasticity <= -1


def test_populations_of_the_large_business_are_lognormal() -> None:
    config = get_preset_config("large_business")
    logs = np.log(config.regions.population)
    assert 0.5 < logs.std() < 1.0
    skewness = np.mean(((logs - logs.mean()) / logs.std()) ** 3)
    assert abs(skewness) < 1.5
    assert config.regions.similarity is not None


# ------------------------------------------------------------------ economics


def is_within(values: xr.DataArray, low: float, high: float) -> bool:
    return low <= float(values.min()) and float(values.max()) <= high


@pytest.mark.parametrize("name", SIZES)
def test_economics_are_those_of_real_marketing_data_for_every_seed(name: str) -> None:
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        ds = m.generate_ensemble(name, seeds=SEEDS, chunks=None)
    warned = [str(item.message) for item in record]
    found = economics_of(ds)
    assert (ds["y"] > 0).all()
    assert (ds["control_value"] >= 0).all()
    config = get_preset_config(name)
    for label, channel in zip(config.channel_names, config.channels, strict=True):
        if channel.roas is not None:
            np.testing.assert_allclose(found["roas"].sel(channel=label), channel.roas, rtol=1e-9)
    if name == "reference_notebook":
        # 0.8**12 of the mass of x4 lies beyond its published l_max of 12.
        (message,) = warned
        assert "20 of 20" in message and "the geometric_adstock of 'x4' loses 7%" in message
        return
    assert warned == []
    if name in PUBLISHED:
        assert preset_bands(name) == {}
        return
    bands = {
        "media_share": [0.05, 0.25] if name in LITTLE_MEDIA else [0.10, 0.45],
        "roas_median": [0.5, 4.0],
        "roas_channel": [0.2, 10.0],
        "saturated": True,
        "headroom": True,
    }
    assert preset_bands(name) == bands
    assert is_within(found["media_share"], *bands["media_share"])
    assert is_within(found["roas"].median("channel"), *bands["roas_median"])
    assert is_within(found["roas"], *bands["roas_channel"])
    marginal = found["marginal_roas"]
    assert np.isfinite(marginal).all()
    assert (marginal.min("channel") < 1).all(), "no channel is saturated"
    assert (marginal.max("channel") > 1).all(), "no channel has headroom"
    assert is_within(found["noise_share"], 0.03, 0.10)
    assert is_within(found["spend_share"], 0.03, 0.20)
    assert is_within(found["lowest"], 0.3, 1)
    assert is_within(found["highest"], 1.05, 2.5)


def test_a_band_that_is_missed_is_seen() -> None:
    absurd = customize_preset("basic", **{"channels.TV.roas": 12.0, "seed": 0})
    assert (
        economics_of(m.generate_mmm_dataset(absurd)).roas.max()
        > preset_bands("basic")["roas_channel"][1]
    )
    linear = customize_preset("basic", **{"transforms.saturation_kwargs.kappa": 1e7, "seed": 0})
    found = economics_of(m.generate_mmm_dataset(linear))
    np.testing.assert_allclose(found.marginal_roas, found.roas, rtol=1e-3)
    assert found.marginal_roas.min() > 1


@pytest.mark.filterwarnings("ignore:the geometric_adstock of 'x4':mmm_xgen.XgenWarning")
def test_the_reference_notebook_is_the_notebook() -> None:
    ds = m.generate_mmm_dataset("reference_notebook").squeeze("geo")
    dates = pd.DatetimeIndex(ds["date"].values)
    assert (dates == pd.date_range("2022-06-06", "2025-06-16", freq="W-MON")).all()
    expected = {
        "adstock_alpha": [0.2, 0.25, 0.3, 0.8],
        "l_max": 12,
        "saturation_kappa": [0.6, 0.75, 0.7, 0.8],
        "saturation_slope": 1.0,
        "saturation_beta": [1.5, 2.0, 2.5, 1.0],
        "effect": [1.5, 2.0, 2.5, 1.0],
        "spend_unit": [5000.0, 10000.0, 5500.0, 5500.0],
        "gamma_control": [0.6, 2.0, 0.2],
        "intercept_contribution": 2.5,
        "y_sigma": 0.25,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(ds[name], value, err_msg=name)
    np.testing.assert_allclose(ds["adstock_weights"].sum("lag"), 1.0)
    late = ds["spend"][:, 2]
    assert (late[:52] == 0).all() and (late[60:] > 0).any()
    rise = (np.linspace(5000, 15000, 159) + 10) ** 0.25
    rise = (rise - rise[0]) / (rise[-1] - rise[0])
    np.testing.assert_allclose(ds["trend_contribution"], rise, atol=0.03)
    turn = 2 * np.pi * ds["date"].dt.dayofyear.values / 365.5
    season = 0.5 * (np.cos(turn) - np.sin(2 * turn))
    np.testing.assert_allclose(ds["seasonality_contribution"], season, atol=0.03)
    promotion, christmas, chance = ds["control_value"].values.T
    assert set(promotion) == {0.0, 1.0}
    weeks = dates[christmas == 1].strftime("%Y-%m-%d")
    assert list(weeks) == ["2022-12-19", "2023-12-25", "2024-12-23"]
    assert 0 <= chance.min() < 0.1 and 0.9 < chance.max() < 1


# ------------------------------------------------------------------ loading


def test_seed_of_a_preset() -> None:
    assert get_preset_config("basic").seed == 42
    assert get_preset_config("basic", 7) == get_preset_config("basic", seed=7)
    assert get_preset_config("basic", np.int64(7)).seed == 7
    with pytest.raises(ConfigError) as caught:
        get_preset_config("basic", seed=-1)
    assert caught.value.path == "seed"


@pytest.mark.parametrize("name", ["basik", "../basic", "basic.yaml", "", "Basic", None, ["basic"]])
def test_an_unknown_preset_is_refused_with_the_known_ones(name: Any) -> None:
    for load in (get_preset_config, customize_preset, preset_bands, preset_yaml):
        with pytest.raises(UnknownKindError, match="'large_business'") as caught:
            load(name)
        assert repr(name) in str(caught.value)
    with pytest.raises(UnknownKindError, match="did you mean 'basic'"):
        get_preset_config("basik")


@pytest.mark.parametrize("name", SIZES)
def test_the_text_of_a_preset_and_its_json_are_the_preset(name: str) -> None:
    config = get_preset_config(name)
    text = preset_yaml(name)
    assert "#" in text and text.startswith("n_periods:")
    assert m.MMMDataConfig.from_yaml(text) == config
    assert m.MMMDataConfig.from_json(config.to_json()) == config


def test_nothing_shared_can_be_changed() -> None:
    before = {name: get_preset_config(name).to_json() for name in SIZES}
    bands = preset_bands("basic")
    bands["media_share"][0] = 99.0
    bands.clear()
    list_available_presets().clear()
    customize_preset("basic", n_periods=3, channels={0: {"roas": 9.0}}, transforms={"adstock": {}})
    given = {"sales_volatility": 0.2, "noise": {"kind": "ar1", "autocorrelation": 0.1}}
    effects = [{"name": "sale", "dates": ["06-01"], "effect": 0.1}]
    customize_preset("basic", regions=given, events=effects, **{"events.0.effect": 0.3})
    assert given == {"sales_volatility": 0.2, "noise": {"kind": "ar1", "autocorrelation": 0.1}}
    assert effects[0]["effect"] == 0.1
    assert preset_bands("basic")["media_share"] == [0.10, 0.45]
    assert list(list_available_presets()) == sorted(SIZES)
    assert {name: get_preset_config(name).to_json() for name in SIZES} == before


# ------------------------------------------------------------------ customize_preset


def test_without_overrides_it_is_the_preset() -> None:
    for name in SIZES:
        assert customize_preset(name) == get_preset_config(name)
    assert customize_preset("basic", regions={}, transforms={}) == get_preset_config("basic")


def test_fields_nested_mappings_and_dotted_paths_are_one() -> None:
    first = customize_preset("basic", seed=3, regions={"base_sales_rate": 777.0})
    assert customize_preset("basic", **{"seed": 3, "regions.base_sales_rate": 777.0}) == first
    assert first.regions.base_sales_rate == 777.0
    assert first.regions.region_names == ("geo_a",)
    by_position = customize_preset("basic", **{"channels.1.base_spend": 10.0})
    for same in (
        customize_preset("basic", channels={1: {"base_spend": 10.0}}),
        customize_preset("basic", channels={"1.base_spend": 10.0}),
        customize_preset("basic", **{"channels.Digital.base_spend": 10.0}),
        customize_preset("basic", **{"channels.x-Digital": {"base_spend": 10.0}}),
    ):
        assert same == by_position
    assert by_position.channels[1].base_spend == 10.0
    assert by_position.channels[0] == get_preset_config("basic").channels[0]


def test_controls_and_events_go_by_name_too() -> None:
    config = customize_preset(
        "seasonal", **{"control_variables.Price.base_value": 5.0, "events.christmas.effect": 0.5}
    )
    assert config.control_variables[1].base_value == 5.0
    assert config.events[1].effect == 0.5
    config = customize_preset("multi_region", **{"regions.population.2": 9e5})
    assert config.regions.population == (2e6, 1.2e6, 9e5, 4e5)


def test_lists_and_objects_take_the_place_of_what_was_there() -> None:
    channels = [m.ChannelConfig(name="A", roas=1.0), {"name": "B", "pattern": "seasonal"}]
    config = customize_preset("basic", channels=channels, **{"channels.A.roas": 2.0})
    assert config.channel_names == ["A", "B"]
    assert config.channels[0].roas == 2.0
    assert customize_preset("basic", regions=m.RegionConfig(n_regions=3)).regions.n_regions == 3
    names = customize_preset("basic", **{"regions.region_names": ("a", "b")}).regions
    assert names.n_regions == 2


def test_flat_and_nested_spelling_reach_the_same_place() -> None:
    pairs: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"channels.0.spend_trend": 0.5}, {"channels.0.pattern.spend_trend": 0.5}),
        ({"regions.sales_volatility": 0.5}, {"regions.noise.sales_volatility": 0.5}),
        ({"transforms.adstock_kwargs.alpha": 0.1}, {"transforms.adstock.alpha": 0.1}),
        (
            {"channels.0.pattern": "seasonal", "channels.0.seasonal_phase": 1.0},
            {"channels.0.pattern": {"kind": "seasonal", "seasonal_phase": 1.0}},
        ),
        (
            {"channels.0.adstock_fun": "weibull_adstock", "channels.0.adstock_kwargs": {"k": 3.0}},
            {"channels.0.adstock": {"kind": "weibull_adstock", "k": 3.0}},
        ),
    ]
    for flat, nested in pairs:
        assert customize_preset("basic", **flat) == customize_preset("basic", **nested)
        assert customize_preset("basic", **flat) != get_preset_config("basic")
        # A configuration that is dumped is nested throughout, and takes both spellings as well.
        dumped = get_preset_config("basic").model_dump(mode="json", exclude_none=True)
        for overrides in (flat, nested):
            assert with_overrides(dumped, overrides) == customize_preset("basic", **flat)


def test_a_new_kind_drops_the_keys_of_the_old_one() -> None:
    tv = customize_preset("basic", **{"channels.TV.pattern": "on_off"}).channels[0]
    assert tv.pattern.kind == "on_off"
    transforms = customize_preset("basic", **{"transforms.adstock_fun": None}).transforms
    assert transforms.adstock.kind == "no_adstock"
    spec = customize_preset("basic", **{"transforms.adstock.kind": "weibull_adstock"})
    assert spec.transforms.adstock.l_max == 8
    whole = customize_preset("basic", **{"transforms.adstock": "weibull_adstock"})
    assert whole.transforms.adstock.l_max is None

    def every_other(dates: Any, rng: Any) -> Any:
        return np.arange(len(dates)) % 2.0

    custom = customize_preset("basic", **{"channels.TV.pattern": every_other})
    assert custom.channels[0].pattern.kind.endswith("every_other")
    assert (m.generate_mmm_dataset(custom)["spend"][::2, 0, 0] == 0).all()


def test_a_value_that_excludes_another_removes_it() -> None:
    tv = customize_preset("basic", **{"channels.TV.base_effectiveness": 0.0}).channels[0]
    assert (tv.base_effectiveness, tv.roas) == (0.0, None)
    noise = customize_preset("basic", **{"regions.r_squared": 0.8}).regions.noise
    assert (noise.r_squared, noise.sales_volatility) == (0.8, None)
    adstock = customize_preset("basic", **{"transforms.adstock_kwargs.half_life": "10D"})
    assert adstock.transforms.adstock.half_life == "10D"
    price = customize_preset("demo", **{"control_variables.Price.gamma_control": -9.0})
    assert price.control_variables[0].elasticity is None
    regions = customize_preset("multi_region", **{"regions.similarity": 0.5}).regions
    assert regions.variation("transform_variation") == 0.25
    both = {"channels.TV.base_effectiveness": 0.1, "channels.TV.roas": 1.0}
    assert refusal(**both).path == "channels.TV.roas"


def test_fewer_geos_are_the_first_ones() -> None:
    small = customize_preset("large_business", **{"regions.n_regions": 3})
    whole = get_preset_config("large_business")
    assert small.regions.region_names == ("geo_1", "geo_2", "geo_3")
    assert small.regions.population == whole.regions.population[:3]
    spend = m.generate_mmm_dataset(small)["spend"]
    xr.testing.assert_equal(spend, m.generate_mmm_dataset(whole)["spend"].sel(geo=spend["geo"]))
    assert refusal("demo", **{"regions.n_regions": 3}).path == "regions.region_names"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("n_period", 10),
        ("n_periods", -10),
        ("n_periods.weeks", 10),
        ("regions.base_sales_rat", 1.0),
        ("regions.base_sales_rate", -1.0),
        ("regions.base_sales_rate.mean", 1.0),
        ("regions.noise.sales_volatility", -1.0),
        ("channels.99", {"roas": 1.0}),
        ("channels.-1", {"roas": 1.0}),
        ("channels.Radio", {"roas": 1.0}),
        ("channels.x-TV.base_spend", -1.0),
        ("channels.TV.pattern.spend_trend", "much"),
        ("channels.TV.seasonal_phase", 1.0),
        ("channels.TV.pattern.kind", "sesonal"),
        ("channels.TV.adstock.alpha", 2.0),
        ("channels.TV.adstock.kind", "geometric"),
        ("transforms.adstock.alpha", 2.0),
        ("transforms.adstock_kwargs.alpah", 0.2),
        ("events.0.effect", 0.1),
        ("region", {}),
    ],
)
def test_errors_name_the_path_that_was_given(path: str, value: Any) -> None:
    assert refusal(**{path: value}).path == path
    head, dot, tail = path.partition(".")
    if dot:
        assert refusal(**{head: {tail: value}}).path == path


def test_errors_inside_a_given_mapping_name_the_whole_path() -> None:
    assert refusal(regions={"noise": {"kind": "ar1", "autocorrelation": 2.0}}).path == (
        "regions.noise.autocorrelation"
    )
    assert refusal(channels=[{"name": "A", "base_spend": -1.0}]).path == "channels.0.base_spend"
    assert "did you mean 'TV'" in str(refusal(**{"channels.TVs.roas": 1.0}))
    assert "0 to 2" in str(refusal(**{"channels.3.roas": 1.0}))


# --- names in paths

NAMES = ("1", "2", "3", "TV.Radio", "TV/Radio", "a=b", "TV [1]", "McD's", 'a"b', "*", "TV")


@given(
    parts=st.lists(
        st.integers(0, 99) | st.text("aT01 .[]\"'\\=*-/é", min_size=1, max_size=6), min_size=1
    )
)
def test_a_printed_path_is_read_as_it_was_meant(parts: list[Any]) -> None:
    text = join_path([part if isinstance(part, int) else as_part(part) for part in parts])
    assert [str(part) for part in split_path(text)] == [str(part) for part in parts]
    assert read_settings([f"{text}=a=1"]) == {text: "a=1"}


def changed_channel(path: str) -> str:
    """Name of the channel whose ROAS or base spend a path sets."""
    data = {"channels": [{"name": name} for name in NAMES]}
    channels = with_overrides(data, read_settings([f"{path}=7.5"])).channels
    (found,) = [
        str(channel.name) for channel in channels if 7.5 in (channel.roas, channel.base_spend)
    ]
    return found


def test_names_win_over_positions() -> None:
    for position, name in enumerate(NAMES):
        assert changed_channel(f"channels[{position}].roas") == name
        assert changed_channel(join_path(["channels", as_part(name), "roas"])) == name
        assert changed_channel(f"channels[{name!r}].roas") == name
    named = {"1": "1", "0": "1", "4": "TV/Radio", "TV.Radio": "TV.Radio", "TV": "TV"}
    for part, name in (named | {"McD's": "McD's"}).items():
        assert changed_channel(f"channels.{part}.roas") == name


@pytest.mark.parametrize("path", ['channels."7".roas', 'channels."TV.roas', "channels..roas"])
def test_what_is_in_quotes_is_no_position_and_quotes_close(path: str) -> None:
    with pytest.raises(ConfigError):
        changed_channel(path)


@pytest.mark.parametrize("position", range(len(NAMES)))
def test_the_path_of_an_error_leads_back_to_it(position: int) -> None:
    channels = [{"name": name} for name in NAMES]
    channels[position] = {**channels[position], "base_spend": -1}
    with pytest.raises(ConfigError) as error:
        m.MMMDataConfig.from_dict({"channels": channels})
    assert changed_channel(error.value.path) == NAMES[position]
    own = join_path(["channels", as_part(NAMES[position]), "base_spend"])
    with pytest.raises(ConfigError) as error:
        config_from({"channels": [{"name": name} for name in NAMES]}, {own: -1})
    assert error.value.path == own


def test_numbers_of_channels_with_odd_names_vary() -> None:
    channels = [{"name": name, "base_effectiveness": 0.02} for name in NAMES]
    config = config_from({"channels": channels, "n_periods": 8})
    paths = ['channels."TV.Radio".roas', "channels.1.roas", "channels.*.base_spend"]
    vary = dict.fromkeys(paths, m.Uniform(1.0, 2.0)) | {paths[2]: m.Uniform(800.0, 900.0)}
    ds = m.generate_ensemble(config, n=2, vary=vary, chunks=None)
    made = config_of_element(ds, 1)
    for path, position in {paths[0]: 3, paths[1]: 0}.items():
        assert made.channels[position].roas == ds[path].values[1]
    np.testing.assert_array_equal(
        [channel.base_spend for channel in made.channels], ds[paths[2]].values[1]
    )
    assert regenerate_ensemble(ds).identical(ds)


# --- what stands for a configuration


def test_a_preset_a_file_a_mapping_and_a_configuration_are_one(tmp_path: Path) -> None:
    config = customize_preset("demo", n_periods=30, seed=3, **{"channels.0.roas": 1.25})
    config.to_yaml(tmp_path / "mine.yaml")
    config.to_json(tmp_path / "mine.json")
    sources: list[Any] = [config, config.model_dump()]
    for name in ("mine.yaml", "mine.json"):
        sources += [tmp_path / name, str(tmp_path / name)]
    ds = m.generate_mmm_dataset(config)
    assert all(m.generate_mmm_dataset(source).identical(ds) for source in sources)
    changes: dict[str, Any] = {"n_periods": 30, "channels": {"0": {"roas": 1.25}}}
    assert m.generate_mmm_dataset("demo", seed=3, **changes).identical(ds)
    assert m.generate_mmm_dataset(get_preset_config("demo"), seed=3, **changes)["y"].equals(ds["y"])
    many = m.generate_ensemble("demo", seeds=[3, 4], chunks=None, **changes)
    assert element(many, 0)["y"].equals(ds["y"])


@pytest.mark.parametrize("name", SIZES)
def test_a_configuration_changes_as_the_file_that_it_came_from(name: str) -> None:
    first = f"channels.{get_preset_config(name).channels[0].name}"
    changes = {"seed": 5, f"{first}.base_effectiveness": 0.1, f"{first}.adstock.l_max": 5}
    changes["regions.sales_volatility"] = 0.07
    assert config_from(get_preset_config(name), changes) == customize_preset(name, **changes)


def test_a_configuration_with_a_callable_changes_too() -> None:
    level = m.ChannelConfig(name="TV", pattern=lambda dates, rng: np.ones(len(dates)), roas=2.0)
    config = m.MMMDataConfig(channels=[level], transforms={"adstock": [{"kind": "no_adstock"}]})
    changed = config_from(config, {"channels.TV.base_effectiveness": 0.2, "n_periods": 9})
    assert changed.channels[0] == m.ChannelConfig(
        name="TV", pattern=level.pattern, base_effectiveness=0.2
    )
    assert changed.n_periods == 9 and config.channels[0].roas == 2.0


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("smal_business", "did you mean 'small_business'"),
        ("absent.yaml", "absent.yaml: no such file"),
        (Path("absent"), "absent: found the suffix ''"),
        (Path("plan.toml"), "allowed: .yaml, .yml, .json"),
    ],
)
def test_what_is_neither_a_preset_nor_a_file_is_refused(source: Any, found: str) -> None:
    for make in (m.generate_mmm_dataset, lambda each: m.generate_ensemble(each, n=2)):
        with pytest.raises(ConfigError, match=re.escape(found)):
            make(source)
