"""From arrays to the labelled Dataset, and from the Dataset back to its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mmm_xgen.config.data import MMMDataConfig, resolved_frequency
from mmm_xgen.config.names import column
from mmm_xgen.config.specs import Spec
from mmm_xgen.errors import SchemaError
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.schema import SCHEMA_VERSION, attributes, describe
from mmm_xgen.version import __version__


def labels_of(config: MMMDataConfig) -> dict[str, list[str]]:
    """Labels of every dim but date and lag.

    Examples
    --------
    >>> from mmm_xgen import DEFAULT_CONFIG
    >>> labels_of(DEFAULT_CONFIG)["fourier_mode"]
    ['sin_1', 'cos_1']
    """
    regions = config.regions
    harmonics = range(1, regions.fourier_modes + 1)
    return {
        "geo": list(regions.names),
        "channel": config.channel_names,
        "control": config.control_names,
        "event": [event.name for event in config.events],
        "fourier_mode": [f"{wave}_{k}" for wave in ("sin", "cos") for k in harmonics],
        "seasonal_mode": [name for season in regions.seasonalities for name in season.mode_names],
    }


def label(
    config: MMMDataConfig,
    variables: Mapping[str, FloatArray],
    *,
    given: list[str],
    spend_is_given: bool,
) -> xr.Dataset:
    """Label arrays as a Dataset, with canonical dims, units and the whole configuration.

    Parameters
    ----------
    config : MMMDataConfig
        Configuration that the arrays were made from.
    variables : mapping of str to array
        Arrays by Dataset name, with the dims of `schema` where these do not have a date, and
        with reversed dims, the date last, where they do.
    given : list of str
        Names of the parameters that the user gave.
    spend_is_given : bool
        Whether spend is the user's.

    Returns
    -------
    Dataset
    """
    units = {"currency": config.currency, "kpi": config.kpi}
    kinds = [spec.kind for spec in (*config.adstocks, *config.saturations)]
    data = {}
    for name, values in variables.items():
        dims = describe(name).dims
        if dims[0] in ("date", "history_date"):
            # A view: the kernels keep dates last, the Dataset shows them first.
            values = values.T
        data[name] = (dims, values, attributes(name, **units, kinds=kinds))
    if not config.transforms.adstock_first:
        data["saturated"][2]["long_name"] = "response to spend, per unit of effect"
        data["carryover"][2].update(
            units="1", long_name="response after adstock, per unit of effect"
        )
    # A part that the configuration does not have is not shown; controls always are, so that
    # their sum can be taken from any Dataset.
    shown = {
        name: entry
        for name, entry in data.items()
        if 0 not in entry[1].shape or "control" in entry[0]
    }
    attrs: dict[str, Any] = {
        "config": config.to_json(),
        "seed": config.seed,
        "schema_version": SCHEMA_VERSION,
        "mmm_xgen_version": __version__,
        "currency": config.currency,
        "kpi": config.kpi,
        "freq": resolved_frequency(config),
        "adstock_first": int(config.transforms.adstock_first),
        "spend_is_given": int(spend_is_given),
        "given_params": ",".join(given),
    }
    ds = xr.Dataset(shown, coords=_coordinates(config), attrs=attrs)
    for coordinate in ds.coords.values():
        meaning = attributes(str(coordinate.name), **units)
        # CF says of dates what units they have; a second word on it cannot be written.
        is_date = coordinate.dtype.kind == "M"
        coordinate.attrs.update({"long_name": meaning["long_name"]} if is_date else meaning)
    return ds


def _coordinates(config: MMMDataConfig) -> dict[str, Any]:
    calendar = config.calendar
    dates = pd.DatetimeIndex(calendar.dates.astype("datetime64[ns]"))
    labels = labels_of(config)
    channels, controls = labels["channel"], labels["control"]
    adstocks, saturations = config.adstocks, config.saturations
    l_max = config.l_max
    coordinates: dict[str, Any] = {
        "date": ("date", dates[calendar.burn_in :]),
        "geo": labels["geo"],
        "channel": channels,
        "lag": np.arange(max(l_max)),
        "adstock_kind": ("channel", [spec.kind for spec in adstocks]),
        "saturation_kind": ("channel", [spec.kind for spec in saturations]),
        "l_max": ("channel", l_max),
        "normalize": ("channel", [spec.normalize for spec in adstocks]),
        "channel_column": ("channel", [column(n, "x", i) for i, n in enumerate(channels)]),
        **_settings("adstock_", adstocks),
        **_settings("saturation_", saturations),
    }
    if calendar.burn_in:
        coordinates["history_date"] = dates[: calendar.burn_in]
    columns = [column(name, "c", i) for i, name in enumerate(controls)]
    coordinates["control"] = np.array(controls, dtype=str)
    coordinates["control_column"] = ("control", np.array(columns, dtype=str))
    if labels["seasonal_mode"]:
        coordinates["seasonal_mode"] = labels["seasonal_mode"]
        days = [
            season.days / (1 if season.weekday_effects is not None else harmonic)
            for season in config.regions.seasonalities
            for harmonic in _harmonics(len(season.mode_names), season.modes)
        ]
        coordinates["period_days"] = ("seasonal_mode", days)
    for dim in ("fourier_mode", "event"):
        if labels[dim]:
            coordinates[dim] = labels[dim]
    return coordinates


def _harmonics(n_names: int, modes: int) -> list[int]:
    return [position % modes + 1 for position in range(n_names)]


def _settings(prefix: str, specs: Any) -> dict[str, Any]:
    """Coordinates of the choices, such as ``adstock_type``, that some kinds have."""
    names = {name for spec in specs for name in spec.settings}
    return {
        prefix + name: ("channel", [_setting(spec, name) for spec in specs])
        for name in sorted(names)
    }


def _setting(spec: Spec, name: str) -> str:
    return str(spec.settings.get(name, ""))


def config_of(ds: xr.Dataset) -> MMMDataConfig:
    """Return the configuration that a Dataset was generated from.

    Raises
    ------
    SchemaError
        If the Dataset does not carry one.
    ConfigError
        If the configuration uses a callable or kind that is not registered.
    """
    if "config" not in ds.attrs:
        raise SchemaError(
            "the Dataset has no 'config' attribute; pass one that generate_mmm_dataset made"
        )
    return MMMDataConfig.from_json(str(ds.attrs["config"]))
