"""Tables of a study's folder: one row for each unit, and one row for each score."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from mmm_xgen.atomic import NETCDF_LOCK, atomic_path
from mmm_xgen.recovery.study.unit import (
    DONE,
    SUMMARY,
    UNITS,
    Unit,
    collected_stats,
    digest,
    read_stats,
)
from mmm_xgen.recovery.study.work import SCORES

LARGEST_RHAT = 1.01
# Largest diagnostics of a converged fit. Without a limit, a diagnostic must only be finite.
CONVERGED_AT_MOST = {
    "rhat_max": LARGEST_RHAT,
    "divergences": 0.0,
    "ess_bulk_min": math.inf,
    "ess_tail_min": math.inf,
}
NOT_COMPUTED = "cannot be computed"
TIMINGS = ("build", "compile", "sample", "total")
DIAGNOSTICS = ("rhat_max", "ess_bulk_min", "ess_tail_min", "divergences", "n_parameters")
# Columns that identify a fit, also among fits of the same unit.
FIT = ["hash", "began"]
UNIT = ["dataset", "model", "seed"]
SIZES = ("date", "geo", "channel", "control")


@dataclass(frozen=True, kw_only=True)
class Study:
    """Results of a study.

    Parameters
    ----------
    out : Path
        Folder of the study.
    units : DataFrame
        One row for each requested unit; see `read_units`.
    tables : mapping of str to DataFrame
        The summary; see `mmm_xgen.recovery.study.tables.summary_tables`. It has the requested
        units, and units of earlier calls in `out` that can be compared with them.
    report : Path
        Markdown file with the report.
    """

    out: Path
    units: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    report: Path


def read_units(out: Path) -> pd.DataFrame:
    """Read all units in a study's folder.

    Parameters
    ----------
    out : Path
        Folder of the study.

    Returns
    -------
    DataFrame, one row a unit
        ``dataset``, ``model`` (with its sampler), ``seed``, ``status``, ``reason``, ``converged``,
        ``not_converged`` (why a fit that is done has not converged, else empty),
        ``hash``, ``context``, ``template``, ``protocol``, ``versions`` (a hash of them),
        ``began``, ``folder``; seconds ``build``, ``compile``, ``sample``, ``total`` of the fit,
        ``seconds`` of all; ``rhat_max``, ``ess_bulk_min``, ``ess_tail_min``, ``divergences``,
        ``n_parameters``; ``ess_per_second`` of sampling and ``ess_per_second_of_all``, building
        and compiling included; ``cold``, 1 if it was the first fit of its process; sizes
        ``n_date``, ``n_geo``, ``n_channel``, ``n_control``.
    """
    found = _all_stats(out)
    rows = [{**_row(stats), "folder": folder} for folder, stats in found.items()]
    return pd.DataFrame(rows, columns=None if rows else [*_row({"status": DONE}), "folder"])


def collect_units(out: Path) -> Path:
    """Write one table with the `stats.json` of every unit of a study.

    The study goes on from it where folders of units are missing, so that the table can stand for
    them in a repository. Delete a unit's row, or the table, to fit the unit again.

    Parameters
    ----------
    out : Path
        Folder of the study.

    Returns
    -------
    Path
        Parquet file in the folder of the summary, one row a unit: ``folder`` (within the study),
        ``dataset``, ``model`` (with its sampler), ``seed``, ``status``, ``converged`` and
        ``stats``, the text of `stats.json`.
    """
    found = _all_stats(out)
    columns = ("dataset", "model", "seed", "status", "converged")
    rows = []
    for folder, stats in found.items():
        row = _row(stats)
        about = {name: row[name] for name in columns}
        text = json.dumps(stats, ensure_ascii=False)
        rows.append({"folder": folder.relative_to(out).as_posix(), **about, "stats": text})
    path = out / SUMMARY / UNITS
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        table = pd.DataFrame(rows, columns=["folder", *columns, "stats"])
        table.to_parquet(temporary, index=False, compression="zstd")
    return path


def _all_stats(out: Path) -> dict[Path, dict[str, Any]]:
    """Content of `stats.json` by unit's folder, those that only the table of units has too."""
    folders = {*out.glob("*/*/[0-9]*-*"), *(out / name for name in collected_stats(out))}
    return {folder: stats for folder in sorted(folders) if (stats := read_stats(folder))}


