"""Ensembles: every element is the single call's dataset to the last bit, whatever the chunks."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Iterator
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import mmm_xgen as m
from mmm_xgen.config.paths import STRUCTURE
from mmm_xgen.dataset import coordinate_of
from mmm_xgen.ensemble import config_of_element, element, regenerate_ensemble
from mmm_xgen.ensemble import recipe as recipes
from mmm_xgen.ensemble.generate import recipe_of
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.noise import NOISES
from mmm_xgen.kernels.patterns import PATTERNS
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.recovery.models.linear_fit import fit_least_squares
from mmm_xgen.streams import MANY
from tests.strategies import (
    CURVES,
    NOISE_KEYS,
    PATTERN_KINDS,
    config_dicts,
    config_with,
    quietly,
    steady,
    warnings_of,
)

SEEDS = [3, 2**40]


def ensemble(config: Any, **options: Any) -> xr.Dataset:
    if isinstance(config, dict):
        config = m.MMMDataConfig(**config)
    options.setdefault("chunks", None)
    return quietly(lambda: m.generate_ensemble(config, **options).compute())


def assert_elements_are_single_calls(ds: xr.Dataset) -> None:
    for position in range(ds.sizes["dataset"]):
        config = config_of_element(ds, position)
        single = quietly(lambda config=config: m.generate_mmm_dataset(config))
        xr.testing.assert_identical(element(ds, position), single)
        # NaN equals NaN and 0 equals -0 to xarray.
        for name, values in single.data_vars.items():
            own = ds[name].isel(dataset=position).to_numpy()
            assert own.tobytes() == values.to_numpy().tobytes(), name


# ------------------------------------------------------------------ bit identity


@pytest.mark.parametrize("preset", sorted(m.list_available_presets()))
def test_presets(preset: str) -> None:
    ds = ensemble(m.get_preset_config(preset), seeds=SEEDS)
    assert ds["seed"].values.tolist() == SEEDS
    assert_elements_are_single_calls(ds)


@given(config_dicts(), st.sampled_from([None, 1, 2, "auto"]))
def test_any_configuration(config: dict[str, Any], chunks: Any) -> None:
    made = quietly(lambda: m.MMMDataConfig(**config))
    try:
        ds = ensemble(made, seeds=SEEDS, chunks=chunks)
    except m.ConfigError:
        with pytest.raises(m.ConfigError):
            for seed in SEEDS:
                quietly(lambda seed=seed: m.generate_mmm_dataset(made, seed=seed))
    else:
        assert_elements_are_single_calls(ds)


def rich(**fields: Any) -> dict[str, Any]:
    """Every kind of pattern, transform, control, season and event in one configuration."""
    adstocks = [{"kind": kind} for kind in ADSTOCKS]
    saturations = [{"kind": kind, **CURVES.get(kind, {})} for kind in SATURATIONS]
    keys: dict[str, dict[str, Any]] = {
        "step": {"step_periods": [10, 20], "step_levels": [2.0, 0.5]},
        "delayed_start": {"start_period": 3, "end_period": 40},
        "uniform": {"low": 0.5, "high": 1.5},
    }
    channels = [
        {
            "name": f"c{k} {kind}",
            "pattern": {"kind": kind, **keys.get(kind, {})},
            "base_spend": 800.0 + k,
            "spend_volatility": 0.3,
            "adstock": adstocks[k % len(adstocks)],
            "saturation": saturations[k % len(saturations)],
            **({"roas": 1.5} if kind == "seasonal" else {"base_effectiveness": 0.03}),
            "shared": kind == "pulsed",
        }
        for k, kind in enumerate(PATTERN_KINDS)
    ]
    return {
        "n_periods": 52,
        "freq": "D",
        "burn_in_periods": 5,
        "seed": 4,
        "revenue_per_kpi": 2.5,
        "channels": channels,
        "control_variables": [
            {"name": "Price", "pattern": "uniform", "elasticity": -1.2, "value_volatility": 0.05},
            {"name": "Rain", "gamma_control": 30.0, "persistence": 0.6, "reference": 0.5},
        ],
        "regions": {
            "population": [1e6, 2e6],
            "population_reference": 1.5e6,
            "base_sales_rate": 50_000.0,
            "trend": {
                "kind": "piecewise_linear",
                "sales_trend": 0.001,
                "change_periods": [20],
                "trend_changes": [0.002],
            },
            "seasonal_amplitude": 0.1,
            "seasonal_phase": 0.3,
            "fourier_modes": 2,
            "seasonalities": [{"period": "monthly", "amplitude": 0.05, "phase": 0.2, "modes": 2}],
            "noise": {
                "kind": "ar1",
                "sales_volatility": 0.03,
                "autocorrelation": 0.4,
                "level_power": 0.5,
                "shared": 0.3,
            },
            "outliers": {"share": 0.05, "size": 4.0},
            "capacity": 1.6,
            "baseline_variation": 0.1,
            "channel_param_variation": 0.1,
            "transform_variation": 0.1,
        },
        "events": [
            {
                "name": "sale",
                "dates": ["02-01"],
                "effect": 0.2,
                "shape": "gaussian",
                "width_days": 2,
            },
        ],
        "experiments": [
            {"channel": "c1 seasonal", "start_period": 10, "n_periods": 5, "change": -0.5}
        ],
    } | fields


def numeric_paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[str, float]]:
    if isinstance(node, dict):
        for key, inner in node.items():
            yield from numeric_paths(inner, (*path, key))
    elif isinstance(node, list | tuple):
        for key, inner in enumerate(node):
            yield from numeric_paths(inner, (*path, key))
    elif type(node) in (int, float) and path[-1] not in STRUCTURE:
        yield ".".join(map(str, path)), node


RICH = m.MMMDataConfig(**rich())
PATHS = dict(numeric_paths(RICH.model_dump(exclude_none=True)))
# The patterns of RICH are correlated already; tests of correlated spend vary it where they are not.
del PATHS["spend_correlation"]


def moved(value: float, path: str) -> list[float]:
    """Two other values near one, whole where it is, and inside of what its place allows."""
    if isinstance(value, int):
        return [value, value + 1]
    return [value, 0.01] if value == 0 else [value, value * 0.75]


# One of each kind of path: another one is as it is but for its channel.
KINDS = {re.sub(r"^channels\.\d+", "channels.*", path): path for path in PATHS}
WHOLE = [path for path in KINDS.values() if isinstance(PATHS[path], int)]
OTHER = [path for path in KINDS.values() if path not in WHOLE]


@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=() if path in WHOLE else pytest.mark.slow) for path in PATHS]
)
def test_every_number_of_a_configuration_may_vary(path: str) -> None:
    values = moved(PATHS[path], path)
    ds = ensemble(RICH, vary={path: values}, seeds=[3, 4])
    assert ds[coordinate_of(path)].values.tolist() == values
    assert_elements_are_single_calls(ds)


@pytest.mark.parametrize("start", range(4))
def test_every_number_may_vary_with_others(start: int) -> None:
    assert len(PATHS) > 90
    vary = {path: m.Uniform(*sorted(moved(PATHS[path], path))) for path in OTHER[start::4]}
    ds = ensemble(RICH, vary=vary, seeds=[3, 4])
    assert all(np.unique(ds[coordinate_of(path)]).size == 2 for path in vary)
    assert_elements_are_single_calls(ds)


@pytest.mark.parametrize("kind", NOISE_KEYS)
def test_every_noise_with_numbers_that_vary(kind: str) -> None:
    config = config_with(steady(), regions={"n_regions": 2, "noise": {"kind": kind}})
    del config["regions"]["sales_volatility"]
    vary = {"regions.noise.sales_volatility": [0.05, 0.1], "regions.base_sales_rate": [9e3, 1e4]}
    vary |= {
        f"regions.noise.{name}": [0.6, 0.7] if name == "autocorrelation" else [5.0, 9.0]
        for name in NOISES[kind].parameters
    }
    assert_elements_are_single_calls(ensemble(config, vary=vary))


@pytest.mark.parametrize("size", [{"y_sigma": [300.0, 400.0]}, {"r_squared": [0.8, 0.9]}])
def test_noise_stated_for_each_geo(size: dict[str, Any]) -> None:
    config = config_with(steady(), regions={"n_regions": 2, "noise": {"kind": "gaussian", **size}})
    del config["regions"]["sales_volatility"]
    (name,) = size
    vary = {f"regions.noise.{name}.1": m.Uniform(0.5, 0.9)}
    assert_elements_are_single_calls(ensemble(config, n=4, vary=vary))


@pytest.mark.parametrize("kind", SATURATIONS)
def test_every_curve_with_numbers_that_vary(kind: str) -> None:
    spend_unit = "base_spend" if kind in ("hill_function", "root_saturation") else "currency"
    config = config_with(
        steady("TV", spend_volatility=0.4, adstock={"kind": "delayed_adstock"}),
        steady("Web", saturation={"kind": "hill_function", "slope": 1.0}),
        transforms={"spend_unit": spend_unit, "saturation_fun": kind},
        regions={"n_regions": 2, "transform_variation": 0.2},
    )
    vary: dict[str, Any] = {
        f"channels.TV.saturation_kwargs.{name}": m.Uniform(0.3, 0.9)
        for name in SATURATIONS[kind].parameters
    }
    vary |= {
        "channels.*.base_spend": m.Uniform(100, 900),
        # 1 and 0.5 are powers with a short cut.
        "channels.Web.saturation_kwargs.slope": [1.0, 2.0, 0.5],
    }
    assert_elements_are_single_calls(ensemble(config, n=3, vary=vary))


@pytest.mark.parametrize(
    ("kind", "l_max"), [("geometric_adstock", 1), *((kind, 8) for kind in ADSTOCKS)]
)
def test_every_adstock_with_numbers_that_vary(kind: str, l_max: int) -> None:
    config = config_with(
        steady(spend_volatility=0.4, adstock={"kind": kind, "l_max": l_max}),
        transforms={"adstock_first": False},
        burn_in_periods=4,
    )
    vary: dict[str, Any] = {
        f"channels.TV.adstock_kwargs.{name}": m.Uniform(0.3, 0.9)
        for name in ADSTOCKS[kind].parameters
    }
    assert_elements_are_single_calls(ensemble(config, n=3, vary=vary))


@pytest.mark.parametrize(("n_periods", "n_regions"), [(1, 1), (1, 2), (2, 1), (9, 2)])
def test_panels_of_few_cells(n_periods: int, n_regions: int) -> None:
    """Where an axis has length 1, NumPy may walk the others in another order."""
    config = config_with(
        steady(spend_volatility=0.5, saturation={"kind": "hill_function", "slope": 2.0}),
        n_periods=n_periods,
        freq="MS",
        start_date="2022-01-01",
        regions={"n_regions": n_regions, "similarity": 0.5, "seasonal_amplitude": 0.1},
    )
    assert_elements_are_single_calls(ensemble(config, n=17))


# ------------------------------------------------------------------ kinds of the user's own


def test_callables_and_registered_kinds() -> None:
    shapes = []

    @m.register_pattern("levels")
    def levels(calendar, uniform, *, lowest: float = 0.2):  # type: ignore[no-untyped-def]
        channels, _, _ = uniform.shape
        assert np.shape(lowest) == (channels, 1, 1)
        shapes.append(uniform.shape)
        return lowest + uniform[..., : calendar.n_periods]

    @m.register_trend("steps")
    def steps(period, *, rise: float = 0.1):  # type: ignore[no-untyped-def]
        assert rise.shape[1:] == (1,)
        return np.floor(period / 10) * rise

    @m.register_noise("flat")
    def flat(rng, mu, sigma):  # type: ignore[no-untyped-def]
        assert mu.ndim == 2
        return sigma * rng.uniform(-1, 1, mu.shape)

    def wavy(dates, rng):  # type: ignore[no-untyped-def]
        return 1 + 0.5 * rng.random(len(dates))

    try:
        regions = {"n_regions": 2, "trend": {"kind": "steps"}, "noise": {"kind": "flat"}}
        channels = [
            steady("TV", pattern={"kind": "levels", "lowest": 0.3}),
            steady("Web", pattern={"kind": "levels"}),
            steady("Print", pattern=wavy),
        ]
        config = m.MMMDataConfig(**(config_with(*channels) | {"regions": regions}))
        vary = {
            "channels.TV.lowest": m.Uniform(0, 1),
            "regions.trend.rise": m.Uniform(0, 0.1),
            "channels.Print.base_spend": m.Uniform(1, 9),
        }
        ds = ensemble(config, n=3, vary=vary)
        assert shapes == [(6, 2, shapes[0][2])]
        for position in range(3):
            numbers = {path: float(ds[path][position]) for path in vary}
            tv, web, print_ = config.channels
            pattern = tv.pattern.replace(lowest=numbers["channels.TV.lowest"])
            print_ = print_.replace(base_spend=numbers["channels.Print.base_spend"])
            trend = config.regions.trend.replace(rise=numbers["regions.trend.rise"])
            single = config.replace(
                channels=[tv.replace(pattern=pattern), web, print_],
                regions=config.regions.replace(trend=trend),
                seed=int(ds["seed"][position]),
            )
            made = quietly(lambda single=single: m.generate_mmm_dataset(single))
            for name in made.data_vars:
                np.testing.assert_array_equal(ds[name][position], made[name], err_msg=str(name))
    finally:
        from mmm_xgen.kernels.baseline import TRENDS

        PATTERNS.remove("levels")
        TRENDS.remove("steps")
        NOISES.remove("flat")


def test_a_curve_that_serves_one_dataset_only_gets_them_one_by_one() -> None:
    @m.register_saturation("narrow")
    def narrow(x, *, scale: float = 1000.0):  # type: ignore[no-untyped-def]
        if np.ndim(x) > 1 and np.shape(x)[0] > 1:
            raise IndexError("one dataset only")
        return x / (x + scale)

    try:
        config = config_with(steady(spend_volatility=0.3), transforms={"saturation_fun": "narrow"})
        assert_elements_are_single_calls(ensemble(config, n=3))
    finally:
        SATURATIONS.remove("narrow")


# ------------------------------------------------------------------ laziness and chunks


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of datasets of every broadcast."""
    calls: list[int] = []
    made = recipes._made

    def counting(batch: Any) -> Any:
        calls.append(len(batch))
        return made(batch)

    monkeypatch.setattr(recipes, "_made", counting)
    return calls


