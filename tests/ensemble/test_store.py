"""Ensembles on disk: the same bytes however often they were interrupted, and read back whole."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen.ensemble import chunks, element, parquet_frames, regenerate_ensemble
from mmm_xgen.ensemble.store_layout import ChunkWriter
from mmm_xgen.export import (
    open_ensemble,
    read_ensemble_frames,
    write_ensemble,
    write_ensemble_frames,
)
from tests.strategies import quietly

N, CHUNK = 22, 4
FEW = ["y", "noise", "spend", "control_value"]
VARY = {
    "channels.*.roas": m.Uniform(1, 4),
    "revenue_per_kpi": m.Uniform(1, 2),
    "regions.base_sales_rate": [40_000.0, 50_000.0],
}
CONFIG: dict[str, Any] = {
    "n_periods": 30,
    "burn_in_periods": 2,
    "start_date": "2022-11-07",
    "channels": [
        # A name that no file system takes.
        {"name": "TV/a:b*c", "pattern": "on_off", "roas": 2.0},
        {"name": "Search", "roas": 3.0, "saturation_fun": "root_saturation",
         "saturation_kwargs": {"alpha": 0.5}},
    ],
    "control_variables": [{"name": "Preis ä", "gamma_control": -20.0}],
    "events": [{"name": "Xmas", "dates": ["12-25"], "effect": 0.2}],
    "regions": {
        "region_names": ["north", "süd"],
        "base_sales_rate": 50_000.0,
        "seasonalities": [{"period_days": 91.3, "modes": 1, "amplitude": 0.1}],
        "transform_variation": 0.1,
    },
}  # fmt: skip


def ensemble(**options: Any) -> xr.Dataset:
    settings: dict[str, Any] = {"n": N, "chunks": CHUNK, "vary": VARY} | options
    config = settings.pop("config", m.MMMDataConfig.model_validate(CONFIG))
    return m.generate_ensemble(config, **settings)


def bytes_of(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def stamps_of(folder: Path, done: set[int]) -> dict[str, tuple[int, int]]:
    """What a file has that was not written again, of the chunks that are done."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in folder.rglob("c.*")
        if int(path.name.split(".")[1]) in done and path.parent.name in {"y", "spend", "written"}
    }


def marks(store: Path) -> set[int]:
    return {int(path.name[2:]) for path in (store / "progress" / "written").glob("c.*")}


pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")
WRITERS: dict[str, Callable[..., Path]] = {"zarr": write_ensemble, "parquet": write_ensemble_frames}


@pytest.fixture(scope="module")
def lazy() -> xr.Dataset:
    return ensemble()


@pytest.fixture(scope="module")
def loaded(lazy: xr.Dataset) -> xr.Dataset:
    return quietly(lazy.compute)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, lazy: xr.Dataset) -> Path:
    """Store of all variables."""
    folder = tmp_path_factory.mktemp("whole")
    return quietly(lambda: write_ensemble(lazy, folder / "ensemble.zarr"))


@pytest.fixture(scope="module")
def few() -> xr.Dataset:
    return ensemble(variables=FEW)


