"""The least-squares model on many datasets against one plain regression of each."""

from __future__ import annotations

import numpy as np
import xarray as xr

import mmm_xgen
from benchmarks.timing import Figure, paired
from mmm_xgen.recovery.models.linear_fit import fit_least_squares

# Different datasets in the stack; more of them take long to generate and no longer to fit.
DISTINCT = 50
SEEN = ["y", "spend", "control_value", "geo_scale", "revenue_per_kpi"]


def stack(n_datasets: int, preset: str = "small_business") -> xr.Dataset:
    """Datasets of a preset's size along a dim `dataset`."""
    config = mmm_xgen.get_preset_config(preset)
    distinct = [
        mmm_xgen.generate_mmm_dataset(config, seed=seed)[SEEN]
        for seed in range(min(n_datasets, DISTINCT))
    ]
    return xr.concat(distinct, "dataset").isel(dataset=np.arange(n_datasets) % DISTINCT)


def least_squares(n_datasets: int = 1000, runs: int = 3) -> Figure:
    many = stack(n_datasets)
    fitted = fit_least_squares(many)
    columns = fitted.design.stack(row=("date", "geo")).transpose("dataset", "row", "term").values
    sales = many["y"].stack(row=("date", "geo")).transpose("dataset", "row").values
    return paired(
        f"ols on {n_datasets} small_business, against lstsq of each, transforms known",
        lambda: fit_least_squares(many),
        lambda: [np.linalg.lstsq(x, y) for x, y in zip(columns, sales, strict=True)],
        limit=60,
        runs=runs,
    )
