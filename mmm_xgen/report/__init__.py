"""The report on a dataset, as one HTML file."""

from mmm_xgen.report.page import write_report

__all__ = ["write_report"]
