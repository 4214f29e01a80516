"""Files of a Dataset: they give back what went in, and a failed write leaves nothing behind."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given

import mmm_xgen as m
from mmm_xgen.aggregate import aggregate
from mmm_xgen.ensemble import element, regenerate_ensemble
from mmm_xgen.export import (
    load,
    open_ensemble,
    read_ensemble_frames,
    to_frame,
    to_netcdf,
    write_csv,
    write_ensemble,
    write_ensemble_frames,
    write_ground_truth,
    write_json,
    write_parquet,
)
from mmm_xgen.truth import write_scenarios
from tests.connected import CONFIG, connected
from tests.export.datasets import CONFIGS, made, planned
from tests.strategies import (
    config_with,
    drawn,
    examples,
    generate,
    quietly,
    steady,
    valid_configs,
)

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")


WRITERS: dict[str, Callable[..., Path]] = {
    "sales.nc": to_netcdf,
    "sales.csv": write_csv,
    "sales.parquet": write_parquet,
    "sales.json": write_json,
    "truth.json": write_ground_truth,
}


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return m.generate_mmm_dataset()


def assert_lossless(back: xr.Dataset, ds: xr.Dataset) -> None:
    """Identical, and what `identical` overlooks: dtypes, bits, types of attributes, order."""
    assert back.identical(ds)
    assert list(back.data_vars) == list(ds.data_vars)
    for name in ds.variables:
        assert back[name].dtype.kind == ds[name].dtype.kind, name
        if ds[name].dtype.kind != "U":
            assert back[name].dtype == ds[name].dtype, name
            original = np.ascontiguousarray(ds[name].values)
            assert np.ascontiguousarray(back[name].values).tobytes() == original.tobytes(), name
        assert back[name].encoding == {}
    types = {name: type(value) for name, value in ds.attrs.items()}
    assert {name: type(value) for name, value in back.attrs.items()} == types
    assert back.encoding == {}


@pytest.mark.parametrize("name", CONFIGS)
def test_netcdf_is_lossless(tmp_path, name):
    ds = made(name)
    back = load(to_netcdf(ds, tmp_path / "a.nc"))
    assert_lossless(back, ds)
    assert quietly(lambda: m.regenerate(back)).identical(ds)


@examples(0.5)
@given(config=valid_configs(max_periods=15))
def test_netcdf_is_lossless_for_any_config(tmp_path_factory, config):
    ds = drawn(config)
    back = load(to_netcdf(ds, tmp_path_factory.mktemp("nc") / "a.nc"))
    assert_lossless(back, ds)
    assert quietly(lambda: m.regenerate(back)).identical(ds)


def test_netcdf_of_a_media_plan_and_of_given_parameters(tmp_path):
    ds = planned()
    back = load(to_netcdf(ds, tmp_path / "plan.nc"))
    assert_lossless(back, ds)
    assert quietly(lambda: m.regenerate(back)).identical(ds)
    base = m.generate_mmm_dataset()
    given_one = m.generate_mmm_dataset(params=base[["adstock_alpha"]] * 0.5)
    back = load(to_netcdf(given_one, tmp_path / "given.nc"))
    assert_lossless(back, given_one)
    assert m.regenerate(back).identical(given_one)
    assert not m.regenerate(back).equals(base)


def test_netcdf_of_an_aggregate_and_of_a_part(tmp_path, ds):
    for part in (aggregate(ds, freq="QS"), ds.sel(channel=["Trend"]), ds.isel(geo=[1])):
        assert_lossless(load(to_netcdf(part, tmp_path / "a.nc")), part)


@pytest.mark.parametrize("name", ["Print/Outdoor", "e\u0301te\u0301"])
def test_netcdf_of_an_ensemble_keeps_the_names_of_what_varies(tmp_path, name):
    config = m.MMMDataConfig(n_periods=20, channels=[m.ChannelConfig(name=name, roas=2.0)])
    (label,) = config.channel_names
    vary = {f"channels.{label}.roas": m.Uniform(1, 3), "revenue_per_kpi": m.Uniform(1, 2)}
    kept = ["spend", "channel_contribution", "mu", "y"]
    many = m.generate_ensemble(config, n=3, vary=vary, chunks=None, variables=kept)
    for ds in (many, many.isel(dataset=[1])):
        back = load(to_netcdf(ds, tmp_path / "many.nc"))
        assert_lossless(back, ds)
        assert regenerate_ensemble(back).identical(ds)
    one = many.isel(dataset=1)
    back = load(to_netcdf(one, tmp_path / "one.nc"))
    assert_lossless(back, one)
    assert m.regenerate(back).identical(one)


def test_netcdf_of_an_ensemble_that_was_written_with_its_own_names(tmp_path):
    config = m.MMMDataConfig(n_periods=20, channels=[m.ChannelConfig(name="Paid Search")])
    vary = {"channels.Paid Search.base_spend": m.Uniform(1, 3)}
    ds = m.generate_ensemble(config, n=3, vary=vary, chunks=None)
    with pytest.warns(xr.SerializationWarning, match="has a space"):
        ds.to_netcdf(tmp_path / "a.nc", engine="netcdf4")
    assert_lossless(load(tmp_path / "a.nc"), ds)


def test_an_encoding_from_elsewhere_costs_nothing(tmp_path, ds):
    coarse = ds.copy()
    coarse["spend"].encoding = {"dtype": "int16", "scale_factor": 0.5, "_FillValue": -1}
    coarse["y"].encoding = {"dtype": "float32"}
    coarse["date"].encoding = {"units": "weeks since 2000-01-01", "dtype": "int32"}
    assert_lossless(load(to_netcdf(coarse, tmp_path / "a.nc")), ds)
    # Without the care the same encoding loses digits.
    coarse.drop_vars("date")[["y"]].to_netcdf(tmp_path / "b.nc", engine="netcdf4")
    with xr.open_dataset(tmp_path / "b.nc", engine="netcdf4") as lossy:
        assert not np.array_equal(lossy["y"].values, ds["y"].values)


def test_compression_makes_a_smaller_file_and_loses_nothing(tmp_path, ds):
    same = ds.assign(spend=0 * ds["spend"] + 1).isel(date=np.arange(104).repeat(20))
    files = [to_netcdf(same, tmp_path / f"{c}.nc", compression=c) for c in (0, 5)]
    assert files[1].stat().st_size < 0.8 * files[0].stat().st_size
    for file in files:
        assert_lossless(load(file), same)


@pytest.mark.parametrize("compression", [-1, 10, 2.5, "high", None])
def test_wrong_compression(tmp_path, ds, compression):
    with pytest.raises(m.XgenError, match="compression"):
        to_netcdf(ds, tmp_path / "a.nc", compression=compression)
    assert not list(tmp_path.iterdir())


DATED = np.array(["2024-01-01T00:00:00.000000001", "NaT"], dtype="M8[ns]")


# What a user may add to the two geos of a dataset.
ADDED: dict[str, Any] = {
    "dates": DATED,
    "dates in seconds": np.array(["4000-01-01", "NaT"], dtype="M8[s]"),
    "spans": np.array([1, "NaT"], dtype="m8[ns]"),
    "spans in seconds": np.array([90, 3], dtype="m8[s]"),
    "small numbers": np.array([1, 2], dtype=np.int8),
    "large numbers": np.array([1, 2**64 - 1], dtype=np.uint64),
    "short numbers": np.array([1.1, np.nan], dtype=np.float32),
    "half numbers": np.array([1.1, np.nan], dtype=np.float16),
    "numbers of another machine": np.array([1.5, 2.5], dtype=">f8"),
    "complex": np.array([1 + 2j, np.nan]),
    "bytes": np.array([b"a", b"\xff\x00b"]),
    "text with room": np.array(["a", "b"], dtype="<U9"),
    "text that NetCDF would cut": np.array(["a\0b", "c"]),
    "text that is no Unicode": np.array(["\ud800", "c"]),
    "objects": np.array([None, {"a": [1, (2.5, True)]}], dtype=object),
    "dates as objects": np.array([pd.Timestamp("2024-01-01"), date(2024, 1, 2)], dtype=object),
    "text as objects": np.array(["a", "b"], dtype=object),
    "categories": pd.Categorical(["s", "l"], categories=["l", "s", "xl"], ordered=True),
    "categories of numbers": pd.Categorical([3, 1]),
    "numbers that may be missing": pd.array([1, None], dtype="Int64"),
    "intervals": pd.interval_range(0, 2),
    "months": pd.period_range("2024-01", periods=2, freq="M"),
}


ATTRIBUTES: dict[str, Any] = {
    **{"none": None, "true": True, "nested": {"a": [1, None, {"b": (2.5, "c")}], 3: []}},
    **{"Timestamp": pd.Timestamp("2024-01-01 03:00"), "date": date(2024, 1, 2)},
    "zone": pd.Timestamp("2024-01-01", tz="Europe/Vienna"),
    "time": datetime(2024, 1, 2, 3, tzinfo=UTC),
    **{"span": timedelta(1, 2), "pandas span": pd.Timedelta("1h"), "missing": pd.NaT},
    **{
        "numpy": np.float32(1.1),
        "numpy truth": np.bool_(False),
        "day": np.datetime64("2024-01-01"),
    },
    **{
        "mixed": [1, "a", None, 2.5],
        "empty": [],
        "no text": "",
        "array": np.arange(6).reshape(2, 3),
    },
    **{"one": np.array([1.5]), "dates": DATED[:1], "complex": 1 + 2j, "bytes": b"\x00\xff"},
    **{"nan": np.nan, "large": 2**80, "null": "a\0b", "interval": pd.Interval(0, 1)},
    # Names that mean something to xarray and NetCDF.
    **{"_FillValue": 1.0, "scale_factor": 2.0, "dtype": "bool", "coordinates": "x", "a b/c": 1},
    **{"DIMENSION_LIST": "x", "mmm_xgen_encoding": "{}", "calendar": "mine", 7: "x"},
}


def test_what_a_user_adds_comes_back_as_it_was(tmp_path, ds):
    """As coordinate, as variable and as dim, with its dtype."""
    attrs = {"units": "days since 2000-01-01", "final": True}
    added = ds.assign({f"own {name}": ("geo", values) for name, values in ADDED.items()})
    added = added.assign_coords({name: ("geo", each, attrs) for name, each in ADDED.items()})
    dims = {name: each for name, each in ADDED.items() if each.dtype != np.float16}
    added = added.assign_coords({f"{name} dim": each for name, each in dims.items()})
    back = load(to_netcdf(added, tmp_path / "a.nc"))
    assert {*back.coords} == {*added.coords}
    for name in added.variables:
        assert back[name].dtype == added[name].dtype, name
        assert repr(list(back[name].variable.data)) == repr(list(added[name].variable.data)), name
        assert back[name].attrs == added[name].attrs, name


def test_attributes_come_back_as_they_were(tmp_path, ds):
    marked = ds.assign_attrs(ATTRIBUTES)
    for name in ("y", "geo", "date"):
        marked[name].attrs |= ATTRIBUTES
    back = load(to_netcdf(marked, tmp_path / "a.nc"))
    for found in (back, back["y"], back["geo"], back["date"]):
        for name, value in ATTRIBUTES.items():
            assert type(found.attrs[name]) is type(value), name
            assert repr(found.attrs[name]) == repr(value), name
    assert ds.drop_attrs().identical(back.drop_attrs())


def test_names_and_further_dims_come_back_as_they_were(tmp_path, ds):
    further = ds.assign(
        {"größe a": (("geo", "run no"), np.ones((2, 3))), "none": (("nothing",), np.empty(0))}
    ).assign_coords({"first date": ("geo", DATED), "run no": [3, 1, 2], "when": DATED[1]})
    further = further.drop_indexes("geo")
    assert_lossless(load(to_netcdf(further, tmp_path / "a.nc")), further)


def endless() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda ds: ds.assign_attrs(mine={1}), "the attribute 'mine' of the Dataset is .* set"),
        (lambda ds: ds.assign_attrs(mine=[Path()]), "the attribute 'mine' of the Dataset .*Path"),
        (lambda ds: ds.assign_attrs(mine=endless()), "'mine' of the Dataset .* too deep"),
        (
            lambda ds: ds.assign(y=ds["y"].assign_attrs(mine=np.longdouble(1))),
            "the attribute 'mine' of 'y' is .* numbers of float128",
        ),
        (lambda ds: ds.assign(mine=("geo", np.ones(2, dtype="g"))), "'mine' has .* float128"),
        (lambda ds: ds.assign_coords(mine=("geo", [Path(), None])), "'mine' has .*Path"),
        (lambda ds: ds.assign(mine=("geo", np.ones(2, dtype=[("a", int)]))), "'mine' has records"),
        (
            lambda ds: ds.assign(own=(("a", "b"), np.ones((1, 2)))).stack(mine=("a", "b")),
            "'mine' has the index PandasMultiIndex",
        ),
        *(
            (lambda ds, name=name: ds.assign({name: ("geo", [1, 2])}), "is not a name for a file")
            for name in ("a/b", "e\u0301", " a", "a ", "", 1, None, "a\nb", "x" * 300)
        ),
    ],
)
def test_what_would_not_come_back_is_not_written(tmp_path, ds, change, words):
    with pytest.raises(m.SchemaError, match=words) as told:
        to_netcdf(change(ds), tmp_path / "a.nc")
    assert "\n" not in str(told.value) and "allowed" in str(told.value)
    assert not list(tmp_path.iterdir())


def test_what_could_not_be_loaded_is_not_written(tmp_path, ds):
    for foreign in (xr.Dataset({"a": 1}), ds.drop_vars("mu"), ds.drop_attrs()):
        with pytest.raises(m.SchemaError):
            to_netcdf(foreign, tmp_path / "a.nc")
    assert not list(tmp_path.iterdir())


def test_the_loaded_dataset_holds_no_file_open(tmp_path, ds):
    path = to_netcdf(ds, tmp_path / "a.nc")
    back = load(path)
    path.unlink()
    assert back.identical(ds)


THREADS = """
import os, sys, threading
from pathlib import Path
import mmm_xgen
from mmm_xgen.truth import compare_scenarios, write_scenarios

