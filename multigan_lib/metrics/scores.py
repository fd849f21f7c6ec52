"""Image scores: FID, KID, Inception score and MS-SSIM, all computed by torchmetrics.

Images are `ImageData`, a game's `Samples`, or float tensors (n, C, H, W) in [-1, 1].
Scores of different feature networks, or of different n, are not comparable.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import nn
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure as multiscale_ssim,
)
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from .features import FeatureNetwork, default_name, feature_network
from .images import BATCH, ImageSet, image_set

if TYPE_CHECKING:
    from .images import Images

    Features: TypeAlias = str | nn.Module | None

LOG_FLOOR = -600.0  # log-probabilities below it are 0 in all but name, yet have a log


@dataclass(frozen=True)
class Score:
    """A measured number and what it was measured with; `float(score)` is the number.

    Attributes:
        name: "FID", "KID", "IS" or "MS-SSIM".
        value: the number.
        n: images that were judged.
        features: feature network with the hash of its weights, None for MS-SSIM.
        split: the reference data (for IS and MS-SSIM: the judged data), where known.
        n_real: reference images, None for IS and MS-SSIM.
        std: spread over IS's splits, KID's subsets or MS-SSIM's pairs, None where there
            is one only. It is not the spread over training runs.
    """

    name: str
    value: float
    n: int
    features: str | None = None
    split: str | None = None
    n_real: int | None = None
    std: float | None = None

    def __float__(self) -> float:
        return self.value

    def __format__(self, spec: str) -> str:
        return format(self.value, spec) if spec else str(self)

    def __str__(self) -> str:
        spread = "" if self.std is None else f" ± {self.std:.4g}"
        against = "" if self.n_real is None else f" against {self.n_real}"
        notes = [f"n = {self.n}{against}", self.features, self.split]
        return (
            f"{self.name} {self.value:.4g}{spread} ({', '.join(filter(None, notes))})"
        )


def fid(real: Images, fake: Images, features: Features = None) -> Score:
    """Fréchet distance between Gaussians fitted to the features of two sets.

    ‖μ_r - μ_f‖² + Tr(Σ_r + Σ_f - 2 (Σ_r Σ_f)^½), clamped at 0. Biased upwards, the more
    the smaller the sets: compare at equal n, beside the value of two real halves.

    Args:
        real: the reference, at least 2 images.
        fake: the images to judge, at least 2, of the same shape.
        features: see `metrics.features.feature_network`; by default the frozen
            classifier of the data's name, or of the size where no name is known.

    Returns:
        `Score`, value ≥ 0, lower is better.

    Raises:
        TypeError, ValueError: images or features that do not fit.

    Source: Heusel et al., TTUR (2017), eq. 6.
    """
    real_set, fake_set, network = _two_sets(real, fake, features)
    metric = FrechetInceptionDistance(feature=network)
    _feed(metric, real_set, fake_set)
    value = max(metric.compute().item(), 0.0)
    return Score("FID", value, fake_set.n, network.name, real_set.split, real_set.n)


def kid(
    real: Images,
    fake: Images,
    features: Features = None,
    subset_size: int = 1000,
    subsets: int = 10,
) -> Score:
    """Squared MMD between the features of two sets, kernel (xᵀy / d + 1)³.

    Unbiased at every n, so it can come out negative where the sets are alike. The
    mean over random subsets; one pass over all images where they are no more than
    `subset_size`.

    Args:
        real: the reference, at least 2 images.
        fake: the images to judge, at least 2, of the same shape.
        features: as in `fid`.
        subset_size: images a subset, at most; never more than the smaller set has.
        subsets: number of subsets (100 in much of the literature, at 100 times the
            cost of one).

    Returns:
        `Score`, lower is better; `std` is over subsets.

    Raises:
        TypeError, ValueError: images or features that do not fit.

    Source: Bińkowski et al., Demystifying MMD GANs (ICLR 2018), section 4.
    """
    real_set, fake_set, network = _two_sets(real, fake, features)
    size = min(subset_size, real_set.n, fake_set.n)
    if size < 2:
        raise ValueError(f"kid needs subset_size ≥ 2; got {subset_size}")
    if size == max(real_set.n, fake_set.n):
        subsets = 1
    with _repeatable():
        metric = KernelInceptionDistance(network, subsets, subset_size=size)
        _feed(metric, real_set, fake_set)
        mean, std = (x.item() for x in metric.compute())
    spread = std if subsets > 1 else None
    return Score(
        "KID", mean, fake_set.n, network.name, real_set.split, real_set.n, spread
    )


def inception_score(fake: Images, features: Features = None, splits: int = 10) -> Score:
    """exp E_x KL(p(y|x) ‖ p(y)) for a classifier of N classes, the mean over splits.

    Between 1 and N: 1 if the classifier says the same of every image, N if it is sure
    of every image and its N classes are equally frequent. It knows nothing of the real
    data. Small splits bias it downwards.

    Args:
        fake: the images to judge, at least one a split.
        features: as in `fid`, but the network's logits are used. Only with "inception"
            is the result comparable with published Inception scores.
        splits: the images are shuffled and cut into so many parts (10 is usual).

    Returns:
        `Score`, higher is better; `std` is over splits.

    Raises:
        TypeError, ValueError: images or features that do not fit.

    Source: Salimans et al., Improved techniques for training GANs (2016), section 4.
    """
    images = image_set(fake, "fake", at_least=splits)
    network = _network(features, images)
    with _repeatable():
        metric = InceptionScore(nn.Identity(), splits)
        for batch in images.batches():
            # Bounded below: torchmetrics' 0 log 0 is NaN.
            metric.update(network.logits(batch).log_softmax(1).clamp(min=LOG_FLOOR))
        mean, std = (x.item() for x in metric.compute())
    spread = std if splits > 1 else None
    return Score("IS", mean, images.n, network.name, images.split, std=spread)


def ms_ssim(fake: Images, pairs: int = 1000, seed: int = 0) -> Score:
    """Mean multi-scale structural similarity of random pairs: low means diverse.

    Noise is diverse too, so report it beside the value of real images. Computed on
    intensities in [0, 1]. Up to 160 pixels three scales with exponents .3, .3, .4 and
    Gaussian windows of σ = 0.5 pixels are used, as the usual five scales with σ = 1.5
    do not fit; values are comparable at equal image size only.

    Args:
        fake: at least 2 images of 12×12 pixels or more.
        pairs: number of random pairs of two different images.
        seed: fixes the pairs.

    Returns:
        `Score`, about 0 to 1; `std` is over pairs.

    Raises:
        TypeError, ValueError: images that do not fit.

    Source: Wang, Simoncelli & Bovik (2003); as a measure of diversity Odena et al.,
    AC-GAN (ICML 2017), section 4.2.
    """
    images = image_set(fake, "fake", at_least=2)
    side = min(images.shape[1:])
    if side < 12:
        raise ValueError(f"ms_ssim needs images of 12×12 or more, got {images.shape}")
    window: dict = {"kernel_size": 3, "sigma": 0.5, "betas": (0.3, 0.3, 0.4)}
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(images.n, (pairs,), generator=generator)
    step = torch.randint(1, images.n, (pairs,), generator=generator)
    second = (first + step) % images.n
    values = torch.cat(
        [
            multiscale_ssim(
                images.x(i).add(1).div(2).clamp(0, 1),
                images.x(j).add(1).div(2).clamp(0, 1),
                reduction="none",
                data_range=1.0,
                **(window if side <= 160 else {}),
            ).cpu()
            for i, j in zip(first.split(BATCH), second.split(BATCH), strict=True)
        ]
    )
    spread = values.std().item() if pairs > 1 else None
    value = values.mean().item()
    return Score("MS-SSIM", value, images.n, split=images.split, std=spread)


def _two_sets(
    real: Images, fake: Images, features: Features
) -> tuple[ImageSet, ImageSet, FeatureNetwork]:
    real_set = image_set(real, "real", at_least=2)
    fake_set = image_set(fake, "fake", at_least=2)
    if real_set.shape != fake_set.shape:
        raise ValueError(
            f"real images are (C, H, W) = {real_set.shape}, fake ones "
            f"{fake_set.shape}; load the data with the game's image_size and channels"
        )
    return real_set, fake_set, _network(features, real_set)


def _network(features: Features, images: ImageSet) -> FeatureNetwork:
    if features is None:
        features = default_name(images.shape, images.data)
    return feature_network(features)


def _feed(metric: Callable, real: ImageSet, fake: ImageSet) -> None:
    for images, is_real in ((real, True), (fake, False)):
        for batch in images.batches():
            metric.update(batch, real=is_real)  # type: ignore[attr-defined]


@contextmanager
def _repeatable() -> Iterator[None]:
    """Shuffles inside are the same each time and leave the caller's generator alone;
    torchmetrics' notes on memory and single splits are not printed."""
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore", UserWarning)
        torch.default_generator.manual_seed(0)
        yield
