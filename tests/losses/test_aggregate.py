"""Aggregates of N values against closed forms in float64, gradients too."""

import pytest
import torch

from multigan_lib.losses import aggregate

V = [-1.2, -0.8, -0.3, -2.0, -0.9]


def tensor(values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def gradient(rule, values):
    return torch.autograd.grad(rule(values), values)[0]


def weights(values, lam):
    """Softmax by hand, the largest exponent taken out."""
    terms = [2.718281828459045 ** (lam * (v - max(values))) for v in values]
    return [t / sum(terms) for t in terms]


def one_of(values, chosen):
    return [float(v == chosen(values)) for v in values]


def root(values):
    product = 1.0
    for v in values:
        product *= abs(v)
    return product ** (1 / len(values)) * (1 if values[0] > 0 else -1)


def inverse(values):
    return len(values) / sum(1 / v for v in values)


def average(values):
    return sum(values) / len(values)


CLOSED = {  # value and gradient
    "mean": (average, lambda v: [1 / len(v)] * len(v)),
    "maximum": (max, lambda v: one_of(v, max)),
    "minimum": (min, lambda v: one_of(v, min)),
    "geometric": (root, lambda v: [root(v) / (len(v) * x) for x in v]),
    "harmonic": (inverse, lambda v: [inverse(v) ** 2 / (len(v) * x**2) for x in v]),
}


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("values", [V, [0.1, 3.0], [2.5], [0.7, 0.2, 4.0, 0.01]])
def test_values_and_gradients_equal_closed_forms(name, values):
    rule, (value, slope) = getattr(aggregate, name), CLOSED[name]
    v = tensor(values)
    torch.testing.assert_close(
        rule(v), tensor(value(values)), rtol=1e-10, atol=1e-12, check_stride=False
    )
    torch.testing.assert_close(
        gradient(rule, v), tensor(slope(values)).detach(), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("lam", [-3.0, 0.0, 0.7, 5.0, 40.0])
@pytest.mark.parametrize("values", [V, [1.3, -0.4, 2.0]])
def test_softmax_value_and_gradients_equal_closed_forms(lam, values):
    w = weights(values, lam)
    total = sum(a * b for a, b in zip(w, values, strict=True))
    steep = [a * (1 + lam * (b - total)) for a, b in zip(w, values, strict=True)]
    v = tensor(values)
    for rule, slope in (
        (aggregate.softmax(lam), w),
        (lambda v: aggregate.softmax_official(v, lam), steep),
    ):
        assert abs(rule(v).item() - total) < 1e-12
        torch.testing.assert_close(
            gradient(rule, v), tensor(slope).detach(), rtol=1e-9, atol=1e-12
        )


def test_softmax_runs_from_the_mean_to_the_maximum():
    v = tensor(V)
    for rule in (aggregate.softmax, aggregate.softmax_official):
        assert torch.isclose(rule(v, 0.0), aggregate.mean(v), rtol=0, atol=1e-12)
        assert abs(rule(v, 1e3) - aggregate.maximum(v)) < 1e-4
        assert abs(rule(v, -1e3) - aggregate.minimum(v)) < 1e-4
        ladder = torch.stack([rule(v, lam) for lam in torch.linspace(-20, 20, 81)])
        assert (ladder.diff() > 0).all()


@pytest.mark.parametrize("lam", [0.0, 1.0, 5.0])
def test_slope_in_lambda_is_the_variance_under_the_weights(lam):
    w, total = weights(V, lam), aggregate.softmax(tensor(V), lam).item()
    variance = sum(a * (b - total) ** 2 for a, b in zip(w, V, strict=True))
    for rule in (aggregate.softmax, aggregate.softmax_official):
        sharp = tensor(lam)
        (slope,) = torch.autograd.grad(rule(tensor(V), sharp), sharp)
        assert abs(slope.item() - variance) < 1e-12


def test_fixed_weights_give_the_gradient_of_log_mean_exp():
    lam, v = 5.0, tensor(V)
    smooth = ((lam * v).logsumexp(0) - torch.tensor(len(V)).log()) / lam
    (expected,) = torch.autograd.grad(smooth, v)
    found = gradient(aggregate.softmax(lam), v)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    assert (found > 0).all()


def test_official_gradient_is_negative_exactly_below_the_threshold():
    lam, v = 5.0, tensor(V)
    slope = gradient(lambda v: aggregate.softmax_official(v, lam), v)
    known = torch.tensor([-0.031, -0.082, 1.186, -0.001, -0.072]).double()
    torch.testing.assert_close(slope, known, rtol=0, atol=5e-4)
    threshold = aggregate.softmax(v, lam) - 1 / lam
    assert torch.equal(slope < 0, v < threshold)
    spread = torch.linspace(-3, 0, 61, dtype=torch.float64).requires_grad_()
    slope = gradient(lambda v: aggregate.softmax_official(v, lam), spread)
    threshold = aggregate.softmax(spread, lam) - 1 / lam
    assert torch.equal(slope < 0, spread < threshold)
    assert (slope < 0).any() and (slope > 0).any()


def test_softmax_of_one_argument_is_the_rule():
    v = tensor(V)
    expected = aggregate.softmax(v, 2.0)
    for rule in (
        aggregate.softmax(2.0),
        aggregate.softmax(lam=2.0),
        aggregate.softmax(torch.tensor(2.0)),
    ):
        assert torch.equal(rule(v), expected)
    with pytest.raises(TypeError, match="lam"):
        aggregate.softmax()


def test_large_numbers_do_not_overflow():
    huge = torch.tensor([1e4, -1e4, 9e3], requires_grad=True)
    for rule in (aggregate.softmax, aggregate.softmax_official):
        slope = gradient(lambda v, rule=rule: rule(v, 1e3), huge)
        assert rule(huge, 1e3) == 1e4 and slope.isfinite().all()
    tiny = torch.full((9,), 1e-30, requires_grad=True)
    assert torch.isclose(aggregate.geometric(tiny), tiny[0])


@pytest.mark.parametrize("name", ["geometric", "harmonic"])
@pytest.mark.parametrize("values", [[1.0, -1.0], [0.0, 2.0], [-1.0, 0.0], [0.0]])
def test_means_without_meaning_are_refused(name, values):
    with pytest.raises(ValueError, match="all > 0 or all < 0"):
        getattr(aggregate, name)(tensor(values))


@pytest.mark.parametrize("name", ["geometric", "harmonic"])
def test_a_loss_that_is_not_a_number_passes_through(name):
    assert getattr(aggregate, name)(tensor([1.0, float("nan")])).isnan()


@pytest.mark.parametrize("name", aggregate.__all__)
def test_further_axes_are_kept(name):
    rule = getattr(aggregate, name)
    if name.startswith("softmax"):
        inner, rule = rule, lambda v: inner(v, 1.5)
    batch = torch.rand(5, 3, dtype=torch.float64) + 0.1
    expected = torch.stack([rule(column) for column in batch.T])
    torch.testing.assert_close(rule(batch), expected)


def test_ties_share_the_gradient_of_the_extremes():
    tied = tensor([1.0, 2.0, 2.0])
    assert gradient(aggregate.maximum, tied).tolist() == [0, 0.5, 0.5]
