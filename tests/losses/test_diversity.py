"""Diversity terms against plain loops over samples in float64, gradients included."""

import math

import numpy as np
import pytest
import torch

from multigan_lib import divergence
from multigan_lib.losses import diversity

COUNTS = {2: [3, 7], 3: [1, 4, 9], 5: [2, 6, 1, 3, 8]}  # samples of each generator
MGAN = ["general_jsd", "one_vs_all_jsd", "pairwise_jsd"]
RANGES = {
    "general_jsd": math.log,
    "one_vs_all_jsd": lambda count: 2 * count * math.log(2),
    "pairwise_jsd": lambda count: count * (count - 1) * math.log(2),
}
CLOSED = {
    "general_jsd": divergence.general_value,
    "one_vs_all_jsd": divergence.one_vs_all_value,
    "pairwise_jsd": divergence.pairwise_value,
}


def pairs_of(count):
    return [(i, j) for i in range(count) for j in range(i + 1, count)]


def heads(name, count):
    return count * (count - 1) // 2 if name == "pairwise_jsd" else count


def batch(name, count, seed=0, scale=3.0):
    """Logits of a shuffled batch with another number of samples for each source."""
    generator = torch.Generator().manual_seed(seed)
    source = torch.arange(count).repeat_interleave(torch.tensor(COUNTS[count]))
    source = source[torch.randperm(len(source), generator=generator)]
    logits = torch.randn(
        len(source), heads(name, count), generator=generator, dtype=torch.float64
    )
    return (scale * logits).requires_grad_(), source


# --------------------------------------------- references: loops, exp and log


def sigmoid(s):
    return 1 / (1 + torch.exp(-s))


def softmax(row):
    return torch.exp(row) / torch.exp(row).sum()


def average(values):
    return torch.stack(values).sum() / len(values)


def rows(logits, source, k):
    return [row for row, s in zip(logits, source.tolist(), strict=True) if s == k]


def plain_general(logits, source):
    count = logits.shape[1]
    means = [
        average([-torch.log(softmax(row)[k]) for row in rows(logits, source, k)])
        for k in range(count)
    ]
    return sum(means) / count


def plain_one_vs_all(logits, source):
    count, total = logits.shape[1], 0
    for k in range(count):
        total = total - average(
            [torch.log(sigmoid(row[k])) for row in rows(logits, source, k)]
        )
        for j in range(count):  # p_-k: every other generator weighs 1/(K-1)
            if j != k:
                total = total - average(
                    [torch.log(1 - sigmoid(row[k])) for row in rows(logits, source, j)]
                ) / (count - 1)
    return total


def plain_pairwise(logits, source):
    count = int(source.max()) + 1
    total = 0
    for head, (i, j) in enumerate(pairs_of(count)):
        first = [torch.log(sigmoid(row[head])) for row in rows(logits, source, i)]
        second = [torch.log(1 - sigmoid(row[head])) for row in rows(logits, source, j)]
        total = total - average(first) - average(second)
    return total


PLAIN = {
    "general_jsd": plain_general,
    "one_vs_all_jsd": plain_one_vs_all,
    "pairwise_jsd": plain_pairwise,
}


@pytest.mark.parametrize("name", MGAN)
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("seed", [0, 1])
def test_values_and_gradients_equal_plain_loops(name, count, seed):
    logits, source = batch(name, count, seed)
    value = getattr(diversity, name)(logits, source)
    expected = PLAIN[name](logits, source)
    assert value.shape == ()
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(
        torch.autograd.grad(value, logits),
        torch.autograd.grad(expected, logits),
        rtol=0,
        atol=1e-10,
    )


@pytest.mark.parametrize("name", MGAN)
def test_single_precision_is_good_to_a_millionth(name):
    logits, source = batch(name, 5)
    single = logits.detach().float().requires_grad_()
    value = getattr(diversity, name)(single, source)
    expected = PLAIN[name](logits, source)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)
    (gradient,) = torch.autograd.grad(value, single)
    (reference,) = torch.autograd.grad(expected, logits)
    torch.testing.assert_close(gradient.double(), reference, rtol=1e-5, atol=1e-6)


