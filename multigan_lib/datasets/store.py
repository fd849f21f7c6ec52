"""Decoded images kept in the cache and memory-mapped: decoded once, loaded at once.

One safetensors file a set, split and size: labels, then images. It is written
beside its place and moved there when it is whole.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch

from .. import paths
from .download import scratch
from .images import ImageData


class Decoded(NamedTuple):
    """Images about to be stored.

    Attributes:
        length: number of images N.
        shape: one image's (C, H, W).
        labels: N integers, or None.
        classes: the labels' names.
        rows: pairs of a position in 0..N-1 and its uint8 image (C, H, W), every
            position once, in any order.
    """

    length: int
    shape: tuple[int, ...]
    labels: list[int] | None
    classes: tuple[str, ...]
    rows: Iterable[tuple[int, np.ndarray]]


def stored(
    key: str, fingerprint: str, name: str, split: str, decode: Callable[[], Decoded]
) -> ImageData:
    """The stored images of `key`, memory-mapped; decoded first if there are none.

    Args:
        key: the file's name in the cache, without suffix.
        fingerprint: changes when the originals do; other stored images are replaced.
        name, split: for the `ImageData`.
        decode: makes the images.

    Raises:
        OSError: the cache's disk is too full.
        Whatever `decode` raises; the cache is then as it was.
    """
    path = paths.cache() / "decoded" / f"{key}.safetensors"
    found = _read(path, fingerprint)
    if found is None:
        _write(path, fingerprint, decode())
        found = _read(path, fingerprint)
        if found is None:
            raise OSError(f"{path} was changed by another program while it was written")
    images, labels, classes = found
    return ImageData(images, labels, classes, name, split)


def _read(
    path: Path, fingerprint: str
) -> tuple[torch.Tensor, torch.Tensor | None, tuple[str, ...]] | None:
    """What `path` holds; None if it is absent, out of date or damaged."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(size, path.stat().st_size)))
        notes = header["__metadata__"]
        whole = path.stat().st_size == 8 + size + header["images"]["data_offsets"][1]
        if notes["fingerprint"] != fingerprint or not whole:
            return None
        images = _mapped(path, 8 + size, header["images"], np.uint8)
        labels = header.get("labels")
        if labels is not None:
            labels = _mapped(path, 8 + size, labels, np.int64).clone()
        return images, labels, tuple(json.loads(notes["classes"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _mapped(path: Path, start: int, entry: dict[str, Any], dtype: type) -> torch.Tensor:
    # Copy-on-write: what is written to the tensor stays in memory.
    offset, shape = start + entry["data_offsets"][0], tuple(entry["shape"])
    return torch.from_numpy(np.memmap(path, dtype, "c", offset, shape))


def _write(path: Path, fingerprint: str, data: Decoded) -> None:
    header, start = _header(fingerprint, data)
    row = math.prod(data.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    needed, free = start + data.length * row, shutil.disk_usage(path.parent).free
    if needed > free:
        raise OSError(
            f"the decoded images take {needed >> 20} MB, but the disk of {path.parent} "
            f"has {free >> 20} MB free: make space or choose a smaller image_size"
        )
    with scratch(path.parent) as folder:
        with (folder / path.name).open("wb") as file:
            file.write(header)
            if data.labels is not None:
                file.write(np.asarray(data.labels, np.int64).tobytes())
            _write_rows(file, start, row, data)
        (folder / path.name).replace(path)


def _header(fingerprint: str, data: Decoded) -> tuple[bytes, int]:
    """A safetensors header, and where in the file the images begin."""
    before = 0 if data.labels is None else 8 * data.length
    total = before + data.length * math.prod(data.shape)
    entries: dict[str, Any] = {
        "__metadata__": {
            "fingerprint": fingerprint,
            "classes": json.dumps(list(data.classes)),
        },
        "images": {
            "dtype": "U8",
            "shape": [data.length, *data.shape],
            "data_offsets": [before, total],
        },
    }
    if data.labels is not None:
        entries["labels"] = {
            "dtype": "I64",
            "shape": [data.length],
            "data_offsets": [0, before],
        }
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, 8 + len(text) + before


def _write_rows(file: BinaryIO, start: int, row: int, data: Decoded) -> None:
    from tqdm.auto import tqdm

    written = 0
    for position, image in tqdm(
        data.rows, "decoding", data.length, unit="image", delay=1, leave=False
    ):
        file.seek(start + position * row)
        file.write(image.tobytes())
        written += 1
    if written != data.length:
        raise ValueError(f"{written} of {data.length} images could be read")
