r"""Meridian's parameters and ours, each in the other's names, labels and scales.

Meridian 2.1 models, for geo g and time t, sales per head that are centred and scaled, and media
in units of a median geo per head:

.. math::

    \tilde y_{gt} = \frac{y_{gt} / p_g - m}{s}
    = \tau_g + \mu_t + \sum_m \beta_{gm} \frac{a_{gtm}^{\text{slope}}}
    {a_{gtm}^{\text{slope}} + ec_m^{\text{slope}}}
    + \sum_c \gamma_{gc} \frac{z_{gtc} - \bar z_c}{s_c} + \varepsilon_{gt}

with a the carry-over of spend over :math:`u_{gm} = p_g \cdot \text{med}_m`, p the population (1 in
a national model), m and s mean and sd of :math:`y / p` over geos and times, med the median of the
spend per head that is not 0. So an effect is :math:`\beta_{gm} p_g s`, a half-saturation
:math:`ec_m u_{gm}`, a sd of the noise :math:`\sigma_g p_g s`.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import xarray as xr

from mmm_xgen.dataset import in_memory
from mmm_xgen.errors import AlignmentError
from mmm_xgen.export.meridian import to_meridian
from mmm_xgen.export.pymc_marketing import has_log_sales
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.recovery.alignment.groups import group, one_draw
from mmm_xgen.recovery.alignment.pymc_truth import beyond_curves, noise_kind
from mmm_xgen.recovery.estimates import SAMPLE
from mmm_xgen.recovery.fit import FitSettings, training_data
from mmm_xgen.truth import roas
from mmm_xgen.truth.returns.incremental import all_media

DEFAULT_MAX_LAG = 8
# Relative differences below this are rounding.
EQUAL = 1e-9


def meridian_scales(ds: xr.Dataset) -> xr.Dataset:
    """Scales that Meridian divides its data by.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, cut to the dates that the model sees.

    Returns
    -------
    Dataset
        ``media_scale`` (geo, channel) in currency per period; ``kpi_scale`` and ``kpi_mean``
        (geo) in KPI units per period; ``control_mean`` and ``control_scale`` (control).

    Examples
    --------
    >>> import mmm_xgen
    >>> scales = meridian_scales(mmm_xgen.generate_mmm_dataset())
    >>> scales.media_scale.dims, scales.kpi_scale.dims
    (('geo', 'channel'), ('geo',))
    """
    data = to_meridian(ds)
    people = data["population"] if "population" in data else xr.ones_like(data["kpi"][:, 0])
    per_head = (data["media"] / people).where(data["media"] != 0)
    each = data["kpi"] / people
    population = people.values
    scales = {
        "media_scale": (
            ("geo", "channel"),
            population[:, None] * per_head.median(("geo", "media_time")).values,
        ),
        "kpi_scale": (("geo",), population * float(each.std())),
        "kpi_mean": (("geo",), population * float(each.mean())),
    }
    if "controls" in data:
        over = ("geo", "time")
        scales["control_mean"] = (("control",), data["controls"].mean(over).values)
        scales["control_scale"] = (("control",), data["controls"].std(over).values)
    labels = {d: ds[d].values for d in ("geo", "channel", "control") if d in ds.dims}
    return xr.Dataset(scales, labels)


@in_memory
def from_meridian(
    posterior: Any,
    ds: xr.Dataset,
    *,
    train_end: str | None = None,
    max_lag: int = DEFAULT_MAX_LAG,
    hill_before_adstock: bool = False,
    linear: tuple[str, ...] = (),
) -> xr.Dataset:
    """Draws of Meridian's parameters in original units, under the names of the Dataset.

    Parameters
    ----------
    posterior : Dataset, InferenceData or DataTree
        Meridian's posterior, geometric decay; an object with a group ``posterior`` will do.
    ds : Dataset
        The generated Dataset, with all its dates.
    train_end : str, optional
        Last date that the model has seen; all dates by default.
    max_lag, hill_before_adstock
        As in the ``ModelSpec`` of the model.
    linear : tuple of str
        Channels whose ``saturation_spec`` was ``"none"``.

    Returns
    -------
    Dataset, dims (chain, draw, ...)
        What `mmm_xgen.recovery.estimates.estimates_of` takes, and `mmm_xgen.respond` once
        broadcast to all geos: ``effect`` (geo, channel) in KPI units per period,
        ``spend_unit`` (geo, channel) in currency per period, ``adstock_alpha`` (channel),
        ``saturation_slope`` and ``saturation_kappa`` (channel), the latter in spend units.
        Beside it ``baseline`` (date, geo), all that is expected but media, ``y_sigma`` (geo)
        and ``gamma_control`` (geo, control). After the training window Meridian has no time
        effect: the last one is kept, as its knots are outside their range.

    Raises
    ------
    AlignmentError
        If the posterior has other channels, geos or dates than the data.

    Examples
    --------
    >>> import mmm_xgen
    >>> channel = mmm_xgen.ChannelConfig(name="TV", base_effectiveness=0.2)
    >>> config = mmm_xgen.MMMDataConfig(channels=[channel])
    >>> ds = mmm_xgen.generate_mmm_dataset(config)
    >>> truth = to_meridian_truth(ds).expand_dims(chain=1, draw=1)
    >>> back = from_meridian(truth, ds, max_lag=int(ds.l_max.max()) - 1)
    >>> bool(abs(back.effect.squeeze() / ds.effect.squeeze() - 1) < 1e-12)
    True
    """
    draws = group(posterior, "posterior")
    seen = training_data(ds, FitSettings(train_end=train_end))
    scales = meridian_scales(seen)
    draws = _relabelled(draws, seen)
    n_media_times = seen.sizes["date"] + seen.sizes.get("history_date", 0)
    channels = [str(label) for label in ds["channel"].values]
    kinds = ["no_saturation" if label in linear else "hill_function" for label in channels]
    standing = draws["tau_g"] + _continued(draws["mu_t"], ds)
    variables = {
        "effect": draws["beta_gm"] * scales["kpi_scale"],
        "spend_unit": scales["media_scale"],
        "adstock_alpha": draws["alpha_m"],
        "saturation_slope": draws["slope_m"],
        "saturation_kappa": draws["ec_m"],
        "y_sigma": draws["sigma"] * scales["kpi_scale"],
    }
    if "gamma_gc" in draws:
        gamma = draws["gamma_gc"]
        scaled = (ds["control_value"] - scales["control_mean"]) / scales["control_scale"]
        standing = standing + (gamma * scaled.reset_coords(drop=True)).sum("control")
        variables["gamma_control"] = gamma * scales["kpi_scale"] / scales["control_scale"]
    variables["baseline"] = standing * scales["kpi_scale"] + scales["kpi_mean"]
    order = (*SAMPLE, "date", "geo", "channel", "control")
    result = xr.Dataset(
        {
            name: values.transpose(*order, missing_dims="ignore")
            for name, values in variables.items()
        }
    )
    return result.assign_coords(
        adstock_kind=("channel", ["geometric_adstock"] * len(channels)),
        saturation_kind=("channel", kinds),
        l_max=("channel", [min(max_lag + 1, n_media_times)] * len(channels)),
        normalize=("channel", [True] * len(channels)),
    ).assign_attrs(adstock_first=int(not hill_before_adstock))


@in_memory
def from_meridian_prior(draw: Any, ds: xr.Dataset, *, max_lag: int = DEFAULT_MAX_LAG) -> xr.Dataset:
    """One draw of Meridian's prior as ``params=`` of `mmm_xgen.generate_mmm_dataset`.

    Parameters
    ----------
    draw : Dataset, InferenceData or DataTree
        One draw (dims chain and draw of length 1, or none) of all that the model has, under
        Meridian's names; an object with a group ``prior`` will do.
    ds : Dataset
        The generated Dataset that the model was made of, whose means and sds its prior is scaled
        by; its channels have geometric adstock and Hill saturation, as Meridian's have.
    max_lag : int
        As in the ``ModelSpec`` of the model.

    Returns
    -------
    Dataset
        ``saturation_beta``, ``saturation_kappa``, ``saturation_slope`` and ``adstock_alpha``,
        ``intercept_contribution`` (geo), ``gamma_control`` (geo, control) and ``y_sigma`` (geo),
        in the units of `ds`.

    Raises
    ------
    AlignmentError
        If there is more than one draw, if a channel of `ds` is of other kinds than Meridian's, or
        if the time effect moves: the generator has no parameter for that, so the model needs one
        knot.

    Examples
    --------
    >>> import mmm_xgen
    >>> channel = mmm_xgen.ChannelConfig(name="TV", base_effectiveness=0.2)
    >>> config = mmm_xgen.MMMDataConfig(channels=[channel])
    >>> ds = mmm_xgen.generate_mmm_dataset(config)
    >>> truth = to_meridian_truth(ds)
    >>> params = from_meridian_prior(truth, ds, max_lag=int(ds.l_max.max()) - 1)
    >>> again = mmm_xgen.generate_mmm_dataset(config, params=params)
    >>> bool(abs(again.mu / ds.mu - 1).max() < 1e-12)
    True
    """
    _check_kinds(ds, max_lag)
    prior = one_draw(draw)
    one = from_meridian(prior, ds, max_lag=max_lag).isel(chain=0, draw=0, drop=True)
    unit = one["spend_unit"] / ds["spend_unit"]
    params = {
        "saturation_beta": one["effect"],
        "saturation_kappa": one["saturation_kappa"] * unit,
        "saturation_slope": one["saturation_slope"],
        "adstock_alpha": one["adstock_alpha"],
        "y_sigma": one["y_sigma"],
    }
    standing = one["baseline"]
    if "gamma_control" in one:
        params["gamma_control"] = one["gamma_control"]
        moved = ds["control_value"] - ds["control_reference"]
        standing = standing - (one["gamma_control"] * moved).sum("control")
    params["intercept_contribution"] = standing.mean("date")
    if bool((abs(standing - standing.mean("date")) > EQUAL * abs(standing).max()).any()):
        raise AlignmentError(
            "the draw has a time effect that moves, which the generator has no parameter for, "
            "allowed: a model with one knot (knots=1)"
        )
    return xr.Dataset({name: each.reset_coords(drop=True) for name, each in params.items()})


def _check_kinds(ds: xr.Dataset, max_lag: int) -> None:
    """Refuse channels whose parameters mean something else than Meridian's."""
    needed = {
        "adstock_kind": "geometric_adstock",
        "saturation_kind": "hill_function",
        "normalize": True,
        "l_max": max_lag + 1,
    }
    for name, value in needed.items():
        for label, found in zip(ds["channel"].values, ds[name].values, strict=True):
            if found != value:
                raise AlignmentError(
                    f"found {name} {found} of channel {str(label)!r}, allowed: {value}, which is "
                    f"what Meridian has with max_lag {max_lag}"
                )


