"""Exact divergences between discrete densities, and the games' closed values.

Densities are rows: a vector (n,) or a matrix (K, n) of non-negative numbers, each row
summing to one. Tensors, arrays and lists are accepted; everything is computed in
float64, with natural logarithms (nats), and is differentiable with respect to tensors.
Zeros are exact: 0 log 0 = 0, and a probability that is exactly zero gets no gradient.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

Densities = Tensor | np.ndarray | Sequence

__all__ = [
    "cross_entropy",
    "entropy",
    "frechet",
    "gan_value",
    "general_value",
    "jsd",
    "kl",
    "madgan_value",
    "mgan_value",
    "one_vs_all_value",
    "optimal_classifier",
    "optimal_discriminator",
    "pairwise_value",
]

_TOLERANCE = 1e-6  # admits rows normalised in float32


# ---------------------------------------------------------------- information


def entropy(p: Densities) -> Tensor:
    """Shannon entropy H(p) = -Σ p log p, in nats.

    Args:
        p: one density (n,) or K of them (K, n).

    Returns:
        A scalar, or one entropy a row (K,); each lies in [0, log n].
    """
    p = _rows(p)
    return -_plogp_over(p, torch.ones_like(p)).sum(-1)


def cross_entropy(p: Densities, q: Densities) -> Tensor:
    """Cross-entropy -Σ p log q = H(p) + KL(p‖q), in nats; inf where q = 0 < p.

    Args:
        p, q: densities, both (n,) or (K, n); one of them may be (n,) for all rows.

    Returns:
        A scalar, or one value a row (K,).
    """
    p, q = _pair(p, q)
    support = p > 0
    return -torch.where(support, p * torch.where(support, q, 1).log(), 0).sum(-1)


def kl(p: Densities, q: Densities) -> Tensor:
    """Kullback-Leibler divergence KL(p‖q) = Σ p log(p/q), in nats.

    Args:
        p, q: densities, both (n,) or (K, n); one of them may be (n,) for all rows.

    Returns:
        A scalar, or one value a row (K,), in [0, inf]: inf where q = 0 < p, exactly 0
        where p = q.
    """
    p, q = _pair(p, q)
    return _plogp_over(p, q).sum(-1)


def jsd(p: Densities, weights: Densities | None = None) -> Tensor:
    """Jensen-Shannon divergence of K densities, in nats.

    JSD_w(p_1, …, p_K) = H(Σ w_k p_k) - Σ w_k H(p_k). It is the mutual information
    between x and the index k of the density that x came from, and is computed as such,
    H(w) - H(k|x): so it is exactly H(w) (log K for equal weights) where the supports
    are disjoint, and exactly 0 where all rows are equal.

    Args:
        p: densities (K, n).
        weights: K non-negative numbers that sum to one; by default 1/K each.

    Returns:
        A scalar in [0, H(w)].

    Source: Lin, Divergence measures based on the Shannon entropy (1991), section V;
    the upper bound and its equality case: Hoang et al. (2017), Lemma 2.
    """
    p, w = _mixture(p, weights)
    if bool((p == p[0]).all()):
        return (p * 0).sum()
    joint = w[:, None] * p
    conditional = -_plogp_over(joint, joint.sum(0)).sum()
    return (_weight_entropy(w) - conditional).clamp(min=0)


def frechet(
    mean_1: Densities | float,
    cov_1: Densities | float,
    mean_2: Densities | float,
    cov_2: Densities | float,
) -> Tensor:
    """Fréchet distance (squared W2) between two Gaussians.

    ‖μ₁-μ₂‖² + Tr(Σ₁ + Σ₂ - 2 (Σ₁Σ₂)^½). The trace of the root is the sum of the
    singular values of Σ₁^½ Σ₂^½, which needs no root of a non-symmetric matrix and
    stays accurate where the covariances are rank-deficient.

    Args:
        mean_1, mean_2: means (d,), or scalars.
        cov_1, cov_2: covariances (d, d), symmetric, positive semi-definite, or scalars
            (variances).

    Returns:
        A scalar ≥ 0, in the squared unit of x. Gradients with respect to a covariance
        exist where its eigenvalues are positive and distinct.

    Source: Dowson & Landau (1982); Heusel et al., TTUR (2017), eq. 6.
    """
    m1, m2 = (torch.atleast_1d(_float64(m, "mean")) for m in (mean_1, mean_2))
    c1, c2 = (torch.atleast_2d(_float64(c, "cov")) for c in (cov_1, cov_2))
    d = m1.shape[0]
    shapes = [tuple(t.shape) for t in (m1, c1, m2, c2)]
    if shapes != [(d,), (d, d)] * 2:
        raise ValueError(
            "frechet needs means (d,) and covariances (d, d) of one d; "
            f"got mean_1, cov_1, mean_2, cov_2 of shapes {shapes}"
        )
    cross = torch.linalg.svdvals(_root(c1) @ _root(c2)).sum()
    distance = (m1 - m2).square().sum() + c1.trace() + c2.trace()
    return (distance - 2 * cross).clamp(min=0)


# ------------------------------------------------------- optimal adversaries


def optimal_discriminator(p_data: Densities, p_model: Densities) -> Tensor:
    """The discriminator that maximises V for given densities, D* = p_d / (p_d + p_m).

    Args:
        p_data, p_model: densities (n,).

    Returns:
        D*(x) in [0, 1], (n,). Where both densities are zero the objective leaves D
        free; 1/2 is returned there.

    Source: Goodfellow et al. (2014), Proposition 1.
    """
    return optimal_classifier(torch.stack(_vectors(p_data, p_model)))[0]


def optimal_classifier(p: Densities, weights: Densities | None = None) -> Tensor:
    """Which density a point came from: C*_k(x) = w_k p_k(x) / Σ_j w_j p_j(x).

    Args:
        p: densities (K, n).
        weights: prior of the K sources, summing to one; by default 1/K each.

    Returns:
        Posteriors (K, n), columns summing to one. Where all densities are zero the
        prior is returned.

    Source: Hoang et al., Multi-generator GANs (2017), eqs. 5-9, for equal weights.
    """
    p, w = _mixture(p, weights)
    joint = w[:, None] * p
    total = joint.sum(0)
    return torch.where(total > 0, joint / torch.where(total > 0, total, 1), w[:, None])


# ------------------------- values of the objectives at the optimal adversary


def gan_value(p_data: Densities, p_model: Densities) -> Tensor:
    """max_D V = -log 4 + 2 JSD(p_d, p_m), between -log 4 and 0.

    Args:
        p_data, p_model: densities (n,).

    Returns:
        A scalar; exactly -log 4 where the two are equal, exactly 0 where disjoint.

    Source: Goodfellow et al. (2014), Theorem 1.
    """
    return 2 * jsd(torch.stack(_vectors(p_data, p_model))) - math.log(4)


def general_value(p: Densities, weights: Densities | None = None) -> Tensor:
    """MGAN's classifier term at C*: H(w) - JSD_w(p_1, …, p_K) = H(k|x).

    The minimum over C of -Σ w_k E_{p_k} log C_k, for β = 1.

    Args:
        p: generators' densities (K, n).
        weights: the mixture's weights; by default 1/K each.

    Returns:
        A scalar in [0, H(w)]: 0 where the generators are disjoint.

    Source: Hoang et al., Multi-generator GANs (2017), eqs. 9-11, for equal weights.
    """
    p, w = _mixture(p, weights)
    return _weight_entropy(w) - jsd(p, w)


def one_vs_all_value(p: Densities) -> Tensor:
    """MGAN's one-vs-all term at its optimum: 2K log 2 - 2 Σ_k JSD(p_k, p_-k).

    The minimum over K binary classifiers of -Σ_k {E_{p_k} log C_k +
    E_{p_-k} log(1 - C_k)}, for β = 1, with p_-k the mean of the other generators;
    C*_k = p_k / (p_k + p_-k).

    Args:
        p: generators' densities (K, n), K ≥ 2.

    Returns:
        A scalar in [0, 2K log 2]: 0 where the generators are disjoint.

    Source: objective of Hoang et al., Multi-generator GANs (2017), eq. 3; the paper
    omits the value.
    """
    p, _ = _mixture(p, None, at_least=2)
    count = len(p)
    others = (1 - torch.eye(count, dtype=p.dtype, device=p.device)) / (count - 1)
    rest = others @ p
    pairs = [jsd(torch.stack([p[k], rest[k]])) for k in range(count)]
    return 2 * (count * math.log(2) - torch.stack(pairs).sum())


def pairwise_value(p: Densities) -> Tensor:
    """MGAN's pairwise term at its optimum: K(K-1) log 2 - 2 Σ_{i<j} JSD(p_i, p_j).

    The minimum over the binary classifiers C_ij of -Σ_{i<j} {E_{p_i} log C_ij +
    E_{p_j} log(1 - C_ij)}, for β = 1; C*_ij = p_i / (p_i + p_j).

    Args:
        p: generators' densities (K, n), K ≥ 2.

    Returns:
        A scalar in [0, K(K-1) log 2]: 0 where the generators are disjoint.

    Source: objective of Hoang et al., Multi-generator GANs (2017), eq. 4; the paper
    omits the value.
    """
    p, _ = _mixture(p, None, at_least=2)
    count = len(p)
    pairs = torch.combinations(torch.arange(count, device=p.device))
    spread = torch.stack([jsd(p[pair]) for pair in pairs]).sum()
    return count * (count - 1) * math.log(2) - 2 * spread


def mgan_value(
    p_data: Densities, p: Densities, beta: float, form: str = "general"
) -> Tensor:
    """MGAN's objective at the optimal discriminator and classifier(s).

    L(G) = -log 4 + 2 JSD(p_d, p_m) + β·term with p_m the mean of the generators and the
    term `general_value`, `one_vs_all_value` or `pairwise_value`. L(G) ≥ -log 4 for all
    β > 0, with equality iff p_m = p_d and the generators are disjoint; that can be had
    only where p_d splits into K disjoint parts of equal mass.

    Args:
        p_data: the data's density (n,).
        p: generators' densities (K, n).
        beta: weight of the diversity term, ≥ 0. One β is not equally strong in the
            three forms: at K = 2 the terms are in the ratio 1 : 4 : 2.
        form: "general", "one_vs_all" or "pairwise".

    Returns:
        A scalar.

    Source: Hoang et al., Multi-generator GANs (2017), eqs. 2-4 and 11; the condition on
    p_d is missing from their Theorem 3.
    """
    forms: dict[str, Callable[[Densities], Tensor]] = {
        "general": general_value,
        "one_vs_all": one_vs_all_value,
        "pairwise": pairwise_value,
    }
    if form not in forms:
        raise ValueError(f"form must be one of {sorted(forms)}, got {form!r}")
    p, w = _mixture(p, None)
    return gan_value(p_data, w @ p) + beta * forms[form](p)


def madgan_value(p_data: Densities, p: Densities) -> Tensor:
    """MAD-GAN's generator objective at the optimal (K+1)-way discriminator.

    (K+1) JSD_w(p_d, p_m) - (K+1) log(K+1) + K log K with w = (1, K)/(K+1): one real
    sample for every sample of each generator. It depends on the generators only
    through their mean p_m: nothing in it asks them to differ.

    Args:
        p_data: the data's density (n,).
        p: generators' densities (K, n).

    Returns:
        A scalar ≥ K log K - (K+1) log(K+1), with equality iff p_m = p_d.

    Source: Ghosh et al., Multi-agent diverse GANs (CVPR 2018), section 4.
    """
    p, w = _mixture(p, None)
    count = len(p)
    weights = torch.tensor([1, count], dtype=p.dtype, device=p.device) / (count + 1)
    divergence = jsd(torch.stack(_vectors(p_data, w @ p)), weights)
    constant = count * math.log(count) - (count + 1) * math.log(count + 1)
    return (count + 1) * divergence + constant


# -------------------------------------------------------------------- private


def _plogp_over(p: Tensor, q: Tensor) -> Tensor:
    """p log(p/q): 0 where p = 0, inf where q = 0 < p; no NaN in the gradients of p = 0.

    A difference of logarithms: the ratio itself can overflow.
    """
    support = p > 0
    logs = torch.where(support, p, 1).log() - torch.where(support, q, 1).log()
    return torch.where(support, p * logs, 0)


def _weight_entropy(w: Tensor) -> Tensor:
    """H(w), equal to `math.log(K)` to the last bit for K equal weights."""
    if bool((w == w[0]).all()):
        return torch.full((), math.log(len(w)), dtype=w.dtype, device=w.device)
    return -_plogp_over(w, torch.ones_like(w)).sum()


def _root(cov: Tensor) -> Tensor:
    """Symmetric square root of a covariance, which is checked here."""
    scale = cov.detach().abs().max().clamp(min=1e-300)
    if bool((cov - cov.T).abs().max() > 1e-6 * scale):
        raise ValueError("frechet needs symmetric covariances: cov differs from cov.T")
    values, vectors = torch.linalg.eigh((cov + cov.T) / 2)
    if bool(values.min() < -1e-6 * scale):
        raise ValueError(
            "frechet needs positive semi-definite covariances; "
            f"the smallest eigenvalue is {values.min().item():.3g}"
        )
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def _float64(p: Densities | float, name: str = "p") -> Tensor:
    if isinstance(p, (list, tuple)):
        rows = [torch.as_tensor(row, dtype=torch.float64) for row in p]
        if len({row.shape for row in rows}) != 1:
            raise ValueError(
                f"{name} needs rows of one length; got {[tuple(r.shape) for r in rows]}"
            )
        return torch.stack(rows)
    return torch.as_tensor(p).to(torch.float64)


def _rows(p: Densities, name: str = "p") -> Tensor:
    """A density (n,) or several (K, n) in float64, checked."""
    p = _float64(p, name)
    if p.ndim not in (1, 2) or p.numel() == 0:
        raise ValueError(
            f"{name} must be one density (n,) or K of them (K, n), got {tuple(p.shape)}"
        )
    values = p.detach()
    if not bool(values.isfinite().all()):
        raise ValueError(f"{name} holds NaN or infinite numbers")
    if bool((values < 0).any()):
        raise ValueError(
            f"{name} holds negative numbers (min {values.min().item():.3g}): "
            "probabilities are ≥ 0"
        )
    error = (values.sum(-1) - 1).abs().max().item()
    if error > _TOLERANCE:
        raise ValueError(
            f"the rows of {name} must sum to one; they are off by up to {error:.3g} "
            "(normalise in float64: p / p.sum(-1, keepdims=True))"
        )
    return p


def _pair(p: Densities, q: Densities) -> tuple[Tensor, Tensor]:
    """Two arguments of equal shape, or one a vector that serves for every row."""
    a, b = _rows(p, "p"), _rows(q, "q")
    if a.shape[-1] != b.shape[-1] or (a.ndim == b.ndim and a.shape != b.shape):
        raise ValueError(
            "p and q must be densities on the same n points; "
            f"got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    a, b = torch.broadcast_tensors(a, b)
    return a, b


def _vectors(p_data: Densities, p_model: Densities) -> tuple[Tensor, Tensor]:
    data, model = _rows(p_data, "p_data"), _rows(p_model, "p_model")
    if data.ndim != 1 or data.shape != model.shape:
        raise ValueError(
            "p_data and p_model must both be (n,) with one n; "
            f"got {tuple(data.shape)} and {tuple(model.shape)}"
        )
    return data, model


def _mixture(
    p: Densities, weights: Densities | None, at_least: int = 1
) -> tuple[Tensor, Tensor]:
    """K densities (K, n) and their weights (K,)."""
    p = _rows(p)
    if p.ndim != 2 or len(p) < at_least:
        raise ValueError(
            f"p must be (K, n) with K ≥ {at_least}: one density a row; "
            f"got {tuple(p.shape)}"
        )
    if weights is None:
        return p, torch.full((len(p),), 1 / len(p), dtype=p.dtype, device=p.device)
    w = _rows(weights, "weights").to(p.device)
    if w.shape != (len(p),):
        raise ValueError(
            f"weights must be ({len(p)},), one for each row of p; got {tuple(w.shape)}"
        )
    return p, w
