"""Games in which one or several discriminators tell real from generated samples."""

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar, TypeAlias, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

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
Discriminators: TypeAlias = nn.Module | Sequence[nn.Module] | Mapping[str, Any] | None
"""One network or several of the user's own, arguments for the usual ones, or None."""
Aggregate: TypeAlias = str | Callable[[Tensor], Tensor]
"""Name of an aggregate, or a function of the losses (N,)."""
CROSS_ENTROPIES = ("minimax", "nonsaturating")
"""Losses of which the discriminator's is a cross-entropy with targets."""
SIGNED = ("minimax", "nonsaturating", "least_squares")
"""Losses of which a generator's values all have one sign."""
MEANS = {rule.__name__: rule for rule in (aggregate.geometric, aggregate.harmonic)}
"""Means that need values of one sign."""
SOFT = {
    "softmax": aggregate.softmax,
    "softmax_official": aggregate.softmax_official,
    "learnt": aggregate.softmax,
}
"""Aggregates between the mean and the maximum, which have a sharpness λ."""
AGGREGATES = {
    rule.__name__: rule
    for rule in (aggregate.mean, aggregate.maximum, aggregate.minimum)
} | MEANS
REGULATION = 0.001
"""What a generator that learns λ is paid for each unit of it (Durugkar et al., 2017,
section 4)."""
NOISY_TARGETS = (1 - 1 / (15 * math.sqrt(2 * math.pi)), 1 / 6)
"""Expected values of the targets that ``targets="noisy"`` draws."""