@pytest.fixture(scope="module")
def kept(few: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A store and frames that nothing interrupted; a test that damages them repairs them."""
    folder = tmp_path_factory.mktemp("kept")
    return quietly(lambda: {kind: write(few, folder / kind) for kind, write in WRITERS.items()})


# --- there and back


def assert_same(found: xr.Dataset, wanted: xr.Dataset) -> None:
    assert found.identical(wanted)
    assert list(found.data_vars) == list(wanted.data_vars)
    for name, variable in wanted.variables.items():
        assert found[name].dtype == variable.dtype, name
    assert {name: type(value) for name, value in found.attrs.items()} == {
        name: type(value) for name, value in wanted.attrs.items()
    }


def test_a_store_comes_back_identical_and_lazy(
    whole: Path, lazy: xr.Dataset, loaded: xr.Dataset
) -> None:
    found = open_ensemble(whole)
    assert found.chunksizes == lazy.chunksizes
    assert_same(found.compute(), loaded)
    assert_same(regenerate_ensemble(found).compute(), loaded)
    assert element(found.compute(), 5).identical(element(loaded, 5))
    assert m.load(whole).identical(loaded)


def test_a_preset_comes_back_identical(tmp_path: Path) -> None:
    ds = m.generate_ensemble(m.get_preset_config("demo"), n=2, chunks=1)
    assert_same(open_ensemble(write_ensemble(ds, tmp_path / "e.zarr")).compute(), ds.compute())


def test_any_zarr_reader_reads_it(whole: Path, lazy: xr.Dataset, loaded: xr.Dataset) -> None:
    import zarr

    # As older releases of zarr say, text is no part of the format yet; all of them read it.
    warnings.filterwarnings("ignore", message="The codec `vlen-utf8`", category=UserWarning)
    found = zarr.open_group(whole, mode="r")
    assert found.metadata.zarr_format == 3
    np.testing.assert_array_equal(found["y"][:], loaded["y"])
    np.testing.assert_array_equal(found["vary_0"][:], lazy["channels.*.roas"])
    assert found["progress/written"][:].all()
    with xr.open_dataset(
        whole, engine="zarr", consolidated=False, decode_timedelta=False
    ) as opened:
        assert opened["date"].equals(lazy["date"])


def test_names_on_disk_are_names_on_every_system(whole: Path) -> None:
    for name in bytes_of(whole):
        assert re.fullmatch(r"[A-Za-z0-9._/]+", name), name


def test_numbers_that_were_changed_are_written_as_they_are(few: xr.Dataset, tmp_path: Path) -> None:
    doubled = few.assign(y=2 * few["y"])
    for name, ds in {
        "loaded": few.compute(),
        "doubled": doubled,
        "part": few.isel(dataset=slice(4, 12)),
    }.items():
        store = write_ensemble(ds, tmp_path / name)
        assert_same(open_ensemble(store).compute(), ds.compute())
    with pytest.raises(m.SchemaError, match="changed after generation"):
        write_ensemble(few.assign(y=3 * few["y"]), tmp_path / "doubled")
    write_ensemble(doubled, tmp_path / "doubled")


def test_a_pattern_that_only_the_session_knows(tmp_path: Path) -> None:
    config = m.MMMDataConfig(
        n_periods=20, channels=[m.ChannelConfig(pattern=lambda dates, rng: np.ones(len(dates)))]
    )
    ds = m.generate_ensemble(config, n=2, chunks=1, variables=["y", "spend"])
    assert open_ensemble(write_ensemble(ds, tmp_path / "e.zarr")).compute().identical(ds.compute())


def test_float32_errs_as_stated(
    lazy: xr.Dataset, loaded: xr.Dataset, whole: Path, few: xr.Dataset, tmp_path: Path
) -> None:
    store = write_ensemble(lazy, tmp_path / "e.zarr", dtype="float32")
    found = open_ensemble(store).compute()
    for name, values in loaded.data_vars.items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], values, rtol=6e-8, atol=7e-46)
    assert sum(map(len, bytes_of(store).values())) < 0.7 * sum(map(len, bytes_of(whole).values()))
    with pytest.raises(m.SchemaError, match=r"another dtype .*float32 there, float64 now"):
        write_ensemble(lazy, store)
    with pytest.raises(m.ConfigError, match="dtype: found 'float16'"):
        write_ensemble(lazy, tmp_path / "f.zarr", dtype="float16")  # type: ignore[arg-type]
    huge = few.assign(y=few["y"] * 1e40)
    with pytest.raises(m.SchemaError, match="'y' has numbers beyond"):
        write_ensemble(huge, tmp_path / "g.zarr", dtype="float32")


def test_frames_are_those_of_each_dataset(kept: dict[str, Path], few: xr.Dataset) -> None:
    frames, made = kept["parquet"], few.compute()
    table = pd.read_parquet(frames)
    assert table["dataset"].is_monotonic_increasing
    for position in (0, 13, N - 1):
        own = table[table["dataset"] == position].drop(columns="dataset").reset_index(drop=True)
        assert own.equals(m.to_frame(element(made, position)))
    datasets = pd.read_parquet(frames / "_datasets.parquet")
    assert datasets["seed"].tolist() == few["seed"].values.tolist()
    np.testing.assert_array_equal(
        datasets[["channels.TV/a:b*c.roas", "channels.Search.roas"]], few["channels.*.roas"]
    )
    assert len(list(frames.glob("part-*.parquet"))) == 6


def test_dims_in_another_order_make_the_same_frames(tmp_path: Path) -> None:
    # As many dates as geos: nothing but the names of the dims tells them apart.
    config = m.customize_preset("basic", n_periods=3, regions={"region_names": ["a", "b", "c"]})
    vary = {"channels.*.roas": m.Uniform(1, 4)}
    kept = ["y", "spend", "control_value"]
    lazy = m.generate_ensemble(config, n=2, chunks=1, vary=vary, variables=kept)
    wanted = bytes_of(write_ensemble_frames(lazy, tmp_path / "wanted"))
    for k, order in enumerate([("dataset", "geo", ...), ("channel", "control", "geo", ...)]):
        turned = lazy.transpose(*order)
        found = bytes_of(write_ensemble_frames(turned, tmp_path / f"found{k}"))
        for name in wanted.keys() - {"_ensemble.json"}:
            assert found[name] == wanted[name], name
    store = write_ensemble(lazy.transpose("dataset", "geo", ...), tmp_path / "e.zarr")
    assert open_ensemble(store).compute().identical(lazy.transpose("dataset", "geo", ...).compute())
    with pytest.raises(m.SchemaError, match=r"'y' has dims \('date', 'geo'\), allowed: \('dataset"):
        write_ensemble_frames(lazy.assign(y=lazy["y"].isel(dataset=0, drop=True)), tmp_path / "no")


def test_whatever_was_done_to_an_ensemble_is_written_as_it_is(tmp_path: Path) -> None:
    config = m.customize_preset("basic", n_periods=20)
    ds = m.generate_ensemble(
        config,
        n=4,
        chunks=2,
        vary={"channels.*.roas": m.Uniform(1, 4)},
        variables=["y", "spend", "control_value"],
    )
    changed = {
        "channels": ds.isel(channel=[2, 0]),
        "in memory": ds.isel(date=slice(10)).compute(),
        "cut": ds.assign(share=2 * ds["y"]).chunk(date=10),
        "labels": ds.assign_coords(channel=["x", "y", "z"]),
    }
    for name, each in changed.items():
        if name != "labels":
            store = write_ensemble(each, tmp_path / f"{name}.zarr")
            assert open_ensemble(store).compute().identical(each.compute()), name
        frames = pd.read_parquet(write_ensemble_frames(each, tmp_path / name))
        own = frames[frames["dataset"] == 3].drop(columns="dataset").reset_index(drop=True)
        assert own.equals(m.to_frame(each.isel(dataset=3).compute())), name
    datasets = pd.read_parquet(tmp_path / "channels" / "_datasets.parquet")
    paths = [f"channels.{config.channel_names[k]}.roas" for k in (2, 0)]
    assert datasets.columns.tolist() == ["dataset", "seed", *paths]
    np.testing.assert_array_equal(datasets[paths], ds["channels.*.roas"][:, [2, 0]])
    datasets = pd.read_parquet(tmp_path / "labels" / "_datasets.parquet")
    assert datasets.columns[2:].tolist() == [f"channels.{name}.roas" for name in "xyz"]


def test_a_faulty_frame_is_named_with_its_dataset(few: xr.Dataset, tmp_path: Path) -> None:
    made = few.compute()
    made["y"][7, 3, 1] = np.nan
    with pytest.raises(m.SchemaError, match=r"column 'y' at dataset 7, date 2022-11-28, geo 'süd'"):
        write_ensemble_frames(made, tmp_path / "frames")


# --- interrupted


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("kind", WRITERS)
def test_what_was_interrupted_ends_with_the_same_bytes(
    kind: str,
    after: int,
    few: xr.Dataset,
    kept: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = tmp_path / "e"
    made: list[int] = []
    run = chunks.Task.__call__

    def breaks(task: chunks.Task, position: int) -> int:
        if len(made) >= after:
            raise StoppedError
        made.append(position)
        return run(task, position)

    monkeypatch.setattr(chunks, "THREADS", 1)
    monkeypatch.setattr(chunks.Task, "__call__", breaks)
    with pytest.raises(StoppedError):
        WRITERS[kind](few, target)
    monkeypatch.setattr(chunks.Task, "__call__", run)
    before = stamps_of(target, set(made))
    WRITERS[kind](few, target)
    assert bytes_of(target) == bytes_of(kept[kind])
    assert {name: stamps_of(target, set(made))[name] for name in before} == before
    assert kind == "parquet" or not made or before


def test_half_files_and_unmarked_chunks_are_written_anew(few: xr.Dataset, tmp_path: Path) -> None:
    store = write_ensemble(few, tmp_path / "e.zarr")
    wanted, untouched = bytes_of(store), stamps_of(store, {0, 1, 3, 4, 5})
    (store / "progress" / "written" / "c.2").unlink()
    (store / "y" / "c.2.0.0").write_bytes(b"half")
    (store / "spend" / "c.2.0.0.0").unlink()
    (store / "noise" / "c.2.0.0123abc.partial").write_bytes(b"half")
    (store / "noise" / "c.3.0.0123abc.partial").write_bytes(b"half")
    (store / "progress" / "written" / ".c.2abc").write_bytes(b"")
    (tmp_path / ".e.zarr.new").mkdir()
    (tmp_path / ".e.zarr.new" / "zarr.json").write_text("half")
    with pytest.raises(m.SchemaError, match="1 of 6 chunks are not written yet"):
        open_ensemble(store)
    write_ensemble(few, store)
    assert bytes_of(store) == wanted
    assert stamps_of(store, {0, 1, 3, 4, 5}) == untouched
    assert [path.name for path in tmp_path.iterdir()] == ["e.zarr"]


def test_a_worker_that_outlives_its_caller_spoils_nothing(
    few: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = write_ensemble(few, tmp_path / "e.zarr")
    wanted = bytes_of(store)
    mark = store / "progress" / "written" / "c.2"
    mark.unlink()

    def stopped(*_: Any) -> None:
        # All files of the chunk are there, and now its old worker says so; then the new call dies.
        mark.write_bytes(b"\x01")
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(chunks.Task, "__call__", stopped)
        with pytest.raises(StoppedError):
            write_ensemble(few, store)
    write_ensemble(few, store)
    assert bytes_of(store) == wanted


def test_a_finished_store_is_left_alone(lazy: xr.Dataset, whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    write_ensemble(lazy, whole)
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before


SCRIPT = """
import sys, warnings
import mmm_xgen as m
from mmm_xgen import export
warnings.simplefilter("ignore", m.XgenWarning)
config = m.get_preset_config("basic")
ds = m.generate_ensemble(
    config, n=int(sys.argv[3]), chunks=5, vary={"channels.*.roas": m.Uniform(1, 4)},
    variables=["y", "spend", "control_value", "mu", "noise", "effect"],
)
if __name__ == "__main__":
    getattr(export, sys.argv[1])(ds, sys.argv[2])
"""


def killed_at(
    moment: int, function: str, target: Path, n: int, *, marked: str, script: Path
) -> None:
    """Begin to write in another process, and kill it once so many chunks are there."""
    process = subprocess.Popen([sys.executable, script, function, target, str(n)])
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            if len(list(target.glob(marked))) >= moment:
                break
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
@pytest.mark.parametrize(
    ("function", "marked", "moments"),
    [
        ("write_ensemble", "progress/written/c.*", [6]),
        pytest.param(
            "write_ensemble",
            "progress/written/c.*",
            [0, 1, 2, *range(5, 115, 5)],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "write_ensemble_frames", "part-*.parquet", [0, 1, *range(5, 115, 10)],
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_killed_at_any_moment_it_ends_with_the_same_bytes(
    function: str, marked: str, moments: list[int], tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    n = 5 * max(moments) + 50
    ds = m.generate_ensemble(
        m.get_preset_config("basic"),
        n=n,
        chunks=5,
        vary={"channels.*.roas": m.Uniform(1, 4)},
        variables=["y", "spend", "control_value", "mu", "noise", "effect"],
    )
    write = {"write_ensemble": write_ensemble, "write_ensemble_frames": write_ensemble_frames}
    whole = write[function](ds, tmp_path / "whole")
    target = tmp_path / "killed"
    for moment in moments:
        done = {path: path.stat().st_mtime_ns for path in target.glob(marked)}
        killed_at(moment, function, target, n, marked=marked, script=script)
        assert {path: path.stat().st_mtime_ns for path in done} == done
    write[function](ds, target)
    assert bytes_of(target) == bytes_of(whole)


# --- damaged


def flip(file: Path) -> None:
    first, *rest = file.read_bytes()
    file.write_bytes(bytes([first ^ 1, *rest]))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "lost": Path.unlink,
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-2]),
    "emptied": lambda file: file.write_bytes(b""),
    "flipped": flip,
}
# One file of each sort, and every damage to one of what is data, description and checksum.
BADLY = ["y/c.1.0.0", "zarr.json", "progress/checksum/c.2.0"]
STORED = [*BADLY, "y/zarr.json", "geo/c.0", "vary_0/c.0.0", "progress/zarr.json",
          "progress/checksum/zarr.json"]  # fmt: skip


def assert_named_and_repaired(kind: str, target: Path, few: xr.Dataset, words: str) -> None:
    read: Callable[[Path], object] = m.load if kind == "zarr" else read_ensemble_frames
    with pytest.raises(m.SchemaError) as caught:
        read(target)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    WRITERS[kind](few, target)


@pytest.mark.parametrize("name", STORED)
def test_a_damaged_store_is_refused_and_resuming_repairs_it(
    name: str, kept: dict[str, Path], few: xr.Dataset
) -> None:
    store = kept["zarr"]
    wanted = bytes_of(store)
    for damage in DAMAGES if name in BADLY else ("lost", "flipped"):
        DAMAGES[damage](store / name)
        # Where a checksum is another one, the file that it belongs to is named.
        words = "damaged: " if name == "progress/checksum/c.2.0" else f"damaged: {name!r}"
        assert_named_and_repaired("zarr", store, few, words)
        assert bytes_of(store) == wanted


def test_chunks_that_were_exchanged_are_refused(kept: dict[str, Path], few: xr.Dataset) -> None:
    store = kept["zarr"]
    wanted = bytes_of(store)
    (store / "y" / "c.1.0.0").write_bytes(wanted["y/c.2.0.0"])
    (store / "noise" / "c.1.0.0").write_bytes(wanted["y/c.1.0.0"])
    assert_named_and_repaired("zarr", store, few, "damaged: 'noise/c.1.0.0'")
    assert bytes_of(store) == wanted


def test_every_chunk_is_checked_when_it_is_read(
    kept: dict[str, Path], few: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, file = kept["zarr"], kept["zarr"] / "y" / "c.1.0.0"
    monkeypatch.setattr("mmm_xgen.ensemble.zarr_store.CHECKED_AT_ONCE", 0)
    content = file.read_bytes()
    file.write_bytes((store / "y" / "c.2.0.0").read_bytes())
    opened = open_ensemble(store)
    wanted = few["y"].compute()
    assert opened["y"][8:].compute().equals(wanted[8:])
    with pytest.raises(m.SchemaError, match=r"damaged: 'y/c\.1\.0\.0'"):
        opened["y"][7, 3].compute()
    # Who does not ask gets what is there.
    unchecked = open_ensemble(store, verify=False)["y"].compute()
    np.testing.assert_array_equal(unchecked[4:8], wanted[8:12])
    file.write_bytes(content)
    assert open_ensemble(store)["y"].compute().equals(wanted)


def test_a_store_that_lost_its_record_is_not_read_as_another_folder(
    kept: dict[str, Path], few: xr.Dataset, tmp_path: Path
) -> None:
    shutil.copytree(kept["zarr"], tmp_path / "e", ignore=shutil.ignore_patterns("progress"))
    with pytest.raises(m.SchemaError, match=r"damaged: 'progress/zarr\.json'"):
        m.load(tmp_path / "e")


@pytest.mark.parametrize(
    "name", ["part-00002.parquet", "_datasets.parquet", "_checksums/part-00001.parquet.crc32"]
)
def test_damaged_frames_are_refused_and_resuming_repairs_them(
    name: str, kept: dict[str, Path], few: xr.Dataset
) -> None:
    folder = kept["parquet"]
    wanted = bytes_of(folder)
    for damage in DAMAGES.values():
        damage(folder / name)
        words = name.removeprefix("_checksums/").removesuffix(".crc32")
        assert_named_and_repaired("parquet", folder, few, words)
        assert bytes_of(folder) == wanted
    assert read_ensemble_frames(folder).equals(pd.read_parquet(folder))
    (folder / "_ensemble.json").write_text("{")
    with pytest.raises(m.SchemaError, match=r"damaged: '_ensemble\.json'"):
        write_ensemble_frames(few, folder)
    write_ensemble_frames(few, folder, resume=False)
    assert bytes_of(folder) == wanted


@pytest.mark.parametrize(
    ("kind", "name"),
    [("zarr", "y"), ("zarr", "progress"), ("zarr", "y/c.0.0.0"), ("zarr", "geo/zarr.json"),
     ("parquet", "part-00000.parquet"), ("parquet", "_checksums")],
)  # fmt: skip
def test_a_link_in_a_folder_is_refused(
    kind: str, name: str, kept: dict[str, Path], few: xr.Dataset, tmp_path: Path
) -> None:
    target, elsewhere = tmp_path / "e", tmp_path / "elsewhere"
    shutil.copytree(kept[kind], target)
    (target / name).rename(elsewhere)
    (target / name).symlink_to(elsewhere)
    before = bytes_of(tmp_path)
    with pytest.raises(m.SchemaError, match=f"'{name}' is a link"):
        WRITERS[kind](few, target)
    with pytest.raises(m.SchemaError, match=f"'{name}' is a link"):
        (open_ensemble if kind == "zarr" else read_ensemble_frames)(target)
    assert bytes_of(tmp_path) == before


@pytest.mark.parametrize("kind", WRITERS)
def test_a_folder_may_be_a_link_itself(kind: str, few: xr.Dataset, tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    link.symlink_to(real)
    small = m.generate_ensemble(
        m.customize_preset("basic", n_periods=5),
        n=2,
        chunks=1,
        variables=["y", "spend", "control_value"],
    )
    for resume in (True, False):
        WRITERS[kind](small, link, resume=resume)
        assert link.is_symlink()
        (open_ensemble if kind == "zarr" else read_ensemble_frames)(link)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


# --- refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": 44}, "another number of datasets .*datasets 22 there, 44 now"),
        ({"seeds": range(N)}, "other seeds"),
        ({"vary": {**VARY, "revenue_per_kpi": m.Uniform(1, 3)}}, "other numbers that vary"),
        ({"variables": ["y", "spend"]}, "other variables"),
        ({"chunks": 5}, r"other chunks \(chunk 4 there, 5 now\)"),
        (
            {"config": m.MMMDataConfig.model_validate(CONFIG | {"n_periods": 31})},
            "another configuration",
        ),
    ],
)
def test_another_ensemble_is_refused(options: dict[str, Any], words: str, whole: Path) -> None:
    before = bytes_of(whole)
    with pytest.raises(m.SchemaError, match=f"begun with .*{words}.*resume=False"):
        write_ensemble(ensemble(**options), whole)
    assert bytes_of(whole) == before


@pytest.mark.parametrize("kind", WRITERS)
def test_other_labels_are_refused(kind: str, kept: dict[str, Path], few: xr.Dataset) -> None:
    target = kept[kind]
    before = bytes_of(target)
    renamed = few.assign_coords(geo=["north", "south"])
    with pytest.raises(m.SchemaError, match="begun with other coordinates or attributes; "):
        WRITERS[kind](renamed, target)
    WRITERS[kind](few, target)
    assert bytes_of(target) == before


def test_other_attributes_are_refused_where_they_are_written(
    kept: dict[str, Path], few: xr.Dataset
) -> None:
    noted = few.assign_attrs(note=np.array([1.5, 2]))
    with pytest.raises(m.SchemaError, match="begun with other coordinates or attributes; "):
        write_ensemble(noted, kept["zarr"])
    write_ensemble_frames(noted, kept["parquet"])


def test_what_was_about_to_replace_an_ensemble_leaves_nothing(
    few: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = write_ensemble_frames(few, tmp_path / "e")
    wanted = bytes_of(target)
    real = parquet_frames.atomic_path

    def stops(path: Path) -> Any:
        if path.name == "_ensemble.json":
            raise StoppedError
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(parquet_frames, "atomic_path", stops)
        with pytest.raises(StoppedError):
            write_ensemble_frames(ensemble(seeds=range(N), variables=FEW), target, resume=False)
    write_ensemble_frames(few, target)
    assert bytes_of(target) == wanted


@pytest.mark.parametrize("method", ["mkdir", "replace", "exists"])
@pytest.mark.parametrize("kind", WRITERS)
def test_faults_of_the_folder_are_told_as_for_files(
    kind: str, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    small = m.generate_ensemble(m.customize_preset("basic", n_periods=5), n=2, chunks=1)
    monkeypatch.setattr(Path, method, full)
    with pytest.raises(m.XgenError, match=r"cannot be written: No space left on device$"):
        WRITERS[kind](small, tmp_path / "e")


def test_another_ensemble_of_frames_is_refused(kept: dict[str, Path]) -> None:
    before = bytes_of(kept["parquet"])
    with pytest.raises(m.SchemaError, match="begun with other seeds"):
        write_ensemble_frames(ensemble(seeds=range(N), variables=FEW), kept["parquet"])
    assert bytes_of(kept["parquet"]) == before


def test_another_release_is_refused(lazy: xr.Dataset, whole: Path) -> None:
    record = whole / "progress" / "zarr.json"
    text = record.read_text()
    changed = json.loads(text)
    changed["attributes"]["mmm_xgen"] = "0.0.9"
    record.write_text(json.dumps(changed))
    try:
        with pytest.raises(m.SchemaError, match=r"another release of mmm_xgen .*0.0.9 there"):
            write_ensemble(lazy, whole)
    finally:
        record.write_text(text)


@pytest.mark.parametrize("kind", WRITERS)
def test_without_resume_an_ensemble_is_replaced_and_nothing_else(
    kind: str, few: xr.Dataset, kept: dict[str, Path], tmp_path: Path
) -> None:
    write, target = WRITERS[kind], tmp_path / "e"
    write(ensemble(n=28, variables=FEW), target)
    write(few, target, resume=False)
    assert bytes_of(target) == bytes_of(kept[kind])
    other = tmp_path / "mine"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    for resume in (True, False):
        with pytest.raises(m.SchemaError, match="choose another"):
            write(few, other, resume=resume)
    assert bytes_of(other) == {"notes.txt": b"mine"}
    empty = tmp_path / "empty"
    empty.mkdir()
    write(few, empty)
    assert bytes_of(empty) == bytes_of(target)
    with pytest.raises(m.SchemaError, match="this is a file"):
        write(few, other / "notes.txt")
    with pytest.raises(m.SchemaError, match="no folder"):
        write(few, tmp_path / "no" / "e")
    with pytest.raises(m.SchemaError, match="an address"):
        write(few, "s3://bucket/e.zarr")


def test_what_is_no_ensemble_is_refused(lazy: xr.Dataset, tmp_path: Path) -> None:
    one = m.generate_mmm_dataset()
    for write in WRITERS.values():
        with pytest.raises(m.SchemaError, match="not an ensemble"):
            write(one, tmp_path / "e")
        with pytest.raises(m.SchemaError, match="lost its coordinate 'seed'"):
            write(lazy.drop_vars("seed"), tmp_path / "e")
        for none in (lazy.isel(dataset=[]), lazy.isel(dataset=[]).compute()):
            with pytest.raises(m.SchemaError, match="no datasets left"):
                write(none, tmp_path / "e")
        with pytest.raises(m.SchemaError, match="different chunks"):
            write(lazy.assign(y=lazy["y"].chunk(dataset=8)), tmp_path / "e")
        with pytest.raises(m.SchemaError, match=r"different lengths; pass ds.chunk\(dataset=4\)"):
            write(lazy.chunk(dataset=(4, 10, 8)), tmp_path / "e")
    assert not list(tmp_path.iterdir())
    with pytest.raises(m.SchemaError, match="no store that write_ensemble wrote"):
        open_ensemble(_plain_zarr(tmp_path))


def _plain_zarr(folder: Path) -> Path:
    import zarr

    zarr.create_group(folder / "plain.zarr", zarr_format=3)
    return folder / "plain.zarr"


def with_an_impossible_dataset(position: int, *, n: int, chunks: int) -> xr.Dataset:
    config = m.MMMDataConfig(
        n_periods=20,
        channels=[m.ChannelConfig(name="TV", roas=2.0)],
        regions=m.RegionConfig(noise={"kind": "negative_binomial", "sales_volatility": 0.5}),
    )
    sizes = [0.001 if each == position else 0.5 for each in range(n)]
    vary = {"regions.noise.sales_volatility": sizes}
    return m.generate_ensemble(config, vary=vary, seeds=range(n), chunks=chunks)


def test_a_dataset_that_cannot_be_made_is_named_and_the_others_stay(tmp_path: Path) -> None:
    ds = with_an_impossible_dataset(7, n=8, chunks=2)
    with pytest.raises(m.ConfigError, match=r"dataset 7 \(seed 7"):
        write_ensemble(ds, tmp_path / "e.zarr")
    assert 3 not in marks(tmp_path / "e.zarr")


# --- on a cluster


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    from distributed import Client, LocalCluster

    cluster = LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        silence_logs=50,
    )
    with cluster, Client(cluster, set_as_default=False) as client:
        yield client


@pytest.mark.slow
def test_a_worker_that_is_killed_changes_nothing(client: Any, tmp_path: Path) -> None:
    config, kept = m.get_preset_config("small_business"), ["y", "spend", "mu", "noise", "effect"]
    ds = m.generate_ensemble(config, n=400, chunks=4, variables=kept)
    whole = write_ensemble(ds, tmp_path / "whole.zarr")
    target = tmp_path / "e.zarr"
    workers = client.run(os.getpid)
    killed: list[int] = []

    def kill_one() -> None:
        while len(marks(target)) < 10:
            time.sleep(0.002)
        pid = next(iter(workers.values()))
        os.kill(pid, signal.SIGKILL)
        killed.append(len(marks(target)))

    thread = Thread(target=kill_one)
    thread.start()
    write_ensemble(ds, target, client=client)
    thread.join()
    assert 10 <= killed[0] < 100
    assert set(client.run(os.getpid).values()) != set(workers.values())
    assert bytes_of(target) == bytes_of(whole)


def test_frames_on_a_cluster_and_what_the_workers_warn_of(client: Any, tmp_path: Path) -> None:
    config = m.get_preset_config("basic")
    ds = m.generate_ensemble(config, n=12, chunks=2, vary={"channels.*.roas": m.Uniform(30, 40)})
    whole = write_ensemble_frames(ds, tmp_path / "whole")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        write_ensemble_frames(ds, tmp_path / "e", client=client)
    messages = [str(each.message) for each in caught]
    assert all(each.category is m.XgenWarning for each in caught)
    # Each kind once for each worker, of which some may have begun anew, and not for all 6 chunks.
    assert 1 <= sum("ROAS outside" in message for message in messages) < 5
    assert bytes_of(tmp_path / "e") == bytes_of(whole)


def test_the_active_client_is_used(
    client: Any, few: xr.Dataset, kept: dict[str, Path], tmp_path: Path
) -> None:
    seen: list[Any] = []
    original = chunks._on_cluster

    def spy(task: Any, todo: list[int], found: Any) -> Iterator[int]:
        seen.append(found)
        return original(task, todo, found)

    with pytest.MonkeyPatch.context() as patch, client.as_current():
        patch.setattr(chunks, "_on_cluster", spy)
        write_ensemble(few, tmp_path / "e.zarr")
    assert seen == [client]
    assert bytes_of(tmp_path / "e.zarr") == bytes_of(kept["zarr"])


def test_a_failure_on_a_worker_says_what_it_says_here(client: Any, tmp_path: Path) -> None:
    ds = with_an_impossible_dataset(2, n=4, chunks=1)
    with pytest.raises(m.ConfigError, match=r"dataset 2 \(seed 2"):
        write_ensemble(ds, tmp_path / "e.zarr", client=client)


# --- what travels


def test_a_writer_travels_without_its_open_arrays(whole: Path) -> None:
    import pickle

    writer = ChunkWriter(whole, CHUNK)
    writer._arrays["y"] = object()
    assert pickle.loads(pickle.dumps(writer))._arrays == {}
