"""Marketing-mix datasets whose truth is known.

One configuration and one seed make a labelled `xarray.Dataset` with dims
``(date, geo, channel)``: spend, adstock, saturation, contributions, baseline, controls, noise,
sales and every true parameter.
"""

import mmm_xgen.interrupt  # before everything that takes time to import

# isort: split
from typing import TYPE_CHECKING, Any

import mmm_xgen.accessor  # noqa: F401  (registers `ds.mmm`)
from mmm_xgen.aggregate import aggregate
from mmm_xgen.config.channel import ChannelConfig, ControlConfig
from mmm_xgen.config.data import MMMDataConfig
from mmm_xgen.config.event import EventConfig
from mmm_xgen.config.experiment import ExperimentConfig
from mmm_xgen.config.region import RegionConfig
from mmm_xgen.config.transform import TransformConfig
from mmm_xgen.errors import (
    AlignmentError,
    ConfigError,
    MissingDependencyError,
    SchemaError,
    UnknownKindError,
    XgenError,
    XgenWarning,
)
from mmm_xgen.export import (
    ground_truth,
    load,
    to_frame,
    to_netcdf,
    write_csv,
    write_ground_truth,
    write_json,
    write_parquet,
)
from mmm_xgen.generate import generate_mmm_dataset, regenerate
from mmm_xgen.kernels.adstock import register_adstock
from mmm_xgen.kernels.baseline import register_event_shape, register_trend
from mmm_xgen.kernels.noise import register_noise
from mmm_xgen.kernels.patterns import register_pattern
from mmm_xgen.kernels.saturation import register_saturation
from mmm_xgen.presets import customize_preset, get_preset_config, list_available_presets
from mmm_xgen.response import respond
from mmm_xgen.version import __version__

if TYPE_CHECKING:
    from mmm_xgen.config.default import DEFAULT_CONFIG
    from mmm_xgen.distributions import Uniform
    from mmm_xgen.ensemble import generate_ensemble
    from mmm_xgen.export.observed import from_frame
    from mmm_xgen.quality import check_data_quality, suggest_fixes
    from mmm_xgen.report import write_report

# Name and the module that it is imported from once it is asked for.
_LATER = {
    "DEFAULT_CONFIG": "mmm_xgen.config.default",
    "Uniform": "mmm_xgen.distributions",
    "check_data_quality": "mmm_xgen.quality",
    "from_frame": "mmm_xgen.export.observed",
    "generate_ensemble": "mmm_xgen.ensemble",
    "suggest_fixes": "mmm_xgen.quality",
    "write_report": "mmm_xgen.report",
}
# Modules that are there without an import of their own, from when they are asked for.
_MODULES_LATER = {"ensemble", "truth"}

__all__ = [
    "DEFAULT_CONFIG",
    "AlignmentError",
    "ChannelConfig",
    "ConfigError",
    "ControlConfig",
    "EventConfig",
    "ExperimentConfig",
    "MMMDataConfig",
    "MissingDependencyError",
    "RegionConfig",
    "SchemaError",
    "TransformConfig",
    "Uniform",
    "UnknownKindError",
    "XgenError",
    "XgenWarning",
    "__version__",
    "aggregate",
    "check_data_quality",
    "customize_preset",
    "from_frame",
    "generate_ensemble",
    "generate_mmm_dataset",
    "get_preset_config",
    "ground_truth",
    "list_available_presets",
    "load",
    "regenerate",
    "register_adstock",
    "register_event_shape",
    "register_noise",
    "register_pattern",
    "register_saturation",
    "register_trend",
    "respond",
    "suggest_fixes",
    "to_frame",
    "to_netcdf",
    "write_csv",
    "write_ground_truth",
    "write_json",
    "write_parquet",
    "write_report",
]


def __getattr__(name: str) -> Any:
    # Building a configuration costs more than importing the package: only who asks pays.
    from importlib import import_module

    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    if name in _MODULES_LATER:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
