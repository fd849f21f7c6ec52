"""The loop: it trains, resumes bit for bit, and stops where it must."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import multigan_lib as mg
from multigan_lib.training import NonFiniteLossError
from multigan_lib.training.settings import threads_for

QUIET = {"progress": False, "device": "cpu"}


def equal_runs(one, two, path_one, path_two):
    """Assert that two runs ended with the same checkpoint, bit for bit."""
    tensors_one, info_one = mg.games.checkpoint.read(path_one)
    tensors_two, info_two = mg.games.checkpoint.read(path_two)
    for info in (info_one, info_two):
        del info["seconds"]
    assert info_one == info_two
    assert tensors_one.keys() == tensors_two.keys()
    for name, value in tensors_one.items():
        assert torch.equal(value, tensors_two[name]), name
    assert one.terms.keys() == two.terms.keys()
    for name, values in one.terms.items():
        assert np.array_equal(values, two.terms[name]), name
    assert [s for s, _ in one.snapshots] == [s for s, _ in two.snapshots]
    for (_, a), (_, b) in zip(one.snapshots, two.snapshots, strict=True):
        assert torch.equal(a.x, b.x)


def image_game(**arguments):
    return mg.games.GAN((1, 16, 16), width=4, latent_size=8, seed=0, **arguments)


def test_training_moves_both_players_and_records_every_step():
    ring = mg.data.ring()
    game = mg.games.GAN(ring, seed=0)
    before = {name: p.clone() for name, p in game.named_parameters()}
    history = mg.train(game, ring, steps=5, batch_size=16, **QUIET)
    assert all(not torch.equal(before[n], p) for n, p in game.named_parameters())
    assert game.step.item() == history.steps == 5
    assert history.terms.keys() == {
        f"{player}/{term}"
        for player in ("discriminator", "generator")
        for term in ("adversarial", "total")
    }
    assert all(len(values) == 5 for values in history.terms.values())
    assert history.samples_seen == 80 and history.samples_per_second > 0


def test_a_step_equals_two_plain_adam_steps():
    ring = mg.data.ring()
    game, plain = mg.games.GAN(ring, seed=0), mg.games.GAN(ring, seed=0)
    mg.train(game, ring, steps=3, batch_size=16, seed=5, lr=(1e-3, 1e-4), **QUIET)
    adam = {"betas": (0.5, 0.999)}
    d_adam = torch.optim.Adam(plain.discriminator.parameters(), lr=1e-3, **adam)
    g_adam = torch.optim.Adam(plain.generator.parameters(), lr=1e-4, **adam)
    stream = ring.batches(16, seed=5, device="cpu")
    softplus = torch.nn.functional.softplus
    torch.manual_seed(5)
    for _ in range(3):
        real = next(stream).x
        fake = plain.generator(torch.randn(16, plain.latent_size)).detach()
        loss = softplus(-plain.discriminator(real)).mean()
        loss = loss + softplus(plain.discriminator(fake)).mean()
        d_adam.zero_grad()
        loss.backward()
        d_adam.step()
        fake = plain.generator(torch.randn(16, plain.latent_size))
        loss = softplus(-plain.discriminator(fake)).mean()
        g_adam.zero_grad()
        loss.backward()
        g_adam.step()
    for (name, ours), theirs in zip(
        game.named_parameters(), plain.parameters(), strict=True
    ):
        assert torch.allclose(ours, theirs, atol=1e-6), name


def test_the_discriminators_step_leaves_the_generators_gradients_alone():
    ring = mg.data.ring()
    game = mg.games.GAN(ring, seed=0)
    seen = []

    def note(real, fake):
        seen.append(
            (fake.x.requires_grad, [p.grad for p in game.generator.parameters()])
        )
        return type(game).discriminator_loss(game, real, fake)

    game.discriminator_loss = note
    mg.train(game, ring, steps=1, batch_size=16, **QUIET)
    ((has_graph, gradients),) = seen
    assert not has_graph and gradients == [None] * len(gradients)
    assert all(p.requires_grad for p in game.parameters())


@pytest.mark.parametrize("discriminators", [1, 3])
def test_the_judges_statistics_are_of_real_and_generated_samples_alike(discriminators):
    digits = mg.data.load("digits", image_size=16)
    game = image_game(discriminators=discriminators)
    mg.train(game, digits, steps=3, batch_size=8, seed=4, **QUIET)
    side = game.discriminator
    nets = [side.network(k) for k in range(3)] if discriminators > 1 else [side]
    stream = digits.batches(8, seed=4, device="cpu")
    for _ in range(3):
        next(stream)
    with torch.no_grad():
        torch.manual_seed(4)
        batches = []
        for _ in range(16):
            real = next(stream)
            batches += [real.x, game.sample(8).x]
        for net in nets:
            norm = net.trunk[1][1]
            read = [net.trunk[1][0](net.trunk[0](x)) for x in batches]
            mean = torch.stack([x.mean((0, 2, 3)) for x in read]).mean(0)
            variance = torch.stack([x.var((0, 2, 3)) for x in read]).mean(0)
            assert torch.allclose(norm.running_mean, mean, atol=1e-6)
            assert torch.allclose(norm.running_var, variance, rtol=1e-4)
            assert norm.momentum == 0.1


@pytest.mark.parametrize("kind", ["points", "critic", "batch norm"])
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(tmp_path, kind):
    options = {"batch_size": 16, "ema": 0.9, "snapshot_every": 4, "d_steps": 2, **QUIET}
    options |= {"schedule": "cosine", "seed": 3}
    if kind == "points":
        data = mg.data.ring()
        make = lambda: mg.games.GAN(data, seed=0)  # noqa: E731
    else:
        data = mg.data.load("digits", split="train[:50]", image_size=16)
        loss = "wasserstein" if kind == "critic" else "nonsaturating"
        make = lambda: image_game(loss=loss)  # noqa: E731
    whole = mg.train(make(), data, until=13, checkpoint=tmp_path / "a", **options)
    first = make()
    with pytest.raises(KeyboardInterrupt, match="after step 6"):
        stop_at(first, 6)
        mg.train(first, data, until=13, checkpoint=tmp_path / "b", **options)
    torch.randn(7)  # whatever happens in between
    resumed = mg.train(
        make(), data, until=13, checkpoint=tmp_path / "b", resume=True, **QUIET
    )
    equal_runs(whole, resumed, tmp_path / "a", tmp_path / "b")


def stop_at(game, step):
    """Send this process a Ctrl-C in the middle of a generator step."""
    original = game.generator_loss

    def loss(real, fake):
        if game.step.item() == step - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return original(real, fake)

    game.generator_loss = loss


KILLED = """
import sys, torch, multigan_lib as mg
torch.set_num_threads(1)
data = mg.data.load("digits", split="train[:200]", image_size=16)
game = mg.games.GAN(data, width=4, latent_size=8, seed=0)
history = mg.train(game, data, until=60, batch_size=16, seed=1, save_every=1,
                   checkpoint=sys.argv[1], resume=True, progress=False, device="cpu")
