"""What recipes of several parts have in common: the ring, held-out digits."""

from . import evaluations
from .recipe import Recipe

RING = Recipe(
    about="A plain GAN on the ring of eight Gaussians, networks as in MGAN's figure.",
    data={"name": "ring", "modes": 8, "radius": 2.0, "std": 0.02**0.5},
    game={"name": "GAN", "loss": "nonsaturating", "latent_size": 128, "width": 128},
    train={"steps": 20_000, "batch_size": 512, "snapshot_every": 500},
    evaluate=evaluations.point_modes,
    measure={"n": 4096},
    seeds=10,
)

TUNED = {**RING.train, "lr": (1e-3, 2e-4), "schedule": "linear"}
"""The discriminator five times faster than the generators, both slowing down to zero:
without the first, modes shrink; the second stills the last oscillations."""
SHORT = {**TUNED, "steps": 8_000}

MNIST_16 = {"name": "mnist", "split": "test[:8000]", "image_size": 16}
HELD_OUT = {"held_out": {**MNIST_16, "split": "test[8000:]"}}
