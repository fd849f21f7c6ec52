"""Sphinx extension: take MathJax and the widgets from the book, not from the network.

`tools/assets.py` puts them under `book/_static/vendor/`. Sphinx resolves a script's
name against each page's depth, so these paths hold for every page. Where a file is
missing, the default address on the network stays.
"""

from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

STATIC = Path(__file__).resolve().parent.parent / "book" / "_static"
MATHJAX = "vendor/mathjax/es5/tex-mml-chtml.js"
WIDGETS = ("vendor/requirejs/require.js", "vendor/html-manager/dist/embed-amd.js")


def use_local_files(app: Sphinx, config: Config) -> None:
    """Point MathJax and the widgets' scripts to the copies that are there."""
    if (STATIC / MATHJAX).exists():
        config.mathjax_path = MATHJAX
    if all((STATIC / path).exists() for path in WIDGETS):
        config.nb_ipywidgets_js = {path: {} for path in WIDGETS}


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("config-inited", use_local_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
