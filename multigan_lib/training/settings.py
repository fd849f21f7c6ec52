"""How a game is trained: the settings of a run, and what they mean for a device."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch

from ..games import Game
from ..profiles import best_device

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "linear": lambda progress: 1.0 - progress,
    "cosine": lambda progress: 0.5 * (1.0 + math.cos(math.pi * progress)),
}
PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}

# A point game with fewer weights has steps too small to share between threads.
SMALL_GAME = 1_000_000


@dataclass
class Settings:
    """The settings of a run that change its result; see :func:`train` for each."""

    batch_size: int = 64
    seed: int = 0
    precision: str = "float32"
    lr_discriminator: float = 2e-4
    lr_generator: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    d_steps: int = 1
    ema: float | None = None
    schedule: str = "constant"
    snapshot_every: int | None = None

    def __post_init__(self) -> None:
        self.betas = (self.betas[0], self.betas[1])
        for name in ("batch_size", "d_steps", "snapshot_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        for name in ("lr_discriminator", "lr_generator"):
            if not getattr(self, name) > 0:
                raise ValueError(f"lr must be positive, got {getattr(self, name)}")
        if self.ema is not None and not 0 <= self.ema < 1:
            raise ValueError(f"ema is a decay in [0, 1), got {self.ema}")
        for name, choices in (("schedule", SCHEDULES), ("precision", PRECISIONS)):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"unknown {name} {getattr(self, name)!r}; choose one of "
                    f"{', '.join(choices)}"
                )

    @classmethod
    def merge(cls, given: dict[str, Any], recorded: dict[str, Any]) -> "Settings":
        """Return what is given; for the rest, what was recorded, else the defaults."""
        names = [field.name for field in fields(cls)]
        chosen = {name: value for name, value in given.items() if value is not None}
        return cls(**{n: v for n, v in (recorded | chosen).items() if n in names})

    def rate(self, step: int, total: int) -> float:
        """Return the factor of the learning rate at ``step`` of ``total``."""
        return SCHEDULES[self.schedule](min(step / max(total, 1), 1.0))


def automatic_precision(device: torch.device, game: Game) -> str:
    """Return bfloat16 for image games on a GPU that has it, else float32."""
    fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return "bfloat16" if fast and len(game.shape) == 3 else "float32"


def resolve_device(device: str | torch.device | None) -> torch.device:
    """Return the device asked for, or the best there is.

    Raises:
        ValueError: if the machine has no such device.
    """
    if device is None:
        return best_device()
    try:
        device = torch.device(device)
    except RuntimeError:
        raise ValueError(f"no such device: {device!r}; use 'cpu'") from None
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(device.type, False):
        raise ValueError(f"this machine has no device {str(device)!r}; use 'cpu'")
    return device


def threads_for(game: Game) -> int:
    """Return how many CPU threads a step of this game can use.

    A point game's step is a handful of tiny operations: one thread is fastest, and
    several that compete for busy cores can slow it a hundredfold. The number depends on
    the game and the machine only, never on its load, so that a resumed run adds up its
    sums in the same order.
    """
    weights = sum(parameter.numel() for parameter in game.parameters())
    if len(game.shape) == 1 and weights < SMALL_GAME:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return min(torch.get_num_threads(), cores or os.cpu_count() or 1)
