"""torchvision's own readers on miniature files in torchvision's own formats."""

import hashlib
import io
import pickle
import sys
import tarfile
import types

import numpy as np
import pytest
import torch
from torchvision import datasets as tv

import multigan_lib as mg

NAMES = ["airplane", "automobile", "bird"]


def digest(content):
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def cifar10(monkeypatch):
    """Miniature CIFAR-10 files by name; `.pixels[split]` are their images."""
    generator = np.random.default_rng(0)
    files, pixels = {}, {"train": [], "test": []}
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        rows = generator.integers(0, 256, (4, 3072)).astype(np.uint8)
        files[name] = pickle.dumps({"data": rows, "labels": [0, 1, 2, 1]})
        pixels["test" if name == "test_batch" else "train"].append(rows)
    files["batches.meta"] = pickle.dumps({"label_names": NAMES})
    sums = {name: digest(content) for name, content in files.items()}
    train = [[name, sums[name]] for name in sums if name.startswith("data")]
    monkeypatch.setattr(tv.CIFAR10, "train_list", train)
    monkeypatch.setattr(tv.CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    meta = {"filename": "batches.meta", "key": "label_names"}
    monkeypatch.setattr(tv.CIFAR10, "meta", meta | {"md5": sums["batches.meta"]})
    return types.SimpleNamespace(
        files=files,
        pixels={s: np.concatenate(p).reshape(-1, 3, 32, 32) for s, p in pixels.items()},
    )


def write(folder, files):
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("split", ["train", "test"])
def test_cifar10(cifar10, tmp_path, monkeypatch, split):
    write(tmp_path / "data" / "cifar-10-batches-py", cifar10.files)
    monkeypatch.setenv("MULTIGAN_DATA", str(tmp_path / "data"))
    data = mg.data.load("cifar10", split)
    assert np.array_equal(data.images.numpy(), cifar10.pixels[split])
    assert data.labels.tolist() == [0, 1, 2, 1] * (5 if split == "train" else 1)
    assert data.classes == tuple(NAMES)
    assert mg.data.load("cifar10", split, image_size=16).shape == (3, 16, 16)
    assert mg.data.load("cifar10", split, channels=1).shape == (1, 32, 32)


def test_a_damaged_cifar10_is_named(cifar10, cache, left_over):
    folder = cache / "cifar-10-batches-py"
    write(folder, cifar10.files | {"data_batch_3": b"damaged"})
    with pytest.raises(ValueError, match="incomplete or corrupted") as error:
        mg.data.load("cifar10")
    assert str(folder) in str(error.value) and "delete it" in str(error.value)
    assert left_over() == sorted(cifar10.files)


def archive(folder, files):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


def test_cifar10_is_downloaded_checked_and_kept(cifar10, monkeypatch, serve, cache):
    content = archive("cifar-10-batches-py", cifar10.files)
    monkeypatch.setattr(tv.CIFAR10, "tgz_md5", digest(content))
    serve({"cifar-10-python.tar.gz": content})
    assert [len(data) for data in mg.data.fetch("cifar10")] == [20, 4]
    assert sorted(p.name for p in cache.iterdir()) == ["cifar-10-batches-py", "decoded"]
    assert mg.data.available()[3].present


@pytest.mark.parametrize("failure", [b"not it", KeyboardInterrupt()])
def test_a_broken_download_leaves_nothing(
    cifar10, monkeypatch, serve, left_over, failure
):
    serve({"cifar-10-python.tar.gz": failure})
    with pytest.raises((FileNotFoundError, KeyboardInterrupt)):
        mg.data.load("cifar10")
    assert left_over() == []


def test_an_archive_of_images_comes_first(cifar10, cache, picture, pack, tmp_path):
    write(cache / "cifar-10-batches-py", cifar10.files)
    (tmp_path / "x" / "test" / "cat").mkdir(parents=True)
    (tmp_path / "x" / "test" / "cat" / "1.jpg").write_bytes(picture(format="JPEG"))
    pack(tmp_path / "x", "tar.gz").rename(cache / "cifar10-jpeg.tar.gz")
    data = mg.data.load("cifar10", "test")
    assert data.name == "cifar10-jpeg" and len(data) == 1


def test_stl10(cache, monkeypatch):
    generator = np.random.default_rng(0)
    folder = cache / "stl10_binary"
    pixels = generator.integers(0, 256, (3, 3, 96, 96)).astype(np.uint8)
    stored = pixels.transpose(0, 1, 3, 2).tobytes()  # column by column
    files = {
        "train_X.bin": stored,
        "train_y.bin": bytes([1, 3, 2]),
        "unlabeled_X.bin": stored,
        "test_X.bin": stored,
        "test_y.bin": bytes([2, 2, 1]),
        "class_names.txt": b"\n".join(name.encode() for name in NAMES),
        "fold_indices.txt": b"0 1\n",
    }
    write(folder, files)
    for split in ("train_list", "test_list"):
        names = [name for name, _ in getattr(tv.STL10, split)]
        monkeypatch.setattr(tv.STL10, split, [[n, digest(files[n])] for n in names])
    train = mg.data.load("stl10")
    assert np.array_equal(train.images.numpy(), pixels)
    assert train.labels.tolist() == [0, 2, 1] and train.classes == tuple(NAMES)
    unlabelled = mg.data.load("stl10", "unlabeled", image_size=48)
    assert unlabelled.shape == (3, 48, 48) and unlabelled.labels is None


def test_celeba(cache, monkeypatch, picture):
    folder = cache / "celeba"
    names = [f"{i:06}.jpg" for i in range(1, 8)]
    header = "5\na b\n"
    write(folder / "img_align_celeba", {n: picture(size=(178, 218)) for n in names})
    for file, head, row in (
        ("list_eval_partition.txt", "", "{i}"),
        ("identity_CelebA.txt", "", "1"),
        ("list_bbox_celeba.txt", header, "0 0"),
        ("list_landmarks_align_celeba.txt", header, "0 0"),
        ("list_attr_celeba.txt", header, "-1 1"),
    ):
        parts = (0, 0, 0, 1, 1, 2, 2)
        lines = [f"{n} {row.format(i=p)}\n" for n, p in zip(names, parts, strict=True)]
        (folder / file).write_text(head + "".join(lines))
    files = [(i, None, name) for i, _, name in tv.CelebA.file_list]
    monkeypatch.setattr(tv.CelebA, "file_list", files)
    data = mg.data.load("celeba")
    assert data.shape == (3, 64, 64) and len(data) == 3 and data.labels is None
    assert len(mg.data.load("celeba", "val", image_size=16)) == 2
    assert len(mg.data.load("celeba", "test", image_size=16)) == 2


class Environment:
    """As much of lmdb's environment and transaction as torchvision uses."""

    def __init__(self, held):
        self.held = held

    def begin(self, **_):
        return self

    cursor = begin
    __enter__ = begin

    def __exit__(self, *_):
        pass

    def stat(self):
        return {"entries": len(self.held)}

    def iternext(self, **_):
        return iter(self.held)

    def get(self, key):
        return self.held[key]


def test_lsun_churches(cache, monkeypatch, picture, tmp_path):
    held = {bytes([i]): picture(i, size=(80 + i, 70)) for i in range(4)}
    monkeypatch.setitem(
        sys.modules,
        "lmdb",
        types.SimpleNamespace(open=lambda path, **_: Environment(held)),
    )
    (cache / "church_outdoor_train_lmdb").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    data = mg.data.load("lsun_church")
    assert data.shape == (3, 64, 64) and len(data) == 4 and data.labels is None
    assert not list(tmp_path.glob("_cache_*"))
    with pytest.raises(FileNotFoundError, match="church_outdoor_val_lmdb"):
        mg.data.load("lsun_church", "test")


def test_lsun_without_lmdb_says_so(cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "lmdb", None)
    (cache / "church_outdoor_train_lmdb").mkdir(parents=True)
    with pytest.raises(ModuleNotFoundError, match="lmdb"):
        mg.data.load("lsun_church")


@pytest.mark.parametrize("name", ["cifar10", "stl10", "celeba", "lsun_church"])
def test_what_is_nowhere_is_named(name, left_over, cache):
    with pytest.raises(FileNotFoundError) as error:
        mg.data.load(name)
    assert name in str(error.value) and str(cache) in str(error.value)
    assert left_over() == []


def test_a_stored_set_needs_its_originals_no_more(cifar10, cache):
    write(cache / "cifar-10-batches-py", cifar10.files)
    first = mg.data.load("cifar10", "test")
    for file in (cache / "cifar-10-batches-py").iterdir():
        file.unlink()
    assert torch.equal(mg.data.load("cifar10", "test").images, first.images)
