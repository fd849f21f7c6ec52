"""Data sets by name or path: `load`, `fetch`, `available`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .. import paths
from .archives import SUFFIXES, is_archive
from .digits import load_digits, stacked
from .download import found
from .folders import load_folder
from .idx import load_idx
from .images import ImageData
from .vision import load_vision


class DataSet(NamedTuple):
    """A data set with a name.

    Attributes:
        name: for `load`.
        description: one line.
        load: (name, split, image_size, channels) → images.
        files: a pattern of its files in the data folders; empty if it is bundled.
        splits: what may be loaded.
        image_size: used where none is asked for; None keeps the images' own.
    """

    name: str
    description: str
    load: Callable[[str, str, int | None, int | None], ImageData]
    files: str = ""
    splits: tuple[str, ...] = ("train", "test")
    image_size: int | None = None

    @property
    def present(self) -> bool:
        """Whether it is there, at least in part, and need not be downloaded."""
        return not self.files or bool(found(self.files) or self.archives())

    def archives(self) -> list[Path]:
        """Archives of its images in the data folders, such as cifar10-jpeg.tar.gz."""
        names = [self.name + kind for kind in ("", "-jpeg")]
        return found(*(name + suffix for name in names for suffix in SUFFIXES))


def load(
    name: str | Path,
    split: str = "train",
    image_size: int | None = None,
    channels: int | None = None,
    *,
    source: str | Path | None = None,
    n: int | None = None,
    seed: int | None = None,
) -> ImageData:
    """Images of a data set, by its name or by the path of your own.

    Looked for in MULTIGAN_DATA, then in the cache, then downloaded with a progress
    bar and checked; "digits" comes with scikit-learn. Names: see `available`. A path
    is a folder or a .tar, .tar.gz, .tgz or .zip of images (see `load_folder`).

    Args:
        name: a name or a path; relative paths also in the data folders.
        split: "train", "test" (some have "val" or "unlabeled"), or a part of it:
            "test[:8000]", "train[100:200]", "test[8000:]".
        image_size: height and width. None keeps the set's own, but "digits" come at
            16 (they are 8×8), "celeba" and "lsun_church" at 64. The central square
            is scaled, antialiased; from 28 to 32 the MNISTs get a black border of two
            pixels instead, as is usual.
        channels: 1 makes them grey, 3 makes them RGB, None keeps what they are.
        source, n, seed: for "stacked_mnist" alone, which is always RGB: whose digits
            are stacked (default "digits"), how many stacks (default 128,000, as in
            PacGAN) and which (default 0). `split` then says which digits of the source
            are used.

    Raises:
        ValueError: a wrong split or size; damaged files; not images.
        FileNotFoundError: it is nowhere and could not be downloaded, or there is
            neither a data set nor a folder or archive of that name.
    """
    match = re.fullmatch(r"(\w+)(?:\[(\d*):(\d*)\])?", split)
    if match is None:
        raise ValueError(
            f"split {split!r} is not of the form 'test', 'test[:8000]' or "
            "'train[100:200]'"
        )
    if image_size is not None and (type(image_size) is not int or image_size < 1):
        raise ValueError(f"image_size is a positive integer, got {image_size!r}")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels is 1 (grey) or 3 (RGB), got {channels!r}")
    if name == "stacked_mnist":
        digits = load(source or "digits", split, image_size, 1)
        return stacked(digits, 128_000 if n is None else n, seed or 0)
    if (source, n, seed) != (None, None, None):
        raise TypeError(f"source, n and seed are for 'stacked_mnist', not for {name!r}")
    known = KNOWN.get(str(name))
    if known is None:
        data = load_folder(_own(name), match[1], image_size, channels)
    elif match[1] not in known.splits:
        raise ValueError(f"{name} has the splits {known.splits}, not {match[1]!r}")
    else:
        size = image_size or known.image_size
        if archives := known.archives():
            data = load_folder(archives[0], match[1], size, channels)
        else:
            data = known.load(known.name, match[1], size, channels)
    start, stop = int(match[2] or 0), int(match[3] or len(data))
    if not start < stop <= len(data):
        raise ValueError(f"{split!r} is no part of the {len(data)} images of {data}")
    return data[start:stop]


def fetch(name: str) -> list[ImageData]:
    """Download, verify and decode every split of a data set ahead of time.

    Raises:
        ValueError: an unknown name, damaged files.
        FileNotFoundError: it is nowhere and could not be downloaded.
    """
    if name not in KNOWN:
        raise ValueError(f"there is no data set {name!r}, only {', '.join(KNOWN)}")
    return [load(name, split) for split in KNOWN[name].splits]


def available() -> list[DataSet]:
    """Every data set with a name: `.name`, `.description`, `.splits`, `.present`."""
    return SETS


def _own(name: str | Path) -> Path:
    """The folder or archive at a path, or of that name in the data folders."""
    given = Path(name).expanduser()
    for path in (given, *(folder / given for folder in paths.data_folders())):
        if path.is_dir() or (path.is_file() and is_archive(path)):
            return path
    raise FileNotFoundError(
        f"{str(name)!r} is neither a data set ({', '.join(KNOWN)}) nor the path of a "
        f"folder or archive ({', '.join(SUFFIXES)}) of images"
    )


def _imagenet32(
    name: str, split: str, image_size: int | None, channels: int | None
) -> ImageData:
    if folders := found(name):
        return load_folder(folders[0], split, image_size, channels)
    raise FileNotFoundError(
        f"{name} is not in {[*map(str, paths.data_folders())]}, and its licence "
        f"forbids to download it for you: put a folder {name}/ or an archive "
        f"{name}.tar.gz there, with train/<class>/ and val/<class>/ inside"
    )


SETS = [
    DataSet("digits", "digits, 8×8 grey, 1,797", load_digits, image_size=16),
    DataSet("mnist", "digits, 28×28 grey, 60,000 + 10,000", load_idx, "mnist/*idx3*"),
    DataSet(
        "fashion_mnist",
        "articles of clothing, 28×28 grey, 60,000 + 10,000",
        load_idx,
        "fashion_mnist/*idx3*",
    ),
    DataSet(
        "cifar10",
        "small photographs, 32×32 RGB, 50,000 + 10,000",
        load_vision,
        "cifar-10-batches-py",
    ),
    DataSet(
        "stl10",
        "photographs, 96×96 RGB, 5,000 + 8,000 + 100,000 unlabelled",
        load_vision,
        "stl10_binary",
        ("train", "test", "unlabeled"),
    ),
    DataSet(
        "celeba",
        "faces, 178×218 RGB, 202,599, no classes",
        load_vision,
        "celeba",
        ("train", "val", "test"),
        64,
    ),
    DataSet(
        "lsun_church",
        "churches, 126,227 + 300, sizes differ, no classes",
        load_vision,
        "church_outdoor_*_lmdb",
        image_size=64,
    ),
    DataSet(
        "imagenet32",
        "ImageNet at 32×32 RGB, 1,281,167 + 50,000",
        _imagenet32,
        "imagenet32",
        image_size=32,
    ),
    DataSet("stacked_mnist", "three digits as RGB, 1,000 modes, of any digits", load),
]
KNOWN = {known.name: known for known in SETS}
