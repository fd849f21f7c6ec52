"""The networks behind the image metrics: one wrapper, frozen classifiers, Inception.

A score means something only together with its feature network, so every network has a
name with a hash of its weights, and every score carries it.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..datasets import to_uint8
from ..nets.classifier import Classifier
from ..paths import assets

FROZEN = ("digits", "mnist", "cifar10")


class FeatureNetwork(nn.Module):
    """A network as the metrics use it.

    It takes float images (b, C, H, W) in [-1, 1] on any device, runs without a graph on
    the network's own device, and gives float64 on the CPU.

    Args:
        network: the module, in evaluation mode.
        name: what it is, with a hash of its weights: "mnist@1a2b3c4d".
        num_features: d, length of a feature vector.
        features: from float images to features (b, d).
        logits: from float images to class logits (b, classes).
    """

    def __init__(
        self,
        network: nn.Module,
        name: str,
        num_features: int,
        features: Callable[[Tensor], Tensor],
        logits: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__()
        self.network, self.name, self.num_features = network, name, num_features
        self._features, self._logits = features, logits

    def forward(self, images: Tensor) -> Tensor:
        """Features (b, d), float64."""
        features = self._read(self._features, images)
        if features.shape != (len(images), self.num_features):
            raise ValueError(
                f"{self.name} must give features ({len(images)}, {self.num_features}) "
                f"for {len(images)} images; got {tuple(features.shape)}"
            )
        return features

    def logits(self, images: Tensor) -> Tensor:
        """Class logits (b, classes), float64."""
        return self._read(self._logits, images)

    def labels(self, images: Tensor) -> Tensor:
        """Classes of highest probability, int64 (b,)."""
        return self.logits(images).argmax(1)

    def _read(self, output: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        device = next((p.device for p in self.network.parameters()), images.device)
        # Full float32: a score must not depend on the tensor cores' shortcuts.
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        with torch.no_grad(), exact:
            return output(images.to(device)).cpu().double()


def feature_network(features: str | nn.Module) -> FeatureNetwork:
    """A feature network by name, or the user's own.

    Args:
        features: one of
            "digits", "mnist", "cifar10" — small classifiers that come with the library,
            for grey digits and for photographs in colour; other sizes are brought to
            their own. Which images they have seen stands in data/features/<name>.json:
            for "cifar10" the first 8,000 test images of cifar10-jpeg, whose order is
            not that of the original files;
            "inception" — Inception v3 with FID's original weights (2048 features, 1008
            classes), which torch-fidelity downloads once, 91 MB;
            a module with `num_features`: a copy in evaluation mode, on its device, gets
            float images in [-1, 1] as they are. Its features are `module.features(x)`
            if it has that, else `module(x)`; its logits, for the Inception score, are
            `module(x)`.

    Raises:
        ValueError, TypeError: an unknown name, or a module without `num_features`.
        OSError: Inception cannot be had.
        FileNotFoundError, ValueError: a frozen network's files are missing or damaged.
    """
    if isinstance(features, FeatureNetwork):
        return features
    if isinstance(features, nn.Module):
        return _own(features)
    if features in FROZEN:
        return frozen(features)
    if features == "inception":
        return _inception()
    raise ValueError(
        f"features must be {', '.join(map(repr, FROZEN))}, 'inception' or a module "
        f"with num_features, got {features!r}"
    )


def labeller(name: str) -> Callable[[Tensor], Tensor]:
    """The frozen classifier `name` as a function from images to labels.

    Args:
        name: "digits", "mnist" or "cifar10".

    Returns:
        A function from float images (b, C, H, W) in [-1, 1], grey or in colour as the
        data of that name, to classes, int64 (b,).
    """
    if name not in FROZEN:
        raise ValueError(f"labellers are {', '.join(FROZEN)}; got {name!r}")
    return frozen(name).labels


def default_name(shape: tuple[int, ...], data: str | None = None) -> str:
    """The feature network for images of this shape, where none is asked for.

    Args:
        shape: one image's (C, H, W).
        data: name of the data set, where it is known; it decides before the shape.

    Raises:
        ValueError: if there is no natural choice.
    """
    # An archive such as cifar10-jpeg.tar.gz holds the images of that name.
    name = (data or "").removesuffix("-jpeg")
    if name in FROZEN and shape[0] == _about(name)["shape"][0]:
        return name
    if data is None and shape[0] == 1:
        return "digits" if max(shape[1:]) <= 16 else "mnist"
    raise ValueError(
        f"no feature network comes with the library for {data or 'images'} of shape "
        f"{shape}; say which: features='inception', or a module of your own with "
        "num_features, e.g. a classifier trained on these data"
    )


def _about(name: str) -> dict[str, Any]:
    """What data/features says of a frozen network."""
    return json.loads((assets("features") / f"{name}.json").read_text())


@cache
def frozen(name: str) -> FeatureNetwork:
    """A classifier from data/features, on the GPU where there is one."""
    from safetensors.torch import load

    about = _about(name)
    file = assets("features") / f"{name}.safetensors"
    weights = file.read_bytes()
    if hashlib.sha256(weights).hexdigest() != about["sha256"]:
        raise ValueError(
            f"{file} is damaged: its hash is not the one in {name}.json; restore both "
            "from the repository"
        )
    channels = about["shape"][0]
    network = Classifier(
        tuple(about["shape"]), about["classes"], about.get("width", 16)
    )
    network.load_state_dict(load(weights))
    network.requires_grad_(False).eval()
    # Half the time on a CPU.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.to("cuda" if torch.cuda.is_available() else "cpu")

    def prepared(x: Tensor) -> Tensor:
        if x.shape[1] != channels:
            raise ValueError(
                f"the {name} network reads {'grey' if channels == 1 else 'RGB'} images "
                f"(b, {channels}, H, W), got {tuple(x.shape)}; choose other features"
            )
        return to_size(x, about["shape"][-1])

    return FeatureNetwork(
        network,
        f"{name}@{about['sha256'][:8]}",
        network.num_features,
        lambda x: network.features(prepared(x)),
        lambda x: network(prepared(x)),
    )


def to_size(x: Tensor, size: int) -> Tensor:
    """Square images (b, C, H, W) at the size of a frozen network.

    Grey 28×28 become 32×32 by a border of two black pixels, as in `data.load`; all
    others are scaled by antialiased bilinear interpolation.
    """
    if x.shape[-2:] == (size, size):
        return x
    if size == 32 and x.shape[-3:] == (1, 28, 28):
        return functional.pad(x, (2, 2, 2, 2), value=-1.0)
    return functional.interpolate(x, (size, size), mode="bilinear", antialias=True)


def _hash(network: nn.Module) -> str:
    """The beginning of the SHA-256 of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:8]


