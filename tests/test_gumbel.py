"""Gumbel noise against its law, and the choices against independent formulas."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from multigan_lib import gumbel
from multigan_lib.gumbel import (
    gumbel_max,
    gumbel_softmax,
    sample_gumbel,
    straight_through,
    temperature,
)

PI = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
FLOATS = [torch.float32, torch.float64]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(1)


def random_logits(*shape, dtype=torch.float64):
    return (2 * torch.randn(*shape, dtype=dtype)).requires_grad_()


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# -------------------------------------------------------------------------- the noise


@pytest.mark.parametrize("dtype", FLOATS)
def test_noise_follows_the_gumbel_law(dtype):
    noise = sample_gumbel((200_000,), dtype=dtype).double().numpy()
    assert stats.kstest(noise, stats.gumbel_r.cdf).pvalue > 0.01
    assert noise.mean() == pytest.approx(np.euler_gamma, abs=0.01)
    assert noise.var() == pytest.approx(math.pi**2 / 6, abs=0.03)


def test_noise_has_the_asked_type():
    assert sample_gumbel((2, 3)).dtype == torch.float32
    assert sample_gumbel((2, 3), dtype=torch.float64).dtype == torch.float64
    assert sample_gumbel(torch.Size([4])).shape == (4,)
    for half in (torch.float16, torch.bfloat16):
        assert sample_gumbel((2,), dtype=half).dtype == torch.float32


def test_noise_is_reproducible():
    torch.manual_seed(3)
    first = sample_gumbel((5, 4))
    torch.manual_seed(3)
    assert torch.equal(first, sample_gumbel((5, 4)))


def patch_uniform(monkeypatch, *values):
    """Make torch.rand return these values, row by row over and over."""

    def rand(shape, device=None, dtype=None):
        count = math.prod(shape)
        row = torch.tensor(values, dtype=dtype, device=device)
        return row.repeat(-(-count // len(values)))[:count].reshape(shape)

    monkeypatch.setattr(torch, "rand", rand)


@pytest.mark.parametrize("dtype", FLOATS)
def test_extreme_uniform_numbers_give_finite_noise(monkeypatch, dtype):
    patch_uniform(monkeypatch, 0.0, 1.0)
    low, high = sample_gumbel((2,), dtype=dtype).tolist()
    assert {torch.float32: -4.5, torch.float64: -6.6}[dtype] < low < -4.4
    assert {torch.float32: 16.6, torch.float64: 36.7}[dtype] < high < 36.8


@pytest.mark.parametrize("dtype", [*FLOATS, torch.bfloat16])
@pytest.mark.parametrize("uniform", [(0.0,), (1.0,), (0.0, 1.0), (1.0, 1.0, 0.0)])
@pytest.mark.parametrize("tau", [100.0, 0.5, 1e-3, 1e-12])
def test_extreme_uniform_numbers_give_finite_choices(monkeypatch, dtype, uniform, tau):
    patch_uniform(monkeypatch, *uniform)
    for choose in (gumbel_softmax, straight_through):
        logits = torch.zeros(6, 3, dtype=dtype, requires_grad=True)
        y = choose(logits, tau)
        assert y.isfinite().all()
        torch.testing.assert_close(y.sum(-1), torch.ones(6).to(y.dtype))
        (y * torch.arange(3)).sum().backward()
        assert logits.grad.isfinite().all()


# -------------------------------------------------------------------------- Gumbel-max


@pytest.mark.parametrize("shift", [0.0, -300.0, 7.5])
def test_gumbel_max_draws_from_the_softmax(shift):
    """Unnormalised logits are enough: chi-square of the frequencies."""
    draws = 500_000
    h = gumbel_max((PI.log() + shift).expand(draws, 4))
    counts = h.sum(0).numpy()
    assert stats.chisquare(counts, draws * PI.numpy()).pvalue > 0.01


def test_the_maximum_is_gumbel_and_independent_of_the_argmax():
    logits = PI.log() + 2
    m = logits + sample_gumbel((200_000, 4), dtype=torch.float64)
    top, index = m.max(-1)
    law = stats.gumbel_r(loc=2.0)
    for i in range(4):
        assert stats.kstest(top[index == i].numpy(), law.cdf).pvalue > 0.01


def test_other_noise_would_be_noticed():
    """The chi-square above has the power to refuse wrong noise."""
    draws = 200_000
    right = sample_gumbel((draws, 4), dtype=torch.float64)
    gauss = right.std() * torch.randn_like(right)
    for wrong in (-right, gauss):
        counts = gumbel_max(PI.log().expand(draws, 4), wrong).sum(0).numpy()
        assert stats.chisquare(counts, draws * PI.numpy()).pvalue < 1e-6


def test_gumbel_max_is_the_argmax_and_has_no_gradient():
    logits, noise = random_logits(7, 5), sample_gumbel((7, 5), dtype=torch.float64)
    h = gumbel_max(logits, noise)
    expected = np.eye(5)[(logits.detach() + noise).numpy().argmax(-1)]
    assert np.array_equal(h.numpy(), expected)
    assert not h.requires_grad


# ---------------------------------------------------------------------- Gumbel-softmax


@pytest.mark.parametrize("shape", [(5,), (7, 5), (2, 3, 4)])
@pytest.mark.parametrize("tau", [5.0, 1.0, 0.1])
def test_gumbel_softmax_equals_numpy(shape, tau):
    logits, noise = random_logits(*shape), sample_gumbel(shape, dtype=torch.float64)
    y = gumbel_softmax(logits, tau, noise)
    expected = softmax((logits.detach().numpy() + noise.numpy()) / tau)
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("tau", [5.0, 1.0, 0.3])
def test_gumbel_softmax_has_the_jacobian_of_softmax(tau):
    logits, noise = random_logits(4), sample_gumbel((4,), dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(
        lambda logits: gumbel_softmax(logits, tau, noise), logits
    )
    y = softmax((logits.detach().numpy() + noise.numpy()) / tau)
    expected = (np.diag(y) - np.outer(y, y)) / tau
    np.testing.assert_allclose(jacobian.numpy(), expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("tau", [10.0, 1.0, 0.2])
def test_the_largest_entry_follows_pi_at_every_temperature(tau):
    draws = 100_000
    y = gumbel_softmax(PI.log().expand(draws, 4), tau)
    counts = torch.bincount(y.argmax(-1), minlength=4).numpy()
    assert stats.chisquare(counts, draws * PI.numpy()).pvalue > 0.01


@pytest.mark.parametrize("r", [3.0, 0.2])
def test_the_mean_is_not_pi(r):
    """Two categories at τ = 1: E y_1 = r (r - 1 - log r) / (r - 1)², by integration."""
    y = gumbel_softmax(torch.tensor([math.log(r), 0.0]).expand(400_000, 2), 1.0)
    expected = r * (r - 1 - math.log(r)) / (r - 1) ** 2
    assert y[:, 0].mean().item() == pytest.approx(expected, abs=2e-3)
    assert abs(expected - r / (1 + r)) > 0.05


def test_limits_in_the_temperature():
    logits, noise = random_logits(50, 4), sample_gumbel((50, 4), dtype=torch.float64)
    cold = gumbel_softmax(logits, 1e-9, noise)
    torch.testing.assert_close(cold, gumbel_max(logits, noise))
    hot = gumbel_softmax(logits, 1e9, noise)
    torch.testing.assert_close(hot, torch.full_like(hot, 0.25))


# --------------------------------------------------------------------- straight-through


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("tau", [1e10, 100.0, 1.0, 1e-2, 1e-12])
def test_straight_through_is_exactly_one_hot(dtype, tau):
    logits = random_logits(500, 6, dtype=dtype)
    noise = sample_gumbel((500, 6), dtype=dtype)
    h = straight_through(logits, tau, noise)
    assert torch.equal(h.detach(), gumbel_max(logits, noise))
    assert set(h.unique().tolist()) == {0.0, 1.0}
    assert (h.sum(-1) == 1).all()


@pytest.mark.parametrize("tau", [5.0, 1.0, 0.3])
def test_straight_through_has_the_gradient_of_softmax(tau):
    logits, noise = random_logits(8, 4), sample_gumbel((8, 4), dtype=torch.float64)
    weights = torch.randn(8, 4, dtype=torch.float64)
    h = straight_through(logits, tau, noise)
    (grad,) = torch.autograd.grad((h * weights).sum(), logits)
    y = softmax((logits.detach().numpy() + noise.numpy()) / tau)
    w = weights.numpy()
    expected = y * (w - (y * w).sum(-1, keepdims=True)) / tau
    np.testing.assert_allclose(grad.numpy(), expected, rtol=1e-9, atol=1e-14)


def test_straight_through_looks_at_f_where_it_was_evaluated():
    """For f(h) = Σ h³ the incoming gradient is 3h², of the one-hot, not of y."""
    logits, noise = random_logits(8, 4), sample_gumbel((8, 4), dtype=torch.float64)
    h = straight_through(logits, 1.0, noise)
    (incoming,) = torch.autograd.grad(h.pow(3).sum(), h)
    torch.testing.assert_close(incoming, 3 * gumbel_max(logits, noise))


@pytest.mark.parametrize(("degree", "ratio"), [(1, 1), (2, 1), (3, 1.5), (4, 2)])
def test_straight_through_follows_the_trapezoid_rule_at_low_temperature(degree, ratio):
    """f = Σ c_i h_i^m: m/2 times the exact gradient, which has c_i - c_j only."""
    pi, c = PI[:3] / PI[:3].sum(), torch.tensor([1.0, -1.0, 0.5]).double()
    logits = pi.log().requires_grad_()
    draws, tau = 400_000, 0.05
    h = straight_through(logits.expand(draws, 3), tau)
    loss = (c * h.pow(degree)).sum(-1).mean()
    (grad,) = torch.autograd.grad(loss, logits)
    exact = pi * (c - (pi * c).sum())
    assert (grad @ exact / (exact @ exact)).item() == pytest.approx(ratio, abs=0.06)


@pytest.mark.parametrize("tau", [0.02, 0.01])
def test_the_variance_grows_like_one_over_the_temperature(tau):
    """Var_i → Σ_k π_i π_k (c_i - c_k)² / (6 τ) for a linear f."""
    pi, c = PI[:3] / PI[:3].sum(), torch.tensor([1.0, -1.0, 0.5]).double()
    logits = pi.log().expand(1_000_000, 3).clone().requires_grad_()
    h = straight_through(logits, tau)
    (grad,) = torch.autograd.grad((c * h).sum(), logits)
    expected = pi * (pi * (c[:, None] - c).square()).sum(-1) / (6 * tau)
    torch.testing.assert_close(grad.var(0), expected, rtol=0.06, atol=0)


def test_a_tensor_for_the_temperature_gives_the_same_and_its_own_gradient():
    logits, noise = random_logits(8, 4), sample_gumbel((8, 4), dtype=torch.float64)
    tau = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    y = gumbel_softmax(logits, tau, noise)
    torch.testing.assert_close(y, gumbel_softmax(logits, 0.7, noise))
    assert torch.autograd.gradcheck(
        lambda tau: gumbel_softmax(logits.detach(), tau, noise), tau
    )
    h = straight_through(logits, tau.detach(), noise)
    torch.testing.assert_close(h, straight_through(logits, 0.7, noise))


def test_excluded_categories_are_never_chosen():
    logits = torch.tensor([0.0, -math.inf, 1.0]).expand(1000, 3).clone()
    logits.requires_grad_()
    h = straight_through(logits, 0.5)
    assert h[:, 1].sum() == 0
    (h * torch.arange(3)).sum().backward()
    assert logits.grad.isfinite().all() and (logits.grad[:, 1] == 0).all()


# --------------------------------------------------------------------------- arguments


@pytest.mark.parametrize("tau", [0, 0.0, -1.0, math.nan])
@pytest.mark.parametrize("choose", [gumbel_softmax, straight_through])
def test_refuses_a_temperature_that_is_not_positive(choose, tau):
    with pytest.raises(ValueError, match="temperature must be positive"):
        choose(torch.zeros(3), tau)


def test_refuses_noise_of_another_shape():
    with pytest.raises(ValueError, match=r"\(4, 3\), the noise \(3,\)"):
        gumbel_max(torch.zeros(4, 3), torch.zeros(3))


def test_refuses_integers():
    with pytest.raises(TypeError, match="int64"):
        straight_through(torch.zeros(3, dtype=torch.int64), 1.0)


# ------------------------------------------------------------------------- temperature


def test_temperature_of_megan():
    for step, expected in [
        (0, 0.5),
        (1000, 0.18394),
        (2000, 0.067668),
        (5000, 3.369e-3),
    ]:
        assert temperature(step) == pytest.approx(expected, rel=1e-4)


def test_temperature_with_a_floor():
    assert temperature(0, 1.0, 1e-4, floor=0.5) == 1.0
    assert temperature(6000, 1.0, 1e-4, floor=0.5) == pytest.approx(math.exp(-0.6))
    assert temperature(10_000, 1.0, 1e-4, floor=0.5) == 0.5


def test_temperature_never_becomes_zero():
    for step in (200_000, 10**9):
        assert temperature(step) == gumbel.LOWEST_TEMPERATURE
        tau = temperature(torch.tensor(step))
        assert tau.item() == pytest.approx(gumbel.LOWEST_TEMPERATURE)
        logits = random_logits(64, 5, dtype=torch.float32)
        straight_through(logits, tau).square().sum().backward()
        assert logits.grad.isfinite().all()


@pytest.mark.parametrize("floor", [0.0, 0.2])
def test_temperature_of_a_tensor(floor):
    steps = torch.tensor([0, 10, 1000, 5000, 100_000])
    tau = temperature(steps, floor=floor)
    assert isinstance(tau, Tensor) and tau.is_floating_point()
    expected = [temperature(step, floor=floor) for step in steps.tolist()]
    np.testing.assert_allclose(tau.numpy(), expected, rtol=1e-5)
    assert temperature(torch.tensor(7)).shape == ()


class Silent(torch.overrides.TorchFunctionMode):
    """Refuses whatever brings a tensor's value to the host, as a synchronisation."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        assert name not in {"item", "__bool__", "__float__", "__int__", "tolist"}
        return func(*args, **(kwargs or {}))


def test_nothing_waits_for_the_device():
    logits = random_logits(8, 4, dtype=torch.float32)
    with Silent():
        tau = temperature(torch.tensor(100))
        straight_through(logits, tau).sum().backward()
        gumbel_softmax(logits, tau)
        gumbel_max(logits)
    with pytest.raises(AssertionError), Silent():
        bool(torch.tensor(1.0) > 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"step": -1}, "step must be zero or positive, got -1"),
        ({"step": math.nan}, "step"),
        ({"step": 1, "start": 0.0}, "start must be a positive temperature, got 0"),
        ({"step": 1, "start": -1.0}, "start"),
        ({"step": 1, "start": math.inf}, "start"),
        ({"step": 1, "rate": -0.1}, "rate must be zero or positive, got -0.1"),
        ({"step": 1, "rate": math.nan}, "rate"),
        ({"step": 1, "floor": -0.5}, "floor must be zero or positive, got -0.5"),
        ({"step": torch.tensor(1), "start": -1.0}, "start"),
    ],
)
def test_temperature_refuses_nonsense(arguments, message):
    with pytest.raises(ValueError, match=message):
        temperature(**arguments)
