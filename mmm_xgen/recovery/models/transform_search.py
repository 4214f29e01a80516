r"""Search of adstock and saturation on a grid, by coordinate descent, for stacked datasets.

The transforms are those that most from-scratch models have: geometric adstock, normalised, and a
Hill curve with slope 1. Its half point is a multiple of the channel's mean spend while active: far
outside the spend that occurred, a curve looks like a constant or like a line, and the data cannot
tell where it bends. Media that sells less than nothing is believed only where no candidate says
otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.errors import ConfigError
from mmm_xgen.kernels.adstock import convolve, geometric_adstock, normalized
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.saturation import hill_function

# Bytes of the candidates held at a time.
BLOCK_BYTES = 64e6
# Share of a candidate's squared length that must be left beside the other columns.
DISTINCT = 1e-8

IntArray = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class TransformGrid:
    """Candidates of the search, the same for every channel.

    Parameters
    ----------
    alphas : tuple of float
        Retention rates, each at least 0 and below 1.
    half_points : tuple of float
        Carried-over spend at which a channel reaches half of its effect, as multiples of its
        mean spend while active; each above 0.
    max_sweeps : int
        Rounds over all channels after which the search ends, settled or not.

    Examples
    --------
    >>> TransformGrid(alphas=(0.0, 0.5), half_points=(1.0,)).candidates
    array([[0. , 1. ],
           [0.5, 1. ]])
    """

    alphas: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    half_points: tuple[float, ...] = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
    max_sweeps: int = 10

    def __post_init__(self) -> None:
        for name, values, open_lowest, highest in (
            ("alphas", self.alphas, False, 1),
            ("half_points", self.half_points, True, np.inf),
        ):
            numbers = np.asarray(values, dtype=float)
            valid = (numbers > 0 if open_lowest else numbers >= 0) & (numbers < highest)
            if numbers.ndim != 1 or not numbers.size or not valid.all():
                raise ConfigError(
                    f"found {values}, allowed: one number or more, each "
                    f"{'above' if open_lowest else 'at least'} 0 and below {highest:g}",
                    path=f"grid.{name}",
                )
        if self.max_sweeps < 1:
            raise ConfigError(
                f"found {self.max_sweeps}, allowed: 1 or more", path="grid.max_sweeps"
            )

    @property
    def candidates(self) -> FloatArray:
        """All pairs, dims (candidate, 2): alpha and half point."""
        return np.array(list(product(self.alphas, self.half_points)))


def carried_over(
    spend: FloatArray, alpha: FloatArray, *, l_max: int, history: FloatArray | None = None
) -> FloatArray:
    """Spend after geometric adstock, normalised.

    Parameters
    ----------
    spend : array, dims (..., geo, date)
    alpha : array, dims (...)
    history : array, dims (..., geo, date), optional
        Spend before the first date.
    """
    weights = normalized(geometric_adstock(np.arange(l_max, dtype=float), alpha=alpha[..., None]))
    return convolve(spend, weights[..., None, :], history)


def search_transforms(
    spend: FloatArray,
    y: FloatArray,
    others: FloatArray,
    *,
    weight: FloatArray,
    grid: TransformGrid,
    l_max: int,
    history: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Transforms of every channel that leave the smallest sum of squares, one channel at a time.

    Each channel in turn gets, of the candidates with a positive effect beside all other columns,
    the one that explains most, and where no effect is positive the one that explains least. This
    goes on until no channel changes. So the result cannot be improved by changing one channel;
    changing two together might.

    Parameters
    ----------
    spend : array, dims (dataset, channel, geo, date)
        Spend as the curves take it, in currency per period.
    y : array, dims (dataset, geo, date)
    others : array, dims (dataset, geo, date, column)
        What else is in the regression.
    weight : array, dims (dataset, geo)
        What the response of each geo is multiplied by.
    grid : TransformGrid
    l_max : int
        Number of adstock weights.
    history : array, dims (dataset, channel, geo, history_date), optional
        Spend before the first date.

    Returns
    -------
    alpha, half_point : array, dims (dataset, channel)
        The half point in currency per period.
    """
    level = active_level(spend)
    chosen = np.empty(level.shape, dtype=np.intp)
    for block in _blocks(spend, grid):
        past = None if history is None else history[block]
        columns = _candidate_columns(spend[block], level[block], past, grid, l_max)
        columns *= weight[block][:, None, None, :, None]
        columns = columns.reshape(*columns.shape[:3], -1)
        rows = int(np.prod(y.shape[1:]))
        fixed = others[block].reshape(*others[block].shape[:1], rows, -1)
        target = y[block].reshape(-1, rows)
        chosen[block] = _descend(*_without(fixed, columns, target), max_sweeps=grid.max_sweeps)
    alpha, multiple = grid.candidates.T
    return alpha[chosen], multiple[chosen] * level