def _relabelled(draws: xr.Dataset, ds: xr.Dataset) -> xr.Dataset:
    """Draws with the dims and labels of the Dataset, in its order."""
    names = {"media_channel": "channel", "control_variable": "control", "time": "date"}
    draws = draws.rename({old: new for old, new in names.items() if old in draws.dims})
    if ds.sizes["geo"] == 1:
        # Meridian calls a single geo by a name of its own.
        draws = draws.assign_coords(geo=ds["geo"].values)
    draws = draws.assign_coords(date=draws["date"].values.astype("datetime64[ns]"))
    wanted = {dim: ds[dim].values for dim in ("geo", "channel", "control") if dim in draws.dims}
    wanted["date"] = ds["date"].values.astype("datetime64[ns]")
    for dim, labels in wanted.items():
        missing = [str(label) for label in labels if label not in draws[dim].values]
        if missing or len(labels) != draws.sizes[dim]:
            raise AlignmentError(
                f"the posterior has {draws.sizes[dim]} labels along {dim!r}, the data "
                f"{len(labels)}" + (f"; it lacks {missing[0]!r}" if missing else "")
            )
    return draws.sel(wanted).assign_coords(date=ds["date"].values)


def _continued(mu: xr.DataArray, ds: xr.Dataset) -> xr.DataArray:
    """Time effect on all dates, the last one kept after the training window."""
    ahead = ds.sizes["date"] - mu.sizes["date"]
    padded = mu.drop_vars("date").pad(date=(0, ahead), mode="edge")
    return padded.assign_coords(date=ds["date"].values)


