"""Images in folders and zip files: which are read, how, and which are refused."""

import io
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from src.data.folder import ImageFolder
from src.data.image_files import LARGEST
from src.errors import UserError
from tests.conftest import memory_at_most, write_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folder(tmp_path / "pets", {"dog": 5, "cat": 0}, train=4, test=2)
    return tmp_path / "pets"


def zipped(folder: Path, with_folders: bool = False) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.rglob("*"):
            if with_folders or file.is_file():
                archive.write(file, file.relative_to(folder))
    return path


def ready(path: Path, **kwargs: Any) -> ImageFolder:
    data = ImageFolder(str(path), **{"val_size": 2, **kwargs})
    data.setup("fit")
    return data


def pixels(folder: Path, image: Image.Image, name: str = "x.png", **kwargs: Any) -> np.ndarray:
    """Return an image (size, size, channels) as it is read from the folder train/cat."""
    for file in (folder / "train/cat").iterdir():
        file.unlink()
    image.save(folder / "train/cat" / name, **kwargs.pop("save", {}))
    return ready(folder, **kwargs).splits["train"].x[0].permute(1, 2, 0).numpy()


def colours(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_classes_are_the_names_of_the_folders_in_order(folder: Path) -> None:
    data = ready(folder)
    assert data.class_names == ["cat", "dog"]
    assert data.num_classes == data.num_outputs == 2
    assert data.splits["train"].y.tolist() == [0] * 4 + [1] * 4
    assert data.splits["test"].y.tolist() == [0] * 2 + [1] * 2


def test_images_have_the_label_of_their_folder(folder: Path) -> None:
    train = ready(folder).splits["train"]
    bright = train.x[:, 0].float().mean(dim=1).argmax(dim=1)  # the column of the bar
    assert ((bright > 8).long() == train.y).all()


@pytest.mark.parametrize("with_folders", [False, True])
def test_a_zip_file_gives_the_same_tensors(folder: Path, with_folders: bool) -> None:
    plain, packed = ready(folder), ready(zipped(folder, with_folders))
    assert packed.class_names == plain.class_names
    for name, split in plain.splits.items():
        assert torch.equal(packed.splits[name].x, split.x)
        assert torch.equal(packed.splits[name].y, split.y)
        assert torch.equal(packed.splits[name].indices, split.indices)


def test_an_image_of_the_right_size_is_not_changed(folder: Path) -> None:
    wanted = colours(32, 32, 3)
    np.testing.assert_array_equal(pixels(folder, Image.fromarray(wanted)), wanted)


def test_images_are_resized_to_a_square(folder: Path) -> None:
    grey = Image.new("RGB", (50, 20), (10, 20, 30))
    assert (pixels(folder, grey, size=24) == np.array([10, 20, 30])).all()
    assert ready(folder, size=24).input_shape == [3, 24, 24]
    assert ready(folder, size=24, pad=2).input_shape == [3, 28, 28]


@pytest.mark.parametrize(
    ("mode", "colour", "rgb"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 90, (90, 90, 90)),
        ("LA", (90, 255), (90, 90, 90)),
        ("RGB", (10, 20, 30), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
    ],
)
def test_any_mode_is_read_as_colour(
    folder: Path, mode: str, colour: Any, rgb: tuple[int, int, int]
) -> None:
    assert (pixels(folder, Image.new(mode, (32, 32), colour)) == np.array(rgb)).all()


def test_a_palette_is_read_as_its_colours(folder: Path) -> None:
    wanted = np.repeat(colours(4, 4, 3), 8, axis=0).repeat(8, axis=1)
    image = Image.fromarray(wanted).quantize(16)
    np.testing.assert_array_equal(pixels(folder, image), np.asarray(image.convert("RGB")))


def test_a_palette_with_transparency_is_read_without_a_warning(folder: Path) -> None:
    image = Image.new("P", (32, 32), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    read = pixels(folder, image, save={"transparency": b"\x00\xff"})
    assert (read == np.array([10, 20, 30])).all()


def test_cmyk_is_read_as_colour(folder: Path) -> None:
    read = pixels(folder, Image.new("CMYK", (32, 32), (255, 0, 0, 0)), "x.tif")
    assert (read == np.array([0, 255, 255])).all()


def test_16_bits_of_grey_are_readable(folder: Path) -> None:
    assert pixels(folder, Image.new("I;16", (32, 32), 300)).shape == (32, 32, 3)


def test_16_bits_of_grey_are_scaled_and_not_clipped(folder: Path) -> None:
    values = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    read = pixels(folder, Image.fromarray(values), channels=1)[:, :, 0]
    np.testing.assert_allclose(read, values / 257, atol=1)


def test_one_channel_is_the_grey_of_the_colours(folder: Path) -> None:
    colour = colours(32, 32, 3)
    read = pixels(folder, Image.fromarray(colour), channels=1)
    assert read.shape == (32, 32, 1)
    np.testing.assert_allclose(read[:, :, 0], colour @ [0.299, 0.587, 0.114], atol=1)
    assert ready(folder, channels=1).input_shape == [1, 32, 32]


def test_a_photo_is_rotated_by_its_exif_orientation(folder: Path) -> None:
    sky = np.zeros((32, 32, 3), dtype=np.uint8)
    sky[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn a quarter to the right
    read = pixels(folder, Image.fromarray(sky), save={"exif": exif.tobytes()})
    np.testing.assert_array_equal(read, np.rot90(sky, -1))


def test_hidden_files_and_folders_are_ignored(folder: Path) -> None:
    (folder / "train/cat/.DS_Store").write_bytes(b"not an image")
    (folder / "train/.cache").mkdir()
    (folder / "train/.cache/x.png").write_bytes(b"not an image")
    (folder / "notes.txt").write_text("not an image")
    for path in (folder, zipped(folder)):
        data = ready(path)
        assert data.class_names == ["cat", "dog"]
        assert len(data.splits["train"].x) == 8


def test_a_path_is_also_searched_under_root(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "data"
    elsewhere.mkdir()
    folder.rename(elsewhere / "animals")
    data = ImageFolder("animals", root=str(elsewhere), val_size=2)
    assert data.path == elsewhere / "animals"
    assert data.describe()["name"] == "animals"
    assert data.describe()["source"] == f"images in {elsewhere / 'animals'}"


def refused(path: Path, *expected: object) -> None:
    with pytest.raises(UserError) as caught:
        ready(path)
    message = str(caught.value)
    assert len(message.splitlines()) <= 3
    for words in expected:
        assert str(words) in message


@pytest.mark.parametrize("content", [b"", b"hello", b"GIF89a"], ids=["empty", "text", "gif"])
def test_a_file_that_is_not_an_image_is_refused_by_name(folder: Path, content: bytes) -> None:
    (folder / "train/dog/notes.txt").write_bytes(content)
    refused(folder, folder / "train/dog/notes.txt", "not a readable image")
    packed = zipped(folder)
    refused(packed, packed / "train/dog/notes.txt", "not a readable image")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_cut_image_is_refused_by_name(folder: Path, kind: str, share: float) -> None:
    complete = io.BytesIO()
    Image.fromarray(colours(64, 64, 3)).save(complete, kind)
    path = folder / "train/cat" / f"cut.{kind.lower()}"
    path.write_bytes(complete.getvalue()[: int(share * len(complete.getvalue()))])
    refused(folder, path, "not a readable image")


def test_a_class_without_images_is_refused_by_name(folder: Path) -> None:
    (folder / "train/bird").mkdir()
    (folder / "test/bird").mkdir()
    refused(folder, folder / "train/bird", "no images")
    refused(zipped(folder, with_folders=True), "pets.zip/train/bird", "no images")


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_missing_split_is_refused(folder: Path, split: str) -> None:
    (folder / split).rename(folder / "other")
    refused(folder, folder, f"no {split}/<class>/ folders")
    refused(zipped(folder), "pets.zip", f"no {split}/<class>/ folders")


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_class_in_one_split_only_is_refused_by_name(folder: Path, split: str) -> None:
    (folder / split / "cat").rename(folder / split / "bird")
    refused(folder, folder, "not in both train and test: bird, cat")


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "absent", tmp_path / "absent", "does not exist", "zip file")


@pytest.mark.parametrize("content", [b"", b"hello"], ids=["empty", "text"])
def test_a_file_that_is_not_a_zip_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "images.zip").write_bytes(content)
    refused(tmp_path / "images.zip", tmp_path / "images.zip", "zip file")


def test_a_cut_zip_file_is_refused(folder: Path) -> None:
    path = zipped(folder)
    path.write_bytes(path.read_bytes()[:-100])
    refused(path, path, "zip file")


@pytest.mark.parametrize("place", ["header", "start", "middle"])
def test_a_damaged_image_in_a_zip_file_is_refused_by_name(folder: Path, place: str) -> None:
    path = zipped(folder)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        first = min(archive.infolist(), key=lambda info: info.header_offset)
    start = first.header_offset + 30 + len(first.filename)
    middle = start + first.compress_size // 2
    content[{"header": first.header_offset, "start": start, "middle": middle}[place]] ^= 0xFF
    path.write_bytes(content)
    refused(path, path / first.filename)


def test_a_val_size_of_all_images_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="val_size 8 is too large"):
        ready(folder, val_size=8)


def test_class_folders_within_class_folders_are_refused(folder: Path) -> None:
    (folder / "train/cat/deeper").mkdir()
    (folder / "train/cat/000.png").rename(folder / "train/cat/deeper/000.png")
    refused(folder, folder / "train/cat", "holds a folder, deeper")
    refused(zipped(folder), "pets.zip/train/cat", "holds a folder, deeper")


def test_labels_and_names_agree_where_one_name_begins_with_another(tmp_path: Path) -> None:
    shades = {"cat": 10, "cat-wild": 90, "cat b": 200}  # "-" and " " sort before "/"
    for split in ("train", "test"):
        for name, shade in shades.items():
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            Image.new("L", (8, 8), shade + (split == "test")).save(folder / "0.png")
    data = ImageFolder(str(tmp_path), size=8, channels=1)
    _, (x, y) = data.load()
    found = {data.class_names[label]: int(x[i].max()) - 1 for i, label in enumerate(y.tolist())}
    assert found == shades


def test_an_entry_that_is_not_a_file_is_refused_by_name(
    folder: Path, make_non_file: Callable[[Path], None]
) -> None:
    path = folder / "train/cat/x.png"
    make_non_file(path)
    if path.is_dir():
        refused(folder, path.parent, "holds a folder, x.png")
    else:
        refused(folder, path, "expected a file")


def test_a_folder_that_may_not_be_read_is_refused(folder: Path) -> None:
    user = os.geteuid()
    (folder / "train").chmod(0)
    try:
        os.seteuid(user or 65534)  # root may read anything
        refused(folder, folder)
    finally:
        os.seteuid(user)
        (folder / "train").chmod(0o755)


def saved(kind: str, **kwargs: Any) -> bytes:
    content = io.BytesIO()
    Image.fromarray(colours(32, 32, 3)).save(content, kind, **kwargs)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_supported_formats_are_read_with_any_name(folder: Path, kind: str) -> None:
    (folder / "test/cat/x").write_bytes(saved(kind))
    assert len(ready(folder).splits["test"].x) == 5


@pytest.mark.parametrize("kind", ["EPS", "PDF", "ICO", "TGA", "PCX", "SGI"])
def test_other_formats_are_refused_without_running_a_program(
    folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a program was run"))
    path = folder / "test/cat/x.png"
    path.write_bytes(saved(kind))
    refused(folder, path, "not a readable image", "none of PNG")


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_an_animation_is_refused(folder: Path, kind: str) -> None:
    path = folder / "test/cat/x"
    path.write_bytes(saved(kind, save_all=True, append_images=[Image.new("RGB", (32, 32))]))
    refused(folder, path, "several frames")


def test_the_first_photo_of_several_in_a_file_is_read(folder: Path) -> None:
    others = [Image.new("RGB", (32, 32))]
    path = folder / "train/cat/000.png"
    path.write_bytes(saved("JPEG"))
    alone = ready(folder).splits["train"].x[0]
    path.write_bytes(saved("MPO", save_all=True, append_images=others))
    assert torch.equal(ready(folder).splits["train"].x[0], alone)


def png_claiming(width: int, height: int) -> bytes:
    """Return a small PNG file whose header claims this size."""
    content = saved("PNG")
    header = b"IHDR" + struct.pack(">II", width, height) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


def test_a_decompression_bomb_is_refused_by_its_header(folder: Path) -> None:
    path = folder / "train/cat/bomb.png"
    for side in (9_460, 20_000, 2**31 - 1):
        path.write_bytes(png_claiming(side, side))
        refused(folder, path, "not a readable image", "exceeds limit" if side < 2**30 else "")
        refused(zipped(folder), "bomb.png", "not a readable image")
    path.write_bytes(png_claiming(9_450, 9_450))  # allowed, and then found to have far fewer pixels
    refused(folder, path, "truncated")


def test_a_file_that_is_too_large_is_not_read(folder: Path) -> None:
    path = folder / "train/cat/large.png"
    path.touch()
    os.truncate(path, LARGEST + 1)  # sparse: takes no space on the disk
    with memory_at_most(4):
        refused(folder, path, f"{LARGEST + 1} bytes")


@pytest.mark.parametrize("claimed", [100, 2**32 - 2])
def test_a_zip_file_is_not_unpacked_beyond_the_claimed_size(folder: Path, claimed: int) -> None:
    (folder / "train/cat/bomb.png").write_bytes(bytes(2**26))
    path = zipped(folder)
    content = bytearray(path.read_bytes())
    name_of_bomb = content.rindex(b"train/cat/bomb.png")
    struct.pack_into("<I", content, name_of_bomb - 22, claimed)
    path.write_bytes(content)
    with memory_at_most(4):  # 65 kB packed, 67 MB unpacked
        refused(path, "bomb.png is not a readable image", f"{claimed} bytes" * (claimed > 100))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_of_32_bits_are_refused(folder: Path, mode: str) -> None:
    path = folder / "train/cat/x.tif"
    Image.new(mode, (32, 32), 2).save(path)
    refused(folder, path, f"mode {mode}", "expected 8 or 16")


ODD = os.fsdecode(b"a\nb\x1b[31m\xff.png")  # two lines, a colour, and not UTF-8


def test_an_unusual_name_is_shown_in_one_line(folder: Path) -> None:
    (folder / "train/cat" / ODD).write_bytes(b"")
    refused(folder, r"train/cat/a\nb\x1b[31m\udcff.png is not a readable image")
    shutil.copy(folder / "train/cat/000.png", folder / "train/cat" / ODD)
    ready(folder)


def test_a_class_whose_name_cannot_be_printed_is_refused(folder: Path) -> None:
    for split in ("train", "test"):
        (folder / split / "cat").rename(folder / split / ODD)
    refused(folder, r"a class named a\nb\x1b[31m\udcff.png", "Rename")


def test_a_zip_file_with_a_damaged_list_of_contents_is_read_or_refused(folder: Path) -> None:
    path = zipped(folder)
    content = path.read_bytes()
    listed = content.index(b"PK\x01\x02")
    for place in range(listed, len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x81]) + content[place + 1 :])
        with suppress(UserError):  # some bytes may have any value, such as those of a date
            ready(path)


@pytest.mark.parametrize("names", [[], ["cat", "cat", "dog"], ["cat", "dog", "fox"]])
def test_names_that_are_not_those_of_the_folders_are_refused(
    names: list[str], folder: Path
) -> None:
    with pytest.raises(UserError, match=r"--data\.class_names"):
        ImageFolder(path=str(folder), class_names=names, val_size=2).setup("fit")


def test_a_folder_without_training_images_is_validated_and_tested(folder: Path) -> None:
    (folder / "train").rename(folder / "val")
    data = ImageFolder(path=str(folder), class_names=["cat", "dog"])
    with pytest.raises(UserError, match="no images to fit on"):
        data.setup("fit")
    data.setup("validate")
    assert {name: len(split.indices) for name, split in data.splits.items()} == {
        name: len(list((folder / name).rglob("*.png"))) for name in ("val", "test")
    }
