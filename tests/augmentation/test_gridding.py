"""The grid: every cell, kept by itself, and never done twice."""

import json
import math

import pytest
import torch

from multigan_lib import augmentation
from multigan_lib.augmentation import gridding
from multigan_lib.augmentation.drawing import UnfilledError
from multigan_lib.datasets import ImageData


def images(n, seed):
    dice = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (n, 1, 16, 16), generator=dice, dtype=torch.uint8)
    return ImageData(pixels, torch.arange(n) % 2, ("a", "b"), "noise", f"part {seed}")


REAL, HELD, EXTRA = images(32, 0), images(24, 1), images(32, 2)


def drawn():
    return augmentation.Drawn(EXTRA, torch.tensor([30, 10]), 0.5)


def sources(draw=drawn):
    return {
        "GAN": augmentation.Source(draw, doubled=True),
        "GAN G0": augmentation.Source(draw, shares=(1.0,)),
    }


@pytest.fixture
def trained(monkeypatch):
    """How many steps every classifier got that was trained."""
    done = []

    def judge(images, *, steps, seed, width, batch_size):
        done.append((len(images), steps, seed))
        if len(done) == trained_limit["at"]:
            raise KeyboardInterrupt
        torch.manual_seed(len(images) + steps + seed)
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 2))

    trained_limit = {"at": None}
    done_limit = trained_limit
    monkeypatch.setattr(gridding, "train_classifier", judge)
    judge.done, judge.limit = done, done_limit
    return judge


def run(folder, made=None, **settings):
    settings = {"steps": 7, "repeats": 2, "progress": False} | settings
    return augmentation.grid(REAL, HELD, made or sources(), folder, **settings)


def test_every_cell_has_its_three_scores(tmp_path, trained):
    found = run(tmp_path)
    cells = {name.split("/")[1] for name in found if name.startswith("f1/")}
    shares = ("0.2", "0.4", "0.6", "0.8", "1.0")
    assert cells == {
        "real",
        "real again 1",
        "real doubled",
        *(f"{s} {q} GAN" for s in ("replacement", "expansion") for q in shares),
        "expansion 1.0 GAN doubled",
        "replacement 1.0 GAN G0",
        "expansion 1.0 GAN G0",
    }
    for cell in cells:
        assert 0 <= found[f"f1/{cell}"] <= 1
        assert f"f1_a/{cell}" in found and f"f1_b/{cell}" in found
    assert found["share_0/GAN"] == 0.75 and found["accepted/GAN G0"] == 0.5


def test_updates_are_fixed_but_where_they_are_doubled_on_purpose(tmp_path, trained):
    run(tmp_path)
    assert sorted(steps for _, steps, _ in trained.done) == [7] * 14 + [14] * 2
    assert [case for case in trained.done if case[1] == 14] == [
        (32, 14, 0),
        (64, 14, 0),
    ]


def test_halves_are_judged_apart(tmp_path, trained, monkeypatch):
    monkeypatch.setattr(
        gridding,
        "predicted",
        lambda judge, held: torch.where(
            torch.arange(len(held)) % 2 == 0, held.labels, 1 - held.labels
        ),
    )
    held = images(24, 1)
    held.labels = torch.arange(24) // 2 % 2
    found = augmentation.grid(REAL, held, {}, tmp_path, steps=1, progress=False)
    assert (found["f1_a/real"], found["f1_b/real"]) == (1.0, 0.0)
    assert 0 < found["f1/real"] < 1


def test_finished_cells_are_not_done_again(tmp_path, trained):
    first = run(tmp_path)
    trained.done.clear()

    def refuse():
        raise AssertionError("drawn again")

    assert run(tmp_path, sources(refuse)) == first
    assert trained.done == []


def test_an_interrupted_grid_goes_on_where_it_stopped(tmp_path, trained):
    unbroken = run(tmp_path / "whole")
    count = len(trained.done)
    trained.done.clear()
    trained.limit["at"] = 6
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken")
    trained.limit["at"] = None
    assert run(tmp_path / "broken") == unbroken
    assert len(trained.done) == count + 1  # the one that was interrupted, once more


def test_damaged_files_are_made_again(tmp_path, trained):
    first = run(tmp_path)
    trained.done.clear()
    (tmp_path / "replacement 0.4 GAN.json").write_text("")
    (tmp_path / "source GAN G0.json").write_text('{"sha')
    assert run(tmp_path) == first
    assert len(trained.done) == 1
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(ValueError, match=r"settings\.json.* is missing or damaged"):
        run(tmp_path)


