"""Revenue of each channel, or each geo of a channel, at any level of its spend."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from mmm_xgen.errors import SchemaError
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.response import contribute
from mmm_xgen.truth.media import history_of, spend_of, value_and_slope, world_from
from mmm_xgen.world import World, media_sales, respond_to

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
        return np.asarray(self._multipliers(spend)[..., None] * self.pattern)

    def _multipliers(self, spend: FloatArray) -> FloatArray:
        """Multiples of the pattern, dims (..., channel, geo), of length 1 unless `per_geo`."""
        shape = self.pattern.shape[:2] if self.per_geo else (len(self.pattern), 1)
        return np.asarray((spend / self.unit).reshape(*spend.shape[:-1], *shape))

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


@dataclass(frozen=True)
class JointPanel(Panel):
    """Panel of channels that act on each other, so that sales are those of all media together.

    Geos do not act on each other. One evaluation therefore moves a channel in all geos at once.

    Parameters
    ----------
    now : array, dims (channel, geo, date)
        Today's spend, which the other channels keep while one moves alone.
    """

    now: FloatArray

    @cached_property
    def parts(self) -> list[tuple[list[int], World]]:
        """Groups of channels that are tied to each other, each with its world."""
        return [(group, self.world.of_channels(group)) for group in self.world.groups()]

    def joint(self, plan: FloatArray, worth: FloatArray) -> FloatArray:
        """Sales of all media times `worth`, dims (..., geo), for a plan of all channels.

        Dims of `worth` are (geo, date), or (kind, geo, date): then `kind` comes first.
        """
        return _sold(plan, self.world, self.history, worth)

    def alone(self, own: FloatArray, others: FloatArray, worth: FloatArray) -> FloatArray:
        """Sales times `worth` where one channel has its own level, for each channel.

        The sales are those of the channel and of all channels that it is tied to: the others sell
        the same at any level.

        Parameters
        ----------
        own : array, dims (..., channel, geo or 1)
            Multiples of the pattern of the one channel.
        others : array, dims (channel, geo, date)
            Spend of the other channels.
        worth : array, dims (geo, date) or (kind, geo, date)
            Worth of a unit of sales.

        Returns
        -------
        array, dims (..., channel, geo)
        """
        order, made = [], []
        for group, world in self.parts:
            # Several channels in one call: a link with memory has a loop over dates.
            largest = own[..., 0, 0].size * self.pattern[group].size
            together = max(1, CHUNK // largest)
            for start in range(0, len(group), together):
                chosen = np.arange(start, min(start + together, len(group)))
                is_own = (chosen[:, None] == np.arange(len(group)))[..., None, None]
                index = [group[position] for position in chosen]
                moved = own[..., index, :][..., None, :, None] * self.pattern[group]
                plan = np.where(is_own, moved, others[group])
                made.append(_sold(plan, world, self.history[group], worth))
                order += index
        return np.concatenate(made, axis=-2)[..., np.argsort(order), :]

    def without(self, others: FloatArray, worth: FloatArray) -> FloatArray:
        """As `alone`, for channels that never spent, also before the window, (channel, geo)."""
        made = {}
        for group, world in self.parts:
            for position, channel in enumerate(group):
                on = (np.arange(len(group)) != position)[:, None, None]
                made[channel] = _sold(others[group] * on, world, self.history[group] * on, worth)
        return np.stack([made[channel] for channel in range(len(others))], axis=-2)

    def total(self, spend: FloatArray) -> FloatArray:
        """Revenue of all media for spend with dims (..., item)."""
        return np.asarray(self.joint(self.plan(spend), self.revenue).sum(axis=-1))

    def earned(self, spend: FloatArray, worth: FloatArray) -> FloatArray:
        """Sales times `worth` lost if an item had never spent; `spend` has dims (item,)."""
        plan, levels = self.plan(spend), self._multipliers(spend)
        return self.by_item(self.alone(levels, plan, worth) - self.without(plan, worth))

    def value(self, spend: FloatArray) -> FloatArray:
        """Revenue that each item adds at many levels, the others as today, (item, level)."""
        levels = self._multipliers(np.ascontiguousarray(spend.T))
        size = max(1, CHUNK // self.pattern.size)
        parts = [
            self.alone(levels[start : start + size], self.now, self.revenue)
            for start in range(0, len(levels), size)
        ]
        gained = np.concatenate(parts) - self.without(self.now, self.revenue)
        return self.by_item(gained).T

    def slope(self, spend: FloatArray) -> FloatArray:
        """Derivative of the revenue of all media by the spend of each item, from the right at 0."""
        plan = self.plan(spend)

        def made(own: FloatArray) -> FloatArray:
            return self.alone(own, plan, self.revenue)

        levels = np.broadcast_to(self._multipliers(spend), self.pattern.shape[:2])
        return self.by_item(value_and_slope(made, levels)[1]) / self.unit


def _sold(plan: FloatArray, world: World, history: FloatArray, worth: FloatArray) -> FloatArray:
    """Sales of all media of a world times `worth`, summed over dates, dims (..., geo)."""
    sales = media_sales(respond_to(plan, world, history), world)
    dims = "...gt,kgt->k...g" if worth.ndim > 2 else "...gt,gt->...g"
    return np.asarray(np.einsum(dims, sales, worth))


def panel_of(ds: xr.Dataset, periods: slice, *, per_geo: bool) -> Panel:
    """Panel of a Dataset over some of its dates, with flat patterns where nothing was spent.

    Raises
    ------
    SchemaError
        If items are geos of channels whose media spill over.
    """
    world, spend = world_from(ds).of_dates(periods), spend_of(ds)
    if per_geo and world.spillover is not None and world.spillover.strength.any():
        raise SchemaError(
            "media spill over between geos, so the spend of a geo also sells in others and has no "
            "curve of its own; allowed: one curve or one multiplier for a channel in all geos "
            "(by='channel', per_geo=False), or simulate(ds, spend=...) for one plan"
        )
    past = history_of(ds)
    before = spend[..., : periods.start]
    history = before if past is None else np.concatenate([past, before], axis=-1)
    now = spend[..., periods]
    pattern = now.copy()
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
    panel = Panel(world, pattern, history, revenue, per_geo)
    return JointPanel(**vars(panel), now=now) if world.is_connected else panel