def active_level(spend: FloatArray) -> FloatArray:
    """Mean spend while there is any, dims (..., channel); 1 for a channel that never runs."""
    active = (spend > 0).sum(axis=(-2, -1))
    mean = spend.sum(axis=(-2, -1)) / np.maximum(active, 1)
    return np.where(active > 0, mean, 1.0)


def _blocks(spend: FloatArray, grid: TransformGrid) -> Iterator[slice]:
    """Datasets whose candidates fit into a cache-friendly piece of memory together."""
    numbers = spend[:1].size * len(grid.candidates)
    size = max(1, int(BLOCK_BYTES / (8 * max(1, numbers))))
    return (slice(start, start + size) for start in range(0, len(spend), size))


def _candidate_columns(
    spend: FloatArray,
    level: FloatArray,
    history: FloatArray | None,
    grid: TransformGrid,
    l_max: int,
) -> FloatArray:
    """Response of all candidates, dims (dataset, channel, candidate, geo, date)."""
    past = None if history is None else history[:, :, None]
    carried = carried_over(spend[:, :, None], np.array(grid.alphas), l_max=l_max, history=past)
    half_points = np.array(grid.half_points) * level[..., None]
    columns = hill_function(carried[:, :, :, None], kappa=half_points[:, :, None, :, None, None])
    return columns.reshape(*level.shape, len(grid.candidates), *spend.shape[2:])


def _without(
    fixed: FloatArray, columns: FloatArray, y: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Candidates and target with the fixed columns projected out, and how long they were."""
    lengths = np.square(columns).sum(axis=-1)
    # The left singular vectors leave out what is dependent, which QR would not.
    basis, size, _ = np.linalg.svd(_unit(fixed), full_matrices=False)
    basis = basis * (size > 1e-9 * size[:, :1])[:, None, :]
    rest = y - np.einsum("drk,dk->dr", basis, np.einsum("drk,dr->dk", basis, y))
    basis = basis[:, None]
    columns = columns - (columns @ basis) @ np.swapaxes(basis, -1, -2)
    return columns, rest, lengths


def _unit(columns: FloatArray) -> FloatArray:
    length = np.linalg.norm(columns, axis=-2, keepdims=True)
    return np.asarray(columns / np.where(length > 0, length, 1))


def _descend(
    columns: FloatArray, y: FloatArray, lengths: FloatArray, *, max_sweeps: int
) -> IntArray:
    """Candidate of every channel, dims (dataset, channel)."""
    n_datasets, n_channels, n_candidates, _ = columns.shape
    each = np.arange(n_datasets)
    chosen = np.full((n_datasets, n_channels), n_candidates // 2, dtype=np.intp)
    selected = np.stack([columns[each, c, chosen[:, c]] for c in range(n_channels)], axis=1)
    for _ in range(max_sweeps):
        before = chosen.copy()
        for channel in range(n_channels):
            beside = np.delete(selected, channel, axis=1)
            gain = _gain(columns[:, channel], beside, y, lengths[:, channel])
            chosen[:, channel] = gain.argmax(axis=-1)
            selected[:, channel] = columns[each, channel, chosen[:, channel]]
        if np.array_equal(before, chosen):
            break
    return chosen


def _gain(
    candidates: FloatArray, beside: FloatArray, y: FloatArray, lengths: FloatArray
) -> FloatArray:
    """Sum of squares that each candidate takes away beside the others, dims (dataset, candidate).

    Negative where the effect is; minus infinity where nothing of the candidate is left beside the
    others, for it would have no effect of its own.
    """
    beside = np.swapaxes(_unit(np.swapaxes(beside, -1, -2)), -1, -2)
    along_y = np.einsum("dkr,dr->dk", candidates, y)
    left = np.square(candidates).sum(axis=-1)
    if beside.shape[1]:
        overlap = candidates @ np.swapaxes(beside, -1, -2)
        among = beside @ np.swapaxes(beside, -1, -2)
        shares = overlap @ np.linalg.pinv(among, rcond=1e-10, hermitian=True)
        along_y = along_y - np.einsum("dkc,dc->dk", shares, np.einsum("dcr,dr->dc", beside, y))
        left = left - (shares * overlap).sum(axis=-1)
    is_distinct = left > DISTINCT * lengths
    gain = along_y * np.abs(along_y) / np.where(is_distinct, left, 1)
    return np.where(is_distinct, gain, -np.inf)
