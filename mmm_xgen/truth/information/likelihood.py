"""The noise of a Dataset, and the information that sales have of their mean under it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from mmm_xgen.config.region import OutlierConfig, RegionConfig
from mmm_xgen.errors import ConfigError, SchemaError
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.noise import NOISES, NoiseKind, level_weights

# Points at which the density of outliers is integrated, and sds that it reaches beyond them.
POINTS, BEYOND = 20_001, 10.0


@dataclass(frozen=True)
class Noise:
    """Noise of a Dataset.

    Parameters
    ----------
    kind : NoiseKind
        Registered family.
    sigma : array, dims (geo,)
        Root-mean-square sd, in KPI units per period.
    parameters : mapping of str to array, dims (geo,)
        Parameters of the family.
    settings : mapping of str to value
        Its arguments that are no numbers.
    level_power : float
        Power of expected sales that the sd follows.
    gain : float
        Information relative to the same noise without outliers.
    """

    kind: NoiseKind
    sigma: FloatArray
    parameters: Mapping[str, FloatArray]
    settings: Mapping[str, Any]
    level_power: float = 0.0
    gain: float = 1.0


def noise_of(ds: xr.Dataset, regions: RegionConfig) -> Noise:
    """Return the noise of a Dataset with configured geos.

    Raises
    ------
    ConfigError
        If a geo has no noise: whatever is identified there is known exactly.
    SchemaError
        If the likelihood of sales is not known: geos share noise, a capacity cuts sales, or there
        are outliers beside noise that is not Gaussian.
    """
    spec = regions.noise
    beyond = {
        "noise that geos share": bool(spec.shared),
        "a capacity of sales": regions.capacity is not None,
        f"outliers beside {spec.kind} noise": bool(regions.outliers) and spec.kind != "gaussian",
    }
    for found, is_there in beyond.items():
        if is_there:
            raise SchemaError(
                f"found {found}, under which the information is not known exactly, allowed: noise "
                "that is independent between geos, sales without a capacity, and outliers beside "
                "gaussian noise only"
            )
    sigma = np.asarray(ds["y_sigma"].to_numpy(), dtype=float)
    if not np.all(sigma > 0):
        geo = str(ds["geo"].values[int(np.argmin(sigma > 0))])
        raise ConfigError(
            f"found a noise sd of {sigma.min():g} in geo {geo!r}, allowed: above 0; without noise "
            "no standard error has a bound but 0",
            path="regions.sales_volatility",
        )
    parameters = {name: ds[f"noise_{name}"].to_numpy() for name in spec.parameters}
    gain = 1.0 if regions.outliers is None else _gain_of(regions.outliers)
    kind = NOISES[spec.kind]
    return Noise(kind, sigma, parameters, spec.settings, spec.level_power, gain)


def _gain_of(outliers: OutlierConfig) -> float:
    r"""Return the information of Gaussian noise with outliers, relative to that without.

    The density is :math:`f(z) = (1 - q) \phi(z) + \frac{q}{2} (\phi(z - k) + \phi(z + k))` for
    outliers of share q and size k, and the information :math:`\int f'^2 / f`. It is symmetric, so
    that an unknown sd, share or size costs nothing.
    """
    end = outliers.size + BEYOND
    z = np.linspace(-end, end, POINTS)
    weights = (1 - outliers.share, outliers.share / 2, outliers.share / 2)
    centres = (0.0, outliers.size, -outliers.size)
    density, slope = np.zeros(POINTS), np.zeros(POINTS)
    for weight, centre in zip(weights, centres, strict=True):
        bell = weight * np.exp(-((z - centre) ** 2) / 2) / np.sqrt(2 * np.pi)
        density, slope = density + bell, slope - (z - centre) * bell
    known = density > 0
    return float(np.sum(slope[known] ** 2 / density[known]) * (z[1] - z[0]))


def whiten(columns: FloatArray, noise: Noise, mu: FloatArray) -> FloatArray:
    """Columns in units of noise: their cross product is the Fisher information.

    Parameters
    ----------
    columns : array, dims (geo, date, column)
        Derivatives of mu.
    noise : Noise
        Noise of the panel, whose kind says how (see `mmm_xgen.register_noise`).
    mu : array, dims (geo, date)
        Expected sales.

    Returns
    -------
    array, dims (geo, date, column)
    """
    parameters = {name: values[:, None] for name, values in noise.parameters.items()}
    sigma = noise.sigma[:, None]
    if noise.level_power:
        sigma = sigma * level_weights(mu, noise.level_power)
    whitened = noise.kind.information(columns, mu, sigma, **parameters, **noise.settings)
    return whitened if noise.gain == 1 else np.sqrt(noise.gain) * whitened
