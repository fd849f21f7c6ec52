import gzip
import io
import os
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import multigan_lib as mg

FOLDER = Path(os.environ.get("MULTIGAN_DATA", "nowhere"))
REAL = pytest.mark.skipif(
    not (FOLDER / "cifar10-jpeg.tar.gz").exists(),
    reason="CIFAR-10 as JPEG images is not in MULTIGAN_DATA",
)


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "pets"
    folder.mkdir()
    return folder


@pytest.fixture
def pets(place, picture):
    """train/ and test/ of cats and dogs; a cat's seed is even."""
    for split, count in (("train", 6), ("test", 3)):
        for label, name in enumerate(("cats", "dogs")):
            (place / split / name).mkdir(parents=True)
            for i in range(count):
                file = place / split / name / f"{i}.png"
                file.write_bytes(picture(2 * i + label))
    return place


def decoded(content):
    return torch.from_numpy(np.array(Image.open(io.BytesIO(content)))).movedim(2, 0)


def test_sub_folders_are_classes(pets, picture):
    data = mg.data.load(str(pets))
    assert len(data) == 12 and data.classes == ("cats", "dogs")
    assert data.name == "pets" and data.split == "train"
    for seed in range(12):
        same = (data.images == decoded(picture(seed))).flatten(1).all(1)
        assert same.sum() == 1 and int(data.labels[same]) == seed % 2
    assert len(mg.data.load(pets, "test")) == 6
    assert mg.data.load(pets, "train[2:5]").split == "train[2:5]"


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "zip"])
def test_archives_equal_the_folder(pets, pack, suffix):
    archive = pack(pets, suffix)
    assert archive.name == f"pets.{suffix}"
    for split in ("train", "test"):
        expected, got = mg.data.load(pets, split), mg.data.load(archive, split)
        assert torch.equal(got.images, expected.images)
        assert torch.equal(got.labels, expected.labels)
        assert got.classes == expected.classes and got.name == "pets"


def test_an_archive_of_one_wrapping_folder_is_looked_through(pets, tmp_path):
    archive = tmp_path / "wrapped.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(pets, "./some/where")
    assert torch.equal(mg.data.load(archive).images, mg.data.load(pets).images)


def test_a_slice_holds_every_class(place, picture):
    for label in "abcd":
        (place / label).mkdir()
        for i in range(50):
            (place / label / f"{i}.png").write_bytes(picture(i))
    labels = mg.data.load(place, "train[:100]").labels
    assert labels.bincount(minlength=4).min() > 10


def test_no_classes_no_labels(place, picture):
    for i in range(4):
        (place / f"{i}.png").write_bytes(picture(i))
    data = mg.data.load(place)
    assert data.labels is None and data.classes == () and len(data) == 4
    with pytest.raises(ValueError, match=r"has no test/.*'train\[:3\]'"):
        mg.data.load(place, "test")


def test_labels_agree_between_splits_that_lack_a_class(place, picture):
    for path in ("train/a/1.png", "train/c/1.png", "test/b/1.png", "test/c/1.png"):
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(picture())
    for split, labels in (("train", [0, 2]), ("test", [1, 2])):
        data = mg.data.load(place, split)
        assert data.classes == ("a", "b", "c")
        assert sorted(data.labels.tolist()) == labels


def test_val_stands_in_for_a_missing_test(place, picture):
    for split in ("train", "val"):
        (place / split).mkdir()
        (place / split / "1.png").write_bytes(picture())
    assert mg.data.load(place, "test").labels is None
    with pytest.raises(ValueError, match=r"has no dev/, only \['train', 'val'\]"):
        mg.data.load(place, "dev")


def test_hidden_files_are_skipped(pets, pack):
    expected = mg.data.load(pets)
    (pets / ".DS_Store").write_bytes(b"x")
    (pets / "train" / "Thumbs.db").write_bytes(b"x")
    (pets / "train" / "cats" / "._0.png").write_bytes(b"x")
    (pets / "__MACOSX" / "train").mkdir(parents=True)
    (pets / "__MACOSX" / "train" / "a.png").write_bytes(b"x")
    assert torch.equal(mg.data.load(pets).images, expected.images)
    assert torch.equal(mg.data.load(pack(pets, "zip")).images, expected.images)


