"""Networks that know no loss: MLPs, DCGANs, ResNets, a classifier, several as one."""

from __future__ import annotations

import inspect
from typing import Any

from .bank import Bank
from .base import Discriminator, Generator
from .classifier import Classifier
from .conditional import LabelChannel, LabelledGenerator, Projection
from .dcgan import DCGANDiscriminator, DCGANGenerator
from .ensemble import Ensemble, together
from .mlp import MLPDiscriminator, MLPGenerator
from .resnet import ResNetDiscriminator, ResNetGenerator

__all__ = [
    "Bank",
    "Classifier",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "Discriminator",
    "Ensemble",
    "Generator",
    "LabelChannel",
    "LabelledGenerator",
    "MLPDiscriminator",
    "MLPGenerator",
    "Projection",
    "ResNetDiscriminator",
    "ResNetGenerator",
    "discriminator_for",
    "discriminators_for",
    "generator_for",
    "together",
]


def generator_for(
    shape: tuple[int, ...],
    latent_size: int | None = None,
    width: int | None = None,
    offset: bool = True,
) -> Generator:
    """The generator that suits data of this shape: MLP for points, DCGAN for images.

    Args:
        shape: of one sample: (d,) for points, (C, H, W) for images of 16, 32, 48 or 64
            pixels with 1 or 3 channels.
        latent_size: length of z; default 128 for points, 100 for images, as in MGAN's
            experiments.
        width: units of each hidden layer (points, default 128), or channels of the last
            hidden layer (images, default 32, and 64 above 32 pixels).
        offset: see `DCGANGenerator`; points have no batch norm.

    Returns:
        z (N, latent_size) → (N, *shape); images in [-1, 1].

    Raises:
        ValueError: for a shape without a default network.
    """
    if len(shape) == 1:
        width = 128 if width is None else width
        latent_size = 128 if latent_size is None else latent_size
        return MLPGenerator(latent_size, shape[0], (width, width))
    latent_size = 100 if latent_size is None else latent_size
    return DCGANGenerator(shape, latent_size, width, offset)


def discriminator_for(
    shape: tuple[int, ...],
    width: int | None = None,
    outputs: int = 1,
    norm: str | None = None,
    dropout: float = 0.0,
    depth: int | None = None,
) -> Discriminator:
    """The discriminator that suits data of this shape, as for `generator_for`.

    Args:
        shape: of one sample, as for `generator_for`.
        width: units of the hidden layer (points, default 128), or channels of the first
            layer (images, default 32, and 64 above 32 pixels).
        outputs: logits a sample.
        norm: "batch", "none", "spectral" or "layer"; default "none" for points and
            "batch" for images. With a gradient penalty take "layer" or "none".
        dropout: share of each hidden layer's outputs that is dropped in training.
        depth: hidden layers (points, default 1), or convolutions (images, by default
            and at most down to maps of 4×4 or 6×6).

    Returns:
        x (N, *shape) → logits (N,), or (N, outputs) where outputs > 1; parts `trunk`
        and `head`.

    Raises:
        ValueError: for a shape without a default network, an unknown norm, no outputs,
            or a dropout or depth out of range.
    """
    if len(shape) == 1:
        if depth is not None and depth < 1:
            raise ValueError(f"depth must be at least 1, got {depth}")
        hidden = (128 if width is None else width,) * (1 if depth is None else depth)
        return MLPDiscriminator(shape[0], hidden, outputs, norm or "none", dropout)
    return DCGANDiscriminator(shape, width, outputs, norm or "batch", dropout, depth)


def discriminators_for(
    shape: tuple[int, ...], count: int, **options: Any
) -> Bank | Ensemble:
    """A family of discriminators: as many as asked for, alike or different.

    Args:
        shape: of one sample.
        count: number N of discriminators.
        options: arguments of `discriminator_for`. A list or tuple holds one value for
            each of the N, any other value is that of all.

    Returns:
        A `Bank` where all N have one architecture, else an `Ensemble`.

    Raises:
        ValueError: if a list is not of length N, or an option is unknown or out of
            range.
    """
    known = set(inspect.signature(discriminator_for).parameters) - {"shape"}
    if unknown := sorted(set(options) - known):
        raise ValueError(
            f"discriminators have no option {', '.join(unknown)}; they have "
            f"{', '.join(sorted(known))}"
        )
    for name, value in options.items():
        if isinstance(value, list | tuple) and len(value) != count:
            raise ValueError(
                f"{name} has {len(value)} values for {count} discriminators"
            )
    networks = [
        discriminator_for(
            shape,
            **{
                n: v[i] if isinstance(v, list | tuple) else v
                for n, v in options.items()
            },
        )
        for i in range(count)
    ]
    return together(networks)
