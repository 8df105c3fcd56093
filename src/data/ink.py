"""Tells ink from paper: how much each pixel of a photograph differs from the paper around it.

The paper's brightness is estimated in three ways: as a smooth surface, which suits clean paper and
pens of any width, and within a window, for dark and for light ink. The last two ignore the edges of
shadows and sheets, since a closing keeps the shapes that are wider than its window.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Grey = NDArray[np.float64]
Mask = NDArray[np.bool_]

MIN_INK = 0.1  # of the strongest ink; fainter pixels are background
BACKGROUND_SHARE = 0.4  # of all pixels are assumed to be free of ink
WINDOW = 0.13  # of the shorter side; wider strokes are found on a smooth surface only
WINDOW_INK = 0.3  # of the strongest ink within a window; fainter pixels are background
BLOCKS = 28  # along the shorter side, whose noise is measured
AROUND = 7  # blocks in each direction, among which the noise of a place is measured


@dataclass
class Ink:
    """How much each pixel differs from the paper, (rows, columns).

    Attributes:
        amount: Difference in the direction of the ink, 0 on paper.
        opposite: Difference in the other direction.
        least: Least amount of a stroke.
        grey: Brightness, inverted if the ink is light.
        local: Whether the paper is estimated within a window.
    """

    amount: Grey
    opposite: Grey
    least: Grey
    grey: Grey
    local: bool


def inks(grey: Grey) -> Iterator[Ink]:
    """Return the ink by each of the three ways, one after the other."""
    yield ink_on_surface(grey)
    smooth = ndimage.gaussian_filter(grey, 0.6)
    yield ink_in_window(smooth)
    yield ink_in_window(255 - smooth)


def ink_on_surface(grey: Grey) -> Ink:
    """Return the ink, dark or light, whichever stands out more from a smooth surface."""
    above = (grey - background(grey)).round(6)  # bit-identical for inverted images
    if (above * above * above).sum() <= 0:
        above, light = -above, False
    else:
        light = True
    amount, opposite = np.maximum(above, 0), np.maximum(-above, 0)
    # The standard deviation of the background: 40 % of |z| are below 0.52.
    noise = np.quantile(np.abs(above), BACKGROUND_SHARE) / 0.52
    least = np.full_like(grey, max(MIN_INK * amount.max(), 5 * noise, 8))
    return Ink(amount, opposite, least, 255 - grey if light else grey, local=False)


def ink_in_window(grey: Grey) -> Ink:
    """Return the ink that is darker than the paper in a window around it."""
    amount, opposite = _closed(grey, WINDOW), _closed(255 - grey, WINDOW / 2)
    strongest = np.quantile(amount, 0.995)
    least = np.maximum(3 * _noise(amount), max(WINDOW_INK * strongest, 12))
    return Ink(amount, opposite, least, grey, local=True)


def _closed(grey: Grey, window: float) -> Grey:
    """Return how much a closing lightens each pixel."""
    side = max(3, round(window * min(grey.shape)))
    closed: Grey = ndimage.grey_closing(grey, size=(side, side), mode="nearest")
    return closed - grey


def _noise(amount: Grey) -> Grey:
    """Return the usual amount of ink on the ground around each pixel: more on cloth than on paper.

    The 60th percentile of each block of pixels is taken, and of these the 30th percentile among
    the blocks around: strokes fill neither.
    """
    step = max(1, min(amount.shape) // BLOCKS)
    rows, columns = (side // step for side in amount.shape)
    blocks = amount[: rows * step, : columns * step].reshape(rows, step, columns, step)
    levels = np.quantile(blocks.swapaxes(1, 2).reshape(rows, columns, -1), 0.6, axis=2)
    low = ndimage.percentile_filter(levels, 30, size=AROUND, mode="nearest")
    row, column = (
        np.minimum(np.arange(side) // step, blocks - 1)
        for side, blocks in zip(amount.shape, low.shape, strict=True)
    )
    noise: Grey = low[np.ix_(row, column)]
    return noise


def background(grey: Grey, rounds: int = 10) -> Grey:
    """Return the estimated brightness of the background at each pixel, under uneven light.

    Fits a quadratic surface to the pixels that fit it best, by the iterations of Rousseeuw and Van
    Driessen, "Computing LTS regression for large data sets", 2006. Keeps the better fit of two
    starting points: the median brightness of the border, and of the whole image.

    Args:
        grey: Brightness of each pixel (rows, columns).
        rounds: Number of iterations.
    """
    rows, columns = (np.linspace(-1, 1, n) for n in grey.shape)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    every = max(1, max(grey.shape) // 40)  # enough pixels to fit six coefficients
    a, b = terms[::every, ::every].reshape(-1, 6), grey[::every, ::every].ravel()
    fits = []
    for start in (np.median(border(grey)), np.median(grey)):
        distance = np.abs(b - start)
        for _ in range(rounds):
            best = distance.argsort(kind="stable")[: ceil(BACKGROUND_SHARE * len(b))]
            solution = np.linalg.lstsq(a[best], b[best], rcond=None)[0]
            distance = np.abs(b - a @ solution)
        fits.append((np.sort(distance)[: len(best)].sum(), solution.tolist()))
    surface: Grey = terms @ np.array(min(fits)[1])
    return surface


def border(values: NDArray[Any]) -> NDArray[Any]:
    """Return the values along the four sides of the image."""
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
