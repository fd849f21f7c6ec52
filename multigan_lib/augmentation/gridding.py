"""Every source in every mixture: one classifier a cell, each kept by itself."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .. import paths
from ..datasets import ImageData
from ..games.adversarial import at_least
from .classifying import f1_of, predicted, train_classifier
from .drawing import Drawn, UnfilledError
from .mixing import SHARES, expansion, labels_of, replacement

SCENARIOS = {"replacement": replacement, "expansion": expansion}


@dataclass(frozen=True)
class Source:
    """Where extra images come from.

    Attributes:
        draw: makes the images; called once, and only if a cell still needs them.
        shares: which shares of the real images are mixed in.
        scenarios: how: ``"replacement"``, ``"expansion"`` or both.
        doubled: whether expansion by as many images as there are real ones is also
            tried with twice the updates, as a fixed number of epochs would have it.

    Raises:
        TypeError, ValueError: if ``draw`` is no function, or there is no such scenario
            or share.
    """

    draw: Callable[[], Drawn]
    shares: tuple[float, ...] = SHARES
    scenarios: tuple[str, ...] = tuple(SCENARIOS)
    doubled: bool = False

    def __post_init__(self) -> None:
        if not callable(self.draw):
            raise TypeError(
                "draw is a function that makes images when they are needed, such as "
                f"lambda: generative(game, counts); got a {type(self.draw).__name__}"
            )
        if isinstance(self.scenarios, str) or not {*self.scenarios} <= {*SCENARIOS}:
            raise ValueError(
                f"scenarios are some of {tuple(SCENARIOS)}, got {self.scenarios!r}"
            )
        if isinstance(self.shares, Real) or not all(0 <= s <= 1 for s in self.shares):
            raise ValueError(
                f"shares are several numbers in 0..1, such as {SHARES}; got "
                f"{self.shares!r}"
            )


@dataclass(frozen=True)
class Cell:
    """A classifier to train.

    Attributes:
        name: of its file and of its metrics.
        scenario: how extra images are mixed in; None: real images alone.
        share: of the real images, how many.
        rounds: how often the grid's number of updates is made.
        offset: from the grid's seed to the classifier's.
    """

    name: str
    scenario: str | None = None
    share: float = 0.0
    rounds: int = 1
    offset: int = 0


def grid(
    real: ImageData,
    held: ImageData,
    sources: Mapping[str, Source],
    folder: str | Path,
    *,
    steps: int,
    repeats: int = 1,
    seed: int = 0,
    width: int = 16,
    batch_size: int = 64,
    progress: bool = True,
) -> dict[str, float]:
    """Train a classifier for every cell, and judge it on held-out images.

    Cells are ``real`` (and ``real again 1``, … with other seeds of the classifier;
    ``real doubled`` with twice the updates), and for every source each scenario at
    each share. A cell is kept in ``folder`` as soon as it is done: after an
    interruption the same call does the rest, and gives what an unbroken one gives. A
    damaged cell is done again.

    Args:
        real: labelled training images.
        held: labelled images that neither these nor the sources have seen.
        sources: name → where the images come from. A finished cell knows its source by
            this name alone: for a game that is trained anew take another, or another
            folder.
        folder: where cells are kept.
        steps: updates of every classifier.
        repeats: classifiers of real images alone.
        seed: of the mixtures and the classifiers.
        width, batch_size: of the classifiers.
        progress: whether to show a progress bar.

    Returns:
        ``f1/<cell>``: macro-F1 on all held-out images; ``f1_a/…`` and ``f1_b/…``: on
        the even and on the odd ones. Cells are called ``real``, ``replacement 0.2
        NAME``, ``expansion 1.0 NAME``. ``share_<class>/NAME``: shares of the labels as
        they came; ``accepted/NAME``. All are NaN for a source that cannot fill a class.

    Raises:
        TypeError: if a source is no :class:`Source`, or draws no :class:`Drawn`.
        ValueError: if the folder has cells of other settings or other images; if more
            than one in a hundred of the held-out images are among the real ones; if a
            source's name or shares do not make names of cells, or a number is out of
            range.
    """
    at_least("repeats", repeats, 1)
    _check_sources(sources)
    _check_held_out(real, held)
    place = Path(folder)
    judges: dict[str, Any] = {"width": width, "batch_size": batch_size}
    sets = {"real": f"{real} {_hash(real)}", "held": f"{held} {_hash(held)}"}
    cells: dict[str | None, list[Cell]] = {None: _cells_of_real(repeats)}
    cells |= {name: _cells_of(name, source) for name, source in sources.items()}
    _check_names([cell.name for group in cells.values() for cell in group])
    _claim(place, {"steps": steps, "seed": seed, **judges, **sets})
    found: dict[str, float] = {}

    def file(cell: Cell) -> Path:
        return place / f"{cell.name}.json"

    def scores(cell: Cell, extra: ImageData | None) -> dict[str, float]:
        if cell.scenario is None:
            images = real
        elif extra is None:
            return dict.fromkeys(PARTS, math.nan)
        else:
            images = SCENARIOS[cell.scenario](real, extra, cell.share, seed)
        judge = train_classifier(
            images, steps=cell.rounds * steps, seed=seed + cell.offset, **judges
        )
        return _scores(predicted(judge, held), held)

    total = sum(map(len, cells.values()))
    with tqdm(total=total, desc="cells", disable=not progress) as bar:
        for source, group in cells.items():
            came = place / f"source {source}.json"
            done = {cell: kept for cell in group if (kept := _kept(file(cell)))}
            missing = [cell for cell in group if cell not in done]
            bar.update(len(done))
            extra = None
            if source is not None and (missing or _kept(came) is None):
                extra = _draw(sources[source], came)
            for cell in missing:
                done[cell] = scores(cell, extra)
                _write(file(cell), done[cell])
                bar.update()
            for cell, values in done.items():
                found |= {f"{part}/{cell.name}": values[part] for part in PARTS}
            if source is not None:
                found |= _came(source, _kept(came) or {}, held)
    return found


PARTS = ("f1", "f1_a", "f1_b")


def _cells_of_real(repeats: int) -> list[Cell]:
    # Far from the seeds of other runs, whose classifiers they would repeat.
    again = [Cell(f"real again {i}", offset=1000 * i) for i in range(1, repeats)]
    return [Cell("real"), *again, Cell("real doubled", rounds=2)]


def _cells_of(name: str, source: Source) -> list[Cell]:
    cells = [
        Cell(f"{scenario} {float(share)} {name}", scenario, share)
        for scenario in source.scenarios
        for share in source.shares
    ]
    doubled = Cell(f"expansion 1.0 {name} doubled", "expansion", 1.0, rounds=2)
    return [*cells, doubled] if source.doubled else cells


def _check_names(names: list[str]) -> None:
    for name in names:
        if "/" in name or names.count(name) > 1:
            raise ValueError(
                f"{name!r} cannot be the name of one cell: the name of a source has no "
                "slash, and none of its shares comes twice"
            )


def _check_sources(sources: Mapping[str, Source]) -> None:
    for name, source in sources.items():
        if not isinstance(source, Source):
            raise TypeError(
                f"{name} must be an augmentation.Source, got a {type(source).__name__}"
            )


def _check_held_out(real: ImageData, held: ImageData) -> None:
    seen = {bytes(image) for image in real.images.flatten(1).numpy()}
    known = sum(bytes(image) in seen for image in held.images.flatten(1).numpy())
    # Collections have a few duplicates: not every one is a leak.
    if known > len(held) / 100:
        raise ValueError(
            f"{known} of the {len(held)} held-out images are among the real ones, "
            f"from which classifiers learn; got {real} and {held}"
        )


def _scores(predictions: Any, held: ImageData) -> dict[str, float]:
    return {
        "f1": f1_of(predictions, held),
        "f1_a": f1_of(predictions[::2], held[::2]),
        "f1_b": f1_of(predictions[1::2], held[1::2]),
    }


def _draw(source: Source, path: Path) -> ImageData | None:
    """The source's images; how they came is kept. None if a class stays empty."""
    try:
        drawn = source.draw()
    except UnfilledError as error:
        _write(path, {"refused": str(error)})
        return None
    if not isinstance(drawn, Drawn):
        raise TypeError(
            f"a source draws a Drawn, images and how they came; got a "
            f"{type(drawn).__name__}"
        )
    shares = drawn.histogram.double() / drawn.histogram.sum()
    _write(path, {"shares": shares.tolist(), "accepted": drawn.accepted})
    return drawn.images


