"""Battles between judges with known errors, against counting by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

import multigan_lib as mg
from multigan_lib.metrics import gam, tournament
from multigan_lib.metrics.ratios import rate, ratio_interval

N = 200
TEST = torch.zeros(N, 2)


class Stub:
    """A game whose samples all carry its number, and whose judge errs as told.

    Args:
        number: at least 1; the test images carry 0.
        wrong: number (0 for the test images) → share of errors, or a list of errors.
    """

    def __init__(self, number, wrong, size=(2,)):
        self.number, self.wrong, self.size = number, wrong, size
        self.sampled, self.seen = 0, {}

    def sample(self, n, seed=None):
        self.sampled += n > 1
        x = torch.full((n, *self.size), 0.1 * self.number)
        return mg.games.Samples(x, torch.zeros(n, dtype=torch.int64))

    def realness(self, x):
        seen = round(10 * x.flatten()[0].item())
        at = self.seen.get(seen, 0)
        self.seen[seen] = at + len(x)
        share = self.wrong.get(seen, 0.5)
        wrong = torch.arange(at, at + len(x)) % 100 < 100 * share
        truth = 1.0 if seen == 0 else -1.0
        return torch.where(wrong, -truth, truth)


def pair(test_1=0.1, test_2=0.1, samples_1=0.2, samples_2=0.4):
    one = Stub(1, {0: test_1, 1: 0.3, 2: samples_1})
    two = Stub(2, {0: test_2, 1: samples_2, 2: 0.6})
    return one, two


def networks(seed, discriminators=1, shape=(2,), **options):
    game = mg.games.GAN(shape, discriminators=discriminators, seed=seed, **options)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in game.parameters():
            p.add_(0.5 * torch.randn(p.shape, generator=generator))
    return game


def points(n=N, seed=3):
    return 2 * torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))


# ------------------------------------------------------------------ the ratios


def test_ratios_are_those_of_the_error_rates():
    battle = gam(*pair(0.10, 0.11, 0.2, 0.5), TEST)
    assert battle.errors == pytest.approx(
        {
            "test_1": 0.10,
            "test_2": 0.11,
            "samples_1": 0.2,  # judge 1 on game 2's samples
            "samples_2": 0.5,
            "own_1": 0.3,
            "own_2": 0.6,
        }
    )
    assert battle.r_test == pytest.approx(0.10 / 0.11)
    assert battle.r_samples == pytest.approx(0.2 / 0.5)
    assert battle.winner == battle.leader == "game_1" and battle.n == N
    low, high = battle.samples_interval
    assert low < battle.r_samples < high < 1
    assert "game_1 wins" in str(battle) and "20.0%" in battle.reason


def test_the_judge_who_is_fooled_more_loses():
    battle = gam(*pair(samples_1=0.5, samples_2=0.2), TEST)
    assert battle.r_samples == pytest.approx(2.5) and battle.winner == "game_2"


def test_swapped_games_have_inverse_outcomes():
    for names in (pair(0.1, 0.11, 0.2, 0.5), pair(0.0, 0.02, 0.0, 0.04)):
        there, back = gam(*names, TEST), gam(*reversed(names), TEST)
        check_inverse(there, back)
    check_inverse(
        *(
            gam(*games, points(), judges="each")
            for games in (
                (networks(0, 3), networks(1, 2)),
                (networks(1, 2), networks(0, 3)),
            )
        )
    )


def check_inverse(there, back):
    assert there.r_test == pytest.approx(1 / back.r_test, rel=1e-12)
    assert there.r_samples == pytest.approx(1 / back.r_samples, rel=1e-12)
    for name in ("test_interval", "samples_interval"):
        low, high = getattr(back, name)
        assert getattr(there, name) == pytest.approx((1 / high, 1 / low), rel=1e-12)
    assert there.gmam == -back.gmam
    swapped = {"game_1": "game_2", "game_2": "game_1", "tie": "tie"}
    assert there.winner == swapped[back.winner]
    assert there.leader == swapped[back.leader]


@pytest.mark.parametrize("judges", ["mean", "each"])
def test_a_game_against_itself_is_a_tie(judges):
    game = networks(0, discriminators=3)
    for other in (game, networks(0, discriminators=3)):
        battle = gam(game, other, points(), judges=judges)
        assert battle.r_test == battle.r_samples == 1 and battle.gmam == 0
        assert battle.winner == battle.leader == "tie"


def test_unequal_judges_make_a_tie():
    games = pair(0.1, 0.2, 0.1, 0.9)
    battle = gam(*games, TEST)
    assert battle.r_test == 0.5 and not battle.fair
    assert battle.winner == "tie" and battle.leader == "game_1"
    assert "not equally good" in battle.reason and "a tie" in str(battle)
    assert gam(*games, TEST, tolerance=1.1).winner == "game_1"
    assert gam(*pair(0.2, 0.1, 0.1, 0.9), TEST).winner == "tie"


def test_a_ratio_that_may_be_one_makes_a_tie():
    battle = gam(*pair(samples_1=0.48, samples_2=0.52), TEST)
    assert battle.fair and battle.leader == "game_1" and battle.winner == "tie"
    assert "may be 1" in battle.reason
    many = gam(*pair(samples_1=0.48, samples_2=0.52), torch.zeros(10_000, 2))
    assert many.winner == "game_1"


def test_no_verdict_is_half_an_error():
    one, two = Stub(1, {}), Stub(2, {})
    one.realness = two.realness = lambda x: torch.zeros(len(x))
    battle = gam(one, two, TEST)
    assert set(battle.errors.values()) == {0.5} and battle.winner == "tie"


# --------------------------------------------------------- zeros and intervals


def test_no_error_counts_as_half_of_one_more():
    battle = gam(*pair(0.0, 0.0, 0.0, 0.5), TEST)
    assert battle.errors["samples_1"] == pytest.approx(0.5 / (N + 1))
    assert battle.r_test == 1 and battle.winner == "game_1"


@pytest.mark.parametrize(
    "few, winner", [(0.01, "tie"), (0.03, "tie"), (0.08, "game_1")]
)
def test_no_error_against_few_is_no_certain_win(few, winner):
    test = torch.zeros(100, 2)
    assert gam(*pair(samples_1=0.0, samples_2=few), test).winner == winner


def test_intervals_cover_as_often_as_they_say():
    rng, n, runs = np.random.default_rng(0), 400, 400
    covered = {"independent": 0, "paired": 0}
    for seed in range(runs):
        one, two = (rng.random((1, n)) < p for p in (0.1, 0.2))
        both = np.concatenate([one, one | (rng.random((1, n)) < 1 / 9)])
        for name, sets in {"independent": [one, two], "paired": [both]}.items():
            low, high = ratio_interval([s.astype(float) for s in sets], 0.9, seed)
            covered[name] += low <= 0.5 <= high
    for count in covered.values():
        assert abs(count / runs - 0.9) < 4 * math.sqrt(0.09 / runs)


def test_paired_errors_make_a_narrow_interval():
    wrong = np.zeros((2, 1000))
    wrong[0, :200] = wrong[1, :210] = 1  # nearly the same images
    low, high = ratio_interval([wrong], 0.95, 0)
    apart = ratio_interval([wrong[:1], wrong[1:]], 0.95, 0)
    assert 0.9 < low < 20 / 21 < high < 1 and apart[0] < 0.85 and apart[1] > 1.05


def test_the_bootstrap_is_that_of_resampled_images():
    rng = np.random.default_rng(1)
    wrong = rng.choice([0, 0.5, 1], (2, 300), p=[0.7, 0.1, 0.2])
    plain = []
    for _ in range(4000):
        one, two = wrong[:, rng.integers(0, 300, 300)].mean(1)
        plain.append(one / two)
    expected = np.quantile(plain, [0.025, 0.975])
    assert ratio_interval([wrong], 0.95, 0) == pytest.approx(tuple(expected), rel=0.02)


def test_rate_is_the_mean():
    assert rate(np.array([1.0, 0.0, 0.5, 0.0])) == 0.375
    assert rate(np.zeros(9)) == 0.05


# ----------------------------------------------------------- real games, judges


def by_hand(judge, x, each):
    """Share called real and E log(1 - D), from the networks themselves."""
    with torch.no_grad():
        logits = judge.discriminator(x).double()
        logits = logits if judge.discriminators > 1 else logits[None]
    said = logits if each else logits.mean(0, keepdim=True)
    return (said > 0).double().mean().item(), (-softplus(logits)).mean().item()


@pytest.mark.parametrize("judges", ["mean", "each"])
def test_both_conventions_for_many_discriminators(judges):
    one, two, x = networks(0, discriminators=3), networks(1), points()
    battle = gam(one, two, x, judges=judges, seed=5)
    sample = {game: game.sample(N, seed=5).x for game in (one, two)}
    each = judges == "each"
    expected, value = {}, {}
    for i, judge, other in ((1, one, two), (2, two, one)):
        expected[f"test_{i}"] = 1 - by_hand(judge, x, each)[0]
        expected[f"samples_{i}"], value[i, "other"] = by_hand(
            judge, sample[other], each
        )
        expected[f"own_{i}"], value[i, "own"] = by_hand(judge, sample[judge], each)
    assert battle.errors == pytest.approx(expected)
    gmam = math.log(
        (value[1, "other"] / value[1, "own"]) / (value[2, "other"] / value[2, "own"])
    )
    assert battle.gmam == pytest.approx(gmam)


def test_the_conventions_differ_for_judges_who_disagree():
    errors = [
        gam(networks(0, 3), networks(1), points(), judges=judges).errors
        for judges in ("mean", "each")
    ]
    assert errors[0] != errors[1]


def test_the_threshold_is_that_of_equal_priors():
    """MAD-GAN's own output is 1/(K + 1) at the optimum; its realness is 0 there."""
    three = mg.games.MADGAN((2,), generators=3, discriminator=nn.Linear(2, 4))
    nn.init.zeros_(three.discriminator.weight)
    nn.init.zeros_(three.discriminator.bias)
    battle = gam(three, networks(1), points())
    # It says 1/4 of everything, which calls nothing generated, and nothing real.
    assert battle.errors["test_1"] == pytest.approx(0.5)


