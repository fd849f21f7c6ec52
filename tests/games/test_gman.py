"""GMAN: the losses against plain references, what each discriminator sees, boosting."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy, softplus

import multigan_lib as mg


def batch(n=20, shape=(2,)):
    x = torch.randn(n, *shape, generator=torch.Generator().manual_seed(3))
    return mg.data.Batch(x, None)


def make(**arguments):
    return mg.games.GMAN((2,), width=8, latent_size=4, **arguments)


def test_five_discriminators_by_default_and_their_losses_are_averaged():
    game, real = make(), batch()
    assert len(game.discriminator) == 5
    fake = game.draw(real)
    of_real = torch.stack([d(real.x) for d in game.discriminator.own])
    of_fake = torch.stack([d(fake.x) for d in game.discriminator.own])
    expected = (softplus(-of_real).mean(1) + softplus(of_fake).mean(1)).mean()
    assert torch.isclose(game.discriminator_loss(real, fake).total, expected)
    expected = softplus(-of_fake).mean(1).mean()
    assert torch.isclose(game.generator_loss(real, fake).total, expected)


def test_values_are_averaged_not_probabilities():
    game, real = make(), batch()
    for k, net in enumerate(game.discriminator.own):
        net.head[0].bias.data.fill_(-3 * k)
    fake = game.draw(real)
    probability = torch.stack([d(fake.x).sigmoid() for d in game.discriminator.own])
    of_values = -probability.log().mean()
    of_probabilities = -probability.mean(0).log().mean()
    found = game.generator_loss(real, fake).total
    assert torch.isclose(found, of_values) and found > of_probabilities + 0.1


def test_slices_show_each_discriminator_its_own_part():
    game, real = make(slices=True, discriminators=3), batch(20)
    seen = []
    for net in game.discriminator.own:
        net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    fake = mg.games.Fake(real.x + 100, torch.zeros(20, dtype=torch.int64))
    expected = [
        softplus(-d(real.x[6 * k : 6 * k + 6])).mean()
        + softplus(d(fake.x[6 * k : 6 * k + 6])).mean()
        for k, d in enumerate(game.discriminator.own)
    ]
    found = game.discriminator_loss(real, fake).total
    assert torch.isclose(found, torch.stack(expected).mean())
    found = game.generator_loss(real, fake).total
    parts = [
        softplus(-d(fake.x[6 * k :][:6])) for k, d in enumerate(game.discriminator.own)
    ]
    assert torch.isclose(found, torch.stack(parts).mean())
    with pytest.raises(ValueError, match="2 samples cannot be divided among 3"):
        game.generator_loss(real, mg.games.Fake(real.x[:2], fake.source[:2]))


@pytest.mark.parametrize("targets", [(0.9, 0.1), (0.9, 0.0)])
def test_smoothed_targets_are_a_cross_entropy(targets):
    game, real = make(targets=targets, discriminators=2), batch()
    fake = game.draw(real)
    expected = torch.zeros(())
    for net in game.discriminator.own:
        for x, target in zip((real.x, fake.x), targets, strict=True):
            probability = net(x).sigmoid()
            expected = expected + binary_cross_entropy(
                probability, torch.full_like(probability, target)
            )
    assert torch.isclose(game.discriminator_loss(real, fake).total, expected / 2)


def test_noisy_targets_are_the_reports_but_never_above_one():
    game = make(targets="noisy", discriminators=1)
    real, fake = (t for t in game._draw_targets(*torch.zeros(2, 400_000)))
    assert real.max() == 1 and (real == 1).float().mean().sub(0.5).abs() < 0.01
    below = 1 - real[real < 1]  # half of a normal distribution
    assert abs(below.mean() - math.sqrt(2 / math.pi) / 15) < 1e-3
    assert fake.min() >= 0 and 0.333 < fake.max() <= 1 / 3
    a, b = mg.games.adversarial.NOISY_TARGETS
    assert abs(real.mean() - a) < 1e-3 and abs(fake.mean() - b) < 1e-3


@pytest.mark.parametrize("targets", [(0.9, 0.0), (0.8, 0.3), "noisy"])
def test_the_judge_is_undecided_where_real_and_generated_are_equally_likely(targets):
    # The best constant logit, where both have one distribution, found by descent.
    game = make(targets=targets, discriminators=1)
    logit = torch.zeros(20_000, requires_grad=True)
    constant = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.LBFGS([constant], line_search_fn="strong_wolfe")
    real_target, fake_target = game._draw_targets(logit, logit)

    def closure():
        optimizer.zero_grad()
        logits = constant.expand(20_000)
        loss = mg.losses.adversarial.label_smoothing(
            logits, logits, real_target, fake_target
        )
        loss.backward()
        return loss

    for _ in range(5):
        optimizer.step(closure)
    last = game.discriminator.head[0]
    last.weight.data.zero_()
    last.bias.data.copy_(constant.detach())
    assert game.realness(batch().x).abs().max() < 0.02


def test_boosting_trains_the_next_where_the_first_fail_and_lets_them_vote():
    game, real = make(aggregate="boosting", discriminators=3), batch()
    fake = game.draw(real)
    game.alpha.copy_(torch.tensor([1.0, 0.5, 0.25]))
    game.eval()  # the weights rest
    of_real = torch.stack([d(real.x) for d in game.discriminator.own])
    of_fake = torch.stack([d(fake.x) for d in game.discriminator.own])
    vote = 2 * torch.sigmoid(torch.cat([of_real, of_fake], 1)) - 1
    label = torch.cat([torch.ones(20), -torch.ones(20)])
    total, losses = torch.zeros(40), []
    for i in range(3):
        weight = torch.sigmoid(-total.detach())
        logits = torch.cat([of_real[i], of_fake[i]])
        losses.append(2 * (weight * softplus(-label * logits)).sum() / weight.sum())
        total = total + game.alpha[i] * label * vote[i]
    found = game.discriminator_loss(real, fake).total
    assert torch.isclose(found, torch.stack(losses).mean())
    together = (game.alpha[:, None] * vote[:, 20:]).sum(0)
    assert torch.isclose(
        game.generator_loss(real, fake).total, softplus(-together).mean()
    )
    assert torch.allclose(game.realness(fake.x.detach()), together, atol=1e-6)
    game.train()
    before = game.alpha.clone()
    game.discriminator_loss(real, fake)
    assert not torch.equal(before, game.alpha)


def test_boosting_finds_the_ring():
    ring = mg.data.ring()
    game = mg.games.GMAN(ring, aggregate="boosting", discriminators=3, width=32)
    mg.train(game, ring, steps=150, batch_size=64, progress=False, device="cpu")
    assert game.alpha.min() > 0
    of_real = game.realness(ring.sample(500, seed=0))
    of_fake = game.realness(game.sample(500, seed=0).x)
    assert (of_real > 0).float().mean() > 0.5 and of_real.mean() > of_fake.mean()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"aggregate": "boosting", "loss": "hinge"}, "boosting weights a cross-ent"),
        ({"aggregate": "boosting", "targets": (0.9, 0.1)}, "leave out targets"),
        ({"aggregate": "harmonic", "loss": "hinge"}, "needs losses of one sign"),
        ({"targets": (0.1, 0.9)}, "the first above the second"),
        ({"targets": (1.1, 0.0)}, "both in"),
        ({"targets": "soft"}, "unknown targets 'soft'"),
        ({"targets": (0.9, 0.1), "loss": "least_squares"}, "for a cross-entropy"),
        ({"lam": math.nan, "aggregate": "softmax"}, "lam must be finite"),
        ({"discriminator": {"width": [3, 4]}}, "width has 2 values for 5"),
        ({"discriminator": {"heads": 3}}, "no option heads"),
    ],
)
def test_bad_settings(arguments, words):
    with pytest.raises(ValueError, match=words):
        make(**arguments)


def test_boosting_is_gmans_alone():
    with pytest.raises(ValueError, match="unknown aggregate 'boosting'"):
        mg.games.GAN((2,), aggregate="boosting")


def test_a_checkpoint_holds_a_family_but_not_networks_of_your_own(tmp_path):
    ring = mg.data.ring()
    family = {"width": [4, 8], "dropout": (0.0, 0.5)}
    game = make(discriminators=2, discriminator=family, targets=(0.9, 0.1))
    mg.train(
        game, ring, steps=2, batch_size=8, checkpoint=tmp_path / "a", progress=False
    )
    loaded, x = mg.games.load(tmp_path / "a"), batch().x
    assert torch.equal(loaded.realness(x), game.cpu().realness(x))
    own = [mg.nets.MLPDiscriminator(2, (w,)) for w in (3, 4)]
    game = make(discriminators=2, discriminator=own)
    mg.train(
        game, ring, steps=2, batch_size=8, checkpoint=tmp_path / "b", progress=False
    )
    with pytest.raises(ValueError, match="your own discriminator"):
        mg.games.load(tmp_path / "b")
    again = mg.games.load(tmp_path / "b", make(discriminators=2, discriminator=own))
    assert torch.equal(again.realness(x), game.cpu().realness(x))


def test_an_aggregate_of_your_own_is_a_function_of_the_losses(tmp_path):
    ring, real = mg.data.ring(), batch()
    rule = mg.losses.aggregate.softmax(3.0)
    own, named = make(aggregate=rule), make(aggregate="softmax", lam=3.0)
    fake = own.draw(real)
    assert torch.equal(
        own.generator_loss(real, fake).total, named.generator_loss(real, fake).total
    )
    mg.train(own, ring, steps=1, batch_size=8, checkpoint=tmp_path, progress=False)
    with pytest.raises(ValueError, match="your own aggregate"):
        mg.games.load(tmp_path)
    assert int(mg.games.load(tmp_path, make(aggregate=rule)).step) == 1
