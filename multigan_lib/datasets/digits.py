"""scikit-learn's digits, and stacked digits with their thousand modes."""

from __future__ import annotations

import numpy as np
import torch

from .images import ImageData
from .sizing import converted

TRAINING = 1437  # of 1797: four fifths, the rest is the test split


def load_digits(
    name: str, split: str, image_size: int | None, channels: int | None
) -> ImageData:
    """scikit-learn's 1,797 handwritten digits, 8×8, bundled: nothing is downloaded.

    "train" is the first 1,437 images and "test" the last 360. The images lie in the
    order in which they were collected, so other people wrote most of the test digits.
    """
    from sklearn.datasets import load_digits as bundled

    digits = bundled()
    part = slice(TRAINING) if split == "train" else slice(TRAINING, None)
    grey = np.rint(digits.images[part] * (255 / 16)).astype(np.uint8)
    labels = torch.from_numpy(digits.target[part])
    images = torch.from_numpy(grey).unsqueeze(1)
    data = ImageData(images, labels, tuple("0123456789"), name, split)
    return converted(data, image_size, channels)


def stacked(source: ImageData, n: int, seed: int = 0) -> ImageData:
    """`n` stacks of three random digits as red, green and blue: 1,000 modes.

    The data of Unrolled GAN (Metz et al. 2017) and PacGAN (Lin et al. 2018). Digits
    are drawn with replacement, uniformly over the images of `source`.

    Args:
        source: grey digits of ten classes, (N, 1, H, W).
        n: number of stacks.
        seed: fixes them.

    Returns:
        Images (n, 3, H, W), labels 100 · red + 10 · green + blue.
    """
    if source.shape[0] != 1 or len(source.classes) != 10 or source.labels is None:
        raise ValueError(f"stacks need grey digits of ten classes, got {source}")
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(source), (n, 3), generator=generator)
    images = source.images[:, 0][chosen]
    labels = source.labels[chosen] @ torch.tensor([100, 10, 1])
    classes = tuple(f"{mode:03d}" for mode in range(1000))
    split = f"{source.split} of {source.name}, {n} stacks, seed {seed}"
    return ImageData(images, labels, classes, "stacked_mnist", split)
