"""Training steps of the games of many players against plain loops, side by side.

    python benchmarks/games.py [--device cuda] [--threads 2] [--only mgan]

The plain program is what one writes without banks. For many generators: K separate
passes through generator and discriminator, one loss each, two Adam optimizers. For
many discriminators: five modules, each with an optimizer and a backward pass of its
own. Both programs make whole training steps on the same batches; the table gives the
median of the ratios of neighbouring runs, so that a busy machine slows both alike. On
one thread processor time is compared.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    cosine_similarity,
    cross_entropy,
    one_hot,
    softmax,
    softplus,
)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import multigan_lib as mg
from multigan_lib.games.megan import Gate
from multigan_lib.training.loop import _step
from multigan_lib.training.run import Run
from multigan_lib.training.settings import Settings, automatic_precision

K, N = 10, 5
CLASSES, LABEL_SIZE = 10, 32
SIZES = {
    "points, 64 reals": ((2,), None, 64),
    "points, 512 reals": ((2,), None, 512),
    "16 px, width 16": ((1, 16, 16), 16, 64),
    "32 px, width 16": ((1, 32, 32), 16, 64),
    "32 px, width 128": ((3, 32, 32), 128, 64),
}
"""Shape of the data, width of the networks, real samples a step."""
REPORT_SIZES = {
    "MNIST, GAN's networks": ((1, 32, 32), 16, 64),
    "MNIST, DCGAN's networks": ((1, 32, 32), 32, 64),
    "MNIST, DCGAN's, batch 100": ((1, 32, 32), 32, 100),
    "CIFAR, GAN's networks": ((3, 32, 32), 16, 64),
    "CIFAR, DCGAN's networks": ((3, 32, 32), 32, 64),
    "CIFAR, DCGAN's, batch 100": ((3, 32, 32), 32, 100),
    "16 px, GAN's networks": ((1, 16, 16), 16, 64),
    "points, 64 reals": ((2,), None, 64),
    "points, 512 reals": ((2,), None, 512),
}
"""The same for many discriminators, whose width is given; the generator's is 32 as in
the course report on GMAN, which has these networks for images of 28 and 32 pixels."""


class Plain:
    """K generators and a discriminator in a loop.

    Args:
        shape: of the data.
        width: of the networks.
        outputs: of the discriminator.
        shared: names of the parts that the generators share.
    """

    def __init__(
        self, shape: tuple, width: int | None, outputs: int, shared: tuple[str, ...]
    ) -> None:
        self.nets = [mg.nets.generator_for(shape, width=width) for _ in range(K)]
        for net in self.nets[1:]:
            for name in shared:
                setattr(net, name, getattr(self.nets[0], name))
        self.latent_size = self.nets[0].latent_size
        self.judge: nn.Module = mg.nets.discriminator_for(shape, width, outputs)
        self.extra: list[nn.Module] = []

    def start(self, device: str) -> None:
        """Move to the device and make the optimizers."""
        side = nn.ModuleList([*self.nets, *self.extra]).to(device)
        self.judge.to(device)
        self.adam_g = torch.optim.Adam(side.parameters(), 2e-4, (0.5, 0.999))
        self.adam_d = torch.optim.Adam(self.judge.parameters(), 2e-4, (0.5, 0.999))

    def step(self, real: Tensor) -> None:
        """Make one step of the discriminator and one of the generators."""
        with torch.no_grad():
            fakes = self.draw(real)
        self.adam_d.zero_grad()
        self.d_loss(self.judge(real), [self.judge(x) for x in fakes]).backward()
        self.adam_d.step()
        self.adam_g.zero_grad()
        fakes = self.draw(real)
        self.g_loss([self.judge(x) for x in fakes]).backward()
        self.adam_g.step()

    def draw(self, real: Tensor) -> list[Tensor]:
        """Return the fakes of every generator."""
        each = max(2, -(-len(real) // K))
        z = torch.randn(each, self.latent_size, device=real.device)
        return [net(z) for net in self.nets]

    def classify(self, outputs: list[Tensor]) -> Tensor:
        """Return the mean cross-entropy of the generators' indices."""
        losses = []
        for k, out in enumerate(outputs):
            index = torch.full((len(out),), k, device=out.device)
            losses.append(cross_entropy(out, index))
        return torch.stack(losses).mean()


