"""Geo experiments: changes of the spend in some geos and periods."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.config.experiment import ExperimentConfig, experiment_cells
from mmm_xgen.errors import warn
from mmm_xgen.kernels.calendar import Calendar
from mmm_xgen.kernels.domain import FloatArray


def apply_experiments(
    spend: FloatArray,
    experiments: Sequence[ExperimentConfig],
    *,
    channels: Sequence[str],
    geos: Sequence[str],
    calendar: Calendar,
    changes: FloatArray | None = None,
    warn_where: Callable[[str, NDArray[np.bool_], str], None] | None = None,
) -> FloatArray:
    r"""Return the spend with experiments: :math:`s'_t = s_t (1 + \text{change})` in their cells.

    Parameters
    ----------
    spend : array, dims (..., channel, geo, date)
        Spend in currency per period, inside the window. It is not modified.
    experiments : sequence of ExperimentConfig
        Tests. Two tests may not share a channel, geo and period.
    channels, geos : sequence of str
        Labels of `spend`.
    calendar : Calendar
        Dates of `spend`, without burn-in.
    changes : array, dims (..., experiment), optional
        Relative changes that replace those of the experiments, if datasets differ in them.
    warn_where : callable, optional
        Function that warns instead: takes the kind, the datasets and the message.

    Returns
    -------
    array, dims (..., channel, geo, date)
        `spend` itself if there are no experiments.

    Raises
    ------
    ConfigError
        If a channel, geo or date does not exist, or two tests overlap. The path begins with
        ``experiments.0``.

    Warns
    -----
    XgenWarning
        If a test changes nothing, because the spend in its cells is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from mmm_xgen.kernels.calendar import regular
    >>> calendar = regular(np.datetime64("2022-01-03"), 4, "week")
    >>> test = ExperimentConfig(channel="TV", start_period=1, n_periods=2, change=0.5)
    >>> apply_experiments(
    ...     np.ones((1, 1, 4)), [test], channels=["TV"], geos=["north"], calendar=calendar
    ... )
    array([[[1. , 1.5, 1.5, 1. ]]])
    """
    if not experiments:
        return spend
    changed = spend.copy()
    if changes is None:
        changes = np.array([experiment.change for experiment in experiments])
    cells = experiment_cells(experiments, channels=channels, geos=geos, calendar=calendar)
    for position, (experiment, cell) in enumerate(zip(experiments, cells, strict=True)):
        inside = (..., cell.channel, list(cell.geos), slice(cell.start, cell.stop))
        idle = ~np.any(changed[inside], axis=(-2, -1))
        kind = f"experiments.{position}"
        message = (
            f"{kind} changes nothing: {experiment.channel!r} spends nothing there and then; "
            "choose other dates or geos"
        )
        if warn_where is not None:
            warn_where(kind, idle, message)
        elif idle.any():
            warn(message)
        changed[inside] *= 1 + changes[..., position, None, None]
    return changed
