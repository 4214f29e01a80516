"""Paths over time, from their kinds: effects of channels, base sales, the yearly season."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.specs import EffectPathSpec
from mmm_xgen.generation.batch import Batch, numbers_of_kind
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.kind import members

# Paths of the baseline: key of the geos, and name in the Dataset.
BASELINE_PATHS = {"level_path": "baseline_path", "season_path": "season_path"}


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
    places = [("effect-path", name) for name in batch.shared.channel_names]
    return _paths(batch, _of_channels, places, spend.shape[2], spend)


def _of_channels(config: MMMDataConfig) -> list[EffectPathSpec | None]:
    return [channel.effect_path for channel in config.channels]


def baseline_paths(batch: Batch) -> dict[str, FloatArray]:
    """Return the paths of base sales and of the yearly season, by Dataset name.

    Returns
    -------
    dict of str to array, dims (dataset, geo, date)
        1 on average over the window, for each geo; only the paths that are configured.
    """
    n_geos = len(batch.shared.regions.names)
    found = {}
    for key, name in BASELINE_PATHS.items():

        def of_geos(config: MMMDataConfig, key: str = key) -> list[EffectPathSpec | None]:
            return [getattr(config.regions, key)]

        path = _paths(batch, of_geos, [(key.replace("_", "-"),)], n_geos)
        if path is not None:
            shape = (len(path), n_geos, path.shape[-1])
            found[name] = np.array(np.broadcast_to(path[:, 0], shape))
    return found


def _paths(
    batch: Batch,
    read: Callable[[MMMDataConfig], Sequence[EffectPathSpec | None]],
    places: Sequence[tuple[str, ...]],
    n_geos: int,
    spend: FloatArray | None = None,
) -> FloatArray | None:
    """Return paths of mean 1 over the window, dims (dataset, item, geo, date).

    Parameters
    ----------
    batch : Batch
        Paths and seeds.
    read : callable
        Returns the path of every item of a configuration, such as a channel.
    places : sequence of tuple of str
        Path of the random stream of each item.
    n_geos : int
        Number of geos.
    spend : array, dims (dataset, item, geo, date), optional
        Spend in the window, for kinds that follow it.
    """
    specs = read(batch.shared)
    if not any(specs):
        return None
    calendar = batch.shared.calendar.window()
    n_dates = calendar.n_periods
    path = np.ones((len(batch), len(specs), 1, n_dates))
    keys = [spec and (spec.registered, spec.shared, tuple(spec.settings.items())) for spec in specs]
    for key, index in members(keys):
        if key is None:
            continue
        kind, is_shared, settings = key
        positions = range(len(specs))[index] if isinstance(index, slice) else index
        follows_spend = spend is not None and "level" in kind.takes
        rows = 1 if is_shared and not follows_spend else n_geos
        given: dict[str, Any] = {"calendar": calendar}
        if "normal" in kind.takes:
            # Row 0 is for all geos together, so the paths of geos do not move with their number.
            own = [places[position] for position in positions]
            drawn = batch.draws(own, (1 if is_shared else n_geos + 1, n_dates))
            given["normal"] = _rows(drawn if is_shared else drawn[:, :, 1:])
        if follows_spend and spend is not None:
            mean = spend[:, index].mean(axis=-1, keepdims=True)
            level = np.divide(
                spend[:, index], mean, out=np.zeros_like(spend[:, index]), where=mean > 0
            )
            given["level"] = _rows(np.broadcast_to(level, (len(batch), *level.shape[1:])))
        numbers = numbers_of_kind(batch, read, positions)
        made = kind.function(*(given[name] for name in kind.takes), **numbers, **dict(settings))
        shape = (len(batch), len(positions), rows, n_dates)
        if path.shape[2] < rows:
            path = np.repeat(path, rows, axis=2)
        flat = np.broadcast_to(made, (shape[0] * shape[1], *shape[2:]))
        path[:, index] = flat.reshape(shape)
    return np.asarray(path / path.mean(axis=-1, keepdims=True))


def _rows(values: FloatArray) -> FloatArray:
    """Return (dataset, item, geo, date) with datasets and items as rows of one call."""
    return values.reshape(-1, *values.shape[2:])
