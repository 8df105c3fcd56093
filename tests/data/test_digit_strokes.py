"""The strokes of one digit are found; lines, frames, sheets, shadows and dots are not."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage
from scipy.spatial import ConvexHull

from src.data.digit_strokes import NotOneDigit, Part, digit_strokes
from src.data.paper_lines import level_lines

Draw = Callable[[ImageDraw.ImageDraw], object]


def drawn(*more: Draw, paper: int = 220) -> Image.Image:
    """Return a four in black, of two strokes, on grey paper, with more drawn before it."""
    image = Image.new("L", (200, 240), paper)
    draw = ImageDraw.Draw(image)
    for shape in more:
        shape(draw)
    draw.line([(70, 80), (70, 125), (130, 125)], 30, 8)
    draw.line([(115, 90), (115, 170)], 30, 8)
    return image


def found(image: Image.Image) -> np.ndarray:
    return digit_strokes(np.asarray(image, dtype=float)) > 0


def lines(draw: ImageDraw.ImageDraw) -> None:
    for y in range(20, 240, 30):
        draw.line([(0, y), (199, y + 6)], 90, 3)


def shadow(draw: ImageDraw.ImageDraw) -> None:
    draw.polygon([(0, 0), (100, 0), (40, 239), (0, 239)], 120)


def sheet(draw: ImageDraw.ImageDraw) -> None:
    draw.rectangle((0, 0, 199, 239), 60)
    draw.polygon([(30, 50), (170, 40), (180, 200), (35, 210)], 220)


AROUND: dict[str, Draw] = {
    "a thin frame": lambda draw: draw.rectangle((40, 50, 160, 200), outline=40),
    "a thick frame": lambda draw: draw.rectangle((20, 30, 180, 210), outline=40, width=6),
    "lines": lines,
    "a shadow": shadow,
    "a sheet on a table": sheet,
    "black bars": lambda draw: draw.rectangle((0, 0, 25, 239), 0),
    "white bars": lambda draw: draw.rectangle((0, 215, 199, 239), 255),
    "a dot": lambda draw: draw.ellipse((137, 120, 147, 130), 30),
    "dust": lambda draw: draw.point([(20, 20), (180, 200), (30, 200)], 30),
}


@pytest.mark.parametrize("kind", AROUND)
def test_only_the_digit_is_found(kind: str) -> None:
    expected, strokes = found(drawn()), found(drawn(AROUND[kind]))
    assert (expected & strokes).sum() > 0.9 * expected.sum()
    edges = ndimage.binary_dilation(expected, np.ones((3, 3)))
    assert (strokes & ~edges).sum() < 0.02 * expected.sum()


def test_strokes_apart_are_one_digit() -> None:
    strokes = found(drawn(lambda draw: draw.line([(75, 71), (110, 71)], 30, 8)))
    assert strokes[71, 75:110].all()


def test_several_digits_are_counted() -> None:
    both = Image.new("L", (400, 240), 220)
    both.paste(drawn(), (0, 0))
    both.paste(drawn(), (190, 0))
    with pytest.raises(NotOneDigit, match="2 digits found; crop to one"):
        found(both)


@pytest.mark.parametrize("blank", [lines, shadow, sheet])
def test_there_may_be_no_digit(blank: Draw) -> None:
    image = Image.new("L", (200, 240), 220)
    blank(ImageDraw.Draw(image))
    assert not found(image).any()


def test_a_digit_out_of_focus_is_found() -> None:
    strokes = found(drawn().filter(ImageFilter.GaussianBlur(4)))
    assert (strokes & found(drawn())).sum() > 0.9 * found(drawn()).sum()


def test_lines_reach_from_margin_to_margin() -> None:
    mask = np.zeros((100, 120), dtype=bool)
    mask[30] = mask[60, 20:80] = True
    mask[:, 50] = True
    expected = np.zeros_like(mask)
    expected[30] = True
    assert (level_lines(mask)[[30, 60]] == expected[[30, 60]]).all()


@pytest.mark.parametrize("ink", [20, 250])
def test_a_thick_zero_is_no_sheet_with_a_hole(ink: int) -> None:
    image = Image.new("L", (200, 240), 120)
    ImageDraw.Draw(image).ellipse((50, 40, 150, 200), outline=ink, width=36)
    assert (found(image) == (np.asarray(image) == ink)).mean() > 0.99


def test_the_hull_of_a_part_contains_all_pixels() -> None:
    strokes = np.zeros((20, 30), dtype=bool)
    strokes[4:14, 3:5] = strokes[2:12, 18:23] = True
    assert Part(np.argwhere(strokes), 1.0).hull().volume == pytest.approx(
        ConvexHull([(4, 3), (14, 3), (14, 5), (12, 23), (2, 23), (2, 18)]).volume
    )
