"""MGAN: K generators told apart by a classifier (Hoang et al., 2017 and ICLR 2018)."""

from typing import Any

import torch
from torch import Tensor

from .. import nets
from ..datasets import Batch
from ..losses import diversity
from .adversarial import Aggregate, Discriminators, at_least, choice
from .game import Fake, Losses
from .mixture import MixtureGame

DIVERGENCES = {
    "general": diversity.general_jsd,
    "one_vs_all": diversity.one_vs_all_jsd,
    "pairwise": diversity.pairwise_jsd,
}
MOST_PAIRS = 1000
"""Pairwise heads that are still built: K = 45 generators need 990."""


class MGAN(MixtureGame):
    """K generators, a discriminator and a classifier of the generators' samples.

    The generators minimise the adversarial loss plus β times the diversity term, which
    the classifier minimises too; discriminator and classifier share all layers but the
    last, whose output 0 is the discriminator's logit and whose others are the
    classifier's (Hoang et al., Multi-generator GANs, 2017, eqs. 2-4).

    Args:
        data: the data set, or anything else that tells its shape, as for ``GAN``.
        generators: K ≥ 2.
        beta: weight β ≥ 0 of the diversity term. It is not equally strong in the three
            forms: the term's largest value is log K, 2K log 2 and K(K-1) log 2.
        divergence: ``"general"`` (one K-way classifier, eq. 2), ``"one_vs_all"`` (K
            binary heads, eq. 3) or ``"pairwise"`` (K(K-1)/2 binary heads, eq. 4).
        classifier_weight: weight of the classifier's own loss beside the
            discriminator's. 1 as in the official code; ``beta`` for the paper's eq. 2.
        shared_noise: whether one z goes to all generators, as in the official code, or
            an independent one to each.
        offset: False fixes the offsets of the trunk's batch norms at zero (section
            5.2).
        per_generator: fakes of each generator in a training step; by default about as
            many fakes in all as there are real samples. The official code takes 12 to
            64 real samples, with K = 10.
        policy: what each generator owns: ``"own_first"`` as in the paper,
            ``"own_last"`` or ``"own_all"``.
        loss, penalty, discriminators, aggregate, lam: see :class:`AdversarialGame`. Of
            several discriminators each has its own classifier, whose diversity terms
            are averaged.
        latent_size, width: of the default networks.
        generator: a ``nets.Bank`` of K generators of your own.
        discriminator: of your own, samples -> (n, 1 + heads), as for ``GAN``.
        seed: seed of the initial weights.

    Raises:
        ValueError: if a name is unknown, a number out of range, or K so large that
            there would be more than 1,000 pairs.
    """

    def __init__(
        self,
        data: Any,
        *,
        generators: int = 10,
        beta: float = 0.1,
        divergence: str = "general",
        classifier_weight: float = 1.0,
        shared_noise: bool = True,
        offset: bool = True,
        per_generator: int | None = None,
        policy: str = "own_first",
        loss: str = "nonsaturating",
        latent_size: int | None = None,
        width: int | None = None,
        generator: nets.Bank | None = None,
        discriminator: Discriminators = None,
        discriminators: int = 1,
        aggregate: Aggregate = "mean",
        lam: float = 1.0,
        penalty: float | None = None,
        seed: int = 0,
    ) -> None:
        at_least("generators", generators, 2)
        heads = generators
        if choice("divergence", divergence, DIVERGENCES) == "pairwise":
            heads = generators * (generators - 1) // 2
        if heads > MOST_PAIRS and divergence == "pairwise":
            raise ValueError(
                f"{generators} generators make {heads} pairs, each with a classifier "
                f"of its own; above {MOST_PAIRS} take divergence='general' or "
                "'one_vs_all'"
            )
        super().__init__(
            data,
            generators=generators,
            outputs=1 + heads,
            policy=policy,
            shared_noise=shared_noise,
            per_generator=per_generator,
            offset=offset,
            loss=loss,
            latent_size=latent_size,
            width=width,
            generator=generator,
            discriminator=discriminator,
            discriminators=discriminators,
            aggregate=aggregate,
            lam=lam,
            penalty=penalty,
            seed=seed,
        )
        self.beta = at_least("beta", beta, 0)
        self.classifier_weight = at_least("classifier_weight", classifier_weight, 0)
        self.divergence = divergence

    def logit(self, opinions: Tensor) -> Tensor:
        """Return the discriminators' logits, output 0, (N, n)."""
        return opinions[..., 0]

    def diversity(self, of_fake: Tensor, source: Tensor) -> Tensor:
        """Return the diversity term without its weight, mean over the classifiers."""
        term = DIVERGENCES[self.divergence]
        return torch.stack([term(each[:, 1:], source) for each in of_fake]).mean()

    def discriminator_loss(self, real: Batch, fake: Fake) -> Losses:
        """Return the discriminator's loss and the classifier's, weighted."""
        of_real, of_fake = self.opinions(real.x), self.opinions(fake.x)
        terms = self.discriminator_terms(real, fake, of_real, of_fake)
        diversity = self.classifier_weight * self.diversity(of_fake, fake.source)
        return Losses(**terms, diversity=diversity)

    def generator_loss(self, real: Batch, fake: Fake) -> Losses:
        """Return the generators' adversarial loss and β times the diversity term."""
        of_fake = self.opinions(fake.x)
        diversity = self.beta * self.diversity(of_fake, fake.source)
        return Losses(**self.generator_terms(of_fake), diversity=diversity)
