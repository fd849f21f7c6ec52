"""The recipes: what is trained on what, for how long, and what is measured."""

from . import conditional, many_discriminators, many_generators, two_players
from .recipe import Recipe

RECIPES: dict[str, Recipe] = (
    two_players.RECIPES
    | many_generators.RECIPES
    | many_discriminators.RECIPES
    | conditional.RECIPES
)


def find(name: str) -> Recipe:
    """Return a recipe by name.

    Raises:
        ValueError: if there is none; the message names those there are.
    """
    if name not in RECIPES:
        raise ValueError(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]
