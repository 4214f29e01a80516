"""The truth of a dataset in the names, dims, labels and scaled space of a PyMC-Marketing model.

Nothing here imports PyMC: a built model says all that is needed.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from mmm_xgen.dataset import config_of, in_memory
from mmm_xgen.errors import AlignmentError, ConfigError
from mmm_xgen.export.pymc_marketing import (
    aligned_scale,
    has_log_sales,
    log_intercept,
    rescaled_curve,
)
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.recovery.alignment.built_model import INTERCEPT_PATH, MEDIA_PATH, Built, built
from mmm_xgen.schema import MECHANISMS, check_variables, mechanisms_of

# A control that a model may have besides those of the data: how far the window has gone by. No
# control of the data is called so.
TREND_COLUMN = "(trend)"
TOLERANCE = 1e-9
# Attribute that keeps the reasons, as JSON.
REASONS = "no_single_truth"

Found = dict[str, xr.DataArray]
Reasons = dict[str, str]

BORROWS = "it borrows sales from later periods"
SPILLS = "its media spill over between geos"
REMEMBERED = "it moves a population, which no adstock and curve of its own describes"
# Mechanisms that add a part to sales.
ADDED = (
    *("interaction_strength", "mediator_effect", "competitor_contribution", "level_contribution"),
    *("season_path", "season_shift", "promotion_contribution", "response_size"),
)


@in_memory
def to_pymc_truth(ds: xr.Dataset, mmm: Any) -> xr.Dataset:
    """Truth in the names, dims, labels and scaled space of a built model.

    It can be held against ``idata.posterior`` variable by variable, and drawn as reference
    values in ArviZ's plots.

    Parameters
    ----------
    ds : Dataset
        A generated Dataset.
    mmm : pymc_marketing MMM
        A model built on (part of) its data; see `mmm_xgen.export.model_inputs`.

    Returns
    -------
    Dataset
        A variable for every free parameter of the model, with its dims and labels, and for its
        time-varying multipliers; NaN where the truth has no such number.
        ``attrs["no_single_truth"]`` (JSON) gives the reason for each that has none, or none in
        some channels or geos, by name.

    Raises
    ------
    AlignmentError
        If the model is not built, or has channels, controls or geos that `ds` does not have.

    Notes
    -----
    PyMC-Marketing knows no spend before its first date. Where the data have some
    (``spend_history``), the parameters are true, and the model's sales of the first dates are not.

    A parameter has no single truth where the model's curve, carry-over or baseline is another
    one than that which made the data, where it shares a number that differs between geos or
    channels, and where it belongs to a prior. No carry-over is a geometric one whose alpha is 0,
    so that such a model has a truth for it.

    A time-varying intercept takes `baseline_path` of the data, time-varying media take their
    `effect_path`. Each multiplier has a truth, of mean 1 over the model's dates. The coefficients
    that make it have none.

    Examples
    --------
    >>> import mmm_xgen
    >>> from mmm_xgen.recovery.fit import FitSettings
    >>> from mmm_xgen.recovery.models.pymc_arms import default
    >>> from mmm_xgen.recovery.models.pymc_fit import built_model
    >>> ds = mmm_xgen.generate_mmm_dataset(mmm_xgen.get_preset_config("basic"))
    >>> mmm = built_model(ds, FitSettings(), default)
    >>> truth = to_pymc_truth(ds, mmm)
    >>> truth.adstock_alpha.dims, truth.channel.values.tolist()
    (('geo', 'channel'), ['x1-TV', 'x2-Digital', 'x3-Print'])
    >>> no_single_truth(truth)["saturation_lam"]
    'the curve is a hill_function in TV, Digital, Print'
    """
    model = built(mmm)
    found: Found = {}
    reasons: Reasons = {}
    parts = (_media_truth, _baseline_truth, _control_truth, _season_truth, _noise_truth)
    for part in (*parts, _path_truth):
        more, why = part(ds, model)
        found |= more
        reasons |= why
    if (why_all := _other_link(ds, model)) is not None:
        found, reasons = {}, dict.fromkeys(found, why_all)
    truth = {}
    for name, dims in model.dims.items():
        truth[name] = empty = model.empty(dims)
        if name not in found:
            reasons.setdefault(name, "it belongs to a prior, or to a part that the data lack")
            continue
        values, why_not = _without_extra_dims(found[name], dims)
        if why_not:
            reasons[name] = "; ".join(filter(None, (reasons.get(name), why_not)))
        labels = {dim: empty[dim].values for dim in values.dims}
        truth[name] = (empty.fillna(0.0) + values.reindex(labels)).transpose(*dims)
    attrs = {
        REASONS: json.dumps(
            {name: why for name, why in reasons.items() if name in truth}, sort_keys=True
        )
    }
    return xr.Dataset(truth, attrs=attrs)


def _other_link(ds: xr.Dataset, model: Built) -> str | None:
    """Return the reason why no parameter has a truth if the data have another link."""
    if has_log_sales(ds) == (model.link == "log"):
        return None
    words = {True: "multiplicative", False: "a sum of parts"}
    return f"sales are {words[has_log_sales(ds)]}, those of the model {words[model.link == 'log']}"


@in_memory
def no_single_truth(truth: xr.Dataset) -> dict[str, str]:
    """Reasons why parameters of a model have no truth, by name, of `to_pymc_truth`'s result."""
    return dict(json.loads(truth.attrs.get(REASONS, "{}")))


