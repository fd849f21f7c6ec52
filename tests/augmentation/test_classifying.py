"""The judge: it learns, it repeats, its score is macro-F1."""

import pytest
import torch
from sklearn.metrics import f1_score
from torch import nn

import multigan_lib as mg
from multigan_lib import augmentation
from multigan_lib.datasets import ImageData


def blocks(n, seed):
    """Noisy images with a bright quadrant, which is the class."""
    dice = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (n,), generator=dice)
    images = torch.randint(0, 120, (n, 1, 16, 16), generator=dice, dtype=torch.uint8)
    for image, label in zip(images, labels.tolist(), strict=True):
        row, column = divmod(label, 2)
        image[0, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] += 60
    return ImageData(images, labels, tuple("abcd"))


def test_it_learns():
    judge = augmentation.train_classifier(
        blocks(400, 0), steps=40, width=4, device="cpu"
    )
    assert not judge.training
    assert augmentation.macro_f1(judge, blocks(200, 1)) > 0.95


def test_the_seed_decides_and_the_global_generator_is_left_alone():
    data = blocks(80, 0)
    state = torch.get_rng_state()
    one, same, other = (
        augmentation.train_classifier(
            data, steps=3, seed=seed, width=4, batch_size=16, device="cpu"
        ).head.weight
        for seed in (0, 0, 1)
    )
    assert one.equal(same) and not one.equal(other)
    assert torch.get_rng_state().equal(state)


def test_more_images_get_no_more_updates(monkeypatch):
    updates = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(
        torch.optim.AdamW, "step", lambda self, *a: updates.append(1) or step(self, *a)
    )
    for n in (80, 160):
        updates.clear()
        augmentation.train_classifier(
            blocks(n, 0), steps=5, width=4, batch_size=16, device="cpu"
        )
        assert len(updates) == 5


def test_macro_f1_is_scikit_learns_and_not_accuracy():
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(()))

        def forward(self, x):  # says 0 for the darker half, else 1: never 2
            return nn.functional.one_hot((x.mean((1, 2, 3)) > 0).long(), 3).float()

    images = torch.zeros(100, 1, 16, 16, dtype=torch.uint8)
    images[60:] = 255
    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
    held = ImageData(images, labels, tuple("abc"))
    said = [0] * 60 + [1] * 40
    score = augmentation.macro_f1(Fixed(), held)
    assert score == pytest.approx(f1_score(labels, said, average="macro"))
    assert score != pytest.approx((labels == torch.tensor(said)).float().mean().item())


def test_a_classifier_in_training_is_asked_in_evaluation_mode_and_left_as_it_was():
    judge, held = mg.nets.classifier.Classifier((1, 16, 16), 4, 4), blocks(40, 1)
    score = augmentation.macro_f1(judge.eval(), held)
    before = {name: value.clone() for name, value in judge.state_dict().items()}
    assert augmentation.macro_f1(judge.train(), held) == score
    assert judge.training and judge.trunk[1].training
    assert all(before[name].equal(v) for name, v in judge.state_dict().items())


def test_what_cannot_be_judged_is_refused():
    judge, held = mg.nets.classifier.Classifier((1, 16, 16), 3, 4), blocks(40, 1)
    with pytest.raises(ValueError, match=r"each of 4 classes; got \(40, 3\)"):
        augmentation.macro_f1(judge, held)
    with pytest.raises(ValueError, match="labelled images are needed"):
        augmentation.macro_f1(judge, ImageData(held.images))
    larger = ImageData(
        torch.zeros(9, 1, 32, 32, dtype=torch.uint8), torch.arange(9) % 3
    )
    with pytest.raises(ValueError, match=r"of shape \(1, 16, 16\), these have \(1, 32"):
        augmentation.macro_f1(judge, larger)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        augmentation.train_classifier(held, steps=0)


def test_labels_are_needed():
    with pytest.raises(ValueError, match="labelled images are needed"):
        augmentation.train_classifier(ImageData(blocks(9, 0).images), steps=1)


def test_paired_differences():
    paired = augmentation.compare_with_baseline([0.91, 0.92, 0.96], [0.90, 0.90, 0.93])
    assert paired.mean == pytest.approx(0.02)
    assert paired.std == pytest.approx(0.01)
    # t of 2 degrees of freedom at 97.5 %: 4.3027
    half = 4.302653 * 0.01 / 3**0.5
    assert (paired.low, paired.high) == pytest.approx((0.02 - half, 0.02 + half))
    assert str(paired) == "+0.0200 [-0.0048, +0.0448]"
    alone = augmentation.compare_with_baseline([0.9], [0.8])
    assert alone.mean == pytest.approx(0.1) and alone.std != alone.std
    for method, baseline in (([0.9, 0.8], [0.9]), ([], []), ([[0.9]], [[0.8]]), (1, 1)):
        with pytest.raises(ValueError, match="one score a seed on either side"):
            augmentation.compare_with_baseline(method, baseline)


def test_the_package_is_loaded_when_it_is_used():
    assert mg.augmentation is augmentation
    assert "augmentation" in mg.__all__
