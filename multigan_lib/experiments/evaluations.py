"""What is measured on a trained game, for each kind of data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .. import datasets as data_sets
from .. import metrics
from ..games import Game
from ..games.game import seeded
from ..metrics import features
from ..metrics.neurons import active_share
from ..results import How
from ..training.history import History

# Far from the seeds of training, so that no noise is judged that was trained on.
SAMPLE_SEED = 10_000


@dataclass(frozen=True)
class Outcome:
    """What one run gave.

    Attributes:
        metrics: name → value and how it was measured.
        picture: samples to draw, points (n, 2) or uint8 images (n, C, H, W).
        curves: name → steps and values on the way.
    """

    metrics: dict[str, tuple[float, How]]
    picture: Tensor
    curves: dict[str, tuple[list[int], list[float]]] = field(default_factory=dict)


def point_modes(
    game: Game, data: Any, history: History, settings: Mapping[str, Any], seed: int
) -> Outcome:
    """Mode coverage of ``settings["n"]`` points, and of every snapshot on the way."""
    n = settings["n"]
    x = game.sample(n, seed=SAMPLE_SEED + seed).x.cpu()
    end = metrics.mode_coverage(x, data)
    names = ("modes", "high_quality", "kl", "variance_ratio")
    how = How(n=n, reference=f"{data.name} of {len(data.means)}")
    steps = [step for step, _ in history.snapshots]
    way = [metrics.mode_coverage(samples, data) for _, samples in history.snapshots]
    return Outcome(
        {name: (float(getattr(end, name)), how) for name in names},
        x[:1024],
        {name: (steps, [float(getattr(c, name)) for c in way]) for name in names[:2]},
    )


def digit_images(
    game: Game, data: Any, history: History, settings: Mapping[str, Any], seed: int
) -> Outcome:
    """Quality and balance of generated digits, against images not trained on.

    ``fid``, ``kid``: all held-out images against as many generated ones.
    ``fid_half``, ``fid_half_real`` and ``fid_half_train``: half of the held-out images
    against as many generated ones, against the other half, and against as many
    training images. The second is what a perfect generator would score; the third what
    a generator scores that copies its training images, which other people may have
    written. All three are means over the same random halvings.
    ``share_0`` … and ``min_share``: share of every class among the samples, by the
    labeller.
    """
    held = data_sets.load(**settings["held_out"])
    n = len(held)
    x = game.sample(n, seed=SAMPLE_SEED + seed).x.cpu()
    measured: dict[str, tuple[float, How]] = {}
    for name, score in (
        ("fid", metrics.fid(held, x)),
        ("kid", metrics.kid(held, x)),
        ("ms_ssim", metrics.ms_ssim(x)),
        ("ms_ssim_real", metrics.ms_ssim(held)),
    ):
        against = score.split if name in ("fid", "kid") else None
        measured[name] = (score.value, How(score.features, n, against))
    measured |= _halves(held, {"": x, "_train": data}, settings["halvings"])
    measured["fid_ratio"] = (
        measured["fid_half"][0] / measured["fid_half_real"][0],
        measured["fid_half"][1],
    )
    labeller = features.default_name(held.shape, held.name)
    read = features.labeller(labeller)
    digits = torch.cat([read(part).cpu() for part in x.split(256)])
    share = torch.bincount(digits, minlength=10).double() / n
    how = How(features.feature_network(labeller).name, n)
    measured["min_share"] = (share.min().item(), how)
    measured |= {f"share_{c}": (s, how) for c, s in enumerate(share.tolist())}
    return Outcome(measured, data_sets.to_uint8(x[:64]))


def _halves(
    held: data_sets.ImageData, others: Mapping[str, Any], halvings: int
) -> dict[str, tuple[float, How]]:
    """Mean FID of random halves of ``held`` against the other half and the others."""
    half = len(held) // 2
    generator = torch.Generator().manual_seed(0)
    total: dict[str, float] = {}
    for _ in range(halvings):
        order = torch.randperm(len(held), generator=generator)
        compared = {"_real": held[order[half : 2 * half]]}
        for name, images in others.items():
            chosen = torch.randperm(len(images), generator=generator)[:half]
            compared[name] = images[chosen]
        for name, images in compared.items():
            score = metrics.fid(held[order[:half]], images)
            total[f"fid_half{name}"] = total.get(f"fid_half{name}", 0.0) + score.value
    how = How(score.features, half, f"halves of {held.name} {held.split}")
    return {name: (value / halvings, how) for name, value in total.items()}


def stacked_modes(
    game: Game, data: Any, history: History, settings: Mapping[str, Any], seed: int
) -> Outcome:
    """How many of the thousand modes of stacked digits are hit, and how evenly."""
    n = settings["n"]
    x = game.sample(n, seed=SAMPLE_SEED + seed).x.cpu()
    labeller = settings["labeller"]
    found = metrics.stacked_coverage(x, labeller=labeller)
    real = metrics.stacked_coverage(data[:n], labeller=labeller)
    how = How(features.feature_network(labeller).name, n)
    return Outcome(
        {
            "modes": (float(found.modes), how),
            "kl": (found.kl, how),
            "modes_real": (float(real.modes), how),
            "kl_real": (real.kl, how),
        },
        data_sets.to_uint8(x[:64]),
    )


def neurons(
    game: Game, data: Any, history: History, settings: Mapping[str, Any], seed: int
) -> Outcome:
    """Share of the generator's units that are active, and the quality of its images."""
    n = settings["n"]
    x = game.sample(n, seed=SAMPLE_SEED + seed).x.cpu()
    with seeded(SAMPLE_SEED + seed, game.device):
        z = game.noise(n, settings["latent_size"])
    share = active_share(game.generator.train(), z)
    score = metrics.fid(data_sets.load(**settings["held_out"])[:n], x)
    return Outcome(
        {
            "active": (share, How(n=n)),
            "fid": (score.value, How(score.features, n, score.split)),
        },
        data_sets.to_uint8(x[:16]),
    )
