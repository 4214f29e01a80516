"""Statistics of a (date, geo, variable) array with missing cells, in whole-array operations.

Missing cells are NaN. NumPy's nan-functions are not used, because they warn if a slice has no
value at all, and a quality check must take such slices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

OUTLIER_THRESHOLD = 5.0
# A cell this many sd of the others from their mean is far on any scale; the largest of a few
# hundred skewed values is 6 to 12 of them away.
ISOLATION_THRESHOLD = 15.0
MIN_VALUES_FOR_OUTLIERS = 8
# A range below this share of the values is rounding; a deviation below _DUST is no scale.
_ROUNDING = 1e-12
_DUST = 1e-9
# sd of a normal over its median absolute deviation.
_SD_PER_MEDIAN_DEVIATION = 1.482602218505602


class Moments(NamedTuple):
    """Summary of each variable over its finite cells; every field has dims (variable,)."""

    mean: FloatArray
    sd: FloatArray
    min: FloatArray
    max: FloatArray
    zero_share: FloatArray
    n_finite: IntArray


def moments(cells: FloatArray) -> Moments:
    """Summarise each column over its finite cells.

    Parameters
    ----------
    cells : ndarray (row, variable)
        Values in any units; NaN and infinities are left out.

    Returns
    -------
    Moments
        NaN where a column has too few values.

    Examples
    --------
    >>> import numpy as np
    >>> summary = moments(np.array([[1.0, np.nan], [3.0, np.nan]]))
    >>> summary.mean.tolist(), summary.n_finite.tolist()
    ([2.0, nan], [2, 0])
    """
    finite = np.isfinite(cells)
    count = finite.sum(axis=0)
    with np.errstate(all="ignore"):
        mean = np.where(finite, cells, 0.0).sum(axis=0) / count
        squares = np.where(finite, cells - mean, 0.0) ** 2
        sd = np.sqrt(squares.sum(axis=0) / np.where(count > 1, count - 1, np.nan))
        minimum = np.min(cells, axis=0, where=finite, initial=np.inf)
        maximum = np.max(cells, axis=0, where=finite, initial=-np.inf)
        zero_share = ((cells == 0) & finite).sum(axis=0) / count
    empty = count == 0
    minimum, maximum = np.where(empty, np.nan, minimum), np.where(empty, np.nan, maximum)
    return Moments(mean, sd, minimum, maximum, zero_share, count)


def is_constant(lowest: FloatArray, highest: FloatArray) -> BoolArray:
    """Mark ranges that are nothing but rounding error. NaN gives False.

    Examples
    --------
    >>> import numpy as np
    >>> is_constant(np.array([0.1, 0.0, np.nan]), np.array([0.1 + 1e-17, 1.0, np.nan])).tolist()
    [True, False, False]
    """
    with np.errstate(all="ignore"):
        size = np.maximum(np.abs(lowest), np.abs(highest))
        return (highest / 2 - lowest / 2) <= _ROUNDING * size


def median_over_dates(cube: FloatArray) -> FloatArray:
    """Median along the first axis without the missing cells.

    Parameters
    ----------
    cube : ndarray (date, geo, variable)
        NaN is missing.

    Returns
    -------
    ndarray (geo, variable)
        NaN where there is no value.

    Examples
    --------
    >>> import numpy as np
    >>> median_over_dates(np.array([[[1.0, np.nan]], [[9.0, np.nan]], [[2.0, np.nan]]])).tolist()
    [[2.0, nan]]
    """
    if not cube.shape[0]:
        return np.full(cube.shape[1:], np.nan)
    ordered = np.sort(cube, axis=0)  # puts NaN last
    count = (~np.isnan(cube)).sum(axis=0)
    low = np.take_along_axis(ordered, (np.maximum(count - 1, 0) // 2)[None], axis=0)[0]
    high = np.take_along_axis(ordered, (np.minimum(count // 2, len(cube) - 1))[None], axis=0)[0]
    middle: FloatArray = low / 2 + high / 2
    return middle


def outliers(cube: FloatArray, spend: BoolArray) -> BoolArray:
    """Mark cells far from the median of their geo and variable.

    The robust z is (value - median) / (1.4826 * median absolute deviation); a cell is an outlier
    when abs(z) > 5. Spend is skewed by nature, so it must be as far on the scale of its logarithm
    too, or 15 standard deviations of the other cells, zeros included, from their mean. A series
    that has fewer than 8 values has no outliers. Nor has one with the same value in half of its
    cells, such as a 0/1 indicator, but for a third value 15 standard deviations away.

    Parameters
    ----------
    cube : ndarray (date, geo, variable)
        Values in any units; NaN is missing.
    spend : ndarray of bool (variable,)
        Variables whose zeros mean "not active" and are left out, so that a channel which is
        mostly off is not one long outlier when it is on. Zeros are left out as well wherever
        they are half of a series or more.

    Returns
    -------
    ndarray of bool (date, geo, variable)

    References
    ----------
    Iglewicz, B. and Hoaglin, D. (1993), How to Detect and Handle Outliers.

    Examples
    --------
    >>> import numpy as np
    >>> series = np.array([1.0, 2, 3, 1, 2, 3, 1, 2, 90]).reshape(-1, 1, 1)
    >>> outliers(series, np.array([False])).ravel().nonzero()[0].tolist()
    [8]
    >>> outliers(series >= 3, np.array([False])).any().item()
    False
    """
    active = _active(cube, spend)
    far, degenerate = _far(active)
    # Few geos and variables are degenerate, so only theirs are gone through again.
    geos, variables = np.nonzero(degenerate)
    far[:, geos, variables] = _lone(cube[:, geos, variables])
    skewed = np.flatnonzero(spend & far.any(axis=(0, 1)))
    if skewed.size:
        chosen = active[..., skewed]
        with np.errstate(all="ignore"):
            # The plain logarithm: log1p would depend on the currency, and no zero is left.
            logarithm = np.log(np.where(chosen > 0, chosen, np.nan))
            lone = isolation(cube[..., skewed]) > ISOLATION_THRESHOLD
            far[..., skewed] &= _far(logarithm)[0] | lone | degenerate[:, skewed]
    return far


def isolation(cube: FloatArray) -> FloatArray:
    """Distance of each cell from the other cells of its geo and variable, in their own sd.

    ``abs(value - mean of the others) / sd of the others``: unlike a plain z score, one wild
    value cannot hide behind the standard deviation which it made.

    Parameters
    ----------
    cube : ndarray (date, geo, variable)
        NaN is missing.

    Returns
    -------
    ndarray (date, geo, variable)
        NaN where missing, or with fewer than three values; infinite where the others are equal.

    Examples
    --------
    >>> import numpy as np
    >>> isolation(np.array([1.0, 3.0, 12.0]).reshape(-1, 1, 1)).ravel()[2].round(3).item()
    7.071
    """
    known = ~np.isnan(cube)
    count = known.sum(axis=0)
    with np.errstate(all="ignore"):
        size = np.max(np.abs(cube), axis=0, where=known, initial=0.0)
        filled = np.where(known, cube / size, 0.0)
        deviation = np.where(known, filled - filled.sum(axis=0) / count, np.nan)
        # Closed form of leaving one out: n / (n - 1) of the deviation, and of its square.
        share = np.where(count > 2, count / (count - 1), np.nan)
        squares = np.where(known, deviation**2, 0.0).sum(axis=0)
        others = np.maximum(squares - share * deviation**2, 0.0) / (count - 2)
        return np.asarray(np.abs(deviation) * share / np.sqrt(others), dtype=np.float64)


def _active(cube: FloatArray, spend: BoolArray) -> FloatArray:
    """Leave out the zeros of spend, and of any series that is mostly zero."""
    zero = cube == 0
    mostly = 2 * zero.sum(axis=0) >= (~np.isnan(cube)).sum(axis=0)
    return np.where(zero & (spend | mostly), np.nan, cube)


def _lone(series: FloatArray) -> BoolArray:
    """Mark cells 15 sd from the others of their column, if it has more than two values."""
    known = ~np.isnan(series)
    lowest = np.min(series, axis=0, where=known, initial=np.inf)
    highest = np.max(series, axis=0, where=known, initial=-np.inf)
    between = ((series > lowest) & (series < highest)).any(axis=0)
    lone: BoolArray = between & (isolation(series) > ISOLATION_THRESHOLD)
    return lone


def _far(cube: FloatArray) -> tuple[BoolArray, BoolArray]:
    """Mark cells with a robust z above 5, and series without such a z.

    A series (geo, variable) has none if it has enough values and half of them are the same.
    """
    with np.errstate(all="ignore"):
        centre = median_over_dates(cube)
        distance = np.abs(cube - centre)
        count = (~np.isnan(distance)).sum(axis=0)
        scale = _SD_PER_MEDIAN_DEVIATION * median_over_dates(distance)
        enough = count >= MIN_VALUES_FOR_OUTLIERS
        has_scale = scale > _DUST * np.abs(centre)
        far: BoolArray = enough & has_scale & (distance > OUTLIER_THRESHOLD * scale)
    return far, enough & ~has_scale


def zero_runs(cube: FloatArray) -> IntArray:
    """Count the zeros in a row that end at each cell, over time.

    Parameters
    ----------
    cube : ndarray (date, geo, variable)
        A missing cell is not a zero and ends a run.

    Returns
    -------
    ndarray of int (date, geo, variable)
        Periods; 0 where the value is not zero.

    Examples
    --------
    >>> import numpy as np
    >>> zero_runs(np.array([0.0, 0, 5, 0]).reshape(-1, 1, 1)).ravel().tolist()
    [1, 2, 0, 1]
    """
    position = np.arange(cube.shape[0], dtype=np.int64).reshape(-1, 1, 1)
    last_active = np.maximum.accumulate(np.where(cube == 0, np.int64(-1), position), axis=0)
    return position - last_active


def within_geo_correlation(cube: FloatArray) -> FloatArray:
    """Correlate the variables after each geo's own mean is taken out.

    Geos differ in size, which makes everything correlate with everything; a model with an
    intercept per geo only ever sees what is left. Missing cells count as their geo's mean.

    Parameters
    ----------
    cube : ndarray (date, geo, variable)
        NaN is missing.

    Returns
    -------
    ndarray (variable, variable)
        NaN in the rows and columns of variables that never vary within a geo.

    Examples
    --------
    >>> import numpy as np
    >>> pair = np.array([[[1.0, -1.0]], [[2.0, -2.0]], [[4.0, -4.0]]])
    >>> within_geo_correlation(pair).round(6).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    known = ~np.isnan(cube)
    n_dates, n_geos, n_variables = cube.shape
    with np.errstate(all="ignore"):
        # Scaling first keeps squares of very large or small currency amounts representable.
        size = np.max(np.abs(cube), axis=(0, 1), where=known, initial=0.0)
        filled = np.where(known, cube / size, 0.0)
        mean = filled.sum(axis=0) / known.sum(axis=0)
        centred = np.where(known, filled - mean, 0.0).reshape(n_dates * n_geos, n_variables)
        norm = np.sqrt((centred**2).sum(axis=0))
        # The values are at most 1 in size, so this is dust relative to the variable itself.
        flat = ~(norm > _DUST * np.sqrt(max(len(centred), 1)))
        unit = centred / np.where(flat, np.nan, norm)
        return np.clip(_gram(unit, flat), -1.0, 1.0)


