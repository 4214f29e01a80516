"""Predictions of the KPI, on the dates that the model saw and on those that it did not."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.recovery.estimates import SAMPLE
from mmm_xgen.recovery.fit import FitSettings, training_dates
from mmm_xgen.recovery.scoring.metrics import crps, evaluate
from mmm_xgen.recovery.scoring.samples import samples
from mmm_xgen.schema import takes_datasets
from mmm_xgen.streams import stream

# Share of the largest KPI below which a difference is rounding.
ROUNDING = 1e-12
# Values, dims (geo,), and which of the geos have one.
ByGeo: TypeAlias = tuple[FloatArray, NDArray[np.bool_]]

# Figure, its meaning, orientation and perfect value.
FIGURES = {
    "crps": ("continuous ranked probability score of predictive draws", "lower", 0.0),
    "coverage_94": (
        "share of observed KPI in the equal-tailed 94% predictive interval",
        "target",
        0.94,
    ),
    "r2": ("share of the variance of the KPI that the posterior mean explains", "higher", 1.0),
    "mape": ("mean absolute error of the posterior mean, as a percentage", "lower", 0.0),
    "srmse": ("root mean square error of the posterior mean, in sds of the KPI", "lower", 0.0),
    "durbin_watson": ("Durbin-Watson statistic of the residuals", "target", 2.0),
}


@takes_datasets
def predictive_draws(estimates: xr.Dataset, *, seed: int) -> xr.DataArray:
    """Draws of the KPI: those of ``mu`` with independent normal noise of sd ``y_sigma``.

    Parameters
    ----------
    estimates : Dataset, dims (chain, draw, ...)
        ``mu`` (date, geo) and ``y_sigma`` (geo) or (date, geo), KPI units per period.
    seed : int
        Seed of the noise; the same for the same seed.

    Returns
    -------
    DataArray, dims of ``mu``

    Examples
    --------
    >>> mu = xr.DataArray(np.zeros((1, 2, 3, 1)), dims=("chain", "draw", "date", "geo"))
    >>> draws = predictive_draws(xr.Dataset({"mu": mu, "y_sigma": 1.0}), seed=1)
    >>> draws.sizes == mu.sizes, len(np.unique(draws))
    (True, 6)
    """
    mu = estimates["mu"]
    noise = stream(seed, "predictive").normal(size=mu.shape)
    draws = mu + estimates["y_sigma"] * mu.copy(data=noise)
    return draws.transpose(*mu.dims).rename("y")


@takes_datasets
def prediction_scores(
    ds: xr.Dataset, estimates: xr.Dataset, settings: FitSettings
) -> dict[str, xr.DataArray]:
    """Scores of the predicted KPI against the observed one, in and after the training window.

    Each figure is that of a geo, averaged over geos, so that each geo counts alike. A geo that
    cannot have a figure does not count in it: one with constant sales has no R2 and no SRMSE, one
    without sales no percentage error and no CRPS, one whose residuals are all 0 no Durbin-Watson
    statistic. The attribute ``geos_left_out`` names these geos. Dates without sales do not count
    in the percentage error. CRPS is in percent of the geo's mean KPI in the window.

    Residuals are those of the posterior mean. Spend after the training window is the true one, and
    carries over from the window.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset with all its dates.
    estimates : Dataset, dims (chain, draw, ...)
        ``mu``, and ``y_sigma`` for what needs predictive draws.
    settings : FitSettings
        ``train_end`` parts the dates; ``seed`` is that of the predictive noise.

    Returns
    -------
    dict of str to DataArray
        ``training_*`` and, with a `train_end`, ``holdout_*``; see `FIGURES`. Nothing without
        ``mu``.
    """
    if "mu" not in estimates:
        return {}
    observed = ds["y"].transpose("geo", "date")
    mean = samples(estimates["mu"].mean([d for d in SAMPLE if d in estimates["mu"].dims]), observed)
    draws = None
    if "y_sigma" in estimates:
        draws = samples(predictive_draws(estimates, seed=settings.seed), observed)
    n_seen = len(training_dates(ds, settings))
    windows = {"training": slice(0, n_seen), "holdout": slice(n_seen, ds.sizes["date"])}
    scores = {}
    for label, dates in windows.items():
        if dates.start == dates.stop:
            continue
        actual = observed.to_numpy()[:, dates]
        figures = _of_means(actual, mean[:, dates, 0])
        if draws is not None:
            figures |= _of_draws(actual, draws[:, dates])
        for name, (by_geo, known) in figures.items():
            meaning, orientation, perfect = FIGURES[name]
            about = {"long_name": meaning, "orientation": orientation, "perfect": perfect}
            if not known.all():
                about["geos_left_out"] = ", ".join(map(str, ds["geo"].values[~known]))
            value = float(by_geo[known].mean()) if known.any() else np.nan
            scores[f"{label}_{name}"] = xr.DataArray(value, attrs=about)
    return scores


def _of_means(actual: FloatArray, mean: FloatArray) -> dict[str, ByGeo]:
    """Figures of predicted means, dims (geo, date), by geo."""
    error = actual - mean
    square = np.square(error).sum(axis=1)
    total = np.square(actual - actual.mean(axis=1, keepdims=True)).sum(axis=1)
    # A mean may be off by rounding, which is not a variance, nor is it a residual.
    rounding = ROUNDING * np.abs(actual).max(axis=1)
    varies = np.ptp(actual, axis=1) > rounding
    unexplained = _ratio(square, total, varies)
    sold = actual > 0
    off = _ratio(np.abs(error), actual, sold).sum(axis=1)
    n_sold, sells = sold.sum(axis=1), np.asarray(sold.any(axis=1))
    change = np.square(np.diff(error, axis=1)).sum(axis=1)
    # A prediction that is not a number is not a perfect one.
    wrong = ~(np.abs(error).max(axis=1) <= rounding) & (error.shape[1] > 1)
    return {
        "r2": (1 - unexplained, varies),
        "mape": (100 * _ratio(off, n_sold, sells), sells),
        "srmse": (np.sqrt(unexplained), varies),
        "durbin_watson": (_ratio(change, square, wrong), wrong),
    }


def _of_draws(actual: FloatArray, draws: FloatArray) -> dict[str, ByGeo]:
    """Figures of predictive draws, dims (geo, date, sample), by geo."""
    score = np.array([crps(*each) for each in zip(draws, actual, strict=True)]).mean(axis=1)
    inside = evaluate(draws, actual, ["coverage_94"])[0].mean(axis=1)
    level = actual.mean(axis=1)
    sells = level > 0
    return {
        "crps": (100 * _ratio(score, level, sells), sells),
        "coverage_94": (inside, np.ones(len(inside), dtype=bool)),
    }


def _ratio(above: FloatArray, below: FloatArray, known: NDArray[np.bool_]) -> FloatArray:
    """Ratio where there is one, else 0."""
    return np.divide(above, below, out=np.zeros_like(above), where=known)
