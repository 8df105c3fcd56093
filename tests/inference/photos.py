"""Paints digits of MNIST as photographs of handwriting: on tables, ruled, in shadow, in a box, ...

A photograph depends on its kind, its seed and the digits only. All lengths are shares of the
shorter side of the image, or of the height of the digit.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Array = NDArray[np.float64]
FINE = 112  # resolution of the digit whose strokes are found
USUAL, THIN = (0.035, 0.15), (0.006, 0.025)  # widths of pens, as shares of the digit's height
CIRCLE = ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))


@dataclass
class Scene:
    """A photograph in the making: its pixels, and random numbers for it.

    Attributes:
        seed: Seed of the random numbers.
        beyond: By which share the usual range of every parameter is exceeded.
        pixels: Colours from 0 to 255, (rows, columns, 3).
        center: Where the digit will be, (row, column).
        height: Height of the digit in pixels.
        turn: Angle of the paper in radians.
    """

    seed: list[int]
    beyond: float = 0
    pixels: Array = field(init=False)
    center: Array = field(init=False)
    height: float = field(init=False)
    turn: float = field(init=False)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self.side = int(np.exp(self.between(np.log(240), np.log(800))))
        long = int(self.side * max(1, self.between(1, 1.5)))
        shape = (self.side, long) if self.chance(0.5) else (long, self.side)
        self.rows, self.columns = shape
        self.y, self.x = np.mgrid[: self.rows, : self.columns].astype(float)
        self.turn = self.between(-0.09, 0.09)
        self.height = self.side * self.between(0.25, 0.65)
        self.center = np.array(shape) / 2
        self.paper = self.between(195, 250) + self.random.uniform([-4, -6, -20], [4, 3, 5])
        self.ink = self.pen()
        self.fill(self.paper)

    def between(self, low: float, high: float) -> float:
        """Return a random number in a range, extended by `beyond`."""
        return float(low + (high - low) * self.random.uniform(-self.beyond, 1 + self.beyond))

    def chance(self, probability: float) -> bool:
        return bool(self.random.random() < probability)

    def pen(self) -> Array:
        """Return a colour: black, blue, red or green ink, or pencil."""
        colours = [(25, 25, 30), (25, 45, 140), (165, 35, 40), (20, 95, 50), (85, 85, 88)]
        return self.random.choice(colours) + self.random.uniform(-15, 15, 3)

    def fill(self, colour: Array) -> None:
        self.pixels = np.broadcast_to(colour, (self.rows, self.columns, 3)).copy()

    def blend(self, cover: Array, colour: Array) -> None:
        """Paint a colour where `cover`, (rows, columns), is 1."""
        self.pixels += cover[..., None] * (colour - self.pixels)

    def along(self, angle: float) -> Array:
        """Return the distance of each pixel from a line through the center of the digit."""
        y, x = self.y - self.center[0], self.x - self.center[1]
        return y * np.cos(angle) - x * np.sin(angle)

    def lines(self, angle: float, spacing: float, width: float, colour: Array) -> None:
        """Draw parallel lines across the paper."""
        offset = self.random.uniform(0, spacing)
        distance = np.abs((self.along(angle) + offset + spacing / 2) % spacing - spacing / 2)
        self.blend(np.clip(width / 2 - distance + 0.5, 0, 1), colour)

    def place(self, half_height: float, half_width: float) -> None:
        """Move the center to a random place where a rectangle fits."""
        half = np.array([half_height, half_width])
        room = np.maximum(np.array([self.rows, self.columns]) / 2 - half, 0)
        self.center = np.array([self.rows, self.columns]) / 2 + self.random.uniform(-room, room)

    def write(self, cover: Array, center: Array | None = None) -> None:
        """Write strokes, a cover of their bounding box, with their middle at `center`."""
        middle = self.center if center is None else center
        top, left = (round(c - n / 2) for c, n in zip(middle, cover.shape, strict=True))
        whole = np.zeros((self.rows, self.columns))
        first, begin = max(0, top), max(0, left)
        last, end = min(self.rows, top + cover.shape[0]), min(self.columns, left + cover.shape[1])
        whole[first:last, begin:end] = cover[first - top : last - top, begin - left : end - left]
        self.blend(whole * self.random.uniform(0.85, 1), self.ink)

    def shade(self, factor: Array) -> None:
        self.pixels *= factor[..., None]

    def noise(self, *sigmas: float) -> Array:
        """Return smooth random values of mean 0 and deviation 1, (rows, columns)."""
        values = self.random.normal(size=(self.rows, self.columns))
        smooth = ndimage.gaussian_filter(values, sigmas, mode="wrap")
        return smooth / smooth.std()

    def taken(self) -> bytes:
        """Return the photograph as a JPEG file: uneven light, grain, blur, noise."""
        light = 1 + self.between(0, 0.2) * self.along(self.between(0, 6.3)) / self.side
        self.shade(np.clip(light, 0.3, 2))
        self.pixels += self.between(0, 2) * self.noise(1, 1)[..., None]
        blur = max(0, self.between(0, 0.002)) * self.side
        pixels = ndimage.gaussian_filter(self.pixels, (blur, blur, 0))
        pixels += self.random.normal(0, max(0, self.between(0, 6)), pixels.shape)
        image, file = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), BytesIO()
        image.save(file, "jpeg", quality=int(self.between(45, 95)))
        return file.getvalue()


def skeleton(shape: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the center lines of strokes (Zhang and Suen, Communications of the ACM 27, 1984)."""
    points, before = np.pad(shape, 1), None
    while before is None or (points != before).any():
        before = points.copy()
        for step in (0, 1):
            around = [np.roll(points, shift, (0, 1)) for shift in CIRCLE]
            count = sum(p.astype(int) for p in around)
            turns = sum(
                (~a & b).astype(int) for a, b in zip(around, around[1:] + around[:1], strict=True)
            )
            n, e, s, w = around[0], around[2], around[4], around[6]
            inner = (n & e & s) | (e & s & w) if step == 0 else (n & e & w) | (n & s & w)
            points = points & ~((count >= 2) & (count <= 6) & (turns == 1) & ~inner)
    return points[1:-1, 1:-1]


