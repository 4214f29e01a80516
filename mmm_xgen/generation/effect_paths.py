"""Paths of effects over time, from their kinds."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

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
        1 on average over the window, for each channel and geo. There is one geo if all are alike.
    """
    specs = [channel.effect_path for channel in batch.shared.channels]
    if not any(specs):
        return None
    calendar, names = batch.shared.calendar.window(), batch.shared.channel_names
    path = np.ones((len(batch), *spend.shape[1:2], 1, spend.shape[-1]))
    keys = [spec and (spec.registered, spec.shared, tuple(spec.settings.items())) for spec in specs]
    for key, index in members(keys):
        if key is None:
            continue
        kind, is_shared, settings = key
        positions = range(len(specs))[index] if isinstance(index, slice) else index
        own = spend[:, index]
        n_geos = 1 if is_shared and "level" not in kind.takes else spend.shape[2]
        given: dict[str, Any] = {"calendar": calendar}
        if "normal" in kind.takes:
            # Row 0 is for all geos together, so the paths of geos do not move with their number.
            places = [("effect-path", names[position]) for position in positions]
            rows = (1,) if is_shared else (spend.shape[2] + 1,)
            drawn = batch.draws(places, (*rows, spend.shape[-1]))
            given["normal"] = _rows(drawn if is_shared else drawn[:, :, 1:])
        if "level" in kind.takes:
            mean = own.mean(axis=-1, keepdims=True)
            level = np.divide(own, mean, out=np.zeros_like(own), where=mean > 0)
            whole = (len(batch), *level.shape[1:])
            given["level"] = _rows(np.broadcast_to(level, whole))
        numbers = numbers_of_kind(batch, attrgetter("effect_path"), positions)
        made = kind.function(*(given[name] for name in kind.takes), **numbers, **dict(settings))
        shape = (len(batch), len(positions), n_geos, spend.shape[-1])
        if path.shape[2] < n_geos:
            path = np.repeat(path, n_geos, axis=2)
        flat = np.broadcast_to(made, (shape[0] * shape[1], *shape[2:]))
        path[:, index] = flat.reshape(shape)
    return np.asarray(path / path.mean(axis=-1, keepdims=True))


def _rows(values: FloatArray) -> FloatArray:
    """Return (dataset, channel, geo, date) with datasets and channels as rows of one call."""
    return values.reshape(-1, *values.shape[2:])