@in_memory
def to_meridian_truth(
    ds: xr.Dataset, *, max_lag: int | None = None, hill_before_adstock: bool | None = None
) -> xr.Dataset:
    r"""Truth of a dataset in Meridian's names, labels and scaled space.

    To be compared with the posterior variable by variable, or put in its place: then Meridian's
    Analyzer says what is true. What has no single true value is left out, or NaN for the channels
    concerned, with the reason in ``attrs["no_single_truth"]``; nothing is guessed.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset, cut to the dates that the model sees.
    max_lag : int, optional
        As in the model; the longest kernel less 1 by default.
    hill_before_adstock : bool, optional
        As in the model; the order of the data by default.

    Returns
    -------
    Dataset
        ``alpha_m``, ``ec_m``, ``slope_m``, ``roi_m`` (media_channel), ``beta_gm`` (geo,
        media_channel), ``beta_m`` of a national model, ``gamma_gc`` (geo, control_variable),
        ``tau_g`` (geo), ``mu_t`` (time), ``sigma``, (geo) where there are several. Channels
        without saturation belong to a model with ``saturation_spec`` ``"none"`` for them.
        ``attrs["no_single_truth"]`` is JSON: reasons by parameter.

    Raises
    ------
    SchemaError
        If Meridian cannot take the data: see `mmm_xgen.export.meridian.to_meridian`.

    Examples
    --------
    >>> import mmm_xgen
    >>> channel = mmm_xgen.ChannelConfig(name="TV", base_effectiveness=0.2)
    >>> config = mmm_xgen.MMMDataConfig(channels=[channel])
    >>> truth = to_meridian_truth(mmm_xgen.generate_mmm_dataset(config))
    >>> truth.alpha_m.item(), truth.slope_m.item()
    (0.3, 1.0)
    """
    scales = meridian_scales(ds)
    lag = int(ds["l_max"].max()) - 1 if max_lag is None else max_lag
    reasons: dict[str, str] = {}
    beyond = beyond_curves(ds)
    if has_log_sales(ds):
        why = "sales are multiplicative, Meridian's a sum of parts"
        beyond = {str(channel): why for channel in ds["channel"].values}
    other_order = hill_before_adstock not in (None, not ds.attrs.get("adstock_first", 1))
    columns = [
        _channel(ds.sel(channel=c), scales.sel(channel=c), lag, reasons, other_order)
        if str(c) not in beyond
        else _unknown(str(c), beyond[str(c)], ds.sizes["geo"], reasons)
        for c in ds["channel"].values
    ]
    stack = {name: np.stack([column[name] for column in columns], -1) for name in columns[0]}
    by_channel = ("media_channel",)
    truth: dict[str, Any] = {
        **{name: (by_channel, stack[name]) for name in ("alpha_m", "ec_m", "slope_m")},
        "beta_gm": (("geo", *by_channel), stack["beta_gm"]),
        "roi_m": (by_channel, roas(ds).sel(channel=ds["channel"].values).values),
    }
    if ds.sizes["geo"] == 1:
        truth["beta_m"] = (by_channel, stack["beta_gm"][0])
    else:
        many = "of several geos only beta_gm is known, which beta_m and eta_m make together"
        reasons |= {"beta_m": many, "eta_m": many}
    truth |= _baseline(ds, scales, reasons)
    sigma = ds["y_sigma"].values / scales["kpi_scale"].values
    if (noise := noise_kind(ds)) != "gaussian":
        reasons["sigma"] = f"the noise is {noise}, the model's likelihood normal"
        sigma = np.full_like(sigma, np.nan)
    truth["sigma"] = ((), sigma[0]) if len(sigma) == 1 else (("geo",), sigma)
    reasons["knot_values"] = "knots interpolate the time effect, whose truth is mu_t"
    data = to_meridian(ds)
    kept = [dim for dim in ("geo", "time", "media_channel", "control_variable") if dim in data.dims]
    result = xr.Dataset(truth).assign_coords({dim: data[dim].values for dim in kept})
    return result.assign_attrs(no_single_truth=json.dumps(reasons))


