"""Replacement and expansion: sizes, classes, places."""

import pytest
import torch

from multigan_lib import augmentation
from multigan_lib.datasets import ImageData


def fakes(images):
    """Which of the images are extra ones, by their grey level."""
    return images.images[:, 0, 0, 0] >= 100


def counts(labels):
    return torch.bincount(labels, minlength=3).tolist()


def test_counts_are_all_there_are_up_to_a_limit(real):
    assert augmentation.class_counts(real).tolist() == [10, 20, 5]
    assert augmentation.class_counts(real, most=8).tolist() == [8, 8, 5]


def test_the_five_steps_are_equal():
    steps = torch.tensor((0.0, *augmentation.SHARES)).diff()
    torch.testing.assert_close(steps, torch.full((5,), 0.2))


@pytest.mark.parametrize("share", [0.0, *augmentation.SHARES])
def test_replacement_keeps_labels_and_replaces_a_share_of_every_class(
    real, extra, share
):
    mixed = augmentation.replacement(real, extra, share)
    assert mixed.labels.equal(real.labels)
    assert counts(mixed.labels[fakes(mixed)]) == [
        round(share * 10),
        round(share * 20),
        round(share * 5),
    ]
    kept = ~fakes(mixed)
    assert mixed.images[kept].equal(real.images[kept])


def test_extra_images_keep_their_own_labels(real, extra):
    levels = extra.images[:, 0, 0, 0].tolist()
    label_of = dict(zip(levels, extra.labels.tolist(), strict=True))
    for mix in (augmentation.replacement, augmentation.expansion):
        mixed = mix(real, extra, 0.6)
        chosen = fakes(mixed)
        shown = mixed.images[chosen][:, 0, 0, 0].tolist()
        assert [label_of[level] for level in shown] == mixed.labels[chosen].tolist()
        assert len(set(shown)) == len(shown)  # none twice


@pytest.mark.parametrize("share", [0.0, *augmentation.SHARES])
def test_expansion_keeps_every_real_image_and_adds_a_share_of_every_class(
    real, extra, share
):
    mixed = augmentation.expansion(real, extra, share)
    assert mixed.images[: len(real)].equal(real.images)
    assert mixed.labels[: len(real)].equal(real.labels)
    assert fakes(mixed).sum() == len(mixed) - len(real)
    assert counts(mixed.labels[len(real) :]) == [
        round(share * 10),
        round(share * 20),
        round(share * 5),
    ]


def test_larger_shares_hold_what_smaller_ones_hold(real, extra):
    for mix in (augmentation.replacement, augmentation.expansion):
        some, more = (mix(real, extra, share, seed=3) for share in (0.4, 0.8))
        some, more = (
            set(m.images[fakes(m)][:, 0, 0, 0].tolist()) for m in (some, more)
        )
        assert some < more


def test_the_seed_decides(real, extra):
    one, same, other = (
        augmentation.replacement(real, extra, 0.4, seed) for seed in (0, 0, 1)
    )
    assert one.images.equal(same.images)
    assert not one.images.equal(other.images)
    assert not fakes(one).equal(fakes(other))


def test_real_images_are_not_written_into(real, extra):
    before = real.images.clone()
    augmentation.replacement(real, extra, 1.0)
    assert real.images.equal(before)


def test_stratified_draws_without_replacement(real):
    part = augmentation.stratified(real, torch.tensor([3, 7, 5]))
    assert counts(part.labels) == [3, 7, 5]
    assert len(part.images[:, 0, 0, 0].unique()) == 15
    with pytest.raises(ValueError, match=r"6 images of class 2 are needed.*have 5"):
        augmentation.stratified(real, torch.tensor([0, 0, 6]))


def test_counts_are_one_a_class(real):
    for wrong in ([1, 1], [1, 1, 1, 1], [0, 0, 0], [1, 1, -1], [0.5, 1, 1]):
        with pytest.raises(ValueError, match="asked for of each of 3 classes"):
            augmentation.stratified(real, wrong)


def test_images_are_told_from_what_holds_them(real, extra):
    drawn = augmentation.Drawn(extra, torch.tensor([20, 20, 20]), 1.0)
    with pytest.raises(TypeError, match=r"got a Drawn; take its \.images"):
        augmentation.expansion(real, drawn, 0.2)
    with pytest.raises(TypeError, match="an ImageData; got a Tensor"):
        augmentation.class_counts(real.images)


def test_what_does_not_fit_is_refused(real, extra):
    with pytest.raises(ValueError, match="most must be at least 1"):
        augmentation.class_counts(real, most=0)
    with pytest.raises(ValueError, match=r"in 0..1, got 1.2"):
        augmentation.expansion(real, extra, 1.2)
    with pytest.raises(ValueError, match="have no labels"):
        augmentation.expansion(real, ImageData(extra.images), 0.2)
    with pytest.raises(ValueError, match="one shape"):
        small = ImageData(extra.images[..., :8, :8], extra.labels, extra.classes)
        augmentation.replacement(real, small, 0.2)
    few = augmentation.stratified(extra, torch.tensor([20, 10, 20]))
    with pytest.raises(ValueError, match="20 images of class 1 are needed"):
        augmentation.replacement(real, few, 1.0)