def cut(cover: Array) -> Array:
    """Return the bounding box of the strokes."""
    return cover[ndimage.find_objects((cover > 0.02).astype(int))[0]]


def penned(digit: NDArray[np.uint8], height: float, pen: float, slant: float) -> Array:
    """Return a digit written with a pen of constant width, as a cover of its bounding box.

    Args:
        digit: (28, 28), light on black.
        height: Pixels of the longer side of the digit.
        pen: Width of the pen as a share of the height.
        slant: Angle in radians by which the digit is turned.
    """
    fine = Image.fromarray(digit).resize((FINE, FINE), Image.Resampling.BICUBIC)
    center = skeleton(np.asarray(fine.rotate(np.degrees(slant))) > 110)
    distance = ndimage.distance_transform_edt(~center)
    rows, columns = np.nonzero(center)
    scale = height / max(np.ptp(rows), np.ptp(columns), 1)
    n = int(FINE * scale)
    far = Image.fromarray(distance.astype(np.float32)).resize((n, n), Image.Resampling.BICUBIC)
    return cut(np.clip(pen * height / 2 - np.asarray(far, dtype=float) * scale + 0.5, 0, 1))


def printed(digit: NDArray[np.uint8], height: float, pen: float, slant: float) -> Array:
    """Return a digit with the stroke widths of MNIST, as a cover of its bounding box."""
    fine = Image.fromarray(digit).resize((FINE, FINE), Image.Resampling.BICUBIC)
    turned = np.asarray(fine.rotate(np.degrees(slant)))
    rows, columns = np.nonzero(turned > 110)
    n = int(FINE * height / max(np.ptp(rows), np.ptp(columns), 1))
    large = np.asarray(Image.fromarray(turned).resize((n, n), Image.Resampling.BICUBIC))
    return cut(np.clip((large.astype(float) - 110) / 60 + 0.5, 0, 1) * (large > 60))


