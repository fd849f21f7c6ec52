"""Banks against plain loops: outputs, gradients and batch statistics."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from multigan_lib.nets import (
    DCGANDiscriminator,
    DCGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
    ResNetDiscriminator,
    ResNetGenerator,
    bank,
)
from multigan_lib.nets.bank import Bank

K, B = 3, 4

GENERATORS = {
    "mlp": lambda: MLPGenerator(5, 2, (7, 6, 5)),
    "mlp, one hidden layer": lambda: MLPGenerator(5, 2, (7,)),
    "dcgan": lambda: DCGANGenerator((3, 32, 32), 5, width=2),
    "dcgan, grey, offset fixed": lambda: DCGANGenerator(
        (1, 16, 16), 5, 3, offset=False
    ),
    "resnet": lambda: ResNetGenerator((1, 32, 32), 5, width=2),
}
DISCRIMINATORS = {
    "mlp": lambda: MLPDiscriminator(2, (7, 5)),
    "mlp, batch": lambda: MLPDiscriminator(2, (7, 5), outputs=2, norm="batch"),
    "mlp, layer": lambda: MLPDiscriminator(2, (7, 5), norm="layer"),
    "dcgan": lambda: DCGANDiscriminator((3, 16, 16), 3),
    "dcgan, layer": lambda: DCGANDiscriminator((1, 16, 16), 3, 4, norm="layer"),
    "dcgan, spectral": lambda: DCGANDiscriminator((1, 16, 16), 3, norm="spectral"),
    "resnet": lambda: ResNetDiscriminator((3, 32, 32), 3, norm="none"),
}


@pytest.fixture(autouse=True)
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(params=["folded", "loop"])
def path(request, monkeypatch):
    """Both ways to evaluate a bank, whatever the rule would choose."""
    limit = float("inf") if request.param == "folded" else 0.0
    monkeypatch.setattr(bank, "FOLD_BELOW", {"cpu": (limit, limit)})
    return request.param


def different(make, count=K):
    """Networks whose every parameter differs, with no zeros and ones left."""
    nets = [make() for _ in range(count)]
    for net in nets:
        for parameter in net.parameters():
            parameter.data += 0.2 * torch.randn_like(parameter)
    return nets


def share(nets, policy):
    """The networks a bank stands for: the shared parts are the first network's."""
    nets = [copy.deepcopy(net) for net in nets]
    names = [name for name, _ in nets[0].named_children()]
    shared = {"own_first": names[1:], "own_last": names[:-1], "own_all": []}[policy]
    for net in nets[1:]:
        for name in shared:
            setattr(net, name, getattr(nets[0], name))
    return nets


def reference(nets, policy, x):
    """The plain program that defines each policy; x is (B, ...) or (K, B, ...)."""
    one = x.dim() in (2, 4)
    each = [x] * len(nets) if one else list(x)
    if policy == "own_all":
        return torch.stack([net(one) for net, one in zip(nets, each, strict=True)])
    first, *rest = nets[0].children()
    if policy == "own_first":
        firsts = [next(net.children()) for net in nets]
        h = torch.cat([own(one) for own, one in zip(firsts, each, strict=True)])
        return torch.stack(nn.Sequential(*rest)(h).chunk(len(nets)))
    h = nn.Sequential(first, *rest[:-1])(x if one else x.flatten(0, 1))
    rows = [h] * len(nets) if one else h.chunk(len(nets))
    lasts = [list(net.children())[-1] for net in nets]
    return torch.stack([own(row) for own, row in zip(lasts, rows, strict=True)])


def check(nets, policy, x):
    nets = share(nets, policy)
    made = Bank(nets, policy=policy)
    y, expected = made(x), reference(nets, policy, x)
    assert y.shape == expected.shape
    torch.testing.assert_close(y, expected, rtol=1e-9, atol=1e-9)

    weights = torch.randn_like(expected)
    (y * weights).sum().backward()
    (expected * weights).sum().backward()
    for mine, net in zip(made._nets, nets, strict=True):
        for (name, parameter), expected in zip(
            mine.named_parameters(), net.parameters(), strict=True
        ):
            torch.testing.assert_close(
                parameter.grad, expected.grad, rtol=1e-8, atol=1e-8, msg=name
            )
    for k, net in enumerate(nets):
        alone = made.network(k)
        for (name, buffer), (_, expected) in zip(
            alone.named_buffers(), net.named_buffers(), strict=True
        ):
            assert buffer.shape == expected.shape
            torch.testing.assert_close(buffer, expected, msg=f"{name} of network {k}")


