"""The report: one HTML file that shows and tells what is in a dataset."""

from mmm_xgen.report.page import write_report

__all__ = ["write_report"]