folder, faults = Path(sys.argv[1]), []
os.fsync = lambda number: None
ds = mmm_xgen.generate_mmm_dataset()
table = compare_scenarios(ds, {"today": []})

def work(name):
    try:
        for _ in range(4):
            back = mmm_xgen.load(mmm_xgen.to_netcdf(ds, folder / f"{name}.nc"))
            assert back.identical(ds)
            write_scenarios(table, folder / f"{name}-scenarios.nc")
    except BaseException as fault:
        faults.append(fault)

threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("faults:", faults)
"""


def test_two_threads_read_and_write_at_once(tmp_path):
    """Without a lock the process ends by a signal, or a file cannot be read."""
    done = subprocess.run(
        [sys.executable, "-c", THREADS, str(tmp_path)], capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout.strip()) == (0, "faults: []"), done.stderr[-1000:]


def test_missing_file(tmp_path):
    with pytest.raises(m.SchemaError, match=r"nowhere\.nc: no such file"):
        load(tmp_path / "nowhere.nc")
    # The system does not look up a name that is longer than any can be.
    for read in (load, open_ensemble):
        with pytest.raises(m.SchemaError, match=r"aaa: no such"):
            read("a" * 300)


def test_a_cut_file(tmp_path, ds):
    data = to_netcdf(ds, path := tmp_path / "a.nc").read_bytes()
    for share in (0.0, 0.01, 0.3, 0.7, 0.95):
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(m.SchemaError, match=r"a\.nc: "):
            load(path)


FLIPPED = """
import pathlib, sys, warnings
import numpy as np
import mmm_xgen as m
warnings.simplefilter("ignore")
path = pathlib.Path(sys.argv[1])
data = path.read_bytes()
rng = np.random.default_rng(1)
for _ in range(30):
    broken = bytearray(data)
    for position in rng.integers(0, len(data), 20):
        broken[position] = rng.integers(256)
    path.write_bytes(bytes(broken))
    try:
        m.load(path)
    except m.SchemaError as error:
        assert str(path) in str(error), error
        assert chr(10) not in str(error), error
