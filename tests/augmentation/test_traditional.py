"""Traditional augmentation: what it changes, and what it refuses."""

import pytest
import torch

from multigan_lib import augmentation
from multigan_lib.datasets import ImageData

NONE = {"shift": 0, "rotation": 0, "brightness": 0, "contrast": 0, "noise": 0}


def halves(n=8, name="images", classes=2):
    """Images whose left half is white; labels alternate."""
    images = torch.zeros(n, 1, 16, 16, dtype=torch.uint8)
    images[..., :8] = 255
    labels = torch.arange(n) % classes
    return ImageData(images, labels, tuple("ab"), name, "train")


def test_nothing_asked_for_changes_nothing():
    data = halves()
    drawn = augmentation.Traditional(**NONE).draw(data, torch.tensor([4, 4]))
    assert drawn.images.images.equal(data.images)
    assert drawn.accepted == 1.0


def test_counts_and_labels_are_those_asked_for():
    drawn = augmentation.Traditional().draw(halves(), torch.tensor([7, 2]))
    assert torch.bincount(drawn.images.labels).tolist() == [7, 2]
    assert drawn.histogram.tolist() == [7, 2]


def test_each_image_is_taken_once_before_any_is_taken_again():
    images = torch.arange(6, dtype=torch.uint8)[:, None, None, None] * 40
    data = ImageData(
        images.expand(-1, 1, 16, 16).contiguous(), torch.zeros(6, dtype=torch.int64)
    )
    drawn = augmentation.Traditional(**NONE).draw(data, torch.tensor([9]))
    shown = drawn.images.images[:, 0, 0, 0]
    assert shown[:6].sort().values.tolist() == [0, 40, 80, 120, 160, 200]
    assert len(shown) == 9


@pytest.mark.parametrize("what", ["shift", "rotation", "brightness", "contrast"])
def test_every_image_is_changed_by_itself(what):
    size = 30.0 if what == "rotation" else 0.3
    data = ImageData(
        torch.full_like(halves(16).images, 100) + halves(16).images // 4,
        torch.zeros(16, dtype=torch.int64),
    )
    drawn = augmentation.Traditional(**{**NONE, what: size}).draw(
        data, torch.tensor([16])
    )
    different = {bytes(image.flatten().tolist()) for image in drawn.images.images}
    assert len(different) >= 6  # one draw for all would give 1


def test_a_shift_moves_by_no_more_than_it_says():
    data = halves(64)
    drawn = augmentation.Traditional(**{**NONE, "shift": 0.25}).draw(
        data, torch.tensor([32, 32])
    )
    rows = drawn.images.images[:, 0].amax(1)  # a column's brightest pixel
    edges = (rows == 255).long().cumsum(1).argmax(1)  # last white column
    assert edges.min() >= 7 - 4 and edges.max() <= 7 + 4
    assert edges.min() < 7 < edges.max()


def test_noise_has_the_standard_deviation_it_says():
    grey = ImageData(
        torch.full((40, 1, 16, 16), 128, dtype=torch.uint8),
        torch.zeros(40, dtype=torch.int64),
    )
    drawn = augmentation.Traditional(**{**NONE, "noise": 0.1}).draw(
        grey, torch.tensor([40])
    )
    assert drawn.images.x().std().item() == pytest.approx(0.1, rel=0.05)


def test_flips_mirror_half_the_images_of_the_classes_named():
    data = halves(200)
    drawn = augmentation.Traditional(**NONE, flip=[1]).draw(
        data, torch.tensor([100, 100])
    )
    mirrored = drawn.images.images[:, 0, 0, 0] == 0
    assert not mirrored[drawn.images.labels == 0].any()
    assert 30 <= mirrored[drawn.images.labels == 1].sum() <= 70


def test_digits_are_not_mirrored_and_asking_for_it_is_refused_with_the_reason():
    for name in ("mnist", "digits"):
        data = halves(name=name)
        assert augmentation.Traditional().flipped(data).tolist() == []
        with pytest.raises(ValueError, match=r"a mirrored 2, 3 or 7 is no digit"):
            augmentation.Traditional(flip=True).draw(data, torch.tensor([1, 1]))
        assert augmentation.Traditional(flip=[0]).flipped(data).tolist() == [0]


def test_clothes_and_photographs_are_mirrored_and_images_of_ones_own_are_not():
    for name in ("cifar10", "cifar10-jpeg"):
        data = halves(name=name)
        assert augmentation.Traditional().flipped(data).tolist() == [0, 1]
    assert augmentation.Traditional().flipped(halves(name="mine")).tolist() == []
    assert augmentation.Traditional(flip=True).flipped(halves()).tolist() == [0, 1]
    off = augmentation.Traditional(flip=False)
    assert off.flipped(halves(name="cifar10")).tolist() == []


def test_the_seed_decides_and_the_global_generator_is_left_alone():
    data, counts = halves(), torch.tensor([4, 4])
    state = torch.get_rng_state()
    one, same, other = (
        augmentation.Traditional().draw(data, counts, seed).images.images
        for seed in (0, 0, 1)
    )
    assert one.equal(same) and not one.equal(other)
    assert torch.get_rng_state().equal(state)


def test_classes_without_images_are_left_out():
    data = ImageData(halves().images, torch.arange(8) % 2 * 2, tuple("abc"))
    counts = augmentation.class_counts(data)
    assert counts.tolist() == [4, 0, 4]
    drawn = augmentation.Traditional().draw(data, counts)
    assert torch.bincount(drawn.images.labels).tolist() == [4, 0, 4]


def test_what_cannot_be_is_refused():
    for wrong in ([0, 2], [True, True], 1, "all"):
        with pytest.raises(ValueError, match="flip is True, False or the numbers of"):
            augmentation.Traditional(flip=wrong).flipped(halves())
    for wrong in (-1, float("inf"), float("nan"), "0.1", (5, 5)):
        with pytest.raises(ValueError, match="rotation must be 0 or more, got"):
            augmentation.Traditional(rotation=wrong)
    with pytest.raises(ValueError, match="shift is a part of the image's size"):
        augmentation.Traditional(shift=3)
    with pytest.raises(ValueError, match="no image of class b"):
        augmentation.Traditional().draw(halves(classes=1), torch.tensor([1, 1]))
