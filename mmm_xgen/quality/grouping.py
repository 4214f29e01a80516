"""One finding in place of many where many variables share a fault."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import NamedTuple

from mmm_xgen.frames.panel import Panel

Trace = tuple[str, str]

# Up to this many variables of one check have a finding of their own; more share one.
NAMED = 3


class Case(NamedTuple):
    """What a check found in one variable.

    Parameters
    ----------
    name : str
        The variable, or the pair of them.
    place : str
        Geos and dates as ``"at b 2022-01-10"``, or nothing.
    message : str
        What was found, with its count.
    weight : float
        How serious the case is, in any units; the heaviest are named first.

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


def grouped(find: Callable[[Panel], Iterable[Case]]) -> Callable[[Panel], Iterator[Trace]]:
    """Turn a finder of cases into one of findings: one a case, or one for all from four on.

    Parameters
    ----------
    find : callable
        ``find(panel)`` yields cases.

    Returns
    -------
    callable
        ``check(panel)`` yields (where, message).

    Examples
    --------
    >>> from mmm_xgen.frames.reading import read
    >>> import pandas as pd
    >>> check = grouped(lambda panel: [Case(f"x{n}", "", f"is {n}", n) for n in range(20)])
    >>> list(check(read(pd.DataFrame({"y": [1.0]}))))
    [('x19, x18, x17 and 17 more', '20 in all, such as x19: is 19')]
    """

    @wraps(find)
    def check(panel: Panel) -> Iterator[Trace]:
        cases = list(find(panel))
        if len(cases) <= NAMED:
            yield from ((case.where, case.message) for case in cases)
            return
        cases.sort(key=lambda case: -case.weight)  # stable: equal cases keep their order
        names = ", ".join(case.name for case in cases[:NAMED])
        yield (
            f"{names} and {len(cases) - NAMED} more",
            f"{len(cases)} in all, such as {cases[0].where}: {cases[0].message}",
        )

    return check
