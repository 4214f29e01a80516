"""Findings of the quality check as tables."""

from __future__ import annotations

from collections.abc import Sequence

from mmm_xgen.formatting.amounts import amount, ratio, share
from mmm_xgen.formatting.words import count
from mmm_xgen.quality import suggest_fixes
from mmm_xgen.report.content import Block, Column, Items, Text, number, table
from mmm_xgen.report.subject import Subject

# Findings and figures that need no folding.
SHORT = 20


def faults(subject: Subject) -> Sequence[Block]:
    """Findings, what to do about them, and the figures of every variable."""
    report = subject.quality
    graded = [("error", finding) for finding in report.errors]
    graded += [("warning", finding) for finding in report.warnings]
    blocks: list[Block] = []
    if graded:
        heads = [Column("severity", kind="grade"), *map(Column, ("check", "where", "finding"))]
        rows = [(grade, each.code, each.where, each.message) for grade, each in graded]
        blocks.append(table("Findings", heads, rows, longest=5 * SHORT))
        blocks.append(Items("What to do", tuple(suggest_fixes(report))))
    else:
        blocks.append(Text("Nothing to complain about: no errors and no warnings."))
    blocks += _figures(subject)
    return blocks


def _figures(subject: Subject) -> Sequence[Block]:
    frame = subject.quality.figures
    if not len(frame):
        return []
    heads = [
        Column("variable"),
        Column("role"),
        *map(number, ("mean", "sd", "lowest", "highest", "zeros", "missing", "VIF")),
        number("longest gap", "periods"),
        number("outliers"),
    ]
    rows = [
        [
            str(name),
            str(row["role"]),
            *(amount(float(row[key])) for key in ("mean", "sd", "min", "max")),
            share(float(row["zero_share"])),
            f"{int(row['missing']):,}",
            ratio(float(row["vif"])),
            f"{int(row['longest_gap']):,}",
            f"{int(row['outliers']):,}",
        ]
        for name, (_, row) in zip(frame.index, frame.iterrows(), strict=True)
    ]
    note = (
        "VIF is the variance inflation by the other channels and controls: above 10 they can "
        "hardly be told apart."
    )
    title = f"Figures of {count(len(rows), 'variable')}"
    return [table(title, heads, rows, note=note, longest=SHORT)]