"""


def test_flipped_bytes_raise_nothing_else(tmp_path, ds):
    """In a process of its own: HDF5's C library may crash on such bytes, and we cannot stop it."""
    path = to_netcdf(ds.isel(date=slice(3)), tmp_path / "a.nc", compression=1)
    command = [sys.executable, "-c", FLIPPED, str(path)]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    if done.returncode < 0:
        pytest.skip(f"the C library crashed with signal {-done.returncode}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "content", [b"date,geo,y\n", b"\x89HDF\r\n\x1a\n", b"CDF\x01", b"\x80\x04K\x01.", b"{}"]
)
def test_something_else_under_the_name(tmp_path, content):
    path = tmp_path / "a.nc"
    path.write_bytes(content)
    with pytest.raises(m.SchemaError, match=r"a\.nc: cannot be read as a NetCDF file"):
        load(path)


def test_a_netcdf_file_of_someone_else(tmp_path, ds):
    path = tmp_path / "a.nc"
    xr.Dataset({"t": ("x", [1.0, 2.0])}).to_netcdf(path, engine="netcdf4")
    with pytest.raises(m.SchemaError, match=r"a\.nc: not a dataset of mmm-xgen"):
        load(path)
    ds.drop_vars("mu").to_netcdf(path, engine="netcdf4")
    with pytest.raises(m.SchemaError, match=r"a\.nc: the Dataset has no 'mu'"):
        load(path)
    ds.assign_attrs(schema_version="7.0").to_netcdf(path, engine="netcdf4")
    with pytest.raises(m.SchemaError, match=r"a\.nc: found schema version 7\.0"):
        load(path)


