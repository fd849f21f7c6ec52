"""The build executes what has changed, what depends on it, and nothing else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import build_book
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

LIBRARY = """
from types import SimpleNamespace
import os
def profile():
    return SimpleNamespace(name=os.environ.get("MULTIGAN_PROFILE", "cpu"))
"""
CHAPTERS = {"alone": "x = 1", "recorded": "name = 'gan_ring'  # reads this record"}


class Book:
    """A book of two chapters that note down each time they are executed."""

    def __init__(self, root, repository):
        self.root = root
        shutil.copytree(repository / "tools", root / "tools")
        config = (repository / "_config.yml").read_text()
        (root / "_config.yml").write_text(config)
        self.write("_toc.yml", "format: jb-book\nroot: book/intro\nchapters:\n")
        with (root / "_toc.yml").open("a") as toc:
            toc.writelines(f"- file: book/{name}\n" for name in CHAPTERS)
        self.write("book/intro.md", "# Introduction\n")
        self.write("book/references.bib", "")
        self.write("book/_static/book.css", "")
        self.write("multigan_lib/__init__.py", LIBRARY)
        self.write("data/results/gan_ring.json", "{}")
        self.write("data/results/other.json", "{}")
        for name, code in CHAPTERS.items():
            self.chapter(name, code)
        vendor = repository / "book" / "_static" / "vendor"
        if vendor.exists():
            (root / "book" / "_static" / "vendor").symlink_to(vendor)

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def chapter(self, name, code, text="Text."):
        note = f"open('../runs.log', 'a').write('{name} ')"
        cells = [new_markdown_cell(f"# {name}\n\n{text}"), new_code_cell(code)]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = new_notebook(
            cells=[*cells, new_code_cell(note)], metadata={"kernelspec": kernel}
        )
        nbformat.write(notebook, self.root / "book" / f"{name}.ipynb")

    def build(self, **environment):
        """Build; return what was executed, the exit status and what was printed."""
        log = self.root / "runs.log"
        log.write_text("")
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MULTIGAN")}
        answer = subprocess.run(
            [sys.executable, "tools/build_book.py"],
            cwd=self.root,
            env={**clean, **environment},
            capture_output=True,
            text=True,
        )
        return sorted(log.read_text().split()), answer


@pytest.fixture(scope="module")
def book(repository, tmp_path_factory):
    """One book for all tests here; each leaves it as it should be."""
    return Book(tmp_path_factory.mktemp("book"), repository)


def test_only_what_changed_is_executed(book):
    executed, answer = book.build()
    assert answer.returncode == 0, answer.stderr
    assert executed == ["alone", "recorded"]
    page = book.root / "_build" / "html" / "index.html"
    assert page.exists() and answer.stdout.splitlines()[-1].endswith(str(page))

    executed, answer = book.build()
    assert (executed, answer.returncode) == ([], 0)
    assert answer.stdout.count("(kept)") == 2

    book.chapter("alone", "x = 2")
    assert book.build()[0] == ["alone"]

    book.write("data/results/gan_ring.json", '{"changed": 1}')
    assert book.build()[0] == ["recorded"]

    book.write("multigan_lib/new.py", "")
    executed, answer = book.build(MULTIGAN_PROFILE="smoke")
    assert executed == ["alone", "recorded"]
    assert "smoke profile" in answer.stdout


def test_a_warning_fails_and_goes_on_failing(book):
    book.chapter("alone", "x = 2", text="See {eq}`nowhere`.")
    for _ in range(2):  # Sphinx alone forgets a warning once the page has been read
        assert book.build(MULTIGAN_PROFILE="smoke")[1].returncode != 0
    book.chapter("alone", "x = 2")
    executed, answer = book.build(MULTIGAN_PROFILE="smoke")
    assert answer.returncode == 0, answer.stderr
    assert executed == []  # only prose has changed: what was computed is kept


def test_an_error_in_a_cell_fails(book):
    book.chapter("alone", "assert 1 == 2")
    book.chapter("recorded", "x = 3  # 'gan_ring'")
    executed, answer = book.build(MULTIGAN_PROFILE="smoke")
    assert answer.returncode != 0
    assert "Failed: book/alone.ipynb" in answer.stdout
    assert "AssertionError" in answer.stderr
    assert executed == ["recorded"]  # the others are executed, and need not be again
    book.chapter("alone", "x = 2")
    executed, answer = book.build(MULTIGAN_PROFILE="smoke")
    assert (executed, answer.returncode) == ([], 0)


@pytest.fixture
def hashes(repository, tmp_path, monkeypatch):
    """A function that hashes what the two chapters depend on, as things are now."""
    book = Book(tmp_path, repository)
    monkeypatch.setattr(build_book, "ROOT", tmp_path)
    pages = [tmp_path / "book" / f"{name}.ipynb" for name in CHAPTERS]
    return book, lambda profile="cpu": build_book.dependencies(pages, profile)


@pytest.mark.parametrize(
    ("path", "pages"),
    [
        ("multigan_lib/games/gan.py", {"alone", "recorded"}),
        ("data/features/digits.json", {"alone", "recorded"}),
        ("data/published/tables.csv", {"alone", "recorded"}),
        ("data/results/gan_ring.png", {"recorded"}),
        ("data/results/gan_ring_wide.json", set()),
        ("README.md", set()),
    ],
)
def test_a_file_concerns_the_pages_that_depend_on_it(hashes, path, pages):
    book, now = hashes
    before = now()
    assert now() == before
    book.write(path, "new")
    after = now()
    assert {Path(page).stem for page in before if after[page] != before[page]} == pages


def test_the_profile_and_the_data_set_concern_every_page(hashes, monkeypatch):
    _, now = hashes
    before = now()
    assert all(now("gpu")[page] != before[page] for page in before)
    monkeypatch.setenv("MULTIGAN_DATASET", "mnist")
    assert all(now()[page] != before[page] for page in before)
