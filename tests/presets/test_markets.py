"""The endogenous markets of PyMC-Marketing, from their equations.

`simulate_endogenous_spend_market` of its development branch (commit dda7f5d) simulates four markets
in which spend answers demand or sales. The functions below are its equations, written anew. With
their spend, and with their rules as budget rules of a user, the sales equation gives their sales.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Annotated, Any

import numpy as np
import pytest
import xarray as xr
from annotated_types import Ge
from numpy.typing import NDArray

import mmm_xgen as m
from mmm_xgen.kernels.budget_rules import BUDGET_RULES, register_budget_rule

Array = NDArray[np.float64]
WEEKS, TEST = 120, slice(104, 108)
MARKETS = ("forecast", "target_chasing", "search", "observed_only")
# Standard normal draws, in the order of the original.
DRAWS = (
    *("inflation", "unemployment", "shock", "forecast", "policy"),
    *("digital", "tv", "click", "sales"),
)
SALES_SD = 1.5


def draw(seed: int) -> dict[str, Array]:
    z = np.random.default_rng(seed).standard_normal(len(DRAWS) * WEEKS)
    return dict(zip(DRAWS, z.reshape(len(DRAWS), WEEKS), strict=True))


def standardised(x: Array) -> Array:
    return np.asarray((x - x.mean()) / x.std())


def recorded(z: dict[str, Array]) -> dict[str, Array]:
    """Calendar, the two indicators, and the part of demand that they predict."""
    t = np.arange(WEEKS)
    wave = np.sin(2 * np.pi * t / 52 - np.pi / 3)
    calendar = wave - wave.mean()
    inflation = standardised(3.0 + 0.015 * t + 0.20 * z["inflation"])
    unemployment = standardised(5.0 + 1.2 * np.sin(2 * np.pi * t / 104) + 0.15 * z["unemployment"])
    predictable = 3 * calendar + 2 * inflation - 2 * unemployment
    return {
        "calendar": calendar,
        "inflation": inflation,
        "unemployment": unemployment,
        "predictable": predictable,
        "plan": 80 + 2.5 * predictable + 1.5 * calendar,
    }


def shock(z: dict[str, Array]) -> Array:
    """Demand that nobody records: AR(1) with variance 1."""
    made = np.array(z["shock"])
    for week in range(1, WEEKS):
        made[week] = 0.8 * made[week - 1] + 0.6 * z["shock"][week]
    return made


def forecast(z: dict[str, Array], d: dict[str, Array], hidden: Array) -> Array:
    demand = d["predictable"] + hidden
    return np.asarray(0.7 * demand + 0.5 * d["calendar"] + 0.4 * z["forecast"])


def digital_spend(market: str, z: dict[str, Array], d: dict[str, Array], hidden: Array) -> Array:
    level = 3 + 0.10 * d["calendar"]
    if market == "forecast":
        answer = 0.1 * forecast(z, d, hidden) + 0.42 * 0.2 * z["policy"]
        return np.maximum(level + answer + 0.25 * z["digital"], 0.1)
    return np.maximum(level + 0.4 * z["digital"], 0.1)


def tv_rule(market: str, z: dict[str, Array], d: dict[str, Array], hidden: Array) -> Array:
    """Spend of TV before the floor of 0.1, without the answer to the gap of last week."""
    if market == "search":
        demand = d["predictable"] + hidden
        return np.minimum(5 * np.exp(0.12 * demand + 0.10 * z["click"]), 6.5)
    level: Array = 5 + 0.15 * d["calendar"] + 0.3 * z["tv"]
    if market == "forecast":
        return level + 0.5 * forecast(z, d, hidden) + 0.6 * 0.2 * z["policy"]
    return level + 0.25 * d["predictable"] if market == "observed_only" else level


def contribution(spend: Array, *, beta: float, lam: float) -> Array:
    weights = 0.1 ** np.arange(8)
    carryover = np.convolve(spend, weights / weights.sum())[: len(spend)]
    return beta * carryover / (lam + carryover)


def reference(
    market: str, z: dict[str, Array], hidden: Array, tested: slice = slice(0)
) -> tuple[Array, Array]:
    """Spend (date, channel) and expected sales (date,), with or without a test of TV."""
    d = recorded(z)
    digital = digital_spend(market, z, d, hidden)
    rule = tv_rule(market, z, d, hidden)
    in_test = np.zeros(WEEKS, dtype=bool)
    in_test[tested] = True
    base = 50 + 2.5 * (d["predictable"] + hidden) + 1.5 * d["calendar"]

    def delivered(chosen: Array, where: NDArray[np.bool_]) -> Array:
        chosen = np.maximum(chosen, 0.1)
        test = np.zeros_like(chosen) if market == "search" else np.maximum(chosen - 1.5, 0.1)
        return np.where(where, test, chosen)

    def sales(tv: Array) -> Array:
        media = contribution(tv, beta=38, lam=5) + contribution(digital, beta=22, lam=3)
        return np.asarray(base + media)

    tv = delivered(rule, in_test)
    if market == "target_chasing":
        for week in range(1, WEEKS):
            gap = sales(tv)[week - 1] + SALES_SD * z["sales"][week - 1] - d["plan"][week - 1]
            chosen = rule[week : week + 1] - 0.15 * gap
            tv[week] = delivered(chosen, in_test[week : week + 1])[0]
    return np.stack([tv, digital], axis=-1), sales(tv)


# Sums of TV, Digital and expected sales of the original, seed 0, with the test.
ORIGINAL = {
    "forecast": (583.5904331221, 358.3320275774, 9446.9555480943),
    "target_chasing": (604.9653088444, 359.9726874850, 9544.3510565376),
    "search": (542.2101869365, 359.9726874850, 9334.9388216487),
    "observed_only": (591.1774621856, 359.9726874850, 9497.9028532485),
}


@pytest.mark.parametrize("market", MARKETS)
def test_the_equations_are_those_of_the_original(market: str) -> None:
    z = draw(0)
    spend, mu = reference(market, z, shock(z), TEST)
    np.testing.assert_allclose((*spend.sum(axis=0), mu.sum()), ORIGINAL[market], rtol=1e-12)


# ------------------------------------------------------------------ the same in a configuration

# Values of patterns and controls are at least 0, so that controls are moved up by their reference.
ABOVE_ZERO = 10.0
GAMMAS = {"calendar": 9.0, "inflation": 5.0, "unemployment": -5.0}


def configuration(**parts: Any) -> dict[str, Any]:
    channels = {"TV": (38 / 50, 5.0), "Digital": (22 / 50, 3.0)}
    return {
        "n_periods": WEEKS,
        "start_date": "2022-01-03",
        "channels": [
            {
                "name": name,
                "base_spend": lam,
                "spend_volatility": 0.0,
                "base_effectiveness": effectiveness,
                "adstock": {"kind": "geometric_adstock", "alpha": 0.1, "l_max": 8},
                "saturation": {"kind": "michaelis_menten", "lam": lam},
                **parts.get(name, {}),
            }
            for name, (effectiveness, lam) in channels.items()
        ],
        "control_variables": [
            {
                "name": name,
                "gamma_control": gamma,
                "reference": ABOVE_ZERO,
                "value_volatility": 0.0,
                **parts.get(name, {}),
            }
            for name, gamma in (GAMMAS | parts.get("further", {})).items()
        ],
        "regions": {"base_sales_rate": 50.0, "sales_volatility": SALES_SD / 50},
    }


@pytest.mark.parametrize("market", MARKETS)
def test_their_spend_makes_their_sales(market: str) -> None:
    z = draw(1)
    hidden = shock(z)
    spend, mu = reference(market, z, hidden, TEST)
    config = m.MMMDataConfig.from_dict(configuration(further={"shock": 2.5}))
    controls = np.stack([*(recorded(z)[name] for name in GAMMAS), hidden], axis=-1) + ABOVE_ZERO
    plan = xr.Dataset(
        {
            "spend": (("date", "geo", "channel"), spend[:, None]),
            "control_value": (("date", "geo", "control"), controls[:, None]),
        },
        {
            "date": config.calendar.dates.astype("datetime64[ns]"),
            "geo": list(config.regions.names),
            "channel": config.channel_names,
            "control": config.control_names,
        },
    )
    ds = m.generate_mmm_dataset(config, spend=plan)
    np.testing.assert_allclose(ds.mu.squeeze(), mu, rtol=1e-9)


@pytest.fixture
def registered() -> Iterator[Callable[[str, Callable[..., Any]], str]]:
    names: list[str] = []

    def register(name: str, rule: Callable[..., Any]) -> str:
        register_budget_rule(name)(rule)
        names.append(name)
        return name

    yield register
    for name in names:
        BUDGET_RULES.remove(name)


def pattern(level: Array) -> dict[str, Any]:
    return {"pattern": lambda dates, rng: level}


def rules_of(market: str, z: dict[str, Array]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Rules of TV and Digital, as a user of the package writes them."""
    d, weeks = recorded(z), cycle(range(WEEKS))

    def tv(demand: Array) -> Array:
        return np.maximum(tv_rule(market, z, d, demand), 0.1) / 5

    def chasing(
        plan: Array, level: Array, sales: Array, target: Array, *, lag: Annotated[int, Ge(1)] = 1
    ) -> Array:
        # The plan of these markets takes another response to media than that of the package.
        week = next(weeks)
        gap = sales - (d["plan"][week - 1] if week else target)
        return np.maximum(plan - 0.15 * gap, 0.1)

    def digital(demand: Array) -> Array:
        return digital_spend(market, z, d, demand) / 3

    return (chasing if market == "target_chasing" else tv), digital


