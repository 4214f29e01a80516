"""Quality checks of a dataset, generated or not, before a model is fitted."""

from mmm_xgen.quality.checks import CHECKS, Check, check_data_quality
from mmm_xgen.quality.report import DataQualityReport, Finding, suggest_fixes

__all__ = [
    "CHECKS",
    "Check",
    "DataQualityReport",
    "Finding",
    "check_data_quality",
    "suggest_fixes",
]
