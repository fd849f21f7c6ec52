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
from itertools import groupby

import torch
from torch import Tensor, nn

from .base import Generator, is_sequence
from .fold import (
    convolve_images,
    fold,
    fold_forward,
    fold_plan,
    foldable,
    reads_images,
    reads_shared,
    split_first,
    unfold,
)

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
POLICIES = ("own_first", "own_last", "own_all")

FOLD_BELOW = {"cpu": (5e6, 55e6), "cuda": (1e9, 1e9)}
"""Work below which K networks are folded into one, by device: for networks of linear
layers only, and for those with convolutions.

Small networks spend their time on calls, not on numbers; large ones are fastest one
after another, while their data stay in the cache. `work` estimates one network's for a
batch. The CPU's limits lie where both ways took the same time in measurements with
K = 10 (`benchmarks/bank.py`); the GPU's are a guess, not yet measured."""


class Stage:
    """A piece of the networks that has one owner.

    Args:
        own: whether each network has its own.
        parts: the K networks' parts, or the shared one.
    """

    def __init__(self, own: bool, parts: list[nn.Module]):
        self.own = own
        self.parts = parts
        self.plan = fold_plan(parts) if own and foldable(parts[0]) else None
        self.reads_shared = reads_shared(parts[0])
        firsts, rests = zip(*map(split_first, parts), strict=True)
        self.rests = rests if own and reads_images(firsts[0]) else None
        self.firsts = firsts
        self.parameters = sum(p.numel() for p in parts[0].parameters())
        self.convolutional = any(
            isinstance(layer, CONVOLUTIONS) for layer in parts[0].modules()
        )
        self.work_per_input: int | None = None


