"""Latent demand, and the controls that follow it."""

from __future__ import annotations

import numpy as np

from mmm_xgen.config.causes import DemandConfig
from mmm_xgen.config.names import coordinate_label
from mmm_xgen.generation.batch import Batch
from mmm_xgen.kernels.calendar import DAYS_IN_YEAR, PEAK_DAY, Calendar
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.noise import autoregressive


def draw_demand(
    batch: Batch, config: DemandConfig, calendar: Calendar, drivers: FloatArray, n_geos: int
) -> FloatArray:
    r"""Return latent demand, a series of variance 1.

    .. math::

        d_t = \sqrt{1 - s - \textstyle\sum_k q_k}\, a_t + \sqrt{2 s} \cos(\text{season}_t)
              + \textstyle\sum_k \sqrt{q_k}\, z_{tk}

    with an AR(1) series a, of which geos share a part, the share s of a season and the shares
    :math:`q_k` of drivers :math:`z_k`.

    Parameters
    ----------
    batch : Batch
        Configurations and seeds.
    config : DemandConfig
        Demand of the first configuration, for what all datasets share.
    calendar : Calendar
        Dates, burn-in included.
    drivers : array, dims (dataset, driver, geo, date)
        Standardised random variation of the controls that drive demand.
    n_geos : int
        Number of geos.

    Returns
    -------
    array, dims (dataset, geo, date)
    """
    # Row 0 is for all geos together, so the rows of single geos do not move with their number.
    normal = batch.draws([("demand",)], (n_geos + 1, calendar.n_periods))[:, 0]
    kept = _numbers(batch, "persistence")[:, None, None]
    series = autoregressive(normal, kept)
    shared = _numbers(batch, "shared")[:, None, None]
    series = np.sqrt(shared) * series[:, :1] + np.sqrt(1 - shared) * series[:, 1:]
    season = _numbers(batch, "season")[:, None, None]
    shares = batch.each(lambda each: [driver.share for driver in _demand(each).drivers])
    rest = np.clip(1 - season - shares.sum(axis=-1)[:, None, None], 0, None)
    turn = 2 * np.pi * (calendar.day_of_year - PEAK_DAY) / DAYS_IN_YEAR
    demand = np.sqrt(rest) * series + np.sqrt(2 * season) * np.cos(turn)
    if config.drivers:
        driven = np.einsum("dk,dkgt->dgt", np.sqrt(shares), drivers)
        # Drivers are known inside the window only; before it, demand has none of them.
        demand[..., calendar.burn_in :] += driven
    return np.asarray(demand)


def drivers_of(batch: Batch, config: DemandConfig, normal: FloatArray) -> FloatArray:
    """Return the random variation of the controls that drive demand, (dataset, driver, geo, date).

    Parameters
    ----------
    batch : Batch
        Configurations and seeds.
    config : DemandConfig
        Demand.
    normal : array, dims (dataset, control, geo, date)
        Standardised random variation of all controls.
    """
    names = batch.shared.control_names
    rows = [names.index(coordinate_label(each.control, "c", 0)) for each in config.drivers]
    return normal[:, rows]


def draw_indicators(batch: Batch, demand: FloatArray) -> FloatArray:
    r"""Return the values of the controls that follow demand, dims (dataset, control, geo, date).

    With reliability r, the value is
    :math:`\text{level} + \text{loading}\, (d_t + \sqrt{1 / r - 1}\, z_t)`.
    """
    items = batch.shared.indicators
    values = np.empty((len(batch), len(items), *demand.shape[1:]))
    for position, item in enumerate(items):
        name = coordinate_label(item.name, "c", 0)
        normal = batch.draws([("indicator", name)], demand.shape[1:])[:, 0]
        own = [config.indicators[position] for config in batch.configs]
        numbers = np.array([(each.level, each.loading, each.reliability) for each in own])
        level, loading, reliability = numbers.T[..., None, None]
        values[:, position] = level + loading * (demand + np.sqrt(1 / reliability - 1) * normal)
    return values


def demand_contribution(
    batch: Batch, demand: FloatArray | None, intercept: FloatArray
) -> FloatArray | None:
    """Return the sales that demand adds, dims (dataset, geo, date); None if there is no demand."""
    if demand is None:
        return None
    return _numbers(batch, "effect")[:, None, None] * intercept * demand


def _demand(config: object) -> DemandConfig:
    found: DemandConfig = config.demand  # type: ignore[attr-defined]
    return found


def _numbers(batch: Batch, key: str) -> FloatArray:
    """Return one number of the demand of every configuration, dims (dataset,)."""
    return batch.each(lambda config: getattr(config.demand, key))
