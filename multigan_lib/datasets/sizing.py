"""Bringing stored images to another size or number of channels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

CHUNK = 1024  # images converted at a time: float copies of a whole set are large


def resized(images: Tensor, size: int | None, pad: bool = False) -> Tensor:
    """uint8 images (N, C, H, W) as (N, C, size, size).

    The central square is scaled with antialiased bilinear interpolation.

    Args:
        images: uint8 (N, C, H, W).
        size: the new height and width; None leaves the images as they are.
        pad: put a black border of two pixels around 28×28 images for size 32, as
            is usual for MNIST, instead of scaling them.
    """
    height, width = images.shape[-2:]
    if size is None or (height, width) == (size, size):
        return images
    if pad and (height, width, size) == (28, 28, 32):
        return functional.pad(images, (2, 2, 2, 2))
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    images = images[..., top : top + side, left : left + side]
    return _by_chunks(images, lambda chunk: _scaled(chunk, size))


def with_channels(images: Tensor, channels: int | None) -> Tensor:
    """uint8 images (N, 1 or 3, H, W) as grey (1) or RGB (3); None changes nothing.

    Grey is the luma of ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B.
    """
    if channels is None or images.shape[1] == channels:
        return images
    if images.shape[1] == 1:
        return images.repeat(1, 3, 1, 1)
    return _by_chunks(images, _luma)


def _scaled(chunk: Tensor, size: int) -> Tensor:
    scaled = functional.interpolate(
        chunk.float(), (size, size), mode="bilinear", antialias=True
    )
    return scaled.round_().clamp_(0, 255).to(torch.uint8)


def _luma(chunk: Tensor) -> Tensor:
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return (chunk * weights).sum(1, keepdim=True).round_().to(torch.uint8)


def _by_chunks(images: Tensor, convert: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.cat([convert(chunk) for chunk in images.split(CHUNK)])