def test_nothing_is_generated_until_it_is_asked_for(counted: list[int]) -> None:
    ds = m.generate_ensemble(n=10, chunks=3)
    one = ds["mu"].sum("date").isel(dataset=4)
    assert counted == []
    with dask.config.set(scheduler="synchronous"):
        one.compute()
    assert counted == [3]


def test_a_chunk_is_generated_once_for_all_of_its_variables(
    counted: list[int], tmp_path: Any
) -> None:
    ds = m.generate_ensemble(n=10, chunks=4, vary={"channels.*.roas": m.Uniform(1, 3)})
    ds.compute()
    assert sorted(counted) == [2, 4, 4]
    counted.clear()
    ds[["y", "spend", "mu"]].to_zarr(tmp_path / "many.zarr", zarr_format=2)
    assert sorted(counted) == [2, 4, 4]


def test_chunks_change_no_bit() -> None:
    config = m.get_preset_config("small_business")
    options = {"n": 7, "vary": {"channels.*.base_spend": m.Uniform(500, 1500)}}
    whole = ensemble(config, chunks=7, **options)
    for chunks in (1, 3, "auto", None):
        assert ensemble(config, chunks=chunks, **options).identical(whole), chunks


def test_a_chunk_larger_than_a_broadcast_is_made_in_several(
    monkeypatch: pytest.MonkeyPatch, counted: list[int]
) -> None:
    config = m.get_preset_config("basic")
    whole = ensemble(config, n=7)
    monkeypatch.setattr(recipes, "CHUNK_BYTES", 25_000)
    counted.clear()
    blocks = ensemble(config, n=7)
    assert max(counted) < 7
    assert sum(counted) == 7
    assert blocks.identical(whole)