def test_grey_only_if_every_image_is(place, picture):
    for i in range(40):
        (place / f"{i}.png").write_bytes(picture(i, mode="L"))
    grey = mg.data.load(place)
    assert grey.shape == (1, 8, 8)
    assert mg.data.load(place, channels=3).shape == (3, 8, 8)
    (place / "colour.png").write_bytes(picture(99))
    data = mg.data.load(place)
    assert data.shape == (3, 8, 8) and len(data) == 41
    assert mg.data.load(place, channels=1).shape == (1, 8, 8)


def test_images_are_scaled_and_cropped_to_a_square(place):
    wide = np.zeros((16, 32, 3), np.uint8)
    wide[:, 8:24] = 200  # the central square
    Image.fromarray(wide).save(place / "wide.png")
    Image.fromarray(wide.transpose(1, 0, 2)).save(place / "tall.png")
    data = mg.data.load(place, image_size=8)
    assert data.shape == (3, 8, 8)
    assert (data.images[..., 1:-1, 1:-1] == 200).all()


def test_scaling_down_is_antialiased(place):
    checks = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(checks).save(place / "checks.png")
    images = mg.data.load(place, image_size=8).images.float()
    assert (images - 127.5).abs().max() < 3


def test_transparent_images_stand_on_white_and_phones_are_upright(place):
    clear = np.zeros((8, 8, 4), np.uint8)
    Image.fromarray(clear, "RGBA").save(place / "clear.png")
    assert (mg.data.load(place).images == 255).all()
    (place / "clear.png").unlink()
    turned = Image.fromarray((np.arange(64, dtype=np.uint8) * 3).reshape(8, 8))
    exif = turned.getexif()
    exif[0x0112] = 3  # upside down
    turned.save(place / "turned.png", exif=exif)
    data = mg.data.load(place)
    assert data.images.flatten().tolist() == [3 * i for i in reversed(range(64))]


def test_mixed_sizes_need_image_size(place, picture, left_over):
    (place / "a.png").write_bytes(picture(size=(8, 8)))
    (place / "b.png").write_bytes(picture(size=(12, 10)))
    with pytest.raises(ValueError, match="image_size=32") as error:
        mg.data.load(place)
    for part in ("a.png", "b.png", "8×8", "12×10", str(place)):
        assert part in str(error.value)
    assert left_over() == []
    assert mg.data.load(place, image_size=8).shape == (3, 8, 8)


@pytest.mark.parametrize("suffix", [None, "tar.gz", "zip"])
@pytest.mark.parametrize(
    "file, content",
    [("notes.txt", b"hello"), ("fake.png", b"hello"), ("cut.png", None)],
)
def test_what_is_not_an_image_is_named(
    pets, picture, pack, left_over, suffix, file, content
):
    content = content or picture(size=(64, 64))[:2000]
    (pets / "train" / "cats" / file).write_bytes(content)
    source = pack(pets, suffix) if suffix else pets
    with pytest.raises(ValueError, match="cannot be read as an image") as error:
        mg.data.load(source)
    assert f"train/cats/{file}" in str(error.value) and str(source) in str(error.value)
    assert left_over() == []


def test_sixteen_bit_images_are_refused(place):
    deep = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    Image.fromarray(deep).save(place / "deep.png")
    with pytest.raises(ValueError, match=r"deep\.png.*8 bits"):
        mg.data.load(place)


def test_an_empty_folder_is_refused(place):
    (place / "train").mkdir()
    with pytest.raises(ValueError, match="holds no image") as error:
        mg.data.load(place)
    assert str(place) in str(error.value)


def test_mixed_layouts_are_refused(pets, picture):
    (pets / "train" / "loose.png").write_bytes(picture())
    with pytest.raises(ValueError, match=r"mixes.*loose\.png"):
        mg.data.load(pets)
    (pets / "train" / "loose.png").unlink()
    (pets / "extra").mkdir()
    (pets / "extra" / "1.png").write_bytes(picture())
    with pytest.raises(ValueError, match=r"\['extra'\] beside \['test', 'train'\]"):
        mg.data.load(pets)


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "zip"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.6, 0.75, 0.9])
def test_a_truncated_archive_is_refused(pets, pack, left_over, suffix, share):
    archive = pack(pets, suffix)
    content = archive.read_bytes()
    # a tar file ends in empty blocks, which no image needs
    whole = content.rstrip(b"\0") if suffix == "tar" else content
    archive.write_bytes(content[: int(len(whole) * share)])
    with pytest.raises(ValueError, match="truncated or corrupted") as error:
        mg.data.load(archive)
    assert str(archive) in str(error.value)
    assert left_over() == []