def _came(name: str, came: Mapping[str, Any], held: ImageData) -> dict[str, float]:
    shares = came.get("shares", [math.nan] * len(held.classes))
    found = {f"share_{label}/{name}": share for label, share in enumerate(shares)}
    return found | {f"accepted/{name}": came.get("accepted", math.nan)}


def _hash(images: ImageData) -> str:
    """The beginning of the SHA-256 of images and labels."""
    hashed = hashlib.sha256(images.images.numpy().tobytes())
    hashed.update(labels_of(images).numpy().tobytes())
    return hashed.hexdigest()[:16]


def _claim(place: Path, settings: dict[str, Any]) -> None:
    place.mkdir(parents=True, exist_ok=True)
    path = place / "settings.json"
    if not any(other != path for other in place.glob("*.json")):
        _write(path, settings)  # there is no cell yet, so former settings bind nobody
    there = _kept(path)
    if there is None:
        raise ValueError(
            f"{place} holds cells, but {path.name}, which says of what settings, is "
            "missing or damaged; name another folder"
        )
    if there != settings:
        differ = [k for k in settings | there if settings.get(k) != there.get(k)]
        told = ", ".join(f"{k} {there.get(k)}, now {settings.get(k)}" for k in differ)
        raise ValueError(
            f"{place} holds cells of other settings ({told}); name another folder"
        )


def _kept(path: Path) -> dict[str, Any] | None:
    """What a file holds; None if it is missing or damaged, as after a power cut."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _write(path: Path, content: Mapping[str, Any]) -> None:
    paths.replace(path, json.dumps(content).encode())
