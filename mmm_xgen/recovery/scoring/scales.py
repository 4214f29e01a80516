"""The scale that each quantity is scored on: log, logit, or its own units."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from mmm_xgen.dataset import config_of
from mmm_xgen.errors import SchemaError
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.registry import Registry
from mmm_xgen.kernels.saturation import SATURATIONS

# On the log scale a draw below this share of the truth, a negative one included, counts as
# that share: an error of 4.6, and no draw can make a mean infinite.
FLOOR = 0.01
# On the logit scale shares closer to 0 or 1 than this count as that.
EDGE = 0.001
POSITIVE = ("effect", "intercept_contribution", "y_sigma", "saturation_beta")


def scale_of(ds: xr.Dataset, name: str) -> xr.DataArray:
    """Link scale of a parameter, one per channel where kinds differ: log, logit or identity.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset.
    name : str
        Variable of it.

    Returns
    -------
    DataArray of str, dims (channel) or ()

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> scale_of(ds, "adstock_alpha").values.tolist(), str(scale_of(ds, "gamma_control").values)
    (['logit', 'logit', 'logit'], 'identity')
    """
    if name.endswith("_mean"):
        return xr.DataArray("identity")
    stage, _, parameter = name.partition("_")
    kinds: dict[str, Registry[Any]] = {"adstock": ADSTOCKS, "saturation": SATURATIONS}
    if name.endswith("_sd") or name in POSITIVE:
        return xr.DataArray("log")
    if stage in kinds:
        domains = [
            getattr(kinds[stage][str(kind)].parameters.get(parameter), "domain", None)
            for kind in ds[f"{stage}_kind"].values
        ]
        # A kind's own amplitude, as far as it is not a parameter of the curve, is positive.
        links = [getattr(domain, "link", "identity") for domain in domains]
        return xr.DataArray(links, dims="channel", coords={"channel": ds["channel"].values})
    if stage in ("trend", "noise"):
        try:
            spec = getattr(config_of(ds).regions, stage)
        except SchemaError:
            return xr.DataArray("identity")
        domain = getattr(spec.registered.parameters.get(parameter), "domain", None)
        return xr.DataArray(getattr(domain, "link", "identity"))
    return xr.DataArray("identity")


def linked(values: xr.DataArray, truth: xr.DataArray, scale: xr.DataArray) -> xr.DataArray:
    """Values on a link scale, bounded as `FLOOR` and `EDGE` say.

    Parameters
    ----------
    values : DataArray
        Draws, or the truth itself.
    truth : DataArray
        True values, of which some dims may be missing in `values`.
    scale : DataArray of str
        Scale, as of `scale_of`.

    Returns
    -------
    DataArray
        NaN where the truth is outside the scale: not above 0, or not between 0 and 1.

    Examples
    --------
    >>> two = xr.DataArray(2.0)
    >>> float(linked(xr.DataArray(-1.0), two, xr.DataArray("log")) - np.log(2.0 * FLOOR))
    0.0
    """
    least = FLOOR * truth.where(truth > 0)
    bounded = values.where(values > least, least).where(values.notnull())
    logs: xr.DataArray = xr.apply_ufunc(np.log, bounded)
    share = values.clip(EDGE, 1 - EDGE).where((truth > 0) & (truth < 1))
    logits: xr.DataArray = xr.apply_ufunc(np.log, share / (1 - share))
    others = logits.where(scale == "logit", values)
    return logs.where(scale == "log", others)


def words(scale: xr.DataArray, truth: xr.DataArray) -> str:
    """Scale in words, of the channels that have the parameter."""
    others = [dim for dim in truth.dims if dim not in scale.dims]
    known = truth.notnull().any(others)
    found = scale.values[known.values] if scale.dims else [scale.item()]
    return " or ".join(dict.fromkeys(map(str, found)))
