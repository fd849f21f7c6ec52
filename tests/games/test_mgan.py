"""MGAN: its losses against plain ones, its options, samples and refusals."""

import copy
from itertools import combinations

import pytest
import torch
from torch.nn import functional

import multigan_lib as mg
from multigan_lib.datasets import Batch

IMAGES = (1, 16, 16)
FORMS = ("general", "one_vs_all", "pairwise")


def batch(shape=(2,), n=30, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, *shape, generator=generator).clamp(-1, 1)
    return Batch(x, None)


def data_of(shape):
    """Data to train on: points, or the embedded digits."""
    return mg.data.ring() if shape == (2,) else mg.data.load("digits", image_size=16)


def make(shape=(2,), **options):
    """A small game of three generators whose logits are not all near zero."""
    options = {"generators": 3, "width": 4, "latent_size": 6, "seed": 1, **options}
    game = mg.games.MGAN(shape, **options)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, weight in game.named_parameters():
            if weight.ndim > 1:
                noise = torch.randn(weight.shape, generator=generator)
                weight.copy_(noise * (0.8 if "head" in name else 0.4))
    return game


def plain_fakes(game, each):
    """K own first parts, then one pass of what they share; (K each, ...), sources."""
    z = torch.randn(each, 6)
    hidden = torch.cat([own(z) for own in game.generator.own])
    x = game.generator.shared["last"](game.generator.shared["trunk"](hidden))
    return x, torch.tensor([k for k in range(game.generators) for _ in range(each)])


def plain_term(logits, source, count, form):
    """The formulas of the paper, term by term, with probabilities in float64."""
    logits = logits.double()

    def mean(values, k):
        return values[source == k].mean()

    if form == "general":
        p = torch.softmax(logits, dim=1)
        return -sum(mean(p[:, k].log(), k) for k in range(count)) / count
    p = 1 / (1 + torch.exp(-logits))
    total = 0
    if form == "one_vs_all":
        for k in range(count):
            others = [mean((1 - p[:, k]).log(), j) for j in range(count) if j != k]
            total = total - mean(p[:, k].log(), k) - sum(others) / (count - 1)
    else:
        for head, (i, j) in enumerate(combinations(range(count), 2)):
            total = total - mean(p[:, head].log(), i) - mean((1 - p[:, head]).log(), j)
    return total


def plain_losses(game, real, each, player, form, weight):
    """The loss of one player as a sum of cross-entropies, N discriminators averaged."""
    x, source = plain_fakes(game, each)
    x = x.detach() if player == "discriminator" else x
    bce = functional.binary_cross_entropy_with_logits
    several = isinstance(game.discriminator, mg.nets.Bank)
    nets = game.discriminator.own if several else [game.discriminator]
    total = 0
    for net in nets:
        of_real, of_fake = net(real), net(x)
        fake = of_fake[:, 0]
        term = plain_term(of_fake[:, 1:], source, game.generators, form)
        if player == "discriminator":
            total = total + bce(of_real[:, 0], torch.ones(len(real)))
            total = total + bce(fake, torch.zeros(len(fake)))
        else:
            total = total + bce(fake, torch.ones(len(fake)))
        total = total + weight * term
    return total / len(nets)


