"""Sphinx extension: pages take MathJax and the widgets from the book itself.

`tools/assets.py` puts the scripts under `book/_static/vendor/`. Where one is missing,
the default address on the network stays.
"""

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

STATIC = Path(__file__).resolve().parent.parent / "book" / "_static"
VENDOR = "vendor/"
MATHJAX = f"{VENDOR}mathjax/es5/tex-mml-chtml.js"
REQUIRE = f"{VENDOR}requirejs/require.js"
WIDGETS = f"{VENDOR}@jupyter-widgets/html-manager/dist/embed-amd.js"


def use_local_files(app: Sphinx, config: Config) -> None:
    """Point MathJax and the widgets to the copies that are there.

    Sphinx resolves a script's name against each page's depth.
    """
    if (STATIC / MATHJAX).exists():
        config.mathjax_path = MATHJAX
    if (STATIC / REQUIRE).exists() and (STATIC / WIDGETS).exists():
        config.nb_ipywidgets_js = {REQUIRE: {}, WIDGETS: {}}


def finish_scripts(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Tell the widgets where their fonts are; leave out what needs a network.

    The theme's live-code scripts (thebe) are added, twice, even where they are off.
    """
    scripts = context["script_files"]
    scripts[:] = [
        script
        for script in scripts
        if "thebe" not in str(script.filename)
        and "THEBE_JS_URL" not in (script.attributes.get("body") or "")
    ]
    if any(str(script.filename).endswith(REQUIRE) for script in scripts):
        folder = context["pathto"](f"_static/{REQUIRE}", resource=True)
        folder = folder.removesuffix(REQUIRE.removeprefix(VENDOR))
        body = f"window.require = {{baseUrl: '{folder}'}}"  # there the fonts are
        app.add_js_file(None, body=body, priority=100)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("config-inited", use_local_files)
    app.connect("html-page-context", finish_scripts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
