"""Prior standard deviations on the link scale, those of PyMC-Marketing's defaults among them.

On its link scale the sd of a default prior does not depend on the scaling of spend and sales:
a scale only shifts the log of a positive parameter, and shares have none. So the sds hold in
original units as they stand (of a root curve's beta only up to what its alpha adds). Nothing
here imports PyMC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
import xarray as xr

from mmm_xgen.config.base import shown
from mmm_xgen.errors import AlignmentError, ConfigError, nearest
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.kind import Prior as DefaultPrior
from mmm_xgen.kernels.kind import TransformKind
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.schema import describe
from mmm_xgen.truth.information.jacobian import Columns, Model

LIBRARY = "pymc-marketing"
TRANSFORMS: dict[str, Mapping[str, TransformKind]] = {
    "adstock": ADSTOCKS,
    "saturation": SATURATIONS,
}
Prior: TypeAlias = Mapping[str, Any] | Literal["pymc-marketing"] | None

# Sd of the priors of the baseline, in units of the largest sales, which the model scales by.
BASELINE_DEFAULTS = {
    "intercept_contribution": 2.0,
    "gamma_control": 2.0,
    "gamma_fourier": np.sqrt(2.0),
}


def link_sd(family: DefaultPrior, link: str) -> float:
    r"""Sd of a distribution on the log or logit scale.

    A half-normal is a gamma in its square: :math:`\mathrm{var} \log |z| = \psi'(1/2) / 4`. For a
    gamma of shape a it is :math:`\psi'(a)`; for a beta :math:`\psi'(a) + \psi'(b)` on the logit
    and :math:`\psi'(a) - \psi'(a + b)` on the log scale.

    Examples
    --------
    >>> round(link_sd(("half_normal",), "log"), 4)
    1.1107
    >>> round(link_sd(("beta", 1, 3), "logit"), 4)
    1.4282
    """
    from scipy.special import polygamma

    name, *shape = family
    if name == "half_normal":
        return float(np.sqrt(polygamma(1, 0.5)) / 2)
    if name == "gamma":
        return float(np.sqrt(polygamma(1, shape[0])))
    first, second = shape
    if link == "log":
        return float(np.sqrt(polygamma(1, first) - polygamma(1, first + second)))
    return float(np.sqrt(polygamma(1, first) + polygamma(1, second)))


def default_prior_sd(model: Model, media: Columns, largest_sales: float) -> dict[str, FloatArray]:
    """Sds of PyMC-Marketing's default priors; names and channels without one are NaN.

    Parameters
    ----------
    model : Model
        True model.
    media : Columns
        Columns of the media parameters.
    largest_sales : float
        What the model divides sales by, in KPI units per period.

    Returns
    -------
    dict of str to array, dims (channel,) for media and (geo, 1) for the baseline
    """
    n_channels = len(model.channels)
    prior = {name: np.full(n_channels, np.nan) for name, _ in media.labels}
    for (name, label), link in zip(media.labels, media.links, strict=True):
        channel = model.channels.index(label)
        stage, parameter = name.split("_", 1)
        kind = getattr(model.media, f"{stage}_kind")[channel]
        settings = dict(getattr(model.media, f"{stage}_settings")[channel])
        priors = TRANSFORMS[stage][kind].priors_of(settings.get("type", ""))
        if parameter in priors:
            prior[name][channel] = link_sd(priors[parameter], link)
    base = model.truth["intercept_contribution"][:, None]
    for name, sd in BASELINE_DEFAULTS.items():
        # The intercept's normal prior, seen on the log scale around the truth.
        unit = base if name == "intercept_contribution" else np.ones_like(base)
        prior[name] = sd * largest_sales / unit
    return prior


def prior_precision(
    ds: xr.Dataset, model: Model, media: Columns, baseline: Columns, prior: Prior
) -> tuple[FloatArray, FloatArray]:
    """Square root of the prior precision of every column; 0 where the prior is flat.

    Returns
    -------
    media, baseline : array, dims (geo, column)

    Raises
    ------
    ConfigError
        If the prior names no free parameter, or if a sd is not above 0.
    AlignmentError
        If a labelled sd does not fit the Dataset.
    """
    names = list(dict.fromkeys(name for name, _ in (*media.labels, *baseline.labels)))
    is_known = prior is None or isinstance(prior, Mapping)
    if not is_known and not (isinstance(prior, str) and prior == LIBRARY):
        raise ConfigError(
            f"found {shown(prior)}, allowed: {LIBRARY!r}, a mapping of parameter names to sds on "
            "the link scale, or None",
            path="prior",
        )
    if isinstance(prior, str):
        sds = default_prior_sd(model, media, float(np.max(ds["y"].to_numpy())))
        # What is held fixed has a default too, which then has nothing to say.
        sds = {name: sd for name, sd in sds.items() if name in names}
    else:
        sds = {}
        for name, sd in (prior or {}).items():
            if name not in names:
                raise ConfigError(
                    f"no free parameter is named {name!r}; {nearest(name, names)}", path="prior"
                )
            sds[name] = _sd_of(ds, name, sd)
    n_geos = model.spend.shape[1]
    precision = [_inverse(columns, sds, n_geos, model) for columns in (media, baseline)]
    return precision[0], precision[1]


def _inverse(
    columns: Columns, sds: Mapping[str, FloatArray], n_geos: int, model: Model
) -> FloatArray:
    inverse = np.zeros((n_geos, len(columns.labels)))
    for column, (name, label) in enumerate(columns.labels):
        if name in sds:
            sd = sds[name]
            position = _labels_of(name, model).index(label) if sd.shape[-1] > 1 else 0
            inverse[:, column] = np.nan_to_num(1 / sd[..., position])
    return inverse


def _labels_of(name: str, model: Model) -> tuple[str, ...]:
    dim = describe(name).dims[-1]
    return model.channels if dim == "channel" else model.labels[dim]


def _sd_of(ds: xr.Dataset, name: str, sd: Any) -> FloatArray:
    """Sd that the user gave for one parameter, dims (label,) or (1,)."""
    given = sd.to_numpy() if isinstance(sd, xr.DataArray) else sd
    try:
        given = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        given = np.array(np.nan)
    if not np.all(given > 0):
        raise ConfigError(f"found {sd!r}, allowed: numbers above 0", path=f"prior.{name}")
    if not isinstance(sd, xr.DataArray):
        if given.size != 1:
            raise AlignmentError(
                f"the prior of {name!r} is an array of shape {given.shape} without labels; pass a "
                "number or a DataArray"
            )
        return given.reshape(1)
    dims = [dim for dim in ds[name].dims if dim != "geo"]
    extra = [str(dim) for dim in sd.dims if dim not in dims]
    if extra:
        raise AlignmentError(f"the prior of {name!r} has the dim {extra[0]!r}, allowed: {dims}")
    for dim in sd.dims:
        labels = list(sd[dim].values)
        twice = [str(each) for each in labels if labels.count(each) > 1]
        if twice:
            raise AlignmentError(f"the prior of {name!r} has the {dim} {twice[0]!r} twice")
        missing = [str(each) for each in ds[dim].values if each not in sd[dim].values]
        if missing:
            raise AlignmentError(f"the prior of {name!r} lacks the {dim} {missing[0]!r}")
        sd = sd.sel({dim: ds[dim].values})
    return np.asarray(sd.to_numpy(), dtype=float).reshape(-1)


def named(prior: Prior) -> str:
    """Describe a prior in words, for the attributes of a result."""
    if prior is None:
        return "none"
    return prior if isinstance(prior, str) else ", ".join(prior) or "none"
