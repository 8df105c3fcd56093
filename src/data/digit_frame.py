"""Brings a digit drawn or photographed anywhere into the frame of MNIST.

What was done to the digits of MNIST (LeCun et al., Proceedings of the IEEE 86, 1998, section III.A)
is done to any image: its strokes are found, scaled to fit 20x20 pixels and centred by their mass
in 28x28, light on black. Images of MNIST themselves come out as they went in, but for a few grey
levels at the edges.
"""

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Grey = NDArray[np.float64]

SIDE = 28  # pixels of the frame
LOOKED_AT = 560  # pixels of the longer side; what a larger image has more is not seen in 28
FAINTEST = 0.1  # of the darkest stroke; what is fainter is paper
PAPER = 0.4  # of all pixels are surely not covered by ink
TABLE = 0.08  # of the four sides; what covers more of them is no stroke if there is another
SPECK = 0.05  # of the largest stroke; what is smaller is dust
PENS = (1.8, 3.6)  # strokes of MNIST are 2.6 +- 0.8 pixels wide; other pens are changed to these
FINE = 8  # times finer than the frame is the grid on which the width of strokes is changed


def digit_frame(image: Image.Image, box: int = 20, by_mass: bool = True) -> NDArray[np.uint8]:
    """Return an image as MNIST would show it, (28, 28), light on black; black if it is empty.

    Args:
        image: Dark on light or light on dark, of any size and mode.
        box: The longer side of what is drawn, in pixels.
        by_mass: Whether its centre of mass comes into the middle, or that of its bounding box.
    """
    grey = image.convert("L")
    grey.thumbnail((LOOKED_AT, LOOKED_AT), Image.Resampling.BOX)
    ink = strokes(np.asarray(grey, dtype=np.float64))
    if not ink.any():
        return np.zeros((SIDE, SIDE), dtype=np.uint8)
    if by_mass:
        ink = with_usual_pen(ink, box)
    return _placed(_scaled(_cropped(ink), box), by_mass)


def strokes(grey: Grey) -> Grey:
    """Return how much each pixel stands out from the ground, 0 where it is part of it.

    Strokes are darker or lighter than the ground, whichever stands out more. Noise of the ground,
    specks of dust, and what lies along the sides, such as the table under the paper, are left out.
    """
    above = (grey - ground(grey)).round(6)  # the same to the bit for light on dark
    ink = np.maximum(above if (above * above * above).sum() > 0 else -above, 0)
    noise = np.quantile(np.abs(above), PAPER) / 0.52  # standard deviation of what is normal
    drawn = ink > max(FAINTEST * ink.max(), 5 * noise, 8)
    parts, count = ndimage.label(drawn, np.ones((3, 3)))
    areas = np.bincount(parts.ravel(), minlength=count + 1) * (np.arange(count + 1) > 0)
    edge = np.bincount(_edge(parts), minlength=count + 1)
    inside = np.where(edge < TABLE * edge.sum(), areas, 0)  # not what lies around the paper
    if inside.max() >= SPECK * areas.max():
        areas = inside
    large = areas >= SPECK * areas.max()
    return np.where(drawn & large[parts], ink, 0)


def ground(grey: Grey, rounds: int = 10) -> Grey:
    """Return the brightness that the paper would have everywhere, as light falls on it.

    A surface of second degree through those pixels that fit it best, found in turns as in
    Rousseeuw and Van Driessen, "Computing LTS regression for large data sets", 2006, from two
    beginnings: the usual brightness of the edge, and that of the whole.
    """
    rows, columns = (np.linspace(-1, 1, n) for n in grey.shape)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    every = max(1, max(grey.shape) // 40)  # pixels enough for six numbers
    a, b = terms[::every, ::every].reshape(-1, 6), grey[::every, ::every].ravel()
    fits = []
    for start in (np.median(_edge(grey)), np.median(grey)):
        distance = np.abs(b - start)
        for _ in range(rounds):
            best = distance.argsort(kind="stable")[: ceil(PAPER * len(b))]
            solution = np.linalg.lstsq(a[best], b[best], rcond=None)[0]
            distance = np.abs(b - a @ solution)
        fits.append((np.sort(distance)[: len(best)].sum(), solution.tolist()))
    surface: Grey = terms @ np.array(min(fits)[1])
    return surface


def _edge(values: NDArray[Any]) -> NDArray[Any]:
    """Return the values along the four sides."""
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])


def with_usual_pen(ink: Grey, box: int) -> Grey:
    """Return the strokes as a pen would draw them that is among those of MNIST."""
    fine = np.pad(_scaled(_cropped(ink), box * FINE), 2 * FINE)
    inside = fine > 0.5
    within, without = (ndimage.distance_transform_edt(part) for part in (inside, ~inside))
    to_edge = np.where(inside, within - 0.5, 0.5 - without)
    pen = 4 * to_edge[inside].mean() / FINE  # over a stroke of width w, it is w / 4 on average
    if PENS[0] <= pen <= PENS[1]:
        return ink
    wider = (np.clip(pen, *PENS) - pen) * FINE
    return np.clip(to_edge + wider / 2 + 0.5, 0, 1)


def _cropped(ink: Grey) -> Grey:
    """Return the least rectangle that has all strokes."""
    return ink[ndimage.find_objects((ink > 0).astype(int))[0]]


def _scaled(ink: Grey, longest: int) -> Grey:
    """Return the strokes, 0 to 1, scaled so that the longer side has so many pixels."""
    scale = longest / max(ink.shape)
    rows, columns = (max(1, round(scale * side)) for side in ink.shape)
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    resized = Image.fromarray(ink.astype(np.float32)).resize((columns, rows), method)
    scaled = np.asarray(resized, dtype=np.float64)
    return scaled / scaled.max()


def _placed(ink: Grey, by_mass: bool) -> NDArray[np.uint8]:
    """Return the strokes in the frame, moved by whole pixels."""
    middle = ndimage.center_of_mass(ink if by_mass else np.ones_like(ink))
    half = SIDE / 2 if by_mass else (SIDE - 1) / 2  # in MNIST it lies on a pixel, not between
    top, left = (
        int(np.clip(round(half - place), 0, SIDE - length))
        for place, length in zip(middle, ink.shape, strict=True)
    )
    frame = np.zeros((SIDE, SIDE), dtype=np.uint8)
    frame[top : top + ink.shape[0], left : left + ink.shape[1]] = (255 * ink).round()
    return frame
