"""K networks of one architecture run as one: a layer does the work of its K copies.

The parameters of the K copies of a layer are concatenated along their first axis. K
linear layers are then one `baddbmm`, K convolutions one grouped convolution, whose
weights are stored exactly so, and K batch normalisations of C channels one of K·C
channels, running statistics included. Data are in one of these forms:

    ======  =========  ==============================================
    form    vectors    feature maps
    ======  =========  ==============================================
    shared  (B, F)     (B, C, H, W), read by all K networks
    folded  (K, B, F)  (B, K·C, H, W), the channels of network 0 first
    ======  =========  ==============================================
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import DropLast, ScaleBatchNorm2d, is_sequence
from .resnet import Residual, SumPool

ELEMENTWISE = (
    nn.ELU,
    nn.Identity,
    nn.LeakyReLU,
    nn.ReLU,
    nn.Sigmoid,
    nn.SiLU,
    nn.Softplus,
    nn.Tanh,
    DropLast,
)
PER_CHANNEL = (nn.AvgPool2d, nn.MaxPool2d, nn.Upsample)


def foldable(part: nn.Module) -> bool:
    """Whether `fold_forward` knows every layer of this network.

    It does not know subclasses nor parametrised layers (spectral norm).
    """
    if is_sequence(part) or type(part) is Residual:
        return all(foldable(child) for child in part.children())
    if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.momentum is None:
        return False
    return type(part) in _LAYERS


def fold_forward(part: nn.Module, x: Tensor, k: int) -> Tensor:
    """Runs K copies of a network at once.

    Args:
        part: a `foldable` network whose parameters and buffers are those of its K
            copies, concatenated.
        x: one input for all copies (B, ...), if the network `reads_shared`; or folded
            inputs (see `fold`).
        k: the number of copies K.

    Returns:
        The outputs, folded (see `unfold`).
    """
    if is_sequence(part):
        for child in part.children():
            x = fold_forward(child, x, k)
        return x
    return _LAYERS[type(part)](part, x, k)


def fold(x: Tensor) -> Tensor:
    """Inputs of K networks (K, B, ...) in the form that `fold_forward` reads."""
    return x.transpose(0, 1).flatten(1, 2) if x.dim() == 5 else x


def unfold(x: Tensor, k: int) -> Tensor:
    """Outputs of `fold_forward` as (K, B, ...); no data are moved."""
    return x.unflatten(1, (k, -1)).transpose(0, 1) if x.dim() == 4 else x


def reads_shared(part: nn.Module) -> bool:
    """Whether the first layer is one that can read one input for all copies."""
    while is_sequence(part) and len(part):
        part = part[0]
    return isinstance(part, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)


def _split(x: Tensor, k: int) -> Tensor:
    """(B, K·F) → (K, B, F)."""
    return x.unflatten(1, (k, -1)).transpose(0, 1)


def _linear(layer: nn.Linear, x: Tensor, k: int) -> Tensor:
    if x.dim() == 2:
        return _split(F.linear(x, layer.weight, layer.bias), k)
    weight = layer.weight.unflatten(0, (k, -1)).mT
    if layer.bias is None:
        return torch.bmm(x, weight)
    return torch.baddbmm(layer.bias.view(k, 1, -1), x, weight)


def _conv(layer: nn.Conv2d, x: Tensor, k: int) -> Tensor:
    # A shared input needs no groups: K layers that read it are one wide layer.
    groups = layer.groups * (x.shape[1] // layer.in_channels)
    return F.conv2d(
        _layout(x),
        layer.weight,
        layer.bias,
        layer.stride,
        layer.padding,
        layer.dilation,
        groups,
    )


def _conv_transpose(layer: nn.ConvTranspose2d, x: Tensor, k: int) -> Tensor:
    weight, groups = layer.weight, layer.groups * k
    if x.shape[1] == layer.in_channels and layer.groups == 1:
        # Shared input: (K·in, out) weights of K layers → (in, K·out) of one wide layer.
        weight = weight.unflatten(0, (k, -1)).transpose(0, 1).flatten(1, 2)
        groups = 1
    return F.conv_transpose2d(
        _layout(x),
        weight,
        layer.bias,
        layer.stride,
        layer.padding,  # type: ignore[arg-type]
        layer.output_padding,
        groups,
        layer.dilation,
    )


def _layout(x: Tensor) -> Tensor:
    # Grouped convolutions of few channels are fastest on CPU with the channels last.
    if x.device.type == "cpu":
        return x.contiguous(memory_format=torch.channels_last)
    return x


def _batch_norm(layer: nn.modules.batchnorm._BatchNorm, x: Tensor, k: int) -> Tensor:
    vectors = x.dim() == 3
    if vectors:
        x = x.transpose(0, 1).flatten(1)
    if layer.training and layer.num_batches_tracked is not None:
        layer.num_batches_tracked.add_(1)
    x = F.batch_norm(
        x,
        layer.running_mean,
        layer.running_var,
        layer.weight,
        layer.bias,
        layer.training or layer.running_mean is None,
        layer.momentum or 0.0,
        layer.eps,
    )
    return _split(x, k) if vectors else x


def _group_norm(layer: nn.GroupNorm, x: Tensor, k: int) -> Tensor:
    groups = layer.num_groups * k
    return F.group_norm(x, groups, layer.weight, layer.bias, layer.eps)


def _layer_norm(layer: nn.LayerNorm, x: Tensor, k: int) -> Tensor:
    x = F.layer_norm(x, layer.normalized_shape, eps=layer.eps)
    if layer.weight is not None:
        x = x * layer.weight.view(k, 1, -1)
    return x if layer.bias is None else x + layer.bias.view(k, 1, -1)


def _flatten(layer: nn.Flatten, x: Tensor, k: int) -> Tensor:
    return _split(x.flatten(1), k) if x.dim() == 4 else x


def _unflatten(layer: nn.Unflatten, x: Tensor, k: int) -> Tensor:
    return x.unflatten(2, layer.unflattened_size).transpose(0, 1).flatten(1, 2)


def _residual(layer: Residual, x: Tensor, k: int) -> Tensor:
    return fold_forward(layer.body, x, k) + fold_forward(layer.shortcut, x, k)


_LAYERS: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.Linear: _linear,
    nn.Conv2d: _conv,
    nn.ConvTranspose2d: _conv_transpose,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    ScaleBatchNorm2d: _batch_norm,
    nn.GroupNorm: _group_norm,
    nn.LayerNorm: _layer_norm,
    nn.Flatten: _flatten,
    nn.Unflatten: _unflatten,
    Residual: _residual,
    SumPool: lambda layer, x, k: _split(layer(x), k),
    **{kind: (lambda layer, x, k: layer(x)) for kind in ELEMENTWISE + PER_CHANNEL},
}