# -------------------------------------------------------- whose mean is whose


@pytest.mark.parametrize("name", MGAN)
def test_a_source_that_is_drawn_twice_as_often_weighs_the_same(name):
    logits, source = batch(name, 3)
    twice = source == 1
    more = torch.cat([logits, logits[twice]]), torch.cat([source, source[twice]])
    loss = getattr(diversity, name)
    torch.testing.assert_close(
        loss(*more), loss(logits, source), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("name", MGAN)
def test_the_order_of_the_samples_is_free(name):
    logits, source = batch(name, 5)
    order = torch.randperm(len(source), generator=torch.Generator().manual_seed(3))
    loss = getattr(diversity, name)
    torch.testing.assert_close(
        loss(logits[order], source[order]), loss(logits, source), rtol=1e-12, atol=0
    )


def test_a_pairwise_head_hears_its_two_generators_only():
    logits, source = batch("pairwise_jsd", 5)
    (gradient,) = torch.autograd.grad(diversity.pairwise_jsd(logits, source), logits)
    for head, pair in enumerate(pairs_of(5)):
        belongs = torch.tensor([s in pair for s in source.tolist()])
        assert (gradient[belongs, head] != 0).all()
        assert (gradient[~belongs, head] == 0).all()


def test_the_pairwise_heads_stand_in_lexical_order():
    """A head that knows its pair costs nothing; only the right column can know it."""
    source = torch.arange(4)
    for head, (i, j) in enumerate(pairs_of(4)):
        logits = torch.zeros(4, 6, dtype=torch.float64)
        logits[i, head], logits[j, head] = 50.0, -50.0
        value = diversity.pairwise_jsd(logits, source).item()
        assert value == pytest.approx(5 * 2 * math.log(2), abs=1e-12)


def test_every_one_vs_all_head_hears_everyone():
    logits, source = batch("one_vs_all_jsd", 5)
    (gradient,) = torch.autograd.grad(diversity.one_vs_all_jsd(logits, source), logits)
    assert (gradient != 0).all()


# ------------------------------------------- values at the optimal classifiers


def discrete(count, cells=12, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.dirichlet(np.full(cells, 0.3), size=count))


def best_logits(name, p):
    """Logits (cells, heads) of the optimal classifiers, from their formulas."""
    count = len(p)
    if name == "general_jsd":
        return p.log().T
    if name == "one_vs_all_jsd":
        rest = (p.sum(0) - p) / (count - 1)
        return (p.log() - rest.log()).T
    return torch.stack([(p[i] / p[j]).log() for i, j in pairs_of(count)], 1)


def exact(name, logits, p):
    """The term on exact densities: a loss is linear in each source's weights.

    Every cell is put in as often as in a large batch of generator k: counts that are
    whole numbers, so the sample means are the expectations without any noise.
    """
    counts = (p * 2000).round().long()
    p = counts / counts.sum(1, keepdim=True).double()
    cell = torch.arange(p.shape[1]).repeat(len(p)).repeat_interleave(counts.flatten())
    source = torch.arange(len(p)).repeat_interleave(counts.sum(1))
    return getattr(diversity, name)(logits(p)[cell], source), p


@pytest.mark.parametrize("name", MGAN)
@pytest.mark.parametrize("count", [2, 3, 5])
def test_at_the_optimal_classifiers_it_is_the_closed_value(name, count):
    p = discrete(count, seed=count).clamp(min=0.004)
    p = p / p.sum(1, keepdim=True)
    value, p = exact(name, lambda p: best_logits(name, p), p)
    assert value.item() == pytest.approx(CLOSED[name](p).item(), abs=1e-10)


@pytest.mark.parametrize("name", MGAN)
def test_no_other_classifier_does_better(name):
    p = discrete(4, seed=7).clamp(min=0.004)
    p = p / p.sum(1, keepdim=True)
    best = CLOSED[name](exact(name, lambda p: best_logits(name, p), p)[1]).item()
    rng = torch.Generator().manual_seed(0)
    for size in (0.01, 0.3, 3.0):
        noise = size * torch.randn(
            p.shape[1], heads(name, 4), generator=rng, dtype=torch.float64
        )
        value, _ = exact(name, lambda p, n=noise: best_logits(name, p) + n, p)
        assert value.item() > best + 1e-7


@pytest.mark.parametrize("name", MGAN)
@pytest.mark.parametrize("count", [2, 3, 8])
def test_ranges(name, count):
    """Undecided heads pay the range; heads that are sure and right pay nothing."""
    loss, source = getattr(diversity, name), torch.arange(count).repeat(3)
    zero = torch.zeros(len(source), heads(name, count), dtype=torch.float64)
    assert loss(zero, source).item() == pytest.approx(RANGES[name](count), abs=1e-12)
    sure = best_logits(name, torch.eye(count, dtype=torch.float64) + 1e-9)[source]
    assert 0 <= loss(sure, source).item() < 1e-6


# ---------------------------------------------------------------- two of them


def test_two_generators_make_the_three_one():
    """With l = l_0 - l_1: general : one-vs-all : pairwise = 1 : 4 : 2."""
    logits, source = batch("general_jsd", 2)
    gap = (logits[:, :1] - logits[:, 1:]).detach()
    general = diversity.general_jsd(logits.detach(), source)
    one_vs_all = diversity.one_vs_all_jsd(torch.cat([gap, -gap], 1), source)
    pairwise = diversity.pairwise_jsd(gap, source)
    torch.testing.assert_close(one_vs_all, 4 * general, rtol=1e-12, atol=0)
    torch.testing.assert_close(pairwise, 2 * general, rtol=1e-12, atol=0)


# -------------------------------------------------------------------- MAD-GAN


def plain_source_cross_entropy(real, fake, source, w):
    count = fake.shape[1] - 1
    total = w * average([-torch.log(softmax(row)[count]) for row in real])
    for k in range(count):
        own = [-torch.log(softmax(row)[k]) for row in rows(fake, source, k)]
        total = total + average(own)
    return total / (w + count)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("w", [1.0, 0.25, "K"])
def test_source_cross_entropy_equals_plain_loops(count, w):
    w = float(count) if w == "K" else w
    _, source = batch("general_jsd", count)
    generator = torch.Generator().manual_seed(5)
    real, fake = (
        (3 * torch.randn(n, count + 1, generator=generator)).double().requires_grad_()
        for n in (11, len(source))
    )
    value = diversity.source_cross_entropy(real, fake, source, w)
    expected = plain_source_cross_entropy(real, fake, source, w)
    assert value.shape == ()
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(
        torch.autograd.grad(value, (real, fake)),
        torch.autograd.grad(expected, (real, fake)),
        rtol=0,
        atol=1e-10,
    )


def test_equal_counts_make_it_the_ordinary_cross_entropy():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20, 5, generator=generator, dtype=torch.float64)
    label = torch.arange(5).repeat_interleave(4)  # 4 of each; the last is real
    value = diversity.source_cross_entropy(logits[16:], logits[:16], label[:16])
    expected = torch.nn.functional.cross_entropy(logits, label)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("w", [1.0, 3.0])
