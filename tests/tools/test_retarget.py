"""One address, in one place; `make retarget` changes every mention."""

import shutil
import subprocess

import pytest
import retarget

NEW = "/".join(("https://git.example.org", "another", "fork.of-it"))


@pytest.fixture
def copy(repository, tmp_path):
    """A copy of all text files under version control."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("this is no git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        if (repository / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(repository / name, tmp_path / name)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def mentions(folder, text):
    """Return the files that contain a text."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder))
        for path in files
        if ".git" not in path.relative_to(folder).parts
        and text.encode() in path.read_bytes()
    }


def test_every_mention_changes(copy):
    old = retarget.path_of(retarget.current(copy))
    before = mentions(copy, old)
    assert {"_config.yml", "pyproject.toml", "README.md", "CITATION.cff"} <= before
    assert any(name.endswith(".ipynb") for name in before)
    assert set(retarget.retarget(copy, NEW)) == before
    assert mentions(copy, old) == set()
    assert mentions(copy, retarget.path_of(NEW)) == before
    assert retarget.current(copy) == NEW


def test_there_and_back_changes_nothing(copy):
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    old = retarget.current(copy)
    retarget.retarget(copy, NEW + ".git/")
    retarget.retarget(copy, old)
    after = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize("address", ["", "github.com/a/b", "https://github.com", "x y"])
def test_what_is_no_address_is_refused(repository, address):
    with pytest.raises(ValueError, match="URL=https://"):
        retarget.retarget(repository, address)
