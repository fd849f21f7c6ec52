"""From what each run gave, and what its games give together, to a record."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from .. import figures, paths
from ..games import Samples, load
from ..results import How, Record
from .recipe import Recipe


def read_run(place: Path) -> dict[str, Any]:
    result = json.loads((place / "result.json").read_text())
    _numbers(result["metrics"])
    result["picture"] = Samples(**load_file(place / "picture.safetensors"))
    return result


def as_json(metrics: Mapping[str, tuple[float, How]]) -> dict[str, Any]:
    return {
        name: {"value": repr(value), **asdict(how)}
        for name, (value, how) in metrics.items()
    }


def _numbers(metrics: dict[str, Any]) -> dict[str, Any]:
    for metric in metrics.values():
        metric["value"] = float(metric["value"])
    return metrics


def write_json(path: Path, result: Mapping[str, Any]) -> None:
    paths.replace(path, json.dumps(result).encode())


def compare(
    recipe: Recipe,
    config: Mapping[str, Any],
    seed: int,
    places: Mapping[tuple[str, int], Path],
    device: torch.device,
    progress: bool = False,
) -> dict[str, Any]:
    """What the games of a seed give together, kept beside what each gave.

    On the way ``recipe.compare`` may keep what it has in a folder of that name.
    """
    if recipe.compare is None:
        return {}
    kept = {variant: places[variant, seed] for variant in recipe.variants}
    settings = config.get("comparison", {})
    told = [*(p.name for p in kept.values()), json.dumps(settings, sort_keys=True)]
    version = hashlib.sha256("".join(told).encode()).hexdigest()[:8]
    folder = next(iter(kept.values())).parent
    path = folder / f"together-{seed}-{version}.json"
    if not path.is_file():
        games = {
            name: load(place / "checkpoint").to(device) for name, place in kept.items()
        }
        settings, parts = {**config["measure"], **settings}, path.with_suffix("")
        found = recipe.compare(games, settings, seed, parts, progress)
        write_json(path, as_json(found))
    return _numbers(json.loads(path.read_text()))


def assemble(
    title: str,
    recipe: Recipe,
    config: dict[str, Any],
    seeds: int,
    runs: list[dict[str, Any]],
    together: list[dict[str, Any]],
) -> Record:
    metrics: dict[str, list[float]] = {}
    how: dict[str, How] = {}
    curves: dict[str, dict[str, list]] = {}

    def add(entries: Mapping[str, Any], ending: str) -> None:
        for name, entry in entries.items():
            fields = dict(entry)
            metrics.setdefault(name + ending, []).append(fields.pop("value"))
            if how.setdefault(name + ending, How(**fields)) != How(**fields):
                raise ValueError(
                    f"seeds of {title} were measured differently ({name}: "
                    f"{how[name + ending]}, then {How(**fields)}); remove "
                    f"{paths.cache() / 'runs' / title} and run again"
                )

    for entries in together:
        add(entries, "")
    for result in runs:
        variant = result["run"]["variant"]
        ending = f"/{variant}" if variant else ""
        add(result["metrics"], ending)
        for name, (steps, values) in result["curves"].items():
            curve = curves.setdefault(name + ending, {"steps": steps, "values": []})
            curve["values"].append(values)
    scale = "" if config["scale"] == "small" else f" --scale {config['scale']}"
    return Record(
        recipe=title,
        about=recipe.about,
        command=f"python -m multigan_lib run {title.removesuffix('_paper')} "
        f"--seeds {seeds}{scale}",
        config=config,
        seeds=list(range(seeds)),
        metrics=metrics,
        how=how,
        runs=[result["run"] for result in runs],
        versions=runs[-1]["versions"],
        curves=curves,
    )


def draw(record: Record, runs: list[dict[str, Any]], data: Any) -> Any:
    """Draw a record's samples.

    Points: a panel a run. Images: a block of rows a run; where there are several
    generators, a row for each, of the first seed of every variant.
    """
    names = [
        f"{run['run']['variant']} seed {run['run']['seed']}".strip() for run in runs
    ]
    pictures: list[Samples] = [result["picture"] for result in runs]
    if pictures[0].x.ndim == 2:
        # The seeds of a variant stay side by side.
        seeds = len(record.seeds)
        columns = 5 if len(runs) == seeds else max(seeds, 6 - 6 % seeds)
        return figures.panels(pictures, data, names, columns)
    if any(picture.source.any() for picture in pictures):
        kept = [p for p, r in zip(pictures, runs, strict=True) if not r["run"]["seed"]]
        # Every generator has as many images, a row.
        first = pictures[0].source
        columns, width = int((first == first[0]).sum()), 5
        labels = [
            f"{run['run']['variant']} G{picture.source[row * columns]}".strip()
            for picture, run in zip(pictures, runs, strict=True)
            if not run["run"]["seed"]
            for row in range(len(picture.x) // columns)
        ]
        chosen = torch.cat([picture.x for picture in kept])
    else:
        rows = max(1, 64 // (8 * len(runs))) if len(runs) > 4 else 3
        columns, width = 16 if len(pictures[0].x) >= 16 * rows else 8, 8
        chosen = torch.cat([picture.x[: rows * columns] for picture in pictures])
        labels = [name if row == 0 else "" for name in names for row in range(rows)]
    return figures.sample_grid(
        chosen, columns=columns, limit=len(chosen), rows=labels, width=width
    )