class Bank(nn.Module):
    """K networks behind one call, and one optimizer for them all.

    `own` holds what belongs to each network, in their order, and `shared` what belongs
    to all.

    Args:
        networks: K networks of one architecture, which are copied; or a function that
            makes one, called K times. Where the policy shares a part, it is that of the
            first network. `own_first` and `own_last` need an `nn.Sequential`, of which
            the first (last) child is the part that each network owns: in this library
            `first` of a `Generator` and `last` of a `Generator` or `head` of a
            `Discriminator`.
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
        one = nets[0]
        self.policy = policy
        self._sample_dims = sample_dims(one)
        self._stages: dict[tuple[int, int | None], list[Stage]] = {}
        # Whole networks, not registered: their parts are, once.
        self._nets = tuple(nets)
        if policy == "own_all":
            self.own = nn.ModuleList(nets)
            return
        if not is_sequence(one) or len(one) < 2:
            raise ValueError(
                f"policy {policy!r} needs networks whose first and last part can be "
                f"told: an nn.Sequential of two parts or more, got "
                f"{type(one).__name__}; or take policy 'own_all'"
            )
        names = [name for name, _ in one.named_children()]
        own = names.pop(0 if policy == "own_first" else -1)
        self.own = nn.ModuleList([net.get_submodule(own) for net in nets])
        self.shared = nn.ModuleDict({name: one.get_submodule(name) for name in names})
        for net in nets:
            for name, part in self.shared.items():
                setattr(net, name, part)

    def __len__(self) -> int:
        return len(self._nets)

    def __getattr__(self, name: str):
        # What is said of one network holds for each.
        if name in ("latent_size", "shape", "num_features", "outputs"):
            return getattr(self._nets[0], name)
        return super().__getattr__(name)

    def extra_repr(self) -> str:
        return f"count={len(self)}, policy={self.policy!r}"

    def forward(self, x: Tensor) -> Tensor:
        """Every network's outputs.

        Args:
            x: one input for all networks (B, ...), or one for each (K, B, ...).

        Returns:
            (K, B, ...), row k from network k.

        Raises:
            ValueError: for inputs with another number of axes or networks.
        """
        return self._run(self._cut(), x, self._is_shared(x))

    def features(self, z: Tensor) -> Tensor:
        """Every generator's features (K, B, ...), see `Generator.features`.

        Args:
            z: one batch of noise for all (B, latent_size), or one for each generator.
        """
        return self._run(self._cut(stop=self._split()), z, self._is_shared(z))

    def from_features(self, features: Tensor) -> Tensor:
        """Every generator's samples (K, B, *shape) from its features (K, B, ...)."""
        return self._run(self._cut(start=self._split()), features, shared=False)

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
            ValueError: for another number of sources, or an index that no network has.
        """
        return self._pick(self._cut(), x, source)

    def pick_from_features(self, features: Tensor, source: Tensor) -> Tensor:
        """Sample i (n, *shape) by generator source[i], from features (n, ...)."""
        return self._pick(self._cut(start=self._split()), features, source)

    def network(self, k: int) -> nn.Module:
        """A copy of network k by itself, of the class the bank was made from."""
        if not 0 <= k < len(self):
            raise IndexError(f"no network {k} in a bank of {len(self)}")
        return copy.deepcopy(self._nets[k]).train(self.training)

    def _is_shared(self, x: Tensor) -> bool:
        """Whether x is one input for all networks; raises if it is not (K, B, ...)."""
        dims = self._sample_dims
        if x.dim() == dims + 1:
            return True
        if x.dim() != dims + 2 or len(x) != len(self):
            raise ValueError(
                f"expected inputs of {dims + 1} axes for all networks, or of "
                f"{dims + 2} with {len(self)} rows, one for each; got shape "
                f"{tuple(x.shape)}"
            )
        return False

    def _split(self) -> int:
        """Number of blocks up to a generator's features."""
        if not isinstance(self._nets[0], Generator):
            raise TypeError(
                f"only generators have features, and this is a bank of "
                f"{type(self._nets[0]).__name__}"
            )
        return min(2, len(_blocks(self._nets[0])) - 1)

    def _cut(self, start: int = 0, stop: int | None = None) -> list[Stage]:
        """The blocks between two positions, joined to stages of one owner."""
        if (start, stop) not in self._stages:
            rows = [_blocks(net) for net in self._nets]
            positions = range(len(rows[0]))
            owned = {"own_first": positions[:1], "own_last": positions[-1:]}
            owned_here = owned.get(self.policy, positions)
            stages = []
            for own, run in groupby(positions[start:stop], owned_here.__contains__):
                places = list(run)
                holders = rows if own else rows[:1]
                stages.append(
                    Stage(own, [_join([row[i] for i in places]) for row in holders])
                )
            self._stages[start, stop] = stages
        return self._stages[start, stop]

    def _run(self, stages: list[Stage], x: Tensor, shared: bool) -> Tensor:
        for stage in stages:
            if stage.own:
                x = self._run_each(stage, x, shared)
                shared = False
            elif shared:
                x = stage.parts[0](x)
            else:
                x = stage.parts[0](x.flatten(0, 1)).unflatten(0, (len(self), -1))
        return x.expand(len(self), *x.shape) if shared else x

    def _run_each(self, stage: Stage, x: Tensor, shared: bool) -> Tensor:
        k = len(self)
        if stage.plan and k > 1 and _is_small(stage, x if shared else x[0]):
            if shared and not stage.reads_shared:
                x, shared = x.expand(k, *x.shape), False
            return unfold(fold_forward(stage.plan, x if shared else fold(x)), k)
        parts: Sequence[nn.Module] = stage.parts
        inputs: Sequence[Tensor] = [x] * k if shared else list(x)
        if stage.rests and shared and x.device.type == "cpu":
            parts, inputs = stage.rests, convolve_images(stage.firsts, x)
        networks = zip(parts, inputs, strict=True)
        return torch.stack([part(own) for part, own in networks])

    def _pick(self, stages: list[Stage], x: Tensor, source: Tensor) -> Tensor:
        if self.training:
            raise RuntimeError("pick is for evaluation mode: call eval() before it")
        if source.shape != x.shape[:1]:
            raise ValueError(
                f"one source an input is needed: got {tuple(source.shape)} sources for "
                f"inputs of shape {tuple(x.shape)}"
            )
        order = source.argsort()
        chosen, sizes = (
            s.tolist() for s in source[order].unique_consecutive(return_counts=True)
        )
        if chosen and not 0 <= chosen[0] <= chosen[-1] < len(self):
            raise ValueError(f"sources must be from 0 to {len(self) - 1}")
        x = x[order]
        for stage in stages:
            if stage.own:
                rows = zip(chosen, x.split(sizes), strict=True)
                x = torch.cat([stage.parts[k](row) for k, row in rows])
            else:
                x = stage.parts[0](x)
        return x[order.argsort()]


