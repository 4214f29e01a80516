"""Fit a configuration to a media plan that replaces drawn spend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from mmm_xgen.config.channel import ChannelConfig, ControlConfig
from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.experiment import ExperimentConfig
from mmm_xgen.config.names import join_path, position_part
from mmm_xgen.config.region import RegionConfig
from mmm_xgen.config.specs import SaturationSpec
from mmm_xgen.config.spend_plan import SpendPlanConfig
from mmm_xgen.config.transform import TransformConfig
from mmm_xgen.dataset import config_of
from mmm_xgen.errors import ConfigError, SchemaError, XgenError, nearest, warn
from mmm_xgen.frames.columns import chosen_columns
from mmm_xgen.kernels.calendar import FREQUENCIES, Dates, regular
from mmm_xgen.kernels.domain import FloatArray
from mmm_xgen.presets import Config, config_from

DEFAULT_TRANSFORMS = {"adstock": "geometric_adstock", "saturation": "hill_function"}


def config_and_plan(
    source: Config, seed: int | None, spend: Any, overrides: Mapping[str, Any]
) -> tuple[MMMDataConfig, xr.Dataset | None]:
    """Configuration with the seed and, if there is a plan, its channels, dates and geos.

    Raises
    ------
    ConfigError
        If the configuration does not exist, or needs a plan and none is given. If a configured
        channel is not in the plan, or a list does not fit the plan.
    SchemaError
        If the plan has a fault.
    """
    config = config_from(source, overrides)
    if seed is not None:
        config = config.replace(seed=seed)
    if spend is None:
        check_no_plan(
            config,
            "pass the plan, as in generate_mmm_dataset(config, spend='plan.csv') or "
            "'mmm-xgen generate config.yaml --spend plan.csv'",
        )
        return config, None
    plan = _read(spend, config.spend_plan or SpendPlanConfig(), config.channel_names)
    plan.attrs["contains_experiments"] = _contains(config.experiments, spend)
    names = [str(name) for name in plan["channel"].values]
    for position, name in enumerate(config.channel_names):
        if name not in names:
            part = position_part(position, config.channel_names)
            raise ConfigError(
                f"found {name!r}, which the plan has no spend of; {nearest(name, names)}",
                path=join_path(("channels", part, "name")),
            )
    configured = dict(zip(config.channel_names, _with_own_transforms(config), strict=True))
    # Controls that follow demand come after these.
    controls = dict(zip(config.control_names, config.control_variables, strict=False))
    for name in map(str, plan["control"].values if "control" in plan else ()):
        if name not in config.control_names:
            controls[name] = ControlConfig(name=name)
    history = plan.sizes.get("history_date", 0)
    if config.burn_in_periods and not history:
        warn(
            f"burn_in_periods is {config.burn_in_periods}, but the plan has no spend before its "
            "first date: nothing carries over into it. Pass a Dataset with spend_history",
        )
    planned_config = config.replace(
        n_periods=plan.sizes["date"],
        start_date=np.datetime64(plan["date"].values[0], "D"),
        freq=str(plan.attrs["freq"]),
        burn_in_periods=history,
        channels=[configured.get(name) or ChannelConfig(name=name) for name in names],
        control_variables=list(controls.values()),
        transforms=_shared_transforms(config),
        regions=_planned_regions(config.regions, [str(geo) for geo in plan["geo"].values]),
    )
    _warn_of_unscaled_curves(planned_config, plan)
    return planned_config, plan


def check_no_plan(config: MMMDataConfig, instead: str) -> None:
    """Raise if a configuration has a `spend_plan`: its spend is to be read, not drawn.

    Parameters
    ----------
    config : MMMDataConfig
        Configuration whose spend would be drawn.
    instead : str
        Advice on how to give the plan.

    Raises
    ------
    ConfigError
        If there is a `spend_plan`.
    """
    if config.spend_plan is not None:
        raise ConfigError(
            f"found a spend_plan and no plan, so that spend would be drawn; {instead}. "
            "Remove spend_plan to draw spend",
            path="spend_plan",
        )


def _contains(experiments: tuple[ExperimentConfig, ...], spend: Any) -> bool:
    """Return True if `spend` is of a Dataset that was generated with these experiments."""
    if not experiments or not isinstance(spend, xr.Dataset):
        return False
    written = spend.attrs.get("config") or spend.attrs.get("factual_config")
    if not written:
        return False
    try:
        return config_of(spend.assign_attrs(config=written)).experiments == experiments
    except XgenError as error:
        warn(
            f"the configuration that spend carries cannot be read ({error}), so that the "
            "experiments are put into it, where they may be already",
        )
        return False


def _is_labelled_already(spend: Any, names: list[str]) -> bool:
    """Return True if labelled data has names of channels, not names of a file's columns."""
    if not isinstance(spend, xr.DataArray | xr.Dataset) or "channel" not in spend.coords:
        return False
    if "config" in spend.attrs or "factual_config" in spend.attrs:
        return True
    return bool(names) and all(name in names for name in np.atleast_1d(spend["channel"].values))


