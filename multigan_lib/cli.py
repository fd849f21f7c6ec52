"""The command line: ``python -m multigan_lib train gan --data digits --steps 500``."""

import ast
import inspect
import json
import sys
from itertools import combinations, cycle, islice
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Adversarial games with many players.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

COMMAND = "python -m multigan_lib"


def main() -> None:
    """Run the command line; an error of the user's is one sentence and exit code 2."""
    try:
        app(prog_name=COMMAND)
    except (
        ValueError,
        TypeError,
        OSError,
        ArithmeticError,
        ModuleNotFoundError,
    ) as error:
        print(f"Error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


@app.command()
def train(
    game: Annotated[str, typer.Argument(help="The game, such as gan.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoint and samples.")],
    data: Annotated[
        str | None,
        typer.Option(help="A data set's name, ring, grid, or a folder or archive."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help='Part of the data, such as "test[:8000]".')
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Pixels a side: 16, 32, 48 or 64.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps to make.")] = None,
    until: Annotated[int | None, typer.Option(help="Steps to reach in all.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with --out.")] = False,
    batch_size: Annotated[int | None, typer.Option(help="Real samples a step.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, noise, order.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps.")] = None,
    width: Annotated[int | None, typer.Option(help="Width of the networks.")] = None,
    loss: Annotated[str | None, typer.Option(help="Loss, such as hinge.")] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", help="Another option of the game, as name=value."),
    ] = None,
) -> None:
    """Train a game; write a checkpoint and a picture of samples."""
    from . import checkpoint, figures, games
    from . import train as train_game

    if (steps is None) == (until is None) or (steps or until or 0) < 0:
        raise ValueError("say how long to train: --steps 500, or --until 500 in all")
    given = _options(options, width=width, loss=loss)
    source = {"name": data, "split": split, "image_size": image_size}
    continuing = checkpoint.exists(out)
    if continuing and not resume:
        raise FileExistsError(
            f"{out} holds a run already; add --resume to go on with it, or name "
            "another folder with --out"
        )
    if continuing:
        source = _recorded(out) | {k: v for k, v in source.items() if v is not None}
        if given:
            raise ValueError(
                f"the game in {out} has its options; leave out {', '.join(given)} "
                "to go on with it"
            )
    images = _load(source)
    if continuing:
        player = games.load(out)
        if type(player) is not _game(game):
            raise ValueError(f"{out} holds a {type(player).__name__}, not a {game}")
    else:
        kind = _game(game)
        _check_options(kind, given)
        player = kind(images, **given, seed=seed or 0)
    goal = int(player.step) + steps if steps is not None else until
    out.mkdir(parents=True, exist_ok=True)
    (out / "data.json").write_text(json.dumps(source))
    try:
        history = train_game(
            player,
            images,
            until=goal,
            batch_size=batch_size,
            seed=seed,
            checkpoint=out,
            resume=resume,
            device=device,
        )
    except KeyboardInterrupt as stop:
        print(f"\n{stop or 'stopped'}; go on with:", file=sys.stderr)
        print(f"{COMMAND} train {game} --out {out} --resume --until {goal}")
        raise typer.Exit(130) from None
    picture = figures.save(_picture(player, 64, images), out / "samples.png")
    what = "images" if len(player.shape) == 3 else "points"
    print(
        f"{type(player).__name__} on {images.name}: {history.steps:,} steps in "
        f"{history.seconds:,.1f} s on {player.device}, "
        f"{history.samples_per_second:,.0f} {what}/s"
    )
    print(f"samples in {picture}, checkpoint in {out}")


@app.command()
def sample(
    path: Annotated[Path, typer.Argument(help="Folder of a trained game.")],
    n: Annotated[int, typer.Option(help="How many samples.")] = 64,
    out: Annotated[Path, typer.Option(help="The picture.")] = Path("samples.png"),
    seed: Annotated[int | None, typer.Option(help="Makes it repeatable.")] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Classes of a conditional game, in turn: 3, or 0,1,2."),
    ] = None,
) -> None:
    """Draw samples of a trained game into a picture."""
    from . import figures, games

    if out.suffix.lower() != ".png":
        raise ValueError(f"--out must end in .png, got {out}")
    game = games.load(path)
    print(figures.save(_picture(game, n, None, seed, _classes(labels)), out))


@app.command()
def run(
    names: Annotated[list[str], typer.Argument(help="Recipes; see list.")],
    seeds: Annotated[int | None, typer.Option(help="How many seeds.")] = None,
    scale: Annotated[str, typer.Option(help="small or paper.")] = "small",
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the record; data/results if not said."),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Seeds at a time, a thread each.")] = 1,
) -> None:
    """Run recipes over seeds and write their records; nothing is done twice."""
    from . import experiments

    for name in names:
        experiments.find(name)  # a wrong name is told before anything runs
    try:
        for name in names:
            print(experiments.run(name, seeds, scale, device, out, jobs))
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        raise typer.Exit(130) from None


