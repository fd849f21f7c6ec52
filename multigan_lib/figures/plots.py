"""Axes in one style, curves and bars."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design" (2008), with an indigo and a brown for a
# ninth and tenth generator; yellow last: it is weak on white.
palette = (
    "#0072B2",  # blue
    "#D55E00",  # vermilion
    "#009E73",  # green
    "#CC79A7",  # purple
    "#E69F00",  # orange
    "#56B4E9",  # sky blue
    "#000000",  # black
    "#332288",  # indigo
    "#6A3D00",  # brown
    "#F0E442",  # yellow
)
markers = ("o", "^", "s", "D", "v", "P", "X", "*", "<", "h")
_LINES = ("-", "--", "-.", ":")

STYLE: Any = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": "#444444",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "text.color": "black",
    "axes.labelcolor": "black",
    "xtick.color": "black",
    "ytick.color": "black",
}


def axes(
    rows: int = 1,
    columns: int = 1,
    width: float | None = None,
    height: float | None = None,
) -> tuple[Figure, Any]:
    """Make an empty figure in the book's style.

    The figure does not belong to pyplot: a notebook shows it only through
    :func:`show`, and nothing has to be closed.

    Args:
        rows, columns: the grid of axes.
        width, height: in inches; by default 5.5 × 3.4 for one pair of axes and
            3.2 × 2.9 for each of several.

    Returns:
        The figure and its axes (one ``Axes``, or an array of them).
    """
    several = rows * columns > 1
    width = width or (3.2 * columns if several else 5.5)
    height = height or (2.9 * rows if several else 3.4)
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(width, height), layout="constrained", facecolor="white")
        return fig, fig.subplots(rows, columns)


def curves(
    series: Mapping[str, Any],
    x: Any = None,
    xlabel: str = "step",
    ylabel: str = "",
    title: str = "",
    log: str = "",
) -> Figure:
    """Draw named curves, each with its own colour and line style.

    Args:
        series: label → values (T,), or (runs, T): then the mean over runs is drawn
            with a band of one sample standard deviation; or a pair ``(x, values)``.
        x: (T,) shared by all curves; 0, 1, … by default.
        log: the axes on a logarithmic scale: ``""``, ``"x"``, ``"y"`` or ``"xy"``.

    Raises:
        ValueError: if a curve and its x differ in length.
    """
    fig, ax = axes()
    with mpl.rc_context(STYLE):
        for index, (label, values) in enumerate(series.items()):
            at, y = values if isinstance(values, tuple) else (x, values)
            y = np.atleast_2d(np.asarray(y, dtype=float))
            at = np.arange(y.shape[1]) if at is None else np.asarray(at, dtype=float)
            if at.shape != y.shape[1:]:
                raise ValueError(
                    f"the curve {label!r} has {y.shape[1]} values and {at.size} places"
                )
            colour = palette[index % len(palette)]
            mean = y.mean(0)
            line = _LINES[index % len(_LINES)]
            ax.plot(at, mean, line, color=colour, label=label)
            if len(y) > 1:
                std = y.std(0, ddof=1)
                ax.fill_between(
                    at, mean - std, mean + std, color=colour, alpha=0.18, linewidth=0
                )
        _label(ax, xlabel, ylabel, title)
        if "x" in log:
            ax.set_xscale("log")
        if "y" in log:
            ax.set_yscale("log")
        if len(series) > 1:
            ax.legend()
    return fig


def loss_curves(
    history: Any, terms: Sequence[str] | None = None, window: int | None = None
) -> Figure:
    """Draw a game's losses over training: each step faintly, a running mean above.

    Args:
        history: what ``train`` returned, or a mapping of term → values (T,).
        terms: the terms to draw; by default both players' totals.
        window: steps in the running mean; by default a fiftieth of the run.

    Raises:
        ValueError: if a term is unknown; the message names those that exist.
    """
    known: Mapping[str, Any] = getattr(history, "terms", history)
    chosen = terms or [name for name in known if name.endswith("/total")] or list(known)
    fig, ax = axes()
    for index, name in enumerate(chosen):
        if name not in known:
            raise ValueError(f"no term {name!r}; the history has {', '.join(known)}")
        values = np.asarray(known[name], dtype=float)
        size = min(window or max(1, len(values) // 50), len(values))
        mean = np.convolve(values, np.ones(size) / size, mode="valid")
        colour = palette[index % len(palette)]
        label = name.removesuffix("/total").replace("/", ": ")
        ax.plot(np.arange(1, len(values) + 1), values, color=colour, alpha=0.2, lw=0.7)
        at = np.arange(len(mean)) + (size + 1) / 2
        line = _LINES[index % len(_LINES)]
        ax.plot(at, mean, line, color=colour, label=label)
    _label(ax, "step", "loss", "")
    ax.legend()
    return fig


def bars(
    series: Mapping[str, Any],
    labels: Sequence[str] | None = None,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    line: float | None = None,
) -> Figure:
    """Draw bars side by side, such as the share of every class.

    Args:
        series: label → values (n,), or (runs, n): then the mean with a whisker of
            one standard deviation.
        labels: n names below the bars; by default 0, 1, …
        line: a dashed level to compare with, such as the uniform share.
    """
    fig, ax = axes()
    thick = 0.8 / len(series)
    hatches = ("", "//", "..", "xx")
    for index, (label, values) in enumerate(series.items()):
        y = np.atleast_2d(np.asarray(values, dtype=float))
        ax.bar(
            np.arange(y.shape[1]) + thick * (index - (len(series) - 1) / 2),
            y.mean(0),
            thick,
            yerr=y.std(0, ddof=1) if len(y) > 1 else None,
            color=palette[index % len(palette)],
            hatch=hatches[index % len(hatches)],
            edgecolor="white",
            label=label,
            error_kw={"lw": 1},
        )
    names = labels or [str(place) for place in range(y.shape[1])]
    ax.set_xticks(range(len(names)), names)
    if line is not None:
        ax.axhline(line, color="#444444", ls="--", lw=1)
    _label(ax, xlabel, ylabel, title)
    if len(series) > 1:
        ax.legend()
    return fig


def _label(ax: Axes, xlabel: str, ylabel: str, title: str) -> None:
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    if title:
        ax.set_title(title)
