"""Figures: what is drawn, what is refused, and what reaches the page."""

import base64
import io
import math
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import multigan_lib as mg
from multigan_lib.figures.images import as_uint8, tile


class Tags(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def of(self, tag):
        return [attrs for name, attrs in self.found if name == tag]


class Game:
    """A point game whose discriminator is right on the ring's right half."""

    device = torch.device("cpu")

    def sample(self, n, seed=None):
        return mg.data.ring().sample(n, seed=1)

    def realness(self, x):
        return x[:, 0]


@pytest.fixture
def ring():
    return mg.data.ring()


@pytest.fixture
def history(ring):
    steps = range(0, 1000, 100)
    return SimpleNamespace(
        terms={
            "discriminator/adversarial": np.ones(50),
            "discriminator/total": np.linspace(2, 1, 50),
            "generator/total": np.linspace(0, 1, 50),
        },
        snapshots=[
            (step, SimpleNamespace(x=ring.sample(64, seed=step))) for step in steps
        ],
    )


@pytest.fixture
def shown(monkeypatch):
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda b, raw: bundles.append(b))
    return bundles


def pixels(figure):
    return matplotlib.image.imread(io.BytesIO(mg.figures.png(figure)))


def test_show_puts_the_alternative_text_into_the_page(shown):
    fig, ax = mg.figures.axes()
    ax.plot([0, 1])
    alt = 'A line\n that "rises" & ends <here>'
    mg.figures.show(fig, alt=alt)
    (bundle,) = shown
    (img,) = Tags(bundle["text/html"]).of("img")
    assert img["alt"] == 'A line that "rises" & ends <here>'
    data = img["src"].removeprefix("data:image/png;base64,")
    assert data == bundle["image/png"]
    picture = matplotlib.image.imread(io.BytesIO(base64.b64decode(data)))
    assert picture.shape[1] == 2 * int(img["width"]), "twice the pixels of the page"


@pytest.mark.parametrize("alt", ["", "  \n", None])
def test_show_refuses_a_figure_without_alternative_text(shown, alt):
    fig, _ = mg.figures.axes()
    with pytest.raises(ValueError, match="alt="):
        mg.figures.show(fig, alt=alt)
    assert not shown


def test_show_closes_a_figure_of_pyplot(shown):
    from matplotlib import pyplot

    fig = pyplot.figure()
    mg.figures.show(fig, alt="nothing")
    assert not pyplot.fignum_exists(fig.number)


def test_show_takes_a_saved_picture(shown, tmp_path):
    fig, _ = mg.figures.axes()
    path = mg.figures.save(fig, tmp_path / "new" / "a.png")
    mg.figures.show(path, alt="an empty picture")
    assert base64.b64decode(shown[0]["image/png"]) == path.read_bytes()
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]
    with pytest.raises(TypeError, match="list"):
        mg.figures.show([1], alt="no figure")


def test_animation_works_offline_and_with_a_screen_reader(shown, history, ring):
    movie = mg.figures.animate_points(history, ring, frames=4)
    mg.figures.show(movie, alt="Points that move")
    page = shown[0]["text/html"]
    tags = Tags(page)
    assert not re.search(r"https?://|<link|class=\"fa", page)
    assert [img["alt"] for img in tags.of("img")] == ["Points that move"]
    assert all(button["aria-label"] for button in tags.of("button"))
    sliders = [i for i in tags.of("input") if i["type"] == "range"]
    assert [slider["aria-label"] for slider in sliders] == ["Frame"]
    assert len(re.findall(r"frames\[\d+\] = \"data:image/png", page)) == 4


def test_animation_and_evolution_keep_both_ends(history, ring):
    fig = mg.figures.evolution(history, ring, columns=3)
    titles = [ax.get_title() for ax in fig.axes]
    assert titles[0] == "step 0" and titles[-1] == "step 900" and len(titles) == 3


def test_evolution_of_images():
    shots = [(step, torch.zeros(64, 1, 16, 16)) for step in (0, 10)]
    fig = mg.figures.evolution(shots)
    assert [ax.get_title() for ax in fig.axes] == ["step 0", "step 10"]


def test_panels_have_one_picture_a_set(ring):
    sets = [ring.sample(20, seed=seed) for seed in range(7)]
    fig = mg.figures.panels(sets, ring, [f"seed {n}" for n in range(7)], columns=4)
    drawn = [ax for ax in fig.axes if ax.axison]
    assert [ax.get_title() for ax in drawn] == [f"seed {n}" for n in range(7)]
    assert all(len(ax.collections[0].get_offsets()) == 20 for ax in drawn)
    assert all(len(ax.patches) == 8 for ax in drawn)


def test_no_snapshots_is_an_error_that_says_how_to_get_them():
    empty = SimpleNamespace(snapshots=[])
    with pytest.raises(ValueError, match="snapshot_every"):
        mg.figures.animate_points(empty)
    with pytest.raises(ValueError, match="snapshot_every"):
        mg.figures.evolution(empty)


