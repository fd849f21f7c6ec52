"""Data sets by name or path: `load`, `fetch`, `available`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from .. import paths
from .archives import SUFFIXES, is_archive
from .digits import load_digits, stacked
from .folders import load_folder
from .idx import idx_files, load_idx
from .images import ImageData
from .sizing import resized, with_channels
from .vision import ORIGINS, load_vision, places


class Known(NamedTuple):
    """A data set with a name.

    Attributes:
        description: one line.
        splits: what may be loaded.
        load: (split, image_size, channels) → images.
        places: where it was found; empty if it has to be downloaded.
    """

    description: str
    splits: tuple[str, ...]
    load: Callable[[str, int | None, int | None], ImageData]
    places: Callable[[], list[Path]]


class Available(NamedTuple):
    """A line of `available`: a name, what it is, its splits, where it was found."""

    name: str
    description: str
    splits: tuple[str, ...]
    places: list[Path]

    @property
    def present(self) -> bool:
        """Whether it was found, at least in part."""
        return bool(self.places)


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
        source, n, seed: for "stacked_mnist" alone: whose digits are stacked
            (default "digits"), how many stacks (default 128,000, as in PacGAN) and
            which (default 0). `split` then says which digits of the source are used.

    Raises:
        ValueError: an unknown name, split or size; damaged files; not images.
        FileNotFoundError: it is nowhere and could not be downloaded.
    """
    base, start, stop = _parsed(split)
    _check_size(image_size, channels)
    if name == "stacked_mnist":
        digits = load(source or "digits", split, image_size, 1)
        data = stacked(digits, 128_000 if n is None else n, seed or 0)
        return _converted(data, None, channels)
    if (source, n, seed) != (None, None, None):
        raise TypeError(f"source, n and seed are for 'stacked_mnist', not for {name!r}")
    known = KNOWN.get(str(name))
    if known is None:
        data = load_folder(_own(name), base, image_size, channels)
    elif base in known.splits:
        data = known.load(base, image_size, channels)
    else:
        raise ValueError(f"{name} has the splits {known.splits}, not {base!r}")
    if max(start, stop or 0) > len(data) or start == len(data):
        raise ValueError(f"{split!r} reaches beyond the {len(data)} images of {data}")
    return data[start:stop]


def fetch(name: str) -> list[ImageData]:
    """Download, verify and decode every split of a data set ahead of time.

    Raises:
        ValueError: an unknown name, damaged files.
        FileNotFoundError: it is nowhere and could not be downloaded.
    """
    if name not in KNOWN:
        raise ValueError(_unknown(name))
    return [load(name, split) for split in KNOWN[name].splits]


def available() -> list[Available]:
    """Every data set with a name, and where it was found."""
    return [
        Available(name, known.description, known.splits, known.places())
        for name, known in KNOWN.items()
    ]


def _small(
    read: Callable[[str], ImageData], default: int | None = None
) -> Callable[[str, int | None, int | None], ImageData]:
    """Sets that are held in memory and converted there."""
    return lambda split, image_size, channels: _converted(
        read(split), image_size or default, channels
    )


def _converted(data: ImageData, size: int | None, channels: int | None) -> ImageData:
    images = with_channels(resized(data.images, size, pad=True), channels)
    return ImageData(images, data.labels, data.classes, data.name, data.split)


def _packed(name: str) -> list[Path]:
    """Archives of the data set's images, such as cifar10-jpeg.tar.gz."""
    files = [
        f"{name}{kind}{suffix}" for kind in ("", "-jpeg", "-png") for suffix in SUFFIXES
    ]
    candidates = [folder / file for folder in paths.data_folders() for file in files]
    return [path for path in candidates if path.is_file()]


def _large(
    name: str, split: str, image_size: int | None, channels: int | None
) -> ImageData:
    """As an archive of images if there is one, else as torchvision keeps it."""
    archives = _packed(name)
    if not archives:
        return load_vision(name, split, image_size, channels)
    return load_folder(
        archives[0], split, image_size or ORIGINS[name].image_size, channels
    )


