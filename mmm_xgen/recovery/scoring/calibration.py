"""Simulation-based calibration: are ranks uniform, and if not, in which way.

Ranks are those of `mmm_xgen.recovery.scoring.metrics.rank`: with truths drawn from the model's
own prior they are uniform if the fits are right. Ranks over repeated noise at a fixed truth need
not be.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mmm_xgen.errors import ConfigError
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.recovery.scoring.metrics import METRICS, RANK_DRAWS, coverage_names
from mmm_xgen.streams import stream

# Cells that are equally likely, and the boundaries between them.
CELLS = RANK_DRAWS + 1
POINTS = np.arange(1, CELLS) / CELLS
# Fewest ranks that a bin of the chi-square test should expect.
EXPECTED = 5
SIMULATIONS = 2000

FINE = "none detected"
SHAPES = ("estimates too low", "estimates too high", "intervals too narrow", "intervals too wide")


@dataclass(frozen=True)
class Uniformity:
    """Test of the uniformity of ranks.

    Parameters
    ----------
    n : int
        Number of ranks.
    chi_square, chi_square_p : float
        Pearson's statistic over equal bins, and its p value.
    points : array, dims (point,)
        Where the empirical distribution is looked at.
    difference, lower, upper : array, dims (point,)
        Empirical minus uniform distribution, and its simultaneous band.
    ecdf_p : float
        P value of the largest departure at any point, by simulation.
    uniform : bool
        Whether the whole curve is inside the band.
    miscalibration : str
        ``"none detected"``, or what the departure looks like, one of `SHAPES`.
    """

    n: int
    chi_square: float
    chi_square_p: float
    points: FloatArray
    difference: FloatArray
    lower: FloatArray
    upper: FloatArray
    ecdf_p: float
    uniform: bool
    miscalibration: str


def uniformity(
    ranks: FloatArray, *, bins: int = 20, probability: float = 0.99, seed: int = 0
) -> Uniformity:
    r"""Test ranks for uniformity, by chi-square and by a simultaneous band of their ECDF.

    At a point z the number of ranks below is binomial. The band takes the same tail probability
    at all points, such that `probability` of all uniform samples lie inside everywhere; the tail
    probability is found by simulation.

    Parameters
    ----------
    ranks : array, dims (fit,)
        Values of the metric ``rank``, between 0 and 1; missing ones do not count. They should
        be independent: one per fit, not several channels of one.
    bins : int
        Bins of the chi-square test; fewer if there are not 5 ranks a bin.
    probability : float
        Of the band, in (0, 1).
    seed : int
        Seed of the simulation.

    Raises
    ------
    ConfigError
        If there are fewer than 10 ranks, or some outside 0 and 1.

    References
    ----------
    Talts et al. (2018), "Validating Bayesian inference algorithms with simulation-based
    calibration"; Säilynoja, Bürkner and Vehtari (2022), "Graphical test for discrete uniformity
    and its applications in goodness-of-fit evaluation and multiple sample comparison".

    Examples
    --------
    >>> even = (np.arange(200) + 0.5) / 200
    >>> uniformity(even).miscalibration, uniformity(even**2).miscalibration
    ('none detected', 'estimates too high')
    """
    from scipy.stats import binom, chisquare

    ranks = np.asarray(ranks, dtype=float).ravel()
    ranks = ranks[~np.isnan(ranks)]
    n = len(ranks)
    if n < 2 * EXPECTED or not np.all((ranks >= 0) & (ranks <= 1)):
        raise ConfigError(
            f"found {n} ranks, allowed: at least {2 * EXPECTED}, all from 0 to 1", path="ranks"
        )
    if not 0 < probability < 1:
        raise ConfigError(f"found {probability}, allowed: between 0 and 1", path="probability")
    counts = np.histogram(ranks, bins=max(2, min(bins, n // EXPECTED)), range=(0, 1))[0]
    square = chisquare(counts)

    below = (ranks[:, None] < POINTS).sum(axis=0)
    null = _null_tails(n, seed)
    observed = _smallest_tail(below, n)
    tail = float(np.quantile(null, 1 - probability))
    band = binom.ppf([[tail], [1 - tail]], n, POINTS) / n - POINTS
    uniform = bool(observed >= tail)
    return Uniformity(
        n=n,
        chi_square=float(square.statistic),
        chi_square_p=float(square.pvalue),
        points=POINTS,
        difference=below / n - POINTS,
        lower=band[0],
        upper=band[1],
        ecdf_p=float((1 + np.sum(null <= observed)) / (1 + SIMULATIONS)),
        uniform=uniform,
        miscalibration=FINE if uniform else _shape(ranks),
    )


@lru_cache(maxsize=64)
def _null_tails(n: int, seed: int) -> FloatArray:
    """Smallest tail probabilities of uniform ranks, the same for all that is scored on n fits."""
    counts = stream(seed, "uniformity").multinomial(n, np.full(CELLS, 1 / CELLS), size=SIMULATIONS)
    return _smallest_tail(np.cumsum(counts, axis=1)[:, :-1], n)


def _smallest_tail(below: NDArray[np.intp], n: int) -> FloatArray:
    """Smallest tail probability, over points, of the numbers of ranks below each."""
    from scipy.stats import binom

    counts = np.arange(-1, n + 1)
    # One table for all samples: points by counts from -1 to n.
    table = binom.cdf(counts, n, POINTS[:, None])
    at = np.arange(len(POINTS))
    tails = np.minimum(table[at, below + 1], 1 - table[at, below])
    return np.asarray(tails.min(axis=-1))


def _shape(ranks: FloatArray) -> str:
    """Describe a departure of the mean, or else of the variance, in their sds."""
    away = ranks - 0.5
    shift = away.mean() * np.sqrt(12 * len(ranks))
    width = (np.square(away).mean() - 1 / 12) * np.sqrt(180 * len(ranks))
    # The mean comes first, since far from 0.5 it takes the variance along.
    if abs(shift) > min(abs(width), max(3, abs(width) / 2)):
        # A truth above most draws has a high rank.
        return SHAPES[0] if shift > 0 else SHAPES[1]
    return SHAPES[2] if width > 0 else SHAPES[3]


def coverage(
    table: pd.DataFrame,
    *,
    by: tuple[str, ...] = ("dataset", "model", "quantity"),
    unit: tuple[str, ...] = ("dataset", "seed"),
) -> pd.DataFrame:
    """Nominal and actual coverage, with binomial standard errors.

    Parameters
    ----------
    table : DataFrame
        Rows of `mmm_xgen.recovery.scoring.tidy` with the columns of `by` and `unit`.
    by : tuple of str
        What to tell apart.
    unit : tuple of str
        What makes one independent dataset.

    Returns
    -------
    DataFrame, one row a group and interval
        ``nominal``, ``coverage``; ``n`` intervals of ``units`` datasets; ``standard_error``,
        binomial over the intervals; ``clustered_error``, which knows that those of one dataset
        go together; ``z``: actual minus nominal in binomial standard errors at the nominal
        coverage; ``miscalibrated``: whether that differs from 0 by more than 3, at the larger
        of the two errors.

    Examples
    --------
    >>> table = pd.DataFrame({"dataset": "a", "model": "ols", "seed": range(100),
    ...     "quantity": "roas", "metric": "coverage_94", "value": [1.0] * 60 + [0.0] * 40})
    >>> coverage(table)[["coverage", "standard_error", "miscalibrated"]].round(3).values.tolist()
    [[0.6, 0.049, True]]
    """
    rows = []
    found = table[table["metric"].isin(coverage_names()) & table["value"].notna()]
    for key, group in found.groupby([*by, "metric"], sort=False):
        nominal = METRICS[str(key[-1])].perfect
        actual, n = float(group["value"].mean()), len(group)
        sums = (group["value"] - actual).groupby([group[name] for name in unit]).sum()
        units = len(sums)
        # The sandwich over datasets; residuals of one dataset add up before they are squared.
        clustered = np.nan
        if units > 1:
            clustered = float(np.sqrt(np.square(sums).sum() * units / (units - 1)) / n)
        at_nominal = np.sqrt(nominal * (1 - nominal) / n)
        error = np.nanmax([at_nominal, clustered])
        rows.append(
            {
                **dict(zip((*by, "metric"), key, strict=True)),
                "nominal": nominal,
                "coverage": actual,
                "n": n,
                "units": units,
                "standard_error": np.sqrt(actual * (1 - actual) / n),
                "clustered_error": clustered,
                "z": (actual - nominal) / at_nominal,
                "miscalibrated": bool(abs(actual - nominal) > 3 * error),
            }
        )
    return pd.DataFrame(rows)
