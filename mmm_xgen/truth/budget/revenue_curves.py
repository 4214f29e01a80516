"""Revenue of each channel, or each geo of a channel, at any level of its spend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.response import contribute
from mmm_xgen.truth.media import history_of, spend_of, value_and_slope, world_from
from mmm_xgen.world import World, respond_to

# Most numbers that one call of the response function returns.
CHUNK = 1_500_000


@dataclass(frozen=True)
class Panel:
    """Response to multiples of a pattern of spend, over the dates of a window.

    An item is a channel, or a geo of a channel, the geos of a channel one after another.

    Parameters
    ----------
    world : World
        Structural function, over the dates of the window.
    pattern : array, dims (channel, geo, date)
        Spend that a multiplier of 1 stands for.
    history : array, dims (channel, geo, date)
        Spend before the window.
    revenue : array, dims (geo, date)
        Revenue per unit of the KPI.
    per_geo : bool
        Whether items are geos of channels.
    """

    world: World
    pattern: FloatArray
    history: FloatArray
    revenue: FloatArray
    per_geo: bool

    @property
    def unit(self) -> FloatArray:
        """Spend of each item at a multiplier of 1."""
        return self.by_item(self.pattern.sum(axis=-1))

    def by_item(self, values: FloatArray) -> FloatArray:
        """Values with dims (..., channel, geo) by item; summed over geos unless `per_geo`."""
        if self.per_geo:
            return values.reshape(*values.shape[:-2], -1)
        return np.asarray(values.sum(axis=-1))

    def plan(self, spend: FloatArray) -> FloatArray:
        """Spend with dims (..., channel, geo, date), for spend with dims (..., item)."""
        multiplier = spend / self.unit
        shape = self.pattern.shape[:2] if self.per_geo else (len(self.pattern), 1)
        return np.asarray(multiplier.reshape(*spend.shape[:-1], *shape, 1) * self.pattern)

    def earned(self, spend: FloatArray, worth: FloatArray) -> FloatArray:
        """Contribution times `worth`, dims (geo, date), by item; `spend` has dims (..., item)."""
        response = respond_to(self.plan(spend), self.world, self.history).response
        # The effect multiplies all dates alike, so their sum can come first.
        weighted = np.einsum("...gt,gt->...g", response, worth)[..., None]
        return self.by_item(contribute(weighted, self.world.media)[..., 0])

    def value(self, spend: FloatArray) -> FloatArray:
        """Revenue by item for many levels of spend, dims (item, level)."""
        levels = np.ascontiguousarray(spend.T)
        chunk = max(1, CHUNK // self.pattern.size)
        parts = [
            self.earned(levels[start : start + chunk], self.revenue)
            for start in range(0, len(levels), chunk)
        ]
        return np.concatenate(parts).T

    def slope(self, spend: FloatArray) -> FloatArray:
        """Derivative of the revenue of each item by its spend, from the right at 0.

        Infinite at 0 where a curve starts vertically.
        """

        def made(multiplier: FloatArray) -> FloatArray:
            return self.earned(multiplier * self.unit, self.revenue)

        return value_and_slope(made, spend / self.unit)[1] / self.unit


def panel_of(ds: xr.Dataset, periods: slice, *, per_geo: bool) -> Panel:
    """Panel of a Dataset over some of its dates, with flat patterns where nothing was spent."""
    world, spend = world_from(ds).of_dates(periods), spend_of(ds)
    past = history_of(ds)
    before = spend[..., : periods.start]
    history = before if past is None else np.concatenate([past, before], axis=-1)
    pattern = spend[..., periods].copy()
    # Flat patterns have the average size of spend.
    usual = float(pattern.mean()) or 1.0
    population = ds["population"].to_numpy().astype(float)
    flat = np.broadcast_to((usual * population / population.mean())[:, None], pattern.shape[1:])
    silent = pattern.sum(axis=-1) == 0
    if per_geo:
        # A geo without spend of its own gets a flat pattern even if its channel runs elsewhere.
        pattern[silent] = np.broadcast_to(flat, pattern.shape)[silent]
    else:
        pattern[silent.all(axis=-1)] = flat
    revenue = ds["revenue_per_kpi"].transpose("geo", "date").to_numpy()[:, periods]
    return Panel(world, pattern, history, revenue, per_geo)
