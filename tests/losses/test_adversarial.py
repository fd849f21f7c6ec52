"""Adversarial losses against plain formulas with sigmoid and log in float64."""

import math

import pytest
import torch

from multigan_lib.losses import adversarial

LOSSES = ["minimax", "nonsaturating", "least_squares", "hinge", "wasserstein"]


def log_d(s):
    return torch.log(1 / (1 + torch.exp(-s)))


def log_not_d(s):
    return torch.log(1 - 1 / (1 + torch.exp(-s)))


def positive(x):
    return torch.where(x > 0, x, torch.zeros_like(x))


DISCRIMINATOR = {
    "minimax": lambda r, f: -(log_d(r).mean() + log_not_d(f).mean()),
    "nonsaturating": lambda r, f: -(log_d(r).mean() + log_not_d(f).mean()),
    "least_squares": lambda r, f: ((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2,
    "hinge": lambda r, f: positive(1 - r).mean() + positive(1 + f).mean(),
    "wasserstein": lambda r, f: f.mean() - r.mean(),
}
GENERATOR = {
    "minimax": lambda f: log_not_d(f).mean(),
    "nonsaturating": lambda f: -log_d(f).mean(),
    "least_squares": lambda f: ((f - 1) ** 2).mean() / 2,
    "hinge": lambda f: -f.mean(),
    "wasserstein": lambda f: -f.mean(),
}


def logits(*shape, seed, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    s = scale * torch.randn(*shape, dtype=torch.float64, generator=generator)
    return s.requires_grad_()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("shape", [(7,), (7, 1), (3, 5), (2, 1, 4, 4)])
def test_values_and_gradients_equal_the_plain_formula(name, shape):
    loss = getattr(adversarial, name)
    real, fake = logits(*shape, seed=0), logits(*shape, seed=1)

    value, expected = loss(real, fake), DISCRIMINATOR[name](real, fake)
    assert value.shape == ()
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(
        torch.autograd.grad(value, (real, fake)),
        torch.autograd.grad(expected, (real, fake)),
        rtol=1e-9,
        atol=1e-10,
    )

    value, expected = loss(fake), GENERATOR[name](fake)
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(
        torch.autograd.grad(value, fake),
        torch.autograd.grad(expected, fake),
        rtol=1e-9,
        atol=1e-10,
    )


@pytest.mark.parametrize("name", LOSSES)
def test_each_source_has_its_own_mean(name):
    loss = getattr(adversarial, name)
    real, fake = logits(4, seed=0), logits(12, seed=1)
    torch.testing.assert_close(
        loss(real, fake), loss(real.repeat(3), fake), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_huge_logits_stay_finite(name, dtype):
    loss = getattr(adversarial, name)
    for sign_real, sign_fake in [(1, 1), (1, -1), (-1, 1), (-1, -1)]:
        real = torch.tensor([sign_real * 1e4], dtype=dtype, requires_grad=True)
        fake = torch.tensor([sign_fake * 1e4], dtype=dtype, requires_grad=True)
        for value in (loss(real, fake), loss(fake)):
            real.grad = fake.grad = None
            value.backward()
            assert value.isfinite()
            assert fake.grad.isfinite().all()
        loss(real, fake).backward()
        assert real.grad.isfinite().all()


def test_confident_errors_keep_their_full_gradient():
    """log(sigmoid + eps) would lose it; softplus must not."""
    fake = torch.tensor([-1e4], requires_grad=True)
    adversarial.nonsaturating(fake).backward()
    assert fake.grad.item() == -1
    fake = torch.tensor([-1e4], requires_grad=True)
    adversarial.minimax(fake).backward()
    assert fake.grad.item() == 0


def test_an_undecided_discriminator_costs_log_4():
    zero = torch.zeros(5)
    for name in ("minimax", "nonsaturating"):
        assert getattr(adversarial, name)(zero, zero).item() == pytest.approx(
            math.log(4)
        )


def test_minimax_is_zero_sum_up_to_the_real_term():
    real, fake = logits(6, seed=0), logits(6, seed=1)
    (d_grad,) = torch.autograd.grad(adversarial.minimax(real, fake), fake)
    (g_grad,) = torch.autograd.grad(adversarial.minimax(fake), fake)
    torch.testing.assert_close(d_grad, -g_grad)


# ----------------------------------------------------------- gradient penalty


@pytest.mark.parametrize("target", [1.0, 0.0])
def test_penalty_of_a_linear_critic(target):
    """The slope is |w| everywhere, so the penalty is (|w| - target)²."""
    w = torch.tensor([[3.0], [4.0]], dtype=torch.float64, requires_grad=True)
    real, fake = torch.randn(2, 6, 2, dtype=torch.float64)
    value = adversarial.gradient_penalty(lambda x: x @ w, real, fake, target)
    assert value.item() == pytest.approx((5 - target) ** 2, rel=1e-12)
    (grad,) = torch.autograd.grad(value, w)
    torch.testing.assert_close(grad, 2 * (5 - target) * w.detach() / 5)


def test_penalty_points_lie_on_the_segments_with_one_epsilon_a_sample():
    seen = []

    def critic(x):
        seen.append(x.detach())
        return x.sum((1, 2, 3))

    real, fake = torch.randn(2, 64, 3, 4, 4, dtype=torch.float64)
    adversarial.gradient_penalty(critic, real, fake)
    epsilon = ((seen[0] - fake) / (real - fake)).flatten(1)
    assert ((epsilon > -1e-9) & (epsilon < 1 + 1e-9)).all()
    # one value within a sample, different values over the batch, uniform on (0, 1)
    torch.testing.assert_close(epsilon, epsilon[:, :1].expand_as(epsilon))
    assert epsilon[:, 0].unique().numel() == 64
    assert 0.4 < epsilon[:, 0].mean() < 0.6
    assert 0.2 < epsilon[:, 0].std() < 0.38


def test_penalty_of_a_quadratic_critic_at_its_points():
    """s = |x|²/2 has slope |x̂|: replay the random numbers and compare."""
    real, fake = torch.randn(2, 9, 2, dtype=torch.float64)
    torch.manual_seed(5)
    value = adversarial.gradient_penalty(lambda x: x.square().sum(1) / 2, real, fake)
    torch.manual_seed(5)
    e = torch.rand(9, 1, dtype=torch.float64)
    expected = ((e * real + (1 - e) * fake).norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(value, expected)


def test_penalty_reaches_the_critic_not_the_generator():
    critic = torch.nn.Sequential(
        torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)
    )
    real = torch.randn(5, 2)
    fake = torch.randn(5, 2, requires_grad=True)
    with torch.no_grad():
        value = adversarial.gradient_penalty(critic, real, fake)
    assert value.isfinite()
    adversarial.gradient_penalty(critic, real, fake).backward()
    assert fake.grad is None
    assert critic[0].weight.grad.abs().sum() > 0


def test_penalty_of_a_flat_critic_has_finite_gradients():
    critic = torch.nn.Linear(2, 1)
    torch.nn.init.zeros_(critic.weight)
    value = adversarial.gradient_penalty(critic, torch.randn(5, 2), torch.randn(5, 2))
    value.backward()
    assert value.item() == 1
    assert critic.weight.grad.isfinite().all()


def test_penalty_refuses_unequal_shapes():
    with pytest.raises(ValueError, match=r"\(5, 2\) and \(4, 2\)"):
        adversarial.gradient_penalty(lambda x: x, torch.ones(5, 2), torch.ones(4, 2))