def test_images_data_sets_and_tensors_agree():
    digits = mg.data.load("digits", "test[:150]", image_size=16)
    games = [networks(s, shape=(1, 16, 16), width=4) for s in (0, 1)]
    whole = gam(*games, digits)
    assert whole == gam(*games, digits.x()) and whole.n == 150
    part = gam(*games, digits, n=60)
    assert part.n == 60 and part == gam(*games, digits.x(), n=60)


def test_a_game_is_left_as_it_was():
    game, other = networks(0).train(), networks(1)
    state = torch.get_rng_state()
    gam(game, other, points())
    assert game.training and torch.equal(torch.get_rng_state(), state)


def test_images_of_unlike_size():
    small, large = (networks(0, shape=(1, s, s), width=4) for s in (16, 32))
    test = mg.data.load("digits", "test[:40]", image_size=32)
    with pytest.raises(ValueError, match=r"\(1, 16, 16\).*\(1, 32, 32\).*resize=True"):
        gam(small, large, test)
    with pytest.raises(ValueError, match=r"test images.*resize=True"):
        gam(small, small, test)
    battle = gam(small, large, test, resize=True)
    x = torch.nn.functional.interpolate(
        test.x(), (16, 16), mode="bilinear", antialias=True
    )
    alone = gam(small, small, x)
    assert battle.errors["test_1"] == alone.errors["test_1"]
    assert battle.errors["own_1"] == alone.errors["own_1"]
    back = gam(large, small, test, resize=True)
    check_inverse(battle, back)


