"""Links: from what media add on a scale of their own to the sales that they make."""

from __future__ import annotations

from typing import Any, Protocol

from mmm_xgen.kernels.domain import FloatArray


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
