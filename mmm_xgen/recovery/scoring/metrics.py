"""Metrics of draws against a true value, one record each; every list of them follows from here.

Intervals are equal-tailed: the 94% interval leaves 3% of the draws on either side. Before 1.0 ArviZ
gives highest-density intervals by default, which are others where draws are skewed.
"""

# CRPS and interval score are three lines each. Of the libraries that have them, properscoring
# is unmaintained, xskillscore needs it and statsmodels, arviz-stats has no plain CRPS and does
# not import beside ArviZ 0.23, and scoringrules takes seconds to import where numba is. The
# tests hold the CRPS against scipy's energy distance.

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from mmm_xgen.errors import ConfigError, nearest
from mmm_xgen.kernels.domain import FloatArray

INTERVAL = 0.94
# Ranks are taken among this many evenly spaced draws, few enough to be roughly independent in
# a chain that mixes. One more than it is a round number of equally likely ranks.
RANK_DRAWS = 99


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric.

    Parameters
    ----------
    name, long_name : str
        Name in scores, and its meaning.
    orientation : {"lower", "higher", "target"}
        Whether less is better, more, or what is nearer to `perfect`.
    lower, upper : float
        Bounds of its values.
    perfect : float
        Best value: of a posterior at the truth, or for ``calibration`` of the mean over many
        well-calibrated posteriors.
    role : {"accuracy", "spread", "calibration"}
        What it is about. Only accuracy is perfect for a posterior placed at the truth, and only
        calibration needs many fits to mean anything.
    over_points : {"mean", "root mean square"}, optional
        How the values of the points of a curve or series are taken together; None where that
        has no meaning.
    function : callable
        Of draws, dims (cell, sample), and truth, dims (cell,); gives dims (cell,).
    """

    name: str
    long_name: str
    orientation: Literal["lower", "higher", "target"]
    lower: float
    upper: float
    perfect: float
    role: Literal["accuracy", "spread", "calibration"]
    over_points: Literal["mean", "root mean square"] | None
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
        """How far values are from the best one; less is better whatever the orientation."""
        if self.orientation == "target":
            return np.asarray(np.abs(values - self.perfect))
        return np.asarray(values if self.orientation == "lower" else -values)


def bias(draws: FloatArray, truth: FloatArray) -> FloatArray:
    """Posterior mean minus truth."""
    # The mean of differences, not the difference of means, is exactly 0 at the truth.
    return np.asarray((draws - truth[:, None]).mean(axis=-1))


def absolute_error(draws: FloatArray, truth: FloatArray) -> FloatArray:
    """Distance of the posterior median, which no link scale moves, from the truth."""
    return np.asarray(np.abs(np.median(draws, axis=-1) - truth))


def rmse(draws: FloatArray, truth: FloatArray) -> FloatArray:
    """Root mean square distance of the draws from the truth: bias and spread together."""
    return np.asarray(np.sqrt(np.square(draws - truth[:, None]).mean(axis=-1)))


def crps(draws: FloatArray, truth: FloatArray, *, fair: bool = True) -> FloatArray:
    r"""Continuous ranked probability score of the distribution that the draws are from.

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


def interval_score(draws: FloatArray, truth: FloatArray) -> FloatArray:
    r"""Width of the 94% interval, and :math:`2 / 0.06` times how far the truth is outside."""
    low, high = _interval(draws, INTERVAL)
    outside = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
    return np.asarray(high - low + 2 / (1 - INTERVAL) * outside)


def covered(probability: float) -> Callable[[FloatArray, FloatArray], FloatArray]:
    """Metric that is 1 where the equal-tailed interval has the truth in it, else 0."""

    def coverage(draws: FloatArray, truth: FloatArray) -> FloatArray:
        low, high = _interval(draws, probability)
        return np.asarray((low <= truth) & (truth <= high), dtype=float)

    return coverage


def z(draws: FloatArray, truth: FloatArray) -> FloatArray:
    """Posterior mean minus truth, in posterior sds; NaN where draws without spread miss it."""
    error, spread = bias(draws, truth), sd(draws, truth)
    unknown = np.where(error == 0, 0.0, np.nan)
    return np.divide(error, spread, out=unknown, where=spread > 0)


def sd(draws: FloatArray, truth: FloatArray) -> FloatArray:
    """Posterior standard deviation."""
    # Differences again, so that equal draws have no spread at all.
    return np.asarray((draws - draws[:, :1]).std(axis=-1))


