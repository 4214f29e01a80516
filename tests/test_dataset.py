"""Datasets with the same labels share the arrays of these, which nobody can write to."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
import xarray as xr

import mmm_xgen

CONFIG = mmm_xgen.get_preset_config("high_frequency")


def attempts(ds: xr.Dataset, name: str) -> list[np.ndarray]:
    return [ds[name].values, ds[name].variable.values, ds[name].to_index().values]


def test_what_is_written_into_the_coordinates_of_one_dataset_is_in_no_other() -> None:
    one, other = (mmm_xgen.generate_mmm_dataset(CONFIG, seed=seed) for seed in (1, 2))
    wanted = other.copy(deep=True)
    for name in map(str, one.coords):
        for array in attempts(one, name):
            with suppress(ValueError):
                array[:1] = array[-1:]
        one[name].attrs["long_name"] = "mine"
        one[name].attrs["new"] = "mine"
    one["spend"].attrs["units"] = "mine"
    one.attrs["currency"] = "mine"
    again = mmm_xgen.generate_mmm_dataset(CONFIG, seed=2)
    xr.testing.assert_identical(other, wanted)
    xr.testing.assert_identical(again, wanted)


def test_a_coordinate_refuses_to_be_changed_in_place() -> None:
    ds = mmm_xgen.generate_mmm_dataset(CONFIG)
    with pytest.raises(ValueError, match="read-only"):
        ds["l_max"][0] = 3
    changed = ds.copy(deep=True)
    changed["l_max"][0] = 3
    assert changed["l_max"][0] == 3
    assert ds["l_max"][0] != 3


def test_other_labels_of_equal_numbers_are_not_taken_for_these() -> None:
    named = {"name": "TV", "base_effectiveness": 0.1}
    made = [
        mmm_xgen.generate_mmm_dataset(mmm_xgen.MMMDataConfig(channels=[named], **change))
        for change in ({}, {"kpi": "orders"}, {"currency": "EUR"}, {"start_date": "2022-01-10"})
    ]
    assert [ds["channel"].attrs["units"] for ds in made] == ["1"] * 4
    assert [str(ds["date"].values[0])[:10] for ds in made] == ["2022-01-03"] * 3 + ["2022-01-10"]
