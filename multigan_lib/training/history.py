"""What happened during training: every term of every loss at every step."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..games import Losses, Samples


class NonFiniteLossError(ArithmeticError):
    """A player's loss became infinite or not a number."""


@dataclass
class History:
    """The record of a run, from its first step even where it was resumed.

    Attributes:
        terms: one value a step for each term, by names such as
            ``"discriminator/total"`` or ``"generator/adversarial"``, float32.
        snapshots: (step, samples) pairs drawn from one fixed seed, on the CPU.
        seconds: time spent in training steps.
        samples_seen: number of real samples that the discriminator was shown.
    """

    terms: dict[str, np.ndarray] = field(default_factory=dict)
    snapshots: list[tuple[int, Samples]] = field(default_factory=list)
    seconds: float = 0.0
    samples_seen: int = 0

    @property
    def steps(self) -> int:
        """Number of training steps recorded."""
        return max((len(values) for values in self.terms.values()), default=0)

    @property
    def samples_per_second(self) -> float:
        """Real samples shown to the discriminator per second of training."""
        return self.samples_seen / self.seconds if self.seconds else 0.0

    def extend(self, recorded: dict[str, np.ndarray]) -> None:
        """Append the values of further steps to every term."""
        for name, values in recorded.items():
            before = self.terms.get(name, np.empty(0, np.float32))
            self.terms[name] = np.concatenate([before, values])


class Recorder:
    """Collects losses on the device and reads them back in one transfer.

    Asking for a loss's value makes the CPU wait for the device, so the loop asks for
    many at a time.
    """

    def __init__(self) -> None:
        self._rows: list[Tensor] = []
        self._names: list[str] = []

    def add(self, discriminator: Losses, generator: Losses) -> None:
        """Note the losses of one step; nothing is waited for."""
        values = {
            **{f"discriminator/{name}": value for name, value in discriminator.items()},
            **{f"generator/{name}": value for name, value in generator.items()},
        }
        self._names = list(values)
        self._rows.append(torch.stack([v.detach().float() for v in values.values()]))

    def flush(self, last_step: int) -> dict[str, np.ndarray]:
        """Return what was added since the last call, one array a term.

        Args:
            last_step: number of the last of these steps, for the error's text.

        Raises:
            NonFiniteLossError: if any of the values is infinite or not a number.
        """
        if not self._rows:
            return {}
        table = torch.stack(self._rows).cpu().numpy()
        self._rows.clear()
        bad = np.argwhere(~np.isfinite(table))
        if len(bad):
            row, column = bad[0]
            player, _, term = self._names[column].partition("/")
            raise NonFiniteLossError(
                f"the {player}'s loss ({term}) became {table[row, column]} at step "
                f"{last_step - len(table) + 1 + row}; try a lower learning rate or "
                "another loss. The weights in memory are lost; the last checkpoint, "
                "if any, is intact."
            )
        return {name: table[:, i].copy() for i, name in enumerate(self._names)}
