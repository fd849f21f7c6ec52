"""The networks behind the image metrics: one wrapper, frozen classifiers, Inception.

A score means something only together with its feature network, so every network has a
name with a hash of its weights, and every score carries it.
"""

from __future__ import annotations

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

FROZEN = ("digits", "mnist")


class FeatureNetwork(nn.Module):
    """A network as the metrics use it.

    It takes float images (b, C, H, W) in [-1, 1] on any device, converts them to what
    the network was made for, runs it in evaluation mode, without a graph, on its own
    device, and gives float64 on the CPU.

    Args:
        network: the module.
        name: what it is, with a hash of its weights: "mnist@1a2b3c4d".
        num_features: d, length of a feature vector.
        convert: from float images in [-1, 1] to the network's input.
        features: from that input to features (b, d).
        logits: from that input to class logits (b, classes).
    """

    def __init__(
        self,
        network: nn.Module,
        name: str,
        num_features: int,
        convert: Callable[[Tensor], Tensor],
        features: Callable[[Tensor], Tensor],
        logits: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__()
        self.network = network
        self.name = name
        self.num_features = num_features
        self._convert, self._features, self._logits = convert, features, logits

    def forward(self, images: Tensor) -> Tensor:
        """Features (b, d), float64."""
        return self._read(self._features, images, "features", self.num_features)

    def logits(self, images: Tensor) -> Tensor:
        """Class logits (b, classes), float64."""
        return self._read(self._logits, images, "logits", None)

    def labels(self, images: Tensor) -> Tensor:
        """Classes of highest probability, int64 (b,)."""
        return self.logits(images).argmax(1)

    def _read(
        self,
        output: Callable[[Tensor], Tensor],
        images: Tensor,
        what: str,
        width: int | None,
    ) -> Tensor:
        device = next((p.device for p in self.network.parameters()), images.device)
        modes = [(module, module.training) for module in self.network.modules()]
        self.network.eval()
        try:
            # Full float32: a score must not depend on the tensor cores' shortcuts.
            with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
                result = output(self._convert(images.to(device)))
        finally:
            for module, training in modes:
                module.training = training
        shape = tuple(result.shape)
        if len(shape) != 2 or shape[0] != len(images) or width not in (None, shape[1]):
            raise ValueError(
                f"{self.name} must give {what} ({len(images)}, {width or 'classes'}) "
                f"for {len(images)} images; got {shape}"
            )
        return result.cpu().double()


def feature_network(features: str | nn.Module) -> FeatureNetwork:
    """A feature network by name, or the user's own.

    Args:
        features: one of
            "digits", "mnist" — small classifiers that come with the library, for grey
            digits; other sizes are brought to their own;
            "inception" — Inception v3 with FID's original weights (2048 features, 1008
            classes), which torch-fidelity downloads once, 91 MB;
            a module with `num_features`: it gets float images in [-1, 1] as they are,
            on its own device. Its features are `module.features(x)` if it has that,
            else `module(x)`; its logits, for the Inception score, are `module(x)`.

    Raises:
        ValueError, TypeError: an unknown name, or a module without `num_features`.
        ModuleNotFoundError, RuntimeError: Inception cannot be had.
        FileNotFoundError: a frozen network's files are missing or damaged.
    """
    if isinstance(features, FeatureNetwork):
        return features
    if isinstance(features, nn.Module):
        return _own(features)
    if features in FROZEN:
        return frozen(features)
    if features == "inception":
        return _inception()
    names = ", ".join(map(repr, (*FROZEN, "inception")))
    raise (ValueError if isinstance(features, str) else TypeError)(
        f"features must be {names} or a module with num_features, got {features!r}"
    )


def labeller(name: str) -> Callable[[Tensor], Tensor]:
    """The frozen classifier `name` as a function from images to labels.

    Args:
        name: "digits" or "mnist".

    Returns:
        A function from float images (b, 1, H, W) in [-1, 1] to classes, int64 (b,).
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
    if data in FROZEN and shape[0] == 1:
        return str(data)
    if data is None and shape[0] == 1:
        return "digits" if max(shape[1:]) <= 16 else "mnist"
    raise ValueError(
        f"no feature network comes with the library for {data or 'images'} of shape "
        f"{shape}; say which: features='inception', or a module of your own with "
        "num_features, e.g. a classifier trained on these data"
    )


@cache
def frozen(name: str) -> FeatureNetwork:
    """A classifier from data/features, on the GPU where there is one."""
    about = json.loads(_file(name, "json").read_text())
    weights = _file(name, "safetensors").read_bytes()
    if hashlib.sha256(weights).hexdigest() != about["sha256"]:
        raise FileNotFoundError(
            f"{_file(name, 'safetensors')} is damaged: its hash is not the one in "
            f"{name}.json; restore both from the repository"
        )
    from safetensors.torch import load

    network = Classifier(tuple(about["shape"]), about["classes"])
    network.load_state_dict(load(weights))
    network.requires_grad_(False).eval()
    # Half the time on a CPU.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.to("cuda" if torch.cuda.is_available() else "cpu")
    size = about["shape"][-1]
    return FeatureNetwork(
        network,
        f"{name}@{about['sha256'][:8]}",
        network.num_features,
        lambda x: to_size(_grey(x, name), size),
        network.features,
        network,
    )


def to_size(x: Tensor, size: int) -> Tensor:
    """Square images (b, C, H, W) at the size of a frozen network.

    28×28 becomes 32×32 by a border of two black pixels, as in `data.load`; every other
    size by antialiased bilinear interpolation.
    """
    if x.shape[-2:] == (size, size):
        return x
    if size == 32 and x.shape[-2:] == (28, 28):
        return functional.pad(x, (2, 2, 2, 2), value=-1.0)
    return functional.interpolate(x, (size, size), mode="bilinear", antialias=True)


def _hash(network: nn.Module) -> str:
    """The beginning of the SHA-256 of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:8]


