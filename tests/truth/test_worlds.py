"""Truth of worlds with several causes at once, against brute force over plain loops.

Every figure is a difference of sales under two plans of spend: a channel set to zero, scaled, or
changed in a window, with the spend of the other channels held.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given
from hypothesis import strategies as st

import mmm_xgen as m
from mmm_xgen.schema import PARTS
from mmm_xgen.truth import (
    attribution,
    change_investment,
    compare_scenarios,
    contribution_totals,
    cost_per_incremental,
    estimands,
    lift_test,
    mroas,
    optimize_allocation,
    predict_impact,
    regret,
    roas,
)
from tests.drawn_worlds import drawn_world, worlds
from tests.scalar_world import ScalarWorld, Series, near, slope
from tests.strategies import examples

pytestmark = pytest.mark.filterwarnings("ignore::mmm_xgen.XgenWarning")

BY = ("geo", "channel")
SALES = ("date", "geo")


class Returns:
    """Returns of every geo and channel in one window, by brute force."""

    def __init__(self, ds: xr.Dataset, first: int, last: int) -> None:
        self.world = ScalarWorld(ds)
        self.first, self.last = first, last
        self.today = self.world.spend()
        self.long = self.world.spend(after=self.world.reach)
        self.channels = range(ds.sizes["channel"])
        window = ds["spend"].transpose("date", "geo", "channel").values[first:last]
        self.spend = window.sum(axis=0)
        earned = np.array(self.world.revenue(self.long, first))
        with np.errstate(divide="ignore", invalid="ignore"):
            # What rounding can make of a difference of large sums.
            self.size = np.where(self.spend > 0, earned[:, None] / self.spend, 0.0)

    def per_spend(self, figures: list[list[float]]) -> np.ndarray:
        """Figures [channel][geo] over spend, dims (geo, channel); NaN without spend."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.spend > 0, np.array(figures).T / self.spend, np.nan)

    def lost(self, spend: Series, *window: int, last: int | None) -> np.ndarray:
        """Revenue lost without each channel, dims (geo, channel)."""
        world, first = self.world, self.first
        today = np.array(world.revenue(spend, first, last))
        return np.array(
            [
                today - np.array(world.revenue(world.scaled(spend, c, 0.0, *window), first, last))
                for c in self.channels
            ]
        ).T

    def roas(self) -> np.ndarray:
        return self.per_spend(self.lost(self.today, last=self.last).T.tolist())

    def roas_with_carryout(self, *, within_data: bool = False) -> np.ndarray:
        spend = self.today if within_data else self.long
        return self.per_spend(self.lost(spend, self.first, self.last, last=None).T.tolist())

    def marginal(self, spend: Series, *window: int, last: int | None, delta: float | None = None):
        def earned(channel: int, change: float) -> list[float]:
            changed = self.world.scaled(spend, channel, 1 + change, *window)
            return self.world.revenue(changed, self.first, last)

        def rise(channel: int) -> list[float]:
            if delta is None:
                return slope(lambda change: earned(channel, change))
            ends = earned(channel, delta), earned(channel, 0.0)
            return [(a - b) / delta for a, b in zip(*ends, strict=True)]

        return self.per_spend([rise(c) for c in self.channels])

    def mroas(self, delta: float | None = None) -> np.ndarray:
        return self.marginal(self.today, last=self.last, delta=delta)

    def mroas_with_carryout(self, *, within_data: bool = False) -> np.ndarray:
        spend = self.today if within_data else self.long
        return self.marginal(spend, self.first, self.last, last=None)


def dates_of(ds: xr.Dataset, first: int, last: int) -> slice:
    dates = ds["date"].values
    return slice(str(dates[first])[:10], str(dates[last - 1])[:10])


@st.composite
def worlds_and_windows(draw: st.DrawFn) -> tuple[xr.Dataset, int, int]:
    """Dataset, and the first date of a window in it and the one after the last."""
    ds = drawn_world(draw(worlds(max_periods=16, without=("kinks",))))
    first = draw(st.integers(0, ds.sizes["date"] - 2))
    last = draw(st.integers(first + 1, ds.sizes["date"]))
    return ds, first, last


