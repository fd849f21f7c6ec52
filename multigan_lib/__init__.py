"""Adversarial games with many players, in PyTorch.

    import multigan_lib as mg

    ring = mg.data.ring()
    game = mg.games.GAN(ring, seed=0)
    mg.train(game, ring, steps=1000)
    game.sample(64).x

Importing the package is cheap: every part is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import (
        augmentation,
        divergence,
        experiments,
        figures,
        games,
        gumbel,
        losses,
        metrics,
        nets,
        results,
        widgets,
    )
    from . import datasets as data
    from .profiles import profile
    from .training import train

__version__ = "0.1.0"

_MODULES = {
    "augmentation": "augmentation",
    "data": "datasets",
    "divergence": "divergence",
    "experiments": "experiments",
    "figures": "figures",
    "games": "games",
    "gumbel": "gumbel",
    "losses": "losses",
    "metrics": "metrics",
    "nets": "nets",
    "results": "results",
    "widgets": "widgets",
}
_FUNCTIONS = {"profile": "profiles", "train": "training"}

__all__ = [
    "augmentation",
    "data",
    "divergence",
    "experiments",
    "figures",
    "games",
    "gumbel",
    "losses",
    "metrics",
    "nets",
    "profile",
    "results",
    "train",
    "widgets",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value: Any = import_module(f"{__name__}.{_MODULES[name]}")
    elif name in _FUNCTIONS:
        value = getattr(import_module(f"{__name__}.{_FUNCTIONS[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
