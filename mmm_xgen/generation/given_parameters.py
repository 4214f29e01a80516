"""Parameters from the user, which replace random ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.specs import Spec
from mmm_xgen.dataset import labels_of
from mmm_xgen.errors import AlignmentError, nearest
from mmm_xgen.generation.batch import Batch
from mmm_xgen.generation.parameters import Parameters, draw_baseline, draw_media
from mmm_xgen.kernels.domain import REAL, FloatArray
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.response import amplitude_names
from mmm_xgen.schema import VARIABLES, check_dataset, describe

if TYPE_CHECKING:
    import xarray as xr

# Parameters that every geo has, even if they are not random.
EVERYWHERE = ("y_sigma", "intercept_contribution")


def given_parameters(config: MMMDataConfig, params: xr.Dataset, drawn: Parameters) -> Parameters:
    """Return the arrays of `params`, aligned by label, with the dims of the random parameters.

    Parameters
    ----------
    config : MMMDataConfig
        Configuration.
    params : Dataset
        Parameters under their names in the generated Dataset, with any subset of their dims.
        Variables of the Dataset that are not parameters are ignored.
    drawn : mapping of str to array
        All parameters of this configuration.

    Raises
    ------
    AlignmentError
        If a variable is unknown, a dim does not belong to it, a label is missing, or a value is
        missing or infinite.
    """
    check_dataset(params, "params")
    given: Parameters = {}
    labels = labels_of(config)
    known = [name for name in drawn if not _is_other_variable(name)]
    for name in map(str, params.data_vars):
        if _is_other_variable(name):
            continue
        if name not in known:
            raise AlignmentError(f"params has no use for {name!r}; {nearest(name, known)}")
        given[name] = _aligned(params[name], name, labels)
    if not given:
        found = ", ".join(map(str, params.data_vars)) or "nothing"
        raise AlignmentError(f"params has no parameter (found {found}); {nearest('', known)}")
    return given


def _is_other_variable(name: str) -> bool:
    """Tell if `name` is a variable of the Dataset that `params` cannot set."""
    if name.endswith(("_mean", "_sd")):
        return True
    return name in VARIABLES and not VARIABLES[name].is_parameter


def _amplitudes(config: MMMDataConfig) -> list[str]:
    """Parameter that contains the effect, one per channel."""
    return amplitude_names(spec.kind for spec in config.saturations)


def _aligned(values: xr.DataArray, name: str, labels: dict[str, list[str]]) -> FloatArray:
    dims = describe(name).dims
    extra = [str(dim) for dim in values.dims if dim not in dims]
    if extra:
        raise AlignmentError(f"params[{name!r}] has the dim {extra[0]!r}, allowed: {dims}")
    for dim in map(str, values.dims):
        if dim not in values.coords:
            if values.sizes[dim] != len(labels[dim]):
                raise AlignmentError(
                    f"params[{name!r}] has {values.sizes[dim]} entries along {dim!r}, "
                    f"allowed: {len(labels[dim])}"
                )
            continue
        missing = [label for label in labels[dim] if label not in values[dim].values]
        if missing:
            raise AlignmentError(f"params[{name!r}] lacks the {dim} {missing[0]!r}")
        values = values.sel({dim: labels[dim]})
    array = values.transpose(*[dim for dim in dims if dim in values.dims]).to_numpy()
    index = tuple(slice(None) if dim in values.dims else None for dim in dims)
    full = np.broadcast_to(np.asarray(array, dtype=float)[index], [len(labels[d]) for d in dims])
    # All datasets of a batch share the given parameters.
    return np.array(full)[None]


def with_given(config: MMMDataConfig, drawn: Parameters, given: Parameters) -> Parameters:
    """Replace random parameters by given ones, and check them against their domains.

    Saturation parameters are those of PyMC-Marketing's component, which contain the effect.

    Raises
    ------
    AlignmentError
        If a value lies outside its domain, the effect contradicts an amplitude, or a parameter
        that the effect divides is given without it.
    """
    merged = {name: np.array(values) for name, values in {**drawn, **given}.items()}
    for name, values in given.items():
        own = ~np.isnan(drawn[name]) | (name in EVERYWHERE)
        _check_missing(name, values[own])
        merged[name] = np.where(own, values, np.nan)
        for suffix in ("_mean", "_sd"):
            if f"{name}{suffix}" in merged:
                merged[f"{name}{suffix}"] = np.full_like(drawn[f"{name}{suffix}"], np.nan)
    _put_effect_inside(config, merged, drawn, given)
    _check_domains(config, merged)
    return merged


def _put_effect_inside(
    config: MMMDataConfig, merged: Parameters, drawn: Parameters, given: Parameters
) -> None:
    """Make amplitudes of given effects, and effects of given amplitudes."""
    effect = merged["effect"]
    for channel, name in enumerate(_amplitudes(config)):
        kind = SATURATIONS[config.saturations[channel].kind]
        own, before = effect[..., channel], drawn["effect"][..., channel]
        against = f"saturation_{kind.over_amplitude}"
        if name in given:
            component = merged[name][..., channel]
            if "effect" not in given:
                effect[..., channel] = component
                _forget_population(merged, channel)
            elif kind.amplitude is None and not np.allclose(component, own, rtol=1e-9, atol=0):
                raise AlignmentError(
                    f"params gives {name!r} and 'effect' different values for channel "
                    f"{config.channel_names[channel]!r}, where they mean the same; give one"
                )
        elif "effect" in given:
            size = np.where(before == 0, 1, before)
            shape = np.where(before == 0, 1, drawn[name][..., channel] / size)
            merged[name][..., channel] = own * shape
        if kind.over_amplitude and against in given and not {"effect", name} & given.keys():
            raise AlignmentError(
                f"params gives {against!r} of channel {config.channel_names[channel]!r} "
                f"without the effect that divides it; give {name!r} or 'effect', too"
            )
        if kind.over_amplitude and against not in given:
            ratio = np.where(before == 0, 1, before) / np.where(own == 0, 1, own)
            merged[against][..., channel] = drawn[against][..., channel] * ratio


def _check_missing(name: str, values: FloatArray) -> None:
    if not np.all(np.isfinite(values)):
        raise AlignmentError(f"params[{name!r}] has a missing or infinite value")


def _forget_population(merged: Parameters, channel: int) -> None:
    """Set population mean and sd of one channel's effect to NaN: given effects do not have them."""
    for name in ("effect_mean", "effect_sd"):
        merged[name] = np.array(merged[name])
        merged[name][..., channel] = np.nan


