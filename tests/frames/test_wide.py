"""The wide frame: a row for each date and geo, a column for each channel and control."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given

import mmm_xgen as m
from mmm_xgen.export import to_frame
from tests.strategies import config_with, drawn, generate, steady, valid_configs

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")


def test_names_of_channels_and_controls() -> None:
    ds = generate(
        config_with(
            steady("x-TV"),
            {"pattern": "seasonal"},
            steady("Web", pattern="always_on"),
            {"pattern": "on_off"},
            control_variables=[{"name": "c-Price"}, {"name": "Rain"}],
            regions={"region_names": ["zebra", "apple", "mango"]},
        )
    )
    assert list(ds["channel"].values) == ["TV", "x2", "Web", "x4"]
    assert list(ds["channel_column"].values) == ["x1-TV", "x2", "x3-Web", "x4"]
    assert ds["channel_column"].dims == ("channel",)
    assert list(ds["control"].values) == ["Price", "Rain"]
    assert list(ds["geo"].values) == ["zebra", "apple", "mango"]
    columns = ["date", "geo", "y", "x1-TV", "x2", "x3-Web", "x4", "c1-Price", "c2-Rain"]
    assert list(m.to_frame(ds).columns) == columns


def test_prefixed_and_plain_names_are_one_channel() -> None:
    plain, prefixed = (
        generate(config_with(steady(n, spend_volatility=0.3))) for n in ("TV", "x-TV")
    )
    assert np.array_equal(plain["spend"], prefixed["spend"])
    assert list(plain["channel"].values) == list(prefixed["channel"].values) == ["TV"]


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return m.generate_mmm_dataset()


@given(config=valid_configs(max_periods=12))
def test_the_frame_gives_the_arrays_back(config):
    ds = drawn(config)
    frame = to_frame(ds)
    indexed = frame.set_index(["date", "geo"])
    assert indexed.index.is_unique
    assert indexed.index.is_monotonic_increasing
    assert isinstance(frame.index, pd.RangeIndex)
    assert len(frame) == ds.sizes["date"] * ds.sizes["geo"]
    columns = {
        "y": ds["y"],
        **{str(c["channel_column"].item()): c for c in iterate(ds["spend"], "channel")},
        **{str(c["control_column"].item()): c for c in iterate(ds["control_value"], "control")},
    }
    assert frame.columns.tolist() == ["date", "geo", *columns]
    for name, array in columns.items():
        back = indexed[name].unstack("geo")[[*map(str, ds["geo"].values)]]
        assert indexed[name].dtype == np.float64
        # Bit for bit: -0.0 is told from 0.0.
        assert back.to_numpy().tobytes() == np.ascontiguousarray(array.values).tobytes()
        np.testing.assert_array_equal(back.index, ds["date"].values)


def iterate(array: xr.DataArray, dim: str) -> list[xr.DataArray]:
    return [array.isel({dim: i}) for i in range(array.sizes[dim])]


def test_nothing_of_the_truth_is_in_the_frame(ds):
    truth = {*map(str, ds.data_vars)} - {"y"}
    assert not truth & set(to_frame(ds).columns)
    assert to_frame(ds).columns.tolist() == [
        "date", "geo", "y",
        "x1-Seasonal", "x2-Trend", "x3-On-Off", "c1-Price", "c2-Promotion",
    ]  # fmt: skip


def test_rows_run_by_date_then_by_label_of_the_geo():
    """Rows of one geo after those of another would be another order."""
    names = ["zeta", "alpha", "geo_10", "geo_2"]
    ds = generate(config_with(steady(), regions={"region_names": names, "similarity": 0.3}))
    frame = to_frame(ds)
    assert frame["geo"].tolist()[:5] == ["alpha", "geo_10", "geo_2", "zeta", "alpha"]
    assert frame.equals(frame.sort_values(["date", "geo"], kind="stable").reset_index(drop=True))
    assert frame["y"][0] == float(ds["y"].sel(geo="alpha")[0])
    # A frame in the order of the Dataset would have shown another value there.
    assert frame["y"][0] != float(ds["y"][0, 0])


def test_order_in_the_dataset_does_not_matter(ds):
    shuffled = ds.isel(date=slice(None, None, -1), geo=[1, 0]).transpose("channel", "geo", ...)
    pd.testing.assert_frame_equal(to_frame(shuffled), to_frame(ds), check_exact=True)


def test_the_frame_shares_no_memory(ds):
    before = ds.copy(deep=True)
    frame = to_frame(ds)
    frame.loc[:, "y"] = -1.0
    frame.loc[:, "x1-Seasonal"] = -1.0
    assert ds.identical(before)


def test_chunked_data(ds):
    pytest.importorskip("dask")
    pd.testing.assert_frame_equal(to_frame(ds.chunk(date=10)), to_frame(ds), check_exact=True)


@pytest.mark.parametrize("value", [-1e-300, np.nan, np.inf])
@pytest.mark.parametrize(
    ("name", "column"),
    [("y", "y"), ("spend", "x2-Trend"), ("control_value", "c2-Promotion")],
)
def test_bad_numbers_are_named(ds, name, column, value):
    if value < 0 and name == "control_value":
        value = -np.inf  # Controls may be below zero.
    bad = ds.copy(deep=True)
    where = (5, 1) if name == "y" else (5, 1, 1)
    bad[name][where] = value
    with pytest.raises(m.SchemaError) as caught:
        to_frame(bad)
    message = str(caught.value)
    for word in (repr(column), "2022-02-07", "'geo_b'", "1 faulty cell"):
        assert word in message
    assert "\n" not in message


def test_zero_is_no_fault(ds):
    calm = ds.copy(deep=True)
    calm["spend"][:] = 0.0
    calm["control_value"][:] = -0.0
    assert (to_frame(calm).iloc[:, 3:] == 0).all(axis=None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda ds: ds.drop_vars("y"), "no 'y'"),
        (lambda ds: ds.drop_vars("control_value"), "no 'control_value'"),
        (lambda ds: ds.drop_vars("channel_column"), "no 'channel_column'"),
        (lambda ds: ds.sum("geo"), "geo"),
        (lambda ds: ds.isel(date=[0, 0, 1]), "date '2022-01-03T00:00:00.000000000' comes more"),
        (lambda ds: ds.isel(geo=[0, 0]), "geo 'geo_a' comes more than once"),
        (lambda ds: ds.isel(channel=[0, 0]), "column 'x1-Seasonal' comes more than once"),
        (lambda ds: ds.expand_dims(draw=2), r"dim 'draw'.*ds.isel\(draw=0\)"),
        (lambda ds: ds.assign(y=ds["y"].astype(str)), "'y' has dtype"),
        (lambda ds: ds.assign_coords(date=np.arange(104)), "'date' has"),
        (lambda ds: xr.Dataset(), "no 'y'"),
    ],
)
def test_a_dataset_that_makes_no_frame(ds, change, words):
    with pytest.raises(m.SchemaError, match=words):
        to_frame(change(ds))