def test_background_is_white_whatever_the_style(ring):
    import matplotlib as mpl

    with mpl.rc_context({"figure.facecolor": "black", "savefig.facecolor": "black"}):
        picture = pixels(mg.figures.scatter_points(ring.sample(50, seed=0), ring))
    corners = picture[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.allclose(corners, 1.0)


def _luminance(colour):
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_first_colours_differ_for_the_colour_blind():
    # Viénot, Brettel and Mollon (1999): a deuteranope confuses red with green.
    deuteranope = np.array(
        [[0.33066, 0.66934, 0], [0.33066, 0.66934, 0], [-0.02786, 0.02786, 1]]
    )
    seen = [deuteranope @ np.array(to_rgb(c)) ** 2.2 for c in mg.figures.palette]
    apart = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i]]
    assert min(apart) > 0.05
    assert len(set(mg.figures.markers)) == len(mg.figures.palette) == 10
    # WCAG 2.1, 1.4.11: lines have a contrast of 3 to 1 against white.
    first = [1.05 / (_luminance(c) + 0.05) for c in mg.figures.palette[:3]]
    assert min(first) > 3


def test_axes_are_labelled(history, ring):
    figures = [
        mg.figures.scatter_points(ring.sample(10, seed=0), ring),
        mg.figures.density_map(ring),
        mg.figures.decision_map(Game(), ring),
        mg.figures.loss_curves(history),
        mg.figures.curves({"a": [1, 2]}, ylabel="modes"),
        mg.figures.bars({"a": [1, 2]}, xlabel="digit", ylabel="share"),
    ]
    for fig in figures:
        assert isinstance(fig, Figure)
        assert fig.axes[0].get_xlabel() and fig.axes[0].get_ylabel()


def test_sources_differ_by_colour_and_marker(ring):
    samples = SimpleNamespace(x=ring.sample(90, seed=0), source=torch.arange(90) % 3)
    fig = mg.figures.scatter_points(samples, ring)
    dots = fig.axes[0].collections
    assert len(dots) == 3 and sum(len(d.get_offsets()) for d in dots) == 90
    assert len({tuple(d.get_facecolor()[0][:3]) for d in dots}) == 3
    assert len({d.get_paths()[0].vertices.tobytes() for d in dots}) == 3
    labels = [text.get_text() for text in fig.legends[0].get_texts()]
    assert labels == ["generator 0", "generator 1", "generator 2"]


def styles(dots):
    """The colour and the marker's outline of every set of points."""
    return {
        (tuple(d.get_facecolor()[0][:3]), d.get_paths()[0].vertices.tobytes())
        for d in dots
    }


def test_ten_generators_differ_in_pictures_and_movies(ring):
    source = torch.arange(100) % 10
    samples = SimpleNamespace(x=ring.sample(100, seed=0), source=source)
    movie = mg.figures.animate_points([(0, samples), (1, samples)], ring)
    movie._init_draw()  # else matplotlib warns that nobody has drawn it
    figures = [
        mg.figures.scatter_points(samples, ring),
        mg.figures.panels([samples, samples.x], ring),
        movie._fig,
    ]
    assert [len(styles(fig.axes[0].collections)) for fig in figures] == [10] * 3
    assert len(figures[1].axes[1].collections) == 1, "nobody says who made them"


def test_a_generator_keeps_its_colour_in_a_movie(ring):
    x = ring.sample(30, seed=0)
    two = SimpleNamespace(x=x, source=torch.arange(30) % 2 + 1)
    three = SimpleNamespace(x=x, source=torch.arange(30) % 3)
    movie = mg.figures.animate_points([(0, two), (1, three)], ring)
    movie._init_draw()  # else matplotlib warns that nobody has drawn it
    dots = movie._fig.axes[0].collections
    colours = [to_rgb(c) for c in mg.figures.palette[:3]]
    assert [tuple(d.get_facecolor()[0][:3]) for d in dots] == colours
    for frame, counts in ((0, [0, 15, 15]), (1, [10, 10, 10])):
        movie._draw_frame(frame)
        assert [len(d.get_offsets()) for d in dots] == counts
    assert torch.equal(torch.as_tensor(dots[2].get_offsets()).float(), x[2::3])
    one = mg.figures.scatter_points(SimpleNamespace(x=x, source=torch.full((30,), 2)))
    assert styles(one.axes[0].collections) == styles(dots[2:])
    assert not one.legends and len(movie._fig.legends) == 1


def test_mode_circles_have_three_standard_deviations(ring):
    fig = mg.figures.scatter_points(ring.sample(10, seed=0), ring)
    circles = fig.axes[0].patches
    assert len(circles) == 8
    assert all(math.isclose(c.radius, 3 * 0.02**0.5, rel_tol=1e-6) for c in circles)


