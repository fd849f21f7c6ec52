"""Divergences against independent references: scipy, plain sums, free optimisation."""

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch

from multigan_lib import divergence as dv


def densities(count: int, n: int = 60, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.dirichlet(np.full(n, 0.4), size=count))


def plain_jsd(p, w):
    """H(Σ w p) - Σ w H(p), with scipy's entropy."""
    p, w = np.asarray(p), np.asarray(w)
    return scipy.stats.entropy(w @ p) - w @ scipy.stats.entropy(p, axis=1)


def minimise(loss, *free):
    """LBFGS over free float64 logits."""
    optimiser = torch.optim.LBFGS(
        free, max_iter=500, tolerance_grad=1e-9, tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure():
        optimiser.zero_grad()
        value = loss()
        value.backward()
        return value

    optimiser.step(closure)
    return loss().item()


# ---------------------------------------------------------------- information


def test_entropy_and_kl_equal_scipy():
    p = densities(5)
    np.testing.assert_allclose(
        dv.entropy(p), scipy.stats.entropy(p.numpy(), axis=1), rtol=1e-12
    )
    np.testing.assert_allclose(
        dv.kl(p[:4], p[1:]),
        scipy.stats.entropy(p[:4].numpy(), p[1:].numpy(), axis=1),
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        dv.cross_entropy(p[0], p[1]), dv.entropy(p[0]) + dv.kl(p[0], p[1]), rtol=1e-12
    )


def test_zeros_are_exact():
    assert dv.entropy([1.0, 0.0]).item() == 0
    assert dv.kl([1.0, 0.0], [0.5, 0.5]).item() == math.log(2)
    assert dv.kl([0.5, 0.5], [1.0, 0.0]).item() == math.inf
    assert dv.cross_entropy([0.5, 0.5], [1.0, 0.0]).item() == math.inf
    assert dv.cross_entropy([1.0, 0.0], [1.0, 0.0]).item() == 0
    assert dv.kl([0.0, 1.0], [0.0, 1.0]).item() == 0
    p = densities(3)
    assert (dv.kl(p, p) == 0).all()


def test_kl_of_tiny_probabilities_is_finite():
    tiny = 1e-310
    value = dv.kl([1.0, 0.0], [tiny, 1.0]).item()
    assert value == pytest.approx(-math.log(tiny), rel=1e-12)


@pytest.mark.parametrize("count", range(1, 25))
def test_disjoint_supports_give_log_k_to_the_last_bit(count):
    p = torch.block_diag(*densities(count, n=7, seed=count))
    assert dv.jsd(p).item() == math.log(count)
    assert dv.jsd(p, [1 / count] * count).item() == math.log(count)
    assert dv.general_value(p).item() == 0


@pytest.mark.parametrize("count", range(1, 25))
def test_identical_rows_give_exactly_zero(count):
    p = densities(1, seed=count).expand(count, -1)
    assert dv.jsd(p).item() == 0
    weights = densities(1, n=count, seed=count)[0]
    assert dv.jsd(p, weights).item() == 0


def test_jsd_equals_its_definition():
    p = densities(5)
    assert dv.jsd(p).item() == pytest.approx(plain_jsd(p, [0.2] * 5), abs=1e-14)
    w = [0.4, 0.1, 0.2, 0.05, 0.25]
    assert dv.jsd(p, w).item() == pytest.approx(plain_jsd(p, w), abs=1e-14)
    m = torch.tensor(w, dtype=torch.float64) @ p
    mean_kl = sum(wk * dv.kl(row, m) for wk, row in zip(w, p, strict=True))
    assert dv.jsd(p, w).item() == pytest.approx(mean_kl.item(), abs=1e-14)


def test_jsd_is_the_mutual_information():
    p, w = densities(4), np.array([0.4, 0.3, 0.2, 0.1])
    joint = w[:, None] * p.numpy()
    product = w[:, None] * joint.sum(0)
    assert dv.jsd(p, w).item() == pytest.approx(
        scipy.stats.entropy(joint.ravel(), product.ravel()), abs=1e-14
    )


def test_jsd_known_value_and_bound():
    p = [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]]
    assert dv.jsd(p).item() == pytest.approx(math.log(3) - 2 / 3 * math.log(2))
    for seed in range(50):
        value = dv.jsd(densities(5, n=8, seed=seed)).item()
        assert 0 < value < math.log(5)


def test_a_weight_of_zero_drops_its_row():
    p = densities(3)
    assert dv.jsd(p, [0.5, 0.5, 0]).item() == pytest.approx(dv.jsd(p[:2]).item())


def test_tensors_arrays_and_lists_agree():
    p = densities(3)
    values = {
        dv.jsd(p).item(),
        dv.jsd(p.numpy()).item(),
        dv.jsd(p.tolist()).item(),
        dv.jsd(list(p)).item(),
        dv.jsd([row.numpy() for row in p]).item(),
    }
    assert len(values) == 1
    assert dv.jsd(p.float() / p.float().sum(1, keepdim=True)).dtype == torch.float64


