"""A method against real images alone: differences seed by seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PairedDifference:
    """What a method gains over the baseline, seeds paired.

    Attributes:
        differences: method minus baseline, one a seed.
        mean: their mean.
        std: their sample standard deviation (n - 1), NaN for one seed.
        low, high: 95 % confidence interval of the mean (Student's t).
    """

    differences: tuple[float, ...]
    mean: float
    std: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"


def compare_with_baseline(
    method: Sequence[float], baseline: Sequence[float]
) -> PairedDifference:
    """Return the paired differences of scores, one a seed each, in the same order.

    A seed's training images, held-out images and initial weights are the same on both
    sides, so what they add to both scores cancels.

    Raises:
        ValueError: if the two are not as long, empty, or no plain lists of numbers.
    """
    ours, theirs = (np.asarray(scores, dtype=float) for scores in (method, baseline))
    if ours.ndim != 1 or ours.shape != theirs.shape or not len(ours):
        raise ValueError(
            f"one score a seed on either side is needed, got {ours.shape} and "
            f"{theirs.shape}"
        )
    from scipy.stats import t

    gains = ours - theirs
    n, mean = len(gains), float(gains.mean())
    std = float(gains.std(ddof=1)) if n > 1 else math.nan
    half = float(t.ppf(0.975, n - 1)) * std / math.sqrt(n) if n > 1 else math.nan
    return PairedDifference(tuple(gains.tolist()), mean, std, mean - half, mean + half)
