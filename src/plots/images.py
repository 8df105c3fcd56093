"""Images side by side: examples, weights of a first layer, feature maps."""

from collections.abc import Sequence
from math import ceil, isqrt

import torch
from matplotlib.figure import Figure
from torch import Tensor

from src.plots.style import BLUE, ORANGE, frame

GAP = 0.08  # between two images, as a share of their side


def image_sheet(
    title: str, images: Tensor, captions: Sequence[str], right: Sequence[bool]
) -> Figure:
    """Draw images in rows of up to six, each with its caption; wrong ones in orange.

    Args:
        title: What they are.
        images: Pixels in [0, 1], `(n, channels, rows, columns)` with one or three channels.
        captions: What stands below each, of one or two lines.
        right: Whether the prediction is right, for each.
    """
    columns = min(6, len(images))
    rows = ceil(len(images) / columns)
    figure, axes = frame(max(1.25 * columns, 4), 0.4 + 1.65 * rows)
    axes.imshow(mosaic(images, columns, below=0.42), cmap="gray", vmin=0, vmax=1, aspect="equal")
    height, width = images.shape[2] * (1.42 + GAP), images.shape[3] * (1 + GAP)
    for i, (caption, good) in enumerate(zip(captions, right, strict=True)):
        x = (i % columns) * width + images.shape[3] / 2
        y = (i // columns) * height + images.shape[2] * 1.05
        axes.text(x, y, caption, ha="center", va="top", fontsize=8, color=BLUE if good else ORANGE)
    axes.set_axis_off()
    axes.set_title(title, fontsize=10)
    return figure


def mosaic(images: Tensor, columns: int, below: float = 0.0) -> Tensor:
    """Return the images as one, `(height, width, 3)`, on white and with room below each.

    Args:
        images: `(n, 1 or 3, rows, columns)` in [0, 1].
        columns: Images side by side.
        below: Room below each, as a share of its height.
    """
    n, _, height, width = images.shape
    down, across = (round(height * (1 + below + GAP)), round(width * (1 + GAP)))
    sheet = torch.ones(ceil(n / columns) * down, columns * across, 3)
    for i, image in enumerate(images.float()):
        top, left = (i // columns) * down, (i % columns) * across
        sheet[top : top + height, left : left + width] = image.permute(1, 2, 0)
    return sheet


def weight_images(weights: Tensor, names: Sequence[str] | None = None) -> Figure:
    """Draw what each unit of a first layer looks for: red adds to it, blue takes away.

    Three channels are averaged, but for filters of three channels, which are colours themselves.

    Args:
        weights: `(units, channels, rows, columns)`; the first 64 units are drawn.
        names: Of the units; left out by default.
    """
    weights = weights[:64].float()
    colours = weights.shape[1] == 3 and weights.shape[2] < 12
    n = len(weights)
    columns = n if n <= 8 else max(5, isqrt(n - 1) + 1)
    rows = ceil(len(weights) / columns)
    figure, axes = frame(1.2 * columns + 1, 1.2 * rows + 0.5, nrows=rows, ncols=columns,
                         squeeze=False)  # fmt: skip
    limit = weights.abs().amax().item() or 1.0
    shown = (weights / limit + 1) / 2 if colours else weights.mean(dim=1, keepdim=True)
    for i, place in enumerate(axes.flat):
        place.set_axis_off()
        if i < len(weights):
            pixels = shown[i].permute(1, 2, 0).squeeze(-1)
            limits = {} if colours else {"vmin": -limit, "vmax": limit}
            image = place.imshow(pixels, cmap="RdBu_r", **limits)
            place.set_title(names[i] if names else "", fontsize=8, pad=2)
    if not colours:
        figure.colorbar(image, ax=axes, shrink=0.7, label="weight")
    return figure


def feature_maps(image: Tensor, layers: Sequence[tuple[str, Tensor]]) -> Figure:
    """Draw what the convolutions make of an image; the brighter, the stronger.

    Args:
        image: `(channels, rows, columns)` in [0, 1].
        layers: Name and maps `(maps, rows, columns)` of each; the first 16 are drawn.
    """
    heights = [ceil(min(len(maps), 16) / 8) for _, maps in layers]
    figure, axes = frame(8, 1.3 + 1.25 * sum(heights), nrows=1 + len(layers),
                         height_ratios=[1, *heights])  # fmt: skip
    axes[0].imshow(mosaic(image[None], 1), cmap="gray", vmin=0, vmax=1)
    axes[0].set_title("image", fontsize=9, loc="left")
    for place, (name, maps) in zip(axes[1:], layers, strict=True):
        maps = maps[:16].float()
        low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
        scaled = (maps - low) / (high - low).clamp(min=1e-12)
        place.imshow(mosaic(scaled[:, None], min(8, len(maps))), vmin=0, vmax=1)
        place.set_title(name, fontsize=9, loc="left")
    for place in axes:
        place.set_axis_off()
    return figure