def test_a_file_of_schema_1_is_read(tmp_path, ds):
    """It had the amplitude as configured beside the one that contains the effect."""
    path = tmp_path / "a.nc"
    to_netcdf(ds.assign(saturation_amplitude=xr.ones_like(ds["effect"])), path)
    with xr.open_dataset(path, decode_cf=False) as raw:
        older = raw.load().assign_attrs(schema_version="1.0")
    older.to_netcdf(path, engine="netcdf4")
    found = load(path)
    assert found.identical(ds)
    assert m.regenerate(found).identical(ds)
    np.testing.assert_array_equal(m.respond(found["spend"], found), ds["channel_contribution"])


def test_a_folder_is_no_dataset(tmp_path):
    with pytest.raises(m.SchemaError, match="folder, and no Zarr"):
        load(tmp_path)


def write_zarr(ds: xr.Dataset, path: Path, zarr_format: int) -> Path:
    with warnings.catch_warnings():
        # Zarr warns that fixed-length text is not in its specification yet.
        warnings.simplefilter("ignore")
        ds.to_zarr(path, zarr_format=zarr_format)
    return path


@pytest.mark.parametrize(
    ("name", "zarr_format"), [("history", 2), ("history", 3), ("a KPI that looks like a date", 3)]
)
def test_zarr_is_lossless(tmp_path, name, zarr_format):
    ds = made(name)
    back = load(write_zarr(ds, tmp_path / "a.zarr", zarr_format))
    assert back.identical(ds)
    assert {name: back[name].dtype for name in ds.variables} == {
        name: ds[name].dtype for name in ds.variables
    }
    assert quietly(lambda: m.regenerate(back)).identical(ds)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr_of_xarray_keeps_dates_and_spans(tmp_path, ds, zarr_format):
    added = ds.assign_coords(
        when=("geo", DATED), late=("geo", np.array([1, "NaT"], dtype="m8[ns]")), run=("run", [1, 2])
    )
    back = load(write_zarr(added, tmp_path / "a.zarr", zarr_format))
    assert back.identical(added)
    assert back["late"].dtype == added["late"].dtype and back["when"].dtype == DATED.dtype


