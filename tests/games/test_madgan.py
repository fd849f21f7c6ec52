"""MAD-GAN: losses against plain ones, the real weight's optimum, the judge's logit."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

import multigan_lib as mg
from multigan_lib.datasets import Batch

IMAGES = (1, 16, 16)
POLICIES = ("own_last", "own_all", "own_first")


@pytest.fixture
def double():
    """Weights, noise and data in float64, where equal sums agree to 1e-6 and better."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def batch(shape=(2,), n=30, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Batch(torch.randn(n, *shape, generator=generator).clamp(-1, 1), None)


def make(shape=(2,), **options):
    """A small game of three generators whose logits are not all near zero."""
    options = {"generators": 3, "width": 4, "latent_size": 6, "seed": 1, **options}
    game = mg.games.MADGAN(shape, **options)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in game.parameters():
            if weight.ndim > 1:
                weight.copy_(0.5 * torch.randn(weight.shape, generator=generator))
    return game


def plain_fakes(game, z):
    """Every generator's samples (K, B, ...), from one z (B, 6) or (K, B, 6)."""
    own, shared = game.generator.own, getattr(game.generator, "shared", None)
    count = len(own)
    if game.generator.policy == "own_all":
        rows = z if z.ndim == 3 else [z] * count
        return torch.stack([own[k](rows[k]) for k in range(count)])
    if game.generator.policy == "own_first":
        rows = z if z.ndim == 3 else [z] * count
        hidden = torch.cat([own[k](rows[k]) for k in range(count)])
        x = shared["last"](shared["trunk"](hidden))
        return x.unflatten(0, (count, -1))
    body = shared["trunk"](shared["first"](z.reshape(-1, z.shape[-1])))
    rows = body.unflatten(0, (count, -1)) if z.ndim == 3 else [body] * count
    return torch.stack([own[k](rows[k]) for k in range(count)])


def networks(game):
    side = game.discriminator
    return side.own if isinstance(side, mg.nets.Bank) else [side]


def plain_discriminator_loss(net, real, fakes, weight):
    """The definition, source by source, with probabilities in float64."""
    count = len(fakes)
    of_real, of_fake = net(real), net(fakes.flatten(0, 1)).unflatten(0, (count, -1))
    of_real, of_fake = (torch.softmax(o.double(), -1) for o in (of_real, of_fake))
    total = -weight * of_real[:, count].log().mean()
    for k in range(count):
        total = total - of_fake[k, :, k].log().mean()
    return total / (weight + count)


def plain_generator_loss(net, fakes, loss):
    real = torch.softmax(net(fakes.flatten(0, 1)).double(), -1)[:, -1]
    return -real.log().mean() if loss == "nonsaturating" else (1 - real).log().mean()


