"""Steps from what media add to the sales they make, in plain Python, one number at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import xarray as xr

from tests.population import RATES, one_period
from tests.scalar_baseline import ScalarBaseline, settings_of


class ScalarLink(Protocol):
    """What all media of a geo add, the dates of the history first, to sales from the window on."""

    def sales(self, g: int, added: Sequence[float], n_past: int) -> list[float]: ...


class Identity:
    """Sales are what media add."""

    def sales(self, g: int, added: Sequence[float], n_past: int) -> list[float]:
        return list(added[n_past:])


class Log:
    """Media multiply sales: they add to the log of expected sales."""

    def __init__(self, ds: xr.Dataset) -> None:
        self.without = ScalarBaseline(ds).total()

    def sales(self, g: int, added: Sequence[float], n_past: int) -> list[float]:
        window = added[n_past:]
        return [self.without_media(g, t) * (math.exp(x) - 1) for t, x in enumerate(window)]

    def without_media(self, g: int, t: int) -> float:
        """Expected sales without media; after the last date they stay as they were on it."""
        return self.without[g][min(t, len(self.without[g]) - 1)]


class Goodwill:
    """Shares of people move between states, date by date; media raise awareness.

    Sales are the difference between what people buy with the pressure of media and without it.
    """

    def __init__(self, ds: xr.Dataset) -> None:
        self.ds = ds
        self.starts: dict[int, list[float]] = {}

    def sales(self, g: int, added: Sequence[float], n_past: int) -> list[float]:
        rates = {name: self.number(g, name) for name in RATES}
        if g not in self.starts:
            self.starts[g] = steady_state(rates)
        state, size, made = self.starts[g], self.number(g, "size"), []
        before = bought(state, rates)
        for pressure in added:
            state = one_period(state, pressure, rates)
            made.append(size * (bought(state, rates) - before))
        return made[n_past:]

    def number(self, g: int, name: str) -> float:
        return float(self.ds[f"response_{name}"].values.ravel()[g])


def bought(state: list[float], rates: dict[str, float]) -> float:
    return rates["trial"] * state[2] + state[3]


def steady_state(rates: dict[str, float]) -> list[float]:
    """People without media, after many periods."""
    state = [1.0, 0.0, 0.0, 0.0]
    for _ in range(5000):
        before, state = state, one_period(state, 0.0, rates)
        if max(abs(new - old) for new, old in zip(state, before, strict=True)) < 1e-17:
            break
    return state


def link_of(ds: xr.Dataset) -> Any:
    """Link of a Dataset: that of its configuration, or none."""
    config = settings_of(ds)
    if getattr(config, "link", "identity") == "log":
        return Log(ds)
    return Identity() if getattr(config, "response", None) is None else Goodwill(ds)
