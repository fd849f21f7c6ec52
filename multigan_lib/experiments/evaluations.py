"""What is measured on a trained game, for each kind of data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from .. import datasets as data_sets
from .. import metrics, nets
from ..games import MEGAN, Game, Samples
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
        picture: samples to draw, with their generators.
        curves: name → steps and values on the way.
    """

    metrics: dict[str, tuple[float, How]]
    picture: Samples
    curves: dict[str, tuple[list[int], list[float]]] = field(default_factory=dict)


def point_modes(
    game: Game, data: Any, history: History, settings: Mapping[str, Any], seed: int
) -> Outcome:
    """Mode coverage of ``settings["n"]`` points, and of every snapshot on the way."""
    n = settings["n"]
    samples = _samples(game, n, seed)
    end = metrics.mode_coverage(samples, data)
    names = ("modes", "high_quality", "kl", "variance_ratio")
    how = How(n=n, reference=f"{data.name} of {len(data.means)}")
    steps = [step for step, _ in history.snapshots]
    way = [metrics.mode_coverage(shot, data) for _, shot in history.snapshots]
    measured = {name: (float(getattr(end, name)), how) for name in names}
    measured |= {k: (v, how) for k, v in _generators(game, samples, data).items()}
    return Outcome(
        measured,
        _first(samples, 1024),
        {name: (steps, [float(getattr(c, name)) for c in way]) for name in names[:2]},
    )


def _generators(game: Any, samples: Samples, data: Any) -> dict[str, float]:
    """How the generators of a game share out a mixture's modes; empty for one.

    ``modes_per_generator``: mean over the generators that are used. ``separation``: 1
    where every mode has one generator, 0 where all generators are alike, NaN where no
    mode is found.
    """
    count = getattr(game, "generators", 1)
    if count == 1:
        return {}
    from sklearn.metrics import homogeneity_score

    covered = [
        metrics.mode_coverage(samples.x[samples.source == k], data).modes
        for k in samples.source.unique()
    ]
    nearest = metrics.mode_coverage(samples, data).nearest
    good = nearest >= 0
    sharing = homogeneity_score(samples.source[good], nearest[good])
    return {
        "modes_per_generator": sum(covered) / len(covered),
        "separation": float(sharing) if good.any() else math.nan,
    } | _usage(game, samples)


def _usage(game: Any, samples: Samples) -> dict[str, float]:
    """Shares of the generators, in 1/K, and the entropy of a gate's distributions.

    ``gate_entropy`` is that of one z, the mean over many, in log K: 1 for a gate that
    chooses at random whatever z, 0 for one that is sure.
    """
    count = game.generators
    share = torch.bincount(samples.source, minlength=count) * count / len(samples)
    usage = {
        "usage_min": share.min().item(),
        "usage_max": share.max().item(),
        "used_generators": float((share > 0.5).sum()),
    }
    if isinstance(game, MEGAN):
        with seeded(SAMPLE_SEED, game.device):
            z = game.noise(1024, game.latent_size)
        log_p = game.gate_logits(z).log_softmax(1)
        entropy = -(log_p.exp() * log_p).sum(1).mean().item()
        usage |= {
            "gate_entropy": entropy / math.log(count),
            "balance_weight": game.balance_weight.item(),
        }
    return usage


def mixture_images(
    game: Any, data: Any, history: History, settings: Mapping[str, Any], seed: int
) -> Outcome:
    """What K generators make of digits: quality together, and who makes what.

    ``fid``: all held-out images against as many of the mixture's. ``nmi``: normalised
    mutual information of a sample's generator and its class, read by the labeller;
    ``nmi_ungated``: the same where generators are drawn at random for every z.
    ``ms_ssim_within``: mean over the generators of the similarity of one's images.
    """
    from sklearn.metrics import normalized_mutual_info_score

    held = data_sets.load(**settings["held_out"])
    n = len(held)
    samples = _samples(game, n, seed)
    score = metrics.fid(held, samples)
    labeller = features.default_name(held.shape, held.name)
    digits = labels_read(samples.x, labeller)
    dice = torch.Generator().manual_seed(seed)
    drawn = torch.randint(game.generators, (n,), generator=dice)
    ungated = _samples(game, n, seed, drawn)
    groups = [samples.x[samples.source == k] for k in samples.source.unique()]
    within = [metrics.ms_ssim(x).value for x in groups if len(x) >= 50]
    how = How(features.feature_network(labeller).name, n)
    measured = {
        "fid": (score.value, How(score.features, n, score.split)),
        "nmi": (float(normalized_mutual_info_score(samples.source, digits)), how),
        "nmi_ungated": (
            float(
                normalized_mutual_info_score(
                    ungated.source, labels_read(ungated.x, labeller)
                )
            ),
            how,
        ),
        "min_share": (
            torch.bincount(digits, minlength=10).min().item() / n,
            how,
        ),
        "ms_ssim": (metrics.ms_ssim(samples).value, How(n=n)),
        "ms_ssim_real": (metrics.ms_ssim(held).value, How(n=n)),
        "ms_ssim_within": (sum(within) / len(within), How(n=n)),
        "active": (_active(game, seed), How(n=360)),
    }
    measured |= {k: (v, How(n=n)) for k, v in _usage(game, samples).items()}
    order = samples.source.argsort(stable=True)
    firsts = [order[samples.source[order] == k][:8] for k in samples.source.unique()]
    shown = torch.cat([rows for rows in firsts if len(rows) == 8])
    picture = Samples(data_sets.to_uint8(samples.x[shown]), samples.source[shown])
    return Outcome(measured, picture)


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
    samples = _samples(game, n, seed)
    x = samples.x
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
    digits = labels_read(x, labeller)
    share = torch.bincount(digits, minlength=10).double() / n
    how = How(features.feature_network(labeller).name, n)
    measured["min_share"] = (share.min().item(), how)
    measured |= {f"share_{c}": (s, how) for c, s in enumerate(share.tolist())}
    return Outcome(measured, _first(samples, 64))


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


