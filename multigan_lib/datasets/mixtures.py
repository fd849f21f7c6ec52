"""Points from Gaussian mixtures whose modes and density are known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .images import Spec

if TYPE_CHECKING:
    from .streams import PointStream


class PointMixture:
    """An isotropic Gaussian mixture in the plane, Σ_m w_m N(x; μ_m, σ² I).

    Args:
        means: (M, 2), the modes' centres μ.
        std: σ > 0, the same in every mode and direction.
        weights: (M,), positive, w; equal if None; scaled to sum to one.
        name: for titles and records.

    Attributes:
        means: float64 (M, 2). std: float. weights: float64 (M,), sum 1. name: str.
    """

    shape = (2,)

    def __init__(
        self,
        means: Tensor,
        std: float,
        weights: Tensor | None = None,
        name: str = "mixture",
    ) -> None:
        means = torch.as_tensor(means, dtype=torch.float64)
        if means.ndim != 2 or means.shape[1] != 2 or len(means) < 1:
            raise ValueError(f"expected means (M, 2), got {tuple(means.shape)}")
        if not means.isfinite().all():
            raise ValueError("means must be finite")
        if weights is None:
            weights = torch.ones(len(means))
        weights = torch.as_tensor(weights, dtype=torch.float64)
        if weights.shape != means.shape[:1] or not (weights > 0).all():
            raise ValueError(
                f"expected {len(means)} positive weights, got {weights.tolist()}"
            )
        if not (math.isfinite(std) and std > 0):
            raise ValueError(f"std must be positive and finite, got {std}")
        self.means, self.std = means, float(std)
        self.weights, self.name = weights / weights.sum(), name

    @property
    def spec(self) -> Spec:
        """Shape (2,), with the modes as classes."""
        return Spec(self.shape, len(self.means))

    def __repr__(self) -> str:
        return f"PointMixture({self.name}: {len(self.means)} modes, std {self.std:.4g})"

    def sample(self, n: int, seed: int | None = None) -> Tensor:
        """`n` points, float32 (n, 2); with a seed always the same ones."""
        return self.sample_with_modes(n, seed)[0]

    def sample_with_modes(
        self, n: int, seed: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """`n` points, float32 (n, 2), and the modes they came from, int64 (n,)."""
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return self.draw(n, generator)

    def draw(
        self, n: int, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Points and modes as in `sample_with_modes`, from a CPU generator."""
        modes = torch.multinomial(self.weights, n, True, generator=generator)
        noise = torch.randn(n, 2, generator=generator)
        return noise.mul_(self.std).add_(self.means[modes].float()), modes

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, computed in float64: (..., 2) → (...), differentiable.

        For x on the CPU or a CUDA device (MPS has no float64).

        log Σ_m exp(log w_m - ‖x - μ_m‖² / 2σ²) - log 2πσ².
        """
        if x.shape[-1:] != (2,):
            raise ValueError(f"expected points (n, 2), got {tuple(x.shape)}")
        means, weights = self.means.to(x.device), self.weights.to(x.device)
        distances = (x.double().unsqueeze(-2) - means).square().sum(-1)
        terms = weights.log() - distances / (2 * self.std**2)
        return terms.logsumexp(-1) - math.log(2 * math.pi * self.std**2)

    def density(self, x: Tensor) -> Tensor:
        """p(x) in float64: (..., 2) → (...)."""
        return self.log_prob(x).exp()

    def batches(
        self, batch_size: int, seed: int = 0, device: torch.device | str = "cpu"
    ) -> PointStream:
        """An endless `PointStream` of `Batch`es on `device`; labels are the modes."""
        from .streams import PointStream

        return PointStream(self, batch_size, seed, device)


def ring(modes: int = 8, radius: float = 2.0, std: float = 0.02**0.5) -> PointMixture:
    """`modes` equal Gaussians evenly spaced on a circle, the first at (radius, 0).

    The defaults are MGAN's synthetic data (Hoang et al. 2018, section 5.1): eight
    modes, radius 2, covariance 0.02 I.
    """
    angles = torch.arange(modes, dtype=torch.float64) * (2 * math.pi / max(modes, 1))
    means = radius * torch.stack([angles.cos(), angles.sin()], 1)
    return PointMixture(means, std, name="ring")


def grid(side: int = 5, spacing: float = 2.0, std: float = 0.05) -> PointMixture:
    """`side`² equal Gaussians on a square grid around the origin.

    The defaults are the 25 Gaussians of VEEGAN (Srivastava et al. 2017).
    """
    ticks = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    corners = torch.cartesian_prod(ticks, ticks).reshape(-1, 2)
    return PointMixture(spacing * corners, std, name="grid")
