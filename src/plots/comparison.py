"""Comparison of runs: a metric over the epochs of several runs, and the score of each seed."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from src.plots.style import CYCLE, frame

STYLES = ["-", "--", ":", "-."]  # the next style is used once all colours are taken


class Curve(NamedTuple):
    """One line of a comparison.

    Attributes:
        label: Text beside the line.
        epochs: Completed epochs at each point `(n,)`.
        values: The values `(n,)` of each run that the line averages.
    """

    label: str
    epochs: Sequence[float]
    values: Sequence[Sequence[float]]


def overlaid_curves(curves: Sequence[Curve], metric: str) -> Figure:
    """Draw the mean of each curve over its runs, and a band from minimum to maximum.

    Args:
        curves: The lines, in the order of colours.
        metric: Name of the plotted metric; one that ends in `acc` is drawn in percent.
    """
    height = max(4, 1.2 + 0.2 * len(curves))
    figure, axes = frame(6 + 0.065 * max(len(curve.label) for curve in curves), height)
    alpha = min(0.15, 0.9 / len(curves))  # bands overlap
    axes.spines[["top", "right"]].set_visible(False)
    for i, curve in enumerate(curves):
        colour, style = CYCLE[i % len(CYCLE)], STYLES[i // len(CYCLE) % len(STYLES)]
        values = np.asarray(curve.values, dtype=float)
        marker = "o" if len(curve.epochs) <= 30 else ""
        axes.plot(
            curve.epochs, values.mean(axis=0), style, color=colour, marker=marker, markersize=3
        )
        if len(values) > 1:
            low, high = values.min(axis=0), values.max(axis=0)
            axes.fill_between(curve.epochs, low, high, color=colour, alpha=alpha, linewidth=0)
    if any(len(curve.values) > 1 for curve in curves):
        axes.set_title("mean over seeds, band from minimum to maximum", loc="left", fontsize=8)
    axes.set(xlabel="epochs", ylabel=metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if metric.endswith("acc"):
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    _label_ends(axes, [curve.label for curve in curves], gap=0.19 / (height - 0.6))
    return figure


class Scores(NamedTuple):
    """One row of a comparison.

    Attributes:
        label: Text beside the row.
        values: The score of each seed `(n,)`.
        interval: The interval that holds the mean over all seeds with 95 %; None for few seeds.
    """

    label: str
    values: Sequence[float]
    interval: tuple[float, float] | None


def seed_scores(rows: Sequence[Scores], metric: str) -> Figure:
    """Draw the score of each seed as a dot, the mean of each row, and its interval as a band.

    Args:
        rows: The rows, from top to bottom in the order of colours.
        metric: Name of the score; one that ends in `acc` is drawn in percent.
    """
    figure, axes = frame(5 + 0.065 * max(len(row.label) for row in rows), 1 + 0.35 * len(rows))
    axes.spines[["top", "right", "left"]].set_visible(False)
    for place, row in enumerate(rows):
        colour = CYCLE[place % len(CYCLE)]
        if row.interval:
            axes.plot(row.interval, [place] * 2, color=colour, alpha=0.25, linewidth=9,
                      solid_capstyle="butt")  # fmt: skip
        axes.plot(row.values, [place] * len(row.values), "o", color=colour, alpha=0.7, markersize=4)
        axes.plot(np.mean(row.values), place, "|", color=colour, markersize=15, markeredgewidth=2)
    axes.set_title("dots: seeds, line: mean, band: its 95 % interval", loc="left", fontsize=8)
    axes.set_yticks(range(len(rows)), [row.label for row in rows], fontsize=8, parse_math=False)
    axes.set(xlabel=metric, ylim=(len(rows) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.3)
    if metric.endswith("acc"):
        axes.xaxis.set_major_formatter(PercentFormatter(1))
    return figure


def _label_ends(axes: Any, labels: Sequence[str], gap: float) -> None:
    """Write each label to the right of the axes, connected to the last point of its line."""
    ends = [line.get_xydata()[-1] for line in axes.lines]
    low, high = axes.get_ylim()
    heights = _spread([(y - low) / (high - low) for _, y in ends], gap)
    for line, end, label, height in zip(axes.lines, ends, labels, heights, strict=True):
        tie = {"arrowstyle": "-", "color": line.get_color(), "linewidth": 0.6, "relpos": (0, 0.5)}
        axes.annotate(
            label, end, (1.04, height), textcoords="axes fraction", color=line.get_color(),
            fontsize=8, va="center", arrowprops=tie, annotation_clip=False, parse_math=False,
        )  # fmt: skip


def _spread(heights: Sequence[float], gap: float) -> list[float]:
    """Return the heights moved up and down until they are `gap` apart, all at most 1."""
    order = np.argsort(heights, kind="stable")
    steps = gap * np.arange(len(heights))
    free = np.asarray(heights)[order] - steps
    upward = np.maximum.accumulate(free)
    downward = np.minimum.accumulate(free[::-1])[::-1]
    placed = np.maximum((upward + downward) / 2, 0) + steps
    return np.minimum(placed, 1 - steps[::-1])[np.argsort(order)].tolist()
