"""Returns with each mechanism, and truth that single mechanisms have, by brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given
from hypothesis import strategies as st

from mmm_xgen import truth
from tests.drawn_worlds import MECHANISMS, drawn_world, worlds
from tests.scalar_sales import expected_sales
from tests.scalar_world import ScalarWorld, near, slope
from tests.strategies import config_with, examples, generate, steady

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")

SALES = ("date", "geo")


def series(ds: xr.Dataset, name: str) -> np.ndarray:
    return ds[name].transpose(*SALES).values


def realised(ds: xr.Dataset, mu: np.ndarray) -> np.ndarray:
    """Sales under the capacity, with the noise as it was before the capacity cut it."""
    noise = series(ds, "noise") + series(ds, "lost_sales")
    if "log_channel" in ds:
        # The noise is a share of sales.
        noise = noise * mu / series(ds, "mu")
    return np.minimum(mu + noise, ds["capacity"].values)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@given(data=st.data())
@examples(0.08)
def test_returns_with_each_mechanism_are_differences_of_sales(
    mechanism: str, data: st.DataObject
) -> None:
    """A channel off, and its spend a little higher and lower, in all geos and on all dates."""
    ds = drawn_world(data.draw(worlds(max_periods=14, on=(mechanism,), without=("kinks",))))
    world = ScalarWorld(ds)
    spend = world.spend()
    today = sum(world.revenue(spend))
    for c, channel in enumerate(world.channels):
        spent = float(ds["spend"].sel(channel=channel).sum())
        if not spent:
            continue

        def earned(change: float, c: int = c) -> list[float]:
            return [sum(world.revenue(world.scaled(spend, c, 1 + change)))]

        room = 1e-6 * abs(today) / spent
        found, marginal = (
            float(each(ds).sel(channel=channel)) for each in (truth.roas, truth.mroas)
        )
        np.testing.assert_allclose(found, (today - earned(-1.0)[0]) / spent, 1e-6, atol=room)
        np.testing.assert_allclose(marginal, slope(earned)[0] / spent, 1e-6, atol=room)


@given(config=worlds(max_periods=16))
@examples(0.24)
def test_realised_returns_are_of_sales_under_the_capacity(config: dict[str, Any]) -> None:
    config["regions"]["capacity"] = config["regions"].get("capacity", 1.2)
    ds = drawn_world(config)
    world, price = ScalarWorld(ds), series(ds, "revenue_per_kpi")
    today = expected_sales(ds, world.spend())
    assume(bool((ds["y"] > 0).all()))
    near(series(ds, "y"), realised(ds, today))
    spent = ds["spend"].sum(("date", "geo")).values
    for c, channel in enumerate(world.channels):
        without = expected_sales(ds, world.scaled(world.spend(), c, 0.0))
        latent = float((price * (today - without)).sum()) / spent[c]
        real = float((price * (realised(ds, today) - realised(ds, without))).sum()) / spent[c]
        size = float((price * today).sum()) / spent[c]
        near(truth.roas(ds).sel(channel=channel), latent, size=size)
        near(truth.roas(ds, realised=True).sel(channel=channel), real, size=size)


@pytest.mark.parametrize("link", ["identity", "log"])
def test_a_capacity_lowers_what_media_are_seen_to_sell(link: str) -> None:
    """Negative control: latent and realised returns differ where sales are cut."""
    channel = steady("TV", spend_volatility=0.5, base_effectiveness=0.4)
    regions = {"capacity": 1.2, "sales_volatility": 0.05}
    ds = generate(config_with(channel, regions=regions, link=link))
    assert float(ds["lost_sales"].sum()) > 0
    latent, real = (float(truth.roas(ds, realised=each)[0]) for each in (False, True))
    assert real < 0.9 * latent
    without = truth.simulate(ds, spend=0 * ds["spend"])
    near(real, float((ds["y"] - without["y"]).sum() / ds["spend"].sum()))


def discount_given(ds: xr.Dataset) -> np.ndarray:
    """Revenue that promotions give away: the depth of every unit expected in their periods."""
    sold = ds["mu"] * ds["revenue_per_kpi"] * ds["promotion_depth"]
    return sold.sum(SALES).transpose("promotion").values


@given(config=worlds())
@examples(0.24)
def test_returns_of_promotions_are_sums_over_what_they_sell(config: dict[str, Any]) -> None:
    ds = drawn_world(config)
    assume("promotion_contribution" in ds)
    table = truth.promotion_returns(ds)
    sold = ds["promotion_contribution"].sum(SALES).values
    earned = (ds["promotion_contribution"] * ds["revenue_per_kpi"]).sum(SALES).values
    size = float(ds["mu"].sum())
    near(table["incremental_sales"], sold, size=size)
    near(table["incremental_revenue"], earned, size=size)
    near(table["discount"], discount_given(ds), size=size)
    near(table["net_gain"], table["incremental_revenue"] - table["discount"], size=size)


def test_promotions_have_their_share_and_their_depth() -> None:
    sale = {"name": "Sale", "depth": 0.2, "share": 0.25, "duration": 3, "elasticity": -2.0}
    regions = {"n_regions": 20}
    ds = generate(
        config_with(steady(), promotions=[sale], regions=regions, n_periods=400, freq="D")
    )
    depth = ds["promotion_depth"].isel(promotion=0).transpose(*SALES).values
    assert {*np.unique(depth)} == {0.0, 0.2}
    # 8,000 cells in runs of 3: the share has a standard error of about 0.009.
    np.testing.assert_allclose((depth > 0).mean(), 0.25, atol=0.04)


def test_promotions_that_answer_follow_demand() -> None:
    """And those that do not answer, do not."""
    found = []
    for answer in (0.0, 1.5):
        sale = {"name": "Sale", "depth": 0.2, "share": 0.3, "elasticity": -2.0, "answer": answer}
        config = config_with(steady(), promotions=[sale], demand={"shared": 0.0})
        ds = generate(config | {"n_periods": 400, "freq": "D", "regions": {"n_regions": 20}})
        promoted = ds["promotion_depth"].isel(promotion=0) > 0
        found.append(float(xr.corr(promoted.astype(float), ds["demand"])))
    assert abs(found[0]) < 0.1 and found[1] > 0.25


def test_a_test_that_lies_is_off_by_its_bias() -> None:
    """The draw of the error is the same."""
    ds = generate(config_with(steady("TV", base_effectiveness=0.2)))
    keys: dict[str, Any] = {"channel": "TV", "window": slice("2022-03-07", "2022-03-28")}
    keys |= {"change": 0.5, "se": 5.0, "seed": 1}
    fair, lying = truth.lift_test(ds, **keys), truth.lift_test(ds, **keys, bias=0.4)
    near(lying["true_delta_y"], fair["true_delta_y"])
    near(lying["delta_y"] - fair["delta_y"], 0.4 * fair["true_delta_y"])
