"""Sphinx extension: docstrings are read by people first, by Sphinx second.

The library writes `name` in backticks, p_k for an indexed density and (N, *shape) for
a shape. To reStructuredText these are a role, a link and an unfinished emphasis; here
they become what is meant.
"""

import re

from sphinx.application import Sphinx

LITERAL = re.compile(r"``.+?``", re.DOTALL)
BACKTICKS = re.compile(r"(?<![`:\w])`([^`]+)`(?![`_])(\w?)")  # `name`, not :role:`name`
RULES = [
    (re.compile(r"(?<=\w)_(?!\w)"), r"\\_"),  # p_{-k}
    (re.compile(r"(?<![*\w\\])\*(?=\w)(?![^*\n]*\*)"), r"\\*"),  # *shape, not *word*
]


def plain(text: str) -> str:
    """Return a docstring with the three notations made literal, literals untouched."""
    text = BACKTICKS.sub(
        lambda found: f"``{found[1]}``" + (f"\\ {found[2]}" if found[2] else ""), text
    )
    kept = LITERAL.findall(text)
    parts = LITERAL.split(text)
    for pattern, replacement in RULES:
        parts = [pattern.sub(replacement, part) for part in parts]
    ends = [*kept, ""]
    return "".join(part + end for part, end in zip(parts, ends, strict=True))


def process(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Rewrite the lines of a docstring in place, before napoleon reads them."""
    lines[:] = plain("\n".join(lines)).split("\n")


def skip(
    app: Sphinx, what: str, name: str, obj: object, skipped: bool, options: object
) -> bool | None:
    """Leave out the fields of named tuples: their class describes them."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("autodoc-process-docstring", process, priority=100)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