class PlainMGAN(Plain):
    """MGAN's losses, general divergence."""

    def d_loss(self, real: Tensor, fakes: list[Tensor]) -> Tensor:
        """Return the loss of discriminator and classifier."""
        adversarial = softplus(-real[:, 0]).mean() + sum(
            softplus(out[:, 0]).mean() / K for out in fakes
        )
        return adversarial + self.classify([out[:, 1:] for out in fakes])

    def g_loss(self, fakes: list[Tensor]) -> Tensor:
        """Return the generators' loss."""
        adversarial = sum(softplus(-out[:, 0]).mean() / K for out in fakes)
        return adversarial + 0.1 * self.classify([out[:, 1:] for out in fakes])


class PlainMADGAN(Plain):
    """MAD-GAN's losses."""

    def d_loss(self, real: Tensor, fakes: list[Tensor]) -> Tensor:
        """Return the cross-entropy over the K+1 sources."""
        index = torch.full((len(real),), K, device=real.device)
        of_fakes = K * self.classify(fakes)
        return (cross_entropy(real, index) + of_fakes) / (K + 1)

    def g_loss(self, fakes: list[Tensor]) -> Tensor:
        """Return the generators' loss, through the last output."""
        return torch.stack([-out.log_softmax(1)[:, -1].mean() for out in fakes]).mean()


class PlainMEGAN(Plain):
    """MEGAN's losses with a gate of one linear layer a generator."""

    def __init__(self, shape: tuple, width: int | None, *_: object) -> None:
        super().__init__(shape, width, 1, ())
        self.gate = Gate(K, self.nets[0].num_features, self.latent_size)
        self.extra = [self.gate]

    def draw(self, real: Tensor) -> list[Tensor]:
        """Return the chosen fakes; the gate's choices are kept for the loss."""
        z = torch.randn(len(real), self.latent_size, device=real.device)
        features = [net.features(z) for net in self.nets]
        images = [
            net.from_features(f) for net, f in zip(self.nets, features, strict=True)
        ]
        noise = -torch.empty(len(z), K, device=z.device).exponential_().log()
        chosen = self._choose(z, features, noise)
        detached = [f.detach() for f in features]
        self.choice = self._choose(z, detached, noise)
        rows = chosen.view(len(z), K, *(1,) * (images[0].ndim - 1))
        return [sum(rows[:, k] * images[k] for k in range(K))]

    def _choose(self, z: Tensor, features: list[Tensor], noise: Tensor) -> Tensor:
        encoders = self.gate.encoders.own
        hidden = [e(f.flatten(1)) for e, f in zip(encoders, features, strict=True)]
        soft = softmax((self.gate.mlp(torch.cat([z, *hidden], 1)) + noise) / 0.5, 1)
        return one_hot(soft.argmax(1), K) + soft - soft.detach()

    def d_loss(self, real: Tensor, fakes: list[Tensor]) -> Tensor:
        """Return the discriminator's loss."""
        return softplus(-real).mean() + softplus(fakes[0]).mean()

    def g_loss(self, fakes: list[Tensor]) -> Tensor:
        """Return the adversarial and the load-balancing loss."""
        balance = (self.choice.mean(0) - 1 / K).square().sum()
        return softplus(-fakes[0]).mean() + 100 * balance