def test_gradients_equal_finite_differences():
    logits = torch.randn(
        4, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()
    w = [0.4, 0.3, 0.2, 0.1]
    for f in (
        lambda z: dv.jsd(z.softmax(1)),
        lambda z: dv.jsd(z.softmax(1), w),
        lambda z: dv.kl(z[0].softmax(0), z[1].softmax(0)),
        lambda z: dv.entropy(z.softmax(1)),
        lambda z: dv.mgan_value(z[0].softmax(0), z[1:].softmax(1), 0.3, "one_vs_all"),
        lambda z: dv.mgan_value(z[0].softmax(0), z[1:].softmax(1), 0.3, "pairwise"),
        lambda z: dv.madgan_value(z[0].softmax(0), z[1:].softmax(1)),
    ):
        assert torch.autograd.gradcheck(f, logits)


def test_gradients_are_finite_where_probabilities_are_zero():
    logits = torch.tensor([[0.0, 1.0, -2000.0], [-2000.0, 0.5, 0.0]]).requires_grad_()
    p = logits.softmax(1)
    assert (p == 0).any()
    (dv.jsd(p) + dv.entropy(p).sum()).backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(
    ("p", "message"),
    [
        ([[0.5, 0.6], [0.5, 0.5]], "sum to one"),
        ([[1.5, -0.5], [0.5, 0.5]], "negative"),
        ([[math.nan, 1.0], [0.5, 0.5]], "NaN"),
        ([0.5, 0.5], "K, n"),
        ([[1.0], [0.5, 0.5]], "one length"),
        (np.zeros((2, 2, 2)), "K of them"),
    ],
)
def test_bad_rows_are_refused(p, message):
    with pytest.raises(ValueError, match=message):
        dv.jsd(p)


def test_bad_pairs_and_weights_are_refused():
    p = densities(3)
    with pytest.raises(ValueError, match="same n"):
        dv.kl(p[0], densities(1, n=5)[0])
    with pytest.raises(ValueError, match="weights must be"):
        dv.jsd(p, [0.5, 0.5])
    with pytest.raises(ValueError, match="sum to one"):
        dv.jsd(p, [1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="K ≥ 2"):
        dv.pairwise_value(p[:1])
    with pytest.raises(ValueError, match="one_vs_all"):
        dv.mgan_value(p[0], p, 0.1, form="ova")


# ------------------------------------------------------- optimal adversaries


def test_optimal_discriminator():
    d = dv.optimal_discriminator([0.5, 0.5, 0.0, 0.0], [0.25, 0.0, 0.75, 0.0])
    np.testing.assert_allclose(d, [2 / 3, 1, 0, 0.5])
    p = densities(2)
    np.testing.assert_allclose(
        dv.optimal_discriminator(p[0], p[1]), p[0] / (p[0] + p[1]), rtol=1e-13
    )
    assert (dv.optimal_discriminator(p[0], p[0]) == 0.5).all()


def test_optimal_classifier():
    p, w = densities(4), torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    c = dv.optimal_classifier(p, w)
    np.testing.assert_allclose(c.sum(0), 1, rtol=1e-13)
    np.testing.assert_allclose(c, w[:, None] * p / (w @ p), rtol=1e-12)
    assert dv.optimal_classifier([[1.0, 0.0], [1.0, 0.0]], [0.3, 0.7])[0, 1] == 0.3


# -------------------------------------------------------------- closed values


def test_gan_value_is_the_maximum_over_discriminators():
    p_data, p_model = densities(2)
    s = torch.zeros(60, dtype=torch.float64, requires_grad=True)
    best = -minimise(
        lambda: (
            p_data @ torch.nn.functional.softplus(-s)
            + p_model @ torch.nn.functional.softplus(s)
        ),
        s,
    )
    assert dv.gan_value(p_data, p_model).item() == pytest.approx(best, abs=1e-7)
    assert dv.gan_value(p_data, p_data).item() == -math.log(4)
    assert dv.gan_value([1.0, 0.0], [0.0, 1.0]).item() == 0


def test_mgan_values_are_the_minima_over_classifiers():
    p = densities(4, n=20)
    rest = (p.sum(0) - p) / 3
    softplus = torch.nn.functional.softplus
    log_softmax = torch.nn.functional.log_softmax

    s = torch.zeros(4, 20, dtype=torch.float64, requires_grad=True)
    w = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    equal = minimise(lambda: -(p * log_softmax(s, 0)).sum() / 4, s)
    assert dv.general_value(p).item() == pytest.approx(equal, abs=1e-7)
    weighted = minimise(lambda: -(w[:, None] * p * log_softmax(s, 0)).sum(), s)
    assert dv.general_value(p, w).item() == pytest.approx(weighted, abs=1e-7)

    one_vs_all = minimise(lambda: (p * softplus(-s) + rest * softplus(s)).sum(), s)
    assert dv.one_vs_all_value(p).item() == pytest.approx(one_vs_all, abs=1e-6)

    i, j = torch.triu_indices(4, 4, 1)
    t = torch.zeros(6, 20, dtype=torch.float64, requires_grad=True)
    pairwise = minimise(lambda: (p[i] * softplus(-t) + p[j] * softplus(t)).sum(), t)
    assert dv.pairwise_value(p).item() == pytest.approx(pairwise, abs=1e-6)


def test_mgan_forms_at_two_generators_are_one_to_four_to_two():
    p = densities(2)
    general = dv.general_value(p).item()
    assert dv.one_vs_all_value(p).item() == pytest.approx(4 * general)
    assert dv.pairwise_value(p).item() == pytest.approx(2 * general)


@pytest.mark.parametrize("form", ["general", "one_vs_all", "pairwise"])
def test_mgan_reaches_minus_log_4_on_an_equipartition_only(form):
    parts = torch.block_diag(*densities(3, n=4))
    assert dv.mgan_value(parts.mean(0), parts, 0.5, form).item() == pytest.approx(
        -math.log(4), abs=1e-14
    )
    same = parts.mean(0).expand(3, -1)
    assert dv.mgan_value(parts.mean(0), same, 0.5, form).item() > -math.log(4) + 0.5


def test_mgan_theorem_fails_without_an_equipartition():
    """p_d = (.7, .3), K = 2: the minimum over all generators stays above -log 4."""
    best = math.inf
    for start in (2.0, -0.5):  # the disjoint pair is a local minimum
        s = torch.tensor([[2.0, -2.0], [-start, start]], dtype=torch.float64)
        s.requires_grad_()
        low = minimise(lambda z=s: dv.mgan_value([0.7, 0.3], z.softmax(1), 0.1), s)
        if low < best:
            best, p_model = low, s.softmax(1).mean(0).detach()
    assert best + math.log(4) == pytest.approx(0.0376, abs=2e-4)
    np.testing.assert_allclose(p_model, [0.627, 0.373], atol=1e-3)


@pytest.mark.parametrize(
    ("count", "value"),
    [(1, -1.386294), (2, -1.909543), (3, -2.249341), (10, -3.350997)],
)
def test_madgan_value_at_the_optimum(count, value):
    p = densities(1).expand(count, -1)
    assert dv.madgan_value(p[0], p).item() == pytest.approx(value, abs=1e-6)


def test_madgan_value_is_the_objective_and_ignores_diversity():
    p_data, *p = densities(4)
    p = torch.stack(p)
    total = p_data + p.sum(0)
    real, fake = (p_data / total).log(), (p.sum(0) / total).log()
    direct = p_data @ real + (p * fake).sum()
    assert dv.madgan_value(p_data, p).item() == pytest.approx(direct.item(), abs=1e-13)

    parts = torch.block_diag(*densities(3, n=4))
    same = parts.mean(0).expand(3, -1)
    assert dv.madgan_value(parts.mean(0), parts).item() == pytest.approx(
        dv.madgan_value(parts.mean(0), same).item(), abs=1e-14
    )


# -------------------------------------------------------------------- Fréchet


def gaussian(d: int, rank: int, seed: int):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(d, rank))
    return rng.normal(size=d), root @ root.T / rank


def test_frechet_equals_scipys_matrix_root():
    (m1, c1), (m2, c2) = gaussian(12, 30, 0), gaussian(12, 30, 1)
    root = scipy.linalg.sqrtm(c1 @ c2).real
    expected = ((m1 - m2) ** 2).sum() + np.trace(c1 + c2 - 2 * root)
    assert dv.frechet(m1, c1, m2, c2).item() == pytest.approx(expected, rel=1e-10)


def test_frechet_known_values():
    assert dv.frechet(1.0, 4.0, 3.0, 0.25).item() == pytest.approx(6.25)
    m, c = gaussian(8, 20, 2)
    assert dv.frechet(m, c, m, c).item() == pytest.approx(0, abs=1e-12)
    shift = np.arange(8.0)
    assert dv.frechet(m, c, m + shift, c).item() == pytest.approx((shift**2).sum())


def test_frechet_of_rank_deficient_covariances():
    """Equal deficient covariances give 0, not the square root of the rounding."""
    m, c = gaussian(40, 3, 3)
    assert dv.frechet(m, c, m, c).item() == pytest.approx(0, abs=1e-10)


def test_frechet_gradient():
    (m1, c1), (m2, c2) = gaussian(4, 9, 4), gaussian(4, 9, 5)
    mean = torch.tensor(m1, requires_grad=True)
    scale = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda m, s: dv.frechet(m, s * torch.from_numpy(c1), m2, c2), (mean, scale)
    )


def test_frechet_refuses_bad_moments():
    m, c = gaussian(3, 9, 6)
    with pytest.raises(ValueError, match="shapes"):
        dv.frechet(m, c, m[:2], c)
    with pytest.raises(ValueError, match="symmetric"):
        dv.frechet(m, c + np.triu(np.ones((3, 3)), 1), m, c)
    with pytest.raises(ValueError, match="semi-definite"):
        dv.frechet(m, c - 10 * np.eye(3), m, c)
