"""What is true of a dataset beyond what it stores: returns, shares and totals."""

from mmm_xgen.truth.estimands import attribution, contribution_totals, roas

__all__ = ["attribution", "contribution_totals", "roas"]
