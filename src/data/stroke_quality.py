"""Rates how much an area looks like pen strokes on plain paper."""

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull

from src.data.ink import Grey, Ink, Mask
from src.data.paper_sheet import RECTANGULAR, sides

WIDE = 0.5  # the shorter side of a sheet of paper, of the longer one; a 1 has less
AROUND = 0.2  # of the size of the strokes, within which their surroundings are looked at


def quality(ink: Ink, mask: Mask, strokes: Mask, hull: ConvexHull) -> float:
    """Return a rating from 0 to 1.1: the product of the rating of each property.

    Args:
        ink: How much each pixel differs from the paper.
        mask: All pixels that are not paper.
        strokes: The strokes among them.
        hull: Their convex hull.
    """
    rows, columns = (np.flatnonzero(strokes.any(axis=axis)) for axis in (1, 0))
    size = int(max(np.ptp(rows), np.ptp(columns))) + 1
    pad = max(3, round(AROUND * size))
    part = tuple(np.s_[max(0, side[0] - pad) : side[-1] + pad + 1] for side in (rows, columns))
    own, amount = strokes[part], ink.amount[part]
    level = amount[own].mean()
    others = min(1, (mask[part] & ~own).sum() / own.sum())
    rating = (1 - others) ** 2 * plain(own, ink.opposite[part] / level)
    depth = ndimage.distance_transform_edt(np.pad(own, 1))[1:-1, 1:-1][own] - 0.5
    width = 4 * depth.mean()  # the mean in a stroke of width w is w / 4
    rating *= edged(own, ink.grey[part], level, width) ** 4
    rating *= even(depth, width) ** (3 if ink.local else 2) * unlike_sheet(own.sum(), hull)
    return float(rating * inside(strokes & (ink.amount > 0.5 * level), size))


def plain(own: Mask, opposite: Grey) -> float:
    """Rate the paper beside the strokes: it is no stroke of the opposite colour."""
    beside = ndimage.binary_dilation(own, np.ones((3, 3)), iterations=2) & ~own
    return float(1.1 - (opposite[beside].clip(0, 1).mean() if beside.any() else 0))


def edged(own: Mask, grey: Grey, level: float, width: float) -> float:
    """Return the share of the outline where the paper is lighter than the stroke nearby."""
    far, nearest = ndimage.distance_transform_edt(~own, return_indices=True)
    outline = (far > 2) & (far <= 3.2)
    if not outline.any():
        return 0.0
    stroke = ndimage.minimum_filter(grey, 2 * max(1, round(width / 2)) + 1)
    nearby = stroke[tuple(place[outline] for place in nearest)]
    return float((grey[outline] - nearby > 0.5 * level).mean())


def even(depth: Grey, width: float) -> float:
    """Rate the evenness of the width: 1 if it is nowhere 1.4 times its mean."""
    return float(1 / max(1, 2 * depth.max() / max(width, 1.5) - 0.4))


def unlike_sheet(area: int, hull: ConvexHull) -> float:
    """Rate the shape: a wide rectangle, most of it covered, is a sheet of paper."""
    short, long = sides(hull)
    if short < WIDE * long or hull.volume < RECTANGULAR * short * long:
        return 1.0
    return float(np.interp(area / hull.volume, [0.8, 0.92], [1, 0.05]))


def inside(strokes: Mask, size: int) -> float:
    """Rate the contact with the border: things at the border are cut off, so no digits."""
    edges = strokes[0], strokes[-1], strokes[:, 0], strokes[:, -1]
    contact = sum(edge.sum() for edge in edges) / size
    return 1.0 if contact == 0 else 0.5 if contact < 0.2 else 0.1
