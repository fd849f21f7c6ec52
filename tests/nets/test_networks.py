"""Shapes, ranges, initialisation and bad settings of the single networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

import multigan_lib as mg
from multigan_lib.nets import (
    Classifier,
    DCGANDiscriminator,
    DCGANGenerator,
    Generator,
    MLPDiscriminator,
    MLPGenerator,
    ResNetDiscriminator,
    ResNetGenerator,
    discriminator_for,
    generator_for,
)
from multigan_lib.nets.mlp import hidden_layers

SHAPES = [(2,), (3,)] + [(c, s, s) for c in (1, 3) for s in (16, 32, 48, 64)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_generators_make_samples_of_the_shape(shape):
    net = generator_for(shape, latent_size=6, width=3)
    x = net(torch.randn(5, 6))
    assert x.shape == (5, *shape)
    assert net.shape == shape and net.latent_size == 6
    if len(shape) == 3:
        assert x.abs().max() <= 1


@pytest.mark.parametrize("norm", [None, "none", "batch", "layer", "spectral"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_discriminators_give_logits(shape, norm):
    x = torch.randn(5, *shape)
    assert discriminator_for(shape, width=2, norm=norm)(x).shape == (5,)
    net = discriminator_for(shape, width=2, outputs=4, norm=norm)
    logits = net(x)
    assert logits.shape == (5, 4) and net.outputs == 4
    net.eval()
    features = net.trunk(x)
    assert features.shape == (5, net.num_features)
    torch.testing.assert_close(net.head(features), net(x))


@pytest.mark.parametrize(
    "net",
    [
        MLPGenerator(6),
        MLPGenerator(6, hidden=(8,)),
        MLPGenerator(6, hidden=(8, 9, 10)),
        *(DCGANGenerator((1, s, s), 6, width=2) for s in (16, 32, 48, 64)),
        ResNetGenerator(latent_size=6, width=4),
    ],
    ids=lambda net: f"{type(net).__name__} {net.shape}",
)
def test_features_lie_on_the_way_to_the_sample(net):
    net.eval()
    z = torch.randn(5, 6)
    features = net.features(z)
    assert features.shape[0] == 5 and features[0].numel() == net.num_features
    torch.testing.assert_close(net.from_features(features), net(z))


@pytest.mark.parametrize(("size", "features"), [(32, 8192), (64, 16384)])
def test_megan_reads_as_many_features_as_its_paper_says(size, features):
    """MEGAN's k: 8,192 for CIFAR-10, 16,384 for CelebA, after a ReLU."""
    net = DCGANGenerator((3, size, size), 8, width=64)
    x = net.features(torch.randn(2, 8))
    assert x[0].numel() == net.num_features == features
    assert x.min() == 0


def test_layers_of_a_dcgan():
    """By hand: 4×4×4w, 8×8×2w, 16×16×w and back, 4×4 kernels."""
    generator = DCGANGenerator((3, 32, 32), 100, width=8)
    of_layers = [
        tuple(layer.weight.shape)
        for layer in generator.modules()
        if isinstance(layer, nn.Linear | nn.ConvTranspose2d)
    ]
    assert of_layers == [(512, 100), (32, 16, 4, 4), (16, 8, 4, 4), (8, 3, 4, 4)]
    discriminator = DCGANDiscriminator((3, 32, 32), width=8)
    of_layers = [
        tuple(layer.weight.shape)
        for layer in discriminator.modules()
        if isinstance(layer, nn.Linear | nn.Conv2d)
    ]
    assert of_layers == [(8, 3, 4, 4), (16, 8, 4, 4), (32, 16, 4, 4), (1, 512)]
    norms = [
        layer.num_features
        for layer in discriminator.modules()
        if isinstance(layer, nn.BatchNorm2d)
    ]
    assert norms == [16, 32], "none on the first layer"


def test_default_widths():
    assert generator_for((2,)).latent_size == 128
    assert [layer.out_features for layer in linear_layers(generator_for((2,)))] == [
        128,
        128,
        2,
    ]
    assert [layer.out_features for layer in linear_layers(discriminator_for((2,)))] == [
        128,
        1,
    ]
    for size, width in ((16, 32), (32, 32), (48, 64), (64, 64)):
        generator = generator_for((3, size, size))
        assert generator.last[0].in_channels == width
        assert generator.latent_size == 100
        assert discriminator_for((3, size, size)).trunk[0][0].out_channels == width


def linear_layers(net):
    return [layer for layer in net.modules() if isinstance(layer, nn.Linear)]


