"""Conditional games: cGAN and cMADGAN."""

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

import multigan_lib as mg
from multigan_lib.losses.diversity import cosine_similarity

POINTS, IMAGES = (2,), (1, 16, 16)
CONDITIONS = ("projection", "channel")


def make(kind="CGAN", shape=POINTS, classes=4, **arguments):
    small = {"width": 4, "latent_size": 6, "label_size": 3}
    spec = mg.data.Spec(shape, classes)
    return getattr(mg.games, kind)(spec, **(small | arguments))


def batch(shape=POINTS, n=12, classes=4):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, *shape, generator=generator).clamp(-1, 1)
    return mg.data.Batch(x, torch.arange(n) % classes)


shapes = pytest.mark.parametrize("shape", [POINTS, IMAGES], ids=["points", "images"])
conditions = pytest.mark.parametrize("condition", CONDITIONS)
kinds = pytest.mark.parametrize("kind", ["CGAN", "CMADGAN"])


@kinds
@shapes
@conditions
def test_both_sides_read_the_label(kind, shape, condition):
    game = make(kind, shape, condition=condition).eval()
    for p in game.discriminator.parameters():
        nn.init.normal_(p, generator=torch.Generator().manual_seed(1))
    x, labels = batch(shape)
    assert not torch.allclose(game.realness(x, labels), game.realness(x, 3 - labels))
    a, b = (game.sample(5, labels=c, source=0, seed=0) for c in (1, 2))
    assert not torch.allclose(a.x, b.x)
    assert a.labels.tolist() == [1] * 5
    asked = torch.tensor([1, 2, 1, 2, 1])
    mixed = game.sample(5, labels=asked, source=0, seed=0)
    expected = torch.where((asked == 1).view(-1, *[1] * len(shape)), a.x, b.x)
    assert torch.allclose(mixed.x, expected, atol=1e-6)


@kinds
def test_labels_are_random_unless_asked_for(kind):
    labels = make(kind).sample(4000, seed=0).labels
    assert (torch.bincount(labels, minlength=4) / 4000 - 0.25).abs().max() < 0.03


def test_projection_is_an_inner_product_with_the_labels_vector():
    game = make(shape=IMAGES, condition="projection").eval()
    network = game.discriminator.network
    x, labels = batch(IMAGES)
    features = network.trunk(x)
    weight, bias = network.head.weight, network.head.bias
    logit = features @ weight[0] + bias[0]
    own = (features * weight[1 + labels]).sum(1) + bias[1 + labels]
    assert torch.allclose(game.realness(x, labels), logit + own, atol=1e-6)


@shapes
def test_the_label_is_a_channel_more(shape):
    game = make(shape=shape, condition="channel").eval()
    x, labels = batch(shape)
    side = game.discriminator
    more = (3,) if shape == POINTS else (1, *shape[1:])
    channel = side.embedding.weight[labels].reshape(len(x), *more)
    logit = side.network(torch.cat([x, channel], 1))
    assert torch.allclose(game.realness(x, labels), logit, atol=1e-6)


@conditions
def test_several_discriminators_read_labels_each_for_itself(condition):
    game = make(condition=condition, discriminators=3).eval()
    for p in game.discriminator.parameters():
        nn.init.normal_(p, generator=torch.Generator().manual_seed(p.numel()))
    x, labels = batch()
    each = game.realness_each(x, labels)
    assert each.shape == (3, 12)
    for k in range(3):
        own = game.discriminator.network.network(k)
        if condition == "projection":
            out = own(x)
            expected = out[:, 0] + out[torch.arange(12), 1 + labels]
        else:
            embedded = game.discriminator.embedding.weight.view(3, 4, 3)[k, labels]
            expected = own(torch.cat([x, embedded], 1))
        assert torch.allclose(each[k], expected, atol=1e-5)


@kinds
def test_fakes_have_the_labels_of_real_samples(kind):
    game, real = make(kind), batch(n=12)
    fake = game.draw(real)
    assert torch.equal(fake.labels, real.labels.repeat(game.generators))
    few = make("CMADGAN", generators=3, per_generator=5).draw(real)
    assert torch.equal(few.labels, real.labels[:5].repeat(3))


