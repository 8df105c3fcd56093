"""Finds the sheet of paper on a table, so that only the sheet is searched for a digit."""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull

from src.data.ink import Grey, Mask, background, border

BLUR = 0.008  # of the shorter side: finer patterns of the table do not matter
AREA = 0.03, 0.9  # of the image, least and most
CONVEX, RECTANGULAR = 0.93, 0.9  # least share of the convex hull, and of the rectangle around it
CUT = 0.48  # most of the outline that may be cut off at the border; a shadow has a half or more
EDGE = 0.03  # of the side of the sheet: its blurred edge and shadow


def searched_areas(grey: Grey) -> Iterator[tuple[tuple[slice, slice], Grey]]:
    """Yield places to search for a digit, and their brightness: sheets, then the whole image.

    A sheet is a light or dark area that, with its holes, is a rectangle, turned or not.
    """
    smooth = ndimage.gaussian_filter(grey, BLUR * min(grey.shape))
    light = smooth > threshold(smooth)
    for areas in (light, ~light):
        area = _largest(areas)
        if is_sheet(area):
            yield _cut(grey, area)
    yield np.s_[:, :], grey


def threshold(grey: Grey) -> float:
    """Return the brightness that best separates dark from light pixels.

    Source: Otsu, "A threshold selection method from gray-level histograms", IEEE Transactions on
    Systems, Man, and Cybernetics 9, 1979.
    """
    counts, edges = np.histogram(grey, 256)
    middles, below = (edges[1:] + edges[:-1]) / 2, counts.cumsum()
    mass = (counts * middles).cumsum()
    n, total = below[-1], mass[-1]
    between = (total * below - n * mass)[:-1] ** 2 / np.maximum(below * (n - below), 1)[:-1]
    return float(edges[1 + between.argmax()])


def is_sheet(area: Mask) -> bool:
    """Return whether an area may be a sheet of paper.

    It fills its convex hull, and the hull the rectangle around it. It takes a fair share of the
    image, and less than half of its outline lies at the border, as that of a shadow does.
    """
    outline = area ^ ndimage.binary_erosion(area)
    if not AREA[0] < area.mean() < AREA[1] or border(outline).sum() > CUT * outline.sum():
        return False
    y, x = np.nonzero(outline)
    points = np.concatenate([np.stack([y + r, x + c], 1) for r in (0, 1) for c in (0, 1)])
    hull = ConvexHull(points)
    return area.sum() > CONVEX * hull.volume > CONVEX * RECTANGULAR * np.prod(sides(hull))


def sides(hull: ConvexHull) -> tuple[float, float]:
    """Return the short and the long side of the smallest rectangle around a convex hull.

    One of its sides lies on a side of the hull (Freeman and Shapira, "Determining the
    minimum-area encasing rectangle for an arbitrary closed curve", Communications of the ACM 18,
    1975).
    """
    corners, normals = hull.points[hull.vertices], hull.equations[:, :2]
    across = np.ptp(corners @ normals.T, axis=0)
    along = np.ptp(corners @ np.stack([-normals[:, 1], normals[:, 0]]), axis=0)
    smallest = (across * along).argmin()
    short, long = sorted((float(across[smallest]), float(along[smallest])))
    return short, long


def _largest(areas: Mask) -> Mask:
    """Return the largest connected area, with its holes."""
    labels, _ = ndimage.label(ndimage.binary_opening(areas, np.ones((3, 3))))
    sizes = np.bincount(labels.ravel(), minlength=2)
    filled: Mask = ndimage.binary_fill_holes(labels == sizes[1:].argmax() + 1)
    return filled


def _cut(grey: Grey, area: Mask) -> tuple[tuple[slice, slice], Grey]:
    """Return where a sheet is, and its brightness; around it, the paper is continued."""
    place = ndimage.find_objects(area.astype(int))[0]
    part, inside = grey[place], area[place]
    margin = max(2, round(EDGE * min(part.shape)))
    inside = ndimage.binary_erosion(inside, np.ones((3, 3)), iterations=margin)
    return place, np.where(inside, part, background(part))
