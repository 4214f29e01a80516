"""The structural equation in plain Python loops.

`ScalarWorld` reads the parameters that a Dataset stores and computes its sales for any spend, one
number at a time. Its formulas come from the documentation and from PyMC-Marketing's, not from the
package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from tests.scalar_baseline import settings_of
from tests.scalar_kinds import amplitude_name, curve, lag_weights
from tests.scalar_links import Identity, Log, link_of

# Spend, or any series, as [geo][channel][date], the dates of the history first.
Series = list[list[list[Any]]]
# Stages of one channel by name, [geo][date].
Stages = dict[str, list[list[Any]]]
STAGES = ("spend", "exposure", "carryover", "saturated")


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
        self.path, self.quality = (
            ds[name].transpose("geo", "channel", "date").values.tolist() if name in ds else None
            for name in ("effect_path", "media_quality")
        )
        self.kinds = [str(kind) for kind in ds["saturation_kind"].values]
        self.funnels = self._connections("funnel", "source", "target", "lag", "paid")
        self.interactions = self._connections("interaction", "first", "second")
        self.price = ds["revenue_per_kpi"].transpose("geo", "date").values.tolist()
        self.population = [float(people) for people in ds["population"].values]
        self.spillover = [
            float(getattr(channel, "spillover", 0.0) or 0.0) for channel in settings_of(ds).channels
        ]
        self.link = link_of(ds)

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

    @property
    def reach(self) -> int:
        """Periods after which nothing is left of spend, or less than any tolerance."""
        own, n_funnels = int(self.ds["l_max"].max()) - 1, len(self.funnels)
        lags = [int(lag) for *_, lag, _ in self.funnels]
        chain = own * (1 + n_funnels) + sum(lags)
        # Borrowed sales come back within 3 periods, a mediator of persistence 0.2 within 17.
        return chain + 17 + (0 if isinstance(self.link, (Identity, Log)) else 150)

    def stages(self, spend: Series, *, reacting: bool = False) -> dict[str, Series]:
        """Every stage between spend and sales, [geo][channel or item][date of the window on].

        Contributions are what sales lose without the part, where a link makes sales of the sum.
        """
        done: dict[int, Stages] = {}
        for c in range(len(self.channels)):
            self._channel(c, spend, done, reacting=reacting)
        made: dict[str, Series] = {}
        for name in STAGES:
            made[name] = [
                [
                    [value * self._shown(g, c, name) for value in done[c][name][g][self.n_past :]]
                    for c in range(len(self.channels))
                ]
                for g in range(self.n_geos)
            ]
        added = self._added(done)
        made["remainder_contribution"] = []
        for name in added:
            made[name] = []
        for g in range(self.n_geos):
            rows = [row for part in added.values() for row in part[g]]
            total = [sum(column) for column in zip(*rows, strict=True)]
            sales = self.link.sales(g, total, self.n_past)
            rest = list(sales)
            for name, part in added.items():
                lost = [self._lost(g, total, sales, row) for row in part[g]]
                made[name].append(lost)
                for row in lost:
                    rest = [left - value for left, value in zip(rest, row, strict=True)]
            made["remainder_contribution"].append([rest])
        return made

    def _lost(self, g: int, total: list[Any], sales: list[Any], row: list[Any]) -> list[Any]:
        """Sales that a geo loses without one of the things that media add."""
        if isinstance(self.link, Identity):
            return row[self.n_past :]
        without = [all_of - own for all_of, own in zip(total, row, strict=True)]
        left = self.link.sales(g, without, self.n_past)
        return [today - other for today, other in zip(sales, left, strict=True)]

    def sales(self, spend: Series) -> list[list[Any]]:
        """Sales that all media make, [geo][date of the window on], in KPI units per period."""
        added, made = self.added(spend), []
        for g in range(self.n_geos):
            rows = [row for part in added.values() for row in part[g]]
            total = [sum(column) for column in zip(*rows, strict=True)]
            made.append(self.link.sales(g, total, self.n_past))
        return made

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

    # -------------------------------------------------------------- one channel in all geos

    def _channel(self, c: int, spend: Series, done: dict[int, Stages], *, reacting: bool) -> Stages:
        """Stages of a channel in every geo, its sources first."""
        if c in done:
            return done[c]
        n_dates = len(spend[0][c])
        paid, unpaid = ([[0.0] * n_dates for _ in spend] for _ in range(2))
        for strength, source, target, lag, is_paid in self.funnels:
            if target != self.channels[c]:
                continue
            start = self.channels.index(source)
            response = self._channel(start, spend, done, reacting=reacting)["response"]
            rise = paid if is_paid else unpaid
            for g in range(self.n_geos):
                for t in range(lag, n_dates):
                    rise[g][t] += strength[g] * response[g][t - lag]
        made: Stages = {name: [] for name in (*STAGES, "response")}
        for g in range(self.n_geos):
            rises = paid[g] if reacting else [0.0] * n_dates
            own = [s * at_least_0(1 + r) for s, r in zip(spend[g][c], rises, strict=True)]
            made["spend"].append(own)
        made["exposure"] = self._delivered(c, made["spend"], unpaid)
        for g, exposure in enumerate(made["exposure"]):
            unit = self.parameters["spend_unit"][g][c]
            if self.adstock_first:
                carryover = self._carried(g, c, exposure)
                saturated = [self._curve(g, c, x / unit) for x in carryover]
                made["response"].append(saturated)
            else:
                saturated = [self._curve(g, c, x / unit) for x in exposure]
                carryover = self._carried(g, c, saturated)
                made["response"].append(carryover)
            made["carryover"].append(carryover)
            made["saturated"].append(saturated)
        done[c] = made
        return made

    def _delivered(self, c: int, spend: list[list[Any]], unpaid: list[list[Any]]) -> Any:
        """Delivered media of a channel, [geo][date], in currency.

        Media that come without spend, and the quality of campaigns, are in what spills over.
        """
        local = [
            [
                s * at_least_0(1 + r) * self._quality(g, c, t)
                for t, (s, r) in enumerate(zip(spend[g], unpaid[g], strict=True))
            ]
            for g in range(self.n_geos)
        ]
        spilled = self.spillover[c]
        if not spilled:
            return local
        everywhere = [sum(column) for column in zip(*local, strict=True)]
        people = sum(self.population)
        return [
            [
                (1 - spilled) * own + spilled * self.population[g] / people * total
                for own, total in zip(local[g], everywhere, strict=True)
            ]
            for g in range(self.n_geos)
        ]

    def _quality(self, g: int, c: int, t: int) -> float:
        """Quality of the media; before the window and after it that of the nearest date."""
        if self.quality is None:
            return 1.0
        return self.quality[g][c][min(max(t - self.n_past, 0), self.n_dates - 1)]

    def _carried(self, g: int, c: int, series: list[Any]) -> list[Any]:
        weights, total = self.weights[g][c], []
        for t in range(len(series)):
            kept: Any = 0.0
            for lag in range(min(len(weights), t + 1)):
                kept += weights[lag] * series[t - lag]
            total.append(kept)
        return total

    # -------------------------------------------------------------- what media add

    def added(self, spend: Series) -> dict[str, Series]:
        """What channels, pairs and mediators add, [geo][item][date], the history first."""
        done: dict[int, Stages] = {}
        for c in range(len(self.channels)):
            self._channel(c, spend, done, reacting=False)
        return self._added(done)

    def _added(self, done: dict[int, Stages]) -> dict[str, Series]:
        geos, channels = range(self.n_geos), range(len(self.channels))
        added = {"channel_contribution": [[self._own(g, c, done) for c in channels] for g in geos]}
        added["interaction_contribution"] = [self._pairs(g, done) for g in geos]
        if "mediator" in self.ds.dims:
            added["mediator_contribution"] = [self._mediators(g, done) for g in geos]
        return added

    def _own(self, g: int, c: int, done: dict[int, Stages]) -> list[Any]:
        effect, response = self._amplitude(g, c), done[c]["response"][g]
        moved = [value * self._path(g, c, t) for t, value in enumerate(response)]
        if "pull_forward_share" not in self.parameters:
            return [effect * value for value in moved]
        share = self.parameters["pull_forward_share"][g][c]
        periods = int(self.ds["pull_forward_periods"].values[c])
        return [
            effect * (value - share / max(periods, 1) * sum(moved[max(t - periods, 0) : t]))
            for t, value in enumerate(moved)
        ]

    def _path(self, g: int, c: int, t: int) -> float:
        """Effect of a date; before the window and after it that of the nearest date."""
        if self.path is None:
            return 1.0
        return self.path[g][c][min(max(t - self.n_past, 0), self.n_dates - 1)]

    def _amplitude(self, g: int, c: int) -> float:
        """Number that multiplies the curve of amplitude 1; some curves have it in a parameter."""
        name = amplitude_name(self.kinds[c])
        return float(self.parameters[f"saturation_{name}"][g][c])

    def _shown(self, g: int, c: int, stage: str) -> float:
        """Ratio of a stage in the Dataset, which is per unit of effect, to that of amplitude 1."""
        effect = self.parameters["effect"][g][c]
        after_curve = ("saturated",) if self.adstock_first else ("saturated", "carryover")
        return self._amplitude(g, c) / effect if stage in after_curve and effect else 1.0

    def _pairs(self, g: int, done: dict[int, Stages]) -> list[list[Any]]:
        pairs = []
        for strength, *names in self.interactions:
            first, second = (done[self.channels.index(name)]["response"][g] for name in names)
            pairs.append([strength[g] * a * b for a, b in zip(first, second, strict=True)])
        return pairs

    def _mediators(self, g: int, done: dict[int, Stages]) -> list[list[Any]]:
        rows = []
        loading = self.ds["mediator_loading"].transpose("mediator", "channel").values.tolist()
        effect = self.ds["mediator_effect"].transpose("geo", "mediator").values.tolist()[g]
        for mediator, kept in enumerate(self.ds["mediator_persistence"].values.tolist()):
            state, row = 0.0, []
            for t in range(len(done[0]["response"][g])):
                risen = sum(
                    loading[mediator][c] * done[c]["response"][g][t] for c in range(len(done))
                )
                state = kept * state + (1 - kept) * risen
                row.append(effect[mediator] * state)
            rows.append(row)
        return rows

    # -------------------------------------------------------------- kinds

    def _weights(self, g: int, c: int) -> list[float]:
        kind, length = str(self.ds["adstock_kind"].values[c]), int(self.ds["l_max"].values[c])
        density = "adstock_type" not in self.ds or self.ds["adstock_type"].values[c] == "PDF"
        weights = lag_weights(
            kind, length, lambda name: self.parameters[f"adstock_{name}"][g][c], density=density
        )
        if not bool(self.ds["normalize"].values[c]):
            return weights
        return [w / sum(weights) for w in weights]

    def _curve(self, g: int, c: int, x: Any) -> Any:
        """Curve of amplitude 1 at x."""
        return curve(self.kinds[c], x, lambda name: self.parameters[f"saturation_{name}"][g][c])


def at_least_0(value: Any) -> Any:
    """A negative funnel may lower media to nothing, and not below."""
    return value if value > 0 else 0.0


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
