"""Small labelled images whose grey level tells what they are."""

import pytest
import torch

from multigan_lib.datasets import ImageData


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def levels(counts, first, name="real"):
    """Images of 16 pixels, each of one grey level; labels interleaved."""
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator())]
    images = torch.arange(first, first + len(labels), dtype=torch.uint8)
    images = images[:, None, None, None].expand(-1, 1, 16, 16).contiguous()
    classes = tuple(str(label) for label in range(len(counts)))
    return ImageData(images, labels, classes, name, "train")


@pytest.fixture
def real():
    """Classes of 10, 20 and 5 images, grey levels from 0."""
    return levels([10, 20, 5], 0)


@pytest.fixture
def extra():
    """Classes of 20 images each, grey levels from 100."""
    return levels([20, 20, 20], 100, "extra")
