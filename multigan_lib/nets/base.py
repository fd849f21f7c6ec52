"""What all networks of the library have in common: named parts, initialisation.

A generator is a sequence `first` → `trunk` → `last`; a discriminator is a sequence
`trunk` → `head`. The names are what the games refer to: MGAN's generators own their
`first` and share the rest, MAD-GAN's own their `last`, MGAN's discriminator and
classifier share the `trunk`. Networks know no loss.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

NORMS = ("batch", "none", "spectral", "layer")


class Generator(nn.Sequential):
    """Maps noise to samples through the parts `first`, `trunk` and `last`.

    Args:
        first: from z to the first hidden layer, its normalisation and activation
            included.
        trunk: the other hidden blocks, one after another.
        last: from the last hidden layer to the sample.
        latent_size: length of z.
        shape: shape of one sample, `(C, H, W)` or `(d,)`.
        num_features: numbers in one sample's `features`.
    """

    first: nn.Module
    trunk: nn.Sequential
    last: nn.Module

    def __init__(
        self,
        first: nn.Module,
        trunk: nn.Sequential,
        last: nn.Module,
        latent_size: int,
        shape: tuple[int, ...],
        num_features: int,
    ):
        if latent_size < 1:
            raise ValueError(f"latent_size must be at least 1, got {latent_size}")
        super().__init__(OrderedDict(first=first, trunk=trunk, last=last))
        self.latent_size = latent_size
        self.shape = tuple(shape)
        self.num_features = num_features

    def features(self, z: Tensor) -> Tensor:
        """What MEGAN's gate reads to choose a generator: half-made samples.

        They are the output of the trunk's first block: in a DCGAN generator the ReLU
        after the second up-sampling layer, counting the layer that makes the first
        maps (MEGAN, section 4.1); `net(z)` equals `net.from_features(net.features(z))`.

        Args:
            z: noise (N, latent_size).

        Returns:
            (N, ...), `num_features` numbers a sample.
        """
        return self.trunk[:1](self.first(z))

    def from_features(self, features: Tensor) -> Tensor:
        """Samples (N, *shape) from what `features` returns."""
        return self.last(self.trunk[1:](features))


class Discriminator(nn.Sequential):
    """Maps samples to logits through the parts `trunk` and `head`, the output layer.

    Args:
        trunk: from samples (N, *shape) to features (N, num_features).
        num_features: length of what the trunk gives.
        shape: shape of one sample.
        outputs: logits a sample; one comes as (N,), more as (N, outputs).
    """

    trunk: nn.Module
    head: nn.Module

    def __init__(
        self,
        trunk: nn.Module,
        num_features: int,
        shape: tuple[int, ...],
        outputs: int = 1,
    ):
        if outputs < 1:
            raise ValueError(f"outputs must be at least 1, got {outputs}")
        head: nn.Module = nn.Linear(num_features, outputs)
        if outputs == 1:
            head = nn.Sequential(head, DropLast())
        super().__init__(OrderedDict(trunk=trunk, head=head))
        self.num_features = num_features
        self.shape = tuple(shape)
        self.outputs = outputs


def is_sequence(net: nn.Module) -> TypeGuard[nn.Sequential]:
    """Whether a network does nothing but apply its children in turn."""
    return isinstance(net, nn.Sequential) and type(net).forward is nn.Sequential.forward


class DropLast(nn.Module):
    """(..., 1) → (...): a single logit a sample needs no axis of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return x.squeeze(-1)


class Flatten(nn.Flatten):
    """`nn.Flatten`, with gradients in the memory layout of the feature maps.

    The gradient of a flattened tensor has its channels first in memory. Where the maps
    have them last, the layers below would read the two side by side, ten times slower.
    """

    def forward(self, x: Tensor) -> Tensor:
        last = torch.channels_last
        if x.requires_grad and x.stride(1) == 1 and x.is_contiguous(memory_format=last):
            x.register_hook(lambda gradient: gradient.contiguous(memory_format=last))
        return super().forward(x)


def init_normal(net: nn.Module, std: float = 0.02) -> None:
    """Draws the weights of linear and convolutional layers from N(0, std²), in place.

    Their biases become 0; normalisation layers keep scale 1 and offset 0, for the paper
    speaks of weights only (Radford et al. 2015, section 4).
    """
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def check_width(*widths: int) -> None:
    """Raises ValueError for a layer with fewer than one unit or channel."""
    if min(widths, default=1) < 1:
        raise ValueError(f"width must be at least 1, got {min(widths)}")


def check_norm(norm: str) -> None:
    """Raises ValueError for a normalisation that discriminators do not have."""
    if norm not in NORMS:
        raise ValueError(f"unknown norm {norm!r}; choose one of {', '.join(NORMS)}")


def check_dropout(dropout: float) -> None:
    """Raises ValueError for a share of dropped outputs outside [0, 1)."""
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is a share in [0, 1), got {dropout}")


def add_spectral_norm(net: nn.Module) -> None:
    """Divides all linear and convolutional weights by their spectral norms, in place.

    (Miyato et al. 2018; one power iteration at each forward pass in training mode.)
    """
    for layer in list(net.modules()):
        if isinstance(layer, nn.Linear | nn.Conv2d):
            spectral_norm(layer)


class ScaleBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation with a learnable scale and the offset fixed at zero.

    (MGAN, section 5.2.) The offset is a buffer: no optimizer and no `requires_grad_`
    can move it.
    """

    def __init__(self, num_features: int):
        super().__init__(num_features)
        del self.bias
        self.register_buffer("bias", torch.zeros(num_features), persistent=False)
