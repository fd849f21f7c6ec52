"""cMADGAN: K generators of a class that are to differ (Reinhart, 2025)."""

from typing import Any

import torch
from torch import Tensor

from .. import nets
from ..datasets import Batch
from ..losses import diversity as diversities
from .adversarial import (
    CROSS_ENTROPIES,
    Aggregate,
    Discriminators,
    at_least,
    choice,
)
from .conditional import ConditionalGame
from .game import Fake, Losses, evaluating, seeded
from .mixture import check_bank

SIGNS = {"corrected": 1.0, "printed": -1.0}


class CMADGAN(ConditionalGame):
    """K independent generators, which get the same z and label, against one judge.

    The discriminator tells real from generated samples of a class. Every generator
    minimises the adversarial loss, and all together λ times the mean cosine similarity
    of their images for the same z and label (Reinhart, 2025, eqs. 14-18).

    Args:
        data: a data set with labels, as for ``CGAN``.
        generators: K ≥ 2.
        diversity: λ ≥ 0, the weight of the similarity.
        sign: ``"corrected"`` adds λ times the similarity to what the generators
            minimise, as the thesis's code does; ``"printed"`` subtracts it, as its
            eq. 15 says, which makes the generators alike.
        centred: whether the mean image of the real batch is subtracted before the
            cosine. In [-1, 1] images are alike by their background already.
        per_generator: fakes of each generator in a training step; by default as many as
            there are real samples, as in the thesis's code. Batch norm sees one
            generator's at a time, so that a few of each are too few.
        condition, label_size, loss, latent_size, width: as for ``CGAN``.
        targets: what the discriminator is trained to say of real and of generated
            samples; by default (0.9, 0.1), label smoothing, where the loss is a
            cross-entropy.
        generator: a ``nets.Bank`` of K generators of your own,
            (n, latent_size + label_size) -> samples.
        discriminator: of your own, as for ``CGAN``.
        discriminators, aggregate, lam: see :class:`AdversarialGame`.
        seed: seed of the initial weights.

    Raises:
        ValueError: if the data have no classes, a name is unknown, or a number out of
            range.
    """

    def __init__(
        self,
        data: Any,
        *,
        generators: int = 3,
        diversity: float = 0.3,
        sign: str = "corrected",
        centred: bool = False,
        per_generator: int | None = None,
        condition: str = "channel",
        label_size: int = 10,
        loss: str = "nonsaturating",
        targets: tuple[float, float] | str | None = None,
        latent_size: int | None = None,
        width: int | None = None,
        generator: nets.Bank | None = None,
        discriminator: Discriminators = None,
        discriminators: int = 1,
        aggregate: Aggregate = "mean",
        lam: float = 1.0,
        seed: int = 0,
    ) -> None:
        if targets is None:
            targets = (0.9, 0.1) if loss in CROSS_ENTROPIES else (1.0, 0.0)
        super().__init__(
            data,
            at_least("generators", generators, 2),
            condition,
            label_size,
            loss,
            discriminators,
            aggregate,
            lam,
            targets,
        )
        self.diversity = at_least("diversity", diversity, 0)
        self.sign = choice("sign", sign, SIGNS)
        self.centred = centred
        if per_generator is not None:
            at_least("per_generator", per_generator, 1)
        self.per_generator = per_generator
        with seeded(seed):
            bank = generator or nets.Bank(
                lambda: self.usual_generator(latent_size, width), generators
            )
            check_bank(bank, generators)
            self.take_labelled_sides(bank, discriminator, latent_size, width)

    def draw(self, real: Batch) -> Fake:
        """Return equally many fakes of every generator, in the generators' order.

        Fake i of every generator has the same z and label, which is a real sample's.
        """
        k = self.generators
        labels = self.labels_of(real)
        each = self.per_generator or len(labels)
        labels = labels[torch.arange(each, device=labels.device) % len(labels)]
        x = self.generator(self.noise(each, self.latent_size), labels)
        source = torch.arange(k, device=x.device).repeat_interleave(each)
        return Fake(x.flatten(0, 1), source, labels.repeat(k))

    def generator_loss(self, real: Batch, fake: Fake) -> Losses:
        """Return the adversarial loss of all fakes, and the weighted similarity."""
        terms = self.generator_terms(self.opinions(fake.x, fake.labels))
        images = fake.x.unflatten(0, (self.generators, -1))
        centre = real.x.mean(0) if self.centred else None
        similarity = diversities.cosine_similarity(images, centre)
        weight = SIGNS[self.sign] * self.diversity
        return Losses(**terms, similarity=weight * similarity)

    @torch.no_grad()
    def similarity(
        self,
        n: int = 256,
        labels: Tensor | None = None,
        centre: Tensor | None = None,
        seed: int = 0,
    ) -> float:
        """Return how alike the generators' samples of the same z and label are.

        Args:
            n: number of pairs of z and label.
            labels: classes, (n,); by default random ones.
            centre: a sample to subtract first, such as the mean of the data.
            seed: of z and labels.

        Returns:
            Mean cosine over the pairs of generators, in [-1/(K-1), 1].
        """
        side = self.generator if self.average is None else self.average
        with evaluating(self), seeded(seed, self.device):
            if labels is None:
                labels = torch.randint(self.spec.classes, (n,), device=self.device)
            x = side(self.noise(n, self.latent_size), self.known(labels, n))
        return diversities.cosine_similarity(x, centre).item()
