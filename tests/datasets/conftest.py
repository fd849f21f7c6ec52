"""A cache of its own for every test, and no network."""

import io
import shutil
import urllib.error
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multigan_lib import paths


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache; nothing is found elsewhere, nothing can be downloaded."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(paths, "cache", lambda: folder)
    monkeypatch.delenv("MULTIGAN_DATA", raising=False)

    def refused(*_, **__):
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setattr("urllib.request.urlopen", refused)
    return folder


@pytest.fixture
def serve(monkeypatch):
    """Serve files to torchvision's downloads: serve({name: bytes or an exception})."""

    def start(files):
        def retrieve(url, filename, *_, **__):
            content = files.get(url) or files[url.rsplit("/", 1)[-1]]
            if isinstance(content, BaseException):
                Path(filename).write_bytes(b"half of i")
                raise content
            Path(filename).write_bytes(content)

        utils = "torchvision.datasets.utils."
        monkeypatch.setattr(utils + "_urlretrieve", retrieve)
        monkeypatch.setattr(utils + "_get_redirect_url", lambda url, **_: url)

    return start


@pytest.fixture
def picture():
    """Encoded pictures of random pixels, or of one value: picture(seed, …) → bytes."""

    def encode(seed=0, size=(8, 8), mode="RGB", format="PNG", value=None):
        generator = np.random.default_rng(seed)
        shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
        array = generator.integers(0, 256, shape).astype(np.uint8)
        if value is not None:
            array[...] = value
        file = io.BytesIO()
        Image.fromarray(array, mode).save(file, format)
        return file.getvalue()

    return encode


@pytest.fixture
def left_over(cache):
    """The files in the cache, by name."""
    return lambda: sorted(p.name for p in cache.rglob("*") if p.is_file())


@pytest.fixture
def pack():
    """Pack a folder: pack(folder, "tar.gz") → path of the archive beside it."""
    formats = {"tar": "tar", "tar.gz": "gztar", "zip": "zip"}

    def packed(folder, suffix):
        made = shutil.make_archive(str(folder), formats[suffix], folder)
        return Path(made)

    return packed
