"""Promotions: calendars, what they sell, and what they leave as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import mmm_xgen as m
from mmm_xgen import truth
from mmm_xgen.ensemble import element, generate_ensemble
from mmm_xgen.errors import AlignmentError, SchemaError, XgenWarning
from mmm_xgen.export import scaled_parameters
from mmm_xgen.recovery.alignment.meridian import to_meridian_truth
from mmm_xgen.report.causes import rows_of
from mmm_xgen.schema import PARTS
from tests.strategies import examples

CHANNELS = [{"name": "TV", "roas": 2.0}, {"name": "Radio", "base_effectiveness": 0.05}]
SALE = {"name": "Sale", "depth": 0.25, "pull_forward": {"share": 0.4, "periods": 3}}
REGIONS = {"n_regions": 3, "population": [1e6, 2e6, 5e5], "baseline_variation": 0.2}
CONFIG: dict[str, Any] = {"n_periods": 80, "seed": 5, "channels": CHANNELS, "regions": REGIONS}


def made(*promotions: dict[str, Any], **config: Any) -> xr.Dataset:
    return m.generate_mmm_dataset({**CONFIG, "promotions": list(promotions), **config})


def is_on(ds: xr.Dataset, place: int = 0) -> np.ndarray:
    """Return True for promoted periods, dims (geo, date)."""
    depth = ds["promotion_depth"].isel(promotion=place).transpose("geo", "date")
    return np.asarray(depth.values > 0)


def runs_of(row: np.ndarray) -> list[tuple[int, int]]:
    """Return first period and length of every run."""
    found = []
    for date, on in enumerate(row):
        if on and (date == 0 or not row[date - 1]):
            found.append((date, 0))
        if on:
            found[-1] = (found[-1][0], found[-1][1] + 1)
    return found


# What a promotion sells -----------------------------------------------------------------------


@examples(0.2)
@given(
    depth=st.floats(0.02, 0.9),
    elasticity=st.floats(-5, -0.1),
    share=st.floats(0, 1),
    periods=st.integers(1, 6),
)
def test_sales_follow_the_elasticity_and_later_periods_lack_a_share(
    depth: float, elasticity: float, share: float, periods: int
) -> None:
    pull = {"share": share, "periods": periods}
    ds = made(
        {"name": "Sale", "depth": depth, "elasticity": elasticity, "pull_forward": pull},
        {"name": "Other", "depth": 0.05, "shared": True},
    )
    for geo in range(3):
        base = float(ds["intercept_contribution"][geo])
        on = is_on(ds)[geo]
        bump = base * ((1 - depth) ** elasticity - 1)
        for date in range(80):
            wanted = bump * on[date] - sum(
                bump * share / periods * on[date - lag]
                for lag in range(1, periods + 1)
                if date >= lag
            )
            found = float(ds["promotion_contribution"].sel(promotion="Sale")[date, geo])
            assert found == pytest.approx(wanted, rel=1e-9, abs=1e-9 * base)


def test_expected_sales_are_the_sum_of_parts_with_promotions() -> None:
    ds = made(SALE, {"name": "Rare", "dates": ["11-25"]}, demand={})
    parts = [ds[name] for name in PARTS if name in ds]
    assert "promotion_contribution" in {each.name for each in parts}
    whole = sum(each.sum([d for d in each.dims if d not in ("date", "geo")]) for each in parts)
    assert float(abs(whole - ds["mu"]).max()) < 1e-9 * float(ds["mu"].max())
    assert float(ds["promotion_contribution"].sum()) > 0.02 * float(ds["mu"].sum())
    assert float(abs(ds["y"] - ds["mu"] - ds["noise"]).max()) < 1e-9 * float(ds["mu"].max())


# Calendars ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "duration"), [(0.15, 3), (0.12, 2), (0.6, 5), (0.3, 1)])
def test_random_calendars_have_their_share_and_runs_of_one_length(
    share: float, duration: int
) -> None:
    config = {"n_periods": 1500, "regions": {"n_regions": 20}}
    on = is_on(made({"name": "Sale", "share": share, "duration": duration}, **config))
    lengths = [
        length
        for row in on
        for first, length in runs_of(row)
        if first > 0 and first + length < row.size
    ]
    assert set(lengths) == {duration}
    # Geos are independent, so their spread gives the error of the mean.
    error = on.mean(axis=1).std(ddof=1) / np.sqrt(20)
    assert abs(on.mean() - share) < 4 * error
    assert on.mean(axis=1).std() > 0


def test_calendars_are_stationary_from_the_first_date() -> None:
    ds = generate_ensemble(
        {**CONFIG, "n_periods": 8, "regions": {"n_regions": 10}, "promotions": [{"name": "Sale"}]},
        n=400,
        chunks=None,
        variables=["promotion_depth"],
    )
    on = (ds["promotion_depth"].transpose("dataset", "geo", "date", ...) > 0).values
    by_date = on.reshape(4000, 8).mean(axis=0)
    assert np.all(abs(by_date - 0.15) < 4 * np.sqrt(0.15 * 0.85 / 4000))
    # The first run may have begun before the window, with each length equally likely.
    first = on.reshape(4000, 8)
    first = first[first[:, 0]]
    left = np.argmin(first, axis=1)
    assert np.all(abs(np.bincount(left, minlength=4)[1:] / len(left) - 1 / 3) < 0.08)


@pytest.mark.parametrize(("answer", "duration"), [(1.0, 3), (-2.0, 2)])
def test_runs_answer_to_demand_and_keep_their_share(answer: float, duration: int) -> None:
    sale = {"name": "Sale", "answer": answer, "duration": duration}
    ds = made(sale, n_periods=4000, regions={"n_regions": 12}, demand={"shared": 0.0})
    on, demand = is_on(ds), ds["demand"].transpose("geo", "date").values
    assert abs(on.mean() - 0.15) < 0.002 + 3 * on.mean(axis=1).std() / np.sqrt(12)
    may_start = ~on[:, :-1]
    starts, seen = on[:, 1:][may_start], demand[:, 1:][may_start]
    # Logistic regression of starts on demand, by Newton's method.
    design, found = np.stack([np.ones_like(seen), seen]), np.zeros(2)
    for _ in range(12):
        fitted = 1 / (1 + np.exp(-found @ design))
        hessian = (design * fitted * (1 - fitted)) @ design.T
        found = found + np.linalg.solve(hessian, design @ (starts - fitted))
    assert abs(found[1] - answer) < 4 * np.sqrt(np.linalg.inv(hessian)[1, 1])
    blind = is_on(made({**sale, "answer": 0.0}, n_periods=4000, regions={"n_regions": 12}))
    assert abs(np.corrcoef(blind.ravel(), demand.ravel())[0, 1]) < 0.05


def test_a_shared_promotion_answers_to_the_mean_demand_and_keeps_its_share() -> None:
    sale = {"name": "Sale", "answer": 2.0, "shared": True}
    demand = {"shared": 0.2, "persistence": 0.5}
    ds = made(
        sale,
        n_periods=20_000,
        freq="D",
        channels=CHANNELS[1:],
        regions={"n_regions": 6},
        demand=demand,
    )
    on = is_on(ds)
    assert (on == on[0]).all()
    assert abs(on[0].mean() - 0.15) < 0.01
    mean = ds["demand"].mean("geo").values
    assert mean[on[0]].mean() - mean[~on[0]].mean() > 0.3


def test_dates_begin_runs_in_all_geos() -> None:
    ds = made({"name": "Black", "dates": ["11-25", "2022-03-09"], "duration": 2}, n_periods=104)
    on = is_on(ds)
    assert (on == on[0]).all()
    days = ds["date"].values[on[0]].astype("datetime64[D]").astype(str).tolist()
    # Weeks from Monday: 9 March 2022 was a Wednesday, 25 November a Friday, then a Saturday.
    weeks = ["2022-03-07", "2022-03-14", "2022-11-21", "2022-11-28", "2023-11-20", "2023-11-27"]
    assert days == weeks
    alone = made({"name": "Black", "dates": ["2022-03-09"]})
    assert is_on(alone).sum(axis=1).tolist() == [1, 1, 1]
    with pytest.warns(XgenWarning, match="no period contains a date of 'Black'"):
        made({"name": "Black", "dates": ["2031-03-09"]})


def test_promotions_that_give_away_more_than_the_price_are_told() -> None:
    twice = [{"name": name, "depth": 0.6, "dates": ["2022-03-09"]} for name in ("a", "b")]
    with pytest.warns(XgenWarning, match="give away 120% of the price"):
        made(*twice)


# Draws ----------------------------------------------------------------------------------------


def test_other_settings_move_no_draw() -> None:
    config = {"demand": {}}
    two = made(SALE, {"name": "Other", "answer": 1.0}, **config)
    swapped = made({"name": "Other", "answer": 1.0}, {"name": "More"}, SALE, **config)
    for name in ("Sale", "Other"):
        same = [ds["promotion_depth"].sel(promotion=name) for ds in (two, swapped)]
        assert same[0].equals(same[1])
    assert is_on(two, 0).tolist() != is_on(two, 1).tolist()
    regions = {**REGIONS, "n_regions": 4, "population": [1e6, 2e6, 5e5, 3e6]}
    more = made(SALE, {"name": "Other", "answer": 1.0}, regions=regions, **config)
    depth = more["promotion_depth"].isel(geo=slice(3))
    assert (depth.values == two["promotion_depth"].values).all()
    without = made(**config)
    for name in ("spend", "demand", "demand_contribution", "channel_contribution"):
        assert without[name].equals(two[name]), name
    assert np.allclose(without["noise"], two["noise"])
    deeper = made({**SALE, "depth": 0.5, "elasticity": -1.0})
    assert (is_on(deeper) == is_on(two)).all()
    assert made({**SALE, "answer": 0.0})["mu"].equals(made(SALE)["mu"])


def test_geos_share_a_calendar_only_if_they_should() -> None:
    rows = [is_on(made({**SALE, "shared": shared})) for shared in (True, False)]
    assert (rows[0] == rows[0][0]).all()
    assert not (rows[1] == rows[1][0]).all()


def test_ensembles_have_the_bits_of_single_datasets() -> None:
    sale = {**SALE, "answer": 0.5}
    shared = {"name": "National", "answer": -1.0, "shared": True, "observed": False}
    config = {**CONFIG, "demand": {"season": 0.2}, "promotions": [sale, shared]}
    ds = generate_ensemble(config, n=3, chunks=None)
    for place in range(3):
        one = element(ds, place)
        assert one.identical(m.generate_mmm_dataset(config, seed=int(one.attrs["seed"])))


def test_numbers_vary_in_one_broadcast() -> None:
    config = {**CONFIG, "demand": {}, "promotions": [SALE, {"name": "Other", "answer": 0.5}]}
    vary: dict[str, Any] = {
        "promotions.*.depth": m.Uniform(0.05, 0.4),
        "promotions.Sale.elasticity": m.Uniform(-2, -1),
        "promotions.Sale.pull_forward.share": m.Uniform(0, 0.5),
        "promotions.Other.share": m.Uniform(0.12, 0.18),
        "promotions.Other.answer": m.Uniform(-1, 1),
    }
    ds = generate_ensemble(config, n=4, vary=vary, chunks=None)
    assert ds["promotions.*.depth"].dims == ("dataset", "promotion")
    depth = ds["promotion_depth"].max(("date", "geo"))
    assert (depth.values == ds["promotions.*.depth"].values).all()
    for place in range(4):
        one = element(ds, place)
        assert m.regenerate(one).identical(one)
    runs = generate_ensemble(config, vary={"promotions.Sale.duration": [2, 5]}, chunks=None)
    assert runs["promotion_depth"].isel(dataset=0).values.any()
    with pytest.raises(m.ConfigError, match=r"periods is the same in all datasets"):
        generate_ensemble(config, vary={"promotions.Sale.pull_forward.periods": [1, 2]})
    with pytest.raises(m.ConfigError, match=r"promotions\.Other\.share"):
        vary = {"promotions.Other.share": [0.1, 0.7], "promotions.Other.duration": [1, 3]}
        generate_ensemble(config, vary=vary, chunks=None)


# What the data show, and what reacts ----------------------------------------------------------


def test_an_observed_depth_is_a_control_without_contribution() -> None:
    mediators = [{"name": "Aware", "parents": {"TV": 0.5}}]
    hidden = {"name": "Hidden", "observed": False}
    ds = made(SALE, hidden, mediators=mediators, control_variables=[{"name": "Luck"}])
    assert ds["control"].values.tolist() == ["Luck", "Sale", "Aware"]
    shown = ds["control_value"].sel(control="Sale", drop=True)
    assert (shown == ds["promotion_depth"].sel(promotion="Sale", drop=True)).all()
    aware = ds["control_value"].sel(control="Aware", drop=True)
    assert (aware == ds["mediator_value"].sel(mediator="Aware", drop=True)).all()
    assert not ds["control_contribution"].sel(control="Sale").any()
    assert ds["promotion_contribution"].any(("date", "geo")).all()
    frame = ds.mmm.to_frame()
    assert "c2-Sale" in frame
    assert not any("Hidden" in column for column in frame)
    assert set(frame["c2-Sale"]) == {0.0, 0.25}


def test_budget_rules_see_the_sales_of_promotions() -> None:
    rule = {"kind": "share_of_sales", "share": 0.05}
    channels = [{**CHANNELS[0], "pattern": "seasonal", "budget_rule": rule}]
    plain, promoted = (made(*each, channels=channels) for each in ([], [SALE]))
    rise = (
        (promoted["spend"] / plain["spend"]).isel(channel=0).transpose("geo", "date").values[:, 1:]
    )
    before = is_on(promoted)[:, :-1]
    assert rise[before].min() > 1.3
    # The plan of sales has promotions in it: they are set before spend.
    gap = promoted["sales_plan"] - plain["sales_plan"]
    sold = promoted["promotion_contribution"].sum("promotion")
    assert abs(gap - sold).max() < 0.2 * sold.max()


@pytest.mark.parametrize("reacting", [False, True])
def test_promotions_are_held_under_other_spend(reacting: bool) -> None:
    rule = {"kind": "chases_target", "strength": 1.0}
    ds = made(SALE, channels=[{**CHANNELS[0], "budget_rule": rule}, CHANNELS[1]])
    other = truth.simulate(ds, spend=1.5 * ds["spend"].sel(channel=["Radio"]), reacting=reacting)
    for name in ("promotion_contribution", "promotion_depth"):
        assert other[name].equals(ds[name])
    media = [each["channel_contribution"].sum("channel") for each in (other, ds)]
    assert float(abs(other["mu"] - ds["mu"] - (media[0] - media[1])).max()) < 1e-6
    assert float(abs(other["mu"] - ds["mu"]).max()) > 1


# Files, parameters, models --------------------------------------------------------------------


def test_promotions_come_back_from_files_and_configurations(tmp_path: Path) -> None:
    ds = made(SALE, {"name": "Black", "dates": ["11-25"]}, burn_in_periods=4)
    assert m.regenerate(ds).identical(ds)
    assert m.load(m.to_netcdf(ds, tmp_path / "ds.nc")).identical(ds)
    assert float(ds.sel(geo=["geo_2"])["promotion_contribution"].sum()) > 0
    assert "promotion_contribution" not in made()
    given = made(SALE, {"name": "Black", "dates": ["11-25"]}, burn_in_periods=4)
    again = m.generate_mmm_dataset(given.mmm.config, spend=given)
    assert m.regenerate(again).identical(again)
    for name in ("promotion_depth", "mu", "control_value"):
        assert again[name].equals(ds[name])


def test_parameters_can_be_given() -> None:
    params = xr.Dataset({"promotion_elasticity": ("geo", [-1.0, -2.0, -3.0])})
    params["promotion_pull_forward_share"] = 0.0
    ds = m.generate_mmm_dataset({**CONFIG, "promotions": [SALE]}, params=params)
    bump = ds["promotion_contribution"].max("date").isel(promotion=0) / ds["intercept_contribution"]
    assert bump.values == pytest.approx([0.75**e - 1 for e in (-1, -2, -3)])
    assert float(ds["promotion_contribution"].min()) == 0
    assert m.regenerate(ds).identical(ds)
    with pytest.raises(AlignmentError, match=r"'promotion_elasticity'.*below 0"):
        m.generate_mmm_dataset(
            {**CONFIG, "promotions": [SALE]}, params=xr.Dataset({"promotion_elasticity": 1.0})
        )


def test_sums_over_geos_keep_the_sales_of_promotions() -> None:
    ds = made(SALE)
    national = m.aggregate(ds, freq="QS")
    gap = national["promotion_contribution"].sum() - ds["promotion_contribution"].sum()
    assert abs(float(gap)) < 1e-6
    shown = national["control_value"].sel(control="Sale", drop=True)
    assert np.allclose(shown, national["promotion_depth"].sel(promotion="Sale"))
    assert np.isnan(national["promotion_elasticity"]).all()


def test_models_without_promotions_say_so() -> None:
    channels = [{"name": "TV", "base_effectiveness": 0.1}]
    ds = made(SALE, channels=channels)
    with pytest.raises(SchemaError, match=r"promotion_contribution.*no latent demand or"):
        truth.information_bound(ds)
    scaled = scaled_parameters(ds, channel_scale=1.0, target_scale=1.0)
    assert scaled.attrs["no_counterpart"] == "promotions"
    known = to_meridian_truth(ds)
    assert "gamma_gc" not in known
    assert "promotions" in known.attrs["no_single_truth"]


def test_the_truth_of_promotions_is_in_the_dictionary_and_in_words() -> None:
    ds = made({**SALE, "answer": 0.5}, demand={})
    found = ds.mmm.ground_truth(series=True)
    assert found["promotions"]["Sale"]["pull_forward_periods"] == 3
    assert found["promotions"]["Sale"]["elasticity"]["geo_1"] == -2.62
    total = sum(found["contributions"]["promotions"]["Sale"].values())
    assert total == pytest.approx(float(ds["promotion_contribution"].sum()))
    cause = "promotion Sale"
    assert rows_of(json.loads(ds.attrs["config"]))[1:] == [
        (cause, "sales", "25.0% off, elasticity -2.62"),
        ("latent demand", cause, "log odds of a run +0.5 per standard deviation"),
        (cause, "later sales", "borrows 40.0% of its sales from the next 3 periods"),
    ]
