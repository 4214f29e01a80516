"""Truth of a dataset as one nested dictionary of plain numbers and texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import xarray as xr

from mmm_xgen.dataset import config_of, in_memory, is_element, varied_paths
from mmm_xgen.errors import SchemaError
from mmm_xgen.formatting.plain import plain
from mmm_xgen.kernels.adstock import ADSTOCKS
from mmm_xgen.kernels.domain import POSITIVE
from mmm_xgen.kernels.saturation import SATURATIONS
from mmm_xgen.schema import check_variables, parts_of

Nested: TypeAlias = dict[str, Any]

ITEMS = {
    "channel_contribution": "channels",
    "control_contribution": "controls",
    "interaction_contribution": "interactions",
    "mediator_contribution": "mediators",
    "promotion_contribution": "promotions",
}
BASELINE = {
    "intercept_contribution": "intercept",
    "trend_contribution": "trend",
    "seasonality_contribution": "seasonality",
    "event_contribution": "events",
    "level_contribution": "level",
    "demand_contribution": "demand",
    "competitor_contribution": "competitor",
    "remainder_contribution": "remainder",
}
# What connects channels: the dim and the variables of each, with the coordinates that say how.
CONNECTIONS = {
    "funnels": (
        "funnel",
        ("funnel_source", "funnel_target", "funnel_lag", "funnel_paid", "funnel_strength"),
    ),
    "interactions": (
        "interaction",
        ("interaction_first", "interaction_second", "interaction_strength"),
    ),
    "mediators": ("mediator", ("mediator_loading", "mediator_persistence", "mediator_effect")),
}
PROMOTION = (
    "promotion_elasticity",
    "promotion_pull_forward_share",
    "promotion_pull_forward_periods",
)
# Further numbers of channels, where a world has them.
OF_CHANNELS = ("spillover", "over_reporting")
LABELLED = ("geo", "channel", "control")
POPULATION = ("_mean", "_sd")
NOT_OF_A_KIND = ("adstock_weights",)


@in_memory
def ground_truth(ds: xr.Dataset, *, series: bool = False) -> Nested:
    """Everything that is true of a dataset, ready for JSON.

    Where a figure differs between geos it is a dictionary by geo, inside what it belongs to:
    ``truth["parameters"]["TV"]["effect"]["by_geo"]["north"]``.

    ================= ==========================================================================
    key               content
    ================= ==========================================================================
    ``metadata``      seed, versions, currency, KPI, freq, first and last date, sizes, labels;
                      ``link`` of multiplicative sales; of an aggregated dataset also what
                      became of it
    ``parameters``    by channel: wide ``column``; ``adstock`` and ``saturation`` (kind, settings,
                      parameters under PyMC-Marketing's names, ``by_geo`` and the ``population``
                      they vary in); ``effect``; ``spend_unit``; ``base_spend``
    ``controls``      by control: wide ``column``, ``gamma``, ``elasticity``, ``reference``
    ``baseline``      ``intercept``, ``trend``, ``gamma_fourier`` (yearly), ``gamma_seasonal``
                      (other seasons, with ``period_days``), ``events``, ``noise`` (kind,
                      ``y_sigma``, parameters), ``population``, ``geo_scale``
    ``promotions``    only of a world that has them: by promotion, ``elasticity`` and what it
                      borrows
    ``connections``   only of a world that has them: ``funnels``, ``interactions`` and
                      ``mediators`` by name, with their channels and strengths
    ``contributions`` sums over all dates in KPI units: ``channels``, ``controls``, ``baseline``
                      (by part), ``mu``, ``noise``, ``y``; ``interactions``, ``mediators`` and
                      ``promotions`` of a world that has them
    ``roas``          ``by_channel`` and ``by_channel_and_geo``
    ``attribution``   ``share_of_sales`` and ``share_of_media``, by channel
    ``series``        with ``series=True``: ``dates``, spend and everything in
                      ``contributions`` as lists over the dates
    ================= ==========================================================================

    Parameters
    ----------
    ds : Dataset
        A generated or aggregated Dataset, or one dataset of an ensemble.
    series : bool
        Whether to add every contribution over time.

    Returns
    -------
    dict
        Dictionaries, lists, text, numbers, booleans and None only. None stands for what is not
        there (the ROAS of a channel that never spent), and for a mean on a log or logit scale
        that is infinite (of an effect of 0). ROAS and attribution are those of
        `mmm_xgen.truth.roas` and `mmm_xgen.truth.attribution`: whole window, carry-in counted,
        noise-free.

    Raises
    ------
    SchemaError
        If `ds` lacks a variable or is a whole ensemble.

    Examples
    --------
    >>> import mmm_xgen
    >>> truth = ground_truth(mmm_xgen.generate_mmm_dataset())
    >>> list(truth)
    ['metadata', 'parameters', 'controls', 'baseline', 'contributions', 'roas', 'attribution']
    >>> round(truth["roas"]["by_channel"]["Trend"], 9)
    1.5
    >>> truth["parameters"]["Trend"]["saturation"]["parameters"]["slope"]["by_geo"]["geo_a"] > 0
    True
    """
    # Import only when it is used: it is slow.
    from mmm_xgen.truth.returns.estimands import (
        OUTCOMES,
        attribution,
        contribution_totals,
        roas,
    )

    ds = _of_its_own(ds)
    check_variables(
        ds, "spend", "effect", "spend_unit", "y_sigma", "control_value", *parts_of(ds), *OUTCOMES
    )
    config = json.loads(str(ds.attrs.get("config", "{}")))
    truth = {
        "metadata": _metadata(ds),
        "parameters": {str(channel): _channel(ds, channel) for channel in ds["channel"].values},
        "controls": {str(control): _control(ds, control) for control in ds["control"].values},
        "baseline": _baseline(ds, config.get("regions", {})),
        **({"promotions": _items(ds, "promotion", PROMOTION)} if "promotion" in ds.dims else {}),
        **({"connections": connections} if (connections := _connections(ds)) else {}),
        "contributions": _contributions(contribution_totals(ds)),
        "roas": {
            "by_channel": _nested(roas(ds)),
            "by_channel_and_geo": _nested(roas(ds, by=("geo", "channel")), "channel", "geo"),
        },
        "attribution": {
            "share_of_sales": _nested(attribution(ds)),
            "share_of_media": _nested(attribution(ds, of="media")),
        },
    }
    if series:
        truth["series"] = _series(ds)
    return truth


def _of_its_own(ds: xr.Dataset) -> xr.Dataset:
    """Return the Dataset with its own seed and configuration, not those of its ensemble."""
    if "dataset" in ds.dims:
        raise SchemaError(
            "the Dataset has the dim 'dataset', allowed: one dataset, as in "
            "ground_truth(ds.isel(dataset=0))"
        )
    if not is_element(ds) or "seed" not in ds.coords:
        return ds
    own: Nested = {"seed": int(ds["seed"])}
    # If no number varies, keep the text: a configuration with a callable could not be read.
    if "config" in ds.attrs and varied_paths(ds):
        own["config"] = config_of(ds).to_json()
    return ds.assign_attrs(own)


def _metadata(ds: xr.Dataset) -> Nested:
    dates = np.datetime_as_string(ds["date"].to_numpy(), unit="D").tolist()
    kept = ("seed", "schema_version", "mmm_xgen_version", "currency", "kpi", "freq")
    optional = ("aggregation", "partial_periods")
    return {
        **{name: plain(ds.attrs.get(name)) for name in kept},
        "first_date": dates[0] if dates else None,
        "last_date": dates[-1] if dates else None,
        "sizes": {str(dim): int(size) for dim, size in ds.sizes.items()},
        **{f"{dim}s": [str(label) for label in ds[dim].values] for dim in LABELLED},
        **({"link": "log"} if "log_channel" in ds else {}),
        "adstock_first": bool(ds.attrs.get("adstock_first", 1)),
        "spend_is_given": bool(ds.attrs.get("spend_is_given", 0)),
        "given_params": [n for n in str(ds.attrs.get("given_params", "")).split(",") if n],
        **{name: str(ds.attrs[name]) for name in optional if name in ds.attrs},
    }


def _channel(ds: xr.Dataset, channel: Any) -> Nested:
    one = ds.sel(channel=channel)
    return {
        "column": str(one["channel_column"].item()),
        "adstock": {
            "kind": str(one["adstock_kind"].item()),
            "l_max": int(one["l_max"].item()),
            "normalize": bool(one["normalize"].item()),
            **_kind(one, "adstock_", ADSTOCKS),
        },
        "saturation": {
            "kind": str(one["saturation_kind"].item()),
            **_kind(one, "saturation_", SATURATIONS),
        },
        "effect": _parameter(one, "effect", POSITIVE.link),
        "spend_unit": _nested(one["spend_unit"]),
        "base_spend": _nested(one["base_spend"]) if "base_spend" in one else None,
        **_pull_forward(one),
        **{name: _nested(one[name]) for name in OF_CHANNELS if name in one},
    }


def _pull_forward(one: xr.Dataset) -> Nested:
    """Return the sales that a channel borrows from later periods, if any channel does."""
    if "pull_forward_share" not in one:
        return {}
    periods = int(one["pull_forward_periods"].item())
    return {"pull_forward": {"periods": periods, "share": _nested(one["pull_forward_share"])}}


def _kind(one: xr.Dataset, prefix: str, registry: Mapping[str, Any]) -> Nested:
    """Return settings and parameters of one channel's adstock or saturation."""
    kind = str(one[f"{prefix}kind"].item())
    # The data may be read where the user's own kind is not registered.
    domains = registry[kind].parameters if kind in registry else {}
    settings, parameters = {}, {}
    for name in map(str, one.coords):
        short = name.removeprefix(prefix)
        if name.startswith(prefix) and short != "kind" and one[name].item() != "":
            settings[short] = str(one[name].item())
    for name in map(str, one.data_vars):
        short = name.removeprefix(prefix)
        if not name.startswith(prefix) or name.endswith(POPULATION) or name in NOT_OF_A_KIND:
            continue
        # NaN in every geo: the parameter belongs to the kind of another channel.
        if bool(one[name].notnull().any()):
            # A name that is not a parameter of the function is the amplitude with the effect.
            link = domains[short].domain.link if short in domains else POSITIVE.link
            parameters[short] = _parameter(one, name, link)
    return {"settings": settings, "parameters": parameters}


