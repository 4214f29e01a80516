"""Factors on the effects of channels that make them sell what is wanted, with a log link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.errors import ConfigError
from mmm_xgen.generation.plausibility import inner_products
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.link import LogLink
from mmm_xgen.response import contribute
from mmm_xgen.world import Stages, World

# Most steps, and the relative step after which the next one would not move the last digits: the
# error after a step is of the order of its square.
MOST_STEPS, LAST_STEP = 60, 3e-7
# The same for the first solution, in single precision.
MOST_ROUGH_STEPS, LAST_ROUGH_STEP = 12, 1e-3


@dataclass(frozen=True)
class _Media:
    """Log sales that all channels add for a factor of 1, and sales without them.

    Parameters
    ----------
    base : array, dims (dataset, cell)
        Sales without what the factors change, in KPI units per period.
    added : array, dims (dataset, channel, cell)
        Log points.
    """

    base: FloatArray
    added: FloatArray

    @classmethod
    def of(cls, made: Stages, world: World, link: LogLink) -> _Media:
        """Return media of a response; cells are geos and dates."""
        added = contribute(made.response, world.media)
        log_base = link.log_baseline
        for part in made.others.values():
            log_base = log_base + part.sum(axis=-3)
        return cls(np.exp(log_base).reshape(len(log_base), -1), _flat(added))

    def rough(self) -> _Media:
        """Return the same in single precision."""
        return _Media(self.base.astype(np.float32), self.added.astype(np.float32))

    def sales(self, factor: FloatArray, room: FloatArray) -> FloatArray:
        """Return expected sales, dims (dataset, cell).

        What each channel takes from log sales without it is written to `room`, dims (dataset,
        channel, cell): fresh memory would take longer than the numbers.
        """
        np.multiply(-factor[..., None], self.added, out=room, casting="same_kind")
        return np.asarray(self.base * np.exp(-room.sum(axis=1)))

    def slopes(self, sales: FloatArray) -> FloatArray:
        """Return the derivative of the sum of sales by each factor, dims (dataset, channel)."""
        return np.asarray((self.added @ sales[..., None])[..., 0])


def _flat(values: FloatArray) -> FloatArray:
    return np.ascontiguousarray(values).reshape(*values.shape[:-2], -1)


def factors_for_sales(
    world: World,
    link: LogLink,
    made: Stages,
    without: Mapping[int, Stages],
    wanted: FloatArray,
    sign: FloatArray,
) -> FloatArray:
    r"""Return the factors with which channels sell what is wanted, by Newton's method.

    With :math:`x_c` what channel c adds to log sales, sales lost without it and their derivatives
    are

    .. math:: L_c = \sum_t \mu_t (1 - e^{-f_c x_{ct}}), \qquad
        \frac{\partial L_c}{\partial f_k} = \sum_t \mu_t (1 - e^{-f_c x_{ct}}) x_{kt}
        \;(k \ne c), \qquad \frac{\partial L_c}{\partial f_c} = \sum_t \mu_t x_{ct}

    The first steps are in single precision.

    Parameters
    ----------
    world : World
        Structural function before the factor.
    link : LogLink
        Link of the world.
    made : Stages
        Response to the spend of the datasets.
    without : mapping of int to Stages
        Response without each channel that moves the response of others.
    wanted : array, dims (dataset, channel)
        Sales in KPI units; NaN for a channel without target, which keeps its effect.
    sign : array, dims (dataset, channel)
        Factor of these channels.

    Raises
    ------
    ConfigError
        If no factors are found.
    """
    media = _Media.of(made, world, link)
    others = {channel: _Media.of(each, world, link) for channel, each in without.items()}
    free = np.flatnonzero(~np.isnan(wanted[0]))
    datasets = max(len(wanted), len(sign), len(media.base), len(media.added))
    wanted, sign = (np.broadcast_to(each, (datasets, wanted.shape[1])) for each in (wanted, sign))
    factor = np.array(sign)
    # Media multiply sales by about e^m, where m e^m is their share of sales without them.
    share = np.maximum(wanted[:, free].sum(axis=1) / media.base.sum(axis=1), 0.0)
    factor[:, free] = wanted[:, free] / media.slopes(media.base)[:, free]
    factor[:, free] /= np.exp(_lambert(share))[:, None]
    rough = _solved(
        media.rough(),
        {channel: each.rough() for channel, each in others.items()},
        wanted,
        factor,
        free,
        steps=MOST_ROUGH_STEPS,
        last=LAST_ROUGH_STEP,
    )
    factor = np.where(np.isfinite(rough).all(axis=-1, keepdims=True), rough, factor)
    found = _solved(media, others, wanted, factor, free, steps=MOST_STEPS, last=LAST_STEP)
    if not np.isfinite(found).all():
        raise ConfigError(
            "no effects meet the roas targets; allowed: targets that media can reach together, or "
            "base_effectiveness in place of roas",
            path="channels",
        )
    return found


def _lambert(share: FloatArray) -> FloatArray:
    """Return m with ``m * exp(m) == share``, to a few digits."""
    found = np.log1p(share)
    for _ in range(3):
        found = found - (found - share * np.exp(-found)) / (1 + found)
    return np.asarray(found)


def _solved(
    media: _Media,
    others: Mapping[int, _Media],
    wanted: FloatArray,
    factor: FloatArray,
    free: NDArray[np.int_],
    *,
    steps: int,
    last: float,
) -> FloatArray:
    """Return the factors after steps of Newton's method; NaN for a dataset that did not settle."""
    settled = np.zeros((len(factor), 1), dtype=bool)
    room = np.empty((*factor.shape, media.added.shape[-1]), dtype=media.added.dtype)
    on_diagonal = np.arange(factor.shape[-1])
    for _ in range(steps):
        sales = media.sales(factor, room)
        slopes = media.slopes(sales)
        np.expm1(room, out=room)
        room *= -sales[:, None]
        found = room.sum(axis=-1)
        slope = inner_products(room, media.added).astype(float)
        slope[:, on_diagonal, on_diagonal] = slopes
        for channel, other in others.items():
            rest = other.sales(factor, room)
            found[:, channel] = sales.sum(axis=-1) - rest.sum(axis=-1)
            slope[:, channel] = slopes - other.slopes(rest)
        gap = (wanted - found)[:, free, None]
        step = np.linalg.solve(slope[:, free][:, :, free], gap)[..., 0]
        # A dataset that has settled stays, so that the others of its batch do not change it.
        step = np.where(settled, 0.0, step)
        factor = np.array(factor)
        factor[:, free] += step
        settled |= np.all(np.abs(step) <= last * np.abs(factor[:, free]), axis=-1, keepdims=True)
        if settled.all() or not np.isfinite(factor).all():
            break
    return np.where(settled, factor, np.nan)