@pytest.mark.parametrize(
    "net",
    [
        generator_for((2,)),
        discriminator_for((2,), width=512),
        generator_for((3, 32, 32)),
        discriminator_for((3, 32, 32)),
    ],
    ids=lambda net: type(net).__name__,
)
def test_weights_begin_normal_with_deviation_002(net):
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            n = layer.weight.numel()
            if n > 1000:
                assert layer.weight.std().item() == pytest.approx(
                    0.02, abs=0.1 / n**0.5
                )
                assert layer.weight.mean().abs() < 0.1 / n**0.5
            assert layer.bias is None or not layer.bias.any()
        elif isinstance(layer, nn.BatchNorm2d):
            assert (layer.weight == 1).all() and not layer.bias.any()


def test_offset_can_be_fixed_at_zero():
    """The trunk's batch norms have none; the first layer's learns one all the same."""
    net = generator_for((1, 32, 32), 6, width=2, offset=False)
    names = [name for name, _ in net.named_parameters() if "bias" in name]
    assert names == ["first.2.bias", "last.0.bias"]
    free = generator_for((1, 32, 32), 6, width=2)
    assert "trunk.0.1.bias" in dict(free.named_parameters())

    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    net(torch.randn(8, 6)).mean().backward()
    optimizer.step()
    assert not net.trunk[0][1].bias.any()
    assert (net.trunk[0][1].weight != 1).all()

    # Otherwise an ordinary batch norm.
    free.load_state_dict(net.state_dict(), strict=False)
    z = torch.randn(8, 6)
    torch.testing.assert_close(net(z), free(z))


@pytest.mark.parametrize(
    "net",
    [
        MLPDiscriminator(norm="spectral"),
        DCGANDiscriminator((1, 16, 16), 4, norm="spectral"),
        ResNetDiscriminator(width=4),
    ],
    ids=lambda net: type(net).__name__,
)
def test_spectral_norm_of_every_layer_is_one(net):
    layers = [m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert all(is_parametrized(layer, "weight") for layer in layers)
    for _ in range(60):
        net(torch.randn(2, *net.shape))
    for layer in layers:
        norm = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
        assert norm.item() == pytest.approx(1.0, abs=0.02)


def test_layer_norm_treats_samples_one_by_one():
    """What a gradient penalty needs, and what batch norm does not do."""
    x = torch.randn(6, 1, 16, 16)
    for norm, alone in (("layer", True), ("none", True), ("batch", False)):
        net = DCGANDiscriminator((1, 16, 16), 4, norm=norm)
        same = torch.allclose(net(x)[:3], net(x[:3]), rtol=1e-4, atol=1e-6)
        assert same == alone


def test_resnet_pair():
    x = ResNetGenerator((3, 32, 32), 8, width=4)(torch.randn(2, 8))
    assert x.shape == (2, 3, 32, 32) and x.abs().max() <= 1
    for norm in ("spectral", "none"):
        assert ResNetDiscriminator((3, 32, 32), 4, norm=norm)(x).shape == (2,)
        net = ResNetDiscriminator((3, 32, 32), 4, outputs=3, norm=norm)
        assert net(x).shape == (2, 3)
    fixed = ResNetGenerator((1, 32, 32), 8, width=4, offset=False)
    assert not [name for name, _ in fixed.named_parameters() if "last.0.bias" in name]


def test_hidden_layers_with_batch_norm():
    net = hidden_layers([7, 6, 5], "batch")
    assert net(torch.randn(4, 7)).shape == (4, 5)
    assert [type(layer) for layer in net[0]] == [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert len(hidden_layers([7])) == 0


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64)])
def test_classifier_shapes(shape):
    net = Classifier(shape, classes=7, width=2, num_features=5).eval()
    x = torch.rand(3, *shape) * 2 - 1
    assert net(x).shape == (3, 7)
    features = net.features(x)
    assert features.shape == (3, net.num_features) == (3, 5)
    assert features.min() >= 0
    torch.testing.assert_close(net.head(features), net(x))