def strokes(
    scene: Scene, digit: NDArray[np.uint8], low: float = 0.035, high: float = 0.15
) -> Array:
    """Return a digit in the height of the scene, written or printed."""
    usual = (low, high) == USUAL
    method = printed if usual and scene.chance(0.4) else penned
    pen = float(np.exp(scene.between(np.log(low), np.log(high))))
    pen = max(pen, 1 / scene.height)
    return method(digit, scene.height, pen, scene.turn + scene.between(-0.08, 0.08))


def anywhere(scene: Scene) -> None:
    scene.place(0.65 * scene.height, 0.65 * scene.height)


def paper(scene: Scene) -> None:
    anywhere(scene)


def light_on_dark(scene: Scene) -> None:
    scene.paper = scene.between(5, 70) + scene.random.uniform(-5, 15, 3)
    scene.ink = scene.between(170, 250) + scene.random.uniform(-15, 5, 3)
    scene.fill(scene.paper)
    anywhere(scene)


def wood(scene: Scene) -> Array:
    grain = scene.noise(1.5, 60) if scene.chance(0.5) else scene.noise(60, 1.5)
    brown = scene.between(0.5, 1.3) * np.array([130, 88, 52]) + scene.random.uniform(-8, 8, 3)
    return brown + scene.between(2, 10) * grain[..., None]


def black(scene: Scene) -> Array:
    return scene.between(10, 50) + scene.between(0, 4) * scene.noise(1, 1)[..., None] + np.zeros(3)


def woven(scene: Scene) -> Array:
    """Return the pixels of cloth: threads in two directions, of one or two colours."""
    angle, period = scene.between(0, 1.57), scene.side * scene.between(0.012, 0.06)
    waves = [np.sin(2 * np.pi * scene.along(angle + k) / period) for k in (0, np.pi / 2)]
    cloth = waves[0] * waves[1] if scene.chance(0.5) else np.maximum(*waves)
    if scene.chance(0.3):
        cloth = np.sign(cloth)
    colour, other = scene.random.uniform(30, 190, 3), scene.random.uniform(-40, 40, 3)
    return colour + cloth[..., None] * other + scene.between(0, 5) * scene.noise(1, 1)[..., None]


def sheet(table: Callable[[Scene], Array]) -> Callable[[Scene], None]:
    """Return the painter of a sheet of paper, a seventh to half of the photo, on a table."""

    def paint(scene: Scene) -> None:
        share = scene.between(0.15, 0.5)
        high = np.sqrt(share * scene.rows * scene.columns * scene.between(0.75, 1.3))
        wide = share * scene.rows * scene.columns / high
        high, wide = min(high, 0.92 * scene.rows), min(wide, 0.92 * scene.columns)
        turn = scene.between(-0.25, 0.25)
        c, s = np.cos(turn), abs(np.sin(turn))
        scene.place((high * c + wide * s) / 2, (wide * c + high * s) / 2)
        scene.height = min(high, wide) * scene.between(0.3, 0.65)
        background = table(scene)
        far = [np.abs(scene.along(turn + k)) - n / 2 for k, n in ((0, high), (np.pi / 2, wide))]
        inside = np.clip(0.5 - np.maximum(*far), 0, 1)
        below = ndimage.gaussian_filter(inside, scene.side * max(scene.between(0.002, 0.02), 0))
        around = background * (1 - max(scene.between(0, 0.5), 0) * below[..., None])
        scene.pixels = around + inside[..., None] * (scene.pixels - around)
        room = np.maximum(np.array([high, wide]) / 2 - 0.7 * scene.height, 0)
        scene.center = scene.center + scene.random.uniform(-room, room)
        scene.turn = turn * 0.5

    return paint