@kinds
@pytest.mark.parametrize("size", [1, 10, 64])
def test_a_label_starts_as_quiet_as_a_one_hot_code(kind, size):
    game = make(kind, classes=200, label_size=size)
    lengths = game.generator.embedding.weight.square().sum(1)
    assert lengths.mean().item() == pytest.approx(1, abs=0.3)


def test_all_generators_get_the_same_noise_and_label():
    game = make("CMADGAN", generators=3, per_generator=20)
    for embedding in game.generator.embedding.weight.data.view(3, -1):
        embedding.copy_(game.generator.embedding.weight.data.view(3, -1)[0])
    first = dict(game.generator.network.own[0].named_parameters())
    for own in game.generator.network.own[1:]:
        for name, p in own.named_parameters():
            p.data.copy_(first[name].data)
        own.last.bias.data.fill_(1)  # no sample at zero, which has no direction
    game.generator.network.own[0].last.bias.data.fill_(1)
    fake = game.draw(batch(n=12))
    x = fake.x.view(3, 20, 2)
    assert torch.allclose(x[0], x[1]) and torch.allclose(x[0], x[2])
    assert fake.source.tolist() == [k for k in range(3) for _ in range(20)]
    labels = fake.labels.view(3, 20)
    assert torch.equal(labels[0], labels[2])
    assert game.similarity() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("sign", ["corrected", "printed"])
