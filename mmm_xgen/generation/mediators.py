"""Controls that show mediators: whole, or as the estimates of surveys."""

from __future__ import annotations

import numpy as np

from mmm_xgen.config.names import coordinate_label
from mmm_xgen.errors import ConfigError
from mmm_xgen.generation.batch import Batch
from mmm_xgen.kernels.domain import FloatArray


def with_observed(
    batch: Batch, control_value: FloatArray, mediators: FloatArray | None
) -> FloatArray:
    r"""Return control values in which the last controls show mediators.

    A survey of n people estimates the mediator m as
    :math:`m + \sqrt{m (1 - m) / n}\, z`, cut to [0, 1].

    Parameters
    ----------
    batch : Batch
        Configurations and seeds.
    control_value : array, dims (dataset, control, geo, date)
        Values of all controls; those of the last ones are replaced.
    mediators : array, dims (dataset, mediator, geo, date), or None
        Values of the mediators.

    Raises
    ------
    ConfigError
        If a mediator with a survey leaves the interval from 0 to 1.
    """
    items = batch.shared.mediators
    if mediators is None or not batch.shared.observed:
        return control_value
    datasets = max(len(control_value), len(mediators), len(batch))
    value = np.array(np.broadcast_to(control_value, (datasets, *control_value.shape[1:])))
    column = value.shape[1] - len(batch.shared.observed)
    for position, item in enumerate(items):
        if item.observed == "no":
            continue
        series = mediators[:, position]
        if item.observed == "survey":
            if series.min() < 0 or series.max() > 1:
                raise ConfigError(
                    f"found values of {item.name!r} from {series.min():.4g} to {series.max():.4g}, "
                    "allowed: 0 to 1 with observed='survey', as a survey estimates a share of "
                    "people; choose smaller parents, or observed='whole'",
                    path=f"mediators.{position}.parents",
                )
            series = _survey(batch, position, series)
        value[:, column] = series
        column += 1
    return value


def _survey(batch: Batch, position: int, series: FloatArray) -> FloatArray:
    """Return the estimates of surveys, each kept until the next."""
    item = batch.shared.mediators[position]
    name = coordinate_label(item.name, "c", 0)
    normal = batch.draws([("survey", name)], series.shape[1:])[:, 0]
    sd = np.sqrt(series * (1 - series) / item.respondents)
    estimate = np.clip(series + sd * normal, 0, 1)
    coverage = batch.each(lambda config: config.mediators[position].coverage)[:, None]
    # Regular surveys: one whenever the number of surveys that are due rises.
    due = np.floor(coverage * np.arange(1, series.shape[-1] + 1))
    is_asked = np.diff(due, axis=-1, prepend=0) > 0
    is_asked[:, 0] = True
    last = np.maximum.accumulate(np.where(is_asked, np.arange(series.shape[-1]), 0), axis=-1)
    last = np.broadcast_to(last[:, None], estimate.shape)
    return np.take_along_axis(estimate, last, axis=-1)
