"""The contract of a game: two sides that ``train`` updates in turn."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ..datasets import Batch, spec_of


class Losses(dict[str, Tensor]):
    """Named terms of a loss, already weighted, and their sum under ``"total"``.

    >>> losses = Losses(adversarial=torch.tensor(0.7), penalty=torch.tensor(0.1))
    >>> round(losses.total.item(), 4)
    0.8
    """

    def __init__(self, **terms: Tensor) -> None:
        super().__init__(**terms, total=torch.stack([*terms.values()]).sum())

    @property
    def total(self) -> Tensor:
        """The scalar that the player's optimizer minimises."""
        return self["total"]


@dataclass(frozen=True)
class Fake:
    """What :meth:`Game.draw` hands to the losses, with its graph.

    Attributes:
        x: generated batch, (n, C, H, W) in [-1, 1] or (n, 2).
        source: index of the generator of each sample, (n,) int64.
        labels: classes that the samples were conditioned on, (n,) int64, or None.
    """

    x: Tensor
    source: Tensor
    labels: Tensor | None = None


@dataclass(frozen=True)
class Samples:
    """What :meth:`Game.sample` returns: finished samples, without a graph.

    Attributes:
        x: samples, (n, C, H, W) in [-1, 1] or (n, 2).
        source: index of the generator of each sample, (n,) int64.
        labels: classes that the samples were conditioned on, (n,) int64, or None.
    """

    x: Tensor
    source: Tensor
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)


