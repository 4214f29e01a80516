"""The truth in the space of a PyMC-Marketing model: its names, its dims, its scales.

PyMC-Marketing divides spend by a channel scale and sales by a target scale before it sees
them, so that its parameters live in a space of their own. Nothing here imports PyMC.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import xarray as xr

from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import AlignmentError, ConfigError, SchemaError
from mmm_xgen.frames.wide import to_frame
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.kind import component_names
from mmm_xgen.kernels.registry import Registry
from mmm_xgen.kernels.saturation import SATURATIONS, SaturationKind
from mmm_xgen.schema import check_variables, describe, mechanisms_of

Scale: TypeAlias = float | xr.DataArray
Parameters: TypeAlias = dict[str, xr.DataArray]


@in_memory
def model_inputs(ds: xr.Dataset) -> tuple[pd.DataFrame, pd.Series[float]]:
    """Features and target that ``MMM.build_model`` takes.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset.

    Returns
    -------
    features : DataFrame
        The wide frame without its target: ``date``, ``geo``, spend in currency (``x1-*``, ...)
        and controls (``c1-*``, ...); one row a date and geo.
    target : Series
        ``y``, in KPI units, for the same rows; the model's ``target_column`` is its name.

    Raises
    ------
    SchemaError
        If `ds` cannot be flattened to the wide frame.

    Examples
    --------
    >>> from mmm_xgen import generate_mmm_dataset
    >>> features, target = model_inputs(generate_mmm_dataset())
    >>> features.shape, target.name
    ((208, 7), 'y')
    """
    frame = to_frame(ds)
    return frame.drop(columns="y"), frame["y"]


@in_memory
def scaled_parameters(ds: xr.Dataset, *, channel_scale: Scale, target_scale: Scale) -> xr.Dataset:
    r"""Truth under the names and in the scaled space of a PyMC-Marketing model.

    With :math:`s = \text{channel scale} / \text{spend unit}` and :math:`t = \text{target scale}`:

    ======================= ===================================================================
    saturation              parameters in the model's space
    ======================= ===================================================================
    Hill                    ``slope``, ``kappa / s``, ``beta / t``
    logistic                ``lam * s``, ``beta / t``
    inverse scaled logistic ``lam / s * log(3) / eps``, ``beta / t``
    Hill sigmoid            ``sigma / t``, ``beta * s``, ``lam / s``
    tanh                    ``b / t``, ``c * t / s``
    tanh baselined          ``x0 / s``, ``gain * s``, ``r``, ``beta / t``
    Michaelis-Menten        ``alpha / t``, ``lam / s``
    root                    ``alpha``, ``beta * s**alpha / t``
    log                     ``beta / t``; needs ``s = 1``
    none                    ``beta * s / t``
    ======================= ===================================================================

    Adstock parameters are unchanged; intercept, ``gamma_control``, ``gamma_fourier`` and
    ``y_sigma`` are divided by t. Put into the model, they make it reproduce ``mu`` if the
    Dataset has neither trend, events, burn-in nor seasons other than the year, for which such a
    model has no parameter; those it has keep their meaning beside them.

    Multiplicative sales are those of a model with ``link="log"`` (release 1.0 on). Effects on log
    sales are divided by 1 in place of t. The intercept is
    :math:`\log(\text{base sales} / t) - \sigma^2 / 2`, as the model's ``mu`` is the log of the
    median.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset; one kind of adstock and one of saturation for all channels.
    channel_scale : float or DataArray, dims (channel,), (geo, channel) or fewer
        What the model divides spend by, in currency per period; ``mmm.scalers["_channel"]``.
        Its channels may be labelled by name (``TV``) or by column (``x1-TV``).
    target_scale : float or DataArray, dims (geo,) or none
        What the model divides sales by, in KPI units per period; ``mmm.scalers["_target"]``.

    Returns
    -------
    Dataset
        ``intercept_contribution`` and ``y_sigma`` (geo), ``adstock_*`` and ``saturation_*``
        (geo, channel), and, where `ds` has any, ``gamma_control`` (geo, control) and
        ``gamma_fourier`` (geo, fourier_mode); labels as in `ds`. The attributes ``adstock``,
        ``l_max``, ``normalize``, ``adstock_first`` and ``saturation`` name the components of
        the model, and ``link`` its link if it is not the identity. If `ds` has mechanisms that no
        such model has, the attribute ``no_counterpart`` names them; then the parameters do not
        reproduce ``mu``.

    Raises
    ------
    ConfigError
        If no one model of PyMC-Marketing has this truth: mixed kinds, a kind that it does not
        have, a control that is not linear through zero, a log curve on scaled spend.
    AlignmentError
        If a scale does not fit the geos and channels of `ds`.
    SchemaError
        If `ds` lacks a parameter, as after an aggregation.

    Notes
    -----
    PyMC reads the values of a Dataset by position, and a model built on a frame has its geos in
    alphabetical order: ``truth.sel(geo=list(mmm.model.coords["geo"]))`` before the truth goes in.

    A tanh curve with effect 0 has ``b = 0``, at which PyMC-Marketing's own curve is 0 / 0.

    Examples
    --------
    >>> from mmm_xgen import ChannelConfig, MMMDataConfig, generate_mmm_dataset
    >>> channel = ChannelConfig(name="TV", base_effectiveness=0.2)
    >>> ds = generate_mmm_dataset(MMMDataConfig(channels=[channel]))
    >>> truth = scaled_parameters(ds, channel_scale=2000.0, target_scale=20000.0)
    >>> truth.attrs["adstock"], truth.attrs["saturation"]
    ('GeometricAdstock', 'HillSaturation')
    >>> truth.saturation_beta.item() == ds.effect.item() / 20000.0
    True
    >>> truth.saturation_kappa.item() == ds.saturation_kappa.item() / 2000.0
    True
    """
    check_variables(ds, "effect", "spend_unit", "intercept_contribution", "y_sigma")
    channel = aligned_scale(channel_scale, ds, "channel_scale", ("geo", "channel"))
    target = aligned_scale(target_scale, ds, "target_scale", ("geo",))
    components = _components(ds)
    saturation = SATURATIONS[str(ds["saturation_kind"].values[0])]
    check_variables(ds, *(f"saturation_{name}" for name in saturation.shown))
    base = ds["intercept_contribution"] / target
    if has_log_sales(ds):
        components["link"] = "log"
        base, target = log_intercept(base, ds["y_sigma"]), xr.ones_like(target)
    scaled = {
        "intercept_contribution": base,
        "y_sigma": ds["y_sigma"] / target,
        **_gammas(ds, target),
        **_adstock(ds, str(ds["adstock_kind"].values[0])),
        **rescaled_curve(ds, saturation, channel / ds["spend_unit"], target),
    }
    missing = next((name for name, values in scaled.items() if bool(values.isnull().any())), None)
    if missing is not None:
        raise SchemaError(
            f"{missing!r} has missing values, so the truth is unknown; an aggregated Dataset has "
            "no parameters, pass the one that it was aggregated from"
        )
    if beyond := without_counterpart(ds):
        components["no_counterpart"] = ", ".join(beyond)
    return xr.Dataset({name: _tidy(values, name) for name, values in scaled.items()}).assign_attrs(
        components
    )


def without_counterpart(ds: xr.Dataset) -> list[str]:
    """Return the mechanisms of a Dataset, in words, that models of marketing mixes lack.

    How budgets are set is not among them: a model takes spend as it is. Multiplicative sales are
    not either: models have a log link.
    """
    known = {"spend_plan", "log_channel"}
    return [words for name, words in mechanisms_of(ds).items() if name not in known]


def has_log_sales(ds: xr.Dataset) -> bool:
    """Tell if sales of a Dataset are multiplicative."""
    return "log_channel" in ds


def log_intercept(base: xr.DataArray, sigma: xr.DataArray) -> xr.DataArray:
    """Return the intercept of a model with a log link, whose expected sales are a mean.

    `base` is base sales over the target scale, `sigma` the standard deviation of log sales. The
    model's own ``mu`` is the log of the median.
    """
    logs: xr.DataArray = xr.ufuncs.log(base)
    return logs - sigma**2 / 2


def _tidy(values: xr.DataArray, name: str) -> xr.DataArray:
    """Canonical order of dims; only the columns of the frame kept beside the labels."""
    variable = describe(name)
    kept = [*values.dims, "channel_column", "control_column"]
    tidy = values.reset_coords([c for c in values.coords if c not in kept], drop=True)
    attrs = {"units": "1", "long_name": f"{variable.long_name}, scaled"}
    return tidy.transpose(..., *variable.dims).assign_attrs(attrs)


def _components(ds: xr.Dataset) -> dict[str, str | int]:
    """Names and settings of the components that all channels share."""
    needed = ("adstock_kind", "saturation_kind", "l_max", "normalize")
    check_variables(ds, *needed)
    has_type = "adstock_type" in ds.coords
    for name in (*needed, "adstock_type") if has_type else needed:
        found = list(dict.fromkeys(map(str, ds[name].values)))
        if len(found) != 1:
            raise ConfigError(
                f"found {name} {', '.join(found) or 'of no channel'}, allowed: the same for all "
                "channels, as a PyMC-Marketing model has one adstock and one saturation; build a "
                "model for ds.sel(channel=...) of each, or generate with one"
            )
    weibull = str(ds["adstock_type"].values[0]) if has_type else ""
    return {
        "adstock": _component(ADSTOCKS, str(ds["adstock_kind"].values[0]), weibull),
        "l_max": int(ds["l_max"].values[0]),
        "normalize": int(ds["normalize"].values[0]),
        "adstock_first": int(ds.attrs.get("adstock_first", 1)),
        "saturation": _component(SATURATIONS, str(ds["saturation_kind"].values[0])),
    }


def _component(registry: Registry[Any], kind: str, type_: str = "") -> str:
    known = component_names(registry)
    if (kind, type_) not in known:
        raise ConfigError(
            f"found the {registry.noun} {kind!r}, which PyMC-Marketing does not have; allowed: "
            f"{', '.join(sorted({name for name, _ in known}))}"
        )
    return known[kind, type_]


def _adstock(ds: xr.Dataset, kind: str) -> Parameters:
    names = [f"adstock_{name}" for name in ADSTOCKS[kind].parameters]
    check_variables(ds, *names)
    return {name: ds[name] for name in names}


def rescaled_curve(
    params: xr.Dataset, kind: SaturationKind, ratio: xr.DataArray, target: xr.DataArray
) -> Parameters:
    """Parameters of a curve at ``x / ratio``, of contributions over `target`.

    One over both takes them back: the rule holds in either direction.
    """
    scaled = {}
    for name, parameter in kind.shown.items():
        values = params[f"saturation_{name}"]
        if parameter.spend_power:
            values = values / ratio**parameter.spend_power
        if name == kind.amplitude_name:
            values = values / target
        if name == kind.over_amplitude:
            values = values * target
        scaled[name] = values
    if kind.rescale:
        scaled = kind.rescale(scaled, ratio)
    return {f"saturation_{name}": values for name, values in scaled.items()}


def _gammas(ds: xr.Dataset, target: xr.DataArray) -> Parameters:
    gammas = {}
    if ds.sizes.get("control", 0):
        check_variables(ds, "gamma_control", "control_reference")
        _check_other_than_linear_controls(ds)
        gammas["gamma_control"] = ds["gamma_control"] / target
    if ds.sizes.get("fourier_mode", 0):
        check_variables(ds, "gamma_fourier")
        gammas["gamma_fourier"] = ds["gamma_fourier"] / target
    return gammas


def _check_other_than_linear_controls(ds: xr.Dataset) -> None:
    for position, control in enumerate(map(str, ds["control"].values)):
        here = ds.isel(control=position)
        if "control_elasticity" in here and bool(here["control_elasticity"].notnull().any()):
            raise ConfigError(
                f"control {control!r} has an elasticity, but PyMC-Marketing's controls are "
                "linear: no gamma_control is its truth; give it a gamma_control in place of the "
                "elasticity, or leave it out with ds.drop_sel(control=...)"
            )
        reference = float(np.max(np.abs(here["control_reference"].values)))
        if reference != 0:
            raise ConfigError(
                f"control {control!r} has the reference {reference:g}, but PyMC-Marketing's "
                "controls count from 0: gamma_control * reference would move into the intercept, "
                "which then has two truths; set reference=0"
            )


def aligned_scale(scale: Scale, ds: xr.Dataset, name: str, dims: tuple[str, ...]) -> xr.DataArray:
    """`scale` as a DataArray with labels of `ds`, in their order."""
    if not isinstance(scale, xr.DataArray):
        if np.size(scale) != 1:
            raise AlignmentError(
                f"{name} is an array of shape {np.shape(scale)} without labels; pass a number or "
                f"a DataArray with dims out of {dims}"
            )
        scale = xr.DataArray(np.asarray(scale, dtype=float).reshape(()))
    # PyMC-Marketing gives its target scale a dim of length 1.
    scale = scale.squeeze([d for d in scale.dims if d not in dims and scale.sizes[d] == 1])
    extra = [str(dim) for dim in scale.dims if dim not in dims]
    if extra:
        raise AlignmentError(f"{name} has the dim {extra[0]!r}, allowed: {dims}")
    scale = scale.reset_coords(drop=True).astype(float)
    for dim in map(str, scale.dims):
        scale = _relabelled(scale, ds, name, dim)
    # Not `> 0` alone: NaN compares false, infinity true.
    if not bool(((scale > 0) & np.isfinite(scale)).all()):
        found = float(scale.where(~((scale > 0) & np.isfinite(scale)), drop=True).values.ravel()[0])
        raise ConfigError(f"found {found:g}, allowed: finite numbers above 0", path=name)
    return scale


def _relabelled(scale: xr.DataArray, ds: xr.Dataset, name: str, dim: str) -> xr.DataArray:
    if dim not in scale.coords:
        raise AlignmentError(f"{name} has no labels along {dim!r}; give it those of the Dataset")
    wanted = list(ds[dim].values)
    found = list(scale[dim].values)
    column = f"{dim}_column"
    if column in ds.coords and not set(wanted) <= set(found):
        names = dict(zip(ds[column].values, wanted, strict=True))
        scale = scale.assign_coords({dim: [names.get(label, label) for label in found]})
    missing = [str(label) for label in wanted if label not in scale[dim].values]
    if missing:
        raise AlignmentError(
            f"{name} lacks the {dim} {missing[0]!r}; it has {', '.join(map(str, found))}"
        )
    return scale.sel({dim: wanted})
