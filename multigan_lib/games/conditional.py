"""Games whose samples have a class that one can ask for."""

from typing import Any

import torch
from torch import Tensor, nn

from .. import nets
from ..datasets import Batch
from .adversarial import (
    LOSSES,
    AdversarialGame,
    Aggregate,
    Discriminators,
    at_least,
    choice,
    latent_size_of,
)
from .game import Samples

CONDITIONS = ("channel", "projection")


class ConditionalGame(AdversarialGame):
    """What the games of labelled samples have in common.

    Real and generated samples are judged together with their label. At the optimum the
    discriminator is p_d(x, c) / (p_d(x, c) + p_g(x, c)), which is that of each class by
    itself where generated samples have the labels of real ones (Mirza and Osindero,
    Conditional generative adversarial nets, 2014, eq. 2).

    Args:
        data: a data set with labels, or anything else that tells its shape and its
            number of classes.
        generators: number K of generators.
        condition: how a discriminator reads the label: ``"channel"``, the embedded
            label as a channel more, or ``"projection"`` (Miyato and Koyama, 2018).
        label_size: length of the embedded label.
        loss, discriminators, aggregate, lam, targets: see :class:`AdversarialGame`;
            not ``"wasserstein"``.

    Raises:
        ValueError: if the data have no classes, a name is unknown, or a number out of
            range.
    """

    conditional = True

    def __init__(
        self,
        data: Any,
        generators: int,
        condition: str,
        label_size: int,
        loss: str,
        discriminators: int,
        aggregate: Aggregate,
        lam: float,
        targets: tuple[float, float] | str,
    ) -> None:
        choice("loss", loss, [name for name in LOSSES if name != "wasserstein"])
        super().__init__(data, loss, 0.0, discriminators, aggregate, lam, targets)
        if self.spec.classes < 2:
            raise ValueError(
                f"a {type(self).__name__} needs data with labels of two classes or "
                f"more, got {self.spec}; load labelled data, or say how many there are "
                "with multigan_lib.data.Spec(shape, classes)"
            )
        self.generators = generators
        self.condition = choice("condition", condition, CONDITIONS)
        self.label_size = at_least("label_size", label_size, 1)

    def usual_generator(self, latent_size: int | None, width: int | None) -> nn.Module:
        """Return the default generator, which reads noise and embedded label."""
        size = (latent_size or 100) + self.label_size
        return nets.generator_for(self.shape, size, width)

    def take_labelled_sides(
        self,
        generator: nn.Module,
        discriminator: Discriminators,
        latent_size: int | None,
        width: int | None,
    ) -> None:
        """Set both sides, from networks that know of no labels.

        Args:
            generator: reads noise and embedded label, (n, latent_size + label_size).
            discriminator: as for :meth:`take_sides`; it gives 1 + classes numbers with
                ``"projection"``, and reads the label behind the sample's channels with
                ``"channel"``.
            latent_size: length of the noise; by default what the generator reads less
                the label.
            width: of discriminators that say nothing else.

        Raises:
            ValueError: if there is no room for noise, or for labels.
        """
        whole = latent_size_of(
            generator, None if latent_size is None else latent_size + self.label_size
        )
        self.latent_size = whole - self.label_size
        if self.latent_size < 1:
            raise ValueError(
                f"a generator that reads {whole} numbers has none left for noise after "
                f"{self.label_size} of the label: change latent_size or label_size"
            )
        classes, shape = self.spec.classes, self.shape
        labelled = nets.LabelledGenerator(generator, classes, self.label_size)
        if self.condition == "projection":
            self.take_sides(labelled, discriminator, width, 1 + classes)
            self.discriminator = nets.Projection(self.discriminator, classes)
            return
        more = self.label_size if len(shape) == 1 else 1
        extended = (shape[0] + more, *shape[1:])
        self.take_sides(labelled, discriminator, width, shape=extended)
        reads = getattr(self.discriminator, "shape", extended)
        if reads != extended:
            raise ValueError(
                "with condition='channel' a discriminator reads samples with their "
                f"labels, of shape {extended}; yours reads {reads}"
            )
        self.discriminator = nets.LabelChannel(
            self.discriminator, classes, shape, extended
        )

    def opinions(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return every discriminator's logit of samples with their labels, (N, n).

        Raises:
            ValueError: if there are no labels, or they do not fit.
        """
        if labels is None:
            raise ValueError(
                f"a {type(self).__name__} judges samples together with their labels: "
                "pass labels, one class a sample"
            )
        output = self.discriminator(x, self.known(labels, len(x)))
        return output if self.discriminators > 1 else output[None]

    def labels_of(self, real: Batch) -> Tensor:
        """Return the labels of real samples; a ValueError tells what is wrong."""
        if real.labels is None:
            raise ValueError(
                f"a {type(self).__name__} is trained on labelled data, but this batch "
                "has no labels"
            )
        return self.known(real.labels, len(real.x))

    def known(self, labels: Any, n: int) -> Tensor:
        """Return labels (n,) on the game's device, given one for all or for each.

        Raises:
            ValueError: if they are not whole numbers, or no classes of the game.
        """
        labels = self._one_each("labels", labels, n)
        assert labels is not None
        classes = self.spec.classes
        # In training an accelerator would have to wait for the answer.
        look = len(labels) and (self.device.type == "cpu" or not self.training)
        if look and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(
                f"labels must be from 0 to {classes - 1}, got {labels.min()} to "
                f"{labels.max()}"
            )
        return labels.long()

    def generate(
        self,
        generator: nn.Module,
        n: int,
        labels: Tensor | None,
        source: Tensor | None,
    ) -> Samples:
        """Return ``n`` samples, of random classes and generators if none are asked."""
        if source is None:
            source = torch.randint(self.generators, (n,), device=self.device)
        elif not 0 <= source.min() <= source.max() < self.generators:
            raise ValueError(f"sources must be from 0 to {self.generators - 1}")
        if labels is None:
            labels = torch.randint(self.spec.classes, (n,), device=self.device)
        labels = self.known(labels, n)
        assert isinstance(generator, nets.LabelledGenerator)
        z = self.noise(n, self.latent_size)
        return Samples(generator.pick(z, labels, source), source, labels)
