"""One value out of those of N discriminators, for the generator to minimise.

Each function takes the generator's adversarial losses against every discriminator (N,)
and returns a scalar. A large loss is that of a harsh discriminator, which rejects the
samples.

Source: Durugkar et al., Generative multi-adversarial networks (ICLR 2017), section 3.
"""

from torch import Tensor

__all__ = ["maximum", "mean", "minimum"]


def mean(values: Tensor) -> Tensor:
    """Every discriminator counts alike."""
    return values.mean()


def maximum(values: Tensor) -> Tensor:
    """Only the harshest discriminator counts."""
    return values.max()


def minimum(values: Tensor) -> Tensor:
    """Only the most lenient discriminator counts."""
    return values.min()
