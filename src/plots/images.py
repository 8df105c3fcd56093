"""Grids of images: examples, first-layer weights and feature maps."""

from collections.abc import Sequence
from math import ceil, isqrt
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from src.plots.fonts import wrapped
from src.plots.style import BLUE, ORANGE, frame

GAP = 0.08  # between two images, as a share of their side
LETTERS = 18  # of a caption, in the width of an image
WORDS: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 8, "parse_math": False}


def image_sheet(
    title: str, images: Tensor, captions: Sequence[str], right: Sequence[bool]
) -> Figure:
    """Draw images in rows of up to six, with captions in orange for wrong predictions.

    Args:
        title: Title of the figure.
        images: Pixels in [0, 1], `(n, channels, rows, columns)` with one or three channels.
        captions: Text below each image; long lines are wrapped.
        right: Whether the prediction is right, for each image.
    """
    columns = min(6, len(images))
    rows = ceil(len(images) / columns)
    captions = [wrapped(caption, LETTERS) for caption in captions]
    below = 0.21 * max(2, most_lines(captions))
    figure, axes = frame(max(1.25 * columns, 4.5), 0.4 + 1.1 * rows * (1.08 + below))
    show(axes, mosaic(images, columns, below))
    for i, (caption, good) in enumerate(zip(captions, right, strict=True)):
        x, y = middle(i, columns, images.shape[2], images.shape[3], below)
        axes.text(x, y, caption, color=BLUE if good else ORANGE, **WORDS)
    axes.set_axis_off()
    axes.set_title(title, fontsize=10)
    return figure


def most_lines(texts: Sequence[str]) -> int:
    return max((text.count("\n") + 1 for text in texts), default=1)


def mosaic(images: Tensor, columns: int, below: float = 0.0, empty: float = 1.0) -> np.ndarray:
    """Return the images in one array `(height, width, channels)`, with gaps between them.

    Args:
        images: `(n, 1 or 3, rows, columns)` in [0, 1].
        columns: Number of images per row.
        below: Space for text below each image, as a share of its height.
        empty: Value of pixels outside the images.
    """
    n, channels, height, width = images.shape
    down, across = pitch(height, width, below)
    sheet = torch.full((ceil(n / columns) * down, columns * across, channels), empty)
    for i, image in enumerate(images.float()):
        top, left = (i // columns) * down, (i % columns) * across
        sheet[top : top + height, left : left + width] = image.permute(1, 2, 0)
    return sheet.numpy()


def show(axes: Axes, sheet: np.ndarray) -> None:
    """Draw pixels in [0, 1], `(height, width, 1 or 3)`; one channel takes a third of the memory."""
    axes.imshow(sheet.squeeze(-1) if sheet.shape[2] == 1 else sheet, cmap="gray", vmin=0, vmax=1)


def pitch(height: int, width: int, below: float) -> tuple[int, int]:
    """Return the vertical and horizontal distance between neighbouring images of a mosaic."""
    return ceil(height * (1 + below + GAP)), ceil(width * (1 + GAP))


def middle(i: int, columns: int, height: int, width: int, below: float) -> tuple[float, float]:
    """Return the position (x, y) of the top centre of the text below image i of a mosaic."""
    down, across = pitch(height, width, below)
    return (i % columns) * across + width / 2, (i // columns) * down + 1.03 * height


def weight_images(weights: Tensor, names: Sequence[str] | None = None) -> Figure:
    """Draw the weights of each first-layer unit as an image: red is positive, blue is negative.

    Colours saturate at half of the largest weight, or a few large weights would make the rest pale.
    Small filters of three channels are drawn in colour; otherwise channels are averaged.

    Args:
        weights: `(units, channels, rows, columns)`; the first 64 units are drawn.
        names: Names of the units; not drawn by default.
    """
    weights = weights[:64].float()
    n, channels, height, width = weights.shape
    columns = n if n <= 8 else max(5, isqrt(n - 1) + 1)
    rows, colours = ceil(n / columns), channels == 3 and height < 12
    limit = weights.abs().max().item()
    unsigned = (weights / max(limit, 1e-12) + 1) / 2  # zero is grey, or white in the colour map
    shown = unsigned if colours else unsigned.mean(dim=1, keepdim=True)
    names = [wrapped(name, LETTERS - 3) for name in (names or [])[:n]]
    below = 0.2 * most_lines(names) if names else 0.0
    figure, axes = frame(1.1 * columns + 1, (1.1 + below) * rows + 0.4)
    sheet = mosaic(shown, columns, below, empty=1.0 if colours else torch.nan)
    image = axes.imshow(sheet if colours else sheet[..., 0], cmap="RdBu_r", vmin=0.25, vmax=0.75)
    for i, name in enumerate(names):
        x, y = middle(i, columns, height, width, below)
        axes.text(x, y, name, **WORDS)
    axes.set_axis_off()
    if not colours:
        bar = figure.colorbar(image, shrink=0.7, label="weight", extend="both")
        bar.set_ticks([0.25, 0.5, 0.75])
        bar.ax.set_yticklabels([f"{-limit / 2:.2g}", "0", f"{limit / 2:.2g}"])
    return figure


def feature_maps(image: Tensor, layers: Sequence[tuple[str, Tensor]]) -> Figure:
    """Draw the feature maps of an image; brighter values are larger.

    Args:
        image: `(channels, rows, columns)` in [0, 1].
        layers: Name and feature maps `(maps, rows, columns)` of each layer; at most 16 are drawn.
    """
    heights = [ceil(min(len(maps), 16) / 8) for _, maps in layers]
    figure, axes = frame(8, 1.3 + 1.25 * sum(heights), nrows=1 + len(layers),
                         height_ratios=[1, *heights])  # fmt: skip
    show(axes[0], mosaic(image[None], 1))
    axes[0].set_title("image", fontsize=9, loc="left")
    for place, (name, maps) in zip(axes[1:], layers, strict=True):
        maps = maps[:16].float()
        low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
        scaled = (maps - low) / (high - low).clamp(min=1e-12)
        show(place, mosaic(scaled[:, None], min(8, len(maps))))
        place.set_title(name, fontsize=9, loc="left")
    for place in axes:
        place.set_axis_off()
    return figure
