"""What every game promises, whatever its method."""

import copy

import pytest
import torch
from torch import nn

import multigan_lib as mg

POINTS, IMAGES = (2,), (1, 16, 16)
GAMES = {
    "GAN": {},
    "MGAN": {"generators": 3},
    "MGAN pairwise": {"generators": 3, "divergence": "pairwise"},
    "MADGAN": {"generators": 3},
    "MEGAN": {"generators": 3},
    "GMAN": {"discriminators": 3},
    "GMAN boosting": {"discriminators": 3, "aggregate": "boosting"},
    "GMAN learnt": {"discriminators": 3, "aggregate": "learnt", "slices": True},
    "GMAN different": {},
}


def build(name, shape=POINTS, **arguments):
    kind = mg.games.GAMES[name.split()[0]]
    if name == "GMAN different":
        arguments = {"discriminators": 3} | arguments
        rates = [0.1 * k for k in range(arguments["discriminators"])]
        arguments = {"discriminator": {"dropout": rates}} | arguments
    width = {"width": 8} if len(shape) == 1 else {"width": 4}
    return kind(shape, **(width | {"latent_size": 6} | GAMES[name] | arguments))


def batch(shape, n=12):
    x = torch.randn(n, *shape, generator=torch.Generator().manual_seed(0))
    return mg.data.Batch(x.clamp(-1, 1), None)


games = pytest.mark.parametrize("name", GAMES)
shapes = pytest.mark.parametrize("shape", [POINTS, IMAGES], ids=["points", "images"])
counts = pytest.mark.parametrize("discriminators", [1, 3])


@games
@shapes
@counts
def test_each_loss_moves_all_of_its_side(name, shape, discriminators):
    game = build(name, shape, discriminators=discriminators)
    real = batch(shape)
    with torch.no_grad():
        fake = game.draw(real)
    losses = game.discriminator_loss(real, fake)
    assert torch.isclose(
        losses.total, sum(v for k, v in losses.items() if k != "total")
    )
    losses.total.backward()
    assert all(p.grad is not None for p in game.discriminator.parameters())
    assert all(p.grad is None for p in game.generator.parameters())
    game.zero_grad()
    game.generator_loss(real, game.draw(real)).total.backward()
    assert all(p.grad is not None for p in game.generator.parameters())


@games
@shapes
def test_fakes_fit_the_data_and_name_their_generator(name, shape):
    game = build(name, shape)
    fake = game.draw(batch(shape))
    assert fake.x.shape[1:] == shape and fake.x.requires_grad
    assert fake.source.shape == fake.x.shape[:1]
    assert 0 <= fake.source.min() <= fake.source.max() < getattr(game, "generators", 1)


@games
@shapes
@counts
def test_the_judges_logit_is_one_number_a_sample(name, shape, discriminators):
    game = build(name, shape, discriminators=discriminators)
    before = copy.deepcopy(game.state_dict())
    logit = game.realness(batch(shape).x)
    assert logit.shape == (12,) and not logit.requires_grad
    alone = game.realness(batch(shape).x[:5])
    assert torch.allclose(logit[:5], alone, atol=1e-6)
    assert all(torch.equal(before[k], v) for k, v in game.state_dict().items())


@pytest.mark.parametrize("name", ["MGAN", "MADGAN", "MEGAN"])
@shapes
def test_samples_of_one_generator_are_that_generators(name, shape):
    game = build(name, shape)
    samples = game.sample(60, seed=0)
    assert samples.source.unique().tolist() == [0, 1, 2]
    asked = torch.arange(60) % 3
    mixed = game.sample(60, source=asked, seed=1)
    assert torch.equal(mixed.source, asked)
    for k in range(3):
        alone = game.sample(60, source=k, seed=1)
        assert torch.equal(alone.source, torch.full((60,), k))
        same = torch.allclose(alone.x[asked == k], mixed.x[asked == k], atol=1e-6)
        assert same and not torch.allclose(alone.x, mixed.x, atol=1e-6)
    for wrong in (3, -1):
        with pytest.raises(ValueError, match="sources must be from 0 to 2"):
            game.sample(4, source=wrong)
    with pytest.raises(ValueError, match="takes no labels"):
        game.sample(4, labels=torch.zeros(4, dtype=torch.int64))