def _channel(
    one: xr.Dataset, scales: xr.Dataset, max_lag: int, reasons: dict[str, str], other_order: bool
) -> dict[str, FloatArray]:
    """True parameters of one channel; NaN, and a reason, where there is no single one."""
    label = str(one["channel"].item())

    def shared(name: str, values: FloatArray) -> FloatArray:
        if np.ptp(values) <= EQUAL * np.max(np.abs(values)):
            return np.asarray(values[0])
        return without(name, "it differs between geos, which share it in Meridian")

    def without(name: str, reason: str) -> FloatArray:
        reasons[name] = "; ".join(filter(None, (reasons.get(name), f"{label}: {reason}")))
        return np.asarray(np.nan)

    adstock, curve = str(one["adstock_kind"].item()), str(one["saturation_kind"].item())
    n_geos = one.sizes["geo"]
    if other_order and adstock != "no_adstock" and curve != "no_saturation":
        why = "the order of its adstock and its curve is another in the model"
        unknown = {name: without(name, why) for name in ("alpha_m", "ec_m", "slope_m", "beta_gm")}
        return {**unknown, "beta_gm": np.full(n_geos, np.nan)}
    n_weights = int(one["l_max"].item())
    if adstock == "no_adstock":
        alpha = np.asarray(0.0)
    elif adstock != "geometric_adstock":
        alpha = without("alpha_m", f"its adstock is {adstock}, Meridian's decay is geometric")
    elif n_weights != max_lag + 1:
        found = f"its kernel has {n_weights} weights, the model's {max_lag + 1}"
        alpha = without("alpha_m", found)
    else:
        alpha = shared("alpha_m", one["adstock_alpha"].values)

    # Meridian's weights sum to 1: what ours sum to stretches the curve, or lifts it.
    mass = one["adstock_weights"].sum("lag").values
    first = bool(one.attrs.get("adstock_first", 1))
    amplitude = one[f"saturation_{SATURATIONS[curve].amplitude or 'beta'}"].values
    height = amplitude / scales["kpi_scale"].values * (1 if first else mass)
    unit = one["spend_unit"].values / scales["media_scale"].values / (mass if first else 1)
    nothing = {"ec_m": np.asarray(np.nan), "slope_m": np.asarray(np.nan), "beta_gm": height}
    if curve == "hill_function":
        ec = shared("ec_m", one["saturation_kappa"].values * unit)
        slope = shared("slope_m", one["saturation_slope"].values)
        return {"alpha_m": alpha, "ec_m": ec, "slope_m": slope, "beta_gm": height}
    if curve == "michaelis_menten":
        ec = shared("ec_m", one["saturation_lam"].values * unit)
        return {"alpha_m": alpha, "ec_m": ec, "slope_m": np.asarray(1.0), "beta_gm": height}
    for name in ("ec_m", "slope_m"):
        without(name, f"its curve is {curve}, Meridian's a Hill curve")
    if curve == "no_saturation":
        return {**nothing, "alpha_m": alpha, "beta_gm": height / unit}
    without("beta_gm", f"its curve is {curve}, Meridian's a Hill curve")
    return {**nothing, "alpha_m": alpha, "beta_gm": np.full(n_geos, np.nan)}


