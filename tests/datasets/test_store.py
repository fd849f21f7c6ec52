import collections
import os
import shutil
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from multigan_lib.datasets.store import Decoded, stored

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 6)).astype(np.uint8)


def decoded(rows=None, labels=(0, 1, 1, 0, 1), length=5):
    rows = enumerate(IMAGES) if rows is None else rows
    labels = None if labels is None else list(labels)
    return Decoded(length, (3, 4, 6), labels, ("a", "b") if labels else (), rows)


def store(decode=decoded, fingerprint="1"):
    return stored("key", fingerprint, "name", "train", decode)


def refuse():
    raise AssertionError("decoded again")


def test_what_is_stored_comes_back():
    for data in (store(), store(refuse)):
        assert np.array_equal(data.images.numpy(), IMAGES)
        assert data.labels.tolist() == [0, 1, 1, 0, 1]
        assert data.classes == ("a", "b")
        assert (data.name, data.split) == ("name", "train")


def test_no_labels_stay_no_labels():
    data = store(lambda: decoded(labels=None))
    assert data.labels is None and np.array_equal(data.images.numpy(), IMAGES)


def test_any_order_of_rows_ends_in_the_same_file():
    data = store(lambda: decoded(reversed(list(enumerate(IMAGES)))))
    assert np.array_equal(data.images.numpy(), IMAGES)


def test_the_file_is_readable_as_safetensors(cache):
    store()
    held = load_file(cache / "decoded" / "key.safetensors")
    assert np.array_equal(held["images"].numpy(), IMAGES)
    assert held["labels"].tolist() == [0, 1, 1, 0, 1]


def test_images_are_mapped_and_writing_to_them_stays_in_memory():
    data = store()
    data.images[0] = 0
    assert np.array_equal(store(refuse).images.numpy(), IMAGES)


def test_another_fingerprint_replaces_what_was_stored(left_over):
    first = store()
    other = store(lambda: decoded(enumerate(255 - IMAGES)), fingerprint="2")
    assert np.array_equal(other.images.numpy(), 255 - IMAGES)
    assert np.array_equal(first.images.numpy(), IMAGES)  # still mapped
    assert left_over() == ["key.safetensors"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content[:20],
        lambda content: b"",
        lambda content: b"\xff" * 40,
        lambda content: content + b"x",
    ],
)
def test_a_damaged_cache_is_made_again(cache, damage):
    store()
    file = cache / "decoded" / "key.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    assert np.array_equal(store().images.numpy(), IMAGES)
    assert np.array_equal(store(refuse).images.numpy(), IMAGES)


@pytest.mark.parametrize("failure", [ValueError("broken"), KeyboardInterrupt()])
def test_a_failure_half_way_leaves_nothing(left_over, failure):
    def rows():
        yield 0, IMAGES[0]
        raise failure

    with pytest.raises(type(failure)):
        store(lambda: decoded(rows()))
    assert left_over() == []


def test_a_failure_leaves_what_was_there(left_over):
    store()
    with pytest.raises(ValueError, match="4 of 5 images"):
        store(lambda: decoded(enumerate(IMAGES[:4])), fingerprint="2")
    assert torch.equal(store(refuse).images, store(refuse).images)
    assert left_over() == ["key.safetensors"]


def test_a_full_disk_is_named_before_anything_is_written(monkeypatch, left_over):
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(9, 9, 100))
    with pytest.raises(OSError, match="make space or choose a smaller image_size"):
        store()
    assert left_over() == []


def test_what_a_killed_process_left_is_removed_after_a_day(cache):
    for name, age in ((".partial-old", 2), (".partial-new", 0)):
        left = cache / "decoded" / name
        left.mkdir(parents=True)
        (left / "half").write_bytes(b"x")
        os.utime(left, (time.time() - age * 86400,) * 2)
    store()
    assert sorted(p.name for p in (cache / "decoded").iterdir()) == [
        ".partial-new",
        "key.safetensors",
    ]
