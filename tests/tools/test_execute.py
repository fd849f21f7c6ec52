"""Executing notebooks: a kernel that could not start gets another chance."""

import importlib
import sys

import nbformat
import pytest


@pytest.fixture
def execute(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / "tools"))
    monkeypatch.delitem(sys.modules, "execute", raising=False)
    return importlib.import_module("execute")


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.ipynb"
    nbformat.write(nbformat.v4.new_notebook(), path)
    return path


@pytest.mark.parametrize(
    ("failures", "message", "calls"),
    [
        (2, "Kernel died before replying to kernel_info", 3),
        (9, "Kernel died before replying to kernel_info", 3),
        (9, "another trouble", 1),
    ],
)
def test_starting_again(execute, page, monkeypatch, failures, message, calls):
    made = []

    class Done:
        err, time, exc_string = None, 0.5, None

    def single(*_, **__):
        made.append(1)
        if len(made) <= failures:
            raise RuntimeError(message)
        return Done

    monkeypatch.setattr(execute, "single_nb_execution", single)
    if failures < 3:
        assert execute.run(page)[1:] == (0.5, None)
    else:
        with pytest.raises(RuntimeError, match=message):
            execute.run(page)
    assert len(made) == calls
