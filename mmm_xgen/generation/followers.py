"""Controls that follow spend or sales, and controls that move spend."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mmm_xgen.config.causes import channel_position
from mmm_xgen.config.channel import ControlConfig
from mmm_xgen.generation.batch import Batch
from mmm_xgen.kernels.domain import FloatArray


def move_spend(batch: Batch, spend: FloatArray, normal: FloatArray) -> None:
    r"""Multiply planned spend by what controls do to it, in place.

    The factor is :math:`\prod_k \exp(s_{kc}\, z_{tk} - s_{kc}^2 / 2)`, with the random variation z
    of each control in standard deviations.

    Parameters
    ----------
    batch : Batch
        Configurations and seeds.
    spend : array, dims (dataset, channel, geo, date)
        Planned spend in the window.
    normal : array, dims (dataset, control, geo, date)
        Random variation of the controls.
    """
    if not any(control.moves_spend for control in batch.shared.control_variables):
        return
    strength = _by_channel(batch, lambda control: control.moves_spend or {})
    channels = np.flatnonzero(strength.any(axis=(0, 1))).tolist()
    strength = strength[..., channels]
    rise = np.einsum("dkc,dkgt->dcgt", strength, normal)
    spend[:, channels] *= np.exp(rise - np.square(strength).sum(axis=1)[..., None, None] / 2)


def with_followers(
    batch: Batch,
    control_value: FloatArray,
    spend: FloatArray,
    sales: FloatArray,
    given: set[str],
) -> FloatArray:
    r"""Return control values, with what some of them follow.

    .. math::

        \text{value}_{tk} = \text{own value}_{tk} + \text{base value}_k \Bigl(
            \textstyle\sum_c b_{kc} \bigl(\text{spend}_{tc} / \overline{\text{spend}}_c - 1\bigr)
            + d_k \bigl(y_t / \bar y - 1\bigr) \Bigr)

    with means of each geo over the window.

    Parameters
    ----------
    batch : Batch
        Configurations and seeds.
    control_value : array, dims (dataset, control, geo, date)
        Values of all controls.
    spend : array, dims (dataset, channel, geo, date)
        Spend in the window.
    sales : array, dims (dataset, geo, date)
        Sales.
    given : set of str
        Controls whose values the user gave. They stay.
    """
    controls = batch.shared.control_variables
    following = [
        position
        for position, (name, control) in enumerate(
            zip(batch.shared.control_names, controls, strict=False)
        )
        if (control.follows_spend or control.follows_sales is not None) and name not in given
    ]
    if not following:
        return control_value
    loading = _by_channel(batch, lambda control: control.follows_spend or {})[:, following]
    channels = np.flatnonzero(loading.any(axis=(0, 1))).tolist()
    relative = _relative(spend[:, channels])
    rise = np.einsum("dkc,dcgt->dkgt", loading[..., channels], relative)
    by_sales = batch.each(
        lambda config: [each.follows_sales or 0.0 for each in config.control_variables]
    )
    rise = rise + by_sales[:, following, None, None] * _relative(sales)[:, None]
    base = batch.each(lambda config: [each.base_value for each in config.control_variables])
    value = np.array(np.broadcast_to(control_value, (len(rise), *control_value.shape[1:])))
    value[:, following] += base[:, following, None, None] * rise
    return value


def _by_channel(batch: Batch, read: Callable[[ControlConfig], Mapping[str, float]]) -> FloatArray:
    """Return numbers by channel name of every control, dims (dataset, control, channel)."""
    names, controls = batch.shared.channel_names, batch.shared.control_variables
    values = np.zeros((len(batch.configs), len(controls), len(names)))
    for dataset, config in enumerate(batch.configs):
        for row, control in enumerate(config.control_variables):
            for channel, number in read(control).items():
                values[dataset, row, channel_position(channel, names)] = number
    return values


def _relative(series: FloatArray) -> FloatArray:
    """Return a series relative to its mean over time, minus 1; 0 where the mean is 0."""
    mean = series.mean(axis=-1, keepdims=True)
    return np.asarray(np.divide(series, mean, out=np.ones_like(series), where=mean != 0) - 1)
