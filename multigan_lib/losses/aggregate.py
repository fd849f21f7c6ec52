"""One value out of those of N discriminators, for the generator to minimise.

Each function takes the generator's adversarial losses V against every discriminator
(N,), its own term only, without that of the real samples, and returns a scalar; further
axes are kept. A large loss is that of a harsh discriminator, which rejects the samples.

Source: Durugkar et al., Generative multi-adversarial networks (ICLR 2017), §§ 3-4.
"""

from collections.abc import Callable
from functools import partial
from typing import overload

import torch
from torch import Tensor

__all__ = [
    "geometric",
    "harmonic",
    "maximum",
    "mean",
    "minimum",
    "softmax",
    "softmax_official",
]


def mean(values: Tensor) -> Tensor:
    """Every discriminator counts alike: (1/N) Σ V_i."""
    return values.mean(0)


def maximum(values: Tensor) -> Tensor:
    """Only the harshest discriminator counts: max V_i."""
    return values.amax(0)


def minimum(values: Tensor) -> Tensor:
    """Only the most lenient discriminator counts: min V_i."""
    return values.amin(0)


@overload
def softmax(values: Tensor, lam: float | Tensor) -> Tensor: ...
@overload
def softmax(*, lam: float | Tensor) -> Callable[[Tensor], Tensor]: ...
@overload
def softmax(values: float | Tensor) -> Callable[[Tensor], Tensor]: ...
def softmax(values=None, lam=None):
    """F_λ(V) = Σ w_i V_i with w = softmax(λV): the mean at λ = 0, the maximum at ∞.

    The weights are held fixed, so that dF/dV_i = w_i ≥ 0, the gradient of
    (1/λ) log mean exp(λV): every discriminator pulls, the harsh ones harder. Towards λ
    they are not: dF/dλ = Var_w(V) ≥ 0.

    Args:
        values: V (N,), of any sign.
        lam: λ, finite; a tensor if it is to be learnt. λ < 0 leans to the minimum.

    Returns:
        A scalar between min V and max V; with `lam` alone, `softmax(2.0)` or
        `softmax(lam=2.0)`, the rule itself, a function of the values.

    Source: Durugkar et al. (ICLR 2017), section 4; weights fixed by us, see
    `softmax_official`.
    """
    if lam is None:
        values, lam = None, values
    if lam is None:
        raise TypeError("softmax needs lam, how sharply to prefer the harsh")
    if values is None:
        return partial(softmax, lam=lam)
    return ((lam * values.detach()).softmax(0) * values).sum(0)


def softmax_official(values: Tensor, lam: float | Tensor) -> Tensor:
    """The same value as `softmax`, differentiated through the weights.

    dF/dV_i = w_i [1 + λ(V_i - F)] is negative where V_i < F - 1/λ: there the generator
    is rewarded for *displeasing* discriminator i. Kept for comparison.

    Source: Durugkar et al. (ICLR 2017), section 4, as in the authors' code.
    """
    return ((lam * values).softmax(0) * values).sum(0)


def geometric(values: Tensor) -> Tensor:
    """exp(mean log V) for V > 0; mirrored, -exp(mean log(-V)), for V < 0.

    dF/dV_i = F / (N V_i): the nearer V_i to 0, the heavier. Positive losses
    (`nonsaturating`, `least_squares`) thus lean to the lenient discriminators, negative
    ones (`minimax`) to the harsh.

    Raises:
        ValueError: if the values are not all of one sign; on an accelerator, where
            looking would make it wait, the result is NaN instead.

    Source: Durugkar et al. (ICLR 2017), sections 3-4.
    """
    sign, size = _sign_and_size(values)
    return sign * size.log().mean(0).exp()


def harmonic(values: Tensor) -> Tensor:
    """1 / mean(1/V) for V all positive or all negative.

    dF/dV_i = F² / (N V_i²): leans as `geometric` does, and further.

    Raises:
        ValueError: if the values are not all of one sign; on an accelerator the result
            is NaN instead.

    Source: Durugkar et al. (ICLR 2017), sections 3-4.
    """
    sign, size = _sign_and_size(values)
    return sign / size.reciprocal().mean(0)


def _sign_and_size(values: Tensor) -> tuple[Tensor, Tensor]:
    """The common sign of the values, NaN where there is none, and their sizes."""
    signs = values.detach().sign()
    common = signs.amin(0) * signs.amax(0) > 0
    # A loss that is not a number is the training loop's to report.
    if values.device.type == "cpu" and not (common | values.isnan().any(0)).all():
        raise ValueError(
            "geometric and harmonic means need losses all > 0 or all < 0, got "
            f"{values.tolist()}; use mean or softmax"
        )
    sign = torch.where(common, signs[0], torch.nan)
    return sign, sign * values