def test_a_tar_cut_between_two_files_is_refused(pets, pack):
    archive = pack(pets, "tar")
    with tarfile.open(archive) as tar:
        cut = tar.getmembers()[-1].offset
    archive.write_bytes(archive.read_bytes()[:cut])
    with pytest.raises(ValueError, match="truncated or corrupted"):
        mg.data.load(archive)


def test_a_damaged_tar_header_is_refused(pets, pack):
    archive = pack(pets, "tar")
    content = bytearray(archive.read_bytes())
    with tarfile.open(archive) as tar:
        header = tar.getmembers()[-1].offset
    content[header + 10] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(ValueError, match="truncated or corrupted"):
        mg.data.load(archive)


def test_a_wrong_checksum_is_noticed(pets, pack):
    archive = pack(pets, "tar.gz")
    content = bytearray(archive.read_bytes())
    content[-6] ^= 0xFF  # gzip's checksum of everything
    archive.write_bytes(content)
    with pytest.raises(ValueError, match="truncated or corrupted"):
        mg.data.load(archive)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_in_archives_are_refused(tmp_path, kind):
    link = tarfile.TarInfo("b.png")
    link.type, link.linkname = kind, "a.png"
    with tarfile.open(tmp_path / "pets.tar", "w") as archive:
        archive.addfile(link)
    with pytest.raises(ValueError, match=r"b\.png, which is a link"):
        mg.data.load(tmp_path / "pets.tar")


def test_the_second_load_decodes_nothing(pets, monkeypatch, left_over):
    first = mg.data.load(pets)
    monkeypatch.setattr("multigan_lib.datasets.folders.pixels", None)
    assert torch.equal(mg.data.load(pets).images, first.images)
    assert len(left_over()) == 2


def test_a_changed_folder_is_decoded_again_in_place(pets, picture, left_over):
    first = mg.data.load(pets)
    (pets / "train" / "cats" / "new.png").write_bytes(picture(77))
    assert len(mg.data.load(pets)) == len(first) + 1
    os.utime(pets / "train" / "cats" / "0.png", (time.time() + 9,) * 2)
    (pets / "train" / "cats" / "1.png").unlink()
    assert len(mg.data.load(pets)) == len(first)
    assert len(left_over()) == 2


def test_large_pictures_decode_to_the_same(place, picture):
    for i in range(70):
        (place / f"{i:02}.png").write_bytes(picture(i, size=(48, 48)))
    images = mg.data.load(place).images
    for i in (0, 33, 69):
        assert (images == decoded(picture(i, size=(48, 48)))).flatten(1).all(1).any()


@REAL
def test_cifar10_as_jpeg_images(monkeypatch):
    monkeypatch.setenv("MULTIGAN_DATA", str(FOLDER))
    data = mg.data.load("cifar10", "test")
    assert data.shape == (3, 32, 32) and len(data) == 10_000
    assert data.labels.bincount().tolist() == [1000] * 10
    assert data.classes[0] == "airplane" and data.classes[9] == "truck"
    assert data.name == "cifar10-jpeg"
    # The published channel means of CIFAR-10.
    means = data.images.float().mean((0, 2, 3)) / 255
    expected = torch.tensor([0.4942, 0.4851, 0.4504])
    torch.testing.assert_close(means, expected, atol=0.003, rtol=0)
    with tarfile.open(FOLDER / "cifar10-jpeg.tar.gz") as archive:
        member = next(m for m in archive if m.name == "test/airplane/0000.jpg")
        image = decoded(archive.extractfile(member).read())
    same = (data.images == image).flatten(1).all(1)
    assert same.any() and data.labels[same].tolist() == [0] * int(same.sum())
    start = time.perf_counter()
    again = mg.data.load("cifar10", "test[:8000]")
    assert time.perf_counter() - start < 1 and len(again) == 8000


def test_a_gzipped_file_that_is_no_tar_is_refused(tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(b"hello" * 1000))
    with pytest.raises(ValueError, match="truncated or corrupted"):
        mg.data.load(tmp_path / "x.tar.gz")