def test_automatic_chunks_are_of_64_megabytes() -> None:
    ds = m.generate_ensemble(m.get_preset_config("large_business"), n=20)
    sizes = ds.chunksizes["dataset"]
    assert 30e6 < ds.nbytes / 20 * sizes[0] < 70e6
    assert m.generate_ensemble(n=3000, variables="y").chunksizes["dataset"] == (3000,)


def test_equal_ensembles_share_their_keys_and_others_do_not() -> None:
    def key(**options: Any) -> str:
        return str(m.generate_ensemble(**{"n": 4, "chunks": 2, **options})["y"].data.name)

    assert key() == key()
    others = [
        key(n=6),
        key(chunks=1),
        key(seeds=range(4)),
        key(vary={"channels.Trend.roas": m.Uniform(1, 2)}),
        key(config=m.get_preset_config("basic")),
        key(variables="y"),
    ]
    assert len({key(), *others}) == 7


def test_a_recipe_travels_between_processes() -> None:
    """Workers of a cluster make the same: `test_store.py` writes with them."""
    ds = m.generate_ensemble(n=4, chunks=2, vary={"channels.*.roas": m.Uniform(1, 3)})
    graph = dict(ds["y"].data.dask)
    (made,) = (value for name, value in graph.items() if str(name).startswith("recipe-"))
    made = getattr(made, "value", made)
    again = pickle.loads(pickle.dumps(made))
    for name, values in made.chunk(1, 3).items():
        assert values.tobytes() == again.chunk(1, 3)[name].tobytes()