def test_the_optimum_of_the_real_output(w):
    """All K + 1 densities equal: D_real = w/(w + K), the cost is an entropy."""
    best = torch.tensor([1.0, 1.0, 1.0, w], dtype=torch.float64).log().requires_grad_()
    source = torch.arange(3)
    value = diversity.source_cross_entropy(best[None], best.expand(3, -1), source, w)
    share = torch.tensor([1, 1, 1, w], dtype=torch.float64) / (w + 3)
    assert value.item() == pytest.approx(divergence.entropy(share).item(), abs=1e-12)
    (gradient,) = torch.autograd.grad(value, best)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-12)


# ---------------------------------------------------------- cosine similarity


def vectors(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=dtype)


def plain_cosine(images, centre=None):
    """Every pair and every input by itself, dot product over two norms."""
    centre = torch.zeros_like(images[0, 0]) if centre is None else centre
    return average(
        [
            (a * b).sum() / (a.square().sum().sqrt() * b.square().sum().sqrt())
            for i, j in pairs_of(len(images))
            for a, b in zip(images[i] - centre, images[j] - centre, strict=True)
        ]
    )


@pytest.mark.parametrize("count", [2, 3, 7])
@pytest.mark.parametrize("shape", [(5,), (1, 4, 4), (3, 2, 2)])
@pytest.mark.parametrize("centred", [False, True])
def test_cosine_and_its_gradient_equal_explicit_pairs(count, shape, centred):
    images = (vectors(count, 6, *shape) + 0.4).requires_grad_()
    centre = vectors(*shape, seed=1) if centred else None
    value = diversity.cosine_similarity(images, centre)
    expected = plain_cosine(images, centre)
    assert value.shape == ()
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        torch.autograd.grad(value, images),
        torch.autograd.grad(expected, images),
        rtol=0,
        atol=1e-12,
    )