def _own(module: nn.Module) -> FeatureNetwork:
    count = getattr(module, "num_features", None)
    if not isinstance(count, int):
        raise TypeError(
            f"{type(module).__name__} needs an attribute num_features: the length d of "
            "the features (b, d) that it gives"
        )
    network = copy.deepcopy(module).eval()
    features = getattr(network, "features", None)
    # `features` may also be a part of the network, as in torchvision's models.
    if not callable(features) or isinstance(features, nn.Module):
        features = network
    name = f"{type(module).__name__}@{_hash(network)}"
    return FeatureNetwork(network, name, count, features, network)


@cache
def _inception() -> FeatureNetwork:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import (
            FeatureExtractorInceptionV3 as Inception,
        )

        network = Inception("inception-v3-compat", ["2048", "logits_unbiased"])
    except Exception as error:  # the download's errors are of many kinds
        raise OSError(
            f"Inception cannot be had ({error}): it needs `pip install torch-fidelity` "
            "and, once, the network for its weights; or use features='mnist', 'digits' "
            "or a module of your own"
        ) from error
    network.to("cuda" if torch.cuda.is_available() else "cpu")

    def outputs(x: Tensor) -> tuple[Tensor, Tensor]:
        return network(to_uint8(x).expand(-1, 3, -1, -1))

    return FeatureNetwork(
        network,
        f"inception@{_hash(network)}",
        2048,
        lambda x: outputs(x)[0],
        lambda x: outputs(x)[1],
    )
