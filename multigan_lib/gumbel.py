"""Categorical choices by Gumbel noise, and relaxations that a gradient can pass.

Everywhere `logits` l are unnormalised log-probabilities over the last axis, shape
(..., n): category i has the probability π_i = softmax(l)_i. With independent Gumbel
noise a_i = -log(-log u_i), u_i ~ U(0, 1), one and the same l + a gives

- `gumbel_max`: the one-hot of its argmax, an exact draw from π, without a gradient;
- `gumbel_softmax`: softmax((l + a) / τ), a point inside the simplex;
- `straight_through`: the first one forward, the gradient of the second backward.

Pass the same `noise` to two of them to compare them on the same draw. Logits of half
precision are perturbed in float32, which is the result's type then.

Sources: Maddison, Tarlow & Minka, A* sampling (2014); Jang, Gu & Poole, Categorical
reparameterization with Gumbel-softmax (ICLR 2017), section 2; Maddison, Mnih & Teh, The
concrete distribution (ICLR 2017), section 3; Bengio, Léonard & Courville, Estimating or
propagating gradients (2013), for straight-through; as used by Park et al., MEGAN (IJCAI
2018), eqs. 1-3.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = [
    "gumbel_max",
    "gumbel_softmax",
    "sample_gumbel",
    "straight_through",
    "temperature",
]

LOWEST_TEMPERATURE = 1e-12
"""A schedule without a floor ends here, because exp(-rate · step) becomes exactly 0 in
float32 from rate · step = 104 on, and logits cannot be divided by that. It is far below
every useful temperature: the float32 numbers around 1 are 1e-7 apart."""


def sample_gumbel(
    shape: Sequence[int],
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Standard Gumbel noise, -log(-log u) with u ~ U(0, 1).

    Mean 0.5772… (Euler's constant), variance π²/6; always finite: within [-4.5, 16.7]
    in float32 and [-6.6, 36.8] in float64.

    Args:
        shape: of the noise.
        device, dtype: as `torch.rand`; a type of half precision gives float32.

    Source: Jang et al. (2017), section 2.1 and footnote 1; MEGAN, below eq. 1.
    """
    dtype = dtype or torch.get_default_dtype()
    if torch.finfo(dtype).bits < 32:
        dtype = torch.float32
    info = torch.finfo(dtype)
    u = torch.rand(tuple(shape), device=device, dtype=dtype)
    # In float32 one u of 2**24 is exactly 0, as many as a training run draws, and its
    # noise would be -inf; a u that is rounded up to 1 would give +inf, and inf - inf in
    # the softmax. Keep to the numbers next to 0 (normal) and next to 1.
    u = u.clamp(min=info.tiny, max=1 - info.eps / 2)
    return -torch.log(-torch.log(u))


def gumbel_max(logits: Tensor, noise: Tensor | None = None) -> Tensor:
    """Draw from softmax(logits) exactly, as the one-hot of argmax(l + a).

    Args:
        logits: (..., n), unnormalised.
        noise: standard Gumbel noise of the same shape; drawn when missing.

    Returns:
        (..., n), a single 1 and zeros in each row; no gradient reaches the logits.

    Raises:
        ValueError: if the noise's shape is another.
        TypeError: if the logits are not floating-point numbers.

    Source: Maddison et al. (2014), section 2; Jang et al. (2017), eq. 1; MEGAN, eq. 1.
    """
    return _one_hot(_perturb(logits.detach(), noise))


def gumbel_softmax(
    logits: Tensor, tau: float | Tensor, noise: Tensor | None = None
) -> Tensor:
    """Relax the draw to softmax((l + a) / τ), a random point of the simplex.

    Its largest entry is category i with probability π_i for every τ; its mean is not π
    unless τ → 0. The gradient reaches the logits (and τ, if that is a tensor).

    Args:
        logits: (..., n), unnormalised.
        tau: the temperature, > 0. A tensor (of a shape that broadcasts) is taken
            unchecked, since looking into it would wait for the device.
        noise: standard Gumbel noise of the logits' shape; drawn when missing.

    Returns:
        (..., n), non-negative, rows sum to 1.

    Raises:
        ValueError: if a number `tau` is not positive, or the noise's shape is another.
        TypeError: if the logits are not floating-point numbers.

    Source: Jang et al. (2017), eq. 2; Maddison et al. (2017), definition 1; MEGAN,
    eq. 2 (which prints k for the number n of categories).
    """
    _check_temperature(tau)
    return torch.softmax(_perturb(logits, noise) / tau, dim=-1)


