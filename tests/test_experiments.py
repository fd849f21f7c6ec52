"""Recipes: settings, records, and seeds that are never trained twice."""

import json
import math
import shutil
from dataclasses import replace

import pytest
import torch

import multigan_lib as mg
from multigan_lib import experiments, nets, paths
from multigan_lib.experiments import (
    battles,
    evaluations,
    labelled,
    recipes,
    runner,
)
from multigan_lib.experiments.recipe import Recipe

TINY = Recipe(
    about="A test.",
    data={"name": "ring", "modes": 4},
    game={"name": "GAN", "loss": "nonsaturating", "latent_size": 4, "width": 8},
    train={"steps": 6, "batch_size": 16, "snapshot_every": 3},
    evaluate=evaluations.point_modes,
    measure={"n": 64},
    paper={"train": {"steps": 8}, "data": {"modes": 8}},
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project with one tiny recipe."""
    monkeypatch.setattr(paths, "assets", lambda kind: tmp_path / kind)
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    monkeypatch.setitem(recipes.RECIPES, "tiny", TINY)
    return tmp_path


def run(name="tiny", **arguments):
    return experiments.run(name, device="cpu", progress=False, **arguments)


@pytest.fixture
def trained(monkeypatch):
    """The steps that were asked of training, run by run."""
    asked = []

    def counting(game, data, **arguments):
        before = int(game.step)
        history = mg.train(game, data, **arguments)
        asked.append((arguments["seed"], before, int(game.step)))
        return history

    monkeypatch.setattr(runner, "train", counting)
    return asked


def test_a_run_becomes_a_record(project):
    record = run(seeds=2)
    assert (project / "results" / "tiny.json").is_file()
    assert record.image.read_bytes().startswith(b"\x89PNG")
    assert record.seeds == [0, 1]
    assert record.config["train"]["steps"] == 6
    assert record.config["data"] == {"name": "ring", "modes": 4}
    assert len(record.metrics["modes"]) == 2 and record.how["modes"].n == 64
    assert record.how["modes"].reference == "ring of 4"
    steps, values = record.series("modes")
    assert steps.tolist() == [0, 3, 6] and values.shape == (2, 3)
    assert {r["seed"] for r in record.runs} == {0, 1}
    assert all(r["seconds"] > 0 and r["images_per_second"] > 0 for r in record.runs)
    assert record.versions["torch"] == torch.__version__.partition("+")[0]
    assert record.command.endswith("run tiny --seeds 2")


def test_metrics_are_those_of_the_same_game_trained_by_hand(project):
    record = run(seeds=2)
    ring = mg.data.ring(modes=4)
    game = mg.games.GAN(ring, latent_size=4, width=8, seed=1)
    mg.train(game, ring, steps=6, batch_size=16, seed=1, device="cpu", progress=False)
    x = game.sample(64, seed=evaluations.SAMPLE_SEED + 1)
    coverage = mg.metrics.mode_coverage(x, ring)
    assert record.metrics["high_quality"][1] == coverage.high_quality
    assert record.metrics["modes"][1] == coverage.modes


def test_seeds_in_processes_give_the_same_record(project):
    one_by_one = run(seeds=3, folder=project / "one")
    for result in (project / "cache").rglob("result.json"):
        result.unlink()
    for checkpoint in (project / "cache").rglob("checkpoint"):
        shutil.rmtree(checkpoint)
    together = run(seeds=3, folder=project / "two", jobs=2)
    assert repr(together.metrics) == repr(one_by_one.metrics)  # equal, NaN too
    assert together.curves == one_by_one.curves


def test_more_seeds_do_not_repeat_the_first(project, trained):
    first = run(seeds=1)
    second = run(seeds=3)
    assert [seed for seed, *_ in trained] == [0, 1, 2]
    assert second.metrics["high_quality"][0] == first.metrics["high_quality"][0]
    with pytest.raises(ValueError, match="3 seeds already"):
        run(seeds=2)
    assert run(seeds=2, folder=project / "mine").seeds == [0, 1]
    assert len(trained) == 3


def test_an_interrupted_seed_goes_on_where_it_stopped(project, monkeypatch):
    whole = run(seeds=1, folder=project / "whole")
    monkeypatch.setattr(paths, "cache", lambda: project / "other_cache")
    half = dict(TINY.train)

    def stop_half_way(game, data, **arguments):
        mg.train(game, data, **(arguments | {"until": 4}))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runner, "train", stop_half_way)
        with pytest.raises(KeyboardInterrupt):
            run(seeds=1)
    assert not (project / "results" / "tiny.json").exists()
    asked = []

    def watching(game, data, **arguments):
        assert arguments["resume"] and arguments["until"] == half["steps"]
        history = mg.train(game, data, **arguments)
        asked.append(history.steps)
        return history

    monkeypatch.setattr(runner, "train", watching)
    resumed = run(seeds=1)
    assert asked == [6]
    # As text, for an undefined value equals no other.
    assert str(resumed.metrics) == str(whole.metrics)
    assert resumed.curves == whole.curves


def test_other_settings_are_another_run(project, trained, monkeypatch):
    run(seeds=1)
    longer = Recipe(**(vars(TINY) | {"train": {**TINY.train, "steps": 7}}))
    monkeypatch.setitem(recipes.RECIPES, "tiny", longer)
    run(seeds=1)
    assert [end for *_, end in trained] == [6, 7]


def test_variants_have_metrics_of_their_own(project, monkeypatch):
    both = {"variants": {"a": {}, "b": {"loss": "hinge"}}}
    monkeypatch.setitem(recipes.RECIPES, "tiny", Recipe(**(vars(TINY) | both)))
    record = run(seeds=2)
    assert len(record.runs) == 4
    assert len(record.metrics["kl/a"]) == len(record.metrics["kl/b"]) == 2
    assert record.config["variants"]["b"] == {"loss": "hinge"}
    assert record.metrics["high_quality/a"] != record.metrics["high_quality/b"] or (
        record.series("high_quality/a") is not record.series("high_quality/b")
    )


@pytest.mark.parametrize("game", ["MGAN", "MEGAN"])
def test_several_generators_are_measured_one_by_one(project, monkeypatch, game):
    many = replace(TINY, game={**TINY.game, "name": game, "generators": 3})
    monkeypatch.setitem(recipes.RECIPES, "tiny", many)
    measured = run(seeds=1).metrics
    assert measured["usage_min"][0] <= 1 <= measured["usage_max"][0]
    assert 0 <= measured["modes_per_generator"][0] <= 4
    digits = {"name": "digits", "split": "train", "image_size": 16}
    held_out = {"name": "digits", "split": "test", "image_size": 16}
    many = replace(
        many,
        data=digits,
        evaluate=evaluations.mixture_images,
        train={"steps": 1, "batch_size": 4},
        measure={"held_out": held_out},
    )
    monkeypatch.setitem(recipes.RECIPES, "tiny", many)
    measured = run(seeds=1).metrics
    assert 0 <= measured["nmi"][0] < 0.5 and 0 < measured["active"][0] <= 1


@pytest.fixture
def duel(project, monkeypatch):
    """A recipe of two tiny image games and their battle, and how often they met."""
    held_out = {"name": "digits", "split": "test", "image_size": 16}
    recipe = Recipe(
        about="A test of a battle.",
        data={"name": "digits", "split": "train", "image_size": 16},
        game={"latent_size": 4, "width": 2},
        train={"steps": 4, "batch_size": 8},
        evaluate=evaluations.image_losses,
        measure={"held_out": held_out, "fid": True},
        compare=battles.every_pair,
        variants={
            "one": {"name": "GAN"},
            "two": {"name": "GMAN", "discriminators": 2, "targets": "noisy"},
        },
    )
    monkeypatch.setitem(recipes.RECIPES, "tiny", recipe)
    return recipe


def test_the_games_of_a_seed_battle_each_other(duel, monkeypatch):
    met = []
    compare = duel.compare

    def counting(games, *arguments):
        met.append(list(games))
        return compare(games, *arguments)

    changed = replace(duel, compare=counting)
    monkeypatch.setitem(recipes.RECIPES, "tiny", changed)
    record = run(seeds=1)
    assert record.metrics == run(seeds=1).metrics
    record = run(seeds=2)
    assert met == [["one", "two"]] * 2, "nothing is judged twice"
    one, two = (
        mg.games.load(folder / "checkpoint")
        for name in ("one", "two")
        for folder in (paths.cache() / "runs" / "tiny").glob(f"{name}-1-*")
    )
    held = mg.data.load(**duel.measure["held_out"])
    seed = evaluations.SAMPLE_SEED + 1
    battle = mg.metrics.gam(one, two, held, seed=seed)
    measured = {name: values[1] for name, values in record.metrics.items()}
    assert measured["r_samples"] == battle.r_samples
    assert measured["r_test"] == battle.r_test
    side = {-1: "game_1", 0: "tie", 1: "game_2"}
    assert side[measured["winner"]] == battle.winner
    # The report's code, written out: -log of the mean probability, not calibrated.
    x = two.sample(len(held), seed=seed).x
    code = -one.realness(x).sigmoid().log().mean()
    x = one.sample(len(held), seed=seed).x
    with torch.no_grad():
        logits = torch.stack([net(x) for net in two.discriminator.own])
    code /= -logits.sigmoid().mean(0).log().mean()
    assert measured["code_r_samples"] == pytest.approx(code.item(), rel=1e-5)
    assert measured["generator_spread/one"] >= 0 and measured["fid/two"] > 0
    steps, values = record.series("generator/one")
    assert steps.tolist() == [1, 2, 3, 4] and values.shape == (2, 4)


def test_of_more_than_two_games_every_pair_is_named(duel, monkeypatch):
    three = {**duel.variants, "three": {"name": "GAN", "loss": "hinge"}}
    monkeypatch.setitem(recipes.RECIPES, "tiny", replace(duel, variants=three))
    measured = run(seeds=1).metrics
    pairs = {name.partition("/")[2] for name in measured if name.startswith("r_test/")}
    assert pairs == {"one against two", "one against three", "two against three"}


def test_paper_scale_is_a_record_of_its_own(project):
    record = run(seeds=1, scale="paper")
    assert record.recipe == "tiny_paper"
    assert record.config["train"] == {"steps": 8, "batch_size": 16, "snapshot_every": 3}
    assert record.config["data"]["modes"] == 8
    assert record.command.endswith("run tiny --seeds 1 --scale paper")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "gan_rin"}, "no recipe 'gan_rin'; there are gan_ring"),
        ({"seeds": 0}, "at least one seed"),
        ({"jobs": 0}, "jobs must be at least 1"),
        ({"scale": "huge"}, "'small' or 'paper'"),
    ],
)
def test_errors(project, arguments, message):
    with pytest.raises(ValueError, match=message):
        run(**arguments)


@pytest.mark.parametrize("name", list(experiments.RECIPES))
def test_every_recipe_is_complete(name):
    recipe = experiments.find(name)
    config = recipe.config("small")
    json.dumps(config)
    assert config["train"]["steps"] > 0 and recipe.about.endswith(".")
    shape = (2,) if config["data"]["name"] == "ring" else None
    if shape is None:
        channels = 3 if config["data"]["name"] in ("stacked_mnist", "cifar10") else 1
        shape = (channels, config["data"]["image_size"], config["data"]["image_size"])
    for variant in recipe.variants.values():
        spec = mg.data.Spec(shape, 10)
        game = runner.make_game({**config["game"], **variant}, spec, 0)
        assert game.sample(2).x.shape == (2, *shape)


def test_a_generator_without_batch_norm_keeps_its_offsets():
    settings = {"name": "GAN", "latent_size": 4, "width": 4}
    plain = runner.make_game(
        settings | {"generator": {"batch_norm": False}}, mg.data.Spec((1, 16, 16)), 0
    )
    kinds = {type(module).__name__ for module in plain.generator.modules()}
    assert "BatchNorm2d" not in kinds and "Offset" in kinds
    usual = nets.generator_for((1, 16, 16), 4, 4)
    offsets = [
        p.numel() for n, p in plain.generator.named_parameters() if "offset" in n
    ]
    norms = [m for m in usual.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert offsets == [norm.num_features for norm in norms]


class Fixed:
    """A game that "generates" given images."""

    device = torch.device("cpu")
    latent_size = 4

    def __init__(self, x):
        self.x = x

    def sample(self, n, source=None, seed=None):
        x = self.x[:n]
        return mg.games.Samples(x, torch.zeros(len(x), dtype=torch.int64))


def test_digit_images_judge_real_images_as_good_and_one_class_as_bad():
    held = {"name": "digits", "split": "test", "image_size": 16}
    settings = {"held_out": held, "halvings": 2}
    test, train = mg.data.load(**held), mg.data.load("digits", image_size=16)
    good = evaluations.digit_images(Fixed(test.x()), train, None, settings, 0)
    assert good.metrics["fid"][0] < 1e-3
    shares = [good.metrics[f"share_{c}"][0] for c in range(10)]
    assert math.isclose(sum(shares), 1)
    real = torch.bincount(test.labels, minlength=10) / len(test)
    assert max(abs(torch.tensor(shares) - real)) < 0.05
    assert good.metrics["min_share"][0] == min(shares)
    half = good.metrics["fid_half"]
    assert half[1].n == len(test) // 2 and "halves of digits" in half[1].reference
    threes = test[(test.labels == 3).nonzero().flatten().repeat(20)[: len(test)]]
    bad = evaluations.digit_images(Fixed(threes.x()), train, None, settings, 0)
    assert bad.metrics["fid_ratio"][0] > 5 * good.metrics["fid_ratio"][0]
    assert bad.metrics["min_share"][0] == 0
    for floor in ("fid_half_real", "fid_half_train"):
        assert bad.metrics[floor] == good.metrics[floor]
    assert good.metrics["fid_half_train"][0] > good.metrics["fid_half_real"][0]


def test_stacked_modes_of_the_data_themselves():
    data = mg.data.load("stacked_mnist", image_size=16, n=500, seed=1)
    settings = {"n": 500, "labeller": "digits"}
    outcome = evaluations.stacked_modes(Fixed(data.x()), data, None, settings, 0)
    assert outcome.metrics["modes"] == outcome.metrics["modes_real"]
    true = len(torch.unique(data.labels))
    assert abs(outcome.metrics["modes"][0] - true) < 0.05 * true


class Shelves(Fixed):
    """A "game" of several generators: each asked for has its own labelled images."""

    def __init__(self, *shelves):
        self.shelves, self.generators = shelves, len(shelves)
        self.spec = shelves[0].spec

    def sample(self, n, labels=None, source=None, seed=None):
        shelf = self.shelves[source or 0]
        chosen = shelf[torch.arange(n) % len(shelf)]
        where = torch.full((len(chosen),), source or 0)
        return mg.games.Samples(chosen.x(), where, chosen.labels)


def test_labelled_images_are_judged_generator_by_generator():
    held = {"name": "digits", "split": "test", "image_size": 16}
    test, train = mg.data.load(**held), mg.data.load("digits", image_size=16)
    threes = test[(test.labels == 3).nonzero().flatten().repeat(20)[: len(test)]]
    game = Shelves(test, threes)
    outcome = labelled.labelled_images(game, train, None, {"held_out": held}, 0)
    values = {name: value for name, (value, _) in outcome.metrics.items()}
    assert values["fid"] == values["fid_G0"] < 1e-3 < values["fid_train"]
    assert values["fid_G1"] > 10 * values["fid_train"]
    assert values["inception_score_G1"] < 1.2 < values["inception_score_real"]
    assert values["inception_score_G0"] == values["inception_score_real"]
    assert values["accuracy"] == values["accuracy_real"] > 0.95
    assert "similarity" not in values and 0 < values["similarity_within"] < 1
    assert outcome.picture.source.tolist() == [0] * 10 + [1] * 10


def test_similarity_of_generators_stands_beside_that_of_real_images():
    held = {"name": "digits", "split": "test", "image_size": 16}
    data = mg.data.load("digits", image_size=16)
    game = mg.games.CMADGAN(data, generators=3, width=4, latent_size=4)
    outcome = labelled.labelled_images(game, data, None, {"held_out": held}, 0)
    values = {name: value for name, (value, _) in outcome.metrics.items()}
    flat = [data.x(data.labels == c).flatten(1) for c in range(10)]
    pairs = [torch.nn.functional.normalize(x) for x in flat]
    means = [((u @ u.T).sum().item() - len(u)) / (len(u) * (len(u) - 1)) for u in pairs]
    assert math.isclose(values["similarity_real"], sum(means) / 10, rel_tol=1e-4)
    assert values["similarity_centred_real"] < values["similarity_real"]
    assert -0.5 <= values["similarity"] <= 1
    labels, within, between = torch.arange(10).repeat(100), [], []
    own = [
        game.sample(1000, labels, k, evaluations.SAMPLE_SEED + k).x.flatten(1)
        for k in range(3)
    ]
    for c in range(10):
        units = [torch.nn.functional.normalize(x[labels == c]) for x in own]
        for k, u in enumerate(units):
            within.append(((u @ u.T).sum().item() - 100) / (100 * 99))
            between += [(u @ v.T).mean().item() for v in units[:k]]
    for name, means in (("within", within), ("between", between)):
        expected = sum(means) / 30
        assert math.isclose(values[f"similarity_{name}"], expected, rel_tol=1e-4)
    assert outcome.picture.x.shape == (30, 1, 16, 16)