def test_classifier_learns_bars_in_seconds():
    """Horizontal against vertical bars in noise: sixty steps are enough."""

    def bars(n):
        x = torch.randn(n, 1, 16, 16)
        labels = torch.arange(n) % 2
        position = torch.randint(16, (n,))
        for i in range(n):
            (x[i, 0] if labels[i] else x[i, 0].T)[position[i]] += 3.0
        return x, labels

    net = Classifier((1, 16, 16), classes=2, width=4, num_features=16)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(60):
        x, labels = bars(64)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), labels).backward()
        optimizer.step()
    x, labels = bars(400)
    assert (net.eval()(x).argmax(1) == labels).float().mean() > 0.95


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: generator_for((1, 28, 28)), "28×28 .* image_size=32"),
        (lambda: generator_for((1, 8, 8)), "8×8 .* image_size=16"),
        (lambda: generator_for((3, 218, 178)), "218×178 .* image_size=64"),
        (lambda: generator_for((2, 32, 32)), r"C = 1 or 3 .* \(2, 32, 32\)"),
        (lambda: generator_for((32, 32)), "shape"),
        (lambda: generator_for((1, 16, 16), width=0), "width"),
        (lambda: generator_for((2,), width=0), "width"),
        (lambda: generator_for((2,), latent_size=0), "latent_size"),
        (lambda: generator_for((1, 16, 16), latent_size=0), "latent_size"),
        (lambda: discriminator_for((1, 28, 28)), "image_size=32"),
        (lambda: discriminator_for((1, 16, 16), norm="batc"), "unknown norm 'batc'"),
        (lambda: discriminator_for((2,), norm="instance"), "unknown norm"),
        (lambda: discriminator_for((2,), outputs=0), "outputs"),
        (lambda: MLPGenerator(hidden=()), "hidden layer"),
        (lambda: ResNetGenerator((3, 64, 64)), "64"),
        (lambda: ResNetDiscriminator(norm="batch"), "batch"),
        (lambda: Classifier((1, 16, 16), 1), "two classes"),
        (lambda: Classifier((2,), 4), r"\(2,\)"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_generators_are_sequences_of_three_parts():
    for shape in ((2,), (1, 32, 32)):
        net = generator_for(shape, 6, width=2)
        assert isinstance(net, Generator)
        assert [name for name, _ in net.named_children()] == ["first", "trunk", "last"]


@pytest.mark.parametrize("shape", [(2,), (1, 16, 16)])
def test_a_family_of_discriminators_differs_where_it_is_asked_to(shape):
    alike = mg.nets.discriminators_for(shape, 3, width=4, outputs=2)
    assert isinstance(alike, mg.nets.Bank) and alike.outputs == 2
    options = {"width": [2, 4, 8], "dropout": (0.0, 0.3, 0.5), "depth": 1}
    family = mg.nets.discriminators_for(shape, 3, **options)
    assert isinstance(family, mg.nets.Ensemble) and len(family) == 3
    rates = [
        [m.p for m in net.modules() if isinstance(m, nn.Dropout)] for net in family.own
    ]
    assert rates == [[], [0.3], [0.5]]
    x = torch.rand(6, *shape)
    family.eval()
    rows = torch.stack([family.network(k)(x) for k in range(3)])
    assert family(x).shape == (3, 6) and torch.equal(family(x), rows)
    each = torch.stack([x[:2], x[2:4], x[4:]])
    parts = torch.stack([family.own[k](each[k]) for k in range(3)])
    assert torch.equal(family(each), parts)
    with pytest.raises(ValueError, match="inputs for 2 networks"):
        family(each[:2])
    with pytest.raises(ValueError, match="width has 2 values for 3 disc"):
        mg.nets.discriminators_for(shape, 3, width=[1, 2])
    with pytest.raises(ValueError, match="no option heads"):
        mg.nets.discriminators_for(shape, 3, heads=2)
    for wrong in ({"dropout": 1.0}, {"depth": 0}, {"depth": -1}):
        with pytest.raises(ValueError, match=r"dropout|depth"):
            mg.nets.discriminators_for(shape, 3, **wrong)


def test_dropout_drops_in_training_only_and_a_shallow_network_ends_early():
    torch.manual_seed(0)
    net = mg.nets.discriminator_for((1, 32, 32), width=4, dropout=0.5, depth=2)
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 2 and net.num_features == 8 * 8 * 8
    x = torch.rand(4, 1, 32, 32)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))


def test_a_convolution_over_the_whole_map_is_a_fully_connected_layer():
    net = mg.nets.discriminator_for((1, 32, 32), width=4)
    features = torch.randn(5, net.num_features)
    linear = net.head[0]
    whole = nn.functional.conv2d(
        features.view(5, 16, 4, 4), linear.weight.view(1, 16, 4, 4), linear.bias
    )
    assert torch.allclose(whole.flatten(), net.head(features), atol=1e-6)


def test_gradients_keep_the_layout_of_feature_maps():
    last = torch.channels_last
    net = DCGANDiscriminator((3, 32, 32), 4).to(memory_format=last)
    layouts = []
    net.trunk[2].register_full_backward_hook(
        lambda module, _, gradients: layouts.append(gradients[0])
    )
    net(torch.randn(2, 3, 32, 32).contiguous(memory_format=last)).sum().backward()
    assert layouts[0].is_contiguous(memory_format=last)
    assert not layouts[0].is_contiguous()


@pytest.mark.parametrize("outputs", [1, 4, 9])
def test_a_projection_needs_an_output_for_each_class(outputs):
    network = discriminator_for((2,), 4, outputs=outputs)
    labelled = mg.nets.Projection(network, classes=4)
    with pytest.raises(ValueError, match=r"1 \+ 4 numbers a sample, \(6, 5\); got \(6"):
        labelled(torch.zeros(6, 2), torch.zeros(6, dtype=torch.int64))
