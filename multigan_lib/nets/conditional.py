"""Networks that read a label beside their input, around networks that do not.

All of them hold one network or a `Bank` or an `Ensemble` of several, and embed the
label for each of these by itself.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .bank import Bank
from .ensemble import Ensemble


class LabelledGenerator(nn.Module):
    """Samples from noise and a label: the embedded label is appended to z.

    Args:
        network: a generator, or a `Bank` of K of them, that reads the noise and the
            embedding, (n, latent_size + label_size).
        classes: number of classes.
        label_size: length of the embedding, which each generator learns for itself. It
            starts with a norm of about 1, that of a one-hot code: beside a label that
            is as loud as z, generators soon make one sample of each class.
    """

    def __init__(self, network: nn.Module, classes: int, label_size: int):
        super().__init__()
        self.network = network
        self.classes = classes
        self.embedding = nn.Embedding(count(network) * classes, label_size)
        nn.init.normal_(self.embedding.weight, std=label_size**-0.5)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Every generator's samples, from the same noise and labels.

        Args:
            z: noise (n, latent_size).
            labels: classes (n,), int64.

        Returns:
            (n, …) by one generator, (K, n, …) by a bank of K.
        """
        if not isinstance(self.network, Bank):
            return self.network(self._append(z, labels))
        source = torch.arange(len(self.network), device=z.device)[:, None]
        return self.network(self._append(z, labels, source))

    def pick(self, z: Tensor, labels: Tensor, source: Tensor) -> Tensor:
        """Sample i by generator source[i], (n, …); in evaluation mode only."""
        x = self._append(z, labels, source)
        if not isinstance(self.network, Bank):
            return self.network(x)
        return self.network.pick(x, source)

    def _append(self, z: Tensor, labels: Tensor, source: Tensor | int = 0) -> Tensor:
        embedded = self.embedding(labels + self.classes * source)
        return torch.cat([z.expand(*embedded.shape[:-1], -1), embedded], -1)


class LabelChannel(nn.Module):
    """Logits of labelled samples: the embedded label is a channel more of the image.

    (Mirza & Osindero 2014 append the label to the input of the discriminator; as a
    learnt channel in Denton et al. 2015.)

    Args:
        network: discriminators ``(n, *extended)`` → (n,), or ``(N, n, *extended)`` →
            (N, n).
        classes: number of classes.
        shape: one sample's shape (C, H, W) or (d,).
        extended: that of a sample with its label, (C + 1, H, W) or (d + label_size,).
    """

    def __init__(
        self,
        network: nn.Module,
        classes: int,
        shape: tuple[int, ...],
        extended: tuple[int, ...],
    ):
        super().__init__()
        self.network = network
        self.classes = classes
        self.label_shape = (extended[0] - shape[0], *shape[1:])
        size = math.prod(self.label_shape)
        self.embedding = nn.Embedding(count(network) * classes, size)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Samples (n, …) with labels (n,) → logits (n,), or (N, n) by N networks."""
        if isinstance(self.network, Bank | Ensemble):
            network = torch.arange(len(self.network), device=x.device)[:, None]
            labels = labels + self.classes * network
            x = x.expand(len(self.network), *x.shape)
        embedded = self.embedding(labels).unflatten(-1, self.label_shape)
        return self.network(torch.cat([x, embedded], -len(self.label_shape)))


class Projection(nn.Module):
    """Logits of labelled samples: ψ(φ(x)) + ⟨v_c, φ(x)⟩ (Miyato & Koyama 2018, eq. 4).

    Args:
        network: discriminators with 1 + classes linear outputs, (n, 1 + classes) or
            (N, n, 1 + classes): the first is ψ, the others are ⟨v_c, φ(x)⟩, each with
            an offset of its own, as for a label distribution that is to be learnt.
        classes: number of classes.
    """

    def __init__(self, network: nn.Module, classes: int):
        super().__init__()
        self.network = network
        self.classes = classes

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Samples (n, …) with labels (n,) → logits (n,), or (N, n) by N networks.

        Raises:
            ValueError: if the network gives another number of outputs.
        """
        outputs = self.network(x)
        if outputs.shape[-2:] != (len(x), 1 + self.classes):
            raise ValueError(
                f"for a projection a discriminator gives 1 + {self.classes} numbers a "
                f"sample, ({len(x)}, {1 + self.classes}); got {tuple(outputs.shape)}"
            )
        chosen = (labels + 1).expand(outputs.shape[:-1])[..., None]
        return outputs[..., 0] + outputs.gather(-1, chosen).squeeze(-1)


def count(network: nn.Module) -> int:
    """Number of networks behind a call: that of a bank or an ensemble, else 1."""
    return len(network) if isinstance(network, Bank | Ensemble) else 1
