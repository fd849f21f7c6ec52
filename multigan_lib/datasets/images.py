"""Every image data set as one thing: `ImageData`, uint8 images with labels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .streams import ImageStream


class Spec(NamedTuple):
    """What a game must know of its data.

    Attributes:
        shape: one sample's shape, (C, H, W) for images or (2,) for points.
        classes: number of labels, 0 if the data have none.
    """

    shape: tuple[int, ...]
    classes: int = 0


class Batch(NamedTuple):
    """A batch of real samples.

    Attributes:
        x: float32, images (B, C, H, W) in [-1, 1] or points (B, 2).
        labels: int64 (B,), or None if the data have none.
    """

    x: Tensor
    labels: Tensor | None = None


def to_float(images: Tensor) -> Tensor:
    """Stored uint8 images in 0..255 as float32 in [-1, 1], of the same shape."""
    if images.dtype != torch.uint8:
        raise TypeError(f"expected uint8 images in 0..255, got {images.dtype}")
    return images.to(torch.float32).div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """Float images in [-1, 1] as uint8 in 0..255: rounded, clamped, same shape.

    The inverse of `to_float`, exactly: `to_uint8(to_float(u)) == u`.
    """
    if not images.is_floating_point():
        raise TypeError(f"expected float images in [-1, 1], got {images.dtype}")
    scaled = images.detach().to(torch.float32).add(1.0).mul_(127.5)
    return scaled.round_().clamp_(0, 255).to(torch.uint8)


def spec_of(data: Any) -> Spec:
    """The `Spec` of an `ImageData`, a point mixture, a `Spec`, a shape or a batch.

    A shape is a tuple such as (1, 32, 32) or (2,); a batch is a float tensor
    (N, ...) without labels.
    """
    if isinstance(data, Spec):
        return data
    if isinstance(getattr(data, "spec", None), Spec):
        return data.spec
    if isinstance(data, Tensor) and data.ndim > 1 and data.is_floating_point():
        return Spec(tuple(data.shape[1:]))
    if isinstance(data, (tuple, list)) and data and all(type(n) is int for n in data):
        return Spec(tuple(data))
    raise TypeError(
        "expected ImageData, a point mixture, a Spec, a shape such as (1, 32, 32) or a "
        f"float tensor (N, ...), got {getattr(data, 'dtype', data)!r}"
    )


class ImageData:
    """Images of one size, stored as uint8, with or without labels.

    Args:
        images: uint8 (N, C, H, W), N ≥ 1; may be memory-mapped, is not copied.
        labels: integers (N,) in 0..len(classes) - 1, or None.
        classes: the labels' names; if empty, "0", "1", … up to the largest label.
        name: what the data are, e.g. "mnist".
        split: which part of them, e.g. "test[:8000]"; scores carry it.

    Raises:
        TypeError, ValueError: a wrong dtype or shape, labels that do not fit.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor | None = None,
        classes: tuple[str, ...] = (),
        name: str = "images",
        split: str = "all",
    ) -> None:
        images = torch.as_tensor(images)
        if images.dtype != torch.uint8:
            raise TypeError(
                f"images are stored as uint8, got {images.dtype}; convert floats in "
                "[-1, 1] with multigan_lib.data.to_uint8"
            )
        if images.ndim != 4 or 0 in images.shape:
            raise ValueError(
                "expected images (N, C, H, W), none of them 0, got "
                f"{tuple(images.shape)}"
            )
        self.images, self.name, self.split = images, name, split
        self.labels: Tensor | None = None
        self.classes: tuple[str, ...] = ()
        if labels is not None:
            self._label(torch.as_tensor(labels), tuple(classes))

    def _label(self, labels: Tensor, classes: tuple[str, ...]) -> None:
        if labels.is_floating_point() or labels.shape != (len(self),):
            raise ValueError(
                f"expected {len(self)} integer labels, one an image, got "
                f"{tuple(labels.shape)} of {labels.dtype}"
            )
        least, most = int(labels.min()), int(labels.max())
        classes = classes or tuple(str(label) for label in range(most + 1))
        if least < 0 or most >= len(classes):
            raise ValueError(
                f"labels run from {least} to {most} for {len(classes)} classes"
            )
        self.labels, self.classes = labels.to(torch.int64), classes

    @property
    def shape(self) -> tuple[int, ...]:
        """One image's (C, H, W)."""
        return tuple(self.images.shape[1:])

    @property
    def spec(self) -> Spec:
        """The shape and the number of classes."""
        return Spec(self.shape, len(self.classes))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> ImageData:
        """The chosen images, labels following: a slice (a view, nothing is copied)
        or an index: int64 or boolean tensor, list or array (a copy)."""
        split = f"{self.split}, chosen"
        if not isinstance(index, slice):
            index = torch.as_tensor(index)
        elif index.step in (None, 1):
            start, stop, _ = index.indices(len(self))
            split = _part(self.split, start, stop, len(self))
        labels = None if self.labels is None else self.labels[index]
        return ImageData(self.images[index], labels, self.classes, self.name, split)

    __iter__ = None  # one loops over batches

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.shape))
        classes = f", {len(self.classes)} classes" if self.classes else ""
        return f"ImageData({self.name} {self.split}: {len(self)} × {shape}{classes})"

    def x(self, indices: Any = None) -> Tensor:
        """All images, or those at `indices`, as float32 (n, C, H, W) in [-1, 1]."""
        return to_float(self.images if indices is None else self[indices].images)

    def batches(
        self, batch_size: int, seed: int = 0, device: torch.device | str = "cpu"
    ) -> ImageStream:
        """An endless, shuffled `ImageStream` of `Batch`es on `device`."""
        from .streams import ImageStream

        return ImageStream(self, batch_size, seed, device)


def _part(split: str, start: int, stop: int, n: int) -> str:
    """The split's name after slicing: "test[:8000]" [100:200] → "test[100:200]"."""
    if (start, stop) == (0, n):
        return split
    known = re.fullmatch(r"([\w-]+)(?:\[(\d*):(\d*)\])?", split)
    if known is None:
        return f"{split}[{start}:{stop}]"
    offset = int(known[2] or 0)
    last = "" if stop == n and not known[3] else offset + stop
    return f"{known[1]}[{offset + start or ''}:{last}]"