def _media_truth(ds: xr.Dataset, model: Built) -> tuple[Found, Reasons]:
    """Adstock and saturation of the channels whose kinds are the model's, NaN for the others."""
    others = _other_adstocks(ds, model)
    lasting = {
        channel: reason
        for channel, why in beyond_curves(ds).items()
        for reason in (BORROWS, REMEMBERED)
        if reason in why
    }
    adstock, no_adstock = _adstock_truth(ds, model, others | lasting)
    curve, no_curve = _curve_truth(ds, model, others)
    found = {name: values.rename(name) for name, values in (adstock | curve).items()}
    return {name: _as_columns(ds, values) for name, values in found.items()}, no_adstock | no_curve


def _adstock_truth(ds: xr.Dataset, model: Built, others: Reasons) -> tuple[Found, Reasons]:
    if not model.adstock:
        return {}, {}
    names = [f"adstock_{name}" for name in ADSTOCKS[model.adstock].parameters]
    found = {name: ds.get(name, xr.full_like(ds["effect"], np.nan)) for name in names}
    if model.adstock == "geometric_adstock":
        # No carry-over is a geometric one with nothing left after the first period.
        none = ds["adstock_kind"] == "no_adstock"
        found["adstock_alpha"] = found["adstock_alpha"].where(~none, 0.0)
    return _masked(found, others)


def _other_adstocks(ds: xr.Dataset, model: Built) -> Reasons:
    """Channels whose carry-over is not the model's, with the reason."""
    check_variables(ds, "adstock_kind", "l_max", "normalize")
    reasons: Reasons = {}
    same_order = _same_order(ds, model)
    for channel in ds["channel"].values:
        one = ds.coords.to_dataset().sel(channel=channel)
        kind, type_ = str(one["adstock_kind"].item()), ""
        if "adstock_type" in one:
            type_ = str(one["adstock_type"].item())
        why = ""
        if kind == "no_adstock" and model.adstock in ("geometric_adstock", "no_adstock"):
            continue
        if not same_order:
            why = "the order of carry-over and curve is another in the model"
        elif (kind, type_) != (model.adstock, model.adstock_type):
            why = f"the carry-over is a {kind} {type_}".rstrip()
        elif int(one["l_max"]) != model.n_weights:
            why = f"the carry-over has {int(one['l_max'])} weights, the model's {model.n_weights}"
        elif bool(one["normalize"]) != model.normalize:
            why = "of the data's and the model's weights, one is normalized and the other not"
        if why:
            reasons[str(channel)] = why
    return reasons


