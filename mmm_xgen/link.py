"""Links: from what media add on a scale of their own to the sales that they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.schema import LOG_BASELINE, describe


class Link(Protocol):
    """Function from the sum of what all media add, on the scale of the link, to their sales.

    Without a link, sales are that sum. With a link, channels act on each other: the sales of one
    depend on what the others add.
    """

    @property
    def looks_back(self) -> bool:
        """True if sales depend on what media added on earlier dates."""

    @property
    def reach(self) -> int:
        """Number of periods that the effect of what media add lasts after it."""

    def sales(self, added: FloatArray, first: int) -> FloatArray:
        """Return the sales that media make, in KPI units per period.

        Parameters
        ----------
        added : array, dims (..., geo, date)
            Sum of what media add. It may go on after the last date of the data.
        first : int
            Position in the window of its first date; below 0 for a date before the window.

        Returns
        -------
        array, dims (..., geo, date)
        """

    def step(self, added: FloatArray, date: int, state: Any) -> tuple[FloatArray, Any]:
        """Return the sales of one date, dims (..., geo), and the state that the next date needs.

        `state` is None on the first date. `date` is the position in the window, as in `sales`.
        """


@dataclass(frozen=True)
class LogLink:
    r"""Multiplicative sales: all causes add to log sales.

    .. math:: \mu_t = e^{b_t + m_t}, \qquad \text{sales of media}_t = e^{b_t} (e^{m_t} - 1)

    with the log baseline b and what media add, m.

    Parameters
    ----------
    log_baseline : array, dims (..., geo, date)
        Log of expected sales without media. Beyond its dates it keeps its end values.
    """

    log_baseline: FloatArray
    looks_back: bool = False
    reach: int = 0

    def sales(self, added: FloatArray, first: int) -> FloatArray:
        """Return the sales that media make, dims (..., geo, date); see `Link.sales`."""
        return self._baseline(first, added.shape[-1]) * np.expm1(added)

    def lost(self, added: FloatArray, part: FloatArray, first: int) -> FloatArray:
        """Return the sales lost without each item of a part, dims (..., item, geo, date).

        It has all digits also where the part is small.

        Parameters
        ----------
        added : array, dims (..., geo, date)
            Sum of what media add.
        part : array, dims (..., item, geo, date)
            What each item adds to it.
        first : int
            Position in the window of the first date.
        """
        mu = self._baseline(first, added.shape[-1]) * np.exp(added)
        return zero_out(part, mu[..., None, :, :])

    def step(self, added: FloatArray, date: int, state: Any) -> tuple[FloatArray, Any]:
        """Return the sales of one date, dims (..., geo), and no state; see `Link.step`."""
        at = min(max(date, 0), self.log_baseline.shape[-1] - 1)
        return np.exp(self.log_baseline[..., at]) * np.expm1(added), None

    def _baseline(self, first: int, n_dates: int) -> FloatArray:
        """Return sales without media on some dates, dims (..., geo, date)."""
        at = np.clip(np.arange(first, first + n_dates), 0, self.log_baseline.shape[-1] - 1)
        return np.asarray(np.exp(self.log_baseline)[..., at])


def beside(link: Link | None, baseline: FloatArray) -> Link | None:
    """Return the link where sales without media are others, dims (..., geo, date)."""
    return LogLink(np.log(baseline)) if isinstance(link, LogLink) else link


def shifted(link: Link | None, points: FloatArray) -> Link | None:
    """Return the link where the log of sales without media is higher, dims (..., geo, date)."""
    return LogLink(link.log_baseline + points) if isinstance(link, LogLink) else link


def zero_out(part: FloatArray, sales: FloatArray) -> FloatArray:
    r"""Return what sales lose without a part of their log, :math:`\mu (1 - e^{-\text{part}})`."""
    # In place where it can be: fresh memory takes longer than the numbers.
    lost = np.negative(part)
    np.expm1(lost, out=lost)
    is_whole = np.broadcast_shapes(lost.shape, sales.shape) == lost.shape
    fits = is_whole and np.result_type(lost, sales) == lost.dtype
    return np.asarray(np.multiply(lost, -sales, out=lost if fits else None))


def log_baseline(logs: Mapping[str, FloatArray]) -> FloatArray:
    """Return the log of expected sales without media, dims (..., geo, date).

    Parameters
    ----------
    logs : mapping of str to array, dims (..., [item,] geo, date)
        Parts of log sales by Dataset name, such as ``log_trend``; ``log_intercept`` has no date.
    """
    total = logs["log_intercept"][..., None]
    for name in LOG_BASELINE[1:]:
        if name in logs:
            has_items = len(describe(name).dims) > 2
            total = total + (logs[name].sum(axis=-3) if has_items else logs[name])
    return np.asarray(total)