def bars(scene: Scene) -> Callable[[Scene], None]:
    """Paint black or white bars on two or four sides, as around a screenshot."""
    sides = scene.random.choice([1, 2, 3])  # top and bottom, left and right, or both
    part = max(0.03, scene.between(0.05, 0.28))
    top = part * scene.rows * (sides != 2)
    left = part * scene.columns * (sides != 1)
    scene.height = scene.between(0.3, 0.7) * min(scene.rows - 2 * top, scene.columns - 2 * left)
    scene.place(top + 0.6 * scene.height, left + 0.6 * scene.height)
    colour = scene.random.choice([0, 255]) + scene.random.uniform(-12, 12)
    uneven = scene.random.uniform(0.3, 1, 4)  # not every bar is as wide as the others

    def bar(scene: Scene) -> None:
        y, x = scene.y, scene.x
        outside = (y < top * uneven[0]) | (y >= scene.rows - top * uneven[1])
        outside |= (x < left * uneven[2]) | (x >= scene.columns - left * uneven[3])
        scene.blend(outside.astype(float), np.full(3, np.clip(colour, 0, 255)))

    return bar


def box(scene: Scene) -> None:
    """Draw a frame around the digit, near it or near the border, in any colour and width."""
    anywhere(scene)
    room = scene.between(0.62, 1.5) * scene.height
    half = [min(room * scene.between(1, 1.4), n / 2 - 3) for n in (scene.rows, scene.columns)]
    scene.place(*half)
    width = max(1, np.exp(scene.between(0, np.log(0.025 * scene.side))))
    colour = scene.ink if scene.chance(0.5) else scene.pen()
    turn = scene.between(-0.03, 0.03)

    def draw(scene: Scene) -> None:
        far = [
            np.abs(scene.along(turn + k)) - n + width
            for k, n in zip((0, np.pi / 2), half, strict=True)
        ]
        edge = np.abs(np.maximum(*far))
        scene.blend(np.clip(width / 2 - edge + 0.5, 0, 1), colour)

    draw(scene)
    limit = np.array([max(0, h - 0.6 * scene.height - 2 * width) for h in half])
    scene.center = scene.center + scene.random.uniform(-limit, limit)


def line_colour(scene: Scene) -> Array:
    """Return the colour of printed lines: from light to dark, blue, red or grey."""
    tint = scene.random.choice([(90, 130, 210), (200, 110, 110), (120, 120, 120), (60, 60, 60)])
    return tint + scene.between(0, 0.4) * (scene.paper - tint)


def ruled(scene: Scene) -> None:
    anywhere(scene)
    spacing = scene.height * scene.between(0.3, 1.5)
    width = max(1, scene.between(0.002, 0.018) * scene.side)
    scene.lines(scene.turn, spacing, width, line_colour(scene))


def grid(scene: Scene) -> None:
    scene.height = scene.side * scene.between(0.14, 0.4)
    anywhere(scene)
    spacing, width = scene.side * scene.between(0.03, 0.1), max(1, 0.005 * scene.side)
    colour = line_colour(scene)
    for angle in (scene.turn, scene.turn + np.pi / 2):
        scene.lines(angle, spacing, width * scene.between(0.3, 1), colour)


def shadow(blur: tuple[float, float]) -> Callable[[Scene], Callable[[Scene], None]]:
    """Return the painter of a shadow whose edge, straight or round, is near the digit."""

    def paint(scene: Scene) -> Callable[[Scene], None]:
        anywhere(scene)
        edge = scene.between(*blur) * scene.side
        off = scene.between(-0.6, 0.6) * scene.height
        strength = scene.between(0.25, 0.6)
        depth = scene.along(scene.between(0, 6.28)) + off
        if scene.chance(0.35):  # a round edge, of a head or a hand
            radius = scene.side * scene.between(0.25, 0.8)
            depth = np.hypot(depth + radius, scene.along(scene.between(0, 6.28))) - radius
        shade = 1 - strength / (1 + np.exp(np.clip(depth / max(edge, 0.4), -50, 50)))
        return lambda scene: scene.shade(shade)

    return paint


def no_more(scene: Scene) -> None:
    """Paint nothing after the digit."""


