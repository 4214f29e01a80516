"""Response of single channels: from spend to contribution.

`Media` holds the true response of all channels as plain arrays. `mmm_xgen.world` adds what connects
the channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mmm_xgen.errors import AlignmentError, ConfigError, SchemaError
from mmm_xgen.kernels.adstock import ADSTOCKS, AdstockKind, convolve, normalized
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.kind import Kind, members
from mmm_xgen.kernels.registry import Registry
from mmm_xgen.kernels.saturation import SATURATIONS, SaturationKind
from mmm_xgen.schema import check_variables, how_to_keep

if TYPE_CHECKING:
    import xarray as xr

Settings = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Media:
    """True response of all channels.

    Parameters
    ----------
    adstock_kind, saturation_kind : tuple of str, one per channel
        Registered kinds.
    adstock_settings, saturation_settings : tuple of settings, one per channel
        Settings of the kinds that are not numbers.
    l_max : tuple of int, one per channel
        Number of adstock weights.
    normalize : tuple of bool, one per channel
        True if the weights sum to 1.
    parameters : mapping of str to array, dims (..., geo, channel)
        ``adstock_*`` and ``saturation_*``; a curve's amplitude is among its own.
    spend_unit : array, dims (..., geo, channel)
        Currency per period that the curve counts as 1.
    adstock_first : bool
        If True, the curve acts on carried-over spend.
    """

    adstock_kind: tuple[str, ...]
    saturation_kind: tuple[str, ...]
    adstock_settings: tuple[Settings, ...]
    saturation_settings: tuple[Settings, ...]
    l_max: tuple[int, ...]
    normalize: tuple[bool, ...]
    parameters: Mapping[str, FloatArray]
    spend_unit: FloatArray
    adstock_first: bool = True

    @cached_property
    def amplitude(self) -> FloatArray:
        """Contribution where a curve of amplitude 1 is 1, dims (..., geo, channel)."""
        own = [self.parameters[name] for name in amplitude_names(self.saturation_kind)]
        shape = np.broadcast_shapes(self.spend_unit.shape, *(values.shape for values in own))
        whole = np.empty(shape, dtype=np.result_type(float, *own))
        for channel, values in enumerate(own):
            whole[..., channel] = values[..., channel]
        return whole


def of_channels(media: Media, index: list[int]) -> Media:
    """Return the response of some channels, by position."""

    def chosen(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(values[position] for position in index)

    return replace(
        media,
        adstock_kind=chosen(media.adstock_kind),
        saturation_kind=chosen(media.saturation_kind),
        adstock_settings=chosen(media.adstock_settings),
        saturation_settings=chosen(media.saturation_settings),
        l_max=chosen(media.l_max),
        normalize=chosen(media.normalize),
        parameters={name: values[..., index] for name, values in media.parameters.items()},
        spend_unit=media.spend_unit[..., index],
    )


def lag_weights(media: Media) -> FloatArray:
    """Return the weight of each lag, padded with zeros to the longest kernel.

    Returns
    -------
    array, dims (..., channel, geo, lag)

    Raises
    ------
    ConfigError
        If all weights of a kernel are 0 and cannot be normalised.
    """
    n_geos, n_channels = media.amplitude.shape[-2:]
    own = [values for name, values in media.parameters.items() if name.startswith("adstock_")]
    as_many = (1,) * (media.amplitude.ndim - 2)
    leading = np.broadcast_shapes(*(values.shape[:-2] for values in own), as_many)
    numbers = np.result_type(float, *own)
    weights = np.zeros((*leading, n_channels, n_geos, max(media.l_max, default=1)), dtype=numbers)
    keys = zip(media.adstock_settings, media.l_max, media.normalize, strict=True)
    for kind, (settings, l_max, normalize), index in _groups(ADSTOCKS, media.adstock_kind, keys):
        values = _arguments(kind, media.parameters, "adstock_", index)
        kernel = _called(kind, np.arange(l_max, dtype=float), values, settings)
        kernel = np.broadcast_to(kernel, (*weights[..., index, :, :].shape[:-1], l_max))
        if normalize:
            if not np.all(np.real(kernel).sum(axis=-1) > 0):
                raise ConfigError(
                    f"a {kind.name} has no mass on its {l_max} lags, so it cannot be normalised; "
                    "use a longer l_max or other parameters",
                    path="transforms.adstock",
                )
            kernel = normalized(kernel)
        weights[..., index, :, :l_max] = kernel
    return weights


def saturate(spend: FloatArray, media: Media) -> FloatArray:
    """Response of every channel's curve, its amplitude set to 1, to spend in spend units.

    One call a kind.

    Parameters
    ----------
    spend : array, dims (..., channel, geo, date)
        Carried-over spend, in currency per period.
    media : Media
        True response.

    Returns
    -------
    array, dims (..., channel, geo, date)
    """
    return curves_of(media)(spend)


def curves_of(media: Media) -> Callable[[FloatArray], FloatArray]:
    """Return `saturate` as a function of spend, for many calls with the same curves."""
    unit = _by_channel(media.spend_unit)
    kinds = _groups(SATURATIONS, media.saturation_kind, media.saturation_settings)
    groups = [
        (
            *key,
            key[0].of_unit_amplitude(_arguments(key[0], media.parameters, "saturation_", key[2])),
        )
        for key in kinds
    ]
    # The parameters of any kind may have further dims.
    further = {each.shape[:-3] for *_, values in groups for each in values.values()}
    numbers = np.result_type(float, *media.parameters.values())

    def curves(spend: FloatArray) -> FloatArray:
        scaled = spend / unit
        parts = (
            (index, _called(kind, _roomy(scaled[..., index, :, :], values), values, settings))
            for kind, settings, index, values in groups
        )
        if len(groups) == 1:
            return np.asarray(next(parts)[1])
        shape = (*np.broadcast_shapes(scaled.shape[:-3], *further), *scaled.shape[-3:])
        response = np.empty(shape, dtype=np.result_type(scaled, numbers))
        for index, part in parts:
            response[..., index, :, :] = part
        return response

    return curves


def stages(
    spend: FloatArray, media: Media, weights: FloatArray, history: FloatArray | None = None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return carry-over, saturated response, and the later of the two, to be scaled by amplitude.

    Parameters
    ----------
    spend : array, dims (..., channel, geo, date)
        Spend in currency per period.
    media : Media
        True response.
    weights : array, dims (..., channel, geo, lag)
        `lag_weights` of `media`.
    history : array, dims (..., channel, geo, history_date), optional
        Spend before the first date. Default: 0.
    """
    if media.adstock_first:
        carryover = convolve(spend, weights, history)
        saturated = saturate(carryover, media)
        return carryover, saturated, saturated
    saturated = saturate(spend, media)
    past = None if history is None else saturate(history, media)
    carryover = convolve(saturated, weights, past)
    return carryover, saturated, carryover


