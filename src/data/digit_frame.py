"""Preprocesses an image of a digit, drawn or photographed, as the images of MNIST were.

The strokes are found, scaled to fit 20x20 pixels and placed in 28x28 with the centre of mass in the
middle, light on black, as for MNIST (LeCun et al., Proceedings of the IEEE 86, 1998, section
III.A). MNIST's own images stay the same, except for a few grey levels at the edges.
"""

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Grey = NDArray[np.float64]

SIDE = 28  # pixels of each side of the result
MAX_SIDE = 560  # larger images are reduced to this: their detail is lost in 28 pixels anyway
MIN_INK = 0.1  # of the strongest ink; fainter pixels are background
BACKGROUND_SHARE = 0.4  # of all pixels are assumed to be free of ink
BORDER_SHARE = 0.08  # a component on more of the border is no stroke, unless it is the only one
MIN_AREA = 0.05  # of the largest stroke; smaller components are dust
STROKE_WIDTHS = (1.8, 3.6)  # range for the result, in pixels; MNIST's strokes have 2.6 +- 0.8
OVERSAMPLING = 8  # resolution at which stroke widths are changed, relative to the result


def digit_frame(image: Image.Image, box: int = 20, by_mass: bool = True) -> NDArray[np.uint8]:
    """Return an image preprocessed as in MNIST, (28, 28), light on black; all black if empty.

    Args:
        image: Dark on light or light on dark, of any size and mode.
        box: Length of the longer side of the strokes, in pixels.
        by_mass: Centre the strokes by mass and adjust their width; False centres the bounding box.
    """
    grey = image.convert("L")
    grey.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.BOX)
    ink = strokes(np.asarray(grey, dtype=np.float64))
    if not ink.any():
        return np.zeros((SIDE, SIDE), dtype=np.uint8)
    if by_mass:
        ink = adjust_stroke_width(ink, box)
    return _placed(_scaled(_cropped(ink), box), by_mass)


def strokes(grey: Grey) -> Grey:
    """Return how much each pixel differs from the background; 0 for pixels that are no strokes.

    Strokes are darker or lighter than the background, whichever stands out more. Background noise,
    specks of dust and objects along the border, e.g. the table around the paper, are removed.
    """
    above = (grey - background(grey)).round(6)  # bit-identical for inverted images
    ink = np.maximum(above if (above * above * above).sum() > 0 else -above, 0)
    # The standard deviation of the background: 40 % of |z| are below 0.52.
    noise = np.quantile(np.abs(above), BACKGROUND_SHARE) / 0.52
    foreground = ink > max(MIN_INK * ink.max(), 5 * noise, 8)
    components, count = ndimage.label(foreground, np.ones((3, 3)))
    areas = np.bincount(components.ravel(), minlength=count + 1) * (np.arange(count + 1) > 0)
    on_border = np.bincount(_border(components), minlength=count + 1)
    inside = np.where(on_border < BORDER_SHARE * on_border.sum(), areas, 0)
    if inside.max() >= MIN_AREA * areas.max():
        areas = inside
    large = areas >= MIN_AREA * areas.max()
    return np.where(foreground & large[components], ink, 0)


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
    for start in (np.median(_border(grey)), np.median(grey)):
        distance = np.abs(b - start)
        for _ in range(rounds):
            best = distance.argsort(kind="stable")[: ceil(BACKGROUND_SHARE * len(b))]
            solution = np.linalg.lstsq(a[best], b[best], rcond=None)[0]
            distance = np.abs(b - a @ solution)
        fits.append((np.sort(distance)[: len(best)].sum(), solution.tolist()))
    surface: Grey = terms @ np.array(min(fits)[1])
    return surface


def _border(values: NDArray[Any]) -> NDArray[Any]:
    """Return the values along the four sides of the image."""
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])


def adjust_stroke_width(ink: Grey, box: int) -> Grey:
    """Return the strokes, thinned or widened if their width is out of MNIST's range."""
    fine = np.pad(_scaled(_cropped(ink), box * OVERSAMPLING), 2 * OVERSAMPLING)
    inside = fine > 0.5
    within, without = (ndimage.distance_transform_edt(part) for part in (inside, ~inside))
    to_edge = np.where(inside, within - 0.5, 0.5 - without)
    width = 4 * to_edge[inside].mean() / OVERSAMPLING  # the mean in a stroke of width w is w / 4
    if STROKE_WIDTHS[0] <= width <= STROKE_WIDTHS[1]:
        return ink
    wider = (np.clip(width, *STROKE_WIDTHS) - width) * OVERSAMPLING
    return np.clip(to_edge + wider / 2 + 0.5, 0, 1)


def _cropped(ink: Grey) -> Grey:
    """Return the bounding box of the strokes."""
    return ink[ndimage.find_objects((ink > 0).astype(int))[0]]


def _scaled(ink: Grey, longest: int) -> Grey:
    """Return the strokes in [0, 1], scaled so that the longer side has `longest` pixels."""
    scale = longest / max(ink.shape)
    rows, columns = (max(1, round(scale * side)) for side in ink.shape)
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    resized = Image.fromarray(ink.astype(np.float32)).resize((columns, rows), method)
    scaled = np.asarray(resized, dtype=np.float64)
    return scaled / scaled.max()


def _placed(ink: Grey, by_mass: bool) -> NDArray[np.uint8]:
    """Return the strokes centred in (28, 28), shifted by whole pixels."""
    middle = ndimage.center_of_mass(ink if by_mass else np.ones_like(ink))
    half = SIDE / 2 if by_mass else (SIDE - 1) / 2  # MNIST centres the mass on a pixel
    top, left = (
        int(np.clip(round(half - place), 0, SIDE - length))
        for place, length in zip(middle, ink.shape, strict=True)
    )
    frame = np.zeros((SIDE, SIDE), dtype=np.uint8)
    frame[top : top + ink.shape[0], left : left + ink.shape[1]] = (255 * ink).round()
    return frame
