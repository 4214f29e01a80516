"""Checks of the numbers of y, channels and controls. Each yields (where, message) pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mmm_xgen.quality.figures import BoolArray, is_constant, moments
from mmm_xgen.quality.panel import Panel

Trace = tuple[str, str]

VIF_LIMIT = 10.0
CORRELATION_LIMIT = 0.95
COPY_LIMIT = 0.999
# A gap is long from here on: this share of the dates, and never fewer periods than that.
LONG_GAP_SHARE = 0.25
LONG_GAP_PERIODS = 8


def missing_values(panel: Panel) -> Iterator[Trace]:
    """Find cells without a value."""
    yield from _by_variable(panel, panel.missing, "values are missing")


def infinite_values(panel: Panel) -> Iterator[Trace]:
    """Find infinities."""
    yield from _by_variable(panel, np.isinf(panel.cells), "values are infinite")


def negative_values(panel: Panel) -> Iterator[Trace]:
    """Find negative spend and negative y."""
    negative = (panel.cells < 0) & (panel.roles != "control")
    yield from _by_variable(panel, negative, "values are negative")


def negative_controls(panel: Panel) -> Iterator[Trace]:
    """Find negative controls, which the wide schema does not have."""
    negative = (panel.cells < 0) & (panel.roles == "control")
    yield from _by_variable(panel, negative, "values are negative")


def _by_variable(panel: Panel, bad: BoolArray, what: str) -> Iterator[Trace]:
    for position in np.flatnonzero(bad.any(axis=0)):
        rows = np.flatnonzero(bad[:, position])
        where = f"{panel.names[position]} at {panel.places(rows)}"
        yield where, f"{rows.size} of {len(bad)} {what}"


def zero_overall(role: str) -> Callable[[Panel], Iterator[Trace]]:
    """Make the check for variables of a role that are zero everywhere.

    Examples
    --------
    >>> from mmm_xgen.quality.reading import read
    >>> import pandas as pd
    >>> list(zero_overall("y")(read(pd.DataFrame({"y": [0.0, 0.0]}))))
    [('y', 'is zero in all 2 rows')]
    """

    def check(panel: Panel) -> Iterator[Trace]:
        summary = panel.moments
        zero = (summary.minimum == 0) & (summary.maximum == 0) & (panel.roles == role)
        for position in np.flatnonzero(zero):
            yield panel.names[position], f"is zero in all {summary.n_finite[position]} rows"

    return check


def constant_overall(role: str) -> Callable[[Panel], Iterator[Trace]]:
    """Make the check for variables of a role that have one value everywhere, other than zero.

    Examples
    --------
    >>> from mmm_xgen.quality.reading import read
    >>> import pandas as pd
    >>> list(constant_overall("y")(read(pd.DataFrame({"y": [3.0, 3.0]}))))
    [('y', 'is 3 in all 2 rows')]
    """

    def check(panel: Panel) -> Iterator[Trace]:
        summary = panel.moments
        constant = _constant_everywhere(panel) & (summary.maximum != 0) & (panel.roles == role)
        for position in np.flatnonzero(constant):
            value = summary.maximum[position]
            yield panel.names[position], f"is {value:g} in all {summary.n_finite[position]} rows"

    return check


def constant_in_geos(role: str) -> Callable[[Panel], Iterator[Trace]]:
    """Make the check for variables of a role that vary, but in some geos not over time.

    Examples
    --------
    >>> from mmm_xgen.quality.reading import read
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"date": ["2022-01-03", "2022-01-03", "2022-01-10", "2022-01-10"],
    ...                       "geo": ["a", "b", "a", "b"], "y": [5.0, 1.0, 5.0, 2.0]})
    >>> list(constant_in_geos("y")(read(frame)))
    [('y in a', 'does not change over time in 1 of 2 geos')]
    """

    def check(panel: Panel) -> Iterator[Trace]:
        n_dates, n_geos, n_variables = panel.cube.shape
        summary = moments(panel.cube.reshape(n_dates, n_geos * n_variables))
        flat = is_constant(summary.minimum, summary.maximum) & (summary.n_finite > 1)
        by_geo = flat.reshape(n_geos, n_variables)
        reported = _constant_everywhere(panel) | (panel.roles != role)
        for position in np.flatnonzero(by_geo.any(axis=0) & ~reported):
            geos = [str(panel.geo_labels[geo]) for geo in np.flatnonzero(by_geo[:, position])]
            more = f" and {len(geos) - 3} more" if len(geos) > 3 else ""
            where = f"{panel.names[position]} in {', '.join(geos[:3])}{more}"
            yield where, f"does not change over time in {len(geos)} of {n_geos} geos"

    return check


def _constant_everywhere(panel: Panel) -> BoolArray:
    summary = panel.moments
    return is_constant(summary.minimum, summary.maximum) & (summary.n_finite > 1)


def few_rows(panel: Panel) -> Iterator[Trace]:
    """Find data with fewer rows than a regression has coefficients."""
    if len(panel.cells) and panel.spare_rows <= 0:
        yield (
            "date",
            (
                f"{len(panel.first_rows)} rows for {len(panel.geo_labels)} geos and "
                f"{int((panel.roles != 'y').sum())} channels and controls"
            ),
        )


def collinear(panel: Panel) -> Iterator[Trace]:
    """Find channels and controls that the others together explain (VIF above 10)."""
    for position in np.flatnonzero(panel.vif > VIF_LIMIT):
        factor = panel.vif[position]
        size = f"is {factor:.1f}" if np.isfinite(factor) else "is infinite (exact dependence)"
        yield panel.names[position], f"variance inflation {size}, more than {VIF_LIMIT:g}"


def correlated_pairs(panel: Panel) -> Iterator[Trace]:
    """Find pairs of channels and controls with abs(correlation) above 0.95 within geos."""
    predictor = panel.roles != "y"
    for one, other in _strong_pairs(panel, predictor, predictor, CORRELATION_LIMIT):
        yield (
            f"{panel.names[one]} and {panel.names[other]}",
            (f"correlation within geos is {panel.correlation[one, other]:.3f}"),
        )


def copies_of_y(panel: Panel) -> Iterator[Trace]:
    """Find channels and controls that move exactly as y does."""
    for y, other in _strong_pairs(panel, panel.roles == "y", panel.roles != "y", COPY_LIMIT):
        yield panel.names[other], f"correlation with y is {panel.correlation[y, other]:.4f}"


def _strong_pairs(
    panel: Panel, first: BoolArray, second: BoolArray, limit: float
) -> Iterator[tuple[int, int]]:
    if panel.spare_rows <= 0:
        return
    strong = np.abs(panel.correlation) > limit  # False where NaN
    pairs = np.triu(strong & first[:, None] & second[None, :], k=1)
    for one, other in np.argwhere(pairs):
        yield int(one), int(other)


def spend_gaps(panel: Panel) -> Iterator[Trace]:
    """Find channels that stop for long in a geo where they run at other times."""
    n_dates = len(panel.cube)
    longest = panel.zero_runs.max(axis=0, initial=0)
    limit = max(LONG_GAP_PERIODS, LONG_GAP_SHARE * n_dates)
    runs_at_all = (panel.cube > 0).any(axis=0)
    long = (longest >= limit) & runs_at_all & (panel.roles == "channel")
    for position in np.flatnonzero(long.any(axis=0)):
        geo = int(np.where(long[:, position], longest[:, position], 0).argmax())
        end = int(panel.zero_runs[:, geo, position].argmax())
        length = int(longest[geo, position])
        rows = panel.cube_rows[[end - length + 1, end], geo]
        where = f"{panel.names[position]} at {panel.places(rows[:1])} to {panel.places(rows[1:])}"
        n_geos = int(long[:, position].sum())
        yield where, f"{length} of {n_dates} periods in a row without spend, in {n_geos} geos"


def outlying_values(panel: Panel) -> Iterator[Trace]:
    """Find values more than 5 robust standard deviations from their geo's median."""
    for position in np.flatnonzero(panel.outliers.any(axis=(0, 1))):
        rows = panel.cube_rows[panel.outliers[:, :, position]]
        yield (
            f"{panel.names[position]} at {panel.places(rows)}",
            (f"{rows.size} of {len(panel.first_rows)} values are far from their geo's median"),
        )
