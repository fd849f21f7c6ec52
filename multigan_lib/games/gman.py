"""GMAN: one generator against several discriminators (Durugkar et al., ICLR 2017)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ..datasets import Batch
from ..losses import boosting
from .adversarial import LOSSES, AdversarialGame, Aggregate, Discriminators
from .game import Fake, Losses
from .gan import GAN


class GMAN(GAN):
    """One generator against N discriminators, whose values become one.

    Each discriminator plays the two-player game with the generator, which minimises
    F(V_1, …, V_N) of its own losses V_i against them: of the generator's term only, as
    in the official code, for the real term does not depend on it (Durugkar et al.,
    Generative multi-adversarial networks, 2017, section 3).

    Args:
        data: the data set, or anything else that tells its shape, as for ``GAN``.
        discriminators: number N of discriminators.
        aggregate: F, by one of the names in :class:`AdversarialGame`, or
            ``"boosting"``: each discriminator is trained where those before it fail,
            and the generator plays against their weighted vote (AdaBoost.OL, see
            ``losses.boosting``).
        lam, penalty, targets: see :class:`AdversarialGame`.
        slices: whether each discriminator sees a part of its own of every batch, of
            real and of generated samples, as in the official code, and not all of it.
            Samples left over by the division are not used in that step.
        loss: see :class:`AdversarialGame`; the official code has both ``"minimax"`` and
            ``"nonsaturating"``.
        latent_size: dimension of the noise; by default the generator's.
        width: width of the default networks.
        generator, discriminator: of your own, as for ``GAN``. Discriminators that
            differ: ``discriminator={"dropout": [0.4, 0.45, 0.5, 0.55, 0.6]}``.
        seed: seed of the initial weights.

    Raises:
        ValueError: if a name is unknown, a number out of range, or boosting is asked
            for with a loss or targets that it is not defined for.
    """

    aggregates = (*AdversarialGame.aggregates, "boosting")
    alpha: Tensor

    def __init__(
        self,
        data: Any,
        *,
        discriminators: int = 5,
        aggregate: Aggregate = "mean",
        lam: float = 1.0,
        slices: bool = False,
        loss: str = "nonsaturating",
        targets: tuple[float, float] | str = (1.0, 0.0),
        penalty: float | None = None,
        latent_size: int | None = None,
        width: int | None = None,
        generator: nn.Module | None = None,
        discriminator: Discriminators = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            data,
            loss=loss,
            latent_size=latent_size,
            width=width,
            generator=generator,
            discriminator=discriminator,
            discriminators=discriminators,
            aggregate=aggregate,
            lam=lam,
            penalty=penalty,
            targets=targets,
            seed=seed,
        )
        self.slices = slices
        self.boosted = aggregate == "boosting"
        plain = self.targets == (1.0, 0.0) and loss in ("minimax", "nonsaturating")
        if self.boosted and not plain:
            raise ValueError(
                "boosting weights a cross-entropy with targets 1 and 0: take "
                "loss='nonsaturating' or 'minimax' and leave out targets"
            )
        if self.boosted:
            self.register_buffer("alpha", torch.zeros(discriminators))

    def discriminator_loss(self, real: Batch, fake: Fake) -> Losses:
        """Return the discriminators' mean loss and, where asked, the penalty."""
        opinions = [self.opinions(self._shown(x)) for x in (real.x, fake.x)]
        return Losses(**self.discriminator_terms(real, fake, *opinions))

    def generator_loss(self, real: Batch, fake: Fake) -> Losses:
        """Return the generator's aggregated loss; ``real`` is not needed here."""
        return Losses(**self.generator_terms(self.opinions(self._shown(fake.x))))

    def discriminator_losses(self, of_real: Tensor, of_fake: Tensor) -> Tensor:
        """Return the loss of every discriminator, (N,); boosted, a weighted one."""
        if not self.boosted:
            return super().discriminator_losses(of_real, of_fake)
        right = torch.cat([of_real, -of_fake], 1)
        margins = (right.detach() / 2).tanh()
        if self.training:
            rate = 4 / (self.step + 1).sqrt()
            self.alpha.copy_(boosting.step(self.alpha, margins, rate))
        weights = boosting.example_weights(margins, self.alpha)
        # Twice: real and generated samples count one each, as in the plain loss.
        return 2 * (weights * softplus(-right)).sum(1) / weights.sum(1)

    def generator_terms(self, of_fake: Tensor) -> dict[str, Tensor]:
        """Return the generator's loss against all discriminators."""
        if not self.boosted:
            return super().generator_terms(of_fake)
        return {"adversarial": LOSSES[self.loss](self._vote(of_fake))}

    def realness(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the mean of the discriminators' logits, or their vote if boosted."""
        logits = self.realness_each(x)
        return self._vote(logits) if self.boosted else logits.mean(0)

    def _vote(self, logits: Tensor) -> Tensor:
        """Sum of the votes 2D - 1 in [-1, 1] of all discriminators, weighted, (n,)."""
        return self.alpha @ (logits / 2).tanh()

    def _shown(self, x: Tensor) -> Tensor:
        """What the discriminators see of a batch: all of it, or a part each (N, …)."""
        if not self.slices or self.discriminators == 1:
            return x
        each = len(x) // self.discriminators
        if each == 0:
            raise ValueError(
                f"{len(x)} samples cannot be divided among {self.discriminators} "
                "discriminators: take a larger batch"
            )
        return x[: each * self.discriminators].unflatten(0, (-1, each))
