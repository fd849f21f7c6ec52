"""Several networks of any architectures behind one call."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .bank import Bank, sample_dims


class Ensemble(nn.Module):
    """N networks that may differ, run one after another; called like a `Bank`.

    Args:
        networks: the N networks, which are copied. Each reads the same kind of input
            and gives the same number of outputs.

    Raises:
        ValueError: if there is none.
    """

    def __init__(self, networks: Sequence[nn.Module]):
        super().__init__()
        if not networks:
            raise ValueError("an ensemble holds one network or more, got none")
        self.own = nn.ModuleList(copy.deepcopy(net) for net in networks)
        self._sample_dims = sample_dims(networks[0])

    def __len__(self) -> int:
        return len(self.own)

    def forward(self, x: Tensor) -> Tensor:
        """Every network's outputs (N, B, ...), row k from network k.

        Args:
            x: one input for all networks (B, ...), or one for each (N, B, ...).

        Raises:
            ValueError: for inputs of another number of networks.
        """
        if x.dim() == self._sample_dims + 1:
            return torch.stack([net(x) for net in self.own])
        if len(x) != len(self):
            raise ValueError(f"inputs for {len(x)} networks, but there are {len(self)}")
        return torch.stack([net(own) for net, own in zip(self.own, x, strict=True)])

    def network(self, k: int) -> nn.Module:
        """A copy of network k by itself."""
        if not 0 <= k < len(self):
            raise IndexError(f"no network {k} in an ensemble of {len(self)}")
        return copy.deepcopy(self.own[k])


def together(networks: Sequence[nn.Module]) -> Bank | Ensemble:
    """A `Bank` of networks that have one architecture, else an `Ensemble`."""
    texts = {repr(net) for net in networks}
    shapes = {tuple(p.shape for p in net.parameters()) for net in networks}
    return (Bank if len(texts) == len(shapes) == 1 else Ensemble)(networks)