def _same_order(ds: xr.Dataset, model: Built) -> bool:
    return model.adstock_first == bool(ds.attrs.get("adstock_first", 1))


def _curve_truth(ds: xr.Dataset, model: Built, others: Reasons) -> tuple[Found, Reasons]:
    check_variables(ds, "saturation_kind", "effect", "spend_unit")
    if not model.saturation:
        return {}, {}
    kind = SATURATIONS[model.saturation]
    kinds = dict(zip(map(str, ds["channel"].values), ds["saturation_kind"].values, strict=True))
    same = [channel for channel, found in kinds.items() if found == kind.name]
    reasons = {
        channel: f"the curve is a {found}"
        for channel, found in kinds.items()
        if channel not in same
    }
    # Weights that sum to 1 leave the curve as it is, whichever they are.
    whole = ds["normalize"].values.astype(bool) & _same_order(ds, model)
    whole |= ds["adstock_kind"].values == "no_adstock"
    whole &= model.normalize or model.adstock == "no_adstock"
    moved = set(others) - set(map(str, ds["channel"].values[whole]))
    reasons |= {
        channel: f"{others[channel]}, which moves the curve" for channel in same if channel in moved
    }
    path, why = _media_path(ds, model)
    if path is None:
        reasons |= beyond_curves(ds)
    else:
        reasons |= dict.fromkeys(kinds, f"its effect over time: {why}") if why else {}
        reasons |= beyond_curves(ds.drop_vars("effect_path", errors="ignore"))
    silent = [channel for channel in same if _column(ds, channel) in model.silent]
    reasons |= dict.fromkeys(silent, "nothing is spent that the model could scale by")
    empty = xr.full_like(ds["effect"], np.nan)
    found = {f"saturation_{name}": empty for name in kind.shown if name not in kind.constants}
    if not same:
        return _masked(found, reasons)
    check_variables(ds, *(f"saturation_{name}" for name in kind.shown))
    part = ds.sel(channel=same)
    channel = aligned_scale(model.channel_scale, part, "channel_scale", ("geo", "channel"))
    target = aligned_scale(model.unit_of_effects, part, "target_scale", ("geo",))
    if path is not None:
        # The model's path has a mean of 1 over its own dates.
        target = target / path.mean("date").sel(channel=same)
    try:
        scaled = rescaled_curve(part, kind, channel / part["spend_unit"], target)
    except ConfigError as error:
        return _masked(found, reasons | dict.fromkeys(same, error.message))
    return _masked(
        {name: _plain(scaled[name]).reindex(channel=ds["channel"].values) for name in found},
        reasons,
    )


def _media_path(ds: xr.Dataset, model: Built) -> tuple[xr.DataArray | None, str]:
    """Effect on the model's dates, dims (date, geo, channel), and why the model cannot follow it.

    None if its media do not vary over time.
    """
    if MEDIA_PATH not in model.dims:
        return None, ""
    path = _plain(ds.get("effect_path", xr.ones_like(ds["spend"])))
    path = path.sel(date=model.coords["date"])
    return path, _without_extra_dims(path / path.mean("date"), model.dims[MEDIA_PATH])[1]


def _path_truth(ds: xr.Dataset, model: Built) -> tuple[Found, Reasons]:
    """Multiplier of media over time; no coefficients of any multiplier."""
    path, _ = _media_path(ds, model)
    found = {} if path is None else {MEDIA_PATH: _as_columns(ds, path / path.mean("date"))}
    names = (name for name in model.dims if "_hsgp_coefs" in name)
    return found, dict.fromkeys(
        names,
        "the model divides its path by the mean, so that several sets of coefficients make one "
        "path; a path beyond its basis has none",
    )