def compare(game, shape, player, each, aggregate="mean", shared_noise=True):
    """Assert that loss and gradients of one player equal the plain ones."""
    plain, real = copy.deepcopy(game), batch(shape)
    torch.manual_seed(3)
    fake = game.draw(real)
    torch.manual_seed(3)
    z = torch.randn(each if shared_noise else 3 * each, 6)
    fakes = plain_fakes(plain, z if shared_noise else z.unflatten(0, (3, each)))
    assert torch.allclose(fake.x, fakes.flatten(0, 1), atol=1e-9)
    assert fake.source.tolist() == [k for k in range(3) for _ in range(each)]
    ours = getattr(game, f"{player}_loss")(real, fake)
    assert ours.keys() == {"adversarial", "total"}
    if player == "discriminator":
        losses = [
            plain_discriminator_loss(net, real.x, fakes.detach(), game.real_weight)
            for net in networks(plain)
        ]
        theirs = torch.stack(losses).mean()
    else:
        losses = [plain_generator_loss(n, fakes, game.loss) for n in networks(plain)]
        combine = {"mean": torch.mean, "maximum": torch.max, "minimum": torch.min}
        theirs = combine[aggregate](torch.stack(losses))
    assert torch.allclose(ours.total, theirs, atol=1e-9)
    side, plain_side = getattr(game, player), getattr(plain, player)
    got = torch.autograd.grad(ours.total, [*side.parameters()], allow_unused=True)
    expected = torch.autograd.grad(
        theirs, [*plain_side.parameters()], allow_unused=True
    )
    assert any(g is not None and g.abs().max() > 1e-3 for g in expected)
    for a, b in zip(got, expected, strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("player", ["discriminator", "generator"])
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("shape", [(2,), IMAGES])
def test_losses_and_gradients_equal_plain_ones(shape, policy, player, double):
    compare(make(shape, policy=policy), shape, player, each=10)


@pytest.mark.parametrize("player", ["discriminator", "generator"])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_noise_for_each_generator(policy, player, double):
    game = make(policy=policy, shared_noise=False, per_generator=7)
    compare(game, (2,), player, each=7, shared_noise=False)


@pytest.mark.parametrize("loss", ["nonsaturating", "minimax"])
@pytest.mark.parametrize("weight", [1.0, 3.0, 0.5])
@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_weights_and_losses(player, weight, loss, double):
    compare(make(real_weight=weight, loss=loss), (2,), player, each=10)


@pytest.mark.parametrize("aggregate", ["mean", "maximum", "minimum"])
@pytest.mark.parametrize("player", ["discriminator", "generator"])
@pytest.mark.parametrize("shape", [(2,), IMAGES])
def test_three_discriminators(shape, player, aggregate, double):
    game = make(shape, discriminators=3, aggregate=aggregate)
    compare(game, shape, player, each=10, aggregate=aggregate)


def test_one_generator_and_equal_weights_are_a_plain_gan():
    """Two outputs are one logit: half the cross-entropies of real and generated."""
    game, real = make(generators=1), batch()
    fake = game.draw(real)
    logits = [
        out[:, 1] - out[:, 0] for out in map(game.discriminator, (real.x, fake.x))
    ]
    bce = functional.binary_cross_entropy_with_logits
    halves = bce(logits[0], torch.ones(30)) + bce(logits[1], torch.zeros(30))
    assert torch.isclose(game.discriminator_loss(real, fake).total, halves / 2)
    ours = game.generator_loss(real, fake).total
    assert torch.isclose(ours, bce(logits[1], torch.ones(30)))


# ------------------------------------------------ the optimum on a discrete space


class Table(nn.Module):
    """A discriminator that may say anything in every cell; x is the cell's index."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, x):
        return self.logits[x[:, 0].long()]


def densities():
    """Exact frequencies of 6 cells in samples: 40 real ones, 20 of each generator."""
    counts = torch.tensor(
        [
            [9, 1, 1, 3, 3, 3],
            [1, 9, 1, 3, 3, 3],
            [1, 2, 9, 2, 5, 1],
            [8, 4, 8, 6, 4, 10],
        ]
    )
    points = [
        row.repeat_interleave(n)
        for row, n in zip(torch.arange(6.0).expand(4, 6), counts, strict=True)
    ]
    real, fakes = Batch(points[3][:, None], None), torch.cat(points[:3])[:, None]
    fake = mg.games.Fake(fakes, torch.arange(3).repeat_interleave(20))
    p = counts.double() / counts.sum(1, keepdim=True)
    return real, fake, p[:3], p[3]


@pytest.mark.parametrize("weight", [1.0, 3.0, 7.0])
def test_the_optimal_discriminator_is_the_theorems(weight):
    """Found numerically through the game's own loss; also the value that is left."""
    real, fake, team, p_d = densities()
    table = Table(torch.zeros(6, 4, dtype=torch.float64))
    game = mg.games.MADGAN(
        (1,), generators=3, discriminator=table, real_weight=weight, loss="minimax"
    )
    search = torch.optim.LBFGS(
        table.parameters(),
        max_iter=500,
        tolerance_grad=1e-12,
        tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )

    def closure():
        search.zero_grad()
        loss = game.discriminator_loss(real, fake).total
        loss.backward()
        return loss

    search.step(closure)
    found = table.logits.detach().softmax(1).T
    total = weight * p_d + team.sum(0)
    assert torch.allclose(
        found, torch.cat([team, weight * p_d[None]]) / total, atol=1e-6
    )
    # w E log D_r + K E log(1 - D_r), the second through the generators' own loss
    left = 3 * game.generator_loss(real, fake).total.detach()
    value = weight * (p_d * found[3].log()).sum() + left
    weights = torch.tensor([weight, 3.0], dtype=torch.float64) / (weight + 3)
    pair = torch.stack([p_d, team.mean(0)])
    constant = weight * math.log(weight) + 3 * math.log(3)
    constant -= (weight + 3) * math.log(weight + 3)
    expected = (weight + 3) * mg.divergence.jsd(pair, weights) + constant
    assert torch.isclose(value, expected, atol=1e-9)
    if weight == 1:
        assert torch.isclose(value, mg.divergence.madgan_value(p_d, team), atol=1e-9)
    if weight == 3:
        plain_gan = mg.divergence.gan_value(p_d, team.mean(0))
        assert torch.isclose(value / 3, plain_gan, atol=1e-9)
    cells = torch.arange(6.0)[:, None]
    truth = (p_d / team.mean(0)).log()
    assert torch.allclose(game.realness(cells), truth, atol=1e-5)


@pytest.mark.parametrize("weight", [1.0, 4.0, 2.5])
@pytest.mark.parametrize("count", [1, 4])
def test_realness_is_zero_where_data_and_model_are_equally_likely(count, weight):
    """With the optimal outputs set by hand, where p_d = p_m, twice it, and half."""
    ratio = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)  # p_d / p_m
    names = torch.full((3, count), 0.25, dtype=torch.float64)
    names[:, 0] += 0.75 * count - 0.25 * (count - 1)  # unequal, of mean p_m
    p_m = names.mean(1, keepdim=True)
    logits = torch.cat([names, weight * ratio[:, None] * p_m], 1).log()
    game = mg.games.MADGAN(
        (1,), generators=count, discriminator=Table(logits), real_weight=weight
    )
    cells = torch.arange(3.0)[:, None]
    assert torch.allclose(game.realness(cells), ratio.log(), atol=1e-12)
    assert game.realness(cells)[0].abs() < 1e-12


