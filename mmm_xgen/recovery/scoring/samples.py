"""Draws brought into the order of the truth, and scored along their sample dims."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr

from mmm_xgen.errors import AlignmentError
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.recovery.estimates import SAMPLE
from mmm_xgen.recovery.scoring.metrics import METRICS, evaluate


def samples(draws: xr.DataArray, like: xr.DataArray) -> FloatArray:
    """Draws as an array with the dims of `like`, in its order, and the samples last.

    Raises
    ------
    AlignmentError
        If the draws lack a dim or label of `like`, or have a dim that it does not have.

    Examples
    --------
    >>> like = xr.DataArray([1.0, 2.0], coords={"channel": ["TV", "Radio"]}, dims="channel")
    >>> draws = like[::-1].expand_dims(chain=2, draw=3)
    >>> samples(draws, like).shape, samples(draws, like)[:, 0].tolist()
    ((2, 6), [1.0, 2.0])
    """
    name = str(draws.name)
    extra = [str(dim) for dim in draws.dims if dim not in (*SAMPLE, *like.dims)]
    missing = [str(dim) for dim in like.dims if dim not in draws.dims]
    if extra or missing:
        raise AlignmentError(
            f"the draws of {name!r} have dims {tuple(map(str, draws.dims))}, allowed: "
            f"{(*SAMPLE, *map(str, like.dims))}"
        )
    for dim in like.dims:
        if dim not in draws.coords or dim not in like.coords:
            raise AlignmentError(f"the draws of {name!r} have no labels along {dim!r}")
        known = draws.indexes[dim]
        lacking = [str(each) for each in like[dim].values if each not in known]
        if lacking:
            raise AlignmentError(f"the draws of {name!r} lack the {dim} {lacking[0]!r}")
        if not known.equals(like.indexes[dim]):
            draws = draws.sel({dim: like[dim].values})
    for dim in SAMPLE:
        if dim not in draws.dims:
            draws = draws.expand_dims(dim)
    values = draws.transpose(*like.dims, *SAMPLE).to_numpy()
    return np.asarray(values.reshape(*like.shape, -1), dtype=float)


def scored(draws: FloatArray, truth: xr.DataArray, *, scale: str, long_name: str) -> xr.DataArray:
    """Values of all metrics, dims (metric, those of the truth).

    Parameters
    ----------
    draws : array, dims (those of the truth, sample)
    truth : DataArray
    scale, long_name : str
        Scale that both are on, and what they are.
    """
    coords = {dim: truth[dim].values for dim in truth.dims}
    values = evaluate(draws, truth.to_numpy())
    about = {"scale": scale, "long_name": long_name}
    dims = ("metric", *truth.dims)
    return xr.DataArray(values, {"metric": list(METRICS), **coords}, dims, attrs=about)


def pooled(draws: FloatArray, truth: FloatArray, names: Iterable[str] | None = None) -> FloatArray:
    """Values of all metrics over the points of one curve or series, NaN for those not asked.

    Parameters
    ----------
    draws : array, dims (..., sample)
    truth : array, dims (...)
    names : iterable of str, optional
        Metrics to compute, all by default.

    Returns
    -------
    array, dims (metric,)
    """
    asked = METRICS if names is None else names
    names = [name for name in asked if METRICS[name].over_points]
    values = dict(zip(names, evaluate(draws, truth, names), strict=True))
    return np.array(
        [
            metric.pool(values[name]) if name in values else np.nan
            for name, metric in METRICS.items()
        ]
    )