@given(case=worlds_and_windows())
@examples(0.24)
def test_roas_is_what_is_lost_without_the_channel(case: tuple[xr.Dataset, int, int]) -> None:
    ds, first, last = case
    brute, window = Returns(ds, first, last), dates_of(ds, first, last)
    near(roas(ds, BY, window=window), brute.roas(), size=brute.size)
    near(
        roas(ds, BY, window=window, with_carryout=True),
        brute.roas_with_carryout(),
        size=brute.size,
    )
    near(
        roas(ds, BY, window=window, with_carryout=True, within_data=True),
        brute.roas_with_carryout(within_data=True),
        size=brute.size,
    )
    lost = brute.lost(brute.today, last=last)
    spent = brute.spend.sum(axis=0)
    # A channel without spend in the window has no return, even if earlier spend still sells.
    wanted = lost.sum(axis=0) / np.where(spent > 0, spent, np.nan)
    near(roas(ds, window=window), wanted, size=brute.size)


@given(config=worlds(max_periods=12, without=("spillover",)))
@examples(0.2)
def test_figures_of_a_geo_do_not_need_the_others(config: dict[str, Any]) -> None:
    ds = drawn_world(config)
    last = ds.isel(geo=[-1])
    for figure in (roas, mroas, attribution, contribution_totals):
        whole = figure(ds) if figure is contribution_totals else figure(ds, BY)
        alone = figure(last) if figure is contribution_totals else figure(last, BY)
        xr.testing.assert_allclose(alone, whole.isel(geo=[-1]), rtol=1e-9)
    xr.testing.assert_allclose(
        m.truth.simulate(last, spend=0.5 * last["spend"])["y"],
        m.truth.simulate(ds, spend=0.5 * ds["spend"])["y"].isel(geo=[-1]),
        rtol=1e-9,
    )


@given(case=worlds_and_windows())
@examples(0.16)
def test_mroas_is_a_central_difference(case: tuple[xr.Dataset, int, int]) -> None:
    ds, first, last = case
    brute, window = Returns(ds, first, last), dates_of(ds, first, last)
    near(mroas(ds, BY, window=window), brute.mroas(), size=brute.size)
    near(
        mroas(ds, BY, window=window, with_carryout=True),
        brute.mroas_with_carryout(),
        size=brute.size,
    )
    near(
        mroas(ds, BY, window=window, with_carryout=True, within_data=True),
        brute.mroas_with_carryout(within_data=True),
        size=brute.size,
    )
    # Rounding in a difference is divided by the change.
    near(mroas(ds, BY, window=window, delta=0.1), brute.mroas(0.1), size=10 * brute.size)


@given(case=worlds_and_windows())
@examples(0.2)
def test_shares_and_costs_count_what_is_lost(case: tuple[xr.Dataset, int, int]) -> None:
    ds, first, last = case
    brute, window = Returns(ds, first, last), dates_of(ds, first, last)
    price = float(ds["revenue_per_kpi"].values.ravel()[0])
    lost = brute.lost(brute.today, last=last) / price
    sold = ds["mu"].transpose("geo", "date").values[:, first:last].sum(axis=1)
    media = np.array(brute.world.revenue(brute.today, first, last)) / price
    near(attribution(ds, BY, window=window), lost / sold[:, None], size=1.0)
    assume(bool((np.abs(media) > 1e-3 * sold).all()))
    near(
        attribution(ds, BY, of="media", window=window),
        lost / media[:, None],
        size=(sold / np.abs(media)).max(),
    )
    costs = cost_per_incremental(ds, BY, window=window).values
    with np.errstate(divide="ignore"):
        near(1 / costs, brute.per_spend(lost.T.tolist()), size=brute.size)


