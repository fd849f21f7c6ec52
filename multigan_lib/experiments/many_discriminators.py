"""Recipes with several discriminators, and battles."""

from dataclasses import replace

from . import battles, evaluations
from .common import HELD_OUT, MNIST_16, RING, SHORT
from .recipe import Recipe, Section

GMAN_RING = replace(
    RING,
    about="GMAN with five discriminators on the ring, by how their values become one.",
    game={
        "name": "GMAN",
        "discriminators": 5,
        "lam": 5.0,
        "latent_size": 128,
        "width": 128,
    },
    train={**SHORT, "batch_size": 64},
    evaluate=evaluations.point_losses,
    variants={
        "one": {"discriminators": 1},
        **{
            rule: {"aggregate": rule}
            for rule in (
                "mean",
                "maximum",
                "minimum",
                "softmax",
                "softmax_official",
                "geometric",
                "harmonic",
                "boosting",
            )
        },
        "learnt": {"aggregate": "learnt", "lam": 1.0},
        "different": {"discriminator": {"dropout": [0.1, 0.2, 0.3, 0.4, 0.5]}},
        "slices": {"slices": True},
    },
    seeds=3,
)

MNIST_32: Section = {**MNIST_16, "image_size": 32}
CIFAR: Section = {"name": "cifar10", "split": "test[:8000]", "image_size": 32}
BATTLE = Recipe(
    about="One discriminator against five on MNIST, fully connected ends, soft labels.",
    data=MNIST_32,
    game={
        "latent_size": 100,
        "width": 32,
        "discriminator": {"width": 16},
        "targets": "noisy",
    },
    train={"steps": 2_100, "batch_size": 64},
    evaluate=evaluations.image_losses,
    measure={"held_out": {**MNIST_32, "split": "test[8000:]"}, "fid": True},
    compare=battles.every_pair,
    variants={"GAN": {"name": "GAN"}, "GMAN": {"name": "GMAN", "discriminators": 5}},
    paper={
        "data": {"split": "train"},
        "train": {"steps": 18_760},
        "measure": {"held_out": {**MNIST_32, "split": "test"}},
    },
)
BATTLE_DCGAN = replace(
    BATTLE,
    about="One discriminator against five on MNIST, convolutions only.",
    game={"latent_size": 100, "width": 32},
    train={"steps": 1_100, "batch_size": 100, "lr": 1e-4},
    paper={**BATTLE.paper, "train": {"steps": 12_000}},
)
CIFAR_MEASURE: Section = {"held_out": {**CIFAR, "split": "test[8000:]"}, "fid": False}
CIFAR_PAPER: dict[str, Section] = {
    "data": {"split": "train"},
    "measure": {"held_out": {**CIFAR, "split": "test"}},
}


TOURNAMENT = replace(
    BATTLE,
    about="All games so far on MNIST digits of 16 pixels: who fools whose judge.",
    data=MNIST_16,
    game={"latent_size": 100, "width": 16},
    train={"steps": 2_000, "batch_size": 64},
    measure={**HELD_OUT, "fid": True},
    variants={
        "GAN": {"name": "GAN"},
        "MGAN": {"name": "MGAN", "generators": 5},
        "MADGAN": {"name": "MADGAN", "generators": 5},
        "MEGAN": {"name": "MEGAN", "generators": 5},
        "GMAN": {"name": "GMAN", "discriminators": 5},
    },
    paper={},
)

RECIPES: dict[str, Recipe] = {
    "gman_ring": GMAN_RING,
    "battle_mnist_gan": BATTLE,
    "battle_mnist_dcgan": BATTLE_DCGAN,
    "battle_cifar_gan": replace(
        BATTLE,
        about="One discriminator against five on CIFAR-10, networks of half the width.",
        data=CIFAR,
        game={**BATTLE.game, "width": 16, "discriminator": {"width": 8}},
        train={**BATTLE.train, "steps": 1_600},
        measure=CIFAR_MEASURE,
        paper={
            **CIFAR_PAPER,
            "game": {"width": 32, "discriminator": {"width": 16}},
            "train": {"steps": 15_620},
        },
    ),
    "battle_cifar_dcgan": replace(
        BATTLE_DCGAN,
        about="One discriminator against five on CIFAR-10, convolutions only, half the "
        "width.",
        data=CIFAR,
        game={**BATTLE_DCGAN.game, "width": 16},
        measure=CIFAR_MEASURE,
        paper={
            **CIFAR_PAPER,
            "game": {"width": 32},
            "train": {"steps": 15_000, "lr": 5e-5},
        },
    ),
    "tournament_mnist": TOURNAMENT,
    "tournament_mnist_layer": replace(
        TOURNAMENT,
        about="The same games, with judges that look at one sample at a time.",
        game={**TOURNAMENT.game, "discriminator": {"norm": "layer"}},
    ),
}
