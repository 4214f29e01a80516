from . import ensemble as ensemble
from . import export as export
from . import plots as plots
from . import presets as presets
from . import quality as quality
from . import recovery as recovery
from . import report as report
from . import truth as truth
from .aggregate import aggregate as aggregate
from .config.channel import (
    ChannelConfig as ChannelConfig,
)
from .config.channel import (
    ControlConfig as ControlConfig,
)
from .config.data import MMMDataConfig as MMMDataConfig
from .config.default import DEFAULT_CONFIG as DEFAULT_CONFIG
from .config.event import EventConfig as EventConfig
from .config.experiment import ExperimentConfig as ExperimentConfig
from .config.region import RegionConfig as RegionConfig
from .config.transform import TransformConfig as TransformConfig
from .ensemble.distributions import Uniform as Uniform
from .ensemble.generate import generate_ensemble as generate_ensemble
from .errors import (
    AlignmentError as AlignmentError,
)
from .errors import (
    ConfigError as ConfigError,
)
from .errors import (
    MissingDependencyError as MissingDependencyError,
)
from .errors import (
    SchemaError as SchemaError,
)
from .errors import (
    UnknownKindError as UnknownKindError,
)
from .errors import (
    XgenError as XgenError,
)
from .errors import (
    XgenWarning as XgenWarning,
)
from .export.files import (
    load as load,
)
from .export.files import (
    to_netcdf as to_netcdf,
)
from .export.files import (
    write_csv as write_csv,
)
from .export.files import (
    write_ground_truth as write_ground_truth,
)
from .export.files import (
    write_json as write_json,
)
from .export.files import (
    write_parquet as write_parquet,
)
from .export.ground_truth import ground_truth as ground_truth
from .frames.observed import from_frame as from_frame
from .frames.wide import to_frame as to_frame
from .generate import (
    generate_mmm_dataset as generate_mmm_dataset,
)
from .generate import (
    regenerate as regenerate,
)
from .kernels.adstock import register_adstock as register_adstock
from .kernels.baseline import (
    register_event_shape as register_event_shape,
)
from .kernels.baseline import (
    register_trend as register_trend,
)
from .kernels.budget_rules import (
    register_budget_rule as register_budget_rule,
)
from .kernels.effect_paths import (
    register_effect_path as register_effect_path,
)
from .kernels.noise import register_noise as register_noise
from .kernels.patterns import register_pattern as register_pattern
from .kernels.responses import register_response as register_response
from .kernels.saturation import register_saturation as register_saturation
from .presets import (
    customize_preset as customize_preset,
)
from .presets import (
    get_preset_config as get_preset_config,
)
from .presets import (
    list_available_presets as list_available_presets,
)
from .presets import (
    list_available_worlds as list_available_worlds,
)
from .quality.checks import check_data_quality as check_data_quality
from .quality.report import suggest_fixes as suggest_fixes
from .report.page import write_report as write_report
from .version import __version__ as __version__
from .world import (
    respond as respond,
)
from .world import (
    total_response as total_response,
)
