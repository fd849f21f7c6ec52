"""MEGAN: its losses against plain ones, who reaches whom, samples and refusals."""

import copy
import math
from unittest.mock import patch

import pytest
import torch
from torch import nn

import multigan_lib as mg
from multigan_lib.datasets import Batch
from multigan_lib.games import megan
from multigan_lib.games.game import seeded

IMAGES = (1, 16, 16)
SHAPES = [(2,), IMAGES]


def batch(shape=(2,), n=24, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, *shape, generator=generator).clamp(-1, 1)
    return Batch(x, None)


def data_of(shape):
    """Data to train on: points, or the embedded digits."""
    return mg.data.ring() if shape == (2,) else mg.data.load("digits", image_size=16)


def make(shape=(2,), **options):
    """A small game of three generators whose logits are far from equal."""
    options = {"generators": 3, "width": 4, "latent_size": 6, "seed": 1, **options}
    game = mg.games.MEGAN(shape, **options)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in game.parameters():
            if weight.ndim > 1:
                weight.copy_(0.4 * torch.randn(weight.shape, generator=generator))
    return game


def softmax(logits):
    """Written out, so that the reference shares nothing with the library."""
    e = (logits - logits.amax(1, keepdim=True).detach()).exp()
    return e / e.sum(1, keepdim=True)


def plain_choices(gate, experts, z, features, gumbels, tau):
    """Straight-through one-hots: equations 1 to 3, 7 and 8 of the paper."""
    hidden = [
        torch.relu(encoder[0](f.flatten(1)))
        for encoder, f in zip(gate.encoders.own, features, strict=True)
    ]
    score = gate.mlp(torch.cat([z, *hidden], dim=1))
    y = softmax((score + gumbels) / tau)
    hard = torch.zeros_like(y)
    hard[torch.arange(len(z)), (score + gumbels).argmax(1)] = 1.0
    return hard + (y - y.detach())


def plain_features(network, z):
    return network.trunk[0](network.first(z))


def plain_sample(network, features):
    for block in network.trunk[1:]:
        features = block(features)
    return network.last(features)