@pytest.mark.parametrize("shared", [True, False], ids=["one z", "z each"])
@pytest.mark.parametrize("policy", bank.POLICIES)
@pytest.mark.parametrize("kind", GENERATORS)
def test_generators_equal_the_reference(kind, policy, shared, path):
    z = torch.randn(B, 5) if shared else torch.randn(K, B, 5)
    check(different(GENERATORS[kind]), policy, z)


@pytest.mark.parametrize("shared", [True, False], ids=["one x", "x each"])
@pytest.mark.parametrize("policy", ["own_last", "own_all"])
@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_discriminators_equal_the_reference(kind, policy, shared, path):
    nets = different(DISCRIMINATORS[kind])
    shape = nets[0].shape
    check(nets, policy, torch.randn(*((B,) if shared else (K, B)), *shape))


@pytest.mark.parametrize("policy", bank.POLICIES)
def test_float32_equals_the_reference(policy, path):
    torch.set_default_dtype(torch.float32)
    nets = share([DCGANGenerator((3, 32, 32), 16, 8) for _ in range(K)], policy)
    z = torch.randn(16, 16)
    torch.testing.assert_close(
        Bank(nets, policy=policy)(z), reference(nets, policy, z), rtol=1e-5, atol=1e-5
    )


def test_input_gradient_and_its_gradient_equal_the_reference(path):
    """What a gradient penalty on a bank of critics needs."""
    nets = different(lambda: DCGANDiscriminator((1, 16, 16), 2, norm="layer"))
    made = Bank(nets)
    x = torch.randn(B, 1, 16, 16, requires_grad=True)
    penalties = []
    for y in (made(x), torch.stack([net(x) for net in nets])):
        (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        penalties.append(slope.square().sum())
        penalties[-1].backward()
    torch.testing.assert_close(*penalties)
    for mine, net in zip(made.own, nets, strict=True):
        for parameter, expected in zip(
            mine.parameters(), net.parameters(), strict=True
        ):
            torch.testing.assert_close(parameter.grad, expected.grad)


@pytest.mark.parametrize("settings", [
    {"kernel_size": 4, "stride": 2, "padding": 1},
    {"kernel_size": (3, 2), "stride": (2, 1), "padding": (0, 1), "bias": False},
    {"kernel_size": 3, "dilation": (1, 2)},
])  # fmt: skip
@pytest.mark.parametrize("learns", ["images", "layers", "both"])
def test_convolutions_of_images_equal_the_layers(settings, learns, path):
    """Values, and the gradients that are asked for, of images that are not square."""
    nets = different(lambda: nn.Sequential(nn.Conv2d(3, 5, **settings), nn.Tanh()))
    made = Bank(nets).requires_grad_(learns != "images")
    plain = copy.deepcopy(made.own)
    x = torch.randn(B, 3, 9, 7, requires_grad=learns != "layers")
    y, expected = made(x), torch.stack([net(x) for net in plain])
    torch.testing.assert_close(y, expected)
    weights = torch.randn_like(y)
    leaves = [
        [*([x] if x.requires_grad else []), *(p for p in part.parameters())]
        for part in (made, plain)
    ]
    for mine, theirs in zip(
        *(
            torch.autograd.grad(
                (out * weights).sum(), [t for t in tensors if t.requires_grad]
            )
            for out, tensors in zip((y, expected), leaves, strict=True)
        ),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs)


def test_convolutions_of_images_in_half_precision(path):
    torch.set_default_dtype(torch.float32)
    made = Bank(lambda: DCGANDiscriminator((1, 16, 16), 3), K)
    x = torch.randn(B, 1, 16, 16, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = made(x)
    y.sum().backward()
    assert x.grad.dtype == torch.float32 and x.grad.isfinite().all()


def test_other_paddings_are_not_folded(path):
    nets = different(lambda: nn.Conv2d(3, 2, 3, padding=1, padding_mode="reflect"))
    x = torch.randn(B, 3, 6, 6, requires_grad=True)
    torch.testing.assert_close(Bank(nets)(x), torch.stack([net(x) for net in nets]))


@pytest.mark.parametrize("policy", bank.POLICIES)
@pytest.mark.parametrize("kind", GENERATORS)
def test_features_are_a_stop_on_the_way(kind, policy, path):
    made = Bank(different(GENERATORS[kind]), policy=policy).eval()
    z = torch.randn(B, 5)
    features = made.features(z)
    assert features.shape[:2] == (K, B)
    assert features[0, 0].numel() == made.num_features
    torch.testing.assert_close(made.from_features(features), made(z))
    for k in range(K):
        torch.testing.assert_close(features[k], made.network(k).features(z))


@pytest.mark.parametrize("policy", bank.POLICIES)
@pytest.mark.parametrize("kind", GENERATORS)
def test_pick(kind, policy, path):
    made = Bank(different(GENERATORS[kind]), policy=policy)
    made(torch.randn(B, 5))  # moves the running statistics
    made.eval()
    z, source = torch.randn(6, 5), torch.tensor([2, 0, 0, 2, 2, 0])
    expected = made(z)[source, torch.arange(6)]
    torch.testing.assert_close(made.pick(z, source), expected)
    features = made.features(z)[source, torch.arange(6)]
    torch.testing.assert_close(made.pick_from_features(features, source), expected)


def test_pick_runs_the_chosen_only():
    """Each on its own inputs, at once."""
    made = Bank(lambda: MLPGenerator(5, 2, (4,)), K).eval()
    seen = {}
    for k, net in enumerate(made.own):
        net.first.register_forward_hook(
            lambda *call, k=k: seen.update({k: len(call[2])})
        )
    made.pick(torch.randn(5, 5), torch.tensor([1, 1, 2, 1, 1]))
    assert seen == {1: 4, 2: 1}


def test_pick_checks_its_arguments():
    made = Bank(lambda: MLPGenerator(5), K)
    z = torch.randn(4, 5)
    with pytest.raises(RuntimeError, match=r"eval\(\)"):
        made.pick(z, torch.zeros(4, dtype=torch.int64))
    made.eval()
    with pytest.raises(ValueError, match="one source an input"):
        made.pick(z, torch.zeros(3, dtype=torch.int64))
    for source in (K, -1):
        with pytest.raises(ValueError, match="from 0 to 2"):
            made.pick(z, torch.tensor([0, 0, 1, source]))


@pytest.mark.parametrize("policy", bank.POLICIES)
def test_network_gives_back_what_the_bank_was_made_from(policy):
    nets = share(different(GENERATORS["dcgan"]), policy)
    made = Bank(nets, policy=policy)
    for k, net in enumerate(nets):
        alone = made.network(k)
        assert type(alone) is type(net) and repr(alone) == repr(net)
        state = net.state_dict()
        assert alone.state_dict().keys() == state.keys()
        for name, tensor in alone.state_dict().items():
            assert torch.equal(tensor, state[name]), name
    alone.first[0].weight.data.zero_()
    assert made.network(2).first[0].weight.abs().min() > 0
    with pytest.raises(IndexError, match="network 3 in a bank of 3"):
        made.network(3)


def test_factory_networks_are_initialised_independently():
    made = Bank(lambda: MLPGenerator(5), K, "own_first")
    first = [made.network(k).first[0][0].weight for k in range(K)]
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[1], first[2])


@pytest.mark.parametrize("policy", bank.POLICIES)
def test_state_round_trip_and_channels_last(policy, path):
    made = Bank(GENERATORS["dcgan"], K, policy)
    z = torch.randn(B, 5)
    made(z)
    again = Bank(GENERATORS["dcgan"], K, policy)
    again.load_state_dict(made.state_dict())
    made.eval(), again.eval()
    assert torch.equal(again(z), made(z))
    expected = made(z)
    torch.testing.assert_close(made.to(memory_format=torch.channels_last)(z), expected)
    torch.testing.assert_close(copy.deepcopy(made)(z), expected)


def test_one_optimizer_step_equals_k_optimizers(path):
    nets = different(GENERATORS["dcgan"])
    made = Bank(nets)
    z = torch.randn(B, 5)
    for module in (made, *nets):
        module(z).square().sum().backward()
        torch.optim.Adam(module.parameters(), lr=1e-2, fused=True).step()
    for k, net in enumerate(nets):
        for mine, theirs in zip(
            made.network(k).parameters(), net.parameters(), strict=True
        ):
            torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)


