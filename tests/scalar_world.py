"""The structural equation in plain Python loops, and configurations with several causes at once.

`ScalarWorld` reads the parameters that a Dataset stores and computes its sales for any spend, one
number at a time. Its formulas come from the documentation and from PyMC-Marketing's, not from the
package. ``worlds`` draws configurations in which several mechanisms work at once.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from hypothesis import assume
from hypothesis import strategies as st

import mmm_xgen as m
from tests.strategies import generate, share

# Spend, or any series, as [geo][channel][date], the dates of the history first.
Series = list[list[list[Any]]]


class ScalarWorld:
    """Sales of one Dataset as a function of spend, with everything else held.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset.
    """

    def __init__(self, ds: xr.Dataset) -> None:
        self.ds = ds
        self.channels = [str(name) for name in ds["channel"].values]
        self.n_geos, self.n_dates = ds.sizes["geo"], ds.sizes["date"]
        self.n_past = ds.sizes.get("history_date", 0)
        self.adstock_first = bool(ds.attrs["adstock_first"])
        self.parameters = {
            str(name): ds[name].transpose("geo", "channel").values.tolist()
            for name in ds.data_vars
            if set(ds[name].dims) == {"geo", "channel"}
        }
        self.weights = [
            [self._weights(g, c) for c in range(len(self.channels))] for g in range(self.n_geos)
        ]
        self.path = (
            ds["effect_path"].transpose("geo", "channel", "date").values.tolist()
            if "effect_path" in ds
            else None
        )
        self.kinds = [str(kind) for kind in ds["saturation_kind"].values]
        self.funnels = self._connections("funnel", "source", "target", "lag", "paid")
        self.interactions = self._connections("interaction", "first", "second")
        self.log_baseline = None
        if "log_channel" in ds:
            # Media are the only ones that spend moves.
            rest = np.log(ds["mu"]) - ds["log_channel"].sum("channel")
            for item in ("interaction", "mediator"):
                if f"log_{item}" in ds:
                    rest = rest - ds[f"log_{item}"].sum(item)
            self.log_baseline = rest.transpose("geo", "date").values.tolist()
        self.price = ds["revenue_per_kpi"].transpose("geo", "date").values.tolist()

    def _connections(self, name: str, *coordinates: str) -> list[tuple[Any, ...]]:
        """Strength by geo and the coordinates of each funnel or interaction."""
        if name not in self.ds.dims:
            return []
        strength = self.ds[f"{name}_strength"].transpose(name, "geo").values.tolist()
        columns = [self.ds[f"{name}_{each}"].values.tolist() for each in coordinates]
        return list(zip(strength, *columns, strict=True))

    def spend(self, plan: xr.DataArray | None = None, after: int = 0) -> Series:
        """Spend of the history, of a plan (today's by default), and 0 on dates after the last."""
        plan = self.ds["spend"] if plan is None else plan
        window = plan.transpose("geo", "channel", "date").values.tolist()
        past: Series = [[[] for _ in self.channels] for _ in range(self.n_geos)]
        if self.n_past:
            history = self.ds["spend_history"]
            past = history.transpose("geo", "channel", "history_date").values.tolist()
        return [
            [past[g][c] + window[g][c] + [0.0] * after for c in range(len(self.channels))]
            for g in range(self.n_geos)
        ]

    def stages(self, spend: Series, *, reacting: bool = False) -> dict[str, Series]:
        """Every stage between spend and sales, [geo][channel or pair][date of the window on]."""
        names = ("spend", "exposure", "carryover", "saturated", "channel_contribution")
        made: dict[str, Series] = {name: [] for name in (*names, "interaction_contribution")}
        for g in range(self.n_geos):
            done: dict[int, tuple[list[Any], ...]] = {}
            for c in range(len(self.channels)):
                self._channel(g, c, spend[g], done, reacting=reacting)
            columns = [done[c] for c in range(len(self.channels))]
            for position, name in enumerate(names[:-1]):
                made[name].append(
                    [
                        [value * self._shown(g, c, name) for value in column[position]][
                            self.n_past :
                        ]
                        for c, column in enumerate(columns)
                    ]
                )
            made["channel_contribution"].append(
                [self._contribution(g, c, column[4]) for c, column in enumerate(columns)]
            )
            made["interaction_contribution"].append(self._pairs(g, columns))
        return made

    def sales(self, spend: Series) -> list[list[Any]]:
        """Sales that all media make, [geo][date of the window on], in KPI units per period."""
        made = self.stages(spend)
        added = [
            [sum(column) for column in zip(*contributions, *pairs, strict=True)]
            for contributions, pairs in zip(
                made["channel_contribution"], made["interaction_contribution"], strict=True
            )
        ]
        if self.log_baseline is None:
            return added
        return [
            [math.exp(log[min(t, len(log) - 1)]) * math.expm1(x) for t, x in enumerate(series)]
            for log, series in zip(self.log_baseline, added, strict=True)
        ]

    def revenue(self, spend: Series, first: int = 0, last: int | None = None) -> list[Any]:
        """Revenue by geo, from one date of the window up to another, which does not count."""
        return [
            sum(
                sold * self.price[g][min(t, self.n_dates - 1)]
                for t, sold in enumerate(series)
                if t >= first and (last is None or t < last)
            )
            for g, series in enumerate(self.sales(spend))
        ]

    def scaled(
        self, spend: Series, channel: int, factor: Any, first: int | None = None, last: int = 0
    ) -> Series:
        """Spend with one channel multiplied: everywhere, or on some dates of the window."""

        def of(t: int, value: Any) -> Any:
            inside = first is None or first <= t - self.n_past < last
            return value * factor if inside else value

        return [
            [
                [of(t, value) for t, value in enumerate(series)] if c == channel else series
                for c, series in enumerate(geo)
            ]
            for geo in spend
        ]

    # -------------------------------------------------------------- one channel in one geo

    def _channel(
        self,
        g: int,
        c: int,
        spend: Sequence[list[Any]],
        done: dict[int, tuple[list[Any], ...]],
        *,
        reacting: bool,
    ) -> tuple[list[Any], ...]:
        """Spend, exposure, carryover, saturated and response of a channel, its sources first."""
        if c in done:
            return done[c]
        paid = [0.0] * len(spend[c])
        unpaid = [0.0] * len(spend[c])
        for strength, source, target, lag, is_paid in self.funnels:
            if target != self.channels[c]:
                continue
            start = self.channels.index(source)
            response = self._channel(g, start, spend, done, reacting=reacting)[4]
            rise = paid if is_paid else unpaid
            for t in range(lag, len(rise)):
                rise[t] += strength[g] * response[t - lag]
        own = [s * (1 + r) if reacting else s for s, r in zip(spend[c], paid, strict=True)]
        exposure = [s * (1 + r) for s, r in zip(own, unpaid, strict=True)]
        unit = self.parameters["spend_unit"][g][c]
        if self.adstock_first:
            carryover = self._carried(g, c, exposure)
            saturated = [self._curve(g, c, x / unit) for x in carryover]
            response = saturated
        else:
            saturated = [self._curve(g, c, x / unit) for x in exposure]
            carryover = self._carried(g, c, saturated)
            response = carryover
        done[c] = (own, exposure, carryover, saturated, response)
        return done[c]

    def _carried(self, g: int, c: int, series: list[Any]) -> list[Any]:
        weights, total = self.weights[g][c], []
        for t in range(len(series)):
            kept: Any = 0.0
            for lag in range(min(len(weights), t + 1)):
                kept += weights[lag] * series[t - lag]
            total.append(kept)
        return total

    def _contribution(self, g: int, c: int, response: list[Any]) -> list[Any]:
        effect = self._amplitude(g, c)
        after = response[self.n_past :]
        if self.path is None:
            return [effect * value for value in after]
        path = self.path[g][c]
        return [effect * value * path[min(t, len(path) - 1)] for t, value in enumerate(after)]

    def _amplitude(self, g: int, c: int) -> float:
        """Number that multiplies the curve of amplitude 1; some curves have it in a parameter."""
        own = {"michaelis_menten": "alpha", "hill_saturation_sigmoid": "sigma"}
        own["tanh_saturation"] = "b"
        name = own.get(self.kinds[c], "beta")
        return float(self.parameters[f"saturation_{name}"][g][c])

    def _shown(self, g: int, c: int, stage: str) -> float:
        """Ratio of a stage in the Dataset, which is per unit of effect, to that of amplitude 1."""
        effect = self.parameters["effect"][g][c]
        after_curve = ("saturated",) if self.adstock_first else ("saturated", "carryover")
        return self._amplitude(g, c) / effect if stage in after_curve and effect else 1.0

    def _pairs(self, g: int, columns: list[tuple[list[Any], ...]]) -> list[list[Any]]:
        pairs = []
        for strength, *names in self.interactions:
            first, second = (columns[self.channels.index(name)][4] for name in names)
            both = [strength[g] * a * b for a, b in zip(first, second, strict=True)]
            pairs.append(both[self.n_past :])
        return pairs

    # -------------------------------------------------------------- formulas of the kinds

    def _weights(self, g: int, c: int) -> list[float]:
        kind = str(self.ds["adstock_kind"].values[c])
        length = int(self.ds["l_max"].values[c])

        def p(name: str) -> float:
            return float(self.parameters[f"adstock_{name}"][g][c])

        def weibull(lag: int, *, density: bool) -> float:
            x, scale, shape = float(lag), p("lam"), p("k")
            survival = math.exp(-((x / scale) ** shape))
            return shape / scale * (x / scale) ** (shape - 1) * survival if density else survival

        if kind == "no_adstock":
            weights = [1.0] + [0.0] * (length - 1)
        elif kind == "geometric_adstock":
            weights = [p("alpha") ** lag for lag in range(length)]
        elif kind == "delayed_adstock":
            weights = [p("alpha") ** ((lag - p("theta")) ** 2) for lag in range(length)]
        elif kind == "binomial_adstock":
            weights = [(1 - lag / (length + 1)) ** (1 / p("alpha") - 1) for lag in range(length)]
        elif self._type(c) == "PDF":
            density = [weibull(lag + 1, density=True) for lag in range(length)]
            low, high = min(density), max(density)
            weights = [(w - low) / (high - low) for w in density]
        else:
            weights = [1.0]
            for lag in range(1, length):
                weights.append(weights[-1] * weibull(lag, density=False))
        if not bool(self.ds["normalize"].values[c]):
            return weights
        return [w / sum(weights) for w in weights]

    def _type(self, c: int) -> str:
        return str(self.ds["adstock_type"].values[c]) if "adstock_type" in self.ds else "PDF"

    def _curve(self, g: int, c: int, x: Any) -> Any:
        """Curve of amplitude 1 at x, which may be complex."""
        kind = self.kinds[c]

        def p(name: str) -> float:
            return float(self.parameters[f"saturation_{name}"][g][c])

        functions: Any = cmath if isinstance(x, complex) else math
        if x == 0:
            return x * 0.0
        if kind == "hill_function":
            return 1 / (1 + (p("kappa") / x) ** p("slope"))
        if kind == "logistic_saturation":
            return functions.tanh(p("lam") * x / 2)
        if kind == "inverse_scaled_logistic_saturation":
            return functions.tanh(math.log(3) / p("lam") * x / 2)
        if kind == "michaelis_menten":
            return x / (p("lam") + x)
        if kind == "hill_saturation_sigmoid":
            rise = 1 / (1 + functions.exp(-p("beta") * (x - p("lam"))))
            return rise - 1 / (1 + math.exp(p("beta") * p("lam")))
        if kind == "tanh_saturation":
            # A placebo has b = 0, and the c of b = 1.
            return functions.tanh(x / ((p("b") or 1.0) * p("c")))
        if kind == "tanh_saturation_baselined":
            turned = x / p("x0") * math.atanh(p("r"))
            return p("gain") * p("x0") / p("r") * functions.tanh(turned)
        if kind == "root_saturation":
            return x ** p("alpha")
        if kind == "log_saturation":
            return functions.log(1 + x)
        return x


def slope(function: Callable[[float], list[float]], step: float = 0.02) -> list[float]:
    """Derivatives at 0 by a central difference of the eighth order, accurate to some 12 digits."""
    weights = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
    ends = {k: (function(k * step), function(-k * step)) for k in weights}
    return [
        sum(w * (ends[k][0][i] - ends[k][1][i]) for k, w in weights.items()) / step
        for i in range(len(ends[1][0]))
    ]


def near(actual: Any, expected: Any, *, size: Any = 0.0) -> None:
    """Assert equality to 1e-9, relative to the largest value, or to a size where sums cancel."""
    expected = np.asarray(expected, dtype=float)
    largest = max(np.abs(expected).max(initial=1e-9, where=np.isfinite(expected)), np.max(size))
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=1e-9, atol=1e-9 * largest)


def as_array(series: Series | list[list[Any]]) -> np.ndarray:
    """Series as an array with the dates first, as in a Dataset: (date, geo, ...)."""
    array = np.array(series, dtype=float)
    return array.transpose(-1, *range(array.ndim - 1))


# ------------------------------------------------------------------ configurations

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
