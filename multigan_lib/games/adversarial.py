"""Games in which one or several discriminators tell real from generated samples."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from .. import nets
from ..datasets import Batch
from ..losses import adversarial, aggregate
from .game import Fake, Game, Losses, evaluating

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
AGGREGATES = {
    rule.__name__: rule
    for rule in (aggregate.mean, aggregate.maximum, aggregate.minimum)
}


class AdversarialGame(Game):
    """What all games with real-or-generated discriminators have in common.

    A subclass builds `generator` and `latent_size` and says how fakes are drawn; the
    losses here are those of a game without further terms.

    Args:
        data: the data set, or anything else that tells its shape.
        loss: ``"minimax"`` (Goodfellow et al., 2014, eq. 1), ``"nonsaturating"``
            (their section 3), ``"least_squares"`` (Mao et al., 2017), ``"hinge"``
            (Lim and Ye, 2017) or ``"wasserstein"`` (Gulrajani et al., 2017).
        penalty: weight of the gradient penalty; by default 10 for ``"wasserstein"``
            and 0 for the other losses.
        discriminators: number N of discriminators, each with its own weights.
        aggregate: how the generator's losses against them become one: ``"mean"``,
            ``"maximum"`` (the harshest) or ``"minimum"`` (the most lenient). What the
            discriminators themselves minimise is always the mean of their losses.

    Raises:
        ValueError: if a name is unknown or a number out of range.
    """

    def __init__(
        self,
        data: Any,
        loss: str,
        penalty: float | None,
        discriminators: int,
        aggregate: str,
    ) -> None:
        super().__init__(data)
        self.loss = choice("loss", loss, LOSSES)
        self.aggregate = choice("aggregate", aggregate, AGGREGATES)
        self.discriminators = at_least("discriminators", discriminators, 1)
        if penalty is None:
            penalty = 10.0 if loss == "wasserstein" else 0.0
        self.penalty = at_least("penalty", penalty, 0)
        self.latent_size: int

    def build_discriminator(
        self, own: nn.Module | None, width: int | None, outputs: int = 1
    ) -> nn.Module:
        """Return the discriminator's side: one network, or a bank of N.

        Raises:
            ValueError: if ``own`` is not a bank of N, where N > 1.
        """
        if own is not None:
            if self.discriminators > 1 and (
                not isinstance(own, nets.Bank) or len(own) != self.discriminators
            ):
                raise ValueError(
                    f"for discriminators={self.discriminators} pass a nets.Bank of as "
                    f"many networks, not a {type(own).__name__}"
                )
            return own

        # A penalty on each sample's gradient needs a critic that does not mix
        # samples, so no batch norm (Gulrajani et al., 2017, section 4).
        norm = "layer" if self.penalty else None

        def make() -> nn.Module:
            return nets.discriminator_for(self.shape, width, outputs, norm)

        if self.discriminators == 1:
            return make()
        return nets.Bank(make, self.discriminators)

    def opinions(self, x: Tensor) -> Tensor:
        """Return every discriminator's output, (N, n) or (N, n, outputs)."""
        output = self.discriminator(x)
        return output if self.discriminators > 1 else output[None]

    def logit(self, opinions: Tensor) -> Tensor:
        """Return the real-or-generated part of the discriminators' outputs, (N, n)."""
        return opinions

    def discriminator_terms(
        self, real: Batch, fake: Fake, of_real: Tensor, of_fake: Tensor
    ) -> dict[str, Tensor]:
        """Return the adversarial term and, where asked, the gradient penalty.

        Args:
            real, fake: the samples.
            of_real, of_fake: the discriminators' opinions of them.
        """
        loss = LOSSES[self.loss]
        pairs = zip(self.logit(of_real), self.logit(of_fake), strict=True)
        terms = {"adversarial": torch.stack([loss(r, f) for r, f in pairs]).mean()}
        if self.penalty:
            terms["penalty"] = self.penalty * self._gradient_penalty(real.x, fake.x)
        return terms

    def generator_terms(self, of_fake: Tensor) -> dict[str, Tensor]:
        """Return the generator's losses against all discriminators, aggregated."""
        loss = LOSSES[self.loss]
        losses = torch.stack([loss(logits) for logits in self.logit(of_fake)])
        return {"adversarial": AGGREGATES[self.aggregate](losses)}

    def discriminator_loss(self, real: Batch, fake: Fake) -> Losses:
        """Return the discriminators' mean loss and, where asked, the penalty."""
        # Real and generated samples are separate batches for batch norm.
        opinions = self.opinions(real.x), self.opinions(fake.x)
        return Losses(**self.discriminator_terms(real, fake, *opinions))

    def generator_loss(self, real: Batch, fake: Fake) -> Losses:
        """Return the generator's aggregated loss; ``real`` is not needed here."""
        return Losses(**self.generator_terms(self.opinions(fake.x)))

    @torch.no_grad()
    def realness(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the mean of the discriminators' logits, (n,).

        See :meth:`Game.realness`. The optimal output is log(p/q) for minimax and
        non-saturating losses, p/(p + q) for least squares, whose logit is taken, and
        the sign of p - q for the hinge loss.
        """
        if self.loss == "wasserstein":
            raise ValueError(
                "a Wasserstein critic has no threshold between real and generated; "
                "use a game with another loss as judge"
            )
        with evaluating(self):
            logit = self.logit(self.opinions(x.to(self.device)))
        return (logit.logit(eps=1e-6) if self.loss == "least_squares" else logit).mean(
            0
        )

    def _gradient_penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        # Fakes may be more than reals, and stand in the order of their generators.
        n = min(len(real), len(fake))
        if len(fake) > n:
            fake = fake[torch.randperm(len(fake), device=fake.device)[:n]]
        side = self.discriminator
        critics = list(side.own) if isinstance(side, nets.Bank) else [side]

        def penalty(critic: nn.Module) -> Tensor:
            return adversarial.gradient_penalty(
                lambda x: self.logit(critic(x)[None]), real[:n], fake
            )

        return torch.stack([penalty(critic) for critic in critics]).mean()


def choice(name: str, value: str, choices: Any) -> str:
    """Return ``value`` if it is one of ``choices``; else raise a ValueError."""
    if value not in choices:
        raise ValueError(
            f"unknown {name} {value!r}; choose one of {', '.join(choices)}"
        )
    return value


def at_least(name: str, value: Any, least: float) -> Any:
    """Return the number ``value`` if it is ``least`` or more; else raise a ValueError.

    Neither NaN nor infinity is accepted; where ``least`` is above 0, nor is a fraction.
    """
    if isinstance(value, bool) or not least <= value < math.inf:
        raise ValueError(f"{name} must be {least} or more, got {value}")
    if least > 0 and value != int(value):
        raise ValueError(f"{name} must be a whole number, got {value}")
    return value


def latent_size_of(generator: nn.Module, given: int | None) -> int:
    """Return the length of z: ``given``, or what the generator says.

    Raises:
        ValueError: if neither is there.
    """
    size = given or getattr(generator, "latent_size", None)
    if size is None:
        raise ValueError(
            "your generator has no attribute latent_size; give it one, or pass "
            "latent_size=..."
        )
    return size
