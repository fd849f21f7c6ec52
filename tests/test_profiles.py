"""The profile in force decides sizes; the environment overrides it."""

import subprocess
import sys

import pytest

import multigan_lib as mg

SIZES = {
    "smoke": {"steps": 2, "minutes": 0.1},
    "cpu": {"steps": 20, "minutes": 1.5},
    "gpu": {"steps": 200, "minutes": 4, "dataset": "mnist"},
}


@pytest.mark.parametrize(
    ("name", "steps", "dataset"),
    [("smoke", 2, "digits"), ("cpu", 20, "digits"), ("gpu", 200, "mnist")],
)
def test_the_environment_chooses(monkeypatch, name, steps, dataset):
    monkeypatch.setenv("MULTIGAN_PROFILE", name)
    monkeypatch.delenv("MULTIGAN_DATASET", raising=False)
    size = mg.profile(**SIZES)
    assert (size.name, size.steps, size.dataset) == (name, steps, dataset)
    line = str(size)
    assert f"profile {name}" in line and dataset in line and size.device in line
    monkeypatch.setenv("MULTIGAN_DATASET", "cifar10")
    assert mg.profile(**SIZES).dataset == "cifar10"


def test_expected_time_is_legible(monkeypatch):
    monkeypatch.setenv("MULTIGAN_PROFILE", "smoke")
    assert "about 6 seconds" in str(mg.profile(**SIZES))
    monkeypatch.setenv("MULTIGAN_PROFILE", "cpu")
    assert "about 1.5 minutes" in str(mg.profile(**SIZES))
    assert str(mg.profile(cpu={"minutes": 1})).endswith("about 1 minute")


def test_bad_profiles(monkeypatch):
    monkeypatch.setenv("MULTIGAN_PROFILE", "huge")
    with pytest.raises(ValueError, match="'huge'; it must be one of smoke, cpu, gpu"):
        mg.profile(**SIZES)
    monkeypatch.setenv("MULTIGAN_PROFILE", "smoke")
    with pytest.raises(ValueError, match="the same sizes"):
        mg.profile(smoke={"steps": 1}, cpu={"step": 1})


def test_importing_the_library_is_light():
    heavy = ("torchvision", "matplotlib", "sklearn", "torchmetrics", "ipywidgets")
    code = (
        "import sys, multigan_lib as mg; mg.profile(); mg.data; mg.games; mg.train;"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="nothing"):
        _ = mg.nothing
    assert "train" in dir(mg)
