"""Error rates, their ratios, and how sure a ratio is: what battles are decided by."""

from collections.abc import Sequence

import numpy as np

RESAMPLES = 2000  # of a bootstrap, in each of two orders


def rate(wrong: np.ndarray) -> float:
    """Mean of errors (n,), each in [0, 1], but never 0.

    Where there is no error, one more observation of error ½ is counted.
    """
    return max(float(wrong.mean()), _least(len(wrong)))


def ratio_interval(
    sets: Sequence[np.ndarray], level: float, seed: int
) -> tuple[float, float]:
    """Return a bootstrap interval of the ratio of two error rates.

    Percentiles of the log ratio. Swapped errors have the inverse interval.

    Args:
        sets: one set of pairs of errors, (2, n), which are resampled together, or two
            independent sets, (1, n) each.
        level: coverage, in (0, 1).
        seed: of the bootstrap.

    Returns:
        (low, high), positive.
    """
    # Both orders are drawn: else the first rate would have random numbers of its own.
    swapped = [np.flip(wrong, 0) for wrong in reversed(sets)]
    logs = np.concatenate([_log_ratios(sets, seed), -_log_ratios(swapped, seed)])
    low, high = np.exp(np.quantile(logs, [(1 - level) / 2, (1 + level) / 2]))
    return float(low), float(high)


def _log_ratios(sets: Sequence[np.ndarray], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    one, two = np.concatenate([_resampled(wrong, rng) for wrong in sets], 1).T
    return np.log(one) - np.log(two)


def _resampled(wrong: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rates of bootstrap samples: errors (m, n) → (RESAMPLES, m)."""
    n = wrong.shape[1]
    # Drawing n observations is drawing how often each of a few kinds occurs.
    kinds, counts = np.unique(wrong, axis=1, return_counts=True)
    rates = rng.multinomial(n, counts / n, RESAMPLES) @ kinds.T / n
    # Without an error there would be no spread: the one that is added is resampled.
    never = ~wrong.any(1)
    shape = (RESAMPLES, int(never.sum()))
    rates[:, never] = rng.binomial(n + 1, 1 / (n + 1), shape) / (2 * (n + 1))
    return rates.clip(min=_least(n))


def _least(n: int) -> float:
    return 0.5 / (n + 1)