def test_unlike_channels_are_refused_always():
    grey, colour = networks(0, shape=(1, 16, 16)), networks(0, shape=(3, 16, 16))
    test = torch.rand(20, 1, 16, 16) * 2 - 1
    for resize in (False, True):
        with pytest.raises(ValueError, match=r"\(3, 16, 16\).*\(1, 16, 16\)"):
            gam(grey, colour, test, resize=resize)
    with pytest.raises(ValueError, match="shape"):
        gam(grey, networks(0), test, resize=True)


# -------------------------------------------------------------------- refusals


def test_a_critic_is_refused():
    critic = mg.games.GAN((2,), loss="wasserstein")
    with pytest.raises(ValueError, match=r"game_2 cannot be a judge.*no threshold"):
        gam(networks(0), critic, points())


def test_nan_is_refused():
    broken = networks(0)
    broken.realness_each = lambda x, labels=None: torch.full((1, len(x)), math.nan)
    with pytest.raises(ValueError, match="game_1 says NaN"):
        gam(broken, networks(1), points())


@pytest.mark.parametrize(
    "options",
    [
        {"n": 0},
        {"n": N + 1},
        {"judges": "median"},
        {"tolerance": -0.1},
        {"level": 1.0},
        {"level": math.nan},
    ],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        gam(networks(0), networks(1), points(), **options)


@pytest.mark.parametrize(
    "test", [torch.zeros(0, 2), torch.full((5, 2), math.nan), torch.zeros(5, 2).int()]
)
def test_points_that_are_none_are_refused(test):
    with pytest.raises(ValueError, match="test_images"):
        gam(networks(0), networks(1), test)


def test_what_is_no_game_is_refused():
    with pytest.raises(TypeError, match="game_2 must be a game, got str"):
        gam(networks(0), "a game", points())
    with pytest.raises(TypeError, match="test_images"):
        gam(networks(0), networks(1), "mnist")
    with pytest.raises(ValueError, match="two games"):
        tournament({"alone": networks(0)}, points())


# ------------------------------------------------------------------ tournament


def test_a_tournament_is_all_its_battles():
    games = {f"game {seed}": networks(seed, 1 + seed) for seed in range(3)}
    result = tournament(games, points(), judges="each", seed=2)
    assert result.names == [*games] and len(result.battles) == 6
    for (a, b), battle in result.battles.items():
        alone = gam(games[a], games[b], points(), judges="each", seed=2)
        assert battle.r_samples == pytest.approx(alone.r_samples)
        assert battle.errors == pytest.approx(alone.errors)
        assert battle.winner == alone.winner


def test_wins_points_and_table():
    # 1 beats 2, 2 beats 3, and 3 beats 1; 4 ties with everyone.
    wrong = {1: {2: 0.1, 3: 0.6}, 2: {3: 0.2, 1: 0.5}, 3: {1: 0.1, 2: 0.9}}
    games = {f"g{i}": Stub(i, {0: 0.1, **wrong.get(i, {})}) for i in (1, 2, 3, 4)}
    result = tournament(games, TEST)
    w, t, l = 1, 0.5, 0  # noqa: E741
    expected = [[0, w, l], [l, 0, w], [w, l, 0]]
    assert result.wins[:3, :3].tolist() == expected
    assert (result.wins + result.wins.T == 1 - np.eye(4)).all()
    assert result.wins[3].tolist() == [t, t, t, 0]
    assert result.points == {"g1": 1.5, "g2": 1.5, "g3": 1.5, "g4": 1.5}
    lines = str(result).splitlines()
    assert len(lines) == 5 and "0.20 win" in lines[1] and "points" in lines[0]
    assert all(game.sampled == 1 for game in games.values())


# ---------------------------------------------- a good game and one that is broken


class Points(nn.Module):
    """A generator that draws from a function of uniform numbers; nothing to learn."""

    latent_size = 4

    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def forward(self, z):
        return self.draw(z)


class Perfect(nn.Module):
    """The optimal discriminator, from two log densities."""

    def __init__(self, log_p, log_q):
        super().__init__()
        self.log_p, self.log_q = log_p, log_q

    def forward(self, x):
        return self.log_p(x) - self.log_q(x)


def test_the_right_one_wins_on_the_ring_where_the_printed_formula_errs():
    """All eight modes a little blurred, against one mode and a blob of nothing.

    With optimal judges: err(D(test)) = P_d(p > p_d), err(D(G)) = P_G(p_d > p). The
    report compares each judge's errors on its *own* samples, and takes the generator
    that does not even fool its own judge for the better one.
    """
    ring, c = mg.data.ring(), 2.4
    blurred = mg.data.ring(std=c * ring.std)
    one = mg.data.PointMixture(ring.means[:1], ring.std)
    blob = mg.data.PointMixture(torch.zeros(1, 2), ring.std)

    def all_modes(z):
        mode = (8 * torch.special.ndtr(z[:, 2])).long().clamp(max=7)
        return blurred.std * z[:, :2] + ring.means[mode].float()

    def one_mode_and_nothing(z):
        on = (z[:, 2:3] > 0).float()
        return ring.std * z[:, :2] + on * ring.means[0].float()

    def log_broken(x):
        return torch.logaddexp(one.log_prob(x), blob.log_prob(x)) - math.log(2)

    good, broken = (
        mg.games.GAN(
            ring,
            generator=Points(draw),
            discriminator=Perfect(ring.log_prob, log_p),
        )
        for draw, log_p in (
            (all_modes, blurred.log_prob),
            (one_mode_and_nothing, log_broken),
        )
    )
    n, t = 10_000, math.log(c**2) / (1 - c**-2)  # p_d > p_1 where r² / 2σ² < t
    battle = gam(good, broken, ring.sample(n, seed=1))
    expected = {
        "test_1": math.exp(-t),
        "test_2": 1 / 8,
        "samples_1": (1 - math.exp(-t)) / 2,
        "samples_2": 7 / 8,
        "own_1": 1 - math.exp(-t / c**2),
        "own_2": 0.5 / (n + 1),
    }
    assert battle.errors == pytest.approx(expected, abs=4 * math.sqrt(0.25 / n))
    assert battle.fair and battle.winner == "game_1"
    printed = battle.errors["own_1"] / battle.errors["own_2"]
    assert printed > 100  # the report's "M2"


def test_a_boosted_game_judges_by_its_vote():
    ring = mg.data.ring()
    crowd = mg.games.GMAN(ring, aggregate="boosting", discriminators=3, width=8)
    for k, net in enumerate(crowd.discriminator.own):
        net.head[0].bias.data.fill_(1.0 if k else -1.0)
    crowd.alpha.copy_(torch.tensor([2.0, 0.1, 0.1]))  # the first outvotes the others
    other = mg.games.GAN(ring, width=8, seed=1)
    x = ring.sample(64, seed=0)
    assert (crowd.realness(x) < 0).all() and (crowd.realness_each(x).mean(0) > 0).all()
    assert mg.metrics.gam(crowd, other, x).errors["test_1"] == 1
    each = mg.metrics.gam(crowd, other, x, judges="each").errors["test_1"]
    assert each == pytest.approx(1 / 3)


# ---------------------------------------------------------- conditional games


def conditional(kind=mg.games.CGAN, seed=0, data=None, **options):
    game = kind(data or mg.data.ring(), width=16, seed=seed, **options)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in game.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=generator))
    return game


