"""Train the frozen classifiers of this folder.

python data/features/train.py digits mnist

Writes <name>.safetensors and <name>.json beside this script. The classifiers see only
the images that games may be trained on; the held-out images are used once, to report
the accuracy. Augmented with small rotations, scalings, shifts and blurs, so that a
digit that is slightly off its place, or was drawn at another size, is still read.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

import multigan_lib as mg
from multigan_lib.metrics.features import to_size
from multigan_lib.nets.classifier import Classifier

FOLDER = Path(__file__).resolve().parent
SETS = {  # name: the classifier's image size, its training data, held-out data, epochs
    "digits": (16, "train", "test", 120),
    "mnist": (32, "test[:8000]", "test[8000:]", 20),
}
SIZES = (16, 28, 32, 64)  # the held-out accuracy is reported for images of these sizes
BATCH = 64
SEED = 0


def augmented(x: Tensor) -> Tensor:
    """Images (B, 1, H, W) in [-1, 1], each rotated, scaled, sheared, shifted at random;
    a quarter of the batches also lose their finest details."""
    n, size = len(x), x.shape[-1]
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
    if torch.rand(()) < 0.25:
        small = functional.interpolate(
            x, size=size // 2, mode="bilinear", antialias=True
        )
        x = functional.interpolate(small, size=size, mode="bilinear")
    return x


def train(x: Tensor, labels: Tensor, epochs: int) -> Classifier:
    """A classifier fitted to images (N, 1, H, W) and labels (N,)."""
    torch.manual_seed(SEED)
    network = Classifier(tuple(x.shape[1:]), 10)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-2)
    steps = epochs * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for batch in order[: len(x) // BATCH * BATCH].split(BATCH):
            logits = network(augmented(x[batch]))
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
    size, split, held_out, epochs = SETS[name]
    data = mg.data.load(name, split, image_size=size)
    started = time.perf_counter()
    network = train(data.x(), data.labels, epochs)
    seconds = time.perf_counter() - started
    weights = save({k: v.contiguous() for k, v in network.state_dict().items()})
    about = {
        "name": name,
        "shape": list(network.shape),
        "classes": network.classes,
        "num_features": network.num_features,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "script": "data/features/train.py",
        "seed": SEED,
        "epochs": epochs,
        "seconds": round(seconds, 1),
        "torch": torch.__version__,
        "trained_on": f"{data.name} {data.split}",
        "held_out": f"{name} {held_out}",
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
