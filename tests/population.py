"""A population in plain Python loops over people's states, and worlds with one.

Falls and climbs are two matrices of probabilities, from the documentation and not from the package.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

import mmm_xgen as m
from tests.strategies import quietly

STATES = ("aware_share", "considering_share", "loyal_share")
NAMES = ("TV", "Radio", "Search")
# Some four rates of WORLDS' table are 0.5 and more: their falls sum to more than 1.
RATES = {"forget": 0.15, "cool": 0.2, "convert": 0.2, "churn": 0.12, "organic": 0.1, "trial": 0.3}


def made(response: Any = "goodwill", **config: Any) -> xr.Dataset:
    """Dataset of a small world with a population, a burn-in and two unlike geos."""
    rates = (0.05, 0.1, 0.15)
    settings: dict[str, Any] = {
        "n_periods": 40,
        "seed": 3,
        "burn_in_periods": 6,
        "channels": [
            {
                "name": name,
                "base_spend": 900.0,
                "spend_volatility": 0.5,
                "base_effectiveness": rate,
                **({"pattern": "on_off"} if name == "Radio" else {}),
            }
            for name, rate in zip(NAMES, rates, strict=True)
        ],
        "regions": {"n_regions": 2, "population": [1e6, 3e6]},
        "response": response,
    }
    return quietly(lambda: m.generate_mmm_dataset({**settings, **config}))


def whole_spend(ds: xr.Dataset) -> np.ndarray:
    """Spend from the first date of the history on, dims (date, geo, channel)."""
    spend = ds["spend"].transpose("date", "geo", "channel").values
    if "spend_history" not in ds:
        return spend
    past = ds["spend_history"].transpose("history_date", "geo", "channel").values
    return np.concatenate([past, spend])


def pressures(ds: xr.Dataset, spend: np.ndarray) -> np.ndarray:
    """Pressure of media that are linear and have no adstock, dims (date, geo)."""
    rate = ds["effect"].transpose("geo", "channel").values
    unit = ds["spend_unit"].transpose("geo", "channel").values
    return (rate * spend / unit).sum(axis=-1)


def moved(state: list[float], rows: list[list[float]]) -> list[float]:
    """People after some moves: `rows` has the probabilities from each state to each other."""
    return [sum(state[i] * rows[i][j] for i in range(4)) for j in range(4)]


def one_period(state: list[float], pressure: float, rates: dict[str, float]) -> list[float]:
    """Unaware, aware, considering and loyal people after falls and climbs."""
    f, cool, convert, churn = (rates[k] for k in ("forget", "cool", "convert", "churn"))
    p = 1 - math.exp(-max(rates["organic"] + pressure, 0.0))
    falls = [
        [1, 0, 0, 0],
        [f, 1 - f, 0, 0],
        [f, (1 - f) * cool, (1 - f) * (1 - cool), 0],
        [0, 0, churn, 1 - churn],
    ]
    climbs = [[1 - p, p, 0, 0], [0, 1 - p, p, 0], [0, 0, 1 - convert, convert], [0, 0, 0, 1]]
    return moved(moved(state, falls), climbs)


def scalar_states(pressure: np.ndarray, rates: dict[str, float]) -> np.ndarray:
    """Shares of people by date from the steady state on, dims (date, state), for one geo."""
    state = [1.0, 0.0, 0.0, 0.0]
    for _ in range(4000):
        state = one_period(state, 0.0, rates)
    found = [state]
    for pressed in pressure.tolist():
        found.append(one_period(found[-1], pressed, rates))
    return np.array(found)


def scalar_sales(ds: xr.Dataset, spend: np.ndarray, rates: dict[str, float]) -> np.ndarray:
    """Sales of media by date and geo from the first date of the history on."""
    by_geo = []
    for geo, pressure in enumerate(pressures(ds, spend).T):
        states = scalar_states(pressure, rates)
        bought = rates["trial"] * states[:, 2] + states[:, 3]
        by_geo.append(float(ds["response_size"][geo]) * (bought[1:] - bought[0]))
    return np.array(by_geo).T
