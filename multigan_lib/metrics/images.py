"""What every image metric asks of its images, checked in one place."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from torch import Tensor

from ..datasets import ImageData

if TYPE_CHECKING:
    from ..games import Samples

    Images: TypeAlias = ImageData | Samples | Tensor

BATCH = 128  # images in memory as floats, and in a feature network, at a time
SLACK = 1e-3  # how far rounding may carry a value out of [-1, 1]


@dataclass(frozen=True)
class ImageSet:
    """Images that passed the checks.

    Attributes:
        images: `ImageData`, or a float tensor (n, C, H, W) in [-1, 1].
        n: how many.
        shape: one image's (C, H, W).
        data: name of the data set, or None for a tensor.
        split: name and part of the data set, or None for a tensor.
    """

    images: ImageData | Tensor
    n: int
    shape: tuple[int, ...]
    data: str | None = None
    split: str | None = None

    def batches(self) -> Iterator[Tensor]:
        """The images in order as float32 batches (b, C, H, W) in [-1, 1]."""
        for start in range(0, self.n, BATCH):
            batch = self.images[start : start + BATCH]
            yield batch.x() if isinstance(batch, ImageData) else batch.float()


def image_set(images: Images, role: str, at_least: int = 1) -> ImageSet:
    """Check images and say what is wrong with them.

    Args:
        images: `ImageData`, a game's `Samples`, or a float tensor (n, C, H, W) in
            [-1, 1].
        role: what they are, for the messages: "real" or "fake".
        at_least: how many images the metric needs.

    Raises:
        TypeError: neither images nor floats.
        ValueError: a wrong shape or range, NaN, or too few images.
    """
    if isinstance(images, ImageData):
        _check_count(len(images), role, at_least)
        where = f"{images.name} {images.split}"
        return ImageSet(images, len(images), images.shape, images.name, where)
    x = getattr(images, "x", images)
    if not isinstance(x, Tensor):
        raise TypeError(
            f"{role} must be ImageData, Samples or a float tensor (n, C, H, W) in "
            f"[-1, 1]; got {type(images).__name__}"
        )
    if x.ndim != 4 or x.shape[1] not in (1, 3):
        raise ValueError(
            f"{role} must be images (n, C, H, W) with 1 or 3 channels; "
            f"got shape {tuple(x.shape)}"
        )
    if not x.is_floating_point():
        raise TypeError(
            f"{role} must be float images in [-1, 1], got {x.dtype}; "
            "multigan_lib.data.to_float converts uint8 images"
        )
    _check_count(len(x), role, at_least)
    x = x.detach()
    _check_range(x, role)
    return ImageSet(x, len(x), tuple(x.shape[1:]))


def same_shape(real: ImageSet, fake: ImageSet) -> None:
    """Raise ValueError unless both sets hold images of one shape (C, H, W)."""
    if real.shape != fake.shape:
        raise ValueError(
            f"real images are (C, H, W) = {real.shape}, fake ones {fake.shape}; load "
            "the data at the game's size: data.load(name, image_size=…, channels=…)"
        )


def _check_count(n: int, role: str, at_least: int) -> None:
    if n < at_least:
        raise ValueError(f"{role} must hold at least {at_least} images, got {n}")


def _check_range(x: Tensor, role: str) -> None:
    low, high = (bound.item() for bound in x.aminmax())
    if not bool(x.isfinite().all()):
        raise ValueError(f"{role} holds NaN or infinite values: did training diverge?")
    if low < -1 - SLACK or high > 1 + SLACK:
        raise ValueError(
            f"{role} must lie in [-1, 1]; got values from {low:.4g} to {high:.4g}"
            + (" (from 0..255: x / 127.5 - 1)" if low >= 0 else "")
        )
    if low >= 0 and high > low:
        warnings.warn(
            f"{role} holds no value below 0 ({low:.4g} to {high:.4g}): images in "
            "[0, 1]? The metrics expect [-1, 1]; rescale with 2 * x - 1",
            stacklevel=4,
        )
