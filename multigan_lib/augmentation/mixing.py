"""Real and extra images in one training set: replacement and expansion."""

from __future__ import annotations

import torch
from torch import Tensor

from ..datasets import ImageData

SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""The five equal steps of both scenarios; share 0 is the real images alone."""


def class_counts(data: ImageData, most: int = 5_000) -> Tensor:
    """Return how many images of each class an experiment uses, (classes,) int64.

    ``most`` of every class that has them, as in the thesis of Reinhart (2025, section
    4.2), and all there are of the others.

    Raises:
        ValueError: if the data have no labels, or ``most`` is below 1.
    """
    if most < 1:
        raise ValueError(f"most must be at least 1 image of a class, got {most}")
    return torch.bincount(labels_of(data), minlength=len(data.classes)).clamp(max=most)


def stratified(data: ImageData, counts: Tensor, seed: int = 0) -> ImageData:
    """Return ``counts[c]`` images of every class c, drawn without replacement.

    With the same seed, larger counts hold the images of smaller ones.

    Raises:
        ValueError: if a class has too few, or the counts are none.
    """
    labels_of(data)
    counts = checked(counts, len(data.classes))
    return data[torch.cat(_choose(data, counts, seed)).sort().values]


def replacement(
    real: ImageData, extra: ImageData, share: float, seed: int = 0
) -> ImageData:
    """Return as many images as there are real ones, a share of every class replaced.

    An extra image takes the very place of a real one of its class, so the labels and
    their order are those of ``real``. With the same seed, a larger share replaces what
    a smaller one replaces, by the same images.

    Args:
        real, extra: labelled images of one shape and the same classes.
        share: F / (R + F), in 0..1; of each class, rounded to whole images.
        seed: which images.

    Raises:
        ValueError: for images that do not fit, or too few extra ones.
    """
    counts = _extra_counts(real, extra, share)
    images = real.images.clone()
    places = torch.cat(_choose(real, counts, seed))
    images[places] = extra.images[torch.cat(_choose(extra, counts, seed + 1))]
    split = f"{real.split}, {share:.0%} replaced by {extra.name}"
    return ImageData(images, real.labels, real.classes, real.name, split)


def expansion(
    real: ImageData, extra: ImageData, share: float, seed: int = 0
) -> ImageData:
    """Return all real images and a share as many extra ones of every class.

    The real images come first. With the same seed, a larger share holds the extra
    images of a smaller one.

    Args:
        real, extra: labelled images of one shape and the same classes.
        share: F / R, in 0..1; of each class, rounded to whole images.
        seed: which images.

    Raises:
        ValueError: for images that do not fit, or too few extra ones.
    """
    counts = _extra_counts(real, extra, share)
    chosen = torch.cat(_choose(extra, counts, seed + 1))
    return ImageData(
        torch.cat([real.images, extra.images[chosen]]),
        torch.cat([labels_of(real), labels_of(extra)[chosen]]),
        real.classes,
        real.name,
        f"{real.split} and {share:.0%} of {extra.name}",
    )


def labels_of(data: ImageData) -> Tensor:
    """Return the labels, (n,) int64.

    Raises:
        TypeError: for anything but an ``ImageData``.
        ValueError: if there are no labels.
    """
    if not isinstance(data, ImageData):
        hint = "; take its .images" if hasattr(data, "images") else ""
        raise TypeError(
            f"labelled images are needed, an ImageData; got a {type(data).__name__}"
            f"{hint}"
        )
    if data.labels is None:
        raise ValueError(f"labelled images are needed, and {data} have no labels")
    return data.labels


def checked(counts: Tensor, classes: int) -> Tensor:
    """Return how many images of each class are asked for, (classes,) int64.

    Raises:
        ValueError: for another number of classes, or numbers that are no counts.
    """
    counts = torch.as_tensor(counts)
    whole = not counts.is_floating_point() and counts.shape == (classes,)
    if not (classes and whole and counts.min() >= 0 and counts.any()):
        raise ValueError(
            f"how many images are asked for of each of {classes} classes? Whole "
            f"numbers are needed, not all of them 0; got {counts.tolist()}"
        )
    return counts.long()


def _extra_counts(real: ImageData, extra: ImageData, share: float) -> Tensor:
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in 0..1, got {share}")
    labels_of(real), labels_of(extra)
    if real.shape != extra.shape or len(real.classes) != len(extra.classes):
        raise ValueError(
            f"real and extra images must have one shape and the same classes, got "
            f"{real} and {extra}"
        )
    counts = class_counts(real, len(real)).double()
    return (share * counts).round().long()


def _choose(data: ImageData, counts: Tensor, seed: int) -> list[Tensor]:
    """For every class, the places of ``counts[c]`` images of it."""
    dice = torch.Generator().manual_seed(seed)
    labels = labels_of(data)
    chosen = []
    for label, count in enumerate(counts.tolist()):
        places = (labels == label).nonzero().flatten()
        if count > len(places):
            raise ValueError(
                f"{count} images of class {data.classes[label]} are needed, and "
                f"{data} have {len(places)}"
            )
        chosen.append(places[torch.randperm(len(places), generator=dice)[:count]])
    return chosen
