"""MNIST and Fashion-MNIST from their original IDX files."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import torch

from .. import paths
from .download import download
from .images import ImageData

CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
}
TORCHVISION = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}
PREFIX = {"train": "train", "test": "t10k"}


def load_idx(name: str, split: str) -> ImageData:
    """One split of "mnist" or "fashion_mnist" at 28×28 from its two IDX files.

    Each file, gzipped or plain, is looked for in `<folder>/<name>/` and in
    torchvision's `<folder>/MNIST/raw/`, for every folder of `paths.data_folders()`;
    a missing one is downloaded. Only the files of the wanted split are needed.

    Raises:
        FileNotFoundError: a file is missing and could not be downloaded.
        ValueError: a file is truncated or corrupted, or the two do not match.
    """
    image_file = _find(name, split, "images-idx3-ubyte")
    label_file = _find(name, split, "labels-idx1-ubyte")
    images, labels = read_idx(image_file), read_idx(label_file)
    if images.ndim != 3 or images.shape[0] == 0:
        raise ValueError(f"{image_file} holds {images.shape}, not images (N, H, W)")
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"{image_file} holds {len(images)} images, but {label_file} holds "
            f"{labels.shape} labels: replace the one that is not the original"
        )
    try:
        return ImageData(
            torch.from_numpy(images).unsqueeze(1),
            torch.from_numpy(labels),
            CLASSES[name],
            name,
            split,
        )
    except ValueError as error:
        raise ValueError(f"{label_file}: {error}") from error


def read_idx(path: Path) -> np.ndarray:
    """The array of an IDX file of unsigned bytes, gzipped or plain.

    Raises:
        ValueError: the file is truncated, corrupted or no such file.
    """
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _corrupted(path, str(error)) from error
    dimensions = content[3] if content[:3] == b"\0\0\x08" and content[3:] else 0
    start = 4 + 4 * dimensions
    if dimensions == 0 or len(content) < start:
        raise _corrupted(path, "it does not begin as an IDX file of bytes")
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", dimensions, 4))
    expected = start + int(np.prod(shape))
    if len(content) != expected:
        raise _corrupted(path, f"{len(content)} bytes instead of {expected}")
    return np.frombuffer(bytearray(content), np.uint8, -1, start).reshape(shape)


def _corrupted(path: Path, reason: str) -> ValueError:
    return ValueError(
        f"{path} is truncated or corrupted ({reason}): delete it, and it will be "
        "downloaded again"
    )


def _find(name: str, split: str, kind: str) -> Path:
    file = f"{PREFIX[split]}-{kind}"
    found = _present(name, file)
    if found:
        return found
    try:
        return _download(name, f"{file}.gz")
    except OSError as error:
        remedy = f"put it into {paths.data_folders()[0] / name}"
        if split == "train" and _present(name, "t10k-images-idx3-ubyte"):
            remedy += ', or use the test images, which are there: "test[:8000]"'
        raise FileNotFoundError(
            f"{name}: {file}.gz is missing and could not be downloaded ({error}); "
            f"{remedy}"
        ) from error


def _present(name: str, file: str) -> Path | None:
    for folder in paths.data_folders():
        for place in (folder / name, folder / TORCHVISION[name] / "raw"):
            for path in (place / f"{file}.gz", place / file):
                if path.is_file():
                    return path
    return None


def idx_files(name: str) -> list[Path]:
    """The IDX files of images that are there."""
    files = (
        _present(name, f"{prefix}-images-idx3-ubyte") for prefix in PREFIX.values()
    )
    return [file for file in files if file]


def _download(name: str, file: str) -> Path:
    from torchvision import datasets

    source = getattr(datasets, TORCHVISION[name])
    urls = [f"{mirror}{file}" for mirror in source.mirrors]
    return download(urls, paths.cache() / name, dict(source.resources)[file])
