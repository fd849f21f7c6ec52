"""Setting up: what goes wrong is answered with one sentence that says what to do."""

import os
import subprocess
import sys
from collections import namedtuple

import environment
import pytest


def sentence(capsys, *arguments):
    """Run the set-up in this process and return the line that it ends with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["environment.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            environment.main()
    text = str(end.value)
    assert "\n" not in text and "Traceback" not in text
    return text


@pytest.fixture
def too_old(monkeypatch, tmp_path):
    """A machine whose only Python is 3.9."""
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def test_too_old_a_python(too_old, capsys, tmp_path):
    text = sentence(capsys, tmp_path / "venv")
    assert "Python 3.9" in text and "3.11, 3.12 or 3.13" in text and "install" in text
    assert not (tmp_path / "venv").exists()


def test_another_python_on_the_path_is_used(too_old, monkeypatch, tmp_path):
    newer = tmp_path / "python3.12"
    newer.write_text("#!/bin/sh\nexit 0\n")
    newer.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.find_python() == str(newer)


def test_a_python_that_does_not_run_is_not_used(too_old, monkeypatch, tmp_path):
    shim = tmp_path / "python3.12"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(environment.Trouble, match=r"Python 3\.9"):
        environment.find_python()


def test_an_old_python_can_read_the_file(repository):
    """Python 3.6 and later must get as far as the sentence."""
    import ast

    source = (repository / "tools" / "environment.py").read_text()
    ast.parse(source, feature_version=(3, 6))


def test_no_disk_space(monkeypatch, capsys, tmp_path):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(
        environment.shutil, "disk_usage", lambda path: usage(0, 0, 3_200_000_000)
    )
    text = sentence(capsys, tmp_path / "venv")
    assert "3.2 GB are free" in text and "free some space" in text


def test_a_disk_that_fills_up_while_installing():
    output = "ERROR: Could not install packages: [Errno 28] No space left on device\n"
    assert "disk is full" in environment.explain(output, "Installing failed")


def test_no_network(monkeypatch, tmp_path):
    """A real pip, with an index that nobody listens at."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    with pytest.raises(environment.Trouble, match=r"cannot be reached.*network"):
        environment.install(tmp_path, "a-package-that-is-not-installed")


def test_a_requirement_that_does_not_exist(monkeypatch):
    output = "WARNING: x\nERROR: No matching distribution found for torch==0.0\n"
    assert environment.explain(output, "Installing failed") == (
        "Installing failed: ERROR: No matching distribution found for torch==0.0"
    )


@pytest.fixture
def broken_pair(tmp_path):
    """An environment whose torchvision was built for another torch."""
    packages = tmp_path / "venv" / "lib" / "python3.11" / "site-packages"
    for name in ("torch", "torchvision"):
        (packages / name).mkdir(parents=True)
    (packages / "torch-2.13.0.dist-info").mkdir()
    (packages / "torchvision-0.26.0.dist-info").mkdir()
    (packages / "torchmetrics-1.9.0.dist-info").mkdir()
    (packages / "torch" / "__init__.py").write_text("")
    (packages / "torchvision" / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir()
    python.write_text(
        f'#!/bin/sh\nPYTHONPATH="{packages}" exec "{sys.executable}" "$@"\n'
    )
    python.chmod(0o755)
    return tmp_path / "venv"


def test_a_torch_that_does_not_fit_torchvision(broken_pair, capsys):
    stamp = broken_pair / "ready"
    stamp.write_text(f"{environment.wanted()}\ntorch-2.11.0\ntorchvision-0.26.0\n")
    text = sentence(capsys, broken_pair)
    assert "do not fit together" in text and "torch-2.13.0" in text
    assert "delete that folder" in text and "torchmetrics" not in text


def test_nothing_to_do_is_quick(tmp_path, monkeypatch):
    (tmp_path / "ready").write_text(environment.wanted() + "\n")
    monkeypatch.setattr(environment, "run", lambda command: pytest.fail(str(command)))
    environment.prepare(tmp_path)


def test_make_says_it_in_one_line(repository, tmp_path):
    """The whole way, through make: the sentence, no traceback, a failing status."""
    script = tmp_path / "python3"
    script.write_text("#!/bin/sh\necho 'multigan: one sentence' >&2\nexit 1\n")
    script.chmod(0o755)
    answer = subprocess.run(
        ["make", "book", f"PYTHON={script}", f"VENV={tmp_path / 'venv'}"],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    assert answer.returncode != 0
    assert answer.stderr.splitlines()[0] == "multigan: one sentence"