def per_effect(
    stages: tuple[FloatArray, FloatArray], media: Media, effect: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Carry-over and saturated response as the Dataset shows them: per unit of its `effect`.

    An amplitude is the effect times what the curve was configured to be, which is 1 for most.
    """
    own = np.ones(np.broadcast_shapes(effect.shape, media.amplitude.shape))
    np.divide(media.amplitude, effect, out=own, where=effect != 0)
    carryover, saturated = stages
    if np.all(own == 1):
        return stages
    by = _by_channel(own)
    return (carryover if media.adstock_first else carryover * by), saturated * by


def contribute(unit_response: FloatArray, media: Media) -> FloatArray:
    """Return the contribution: amplitude times response, in KPI units per period."""
    return unit_response * _by_channel(media.amplitude)


def platform_report(
    spend: FloatArray, contribution: FloatArray, numbers: Mapping[str, FloatArray]
) -> dict[str, FloatArray]:
    """Return clicks, and the contribution that platforms report; nothing without `numbers`.

    Parameters
    ----------
    spend, contribution : array, dims (..., channel, geo, date)
        Currency and KPI units per period.
    numbers : mapping of str to array, dims (..., channel)
        ``cost_per_click`` in currency, NaN for channels that do not sell clicks;
        ``click_substitution``, the share of paid clicks that replaces organic ones;
        ``over_reporting``, what a platform reports beyond the sales of its channel, as a share.
    """
    report, reported = {}, contribution
    if "cost_per_click" in numbers:
        cost, substitution = numbers["cost_per_click"], numbers["click_substitution"]
        report["clicks"] = spend / np.where(np.isnan(cost), np.inf, cost)[..., None, None]
        reported = reported / (1 - substitution)[..., None, None]
    if "over_reporting" in numbers:
        reported = reported * (1 + numbers["over_reporting"])[..., None, None]
    return {**report, "reported_sales": reported} if numbers else {}


def amplitude_names(kinds: Iterable[str]) -> list[str]:
    """Name of the amplitude of each kind of saturation in the Dataset."""
    return [f"saturation_{SATURATIONS[kind].amplitude_name}" for kind in kinds]


def with_amplitudes(params: xr.Dataset) -> xr.Dataset:
    """Return the parameters with `effect` in place of an amplitude that is missing.

    Raises
    ------
    AlignmentError
        If `effect` is not the ``saturation_beta`` of a curve that has no other amplitude.
    """
    if "effect" not in params:
        return params
    kinds = params["saturation_kind"]
    names = amplitude_names(map(str, kinds.values))
    missing = [name for name in dict.fromkeys(names) if name not in params]
    if "saturation_beta" in params:
        # Variables: aligning labels within one Dataset would take longer than the check.
        beta, effect = params.variables["saturation_beta"], params.variables["effect"]
        plain = [SATURATIONS[str(kind)].amplitude is None for kind in kinds.values]
        is_plain = kinds.variable.copy(data=np.array(plain, dtype=bool))
        if bool(((abs(beta - effect) > 1e-9 * abs(effect)) & is_plain).any()):
            raise AlignmentError(
                "'effect' contradicts 'saturation_beta', which contains it; change both, or drop "
                "'effect'"
            )
    return params.assign({name: params["effect"] for name in missing}) if missing else params


def media_of(params: xr.Dataset, parameters: Mapping[str, FloatArray], unit: FloatArray) -> Media:
    """`Media` from the coordinates of a Dataset and the arrays of its parameters.

    Raises
    ------
    SchemaError
        If there is no response, as after an aggregation.
    """
    adstock_kind = tuple(map(str, params["adstock_kind"].values))
    saturation_kind = tuple(map(str, params["saturation_kind"].values))
    media = Media(
        adstock_kind=adstock_kind,
        saturation_kind=saturation_kind,
        adstock_settings=_settings(params, ADSTOCKS, "adstock_", adstock_kind),
        saturation_settings=_settings(params, SATURATIONS, "saturation_", saturation_kind),
        l_max=tuple(map(int, params["l_max"].values)),
        normalize=tuple(map(bool, params["normalize"].values)),
        parameters=parameters,
        spend_unit=unit,
        adstock_first=bool(params.attrs.get("adstock_first", 1)),
    )
    if np.isnan(media.amplitude).any():
        raise SchemaError(
            "the Dataset has no response to spend, as after an aggregation, whose sums are no "
            "curves; pass the Dataset that was aggregated and choose window=, by= or freq="
        )
    return media


def scaled_curves(
    parameters: Mapping[str, FloatArray], factor: FloatArray, kinds: tuple[str, ...]
) -> dict[str, FloatArray]:
    """Return the parameters of curves that are `factor` times as high, dims (..., geo, channel).

    A parameter that divides by the amplitude is divided by the factor, unless that is 0.
    """
    scaled = {name: np.array(values) for name, values in parameters.items()}
    for kind, _, index in _groups(SATURATIONS, kinds):
        inside = (..., index)
        by = factor[inside]
        _room(scaled, f"saturation_{kind.amplitude_name}", factor)[inside] *= by
        if kind.over_amplitude:
            against = _room(scaled, f"saturation_{kind.over_amplitude}", factor)
            against[inside] /= np.where(by == 0, 1, by)
    return scaled


def _room(parameters: dict[str, FloatArray], name: str, into: FloatArray) -> FloatArray:
    """Return parameter `name`, broadcast to the dims of the factors that will multiply it."""
    shape = np.broadcast_shapes(parameters[name].shape, into.shape)
    if parameters[name].shape != shape:
        parameters[name] = np.array(np.broadcast_to(parameters[name], shape))
    return parameters[name]


def _groups(
    registry: Registry[Any], kinds: tuple[str, ...], keys: Any = None
) -> Iterator[tuple[Any, Any, Any]]:
    """Return kind, key and channels for each set of channels that one call can serve."""
    rows = list(keys) if keys is not None else [None] * len(kinds)
    for (name, key), index in members(zip(kinds, rows, strict=True)):
        yield registry[name], key, index


def _arguments(
    kind: Kind, parameters: Mapping[str, FloatArray], prefix: str, index: Any
) -> dict[str, FloatArray]:
    return {name: _by_channel(parameters[prefix + name])[..., index, :, :] for name in kind.shown}


def _roomy(x: FloatArray, values: Mapping[str, FloatArray]) -> FloatArray:
    """Return `x` with the further dims of some parameters; a curve may then work in place."""
    further = {each.shape[:-3] for each in values.values()}
    if len(further) < 2:
        return x
    return np.broadcast_to(x, (*np.broadcast_shapes(x.shape[:-3], *further), *x.shape[-3:]))


def _called(
    kind: AdstockKind | SaturationKind,
    first: FloatArray,
    values: Mapping[str, FloatArray],
    settings: Settings,
) -> FloatArray:
    """Return the result of a kind, and check that it keeps the imaginary part, the derivative."""
    is_complex = any(map(np.iscomplexobj, (first, *values.values())))
    if not is_complex or kind.takes_complex:
        result: FloatArray = kind.function(first, **values, **dict(settings))
        if np.iscomplexobj(result) or not is_complex:
            return result
    raise TypeError(f"{kind.name} does not take complex numbers")


def _by_channel(values: FloatArray) -> FloatArray:
    """Return (..., geo, channel) as (..., channel, geo, 1), which broadcasts over dates or lags."""
    return np.swapaxes(values, -1, -2)[..., None]


def _settings(
    params: xr.Dataset, registry: Registry[Any], prefix: str, kinds: tuple[str, ...]
) -> tuple[Settings, ...]:
    return tuple(
        tuple((name, str(params[prefix + name].values[i])) for name in registry[kind].settings)
        for i, kind in enumerate(kinds)
    )


def response_parameters(params: xr.Dataset) -> list[str]:
    """Names of the variables that hold adstock and saturation parameters.

    Raises
    ------
    SchemaError
        If one that the kinds in use need is missing.
    """
    registries: dict[str, Registry[Any]] = {"adstock": ADSTOCKS, "saturation": SATURATIONS}
    for stage, registry in registries.items():
        check_variables(params, f"{stage}_kind")
        for kind in dict.fromkeys(map(str, params[f"{stage}_kind"].values)):
            names = [f"{stage}_{name}" for name in registry[kind].shown]
            check_variables(params, *(name for name in names if name not in params))
    return [
        name
        for name in map(str, params.data_vars)
        if name.startswith(("adstock_", "saturation_"))
        and name != "adstock_weights"
        and not name.endswith(("_mean", "_sd"))
    ]


def matching(params: xr.Dataset, spend: xr.DataArray) -> xr.Dataset:
    """Return parameters with the geos and channels of a spend, in their order.

    Raises
    ------
    AlignmentError
        If the spend lacks a dim, or has a geo or channel that the parameters do not have.
    """
    lost = [dim for dim in ("date", "geo", "channel") if dim not in spend.dims]
    if lost:
        raise AlignmentError(
            f"spend has dims {spend.dims}, allowed: date, geo and channel{how_to_keep(spend, lost)}"
        )
    for dim in ("geo", "channel"):
        known = set(params[dim].values)
        unknown = [str(name) for name in spend[dim].values if name not in known]
        if unknown:
            raise AlignmentError(
                f"no {dim} named {unknown[0]!r} in params; it has "
                f"{', '.join(map(str, params[dim].values))}"
            )
        if list(params[dim].values) == list(spend[dim].values):
            continue
        params = params.sel({dim: spend[dim].values})
    return params
