"""Files of a fit: draws of small variables, quantiles of long series."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mmm_xgen.atomic import NETCDF_LOCK
from mmm_xgen.dataset import in_memory
from mmm_xgen.recovery.estimates import SAMPLE
from mmm_xgen.recovery.fit import Fit
from mmm_xgen.recovery.scoring.holdout import predictive_draws

POSTERIOR = "posterior.nc"
QUANTILES = (0.03, 0.25, 0.5, 0.75, 0.97)
# Most bytes of one group of a file; larger groups are saved with fewer draws.
LARGEST = 8_000_000
# Groups of the library's own result that are saved.
OWN = ("posterior", "sample_stats", "truth")


def write_posterior(fit: Fit, path: Path, *, seed: int) -> Path:
    """Write the results of a fit that plots and later analyses need into one NetCDF file.

    Parameters
    ----------
    fit : Fit
        Result of a model.
    path : Path
        The file.
    seed : int
        Seed of the noise in predictions.

    Returns
    -------
    Path
        `path`. A group without variables is left out:

        ``estimates``
            Draws of all estimates without dim date.
        ``series`` (quantile, date, ...)
            Mean and quantiles of estimates with dim date, and of the predicted KPI (``y``).
        ``parameters``
            Draws of the parameters under the Dataset's names.
        ``posterior``
            Draws of the library's own variables without dim date, on its own scale.
        ``sample_stats``
            Statistics of the sampler for each draw.
        ``truth``
            True values under the names of ``posterior``, on its scale.

        Draws are saved as 32-bit numbers. Scores are computed before that.
    """
    long = [name for name, array in fit.estimates.data_vars.items() if "date" in array.dims]
    groups = {
        "estimates": fit.estimates.drop_vars([*long, "date"], errors="ignore"),
        "series": series_of(fit.estimates, seed=seed),
        "parameters": fit.parameters,
        **{name: _without_dates(numeric_group(fit.inference, name)) for name in OWN},
    }
    mode = "w"
    for name, group in groups.items():
        if group.data_vars:
            _write(thinned(group, LARGEST), path, name, mode)
            mode = "a"
    if mode == "w":
        _write(xr.Dataset(), path, "estimates", mode)
    return path


def read_posterior(path: Path, group: str) -> xr.Dataset | None:
    """Load one group of the file; None if there is no such group."""
    try:
        with NETCDF_LOCK, xr.open_dataset(path, group=group, engine="netcdf4") as found:
            return found.load()
    except OSError:
        return None


@in_memory
def series_of(estimates: xr.Dataset, *, seed: int) -> xr.Dataset:
    """Compute mean and quantiles over draws of estimates with dim date, and of the predicted KPI.

    Parameters
    ----------
    estimates : Dataset, dims (chain, draw, ...)
        See `mmm_xgen.recovery.fit.Fit`.
    seed : int
        Seed of the noise in predictions.

    Returns
    -------
    Dataset, dims (quantile, date, ...)
        ``channel_contribution``, ``mu``, ``y``, each also as ``<name>_mean`` without quantiles.
    """
    long = {
        str(name): array
        for name, array in estimates.data_vars.items()
        if {"date", *SAMPLE} <= set(array.dims) and name != "y_sigma"
    }
    if "mu" in long and "y_sigma" in estimates:
        long["y"] = predictive_draws(estimates, seed=seed)
    kept: dict[str, xr.DataArray] = {}
    for name, array in long.items():
        kept[name] = array.quantile(list(QUANTILES), dim=SAMPLE)
        kept[f"{name}_mean"] = array.mean(SAMPLE)
    return xr.Dataset(kept)


def numeric_group(inference: Any, name: str) -> xr.Dataset:
    """Numeric variables in a group of an InferenceData or DataTree; empty without the group."""
    group = getattr(inference, name, None)
    if group is None:
        return xr.Dataset()
    plain: xr.Dataset = group.to_dataset() if isinstance(group, xr.DataTree) else group
    return plain[[name for name, array in plain.data_vars.items() if array.dtype.kind in "biuf"]]


def thinned(draws: xr.Dataset, largest: int) -> xr.Dataset:
    """Take evenly fewer draws if all take more than `largest` bytes, but at least one.

    Examples
    --------
    >>> draws = xr.Dataset({"roas": (("chain", "draw"), np.ones((2, 100)))})
    >>> dict(thinned(draws, 800).sizes)
    {'chain': 2, 'draw': 50}
    """
    if draws.nbytes <= largest or "draw" not in draws.dims:
        return draws
    kept = max(1, int(draws.sizes["draw"] * largest / draws.nbytes))
    positions = np.linspace(0, draws.sizes["draw"] - 1, kept).round().astype(int)
    return draws.isel(draw=positions)


def _without_dates(posterior: xr.Dataset) -> xr.Dataset:
    long = [name for name, array in posterior.data_vars.items() if "date" in array.dims]
    return posterior.drop_vars([*long, "date"], errors="ignore")


def _write(group: xr.Dataset, path: Path, name: str, mode: Any) -> None:
    plain = group.drop_encoding()
    plain.attrs = _storable(group.attrs)
    for variable in plain.variables.values():
        variable.attrs = _storable(variable.attrs)
    encoding = {
        name: {"dtype": "float32"}
        for name, array in plain.data_vars.items()
        if array.dtype == "f8" and "draw" in array.dims
    }
    with NETCDF_LOCK:
        plain.to_netcdf(path, mode=mode, group=name, engine="netcdf4", encoding=encoding)


def _storable(attrs: Mapping[Any, Any]) -> dict[Any, Any]:
    """Attributes that NetCDF can hold."""
    return {
        name: value if isinstance(value, str | int | float | np.number) else str(value)
        for name, value in attrs.items()
        if not isinstance(value, bool | None)
    }