def _masked(found: Found, reasons: Reasons) -> tuple[Found, Reasons]:
    """Parameters without the channels that have a reason, the reasons by parameter."""
    plain = {}
    for name, values in found.items():
        plain[name] = _plain(values).where(~values["channel"].isin(list(reasons)))
    channels: dict[str, list[str]] = {}
    for channel, why in reasons.items():
        channels.setdefault(why, []).append(channel)
    sentence = "; ".join(f"{why} in {', '.join(of)}" for why, of in channels.items())
    return plain, dict.fromkeys(found, sentence) if sentence else {}


def _baseline_truth(ds: xr.Dataset, model: Built) -> tuple[Found, Reasons]:
    """Intercept: base sales less what the controls count from."""
    check_variables(ds, "intercept_contribution")
    target = aligned_scale(model.target_scale, ds, "target_scale", ("geo",))
    base, start = ds["intercept_contribution"], xr.DataArray(0.0)
    reasons = []
    moves = INTERCEPT_PATH in model.dims
    if moves:
        path = _plain(ds.get("baseline_path", xr.ones_like(ds["mu"])))
        base = base * path.sel(date=model.coords["date"])
    if ds.sizes.get("control", 0):
        start = (ds["gamma_control"] * ds["control_reference"]).fillna(0.0).sum("control")
        if bool(ds["gamma_control"].isnull().any()):
            reasons.append("a control has an elasticity, so that no intercept is that of the data")
        lacking = set(map(str, ds["control_column"].values)) - set(model.coords.get("control", ()))
        if lacking:
            reasons.append(f"the model lacks the control {min(lacking)}")
    if _is_there(ds, "demand_contribution"):
        reasons.append("the data have latent demand, which the model lacks")
    if _is_there(ds, "trend_contribution") and TREND_COLUMN not in model.coords.get("control", ()):
        reasons.append("the data have a trend, which the model lacks")
    if _is_there(ds, "event_contribution"):
        reasons.append("the data have events, which the model lacks")
    if ds.sizes.get("seasonal_mode", 0):
        reasons.append("the data have a season other than the year, which the model lacks")
    if _is_there(ds, "seasonality_contribution") and not model.fourier_modes:
        reasons.append("the data have a yearly season, which the model lacks")
    reasons += [
        f"the data have {words}, which the model lacks"
        for name, words in mechanisms_of(ds).items()
        if name in ADDED and not (moves and name == "level_contribution")
    ]
    intercept = (base - start) / target
    if model.link == "log":
        check_variables(ds, "y_sigma")
        intercept = log_intercept(base / target, ds["y_sigma"]) - start
    found = {"intercept_contribution": intercept}
    if moves:
        mean = intercept.mean("date")
        found = {"intercept_baseline": mean, INTERCEPT_PATH: intercept / mean}
        if bool((found[INTERCEPT_PATH] <= 0).any()):
            reasons.append("the intercept changes its sign, which a positive multiplier cannot")
    if reasons:
        found = {name: xr.full_like(values, np.nan) for name, values in found.items()}
    return found, dict.fromkeys(found, "; ".join(reasons)) if reasons else {}


def _control_truth(ds: xr.Dataset, model: Built) -> tuple[Found, Reasons]:
    names = model.coords.get("control", [])
    if not names:
        return {}, {}
    target = aligned_scale(model.unit_of_effects, ds, "target_scale", ("geo",))
    columns = {}
    if ds.sizes.get("control", 0):
        columns = dict(zip(ds["control_column"].values, ds["control"].values, strict=True))
    parts, reasons = [], []
    for name in names:
        values = xr.full_like(ds["intercept_contribution"], np.nan)
        if name in columns:
            control = columns[name]
            values = ds["gamma_control"].sel(control=control, drop=True) / target
            if "promotion" in ds.dims and control in ds["promotion"].values:
                # The Dataset gives its sales to the promotion, the model to the control.
                values = xr.full_like(values, np.nan)
                reasons.append(f"{control!s} shows a promotion, which sells outside of the control")
            elif bool(values.isnull().any()):
                reasons.append(f"{control!s} has an elasticity, the model's controls are linear")
        elif name == TREND_COLUMN:
            values, why = _trend_slope(ds, model)
            values = values / target
            reasons.extend(why)
        else:
            reasons.append(f"the data have no control {name!r}")
        parts.append(_plain(values))
    found = {"gamma_control": xr.concat(parts, dim="control").assign_coords(control=names)}
    return found, {"gamma_control": "; ".join(reasons)} if reasons else {}


