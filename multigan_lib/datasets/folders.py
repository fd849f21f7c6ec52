"""Your own pictures: a folder or archive of images, with or without classes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .archives import contents, fingerprint, names, stem
from .images import ImageData
from .store import Decoded, stored

if TYPE_CHECKING:
    from PIL import Image

SPLITS = {"train", "test", "val"}


class MixedError(Exception):
    """Images in grey and images in colour."""


def load_folder(
    source: Path,
    split: str = "train",
    image_size: int | None = None,
    channels: int | None = None,
) -> ImageData:
    """Images of a folder or a .tar, .tar.gz, .tgz or .zip; hidden files are skipped.

    Sub-folders are classes, in alphabetical order; without them there are no labels.
    All that may stand under train/, test/ and val/; if it does not, all is "train".
    A single folder that holds everything is looked through. The order is shuffled,
    always in the same way, so that a slice such as "train[:1000]" holds every class.

    Decoded once and kept in the cache, from where the images are memory-mapped.

    Args:
        source: the folder or archive; its name becomes that of the `ImageData`.
        split: "train", "test" or "val", without a slice.
        image_size: the central square of every image is scaled to this size; needed
            where sizes differ.
        channels: 1 for grey, 3 for RGB; None: grey if every image is, else RGB.

    Raises:
        ValueError: no images, no such split, damaged files, files that are not
            images, mixed sizes without `image_size`; names the file and the remedy.
    """
    name, mark = stem(source), fingerprint(source)
    where = hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:8]
    key = f"{name}-{where}-{split}-{image_size or 'as-is'}-{channels or 'as-is'}"

    def load(channels: int | None) -> ImageData:
        def decode() -> Decoded:
            files, labels, classes = layout(source, split)
            rows = _rows(source, files, image_size, channels)
            return Decoded(len(files), labels, classes, rows)

        return stored(key, mark, name, split, decode)

    try:
        return load(channels)
    except MixedError:
        return load(3)


def layout(
    source: Path, split: str
) -> tuple[list[str], list[int] | None, tuple[str, ...]]:
    """The files of a split in its order, their labels, and all classes."""
    files = {name: name.split("/") for name in names(source)}
    if not files:
        raise ValueError(
            f"{source} holds no image: put images into it, or into one sub-folder for "
            "each class"
        )
    while len(tops := {parts[0] for parts in files.values()}) == 1 and all(
        len(parts) > 1 and parts[0] not in SPLITS for parts in files.values()
    ):
        files = {name: parts[1:] for name, parts in files.items()}
    chosen = list(files) if split == "train" else []
    if splits := sorted(tops & SPLITS):
        if tops - SPLITS:
            raise ValueError(
                f"{source} has {sorted(tops - SPLITS)} beside {splits}: move them"
            )
        wanted = "val" if split == "test" and "test" not in tops else split
        chosen = [name for name, parts in files.items() if parts[0] == wanted]
        files = {name: parts[1:] for name, parts in files.items()}
    if not chosen:
        some = len(files) * 4 // 5
        raise ValueError(
            f"{source} has no {split}/, only {splits or ['train']}; slices hold images "
            f"out, such as split='train[:{some}]' and 'train[{some}:]'"
        )
    loose = [name for name, parts in files.items() if len(parts) == 1]
    if 0 < len(loose) < len(files):
        raise ValueError(
            f"{source} mixes images in class folders with images outside them "
            f"({loose[0]}): give each a class folder, or none"
        )
    # A hash, not a generator: folder and archive agree, and an added file moves
    # no other.
    chosen.sort(
        key=lambda name: hashlib.sha256("/".join(files[name]).encode()).digest()
    )
    if loose:
        return chosen, None, ()
    classes = sorted({parts[0] for parts in files.values()})
    label = {name: index for index, name in enumerate(classes)}
    return chosen, [label[files[name][0]] for name in chosen], tuple(classes)


def _rows(
    source: Path, files: list[str], image_size: int | None, channels: int | None
) -> Iterator[tuple[int, np.ndarray]]:
    """Positions and images; raises on the first that differs from the others."""
    positions = {name: position for position, name in enumerate(files)}
    first = None
    for name, content in contents(source, positions):
        try:
            image = pixels(content, image_size, channels)
        except Exception as error:  # decoders raise many kinds
            raise ValueError(
                f"{source} holds {name}, which cannot be read as an image "
                f"({error}): replace or remove it"
            ) from error
        first = first or (name, image.shape)
        if image.shape[1:] != first[1][1:]:
            raise ValueError(
                f"{source} holds images of different sizes: {first[0]} is "
                f"{_size(first[1])}, {name} is {_size(image.shape)}; choose one for "
                "all, e.g. image_size=32"
            )
        if image.shape != first[1]:
            raise MixedError
        yield positions[name], image


def pixels(content: bytes, image_size: int | None, channels: int | None) -> np.ndarray:
    """An encoded image as uint8 (C, H, W), upright, on white if transparent.

    Args:
        content: a JPEG, PNG, … file's bytes.
        image_size: height and width to which its central square is scaled.
        channels: 1 for grey, 3 for RGB, None for what it is.
    """
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(content)) as opened:
        if opened.mode[0] in "IF":
            raise ValueError(f"mode {opened.mode}: convert it to 8 bits a channel")
        image = ImageOps.exif_transpose(opened)
        grey = image.mode in ("1", "L", "LA") if channels is None else channels == 1
        if image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image)
        return fitted(image.convert("L" if grey else "RGB"), image_size)


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
