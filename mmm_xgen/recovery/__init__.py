"""Fits of real models, scored against the truth that the generator knows.

Importing this is light: a library is imported when its model is fitted.
"""

from mmm_xgen.recovery.alignment.pymc import (
    from_pymc,
    from_pymc_prior,
    truth_as_posterior,
    write_reference,
)
from mmm_xgen.recovery.alignment.pymc_truth import no_single_truth, to_pymc_truth
from mmm_xgen.recovery.estimates import estimates_of
from mmm_xgen.recovery.fit import MODELS, Fit, FitSettings, register_model
from mmm_xgen.recovery.models import least_squares, meridian, pymc_arms, pymc_calibration
from mmm_xgen.recovery.models.pymc_fit import register_pymc_model

# Importing a module of models registers them.
_REGISTERED = (least_squares, meridian, pymc_arms, pymc_calibration)

__all__ = [
    "MODELS",
    "Fit",
    "FitSettings",
    "estimates_of",
    "from_pymc",
    "from_pymc_prior",
    "no_single_truth",
    "register_model",
    "register_pymc_model",
    "to_pymc_truth",
    "truth_as_posterior",
    "write_reference",
]