@given(case=worlds_and_windows())
@examples(0.2)
def test_estimands_are_the_single_figures(case: tuple[xr.Dataset, int, int]) -> None:
    ds, first, last = case
    brute, window = Returns(ds, first, last), dates_of(ds, first, last)
    table = estimands(ds, by=BY, window=window)
    near(table["spend"], brute.spend)
    lost = brute.lost(brute.today, last=last)
    near(table["revenue"], lost, size=np.abs(brute.size * brute.spend).max())
    for name in ("roas", "roas_with_carryout", "mroas", "mroas_with_carryout"):
        near(table[name], getattr(brute, name)(), size=brute.size)
    for name, figure in (("attribution", attribution), ("roas", roas), ("mroas", mroas)):
        near(table[name], figure(ds, BY, window=window), size=1.0)


def assert_parts_sum_to_sales(ds: xr.Dataset) -> None:
    parts = [ds[name] for name in PARTS if name in ds]
    total = sum(part.sum([dim for dim in part.dims if dim not in SALES]) for part in parts)
    near(total.transpose(*ds["mu"].dims), ds["mu"])


@given(config=worlds())
@examples(0.3)
def test_parts_sum_to_sales_in_every_table_of_them(config: dict[str, Any]) -> None:
    ds = drawn_world(config)
    assert_parts_sum_to_sales(ds)
    assert_parts_sum_to_sales(contribution_totals(ds))
    assert_parts_sum_to_sales(m.aggregate(ds))
    assert_parts_sum_to_sales(m.aggregate(ds, None, freq="MS"))
    assert not [case for case in m.check_data_quality(ds).errors if "identity" in str(case)]
    table = m.ground_truth(ds)["contributions"]
    outcomes = {"mu", "noise", "y", "outlier_contribution", "lost_sales"}
    parts = [part for key in {*table} - outcomes for part in table[key].values()]
    for geo, sold in table["mu"].items():
        near(sum(part[geo] for part in parts), sold)


@given(case=worlds_and_windows(), by=st.sampled_from([-1.0, -0.5, 0.3]))
@examples(0.25)
def test_an_impact_is_a_difference_of_two_worlds(
    case: tuple[xr.Dataset, int, int], by: float
) -> None:
    ds, first, last = case
    window, world, geo = dates_of(ds, first, last), ScalarWorld(ds), ds.sizes["geo"] - 1
    long = world.spend(after=world.reach)
    for c, channel in enumerate(world.channels):
        changed = long[:geo] + world.scaled(long[geo:], c, 1 + by, first, last)
        impact = predict_impact(
            ds, channel=channel, geo=str(ds["geo"].values[geo]), window=window, by=by
        )
        for suffix, end in (("", last), ("_with_carryout", None)):
            # Media that spill over sell in other geos, too.
            today, other = (sum(world.revenue(plan, first, end)) for plan in (long, changed))
            near(impact[f"incremental_revenue{suffix}"], other - today, size=abs(today))
        dates = slice(world.n_past + first, world.n_past + last)
        near(impact["incremental_spend"], by * sum(long[geo][c][dates]))


@given(case=worlds_and_windows(), change=st.sampled_from([-1.0, -0.4, 0.5]))
@examples(0.25)
def test_a_lift_is_a_difference_of_two_worlds(
    case: tuple[xr.Dataset, int, int], change: float
) -> None:
    ds, first, last = case
    window, world = dates_of(ds, first, last), ScalarWorld(ds)
    long = world.spend(after=world.reach)
    for c, channel in enumerate(world.channels):
        if (ds["spend"].isel(channel=c, date=slice(first, last)).sum("date") == 0).any():
            continue
        changed = world.scaled(long, c, 1 + change, first, last)
        for estimand, end in (("in_test", last), ("in_test_and_cooldown", None)):
            test = lift_test(
                ds,
                channel=channel,
                window=window,
                change=change,
                se=1.0,
                estimand=estimand,
                allow_any_sign=True,
            )
            today, other = (np.array(world.sales(plan))[:, first:end] for plan in (long, changed))
            lift = (other - today).sum(axis=1) / (last - first)
            near(
                test["true_delta_y"] * test["lift_factor"],
                lift,
                size=np.abs(today).sum(axis=1).max(),
            )