def converged(stats: Mapping[str, Any]) -> bool:
    """Return whether a fit is done, has R-hat of at most 1.01 and no divergences.

    A model that does not sample always counts as converged. A fit whose diagnostics could not be
    computed has not converged; see `why_not_converged`.

    Examples
    --------
    >>> converged({"status": "done", "diagnostics": {"rhat_max": 1.02}})
    False
    >>> converged({"status": "done", "diagnostics": {}})
    True
    """
    return not why_not_converged(stats)


def why_not_converged(stats: Mapping[str, Any]) -> str:
    """Explain why a fit has not converged; empty if it has.

    Parameters
    ----------
    stats : mapping
        Content of `stats.json`.

    Examples
    --------
    >>> why_not_converged({"status": "done", "diagnostics": {"rhat_max": 1.02, "divergences": 3}})
    'rhat_max is 1.02, allowed: at most 1.01; divergences is 3, allowed: at most 0'
    >>> why_not_converged({"status": "done", "diagnostics": {"rhat_max": None}})
    'rhat_max cannot be computed'
    """
    if stats.get("status") != DONE:
        return str(stats.get("status", "not done"))
    found, reasons = stats.get("diagnostics") or {}, stats.get("not_computed") or {}
    faults = []
    for name, most in CONVERGED_AT_MOST.items():
        value = found.get(name, 0.0)
        if name in reasons or value is None or not math.isfinite(value):
            reason = f": {reasons[name]}" if name in reasons else ""
            faults.append(f"{name} {NOT_COMPUTED}{reason}")
        elif value > most:
            faults.append(f"{name} is {value:.5g}, allowed: at most {most:g}")
    return "; ".join(faults)


def comparable_units(found: pd.DataFrame, units: Iterable[Unit]) -> pd.DataFrame:
    """Choose the requested units, and all others that can be compared with them in one table.

    Comparable units have the same protocol and the same settings, apart from sampler and lift
    tests. Units of one dataset have the same configuration, and units of one model the same
    versions of packages. Where there are several, requested units decide, then the newest.

    Parameters
    ----------
    found : DataFrame
        See `read_units`.
    units : iterable of Unit
        The requested units.

    Returns
    -------
    DataFrame
        Rows of `found`, with ``requested``.
    """
    units = list(units)
    requested = found["hash"].isin({unit.hash for unit in units})
    alike = found["context"].isin({unit.context for unit in units})
    return newest(
        found.assign(requested=requested)[requested | alike], first=("requested", "began")
    )


def newest(found: pd.DataFrame, first: Iterable[str] = ("began",)) -> pd.DataFrame:
    """Choose one unit for each dataset, model and seed, such that they can be averaged.

    Parameters
    ----------
    found : DataFrame
        See `read_units`.
    first : iterable of str
        Columns to sort by. The largest values decide which configuration of a dataset, which
        versions of a model's packages and which of two units are chosen.

    Returns
    -------
    DataFrame
        Rows of `found`, by dataset, model and seed.

    Examples
    --------
    >>> about = {"dataset": "a", "model": "ols", "template": "", "versions": ["1", "1", "2"]}
    >>> newest(pd.DataFrame({**about, "seed": [1, 2, 1], "began": ["1", "2", "3"]}))["began"].item()
    '3'
    """
    kept = found.sort_values([*first], ascending=False, kind="stable")
    for what, by in (("template", ["dataset"]), ("versions", ["dataset", "model"])):
        kept = kept[kept[what] == kept.groupby(by)[what].transform("first")]
    kept = kept.drop_duplicates(UNIT)
    return kept.sort_values(UNIT).reset_index(drop=True)


