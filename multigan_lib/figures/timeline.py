"""Training at a glance: its snapshots side by side."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .images import as_uint8, tile
from .plots import axes, palette
from .points import as_points, choose, draw_modes, finish, window


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
    fig, row = axes(1, len(shots), width=1.9 * len(shots), height=2.2)
    for ax, (step, x) in zip(np.atleast_1d(row), shots, strict=True):
        x = getattr(x, "x", x)
        if x.ndim == 2:
            points = as_points(x)
            ax.scatter(*points.T, s=4, alpha=0.5, linewidths=0, color=palette[0])
            draw_modes(ax, mixture)
            finish(ax, window(mixture, as_points(shots[-1][1])), "")
            ax.set(xlabel="", ylabel="", xticks=[], yticks=[])
            ax.spines[:].set_visible(True)
        else:
            sheet = tile(as_uint8(x)[:16].permute(0, 2, 3, 1).numpy(), 4)
            ax.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        ax.set_title(f"step {step:,}", fontsize=9)
    return fig
