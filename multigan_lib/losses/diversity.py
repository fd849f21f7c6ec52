"""Terms that ask several generators to differ, without weight.

All but one are functions of logits; `cosine_similarity` looks at the images themselves.
A discriminator or classifier looks at generated samples; `source` says which of the K
generators each came from. Every expectation E_{p_k} is the mean over the samples of
generator k alone, whatever their number, and p_-k is the mean of the other generators'
densities. All results are scalars, written with `softplus` and `log_softmax`.

`general_jsd`, `one_vs_all_jsd` and `pairwise_jsd` are minimised by MGAN's classifiers
and by its generators alike; at the best classifiers they are a constant minus a
Jensen-Shannon divergence (`multigan_lib.divergence`).
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot, softplus

__all__ = [
    "cosine_similarity",
    "general_jsd",
    "one_vs_all_jsd",
    "pairwise_jsd",
    "source_cross_entropy",
]


def general_jsd(logits: Tensor, source: Tensor) -> Tensor:
    """(1/K) Σ_k E_{p_k}[-log C_k], C = softmax(logits): log K - JSD(p_1, …, p_K) at C*.

    Args:
        logits: one for each generator (n, K), K ≥ 2.
        source: index of each sample's generator (n,), int64 in 0 … K-1.

    Returns:
        A scalar ≥ 0; log K for a classifier that cannot tell them apart.

    Raises:
        ValueError: if the shapes do not fit.

    Source: Hoang et al., Multi-generator GANs (2017), eq. 2.
    """
    count = _check(logits, source)
    return _means(-logits.log_softmax(1), source, count).diagonal().mean()


def one_vs_all_jsd(logits: Tensor, source: Tensor) -> Tensor:
    """-Σ_k {E_{p_k} log C_k + E_{p_-k} log(1 - C_k)}, C_k = sigmoid(logit k).

    2K log 2 - 2 Σ_k JSD(p_k, p_-k) at C*.

    Args:
        logits: of K binary classifiers (n, K), K ≥ 2.
        source: index of each sample's generator (n,), int64 in 0 … K-1.

    Returns:
        A scalar ≥ 0; 2K log 2 where every logit is 0.

    Raises:
        ValueError: if the shapes do not fit.

    Source: Hoang et al., Multi-generator GANs (2017), eq. 3.
    """
    count = _check(logits, source)
    own = _means(softplus(-logits), source, count).diagonal()
    seen = _means(softplus(logits), source, count)
    others = (seen.sum(0) - seen.diagonal()) / (count - 1)
    return (own + others).sum()


def pairwise_jsd(logits: Tensor, source: Tensor) -> Tensor:
    """-Σ_{i<j} {E_{p_i} log C_ij + E_{p_j} log(1 - C_ij)}, C_ij = sigmoid(logit ij).

    K(K-1) log 2 - 2 Σ_{i<j} JSD(p_i, p_j) at C*. Classifier ij sees the samples of
    generators i and j only.

    Args:
        logits: of K(K-1)/2 binary classifiers (n, K(K-1)/2), in the order of their
            pairs (0, 1), (0, 2), …, (K-2, K-1).
        source: index of each sample's generator (n,), int64 in 0 … K-1.

    Returns:
        A scalar ≥ 0; K(K-1) log 2 where every logit is 0.

    Raises:
        ValueError: if the shapes do not fit, or the number of logits is not K(K-1)/2
            for any K ≥ 2.

    Source: Hoang et al., Multi-generator GANs (2017), eq. 4.
    """
    heads = _check(logits, source, at_least=1)
    count = (1 + round((1 + 8 * heads) ** 0.5)) // 2
    if count * (count - 1) // 2 != heads:
        raise ValueError(f"{heads} logits are not one for each pair of K generators")
    i, j = torch.triu_indices(count, count, offset=1, device=logits.device)
    pair = torch.arange(heads, device=logits.device)
    first = _means(softplus(-logits), source, count)[i, pair]
    second = _means(softplus(logits), source, count)[j, pair]
    return (first + second).sum()


def source_cross_entropy(
    real: Tensor, fake: Tensor, source: Tensor, real_weight: float = 1.0
) -> Tensor:
    """(w E_{p_d}[-log D_real] + Σ_k E_{p_k}[-log D_k]) / (w + K), D = softmax(logits).

    Args:
        real: logits of real samples (n, K+1), one for each generator and, last, one
            for "real".
        fake: logits of generated samples (m, K+1).
        source: index of each generated sample's generator (m,), int64 in 0 … K-1.
        real_weight: w > 0, what a real expectation counts where a generator's counts 1.
            1 is MAD-GAN's theorem, with D_real = 1/(K+1) at its optimum; K (as many
            real samples as generated ones in all) makes that 1/2.

    Returns:
        A scalar ≥ 0: for w = 1 the mean cross-entropy over as many samples of every
        source.

    Raises:
        ValueError: if the shapes do not fit.

    Source: Ghosh et al., Multi-agent diverse GANs (CVPR 2018), eq. 3.
    """
    count = _check(fake, source) - 1
    if real.ndim != 2 or real.shape[1] != count + 1:
        raise ValueError(
            f"real logits must be (n, {count + 1}) like the generated samples', got "
            f"{tuple(real.shape)}"
        )
    of_fake = _means(-fake.log_softmax(1), source, count).diagonal().sum()
    of_real = -real.log_softmax(1)[:, -1].mean()
    return (real_weight * of_real + of_fake) / (real_weight + count)


def cosine_similarity(images: Tensor, centre: Tensor | None = None) -> Tensor:
    """Mean of cos(x_i, x_j) over the K(K-1)/2 pairs of generators and the B inputs.

    Computed without the pairs: with u_k = x_k/‖x_k‖, flattened, ‖Σ_k u_k‖² is the sum
    of all K² products, and K of them are ‖u_k‖² = 1. Hence also its bounds.

    Args:
        images: of K ≥ 2 generators for the same B inputs, in any range: (K, B, ...),
            images (K, B, C, H, W) or vectors (K, B, D). The cosine of images in [-1, 1]
            is mostly that of their common background.
        centre: what is subtracted first, a tensor of one image's shape: the mean
            image of the data, for instance. None: nothing.

    Returns:
        A scalar in [-1/(K-1), 1]: 1 if all K images point in one direction, the lower
        bound if their unit vectors sum to zero. An image of zeros has cosine 0 with
        every other, and no gradient.

    Raises:
        ValueError: if there are fewer than two generators or three axes, or no images,
            or the centre has another shape than one image.

    Source: Reinhart, Generative data augmentation (2025), eqs. 17-18; eq. 15 subtracts
    the term from the generators' loss: that rewards similarity.
    """
    if images.ndim < 3 or len(images) < 2 or not images.numel():
        raise ValueError(
            f"images of 2 or more generators are needed, (K, B, ...) with 3 or more "
            f"axes; got {tuple(images.shape)}"
        )
    if centre is not None:
        if centre.shape != images.shape[2:]:
            raise ValueError(
                f"the centre must have the shape of one image, "
                f"{tuple(images.shape[2:])}; got {tuple(centre.shape)}"
            )
        images = images - centre
    count = len(images)
    # Half precision would lose the small differences between nearly equal images.
    wide = images.to(torch.promote_types(images.dtype, torch.float32))
    flat = wide.flatten(2)
    # An image of zeros has no direction; its gradient would be others' times 1e12.
    unit = normalize(flat.masked_fill(~flat.any(2, keepdim=True), 0), dim=2)
    apart = unit.sum(0).square().sum(1) - unit.square().sum((0, 2))
    return apart.mean() / (count * (count - 1))


def _means(values: Tensor, source: Tensor, count: int) -> Tensor:
    """Mean of every column of values (n, heads) over each source: (count, heads)."""
    belongs = one_hot(source, count).to(values.dtype)
    # Autocast would make the product, and so the loss, one of bfloat16 numbers.
    with torch.autocast(values.device.type, enabled=False):
        return (belongs / belongs.sum(0).clamp(min=1)).T @ values


def _check(logits: Tensor, source: Tensor, at_least: int = 2) -> int:
    """Number of logits a sample; raises where the shapes do not fit."""
    if logits.ndim != 2 or logits.shape[1] < at_least:
        raise ValueError(
            f"logits must be (n, heads) with {at_least} or more heads, got "
            f"{tuple(logits.shape)}"
        )
    if source.shape != logits.shape[:1]:
        raise ValueError(
            f"one source a sample is needed, ({len(logits)},); got "
            f"{tuple(source.shape)}"
        )
    return logits.shape[1]
