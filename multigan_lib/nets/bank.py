"""K networks of one architecture, evaluated together.

What each network owns, and what all K share, is a policy:

    =========  =====================  ========================================
    policy     each network owns      evaluated as
    =========  =====================  ========================================
    own_first  its first part (MGAN)  K first parts, then one pass of the rest
                                      over the concatenation of their outputs
    own_last   its last part          one pass of the rest, then K last parts
               (a MAD-GAN that
               shares all but one
               layer)
    own_all    everything (MEGAN)     K networks
    =========  =====================  ========================================

Batch normalisation in a shared part sees the samples of all networks at once, in an
owned part those of one network: that is the difference between one pass over a
concatenation and K passes, which are another model.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .base import Generator, is_sequence
from .fold import fold, fold_forward, foldable, reads_shared, unfold

POLICIES = ("own_first", "own_last", "own_all")

FOLD_BELOW = {"cpu": 150e6, "cuda": 150e6}
"""Multiply-adds of one network's forward pass below which K networks are folded into
one, by device. Small networks spend their time on calls, not on numbers;
large ones are fastest one after another, while their data stay in the cache.
Measured with `benchmarks/bank.py`, on the CPU only."""


class Bank(nn.Module):
    """K networks with one optimizer's worth of parameters, and one call for them all.

    Owned parameters and buffers are those of the K networks concatenated along the
    first axis; `state_dict` has the keys of a single network under `net.`.

    Args:
        networks: K networks of one architecture, which are copied; or a function that
            makes one, called K times. Where the policy shares a part, it is that of the
            first network. `own_first` and `own_last` need an `nn.Sequential`, of which
            the first (last) child is the part that each network owns: in this library
            `first` of a `Generator`, and `head` of a `Discriminator` as the last.
        count: K; may be left out where `networks` is a sequence.
        policy: "own_first", "own_last" or "own_all".

    Raises:
        ValueError: K < 1, an unknown policy, networks that differ in architecture, or
            networks whose first or last part cannot be told.
    """

    def __init__(
        self,
        networks: Callable[[], nn.Module] | Sequence[nn.Module],
        count: int | None = None,
        policy: str = "own_all",
    ):
        super().__init__()
        if policy not in POLICIES:
            raise ValueError(
                f"unknown policy {policy!r}; choose one of {', '.join(POLICIES)}"
            )
        nets = _make(networks, count)
        self.count = len(nets)
        self.policy = policy
        self.net = copy.deepcopy(nets[0])
        self._sample_dims = _sample_dims(self.net)
        self._work: dict[tuple[str, ...], float] = {}
        self._scalars = set()
        if policy != "own_all" and (not is_sequence(self.net) or len(self.net) < 2):
            raise ValueError(
                f"policy {policy!r} needs networks whose first and last part can be "
                f"told: an nn.Sequential of two parts or more, got "
                f"{type(self.net).__name__}; or take policy 'own_all'"
            )
        for name, _ in _tensors(self.net):
            if self._owned(name):
                tensors = [dict(_tensors(net))[name].detach() for net in nets]
                if tensors[0].dim() == 0:
                    self._scalars.add(name)
                    tensors = [tensor.reshape(1) for tensor in tensors]
                _replace(self.net, name, torch.cat(tensors))

    def __len__(self) -> int:
        return self.count

    def __getattr__(self, name: str):
        # What is said of one network holds for each.
        if name in ("latent_size", "shape", "num_features", "outputs"):
            return getattr(self.net, name)
        return super().__getattr__(name)

    def extra_repr(self) -> str:
        return f"count={self.count}, policy={self.policy!r}"

    def forward(self, x: Tensor) -> Tensor:
        """Every network's outputs.

        Args:
            x: one input for all networks (B, ...), or one for each (K, B, ...).

        Returns:
            (K, B, ...), row k from network k.

        Raises:
            ValueError: for inputs with another number of axes or networks.
        """
        return self._run(_blocks(self.net), x, self._shared(x))

    def features(self, z: Tensor) -> Tensor:
        """Every generator's features (K, B, ...), see `Generator.features`.

        Args:
            z: one batch of noise for all (B, latent_size), or one for each generator.
        """
        return self._run(self._halves()[0], z, self._shared(z))

    def from_features(self, features: Tensor) -> Tensor:
        """Every generator's samples (K, B, *shape) from its features (K, B, ...)."""
        return self._run(self._halves()[1], features, shared=False)

    def pick(self, x: Tensor, source: Tensor) -> Tensor:
        """Output i from network source[i]; the other networks' own parts do not run.

        Args:
            x: inputs (n, ...).
            source: index of the network for each (n,), int64.

        Returns:
            (n, ...).

        Raises:
            RuntimeError: in training mode, where batch norm would see only a part of
                each network's batch.
        """
        return self._pick(_blocks(self.net), x, source)

    def pick_from_features(self, features: Tensor, source: Tensor) -> Tensor:
        """Sample i (n, *shape) by generator source[i] from features (n, ...)."""
        return self._pick(self._halves()[1], features, source)

    def network(self, k: int) -> nn.Module:
        """A copy of network k by itself, of the class the bank was made from."""
        if not 0 <= k < self.count:
            raise IndexError(f"no network {k} in a bank of {self.count}")
        net = copy.deepcopy(self.net)
        for name, tensor in _tensors(net):
            if self._owned(name):
                own = tensor.detach().chunk(self.count)[k].clone()
                _replace(net, name, own[0] if name in self._scalars else own)
        return net

    def _owned(self, name: str) -> bool:
        """Whether each network owns the part, parameter or buffer of this name."""
        if self.policy == "own_all":
            return True
        parts = [part for part, _ in self.net.named_children()]
        part = parts[0] if self.policy == "own_first" else parts[-1]
        return name.split(".")[0] == part

    def _halves(self) -> tuple[Blocks, Blocks]:
        if not isinstance(self.net, Generator):
            raise TypeError(
                f"features are a generator's, this is a bank of "
                f"{type(self.net).__name__}"
            )
        blocks = _blocks(self.net)
        split = min(2, len(blocks) - 1)
        return blocks[:split], blocks[split:]

    def _shared(self, x: Tensor) -> bool:
        """Whether x is one input for all networks; raises if it is not (K, B, ...)."""
        dims = self._sample_dims
        if x.dim() == dims + 1:
            return True
        if x.dim() != dims + 2 or len(x) != self.count:
            raise ValueError(
                f"expected inputs of {dims + 1} axes for all networks, or of "
                f"{dims + 2} with {self.count} rows, one for each; got shape "
                f"{tuple(x.shape)}"
            )
        return False

    def _run(self, blocks: Blocks, x: Tensor, shared: bool) -> Tensor:
        for owned, run in groupby(blocks, key=lambda block: self._owned(block[0])):
            names, parts = zip(*run, strict=True)
            part = nn.Sequential(*parts)
            if owned:
                x = self._run_owned(names, part, x, shared)
                shared = False
            elif shared:
                x = part(x)
            else:
                x = part(x.flatten(0, 1)).unflatten(0, (self.count, -1))
        return x.expand(self.count, *x.shape) if shared else x

    def _run_owned(
        self, names: tuple[str, ...], part: nn.Sequential, x: Tensor, shared: bool
    ) -> Tensor:
        k = self.count
        if k == 1:
            return part(x if shared else x[0]).unsqueeze(0)
        if foldable(part) and self._is_small(names, x if shared else x[0]):
            if shared and not reads_shared(part):
                x, shared = x.expand(k, *x.shape), False
            return unfold(fold_forward(part, x if shared else fold(x), k), k)
        networks = zip(self._each(part), [x] * k if shared else x, strict=True)
        return torch.stack([network(own) for network, own in networks])

    def _each(self, part: nn.Module) -> list[Callable[[Tensor], Tensor]]:
        """The K copies of an owned part, as functions."""
        chunks = {name: t.chunk(self.count) for name, t in _tensors(part)}
        return [
            partial(functional_call, part, {name: c[k] for name, c in chunks.items()})
            for k in range(self.count)
        ]

    def _is_small(self, names: tuple[str, ...], x: Tensor) -> bool:
        """Whether K copies of a part are faster folded than one after another."""
        if names not in self._work:
            blocks = _blocks(self.network(0))
            part = nn.Sequential(*(block for name, block in blocks if name in names))
            self._work[names] = multiply_adds(part, x[:1])
        return len(x) * self._work[names] < FOLD_BELOW.get(x.device.type, 0)

    def _pick(self, blocks: Blocks, x: Tensor, source: Tensor) -> Tensor:
        if self.training:
            raise RuntimeError("pick is for evaluation mode: call eval() before it")
        if source.shape != x.shape[:1]:
            raise ValueError(
                f"one source an input is needed: got {tuple(source.shape)} sources for "
                f"inputs of shape {tuple(x.shape)}"
            )
        for owned, run in groupby(blocks, key=lambda block: self._owned(block[0])):
            part = nn.Sequential(*(block for _, block in run))
            x = self._pick_owned(part, x, source) if owned else part(x)
        return x

    def _pick_owned(self, part: nn.Module, x: Tensor, source: Tensor) -> Tensor:
        each = self._each(part)
        order = source.argsort()
        chosen, counts = source[order].unique_consecutive(return_counts=True)
        if len(chosen) and not 0 <= chosen[0] <= chosen[-1] < self.count:
            raise ValueError(f"sources must be from 0 to {self.count - 1}")
        rows = x[order].split(counts.tolist())
        y = [each[k](own) for k, own in zip(chosen.tolist(), rows, strict=True)]
        return torch.cat(y)[order.argsort()]


