import pytest
import torch

import multigan_lib as mg
from multigan_lib.datasets import ImageData


def test_digits_are_scikit_learns_in_two_parts():
    from sklearn.datasets import load_digits

    bundled = load_digits()
    train = mg.data.load("digits", image_size=8)
    test = mg.data.load("digits", "test", image_size=8)
    assert (len(train), len(test)) == (1437, 360)
    both = torch.cat([train.images, test.images])[:, 0].double() / 255 * 16
    torch.testing.assert_close(
        both, torch.from_numpy(bundled.images), atol=0.04, rtol=0
    )
    labels = torch.cat([train.labels, test.labels])
    assert labels.tolist() == bundled.target.tolist()


def test_digits_come_at_16_pixels_by_default():
    data = mg.data.load("digits")
    assert data.shape == (1, 16, 16) and data.spec.classes == 10
    assert data.images.max() == 255 and data.images.min() == 0
    small = mg.data.load("digits", image_size=8)
    assert data.x().mean().item() == pytest.approx(small.x().mean().item(), abs=0.01)


@pytest.mark.parametrize("size", [16, 32, 48, 64])
def test_digits_fit_every_network(size):
    assert mg.data.load("digits", "test", image_size=size).shape == (1, size, size)


def test_every_digit_is_in_both_parts():
    for split in ("train", "test"):
        assert mg.data.load("digits", split).labels.bincount().min() > 30


def test_stacks_are_three_digits_with_their_labels():
    source = mg.data.load("digits")
    stacks = mg.data.stacked(source, 500, seed=1)
    assert stacks.shape == (3, 16, 16) and len(stacks.classes) == 1000
    assert stacks.classes[207] == "207"
    for stack in range(0, 500, 50):
        label = int(stacks.labels[stack])
        for channel, digit in enumerate((label // 100, label // 10 % 10, label % 10)):
            same = (source.images[:, 0] == stacks.images[stack, channel]).all((1, 2))
            assert digit in source.labels[same].tolist()


def test_stacks_cover_all_modes_evenly():
    stacks = mg.data.load("stacked_mnist", n=100_000)
    counts = stacks.labels.bincount(minlength=1000)
    assert counts.min() > 40 and counts.max() < 180


def test_stacks_repeat_with_the_seed():
    first, again = (mg.data.load("stacked_mnist", n=50, seed=3) for _ in range(2))
    assert torch.equal(first.images, again.images)
    other = mg.data.load("stacked_mnist", n=50, seed=4)
    assert not torch.equal(first.images, other.images)


def test_a_split_of_stacks_uses_only_those_digits():
    stacks = mg.data.load("stacked_mnist", "train[:3]", n=40, image_size=8)
    source = mg.data.load("digits", "train[:3]", image_size=8)
    assert {int(mode) for mode in stacks.labels} <= {
        100 * a + 10 * b + c for a in range(3) for b in range(3) for c in range(3)
    }
    matches = (stacks.images[:, :, None] == source.images[:, 0]).all((-1, -2))
    assert matches.any(-1).all()
    assert stacks.split == "train[:3] of digits, 40 stacks, seed 0"


def test_stacks_need_grey_digits():
    colour = ImageData(torch.zeros(4, 3, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match="grey digits of ten classes"):
        mg.data.stacked(colour, 10)
    with pytest.raises(ValueError, match="none of them 0"):
        mg.data.load("stacked_mnist", n=0)


def test_three_channels_are_thrice_the_grey_one():
    grey, colour = (mg.data.load("digits", "test", channels=c) for c in (1, 3))
    assert torch.equal(colour.images, grey.images.expand(-1, 3, -1, -1))


def test_scaling_agrees_with_pillow():
    import numpy as np
    from PIL import Image

    images = mg.data.load("digits", "test[:20]", image_size=8).images[:, 0]
    for size in (16, 48):
        scaled = mg.data.load("digits", "test[:20]", image_size=size).images[:, 0]
        for image, got in zip(images, scaled, strict=True):
            expected = Image.fromarray(image.numpy()).resize(
                (size, size), Image.Resampling.BILINEAR
            )
            difference = got.int() - torch.from_numpy(np.array(expected)).int()
            assert difference.abs().max() <= 1