def test_cosine_sees_directions_only():
    images = vectors(4, 5, 9)
    lengths = torch.rand(4, 5, 1, dtype=torch.float64) + 0.1
    value = diversity.cosine_similarity(images)
    torch.testing.assert_close(diversity.cosine_similarity(lengths * images), value)
    same = lengths * images[:1]
    assert diversity.cosine_similarity(same).item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("count", [2, 3, 4, 8])
def test_the_lower_bound_is_attained_by_a_simplex_and_by_nothing_less(count):
    simplex = torch.eye(count, dtype=torch.float64) - 1 / count
    value = diversity.cosine_similarity(simplex[:, None].expand(-1, 3, -1))
    assert value.item() == pytest.approx(-1 / (count - 1), abs=1e-12)
    for seed in range(20):
        value = diversity.cosine_similarity(vectors(count, 1, 2, seed=seed)).item()
        assert -1 / (count - 1) - 1e-12 <= value <= 1


def test_descent_reaches_the_lower_bound_and_ascent_one():
    for sign, end in ((1, -1 / 2), (-1, 1.0)):
        x = vectors(3, 4, 8).requires_grad_()
        for _ in range(400):
            (slope,) = torch.autograd.grad(sign * diversity.cosine_similarity(x), x)
            x = (x - 3 * slope).detach().requires_grad_()
        assert diversity.cosine_similarity(x).item() == pytest.approx(end, abs=1e-3)


def test_cosine_is_a_mean_over_inputs():
    images = vectors(3, 6, 4)
    parts = [diversity.cosine_similarity(images[:, i : i + 1]) for i in range(6)]
    torch.testing.assert_close(diversity.cosine_similarity(images), average(parts))


def test_cosine_of_zeros_is_zero_and_has_no_gradient():
    images = vectors(3, 2, 5)
    images[0, 0] = 0
    images.requires_grad_()
    value = diversity.cosine_similarity(images)
    first, second = images.detach()[1:]
    cosine = torch.cosine_similarity(first, second, dim=1)
    other = diversity.cosine_similarity(images.detach()[:, 1:])
    assert value.item() == pytest.approx((cosine[0] / 3 + other).item() / 2, abs=1e-12)
    gradient = torch.autograd.grad(value, images)[0]
    assert not gradient[0, 0].any() and 0 < gradient.abs().max() < 1


def test_cosine_of_nearly_equal_halves_is_taken_in_single_precision():
    images = (vectors(3, 4, 64) * 0.01 + 1).bfloat16()
    value = diversity.cosine_similarity(images)
    assert value.dtype == torch.float32
    expected = plain_cosine(images.double()).item()
    assert value.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 4, 9), (3, 9), (0, 2, 2), (5,), (3, 0, 2)])
def test_cosine_needs_two_generators_and_a_batch(shape):
    with pytest.raises(ValueError, match=r"2 or more generators.*got \("):
        diversity.cosine_similarity(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(4,), (2, 1, 4, 4), ()])