def test_the_store_of_an_ensemble_keeps_what_a_user_adds(tmp_path):
    made = m.generate_ensemble(n=2, chunks=None, variables=["y", "spend"])
    added = made.assign(count=("dataset", np.array([1, 2], dtype=np.int16))).assign_attrs(
        ATTRIBUTES
    )
    own = {name: each for name, each in ADDED.items() if name.isalpha()}
    added = added.assign_coords({name: ("dataset", each) for name, each in own.items()})
    added["y"].attrs |= ATTRIBUTES
    back = open_ensemble(write_ensemble(added, tmp_path / "a.zarr", progress=False)).load()
    for name in added.variables:
        assert back[name].dtype == added[name].dtype, name
        assert repr(list(back[name].variable.data)) == repr(list(added[name].variable.data)), name
    for found in (back, back["y"]):
        assert {name: repr(found.attrs[name]) for name in ATTRIBUTES} == {
            name: repr(value) for name, value in ATTRIBUTES.items()
        }
    text = added.assign(note=("dataset", ["a", "b"]))
    with pytest.raises(m.SchemaError, match=r"'note' has the type .* allowed: numbers"):
        write_ensemble(text, tmp_path / "b.zarr", progress=False)


PICKLE = {"id": "pickle", "protocol": 5}


SHARDS = {"name": "sharding_indexed", "configuration": {"codecs": ["pickle"], "index_codecs": []}}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("geo/.zarray", lambda node: node.update(filters=[PICKLE])),
        ("geo/.zarray", lambda node: node.update(filters=[{"id": "vlen-utf8"}, PICKLE])),
        ("y/.zarray", lambda node: node.update(compressor=PICKLE | {"name": "zlib"})),
        (".zmetadata", lambda node: node["metadata"]["y/.zarray"].update(filters=[PICKLE])),
        ("y/zarr.json", lambda node: node["codecs"].append({"name": "numcodecs.pickle"})),
        ("y/zarr.json", lambda node: node.update(codecs=[SHARDS])),
        (
            "zarr.json",
            lambda node: node.update(
                consolidated_metadata={"metadata": {"a": {"codecs": [SHARDS]}}}
            ),
        ),
    ],
)
def test_zarr_with_a_pickle_inside_is_refused(tmp_path, ds, name, change):
    path = write_zarr(ds[["y"]], tmp_path / "a.zarr", 3 if name.endswith("zarr.json") else 2)
    node = json.loads((path / name).read_text())
    change(node)
    (path / name).write_text(json.dumps(node))
    stem = re.escape(Path(name).name)
    with pytest.raises(m.SchemaError, match=rf"a\.zarr: {stem} names the codec pickle"):
        load(path)
    (tmp_path / "link.zarr").symlink_to(path)
    with pytest.raises(m.SchemaError, match=r"names the codec pickle"):
        load(tmp_path / "link.zarr")