def test_a_fixed_offset_stays_fixed():
    made = Bank(GENERATORS["dcgan, grey, offset fixed"], K)
    made.requires_grad_(True)
    made(torch.randn(B, 5)).sum().backward()
    for net in made.own:
        assert not net.trunk[0][1].bias.requires_grad
        assert not net.trunk[0][1].bias.any()


class Own(nn.Module):
    """A network that the bank knows nothing about."""

    latent_size = 5

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 2)
        self.scale = nn.Parameter(torch.rand(()))

    def forward(self, z):
        return self.scale * self.layer(z).sin()


def test_any_module_can_own_all(path):
    nets = [Own() for _ in range(K)]
    check(nets, "own_all", torch.randn(B, 5))
    assert Bank(nets).network(1).scale.shape == ()


def test_plain_sequences_can_share(path):
    def make():
        return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))

    for policy in bank.POLICIES:
        check(different(make), policy, torch.randn(K, B, 5))


def test_a_bank_of_one_is_the_network():
    net = GENERATORS["dcgan"]()
    made = Bank([copy.deepcopy(net)])
    z = torch.randn(B, 5)
    torch.testing.assert_close(made(z), net(z)[None])
    torch.testing.assert_close(made(z[None]), net(z)[None])
    assert len(made) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((GENERATORS["mlp"], 0), "one network or more, got count=0"),
        ((GENERATORS["mlp"],), "one network or more, got count=None"),
        (([],), "one network or more, got count=0"),
        (([MLPGenerator()], 2), "count=2, but 1 networks"),
        ((GENERATORS["mlp"], 2, "own_some"), "unknown policy 'own_some'"),
        (([MLPGenerator(4), MLPGenerator(5)],), "network 1 differs from network 0"),
        ((Own, 2, "own_first"), "first and last part"),
        ((nn.Identity, 2), "cannot tell what a Identity reads"),
    ],
)
def test_bad_settings(arguments, message):
    with pytest.raises(ValueError, match=message):
        Bank(*arguments)