class AdversarialGame(Game):
    """What all games with real-or-generated discriminators have in common.

    A subclass builds its generators, hands both sides to :meth:`take_sides` and says
    how fakes are drawn; the losses here are those of a game without further terms.

    Args:
        data: the data set, or anything else that tells its shape.
        loss: ``"minimax"`` (Goodfellow et al., 2014, eq. 1), ``"nonsaturating"``
            (their section 3), ``"least_squares"`` (Mao et al., 2017), ``"hinge"``
            (Lim and Ye, 2017) or ``"wasserstein"`` (Gulrajani et al., 2017).
        penalty: weight of the gradient penalty; by default 10 for ``"wasserstein"``
            and 0 for the other losses.
        discriminators: number N of discriminators, each with its own weights.
        aggregate: how the generator's losses against them become one (Durugkar et al.,
            2017, sections 3-4; see ``losses.aggregate``): ``"mean"``, ``"maximum"``
            (the harshest), ``"minimum"`` (the most lenient), ``"softmax"`` between mean
            and maximum, ``"softmax_official"``, ``"geometric"``, ``"harmonic"``, or
            ``"learnt"``, a softmax whose λ the generator learns; or a function of your
            own of the losses (N,). What the discriminators themselves minimise is
            always the mean of their losses.
        lam: sharpness λ of the softmax: 0 is the mean, a large one the maximum. Where
            λ is learnt, the value it starts from.
        targets: what the discriminators are trained to say of real and of generated
            samples, a pair in [0, 1], or ``"noisy"``: 1 + N(0, 1)/15 but at most 1,
            and U(0, 1/3).

    Raises:
        ValueError: if a name is unknown, a number out of range, or the aggregate or the
            targets are not for this loss.
    """

    aggregates: ClassVar = (*AGGREGATES, *SOFT)

    def __init__(
        self,
        data: Any,
        loss: str,
        penalty: float | None,
        discriminators: int,
        aggregate: Aggregate,
        lam: float,
        targets: tuple[float, float] | str = (1.0, 0.0),
    ) -> None:
        super().__init__(data)
        self.loss = choice("loss", loss, LOSSES)
        if not callable(aggregate):
            choice("aggregate", aggregate, self.aggregates)
        self.aggregate = aggregate
        self.discriminators = at_least("discriminators", discriminators, 1)
        if penalty is None:
            penalty = 10.0 if loss == "wasserstein" else 0.0
        self.penalty = at_least("penalty", penalty, 0)
        if aggregate in MEANS and loss not in SIGNED:
            raise ValueError(
                f"the {aggregate} mean needs losses of one sign, which {loss!r} does "
                f"not give: take loss={' or '.join(map(repr, SIGNED))}"
            )
        if not math.isfinite(lam) or (aggregate == "learnt" and lam <= 0):
            raise ValueError(
                f"lam must be finite, and above 0 where it is learnt; got {lam}"
            )
        self.lam = lam
        self.targets = _check_targets(targets, loss)
        self.latent_size: int

    def take_sides(
        self,
        generator: nn.Module,
        discriminator: Discriminators,
        width: int | None,
        outputs: int = 1,
        shape: tuple[int, ...] | None = None,
    ) -> None:
        """Set both sides of the game.

        Args:
            generator: the generating side.
            discriminator: one network or N of the user's own, as a bank, an ensemble or
                a list; or arguments of ``nets.discriminators_for``; or None.
            width: of discriminators that say nothing else.
            outputs: numbers that a discriminator gives for a sample.
            shape: of what a discriminator reads, where it is not just a sample.

        Raises:
            ValueError: if there are not N networks.
        """
        self.generator = generator
        if self.aggregate == "learnt":
            # It moves in the generator's step, so it belongs to the generator's side.
            raw = torch.tensor(math.log(math.expm1(self.lam)))
            generator.register_parameter("raw_sharpness", nn.Parameter(raw))
        self.discriminator = self._build(
            discriminator, shape or self.shape, width, outputs
        )

    def _build(
        self,
        own: Discriminators,
        shape: tuple[int, ...],
        width: int | None,
        outputs: int,
    ) -> nn.Module:
        """Return the discriminators' side: one network, or N behind one call."""
        count = self.discriminators
        if own is None or isinstance(own, Mapping):
            # A penalty on each sample's gradient needs a critic that does not mix
            # samples, so no batch norm (Gulrajani et al., 2017, section 4).
            norm = "layer" if self.penalty else None
            options = {"width": width, "norm": norm, **(own or {}), "outputs": outputs}
            side = nets.discriminators_for(shape, count, **options)
            return side if count > 1 else side.network(0)
        if isinstance(own, Sequence | nn.ModuleList):
            if len(own) == count:
                return nets.together([*own]) if count > 1 else own[0]
            got = f"{len(own)} networks"
        else:
            if count == 1 or (_is_several(own) and len(own) == count):
                return own
            got = f"a {type(own).__name__}"
            got += f" of {len(own)}" if _is_several(own) else ""
        raise ValueError(
            f"for discriminators={count} pass a list of as many networks, a nets.Bank "
            f"or a nets.Ensemble, not {got}"
        )

    @property
    def sharpness(self) -> Tensor | float:
        """λ of the aggregate: ``lam``, or what the generator has learnt."""
        if self.aggregate == "learnt":
            return softplus(self.generator.get_parameter("raw_sharpness"))
        return self.lam

    def opinions(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return every discriminator's output, (N, n) or (N, n, outputs).

        Only conditional games look at the labels.
        """
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
        terms = {"adversarial": self.discriminator_losses(of_real, of_fake).mean()}
        if self.penalty:
            terms["penalty"] = self.penalty * self._gradient_penalty(real.x, fake.x)
        return terms

    def discriminator_losses(self, of_real: Tensor, of_fake: Tensor) -> Tensor:
        """Return the adversarial loss of every discriminator, (N,)."""
        pairs = zip(self.logit(of_real), self.logit(of_fake), strict=True)
        if self.targets == (1.0, 0.0):
            loss = LOSSES[self.loss]
            return torch.stack([loss(real, fake) for real, fake in pairs])
        return torch.stack(
            [
                adversarial.label_smoothing(real, fake, *self._draw_targets(real, fake))
                for real, fake in pairs
            ]
        )

    def generator_terms(self, of_fake: Tensor) -> dict[str, Tensor]:
        """Return the generator's losses against all discriminators, aggregated."""
        loss = LOSSES[self.loss]
        losses = torch.stack([loss(logits) for logits in self.logit(of_fake)])
        if callable(self.aggregate):
            return {"adversarial": self.aggregate(losses)}
        if self.aggregate not in SOFT:
            return {"adversarial": AGGREGATES[self.aggregate](losses)}
        sharpness = self.sharpness
        terms = {"adversarial": SOFT[self.aggregate](losses, sharpness)}
        if isinstance(sharpness, Tensor):
            # Var V ≥ 0 is the slope in λ: without pay the generator would lower λ to 0.
            terms["regulation"] = -REGULATION * sharpness
        return terms

    def discriminator_loss(self, real: Batch, fake: Fake) -> Losses:
        """Return the discriminators' mean loss and, where asked, the penalty."""
        # Real and generated samples are separate batches for batch norm.
        of_real = self.opinions(real.x, real.labels)
        of_fake = self.opinions(fake.x, fake.labels)
        return Losses(**self.discriminator_terms(real, fake, of_real, of_fake))

    def generator_loss(self, real: Batch, fake: Fake) -> Losses:
        """Return the generator's aggregated loss; ``real`` is not needed here."""
        return Losses(**self.generator_terms(self.opinions(fake.x, fake.labels)))

    @torch.no_grad()
    def realness_each(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return every discriminator's logit (N, n), 0 under equal priors.

        The optimal output is log(p/q) for minimax and non-saturating losses, p/(p + q)
        for least squares, whose logit is taken, and the sign of p - q for the hinge
        loss. With targets a and b it is the logit of (a p + b q)/(p + q), which is
        moved so that p = q gives 0.

        Raises:
            ValueError: for a Wasserstein critic, which has no threshold, or samples of
                another shape than the game's.
        """
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(
                f"this {type(self).__name__} judges samples of shape {self.shape}, "
                f"(n, …); got {tuple(x.shape)}"
            )
        if self.loss == "wasserstein":
            raise ValueError(
                "a Wasserstein critic has no threshold between real and generated; "
                "use a game with another loss as judge"
            )
        with evaluating(self):
            logit = self.logit(self.opinions(x.to(self.device), labels))
        if self.loss == "least_squares":
            return logit.logit(eps=1e-6)
        a, b = NOISY_TARGETS if isinstance(self.targets, str) else self.targets
        return logit - math.log((a + b) / (2 - a - b))

    def realness(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the mean of the discriminators' logits, (n,), see `realness_each`."""
        return self.realness_each(x, labels).mean(0)

    def _draw_targets(
        self, real: Tensor, fake: Tensor
    ) -> tuple[Tensor | float, Tensor | float]:
        if not isinstance(self.targets, str):
            return self.targets
        # A target above 1 would make the loss unbounded below.
        return (1 + torch.randn_like(real) / 15).clamp(max=1), torch.rand_like(fake) / 3

    def _gradient_penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        # Fakes may be more than reals, and stand in the order of their generators.
        n = min(len(real), len(fake))
        if len(fake) > n:
            fake = fake[torch.randperm(len(fake), device=fake.device)[:n]]
        side = self.discriminator
        critics = [*side.own] if _is_several(side) else [side]

        def penalty(critic: nn.Module) -> Tensor:
            return adversarial.gradient_penalty(
                lambda x: self.logit(critic(x)[None]), real[:n], fake
            )

        return torch.stack([penalty(critic) for critic in critics]).mean()


def _is_several(side: Any) -> TypeGuard[nets.Bank | nets.Ensemble]:
    return isinstance(side, nets.Bank | nets.Ensemble)


def _check_targets(targets: Any, loss: str) -> tuple[float, float] | str:
    """Return the targets if they are possible with this loss; else a ValueError."""
    if isinstance(targets, str):
        choice("targets", targets, ("noisy",))
    else:
        pair = targets if isinstance(targets, Sequence) else [targets]
        if len(pair) != 2 or not 0 <= pair[1] < pair[0] <= 1:
            raise ValueError(
                "targets are those of real and of generated samples, the first above "
                f"the second and both in [0, 1]; got {targets}"
            )
        targets = (float(pair[0]), float(pair[1]))
    if targets != (1.0, 0.0) and loss not in CROSS_ENTROPIES:
        raise ValueError(f"targets are for a cross-entropy, which {loss!r} is not")
    return targets


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
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not least <= value < math.inf:
        raise ValueError(f"{name} must be {least} or more, got {value!r}")
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