class PlainCMADGAN(Plain):
    """cMADGAN's losses; which labels are drawn makes no difference to the time."""

    def __init__(self, shape: tuple, width: int | None) -> None:
        self.latent_size = 100
        self.nets = [
            mg.nets.generator_for(shape, self.latent_size + LABEL_SIZE, width)
            for _ in range(K)
        ]
        self.extra = [nn.Embedding(CLASSES, LABEL_SIZE) for _ in range(K)]
        self.judge = LabelJudge(shape, width)

    def draw(self, real: Tensor) -> list[Tensor]:
        """Return every generator's images of the same z and labels."""
        z = torch.randn(len(real), self.latent_size, device=real.device)
        labels = torch.randint(CLASSES, (len(real),), device=real.device)
        pairs = zip(self.nets, self.extra, strict=True)
        self.images = [net(torch.cat([z, own(labels)], 1)) for net, own in pairs]
        return self.images

    def d_loss(self, real: Tensor, fakes: list[Tensor]) -> Tensor:
        """Return the discriminator's loss with smoothed labels."""
        of_real = 0.9 * softplus(-real).mean() + 0.1 * softplus(real).mean()
        for out in fakes:
            smooth = 0.1 * softplus(-out).mean() + 0.9 * softplus(out).mean()
            of_real = of_real + smooth / K
        return of_real

    def g_loss(self, fakes: list[Tensor]) -> Tensor:
        """Return the adversarial loss and the similarity of every pair."""
        adversarial = sum(softplus(-out).mean() / K for out in fakes)
        flat = [x.flatten(1) for x in self.images]
        pairs = [
            cosine_similarity(flat[i], flat[j]).mean()
            for i in range(K)
            for j in range(i)
        ]
        return adversarial + 0.3 * torch.stack(pairs).mean()


class LabelJudge(nn.Module):
    """A discriminator of images with a label as a channel more."""

    def __init__(self, shape: tuple, width: int | None) -> None:
        super().__init__()
        more = LABEL_SIZE if len(shape) == 1 else 1
        self.shape = (more, *shape[1:])
        self.network = mg.nets.discriminator_for((shape[0] + more, *shape[1:]), width)
        self.embedding = nn.Embedding(CLASSES, math.prod(self.shape))

    def forward(self, x: Tensor) -> Tensor:
        """Samples (n, *shape), given random labels → logits (n,)."""
        labels = torch.randint(CLASSES, (len(x),), device=x.device)
        label = self.embedding(labels).view(len(x), *self.shape)
        return self.network(torch.cat([x, label], 1))


class PlainGMAN:
    """A generator against N discriminators, one after another.

    Args:
        shape: of the data.
        width: of the discriminators.
    """

    def __init__(self, shape: tuple, width: int | None) -> None:
        self.net = _generator(shape)
        self.judges = [mg.nets.discriminator_for(shape, width) for _ in range(N)]

    def start(self, device: str) -> None:
        """Move to the device and make the optimizers."""

        def adam(module: nn.Module) -> torch.optim.Adam:
            return torch.optim.Adam(module.to(device).parameters(), 2e-4, (0.5, 0.999))

        self.adam_g = adam(self.net)
        self.adams = [adam(judge) for judge in self.judges]

    def step(self, real: Tensor) -> None:
        """Make one step of every discriminator and one of the generator."""
        with torch.no_grad():
            fake = self.draw(real)
        for judge, adam in zip(self.judges, self.adams, strict=True):
            adam.zero_grad()
            loss = softplus(-judge(real)).mean() + softplus(judge(fake)).mean()
            loss.backward()
            adam.step()
        self.adam_g.zero_grad()
        fake = self.draw(real)
        losses = [softplus(-judge(fake)).mean() for judge in self.judges]
        torch.stack(losses).mean().backward()
        self.adam_g.step()

    def draw(self, real: Tensor) -> Tensor:
        """Return as many fakes as there are reals."""
        return self.net(
            torch.randn(len(real), self.net.latent_size, device=real.device)
        )


def _generator(shape: tuple) -> mg.nets.Generator:
    return mg.nets.generator_for(shape, width=32 if len(shape) == 3 else None)


