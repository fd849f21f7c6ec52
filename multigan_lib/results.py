"""Recorded runs: written once with all that made them, read by the book's pages.

A record is a JSON file and a picture of the same name in ``data/results``. The
papers' tables are CSV files in ``data/published``; :func:`table` sets both side by
side, and gives every way of measuring a column of its own.
"""

import csv
import html
import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import paths


@dataclass(frozen=True)
class How:
    """How a metric was measured: scores that differ in any of these don't compare.

    Attributes:
        features: feature network with its hash, or None where none is used.
        n: number of generated samples.
        reference: data that the samples were compared with, such as
            ``"mnist test[8000:]"``.
    """

    features: str | None = None
    n: int | None = None
    reference: str | None = None

    def __str__(self) -> str:
        parts = [self.features, self.n and f"n = {self.n:,}", self.reference]
        return ", ".join(str(part) for part in parts if part)


@dataclass(frozen=True)
class Record:
    """A recipe that was run, over one or more seeds.

    Attributes:
        recipe: its name; ``about`` says in a sentence what it is.
        command: what to type to make the record again.
        config: every setting of the run.
        seeds: the seeds.
        metrics: name → one value a seed. A recipe with variants has names such as
            ``"modes/hinge"``.
        how: name → how it was measured.
        curves: name → ``{"steps": [...], "values": [[...] a seed]}``, what was
            measured on the way.
        runs: for every seed (and variant) its seconds, images per second, device,
            commit, and whether the library had uncommitted changes.
        versions: of Python and the libraries.
        image: the PNG beside the JSON, or None.
    """

    recipe: str
    about: str
    command: str
    config: dict[str, Any]
    seeds: list[int]
    metrics: dict[str, list[float]]
    how: dict[str, How]
    runs: list[dict[str, Any]]
    versions: dict[str, str]
    curves: dict[str, dict[str, list]] = field(default_factory=dict)
    image: Path | None = None

    def values(self, metric: str) -> np.ndarray:
        """Return a metric's value for every seed, (seeds,).

        Raises:
            ValueError: if there is no such metric; the message names those there are.
        """
        return np.array(self._known(metric, self.metrics))

    def mean(self, metric: str) -> float:
        """Return a metric's mean over the seeds."""
        return float(self.values(metric).mean())

    def std(self, metric: str) -> float:
        """Return a metric's sample standard deviation over the seeds (n - 1)."""
        values = self.values(metric)
        if len(values) < 2:
            return math.nan
        with np.errstate(invalid="ignore"):  # of infinite values: undefined
            return float(values.std(ddof=1))

    def series(self, metric: str) -> tuple[np.ndarray, np.ndarray]:
        """Return what was measured on the way: steps (T,) and values (seeds, T)."""
        curve = self._known(metric, self.curves)
        return np.array(curve["steps"]), np.array(curve["values"], dtype=float)

    def per_run(self, name: str) -> np.ndarray:
        """Return a number of every run: ``"seconds"`` or ``"images_per_second"``."""
        return np.array([run[name] for run in self.runs])

    @property
    def provenance(self) -> str:
        """Where the record comes from, in a line."""
        devices = " and ".join(sorted({run["device"] for run in self.runs}))
        commits = " and ".join(
            sorted({(run["commit"] or "?")[:7] for run in self.runs})
        )
        dirty = " with changes" if any(run["dirty"] for run in self.runs) else ""
        seconds = self.per_run("seconds").mean()
        seeds = f"{len(self.seeds)} seed{'s' * (len(self.seeds) > 1)}"
        return (
            f"{self.recipe}: {seeds}, {seconds:,.0f} s a run on {devices}, "
            f"commit {commits}{dirty}; {self.command}"
        )

    def __str__(self) -> str:
        lines = [self.provenance]
        for name in self.metrics:
            spread = f" ± {self.std(name):.2g}" if len(self.seeds) > 1 else ""
            detail = f"  ({self.how[name]})" if str(self.how[name]) else ""
            lines.append(f"  {name}: {self.mean(name):.4g}{spread}{detail}")
        return "\n".join(lines)

    def _known(self, name: str, known: dict[str, Any]) -> Any:
        if name not in known:
            raise ValueError(
                f"the record {self.recipe} has no {name!r}; it has "
                f"{', '.join(known) or 'none'}"
            )
        return known[name]


def write(record: Record, picture: bytes | None = None, folder: Any = None) -> Path:
    """Write a record, whole or not at all, in place of an older one of its name.

    Args:
        record: the record; its ``image`` is not written.
        picture: a PNG.
        folder: by default ``data/results`` of the repository, else of the cache.

    Returns:
        The path of the JSON file.
    """
    folder = Path(folder) if folder else _folders()[-1]
    folder.mkdir(parents=True, exist_ok=True)
    content = asdict(record)
    del content["image"]
    how = content.pop("how")
    content["metrics"] = {
        name: {"values": values, **how[name]} for name, values in record.metrics.items()
    }
    text = json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False)
    # Lists of numbers on one line: a record is read by people, too.
    text = re.sub(r"\[\n\s*([^][{}]+?)\n\s*\]", lambda m: f"[{_one_line(m[1])}]", text)
    if picture:
        paths.replace(folder / f"{record.recipe}.png", picture)
    return paths.replace(folder / f"{record.recipe}.json", (text + "\n").encode())


