"""Small multiples: samples of several runs or moments side by side."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .images import as_uint8, tile
from .plots import axes
from .points import (
    as_points,
    choose,
    draw_modes,
    draw_points,
    finish,
    sources,
    window,
)


def panels(
    samples: Sequence[Any],
    mixture: Any = None,
    titles: Sequence[str] = (),
    columns: int = 5,
) -> Figure:
    """Draw several sets of samples, each in a small picture of its own.

    Args:
        samples: sets of points (N, 2), or of images (N, C, H, W), of which the first 16
            are drawn; tensors or ``Samples``, whose points have the colours and markers
            of their generators.
        mixture: the truth, for points; circles of three standard deviations.
        titles: one a set.
        columns: pictures in a row.
    """
    columns = min(columns, len(samples))
    rows = -(-len(samples) // columns)
    fig, grid = axes(rows, columns, width=1.7 * columns, height=1.95 * rows)
    places = np.atleast_1d(grid).ravel()
    for ax, one in zip(places, samples, strict=False):
        x = getattr(one, "x", one)
        if x.ndim == 2:
            points = as_points(x)
            draw_points(ax, points, sources(one), size=4)
            draw_modes(ax, mixture)
            finish(ax, window(mixture, points if mixture is None else None), "")
            ax.set(xlabel="", ylabel="")
        else:
            sheet = tile(as_uint8(x)[:16].permute(0, 2, 3, 1).numpy(), 4)
            ax.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(x.ndim == 2)
    for ax, title in zip(places, titles, strict=False):
        ax.set_title(title, fontsize=9)
    for ax in places[len(samples) :]:
        ax.set_axis_off()
    return fig


def evolution(history: Any, mixture: Any = None, columns: int = 5) -> Figure:
    """Draw a history's snapshots from left to right.

    Args:
        history: what ``train(..., snapshot_every=...)`` returned, or its list of
            (step, samples) pairs; samples are (N, 2) points or (N, C, H, W) images.
        mixture: the truth, for points; circles of three standard deviations.
        columns: pictures, evenly chosen, the first and the last snapshot among them.

    Raises:
        ValueError: if the history has no snapshots.
    """
    shots = choose(history, columns)
    titles = [f"step {step:,}" for step, _ in shots]
    return panels([x for _, x in shots], mixture, titles, columns)
