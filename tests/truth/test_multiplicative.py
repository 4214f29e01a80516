"""Truth of multiplicative sales, by generating the same world with other spend.

`tests.truth.test_worlds` and `tests.truth.test_beyond` have the figures of random worlds with a
log link, against plain loops.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen import truth
from mmm_xgen.labelled_world import total_response
from mmm_xgen.truth.returns.incremental import all_media, media_share
from tests.scalar_world import near, slope
from tests.strategies import generate, same

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")


def tied(**changes: Any) -> dict[str, Any]:
    """A world with mediators, pull-forward, campaigns, history and two unlike geos."""
    return {
        "n_periods": 40,
        "burn_in_periods": 6,
        "seed": 5,
        "link": "log",
        "channels": [
            {"name": "TV", "base_effectiveness": 0.08, "pull_forward": {"share": 0.2}},
            {"name": "Radio", "base_effectiveness": 0.05, "effect_path": "smooth"},
            {"name": "Web", "base_effectiveness": 0.1, "campaigns": [{"name": "a"}]},
        ],
        "control_variables": [{"name": "Price", "base_value": 10.0, "elasticity": -0.8}],
        "regions": {"population": [1e6, 3e6], "similarity": 0.6, "seasonal_amplitude": 0.2},
        "demand": {"effect": 0.05},
        "events": [{"name": "Sale", "dates": ["2022-03-07"], "effect": 0.3, "shape": "decay"}],
        "mediators": [{"name": "Awareness", "parents": {"TV": 0.5}, "effect": 0.05}],
    } | changes


def anew(config: dict[str, Any], spend: xr.DataArray) -> xr.Dataset:
    """The same world generated with other spend; its causes and draws are the same."""
    ds = generate(config)
    plan = xr.Dataset({"spend": spend, "spend_history": ds["spend_history"]})
    return generate(config, spend=plan)


def test_a_counterfactual_is_the_world_generated_with_its_spend() -> None:
    config = tied()
    ds = generate(config)
    plan = ds["spend"] * xr.DataArray([0.0, 1.0, 1.6], dims="channel")
    made, wanted = truth.simulate(ds, spend=plan), anew(config, plan)
    changed = [name for name in wanted if "date" in wanted[name].dims and wanted[name].size]
    assert {"log_channel", "trend_contribution", "remainder_contribution", "y"} <= set(changed)
    # A control that shows a mediator is data, and stays.
    for name in (set(changed) & set(made)) - {"control_value"}:
        same(made[name], wanted[name], scale=abs(wanted[name]).max())
    # Parts that spend does not touch on the log scale move in KPI units.
    assert float(abs(made["control_contribution"] - ds["control_contribution"]).max()) > 1.0
    assert (made["log_control"] == ds["log_control"]).all()


def test_returns_are_what_other_spend_loses() -> None:
    config = tied()
    ds = generate(config)
    for channel in ds["channel"].values:
        own = ds["channel"] == channel
        past = ds["spend_history"].where(~own, 0.0)
        plan = xr.Dataset({"spend": ds["spend"].where(~own, 0.0), "spend_history": past})
        lost = ds["mu"] - generate(config, spend=plan)["mu"]
        spent = float(ds["spend"].sel(channel=channel).sum())
        near(truth.roas(ds).sel(channel=channel), float(lost.sum()) / spent)

        def sold(change: float, channel: Any = channel, own: Any = own) -> list[float]:
            moved = ds["spend"].where(~own, ds["spend"] * (1 + change))
            past = ds["spend_history"].where(~own, ds["spend_history"] * (1 + change))
            plan = xr.Dataset({"spend": moved, "spend_history": past})
            return [float(generate(config, spend=plan)["mu"].sum())]

        near(truth.mroas(ds).sel(channel=channel), slope(sold, 0.01)[0] / spent)


def test_shapley_values_share_the_sales_of_all_media() -> None:
    ds = generate(tied())
    shares = truth.attribution(ds, of="media", rule="shapley")
    near(shares.sum(), 1.0)
    # Losses without each channel are more than the loss without all.
    assert float(truth.attribution(ds, of="media").sum()) > 1.02


def test_sums_of_geos_and_dates_keep_sales_of_media() -> None:
    ds = generate(tied())
    national = m.aggregate(ds, freq="QS")
    near(all_media(national).sum(), all_media(ds).sum())
    near(media_share(national), media_share(ds))
    assert national["log_channel"].isnull().all()


def test_selections_saved_files_and_the_past(tmp_path: Any) -> None:
    ds = generate(tied())
    m.to_netcdf(ds, tmp_path / "ds.nc")
    back = m.load(tmp_path / "ds.nc")
    assert back.identical(ds)
    assert m.regenerate(back).identical(ds)
    near(truth.roas(back), truth.roas(ds))
    one = ds.isel(geo=[1])
    near(truth.roas(one, ("geo", "channel")), truth.roas(ds, ("geo", "channel")).isel(geo=[1]))
    assert (m.respond(ds["spend"], ds) == ds["channel_contribution"]).all()
    near(total_response(ds["spend"], ds), ds["media_sales"])
    with pytest.raises(m.SchemaError, match="found 1 of 3 channels"):
        m.respond(ds["spend"].sel(channel=["TV"]), ds)


def test_after_the_last_date_the_baseline_keeps_its_last_value() -> None:
    config = tied()
    ds = generate(config)
    longer = np.concatenate([ds["spend"].values, np.zeros((3, *ds["spend"].shape[1:]))])
    later = ds["date"].values[-1] + np.arange(1, 4) * np.timedelta64(7, "D")
    dates = np.append(ds["date"].values, later)
    labels = {"date": dates, "geo": ds["geo"].values, "channel": ds["channel"].values}
    spend = xr.DataArray(longer, labels, ("date", "geo", "channel"))
    made = total_response(spend, ds)
    near(made.isel(date=slice(-3)), ds["media_sales"])
    base = (ds["mu"] - ds["media_sales"]).isel(date=-1)
    rise = np.log1p(made.isel(date=-1) / base)
    # Three periods later, log sales have less of media than on the last date.
    assert ((rise > 0) & (rise < np.log(ds["mu"].isel(date=-1) / base))).all()


def test_the_information_bound_says_that_it_does_not_know() -> None:
    with pytest.raises(m.SchemaError, match="with link='identity'"):
        truth.information_bound(generate(tied(mediators=[], demand=None)))
