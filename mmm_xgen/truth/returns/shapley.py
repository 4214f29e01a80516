"""Shapley values: sales that channels make together, shared by their average marginal part."""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.response import contribute
from mmm_xgen.streams import stream
from mmm_xgen.truth.media import history_of, spend_of, world_from
from mmm_xgen.truth.what_if.counterfactual import MEDIA_DIMS, check_contributions
from mmm_xgen.world import CHUNK, World, media_sales, respond_to

# Most connected channels whose coalitions are all evaluated.
MOST_EXACT = 12
# Pairs of opposite orders that are drawn for more channels.
ORDERS = 500


@dataclass(frozen=True)
class Shares:
    """Shapley values and their Monte Carlo error.

    Parameters
    ----------
    values : DataArray, dims (date, geo, channel)
        KPI units per period; they add up to the sales of all media.
    standard_error : DataArray, dims (channel,), or None
        Standard error of the sum over dates and geos; None if the values are exact.
    """

    values: xr.DataArray
    standard_error: xr.DataArray | None = None


def shapley_contribution(ds: xr.Dataset) -> Shares:
    r"""Return the Shapley value of each channel, per date and geo.

    With :math:`v(S)` the sales of media if only the channels in S ever spend, and n channels,

    .. math::

        \phi_c = \sum_{S \not\ni c} \frac{|S|!\,(n - |S| - 1)!}{n!}
        \bigl(v(S \cup c) - v(S)\bigr)

    Channels that act alone keep their contribution. Pairs that only interact share their
    interaction by halves. Connected channels are evaluated in all coalitions up to
    `MOST_EXACT` of them; for more, orders are drawn at random [1]_ in pairs of opposite ones.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset with all its dates and channels.

    Raises
    ------
    SchemaError
        If the contributions do not follow from the spend.

    References
    ----------
    .. [1] Castro, J., Gómez, D. and Tejada, J. (2009). Polynomial calculation of the Shapley value
       based on sampling. Computers and Operations Research, 36(5), 1726-1730.
    """
    check_contributions(ds)
    world, spend, history = world_from(ds), spend_of(ds), history_of(ds)
    made = respond_to(spend, world, history)
    values = contribute(made.response, world.media)
    errors = np.zeros(len(values))
    is_additive = world.unpaid is None and world.mediators is None and world.link is None
    if is_additive and world.interactions is not None:
        pairs = world.interactions
        half = made.others["interaction_contribution"] / 2
        for side in (pairs.first, pairs.second):
            np.add.at(values, list(side), half)
    elif world.is_connected:
        for group in world.groups():
            if len(group) > MOST_EXACT:
                values[group], errors[group] = _sampled(group, spend, world, history)
            elif len(group) > 1 or world.mediators is not None or world.link is not None:
                values[group] = _exact(group, spend, world, history)
    labels = {dim: ds[dim] for dim in MEDIA_DIMS}
    shares = xr.DataArray(values.transpose(2, 1, 0), dims=MEDIA_DIMS, coords=labels)
    sampled = errors.any()
    return Shares(shares, xr.DataArray(errors, dims="channel") if sampled else None)


def _sales_of(
    group: list[int],
    members: NDArray[np.bool_],
    spend: FloatArray,
    world: World,
    history: FloatArray | None,
) -> FloatArray:
    """Return the sales of coalitions of a group, dims (coalition, geo, date)."""
    world, keep = world.of_channels(group), members[..., None, None]
    past = None if history is None else history[group] * keep
    return media_sales(respond_to(spend[group] * keep, world, past), world)


def _exact(
    group: list[int], spend: FloatArray, world: World, history: FloatArray | None
) -> FloatArray:
    """Return the values of a group from all of its coalitions, dims (channel, geo, date)."""
    n = len(group)
    members = (np.arange(2**n)[:, None] >> np.arange(n)) % 2 == 1
    size = members.sum(axis=1)
    share = np.array([factorial(k) * factorial(n - k - 1) / factorial(n) for k in range(n)])
    joined = np.where(members, share[size - 1][:, None], 0.0)
    left = np.where(members, 0.0, share[np.minimum(size, n - 1)][:, None])
    weights, together = joined - left, max(1, CHUNK // spend.size)
    values = np.zeros((n, *spend.shape[1:]))
    for start in range(0, len(members), together):
        part = slice(start, start + together)
        sales = _sales_of(group, members[part], spend, world, history)
        values += np.einsum("sc,sgt->cgt", weights[part], sales)
    return values


def _sampled(
    group: list[int], spend: FloatArray, world: World, history: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """Return the values of a group from random orders, and the standard errors of their sums."""
    n, rng = len(group), stream(0, "shapley")
    values, totals = np.zeros((n, *spend.shape[1:])), np.zeros((ORDERS, n))
    for draw in range(ORDERS):
        order = rng.permutation(n)
        for one in (order, order[::-1]):
            members = np.zeros((n + 1, n), dtype=bool)
            # After k steps, the first k channels of the order are in.
            members[1:, one] = np.tril(np.ones((n, n), dtype=bool))
            sales = _sales_of(group, members, spend, world, history)
            gained = np.diff(sales, axis=0)
            values[one] += gained / (2 * ORDERS)
            totals[draw, one] += gained.sum(axis=(-2, -1)) / 2
    return values, totals.std(axis=0, ddof=1) / np.sqrt(ORDERS)
