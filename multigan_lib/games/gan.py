"""The two-player game (Goodfellow et al., 2014) with the usual losses."""

from typing import Any

import torch
from torch import Tensor, nn

from .. import nets
from ..datasets import Batch
from .adversarial import AdversarialGame, Aggregate, Discriminators, latent_size_of
from .game import Fake, Samples, seeded


class GAN(AdversarialGame):
    """One generator against one discriminator, or several.

    Args:
        data: the data set, or anything else that tells its shape: a point mixture, a
            tensor of samples, a shape such as ``(1, 32, 32)`` or ``(2,)``.
        loss: ``"minimax"``, ``"nonsaturating"``, ``"least_squares"``, ``"hinge"`` or
            ``"wasserstein"``; see :class:`AdversarialGame`.
        latent_size: dimension of the noise z ~ N(0, I); by default the generator's.
        width: width of both default networks.
        generator: a network of your own, (n, latent_size) -> samples.
        discriminator: a network of your own, samples -> (n,) logits; for several a
            list, ``nets.Bank`` or ``nets.Ensemble`` of them; or arguments of
            ``nets.discriminators_for``, such as ``{"width": 16}``.
        discriminators, aggregate, lam, penalty, targets: see :class:`AdversarialGame`.
        seed: seed of the initial weights.

    Raises:
        ValueError: if the loss is unknown, the penalty is negative, or there are no
            default networks for the shape.
    """

    def __init__(
        self,
        data: Any,
        *,
        loss: str = "nonsaturating",
        latent_size: int | None = None,
        width: int | None = None,
        generator: nn.Module | None = None,
        discriminator: Discriminators = None,
        discriminators: int = 1,
        aggregate: Aggregate = "mean",
        lam: float = 1.0,
        penalty: float | None = None,
        targets: tuple[float, float] | str = (1.0, 0.0),
        seed: int = 0,
    ) -> None:
        super().__init__(data, loss, penalty, discriminators, aggregate, lam, targets)
        with seeded(seed):
            generator = generator or nets.generator_for(
                self.shape, latent_size, width=width
            )
            self.take_sides(generator, discriminator, width)
        self.latent_size = latent_size_of(self.generator, latent_size)

    def draw(self, real: Batch) -> Fake:
        """Return as many fakes as there are real samples."""
        n = len(real.x)
        x = self.generator(self.noise(n, self.latent_size))
        return Fake(x, torch.zeros(n, dtype=torch.int64, device=x.device))

    def generate(
        self,
        generator: nn.Module,
        n: int,
        labels: Tensor | None,
        source: Tensor | None,
    ) -> Samples:
        """Return ``n`` samples; there is one generator and there are no labels."""
        self.refuse_labels(labels)
        if source is None:
            source = torch.zeros(n, dtype=torch.int64, device=self.device)
        elif source.any():
            raise ValueError("a GAN has one generator, so every source must be 0")
        return Samples(generator(self.noise(n, self.latent_size)), source)