@given(config=worlds(), factors=st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.7]), min_size=4))
@examples(0.16)
def test_scenarios_are_differences_of_two_worlds(
    config: dict[str, Any], factors: list[float]
) -> None:
    ds = drawn_world(config)
    world = ScalarWorld(ds)
    factor = xr.DataArray(factors[: ds.sizes["channel"]], dims="channel")
    less = change_investment(ds, channel=world.channels[0], by=-0.4)
    table = compare_scenarios(ds, {"other": ds["spend"] * factor, "less": less, "today": []})
    for name, plan in (("other", ds["spend"] * factor), ("less", less), ("today", ds["spend"])):
        row = table.sel(scenario=name)
        sales = [np.sum(world.sales(world.spend(each))) for each in (plan, ds["spend"])]
        size = float(ds["mu"].sum())
        near(row["incremental_sales"], sales[0] - sales[1], size=size)
        near(row["sales"], float(ds["mu"].sum()) + sales[0] - sales[1])
        revenue = sum(world.revenue(world.spend(plan)))
        price = float(ds["revenue_per_kpi"].values.ravel()[0])
        near(row["incremental_revenue"], revenue - price * sales[1], size=price * size)
        spent = float(plan.sum())
        near(row["spend"], spent)
        near(row["roas"], revenue / spent if spent else np.nan, size=1.0)


@given(config=worlds(max_periods=12), seed=st.integers(0, 99))
@examples(0.1)
def test_regrets_differ_by_what_the_plans_earn(config: dict[str, Any], seed: int) -> None:
    """The best plan of a budget is the same for all of its splits."""
    ds = drawn_world(config)
    world, random = ScalarWorld(ds), np.random.default_rng(seed)
    historic = ds["spend"].sum(("date", "geo"))
    shares = random.dirichlet(np.ones(ds.sizes["channel"]))
    split = xr.DataArray(shares * float(historic.sum()), coords={"channel": ds["channel"].values})
    plan = ds["spend"] * (split / historic)
    lost = regret(ds, split)["regret_revenue"] - regret(ds, historic)["regret_revenue"]
    earned = [sum(world.revenue(world.spend(each))) for each in (ds["spend"], plan)]
    near(lost, earned[0] - earned[1], size=10 * max(map(abs, earned)))


@given(config=worlds())
@examples(0.4)
def test_returns_meet_their_targets_with_everything_on(config: dict[str, Any]) -> None:
    ds = drawn_world(config)
    targets = [channel.get("roas", np.nan) for channel in config["channels"]]
    assume(np.isfinite(targets).any())
    found = roas(ds).values
    brute = Returns(ds, 0, ds.sizes["date"])
    loop = brute.lost(brute.today, last=None).sum(axis=0) / brute.spend.sum(axis=0)
    for target, *figures in zip(targets, found, loop, strict=True):
        if np.isfinite(target):
            near(figures, [target, target], size=brute.size)


def without_connections(config: dict[str, Any]) -> dict[str, Any]:
    """The world without what ties channels together."""
    tied = ("link", "response", "mediators")
    free = {key: value for key, value in config.items() if key not in tied}
    return free | {"funnels": [], "interactions": []}


@given(config=worlds(max_periods=12).map(without_connections), seed=st.integers(0, 99))
@examples(0.1)
def test_no_split_beats_the_best(config: dict[str, Any], seed: int) -> None:
    ds = drawn_world(config)
    world, random = ScalarWorld(ds), np.random.default_rng(seed)
    budget = float(ds["spend"].sum())
    best = optimize_allocation(ds)
    room = 1e-6 * abs(sum(world.revenue(world.spend()))) + float(best["gap_bound"])
    assert abs(float(regret(ds, best)["regret_revenue"])) <= room
    for _ in range(5):
        shares = random.dirichlet(np.ones(ds.sizes["channel"]))
        split = xr.DataArray(shares * budget, coords={"channel": ds["channel"].values})
        assert float(regret(ds, split)["regret_revenue"]) >= -room
