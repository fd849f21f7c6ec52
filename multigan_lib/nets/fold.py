"""K networks of one architecture run as one, layer by layer.

With their weights concatenated along the first axis, K linear layers are one `baddbmm`,
K convolutions one grouped convolution, whose weights lie exactly so, and K batch
normalisations of C channels one of K·C channels. Data are in one of these forms:

    ======  =========  ==============================================
    form    vectors    feature maps
    ======  =========  ==============================================
    shared  (B, F)     (B, C, H, W), read by all K networks
    folded  (K, B, F)  (B, K·C, H, W), the channels of network 0 first
    ======  =========  ==============================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight
from torch.nn.modules.batchnorm import _BatchNorm

from .base import DropLast, Flatten, ScaleBatchNorm2d, is_sequence
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


Plan = list[tuple[Callable[..., Tensor], tuple[nn.Module, ...]]]


def foldable(net: nn.Module) -> bool:
    """Whether `fold_forward` knows every layer of this network.

    It does not know subclasses nor parametrised layers (spectral norm).
    """
    if is_sequence(net) or type(net) is Residual:
        return all(foldable(child) for child in net.children())
    if isinstance(net, _BatchNorm) and net.momentum is None:
        return False
    if isinstance(net, nn.Conv2d) and net.padding_mode != "zeros":
        return False
    return type(net) in _LAYERS


def fold_plan(nets: Sequence[nn.Module]) -> Plan:
    """What `fold_forward` does, step by step, for K `foldable` networks."""
    if is_sequence(nets[0]):
        layers = zip(*(net.children() for net in nets), strict=True)
        return [step for layer in layers for step in fold_plan(layer)]
    return [(_LAYERS[type(nets[0])], tuple(nets))]


def fold_forward(plan: Plan, x: Tensor) -> Tensor:
    """Runs K networks of one architecture at once.

    Args:
        plan: of the networks.
        x: one input for all (B, ...), if the networks can `read_shared`; or folded
            inputs (see `fold`).

    Returns:
        The outputs, folded (see `unfold`).
    """
    for function, layers in plan:
        x = function(layers, x)
    return x


def fold(x: Tensor) -> Tensor:
    """Inputs of K networks (K, B, ...) in the form that `fold_forward` reads."""
    return x.transpose(0, 1).flatten(1, 2) if x.dim() == 5 else x


def unfold(x: Tensor, k: int) -> Tensor:
    """Outputs of `fold_forward` as (K, B, ...); no data are moved."""
    return x.unflatten(1, (k, -1)).transpose(0, 1) if x.dim() == 4 else x


def reads_shared(net: nn.Module) -> bool:
    """Whether the first layer is one that can read one input for all copies."""
    while is_sequence(net) and len(net):
        net = net[0]
    return isinstance(net, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)


def split_first(net: nn.Module) -> tuple[nn.Module, nn.Sequential]:
    """The layer that a network applies first, and the rest of it."""
    rest: list[nn.Module] = []
    while is_sequence(net) and len(net):
        net, *after = net
        rest = [*after, *rest]
    return net, nn.Sequential(*rest)


def reads_images(layer: nn.Module) -> bool:
    """Whether `convolve_images` knows the layer and is made for it."""
    return (
        type(layer) is nn.Conv2d
        and foldable(layer)
        and layer.in_channels <= 4
        and layer.groups == 1
        and not isinstance(layer.padding, str)
    )


def convolve_images(layers: Sequence[nn.Conv2d], x: Tensor) -> Sequence[Tensor]:
    """What K convolutions make of the same images, the channels last in memory.

    Args:
        layers: K convolutions that `reads_images`.
        x: (B, C, H, W).

    Returns:
        K feature maps (B, F, H', W').
    """
    # A clone, because to `contiguous` a single channel is the last one already.
    x = x.clone(memory_format=torch.channels_last)
    if not _learns(x):
        return [layer(x) for layer in layers]
    weights, biases = zip(*((one.weight, one.bias) for one in layers), strict=True)
    return _ImageConvolutions.apply(x, _geometry(layers[0]), *weights, *biases)


class _ImageConvolutions(torch.autograd.Function):
    """Convolutions of the same images, whose own gradient is a matrix product.

    The CPU's convolutions work on blocks of 16 channels, of which images fill one or
    three: the gradient of images, from which a generator learns, takes them longer than
    all else. By hand it is the sum over the layers of (feature maps × weights), of
    which the overlapping patches are added up once.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, geometry: Sequence, *parameters: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.geometry = geometry
        ctx.save_for_backward(x, *parameters)
        k = len(parameters) // 2
        pairs = zip(parameters[:k], parameters[k:], strict=True)
        return tuple(F.conv2d(x, *pair, *geometry) for pair in pairs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, *parameters = ctx.saved_tensors
        stride, padding, dilation = ctx.geometry
        k = len(gradients)
        weights, needed = parameters[:k], ctx.needs_input_grad
        of_x = None
        if needed[0]:
            patches = sum(
                g.permute(0, 2, 3, 1).flatten(0, 2) @ weight.flatten(1).to(g.dtype)
                for g, weight in zip(gradients, weights, strict=True)
            ).unflatten(0, (len(x), -1))
            kernel = weights[0].shape[2:]
            of_x = F.fold(patches.mT, x.shape[2:], kernel, dilation, padding, stride)
        of_weights = [
            conv2d_weight(x.to(g.dtype), weight.shape, g, stride, padding, dilation)
            if need
            else None
            for g, weight, need in zip(
                gradients, weights, needed[2 : 2 + k], strict=True
            )
        ]
        of_biases = [
            g.sum((0, 2, 3)) if need else None
            for g, need in zip(gradients, needed[2 + k :], strict=True)
        ]
        return of_x, None, *of_weights, *of_biases


def _geometry(layer: nn.Conv2d) -> tuple:
    return layer.stride, layer.padding, layer.dilation


def _learns(x: Tensor) -> bool:
    """Whether a gradient of these images is wanted."""
    return x.requires_grad and torch.is_grad_enabled()


def _all(layers: Sequence[nn.Module], name: str) -> Any:
    """A parameter or buffer of all layers, concatenated; None where there is none."""
    values = [getattr(layer, name) for layer in layers]
    return None if values[0] is None else torch.cat(values)


def _split(x: Tensor, k: int) -> Tensor:
    """(B, K·F) → (K, B, F)."""
    return x.unflatten(1, (k, -1)).transpose(0, 1)


def _linear(layers: Sequence[nn.Linear], x: Tensor) -> Tensor:
    k, weight, bias = len(layers), _all(layers, "weight"), _all(layers, "bias")
    if x.dim() == 2:
        return _split(F.linear(x, weight, bias), k)
    weight = weight.unflatten(0, (k, -1)).mT
    if bias is None:
        return torch.bmm(x, weight)
    return torch.baddbmm(bias.view(k, 1, -1), x, weight)


def _conv(layers: Sequence[nn.Conv2d], x: Tensor) -> Tensor:
    one = layers[0]
    # A shared input needs no groups: K layers that read it are one wide layer.
    groups = one.groups * (x.shape[1] // one.in_channels)
    weight, bias = _all(layers, "weight"), _all(layers, "bias")
    x = _layout(x)
    if x.device.type == "cpu" and reads_images(one) and groups == 1 and _learns(x):
        return _ImageConvolutions.apply(x, _geometry(one), weight, bias)[0]
    return F.conv2d(x, weight, bias, one.stride, one.padding, one.dilation, groups)


def _conv_transpose(layers: Sequence[nn.ConvTranspose2d], x: Tensor) -> Tensor:
    one = layers[0]
    bias = _all(layers, "bias")
    if x.shape[1] == one.in_channels and one.groups == 1:
        weight, groups = torch.cat([layer.weight for layer in layers], 1), 1
    else:
        weight, groups = _all(layers, "weight"), one.groups * len(layers)
    return F.conv_transpose2d(
        _layout(x),
        weight,
        bias,
        one.stride,
        one.padding,  # type: ignore[arg-type]
        one.output_padding,
        groups,
        one.dilation,
    )


def _layout(x: Tensor) -> Tensor:
    # Grouped convolutions of few channels are fastest on CPU with the channels last.
    if x.device.type == "cpu":
        return x.contiguous(memory_format=torch.channels_last)
    return x


def _batch_norm(layers: Sequence[_BatchNorm], x: Tensor) -> Tensor:
    one = layers[0]
    vectors = x.dim() == 3
    if vectors:
        x = x.transpose(0, 1).flatten(1)
    mean, variance = _all(layers, "running_mean"), _all(layers, "running_var")
    x = F.batch_norm(
        x,
        mean,
        variance,
        _all(layers, "weight"),
        _all(layers, "bias"),
        one.training or mean is None,
        one.momentum or 0.0,
        one.eps,
    )
    if one.training and mean is not None:
        for name, moved in (("running_mean", mean), ("running_var", variance)):
            own = [getattr(layer, name) for layer in layers]
            torch._foreach_copy_(own, moved.chunk(len(layers)))
        for layer in layers:
            layer.num_batches_tracked.add_(1)  # type: ignore[union-attr]
    return _split(x, len(layers)) if vectors else x


def _group_norm(layers: Sequence[nn.GroupNorm], x: Tensor) -> Tensor:
    one = layers[0]
    groups = one.num_groups * len(layers)
    weight, bias = _all(layers, "weight"), _all(layers, "bias")
    return F.group_norm(x, groups, weight, bias, one.eps)


def _layer_norm(layers: Sequence[nn.LayerNorm], x: Tensor) -> Tensor:
    x = F.layer_norm(x, layers[0].normalized_shape, eps=layers[0].eps)
    weight, bias = _all(layers, "weight"), _all(layers, "bias")
    if weight is not None:
        x = x * weight.view(len(layers), 1, -1)
    return x if bias is None else x + bias.view(len(layers), 1, -1)


def _flatten(layers: Sequence[nn.Flatten], x: Tensor) -> Tensor:
    return _split(x.flatten(1), len(layers)) if x.dim() == 4 else x


def _unflatten(layers: Sequence[nn.Unflatten], x: Tensor) -> Tensor:
    return x.unflatten(2, layers[0].unflattened_size).transpose(0, 1).flatten(1, 2)


def _residual(layers: Sequence[Residual], x: Tensor) -> Tensor:
    body = fold_forward(fold_plan([layer.body for layer in layers]), x)
    return body + fold_forward(fold_plan([layer.shortcut for layer in layers]), x)


def _sum_pool(layers: Sequence[SumPool], x: Tensor) -> Tensor:
    return _split(layers[0](x), len(layers))


def _same_for_all(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    return layers[0](x)


_LAYERS: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.Linear: _linear,
    nn.Conv2d: _conv,
    nn.ConvTranspose2d: _conv_transpose,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    ScaleBatchNorm2d: _batch_norm,
    nn.GroupNorm: _group_norm,
    nn.LayerNorm: _layer_norm,
    Flatten: _flatten,
    nn.Flatten: _flatten,
    nn.Unflatten: _unflatten,
    Residual: _residual,
    SumPool: _sum_pool,
    **dict.fromkeys(ELEMENTWISE + PER_CHANNEL, _same_for_all),
}