@pytest.mark.parametrize("player", ["discriminator", "generator"])
@pytest.mark.parametrize("shape", [(2,), IMAGES])
@pytest.mark.parametrize("discriminators", [1, 3])
@pytest.mark.parametrize("form", FORMS)
def test_losses_and_gradients_equal_a_plain_reference(
    form, discriminators, shape, player
):
    game = make(
        shape,
        divergence=form,
        beta=0.3,
        classifier_weight=0.7,
        discriminators=discriminators,
    )
    plain = copy.deepcopy(game)
    real = batch(shape)
    torch.manual_seed(2)
    fake = game.draw(real)
    if player == "discriminator":
        fake = mg.games.Fake(fake.x.detach(), fake.source)
    ours = getattr(game, f"{player}_loss")(real, fake).total
    torch.manual_seed(2)
    weight = 0.7 if player == "discriminator" else 0.3
    theirs = plain_losses(plain, real.x, 10, player, form, weight)
    assert torch.allclose(ours.double(), theirs.double(), rtol=1e-6, atol=1e-6)
    weights = [*getattr(game, player).parameters()]
    plain_weights = [*getattr(plain, player).parameters()]
    got = torch.autograd.grad(ours, weights)
    expected = torch.autograd.grad(theirs, plain_weights)
    for a, b in zip(got, expected, strict=True):
        assert a.abs().max() > 0, "every weight of the player is trained"
        assert torch.allclose(a, b, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("loss", ["minimax", "hinge", "least_squares", "wasserstein"])
def test_other_adversarial_losses_keep_the_term(loss):
    game = make(loss=loss, beta=0.5)
    real = batch()
    fake = game.draw(real)
    generator = game.generator_loss(real, fake)
    discriminator = game.discriminator_loss(real, fake)
    assert torch.isclose(2 * generator["diversity"], discriminator["diversity"])
    assert ("penalty" in discriminator) == (loss == "wasserstein")
    for losses in (generator, discriminator):
        parts = [value for name, value in losses.items() if name != "total"]
        assert torch.isclose(losses.total, sum(parts))


def test_a_classifier_that_knows_nothing_pays_the_largest_value():
    log = torch.tensor
    for form, most in {
        "general": log(5.0).log(),
        "one_vs_all": 10 * log(2.0).log(),
        "pairwise": 20 * log(2.0).log(),
    }.items():
        game = make(generators=5, divergence=form, beta=1.0)
        torch.nn.init.zeros_(game.discriminator.head.weight)
        term = game.generator_loss(batch(), game.draw(batch()))["diversity"]
        assert torch.isclose(term, most)


def test_beta_weights_the_generators_and_classifier_weight_the_classifier():
    real = batch()
    drawn, judged = [], []
    for beta, weight in ((0.5, 1.0), (0.25, 1.0), (0.5, 0.5)):
        game = make(beta=beta, classifier_weight=weight)
        torch.manual_seed(0)
        fake = game.draw(real)
        drawn.append(game.generator_loss(real, fake)["diversity"].item())
        judged.append(game.discriminator_loss(real, fake)["diversity"].item())
    assert drawn == pytest.approx([drawn[0], drawn[0] / 2, drawn[0]])
    assert judged == pytest.approx([judged[0], judged[0], judged[0] / 2])
    assert judged[0] == pytest.approx(2 * drawn[0])


def test_without_beta_no_gradient_passes_the_classifier():
    game = make(beta=0.0)
    total = game.generator_loss(batch(), game.draw(batch())).total
    (gradient,) = torch.autograd.grad(total, [game.discriminator.head.weight])
    assert gradient[0].abs().max() > 0
    assert (gradient[1:] == 0).all()


def test_own_parts_learn_from_their_own_samples_alone():
    game = make(beta=0.5)
    real = batch()
    fake = game.draw(real)
    own = [part[0][0].weight for part in game.generator.own]
    got = torch.autograd.grad(
        game.generator_loss(real, fake).total, own, retain_graph=True
    )
    for k in range(3):
        alone = torch.where((fake.source == k)[:, None], fake.x, fake.x.detach())
        loss = game.generator_loss(real, mg.games.Fake(alone, fake.source)).total
        parts = torch.autograd.grad(loss, own, retain_graph=True, allow_unused=True)
        assert torch.allclose(parts[k], got[k], atol=1e-7)
        rest = [p for j, p in enumerate(parts) if j != k]
        assert all(p is None or not p.any() for p in rest)


def test_a_pair_s_classifier_sees_two_generators():
    game = make(generators=4, divergence="pairwise")
    fake = game.draw(batch(n=8))
    of_fake = game.opinions(fake.x)
    term = game.diversity(of_fake, fake.source)
    (gradient,) = torch.autograd.grad(term, [of_fake])
    for head, pair in enumerate(combinations(range(4), 2)):
        seen = fake.source[gradient[0, :, 1 + head] != 0]
        assert set(seen.tolist()) == set(pair)
    assert not gradient[0, :, 0].any(), "the discriminator's logit is not its matter"


@pytest.mark.parametrize("shape", [(2,), IMAGES])
@pytest.mark.parametrize("shared", [True, False])
def test_fakes_stand_in_the_order_of_their_generators(shape, shared):
    game = make(shape, shared_noise=shared).eval()
    torch.manual_seed(3)
    fake = game.draw(batch(shape))
    assert fake.x.shape == (30, *shape)
    assert fake.source.tolist() == [k for k in range(3) for _ in range(10)]
    torch.manual_seed(3)
    z = torch.randn(10, 6) if shared else torch.randn(30, 6)
    for k in range(3):
        noise = z if shared else z[10 * k : 10 * (k + 1)]
        alone = game.generator.network(k)(noise)
        assert torch.allclose(fake.x[10 * k : 10 * (k + 1)], alone, atol=1e-6)


@pytest.mark.parametrize(
    ("each", "reals", "expected"), [(None, 30, 10), (None, 31, 11), (12, 64, 12)]
)
def test_fakes_of_each_generator(each, reals, expected):
    fake = make(per_generator=each).draw(batch(n=reals))
    assert torch.bincount(fake.source).tolist() == [expected] * 3


def test_the_offset_is_fixed_in_the_trunk_only():
    game = make(IMAGES, offset=False)
    before = copy.deepcopy(game.generator)
    mg.train(game, data_of(IMAGES), steps=3, batch_size=10, progress=False)
    norms = [m for m in game.generator.modules() if hasattr(m, "running_mean")]
    fixed = [m for m in norms if not isinstance(m.bias, torch.nn.Parameter)]
    assert len(norms) == 4 and len(fixed) == 1
    assert not fixed[0].bias.any()
    for own, old in zip(game.generator.own, before.own, strict=True):
        assert not torch.equal(own[2].bias, old[2].bias)
    free = make(IMAGES).generator.parameters()
    assert len([*free]) == len([*game.generator.parameters()]) + 1


@pytest.mark.parametrize("policy", ["own_first", "own_last", "own_all"])
def test_policies(policy):
    game = make(policy=policy)
    assert game.generator.policy == policy
    fake = game.draw(batch())
    game.generator_loss(batch(), fake).total.backward()
    assert all(p.grad.abs().max() > 0 for p in game.generator.parameters())


@pytest.mark.parametrize("shape", [(2,), IMAGES, (3, 32, 32)])
def test_samples(shape):
    game = make(shape)
    samples = game.sample(40, seed=3)
    assert samples.x.shape == (40, *shape) and samples.labels is None
    assert not samples.x.requires_grad
    assert set(samples.source.tolist()) == {0, 1, 2}
    again = game.sample(40, seed=3)
    assert torch.equal(samples.x, again.x)
    assert torch.equal(samples.source, again.source)
    wanted = torch.tensor([2, 0, 1, 1])
    assert torch.equal(game.sample(4, source=wanted).source, wanted)


def test_a_sample_is_made_by_the_generator_that_it_names():
    game = make(IMAGES)
    for k in range(3):
        samples = game.sample(5, source=k, seed=0)
        assert samples.source.tolist() == [k] * 5
        torch.manual_seed(0)
        alone = game.generator.network(k).eval()(torch.randn(5, 6))
        assert torch.allclose(samples.x, alone, atol=1e-6)


def test_the_mixture_is_even():
    share = torch.bincount(make().sample(6000, seed=0).source) / 6000
    assert (share - 1 / 3).abs().max() < 0.03


@pytest.mark.parametrize("discriminators", [1, 3])
def test_realness_is_the_discriminators_output_not_the_classifiers(discriminators):
    game = make(discriminators=discriminators)
    x = batch().x
    nets = game.discriminator.own if discriminators > 1 else [game.discriminator]
    expected = sum(net(x)[:, 0] for net in nets) / discriminators
    realness = game.realness(x)
    assert torch.allclose(realness, expected, atol=1e-6) and not realness.requires_grad
    with pytest.raises(ValueError, match="no threshold"):
        make(loss="wasserstein").realness(x)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"generators": 1}, "generators must be 2 or more, got 1"),
        ({"generators": 2.5}, "generators must be a whole number"),
        ({"divergence": "mean"}, "unknown divergence 'mean'; choose one of general"),
        ({"beta": -0.1}, "beta must be 0 or more, got -0.1"),
        ({"beta": float("nan")}, "beta must be 0 or more, got nan"),
        ({"classifier_weight": -1}, "classifier_weight must be 0 or more"),
        ({"per_generator": 0}, "per_generator must be 1 or more"),
        ({"discriminators": 0}, "discriminators must be 1 or more"),
        ({"loss": "bce"}, "unknown loss 'bce'; choose one of minimax"),
        ({"policy": "own"}, "unknown policy 'own'; choose one of own_first"),
        ({"generator": torch.nn.Linear(6, 2)}, "nets.Bank of 3, got a Linear"),
        ({"aggregate": "median"}, "unknown aggregate 'median'"),
    ],
)
def test_bad_settings_are_refused_when_the_game_is_made(options, words):
    with pytest.raises(ValueError, match=words):
        make(**options)