def test_density_map_is_the_density(ring):
    fig = mg.figures.density_map(ring, extent=2.5)
    (picture,) = fig.axes[0].images
    values = np.asarray(picture.get_array())
    at = np.linspace(-2.5, 2.5, 200)
    row, column = 120, 185
    point = torch.tensor([[at[column], at[row]]], dtype=torch.float32)
    assert math.isclose(
        values[row, column], ring.log_prob(point).exp().item(), rel_tol=1e-4
    )
    assert np.isclose(values.sum() * (at[1] - at[0]) ** 2, 1, atol=0.01)


def test_decision_map_is_the_sigmoid_of_realness(ring):
    fig = mg.figures.decision_map(Game(), ring)
    (picture,) = fig.axes[0].images
    values = np.asarray(picture.get_array())
    left, right = picture.get_extent()[:2]
    expected = 1 / (1 + np.exp(-np.linspace(left, right, values.shape[1])))
    assert np.allclose(values, expected[None, :], atol=1e-5)


def test_grid_has_the_pixels_of_the_images():
    x = torch.linspace(-1, 1, 6 * 3 * 4 * 4).reshape(6, 3, 4, 4)
    sheet = tile(as_uint8(x).permute(0, 2, 3, 1).numpy(), columns=3)
    assert sheet.shape == (2 * 5 + 1, 3 * 5 + 1, 3)
    expected = np.rint((x[4].permute(1, 2, 0).numpy() + 1) * 127.5)
    assert np.array_equal(sheet[6:10, 6:10], expected)
    assert (sheet[5] == 255).all() and (sheet[:, 5] == 255).all()
    assert tile(np.zeros((5, 4, 4, 1), np.uint8), columns=3).shape == (11, 16)


def test_grid_keeps_contrast_limit_and_row_names():
    fig = mg.figures.sample_grid(torch.zeros(99, 1, 8, 8), limit=16, rows=["a", "b"])
    (ax,) = fig.axes
    (picture,) = ax.images
    assert picture.get_clim() == (0, 255)
    assert picture.get_array().shape == (2 * 9 + 1, 8 * 9 + 1)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.rand(4, 1, 8, 8) * 255, "-1, 1"),
        (torch.full((4, 1, 8, 8), math.nan), "-1, 1"),
        (torch.zeros(4, 2, 8, 8), r"\(4, 2, 8, 8\)"),
        (torch.zeros(0, 1, 8, 8), "N ≥ 1"),
        (torch.zeros(4, 8, 8), r"\(4, 8, 8\)"),
        (torch.zeros(4, 1, 8, 8, dtype=torch.int64), "int64"),
    ],
)
def test_grid_refuses_what_is_no_image(images, message):
    with pytest.raises(ValueError, match=message):
        mg.figures.sample_grid(images)


def test_points_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 1\)"):
        mg.figures.scatter_points(torch.zeros(3, 1))


def test_curves_draw_the_mean_over_runs_with_a_band():
    runs = np.array([[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]])
    fig = mg.figures.curves({"a": runs, "b": ([5, 6], [1, 1])}, x=[10, 20, 30])
    (ax,) = fig.axes
    a, b = ax.lines
    assert np.array_equal(a.get_xydata(), [[10, 1], [20, 2], [30, 3]])
    assert np.array_equal(b.get_xydata(), [[5, 1], [6, 1]])
    band = ax.collections[0].get_paths()[0].vertices
    assert np.allclose([band[:, 1].min(), band[:, 1].max()], [1 - 2**0.5, 3 + 2**0.5])
    assert a.get_linestyle() != b.get_linestyle() and a.get_color() != b.get_color()
    with pytest.raises(ValueError, match="'a' has 3 values and 2 places"):
        mg.figures.curves({"a": [1, 2, 3]}, x=[1, 2])


def test_loss_curves_smooth_and_name_the_players(history):
    fig = mg.figures.loss_curves(history, window=5)
    (ax,) = fig.axes
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "discriminator",
        "generator",
    ]
    smooth = ax.lines[1].get_xydata()
    raw = history.terms["discriminator/total"]
    assert np.allclose(smooth[0], [3, raw[:5].mean()])
    assert np.allclose(smooth[-1], [48, raw[-5:].mean()])
    with pytest.raises(ValueError, match="generator/total"):
        mg.figures.loss_curves(history, terms=["gate"])


def test_bars_have_means_and_whiskers():
    fig = mg.figures.bars({"real": [1, 2], "GAN": [[0, 0], [2, 4]]}, line=0.5)
    (ax,) = fig.axes
    heights = [bar.get_height() for bar in ax.patches]
    assert heights == [1, 2, 1, 2]
    left, right = ax.patches[0], ax.patches[2]
    assert math.isclose(left.get_x() + left.get_width(), right.get_x(), abs_tol=1e-9)
    (whiskers,) = ax.collections
    assert np.allclose(whiskers.get_segments()[1][:, 1], [2 - 8**0.5, 2 + 8**0.5])
