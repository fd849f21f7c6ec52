import numpy as np
import pytest

from multigan_lib.datasets.store import Decoded, stored

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 6)).astype(np.uint8)
FILES = ["key.json", "key.npy"]


def decoded(rows=None, labels=(0, 1, 1, 0, 1)):
    rows = enumerate(IMAGES) if rows is None else rows
    labels = None if labels is None else list(labels)
    return Decoded(5, labels, ("a", "b") if labels else (), iter(rows))


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


def test_the_images_are_readable_by_numpy(cache):
    store()
    assert np.array_equal(np.load(cache / "decoded" / "key.npy"), IMAGES)


def test_images_are_mapped_and_writing_to_them_stays_in_memory():
    data = store()
    data.images[0] = 0
    assert np.array_equal(store(refuse).images.numpy(), IMAGES)


def test_another_fingerprint_replaces_what_was_stored(left_over):
    first = store()
    other = store(lambda: decoded(enumerate(255 - IMAGES)), fingerprint="2")
    assert np.array_equal(other.images.numpy(), 255 - IMAGES)
    assert np.array_equal(first.images.numpy(), IMAGES)  # still mapped
    assert left_over() == FILES


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content[:20],
        lambda content: b"",
        lambda content: b"\xff" * 40,
    ],
)
@pytest.mark.parametrize("ending", ["npy", "json"])
def test_a_damaged_cache_is_made_again(cache, damage, ending):
    store()
    file = cache / "decoded" / f"key.{ending}"
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

    def rows():
        yield 0, 255 - IMAGES[0]
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        store(lambda: decoded(rows()), fingerprint="2")
    assert np.array_equal(store(refuse).images.numpy(), IMAGES)
    assert left_over() == FILES
