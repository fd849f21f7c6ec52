"""Scores against independent computations from the same features, and known bounds."""

import math
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import torch
from torch import nn

from multigan_lib import data
from multigan_lib.metrics import Score, fid, inception_score, kid, ms_ssim
from multigan_lib.metrics.features import feature_network

DIGITS = data.load("digits", "train")
HALVES = DIGITS[:700], DIGITS[700:1400]


class Pixels(nn.Module):
    """Features whose law is known: the images' first d pixels."""

    def __init__(self, d=4):
        super().__init__()
        self.num_features = d

    def forward(self, x):
        return x.flatten(1)[:, : self.num_features]


def gaussian_images(n, mean=0.0, std=0.1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (mean + std * torch.randn(n, 1, 4, 4, generator=generator)).clamp(-1, 1)


def features(images, name="digits"):
    return feature_network(name)(images.x()).numpy()


# ------------------------------------------------------------------------ FID


def plain_fid(a, b):
    """Means, covariances and scipy's matrix root, in float64."""
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    with warnings.catch_warnings():  # dead features make it singular
        warnings.simplefilter("ignore")
        root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a + cov_b - 2 * root)


def test_fid_equals_scipy():
    real, fake = HALVES
    noisy = (fake.x() + 0.3 * torch.randn(fake.x().shape)).clamp(-1, 1)
    expected = plain_fid(features(real), feature_network("digits")(noisy).numpy())
    score = fid(real, noisy)
    assert score.value == pytest.approx(expected, rel=1e-6)
    assert score.value > 2 * fid(real, fake).value


def test_fid_equals_the_library_of_exact_mathematics():
    from multigan_lib.divergence import frechet

    a, b = (features(half) for half in HALVES)
    exact = frechet(a.mean(0), np.cov(a.T), b.mean(0), np.cov(b.T)).item()
    assert fid(*HALVES).value == pytest.approx(exact, rel=1e-6)


def test_fid_of_gaussians_is_known():
    real = gaussian_images(40_000, 0.0, 0.1, seed=0)
    fake = gaussian_images(40_000, 0.3, 0.2, seed=1)
    score = fid(real, fake, Pixels())
    assert score.value == pytest.approx(4 * (0.3**2 + 0.1**2), rel=0.02)


def test_fid_of_identical_sets_is_zero_and_never_negative():
    for network in (None, Pixels(16)):
        value = fid(HALVES[0], HALVES[0], network).value
        assert 0 <= value < 1e-5


def test_split_half_fid_is_positive_and_falls_with_n():
    def halves(n):
        order = torch.randperm(1437, generator=torch.Generator().manual_seed(0))
        return DIGITS[order[:n]], DIGITS[order[n : 2 * n]]

    values = [fid(*halves(n)).value for n in (50, 150, 700)]
    assert values[0] > values[1] > values[2] > 0


def test_fid_does_not_depend_on_batches_order_or_type():
    real, fake = HALVES
    value = fid(real, fake).value
    order = torch.randperm(700)
    assert fid(real, fake[order]).value == pytest.approx(value, rel=1e-6)
    assert fid(real, fake.x()).value == pytest.approx(value, rel=1e-6)
    assert fid(real, SimpleNamespace(x=fake.x())).value == pytest.approx(value)


def test_scores_say_what_they_were_measured_with():
    score = fid(HALVES[0], HALVES[1].x()[:300])
    assert (score.n, score.n_real) == (300, 700)
    assert score.features == feature_network("digits").name
    assert score.split == "digits train[:700]"
    assert float(score) == score.value
    assert f"{score:.3f}" == f"{score.value:.3f}"
    for part in ("FID", "n = 300 against 700", score.features, score.split):
        assert part in f"{score}"
    assert str(Score("IS", 2.0, 10, std=0.5)) == "IS 2 ± 0.5 (n = 10)"


def test_metrics_leave_the_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    a = kid(*HALVES, subset_size=100).value, inception_score(HALVES[0]).value
    assert torch.equal(torch.rand(2), expected)
    assert (kid(*HALVES, subset_size=100).value, inception_score(HALVES[0]).value) == a


# ------------------------------------------------------------------------ KID


