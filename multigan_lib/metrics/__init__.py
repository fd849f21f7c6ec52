"""How good, and how varied, generated samples are."""

from . import features
from .modes import ModeCoverage, StackedCoverage, mode_coverage, stacked_coverage
from .scores import Score, fid, inception_score, kid, ms_ssim

__all__ = [
    "ModeCoverage",
    "Score",
    "StackedCoverage",
    "features",
    "fid",
    "inception_score",
    "kid",
    "mode_coverage",
    "ms_ssim",
    "stacked_coverage",
]
