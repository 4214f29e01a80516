"""Benchmark of real models, scored against the true parameters and returns.

Each library is imported only when its model is fitted.
"""

from mmm_xgen.recovery.alignment.meridian import (
    from_meridian,
    from_meridian_prior,
    to_meridian_truth,
)
from mmm_xgen.recovery.alignment.pymc import (
    from_pymc,
    from_pymc_prior,
    truth_as_posterior,
)
from mmm_xgen.recovery.alignment.pymc_truth import no_single_truth, to_pymc_truth
from mmm_xgen.recovery.alignment.reference import write_reference
from mmm_xgen.recovery.estimates import estimates_of
from mmm_xgen.recovery.fit import MODELS, Fit, FitSettings, register_model
from mmm_xgen.recovery.models import least_squares, meridian, pymc_arms, pymc_calibration
from mmm_xgen.recovery.models.linear_fit import LeastSquares, fit_least_squares
from mmm_xgen.recovery.models.meridian import ask_analyzer
from mmm_xgen.recovery.models.pymc_calibration import calibration_config
from mmm_xgen.recovery.models.pymc_fit import components_of, model_class, register_pymc_model
from mmm_xgen.recovery.run import run_study
from mmm_xgen.recovery.scoring import score, tidy
from mmm_xgen.recovery.scoring.aggregates import aggregate, paired_differences
from mmm_xgen.recovery.scoring.calibration import coverage, uniformity
from mmm_xgen.recovery.scoring.metrics import METRICS, register_metric
from mmm_xgen.recovery.scoring.self_check import self_check
from mmm_xgen.recovery.study.results import Study
from mmm_xgen.recovery.study.saved import series_of

# Importing a module of models registers them.
_REGISTERED = (least_squares, meridian, pymc_arms, pymc_calibration)

__all__ = [
    "METRICS",
    "MODELS",
    "Fit",
    "FitSettings",
    "LeastSquares",
    "Study",
    "aggregate",
    "ask_analyzer",
    "calibration_config",
    "components_of",
    "coverage",
    "estimates_of",
    "fit_least_squares",
    "from_meridian",
    "from_meridian_prior",
    "from_pymc",
    "from_pymc_prior",
    "model_class",
    "no_single_truth",
    "paired_differences",
    "register_metric",
    "register_model",
    "register_pymc_model",
    "run_study",
    "score",
    "self_check",
    "series_of",
    "tidy",
    "to_meridian_truth",
    "to_pymc_truth",
    "truth_as_posterior",
    "uniformity",
    "write_reference",
]