@games
@counts
def test_a_resumed_run_equals_an_unbroken_one(name, discriminators, tmp_path):
    ring = mg.data.ring()

    def play(folder, *pieces):
        for steps in pieces:
            game = build(name, discriminators=discriminators)
            mg.train(
                game,
                ring,
                steps=steps,
                batch_size=16,
                checkpoint=folder,
                resume=True,
                device="cpu",
                progress=False,
            )
        return game

    whole, broken = play(tmp_path / "a", 6), play(tmp_path / "b", 2, 4)
    state = whole.state_dict()
    assert all(torch.equal(state[k], v) for k, v in broken.state_dict().items())
    loaded = mg.games.load(tmp_path / "a")
    assert torch.equal(loaded.sample(9, seed=0).x, whole.sample(9, seed=0).x)


@games
def test_several_discriminators_differ_and_are_averaged_or_chosen(name):
    real, values = batch(POINTS), {}
    for rule in ("minimum", "geometric", "mean", "softmax", "maximum"):
        game = build(name, discriminators=4, aggregate=rule)
        game.eval()
        for p in game.discriminator.parameters():
            torch.nn.init.normal_(p, generator=torch.Generator().manual_seed(p.numel()))
        for k, own in enumerate(game.discriminator.own):
            for p in own.parameters():
                p.data.add_(0.3 * k)
        torch.manual_seed(0)
        values[rule] = game.generator_loss(real, game.draw(real))["adversarial"].item()
    assert values["minimum"] < values["geometric"] < values["mean"]
    assert values["mean"] < values["softmax"] < values["maximum"]


@games
def test_the_generator_can_learn_the_sharpness(name):
    game = build(name, discriminators=3, aggregate="learnt", lam=2.0)
    assert torch.isclose(game.sharpness, torch.tensor(2.0))
    losses = game.generator_loss(batch(POINTS), game.draw(batch(POINTS)))
    assert torch.isclose(losses["regulation"], torch.tensor(-0.002))
    losses.total.backward()
    assert dict(game.generator.named_parameters())["raw_sharpness"].grad is not None
    with pytest.raises(ValueError, match="lam must be finite, and above 0"):
        build(name, aggregate="learnt", lam=0.0)


@games
def test_discriminators_of_your_own_come_in_any_form(name):
    game = build(name, discriminators=3)
    networks = [game.discriminator.network(k) for k in range(3)]
    x = batch(POINTS).x
    game.eval()
    for own in (networks, nn.ModuleList(networks), game.discriminator):
        same = build(name, discriminators=3, discriminator=own)
        assert torch.equal(same.realness_each(x), game.realness_each(x))
    alone = build(name, discriminators=1, discriminator=networks[:1])
    if "GMAN boosting" not in name:
        assert torch.allclose(alone.realness(x), game.realness_each(x)[0], atol=1e-6)
    with pytest.raises(ValueError, match="not 2 networks"):
        build(name, discriminators=3, discriminator=networks[:2])


@games
def test_bad_numbers_and_names(name):
    for arguments, words in (
        ({"discriminators": 0}, "discriminators must be 1 or more"),
        ({"aggregate": "median"}, "unknown aggregate 'median'"),
        ({"loss": "bce"}, "unknown loss 'bce'"),
        ({"discriminators": 2, "discriminator": torch.nn.Identity()}, "nets.Bank"),
    ):
        with pytest.raises(ValueError, match=words):
            build(name, **arguments)


@pytest.mark.parametrize("name", ["MGAN", "MADGAN", "MEGAN"])
def test_generators_of_your_own_come_as_a_bank(name):
    def network():
        return mg.nets.MLPGenerator(5, 2, (7, 7))

    bank = mg.nets.Bank(network, 3)
    game = build(name, generator=bank, latent_size=None)
    assert game.latent_size == 5 and game.sample(4).x.shape == (4, 2)
    for wrong in (network(), mg.nets.Bank(network, 2)):
        with pytest.raises(ValueError, match=r"nets\.Bank of 3"):
            build(name, generator=wrong, latent_size=None)
