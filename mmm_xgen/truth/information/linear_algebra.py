r"""Linear algebra of the information bound: covariance, and directions without information.

The information matrix is never formed. With whitened columns :math:`A`, and prior precisions as
further rows of it, the covariance is :math:`(A^\top A)^{-1}` by singular values, which loses half
as many digits. The baseline of each geo is projected out first (the Schur complement), in stacked
decompositions, so the remaining problem has the size of the media parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.threads import in_one_thread

# A direction with less than this share of a column's length has no information.
RANK_TOLERANCE = 1e-10
# A parameter is infinite if more than this share of it (squared length) is in such directions.
NULL_SHARE = 1e-9


@dataclass(frozen=True)
class Bound:
    """Cramér-Rao bound of one fit, or of a stack of fits.

    Parameters
    ----------
    covariance : array, dims (fit, media column, media column)
        Of the media parameters, on the identified directions.
    null : array, dims (fit, direction, media column)
        Orthonormal directions of no information, in units of `scale`; rows of zeros elsewhere.
    scale : array, dims (fit, media column)
        Length of each column.
    baseline_variance : array, dims (geo, baseline column)
        Infinite where not identified.
    baseline_null : array, dims (geo, direction, baseline column)
        Directions within the baseline alone, in units of `baseline_scale`.
    baseline_scale : array, dims (geo, baseline column)
        Length of each column.
    answer : array, dims (geo, baseline column, media column)
        Change of the baseline's estimates by a unit change of each media parameter, negative.
    residual : array, dims (fit, row, media column)
        Media columns without their projection on the baseline.
    condition : array, dims (fit,)
        Condition number of the media information in correlation form, the baseline unknown.
    """

    covariance: FloatArray
    null: FloatArray
    scale: FloatArray
    baseline_variance: FloatArray
    baseline_null: FloatArray
    baseline_scale: FloatArray
    answer: FloatArray
    residual: FloatArray
    condition: FloatArray

    def variance(self, gradient: FloatArray) -> FloatArray:
        """Return the variance of functions of the media parameters by the delta method.

        Parameters
        ----------
        gradient : array, dims (fit, function, media column)
            Derivatives on the link scale.

        Returns
        -------
        array, dims (fit, function)
            Infinite if the function changes along a direction without information.
        """
        variance = np.einsum("fqi,fij,fqj->fq", gradient, self.covariance, gradient)
        # Scale the gradient to columns of unit length.
        scaled = gradient / self.scale[:, None]
        with in_one_thread():
            lost = np.square(scaled @ self.null.swapaxes(-1, -2)).sum(axis=-1)
        return np.where(lost > NULL_SHARE * np.square(scaled).sum(axis=-1), np.inf, variance)

    def parameter_variance(self) -> FloatArray:
        """Return the variance of every media parameter, dims (fit, media column)."""
        n_columns = self.scale.shape[-1]
        unit = np.broadcast_to(np.eye(n_columns), (len(self.scale), n_columns, n_columns))
        return self.variance(unit)


def bound_of(
    media: FloatArray,
    baseline: FloatArray,
    media_precision: FloatArray,
    baseline_precision: FloatArray,
    *,
    pooled: bool,
) -> Bound:
    """Return the bound from whitened columns and prior precisions.

    Parameters
    ----------
    media, baseline : array, dims (geo, date, column)
        Whitened columns.
    media_precision, baseline_precision : array, dims (geo, column)
        Square root of the prior precision; 0 for a flat prior.
    pooled : bool
        If True, the geos share the media parameters: one fit over all, else one fit per geo.
    """
    baseline = _with_prior(baseline, baseline_precision)
    unmoved = np.zeros((*media.shape[:1], baseline.shape[-1], media.shape[-1]))
    media = np.concatenate([media, unmoved], axis=1)
    baseline_scale = _lengths(baseline)
    left, inverse, right, baseline_null = _decomposed(baseline / baseline_scale[:, None])
    inside = left.swapaxes(-1, -2) @ media
    residual = media - left @ inside
    # Project twice: the second time removes the rounding errors of the first.
    residual = residual - left @ (left.swapaxes(-1, -2) @ residual)
    answer = right.swapaxes(-1, -2) @ (inverse[..., None] * inside) / baseline_scale[..., None]

    if pooled:
        media, residual = (np.concatenate(each)[None] for each in (media, residual))
        media_precision = media_precision[:1]
    scale = _lengths(_with_prior(media, media_precision))
    residual = _with_prior(residual, media_precision)
    # Reduce to a square matrix with the same lengths and angles of the columns.
    square = np.linalg.qr(residual, mode="r")
    _, spread, axes, null = _decomposed(square / scale[:, None])
    factor = axes.swapaxes(-1, -2) * spread[:, None] / scale[..., None]

    per_geo = factor if not pooled else np.broadcast_to(factor, (len(answer), *factor.shape[1:]))
    own = np.square(right.swapaxes(-1, -2) * inverse[:, None]).sum(axis=-1)
    variance = own / np.square(baseline_scale) + np.square(answer @ per_geo).sum(axis=-1)
    moved = baseline_scale[..., None] * answer @ (null / scale[:, None]).swapaxes(-1, -2)
    lost = np.square(moved).sum(axis=-1) + np.square(baseline_null).sum(axis=-2)
    return Bound(
        covariance=factor @ factor.swapaxes(-1, -2),
        null=null,
        scale=scale,
        baseline_variance=np.where(lost > NULL_SHARE, np.inf, variance),
        baseline_null=baseline_null,
        baseline_scale=baseline_scale,
        answer=answer,
        residual=residual,
        condition=_condition(np.asarray(square), null),
    )


def _with_prior(columns: FloatArray, precision: FloatArray) -> FloatArray:
    """Append one row per prior to the columns, so there are never fewer rows than columns."""
    rows = precision[..., None] * np.eye(precision.shape[-1])
    return np.concatenate([columns, rows], axis=-2)


def _lengths(columns: FloatArray) -> FloatArray:
    lengths = np.sqrt(np.square(columns).sum(axis=-2))
    return np.where(lengths > 0, lengths, 1.0)


def _decomposed(columns: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return singular vectors, inverse singular values, and directions without information."""
    left, values, right = np.linalg.svd(columns, full_matrices=False)
    kept = values > RANK_TOLERANCE
    inverse = np.where(kept, 1 / np.where(kept, values, 1), 0)
    null = np.where(kept[..., None], 0, right)
    return left * kept[..., None, :], inverse, right, null