def test_zarr_with_a_linked_array_is_refused(tmp_path, ds):
    path = write_zarr(ds[["y"]], tmp_path / "a.zarr", 2)
    (path / "geo").rename(tmp_path / "elsewhere")
    (path / "geo").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(m.SchemaError, match=r"a\.zarr: 'geo' is a link"):
        load(path)


def test_broken_zarr(tmp_path, ds):
    path = write_zarr(ds[["y"]], tmp_path / "a.zarr", 3)
    (path / "zarr.json").write_text("{")
    with pytest.raises(m.SchemaError, match=r"a\.zarr"):
        load(path)


def read_csv(path: Path) -> pd.DataFrame:
    """Frame of a CSV file, its numbers read by Python, which rounds correctly."""
    text = pd.read_csv(path, dtype=str, keep_default_na=False)
    numbers = {name: text[name].map(float) for name in text.columns[2:]}
    return text.assign(date=pd.to_datetime(text["date"], format="%Y-%m-%d"), **numbers)


def read_json(path: Path) -> pd.DataFrame:
    frame = pd.DataFrame(json.loads(path.read_text(encoding="utf-8")))
    return frame.assign(date=pd.to_datetime(frame["date"], format="%Y-%m-%d"))


TABLES = ((write_csv, read_csv), (write_parquet, pd.read_parquet), (write_json, read_json))


# A table has only dates, geos, sales, spend and controls of its Dataset.
@pytest.mark.parametrize(
    "name",
    ["default", "all kinds", "history", "one period", "daily with seasons and events",
     "monthly, saturation first", "placebo and silent channel", "negative_binomial noise", "plan"],
)  # fmt: skip
def test_tables_keep_every_bit(tmp_path, name):
    ds = planned() if name == "plan" else made(name)
    frame = to_frame(ds)
    numbers = frame.columns[2:]
    for write, read in TABLES:
        back = read(write(ds, tmp_path / "sales.x"))
        back["date"] = back["date"].astype(frame["date"].dtype)
        pd.testing.assert_frame_equal(back, frame, check_exact=True)
        assert back[numbers].to_numpy().tobytes() == frame[numbers].to_numpy().tobytes()


