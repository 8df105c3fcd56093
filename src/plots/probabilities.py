"""Images and the class probabilities that a network predicts for them."""

from collections.abc import Sequence
from math import ceil
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from src.plots.style import BLUE, SKY, frame

ACROSS = 3  # images in a row
WIDTH, HEIGHT = 2.9, 1.35  # of a cell, in units of the side of an image
UNIT = 1.15  # side of an image in inches
LETTER = 0.052  # width of a letter of a class name


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
    rows, across = ceil(len(images) / ACROSS), min(ACROSS, len(images))
    figure, axes = frame(UNIT * WIDTH * across, UNIT * HEIGHT * rows)
    for i, (image, likely, caption) in enumerate(zip(images, probabilities, captions, strict=True)):
        left, top = WIDTH * (i % ACROSS), HEIGHT * (i // ACROSS) + 0.2
        pixels = image.permute(1, 2, 0).squeeze(-1).numpy()
        place = (left, left + 1, top + 1, top)
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, extent=place, interpolation="nearest")
        axes.text(left, top - 0.07, caption, fontsize=9, parse_math=False)
        _bars(axes, likely, names, left + 1.1, top)
    axes.set(xlim=(-0.05, WIDTH * across), ylim=(HEIGHT * rows, 0), aspect="equal")
    axes.set_axis_off()
    return figure


def _bars(axes: Axes, likely: Tensor, names: Sequence[str], left: float, top: float) -> None:
    """Draw the bars of one image, with the most likely class in a darker colour."""
    shown = likely.topk(min(10, len(likely))).indices.sort().values.tolist()
    labels = [names[k][:12] for k in shown]
    begin, pitch = left + LETTER * max(map(len, labels)), 1 / len(shown)
    middles = [top + (place + 0.5) * pitch for place in range(len(shown))]
    widths = [float(likely[k]) * (left + WIDTH - 1.25 - begin) for k in shown]
    colours = [BLUE if k == int(likely.argmax()) else SKY for k in shown]
    axes.barh(middles, widths, 0.8 * pitch, left=begin, color=colours)
    axes.plot([begin, begin], [top, top + 1], color="lightgrey", linewidth=0.8, zorder=0)
    for y, label in zip(middles, labels, strict=True):
        words: dict[str, Any] = {
            "fontsize": 6.5,
            "ha": "right",
            "va": "center",
            "parse_math": False,
        }
        axes.text(begin - 0.03, y, label, **words)
