"""Train the frozen classifiers of this folder.

python data/features/train.py digits mnist cifar10

Writes <name>.safetensors and <name>.json beside this script. The classifiers see only
the images that games may be trained on; the held-out images are used once, to report
the accuracy. Digits are augmented with small rotations, scalings, shifts and blurs, so
that one that is slightly off its place, or was drawn at another size, is still read;
photographs with mirror images, shifts and blurs.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

import multigan_lib as mg
from multigan_lib.metrics.features import to_size
from multigan_lib.nets.classifier import Classifier

FOLDER = Path(__file__).resolve().parent
SIZES = (16, 28, 32, 64)  # the held-out accuracy is reported for images of these sizes
BATCH = 64
SEED = 0


def augmented(x: Tensor) -> Tensor:
    """Images (B, 1, H, W) in [-1, 1], each rotated, scaled, sheared, shifted at random;
    a quarter of the batches also lose their finest details."""
    n = len(x)
    angle = (torch.rand(n) - 0.5) * 2 * math.radians(12)
    scale = 1 + (torch.rand(n) - 0.5) * 0.4
    shear = (torch.rand(n) - 0.5) * 0.3
    shift = (torch.rand(n, 2) - 0.5) * 0.2
    theta = torch.stack(
        [
            torch.stack([angle.cos() * scale, shear - angle.sin(), shift[:, 0]], 1),
            torch.stack([angle.sin(), angle.cos() * scale, shift[:, 1]], 1),
        ],
        1,
    )
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    x = functional.grid_sample(x + 1, grid, align_corners=False) - 1
    return blurred(x)


def photographed(x: Tensor) -> Tensor:
    """Images (B, 3, H, W) in [-1, 1], half of them mirrored, each shifted by at most
    four pixels, with the border reflected; a quarter of the batches is blurred."""
    n, _, height, width = x.shape
    x = torch.where(torch.rand(n, 1, 1, 1) < 0.5, x.flip(3), x)
    x = functional.pad(x, (4, 4, 4, 4), mode="reflect")
    rows = torch.randint(9, (n, 1, 1)) + torch.arange(height)[:, None]
    columns = torch.randint(9, (n, 1, 1)) + torch.arange(width)
    # Indexed so, the result has its channels last in memory: half the time on a CPU.
    x = x[torch.arange(n)[:, None, None], :, rows, columns].permute(0, 3, 1, 2)
    return blurred(x)


def blurred(x: Tensor) -> Tensor:
    """The same batch, which loses its finest details one time in four."""
    if torch.rand(()) < 0.25:
        size = x.shape[-1]
        small = functional.interpolate(
            x, size=size // 2, mode="bilinear", antialias=True
        )
        x = functional.interpolate(small, size=size, mode="bilinear")
    return x


class Plan(NamedTuple):
    """How a classifier is trained."""

    size: int  # of the images that it reads
    split: str
    held_out: str
    epochs: int
    width: int
    augmented: Callable[[Tensor], Tensor]


SETS = {
    "digits": Plan(16, "train", "test", 120, 16, augmented),
    "mnist": Plan(32, "test[:8000]", "test[8000:]", 20, 16, augmented),
    "cifar10": Plan(32, "test[:8000]", "test[8000:]", 20, 32, photographed),
}


def train(x: Tensor, labels: Tensor, plan: Plan) -> Classifier:
    """A classifier fitted to images (N, C, H, W) and labels (N,)."""
    torch.manual_seed(SEED)
    network = Classifier(tuple(x.shape[1:]), 10, plan.width)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-2)
    steps = plan.epochs * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
    for _ in range(plan.epochs):
        order = torch.randperm(len(x))
        for batch in order[: len(x) // BATCH * BATCH].split(BATCH):
            logits = network(plan.augmented(x[batch]))
            loss = nn.functional.cross_entropy(logits, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return normalised(network.eval(), x)


@torch.no_grad()
def normalised(network: Classifier, x: Tensor) -> Classifier:
    """The same classifier with features of mean square 1 on the training images.

    FID and KID scale with the features; ReLU lets a factor pass to the head.
    """
    scale = network.features(x).square().mean().sqrt()
    hidden = network.trunk[-2]
    for parameter in hidden.parameters():
        parameter /= scale
    network.head.weight *= scale
    return network


@torch.no_grad()
def accuracy(network: Classifier, data: mg.data.ImageData) -> float:
    """Share of images whose label is found, at the size that the data have."""
    size = network.shape[-1]
    hits = sum(
        int((network(to_size(part.x(), size)).argmax(1) == part.labels).sum())
        for part in (data[i : i + 500] for i in range(0, len(data), 500))
    )
    return hits / len(data)


def main(name: str) -> None:
    plan = SETS[name]
    size, held_out = plan.size, plan.held_out
    data = mg.data.load(name, plan.split, image_size=size)
    started = time.perf_counter()
    network = train(data.x(), data.labels, plan)
    seconds = time.perf_counter() - started
    weights = save({k: v.contiguous() for k, v in network.state_dict().items()})
    about = {
        "name": name,
        "shape": list(network.shape),
        "classes": network.classes,
        "width": plan.width,
        "num_features": network.num_features,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "script": "data/features/train.py",
        "seed": SEED,
        "epochs": plan.epochs,
        "seconds": round(seconds, 1),
        "torch": torch.__version__,
        "trained_on": f"{data.name} {data.split}",
        "held_out": f"{data.name} {held_out}",
        "accuracy": accuracy(network, mg.data.load(name, held_out, image_size=size)),
        "accuracy_by_image_size": {
            str(s): accuracy(network, mg.data.load(name, held_out, image_size=s))
            for s in SIZES
        },
    }
    (FOLDER / f"{name}.safetensors").write_bytes(weights)
    (FOLDER / f"{name}.json").write_text(json.dumps(about, indent=2) + "\n")
    print(json.dumps(about, indent=2))


if __name__ == "__main__":
    for chosen in sys.argv[1:] or SETS:
        main(chosen)
