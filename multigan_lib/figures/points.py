"""Maps and movies of points in the plane."""

from typing import Any

import numpy as np
import torch
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from .plots import axes, markers, palette


def scatter_points(
    points: Any, mixture: Any = None, limit: int = 2048, title: str = ""
) -> Figure:
    """Draw points of the plane, those of every source in its own colour and marker.

    Args:
        points: ``Samples`` of a game or a tensor (N, 2); its ``source`` (N,), where
            there is one, names the generator of every point.
        mixture: the truth; each of its modes is drawn as a circle of three standard
            deviations.
        limit: at most so many points are drawn, the first ones.
    """
    x, source = as_points(points)[:limit], sources(points)[:limit]
    several = len(np.unique(source)) > 1
    fig, ax = axes(width=5.4 if several else 4.2, height=4.2)
    draw_points(ax, x, source, size=9)
    draw_modes(ax, mixture)
    finish(ax, window(mixture, x), title)
    if several:
        fig.legend(loc="outside right upper", markerscale=2)
    return fig


def density_map(density: Any, extent: float | None = None, title: str = "") -> Figure:
    """Draw a density of the plane.

    Args:
        density: a point mixture (or anything with ``log_prob``), or a function from
            points (N, 2) to log densities (N,).
        extent: the picture shows [-extent, extent]²; by default what the mixture
            fills, else 3.
    """
    log_prob = getattr(density, "log_prob", density)
    edge = extent or window(density)
    fig, ax = axes(width=4.8, height=4.2)
    with torch.no_grad():
        values = log_prob(torch.from_numpy(mesh(edge, 200))).exp()
    picture = ax.imshow(
        np.asarray(values).reshape(200, 200),
        extent=(-edge, edge, -edge, edge),
        origin="lower",
        cmap="cividis",
    )
    fig.colorbar(picture, ax=ax, label="density", shrink=0.85)
    finish(ax, edge, title)
    return fig


def decision_map(game: Any, mixture: Any, points: int = 512, title: str = "") -> Figure:
    """Draw what the discriminator believes, with real and generated points on top.

    The colour is the probability of being real under equal priors, that is the
    sigmoid of ``game.realness``; the line is where it is one half.

    Args:
        game: any game on points whose discriminator has such a threshold.
        mixture: the data.
        points: real points, and as many generated ones.
    """
    real = as_points(mixture.sample(points, seed=0))
    fake = as_points(game.sample(points, seed=0))
    edge = window(mixture, fake)
    belief = decision_values(game, edge)
    fig, ax = axes(width=5.0, height=4.4)
    box = (-edge, edge, -edge, edge)
    picture = ax.imshow(
        belief, extent=box, origin="lower", cmap="PuOr_r", vmin=0, vmax=1, alpha=0.6
    )
    if belief.min() < 0.5 < belief.max():
        ax.contour(belief, [0.5], extent=box, colors="black", linewidths=1)
    ax.scatter(*real.T, s=7, c="black", lw=0, alpha=0.7, label="real")
    ax.scatter(
        *fake.T, s=16, c=palette[5], marker="^", lw=0.4, ec="black", label="generated"
    )
    fig.colorbar(picture, ax=ax, label="D(x), probability of real", shrink=0.85)
    finish(ax, edge, title)
    ax.legend(loc="upper right", markerscale=1.5, frameon=True)
    return fig


