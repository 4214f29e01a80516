"""Least squares with inference, on stacked arrays: one call for any number of datasets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmm_xgen.errors import SchemaError
from mmm_xgen.kernels.domain import FloatArray

# Share of a column's length that must be left when the columns before it are taken out.
INDEPENDENT = 1e-9

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Regression:
    r"""Ordinary least squares of many datasets.

    A dropped column has coefficient 0 and covariance 0.

    Parameters
    ----------
    coefficients : array, dims (..., column)
    root : array, dims (..., column, column)
        Inverse of the triangular factor R of the columns: :math:`(X'X)^{-1} = R^{-1} R^{-T}`.
    kept : array of bool, dims (..., column)
        Columns that are no combination of those before them.
    residuals : array, dims (..., row)
    sigma : array, dims (...)
        Residual standard deviation, of which :math:`\sigma^2` is unbiased.
    n_rows : int
    total : array, dims (...)
        Sum of squares around the mean.
    """

    coefficients: FloatArray
    root: FloatArray
    kept: BoolArray
    residuals: FloatArray
    sigma: FloatArray
    n_rows: int
    total: FloatArray

    @property
    def rank(self) -> FloatArray:
        """Number of columns kept, dims (...)."""
        return np.asarray(self.kept.sum(axis=-1), dtype=float)

    @property
    def freedom(self) -> FloatArray:
        """Residual degrees of freedom, dims (...)."""
        return self.n_rows - self.rank

    @property
    def covariance(self) -> FloatArray:
        """Covariance of the coefficients, dims (..., column, column)."""
        variance = np.square(self.sigma)[..., None, None]
        return np.asarray(variance * (self.root @ np.swapaxes(self.root, -1, -2)))

    @property
    def standard_errors(self) -> FloatArray:
        """Standard errors, dims (..., column); NaN where the column was dropped."""
        errors = self.sigma[..., None] * np.sqrt(np.square(self.root).sum(axis=-1))
        return np.where(self.kept, errors, np.nan)

    def statistics(self) -> dict[str, FloatArray]:
        r"""Figures of the whole fit by name, dims (...).

        With n rows, k columns kept, sum of squared residuals S and total sum of squares T:

        .. math::

            R^2 = 1 - S / T, \quad \bar R^2 = 1 - \frac{n - 1}{n - k} (1 - R^2), \quad
            \log L = -\frac{n}{2} \left(\log \frac{2 \pi S}{n} + 1\right), \\
            AIC = 2 k - 2 \log L, \quad BIC = k \log n - 2 \log L

        k counts neither the variance nor the parameters of transforms.
        """
        n, rank = self.n_rows, self.rank
        squares = np.square(self.residuals).sum(axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            unexplained = squares / self.total
            log_likelihood = -n / 2 * (np.log(2 * np.pi * squares / n) + 1)
        return {
            "r_squared": 1 - unexplained,
            "adjusted_r_squared": 1 - (n - 1) / self.freedom * unexplained,
            "log_likelihood": log_likelihood,
            "aic": 2 * rank - 2 * log_likelihood,
            "bic": rank * np.log(n) - 2 * log_likelihood,
            "residual_sd": self.sigma,
            "residual_freedom": self.freedom,
            "n_rows": np.full_like(rank, n),
        }


def regress(columns: FloatArray, y: FloatArray, *, names: list[str]) -> Regression:
    """Least squares of `y` on `columns`, by the QR decomposition.

    A column that is zero, or a combination of the columns before it, is dropped.

    Parameters
    ----------
    columns : array, dims (..., row, column)
        Their order is that of precedence.
    y : array, dims (..., row)
    names : list of str, one per column
        What the columns are called in messages.

    Raises
    ------
    SchemaError
        If there are no more rows than columns.

    Examples
    --------
    >>> x = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> fitted = regress(x, np.array([1.0, 3.0, 5.0]), names=["one", "x"])
    >>> fitted.coefficients.round(9), float(fitted.freedom)
    (array([1., 2.]), 1.0)
    """
    n_rows, n_columns = columns.shape[-2:]
    scale = np.linalg.norm(columns, axis=-2)
    columns = columns / np.where(scale > 0, scale, 1)[..., None, :]
    kept = independent(columns)
    if n_rows <= kept.sum(axis=-1).max(initial=0):
        raise SchemaError(
            f"found {n_rows} rows (dates x geos) for {n_columns} columns, allowed: more rows than "
            f"columns; give more dates, or fewer of: {', '.join(names)}"
        )
    q, r = np.linalg.qr(_augmented(columns, kept))
    q = q[..., :n_rows, :]
    root = np.linalg.solve(r, np.broadcast_to(np.eye(n_columns), r.shape))
    coefficients = _times(root, _times(np.swapaxes(q, -1, -2), y))
    residuals = y - _times(columns, coefficients)
    freedom = n_rows - kept.sum(axis=-1)
    # The inverse of a dropped column's own equation is no part of the covariance.
    root = np.where(kept[..., None], root, 0) / np.where(scale > 0, scale, 1)[..., None]
    return Regression(
        coefficients=np.where(kept, coefficients, 0) / np.where(scale > 0, scale, 1),
        root=root,
        kept=kept,
        residuals=residuals,
        sigma=np.sqrt(np.square(residuals).sum(axis=-1) / freedom),
        n_rows=n_rows,
        total=np.square(y - y.mean(axis=-1, keepdims=True)).sum(axis=-1),
    )


def independent(columns: FloatArray) -> BoolArray:
    """Which columns are no combination of those before them, dims (..., column).

    Parameters
    ----------
    columns : array, dims (..., row, column)
        Columns of length 1, or 0.

    Examples
    --------
    >>> independent(np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]))
    array([ True, False, False,  True])
    """
    kept = np.asarray(np.linalg.norm(columns, axis=-2) > 0)
    while True:
        r = np.linalg.qr(_augmented(columns, kept), mode="r")
        left = np.abs(np.diagonal(r, axis1=-2, axis2=-1))
        dependent = left < INDEPENDENT
        if not dependent.any():
            return kept
        # Behind the first dependent column the decomposition says nothing: one at a time.
        first = dependent & (np.cumsum(dependent, axis=-1) == 1)
        kept = kept & ~first


def _augmented(columns: FloatArray, kept: BoolArray) -> FloatArray:
    """Columns with a row more for each, in which a dropped one, zero elsewhere, has its 1.

    So the decomposition has full rank and one shape, whatever is dropped in which dataset.
    """
    own_rows = np.eye(kept.shape[-1]) * ~kept[..., None, :]
    return np.concatenate([columns * kept[..., None, :], own_rows], axis=-2)


def _times(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    return np.asarray((matrix @ vector[..., None])[..., 0])
