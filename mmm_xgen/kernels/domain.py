"""Where a parameter may lie, and the scale on which it varies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Numbers = FloatArray | float


@dataclass(frozen=True)
class Domain:
    """Interval of valid values, and the link scale on which geos vary around a mean.

    Parameters
    ----------
    lower, upper : float
        Bounds of the interval.
    open_lower, open_upper : bool
        Whether the bound itself is excluded.
    link : {"identity", "log", "logit"}
        Scale that keeps a varied value inside the interval.
    integer : bool
        Whether only whole numbers are valid.

    Examples
    --------
    >>> POSITIVE.describe()
    'a number above 0'
    >>> float(SHARE.vary(np.array(0.3), np.array(0.0)))
    0.3
    """

    lower: float = -np.inf
    upper: float = np.inf
    open_lower: bool = False
    open_upper: bool = False
    link: Literal["identity", "log", "logit"] = "identity"
    integer: bool = False

    def contains(self, values: Any) -> bool:
        """Check that every value is finite and inside the interval."""
        values = np.asarray(values, dtype=float)
        above = values > self.lower if self.open_lower else values >= self.lower
        below = values < self.upper if self.open_upper else values <= self.upper
        return bool(np.all(above & below & np.isfinite(values)))

    def describe(self) -> str:
        """Describe the interval in words, for messages and documentation."""
        noun = "a whole number" if self.integer else "a number"
        parts = []
        if np.isfinite(self.lower):
            parts.append(f"{'above' if self.open_lower else 'at least'} {self.lower:g}")
        if np.isfinite(self.upper):
            parts.append(f"{'below' if self.open_upper else 'at most'} {self.upper:g}")
        return f"{noun} {' and '.join(parts)}" if parts else noun

    def to_link(self, values: Any) -> FloatArray:
        """Values on the link scale; the bounds go to plus and minus infinity."""
        values = np.asarray(values, dtype=float)
        with np.errstate(divide="ignore"):
            if self.link == "log":
                return np.asarray(np.log(values))
            if self.link == "logit":
                return np.asarray(np.log(values) - np.log1p(-values))
        return np.asarray(values)

    def vary(self, values: Any, shift: Any) -> FloatArray:
        """Values moved by `shift` on the link scale; a shift of 0 returns them bit by bit."""
        if self.link == "log":
            return np.asarray(values * np.exp(shift))
        if self.link == "logit":
            # Algebra of expit(logit(v) + s), arranged so that no round trip costs digits: a sum
            # keeps them where it rises, a quotient where it falls.
            factor, growth = np.exp(shift), np.expm1(shift)
            risen = values + values * (1 - values) * growth / (1 + values * growth)
            fallen = values * factor / (1 - values + values * factor)
            return np.asarray(np.where(np.real(shift) < 0, fallen, risen))
        return np.asarray(values + np.asarray(shift))


@dataclass(frozen=True)
class SpendPower:
    """Power of the spend unit that a parameter carries: 1 for a spend, -1 for one over a spend."""

    power: int


@dataclass(frozen=True)
class Unit:
    """Unit of a parameter that is neither a pure number nor follows from its `SpendPower`.

    ``{kpi}`` and ``{currency}`` stand for those of the dataset.
    """

    text: str


@dataclass(frozen=True)
class Fixed:
    """Marks a parameter that is the same in all geos."""


REAL = Domain()
POSITIVE = Domain(lower=0, open_lower=True, link="log")
NON_NEGATIVE = Domain(lower=0, link="log")
SHARE = Domain(lower=0, upper=1, link="logit")
OPEN_SHARE = Domain(lower=0, upper=1, open_lower=True, open_upper=True, link="logit")
COUNT = Domain(lower=0, integer=True)
POSITIVE_COUNT = Domain(lower=1, integer=True)

Real = Annotated[Numbers, REAL]
Positive = Annotated[Numbers, POSITIVE]
NonNegative = Annotated[Numbers, NON_NEGATIVE]
Share = Annotated[Numbers, SHARE]
OpenShare = Annotated[Numbers, OPEN_SHARE]
Count = Annotated[Numbers, COUNT]
PositiveCount = Annotated[Numbers, POSITIVE_COUNT]
PositiveSpend = Annotated[Numbers, POSITIVE, SpendPower(1)]
PositivePerSpend = Annotated[Numbers, POSITIVE, SpendPower(-1)]
