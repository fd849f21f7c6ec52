"""The two-player game: its losses, samples and the judge's logit."""

import copy

import pytest
import torch
from torch.nn import functional

import multigan_lib as mg
from multigan_lib.datasets import Batch

IMAGES = (1, 16, 16)


def batch(shape=(2,), n=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, *shape, generator=generator).clamp(-1, 1)
    return Batch(x, None)


def reference_losses(loss, real, fake):
    """Return (discriminator's, generator's) loss, written with sigmoids and BCE."""
    ones, zeros = torch.ones_like(real), torch.zeros_like(fake)
    bce = functional.binary_cross_entropy_with_logits
    cross_entropy = bce(real, ones) + bce(fake, zeros)
    return {
        "minimax": (cross_entropy, -bce(fake, zeros)),
        "nonsaturating": (cross_entropy, bce(fake, ones)),
        "hinge": ((1 - real).relu().mean() + (1 + fake).relu().mean(), -fake.mean()),
        "wasserstein": (fake.mean() - real.mean(), -fake.mean()),
    }[loss]


@pytest.mark.parametrize("loss", ["minimax", "nonsaturating", "hinge", "wasserstein"])
@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_losses_and_gradients_equal_a_plain_reference(loss, player):
    game = mg.games.GAN((2,), loss=loss, penalty=0.0, seed=1)
    plain = copy.deepcopy(game)
    real = batch()
    torch.manual_seed(2)
    fake = game.draw(real)
    ours = getattr(game, f"{player}_loss")(real, fake).total
    torch.manual_seed(2)
    x = plain.generator(torch.randn(32, plain.latent_size))
    theirs = reference_losses(
        loss, plain.discriminator(real.x), plain.discriminator(x)
    )[0 if player == "discriminator" else 1]
    assert torch.allclose(ours, theirs, atol=1e-6)
    side, plain_side = getattr(game, player), getattr(plain, player)
    got = torch.autograd.grad(ours, [*side.parameters()])
    expected = torch.autograd.grad(theirs, [*plain_side.parameters()])
    for a, b in zip(got, expected, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_the_penalty_is_weighted_and_named():
    game = mg.games.GAN(IMAGES, loss="wasserstein", width=4, seed=0)
    real = batch(IMAGES)
    torch.manual_seed(0)
    losses = game.discriminator_loss(real, game.draw(real))
    assert losses.keys() == {"adversarial", "penalty", "total"}
    assert losses["penalty"] > 0
    assert torch.isclose(losses.total, losses["adversarial"] + losses["penalty"])


@pytest.mark.parametrize("shape", [(2,), (1, 16, 16), (3, 32, 32)])
def test_samples(shape):
    game = mg.games.GAN(shape, width=8, seed=0)
    samples = game.sample(5, seed=3)
    assert samples.x.shape == (5, *shape) and len(samples) == 5
    assert not samples.x.requires_grad
    assert samples.source.tolist() == [0] * 5 and samples.labels is None
    assert torch.equal(samples.x, game.sample(5, seed=3).x)
    assert not torch.equal(samples.x, game.sample(5, seed=4).x)
    if len(shape) == 3:
        assert samples.x.abs().max() <= 1


def test_sampling_changes_neither_modes_nor_statistics_nor_random_numbers():
    game = mg.games.GAN(IMAGES, width=4, seed=0).train()
    game.discriminator.eval()
    before = copy.deepcopy(game.state_dict())
    state = torch.get_rng_state()
    game.sample(4, seed=0)
    assert game.training and game.generator.training
    assert not game.discriminator.training
    assert torch.equal(state, torch.get_rng_state())
    for name, value in game.state_dict().items():
        assert torch.equal(before[name], value)


def test_samples_beyond_one_pass_are_all_different():
    x = mg.games.GAN((2,), seed=0).sample(1500, seed=0).x
    assert len(x) == 1500 and len(torch.unique(x, dim=0)) == 1500


def test_weights_depend_on_the_seed_alone():
    one, two = mg.games.GAN((2,), seed=0), mg.games.GAN((2,), seed=0)
    other = mg.games.GAN((2,), seed=1)
    weights = [
        torch.cat([p.flatten() for p in g.parameters()]) for g in (one, two, other)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


class Linear1d(torch.nn.Module):
    """A discriminator whose output is a given function of the first coordinate."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x[:, 0])


def test_realness_is_zero_where_real_and_generated_are_equally_likely():
    x = torch.tensor([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    for loss, optimum in {
        "minimax": lambda t: t,  # log p/q
        "nonsaturating": lambda t: t,
        "least_squares": torch.sigmoid,  # p / (p + q)
        "hinge": torch.sign,  # sign(p - q)
    }.items():
        game = mg.games.GAN((2,), loss=loss, discriminator=Linear1d(optimum))
        assert torch.allclose(game.realness(x).sign(), torch.tensor([-1.0, 0.0, 1.0]))
        if loss != "hinge":
            assert torch.allclose(game.realness(x), x[:, 0], atol=1e-5)
    with pytest.raises(ValueError, match="no threshold"):
        mg.games.GAN((2,), loss="wasserstein").realness(x)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"loss": "bce"}, "unknown loss 'bce'; choose one of minimax"),
        ({"penalty": -1.0}, "penalty must be 0 or more"),
        ({"generator": torch.nn.Linear(3, 2)}, "latent_size"),
    ],
)
def test_bad_settings(arguments, words):
    with pytest.raises(ValueError, match=words):
        mg.games.GAN((2,), **arguments)


def test_bad_requests():
    game = mg.games.GAN((2,))
    with pytest.raises(ValueError, match="at least 1"):
        game.sample(0)
    with pytest.raises(ValueError, match="no labels"):
        game.sample(3, labels=torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="one generator"):
        game.sample(3, source=1)
    with pytest.raises(TypeError, match="generators"):
        mg.games.GAN((2,), generators=3)


def test_a_copy_plays_the_same_game():
    game = mg.games.GAN((2,), loss="hinge", seed=5)
    assert torch.equal(
        copy.deepcopy(game).sample(4, seed=0).x, game.sample(4, seed=0).x
    )


def test_the_average_follows_the_generator():
    game = mg.games.GAN(IMAGES, width=4, seed=0)
    game.keep_average()
    start = copy.deepcopy(game.generator.state_dict())
    for p in game.generator.parameters():
        torch.nn.init.normal_(p)
    game.generator(torch.randn(8, game.latent_size))  # moves the batch statistics
    game.update_average(0.75)
    for name, value in game.average.state_dict().items():
        now = game.generator.state_dict()[name]
        if value.is_floating_point():
            assert torch.allclose(value, 0.75 * start[name] + 0.25 * now, atol=1e-6)
        else:
            assert torch.equal(value, now)
    plain = copy.deepcopy(game)
    plain.average = None
    assert not torch.equal(game.sample(4, seed=0).x, plain.sample(4, seed=0).x)
