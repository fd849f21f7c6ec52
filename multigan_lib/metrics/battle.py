"""Battles: games compared by letting each one's discriminator judge the other.

The generative adversarial metric (GAM) of Im, Kim, Jiang and Memisevic, "Generating
images with recurrent adversarial networks" (arXiv 1602.05110), section 4: the judges
are swapped, and what counts are error rates. A judge errs on a test image that it
calls generated, and on a sample that it calls real.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from .images import BATCH
from .judges import Judge, draw, hear, held_out, indices, labels_of
from .ratios import rate, ratio_interval

if TYPE_CHECKING:
    from .images import Images

JUDGES = ("mean", "each")


@dataclass(frozen=True)
class Battle:
    """The outcome of `gam`; swapped games have the inverse ratios and intervals.

    Attributes:
        r_test: error rate of judge 1 on the test images over that of judge 2.
        r_samples: error rate of judge 1 on game 2's samples over that of judge 2 on
            game 1's; below 1 if game 1 is ahead.
        test_interval, samples_interval: bootstrap intervals (low, high) of the two.
        errors: the rates in [0, 1]: ``"test_1"`` and ``"test_2"`` of each judge on the
            test images, ``"samples_1"`` of judge 1 on game 2's samples and
            ``"samples_2"`` of judge 2 on game 1's, and ``"own_1"`` and ``"own_2"`` of
            each on its own game's samples, which no ratio contains.
        gmam: log [(F1(G2) / F1(G1)) / (F2(G1) / F2(G2))], where F is the mean over a
            game's discriminators of E log(1 - D) (Durugkar et al., 2017, section 5).
            Above 0 it favours game 2.
        n: test images, and samples of each game, that were judged.
        tolerance: r_test is near 1 from 1 / (1 + tolerance) to 1 + tolerance.
        level: coverage of the intervals.
    """

    r_test: float
    r_samples: float
    test_interval: tuple[float, float]
    samples_interval: tuple[float, float]
    errors: dict[str, float]
    gmam: float
    n: int
    tolerance: float
    level: float

    @property
    def leader(self) -> str:
        """Who is ahead by r_samples alone: "game_1", "game_2" or, at 1, "tie"."""
        if self.r_samples == 1:
            return "tie"
        return "game_1" if self.r_samples < 1 else "game_2"

    @property
    def fair(self) -> bool:
        """Whether r_test is near 1: judges that are equally good on the test images."""
        return 1 / (1 + self.tolerance) <= self.r_test <= 1 + self.tolerance

    @property
    def winner(self) -> str:
        """The leader if r_test is near 1 and r_samples certainly not 1, else "tie"."""
        low, high = self.samples_interval
        return "tie" if not self.fair or low <= 1 <= high else self.leader

    @property
    def reason(self) -> str:
        """Why, in a sentence."""
        low, high = self.samples_interval
        if not self.fair:
            return (
                f"r_test = {self.r_test:.3g}, so the judges are not equally good on "
                f"the test images (within {self.tolerance:.0%})"
            )
        if low <= 1 <= high:
            return f"r_samples may be 1: it lies between {low:.3g} and {high:.3g}"
        return (
            f"judge 1 passes {self.errors['samples_1']:.1%} of game 2, "
            f"judge 2 {self.errors['samples_2']:.1%} of game 1"
        )

    def __str__(self) -> str:
        verdict = "a tie" if self.winner == "tie" else f"{self.winner} wins"
        ratios = (
            f"{name} {value:.3g} ({low:.3g} to {high:.3g})"
            for name, value, (low, high) in (
                ("r_test", self.r_test, self.test_interval),
                ("r_samples", self.r_samples, self.samples_interval),
            )
        )
        return f"{verdict}: {self.reason}\n{', '.join(ratios)}, n = {self.n}"


@dataclass(frozen=True, eq=False)
class Tournament:
    """The outcome of `tournament`.

    Attributes:
        names: the games' names, in order.
        battles: (a, b) → `Battle` of a as game 1 against b as game 2, in both orders.
    """

    names: list[str]
    battles: dict[tuple[str, str], Battle]

    @property
    def wins(self) -> np.ndarray:
        """(K, K): 1 where the row beats the column, ½ for a tie, diagonal 0."""
        score = {"game_1": 1.0, "tie": 0.5, "game_2": 0.0}
        table = np.zeros((len(self.names), len(self.names)))
        for (a, b), battle in self.battles.items():
            table[self.names.index(a), self.names.index(b)] = score[battle.winner]
        return table

    @property
    def points(self) -> dict[str, float]:
        """Each game's wins, ties counting half."""
        return dict(zip(self.names, self.wins.sum(1).tolist(), strict=True))

    def __str__(self) -> str:
        word = {"game_1": "win", "tie": "tie", "game_2": "loss"}
        rows = [["r_samples", *self.names, "points"]]
        for a in self.names:
            met = [self.battles.get((a, b)) for b in self.names]
            cells = [f"{m.r_samples:.2f} {word[m.winner]}" if m else "" for m in met]
            rows.append([a, *cells, f"{self.points[a]:g}"])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True))
            for row in rows
        )