# ------------------------------------------------------------------ seeds


def test_seeds_are_different_and_the_first_of_more() -> None:
    few, many = (m.generate_ensemble(n=n)["seed"].values for n in (10, 1000))
    assert few.tolist() == many[:10].tolist()
    assert len(set(many.tolist())) == 1000
    other = m.generate_ensemble(m.MMMDataConfig(**config_with(steady(), seed=12)), n=1000)["seed"]
    assert not set(other.values.tolist()) & set(many.tolist())


def test_a_pattern_that_spawns_generators_draws_what_it_draws_alone() -> None:
    """In an ensemble all datasets had the same children."""

    def spawning(dates: Any, rng: np.random.Generator) -> Any:
        return rng.spawn(1)[0].random(len(dates))

    config = m.MMMDataConfig(**config_with(steady("TV", pattern=spawning)))
    ds = ensemble(config, n=MANY)
    for position in (0, MANY - 1):
        single = m.generate_mmm_dataset(config, seed=int(ds["seed"][position]))
        np.testing.assert_array_equal(ds["spend"][position], single["spend"])


def test_a_shifted_stream_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    import mmm_xgen.generation.batch as batches

    right = batches.streams
    ds = ensemble(m.get_preset_config("basic"), seeds=SEEDS)
    shifted = lambda seeds, paths: right([seed + 1 for seed in seeds], paths)  # noqa: E731
    monkeypatch.setattr(batches, "streams", shifted)
    with pytest.raises(AssertionError):
        assert_elements_are_single_calls(ds)