Blocks = list[tuple[str, nn.Module]]


def _blocks(net: nn.Module) -> Blocks:
    """What a network applies one after another, by name."""
    if not is_sequence(net):
        return [("", net)]
    blocks = []
    for name, part in net.named_children():
        if isinstance(net, Generator) and name == "trunk":
            blocks += [(f"trunk.{n}", block) for n, block in part.named_children()]
        else:
            blocks.append((name, part))
    return blocks


def _make(
    networks: Callable[[], nn.Module] | Sequence[nn.Module], count: int | None
) -> list[nn.Module]:
    """K networks of one architecture, or a ValueError."""
    if isinstance(networks, Sequence | nn.ModuleList):
        nets = list(networks)
        count = len(nets) if count is None else count
        if count != len(nets):
            raise ValueError(f"count={count}, but {len(nets)} networks were given")
    else:
        nets = [networks() for _ in range(count or 0)]
    if not nets:
        raise ValueError(f"a bank holds one network or more, got count={count}")
    for k, net in enumerate(nets):
        # The text of a module names its layers and their settings.
        if repr(net) != repr(nets[0]) or _shapes(net) != _shapes(nets[0]):
            raise ValueError(
                f"networks of a bank must have one architecture, but network {k} "
                f"differs from network 0:\n{net}\nagainst\n{nets[0]}"
            )
    return nets