def read(name: str, folder: Any = None) -> Record:
    """Read a record by its recipe's name.

    Raises:
        FileNotFoundError: if there is none; the message names those that exist.
        ValueError: if its file is damaged.
    """
    folders = [Path(folder)] if folder else _folders()
    for place in folders:
        path = place / f"{name}.json"
        if path.is_file():
            return _parse(path)
    raise FileNotFoundError(
        f"there is no record {name!r} in {folders[0]}; there are "
        f"{', '.join(names(folder)) or 'none'}. If it is a recipe's name, "
        f"make it with: python -m multigan_lib run {name}"
    )


def names(folder: Any = None) -> list[str]:
    """Return the names of the records that exist."""
    folders = [Path(folder)] if folder else _folders()
    return sorted({path.stem for place in folders for path in place.glob("*.json")})


def _parse(path: Path) -> Record:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        metrics = content.pop("metrics")
        values = {
            name: [float(value) for value in entry.pop("values")]
            for name, entry in metrics.items()
        }
        how = {name: How(**entry) for name, entry in metrics.items()}
        image = path.with_suffix(".png")
        content["image"] = image if image.is_file() else None
        return Record(**content, metrics=values, how=how)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"the record {path} is damaged: {error}") from error


def _folders() -> list[Path]:
    """Return where records are read; the last is where they are written."""
    own = [] if paths.REPOSITORY else [paths.cache() / "results"]
    return [paths.assets("results"), *own]


def _one_line(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", text)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: no tuples, and "inf" or "nan" as text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


class Table:
    """Rows of text under a header; notebooks and pages draw it as a table."""

    def __init__(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self.header = list(header)
        self.rows = [list(row) for row in rows]

    def __str__(self) -> str:
        return self._repr_markdown_()

    def _repr_markdown_(self) -> str:
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
        return "\n".join("| " + " | ".join(line) + " |" for line in cells)

    def _repr_html_(self) -> str:
        def line(tag: str, cells: list[str]) -> str:
            scope = ' scope="col"' if tag == "th" else ""
            # A value and its spread stay on one line.
            texts = [
                html.escape(cell).replace(" ± ", "&nbsp;±&nbsp;") for cell in cells
            ]
            inside = (f"<{tag}{scope}>{text}</{tag}>" for text in texts)
            return f"<tr>{''.join(inside)}</tr>"

        body = "".join(line("td", row) for row in self.rows)
        return (
            f'<table class="dataframe"><thead>{line("th", self.header)}</thead>'
            f"<tbody>{body}</tbody></table>"
        )


def table(
    records: Sequence[str | Record],
    metrics: Sequence[str],
    published: Sequence[str] = (),
) -> Table:
    """Set records beside published numbers.

    Scores stand in one column only if they are the same metric, computed with the
    same feature network, from as many samples, against the same reference. Behind ± a
    record has the sample standard deviation over its seeds; a published table has what
    its authors print there.

    Args:
        records: records, or their names.
        metrics: names of metrics, such as ``["fid", "min_share"]``.
        published: names of tables in ``data/published``: CSV files with the columns
            model, metric, value, features and source, and optionally std, n and
            reference.

    Raises:
        FileNotFoundError: if a record or a table does not exist.
        ValueError: if a table lacks a column, or nothing has one of the metrics.
    """
    rows: list[tuple[str, str, dict[tuple[str, How], str]]] = []
    for item in records:
        record = read(item) if isinstance(item, str) else item
        cells = {
            (name, record.how[name]): _cell(record.mean(name), record.std(name))
            for name in metrics
            if name in record.metrics
        }
        seeds = len(record.seeds)
        rows.append(
            (record.recipe, f"recorded, {seeds} seed{'s' * (seeds > 1)}", cells)
        )
    for name in published:
        rows += _published(name, metrics)
    columns = list(dict.fromkeys(key for _, _, cells in rows for key in cells))
    columns.sort(key=lambda key: metrics.index(key[0]))
    missing = set(metrics) - {metric for metric, _ in columns}
    if missing:
        raise ValueError(f"none of these has the metric {', '.join(sorted(missing))}")
    header = [f"{name} ({how})" if str(how) else name for name, how in columns]
    return Table(
        ["model", "source", *header],
        [
            [model, source, *(cells.get(key, "–") for key in columns)]
            for model, source, cells in rows
        ],
    )


def _published(
    name: str, metrics: Sequence[str]
) -> list[tuple[str, str, dict[tuple[str, How], str]]]:
    path = paths.assets("published") / f"{name}.csv"
    if not path.is_file():
        there = sorted(p.stem for p in path.parent.glob("*.csv"))
        raise FileNotFoundError(
            f"there is no table {name!r} in {path.parent}; there are "
            f"{', '.join(there) or 'none'}"
        )
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        entries = list(reader)
        lacking = {"model", "metric", "value", "features", "source"} - set(
            reader.fieldnames or ()
        )
    if lacking:
        raise ValueError(f"{path} lacks the columns {', '.join(sorted(lacking))}")
    rows: dict[tuple[str, str], dict[tuple[str, How], str]] = {}
    for entry in entries:
        if entry["metric"] not in metrics:
            continue
        n = entry.get("n")
        how = How(
            entry["features"] or None,
            int(n) if n else None,
            entry.get("reference") or None,
        )
        std = f" ± {entry['std']}" if entry.get("std") else ""
        cells = rows.setdefault((entry["model"], entry["source"]), {})
        cells[entry["metric"], how] = entry["value"] + std
    return [(model, source, cells) for (model, source), cells in rows.items()]


def _cell(mean: float, std: float) -> str:
    digits = 3 if abs(mean) < 100 else 1
    spread = "" if math.isnan(std) else f" ± {std:,.{digits}f}"
    return f"{mean:,.{digits}f}{spread}"
