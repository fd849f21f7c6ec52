"""What a recipe is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..results import How
from .evaluations import Outcome

Section = Mapping[str, Any]


@dataclass(frozen=True)
class Recipe:
    """An experiment that can be run again.

    Attributes:
        about: what it shows, in a sentence.
        data: ``name`` of a data set or mixture, and the arguments of its loader.
        game: ``name`` of a game's class, and its arguments.
        train: arguments of ``train``; ``steps`` counts from the beginning.
        measure: arguments of ``evaluate``.
        evaluate: (game, data, history, measure, seed) → :class:`Outcome`.
        compare: (games by variant, measure and comparison, seed, folder, progress) →
            metrics of them all together, each a value and how it was measured; or None.
            Long ones keep what they have in the folder, so that nothing is done twice.
        comparison: arguments of ``compare`` alone: games need no new training where
            these change.
        variants: name → arguments of the game that differ.
        paper: what differs at the papers' scale: section → arguments.
        seeds: how many seeds a run has where none is said.
    """

    about: str
    data: Section
    game: Section
    train: Section
    evaluate: Callable[..., Outcome]
    measure: Section = field(default_factory=dict)
    compare: Callable[..., dict[str, tuple[float, How]]] | None = None
    comparison: Section = field(default_factory=dict)
    variants: Mapping[str, Section] = field(default_factory=lambda: {"": {}})
    paper: Mapping[str, Section] = field(default_factory=dict)
    seeds: int = 3

    def config(self, scale: str) -> dict[str, Any]:
        """Return every setting at a scale, ready for a record.

        Raises:
            ValueError: if the scale is neither "small" nor "paper", or the recipe has
                no paper scale.
        """
        if scale not in ("small", "paper"):
            raise ValueError(f"scale must be 'small' or 'paper', got {scale!r}")
        if scale == "paper" and not self.paper:
            raise ValueError("this recipe has no paper scale: leave out --scale")
        changes = self.paper if scale == "paper" else {}
        sections = {"data", "game", "train", "measure"}
        config: dict[str, Any] = {
            name: {**getattr(self, name), **changes.get(name, {})}
            for name in sorted(sections)
        }
        if self.comparison:
            own = changes.get("comparison", {})
            config["comparison"] = {**self.comparison, **own}
        return config | {"scale": scale, "variants": dict(self.variants)}
