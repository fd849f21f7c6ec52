"""Sliders that still work where no kernel runs, as in the built pages."""

from collections.abc import Sequence
from typing import Any

from .figures.display import check_alt, close, img_tag, png


def frames(
    figures: Sequence[Any], labels: Sequence[Any], alt: str, name: str = ""
) -> Any:
    """Make a slider that turns over pictures drawn beforehand.

    Slider and pictures are linked in the browser (``jslink``), therefore the slider
    moves in static pages too.

    Args:
        figures: matplotlib figures, or PNGs as bytes or paths; one a position.
        labels: what the slider shows at each position, such as steps.
        alt: what there is to see, in a sentence; each picture's text ends with its
            label.
        name: what the labels mean, written beside the slider, such as ``"step"``.

    Returns:
        An ipywidgets box, for the last line of a cell or ``display``.

    Raises:
        ValueError: if there are no figures, if labels and figures differ in number,
            or if ``alt`` is empty.
    """
    import ipywidgets

    alt = check_alt(alt)
    if not figures or len(figures) != len(labels):
        raise ValueError(
            "a slider needs one label for each of at least one figure, "
            f"got {len(figures)} figures and {len(labels)} labels"
        )
    pictures = []
    for figure, label in zip(figures, labels, strict=True):
        text = f"{alt} ({name} {label})" if name else f"{alt} ({label})"
        pictures.append(img_tag(png(figure), text))
        close(figure)
    slider = ipywidgets.SelectionSlider(
        options=[(str(label), index) for index, label in enumerate(labels)],
        description=name,
        continuous_update=True,
        style={"description_width": "initial"},
        layout={"width": "24em", "max_width": "100%"},
    )
    if not hasattr(ipywidgets, "Stack"):  # version 7, as on Colab: needs its kernel
        page = ipywidgets.HTML(pictures[0])
        slider.observe(
            lambda change: page.set_trait("value", pictures[change.new]), "index"
        )
        return ipywidgets.VBox([slider, page])
    stack = ipywidgets.Stack([ipywidgets.HTML(p) for p in pictures], selected_index=0)
    ipywidgets.jslink((slider, "index"), (stack, "selected_index"))
    return ipywidgets.VBox([slider, stack])
