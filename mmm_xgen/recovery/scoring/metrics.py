"""Metrics of draws against a true value, one record each; every list of them follows from here.

Intervals are equal-tailed: the 94% interval leaves 3% of the draws on either side. Before 1.0 ArviZ
gives highest-density intervals by default, which are others where draws are skewed.
"""

# CRPS and interval score are three lines each. Of the libraries that have them, properscoring
# is unmaintained, xskillscore needs it and statsmodels, arviz-stats has no plain CRPS and does
# not import beside ArviZ 0.23, and scoringrules takes seconds to import where numba is. The
# tests hold the CRPS against scipy's energy distance.

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.registry import Function, Registry, registering

INTERVAL = 0.94
# Ranks are taken among this many evenly spaced draws, few enough to be roughly independent in
# a chain that mixes. One more than it is a round number of equally likely ranks.
RANK_DRAWS = 99
# What is asked of a contribution by date and geo.
SERIES = ("bias", "rmse", "crps")


Orientation: TypeAlias = Literal["lower", "higher", "target"]
Role: TypeAlias = Literal["accuracy", "spread", "calibration"]
OverPoints: TypeAlias = Literal["mean", "root mean square"] | None


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric; the arguments of `register_metric` explain its fields."""

    name: str
    long_name: str
    orientation: Orientation
    lower: float
    upper: float
    perfect: float
    role: Role
    over_points: OverPoints
    function: Callable[[FloatArray, FloatArray], FloatArray]

    def pool(self, values: FloatArray) -> float:
        """One value for the points of a curve or series; points without a value do not count."""
        values = values[np.isfinite(values)]
        if self.over_points is None or not values.size:
            return np.nan
        if self.over_points == "mean":
            return float(values.mean())
        return float(np.sqrt(np.square(values).mean()))

    def loss(self, values: FloatArray) -> FloatArray:
        """Distance of values from the best one; less is better whatever the orientation."""
        if self.orientation == "target":
            return np.asarray(np.abs(values - self.perfect))
        return np.asarray(values if self.orientation == "lower" else -values)


METRICS: Registry[Metric] = Registry("metric")


def register_metric(
    name: str,
    orientation: Orientation,
    *,
    best: float = 0.0,
    lower: float = -np.inf,
    upper: float = np.inf,
    role: Role = "accuracy",
    over_points: OverPoints = "mean",
    long_name: str = "",
) -> Callable[[Function], Function]:
    """Register a function of draws ``(cell, sample)`` and truth ``(cell,)`` as a metric.

    Scores, tables and reports have it from then on, in the order of registration.

    Parameters
    ----------
    name : str
        Name in scores.
    orientation : {"lower", "higher", "target"}
        Whether less is better, more, or what is nearer to `best`.
    best : float
        Best value: of a posterior at the truth, or for ``calibration`` of the mean over many
        well-calibrated posteriors.
    lower, upper : float
        Bounds of its values.
    role : {"accuracy", "spread", "calibration"}
        What it is about. Only accuracy is best for a posterior placed at the truth, and only
        calibration needs many fits to mean anything.
    over_points : {"mean", "root mean square"}, optional
        How the values of the points of a curve or series are taken together; None where that
        has no meaning.
    long_name : str
        Its meaning; the first sentence of the function's docstring by default.

    Raises
    ------
    ConfigError
        If the name is taken.

    Examples
    --------
    >>> @register_metric("median_bias", "target")
    ... def median_bias(draws, truth):
    ...     \"\"\"Posterior median minus truth.\"\"\"
    ...     return np.median(draws, axis=-1) - truth
    >>> METRICS["median_bias"].long_name
    'posterior median minus truth'
    >>> METRICS.remove("median_bias")
    """
    return registering(
        METRICS,
        _metric,
        name,
        orientation=orientation,
        perfect=best,
        lower=lower,
        upper=upper,
        role=role,
        over_points=over_points,
        long_name=long_name,
    )


def _metric(*, function: Callable[..., FloatArray], long_name: str, **about: Any) -> Metric:
    first = (inspect.getdoc(function) or "").partition("\n")[0].rstrip(".")
    return Metric(function=function, long_name=long_name or first[:1].lower() + first[1:], **about)


@register_metric("bias", "target")
def bias(draws: FloatArray, truth: FloatArray) -> FloatArray:
    """Posterior mean minus truth."""
    # The mean of differences, not the difference of means, is exactly 0 at the truth.
    return np.asarray((draws - truth[:, None]).mean(axis=-1))


@register_metric("absolute_error", "lower", lower=0.0)
def absolute_error(draws: FloatArray, truth: FloatArray) -> FloatArray:
    """Distance of the posterior median from the truth."""
    # No link scale moves the median.
    return np.asarray(np.abs(np.median(draws, axis=-1) - truth))


@register_metric("rmse", "lower", lower=0.0, over_points="root mean square")
def rmse(draws: FloatArray, truth: FloatArray) -> FloatArray:
    """Root mean square distance of the draws from the truth.

    It has both bias and spread.
    """
    return np.asarray(np.sqrt(np.square(draws - truth[:, None]).mean(axis=-1)))


@register_metric("crps", "lower", lower=0.0)
def crps(draws: FloatArray, truth: FloatArray, *, fair: bool = True) -> FloatArray:
    r"""Continuous ranked probability score, fair estimator.

    .. math:: E|X - x| - \tfrac12 E|X - X'|

    The fair estimator takes the second mean over the n (n - 1) pairs of different draws, so that
    few draws are not at a disadvantage: its mean over draws does not depend on n. Of a single draw
    it is the absolute error.

    Parameters
    ----------
    draws : array, dims (cell, sample)
    truth : array, dims (cell,)
    fair : bool
        False counts each draw as a pair with itself, over n\ :sup:`2` pairs: the score of the
        draws themselves as a distribution. It is larger by :math:`E|X - X'| / (2 n)`.

    References
    ----------
    Ferro (2014), "Fair scores for ensemble forecasts".

    Examples
    --------
    >>> draws, truth = np.array([[0.0, 2.0]]), np.array([1.0])
    >>> crps(draws, truth), crps(draws, truth, fair=False)
    (array([0.]), array([0.5]))
    """
    error = np.sort(draws - truth[:, None], axis=-1)
    n = error.shape[-1]
    weights = (2 * np.arange(n) - n + 1) / (n * max(n - 1, 1) if fair else n**2)
    return np.asarray(np.abs(error).mean(axis=-1) - error @ weights)


@register_metric("interval_score_94", "lower", lower=0.0)
def interval_score(draws: FloatArray, truth: FloatArray) -> FloatArray:
    r"""Interval score of the equal-tailed 94% interval.

    Its width, and :math:`2 / 0.06` times how far the truth is outside.
    """
    low, high = _interval(draws, INTERVAL)
    outside = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
    return np.asarray(high - low + 2 / (1 - INTERVAL) * outside)


def covered(draws: FloatArray, truth: FloatArray, probability: float) -> FloatArray:
    """1 where the equal-tailed interval has the truth in it, else 0."""
    low, high = _interval(draws, probability)
    return np.asarray((low <= truth) & (truth <= high), dtype=float)


for _probability in (0.5, INTERVAL):
    register_metric(
        f"coverage_{100 * _probability:.0f}",
        "target",
        best=_probability,
        lower=0.0,
        upper=1.0,
        role="calibration",
        long_name=f"whether the equal-tailed {_probability:.0%} interval has the truth",
    )(partial(covered, probability=_probability))


@register_metric("z", "target", role="calibration", over_points=None)
def z(draws: FloatArray, truth: FloatArray) -> FloatArray:
    """Posterior mean minus truth, in posterior sds.

    NaN where draws without spread miss the truth.
    """
    error, spread = bias(draws, truth), sd(draws, truth)
    unknown = np.where(error == 0, 0.0, np.nan)
    return np.divide(error, spread, out=unknown, where=spread > 0)


@register_metric("sd", "lower", lower=0.0, role="spread")
def sd(draws: FloatArray, truth: FloatArray) -> FloatArray:
    """Posterior standard deviation."""
    # Differences again, so that equal draws have no spread at all.
    return np.asarray((draws - draws[:, :1]).std(axis=-1))


@register_metric(
    "rank", "target", best=0.5, lower=0.0, upper=1.0, role="calibration", over_points=None
)
def rank(draws: FloatArray, truth: FloatArray) -> FloatArray:
    """Share of draws below the truth, ties counted half.

    Of `RANK_DRAWS` draws. With r of L draws below, (r + 1/2) / (L + 1): the middle of one of
    L + 1 cells that are equally likely if truth and draws come from one distribution. No jitter,
    so that scores repeat.

    Examples
    --------
    >>> rank(np.arange(99.0)[None], np.array([9.5]))
    array([0.105])
    """
    n = draws.shape[-1]
    kept = np.linspace(0, n - 1, min(n, RANK_DRAWS)).round().astype(int)
    draws = draws[:, kept]
    below = (draws < truth[:, None]).sum(axis=-1) + (draws == truth[:, None]).sum(axis=-1) / 2
    return np.asarray((below + 0.5) / (draws.shape[-1] + 1))


def _interval(draws: FloatArray, probability: float) -> FloatArray:
    tail = (1 - probability) / 2
    return np.asarray(np.quantile(draws, [tail, 1 - tail], axis=-1))


def names_of(role: str) -> tuple[str, ...]:
    """Metrics of one role: ``"accuracy"``, ``"spread"`` or ``"calibration"``."""
    return tuple(name for name, metric in METRICS.items() if metric.role == role)


def coverage_names() -> tuple[str, ...]:
    """Metrics that say how often an interval has the truth."""
    return tuple(name for name in METRICS if name.startswith("coverage_"))


def metrics_table() -> pd.DataFrame:
    """All metrics with orientation, bounds and perfect value, for documentation.

    Examples
    --------
    >>> metrics_table().loc[["coverage_94"], "orientation"].tolist()
    ['target']
    """
    columns = ("long_name", "orientation", "lower", "upper", "perfect", "role")
    return pd.DataFrame(
        [[getattr(metric, column) for column in columns] for metric in METRICS.values()],
        index=pd.Index(list(METRICS), name="metric"),
        columns=list(columns),
    )


def evaluate(
    draws: FloatArray, truth: FloatArray, names: Iterable[str] | None = None
) -> FloatArray:
    """Values of metrics, NaN where the truth or a draw is not finite.

    Parameters
    ----------
    draws : array, dims (..., sample)
    truth : array, dims (...)
    names : iterable of str, optional
        Metrics, all by default.

    Returns
    -------
    array, dims (metric, ...)

    Raises
    ------
    UnknownKindError
        If there is no such metric.

    Examples
    --------
    >>> draws = np.linspace(-1, 1, 101) + 3
    >>> evaluate(draws, np.array(3.0), ["bias", "coverage_94"]).round(12).tolist()
    [0.0, 1.0]
    """
    metrics = [METRICS[name] for name in (METRICS if names is None else names)]
    draws, truth = np.asarray(draws, dtype=float), np.asarray(truth, dtype=float)
    known = np.isfinite(truth) & np.isfinite(draws).all(axis=-1)
    values = np.full((len(metrics), *truth.shape), np.nan)
    if known.any():
        for position, metric in enumerate(metrics):
            values[position, known] = metric.function(draws[known], truth[known])
    return values