def _file(name: str, ending: str) -> Any:
    path = assets("features") / f"{name}.{ending}"
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing; restore it from the repository or reinstall"
        )
    return path


def _grey(x: Tensor, name: str) -> Tensor:
    if x.shape[1] != 1:
        raise ValueError(
            f"the {name} network reads grey images (b, 1, H, W), got {tuple(x.shape)}; "
            "choose other features"
        )
    return x


def _own(module: nn.Module) -> FeatureNetwork:
    count = getattr(module, "num_features", None)
    if not isinstance(count, int):
        raise TypeError(
            f"{type(module).__name__} needs an attribute num_features: the length d of "
            "the features (b, d) that it gives"
        )
    features = getattr(module, "features", None)
    # `features` may also be a part of the network, as in torchvision's models.
    if not callable(features) or isinstance(features, nn.Module):
        features = module
    return FeatureNetwork(
        module,
        f"{type(module).__name__}@{_hash(module)}",
        count,
        lambda x: x,
        features,
        module,
    )


@cache
def _inception() -> FeatureNetwork:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import (
            FeatureExtractorInceptionV3,
        )
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "features='inception' needs torch-fidelity: pip install torch-fidelity"
        ) from error
    outputs = ["2048", "logits_unbiased"]
    try:
        network = FeatureExtractorInceptionV3("inception-v3-compat", outputs)
    except Exception as error:  # the download's errors are of many kinds
        raise RuntimeError(
            f"Inception's weights cannot be had ({error}); connect to the network "
            "once, or use features='mnist', 'digits' or a module of your own"
        ) from error
    network.to("cuda" if torch.cuda.is_available() else "cpu")
    return FeatureNetwork(
        network,
        f"inception@{_hash(network)}",
        2048,
        lambda x: to_uint8(x).expand(-1, 3, -1, -1),
        lambda x: network(x)[0],
        lambda x: network(x)[1],
    )
