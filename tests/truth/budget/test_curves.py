"""Response curves against full regeneration, and the frontier against a search by brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import mmm_xgen as m
from mmm_xgen import ConfigError, SchemaError
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.domain import Positive
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.truth.budget import curves, optimum
from mmm_xgen.truth.budget.curves import efficiency_frontier, response_curve
from mmm_xgen.truth.budget.optimum import optimize_allocation
from mmm_xgen.truth.returns.estimands import estimands, mroas
from mmm_xgen.truth.what_if.counterfactual import window_periods
from tests.strategies import CURVES, config_with, generate, steady
from tests.truth.worlds import assert_near, remade, world

WAYS = ["channel", ("geo", "channel"), "total"]
OVER: dict[Any, tuple[str, ...]] = {"channel": ("geo",), "total": ("geo", "channel")}

ways = pytest.mark.parametrize("by", WAYS, ids=str)
windows = pytest.mark.parametrize("window", [None, "2022-05"], ids=str)
either = pytest.mark.parametrize(
    "adstock_first", [True, False], ids=["adstock first", "curve first"]
)


def sums(ds: xr.Dataset, made: xr.DataArray, window: Any, by: Any) -> xr.DataArray:
    over = ["date", *OVER.get(by, ())]
    dims = [dim for dim in ("geo", "channel") if dim not in over]
    return made.isel(date=window_periods(ds, window)).sum(over).transpose(*dims)


# --- against full regeneration -----------------------------------------------------------------


@ways
@windows
@either
def test_every_point_is_what_that_spend_generates(adstock_first, window, by):
    ds, grid = world(adstock_first), [0.0, 0.4, 2.5]
    curve = response_curve(ds, multipliers=grid, by=by, window=window)
    for multiplier in grid:
        point = curve.sel(multiplier=multiplier)
        made = remade(adstock_first, window, multiplier)
        revenue = sums(ds, made * ds["revenue_per_kpi"], window, by)
        spend = multiplier * sums(ds, ds["spend"], window, by)
        assert_near(point["contribution"], sums(ds, made, window, by))
        assert_near(point["revenue"], revenue)
        assert_near(point["spend"], spend)
        # Where nothing is spent, the spend before the window still acts.
        assert (point["revenue"] > 0).any()
        assert_near(point["average_return"], revenue / spend if multiplier else np.nan * revenue)
    # Negative control: the curves are no straight lines, but for one.
    low, high = (curve["revenue"].sel(multiplier=at) for at in (0.4, 2.5))
    assert float(abs(high / low / (2.5 / 0.4) - 1).max()) > 0.1


@ways
@either
def test_marginal_returns_are_slopes(adstock_first: bool, by: Any) -> None:
    ds, step, at = world(adstock_first), 1e-4, 1.5
    up, down = (
        sums(ds, remade(adstock_first, None, at + h) * ds["revenue_per_kpi"], None, by)
        for h in (step, -step)
    )
    slope = (up - down) / (2 * step) / sums(ds, ds["spend"], None, by)
    curve = response_curve(ds, multipliers=[at], by=by)
    assert_near(curve["marginal_return"].isel(multiplier=0), slope, 1e-5)


@ways
@windows
def test_todays_point_has_the_estimands(ds: xr.Dataset, window: Any, by: Any) -> None:
    step = 1e-4
    curve = response_curve(ds, multipliers=[1 - step, 1, 1 + step], by=by, window=window)
    today = curve.sel(multiplier=1)
    truth = estimands(ds, by=() if by == "total" else by, window=window)
    assert_near(today["average_return"], truth["roas"])
    # Earlier spend, which no plan can change, stays as it is; that of `mroas` moves.
    rise = curve["revenue"][2] - curve["revenue"][0]
    assert_near(today["marginal_return"], rise / (2 * step * truth["spend"]), 1e-6)
    assert (today["marginal_return"] <= truth["mroas"] * (1 + 1e-9)).all()
    for name in ("spend", "contribution", "revenue"):
        assert_near(today[name], truth[name])


FIRST_UNIT = [
    ("michaelis_menten", CURVES["michaelis_menten"], 1 / 1500),
    ("logistic_saturation", CURVES["logistic_saturation"], 1e-3 / 2),
    ("log_saturation", {}, 1.0),
    ("no_saturation", {}, 1.0),
    ("hill_function", {"slope": 1.0, "kappa": 1500.0}, 1 / 1500),
    ("hill_function", {"slope": 1.001, "kappa": 1500.0}, 0.0),
    ("hill_function", {"slope": 3.0, "kappa": 1500.0}, 0.0),
    ("hill_function", {"slope": 0.999, "kappa": 1500.0}, np.inf),
    ("root_saturation", {"alpha": 0.4}, np.inf),
    ("root_saturation", {"alpha": 1.0}, 1.0),
    ("root_saturation", {"alpha": 2.0}, 0.0),
]


@either
def test_the_return_on_the_first_unit(adstock_first: bool) -> None:
    """At no spend at all the slope of the curve is known by hand, and so is that of the KPI."""
    flights: dict[str, Any] = {"pattern": "pulsed", "pulse_on_periods": 9, "pulse_off_periods": 4}
    flights["adstock"] = {"kind": "no_adstock"}
    channels = [
        steady(f"{kind} {keys}", saturation={"kind": kind, **keys}, **flights)
        for kind, keys, _ in FIRST_UNIT
    ]
    all_kinds = generate(config_with(*channels, transforms={"adstock_first": adstock_first}))
    assert (all_kinds["spend"] == 0).any()
    slopes = [slope for *_, slope in FIRST_UNIT] * all_kinds["effect"].values.ravel()
    for by in WAYS[:2]:
        curve = response_curve(all_kinds, multipliers=[0.0, 1.0], by=by).isel(multiplier=0)
        assert (curve["contribution"] == 0).all()
        assert_near(curve["marginal_return"].squeeze(), slopes, 1e-12)
    # Of one channel, and at infinite slope too, the total and the optimum have the same.
    for position in (0, 5, 7):
        alone = all_kinds.isel(channel=[position])
        expected = FIRST_UNIT[position][2] * float(alone["effect"].item())
        total = response_curve(alone, multipliers=[0.0], by="total")["marginal_return"]
        assert_near(total, [expected], 1e-12)
        assert_near(optimize_allocation(alone, total_budget=0.0)["mroas"], expected, 1e-12)


def test_the_return_on_the_first_unit_after_earlier_spend() -> None:
    """Carry-over of history is on the curve's slope, until it is used up; a placebo has none."""
    half = {"saturation": {"kind": "root_saturation", "alpha": 0.5}}
    ds = generate(
        config_with(
            steady("TV", saturation={"kind": "hill_function", "slope": 2.0, "kappa": 900.0}),
            steady("Root", **half),
            steady("Placebo", base_effectiveness=0.0, **half),
            burn_in_periods=4,
        )
    )
    slope = response_curve(ds, multipliers=[0.0])["marginal_return"].squeeze("multiplier")
    assert slope.sel(channel=["Root", "Placebo"]).values.tolist() == [np.inf, 0.0]
    assert response_curve(ds, multipliers=[0.0], by="total")["marginal_return"].item() == np.inf
    # Only the first dates, where history acts, have a slope at all; from the right.
    made = [m.respond(h * ds["spend"], ds).sel(channel="TV") for h in (0.0, 1e-7)]
    rise = float((made[1] - made[0]).sum()) / 1e-7 / float(ds["spend"].sel(channel="TV").sum())
    assert rise > 0
    assert_near(slope.sel(channel="TV"), rise, 1e-5)