GAMES: dict[str, tuple[Callable, Callable]] = {
    "mgan": (
        lambda shape, width: mg.games.MGAN(shape, generators=K, width=width),
        lambda *size: PlainMGAN(*size, 1 + K, ("trunk", "last")),
    ),
    "madgan": (
        lambda shape, width: mg.games.MADGAN(shape, generators=K, width=width),
        lambda *size: PlainMADGAN(*size, 1 + K, ("first", "trunk")),
    ),
    "megan": (
        lambda shape, width: mg.games.MEGAN(shape, generators=K, width=width),
        PlainMEGAN,
    ),
    "cmadgan": (
        lambda shape, width: mg.games.CMADGAN(
            mg.data.Spec(shape, CLASSES),
            generators=K,
            latent_size=100,
            label_size=LABEL_SIZE,
            width=width,
        ),
        PlainCMADGAN,
    ),
    "gman": (
        lambda shape, width: mg.games.GMAN(
            shape,
            discriminators=N,
            generator=_generator(shape),
            discriminator={"width": width},
        ),
        PlainGMAN,
    ),
}


def main() -> None:
    """Time every case that was asked for."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    print(
        f"{K} generators or {N} discriminators, {arguments.device}, "
        f"{arguments.threads} threads, whole steps"
    )
    for name, (make, make_plain) in GAMES.items():
        sizes = REPORT_SIZES if name == "gman" else SIZES
        for size, (shape, width, batch) in sizes.items():
            case = f"{name}, {size}"
            if arguments.only in case and not (
                arguments.device == "cpu" and width == 128
            ):
                game, plain = make(shape, width), make_plain(shape, width)
                ours, ratio = measure(game, plain, batch, arguments)
                print(f"{case:32} {1e3 * ours:8.1f} ms  plain loop {ratio:5.2f} ×")


def measure(
    game: mg.games.Game,
    plain: Plain | PlainGMAN,
    batch: int,
    arguments: argparse.Namespace,
) -> tuple[float, float]:
    """Seconds of the library's step, and how many times longer the plain loop takes."""
    device = torch.device(arguments.device)
    x = torch.rand(2048, *game.shape) * 2 - 1
    data = _Tensors(x.to(device), batch, game.shape)
    # As mg.train does.
    game.to(device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    run = Run(
        game,
        data,
        Settings(batch_size=batch, precision=automatic_precision(device, game)),
        device,
    )
    plain.start(arguments.device)
    precision = run.autocast

    def ours() -> None:
        _step(run, 1.0)

    def loop() -> None:
        with precision():
            plain.step(next(run.stream).x)

    programs, seconds = [ours, loop], []
    for repeat in range(arguments.repeats + 3):
        times = [_time(program, arguments) for program in programs]
        if repeat >= 3:  # the first ones warm up
            seconds.append(times)
    return (
        statistics.median(t[0] for t in seconds),
        statistics.median(t[1] / t[0] for t in seconds),
    )


class _Tensors:
    """Batches of a tensor that lies on the device."""

    def __init__(self, x: Tensor, batch: int, shape: tuple[int, ...]) -> None:
        self.x, self.batch, self.shape = x, batch, shape

    def batches(self, *_: object, **__: object) -> _Tensors:
        return self

    def __next__(self) -> mg.data.Batch:
        start = int(torch.randint(len(self.x) - self.batch, ()))
        x = self.x[start : start + self.batch]
        return mg.data.Batch(x, torch.arange(len(x), device=x.device) % CLASSES)


def _time(program: Callable[[], None], arguments: argparse.Namespace) -> float:
    alone = arguments.device == "cpu" and arguments.threads == 1
    clock = time.process_time if alone else time.perf_counter
    if arguments.device == "cuda":
        torch.cuda.synchronize()
    start = clock()
    for _ in range(arguments.steps):
        program()
    if arguments.device == "cuda":
        torch.cuda.synchronize()
    return (clock() - start) / arguments.steps


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--steps", type=int, default=5, help="steps in one timing")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    return parser.parse_args()


if __name__ == "__main__":
    main()
