"""Class names of any script and length are drawn whole; a missing font is named once."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text

from src.plots import fonts
from src.plots.classification import class_scores, confused_pairs, confusion_matrix
from src.plots.images import image_sheet, weight_images
from src.plots.probabilities import image_probabilities
from src.plots.style import png

DEJAVU = Path(matplotlib.get_data_path(), "fonts/ttf")
LONG = ["a name of a class that goes on and on, of sixty letters and more", "p" * 64, "cat"]
SCRIPTS = ["猫", "собака", "كلب"]
COUNTS = torch.tensor([[9, 1, 2], [3, 8, 1], [0, 4, 7]])
IMAGES = torch.rand(3, 1, 20, 20)


def figures(names: list[str]) -> list[Figure]:
    return [
        confusion_matrix(COUNTS, names),
        confused_pairs(COUNTS, names),
        class_scores(COUNTS, names),
        image_sheet("t", IMAGES, [f"{name} 0.9\nnot {name}" for name in names], [True] * 3),
        weight_images(IMAGES - 0.5, names),
        image_probabilities(IMAGES, COUNTS / 12, names, names),
    ]


@pytest.fixture
def _only_dejavu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hide the fonts of the system; Matplotlib brings DejaVu Sans, without Chinese."""
    fonts._fallback.cache_clear()
    monkeypatch.setattr(fonts, "_installed", lambda: sorted(map(str, DEJAVU.glob("DejaVu*.ttf"))))
    monkeypatch.setattr(fonts, "TOLD", [])
    yield
    fonts._fallback.cache_clear()


@pytest.mark.usefixtures("_only_dejavu")
def test_a_missing_font_is_named_once_and_code_points_are_drawn() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        drawn = figures(SCRIPTS)
        for figure in drawn:
            png(figure)
    [told] = [str(warning.message) for warning in caught]
    assert told.startswith("No installed font has the characters 猫: pictures show")
    assert "apt install fonts-noto-cjk" in told
    for figure in drawn:
        texts = " ".join(text.get_text() for text in figure.findobj(Text))
        assert "猫" not in texts
        assert "\\u732b" in texts
        assert "собака" in texts


def test_a_font_that_has_the_characters_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    mathematical = str(DEJAVU / "STIXGeneral.ttf")
    missing = next(c for c in map(chr, range(0x1D7CE, 0x1D7FF)) if c in fonts._drawn(mathematical)
                   and c not in fonts._drawn(fonts._default()))  # fmt: skip
    fonts._fallback.cache_clear()
    monkeypatch.setattr(fonts, "_installed", lambda: [mathematical])
    assert fonts.drawable(missing) == missing
    text = (figure := Figure()).text(0, 0, missing)
    png(figure)  # a warning of a missing glyph would be an error
    assert "STIXGeneral" in text.get_fontfamily()
    fonts._fallback.cache_clear()


@pytest.mark.parametrize("index", range(3))
def test_long_names_are_within_the_picture_and_do_not_overlap(index: int) -> None:
    figure = figures(LONG)[index]
    figure.draw_without_rendering()
    [axes, *_] = figure.axes
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        boxes = [
            tick.label1.get_window_extent()
            for tick in axis.get_major_ticks()
            if low <= tick.get_loc() <= high
        ]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
        for box in boxes:
            assert box.x0 >= -1
            assert box.y0 >= -1
            assert box.x1 <= figure.bbox.x1 + 1


@pytest.mark.parametrize("index", [3, 4])
def test_captions_are_wrapped_to_the_width_of_an_image(index: int) -> None:
    figure = figures(LONG)[index]
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(box.y0 >= -1 for box in boxes)
    words = "".join(text.get_text() for text in figure.axes[0].texts)
    assert words.replace("\n", "").count("p") >= 64


def test_letters_of_east_asia_count_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "drawable", str)
    assert fonts.wrapped("abcdefgh", 4) == "abcd\nefgh"
    assert fonts.wrapped("猫猫猫猫", 4) == "猫猫\n猫猫"