def _read(spend: Any, mapping: SpendPlanConfig, names: list[str]) -> xr.Dataset:
    """Read the plan and, from a Dataset that has it, the spend before the first date."""
    if _is_labelled_already(spend, names):
        mapping = SpendPlanConfig(freq=mapping.freq, national_name=mapping.national_name)
    # The readers of files cost time to import, and most datasets have no plan.
    from mmm_xgen.media_plan.reading import read_plan

    plan = read_plan(spend, mapping)
    if not isinstance(spend, xr.Dataset) or "spend_history" not in spend:
        return plan
    return plan.assign(spend_history=_history(spend["spend_history"], plan, mapping))


def _history(history: xr.DataArray, plan: xr.Dataset, mapping: SpendPlanConfig) -> xr.DataArray:
    """Read the spend before the first date, with the labels of the plan."""
    needed = {"history_date", "geo", "channel"}
    if set(history.dims) != needed:
        raise SchemaError(f"'spend_history' has dims {history.dims}, allowed: {sorted(needed)}")
    written = [str(name) for name in history["channel"].values]
    geos = [str(geo) for geo in history["geo"].values]
    if set(geos) != set(plan["geo"].values):
        raise SchemaError("'spend_history' has the dim 'geo' and 'spend' has not; give it to both")
    names = chosen_columns(mapping.channels, written, field="channels", own_names_only=False)
    history = history.assign_coords(channel=written, geo=geos).sel(channel=list(names))
    history = history.assign_coords(channel=list(names.values()))
    history = history.sel(geo=plan["geo"].values, channel=plan["channel"].values)
    if not np.all(np.isfinite(history)) or np.any(history < 0):
        raise SchemaError("'spend_history' has a negative or missing value")
    if "history_date" in history.coords:
        _check_a_gap(history["history_date"].to_numpy(), plan)
    return history


def _check_a_gap(dates: Dates, plan: xr.Dataset) -> None:
    """Raise unless the history ends one period before the plan begins."""
    first = plan["date"].values[0].astype("datetime64[D]")
    step = FREQUENCIES[str(plan.attrs["freq"])]
    needed = regular(first, 0, step, burn_in=len(dates)).dates
    if not np.array_equal(dates.astype("datetime64[D]"), needed):
        raise SchemaError(
            f"'spend_history' ends with {str(dates[-1])[:10]}, allowed: every period up to "
            f"{needed[-1]}, the one before the first date; drop it, or give all dates after it"
        )