def _large_places(name: str) -> list[Path]:
    return _packed(name) + places(name)


def _imagenet32(split: str, image_size: int | None, channels: int | None) -> ImageData:
    found = _imagenet32_places()
    if not found:
        raise FileNotFoundError(
            f"imagenet32 is not in {paths.data_folders()}, and its licence forbids to "
            "download it for you: put a folder imagenet32/ or an archive "
            "imagenet32.tar.gz there, with train/<class>/ and val/<class>/ inside"
        )
    return load_folder(found[0], split, image_size or 32, channels, "imagenet32")


def _imagenet32_places() -> list[Path]:
    folders = [folder / "imagenet32" for folder in paths.data_folders()]
    return [f for f in folders if f.is_dir()] + _packed("imagenet32")


def _bundled() -> list[Path]:
    from importlib.util import find_spec

    found = find_spec("sklearn")
    return [Path(found.origin).parent / "datasets"] if found and found.origin else []


BOTH = ("train", "test")
KNOWN = {
    "digits": Known(
        "handwritten digits, 8×8 grey, 1,797, with scikit-learn",
        BOTH,
        _small(load_digits, 16),
        _bundled,
    ),
    **{
        name: Known(
            f"{what}, 28×28 grey, 60,000 + 10,000",
            BOTH,
            _small(partial(load_idx, name)),
            partial(idx_files, name),
        )
        for name, what in (
            ("mnist", "handwritten digits"),
            ("fashion_mnist", "articles of clothing"),
        )
    },
    **{
        name: Known(
            what,
            tuple(ORIGINS[name].splits),
            partial(_large, name),
            partial(_large_places, name),
        )
        for name, what in (
            ("cifar10", "small photographs, 32×32 RGB, 50,000 + 10,000"),
            ("stl10", "photographs, 96×96 RGB, 5,000 + 8,000 + 100,000 unlabelled"),
            ("celeba", "faces, 178×218 RGB, 202,599, no classes"),
            ("lsun_church", "churches, 126,227 + 300, sizes differ, no classes"),
        )
    },
    "imagenet32": Known(
        "ImageNet at 32×32 RGB, 1,281,167 + 50,000",
        BOTH,
        _imagenet32,
        _imagenet32_places,
    ),
    "stacked_mnist": Known(
        "three digits as RGB, 1,000 modes, made from any digits",
        BOTH,
        partial(load, "stacked_mnist"),
        _bundled,
    ),
}


def _own(name: str | Path) -> Path:
    """The folder or archive at a path, or of that name in the data folders."""
    given = Path(name).expanduser()
    for path in (given, *(folder / given for folder in paths.data_folders())):
        if path.is_dir() or (path.is_file() and is_archive(path)):
            return path
        if path.is_file():
            raise ValueError(
                f"{path} is neither a folder nor one of {', '.join(SUFFIXES)}"
            )
    if isinstance(name, Path) or is_archive(given) or len(given.parts) > 1:
        raise FileNotFoundError(f"there is no folder or archive {given}")
    raise ValueError(_unknown(name))


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, KNOWN, 1)
    return f"there is no data set {name!r}" + (
        f", did you mean {near[0]!r}?"
        if near
        else f": choose one of {', '.join(KNOWN)}, or give the path of your own images"
    )


def _parsed(split: str) -> tuple[str, int, int | None]:
    """ "test[:8000]" → ("test", 0, 8000)."""
    match = re.fullmatch(r"(\w+)(?:\[(\d*):(\d*)\])?", split)
    if match is None:
        raise ValueError(
            f"split {split!r} is not of the form 'test', 'test[:8000]' or "
            "'train[100:200]'"
        )
    start, stop = int(match[2] or 0), int(match[3]) if match[3] else None
    if stop is not None and stop <= start:
        raise ValueError(f"split {split!r} holds no image")
    return match[1], start, stop


def _check_size(image_size: int | None, channels: int | None) -> None:
    if image_size is not None and (type(image_size) is not int or image_size < 1):
        raise ValueError(f"image_size is a positive integer, got {image_size!r}")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels is 1 (grey) or 3 (RGB), got {channels!r}")
