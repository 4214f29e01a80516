"""Studies: units are whole or not there, are done once, and add up to the same tables."""

from __future__ import annotations

import errno
import json
import math
import os
import pickle
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import psutil
import pytest
import typer
import xarray as xr
from typer.testing import CliRunner

import mmm_xgen
from mmm_xgen.atomic import atomic_path
from mmm_xgen.cli.benchmark import ManyValues, benchmark, chosen_models, repeated
from mmm_xgen.config.channel import ChannelConfig
from mmm_xgen.errors import (
    ConfigError,
    MissingDependencyError,
    NotApplicableError,
    UnknownKindError,
    XgenError,
)
from mmm_xgen.formatting.amounts import ratio
from mmm_xgen.recovery import plots
from mmm_xgen.recovery.fit import MODELS, Fit, FitSettings, RegisteredModel, register_model
from mmm_xgen.recovery.plots import read_returns
from mmm_xgen.recovery.report import markdown
from mmm_xgen.recovery.run import _to_do, run_study, study_units
from mmm_xgen.recovery.study import work
from mmm_xgen.recovery.study.results import (
    collect_units,
    converged,
    newest,
    read_scores,
    read_units,
)
from mmm_xgen.recovery.study.saved import read_posterior, thinned, write_posterior
from mmm_xgen.recovery.study.storage import StorageError
from mmm_xgen.recovery.study.tables import (
    CONVERGED,
    EVERY,
    paired,
    populations,
    summary_tables,
)
from mmm_xgen.recovery.study.unit import (
    Unit,
    read_stats,
    remove_leftovers,
    whole_folder,
    write_stats,
)
from mmm_xgen.recovery.study.workers import collect, remove_unfinished
from tests.recovery import fake_models

ROOT = Path(__file__).parents[3]
CONFIG = mmm_xgen.MMMDataConfig(
    n_periods=30,
    channels=[ChannelConfig(name=name, roas=2.0) for name in ("TV", "Search")],
    control_variables=[mmm_xgen.ControlConfig(name="Price", gamma_control=-100.0)],
)
FEW = FitSettings(chains=2, draws=50, scored_draws=100)
# Columns and tables that time goes into.
TIMED = ("seconds", "ess_per_second")
TIMED_TABLES = ("runtime_comparison", "ess_per_second", "diagnostics_summary")


@pytest.fixture(autouse=True)
def fakes(monkeypatch, request) -> None:
    """The fake models, and room for those of a test, which end with it."""
    # The self-check takes longer than everything else; one test is about it.
    if "corrupted" not in request.node.name:
        monkeypatch.setattr(work, "_check_truth", lambda ds, unit: None)
    # Pictures take seconds a study; one test is about them.
    if "drawn" not in request.node.name:
        monkeypatch.setattr(plots, "plot_study", lambda *found: [])
    monkeypatch.setattr(MODELS, "_entries", {**MODELS._entries, **fake_models.FAKES})


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    out = tmp_path_factory.mktemp("mixed")
    # As in `fakes`, which comes after a fixture of the module.
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(work, "_check_truth", lambda ds, unit: None)
        patched.setattr(plots, "plot_study", lambda *found: [])
        patched.setattr(MODELS, "_entries", {**MODELS._entries, **fake_models.FAKES})
        return study(out, ["fake-instant", "fake-failing", "fake-unconverged"], range(4))


@pytest.fixture
def unit() -> Unit:
    """One fit of a fake model."""
    return study_units({"tiny": CONFIG}, "fake-instant", [1], FEW)[0]


def study(out: Path, models: str | list[str] = "fake-instant", seeds=(1, 2), **more):
    options = {"jobs": 0, **more}
    return run_study({"tiny": CONFIG}, models, seeds, FEW, out=out, **options)


