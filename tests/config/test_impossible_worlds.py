"""Refusals of impossible baselines, noise, links, promotions and responses."""

from __future__ import annotations

from typing import Any

import pytest

import mmm_xgen as m
from tests.config.faulty import refusal
from tests.strategies import generate

BASE: dict[str, Any] = {
    "n_periods": 40,
    "channels": [{"name": "TV"}, {"name": "Search"}],
    "regions": {"region_names": ["north", "south"], "base_sales_rate": 10_000.0},
}
EVENT = {"name": "launch", "dates": ["2022-02-10"], "effect": 0.1}
EASTER = {"name": "easter", "effect": 0.1, "holiday": "Easter Sunday", "country": "DE"}
PRICE = {"name": "Price", "base_value": 10.0, "elasticity": -1.5}
SALE = {"name": "Sale", "depth": 0.2, "share": 0.2, "elasticity": -2.0}
LOG = {"link": "log"}
GOODWILL = {"kind": "goodwill"}


def regions(**fields: Any) -> dict[str, Any]:
    return {"regions": BASE["regions"] | fields}


def event(**fields: Any) -> dict[str, Any]:
    return {"events": [EVENT | fields]}


def holiday(**fields: Any) -> dict[str, Any]:
    return {"events": [EASTER | fields]}


def sale(**fields: Any) -> dict[str, Any]:
    return {"promotions": [SALE | fields]}


def goodwill(**fields: Any) -> dict[str, Any]:
    return {"response": GOODWILL | fields}


def without(mapping: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if name != key}


# Each case: the path of the error, the configuration, and what the
# message must contain.
Case = tuple[str, dict[str, Any], list[str]]
BASELINE: list[Case] = [
    ("events.0.geos", event(geos=["nroth"]), ["nroth", "north"]),
    ("events.0.geos", event(geos=["north", "east"]), ["east", "south"]),
    ("events.0.scales", event(scales="sales"), ["sales", "baseline", "base_sales"]),
    ("events.0.shape", event(shape="dipp"), ["dipp", "dip"]),
    ("events.0.width_days", event(shape="dip", width_days=0.0), ["0"]),
    ("events.0.country", holiday(country="XX"), ["XX"]),
    ("events.0.country", holiday(country="Germany"), ["Germany"]),
    ("events.0.holiday", holiday(holiday="Eastern Sunday"), ["Easter Sunday"]),
    ("events.0.country", {"events": [without(EASTER, "country")]}, ["country"]),
    ("events.0", holiday(dates=["2022-04-17"]), ["dates", "holiday"]),
    ("events.0", {"events": [without(EVENT, "dates")]}, ["missing", "holiday"]),
    (
        "control_variables.0.scales",
        {"control_variables": [{"name": "Rain", "gamma_control": 5.0, "scales": "baseline"}]},
        ["elasticity"],
    ),
    ("regions.level_path", regions(level_path="random_wolk"), ["random_walk"]),
    (
        "regions.level_path.sd",
        regions(level_path={"kind": "random_walk", "sd": -0.1}),
        ["-0.1", "0"],
    ),
    # A path that follows spend has none to follow.
    ("regions.level_path", regions(level_path="wear_out"), ["wear_out"]),
    ("regions.season_path", regions(season_path="wear_out"), ["wear_out"]),
    ("regions.season_shift", regions(season_shift="late"), ["late"]),
]
NOISE: list[Case] = [
    ("regions.capacity", regions(capacity=0.9), ["0.9"]),
    ("regions.capacity", regions(capacity=0.0), ["0"]),
    ("regions.capacity", regions(capacity=-1.0), ["-1"]),
    ("regions.outliers.share", regions(outliers={"share": 1.5}), ["1.5", "1"]),
    ("regions.outliers.share", regions(outliers={"share": -0.1}), ["-0.1", "0"]),
    ("regions.outliers.size", regions(outliers={"size": -3.0}), ["-3", "0"]),
    ("regions.outliers.shares", regions(outliers={"shares": 0.1}), ["share"]),
    (
        "regions.noise.level_power",
        regions(noise={"kind": "gaussian", "level_power": "high"}),
        ["high"],
    ),
    (
        "regions.noise.shared",
        regions(noise={"kind": "gaussian", "shared": 1.2}),
        ["1.2", "1"],
    ),
    (
        "regions.noise",
        regions(noise={"kind": "student_t", "shared": 0.5}),
        ["student_t", "gaussian"],
    ),
    (
        "channels.0.spillover",
        {"channels": [{"name": "TV", "spillover": 1.5}]},
        ["1.5", "1"],
    ),
    (
        "channels.0.spillover",
        {"channels": [{"name": "TV", "spillover": -0.1}]},
        ["-0.1", "0"],
    ),
    (
        "channels.0.over_reporting",
        {"channels": [{"name": "TV", "over_reporting": -1.5}]},
        ["-1.5"],
    ),
]
LINKS: list[Case] = [
    ("link", {"link": "logg"}, ["logg", "log"]),
    ("regions.trend", LOG | regions(sales_trend=-0.05), ["-1", "above -1"]),
    (
        "regions.trend",
        LOG
        | regions(
            trend={
                "kind": "logistic_growth",
                "growth_capacity": -1.5,
                "growth_rate": 1.0,
                "growth_midpoint": 20.0,
            }
        ),
        ["above -1"],
    ),
    *(
        ("regions.noise", LOG | regions(noise=kind), [kind, "lognormal"])
        for kind in ("gaussian", "student_t", "ar1", "negative_binomial")
    ),
    ("response.forget", goodwill(forget=1.2), ["1.2", "1"]),
    ("response.forget", goodwill(forget=-0.1), ["-0.1", "0"]),
    ("response.cool", goodwill(cool=2.0), ["2", "1"]),
    ("response.convert", goodwill(convert=-1.0), ["-1", "0"]),
    ("response.churn", goodwill(churn=float("nan")), ["nan"]),
    ("response.organic", goodwill(organic=-0.1), ["-0.1", "0"]),
    ("response.size", goodwill(size="big"), ["big"]),
    ("response.forgetting", goodwill(forgetting=0.1), ["forget"]),
    ("response", {"response": "godwill"}, ["godwill", "goodwill"]),
]
PROMOTIONS: list[Case] = [
    ("promotions.0.depth", sale(depth=1.0), ["1"]),
    ("promotions.0.depth", sale(depth=1.2), ["1.2", "1"]),
    ("promotions.0.depth", sale(depth=0.0), ["0"]),
    ("promotions.0.elasticity", sale(elasticity=0.5), ["0.5", "0"]),
    ("promotions.0.share", sale(share=1.2), ["1.2", "1"]),
    ("promotions.0.duration", sale(duration=0), ["0", "1"]),
    ("promotions.0.dates.0", sale(dates=["2022-02-30"]), ["2022-02-30"]),
    ("promotions.0.answer", sale(answer=0.5), ["demand"]),
    (
        "promotions.0.pull_forward.share",
        sale(pull_forward={"share": 1.5}),
        ["1.5", "1"],
    ),
    ("promotions.1.name", {"promotions": [SALE, SALE]}, ["Sale"]),
    ("promotions.0.depht", sale(depht=0.3), ["depth"]),
]
CASES = [*BASELINE, *NOISE, *LINKS, *PROMOTIONS]