def labelled(n=N, seed=3):
    """Points of the ring with their modes; the modes in unequal shares."""
    ring = mg.data.ring()
    ring = mg.data.PointMixture(ring.means, ring.std, torch.arange(1, 9))
    return mg.data.Batch(*ring.sample_with_modes(n, seed))


@pytest.mark.parametrize("judges", ["mean", "each"])
def test_conditional_judges_are_told_the_labels(judges):
    # Seeds of which every judge errs on some samples, and not on all.
    one = conditional(seed=2, discriminators=2)
    two = conditional(mg.games.CMADGAN, seed=9, generators=3)
    x, c = test = labelled()
    battle = gam(one, two, test, judges=judges, seed=5)
    expected = {}
    for i, judge, other in ((1, one, two), (2, two, one)):
        for name, it in (("samples", other), ("own", judge)):
            drawn = it.sample(N, c, seed=5)
            assert torch.equal(drawn.labels, c)
            expected[f"{name}_{i}"] = said_real(judge, drawn.x, c, judges)
        expected[f"test_{i}"] = 1 - said_real(judge, x, c, judges)
    assert battle.errors == pytest.approx(expected)
    check_inverse(battle, gam(two, one, test, judges=judges, seed=5))
    # The labels matter: the same judges err otherwise with those of other points.
    moved = gam(one, two, mg.data.Batch(x, c.roll(1)), judges=judges, seed=5)
    assert moved.errors["test_1"] != battle.errors["test_1"]


