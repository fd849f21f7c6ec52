"""The judge: a small classifier, trained for a fixed number of steps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import cast

import torch
from torch import nn

from ..datasets import ImageData, to_float
from ..games.game import evaluating, seeded
from ..nets.classifier import Classifier
from ..training.settings import resolve_device
from .mixing import labels_of


def train_classifier(
    images: ImageData,
    *,
    steps: int,
    seed: int = 0,
    width: int = 16,
    lr: float = 3e-3,
    batch_size: int = 64,
    device: str | torch.device | None = None,
) -> Classifier:
    """Train a classifier; return it in evaluation mode.

    AdamW with one cycle of the learning rate, for ``steps`` steps whatever the number
    of images: larger sets get no more updates. There is no early stopping and no
    schedule that looks at results, so no other images are needed.

    Args:
        images: labelled images.
        steps: updates.
        seed: of the weights and the order of the images.
        width: channels of the first block.
        lr: the highest learning rate.
        batch_size: images a step.
        device: by default the best there is.

    Raises:
        ValueError: if the images have no labels, or are fewer than a batch, or there is
            not a step.
    """
    labels_of(images)
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    chosen = resolve_device(device)
    with seeded(seed, chosen):
        classifier = Classifier(images.shape, len(images.classes), width)
    # Pooling is a third faster with channels last, on the CPU too.
    layout = torch.channels_last
    classifier.to(chosen).to(memory_format=layout)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        classifier.parameters(), lr, weight_decay=1e-2, fused=chosen.type != "mps"
    )
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    stream = images.batches(batch_size, seed, chosen)
    for _ in range(steps):
        batch = next(stream)
        logits = classifier(batch.x.contiguous(memory_format=layout))
        assert batch.labels is not None
        loss = nn.functional.cross_entropy(logits, batch.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        cycle.step()
    return classifier.eval()


def macro_f1(classifier: nn.Module, held: ImageData) -> float:
    """Return the mean over the classes of the F1 score on held-out images, in 0..1.

    Args:
        classifier: from float images (n, C, H, W) in [-1, 1] to class logits.
        held: labelled images that nothing has seen before.

    Raises:
        ValueError: if the images have no labels, or the classifier is for other classes
            or images of another shape.
    """
    labels_of(held)
    return f1_of(predicted(classifier, held), held)


def predicted(classifier: nn.Module, held: ImageData) -> torch.Tensor:
    """Return the class of highest probability of every image, (n,) on the CPU."""
    return logits_of(classifier, held.images, len(held.classes)).argmax(1)


@torch.no_grad()
def logits_of(
    classifier: Callable[[torch.Tensor], torch.Tensor],
    images: torch.Tensor,
    classes: int,
) -> torch.Tensor:
    """Return the class logits of uint8 images, (n, classes) on the CPU.

    A network is asked in evaluation mode, on its own device.

    Raises:
        ValueError: if the classifier says that it is for images of another shape, or
            what comes is not a logit for each class.
    """
    shape = tuple(images.shape[1:])
    own = getattr(classifier, "shape", shape)
    if own != shape:
        raise ValueError(
            f"the classifier is for images of shape {own}, these have {shape}"
        )
    device, mode = images.device, cast(AbstractContextManager, nullcontext())
    if isinstance(classifier, nn.Module):
        device = next(classifier.parameters(), images).device
        mode = evaluating(classifier)
    with mode:
        parts = [classifier(to_float(part.to(device))) for part in images.split(512)]
    logits = torch.cat(parts).cpu()
    if logits.shape != (len(images), classes):
        raise ValueError(
            f"a classifier must give {len(images)} images a logit for each of "
            f"{classes} classes; got {tuple(logits.shape)}"
        )
    return logits


def f1_of(predictions: torch.Tensor, held: ImageData) -> float:
    """Return the macro-averaged F1 score of predictions (n,)."""
    from torchmetrics.functional.classification import multiclass_f1_score

    labels = labels_of(held)
    score = multiclass_f1_score(predictions, labels, len(held.classes), average="macro")
    return score.item()
