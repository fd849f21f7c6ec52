"""A small convolutional classifier, which is also feature network and labeller."""

from __future__ import annotations

from torch import Tensor, nn


class Classifier(nn.Module):
    """Class logits of images, from `num_features` features.

    Blocks of 3×3 convolution, batch norm, ReLU and 2×2 maximum halve the image and
    double the channels until at most 4×4 pixels are left; one hidden layer follows. It
    trains in seconds on small images.

    Args:
        shape: (C, H, W) of an image.
        classes: number of classes.
        width: channels of the first block.
        num_features: size of the hidden layer.

    Raises:
        ValueError: for a shape that is not an image's, fewer than two classes, or a
            width below 1.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        width: int = 16,
        num_features: int = 64,
    ):
        super().__init__()
        if len(shape) != 3:
            raise ValueError(f"images of shape (C, H, W) are needed, got {shape}")
        if classes < 2:
            raise ValueError(f"a classifier needs two classes or more, got {classes}")
        if width < 1:
            raise ValueError(f"width must be at least 1, got {width}")
        channels, height, pixels = shape
        blocks: list[nn.Module] = []
        while not blocks or max(height, pixels) > 4:
            blocks += [
                nn.Conv2d(channels, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.MaxPool2d(2, ceil_mode=True),
            ]
            channels, width = width, 2 * width
            height, pixels = (height + 1) // 2, (pixels + 1) // 2
        self.shape = tuple(shape)
        self.classes = classes
        self.num_features = num_features
        self.trunk = nn.Sequential(
            *blocks,
            nn.Flatten(),
            nn.Linear(channels * height * pixels, num_features),
            nn.ReLU(),
        )
        self.head = nn.Linear(num_features, classes)

    def features(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] → features (N, num_features), none negative.

        Call `eval()` first: batch norm would otherwise mix the images of a batch.
        """
        return self.trunk(x)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] → class logits (N, classes)."""
        return self.head(self.features(x))
