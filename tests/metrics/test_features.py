"""The one door to feature networks: conversion, names, hashes, errors."""

import hashlib
import json
import urllib.error

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from multigan_lib import data, metrics
from multigan_lib.metrics import features
from multigan_lib.metrics.features import feature_network, labeller
from multigan_lib.nets.classifier import Classifier
from multigan_lib.paths import assets


def images(n=5, channels=1, size=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, channels, size, size, generator=generator) * 2 - 1


class Own(nn.Module):
    """A user's network: batch norm and dropout show the mode that it runs in."""

    num_features = 6

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(), nn.Linear(256, 6), nn.BatchNorm1d(6), nn.Dropout(0.5)
        )
        self.head = nn.Linear(6, 3)

    def features(self, x):
        return self.body(x)

    def forward(self, x):
        return self.head(self.body(x))


@pytest.mark.parametrize("name", features.FROZEN)
def test_frozen_network_is_the_file(name):
    network = feature_network(name)
    path = assets("features") / f"{name}.safetensors"
    about = json.loads(path.with_suffix(".json").read_text())
    content = path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == about["sha256"]
    assert len(content) < 1_000_000
    assert network.name == f"{name}@{about['sha256'][:8]}"
    assert (path.parent.parent.parent / about["script"]).exists()

    weights = load_file(path)
    width = len(weights["trunk.0.weight"])
    plain = Classifier(tuple(about["shape"]), about["classes"], width).eval()
    plain.load_state_dict(weights)
    x = images(channels=about["shape"][0], size=about["shape"][-1])
    with torch.no_grad():
        expected = plain.features(x), plain(x)
    torch.testing.assert_close(network(x).float(), expected[0])
    torch.testing.assert_close(network.logits(x).float(), expected[1])
    assert network(x).dtype == torch.float64
    assert network(x).shape == (5, network.num_features)


def test_frozen_weights_are_those_of_the_records():
    """Scores of other weights could not stand beside the recorded ones."""
    assert feature_network("digits").name == "digits@ad174221"
    assert feature_network("mnist").name == "mnist@7ba3e7d4"
    assert feature_network("cifar10").name == "cifar10@f96da662"


def test_digits_are_read_at_every_size():
    """The held-out accuracy that the file claims, at the sizes it names."""
    about = json.loads((assets("features") / "digits.json").read_text())
    assert about["accuracy"] >= 0.96
    assert about["trained_on"] == "digits train"
    for size, accuracy in about["accuracy_by_image_size"].items():
        held_out = data.load("digits", "test", image_size=int(size))
        hits = (labeller("digits")(held_out.x()) == held_out.labels).double().mean()
        assert hits.item() == pytest.approx(accuracy, abs=0.005)


def test_mnist_network_never_saw_the_held_out_images():
    about = json.loads((assets("features") / "mnist.json").read_text())
    assert about["trained_on"] == "mnist test[:8000]"
    assert about["held_out"] == "mnist test[8000:]"
    assert about["accuracy"] >= 0.98


def real_images(name):
    """Held-out images of a data set that is here already; nothing is downloaded."""
    if not next(entry for entry in data.available() if entry.name == name).present:
        pytest.skip(f"the images of {name} are not here")
    return data.load(name, "test[8000:]")


def test_mnist_is_read():
    held_out = real_images("mnist")
    x, labels = held_out.x(), held_out.labels
    assert x.shape[-1] == 28
    assert (labeller("mnist")(x) == labels).double().mean() >= 0.98


def test_cifar10_network_never_saw_the_held_out_images():
    about = json.loads((assets("features") / "cifar10.json").read_text())
    assert about["trained_on"].endswith(" test[:8000]")
    assert about["held_out"].endswith(" test[8000:]")
    assert about["accuracy"] >= 0.70


@pytest.fixture(scope="module")
def photographs():
    held_out = real_images("cifar10")
    if held_out.name != "cifar10-jpeg":
        pytest.skip("this CIFAR-10 has another order: its slices are other images")
    return held_out


def test_cifar10_is_read(photographs):
    x, labels = photographs.x(), photographs.labels
    about = json.loads((assets("features") / "cifar10.json").read_text())
    hits = (labeller("cifar10")(x) == labels).double().mean().item()
    assert hits == pytest.approx(about["accuracy"], abs=0.005)


def test_fid_of_photographs_finds_its_features_and_tells_damage(photographs):
    """The other half scores far better than noisy, blurred or grey copies."""
    half, other = photographs[:1000], photographs[1000:]
    real = metrics.fid(half, other)
    assert real.features == feature_network("cifar10").name
    x = other.x()
    generator = torch.Generator().manual_seed(0)
    noise = 0.2 * torch.randn(x.shape, generator=generator)
    small = functional.avg_pool2d(x, 4)
    for worse in (
        (x + noise).clamp(-1, 1),
        functional.interpolate(small, scale_factor=4),
        x.mean(1, keepdim=True).expand_as(x),
        x[other.labels < 5],
    ):
        assert metrics.fid(half, worse).value > 4 * real.value
    assert metrics.inception_score(other).value > 4


def test_photographs_at_28_are_scaled_not_padded():
    """A black border is right for digits on black alone."""
    x = images(channels=3, size=28)
    network = feature_network("cifar10")
    scaled = functional.interpolate(x, (32, 32), mode="bilinear", antialias=True)
    torch.testing.assert_close(network(x), network(scaled))


def test_mnist_at_28_is_padded_not_scaled():
    x = images(size=28)
    network = feature_network("mnist")
    padded = torch.full((5, 1, 32, 32), -1.0)
    padded[..., 2:-2, 2:-2] = x
    torch.testing.assert_close(network(x), network(padded))


