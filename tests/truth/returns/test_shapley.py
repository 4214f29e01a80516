"""Shapley values against all orders in which channels can join, by zeroing their spend."""

from __future__ import annotations

import warnings
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen.labelled_world import total_response
from mmm_xgen.truth import attribution
from mmm_xgen.truth.returns import shapley
from mmm_xgen.truth.returns.shapley import shapley_contribution
from tests.truth.worlds import assert_near

FUNNELS = [{"source": "A", "target": "B", "strength": 0.6, "lag": 1}]
PAIRS = [{"channels": ["B", "D"], "strength": -0.05}, {"channels": ["A", "D"], "strength": 0.04}]
MEDIATORS = [{"name": "Aware", "parents": {"C": 0.4, "B": 0.3}, "effect": 0.1}]


def made(**config: Any) -> xr.Dataset:
    channels = [
        {"name": name, "base_spend": 500.0 + 300 * at, "base_effectiveness": 0.1}
        for at, name in enumerate("ABCD")
    ]
    settings = {"n_periods": 20, "seed": 4, "burn_in_periods": 3, "regions": {"n_regions": 2}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", m.XgenWarning)
        return m.generate_mmm_dataset({"channels": channels, **settings, **config})


def by_all_orders(ds: xr.Dataset) -> xr.DataArray:
    """Mean gain of each channel over all orders, dims (channel, date, geo)."""
    names = [str(name) for name in ds["channel"].values]

    def sales(members: tuple[str, ...]) -> xr.DataArray:
        on = ds["channel"].isin(members)
        spend, past = (ds[name].where(on, 0.0) for name in ("spend", "spend_history"))
        return total_response(spend, ds, history=past)

    gains = {name: xr.zeros_like(sales(())) for name in names}
    orders = list(permutations(names))
    for order in orders:
        for at, name in enumerate(order):
            gains[name] += (sales(order[: at + 1]) - sales(order[:at])) / len(orders)
    return xr.concat(gains.values(), "channel").assign_coords(channel=names)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"interactions": PAIRS},
        {"mediators": MEDIATORS},
        {"funnels": FUNNELS, "interactions": PAIRS, "mediators": MEDIATORS},
    ],
    ids=["alone", "pairs", "mediators", "all"],
)
def test_values_are_the_mean_over_all_orders(config: dict[str, Any]) -> None:
    ds = made(**config)
    found = shapley_contribution(ds)
    assert found.standard_error is None
    size = float(abs(found.values).max())
    assert_near(found.values, by_all_orders(ds).transpose(*found.values.dims), size=size)
    assert_near(found.values.sum("channel"), total_response(ds["spend"], ds), size=size)


def test_drawn_orders_are_near_and_say_how_near(monkeypatch: pytest.MonkeyPatch) -> None:
    ds = made(funnels=FUNNELS, interactions=PAIRS, mediators=MEDIATORS)
    exact = shapley_contribution(ds).values
    monkeypatch.setattr(shapley, "MOST_EXACT", 2)
    drawn = shapley_contribution(ds)
    error = drawn.standard_error
    assert error is not None
    # A, B and D are tied to each other; C acts alone.
    assert (error[[0, 1, 3]] > 0).all()
    assert float(error[2]) == 0
    off = (drawn.values - exact).sum(("date", "geo"))
    assert_near(off[2], 0.0, size=float(exact.sum()))
    assert 0 < float(abs(off[[0, 1, 3]] / error[[0, 1, 3]]).max()) < 4
    assert_near(drawn.values.sum("channel"), exact.sum("channel"))
    shares = attribution(ds, of="media", rule="shapley")
    assert_near(shares.sum(), 1.0)


def test_shares_of_sales_are_values_over_sales() -> None:
    ds = made(funnels=FUNNELS, interactions=PAIRS)
    values = shapley_contribution(ds).values.sum(("date", "geo"))
    assert_near(attribution(ds, rule="shapley"), values / ds["mu"].sum())
    zeroed = attribution(ds)
    assert not np.allclose(zeroed, attribution(ds, rule="shapley"), rtol=1e-3)
    with pytest.raises(m.ConfigError, match="rule"):
        attribution(ds, rule="shapley", reacting=True)
