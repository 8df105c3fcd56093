"""A user's image files are read in every format, and other files are named with a reason."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from torch import Tensor

from src.data import CIFAR10, MNIST, ImageFolder, Line
from src.data.digits import load_digits
from src.data.images import ImageData
from src.data.pixels import decoded
from src.errors import UserError
from src.inference.own_images import OwnImages

DIGIT = load_digits()[0][0][7, 0].numpy()  # (28, 28), light on black
PAPER = Image.fromarray(255 - DIGIT)  # dark on light


def example(image: Image.Image, name: str = "digit.png", **options: object) -> Tensor:
    """Write an image to a file and return the example that MNIST makes of it."""
    image.save(name, **options)
    return MNIST().as_example(decoded(Path(name).read_bytes()))


def transparent(light: bool) -> Image.Image:
    """Return the digit on a transparent background, as drawing programs save it."""
    ink = np.full((28, 28, 4), 255 if light else 0, dtype=np.uint8)
    ink[..., 3] = DIGIT
    return Image.fromarray(ink)


def sixteen_bits() -> Image.Image:
    return Image.fromarray(np.asarray(PAPER).astype(np.uint16) * 257)


LOSSLESS: dict[str, Callable[[], tuple[Image.Image, str]]] = {
    "L": lambda: (PAPER, "x.png"),
    "light on dark": lambda: (Image.fromarray(DIGIT), "x.png"),
    "LA": lambda: (PAPER.convert("LA"), "x.png"),
    "RGB": lambda: (PAPER.convert("RGB"), "x.png"),
    "RGBA": lambda: (PAPER.convert("RGBA"), "x.png"),
    "dark on transparent": lambda: (transparent(light=False), "x.png"),
    "light on transparent": lambda: (transparent(light=True), "x.png"),
    "palette": lambda: (PAPER.convert("P"), "x.png"),
    "CMYK": lambda: (PAPER.convert("RGB").convert("CMYK"), "x.tiff"),
    "16 bits": lambda: (sixteen_bits(), "x.png"),
    "16 bits TIFF": lambda: (sixteen_bits(), "x.tiff"),
    "real numbers": lambda: (Image.fromarray(np.asarray(PAPER, np.float32) / 255), "x.tiff"),
    "BMP": lambda: (PAPER, "x.bmp"),
    "GIF": lambda: (PAPER, "x.gif"),
    "TIFF": lambda: (PAPER, "x.tiff"),
    "PGM": lambda: (PAPER, "x.pgm"),
}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_every_mode_and_format_gives_the_same_example(kind: str) -> None:
    image, name = LOSSLESS[kind]()
    assert torch.equal(example(image, name), example(PAPER))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rotated_photo_is_turned_upright(orientation: int) -> None:
    turns = (None, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180,
             Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.TRANSPOSE,
             Image.Transpose.ROTATE_90, Image.Transpose.TRANSVERSE,
             Image.Transpose.ROTATE_270)  # fmt: skip
    turn = turns[orientation - 1]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = PAPER if turn is None else PAPER.transpose(turn)
    assert torch.equal(example(stored, exif=exif), example(PAPER))


@pytest.mark.parametrize("name", ["x.jpg", "x.webp"])
@pytest.mark.parametrize("size", [(14, 14), (28, 28), (280, 280), (90, 60)])
def test_lossy_files_and_other_sizes_give_nearly_the_same(name: str, size: tuple[int, int]) -> None:
    sheet = Image.new("L", size, 255)
    side = min(size)
    sheet.paste(PAPER.resize((side, side), Image.Resampling.BICUBIC))
    found, usual = example(sheet, name).int(), example(PAPER).int()
    shifts = [torch.roll(found, (i, j), (1, 2)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    assert min((shifted - usual).abs().float().mean() for shifted in shifts) < 20  # of 255


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def animation(path: Path) -> None:
    PAPER.save(path, format="GIF", save_all=True, append_images=[PAPER.rotate(90)])
    with Image.open(path) as image:
        assert len(list(ImageSequence.Iterator(image))) == 2


def png() -> bytes:
    PAPER.save("good.png")
    return Path("good.png").read_bytes()


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda p: write(p, b"three"), "none of PNG, JPEG"),
    "nothing": (lambda p: write(p, b""), "0 bytes"),
    "cut short": (lambda p: write(p, png()[:-60]), "truncated"),
    "a wrong bit": (lambda p: write(p, png()[:60] + b"\x00" + png()[61:]), "broken"),
    "PostScript": (lambda p: write(p, b"%!PS-Adobe-3.0 EPSF-3.0\n"), "none of"),
    "SVG": (lambda p: write(p, b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "none of"),
    "a hundred million pixels": (lambda p: Image.new("1", (10_000, 10_000)).save(p, "PNG"), "bomb"),
    "four hundred million": (lambda p: Image.new("1", (20_000, 20_000)).save(p, "PNG"), "bomb"),
    "animation": (animation, "several frames"),
    "32 bits": (lambda p: Image.new("I", (9, 9), 70000).save(p, "TIFF"), "32 bits"),
    "one pixel": (lambda p: Image.new("L", (1, 1), 0).save(p, "PNG"), "stands out"),
    "an empty sheet": (
        lambda p: Image.new("L", (99, 99), 255).save(p, "PNG"),
        "stands out",
    ),
    "a pipe": (os.mkfifo, "a pipe"),
    "a link to nothing": (lambda p: p.symlink_to("nowhere"), "a broken link"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_files_that_are_no_images_are_named_and_others_read(kind: str, tmp_path: Path) -> None:
    make, expected = BROKEN[kind]
    folder = tmp_path / "images"
    folder.mkdir()
    PAPER.save(folder / "good.png")
    make(folder / "bad.png")
    own = OwnImages([str(folder)], MNIST())
    own.setup()
    assert own.file_names == [f"{folder}/good.png"]
    [(name, reason)] = own.skipped
    assert name == f"{folder}/bad.png"
    assert expected in reason
    assert "\n" not in reason
    with pytest.raises(UserError, match="1 of 2 files could not be predicted"):
        own.report_failures()


def test_folders_are_searched_in_order_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/1.png", "a/deep/x.png", ".hidden/x.png", "b/.x.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        PAPER.save(tmp_path / name)
    own = OwnImages(["b/2.png", "."], MNIST())
    own.setup()
    assert own.file_names == ["b/2.png", "a/deep/x.png", "b/1.png", "b/2.png"]
    assert own.examples.shape == (4, 1, 28, 28)


@pytest.mark.parametrize("name", ["two\nlines.png", "\x1b[31mred.png", b"\xff.png"])
def test_unusual_names_are_printed_in_one_line(name: str | bytes, tmp_path: Path) -> None:
    file = Path(os.fsdecode(name))
    PAPER.save(file)
    own = OwnImages([str(file)], MNIST())
    own.setup()
    assert own.file_names[0].isprintable()
    own.file_names[0].encode()


def test_nothing_to_predict_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    with pytest.raises(UserError, match="--images empty contains no files"):
        OwnImages(["empty"], MNIST()).setup()
    with pytest.raises(UserError, match="--images gone does not exist"):
        OwnImages(["gone"], MNIST()).setup()
    write(Path("x.png"), b"text")
    with pytest.raises(UserError, match="1 of 1 files could not"):
        OwnImages(["x.png"], MNIST()).setup()
    assert "left out: x.png" in capsys.readouterr().err
    with pytest.raises(UserError, match="is for runs on images, not on Line"):
        OwnImages(["x.png"], Line())


def colours(side: int) -> Image.Image:
    pixels = np.zeros((side, side, 3), dtype=np.uint8)
    pixels[: side // 2, :, 0], pixels[:, : side // 2, 2] = 200, 100
    return Image.fromarray(pixels)


@pytest.mark.parametrize("side", [32, 64])
def test_colour_images_are_resized_and_padded(side: int, data_root: Path) -> None:
    colours(side).save("x.png")
    for data in (CIFAR10(pad=2), ImageFolder(str(data_root / "images"), size=32, pad=2)):
        own = OwnImages(["x.png"], data)
        own.setup()
        assert own.examples.shape == (1, 3, 36, 36)
        expected = torch.from_numpy(np.array(colours(32))).permute(2, 0, 1)
        inner = own.examples[0, :, 2:-2, 2:-2].int()
        assert (inner - expected.int()).abs().float().mean() < 12  # the edges are smoothed


def test_own_images_become_the_same_examples_as_training_images(data_root: Path) -> None:
    """A training file becomes the same example as an own image and as training data."""
    data = ImageFolder(str(data_root / "images"), size=16, channels=1)
    (x, _), _ = data.load()
    first = data_root / "images" / data.files["train"]["cat"][0]
    assert torch.equal(ImageData.as_example(data, decoded(first.read_bytes())), x[0])
