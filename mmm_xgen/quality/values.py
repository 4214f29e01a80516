"""Checks of the numbers of y, channels and controls. Each yields a case for each variable."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mmm_xgen.formatting.words import count, listed
from mmm_xgen.frames.panel import Panel
from mmm_xgen.frames.statistics import BoolArray, is_constant, moments
from mmm_xgen.quality.grouping import Case, Trace

VIF_LIMIT = 10.0
CORRELATION_LIMIT = 0.95
COPY_LIMIT = 0.999
# A gap is long from here on: this share of the dates, and never fewer periods than that.
LONG_GAP_SHARE = 0.25
LONG_GAP_PERIODS = 8


def cells_with(code: str) -> Callable[[Panel], Iterator[Case]]:
    """Make the check for one kind of fault in cells, such as ``"missing-values"``.

    Examples
    --------
    >>> from mmm_xgen.frames.reading import read
    >>> import pandas as pd
    >>> panel = read(pd.DataFrame({"y": [-1.0, 2.0]}))
    >>> [case.message for case in cells_with("negative-values")(panel)]
    ['1 of 2 values are negative']
    """

    def check(panel: Panel) -> Iterator[Case]:
        for fault in panel.cell_faults:
            if fault.code == code:
                n, place = len(fault.rows), f"at {panel.places_of(fault.rows)}"
                message = f"{n} of {len(panel.cells)} values {fault.what}"
                yield Case(panel.names[fault.position], place, message, n)

    return check


def constant_overall(role: str, *, zero: bool = False) -> Callable[[Panel], Iterator[Case]]:
    """Make the check for variables of a role that are zero, or another constant, in all rows.

    Examples
    --------
    >>> from mmm_xgen.frames.reading import read
    >>> import pandas as pd
    >>> [case.message for case in constant_overall("y")(read(pd.DataFrame({"y": [3.0, 3.0]})))]
    ['is 3 in all 2 rows']
    """

    def check(panel: Panel) -> Iterator[Case]:
        value, n_rows = panel.moments.max, panel.moments.n_finite
        constant = _constant_everywhere(panel) & (panel.roles == role) & ((value == 0) == zero)
        for position in np.flatnonzero(constant):
            message = f"is {value[position]:g} in all {n_rows[position]} rows"
            yield Case(panel.names[position], "", message)

    return check


def constant_in_geos(role: str) -> Callable[[Panel], Iterator[Case]]:
    """Make the check for variables of a role that do not change over time in some of the geos.

    Examples
    --------
    >>> from mmm_xgen.frames.reading import read
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"date": ["2022-01-03", "2022-01-03", "2022-01-10", "2022-01-10"],
    ...                       "geo": ["a", "b", "a", "b"], "y": [5.0, 1.0, 5.0, 2.0]})
    >>> [case.message for case in constant_in_geos("y")(read(frame))]
    ['does not change over time in 1 of 2 geos']
    """

    def check(panel: Panel) -> Iterator[Case]:
        n_dates, n_geos, n_variables = panel.cube.shape
        summary = moments(panel.cube.reshape(n_dates, n_geos * n_variables))
        flat = is_constant(summary.min, summary.max) & (summary.n_finite > 1)
        by_geo = flat.reshape(n_geos, n_variables)
        reported = _constant_everywhere(panel) | (panel.roles != role)
        for position in np.flatnonzero(by_geo.any(axis=0) & ~reported):
            geos = panel.geo_labels[by_geo[:, position]]
            message = f"does not change over time in {len(geos)} of {n_geos} geos"
            yield Case(panel.names[position], f"in {listed(geos)}", message, len(geos))

    return check


def _constant_everywhere(panel: Panel) -> BoolArray:
    """Variables with one value in all rows; one row is enough if that value is zero."""
    summary = panel.moments
    enough = (summary.n_finite > 1) | (summary.max == 0)
    constant: BoolArray = is_constant(summary.min, summary.max) & enough
    return constant


def few_rows(panel: Panel) -> Iterator[Trace]:
    """Find data with fewer rows than a regression has coefficients."""
    if len(panel.cells) and panel.spare_rows <= 0:
        rows, geos = len(panel.first_rows), len(panel.geo_labels)
        others = int((panel.roles != "y").sum())
        yield "date", f"{rows} rows for {geos} geos and {others} channels and controls"


def collinear(panel: Panel) -> Iterator[Case]:
    """Find channels and controls that the others together explain (VIF above 10)."""
    for position in np.flatnonzero(panel.vif > VIF_LIMIT):
        factor = panel.vif[position]
        size = f"is {factor:.1f}" if np.isfinite(factor) else "is infinite (exact dependence)"
        message = f"variance inflation {size}, more than {VIF_LIMIT:g}"
        yield Case(panel.names[position], "", message, float(factor))


def correlated_pairs(panel: Panel) -> Iterator[Case]:
    """Find pairs of channels and controls with abs(correlation) above 0.95 within geos."""
    predictor = panel.roles != "y"
    for one, other in _strong_pairs(panel, predictor, predictor, CORRELATION_LIMIT):
        correlation = float(panel.correlation[one, other])
        pair = f"{panel.names[one]} and {panel.names[other]}"
        message = f"correlation within geos is {correlation:.3f}"
        yield Case(pair, "", message, abs(correlation))


def copies_of_y(panel: Panel) -> Iterator[Case]:
    """Find channels and controls that move exactly as y does."""
    for y, other in _strong_pairs(panel, panel.roles == "y", panel.roles != "y", COPY_LIMIT):
        correlation = float(panel.correlation[y, other])
        message = f"correlation with y is {correlation:.4f}"
        yield Case(panel.names[other], "", message, abs(correlation))


def _strong_pairs(
    panel: Panel, first: BoolArray, second: BoolArray, limit: float
) -> Iterator[tuple[int, int]]:
    if panel.spare_rows <= 0:
        return
    strong = np.abs(panel.correlation) > limit  # False where NaN
    pairs = np.triu(strong & first[:, None] & second[None, :], k=1)
    for one, other in np.argwhere(pairs):
        yield int(one), int(other)


def spend_gaps(panel: Panel) -> Iterator[Case]:
    """Find channels that stop for long in a geo where they run at other times.

    Gaps in a channel that otherwise always runs come first, then pauses of a channel that often
    pauses, then the time before a launch.
    """
    n_dates = len(panel.cube)
    longest = panel.zero_runs.max(axis=0, initial=0)
    limit = max(LONG_GAP_PERIODS, LONG_GAP_SHARE * n_dates)
    n_active = (panel.cube > 0).sum(axis=0)
    long = (longest >= limit) & (n_active > 0) & (panel.roles == "channel")
    for position in np.flatnonzero(long.any(axis=0)):
        ends = panel.zero_runs[:, :, position].argmax(axis=0)
        lengths = longest[:, position]
        launch = ends + 1 == lengths
        surprise = n_active[:, position] / np.maximum(n_dates - lengths, 1) - launch
        geo = int(np.where(long[:, position], surprise, -np.inf).argmax())
        end, length = int(ends[geo]), int(lengths[geo])
        rows = panel.cube_rows[[end - length + 1, end], geo]
        place = f"at {panel.places_of(rows[:1])} to {panel.places_of(rows[1:])}"
        geos = count(int(long[:, position].sum()), "geo")
        message = f"{length} of {n_dates} periods in a row without spend, in {geos}"
        yield Case(panel.names[position], place, message, float(surprise[geo]))


def outlying_values(panel: Panel) -> Iterator[Case]:
    """Find values more than 5 robust standard deviations from their geo's median, worst first."""
    for position in np.flatnonzero(panel.outliers.any(axis=(0, 1))):
        cells = panel.outliers[:, :, position]
        rows = panel.cube_rows[cells]
        distance = np.nan_to_num(panel.isolation[:, :, position][cells], posinf=np.inf)
        worst_first = np.argsort(-distance, kind="stable")
        message = f"{rows.size} of {len(panel.first_rows)} values are far from their geo's median"
        place = f"at {panel.places_of(rows[worst_first])}"
        yield Case(panel.names[position], place, message, float(distance.max()))
