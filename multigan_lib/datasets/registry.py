"""Data sets by name: `load`."""

from __future__ import annotations

import re

from .digits import load_digits, stacked
from .idx import load_idx
from .images import ImageData
from .sizing import resized, with_channels


def load(
    name: str,
    split: str = "train",
    image_size: int | None = None,
    channels: int | None = None,
    source: str = "digits",
    n: int = 128_000,
    seed: int = 0,
) -> ImageData:
    """First version: digits, mnist, fashion_mnist, stacked_mnist."""
    base, part = parse_split(split)
    if name == "stacked_mnist":
        return stacked(load(source, split, image_size, 1), n, seed)
    if name == "digits":
        data, image_size = load_digits(base), image_size or 16
    elif name in ("mnist", "fashion_mnist"):
        data = load_idx(name, base)
    else:
        raise ValueError(f"unknown data set {name!r}")
    images = with_channels(resized(data.images, image_size, pad=True), channels)
    return ImageData(images, data.labels, data.classes, data.name, data.split)[part]


def parse_split(split: str) -> tuple[str, slice]:
    """ "test[:8000]" → ("test", slice(None, 8000))."""
    match = re.fullmatch(r"(\w+)(?:\[(\d*):(\d*)\])?", split)
    if match is None:
        raise ValueError(f"unreadable split {split!r}")
    start, stop = (int(bound) if bound else None for bound in match.groups()[1:])
    return match[1], slice(start, stop)