def gam(
    game_1: Any,
    game_2: Any,
    test_images: Images,
    *,
    n: int | None = None,
    judges: str = "mean",
    tolerance: float = 0.2,
    level: float = 0.95,
    resize: bool = False,
    seed: int = 0,
) -> Battle:
    """Let two games judge each other: the generative adversarial metric.

    Game 1 wins if its judge is fooled less by game 2 than game 2's judge by game 1
    (r_samples < 1), provided that both judges do equally well on images that none of
    them has seen (r_test ≈ 1). It is a tie where r_test is not near 1, or where
    r_samples may be 1 by its bootstrap interval. A logit of exactly 0 is half an error.
    Where a judge makes no error at all, one more observation of error ½ is counted.

    A discriminator with batch norm that has met real and generated samples in separate
    batches may judge single samples badly (see ``errors``); layer norm avoids it. No
    norm puts a threshold right that is off because the game was stopped midway.

    A game whose samples carry labels is conditional. It makes samples of the classes of
    the test images, and judges x with its label c, by ``p_d(x|c) / p_g(x|c)``. Samples
    without labels are not for it: ``p_d(x) / p_g(x)`` is that ratio times
    ``p_g(c|x) / p_d(c|x)``, of which it knows nothing. So conditional games battle each
    other only.

    Args:
        game_1, game_2: games, or anything else with ``sample(n)``, whose result
            has ``x``, and ``realness(x)``: a logit for each sample that is 0 where real
            and generated are equally likely under equal priors. Conditional ones have
            ``sample(n, labels)`` and ``realness(x, labels)``.
        test_images: held-out data: `ImageData`, `Samples`, a `Batch`, or a float
            tensor, images (N, C, H, W) in [-1, 1] or points (N, 2).
        n: test images, and samples of each game, to judge; by default all N.
        judges: what a game with several discriminators says: ``"mean"``, one verdict,
            its ``realness`` (the mean of their logits, or a boosted game's vote), or
            ``"each"``, the verdict of each in turn (``realness_each``), whose error
            rates are averaged.
        tolerance: how near to 1 r_test must be; see `Battle`.
        level: coverage of the bootstrap intervals, in (0, 1). Test images are resampled
            with both judges' verdicts, the two sets of samples each for itself.
        resize: scale images to every judge's own size, instead of refusing.
        seed: of the samples, the choice of test images and the bootstrap.

    Returns:
        `Battle`.

    Raises:
        TypeError, ValueError: test images or options that do not fit; images of unlike
            size without ``resize``, or of unlike channels; a conditional judge of what
            has no labels; a judge without a threshold (a Wasserstein critic) or with
            NaN for an answer.

    Source: Im et al. (2016), section 4.
    """
    games = {"game_1": game_1, "game_2": game_2}
    met = tournament(
        games,
        test_images,
        n=n,
        judges=judges,
        tolerance=tolerance,
        level=level,
        resize=resize,
        seed=seed,
    )
    return met.battles["game_1", "game_2"]


def tournament(
    games: Mapping[str, Any],
    test_images: Images,
    *,
    n: int | None = None,
    judges: str = "mean",
    tolerance: float = 0.2,
    level: float = 0.95,
    resize: bool = False,
    seed: int = 0,
) -> Tournament:
    """Let every game battle every other, as in `gam`.

    Each game is sampled once, and each set of samples judged once by every judge.

    Args:
        games: name → game, at least two.
        test_images, n, judges, tolerance, level, resize, seed: see `gam`.

    Returns:
        `Tournament`.

    Raises:
        TypeError, ValueError: as in `gam`.
    """
    if len(games) < 2:
        raise ValueError(f"a battle needs two games, got {len(games)}")
    if judges not in JUDGES:
        raise ValueError(
            f"unknown judges {judges!r}; choose one of {', '.join(JUDGES)}"
        )
    if not tolerance >= 0 or not 0 < level < 1:
        raise ValueError(
            "tolerance must be 0 or more and level between 0 and 1, "
            f"got {tolerance} and {level}"
        )
    test = held_out(test_images)
    n = test.n if n is None else n
    if not 1 <= n <= test.n:
        raise ValueError(
            f"n must be between 1 and the number of test images, {test.n}; got {n}"
        )
    chosen = indices(test.n, n, seed)
    classes = labels_of(test_images, test.n)
    classes = None if classes is None else classes[chosen]
    samples = {name: draw(name, game, n, classes, seed) for name, game in games.items()}
    bench = {
        name: Judge(name, game, judges, resize, samples[name])
        for name, game in games.items()
    }
    on_test = hear(bench, map(test.x, chosen.split(BATCH)), classes, "the test images")
    on = {
        name: hear(bench, its.x.split(BATCH), its.labels, f"the samples of {name}")
        for name, its in samples.items()
    }
    battles = {}
    for a, b in permutations(games, 2):
        test_1, test_2 = on_test[a].called_fake, on_test[b].called_fake
        samples_1, samples_2 = on[b][a].called_real, on[a][b].called_real
        rates = {"test_1": test_1, "test_2": test_2}
        rates |= {"samples_1": samples_1, "samples_2": samples_2}
        rates |= {"own_1": on[a][a].called_real, "own_2": on[b][b].called_real}
        errors = {name: rate(wrong) for name, wrong in rates.items()}
        battles[a, b] = Battle(
            errors["test_1"] / errors["test_2"],
            errors["samples_1"] / errors["samples_2"],
            ratio_interval([np.stack([test_1, test_2])], level, seed),
            ratio_interval([samples_1[None], samples_2[None]], level, seed),
            errors,
            (on[b][a].log_value - on[a][a].log_value)
            - (on[a][b].log_value - on[b][b].log_value),
            n,
            tolerance,
            level,
        )
    return Tournament(list(games), battles)