def test_realness_is_the_mean_over_several_discriminators():
    logits = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    bank = mg.nets.Bank([Line(table) for table in logits])
    game = mg.games.MADGAN(
        (1,), generators=3, discriminator=bank, discriminators=2, real_weight=2.0
    )
    output = logits.softmax(-1)[..., 3]
    expected = output.logit().mean(0) + math.log(3 / 2)
    cells = torch.arange(5.0)[:, None]
    assert torch.allclose(game.realness(cells), expected, atol=1e-5)


class Line(Table):
    shape = (1,)


# ------------------------------------------------------------- what it is not


def test_the_force_on_a_sample_does_not_depend_on_who_made_it():
    game, real = make(), batch()
    x = torch.randn(12, 2, generator=torch.Generator().manual_seed(5)).requires_grad_()
    forces = []
    for source in (torch.zeros(12), torch.arange(12) % 3):
        loss = game.generator_loss(real, mg.games.Fake(x, source.long())).total
        forces.append(torch.autograd.grad(loss, x)[0])
    assert torch.equal(*forces) and forces[0].abs().max() > 0


def test_equal_generators_stay_equal():
    ring = mg.data.ring()
    bank = mg.nets.Bank([mg.nets.generator_for((2,), 6, width=8)] * 3)
    game = mg.games.MADGAN(ring, generators=3, policy="own_all", generator=bank)
    before = copy.deepcopy(bank.own[0].state_dict())
    mg.train(game, ring, steps=5, batch_size=16, progress=False, device="cpu")
    first, *others = (net.state_dict() for net in bank.own)
    for name, value in first.items():
        assert not torch.equal(value, before[name])
        for other in others:
            assert torch.allclose(value, other[name], atol=1e-6)


# -------------------------------------------------------- samples, checkpoints