def _check_domains(config: MMMDataConfig, merged: Parameters) -> None:
    sizes = ("base_spend", "spend_unit", "intercept_contribution", "y_sigma", "response_size")
    for name in (name for name in sizes if name in merged):
        values = merged[name][~np.isnan(merged[name])]
        if np.any(values < 0) or (name == "spend_unit" and np.any(values == 0)):
            raise AlignmentError(f"params[{name!r}] must not be negative; found {values.min():g}")
    # A capacity of counts is a whole number.
    if "capacity" in merged and np.any(
        merged["capacity"] < np.floor(merged["intercept_contribution"])
    ):
        raise AlignmentError("params['capacity'] must be at least intercept_contribution")
    for prefix, specs in (("adstock_", config.adstocks), ("saturation_", config.saturations)):
        for channel, spec in enumerate(specs):
            amplitude = getattr(spec.registered, "amplitude_name", "")
            for name, parameter in spec.registered.shown.items():
                values = merged[prefix + name][..., channel]
                # A placebo has an amplitude of 0, a channel that costs sales one below 0.
                domain = REAL if name == amplitude else parameter.domain
                if name == getattr(spec.registered, "over_amplitude", ""):
                    values = np.abs(values)
                if not domain.contains(values):
                    raise AlignmentError(
                        f"params[{prefix + name!r}] of channel "
                        f"{config.channel_names[channel]!r} must be "
                        f"{domain.describe()}; found {values.min():g}"
                    )
    families: list[tuple[str, Spec]] = [
        ("trend_", config.regions.trend),
        ("noise_", config.regions.noise),
    ]
    if config.response is not None:
        families.append(("response_", config.response))
    for prefix, spec in families:
        for name, parameter in spec.registered.parameters.items():
            if not parameter.domain.contains(merged[prefix + name]):
                raise AlignmentError(
                    f"params[{prefix + name!r}] must be {parameter.domain.describe()}"
                )
    if np.any(merged.get("promotion_elasticity", -1.0) >= 0):
        raise AlignmentError("params['promotion_elasticity'] must be below 0")
    if np.any((merged.get("spillover", 0) < 0) | (merged.get("spillover", 0) >= 1)):
        raise AlignmentError("params['spillover'] must be at least 0 and below 1")
    elastic = ~np.isnan(merged["control_elasticity"]).all(axis=-2)
    if np.any(merged["control_reference"][elastic] <= 0):
        raise AlignmentError("params['control_reference'] must be above 0 with an elasticity")


def effect_is_given(config: MMMDataConfig, given: Parameters) -> list[bool]:
    """Tell for each channel if the effect is given, itself or inside an amplitude."""
    return ["effect" in given or name in given for name in _amplitudes(config)]


@np.errstate(over="ignore", invalid="ignore")
def true_parameters(batch: Batch, params: xr.Dataset | None) -> tuple[Parameters, Parameters]:
    """Return all parameters, and those that the user gave."""
    drawn = draw_baseline(batch)
    drawn |= draw_media(batch, drawn)
    if params is None:
        return drawn, {}
    given = given_parameters(batch.shared, params, drawn)
    if "intercept_contribution" in given:
        # Recompute shares from the given base sales.
        drawn = draw_baseline(batch, base=given["intercept_contribution"])
        drawn |= draw_media(batch, drawn)
    return with_given(batch.shared, drawn, given), given
