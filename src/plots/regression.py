"""Plots of regression: fits, residuals and the path of gradient descent."""

from functools import partial
from typing import Any

import numpy as np
import torch
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from torch import Tensor

from src.plots.style import BLUE, GREEN, ORANGE, frame

Ends = list[tuple[float, float]]  # limits of the axis of each weight


def line_fit(x: Tensor, y: Tensor, lines: Tensor) -> Figure:
    """Draw points and the fitted line at several times in training.

    Args:
        x: Feature of each point `(n,)`.
        y: Target of each point `(n,)`.
        lines: Predictions of the model at each x, oldest first, `(times, n)`.
    """
    figure, axes = frame(6, 4)
    order = x.argsort()
    sorted_x, sorted_lines = x[order].numpy(), lines[:, order].numpy()
    for time, line in enumerate(sorted_lines[:-1], start=1):
        shade = 0.15 + 0.5 * time / len(lines)
        axes.plot(sorted_x, line, color=ORANGE, alpha=shade, linewidth=1)
    axes.scatter(x.numpy(), y.numpy(), s=18, color=BLUE, label="training points", zorder=2)
    label = "learned line" + (" (fainter: earlier)" if len(lines) > 1 else "")
    axes.plot(sorted_x, sorted_lines[-1], color=ORANGE, linewidth=2, label=label)
    axes.set(xlabel="x", ylabel="y")
    axes.legend()
    return figure


def loss_surface(x: Tensor, y: Tensor, path: Tensor, optimum: Tensor) -> Figure:
    """Draw the path of the weights on the loss surface, and the least-squares optimum.

    Args:
        x: Feature of each point `(n,)`.
        y: Target of each point `(n,)`.
        path: Slope, and intercept if any, at several times in training `(times, 1 or 2)`.
        optimum: The least-squares weights `(1 or 2,)`.
    """
    around = torch.cat([path, optimum[None]])
    low, high = around.amin(dim=0), around.amax(dim=0)
    margin = 0.25 * (high - low).clamp(min=0.1)
    ends = zip((low - margin).tolist(), (high + margin).tolist(), strict=True)
    figure, axes = frame(6, 4.5)
    draw = _bowl if path.shape[1] == 2 else _parabola
    draw(axes, [*ends], *(part.numpy() for part in (x, y, path, optimum)))
    axes.legend(loc="upper center", fontsize=8)
    return figure


def _bowl(
    axes: Any, ends: Ends, x: np.ndarray, y: np.ndarray, path: np.ndarray, optimum: np.ndarray
) -> None:
    slopes, intercepts = (np.linspace(*pair, 80) for pair in ends)
    s, b = slopes[None, :], intercepts[:, None]
    error = squared_error(s, b, x, y)  # (80, 80)
    # Levels are denser near the minimum, which would be a single colour otherwise.
    levels = np.linspace(error.min() ** 0.25, error.max() ** 0.25, 16) ** 4
    axes.contourf(slopes, intercepts, error, levels, cmap="Blues", norm=PowerNorm(0.4))
    axes.contour(slopes, intercepts, error, levels, colors=BLUE, linewidths=0.5)
    axes.plot(*path.T, "-", color=ORANGE, linewidth=1.5, label="gradient descent")
    axes.plot(*path[0], "o", color=ORANGE, markersize=6)
    axes.plot(*path[-1], "s", color=ORANGE, markersize=6)
    axes.plot(*optimum, "*", color=GREEN, markersize=14, label="least squares")
    axes.set(xlabel="slope", ylabel="intercept", title="mean squared error (dark: large)")


def _parabola(
    axes: Any, ends: Ends, x: np.ndarray, y: np.ndarray, path: np.ndarray, optimum: np.ndarray
) -> None:
    error = partial(squared_error, b=0.0, x=x, y=y)
    slopes, way = np.linspace(*ends[0], 200), path[:, 0]
    axes.plot(slopes, error(slopes), color=BLUE, label="squared error")
    axes.plot(way, error(way), "o", color=ORANGE, markersize=4, label="gradient descent")
    axes.plot(optimum, error(optimum), "*", color=GREEN, markersize=14, label="least squares")
    axes.set(xlabel="slope", ylabel="mean squared error")


def squared_error(s: Any, b: Any, x: np.ndarray, y: np.ndarray) -> Any:
    """Return the mean squared error of lines s x + b, without storing their predictions."""
    x, y = x.astype(float), y.astype(float)
    squares = s**2 * (x * x).mean() + b**2 + (y * y).mean()
    error = squares + 2 * (s * b * x.mean() - s * (x * y).mean() - b * y.mean())
    return np.maximum(error, 0)  # rounding errors can make it negative


def predicted_vs_true(predicted: Tensor, y: Tensor) -> Figure:
    """Draw predictions over targets; correct predictions lie on the diagonal.

    Args:
        predicted: Predictions `(n, outputs)`; all outputs are drawn together.
        y: Targets `(n, outputs)`.
    """
    figure, axes = frame(5, 5)
    axes.scatter(y.numpy(), predicted.numpy(), s=8, color=BLUE, alpha=0.5, linewidths=0)
    ends = [min(y.min(), predicted.min()).item(), max(y.max(), predicted.max()).item()]
    axes.plot(ends, ends, "--", color="black", linewidth=1)
    spread = (y - y.mean(dim=0)).square().mean().clamp(min=1e-12)
    explained = 1 - (predicted - y).square().mean() / spread
    axes.set(xlabel="true", ylabel="predicted", title=f"R² = {explained:.4f}", aspect="equal")
    return figure


def residuals(predicted: Tensor, y: Tensor) -> Figure:
    """Draw the residuals, target minus prediction, which show no pattern if the model fits.

    Args:
        predicted: Predictions `(n, outputs)`; all outputs are drawn together.
        y: Targets `(n, outputs)`.
    """
    predicted, left = predicted.flatten(), (y - predicted).flatten()
    figure, (axes, side) = frame(7, 4, ncols=2, sharey=True, width_ratios=[3, 1])
    axes.scatter(predicted.numpy(), left.numpy(), s=8, color=BLUE, alpha=0.5, linewidths=0)
    axes.axhline(0, color="black", linewidth=1, linestyle="--")
    axes.set(xlabel="predicted", ylabel="true - predicted")
    axes.set_title(f"mean {left.mean():.3g}, standard deviation {left.std(correction=0):.3g}")
    side.hist(left.numpy(), bins=30, orientation="horizontal", color=BLUE)
    side.set(xlabel="values")
    return figure
