"""Factor on the effect of a channel that makes its return on ad spend the target."""

from __future__ import annotations

import numpy as np

from mmm_xgen.config.names import join_path, position_part
from mmm_xgen.errors import ConfigError
from mmm_xgen.generation.batch import Batch
from mmm_xgen.kernels.domain import FloatArray


def factor_for_roas(
    batch: Batch,
    amplitude: FloatArray,
    spend: FloatArray,
    response: FloatArray,
    fixed: list[bool],
) -> FloatArray:
    r"""Return the factor on each channel's effect that makes its ROAS over all geos the target.

    Contributions are linear in the amplitude, so the factor has a closed form:

    .. math:: \text{factor}_c = \frac{\text{roas}_c \sum_{tg} \text{spend}_{tgc}}
              {\text{revenue per KPI} \sum_{tg} \text{amplitude}_{gc}\, \text{response}_{tgc}}

    Parameters
    ----------
    batch : Batch
        Has the targets.
    amplitude : array, dims (dataset, geo, channel)
        Amplitude before the factor, in KPI units per period.
    spend, response : array, dims (dataset, channel, geo, date)
        Spend in currency per period, and what the amplitude multiplies.
    fixed : list of bool, one per channel
        Channels whose effect is given and stays.

    Returns
    -------
    array, dims (dataset, channel)
        1 if a channel has no target, or if its effect is given.

    Raises
    ------
    ConfigError
        If a channel with a target has no spend, or spend without response.
    """
    target = batch.each(
        lambda config: [np.nan if each.roas is None else each.roas for each in config.channels]
    )
    target[:, fixed] = np.nan
    solved = ~np.isnan(target[0])
    if not solved.any():
        return np.ones_like(target)
    total_spend = spend.sum(axis=(2, 3))
    revenue = batch.each(lambda config: config.revenue_per_kpi)[:, None]
    incremental = (amplitude.swapaxes(1, 2) * response.sum(axis=3)).sum(axis=2) * revenue
    unsolvable = (total_spend == 0) | (incremental == 0)
    for channel in np.flatnonzero(solved & unsolvable.any(axis=0)):
        dataset = int(np.argmax(unsolvable[:, channel]))
        wanted = np.broadcast_to(target, unsolvable.shape)[dataset, channel]
        what = "spend" if total_spend[dataset, channel] == 0 else "response to its spend"
        names = batch.shared.channel_names
        raise ConfigError(
            f"found a roas of {wanted:g} for {names[channel]!r}, which "
            f"has no {what} in the window; give base_effectiveness instead",
            path=join_path(("channels", position_part(int(channel), names), "roas")),
        )
    return np.where(solved, target * total_spend / np.where(solved, incremental, 1), 1.0)
