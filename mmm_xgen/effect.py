"""The factor that gives a channel the return on ad spend it is configured to have."""

from __future__ import annotations

import numpy as np

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.errors import ConfigError
from mmm_xgen.kernels.domain import FloatArray


def factor_for_roas(
    config: MMMDataConfig,
    effect: FloatArray,
    spend: FloatArray,
    response: FloatArray,
    fixed: list[bool],
) -> FloatArray:
    r"""Factor on the effect of each channel that makes its ROAS over all geos the target.

    Contributions are linear in the effect, so the factor has a closed form:

    .. math:: \text{factor}_c = \frac{\text{roas}_c \sum_{tg} \text{spend}_{tgc}}
              {\text{revenue per KPI} \sum_{tg} \text{effect}_{gc}\, \text{response}_{tgc}}

    Parameters
    ----------
    config : MMMDataConfig
        Has the targets.
    effect : array, dims (geo, channel)
        Effect before the factor, in KPI units per period.
    spend, response : array, dims (channel, geo, date)
        Spend in currency per period, and what the effect multiplies.
    fixed : list of bool, one a channel
        Channels whose effect is given and stays.

    Returns
    -------
    array, dims (channel,)
        1 where a channel has no target, or where its effect is given.

    Raises
    ------
    ConfigError
        If a channel with a target has no spend, or spend without response.
    """
    target = np.array([np.nan if c.roas is None else c.roas for c in config.channels])
    target[fixed] = np.nan
    solved = ~np.isnan(target)
    factor = np.ones_like(target)
    if not solved.any():
        return factor
    total_spend = spend.sum(axis=(1, 2))
    incremental = (effect.T * response.sum(axis=2)).sum(axis=1) * config.revenue_per_kpi
    for channel in np.flatnonzero(solved):
        if total_spend[channel] == 0 or incremental[channel] == 0:
            what = "spend" if total_spend[channel] == 0 else "response to its spend"
            raise ConfigError(
                f"found a roas of {target[channel]:g} for {config.channel_names[channel]!r}, which "
                f"has no {what} in the window; give base_effectiveness instead",
                path=f"channels.{channel}.roas",
            )
    factor[solved] = target[solved] * total_spend[solved] / incremental[solved]
    return factor
