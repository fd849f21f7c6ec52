"""cGAN: a generator that is told the class (Mirza and Osindero, 2014)."""

from typing import Any

import torch
from torch import nn

from ..datasets import Batch
from .adversarial import Aggregate, Discriminators
from .conditional import ConditionalGame
from .game import Fake, seeded


class CGAN(ConditionalGame):
    """One generator of noise and a label, against one discriminator, or several.

    Args:
        data: a data set with labels, or anything else that tells its shape and its
            number of classes, such as ``multigan_lib.data.Spec((1, 32, 32), 10)``.
        condition: how a discriminator reads the label, ``"channel"`` or
            ``"projection"``; see :class:`ConditionalGame`.
        label_size: length of the label's embedding, which the generator reads behind z.
        loss: ``"minimax"``, ``"nonsaturating"``, ``"least_squares"`` or ``"hinge"``.
        latent_size: dimension of the noise z ~ N(0, I); by default the generator's.
        width: width of both default networks.
        generator: a network of your own, (n, latent_size + label_size) -> samples.
        discriminator: of your own as for ``GAN``: samples with a channel more -> (n,)
            for ``"channel"``, samples -> (n, 1 + classes) for ``"projection"``.
        discriminators, aggregate, lam, targets: see :class:`AdversarialGame`.
        seed: seed of the initial weights.

    Raises:
        ValueError: if the data have no classes, a name is unknown, or a number out of
            range.
    """

    def __init__(
        self,
        data: Any,
        *,
        condition: str = "channel",
        label_size: int = 10,
        loss: str = "nonsaturating",
        targets: tuple[float, float] | str = (1.0, 0.0),
        latent_size: int | None = None,
        width: int | None = None,
        generator: nn.Module | None = None,
        discriminator: Discriminators = None,
        discriminators: int = 1,
        aggregate: Aggregate = "mean",
        lam: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__(
            data,
            1,
            condition,
            label_size,
            loss,
            discriminators,
            aggregate,
            lam,
            targets,
        )
        with seeded(seed):
            network = generator or self.usual_generator(latent_size, width)
            self.take_labelled_sides(network, discriminator, latent_size, width)

    def draw(self, real: Batch) -> Fake:
        """Return as many fakes as there are real samples, of the same classes."""
        n = len(real.x)
        labels = self.labels_of(real)
        x = self.generator(self.noise(n, self.latent_size), labels)
        return Fake(x, torch.zeros(n, dtype=torch.int64, device=x.device), labels)
