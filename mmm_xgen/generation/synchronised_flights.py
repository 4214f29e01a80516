"""Synchronised flights: channels that run and pause in the same weeks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.generation.batch import Batch
from mmm_xgen.kernels.calendar import Calendar
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.patterns import PatternKind, switch_draws


def synchronised_dates(batch: Batch, calendar: Calendar) -> NDArray[np.bool_] | None:
    """Return the dates on which channels fly together, dims (dataset, 1, 1, date), None if never.

    Of n quarters, a share q is synchronised: q n of them, rounded up or down by chance, in random
    places. Two channels of one pattern with equal keys then have levels of correlation q.
    """
    share = batch.each(lambda config: config.synchronised_flights)
    if not share.any():
        return None
    quarter = np.arange(calendar.n_periods) // calendar.quarter_periods
    n_quarters = int(quarter[-1]) + 1
    uniform = batch.draws([("synchronised-flights",)], (n_quarters + 1,), uniform=True)[:, 0]
    rank = uniform[:, 1:].argsort(axis=1).argsort(axis=1)
    chosen = rank + uniform[:, :1] < share[:, None] * n_quarters
    return np.asarray(chosen[:, None, None, quarter])


def common_draws(
    batch: Batch, kind: PatternKind, shared: list[bool], calendar: Calendar, n_geos: int
) -> FloatArray:
    """Return the uniform draws that channels of one pattern share.

    Parameters
    ----------
    batch : Batch
        Seeds.
    kind : PatternKind
        Random pattern.
    shared : list of bool
        For each channel, if all geos follow one plan.
    calendar : Calendar
        Dates, burn-in included.
    n_geos : int
        Number of geos.

    Returns
    -------
    array, dims (dataset, channel, geo, draw)
    """
    # Row 0 is for all geos together, so the rows of single geos do not move with their number.
    shape = (n_geos + 1, switch_draws(calendar))
    rows = batch.draws([("synchronised-flights", kind.name)], shape, uniform=True)[:, 0]
    geos = np.where(np.array(shared)[:, None], 0, np.arange(1, n_geos + 1))
    return np.asarray(rows[:, geos])
