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
    "CGAN channel": {},
    "CGAN": {"condition": "projection"},
    "CMADGAN channel": {"generators": 3, "centred": True},
    "CMADGAN": {"generators": 3, "condition": "projection"},
}
CLASSES = 8


def build(name, shape=POINTS, **arguments):
    kind = mg.games.GAMES[name.split()[0]]
    if name == "GMAN different":
        arguments = {"discriminators": 3} | arguments
        rates = [0.1 * k for k in range(arguments["discriminators"])]
        arguments = {"discriminator": {"dropout": rates}} | arguments
    width = {"width": 8} if len(shape) == 1 else {"width": 4}
    spec = mg.data.Spec(shape, CLASSES)
    return kind(spec, **(width | {"latent_size": 6} | GAMES[name] | arguments))


def batch(shape, n=12):
    x = torch.randn(n, *shape, generator=torch.Generator().manual_seed(0))
    return mg.data.Batch(x.clamp(-1, 1), torch.arange(n) % CLASSES)


def judges(game):
    """The discriminators, without what lets them read labels."""
    side = game.discriminator
    return side.network if isinstance(game, mg.games.ConditionalGame) else side


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
    real = batch(shape)
    logit = game.realness(*real)
    assert logit.shape == (12,) and not logit.requires_grad
    alone = game.realness(real.x[:5], real.labels[:5])
    assert torch.allclose(logit[:5], alone, atol=1e-6)
    assert all(torch.equal(before[k], v) for k, v in game.state_dict().items())


@pytest.mark.parametrize("name", ["MGAN", "MADGAN", "MEGAN", "CMADGAN"])
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
    for wrong in ([0, 1], torch.zeros(4, 1, dtype=torch.int64), 1.0):
        with pytest.raises(ValueError, match="one for each of 4 samples"):
            game.sample(4, source=wrong)
    if name == "CMADGAN":
        return
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
        for k, own in enumerate(judges(game).own):
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
    networks = [judges(game).network(k) for k in range(3)]
    real = batch(POINTS)
    game.eval()
    for own in (networks, nn.ModuleList(networks), judges(game)):
        same = build(name, discriminators=3, discriminator=own)
        if "channel" in name:  # the labels' embeddings are the game's own
            same.discriminator.embedding = game.discriminator.embedding
        assert torch.equal(same.realness_each(*real), game.realness_each(*real))
    alone = build(name, discriminators=1, discriminator=networks[:1])
    if "boosting" not in name and "channel" not in name:
        first = game.realness_each(*real)[0]
        assert torch.allclose(alone.realness(*real), first, atol=1e-6)
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


@pytest.mark.parametrize("name", ["MGAN", "MADGAN", "MEGAN", "CMADGAN"])
def test_generators_of_your_own_come_as_a_bank(name):
    label = {"label_size": 3} if name == "CMADGAN" else {}

    def network():
        return mg.nets.MLPGenerator(5 + sum(label.values()), 2, (7, 7))

    bank = mg.nets.Bank(network, 3)
    game = build(name, generator=bank, latent_size=None, **label)
    assert game.latent_size == 5 and game.sample(4).x.shape == (4, 2)
    for wrong in (network(), mg.nets.Bank(network, 2)):
        with pytest.raises(ValueError, match=r"nets\.Bank of 3"):
            build(name, generator=wrong, latent_size=None, **label)


@games
def test_sources_and_labels_are_whole_numbers(name):
    game = build(name)
    for wrong in (torch.zeros(5) == 0, "first", [None] * 5, 0.5):
        with pytest.raises(ValueError, match=r"source must be .*whole number"):
            game.sample(5, source=wrong)


@games
def test_samples_of_another_shape_are_not_judged(name):
    game, wrong = build(name), batch(IMAGES)
    with pytest.raises(ValueError, match=r"judges samples of shape \(2,\).*16, 16"):
        game.realness(wrong.x, wrong.labels)
