"""Factors on effects that agree with what depends on them, by Broyden's method."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from mmm_xgen.errors import ConfigError
from mmm_xgen.kernels.domain import FloatArray

# Rounds until factors agree, and how well they then do.
MOST_ROUNDS, AGREEMENT = 60, 1e-12

Found = TypeVar("Found")


def agreed(
    gap_of: Callable[[FloatArray], tuple[Found, FloatArray]],
    factor: FloatArray,
    *,
    otherwise: str,
    least: float = 0.0,
) -> Found:
    """Return what belongs to the factors that have no gap, by Broyden's method [1]_.

    Parameters
    ----------
    gap_of : callable
        Takes factors and returns what belongs to them, and the step that would close the gap if
        each factor acted alone and nothing depended on it, dims (dataset, channel).
    factor : array, dims (dataset, channel)
        Factors to start from.
    otherwise : str
        Message of the error if the factors do not settle.
    least : float, default 0.0
        Gaps count relative to the size of the factor, or to this if it is larger.

    Raises
    ------
    ConfigError
        If the factors do not settle.

    References
    ----------
    .. [1] Broyden, C. G. (1965). A class of methods for solving nonlinear simultaneous equations.
       Mathematics of Computation, 19(92), 577-593.
    """
    found, gap = gap_of(factor)
    factor = np.broadcast_to(factor, gap.shape)
    inverse = -np.broadcast_to(np.eye(gap.shape[-1]), (*gap.shape, gap.shape[-1])).copy()
    for _ in range(MOST_ROUNDS):
        # A dataset that agrees stays as it is, so that the others of its batch do not change it.
        size = AGREEMENT * np.maximum(np.abs(factor), least)
        agrees = np.all(np.abs(gap) <= size, axis=-1, keepdims=True)
        if agrees.all():
            return found
        step = np.where(agrees, 0.0, -np.einsum("dij,dj->di", inverse, gap))
        factor = factor + step
        found, new_gap = gap_of(factor)
        if not np.isfinite(new_gap).all():
            break
        change = np.einsum("dij,dj->di", inverse, new_gap - gap)
        along = np.einsum("di,di->d", step, change)[:, None, None]
        row = np.einsum("di,dij->dj", step, inverse)[:, None]
        rise = (step - change)[..., None] * row
        inverse += np.divide(rise, along, out=np.zeros_like(rise), where=along != 0)
        gap = new_gap
    raise ConfigError(otherwise, path="channels")
