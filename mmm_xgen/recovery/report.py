"""Summary of a study: CSV files and a Markdown report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmm_xgen.atomic import atomic_path, csv_of
from mmm_xgen.errors import ConfigError
from mmm_xgen.quality.report import count
from mmm_xgen.recovery.fit import about
from mmm_xgen.recovery.study.results import (
    LARGEST_RHAT,
    NOT_COMPUTED,
    Study,
    comparable_units,
    read_scores,
    read_units,
)
from mmm_xgen.recovery.study.storage import storing
from mmm_xgen.recovery.study.tables import CONVERGED, EVERY, FLOOR, summary_tables
from mmm_xgen.recovery.study.unit import (
    NOT_APPLICABLE,
    PLOTS,
    SKIPPED,
    SUMMARY,
    TIMED_OUT,
    Unit,
    read_stats,
)

REPORT = "report.md"
COLLECTED = "scores.parquet"
# A channel's ROAS counts as recovered if the error of its logarithm is smaller.
RECOVERED_WITHIN = 0.25
NOMINAL = 0.94
ERRORS = 2.0
MISSING = "-"

COMPARED = (
    ("roas", "absolute_error"),
    ("roas", "rmse"),
    ("roas", "interval_score_94"),
    ("regret_recommended_percent", "value"),
)
COUNTS = "G geos, C channels, K controls, D dates; `counted` are the parameters that fits report."

HEAD = """# Recovery report

{fits} of {models} on {datasets}, {seeds} in all; {done} done, of which
{converged} converged (R-hat at most {rhat:g}, no divergences, all diagnostics computed; models that
do not sample count as converged).

Figures are means over datasets drawn with different seeds, with their Monte Carlo errors, seconds
and effective draws a second (ESS/s, of sampling) medians; all tables are in CSV files beside this
one, with 94% bootstrap intervals over datasets. Errors of ROAS are of its logarithm, 0.1 is about
10%: the error of the posterior median, and the RMSE over all draws; draws below 1% of the true
value count as that. Intervals of a fit are equal-tailed, not highest-density ones. Regret is the
revenue that the recommended budget loses against the best one, every channel within 30% of
today's, in percent of media's revenue.

