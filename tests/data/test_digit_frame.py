"""Any image of a digit gets MNIST's size, centre and stroke width; MNIST images hardly change."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from src.data import MNIST
from src.data.digit_frame import STROKE_WIDTHS, adjust_stroke_width, digit_frame, strokes
from src.data.digits import load_digits
from src.data.ink import background
from tests.conftest import REAL_DATA


def seven(side: int, pen: float = 0.08, top: float = 0.2, left: float = 0.3) -> Image.Image:
    """Return a seven in black on white; lengths are shares of the side."""
    image = Image.new("L", (4 * side, 4 * side), 255)  # four times larger, then reduced
    corners = [(left, top), (left + 0.35, top), (left + 0.1, top + 0.5)]
    points = [(4 * side * x, 4 * side * y) for x, y in corners]
    ImageDraw.Draw(image).line(points, 0, int(4 * pen * side), joint="curve")
    return image.resize((side, side), Image.Resampling.BOX)


def digits(count: int) -> np.ndarray:
    """Return the digits of scikit-learn, preprocessed like MNIST, (count, 28, 28)."""
    return load_digits()[0][0][:count, 0].numpy()


def test_the_frame_has_the_size_and_centre_of_mnist() -> None:
    frame = digit_frame(seven(300))
    rows, columns = (np.flatnonzero(frame.any(axis=axis)) for axis in (1, 0))
    assert frame.shape == (28, 28)
    assert frame.dtype == np.uint8
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert frame.max() == 255
    assert np.abs(np.array(ndimage.center_of_mass(frame)) - 14).max() <= 0.5


@pytest.mark.real_data
def test_images_of_mnist_hardly_change() -> None:
    _, (x, _) = MNIST(root=REAL_DATA).load()
    before = x[:500, 0].numpy()
    after = np.stack([digit_frame(Image.fromarray(image)) for image in before])
    difference = np.abs(after.astype(int) - before).mean(axis=(1, 2))
    assert np.median(difference) < 1  # of 255 grey levels; some stroke widths are changed
    assert difference.mean() < 3


@pytest.mark.parametrize("shape", [(28, 28), (56, 56), (280, 280), (700, 700)])
@pytest.mark.parametrize("place", [(0.05, 0.05), (0.4, 0.5), (0.2, 0.3)])
def test_the_frame_does_not_depend_on_size_and_place(
    shape: tuple[int, int], place: tuple[float, float]
) -> None:
    usual = digit_frame(seven(280)).astype(int)
    other = digit_frame(seven(shape[0], top=place[0], left=place[1])).astype(int)
    nearby = ndimage.maximum_filter(usual, 3), ndimage.minimum_filter(usual, 3)
    assert (other <= nearby[0] + 100).all()  # equal up to a pixel
    assert (other >= nearby[1] - 100).all()
    assert abs(other.sum() / usual.sum() - 1) < 0.15


def test_dark_on_light_equals_light_on_dark() -> None:
    for image in digits(50):
        light, dark = Image.fromarray(image), Image.fromarray(255 - image)
        np.testing.assert_array_equal(digit_frame(light), digit_frame(dark))


def test_the_aspect_ratio_is_kept() -> None:
    bar = Image.new("L", (200, 200), 255)
    ImageDraw.Draw(bar).rectangle((90, 20, 109, 179), fill=0)  # 20 x 160
    frame = digit_frame(bar) > 127
    assert frame.any(axis=1).sum() == 20
    assert frame.any(axis=0).sum() in (2, 3)


@pytest.mark.parametrize("pen", [0.005, 0.02, 0.05, 0.1, 0.2])
def test_every_stroke_width_becomes_one_of_mnist(pen: float) -> None:
    area = (digit_frame(seven(500, pen)) / 255).sum()
    thin, thick = ((digit_frame(seven(500, usual)) / 255).sum() for usual in (0.045, 0.1))
    assert 0.8 * thin <= area <= 1.25 * thick


def test_only_unusual_stroke_widths_are_changed() -> None:
    bar = np.zeros((20, 20))
    bar[:, 8:11] = 1  # 3 pixels wide
    assert adjust_stroke_width(bar, 20) is bar
    bar[:, 8:16] = 1
    adjusted = adjust_stroke_width(bar, 20)
    assert adjusted.max(axis=0).sum() / 8 == pytest.approx(STROKE_WIDTHS[1], abs=1.2)


def test_uneven_light_is_removed() -> None:
    y, x = np.mgrid[-1:1:60j, -1:1:80j]
    paper = 170 + 40 * x - 25 * y - 20 * x * y + 8 * x**2
    drawn = paper.copy()
    drawn[20:40, 30:34] -= 100
    np.testing.assert_allclose(background(drawn), paper, atol=1e-6)
    expected = np.zeros_like(paper)
    expected[20:40, 30:34] = 100
    np.testing.assert_allclose(strokes(drawn), expected, atol=1e-6)


def test_noise_and_dust_are_ignored() -> None:
    clean = np.asarray(seven(300), dtype=np.float64)
    dusty = np.clip(clean * 0.8 + np.random.default_rng(0).normal(0, 5, clean.shape), 0, 255)
    dusty[10:13, 280:283] = 0
    expected = digit_frame(Image.fromarray(clean.astype(np.uint8))).astype(int)
    found = digit_frame(Image.fromarray(dusty.astype(np.uint8))).astype(int)
    assert np.abs(found - expected).mean() < 8


@pytest.mark.parametrize("table", [30, 90, 160])
def test_the_table_around_the_paper_is_ignored(table: int) -> None:
    below, sheet = np.full((60, 260), table, dtype=np.uint8), np.asarray(seven(300))
    photo = np.concatenate([sheet[:, 40:], below])
    photo[:, :12] = table
    expected, found = (digit_frame(Image.fromarray(x)) for x in (sheet, photo))
    assert np.abs(found.astype(int) - expected).mean() < 8


def test_most_of_the_paper_may_be_ink() -> None:
    image = np.full((100, 100), 210, dtype=np.uint8)
    image[5:85, 5:85] = 40  # 64 % less a hole of 16 %
    image[25:65, 25:65] = 210
    frame = digit_frame(Image.fromarray(image))
    assert frame.max() == 255
    assert not frame[:4].any()


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_empty_sheet_is_black(level: int) -> None:
    assert not digit_frame(Image.new("L", (50, 40), level)).any()
    noisy = np.clip(np.random.default_rng(0).normal(level, 2, (50, 40)), 0, 255).astype(np.uint8)
    assert not digit_frame(Image.fromarray(noisy)).any()


def test_clothes_fill_the_frame_by_their_bounding_box() -> None:
    image = Image.new("L", (100, 100), 255)
    ImageDraw.Draw(image).polygon([(10, 10), (50, 10), (10, 90)], fill=0)
    rows, columns = np.nonzero(digit_frame(image, box=28, by_mass=False))
    assert (rows.min(), rows.max()) == (0, 27)
    assert (columns.min(), columns.max()) == (7, 20)
