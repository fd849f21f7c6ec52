import gzip
import hashlib
import os
import struct
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch

import multigan_lib as mg
from multigan_lib.datasets.idx import read_idx

FOLDER = Path(os.environ.get("MULTIGAN_DATA", "nowhere"))
REAL = pytest.mark.skipif(
    not (FOLDER / "mnist" / "t10k-images-idx3-ubyte.gz").exists(),
    reason="MNIST's test images are not in MULTIGAN_DATA",
)
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 28, 28)).astype(np.uint8)
LABELS = (np.arange(12) % 10).astype(np.uint8)


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """MULTIGAN_DATA with twelve test images, no training images."""
    place = tmp_path / "data" / "mnist"
    place.mkdir(parents=True)
    (place / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(PIXELS)))
    (place / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS)))
    monkeypatch.setenv("MULTIGAN_DATA", str(tmp_path / "data"))
    return place


def test_one_split_is_enough(folder):
    data = mg.data.load("mnist", "test")
    assert data.shape == (1, 28, 28) and data.classes == tuple("0123456789")
    assert np.array_equal(data.images[:, 0].numpy(), PIXELS)
    assert data.labels.tolist() == LABELS.tolist()
    assert mg.data.load("mnist", "test[2:5]").labels.tolist() == [2, 3, 4]


def test_the_reader_agrees_with_torchvisions(tmp_path):
    from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

    for array in (PIXELS, LABELS):
        (tmp_path / "file").write_bytes(idx(array))
        expected = read_sn3_pascalvincent_tensor(str(tmp_path / "file"))
        assert np.array_equal(read_idx(tmp_path / "file"), expected.numpy())


def test_plain_files_are_found(cache):
    place = cache / "fashion_mnist"
    place.mkdir(parents=True)
    (place / "train-images-idx3-ubyte").write_bytes(idx(PIXELS))
    (place / "train-labels-idx1-ubyte").write_bytes(idx(LABELS))
    data = mg.data.load("fashion_mnist")
    assert len(data) == 12 and data.classes[9] == "ankle boot"


def test_32_pixels_are_padded_and_other_sizes_scaled(folder):
    data = mg.data.load("mnist", "test", image_size=32)
    assert data.shape == (1, 32, 32)
    assert np.array_equal(data.images[:, 0, 2:-2, 2:-2].numpy(), PIXELS)
    assert data.images.sum() == PIXELS.sum(dtype=np.int64)
    half = mg.data.load("mnist", "test", image_size=14).images[:, 0].double()
    assert half.mean().item() == pytest.approx(PIXELS.mean(), rel=0.01)
    assert mg.data.load("mnist", "test", channels=3).shape == (3, 28, 28)


def test_missing_training_images_name_file_and_remedy(folder, left_over):
    with pytest.raises(FileNotFoundError) as error:
        mg.data.load("mnist")
    for part in ("train-images-idx3-ubyte.gz", "no network", '"test[:8000]"'):
        assert part in str(error.value)
    assert left_over() == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-100],
        lambda content: content[:60] + b"xxxx" + content[64:],
        lambda content: b"",
        lambda content: b"<html>404 not found</html>",
        lambda content: gzip.compress(gzip.decompress(content)[:-1]),
        lambda content: gzip.compress(b"\0\0\x0d\x03" + b"\0" * 40),
    ],
    ids=["truncated", "altered", "empty", "html", "short", "another type"],
)
@pytest.mark.parametrize("kind", ["images-idx3", "labels-idx1"])
def test_a_damaged_file_is_named(folder, damage, kind):
    file = folder / f"t10k-{kind}-ubyte.gz"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ValueError, match="truncated or corrupted") as error:
        mg.data.load("mnist", "test")
    assert str(file) in str(error.value) and "delete it" in str(error.value)


def test_images_and_labels_must_match(folder):
    file = folder / "t10k-labels-idx1-ubyte.gz"
    file.write_bytes(gzip.compress(idx(LABELS[:5])))
    with pytest.raises(ValueError, match="expected 12 integer labels") as error:
        mg.data.load("mnist", "test")
    assert str(file) in str(error.value)
    file.write_bytes(gzip.compress(idx(LABELS + 5)))
    with pytest.raises(ValueError, match="labels run from 5 to 14") as error:
        mg.data.load("mnist", "test")
    assert str(file) in str(error.value)


def published(monkeypatch):
    """Small files in place of the published ones, with their checksums."""
    from torchvision.datasets import MNIST

    files = {
        "train-images-idx3-ubyte.gz": gzip.compress(idx(PIXELS), mtime=0),
        "train-labels-idx1-ubyte.gz": gzip.compress(idx(LABELS), mtime=0),
    }
    sums = [(n, hashlib.md5(content).hexdigest()) for n, content in files.items()]
    monkeypatch.setattr(MNIST, "resources", sums)
    return files, MNIST.mirrors


def test_what_is_missing_is_downloaded_once(monkeypatch, serve, left_over):
    files, _ = published(monkeypatch)
    serve(files)
    assert np.array_equal(mg.data.load("mnist").images[:, 0].numpy(), PIXELS)
    assert left_over() == sorted(files)
    serve({})
    assert len(mg.data.load("mnist")) == 12


def test_another_mirror_is_tried(monkeypatch, serve, left_over):
    files, mirrors = published(monkeypatch)
    dead = {mirrors[0] + name: urllib.error.URLError("down") for name in files}
    serve(files | dead)
    assert len(mg.data.load("mnist")) == 12
    assert left_over() == sorted(files)


@pytest.mark.parametrize("failure", [b"something else", KeyboardInterrupt()])
def test_a_bad_or_broken_download_leaves_nothing(
    monkeypatch, serve, left_over, failure
):
    files, _ = published(monkeypatch)
    serve(dict.fromkeys(files, failure))
    with pytest.raises((FileNotFoundError, KeyboardInterrupt)) as error:
        mg.data.load("mnist")
    assert isinstance(error.value, KeyboardInterrupt) or "corrupted" in str(error.value)
    assert left_over() == []


@REAL
def test_the_real_test_images(monkeypatch):
    monkeypatch.setenv("MULTIGAN_DATA", str(FOLDER))
    data = mg.data.load("mnist", "test[:8000]", image_size=32)
    assert len(data) == 8000 and data.shape == (1, 32, 32)
    held_out = mg.data.load("mnist", "test[8000:]")
    assert len(held_out) == 2000 and held_out.split == "test[8000:]"
    everything = mg.data.load("mnist", "test")
    assert everything.labels.bincount().tolist() == (
        [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    )
    assert everything.x().mean().item() == pytest.approx(0.1325 * 2 - 1, abs=1e-3)
    assert torch.equal(everything.images[8000:], held_out.images)