@pytest.mark.parametrize("centred", [False, True])
def test_what_each_side_of_cmadgan_minimises(sign, centred):
    game = make(
        "CMADGAN", IMAGES, generators=3, diversity=0.7, sign=sign, centred=centred
    )
    game.eval()
    real = batch(IMAGES)
    fake = game.draw(real)
    logits = game.discriminator(fake.x, fake.labels)
    images = fake.x.view(3, -1, 256) - (real.x.mean(0).flatten() if centred else 0)
    pairs = [
        torch.cosine_similarity(images[i], images[j], dim=-1).mean()
        for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    weight = 0.7 if sign == "corrected" else -0.7
    losses = game.generator_loss(real, fake)
    expected = cross_entropy(logits, torch.ones_like(logits))
    assert torch.isclose(losses["adversarial"], expected)
    term = weight * torch.stack(pairs).mean()
    assert torch.isclose(losses["similarity"], term, atol=1e-6)
    of_real = game.discriminator(real.x, real.labels)
    smooth = cross_entropy(of_real, torch.full_like(of_real, 0.9)) + cross_entropy(
        logits, torch.full_like(logits, 0.1)
    )
    assert torch.isclose(game.discriminator_loss(real, fake).total, smooth)


def test_the_sign_decides_whether_generators_part_or_meet():
    ends = {}
    for sign in ("corrected", "printed"):
        game = make("CMADGAN", generators=3, diversity=1.0, sign=sign, per_generator=32)
        game.discriminator.requires_grad_(False)
        torch.manual_seed(0)
        adam = torch.optim.Adam(game.generator.parameters(), 1e-2)
        for _ in range(150):
            images = game.draw(batch()).x.view(3, 32, 2)
            loss = game.generator_loss(batch(), game.draw(batch()))["similarity"]
            adam.zero_grad()
            loss.backward()
            adam.step()
        ends[sign] = cosine_similarity(images).item()
    assert ends["printed"] > 0.98
    assert -0.5 - 1e-6 <= ends["corrected"] < -0.4


@conditions
def test_a_label_is_learnt(condition):
    """Of four well separated points, each label's generator finds its own."""
    ring = mg.data.ring(modes=4, std=0.2)
    game = mg.games.CGAN(ring, condition=condition, latent_size=8, width=32, seed=0)
    mg.train(game, ring, steps=600, batch_size=64, lr=1e-3, seed=0, progress=False)
    labels = torch.arange(400) % 4
    x = game.sample(400, labels=labels, seed=0).x
    found = torch.cdist(x, ring.means.float()).argmin(1)
    assert (found == labels).float().mean() > 0.9


@kinds
def test_a_generator_of_ones_own_must_leave_room_for_noise(kind):
    network = mg.nets.generator_for(POINTS, 3, 4)
    if kind == "CMADGAN":
        network = mg.nets.Bank([network] * 3, 3)
    with pytest.raises(ValueError, match="reads 3 numbers has none left for noise"):
        make(kind, latent_size=None, generator=network)


@kinds
@pytest.mark.parametrize("discriminators", [1, 2])
def test_a_discriminator_of_ones_own_must_have_room_for_the_label(kind, discriminators):
    own = [mg.nets.discriminator_for(IMAGES, 4) for _ in range(discriminators)]
    with pytest.raises(ValueError, match=r"of shape \(2, 16, 16\); yours reads \(1,"):
        make(kind, IMAGES, discriminator=own, discriminators=discriminators)
    room = [mg.nets.discriminator_for((2, 16, 16), 4) for _ in range(discriminators)]
    game = make(kind, IMAGES, discriminator=room, discriminators=discriminators)
    assert game.realness(*batch(IMAGES)).shape == (12,)


@kinds
def test_data_without_classes_and_bad_labels_are_refused(kind):
    with pytest.raises(ValueError, match="needs data with labels of two classes"):
        getattr(mg.games, kind)((1, 16, 16))
    game, real = make(kind), batch()
    unlabelled = mg.data.Batch(real.x)
    with pytest.raises(ValueError, match="this batch has no labels"):
        game.draw(unlabelled)
    with pytest.raises(ValueError, match="together with their labels"):
        game.realness(real.x)
    for wrong, words in (
        (4, "labels must be from 0 to 3"),
        (-1, "labels must be from 0 to 3"),
        (torch.zeros(5), "one whole number, or one for each of 5 samples"),
        (torch.zeros(4, dtype=torch.int64), "one for each of 5 samples"),
    ):
        with pytest.raises(ValueError, match=words):
            game.sample(5, labels=wrong)


def test_bad_arguments_are_refused():
    for kind, arguments, words in (
        ("CGAN", {"loss": "wasserstein"}, "unknown loss 'wasserstein'"),
        ("CGAN", {"condition": "bilinear"}, "unknown condition 'bilinear'"),
        ("CGAN", {"label_size": 0}, "label_size must be 1 or more"),
        ("CGAN", {"latent_size": 0}, "none left for noise"),
        ("CMADGAN", {"generators": 1}, "generators must be 2 or more"),
        ("CMADGAN", {"loss": "hinge", "targets": (0.9, 0.1)}, "for a cross-entropy"),
        ("CMADGAN", {"diversity": -0.3}, "diversity must be 0 or more"),
        ("CMADGAN", {"sign": "plus"}, "unknown sign 'plus'"),
        ("CMADGAN", {"per_generator": 0}, "per_generator must be 1 or more"),
    ):
        with pytest.raises(ValueError, match=words):
            make(kind, **arguments)


@kinds
@pytest.mark.parametrize("loss", ["minimax", "least_squares", "hinge"])
def test_every_loss_can_be_asked_for_by_its_name(kind, loss):
    game, real = make(kind, loss=loss), batch()
    assert game.targets == (
        (0.9, 0.1) if (kind, loss) == ("CMADGAN", "minimax") else (1.0, 0.0)
    )
    for side in (game.discriminator_loss, game.generator_loss):
        assert side(real, game.draw(real)).total.isfinite()


@kinds
def test_one_label_may_stand_for_all_samples(kind):
    game, real = make(kind), batch()
    three = torch.full((12,), 3)
    assert game.realness(real.x, 3).equal(game.realness(real.x, three))
    if kind == "CMADGAN":
        assert game.similarity(12, labels=3) == game.similarity(12, labels=three)


@kinds
def test_data_of_more_classes_than_the_games_are_refused(kind):
    ring = mg.data.ring(modes=8)
    with pytest.raises(ValueError, match="labels must be from 0 to 3"):
        mg.train(make(kind), ring, steps=1, batch_size=64, progress=False)


@kinds
def test_the_average_is_sampled_where_it_is_kept(kind, tmp_path):
    ring = mg.data.ring()
    game = make(kind, classes=8)
    mg.train(
        game, ring, steps=3, batch_size=16, ema=0.9, checkpoint=tmp_path, progress=False
    )
    loaded = mg.games.load(tmp_path)
    labels = torch.arange(8)
    same = [g.sample(8, labels=labels, seed=2).x for g in (game, loaded)]
    assert torch.equal(*same)
