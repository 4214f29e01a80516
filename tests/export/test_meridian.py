"""Inputs of Meridian: every media time once."""

from __future__ import annotations

import pytest

import mmm_xgen as m
from mmm_xgen.aggregate import aggregate
from mmm_xgen.export.meridian import to_meridian

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")


def test_meridian_has_every_media_time_once():
    config = m.MMMDataConfig(
        channels=[{"name": "TV"}], freq="D", start_date="2022-01-01", n_periods=60
    )
    daily = m.generate_mmm_dataset(config.replace(burn_in_periods=10))
    with pytest.raises(m.SchemaError, match=r"ends with 2021-12-27.*on a whole period"):
        to_meridian(aggregate(daily, freq="W-MON"))
    monday = m.generate_mmm_dataset(config.replace(start_date="2022-01-03", burn_in_periods=14))
    times = to_meridian(aggregate(monday, freq="W-MON"))["media_time"].values
    assert len(set(times)) == len(times) > 9
    ensemble = m.generate_ensemble(config, n=2, chunks=None)
    with pytest.raises(m.SchemaError, match=r"dim 'dataset'.*isel\(dataset=0\)"):
        to_meridian(ensemble)
    assert to_meridian(ensemble.isel(dataset=1)).sizes["time"] == 60