def plain_kid(a, b):
    """The unbiased estimator as printed."""
    d, m, n = a.shape[1], len(a), len(b)

    def kernel(x, y):
        return (x @ y.T / d + 1) ** 3

    within_a = kernel(a, a)[~np.eye(m, dtype=bool)].sum() / (m * (m - 1))
    within_b = kernel(b, b)[~np.eye(n, dtype=bool)].sum() / (n * (n - 1))
    return within_a + within_b - 2 * kernel(a, b).mean()


def test_kid_equals_the_formula_on_all_images():
    score = kid(*HALVES)
    expected = plain_kid(*(features(half) for half in HALVES))
    assert score.value == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert score.std is None


def test_kid_of_one_law_is_zero_on_average_and_grows_with_distance():
    network = Pixels()
    same = [
        kid(gaussian_images(200, seed=s), gaussian_images(200, seed=s + 99), network)
        for s in range(20)
    ]
    values = np.array([s.value for s in same])
    assert (values < 0).any()  # unbiased, hence not clamped
    assert abs(values.mean()) < 3 * values.std() / math.sqrt(20)
    near, far = (
        kid(gaussian_images(200), gaussian_images(200, mean, seed=1), network).value
        for mean in (0.1, 0.3)
    )
    assert far > near > 5 * values.std()


def test_kid_subsets_are_never_larger_than_the_sets():
    score = kid(HALVES[0][:30], HALVES[1][:50])
    assert score.n == 50 and score.std >= 0
    score = kid(*HALVES, subset_size=100, subsets=5)
    assert score.std > 0
    with pytest.raises(ValueError, match="subset_size ≥ 2"):
        kid(*HALVES, subset_size=1)


# ------------------------------------------------------------ inception score


class Posteriors(nn.Module):
    """Says p(y|x) by the images' first pixel: class index c as (c + 0.5) / 5 - 1."""

    num_features = 10

    def __init__(self, logit):
        super().__init__()
        self.logit = logit

    def forward(self, x):
        label = ((x[:, 0, 0, 0] + 1) * 5).long()
        return self.logit * nn.functional.one_hot(label, 10).float()


def labelled(classes):
    values = (torch.tensor(classes) + 0.5) / 5 - 1
    return values[:, None, None, None].expand(-1, 1, 4, 4).clone()


@pytest.mark.parametrize("logit", [30.0, 1e4])
def test_inception_score_reaches_its_bounds(logit):
    sure, unsure = Posteriors(logit), Posteriors(0.0)
    balanced = labelled([*range(10)] * 20)
    assert inception_score(balanced, sure, splits=1).value == pytest.approx(10)
    assert inception_score(balanced, unsure, splits=1).value == pytest.approx(1)
    one = labelled([3] * 50)
    assert inception_score(one, sure, splits=1).value == pytest.approx(1)
    half = labelled([0, 2, 4, 6, 8] * 20)
    assert inception_score(half, sure, splits=1).value == pytest.approx(5)


def test_inception_score_equals_the_formula():
    logits = feature_network("digits").logits(HALVES[0].x())
    p = logits.softmax(1).numpy()
    marginal = p.mean(0)
    expected = np.exp((p * np.log(p / marginal)).sum(1).mean())
    score = inception_score(HALVES[0], splits=1)
    assert score.value == pytest.approx(expected, rel=1e-8)
    assert score.std is None and score.split == "digits train[:700]"
    assert 8 < score.value < 10


def test_small_splits_bias_the_inception_score_downwards():
    values = [inception_score(HALVES[0], splits=s).value for s in (1, 10, 70)]
    assert values[0] > values[1] > values[2]
    assert inception_score(HALVES[0], splits=10).std > 0


def test_inception_score_needs_an_image_a_split():
    with pytest.raises(ValueError, match="at least 10 images, got 5"):
        inception_score(DIGITS[:5])


# -------------------------------------------------------------------- MS-SSIM


def plain_ms_ssim(x, y):
    """Three scales, Gaussian windows of σ = 0.5, mirrored borders, in float64."""

    def blur(a):
        return scipy.ndimage.gaussian_filter(a, 0.5, mode="mirror", radius=2)

    result = 1.0
    for scale, beta in enumerate((0.3, 0.3, 0.4)):
        mx, my = blur(x), blur(y)
        vx, vy = blur(x * x) - mx**2, blur(y * y) - my**2
        cov = blur(x * y) - mx * my
        structure = (2 * cov + 0.03**2) / (vx + vy + 0.03**2)
        luminance = (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)
        if scale < 2:
            value = structure[2:-2, 2:-2].mean()
        else:
            value = (luminance * structure).mean()
        result *= max(value, 0) ** beta
        h, w = x.shape[0] // 2, x.shape[1] // 2
        x, y = (a[: 2 * h, : 2 * w].reshape(h, 2, w, 2).mean((1, 3)) for a in (x, y))
    return result


