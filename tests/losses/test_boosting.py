"""AdaBoost.OL, against the algorithm written out sample by sample."""

import math

import pytest
import torch

from multigan_lib.losses import boosting


def reference(margins, alpha, rate):
    """Algorithm 2 of Beygelzimer et al. for one mini-batch, in plain Python."""
    learners, n = len(margins), len(margins[0])
    weights = [[0.0] * n for _ in range(learners)]
    moves = [0.0] * learners
    for sample in range(n):
        total = 0.0
        for i in range(learners):
            before = max(-4.0, min(4.0, total))
            weights[i][sample] = 1 / (1 + math.exp(before))
            total += alpha[i] * margins[i][sample]
            together = max(-4.0, min(4.0, total))
            moves[i] += margins[i][sample] / (1 + math.exp(together)) / n
    after = [
        max(-2.0, min(2.0, a + rate * m)) for a, m in zip(alpha, moves, strict=True)
    ]
    return weights, after


@pytest.mark.parametrize("rate", [0.1, 4.0])
def test_weights_and_step_are_those_of_the_algorithm(rate):
    generator = torch.Generator().manual_seed(1)
    margins = torch.rand(5, 40, generator=generator, dtype=torch.float64) * 2 - 1
    alpha = torch.rand(5, generator=generator, dtype=torch.float64) * 4 - 2
    weights, after = reference(margins.tolist(), alpha.tolist(), rate)
    found = boosting.example_weights(margins, alpha)
    assert torch.allclose(found, torch.tensor(weights, dtype=torch.float64))
    stepped = boosting.step(alpha, margins, rate)
    assert torch.allclose(stepped, torch.tensor(after, dtype=torch.float64))


def test_a_learner_that_is_right_gains_weight_and_the_next_sees_what_is_wrong():
    margins = torch.tensor([[1.0, 1.0, 1.0, -1.0], [0.0, 0.0, 0.0, 1.0]])
    alpha = torch.zeros(2)
    for t in range(1, 200):
        alpha = boosting.step(alpha, margins, 4 / math.sqrt(t))
    assert alpha.min() > 0 and alpha.max() <= 2
    first, second = boosting.example_weights(margins, alpha)
    assert torch.equal(first, torch.full((4,), 0.5))
    assert second[3] > 0.5 > second[0]
