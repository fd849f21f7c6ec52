"""Which modes are covered, and how well: points with known modes, stacked digits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..datasets import PointMixture

if TYPE_CHECKING:
    from ..games import Samples
    from .images import Images

HITS, OF = 20, 4096  # a mode counts if it gets more than 20 of 4096 samples
RADIUS = 3.0  # standard deviations within which a sample is of high quality


@dataclass(frozen=True, eq=False)
class ModeCoverage:
    """How samples lie on a mixture's modes; see `mode_coverage`.

    Attributes:
        modes: number of modes that are covered.
        high_quality: share of the samples within 3σ of a mode; the truth has
            1 - e^-4.5 = 0.989.
        kl: KL(share of the high-quality samples in each mode ‖ the mixture's weights)
            in nats; 0 for the truth, inf if there is no such sample.
        variance_ratio: variance within the modes over the true one; 1 for the truth, 0
            for modes shrunken to points, NaN if no mode has two samples.
        n: number of samples.
        counts: high-quality samples of each mode, int64 (M,).
        nearest: each sample's nearest mode, (n,), -1 where it is not within 3σ.
    """

    modes: int
    high_quality: float
    kl: float
    variance_ratio: float
    n: int
    counts: np.ndarray
    nearest: Tensor

    def __str__(self) -> str:
        return (
            f"{self.modes} of {len(self.counts)} modes, "
            f"{self.high_quality:.1%} within 3σ, KL {self.kl:.3f}, "
            f"variance ratio {self.variance_ratio:.2f} (n = {self.n})"
        )


@dataclass(frozen=True, eq=False)
class StackedCoverage:
    """How images lie on the thousand modes of stacked digits; see `stacked_coverage`.

    Attributes:
        modes: number of the 1000 modes that at least one image hits.
        kl: KL(share of the images in each mode ‖ uniform) in nats, in [0, log 1000].
        n: number of images.
        counts: images of each mode, int64 (1000,); mode 100 r + 10 g + b.
    """

    modes: int
    kl: float
    n: int
    counts: np.ndarray

    def __str__(self) -> str:
        return f"{self.modes} of 1000 modes, KL {self.kl:.3f} (n = {self.n})"


def mode_coverage(x: Tensor | Samples, mixture: PointMixture) -> ModeCoverage:
    """Modes covered by points, and the quality of what lies on them.

    A sample belongs to its nearest mode and is of *high quality* within 3σ of it. A
    mode is *covered* if more than 20 samples of 4096 (in proportion for other n) are of
    high quality and belong to it. Coverage alone does not see modes that are shrunken
    or unequally frequent: `variance_ratio` and `kl` do. The variance is that of the
    high-quality samples about their own mode's mean, pooled over modes and
    coordinates, over the variance of a Gaussian cut off at 3σ, 0.949 σ².

    Args:
        x: points (n, 2), a tensor or a game's `Samples`; 4096 is usual.
        mixture: what they are compared with. Its modes should lie more than 6σ apart,
            for the truth's `variance_ratio` to be 1.

    Returns:
        `ModeCoverage`.

    Raises:
        TypeError, ValueError: if x is not finite points (n, 2), n ≥ 1.

    Source: high-quality samples as in Srivastava et al., VEEGAN (2017).
    """
    points = _points(x)
    n, count = len(points), len(mixture.means)
    distance, mode = torch.cdist(points, mixture.means).min(1)
    good = distance <= RADIUS * mixture.std
    counts = torch.bincount(mode[good], minlength=count)
    return ModeCoverage(
        modes=int((counts > HITS * n / OF).sum()),
        high_quality=good.double().mean().item(),
        kl=_kl(counts, mixture.weights),
        variance_ratio=_within(points[good], mode[good], counts)
        / (_truncated_variance() * mixture.std**2),
        n=n,
        counts=counts.numpy(),
        nearest=torch.where(good, mode, -1),
    )


def stacked_coverage(
    x: Images, labeller: str | Callable[[Tensor], Tensor] | None = None
) -> StackedCoverage:
    """Modes of stacked digits that images hit: each channel's digit is read.

    A real sample of n images covers all modes only for n well above 1000 · log 1000,
    and its KL is about 999 / 2n; 25,600 or 26,000 images are usual.

    Args:
        x: images (n, 3, H, W) in [-1, 1], `ImageData` or a game's `Samples`.
        labeller: name of a frozen classifier ("digits" or "mnist"), or a function from
            float images (b, 1, H, W) to digits (b,). By default the classifier of the
            data that usually have this size: "digits" up to 16 pixels, "mnist" above.

    Returns:
        `StackedCoverage`.

    Raises:
        TypeError, ValueError: if x does not hold such images, or the labeller's answer
            is not (b,) digits.

    Source: Metz et al., Unrolled GAN (ICLR 2017); Srivastava et al., VEEGAN (2017).
    """
    from . import features
    from .images import image_set

    images = image_set(x, "x")
    if images.shape[0] != 3:
        raise ValueError(f"stacked digits have 3 channels, got {images.shape[0]}")
    if labeller is None:
        labeller = features.default_name((1, *images.shape[1:]))
    read = features.labeller(labeller) if isinstance(labeller, str) else labeller
    counts = torch.zeros(1000, dtype=torch.int64)
    for batch in images.batches():
        digits = _digits(read(batch.flatten(0, 1).unsqueeze(1)), 3 * len(batch))
        mode = digits.view(-1, 3) @ torch.tensor([100, 10, 1])
        counts += torch.bincount(mode, minlength=1000)
    return StackedCoverage(
        modes=int((counts > 0).sum()),
        kl=_kl(counts, torch.full((1000,), 1e-3, dtype=torch.float64)),
        n=images.n,
        counts=counts.numpy(),
    )


def _points(x: Tensor | Samples) -> Tensor:
    points = getattr(x, "x", x)
    if not isinstance(points, Tensor):
        raise TypeError(f"x must be a tensor or Samples, got {type(x).__name__}")
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 1:
        raise ValueError(f"x must be points (n, 2), got {tuple(points.shape)}")
    if not bool(points.isfinite().all()):
        raise ValueError("x holds NaN or infinite values: did training diverge?")
    return points.detach().cpu().double()


def _digits(labels: Tensor, n: int) -> Tensor:
    labels = labels.cpu()
    if labels.shape != (n,) or labels.is_floating_point():
        raise ValueError(
            f"the labeller must give {n} integers, got {tuple(labels.shape)} of "
            f"{labels.dtype}"
        )
    if labels.min() < 0 or labels.max() > 9:
        raise ValueError(
            "the labeller must give digits 0 to 9, got "
            f"{labels.min().item()} to {labels.max().item()}"
        )
    return labels.long()


def _kl(counts: Tensor, weights: Tensor) -> float:
    """KL(counts / their sum ‖ weights); inf without any count."""
    if counts.sum() == 0:
        return math.inf
    from ..divergence import kl

    return kl(counts.double() / counts.sum(), weights).item()


def _within(points: Tensor, mode: Tensor, counts: Tensor) -> float:
    """Pooled unbiased variance a coordinate, each mode about its own mean."""
    freedom = (counts - 1).clamp(min=0).sum().item()
    if freedom == 0:
        return math.nan
    sums = torch.zeros(len(counts), 2, dtype=points.dtype).index_add_(0, mode, points)
    means = sums / counts.clamp(min=1)[:, None]
    return (points - means[mode]).square().sum().item() / (2 * freedom)


def _truncated_variance() -> float:
    """Variance a coordinate of N(0, I) in the plane, given |x| ≤ 3.

    |x|²/2 is exponential; its mean below t = 4.5 is 1 - t / (eᵗ - 1).
    """
    t = RADIUS**2 / 2
    return 1 - t / math.expm1(t)
