"""Recipes with labels: cGAN, cMADGAN, and what their images are worth."""

from dataclasses import replace

from . import augmentations, labelled
from .common import HELD_OUT, MNIST_16
from .recipe import Recipe, Section

SMOOTH = (0.9, 0.1)
SIZES = (3, 5, 7, 10)
"""Numbers of generators in the tables of Reinhart (2025)."""
EACH, FEW = 22, 7
"""Fakes of each generator in a step, however many generators there are; and of each of
ten that share one batch of 64. Batch norm sees only a generator's own, and of a few
cannot tell the mean."""

PAPER: dict[str, Section] = {
    "data": {"split": "train", "image_size": 32},
    "game": {"width": 32},
    "train": {"steps": 46_800, "batch_size": 256, "lr": 2e-4},
    "measure": {"held_out": {**HELD_OUT["held_out"], "image_size": 32}},
}
"""200 epochs of 234 steps, as the thesis's code has them. The feature network has seen
the rest of the test images."""

SIGN = Recipe(
    about="Three generators of a class, by sign and weight of their similarity, and by "
    "how the judge reads the label.",
    data=MNIST_16,
    game={
        "name": "CMADGAN",
        "generators": 3,
        "per_generator": EACH,
        "latent_size": 100,
        "width": 16,
    },
    train={"steps": 3_000, "batch_size": 64, "lr": 5e-4, "ema": 0.995},
    evaluate=labelled.labelled_images,
    measure=HELD_OUT,
    variants={
        "none": {"diversity": 0.0},
        "light corrected": {"diversity": 0.1},
        "light printed": {"diversity": 0.1, "sign": "printed"},
        "corrected": {"diversity": 0.3},
        "printed": {"diversity": 0.3, "sign": "printed"},
        "centred": {"diversity": 0.3, "centred": True},
        "strong corrected": {"diversity": 1.0},
        "strong printed": {"diversity": 1.0, "sign": "printed"},
        "projection corrected": {"condition": "projection"},
        "projection printed": {"condition": "projection", "sign": "printed"},
    },
    paper={**PAPER, "game": {**PAPER["game"], "per_generator": 256}},
    seeds=5,
)
SHORT = {**SIGN.train, "steps": 2_000}
CIFAR: Section = {"name": "cifar10", "split": "test[:8000]", "image_size": 32}

RECIPES: dict[str, Recipe] = {
    "cmadgan_sign": SIGN,
    "cmadgan_weight": replace(
        SIGN,
        about="Three generators of a class, by the weight of their similarity.",
        train=SHORT,
        variants={str(x): {"diversity": x} for x in (0.3, 1.0, 3.0, 10.0)},
        seeds=3,
    ),
    "cmadgan_digits": replace(
        SIGN,
        about="Three generators of a digit, by sign and weight of their similarity, "
        "after a few steps with a projection judge.",
        data={"name": "digits", "image_size": 16},
        game={**SIGN.game, "condition": "projection"},
        train={"steps": 250, "batch_size": 48, "lr": (4e-4, 1e-3)},
        measure={"held_out": {"name": "digits", "split": "test", "image_size": 16}},
        variants={
            "none": {"diversity": 0.0},
            "corrected": {"diversity": 1.0},
            "printed": {"diversity": 1.0, "sign": "printed"},
            "strong corrected": {"diversity": 2.0},
            "strong printed": {"diversity": 2.0, "sign": "printed"},
        },
        paper={},
    ),
    "cmadgan_ten": replace(
        SIGN,
        about="Ten generators of a class, with a tenth of the fakes for each, and with "
        "as many as each of three has, and pulled together.",
        game={**SIGN.game, "generators": 10},
        train=SHORT,
        variants={
            "none": {"diversity": 0.0, "per_generator": FEW},
            "few images": {"per_generator": FEW},
            "more images": {},
            "alike": {"diversity": 3.0, "sign": "printed"},
        },
        seeds=3,
    ),
    "cmadgan_cifar": replace(
        SIGN,
        about="One generator of a class against three on CIFAR-10.",
        data=CIFAR,
        train={**SIGN.train, "steps": 1_000},
        measure={"held_out": {**CIFAR, "split": "test[8000:]"}},
        game={"latent_size": 100, "width": 16},
        variants={
            "cGAN": {"name": "CGAN", "targets": SMOOTH},
            "cMADGAN": {"name": "CMADGAN", "per_generator": EACH},
        },
        seeds=3,
        paper={
            "data": {"split": "train"},
            "game": {"width": 64},
            "train": PAPER["train"],
        },
    ),
    "augmentation_mnist": replace(
        SIGN,
        about="Games with one and with many generators on MNIST, and what their images "
        "are worth to a classifier.",
        game={"latent_size": 100, "width": 16},
        train=SHORT,
        compare=augmentations.whole_grid,
        comparison=augmentations.GRID,
        variants={
            "GAN": {"name": "GAN"},
            "cGAN": {"name": "CGAN", "targets": SMOOTH},
            **{
                f"{title} {k}": {"name": name, "generators": k, "per_generator": EACH}
                for title, name in (("MADGAN", "MADGAN"), ("cMADGAN", "CMADGAN"))
                for k in SIZES
            },
        },
        seeds=3,
        paper={
            **PAPER,
            "comparison": {
                "real": {"name": "mnist", "split": "train", "image_size": 32},
                "classifier": {"steps": 3_000, "width": 32},
                "labeller": {"steps": 6_000, "confidence": 0.0},
            },
        },
    ),
}
