"""MAD-GAN: a discriminator that names the generator (Ghosh et al., CVPR 2018)."""

import math
from typing import Any

import torch
from torch import Tensor

from .. import nets
from ..datasets import Batch
from ..losses import diversity
from .adversarial import Aggregate, Discriminators, at_least, choice
from .game import Fake, Losses
from .mixture import MixtureGame


class MADGAN(MixtureGame):
    """K generators against a discriminator with K+1 outputs.

    The discriminator minimises the cross-entropy over the source of a sample: output k
    stands for generator k, the last output for real data (Ghosh et al., Multi-agent
    diverse GANs, 2018, eq. 3). The generators see its last output only.

    Args:
        data: the data set, or anything else that tells its shape, as for ``GAN``.
        generators: K ≥ 1.
        policy: what each generator owns: ``"own_last"`` (one body, as in the thesis of
            Reinhart, 2025), ``"own_all"`` or ``"own_first"``.
        real_weight: what real data count in the cross-entropy where one generator
            counts 1. 1 as in the theorem, where the discriminator's last output is
            1/(K+1) at the optimum; ``generators`` makes that 1/2, the thesis's
            weighting.
        loss: what the generators minimise: ``"nonsaturating"``, -log D_real, as the
            official code, or ``"minimax"``, log(1 - D_real), as in the theorem.
        shared_noise: whether one z goes to all generators, as in the official code, or
            an independent one to each.
        per_generator: fakes of each generator in a training step; by default about as
            many fakes in all as there are real samples.
        discriminators, aggregate, lam: see :class:`AdversarialGame`.
        latent_size, width: of the default networks.
        generator: a ``nets.Bank`` of K generators of your own.
        discriminator: of your own, samples -> (n, K+1), as for ``GAN``.
        seed: seed of the initial weights.

    Raises:
        ValueError: if a name is unknown or a number out of range.
    """

    def __init__(
        self,
        data: Any,
        *,
        generators: int = 3,
        policy: str = "own_last",
        real_weight: float = 1.0,
        loss: str = "nonsaturating",
        shared_noise: bool = True,
        per_generator: int | None = None,
        latent_size: int | None = None,
        width: int | None = None,
        generator: nets.Bank | None = None,
        discriminator: Discriminators = None,
        discriminators: int = 1,
        aggregate: Aggregate = "mean",
        lam: float = 1.0,
        seed: int = 0,
    ) -> None:
        at_least("generators", generators, 1)
        super().__init__(
            data,
            generators=generators,
            outputs=generators + 1,
            policy=policy,
            shared_noise=shared_noise,
            per_generator=per_generator,
            offset=True,
            loss=choice("loss", loss, ("nonsaturating", "minimax")),
            latent_size=latent_size,
            width=width,
            generator=generator,
            discriminator=discriminator,
            discriminators=discriminators,
            aggregate=aggregate,
            lam=lam,
            penalty=0.0,
            seed=seed,
        )
        if not 0 < real_weight < math.inf:
            raise ValueError(f"real_weight must be above 0, got {real_weight}")
        self.real_weight = real_weight

    def logit(self, opinions: Tensor) -> Tensor:
        """Return log D_real / (1 - D_real), (N, n)."""
        return opinions[..., -1] - opinions[..., :-1].logsumexp(-1)

    def discriminator_loss(self, real: Batch, fake: Fake) -> Losses:
        """Return the cross-entropy over the sources, mean over the discriminators."""
        pairs = zip(self.opinions(real.x), self.opinions(fake.x), strict=True)
        losses = [
            diversity.source_cross_entropy(r, f, fake.source, self.real_weight)
            for r, f in pairs
        ]
        return Losses(adversarial=torch.stack(losses).mean())

    def realness_each(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the logits of the last outputs, moved to equal priors, (N, n).

        At the optimum D_real / (1 - D_real) = w p_d / (K p_m), with w the real weight.
        """
        shift = math.log(self.generators / self.real_weight)
        return super().realness_each(x, labels) + shift
