import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

import multigan_lib as mg
from multigan_lib.datasets import PointMixture, Spec


def uneven():
    means = torch.tensor([[0.0, 0.0], [3.0, -1.0], [-2.0, 4.0]])
    return PointMixture(means, 0.7, torch.tensor([1.0, 2.0, 5.0]))


def test_the_ring_is_mgans():
    ring = mg.data.ring()
    assert ring.means.shape == (8, 2) and ring.means.dtype == torch.float64
    torch.testing.assert_close(ring.means.norm(dim=1), torch.full((8,), 2.0).double())
    steps = (ring.means - ring.means.roll(1, 0)).norm(dim=1)
    torch.testing.assert_close(steps, steps[:1].expand(8))
    assert ring.std**2 == pytest.approx(0.02)
    assert ring.shape == (2,) and ring.spec == Spec((2,), 8) and ring.name == "ring"


def test_the_grid_is_centred_and_square():
    grid = mg.data.grid()
    assert grid.means.shape == (25, 2) and grid.means.abs().max() == 4
    assert grid.means.mean(0).abs().max() < 1e-12
    assert len({tuple(mean) for mean in grid.means.tolist()}) == 25
    assert mg.data.grid(side=1).means.tolist() == [[0.0, 0.0]]
    assert sorted(mg.data.grid(side=2, spacing=3.0).means.tolist()) == [
        [-1.5, -1.5],
        [-1.5, 1.5],
        [1.5, -1.5],
        [1.5, 1.5],
    ]


@pytest.mark.parametrize("mixture", [mg.data.ring(), mg.data.grid(), uneven()])
def test_density_equals_scipys(mixture):
    x = np.random.default_rng(0).normal(0, 3, (200, 2))
    expected = sum(
        weight * multivariate_normal(mean, mixture.std**2 * np.eye(2)).pdf(x)
        for weight, mean in zip(
            mixture.weights.tolist(), mixture.means.numpy(), strict=True
        )
    )
    got = mixture.density(torch.from_numpy(x))
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-10, atol=1e-300)


def test_log_density_is_finite_where_the_density_underflows():
    value = mg.data.grid().log_prob(torch.tensor([[400.0, 0.0]]))
    distance = 396.0**2 / (2 * 0.05**2)
    expected = -distance - math.log(2 * math.pi * 0.05**2) - math.log(25)
    assert value.dtype == torch.float64
    assert value.item() == pytest.approx(expected, rel=1e-12)


def test_density_integrates_to_one():
    ticks = torch.linspace(-4, 4, 401, dtype=torch.float64)
    points = torch.cartesian_prod(ticks, ticks)
    total = mg.data.ring().density(points).sum() * (8 / 400) ** 2
    assert total.item() == pytest.approx(1, abs=1e-9)


def test_log_density_has_the_right_gradient():
    x = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(uneven().log_prob, (x,))


def test_log_density_keeps_leading_dimensions():
    x = torch.randn(3, 5, 2)
    got = mg.data.ring().log_prob(x)
    assert got.shape == (3, 5)
    assert torch.equal(got[1], mg.data.ring().log_prob(x[1]))


def test_samples_have_the_weights_means_and_spread():
    mixture, n = uneven(), 200_000
    x, modes = mixture.sample_with_modes(n, seed=0)
    assert x.dtype == torch.float32 and x.shape == (n, 2)
    share = modes.bincount(minlength=3).double() / n
    torch.testing.assert_close(share, mixture.weights, atol=0.005, rtol=0)
    for mode in range(3):
        points = x[modes == mode].double()
        torch.testing.assert_close(
            points.mean(0), mixture.means[mode], atol=0.02, rtol=0
        )
        covariance = torch.cov(points.T)
        torch.testing.assert_close(
            covariance, 0.49 * torch.eye(2).double(), atol=0.015, rtol=0
        )


def test_samples_repeat_with_a_seed_only():
    ring = mg.data.ring()
    assert torch.equal(ring.sample(9, seed=1), ring.sample(9, seed=1))
    assert not torch.equal(ring.sample(9, seed=1), ring.sample(9, seed=2))
    assert not torch.equal(ring.sample(9), ring.sample(9))
    torch.manual_seed(4)
    first = ring.sample(9)
    torch.manual_seed(4)
    assert torch.equal(ring.sample(9), first)


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: mg.data.ring(modes=0), r"means \(M, 2\)"),
        (lambda: mg.data.ring(radius=math.inf), "finite"),
        (lambda: mg.data.ring(std=0), "std"),
        (lambda: mg.data.ring(std=float("nan")), "std"),
        (lambda: mg.data.grid(side=0), r"means \(M, 2\)"),
        (lambda: PointMixture(torch.zeros(3), 1.0), r"means \(M, 2\)"),
        (lambda: PointMixture(torch.zeros(0, 2), 1.0), r"means \(M, 2\)"),
        (
            lambda: PointMixture(torch.zeros(3, 2), 1.0, torch.ones(2)),
            "3 positive weights",
        ),
        (
            lambda: PointMixture(torch.zeros(2, 2), 1.0, torch.tensor([1, 0])),
            "positive",
        ),
        (lambda: PointMixture(torch.full((2, 2), math.inf), 1.0), "finite"),
        (lambda: mg.data.ring().log_prob(torch.zeros(4, 3)), "points"),
    ],
)
def test_wrong_arguments_are_named(make, match):
    with pytest.raises(ValueError, match=match):
        make()