def beyond_curves(ds: xr.Dataset) -> Reasons:
    """Return the channels whose sales are not those of one curve of their spend, with the reason.

    Examples
    --------
    >>> import mmm_xgen
    >>> tied = [{"channels": ["Trend", "Seasonal"], "strength": 0.02}]
    >>> beyond_curves(mmm_xgen.generate_mmm_dataset(interactions=tied))
    {'Trend': 'it sells together with Seasonal', 'Seasonal': 'it sells together with Trend'}
    """
    reasons: Reasons = {}

    def add(channel: Any, why: str) -> None:
        reasons[str(channel)] = "; ".join(filter(None, (reasons.get(str(channel)), why)))

    if "effect_path" in ds:
        moves = abs(ds["effect_path"] - 1).max(("date", "geo")) > TOLERANCE
        for channel in ds["channel"].values[moves.values]:
            add(channel, "its effect moves over time")
    if "pull_forward_share" in ds:
        borrows = (ds["pull_forward_share"] > 0).any("geo")
        for channel in ds["channel"].values[borrows.values]:
            add(channel, BORROWS)
    if "spillover" in ds:
        for channel in ds["channel"].values[(ds["spillover"] > 0).values]:
            add(channel, SPILLS)
    for funnel in ds["funnel"].values if "funnel_strength" in ds else ():
        one = ds.coords.to_dataset().sel(funnel=funnel)
        if not bool(one["funnel_paid"]):
            add(one["funnel_target"].item(), f"{one['funnel_source'].item()} raises its media")
    for pair in ds["interaction"].values if "interaction_strength" in ds else ():
        one = ds.coords.to_dataset().sel(interaction=pair)
        ends = [str(one[f"interaction_{end}"].item()) for end in ("first", "second")]
        for channel, other in (ends, ends[::-1]):
            add(channel, f"it sells together with {other}")
    for mediator in ds["mediator"].values if "mediator_loading" in ds else ():
        parents = ds["mediator_loading"].sel(mediator=mediator) != 0
        for channel in ds["channel"].values[parents.values]:
            add(channel, f"it sells through {mediator} too")
    for channel in ds["channel"].values if "response_size" in ds else ():
        add(channel, REMEMBERED)
    return reasons


def _trend_slope(ds: xr.Dataset, model: Built) -> tuple[xr.DataArray, list[str]]:
    """Coefficient of the trend column, if the trend is proportional to it."""
    if model.controls is None:
        raise AlignmentError(f"the model has no values of its control {TREND_COLUMN!r}")
    column = model.controls.sel(control=TREND_COLUMN, drop=True)
    name = "log_trend" if has_log_sales(ds) else "trend_contribution"
    trend = ds[name].sel(date=column["date"].values, geo=column["geo"].values)
    column = column.transpose(*trend.dims)
    slope = (trend * column).sum("date") / (column**2).sum("date")
    off = abs(trend - slope * column).max("date")
    size = 1.0 if has_log_sales(ds) else ds["intercept_contribution"]
    if bool((off > TOLERANCE * size).any()):
        return xr.full_like(slope, np.nan), ["the trend is no straight line"]
    return slope, []


