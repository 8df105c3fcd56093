"""Sheets of images, weights and feature maps show each pixel in its place."""

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from src.plots.images import feature_maps, image_sheet, mosaic, weight_images
from src.plots.style import BLUE, ORANGE


def pixels(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 0.9  # none is white


def drawn(figure: Figure, place: int = 0) -> np.ndarray:
    return np.ma.filled(figure.axes[place].images[0].get_array(), np.nan)


def test_a_mosaic_contains_each_image_in_its_place_and_nothing_else() -> None:
    for channels in (1, 3):
        images = pixels(7, channels, 5, 4)
        sheet = mosaic(images, columns=3, below=0.42)
        expected = np.ones((3 * 8, 3 * 5, channels), dtype=np.float32)  # 8 is 5 x 1.5, rounded up
        places = [(0, 0), (0, 5), (0, 10), (8, 0), (8, 5), (8, 10), (16, 0)]
        for (top, left), image in zip(places, images.numpy(), strict=True):
            expected[top : top + 5, left : left + 4] = image.transpose(1, 2, 0)
        np.testing.assert_array_equal(sheet, expected)


def test_empty_places_of_a_mosaic_have_the_given_value() -> None:
    sheet = mosaic(torch.zeros(1, 1, 2, 2), columns=2, empty=0.25)
    assert sheet.shape == (3, 6, 1)
    assert np.unique(sheet).tolist() == [0, 0.25]
    assert (sheet == 0).sum() == 2 * 2


def test_a_caption_is_below_each_image_and_blue_if_right() -> None:
    images = pixels(8, 1, 28, 28)
    captions, right = [f"image {i}" for i in range(8)], [i % 3 > 0 for i in range(8)]
    figure = image_sheet("The title", images, captions, right)
    axes, sheet = figure.axes[0], drawn(figure)
    assert axes.get_title() == "The title"
    assert [text.get_text() for text in axes.texts] == captions
    assert [text.get_color() for text in axes.texts] == [BLUE if r else ORANGE for r in right]
    for i, text in enumerate(axes.texts):
        assert text.get_horizontalalignment() == "center"
        assert text.get_verticalalignment() == "top"
        x, y = text.get_position()
        bottom, left = round(y - 0.03 * 28), round(x - 14)
        above = sheet[bottom - 28 : bottom, left : left + 28]
        np.testing.assert_array_equal(above, images[i, 0])
        assert (sheet[bottom : bottom + 11, left : left + 28] == 1).all()  # white, for the caption
    assert len(np.unique([text.get_position()[1] for text in axes.texts])) == 2  # rows


def images_of_sheet(sheet: np.ndarray, n: int, height: int, width: int, columns: int) -> np.ndarray:
    """Return the images of a sheet without captions, with a gap of 8 %, at least one pixel."""
    down, across = int(np.ceil(1.08 * height)), int(np.ceil(1.08 * width))
    corners = [((i // columns) * down, (i % columns) * across) for i in range(n)]
    return np.stack([sheet[t : t + height, x : x + width] for t, x in corners])


def test_positive_weights_are_red_and_negative_ones_blue() -> None:
    weights = torch.randn((10, 1, 6, 5), generator=torch.Generator().manual_seed(0))
    weights[3, 0, 2, 1] = -4.0  # the largest
    figure = weight_images(weights)
    image, bar = figure.axes[0].images[0], figure.axes[1]
    shown = images_of_sheet(drawn(figure), 10, 6, 5, columns=5)
    np.testing.assert_allclose(8 * shown - 4, weights[:, 0], atol=1e-5)
    assert np.isnan(drawn(figure)).sum() == 2 * 5 * 7 * 6 - 10 * 6 * 5
    assert image.get_clim() == (0.25, 0.75)
    red, _, blue, _ = image.cmap(0.9)
    assert red > blue
    assert [label.get_text() for label in bar.get_yticklabels()] == ["-2", "0", "2"]
    assert bar.get_yticks().tolist() == [0.25, 0.5, 0.75]


def test_small_filters_of_three_channels_are_drawn_in_colour() -> None:
    weights = torch.randn((9, 3, 5, 5), generator=torch.Generator().manual_seed(0))
    figure = weight_images(weights)
    shown = images_of_sheet(drawn(figure), 9, 5, 5, columns=5)
    limit = weights.abs().max().item()
    np.testing.assert_allclose(
        2 * limit * shown - limit, weights.numpy().transpose(0, 2, 3, 1), atol=1e-5
    )
    assert len(figure.axes) == 1  # no colour bar, which is for one channel


def test_large_filters_of_three_channels_are_averaged() -> None:
    weights = torch.randn((2, 3, 12, 12), generator=torch.Generator().manual_seed(0))
    figure = weight_images(weights, names=["cat", "dog"])
    axes, limit = figure.axes[0], weights.abs().max().item()
    assert drawn(figure).shape == (16, 2 * 13)  # 12 x 1.28, rounded up: room for the names
    top = drawn(figure)[:12]
    mean = weights.numpy().mean(axis=1)
    np.testing.assert_allclose(limit * (2 * top[:, :12] - 1), mean[0], atol=1e-5)
    np.testing.assert_allclose(limit * (2 * top[:, 13:25] - 1), mean[1], atol=1e-5)
    assert [text.get_text() for text in axes.texts] == ["cat", "dog"]
    assert [text.get_position()[0] for text in axes.texts] == [6, 19]
    assert all(text.get_position()[1] > 12 for text in axes.texts)


def test_at_most_64_units_are_shown_and_zero_is_the_middle_colour() -> None:
    weights = torch.zeros(100, 1, 4, 4)
    sheet = drawn(weight_images(weights))
    assert sheet.shape == (8 * 5, 8 * 5)
    assert np.unique(sheet[np.isfinite(sheet)]).tolist() == [0.5]
    assert np.isfinite(sheet).sum() == 64 * 16


def test_each_feature_map_is_scaled_separately() -> None:
    image = pixels(1, 10, 10)
    first, second = 50 * pixels(20, 8, 8) - 30, pixels(3, 4, 4)
    second[1] = 7.0  # constant
    figure = feature_maps(image, [("one", first), ("two", second)])
    np.testing.assert_array_equal(drawn(figure)[:10, :10], image[0])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["image", "one", "two"]
    for place, maps, columns in ((1, first[:16].numpy(), 8), (2, second.numpy(), 3)):
        size = maps.shape[1]
        shown = images_of_sheet(drawn(figure, place), len(maps), size, size, columns)
        for one, scaled in zip(maps, shown, strict=True):
            span = np.ptp(one) or 1.0
            np.testing.assert_allclose(scaled, (one - one.min()) / span, atol=1e-6)
    assert drawn(figure, 1).shape == (2 * 9, 8 * 9)  # the first 16
    assert drawn(figure, 2).shape == (5, 3 * 5)
