import pytest
import torch

import multigan_lib as mg
from multigan_lib.datasets import ImageData, streams, to_float


def numbered(n=23, labels=True):
    """Image i has only pixels of value i."""
    images = torch.arange(n).to(torch.uint8).view(n, 1, 1, 1).expand(n, 1, 4, 4)
    return ImageData(images.contiguous(), torch.arange(n) if labels else None)


def numbers(batch):
    return ((batch.x[:, 0, 0, 0] + 1) * 127.5).round().long()


def test_an_epoch_holds_every_image_at_most_once_and_drops_the_rest():
    stream = numbered().batches(5, seed=1)
    epochs = [
        torch.cat([numbers(next(stream)) for _ in range(4)]).tolist() for _ in range(3)
    ]
    assert all(len(set(epoch)) == 20 for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_every_image_comes_when_the_batch_divides():
    stream = numbered(20).batches(5)
    epoch = torch.cat([numbers(next(stream)) for _ in range(4)])
    assert epoch.sort().values.tolist() == list(range(20))
    assert epoch.tolist() != list(range(20))


def test_batches_are_float_images_and_their_own_labels():
    batch = next(numbered().batches(7))
    assert batch.x.dtype == torch.float32 and batch.x.shape == (7, 1, 4, 4)
    assert torch.equal(batch.labels, numbers(batch))
    assert next(numbered(labels=False).batches(7)).labels is None


def test_the_seed_alone_fixes_the_order():
    torch.manual_seed(1)
    first = [
        numbers(next(s)) for s in [numbered().batches(5, seed=3)] for _ in range(9)
    ]
    torch.manual_seed(2)
    stream = numbered().batches(5, seed=3)
    for expected in first:
        torch.rand(3)
        assert torch.equal(numbers(next(stream)), expected)
    other = numbered().batches(5, seed=4)
    assert not all(torch.equal(numbers(next(other)), one) for one in first)


def test_one_seeds_next_epoch_is_not_the_next_seeds_first():
    stream, other = numbered(8).batches(8, seed=0), numbered(8).batches(8, seed=1)
    next(stream)
    assert not torch.equal(numbers(next(stream)), numbers(next(other)))


@pytest.mark.parametrize("before", [0, 1, 4, 5, 11])
@pytest.mark.parametrize("data", [numbered(), mg.data.ring()], ids=["images", "points"])
def test_a_saved_position_goes_on_exactly(data, before):
    stream = data.batches(5, seed=2)
    for _ in range(before):
        next(stream)
    state = {name: value.clone() for name, value in stream.state_dict().items()}
    expected = [next(stream) for _ in range(13)]
    other = data.batches(5, seed=99)
    next(other)
    other.load_state_dict(state)
    for batch in expected:
        got = next(other)
        assert torch.equal(got.x, batch.x) and torch.equal(got.labels, batch.labels)


def test_the_position_survives_safetensors(tmp_path):
    from safetensors.torch import load_file, save_file

    for data in (numbered(), mg.data.ring()):
        stream = data.batches(5)
        next(stream)
        save_file(stream.state_dict(), tmp_path / "position.safetensors")
        expected = next(stream).x
        other = data.batches(5)
        other.load_state_dict(load_file(tmp_path / "position.safetensors"))
        assert torch.equal(next(other).x, expected)


def test_a_position_in_other_data_is_refused():
    state = numbered().batches(5).state_dict()
    with pytest.raises(ValueError, match="23 images, these are 20"):
        numbered(20).batches(5).load_state_dict(state)


def test_too_large_a_batch_is_refused_at_once():
    with pytest.raises(ValueError, match=r"24, but .* has 23 images"):
        numbered().batches(24)


@pytest.mark.parametrize("size", [0, -1])
@pytest.mark.parametrize("data", [numbered(), mg.data.ring()], ids=["images", "points"])
def test_a_batch_size_is_positive(data, size):
    with pytest.raises(ValueError, match="batch_size"):
        data.batches(size)


def test_nothing_is_copied_on_the_cpu():
    data = numbered()
    assert data.batches(5)._images.data_ptr() == data.images.data_ptr()


def test_images_move_to_the_device_if_a_quarter_of_it_is_free(monkeypatch):
    images = numbered().images  # 368 bytes
    monkeypatch.setattr(streams, "free_memory", lambda device: 4 * 368)
    assert not streams.fits(images, torch.device("cuda"))
    monkeypatch.setattr(streams, "free_memory", lambda device: 4 * 368 + 4)
    assert streams.fits(images, torch.device("cuda"))


def test_points_own_their_generator():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    ring = mg.data.ring()
    stream = ring.batches(64, seed=5)
    first = next(stream)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(next(stream).x, first.x)
    assert torch.equal(next(ring.batches(64, seed=5)).x, first.x)
    nearest = torch.cdist(first.x.double(), ring.means).argmin(1)
    assert (nearest == first.labels).float().mean() > 0.95


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("free", [0, 1 << 30], ids=["host", "device"])
def test_cuda_gets_the_same_batches_without_waiting(monkeypatch, free):
    monkeypatch.setattr(streams, "free_memory", lambda device: free)
    data = numbered()
    stream, expected = data.batches(5, device="cuda"), data.batches(5)
    assert stream._images.is_cuda == bool(free)
    for _ in range(9):
        torch.cuda.set_sync_debug_mode("error")
        batch = next(stream)
        torch.cuda.set_sync_debug_mode("default")
        wanted = next(expected)
        assert torch.equal(batch.x.cpu(), wanted.x)
        assert torch.equal(batch.labels.cpu(), wanted.labels)


def test_memory_mapped_images_are_read_where_they_are(tmp_path):
    import numpy as np

    data = numbered()
    data.images.numpy().tofile(tmp_path / "images")
    mapped = np.memmap(tmp_path / "images", np.uint8, "c", shape=data.images.shape)
    stream = ImageData(torch.from_numpy(mapped), data.labels).batches(5, seed=1)
    expected = data.batches(5, seed=1)
    for _ in range(6):
        assert torch.equal(next(stream).x, next(expected).x)
    assert torch.equal(to_float(torch.from_numpy(mapped)), data.x())