def _season_truth(ds: xr.Dataset, model: Built) -> tuple[Found, Reasons]:
    modes = model.coords.get("fourier_mode", [])
    if not modes:
        return {}, {}
    target = aligned_scale(model.unit_of_effects, ds, "target_scale", ("geo",))
    if not ds.sizes.get("fourier_mode", 0):
        zero = (0.0 * target * ds["intercept_contribution"]).expand_dims(fourier_mode=modes)
        return {"gamma_fourier": zero}, {}
    check_variables(ds, "gamma_fourier")
    changes = [MECHANISMS[name] for name in ("season_path", "season_shift") if name in ds]
    if changes:
        zero = (np.nan * target * ds["intercept_contribution"]).expand_dims(fourier_mode=modes)
        return {"gamma_fourier": zero}, {
            "gamma_fourier": f"the data have {' and '.join(changes)}, which the model lacks"
        }
    known = [str(mode) for mode in ds["fourier_mode"].values]
    truth = ds["gamma_fourier"] / target
    # A mode that the data lack has a coefficient of zero.
    found = {"gamma_fourier": truth.reindex(fourier_mode=modes, fill_value=0.0)}
    lacking = [mode for mode in known if mode not in modes]
    if lacking:
        why = f"the data have the mode {lacking[0]}, which the model lacks"
        return {"gamma_fourier": xr.full_like(found["gamma_fourier"], np.nan)}, {
            "gamma_fourier": why
        }
    return found, {}


def _noise_truth(ds: xr.Dataset, model: Built) -> tuple[Found, Reasons]:
    check_variables(ds, "y_sigma")
    target = aligned_scale(model.unit_of_effects, ds, "target_scale", ("geo",))
    sigma = ds["y_sigma"] / target
    noise = noise_kind(ds)
    if (noise, model.likelihood) in (("gaussian", "Normal"), ("lognormal", "LogNormal")):
        return {"y_sigma": sigma}, {}
    why = f"the noise is {noise}, the model's likelihood {model.likelihood}"
    return {"y_sigma": xr.full_like(sigma, np.nan)}, {"y_sigma": why}


def noise_kind(ds: xr.Dataset) -> str:
    """Kind of the noise, with what it has beyond the family, as far as it is known.

    Examples
    --------
    >>> import mmm_xgen
    >>> noise_kind(mmm_xgen.generate_mmm_dataset(regions={"capacity": 2.0, "level_power": 1.0}))
    'gaussian with an sd that follows expected sales and a capacity'
    """
    if "config" not in ds.attrs:
        return "unknown"
    regions = config_of(ds).regions
    beyond = {
        "an sd that follows expected sales": regions.noise.level_power,
        "a part that geos share": regions.noise.shared,
        "outliers": regions.outliers,
        "a capacity": regions.capacity,
    }
    words = " and ".join(name for name, value in beyond.items() if value)
    return f"{regions.noise.kind} with {words}" if words else regions.noise.kind


def _plain(values: xr.DataArray) -> xr.DataArray:
    """Without coordinates other than the labels of the dims."""
    return values.drop_vars([name for name in values.coords if name not in values.dims])


def _is_there(ds: xr.Dataset, name: str) -> bool:
    return name in ds and bool((ds[name] != 0).any())


def _column(ds: xr.Dataset, channel: str) -> str:
    return str(ds["channel_column"].sel(channel=channel).item())


def _as_columns(ds: xr.Dataset, values: xr.DataArray) -> xr.DataArray:
    """Channels labelled by their columns in the frame, which the model has."""
    return values.assign_coords(
        channel=list(ds["channel_column"].sel(channel=values.channel).values)
    )


def _without_extra_dims(values: xr.DataArray, wanted: tuple[str, ...]) -> tuple[xr.DataArray, str]:
    """One value where the model shares a parameter over a dim, if the truth has only one."""
    values = _plain(values)
    for dim in [str(d) for d in values.dims if d not in wanted]:
        low, high = values.min(dim), values.max(dim)
        same = abs(high - low) <= TOLERANCE * abs(high)
        if not bool((same | low.isnull()).all()):
            worst = int(np.nanargmax((high - low).values))
            ends = [float(end.values.ravel()[worst]) for end in (low, high)]
            return low.where(same), (
                f"the model shares it over {dim}, and the truth runs from {ends[0]:.4g} to "
                f"{ends[1]:.4g}"
            )
        values = low
    return values, ""