def test_a_function_must_make_new_networks():
    net = GENERATORS["mlp"]()
    with pytest.raises(ValueError, match="a new network at each call"):
        Bank(lambda: net, K)


@pytest.mark.parametrize("shape", [(5,), (K + 1, B, 5), (K, B, 5, 1)])
def test_bad_inputs(shape):
    with pytest.raises(ValueError, match="expected inputs of 2 axes"):
        Bank(GENERATORS["mlp"], K)(torch.randn(shape))


def test_discriminators_have_no_features():
    with pytest.raises(TypeError, match="only generators"):
        Bank(DISCRIMINATORS["dcgan"], K).features(torch.randn(B, 3, 16, 16))


def test_parts_are_registered_once():
    made = Bank(GENERATORS["dcgan"], K, "own_first")
    tensors = list(made.state_dict().values())
    assert len({tensor.data_ptr() for tensor in tensors}) == len(tensors)
    single = GENERATORS["dcgan"]()
    count = sum(p.numel() for p in single.first.parameters())
    rest = sum(p.numel() for p in single.parameters()) - count
    assert sum(p.numel() for p in made.parameters()) == K * count + rest


def test_the_given_networks_are_left_alone():
    nets = different(GENERATORS["dcgan"])
    made = Bank(nets, policy="own_first")
    made(torch.randn(B, 5)).sum().backward()
    assert nets[0].trunk is not nets[1].trunk
    assert nets[0].first[0].weight.grad is None
    assert not nets[0].first[2].running_mean.any()


def test_work():
    net = DCGANGenerator((1, 16, 16), 5, width=4)
    by_hand = (5 + 80) * 128 + 8 * 4 * 16 * 16 + 4 * 16 * 64
    assert bank.work(net, torch.randn(1, 5)) == by_hand
    net = DCGANDiscriminator((3, 16, 16), 4)
    by_hand = 3 * 4 * 16 * 64 + 4 * 8 * 16 * 16 + 8 * 16 + 80
    assert bank.work(net, torch.randn(1, 3, 16, 16)) == by_hand


def test_only_small_networks_are_folded(monkeypatch):
    """The rule knows sizes, not times: the same run takes the same path again."""
    net = GENERATORS["dcgan"]()
    size = B * bank.work(copy.deepcopy(net), torch.randn(1, 5))
    size += 32 * sum(parameter.numel() for parameter in net.parameters())
    monkeypatch.setattr(bank, "FOLD_BELOW", {"cpu": (0.0, size + 1)})
    folded = []
    monkeypatch.setattr(
        bank, "fold_forward", lambda plan, x: folded.append(x) or torch.zeros(K, 2, 3)
    )
    made = Bank(GENERATORS["dcgan"], K)
    made(torch.randn(B, 5))
    assert len(folded) == 1
    made(torch.randn(B + 1, 5))
    assert len(folded) == 1