def _sample_dims(net: nn.Module) -> int:
    """Number of axes of one input, without the batch's."""
    if hasattr(net, "latent_size"):
        return 1
    if isinstance(shape := getattr(net, "shape", None), Sequence):
        return len(shape)
    for layer in net.modules():
        if isinstance(layer, nn.Linear):
            return 1
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            return 3
    raise ValueError(
        f"cannot tell what a {type(net).__name__} reads: give it an attribute `shape`, "
        "the shape of one input, or `latent_size`"
    )


def multiply_adds(part: nn.Module, x: Tensor) -> float:
    """Multiplications of the linear and convolutional layers in one forward pass."""
    total = 0

    def add(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Linear):
            positions = output.numel() // layer.out_features
            total += layer.weight.numel() * positions
        elif isinstance(layer, nn.Conv2d):
            total += layer.weight.numel() * output[:, 0].numel()
        elif isinstance(layer, nn.ConvTranspose2d):
            total += layer.weight.numel() * inputs[0][:, 0].numel()

    for layer in part.modules():
        layer.register_forward_hook(add)
    with torch.no_grad():
        part.eval()(x)
    return total


def _tensors(net: nn.Module) -> list[tuple[str, Tensor]]:
    return [*net.named_parameters(), *net.named_buffers()]


def _shapes(net: nn.Module) -> list[tuple[str, torch.Size]]:
    return [(name, tensor.shape) for name, tensor in _tensors(net)]


def _replace(net: nn.Module, name: str, tensor: Tensor) -> None:
    """Puts another tensor in the place of a parameter or buffer."""
    path, _, leaf = name.rpartition(".")
    module = net.get_submodule(path)
    old = getattr(module, leaf)
    if isinstance(old, nn.Parameter):
        module._parameters[leaf] = nn.Parameter(tensor, old.requires_grad)
    else:
        module._buffers[leaf] = tensor
