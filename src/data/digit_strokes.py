"""Finds the strokes of one digit in a photograph: on a table, ruled, in a frame, in shadow, ...

A sheet of paper on a table is searched first, then the whole image. Ink is told from paper in
several ways. Of each, the connected strokes that belong together are a candidate; the one that
looks most like pen strokes on plain paper is the digit.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, cKDTree

from src.data.ink import Grey, Ink, Mask, inks
from src.data.paper_lines import without_lines
from src.data.paper_sheet import searched_areas
from src.data.stroke_quality import quality

Points = NDArray[np.int64]

PARTS = 40  # connected strokes that are looked at, the largest ones
MIN_PART = 0.01  # of the largest one; smaller ones are dust
DIGIT, GOOD, CLEAR = 10, 0.15, 0.5  # least score and quality of a digit; quality to stop at
MANY = 6  # more digits than these are a pattern, in which no digit is found


class NotOneDigit(ValueError):
    """An image has several digits."""


@dataclass
class Part:
    """Connected strokes: pixels (n, 2), sorted by row and column, and their mean amount of ink."""

    points: Points
    level: float
    low: Points = field(init=False)
    high: Points = field(init=False)

    def __post_init__(self) -> None:
        self.low, self.high = self.points.min(axis=0), self.points.max(axis=0) + 1
        self.height, self.width = (self.high - self.low).tolist()
        self.size = max(self.height, self.width)
        self.weight = self.level * (len(self.points) * self.size) ** 0.5

    def hull(self) -> ConvexHull:
        """Return the convex hull of the pixels, each a unit square."""
        ends = np.flatnonzero(np.diff(self.points[:, 0], prepend=-1, append=-1))
        outer = np.concatenate([self.points[ends[:-1]], self.points[ends[1:] - 1]])
        return ConvexHull(np.concatenate([outer + c for c in ([0, 0], [0, 1], [1, 0], [1, 1])]))

    def beside(self, other: "Part", axis: int = 1) -> bool:
        return bool(self.low[axis] >= other.high[axis] or self.high[axis] <= other.low[axis])

    def within(self, other: "Part") -> bool:
        return bool((self.low >= other.low).all() and (self.high <= other.high).all())


@dataclass
class Candidate:
    """Strokes that may be a digit.

    Attributes:
        ink: The way by which they were found.
        strokes: Their pixels.
        count: Number of digits in the image.
        quality: How much they look like pen strokes on plain paper, 0 to 1.1.
        score: Quality times contrast and size.
    """

    ink: Ink
    strokes: Mask
    count: int
    quality: float
    score: float


def digit_strokes(grey: Grey) -> Grey:
    """Return how much ink of the digit each pixel has; 0 everywhere if there is no digit.

    Raises:
        NotOneDigit: If there are several digits.
    """
    ink = np.zeros_like(grey)
    for place, part in searched_areas(grey):
        ink[place] = _strokes(part)
        if ink.any():
            break
    return ink


def _strokes(grey: Grey) -> Grey:
    """Return the ink of the best candidate, 0 everywhere if none is good enough."""
    best = None
    for ink in inks(grey):
        found = candidate(ink)
        if found and (best is None or found.score > best.score):
            best = found
        if best and best.quality > CLEAR:
            break  # saves time
    if best is None or best.score < DIGIT or best.quality < GOOD:
        return np.zeros_like(grey)
    if best.count > 1:
        raise NotOneDigit(f"{best.count} digits found; crop to one")
    return amount(best)


def amount(found: Candidate) -> Grey:
    """Return the ink of the strokes; where it was found in a window, as in even light."""
    if not found.ink.local:
        return np.where(found.strokes, found.ink.amount, 0)
    ink, level = found.ink.amount, found.ink.amount[found.strokes].mean()
    even = ink / np.maximum(ndimage.maximum_filter(ink, 7), 0.3 * level)
    edges = ndimage.binary_dilation(found.strokes, np.ones((3, 3)))  # soft edges
    return np.where(edges, even, 0)


def candidate(ink: Ink) -> Candidate | None:
    """Return the strokes that stand out most, or None if there are none."""
    mask = without_lines(_without_frames(ink.amount > ink.least, ink), ink)
    parts = _parts(mask, ink)
    if not parts:
        return None
    own, count = _together(*_chosen(parts, mask.shape, ink.local))
    strokes = np.zeros_like(mask)
    for part in own:
        strokes[tuple(part.points.T)] = True
    digit = Part(np.argwhere(strokes), float(ink.amount[strokes].mean()))
    value = quality(ink, mask, strokes, digit.hull())
    if count > MANY or digit.width > 2.5 * digit.height:
        value *= 0.1
    score = digit.level * (digit.size / min(mask.shape)) ** 0.5 * value
    return Candidate(ink, strokes, count, value, score)


def _parts(mask: Mask, ink: Ink) -> list[Part]:
    """Return the largest connected strokes."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    areas, boxes = np.bincount(labels.ravel(), minlength=2)[1:], ndimage.find_objects(labels)
    parts = []
    for i in np.argsort(-areas)[: min(PARTS, count)]:
        if areas[i] >= max(4, MIN_PART * areas.max()):
            points = np.argwhere(labels[boxes[i]] == i + 1) + [side.start for side in boxes[i]]
            parts.append(Part(points, float(ink.amount[tuple(points.T)].mean())))
    return parts


