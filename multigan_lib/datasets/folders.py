"""Your own pictures: a folder or archive of images, with or without classes."""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .archives import contents, fingerprint, index, stem
from .images import ImageData
from .store import Decoded, stored

if TYPE_CHECKING:
    from PIL import Image

IMAGES = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm"),
)
SPLITS = {"train", "test", "val"}
SMALL = 4096  # bytes of an encoded image; below, threads cost more than they save
THREADS = 4
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error)


class ColourError(Exception):
    """An image in colour among what was taken for grey."""


def load_folder(
    source: Path,
    split: str = "train",
    image_size: int | None = None,
    channels: int | None = None,
    name: str | None = None,
) -> ImageData:
    """Images of a folder or a .tar, .tar.gz, .tgz or .zip; hidden files are skipped.

    Sub-folders are classes, in alphabetical order; without them there are no labels.
    All that may stand under train/, test/ and val/; if it does not, all is "train".
    A single folder that holds everything is looked through. The order is shuffled,
    always in the same way, so that a slice such as "train[:1000]" holds every class.

    Decoded once and kept in the cache, from where the images are memory-mapped.

    Args:
        source: the folder or archive.
        split: "train", "test" or "val", without a slice.
        image_size: the central square of every image is scaled to this size; needed
            where sizes differ.
        channels: 1 for grey, 3 for RGB; None: grey if every image is, else RGB.
        name: of the `ImageData`; the source's name if None.

    Raises:
        ValueError: no images, no such split, damaged files, files that are not
            images, mixed sizes without `image_size`; names the file and the remedy.
    """
    where = hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:8]
    key = f"{stem(source)}-{where}-{split}-{image_size or 'as-is'}"
    if channels is not None:
        key += f"-{'grey' if channels == 1 else 'rgb'}"
    files = cache(lambda: layout(source, split))

    def load(channels: int, strict: bool) -> ImageData:
        return stored(
            key,
            fingerprint(source),
            name or stem(source),
            split,
            lambda: _decode(source, files(), image_size, channels, strict),
        )

    try:
        return load(channels or 1, strict=channels is None)
    except ColourError:  # now that one is in colour, all are
        return load(3, strict=False)


class Layout(NamedTuple):
    """Which files make a split: their places in the source, keyed by their paths, in
    the split's order; their labels; the classes."""

    places: dict[str, Any]
    labels: list[int] | None
    classes: tuple[str, ...]


def layout(source: Path, split: str) -> Layout:
    """The files of a split and their labels, from the paths alone."""
    places = index(source)
    files = {name: tuple(name.split("/")) for name in places}
    if not files:
        raise ValueError(
            f"{source} holds no image: put images into it, or into one sub-folder for "
            "each class"
        )
    for name in files:
        if not name.lower().endswith(IMAGES):
            raise ValueError(
                f"{source} holds {name}, which is not an image: move it elsewhere"
            )
    while len({parts[0] for parts in files.values()}) == 1 and all(
        len(parts) > 1 and parts[0] not in SPLITS for parts in files.values()
    ):
        files = {name: parts[1:] for name, parts in files.items()}
    tops = {parts[0] for parts in files.values()}
    if tops <= SPLITS:
        classes = _classes(source, {n: parts[1:] for n, parts in files.items()})
        wanted = "val" if split == "test" and "test" not in tops else split
        files = {n: p[1:] for n, p in files.items() if p[0] == wanted}
        if not files:
            raise ValueError(f"{source} has no {split}/, only {sorted(tops)}")
    elif {"train", "test"} <= tops:
        others = sorted(tops - SPLITS)
        raise ValueError(f"{source} has {others} beside train/ and test/: move them")
    else:
        classes = _classes(source, files)
        if split != "train":
            raise ValueError(
                f"{source} has no {split}/: all its images are in 'train'; hold some "
                f"out with slices, such as split='train[:{len(files) * 4 // 5}]' and "
                f"'train[{len(files) * 4 // 5}:]'"
            )
    order = sorted(files, key=lambda name: _shuffled(files[name]))
    labels = [classes.index(files[n][0]) for n in order] if classes else None
    return Layout({name: places[name] for name in order}, labels, classes)


def _classes(source: Path, files: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    loose = [name for name, parts in files.items() if len(parts) == 1]
    if not loose:
        return tuple(sorted({parts[0] for parts in files.values()}))
    if len(loose) < len(files):
        inside = next(name for name, parts in files.items() if len(parts) > 1)
        raise ValueError(
            f"{source} mixes images in classes ({inside}) with images without "
            f"({loose[0]}): give each a class folder, or none"
        )
    return ()


def _shuffled(parts: tuple[str, ...]) -> bytes:
    # A hash, not a generator: folder and archive agree, and an added file moves
    # no other.
    return hashlib.sha256("/".join(parts).encode()).digest()


def _decode(
    source: Path, files: Layout, image_size: int | None, channels: int, strict: bool
) -> Decoded:
    rows = _rows(source, files.places, image_size, channels, strict)
    first = next(rows)
    return Decoded(
        len(files.places),
        first[1].shape,
        files.labels,
        files.classes,
        chain([first], rows),
    )


def _rows(
    source: Path,
    places: dict[str, Any],
    image_size: int | None,
    channels: int,
    strict: bool,
) -> Iterator[tuple[int, np.ndarray]]:
    """Positions and images; raises on the first that differs in size."""
    positions = {name: position for position, name in enumerate(places)}

    def decode(file: tuple[str, bytes]) -> tuple[str, np.ndarray]:
        try:
            return file[0], pixels(file[1], image_size, channels, strict)
        except UNREADABLE as error:
            raise ValueError(
                f"{source} holds {file[0]}, which cannot be read as an image "
                f"({error}): replace or remove it"
            ) from error

    files = contents(source, places)
    first = None
    with ThreadPoolExecutor(THREADS) as pool:
        while window := list(islice(files, 32)):
            threads = len(window[0][1]) > SMALL
            for name, image in (pool.map if threads else map)(decode, window):
                first = first or (name, image.shape)
                if image.shape != first[1]:
                    raise ValueError(
                        f"{source} holds images of different sizes: {first[0]} is "
                        f"{_size(first[1])}, {name} is {_size(image.shape)}; choose "
                        "one for all, e.g. image_size=32"
                    )
                yield positions[name], image


def pixels(
    content: bytes, image_size: int | None, channels: int, strict: bool = False
) -> np.ndarray:
    """An encoded image as uint8 (channels, H, W), upright, on white if transparent.

    Args:
        content: a JPEG, PNG, … file's bytes.
        image_size: height and width to which its central square is scaled.
        channels: 1 for grey, 3 for RGB.
        strict: with `channels` 1, refuse images in colour.
    """
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(content)) as opened:
        if opened.mode[0] in "IF":
            raise ValueError(f"mode {opened.mode}: convert it to 8 bits a channel")
        if strict and channels == 1 and opened.mode not in ("1", "L", "LA"):
            raise ColourError
        image = ImageOps.exif_transpose(opened)
        if image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image)
        return fitted(image.convert("L" if channels == 1 else "RGB"), image_size)


def fitted(image: Image.Image, image_size: int | None) -> np.ndarray:
    """A PIL image, grey or RGB, as uint8 (C, H, W), its central square scaled."""
    from PIL import Image, ImageOps

    if image_size is not None and image.size != (image_size, image_size):
        scaling = Image.Resampling.BILINEAR  # antialiased
        image = ImageOps.fit(image, (image_size, image_size), scaling)
    array = np.asarray(image)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[-1]}×{shape[-2]}"