**Every fit** is intention-to-score: fits that did not converge count, and one that came to
nothing counts as `{floor}` on the same data{floor_note}. **Converged** has the others only, and
so mostly the easier data; compare models there by the paired differences.
"""
MAIN = {
    "dataset": "dataset",
    "model": "model",
    "done": "done",
    "converged": "converged",
    "log_roas_error": "log-ROAS error",
    "log_roas_rmse": "log-ROAS RMSE",
    "coverage_50": "50% covers",
    "coverage_94": "94% covers",
    "interval_score": "interval score",
    "log_mroas_error": "log-mROAS error",
    "ranking": "ranking",
    "regret_percent": "regret %",
    "seconds": "seconds",
    "ess_per_second": "ESS/s",
}


def summarise(out: Path, units: Sequence[Unit]) -> Study:
    """Write the tables, the plots and the report of a study.

    Parameters
    ----------
    out : Path
        Folder of the study.
    units : sequence of Unit
        The requested units.

    Returns
    -------
    Study

    Raises
    ------
    ConfigError
        If none of the units is in the folder.
    StorageError
        If the disk is full or not writable.
    """
    with storing(out):
        return _summarised(out, units)


def _summarised(out: Path, units: Sequence[Unit]) -> Study:
    from mmm_xgen.recovery import plots

    found = read_units(out)
    chosen = comparable_units(found, units)
    if not chosen["requested"].any():
        raise ConfigError(f"{str(out)!r} has none of the requested fits; run them first")
    folder = out / SUMMARY
    folder.mkdir(parents=True, exist_ok=True)
    scores = read_scores(chosen, folder / COLLECTED)
    tables = summary_tables(chosen, scores)
    for name, table in tables.items():
        with atomic_path(folder / f"{name}.csv") as temporary:
            csv_of(table, temporary)
    requested = chosen[chosen["requested"]].drop(columns="requested").reset_index(drop=True)
    study = Study(out=out, units=requested, tables=tables, report=folder / REPORT)
    plots.plot_study(chosen, scores, folder)
    with atomic_path(study.report) as temporary:
        temporary.write_text(report_of(chosen, tables, folder), encoding="utf-8")
    return study


def report_of(units: pd.DataFrame, tables: Mapping[str, pd.DataFrame], folder: Path) -> str:
    """Write the text of the report.

    Parameters
    ----------
    units : DataFrame
        See `mmm_xgen.recovery.study.results.read_units`.
    tables : mapping of str to DataFrame
        See `mmm_xgen.recovery.study.tables.summary_tables`.
    folder : Path
        Folder of the report; plots in its folder ``plots`` are linked.
    """
    has_floor = (units["model"] == FLOOR).any()
    parts = [
        HEAD.format(
            fits=count(len(units), "fit"),
            models=count(units["model"].nunique(), "model"),
            datasets=count(units["dataset"].nunique(), "dataset"),
            seeds=count(len(units[["dataset", "seed"]].drop_duplicates()), "seed"),
            done=(units["status"] == "done").sum(),
            converged=units["converged"].sum(),
            rhat=LARGEST_RHAT,
            floor=FLOOR,
            floor_note="" if has_floor else ", which this study lacks: it is missing instead",
        ),
        _settings(units),
    ]
    if units["model"].str.startswith("ols").any():
        parts.append("Intervals of `ols` are given the chosen transforms.\n")
    for population in (EVERY, CONVERGED):
        rows = tables["recovery"].query("population == @population")
        parts.append(_section(f"Who recovered what: {population}", main_figures(rows)))
    paired = tables["paired_differences"]
    about = (
        "Below 0 the model is better than the reference; `better` is the share of pairs. Of "
        "coverage it is the plain difference, of which neither sign is better."
    )
    parts.append(_section("Compared on the same data", _paired(paired), about))
    parts.append("## What was not recovered\n\n" + "\n".join(_not_recovered(tables)) + "\n")
    parts.append("## What failed\n\n" + _failed(tables["failures"]) + "\n")
    absent = tables["failures"]["reason"].astype(str).str.startswith(NOT_APPLICABLE)
    costly = tables["failures"][~absent]
    parts.append("## What was too expensive\n\n" + _too_expensive(costly) + "\n")
    parts.append(_section("Models that do not exist for the data", tables["failures"][absent]))
    parts.append(_section("Diagnostics", tables["diagnostics_summary"]))
    unknown = units[units["not_converged"].astype(str).str.contains(NOT_COMPUTED, regex=False)]
    shown = unknown[["dataset", "model", "seed", "not_converged"]]
    parts.append(_section("Fits whose diagnostics cannot be computed", shown))
    for title, name in (
        ("Seconds, median over seeds", "runtime_comparison"),
        ("Effective sample sizes, median over seeds", "ess_comparison"),
        ("Effective draws a second, of sampling and of all, median over seeds", "ess_per_second"),
    ):
        parts.append(_section(title, _medians(tables[name])))
    parts.append(_section("Numbers of parameters", tables["parameter_counts"], COUNTS))
    parts.append(_plots(folder))
    files = ", ".join(f"[{name}]({name}.csv)" for name in tables)
    files += f"; every score, a row each: [{COLLECTED}]({COLLECTED})"
    return "\n".join([part for part in parts if part] + [f"## Files\n\n{files}\n"])


def markdown(table: pd.DataFrame) -> str:
    """Format a table as Markdown, numbers with four digits.

    Examples
    --------
    >>> print(markdown(pd.DataFrame({"model": ["ols"], "error": [0.123456]})))
    | model | error |
    | --- | ---: |
    | ols | 0.1235 |
    """
    numeric = [pd.api.types.is_numeric_dtype(table[name]) for name in table.columns]
    rows = [
        list(map(str, table.columns)),
        ["---:" if number else "---" for number in numeric],
        *([cell(value) for value in row] for row in table.itertuples(index=False)),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def cell(value: Any) -> str:
    """Format a value, numbers with four digits; bars are escaped.

    Examples
    --------
    >>> cell(1234.5678), cell(0.000123456), cell(float("nan"))
    ('1,235', '0.0001235', '-')
    """
    if isinstance(value, float | np.floating):
        number = float(value)
        if not np.isfinite(number):
            return MISSING
        return f"{number:,.0f}" if abs(number) >= 1000 or number.is_integer() else f"{number:.4g}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def _section(title: str, table: pd.DataFrame, about: str = "") -> str:
    if table.empty:
        return ""
    return f"## {title}\n\n" + (f"{about}\n\n" if about else "") + markdown(table) + "\n"


def main_figures(rows: pd.DataFrame) -> pd.DataFrame:
    """Format the main figures with their errors, under readable titles."""
    shown = {}
    for name, title in MAIN.items():
        error = rows.get(f"{name}_mc_error")
        if name == "done":
            pairs = zip(rows["done"], rows["units"], strict=True)
            shown[title] = [f"{done} of {units}" for done, units in pairs]
        elif error is None:
            shown[title] = list(rows[name])
        else:
            pairs = zip(rows[name], error, strict=True)
            shown[title] = [_with_error(value, off) for value, off in pairs]
    return pd.DataFrame(shown)


def _with_error(value: float, error: float) -> str:
    if not np.isfinite(value):
        return MISSING
    return f"{value:.3f}" + (f" ± {error:.3f}" if np.isfinite(error) else "")


def _medians(table: pd.DataFrame) -> pd.DataFrame:
    """Pivot medians to one column for each figure, in the order of the table."""
    if table.empty:
        return table
    figures = list(table["figure"].unique())
    wide = table.pivot(index=["dataset", "model"], columns="figure", values="median")
    return wide[figures].reset_index()


def _paired(table: pd.DataFrame) -> pd.DataFrame:
    if table.empty:
        return table
    keys = ["population", "dataset", "quantity", "metric", "model", "reference", "units"]
    # The CSV file has all quantities.
    named = pd.MultiIndex.from_frame(table[["quantity", "metric"]])
    table = table[named.isin(COMPARED)]
    shown = table[keys].assign(
        difference=[
            _with_error(value, off)
            for value, off in zip(table["mean"], table["standard_error"], strict=True)
        ],
        better=[
            _with_error(share, off)
            for share, off in zip(table["better"], table["better_error"], strict=True)
        ],
    )
    return shown


def _not_recovered(tables: Mapping[str, pd.DataFrame]) -> Iterable[str]:
    """List wrong ROAS, intervals that cover too little, and parameters along a ridge."""
    found = tables["roas_recovery"]
    if found.empty:
        return ["No ROAS was scored."]
    rows = found[(found["population"] == EVERY) & (found["quantity"] == "roas")]
    lines = []
    for key, group in rows.groupby(["dataset", "model"], sort=False):
        faults = []
        for row in group[group["metric"] == "absolute_error"].to_dict("records"):
            if row["mean"] > RECOVERED_WITHIN:
                place = f"`{row['channel']}`" if row["channel"] else "channels on average"
                faults.append(f"{place} off by {row['mean']:.2f}")
        covers = group[(group["metric"] == "coverage_94") & (group["channel"] == "")]
        for row in covers.to_dict("records"):
            if row["mean"] + ERRORS * np.nan_to_num(row["standard_error"]) < NOMINAL:
                faults.append(f"94% intervals cover {row['mean']:.0%}")
        if faults:
            lines.append(f"- {' '.join(map(str, key))}: ROAS of {'; '.join(faults)}.")
    parameters = tables["parameter_recovery"]
    if "ridge_share" in parameters and len(parameters):
        ridge = parameters[parameters["ridge_share"] > 0]
        for dataset, group in ridge.groupby(ridge["dataset"].astype(str), sort=False):
            names = ", ".join(f"`{name}`" for name in group["quantity"].unique())
            lines.append(
                f"- {dataset}: the data identify {names} only along a ridge, in some channels."
            )
    limit = f"more than {RECOVERED_WITHIN:g} in log ROAS, or intervals that cover too little"
    return lines or [f"Nothing by this rule: {limit}."]


def _failed(failures: pd.DataFrame) -> str:
    rows = failures[~failures["status"].isin([TIMED_OUT, SKIPPED])]
    return "Nothing." if rows.empty else markdown(rows)


def _too_expensive(failures: pd.DataFrame) -> str:
    rows = failures[failures["status"].isin([TIMED_OUT, SKIPPED])]
    return "Nothing that was asked for." if rows.empty else markdown(rows)


def _settings(units: pd.DataFrame) -> str:
    """Describe the settings, versions and protocol of the fits."""
    stats = [read_stats(Path(str(folder))) or {} for folder in units["folder"]]
    lines = []
    for title, key in (("Settings", "settings"), ("Versions", "versions")):
        values: dict[str, set[str]] = {}
        for each in stats:
            # Leave out settings that the model does not use.
            used = about(str(each.get("model"))).uses_settings
            for name, value in (each.get(key) or {}).items():
                if key != "settings" or name in used:
                    values.setdefault(name, set()).add(str(value))
        words = (f"{name} {' or '.join(sorted(found))}" for name, found in values.items())
        lines.append(f"{title}: {', '.join(words)}.")
    codes = sorted({str(each.get("code") or "unknown")[:8] for each in stats})
    if len(codes) > 1:
        lines.append(
            f"Mixed: fits were made with different source of mmm-xgen, {', '.join(codes)}."
        )
    protocols = sorted({str(each["protocol"]) for each in stats if each.get("protocol")})
    lines.append(f"Protocol (SHA-256): {', '.join(protocols) if protocols else 'none'}.")
    return "\n\n".join(lines) + "\n"


def _plots(folder: Path) -> str:
    paths = sorted((folder / PLOTS).glob("*.png"))
    links = [f"![{path.stem}]({PLOTS}/{path.name})" for path in paths]
    return "## Plots\n\n" + "\n\n".join(links) + "\n" if links else ""
