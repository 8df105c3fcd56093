"""Networks under stress: accuracy by strength of a corruption, examples, and confidence."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from src.plots.images import mosaic, show
from src.plots.style import BLUE, CYCLE, ORANGE, frame

MARKERS = "os^Dvx*"
COLUMNS = 3  # of panels


class Panel(NamedTuple):
    """One panel of `accuracies`.

    Attributes:
        amounts: Text of each strength, from none on.
        accuracy: Accuracy in each strength, by network.
        confidence: Mean probability of the predicted class, by network; drawn if there is only one.
    """

    amounts: Sequence[str]
    accuracy: Mapping[str, Sequence[float]]
    confidence: Mapping[str, Sequence[float]]


def accuracies(panels: Mapping[str, Panel], chance: float) -> Figure:
    """Draw a panel for each corruption: the accuracy of each network by strength.

    Args:
        panels: What to draw, by the name of the corruption.
        chance: The accuracy of guessing, a dotted line.
    """
    figure, grid = _grid(len(panels), 2.1)
    for axes, (name, panel) in zip(grid.flat, panels.items(), strict=False):
        _panel(axes, panel)
        axes.axhline(chance, color="grey", linestyle=":", linewidth=1)
        axes.set_title(name, fontsize=10)
        _in_percent(axes)
    _label(figure, grid, "accuracy")
    return figure


def _panel(axes: Axes, panel: Panel) -> None:
    places = range(len(panel.amounts))
    for i, (label, values) in enumerate(panel.accuracy.items()):
        look = f"{MARKERS[i % len(MARKERS)]}-"
        axes.plot(places, values, look, color=CYCLE[i % len(CYCLE)], markersize=4, label=label)
    if len(panel.accuracy) == 1:
        [sure] = panel.confidence.values()
        axes.plot(places, sure, "--", color=ORANGE, linewidth=1.2, label="how sure it is (mean)")
    axes.set_xticks(places, panel.amounts, fontsize=7)
    axes.grid(alpha=0.3)


def examples(rows: Mapping[str, tuple[Tensor, Sequence[str]]]) -> Figure:
    """Draw images in rising strength, a row for each corruption.

    Args:
        rows: Images `(strengths, channels, rows, columns)` in [0, 1], and the text below each of
            them, by the name of the corruption.
    """
    columns = max(len(images) for images, _ in rows.values())
    figure, grid = frame(1.2 + 1.05 * columns, 1.25 * len(rows), nrows=len(rows), squeeze=False)
    for axes, (name, (images, captions)) in zip(grid[:, 0], rows.items(), strict=True):
        show(axes, mosaic(images, columns))
        side = ceil(images.shape[3] * 1.08)
        places = [i * side + images.shape[3] / 2 for i in range(len(captions))]
        axes.set_xticks(places, captions, fontsize=8)
        axes.set_yticks([images.shape[2] / 2], [name.replace(" ", "\n")])
        axes.tick_params(length=0, pad=1)
        axes.spines[:].set_visible(False)
    return figure


Bins = Sequence[tuple[int, float, float, float, float]]


def reliabilities(networks: Mapping[str, tuple[Bins, Bins]]) -> Figure:
    """Draw accuracy by confidence with its 95 % interval, before and after temperature scaling.

    Args:
        networks: For each network the bins before and after: number of samples, mean confidence,
            accuracy, and both ends of its interval.
    """
    figure, grid = _grid(len(networks), 3.2)
    for axes, (label, both) in zip(grid.flat, networks.items(), strict=False):
        axes.plot([0, 1], [0, 1], "--", color="black", linewidth=1, label="as sure as right")
        for bins, colour, name in zip(both, (ORANGE, BLUE), ("before", "after"), strict=True):
            _, sure, right, low, high = np.array(bins).T
            axes.plot(sure, right, "o-", color=colour, markersize=3, label=name)
            axes.fill_between(sure, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.set(xlabel="confidence", xlim=(0, 1), ylim=(0, 1.02))
        axes.set_title(label, fontsize=10)
    _label(figure, grid, "share right")
    return figure


def confidences(networks: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """Draw which share of images has more than a given confidence, of known and strange ones.

    Args:
        networks: Probability of the predicted class of each image, by what the images show, by
            network.
    """
    figure, grid = _grid(len(networks), 2.6)
    for axes, (label, kinds) in zip(grid.flat, networks.items(), strict=False):
        for i, (kind, values) in enumerate(kinds.items()):
            above = 1 - np.arange(len(values)) / len(values)
            axes.plot(values.sort().values.numpy(), above, color=CYCLE[i % len(CYCLE)], label=kind)
        axes.set(xlabel="confidence", xlim=(0, 1))
        _in_percent(axes)
        axes.set_title(label, fontsize=10)
        axes.grid(alpha=0.3)
    _label(figure, grid, "share that is as sure, or more")
    return figure


def _in_percent(axes: Axes) -> None:
    axes.set_ylim(-0.03, 1.03)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.yaxis.set_major_formatter(PercentFormatter(1))


def _grid(panels: int, height: float) -> tuple[Figure, Any]:
    """Return a figure with panels of equal axes, in rows of up to three."""
    columns = min(COLUMNS, panels)
    rows = ceil(panels / columns)
    figure, grid = frame(max(4.5, 3.1 * columns), 0.6 + height * rows, nrows=rows, ncols=columns,
                         squeeze=False, sharey=True)  # fmt: skip
    for axes in [*grid.flat][panels:]:
        axes.set_axis_off()
    return figure, grid


def _label(figure: Figure, grid: Any, text: str) -> None:
    """Label the vertical axes on the left, and the lines of all panels below them."""
    for axes in grid[:, 0]:
        axes.set_ylabel(text)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