@pytest.mark.parametrize("shape", [(2,), IMAGES, (3, 32, 32)])
@pytest.mark.parametrize("policy", POLICIES)
def test_samples_know_their_generator(shape, policy):
    game = make(shape, policy=policy)
    samples = game.sample(40, seed=3)
    assert samples.x.shape == (40, *shape) and not samples.x.requires_grad
    assert set(samples.source.tolist()) == {0, 1, 2} and samples.labels is None
    assert torch.equal(samples.x, game.sample(40, seed=3).x)
    one = game.sample(5, source=2, seed=4)
    assert one.source.tolist() == [2] * 5
    with mg.games.game.seeded(4):
        z = torch.randn(5, 6)
    alone = game.generator.network(2).eval()(z)
    assert torch.allclose(one.x, alone, atol=1e-5)


@pytest.mark.parametrize("shape", [(2,), IMAGES])
@pytest.mark.parametrize("discriminators", [1, 3])
def test_training_and_a_checkpoint(tmp_path, shape, discriminators):
    data = mg.data.ring() if shape == (2,) else mg.data.load("digits", image_size=16)
    game = mg.games.MADGAN(
        data,
        generators=3,
        policy="own_all",
        real_weight=3.0,
        width=4,
        latent_size=6,
        discriminators=discriminators,
        seed=2,
    )
    history = mg.train(
        game,
        data,
        steps=3,
        batch_size=12,
        checkpoint=tmp_path,
        progress=False,
        device="cpu",
    )
    assert history.steps == 3
    again = mg.games.load(tmp_path)
    assert type(again) is mg.games.MADGAN and again.arguments == game.arguments
    assert again.real_weight == 3.0 and again.generator.policy == "own_all"
    ours, theirs = game.sample(20, seed=0), again.sample(20, seed=0)
    assert torch.equal(ours.x, theirs.x) and torch.equal(ours.source, theirs.source)
    x = next(data.batches(6, seed=1)).x
    # The two lie differently in memory, so sums are rounded differently.
    assert torch.allclose(game.realness(x), again.realness(x), atol=1e-6)


def test_fakes_of_a_step():
    real = batch(n=32)
    assert len(make().draw(real).x) == 33  # 11 of each: about as many as real ones
    assert len(make(per_generator=32).draw(real).x) == 96
    assert len(make(generators=20).draw(batch(n=8)).x) == 40  # at least two of each


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"generators": 0}, "generators must be 1 or more, got 0"),
        ({"generators": 2.5}, "generators must be a whole number"),
        ({"policy": "own_middle"}, "unknown policy 'own_middle'; choose one of"),
        ({"loss": "wasserstein"}, "unknown loss 'wasserstein'; choose one of nonsat"),
        ({"real_weight": 0}, "real_weight must be above 0, got 0"),
        ({"real_weight": -1.0}, "real_weight must be above 0, got -1"),
        ({"real_weight": math.nan}, "real_weight must be above 0, got nan"),
        ({"real_weight": math.inf}, "real_weight must be above 0, got inf"),
        ({"discriminators": 0}, "discriminators must be 1 or more"),
        ({"aggregate": "median"}, "unknown aggregate 'median'"),
        ({"per_generator": 0}, "per_generator must be 1 or more"),
        ({"generator": nn.Linear(3, 2)}, "nets.Bank of 3, got a Linear"),
        (
            {"discriminators": 2, "discriminator": nn.Linear(2, 4)},
            "pass a list",
        ),
    ],
)
def test_bad_settings(arguments, words):
    with pytest.raises(ValueError, match=words):
        mg.games.MADGAN((2,), **arguments)


def test_bad_requests():
    game = make()
    with pytest.raises(ValueError, match="no labels"):
        game.sample(3, labels=torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="from 0 to 2"):
        game.sample(3, source=3)
    short = mg.games.MADGAN((2,), generators=3, discriminator=nn.Linear(2, 1))
    real = batch()
    with pytest.raises(ValueError, match="logits must be"):
        short.discriminator_loss(real, short.draw(real))
