"""MEGAN: a gate chooses one of K generators for each z (Park et al., IJCAI 2018)."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from .. import gumbel, nets
from ..datasets import Batch
from ..losses import gating
from ..nets.mlp import hidden_layers
from .adversarial import (
    AdversarialGame,
    Aggregate,
    Discriminators,
    at_least,
    choice,
    latent_size_of,
)
from .game import Fake, Losses, Samples, evaluating, seeded
from .mixture import check_bank

HIDDEN = 100
"""Numbers that each generator's features are reduced to (section 4.2)."""
UNIFORM = 0.95
"""Mean entropy of the gate's distributions, in log K, above which they are uniform."""
ADAPTATION = 1.01
"""Factor by which the load-balancing weight moves in a step, if it is adapted."""
REACH = 1000.0
"""Largest ratio between the adapted weight and the one it started from."""


@dataclass(frozen=True)
class GatedFake(Fake):
    """Chosen fakes, and how they were chosen.

    Attributes:
        gate: straight-through one-hot choices (n, K), whose gradient reaches the gate's
            weights only.
        logits: the gate's logits (n, K).
    """

    gate: Tensor = field(kw_only=True)
    logits: Tensor = field(kw_only=True)


class Gate(nn.Module):
    """MEGAN's assignment module: logits of the generators from z and their features.

    Every generator's features are reduced to 100 numbers by a linear layer of its own
    and a ReLU (eq. 7); together with z they go through three linear layers, the first
    two with batch norm and ReLU (eq. 8).
    """

    def __init__(self, generators: int, num_features: int, latent_size: int) -> None:
        super().__init__()
        self.encoders = nets.Bank(
            lambda: nn.Sequential(nn.Linear(num_features, HIDDEN), nn.ReLU()),
            generators,
        )
        self.mlp = nn.Sequential(
            hidden_layers([latent_size + generators * HIDDEN, HIDDEN, HIDDEN], "batch"),
            nn.Linear(HIDDEN, generators),
        )

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        """Return logits (n, K) for z (n, latent) and features (K, n, …)."""
        hidden = self.encoders(features.flatten(2))
        return self.mlp(torch.cat([z, hidden.transpose(0, 1).flatten(1)], 1))


class RandomGate(nn.Module):
    """A gate that knows nothing: every generator is equally likely for every z."""

    def __init__(self, generators: int) -> None:
        super().__init__()
        self.generators = generators

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        """Return logits (n, K) of zeros."""
        return z.new_zeros(len(z), self.generators)


class GatedGenerators(nn.Module):
    """MEGAN's generating side: a bank of generators, and the gate."""

    def __init__(self, experts: nets.Bank, gate: nn.Module) -> None:
        super().__init__()
        self.experts = experts
        self.gate = gate


