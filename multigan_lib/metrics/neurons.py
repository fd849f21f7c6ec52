"""Which hidden units still take part: dying ReLUs, counted."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def active_share(network: nn.Module, inputs: Tensor, at_least: float = 0.1) -> float:
    """Share of a network's ReLU units that are active.

    A unit (every position of every map is one) is active if it is positive for at least
    a tenth of the inputs. The network runs in the mode it is in, without a graph.

    Args:
        network: with `nn.ReLU` or `nn.LeakyReLU` modules.
        inputs: what it takes, (n, ...).
        at_least: the share of the inputs that makes a unit active, in (0, 1].

    Returns:
        In [0, 1], over the units of all these modules together.

    Raises:
        ValueError: if the network has no such module.

    Source: Hoang et al., MGAN (2018), section 5.2.
    """
    active = units = 0

    def count(_module: nn.Module, _inputs: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal active, units
        share = (out > 0).double().mean(0)
        active += int((share >= at_least).sum())
        units += share.numel()

    found = [m for m in network.modules() if isinstance(m, nn.ReLU | nn.LeakyReLU)]
    if not found:
        raise ValueError(f"{type(network).__name__} has no ReLU whose units to count")
    hooks = [module.register_forward_hook(count) for module in found]
    try:
        with torch.no_grad():
            network(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return active / units
