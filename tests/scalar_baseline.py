"""Sales without media in plain Python, one number at a time: identity and log link.

`ScalarBaseline` reads the parameters and the drawn series of a Dataset (demand, paths, depths,
values of controls). With the identity link a part is in KPI units, with the log link in log points.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import xarray as xr

import mmm_xgen as m
from tests.scalar_kinds import dip, step

# Parts by name without their suffix: [geo][date], or [geo][item][date].
Part = list[list[Any]]
DAYS_IN_YEAR = 365.25


class ScalarBaseline:
    """Parts of sales that no media make.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset.
    """

    def __init__(self, ds: xr.Dataset) -> None:
        self.ds, self.config = ds, settings_of(ds)
        self.is_log = getattr(self.config, "link", "identity") == "log"
        self.geos, self.dates = range(ds.sizes["geo"]), range(ds.sizes["date"])
        self.cache: dict[str, Any] = {}
        self.base = self._read("intercept_contribution", "geo")
        self.days = [pd.Timestamp(date) for date in ds["date"].values]

    def parts(self) -> dict[str, Part]:
        """Every part by name, without that of base sales."""
        made = {
            "trend": self._each(self.trend),
            "seasonality": self._each(self.season),
            "event": self._each(self.event),
            "control": [
                [[self.control(g, k, t) for t in self.dates] for k in range(self._size("control"))]
                for g in self.geos
            ],
        }
        if "demand" in self.ds:
            demand, effect = self._series("demand"), self.config.demand.effect
            unit = self._unit
            made["demand"] = [
                [effect * unit(g) * demand[g][t] for t in self.dates] for g in self.geos
            ]
        if "competitor_spend" in self.ds:
            made["competitor"] = self._each(self.competitor)
        if "baseline_path" in self.ds:
            made["level"] = self._each(self.level)
        if "promotion_depth" in self.ds:
            made["promotion"] = [
                [self.promotion(g, k) for k in range(self._size("promotion"))] for g in self.geos
            ]
        return made

    def total(self) -> Part:
        """Expected sales without media, [geo][date] in KPI units per period."""
        parts = self.parts()
        made = []
        for g in self.geos:
            start = math.log(self.base[g]) if self.is_log else self.base[g]
            rows = [row for part in parts.values() for row in rows_of(part[g])]
            sums = [start + sum(row[t] for row in rows) for t in self.dates]
            made.append([math.exp(value) for value in sums] if self.is_log else sums)
        return made

    # ------------------------------------------------------------ one number of one part

    def trend(self, g: int, t: int) -> float:
        spec = self.config.regions.trend
        if spec.kind == "linear":
            share = self._read("trend_sales_trend", "geo")[g] * t
        elif spec.kind == "piecewise_linear":
            share = self._read("trend_sales_trend", "geo")[g] * t
            for period, change in zip(spec.change_periods, spec.trend_changes, strict=True):
                share += change * max(t - period, 0)
        else:
            top, rate, middle = (
                self._read(f"trend_growth_{name}", "geo")[g]
                for name in ("capacity", "rate", "midpoint")
            )
            share = top / (1 + math.exp(-rate * (t - middle))) - top / (1 + math.exp(rate * middle))
        share = max(share, -1.0)
        return math.log(1 + share) if self.is_log else self.base[g] * share

    def season(self, g: int, t: int) -> float:
        """Yearly season on its path, and the other seasons beside it."""
        path = self._series("season_path")[g][t] if "season_path" in self.ds else 1.0
        yearly = self._waves(g, "fourier", "gamma_fourier", self.season_day(g, t), DAYS_IN_YEAR)
        return path * yearly + self._other_seasons(g, t)

    def season_day(self, g: int, t: int) -> float:
        """Day of the year that the season has reached; it moves later from the first date on."""
        moved = self._read("season_shift", "geo")[g] if "season_shift" in self.ds else 0.0
        years = (self.days[t] - self.days[0]).days / DAYS_IN_YEAR
        return self.days[t].day_of_year - moved * years

    def level(self, g: int, t: int) -> float:
        """Part of the time-varying intercept; its path multiplies base sales."""
        path = self._series("baseline_path")[g][t]
        return math.log(path) if self.is_log else self.base[g] * (path - 1)

    def event(self, g: int, t: int) -> float:
        return sum(self.event_of(g, e, t) for e in range(self._size("event")))

    def event_of(self, g: int, e: int, t: int) -> float:
        """Part of one event; `event_effect` is for base sales also where the event scales."""
        effect = self._read("event_effect", "geo", "event")[g][e]
        intensity = self._read("event_intensity", "event", "date")[e][t]
        if not self.is_log and scales_with_baseline(self.config.events[e]):
            return effect / self.base[g] * intensity * self.baseline(g, t)
        return effect * intensity

    def baseline(self, g: int, t: int) -> float:
        """B: base sales, trend, season and level."""
        level = self.level(g, t) if "baseline_path" in self.ds else 0.0
        return self.base[g] + self.trend(g, t) + self.season(g, t) + level

    def control(self, g: int, k: int, t: int) -> float:
        elasticity = self._read("control_elasticity", "geo", "control")[g][k]
        value = self._read("control_value", "geo", "control", "date")[g][k][t]
        reference = self._read("control_reference", "control")[k]
        if math.isnan(elasticity):
            return self._read("gamma_control", "geo", "control")[g][k] * (value - reference)
        if self.is_log:
            return elasticity * math.log(value / reference)
        size = self.base[g]
        if scales_with_baseline(self.config.control_variables[k]):
            size = self.baseline(g, t) + self.event(g, t)
        return size * ((value / reference) ** elasticity - 1)

    def competitor(self, g: int, t: int) -> float:
        spend = self._series("competitor_spend")[g][t]
        return -self._read("competitor_effect", "geo")[g] * 2 * spend / (1 + spend)

    def promotion(self, g: int, k: int) -> list[float]:
        """Part of one promotion: what it sells more, less what earlier periods pulled forward."""
        depth = self._read("promotion_depth", "geo", "promotion", "date")[g][k]
        elasticity = self._read("promotion_elasticity", "geo", "promotion")[g][k]
        rise = [(1 - each) ** elasticity - 1 for each in depth]
        if pull := self.config.promotions[k].pull_forward:
            borrowed = pull.share / pull.periods
            rise = [
                rise[t] - borrowed * sum(rise[max(t - pull.periods, 0) : t]) for t in self.dates
            ]
        # Both the rise and what is missing later multiply sales with the log link.
        return [math.log(1 + each) if self.is_log else self.base[g] * each for each in rise]

    def intensity(self, e: int, t: int) -> float | None:
        """Intensity of a step or dip on one ISO date: the largest of the days of the period."""
        event = self.config.events[e]
        if event.shape not in ("step", "dip") or len(event.dates) > 1:
            return None
        moment = pd.Timestamp(event.dates[0])
        period = (self.days[1] - self.days[0]).days
        first = (self.days[t] - moment).days - event.lag_days
        days = [first + day for day in range(period)]
        if event.shape == "step":
            return max(step(each) for each in days)
        return max(dip(each, float(event.width_days)) for each in days)

    # ------------------------------------------------------------ reading

    def _unit(self, g: int) -> float:
        """Size of a share of base sales: KPI units, or log points."""
        return 1.0 if self.is_log else self.base[g]

    def _waves(self, g: int, kind: str, name: str, day: float, period: float) -> float:
        total = 0.0
        weights = self._read(name, "geo", f"{kind}_mode")[g]
        for label, weight in zip(self.ds[f"{kind}_mode"].values, weights, strict=True):
            wave, harmonic = str(label).rsplit("_", 2)[-2:]
            turn = 2 * math.pi * int(harmonic) * day / period
            total += weight * (math.sin(turn) if wave == "sin" else math.cos(turn))
        return total

    def _other_seasons(self, g: int, t: int) -> float:
        if not self._size("seasonal_mode"):
            return 0.0
        (period,) = {float(days) for days in self.ds["period_days"].values}
        day = float((self.days[t] - pd.Timestamp("1970-01-01")).days)
        return self._waves(g, "seasonal", "gamma_seasonal", day, period)

    def _size(self, dim: str) -> int:
        return int(self.ds.sizes.get(dim, 0))

    def _series(self, name: str) -> list[list[float]]:
        return self._read(name, "geo", "date")

    def _read(self, name: str, *dims: str) -> Any:
        if name not in self.cache:
            self.cache[name] = self.ds[name].transpose(*dims).values.tolist()
        return self.cache[name]

    def _each(self, number: Any) -> Part:
        return [[number(g, t) for t in self.dates] for g in self.geos]


def scales_with_baseline(item: Any) -> bool:
    return getattr(item, "scales", "base_sales") == "baseline"


def rows_of(part: list[Any]) -> list[list[float]]:
    """Rows of one geo: those of the items, or the one row without items."""
    return part if not part or isinstance(part[0], list) else [part]


def settings_of(ds: xr.Dataset) -> m.MMMDataConfig:
    """Configuration of a Dataset, also of one under other spend."""
    return m.MMMDataConfig.from_json(str(ds.attrs.get("config") or ds.attrs["factual_config"]))