def plain_losses(game, n, loss, tau):
    """The generators' and the gate's losses by loops over networks and samples."""
    experts, gate = game.generator.experts, game.generator.gate
    z = torch.randn(n, game.latent_size)
    gumbels = -torch.log(-torch.log(torch.rand(n, game.generators)))
    features = [plain_features(network, z) for network in experts.own]
    outputs = [plain_sample(*pair) for pair in zip(experts.own, features, strict=True)]
    g = plain_choices(gate, experts, z, features, gumbels, tau)
    x = torch.stack(
        [sum(g[j, k] * outputs[k][j] for k in range(game.generators)) for j in range(n)]
    )
    logits = game.opinions(x)
    if loss == "nonsaturating":
        adversarial = torch.stack([-torch.log(torch.sigmoid(s)).mean() for s in logits])
    else:
        adversarial = torch.stack([-s.mean() for s in logits])
    cut = [f.detach() for f in features]
    g = plain_choices(gate, experts, z, cut, gumbels, tau)
    shares = [g[:, k].sum() / n for k in range(game.generators)]
    balance = sum((p - 1 / game.generators) ** 2 for p in shares)
    return x, adversarial.mean(), balance


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("loss", ["nonsaturating", "wasserstein"])
@pytest.mark.parametrize("discriminators", [1, 3])
def test_losses_and_gradients_equal_plain_ones(shape, loss, discriminators):
    options = {"loss": loss, "discriminators": discriminators, "load_balance": 7.0}
    game = make(shape, **options).double()
    plain = copy.deepcopy(game)
    real = Batch(batch(shape, n=8).x.double(), None)
    torch.set_default_dtype(torch.float64)
    try:
        torch.manual_seed(3)
        ours = game.generator_loss(real, game.draw(real))
        torch.manual_seed(3)
        _, adversarial, balance = plain_losses(plain, 8, loss, 0.5)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.allclose(ours["adversarial"], adversarial, atol=1e-6)
    assert torch.allclose(ours["load_balance"], 7 * balance, atol=1e-6)
    assert torch.isclose(ours.total, ours["adversarial"] + ours["load_balance"])
    got = torch.autograd.grad(ours.total, [*game.generator.parameters()])
    expected = torch.autograd.grad(
        adversarial + 7 * balance, [*plain.generator.parameters()]
    )
    for a, b in zip(got, expected, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("discriminators", [1, 3])
def test_the_discriminator_judges_the_chosen_samples(discriminators):
    game = make(discriminators=discriminators)
    real = batch()
    with torch.no_grad():
        fake = game.draw(real)
    ours = game.discriminator_loss(real, fake)
    bce = nn.functional.binary_cross_entropy_with_logits
    parts = []
    for of_real, of_fake in zip(
        game.opinions(real.x), game.opinions(fake.x), strict=True
    ):
        parts.append(
            bce(of_real, torch.ones_like(of_real))
            + bce(of_fake, torch.zeros_like(of_fake))
        )
    assert torch.allclose(ours.total, torch.stack(parts).mean(), atol=1e-6)
    grads = torch.autograd.grad(ours.total, [*game.discriminator.parameters()])
    assert all(g.abs().max() > 0 for g in grads)


@pytest.mark.parametrize("discriminators", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_wasserstein_has_a_penalty(shape, discriminators):
    game = make(shape, loss="wasserstein", discriminators=discriminators)
    real = batch(shape, n=8)
    losses = game.discriminator_loss(real, game.draw(real))
    assert losses.keys() == {"adversarial", "penalty", "total"}
    assert losses["penalty"] > 0
    with pytest.raises(ValueError, match="no threshold"):
        game.realness(real.x)


@pytest.mark.parametrize("shape", SHAPES)
def test_fakes_are_the_chosen_samples(shape):
    game = make(shape)
    real = batch(shape)
    torch.manual_seed(5)
    fake = game.draw(real)
    torch.manual_seed(5)
    outputs = game.generator.experts(torch.randn(24, 6))
    assert fake.x.shape == real.x.shape and fake.logits.shape == (24, 3)
    assert torch.equal(fake.gate.sum(1), torch.ones(24))
    assert set(fake.gate.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(fake.gate.argmax(1), fake.source)
    assert len(fake.source.unique()) > 1
    assert torch.allclose(fake.x, outputs[fake.source, torch.arange(24)], atol=1e-6)


def gradients(loss, parameters):
    """Return every parameter's gradient, None where there is none."""
    return torch.autograd.grad(
        loss, [*parameters], retain_graph=True, allow_unused=True
    )


def is_reached(grads):
    return any(g is not None and g.abs().max() > 0 for g in grads)


@pytest.mark.parametrize("shape", SHAPES)
def test_load_balancing_reaches_the_gate_alone(shape):
    game = make(shape)
    real = batch(shape)
    losses = game.generator_loss(real, game.draw(real))
    experts, gate = game.generator.experts, game.generator.gate
    assert not is_reached(gradients(losses["load_balance"], experts.parameters()))
    assert is_reached(gradients(losses["load_balance"], gate.parameters()))
    for network in experts.own:
        assert is_reached(gradients(losses["adversarial"], network.parameters()))
    assert is_reached(gradients(losses["adversarial"], gate.parameters()))


def test_an_unchosen_generator_learns_through_its_features_only():
    game = make()
    real = batch()
    fake = game.draw(real)
    assert (fake.source == 0).any() and (fake.source != 0).any()
    loss = nn.functional.softplus(-game.discriminator(fake.x))
    of_others = loss[fake.source != 0].sum()
    network = game.generator.experts.own[0]
    assert not is_reached(gradients(of_others, network.last.parameters()))
    assert is_reached(gradients(of_others, network.first.parameters()))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_generators_sample_enters_the_gates_gradient(shape):
    game = make(shape, generators=4, temperature=3.0)
    real = batch(shape, n=12)
    experts = game.generator.experts
    through = experts.from_features

    def gate_gradient(j, k):
        """The gate's gradient when generator k's sample j is another one."""

        def outputs(features):
            samples = through(features)
            change = torch.zeros_like(samples)
            change[k, j] = 1.0
            return samples + change

        torch.manual_seed(0)
        with patch.object(experts, "from_features", outputs):
            fake = game.draw(real)
        # A fixed loss, so that nothing but the gate's route can change.
        grads = gradients(fake.x.sum(), game.generator.gate.parameters())
        return fake.source[j], torch.cat([g.flatten() for g in grads])

    before = gate_gradient(j=[], k=0)[1]
    for k in range(4):
        source, after = gate_gradient(j=3, k=k)
        assert (after - before).abs().max() > 1e-4, (k, source)


def count_rows(game):
    """Hooks that count the samples that each generator's last part makes."""
    rows = {}

    def hook(k):
        def add(module, inputs, output):
            rows[k] = rows.get(k, 0) + len(output)

        return add

    own = game.generator.experts.own
    handles = [net.last.register_forward_hook(hook(k)) for k, net in enumerate(own)]
    return rows, handles


@pytest.mark.parametrize("shape", SHAPES)
def test_sampling_runs_the_chosen_generator_only_past_the_gate(shape):
    game = make(shape)
    rows, handles = count_rows(game)
    samples = game.sample(60, seed=0)
    counts = samples.source.bincount(minlength=3)
    assert rows == {k: c for k, c in enumerate(counts.tolist()) if c}
    assert len(rows) > 1 and sum(rows.values()) == 60  # not 180
    rows.clear()
    with patch.object(megan.Gate, "forward", side_effect=AssertionError):
        asked = game.sample(7, source=2, seed=0)
    assert rows == {2: 7} and asked.source.tolist() == [2] * 7
    for handle in handles:
        handle.remove()
    with torch.no_grad(), seeded(0):
        z = torch.randn(7, game.latent_size)
        expected = game.generator.experts.network(2).eval()(z)
    assert torch.allclose(asked.x, expected, atol=1e-6)


def test_samples_follow_the_gates_probabilities():
    game = make(generators=2)
    with torch.no_grad():  # the same logits for every z
        game.generator.gate.mlp[1].weight.zero_()
        game.generator.gate.mlp[1].bias.copy_(torch.tensor([0.0, math.log(3.0)]))
    share = game.sample(8000, seed=0).source.double().mean()
    assert abs(share - 0.75) < 0.02
    logits = game.gate_logits(torch.randn(5, 6))
    assert logits.shape == (5, 2) and not logits.requires_grad
    assert torch.allclose(logits.softmax(1)[:, 1], torch.tensor(0.75))


def test_gate_logits_are_those_of_evaluation_and_of_the_average():
    game = make(IMAGES)
    z = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    one, other = game.gate_logits(z), game.gate_logits(z[:3])
    assert torch.allclose(one[:3], other, atol=1e-5)  # no batch statistics
    assert game.training
    game.keep_average()
    with torch.no_grad():
        game.generator.gate.mlp[1].bias.add_(torch.tensor([5.0, 0.0, 0.0]))
    assert torch.allclose(game.gate_logits(z), one, atol=1e-6)


def test_a_random_gate_is_uniform_and_blind():
    game = make(gate="random")
    z = torch.randn(5, 6)
    assert torch.equal(game.gate_logits(z), torch.zeros(5, 3))
    share = game.sample(6000, seed=0).source.bincount(minlength=3) / 6000
    assert (share - 1 / 3).abs().max() < 0.03
    real = batch()
    losses = game.generator_loss(real, game.draw(real))
    losses.total.backward()
    for network in game.generator.experts.own:
        assert is_reached([p.grad for p in network.parameters()])


def test_the_temperature_falls_with_the_step():
    game = make(temperature=2.0, temperature_rate=0.01, temperature_floor=0.3)
    for step, expected in [(0, 2.0), (100, 2 * math.exp(-1)), (1000, 0.3)]:
        game.step.fill_(step)
        assert math.isclose(game.temperature.item(), expected, rel_tol=1e-6)
    paper = make()
    paper.step.fill_(5000)
    assert math.isclose(paper.temperature.item(), 0.5 * math.exp(-5), rel_tol=1e-6)


def test_the_gates_gradient_is_that_of_the_present_temperature():
    game = make()
    real = batch(n=8)
    found = {}
    for step in (0, 1500):
        game.step.fill_(step)
        torch.manual_seed(0)
        fake = game.draw(real)
        balance = game.generator_loss(real, fake)["load_balance"]
        (ours,) = torch.autograd.grad(balance, fake.logits)
        torch.manual_seed(0)
        torch.randn(8, 6)
        noise = -torch.log(-torch.log(torch.rand(8, 3)))
        logits = fake.logits.detach().requires_grad_()
        y = softmax((logits + noise) / (0.5 * math.exp(-0.001 * step)))
        p = fake.gate.detach().mean(0)
        proxy = 100 * (2 * (p - 1 / 3) * y).sum() / 8
        (expected,) = torch.autograd.grad(proxy, logits)
        assert torch.allclose(ours, expected, atol=1e-5, rtol=1e-4)
        found[step] = ours
    assert not torch.allclose(found[0], found[1500])


def settle(game, logits, steps=200):
    """Let the weight adapt to a gate whose logits are what they are."""
    for _ in range(steps):
        game._adapt(logits)
    return game.balance_weight.item()


def test_the_weight_adapts_to_uniform_logits_and_returns():
    uniform, sure = torch.zeros(16, 3), torch.tensor([[9.0, 0, 0]]).expand(16, 3)
    lower = make(load_balance=1000.0, adapt="lower")
    assert math.isclose(settle(lower, uniform, 1), 1000 / 1.01, rel_tol=1e-5)
    assert math.isclose(settle(lower, uniform, 2000), 1.0, rel_tol=1e-4)
    assert math.isclose(settle(lower, sure, 2000), 1000.0, rel_tol=1e-4)
    higher = make(load_balance=10.0, adapt="raise")
    assert math.isclose(settle(higher, uniform, 1), 10.1, rel_tol=1e-5)
    assert math.isclose(settle(higher, uniform, 2000), 10_000.0, rel_tol=1e-4)
    assert math.isclose(settle(higher, sure, 2000), 10.0, rel_tol=1e-4)


def test_the_weight_stays_where_it_is_without_adaptation_and_in_evaluation():
    real = batch()
    for game in (make(load_balance=5.0), make(load_balance=5.0, adapt="lower").eval()):
        for _ in range(3):
            game.generator_loss(real, game.draw(real))
        assert game.balance_weight.item() == 5.0


@pytest.mark.parametrize("adapt", ["lower", "raise"])
def test_training_moves_the_weight(adapt, monkeypatch):
    monkeypatch.setattr(megan, "UNIFORM", 0.5)
    game = mg.games.MEGAN((2,), generators=3, adapt=adapt, seed=0)
    history = mg.train(game, data_of((2,)), steps=5, batch_size=16, progress=False)
    expected = 100 * (1.01 if adapt == "raise" else 1 / 1.01) ** 5
    assert math.isclose(game.balance_weight.item(), expected, rel_tol=1e-4)
    assert len(history.terms["generator/load_balance"]) == 5


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"loss": "wasserstein"},
        {"discriminators": 3, "aggregate": "maximum"},
        {"gate": "random"},
        {"adapt": "lower"},
    ],
    ids=str,
)
def test_every_kind_trains(shape, options):
    game = mg.games.MEGAN(shape, generators=3, width=4, seed=0, **options)
    before = copy.deepcopy(game.state_dict())
    history = mg.train(game, data_of(shape), steps=2, batch_size=8, progress=False)
    assert math.isfinite(history.terms["generator/total"][-1])
    for name, parameter in game.named_parameters():
        if "experts" in name or "discriminator" in name:
            moved = not torch.equal(before[name], parameter)
            # Nothing depends on a bias before a normalisation, or of a critic's head.
            assert moved or name.endswith("bias"), name
    assert game.sample(4).x.shape == (4, *shape)