@pytest.mark.parametrize(
    ("path", "fields", "needed"), CASES, ids=[f"{case[0]}-{case[2]}" for case in CASES]
)
def test_what_is_impossible_is_refused_at_its_path(
    path: str, fields: dict[str, Any], needed: list[str]
) -> None:
    error = refusal(lambda: generate(BASE | fields))
    # An error may be filed at an entry of what was written, or at the key of a kind.
    assert error.path == path or error.path.startswith(f"{path}.")
    text = str(error).removeprefix(error.path)
    missing = [word for word in needed if word not in text]
    assert not missing, f"{error} does not say {missing}"


ALLOWED: list[dict[str, Any]] = [
    event(geos=["south"]),
    event(scales="baseline"),
    event(shape="step"),
    event(shape="dip", width_days=40.0),
    holiday(),
    {"control_variables": [PRICE | {"scales": "baseline"}]},
    regions(level_path="random_walk"),
    regions(season_path="smooth", seasonal_amplitude=0.2),
    regions(season_shift=-20.0, seasonal_amplitude=0.2),
    regions(capacity=1.5),
    regions(outliers={"share": 0.02, "size": 6.0}),
    regions(noise={"kind": "gaussian", "level_power": 1.0}),
    regions(noise={"kind": "ar1", "shared": 0.5}),
    {"channels": [{"name": "TV", "spillover": 0.2}]},
    LOG,
    LOG | regions(sales_trend=-0.01),
    goodwill(),
    goodwill(forget=0.0),
    sale(),
    sale(answer=0.5) | {"demand": {}},
]


@pytest.mark.parametrize("fields", ALLOWED, ids=map(str, ALLOWED))
def test_what_the_refusals_start_from_is_allowed(fields: dict[str, Any]) -> None:
    assert isinstance(generate(BASE | fields)["y"].sum().item(), float)


def test_a_log_link_and_goodwill_exclude_each_other() -> None:
    error = refusal(lambda: m.MMMDataConfig(**BASE | LOG | goodwill()))
    assert error.path in ("link", "response")


def test_a_capacity_below_base_sales_is_refused_for_any_geo() -> None:
    """It is a multiple of the base sales of the geo, so that large geos have more room."""
    people = regions(capacity=1.1, population=[1e6, 9e6])
    ds = generate(BASE | people)
    assert (ds["y"] <= ds["capacity"]).all()
    assert ds["capacity"].values.tolist() == pytest.approx([11_000.0, 99_000.0])