class MEGAN(AdversarialGame):
    """Independent generators and a gate that chooses one of them for each z.

    The gate reads z and every generator's features after its second up-sampling layer
    and chooses by straight-through Gumbel-softmax with temperature
    τ = temperature · exp(-temperature_rate · step) (Park et al., MEGAN, IJCAI 2018,
    section 4 and algorithm 1, where the step is wrongly reset in the loop). The
    adversarial loss trains generators and gate, the load-balancing loss (eq. 9) the
    gate alone.

    Args:
        data: the data set, or anything else that tells its shape, as for ``GAN``.
        generators: K ≥ 2.
        load_balance: weight λ ≥ 0 of the load-balancing loss.
        gate: ``"learnt"``, or ``"random"``, a control whose choices are uniform and
            independent of z.
        adapt: what becomes of λ while the gate's distributions are nearly uniform
            (mean entropy above 0.95 log K): None leaves it as it is, ``"raise"`` raises
            it by 1 % a step, as section 4.5 says, ``"lower"`` lowers it, as that
            section's own argument asks. Otherwise it returns to ``load_balance`` at the
            same pace; it stays within a factor of 1,000.
        temperature: τ > 0 at step 0.
        temperature_rate: rate ≥ 0 at which it falls, per step.
        temperature_floor: least temperature ≥ 0; 0 is no floor.
        loss, penalty, discriminators, aggregate, lam: see :class:`AdversarialGame`.
        latent_size, width: of the default networks.
        generator: a ``nets.Bank`` of K generators (``nets.Generator``) of your own.
        discriminator: of your own, samples -> (n,) logits, as for ``GAN``.
        seed: seed of the initial weights.

    Raises:
        ValueError: if a name is unknown or a number out of range.
    """

    generator: GatedGenerators
    balance_weight: Tensor

    def __init__(
        self,
        data: Any,
        *,
        generators: int = 5,
        load_balance: float = 100.0,
        gate: str = "learnt",
        adapt: str | None = None,
        temperature: float = 0.5,
        temperature_rate: float = 0.001,
        temperature_floor: float = 0.0,
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
        super().__init__(data, loss, penalty, discriminators, aggregate, lam)
        choice("gate", gate, ("learnt", "random"))
        if adapt not in (None, "raise", "lower"):
            raise ValueError(f"adapt must be None, 'raise' or 'lower', got {adapt!r}")
        self.generators = generators
        self.load_balance = at_least("load_balance", load_balance, 0)
        self.adapt = adapt
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        at_least("temperature_rate", temperature_rate, 0)
        at_least("temperature_floor", temperature_floor, 0)
        self.schedule = (temperature, temperature_rate, temperature_floor)
        self.register_buffer("balance_weight", torch.tensor(float(load_balance)))
        with seeded(seed):
            experts = generator or nets.Bank(
                lambda: nets.generator_for(self.shape, latent_size, width), generators
            )
            check_bank(experts, generators)
            self.latent_size = latent_size_of(experts, latent_size)
            chooser: nn.Module
            if gate == "learnt":
                chooser = Gate(generators, experts.num_features, self.latent_size)
            else:
                chooser = RandomGate(generators)
            self.take_sides(GatedGenerators(experts, chooser), discriminator, width)

    @property
    def temperature(self) -> Tensor:
        """The temperature τ at the present step, a scalar."""
        return torch.as_tensor(gumbel.temperature(self.step, *self.schedule))

    def draw(self, real: Batch) -> GatedFake:
        """Return as many fakes as there are real samples, with the gate's choices.

        All generators make a sample of every z: the gradient with respect to choice k
        is the inner product of that of the chosen sample with sample k.
        """
        experts, gate = self.generator.experts, self.generator.gate
        n = len(real.x)
        z = self.noise(n, self.latent_size)
        features = experts.features(z)
        noise = gumbel.sample_gumbel((n, self.generators), device=z.device)
        logits = gate(z, features)
        chosen = gumbel.straight_through(logits, self.temperature, noise)
        x = torch.einsum("nk,kn...->n...", chosen, experts.from_features(features))
        of_gate = chosen
        if torch.is_grad_enabled():
            # The same choices once more, on a path that ends at the gate's weights.
            logits = gate(z, features.detach())
            of_gate = gumbel.straight_through(logits, self.temperature, noise)
        return GatedFake(x, chosen.argmax(1), gate=of_gate, logits=logits)

    def generator_loss(self, real: Batch, fake: Fake) -> Losses:
        """Return the adversarial loss and λ times the load-balancing loss."""
        assert isinstance(fake, GatedFake)
        if self.adapt and self.training:
            self._adapt(fake.logits.detach())
        terms = self.generator_terms(self.opinions(fake.x))
        balance = self.balance_weight * gating.load_balance(fake.gate)
        return Losses(**terms, load_balance=balance)

    def generate(
        self,
        generator: nn.Module,
        n: int,
        labels: Tensor | None,
        source: Tensor | None,
    ) -> Samples:
        """Return ``n`` samples of the gate's choice, or of the sources asked for.

        Past the features only the chosen generator runs; where the source is given,
        only that generator runs, and the gate is not asked whether z suits it.
        """
        self.refuse_labels(labels)
        assert isinstance(generator, GatedGenerators)
        experts = generator.experts
        z = self.noise(n, self.latent_size)
        if source is not None:
            return Samples(experts.pick(z, source), source)
        features = experts.features(z)
        source = gumbel.gumbel_max(generator.gate(z, features)).argmax(1)
        chosen = features[source, torch.arange(n, device=self.device)]
        return Samples(experts.pick_from_features(chosen, source), source)

    @torch.no_grad()
    def gate_logits(self, z: Tensor) -> Tensor:
        """Return the gate's logits (n, K) for noise z (n, latent), in evaluation."""
        generator = self.generator if self.average is None else self.average
        assert isinstance(generator, GatedGenerators)
        with evaluating(self):
            return generator.gate(z, generator.experts.features(z))

    def _adapt(self, logits: Tensor) -> None:
        """Move λ by one step of its adaptation."""
        log_p = logits.log_softmax(1)
        entropy = -(log_p.exp() * log_p).sum(1).mean()
        weight, home = self.balance_weight, self.load_balance
        pushed = weight * (ADAPTATION if self.adapt == "raise" else 1 / ADAPTATION)
        back = weight / ADAPTATION if self.adapt == "raise" else weight * ADAPTATION
        back = back.clamp(min=home) if self.adapt == "raise" else back.clamp(max=home)
        is_uniform = entropy > UNIFORM * math.log(self.generators)
        moved = torch.where(is_uniform, pushed, back)
        self.balance_weight.copy_(moved.clamp(home / REACH, home * REACH))
