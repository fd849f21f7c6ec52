"""Adversarial losses of a two-player game, as functions of the discriminator's logits.

Every adversarial loss takes logits of any shape and comes in two forms:

- `loss(real, fake)`: what the discriminator minimises,
- `loss(fake)`: what the generator minimises.

`real` are the logits of real samples and `fake` those of generated ones; the numbers of
the two may differ, for each expectation is the mean over its own source. Results are
scalars. With s a logit, D = sigmoid(s), log D = -softplus(-s) and
log(1 - D) = -softplus(s), so nothing overflows and no logarithm of zero is taken.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, relu, softplus

__all__ = [
    "gradient_penalty",
    "hinge",
    "label_smoothing",
    "least_squares",
    "minimax",
    "nonsaturating",
    "wasserstein",
]


def minimax(real: Tensor, fake: Tensor | None = None) -> Tensor:
    """The zero-sum game on V = E log D(x) + E log(1 - D(G(z))).

    Discriminator: -V. Generator: E log(1 - D(G(z))), whose gradient vanishes where the
    discriminator is sure of the fakes.

    Source: Goodfellow et al., Generative adversarial nets (2014), eq. 1.
    """
    if fake is None:
        return -softplus(real).mean()
    return softplus(-real).mean() + softplus(fake).mean()


def nonsaturating(real: Tensor, fake: Tensor | None = None) -> Tensor:
    """The same discriminator as `minimax`; the generator minimises -E log D(G(z)).

    Source: Goodfellow et al., Generative adversarial nets (2014), section 3.
    """
    if fake is None:
        return softplus(-real).mean()
    return minimax(real, fake)


def label_smoothing(
    real: Tensor,
    fake: Tensor,
    real_target: Tensor | float = 0.9,
    fake_target: Tensor | float = 0.1,
) -> Tensor:
    """The discriminator's cross-entropy with targets other than 1 and 0.

    With expected targets a (real) and b (fake), drawn independently of the samples, the
    optimum is D = (a p_d + b p_g) / (p_d + p_g): its threshold for p_d = p_g is
    (a + b)/2.

    Args:
        real, fake: logits.
        real_target, fake_target: targets in [0, 1], one for all or one for each. Above
            1 the loss has no lower bound.

    Source: Szegedy et al., Rethinking the Inception architecture (CVPR 2016), section
    7; for games Salimans et al., Improved techniques for training GANs (2016), section
    3.4, who smooth the real target only.
    """
    pairs = ((real, real_target), (fake, fake_target))
    return torch.stack(
        [
            binary_cross_entropy_with_logits(
                logits, torch.as_tensor(target, device=logits.device).expand_as(logits)
            )
            for logits, target in pairs
        ]
    ).sum()


def least_squares(real: Tensor, fake: Tensor | None = None) -> Tensor:
    """Least squares with targets 1 (real) and 0 (fake).

    Discriminator: ½ E (s(x) - 1)² + ½ E s(G(z))². Generator: ½ E (s(G(z)) - 1)². The
    output s is a score with its threshold at ½, not a logit.

    Source: Mao et al., Least squares GAN (ICCV 2017), eq. 9.
    """
    if fake is None:
        return 0.5 * (real - 1).square().mean()
    return 0.5 * ((real - 1).square().mean() + fake.square().mean())


def hinge(real: Tensor, fake: Tensor | None = None) -> Tensor:
    """The hinge loss: margins of 1 on both sides of 0.

    Discriminator: E max(0, 1 - s(x)) + E max(0, 1 + s(G(z))). Generator: -E s(G(z)).

    Source: Lim & Ye, Geometric GAN (2017); Miyato et al., Spectral normalization for
    GANs (ICLR 2018), eqs. 16-17.
    """
    if fake is None:
        return -real.mean()
    return relu(1 - real).mean() + relu(1 + fake).mean()


def wasserstein(real: Tensor, fake: Tensor | None = None) -> Tensor:
    """The dual of the Wasserstein-1 distance, for a 1-Lipschitz critic.

    Critic: E s(G(z)) - E s(x), minus its estimate of the distance. Generator:
    -E s(G(z)). Use with `gradient_penalty` (weight 10 in the paper).

    Source: Arjovsky et al., Wasserstein GAN (ICML 2017), eqs. 2-3.
    """
    if fake is None:
        return -real.mean()
    return fake.mean() - real.mean()


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    target: float = 1.0,
) -> Tensor:
    """E (‖∇s(x̂)‖₂ - target)² at x̂ = ε x + (1 - ε) G(z), ε ~ U(0, 1) for each sample.

    Unweighted; multiply by λ. The critic must treat samples independently: with batch
    normalisation the gradient is no longer a sample's own.

    Args:
        critic: maps (B, …) to one score a sample, (B,) or (B, 1).
        real, fake: samples of one shape (B, …). Their own graphs are not followed.
        target: the slope asked for.

    Raises:
        ValueError: if the shapes of `real` and `fake` differ.

    Source: Gulrajani et al., Improved training of Wasserstein GANs (2017), eq. 3.
    """
    if real.shape != fake.shape:
        raise ValueError(
            "gradient_penalty pairs real with generated samples and needs equal "
            f"shapes; got {tuple(real.shape)} and {tuple(fake.shape)}"
        )
    real, fake = real.detach(), fake.detach()
    per_sample = (len(real),) + (1,) * (real.ndim - 1)
    epsilon = torch.rand(per_sample, device=real.device, dtype=real.dtype)
    between = (epsilon * real + (1 - epsilon) * fake).requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(
            critic(between).sum(), between, create_graph=True
        )
    return (slope.flatten(1).norm(dim=1) - target).square().mean()