def _parameter(one: xr.Dataset, name: str, link: str) -> Nested:
    population = {
        key: _nested(one[f"{name}_{key}"]) for key in ("mean", "sd") if f"{name}_{key}" in one
    }
    return {"by_geo": _nested(one[name]), "population": {"scale": link, **population}}


def _connections(ds: xr.Dataset) -> Nested:
    """Return what connects channels, by kind and name."""
    return {
        kind: _items(ds, dim, names) for kind, (dim, names) in CONNECTIONS.items() if dim in ds.dims
    }


def _items(ds: xr.Dataset, dim: str, names: tuple[str, ...]) -> Nested:
    """Return some variables by label of a dim, without the dim in their names."""
    return {
        str(label): {
            name.removeprefix(f"{dim}_"): _nested(ds[name].sel({dim: label}))
            for name in names
            if name in ds.variables
        }
        for label in ds[dim].values
    }


def _control(ds: xr.Dataset, control: Any) -> Nested:
    one = ds.sel(control=control)
    names = {"gamma": "gamma_control", "elasticity": "control_elasticity"}
    return {
        "column": str(one["control_column"].item()),
        **{key: _nested(one[name]) for key, name in names.items() if name in one},
        "reference": _nested(one["control_reference"]) if "control_reference" in one else None,
    }


