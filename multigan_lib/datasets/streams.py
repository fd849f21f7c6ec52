"""Endless batches in an order that a seed fixes and a checkpoint can keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .images import Batch, ImageData, to_float

if TYPE_CHECKING:
    from .mixtures import PointMixture


class ImageStream:
    """An endless iterator of `Batch`es, shuffled anew each epoch.

    The order depends on `seed` and the number of images only: not on the device,
    nor on any global generator. A last, partial batch is dropped.

    Where the images live: on the CPU they stay where they are. On another device
    they are copied there as uint8 if they take less than a quarter of its free
    memory; else they stay on the host, memory-mapped, and each batch is moved
    through pinned memory. Batches never wait for the device.

    Args:
        data: the images; labels follow them.
        batch_size: images a batch, at most len(data).
        seed: fixes the order.
        device: where the batches are made.
    """

    def __init__(
        self,
        data: ImageData,
        batch_size: int,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        if not 0 < batch_size <= len(data):
            raise ValueError(
                f"batch_size is {batch_size}, but {data} has {len(data)} images"
            )
        self.batch_size, self.device = batch_size, torch.device(device)
        self._images, self._labels = data.images, data.labels
        if fits(data.images, self.device):
            self._images = self._images.to(self.device)
            if self._labels is not None:
                self._labels = self._labels.to(self.device)
        self._seed, self._epoch, self._position = seed, 0, 0
        self._order: Tensor | None = None

    def __iter__(self) -> ImageStream:
        return self

    def __next__(self) -> Batch:
        if self._position + self.batch_size > len(self._images):
            self._epoch, self._position, self._order = self._epoch + 1, 0, None
        if self._order is None:
            order = _permutation(len(self._images), self._seed, self._epoch)
            self._order = _moved(order, self._images.device)
        chosen = self._order[self._position : self._position + self.batch_size]
        self._position += self.batch_size
        images = _moved(self._images.index_select(0, chosen), self.device)
        if self._labels is None:
            return Batch(to_float(images))
        labels = _moved(self._labels.index_select(0, chosen), self.device)
        return Batch(to_float(images), labels)

    def state_dict(self) -> dict[str, Tensor]:
        """The position as int64 scalars: seed, epoch, position, length."""
        return {
            "seed": torch.tensor(self._seed),
            "epoch": torch.tensor(self._epoch),
            "position": torch.tensor(self._position),
            "length": torch.tensor(len(self._images)),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on exactly where `state_dict` was taken.

        Raises:
            ValueError: the state is of another number of images.
        """
        length = int(state["length"])
        if length != len(self._images):
            raise ValueError(
                f"the saved position is in data of {length} images, these are "
                f"{len(self._images)}: resume with the same data and split"
            )
        self._seed, self._epoch = int(state["seed"]), int(state["epoch"])
        self._position, self._order = int(state["position"]), None


class PointStream:
    """An endless iterator of `Batch`es of fresh points; labels are their modes.

    It owns its generator, on the CPU whatever the device: the same points are
    drawn on every machine, and other random numbers do not disturb them.

    Args:
        mixture: where the points are drawn from.
        batch_size: points a batch.
        seed: fixes the points.
        device: where the batches go.
    """

    def __init__(
        self,
        mixture: PointMixture,
        batch_size: int,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is a positive integer, got {batch_size}")
        self.batch_size, self.device = batch_size, torch.device(device)
        self._mixture = mixture
        self._generator = torch.Generator().manual_seed(seed)

    def __iter__(self) -> PointStream:
        return self

    def __next__(self) -> Batch:
        points, modes = self._mixture.draw(self.batch_size, self._generator)
        return Batch(_moved(points, self.device), _moved(modes, self.device))

    def state_dict(self) -> dict[str, Tensor]:
        """The generator's state, a uint8 tensor."""
        return {"generator": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on exactly where `state_dict` was taken."""
        self._generator.set_state(state["generator"].to("cpu", torch.uint8))


def fits(images: Tensor, device: torch.device) -> bool:
    """Whether `images` may be kept on `device`: less than a quarter of what is free."""
    return images.numel() < free_memory(device) / 4


def free_memory(device: torch.device) -> int:
    """Free memory of an accelerator in bytes; 0 for the CPU, where nothing moves."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        used = torch.mps.driver_allocated_memory()
        return torch.mps.recommended_max_memory() - used
    return 0


def _permutation(n: int, seed: int, epoch: int) -> Tensor:
    # Mixed by a hash: with seed + epoch, one seed's second epoch would be the
    # next seed's first.
    mixed = np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(mixed >> np.uint64(1)))
    return torch.randperm(n, generator=generator)


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    if device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