"""


def test_a_killed_run_resumed_equals_an_unbroken_one_bit_for_bit(tmp_path):
    command = [sys.executable, "-c", KILLED]
    subprocess.run([*command, tmp_path / "whole"], check=True)
    process = subprocess.Popen([*command, tmp_path / "killed"])
    while not mg.games.checkpoint.exists(tmp_path / "killed"):
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(np.random.default_rng().uniform(0, 0.3))
    process.kill()
    assert process.wait() == -signal.SIGKILL
    done = mg.games.checkpoint.read(tmp_path / "killed")[1]["step"]
    assert 0 < done < 60
    subprocess.run([*command, tmp_path / "killed"], check=True)
    whole, info = mg.games.checkpoint.read(tmp_path / "whole")
    killed, again = mg.games.checkpoint.read(tmp_path / "killed")
    assert info["step"] == again["step"] == 60
    assert whole.keys() == killed.keys()
    for name, value in whole.items():
        assert torch.equal(value, killed[name]), name


def test_steps_are_additional_and_until_is_in_all(tmp_path):
    ring = mg.data.ring()
    game = mg.games.GAN(ring, seed=0)
    options = {"checkpoint": tmp_path, "resume": True, **QUIET}
    assert mg.train(game, ring, steps=3, batch_size=8, **options).steps == 3
    assert mg.train(game, ring, steps=2, **options).steps == 5
    assert mg.train(game, ring, until=7, **options).steps == 7
    weights = [p.clone() for p in game.parameters()]
    history = mg.train(game, ring, until=7, **options)
    assert history.steps == game.step.item() == 7
    assert all(
        torch.equal(a, b) for a, b in zip(weights, game.parameters(), strict=True)
    )
    assert mg.games.checkpoint.read(tmp_path)[1]["settings"]["batch_size"] == 8


def test_an_existing_run_is_never_overwritten(tmp_path):
    ring = mg.data.ring()
    mg.train(mg.games.GAN(ring), ring, steps=1, checkpoint=tmp_path, **QUIET)
    before = mg.games.checkpoint.read(tmp_path)[1]
    with pytest.raises(FileExistsError, match="resume=True"):
        mg.train(mg.games.GAN(ring), ring, steps=1, checkpoint=tmp_path, **QUIET)
    assert mg.games.checkpoint.read(tmp_path)[1] == before


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_a_loss_that_is_not_finite_stops_with_player_and_step(tmp_path, player):
    ring = mg.data.ring()
    game = mg.games.GAN(ring, seed=0)
    name = f"{player}_loss"
    original = getattr(game, name)

    def broken(real, fake):
        losses = original(real, fake)
        if game.step.item() == 4:
            losses["adversarial"] = losses["adversarial"] * float("nan")
        return losses

    setattr(game, name, broken)
    with pytest.raises(NonFiniteLossError, match=f"{player}'s loss .* at step 5"):
        mg.train(game, ring, steps=9, checkpoint=tmp_path, save_every=2, **QUIET)
    tensors, info = mg.games.checkpoint.read(tmp_path)
    assert info["step"] == 4
    assert all(torch.isfinite(t).all() for t in tensors.values())


def test_three_lines_from_disk_to_images(tmp_path):
    data = mg.data.load("digits", split="train[:64]", image_size=16)
    game = mg.games.GAN(data, width=4, latent_size=8, loss="hinge", seed=0)
    mg.train(game, data, steps=3, batch_size=16, ema=0.9, checkpoint=tmp_path, **QUIET)
    loaded = mg.games.load(tmp_path)
    assert loaded.arguments["loss"] == "hinge" and loaded.spec == game.spec
    assert torch.equal(loaded.sample(8, seed=0).x, game.sample(8, seed=0).x)


def test_networks_of_ones_own_need_the_game(tmp_path):
    ring = mg.data.ring()

    def make():
        own = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Linear(8, 2))
        return mg.games.GAN(ring, generator=own, latent_size=4, seed=0)

    game = make()
    mg.train(game, ring, steps=2, checkpoint=tmp_path, **QUIET)
    with pytest.raises(ValueError, match=r"your own generator.*game=game"):
        mg.games.load(tmp_path)
    loaded = mg.games.load(tmp_path, game=make())
    assert torch.equal(loaded.sample(8, seed=0).x, game.sample(8, seed=0).x)
    with pytest.raises(ValueError, match="do not fit"):
        mg.games.load(tmp_path, game=mg.games.GAN(ring))


def test_snapshots_and_schedule():
    ring = mg.data.ring()
    history = mg.train(
        mg.games.GAN(ring), ring, steps=6, snapshot_every=2, schedule="linear", **QUIET
    )
    assert [step for step, _ in history.snapshots] == [0, 2, 4, 6]
    assert all(samples.x.shape == (512, 2) for _, samples in history.snapshots)


def test_the_global_random_numbers_are_left_alone():
    ring = mg.data.ring()
    torch.manual_seed(0)
    expected = torch.randn(3)
    torch.manual_seed(0)
    mg.train(mg.games.GAN(ring), ring, steps=2, **QUIET)
    assert torch.equal(torch.randn(3), expected)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "steps="),
        ({"steps": 1, "until": 2}, "steps="),
        ({"steps": -1}, "negative"),
        ({"steps": 1, "batch_size": 0}, "batch_size must be at least 1"),
        ({"steps": 1, "lr": 0.0}, "lr must be positive"),
        ({"steps": 1, "ema": 1.0}, "ema is a decay"),
        ({"steps": 1, "schedule": "step"}, "unknown schedule"),
        ({"steps": 1, "precision": "float8"}, "unknown precision"),
        ({"steps": 1, "resume": True}, "needs checkpoint"),
        ({"steps": 1, "device": "mps"}, "no device 'mps'"),
    ],
)
def test_bad_settings(options, words):
    ring = mg.data.ring()
    with pytest.raises(ValueError, match=words):
        mg.train(mg.games.GAN(ring), ring, **{**QUIET, **options})


def test_data_must_fit_the_game_and_the_run(tmp_path):
    ring = mg.data.ring()
    digits = mg.data.load("digits", image_size=16)
    with pytest.raises(ValueError, match="samples of shape"):
        mg.train(mg.games.GAN(ring), digits, steps=1, **QUIET)
    options = {"checkpoint": tmp_path, **QUIET}
    mg.train(mg.games.GAN(ring), ring, steps=1, **options)
    with pytest.raises(ValueError, match="was trained on"):
        grid = mg.data.grid()
        mg.train(mg.games.GAN(grid), grid, steps=1, resume=True, **options)
    with pytest.raises(ValueError, match="does not fit this game"):
        wide = mg.games.GAN(ring, width=7)
        mg.train(wide, ring, steps=1, resume=True, **options)


def test_point_games_use_one_thread_and_the_setting_is_restored():
    assert threads_for(mg.games.GAN((2,))) == 1
    before = torch.get_num_threads()
    ring = mg.data.ring()
    mg.train(mg.games.GAN(ring), ring, steps=1, **QUIET)
    assert torch.get_num_threads() == before


def test_a_conditional_judge_is_balanced_with_the_labels_of_the_data(monkeypatch):
    """Fakes of classes that the data lack would move the judge's running means."""
    images = torch.zeros(40, 1, 16, 16, dtype=torch.uint8)
    labels = torch.tensor([0, 2]).repeat(20)
    data = mg.data.ImageData(images, labels, ("a", "b", "c"))
    game = mg.games.CGAN(data, width=4, latent_size=4)
    asked = []
    sample = game.sample

    def noting(n, labels=None, **arguments):
        asked.append(labels)
        return sample(n, labels, **arguments)

    monkeypatch.setattr(game, "sample", noting)
    mg.train(game, data, steps=1, batch_size=10, progress=False)
    assert asked and all(set(labels.tolist()) <= {0, 2} for labels in asked)
