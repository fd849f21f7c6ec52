"""The command line as a user meets it: files, messages, exit codes."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

import multigan_lib as mg
from multigan_lib import cli, experiments, paths, results


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs the command line here; returns exit code, standard output and error."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["multigan_lib", *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        return code, *capsys.readouterr()

    return call


def train(command, out, *more):
    words = ("train", "gan", "--data", "ring", "--width", 8, "--device", "cpu")
    return command(*words, "--out", out, *more)


def test_train_writes_checkpoint_picture_and_summary(command, tmp_path):
    out = tmp_path / "runs" / "gan"
    words = ("--data", "digits", "--steps", 2, "--width", 4, "--batch-size", 8)
    code, text, progress = command("train", "gan", *words, "--out", out)
    assert code == 0
    assert (out / "samples.png").read_bytes().startswith(b"\x89PNG")
    assert "2 steps" in text and "images/s" in text and "digits" in text
    assert "step/s" in progress
    assert mg.games.load(out).sample(3).x.shape == (3, 1, 16, 16)


def test_resume_until_equals_an_unbroken_run(command, tmp_path):
    assert train(command, tmp_path / "a", "--steps", 5, "--seed", 3)[0] == 0
    words = ("train", "gan", "--out", tmp_path / "a", "--resume", "--until", 9)
    code, text, _ = command(*words, "--device", "cpu")
    assert code == 0 and "9 steps" in text and "ring" in text
    train(command, tmp_path / "b", "--steps", 9, "--seed", 3)
    a, b = (mg.games.load(tmp_path / name) for name in "ab")
    for name, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[name])
    assert command(*words, "--device", "cpu")[0] == 0, "doing it twice changes nothing"
    assert int(mg.games.load(tmp_path / "a").step) == 9


def test_options_reach_the_game(command, tmp_path):
    code, *_ = train(
        command, tmp_path, "--steps", 1, "--loss", "hinge", "--set", "latent_size=5"
    )
    game = mg.games.load(tmp_path)
    assert code == 0
    assert (game.loss, game.latent_size, game.arguments["width"]) == ("hinge", 5, 8)


def test_own_pictures_of_an_odd_size_are_brought_to_the_next(command, tmp_path):
    from PIL import Image

    (tmp_path / "mine").mkdir()
    for index in range(4):
        Image.new("RGB", (20, 20), (index, 0, 0)).save(tmp_path / f"mine/{index}.png")
    words = ("--data", tmp_path / "mine", "--steps", 1, "--width", 4, "--batch-size", 2)
    code, _, error = command("train", "gan", *words, "--out", tmp_path / "run")
    assert code == 0, error
    assert mg.games.load(tmp_path / "run").shape == (3, 32, 32)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "mgan9", "--steps", "1"], "no game 'mgan9'; there are gan"),
        (["train", "gan"], "--steps 500, or --until 500"),
        (["train", "gan", "--steps", "-1"], "--steps 500, or --until 500"),
        (["train", "gan", "--steps", "1", "--until", "2"], "--steps 500, or --until"),
        (["train", "gan", "--steps", "1", "--data", "nope"], "nope"),
        (
            ["train", "gan", "--steps", "1", "--data", "no/such/folder"],
            "no/such/folder",
        ),
        (["train", "gan", "--steps", "1", "--loss", "l3"], "l3"),
        (["train", "gan", "--steps", "1", "--set", "gate"], "name=value"),
        (
            ["train", "cmadgan", "--steps", "1", "--set", "generators=two"],
            "generators must be 2 or more, got 'two'",
        ),
        (
            ["train", "gan", "--steps", "1", "--set", "targets=0.9"],
            "targets are those of real and of generated samples",
        ),
        (["train", "gan", "--steps", "1", "--set", "gate=1"], "no option gate; it has"),
        (
            ["train", "gan", "--steps", "1", "--set", "generator=1"],
            "no option generator",
        ),
        (["train", "gan", "--steps", "1", "--device", "tpu"], "tpu"),
        (["train", "gan", "--steps", "1", "--split", "test[9:3]"], "test[9:3]"),
        (
            ["train", "gan", "--steps", "1", "--data", "ring", "--split", "test"],
            "split",
        ),
    ],
)
def test_a_mistake_is_one_plain_sentence(command, tmp_path, words, message):
    out = tmp_path / "run"
    code, _, error = command(*words, "--out", out)
    lines = error.strip().splitlines()
    assert code == 2
    assert len(lines) == 1 and lines[0].startswith("Error: ") and message in lines[0]
    assert not (out / "checkpoint.json").exists()


def test_a_run_is_never_overwritten(command, tmp_path):
    train(command, tmp_path, "--steps", 1)
    before = (tmp_path / "checkpoint.json").read_bytes()
    code, _, error = train(command, tmp_path, "--steps", 1)
    assert code == 2 and "--resume" in error and "Traceback" not in error
    assert (tmp_path / "checkpoint.json").read_bytes() == before


def test_a_resumed_game_keeps_its_options_and_its_kind(command, tmp_path, monkeypatch):
    train(command, tmp_path, "--steps", 1)
    code, _, error = train(command, tmp_path, "--steps", 1, "--resume")
    assert code == 2 and "leave out width" in error

    class Other(mg.games.GAN):
        pass

    monkeypatch.setitem(mg.games.GAMES, "Other", Other)
    words = ("train", "other", "--out", tmp_path, "--resume", "--steps", 1)
    code, _, error = command(*words)
    assert code == 2 and "holds a GAN, not a other" in error


def test_interrupt_saves_and_says_how_to_go_on(tmp_path):
    words = ("train", "gan", "--data", "ring", "--steps", "1000000", "--device", "cpu")
    with subprocess.Popen(
        [sys.executable, "-m", "multigan_lib", *words, "--out", tmp_path / "run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=paths.PACKAGE.parent,
    ) as process:
        deadline = time.monotonic() + 100
        while not (tmp_path / "run" / "data.json").exists():
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.1)
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        text, error = process.communicate(timeout=100)
    assert process.returncode == 130
    assert "saved in" in error and "Traceback" not in error
    assert f"--out {tmp_path / 'run'} --resume --until 1000000" in text
    assert int(mg.games.load(tmp_path / "run").step) > 0


def test_sample_draws_a_picture_of_so_many(command, tmp_path):
    train(command, tmp_path / "run", "--steps", 1)
    picture = tmp_path / "new" / "grid.png"
    words = ("sample", tmp_path / "run", "--n", 9)
    assert command(*words, "--out", picture)[0] == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    code, _, error = command(*words, "--out", tmp_path / "grid.jpg")
    assert code == 2 and ".png" in error
    code, _, error = command("sample", tmp_path / "nothing")
    assert code == 2 and "no checkpoint" in error


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    """Folders of two games of digits and one of points, which take labels."""
    folder = tmp_path_factory.mktemp("conditional")
    digits = mg.data.load("digits", "train[:64]", image_size=16)
    for name, kind, data in (
        ("cgan", mg.games.CGAN, digits),
        ("cmadgan", mg.games.CMADGAN, digits),
        ("points", mg.games.CGAN, mg.data.ring()),
    ):
        game = kind(data, width=4)
        mg.train(game, data, steps=1, batch_size=8, checkpoint=folder / name)
    return folder


@pytest.mark.parametrize(
    ("words", "labels", "columns"),
    [
        (["--labels", "3", "--n", 16], [3] * 16, 4),
        (["--labels", "0,1,2", "--n", 16], [0, 1, 2] * 5 + [0], 3),
        (["--labels", "7, 2", "--n", 16], [7, 2] * 8, 4),
        (["--n", 16], None, 4),
    ],
)
def test_sample_asks_for_classes(
    command, conditional, tmp_path, monkeypatch, words, labels, columns
):
    drawn = []

    def grid(samples, columns, limit):
        drawn.append((samples.labels.tolist(), columns, limit))
        return plain(samples, columns, limit=limit)

    plain = mg.figures.sample_grid
    monkeypatch.setattr(mg.figures, "sample_grid", grid)
    for name in ("cgan", "cmadgan"):
        picture = tmp_path / f"{name}.png"
        code, _, error = command("sample", conditional / name, "--out", picture, *words)
        assert code == 0, error
        assert picture.read_bytes().startswith(b"\x89PNG")
        asked, *sizes = drawn.pop()
        assert sizes == [columns, 16]
        assert asked == labels if labels else len({*asked}) > 1


def test_sample_asks_for_modes_of_points(command, conditional, tmp_path, monkeypatch):
    drawn = []
    plain = mg.figures.scatter_points
    monkeypatch.setattr(
        mg.figures, "scatter_points", lambda x, m: drawn.append(x) or plain(x, m)
    )
    words = ("--labels", "6", "--out", tmp_path / "a.png")
    assert command("sample", conditional / "points", *words)[0] == 0
    assert drawn[0].labels.tolist() == [6] * 2048


@pytest.mark.parametrize(
    ("name", "labels", "message"),
    [
        ("cgan", "three", "--labels wants whole numbers, such as 3 or 0,1,2; got"),
        ("cgan", "1,,2", "--labels wants whole numbers"),
        ("cgan", "", "--labels wants whole numbers"),
        ("cgan", "0,11", "labels must be from 0 to 9, got 0 to 11"),
        ("cgan", "-1", "labels must be from 0 to 9, got -1"),
        ("gan", "3", "GAN is not conditional: it takes no labels"),
    ],
)
def test_labels_that_cannot_be_are_one_sentence(
    command, conditional, tmp_path, name, labels, message
):
    if name == "gan":
        train(command, conditional / "gan", "--steps", 1)
    out = tmp_path / "a.png"
    words = ("sample", conditional / name, f"--labels={labels}", "--out", out)
    code, _, error = command(*words)
    lines = error.strip().splitlines()
    assert code == 2 and not out.exists()
    assert len(lines) == 1 and lines[0].startswith("Error: ") and message in lines[0]


def test_train_takes_conditional_games(command, tmp_path):
    words = ("--steps", 1, "--batch-size", 8, "--width", 4, "--image-size", 16)
    more = ("--data", "digits", "--set", "generators=2", "--set", "sign=printed")
    more += ("--set", "centred=false")
    code, text, error = command("train", "cmadgan", *words, *more, "--out", tmp_path)
    assert code == 0 and "CMADGAN on digits" in text, error
    game = mg.games.load(tmp_path)
    assert (game.sign, game.centred) == ("printed", False)


def test_conditional_games_battle(command, conditional):
    paths = (conditional / "cgan", conditional / "cmadgan")
    code, text, error = command("battle", *paths, "--data", "digits", "--n", 40)
    assert code == 0 and "r_samples" in text, error
    again = conditional / "points again"
    game = mg.games.load(conditional / "points")
    mg.train(game, mg.data.ring(), steps=1, batch_size=8, checkpoint=again)
    words = ("battle", conditional / "points", again, "--data", "ring", "--n", 99)
    code, text, error = command(*words)
    assert code == 0 and "n = 99" in text, error


def test_run_writes_a_record_where_asked_and_can_be_interrupted(
    command, tmp_path, monkeypatch
):
    asked = []

    def fake(name, seeds, scale, device, folder, jobs):
        asked.append((name, seeds, scale, device, folder, jobs))
        if seeds == 1:
            raise KeyboardInterrupt
        return "the record"

    monkeypatch.setattr(experiments, "run", fake)
    words = ("--seeds", 2, "--out", tmp_path, "--jobs", 3)
    code, text, _ = command("run", "gan_ring", *words)
    assert (code, text.strip()) == (0, "the record")
    assert asked == [("gan_ring", 2, "small", None, tmp_path, 3)]
    code, _, error = command("run", "gan_ring", "--seeds", 1)
    assert code == 130 and "goes on from here" in error
    monkeypatch.undo()
    code, _, error = command("run", "gan_rink")
    assert code == 2 and "gan_ring" in error


def test_list_names_what_there_is(command):
    code, text, _ = command("list")
    assert code == 0
    for name in ("digits", "mnist", "ring", "gan", *experiments.RECIPES):
        assert name in text
    for name in results.names():
        assert name in text


def test_fetch_verifies_a_data_set(command):
    code, text, _ = command("fetch", "digits")
    assert code == 0 and "1437" in text and "360" in text
    code, _, error = command("fetch", "nope")
    assert code == 2 and "nope" in error


def test_an_unknown_command_and_no_command_show_the_usage(command):
    code, _, error = command("frobnicate")
    assert code == 2 and "frobnicate" in error
    code, text, error = command()
    assert "train" in text + error and "run" in text + error


def test_trained_games_battle(command, tmp_path):
    for name, steps in (("good", 60), ("raw", 0), ("third", 20)):
        train(command, tmp_path / name, "--steps", steps)
    paths = [tmp_path / name for name in ("good", "raw", "third")]
    code, text, _ = command("battle", *paths[:2], "--n", 200)
    assert code == 0 and "ring" in text and "r_samples" in text
    assert f"{paths[0]} (game_1) against {paths[1]} (game_2)" in text
    code, text, _ = command("battle", *paths, "--data", "ring", "--judges", "each")
    assert code == 0 and text.count("against") == 3 and "points" in text
    for words, told in (
        (paths[:1], "needs two trained games"),
        ((paths[0], paths[0]), "name each folder once"),
        ((*paths, "--data", "digits"), "shape"),
        ((*paths, "--judges", "all"), "unknown judges 'all'"),
    ):
        code, _, error = command("battle", *words)
        assert code == 2 and told in error


def test_a_battle_of_image_games_is_judged_by_images_held_out(command, tmp_path):
    for name in "ab":
        words = ("--data", "digits", "--image-size", 16, "--width", 4, "--steps", 1)
        command("train", "gan", "--out", tmp_path / name, *words, "--device", "cpu")
    code, text, error = command("battle", tmp_path / "a", tmp_path / "b", "--n", 40)
    assert code == 0, error
    assert "digits test" in text and "n = 40" in text
    (tmp_path / "a" / "data.json").unlink()
    code, _, error = command("battle", tmp_path / "a", tmp_path / "b")
    assert code == 2 and "add --data" in error
