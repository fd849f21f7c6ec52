"""What the images of several trained games are worth to a classifier."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save

from .. import augmentation, nets, paths
from .. import datasets as data_sets
from ..augmentation import Drawn, Source, Traditional
from ..results import How
from ..training.settings import resolve_device
from .common import MNIST_16
from .evaluations import SAMPLE_SEED

GRID: dict[str, Any] = {
    "real": MNIST_16,
    "most": 5_000,
    "classifier": {"steps": 1_000, "batch_size": 32, "width": 8},
    "labeller": {"steps": 1_000, "confidence": 0.0},
    "traditional": {
        "shift": 0.03,
        "rotation": 8.0,
        "brightness": 0.1,
        "contrast": 0.1,
        "noise": 0.02,
    },
    "repeats": 4,
    "doubled": ["traditional", "GAN", "cGAN"],
}
"""Settings of the grid: most images of a class; the judges and the labeller; changes as
small as those among digits that are centred already; how many judges of real images
alone; sources that are also tried with twice the updates."""

LABELLER_SEED = 20_000


def whole_grid(
    games: Mapping[str, Any],
    settings: Mapping[str, Any],
    seed: int,
    folder: Path,
    progress: bool,
) -> dict[str, tuple[float, How]]:
    """Every cell of replacement and expansion, for a seed's games.

    Sources: ``traditional``; every game, its generators pooled, by its name; and every
    generator of a game with several, by itself (``MADGAN 3 G0``), in place of all real
    images. For the names of the metrics see ``augmentation.grid``; ``f1/labeller`` is
    that of the classifier that names the images of games without conditions, which
    learns from the real images and as many changed ones.
    """
    held = data_sets.load(**settings["held_out"])
    every = data_sets.load(**settings["real"])
    counts = augmentation.class_counts(every, settings["most"])
    real = augmentation.stratified(every, counts, seed)
    labeller = _labeller(real, settings["labeller"]["steps"], seed, folder)
    confidence = settings["labeller"]["confidence"]

    def from_game(game: Any, source: int | None) -> Callable[[], Drawn]:
        return lambda: augmentation.generative(
            game,
            counts,
            labeller=None if game.conditional else labeller,
            confidence=0.0 if game.conditional else confidence,
            source=source,
            seed=SAMPLE_SEED + seed,
        )

    changes = Traditional(**settings["traditional"])
    sources = {
        "traditional": Source(
            lambda: changes.draw(real, counts, SAMPLE_SEED + seed),
            doubled="traditional" in settings["doubled"],
        )
    }
    for name, game in games.items():
        doubled = name in settings["doubled"]
        sources[name] = Source(from_game(game, None), doubled=doubled)
    for name, game in games.items():
        count = getattr(game, "generators", 1)
        for k in range(count if count > 1 else 0):
            alone = Source(from_game(game, k), (1.0,), ("replacement",))
            sources[f"{name} G{k}"] = alone
    found = augmentation.grid(
        real,
        held,
        sources,
        folder,
        **settings["classifier"],
        repeats=settings["repeats"],
        seed=seed,
        progress=progress,
    )
    found["f1/labeller"] = augmentation.macro_f1(labeller, held)
    return {name: (value, _how(name, held)) for name, value in found.items()}


def _labeller(
    real: data_sets.ImageData, steps: int, seed: int, folder: Path
) -> nets.Classifier:
    """A classifier of real images and as many changed ones, kept in the folder."""
    path = folder / "labeller.safetensors"
    if not path.is_file():
        seed += LABELLER_SEED
        counts = augmentation.class_counts(real, len(real))
        extra = Traditional().draw(real, counts, seed).images
        mixed = augmentation.expansion(real, extra, 1.0, seed)
        trained = augmentation.train_classifier(mixed, steps=steps, seed=seed)
        folder.mkdir(parents=True, exist_ok=True)
        weights = {k: v.contiguous() for k, v in trained.state_dict().items()}
        paths.replace(path, save(weights))
    # What is kept is used at once, so that a run carried on equals an unbroken one.
    labeller = nets.Classifier(real.shape, len(real.classes))
    labeller.load_state_dict(load_file(path))
    return labeller.to(resolve_device(None)).eval()


def _how(name: str, held: data_sets.ImageData) -> How:
    reference = f"{held.name} {held.split}"
    n = len(held)
    if name.startswith("f1_a/"):
        return How(n=len(held[::2]), reference=f"{reference}, even ones")
    if name.startswith("f1_b/"):
        return How(n=len(held[1::2]), reference=f"{reference}, odd ones")
    return How(n=n, reference=reference) if name.startswith("f1/") else How()
