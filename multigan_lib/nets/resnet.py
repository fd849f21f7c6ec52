"""A small residual pair for images of 32×32 pixels (Gulrajani et al. 2017, appendix;
Miyato et al. 2018, table 4).

The papers' sizes on CIFAR-10 are `width=256` for the generator and `width=128` for the
discriminator.
"""

from __future__ import annotations

from torch import Tensor, nn

from .base import (
    Discriminator,
    Generator,
    ScaleBatchNorm2d,
    add_spectral_norm,
    check_width,
)


class Residual(nn.Module):
    """`body(x) + shortcut(x)`."""

    def __init__(self, body: nn.Module, shortcut: nn.Module):
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


class SumPool(nn.Module):
    """Sums each feature map over its pixels: (N, C, H, W) → (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum((2, 3))


class ResNetGenerator(Generator):
    """Images from noise: z (N, latent_size) → (N, C, 32, 32) in [-1, 1].

    Three blocks from 4×4 to 32×32 pixels, nearest-neighbour up-sampling, batch norm.

    Args:
        shape: (C, 32, 32), C = 1 or 3.
        latent_size: length of z.
        width: channels of every hidden layer.
        offset: whether the batch norms learn an offset.

    Raises:
        ValueError: for another shape.
    """

    def __init__(
        self,
        shape: tuple[int, ...] = (3, 32, 32),
        latent_size: int = 128,
        width: int = 64,
        offset: bool = True,
    ):
        _check(shape, width)
        norm = nn.BatchNorm2d if offset else ScaleBatchNorm2d
        super().__init__(
            first=nn.Sequential(
                nn.Linear(latent_size, width * 16), nn.Unflatten(1, (width, 4, 4))
            ),
            trunk=nn.Sequential(*(_up(width, norm) for _ in range(3))),
            last=nn.Sequential(
                norm(width),
                nn.ReLU(),
                nn.Conv2d(width, shape[0], 3, padding=1),
                nn.Tanh(),
            ),
            latent_size=latent_size,
            shape=shape,
            num_features=width * 64,
        )
        _init(self)


class ResNetDiscriminator(Discriminator):
    """Logits of images: x (N, C, 32, 32) in [-1, 1] → (N,), or (N, outputs) if > 1.

    Two blocks from 32×32 to 8×8 pixels, two more at 8×8, ReLU, sum over the pixels.

    Args:
        shape: (C, 32, 32), C = 1 or 3.
        width: channels of every hidden layer.
        outputs: logits an image.
        norm: "spectral" (every layer) or "none"; both suit a gradient penalty.

    Raises:
        ValueError: for another shape, or a norm that this network does not have.
    """

    def __init__(
        self,
        shape: tuple[int, ...] = (3, 32, 32),
        width: int = 64,
        outputs: int = 1,
        norm: str = "spectral",
    ):
        _check(shape, width)
        if norm not in ("spectral", "none"):
            raise ValueError(
                f'the ResNet discriminator has norm "spectral" or "none", got {norm!r}'
            )
        trunk = nn.Sequential(
            # The first block acts on the image itself: no ReLU before its convolution.
            Residual(
                nn.Sequential(
                    _conv(shape[0], width),
                    nn.ReLU(),
                    _conv(width, width),
                    nn.AvgPool2d(2),
                ),
                nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(shape[0], width, 1)),
            ),
            Residual(
                nn.Sequential(*_relu_convs(width), nn.AvgPool2d(2)),
                nn.Sequential(nn.Conv2d(width, width, 1), nn.AvgPool2d(2)),
            ),
            Residual(nn.Sequential(*_relu_convs(width)), nn.Identity()),
            Residual(nn.Sequential(*_relu_convs(width)), nn.Identity()),
            nn.ReLU(),
            SumPool(),
        )
        super().__init__(trunk, width, shape, outputs)
        _init(self)
        if norm == "spectral":
            add_spectral_norm(self)


def _up(width: int, norm: type[nn.BatchNorm2d]) -> Residual:
    return Residual(
        nn.Sequential(
            norm(width),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            _conv(width, width),
            norm(width),
            nn.ReLU(),
            _conv(width, width),
        ),
        nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 1)),
    )


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _relu_convs(width: int) -> list[nn.Module]:
    return [nn.ReLU(), _conv(width, width), nn.ReLU(), _conv(width, width)]


def _init(net: nn.Module) -> None:
    """Glorot's initialisation, with gain √2 for the 3×3 convolutions (Miyato et al.).

    N(0, 0.02²) is DCGAN's; a residual network of this width would start with blocks
    that hardly change their input.
    """
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            wide = isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)
            nn.init.xavier_uniform_(layer.weight, 2**0.5 if wide else 1.0)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _check(shape: tuple[int, ...], width: int) -> None:
    if len(shape) != 3 or shape[0] not in (1, 3) or tuple(shape[1:]) != (32, 32):
        raise ValueError(
            f"the ResNet pair is for images (1 or 3, 32, 32), got shape {tuple(shape)}"
        )
    check_width(width)
