"""Every source in every mixture: one classifier a cell, each kept by itself."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..datasets import ImageData
from .classifying import f1_of, predicted, train_classifier
from .drawing import Drawn, UnfilledError
from .mixing import SHARES, expansion, replacement

SCENARIOS = {"replacement": replacement, "expansion": expansion}


@dataclass(frozen=True)
class Source:
    """Where extra images come from.

    Attributes:
        draw: makes the images; called once, and only if a cell still needs them.
        shares: which shares of the real images are mixed in.
        doubled: whether expansion by as many images as there are real ones is also
            tried with twice the updates, as a fixed number of epochs would have it.
    """

    draw: Callable[[], Drawn]
    shares: tuple[float, ...] = SHARES
    doubled: bool = False


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
    interruption the same call does the rest, and gives what an unbroken one gives.

    Args:
        real: labelled training images.
        held: labelled images that neither these nor the sources have seen.
        sources: name → where the images come from.
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
        ValueError: if the folder has cells of other settings or other images.
    """
    place = Path(folder)
    judges: dict[str, Any] = {"width": width, "batch_size": batch_size}
    settings = {"steps": steps, "seed": seed, **judges}
    _claim(place, {**settings, "real": repr(real), "held": repr(held)})
    cells = _cells(sources, repeats)
    bar = tqdm(
        total=sum(len(names) for names in cells.values()),
        desc="cells",
        disable=not progress,
    )
    found: dict[str, float] = {}

    def fit(name: str, images: ImageData, fit_seed: int = seed) -> None:
        updates = 2 * steps if name.endswith("doubled") else steps
        judge = train_classifier(images, steps=updates, seed=fit_seed, **judges)
        _write(place / f"{name}.json", _scores(predicted(judge, held), held))

    with bar:
        for source, names in cells.items():
            kept = [name for name in names if (place / f"{name}.json").is_file()]
            bar.update(len(kept))
            missing = [name for name in names if name not in kept]
            if source == "real":
                for name in missing:
                    again = name.removeprefix("real again ")
                    # Far from the seeds of other runs, whose classifiers they'd repeat.
                    extra_seed = 1000 * int(again) if again.isdigit() else 0
                    fit(name, real, seed + extra_seed)
                    bar.update()
            elif missing:
                extra = _draw(sources[source], place / f"source {source}.json")
                for name in missing:
                    if extra is None:
                        _write(place / f"{name}.json", dict.fromkeys(PARTS, math.nan))
                    else:
                        scenario, share = name.split()[:2]
                        mixed = SCENARIOS[scenario](real, extra, float(share), seed)
                        fit(name, mixed)
                    bar.update()
            for name in names:
                scores = json.loads((place / f"{name}.json").read_text())
                found |= {f"{part}/{name}": scores[part] for part in PARTS}
            if source != "real":
                found |= _came(source, place / f"source {source}.json", held)
    return found


PARTS = ("f1", "f1_a", "f1_b")


def _cells(sources: Mapping[str, Source], repeats: int) -> dict[str, list[str]]:
    """Names of the cells of real images, then of every source."""
    again = [f"real again {i}" for i in range(1, repeats)]
    cells = {"real": ["real", *again, "real doubled"]}
    for name, source in sources.items():
        cells[name] = [
            f"{scenario} {share:.1f} {name}"
            for scenario in SCENARIOS
            for share in source.shares
        ]
        if source.doubled:
            cells[name].append(f"expansion 1.0 {name} doubled")
    return cells


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
    shares = drawn.histogram.double() / drawn.histogram.sum()
    _write(path, {"shares": shares.tolist(), "accepted": drawn.accepted})
    return drawn.images


def _came(name: str, path: Path, held: ImageData) -> dict[str, float]:
    came = json.loads(path.read_text())
    shares = came.get("shares", [math.nan] * len(held.classes))
    found = {f"share_{label}/{name}": share for label, share in enumerate(shares)}
    return found | {f"accepted/{name}": came.get("accepted", math.nan)}


def _claim(place: Path, settings: dict[str, Any]) -> None:
    place.mkdir(parents=True, exist_ok=True)
    path = place / "settings.json"
    if not path.is_file():
        _write(path, settings)
    elif (there := json.loads(path.read_text())) != settings:
        raise ValueError(
            f"{place} holds cells of other settings ({there}, now {settings}); name "
            "another folder"
        )


def _write(path: Path, content: Mapping[str, Any]) -> None:
    # Two processes may do the same cell; each has a draft of its own.
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    draft.write_text(json.dumps(content))
    draft.replace(path)
