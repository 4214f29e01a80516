r"""Fisher information of the mean under every noise family, as a whitening of the Jacobian.

Columns :math:`J` are turned into :math:`A` such that :math:`A^\top A` is the information.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from mmm_xgen.errors import ConfigError
from mmm_xgen.kernels.domain import FloatArray


@dataclass(frozen=True)
class Noise:
    """Noise of a Dataset.

    Parameters
    ----------
    kind : str
        Registered family.
    sigma : array, dims (geo,)
        Root-mean-square sd, in KPI units per period.
    parameters : mapping of str to array, dims (geo,)
        Parameters of the family.
    size : array, dims (geo,)
        Parameter of size of a family whose variance follows mu: the variance of log sales of a
        lognormal, the dispersion r of a negative binomial; else NaN.
    """

    kind: str
    sigma: FloatArray
    parameters: Mapping[str, FloatArray]
    size: FloatArray


def noise_of(ds: xr.Dataset, kind: str, mu: FloatArray) -> Noise:
    """Return the noise of a Dataset with expected sales `mu`, dims (geo, date).

    Raises
    ------
    ConfigError
        If a geo has no noise: whatever is identified there is known exactly.
    """
    sigma = np.asarray(ds["y_sigma"].to_numpy(), dtype=float)
    if not np.all(sigma > 0):
        geo = str(ds["geo"].values[int(np.argmin(sigma > 0))])
        raise ConfigError(
            f"found a noise sd of {sigma.min():g} in geo {geo!r}, allowed: above 0; without noise "
            "no standard error has a bound but 0",
            path="regions.sales_volatility",
        )
    prefix = "noise_"
    parameters = {
        str(name).removeprefix(prefix): ds[name].to_numpy()
        for name in ds.data_vars
        if str(name).startswith(prefix) and ds[name].dims == ("geo",)
    }
    square = np.mean(mu**2, axis=1)
    size = np.full_like(sigma, np.nan)
    if kind == "lognormal":
        size = np.log1p(sigma**2 / square)
    elif kind == "negative_binomial":
        size = square / (sigma**2 - mu.mean(axis=1))
    return Noise(kind, sigma, parameters, size)


def whiten(columns: FloatArray, noise: Noise, mu: FloatArray) -> FloatArray:
    r"""Columns in units of noise: their cross product is the Fisher information.

    ==================  ==================================================================
    noise               information of mu
    ==================  ==================================================================
    Gaussian            :math:`1 / \sigma^2`
    Student t           :math:`\frac{\nu + 1}{\nu + 3} \frac{\nu}{\nu - 2} / \sigma^2`, as
                        the scale is :math:`\sigma \sqrt{(\nu - 2) / \nu}`
    AR(1)               precision :math:`R^{-1} / \sigma^2` of a stationary AR(1)
    lognormal           :math:`1 / (s^2 \mu^2)`, less what an unknown s costs
    negative binomial   :math:`1 / (\mu + \mu^2 / r)`
    ==================  ==================================================================

    Size and shape of the noise are orthogonal to mu and may be unknown; only a lognormal's s
    is not, since the mean correction :math:`-s^2 / 2` moves log sales with it. It is taken out
    as a nuisance: with :math:`a_t = J_t / (s \mu_t)` the information is
    :math:`\sum a a^\top - \frac{s^2}{n (2 + s^2)} \sum a \sum a^\top`. A family of the user's
    own counts as Gaussian of the same sd, which knows least.

    Parameters
    ----------
    columns : array, dims (geo, date, column)
        Derivatives of mu.
    noise : Noise
        Noise of the panel.
    mu : array, dims (geo, date)
        Expected sales.

    Returns
    -------
    array, dims (geo, date, column)
    """
    by_geo = noise.sigma[:, None, None]
    if noise.kind == "lognormal":
        variance = noise.size[:, None, None]
        whitened = columns / (np.sqrt(variance) * mu[..., None])
        # The square root of 1 - c 11' is 1 - k 11'.
        share = 1 - np.sqrt(1 - variance / (2 + variance))
        return np.asarray(whitened - share * whitened.mean(axis=1, keepdims=True))
    if noise.kind == "negative_binomial":
        return np.asarray(columns / np.sqrt(mu + mu**2 / noise.size[:, None])[..., None])
    whitened = columns / by_geo
    if noise.kind == "student_t":
        degrees = noise.parameters["degrees_of_freedom"][:, None, None]
        gain = (degrees + 1) / (degrees + 3) * degrees / (degrees - 2)
        return np.asarray(whitened * np.sqrt(gain))
    if noise.kind == "ar1":
        kept = noise.parameters["autocorrelation"][:, None, None]
        fresh = (whitened[:, 1:] - kept * whitened[:, :-1]) / np.sqrt((1 - kept) * (1 + kept))
        return np.asarray(np.concatenate([whitened[:, :1], fresh], axis=1))
    return np.asarray(whitened)
