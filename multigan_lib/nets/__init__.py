"""Networks that know no loss: MLPs, DCGANs, ResNets, a classifier, banks of K."""

from __future__ import annotations

from .bank import Bank
from .base import Discriminator, Generator
from .classifier import Classifier
from .dcgan import DCGANDiscriminator, DCGANGenerator
from .mlp import MLPDiscriminator, MLPGenerator
from .resnet import ResNetDiscriminator, ResNetGenerator

__all__ = [
    "Bank",
    "Classifier",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "Discriminator",
    "Generator",
    "MLPDiscriminator",
    "MLPGenerator",
    "ResNetDiscriminator",
    "ResNetGenerator",
    "discriminator_for",
    "generator_for",
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
) -> Discriminator:
    """The discriminator that suits data of this shape, as for `generator_for`.

    Args:
        shape: of one sample, as for `generator_for`.
        width: units of the hidden layer (points, default 128), or channels of the first
            layer (images, default 32, and 64 above 32 pixels).
        outputs: logits a sample.
        norm: "batch", "none", "spectral" or "layer"; default "none" for points and
            "batch" for images. With a gradient penalty take "layer" or "none".

    Returns:
        x (N, *shape) → logits (N,), or (N, outputs) where outputs > 1; parts `trunk`
        and `head`.

    Raises:
        ValueError: for a shape without a default network, an unknown norm, or no
            outputs.
    """
    if len(shape) == 1:
        width = 128 if width is None else width
        return MLPDiscriminator(shape[0], (width,), outputs, norm or "none")
    return DCGANDiscriminator(shape, width, outputs, norm or "batch")