# ------------------------------------------------------------------ what comes back


def test_an_element_regenerates_and_the_config_is_left_alone() -> None:
    vary = {"channels.*.roas": m.Uniform(1, 3), "regions.base_sales_rate": [9e3, 1e4]}
    config = m.get_preset_config("basic")
    before = copy.deepcopy(config.to_json())
    ds = ensemble(config, n=4, vary=vary, drop="carryover")
    assert config.to_json() == before
    one = ds.isel(dataset=2)
    assert m.regenerate(one).identical(one)
    assert one.mmm.config.seed == int(ds["seed"][2])
    assert one.mmm.config.regions.base_sales_rate == 9e3
    with pytest.raises(m.SchemaError, match="regenerate_ensemble"):
        m.regenerate(ds)
    with pytest.raises(m.SchemaError, match="2 of 3 values"):
        m.regenerate(one.isel(channel=[0, 1]))


@pytest.mark.parametrize("chunks", [None, 2])
def test_a_selection_of_an_ensemble_regenerates(chunks: Any) -> None:
    ds = m.generate_ensemble(n=6, chunks=chunks, vary={"channels.Trend.roas": m.Uniform(1, 2)})
    some = ds.isel(dataset=slice(1, 4))
    again = regenerate_ensemble(some)
    assert again.identical(some)
    assert again.chunksizes == some.chunksizes
    with pytest.raises(m.SchemaError, match="not an ensemble"):
        regenerate_ensemble(m.generate_mmm_dataset())