@pytest.mark.parametrize("market", MARKETS)
def test_their_rules_make_their_spend_and_sales(
    market: str, registered: Callable[[str, Callable[..., Any]], str]
) -> None:
    z = draw(2)
    d = recorded(z)
    tv, digital = rules_of(market, z)
    parts: dict[str, Any] = {name: pattern(d[name] + ABOVE_ZERO) for name in GAMMAS}
    parts["TV"] = {"budget_rule": registered("market_tv", tv)}
    parts["Digital"] = {"budget_rule": registered("market_digital", digital)}
    if market == "target_chasing":
        parts["TV"] |= pattern(tv_rule(market, z, d, np.zeros(WEEKS)) / 5)
    ds = m.generate_mmm_dataset(
        m.MMMDataConfig.from_dict(
            {**configuration(**parts), "demand": {"effect": 0.05, "persistence": 0.8}}
        )
    )
    # Hidden demand and noise are draws of the package; the others are given.
    hidden, noise = (ds[name].squeeze().to_numpy() for name in ("demand", "noise"))
    spend, mu = reference(market, z | {"sales": noise / SALES_SD}, hidden)
    np.testing.assert_allclose(ds.spend.squeeze(), spend, rtol=1e-9)
    np.testing.assert_allclose(ds.mu.squeeze(), mu, rtol=1e-9)