Painter = Callable[[Scene], Callable[[Scene], None] | None]
KINDS: dict[str, Painter] = {
    "paper": paper,
    "light on dark": light_on_dark,
    "brown table": sheet(wood),
    "black table": sheet(black),
    "woven table": sheet(woven),
    "bars": bars,
    "box": box,
    "ruled": ruled,
    "grid": grid,
    "sharp shadow": shadow((0, 0.004)),
    "soft shadow": shadow((0.02, 0.15)),
    "thin pen": paper,
    "dot": paper,
    "broken": paper,
    "two digits": paper,
    "blank": paper,
}
BLANK: tuple[Painter, ...] = (
    paper,
    light_on_dark,
    ruled,
    grid,
    shadow((0, 0.1)),
    sheet(wood),
    bars,
)


def beside(scene: Scene, cover: Array, other: Array) -> tuple[Array, Array]:
    """Return the places of two covers side by side, with a gap."""
    gap = scene.between(0.15, 0.8) * scene.height
    total = cover.shape[1] + gap + other.shape[1]
    scene.place(0.6 * scene.height, total / 2 + 2)
    shift = np.array([scene.between(-0.1, 0.1) * scene.height, (total - cover.shape[1]) / 2])
    back = np.array([0, (total - other.shape[1]) / 2])
    return scene.center - [0, 1] * shift, scene.center + back


def broken(scene: Scene, cover: Array) -> Array:
    """Return a digit with a gap across its strokes, as a bad pen leaves it."""
    rows, columns = cover.shape
    pen = 4 * ndimage.distance_transform_edt(cover > 0.5)[cover > 0.5].mean()
    width = pen * scene.between(0.3, 1.0)
    angle = scene.between(0, 3.14)
    y, x = np.mgrid[:rows, :columns]
    on = np.argwhere(cover > 0.5)
    row, column = on[scene.random.integers(len(on))]
    far = np.abs((y - row) * np.cos(angle) - (x - column) * np.sin(angle))
    near = np.hypot(y - row, x - column) < 1.5 * pen + width
    return cover * np.where(near, np.clip(far - width / 2 + 0.5, 0, 1), 1)


def blank(scene: Scene) -> None:
    """Paint paper without a digit."""
    scene.height *= 0.7
    last = scene.random.choice(np.array(BLANK, dtype=object))(scene)
    (last or no_more)(scene)


def write_two(scene: Scene, image: NDArray[np.uint8], other: NDArray[np.uint8]) -> None:
    """Write two digits side by side."""
    scene.height = min(scene.height, 0.36 * scene.columns)
    one, two = strokes(scene, image), strokes(scene, other)
    left, right = beside(scene, one, two)
    scene.write(one, left)
    scene.write(two, right)


def photo(
    kind: str, seed: int, images: NDArray[np.uint8], labels: NDArray[np.int64], beyond: float = 0
) -> tuple[bytes, list[int]]:
    """Return a photograph, a JPEG file, and the digits on it: one, two or none.

    Args:
        kind: A key of `KINDS`.
        seed: Different numbers give different photographs.
        images: Digits (n, 28, 28) to choose from, light on black.
        labels: The digits' classes.
        beyond: By which share the usual range of every parameter is exceeded.
    """
    scene = Scene([seed, *kind.encode()], beyond)
    i, j = scene.random.integers(len(images), size=2)
    if kind == "blank":
        blank(scene)
        return scene.taken(), []
    last = KINDS[kind](scene) or no_more
    if kind == "two digits":
        write_two(scene, images[i], images[j])
        return scene.taken(), [int(labels[i]), int(labels[j])]
    cover = strokes(scene, images[i], *(THIN if kind == "thin pen" else USUAL))
    cover = broken(scene, cover) if kind == "broken" else cover
    scene.write(cover)
    if kind == "dot":
        dot(scene, cover)
    last(scene)
    return scene.taken(), [int(labels[i])]


def dot(scene: Scene, cover: Array) -> None:
    """Write a dot after the digit, near its base line."""
    radius = scene.height * scene.between(0.03, 0.11)
    right = cover.shape[1] / 2 + radius + scene.height * scene.between(0.06, 0.4)
    low = cover.shape[0] / 2 - scene.height * scene.between(0, 0.12)
    y, x = scene.y - scene.center[0] - low, scene.x - scene.center[1] - right
    scene.blend(np.clip(radius - np.hypot(y, x) + 0.5, 0, 1), scene.ink)
