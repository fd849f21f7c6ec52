"""Decoded images kept in the cache and memory-mapped: decoded once, loaded at once.

A set, split and size is two files: the images as .npy, all the rest as .json. They are
written beside their place and moved there when they are whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from .. import paths
from .download import scratch
from .images import ImageData


class Decoded(NamedTuple):
    """Images about to be stored.

    Attributes:
        n: number of images.
        labels: n integers, or None.
        classes: the labels' names.
        rows: pairs of a position in 0..n-1 and its uint8 image (C, H, W), every
            position once, in any order.
    """

    n: int
    labels: list[int] | None
    classes: tuple[str, ...]
    rows: Iterator[tuple[int, np.ndarray]]


def stored(
    key: str, fingerprint: str, name: str, split: str, decode: Callable[[], Decoded]
) -> ImageData:
    """The stored images of `key`, memory-mapped; decoded first if there are none.

    Args:
        key: the files' name in the cache, without suffix.
        fingerprint: changes when the originals do; other stored images are replaced.
        name, split: for the `ImageData`.
        decode: makes the images.

    Raises:
        OSError: the cache's disk is full.
        Whatever `decode` raises; the cache is then as it was.
    """
    path = paths.cache() / "decoded" / f"{key}.npy"
    try:
        images, about = _read(path)
    except (FileNotFoundError, ValueError):  # none, or damaged
        about = {}
    if about.get("fingerprint") != fingerprint:
        _write(path, fingerprint, decode())
        images, about = _read(path)
    labels = None if about["labels"] is None else torch.tensor(about["labels"])
    return ImageData(images, labels, tuple(about["classes"]), name, split)


def _read(path: Path) -> tuple[torch.Tensor, dict[str, Any]]:
    about = json.loads(path.with_suffix(".json").read_text())
    # Copy-on-write: what is written to the tensor stays in memory.
    return torch.from_numpy(np.lib.format.open_memmap(path, "c")), about


def _write(path: Path, fingerprint: str, data: Decoded) -> None:
    from tqdm.auto import tqdm

    about = {
        "fingerprint": fingerprint,
        "labels": data.labels,
        "classes": data.classes,
    }
    rows = iter(tqdm(data.rows, "decoding", data.n, unit="image", delay=1, leave=False))
    with scratch(path.parent) as folder:
        with (folder / "images").open("wb") as file:
            first = next(rows)
            shape = (data.n, *first[1].shape)
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_2_0(file, header)
            start = file.tell()
            for position, image in chain([first], rows):
                file.seek(start + position * image.size)
                file.write(image.tobytes())
        (folder / "about").write_text(json.dumps(about))
        # First away with the old: at no time do old and new stand together.
        path.with_suffix(".json").unlink(missing_ok=True)
        (folder / "images").replace(path)
        (folder / "about").replace(path.with_suffix(".json"))
