"""Plots written as files, of a fit and of a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from mmm_xgen.atomic import NETCDF_LOCK
from mmm_xgen.export.files import load
from mmm_xgen.recovery.plots.intervals import plot_parameters, plot_roas
from mmm_xgen.recovery.plots.panels import save
from mmm_xgen.recovery.plots.ranks import independent_ranks, plot_ranks
from mmm_xgen.recovery.plots.returns import read_returns
from mmm_xgen.recovery.plots.scatter import plot_roas_recovery
from mmm_xgen.recovery.plots.series import (
    plot_contributions,
    plot_predictive,
    plot_response_curves,
)
from mmm_xgen.recovery.plots.studies import (
    QUANTITIES,
    SHOWN,
    plot_coverage,
    plot_metrics,
    plot_runtime,
)
from mmm_xgen.recovery.scoring.metrics import coverage_names
from mmm_xgen.recovery.study.saved import POSTERIOR, read_posterior
from mmm_xgen.recovery.study.tables import EVERY, populations
from mmm_xgen.recovery.study.unit import DONE, PLOTS, read_stats, whole_folder
from mmm_xgen.recovery.study.work import DATA, SCORES

RETURNS = "returns.parquet"
Drawings = Mapping[str, Callable[[], Figure]]


def plot_study(units: pd.DataFrame, scores: pd.DataFrame, folder: Path) -> list[Path]:
    """Draw a study's pictures, and those of one fit of each dataset and model.

    Parameters
    ----------
    units : DataFrame
        See `mmm_xgen.recovery.study.results.read_units`.
    scores : DataFrame
        See `mmm_xgen.recovery.study.results.read_scores`.
    folder : Path
        The study's summary. Its ``plots`` are written anew; pictures of what is no longer there
        are removed. ``returns.parquet`` has the true and estimated ROAS of every fit.

    Returns
    -------
    list of Path
        The summary's pictures. A fit's are in its own folder, see `plot_fit`: drawn once, of the
        first seed.

    Examples
    --------
    >>> from mmm_xgen.recovery.study.results import read_scores, read_units
    >>> units = read_units(Path("nowhere"))
    >>> import tempfile
    >>> plot_study(units, read_scores(units), Path(tempfile.mkdtemp()))
    []
    """
    firsts = units[units["status"] == DONE].sort_values("seed")
    for fit in firsts.drop_duplicates(["dataset", "model"])["folder"]:
        # A study that was kept in brief has no data of its fits.
        if (Path(fit) / DATA).exists() and not (Path(fit) / PLOTS).is_dir():
            plot_fit(Path(fit))
    return _written(folder / PLOTS, _of_study(units, scores, folder))


def plot_fit(folder: Path) -> list[Path]:
    """Draw the pictures of one fit into ``plots`` of its folder.

    Parameters
    ----------
    folder : Path
        Folder of a unit that is done.

    Returns
    -------
    list of Path
        Pictures of what the fit has: ``contributions``, ``parameters``, ``predictive``,
        ``response_curves``, ``roas``; the first page of each.

    Examples
    --------
    >>> import tempfile
    >>> import mmm_xgen
    >>> from mmm_xgen.recovery.fit import Fit
    >>> from mmm_xgen.recovery.study.saved import write_posterior
    >>> folder = Path(tempfile.mkdtemp())
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> _ = mmm_xgen.to_netcdf(ds, folder / DATA)
    >>> estimates = mmm_xgen.truth.roas(ds).expand_dims(chain=1, draw=2).to_dataset()
    >>> _ = write_posterior(Fit(estimates=estimates), folder / POSTERIOR, seed=1)
    >>> [path.name for path in plot_fit(folder)]
    ['roas.png']
    """
    settings = (read_stats(folder) or {}).get("settings") or {}
    # Write all or none: a study skips a folder that exists.
    with whole_folder(folder / PLOTS, again=True) as temporary:
        drawn = _written(temporary, _of_fit(folder, settings.get("train_end")))
    return [folder / PLOTS / path.name for path in drawn]


def _of_fit(folder: Path, train_end: str | None) -> Drawings:
    ds = load(folder / DATA)
    estimates, series, parameters = (
        found if (found := read_posterior(folder / POSTERIOR, group)) is not None else xr.Dataset()
        for group in ("estimates", "series", "parameters")
    )
    ridge = None
    if (folder / SCORES).is_file():
        with NETCDF_LOCK, xr.open_dataset(folder / SCORES, engine="netcdf4") as scores:
            ridge = scores["ridge_identified"].load() if "ridge_identified" in scores else None
    drawings: dict[str, Callable[[], Figure]] = {}
    if "channel_contribution" in series:
        drawings["contributions"] = lambda: plot_contributions(ds, series, train_end=train_end)
    if parameters.data_vars:
        drawings["parameters"] = lambda: plot_parameters(ds, parameters, ridge=ridge)
    if "mu" in series:
        drawings["predictive"] = lambda: plot_predictive(ds, series, train_end=train_end)
    if "response_curve" in estimates:
        drawings["response_curves"] = lambda: plot_response_curves(
            ds, estimates, train_end=train_end
        )
    if "roas" in estimates:
        drawings["roas"] = lambda: plot_roas(ds, estimates, train_end=train_end)
    return drawings


def _of_study(units: pd.DataFrame, scores: pd.DataFrame, folder: Path) -> Drawings:
    """List the plots of a study; it may have no fits, or none with a ROAS."""
    drawings: dict[str, Callable[[], Figure]] = {}
    if not (units["status"] == DONE).any():
        return drawings
    returns = read_returns(units, folder / RETURNS)
    long = populations(units, scores)
    every = long[(long["population"] == EVERY) & long["value"].notna()]
    datasets = list(map(str, units["dataset"].unique()))
    for dataset in datasets:
        end = f"_{dataset}" if len(datasets) > 1 else ""
        tables = (returns, every, scores, units)
        of_one = [table[table["dataset"] == dataset] for table in tables]
        drawings |= {f"{name}{end}": draw for name, draw in _of_dataset(*of_one).items()}
    return drawings


def _of_dataset(
    returns: pd.DataFrame, every: pd.DataFrame, scores: pd.DataFrame, units: pd.DataFrame
) -> Drawings:
    drawings: dict[str, Callable[[], Figure]] = {}
    if (returns["truth"] > 0).any():
        drawings["roas_recovery"] = lambda: plot_roas_recovery(returns)
    covering = every["metric"].isin(coverage_names()) & every["quantity"].isin(QUANTITIES)
    if covering.any():
        drawings["coverage"] = lambda: plot_coverage(every)
    shown = every[pd.MultiIndex.from_frame(every[["quantity", "metric"]]).isin(list(SHOWN))]
    if len(shown):
        drawings["metrics_by_model"] = lambda: plot_metrics(shown)
    if (shown["channel"] != "").any():
        drawings["metrics_by_channel"] = lambda: plot_metrics(shown, by="channel")
    # Ranks that replace a failed fit's are of another model.
    if ranks := independent_ranks(scores):
        drawings["ranks"] = lambda: plot_ranks(ranks)
    if (units["status"] == DONE).any():
        drawings["runtime"] = lambda: plot_runtime(units)
    return drawings


def _written(folder: Path, drawings: Drawings) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [save(draw(), folder / f"{name}.png") for name, draw in drawings.items()]
    for path in set(folder.glob("*.png")) - set(paths):
        path.unlink()
    return paths