def _without_frames(mask: Mask, ink: Ink) -> Mask:
    """Return the strokes without frames around others."""
    parts, kept = _parts(mask, ink), mask.copy()
    for part in parts:
        if _is_frame(part, parts):
            kept[tuple(part.points.T)] = False
    return kept


def _is_frame(part: Part, parts: list[Part]) -> bool:
    """Return whether a part encloses another one, and lies along its own hull."""
    if not any(_inside(other, part) for other in parts if other is not part):
        return False
    hull = part.hull()
    depth = -(part.points @ hull.equations[:, :2].T + hull.equations[:, 2]).max(axis=1)
    return bool((depth < 0.07 * hull.volume**0.5).mean() > 0.85)


def _inside(part: Part, frame: Part) -> bool:
    """Return whether a part is within the bounds of another one, and not tiny beside it."""
    large = part.height > 0.15 * frame.height and len(part.points) > 0.03 * len(frame.points)
    return large and part.within(frame)


def _chosen(parts: list[Part], shape: tuple[int, ...], local: bool) -> list[Part]:
    """Return the parts by weight; those at the border only if the others are faint."""
    parts = sorted(parts, key=lambda part: -part.weight)
    inner = [part for part in parts if part.low.min() > 0 and (part.high < shape).all()]
    least = (0.2 if local else 0.1) * parts[0].weight
    return inner if inner and inner[0].weight >= least else parts


def _together(main: Part, *others: Part) -> tuple[list[Part], int]:
    """Return the parts of the digit to which the main part belongs, and the number of digits."""
    own, count = [main], 1
    for part in others:
        if part.level < 0.5 * main.level:
            continue
        if _belongs(part, main, own):
            own.append(part)
        elif part.height > 0.5 * main.height and part.size > 0.5 * main.size:
            count += len(part.points) > 0.15 * len(main.points)
    return own, count


def _belongs(part: Part, main: Part, own: list[Part]) -> bool:
    """Return whether a part continues the digit after a gap; a dot beside it does not."""
    tree = cKDTree(np.concatenate([other.points for other in own]))
    gap = (tree.query(part.points)[0].min() - 1) / main.size
    outside = part.beside(main) or part.beside(main, axis=0)
    compact = part.size < 0.33 * main.size and min(part.height, part.width) > 0.45 * part.size
    if compact and outside and gap > 0.03:
        return False
    return bool(gap < (0.1 if part.beside(main) else 0.2))
