"""What is measured on several trained games together: who fools whose judge."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from .. import datasets as data_sets
from .. import metrics
from ..games.game import evaluating
from ..results import How
from .evaluations import SAMPLE_SEED


def every_pair(
    games: Mapping[str, Any], settings: Mapping[str, Any], seed: int, *_: Any
) -> dict[str, tuple[float, How]]:
    """The adversarial metric of every pair of games, on images held out.

    ``winner`` and ``leader`` (by r_samples alone): -1 for the first game of the pair, 1
    for the second, 0 for a tie. ``…_each``: every discriminator judges by itself.
    ``printed_…`` and ``code_…``: the ratios of the report on many discriminators, by
    its formula and by its code. Where there are more than two games, the pair stands
    behind the name.
    """
    held = data_sets.load(**settings["held_out"])
    seed = SAMPLE_SEED + seed
    by_mean = metrics.tournament(games, held, seed=seed)
    by_each = metrics.tournament(games, held, judges="each", seed=seed)
    sign = {"game_1": -1.0, "tie": 0.0, "game_2": 1.0}
    how = How(n=len(held), reference=f"{held.name} {held.split}")
    measured: dict[str, tuple[float, How]] = {}
    for a, b in combinations(games, 2):
        met, each = by_mean.battles[a, b], by_each.battles[a, b]
        values = {
            "r_test": met.r_test,
            "r_samples": met.r_samples,
            "r_samples_low": met.samples_interval[0],
            "r_samples_high": met.samples_interval[1],
            "gmam": met.gmam,
            "winner": sign[met.winner],
            "leader": sign[met.leader],
            "r_test_each": each.r_test,
            "r_samples_each": each.r_samples,
            "winner_each": sign[each.winner],
            "printed_r_samples": met.errors["own_1"] / met.errors["own_2"],
        }
        values |= {f"error_{k}": v for k, v in met.errors.items()}
        values |= _report_ratios(games[a], games[b], held, seed)
        ending = "" if len(games) == 2 else f"/{a} against {b}"
        measured |= {name + ending: (value, how) for name, value in values.items()}
    return measured


@torch.no_grad()
def _report_ratios(
    game_1: Any, game_2: Any, held: data_sets.ImageData, seed: int
) -> dict[str, float]:
    """What the code of the report computes, from probabilities D, means over N.

    Mean D on test images, and mean -log D on the other game's samples, of game 1 over
    game 2. The second is large where a judge rejects.
    """

    def probability(judge: Any, x: Tensor) -> Tensor:
        with evaluating(judge):
            logits = [judge.logit(judge.opinions(part)) for part in x.split(128)]
        return torch.cat(logits, 1).sigmoid().mean(0)

    n = len(held)
    of_test = [probability(game, held.x()).mean() for game in (game_1, game_2)]
    pairs = ((game_1, game_2), (game_2, game_1))
    rejected = [
        -probability(judge, other.sample(n, seed=seed).x).clamp(min=1e-30).log().mean()
        for judge, other in pairs
    ]
    return {
        "code_r_test": (of_test[0] / of_test[1]).item(),
        "code_r_samples": (rejected[0] / rejected[1]).item(),
    }
