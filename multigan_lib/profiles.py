"""Sizes of a run: seconds for the tests, a minute on a CPU, minutes on a GPU."""

import os
from types import SimpleNamespace
from typing import Any

import torch

NAMES = ("smoke", "cpu", "gpu")


def best_device() -> torch.device:
    """Return CUDA where there is one, else MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


class Profile(SimpleNamespace):
    """The sizes of the profile in force, as attributes.

    Beside the sizes themselves it has ``name``, ``device``, ``dataset`` and
    ``minutes`` (expected, or None); printing it gives one line for the reader.
    """

    name: str
    device: str
    dataset: str
    minutes: float | None

    def __str__(self) -> str:
        if self.minutes is None:
            time = "time not stated"
        elif self.minutes < 1:
            time = f"about {60 * self.minutes:.0f} seconds"
        else:
            time = f"about {self.minutes:g} minute{'s' * (self.minutes > 1)}"
        return (
            f"profile {self.name} · device {_device_text(self.device)} · "
            f"data {self.dataset} · {time}"
        )


def profile(
    smoke: dict[str, Any] | None = None,
    cpu: dict[str, Any] | None = None,
    gpu: dict[str, Any] | None = None,
) -> Profile:
    """Choose the sizes of a run for this machine.

    Args:
        smoke: sizes for a test of seconds.
        cpu: sizes for about 90 seconds on two cores.
        gpu: sizes for minutes on CUDA or MPS. All three have the same keys, any that
            the caller likes; ``minutes`` (expected time) and ``dataset`` (default
            ``"digits"``) are optional.

    Returns:
        The entries of one of the three as attributes of a :class:`Profile`.
        ``MULTIGAN_PROFILE`` (``smoke``, ``cpu`` or ``gpu``) overrides the choice,
        ``MULTIGAN_DATASET`` the data set.

    Raises:
        ValueError: if ``MULTIGAN_PROFILE`` is none of the three, or if the three
            dictionaries name different sizes.
    """
    device = best_device()
    fitting = "cpu" if device.type == "cpu" else "gpu"
    name = os.environ.get("MULTIGAN_PROFILE") or fitting
    if name not in NAMES:
        raise ValueError(
            f"MULTIGAN_PROFILE is {name!r}; it must be one of {', '.join(NAMES)}."
        )
    sizes = {"smoke": smoke or {}, "cpu": cpu or {}, "gpu": gpu or {}}
    optional = {"minutes", "dataset"}
    keys = {key: set(values) - optional for key, values in sizes.items() if values}
    if len({frozenset(names) for names in keys.values()}) > 1:
        raise ValueError(f"the profiles must name the same sizes, got {keys}")
    chosen = dict(sizes[name])
    dataset = os.environ.get("MULTIGAN_DATASET") or chosen.pop("dataset", "digits")
    chosen.pop("dataset", None)
    minutes = chosen.pop("minutes", None)
    return Profile(
        name=name, device=device.type, dataset=dataset, minutes=minutes, **chosen
    )


def _device_text(device: str) -> str:
    if device == "cuda":
        return f"cuda ({torch.cuda.get_device_name()})"
    if device == "cpu":
        threads = torch.get_num_threads()
        return f"cpu ({threads} thread{'s' * (threads > 1)})"
    return device
