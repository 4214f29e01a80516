"""Random configurations in which several mechanisms work at once.

``worlds`` draws mappings. `drawn_world` generates from them.
"""

from __future__ import annotations

from typing import Any

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


@st.composite
def worlds(draw: Draw, *, paid: bool = True, max_periods: int = 26) -> dict[str, Any]:
    """Mapping of a configuration with several mechanisms at once."""
    names = list(NAMES[: draw(st.integers(2, len(NAMES)))])
    has_demand = draw(st.booleans()) or draw(st.booleans())
    config: dict[str, Any] = {
        "n_periods": draw(st.integers(8, max_periods)),
        "burn_in_periods": draw(st.sampled_from([0, 3, 9])),
        "seed": draw(st.integers(0, 2**32 - 1)),
        "revenue_per_kpi": draw(st.sampled_from([1.0, 2.5])),
        "channels": [draw(_channels(name, has_demand=has_demand)) for name in names],
        "control_variables": [{"name": "Price", "gamma_control": -50.0}, {"name": "Rain"}],
        "regions": draw(_regions()),
        "transforms": {"spend_unit": "base_spend", "adstock_first": draw(st.booleans())},
        "funnels": draw(_funnels(names, paid=paid)),
        "interactions": draw(_interactions(names)),
    }
    if has_demand:
        config["demand"] = draw(_demand())
    return config


@st.composite
def _channels(draw: Draw, name: str, *, has_demand: bool) -> dict[str, Any]:
    pattern = draw(st.sampled_from(["linear_trend", "seasonal", "pulsed"]))
    adstock = draw(st.sampled_from(sorted(ADSTOCKS)))
    curve = draw(st.sampled_from(sorted(CURVES)))
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
    if adstock != "no_adstock":
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
    return channel


@st.composite
def _regions(draw: Draw) -> dict[str, Any]:
    n_geos = draw(st.integers(1, 3))
    return {
        "region_names": ["north", "south", "west"][:n_geos],
        "population": [1e6, 2e6, 5e5][:n_geos],
        "geo_response": draw(st.sampled_from(["per_capita", "common"])),
        "base_sales_rate": 20_000.0,
        "seasonal_amplitude": 0.1,
        "sales_trend": 0.001,
        "sales_volatility": 0.02,
        "similarity": draw(st.sampled_from([1.0, 0.8])),
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


def drawn_world(config: dict[str, Any]) -> xr.Dataset:
    """Dataset of a drawn configuration; a return that connections put out of reach is none."""
    try:
        return generate(config)
    except m.ConfigError as error:
        assume(".roas" not in str(error))
        raise