def said_real(judge, x, c, judges):
    with torch.no_grad(), mg.games.game.evaluating(judge):
        logits = judge.opinions(x, c)
    a, b = judge.targets
    logits = logits - math.log((a + b) / (2 - a - b))
    logits = logits if judges == "each" else logits.mean(0)
    return (logits > 0).double().mean().item()


class Told(nn.Module):
    """A generator of a label alone, and a judge that knows both densities."""

    def __init__(self, wrong):
        super().__init__()
        self.ring, self.wrong = mg.data.ring(), wrong

    def sample(self, n, labels=None):
        labels = torch.zeros(n).long() if labels is None else labels
        at = self.ring.means[(labels + self.wrong) % 8].float()
        x = at + self.ring.std * torch.randn(n, 2)
        return mg.games.Samples(x, torch.zeros(n, dtype=torch.int64), labels)

    def realness(self, x, labels):
        real, fake = (
            self.ring.means[labels],
            self.ring.means[(labels + self.wrong) % 8],
        )
        return ((x - fake).square().sum(1) - (x - real).square().sum(1)).sign()


def test_who_ignores_the_label_is_found_out():
    """One game answers with the next mode: all modes there, each under a wrong name.

    Its density of x alone is that of the data, so no unconditional judge could tell.
    """
    right, wrong = Told(0), Told(1)
    battle = gam(right, wrong, labelled(400))
    # `right` cannot tell its own samples from real ones; what it says is half an error.
    assert battle.errors["own_1"] == battle.errors["test_1"] == 0.5
    assert battle.errors["test_2"] < 0.01 and battle.errors["own_2"] < 0.01
    assert battle.errors["samples_2"] > 0.99  # the right one's samples pass as real


