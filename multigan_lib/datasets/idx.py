"""MNIST and Fashion-MNIST from their original IDX files."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import torch

from .. import paths
from .download import downloaded, found
from .images import ImageData
from .sizing import converted

CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
}
TORCHVISION = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}
PREFIX = {"train": "train", "test": "t10k"}


def load_idx(
    name: str, split: str, image_size: int | None, channels: int | None
) -> ImageData:
    """One split of "mnist" or "fashion_mnist", 28×28, from its two IDX files.

    Each file, gzipped or plain, is looked for in `<folder>/<name>/`, for every folder
    of `paths.data_folders()`; a missing one is downloaded. Only the files of the
    wanted split are needed.

    Raises:
        FileNotFoundError: a file is missing and could not be downloaded.
        ValueError: a file is truncated or corrupted, or the two do not match.
    """
    image_file = _find(name, split, "images-idx3-ubyte")
    label_file = _find(name, split, "labels-idx1-ubyte")
    images, labels = (torch.from_numpy(read_idx(f)) for f in (image_file, label_file))
    try:
        data = ImageData(images.unsqueeze(1), labels, CLASSES[name], name, split)
    except ValueError as error:
        raise ValueError(
            f"{image_file} and {label_file} do not belong together: {error}"
        ) from error
    return converted(data, image_size, channels)


def read_idx(path: Path) -> np.ndarray:
    """The array of an IDX file of unsigned bytes, gzipped or plain.

    Raises:
        ValueError: the file is truncated, corrupted or no such file.
    """
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        if content[:3] != b"\0\0\x08":
            raise ValueError("it does not begin as an IDX file of bytes")
        shape = np.frombuffer(content, ">u4", content[3], 4)
        values = np.frombuffer(bytearray(content), np.uint8, -1, 4 + shape.nbytes)
        return values.reshape(shape)
    except (EOFError, gzip.BadGzipFile, zlib.error, ValueError) as error:
        raise ValueError(
            f"{path} is truncated or corrupted ({error}): delete it, and it will be "
            "downloaded again"
        ) from error


def _find(name: str, split: str, kind: str) -> Path:
    file = f"{PREFIX[split]}-{kind}"
    if files := found(f"{name}/{file}.gz", f"{name}/{file}"):
        return files[0]
    place = paths.cache() / name
    try:
        with downloaded(TORCHVISION[name], place, train=split == "train") as temporary:
            for path in temporary.glob("*/raw/*.gz"):
                path.replace(place / path.name)
    except (OSError, RuntimeError) as error:
        raise FileNotFoundError(
            f"{name}: {file}.gz is missing and could not be downloaded ({error}); put "
            f"it into {paths.data_folders()[0] / name}, or use the other split if it "
            'is there, such as split="test[:8000]"'
        ) from error
    return place / f"{file}.gz"