# --- grids --------------------------------------------------------------------------------------


def test_the_grid_by_default(ds: xr.Dataset) -> None:
    curve = response_curve(ds)
    grid = curve["multiplier"].values
    assert len(grid) == 50
    assert (grid[0], grid[-1]) == (0, 2)
    assert 1.0 in grid
    assert (np.diff(grid) > 0).all()
    for name in ("contribution", "revenue"):
        assert curve[name].dims == ("multiplier", "channel")
        assert bool((curve[name].diff("multiplier") > 0).all())


@ways
def test_currency_is_multiples_of_todays_total(ds: xr.Dataset, by: Any) -> None:
    levels = [0.0, 1e4, 7e4]
    found = response_curve(ds, spend=levels, by=by)
    assert found["revenue"].dims[0] == "spend"
    today = sums(ds, ds["spend"], None, by)
    assert_near(found["multiplier"] * today, found["spend"] + 0 * found["multiplier"])
    cells = [{}] if by == "total" else [{"channel": 2}, {"channel": 7}]
    for cell in [{**each, "geo": 1} if "geo" in found.dims else each for each in cells]:
        for level in levels:
            times = level / float(today.isel(cell))
            same = response_curve(ds, multipliers=[times], by=by).isel(multiplier=0, **cell)
            point = found.sel(spend=level).isel(cell)
            for name in ("contribution", "revenue", "marginal_return"):
                assert_near(point[name], same[name])
            assert_near(same["spend"], level)


