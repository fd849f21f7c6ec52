"""Downloads that are verified and never left half done."""

from __future__ import annotations

import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SILENCE = 30.0  # seconds
DAY = 24 * 3600.0  # seconds


def download(urls: list[str], folder: Path, md5: str) -> Path:
    """The file at the first of `urls` that answers, verified, in `folder`.

    Shows a progress bar. The file appears in `folder` only once it is whole.

    Raises:
        OSError: no address could be reached, or what came was not the file.
    """
    from torchvision.datasets.utils import download_url

    reasons = []
    with scratch(folder) as temporary, patience():
        for url in urls:
            try:
                download_url(url, temporary, md5=md5)
            except (OSError, RuntimeError) as error:
                reasons.append(f"{url}: {error}")
                continue
            path = temporary / url.rsplit("/", 1)[-1]
            return path.replace(folder / path.name)
    raise OSError("; ".join(reasons))


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A temporary folder inside `folder`, which is made; on its file system, so
    that what is finished can be moved out of it in one step. What a killed process
    left there is removed after a day."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".partial-*"):
        if time.time() - left.stat().st_mtime > DAY:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as temporary:
        yield Path(temporary)


@contextmanager
def patience() -> Iterator[None]:
    """Connections that send nothing for `SILENCE` fail instead of waiting forever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
