"""Every variable of the Dataset in one table: dims, units and meaning.

Documentation, labels and validation read it. `UNITS` are templates over the currency and the
KPI of the dataset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmm_xgen.errors import SchemaError

if TYPE_CHECKING:
    import xarray as xr

SCHEMA_VERSION = "1.0"

CURRENCY = "{currency}"
KPI = "{kpi}"
NONE = "1"


@dataclass(frozen=True)
class Variable:
    """Dims, units and meaning of one variable.

    `is_parameter` marks what `generate_mmm_dataset` takes as ``params=``.
    """

    dims: tuple[str, ...]
    units: str
    long_name: str
    is_parameter: bool = False


PANEL = ("date", "geo")
MEDIA = ("date", "geo", "channel")
CONTROLS = ("date", "geo", "control")

VARIABLES: dict[str, Variable] = {
    "spend": Variable(MEDIA, CURRENCY, "spend per period"),
    "spend_history": Variable(
        ("history_date", "geo", "channel"), CURRENCY, "spend per period before the window"
    ),
    "carryover": Variable(MEDIA, CURRENCY, "spend after adstock"),
    "saturated": Variable(MEDIA, NONE, "response to carried-over spend, per unit of effect"),
    "channel_contribution": Variable(MEDIA, KPI, "contribution of the channel"),
    "control_value": Variable(CONTROLS, NONE, "value of the control"),
    "control_contribution": Variable(CONTROLS, KPI, "contribution of the control"),
    "intercept_contribution": Variable(("geo",), KPI, "base sales per period", True),
    "trend_contribution": Variable(PANEL, KPI, "contribution of the trend"),
    "seasonality_contribution": Variable(PANEL, KPI, "contribution of all seasons"),
    "event_contribution": Variable(PANEL, KPI, "contribution of holidays and events"),
    "mu": Variable(PANEL, KPI, "expected sales"),
    "noise": Variable(PANEL, KPI, "sales minus expected sales"),
    "y": Variable(PANEL, KPI, "sales"),
    "revenue_per_kpi": Variable(PANEL, CURRENCY + " / " + KPI, "revenue per unit of the KPI"),
    "effect": Variable(
        ("geo", "channel"), KPI, "contribution per period where the curve is 1", True
    ),
    "saturation_amplitude": Variable(
        ("geo", "channel"), NONE, "amplitude of the curve as configured, before the effect"
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

# Parameters whose names depend on the kinds in use, by prefix.
FAMILIES: dict[str, Variable] = {
    "adstock_": Variable(("geo", "channel"), NONE, "adstock parameter", True),
    "saturation_": Variable(("geo", "channel"), NONE, "saturation parameter", True),
    "trend_": Variable(("geo",), NONE, "trend parameter", True),
    "noise_": Variable(("geo",), NONE, "noise parameter", True),
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
    "control_column": Variable(("control",), NONE, "column of the wide frame"),
    "period_days": Variable(("seasonal_mode",), "days", "length of the season"),
}


def describe(name: str) -> Variable:
    """Dims, units and meaning of the variable `name`.

    Raises
    ------
    SchemaError
        If no variable of that name belongs to the Dataset.

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


def attributes(name: str, currency: str, kpi: str) -> dict[str, str]:
    """Attributes ``units`` and ``long_name`` of the variable `name`."""
    variable = describe(name)
    units = variable.units.format(currency=currency, kpi=kpi)
    return {"units": units, "long_name": variable.long_name}


def require(ds: xr.Dataset, *names: str) -> None:
    """Refuse a Dataset that lacks a variable or has it with other dims.

    Raises
    ------
    SchemaError
        It names the variable, what was found and what is needed.
    """
    for name in names:
        if name not in ds.variables:
            raise SchemaError(
                f"the Dataset has no {name!r}; pass one that generate_mmm_dataset made "
                f"(found: {', '.join(map(str, ds.data_vars)) or 'no variable'})"
            )
        wanted = set(describe(name).dims)
        found = set(map(str, ds[name].dims))
        if not wanted <= found:
            raise SchemaError(f"{name!r} has dims {sorted(found)}, needed: {sorted(wanted)}")


def stamp(ds: xr.Dataset, *, currency: str, kpi: str) -> xr.Dataset:
    """Give every variable its ``units`` and ``long_name``, in place, and return the Dataset."""
    for name, variable in ds.variables.items():
        if str(name) in COORDINATES or str(name) in ds.data_vars:
            variable.attrs.update(attributes(str(name), currency, kpi))
    return ds
