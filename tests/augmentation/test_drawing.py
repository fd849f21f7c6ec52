"""Labelled images of a game: asked for, or named by a classifier."""

import pytest
import torch
from torch import nn

import multigan_lib as mg
from multigan_lib import augmentation
from multigan_lib.games import Samples

SHAPE = (1, 16, 16)


class Levels(nn.Module):
    """Names an image by its mean grey level: (n, 1, H, W) in [-1, 1] to logits."""

    def __init__(self, sharp=50.0):
        super().__init__()
        self.sharp = nn.Parameter(torch.tensor(sharp))

    def forward(self, x):
        places = torch.tensor([-0.8, 0.0, 0.8])
        return -self.sharp * (x.mean((1, 2, 3))[:, None] - places).abs()


class Greys(mg.games.GAN):
    """A game whose generators make images of one grey level, as often as asked."""

    def generate(self, generator, n, labels, source):
        self.refuse_labels(labels)
        if source is None:
            source = torch.randint(2, (n,))
        p = torch.tensor([[0.5, 0.4, 0.1], [0.0, 0.5, 0.5]])
        which = torch.multinomial(p[source], 1).flatten()
        x = torch.tensor([-0.8, 0.0, 0.8])[which][:, None, None, None]
        return Samples(x.expand(n, *SHAPE), source)


class Conditional(Greys):
    conditional = True

    def generate(self, generator, n, labels, source):
        if labels is None:
            labels = torch.randint(3, (n,))
        x = torch.tensor([-0.8, 0.0, 0.8])[labels][:, None, None, None]
        source = torch.zeros(n, dtype=torch.int64) if source is None else source
        return Samples(x.expand(n, *SHAPE), source, labels)


@pytest.fixture
def game():
    return Greys(SHAPE, width=4, latent_size=4)


COUNTS = torch.tensor([300, 10, 200])


def test_a_labeller_fills_every_class(game):
    drawn = augmentation.generative(game, COUNTS, labeller=Levels())
    assert torch.bincount(drawn.images.labels).tolist() == COUNTS.tolist()
    right = Levels()(drawn.images.x()).argmax(1)
    assert right.equal(drawn.images.labels)
    assert drawn.accepted == 1.0


def test_the_histogram_is_of_labels_as_they_came(game):
    drawn = augmentation.generative(game, COUNTS, labeller=Levels())
    shares = drawn.histogram / drawn.histogram.sum()
    torch.testing.assert_close(
        shares, torch.tensor([0.25, 0.45, 0.30]), atol=0.04, rtol=0
    )


def test_one_generator_can_be_asked(game):
    drawn = augmentation.generative(
        game, torch.tensor([0, 100, 100]), labeller=Levels(), source=1
    )
    assert drawn.histogram[0] == 0


def test_a_class_that_does_not_come_is_named_with_what_came(game):
    with pytest.raises(ValueError, match=r"class 0 lacks 100 of 100.*came as \[0, "):
        augmentation.generative(
            game, torch.tensor([100, 0, 0]), labeller=Levels(), source=1
        )


def test_unsure_images_are_thrown_away(game):
    class Doubtful(Levels):
        def forward(self, x):  # sure of white alone, p = 0.36 for the others
            logits = super().forward(x) * 0.001
            logits[:, 2] *= 1000
            return logits

    kept = augmentation.generative(
        game, torch.tensor([0, 0, 50]), labeller=Levels(), confidence=0.9
    )
    assert kept.accepted == 1.0
    with pytest.raises(ValueError, match="class 1 lacks 10 of 10"):
        augmentation.generative(
            game, torch.tensor([0, 10, 0]), labeller=Doubtful(), confidence=0.9
        )


def test_counts_that_are_none_and_labellers_of_other_classes_are_refused(game):
    for counts in ([0, 0, 0], [-1, 2, 3], [1.0, 2.0, 3.0], 30):
        with pytest.raises(ValueError, match="how many images are asked for"):
            augmentation.generative(game, counts, labeller=Levels())
    with pytest.raises(ValueError, match=r"each of 4 classes; got \(2048, 3\)"):
        augmentation.generative(game, [1, 1, 1, 1], labeller=Levels())


def test_a_conditional_game_is_asked_for_its_labels():
    game = Conditional(mg.data.Spec(SHAPE, 3), width=4, latent_size=4)
    drawn = augmentation.generative(game, COUNTS)
    assert torch.bincount(drawn.images.labels).tolist() == COUNTS.tolist()
    assert Levels()(drawn.images.x()).argmax(1).equal(drawn.images.labels)
    assert drawn.histogram.equal(COUNTS)
    for more in ({"labeller": Levels()}, {"confidence": 0.9}):
        with pytest.raises(ValueError, match="leave out the labeller and the confid"):
            augmentation.generative(game, COUNTS, **more)
    with pytest.raises(ValueError, match="asked for of each of 3 classes"):
        augmentation.generative(game, [5, 5])


def test_a_game_of_points_has_no_images():
    with pytest.raises(ValueError, match=r"a game of images is needed.*\(2,\)"):
        augmentation.generative(mg.games.CGAN(mg.data.ring(), width=4), [1] * 8)


def test_a_game_without_conditions_needs_a_labeller(game):
    with pytest.raises(ValueError, match="pass a labeller"):
        augmentation.generative(game, COUNTS)
    with pytest.raises(ValueError, match=r"confidence must be in 0..1"):
        augmentation.generative(game, COUNTS, labeller=Levels(), confidence=2)


def test_the_seed_decides_and_the_global_generator_is_left_alone():
    game = mg.games.MADGAN(SHAPE, generators=2, width=4, latent_size=4)

    class First(nn.Module):  # names untrained images by one pixel
        def forward(self, x):
            return torch.stack([x[:, 0, 0, 0], -x[:, 0, 0, 0]], 1)

    state = torch.get_rng_state()
    one, same, other = (
        augmentation.generative(
            game, torch.tensor([20, 20]), labeller=First(), seed=seed
        ).images.images
        for seed in (0, 0, 1)
    )
    assert one.equal(same) and not one.equal(other)
    assert torch.get_rng_state().equal(state)
