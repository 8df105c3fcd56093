"""Pictures of lesson 2: errors of finite differences, two descents, and the record of a loss."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from src.plots.style import BLUE, GREEN, ORANGE, SKY, frame

Place = tuple[float, float]


def differences(widths: np.ndarray, errors: Sequence[np.ndarray]) -> Figure:
    """Draw the error of the central difference over h, for each type of numbers."""
    figure, axes = frame(6, 3.6)
    for values, color in zip(errors, (ORANGE, BLUE), strict=True):
        axes.loglog(widths, values, "o-", color=color, label=values.dtype.name)
    axes.loglog(widths[6:], 144 * widths[6:] ** 2, "--", color="black", label="144 h²")
    axes.set(xlabel="h", ylabel="error of the central difference")
    axes.set_title("a small h is good, until rounding errors dominate")
    axes.legend(loc="lower left")
    return figure


def descents(correct: Sequence[float], accumulated: Sequence[float]) -> Figure:
    """Draw x over the steps, with slopes that are reset and with slopes that add up."""
    figure, axes = frame(7, 3.6)
    axes.plot(accumulated, ".-", color=ORANGE, linewidth=1, label="mistake: slopes add up")
    axes.plot(correct, ".-", color=BLUE, label="reset before each step")
    axes.axhline(-1.5, color=GREEN, linestyle="--", label="minimum of y: -1.5")
    axes.set(xlabel="step", ylabel="x", title="without resetting slopes, x does not converge")
    axes.legend(loc="upper right", ncols=3, fontsize=8)
    axes.set_ylim(top=4)
    return figure


def record(result: Tensor, names: dict[Tensor, str], title: str = "") -> Figure:
    """Draw the recorded steps of a result, in the order of the backward pass."""
    steps, arrows = _steps(result)
    levels = [[node for node in steps if steps[node] == i] for i in range(max(steps.values()) + 1)]
    place = {node: (i, j) for i, nodes in enumerate(levels) for j, node in enumerate(nodes)}
    figure, axes = frame(10, 3)
    for node, (across, up) in place.items():
        leaf = getattr(node, "variable", None)  # AccumulateGrad nodes hold a leaf
        if leaf is not None:
            place[node] = (across, -up)  # below, so that arrows do not cross it
        _box(axes, place[node], _text(node, leaf, names), SKY if leaf is None else ORANGE)
    for late, early in arrows:
        style = {"arrowstyle": "-|>", "color": "0.4", "shrinkA": 26, "shrinkB": 30}
        axes.annotate("", place[early], place[late], arrowprops=style)
    low, high = min(up for _, up in place.values()), max(up for _, up in place.values())
    axes.set(xlim=(-0.5, len(levels) - 0.5), ylim=(low - 0.5, high + 0.5), title=title)
    axes.set_axis_off()
    return figure


def _steps(result: Tensor) -> tuple[dict[Any, int], set[tuple[Any, Any]]]:
    """Return the level of each recorded step, and the pairs of a step and one before it."""
    depth, arrows = {}, set()

    def walk(node: Any, level: int) -> None:
        depth[node] = max(level, depth.get(node, 0))
        for earlier, _ in node.next_functions:
            if earlier is not None:  # constants have no record
                arrows.add((node, earlier))
                walk(earlier, level + 1)

    walk(result.grad_fn, 0)
    return depth, arrows


def _text(node: Any, leaf: Tensor | None, names: dict[Tensor, str]) -> str:
    if leaf is None:
        return node.name().removesuffix("Backward0")
    return names[leaf] + ("" if leaf.grad is None else f"\ngrad {leaf.grad:g}")


def _box(axes: Any, place: Place, text: str, color: str) -> None:
    box = {"boxstyle": "round,pad=0.5", "facecolor": color, "alpha": 0.5}
    axes.text(*place, text, ha="center", va="center", bbox=box)
