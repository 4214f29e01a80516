"""Conversion of arrays to the labelled Dataset, and of the Dataset to its configuration."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd
import xarray as xr

from mmm_xgen.config.causes import channel_position
from mmm_xgen.config.data import MMMDataConfig, resolved_frequency
from mmm_xgen.config.names import column, coordinate_label
from mmm_xgen.config.paths import entries, with_overrides_at
from mmm_xgen.config.roles import control_roles
from mmm_xgen.config.specs import Spec
from mmm_xgen.errors import SchemaError
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.schema import SCHEMA_VERSION, Meaning, attributes, describe, takes_datasets
from mmm_xgen.version import __version__

# Attribute of an ensemble: the paths of the numbers that vary, as a JSON list.
VARIED = "varied"

Function = TypeVar("Function", bound=Callable[..., Any])


def labels_of(config: MMMDataConfig) -> dict[str, list[str]]:
    """Return the labels of every dim except date and lag.

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
        "funnel": [
            " > ".join(coordinate_label(name, "x", 0) for name in (each.source, each.target))
            for each in config.funnels
        ],
        "campaign": [": ".join(names) for names in config.campaign_names],
        "promotion": config.promotion_names,
        "mediator": [coordinate_label(each.name, "c", 0) for each in config.mediators],
        "interaction": [
            " x ".join(coordinate_label(name, "x", 0) for name in each.channels)
            for each in config.interactions
        ],
    }


def in_dataset_order(name: str, values: FloatArray, leading: int = 0) -> FloatArray:
    """Return a view of an array with the dims of `schema`; kernels have dates last, not first.

    Parameters
    ----------
    name : str
        Name of the variable.
    values : array
        Array with the dims of `schema`, in reverse order if one of them is a date.
    leading : int
        Number of dims before them, which stay.
    """
    if describe(name).dims[0] not in ("date", "history_date"):
        return values
    axes = range(values.ndim)
    return values.transpose(*axes[:leading], *reversed(axes[leading:]))


def sizes_of(config: MMMDataConfig) -> dict[str, int]:
    """Return the length of every dim.

    Examples
    --------
    >>> from mmm_xgen import DEFAULT_CONFIG
    >>> sizes_of(DEFAULT_CONFIG)["date"]
    104
    """
    sizes = {dim: len(labels) for dim, labels in labels_of(config).items()}
    lengths = {"date": config.n_periods, "history_date": config.burn_in_periods}
    return {**sizes, **lengths, "lag": max(config.l_max)}


def of_this_schema(ds: xr.Dataset) -> xr.Dataset:
    """Dataset of an earlier schema in the present one; others stay as they are.

    Schema 1 kept the amplitude as configured in a variable of its own, beside the one that
    contains the effect.
    """
    if str(ds.attrs.get("schema_version", "")).split(".")[0] != "1":
        return ds
    kept = ds.drop_vars("saturation_amplitude", errors="ignore")
    return kept.assign_attrs(schema_version=SCHEMA_VERSION)


