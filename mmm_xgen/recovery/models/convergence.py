"""Convergence of sampled chains: the worst figures over all parameters, and why one is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from mmm_xgen.recovery.estimates import SAMPLE

FIGURES = ("rhat_max", "ess_bulk_min", "ess_tail_min")
# ArviZ needs so many chains for an R-hat, and so many draws in a chain for any figure.
CHAINS, DRAWS = 2, 4
# Parameters that a reason names; it counts the others.
NAMED = 3


def parameters_of(posterior: xr.Dataset) -> xr.DataArray:
    """All single parameters of a posterior, dims (chain, draw, parameter), under their names.

    Examples
    --------
    >>> posterior = xr.Dataset({"beta": (("chain", "draw", "channel"), np.zeros((2, 5, 2)))},
    ...                        {"channel": ["TV", "Radio"]})
    >>> parameters_of(posterior).parameter.values.tolist()
    ['beta[TV]', 'beta[Radio]']
    """
    arrays = [np.empty((*(posterior.sizes[dim] for dim in SAMPLE), 0))]
    names: list[str] = []
    for name, values in posterior.data_vars.items():
        values = values.transpose(*SAMPLE, ...)
        arrays.append(values.to_numpy().reshape(*values.shape[:2], -1).astype(float))
        labels = [values[dim].values.tolist() for dim in values.dims[2:]]
        for position in np.ndindex(values.shape[2:]):
            where = ", ".join(str(each[i]) for each, i in zip(labels, position, strict=True))
            names.append(f"{name}[{where}]" if where else str(name))
    together = np.concatenate(arrays, axis=-1)
    return xr.DataArray(together, {"parameter": names}, (*SAMPLE, "parameter"))


def convergence_of(draws: xr.DataArray) -> dict[str, float]:
    """Worst R-hat and effective sample sizes over parameters.

    A figure is NaN if it cannot be computed for one of them: the others say nothing about it.

    Parameters
    ----------
    draws : DataArray, dims (chain, draw, parameter)
        All that was sampled, and nothing else.

    Returns
    -------
    dict of str to float
        ``rhat_max``, ``ess_bulk_min``, ``ess_tail_min``, ``n_parameters``.

    Examples
    --------
    >>> values = np.random.default_rng(1).normal(size=(4, 100, 2))
    >>> values[0, :, 1] = np.nan
    >>> convergence_of(xr.DataArray(values, dims=("chain", "draw", "parameter")))["rhat_max"]
    nan
    """
    import arviz

    # One generation of ArviZ has types, the other has not.
    library: Any = arviz
    found = {"n_parameters": float(draws.sizes["parameter"])}
    missing = not_computed(draws)
    known = draws.to_dataset(name="all")
    for name in FIGURES:
        if name in missing:
            found[name] = np.nan
        elif name == "rhat_max":
            found[name] = float(library.rhat(known)["all"].max(skipna=False))
        else:
            sizes = library.ess(known, method=name.split("_")[1])["all"]
            found[name] = float(sizes.min(skipna=False))
    return found


def not_computed(draws: xr.DataArray) -> dict[str, str]:
    """Figures of `convergence_of` that cannot be computed, each with the reason.

    Parameters
    ----------
    draws : DataArray, dims (chain, draw, parameter)
        As for `convergence_of`.

    Examples
    --------
    >>> values = np.random.default_rng(1).normal(size=(1, 100, 1))
    >>> not_computed(xr.DataArray(values, dims=("chain", "draw", "parameter")))
    {'rhat_max': 'found 1 chain, allowed: 2 or more'}
    """
    values = draws.transpose(*SAMPLE, "parameter").to_numpy()
    n_chains, n_draws, n_parameters = values.shape
    if not n_parameters:
        return dict.fromkeys(FIGURES, "no parameter was sampled")
    if n_draws < DRAWS:
        return dict.fromkeys(FIGURES, f"found {n_draws} draws in a chain, allowed: {DRAWS} or more")
    # ArviZ ranks draws, and so takes infinity for a number.
    broken = ~np.isfinite(values).all(axis=(0, 1))
    if broken.any():
        why = f"draws that are not finite: {_named(draws, broken)}"
        return dict.fromkeys(FIGURES, why)
    if n_chains < CHAINS:
        return {"rhat_max": f"found {n_chains} chain, allowed: {CHAINS} or more"}
    still = (values == values[:1, :1]).all(axis=(0, 1))
    if still.any():
        return {"rhat_max": f"the same value in all draws: {_named(draws, still)}"}
    return {}


def total(statistics: xr.Dataset, name: str) -> float:
    """Sum of what a sampler says of its draws; NaN where it says nothing, of a single one even."""
    if name not in statistics:
        return float("nan")
    return float(statistics[name].astype(float).sum(skipna=False))


def _named(draws: xr.DataArray, chosen: Any) -> str:
    names = [str(each) for each in draws["parameter"].values[chosen]]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
