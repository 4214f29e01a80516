"""True and estimated ROAS of every fit of a study; its scores have only their differences."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from mmm_xgen.export.files import load
from mmm_xgen.recovery.estimates import SAMPLE
from mmm_xgen.recovery.fit import FitSettings
from mmm_xgen.recovery.scoring.decisions import window_of
from mmm_xgen.recovery.study.results import read_together
from mmm_xgen.recovery.study.saved import POSTERIOR, QUANTILES, read_posterior
from mmm_xgen.recovery.study.unit import read_stats
from mmm_xgen.recovery.study.work import DATA
from mmm_xgen.truth.returns.roas import roas

FOUND = ["channel", "truth", "median", "lower", "upper"]


def read_returns(units: pd.DataFrame, collected: Path | None = None) -> pd.DataFrame:
    """Read true and estimated ROAS of the training window, one row for each fit and channel.

    Parameters
    ----------
    units : DataFrame
        See `mmm_xgen.recovery.study.results.read_units`; those that are done count.
    collected : Path, optional
        Parquet file that has them together, read and brought up to date.

    Returns
    -------
    DataFrame
        ``dataset``, ``model``, ``seed``, ``converged``, ``channel``; ``truth``, ``median``, and
        the equal-tailed 94% interval ``lower`` to ``upper``, currency per currency.

    Examples
    --------
    >>> from mmm_xgen.recovery.study.results import read_units
    >>> read_returns(read_units(Path("nowhere"))).empty
    True
    """
    truths: dict[tuple[Any, ...], xr.DataArray] = {}
    return read_together(units, collected, FOUND, lambda unit: _of_fit(unit, truths))


def _of_fit(unit: Mapping[Any, Any], truths: dict[tuple[Any, ...], xr.DataArray]) -> pd.DataFrame:
    folder = Path(unit["folder"])
    estimates = read_posterior(folder / POSTERIOR, "estimates")
    if estimates is None or "roas" not in estimates:
        return pd.DataFrame(columns=FOUND)
    stats = read_stats(folder) or {}
    end = (stats.get("settings") or {}).get("train_end")
    # All models of a seed have seen the same data.
    key = (unit["dataset"], unit["seed"], end)
    if key not in truths:
        ds = load(folder / DATA)
        truths[key] = roas(ds, window=window_of(ds, FitSettings(train_end=end)))
    truth = truths[key]
    levels = estimates["roas"].quantile(
        [QUANTILES[0], 0.5, QUANTILES[-1]], dim=SAMPLE, skipna=False
    )
    low, middle, high = levels.sel(channel=truth["channel"].values)
    names = [str(name) for name in truth["channel"].values]
    columns = (names, truth, middle, low, high)
    return pd.DataFrame(dict(zip(FOUND, columns, strict=True)))