CHANGES: dict[str, tuple[Any, str]] = {
    "dates": (lambda ds: ds.isel(date=slice(10)), "'date' has 10 of 104 entries"),
    "geo": (lambda ds: ds.isel(geo=[0]), "'geo' has 1 of 2 entries"),
    "one geo": (lambda ds: ds.isel(geo=0), r"allowed: \('dataset', 'date', 'geo'.*"),
    "channels": (lambda ds: ds.isel(channel=[0, 1]), "'channel' has 2 of 3 entries"),
    "order": (lambda ds: ds.isel(geo=[1, 0]), "the coordinate 'geo' is not the one"),
    "labels": (lambda ds: ds.assign_coords(geo=["a", "b"]), "the coordinate 'geo' is not the one"),
    "note": (lambda ds: ds.assign_coords(note=1), "the coordinate 'note' is not the one"),
    "dims": (lambda ds: ds.transpose("geo", ...), r"allowed: \('dataset', "),
    "variable": (lambda ds: ds.assign(share=2 * ds["y"]), "'share' is not a variable"),
}


@pytest.mark.parametrize("chunks", [None, 2])
def test_only_datasets_may_be_selected(chunks: Any) -> None:
    ds = m.generate_ensemble(n=4, chunks=chunks, vary={"channels.*.roas": m.Uniform(1, 2)})
    for make, words in CHANGES.values():
        with pytest.raises(m.SchemaError, match=f"{words}.*; only datasets may be selected"):
            regenerate_ensemble(make(ds))


def test_variables_and_coordinates_that_are_left_regenerate() -> None:
    vary = {"regions.base_sales_rate": m.Uniform(9e3, 1e4)}
    kept = ["y", "spend", "effect"]
    ds = m.generate_ensemble(n=4, chunks=2, vary=vary, variables=kept)
    for part in (ds[["y"]], ds.drop_vars(["spend", "adstock_kind", "geo"]), ds.chunk(date=52)):
        again = regenerate_ensemble(part)
        assert again.identical(part)
        assert again["y"].chunks[0] == (2, 2)
    with pytest.raises(
        m.SchemaError, match=r"different chunks .*\(2, 2\) and \(4,\); pass ds.chunk"
    ):
        regenerate_ensemble(ds.assign(y=ds["y"].chunk(dataset=4)))


def test_coordinates_in_another_order_mean_the_same() -> None:
    ds = ensemble(m.get_preset_config("basic"), n=2, vary={"channels.*.roas": m.Uniform(1, 3)})
    turned = ds.assign_coords({"channels.*.roas": ds["channels.*.roas"].transpose()})
    for wanted, found in zip(recipe_of(ds).varied, recipe_of(turned).varied, strict=True):
        np.testing.assert_array_equal(found.values, wanted.values)


def test_without_a_dataset_there_is_no_ensemble() -> None:
    ds = ensemble(None, n=2)
    with pytest.raises(m.SchemaError, match="no datasets left"):
        regenerate_ensemble(ds.isel(dataset=[]))
    for call in (element, config_of_element):
        with pytest.raises(m.SchemaError, match="not an ensemble"):
            call(m.generate_mmm_dataset(), 0)
        with pytest.raises(m.SchemaError, match="not an ensemble"):
            call(ds.isel(dataset=0), 0)