def variance_inflation(correlation: FloatArray) -> FloatArray:
    """Variance inflation factor: the diagonal of the inverse correlation matrix.

    ``vif = 1 / (1 - R2)`` of each variable regressed on all others, without a regression. The
    inverse is taken by eigenvalues, so that a singular matrix gives infinity exactly to the
    variables in the linear dependence and the right number to all others.

    Parameters
    ----------
    correlation : ndarray (variable, variable)
        NaN rows and columns are left out.

    Returns
    -------
    ndarray (variable,)
        At least 1; NaN for variables that were left out.

    Examples
    --------
    >>> import numpy as np
    >>> variance_inflation(np.array([[1.0, 0.6], [0.6, 1.0]])).tolist()
    [1.5625, 1.5625]
    """
    factors = np.full(len(correlation), np.nan)
    used = np.flatnonzero(~np.isnan(np.diagonal(correlation)))
    if not used.size:
        return factors
    values, vectors = np.linalg.eigh(correlation[np.ix_(used, used)])
    singular = values <= 1e-10 * values.max()
    weights = vectors**2
    inverse = 1.0 / np.where(singular, 1.0, values)
    regular = (weights * np.where(singular, 0.0, inverse)).sum(axis=1)
    dependent = weights[:, singular].sum(axis=1) > 1e-8
    factors[used] = np.where(dependent, np.inf, np.maximum(regular, 1.0).round(12))
    return factors


def _gram(unit: FloatArray, flat: BoolArray) -> FloatArray:
    # NaN columns would be slow in the product and are known to give NaN.
    gram = np.full((flat.size, flat.size), np.nan)
    varying = np.flatnonzero(~flat)
    columns = unit[:, varying]
    # einsum rather than a matrix product: so thin a product takes it 5 ms, and waking the threads
    # of a BLAS took up to 200 ms on a machine with two cores.
    gram[np.ix_(varying, varying)] = np.einsum("ri,rj->ij", columns, columns)
    return gram
