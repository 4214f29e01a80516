"""The report of a quality check: findings, figures and advice."""

from __future__ import annotations

import html
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from mmm_xgen.formatting.plain import plain
from mmm_xgen.formatting.words import count

_SHOWN_IN_HTML = 20


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or questionable in a dataset.

    Parameters
    ----------
    code : str
        Stable slug of the check, to filter on (``"missing-values"``).
    message : str
        What was found, with its count.
    where : str
        Variable, geos and dates concerned; the first few when there are many
        (``"x1-TV, x4-Radio, x2-Search and 17 more"``).
    fix : str
        What to do about it, one sentence; the same for every finding of a code.

    Examples
    --------
    >>> print(Finding("missing-values", "1 of 104 values is missing", "x1-TV", "Fill it."))
    missing-values [x1-TV]: 1 of 104 values is missing
    """

    code: str
    message: str
    where: str
    fix: str

    def __str__(self) -> str:
        """Return the finding as one line, without its fix."""
        return f"{self.code} [{self.where}]: {self.message}"

    def to_dict(self) -> dict[str, str]:
        """Return the four fields as a plain dict.

        Examples
        --------
        >>> Finding("a", "b", "c", "d").to_dict()
        {'code': 'a', 'message': 'b', 'where': 'c', 'fix': 'd'}
        """
        return asdict(self)


@dataclass(frozen=True)
class DataQualityReport:
    """Everything `mmm_xgen.check_data_quality` found.

    Parameters
    ----------
    errors : tuple of Finding
        Faults that make a model fail or mislead it silently; most serious first.
    warnings : tuple of Finding
        Facts to know before a fit; most serious first.
    figures : pandas.DataFrame
        One row a variable: ``role`` (y, channel or control), ``mean``, ``sd`` (ddof 1), ``min``,
        ``max`` (in the variable's units, over finite values), ``zero_share`` (0 to 1),
        ``missing`` (count), ``vif`` (variance inflation factor, NaN for y and for constant
        variables), ``longest_gap`` (periods of uninterrupted zeros in the worst geo),
        ``outliers`` (count). Two reports are equal when their findings are.

    Examples
    --------
    >>> report = DataQualityReport((), (), pd.DataFrame())
    >>> report.ok
    True
    >>> print(report)
    data quality: ok, 0 errors, 0 warnings, 0 variables
    """

    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    figures: pd.DataFrame = field(compare=False, repr=False)

    @property
    def ok(self) -> bool:
        """True if there is no error. Warnings are allowed.

        Examples
        --------
        >>> DataQualityReport((Finding("a", "b", "c", "d"),), (), pd.DataFrame()).ok
        False
        """
        return not self.errors

    def __str__(self) -> str:
        """Return a headline and one line a finding."""
        lines = [f"{grade:<8} {finding}" for grade, finding in self._graded()]
        return "\n".join([self._headline(), *lines])

    def to_dict(self) -> dict[str, Any]:
        """Return the report as dicts and lists that ``json.dumps`` takes.

        Figures that are NaN or infinite become None, because JSON has neither.

        Examples
        --------
        >>> DataQualityReport((), (), pd.DataFrame()).to_dict()
        {'ok': True, 'errors': [], 'warnings': [], 'figures': []}
        """
        return {
            "ok": self.ok,
            "errors": [finding.to_dict() for finding in self.errors],
            "warnings": [finding.to_dict() for finding in self.warnings],
            # A list, not a dict by name: broken data may repeat a name.
            "figures": plain(self.figures.reset_index(names="variable").to_dict("records"))
            if len(self.figures)
            else [],
        }

    def _graded(self) -> list[tuple[str, Finding]]:
        errors = [("error", finding) for finding in self.errors]
        return [*errors, *(("warning", finding) for finding in self.warnings)]

    def _headline(self) -> str:
        counts = (
            count(len(self.errors), "error"),
            count(len(self.warnings), "warning"),
            count(len(self.figures), "variable"),
        )
        return f"data quality: {'ok' if self.ok else 'not ok'}, {', '.join(counts)}"

    def _repr_html_(self) -> str:
        """Return a small table for notebooks."""
        graded = self._graded()
        rows = "".join(
            f"<tr><td>{grade}</td><td>{html.escape(finding.code)}</td>"
            f"<td>{html.escape(finding.where)}</td><td>{html.escape(finding.message)}</td></tr>"
            for grade, finding in graded[:_SHOWN_IN_HTML]
        )
        hidden = len(graded) - _SHOWN_IN_HTML
        more = f"<p>and {hidden} more</p>" if hidden > 0 else ""
        return f"<p><b>{html.escape(self._headline())}</b></p><table>{rows}</table>{more}"


def suggest_fixes(report: DataQualityReport) -> list[str]:
    """List what to do, one sentence for each kind of finding, most serious first.

    Parameters
    ----------
    report : DataQualityReport
        From `mmm_xgen.check_data_quality`.

    Returns
    -------
    list of str
        The fixes of the errors, then of the warnings, each once.

    Examples
    --------
    >>> gap = Finding("spend-gap", "30 periods without spend", "x1-TV", "Ask about the gap.")
    >>> bad = Finding("missing-values", "1 of 9 values is missing", "y", "Fill the gaps.")
    >>> suggest_fixes(DataQualityReport((bad,), (gap, gap), pd.DataFrame()))
    ['Fill the gaps.', 'Ask about the gap.']
    """
    return list(dict.fromkeys(finding.fix for finding in (*report.errors, *report.warnings)))