def test_frozen_networks_refuse_other_channels():
    with pytest.raises(ValueError, match=r"digits network reads grey.*\(5, 3, 16"):
        feature_network("digits")(images(channels=3))
    with pytest.raises(ValueError, match=r"cifar10 network reads RGB.*\(5, 1, 16"):
        feature_network("cifar10")(images())


def test_own_network_runs_in_evaluation_mode_and_gets_its_mode_back():
    own = Own()
    own.head.eval()
    network = feature_network(own)
    first, second = network(images()), network(images())
    assert torch.equal(first, second)
    assert torch.equal(network(images()[:2]), first[:2])
    assert own.training and own.body.training and not own.head.training
    assert own.body[2].num_batches_tracked == 0
    assert not first.requires_grad
    assert own.body[1].weight.requires_grad


def test_own_networks_features_and_logits():
    own = Own().eval()
    network = feature_network(own)
    with torch.no_grad():
        torch.testing.assert_close(network(images()).float(), own.features(images()))
        torch.testing.assert_close(network.logits(images()).float(), own(images()))
    plain = nn.Flatten()
    plain.num_features = 256
    torch.testing.assert_close(
        feature_network(plain)(images()).float(), images().flatten(1)
    )
    # torchvision's habit: `features` is a part, not a method of the whole
    part = nn.Sequential(nn.Flatten())
    part.features = nn.Identity()
    part.num_features = 256
    assert feature_network(part)(images()).shape == (5, 256)


def test_names_tell_weights_apart():
    torch.manual_seed(0)
    first, second = Own(), Own()
    assert feature_network(first).name.startswith("Own@")
    assert feature_network(first).name != feature_network(second).name
    second.load_state_dict(first.state_dict())
    assert feature_network(first).name == feature_network(second).name


def test_bad_networks_are_refused():
    with pytest.raises(ValueError, match=r"'cifar10', 'inception'.*got 'nmist'"):
        feature_network("nmist")
    with pytest.raises(ValueError, match="got 3"):
        feature_network(3)
    with pytest.raises(TypeError, match="num_features"):
        feature_network(nn.Flatten())
    liar = nn.Flatten()
    liar.num_features = 7
    with pytest.raises(ValueError, match=r"must give features \(5, 7\).*\(5, 256\)"):
        feature_network(liar)(images())
    with pytest.raises(ValueError, match="labellers are"):
        labeller("inception")


def test_default_names():
    assert features.default_name((1, 16, 16)) == "digits"
    assert features.default_name((1, 28, 28)) == "mnist"
    assert features.default_name((1, 32, 32), "digits") == "digits"
    for name in ("cifar10", "cifar10-jpeg"):  # from the archive of JPEG images
        assert features.default_name((3, 32, 32), name) == "cifar10"
    for shape, name in [
        ((3, 32, 32), None),
        ((1, 28, 28), "fashion_mnist"),
        ((1, 32, 32), "cifar10"),
        ((3, 32, 32), "mnist"),
        ((3, 32, 32), "stl10"),
        ((3, 32, 32), "-jpeg"),
    ]:
        with pytest.raises(ValueError, match="inception"):
            features.default_name(shape, name)


def test_missing_and_damaged_files(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "assets", lambda kind: tmp_path)
    features.frozen.cache_clear()
    try:
        with pytest.raises(FileNotFoundError, match=r"digits\.json"):
            feature_network("digits")
        source = assets("features")
        for ending in ("json", "safetensors"):
            content = (source / f"digits.{ending}").read_bytes()
            (tmp_path / f"digits.{ending}").write_bytes(content)
        (tmp_path / "digits.safetensors").write_bytes(content[:-1] + b"x")
        with pytest.raises(ValueError, match="damaged"):
            feature_network("digits")
    finally:
        features.frozen.cache_clear()


def test_inception_without_its_weights(monkeypatch):
    """A machine without network gets a sentence, not a traceback of urllib."""
    inception = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")

    def offline(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(inception, "FeatureExtractorInceptionV3", offline)
    features._inception.cache_clear()
    with pytest.raises(OSError, match=r"no network.*features='mnist'"):
        feature_network("inception")


def test_inception_without_its_library(monkeypatch):
    monkeypatch.setitem(
        __import__("sys").modules,
        "torch_fidelity.feature_extractor_inceptionv3",
        None,
    )
    features._inception.cache_clear()
    with pytest.raises(OSError, match="pip install torch-fidelity"):
        feature_network("inception")


def test_inception_gets_rgb_bytes(monkeypatch):
    """Conversion only; the real weights are 91 MB."""
    inception = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    seen = []

    class Fake(nn.Module):
        def __init__(self, name, outputs):
            super().__init__()
            assert (name, outputs) == (
                "inception-v3-compat",
                ["2048", "logits_unbiased"],
            )

        def forward(self, x):
            seen.append(x)
            return torch.zeros(len(x), 2048), torch.ones(len(x), 1008)

    monkeypatch.setattr(inception, "FeatureExtractorInceptionV3", Fake)
    features._inception.cache_clear()
    try:
        network = feature_network("inception")
        assert network(images()).shape == (5, 2048)
        assert network.logits(images(channels=3)).shape == (5, 1008)
        for x in seen:
            assert x.shape == (5, 3, 16, 16) and x.dtype == torch.uint8
        assert torch.equal(seen[0][:, 0], data.to_uint8(images())[:, 0])
    finally:
        features._inception.cache_clear()


def test_frozen_networks_are_in_evaluation_mode():
    network = features.feature_network("digits").network
    assert not any(module.training for module in network.modules())
    assert not any(weight.requires_grad for weight in network.parameters())
