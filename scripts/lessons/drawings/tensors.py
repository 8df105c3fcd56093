"""Pictures of lesson 1: tables of numbers as shaded cells."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from src.plots.style import BLUE, ORANGE, frame


def memory(rows: Tensor) -> Figure:
    """Draw a (2, 3) tensor and its transpose beside the memory that they share."""
    figure, (left, middle, right) = frame(10, 3.2, ncols=3, width_ratios=[6, 3, 2])
    shades = np.arange(6).reshape(2, 3) / 7 + 0.21
    _cells(left, np.arange(6)[None], shades.reshape(1, 6), "memory, shaded by position")
    _cells(middle, rows, shades, "rows, strides (3, 1):\nread in memory order")
    _cells(right, rows.T, shades.T, "rows.T, strides (1, 3):\nread in jumps of 3")
    return figure


def broadcasting(down: Tensor, across: Tensor, predicted: Tensor, target: Tensor) -> Figure:
    """Draw a sum of shapes (3, 1) and (4,), and the mistake (3, 1) - (3,)."""
    figure, axes = frame(10, 4.4, nrows=2, ncols=3)
    column = np.array([[0.5, 0.1, 0.1, 0.1]] * 3)  # dark: stored, light: only repeated
    row = np.array([[0.5] * 4, [0.1] * 4, [0.1] * 4])
    _cells(axes[0, 0], down.expand(3, 4), column, "(3, 1): its column is repeated")
    _cells(axes[0, 1], across.expand(3, 4), row, "+ (4,): so is its row")
    _cells(axes[0, 2], down + across, title="= (3, 4)")
    _cells(axes[1, 0], predicted.expand(3, 3), column[:, :3], "predicted (3, 1)", "Oranges")
    _cells(axes[1, 1], target.expand(3, 3), row[:, :3], "- target (3,)", "Oranges")
    title = "= (3, 3), wrong: only the diagonal was meant"
    _cells(axes[1, 2], predicted - target, 0.1 + 0.4 * np.eye(3), title, "Oranges")
    return figure


def confidence(pixels: Tensor, from_raw: Tensor, from_scaled: Tensor) -> Figure:
    """Draw the first digit, and its class probabilities from raw and from scaled pixels."""
    figure, (left, right) = frame(9, 4.2, ncols=2)
    _cells(left, pixels[0], pixels[0] / 255, "the first digit, (8, 8), raw", "Greys", size=9)
    places = np.arange(10)
    right.bar(places - 0.2, from_raw[0].numpy(), 0.4, color=ORANGE, label="raw: confident")
    right.bar(places + 0.2, from_scaled[0].numpy(), 0.4, color=BLUE, label="scaled: undecided")
    right.set(xlabel="digit", ylabel="probability", xticks=places, ylim=(0, 1))
    average = from_raw.amax(dim=1).mean()
    title = f"confidence on raw pixels: {from_raw[0].max():.0%} here, on average {average:.0%}"
    right.set_title(title, fontsize=10)
    right.legend()
    return figure


def _cells(
    axes: Any, numbers: Any, shades: Any = None, title: str = "", color: str = "Blues",
    size: int = 11,
) -> None:  # fmt: skip
    """Draw a table as cells with their numbers, darker where the shade is nearer to 1."""
    shades = np.full(numbers.shape, 0.35) if shades is None else np.asarray(shades, dtype=float)
    axes.pcolormesh(shades, cmap=color, vmin=0, vmax=1.2, edgecolors="white", linewidth=1.5)
    for (i, j), number in np.ndenumerate(np.asarray(numbers)):
        ink = "white" if shades[i, j] > 0.7 else "black" if shades[i, j] > 0.2 else "0.6"
        axes.text(j + 0.5, i + 0.5, f"{number:g}", ha="center", va="center", color=ink, size=size)
    axes.set(aspect="equal", anchor="S", ylim=(len(numbers), 0))
    axes.set_axis_off()
    axes.set_title(title, fontsize=10)
