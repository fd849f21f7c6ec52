"""What every chapter's notebook promises, read from its file."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
CHAPTERS = sorted((ROOT / "book").glob("[0-9]_*/*.ipynb"))
NAMES = [path.stem for path in CHAPTERS]
COLUMNS = 80
LINES = 20  # about 15 is the aim; the setup cell is the longest


@pytest.fixture(params=CHAPTERS, ids=NAMES)
def chapter(request):
    """A chapter's path and its notebook."""
    return request.param, nbformat.read(request.param, as_version=4)


def code(notebook):
    """Return the sources of the code cells."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def text(notebook):
    """Return all prose."""
    return "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")


def test_every_chapter_is_in_the_table_of_contents():
    listed = re.findall(r"file: (\S+)", (ROOT / "_toc.yml").read_text())
    found = [str(path.relative_to(ROOT).with_suffix("")) for path in CHAPTERS]
    assert found == [entry for entry in listed if re.match(r"book/\d_", entry)]


def test_is_stored_without_outputs(chapter):
    _, notebook = chapter
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None


def test_code_fits_the_page(chapter):
    _, notebook = chapter
    for source in code(notebook):
        lines = source.split("\n")
        assert len(lines) <= LINES, source
        assert max(map(len, lines)) <= COLUMNS, source


def test_installs_itself_where_the_library_is_missing(chapter):
    _, notebook = chapter
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    first, second, *_ = code(notebook)
    address = config["repository"]["url"]
    assert f'%pip install -q "git+{address}"' in first
    assert "except ModuleNotFoundError" in first
    sizes = first if "mg.profile(" in first else second
    assert "size = mg.profile(" in sizes and re.search(r"print\(\s*size\b", sizes)


def test_colab_opens_this_chapter(chapter):
    path, notebook = chapter
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    owner = "/".join(config["repository"]["url"].split("/")[3:])
    links = re.findall(r"colab\.research\.google\.com/github/([^)\s]+)", text(notebook))
    branch = config["repository"]["branch"]
    assert links
    assert set(links) == {f"{owner}/blob/{branch}/{path.relative_to(ROOT)}"}


def test_derives_asserts_and_asks(chapter):
    """The anatomy: theorems, numbered equations, checks, exercises with solutions."""
    _, notebook = chapter
    prose = text(notebook)
    labels = re.findall(r":::+\{exercise(?:-start)?\}[^\n]*\n:label: (\S+)", prose)
    solved = re.findall(r":::+\{solution(?:-start)?\} (\S+)\n:class: dropdown", prose)
    assert labels and sorted(labels) == sorted(solved)
    assert re.search(r"\{prf:(theorem|proposition|lemma)\}", prose)
    assert re.search(r"^\$\$ \([\w:-]+\)", prose, re.MULTILINE)
    assert re.search(r"\{cite(:[pt])?\}`", prose)
    asserted = [
        node
        for source in code(notebook)
        for node in ast.walk(
            ast.parse(re.sub(r"^(\s*)%.*", r"\1pass", source, flags=re.M))
        )
        if isinstance(node, ast.Assert)
    ]
    assert len(asserted) >= 3


def test_directives_use_colons(chapter):
    """Backtick fences show raw in Colab, and the mathematics inside them too."""
    _, notebook = chapter
    assert not re.search(
        r"^```+\{(prf:|exercise|solution|admonition|note)", text(notebook), re.MULTILINE
    )


def test_records_are_named_in_full(chapter):
    """The build looks for a record's name to know which pages depend on it."""
    _, notebook = chapter
    for source in code(notebook):
        for argument in re.findall(r"results\.read\(\s*([^)]*)", source):
            assert not argument.startswith(("f'", 'f"')), argument
