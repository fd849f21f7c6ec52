"""Showing figures with alternative text, and saving them."""

import base64
import html
import io
import os
import re
import struct
from pathlib import Path
from typing import Any

from matplotlib.animation import Animation
from matplotlib.figure import Figure

DPI = 96  # CSS pixels per inch; pictures have twice as many pixels, for sharp screens

_GLYPHS = {
    "fa-minus": "−",
    "fa-plus": "+",
    "fa-fast-backward": "«",
    "fa-step-backward": "‹",
    "fa-play fa-flip-horizontal": "◀",
    "fa-pause": "❚❚",
    "fa-play": "▶",
    "fa-step-forward": "›",
    "fa-fast-forward": "»",
}


def show(figure: Any, alt: str) -> None:
    """Display a figure in a notebook, with alternative text for screen readers.

    Args:
        figure: a matplotlib figure, an animation of this module, or a PNG as bytes
            or as the path of a file (such as a record's ``image``).
        alt: what there is to see, in a sentence. The attribute ``alt`` of a picture's
            own metadata does not reach the pages that Jupyter Book builds; this does.

    Raises:
        ValueError: if ``alt`` is empty.
    """
    from IPython.display import display

    alt = check_alt(alt)
    if isinstance(figure, Animation):
        bundle = {"text/html": _player(figure, alt), "text/plain": alt}
    else:
        picture = png(figure)
        bundle = {
            "text/html": img_tag(picture, alt),
            "image/png": base64.b64encode(picture).decode(),
            "text/plain": alt,
        }
    display(bundle, raw=True)
    close(figure)


def png(figure: Any) -> bytes:
    """Return a figure as PNG on white, at twice the density of the page.

    Args:
        figure: a matplotlib figure, or a PNG already: bytes or the path of a file.
    """
    if isinstance(figure, bytes):
        return figure
    if isinstance(figure, str | os.PathLike):
        return Path(figure).read_bytes()
    if not isinstance(figure, Figure):
        raise TypeError(
            f"expected a figure, PNG bytes or a path, got {type(figure).__name__}"
        )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=2 * DPI, facecolor="white")
    return buffer.getvalue()


def save(figure: Any, path: str | os.PathLike[str]) -> Path:
    """Write a figure as a PNG file, whole or not at all; folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(png(figure))
    os.replace(partial, path)
    close(figure)
    return path


def close(figure: Any) -> None:
    """Close a figure that was made with pyplot; its own ones need no closing."""
    if isinstance(figure, Figure):
        from matplotlib import pyplot

        pyplot.close(figure)


def check_alt(alt: str) -> str:
    """Return the alternative text on one line; refuse an empty one."""
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError("a figure needs alt=, a sentence that says what it shows")
    return " ".join(alt.split())


def img_tag(picture: bytes, alt: str) -> str:
    """Return an HTML image with its data inside, sized for the page."""
    width = struct.unpack(">I", picture[16:20])[0] // 2
    data = base64.b64encode(picture).decode()
    return (
        f'<img alt="{html.escape(alt)}" width="{width}" '
        'style="max-width: 100%; height: auto; background: white" '
        f'src="data:image/png;base64,{data}">'
    )


def _player(animation: Animation, alt: str) -> str:
    """Return matplotlib's player, made to work offline and with a screen reader.

    Its icons come from a font on another site, its picture has no alternative text
    and its slider no name.
    """
    page = animation.to_jshtml()
    page = re.sub(r'<link rel="stylesheet"\s+href="http[^>]*>', "", page)
    page = re.sub(
        r'<i class="fa ([\w -]+)"></i>',
        lambda icon: f'<span aria-hidden="true">{_GLYPHS[icon[1]]}</span>',
        page,
    )
    page = page.replace('<img id="_anim', f'<img alt="{html.escape(alt)}" id="_anim')
    return page.replace('type="range"', 'type="range" aria-label="Frame"', 1)