@ways
def test_chunks_change_nothing(ds: xr.Dataset, by: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = response_curve(ds, multipliers=range(7), by=by)
    monkeypatch.setattr(curves, "CHUNK", 3 * ds["spend"].size)
    in_chunks = response_curve(ds, multipliers=range(7), by=by)
    xr.testing.assert_allclose(in_chunks, whole, rtol=1e-12)


def test_a_selection_and_any_order_of_dims(ds: xr.Dataset) -> None:
    some = ds.sel(channel=["channel 4", "channel 1"]).transpose("channel", ...)
    whole = response_curve(ds, multipliers=[0.5]).sel(channel=some["channel"].values)
    xr.testing.assert_allclose(response_curve(some, multipliers=[0.5]), whole, rtol=1e-12)
    both = response_curve(ds, multipliers=[1.0], by=("channel", "geo"))
    assert both["revenue"].dims == ("multiplier", "geo", "channel")


# --- no spend, no effect ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def edges() -> xr.Dataset:
    effect = xr.DataArray([900.0, 700.0, 0.0], {"channel": ["TV", "Off", "Placebo"]})
    return generate(
        config_with(
            steady("TV"),
            steady("Off", base_spend=0.0, base_effectiveness=0.0),
            steady("Placebo", base_effectiveness=0.0),
            regions={"region_names": ["a", "b"], "population": [3e6, 1e6]},
        ),
        params=effect.to_dataset(name="effect"),
    )


def test_no_spend_and_no_effect(edges: xr.Dataset) -> None:
    curve = response_curve(edges)
    off, placebo = curve.sel(channel="Off"), curve.sel(channel="Placebo")
    for name in ("spend", "revenue"):
        assert (off[name] == 0).all(), name
    for name in ("marginal_return", "average_return"):
        assert np.isnan(off[name]).all(), name
    for name in ("contribution", "marginal_return"):
        assert (placebo[name] == 0).all(), name
    assert (placebo["average_return"][1:] == 0).all()


def test_currency_without_history_is_spread_by_population(edges: xr.Dataset) -> None:
    total = 80_000.0
    point = response_curve(edges, spend=[total]).sel(channel="Off").isel(spend=0)
    flat = total / 52 * xr.DataArray([0.75, 0.25], {"geo": edges["geo"]})
    plan = xr.where(edges["channel"] == "Off", flat, 0.0) + 0 * edges["spend"]
    made = m.respond(plan.transpose("date", "geo", "channel"), edges)
    assert_near(point["contribution"], float(made.sel(channel="Off").sum()))
    assert np.isnan(point["multiplier"])
    assert float(point["marginal_return"]) > 0


def test_no_budget_has_the_split_of_nothing() -> None:
    ds = generate(config_with(steady(base_spend=0.0)))
    with pytest.raises(ConfigError, match="nothing is spent in the window"):
        response_curve(ds, spend=[1.0], by="total")
    assert (response_curve(ds, by="total")["revenue"] == 0).all()


def kinked(x, *, scale: Positive = 1.0):  # type: ignore[no-untyped-def]
    """Makes a real number of a complex one."""
    return np.arctan(np.abs(x) / scale)


def blind(x, *, scale: Positive = 1.0):  # type: ignore[no-untyped-def]
    """Loses the imaginary part with no more than a warning."""
    out = np.zeros_like(x)
    out[...] = np.tanh(np.asarray(x, dtype=float) / scale)
    return out


def half_blind(x, *, scale: Positive = 1.0):  # type: ignore[no-untyped-def]
    """Carries an imaginary part, but not the derivative."""
    return x / (scale + np.abs(x))


def silent(x, *, scale: Positive = 1.0):  # type: ignore[no-untyped-def]
    """Loses the imaginary part without a word, in numbers that stay complex."""
    return x.real / (scale + x.real) + 0 * x


@pytest.mark.parametrize("curve", [kinked, blind, half_blind, silent])
def test_a_curve_that_loses_the_imaginary_part(curve: Any) -> None:
    m.register_saturation("lossy")(curve)
    try:
        saturation = {"kind": "lossy", "scale": 800.0}
        ds = generate(config_with(steady(saturation=saturation, adstock={"kind": "no_adstock"})))
        found = response_curve(ds, multipliers=[0.0, 1.0, 1.0 + 1e-4, 1.0 - 1e-4])
        rise = found["revenue"].isel(multiplier=2) - found["revenue"].isel(multiplier=3)
        slope = (rise / 2e-4 / ds["spend"].sum()).item()
        assert slope > 0
        assert_near(found["marginal_return"].isel(multiplier=1), slope, 1e-6)
        assert_near(mroas(ds), slope, 1e-6)
        # From the right at no spend, where the slope of each of them is 1 / 800.
        first = float(ds["effect"].item()) / 800
        assert_near(found["marginal_return"].isel(multiplier=0), first, 1e-5)
    finally:
        SATURATIONS.remove("lossy")


def test_which_kinds_carry_derivatives() -> None:
    assert all(kind.takes_complex for kind in map(SATURATIONS.__getitem__, SATURATIONS))
    assert all(kind.takes_complex for kind in map(ADSTOCKS.__getitem__, ADSTOCKS))


# --- what comes back, and what is refused -------------------------------------------------------


def test_everything_is_labelled(ds: xr.Dataset, tmp_path: Any) -> None:
    for curve in (response_curve(ds, multipliers=[1.0]), response_curve(ds, spend=[1.0, 2.0])):
        for name, variable in curve.variables.items():
            assert name == "channel" or variable.attrs["long_name"], name
        assert curve["revenue"].attrs["units"] == curve["spend"].attrs["units"] == "USD"
        assert curve["contribution"].attrs["units"] == "sales"
        curve.to_netcdf(tmp_path / "curve.nc")
        with xr.open_dataset(tmp_path / "curve.nc") as loaded:
            xr.testing.assert_equal(loaded.load(), curve)
        (tmp_path / "curve.nc").unlink()


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"by": "chanel"}, "by: found 'chanel', did you mean 'channel'"),
        ({"by": ("geo", "date")}, r"by: found .* allowed: .*'geo', 'channel'"),
        ({"by": "geo"}, "by: found 'geo'"),
        ({"by": 3}, "by: found 3"),
        ({"multipliers": [-0.1, 1]}, "multipliers?: found .* at least 0"),
        ({"multipliers": []}, "at least 0"),
        ({"multipliers": [np.nan]}, "finite"),
        ({"multipliers": 2.0}, "a list"),
        ({"multipliers": [[1.0]]}, "a list"),
        ({"multipliers": ["a lot"]}, "numbers"),
        ({"spend": [np.inf]}, "spend: found .* finite"),
        ({"multipliers": [1], "spend": [1]}, "one grid or the other"),
        ({"window": "2031"}, "in which no period begins"),
    ],
)
def test_wrong_words(ds: xr.Dataset, keywords: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        response_curve(ds, **keywords)


def test_foreign_datasets_are_refused(ds: xr.Dataset) -> None:
    for function in (response_curve, efficiency_frontier):
        with pytest.raises(SchemaError, match="cut of its dates"):
            function(ds.isel(date=slice(20, None)))
        with pytest.raises(SchemaError, match="generate_mmm_dataset"):
            function(xr.Dataset())


# --- the efficiency frontier --------------------------------------------------------------------


@pytest.fixture(scope="module")
def two() -> xr.Dataset:
    """An S-shaped and a concave channel, which a local search confuses."""
    return generate(
        config_with(
            steady("S", saturation={"kind": "hill_function", "slope": 3.0, "kappa": 1500.0}),
            steady("C", saturation={"kind": "michaelis_menten", "lam": 900.0}),
            revenue_per_kpi=2.0,
        )
    )


def test_the_frontier_against_a_search(two: xr.Dataset) -> None:
    today = float(two["spend"].sum())
    budgets = [0.0, 0.3 * today, today, 1.8 * today]
    frontier = efficiency_frontier(two, budgets=budgets)
    shares = np.linspace(0, 1, 2001)
    for budget in budgets[1:]:
        made = response_curve(two, spend=shares * budget)["revenue"].values
        best = (made[:, 0] + made[::-1, 1]).max()
        point = frontier.sel(budget=budget)
        # The search hits the optimum up to its mesh only.
        assert best * (1 - 1e-12) <= float(point["best_revenue"]) <= best * (1 + 1e-4)
        assert_near(point["optimal_spend"].sum(), budget)
        assert_near(point["revenue"].sum(), point["best_revenue"])
        assert_near(point["best_contribution"], point["best_revenue"] / 2)
        split = response_curve(two, multipliers=[budget / today], by="total")["revenue"]
        assert_near(point["current_split_revenue"], float(split[0]))
        assert float(point["best_revenue"]) > float(point["current_split_revenue"])
        alone = optimize_allocation(two, total_budget=budget)
        assert_near(point["optimal_spend"], alone["optimal_spend"])
        baseline = float(two["mu"].sum() - two["channel_contribution"].sum())
        assert_near(point["best_sales"], float(point["best_contribution"]) + baseline)
    assert float(frontier["best_revenue"][0]) == 0
    assert bool((frontier["best_revenue"].diff("budget") > 0).all())


def test_the_frontier_by_default(two: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    # The proof that nothing is better takes its time, and is not what is tested.
    monkeypatch.setattr(optimum, "PROOF_EFFORT", 0)
    frontier = efficiency_frontier(two, constraints={"S": {"min": 0.3}})
    today = float(two["spend"].sum())
    assert_near(frontier["budget"], np.linspace(0.2, 2.0, 10) * today)
    assert bool((frontier["optimal_spend"].sel(channel="S") >= 0.3 * frontier["budget"] - 1).all())
    free = efficiency_frontier(two, budgets=frontier["budget"].values[[0, 4, 9]])
    assert bool((free["best_revenue"] >= frontier["best_revenue"][[0, 4, 9]] - 1e-6).all())
    for name, array in frontier.data_vars.items():
        assert array.attrs["long_name"], name
    assert frontier["best_sales"].attrs["units"] == "sales"


def test_wrong_budgets(two: xr.Dataset) -> None:
    with pytest.raises(ConfigError, match="budgets: found"):
        efficiency_frontier(two, budgets=[-1.0])
    with pytest.raises(ConfigError, match="min"):
        efficiency_frontier(two, budgets=[1e4], constraints={"S": {"min": 0.7}, "C": {"min": 0.7}})
    off = generate(config_with(steady(base_spend=0.0)))
    assert np.isnan(efficiency_frontier(off, budgets=[1e4])["current_split_revenue"]).all()