def as_dataset(
    config: MMMDataConfig,
    variables: Mapping[str, Any],
    *,
    given: list[str],
    spend_is_given: bool,
    leading: tuple[str, ...] = (),
) -> xr.Dataset:
    """Label arrays as a Dataset, with canonical dims, units and the whole configuration.

    Parameters
    ----------
    config : MMMDataConfig
        Configuration that the arrays were generated from.
    variables : mapping of str to array
        NumPy or Dask arrays by Dataset name, with the dims of `schema`.
    given : list of str
        Names of the parameters that the user gave.
    spend_is_given : bool
        True if the spend is the user's.
    leading : tuple of str
        Dims before those of `schema`.

    Returns
    -------
    Dataset
    """
    units = {"currency": config.currency, "kpi": config.kpi}
    meanings = _meanings(config)
    # A part that the configuration does not have is not shown; controls always are, so that
    # their sum can be taken from any Dataset.
    data = {
        name: (
            (*leading, *dims),
            values,
            attributes(name, meanings.get(name, ()), **units),
        )
        for name, values in variables.items()
        if "control" in (dims := describe(name).dims) or 0 not in values.shape
    }
    if not config.transforms.adstock_first:
        before_adstock = {
            "saturated": {"long_name": "response to spend, per unit of effect"},
            "carryover": {
                "units": "1",
                "long_name": "response after adstock, per unit of effect",
            },
        }
        for name in before_adstock.keys() & data.keys():
            data[name][2].update(before_adstock[name])
    if config.response is not None and "effect" in data:
        rate = "pressure on the population per period where `saturated` is 1"
        data["effect"][2].update(units="1", long_name=rate)
    attrs: dict[str, Any] = {
        "config": config.with_holiday_dates().to_json(),
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
    if config.response is not None:
        attrs["response_kind"] = config.response.kind
    coordinates = []
    for name, (dim, values) in _coordinates(config).items():
        meaning = attributes(name, **units)
        if isinstance(values, Dates):
            # CF says of dates what units they have; a second word on it cannot be written.
            del meaning["units"]
        coordinates.append((name, dim, values, tuple(meaning.items())))
    return xr.Dataset(data, coords=_indexed(tuple(coordinates)), attrs=attrs)


class Dates(bytes):
    """Days of a coordinate, as bytes that a cache can compare."""


# Name, dim, values and attributes of a coordinate.
Labelled = tuple[str, str, Any, tuple[tuple[str, str], ...]]


# Most of the time of a small dataset would go into the same indexes again and again.
@functools.lru_cache(maxsize=64)
def _indexed(parts: tuple[Labelled, ...]) -> xr.Coordinates:
    """Coordinates from name, dim, values and attributes of each; they cannot be written to.

    Every Dataset with the same labels has them. xarray gives each its own copy of the attributes.
    """
    made = xr.Coordinates(
        {name: (dim, _array(values), dict(about)) for name, dim, values, about in parts}
    )
    for each in (*made.variables.values(), *made.indexes.values()):
        np.asarray(each).flags.writeable = False
    return made


def _array(values: Any) -> Any:
    if isinstance(values, Dates):
        days = np.frombuffer(values, dtype="datetime64[D]")
        return pd.DatetimeIndex(days.astype("datetime64[ns]"))
    return np.array(values) if values else np.array(values, dtype=str)


def _meanings(config: MMMDataConfig) -> dict[str, list[Meaning]]:
    """Return the units and meaning that the kinds in use give their parameters, by Dataset name."""
    found: dict[str, list[Meaning]] = {}
    stages: dict[str, Sequence[Any]] = {
        "adstock": config.adstocks,
        "saturation": config.saturations,
        "trend": [config.regions.trend],
        "noise": [config.regions.noise],
        "response": [config.response] if config.response is not None else [],
    }
    for stage, specs in stages.items():
        for kind in dict.fromkeys(spec.registered for spec in specs):
            for name, parameter in kind.shown.items():
                if parameter.meaning:
                    meaning = (kind.name, parameter.units, parameter.meaning)
                    found.setdefault(f"{stage}_{name}", []).append(meaning)
    return found


def _coordinates(config: MMMDataConfig) -> dict[str, tuple[str, Any]]:
    """Dim and values of every coordinate, which a cache can compare."""
    calendar = config.calendar
    days = calendar.dates.astype("datetime64[D]")
    labels = labels_of(config)
    channels, controls = labels["channel"], labels["control"]
    adstocks, saturations = config.adstocks, config.saturations
    l_max = config.l_max
    coordinates: dict[str, tuple[str, Any]] = {
        "date": ("date", Dates(days[calendar.burn_in :].tobytes())),
        "geo": ("geo", labels["geo"]),
        "channel": ("channel", channels),
        "lag": ("lag", range(max(l_max))),
        "adstock_kind": ("channel", [spec.kind for spec in adstocks]),
        "saturation_kind": ("channel", [spec.kind for spec in saturations]),
        "l_max": ("channel", l_max),
        "normalize": ("channel", [spec.normalize for spec in adstocks]),
        "channel_column": ("channel", [column(n, "x", i) for i, n in enumerate(channels)]),
        **_settings("adstock_", adstocks),
        **_settings("saturation_", saturations),
    }
    if calendar.burn_in:
        coordinates["history_date"] = ("history_date", Dates(days[: calendar.burn_in].tobytes()))
    columns = [column(name, "c", i) for i, name in enumerate(controls)]
    coordinates |= {"control": ("control", controls), "control_column": ("control", columns)}
    coordinates["control_role"] = ("control", control_roles(config))
    if labels["seasonal_mode"]:
        coordinates["seasonal_mode"] = ("seasonal_mode", labels["seasonal_mode"])
        lengths = [
            season.days / (1 if season.weekday_effects is not None else harmonic)
            for season in config.regions.seasonalities
            for harmonic in _harmonics(len(season.mode_names), season.modes)
        ]
        coordinates["period_days"] = ("seasonal_mode", lengths)
    coordinates |= _ends_of_connections(config)
    for dim in (
        "fourier_mode",
        "event",
        "funnel",
        "interaction",
        "mediator",
        "promotion",
        "campaign",
    ):
        if labels[dim]:
            coordinates[dim] = (dim, labels[dim])
    return {
        name: (dim, tuple(values) if isinstance(values, list) else values)
        for name, (dim, values) in coordinates.items()
    }


def _ends_of_connections(config: MMMDataConfig) -> dict[str, tuple[str, Any]]:
    """Return coordinates for the channels that funnels and interactions connect."""
    names = config.channel_names

    def labels(written: Iterable[str]) -> list[str]:
        return [names[channel_position(name, names)] for name in written]

    found: dict[str, tuple[str, Any]] = {}
    if config.funnels:
        found |= {
            "funnel_source": ("funnel", labels(each.source for each in config.funnels)),
            "funnel_target": ("funnel", labels(each.target for each in config.funnels)),
            "funnel_lag": ("funnel", [each.lag for each in config.funnels]),
            "funnel_paid": ("funnel", [each.paid for each in config.funnels]),
        }
    pulls = [channel.pull_forward for channel in config.channels]
    if any(pulls):
        periods = [0 if each is None else each.periods for each in pulls]
        found["pull_forward_periods"] = ("channel", periods)
    promoted = [each.pull_forward for each in config.promotions]
    if any(promoted):
        periods = [0 if each is None else each.periods for each in promoted]
        found["promotion_pull_forward_periods"] = ("promotion", periods)
    if config.campaign_names:
        found["campaign_channel"] = ("campaign", [name for name, _ in config.campaign_names])
    if config.interactions:
        pairs = [each.channels for each in config.interactions]
        found |= {
            "interaction_first": ("interaction", labels(first for first, _ in pairs)),
            "interaction_second": ("interaction", labels(second for _, second in pairs)),
        }
    return found


def _harmonics(n_names: int, modes: int) -> list[int]:
    return [position % modes + 1 for position in range(n_names)]


def _settings(prefix: str, specs: Any) -> dict[str, tuple[str, Any]]:
    """Return coordinates for the settings that some kinds have, such as ``adstock_type``."""
    names = {name for spec in specs for name in spec.settings}
    return {
        prefix + name: ("channel", [_setting(spec, name) for spec in specs])
        for name in sorted(names)
    }


def _setting(spec: Spec, name: str) -> str:
    return str(spec.settings.get(name, ""))


def config_of(ds: xr.Dataset) -> MMMDataConfig:
    """Return the configuration that a Dataset was generated from.

    For one dataset of an ensemble it has the numbers and the seed of that dataset. For a whole
    ensemble it is the shared configuration, whose numbers vary.

    Raises
    ------
    SchemaError
        If the Dataset has no configuration.
    ConfigError
        If the configuration uses a callable or kind that is not registered.
    """
    if "config" not in ds.attrs:
        raise SchemaError(
            "the Dataset has no 'config' attribute; pass one that generate_mmm_dataset made"
        )
    config = MMMDataConfig.from_json(str(ds.attrs["config"]))
    if not is_element(ds):
        return config
    varied = {path: _values_of(ds, path) for path in varied_paths(ds)}
    numbers: dict[str, Any] = {
        path: value
        for star, values in varied.items()
        for path, value in _paired(config, star, values)
    }
    changed = with_overrides_at(config, numbers)[0] if numbers else config
    return changed.replace(seed=int(ds["seed"]))


def is_element(ds: xr.Dataset) -> bool:
    """Tell if a Dataset is one dataset taken out of an ensemble."""
    return VARIED in ds.attrs and "dataset" not in ds.dims


def varied_paths(ds: xr.Dataset) -> list[str]:
    """Return the paths of the numbers that vary in an ensemble."""
    try:
        paths: Any = json.loads(str(ds.attrs[VARIED]))
    except (ValueError, RecursionError):
        paths = None
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise SchemaError(f"the attribute {VARIED!r} is not a JSON list of paths; keep it")
    return paths


def coordinate_of(path: str) -> str:
    """Return the name of the coordinate of a path.

    It is the path itself, with the prefix ``config.`` if a variable has the same name.

    Examples
    --------
    >>> coordinate_of("channels.TV.roas"), coordinate_of("revenue_per_kpi")
    ('channels.TV.roas', 'config.revenue_per_kpi')
    """
    return path if "." in path else f"config.{path}"


def _values_of(ds: xr.Dataset, path: str) -> list[Any]:
    """Return the values of a path's coordinate in one dataset."""
    coordinate = coordinate_of(path)
    for name in (coordinate, "seed"):
        if name not in ds.coords:
            raise SchemaError(f"the Dataset has lost its coordinate {name!r}; keep it")
    values: list[Any] = np.ravel(ds[coordinate].to_numpy()).tolist()
    return values


def _paired(config: MMMDataConfig, star: str, values: list[Any]) -> Iterator[tuple[str, Any]]:
    dim, paths = entries(config, star)
    if dim == "control":
        # Controls of demand, promotions and mediators come last and have no numbers of this path.
        values = values[: len(paths)]
    if len(paths) != len(values):
        raise SchemaError(
            f"the coordinate {star!r} has {len(values)} of {len(paths)} values; take the dataset "
            "out of the ensemble with all of them"
        )
    return zip(paths, values, strict=True)


def in_memory(function: Function) -> Function:
    """Decorate a function: check its Dataset arguments, and compute the lazy ones before the call.

    An ensemble stays lazy: a function of one dataset raises before the ensemble fills the memory.

    Examples
    --------
    >>> @in_memory
    ... def total(array):
    ...     return float(array.sum())
    >>> total(xr.DataArray([1.0, 2.0]).chunk(1))
    3.0
    """
    checked = takes_datasets(function)

    @functools.wraps(function)
    def on_numbers(*args: Any, **kwargs: Any) -> Any:
        named = {name: _computed(value) for name, value in kwargs.items()}
        return checked(*map(_computed, args), **named)

    return cast(Function, on_numbers)


def _computed(value: Any) -> Any:
    is_labelled = isinstance(value, xr.Dataset | xr.DataArray)
    if not is_labelled or "dataset" in value.dims or value.__dask_graph__() is None:
        return value
    return value.compute()
