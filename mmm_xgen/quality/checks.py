"""The table of all checks, and the function that runs it.

A new check is a function ``panel -> iterator of (where, message)`` in `structure` or `values` and
one row in `CHECKS` below; one that looks at each variable yields cases and is ``@grouped``.
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
from mmm_xgen.quality.report import DataQualityReport, Finding


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
        ``find(panel)`` yields (where, message), nothing when all is well.
    fix : str
        What to do, one sentence.

    Examples
    --------
    >>> CHECKS[0].code, CHECKS[0].severity
    ('missing-variable', 'error')
    """

    code: str
    severity: Literal["error", "warning"]
    find: Callable[[Panel], Iterable[tuple[str, str]]]
    fix: str

    def findings(self, panel: Panel) -> Iterator[Finding]:
        """Run the check and label what it finds.

        Examples
        --------
        >>> panel = read(pd.DataFrame({"y": [1.0]}))
        >>> [finding.where for finding in CHECKS[0].findings(panel)]
        ['date', 'x1-<channel>']
        """
        for where, message in self.find(panel):
            yield Finding(self.code, message, where, self.fix)


# In order of seriousness: reports and suggested fixes keep it.
CHECKS: tuple[Check, ...] = (
    Check(
        "missing-variable", "error", structure.absent_variables,
        "Add what is missing: a Dataset needs spend and y, a frame date, y and one x1-... column.",
    ),
    Check(
        "wrong-dims", "error", structure.wrong_dims,
        "Rename or reduce the dims to spend (date, geo, channel) and y (date, geo).",
    ),
    Check("no-rows", "error", structure.no_rows, "Load at least one date."),
    Check(
        "duplicate-columns", "error", structure.duplicate_columns,
        "Rename or drop the columns that share a name.",
    ),
    Check(
        "unparsable-dates", "error", structure.unparsable_dates,
        "Write every date as YYYY-MM-DD; a week number or a year alone is not a date.",
    ),
    Check(
        "missing-values", "error", structure.missing_keys,
        "Complete the dates and geos, or drop the rows that lack one.",
    ),
    Check(
        "leaked-truth", "error", structure.leaked_truth,
        "Remove columns that hold the answer (or rename them if they do not) before modelling.",
    ),
    Check(
        "broken-identity", "error", structure.broken_identity,
        "Regenerate the Dataset: components must sum to mu, and y - mu must be the noise.",
    ),
    Check(
        "duplicate-rows", "error", structure.duplicate_rows,
        "Keep one row a date and geo: drop exact copies, sum what was split.",
    ),
    Check(
        "non-numeric", "error", values.cells_with("non-numeric"),
        "Convert text to numbers, with pandas.to_numeric say.",
    ),
    Check(
        "missing-values", "error", values.cells_with("missing-values"),
        "Fill missing values or find out what they were: some models read them as 0.",
    ),
    Check(
        "infinite-values", "error", values.cells_with("infinite-values"),
        "Replace infinities, which usually come from a division by zero.",
    ),
    Check(
        "negative-values", "error", values.cells_with("negative-values"),
        "Make spend and y zero or more: book refunds and returns in the period they belong to.",
    ),
    Check(
        "unbalanced-geos", "error", structure.unbalanced_geos,
        "Give every geo every date: some models read a missing row as 0.",
    ),
    Check(
        "date-gaps", "error", structure.date_gaps,
        "Add the missing dates: carry-over counts rows, so a gap shifts it.",
    ),
    Check("zero-y", "error", values.zero_overall("y"), "Load the KPI: y is zero everywhere."),
    Check(
        "constant-y", "error", values.constant_overall("y"),
        "Load the KPI as measured: a constant y has nothing to explain.",
    ),
    Check(
        "irregular-dates", "warning", structure.irregular_dates,
        "Bring the dates to one frequency: daily, weekly on one weekday, or monthly.",
    ),
    Check(
        "unsorted-rows", "warning", structure.unsorted_rows,
        "Sort the rows by date, then by geo.",
    ),
    Check(
        "copy-of-y", "warning", values.copies_of_y,
        "Remove channels and controls computed from y.",
    ),
    Check(
        "few-rows", "warning", values.few_rows,
        "Use more dates or fewer channels and controls.",
    ),
    Check(
        "collinear", "warning", values.collinear,
        "Merge or drop collinear channels and controls, or calibrate them with lift tests.",
    ),
    Check(
        "correlated-pair", "warning", values.correlated_pairs,
        "Merge channels that always move together, or vary one of them in some geos.",
    ),
    Check(
        "zero-channel", "warning", values.zero_overall("channel"),
        "Drop channels that never run: nothing can be learned of them, and some models refuse.",
    ),
    Check(
        "constant-channel", "warning", values.constant_overall("channel"),
        "Drop or vary channels with constant spend: they look like the intercept.",
    ),
    Check(
        "constant-channel", "warning", values.constant_in_geos("channel"),
        "Pool a channel's effect over geos where its spend is constant in some of them.",
    ),
    Check(
        "zero-control", "warning", values.zero_overall("control"),
        "Drop controls that are zero everywhere.",
    ),
    Check(
        "constant-control", "warning", values.constant_overall("control"),
        "Drop constant controls: they look like the intercept.",
    ),
    Check(
        "constant-control", "warning", values.constant_in_geos("control"),
        "Drop controls that do not change over time: they look like the geo's intercept.",
    ),
    Check(
        "constant-y", "warning", values.constant_in_geos("y"),
        "Check the KPI of geos in which it never changes, or drop these geos.",
    ),
    Check(
        "spend-gap", "warning", values.spend_gaps,
        "Confirm that long spans without spend are real and not missing records.",
    ),
    Check(
        "outliers", "warning", values.outlying_values,
        "Confirm outliers, and model the event behind them rather than delete them.",
    ),
    Check(
        "negative-control", "warning", values.cells_with("negative-control"),
        "Shift negative controls to zero or more if the model or file format needs it.",
    ),
    Check(
        "object-dtype", "warning", structure.object_dtype,
        "Convert columns of dtype object to float.",
    ),
    Check(
        "unexpected-column", "warning", structure.unexpected_columns,
        "Name channels x1-..., controls c1-..., and drop other columns before modelling.",
    ),
)  # fmt: skip


@in_memory
def check_data_quality(data: xr.Dataset | pd.DataFrame) -> DataQualityReport:
    """Report what is wrong or questionable in a marketing-mix dataset.

    Bad data are reported, never raised for. Nothing is changed.

    Parameters
    ----------
    data : xarray.Dataset or pandas.DataFrame
        A Dataset with ``spend`` (date, geo, channel), ``y`` (date, geo) and, if there are any,
        ``control_value`` (date, geo, control), dims in any order, from this package or not. Or a
        wide frame with columns ``date``, ``geo``, ``y``, ``x1-*`` ..., ``c1-*`` ...; without
        ``geo`` all rows belong to one geo.

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
    Correlation and variance inflation are taken after each geo's own mean is removed, outliers
    against each geo's own median, on the scale of the logarithm too for spend, and not in series
    of which half the values are the same, such as 0/1 indicators. From four variables on, those
    with the same fault share one finding, which names the three worst; ``figures`` has all of
    them. Where a (date, geo) is repeated, its first row counts. The
    identities (components sum to mu, y - mu is the noise, both to 1e-9 of the size of the terms)
    are checked for Datasets that hold the truth.

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
    with np.errstate(all="ignore"):
        for check in CHECKS:
            found[check.severity].extend(check.findings(panel))
        figures = panel.figures()
    return DataQualityReport(tuple(found["error"]), tuple(found["warning"]), figures)
