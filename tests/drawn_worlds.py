"""Random configurations in which several mechanisms work at once.

``worlds`` draws mappings. `drawn_world` generates from them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeAlias

import xarray as xr
from hypothesis import assume
from hypothesis import strategies as st

import mmm_xgen as m
from tests.strategies import generate, share

CURVES = {
    "hill_function": {"slope": 1.4, "kappa": 1.3},
    "logistic_saturation": {"lam": 1.1},
    "inverse_scaled_logistic_saturation": {"lam": 1.1},
    "michaelis_menten": {"alpha": 1.5, "lam": 1.2},
    "hill_saturation_sigmoid": {"sigma": 1.2, "beta": 2.0, "lam": 1.1},
    "tanh_saturation": {"b": 1.3, "c": 1.2},
    "tanh_saturation_baselined": {"x0": 1.0, "gain": 0.5, "r": 0.6},
    "root_saturation": {"alpha": 0.6},
    "log_saturation": {},
    "no_saturation": {},
}
ADSTOCKS = {
    "geometric_adstock": {"alpha": 0.6},
    "delayed_adstock": {"alpha": 0.4, "theta": 1.0},
    "binomial_adstock": {"alpha": 0.5},
    "weibull_adstock": {"lam": 1.5, "k": 1.6},
    "beta_gamma_adstock": {"shape": 2.0, "rate": 0.8},
    "no_adstock": {},
}
PATHS = {
    "random_walk": {"sd": 0.1},
    "smooth": {"sd": 0.4},
    "linear_drift": {"start": 1.4, "end": 0.6},
    "step_change": {"at": 0.4, "change": 0.5},
    "seasonal_response": {"amplitude": 0.4},
    "wear_out": {"rate": 0.15},
}
RULES = {
    "planned": {},
    "follows_demand": {"strength": 0.3, "lag": 2},
    "follows_forecast": {"strength": 0.3, "error": 0.4},
    "search": {"elasticity": 0.3, "cap": 1.1},
}
NAMES = ("TV", "Radio", "Search", "Web")
Draw = st.DrawFn
# Tells if a mechanism of that name is on in the world that is being drawn.
Some: TypeAlias = Callable[[str], bool]


NEW_CURVES = ("sigmoid_saturation", "polynomial_saturation", "piecewise_linear_saturation")
CURVES |= {kind: {} for kind in (*NEW_CURVES, "threshold_saturation")}
ADSTOCKS["beta_gamma_decay"] = {}
# Curves with kinks, where a central difference is not the derivative.
KINKED = {"polynomial_saturation", "piecewise_linear_saturation", "threshold_saturation"}
# Paths of the baseline: those that do not follow spend.
BASELINE_PATHS = {
    "random_walk": {"sd": 0.04},
    "smooth": {"sd": 0.1},
    "linear_drift": {"start": 0.9, "end": 1.1},
    "seasonal_response": {"amplitude": 0.1},
}


# Mechanisms that `worlds` may draw.
MECHANISMS = (
    *("link", "response", "promotions", "geos", "scales", "shapes", "level_path", "season_path"),
    *("season_shift", "level_power", "shared", "outliers", "capacity", "spillover"),
    *("over_reporting", "elasticity", "events", "competitor", "mediators", "pull_forward"),
    *("campaigns", "noise"),
)
# What cannot be where sales are multiplicative.
NOT_WITH_LOG = ("response", "competitor", "noise", "level_power")


@st.composite
def worlds(
    draw: Draw,
    *,
    paid: bool = True,
    max_periods: int = 26,
    on: Collection[str] = (),
    without: Collection[str] = (),
) -> dict[str, Any]:
    """Mapping of a configuration with several mechanisms at once.

    Mechanisms named in `on` are on, and those in `without` are off, ``"kinks"`` of curves included.
    Those that exclude each other are not drawn together.
    """
    without = {*without, *(("link",) if {*on} & {*NOT_WITH_LOG} else ())}
    if "link" in on or ("link" not in without and draw(st.integers(0, 3)) == 3):
        on, without = {*on, "link"}, {*without, *NOT_WITH_LOG}
    else:
        without.add("link")

    def some(mechanism: str) -> bool:
        is_drawn = draw(st.integers(0, 3)) == 3 or mechanism in on
        return is_drawn and mechanism not in without

    names = list(NAMES[: draw(st.integers(2, len(NAMES)))])
    has_demand = draw(st.booleans()) or draw(st.booleans())
    link = "log" if some("link") else "goodwill" if some("response") else "identity"
    kinds = {
        "has_demand": has_demand,
        "is_pressure": link == "goodwill",
        "is_smooth": "kinks" in without,
    }
    config: dict[str, Any] = {
        "n_periods": draw(st.integers(8, max_periods)),
        "burn_in_periods": draw(st.sampled_from([0, 3, 9])),
        "seed": draw(st.integers(0, 2**32 - 1)),
        "revenue_per_kpi": draw(st.sampled_from([1.0, 2.5])),
        "channels": [draw(_channels(name, some, **kinds)) for name in names],
        "control_variables": [{"name": "Price", "gamma_control": -50.0}, {"name": "Rain"}],
        "regions": draw(_regions(some, link)),
        "transforms": {"spend_unit": "base_spend", "adstock_first": draw(st.booleans())},
        "funnels": draw(_funnels(names, paid=paid)),
        "interactions": draw(_interactions(names)),
    }
    if has_demand:
        config["demand"] = draw(_demand())
    if some("scales") or some("elasticity"):
        config["control_variables"].append(draw(_price(some)))
    if some("events") or {"shapes", "geos"} & {*on}:
        config["events"] = [draw(_event(some, config["regions"]["region_names"]))]
    if some("promotions"):
        config["promotions"] = [draw(_promotion(has_demand=has_demand))]
    if some("competitor"):
        config["competitor"] = {"share": 0.05, "answer": 0.5, "dampening": 0.3}
    if some("mediators"):
        parents = {names[0]: 0.5, names[1]: 0.2}
        config["mediators"] = [
            {"name": "Awareness", "parents": parents, "persistence": 0.2, "observed": "no"}
        ]
    if link == "log":
        config["link"] = "log"
    if link == "goodwill":
        config["response"] = draw(_goodwill())
        if "kinks" in without:
            # Pressure below what people feel anyway ends at 0, with a kink.
            for pair in config["interactions"]:
                pair["strength"] = abs(pair["strength"])
            for channel in config["channels"]:
                channel.pop("pull_forward", None)
    return config


@st.composite
def _channels(
    draw: Draw, name: str, some: Some, *, has_demand: bool, is_pressure: bool, is_smooth: bool
) -> dict[str, Any]:
    pattern = draw(st.sampled_from(["linear_trend", "seasonal", "pulsed"]))
    adstock = draw(st.sampled_from(sorted(ADSTOCKS)))
    curve = draw(st.sampled_from(sorted({*CURVES} - (KINKED if is_smooth else set()))))
    channel: dict[str, Any] = {
        "name": name,
        "pattern": {"kind": pattern},
        "base_spend": draw(st.sampled_from([300.0, 1000.0])),
        "spend_volatility": draw(share(0.0, 0.5)),
        "adstock": {"kind": adstock, **ADSTOCKS[adstock]},
        "saturation": {"kind": curve, **CURVES[curve]},
    }
    if adstock == "weibull_adstock":
        channel["adstock"]["type"] = draw(st.sampled_from(["PDF", "CDF"]))
    if pattern == "pulsed":
        channel["pattern"] |= {"pulse_on_periods": 3, "pulse_off_periods": 2}
    if adstock not in ("no_adstock", "beta_gamma_decay"):
        channel["adstock"] |= {"l_max": draw(st.integers(5, 8)), "normalize": draw(st.booleans())}
    if draw(st.booleans()):
        channel["roas"] = draw(share(1.0, 4.0))
    else:
        channel["base_effectiveness"] = draw(st.sampled_from([0.0, 0.05, 0.1]))
    if draw(st.booleans()):
        kind = draw(st.sampled_from(sorted(PATHS)))
        channel["effect_path"] = {"kind": kind, **PATHS[kind], "shared": draw(st.booleans())}
    if has_demand and draw(st.booleans()):
        kind = draw(st.sampled_from(sorted(RULES)))
        channel["budget_rule"] = {"kind": kind, **RULES[kind]}
    if some("pull_forward"):
        channel["pull_forward"] = {"share": draw(share(0.1, 0.6)), "periods": 3}
    if some("campaigns"):
        channel["campaigns"] = [{"name": "x", "quality": 0.4}, {"name": "y", "share": 2}]
    if some("spillover"):
        channel["spillover"] = draw(share(0.05, 0.6))
    if some("over_reporting"):
        channel["over_reporting"] = 0.5
    if is_pressure and draw(st.booleans()):
        channel |= {"adstock": {"kind": "no_adstock"}, "saturation": {"kind": "no_saturation"}}
    return channel


@st.composite
def _regions(draw: Draw, some: Some, link: str) -> dict[str, Any]:
    n_geos = draw(st.integers(1, 3))
    regions: dict[str, Any] = {
        "region_names": ["north", "south", "west"][:n_geos],
        "population": [1e6, 2e6, 5e5][:n_geos],
        "geo_response": draw(st.sampled_from(["per_capita", "common"])),
        "base_sales_rate": 20_000.0,
        "seasonal_amplitude": 0.1,
        "sales_trend": 0.001,
        "noise": {"kind": "lognormal" if link == "log" else "gaussian", "sales_volatility": 0.02},
        "similarity": draw(st.sampled_from([1.0, 0.8])),
    }
    if some("noise") and link != "log":
        regions["noise"]["kind"] = "ar1"
    if some("level_power"):
        regions["noise"]["level_power"] = draw(share(0.2, 1.5))
    if some("shared"):
        regions["noise"]["shared"] = draw(share(0.1, 1.0))
    if some("outliers"):
        regions["outliers"] = {"share": 0.1, "size": 5.0}
    if some("capacity"):
        regions["capacity"] = draw(st.sampled_from([1.15, 1.4, 2.0]))
    for mechanism in ("level_path", "season_path"):
        if some(mechanism):
            kind = draw(st.sampled_from(sorted(BASELINE_PATHS)))
            regions[mechanism] = {"kind": kind, **BASELINE_PATHS[kind]}
    if some("season_shift"):
        regions["season_shift"] = draw(st.sampled_from([-30.0, 20.0]))
    return regions


@st.composite
def _price(draw: Draw, some: Some) -> dict[str, Any]:
    price = {"name": "Fee", "pattern": "uniform", "low": 0.8, "high": 1.2, "base_value": 10.0}
    price["elasticity"] = draw(share(-1.5, 0.5))
    return price | ({"scales": "baseline"} if some("scales") else {})


@st.composite
def _event(draw: Draw, some: Some, geos: list[str]) -> dict[str, Any]:
    event: dict[str, Any] = {
        "name": "launch",
        "dates": [draw(st.sampled_from(["2022-01-20", "2022-02-08"]))],
        "effect": draw(share(-0.1, 0.2)),
        "shape": draw(st.sampled_from(["pulse", "gaussian", "decay"])),
        "width_days": 14.0,
    }
    if some("shapes"):
        event["shape"] = draw(st.sampled_from(["step", "dip"]))
        if event["shape"] == "step":
            del event["width_days"]
    if some("geos"):
        event["geos"] = [draw(st.sampled_from(geos))]
    if some("scales"):
        event["scales"] = "baseline"
    return event


@st.composite
def _promotion(draw: Draw, *, has_demand: bool) -> dict[str, Any]:
    promotion: dict[str, Any] = {
        "name": "Sale",
        "depth": draw(share(0.05, 0.4)),
        "elasticity": draw(share(-2.5, -0.5)),
        "shared": draw(st.booleans()),
    }
    if draw(st.booleans()):
        promotion |= {"share": 0.3, "duration": 2}
        if has_demand and draw(st.booleans()):
            promotion["answer"] = 0.8
    else:
        promotion["dates"] = ["2022-01-17", "2022-02-07"]
    if draw(st.booleans()):
        promotion["pull_forward"] = {"share": draw(share(0.1, 0.5)), "periods": 3}
    return promotion


@st.composite
def _goodwill(draw: Draw) -> dict[str, Any]:
    """Response with memory, with rates such that little is left after 100 periods."""
    return {
        "kind": "goodwill",
        "organic": draw(share(0.02, 0.2)),
        "forget": draw(share(0.2, 0.4)),
        "cool": 0.2,
        "convert": draw(share(0.1, 0.3)),
        "churn": draw(share(0.2, 0.6)),
    }


@st.composite
def _demand(draw: Draw) -> dict[str, Any]:
    return {
        "effect": draw(share(-0.05, 0.1)),
        "persistence": draw(share(0.0, 0.9)),
        "shared": draw(st.sampled_from([0.0, 0.5, 1.0])),
        "season": draw(st.sampled_from([0.0, 0.3])),
        "indicators": [{"name": "Queries", "level": 50.0, "loading": 2.0, "reliability": 0.6}],
        "drivers": draw(st.sampled_from([[], [{"control": "Rain", "share": 0.4}]])),
    }


@st.composite
def _funnels(draw: Draw, names: list[str], *, paid: bool) -> list[dict[str, Any]]:
    order = draw(st.permutations(names))
    pairs = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :]]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=3, unique=True))
    return [
        {
            "source": source,
            "target": target,
            "strength": draw(share(-0.2, 0.6)),
            "lag": draw(st.integers(0, 3)),
            "paid": paid and draw(st.booleans()),
        }
        for source, target in chosen
    ]


@st.composite
def _interactions(draw: Draw, names: list[str]) -> list[dict[str, Any]]:
    pairs = [[a, b] for i, a in enumerate(names) for b in names[i + 1 :]]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=2, unique_by=tuple))
    return [{"channels": pair, "strength": draw(share(-0.03, 0.05))} for pair in chosen]


def drawn_world(config: dict[str, Any], **options: Any) -> xr.Dataset:
    """Dataset of a drawn configuration.

    Returns that are out of reach are no example, nor are sales below 0 whose noise follows them,
    nor rules by which spend and sales feed each other without limit.
    """
    try:
        return generate(config, **options)
    except m.ConfigError as error:
        is_expected = any(word in str(error) for word in ("roas", "not above 0", "explodes"))
        assume(not is_expected)
        raise