def rank(draws: FloatArray, truth: FloatArray) -> FloatArray:
    """Share of `RANK_DRAWS` draws below the truth, ties counted half, between 0 and 1.

    With r of L draws below, (r + 1/2) / (L + 1): the middle of one of L + 1 cells that are
    equally likely if truth and draws come from one distribution. No jitter, so that scores
    repeat.

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


_RECORDS = (
    Metric(
        name="bias",
        long_name="posterior mean minus truth",
        orientation="target",
        lower=-np.inf,
        upper=np.inf,
        perfect=0.0,
        role="accuracy",
        over_points="mean",
        function=bias,
    ),
    Metric(
        name="absolute_error",
        long_name="distance of the posterior median from the truth",
        orientation="lower",
        lower=0.0,
        upper=np.inf,
        perfect=0.0,
        role="accuracy",
        over_points="mean",
        function=absolute_error,
    ),
    Metric(
        name="rmse",
        long_name="root mean square distance of the draws from the truth",
        orientation="lower",
        lower=0.0,
        upper=np.inf,
        perfect=0.0,
        role="accuracy",
        over_points="root mean square",
        function=rmse,
    ),
    Metric(
        name="crps",
        long_name="continuous ranked probability score, fair estimator",
        orientation="lower",
        lower=0.0,
        upper=np.inf,
        perfect=0.0,
        role="accuracy",
        over_points="mean",
        function=crps,
    ),
    Metric(
        name="interval_score_94",
        long_name="interval score of the equal-tailed 94% interval",
        orientation="lower",
        lower=0.0,
        upper=np.inf,
        perfect=0.0,
        role="accuracy",
        over_points="mean",
        function=interval_score,
    ),
    Metric(
        name="coverage_50",
        long_name="whether the equal-tailed 50% interval has the truth",
        orientation="target",
        lower=0.0,
        upper=1.0,
        perfect=0.5,
        role="calibration",
        over_points="mean",
        function=covered(0.5),
    ),
    Metric(
        name="coverage_94",
        long_name="whether the equal-tailed 94% interval has the truth",
        orientation="target",
        lower=0.0,
        upper=1.0,
        perfect=INTERVAL,
        role="calibration",
        over_points="mean",
        function=covered(INTERVAL),
    ),
    Metric(
        name="z",
        long_name="posterior mean minus truth, in posterior sds",
        orientation="target",
        lower=-np.inf,
        upper=np.inf,
        perfect=0.0,
        role="calibration",
        over_points=None,
        function=z,
    ),
    Metric(
        name="sd",
        long_name="posterior standard deviation",
        orientation="lower",
        lower=0.0,
        upper=np.inf,
        perfect=0.0,
        role="spread",
        over_points="mean",
        function=sd,
    ),
    Metric(
        name="rank",
        long_name="share of draws below the truth, ties counted half",
        orientation="target",
        lower=0.0,
        upper=1.0,
        perfect=0.5,
        role="calibration",
        over_points=None,
        function=rank,
    ),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _RECORDS}
ACCURACY = tuple(name for name, metric in METRICS.items() if metric.role == "accuracy")
CALIBRATION = tuple(name for name, metric in METRICS.items() if metric.role == "calibration")
COVERAGE = tuple(name for name in METRICS if name.startswith("coverage_"))
# What is asked of a contribution by date and geo.
SERIES = ("bias", "rmse", "crps")


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
        index=pd.Index(METRICS, name="metric"),
        columns=list(columns),
    )


def evaluate(
    draws: FloatArray, truth: FloatArray, names: Iterable[str] = tuple(METRICS)
) -> FloatArray:
    """Values of metrics, NaN where the truth or a draw is not finite.

    Parameters
    ----------
    draws : array, dims (..., sample)
    truth : array, dims (...)
    names : iterable of str
        Metrics, all by default.

    Returns
    -------
    array, dims (metric, ...)

    Raises
    ------
    ConfigError
        If there is no such metric.

    Examples
    --------
    >>> draws = np.linspace(-1, 1, 101) + 3
    >>> evaluate(draws, np.array(3.0), ["bias", "coverage_94"]).round(12).tolist()
    [0.0, 1.0]
    """
    names = tuple(names)
    for name in names:
        if name not in METRICS:
            raise ConfigError(f"no metric is named {name!r}; {nearest(name, METRICS)}")
    draws, truth = np.asarray(draws, dtype=float), np.asarray(truth, dtype=float)
    known = np.isfinite(truth) & np.isfinite(draws).all(axis=-1)
    values = np.full((len(names), *truth.shape), np.nan)
    if known.any():
        for position, name in enumerate(names):
            values[position, known] = METRICS[name].function(draws[known], truth[known])
    return values