def _blocks(net: nn.Module) -> list[nn.Module]:
    """What a network applies one after another, a generator's trunk block by block."""
    if isinstance(net, Generator):
        return [net.first, *net.trunk, net.last]
    return list(net) if is_sequence(net) else [net]


def _join(blocks: Sequence[nn.Module]) -> nn.Module:
    return blocks[0] if len(blocks) == 1 else nn.Sequential(*blocks)


def _is_small(stage: Stage, x: Tensor) -> bool:
    """Whether K parts that read x are faster as one than one after another."""
    if stage.work_per_input is None:
        stage.work_per_input = work(copy.deepcopy(stage.parts[0]), x[:1])
    # To bring the weights together costs about as much as 32 inputs of a linear layer.
    total = len(x) * stage.work_per_input + 32 * stage.parameters
    return total < FOLD_BELOW.get(x.device.type, (0, 0))[stage.convolutional]


def _make(
    networks: Callable[[], nn.Module] | Sequence[nn.Module], count: int | None
) -> list[nn.Module]:
    """K networks of one architecture, or a ValueError."""
    if isinstance(networks, Sequence | nn.ModuleList):
        nets = [copy.deepcopy(net) for net in networks]
        count = len(nets) if count is None else count
        if count != len(nets):
            raise ValueError(f"count={count}, but {len(nets)} networks were given")
    else:
        nets = [networks() for _ in range(count or 0)]
    if not nets:
        raise ValueError(f"a bank holds one network or more, got count={count}")
    if len(set(nets)) < len(nets):
        raise ValueError("the function must make a new network at each call")
    for k, net in enumerate(nets):
        # The text of a module names its layers and their settings.
        if repr(net) != repr(nets[0]) or _shapes(net) != _shapes(nets[0]):
            raise ValueError(
                f"networks of a bank must have one architecture, but network {k} "
                f"differs from network 0:\n{net}\nagainst\n{nets[0]}"
            )
    return nets


def sample_dims(net: nn.Module) -> int:
    """Number of axes of one input, without the batch's.

    Raises:
        ValueError: if the network does not tell.
    """
    if hasattr(net, "latent_size"):
        return 1
    if isinstance(shape := getattr(net, "shape", None), Sequence):
        return len(shape)
    for layer in net.modules():
        if isinstance(layer, nn.Linear):
            return 1
        if isinstance(layer, CONVOLUTIONS):
            return 3
    raise ValueError(
        f"cannot tell what a {type(net).__name__} reads: give it an attribute `shape`, "
        "the shape of one input, or `latent_size`"
    )


def work(part: nn.Module, x: Tensor) -> int:
    """Multiply-adds of the linear and convolutional layers in one forward pass.

    A linear layer's outputs count as 80 more each: for narrow layers it is the memory
    that takes the time.
    """
    total = 0

    def add(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Linear):
            total += output.numel() * (layer.in_features + 80)
        elif isinstance(layer, nn.Conv2d):
            total += layer.weight.numel() * output[:, 0].numel()
        elif isinstance(layer, nn.ConvTranspose2d):
            total += layer.weight.numel() * inputs[0][:, 0].numel()

    for layer in part.modules():
        layer.register_forward_hook(add)
    with torch.no_grad():
        part.eval()(x)
    return total


def _shapes(net: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in net.state_dict().items()}
