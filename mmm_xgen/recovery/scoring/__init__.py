"""Scores of a fit against the truth, and statistics of scores over many datasets."""

from mmm_xgen.recovery.scoring.scores import score, tidy

__all__ = ["score", "tidy"]
