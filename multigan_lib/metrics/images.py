"""What every image metric asks of its images, checked in one place."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from torch import Tensor

from ..datasets import ImageData

if TYPE_CHECKING:
    from ..datasets import Batch
    from ..games import Samples

    Images: TypeAlias = ImageData | Samples | Batch | Tensor

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

    def x(self, indices: slice | Tensor) -> Tensor:
        """The images at `indices` as float32 (b, C, H, W) in [-1, 1]."""
        if isinstance(self.images, ImageData):
            return self.images.x(indices)
        return self.images[indices].float()

    def batches(self) -> Iterator[Tensor]:
        """The images in order, as `x` gives them, `BATCH` at a time."""
        for start in range(0, self.n, BATCH):
            yield self.x(slice(start, start + BATCH))


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
    x = images if isinstance(images, ImageData) else getattr(images, "x", images)
    if not isinstance(x, ImageData | Tensor):
        raise TypeError(
            f"{role} must be ImageData, Samples or a float tensor (n, C, H, W) in "
            f"[-1, 1]; got {type(images).__name__}"
        )
    if isinstance(x, Tensor):
        x = x.detach()
        _check(x, role)
    if len(x) < at_least:
        raise ValueError(f"{role} must hold at least {at_least} images, got {len(x)}")
    if isinstance(x, ImageData):
        return ImageSet(x, len(x), x.shape, x.name, f"{x.name} {x.split}")
    return ImageSet(x, len(x), tuple(x.shape[1:]))


def _check(x: Tensor, role: str) -> None:
    if x.ndim != 4 or x.shape[1] not in (1, 3) or len(x) == 0:
        raise ValueError(
            f"{role} must be images (n, C, H, W) with 1 or 3 channels; "
            f"got shape {tuple(x.shape)}"
        )
    if not x.is_floating_point():
        raise TypeError(
            f"{role} must be float images in [-1, 1], got {x.dtype}; "
            "multigan_lib.data.to_float converts uint8 images"
        )
    low, high = (bound.item() for bound in x.aminmax())  # NaN if there is one
    if not -1 - SLACK <= low <= high <= 1 + SLACK:
        raise ValueError(
            f"{role} must lie in [-1, 1]; got values from {low:.4g} to {high:.4g} "
            "(from 0..255: x / 127.5 - 1; NaN: did training diverge?)"
        )
    if 0 <= low < high:
        warnings.warn(
            f"{role} holds no value below 0 ({low:.4g} to {high:.4g}): images in "
            "[0, 1]? The metrics expect [-1, 1]; rescale with 2 * x - 1",
            stacklevel=4,
        )
