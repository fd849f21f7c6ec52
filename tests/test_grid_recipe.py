"""The grid as a recipe: games are trained, then every cell, and nothing twice."""

from dataclasses import replace

import pytest

import multigan_lib as mg
from multigan_lib import experiments, paths
from multigan_lib.augmentation import gridding
from multigan_lib.experiments import augmentations, evaluations, recipes, runner
from multigan_lib.experiments.recipe import Recipe

DIGITS = {"name": "digits", "split": "train[:300]", "image_size": 16}
HELD = {**DIGITS, "split": "test[:100]"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project with a tiny grid."""
    monkeypatch.setattr(paths, "assets", lambda kind: tmp_path / kind)
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    recipe = Recipe(
        about="A test of a grid.",
        data=DIGITS,
        game={"latent_size": 4, "width": 2},
        train={"steps": 2, "batch_size": 8},
        evaluate=evaluations.image_losses,
        measure={
            "held_out": HELD,
            "fid": False,
        },
        comparison={
            "real": DIGITS,
            "most": 20,
            "classifier": {"steps": 2, "width": 2},
            "labeller": {"steps": 2, "confidence": 0.0},
            "traditional": {"shift": 0.05},
            "repeats": 2,
            "doubled": ["cGAN"],
        },
        compare=augmentations.whole_grid,
        variants={
            "cGAN": {"name": "CGAN"},
            "cMADGAN 2": {"name": "CMADGAN", "generators": 2},
        },
        seeds=1,
    )
    monkeypatch.setitem(recipes.RECIPES, "tiny", recipe)
    return tmp_path


@pytest.fixture
def judges(monkeypatch):
    """How many images each classifier of a cell learnt from."""
    seen = []

    def counting(images, **settings):
        seen.append(len(images))
        if len(seen) == stop["at"]:
            raise KeyboardInterrupt
        return mg.augmentation.train_classifier(images, device="cpu", **settings)

    stop = {"at": None}
    counting.stop, counting.seen = stop, seen
    monkeypatch.setattr(gridding, "train_classifier", counting)
    return counting


def run(**arguments):
    return experiments.run("tiny", device="cpu", progress=False, **arguments)


def test_a_record_has_every_cell(project, judges):
    record = run()
    cells = {name[3:] for name in record.metrics if name.startswith("f1/")}
    pooled = ("traditional", "cGAN", "cMADGAN 2")
    assert cells == {
        "labeller",
        "real",
        "real again 1",
        "real doubled",
        "expansion 1.0 cGAN doubled",
        *(
            f"{scenario} {share} {source}"
            for scenario in ("replacement", "expansion")
            for share in mg.augmentation.SHARES
            for source in pooled
        ),
        *(f"replacement 1.0 cMADGAN 2 G{k}" for k in range(2)),
    }
    assert record.how["f1/real"].reference == "digits test[:100]"
    assert record.how["f1_a/real"].n == 50
    # At most 20 images of a class: replacement keeps 200, expansion adds 40 a step.
    assert judges.seen[:3] == [200] * 3
    assert sorted(set(judges.seen)) == [200, 240, 280, 320, 360, 400]


def test_interrupted_and_started_again_it_repeats_nothing_and_loses_nothing(
    project, judges
):
    unbroken = run(folder=project / "whole").metrics
    count = len(judges.seen)
    for path in sorted((project / "cache").rglob("together-*"), reverse=True):
        for part in [*path.glob("*"), path] if path.is_dir() else [path]:
            part.rmdir() if part.is_dir() else part.unlink()
    judges.seen.clear()
    judges.stop["at"] = 9
    with pytest.raises(KeyboardInterrupt):
        run()
    judges.stop["at"] = None
    kept = next((project / "cache").rglob("labeller.safetensors"))
    written = kept.stat().st_mtime_ns
    assert run().metrics == unbroken
    assert kept.stat().st_mtime_ns == written  # the labeller is not trained again
    assert len(judges.seen) == count + 1  # the interrupted one, once more
    run()
    assert len(judges.seen) == count + 1


def test_games_without_conditions_are_named_by_the_labeller(project, monkeypatch):
    asked = []

    def drawing(game, counts, *, labeller, confidence, source, seed):
        asked.append((type(game).__name__, labeller is not None, confidence, source))
        images = mg.data.load(**DIGITS)
        part = mg.augmentation.stratified(images, counts)
        return mg.augmentation.Drawn(part, counts, 1.0)

    monkeypatch.setattr(augmentations.augmentation, "generative", drawing)
    recipe = recipes.RECIPES["tiny"]
    variants = {"GAN": {"name": "GAN"}, **recipe.variants}
    sure = {**recipe.comparison, "labeller": {"steps": 2, "confidence": 0.5}}
    recipe = replace(recipe, variants=variants, comparison=sure)
    monkeypatch.setitem(recipes.RECIPES, "tiny", recipe)
    run()
    assert asked == [
        ("GAN", True, 0.5, None),
        ("CGAN", False, 0.0, None),
        ("CMADGAN", False, 0.0, None),
        ("CMADGAN", False, 0.0, 0),
        ("CMADGAN", False, 0.0, 1),
    ]


def test_the_paper_scale_changes_the_grid_and_a_changed_grid_leaves_the_games(
    project, monkeypatch
):
    recipe = recipes.RECIPES["tiny"]
    larger = replace(recipe, paper={"comparison": {"most": 30}})
    config = larger.config("paper")
    assert config["comparison"] == {**recipe.comparison, "most": 30}
    before = runner._digest(recipe.config("small"), "cGAN")
    changed = replace(recipe, comparison={**recipe.comparison, "most": 10})
    assert runner._digest(changed.config("small"), "cGAN") == before
    paper = recipes.find("augmentation_mnist").config("paper")
    sizes = paper["comparison"]["real"], paper["measure"]["held_out"], paper["data"]
    assert [size["image_size"] for size in sizes] == [32, 32, 32]
