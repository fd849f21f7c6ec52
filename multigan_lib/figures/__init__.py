"""Figures: every plotting function returns its figure, and ``show`` displays it.

    mg.figures.show(mg.figures.sample_grid(game.sample(64)), alt="64 digits ...")

The background is white (in dark pages too), colours are Okabe and Ito's, which
readers with colour-blindness can tell apart, and what colour says is said by a
marker or a line style as well.
"""

from .display import png, save, show
from .images import sample_grid
from .multiples import evolution, panels
from .plots import axes, bars, curves, loss_curves, markers, palette
from .points import animate_points, decision_map, density_map, scatter_points

__all__ = [
    "animate_points",
    "axes",
    "bars",
    "curves",
    "decision_map",
    "density_map",
    "evolution",
    "loss_curves",
    "markers",
    "palette",
    "panels",
    "png",
    "sample_grid",
    "save",
    "scatter_points",
    "show",
]
