"""Folders and zip files as people have them: read as meant, or refused with the reason."""

import shutil
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from src.data.class_folders import list_images, parts_of
from src.data.folder import ImageFolder
from src.errors import UserError
from tests.conftest import write_folder

Renamed = Callable[[str], str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folder(tmp_path / "pets", {"dog": 5, "cat": 0}, train=4, test=2)
    return tmp_path / "pets"


def packed(folder: Path, name: Renamed = str) -> Path:
    """Pack a folder, with each name changed."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.writestr(name(file.relative_to(folder).as_posix()), file.read_bytes())
    return path


def encoded(path: Path, old: str, page: str) -> None:
    """Write the names of a zip file in a code page without the flag, as older systems do."""
    raw = old.encode(page)
    content = path.read_bytes().replace(b"?" * len(raw), raw)
    path.write_bytes(content)


def ready(path: Path, **kwargs: int) -> ImageFolder:
    data = ImageFolder(str(path), **{"val_size": 2, **kwargs})
    data.setup("fit")
    return data


def assert_same(path: Path, folder: Path) -> None:
    data, plain = ready(path), ready(folder)
    assert data.class_names == plain.class_names
    for name, split in plain.splits.items():
        assert torch.equal(data.splits[name].x, split.x)
        assert torch.equal(data.splits[name].y, split.y)


@pytest.mark.parametrize("junk", ["Thumbs.db", "thumbs.DB", "desktop.ini", ".DS_Store"])
def test_files_of_file_managers_are_ignored(junk: str, folder: Path) -> None:
    expected = list_images(folder)
    for place in ("", "train", "train/cat", "test/dog"):
        (folder / place / junk).write_text("x")
    assert list_images(folder) == expected
    with zipfile.ZipFile(packed(folder), "a") as archive:
        for name in (junk, f"train/{junk}", f"train/cat/{junk}", f"__MACOSX/train/cat/{junk}",
                     "__MACOSX/train/cat/._0.png", "__macosx/x"):  # fmt: skip
            archive.writestr(name, "x")
    assert list_images(folder.with_suffix(".zip")) == expected


@pytest.mark.parametrize(
    "name",
    [
        lambda name: f"pets/{name}",
        lambda name: f"./{name}",
        lambda name: f"./My pets/{name}",
        lambda name: name.replace("/", "\\"),
        lambda name: name.replace("train", "Train").replace("test", "TEST"),
    ],
    ids=["a folder on top", "a dot", "both", "backslashes", "capitals"],
)
def test_a_zip_file_of_any_tool_is_read(name: Renamed, folder: Path) -> None:
    assert_same(packed(folder, name), folder)


def test_capitals_in_the_names_of_splits_are_read(folder: Path) -> None:
    expected = ready(folder).splits
    (folder / "train").rename(folder / "Train")
    (folder / "test").rename(folder / "TEST")
    assert torch.equal(ready(folder).splits["test"].x, expected["test"].x)


def test_a_single_folder_on_top_is_entered(folder: Path, tmp_path: Path) -> None:
    expected = ready(folder).splits["train"].x
    top = tmp_path / "downloaded"
    top.mkdir()
    folder.rename(top / "pets")
    (top / ".DS_Store").write_text("x")
    assert torch.equal(ready(top).splits["train"].x, expected)


@pytest.mark.parametrize("page", ["cp866", "utf-8"])
def test_names_in_the_code_page_of_a_system_are_read(page: str, folder: Path) -> None:
    name = "\u043a\u043e\u0442"  # cat in Russian
    unknown = "?" * len(name.encode(page))
    path = packed(folder, lambda old: old.replace("cat", unknown))
    encoded(path, name, page)
    assert ready(path).class_names == ["dog", name]


def test_decomposed_letters_are_composed(folder: Path) -> None:
    name = "\u00e9t\u00e9"
    split = unicodedata.normalize("NFD", name)
    (folder / "train/cat").rename(folder / "train" / split)
    (folder / "test/cat").rename(folder / "test" / name)
    assert ready(folder).class_names == ["dog", name]
    assert ready(packed(folder)).class_names == ["dog", name]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_that_is_there_twice_is_read_once(folder: Path) -> None:
    path = packed(folder)
    with zipfile.ZipFile(path, "a") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.writestr(file.relative_to(folder).as_posix(), file.read_bytes())
            archive.writestr(f"./{file.relative_to(folder).as_posix()}", file.read_bytes())
    assert_same(path, folder)


@pytest.mark.parametrize("name", ["val", "valid", "Validation"])
def test_a_validation_folder_is_the_validation_set(name: str, folder: Path) -> None:
    shutil.copytree(folder / "train", folder / name)
    for file in (folder / "train").rglob("00[01].png"):
        file.unlink()
    for file in (folder / name).rglob("00[23].png"):
        file.unlink()
    data = ready(folder, val_size=5000)
    sizes = {split: len(part.indices) for split, part in data.splits.items()}
    assert sizes == {"train": 4, "val": 4, "test": 4}
    val = data.splits["val"]
    assert val.y[val.indices].tolist() == [0, 0, 1, 1]
    assert {*val.indices.tolist()}.isdisjoint(data.splits["train"].indices.tolist())


def test_images_in_two_splits_are_counted(folder: Path) -> None:
    shutil.copy(folder / "train/cat/000.png", folder / "test/cat/copy.png")
    with pytest.warns(UserWarning, match="1 of 5 test images are training images"):
        ready(folder)
    (folder / "test/cat/copy.png").unlink()
    shutil.copytree(folder / "train", folder / "val")
    with pytest.warns(UserWarning, match="8 of 8 validation images are training images"):
        ready(folder)


def test_one_class_only_is_refused(folder: Path) -> None:
    for split in ("train", "test"):
        shutil.rmtree(folder / split / "dog")
    with pytest.raises(UserError, match="one class only, cat"):
        ready(folder)


def test_an_encrypted_zip_file_is_refused(folder: Path) -> None:
    path = packed(folder)
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = -1
        while (start := content.find(mark, start + 1)) >= 0:
            content[start + place] |= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="is encrypted"):
        ready(path)


@pytest.mark.parametrize("name", ["../train/cat/x.png", "/train/cat/x.png"])
def test_a_path_outside_of_a_zip_file_is_refused(name: str, folder: Path) -> None:
    with zipfile.ZipFile(packed(folder), "a") as archive:
        archive.writestr(name, "x")
    with pytest.raises(UserError, match="a path outside of it"):
        ready(folder.with_suffix(".zip"))


def test_a_class_of_the_validation_set_alone_is_refused(folder: Path) -> None:
    shutil.copytree(folder / "train/cat", folder / "val/bird")
    with pytest.raises(UserError, match="in val, but not in train: bird"):
        ready(folder)


def test_a_trained_network_needs_a_test_folder_of_its_classes_only(tmp_path: Path) -> None:
    write_folder(tmp_path / "pets", {"cat": 0, "dog": 5}, train=2, test=3)
    shutil.rmtree(tmp_path / "pets/train")
    files = list_images(tmp_path / "pets", ["bird", "dog", "cat"])
    assert {label: len(names) for label, names in files["test"].items()} == {
        "bird": 0, "dog": 3, "cat": 3,
    }  # fmt: skip
    with pytest.raises(UserError, match=r"not trained on: dog.\nIt knows bird, cat."):
        list_images(tmp_path / "pets", ["bird", "cat"])
    shutil.move(tmp_path / "pets/test", tmp_path / "pets/other")
    with pytest.raises(UserError, match="has no test/<class>/ folders"):
        list_images(tmp_path / "pets", ["cat", "dog"])


def test_folders_within_class_folders_are_read_where_they_are_groups(folder: Path) -> None:
    for file in sorted((folder / "train/cat").iterdir()):
        (folder / "train/cat" / file.stem).mkdir()
        file.rename(folder / "train/cat" / file.stem / file.name)
    (folder / "train/dog/empty").mkdir()
    wanted = [f"train/cat/{i:03}/{i:03}.png" for i in range(4)]
    for path in (folder, packed(folder)):
        found = list_images(path, nested=True)["train"]
        assert found["cat"] == wanted
        assert found["dog"] == [f"train/dog/{i:03}.png" for i in range(4)]
        with pytest.raises(UserError, match="class folders within class folders are not read"):
            list_images(path)
    (folder / "train/cat/000/deeper").mkdir()
    with pytest.raises(UserError, match="class folders within class folders are not read"):
        list_images(folder, nested=True)


def test_the_parts_of_a_name_start_with_its_split() -> None:
    assert parts_of("pets/Train/cat/w1/a.png") == ("Train", "cat", "w1", "a.png")
    assert parts_of("val\\dog\\a.png") == ("val", "dog", "a.png")
