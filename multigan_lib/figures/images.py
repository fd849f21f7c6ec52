"""Grids of images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from ..datasets import to_uint8
from .plots import axes


def sample_grid(
    images: Any,
    columns: int = 8,
    limit: int = 64,
    title: str = "",
    rows: Sequence[str] | None = None,
    width: float | None = None,
) -> Figure:
    """Draw images on a grid, pixel by pixel and without stretching their contrast.

    Args:
        images: ``Samples`` of a game, an ``ImageData``, or a tensor (N, C, H, W) of
            uint8 or of floats in [-1, 1]; C is 1 or 3.
        columns: images in a row.
        limit: at most so many images are drawn, the first ones.
        title: above the grid.
        rows: a name for every row, written at its left.
        width: in inches; by default by the size of the images.

    Raises:
        ValueError: if the shape or the range of the images is another.
    """
    pixels = as_uint8(images)[:limit].permute(0, 2, 3, 1).numpy()
    tiled = tile(pixels, columns)
    width = width or min(7.0, max(2.5, tiled.shape[1] / 45))
    names = 0.1 * max(map(len, rows)) if rows else 0.0  # inches beside the grid
    height = (width - names) * tiled.shape[0] / tiled.shape[1] + (0.3 if title else 0)
    fig, ax = axes(width=width, height=height)
    ax.imshow(tiled, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if title:
        ax.set_title(title)
    if rows:
        step = pixels.shape[1] + 1
        ax.set_yticks([step * (row + 0.5) for row in range(len(rows))], rows)
        ax.tick_params(left=False)
        ax.set_anchor("E")  # what is left over belongs to the names
    return fig


def as_uint8(images: Any) -> torch.Tensor:
    """Return any form of images as a uint8 tensor (N, C, H, W) on the CPU."""
    if hasattr(images, "images"):
        images = images.images
    images = torch.as_tensor(getattr(images, "x", images)).detach().cpu()
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise ValueError(
            "images must be (N, C, H, W) with N ≥ 1 and C = 1 or 3, "
            f"got {tuple(images.shape)}"
        )
    if images.dtype == torch.uint8:
        return images
    if not images.is_floating_point():
        raise ValueError(f"images must be uint8 or float, got {images.dtype}")
    low, high = images.min().item(), images.max().item()
    if not (low >= -1.001 and high <= 1.001):
        raise ValueError(
            f"float images must lie in [-1, 1], got values from {low:g} to {high:g}"
        )
    return to_uint8(images)


def tile(pixels: np.ndarray, columns: int) -> np.ndarray:
    """Lay (N, H, W, C) out on white, one white pixel between; → (…, …[, 3])."""
    n, height, width, channels = pixels.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    sheet = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1, channels), 255)
    for index, image in enumerate(pixels):
        top = index // columns * (height + 1) + 1
        left = index % columns * (width + 1) + 1
        sheet[top : top + height, left : left + width] = image
    sheet = sheet.astype(np.uint8)
    return sheet[..., 0] if channels == 1 else sheet
