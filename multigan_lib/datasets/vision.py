"""CIFAR-10, STL-10, CelebA and LSUN churches, through torchvision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import paths
from .download import patience, scratch
from .folders import fitted
from .images import ImageData
from .store import Decoded, stored


class Origin(NamedTuple):
    """How torchvision knows a data set.

    Attributes:
        type: its class in torchvision.datasets.
        splits: of each split, the folder that must be there and the arguments.
        image_size: used where none is asked for; None keeps the images' own.
        remedy: how to get it if torchvision cannot.
    """

    type: str
    splits: dict[str, tuple[str, dict[str, Any]]]
    image_size: int | None = None
    remedy: str = ""


ORIGINS = {
    "cifar10": Origin(
        "CIFAR10",
        {
            "train": ("cifar-10-batches-py", {"train": True}),
            "test": ("cifar-10-batches-py", {"train": False}),
        },
    ),
    "stl10": Origin(
        "STL10",
        {
            split: ("stl10_binary", {"split": split})
            for split in ("train", "test", "unlabeled")
        },
    ),
    "celeba": Origin(
        "CelebA",
        {
            "train": ("celeba", {"split": "train"}),
            "val": ("celeba", {"split": "valid"}),
            "test": ("celeba", {"split": "test"}),
        },
        image_size=64,
    ),
    "lsun_church": Origin(
        "LSUN",
        {
            "train": (
                "church_outdoor_train_lmdb",
                {"classes": ["church_outdoor_train"]},
            ),
            "test": ("church_outdoor_val_lmdb", {"classes": ["church_outdoor_val"]}),
        },
        image_size=64,
        remedy="get its zip file as github.com/fyu/lsun describes, unpack it there",
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
    image_size = image_size or ORIGINS[name].image_size
    key = f"{name}-{split}-{image_size or 'as-is'}-{channels or 3}"
    return stored(
        key,
        "torchvision",
        name,
        split,
        lambda: _decode(_open(name, split), image_size, channels or 3),
    )


def places(name: str) -> list[Path]:
    """The folders of the data set that are there."""
    wanted = {folder for folder, _ in ORIGINS[name].splits.values()}
    roots = [r for base in paths.data_folders() for r in (base, base / name)]
    return [root / w for root in roots for w in sorted(wanted) if (root / w).is_dir()]


def _decode(data: Any, image_size: int | None, channels: int) -> Decoded:
    mode = "L" if channels == 1 else "RGB"

    def rows() -> Iterator[tuple[int, np.ndarray]]:
        for position in range(len(data)):
            yield position, fitted(data[position][0].convert(mode), image_size)

    labels = getattr(data, "targets", getattr(data, "labels", None))
    if labels is not None:
        labels = [int(label) for label in labels]
    if labels is None or min(labels) < 0:  # STL-10 marks its unlabelled images by -1
        return Decoded(len(data), _shape(rows()), None, (), rows())
    return Decoded(len(data), _shape(rows()), labels, tuple(data.classes), rows())


def _shape(rows: Iterator[tuple[int, np.ndarray]]) -> tuple[int, ...]:
    return next(rows)[1].shape


def _open(name: str, split: str) -> Any:
    origin = ORIGINS[name]
    folder, arguments = origin.splits[split]
    for place in places(name):
        if place.name == folder:
            try:
                return _make(origin, place.parent, arguments)
            except ModuleNotFoundError as error:
                raise ModuleNotFoundError(
                    f"{name} needs the package {error.name}: pip install {error.name}"
                ) from error
            except Exception as error:  # readers of many formats raise anything
                raise ValueError(
                    f"{place} is incomplete or corrupted ({error}): delete it"
                    + ("" if origin.remedy else ", and it will be downloaded again")
                ) from error
    return _download(name, origin, folder, arguments)


def _make(origin: Origin, root: Path, arguments: dict[str, Any]) -> Any:
    from torchvision import datasets

    # LSUN's class writes an index into the working folder.
    with scratch(paths.cache()) as temporary, chdir(temporary):
        return getattr(datasets, origin.type)(str(root.resolve()), **arguments)


def _download(name: str, origin: Origin, folder: str, arguments: dict[str, Any]) -> Any:
    from torchvision import datasets

    missing = f"{name}: {folder} is in none of {_listed(paths.data_folders())}"
    if origin.remedy:
        raise FileNotFoundError(f"{missing}; {origin.remedy}")
    target = paths.cache() / folder
    try:
        with scratch(paths.cache()) as temporary, patience():
            getattr(datasets, origin.type)(str(temporary), download=True, **arguments)
            (temporary / folder).rename(target)
    except (OSError, RuntimeError) as error:
        raise FileNotFoundError(
            f"{missing} and could not be downloaded ({error}); put it there"
        ) from error
    return _make(origin, paths.cache(), arguments)


def _listed(folders: list[Path]) -> str:
    return ", ".join(map(str, folders))
