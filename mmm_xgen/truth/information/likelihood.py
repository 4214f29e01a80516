"""The noise of a Dataset, and the information that sales have of their mean under it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from mmm_xgen.config.specs import NoiseSpec
from mmm_xgen.errors import ConfigError
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.noise import NOISES, NoiseKind


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
    """

    kind: NoiseKind
    sigma: FloatArray
    parameters: Mapping[str, FloatArray]
    settings: Mapping[str, Any]


def noise_of(ds: xr.Dataset, spec: NoiseSpec) -> Noise:
    """Return the noise of a Dataset of a configured kind.

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
    parameters = {name: ds[f"noise_{name}"].to_numpy() for name in spec.parameters}
    return Noise(NOISES[spec.kind], sigma, parameters, spec.settings)


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
    return noise.kind.information(columns, mu, sigma, **parameters, **noise.settings)
