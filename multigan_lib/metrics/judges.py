"""What battles hear: a set of samples, and every judge's opinion of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, softplus

from ..datasets import Batch
from ..games.game import seeded
from .images import BATCH, ImageSet, image_set

if TYPE_CHECKING:
    from .images import Images

TINY = 1e-300  # a value of no sample called real at all, whose logarithm exists


@dataclass(frozen=True)
class Opinion:
    """What a judge says of a set: float64 (n,) errors in [0, 1], and a log value."""

    called_fake: np.ndarray
    called_real: np.ndarray
    log_value: float  # log of -F = log E[-log(1 - D)]


class Judge:
    """A game in the role of judge, of images of any size it may see."""

    def __init__(
        self, name: str, game: Any, judges: str, resize: bool, samples: Batch
    ) -> None:
        self.name, self.game, self.judges, self.resize = name, game, judges, resize
        self.shape = tuple(samples.x.shape[1:])
        self.conditional = samples.labels is not None

    def logits(
        self, x: Tensor, labels: Tensor | None, what: str
    ) -> tuple[Tensor, Tensor]:
        """Return the verdict, (1, b) or one a discriminator, and each one's logits."""
        x = self.fitted(x, what)
        if self.conditional and labels is None:
            raise ValueError(
                f"{self.name} is conditional and judges samples with their labels, "
                f"but {what} have none; let conditional games battle each other"
            )
        judged = (x, labels) if self.conditional else (x,)
        try:
            # What a game says as one is its own affair: boosted judges vote.
            said = each = self.game.realness(*judged)[None]
            if getattr(self.game, "discriminators", 1) > 1:
                each = self.game.realness_each(*judged)
        except ValueError as error:
            raise ValueError(f"{self.name} cannot be a judge: {error}") from error
        if said.isnan().any() or each.isnan().any():
            raise ValueError(f"{self.name} says NaN of {what}: did training diverge?")
        each = each.detach().double().cpu()
        return (said.detach().double().cpu() if self.judges == "mean" else each), each

    def fitted(self, x: Tensor, what: str) -> Tensor:
        """Return samples at the size that it judges, or raise a ValueError."""
        shape = tuple(x.shape[1:])
        if shape == self.shape:
            return x
        if len(shape) != 3 or len(self.shape) != 3 or shape[0] != self.shape[0]:
            raise ValueError(
                f"{self.name} judges samples of shape {self.shape}, "
                f"and {what} have shape {shape}"
            )
        if not self.resize:
            raise ValueError(
                f"{self.name} judges images of shape {self.shape}, and {what} have "
                f"shape {shape}; resize=True scales them"
            )
        return interpolate(x, self.shape[1:], mode="bilinear", antialias=True)


def draw(name: str, game: Any, n: int, classes: Tensor | None, seed: int) -> Batch:
    """A game's samples, of the test images' classes if it is conditional."""
    if not hasattr(game, "sample") or not hasattr(game, "realness"):
        raise TypeError(f"{name} must be a game, got {type(game).__name__}")
    device = getattr(game, "device", None)
    with seeded(seed, device):
        conditional = getattr(game.sample(1), "labels", None) is not None
    if conditional and classes is None:
        raise ValueError(
            f"{name} is conditional and judges images with their labels, but the test "
            "images have none; pass labelled ones, such as ImageData"
        )
    with seeded(seed, device):
        drawn = game.sample(n, classes) if conditional else game.sample(n)
    return Batch(drawn.x, classes if conditional else None)


@torch.no_grad()
def hear(
    bench: Mapping[str, Judge],
    parts: Iterable[Tensor],
    labels: Tensor | None,
    what: str,
) -> dict[str, Opinion]:
    """Every judge's opinion of a set that comes in parts of `BATCH`."""
    heard: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in bench}
    of = repeat(None) if labels is None else labels.split(BATCH)
    for x, c in zip(parts, of, strict=False):
        for name, judge in bench.items():
            heard[name].append(judge.logits(x, c, what))
    opinions = {}
    for name in bench:
        said, each = (
            torch.cat(parts, dim=1) for parts in zip(*heard[name], strict=True)
        )
        real = ((said.sign() + 1) / 2).mean(0).numpy()
        value = max(softplus(each).mean().item(), TINY)
        opinions[name] = Opinion(1 - real, real, math.log(value))
    return opinions


def held_out(test_images: Images) -> ImageSet:
    """Test images, or test points (n, 2), that passed the checks."""
    x = getattr(test_images, "x", test_images)
    if not (isinstance(x, Tensor) and x.ndim == 2):
        return image_set(test_images, "test_images")
    if not x.is_floating_point() or not len(x) or not x.isfinite().all():
        raise ValueError(
            f"test_images must be finite float points (n, 2), got {x.dtype} "
            f"{tuple(x.shape)}"
        )
    return ImageSet(x.detach(), len(x), tuple(x.shape[1:]))


def labels_of(test_images: Images, n: int) -> Tensor | None:
    """The classes of n test images, (n,), or None if they have none."""
    labels = getattr(test_images, "labels", None)
    if labels is not None and labels.shape != (n,):
        raise ValueError(
            f"test_images have {n} samples, and labels of shape {tuple(labels.shape)}"
        )
    return None if labels is None else labels.cpu()


def indices(total: int, n: int, seed: int) -> Tensor:
    """Indices of n test images: all in order, or some at random."""
    if n == total:
        return torch.arange(n)
    return torch.randperm(total, generator=torch.Generator().manual_seed(seed))[:n]
