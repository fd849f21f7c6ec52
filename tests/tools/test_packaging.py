"""`pip install .` brings the records, tables and feature networks along."""

import shutil
import subprocess
import sys
import zipfile

import pytest


@pytest.fixture(scope="module")
def wheel(repository, tmp_path_factory):
    """A wheel, built from a copy so that nothing is left in the repository."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "README.md"):
        shutil.copy(repository / name, source)
    skip = shutil.ignore_patterns("__pycache__", "cache")
    for name in ("multigan_lib", "data"):
        shutil.copytree(repository / name, source / name, ignore=skip)
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet"]
    subprocess.run(
        [*command, "--no-build-isolation", "--wheel-dir", target, source], check=True
    )
    (file,) = target.glob("*.whl")
    return file


def test_every_module_and_every_asset_is_inside(repository, wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    modules = {
        str(path.relative_to(repository))
        for path in (repository / "multigan_lib").rglob("*.py")
    }
    assets = {
        f"multigan_lib/assets/{path.relative_to(repository / 'data')}"
        for kind in ("features", "published", "results")
        for path in (repository / "data" / kind).glob("*")
        if path.is_file()
    }
    assert modules <= inside
    assert any(name.endswith(".safetensors") for name in assets)
    assert assets <= inside
    assert not [name for name in inside if "cache" in name or "tests" in name]


def test_the_installed_package_finds_its_assets(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "from multigan_lib import paths; print(paths.assets('features'), paths.cache())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=True,
    )
    features, cache = answer.stdout.split()
    assert features == str(tmp_path / "multigan_lib" / "assets" / "features")
    assert cache == str(tmp_path / "home" / "multigan")