def _condition(residual: FloatArray, null: FloatArray) -> FloatArray:
    if not residual.shape[-1]:
        return np.ones(len(residual))
    values = np.linalg.svd(residual / _lengths(residual)[:, None], compute_uv=False)
    singular = null.any(axis=(-1, -2)) | (values[:, -1] == 0)
    lowest = np.where(singular, 1, values[:, -1])
    return np.where(singular, np.inf, np.square(values[:, 0] / lowest))


def sparse_directions(null: FloatArray) -> FloatArray:
    """Basis of a null space in which every direction has few parameters.

    Gauss-Jordan elimination: each direction has a parameter that no other one has, so that two
    separate confusions are not shown as mixtures of both.

    Parameters
    ----------
    null : array, dims (direction, column)
        Orthonormal directions; rows of zeros are skipped.

    Returns
    -------
    array, dims (direction, column)

    Examples
    --------
    >>> mixed = np.array([[1.0, -1.0, 1.0], [1.0, -1.0, -1.0]])
    >>> sparse_directions(mixed)
    array([[ 1., -1.,  0.],
           [ 0.,  0.,  1.]])
    """
    rows = null[null.any(axis=-1)].copy()
    pivots = []
    for step in range(len(rows)):
        free = np.abs(rows[step:])
        pivot, column = divmod(int(np.argmax(free)), free.shape[1])
        rows[[step, step + pivot]] = rows[[step + pivot, step]]
        rows[step] /= rows[step, column]
        pivots.append(column)
        others = np.arange(len(rows)) != step
        rows[others] -= rows[others, column, None] * rows[step]
    rows[np.abs(rows) < 1e-6] = 0
    return rows[np.argsort(pivots)] if pivots else rows