def test_a_centre_is_one_image(shape):
    with pytest.raises(ValueError, match=r"one image, \(1, 4, 4\); got \("):
        diversity.cosine_similarity(torch.ones(3, 2, 1, 4, 4), torch.ones(shape))


# -------------------------------------------------------- extremes and errors


@pytest.mark.parametrize("name", MGAN)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_huge_logits_stay_finite(name, dtype):
    logits, source = batch(name, 3)
    huge = (1e4 * logits.detach().sign()).to(dtype).requires_grad_()
    value = getattr(diversity, name)(huge, source)
    value.backward()
    assert value.isfinite() and huge.grad.isfinite().all()
    assert value.item() > 100  # sure and wrong: linear in the logit, never saturated


def test_huge_logits_of_k_plus_one_outputs_stay_finite():
    for sign in (1.0, -1.0):
        real = (sign * 1e4 * torch.eye(4)[3:].repeat(5, 1)).requires_grad_()
        fake = (sign * 1e4 * torch.eye(4)[[3, 0, 1]]).requires_grad_()
        value = diversity.source_cross_entropy(real, fake, torch.arange(3))
        value.backward()
        assert value.isfinite() and real.grad.isfinite().all()
        assert fake.grad.isfinite().all() and value.item() > 100


@pytest.mark.parametrize("name", MGAN)
def test_confident_errors_keep_their_full_gradient(name):
    """log(sigmoid + eps) would lose it."""
    logits = torch.full((2, heads(name, 2)), 0.0)
    logits[0, 0] = -1e4  # generator 0's own sample, sure to be the other's
    logits.requires_grad_()
    getattr(diversity, name)(logits, torch.arange(2)).backward()
    slope = -0.5 if name == "general_jsd" else -1.0
    assert logits.grad[0, 0].item() == slope


@pytest.mark.parametrize("name", MGAN)
@pytest.mark.parametrize(
    ("shape", "sources", "message"),
    [
        ((6,), 6, r"\(n, heads\).*\(6,\)"),
        ((6, 3, 1), 6, r"\(n, heads\).*\(6, 3, 1\)"),
        ((6, 0), 6, r"heads.*\(6, 0\)"),
        ((6, 3), 5, r"\(6,\).*\(5,\)"),
    ],
)
def test_wrong_shapes_are_named(name, shape, sources, message):
    with pytest.raises(ValueError, match=message):
        getattr(diversity, name)(torch.zeros(shape), torch.arange(sources) % 3)


def test_one_generator_cannot_be_told_from_itself():
    for loss in (diversity.general_jsd, diversity.one_vs_all_jsd):
        with pytest.raises(ValueError, match="2 or more"):
            loss(torch.zeros(4, 1), torch.zeros(4, dtype=torch.int64))


@pytest.mark.parametrize("columns", [2, 4, 5, 7, 44])
def test_pairwise_refuses_a_number_of_heads_that_is_no_number_of_pairs(columns):
    with pytest.raises(ValueError, match=f"{columns} logits"):
        diversity.pairwise_jsd(torch.zeros(4, columns), torch.arange(4) % 2)


def test_source_cross_entropy_names_wrong_shapes():
    fake, source = torch.zeros(6, 4), torch.arange(6) % 3
    with pytest.raises(ValueError, match=r"\(n, 4\).*\(5, 3\)"):
        diversity.source_cross_entropy(torch.zeros(5, 3), fake, source)
    with pytest.raises(ValueError, match=r"\(n, 4\).*\(4,\)"):
        diversity.source_cross_entropy(torch.zeros(4), fake, source)
    with pytest.raises(ValueError, match=r"\(6,\).*\(4,\)"):
        diversity.source_cross_entropy(torch.zeros(5, 4), fake, source[:4])


def test_half_precision_around_it_does_not_coarsen_the_loss():
    logits, source = torch.randn(60, 3), torch.arange(60) % 3
    with torch.autocast("cpu", torch.bfloat16):
        within = diversity.general_jsd(logits, source)
    assert within.dtype == torch.float32
    assert torch.equal(within, diversity.general_jsd(logits, source))
