"""Checkpoints are whole or absent, whatever happens while they are written."""

import json

import pytest
import torch

from multigan_lib import checkpoint


def test_round_trip(tmp_path):
    tensors = {"a": torch.randn(2, 3), "b": torch.arange(4), "c": torch.tensor(7)}
    checkpoint.write(tmp_path / "run", tensors, {"step": 3, "name": "x"})
    back, info = checkpoint.read(tmp_path / "run")
    assert info == {"step": 3, "name": "x"}
    assert back.keys() == tensors.keys()
    for name, value in tensors.items():
        assert torch.equal(back[name], value) and back[name].dtype == value.dtype


def test_channels_last_weights_are_kept(tmp_path):
    weight = torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last)
    checkpoint.write(tmp_path, {"weight": weight}, {})
    assert torch.equal(checkpoint.read(tmp_path)[0]["weight"], weight)


def test_a_second_write_replaces_the_first_and_leaves_nothing_behind(tmp_path):
    checkpoint.write(tmp_path, {"a": torch.zeros(1)}, {"step": 1})
    checkpoint.write(tmp_path, {"a": torch.ones(1)}, {"step": 2})
    tensors, info = checkpoint.read(tmp_path)
    assert info["step"] == 2 and tensors["a"].item() == 1
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("moment", ["save_file", "_flush", "replace"])
def test_failing_at_any_moment_keeps_the_old_one(tmp_path, monkeypatch, moment):
    checkpoint.write(tmp_path, {"a": torch.zeros(1)}, {"step": 1})

    def fail(*_):
        raise OSError("disk full")

    owner = checkpoint.os if moment == "replace" else checkpoint
    monkeypatch.setattr(owner, moment, fail)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.write(tmp_path, {"a": torch.ones(1)}, {"step": 2})
    monkeypatch.undo()
    tensors, info = checkpoint.read(tmp_path)
    assert info["step"] == 1 and tensors["a"].item() == 0


def test_a_missing_checkpoint_is_an_error_that_names_the_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint in .*nowhere"):
        checkpoint.read(tmp_path / "nowhere")


def test_damage_is_named(tmp_path):
    checkpoint.write(tmp_path, {"a": torch.zeros(100)}, {"step": 1})
    (weights,) = tmp_path.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-50])
    with pytest.raises(ValueError, match=f"{weights.name} is damaged"):
        checkpoint.read(tmp_path)
    weights.unlink()
    with pytest.raises(FileNotFoundError, match="which is missing"):
        checkpoint.read(tmp_path)
    (tmp_path / "checkpoint.json").write_text(json.dumps({"step": 1})[:-3])
    with pytest.raises(ValueError, match=r"checkpoint\.json is damaged"):
        checkpoint.read(tmp_path)