def _unknown(
    label: str, reason: str, n_geos: int, reasons: dict[str, str]
) -> dict[str, FloatArray]:
    """No parameters of a channel whose sales are not those of one curve of its spend."""
    names = ("alpha_m", "ec_m", "slope_m", "beta_gm")
    for name in names:
        reasons[name] = "; ".join(filter(None, (reasons.get(name), f"{label}: {reason}")))
    return {**dict.fromkeys(names, np.asarray(np.nan)), "beta_gm": np.full(n_geos, np.nan)}


def _baseline(ds: xr.Dataset, scales: xr.Dataset, reasons: dict[str, str]) -> dict[str, Any]:
    """True control effects, geo effects and time effects."""
    truth: dict[str, Any] = {}
    if has_log_sales(ds):
        reason = "sales are multiplicative, Meridian's a sum of parts"
        reasons |= dict.fromkeys(("gamma_gc", "tau_g", "mu_t"), reason)
        return truth
    standing = ds["mu"] - all_media(ds)
    if "promotion_contribution" in ds:
        reason = "the data have promotions, whose sales the model gives to controls or time"
        reasons |= dict.fromkeys(("gamma_gc", "tau_g", "mu_t"), reason)
        return truth
    if ds.sizes.get("control", 0):
        elastic = [
            str(c)
            for c in ds["control"].values
            if bool(ds["control_elasticity"].sel(control=c).notnull().any())
        ]
        if elastic:
            reason = f"control {elastic[0]!r} has an elasticity, Meridian's controls are linear"
            reasons |= dict.fromkeys(("gamma_gc", "tau_g", "mu_t"), reason)
            return truth
        gamma = (ds["gamma_control"] * scales["control_scale"] / scales["kpi_scale"]).reset_coords(
            drop=True
        )
        truth["gamma_gc"] = (("geo", "control_variable"), gamma.transpose("geo", "control").values)
        centred = ds["control_value"] - scales["control_mean"]
        standing = standing - (ds["gamma_control"] * centred).sum("control")
    scaled = ((standing - scales["kpi_mean"]) / scales["kpi_scale"]).transpose("geo", "date").values
    largest = _baseline_geo(ds)
    apart = scaled - scaled[largest]
    tau = apart.mean(axis=1)
    if np.max(np.abs(apart - tau[:, None])) > EQUAL * max(1.0, float(np.max(np.abs(scaled)))):
        reason = "the time effects per head differ between geos, which share them in Meridian"
        reasons |= dict.fromkeys(("tau_g", "mu_t"), reason)
        return truth
    return {**truth, "tau_g": (("geo",), tau), "mu_t": (("time",), scaled[largest])}


def _baseline_geo(ds: xr.Dataset) -> int:
    """Position of the geo whose effect is 0: the largest, of several the first in natural order."""
    people = ds["population"].values
    names = {
        at: [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
        for at, name in enumerate(map(str, ds["geo"].values))
        if people[at] == people.max()
    }
    return min(names, key=names.__getitem__)