def test_a_call_that_made_no_cell_leaves_the_folder_free(tmp_path):
    with pytest.raises(ValueError, match="steps must be at least 1"):
        run(tmp_path, steps=0)
    assert "f1/real" in run(tmp_path, {}, steps=1, width=2, batch_size=8)


def test_held_out_images_are_not_among_the_real_ones(tmp_path, trained):
    for held in (REAL, REAL[:9]):
        with pytest.raises(ValueError, match=f"{len(held)} of the {len(held)} held"):
            augmentation.grid(REAL, held, {}, tmp_path, steps=1)
    assert trained.done == []


def test_sources_that_are_none_are_told_before_anything_is_trained(tmp_path, trained):
    for wrong, words in (
        ({"scenarios": ("replacment",)}, "scenarios are some of"),
        ({"scenarios": "expansion"}, "scenarios are some of"),
        ({"shares": (0.2, 1.5)}, "shares are several numbers in 0..1"),
        ({"shares": 0.2}, "shares are several numbers in 0..1"),
    ):
        with pytest.raises(ValueError, match=words):
            augmentation.Source(drawn, **wrong)
    with pytest.raises(TypeError, match="draw is a function"):
        augmentation.Source(drawn())
    with pytest.raises(TypeError, match="GAN must be an augm"):
        run(tmp_path, {"GAN": drawn})
    with pytest.raises(ValueError, match="repeats must be 1 or more"):
        run(tmp_path, repeats=0)
    assert trained.done == []
    with pytest.raises(TypeError, match=r"draws a Drawn.*got a ImageData"):
        run(tmp_path, {"GAN": augmentation.Source(lambda: EXTRA)})


def test_cells_of_other_settings_or_images_are_refused(tmp_path, trained):
    run(tmp_path)
    with pytest.raises(ValueError, match=r"other settings \(steps 7, now 8\)"):
        run(tmp_path, steps=8)
    with pytest.raises(ValueError, match=r"other settings \(batch_size 64, now 32\)"):
        run(tmp_path, batch_size=32)
    other = images(32, 5)
    other.split = REAL.split
    assert repr(other) == repr(REAL)
    with pytest.raises(ValueError, match=r"other settings \(real "):
        augmentation.grid(other, HELD, {}, tmp_path, steps=7, progress=False)


def test_shares_are_those_asked_for_and_names_decide_nothing(tmp_path, trained):
    made = {
        "real": augmentation.Source(drawn, shares=(0.25,)),
        "twice doubled": augmentation.Source(drawn, shares=(1,)),
    }
    found = run(tmp_path, made, repeats=1)
    assert "f1/expansion 0.25 real" in found and "f1/real" in found
    assert [case[:2] for case in trained.done] == [
        (32, 7),
        (32, 14),
        (32, 7),
        (40, 7),
        (32, 7),
        (64, 7),
    ]


def test_names_that_no_cell_can_have_are_refused(tmp_path):
    for made in (
        {"mine/GAN": augmentation.Source(drawn)},
        {"GAN": augmentation.Source(drawn, shares=(0.2, 0.2))},
        {"GAN": sources()["GAN"], "GAN doubled": augmentation.Source(drawn)},
    ):
        with pytest.raises(ValueError, match="cannot be the name of one cell"):
            run(tmp_path, made)


def test_a_source_that_cannot_fill_a_class_gives_nan_and_the_rest_goes_on(
    tmp_path, trained
):
    def empty():
        raise UnfilledError("class 1 lacks 3 of 3 images")

    made = {"GAN": augmentation.Source(empty, shares=(1.0,))} | {
        "MADGAN": augmentation.Source(drawn, shares=(1.0,))
    }
    for _ in range(2):  # read back, too
        found = run(tmp_path, made)
        assert math.isnan(found["f1/replacement 1.0 GAN"])
        assert math.isnan(found["share_1/GAN"])
        assert found["f1/replacement 1.0 MADGAN"] > 0
    kept = json.loads((tmp_path / "source GAN.json").read_text())
    assert kept == {"refused": "class 1 lacks 3 of 3 images"}


def test_other_errors_of_a_source_are_not_swallowed(tmp_path, trained):
    def wrong():
        raise ValueError("pass a labeller")

    with pytest.raises(ValueError, match="pass a labeller"):
        run(tmp_path, {"GAN": augmentation.Source(wrong)})


def test_a_real_classifier_fills_a_cell(tmp_path):
    found = augmentation.grid(
        images(128, 0), HELD, {}, tmp_path, steps=2, width=2, progress=False
    )
    assert 0 <= found["f1/real"] <= 1
