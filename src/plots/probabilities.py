"""Images and the class probabilities that a network predicts for them."""

from collections.abc import Sequence
from math import ceil
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from src.plots.fonts import drawable, inches
from src.plots.style import BLUE, SKY, frame

ACROSS = 3  # images in a row
WIDTH, HEIGHT = 2.9, 1.35  # of a cell with short texts, in units of the side of an image
UNIT = 1.15  # side of an image in inches
NAME, CAPTION = 6.5, 9  # points of the texts


def image_probabilities(
    images: Tensor, probabilities: Tensor, names: Sequence[str], captions: Sequence[str]
) -> Figure:
    """Draw each image as the network sees it, beside bars of its class probabilities.

    Args:
        images: Pixels in [0, 1], `(n, channels, rows, columns)` with one or three channels.
        probabilities: `(n, classes)`; at most the ten most likely classes are drawn.
        names: Names of the classes.
        captions: Text above each image.
    """
    names, captions = [*map(drawable, names)], [*map(drawable, captions)]
    rows, across = ceil(len(images) / ACROSS), min(ACROSS, len(images))
    width = max(WIDTH, 2 + _units(names, NAME), 0.2 + _units(captions, CAPTION))
    figure, axes = frame(UNIT * width * across, UNIT * HEIGHT * rows)
    for i, (image, likely, caption) in enumerate(zip(images, probabilities, captions, strict=True)):
        left, top = width * (i % ACROSS), HEIGHT * (i // ACROSS) + 0.2
        pixels = image.permute(1, 2, 0).squeeze(-1).numpy()
        place = (left, left + 1, top + 1, top)
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, extent=place, interpolation="nearest")
        axes.text(left, top - 0.07, caption, fontsize=CAPTION, parse_math=False)
        _bars(axes, likely, names, left + 1.1, left + width - 0.15, top)
    axes.set(xlim=(-0.05, width * across), ylim=(HEIGHT * rows, 0), aspect="equal")
    axes.set_axis_off()
    return figure


def _bars(
    axes: Axes, likely: Tensor, names: Sequence[str], left: float, right: float, top: float
) -> None:
    """Draw the bars of one image, with the most likely class in a darker colour."""
    shown = likely.topk(min(10, len(likely))).indices.sort().values.tolist()
    labels = [names[k] for k in shown]
    begin, pitch = left + 0.03 + _units(labels, NAME), 1 / len(shown)
    middles = [top + (place + 0.5) * pitch for place in range(len(shown))]
    widths = [float(likely[k]) * (right - begin) for k in shown]
    colours = [BLUE if k == int(likely.argmax()) else SKY for k in shown]
    axes.barh(middles, widths, 0.8 * pitch, left=begin, color=colours)
    axes.plot([begin, begin], [top, top + 1], color="lightgrey", linewidth=0.8, zorder=0)
    for y, label in zip(middles, labels, strict=True):
        words: dict[str, Any] = {
            "fontsize": NAME,
            "ha": "right",
            "va": "center",
            "parse_math": False,
        }
        axes.text(begin - 0.03, y, label, **words)


def _units(texts: Sequence[str], points: float) -> float:
    """Return the width of the widest text, in units of the side of an image."""
    return inches(texts) * points / 10 / UNIT
