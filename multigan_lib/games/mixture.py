"""Games of K generators, of which the model draws each equally often."""

from typing import Any

import torch
from torch import Tensor, nn

from .. import nets
from ..datasets import Batch
from .adversarial import (
    AdversarialGame,
    Aggregate,
    Discriminators,
    at_least,
    latent_size_of,
)
from .game import Fake, Samples, seeded


class MixtureGame(AdversarialGame):
    """What the games of an equal mixture of K generators have in common.

    Args:
        data, loss, penalty, discriminators, aggregate, lam: see
            :class:`AdversarialGame`.
        generators: number K of generators.
        outputs: numbers a discriminator gives for one sample.
        policy: what each generator owns, see ``nets.Bank``.
        shared_noise: whether one z goes to all generators, or one to each.
        per_generator: fakes of each generator in a training step; by default about as
            many fakes in all as there are real samples, and at least 2.
        offset: whether the batch norms of the generators' trunk learn an offset.
        latent_size, width: of the default networks.
        generator: a ``nets.Bank`` of K generators of your own.
        discriminator: of your own, samples -> (n, outputs), as for ``GAN``.
        seed: seed of the initial weights.
    """

    def __init__(
        self,
        data: Any,
        *,
        generators: int,
        outputs: int,
        policy: str,
        shared_noise: bool,
        per_generator: int | None,
        offset: bool,
        loss: str,
        latent_size: int | None,
        width: int | None,
        generator: nets.Bank | None,
        discriminator: Discriminators,
        discriminators: int,
        aggregate: Aggregate,
        lam: float,
        penalty: float | None,
        seed: int,
    ) -> None:
        super().__init__(data, loss, penalty, discriminators, aggregate, lam)
        self.generators = generators
        self.shared_noise = shared_noise
        if per_generator is not None:
            at_least("per_generator", per_generator, 1)
        self.per_generator = per_generator
        with seeded(seed):
            generator = generator or nets.Bank(
                lambda: nets.generator_for(self.shape, latent_size, width, offset),
                generators,
                policy,
            )
            check_bank(generator, generators)
            self.take_sides(generator, discriminator, width, outputs)
        self.latent_size = latent_size_of(self.generator, latent_size)

    def draw(self, real: Batch) -> Fake:
        """Return equally many fakes of every generator, in the generators' order."""
        k = self.generators
        each = self.per_generator or equal_share(len(real.x), k)
        z = self.noise(each if self.shared_noise else k * each, self.latent_size)
        x = self.generator(z if self.shared_noise else z.unflatten(0, (k, each)))
        source = torch.arange(k, device=x.device).repeat_interleave(each)
        return Fake(x.flatten(0, 1), source)

    def generate(
        self,
        generator: nn.Module,
        n: int,
        labels: Tensor | None,
        source: Tensor | None,
    ) -> Samples:
        """Return ``n`` samples, each of a random generator where none is asked for."""
        self.refuse_labels(labels)
        if source is None:
            source = torch.randint(self.generators, (n,), device=self.device)
        assert isinstance(generator, nets.Bank)
        x = generator.pick(self.noise(n, self.latent_size), source)
        return Samples(x, source)


def equal_share(n: int, generators: int) -> int:
    """Fakes of each generator that make about n in all; 2 at least, for batch norm."""
    return max(2, -(-n // generators))


def check_bank(generator: nn.Module, count: int) -> None:
    """Raise a ValueError if the generators of your own are not a bank of ``count``."""
    if not isinstance(generator, nets.Bank) or len(generator) != count:
        raise ValueError(
            f"generators of your own come as a nets.Bank of {count}, got a "
            f"{type(generator).__name__}"
            + (f" of {len(generator)}" if isinstance(generator, nets.Bank) else "")
        )
