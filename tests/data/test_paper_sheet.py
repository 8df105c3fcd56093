"""A sheet on a table is found and cut out; shadows, digits and patterns are no sheets."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw

from src.data.paper_sheet import is_sheet, searched_areas, threshold

Draw = Callable[[ImageDraw.ImageDraw], object]
TURNED = [(60, 40), (160, 60), (140, 160), (40, 140)]


def drawn(shape: Draw, ground: int = 60) -> np.ndarray:
    image = Image.new("L", (240, 200), ground)
    shape(ImageDraw.Draw(image))
    return np.asarray(image, dtype=float)


def eight(draw: ImageDraw.ImageDraw) -> None:
    draw.ellipse((80, 20, 160, 110), 220)
    draw.ellipse((70, 90, 170, 190), 220)


@pytest.mark.parametrize("ink", [0, 250])
def test_a_sheet_is_searched_first_and_continued_around(ink: int) -> None:
    def sheet(draw: ImageDraw.ImageDraw) -> None:
        draw.polygon(TURNED, 220)
        draw.line([(90, 80), (110, 120)], ink, 6)

    (place, paper), (everywhere, whole) = searched_areas(image := drawn(sheet))
    assert [(side.start, side.stop) for side in place] == pytest.approx(
        np.array([(40, 161), (40, 161)]), abs=2
    )
    assert (everywhere, whole.shape) == (np.s_[:, :], image.shape)
    stroke = np.abs(paper - 220) > 10
    assert stroke.sum() == (image == ink).sum()  # neither table nor edges are left


@pytest.mark.parametrize("shape", [
    lambda draw: draw.polygon(TURNED, 220),
    lambda draw: draw.rectangle((0, 40, 120, 150), 220),  # cut off at the border
    lambda draw: draw.polygon([(60, 40), (160, 45), (155, 160), (50, 155)], 220),  # in perspective
])  # fmt: skip
def test_sheets_are_rectangles(shape: Draw) -> None:
    assert is_sheet(drawn(shape) > 100)


@pytest.mark.parametrize("shape", [
    lambda draw: draw.ellipse((60, 40, 160, 160), 220),
    lambda draw: draw.polygon([(60, 40), (160, 60), (40, 140)], 220),
    lambda draw: draw.rectangle((0, 0, 239, 90), 220),  # the light half beside a shadow
    lambda draw: draw.rectangle((60, 40, 80, 60), 220),  # too small
    lambda draw: draw.rectangle((2, 2, 238, 198), 220),  # nearly everything
    lambda draw: draw.line([(60, 40), (60, 160), (160, 160)], 220, 30),
    lambda draw: None,
    eight,
])  # fmt: skip
def test_other_areas_are_no_sheets(shape: Draw) -> None:
    assert not is_sheet(drawn(shape) > 100)
    assert len([*searched_areas(drawn(shape))]) == 1


def test_the_threshold_has_the_least_variance_within_both_classes() -> None:
    generator = np.random.default_rng(0)
    grey = np.concatenate([generator.normal(60, 20, 3000), generator.normal(180, 10, 800)])

    def within(limit: float) -> float:
        classes = grey[grey <= limit], grey[grey > limit]
        return sum(part.var() * part.size for part in classes if part.size)

    best = min(map(within, np.linspace(grey.min(), grey.max(), 257)[:-1]))
    assert within(threshold(grey)) == pytest.approx(best, rel=1e-3)
