"""Paint digits of MNIST as dark ink on light paper, in image files of any size and format."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from tests.conftest import toy_images

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")


def my_digits(count: int = 6) -> Path:
    """Write images of toy digits, dark on light, and return their folder."""
    folder = Path("my_digits")
    folder.mkdir()
    for i, image in enumerate(toy_images(count, seed=3)[0]):
        clean = np.where(image > 100, 0, 255).astype(np.uint8)
        Image.fromarray(clean).resize((90, 90)).save(folder / f"{i}.png")
    return folder


def painted(digit: np.ndarray, generator: np.random.Generator) -> tuple[bytes, str]:
    """Return an image file with a digit, given as (28, 28), in dark ink on light paper.

    Size, place, colours, file format and the width of the pen are random. The pen is at most 0.4
    pixels of MNIST thinner and 0.8 thicker than in the digit.
    """
    canvas = generator.integers(60, 900)
    side = max(28, int(generator.uniform(0.3, 0.9) * canvas * 28 / 20))
    cover = ink_cover(digit, side, generator.uniform(-0.4, 0.8))
    rows = max(canvas, cover.shape[0] + 4)
    columns = max(int(canvas * generator.uniform(0.7, 1.4)), cover.shape[1] + 4)
    alpha = np.zeros((rows, columns, 1))
    top = generator.integers(1, rows - cover.shape[0])
    left = generator.integers(1, columns - cover.shape[1])
    alpha[top : top + cover.shape[0], left : left + cover.shape[1], 0] = cover
    paper, ink = generator.uniform(200, 255, 3), generator.uniform(0, 90, 3)
    image = Image.fromarray((paper * (1 - alpha) + ink * alpha).astype(np.uint8))
    file, kind = io.BytesIO(), str(generator.choice(FORMATS))
    image.save(file, format=kind)
    return file.getvalue(), kind.lower()


def ink_cover(digit: np.ndarray, side: int, pen: float) -> np.ndarray:
    """Return how much ink covers each pixel, 0 to 1, cut to the strokes.

    Args:
        digit: (28, 28).
        side: Pixels to which the 28 are resized.
        pen: How much wider the pen is on each side, in pixels of MNIST.
    """
    frame = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    stroke = np.asarray(frame) > 127
    within, without = (ndimage.distance_transform_edt(part) for part in (stroke, ~stroke))
    thinnest = -0.6 * within.max()  # keeps part of the stroke
    to_edge = np.where(stroke, within - 0.5, 0.5 - without)
    cover = np.clip(to_edge + max(pen * side / 28, thinnest) + 0.5, 0, 1)
    return cover[ndimage.find_objects((cover > 0).astype(int))[0]]
