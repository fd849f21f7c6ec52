"""Bringing small grey images to another size or number of channels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .images import ImageData

CHUNK = 1024  # images scaled at a time: float copies of a whole set are large


def converted(data: ImageData, size: int | None, channels: int | None) -> ImageData:
    """Square grey images as (N, channels, size, size); None changes nothing.

    Scaled by antialiased bilinear interpolation; from 28 to 32 pixels a black border of
    two pixels is put around them instead, as is usual for MNIST. With 3 channels each
    is the grey one.
    """
    images = data.images
    if (images.shape[-1], size) == (28, 32):
        images = functional.pad(images, (2, 2, 2, 2))
    elif size is not None and size != images.shape[-1]:
        images = torch.cat([_scaled(part, size) for part in images.split(CHUNK)])
    if channels == 3:
        images = images.repeat(1, 3, 1, 1)
    return ImageData(images, data.labels, data.classes, data.name, data.split)


def _scaled(images: Tensor, size: int) -> Tensor:
    scaled = functional.interpolate(
        images.float(), (size, size), mode="bilinear", antialias=True
    )
    return scaled.round_().clamp_(0, 255).to(torch.uint8)
