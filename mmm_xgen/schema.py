"""Table of all variables of the Dataset: dims, units and meaning.

Documentation, labels and validation read it. `UNITS` are templates over the currency and the
KPI of the dataset.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeAlias, TypeVar

from mmm_xgen.errors import SchemaError

if TYPE_CHECKING:
    import xarray as xr

    Labelled: TypeAlias = xr.Dataset | xr.DataArray

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

SCHEMA_VERSION = "2.0"

CURRENCY = "{currency}"
KPI = "{kpi}"
NONE = "1"

# What a parameter is of one kind: name of the kind, units and words.
Meaning: TypeAlias = tuple[str, str, str]


@dataclass(frozen=True)
class Variable:
    """Dims, units and meaning of one variable.

    `is_parameter` is True if `generate_mmm_dataset` takes the variable in ``params=``.
    """

    dims: tuple[str, ...]
    units: str
    long_name: str
    is_parameter: bool = False


SALES = ("date", "geo")
MEDIA = ("date", "geo", "channel")
CAMPAIGNS = ("date", "geo", "campaign")
CONTROLS = ("date", "geo", "control")
PROMOTIONS = ("date", "geo", "promotion")

VARIABLES: dict[str, Variable] = {
    "spend": Variable(MEDIA, CURRENCY, "spend per period"),
    "spend_history": Variable(
        ("history_date", "geo", "channel"), CURRENCY, "spend per period before the window"
    ),
    "spend_plan": Variable(MEDIA, CURRENCY, "planned spend per period, before budget rules"),
    "sales_plan": Variable(SALES, KPI, "planned sales, which budget rules compare sales with"),
    "exposure": Variable(MEDIA, CURRENCY, "delivered media at the cost of planned media"),
    "reported_sales": Variable(MEDIA, KPI, "contribution that the platform of the channel reports"),
    "over_reporting": Variable(
        ("channel",), NONE, "share by which the platform reports more than the contribution"
    ),
    "clicks": Variable(MEDIA, "clicks", "paid clicks, 0 for channels that do not sell clicks"),
    "cost_per_click": Variable(("channel",), CURRENCY + " / click", "price of a click"),
    "click_substitution": Variable(
        ("channel",), NONE, "share of paid clicks that replaces organic ones"
    ),
    "spillover": Variable(
        ("channel",), NONE, "share of the media that reaches all geos by population", True
    ),
    "spillover_share": Variable(("geo",), NONE, "share of the population of all geos"),
    "effect_path": Variable(MEDIA, NONE, "effect of the date relative to the mean effect"),
    "pull_forward_share": Variable(
        ("geo", "channel"), NONE, "share of sales borrowed from later periods", True
    ),
    "mediator_value": Variable(("date", "geo", "mediator"), NONE, "value of the mediator"),
    "mediator_contribution": Variable(
        ("date", "geo", "mediator"), KPI, "contribution of the mediator"
    ),
    "mediator_loading": Variable(
        ("mediator", "channel"), NONE, "rise of the mediator where the channel's curve is 1", True
    ),
    "mediator_persistence": Variable(
        ("mediator",), NONE, "share of the mediator that is left after one period", True
    ),
    "mediator_effect": Variable(
        ("geo", "mediator"), KPI, "sales per period where the mediator is 1", True
    ),
    "demand": Variable(SALES, NONE, "latent demand, in standard deviations"),
    "demand_contribution": Variable(SALES, KPI, "contribution of latent demand"),
    "campaign_spend": Variable(CAMPAIGNS, CURRENCY, "spend of the campaign per period"),
    "campaign_share": Variable(CAMPAIGNS, NONE, "share of the campaign in its channel's spend"),
    "campaign_quality": Variable(
        ("campaign",), NONE, "delivered media per unit of spend, relative to other campaigns"
    ),
    "media_quality": Variable(
        MEDIA, NONE, "delivered media per unit of spend, relative to the mean of the channel"
    ),
    "promotion_depth": Variable(PROMOTIONS, NONE, "share of the price that buyers save"),
    "promotion_contribution": Variable(PROMOTIONS, KPI, "contribution of the promotion"),
    "promotion_elasticity": Variable(
        ("geo", "promotion"), NONE, "elasticity of base sales to the promoted price", True
    ),
    "promotion_pull_forward_share": Variable(
        ("geo", "promotion"), NONE, "share of sales borrowed from later periods", True
    ),
    "competitor_spend": Variable(SALES, NONE, "spend of the competitor, an index of mean 1"),
    "competitor_contribution": Variable(SALES, KPI, "sales that the competitor takes, below 0"),
    "competitor_effect": Variable(
        ("geo",), KPI, "sales per period that the competitor takes at its mean spend", True
    ),
    "funnel_strength": Variable(
        ("geo", "funnel"), NONE, "rise of the target's media where the source's curve is 1", True
    ),
    "interaction_strength": Variable(
        ("geo", "interaction"),
        KPI,
        "sales per period where the curves of both channels are 1",
        True,
    ),
    "interaction_contribution": Variable(
        ("date", "geo", "interaction"), KPI, "sales that two channels make together"
    ),
    "remainder_contribution": Variable(
        SALES, KPI, "sales that the losses without each part leave, where parts act on each other"
    ),
    "response_size": Variable(("geo",), KPI, "sales per period if all people were loyal", True),
    "aware_share": Variable(SALES, NONE, "share of people that is aware and does not consider"),
    "considering_share": Variable(SALES, NONE, "share of people that considers a purchase"),
    "loyal_share": Variable(SALES, NONE, "share of people that is loyal"),
    "goodwill": Variable(SALES, NONE, "stock of goodwill"),
    "carryover": Variable(MEDIA, CURRENCY, "spend after adstock"),
    "saturated": Variable(MEDIA, NONE, "response to carried-over spend, per unit of effect"),
    "channel_contribution": Variable(MEDIA, KPI, "contribution of the channel"),
    "control_value": Variable(CONTROLS, NONE, "value of the control"),
    "control_contribution": Variable(CONTROLS, KPI, "contribution of the control"),
    "intercept_contribution": Variable(("geo",), KPI, "base sales per period", True),
    "trend_contribution": Variable(SALES, KPI, "contribution of the trend"),
    "seasonality_contribution": Variable(SALES, KPI, "contribution of all seasons"),
    "event_contribution": Variable(SALES, KPI, "contribution of holidays and events"),
    "level_contribution": Variable(SALES, KPI, "contribution of the level that moves"),
    "baseline_path": Variable(SALES, NONE, "base sales of the date relative to their mean"),
    "season_path": Variable(SALES, NONE, "yearly season of the date relative to its mean size"),
    "season_shift": Variable(
        ("geo",), "days / year", "days per year by which the yearly season moves later", True
    ),
    "mu": Variable(SALES, KPI, "expected sales"),
    "noise": Variable(SALES, KPI, "sales minus expected sales"),
    "outlier_contribution": Variable(SALES, KPI, "sales that an outlier adds, part of the noise"),
    "lost_sales": Variable(SALES, KPI, "sales that the capacity cuts"),
    "capacity": Variable(("geo",), KPI, "largest sales per period", True),
    "y": Variable(SALES, KPI, "sales"),
    "revenue_per_kpi": Variable(SALES, CURRENCY + " / " + KPI, "revenue per unit of the KPI"),
    "effect": Variable(
        ("geo", "channel"), KPI, "contribution per period where `saturated` is 1", True
    ),
    "adstock_weights": Variable(("geo", "channel", "lag"), NONE, "weight of each lag"),
    "base_spend": Variable(
        ("geo", "channel"), CURRENCY, "mean spend per period while active", True
    ),
    "spend_unit": Variable(("geo", "channel"), CURRENCY, "spend that the curve counts as 1", True),
    "population": Variable(("geo",), "people", "population"),
    "geo_scale": Variable(("geo",), NONE, "size of the geo relative to the reference"),
    "gamma_control": Variable(("geo", "control"), KPI, "effect per unit of the control", True),
    "control_elasticity": Variable(
        ("geo", "control"), NONE, "elasticity of base sales to the control", True
    ),
    "control_reference": Variable(("control",), NONE, "value without contribution", True),
    "gamma_fourier": Variable(("geo", "fourier_mode"), KPI, "yearly Fourier coefficient", True),
    "gamma_seasonal": Variable(
        ("geo", "seasonal_mode"), KPI, "coefficient of seasons other than the year", True
    ),
    "event_effect": Variable(("geo", "event"), KPI, "effect of the event at its peak", True),
    "event_intensity": Variable(("date", "event"), NONE, "intensity of the event, 1 at its peak"),
    "y_sigma": Variable(("geo",), KPI, "root-mean-square sd of the noise", True),
}

# Variables that add up to expected sales; a Dataset has those of its mechanisms.
PARTS = (
    "intercept_contribution",
    "trend_contribution",
    "seasonality_contribution",
    "event_contribution",
    "control_contribution",
    "level_contribution",
    "promotion_contribution",
    "demand_contribution",
    "competitor_contribution",
    "channel_contribution",
    "interaction_contribution",
    "mediator_contribution",
    "remainder_contribution",
)
# Parts that every generated Dataset has, even where they are 0.
ALWAYS = frozenset(PARTS[:5]) | {"channel_contribution"}

# Mechanisms of a world, by a variable that only worlds with them have.
MECHANISMS = {
    "demand_contribution": "latent demand",
    "spend_plan": "budget rules",
    "effect_path": "effects over time",
    "pull_forward_share": "pull-forward",
    "funnel_strength": "funnels",
    "interaction_strength": "interactions",
    "mediator_effect": "mediators",
    "competitor_contribution": "a competitor",
    "promotion_contribution": "promotions",
    "media_quality": "campaigns of different quality",
    "level_contribution": "a level that moves",
    "season_path": "a season that changes in size",
    "season_shift": "a season that moves",
    "outlier_contribution": "outliers",
    "lost_sales": "a capacity of sales",
    "spillover": "spill-over between geos",
    "over_reporting": "platforms that report too much",
    "response_size": "a response with memory",
}

# Series that an aggregation loses, since they are stages of the response.
LOST = (
    *("carryover", "saturated", "effect_path", "media_quality", "campaign_share"),
    *("baseline_path", "season_path"),
)
# Names of states of responses that users register; an aggregation loses them too.
STATE = "state_"
# Variables whose names depend on the kinds in use, by prefix.
FAMILIES: dict[str, Variable] = {
    "adstock_": Variable(("geo", "channel"), NONE, "adstock parameter", True),
    "saturation_": Variable(("geo", "channel"), NONE, "saturation parameter", True),
    "trend_": Variable(("geo",), NONE, "trend parameter", True),
    "noise_": Variable(("geo",), NONE, "noise parameter", True),
    "response_": Variable(("geo",), NONE, "response parameter", True),
    STATE: Variable(SALES, NONE, "state of the population"),
}
POPULATION_SUFFIXES = {
    "_mean": "population mean on the link scale",
    "_sd": "population sd on the link scale",
}

COORDINATES: dict[str, Variable] = {
    "date": Variable(("date",), NONE, "first day of the period"),
    "geo": Variable(("geo",), NONE, "geo"),
    "channel": Variable(("channel",), NONE, "media channel"),
    "control": Variable(("control",), NONE, "control variable"),
    "adstock_kind": Variable(("channel",), NONE, "kind of adstock"),
    "saturation_kind": Variable(("channel",), NONE, "kind of saturation"),
    "l_max": Variable(("channel",), NONE, "number of adstock weights"),
    "normalize": Variable(("channel",), NONE, "whether the adstock weights sum to 1"),
    "channel_column": Variable(("channel",), NONE, "column of the wide frame"),
    "control_role": Variable(("control",), NONE, "role of the control in a model of media"),
    "control_column": Variable(("control",), NONE, "column of the wide frame"),
    "period_days": Variable(("seasonal_mode",), "days", "length of the season"),
    "lag": Variable(("lag",), "periods", "periods since the spend"),
    "history_date": Variable(("history_date",), NONE, "first day of the period"),
    "fourier_mode": Variable(("fourier_mode",), NONE, "yearly sine or cosine"),
    "seasonal_mode": Variable(("seasonal_mode",), NONE, "coefficient of another season"),
    "event": Variable(("event",), NONE, "holiday or event"),
    "pull_forward_periods": Variable(("channel",), "periods", "later periods that miss the sales"),
    "promotion": Variable(("promotion",), NONE, "promotion, a lower price for some periods"),
    "promotion_pull_forward_periods": Variable(
        ("promotion",), "periods", "later periods that miss the sales"
    ),
    "mediator": Variable(("mediator",), NONE, "state between media and sales"),
    "funnel": Variable(("funnel",), NONE, "channel that raises another"),
    "funnel_source": Variable(("funnel",), NONE, "channel that raises"),
    "funnel_target": Variable(("funnel",), NONE, "channel whose media rise"),
    "funnel_lag": Variable(("funnel",), "periods", "periods between response and rise"),
    "funnel_paid": Variable(("funnel",), NONE, "whether the advertiser pays for the rise"),
    "campaign": Variable(("campaign",), NONE, "campaign within a channel"),
    "campaign_channel": Variable(("campaign",), NONE, "channel of the campaign"),
    "interaction": Variable(("interaction",), NONE, "pair of channels"),
    "interaction_first": Variable(("interaction",), NONE, "first channel of the pair"),
    "interaction_second": Variable(("interaction",), NONE, "second channel of the pair"),
}


@functools.lru_cache(maxsize=1024)
def describe(name: str) -> Variable:
    """Return dims, units and meaning of the variable `name`.

    Raises
    ------
    SchemaError
        If the Dataset has no variable of that name.

    Examples
    --------
    >>> describe("adstock_alpha").dims
    ('geo', 'channel')
    >>> describe("adstock_alpha_sd").long_name
    'adstock_alpha: population sd on the link scale'
    """
    known = VARIABLES.get(name) or COORDINATES.get(name)
    if known:
        return known
    for suffix, meaning in POPULATION_SUFFIXES.items():
        if name.endswith(suffix):
            stem = name.removesuffix(suffix)
            return Variable(describe(stem).dims[1:], NONE, f"{stem}: {meaning}")
    for prefix, family in FAMILIES.items():
        if name.startswith(prefix):
            parameter = name.removeprefix(prefix)
            meaning = f"{family.long_name} {parameter}"
            return Variable(family.dims, family.units, meaning, family.is_parameter)
    raise SchemaError(f"no variable of the Dataset is named {name!r}")


def attributes(
    name: str, meanings: Iterable[Meaning] = (), /, *, currency: str, kpi: str
) -> dict[str, str]:
    """Attributes ``units`` and ``long_name`` of the variable `name`.

    Parameters
    ----------
    name : str
        Name of a variable or coordinate.
    meanings : iterable of (str, str, str)
        Kind, units and words of each meaning that the kinds in use give to a parameter. With
        several, the units are those that they share, or ``"by kind"``.
    currency, kpi : str
        Units of the dataset.

    Examples
    --------
    >>> meanings = [("hill_function", "spend unit", "half-saturation")]
    >>> attributes("saturation_kappa", meanings, currency="USD", kpi="sales")
    {'units': 'spend unit', 'long_name': 'hill_function: half-saturation'}
    """
    variable, found = describe(name), list(meanings)
    units, meaning = variable.units, variable.long_name
    if found:
        several = {unit for _, unit, _ in found}
        units = several.pop() if len(several) == 1 else "by kind"
        meaning = "; ".join(f"{kind}: {words}" for kind, _, words in found)
    return {"units": units.format(currency=currency, kpi=kpi), "long_name": meaning}


def check_variables(ds: xr.Dataset, *names: str) -> None:
    """Raise if a value is not a Dataset, lacks a variable, or has it with other dims.

    Raises
    ------
    SchemaError
        The message names the variable, what was found and what is needed.

    Examples
    --------
    >>> check_variables("sales.nc", "y")
    Traceback (most recent call last):
    mmm_xgen.errors.SchemaError: found a path, allowed: an xarray.Dataset; load(path) reads one
    """
    check_dataset(ds)
    for name in names:
        if name not in ds.variables:
            raise SchemaError(
                f"the Dataset has no {name!r}; pass one that generate_mmm_dataset made "
                f"(found: {', '.join(map(str, ds.data_vars)) or 'no variable'})"
            )
        wanted = set(describe(name).dims)
        found = set(map(str, ds[name].dims))
        if not wanted <= found:
            raise SchemaError(
                f"{name!r} has dims {sorted(found)}, allowed: {sorted(wanted)}"
                + how_to_keep(ds, wanted - found)
            )


def parts_of(ds: xr.Dataset) -> list[str]:
    """Return the names of the variables that add up to expected sales.

    Names of parts that every Dataset has are among them even if `ds` has lost them.

    Raises
    ------
    SchemaError
        If `ds` is not a Dataset.

    Examples
    --------
    >>> import mmm_xgen
    >>> parts_of(mmm_xgen.generate_mmm_dataset())[-2:]
    ['control_contribution', 'channel_contribution']
    """
    check_dataset(ds)
    return [name for name in PARTS if name in ALWAYS or name in ds]


def mechanisms_of(ds: xr.Dataset) -> dict[str, str]:
    """Return the mechanisms of the world that a Dataset comes from, in words by variable.

    Raises
    ------
    SchemaError
        If `ds` is not a Dataset.

    Examples
    --------
    >>> import mmm_xgen
    >>> mechanisms_of(mmm_xgen.generate_mmm_dataset(demand={}))
    {'demand_contribution': 'latent demand'}
    """
    check_dataset(ds)
    return {name: words for name, words in MECHANISMS.items() if name in ds}


def how_to_keep(data: Labelled, dims: Iterable[str]) -> str:
    """Return advice on a selection that keeps dims, for data that lost them by selecting one label.

    Examples
    --------
    >>> import mmm_xgen
    >>> ds = mmm_xgen.generate_mmm_dataset()
    >>> how_to_keep(ds.sel(geo="geo_a"), ["geo"])
    '; select with a list, which keeps the dim: .sel(geo=["geo_a"])'
    """
    lost = sorted(dim for dim in dims if dim not in data.dims)
    if not lost:
        return ""
    if all(dim in data.coords for dim in lost):
        labels = [str(data[dim].to_numpy())[: 10 if dim == "date" else 60] for dim in lost]
        kept = ", ".join(
            f"{dim}=[{json.dumps(label, ensure_ascii=False)}]"
            for dim, label in zip(lost, labels, strict=True)
        )
        return f"; select with a list, which keeps the dim: .sel({kept})"
    kept = ", ".join(f"{dim}=[0]" for dim in lost)
    return f"; select with a list, which keeps the dim: .isel({kept})"


def check_whole(ds: xr.Dataset) -> None:
    """Raise if dims, labels, types or missing values differ from those of a generated Dataset.

    Variables that are not in the table are not checked. Parameters may be missing, as after an
    aggregation.

    Raises
    ------
    SchemaError
        The message names the variable or coordinate, what was found and what is needed.

    Examples
    --------
    >>> import mmm_xgen
    >>> check_whole(mmm_xgen.generate_mmm_dataset().isel(date=[0, 0]))
    Traceback (most recent call last):
    mmm_xgen.errors.SchemaError: 'date' has the label '2022-01-03' twice, allowed: each once
    """
    check_dataset(ds)
    if "dataset" in ds.dims:
        raise SchemaError(
            f"this is an ensemble of {ds.sizes['dataset']} datasets; save one of them with "
            "to_netcdf(mmm_xgen.ensemble.element(ds, 0), path)"
        )
    for name in map(str, ds.dims):
        if name in COORDINATES:
            _check_labels(ds, name)
    for name in map(str, ds.data_vars):
        if name in COORDINATES:
            raise SchemaError(f"{name!r} is not a coordinate; pass ds.set_coords({name!r})")
    for name in map(str, ds.variables):
        is_parameter = name in ds.data_vars and name.startswith(tuple(FAMILIES))
        if name in VARIABLES or name in COORDINATES or is_parameter:
            _check_values(ds[name], name)


def _check_labels(ds: xr.Dataset, dim: str) -> None:
    """Raise if the labels of a dim are missing, of another type, repeated or out of order."""
    import pandas as pd

    if dim not in ds.indexes:
        raise SchemaError(f"the dim {dim!r} has no labels, allowed: one for each entry")
    index = ds.indexes[dim]
    if not len(index):
        if dim in MEDIA:
            raise SchemaError(f"{dim!r} has no entry, allowed: at least 1")
        return
    found, needed = pd.api.types.infer_dtype(index, skipna=False), "string"
    if dim in ("date", "history_date"):
        needed = "datetime64"
    elif dim == "lag":
        needed = "integer"
    if found != needed or index.hasnans:
        raise SchemaError(f"{dim!r} has labels of type {found}, allowed: {needed}, none missing")
    if not index.is_unique:
        twice = str(index[index.duplicated()][0]).removesuffix(" 00:00:00")
        raise SchemaError(f"{dim!r} has the label {twice[:40]!r} twice, allowed: each once")
    if needed == "datetime64" and not index.is_monotonic_increasing:
        raise SchemaError(f"{dim!r} is not in order, allowed: the earliest first")


def _check_values(values: xr.DataArray, name: str) -> None:
    """Raise if a variable has other dims, text for numbers, or missing values in a series."""
    import numpy as np

    dims, found = {*describe(name).dims}, {*map(str, values.dims)}
    # After an aggregation over time, variables that are otherwise constant have dates.
    if not dims <= found <= dims | {"date"}:
        raise SchemaError(f"{name!r} has dims {sorted(found)}, allowed: {sorted(dims)}")
    if name in COORDINATES:
        return
    if values.dtype.kind not in "fiu":
        raise SchemaError(f"{name!r} has values of type {values.dtype}, allowed: numbers")
    whole = "date" in dims and name not in LOST and not name.startswith(STATE)
    if whole and not np.isfinite(values.to_numpy()).all():
        raise SchemaError(f"{name!r} has values that are missing or infinite, allowed: none")


def check_dataset(value: object, argument: str = "") -> None:
    """Raise if a value is not a Dataset, with advice on how to get one from it.

    Parameters
    ----------
    value : object
        Value to check.
    argument : str, default ""
        Name of the argument, which begins the message.

    Raises
    ------
    SchemaError
        If `value` is not an `xarray.Dataset`.

    Examples
    --------
    >>> check_dataset({"y": 1}, "params")
    Traceback (most recent call last):
    mmm_xgen.errors.SchemaError: params: found a dict, allowed: an xarray.Dataset
    """
    import pandas as pd
    import xarray as xr

    if isinstance(value, xr.Dataset):
        return
    found, hint = f"a {type(value).__name__}", ""
    if value is None:
        found = "None"
    elif isinstance(value, str | os.PathLike):
        found, hint = "a path", "; load(path) reads one"
    elif isinstance(value, pd.DataFrame):
        hint = "; from_frame makes one of a wide frame"
    elif isinstance(value, xr.DataArray):
        hint = "; pass the Dataset that the array comes from"
    elif isinstance(value, xr.DataTree):
        hint = "; take a group of the tree with .to_dataset()"
    begin = f"{argument}: " if argument else ""
    raise SchemaError(f"{begin}found {found}, allowed: an xarray.Dataset{hint}")


def takes_datasets(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Decorate a function: check every argument that is annotated as a Dataset, before it runs.

    None passes if the annotation allows it. Arguments that may be of another type, such as a frame,
    are checked by `function` itself.

    Examples
    --------
    >>> @takes_datasets
    ... def sales(ds: xr.Dataset):
    ...     return ds["y"]
    >>> sales(None)
    Traceback (most recent call last):
    mmm_xgen.errors.SchemaError: ds: found None, allowed: an xarray.Dataset
    """
    signature = inspect.signature(function)
    optional = {
        name: parameter.annotation != "xr.Dataset"
        for name, parameter in signature.parameters.items()
        if parameter.annotation in ("xr.Dataset", "xr.Dataset | None")
    }

    @functools.wraps(function)
    def checked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        given = {**dict(zip(signature.parameters, args, strict=False)), **kwargs}
        for name, may_be_none in optional.items():
            if name in given and not (may_be_none and given[name] is None):
                check_dataset(given[name], name)
        return function(*args, **kwargs)

    return checked
