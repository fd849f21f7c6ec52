import subprocess
import sys
from pathlib import Path

import pytest

import multigan_lib as mg


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(FileNotFoundError, match=r"'mnst' is neither.*mnist, .*tar"):
        mg.data.load("mnst")
    with pytest.raises(ValueError, match=r"'cifar', only .*cifar10"):
        mg.data.fetch("cifar")


@pytest.mark.parametrize("path", ["no/such/folder", "nothing.zip", Path("nothing")])
def test_a_missing_path_is_named(path):
    with pytest.raises(FileNotFoundError, match=str(path)):
        mg.data.load(path)


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "one.png").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"one\.png' is neither"):
        mg.data.load(tmp_path / "one.png")


def test_own_images_are_found_in_the_data_folders(tmp_path, monkeypatch, picture):
    (tmp_path / "pets").mkdir()
    (tmp_path / "pets" / "1.png").write_bytes(picture())
    monkeypatch.setenv("MULTIGAN_DATA", str(tmp_path))
    assert mg.data.load("pets").name == "pets"


def test_multigan_data_comes_before_the_cache(tmp_path, monkeypatch, picture, cache):
    for folder, count in ((tmp_path / "data", 1), (cache, 2)):
        (folder / "imagenet32").mkdir(parents=True)
        for i in range(count):
            (folder / "imagenet32" / f"{i}.png").write_bytes(picture(size=(32, 32)))
    assert len(mg.data.load("imagenet32")) == 2
    monkeypatch.setenv("MULTIGAN_DATA", str(tmp_path / "data"))
    assert len(mg.data.load("imagenet32")) == 1


def test_imagenet32_is_a_folder_with_val(cache, picture):
    for split in ("train", "val"):
        for label in ("n01440764", "n01443537"):
            folder = cache / "imagenet32" / split / label
            folder.mkdir(parents=True)
            (folder / "1.png").write_bytes(picture(size=(32, 32)))
    test = mg.data.load("imagenet32", "test")
    assert test.classes == ("n01440764", "n01443537") and test.name == "imagenet32"


def test_missing_imagenet32_says_where_to_put_it():
    with pytest.raises(FileNotFoundError, match="put a folder imagenet32/"):
        mg.data.load("imagenet32")


@pytest.mark.parametrize(
    "split, expected, length",
    [
        ("test", "test", 360),
        ("test[:100]", "test[:100]", 100),
        ("test[100:]", "test[100:]", 260),
        ("test[10:20]", "test[10:20]", 10),
        ("test[:360]", "test", 360),
    ],
)
def test_parts_of_a_split(split, expected, length):
    data = mg.data.load("digits", split)
    assert (data.split, len(data)) == (expected, length)


@pytest.mark.parametrize(
    "split, match",
    [
        ("val", r"has the splits \('train', 'test'\), not 'val'"),
        ("test[:361]", "no part of the 360 images"),
        ("test[360:]", "no part of the 360 images"),
        ("test[20:10]", "no part of the 360 images"),
        ("test[:0]", "no part of the 360 images"),
        ("test[:10%]", "not of the form"),
        ("test[-5:]", "not of the form"),
        ("", "not of the form"),
    ],
)
def test_wrong_splits_are_explained(split, match):
    with pytest.raises(ValueError, match=match):
        mg.data.load("digits", split)


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"image_size": 0}, "image_size"),
        ({"image_size": 32.0}, "image_size"),
        ({"channels": 2}, "channels"),
    ],
)
def test_wrong_sizes_are_explained(arguments, match):
    with pytest.raises(ValueError, match=match):
        mg.data.load("digits", **arguments)


def test_stacks_arguments_are_for_stacks():
    with pytest.raises(TypeError, match="stacked_mnist"):
        mg.data.load("digits", n=10)


def test_a_wrong_data_folder_is_named(monkeypatch):
    monkeypatch.setenv("MULTIGAN_DATA", "/no/such/folder")
    with pytest.raises(FileNotFoundError, match="MULTIGAN_DATA"):
        mg.data.load("mnist")


def test_available_lists_every_set_with_what_is_there(cache):
    listed = {entry.name: entry for entry in mg.data.available()}
    assert listed["digits"].present and listed["stacked_mnist"].present
    assert not listed["cifar10"].present and not listed["mnist"].present
    assert listed["stl10"].splits == ("train", "test", "unlabeled")
    (cache / "stl10_binary").mkdir(parents=True)
    (cache / "cifar10-jpeg.tar.gz").touch()
    (cache / "mnist").mkdir()
    assert listed["stl10"].present and listed["cifar10"].present
    assert not listed["mnist"].present
    (cache / "mnist" / "t10k-images-idx3-ubyte.gz").touch()
    assert listed["mnist"].present


def test_fetch_loads_every_split():
    assert [len(data) for data in mg.data.fetch("digits")] == [1437, 360]


def test_loading_data_does_not_import_what_it_does_not_need():
    code = (
        "import sys, multigan_lib as mg\n"
        "mg.data.ring().sample(4)\n"
        "heavy = {'torchvision', 'sklearn', 'matplotlib', 'PIL', 'torchmetrics'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    root = Path(mg.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root
    )
    assert done.stdout.strip() == "[]", done.stderr