@app.command()
def battle(
    paths: Annotated[list[Path], typer.Argument(help="Folders of trained games.")],
    data: Annotated[
        str | None,
        typer.Option(help="Images held out; by default the data set of the first."),
    ] = None,
    split: Annotated[str, typer.Option(help="Part that no game saw.")] = "test",
    n: Annotated[int | None, typer.Option(help="Images and samples to judge.")] = None,
    judges: Annotated[
        str, typer.Option(help="Several discriminators: mean, or each in turn.")
    ] = "mean",
    tolerance: Annotated[float, typer.Option(help="How near to 1 r_test must be.")] = (
        0.2
    ),
    resize: Annotated[
        bool, typer.Option("--resize", help="Scale images to each judge's size.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Makes it repeatable.")] = 0,
) -> None:
    """Let trained games judge each other's samples: the adversarial metric."""
    from . import games, metrics
    from .datasets import Batch

    if len(paths) < 2:
        raise ValueError("a battle needs two trained games or more: name their folders")
    players = {str(path): games.load(path) for path in paths}
    if len(players) < len(paths):
        raise ValueError("a game does not battle itself here: name each folder once")
    source: dict[str, Any] = {"name": data or _recorded(paths[0]).get("name")}
    if source["name"] is None:
        raise ValueError(f"{paths[0]} does not say what it was trained on: add --data")
    shape = players[str(paths[0])].shape
    if len(shape) == 3:
        source |= {"split": split, "image_size": shape[-1]}
    held = _load(source)
    points = hasattr(held, "means")
    # The modes of points are their classes.
    test = Batch(*held.sample_with_modes(n or 4096, seed + 1)) if points else held
    result = metrics.tournament(
        players, test, n=n, judges=judges, tolerance=tolerance, resize=resize, seed=seed
    )
    print(f"judged on {held}")
    for a, b in combinations(players, 2):
        print(f"{a} (game_1) against {b} (game_2): {result.battles[a, b]}")
    if len(players) > 2:
        print(result)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A data set's name; see list.")],
) -> None:
    """Download a data set and verify it, ahead of time."""
    from . import datasets

    for data in datasets.fetch(name):
        print(data)


@app.command("list")
def show_list() -> None:
    """List data sets, games, recipes and records."""
    from . import datasets, experiments, results
    from .experiments.runner import MIXTURES
    from .games import GAMES

    print("data sets (* is there, the others are downloaded when asked for):")
    for entry in datasets.available():
        mark = "*" if entry.present else " "
        print(f"  {mark} {entry.name}: {entry.description} ({', '.join(entry.splits)})")
    print(f"  * {', '.join(MIXTURES)}: points of the plane")
    print("games:", ", ".join(name.lower() for name in GAMES))
    print("recipes:")
    for name, recipe in experiments.RECIPES.items():
        print(f"  {name}: {recipe.about}")
    print("records:")
    for name in results.names():
        print(f"  {results.read(name).provenance}")


def _game(name: str) -> Any:
    """Return a game's class by its name in any case."""
    from .games import GAMES

    known = {title.lower(): kind for title, kind in GAMES.items()}
    if name.lower() not in known:
        raise ValueError(f"no game {name!r}; there are {', '.join(known)}")
    return known[name.lower()]


def _options(texts: list[str] | None, **named: Any) -> dict[str, Any]:
    """Return the game's options: those with a name of their own, and ``name=value``."""
    given = {name: value for name, value in named.items() if value is not None}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise ValueError(f"--set wants name=value, got {text!r}")
        try:
            # As "false" a truth value would be text, which counts as true.
            truth = {"true": "True", "false": "False"}
            given[name] = ast.literal_eval(truth.get(value, value))
        except (ValueError, SyntaxError):
            given[name] = value
    return given


def _check_options(kind: type, given: dict[str, Any]) -> None:
    code = {"data", "seed", "generator", "discriminator"}  # not for --set
    known = set(inspect.signature(kind).parameters) - code
    unknown = sorted(set(given) - known)
    if unknown:
        raise ValueError(
            f"a {kind.__name__} has no option {', '.join(unknown)}; it has "
            f"{', '.join(sorted(known))}"
        )


def _recorded(out: Path) -> dict[str, Any]:
    """Return what the run in ``out`` was trained on, if it says so."""
    path = out / "data.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def _load(source: dict[str, Any]) -> Any:
    """Return the data, at a size that there are networks for."""
    from .experiments.runner import make_data
    from .nets.dcgan import SMALLEST_MAPS

    source["name"] = source["name"] or "digits"
    wanted = {name: value for name, value in source.items() if value is not None}
    data = make_data(wanted)
    if len(data.shape) == 3 and "image_size" not in wanted:
        side = max(data.shape[1:])
        if data.shape[1:] != (side, side) or side not in SMALLEST_MAPS:
            larger = [size for size in SMALLEST_MAPS if size >= side]
            data = make_data(wanted | {"image_size": min(larger, default=64)})
    return data


def _classes(text: str | None) -> list[int] | None:
    """Return the classes of ``--labels``."""
    try:
        return None if text is None else [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(
            f"--labels wants whole numbers, such as 3 or 0,1,2; got {text!r}"
        ) from None


def _picture(
    game: Any,
    n: int,
    data: Any = None,
    seed: int | None = 0,
    classes: list[int] | None = None,
) -> Any:
    from . import figures

    points = len(game.shape) == 1
    n = max(n, 2048) if points else n
    labels = None if classes is None else [*islice(cycle(classes), n)]
    samples = game.sample(n, labels, seed=seed)
    if points:
        mixture = data if hasattr(data, "means") else None
        return figures.scatter_points(samples, mixture)
    # So many columns that each holds one class.
    turn = len(classes or [0])
    columns = turn * max(1, round(n**0.5 / turn))
    return figures.sample_grid(samples, columns, limit=n)
