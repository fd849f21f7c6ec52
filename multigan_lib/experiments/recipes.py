"""The recipes: what is trained on what, for how long, and what is measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from . import evaluations
from .evaluations import Outcome

Section = Mapping[str, Any]


@dataclass(frozen=True)
class Recipe:
    """An experiment that can be run again.

    Attributes:
        about: what it shows, in a sentence.
        data: ``name`` of a data set or mixture, and the arguments of its loader.
        game: ``name`` of a game's class, and its arguments.
        train: arguments of ``train``; ``steps`` counts from the beginning.
        measure: arguments of ``evaluate``.
        evaluate: (game, data, history, measure, seed) → :class:`Outcome`.
        variants: name → arguments of the game that differ.
        paper: what differs at the papers' scale: section → arguments.
        seeds: how many seeds a run has where none is said.
    """

    about: str
    data: Section
    game: Section
    train: Section
    evaluate: Callable[..., Outcome]
    measure: Section = field(default_factory=dict)
    variants: Mapping[str, Section] = field(default_factory=lambda: {"": {}})
    paper: Mapping[str, Section] = field(default_factory=dict)
    seeds: int = 3

    def config(self, scale: str) -> dict[str, Any]:
        """Return every setting at a scale, ready for a record.

        Raises:
            ValueError: if the scale is neither "small" nor "paper", or the recipe has
                no paper scale.
        """
        if scale not in ("small", "paper"):
            raise ValueError(f"scale must be 'small' or 'paper', got {scale!r}")
        if scale == "paper" and not self.paper:
            raise ValueError("this recipe has no paper scale: leave out --scale")
        changes = self.paper if scale == "paper" else {}
        sections = {"data", "game", "train", "measure"}
        config: dict[str, Any] = {
            name: {**getattr(self, name), **changes.get(name, {})}
            for name in sorted(sections)
        }
        return config | {"scale": scale, "variants": dict(self.variants)}


RING = Recipe(
    about="A plain GAN on the ring of eight Gaussians, networks as in MGAN's figure.",
    data={"name": "ring", "modes": 8, "radius": 2.0, "std": 0.02**0.5},
    game={"name": "GAN", "loss": "nonsaturating", "latent_size": 128, "width": 128},
    train={"steps": 20_000, "batch_size": 512, "snapshot_every": 500},
    evaluate=evaluations.point_modes,
    measure={"n": 4096},
    seeds=10,
)

RECIPES: dict[str, Recipe] = {
    "gan_ring": RING,
    "gan_ring_batch64": replace(
        RING,
        about="A plain GAN on the ring of eight Gaussians at MGAN's batch size of 64.",
        train={**RING.train, "batch_size": 64},
    ),
    "gan_ring_two_rates": replace(
        RING,
        about="A plain GAN on the ring, batch 64, D's learning rate fifteen times G's.",
        train={**RING.train, "batch_size": 64, "lr": (3e-3, 2e-4)},
    ),
    "gan_ring_losses": replace(
        RING,
        about="The losses of the first chapter on the ring of eight Gaussians.",
        variants={
            loss: {"loss": loss}
            for loss in ("minimax", "nonsaturating", "least_squares", "wasserstein")
        },
        seeds=3,
    ),
    "gan_mnist": Recipe(
        about="A DCGAN on 8,000 MNIST digits, judged by the 2,000 held out.",
        data={"name": "mnist", "split": "test[:8000]", "image_size": 32},
        game={"name": "GAN", "loss": "nonsaturating", "latent_size": 100, "width": 32},
        train={"steps": 6_000, "batch_size": 64, "ema": 0.999},
        evaluate=evaluations.digit_images,
        measure={
            "held_out": {"name": "mnist", "split": "test[8000:]", "image_size": 32},
            "halvings": 5,
        },
    ),
    "gan_stacked_digits": Recipe(
        about="A DCGAN on stacks of three digits: how many of 1,000 modes it finds.",
        data={
            "name": "stacked_mnist",
            "source": "digits",
            "split": "train",
            "image_size": 16,
            "n": 50_000,
        },
        game={"name": "GAN", "loss": "nonsaturating", "latent_size": 100, "width": 32},
        train={"steps": 4_000, "batch_size": 64},
        evaluate=evaluations.stacked_modes,
        measure={"n": 25_600, "labeller": "digits"},
    ),
    "gan_neurons": Recipe(
        about="Batch norm and dying ReLUs: generators with and without it on digits.",
        data={"name": "digits", "split": "train", "image_size": 16},
        game={"name": "GAN", "loss": "nonsaturating", "latent_size": 100, "width": 32},
        train={"steps": 3_000, "batch_size": 64},
        evaluate=evaluations.neurons,
        measure={
            "n": 360,
            "latent_size": 100,
            "held_out": {"name": "digits", "split": "test", "image_size": 16},
        },
        variants={
            "batch_norm": {},
            "no_offset": {"generator": {"offset": False}},
            "no_norm": {"generator": {"batch_norm": False}},
        },
    ),
}


def find(name: str) -> Recipe:
    """Return a recipe by name.

    Raises:
        ValueError: if there is none; the message names those there are.
    """
    if name not in RECIPES:
        raise ValueError(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]
