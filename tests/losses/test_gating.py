"""Load balancing against counting by hand, its gradient and its expectation."""

import pytest
import torch

from multigan_lib.gumbel import gumbel_max, straight_through
from multigan_lib.losses import gating


def one_hot(*choices, n):
    return torch.eye(n, dtype=torch.float64)[list(choices)]


def test_counts_by_hand():
    gate = one_hot(0, 0, 0, 1, n=3)  # shares 3/4, 1/4, 0
    expected = (3 / 4 - 1 / 3) ** 2 + (1 / 4 - 1 / 3) ** 2 + (1 / 3) ** 2
    assert gating.load_balance(gate).item() == pytest.approx(expected, rel=1e-12)
    assert gating.load_balance(gate).shape == ()


@pytest.mark.parametrize("n", [1, 2, 5])
def test_its_range(n):
    everyone = one_hot(*range(n), *range(n), n=n)
    assert gating.load_balance(everyone).item() == pytest.approx(0, abs=1e-15)
    one_only = one_hot(*[0] * 10, n=n)
    assert gating.load_balance(one_only).item() == pytest.approx(1 - 1 / n)
    soft = torch.rand(100, 6, n).softmax(-1)
    values = torch.stack([gating.load_balance(gate) for gate in soft])
    assert ((values >= 0) & (values <= 1 - 1 / n + 1e-6)).all()


@pytest.mark.parametrize(("n", "least"), [(3, 1.63e-4), (5, 1.95e-4), (10, 5.86e-4)])
def test_a_batch_that_does_not_divide_evenly(n, least):
    """64 images can't be shared out evenly: r (n - r) / (n b²), r the rest."""
    gate = one_hot(*[j % n for j in range(64)], n=n)
    rest = 64 % n
    value = gating.load_balance(gate).item()
    assert value == pytest.approx(rest * (n - rest) / (n * 64**2), rel=1e-9)
    assert value == pytest.approx(least, rel=5e-3)


def test_gradient_of_the_gate():
    gate = one_hot(0, 2, 2, 1, 2, 0, 3, n=4).requires_grad_()
    (grad,) = torch.autograd.grad(gating.load_balance(gate), gate)
    shares = torch.tensor([2, 1, 3, 1], dtype=torch.float64) / 7
    torch.testing.assert_close(grad, (2 * (shares - 1 / 4) / 7).expand(7, 4))
    assert torch.autograd.gradcheck(gating.load_balance, gate)


def test_gradient_reaches_the_logits_and_the_indicator_stops_it():
    torch.manual_seed(0)
    logits = torch.randn(64, 5, dtype=torch.float64, requires_grad=True)
    noise = torch.randn(64, 5, dtype=torch.float64)
    gate = straight_through(logits, 0.5, noise)
    (grad,) = torch.autograd.grad(gating.load_balance(gate), logits)
    y = ((logits + noise) / 0.5).softmax(-1).detach()
    push = 2 * (gate.detach().mean(0) - 1 / 5) / 64
    torch.testing.assert_close(grad, y * (push - (y * push).sum(-1, True)) / 0.5)

    counted = (gate == 1).double()
    assert gating.load_balance(counted) == gating.load_balance(gate)
    assert not gating.load_balance(counted).requires_grad


@pytest.mark.parametrize("n", [3, 5, 10])
def test_expectation_of_a_uniform_gate(n):
    """(1 - 1/n)/b, not 0: the shares of a batch are multinomial."""
    torch.manual_seed(0)
    b, batches = 64, 5000
    gates = gumbel_max(torch.zeros(batches, b, n))
    values = torch.stack([gating.load_balance(gate) for gate in gates])
    error = values.std().item() / batches**0.5
    assert values.mean().item() == pytest.approx((1 - 1 / n) / b, abs=4 * error)


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4), (0, 3), (3, 0)])
def test_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"\(batch, generators\)"):
        gating.load_balance(torch.ones(shape))


def test_refuses_integers():
    with pytest.raises(TypeError, match="int64"):
        gating.load_balance(torch.ones(4, 2, dtype=torch.int64))
