"""Recommendations at the head of a report: for the data, the budget and a fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmm_xgen.formatting.amounts import ratio
from mmm_xgen.formatting.words import listed
from mmm_xgen.quality import suggest_fixes
from mmm_xgen.report.content import Block, Items, Text, attempt
from mmm_xgen.report.figures import channels_by_size
from mmm_xgen.report.subject import Subject
from mmm_xgen.truth.returns.estimands import mroas

# Most entries of a list.
MOST = 3
# Marginal returns whose ratio is below this are too close to move spend.
CLOSE = 1.1
# Grades of `recoverability` at which a fitted ROAS says little.
DOUBTFUL = ("not identified", "weak", "poor")


def recommendations(subject: Subject) -> Sequence[Block]:
    """Make lists of what to do about the data, the budget and a fit."""
    fixes = suggest_fixes(subject.quality)
    more = len(fixes) - MOST
    rest = [f"See the section on data quality for {more} more."] if more > 0 else []
    blocks: list[Block] = [Items("Data", (*fixes[:MOST], *rest))] if fixes else []
    if subject.has_parameters:
        blocks += attempt("Budget", lambda: _budget(subject))
        blocks += attempt("Fit", lambda: _fit(subject))
    return blocks or [Text("There is nothing to do: the checks of this report found no fault.")]


def _budget(subject: Subject) -> Sequence[Block]:
    """Compare marginal returns, where there are any."""
    found = mroas(subject.dataset)
    returns = found.isel(channel=np.isfinite(found.to_numpy())).sortby(found)
    unit = str(subject.dataset["spend"].attrs.get("units", "currency"))
    advice = []
    if returns.size > 1 and returns[-1] > max(CLOSE * float(returns[0]), 0):
        (low, worst), (high, best) = (
            (str(each["channel"].item()), ratio(float(each))) for each in (returns[0], returns[-1])
        )
        advice.append(
            f"Move spend from {low} to {high}: one more {unit} of spend makes {worst} {unit} of "
            f"revenue in {low} and {best} in {high}."
        )
    losing = [str(name) for name in returns["channel"].to_numpy()[returns.to_numpy() < 1]]
    if losing:
        advice.append(
            f"Spend less on {listed(losing, MOST)}: one more {unit} of spend makes less than "
            f"1 {unit} of revenue."
        )
    return [Items("Budget", tuple(advice))] if advice else []


def _fit(subject: Subject) -> Sequence[Block]:
    """Name the channels whose return a fit cannot tell."""
    grades = subject.recoverability["grade"]
    doubtful = [
        f"{name} ({grade})"
        for name in channels_by_size(subject.dataset)
        if (grade := str(grades.sel(channel=name).item())) in DOUBTFUL
    ]
    if not doubtful:
        return []
    advice = (
        f"Test {listed(doubtful, MOST)} before you trust a fit: these data say little of the ROAS."
    )
    return [Items("Fit", (advice,))]
