"""Mode coverage on samples whose coverage is known."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from multigan_lib import data
from multigan_lib.metrics import mode_coverage, stacked_coverage

RING = data.ring()
N = 4096


def test_the_truth_is_perfect():
    c = mode_coverage(RING.sample(100_000, seed=0), RING)
    assert c.modes == 8 and c.n == 100_000
    assert c.high_quality == pytest.approx(1 - math.exp(-4.5), abs=0.001)
    assert c.variance_ratio == pytest.approx(1, abs=0.01)
    assert 0 <= c.kl < 3e-4
    assert c.counts.sum() == pytest.approx(c.high_quality * c.n)


def test_the_truth_of_the_grid_and_of_unequal_weights():
    grid = data.grid()
    c = mode_coverage(grid.sample(50_000, seed=0), grid)
    assert c.modes == 25
    assert c.variance_ratio == pytest.approx(1, abs=0.01)

    uneven = data.PointMixture(RING.means[:3], RING.std, torch.tensor([6.0, 3.0, 1.0]))
    c = mode_coverage(uneven.sample(50_000, seed=0), uneven)
    assert c.kl < 1e-3
    equal = data.PointMixture(RING.means[:3], RING.std)
    c = mode_coverage(equal.sample(50_000, seed=0), uneven)
    expected = -math.log(3) - np.log([0.6, 0.3, 0.1]).mean()
    assert c.kl == pytest.approx(expected, abs=0.01)


def test_one_mode():
    x = RING.means[3] + RING.std * torch.randn(N, 2)
    c = mode_coverage(x, RING)
    assert c.modes == 1
    assert c.kl == pytest.approx(math.log(8))
    assert c.counts[3] == c.counts.sum()


@pytest.mark.parametrize("shrink", [0.0, 0.3, 0.7])
def test_shrunken_modes_are_seen(shrink):
    """They beat the truth in quality; the variance gives them away."""
    x = RING.means.repeat(N // 8, 1).float()
    noise = torch.randn(N, 2, generator=torch.Generator().manual_seed(0))
    c = mode_coverage(x + shrink * RING.std * noise, RING)
    assert c.modes == 8 and c.kl == pytest.approx(0, abs=1e-3)
    assert c.high_quality >= 0.989
    expected = shrink**2 / (1 - 4.5 / math.expm1(4.5))
    assert c.variance_ratio == pytest.approx(expected, rel=0.05, abs=1e-12)
    assert c.variance_ratio < 0.55


def test_points_just_off_their_modes_are_no_variance():
    """A common shift of every mode is not width."""
    x = RING.means.repeat(N // 8, 1) + torch.tensor([2 * RING.std, 0.0])
    c = mode_coverage(x, RING)
    assert c.high_quality == 1 and c.variance_ratio == pytest.approx(0, abs=1e-20)


def test_radius_is_three_standard_deviations():
    step = torch.tensor([0.0, RING.std])
    inside = mode_coverage((RING.means[:1] + 2.999 * step).repeat(30, 1), RING)
    outside = mode_coverage((RING.means[:1] + 3.001 * step).repeat(30, 1), RING)
    assert inside.high_quality == 1 and inside.modes == 1
    assert outside.high_quality == 0 and outside.modes == 0
    assert outside.kl == math.inf and math.isnan(outside.variance_ratio)


@pytest.mark.parametrize("n", [2048, 4096, 8192, 40960])
def test_threshold_scales_with_n(n):
    """More than 20 of 4096: 10 of 2048, 40 of 8192, …"""
    needed = 20 * n // 4096
    for hits, modes in [(needed, 1), (needed + 1, 2)]:
        mode = torch.tensor([0] * (n - hits) + [1] * hits)
        assert mode_coverage(RING.means[mode], RING).modes == modes


def test_counts_equal_plain_numpy():
    x = 4 * torch.rand(500, 2, generator=torch.Generator().manual_seed(1)) - 2
    c = mode_coverage(x, RING)
    distance = np.linalg.norm(x.numpy()[:, None] - RING.means.numpy()[None], axis=2)
    nearest, least = distance.argmin(1), distance.min(1)
    good = least <= 3 * RING.std
    np.testing.assert_array_equal(c.counts, np.bincount(nearest[good], minlength=8))
    within = [x.numpy()[good & (nearest == m)] for m in range(8)]
    squares = sum(((p - p.mean(0)) ** 2).sum() for p in within if len(p))
    freedom = sum(len(p) - 1 for p in within if len(p))
    # The truth's variance inside 3σ, by quadrature over the radius
    r = np.linspace(0, 3, 200_001)
    weight = r * np.exp(-(r**2) / 2)
    truth = (weight * r**2).sum() / weight.sum() / 2
    assert c.variance_ratio == pytest.approx(
        squares / (2 * freedom) / (truth * RING.std**2), rel=1e-4
    )


def test_samples_and_tensors_are_the_same():
    x = RING.sample(512, seed=0)
    a, b = mode_coverage(x, RING), mode_coverage(SimpleNamespace(x=x), RING)
    assert str(a) == str(b)
    assert "8 of 8 modes" in str(a) and "n = 512" in str(a)


def test_bad_points_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 3\)"):
        mode_coverage(torch.zeros(4, 3), RING)
    with pytest.raises(ValueError, match=r"\(0, 2\)"):
        mode_coverage(torch.zeros(0, 2), RING)
    with pytest.raises(ValueError, match="diverge"):
        mode_coverage(torch.full((4, 2), math.nan), RING)
    with pytest.raises(TypeError, match="list"):
        mode_coverage([[0.0, 1.0]], RING)


# -------------------------------------------------------------- stacked digits


def by_mean(x):
    """A labeller for flat test images whose grey value is the digit."""
    return ((x.mean((1, 2, 3)) + 1) * 4.5).round().long()


def flat(modes):
    digits = torch.stack([modes // 100, modes // 10 % 10, modes % 10], 1)
    return (digits / 4.5 - 1)[:, :, None, None].expand(-1, -1, 8, 8).clone()


def test_stacked_modes_are_counted():
    c = stacked_coverage(flat(torch.arange(1000)), by_mean)
    assert (c.modes, c.n) == (1000, 1000)
    assert c.kl == pytest.approx(0, abs=1e-12)
    c = stacked_coverage(flat(torch.tensor([7, 7, 350, 999])), by_mean)
    assert c.modes == 3 and c.counts[7] == 2 and c.counts[350] == 1
    expected = math.log(1000) - (0.5 * math.log(2) + 0.5 * math.log(4))
    assert c.kl == pytest.approx(expected)


def test_stacked_digits_are_read_by_the_frozen_classifier():
    stack = data.load("stacked_mnist", "test", source="digits", n=500)
    c = stacked_coverage(stack)
    true = torch.bincount(stack.labels, minlength=1000).numpy()
    agreement = np.minimum(c.counts, true).sum() / 500
    assert agreement > 0.9
    assert stacked_coverage(stack, "digits").modes == c.modes
    assert stacked_coverage(stack.x()).modes == c.modes


def test_bad_stacks_are_refused():
    with pytest.raises(ValueError, match="3 channels, got 1"):
        stacked_coverage(torch.zeros(4, 1, 16, 16))
    with pytest.raises(ValueError, match="12 integers"):
        stacked_coverage(torch.zeros(4, 3, 8, 8), lambda x: x[:, 0, 0, 0])
    with pytest.raises(ValueError, match="digits 0 to 9"):
        stacked_coverage(torch.zeros(4, 3, 8, 8), lambda x: torch.full((len(x),), 10))
