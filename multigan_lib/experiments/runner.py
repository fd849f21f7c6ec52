"""Running a recipe, seed by seed, into a record."""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from .. import datasets, figures, nets, paths, results
from ..games import GAMES, Game
from ..games.game import seeded
from ..results import Record
from ..training import train
from ..training.settings import resolve_device
from . import assembly, provenance
from .recipe import Recipe
from .recipes import find

MIXTURES = {"ring": datasets.ring, "grid": datasets.grid}


def run(
    name: str,
    seeds: int | None = None,
    scale: str = "small",
    device: str | None = None,
    folder: Any = None,
    jobs: int = 1,
    progress: bool = True,
) -> Record:
    """Run a recipe over seeds 0, 1, … and write its record.

    What a seed gave is kept under ``cache()/runs`` and a seed in training is saved as
    it goes: run the same again after an interruption, or with more seeds, and nothing
    is trained twice.

    Args:
        name: of a recipe.
        seeds: how many; by default the recipe's own number.
        scale: ``"small"`` or ``"paper"``; the latter's record is ``<name>_paper``.
        device: by default the best there is.
        folder: where the record goes; by default ``data/results``.
        jobs: seeds trained at a time, each in a process of its own with one thread;
            small games gain most, for they do not fill several threads.
        progress: whether to show progress bars and one line a seed.

    Returns:
        The record, as read back.

    Raises:
        ValueError: if there is no such recipe or scale, or if the record that is there
            has more seeds.
    """
    recipe = find(name)
    seeds = recipe.seeds if seeds is None else seeds
    if seeds < 1:
        raise ValueError(f"a record needs at least one seed, got {seeds}")
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    config = recipe.config(scale)
    title = name if scale == "small" else f"{name}_{scale}"
    _refuse_fewer(title, seeds, folder)
    place = paths.cache() / "runs" / title
    data = make_data(config["data"])
    chosen = resolve_device(device)
    if progress:
        print(_outlook(recipe, title, seeds, chosen))
    places = {
        (variant, seed): place / f"{variant or 'run'}-{seed}-{_digest(config, variant)}"
        for variant in recipe.variants
        for seed in range(seeds)
    }
    shown = progress and jobs == 1
    tasks = [
        (recipe, config, variant, seed, data, kept, chosen, shown)
        for (variant, seed), kept in places.items()
        if not (kept / "result.json").is_file()
    ]
    for _, _, variant, seed, *_ in _each(_play, tasks, jobs):
        if progress:
            metrics = assembly.read_run(places[variant, seed])["metrics"]
            told = [f"{k} {v['value']:.4g}" for k, v in metrics.items()]
            label = f"{title} {variant} seed {seed}".replace("  ", " ")
            print(f"{label}: {', '.join(told[:6])}", flush=True)
    runs = [assembly.read_run(kept) for kept in places.values()]
    seeds_left = [
        (recipe, config, seed, places, chosen, shown) for seed in range(seeds)
    ]
    list(_each(assembly.compare, seeds_left, jobs if recipe.compare else 1))
    together = [assembly.compare(*task) for task in seeds_left]
    record = assembly.assemble(title, recipe, config, seeds, runs, together)
    picture = figures.png(assembly.draw(record, runs, data))
    results.write(record, picture, folder)
    return results.read(title, folder)


def make_data(settings: Mapping[str, Any]) -> Any:
    """Return a mixture or a data set by its ``name`` and arguments."""
    arguments = dict(settings)
    name = arguments.pop("name")
    if name not in MIXTURES:
        return datasets.load(name, **arguments)
    make = MIXTURES[name]
    unknown = sorted(set(arguments) - set(inspect.signature(make).parameters))
    if unknown:
        raise ValueError(f"{name} is drawn, not loaded: leave out {', '.join(unknown)}")
    return make(**arguments)


def make_game(settings: Mapping[str, Any], data: Any, seed: int) -> Game:
    """Return a game by its class's ``name`` and arguments.

    ``generator`` may hold arguments of ``nets.generator_for``, and
    ``batch_norm: False`` for one without.
    """
    arguments = dict(settings)
    name = arguments.pop("name")
    own = dict(arguments.pop("generator", {}))
    if own:
        keep_norm = own.pop("batch_norm", True)
        with seeded(seed):
            generator = nets.generator_for(
                data.shape, arguments["latent_size"], arguments["width"], **own
            )
        arguments["generator"] = generator if keep_norm else _without_norm(generator)
    kind: Any = GAMES[name]
    return kind(data, **arguments, seed=seed)


def _outlook(recipe: Recipe, title: str, seeds: int, device: torch.device) -> str:
    """Say how much there is to do, and how long it took where it was recorded."""
    count = seeds * len(recipe.variants)
    text = f"{title}: {count} training runs on {device.type}"
    try:
        recorded = results.read(title)
    except FileNotFoundError:
        return text
    minutes = recorded.per_run("seconds").mean() / 60
    return f"{text}; those of the record took {minutes:.1f} minutes each on " + (
        " and ".join(sorted({run["device"] for run in recorded.runs}))
    )


def _each(do: Callable[..., Any], tasks: list[tuple], jobs: int) -> Iterator[tuple]:
    """Do the tasks, ``jobs`` at a time; yield each when it is done."""
    if jobs == 1:
        for task in tasks:
            do(*task)
            yield task
        return
    with ProcessPoolExecutor(
        jobs, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        waiting = {pool.submit(do, *task): task for task in tasks}
        for future in as_completed(waiting):
            future.result()
            yield waiting[future]


def _play(
    recipe: Recipe,
    config: Mapping[str, Any],
    variant: str,
    seed: int,
    data: Any,
    place: Path,
    device: torch.device,
    progress: bool,
) -> None:
    """Train and judge one seed of one variant, and keep what came out in ``place``."""
    game = make_game({**config["game"], **recipe.variants[variant]}, data, seed)
    settings = dict(config["train"])
    history = train(
        game,
        data,
        until=settings.pop("steps"),
        seed=seed,
        checkpoint=place / "checkpoint",
        resume=True,
        device=device,
        progress=progress,
        **settings,
    )
    outcome = recipe.evaluate(game, data, history, config["measure"], seed)
    picture = {"x": outcome.picture.x, "source": outcome.picture.source}
    picture = {name: tensor.contiguous() for name, tensor in picture.items()}
    save_file(picture, place / "picture.safetensors")
    commit, dirty = provenance.commit()
    result = {
        "metrics": assembly.as_json(outcome.metrics),
        "curves": outcome.curves,
        "run": {
            "variant": variant,
            "seed": seed,
            "seconds": round(history.seconds, 2),
            "images_per_second": round(history.samples_per_second, 1),
            "device": provenance.device_name(device),
            "commit": commit,
            "dirty": dirty,
        },
        "versions": provenance.versions(),
    }
    assembly.write_json(place / "result.json", result)


def _refuse_fewer(title: str, seeds: int, folder: Any) -> None:
    try:
        there = len(results.read(title, folder).seeds)
    except FileNotFoundError:
        return
    if there > seeds:
        raise ValueError(
            f"the record {title} has {there} seeds already; run at least as many, or "
            "name another folder for this one"
        )


def _digest(config: Mapping[str, Any], variant: str) -> str:
    settings = {**config, "variants": config["variants"][variant]}
    settings.pop("comparison", None)  # comes after the games
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]


def _without_norm(network: nn.Module) -> nn.Module:
    """Replace every batch norm by a learnable offset, which it would have held."""
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, Offset(child.num_features))
    return network


class Offset(nn.Module):
    """Adds a learnable number to every map (n, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.offset
