"""Expected sales, their parts and the sales with noise, in plain Python."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from tests.scalar_baseline import ScalarBaseline, rows_of
from tests.scalar_world import ScalarWorld, Series, as_array

# Parts of media, in the order of `ScalarWorld.stages`.
MEDIA = ("channel", "interaction", "mediator")


def expected_sales(ds: xr.Dataset, spend: Series) -> np.ndarray:
    """Expected sales under some spend, dims (date, geo)."""
    return as_array(ScalarBaseline(ds).total()) + as_array(ScalarWorld(ds).sales(spend))


def parts_of_sales(ds: xr.Dataset, spend: Series) -> dict[str, np.ndarray]:
    """Every part of expected sales by Dataset name, dims (date, geo[, item])."""
    world, baseline = ScalarWorld(ds), ScalarBaseline(ds)
    if baseline.is_log:
        return _parts_of_log_sales(ds, spend)
    made = world.stages(spend)
    parts = {f"{name}_contribution": as_array(part) for name, part in baseline.parts().items()}
    parts["intercept_contribution"] = np.array(baseline.base)
    for name in MEDIA:
        if made.get(f"{name}_contribution", [[]])[0]:
            parts[f"{name}_contribution"] = as_array(made[f"{name}_contribution"])
    parts["remainder_contribution"] = as_array(made["remainder_contribution"])[..., 0]
    return parts


def log_parts(ds: xr.Dataset, spend: Series) -> dict[str, list[Any]]:
    """Every part of the log of expected sales by name, [geo][date] or [geo][item][date]."""
    world, baseline = ScalarWorld(ds), ScalarBaseline(ds)
    n_past, added = world.n_past, world.added(spend)
    media = {
        name: [[row[n_past:] for row in geo] for geo in added[f"{name}_contribution"]]
        for name in MEDIA
        if added.get(f"{name}_contribution", [[]])[0]
    }
    return baseline.parts() | media


def _parts_of_log_sales(ds: xr.Dataset, spend: Series) -> dict[str, np.ndarray]:
    """Parts by zero-out: what expected sales lose without the part, and what that leaves."""
    base, logs = ScalarBaseline(ds).base, log_parts(ds, spend)
    mu, rest = [], []
    for g, own in enumerate(base):
        rows = [row for part in logs.values() for row in rows_of(part[g])]
        mu.append([own * math.exp(sum(column)) for column in zip(*rows, strict=True)])
        lost = [
            sum(sales * (1 - math.exp(-row[t])) for row in rows) for t, sales in enumerate(mu[g])
        ]
        rest.append([sales - own - each for sales, each in zip(mu[g], lost, strict=True)])
    total = as_array(mu)
    made = {"intercept_contribution": np.array(base), "remainder_contribution": as_array(rest)}
    for name, part in logs.items():
        values = as_array(part) if part[0] else np.empty((*total.shape, 0))
        size = total[..., None] if values.ndim == 3 else total
        made[f"{name}_contribution"] = size * (1 - np.exp(-values))
    return made


def followed_sd(mu: list[float], sigma: float, power: float) -> list[float]:
    """Standard deviation of the noise of a geo by date, which follows expected sales."""
    mean = sum(mu) / len(mu)
    weights = [(each / mean) ** power for each in mu]
    rms = math.sqrt(sum(weight**2 for weight in weights) / len(weights))
    return [sigma * weight / rms for weight in weights]


def lognormal_draws(mu: np.ndarray, y: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Standard draws z of ``y = mu * exp(s z - s^2 / 2)``, dims (date, geo)."""
    return (np.log(y / mu) + sigma**2 / 2) / sigma
