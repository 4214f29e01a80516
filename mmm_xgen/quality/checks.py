"""All checks in one table, and the function that runs them.

A new check is a function ``panel -> iterator of (where, message)`` in `structure` or `values`, and
one row below. A check that looks at each variable yields cases instead, which are grouped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from mmm_xgen.dataset import in_memory
from mmm_xgen.frames.panel import Panel
from mmm_xgen.frames.reading import read
from mmm_xgen.quality import structure, values
from mmm_xgen.quality.grouping import Case, Trace, grouped
from mmm_xgen.quality.report import DataQualityReport, Finding
from mmm_xgen.threads import in_one_thread


@dataclass(frozen=True)
class Check:
    """One row of `CHECKS`.

    Parameters
    ----------
    code : str
        Slug of the findings; several checks may share one.
    severity : {"error", "warning"}
        An error makes a model fail or misleads it silently.
    find : callable
        ``find(panel)`` yields pairs of (where, message), or cases; nothing when all is well.
    fix : str
        What to do, one sentence.

    Examples
    --------
    >>> CHECKS[0].code, CHECKS[0].severity
    ('missing-variable', 'error')
    """

    code: str
    severity: Literal["error", "warning"]
    find: Callable[[Panel], Iterable[Case | Trace]]
    fix: str

    def findings(self, panel: Panel) -> Iterator[Finding]:
        """Run the check and label what it finds.

        Examples
        --------
        >>> panel = read(pd.DataFrame({"y": [1.0]}))
        >>> [finding.where for finding in CHECKS[0].findings(panel)]
        ['date', 'x1-<channel>']
        """
        for where, message in grouped(self.find(panel)):
            yield Finding(self.code, message, where, self.fix)


# Code, function and fix of each check, the most serious first: reports keep the order.
ERRORS = (
    ("missing-variable", structure.absent_variables,
     "Add what is missing: a Dataset needs spend and y, a frame date, y and one x1-... column."),
    ("wrong-dims", structure.wrong_dims,
     "Rename or reduce the dims to spend (date, geo, channel) and y (date, geo)."),
    ("no-rows", structure.no_rows, "Load at least one date."),
    ("duplicate-columns", structure.duplicate_columns,
     "Rename or drop columns so that each name occurs once."),
    ("unparsable-dates", structure.unparsable_dates,
     "Write every date as YYYY-MM-DD; a week number or a year alone is not a date."),
    ("missing-values", structure.missing_keys,
     "Complete the dates and geos, or drop the rows that lack one."),
    ("leaked-truth", structure.leaked_truth,
     "Remove columns that hold the answer (or rename them if they do not) before modelling."),
    ("broken-identity", structure.broken_identity,
     "Regenerate the Dataset: components must sum to mu, and y - mu must be the noise."),
    ("duplicate-rows", structure.duplicate_rows,
     "Keep one row for each date and geo: drop exact copies, add up parts."),
    ("non-numeric", values.cells_with("non-numeric"),
     "Convert text to numbers, for example with pandas.to_numeric."),
    ("missing-values", values.cells_with("missing-values"),
     "Fill missing values or find out what they were: some models read them as 0."),
    ("infinite-values", values.cells_with("infinite-values"),
     "Replace infinities, which usually come from a division by zero."),
    ("negative-values", values.cells_with("negative-values"),
     "Make spend and y zero or more: book refunds and returns in the period they belong to."),
    ("unbalanced-geos", structure.unbalanced_geos,
     "Give every geo every date: some models read a missing row as 0."),
    ("date-gaps", structure.date_gaps,
     "Add the missing dates: carry-over counts rows, so a gap shifts it."),
    ("zero-y", values.constant_overall("y", zero=True), "Load the KPI: y is zero everywhere."),
    ("constant-y", values.constant_overall("y"),
     "Load the KPI as measured: a constant y has nothing to explain."),
)  # fmt: skip
WARNINGS = (
    ("irregular-dates", structure.irregular_dates,
     "Bring the dates to one frequency: daily, weekly on one weekday, or monthly."),
    ("unsorted-rows", structure.unsorted_rows, "Sort the rows by date, then by geo."),
    ("copy-of-y", values.copies_of_y, "Remove channels and controls computed from y."),
    ("few-rows", values.few_rows, "Use more dates or fewer channels and controls."),
    ("collinear", values.collinear,
     "Merge or drop collinear channels and controls, or calibrate them with lift tests."),
    ("correlated-pair", values.correlated_pairs,
     "Merge channels that always move together, or vary one of them in some geos."),
    ("zero-channel", values.constant_overall("channel", zero=True),
     "Drop channels that never run: nothing can be learned of them, and some models refuse."),
    ("constant-channel", values.constant_overall("channel"),
     "Drop or vary channels with constant spend: they look like the intercept."),
    ("constant-channel", values.constant_in_geos("channel"),
     "Pool a channel's effect over geos where its spend is constant in some of them."),
    ("zero-control", values.constant_overall("control", zero=True),
     "Drop controls that are zero everywhere."),
    ("constant-control", values.constant_overall("control"),
     "Drop constant controls: they look like the intercept."),
    ("constant-control", values.constant_in_geos("control"),
     "Drop controls that do not change over time: they look like the geo's intercept."),
    ("constant-y", values.constant_in_geos("y"),
     "Check the KPI of geos in which it never changes, or drop these geos."),
    ("spend-gap", values.spend_gaps,
     "Confirm that long spans without spend are real and not missing records."),
    ("outliers", values.outlying_values,
     "Confirm outliers, and model the event behind them rather than delete them."),
    ("object-dtype", structure.object_dtype, "Convert columns of dtype object to float."),
    ("unexpected-column", structure.unexpected_columns,
     "Name channels x1-..., controls c1-..., and drop other columns before modelling."),
)  # fmt: skip
CHECKS = (
    *(Check(code, "error", find, fix) for code, find, fix in ERRORS),
    *(Check(code, "warning", find, fix) for code, find, fix in WARNINGS),
)


@in_memory
def check_data_quality(data: xr.Dataset | pd.DataFrame) -> DataQualityReport:
    """Report what is wrong or questionable in a marketing-mix dataset.

    Faults in the data never raise an error, and the data are not changed.

    Parameters
    ----------
    data : xarray.Dataset or pandas.DataFrame
        A Dataset of any origin with ``spend`` (date, geo, channel), ``y`` (date, geo) and,
        optionally, ``control_value`` (date, geo, control), dims in any order. Or a wide frame
        with columns ``date``, ``geo``, ``y``, ``x1-*`` ..., ``c1-*`` ...; without ``geo`` all
        rows belong to one geo.

    Returns
    -------
    DataQualityReport
        ``ok`` is True when there is no error; warnings are allowed.

    Raises
    ------
    SchemaError
        If `data` is neither a Dataset nor a DataFrame.

    Notes
    -----
    Correlation and variance inflation are computed after the mean of each geo is removed.

    Outliers are far from the median of their geo; outliers of spend are far on the logarithmic
    scale as well. A series with the same value in half of its cells, such as a 0/1 indicator, has
    no outliers.

    Four or more variables with the same fault share one finding, which names the three worst;
    ``figures`` has all of them. If several rows have the same date and geo, the first one counts.

    In Datasets with the truth, two identities are checked to 1e-9 of the size of the terms: the
    components sum to mu, and y - mu is the noise.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({
    ...     "date": pd.date_range("2022-01-03", periods=6, freq="7D"),
    ...     "y": [90.0, 100.0, 80.0, None, 95.0, 85.0],
    ...     "x1-TV": [10.0, 12.0, 0.0, 9.0, -1.0, 14.0],
    ... })
    >>> report = check_data_quality(frame)
    >>> print(report)
    data quality: not ok, 2 errors, 0 warnings, 2 variables
    error    missing-values [y at 2022-01-24]: 1 of 6 values are missing
    error    negative-values [x1-TV at 2022-01-31]: 1 of 6 values are negative
    """
    panel = read(data)
    found: dict[str, list[Finding]] = {"error": [], "warning": []}
    # Numbers near the end of the float range overflow to infinity, which the checks expect.
    with np.errstate(all="ignore"), in_one_thread():
        for check in CHECKS:
            found[check.severity].extend(check.findings(panel))
        figures = panel.figures()
    return DataQualityReport(tuple(found["error"]), tuple(found["warning"]), figures)
