"""Estimands from the contributions, checked against the response function and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given

import mmm_xgen as m
from mmm_xgen.truth import attribution, contribution_totals, roas
from tests.strategies import config_with, drawn, generate, steady, valid_configs

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")


def without(ds: xr.Dataset, channel: str) -> xr.DataArray:
    """Contribution of all channels if `channel` had been zero on all dates, history included."""
    off = ds["channel"] == channel
    history = ds["spend_history"].where(~off, 0.0) if "spend_history" in ds else None
    return m.respond(ds["spend"].where(~off, 0.0), ds, history=history)


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return m.generate_mmm_dataset()


@given(config=valid_configs())
def test_roas_is_the_revenue_lost_without_the_channel(config):
    ds = drawn(config)
    by_channel = roas(ds)
    for channel in map(str, ds["channel"].values):
        lost = (ds["channel_contribution"] - without(ds, channel)) * ds["revenue_per_kpi"]
        spent = float(ds["spend"].sel(channel=channel).sum())
        expected = float(lost.sum()) / spent if spent else np.nan
        np.testing.assert_allclose(by_channel.sel(channel=channel), expected, rtol=1e-9)


def test_roas_by_loop(ds):
    by_cell = roas(ds, by=("geo", "channel"))
    assert by_cell.dims == ("geo", "channel")
    for g in range(ds.sizes["geo"]):
        for c in range(ds.sizes["channel"]):
            cell = ds.isel(geo=g, channel=c)
            revenue = sum(
                float(contribution * price)
                for contribution, price in zip(
                    cell["channel_contribution"].values, cell["revenue_per_kpi"].values, strict=True
                )
            )
            expected = revenue / float(cell["spend"].values.sum())
            assert float(by_cell[g, c]) == pytest.approx(expected, rel=1e-12)


def test_a_configured_roas_is_met_in_money(ds):
    """With revenue per KPI unit other than 1 the two scales would differ."""
    config = m.DEFAULT_CONFIG.replace(revenue_per_kpi=7.5)
    np.testing.assert_allclose(roas(m.generate_mmm_dataset(config)), [2.4, 1.5, 3.0], rtol=1e-12)
    wrong = ds["channel_contribution"].sum() / (7.5 * ds["spend"].sum())
    assert abs(float(wrong) - 2.4) > 0.1


def test_carry_in_counts():
    """Spend before the window earns in it: without the history the return is lower."""
    config = config_with(steady(adstock={"kind": "geometric_adstock", "alpha": 0.8}))
    ds = generate(config | {"burn_in_periods": 10, "n_periods": 5})
    no_history = m.respond(ds["spend"], ds, history=xr.zeros_like(ds["spend_history"]))
    lower = float(no_history.sum() / ds["spend"].sum())
    assert float(roas(ds).item()) > 1.2 * lower


def test_no_spend_has_no_return():
    ds = generate(config_with(steady("TV"), steady("Off", base_spend=0.0)))
    assert np.isnan(roas(ds).sel(channel="Off"))
    assert np.isfinite(roas(ds).sel(channel="TV"))
    assert float(attribution(ds).sel(channel="Off")) == 0


def test_a_placebo_returns_nothing():
    ds = generate(config_with(steady("TV"), steady("Placebo", base_effectiveness=0.0)))
    assert float(roas(ds).sel(channel="Placebo")) == 0
    assert float(attribution(ds, of="media").sel(channel="TV")) == 1


def test_no_media_has_no_shares_of_it():
    ds = generate(config_with(steady("Placebo", base_effectiveness=0.0)))
    assert np.isnan(attribution(ds, of="media")).all()


def test_attribution(ds):
    total = float(ds["channel_contribution"].sum() / ds["mu"].sum())
    assert float(attribution(ds).sum()) == pytest.approx(total, rel=1e-12)
    by_geo = attribution(ds, by=("geo", "channel"), of="media")
    np.testing.assert_allclose(by_geo.sum("channel"), 1.0, rtol=1e-12)
    north = ds.isel(geo=0)
    expected = north["channel_contribution"].sum("date") / north["mu"].sum("date")
    np.testing.assert_allclose(attribution(ds, by=("geo", "channel"))[0], expected, rtol=1e-12)
    np.testing.assert_allclose(
        attribution(ds, by="geo"),
        ds["channel_contribution"].sum(("date", "channel")) / ds["mu"].sum("date"),
        rtol=1e-12,
    )


@given(config=valid_configs())
def test_totals_add_up(config):
    totals = contribution_totals(drawn(config))
    parts = [
        totals["channel_contribution"].sum("channel"),
        totals["control_contribution"].sum("control"),
        totals["intercept_contribution"],
        totals["trend_contribution"],
        totals["seasonality_contribution"],
        totals["event_contribution"],
    ]
    size = sum(abs(part) for part in parts)
    assert bool((abs(sum(parts) - totals["mu"]) <= 1e-9 * size).all())
    np.testing.assert_allclose(totals["mu"] + totals["noise"], totals["y"], rtol=1e-9)
    assert "date" not in totals.dims


def test_results_are_labelled(ds):
    for result in (roas(ds), attribution(ds), attribution(ds, of="media")):
        assert result.attrs["units"] == "1"
        assert result.attrs["long_name"]
        assert result["channel"].values.tolist() == ["Seasonal", "Trend", "On-Off"]
    assert contribution_totals(ds)["mu"].attrs["units"] == "sales"


def test_order_of_dims_is_free(ds):
    turned = ds.transpose("channel", ..., "date")
    xr.testing.assert_allclose(roas(turned, by=("channel", "geo")), roas(ds, by=("geo", "channel")))


def test_extra_dims_broadcast(ds):
    two = xr.concat([ds, m.generate_mmm_dataset(seed=7)], dim="dataset", data_vars="all")
    assert roas(two).dims == ("dataset", "channel")
    np.testing.assert_allclose(roas(two)[0], roas(ds))


def test_missing_contributions_are_refused(ds):
    holed = ds.copy(deep=True)
    holed["channel_contribution"][3, 0, 0] = np.nan
    with pytest.raises(m.SchemaError, match="not what its spend and parameters make"):
        roas(holed)


@pytest.mark.parametrize("by", ["chanel", "date", ("geo", "week"), 3.5])
def test_wrong_by(ds, by):
    with pytest.raises(m.ConfigError, match=r"by: found .* allowed: 'channel', 'geo'"):
        roas(ds, by=by)


def test_wrong_whole(ds):
    with pytest.raises(m.ConfigError, match="did you mean 'media'"):
        attribution(ds, of="medium")


@pytest.mark.parametrize("function", [roas, attribution, contribution_totals])
def test_foreign_dataset(function):
    with pytest.raises(m.SchemaError, match="generate_mmm_dataset"):
        function(xr.Dataset())