def _warn_of_unscaled_curves(config: MMMDataConfig, plan: xr.Dataset) -> None:
    """Warn if mean spend of the plan is far from the base spend that sets the curve.

    The plan itself never sets the curve: twice the spend must not move it.
    """
    means = plan["spend"].where(plan["spend"] > 0).mean(("date", "geo"))
    in_currency = config.transforms.spend_unit == "currency"
    far = []
    for channel, name, saturation in zip(
        config.channels, config.channel_names, config.saturations, strict=True
    ):
        base, mean = channel.base_spend, float(means.sel(channel=name))
        if in_currency and not _follows_base_spend(saturation):
            continue
        if base > 0 and not 0.1 <= mean / base <= 10 and not np.isnan(mean):
            far.append(f"{name!r} ({mean:.3g} against {base:.3g})")
    if far:
        also = " or the saturation's parameters, which follow it" if in_currency else ""
        warn(
            f"mean spend of the plan is far from base_spend for {', '.join(far)}; set base_spend"
            f"{also}",
        )


def _follows_base_spend(saturation: SaturationSpec) -> bool:
    """Return True if a parameter in units of spend is not given."""
    return any(
        parameter.spend_power and saturation.parameters[name] is None
        for name, parameter in saturation.registered.parameters.items()
    )


def _with_own_transforms(config: MMMDataConfig) -> list[ChannelConfig]:
    """Move the entries of lists in `transforms` to their channels, whose order may change."""
    channels = []
    pairs = zip(config.channels, config.adstocks, config.saturations, strict=True)
    for channel, adstock, saturation in pairs:
        own: dict[str, Any] = {}
        if isinstance(config.transforms.adstock, tuple):
            own["adstock"] = adstock
        if isinstance(config.transforms.saturation, tuple):
            own["saturation"] = saturation
        channels.append(channel.replace(**own) if own else channel)
    return channels


def _shared_transforms(config: MMMDataConfig) -> TransformConfig:
    """Transforms without the lists that `_with_own_transforms` moved to the channels."""
    listed = {
        field: DEFAULT_TRANSFORMS[field]
        for field in DEFAULT_TRANSFORMS
        if isinstance(getattr(config.transforms, field), tuple) and config.channels
    }
    return config.transforms.replace(**listed) if listed else config.transforms


def _planned_regions(regions: RegionConfig, geos: list[str]) -> RegionConfig:
    """Regions with the geos of the plan. Configured names must be those of the plan.

    Lists without names, such as populations, are in the order of the geos in the plan.
    """
    names = regions.region_names
    if names is None:
        return regions.replace(n_regions=len(geos), region_names=geos)
    for position, name in enumerate(names):
        if name not in geos:
            raise ConfigError(
                f"found {name!r}, which the plan has no rows of; {nearest(name, geos)}",
                path=f"regions.region_names.{position}",
            )
    missing = [geo for geo in geos if geo not in names]
    if missing:
        raise ConfigError(
            f"the plan has the geo {missing[0]!r}, which is not among them; name all or none",
            path="regions.region_names",
        )
    return regions


def given_spend(
    plan: xr.Dataset, config: MMMDataConfig, value: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Spend before the window, spend and controls of a plan, in the order of the configuration.

    Parameters
    ----------
    plan : Dataset
        As `read_plan` returns it.
    config : MMMDataConfig
        Configuration that `config_and_plan` fitted to the plan.
    value : array, dims (dataset, control, geo, date)
        Drawn values, used for the controls that are not in the plan.

    Returns
    -------
    history : array, dims (dataset, channel, geo, history_date)
    spend : array, dims (dataset, channel, geo, date)
    value : array, dims (dataset, control, geo, date)
    """
    plan = plan.sel(geo=list(config.regions.names), channel=config.channel_names)
    # Sums depend on the order of memory in their last bit, so plans get the order of drawn spend.
    spend = np.ascontiguousarray(plan["spend"].transpose("channel", "geo", "date"), dtype=float)
    history = spend[..., :0]
    if "spend_history" in plan:
        earlier = plan["spend_history"].transpose("channel", "geo", "history_date")
        history = np.ascontiguousarray(earlier, dtype=float)
    if "control_value" in plan:
        known = plan["control_value"].transpose("control", "geo", "date")
        rows = [config.control_names.index(str(name)) for name in known["control"].values]
        value[:, rows] = known.to_numpy()
    return history[None], spend[None], value
