"""DESIGN section 10: one test for each fault, named after it, that the fault would fail."""

from __future__ import annotations

import ast
import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

import mmm_xgen as m
from mmm_xgen.errors import ConfigError, XgenError
from tests.strategies import (
    BASELINE_PARTS,
    assert_parts_add_up,
    config_with,
    generate,
    quietly,
    steady,
)

PACKAGE = Path(m.__file__).parent
SMALL_PRESETS = (
    "basic",
    "seasonal",
    "multi_region",
    "demo",
    "small_business",
    "reference_notebook",
)


def run_python(program: str, *arguments: str, **environment: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.strip()


def test_fault_global_seeding() -> None:
    config = config_with(steady(spend_volatility=0.3), regions={"sales_volatility": 0.1})
    np.random.seed(7)
    expected = np.random.standard_normal(5)
    np.random.seed(7)
    first = generate(config)
    assert np.array_equal(np.random.standard_normal(5), expected), "generation moved the state"
    np.random.seed(99)
    assert generate(config).identical(first), "generation read the global state"


def test_fault_seeds_added_up_so_that_series_are_copies_of_each_other() -> None:
    channels = [
        {"name": f"ch{i}", "pattern": "linear_trend", "base_spend": 1000.0, "spend_volatility": 0.4}
        for i in range(24)
    ]
    controls = [
        {
            "name": f"co{i}",
            "pattern": "linear_trend",
            "base_value": 1000.0,
            "value_volatility": 0.4,
        }
        for i in range(12)
    ]
    ds = generate(
        config_with(
            *channels,
            control_variables=controls,
            n_periods=160,
            regions={"n_regions": 6, "sales_volatility": 0.1},
        )
    )
    columns = [
        ds[name].transpose("date", ...).values.reshape(160, -1)
        for name in ("spend", "control_value", "noise")
    ]
    series = np.concatenate(columns, axis=1)
    assert series.shape[1] == 6 * (24 + 12 + 1)
    correlation = np.corrcoef(series, rowvar=False) - np.eye(series.shape[1])
    assert np.abs(correlation).max() < 0.9
    values = np.concatenate(columns[:2], axis=1)
    assert np.unique(values).size == values.size, "two series share a draw"


def test_fault_overrides_that_mutate_a_shared_default() -> None:
    default, preset = m.DEFAULT_CONFIG.to_json(), m.get_preset_config("basic").to_json()
    other = m.customize_preset("basic", n_periods=31, seed=99, **{"regions.base_sales_rate": 123.0})
    assert (other.n_periods, other.seed, other.regions.base_sales_rate) == (31, 99, 123.0)
    generate(m.DEFAULT_CONFIG, seed=3)
    assert m.get_preset_config("basic").to_json() == preset
    assert m.DEFAULT_CONFIG.to_json() == default
    with pytest.raises((ValidationError, AttributeError, TypeError, XgenError)):
        m.DEFAULT_CONFIG.n_periods = 3
    with pytest.raises((ValidationError, AttributeError, TypeError, XgenError)):
        m.DEFAULT_CONFIG.regions.base_sales_rate = 3.0
    assert m.DEFAULT_CONFIG.to_json() == default


def test_fault_overrides_that_mutate_what_the_caller_passed() -> None:
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


def test_fault_effects_columns_in_the_modelling_frame() -> None:
    ds = generate(m.get_preset_config("multi_region"))
    frame = m.to_frame(ds)
    channels = [f"x{i + 1}-{name}" for i, name in enumerate(ds["channel"].values)]
    controls = [f"c{i + 1}-{name}" for i, name in enumerate(ds["control"].values)]
    assert list(frame.columns) == ["date", "geo", "y", *channels, *controls]


def test_fault_rows_sorted_by_geo() -> None:
    frame = m.to_frame(generate(config_with(steady(), regions={"n_regions": 3})))
    assert frame["geo"].iloc[0] != frame["geo"].iloc[1]
    assert (frame["date"].iloc[:3] == frame["date"].iloc[0]).all()
    keys = list(zip(frame["date"], frame["geo"], strict=True))
    assert keys == sorted(keys)


@pytest.mark.parametrize("unit", ["currency", "base_spend"])
def test_fault_spend_divided_by_its_realised_maximum(unit: str) -> None:
    kappa = 3000.0 if unit == "currency" else 3.0
    curve = {"kind": "hill_function", "slope": 1.0, "kappa": kappa}
    config = config_with(
        steady("TV", spend_volatility=0.2, saturation=curve), transforms={"spend_unit": unit}
    )
    ds = generate(config)
    tenfold = generate(config, spend=10 * ds["spend"])
    gain = tenfold["channel_contribution"].sum() / ds["channel_contribution"].sum()
    assert 2.0 < gain < 10.0
    assert (tenfold["y"] > ds["y"]).all()
    assert tenfold["spend_unit"].equals(ds["spend_unit"])


def test_fault_ten_times_the_base_spend_gives_the_same_sales() -> None:
    curve = {"kind": "hill_function", "slope": 1.0, "kappa": 3000.0}
    one, ten = (
        generate(config_with(steady(saturation=curve, base_spend=spend)))
        for spend in (1000.0, 10_000.0)
    )
    assert (ten["channel_contribution"] > 2 * one["channel_contribution"]).all()


def test_fault_list_valued_transforms_skip_the_geo_variation() -> None:
    transforms = {
        "adstock_fun": ["geometric_adstock", "delayed_adstock"],
        "adstock_kwargs": [{"alpha": 0.5}, {"alpha": 0.4, "theta": 1.0}],
        "saturation_fun": ["hill_function", "logistic_saturation"],
        "saturation_kwargs": [{"slope": 1.0, "kappa": 900.0}, {"lam": 1e-3}],
    }
    ds = generate(
        config_with(
            steady("A"),
            steady("B", pattern="seasonal"),
            transforms=transforms,
            regions={"n_regions": 4, "transform_variation": 0.2},
        )
    )
    expected = {
        "A": ["adstock_alpha", "saturation_kappa"],
        "B": ["adstock_alpha", "saturation_lam"],
    }
    for channel, names in expected.items():
        for name in names:
            values = ds[name].sel(channel=channel).values
            assert np.unique(values).size == 4, f"{name} of {channel} is the same in every geo"
    assert np.isnan(ds["saturation_lam"].sel(channel="A")).all()
    assert list(ds["saturation_kind"].values) == transforms["saturation_fun"]
    kernels = ds["adstock_weights"].sel(channel="A").values
    assert len({kernel.tobytes() for kernel in kernels}) == 4, "the kernel ignores the variation"


@pytest.mark.parametrize("field", ["adstock_fun", "adstock_kwargs", "saturation_kwargs"])
@pytest.mark.parametrize("length", [1, 2, 4])
def test_fault_list_valued_transforms_are_recycled_silently(field: str, length: int) -> None:
    entry: Any = {
        "adstock_fun": "geometric_adstock",
        "adstock_kwargs": {"alpha": 0.3},
        "saturation_kwargs": {"slope": 1.0, "kappa": 900.0},
    }[field]
    config = config_with(
        steady("A"), steady("B"), steady("C"), transforms={field: [entry] * length}
    )
    with pytest.raises(ConfigError) as error:
        generate(config)
    assert f"transforms.{field}" in str(error.value)
    assert str(length) in str(error.value)
    assert "3" in str(error.value)


def test_fault_end_period_ignored() -> None:
    ds = generate(
        config_with(
            {
                "name": "Print",
                "pattern": "delayed_start",
                "base_spend": 800.0,
                "spend_volatility": 0.0,
                "start_period": 5,
                "ramp_up_periods": 2,
                "end_period": 30,
            }
        )
    )
    spend = ds["spend"].values.ravel()
    np.testing.assert_allclose(spend[8:30], 800.0)
    assert (spend[31:] == 0).all()


def peaks_a_year(series: np.ndarray) -> float:
    """Count of upward crossings of the mean, over three years of days."""
    above = series > series.mean()
    return float((~above[:-1] & above[1:]).sum() / 3)


def test_fault_annual_seasonality_with_two_peaks() -> None:
    ds = generate(
        config_with(
            {
                "name": "Ice",
                "pattern": "seasonal",
                "seasonal_amplitude": 0.5,
                "spend_volatility": 0.0,
            },
            n_periods=3 * 365,
            freq="D",
            start_date="2021-01-01",
            regions={"seasonal_amplitude": 0.2, "fourier_modes": 1},
        )
    )
    assert peaks_a_year(ds["spend"].values.ravel()) == 1.0
    assert peaks_a_year(ds["seasonality_contribution"].values.ravel()) == 1.0


def test_fault_noise_folded_into_the_baseline_and_lost() -> None:
    config = config_with(
        steady(), regions={"sales_volatility": 0.1, "sales_trend": 0.01, "seasonal_amplitude": 0.1}
    )
    loud, other = generate(config), generate(config, seed=5)
    silent = generate(config | {"regions": config["regions"] | {"sales_volatility": 0.0}})
    assert float(loud["noise"].std()) > 500.0
    assert (loud["noise"] != other["noise"]).all()
    for part in (*BASELINE_PARTS, "mu"):
        assert np.array_equal(loud[part], silent[part]), f"{part} carries noise"
        assert np.array_equal(loud[part], other[part]), f"{part} carries noise"
    np.testing.assert_allclose(loud["y"] - loud["mu"], loud["noise"], rtol=1e-9, atol=1e-8)


def test_fault_a_baseline_whose_parts_do_not_add_up() -> None:
    config = config_with(
        steady(base_effectiveness=0.0),
        events=[{"name": "launch", "dates": ["2022-05-02"], "effect": 0.3}],
        control_variables=[{"name": "Price", "pattern": "linear_trend", "gamma_control": -90.0}],
        regions={
            "n_regions": 3,
            "sales_trend": 0.02,
            "seasonal_amplitude": 0.3,
            "baseline_variation": 0.3,
        },
    )
    ds = generate(config)
    assert_parts_add_up(ds)
    baseline = sum(ds[part] for part in BASELINE_PARTS) + ds["control_contribution"].sum("control")
    np.testing.assert_allclose(ds["y"], baseline.transpose("date", "geo"), rtol=1e-9)
    for part in BASELINE_PARTS:
        assert (ds[part] != 0).any(), f"{part} is idle, so the sum shows little"


@pytest.mark.parametrize("name", sorted(set(m.list_available_presets()) - {"reference_notebook"}))
def test_fault_presets_with_absurd_roas_or_media_share(name: str) -> None:
    ds = m.generate_mmm_dataset(m.get_preset_config(name))
    contribution = ds["channel_contribution"]
    revenue = (contribution * ds["revenue_per_kpi"]).sum(("date", "geo"))
    roas = revenue / ds["spend"].sum(("date", "geo"))
    media = float(contribution.sum() / ds["mu"].sum())
    low, high = (0.05, 0.25) if name in ("enterprise", "traditional_media") else (0.10, 0.45)
    assert low <= media <= high, f"media is {media:.0%} of sales"
    assert 0.5 <= float(roas.median()) <= 4.0
    assert ((roas >= 0.2) & (roas <= 10.0)).all(), roas.to_series().to_dict()


def test_fault_a_preset_that_differs_from_run_to_run() -> None:
    program = (
        "import hashlib, sys, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "import mmm_xgen as m\n"
        "for name in sys.argv[1:]:\n"
        "    config = m.get_preset_config(name)\n"
        "    ds = m.generate_mmm_dataset(config)\n"
        "    text = config.to_json().encode() + ds['y'].values.tobytes()\n"
        "    print(hashlib.sha256(text + ds['spend'].values.tobytes()).hexdigest())\n"
    )
    runs = [run_python(program, *SMALL_PRESETS, PYTHONHASHSEED=seed) for seed in ("1", "2")]
    assert runs[0] == runs[1]
    assert len(set(runs[0].split())) == len(SMALL_PRESETS)


PATTERNS: dict[str, dict[str, Any]] = {
    "linear_trend": {"spend_trend": 0.01},
    "seasonal": {},
    "delayed_start": {"start_period": 5},
    "on_off": {},
    "step": {"step_periods": [10, 20], "step_levels": [2.0, 0.5]},
    "cyclical": {"cycle_periods": 13.0},
    "event_spikes": {"spike_dates": ["07-04"]},
    "pulsed": {"pulse_on_periods": 3, "pulse_off_periods": 2},
    "always_on": {},
    "uniform": {"low": 0.5, "high": 1.5},
}


@pytest.mark.parametrize("kind", PATTERNS)
def test_fault_crash_at_volatility_zero(kind: str) -> None:
    channel = {"name": "TV", "pattern": kind, "spend_volatility": 0.0} | PATTERNS[kind]
    control = {"name": "Price", "pattern": kind, "value_volatility": 0.0} | PATTERNS[kind]
    ds = generate(
        config_with(channel, control_variables=[control], regions={"sales_volatility": 0.0})
    )
    assert np.isfinite(ds["spend"]).all()
    assert float(ds["spend"].sum()) > 0
    assert (ds["noise"] == 0).all()
    np.testing.assert_allclose(ds["y"], ds["mu"], rtol=1e-12)


def test_fault_crash_on_numpy_integers() -> None:
    config = config_with(
        steady(), n_periods=np.int64(20), seed=np.uint32(5), regions={"n_regions": np.int32(2)}
    )
    ds = generate(config, seed=np.int64(6))
    plain = config | {"n_periods": 20, "seed": 6, "regions": config["regions"] | {"n_regions": 2}}
    assert ds.identical(generate(plain))
    assert quietly(lambda: m.regenerate(ds)).identical(ds)


@pytest.mark.parametrize(
    "idle",
    [
        {"pattern": "delayed_start", "start_period": 51, "ramp_up_periods": 40, "base_spend": 0.0},
        {"pattern": "on_off", "activation_probability": 0.0},
        {"pattern": "linear_trend", "base_spend": 0.0},
    ],
)
def test_fault_crash_on_a_channel_that_never_runs(idle: dict[str, Any]) -> None:
    ds = generate(config_with({"name": "Idle", "spend_volatility": 0.3} | idle, steady("TV")))
    alone = ds.sel(channel="Idle")
    assert (alone["spend"] == 0).all()
    assert (alone["channel_contribution"] == 0).all()
    assert np.isfinite(ds["y"]).all()
    assert m.to_frame(ds)["x1-Idle"].eq(0).all()


def test_fault_caches_keyed_by_name_only() -> None:
    # The same names throughout; only a value deep inside differs.
    alphas = (0.1, 0.7, 0.1)
    results = [
        generate(config_with(steady(adstock={"kind": "geometric_adstock", "alpha": alpha})))
        for alpha in alphas
    ]
    assert results[0].identical(results[2])
    assert not np.allclose(results[0]["carryover"], results[1]["carryover"])
    lengths = [generate(m.customize_preset("basic", n_periods=n)).sizes["date"] for n in (30, 40)]
    assert lengths == [30, 40]


def test_fault_caches_stored_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import mmm_xgen as m\n"
        "m.generate_mmm_dataset(m.get_preset_config('basic'))\n"
        "m.list_available_presets()\n"
    )
    places = {"HOME": tmp_path / "home", "XDG_CACHE_HOME": tmp_path / "cache"}
    places["TMPDIR"] = tmp_path / "temporary"
    for place in places.values():
        place.mkdir()
    monkeypatch.chdir(tmp_path)
    run_python(program, PYTHONDONTWRITEBYTECODE="1", **{k: str(v) for k, v in places.items()})
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def imported_modules(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_fault_pickles_are_written_or_read() -> None:
    banned = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    sources = list(PACKAGE.rglob("*.py"))
    assert len(sources) > 10
    guilty = {str(p.relative_to(PACKAGE)): imported_modules(p) & banned for p in sources}
    assert not {name: found for name, found in guilty.items() if found}


def leaves(node: Any) -> list[Any]:
    """Every value of a nested dictionary."""
    if isinstance(node, dict):
        return [leaf for child in node.values() for leaf in leaves(child)]
    return [tuple(node) if isinstance(node, list) else node]


def test_fault_a_benchmark_that_never_compares_a_parameter_with_its_truth() -> None:
    config = config_with(
        steady(
            "TV",
            spend_volatility=0.3,
            adstock={"kind": "geometric_adstock", "alpha": 0.4},
            saturation={"kind": "hill_function", "slope": 1.2, "kappa": 1500.0},
            base_effectiveness=0.1,
        ),
        regions={"n_regions": 2, "transform_variation": 0.2},
    )
    ds = generate(config)
    told = set(leaves(m.ground_truth(ds)["parameters"]["TV"]))
    for name in ("adstock_alpha", "saturation_slope", "saturation_kappa", "saturation_beta"):
        values = {float(value) for value in ds[name].values.ravel()}
        assert values <= told, f"the ground truth says nothing of {name}"
        shifted = ds.copy(deep=True)
        shifted[name] = shifted[name] * 1.05
        # A parameter that could be wrong without consequence would be no truth at all.
        if name != "adstock_alpha":
            moved = m.respond(ds["spend"], shifted) - ds["channel_contribution"]
            assert float(np.abs(moved).max()) > 0, f"{name} decides nothing"
    assert not np.array_equal(
        ds["saturation_kappa"].isel(geo=0), ds["saturation_kappa"].isel(geo=1)
    )


def test_fault_one_compilation_for_each_channel_and_geo() -> None:
    program = (
        "import sys\n"
        "import mmm_xgen as m\n"
        "heavy = ('pymc', 'pytensor', 'pymc_marketing', 'arviz', 'matplotlib', 'scipy', 'typer',\n"
        "         'rich', 'dask', 'numba', 'jax')\n"
        "print([name for name in heavy if name in sys.modules])\n"
        "ds = m.generate_mmm_dataset(m.get_preset_config('large_business'))\n"
        "print(dict(ds.sizes)['geo'], dict(ds.sizes)['channel'])\n"
        "print([n for n in ('pymc', 'pytensor', 'matplotlib', 'numba') if n in sys.modules])\n"
    )
    imported, sizes, compiled = run_python(program).splitlines()
    assert imported == "[]"
    assert sizes == "50 30"
    assert compiled == "[]"
