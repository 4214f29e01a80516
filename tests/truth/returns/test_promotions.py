"""Returns of promotions, against the revenue at the prices that buyers pay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen.ensemble import element, generate_ensemble
from mmm_xgen.errors import ConfigError, SchemaError
from mmm_xgen.truth import promotion_returns

SALE = {"name": "Sale", "depth": 0.3, "pull_forward": {"share": 0.4, "periods": 3}}
CONFIG: dict[str, Any] = {
    "n_periods": 60,
    "seed": 8,
    "revenue_per_kpi": 2.5,
    "channels": [{"name": "TV", "roas": 2.0}],
    "regions": {"n_regions": 2, "population": [1e6, 2e6]},
    "promotions": [SALE],
}


def paid_revenue(ds: xr.Dataset, geo: int, dates: range, *, promoted: bool) -> float:
    """Return the revenue of expected sales at the prices paid, with the promotion or without."""
    revenue = 0.0
    for date in dates:
        sales = float(ds["mu"].transpose("date", "geo")[date, geo])
        depth = float(ds["promotion_depth"].isel(promotion=0).transpose("date", "geo")[date, geo])
        if not promoted:
            sales -= float(
                ds["promotion_contribution"].isel(promotion=0).transpose("date", "geo")[date, geo]
            )
            depth = 0.0
        revenue += sales * 2.5 * (1 - depth)
    return revenue


def test_the_net_gain_is_the_change_of_revenue_at_paid_prices() -> None:
    ds = m.generate_mmm_dataset(CONFIG)
    found = promotion_returns(ds, by=("geo", "promotion"))
    assert found["net_gain"].dims == ("geo", "promotion")
    for geo in range(2):
        gains = [paid_revenue(ds, geo, range(60), promoted=each) for each in (True, False)]
        assert float(found["net_gain"][geo, 0]) == pytest.approx(gains[0] - gains[1], rel=1e-9)
    sold = float(ds["promotion_contribution"].sum())
    whole = promotion_returns(ds).isel(promotion=0)
    assert float(whole["incremental_sales"]) == pytest.approx(sold)
    assert float(whole["incremental_revenue"]) == pytest.approx(2.5 * sold)
    on = (ds["promotion_depth"] > 0).isel(promotion=0, drop=True)
    assert float(whole["discount"]) == pytest.approx(0.3 * 2.5 * float(ds["mu"].where(on).sum()))
    assert float(whole["return_on_discount"]) == pytest.approx(
        float(whole["incremental_revenue"] / whole["discount"])
    )
    assert float(whole["net_gain"]) == pytest.approx(float(found["net_gain"].sum()))
    assert whole["discount"].attrs["units"] == "USD"
    assert ds.mmm.promotion_returns().identical(promotion_returns(ds))


def test_the_pull_forward_lowers_the_return() -> None:
    alone = {key: value for key, value in SALE.items() if key != "pull_forward"}
    without = m.generate_mmm_dataset({**CONFIG, "promotions": [alone]})
    with_it = m.generate_mmm_dataset(CONFIG)
    found = [promotion_returns(ds)["return_on_discount"] for ds in (without, with_it)]
    returns = [each.item() for each in found]
    assert returns[1] < 0.75 * returns[0]
    # Without media in the promoted periods, one cell would return (1 - 0.7**e) / 0.3 of base.
    assert returns[0] == pytest.approx((1 - 0.7**2.62) / 0.3, rel=0.25)


def test_windows_add_up_and_nothing_on_promotion_has_no_return() -> None:
    black = {"name": "Black", "dates": ["2022-11-25"]}
    ds = m.generate_mmm_dataset({**CONFIG, "promotions": [SALE, black]})
    quarters = promotion_returns(ds, freq="QS")
    assert quarters["discount"].dims == ("period", "promotion")
    whole = promotion_returns(ds)
    for name in ("incremental_sales", "discount", "net_gain"):
        assert np.allclose(quarters[name].sum("period"), whole[name])
    early = promotion_returns(ds, window="2022-06").sel(promotion="Black")
    assert float(early["discount"]) == 0
    assert np.isnan(early["return_on_discount"])
    assert promotion_returns(ds, by="geo")["discount"].dims == ("geo",)


def test_an_ensemble_has_the_figures_of_its_datasets() -> None:
    ds = generate_ensemble(CONFIG, n=3, vary={"promotions.Sale.depth": m.Uniform(0.1, 0.4)})
    found = promotion_returns(ds)
    assert found["net_gain"].dims == ("dataset", "promotion")
    for place in range(3):
        one = promotion_returns(element(ds, place))
        assert np.allclose(found["return_on_discount"][place], one["return_on_discount"])


def test_what_has_no_returns_is_refused() -> None:
    ds = m.generate_mmm_dataset(CONFIG)
    with pytest.raises(SchemaError, match="aggregation"):
        promotion_returns(m.aggregate(ds))
    with pytest.raises(SchemaError, match="no promotions"):
        promotion_returns(m.generate_mmm_dataset({**CONFIG, "promotions": []}))
    with pytest.raises(ConfigError, match=r"^by: found 'channel'"):
        promotion_returns(ds, by="channel")
    with pytest.raises(ConfigError, match="window"):
        promotion_returns(ds, window="1999")
