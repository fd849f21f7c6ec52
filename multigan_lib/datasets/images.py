"""Every image data set as one thing: `ImageData`, uint8 images with labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
    if isinstance(data, Tensor):
        if data.ndim < 2 or not data.is_floating_point():
            raise TypeError(
                "expected a float tensor (N, ...) of samples, got "
                f"{tuple(data.shape)} of {data.dtype}; wrap uint8 images in "
                "multigan_lib.data.ImageData"
            )
        return Spec(tuple(data.shape[1:]), 0)
    spec = getattr(data, "spec", None)
    if isinstance(spec, Spec):
        return spec
    if isinstance(data, (tuple, list)) and data and all(type(n) is int for n in data):
        if min(data) < 1:
            raise ValueError(f"a shape has positive sizes, got {tuple(data)}")
        return Spec(tuple(data), 0)
    raise TypeError(
        "expected ImageData, a point mixture, a Spec, a shape such as (1, 32, 32) "
        f"or a float tensor (N, ...), got {type(data).__name__}"
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
        if not isinstance(images, Tensor) or images.dtype != torch.uint8:
            got = images.dtype if isinstance(images, Tensor) else type(images).__name__
            raise TypeError(
                f"images are stored as a uint8 tensor, got {got}; "
                "convert floats in [-1, 1] with multigan_lib.data.to_uint8"
            )
        if images.ndim != 4 or 0 in images.shape:
            raise ValueError(
                f"expected images (N, C, H, W), none of them 0, got "
                f"{tuple(images.shape)}"
            )
        if labels is not None:
            labels = _checked_labels(labels, len(images), classes)
            count = int(labels.max()) + 1
            classes = tuple(classes) or tuple(str(c) for c in range(count))
        self.images, self.labels = images, labels
        self.classes = tuple(classes) if labels is not None else ()
        self.name, self.split = name, split

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
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step < 1 or stop <= start:
                raise ValueError(
                    f"[{_text(index)}] of {self} holds no image"
                    + (" (steps must be positive)" if step < 1 else "")
                )
            split = _sliced(self.split, start, stop, step, len(self))
        else:
            index = torch.as_tensor(index)
            if index.ndim != 1 or index.is_floating_point():
                raise TypeError(
                    "choose images with a slice or a 1-d tensor of integers or "
                    f"booleans, got {tuple(index.shape)} of {index.dtype}"
                )
            split = f"{self.split}, chosen"
        labels = None if self.labels is None else self.labels[index]
        return ImageData(self.images[index], labels, self.classes, self.name, split)

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(
            "iterate over batches: data.batches(batch_size, seed), or read data.images"
        )

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


def _checked_labels(labels: Tensor, n: int, classes: tuple[str, ...]) -> Tensor:
    labels = torch.as_tensor(labels)
    if labels.is_floating_point() or labels.shape != (n,):
        raise ValueError(
            f"expected {n} integer labels, one an image, got {tuple(labels.shape)} "
            f"of {labels.dtype}"
        )
    labels = labels.to(torch.int64)
    least, most = int(labels.min()), int(labels.max())
    if least < 0 or (classes and most >= len(classes)):
        raise ValueError(
            f"labels run from {least} to {most}, but there are "
            f"{len(classes) or 'no negative'} classes"
        )
    return labels


def _text(index: slice) -> str:
    parts = [index.start, index.stop] + ([index.step] if index.step else [])
    return ":".join("" if part is None else str(part) for part in parts)


def _sliced(split: str, start: int, stop: int, step: int, n: int) -> str:
    """The split's name after slicing: "test[:8000]" [100:200] → "test[100:200]"."""
    if (start, stop, step) == (0, n, 1):
        return split
    known = re.fullmatch(r"([\w-]+)(?:\[(\d*):(\d*)\])?", split)
    if known is None or step != 1:
        return f"{split}[{start}:{stop}" + (f":{step}]" if step != 1 else "]")
    offset = int(known[2] or 0)
    at_end = stop == n and not known[3]
    first = "" if offset + start == 0 else str(offset + start)
    return f"{known[1]}[{first}:{'' if at_end else offset + stop}]"
