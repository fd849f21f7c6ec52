"""Recipes with several generators."""

from dataclasses import replace
from math import log

from . import evaluations
from .common import HELD_OUT, MNIST_16, RING, SHORT, TUNED
from .recipe import Recipe

MGAN_RING = replace(
    RING,
    about="MGAN with eight generators on the ring of eight Gaussians.",
    game={
        "name": "MGAN",
        "generators": 8,
        "beta": 0.125,
        "latent_size": 128,
        "width": 128,
    },
    train=TUNED,
)
STRENGTH = 0.125 * log(8)
"""β times the range of the diversity term, the same for all three divergences."""
RANGES = {"general": log(8), "one_vs_all": 16 * log(2), "pairwise": 56 * log(2)}

MADGAN_RING = replace(
    RING,
    about="MAD-GAN with eight generators on the ring, by what each of them owns.",
    game={"name": "MADGAN", "generators": 8, "latent_size": 128, "width": 128},
    variants={
        policy: {"policy": policy} for policy in ("own_last", "own_all", "own_first")
    },
    train=SHORT,
    seeds=3,
)

RECIPES: dict[str, Recipe] = {
    "mgan_ring": MGAN_RING,
    "gan_ring_tuned": replace(
        RING,
        about="A plain GAN on the ring of eight Gaussians, at the rates of mgan_ring.",
        train=TUNED,
        seeds=3,
    ),
    "mgan_ring_paper_rates": replace(
        MGAN_RING,
        about="MGAN on the ring, all players at the paper's constant rate of 2e-4.",
        train=RING.train,
        seeds=3,
    ),
    "mgan_ring_batch64": replace(
        MGAN_RING,
        about="MGAN on the ring at the paper's rates and its batch of 64.",
        train={**RING.train, "batch_size": 64},
        seeds=4,
    ),
    "mgan_ring_paper_weight": replace(
        MGAN_RING,
        about="MGAN on the ring at the paper's rates, the classifier weighted by beta.",
        game={**MGAN_RING.game, "classifier_weight": 0.125},
        train=RING.train,
        seeds=3,
    ),
    "mgan_ring_generators": replace(
        MGAN_RING,
        about="MGAN on the ring of eight Gaussians with two and four generators.",
        train=SHORT,
        variants={f"K={k}": {"generators": k} for k in (2, 4)},
        seeds=3,
    ),
    "mgan_ring_four": replace(
        MGAN_RING,
        about="MGAN with four generators on the ring, a discriminator 15 times faster.",
        game={**MGAN_RING.game, "generators": 4},
        train={**TUNED, "lr": (3e-3, 2e-4)},
        seeds=5,
    ),
    "mgan_ring_four_paper_rates": replace(
        MGAN_RING,
        about="MGAN with four generators on the ring at the paper's constant rates.",
        game={**MGAN_RING.game, "generators": 4},
        train=RING.train,
        seeds=2,
    ),
    "mgan_ring_beta": replace(
        MGAN_RING,
        about="MGAN with eight generators on the ring, the diversity's weight swept.",
        train=SHORT,
        variants={f"beta={beta:g}": {"beta": beta} for beta in (0, 0.5, 2)},
        seeds=3,
    ),
    "mgan_ring_sharing": replace(
        MGAN_RING,
        about="MGAN with eight generators on the ring, by what each of them owns.",
        train=SHORT,
        variants={p: {"policy": p} for p in ("own_last", "own_all")},
        seeds=3,
    ),
    "mgan_ring_divergences": replace(
        MGAN_RING,
        about="MGAN's three divergences on the ring, at equal strength and equal beta.",
        variants={
            form: {"divergence": form, "beta": STRENGTH / span}
            for form, span in RANGES.items()
        }
        | {
            f"{form}, equal beta": {"divergence": form, "beta": 0.125}
            for form in ("one_vs_all", "pairwise")
        },
        train=SHORT,
        seeds=3,
    ),
    "madgan_ring": MADGAN_RING,
    "madgan_ring_weight": replace(
        MADGAN_RING,
        about="MAD-GAN on the ring, as many real samples as generated ones in all.",
        game={**MADGAN_RING.game, "real_weight": 8.0},
        variants={"": {}},
    ),
    "megan_ring": replace(
        RING,
        about="MEGAN with eight generators on the ring, by its load balancing.",
        game={"name": "MEGAN", "generators": 8, "latent_size": 128, "width": 128},
        train={**SHORT, "batch_size": 64},
        variants={
            "lambda=0": {"load_balance": 0.0},
            "lambda=100": {},
            "lambda=1000": {"load_balance": 1000.0},
            "raise": {"load_balance": 1000.0, "adapt": "raise"},
            "lower": {"load_balance": 1000.0, "adapt": "lower"},
        },
        seeds=3,
    ),
    "mgan_mnist": Recipe(
        about="MGAN with ten generators on 8,000 MNIST digits, with and without beta.",
        data=MNIST_16,
        game={"name": "MGAN", "generators": 10, "latent_size": 100, "width": 16},
        train={"steps": 3_000, "batch_size": 64},
        evaluate=evaluations.mixture_images,
        measure=HELD_OUT,
        variants={
            "beta=0": {"beta": 0.0},
            "beta=0.1": {"beta": 0.1},
            "no offset": {"beta": 0.1, "offset": False},
        },
    ),
    "megan_mnist": Recipe(
        about="MEGAN with five generators on 8,000 MNIST digits, by its gate.",
        data=MNIST_16,
        game={"name": "MEGAN", "generators": 5, "latent_size": 100, "width": 16},
        train={"steps": 3_000, "batch_size": 64},
        evaluate=evaluations.mixture_images,
        measure=HELD_OUT,
        variants={
            "lambda=100": {},
            "random gate": {"gate": "random", "load_balance": 0.0},
            "lambda=0": {"load_balance": 0.0},
            "lambda=1000": {"load_balance": 1000.0},
        },
    ),
    "mgan_stacked_digits": Recipe(
        about="MGAN with ten generators on stacks of three digits.",
        data={
            "name": "stacked_mnist",
            "source": "digits",
            "split": "train",
            "image_size": 16,
            "n": 50_000,
        },
        game={
            "name": "MGAN",
            "generators": 10,
            "beta": 0.1,
            "latent_size": 100,
            "width": 32,
        },
        train={"steps": 4_000, "batch_size": 64},
        evaluate=evaluations.stacked_modes,
        measure={"n": 25_600, "labeller": "digits"},
    ),
}
