"""Finding data, and downloads that are verified and never left half done."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .. import paths

SILENCE = 30.0  # seconds


def found(*patterns: str) -> list[Path]:
    """What matches the patterns in the data folders: the first folder's come first."""
    folders = paths.data_folders()
    return [p for f in folders for pattern in patterns for p in sorted(f.glob(pattern))]


@contextmanager
def downloaded(kind: str, folder: Path, **arguments: Any) -> Iterator[Path]:
    """A temporary folder inside `folder` with what torchvision downloads.

    Shows a progress bar; torchvision checks its checksums. Connections that send
    nothing for `SILENCE` fail instead of waiting forever.

    Args:
        kind: the class in torchvision.datasets.
        folder: where to make it, see `scratch`.
        arguments: of the class.

    Raises:
        OSError, RuntimeError: no address could be reached, or what came was not it.
    """
    from torchvision import datasets

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)
    try:
        with scratch(folder) as temporary:
            getattr(datasets, kind)(str(temporary), download=True, **arguments)
            yield temporary
    finally:
        socket.setdefaulttimeout(before)


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A temporary folder inside `folder`, which is made; on its file system, so
    that what is finished can be moved out of it in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as temporary:
        yield Path(temporary)