def point_losses(
    game: Game, data: Any, history: History, settings: Mapping[str, Any], seed: int
) -> Outcome:
    """Mode coverage as `point_modes`, and how much the losses swing."""
    modes = point_modes(game, data, history, settings, seed)
    measured, curves = _losses(history)
    return replace(
        modes, metrics=modes.metrics | measured, curves=modes.curves | curves
    )


def image_losses(
    game: Game, data: Any, history: History, settings: Mapping[str, Any], seed: int
) -> Outcome:
    """How much the losses swing, and FID where there are features for these images."""
    measured, curves = _losses(history)
    held = data_sets.load(**settings["held_out"])
    samples = _samples(game, len(held), seed)
    if settings["fid"]:
        score = metrics.fid(held, samples)
        measured["fid"] = (score.value, How(score.features, len(held), score.split))
    x = _first(samples, 64).x
    # Samples of the game as a whole: the picture does not say whose each of them is.
    return Outcome(measured, Samples(x, torch.zeros(len(x), dtype=torch.int64)), curves)


POINTS_OF_A_CURVE = 100


def _losses(
    history: History,
) -> tuple[dict[str, tuple[float, How]], dict[str, tuple[list[int], list[float]]]]:
    """Spread of each player's loss, and the loss itself as a curve of means.

    ``generator_spread``, ``discriminator_spread``: standard deviation of the
    adversarial loss over the last half of the steps.
    """
    spreads, curves = {}, {}
    for player in ("generator", "discriminator"):
        loss = history.terms[f"{player}/adversarial"]
        last = loss[len(loss) // 2 :]
        spreads[f"{player}_spread"] = (float(last.std()), How(n=len(last)))
        each = max(1, len(loss) // POINTS_OF_A_CURVE)
        means = loss[: len(loss) // each * each].reshape(-1, each).mean(1)
        steps = [each * (i + 1) for i in range(len(means))]
        curves[player] = (steps, means.tolist())
    return spreads, curves


def stacked_modes(
    game: Game, data: Any, history: History, settings: Mapping[str, Any], seed: int
) -> Outcome:
    """How many of the thousand modes of stacked digits are hit, and how evenly."""
    n = settings["n"]
    samples = _samples(game, n, seed)
    labeller = settings["labeller"]
    found = metrics.stacked_coverage(samples, labeller=labeller)
    real = metrics.stacked_coverage(data[:n], labeller=labeller)
    how = How(features.feature_network(labeller).name, n)
    return Outcome(
        {
            "modes": (float(found.modes), how),
            "kl": (found.kl, how),
            "modes_real": (float(real.modes), how),
            "kl_real": (real.kl, how),
        },
        _first(samples, 64),
    )


def neurons(
    game: Game, data: Any, history: History, settings: Mapping[str, Any], seed: int
) -> Outcome:
    """Share of the generator's units that are active, and the quality of its images."""
    n = settings["n"]
    samples = _samples(game, n, seed)
    score = metrics.fid(data_sets.load(**settings["held_out"])[:n], samples)
    return Outcome(
        {
            "active": (_active(game, seed), How(n=n)),
            "fid": (score.value, How(score.features, n, score.split)),
        },
        _first(samples, 16),
    )


def _active(game: Any, seed: int) -> float:
    """Share of the generators' units that are active for 360 draws of z."""
    side = game.generator.experts if isinstance(game, MEGAN) else game.generator
    networks = (
        [side.network(k) for k in range(len(side))]
        if isinstance(side, nets.Bank)
        else [side]
    )
    with seeded(SAMPLE_SEED + seed, game.device):
        z = game.noise(360, game.latent_size)
    return sum(active_share(net.train(), z) for net in networks) / len(networks)


def _samples(game: Game, n: int, seed: int, source: Tensor | None = None) -> Samples:
    """``n`` samples on the CPU."""
    samples = game.sample(n, source=source, seed=SAMPLE_SEED + seed)
    return Samples(samples.x.cpu(), samples.source.cpu())


def _first(samples: Samples, n: int) -> Samples:
    """The first ``n`` samples as a record keeps them, images in uint8."""
    x = samples.x[:n]
    return Samples(data_sets.to_uint8(x) if x.ndim == 4 else x, samples.source[:n])


def labels_read(x: Tensor, labeller: str) -> Tensor:
    """The class of every image (n,), as the labeller reads it."""
    read = features.labeller(labeller)
    return torch.cat([read(part).cpu() for part in x.split(256)])