def test_a_million_steps_leave_the_losses_finite():
    game = make()
    game.step.fill_(1_000_000)
    real = batch()
    losses = game.generator_loss(real, game.draw(real))
    losses.total.backward()
    for parameter in game.generator.parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"generators": 1}, "generators must be"),
        ({"generators": 2.5}, "generators must be a whole number"),
        ({"load_balance": -1.0}, "load_balance must be"),
        ({"load_balance": math.nan}, "load_balance"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"temperature": -0.5}, "temperature must be above 0"),
        ({"temperature": math.inf}, "temperature must be above 0"),
        ({"temperature_rate": -1e-3}, "temperature_rate must be"),
        ({"temperature_floor": -1.0}, "temperature_floor must be"),
        ({"adapt": "higher"}, "adapt"),
        ({"gate": "clever"}, "unknown gate 'clever'"),
        ({"loss": "bce"}, "unknown loss 'bce'"),
        ({"discriminators": 0}, "discriminators"),
        ({"aggregate": "median"}, "unknown aggregate"),
        ({"generator": nn.Linear(6, 2)}, "nets.Bank of 3"),
    ],
    ids=str,
)
def test_bad_settings_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        mg.games.MEGAN((2,), **{"generators": 3, **options})


def test_bad_requests_are_refused():
    game = make()
    with pytest.raises(ValueError, match="no labels"):
        game.sample(3, labels=torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="from 0 to 2"):
        game.sample(3, source=3)


