"""How good, and how varied, generated samples are, and which game wins a battle."""

from . import features
from .battle import Battle, Tournament, gam, tournament
from .modes import ModeCoverage, StackedCoverage, mode_coverage, stacked_coverage
from .scores import Score, fid, inception_score, kid, ms_ssim

__all__ = [
    "Battle",
    "ModeCoverage",
    "Score",
    "StackedCoverage",
    "Tournament",
    "features",
    "fid",
    "gam",
    "inception_score",
    "kid",
    "mode_coverage",
    "ms_ssim",
    "stacked_coverage",
    "tournament",
]
