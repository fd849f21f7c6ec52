"""Images of a game with labels: asked for, or given by a classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..datasets import ImageData, to_uint8
from ..games import Game
from ..games.game import seeded
from .classifying import logits_of
from .mixing import checked

ROUND, PATIENCE = 2048, 20


class UnfilledError(ValueError):
    """A game does not make enough images of a class."""


@dataclass(frozen=True)
class Drawn:
    """Extra images, and how they came.

    Attributes:
        images: labelled images, as many of each class as were asked for.
        histogram: how many of each class came, before any was thrown away, (classes,).
        accepted: share of them that a labeller was sure enough of.
    """

    images: ImageData
    histogram: Tensor
    accepted: float


def generative(
    game: Game,
    counts: Tensor,
    *,
    labeller: Callable[[Tensor], Tensor] | None = None,
    confidence: float = 0.0,
    source: int | None = None,
    seed: int = 0,
) -> Drawn:
    """Draw labelled images from a trained game.

    A conditional game is asked for the labels. Images of any other game are named by a
    classifier, those whose highest probability is below ``confidence`` are thrown away,
    and drawing goes on until every class is full: 2,048 images at a time, until 20
    times as many have come as are asked for.

    Args:
        game: a game of images.
        counts: how many of each class, (classes,).
        labeller: from float images (n, C, H, W) in [-1, 1] to class logits
            (n, classes); for games without conditions.
        confidence: least probability of the label, in 0..1; for games without
            conditions.
        source: draw from this generator alone; by default from all of them.
        seed: of the noise.

    Raises:
        ValueError: if the game is not one of images; if a game without conditions has
            no labeller, or a conditional one has a labeller or a confidence; if the
            counts are none, or not one for each class; :class:`UnfilledError`, which is
            one, if a class cannot be filled: the message says what came.
    """
    if len(game.shape) != 3:
        raise ValueError(
            f"a game of images is needed; the samples of this {type(game).__name__} "
            f"have the shape {game.shape}"
        )
    counts = torch.as_tensor(counts)
    counts = checked(counts, game.spec.classes if game.conditional else counts.numel())
    if not 0 <= confidence <= 1:
        raise ValueError(f"confidence must be in 0..1, got {confidence}")
    if game.conditional and (labeller is not None or confidence):
        raise ValueError(
            f"a {type(game).__name__} is asked for its labels, nothing guesses them: "
            "leave out the labeller and the confidence"
        )
    if not game.conditional and labeller is None:
        raise ValueError(
            f"a {type(game).__name__} draws images without labels: pass a labeller, "
            "such as a classifier trained on the real images"
        )
    with seeded(seed, game.device):
        if labeller is None:
            return _asked(game, counts, source)
        return _named(game, counts, labeller, confidence, source)


def _asked(game: Game, counts: Tensor, source: int | None) -> Drawn:
    labels = torch.arange(len(counts)).repeat_interleave(counts)
    x = game.sample(len(labels), labels=labels, source=source).x
    return Drawn(_images(game, to_uint8(x).cpu(), labels, counts), counts, 1.0)


def _named(
    game: Game,
    counts: Tensor,
    labeller: Callable[[Tensor], Tensor],
    confidence: float,
    source: int | None,
) -> Drawn:
    missing, histogram = counts.clone(), torch.zeros_like(counts)
    kept: list[tuple[Tensor, Tensor]] = []
    drawn = sure = 0
    while missing.any() and drawn < PATIENCE * counts.sum():
        images = to_uint8(game.sample(ROUND, source=source).x)
        # What is stored is what is named: grey levels, not the network's own floats.
        logits = logits_of(labeller, images, len(counts))
        found, labels = logits.softmax(1).max(1)
        accepted = found >= confidence
        drawn, sure = drawn + ROUND, sure + int(accepted.sum())
        histogram += torch.bincount(labels, minlength=len(counts))
        for label in missing.nonzero().flatten().tolist():
            places = ((labels == label) & accepted).nonzero().flatten()
            places = places[: int(missing[label])]
            missing[label] -= len(places)
            kept.append((images[places], labels[places]))
    if missing.any():
        worst = int(missing.argmax())
        raise UnfilledError(
            f"class {worst} lacks {int(missing[worst])} of {int(counts[worst])} images "
            f"after {drawn} draws; the labels came as {histogram.tolist()}, "
            f"{sure / drawn:.0%} of them sure enough. Ask for fewer, lower the "
            "confidence, or train the game longer"
        )
    labels = torch.cat([part for _, part in kept])
    filled = _images(game, torch.cat([part for part, _ in kept]), labels, counts)
    return Drawn(filled, histogram, sure / max(drawn, 1))


def _images(game: Game, images: Tensor, labels: Tensor, counts: Tensor) -> ImageData:
    names = tuple(str(label) for label in range(len(counts)))
    return ImageData(images.cpu(), labels, names, type(game).__name__, "generated")
