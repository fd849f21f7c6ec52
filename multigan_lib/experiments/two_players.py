"""Recipes with one generator and one discriminator."""

from dataclasses import replace

from . import evaluations
from .common import RING
from .recipe import Recipe

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
