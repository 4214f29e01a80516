"""Paths of effects over time, from their kinds."""

from __future__ import annotations

from operator import attrgetter

import numpy as np

from mmm_xgen.generation.batch import Batch, numbers_of_kind
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.kind import members


def effect_paths(batch: Batch, spend: FloatArray) -> FloatArray | None:
    """Return the effect of each date relative to its mean; None if no channel has a path.

    Parameters
    ----------
    batch : Batch
        Paths and seeds.
    spend : array, dims (dataset, channel, geo, date)
        Spend in the window, in currency per period.

    Returns
    -------
    array, dims (dataset, channel, geo, date), or None
        1 on average over the window, for each channel and geo.
    """
    specs = [channel.effect_path for channel in batch.shared.channels]
    if not any(specs):
        return None
    calendar, names = batch.shared.calendar.window(), batch.shared.channel_names
    datasets, (n_geos, n_dates) = len(batch), spend.shape[2:]
    path = np.ones((datasets, len(specs), n_geos, n_dates))
    keys = [spec and (spec.registered, tuple(spec.settings.items())) for spec in specs]
    for key, index in members(keys):
        if key is None:
            continue
        kind, settings = key
        positions = range(len(specs))[index] if isinstance(index, slice) else index
        shape = (datasets, len(positions), n_geos, n_dates)
        # Row 0 is for all geos together, so the paths of geos do not move with their number.
        places = [("effect-path", names[position]) for position in positions]
        drawn = batch.draws(places, (n_geos + 1, n_dates))
        shared = np.array([specs[position].shared for position in positions])  # type: ignore[union-attr]
        normal = np.where(shared[:, None, None], drawn[:, :, :1], drawn[:, :, 1:])
        mean = spend[:, index].mean(axis=-1, keepdims=True)
        level = np.divide(spend[:, index], mean, out=np.zeros(shape), where=mean > 0)
        rows = (datasets * len(positions), n_geos, n_dates)
        parameters = numbers_of_kind(batch, attrgetter("effect_path"), positions)
        made = kind.function(
            calendar, normal.reshape(rows), level.reshape(rows), **parameters, **dict(settings)
        )
        path[:, index] = np.broadcast_to(made, rows).reshape(shape)
    return np.asarray(path / path.mean(axis=-1, keepdims=True))
