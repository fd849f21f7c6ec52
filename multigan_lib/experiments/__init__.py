"""Named recipes: an experiment with all its settings, run over seeds into a record.

mg.experiments.run("gan_ring", seeds=10)      # python -m multigan_lib run gan_ring
mg.results.read("gan_ring").mean("modes")
"""

from .recipe import Recipe
from .recipes import RECIPES, find
from .runner import run

__all__ = ["RECIPES", "Recipe", "find", "run"]
