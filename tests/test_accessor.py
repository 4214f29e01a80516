"""The accessor does what the functions do, and nothing else."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr

import mmm_xgen as m
import mmm_xgen.accessor
from mmm_xgen import export, truth
from mmm_xgen.accessor import MMMAccessor
from mmm_xgen.aggregate import aggregate

METHODS = {name: getattr(MMMAccessor, name) for name in [*vars(MMMAccessor)] if name[0] != "_"}
SOURCES = {
    "to_frame": export.to_frame,
    "ground_truth": export.ground_truth,
    "to_netcdf": export.to_netcdf,
    "write_csv": export.write_csv,
    "write_parquet": export.write_parquet,
    "write_json": export.write_json,
    "write_ground_truth": export.write_ground_truth,
    "aggregate": aggregate,
    "regenerate": m.regenerate,
    "check_quality": m.check_data_quality,
    "write_report": m.write_report,
    **{name: getattr(truth, name) for name in truth.__all__},
}
# They take no dataset first.
NO_METHODS = {"meridian_roi_prior", "write_scenarios"}
SOURCES = {name: source for name, source in SOURCES.items() if name not in NO_METHODS}


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return m.generate_mmm_dataset()


def test_what_it_has():
    assert {*METHODS} == {*SOURCES, "config", "respond"}


@pytest.mark.parametrize("name", SOURCES)
def test_a_method_takes_what_its_function_takes(name):
    """The same arguments, defaults and kinds, after the dataset."""
    own = list(inspect.signature(METHODS[name]).parameters.values())[1:]
    original = list(inspect.signature(SOURCES[name]).parameters.values())[1:]
    assert [(p.name, p.default, p.kind) for p in own] == [
        (p.name, p.default, p.kind) for p in original
    ]


def test_methods_forward(ds, tmp_path):
    pd.testing.assert_frame_equal(ds.mmm.to_frame(), export.to_frame(ds))
    assert ds.mmm.ground_truth(series=True) == export.ground_truth(ds, series=True)
    assert export.load(ds.mmm.to_netcdf(tmp_path / "a.nc", compression=1)).identical(ds)
    for name in ("write_csv", "write_parquet", "write_json"):
        written = getattr(ds.mmm, name)(tmp_path / "a")
        expected = getattr(export, name)(ds, tmp_path / "b")
        assert written.read_bytes() == expected.read_bytes()
    path = ds.mmm.write_ground_truth(tmp_path / "t.json", series=True)
    assert json.loads(path.read_text(encoding="utf-8")) == export.ground_truth(ds, series=True)
    assert ds.mmm.aggregate("all", "QS").identical(aggregate(ds, "all", "QS"))
    assert ds.mmm.regenerate().identical(ds)
    assert ds.mmm.config == m.DEFAULT_CONFIG
    assert ds.mmm.roas(("geo", "channel")).identical(truth.roas(ds, ("geo", "channel")))
    assert ds.mmm.attribution(of="media").identical(truth.attribution(ds, of="media"))
    assert (ds.mmm.respond(ds["spend"]) == ds["channel_contribution"]).all()
    assert (ds.mmm.respond(ds["spend"] * 0) == 0).all()


def test_quality(ds):
    from mmm_xgen.quality import check_data_quality

    report, expected = ds.mmm.check_quality(), check_data_quality(ds)
    assert type(report) is type(expected)
    assert str(report) == str(expected)


def test_a_view_sees_its_own_data(ds):
    """The accessor is kept with the object, so a selection must get one of its own."""
    assert ds.mmm.to_frame().shape == (208, 8)
    assert ds.isel(geo=[0], date=slice(10)).mmm.to_frame().shape == (10, 8)


def test_other_datasets_get_an_error_that_teaches():
    other = xr.Dataset({"a": ("x", [1.0])})
    for call in (other.mmm.to_frame, other.mmm.roas, other.mmm.regenerate, other.mmm.ground_truth):
        with pytest.raises(m.SchemaError, match="generate_mmm_dataset"):
            call()


def test_it_is_cheap_to_import():
    heavy = {"netCDF4", "zarr", "dask", "matplotlib", "scipy", "pymc"}
    code = f"import sys, mmm_xgen.accessor; print(*sorted({{*sys.modules}} & {heavy!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("key", "advice"),
    [("data", "to_frame()"), ("ground_truth", "ground_truth()"), ("config", "ds.mmm.config")],
)
def test_a_key_of_the_former_dictionary_gets_a_hint(ds, key, advice):
    for each in (ds, ds.isel(date=slice(3))):
        with pytest.raises(KeyError) as error:
            each[key]
        assert advice in str(error.value)
    # Other keys, and other people's Datasets, get the message of xarray.
    with pytest.raises(KeyError, match="No variable named 'spent'"):
        ds["spent"]
    with pytest.raises(KeyError, match=f"No variable named '{key}'"):
        xr.Dataset({"a": 1})[key]
    assert type(ds) is xr.Dataset
