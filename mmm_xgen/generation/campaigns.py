"""Campaigns within a channel: they share one curve and differ in quality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmm_xgen.config.causes import CampaignConfig
from mmm_xgen.generation.batch import Batch
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.noise import autoregressive


@dataclass(frozen=True)
class Campaigns:
    r"""Shares and quality of campaigns; held under intervention.

    With shares :math:`a_{tk}` of the spend of a channel, which sum to 1, and qualities
    :math:`q_k`,

    .. math::

        a_{tk} &\propto \text{share}_k\, e^{v_k z_{tk}} \\
        \text{media quality}_t &\propto \textstyle\sum_k a_{tk}\, q_k

    with an AR(1) series z of variance 1, and a mean of 1 of the quality, weighted by spend.

    Parameters
    ----------
    share : array, dims (dataset, campaign, geo, date)
        Share of each campaign in the spend of its channel.
    quality : array, dims (dataset, channel, geo, date)
        Quality of the media of each channel, relative to its mean.
    channel : list of int
        Position of the channel of each campaign.
    campaign_quality : array, dims (dataset, campaign)
        Quality of each campaign, as configured.
    """

    share: FloatArray
    quality: FloatArray
    channel: list[int]
    campaign_quality: FloatArray

    def spend(self, spend: FloatArray) -> FloatArray:
        """Return the spend of each campaign, from that of channels with dims (..., geo, date)."""
        return np.asarray(spend[..., self.channel, :, :] * self.share)


def campaigns_of(batch: Batch, planned: FloatArray) -> Campaigns | None:
    """Return the campaigns of the channels; None if no channel has any.

    Parameters
    ----------
    batch : Batch
        Configurations and seeds.
    planned : array, dims (dataset, channel, geo, date)
        Planned spend in the window, in currency per period.
    """
    config = batch.shared
    if not config.campaign_names:
        return None

    def numbers(read: Callable[[CampaignConfig], float]) -> FloatArray:
        return batch.each(
            lambda config: [read(each) for item in config.channels for each in item.campaigns or ()]
        )

    n_geos, n_dates = planned.shape[-2:]
    channel = [i for i, item in enumerate(config.channels) for _ in item.campaigns or ()]
    # Row 0 is for all geos together, so the rows of single geos do not move with their number.
    places = [("campaign", *names) for names in config.campaign_names]
    normal = batch.draws(places, (n_geos + 1, n_dates))
    moved = autoregressive(normal, numbers(lambda each: each.persistence)[..., None, None])
    shared = [config.channels[position].shared for position in channel]
    moved[:, shared, 1:] = moved[:, shared, :1]
    share = moved[:, :, 1:] * numbers(lambda each: each.volatility)[..., None, None]
    np.exp(share, out=share)
    share *= numbers(lambda each: each.share)[..., None, None]
    stated = numbers(lambda each: each.quality)
    quality = np.ones((len(share), *planned.shape[1:]))
    for position in dict.fromkeys(channel):
        first = channel.index(position)
        own = slice(first, first + channel.count(position))
        share[:, own] /= share[:, own].sum(axis=1, keepdims=True)
        made = np.einsum("dkgt,dk->dgt", share[:, own], stated[:, own])
        spend = planned[:, position]
        # Where nothing is planned, all dates count alike.
        weight = np.where(spend.sum(axis=-1, keepdims=True) > 0, spend, 1)
        mean = (made * weight).sum(axis=-1) / weight.sum(axis=-1)
        quality[:, position] = made / mean[..., None]
    return Campaigns(share, quality, channel, stated)