def straight_through(
    logits: Tensor, tau: float | Tensor, noise: Tensor | None = None
) -> Tensor:
    """Forward the one-hot of `gumbel_max`, backward the gradient of `gumbel_softmax`.

    The gradient is that of another function than the one evaluated, and biased: as
    τ → 0 its mean is right for functions of the one-hot of degree up to two only, and
    its variance grows without bound.

    Args, Returns, Raises: as `gumbel_softmax`; the result is exactly one-hot.

    Source: Jang et al. (2017), section 2.2; MEGAN, eq. 3 (whose y_i is the vector y).
    """
    _check_temperature(tau)
    perturbed = _perturb(logits, noise)
    soft = torch.softmax(perturbed / tau, dim=-1)
    # In this order the bracket is exactly zero and the sum exactly one-hot; and the
    # argmax is that of l + a, since at large τ the entries of `soft` can round to ties.
    return _one_hot(perturbed.detach()) + (soft - soft.detach())


def temperature(
    step: int | Tensor, start: float = 0.5, rate: float = 0.001, floor: float = 0.0
) -> float | Tensor:
    """Anneal the temperature: max(start · exp(-rate · step), floor).

    The defaults are MEGAN's. Without a floor the temperature still never falls below
    1e-12, a numerical limit that keeps it from becoming exactly 0.

    Args:
        step: ≥ 0. A tensor (such as a game's `step` buffer) gives a tensor on its
            device, and its value is not looked at.
        start: the temperature at step 0, > 0.
        rate: of the decay, in 1/steps, ≥ 0.
        floor: the lowest temperature, ≥ 0. Jang et al. have 0.5.

    Returns:
        A number for a number, a float tensor of the same shape for a tensor.

    Raises:
        ValueError: if an argument is out of its range or not finite.

    Source: MEGAN, algorithm 1 and section 5.1: 0.5 exp(-0.001 step), no floor; Jang et
    al. (2017), section 4: max(0.5, exp(-rt)) with r of 1e-5 or 1e-4.
    """
    if not (math.isfinite(start) and start > 0):
        raise ValueError(f"start must be a positive temperature, got {start}")
    for name, value in (("rate", rate), ("floor", floor)):
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} must be zero or positive, got {value}")
    floor = max(floor, LOWEST_TEMPERATURE)
    if isinstance(step, Tensor):
        return (start * torch.exp(-rate * step)).clamp(min=floor)
    if not step >= 0:
        raise ValueError(f"step must be zero or positive, got {step}")
    return max(start * math.exp(-rate * step), floor)


def _check_temperature(tau: float | Tensor) -> None:
    if not isinstance(tau, Tensor) and not tau > 0:
        raise ValueError(
            f"the temperature must be positive, got {tau}; its limit 0 is gumbel_max"
        )


def _perturb(logits: Tensor, noise: Tensor | None) -> Tensor:
    if not logits.is_floating_point():
        raise TypeError(f"logits must be floating-point numbers, got {logits.dtype}")
    if noise is None:
        noise = sample_gumbel(logits.shape, logits.device, logits.dtype)
    elif noise.shape != logits.shape:
        raise ValueError(
            "each logit needs its own noise: logits have shape "
            f"{tuple(logits.shape)}, the noise {tuple(noise.shape)}"
        )
    return logits + noise


def _one_hot(perturbed: Tensor) -> Tensor:
    best = perturbed.argmax(dim=-1, keepdim=True)
    return torch.zeros_like(perturbed).scatter_(-1, best, 1.0)