class Game(nn.Module):
    """Base of every game.

    A game has two sides, ``generator`` and ``discriminator``: all that each of the two
    alternating steps updates. A subclass builds both inside ``with seeded(seed):`` and
    says how fakes are drawn (:meth:`draw`), what each side minimises
    (:meth:`discriminator_loss`, :meth:`generator_loss`), how one batch is sampled
    (:meth:`generate`) and how real a sample looks (:meth:`realness`).

    Attributes:
        spec: shape and number of classes of the data.
        arguments: what the constructor was called with apart from the data, defaults
            included; a checkpoint keeps them, so that ``load`` can build the game.
        step: number of training steps made, a buffer that ``train`` advances.
        average: exponential moving average of the generator, or None.
        conditional: whether samples have a class that one can ask for.
    """

    generator: nn.Module
    discriminator: nn.Module
    average: nn.Module | None
    step: Tensor
    arguments: dict[str, Any]
    conditional: ClassVar[bool] = False
    __signature__: ClassVar[inspect.Signature]

    def __init_subclass__(cls) -> None:
        # The arguments to be told are those of __init__, not of __new__.
        own = inspect.signature(cls.__init__)
        cls.__signature__ = own.replace(parameters=[*own.parameters.values()][1:])

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        game = super().__new__(cls)
        signature = inspect.signature(cls.__init__)
        bound = signature.bind_partial(game, *args, **kwargs)
        bound.apply_defaults()
        del bound.arguments["self"]
        bound.arguments.pop("data", None)
        game.arguments = dict(bound.arguments)
        return game

    def __init__(self, data: Any) -> None:
        super().__init__()
        self.spec = spec_of(data)
        self.average = None
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample: (C, H, W) for images, (2,) for points."""
        return self.spec.shape

    @property
    def device(self) -> torch.device:
        """The device that the game's weights are on."""
        return self.step.device

    def draw(self, real: Batch) -> Fake:
        """Return the fakes of one training step against the batch ``real``."""
        raise NotImplementedError

    def discriminator_loss(self, real: Batch, fake: Fake) -> Losses:
        """Return what the discriminator's side minimises; ``fake`` has no graph."""
        raise NotImplementedError

    def generator_loss(self, real: Batch, fake: Fake) -> Losses:
        """Return what the generator's side minimises."""
        raise NotImplementedError

    def opinions(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return what the discriminator's side says of samples and their labels."""
        return self.discriminator(x)

    def generate(
        self,
        generator: nn.Module,
        n: int,
        labels: Tensor | None,
        source: Tensor | None,
    ) -> Samples:
        """Return ``n`` samples of ``generator``, the trained side or its average."""
        raise NotImplementedError

    def realness(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return a logit per sample: how much likelier it is real than generated.

        Args:
            x: samples on the game's device, (n, C, H, W) in [-1, 1] or (n, 2).
            labels: classes, (n,), for a conditional game.

        Returns:
            (n,), 0 where real and generated are equally likely under equal priors.

        Raises:
            ValueError: if the discriminator is a critic without a threshold.
        """
        raise NotImplementedError

    @torch.no_grad()
    def sample(
        self,
        n: int,
        labels: int | Tensor | None = None,
        source: int | Tensor | None = None,
        seed: int | None = None,
    ) -> Samples:
        """Draw samples in evaluation mode, with averaged weights where they are kept.

        Args:
            n: number of samples.
            labels: class to condition on, one for all samples or (n,); only for
                conditional games, where it is random by default.
            source: generator to use for all samples, or for each, (n,); by default the
                game's own mixture.
            seed: makes the draw repeatable and leaves the global generator alone.

        Returns:
            ``n`` samples on the game's device.

        Raises:
            ValueError: if ``n`` is below 1, or ``labels`` or ``source`` do not fit.
        """
        if n < 1:
            raise ValueError(f"the number of samples must be at least 1, got {n}")
        source = self._one_each("source", source, n)
        labels = self._one_each("labels", labels, n)
        generator = self.generator if self.average is None else self.average
        parts = []
        with evaluating(self), seeded(seed, self.device):
            for i in range(0, n, 512):
                part = slice(i, min(i + 512, n))
                parts.append(
                    self.generate(
                        generator,
                        part.stop - part.start,
                        None if labels is None else labels[part],
                        None if source is None else source[part],
                    )
                )
        return Samples(
            torch.cat([part.x for part in parts]),
            torch.cat([part.source for part in parts]),
            None
            if parts[0].labels is None
            else torch.cat([part.labels for part in parts if part.labels is not None]),
        )

    def _one_each(self, name: str, value: Any, n: int) -> Tensor | None:
        """Return a whole number for each of n samples, given one for all or each."""
        if value is None:
            return None
        try:
            values = torch.as_tensor(value, device=self.device)
        except (TypeError, ValueError, RuntimeError):
            raise ValueError(f"{name} must be whole numbers, got {value!r}") from None
        whole = not values.is_floating_point() and values.dtype != torch.bool
        if not whole or values.shape not in ((), (n,)):
            raise ValueError(
                f"{name} must be one whole number, or one for each of {n} samples; got "
                f"{values.dtype} {tuple(values.shape)}"
            )
        return values.expand(n)

    def noise(self, n: int, size: int) -> Tensor:
        """Return standard normal noise, (n, size), on the game's device."""
        return torch.randn(n, size, device=self.device)

    def refuse_labels(self, labels: Tensor | None) -> None:
        """Raise a ValueError if labels are asked of a game without conditions."""
        if labels is not None:
            raise ValueError(
                f"{type(self).__name__} is not conditional: it takes no labels"
            )

    def keep_average(self) -> None:
        """Start to keep an average of the generator, from its present weights."""
        self.average = deepcopy(self.generator).requires_grad_(False)

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """Move the average towards the generator: ``a <- decay a + (1 - decay) g``.

        Batch-norm statistics are averaged with the weights; counters are copied.
        """
        assert self.average is not None, "keep_average() comes first"
        state, target = self.average.state_dict(), self.generator.state_dict()
        floats = [name for name, value in state.items() if value.is_floating_point()]
        get_ema_multi_avg_fn(decay)(
            [state[name] for name in floats], [target[name] for name in floats], 0
        )
        for name in state.keys() - set(floats):
            state[name].copy_(target[name])


@contextmanager
def seeded(
    seed: int | None, device: torch.device | str | None = None
) -> Iterator[None]:
    """Run a block from a seed, and give the global generators their state back.

    Args:
        seed: the seed; with None the block uses the global generators as they are.
        device: the accelerator whose generator is to be kept too.
    """
    if seed is None:
        yield
        return
    device = torch.device(device or "cpu")
    accelerators = [] if device.type == "cpu" else [device.index or 0]
    kind = "cuda" if device.type == "cpu" else device.type
    with torch.random.fork_rng(accelerators, device_type=kind):
        torch.manual_seed(seed)
        yield


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Run a block with ``module`` in evaluation mode, then restore each part's mode."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
