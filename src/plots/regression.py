"""How well a line or a curve goes through points, and how gradient descent found it."""

from typing import Any

import numpy as np
import torch
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from torch import Tensor

from src.plots.style import BLUE, GREEN, ORANGE, frame


def line_fit(x: Tensor, y: Tensor, lines: Tensor) -> Figure:
    """Draw points and the line through them as it was at times of the training.

    Args:
        x: Feature of each point `(n,)`.
        y: Target of each point `(n,)`.
        lines: What the model predicted at each x, oldest first, `(times, n)`.
    """
    figure, axes = frame(6, 4)
    order = x.argsort()
    for time, line in enumerate(lines[:-1], start=1):
        shade = 0.15 + 0.5 * time / len(lines)
        axes.plot(x[order], line[order], color=ORANGE, alpha=shade, linewidth=1)
    axes.scatter(x, y, s=18, color=BLUE, label="training points", zorder=2)
    label = "learned line" + (" (fainter: earlier)" if len(lines) > 1 else "")
    axes.plot(x[order], lines[-1][order], color=ORANGE, linewidth=2, label=label)
    axes.set(xlabel="x", ylabel="y")
    axes.legend()
    return figure


def loss_surface(x: Tensor, y: Tensor, path: Tensor, optimum: Tensor) -> Figure:
    """Draw the way of the weights over the squared error, and where algebra puts its least.

    Args:
        x: Feature of each point `(n,)`.
        y: Target of each point `(n,)`.
        path: Slope, and intercept where there is one, after each step, `(steps, 1 or 2)`.
        optimum: The weights of least squares `(1 or 2,)`.
    """
    around = torch.cat([path, optimum[None]])
    low, high = around.amin(dim=0), around.amax(dim=0)
    margin = 0.25 * (high - low).clamp(min=0.1)
    draw = _bowl if path.shape[1] == 2 else _parabola
    figure, axes = frame(6, 4.5)
    draw(axes, x, y, path, optimum, low - margin, high + margin)
    axes.legend()
    return figure


def _bowl(
    axes: Any, x: Tensor, y: Tensor, path: Tensor, optimum: Tensor, low: Tensor, high: Tensor
) -> None:
    slopes, intercepts = (torch.linspace(*ends, 80) for ends in zip(low, high, strict=True))
    lines = slopes[None, :, None] * x + intercepts[:, None, None]  # (80, 80, n)
    error = (lines - y).square().mean(dim=2)
    # Levels closer together towards the floor of the bowl, which would be one colour otherwise.
    levels = np.linspace(error.min().item() ** 0.25, error.max().item() ** 0.25, 16) ** 4
    axes.contourf(slopes, intercepts, error, levels, cmap="Blues", norm=PowerNorm(0.4))
    axes.contour(slopes, intercepts, error, levels, colors=BLUE, linewidths=0.5)
    axes.plot(*path.T, "-", color=ORANGE, linewidth=1.5, label="gradient descent")
    axes.plot(*path[0], "o", color=ORANGE, markersize=6)
    axes.plot(*path[-1], "s", color=ORANGE, markersize=6)
    axes.plot(
        *optimum, "*", color="white", markeredgecolor="black", markersize=14, label="least squares"
    )
    axes.set(xlabel="slope", ylabel="intercept", title="squared error (dark: large)")


def _parabola(
    axes: Any, x: Tensor, y: Tensor, path: Tensor, optimum: Tensor, low: Tensor, high: Tensor
) -> None:
    def error(slopes: Tensor) -> Tensor:
        return (slopes[:, None] * x - y).square().mean(dim=1)

    slopes = torch.linspace(low[0], high[0], 200)
    axes.plot(slopes, error(slopes), color=BLUE, label="squared error")
    axes.plot(
        path[:, 0], error(path[:, 0]), "o", color=ORANGE, markersize=4, label="gradient descent"
    )
    axes.plot(optimum, error(optimum), "*", color=GREEN, markersize=14, label="least squares")
    axes.set(xlabel="slope", ylabel="mean squared error")


def predicted_vs_true(predicted: Tensor, y: Tensor) -> Figure:
    """Draw predictions over targets; on the diagonal the model is right.

    Args:
        predicted: `(n, outputs)`, all outputs together.
        y: Targets `(n, outputs)`.
    """
    figure, axes = frame(5, 5)
    axes.scatter(y, predicted, s=8, color=BLUE, alpha=0.5, linewidths=0)
    ends = [min(y.min(), predicted.min()).item(), max(y.max(), predicted.max()).item()]
    axes.plot(ends, ends, "--", color="black", linewidth=1)
    explained = 1 - (predicted - y).square().mean() / y.var(correction=0).clamp(min=1e-12)
    axes.set(xlabel="true", ylabel="predicted", title=f"R² = {explained:.4f}", aspect="equal")
    return figure


def residuals(predicted: Tensor, y: Tensor) -> Figure:
    """Draw what is left, target minus prediction: without a pattern, if the model has it all.

    Args:
        predicted: `(n, outputs)`, all outputs together.
        y: Targets `(n, outputs)`.
    """
    left = (y - predicted).flatten()
    figure, (axes, side) = frame(7, 4, ncols=2, sharey=True, width_ratios=[3, 1])
    axes.scatter(predicted.flatten(), left, s=8, color=BLUE, alpha=0.5, linewidths=0)
    axes.axhline(0, color="black", linewidth=1, linestyle="--")
    axes.set(xlabel="predicted", ylabel="true - predicted")
    axes.set_title(f"mean {left.mean():.3g}, standard deviation {left.std(correction=0):.3g}")
    side.hist(left.numpy(), bins=30, orientation="horizontal", color=BLUE)
    side.set(xlabel="examples")
    return figure
