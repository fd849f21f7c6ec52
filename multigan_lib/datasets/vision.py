"""CIFAR-10, STL-10, CelebA and LSUN churches, through torchvision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import chdir
from typing import Any

import numpy as np

from .. import paths
from .download import downloaded, found, scratch
from .folders import fitted
from .images import ImageData
from .store import Decoded, stored

# The class in torchvision.datasets, and its argument with the value for each split.
ORIGINS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "cifar10": ("CIFAR10", "train", {"train": True, "test": False}),
    "stl10": ("STL10", "split", {s: s for s in ("train", "test", "unlabeled")}),
    "celeba": ("CelebA", "split", {"train": "train", "val": "valid", "test": "test"}),
    "lsun_church": (
        "LSUN",
        "classes",
        {"train": ["church_outdoor_train"], "test": ["church_outdoor_val"]},
    ),
}


def load_vision(
    name: str, split: str, image_size: int | None = None, channels: int | None = None
) -> ImageData:
    """A data set of torchvision's; memory-mapped from the cache once decoded.

    Looked for in every folder of `paths.data_folders()` as torchvision lays it out,
    checked against torchvision's checksums, downloaded if it is nowhere.

    Raises:
        FileNotFoundError: it is nowhere and could not be downloaded.
        ValueError: what is there is incomplete or corrupted.
        ModuleNotFoundError: LSUN needs the package lmdb.
    """
    key = f"{name}-{split}-{image_size or 'as-is'}-{channels or 3}"

    def decode() -> Decoded:
        return _decode(_open(name, split), image_size, "L" if channels == 1 else "RGB")

    return stored(key, "torchvision", name, split, decode)


def _decode(data: Any, image_size: int | None, mode: str) -> Decoded:
    def rows() -> Iterator[tuple[int, np.ndarray]]:
        for position in range(len(data)):
            yield position, fitted(data[position][0].convert(mode), image_size)

    labels = getattr(data, "targets", getattr(data, "labels", None))
    if labels is None or min(labels) < 0:  # STL-10 marks its unlabelled images by -1
        return Decoded(len(data), None, (), rows())
    return Decoded(len(data), [int(y) for y in labels], tuple(data.classes), rows())


def _open(name: str, split: str) -> Any:
    from torchvision import datasets

    kind, argument, values = ORIGINS[name]
    value, cache = values[split], paths.cache()
    is_lsun = kind == "LSUN"
    folder = f"{value[0]}_lmdb" if is_lsun else getattr(datasets, kind).base_folder
    places = found(folder)
    if not places:
        missing = f"{name}: {folder} is in none of {[*map(str, paths.data_folders())]}"
        if is_lsun:
            raise FileNotFoundError(
                f"{missing}; get its zip file as github.com/fyu/lsun describes and "
                "unpack it there"
            )
        try:
            with downloaded(kind, cache, **{argument: value}) as temporary:
                places = [(temporary / folder).rename(cache / folder)]
        except (OSError, RuntimeError) as error:
            raise FileNotFoundError(
                f"{missing} and could not be downloaded ({error}); put it there"
            ) from error
    try:
        # LSUN's class writes an index into the working folder.
        with scratch(cache) as temporary, chdir(temporary):
            root = str(places[0].parent.resolve())
            return getattr(datasets, kind)(root, **{argument: value})
    except ModuleNotFoundError:  # LSUN's images need the package lmdb
        raise
    except Exception as error:  # readers of many formats raise anything
        raise ValueError(
            f"{places[0]} is incomplete or corrupted ({error}): delete it and load it "
            "again"
        ) from error
