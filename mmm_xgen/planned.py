"""A media plan that the user gives in place of drawn spend."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from mmm_xgen.config.base import shown
from mmm_xgen.config.channel import ChannelConfig, ControlConfig
from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.experiment import ExperimentConfig
from mmm_xgen.config.region import RegionConfig
from mmm_xgen.config.spend_plan import SpendPlanConfig
from mmm_xgen.config.transform import TransformConfig
from mmm_xgen.errors import ConfigError, SchemaError, nearest, warn
from mmm_xgen.kernels.domain import FloatArray

DEFAULT_TRANSFORMS = {"adstock": "geometric_adstock", "saturation": "hill_function"}


def planned(
    config: MMMDataConfig | None, seed: int | None, spend: Any
) -> tuple[MMMDataConfig, xr.Dataset | None]:
    """Configuration with the seed and, where a plan is given, its channels, dates and geos.

    Raises
    ------
    ConfigError
        If a configured channel is not in the plan, or a list does not fit it.
    SchemaError
        If the plan has a fault.
    """
    if config is None:
        from mmm_xgen.config.default import DEFAULT_CONFIG

        config = DEFAULT_CONFIG
    if not isinstance(config, MMMDataConfig):
        raise ConfigError(
            f"found {shown(config)}, allowed: an MMMDataConfig; make one with "
            "MMMDataConfig.from_dict, MMMDataConfig.from_yaml or get_preset_config"
        )
    if seed is not None:
        config = config.replace(seed=seed)
    if spend is None:
        if not config.channels:
            raise ConfigError("found a spend_plan and no plan; pass spend=", path="spend_plan")
        return config, None
    plan = _read(spend, config.spend_plan or SpendPlanConfig(), config.channel_names)
    plan.attrs["contains_experiments"] = _experiments_of(spend) == config.experiments
    names = [str(name) for name in plan["channel"].values]
    for position, name in enumerate(config.channel_names):
        if name not in names:
            raise ConfigError(
                f"found {name!r}, which the plan has no spend of; {nearest(name, names)}",
                path=f"channels.{position}.name",
            )
    configured = dict(zip(config.channel_names, _with_own_transforms(config), strict=True))
    controls = dict(zip(config.control_names, config.control_variables, strict=True))
    for name in plan["control"].values if "control" in plan else ():
        controls.setdefault(str(name), ControlConfig(name=str(name)))
    history = plan.sizes.get("history_date", 0)
    if config.burn_in_periods and not history:
        warn(
            f"burn_in_periods is {config.burn_in_periods}, but the plan has no spend before its "
            "first date: nothing carries over into it. Pass a Dataset with spend_history",
        )
    _warn_of_unscaled_curves(config, plan)
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
    return planned_config, plan


def _experiments_of(spend: Any) -> tuple[ExperimentConfig, ...] | None:
    """Experiments that spend contains already, as that of a Dataset made with them does."""
    if not isinstance(spend, xr.Dataset):
        return None
    written = spend.attrs.get("config") or spend.attrs.get("factual_config")
    return MMMDataConfig.from_json(str(written)).experiments if written else None


def _is_labelled_already(spend: Any, names: list[str]) -> bool:
    """Whether labelled data has the names of channels, and not the columns that a file had."""
    if not isinstance(spend, xr.DataArray | xr.Dataset) or "channel" not in spend.coords:
        return False
    if "config" in spend.attrs or "factual_config" in spend.attrs:
        return True
    return bool(names) and all(name in names for name in spend["channel"].values)


def _read(spend: Any, mapping: SpendPlanConfig, names: list[str]) -> xr.Dataset:
    """Read the plan, with the spend before it where a Dataset has that too."""
    from mmm_xgen.plan import read_plan

    if _is_labelled_already(spend, names):
        mapping = SpendPlanConfig(freq=mapping.freq, national_name=mapping.national_name)
    plan = read_plan(spend, mapping)
    if not isinstance(spend, xr.Dataset) or "spend_history" not in spend:
        return plan
    history = spend["spend_history"]
    needed = {"history_date", "geo", "channel"}
    if set(history.dims) != needed:
        raise SchemaError(f"'spend_history' has dims {history.dims}, needed: {sorted(needed)}")
    history = history.sel(geo=plan["geo"].values, channel=plan["channel"].values)
    if not np.all(np.isfinite(history)) or np.any(history < 0):
        raise SchemaError("'spend_history' has a negative or missing value")
    return plan.assign(spend_history=history)


def _warn_of_unscaled_curves(config: MMMDataConfig, plan: xr.Dataset) -> None:
    """Warn where a curve follows a base spend that has nothing to do with the plan.

    The curve never follows the plan itself: twice the spend must not move it.
    """
    configured = dict(zip(config.channel_names, config.channels, strict=True))
    means = plan["spend"].where(plan["spend"] > 0).mean(("date", "geo"))
    far = []
    for name in map(str, plan["channel"].values):
        base = (configured.get(name) or ChannelConfig(name=name)).base_spend
        mean = float(means.sel(channel=name))
        if base > 0 and not 0.1 <= mean / base <= 10 and not np.isnan(mean):
            far.append(f"{name!r} ({mean:.3g} against {base:.3g})")
    if far:
        warn(
            f"mean spend of the plan is far from base_spend for {', '.join(far)}; set base_spend "
            "or the saturation's parameters, which follow it",
        )


def _with_own_transforms(config: MMMDataConfig) -> list[ChannelConfig]:
    """Channels that carry what a list in `transforms` says of them, so that order is free."""
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
    """Transforms without their lists, unless there are no channels that took them over."""
    listed = {
        field: DEFAULT_TRANSFORMS[field]
        for field in DEFAULT_TRANSFORMS
        if isinstance(getattr(config.transforms, field), tuple) and config.channels
    }
    return config.transforms.replace(**listed) if listed else config.transforms


def _planned_regions(regions: RegionConfig, geos: list[str]) -> RegionConfig:
    """Regions with the geos of the plan; configured names must be those of the plan.

    Lists without names, of populations say, follow the order in which the plan names its geos.
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
    """Earlier spend, spend and control values of a plan, in the order of the configuration.

    Parameters
    ----------
    plan : Dataset
        As `read_plan` returns it.
    config : MMMDataConfig
        Configuration that `planned` fitted to the plan.
    value : array, dims (dataset, control, geo, date)
        Drawn values, for the controls that the plan lacks.

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
