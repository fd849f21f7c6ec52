"""Online boosting: N weak discriminators that vote, each trained where the others fail.

A vote h in [-1, 1] for a sample of class y = ±1 has the margin z = y h. Learner i has a
weight α_i; s_i = Σ_{j ≤ i} α_j z_j is the margin of the first i learners together.

Source: Beygelzimer, Kale and Luo, Optimal and adaptive algorithms for online boosting
(ICML 2015), algorithm 2 (AdaBoost.OL), of which a mini-batch takes the mean step; the
limits of weights and margins are those of GMAN's official code.
"""

import torch
from torch import Tensor

__all__ = ["example_weights", "step"]

LARGEST_WEIGHT = 2.0
LARGEST_MARGIN = 4.0


def example_weights(margins: Tensor, alpha: Tensor) -> Tensor:
    """How much each sample counts for each learner: σ(-s_{i-1}).

    Args:
        margins: z (N, n), in [-1, 1].
        alpha: the learners' weights (N,).

    Returns:
        (N, n) in (0, 1); ½ for the first learner, more where the learners before are
        wrong.
    """
    before = _together(margins, alpha).roll(1, 0)
    before[0] = 0
    return torch.sigmoid(-before)


def step(alpha: Tensor, margins: Tensor, rate: float | Tensor) -> Tensor:
    """The learners' weights (N,) after one step: α_i + rate · mean of z_i σ(-s_i).

    Args:
        alpha: the weights before (N,).
        margins: z (N, n).
        rate: step size; 4/√t in the paper, for step t = 1, 2, …
    """
    gain = (margins * torch.sigmoid(-_together(margins, alpha))).mean(1)
    return (alpha + rate * gain).clamp(-LARGEST_WEIGHT, LARGEST_WEIGHT)


def _together(margins: Tensor, alpha: Tensor) -> Tensor:
    """s (N, n)."""
    total = (alpha[:, None] * margins).cumsum(0)
    return total.clamp(-LARGEST_MARGIN, LARGEST_MARGIN)