def same(one, two):
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name


@pytest.mark.parametrize("shape", SHAPES)
def test_a_checkpoint_brings_everything_back(tmp_path, shape, monkeypatch):
    monkeypatch.setattr(megan, "UNIFORM", 0.5)
    game = mg.games.MEGAN(
        shape, generators=3, width=4, adapt="lower", temperature_floor=0.1, seed=2
    )
    mg.train(
        game,
        data_of(shape),
        steps=4,
        batch_size=8,
        ema=0.9,
        checkpoint=tmp_path / "run",
        progress=False,
    )
    loaded = mg.games.load(tmp_path / "run")
    assert isinstance(loaded, mg.games.MEGAN)
    assert loaded.arguments == game.arguments
    assert loaded.step.item() == 4 and loaded.balance_weight.item() < 97
    same(game.state_dict(), loaded.state_dict())
    assert torch.equal(loaded.temperature, game.temperature)
    one, two = game.sample(9, seed=0), loaded.sample(9, seed=0)
    assert torch.equal(one.x, two.x) and torch.equal(one.source, two.source)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_resumed_run_equals_an_unbroken_one(tmp_path, shape, monkeypatch):
    monkeypatch.setattr(megan, "UNIFORM", 0.5)
    data = data_of(shape)
    options = {"generators": 3, "width": 4, "adapt": "raise", "seed": 0}
    whole = mg.games.MEGAN(shape, **options)
    mg.train(whole, data, steps=6, batch_size=8, seed=4, progress=False)
    first = mg.games.MEGAN(shape, **options)
    path = tmp_path / "run"
    mg.train(
        first, data, steps=2, batch_size=8, seed=4, checkpoint=path, progress=False
    )
    second = mg.games.MEGAN(shape, **options)
    mg.train(second, data, until=6, checkpoint=path, resume=True, progress=False)
    assert second.balance_weight > 100 * 1.01**5
    same(whole.state_dict(), second.state_dict())
