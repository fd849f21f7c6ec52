"""The two-player game (Goodfellow et al., 2014) with the usual losses."""

from typing import Any

import torch
from torch import Tensor, nn

from .. import nets
from ..datasets import Batch
from ..losses import adversarial
from .game import Fake, Game, Losses, Samples, evaluating, seeded

LOSSES = {
    loss.__name__: loss
    for loss in (
        adversarial.minimax,
        adversarial.nonsaturating,
        adversarial.least_squares,
        adversarial.hinge,
        adversarial.wasserstein,
    )
}


class GAN(Game):
    """One generator against one discriminator.

    Args:
        data: the data set, or anything else that tells its shape: a point mixture, a
            tensor of samples, a shape such as ``(1, 32, 32)`` or ``(2,)``.
        loss: ``"minimax"`` (Goodfellow et al., 2014, eq. 1), ``"nonsaturating"``
            (their section 3), ``"least_squares"`` (Mao et al., 2017), ``"hinge"``
            (Lim and Ye, 2017) or ``"wasserstein"`` (Gulrajani et al., 2017).
        latent_size: dimension of the noise z ~ N(0, I); by default the generator's.
        width: width of both default networks.
        generator: a network of your own, (n, latent_size) -> samples.
        discriminator: a network of your own, samples -> (n,) logits.
        penalty: weight of the gradient penalty; by default 10 for ``"wasserstein"``
            and 0 for the other losses.
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
        discriminator: nn.Module | None = None,
        penalty: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(data)
        if loss not in LOSSES:
            choices = ", ".join(LOSSES)
            raise ValueError(f"unknown loss {loss!r}; choose one of {choices}")
        critic = loss == "wasserstein"
        self.loss = loss
        self.penalty = (10.0 if critic else 0.0) if penalty is None else penalty
        if self.penalty < 0:
            raise ValueError(f"the penalty must not be negative, got {penalty}")
        with seeded(seed):
            self.generator = generator or nets.generator_for(
                self.shape, latent_size, width=width
            )
            # A penalty on each sample's gradient needs a critic that does not mix
            # samples, so no batch norm (Gulrajani et al., 2017, section 4).
            self.discriminator = discriminator or nets.discriminator_for(
                self.shape, width=width, norm="layer" if self.penalty else None
            )
        size = latent_size or getattr(self.generator, "latent_size", None)
        if size is None:
            raise ValueError(
                "your generator has no attribute latent_size; give it one, or pass "
                "latent_size=..."
            )
        self.latent_size: int = size

    def draw(self, real: Batch) -> Fake:
        """Return as many fakes as there are real samples."""
        n = len(real.x)
        x = self.generator(self.noise(n, self.latent_size))
        return Fake(x, torch.zeros(n, dtype=torch.int64, device=x.device))

    def discriminator_loss(self, real: Batch, fake: Fake) -> Losses:
        """Return the loss's discriminator term and, where asked, the penalty."""
        # Real and generated samples are separate batches for batch norm.
        terms = {
            "adversarial": LOSSES[self.loss](
                self.discriminator(real.x), self.discriminator(fake.x)
            )
        }
        if self.penalty:
            terms["penalty"] = self.penalty * adversarial.gradient_penalty(
                self.discriminator, real.x, fake.x
            )
        return Losses(**terms)

    def generator_loss(self, real: Batch, fake: Fake) -> Losses:
        """Return the loss's generator term; ``real`` is not needed here."""
        return Losses(adversarial=LOSSES[self.loss](self.discriminator(fake.x)))

    def generate(
        self,
        generator: nn.Module,
        n: int,
        labels: Tensor | None,
        source: Tensor | None,
    ) -> Samples:
        """Return ``n`` samples; there is one generator and there are no labels."""
        if labels is not None:
            raise ValueError("a GAN is not conditional: it takes no labels")
        if source is None:
            source = torch.zeros(n, dtype=torch.int64, device=self.device)
        elif source.any():
            raise ValueError("a GAN has one generator, so every source must be 0")
        return Samples(generator(self.noise(n, self.latent_size)), source)

    @torch.no_grad()
    def realness(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the discriminator's logit, (n,); see :meth:`Game.realness`.

        The optimal output is log(p/q) for minimax and non-saturating losses,
        p/(p + q) for least squares, whose logit is taken, and the sign of p - q for
        the hinge loss.
        """
        if self.loss == "wasserstein":
            raise ValueError(
                "a Wasserstein critic has no threshold between real and generated; "
                "use a game with another loss as judge"
            )
        with evaluating(self):
            output = self.discriminator(x.to(self.device))
        return output.logit(eps=1e-6) if self.loss == "least_squares" else output