def test_truth_and_models_take_an_ensemble() -> None:
    ds = ensemble(m.get_preset_config("basic"), n=5, vary={"channels.*.roas": m.Uniform(1, 3)})
    np.testing.assert_allclose(ds.mmm.roas(), ds["channels.*.roas"], rtol=1e-9)
    one = element(ds, 3)
    xr.testing.assert_identical(
        one.mmm.roas(), m.generate_mmm_dataset(config_of_element(ds, 3)).mmm.roas()
    )
    assert fit_least_squares(ds).roas().sizes["dataset"] == 5


def test_variables_can_be_chosen() -> None:
    ds = m.generate_ensemble(n=2, variables=["y", "adstock_*"], drop="*_sd")
    assert set(ds.data_vars) == {"y", "adstock_alpha", "adstock_alpha_mean", "adstock_weights"}
    with pytest.raises(m.ConfigError, match=r"variables: .*did you mean 'spend'"):
        m.generate_ensemble(n=2, variables="spent")
    with pytest.raises(m.ConfigError, match="leaves none"):
        m.generate_ensemble(n=2, drop="*")


# ------------------------------------------------------------------ warnings and errors


def test_a_warning_comes_once_a_kind_with_counts() -> None:
    config = m.customize_preset("basic", regions={"base_sales_rate": 1e6})
    vary = {"channels.TV.adstock_kwargs.alpha": [0.1, 0.9], "channels.TV.roas": [25.0]}

    def build() -> None:
        m.generate_ensemble(config, n=8, vary=vary, chunks=2).compute()

    found = warnings_of(build)
    assert len(found) == 2
    (kernel,) = (text for text in found if "loses" in text)
    assert kernel.startswith("in 1 of 2 datasets made together, as in dataset ")
    (returns,) = (text for text in found if "ROAS" in text)
    assert returns.startswith("in 2 of 2 datasets")


def test_an_error_names_the_dataset_and_its_numbers() -> None:
    config = config_with(
        steady(), regions={"noise": {"kind": "negative_binomial", "sales_volatility": 0.5}}
    )
    del config["regions"]["sales_volatility"]
    vary = {"regions.noise.sales_volatility": [0.3, 0.5, 0.001]}
    lazy = m.generate_ensemble(m.MMMDataConfig(**config), vary=vary, seeds=[5, 6, 7])
    with pytest.raises(
        m.ConfigError,
        match=r"regions.noise: dataset 2 \(seed 7, regions.noise.sales_volatility 0.001\): found a",
    ):
        quietly(lazy.compute)


def test_a_foreign_error_says_where_it_was() -> None:
    def broken(dates, rng):  # type: ignore[no-untyped-def]
        raise RuntimeError("no data")

    config = config_with(steady(pattern=broken))
    with pytest.raises(RuntimeError, match="no data") as caught:
        ensemble(config, seeds=[5, 6])
    assert caught.value.__notes__ == ["in dataset 0 (seed 5)"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "n: found neither n nor seeds"),
        ({"n": 0}, "n: found 0"),
        ({"n": 2.5}, "n: found 2.5"),
        ({"n": True}, "n: found True"),
        ({"n": 3, "seeds": [1, 2]}, "n: found 3 datasets and 2 seeds"),
        ({"seeds": []}, "seeds: found"),
        ({"seeds": 5}, "seeds: found 5"),
        ({"seeds": [1, -1]}, "seeds.1: found -1"),
        ({"seeds": [2**63]}, "seeds.0: found"),
        ({"n": 3, "chunks": 0}, "chunks: found 0"),
        ({"n": 3, "chunks": "all"}, "chunks: found 'all'"),
    ],
)
def test_impossible_arguments_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(m.ConfigError) as caught:
        m.generate_ensemble(**options)
    assert str(caught.value).startswith(words)


def test_without_dask_chunks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "dask.array", None)
    with pytest.raises(m.MissingDependencyError, match=r"dask; pip install 'mmm-xgen\[scale\]'$"):
        m.generate_ensemble(n=2)
    assert m.generate_ensemble(n=2, chunks=None).sizes["dataset"] == 2