@pytest.mark.parametrize("size", [16, 28, 32])
def test_ms_ssim_equals_the_formula(size):
    pair = data.load("digits", "train", image_size=size)[1:3]
    x, y = ((image[0].double().numpy() + 1) / 2 for image in pair.x())
    assert ms_ssim(pair, pairs=8).value == pytest.approx(
        plain_ms_ssim(x, y), rel=1e-3, abs=1e-5
    )


@pytest.mark.parametrize(("channels", "size"), [(1, 12), (1, 16), (1, 28), (3, 64)])
def test_ms_ssim_of_identical_images_is_one(channels, size):
    image = torch.rand(1, channels, size, size) * 2 - 1
    score = ms_ssim(image.expand(20, -1, -1, -1), pairs=50)
    assert score.value == pytest.approx(1, abs=1e-5)
    assert score.n == 20 and score.features is None


def test_ms_ssim_at_standard_size():
    x = torch.rand(2, 3, 176, 176) * 2 - 1
    assert ms_ssim(x[:1].expand(2, -1, -1, -1), pairs=2).value == pytest.approx(1)
    assert ms_ssim(x, pairs=2).value < 0.3


def test_ms_ssim_orders_by_diversity():
    one_class = DIGITS[DIGITS.labels == 0]
    everything, zeros = ms_ssim(DIGITS).value, ms_ssim(one_class).value
    noise = ms_ssim(torch.rand(200, 1, 16, 16) * 2 - 1).value
    assert noise < everything < zeros < 1


def test_ms_ssim_never_pairs_an_image_with_itself():
    x = torch.stack([torch.full((1, 16, 16), -1.0), torch.full((1, 16, 16), 1.0)])
    assert ms_ssim(x, pairs=100).value < 0.05
    assert ms_ssim(DIGITS, seed=0).value == ms_ssim(DIGITS, seed=0).value
    assert ms_ssim(DIGITS, seed=0).value != ms_ssim(DIGITS, seed=1).value


# ------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (torch.zeros(4, 1, 16, 16, dtype=torch.uint8), TypeError, "to_float"),
        (torch.rand(4, 1, 16, 16) * 255, ValueError, r"-1, 1.*127\.5"),
        (torch.rand(4, 1, 16, 16) * 3 - 1.5, ValueError, r"got values from -1\."),
        (torch.full((4, 1, 16, 16), math.nan), ValueError, "NaN"),
        (torch.zeros(4, 2), ValueError, r"\(4, 2\)"),
        (torch.zeros(4, 16, 16, 1), ValueError, "1 or 3 channels"),
        (torch.zeros(1, 1, 16, 16), ValueError, "at least 2 images, got 1"),
        (torch.zeros(4, 3, 16, 16), ValueError, r"real images are .*fake ones"),
        (torch.zeros(4, 1, 32, 32), ValueError, "image_size"),
        (np.zeros((4, 1, 16, 16)), TypeError, "ndarray"),
    ],
)
def test_bad_images_are_refused(images, error, message):
    for score in (fid, kid):
        with pytest.raises(error, match=message):
            score(DIGITS, images)


def test_images_in_0_1_are_pointed_out():
    with pytest.warns(UserWarning, match=r"rescale with 2 \* x - 1"):
        ms_ssim(torch.rand(4, 1, 16, 16))


def test_colour_needs_a_choice_of_features():
    x = torch.rand(4, 3, 16, 16) * 2 - 1
    with pytest.raises(ValueError, match="features='inception'"):
        fid(x, x)
    fashion = data.ImageData(
        torch.zeros(4, 1, 28, 28, dtype=torch.uint8), name="shirts"
    )
    with pytest.raises(ValueError, match="shirts"):
        inception_score(fashion, splits=1)


def test_ms_ssim_needs_enough_pixels():
    with pytest.raises(ValueError, match="12×12"):
        ms_ssim(torch.rand(4, 1, 8, 8) * 2 - 1)