def animate_points(
    history: Any, mixture: Any = None, frames: int = 40, per_second: int = 6
) -> FuncAnimation:
    """Make a movie of the generated points from a history's snapshots.

    Points of every generator have their own colour and marker.

    Args:
        history: what ``train(..., snapshot_every=...)`` returned, or its list of
            (step, points) pairs.
        mixture: the truth, as in :func:`scatter_points`.
        frames: at most so many, evenly chosen, the first and the last among them.
        per_second: speed.

    Returns:
        An animation for :func:`show`.

    Raises:
        ValueError: if the history has no snapshots.
    """
    shots = choose(history, frames)
    movie = [(step, as_points(x), sources(x)) for step, x in shots]
    # Generators may wander off: the window follows nearly all, not the farthest.
    spread = np.quantile(np.abs(np.concatenate([x for _, x, _ in movie])), 0.99)
    everyone = np.concatenate([source for _, _, source in movie])
    several = len(np.unique(everyone)) > 1
    fig, ax = axes(width=5.4 if several else 4.2, height=4.4)
    dots = draw_points(ax, np.zeros((len(everyone), 2)), everyone, size=9)
    draw_modes(ax, mixture)
    finish(ax, max(window(mixture), 1.1 * spread), " ")
    if several:
        fig.legend(loc="outside right upper", markerscale=2)

    def draw(index: int) -> tuple[Any, ...]:
        step, x, source = movie[index]
        for kind, dot in dots.items():
            dot.set_offsets(x[source == kind])
        ax.set_title(f"step {step:,}")
        return tuple(dots.values())

    return FuncAnimation(
        fig, draw, frames=len(movie), interval=1000 / per_second, repeat=False
    )


def choose(history: Any, count: int) -> list[tuple[int, Any]]:
    """Return at most ``count`` snapshots, evenly spaced, both ends among them."""
    shots = list(getattr(history, "snapshots", history))
    if not shots:
        raise ValueError(
            "the history has no snapshots; train with snapshot_every=, for example 100"
        )
    if len(shots) <= count:
        return shots
    return [shots[i] for i in np.linspace(0, len(shots) - 1, count).round().astype(int)]


def as_points(points: Any) -> np.ndarray:
    """Return any form of points as a float array (N, 2)."""
    x = torch.as_tensor(getattr(points, "x", points)).detach().cpu().numpy()
    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"points must be (N, 2), got {tuple(x.shape)}")
    return x


def sources(points: Any) -> np.ndarray:
    """Return the generator of every point, (N,); zeros where nobody says."""
    source = getattr(points, "source", None)
    if source is None:
        return np.zeros(len(as_points(points)), dtype=np.int64)
    return torch.as_tensor(source).cpu().numpy()


def draw_points(
    ax: Axes, x: np.ndarray, source: np.ndarray, size: float
) -> dict[int, PathCollection]:
    """Draw points (N, 2), those of generator k always with the same colour and marker.

    Returns:
        generator → its dots.
    """
    return {
        int(k): ax.scatter(
            x[source == k, 0],
            x[source == k, 1],
            s=size,
            alpha=0.5,
            linewidths=0,
            color=palette[k % len(palette)],
            marker=markers[k % len(markers)],
            label=f"generator {k}",
        )
        for k in np.unique(source)
    }


def window(mixture: Any = None, x: np.ndarray | None = None) -> float:
    """Return the half width of a square around the origin that shows all there is."""
    edge = 0.0
    if mixture is not None and hasattr(mixture, "means"):
        edge = float(mixture.means.abs().max() + 6 * mixture.std)
    if x is not None and len(x):
        edge = max(edge, min(1.1 * float(np.abs(x).max()), 2 * edge or np.inf))
    return edge or 3.0


def mesh(edge: float, side: int) -> np.ndarray:
    """Return (side², 2) float32 points over [-edge, edge]², row by row upwards."""
    line = np.linspace(-edge, edge, side, dtype=np.float32)
    x, y = np.meshgrid(line, line)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def decision_values(game: Any, edge: float, side: int = 120) -> np.ndarray:
    """Return the probability of being real over a square, (side, side)."""
    x = torch.from_numpy(mesh(edge, side)).to(game.device)
    with torch.no_grad():
        logits = game.realness(x)
    return torch.sigmoid(logits).cpu().numpy().reshape(side, side)


def draw_modes(ax: Axes, mixture: Any) -> None:
    """Draw a dashed circle of three standard deviations around every mode."""
    for mean in [] if mixture is None else np.asarray(mixture.means):
        circle = Circle(mean, 3 * float(mixture.std), fill=False, ls="--", lw=1)
        circle.set_edgecolor("#444444")
        ax.add_patch(circle)


def finish(ax: Axes, edge: float, title: str) -> None:
    """Make the axes a square window around the origin, with labels."""
    ax.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal")
    ax.set(xlabel="$x_1$", ylabel="$x_2$")
    if title:
        ax.set_title(title)