def test_too_many_pairs_are_refused_before_they_are_built():
    with pytest.raises(ValueError, match="100 generators make 4950 pairs"):
        make(generators=100, divergence="pairwise")
    assert make(generators=100, divergence="one_vs_all").generators == 100


def test_a_bank_of_another_size_is_refused():
    def one():
        return mg.nets.generator_for((2,), 6, 4)

    bank = mg.nets.Bank(one, 4, "own_first")
    with pytest.raises(ValueError, match=r"nets\.Bank of 3, got a Bank of 4"):
        make(generator=bank)
    assert len(make(generator=bank, generators=4).generator) == 4


def test_bad_requests():
    game = make()
    with pytest.raises(ValueError, match="from 0 to 2"):
        game.sample(2, source=3)
    with pytest.raises(ValueError, match="labels"):
        game.sample(2, labels=torch.zeros(2, dtype=torch.int64))


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((2,), {"divergence": "pairwise", "discriminators": 3}),
        (IMAGES, {"offset": False, "classifier_weight": 0.3, "beta": 0.3}),
    ],
)
def test_checkpoint_round_trip(shape, options, tmp_path):
    game = make(shape, **options)
    path = tmp_path / "run"
    history = mg.train(
        game, data_of(shape), steps=4, batch_size=10, checkpoint=path, progress=False
    )
    for side in ("generator", "discriminator"):
        for term in ("adversarial", "diversity", "total"):
            assert len(history.terms[f"{side}/{term}"]) == 4
    loaded = mg.games.load(path)
    assert isinstance(loaded, mg.games.MGAN) and loaded.step == 4
    assert loaded.arguments == game.arguments
    assert torch.equal(loaded.sample(9, seed=1).x, game.sample(9, seed=1).x)
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, game.state_dict()[name])
    x = batch(shape).x
    assert torch.allclose(loaded.realness(x), game.realness(x), rtol=1e-5, atol=1e-5)


def test_one_mode_each_on_two_modes():
    """What the game is for, at the smallest size at which it shows."""
    data = mg.data.ring(modes=2)
    game = mg.games.MGAN(data, generators=2, beta=0.5, width=32, seed=0)
    mg.train(game, data, steps=600, batch_size=64, lr=2e-3, progress=False)
    samples = game.sample(2000, seed=0)
    mode = torch.cdist(samples.x.double(), data.means).argmin(1)
    table = torch.zeros(2, 2).index_put_(
        (samples.source, mode), torch.tensor(1.0), accumulate=True
    )
    share = table / table.sum(1, keepdim=True)
    assert share.amax(1).min() > 0.9 and share.argmax(1).unique().numel() == 2