@pytest.mark.parametrize("name", ['=HYPERLINK("http://a")', "+north", "@home", "-", "-1", "süd"])
def test_csv_warns_of_formulas_and_labels_come_back(tmp_path, ds, name):
    named = ds.assign_coords(geo=[name, "'b"])
    is_formula = name not in ("-1", "süd")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        plain = write_csv(named, tmp_path / "a.csv")
    assert [each.category for each in caught] == [m.XgenWarning] * is_formula
    assert not is_formula or repr(name) in str(caught[0].message)
    assert set(read_csv(plain)["geo"].astype(str)) == {name, "'b"}
    safe = read_csv(write_csv(named, tmp_path / "b.csv", escape_formulas=True))["geo"].astype(str)
    assert set(safe) == {f"'{name}" if is_formula else name, "''b"}
    assert set(safe.str.removeprefix("'")) == {name, "'b"}
    write_parquet(named, tmp_path / "a.parquet")


def test_hostile_labels_survive(tmp_path):
    """Labels with separators, quotes, line breaks, and one that readers take for missing."""
    names = ['a,"b"', "NA", "línea nueva", "日本", " spaced "]
    ds = generate(
        config_with(
            steady('TV, "prime"'),
            steady("Ωmega/x"),
            regions={"region_names": names, "similarity": 0.5},
        )
    )
    frame = to_frame(ds)
    assert set(frame["geo"]) == set(names)
    for write, read in TABLES:
        back = read(write(ds, tmp_path / "sales.x"))
        assert back["geo"].tolist() == frame["geo"].tolist()
        assert back.columns.tolist() == frame.columns.tolist()
    assert_lossless(load(to_netcdf(ds, tmp_path / "a.nc")), ds)


def test_json_has_one_row_a_line_and_iso_dates(tmp_path, ds):
    lines = write_json(ds, tmp_path / "sales.json").read_text().splitlines()
    assert len(lines) == 208 + 2
    assert lines[1].startswith('{"date": "2022-01-03", "geo": "geo_a", "y": ')


def test_bad_numbers_write_no_file(tmp_path, ds):
    bad = ds.copy(deep=True)
    bad["spend"][0, 0, 0] = np.nan
    for write in (write_csv, write_parquet, write_json):
        with pytest.raises(m.SchemaError, match="x1-Seasonal"):
            write(bad, tmp_path / "a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", WRITERS)
def test_writers_write_their_path_alone_and_return_it(tmp_path, name):
    ds = m.generate_mmm_dataset()
    before = ds.copy(deep=True)
    path = tmp_path / name
    assert WRITERS[name](ds, str(path)) == path
    assert list(tmp_path.iterdir()) == [path]
    first = path.read_bytes()
    WRITERS[name](ds, path)
    assert list(tmp_path.iterdir()) == [path]
    if name != "sales.nc":
        assert path.read_bytes() == first
    assert ds.identical(before)
    assert all(not variable.encoding for variable in ds.variables.values())


BREAKS = {
    "sales.nc": "xarray.Dataset.to_netcdf",
    "sales.csv": "pandas.DataFrame.to_csv",
    "sales.parquet": "pandas.DataFrame.to_parquet",
    "sales.json": "pathlib.Path.write_text",
    "truth.json": "pathlib.Path.write_text",
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("error", "exists"), [(KeyboardInterrupt, True), (RuntimeError, True), (OSError, False)]
)
def test_an_interrupted_write_changes_nothing(tmp_path, ds, monkeypatch, name, error, exists):
    path = tmp_path / name
    if exists:
        path.write_bytes(b"old")
    reached = []

    def half(self: Any, target: Any = None, *args: Any, **options: Any) -> None:
        # The file is half written when the blow comes.
        place = Path(self) if isinstance(self, Path) else Path(target)
        place.write_bytes(b"half")
        reached.append(place)
        raise error("interrupted")

    monkeypatch.setattr(BREAKS[name], half)
    # What netCDF4 raises when the system refuses a write is a RuntimeError.
    told = error is OSError or (error is RuntimeError and name == "sales.nc")
    expected = m.XgenError if told else error
    with pytest.raises(expected, match="interrupted"):
        WRITERS[name](ds, path)
    assert reached and reached[0] != path
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([b"old"] if exists else [])