def _baseline(ds: xr.Dataset, regions: Mapping[str, Any]) -> Nested:
    intercept = ds["intercept_contribution"]
    if "date" in intercept.dims:
        # In an aggregated dataset it has dates, because periods differ in length.
        intercept = intercept.mean("date")
    baseline: Nested = {
        "intercept": _nested(intercept),
        "trend": _family(ds, "trend_", regions.get("trend", {})),
        "gamma_fourier": _optional(ds, "gamma_fourier", "geo", "fourier_mode"),
        "gamma_seasonal": _optional(ds, "gamma_seasonal", "geo", "seasonal_mode"),
        "period_days": _optional(ds, "period_days", "seasonal_mode"),
        "events": _optional(ds, "event_effect", "event", "geo"),
        "noise": {
            "y_sigma": _nested(ds["y_sigma"]),
            **_family(ds, "noise_", regions.get("noise", {})),
        },
    }
    for name in ("population", "geo_scale"):
        baseline[name] = _optional(ds, name, "geo")
    if "capacity" in ds:
        baseline["capacity"] = _nested(ds["capacity"])
    if "season_shift" in ds:
        baseline["season_shift"] = _optional(ds, "season_shift", "geo")
    return baseline


def _family(ds: xr.Dataset, prefix: str, spec: Mapping[str, Any]) -> Nested:
    """Return kind, settings and parameters by geo of the trend or the noise."""
    parameters = {
        str(name).removeprefix(prefix): _nested(variable)
        for name, variable in ds.data_vars.items()
        if str(name).startswith(prefix) and variable.dims == ("geo",)
    }
    settings = {k: v for k, v in spec.items() if k != "kind" and k not in parameters}
    return {"kind": spec.get("kind"), "settings": settings, "parameters": parameters}


