"""Docstrings as people write them, for the library's page."""

import docstrings
import pytest


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a `name` here", "a ``name`` here"),
        ("`side`² points", "``side``\\ ² points"),
        ("see :func:`load` and ``x_``", "see :func:`load` and ``x_``"),
        ("p_{-k} and p_k", "p\\_{-k} and p_k"),
        ("(N, *shape) → y", "(N, \\*shape) → y"),
        ("*its own* source", "*its own* source"),
        ("**bold** text", "**bold** text"),
    ],
)
def test_notation_is_made_literal(written, meant):
    assert docstrings.plain(written) == meant