@pytest.mark.parametrize("name", WRITERS)
def test_a_missing_folder_is_named_and_a_folder_is_no_place_for_a_file(tmp_path, ds, name):
    path = tmp_path / "missing" / name
    with pytest.raises(m.XgenError, match=r"no folder .*missing.*make it first") as caught:
        WRITERS[name](ds, path)
    assert str(path) in str(caught.value)
    assert not list(tmp_path.iterdir())
    with pytest.raises(m.XgenError, match="this is a folder"):
        WRITERS[name](ds, tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(m.XgenError, match="no folder"):
        WRITERS[name](ds, tmp_path / "file" / name)


def _scenarios(ds):
    return ds.mmm.compare_scenarios({"more": [{"channel": str(ds.channel.values[0]), "by": 0.1}]})


MORE_WRITERS = WRITERS | {
    "config.yaml": lambda ds, path: ds.mmm.config.to_yaml(path),
    "plans.csv": lambda ds, path: write_scenarios(_scenarios(ds), path),
    "plans.nc": lambda ds, path: write_scenarios(_scenarios(ds), path),
}


@pytest.mark.parametrize("name", MORE_WRITERS)
def test_a_refused_write_names_path_and_reason(name, tmp_path, ds, monkeypatch):
    number = errno.EDQUOT

    def refuses(*_):
        raise OSError(number, os.strerror(number))

    path = tmp_path / name
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", refuses)
    with pytest.raises(m.XgenError) as refusal:
        MORE_WRITERS[name](ds, path)
    assert str(refusal.value) == f"{path}: cannot be written: {os.strerror(number)}"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_netcdf_that_fails_without_a_reason_gets_the_systems(tmp_path, ds, monkeypatch):
    # The library of NetCDF says "HDF error" of a full disk.
    def fails(*_arguments, **_options):
        raise RuntimeError("NetCDF: HDF error")

    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def write(self, _):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(xr.Dataset, "to_netcdf", fails)
    with pytest.raises(m.XgenError, match=r"sales\.nc: cannot be written: NetCDF: HDF"):
        to_netcdf(ds, tmp_path / "sales.nc")
    monkeypatch.setattr("tempfile.TemporaryFile", lambda dir: Full())
    with pytest.raises(m.XgenError, match=r"sales\.nc: cannot be written: No space left"):
        to_netcdf(ds, tmp_path / "sales.nc")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("make", [connected, lambda: aggregate(connected(), freq="QS")])
def test_a_world_with_mechanisms_is_restored_bit_by_bit(
    make: Callable[[], xr.Dataset], tmp_path: Path
) -> None:
    ds = make()
    back = load(to_netcdf(ds, tmp_path / "world.nc"))
    assert back.identical(ds)
    assert back["funnel_paid"].dtype == bool


def test_an_ensemble_of_worlds_is_restored_from_zarr_and_parquet(tmp_path: Path) -> None:
    vary = {"control_variables.*.gamma_control": m.Uniform(-60, -10)}
    config = CONFIG.replace(n_periods=20)
    ds = quietly(lambda: m.generate_ensemble(config, n=3, vary=vary, chunks=2))
    write_ensemble(ds, tmp_path / "world.zarr")
    made = ds.compute()
    assert open_ensemble(tmp_path / "world.zarr").compute().identical(made)
    write_ensemble_frames(ds, tmp_path / "frames")
    frame = read_ensemble_frames(tmp_path / "frames")
    one = frame[frame["dataset"] == 1].drop(columns="dataset").reset_index(drop=True)
    wide = to_frame(element(made, 1))
    pd.testing.assert_frame_equal(one, wide, check_dtype=False, check_categorical=False)
    assert [name for name in wide if name.startswith("c")][-4:] == [
        "c3-Queries",
        "c4-Sale",
        "c5-Awareness",
        "c6-Visits",
    ]
