"""Revenue that the spend of a window earns: all of it, and its next unit.

Only what a window can reach is computed anew, so that many windows cost little more than one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.response import Media, contribute, lag_weights, stages
from mmm_xgen.schema import require
from mmm_xgen.truth.counterfactual import refuse_foreign_contribution
from mmm_xgen.truth.media import derivative, history_of, media_from, spend_of


@dataclass(frozen=True)
class Response:
    """A Dataset's response to spend, and what today's spend makes of it.

    Parameters
    ----------
    media, weights : Media and its lag weights
        True response.
    spend : array, dims (channel, geo, date)
        Currency per period, with the spend before the window in front.
    n_past : int
        Number of dates before the window.
    revenue : array, dims (geo, date)
        Revenue per unit of the KPI.
    saturated : array, dims (channel, geo, date)
        What the curves are today.
    contribution : array, dims (channel, geo, date)
        KPI units per period today.
    """

    media: Media
    weights: FloatArray
    spend: FloatArray
    n_past: int
    revenue: FloatArray
    saturated: FloatArray
    contribution: FloatArray

    def lost(self, periods: slice) -> FloatArray:
        """Revenue lost if the spend of a window were zero: within it, and with carry-out.

        Returns
        -------
        array, dims (rule, channel, geo)
        """
        return self._earned_today(periods) - self._earned(periods, 0.0)

    def marginal(self, periods: slice, delta: float | None = None) -> FloatArray:
        """Revenue by relative change of a window's spend: within it, and with carry-out.

        Parameters
        ----------
        periods : slice
            Positions of the window's dates.
        delta : float, optional
            Relative change; the derivative without it.

        Returns
        -------
        array, dims (rule, channel, geo)
            Revenue per unit of relative change.
        """
        if delta is None:
            return derivative(lambda step: self._earned(periods, 1 + step))
        rise = self._earned(periods, 1 + delta) - self._earned_today(periods)
        return np.asarray(rise / delta)

    def _reached(self, periods: slice) -> slice:
        last = periods.stop + self.weights.shape[-1] - 1
        return slice(periods.start, min(last, self.contribution.shape[-1]))

    def _earned_today(self, periods: slice) -> FloatArray:
        reached, length = self._reached(periods), periods.stop - periods.start
        revenue = self.contribution[..., reached] * self.revenue[..., reached]
        return np.stack([revenue[..., :length].sum(axis=-1), revenue.sum(axis=-1)])

    def _earned(self, periods: slice, factor: complex) -> FloatArray:
        """Revenue, dims (rule, channel, geo), if the window's spend had another size."""
        reached, length = self._reached(periods), periods.stop - periods.start
        start = reached.start + self.n_past
        # Spend by date times 1, or times the factor within the window.
        factors = np.where(np.arange(reached.stop - reached.start) < length, factor, 1)
        spend = self.spend[..., start : reached.stop + self.n_past] * factors
        history = self.spend[..., max(0, start - self.weights.shape[-1] + 1) : start]
        # Where a curve leaves the range of complex numbers, `derivative` differences instead.
        with np.errstate(over="ignore", invalid="ignore"):
            *_, response = stages(spend, self.media, self.weights, history)
        worth = self.revenue[..., reached]
        within = np.einsum("...gt,gt->...g", response[..., :length], worth[..., :length])
        later = np.einsum("...gt,gt->...g", response[..., length:], worth[..., length:])
        # The effect multiplies all dates alike, so their sum can come first.
        sums = np.stack([within, within + later])
        return contribute(sums[..., None], self.media)[..., 0]


def response_of(ds: xr.Dataset) -> Response:
    """Response of a Dataset with all its dates.

    Raises
    ------
    SchemaError
        If `ds` lacks a variable, has further dims, or its spend does not make its contributions.
    """
    require(ds, "spend", "effect", "spend_unit", "channel_contribution", "revenue_per_kpi")
    media, spend, past = media_from(ds), spend_of(ds), history_of(ds)
    weights = lag_weights(media)
    _, saturated, response = stages(spend, media, weights, past)
    contribution = contribute(response, media)
    refuse_foreign_contribution(ds, contribution)
    return Response(
        media=media,
        weights=weights,
        spend=spend if past is None else np.concatenate([past, spend], axis=-1),
        n_past=0 if past is None else past.shape[-1],
        revenue=ds["revenue_per_kpi"].transpose("geo", "date").to_numpy(),
        saturated=saturated,
        contribution=contribution,
    )
