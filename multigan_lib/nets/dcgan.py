"""DCGAN generator and discriminator (Radford et al. 2015) for square images.

Both move between the image and maps of 4×4 pixels (6×6 for 48-pixel images) by 4×4
convolutions of stride 2, a kernel that the stride divides, so that every pixel is
covered equally often. With width w:

    ======  ==================================  ==================================
    pixels  generator                           discriminator
    ======  ==================================  ==================================
    16      z → 4×4×2w → 8×8×w → 16             16 → 8×8×w → 4×4×2w → logits
    32      z → 4×4×4w → 8×8×2w → 16×16×w → 32  32 → 16×16×w → … → 4×4×4w → logits
    48      z → 6×6×4w → … → 24×24×w → 48       48 → 24×24×w → … → 6×6×4w → logits
    64      z → 4×4×8w → … → 32×32×w → 64       64 → 32×32×w → … → 4×4×8w → logits
    ======  ==================================  ==================================

w = 64 at 64 pixels is the paper's size but for its 1024 first maps; w = 128 at 32
pixels is MGAN's.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from .base import (
    Discriminator,
    Flatten,
    Generator,
    ScaleBatchNorm2d,
    add_spectral_norm,
    check_dropout,
    check_norm,
    check_width,
    init_normal,
)

SMALLEST_MAPS = {16: 4, 32: 4, 48: 6, 64: 4}
"""Side of the smallest maps, by side of the image."""


class DCGANGenerator(Generator):
    """Images from noise: z (N, latent_size) → (N, C, H, W) in [-1, 1].

    Args:
        shape: (C, H, W), C = 1 or 3, H = W = 16, 32, 48 or 64.
        latent_size: length of z.
        width: channels of the last hidden layer; default 32, and 64 for images above 32
            pixels.
        offset: whether the batch norms of the trunk learn an offset. MGAN fixes it at
            zero, so that fewer ReLUs die (Hoang et al. 2018, section 5.2); the first
            layer's batch norm learns one in any case, as in its code.

    Raises:
        ValueError: for a shape that no DCGAN here makes.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        latent_size: int = 100,
        width: int | None = None,
        offset: bool = True,
    ):
        channels, side, maps = plan(shape, width)
        maps = maps[::-1]
        last = nn.ConvTranspose2d(maps[-1], channels, 4, stride=2, padding=1)
        super().__init__(
            first=nn.Sequential(
                nn.Linear(latent_size, maps[0] * side * side, bias=False),
                nn.Unflatten(1, (maps[0], side, side)),
                nn.BatchNorm2d(maps[0]),
                nn.ReLU(),
            ),
            trunk=nn.Sequential(
                *(
                    nn.Sequential(
                        nn.ConvTranspose2d(
                            before, after, 4, stride=2, padding=1, bias=False
                        ),
                        nn.BatchNorm2d(after) if offset else ScaleBatchNorm2d(after),
                        nn.ReLU(),
                    )
                    for before, after in pairwise(maps)
                )
            ),
            last=nn.Sequential(last, nn.Tanh()),
            latent_size=latent_size,
            shape=shape,
            num_features=maps[1] * (2 * side) ** 2,
        )
        init_normal(self)


class DCGANDiscriminator(Discriminator):
    """Logits of images: x (N, C, H, W) in [-1, 1] → (N,), or (N, outputs) if > 1.

    Args:
        shape: (C, H, W), C = 1 or 3, or one more where a label is a channel of its own;
            H = W = 16, 32, 48 or 64.
        width: channels of the first layer; default 32, and 64 for images above 32
            pixels.
        outputs: logits an image.
        norm: "batch" (all hidden layers but the first, as in the paper), "none",
            "spectral" (all layers; Miyato et al. 2018) or "layer" (all hidden layers
            but the first). A gradient penalty looks at one sample at a time, which
            batch norm does not allow: take "layer" or "none" there (Gulrajani et al.
            2017, section 4).
        dropout: share of each hidden layer's outputs that is dropped in training.
        depth: number of convolutions; by default down to the smallest maps of the table
            above, and at most as many.

    Raises:
        ValueError: for a shape, a norm, a dropout or a depth that no DCGAN here has.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int | None = None,
        outputs: int = 1,
        norm: str = "batch",
        dropout: float = 0.0,
        depth: int | None = None,
    ):
        check_norm(norm)
        check_dropout(dropout)
        channels, side, maps = plan(shape, width, channels=(1, 2, 3, 4))
        if depth is not None:
            if not 1 <= depth <= len(maps):
                raise ValueError(
                    f"depth must be from 1 to {len(maps)} for images of "
                    f"{shape[-1]} pixels, got {depth}"
                )
            side *= 2 ** (len(maps) - depth)
            maps = maps[:depth]
        blocks: list[nn.Module] = []
        for before, after in pairwise([channels, *maps]):
            kind = norm if blocks else "none"
            block: list[nn.Module] = [
                nn.Conv2d(before, after, 4, stride=2, padding=1, bias=kind != "batch")
            ]
            if kind == "batch":
                block.append(nn.BatchNorm2d(after))
            elif kind == "layer":
                block.append(nn.GroupNorm(1, after))
            block.append(nn.LeakyReLU(0.2, inplace=True))
            if dropout:
                block.append(nn.Dropout(dropout))
            blocks.append(nn.Sequential(*block))
        trunk = nn.Sequential(*blocks, Flatten())
        super().__init__(trunk, maps[-1] * side * side, shape, outputs)
        init_normal(self)
        if norm == "spectral":
            add_spectral_norm(self)


def plan(
    shape: tuple[int, ...],
    width: int | None = None,
    channels: tuple[int, ...] = (1, 3),
) -> tuple[int, int, list[int]]:
    """Image channels, side of the smallest maps, discriminator's channels in order.

    Raises:
        ValueError: for a shape other than (C, s, s) with C one of ``channels`` and s =
            16, 32, 48 or 64, or a width below 1.
    """
    if len(shape) != 3 or shape[0] not in channels:
        raise ValueError(
            f"images of shape (C, H, W) with C = 1 or 3 are needed, got shape {shape}"
        )
    image_channels, height, pixels = shape
    if height != pixels or pixels not in SMALLEST_MAPS:
        larger = [size for size in SMALLEST_MAPS if size >= max(height, pixels)]
        raise ValueError(
            f"no DCGAN for images of {height}×{pixels} pixels, only for 16, 32, 48 and "
            f"64 squared: load the data with image_size={min(larger, default=64)}"
        )
    if width is None:
        width = 32 if pixels <= 32 else 64
    check_width(width)
    side = SMALLEST_MAPS[pixels]
    layers = (pixels // side).bit_length() - 1
    return image_channels, side, [width * 2**layer for layer in range(layers)]
