"""The command that writes thousands of datasets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import mmm_xgen as m
from mmm_xgen.cli.ensemble import read_seeds, read_vary
from mmm_xgen.export import open_ensemble
from tests.cli import commands
from tests.ensemble.test_store import bytes_of


def run(*words: Any) -> Any:
    return commands.ran("ensemble", *words)


def refusal(*words: Any) -> str:
    return commands.refused("ensemble", *words)


def test_it_writes_what_the_function_makes(tmp_path: Path) -> None:
    out = tmp_path / "e.zarr"
    words = [
        "basic", "--n", "8", "--out", out, "--vary", "channels.*.roas=uniform(1,4)",
        "--vary", "regions.base_sales_rate=[9000, 10000]", "--sampling", "sobol",
        "--set", "n_periods=20", "--variables", "y,spend", "--variables", "adstock_*",
        "--drop", "adstock_weights", "--chunks", "3",
    ]  # fmt: skip
    assert "8 datasets in 3 chunks" in run(*words).stdout
    wanted = m.generate_ensemble(
        m.customize_preset("basic", n_periods=20),
        n=8,
        vary={"channels.*.roas": m.Uniform(1, 4), "regions.base_sales_rate": [9000, 10000]},
        sampling="sobol",
        variables=["y", "spend", "adstock_*"],
        drop="adstock_weights",
        chunks=3,
    )
    assert open_ensemble(out).compute().identical(wanted.compute())
    before = bytes_of(out)
    run(*words)
    assert bytes_of(out) == before


def test_frames_and_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("basic", "--seeds", "5:7", "--format", "parquet", "--quiet")
    table = pd.read_parquet("basic_frames")
    own = table[table["dataset"] == 2].drop(columns="dataset").reset_index(drop=True)
    assert own.equals(m.to_frame(m.generate_mmm_dataset(m.get_preset_config("basic"), seed=7)))
    run("basic", "--seeds", "5:7", "--dtype", "float32")
    assert open_ensemble("basic.zarr")["y"].dtype == "float32"


def test_another_ensemble_needs_force(tmp_path: Path) -> None:
    out = tmp_path / "e.zarr"
    run("basic", "--n", "2", "--out", out)
    assert "another number of datasets" in (found := refusal("basic", "--n", "3", "--out", out))
    assert found.endswith("replace it with --force, or choose another place with --out")
    run("basic", "--n", "3", "--out", out, "--force")
    assert open_ensemble(out).sizes["dataset"] == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["basic"], "--n: found neither n nor seeds"),
        (["basic", "--n", "3", "--seeds", "1:2"], "--n: found 3 datasets and 2 seeds"),
        (["basic", "--seeds", "2:1"], "--seeds: found '2:1', allowed: the smaller one first"),
        (["basic", "--seeds", "1-3"], "--seeds: found '1-3', allowed: FIRST:LAST"),
        (["basik", "--n", "3"], "basic"),
        (["basic", "--n", "0"], "--n"),
        (["basic", "--n", "3", "--vary", "roas"], "--vary: found 'roas', allowed: PATH=uniform"),
        (
            ["basic", "--n", "3", "--vary", "channels.*.roas=__import__('os')"],
            "--vary channels.*.roas: no distribution is named '__import__'",
        ),
        (
            ["basic", "--n", "3", "--vary", "channels.*.roas=uniform(1,x)"],
            "--vary channels.*.roas: found 'x', allowed: a number",
        ),
        (
            ["basic", "--n", "3", "--vary", "channels.*.roas=normal(mu=1,nu=2)"],
            "--vary channels.*.roas: found 'nu=2'",
        ),
        *(
            (
                ["basic", "--n", "3", "--vary", f"channels.*.roas={half}"],
                f"--vary channels.*.roas: found {half!r}, allowed: both ends, as in uniform(1,4)",
            )
            for half in ("uniform(1)", "uniform(upper=4)", "Uniform()")
        ),
        (
            ["basic", "--n", "3", "--vary", "channels.*.roas=uniform(4,1)"],
            "--vary channels.*.roas: found Uniform(4",
        ),
        (["basic", "--n", "3", "--vary", "channels.*.roass=uniform(1,2)"], "roass"),
        (["basic", "--n", "3", "--variables", "spent"], "--variables: no variable is named"),
        (["basic", "--n", "3", "--sampling", "sobo"], "--sampling"),
        (["basic", "--n", "3", "--workers", "1", "--scheduler", "tcp://x"], "give one of them"),
        (["basic", "--n", "3", "--scheduler", "nonsense://"], "--scheduler: cannot connect"),
        (["basic", "--n", "3", "--format", "parquet", "--dtype", "float32"], "--dtype: frames"),
        (["basic", "--n", "3", "--out", "no/e.zarr"], "there is no folder"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert told in refusal(*words)
    assert not list(tmp_path.iterdir())


def test_warnings_are_one_line_a_kind(tmp_path: Path) -> None:
    done = run("basic", "--n", "10", "--chunks", "5", "--out", tmp_path / "e.zarr",
               "--vary", "channels.*.roas=uniform(30,40)")  # fmt: skip
    lines = [line for line in done.stderr.splitlines() if "ROAS outside" in line]
    assert len(lines) == 1 and lines[0].startswith("mmm-xgen: warning: in 5 of 5 datasets")


def test_numbers_of_options() -> None:
    assert read_seeds(" 3 , 5") == [3, 5]
    assert read_seeds("7:7") == [7]
    varied = read_vary(["a=Beta(2, 5)", "b=halfnormal()", "c=LogNormal(sigma=0.2)", "d=[1e-3]"])
    assert varied["a"] == {"dist": "Beta", "kwargs": {"alpha": 2.0, "beta": 5.0}}
    assert varied["b"] == {"dist": "HalfNormal", "kwargs": {}}
    assert varied["c"] == {"dist": "LogNormal", "kwargs": {"sigma": 0.2}}
    assert varied["d"] == [0.001]
    with pytest.raises(m.ConfigError, match="found twice"):
        read_vary(["a=uniform(1,2)", "a=uniform(1,3)"])


WORDS = ["ensemble", "basic", "--n", "1000", "--chunks", "5", "--quiet",
         "--vary", "channels.*.roas=uniform(1,4)", "--variables", "y,spend,mu,effect"]  # fmt: skip


def command(*words: Any) -> list[str]:
    return [sys.executable, "-m", "mmm_xgen", *WORDS, *map(str, words)]


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
@pytest.mark.parametrize(
    "workers",
    [
        pytest.param([], id="threads", marks=pytest.mark.slow),
        pytest.param(["--workers", "2"], id="workers", marks=pytest.mark.slow),
    ],
)
def test_the_killed_command_goes_on(workers: list[str], tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    target, whole = tmp_path / "killed.zarr", tmp_path / "whole.zarr"
    marks = target / "progress" / "written"
    # In a session of its own, so that nothing of it is left.
    process = subprocess.Popen(command("--out", target, *workers), cwd=root, start_new_session=True)
    try:
        while process.poll() is None and len(list(marks.glob("c.*"))) < 20:
            time.sleep(0.001)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    stamps = {path: path.stat().st_mtime_ns for path in marks.glob("c.*")}
    assert 20 <= len(stamps) < 200
    subprocess.run(command("--out", target, *workers), cwd=root, check=True)
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    run(*WORDS[1:], "--out", whole)
    assert bytes_of(target) == bytes_of(whole)


@pytest.mark.slow
def test_a_scheduler_by_address(tmp_path: Path) -> None:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as cluster:
        run("basic", "--n", "20", "--chunks", "5", "--out", tmp_path / "a.zarr",
            "--scheduler", cluster.scheduler_address)  # fmt: skip
    run("basic", "--n", "20", "--chunks", "5", "--out", tmp_path / "b.zarr")
    assert bytes_of(tmp_path / "a.zarr") == bytes_of(tmp_path / "b.zarr")