def read_scores(units: pd.DataFrame, collected: Path | None = None) -> pd.DataFrame:
    """Read the scores of units, one value in a row.

    Parameters
    ----------
    units : DataFrame
        See `read_units`.
    collected : Path, optional
        Parquet file with the scores of many units, which is read and updated. Many small files
        would take minutes to read.

    Returns
    -------
    DataFrame
        Columns of `mmm_xgen.recovery.scoring.tidy`, with ``dataset``, ``model``, ``seed`` and
        ``converged``, in the order of `units`.
    """
    from mmm_xgen.recovery.scoring.scores import TIDY, tidy

    def of_unit(unit: Mapping[Any, Any]) -> pd.DataFrame:
        with NETCDF_LOCK, xr.open_dataset(unit["folder"] / SCORES, engine="netcdf4") as file:
            return tidy(file.load())

    return read_together(units, collected, TIDY, of_unit)


def read_together(
    units: pd.DataFrame,
    collected: Path | None,
    columns: Iterable[str],
    of_unit: Callable[[Mapping[Any, Any]], pd.DataFrame],
) -> pd.DataFrame:
    """Read tables of all units that are done, from one file as far as possible.

    Parameters
    ----------
    units : DataFrame
        See `read_units`.
    collected : Path, optional
        Parquet file with the tables of many units, which is updated. Rows of units that are not
        in `units` stay in it.
    columns : iterable of str
        Columns of a unit's table.
    of_unit : callable
        Reads the table from a unit's own folder.

    Returns
    -------
    DataFrame
        `columns`, with ``dataset``, ``model``, ``seed`` and ``converged``, in the order of
        `units`.
    """
    done = units[units["status"] == DONE]
    known = _read_collected(collected, [*FIT, *columns])
    there = set(zip(known["hash"], known["began"], strict=True))
    new = [
        of_unit(unit).assign(**{name: unit[name] for name in FIT})
        for unit in done.to_dict("records")
        if (unit["hash"], unit["began"]) not in there
    ]
    about = done[[*FIT, "dataset", "model", "seed", "converged"]]
    rows = pd.concat([part for part in (known, *new) if len(part)] or [known], ignore_index=True)
    if collected is not None and new:
        # A new fit of a unit replaces the earlier one.
        others = rows[~rows["hash"].isin(about["hash"])]
        with atomic_path(collected) as temporary:
            pd.concat([others, about[FIT].merge(rows, on=FIT)]).to_parquet(temporary, index=False)
    return about.merge(rows, on=FIT).drop(columns=FIT)


def _read_collected(path: Path | None, columns: list[str]) -> pd.DataFrame:
    """Read a Parquet file; empty if it is missing or broken, as it is then written again."""
    if path is not None and path.exists():
        try:
            return pd.read_parquet(path)[columns]
        except (OSError, ValueError, KeyError) as error:
            logging.getLogger(__name__).info("%s is made again: %s", path, error)
    return pd.DataFrame(columns=columns)


def _row(stats: Mapping[str, Any]) -> dict[str, Any]:
    timings, diagnostics, sizes = (
        stats.get(name) or {} for name in ("timings", "diagnostics", "sizes")
    )
    sampling, total = timings.get("sample"), timings.get("total")
    ess = diagnostics.get("ess_bulk_min")
    return {
        "dataset": stats.get("dataset", ""),
        "model": stats.get("label", ""),
        "seed": stats.get("seed", 0),
        "status": stats["status"],
        "reason": stats.get("reason", ""),
        "converged": converged(stats),
        "not_converged": why_not_converged(stats) if stats["status"] == DONE else "",
        **{name: stats.get(name) or "" for name in ("hash", "context", "template", "protocol")},
        "versions": digest(versions=stats.get("versions")),
        "began": stats.get("began", ""),
        "seconds": _number(stats.get("seconds")),
        **{name: _number(timings.get(name)) for name in TIMINGS},
        **{name: _number(diagnostics.get(name)) for name in DIAGNOSTICS},
        "ess_per_second": ess / sampling if ess and sampling else float("nan"),
        "ess_per_second_of_all": ess / total if ess and total else float("nan"),
        "cold": float(stats.get("units_before") == 0),
        **{f"n_{name}": _number(sizes.get(name)) for name in SIZES},
    }


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
