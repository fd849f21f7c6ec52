"""The state of a run: what a checkpoint holds beside the weights."""

from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Adam

from .. import checkpoint as files
from ..games import Game, Losses, Samples, describe
from ..games.game import seeded
from .history import History
from .settings import PRECISIONS, Settings

SIDES = ("discriminator", "generator")
SNAPSHOT_SEED = 0
JUDGED_BATCHES = 16


class Run:
    """A game in training: optimizers, data stream, history, steps done."""

    def __init__(
        self, game: Game, data: Any, settings: Settings, device: torch.device
    ) -> None:
        self.game = game
        self.settings = settings
        self.device = device
        self.history = History()
        self.done = int(game.step)
        self.data_text = repr(data)
        self.stream = data.batches(
            settings.batch_size, seed=settings.seed, device=device
        )
        self.optimizers = {
            side: Adam(
                getattr(game, side).parameters(),
                betas=settings.betas,
                fused=device.type in ("cpu", "cuda"),
            )
            for side in SIDES
        }
        if settings.ema is not None and game.average is None:
            game.keep_average()

    def autocast(self) -> AbstractContextManager:
        """Return the context of the forward passes, after the precision chosen."""
        dtype = PRECISIONS[self.settings.precision]
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None)

    def update(self, side: str, losses: Losses, lr: float) -> None:
        """Make one optimizer step of ``side`` down the gradient of its total loss."""
        optimizer = self.optimizers[side]
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad(set_to_none=True)
        losses.total.backward()
        optimizer.step()

    @torch.no_grad()
    def balance_judge(self) -> None:
        """Estimate the running statistics of the discriminator's batch norms anew.

        They make no difference to training, but they are the judge's, of ``realness``:
        it is to hold real and generated samples for equally likely, and those that
        training leaves behind are of former weights, and more of generated samples. The
        means over as many batches of either, for the present weights, take their place.
        """
        norms: list[Any] = [
            part
            for part in self.game.discriminator.modules()
            if isinstance(part, _BatchNorm) and part.track_running_stats
        ]
        if not norms:
            return
        kept = [
            (norm, norm.momentum, norm.num_batches_tracked.clone()) for norm in norms
        ]
        position = self.stream.state_dict()
        with seeded(self.settings.seed, self.device), self.autocast():
            for i in range(JUDGED_BATCHES):
                real = next(self.stream)
                labels = real.labels if self.game.conditional else None
                fake = self.game.sample(len(real.x), labels)
                for j, batch in enumerate((real, fake)):
                    for norm in norms:
                        norm.momentum = 1 / (2 * i + j + 1)  # a mean over all so far
                    self.game.opinions(batch.x, batch.labels)
        self.stream.load_state_dict(position)
        for norm, momentum, tracked in kept:
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(tracked)

    def take_snapshot_if_due(self) -> None:
        """Keep samples from a fixed seed every ``snapshot_every`` steps."""
        every = self.settings.snapshot_every
        if every is None or self.done % every:
            return
        if self.history.snapshots and self.history.snapshots[-1][0] == self.done:
            return  # resumed at a step whose snapshot is there
        n = 512 if len(self.game.shape) == 1 else 64
        samples = self.game.sample(n, seed=SNAPSHOT_SEED)
        labels = None if samples.labels is None else samples.labels.cpu()
        on_cpu = Samples(samples.x.cpu(), samples.source.cpu(), labels)
        self.history.snapshots.append((self.done, on_cpu))

    def save(self, folder: str | Path) -> None:
        """Write all that is needed to go on, or to sample."""
        history = self.history
        tensors = _prefixed("game", self.game.state_dict())
        for side, optimizer in self.optimizers.items():
            for index, slots in optimizer.state_dict()["state"].items():
                tensors |= _prefixed(f"optimizer.{side}.{index}", slots)
        tensors |= _prefixed("stream", self.stream.state_dict())
        tensors |= _prefixed("rng", _rng_state(self.device))
        for name, values in history.terms.items():
            tensors[f"history.{name}"] = torch.from_numpy(values)
        for step, samples in history.snapshots:
            fields = {k: v for k, v in vars(samples).items() if v is not None}
            tensors |= _prefixed(f"snapshot.{step}", fields)
        info = {
            "step": self.done,
            "game": describe(self.game),
            "settings": asdict(self.settings),
            "data": self.data_text,
            "seconds": history.seconds,
            "samples_seen": history.samples_seen,
        }
        files.write(folder, tensors, info)

    def restore(self, tensors: dict[str, Tensor], info: dict[str, Any]) -> None:
        """Go back to the state that :meth:`save` wrote.

        Raises:
            ValueError: if the game or the data are not those of the run.
        """
        kind = type(self.game).__name__
        if info["game"]["class"] != kind:
            raise ValueError(
                f"the checkpoint holds a {info['game']['class']}, this game is a {kind}"
            )
        if info["data"] != self.data_text:
            raise ValueError(
                f"the run was trained on {info['data']}, not on {self.data_text}; "
                "resume with the same data, or start a new run"
            )
        if info["game"]["average"] and self.game.average is None:
            self.game.keep_average()
        try:
            self.game.load_state_dict(_under("game", tensors))
        except RuntimeError as error:
            raise ValueError(
                "the checkpoint does not fit this game; build it with the arguments "
                f"{info['game']['arguments']}: {error}"
            ) from error
        for side, optimizer in self.optimizers.items():
            weights = optimizer.param_groups[0]["params"]
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in _under(f"optimizer.{side}", tensors).items():
                index, _, slot = name.partition(".")
                if slot != "step":
                    # Fused Adam needs the memory layout of the weight itself.
                    value = torch.empty_like(weights[int(index)]).copy_(value)
                state.setdefault(int(index), {})[slot] = value
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.stream.load_state_dict(_under("stream", tensors))
        _set_rng_state(self.device, _under("rng", tensors))
        history = self.history
        history.terms = {k: v.numpy() for k, v in _under("history", tensors).items()}
        history.seconds = info["seconds"]
        history.samples_seen = info["samples_seen"]
        snapshots: dict[int, dict[str, Tensor]] = {}
        for name, value in _under("snapshot", tensors).items():
            step, _, part = name.partition(".")
            snapshots.setdefault(int(step), {})[part] = value
        history.snapshots = [
            (step, Samples(**snapshots[step])) for step in sorted(snapshots)
        ]
        self.done = info["step"]


def _prefixed(prefix: str, tensors: dict[str, Any]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}


def _rng_state(device: torch.device) -> dict[str, Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        state["accelerator"] = torch.get_device_module(device).get_rng_state()
    return state


def _set_rng_state(device: torch.device, state: dict[str, Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if device.type != "cpu" and "accelerator" in state:
        torch.get_device_module(device).set_rng_state(state["accelerator"])