def contents(out: Path) -> dict[str, tuple[int, bytes]]:
    """Time of change and content of every file of every unit."""
    return {
        str(path.relative_to(out)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(out.glob("tiny/*/[0-9]*/*"))
    }


def untimed(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return {
        name: table.drop(columns=[c for c in TIMED if c in table])
        for name, table in tables.items()
        if name not in TIMED_TABLES
    }


def assert_same_tables(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> None:
    assert set(one) == set(other)
    for name, table in untimed(one).items():
        pd.testing.assert_frame_equal(table, untimed(other)[name], obj=name)


# --- units


def test_a_unit_has_what_it_needs_and_nothing_else(mixed):
    (folder,) = mixed.out.glob("tiny/fake-instant-nutpie/0003-*")
    assert folder in list(mixed.units["folder"])
    names = {path.name for path in folder.iterdir()}
    assert names == {"data.nc", "posterior.nc", "scores.nc", "stats.json"}
    stats = json.loads((folder / "stats.json").read_text())
    assert stats["status"] == "done" and stats["hash"].startswith(folder.name[-8:])
    assert stats["sizes"] == {"date": 30, "geo": 1, "channel": 2, "control": 1}
    assert stats["versions"]["mmm-xgen"] == mmm_xgen.__version__
    assert stats["timings"] == {"sample": 0.5, "total": 1.0}
    assert stats["fit_seed"] != stats["settings"]["seed"]
    ds = mmm_xgen.load(folder / "data.nc")
    assert ds.identical(mmm_xgen.generate_mmm_dataset(CONFIG, seed=3))
    assert not list(mixed.out.rglob("*.pkl"))


def test_only_what_is_missing_or_asked_for_is_fitted(tmp_path):
    def fitted(**more):
        before = contents(tmp_path)
        found = study(tmp_path, ["fake-instant", "fake-failing"], **more)
        after = contents(tmp_path)
        assert before.keys() <= after.keys()
        new = {tuple(name.split("/")[1:3]) for name in after if after[name] != before.get(name)}
        return found.units["status"].tolist(), {f"{model} {unit[:4]}" for model, unit in new}

    instant, failing = "fake-instant-nutpie", "fake-failing-nutpie"
    assert fitted(seeds=[1]) == (["failed", "done"], {f"{instant} 0001", f"{failing} 0001"})
    both = ["failed", "done", "done", "done"]
    assert fitted(seeds=[1, 2]) == (both, {f"{instant} 0002", f"{failing} 0002"})
    assert fitted(retry_failed=True) == (both, {f"{failing} 0001"})
    assert fitted(seeds=[2], force=True)[1] == {f"{instant} 0002", f"{failing} 0002"}


def test_a_study_goes_on_from_its_table_of_units(tmp_path):
    models = ["fake-instant", "fake-failing"]
    first = study(tmp_path, models, seeds=[1])
    before = read_units(tmp_path)
    stats = [read_stats(folder) for folder in before["folder"]]
    table = pd.read_parquet(collect_units(tmp_path))
    assert table["status"].tolist() == before["status"].tolist()
    shutil.rmtree(tmp_path / "tiny")
    pd.testing.assert_frame_equal(read_units(tmp_path), before)
    assert [read_stats(folder) for folder in before["folder"]] == stats
    again = study(tmp_path, models, seeds=[1])
    assert contents(tmp_path) == {}
    assert_same_tables(again.tables, first.tables)
    # What is fitted anew has a folder again, which counts, and the table is brought up to date.
    study(tmp_path, models, seeds=[1], retry_failed=True)
    assert {name.split("/")[1] for name in contents(tmp_path)} == {"fake-failing-nutpie"}
    newer = read_units(tmp_path)
    assert (newer["began"] > before["began"]).tolist() == [True, False]
    collect_units(tmp_path)
    shutil.rmtree(tmp_path / "tiny")
    pd.testing.assert_frame_equal(read_units(tmp_path), newer)


@pytest.mark.parametrize(
    "change",
    [
        {"settings": replace(FEW, draws=60)},
        {"settings": replace(FEW, sampler="numpyro")},
        {"settings": replace(FEW, lift_tests=True)},
        {"seed": 2},
        {"model": "fake-failing"},
        {"dataset": "other"},
        {"config": CONFIG.to_json().replace("-100", "-101")},
        {"protocol": "abc"},
    ],
)
def test_what_decides_a_result_is_in_the_hash(change):
    unit = Unit(dataset="a", config=CONFIG.to_json(), model="fake-instant", seed=1, settings=FEW)
    assert replace(unit, **change).hash != unit.hash


def test_versions_are_in_the_hash(monkeypatch):
    unit = Unit(dataset="a", config=CONFIG.to_json(), model="fake-instant", seed=1)
    before = unit.hash
    monkeypatch.setattr("mmm_xgen.recovery.study.unit.installed", lambda _: {"numpy": "99"})
    assert replace(unit).hash != before


def test_settings_that_a_model_does_not_use_make_no_second_fit():
    every = [FitSettings(sampler=name) for name in ("nutpie", "numpyro")]
    register_model("plain", uses_settings=())(fake_models.instant)
    units = study_units({"tiny": CONFIG}, ["plain", "fake-instant"], [1], every)
    assert [unit.label for unit in units] == [
        "plain",
        "fake-instant-nutpie",
        "fake-instant-numpyro",
    ]
    assert "pymc" not in units[0].versions and "jax" in units[2].versions
    # A process that does not know the model yet has the same unit.
    there = pickle.loads(pickle.dumps(units[0]))
    assert (there.label, there.hash) == ("plain", units[0].hash)


OURS = {
    "pymc-default": {"chains", "draws", "tune", "cores", "target_accept", "sampler", "lift_tests"},
    "meridian-default": {"chains", "draws", "tune", "cores", "target_accept", "lift_tests"},
    **{name: set() for name in ("ols", "ols-oracle", "spend-share", "prior-only")},
}


@pytest.mark.parametrize("model", OURS)
def test_our_models_are_fitted_again_if_settings_that_they_use_change(model):
    others = {"chains": 2, "draws": 60, "tune": 70, "cores": 1, "target_accept": 0.8}
    others |= {"sampler": "numpyro", "lift_tests": True}
    always = {"seed": 9, "train_end": "2022-06", "scored_draws": 7}
    make = {"config": CONFIG, "model": model, "dataset": "a", "seed": 1}
    plain = Unit.of(settings=FitSettings(), **make).hash
    changed = {
        name
        for name, value in (others | always).items()
        if Unit.of(settings=FitSettings(**{name: value}), **make).hash != plain
    }
    assert changed == OURS[model] | set(always)


def test_a_model_of_a_user_keeps_its_settings_whatever_its_name():
    name = "ols-with-experiments"
    register_model(name)(fake_models.instant)
    units = study_units({"tiny": CONFIG}, name, [1], FitSettings(lift_tests=True, draws=60))
    assert units[0].fit_settings.lift_tests and units[0].fit_settings.draws == 60
    with pytest.raises(ConfigError, match="did you mean 'draws'"):
        register_model(name, uses_settings=["drawz"])


def test_versions_of_what_a_model_runs_on_are_its_own():
    units = study_units({"tiny": CONFIG}, ["meridian-default", "ols"], [1])
    assert units[0].versions["google-meridian"] and "google-meridian" not in units[1].versions


def test_a_table_of_different_source_says_so(tmp_path, monkeypatch):
    first = study(tmp_path, seeds=[1])
    assert "Mixed" not in first.report.read_text()
    (folder,) = first.units["folder"]
    stats = json.loads((folder / "stats.json").read_text())
    monkeypatch.setattr("mmm_xgen.recovery.study.unit.code_digest", lambda: "f" * 64)
    found = study(tmp_path, seeds=[1, 2])
    assert f"mmm-xgen, {stats['code'][:8]}, ffffffff." in found.report.read_text()


def test_a_model_that_does_not_exist_for_the_data_is_skipped_and_not_imputed(tmp_path, monkeypatch):
    def picky(ds, settings):
        raise NotApplicableError("found kinds a, b, allowed: one")

    floor = RegisteredModel(name="prior-only", function=fake_models.instant, uses_settings=())
    monkeypatch.setitem(MODELS._entries, "prior-only", floor)
    MODELS.add("picky", picky)
    names = ["picky", "fake-failing", "prior-only"]
    found = study(tmp_path, names, seeds=[1])
    before = contents(tmp_path)
    study(tmp_path, names, seeds=[1])
    assert contents(tmp_path) == before
    row = found.units.set_index("model").loc["picky-nutpie"]
    assert row["status"] == "skipped"
    assert row["reason"] == "not applicable: found kinds a, b, allowed: one"
    imputed = found.tables["roas_recovery"].query("imputed > 0")["model"]
    assert set(imputed) == {"fake-failing-nutpie"}
    text = found.report.read_text()
    assert "picky" in text.split("## Models that do not exist for the data")[1].split("##")[0]
    assert "picky" not in text.split("## What was too expensive")[1].split("##")[0]


def test_mixed_kinds_and_matched_pymc_do_not_apply():
    from mmm_xgen.recovery.models.pymc_fit import _the_only

    ds = xr.Dataset(coords={"adstock_kind": ("channel", ["a", "b"])})
    with pytest.raises(NotApplicableError, match="one for all channels"):
        _the_only(ds, "adstock_kind")


def test_tracebacks_name_no_folder_of_the_machine(mixed):
    (folder,) = mixed.out.glob("tiny/fake-failing-nutpie/0001-*")
    text = json.loads((folder / "stats.json").read_text())["traceback"]
    assert 'File "mmm_xgen/recovery/study/work.py"' in text
    assert "fake_models.py" in text and str(ROOT) not in text


def test_seeds_of_fits_differ_between_datasets_and_repeat():
    units = study_units({"a": CONFIG, "b": CONFIG}, "fake-instant", range(20), FEW)
    seeds = [unit.fit_settings.seed for unit in units]
    assert len(set(seeds)) == 40
    assert seeds == [replace(unit).fit_settings.seed for unit in units]


def test_datasets_may_be_presets_configurations_or_functions(tmp_path):
    def drawn(seed: int) -> mmm_xgen.MMMDataConfig:
        return CONFIG.model_copy(update={"seed": seed, "n_periods": 20 + seed})

    units = study_units(["basic", CONFIG], "fake-instant", [1])
    assert units[0].dataset == "basic" and units[1].dataset.startswith("data-")
    assert units[0].config == mmm_xgen.get_preset_config("basic", seed=1).to_json()
    found = run_study({"drawn": drawn}, "fake-instant", [1, 2], FEW, out=tmp_path, jobs=0)
    assert found.units["n_date"].tolist() == [21, 22]


@pytest.mark.parametrize(
    ("datasets", "models", "seeds", "fault"),
    [
        ("bsic", "fake-instant", [1], "did you mean 'basic'"),
        ("basic", "fake-instnt", [1], "did you mean 'fake-instant'"),
        ({"../up": CONFIG}, "fake-instant", [1], "letters, digits"),
        ({"summary": CONFIG}, "fake-instant", [1], "any other name"),
        ("basic", "fake-instant", [], "allowed: one of each"),
        ("basic", "fake-instant", [-1], "allowed: 0 or more"),
        ({"a": lambda seed: None}, "fake-instant", [1], "returned NoneType"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is(datasets, models, seeds, fault):
    with pytest.raises((ConfigError, UnknownKindError), match=fault):
        study_units(datasets, models, seeds)


@pytest.mark.parametrize("end", ["2021-12", "2021-12-31"])
def test_a_window_before_all_dates_is_refused_before_anything_is(end):
    with pytest.raises(ConfigError, match=r"settings\.train_end: found 2021-12"):
        study_units({"tiny": CONFIG}, "fake-instant", [1], FitSettings(train_end=end))


@pytest.mark.parametrize("module", ["mmm_xgen.atomic", "mmm_xgen.recovery.study.unit"])
def test_only_files_open_for_writing_are_synced(tmp_path, monkeypatch, module):
    modes = []

    def fsync(number):
        modes.append(fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE)

    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(f"{module}.os.fsync", fsync)
    if module == "mmm_xgen.atomic":
        with atomic_path(tmp_path / "a.txt") as path:
            path.write_text("a")
    else:
        with whole_folder(tmp_path / "a" / "b") as folder:
            write_stats(folder, {"status": "done"})
    assert modes == [os.O_RDWR]


def test_time_outs_and_executors_that_cannot_be_had_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="worker processes"):
        study(tmp_path, timeout=1.0)
    with pytest.raises(ConfigError, match="both jobs and executor"):
        study(tmp_path, jobs=2, executor=object())


def test_a_corrupted_truth_is_not_scored_against(unit, tmp_path, monkeypatch):
    def corrupted(config):
        ds = mmm_xgen.generate_mmm_dataset(config)
        return ds.assign(channel_contribution=1.1 * ds.channel_contribution)

    monkeypatch.setattr(work, "generate_mmm_dataset", corrupted)
    monkeypatch.setattr(work._PROCESS, "checked", None)
    stats = work.run_unit(unit, tmp_path)
    assert stats["status"] == "failed" and "self-check" in stats["reason"]


def test_a_fit_whose_diagnostics_cannot_be_computed_has_not_converged_and_says_why(tmp_path):
    reason = "draws that are not finite: beta[TV]"

    def lost(ds, settings):
        good = {"rhat_max": math.nan, "divergences": 0.0, "ess_bulk_min": 400.0}
        fit = fake_models.instant(ds, settings)
        return replace(fit, diagnostics=good, not_computed={"rhat_max": reason})

    MODELS.add("lost", lost)
    found = study(tmp_path, ["lost", "fake-instant"], seeds=[1])
    rows = found.units.set_index("model")
    assert rows["converged"].to_dict() == {"lost-nutpie": False, "fake-instant-nutpie": True}
    assert rows.loc["lost-nutpie", "not_converged"] == f"rhat_max cannot be computed: {reason}"
    counts = found.tables["diagnostics_summary"].set_index("model")["not_computed"]
    assert counts.to_dict() == {"lost-nutpie": 1, "fake-instant-nutpie": 0}
    text = found.report.read_text()
    assert reason in text.split("## Fits whose diagnostics cannot be computed")[1].split("##")[0]


def test_a_result_that_is_none_is_a_failure(unit, tmp_path):
    MODELS.add("nothing", lambda ds, settings: None)
    stats = work.run_unit(replace(unit, model="nothing"), tmp_path)
    assert stats["status"] == "failed" and "returned NoneType, allowed: Fit" in stats["reason"]


# --- folders


def test_what_a_model_needs_is_made_before_the_first_fit(tmp_path):
    said = []

    def prepare():
        said.append("prepared")
        if len(said) == 2:
            raise MissingDependencyError("no environment")

    def fit(ds, settings):
        said.append("fitted")
        return fake_models.instant(ds, settings)

    register_model("needy", prepare=prepare)(fit)
    study(tmp_path / "one", "needy")
    assert said == ["prepared", "fitted", "fitted"]
    del said[1:]
    with pytest.raises(MissingDependencyError, match="no environment"):
        study(tmp_path / "two", "needy")
    assert said == ["prepared", "prepared"]
    assert not (tmp_path / "two").exists()
    # Nothing to do, nothing to prepare.
    study(tmp_path / "one", "needy")
    assert len(said) == 2


def test_a_folder_is_whole_or_not_there(tmp_path):
    place = tmp_path / "tiny" / "model" / "0001-abc"
    with pytest.raises(KeyboardInterrupt), whole_folder(place) as folder:
        write_stats(folder, {"status": "done"})
        raise KeyboardInterrupt
    assert list(place.parent.iterdir()) == []
    for text, again, kept in (("1", False, "1"), ("2", False, "1"), ("3", True, "3")):
        with whole_folder(place, again=again) as folder:
            write_stats(folder, {"status": "done", "text": text})
        assert json.loads((place / "stats.json").read_text())["text"] == kept
    assert [path.name for path in place.parent.iterdir()] == ["0001-abc"]


def test_only_what_nobody_works_on_is_removed(tmp_path):
    place = tmp_path / "tiny" / "model" / "0001-abc"
    with whole_folder(place) as mine:
        write_stats(mine, {"status": "done"})
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        dead = mine.with_name(mine.name.replace(f"~{os.getpid()}@", f"~{ended.pid}@"))
        far = mine.with_name(mine.name.replace("@", "@far-"))
        reused = mine.with_name(f"{mine.name}-reused")
        for folder in (dead, far, reused):
            folder.mkdir()
        begun = psutil.Process().create_time() - 100
        os.utime(reused, (begun, begun))
        assert remove_leftovers(tmp_path) == 2
        assert mine.exists() and far.exists() and not dead.exists() and not reused.exists()
        os.utime(far, (0, 0))
        assert remove_leftovers(tmp_path) == 1
    assert (place / "stats.json").exists()


def test_files_that_a_killed_process_was_writing_are_removed(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "summary" / "plots").mkdir(parents=True)
    unit = tmp_path / "tiny" / "model" / "0001-abc"
    unit.mkdir(parents=True)
    with atomic_path(tmp_path / "summary" / "report.md") as mine:
        dead = mine.name.replace(f"~{os.getpid()}@", f"~{ended.pid}@")
        assert dead != mine.name
        left = [tmp_path / "summary" / dead, tmp_path / "summary" / "plots" / dead, unit / dead]
        for path in left:
            path.touch()
        strange = tmp_path / "summary" / ".somebody~else~1"
        strange.touch()
        assert remove_leftovers(tmp_path) == len(left)
        assert mine.exists() and strange.exists()
        assert not any(path.exists() for path in left)


def test_stats_hold_no_number_that_is_none(tmp_path):
    write_stats(tmp_path, {"status": "done", "a": np.float64(math.nan), "b": {"c": [math.inf, 1]}})
    assert json.loads((tmp_path / "stats.json").read_text()) == {
        "status": "done",
        "a": None,
        "b": {"c": [None, 1]},
    }


def test_a_posterior_is_kept_small(tmp_path):
    dims = ("chain", "draw", "date", "geo")
    random_numbers = np.random.default_rng(1).normal(size=(2, 100, 4, 1))
    estimates = xr.Dataset(
        {"mu": (dims, random_numbers), "roas": (dims[:2], random_numbers[..., 0, 0])},
        {"geo": ["a"], "date": pd.date_range("2024-01-01", periods=4)},
    ).assign(y_sigma=1.0)
    own = xr.Dataset({"beta": (("chain", "draw"), random_numbers[..., 0, 0])}, attrs={"odd": True})
    stats = xr.Dataset(
        {
            "diverging": (("chain", "draw"), random_numbers[..., 0, 0] > 1),
            "message": (("chain", "draw"), np.full((2, 100), "none", dtype=object)),
        }
    )
    truth = xr.Dataset({"beta": 1 / 3})
    inference = xr.DataTree.from_dict({"posterior": own, "sample_stats": stats, "truth": truth})
    fit = Fit(estimates=estimates, inference=inference)
    path = write_posterior(fit, tmp_path / "posterior.nc", seed=1)
    series = read_posterior(path, "series")
    np.testing.assert_allclose(series["mu_mean"], estimates["mu"].mean(dims[:2]), rtol=1e-6)
    spread = series["y"].sel(quantile=[0.03, 0.97]).diff("quantile")
    assert bool((spread > series["mu"].sel(quantile=[0.03, 0.97]).diff("quantile")).all())
    assert set(read_posterior(path, "estimates").data_vars) == {"roas", "y_sigma"}
    assert read_posterior(path, "posterior")["beta"].shape == (2, 100)
    assert read_posterior(path, "parameters") is None
    xr.testing.assert_equal(read_posterior(path, "sample_stats"), stats[["diverging"]])
    assert float(read_posterior(path, "truth")["beta"]) == 1 / 3
    assert thinned(own, 800).sizes["draw"] == 50


# --- workers


def test_what_ended_a_process_is_recorded(tmp_path):
    from pebble import ProcessExpired

    ends = [TimeoutError("Task timeout", 5.0), ProcessExpired("ended", code=-9), None]
    units = study_units({"tiny": CONFIG}, "fake-instant", range(3), FEW)
    futures = {}
    for unit, end in zip(units, ends, strict=True):
        futures[future := Future()] = unit
        if end is None:
            future.set_result(work.run_unit(unit, tmp_path))
        else:
            future.set_exception(end)
    told = []
    collect(futures, tmp_path, lambda unit, stats: told.append(stats["status"]), again=())
    assert sorted(told) == ["done", "failed", "timed out"]
    found = read_units(tmp_path).set_index("seed")
    assert found["status"].tolist() == ["timed out", "failed", "done"]
    assert found["reason"][0] == "took more than 5 s"
    assert "the process was killed" in found["reason"][1]


def test_what_took_too_long_is_tried_again_with_more_time(unit, tmp_path):
    before = work.run_unit(unit, tmp_path)
    future = Future()
    future.set_exception(TimeoutError("Task timeout", 5.0))
    slow = replace(unit, seed=2)
    collect({future: slow}, tmp_path, lambda unit, stats: None, again=())
    stats = json.loads((slow.folder(tmp_path) / "stats.json").read_text())
    assert stats["timeout"] == 5.0
    assert stats["began"] > before["began"]
    assert [_to_do(stats, limit, retry_failed=False) for limit in (4.0, 5.0, 6.0, None)] == [
        *(False, False),
        *(True, True),
    ]
    assert study(tmp_path, seeds=[2]).units["status"].tolist() == ["done"]


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        # The command says an error of this package in one line.
        (BrokenExecutor("b"), XgenError, "__main__"),
        (MissingDependencyError("no nutpie"), MissingDependencyError, "no nutpie"),
        (OSError(errno.ENOSPC, "No space left on device"), StorageError, "cannot be written"),
        (pickle.loads(pickle.dumps(StorageError("no room"))), StorageError, "no room"),
    ],
)
def test_what_says_nothing_about_a_model_is_raised(unit, tmp_path, error, kind, said):
    future = Future()
    future.set_exception(error)
    with pytest.raises(kind, match=said):
        collect({future: unit}, tmp_path, lambda unit, stats: None, again=())
    assert not list(tmp_path.glob("tiny/*/*"))


FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    OSError(errno.EROFS, "Read-only file system"),
    # As a worker of another library tells it, and as this package does.
    RuntimeError("the last lines it wrote: OSError: [Errno 28] No space left on device: '/x'"),
    XgenError("a.nc: cannot be written: Disk quota exceeded"),
]


def full_in(place: str, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a disk be full in a model, or where a study writes."""

    def full(*given, **more):
        raise error

    if place == "model":
        monkeypatch.setitem(MODELS._entries, "fake-instant", full)
    elif place == "scores":
        monkeypatch.setattr(work, "score_fit", lambda *given: SimpleNamespace(to_netcdf=full))
    elif place == "sync":
        monkeypatch.setattr("mmm_xgen.recovery.study.unit.os.fsync", full)
    elif place == "summary":
        monkeypatch.setattr("mmm_xgen.recovery.report.report_of", full)
    else:
        monkeypatch.setattr(work, place, full)


@pytest.mark.parametrize(
    ("place", "error"),
    [
        *(("model", error) for error in FULL),
        *((place, FULL[0]) for place in ("to_netcdf", "write_posterior", "scores", "write_stats")),
        ("sync", FULL[1]),
    ],
)
def test_a_full_disk_is_no_result(unit, tmp_path, monkeypatch, place, error):
    full_in(place, error, monkeypatch)
    with pytest.raises(StorageError, match=r"cannot be written: .*; the study stopped") as told:
        work.run_unit(unit, tmp_path)
    assert "\n" not in str(told.value)
    assert not list(tmp_path.glob("tiny/*/*"))


def test_a_study_goes_on_where_a_full_disk_stopped_it(tmp_path, monkeypatch):
    whole, fits = work.score_fit, []

    def full_at_second(*given):
        fits.append(given)
        if len(fits) == 2:
            raise FULL[0]
        return whole(*given)

    monkeypatch.setattr(work, "score_fit", full_at_second)
    with pytest.raises(StorageError, match=f"{tmp_path}: cannot be written: No space left"):
        study(tmp_path, seeds=[1, 2, 3])
    assert len(fits) == 2 and len(contents(tmp_path)) == 4
    with monkeypatch.context() as patch:
        full_in("summary", FULL[0], patch)
        with pytest.raises(StorageError, match=f"{tmp_path}: cannot be written: No space left"):
            study(tmp_path, seeds=[1, 2])
    # The second is fitted again, the first is not.
    assert len(fits) == 3
    assert study(tmp_path, seeds=[1, 2]).units["status"].tolist() == ["done", "done"]


def test_what_a_library_makes_of_a_full_disk_is_found_by_trying(unit, tmp_path, monkeypatch):
    full_in("to_netcdf", RuntimeError("NetCDF: HDF error"), monkeypatch)
    assert work.run_unit(unit, tmp_path / "room")["status"] == "failed"
    full_in("sync", FULL[0], monkeypatch)
    with pytest.raises(StorageError, match="No space left"):
        work.run_unit(unit, tmp_path / "full")


def test_an_error_of_the_model_s_own_files_stays_its_own(unit, tmp_path, monkeypatch):
    full_in("model", FileNotFoundError(errno.ENOENT, "No such file", "prior.csv"), monkeypatch)
    stats = work.run_unit(unit, tmp_path)
    assert stats["status"] == "failed" and "prior.csv" in stats["reason"]


def test_a_full_disk_that_counted_as_a_failure_is_tried_again():
    stats = {"status": "failed", "reason": f"OSError: [Errno 28] {os.strerror(errno.ENOSPC)}"}
    assert _to_do(stats, None, retry_failed=False)
    assert not _to_do(stats | {"reason": "ValueError: no"}, None, retry_failed=False)


def test_a_pool_that_broke_before_all_was_given_out_is_said_in_one_line(tmp_path, monkeypatch):
    class Broken:
        def __init__(self, **options):
            self.stop = self.join = lambda: None

        def schedule(self, *given):
            raise RuntimeError("Unexpected error within the Pool")

    monkeypatch.setattr("pebble.ProcessPool", Broken)
    with pytest.raises(XgenError, match="worker processes could not start") as told:
        study(tmp_path, seeds=[1], jobs=1)
    assert isinstance(told.value, BrokenProcessPool)


def test_a_missing_package_is_no_result(tmp_path, monkeypatch):
    full_in("model", MissingDependencyError("no nutpie"), monkeypatch)
    with pytest.raises(MissingDependencyError, match="no nutpie"):
        study(tmp_path, seeds=[1])
    assert not list(tmp_path.glob("tiny/*/*"))


SCRIPT = """
from mmm_xgen.recovery import FitSettings, run_study
found = run_study("basic", "spend-share", [1], FitSettings(scored_draws=20), out={out!r}{more})
print(found.units["status"].tolist())
"""


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", "['done']"),
        (", jobs=1", "__main__"),
    ],
)
@pytest.mark.slow
def test_a_plain_script_fits_or_says_what_it_lacks(tmp_path, more, said):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(out=str(tmp_path / "out"), more=more))
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    last = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1]
    assert said in last, done.stderr
    assert bool(list(tmp_path.glob("out/*/*/0*"))) == (more == "")


def test_only_this_pool_s_own_workers_are_ended(unit, tmp_path, monkeypatch):
    ended = []
    monkeypatch.setattr("mmm_xgen.recovery.study.workers._end_group", ended.append)
    folder = unit.folder(tmp_path)
    host, workers = socket.gethostname(), tmp_path / "workers"
    workers.mkdir()
    (workers / "41").touch()
    names = [f"41@{host}", f"42@{host}", "41@elsewhere"]
    temporary = [folder.parent / f".{folder.name}~{name}~x" for name in names]
    for each in temporary:
        each.mkdir(parents=True)
    remove_unfinished(unit, tmp_path, None)
    assert ended == [] and all(each.exists() for each in temporary)
    remove_unfinished(unit, tmp_path, workers)
    assert ended == [41]
    assert [each.exists() for each in temporary] == [False, True, True]


@pytest.mark.slow
def test_what_ends_a_process_does_not_end_the_study(tmp_path, monkeypatch):
    told = tmp_path / "child"
    monkeypatch.setenv("FAKE_CHILD", str(told))
    models = ["fake-dying", "fake-endless", "fake-instant"]
    found = study(tmp_path, models, seeds=[1], jobs=2, timeout=15.0)
    statuses = found.units.set_index("model")["status"].to_dict()
    assert statuses == {
        "fake-dying-nutpie": "failed",
        "fake-endless-nutpie": "timed out",
        "fake-instant-nutpie": "done",
    }
    reasons = found.units.set_index("model")["reason"]
    assert reasons["fake-endless-nutpie"] == "took more than 15 s"
    child = int(told.read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie"
    assert not list(tmp_path.glob("tiny/*/.*"))


def test_packages_of_samplers_are_looked_for_before_anything_is_fitted(tmp_path, monkeypatch):
    def there(name):
        return None if name == "blackjax" else object()

    monkeypatch.setattr("importlib.util.find_spec", there)
    every = [FitSettings(sampler=name) for name in ("nutpie", "blackjax")]
    with pytest.raises(MissingDependencyError, match="pymc-default-blackjax needs blackjax; pip"):
        run_study({"tiny": CONFIG}, ["spend-share", "pymc-default"], [1], every, out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_models_of_a_session_are_not_sent_to_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(fake_models.instant, "__module__", "__main__")
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    with pytest.raises(ConfigError, match="put it into a module"):
        study(tmp_path, jobs=1)


def test_a_dask_client_gives_the_same(tmp_path):
    distributed = pytest.importorskip("distributed")
    models = ["fake-instant", "fake-failing"]
    here = study(tmp_path / "here", models, seeds=[1])
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        there = study(tmp_path / "there", models, seeds=[1], jobs=None, executor=client)
    assert_same_tables(here.tables, there.tables)


def run_command(out: Path, config: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.recovery.benchmark_with_fakes", "benchmark"]
    command += ["--datasets", str(config), "--libraries", "fake-sleeping", "fake-failing"]
    command += ["--no-floors", "--chains", "2", "--draws", "50", "--quiet"]
    command += ["--out", str(out), *more]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})


def is_whole(folder: Path) -> bool:
    """Whether all files of a unit can be read to the end."""
    stats = json.loads((folder / "stats.json").read_text())
    names = {"data.nc", "stats.json"}
    if stats["status"] == "done":
        names |= {"posterior.nc", "scores.nc"}
        xr.load_dataset(folder / "scores.nc", engine="netcdf4")
        read_posterior(folder / "posterior.nc", "estimates").load()
    mmm_xgen.load(folder / "data.nc")
    return {path.name for path in folder.iterdir()} == names


def kill_and_start_again(tmp_path: Path, waits: list[float], jobs: str, seeds: int) -> None:
    """Kill a command at given moments after its first unit, and compare with an undisturbed run."""
    config = tmp_path / "tiny.yaml"
    CONFIG.to_yaml(config)
    disturbed, quiet = tmp_path / "disturbed", tmp_path / "quiet"
    words = (disturbed, config, "--jobs", jobs, "--seeds", str(seeds))
    settings = FitSettings(chains=2, draws=50)
    models = ["fake-sleeping", "fake-failing"]
    for wait in waits:
        known = contents(disturbed)
        process = run_command(*words)
        family = [psutil.Process(process.pid)]
        deadline = time.monotonic() + 60
        while contents(disturbed).keys() <= known.keys() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(wait)
        if process.poll() is None:
            family += family[0].children(recursive=True)
            process.send_signal(signal.SIGKILL)
        process.wait()
        # Its workers end with it: nothing goes on writing.
        _, alive = psutil.wait_procs(family[1:], timeout=10)
        assert not alive
        after = contents(disturbed)
        assert known.items() <= after.items()
        assert all(is_whole(folder) for folder in disturbed.glob("tiny/*/[0-9]*"))
    known = contents(disturbed)
    if jobs == "0":
        run_study({"tiny": CONFIG}, models, range(1, seeds + 1), settings, out=disturbed, jobs=0)
    else:
        assert run_command(*words).wait() == 0
    assert known.items() <= contents(disturbed).items()
    assert not list(disturbed.rglob(".*"))
    reference = run_study(
        {"tiny": CONFIG}, models, range(1, seeds + 1), settings, out=quiet, jobs=0
    )
    found, expected = (
        {path.stem: pd.read_csv(path) for path in (out / "summary").glob("*.csv")}
        for out in (disturbed, quiet)
    )
    assert expected.keys() == reference.tables.keys()
    assert_same_tables(found, expected)


def test_a_killed_command_goes_on_where_it_stopped(tmp_path):
    kill_and_start_again(tmp_path, [0.05], "0", seeds=2)


@pytest.mark.slow
def test_a_command_may_be_killed_at_any_moment(tmp_path):
    chance = random.Random(1)
    for jobs in ("0", "1", "2"):
        (tmp_path / jobs).mkdir()
        kill_and_start_again(tmp_path / jobs, [chance.uniform(0, 0.6) for _ in range(6)], jobs, 3)


# --- summary


def test_both_populations_are_reported(mixed):
    main = mixed.tables["recovery"].set_index(["population", "model"])
    assert main.loc[(EVERY, "fake-unconverged-nutpie"), "log_roas_error"] > 1
    assert math.isnan(main.loc[(CONVERGED, "fake-unconverged-nutpie"), "log_roas_error"])
    assert main.loc[(CONVERGED, "fake-instant-nutpie"), "log_roas_error"] < 0.1
    assert main.loc[(EVERY, "fake-failing-nutpie"), ["units", "done"]].tolist() == [4, 2]
    # Times are of every fit.
    assert main.loc[EVERY]["seconds"].notna().all()
    assert main.loc[CONVERGED]["seconds"].isna().all()
    paired = mixed.tables["paired_differences"]
    row = paired[(paired["population"] == EVERY) & (paired["metric"] == "absolute_error")]
    pairs = row.set_index("model")["units"].to_dict()
    assert pairs == {"fake-instant-nutpie": 2, "fake-unconverged-nutpie": 2}
    errors = mixed.tables["roas_recovery"].query("units > 1")["standard_error"]
    assert errors.notna().all()


def test_models_are_compared_as_the_protocol_asks():
    models = ["spend-share", "ols", "ols-lift-nothing"]
    models += [f"pymc-{arm}-nutpie" for arm in ("matched", "default", "published")]
    models += ["pymc-matched-nutpie-lift", "meridian-default-lift"]
    rows = [
        {"model": model, "seed": seed, "value": float(n + seed)}
        for n, model in enumerate(models)
        for seed in range(3)
    ]
    about = {"population": EVERY, "dataset": "a", "quantity": "roas", "metric": "rmse"}
    table = paired(pd.DataFrame(rows).assign(**about))
    compared = list(zip(table["model"], table["reference"], strict=True))
    assert [pair for pair in compared if pair[1] != "spend-share"] == [
        ("pymc-matched-nutpie-lift", "pymc-matched-nutpie"),
        ("pymc-matched-nutpie", "pymc-default-nutpie"),
        ("pymc-default-nutpie", "pymc-published-nutpie"),
    ]
    assert {pair[0] for pair in compared if pair[1] == "spend-share"} == {*models} - {"spend-share"}
    assert len(compared) == len(set(compared))
    assert table["mean"].notna().all()


def test_the_prior_of_a_fit_gives_contraction(tmp_path):
    ds = mmm_xgen.generate_mmm_dataset(CONFIG)
    unit = Unit(dataset="tiny", seed=1, config=CONFIG.to_json(), model="fake-instant", settings=FEW)
    fit = fake_models.instant(ds, FEW)
    centre = fit.estimates.mean(("chain", "draw"))
    prior = Fit(estimates=centre * (fit.estimates / centre) ** 2)
    scores = work.score_fit(ds, replace(fit, prior=prior), unit)
    np.testing.assert_allclose(scores.contraction, 0.75, atol=0.02)
    assert "contraction" not in work.score_fit(ds, fit, unit)


def test_the_report_is_plain(mixed):
    text = mixed.report.read_text()
    for words in (
        "FloatingPointError: bad initial energy | 2 | 1, 3",
        "fake-unconverged-nutpie: ROAS of channels on average off by 1.",
        "94% intervals cover 0%",
        "Nothing that was asked for.",
        "Protocol (SHA-256): none",
    ):
        assert words in text, words
    for name, table in mixed.tables.items():
        file = pd.read_csv(mixed.out / "summary" / f"{name}.csv")
        assert list(file.columns) == list(table.columns) and len(file) == len(table)
    assert not list((mixed.out / "summary").glob(".*"))


def test_collected_scores_are_those_of_the_units(tmp_path):
    study(tmp_path, seeds=[1])
    file = tmp_path / "summary" / "scores.parquet"
    units = study(tmp_path, seeds=[1, 2]).units
    assert set(pd.read_parquet(file)["hash"]) == set(units["hash"])
    pd.testing.assert_frame_equal(read_scores(units, file), read_scores(units))
    # Reading some of them loses none: a study that is kept in brief has them nowhere else.
    some = read_scores(units[units["seed"] == 1], file)
    assert set(some["seed"]) == {1}
    run_study({"tiny": CONFIG}, "fake-instant", [1], replace(FEW, draws=60), out=tmp_path, jobs=0)
    assert set(units["hash"]) < set(pd.read_parquet(file)["hash"])
    file.write_bytes(b"broken")
    pd.testing.assert_frame_equal(read_scores(units, file), read_scores(units))
    forced = study(tmp_path, seeds=[1, 2], force=True).units
    assert set(pd.read_parquet(file)["began"]) == set(forced["began"])


def test_a_protocol_is_hashed_into_results(tmp_path):
    protocol = tmp_path / "PROTOCOL.md"
    protocol.write_text("one")
    first = study(tmp_path / "out", protocol=protocol)
    protocol.write_text("two")
    second = study(tmp_path / "out", seeds=[1], protocol=protocol)
    assert len(set(first.units["hash"]) & set(second.units["hash"])) == 0
    # What was made under another protocol does not stand beside it.
    assert second.tables["diagnostics_summary"]["units"].tolist() == [1]


def test_what_was_done_before_stands_beside_what_is_asked_for(tmp_path):
    def beside(model, *, name="tiny", config=CONFIG, settings=FEW):
        found = run_study({name: config}, model, [1], settings, out=tmp_path, jobs=0)
        assert len(found.units) == 1
        rows = found.tables["diagnostics_summary"]
        return {(row.dataset, row.model.split("-")[1]): row.units for row in rows.itertuples()}

    register_model("fake-plain", uses_settings=())(fake_models.instant)
    study(tmp_path, ["fake-plain", "fake-instant"], seeds=[1, 2])
    done = {("tiny", "plain"): 2, ("tiny", "instant"): 2}
    assert beside("fake-unconverged") == done | {("tiny", "unconverged"): 1}
    other = beside("fake-unconverged", settings=replace(FEW, draws=60))
    assert other == {("tiny", "unconverged"): 1}
    changed = CONFIG.model_copy(update={"n_periods": 31})
    assert beside("fake-instant", config=changed) == {("tiny", "instant"): 1}
    # Of fits to other data the newest stand there, also where neither is what is asked for.
    found = beside("fake-instant", name="other")
    assert found == {("tiny", "instant"): 1, ("other", "instant"): 1}


def test_fits_of_other_packages_do_not_stand_together():
    found = pd.DataFrame(
        [
            ("pymc", 1, "old", "2"),
            ("pymc", 2, "old", "1"),
            ("pymc", 1, "new", "3"),
            # Of another model they may be others.
            ("ols", 1, "old", "1"),
            ("ols", 1, "old", "2"),
        ],
        columns=["model", "seed", "versions", "began"],
    ).assign(dataset="a", template="")
    kept = newest(found)
    assert kept[["model", "versions", "began"]].to_numpy().tolist() == [
        ["ols", "old", "2"],
        ["pymc", "new", "3"],
    ]
    asked = newest(found.assign(requested=found["versions"] == "old"), first=("requested", "began"))
    assert asked[asked["model"] == "pymc"]["seed"].tolist() == [1, 2]


def test_a_fit_that_came_to_nothing_counts_as_the_prior():
    units = pd.DataFrame(
        {
            "dataset": "a",
            "model": ["pymc", "pymc", "prior-only", "prior-only"],
            "seed": [1, 2, 1, 2],
            "status": ["done", "timed out", "done", "done"],
            "reason": ["", "took more than 5 s", "", ""],
        }
    )
    scores = pd.DataFrame(
        {
            "quantity": ["roas", "roas", "roas", "lam"],
            "metric": "crps",
            "channel": "TV",
            "geo": "",
            "label": "",
            "value": [0.1, 2.0, 3.0, 4.0],
            "dataset": "a",
            "model": ["pymc", "prior-only", "prior-only", "prior-only"],
            "seed": [1, 1, 2, 2],
            "converged": True,
        }
    )
    long = populations(units, scores).query("model == 'pymc'")
    every, sampled = (long[long["population"] == name] for name in (EVERY, CONVERGED))
    assert every["value"].tolist() == [0.1, 3.0] and every["imputed"].tolist() == [0, 1]
    assert sampled["value"].tolist() == [0.1]


@pytest.mark.parametrize(
    ("diagnostics", "expected"),
    [
        ({"rhat_max": 1.01, "divergences": 0}, True),
        ({"rhat_max": 1.011, "divergences": 0}, False),
        ({"rhat_max": 1.0, "divergences": 1}, False),
        ({"rhat_max": None}, False),
        ({}, True),
    ],
)
def test_convergence_is_small_r_hat_and_no_divergence(diagnostics, expected):
    assert converged({"status": "done", "diagnostics": diagnostics}) is expected
    assert not converged({"status": "failed", "diagnostics": diagnostics})


def test_an_empty_folder_makes_empty_tables(tmp_path):
    units = read_units(tmp_path)
    tables = summary_tables(units, read_scores(units))
    assert all(table.empty for table in tables.values())


def test_markdown_keeps_bars_out_of_cells():
    text = markdown(pd.DataFrame({"a": ["x|y"], "b": [math.nan], "c": [1234.5], "d": [3]}))
    assert text.splitlines()[2] == r"| x\|y | - | 1,234 | 3 |"


# --- the command


@pytest.fixture
def command():
    app = typer.Typer()
    app.command(cls=ManyValues)(benchmark)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_options_take_several_values_or_are_repeated():
    flags = {"--datasets", "--libraries"}
    words = ["--datasets", "a", "b", "--libraries", "ols", "--seed", "1", "--datasets", "c", "-q"]
    assert repeated(words, flags) == [
        *("--datasets", "a", "--datasets", "b", "--libraries", "ols"),
        *("--seed", "1", "--datasets", "c", "-q"),
    ]
    assert repeated(["--datasets=a", "b"], flags) == ["--datasets=a", "b"]


def test_the_command_fits_shows_and_goes_on(tmp_path, command):
    config = tmp_path / "tiny.yaml"
    CONFIG.to_yaml(config)
    words = ["--datasets", config, "--libraries", "fake-instant", "fake-failing", "--samplers"]
    words += ["nutpie", "numpyro", "--chains", 2, "--draws", 50, "--tune", 10]
    words += ["--target-accept", 0.9, "--seed", 1, "--seeds", 1, "--no-floors", "--jobs", 0]
    words += ["--out", tmp_path / "out"]
    result = command(*words)
    assert result.exit_code == 0, result.output
    assert "bad initial energy" in result.stdout
    assert max(map(len, result.stdout.splitlines()[:-1])) <= 100
    # True and estimated ROAS of each fit and channel, as the study has them.
    found = read_returns(read_units(tmp_path / "out"))
    rows = [line.split() for line in result.stdout.splitlines()]
    for row in found.to_dict("records"):
        shown = [row["channel"], row["model"], str(row["seed"])]
        figures = [ratio(row[name]) for name in ("truth", "median", "lower", "upper")]
        shown += [*figures[:3], "to", figures[3]]
        assert any([word for word in line if word != "*"] == shown for line in rows), shown
    lines = result.stderr.splitlines()
    assert lines[-1].startswith("4 of 4: tiny ")
    assert not any(ord(letter) < 32 for line in lines for letter in line)
    before = contents(tmp_path / "out")
    assert len(list((tmp_path / "out" / "tiny").glob("*/*"))) == 4
    assert command(*words).output == result.stdout
    assert command(*words, "--plots-only").output == result.stdout
    assert contents(tmp_path / "out") == before
    assert command(*words, "-q", "--force-rerun").output == ""
    assert contents(tmp_path / "out").keys() == before.keys()
    assert contents(tmp_path / "out") != before


def test_the_command_fails_if_nothing_is_done(tmp_path, command):
    config = tmp_path / "tiny.yaml"
    CONFIG.to_yaml(config)
    words = ["--datasets", config, "--libraries", "fake-failing", "--no-floors", "--jobs", 0]
    assert command(*words, "--out", tmp_path / "out", "-q").exit_code == 1
    assert command(*words, "--out", tmp_path / "out", "-q", "--seeds", 2).exit_code == 0


def test_plots_are_drawn_and_linked(tmp_path, command, monkeypatch):
    # Their pixels are tested where plots are.
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig", lambda self, path, **_: Path(path).write_bytes(b"")
    )
    config = tmp_path / "tiny.yaml"
    CONFIG.to_yaml(config)
    words = ["--datasets", config, "--libraries", "fake-instant", "--no-floors", "-q"]
    words += ["--seeds", 2, "--jobs", 0, "--out", tmp_path / "out"]
    assert command(*words).exit_code == 0
    pictures = tmp_path / "out" / "summary" / "plots"
    names = {path.name for path in pictures.glob("*")}
    assert {"coverage.png", "roas_recovery.png", "runtime.png"} <= names
    report = (pictures.parent / "report.md").read_text(encoding="utf-8")
    assert all(f"(plots/{name})" in report for name in names)
    (pictures / "runtime.png").unlink()
    assert command(*words, "--plots-only").exit_code == 0
    assert {path.name for path in pictures.glob("*")} == names
    folders = sorted((tmp_path / "out" / "tiny").glob("fake-instant*/*"))
    assert [path.name for path in folders[0].glob("plots/*")] == ["roas.png"]
    assert not (folders[1] / "plots").exists()
    # Kept in brief, as in a repository: what was done, and the summary.
    table = (pictures.parent / "recovery.csv").read_bytes()
    for folder in folders:
        for path in [*folder.glob("*.nc"), *folder.glob("plots/*.png")]:
            path.unlink()
        if (folder / "plots").exists():
            (folder / "plots").rmdir()
    assert command(*words).exit_code == 0
    assert (pictures.parent / "recovery.csv").read_bytes() == table
    assert not list(folders[0].glob("*.nc"))


def test_libraries_are_models_with_floors():
    for name in ("prior-only", "spend-share", "ols", "ols-oracle", "pymc-default"):
        if name not in MODELS:
            pytest.skip(f"{name} is not registered")
    found = chosen_models(["ols", "pymc", "fake-instant"], ["default"], floors=True)
    expected = ["ols", "ols-oracle", "pymc-default", "fake-instant", "prior-only", "spend-share"]
    assert found == expected


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--arms", "defualt"], "did you mean 'default'"),
        (["--libraries", "pymcc"], "did you mean 'pymc'"),
        (["--libraries", "fake-instant", "--no-floors", "--samplers", "nuts"], "--samplers"),
        (["--libraries", "fake-instant", "--no-floors", "--target-accept", "2"], "--target-accept"),
        (["--libraries", "fake-instant", "--no-floors", "--protocol", "none.md"], "--protocol"),
    ],
)
def test_the_command_refuses_what_it_does_not_know(command, words, fault):
    result = command("--datasets", "basic", *words)
    assert isinstance(result.exception, ConfigError)
    assert fault in str(result.exception)