def test_conditional_judges_refuse_what_has_no_labels():
    one, two, plain = conditional(seed=1), conditional(seed=2), networks(0)
    with pytest.raises(ValueError, match=r"game_1 is conditional.*test images have"):
        gam(one, two, points())
    for games, name in (((one, plain), "game_2"), ((plain, one), "game_1")):
        told = rf"is conditional.*the samples of {name} have none; let conditional"
        with pytest.raises(ValueError, match=told):
            gam(*games, labelled())
    with pytest.raises(ValueError, match=r"200 samples, and labels of shape \(9,\)"):
        gam(one, two, mg.data.Batch(points(), torch.zeros(9).long()))


def test_other_games_do_not_look_at_labels():
    x, c = labelled()
    with_labels = gam(networks(0), networks(1), mg.data.Batch(x, c))
    assert with_labels == gam(networks(0), networks(1), x)


def test_conditional_image_games_battle_on_a_data_set():
    digits = mg.data.load("digits", "test[:150]", image_size=16)
    games = {f"{s}": conditional(data=digits, seed=s) for s in (0, 1)}
    part = tournament(games, digits, n=60, seed=4).battles["0", "1"]
    order = torch.randperm(150, generator=torch.Generator().manual_seed(4))[:60]
    x, c = digits.x(order), digits.labels[order]
    expected = 1 - said_real(games["0"], x, c, "mean")
    assert part.n == 60 and part.errors["test_1"] == pytest.approx(expected)
