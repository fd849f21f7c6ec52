import pytest
import torch

import multigan_lib as mg
from multigan_lib.datasets import Batch, ImageData, Spec, spec_of, to_float, to_uint8


def example(n=10, classes=3):
    images = torch.arange(n * 3 * 4 * 4).remainder(256).to(torch.uint8)
    return ImageData(
        images.view(n, 3, 4, 4),
        torch.arange(n) % classes,
        ("a", "b", "c"),
        name="example",
        split="test",
    )


def test_conversion_is_exact_both_ways():
    stored = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    images = to_float(stored)
    assert images.dtype == torch.float32
    assert images.min() == -1 and images.max() == 1
    expected = stored.double() / 127.5 - 1
    torch.testing.assert_close(images.double(), expected, atol=1e-7, rtol=0)
    assert torch.equal(to_uint8(images), stored)


def test_conversion_rounds_and_clamps():
    x = torch.tensor([-1.5, -1.0, 0.0, 0.6 / 127.5, 1.0, 7.0])
    assert to_uint8(x).tolist() == [0, 0, 128, 128, 255, 255]
    assert to_uint8(torch.tensor([0.4 / 127.5])).tolist() == [128]
    assert to_uint8(torch.tensor([-0.6 / 127.5])).tolist() == [127]


@pytest.mark.parametrize("convert, wrong", [(to_float, 0.5), (to_uint8, 3)])
def test_conversion_refuses_the_other_kind(convert, wrong):
    with pytest.raises(TypeError, match=r"expected (uint8|float) images"):
        convert(torch.tensor([wrong]))


def test_data_say_what_they_are():
    data = example()
    assert len(data) == 10 and data.shape == (3, 4, 4)
    assert data.spec == Spec((3, 4, 4), 3)
    assert repr(data) == "ImageData(example test: 10 × 3×4×4, 3 classes)"
    assert data.x().shape == (10, 3, 4, 4)
    assert torch.equal(data.x([2, 0]), to_float(data.images[[2, 0]]))
    assert torch.equal(data.x(slice(3)), to_float(data.images[:3]))


def test_a_slice_is_a_view_and_names_itself():
    data = example()[2:8]
    assert data.split == "test[2:8]" and len(data) == 6
    assert torch.equal(data.labels, example().labels[2:8])
    assert data[1:3].split == "test[3:5]"
    assert data[4:].split == "test[6:8]"
    assert example()[4:].split == "test[4:]"
    assert example()[4:][2:].split == "test[6:]"
    assert example()[:-1].split == "test[:9]"
    assert example()[:].split == "test"
    assert example()[::2].split == "test, chosen" and len(example()[::2]) == 5
    assert data.images.data_ptr() == data.images.storage_offset() + (
        data.images.untyped_storage().data_ptr()
    )


@pytest.mark.parametrize(
    "index",
    [torch.tensor([5, 1, 1]), [5, 1, 1], torch.tensor([5, 1, 1]).numpy()],
    ids=["tensor", "list", "array"],
)
def test_labels_follow_chosen_images(index):
    data = example()
    chosen = data[index]
    assert torch.equal(chosen.images, data.images[[5, 1, 1]])
    assert chosen.labels.tolist() == data.labels[[5, 1, 1]].tolist()
    assert chosen.classes == data.classes


def test_a_mask_chooses_a_class():
    data = example()
    ones = data[data.labels == 1]
    assert len(ones) == 3 and ones.labels.unique().tolist() == [1]


@pytest.mark.parametrize("index", [slice(5, 5), slice(20, None)])
def test_an_empty_slice_is_refused(index):
    with pytest.raises(ValueError, match="none of them 0"):
        example()[index]


def test_one_image_or_a_loop_over_images_is_refused():
    with pytest.raises(ValueError, match=r"got \(3, 4, 4\)"):
        example()[3]
    with pytest.raises(TypeError, match="not iterable"):
        iter(example())


@pytest.mark.parametrize(
    "images, error, match",
    [
        (torch.zeros(2, 3, 4, 4), TypeError, "as uint8, got torch.float32"),
        ([1, 2], TypeError, "got torch.int64"),
        (torch.zeros(2, 4, 4, dtype=torch.uint8), ValueError, r"\(2, 4, 4\)"),
        (torch.zeros(0, 1, 4, 4, dtype=torch.uint8), ValueError, "none of them 0"),
    ],
)
def test_wrong_images_are_named(images, error, match):
    with pytest.raises(error, match=match):
        ImageData(images)


@pytest.mark.parametrize(
    "labels, match",
    [
        (torch.zeros(3), "integer labels"),
        (torch.zeros(2, dtype=torch.int64), "expected 3 integer labels"),
        (torch.tensor([0, 1, 2]), "from 0 to 2"),
        (torch.tensor([0, -1, 1]), "from -1 to 1"),
    ],
)
def test_wrong_labels_are_named(labels, match):
    images = torch.zeros(3, 1, 4, 4, dtype=torch.uint8)
    with pytest.raises(ValueError, match=match):
        ImageData(images, labels, ("a", "b"))


def test_classes_are_numbered_when_they_have_no_names():
    images = torch.zeros(3, 1, 4, 4, dtype=torch.uint8)
    assert ImageData(images, torch.tensor([0, 2, 1])).classes == ("0", "1", "2")
    assert ImageData(images).spec == Spec((1, 4, 4), 0)


def test_spec_of_everything_that_has_one():
    assert spec_of(example()) == Spec((3, 4, 4), 3)
    assert spec_of(mg.data.ring()) == Spec((2,), 8)
    assert spec_of(Spec((2,), 5)) == Spec((2,), 5)
    assert spec_of((1, 32, 32)) == Spec((1, 32, 32), 0)
    assert spec_of(torch.zeros(7, 2)) == Spec((2,), 0)


@pytest.mark.parametrize(
    "wrong", ["mnist", 3, None, torch.zeros(4, 2, dtype=torch.uint8), (1.0, 2), ()]
)
def test_spec_of_refuses_the_rest(wrong):
    with pytest.raises(TypeError):
        spec_of(wrong)


def test_a_batch_needs_no_labels():
    assert Batch(torch.zeros(2, 2)).labels is None
