"""Multi-layer perceptrons for points.

The default sizes are those of the eight Gaussians in MGAN (Hoang et al. 2018, section
5.1): a generator with two hidden layers of 128 ReLU units that reads 128 normal
variables, a discriminator with one hidden layer of 128.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from .base import (
    Discriminator,
    Generator,
    add_spectral_norm,
    check_dropout,
    check_norm,
    check_width,
    init_normal,
)


def hidden_layers(sizes: Sequence[int], norm: str = "none") -> nn.Sequential:
    """Blocks of linear layer, normalisation ("none", "batch" or "layer") and ReLU.

    Args:
        sizes: input size, then the size of each hidden layer; `[64]` gives no layer at
            all.

    Maps (N, sizes[0]) to (N, sizes[-1]); the weights keep PyTorch's initialisation.
    """
    blocks = []
    for inputs, outputs in pairwise(sizes):
        block: list[nn.Module] = [nn.Linear(inputs, outputs, bias=norm != "batch")]
        if norm == "batch":
            block.append(nn.BatchNorm1d(outputs))
        elif norm == "layer":
            block.append(nn.LayerNorm(outputs))
        blocks.append(nn.Sequential(*block, nn.ReLU()))
    return nn.Sequential(*blocks)


class MLPGenerator(Generator):
    """Points from noise: z (N, latent_size) → (N, dimensions), unbounded.

    Args:
        latent_size: length of z.
        dimensions: length of a point.
        hidden: sizes of the hidden layers, at least one. The first is `first`, the
            others are `trunk`.
    """

    def __init__(
        self,
        latent_size: int = 128,
        dimensions: int = 2,
        hidden: Sequence[int] = (128, 128),
    ):
        if not hidden:
            raise ValueError("an MLP generator needs at least one hidden layer")
        check_width(*hidden)
        super().__init__(
            first=hidden_layers([latent_size, hidden[0]]),
            trunk=hidden_layers(hidden),
            last=nn.Linear(hidden[-1], dimensions),
            latent_size=latent_size,
            shape=(dimensions,),
            num_features=hidden[min(1, len(hidden) - 1)],
        )
        init_normal(self)


class MLPDiscriminator(Discriminator):
    """Logits of points: x (N, dimensions) → (N,), or (N, outputs) if > 1.

    Args:
        dimensions: length of a point.
        hidden: sizes of the hidden layers.
        outputs: logits a point.
        norm: "none", "batch", "layer" or "spectral".
        dropout: share of each hidden layer's outputs that is dropped in training.
    """

    def __init__(
        self,
        dimensions: int = 2,
        hidden: Sequence[int] = (128,),
        outputs: int = 1,
        norm: str = "none",
        dropout: float = 0.0,
    ):
        check_norm(norm)
        check_dropout(dropout)
        check_width(*hidden)
        sizes = [dimensions, *hidden]
        trunk = hidden_layers(sizes, "none" if norm == "spectral" else norm)
        if dropout:
            drops = (nn.Sequential(block, nn.Dropout(dropout)) for block in trunk)
            trunk = nn.Sequential(*drops)
        super().__init__(trunk, sizes[-1], (dimensions,), outputs)
        init_normal(self)
        if norm == "spectral":
            add_spectral_norm(self)
