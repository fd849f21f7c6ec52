"""Traditional augmentation: shifts, rotation, flips, brightness, contrast, noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..datasets import ImageData, to_uint8
from ..games.adversarial import at_least
from ..games.game import seeded
from .drawing import Drawn
from .mixing import checked, labels_of

DIGITS = ("mnist", "digits", "stacked_mnist")
MIRRORS = (
    "fashion_mnist",
    "cifar10",
    "stl10",
    "celeba",
    "lsun_church",
    "imagenet32",
)


@dataclass(frozen=True)
class Traditional:
    """Changes that leave a label as it is, drawn anew for every image.

    torchvision's transforms, of the kinds that the thesis of Reinhart uses (2025,
    sections 4.1.3 and 4.1.5). What a shift or a rotation uncovers is black.

    Args:
        shift: most that an image moves along either axis, of its size.
        rotation: most that it turns either way, in degrees.
        flip: classes of which half the images are mirrored, left to right; True for
            all classes, False for none. None mirrors all where left and right do not
            matter as far as the library knows (clothes, photographs), else none.
        brightness, contrast: factors are drawn from 1 ± this.
        noise: standard deviation of Gaussian noise, of images in [-1, 1].

    Raises:
        ValueError: for a number that is negative or infinite, or a shift above 1.
    """

    shift: float = 0.1
    rotation: float = 10.0
    flip: bool | Sequence[int] | None = None
    brightness: float = 0.2
    contrast: float = 0.2
    noise: float = 0.05

    def __post_init__(self) -> None:
        for name in ("shift", "rotation", "brightness", "contrast", "noise"):
            at_least(name, getattr(self, name), 0)
        if self.shift > 1:
            raise ValueError(
                f"shift is a part of the image's size, in 0..1; got {self.shift}"
            )

    def draw(self, data: ImageData, counts: Tensor, seed: int = 0) -> Drawn:
        """Return ``counts[c]`` changed images of every class c.

        The images of a class are taken in random order, each once before any is taken
        again.

        Args:
            data: labelled images.
            counts: how many of each class, (classes,).
            seed: which images, and their changes.

        Raises:
            ValueError: if a class has no image, the counts are none, or ``flip`` is
                not for these data.
        """
        labels_of(data)
        flipped = self.flipped(data)
        counts = checked(counts, len(data.classes))
        with seeded(seed):
            chosen = torch.cat(
                [_cycle(data, label, n) for label, n in enumerate(counts.tolist())]
            )
            labels = labels_of(data)[chosen]
            images = self._changed(data.x(chosen), torch.isin(labels, flipped))
        split = f"{data.split}, changed"
        changed = ImageData(
            to_uint8(images), labels, data.classes, "traditional", split
        )
        return Drawn(changed, counts, 1.0)

    def flipped(self, data: ImageData) -> Tensor:
        """Return the classes that are mirrored, (m,).

        Raises:
            ValueError: if all digits are to be mirrored, or a class that is not there.
        """
        every = torch.arange(len(data.classes))
        # An archive may add to the name, as cifar10-jpeg does.
        if self.flip is True and data.name.startswith(DIGITS):
            raise ValueError(
                f"{data.name} holds digits: a mirrored 2, 3 or 7 is no digit, and it "
                "would keep its label. Leave flip out, or name the classes that look "
                "like themselves in a mirror: flip=[0, 8]"
            )
        if self.flip is None:
            return every if data.name.startswith(MIRRORS) else every[:0]
        if isinstance(self.flip, bool):
            return every if self.flip else every[:0]
        if isinstance(self.flip, int) or any(
            isinstance(label, bool) or label not in range(len(every))
            for label in self.flip
        ):
            raise ValueError(
                "flip is True, False or the numbers of classes, from 0 to "
                f"{len(every) - 1}, such as [0]; got {self.flip!r}"
            )
        return torch.tensor(list(self.flip), dtype=torch.int64)

    def _changed(self, x: Tensor, mirror: Tensor) -> Tensor:
        """Change float images (n, C, H, W) in [-1, 1]; ``mirror`` says which may be."""
        from torchvision.transforms import v2

        steps: list[nn.Module] = [
            v2.RandomAffine(
                self.rotation,
                translate=(self.shift, self.shift),
                interpolation=v2.InterpolationMode.BILINEAR,
            ),
            v2.ColorJitter(self.brightness, self.contrast),
        ]
        plain, mirrored = (
            v2.Compose(more + steps) for more in ([], [v2.RandomHorizontalFlip()])
        )
        # One image at a time: a transform draws its numbers once for a whole batch.
        images = torch.stack(
            [
                (mirrored if flip else plain)(image)
                for image, flip in zip((x + 1) / 2, mirror.tolist(), strict=True)
            ]
        )
        images = images * 2 - 1
        return (images + self.noise * torch.randn_like(images)).clamp(-1, 1)


def _cycle(data: ImageData, label: int, count: int) -> Tensor:
    """Places of ``count`` images of a class, each once before any comes again."""
    places = (labels_of(data) == label).nonzero().flatten()
    if count and not len(places):
        raise ValueError(f"{data} have no image of class {data.classes[label]}")
    rounds = -(-count // len(places)) if count else 0
    parts = [places[torch.randperm(len(places))] for _ in range(rounds)]
    return torch.cat([*parts, places[:0]])[:count]
