"""Removes the lines of ruled and squared paper."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from src.data.ink import Ink, Mask

ANGLES = np.arange(-8, 8.1, 0.5)  # of a line, in degrees
COVERED = 0.6  # of the columns, by a line across the image
THICK = 0.035  # of the rows: a thicker line is a stroke
CROSSING = 9  # pixels of a line that an upright line may cover
MARGIN = 0.08  # of the columns: lines begin and end in the margins
ENOUGH = 1500  # pixels to find the angle of lines


def without_lines(mask: Mask, ink: Ink) -> Mask:
    """Return the strokes without straight lines that cross the image, level or upright.

    A stroke that crosses a line is kept whole: it continues on both sides, or is darker.
    """
    faint = ink.amount > 0.5 * ink.least
    level, upright = _thin_lines(faint), _thin_lines(faint.T).T
    strokes = mask & ~level & ~upright
    across = _crossing(strokes, level, ink.amount)
    along: Mask = _crossing(strokes.T, upright.T, ink.amount.T).T
    return strokes | (mask & (across | along))


def _thin_lines(faint: Mask) -> Mask:
    """Return the pixels of level lines, and of their crossings with upright lines."""
    lines = level_lines(faint & ~_thick(faint))
    closed: Mask = ndimage.binary_closing(lines, np.ones((1, CROSSING)))
    return closed & faint


def _crossing(strokes: Mask, lines: Mask, amount: NDArray[np.float64]) -> Mask:
    """Return the pixels of level lines that belong to a stroke, too."""
    if not lines.any():
        return lines
    thickness = lines.sum() / (lines.shape[1] * ndimage.label(lines, np.ones((3, 3)))[1])
    length = min(max(3, round(1.6 * thickness) + 2), 25)
    padded = np.pad(strokes, length)
    closed = ndimage.binary_closing(padded, np.ones((length, 1)))[length:-length, length:-length]
    crossing: Mask = lines & (closed | (amount > 1.5 * np.median(amount[lines])))
    return crossing


def _thick(mask: Mask) -> Mask:
    """Return the pixels of upright runs that are longer than a line is thick."""
    length = max(3, round(THICK * len(mask)))
    thick: Mask = ndimage.grey_opening(mask.view(np.uint8), size=(length, 1)).view(bool)
    return thick


def level_lines(mask: Mask) -> Mask:
    """Return the pixels of parallel straight lines from the left margin to the right one."""
    rows, columns = mask.shape
    y, x = np.nonzero(ndimage.maximum_filter1d(mask, 3, axis=0))
    lines = np.zeros_like(mask)
    if len(y) < columns / 2:
        return lines
    every = max(1, len(y) // ENOUGH)

    def places(angle: float, every: int = 1) -> NDArray[np.int64]:
        """Return in which row the line through each pixel meets the middle of the image."""
        height = y[::every] - np.tan(np.radians(angle)) * (x[::every] - columns / 2)
        return np.clip(height.round().astype(int), 0, rows - 1)

    def sharpness(angle: float) -> float:
        return float((np.bincount(places(angle, every)).astype(float) ** 3).sum())

    place = places(max(ANGLES, key=sharpness))
    margin = max(1, round(MARGIN * columns))
    counts, left, right = (
        np.bincount(place[part], minlength=rows)
        for part in (slice(None), x < margin, x >= columns - margin)
    )
    ends = ndimage.maximum_filter1d(left, 3) * ndimage.maximum_filter1d(right, 3)
    across = (counts > COVERED * columns) & (ends > 0)
    thick = ndimage.maximum_filter1d(across, 5) & (counts > COVERED / 2 * columns)
    on = thick[place]
    lines[y[on], x[on]] = True
    return lines & mask
