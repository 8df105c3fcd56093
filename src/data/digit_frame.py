"""Preprocesses an image of a digit, drawn or photographed, as the images of MNIST were.

The strokes are found, scaled to fit 20x20 pixels and placed in 28x28 with the centre of mass in the
middle, light on black, as for MNIST (LeCun et al., Proceedings of the IEEE 86, 1998, section
III.A). MNIST's own images stay the same, except for a few grey levels at the edges.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from src.data.digit_strokes import digit_strokes
from src.data.ink import Grey, border, ink_on_surface
from src.data.pen import to_edge, width_of

SIDE = 28  # pixels of each side of the result
LARGE, PHOTO = 560, 240  # pixels to which pictures and photographs are reduced
CROPPED = 32  # images of this side or less have been cut to one digit
BORDER_SHARE = 0.08  # a component on more of the border is no stroke, unless it is the only one
MIN_AREA = 0.05  # of the largest stroke; smaller components are dust
STROKE_WIDTHS = (1.8, 3.6)  # range for the result, in pixels; MNIST's strokes have 2.6 +- 0.8
OVERSAMPLING = 8  # resolution at which stroke widths are changed, relative to the result


def digit_frame(image: Image.Image, box: int = 20, by_mass: bool = True) -> NDArray[np.uint8]:
    """Return an image preprocessed as in MNIST, (28, 28), light on black; all black if empty.

    Args:
        image: Dark on light or light on dark, of any size and mode.
        box: Length of the longer side of the strokes, in pixels.
        by_mass: Find a digit, centre it by mass and adjust its stroke width; False takes all that
            stands out, and centres the bounding box.

    Raises:
        NotOneDigit: If several digits are found.
    """
    grey = image.convert("L")
    longest = PHOTO if by_mass else LARGE
    grey.thumbnail((longest, longest), Image.Resampling.BOX)
    pixels = np.asarray(grey, dtype=np.float64)
    find = digit_strokes if by_mass and max(grey.size) > CROPPED else strokes
    ink = find(pixels)
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
    ink = ink_on_surface(grey)
    foreground = ink.amount > ink.least
    components, count = ndimage.label(foreground, np.ones((3, 3)))
    areas = np.bincount(components.ravel(), minlength=count + 1) * (np.arange(count + 1) > 0)
    on_border = np.bincount(border(components), minlength=count + 1)
    inside = np.where(on_border < BORDER_SHARE * on_border.sum(), areas, 0)
    if inside.max() >= MIN_AREA * areas.max():
        areas = inside
    large = areas >= MIN_AREA * areas.max()
    return np.where(foreground & large[components], ink.amount, 0)


def adjust_stroke_width(ink: Grey, box: int) -> Grey:
    """Return the strokes, thinned or widened if their width is out of MNIST's range."""
    fine = np.pad(_scaled(_cropped(ink), box * OVERSAMPLING), 2 * OVERSAMPLING)
    distances = to_edge(fine > 0.5)
    width = width_of(distances) / OVERSAMPLING
    if STROKE_WIDTHS[0] <= width <= STROKE_WIDTHS[1]:
        return ink
    wider = (np.clip(width, *STROKE_WIDTHS) - width) * OVERSAMPLING
    return np.clip(distances + wider / 2 + 0.5, 0, 1)


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
