"""Games: who plays, what each player minimises, how samples are drawn."""

from pathlib import Path
from typing import Any

from .. import checkpoint
from ..datasets import Spec
from .adversarial import AdversarialGame
from .cgan import CGAN
from .cmadgan import CMADGAN
from .conditional import ConditionalGame
from .game import Fake, Game, Losses, Samples
from .gan import GAN
from .gman import GMAN
from .madgan import MADGAN
from .megan import MEGAN
from .mgan import MGAN

GAMES: dict[str, type[Game]] = {
    game.__name__: game for game in (GAN, MGAN, MADGAN, MEGAN, GMAN, CGAN, CMADGAN)
}

__all__ = [
    "CGAN",
    "CMADGAN",
    "GAMES",
    "GAN",
    "GMAN",
    "MADGAN",
    "MEGAN",
    "MGAN",
    "AdversarialGame",
    "ConditionalGame",
    "Fake",
    "Game",
    "Losses",
    "Samples",
    "load",
]


def describe(game: Game) -> dict:
    """Return what :func:`load` needs to build ``game`` again, ready for JSON."""
    own = [name for name, v in game.arguments.items() if _is_code(v)]
    arguments = {n: None if n in own else v for n, v in game.arguments.items()}
    return {
        "class": type(game).__name__,
        "arguments": arguments,
        "own_networks": own,
        "spec": game.spec._asdict(),
        "average": game.average is not None,
    }


def _is_code(value: Any) -> bool:
    """Whether an argument is, or holds, a network or function of the user's own."""
    if isinstance(value, list | tuple):
        return any(map(_is_code, value))
    return callable(value)


def load(path: str | Path, game: Game | None = None) -> Game:
    """Load a trained game from its checkpoint.

    Args:
        path: folder that :func:`multigan_lib.train` wrote its checkpoint to.
        game: a game built with the same networks, where these were your own.

    Returns:
        The game on the CPU, in evaluation mode.

    Raises:
        FileNotFoundError: if there is no checkpoint in ``path``.
        ValueError: if the game has networks of the user's own and ``game`` is not
            given, or if ``game`` is of another kind or does not fit the weights.
    """
    tensors, info = checkpoint.read(path)
    about = info["game"]
    if game is None:
        game = _build(about, path)
    elif type(game).__name__ != about["class"]:
        raise ValueError(
            f"{path} holds a {about['class']}, but game is a {type(game).__name__}"
        )
    if about["average"] and game.average is None:
        game.keep_average()
    prefix = "game."
    weights = {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
    try:
        game.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"the weights in {path} do not fit this game's networks: {error}"
        ) from error
    return game.eval()


def _build(about: dict, path: str | Path) -> Game:
    if about["own_networks"]:
        raise ValueError(
            f"{path} was trained with your own {' and '.join(about['own_networks'])}, "
            "which a checkpoint cannot hold as code; build the game with it and pass "
            "it: load(path, game=game)"
        )
    if about["class"] not in GAMES:
        raise ValueError(
            f"{path} holds a game of class {about['class']}, which this version of "
            "the library does not have; build it and pass it: load(path, game=game)"
        )
    spec = Spec(tuple(about["spec"]["shape"]), about["spec"]["classes"])
    return GAMES[about["class"]](spec, **about["arguments"])
