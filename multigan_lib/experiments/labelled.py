"""What is measured on games of labelled images, generator by generator."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .. import datasets as data_sets
from .. import metrics
from ..games import CMADGAN, Samples
from ..losses.diversity import cosine_similarity
from ..metrics import features
from ..results import How
from ..training.history import History
from .evaluations import SAMPLE_SEED, Outcome, labels_read

COLUMNS = 10
"""Images of each generator in a picture of labelled images: one a class."""


def labelled_images(
    game: Any, data: Any, history: History, settings: Mapping[str, Any], seed: int
) -> Outcome:
    """Quality of a game's images and of every generator's, and how alike these are.

    ``fid``, ``inception_score``: of as many images as are held out, of all generators;
    ``…_G0``, …: of each alone. ``fid_train``: of as many images that were trained on.
    ``accuracy``: how often the labeller reads the class that was asked for;
    ``…_real``: that of the held-out images.
    ``similarity_within``: mean cosine of one generator's images of one class for two z,
    over the generators and classes; 1 if it does not listen to z.
    ``similarity_between``: that of two generators' images.
    ``similarity``: mean cosine of different generators' images for one z and label;
    ``…_centred``: after the mean image is subtracted; ``…_real``: of different real
    images of a class.
    """
    held = data_sets.load(**settings["held_out"])
    n, count = len(held), getattr(game, "generators", 1)
    samples = game.sample(n, seed=SAMPLE_SEED + seed)
    x = samples.x.cpu()
    measured = {
        "fid": _fid(held, x),
        "inception_score": _inception_score(held, x),
        "fid_train": _fid(held, data[:n].x()),
        "inception_score_real": _inception_score(held, held.x()),
    }
    for k in range(count if count > 1 else 0):
        alone = game.sample(n, source=k, seed=SAMPLE_SEED + seed).x.cpu()
        measured[f"fid_G{k}"] = _fid(held, alone)
        measured[f"inception_score_G{k}"] = _inception_score(held, alone)
    if samples.labels is not None:
        measured["accuracy"] = _accuracy(held, x, samples.labels.cpu())
        measured["accuracy_real"] = _accuracy(held, held.x(), held.labels)
        measured |= _similarities_of_classes(game, seed)
    if isinstance(game, CMADGAN):
        measured |= _similarities(game, data, seed)
    labels = (
        None if samples.labels is None else torch.arange(COLUMNS) % len(data.classes)
    )
    shown = [
        game.sample(COLUMNS, labels=labels, source=k, seed=SAMPLE_SEED + seed)
        for k in range(count)
    ]
    picture = Samples(
        data_sets.to_uint8(torch.cat([part.x for part in shown]).cpu()),
        torch.cat([part.source for part in shown]).cpu(),
    )
    return Outcome(measured, picture)


def _fid(held: data_sets.ImageData, x: Tensor) -> tuple[float, How]:
    """FID of images against the held-out ones."""
    score = metrics.fid(held, x, features.default_name(held.shape, held.name))
    return score.value, How(score.features, len(x), score.split)


def _inception_score(held: data_sets.ImageData, x: Tensor) -> tuple[float, How]:
    """Inception score of images, by the features for the held-out ones."""
    score = metrics.inception_score(x, features.default_name(held.shape, held.name))
    return score.value, How(score.features, len(x))


def _accuracy(held: data_sets.ImageData, x: Tensor, labels: Any) -> tuple[float, How]:
    """Share of images that the labeller reads as the class they are to be."""
    labeller = features.default_name(held.shape, held.name)
    right = labels_read(x, labeller) == labels
    how = How(features.feature_network(labeller).name, len(x))
    return right.double().mean().item(), how


def _similarities_of_classes(game: Any, seed: int) -> dict[str, tuple[float, How]]:
    """How alike images of a class are, of one generator and of two, for other z."""
    classes, noises, count = game.spec.classes, 100, game.generators
    labels = torch.arange(classes).repeat(noises)
    own = torch.stack(
        [
            game.sample(len(labels), labels, k, SAMPLE_SEED + count * seed + k).x
            for k in range(count)
        ]
    ).unflatten(1, (noises, classes))
    within = [cosine_similarity(x).item() for x in own]
    values = {"similarity_within": sum(within) / count}
    if count > 1:
        # Of all pairs of images, those of one generator are known.
        whole = cosine_similarity(own.flatten(0, 1)).item()
        share = (noises - 1) / (count * noises - 1)
        between = (whole - share * values["similarity_within"]) / (1 - share)
        values["similarity_between"] = between
    return {name: (value, How(n=len(labels))) for name, value in values.items()}


def _similarities(game: CMADGAN, data: Any, seed: int) -> dict[str, tuple[float, How]]:
    """How alike generators are, and how alike real images of one class."""
    n, centre = 512, data.x().mean(0)
    classes = [data.x(data.labels == c) for c in range(len(data.classes))]

    def of_real(middle: Tensor | None) -> float:
        means = [cosine_similarity(x[:, None], middle).item() for x in classes]
        return sum(means) / len(means)

    values = {
        "similarity_real": of_real(None),
        "similarity_centred_real": of_real(centre),
    }
    of_game = {"similarity": None, "similarity_centred": centre.to(game.device)}
    for name, middle in of_game.items():
        values[name] = game.similarity(n, centre=middle, seed=SAMPLE_SEED + seed)
    return {
        name: (value, How(n=len(data) if "real" in name else n))
        for name, value in values.items()
    }