def _optional(ds: xr.Dataset, name: str, *dims: str) -> Nested:
    return _nested(ds[name], *dims) if name in ds.variables else {}


def _contributions(ds: xr.Dataset, *last: str) -> Nested:
    """Return every part of sales and sales themselves, by geo, with lists over the dims `last`."""
    from mmm_xgen.truth.returns.estimands import outcomes_of

    parts = {
        key: _nested(ds[name], key.removesuffix("s"), "geo", *last)
        for name, key in ITEMS.items()
        if name in ds
    }
    baseline = {
        key: _nested(ds[name], "geo", *last) for name, key in BASELINE.items() if name in ds
    }
    outcomes = {name: _nested(ds[name], "geo", *last) for name in outcomes_of(ds)}
    return {**parts, "baseline": baseline, **outcomes}


def _series(ds: xr.Dataset) -> Nested:
    from mmm_xgen.truth.returns.estimands import outcomes_of

    over_time = ds[[*parts_of(ds), *outcomes_of(ds)]]
    intercept = ds["intercept_contribution"].broadcast_like(ds["mu"])
    return {
        "dates": np.datetime_as_string(ds["date"].to_numpy(), unit="D").tolist(),
        "spend": _nested(ds["spend"], "channel", "geo", "date"),
        **_contributions(over_time.assign(intercept_contribution=intercept), "date"),
    }


def _nested(array: xr.DataArray, *dims: str) -> Any:
    """Return nested dictionaries by the labels of each dim, with plain lists over dates."""
    ordered = array.transpose(*dims) if dims else array
    labels = [
        None if dim == "date" else [str(label) for label in ordered[dim].values]
        for dim in ordered.dims
    ]
    return _zipped(ordered.to_numpy().tolist(), labels)


def _zipped(values: Any, labels: list[list[str] | None]) -> Any:
    if not labels:
        return plain(values)
    first, rest = labels[0], labels[1:]
    inner = [_zipped(value, rest) for value in values]
    return inner if first is None else dict(zip(first, inner, strict=True))
