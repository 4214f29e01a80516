"""Returns and totals from the contributions alone, on drawn configurations."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given

import mmm_xgen as m
from mmm_xgen.truth import attribution, contribution_totals, roas
from tests.strategies import BASELINE_PARTS, drawn, valid_configs
from tests.truth.worlds import assert_near

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")


@pytest.fixture(scope="module")
def default() -> xr.Dataset:
    return m.generate_mmm_dataset()


def without(ds: xr.Dataset, channel: str) -> xr.DataArray:
    """Contribution of all channels if `channel` had been zero on all dates, history included."""
    off = ds["channel"] == channel
    history = ds["spend_history"].where(~off, 0.0) if "spend_history" in ds else None
    return m.respond(ds["spend"].where(~off, 0.0), ds, history=history)


@given(config=valid_configs(max_periods=12))
def test_returns_are_what_is_lost_and_totals_add_up(config):
    ds = drawn(config)
    by_channel = roas(ds)
    for channel in map(str, ds["channel"].values):
        lost = (ds["channel_contribution"] - without(ds, channel)) * ds["revenue_per_kpi"]
        spent = float(ds["spend"].sel(channel=channel).sum())
        assert_near(by_channel.sel(channel=channel), float(lost.sum()) / spent if spent else np.nan)
    totals = contribution_totals(ds)
    assert "date" not in totals.dims
    parts = [totals[name] for name in BASELINE_PARTS]
    parts += [totals[f"{each}_contribution"].sum(each) for each in ("channel", "control")]
    size = sum(abs(part) for part in parts)
    assert bool((abs(sum(parts) - totals["mu"]) <= 1e-9 * size).all())
    assert_near(totals["mu"] + totals["noise"], totals["y"])


def test_a_configured_roas_is_met_in_money(default):
    """With revenue per KPI unit other than 1 the two scales would differ."""
    config = m.DEFAULT_CONFIG.replace(revenue_per_kpi=7.5)
    assert_near(roas(m.generate_mmm_dataset(config)), [2.4, 1.5, 3.0], 1e-12)
    wrong = default["channel_contribution"].sum() / (7.5 * default["spend"].sum())
    assert abs(float(wrong) - 2.4) > 0.1


def test_results_are_labelled(default):
    for result in (roas(default), attribution(default), attribution(default, of="media")):
        assert result.attrs["units"] == "1"
        assert result.attrs["long_name"]
        assert result["channel"].values.tolist() == ["Seasonal", "Trend", "On-Off"]
    assert contribution_totals(default)["mu"].attrs["units"] == "sales"


def test_what_is_refused(default):
    holed = default.copy(deep=True)
    holed["channel_contribution"][3, 0, 0] = np.nan
    with pytest.raises(m.SchemaError, match="not what its spend and parameters make"):
        roas(holed)
    with pytest.raises(m.ConfigError, match="did you mean 'media'"):
        attribution(default, of="medium")
    for function in (roas, attribution, contribution_totals):
        with pytest.raises(m.SchemaError, match="generate_mmm_dataset"):
            function(xr.Dataset())
