"""Steps from what media add to the sales they make, in plain Python, one number at a time.

Small functions with SPEC LEFT OPEN in their docstring hold what the specification of issue 17
leaves to its builders.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import xarray as xr

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
        """Expected sales without media.

        SPEC LEFT OPEN: after the last date they stay as they were on it.
        """
        return self.without[g][min(t, len(self.without[g]) - 1)]


class Goodwill:
    """Shares of people move between states, date by date; media raise awareness.

    Sales are the difference between what people buy with the pressure of media and without it.
    """

    def __init__(self, ds: xr.Dataset) -> None:
        self.ds, self.response = ds, settings_of(ds).response
        self.starts: dict[int, dict[str, float]] = {}

    def sales(self, g: int, added: Sequence[float], n_past: int) -> list[float]:
        with_media, without = self.bought(g, added), self.bought(g, [0.0] * len(added))
        return [a - b for a, b in zip(with_media, without, strict=True)][n_past:]

    def bought(self, g: int, pressure: Sequence[float]) -> list[float]:
        rates = {name: self.number(g, name) for name in ("organic", *RATES)}
        if g not in self.starts:
            self.starts[g] = self.start(rates)
        size, state, made = self.number(g, "size"), self.starts[g], []
        for each in pressure:
            state = moved(state, 1 - math.exp(-(rates["organic"] + each)), rates)
            made.append(size * (0.3 * state["considering"] + state["loyal"]))
        return made

    def start(self, rates: dict[str, float]) -> dict[str, float]:
        """Shares before the first date of the history.

        SPEC LEFT OPEN: those that stay as they are without media, reached after many dates.
        """
        state = {"unaware": 1.0, "aware": 0.0, "considering": 0.0, "loyal": 0.0}
        for _ in range(5000):
            before, state = state, moved(state, 1 - math.exp(-rates["organic"]), rates)
            if max(abs(state[name] - before[name]) for name in state) < 1e-17:
                break
        return state

    def number(self, g: int, name: str) -> float:
        """Number of the response in a geo.

        SPEC LEFT OPEN: the Dataset has ``goodwill_<name>`` (geo); the size is in KPI units.
        """
        if f"goodwill_{name}" in self.ds:
            return float(self.ds[f"goodwill_{name}"].values.ravel()[g])
        value = float(getattr(self.response, name))
        base = float(self.ds["intercept_contribution"].values[g])
        return value * base if name == "size" else value


RATES = ("convert", "forget", "cool", "churn")


def moved(state: dict[str, float], p: float, rates: dict[str, float]) -> dict[str, float]:
    """Shares of the next date: all moves at once, from the shares of the date before.

    SPEC LEFT OPEN: sales of a date count the shares after the moves of this date.
    """
    unaware, aware, considering, loyal = (
        state[name] for name in ("unaware", "aware", "considering", "loyal")
    )
    forgotten = rates["forget"] * (aware + considering)
    return {
        "unaware": unaware * (1 - p) + forgotten,
        "aware": aware * (1 - p - rates["forget"]) + unaware * p + rates["cool"] * considering,
        "considering": considering * (1 - rates["convert"] - rates["forget"] - rates["cool"])
        + aware * p
        + rates["churn"] * loyal,
        "loyal": loyal * (1 - rates["churn"]) + rates["convert"] * considering,
    }


def link_of(ds: xr.Dataset) -> Any:
    """Link of a Dataset: that of its configuration, or none."""
    config = settings_of(ds)
    if getattr(config, "link", "identity") == "log":
        return Log(ds)
    return Identity() if getattr(config, "response", None) is None else Goodwill(ds)
