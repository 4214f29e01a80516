"""Names, dims and scales of a built model of PyMC-Marketing, the same for both generations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr

from mmm_xgen.errors import AlignmentError
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.kind import component_names
from mmm_xgen.kernels.saturation import SATURATIONS

NO_SPEND = 1e30
# Paths over time of mean 1 that a model may have, by PyMC-Marketing's names.
INTERCEPT_PATH = "intercept_latent_process"
MEDIA_PATH = "media_temporal_latent_multiplier"


@dataclass(frozen=True)
class Built:
    """A built model.

    Parameters
    ----------
    dims : mapping of str to tuple of str
        Dims of every free parameter, and of every path over time whose mean the model keeps at 1.
    coords : mapping of str to list
        Labels of every dim.
    channel_scale : DataArray, dims (channel,) or (geo, channel)
        Currency per period.
        So large for a channel without spend that it contributes nothing, as in the model.
    target_scale : DataArray, dims (geo,) or none
        KPI units per period.
    silent : frozenset of str
        Channels without any spend.
    adstock, adstock_type, saturation : str
        Kinds, as the Dataset names them; "" where the model's is none of them.
    n_weights : int
        Number of adstock weights.
    normalize, adstock_first : bool
        Whether the weights sum to 1, and the curve acts on carried-over spend.
    fourier_modes : int
        Number of modes of the yearly seasonality.
    controls : DataArray, dims (date, geo, control), optional
        Values of its controls.
    likelihood : str
        Name of its distribution.
    link : str
        Name of its link: ``identity`` or ``log``.
    """

    dims: Mapping[str, tuple[str, ...]]
    coords: Mapping[str, list[Any]]
    channel_scale: xr.DataArray
    target_scale: xr.DataArray
    silent: frozenset[str]
    adstock: str
    adstock_type: str
    saturation: str
    n_weights: int
    normalize: bool
    adstock_first: bool
    fourier_modes: int
    controls: xr.DataArray | None
    likelihood: str
    link: str

    @property
    def unit_of_effects(self) -> xr.DataArray:
        """KPI units of an effect of 1 in the model; effects on log sales have none."""
        return xr.ones_like(self.target_scale) if self.link == "log" else self.target_scale

    def empty(self, dims: tuple[str, ...]) -> xr.DataArray:
        """NaN with some of the model's dims and labels."""
        labels = {dim: self.coords[dim] for dim in dims}
        return xr.DataArray(np.full([len(each) for each in labels.values()], np.nan), labels, dims)


def built(mmm: Any) -> Built:
    """Describe a built model.

    Raises
    ------
    AlignmentError
        If `mmm` is not built, or has dims other than the geo.
    """
    model, scalers = getattr(mmm, "model", None), getattr(mmm, "scalers", None)
    if model is None or scalers is None:
        raise AlignmentError(
            f"found {type(mmm).__name__} that is not built, allowed: an MMM after "
            "build_model(features, target)"
        )
    if tuple(mmm.dims) != ("geo",):
        raise AlignmentError(
            f"found a model with the dims {tuple(mmm.dims)}, allowed: MMM(dims=('geo',), ...), "
            "also for one geo"
        )
    kind, type_ = _kind(ADSTOCKS, mmm.adstock)
    saturation, _ = _kind(SATURATIONS, mmm.saturation)
    data, scale = mmm.xarray_dataset, scalers["_channel"]
    names = [variable.name for variable in model.free_RVs]
    paths = (INTERCEPT_PATH, MEDIA_PATH)
    names += [name for name in paths if f"{name}_f_mean" in model.named_vars]
    return Built(
        dims={name: tuple(model.named_vars_to_dims.get(name) or ()) for name in names},
        coords={dim: list(labels or ()) for dim, labels in model.coords.items()},
        channel_scale=scale.where(scale > 0, NO_SPEND),
        silent=frozenset(_silent(scale)),
        target_scale=_squeezed(scalers["_target"]),
        adstock=kind,
        adstock_type=type_,
        saturation=saturation,
        n_weights=_n_weights(mmm, type_),
        normalize=bool(mmm.adstock.normalize),
        adstock_first=bool(getattr(mmm, "adstock_first", True)),
        fourier_modes=int(mmm.yearly_seasonality or 0),
        controls=data.get("_control", None),
        likelihood=str(mmm.model_config["likelihood"].distribution),
        # Releases before 1.0 have no other link.
        link=str(getattr(mmm, "link", "identity")),
    )


def _kind(registry: Mapping[str, Any], component: Any) -> tuple[str, str]:
    """Kind of a component, and its type; "" where none is the same."""
    kinds = {name: key for key, name in component_names(registry).items()}
    return kinds.get(type(component).__name__, ("", ""))


def _silent(scale: xr.DataArray) -> list[str]:
    """Channels whose scale is 0 in some geo; one scale for all channels is given, and above 0."""
    if "channel" not in scale.dims:
        return []
    zero = scale == 0
    over = [dim for dim in zero.dims if dim != "channel"]
    return [str(name) for name in zero["channel"].values[zero.any(over).to_numpy()]]


def _squeezed(scale: xr.DataArray) -> xr.DataArray:
    """PyMC-Marketing gives its target scale a dim of length 1 at times."""
    return scale.squeeze([dim for dim in scale.dims if dim != "geo" and scale.sizes[dim] == 1])


def _n_weights(mmm: Any, type_: str) -> int:
    if type(mmm.adstock).__name__ == "NoAdstock":
        return 1
    # 0.19 gives the Weibull CDF one weight more than l_max.
    return int(mmm.adstock.l_max) + int(is_older() and type_ == "CDF")


def is_older() -> bool:
    """True if the installed PyMC-Marketing is of the generation before 1.0."""
    return version("pymc-marketing").startswith("0.")
