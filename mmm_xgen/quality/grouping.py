"""One finding in place of many where many variables share a fault."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mmm_xgen.formatting.words import listed
from mmm_xgen.frames.panel import NAMED

Trace = tuple[str, str]


class Case(NamedTuple):
    """Finding of a check in one variable.

    Parameters
    ----------
    name : str
        The variable, or the pair of them.
    place : str
        Geos and dates as ``"at b 2022-01-10"``, or nothing.
    message : str
        What was found, with its count.
    weight : float
        Seriousness of the case, in any units. The most serious cases are named first.

    Examples
    --------
    >>> Case("x1-TV", "at b 2022-01-10", "1 of 9 values are missing", 1.0).where
    'x1-TV at b 2022-01-10'
    """

    name: str
    place: str
    message: str
    weight: float = 0.0

    @property
    def where(self) -> str:
        """Name and place together."""
        return f"{self.name} {self.place}".rstrip()


def grouped(found: Iterable[Case | Trace]) -> Iterator[Trace]:
    """Turn what a check found into one trace a case, or one for all from four cases on.

    Parameters
    ----------
    found : iterable
        Cases, and pairs of (where, message), which stay as they are.

    Examples
    --------
    >>> list(grouped(Case(f"x{n}", "", f"is {n}", n) for n in range(20)))
    [('x19, x18, x17 and 17 more', '20 in all, such as x19: is 19')]
    """
    found = list(found)
    cases = [each for each in found if isinstance(each, Case)]
    if len(cases) <= NAMED:
        yield from (
            (each.where, each.message) if isinstance(each, Case) else each for each in found
        )
        return
    cases.sort(key=lambda case: -case.weight)  # stable: equal cases keep their order
    first = cases[0]
    where = listed(case.name for case in cases)
    yield where, f"{len(cases)} in all, such as {first.where}: {first.message}"
